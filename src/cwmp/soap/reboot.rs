//! `Reboot` (TR-069 A.3.2.9).

use super::error::Stop;
use super::write::Out;
use super::xml::{Xml, need, put, short};

/// The CommandKey.
pub(super) fn read(xml: &mut Xml<'_>) -> Result<String, Stop> {
    let mut command_key = None;
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut command_key, tag, short(xml, tag, 32)?),
        _ => xml.skip(),
    })?;
    need(command_key, "CommandKey")
}

/// The arguments of the request.
pub(super) fn write(out: &mut Out, command_key: &str) {
    out.leaf("CommandKey", command_key);
}

#[cfg(test)]
mod tests {
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{refused, request, response};

    #[test]
    fn round_trip() {
        request(Request::Reboot("key & key".into()));
        response(Response::Reboot);
        assert!(refused("<c:Reboot/>").contains("CommandKey is missing"));
        let long = format!("<c:Reboot><CommandKey>{}</CommandKey></c:Reboot>", "x".repeat(33));
        assert!(refused(&long).contains("longer than 32"));
    }
}
