//! `Inform` (TR-069 A.3.3.1).

use super::error::Stop;
use super::values::{read_list, write_list};
use super::write::Out;
use super::xml::{Tag, Xml, need, number, put};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::rpc::{DeviceId, Inform, Response};

/// The most events an Inform may carry.
const MOST_EVENTS: usize = 64;

/// The arguments of the request. For the ACS's side, which is lenient: only who informs is needed.
pub(super) fn read(xml: &mut Xml<'_>) -> Result<Inform, Stop> {
    let (mut device, mut events, mut envelopes) = (None, None, None);
    let (mut time, mut retries, mut list) = (None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "DeviceId" => put(&mut device, tag, device_id(xml)?),
        "Event" => put(&mut events, tag, xml.array("EventStruct", event)?),
        "MaxEnvelopes" => put(&mut envelopes, tag, number(&xml.text()?, "MaxEnvelopes")?),
        "CurrentTime" => put(&mut time, tag, xml.text()?),
        "RetryCount" => put(&mut retries, tag, number(&xml.text()?, "RetryCount")?),
        "ParameterList" => put(&mut list, tag, read_list(xml)?),
        _ => xml.skip(),
    })?;
    Ok(Inform {
        device_id: need(device, "DeviceId")?,
        events: events.unwrap_or_default(),
        max_envelopes: envelopes.unwrap_or(1),
        current_time: time.unwrap_or_default(),
        retry_count: retries.unwrap_or_default(),
        parameter_list: list.unwrap_or_default(),
    })
}

fn device_id(xml: &mut Xml<'_>) -> Result<DeviceId, Stop> {
    let (mut manufacturer, mut oui, mut class, mut serial) = (None, None, None, None);
    xml.children(|xml, tag| match tag.name() {
        "Manufacturer" => put(&mut manufacturer, tag, xml.text()?),
        "OUI" => put(&mut oui, tag, xml.text()?),
        "ProductClass" => put(&mut class, tag, xml.text()?),
        "SerialNumber" => put(&mut serial, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(DeviceId {
        manufacturer: manufacturer.unwrap_or_default(),
        oui: need(oui, "OUI")?,
        product_class: class.unwrap_or_default(),
        serial_number: need(serial, "SerialNumber")?,
    })
}

fn event(xml: &mut Xml<'_>, _: &Tag) -> Result<Event, Stop> {
    let (mut code, mut command_key) = (None, None);
    xml.children(|xml, tag| match tag.name() {
        "EventCode" => put(&mut code, tag, EventCode::parse(&xml.text()?)),
        "CommandKey" => put(&mut command_key, tag, xml.text()?),
        _ => xml.skip(),
    })?;
    Ok(Event { code: need(code, "EventCode")?, command_key: command_key.unwrap_or_default() })
}

/// The response; a missing MaxEnvelopes is read as 1, the only value it has.
pub(super) fn read_response(xml: &mut Xml<'_>) -> Result<Response, Stop> {
    let mut envelopes = None;
    xml.children(|xml, tag| match tag.name() {
        "MaxEnvelopes" => put(&mut envelopes, tag, number(&xml.text()?, "MaxEnvelopes")?),
        _ => xml.skip(),
    })?;
    Ok(Response::Inform { max_envelopes: envelopes.unwrap_or(1) })
}

/// The arguments of the request. Of more than 64 events the oldest (first) `M` ones are dropped, as
/// A.3.3.1 has it; the queue should not let it come to that.
pub(super) fn write(out: &mut Out, call: &Inform) {
    out.group("DeviceId", |out| {
        out.leaf("Manufacturer", &call.device_id.manufacturer);
        out.leaf("OUI", &call.device_id.oui);
        out.leaf("ProductClass", &call.device_id.product_class);
        out.leaf("SerialNumber", &call.device_id.serial_number);
    });
    let mut excess = call.events.len().saturating_sub(MOST_EVENTS);
    let mut events: Vec<&Event> = call.events.iter().collect();
    events.retain(|event| {
        let drop = excess > 0 && matches!(event.code, EventCode::Method(_));
        excess -= usize::from(drop);
        !drop
    });
    events.truncate(MOST_EVENTS);
    out.array("Event", "cwmp:EventStruct", &events, |out, event| {
        out.leaf("EventCode", &event.code.to_string());
        out.leaf("CommandKey", &event.command_key);
    });
    out.number("MaxEnvelopes", call.max_envelopes);
    out.leaf("CurrentTime", &call.current_time);
    out.number("RetryCount", call.retry_count);
    write_list(out, &call.parameter_list);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{ParameterValue, Request};
    use crate::cwmp::soap::testing::{call, refused, request, response};
    use crate::model::value::{Kind, Value};

    fn inform(events: Vec<Event>) -> Inform {
        Inform {
            device_id: DeviceId {
                manufacturer: "Müller & Söhne".into(),
                oui: "00AAFF".into(),
                product_class: String::new(),
                serial_number: "1".into(),
            },
            events,
            max_envelopes: 1,
            current_time: "2026-01-02T03:04:05+01:00".into(),
            retry_count: 7,
            parameter_list: vec![ParameterValue { name: "A.B".into(), value: Value::new(Kind::Int, "-1") }],
        }
    }

    fn method(key: usize) -> Event {
        Event { code: EventCode::Method("Reboot".into()), command_key: key.to_string() }
    }

    #[test]
    fn round_trip() {
        request(Request::Inform(Box::new(inform(Vec::new()))));
        request(Request::Inform(Box::new(inform(vec![Event::of(EventCode::Bootstrap), method(1)]))));
        response(Response::Inform { max_envelopes: 1 });
    }

    #[test]
    fn events_are_64_at_most() {
        let mut events = vec![Event::of(EventCode::Boot)];
        events.extend((0..64).map(method));
        events.push(Event::of(EventCode::Periodic));
        let envelope = crate::cwmp::soap::envelope::Envelope {
            namespace: Default::default(),
            header: Default::default(),
            message: crate::cwmp::rpc::Message::Request(Request::Inform(Box::new(inform(events)))),
        };
        let written = String::from_utf8(crate::cwmp::soap::write(&envelope)).unwrap();
        assert!(written.contains("cwmp:EventStruct[64]") && written.matches("<EventStruct>").count() == 64);
        for (text, there) in
            [("1 BOOT", true), ("2 PERIODIC", true), ("Key>0<", false), ("Key>1<", false), ("Key>2<", true)]
        {
            assert_eq!(written.contains(text), there, "{text}");
        }
    }

    #[test]
    fn an_acs_is_lenient() {
        let text =
            "<c:Inform><DeviceId><OUI>00AAFF</OUI><SerialNumber>1</SerialNumber></DeviceId></c:Inform>";
        match call(text) {
            Request::Inform(inform) => assert_eq!((inform.max_envelopes, inform.events.len()), (1, 0)),
            other => panic!("{other:?}"),
        }
        assert!(refused("<c:Inform/>").contains("DeviceId is missing"));
    }
}
