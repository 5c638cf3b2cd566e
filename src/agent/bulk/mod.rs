//! Bulk data (TR-181 `Device.BulkData.`, TR-069 Annex N): reports made from the model, and sent.
//!
//! ```text
//!  interval over ─► collect: what a profile names ─► Report ─┐
//!                        failed before, and to be retained ──┼─► a worker: encode, compress, send
//!                                                            │       │ no: again by the retry's ladder,
//!                                                            └───────┘     until the next interval
//! ```
//! Reports are in memory only. Their bounds: [`MAX_KEPT`] for all that are kept, and [`MAX_RETAINED`] of a profile.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;

pub use self::report::{Item, Report};
use crate::backend::System;
use crate::backend::functions::bulkdata::{Encoding, MAX_REFERENCES, Profile};
use crate::http::auth::Credentials;
use crate::http::body::{self, Compression};
use crate::http::file::{self, Settings};
use crate::http::url::Url;
use crate::http::wire::Cancel;
use crate::model::Model;
use crate::model::addressing::Addressing;
use crate::model::date;
use crate::sys::clock;
use crate::transfer::Transfer;

/// All reports of all profiles that are kept, and the largest one, in octets as [`Report::cost`] counts.
pub const MAX_KEPT: usize = 1024 * 1024;
/// The most reports of a profile that are kept.
pub const MAX_RETAINED: usize = 100;
/// How long a collector may keep silent.
const IDLE: Duration = Duration::from_secs(30);

/// What a profile names, as it is now, with at most `room` parameters.
///
/// # Errors
/// When it would be too many, or too much.
pub fn collect(model: &mut Model<System>, profile: &Profile, room: usize) -> Result<Report, String> {
    // Whatever the ACS is told: a collector knows instances by their numbers.
    model.set_addressing(Addressing::default());
    let mut report = Report { time: clock::epoch_seconds(), ..Report::default() };
    let excluded = || profile.wishes.iter().filter(|wish| wish.exclude);
    for wish in profile.wishes.iter().filter(|wish| !wish.exclude) {
        let found = match model.values([wish.reference.as_str()]) {
            Ok(found) => found,
            // What does not exist is not reported.
            Err(why) => {
                debug!("not in a report of bulk data: {why}");
                continue;
            }
        };
        for (name, value) in found {
            if excluded().any(|other| rest(&other.reference, &name).is_some()) {
                continue;
            }
            let name = match rest(&wish.reference, &name) {
                Some(rest) if !wish.name.is_empty() => {
                    rest.into_iter().fold(wish.name.clone(), |name, part| name + "." + part)
                }
                _ => name,
            };
            report.add(Item { name, value });
            if report.items.len() > room {
                return Err(format!(
                    "more than {MAX_REFERENCES} parameters (MaxNumberOfParameterReferences)"
                ));
            }
            if report.cost > MAX_KEPT {
                return Err(format!("it would be of more than {MAX_KEPT} octets"));
            }
        }
    }
    Ok(report)
}

/// The query of a profile's URL: who we are, and what else it asks for (TR-069 Annex N).
pub fn query(model: &mut Model<System>, profile: &Profile) -> String {
    let always = [("oui", "ManufacturerOUI"), ("pc", "ProductClass"), ("sn", "SerialNumber")];
    let always = always.map(|(name, place)| (name.to_owned(), format!("Device.DeviceInfo.{place}")));
    let mut query = String::new();
    for (name, reference) in always.iter().chain(&profile.query) {
        let found = model.values([reference.as_str()]).unwrap_or_default();
        let [(_, value)] = &found[..] else { continue };
        let name = if name.is_empty() { reference } else { name };
        query += &format!("&{}={}", escaped(name), escaped(&value.text));
    }
    query
}

/// Reports on their way to a collector, for a thread that may wait.
pub struct Upload {
    /// Whose they are.
    pub profile: Profile,
    /// See [`query`].
    pub query: String,
    /// The oldest first.
    pub reports: Vec<Arc<Report>>,
    /// How this device connects, and speaks TLS.
    pub way: Transfer,
}

impl Upload {
    /// Sends them.
    ///
    /// # Errors
    /// Why a collector does not have them.
    pub fn send(self, cancel: &Cancel, deadline: Instant) -> Result<(), String> {
        let Upload { profile, query, reports, way } = self;
        let mut url = Url::parse(&profile.url).map_err(|why| why.to_string())?;
        let has_query = url.target.contains('?');
        url.target += &if has_query { query } else { query.replacen('&', "?", 1) };
        let (kind, format) = match profile.encoding {
            Encoding::Json { hierarchy: true, .. } => ("application/json; charset=UTF-8", "ObjectHierarchy"),
            Encoding::Json { .. } => ("application/json; charset=UTF-8", "NameValuePair"),
            Encoding::Csv { per_row: true, .. } => {
                ("text/csv; charset=UTF-8; header=present", "ParameterPerRow")
            }
            Encoding::Csv { .. } => ("text/csv; charset=UTF-8; header=present", "ParameterPerColumn"),
        };
        let coding = match profile.compression.as_str() {
            "GZIP" => Compression::Gzip,
            "Deflate" => Compression::Deflate,
            _ => Compression::None,
        };
        let mut headers = vec![("BBF-Report-Format", format.to_owned())];
        headers.extend(coding.coding().map(|coding| ("Content-Encoding", coding.to_owned())));
        if profile.date {
            headers.push(("Date", date::format_http(clock::epoch_seconds())));
        }
        let plain = report::encode(&reports, &profile.encoding).into_bytes();
        let body = if coding == Compression::None { plain } else { body::pack(&plain, coding) };
        let settings = Settings {
            credentials: Credentials::new(profile.username, profile.password),
            tls: way.tls,
            idle: IDLE,
            deadline,
            cancel: cancel.clone(),
            user_agent: way.user_agent,
            interface: way.interface,
            force_ipv4: way.force_ipv4,
            expect: false,
        };
        let report = file::Report { put: profile.put, kind, headers: &headers, body: &body };
        file::send(&url, &settings, &report).map(drop).map_err(|why| why.to_string())
    }
}

/// What a reference leaves open of a name: the instances that its wildcards stand for, and what follows a partial
/// path; `None` of another name.
fn rest<'n>(reference: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let mut parts = name.split('.');
    let mut rest = Vec::new();
    for wanted in reference.split('.') {
        if wanted.is_empty() {
            rest.extend(parts);
            return Some(rest);
        }
        match parts.next()? {
            part if wanted == "*" => rest.push(part),
            part if part != wanted => return None,
            _ => {}
        }
    }
    parts.next().is_none().then_some(rest)
}

/// As a part of a query (RFC 3986 2.1).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reference_leaves_open() {
        let check = |reference: &str, name: &str, expected: Option<&[&str]>| {
            assert_eq!(rest(reference, name).as_deref(), expected, "{reference} {name}");
        };
        check("Device.A.B", "Device.A.B", Some(&[]));
        check("Device.A.B", "Device.A.B.C", None);
        check("Device.A.B", "Device.A", None);
        check("Device.A.", "Device.AB.C", None);
        check("Device.", "Device.A.1.C", Some(&["A", "1", "C"]));
        check("Device.A.*.C", "Device.A.7.C", Some(&["7"]));
        check("Device.A.*.C", "Device.A.7.D", None);
        check("Device.A.*.C.*.S.", "Device.A.1.C.10.S.X", Some(&["1", "10", "X"]));
    }

    #[test]
    fn what_a_query_cannot_hold() {
        assert_eq!(escaped("2015-11-01T11:12:13Z"), "2015-11-01T11%3A12%3A13Z");
        assert_eq!(escaped("a&b=ü ~"), "a%26b%3D%C3%BC%20~");
    }
}
