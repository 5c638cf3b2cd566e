//! `SetParameterAttributes` and the answer of `GetParameterAttributes` (TR-069 A.3.2.4, A.3.2.5).

use super::error::Stop;
use super::names::string;
use super::write::Out;
use super::xml::{Tag, Xml, boolean, need, number, put};
use crate::cwmp::rpc::{ParameterAttributes, SetParameterAttributes};

/// The only entry of an AccessList that the schemas know.
const SUBSCRIBER: &str = "Subscriber";

/// The arguments of `SetParameterAttributes`.
pub(super) fn read_set(xml: &mut Xml<'_>) -> Result<Vec<SetParameterAttributes>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "ParameterList" => put(&mut list, tag, xml.array("SetParameterAttributesStruct", change)?),
        _ => xml.skip(),
    })?;
    need(list, "ParameterList")
}

/// One change. What is not to be changed may be missing, and is not looked at.
fn change(xml: &mut Xml<'_>, _: &Tag) -> Result<SetParameterAttributes, Stop> {
    let (mut name, mut notify, mut notification, mut open, mut access) = (None, None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "Name" => put(&mut name, tag, xml.text()?),
        "NotificationChange" => put(&mut notify, tag, boolean(&xml.text()?, &tag.local)?),
        "Notification" => put(&mut notification, tag, xml.text()?),
        "AccessListChange" => put(&mut open, tag, boolean(&xml.text()?, &tag.local)?),
        "AccessList" => put(&mut access, tag, xml.array("string", string)?),
        _ => xml.skip(),
    })?;
    Ok(SetParameterAttributes {
        name: need(name, "Name")?,
        notification: match need(notify, "NotificationChange")? {
            true => Some(number(&need(notification, "Notification")?, "Notification")?),
            false => None,
        },
        access_list: match need(open, "AccessListChange")? {
            true => Some(need(access, "AccessList")?),
            false => None,
        },
    })
}

/// The list in a `GetParameterAttributesResponse`.
pub(super) fn read_response(xml: &mut Xml<'_>) -> Result<Vec<ParameterAttributes>, Stop> {
    let mut list = None;
    xml.children(|xml, tag| match tag.name() {
        "ParameterList" => put(&mut list, tag, xml.array("ParameterAttributeStruct", attributes)?),
        _ => xml.skip(),
    })?;
    need(list, "ParameterList")
}

fn attributes(xml: &mut Xml<'_>, _: &Tag) -> Result<ParameterAttributes, Stop> {
    let (mut name, mut notification, mut access) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "Name" => put(&mut name, tag, xml.text()?),
        "Notification" => put(&mut notification, tag, number(&xml.text()?, "Notification")?),
        "AccessList" => put(&mut access, tag, xml.array("string", string)?),
        _ => xml.skip(),
    })?;
    Ok(ParameterAttributes {
        name: need(name, "Name")?,
        notification: need(notification, "Notification")?,
        access_list: access.unwrap_or_default(),
    })
}

/// The arguments of `SetParameterAttributes`.
pub(super) fn write_set(out: &mut Out, list: &[SetParameterAttributes]) {
    out.array("ParameterList", "cwmp:SetParameterAttributesStruct", list, |out, item| {
        out.leaf("Name", &item.name);
        out.boolean("NotificationChange", item.notification.is_some());
        out.number("Notification", item.notification.unwrap_or_default());
        out.boolean("AccessListChange", item.access_list.is_some());
        let access = item.access_list.as_deref().unwrap_or_default();
        out.array("AccessList", "xsd:string", access, |out, entry| out.text(entry));
    });
}

/// The arguments of `GetParameterAttributesResponse`. Of the access list only `Subscriber` is sent:
/// the schema has no other entry.
pub(super) fn write_response(out: &mut Out, list: &[ParameterAttributes]) {
    out.array("ParameterList", "cwmp:ParameterAttributeStruct", list, |out, item| {
        out.leaf("Name", &item.name);
        out.number("Notification", item.notification);
        let known =
            if item.access_list.iter().any(|entry| entry == SUBSCRIBER) { &[SUBSCRIBER][..] } else { &[] };
        out.array("AccessList", "xsd:string", known, |out, entry| out.text(entry));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Request, Response};
    use crate::cwmp::soap::testing::{call, refused, request, response};

    #[test]
    fn round_trip() {
        let change = |notification, access: Option<&[&str]>| SetParameterAttributes {
            name: "Device.X".into(),
            notification,
            access_list: access.map(|list| list.iter().map(ToString::to_string).collect()),
        };
        request(Request::SetParameterAttributes(vec![
            change(None, None),
            change(Some(2), Some(&[])),
            change(Some(-1), Some(&["Subscriber"])),
        ]));
        let kept =
            |notification, access_list| ParameterAttributes { name: "A.B".into(), notification, access_list };
        response(Response::GetParameterAttributes(vec![
            kept(6, vec!["Subscriber".into()]),
            kept(0, Vec::new()),
        ]));
    }

    #[test]
    fn only_subscriber_is_sent() {
        let mut out = String::new();
        for access_list in [vec!["X_EX_Other".to_owned()], vec!["Subscriber".into(), "Subscriber".into()]] {
            let item = ParameterAttributes { name: "A.B".into(), notification: 0, access_list };
            let envelope = crate::cwmp::soap::envelope::Envelope {
                namespace: Default::default(),
                header: Default::default(),
                message: crate::cwmp::rpc::Message::Response(Response::GetParameterAttributes(vec![item])),
            };
            out += &String::from_utf8(crate::cwmp::soap::write(&envelope)).unwrap();
        }
        assert!(out.contains("xsd:string[0]") && out.contains("xsd:string[1]") && !out.contains("Other"));
    }

    #[test]
    fn what_is_not_changed_may_be_missing() {
        let set = |members: &str| {
            format!(
                "<c:SetParameterAttributes><ParameterList><SetParameterAttributesStruct><Name>A.</Name>{members}\
                 </SetParameterAttributesStruct></ParameterList></c:SetParameterAttributes>"
            )
        };
        let text = set("<NotificationChange>0</NotificationChange><Notification>x</Notification>\
                        <AccessListChange>false</AccessListChange>");
        let change = SetParameterAttributes { name: "A.".into(), notification: None, access_list: None };
        assert_eq!(call(&text), Request::SetParameterAttributes(vec![change]));
        for (members, why) in [
            ("", "NotificationChange is missing"),
            ("<NotificationChange>1</NotificationChange>", "Notification is missing"),
            (
                "<NotificationChange>1</NotificationChange><Notification>9223372036854775808</Notification>",
                "not a number",
            ),
            (
                "<NotificationChange>0</NotificationChange><AccessListChange>1</AccessListChange>",
                "AccessList is missing",
            ),
        ] {
            assert!(refused(&set(members)).contains(why), "{members}");
        }
    }
}
