//! `GetRPCMethods` (TR-069 A.3.1.1): the request has no arguments, the response a list of names.

use super::error::Stop;
use super::names::string;
use super::write::Out;
use super::xml::{Xml, need, put};

/// The names in a response.
pub(super) fn read_response(xml: &mut Xml<'_>) -> Result<Vec<String>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "MethodList" => put(&mut list, tag, xml.array("string", string)?),
        _ => xml.skip(),
    })?;
    need(list, "MethodList")
}

/// The arguments of a response.
pub(super) fn write_response(out: &mut Out, list: &[String]) {
    out.array("MethodList", "xsd:string", list, |out, name| out.text(name));
}

#[cfg(test)]
mod tests {
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{call, request, response};

    #[test]
    fn round_trip() {
        request(Request::GetRpcMethods);
        let written = response(Response::GetRpcMethods(vec!["Inform".into(), "X_EX_Do".into()]));
        assert!(written.contains("<MethodList soapenc:arrayType=\"xsd:string[2]\"><string>Inform</string>"));
        let written = response(Response::GetRpcMethods(Vec::new()));
        assert!(written.contains("<MethodList soapenc:arrayType=\"xsd:string[0]\"></MethodList>"));
    }

    #[test]
    fn extensions_are_ignored() {
        assert_eq!(call("<c:GetRPCMethods/>"), Request::GetRpcMethods);
        assert_eq!(call("<c:GetRPCMethods> <Vendor>1</Vendor> </c:GetRPCMethods>"), Request::GetRpcMethods);
        assert_eq!(call("<c:Nonsense><A><B/>text</A></c:Nonsense>"), Request::Unsupported("Nonsense".into()));
        assert_eq!(call("<c:Response/>"), Request::Unsupported("Response".into()));
    }

    #[test]
    fn unknown_methods() {
        request(Request::Unsupported("X_EX_Do".into()));
        response(Response::Other("X_EX_Done".into()));
    }
}
