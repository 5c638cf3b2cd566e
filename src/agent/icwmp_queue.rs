//! What icwmp had still to tell and to do when this agent took its place: the file of its sessions.
//!
//! ```text
//!  <cwmp><acs><url>…</url></acs>                            the ACS that it has greeted
//!        <queue_event><index>0</index>…</queue_event>       0 BOOTSTRAP, 2 PERIODIC; send_event, cwmp_event
//!        <transfer_complete>…</transfer_complete>           what has ended
//!        <download>…</download> <upload>…</upload>          what has not begun
//!        <schedule_inform>…</schedule_inform> … </cwmp>
//! ```
//! Its versions spell the elements differently (`command_key`, `CommandKey`), and number the events behind 11 and the
//! faults behind 9020 differently: those numbers mean nothing here. Pure.

use crate::cwmp::rpc::{TransferComplete, UNKNOWN_TIME};
use crate::cwmp::soap::{Limits, ReadError, Record, records};
use crate::model::date::{self, Moment};
use crate::model::value::is_xml_char;
use crate::transfer::plan::{Details, Method, Request};

/// Of the file; icwmp keeps 64 events and 10 of each kind of transfer.
const LIMITS: Limits = Limits {
    bytes: 64 << 10,
    depth: 6,
    elements: 4096,
    items: 256,
    attributes: 8,
    name: 64,
    text: 2048,
    id: 64,
};
/// Of a CommandKey, in characters.
const MAX_KEY: usize = 32;
/// Of what is told about what is not taken, in characters.
const MAX_SHOWN: usize = 80;
/// The last event whose number is the standard's in every version.
const LAST_EVENT: u16 = 11;
/// icwmp numbers faults from 1, which is 9000; so many are the same in every version.
const LAST_FAULT: u16 = 21;

/// What can be taken over, and what cannot.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Left {
    /// The URL of the ACS that icwmp was working for.
    pub url: Option<String>,
    /// That ACS has not had its BOOTSTRAP.
    pub bootstrap: bool,
    /// It waits for `2 PERIODIC`.
    pub periodic: bool,
    /// Transfers that have ended and of which the ACS has not been told, with the method that asked.
    pub ended: Vec<(Method, TransferComplete)>,
    /// Transfers that have not begun, with their time in epoch seconds; 0 is at once.
    pub waiting: Vec<(Request, i64)>,
    /// ScheduleInforms: CommandKey and time in epoch seconds.
    pub informs: Vec<(String, i64)>,
    /// What is not taken, a few words each.
    pub lost: Vec<String>,
}

/// Reads the file.
///
/// # Errors
/// When it is no XML of this kind, or too large: then nothing of it can be taken.
pub fn read(bytes: &[u8]) -> Result<Left, ReadError> {
    let mut left = Left::default();
    // icwmp writes what it was told as it came; one character that XML cannot carry is no reason to lose the rest.
    let plain: String =
        String::from_utf8_lossy(bytes).chars().map(|c| if is_xml_char(c) { c } else { ' ' }).collect();
    for record in records(plain.as_bytes(), "cwmp", &LIMITS)? {
        let fields = Fields::of(&record);
        let key = fields.text("commandkey").to_owned();
        let done = match record.name.as_str() {
            "acs" => {
                left.url = Some(fields.text("url").to_owned()).filter(|url| !url.is_empty());
                continue;
            }
            "queue_event" | "send_event" | "cwmp_event" => left.event(&fields),
            "connection_request" => continue,
            _ if key.chars().count() > MAX_KEY => None,
            "transfer_complete" => left.ended(&fields, key.clone()),
            "download" => left.waiting(&fields, key.clone(), true),
            "upload" => left.waiting(&fields, key.clone(), false),
            // Its windows count from a request of which nobody knows the time: the ACS may ask again.
            "schedule_download" | "apply_schedule_download" => {
                left.ended.push((Method::ScheduleDownload, failed(Method::ScheduleDownload, key.clone())));
                Some(())
            }
            "schedule_inform" => fields.seconds("time").map(|at| left.informs.push((key.clone(), at))),
            _ => None,
        };
        if done.is_none() {
            let text = format!("{} {} {key}", record.name, fields.text("index"));
            left.lost.push(
                text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_SHOWN).collect(),
            );
        }
    }
    Ok(left)
}

/// The TransferComplete of a transfer that nobody does any more.
pub fn failed(method: Method, command_key: String) -> TransferComplete {
    TransferComplete {
        command_key,
        fault_code: method.failure(),
        fault_string: "the agent was replaced before it was done".to_owned(),
        start_time: UNKNOWN_TIME.to_owned(),
        complete_time: UNKNOWN_TIME.to_owned(),
    }
}

impl Left {
    fn event(&mut self, fields: &Fields<'_>) -> Option<()> {
        let number = fields.number("index")?;
        // The others are made anew, or come with the messages that they belong to.
        self.bootstrap |= number == 0;
        self.periodic |= number == 2;
        (number <= LAST_EVENT).then_some(())
    }

    fn ended(&mut self, fields: &Fields<'_>, command_key: String) -> Option<()> {
        let method = match fields.text("type") {
            "" | "0" => Method::Download,
            "1" => Method::ScheduleDownload,
            "2" => Method::Upload,
            _ => return None,
        };
        let fault_code = match fields.number("faultcode").unwrap_or(0) {
            0 => 0,
            number @ 1..=LAST_FAULT => method.told(8999 + number),
            number => method.told(number),
        };
        let time = |name: &str| match date::parse(fields.text(name)) {
            Some(Moment::At(epoch)) => date::format_utc(epoch),
            _ => UNKNOWN_TIME.to_owned(),
        };
        let told = match (fault_code, fields.text("faultstring")) {
            (0, _) => String::new(),
            (_, "") => "the transfer failed before the agent was replaced".to_owned(),
            (_, text) => text.chars().take(256).collect(),
        };
        let complete_time = if fault_code == 0 { time("completetime") } else { UNKNOWN_TIME.to_owned() };
        let start_time = time("starttime");
        let complete =
            TransferComplete { command_key, fault_code, fault_string: told, start_time, complete_time };
        self.ended.push((method, complete));
        Some(())
    }

    fn waiting(&mut self, fields: &Fields<'_>, command_key: String, download: bool) -> Option<()> {
        let details = match download {
            true => Details::Download {
                file_size: fields.text("filesize").parse().unwrap_or(0),
                target_file_name: String::new(),
                delay_seconds: 0,
                success_url: String::new(),
                failure_url: String::new(),
            },
            false => Details::Upload { delay_seconds: 0 },
        };
        let request = Request {
            command_key,
            file_type: fields.text("filetype").to_owned(),
            url: fields.text("url").to_owned(),
            username: fields.text("username").to_owned(),
            password: fields.text("password").to_owned().into(),
            details,
        };
        self.waiting.push((request, fields.seconds("time").unwrap_or(0)));
        Some(())
    }
}

/// The texts of a record, by names without the marks in which versions differ.
struct Fields<'r>(Vec<(String, &'r str)>);

impl<'r> Fields<'r> {
    fn of(record: &'r Record) -> Fields<'r> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        Fields(record.texts.iter().map(|(name, text)| (plain(name), text.trim())).collect())
    }

    /// Empty when it is not there.
    fn text(&self, name: &str) -> &'r str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
    }

    fn number(&self, name: &str) -> Option<u16> {
        self.text(name).parse().ok()
    }

    fn seconds(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok().filter(|at| *at >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the version of 2022 wrote it in a run, with more of what its source writes.
    const FILE: &str = "<cwmp><acs><url>http://acs.example/</url></acs><queue_event><index>2</index><id>1</id>\
        <command_key/></queue_event><send_event><index>7</index><id>2</id><command_key></command_key></send_event>\
        <connection_request><port>7547</port></connection_request><transfer_complete><command_key>a &amp; b\
        </command_key><start_time>2026-01-02T03:04:05Z</start_time><complete_time>2026-01-02T04:04:06+01:00\
        </complete_time><old_software_version>1.0</old_software_version><fault_code>0</fault_code><type>0</type>\
        </transfer_complete><transfer_complete><command_key>u</command_key><start_time></start_time>\
        <complete_time>soon</complete_time><old_software_version/><fault_code>12</fault_code><type>2</type>\
        </transfer_complete></cwmp>";

    fn complete(key: &str, code: u16, text: &str, start: &str, end: &str) -> TransferComplete {
        TransferComplete {
            command_key: key.to_owned(),
            fault_code: code,
            fault_string: text.to_owned(),
            start_time: start.to_owned(),
            complete_time: end.to_owned(),
        }
    }

    #[test]
    fn what_has_ended() {
        let left = read(FILE.as_bytes()).unwrap();
        let first = complete("a & b", 0, "", "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z");
        let text = "the transfer failed before the agent was replaced";
        let second = complete("u", 9011, text, UNKNOWN_TIME, UNKNOWN_TIME);
        assert_eq!(left.ended, [(Method::Download, first), (Method::Upload, second)]);
        assert_eq!(left.url.as_deref(), Some("http://acs.example/"));
        assert!(left.periodic && !left.bootstrap);
        assert!(left.lost.is_empty() && left.waiting.is_empty() && left.informs.is_empty(), "{left:?}");
    }

    #[test]
    fn a_character_that_xml_cannot_carry() {
        let text = FILE.replace("a &amp; b", "a\u{1}\u{fffe}b").into_bytes();
        let text = [&text[..text.len() - 7], b"\0</cwmp>"].concat();
        let left = read(&text).unwrap();
        assert_eq!((left.url.as_deref(), left.ended.len()), (Some("http://acs.example/"), 2));
        assert_eq!(left.ended[0].1.command_key, "a  b");
    }

    /// In the spelling of later versions.
    #[test]
    fn what_has_not_begun_and_what_is_lost() {
        let text = "<?xml version=\"1.0\"?><cwmp><acs><URL>http://b/</URL></acs>\
            <cwmp_event><id>1</id><index>0</index><CommandKey/></cwmp_event>\
            <cwmp_event><id>2</id><index>15</index><CommandKey>reboot</CommandKey></cwmp_event>\
            <download><id>3</id><URL>http://f/x</URL><CommandKey>d</CommandKey><FileType>1 Firmware Upgrade Image\
            </FileType><Username>me</Username><Password>pw</Password><FileSize>7</FileSize><time>1800000000</time>\
            </download><upload><URL>http://f/y</URL><CommandKey>u</CommandKey><FileType>2 Vendor Log File</FileType>\
            <time>-5</time></upload><schedule_inform><CommandKey>s</CommandKey><time>1800000001</time>\
            </schedule_inform><schedule_inform><CommandKey>t</CommandKey></schedule_inform>\
            <schedule_download><command_key>w</command_key></schedule_download>\
            <change_du_state><command_key>c</command_key><install><url>http://p/</url></install></change_du_state>\
            <transfer_complete><CommandKey>k</CommandKey><FaultCode>9013</FaultCode><FaultString>no</FaultString>\
            <type>1</type></transfer_complete><transfer_complete><type>7</type></transfer_complete>\
            <download><command_key>123456789012345678901234567890123</command_key></download></cwmp>";
        let left = read(text.as_bytes()).unwrap();
        assert!(left.bootstrap && !left.periodic);
        let waiting: Vec<_> = left
            .waiting
            .iter()
            .map(|(one, at)| (one.command_key.as_str(), one.method(), one.username.as_str(), *at))
            .collect();
        assert_eq!(waiting, [("d", Method::Download, "me", 1_800_000_000), ("u", Method::Upload, "", 0)]);
        assert_eq!(left.informs, [("s".to_owned(), 1_800_000_001)]);
        let told = complete("k", 9010, "no", UNKNOWN_TIME, UNKNOWN_TIME);
        let never = failed(Method::ScheduleDownload, "w".to_owned());
        assert_eq!(left.ended, [(Method::ScheduleDownload, never), (Method::ScheduleDownload, told)]);
        assert_eq!(
            left.lost,
            [
                "cwmp_event 15 reboot",
                "schedule_inform t",
                "change_du_state c",
                "transfer_complete",
                "download 123456789012345678901234567890123"
            ]
        );
    }

    #[test]
    fn what_is_no_such_file() {
        for bad in ["", "{}", "<cwmp>", "<other/>", "<!DOCTYPE cwmp [<!ENTITY a 'b'>]><cwmp>&a;</cwmp>"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        // Nor half of one: a router that lost power while it was written has nothing to say.
        for cut in 0..FILE.len() {
            assert!(read(&FILE.as_bytes()[..cut]).is_err(), "{cut}");
        }
        let large = format!("<cwmp>{}</cwmp>", "<download/>".repeat(10_000));
        assert!(matches!(read(large.as_bytes()), Err(ReadError::TooLarge(_))));
        assert_eq!(read(b"<cwmp/>"), Ok(Left::default()));
    }
}
