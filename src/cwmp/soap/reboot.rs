//! `Reboot` (TR-069 A.3.2.9).

use super::error::Stop;
use super::write::Out;
use super::xml::{Xml, put};

/// The CommandKey; a missing one is read as empty.
pub(super) fn read(xml: &mut Xml<'_>) -> Result<String, Stop> {
    let mut command_key = None;
    xml.children(|xml, tag| match tag.name() {
        "CommandKey" => put(&mut command_key, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(command_key.unwrap_or_default())
}

/// The arguments of the request.
pub(super) fn write(out: &mut Out, command_key: &str) {
    out.leaf("CommandKey", command_key);
}

#[cfg(test)]
mod tests {
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{call, request, response};

    #[test]
    fn round_trip() {
        request(Request::Reboot("key & key".into()));
        response(Response::Reboot);
        assert_eq!(call("<c:Reboot/>"), Request::Reboot(String::new()));
    }
}
