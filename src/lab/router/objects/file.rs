//! rpcd's `file`: the router's files, within its folder, to be read.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use md5::{Digest, Md5};

use super::reply::{Answer, array, number, ok, table, wanted};
use super::state::State;
use crate::http::auth_text::base64;
use crate::sys::fs::read_capped;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::msg::Status;

/// Its methods.
pub const METHODS: &[&str] = &[
    "read path:s base64:b ubus_rpc_session:s",
    "write path:s data:s append:b mode:i base64:b ubus_rpc_session:s",
    "list path:s ubus_rpc_session:s",
    "stat path:s ubus_rpc_session:s",
    "md5 path:s ubus_rpc_session:s",
    "remove path:s ubus_rpc_session:s",
    "exec command:s params:a env:t ubus_rpc_session:s",
];
/// rpcd reads nothing that is as large or larger.
const MAX_FILE: usize = 256 << 10;
/// The most entries of a folder.
const MAX_ENTRIES: usize = 4096;

/// Answers for `file`.
///
/// # Errors
/// "Invalid argument" without a path, "Not found", "Permission denied" for a session that may not; nothing is
/// written, removed or executed, which is not supported.
pub fn file(state: &mut State, _object: &str, method: &str, arguments: &Table) -> Answer {
    let right = match method {
        "read" | "stat" | "md5" => "read",
        "list" => "list",
        _ => return Err(Status::NotSupported),
    };
    let path = wanted(arguments, "path")?;
    if let Some(id) = arguments.text("ubus_rpc_session")
        && !state.sessions.may(&id, "file", &path, right)
    {
        return Err(Status::PermissionDenied);
    }
    let real = state.root.resolve(&path).map_err(|_| Status::InvalidArgument)?;
    let found = fs::metadata(&real).map_err(|error| status(&error))?;
    match method {
        "stat" => ok(told(table! { "path": path }, &found)),
        "list" => list(&real),
        _ if !found.is_file() => Err(Status::NotSupported),
        "md5" => {
            let bytes = read(&real)?;
            let sum: String = Md5::digest(&bytes).iter().map(|octet| format!("{octet:02x}")).collect();
            ok(table! { "md5": sum })
        }
        _ => {
            let bytes = read(&real)?;
            if bytes.is_empty() {
                return Err(Status::NoData);
            }
            let whole = arguments.get("base64").and_then(Value::as_bool) == Some(true);
            let data = if whole { base64(&bytes) } else { String::from_utf8_lossy(&bytes).into_owned() };
            ok(table! { "data": data })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Status> {
    read_capped(path, MAX_FILE - 1).map_err(|_| Status::NotSupported)
}

fn list(folder: &Path) -> Answer {
    let entries = fs::read_dir(folder).map_err(|error| status(&error))?;
    let entries = entries.flatten().take(MAX_ENTRIES).filter_map(|entry| {
        let found = fs::symlink_metadata(entry.path()).ok()?;
        let mut out = table! { "name": entry.file_name().to_string_lossy().into_owned() };
        if found.is_symlink() {
            out.push("target", fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned());
        }
        Some(told(out, &found))
    });
    ok(table! { "entries": array(entries) })
}

/// What `stat` tells.
fn told(mut out: Table, found: &Metadata) -> Table {
    let kind = match found.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_file() => "file",
        kind if kind.is_symlink() => "symlink",
        _ => "unknown",
    };
    out.push("type", kind);
    out.push("size", number(found.size()));
    out.push("mode", number(found.mode()));
    out.push("atime", number(found.atime()));
    out.push("mtime", number(found.mtime()));
    out.push("ctime", number(found.ctime()));
    out.push("inode", number(found.ino()));
    out.push("uid", number(found.uid()));
    out.push("gid", number(found.gid()));
    out
}

/// The word for what the system refuses.
fn status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => Status::NotFound,
        io::ErrorKind::PermissionDenied => Status::PermissionDenied,
        io::ErrorKind::NotADirectory => Status::InvalidArgument,
        _ => Status::UnknownError,
    }
}
