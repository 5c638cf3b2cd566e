//! What the ACS keeps beside devices: credentials, files, the trace of its sessions; and the description of all this.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Call, DESCRIPTION, Failure, gone, missing, object};
use crate::lab::acs::pretty::pretty;
use crate::lab::acs::trace::Traced;
use crate::lab::front::Reply;
use crate::lab::store::{Credential, FileInfo};

/// The longest wait for a message, in seconds.
const MAX_WAIT: u32 = 300;
/// Messages in one answer.
const MAX_MESSAGES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

pub(super) fn description(_call: &Call<'_>) -> Result<Reply, Failure> {
    let body = DESCRIPTION.as_bytes().to_vec();
    Ok(Reply { status: 200, headers: Vec::new(), body }.with("Content-Type", "application/json"))
}

pub(super) fn credentials(call: &Call<'_>) -> Result<Reply, Failure> {
    let one = |one: &Credential| json!({ "username": one.username, "created": one.created, "updated": one.updated });
    Ok(object(200, &call.office.store.credentials()?.iter().map(one).collect()))
}

pub(super) fn put_credential(call: &Call<'_>) -> Result<Reply, Failure> {
    let Password { password } = call.read()?;
    call.office.store.put_credential(call.argument(), &password)?;
    Ok(Reply::empty(204))
}

pub(super) fn delete_credential(call: &Call<'_>) -> Result<Reply, Failure> {
    gone(call.office.store.delete_credential(call.argument())?, "credential")
}

pub(super) fn files(call: &Call<'_>) -> Result<Reply, Failure> {
    let one = |one: &FileInfo| {
        json!({
            "name": one.name,
            "size": one.size,
            "sha256": one.sha256,
            "uploaded": one.uploaded,
            "created": one.created,
            "url": format!("{}files/{}", call.acs, one.name),
        })
    };
    Ok(object(200, &call.office.store.files()?.iter().map(one).collect()))
}

pub(super) fn file(call: &Call<'_>) -> Result<Reply, Failure> {
    let body = call.office.store.file(call.argument())?.ok_or_else(|| missing("file"))?;
    Ok(Reply { status: 200, headers: Vec::new(), body }.with("Content-Type", "application/octet-stream"))
}

pub(super) fn put_file(call: &Call<'_>) -> Result<Reply, Failure> {
    call.office.store.put_file(call.argument(), call.body, false)?;
    Ok(Reply::empty(204))
}

pub(super) fn delete_file(call: &Call<'_>) -> Result<Reply, Failure> {
    gone(call.office.store.delete_file(call.argument())?, "file")
}

pub(super) fn trace(call: &Call<'_>) -> Result<Reply, Failure> {
    let wait = Duration::from_secs(call.number("wait", MAX_WAIT)?.into());
    let after = call.number("after", u32::MAX)?;
    let messages = call.office.trace.after(after, call.asked("device"), MAX_MESSAGES, wait);
    let one = |one: &Traced| {
        json!({
            "id": one.id,
            "at": one.at,
            "peer": one.peer,
            "device": one.device,
            "status": one.status,
            "text": if one.body.is_empty() { String::new() } else { pretty(&one.body) },
        })
    };
    Ok(object(200, &messages.iter().map(one).collect()))
}
