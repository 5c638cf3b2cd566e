//! Messages in one line for people; values of secrets are not shown.

use crate::cwmp::event::Event;
use crate::cwmp::rpc::{OperationResult, ParameterInput, Request, Response, Status};

use super::payload::Payload;

/// Longest value shown.
const MAX_SHOWN: usize = 60;
/// Most items shown of a list.
const MAX_ITEMS: usize = 4;

/// A request to a CPE.
pub fn payload(payload: &Payload) -> String {
    match payload.request() {
        Some(known) => request(known),
        None => format!("{} (with arguments that the standard does not know)", payload.method()),
    }
}

/// A request, its method first.
pub fn request(request: &Request) -> String {
    let name = request.name();
    match request {
        Request::SetParameterValues(set) => {
            let above = object_above(set.list.iter().map(|item| item.name.as_str()));
            let item = |item: &ParameterInput| {
                format!("{} = {}", &item.name[above.len()..], value(&item.name, &item.value.text))
            };
            let items = list(set.list.iter().map(item));
            match above.strip_suffix('.') {
                Some(object) => format!("{name} {object}: {items}"),
                None => format!("{name} {items}"),
            }
        }
        Request::GetParameterValues(names) | Request::GetParameterAttributes(names) => {
            format!("{name} {}", list(names.iter().cloned()))
        }
        Request::GetParameterNames(names) => {
            let level = if names.next_level { " (next level)" } else { "" };
            format!(
                "{name} {}{level}",
                if names.parameter_path.is_empty() { "everything" } else { &names.parameter_path }
            )
        }
        Request::SetParameterAttributes(items) => {
            format!("{name} {}", list(items.iter().map(|item| item.name.clone())))
        }
        Request::AddObject(call) | Request::DeleteObject(call) => format!("{name} {}", call.object_name),
        _ => name.to_owned(),
    }
}

/// What a CPE says when it calls, without the method; nothing for a call that says nothing.
pub fn call(request: &Request) -> String {
    let fault = |code: u16, text: &str| match code {
        0 => "done".to_owned(),
        code => format!("{code} {text}"),
    };
    let unit = |one: &OperationResult| {
        format!("{} {} {}", one.uuid, one.current_state, fault(one.fault_code, &one.fault_string))
    };
    match request {
        Request::Inform(inform) => events(&inform.events),
        Request::TransferComplete(one) => {
            format!("{:?}: {}", one.command_key, fault(one.fault_code, &one.fault_string))
        }
        Request::AutonomousTransferComplete(one) => {
            format!("{} {}: {}", one.file_type, one.transfer_url, fault(one.fault_code, &one.fault_string))
        }
        Request::DuStateChangeComplete(one) => {
            format!("{:?}: {}", one.command_key, list(one.results.iter().map(unit)))
        }
        Request::AutonomousDuStateChangeComplete(results) => {
            list(results.iter().map(|one| format!("{} {}", one.operation_performed, unit(&one.result))))
        }
        Request::RequestDownload(one) => {
            let arguments = one.arguments.iter().map(|(name, value)| format!("{name}={value}"));
            format!("{} {}", one.file_type, list(arguments))
        }
        Request::Kicked(one) => format!("{} {} {} {}", one.command, one.referer, one.arg, one.next),
        _ => String::new(),
    }
}

/// What a response says.
pub fn response(response: &Response) -> String {
    let applied = |status: &Status| match status {
        Status::Applied => "applied",
        Status::Committed => "applied after the session",
    };
    match response {
        Response::SetParameterValues(status) | Response::DeleteObject(status) => applied(status).to_owned(),
        Response::AddObject { instance_number, status } => {
            format!("instance {instance_number}, {}", applied(status))
        }
        Response::GetParameterValues(values) => match values.as_slice() {
            [one] => value(&one.name, &one.value.text),
            many => format!("{} values", many.len()),
        },
        Response::GetParameterNames(names) => format!("{} names", names.len()),
        Response::GetParameterAttributes(items) => format!("attributes of {}", items.len()),
        Response::GetRpcMethods(methods) => list(methods.iter().cloned()),
        _ => "done".to_owned(),
    }
}

/// The events of an Inform.
pub fn events(events: &[Event]) -> String {
    list(events.iter().map(|event| match event.command_key.as_str() {
        "" => event.code.to_string(),
        key => format!("{} ({key})", event.code),
    }))
}

/// A value in quotes, shortened; a secret's as dots.
pub fn value(name: &str, text: &str) -> String {
    if is_secret(name) && !text.is_empty() {
        return "•••".to_owned();
    }
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Whether a parameter's value is a secret, by its name.
pub fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    ["password", "passphrase", "secret", "presharedkey", "wepkey", "pin"]
        .iter()
        .any(|word| last.ends_with(word))
}

/// The object that all of several parameters are in, with its dot; else nothing.
fn object_above<'n>(mut names: impl ExactSizeIterator<Item = &'n str>) -> &'n str {
    let several = names.len() > 1;
    let object = |name: &'n str| &name[..name.rfind('.').map_or(0, |dot| dot + 1)];
    let first = names.next().map(object).unwrap_or_default();
    if several && names.all(|name| object(name) == first) { first } else { "" }
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MAX_ITEMS);
    let mut out = items.take(MAX_ITEMS).collect::<Vec<_>>().join(", ");
    if more > 0 {
        out += &format!(" and {more} more");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{ObjectCall, SetParameterValues};
    use crate::model::value::Input;

    #[test]
    fn lines() {
        let item = |name: &str, text: &str| ParameterInput {
            name: name.into(),
            value: Input { kind: None, foreign: None, text: text.into() },
        };
        let set =
            |list| request(&Request::SetParameterValues(SetParameterValues { list, parameter_key: None }));
        assert_eq!(set(vec![item("Device.X", "a\nb")]), "SetParameterValues Device.X = \"a\\nb\"");
        assert_eq!(
            set(vec![item("Device.Security.KeyPassphrase", "hidden")]),
            "SetParameterValues Device.Security.KeyPassphrase = •••"
        );
        assert_eq!(
            set(vec![item("Device.X.A", "1"), item("Device.X.Password", "2")]),
            "SetParameterValues Device.X: A = \"1\", Password = •••"
        );
        assert_eq!(
            set(vec![item("Device.X.A", "1"), item("Device.X.Y.B", "2")]),
            "SetParameterValues Device.X.A = \"1\", Device.X.Y.B = \"2\""
        );
        assert!(set((0..20).map(|_| item("A", "1")).collect()).ends_with("and 16 more"));
        let call = ObjectCall { object_name: "Device.NAT.PortMapping.".into(), parameter_key: None };
        assert_eq!(request(&Request::AddObject(call)), "AddObject Device.NAT.PortMapping.");
        assert_eq!(
            response(&Response::AddObject { instance_number: 3, status: Status::Applied }),
            "instance 3, applied"
        );
        assert_eq!(value("A", &"x".repeat(100)).chars().count(), MAX_SHOWN + 3);
    }
}
