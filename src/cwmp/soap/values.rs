//! `SetParameterValues` and the answer of `GetParameterValues` (TR-069 A.3.2.1, A.3.2.2).

use super::error::Stop;
use super::write::Out;
use super::xml::{Declared, Tag, Xml, need, put};
use crate::cwmp::rpc::{ParameterInput, ParameterValue, SetParameterValues, Status};
use crate::model::value::{Input, Kind, Value};

/// The arguments of `SetParameterValues`.
pub(super) fn read_set(xml: &mut Xml<'_>) -> Result<SetParameterValues, Stop> {
    let (mut list, mut parameter_key) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "ParameterList" => put(&mut list, tag, xml.array("ParameterValueStruct", input)?),
        "ParameterKey" => put(&mut parameter_key, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(SetParameterValues { list: need(list, "ParameterList")?, parameter_key })
}

/// The list in a `GetParameterValuesResponse`.
pub(super) fn read_response(xml: &mut Xml<'_>) -> Result<Vec<ParameterValue>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "ParameterList" => put(&mut list, tag, read_list(xml)?),
        _ => xml.skip(),
    })?;
    need(list, "ParameterList")
}

/// The `ParameterValueStruct`s of a CPE. A type that is missing or unknown is read as a string, as
/// GenieACS does: an ACS shows what it gets.
pub(super) fn read_list(xml: &mut Xml<'_>) -> Result<Vec<ParameterValue>, Stop> {
    xml.array("ParameterValueStruct", |xml, tag| {
        let ParameterInput { name, value } = input(xml, tag)?;
        Ok(ParameterValue { name, value: Value::new(value.kind.unwrap_or(Kind::String), value.text) })
    })
}

/// The `Status` of an answer; `DeleteObjectResponse` has the same and nothing else.
pub(super) fn read_status(xml: &mut Xml<'_>) -> Result<Status, Stop> {
    let mut status = None;
    xml.children(|xml, tag| match tag.name() {
        "Status" => put(&mut status, tag, parse_status(&xml.text()?)?),
        _ => xml.skip(),
    })?;
    need(status, "Status")
}

/// The two values of `Status`.
pub(super) fn parse_status(text: &str) -> Result<Status, Stop> {
    match text.trim() {
        "0" => Ok(Status::Applied),
        "1" => Ok(Status::Committed),
        _ => Err(Stop::content("Status is neither 0 nor 1")),
    }
}

fn input(xml: &mut Xml<'_>, _: &Tag) -> Result<ParameterInput, Stop> {
    let (mut name, mut value) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "Name" => put(&mut name, tag, xml.text()?),
        "Value" => {
            let text = xml.text()?;
            let (kind, foreign) = match &tag.declared {
                Declared::Nothing => (None, None),
                Declared::Kind(kind) => (Some(*kind), None),
                Declared::Foreign(written) => (None, Some(written.clone())),
            };
            put(&mut value, tag, Input { kind, foreign, text })
        }
        _ => xml.skip(),
    })?;
    Ok(ParameterInput { name: need(name, "Name")?, value: need(value, "Value")? })
}

/// The arguments of `SetParameterValues`. Without a ParameterKey the element is left out, and a value
/// without a kind goes without `xsi:type`: only a test's ACS does so.
pub(super) fn write_set(out: &mut Out, call: &SetParameterValues) {
    out.array("ParameterList", "cwmp:ParameterValueStruct", &call.list, |out, item| {
        let declared = item.value.foreign.as_deref().or(item.value.kind.map(Kind::xsd));
        write_value(out, &item.name, declared, &item.value.text);
    });
    if let Some(key) = &call.parameter_key {
        out.leaf("ParameterKey", key);
    }
}

/// The arguments of `GetParameterValuesResponse`.
pub(super) fn write_response(out: &mut Out, list: &[ParameterValue]) {
    write_list(out, list);
}

/// A `ParameterList` of a CPE.
pub(super) fn write_list(out: &mut Out, list: &[ParameterValue]) {
    out.array("ParameterList", "cwmp:ParameterValueStruct", list, |out, item| {
        write_value(out, &item.name, Some(item.value.kind.xsd()), &item.value.text);
    });
}

fn write_value(out: &mut Out, name: &str, declared: Option<&str>, text: &str) {
    out.leaf("Name", name);
    match declared {
        Some(declared) => {
            out.raw("<Value xsi:type=\"");
            out.text(declared);
            out.raw("\">");
        }
        None => out.raw("<Value>"),
    }
    out.text(text);
    out.raw("</Value>");
}

/// `Status` (A.3.2.1).
pub(super) fn write_status(out: &mut Out, status: Status) {
    out.boolean("Status", status == Status::Committed);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cwmp::rpc::{Message, Request, Response};
    use crate::cwmp::soap::testing::{body, call, refused, request, response};

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::String,
            Kind::Int,
            Kind::UnsignedInt,
            Kind::Long,
            Kind::UnsignedLong,
            Kind::Boolean,
            Kind::DateTime,
            Kind::Base64,
            Kind::HexBinary,
        ])
    }

    /// Any text that XML can carry, with the characters that need care well represented.
    fn any_text() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            "&", "<", ">", "\"", "'", "]]>", "\r", "\n", "\t", " ", "ü", "𝄞", "&amp;",
        ]);
        let any = any::<char>().prop_filter("XML", |c| crate::model::value::is_xml_char(*c));
        prop::collection::vec(prop_oneof![odd.prop_map(str::to_owned), any.prop_map(String::from)], 0..24)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn values_round_trip(list in prop::collection::vec((any_text(), any_kind(), any_text()), 0..6)) {
            let list = list.into_iter().map(|(name, kind, text)| ParameterValue { name, value: Value::new(kind, text) });
            response(Response::GetParameterValues(list.collect()));
        }

        #[test]
        fn inputs_round_trip(
            list in prop::collection::vec((any_text(), prop::option::of(any_kind()), any_text()), 0..6),
            parameter_key in prop::option::of(any_text()),
        ) {
            let list = list.into_iter().map(|(name, kind, text)| {
                ParameterInput { name, value: Input { kind, foreign: None, text } }
            });
            request(Request::SetParameterValues(SetParameterValues { list: list.collect(), parameter_key }));
        }
    }

    #[test]
    fn round_trip() {
        response(Response::SetParameterValues(Status::Applied));
        response(Response::SetParameterValues(Status::Committed));
        request(Request::GetParameterValues(vec!["Device.".into()]));
        let written = response(Response::GetParameterValues(Vec::new()));
        assert!(
            written.contains(
                "<ParameterList soapenc:arrayType=\"cwmp:ParameterValueStruct[0]\"></ParameterList>"
            )
        );
        let foreign = Input { kind: None, foreign: Some("xsd:float".into()), text: "1".into() };
        let list = vec![ParameterInput { name: "A.B".into(), value: foreign }];
        request(Request::SetParameterValues(SetParameterValues { list, parameter_key: None }));
    }

    fn declared(attribute: &str) -> (Option<Kind>, Option<String>) {
        let text = format!(
            "<c:SetParameterValues><ParameterList E:arrayType='c:ParameterValueStruct[4294967295]'>\
             <ParameterValueStruct><Name>A.B</Name><Value {attribute}> 1 </Value></ParameterValueStruct>\
             </ParameterList></c:SetParameterValues>"
        );
        match call(&text) {
            Request::SetParameterValues(SetParameterValues { mut list, parameter_key: None }) => {
                let input = list.remove(0).value;
                assert_eq!(input.text, " 1 ");
                (input.kind, input.foreign)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn types_by_namespace() {
        assert_eq!(declared(""), (None, None));
        assert_eq!(declared("type='x:int'"), (None, None));
        assert_eq!(declared("i:type='x:unsignedInt'"), (Some(Kind::UnsignedInt), None));
        assert_eq!(declared("i:type=' x:boolean '"), (Some(Kind::Boolean), None));
        assert_eq!(declared("i:type='E:base64'"), (Some(Kind::Base64), None));
        assert_eq!(declared("i:type='string'"), (Some(Kind::String), None));
        assert_eq!(declared("xmlns='urn:dslforum-org:cwmp-1-0' i:type='string'"), (Some(Kind::String), None));
        assert_eq!(declared("i:type='nope:string'"), (Some(Kind::String), None));
        assert_eq!(declared("i:type='x:anySimpleType'"), (None, None));
        assert_eq!(declared("i:type='x:integer'"), (Some(Kind::Long), None));
        assert_eq!(declared("i:type='x:float'"), (None, Some("x:float".into())));
        assert_eq!(declared("i:type='c:string'"), (None, Some("c:string".into())));
        assert_eq!(declared("xmlns:x='urn:other' i:type='x:string'"), (None, Some("x:string".into())));
    }

    /// TR-069 3.5 allows types on other elements; they say nothing that is not known.
    #[test]
    fn types_beside_values() {
        let text = "<c:SetParameterValues><ParameterList i:type='E:Array' E:arrayType='c:ParameterValueStruct[1]'>\
                    <ParameterValueStruct i:type='c:ParameterValueStruct'><Name i:type='x:string'>A.B</Name>\
                    <Value i:type='x:int'>1</Value></ParameterValueStruct></ParameterList>\
                    <ParameterKey i:type='x:string'>k</ParameterKey></c:SetParameterValues>";
        let input = Input { kind: Some(Kind::Int), foreign: None, text: "1".into() };
        let list = vec![ParameterInput { name: "A.B".into(), value: input }];
        let parameter_key = Some("k".to_owned());
        assert_eq!(call(text), Request::SetParameterValues(SetParameterValues { list, parameter_key }));
    }

    #[test]
    fn arguments_that_cannot_be() {
        for (arguments, why) in [
            ("", "ParameterList is missing"),
            ("<ParameterList/><ParameterList/>", "ParameterList is there twice"),
            ("<ParameterList>text</ParameterList>", "text where elements belong"),
            ("<ParameterList><string>A</string></ParameterList>", "among items of type ParameterValueStruct"),
            (
                "<ParameterList><ParameterValueStruct><Name>A</Name></ParameterValueStruct></ParameterList>",
                "Value is missing",
            ),
            (
                "<ParameterList><ParameterValueStruct><Value>A</Value></ParameterValueStruct></ParameterList>",
                "Name is missing",
            ),
            (
                "<ParameterList><ParameterValueStruct><Name><b/></Name></ParameterValueStruct></ParameterList>",
                "<b> where text belongs",
            ),
            ("<x:ParameterList2/>", "ParameterList is missing"),
        ] {
            let fault = refused(&format!("<c:SetParameterValues>{arguments}</c:SetParameterValues>"));
            assert!(fault.contains(why), "{arguments} gave {fault}");
        }
    }

    #[test]
    fn answers_that_cannot_be() {
        for answer in [
            "<c:SetParameterValuesResponse><Status>2</Status></c:SetParameterValuesResponse>",
            "<c:SetParameterValuesResponse/>",
            "<c:GetParameterValuesResponse/>",
        ] {
            assert!(
                matches!(body(answer), Err(crate::cwmp::soap::ReadError::BadResponse { .. })),
                "{answer}"
            );
        }
        let lax = "<c:GetParameterValuesResponse><ParameterList><ParameterValueStruct><Name>A</Name><Value>1</Value>\
                   </ParameterValueStruct></ParameterList></c:GetParameterValuesResponse>";
        let list = vec![ParameterValue { name: "A".into(), value: Value::new(Kind::String, "1") }];
        assert_eq!(body(lax), Ok(Message::Response(Response::GetParameterValues(list))));
    }
}
