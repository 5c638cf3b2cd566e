//! What the host does when a `set_*` hook leaves it to the host: the input names its parameters itself.
//!
//! Every table of the input with a `path` is an object of the device, and every member `{"value": …}` of it, unless `writable` is
//! false, a parameter: `channel` is `Channel`, `ssid` is `SSID`. The device is asked for their types and values first; what differs is
//! set, all in one message. For `ping` and `traceroute` without a path the standard's own object is taken, and requested.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::office::Office;
use super::payload::Payload;
use super::profiles::{Error, ask};
use crate::cwmp::rpc::{ParameterInput, Request, Response, SetParameterValues};
use crate::cwmp::soap::envelope::Namespace;
use crate::model::value::{Input, Kind};

/// Most parameters of one write.
const MAX: usize = 500;
/// Deepest nesting of the input.
const MAX_DEPTH: usize = 8;

/// Words that TR-069's names write otherwise than with one capital.
const WORDS: &[(&str, &str)] = &[
    ("ssid", "SSID"),
    ("bssid", "BSSID"),
    ("mac", "MAC"),
    ("ip", "IP"),
    ("ipv4", "IPv4"),
    ("ipv6", "IPv6"),
    ("mtu", "MTU"),
    ("vlan", "VLAN"),
    ("id", "ID"),
    ("dns", "DNS"),
    ("dhcp", "DHCP"),
    ("uri", "URI"),
    ("url", "URL"),
    ("apn", "APN"),
    ("wpa", "WPA"),
    ("wep", "WEP"),
    ("dscp", "DSCP"),
    ("ttl", "TTL"),
    ("nat", "NAT"),
];

/// Writes an input to a device; gives the names of what was set.
///
/// # Errors
/// An input that names nothing; the device's.
pub(super) fn write(
    office: &Arc<Office>,
    device: &str,
    what: &str,
    input: &Json,
) -> Result<Vec<String>, Error> {
    let mut wanted = Vec::new();
    collect(input, diagnostic_path(office, device, what).as_deref(), 0, &mut wanted)?;
    if wanted.is_empty() {
        let why = "the hook leaves this to the host, and the input names no parameter: it needs a path, and values that are writable";
        return Err(Error::Hook(why.to_owned()));
    }
    if wanted.len() > MAX {
        return Err(Error::Hook(format!("the input has more than {MAX} parameters")));
    }
    set(office, device, &wanted)
}

/// Requests a diagnostic by its state.
///
/// # Errors
/// A state that is no path; the device's.
pub(super) fn request(office: &Arc<Office>, device: &str, state: &str) -> Result<(), Error> {
    if !state.contains('.') {
        return Err(Error::Hook(format!("the state {state:?} is no path: the host cannot request it")));
    }
    set(office, device, &[(state.to_owned(), "Requested".to_owned())]).map(drop)
}

/// Sets what differs, each with the type that the device has for it; a diagnostic's state always.
fn set(office: &Arc<Office>, device: &str, wanted: &[(String, String)]) -> Result<Vec<String>, Error> {
    let names = wanted.iter().map(|(name, _)| name.clone()).collect();
    let known = match send(office, device, Request::GetParameterValues(names))? {
        Response::GetParameterValues(values) => values,
        other => return Err(Error::Hook(format!("the answer was {}", other.name()))),
    };
    let mut list = Vec::new();
    for (name, text) in wanted {
        let found = known.iter().find(|item| item.name == *name);
        let kind = found.map_or(Kind::String, |item| item.value.kind);
        let text = match (kind, text.as_str()) {
            (Kind::Boolean, "true") => "1".to_owned(),
            (Kind::Boolean, "false") => "0".to_owned(),
            (_, text) => text.to_owned(),
        };
        let same = found.is_some_and(|item| item.value.text == text);
        if !same || name.ends_with(".DiagnosticsState") {
            list.push(ParameterInput {
                name: name.clone(),
                value: Input { kind: Some(kind), foreign: None, text },
            });
        }
    }
    let names = list.iter().map(|item| item.name.clone()).collect();
    if !list.is_empty() {
        let request = SetParameterValues { list, parameter_key: Some(String::new()) };
        send(office, device, Request::SetParameterValues(request))?;
    }
    Ok(names)
}

fn send(office: &Arc<Office>, device: &str, request: Request) -> Result<Response, Error> {
    let payload = Payload::of(request, Namespace::V1_0).map_err(Error::Hook)?;
    ask(office, device, payload)
}

/// The object of a diagnostic, by the device's data model.
fn diagnostic_path(office: &Office, device: &str, what: &str) -> Option<String> {
    let model = office.store.device(device).ok().flatten()?.data_model;
    let path = match (model.as_str(), what) {
        ("InternetGatewayDevice", "ping") => "InternetGatewayDevice.IPPingDiagnostics.",
        ("InternetGatewayDevice", "traceroute") => "InternetGatewayDevice.TraceRouteDiagnostics.",
        (_, "ping") => "Device.IP.Diagnostics.IPPing.",
        (_, "traceroute") => "Device.IP.Diagnostics.TraceRoute.",
        _ => return None,
    };
    Some(path.to_owned())
}

/// Names and values of an input.
fn collect(
    input: &Json,
    path: Option<&str>,
    depth: usize,
    out: &mut Vec<(String, String)>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Hook("the input is nested too deeply".to_owned()));
    }
    match input {
        Json::Array(items) => items.iter().try_for_each(|item| collect(item, None, depth + 1, out)),
        Json::Object(members) => {
            let own = members.get("path").and_then(Json::as_str).or(path);
            if let Some(path) = own {
                let path = format!("{}.", path.trim_end_matches('.'));
                for (name, member) in members {
                    if let Some(text) = writable(member) {
                        out.push((format!("{path}{}", parameter_name(name)), text));
                    }
                }
                if path.ends_with("Diagnostics.") || path.contains(".Diagnostics.") {
                    out.push((format!("{path}DiagnosticsState"), "Requested".to_owned()));
                }
            }
            members
                .values()
                .filter(|member| pv(member).is_none())
                .try_for_each(|member| collect(member, None, depth + 1, out))
        }
        _ => Ok(()),
    }
}

/// A member that is a parameter's value.
fn pv(member: &Json) -> Option<(&Map<String, Json>, &Json)> {
    let members = member.as_object()?;
    Some((members, members.get("value")?))
}

/// The text of a parameter that may be written.
fn writable(member: &Json) -> Option<String> {
    let (members, value) = pv(member)?;
    if members.get("writable") == Some(&Json::Bool(false)) {
        return None;
    }
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) => Some(value.to_string()),
        Json::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
            items.map(|items| items.join(","))
        }
        Json::Null | Json::Object(_) => None,
    }
}

/// `max_mtu_size` is `MaxMTUSize`; what has a capital already stays.
fn parameter_name(name: &str) -> String {
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let word = |word: &str| match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, text)) => (*text).to_owned(),
        None => {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
        }
    };
    name.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(input: &Json, path: Option<&str>, expected: &[(&str, &str)]) {
        let mut out = Vec::new();
        collect(input, path, 0, &mut out).unwrap();
        let found: Vec<(&str, &str)> =
            out.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected, "{input}");
    }

    #[test]
    fn inputs() {
        check(
            &json!([{ "path": "Device.WiFi.Radio.1.", "enable": { "value": true, "writable": true }, "channel": { "value": "6" },
                "name": { "value": "radio0", "writable": false }, "possible_channels": { "value": ["1", "6"] } }]),
            None,
            &[
                ("Device.WiFi.Radio.1.Channel", "6"),
                ("Device.WiFi.Radio.1.Enable", "true"),
                ("Device.WiFi.Radio.1.PossibleChannels", "1,6"),
            ],
        );
        check(
            &json!({ "a": { "path": "X.1", "ssid": { "value": "s" }, "pppoe": { "path": "X.1.P.", "username": { "value": "u" } } } }),
            None,
            &[("X.1.SSID", "s"), ("X.1.P.Username", "u")],
        );
        check(
            &json!({ "host": { "value": "127.0.0.1" }, "number_of_repetitions": { "value": 2 } }),
            Some("Device.IP.Diagnostics.IPPing."),
            &[
                ("Device.IP.Diagnostics.IPPing.Host", "127.0.0.1"),
                ("Device.IP.Diagnostics.IPPing.NumberOfRepetitions", "2"),
                ("Device.IP.Diagnostics.IPPing.DiagnosticsState", "Requested"),
            ],
        );
        check(&json!({ "enable": { "value": true } }), None, &[]);
        check(&json!("text"), None, &[]);
        let mut deep = json!({});
        for _ in 0..20 {
            deep = json!({ "a": deep });
        }
        assert!(collect(&deep, None, 0, &mut Vec::new()).is_err());
    }

    #[test]
    fn names() {
        for (name, expected) in [
            ("max_mtu_size", "MaxMTUSize"),
            ("ssid", "SSID"),
            ("auto_channel_enable", "AutoChannelEnable"),
            ("X_Y", "X_Y"),
            ("", ""),
        ] {
            assert_eq!(parameter_name(name), expected);
        }
    }
}
