//! The file server: `GET /files/NAME` for Download, `PUT` or `POST /files/NAME` for Upload.

use crate::http::serve::Request;
use crate::lab::front::Reply;
use crate::lab::store::{Error, MAX_FILE, Store};

/// Where files are.
pub const FOLDER: &str = "/files/";

/// The bodies of uploads may be larger than those of sessions.
pub fn body_rule(request: &Request) -> Option<usize> {
    let is_upload = matches!(request.method.as_str(), "PUT" | "POST") && name(request).is_some();
    is_upload.then_some(MAX_FILE)
}

/// The file that a request is about, if it is about one.
pub fn name(request: &Request) -> Option<&str> {
    let path = request.path();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.strip_prefix(FOLDER)
}

/// Serves a request for a file.
pub fn serve(request: &Request, name: &str, store: &Store) -> Reply {
    match request.method.as_str() {
        "GET" | "HEAD" => match store.file(name) {
            Ok(Some(content)) => {
                let headers = vec![("Content-Type", "application/octet-stream".to_owned())];
                Reply { status: 200, headers, body: content }
            }
            Ok(None) => Reply::plain(404, "there is no such file"),
            Err(error) => Reply::plain(503, &error.to_string()),
        },
        "PUT" | "POST" => match store.put_file(name, &request.body, true) {
            Ok(()) => Reply::empty(201),
            Err(Error::Refused(why)) => Reply::plain(403, &why),
            Err(error) => Reply::plain(503, &error.to_string()),
        },
        _ => Reply::plain(405, "files are fetched and put").with("Allow", "GET, HEAD, PUT, POST"),
    }
}
