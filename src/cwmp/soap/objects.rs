//! `AddObject` and `DeleteObject` (TR-069 A.3.2.6, A.3.2.7).

use super::error::Stop;
use super::values::{parse_status, write_status};
use super::write::Out;
use super::xml::{Xml, need, number, put};
use crate::cwmp::rpc::{ObjectCall, Response, Status};

/// The arguments of either request.
pub(super) fn read(xml: &mut Xml<'_>) -> Result<ObjectCall, Stop> {
    let (mut object_name, mut parameter_key) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "ObjectName" => put(&mut object_name, tag, xml.text()?),
        "ParameterKey" => put(&mut parameter_key, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(ObjectCall { object_name: need(object_name, "ObjectName")?, parameter_key })
}

/// An `AddObjectResponse`.
pub(super) fn read_add_response(xml: &mut Xml<'_>) -> Result<Response, Stop> {
    let (mut instance, mut status) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "InstanceNumber" => put(&mut instance, tag, number::<u32>(&xml.text()?, "InstanceNumber")?),
        "Status" => put(&mut status, tag, parse_status(&xml.text()?)?),
        _ => xml.skip(),
    })?;
    let instance_number = need(instance, "InstanceNumber")?;
    if instance_number == 0 {
        return Err(Stop::content("InstanceNumber is 0"));
    }
    Ok(Response::AddObject { instance_number, status: need(status, "Status")? })
}

/// The arguments of either request; without a ParameterKey the element is left out.
pub(super) fn write(out: &mut Out, call: &ObjectCall) {
    out.leaf("ObjectName", &call.object_name);
    if let Some(key) = &call.parameter_key {
        out.leaf("ParameterKey", key);
    }
}

/// The arguments of an `AddObjectResponse`.
pub(super) fn write_add_response(out: &mut Out, instance_number: u32, status: Status) {
    out.number("InstanceNumber", instance_number);
    write_status(out, status);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::Request;
    use crate::cwmp::soap::testing::{body, refused, request, response};

    #[test]
    fn round_trip() {
        for parameter_key in [None, Some(String::new()), Some("key".to_owned())] {
            let call = ObjectCall { object_name: "Device.X.".into(), parameter_key };
            request(Request::AddObject(call.clone()));
            request(Request::DeleteObject(call));
        }
        response(Response::AddObject { instance_number: u32::MAX, status: Status::Committed });
        response(Response::DeleteObject(Status::Applied));
    }

    #[test]
    fn arguments_that_cannot_be() {
        assert!(refused("<c:AddObject><ParameterKey/></c:AddObject>").contains("ObjectName is missing"));
        for number in ["0", "-1", "4294967296", "1.0", "0x1", "1e1", "\u{661}", ""] {
            let answer = format!(
                "<c:AddObjectResponse><InstanceNumber>{number}</InstanceNumber><Status>0</Status></c:AddObjectResponse>"
            );
            assert!(body(&answer).is_err(), "{number}");
        }
    }
}
