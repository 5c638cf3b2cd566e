//! `GetParameterNames` (TR-069 A.3.2.3), and the lists of names that the Get methods take.

use super::error::Stop;
use super::write::Out;
use super::xml::{Tag, Xml, boolean, need, put};
use crate::cwmp::rpc::{GetParameterNames, ParameterInfo};

/// An item of an array of strings.
pub(super) fn string(xml: &mut Xml<'_>, _: &Tag) -> Result<String, Stop> {
    xml.text()
}

/// The `ParameterNames` of `GetParameterValues` and `GetParameterAttributes`; none at all is for the
/// dispatcher to judge (FreeACS has sent it).
pub(super) fn read_names(xml: &mut Xml<'_>) -> Result<Vec<String>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "ParameterNames" => put(&mut list, tag, xml.array("string", string)?),
        _ => xml.skip(),
    })?;
    need(list, "ParameterNames")
}

/// The same, written.
pub(super) fn write_names(out: &mut Out, list: &[String]) {
    out.array("ParameterNames", "xsd:string", list, |out, name| out.text(name));
}

/// The arguments of `GetParameterNames`.
pub(super) fn read(xml: &mut Xml<'_>) -> Result<GetParameterNames, Stop> {
    let (mut path, mut next_level) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "ParameterPath" => put(&mut path, tag, xml.text()?),
        "NextLevel" => put(&mut next_level, tag, boolean(&xml.text()?, "NextLevel")?),
        _ => xml.skip(),
    })?;
    Ok(GetParameterNames {
        parameter_path: need(path, "ParameterPath")?,
        next_level: need(next_level, "NextLevel")?,
    })
}

/// The list in a response.
pub(super) fn read_response(xml: &mut Xml<'_>) -> Result<Vec<ParameterInfo>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "ParameterList" => put(&mut list, tag, xml.array("ParameterInfoStruct", info)?),
        _ => xml.skip(),
    })?;
    need(list, "ParameterList")
}

fn info(xml: &mut Xml<'_>, _: &Tag) -> Result<ParameterInfo, Stop> {
    let (mut name, mut writable) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "Name" => put(&mut name, tag, xml.text()?),
        "Writable" => put(&mut writable, tag, boolean(&xml.text()?, "Writable")?),
        _ => xml.skip(),
    })?;
    Ok(ParameterInfo { name: need(name, "Name")?, writable: need(writable, "Writable")? })
}

/// The arguments of the request.
pub(super) fn write(out: &mut Out, call: &GetParameterNames) {
    out.leaf("ParameterPath", &call.parameter_path);
    out.boolean("NextLevel", call.next_level);
}

/// The arguments of the response.
pub(super) fn write_response(out: &mut Out, list: &[ParameterInfo]) {
    out.array("ParameterList", "cwmp:ParameterInfoStruct", list, |out, item| {
        out.leaf("Name", &item.name);
        out.boolean("Writable", item.writable);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{call, refused, request, response};

    #[test]
    fn round_trip() {
        for (path, next_level) in [("", true), ("Device.", false), ("Device.WiFi.SSID.1.SSID", true)] {
            request(Request::GetParameterNames(GetParameterNames {
                parameter_path: path.into(),
                next_level,
            }));
        }
        request(Request::GetParameterAttributes(vec!["Device.".into(), "A.B".into()]));
        let info = |name: &str, writable| ParameterInfo { name: name.into(), writable };
        response(Response::GetParameterNames(vec![info("Device.", false), info("Device.X", true)]));
        response(Response::GetParameterNames(Vec::new()));
    }

    fn level(arguments: &str) -> (String, bool) {
        match call(&format!("<c:GetParameterNames>{arguments}</c:GetParameterNames>")) {
            Request::GetParameterNames(call) => (call.parameter_path, call.next_level),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_in_any_style() {
        assert_eq!(level("<ParameterPath/><NextLevel>1</NextLevel>"), (String::new(), true));
        assert_eq!(level("<ParameterPath></ParameterPath><NextLevel>0</NextLevel>"), (String::new(), false));
        assert_eq!(
            level("<NextLevel> true\n</NextLevel><ParameterPath>A.</ParameterPath>"),
            ("A.".into(), true)
        );
        assert_eq!(
            level(
                "<c:ParameterPath>A<!-- c --><![CDATA[<B>]]>&#46;<?pi?>&amp;</c:ParameterPath><NextLevel>false</NextLevel>"
            ),
            ("A<B>.&".into(), false)
        );
    }

    #[test]
    fn arguments_that_cannot_be() {
        for level in ["yes", "TRUE", "2", ""] {
            let text = format!(
                "<c:GetParameterNames><ParameterPath/><NextLevel>{level}</NextLevel></c:GetParameterNames>"
            );
            assert!(refused(&text).contains("NextLevel is not a boolean"));
        }
        assert!(
            refused("<c:GetParameterNames><ParameterPath/></c:GetParameterNames>")
                .contains("NextLevel is missing")
        );
        assert!(refused("<c:GetParameterValues/>").contains("ParameterNames is missing"));
    }

    #[test]
    fn no_names_are_for_the_dispatcher() {
        let text = "<c:GetParameterValues><ParameterNames E:arrayType='x:string[0]'/></c:GetParameterValues>";
        assert_eq!(call(text), Request::GetParameterValues(Vec::new()));
        let text = "<c:GetParameterValues><ParameterNames><x:string>A</x:string></ParameterNames></c:GetParameterValues>";
        assert_eq!(call(text), Request::GetParameterValues(vec!["A".into()]));
    }
}
