//! What the ACS may ask for: the arguments of Download, ScheduleDownload and Upload, and their checks
//! (TR-069 A.3.2.8, A.4.1.5, A.4.1.8).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::http::url::{Url, UrlError};
pub use crate::secret::Secret;

/// A CommandKey's most characters.
const MAX_KEY: usize = 32;
/// The most characters of a FileType and of a WindowMode.
const MAX_TYPE: usize = 64;
/// The most characters of every other text.
const MAX_TEXT: usize = 256;
/// `TimeWindowList[1..2]`.
const MAX_WINDOWS: usize = 2;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// CommandKey, to be given back in the TransferComplete and its `M` event.
    pub command_key: String,
    /// FileType, with its number.
    pub file_type: String,
    /// URL.
    pub url: String,
    /// Username; empty for none.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// What only this method has.
    pub details: Details,
}

/// The arguments that are the method's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Details {
    /// Download.
    Download {
        /// FileSize in octets; 0 for unknown.
        file_size: u32,
        /// TargetFileName; not to be trusted as a path.
        target_file_name: String,
        /// DelaySeconds.
        delay_seconds: u32,
        /// SuccessURL.
        success_url: String,
        /// FailureURL.
        failure_url: String,
    },
    /// ScheduleDownload.
    ScheduleDownload {
        /// FileSize in octets; 0 for unknown.
        file_size: u32,
        /// TargetFileName; not to be trusted as a path.
        target_file_name: String,
        /// TimeWindowList.
        windows: Vec<Window>,
    },
    /// Upload.
    Upload {
        /// DelaySeconds.
        delay_seconds: u32,
    },
}

/// `TimeWindowStruct`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// WindowStart, in seconds after the request.
    pub start: u32,
    /// WindowEnd, in seconds after the request; the window is over then.
    pub end: u32,
    /// WindowMode.
    pub mode: String,
    /// UserMessage.
    pub user_message: String,
    /// MaxRetries in this window; -1 leaves it to us.
    pub max_retries: i32,
}

/// The method that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Download.
    Download,
    /// ScheduleDownload.
    ScheduleDownload,
    /// Upload.
    Upload,
}

impl Method {
    /// The RPC's name, as it stands in the `M` event.
    pub fn name(self) -> &'static str {
        match self {
            Method::Download => "Download",
            Method::ScheduleDownload => "ScheduleDownload",
            Method::Upload => "Upload",
        }
    }

    /// The transfer's general failure: 9010 for downloads, 9011 for uploads.
    pub fn failure(self) -> u16 {
        if self == Method::Upload { 9011 } else { 9010 }
    }

    /// A fault as TransferComplete may tell it (TR-069 A.3.3.2): the general failure for any other than its own.
    pub fn told(self, fault_code: u16) -> u16 {
        match fault_code {
            0 | 9001 | 9002 | 9010 | 9011 | 9012 | 9014..=9020 => fault_code,
            _ => self.failure(),
        }
    }
}

/// A FileType understood; the numbers differ between the RPCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileType {
    /// Firmware Upgrade Image.
    Firmware,
    /// Web Content.
    WebContent,
    /// Vendor Configuration File, with the instance of an Upload that names one.
    Configuration(Option<u32>),
    /// Vendor Log File, likewise.
    Log(Option<u32>),
    /// Stored Firmware Image.
    StoredFirmware,
}

impl FileType {
    /// Understands the FileType of a method; `None` for what this router has no place for: tones,
    /// ringers and vendors' own.
    pub fn parse(text: &str, method: Method) -> Option<FileType> {
        if method != Method::Upload {
            return match text {
                "1 Firmware Upgrade Image" => Some(FileType::Firmware),
                "2 Web Content" => Some(FileType::WebContent),
                "3 Vendor Configuration File" => Some(FileType::Configuration(None)),
                "6 Stored Firmware Image" => Some(FileType::StoredFirmware),
                _ => None,
            };
        }
        match text {
            "1 Vendor Configuration File" => return Some(FileType::Configuration(None)),
            "2 Vendor Log File" => return Some(FileType::Log(None)),
            _ => {}
        }
        let (name, digits) = text.rsplit_once(' ')?;
        let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        let instance = Some(digits.parse().ok().filter(|_| plain)?);
        match name {
            "3 Vendor Configuration File" => Some(FileType::Configuration(instance)),
            "4 Vendor Log File" => Some(FileType::Log(instance)),
            _ => None,
        }
    }
}

/// As GetAllQueuedTransfers and AutonomousTransferComplete number it (TR-069 A.4.1.7).
impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileType::Firmware => f.write_str("1 Firmware Upgrade Image"),
            FileType::WebContent => f.write_str("2 Web Content"),
            FileType::Configuration(None) => f.write_str("3 Vendor Configuration File"),
            FileType::Log(None) => f.write_str("4 Vendor Log File"),
            FileType::Configuration(Some(instance)) => write!(f, "6 Vendor Configuration File {instance}"),
            FileType::Log(Some(instance)) => write!(f, "7 Vendor Log File {instance}"),
            FileType::StoredFirmware => f.write_str("8 Stored Firmware Image"),
        }
    }
}

/// Why a request is refused: the fault the ACS gets, and a sentence for its FaultString.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// 9003, 9004, 9013, 9020 or 9021.
    pub code: u16,
    /// What is wrong with what.
    pub reason: String,
}

impl Refused {
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Refused {
        Refused { code, reason: reason.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

impl std::error::Error for Refused {}

impl Request {
    /// The method that asked.
    pub fn method(&self) -> Method {
        match self.details {
            Details::Download { .. } => Method::Download,
            Details::ScheduleDownload { .. } => Method::ScheduleDownload,
            Details::Upload { .. } => Method::Upload,
        }
    }

    /// FileSize and TargetFileName; 0 and empty for an upload.
    pub fn target(&self) -> (u32, &str) {
        match &self.details {
            Details::Download { file_size, target_file_name, .. }
            | Details::ScheduleDownload { file_size, target_file_name, .. } => (*file_size, target_file_name),
            Details::Upload { .. } => (0, ""),
        }
    }

    /// Whether no text and no list is longer than the standard allows.
    ///
    /// # Errors
    /// 9003 naming the argument.
    pub(super) fn is_bounded(&self) -> Result<(), Refused> {
        let mut texts: Vec<(&str, &str, usize)> = vec![
            ("CommandKey", &self.command_key, MAX_KEY),
            ("FileType", &self.file_type, MAX_TYPE),
            ("URL", &self.url, MAX_TEXT),
            ("Username", &self.username, MAX_TEXT),
            ("Password", self.password.as_str(), MAX_TEXT),
        ];
        match &self.details {
            Details::Download { target_file_name, success_url, failure_url, .. } => texts.extend([
                ("TargetFileName", target_file_name.as_str(), MAX_TEXT),
                ("SuccessURL", success_url.as_str(), MAX_TEXT),
                ("FailureURL", failure_url.as_str(), MAX_TEXT),
            ]),
            Details::ScheduleDownload { target_file_name, windows, .. } => {
                if windows.is_empty() || windows.len() > MAX_WINDOWS {
                    return Err(Refused::new(9003, "TimeWindowList does not have one or two windows"));
                }
                texts.push(("TargetFileName", target_file_name, MAX_TEXT));
                for window in windows {
                    texts.push(("WindowMode", &window.mode, MAX_TYPE));
                    texts.push(("UserMessage", &window.user_message, MAX_TEXT));
                }
            }
            Details::Upload { .. } => {}
        }
        match texts.iter().find(|(_, text, most)| text.chars().nth(*most).is_some()) {
            Some((name, _, most)) => {
                Err(Refused::new(9003, format!("{name} is longer than {most} characters")))
            }
            None => Ok(()),
        }
    }

    /// Checks everything that can be checked before the transfer.
    ///
    /// # Errors
    /// 9013 for the URL's scheme, 9003 for all else.
    pub(super) fn check(&self) -> Result<FileType, Refused> {
        self.is_bounded()?;
        let Some(file) = FileType::parse(&self.file_type, self.method()) else {
            let reason =
                format!("FileType {:?} is not supported by {}", self.file_type, self.method().name());
            return Err(Refused::new(9003, reason));
        };
        check_url(&self.url)?;
        if let Details::ScheduleDownload { windows, .. } = &self.details {
            check_windows(windows)?;
        }
        Ok(file)
    }
}

fn check_url(text: &str) -> Result<(), Refused> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let schemes: &[(&str, bool)] = &[
        ("http", true),
        ("https", cfg!(feature = "tls")),
        ("ftp", cfg!(feature = "ftp")),
        ("ftps", cfg!(all(feature = "ftp", feature = "tls"))),
    ];
    let supported = schemes.iter().any(|(name, here)| *here && scheme.as_deref() == Some(name));
    if !supported {
        return Err(Refused::new(9013, "the protocol of the URL is not supported"));
    }
    // The rules of host, port and characters are the same for all of them.
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    match Url::parse(&format!("http://{rest}")) {
        Ok(_) => Ok(()),
        Err(UrlError::Credentials) => Err(Refused::new(9003, "the URL holds a user name or password")),
        Err(why) => Err(Refused::new(9003, why.to_string())),
    }
}

fn check_windows(windows: &[Window]) -> Result<(), Refused> {
    let mut free_from = 0;
    for (window, number) in windows.iter().zip(1..) {
        let bad = |what: &str| Err(Refused::new(9003, format!("time window {number} {what}")));
        if window.end <= window.start {
            return bad("ends before it starts");
        }
        if window.start < free_from {
            return bad("starts before the one in front of it ends");
        }
        free_from = window.end;
        match window.mode.as_str() {
            "1 At Any Time" | "2 Immediately" | "3 When Idle" => {}
            "4 Confirmation Needed" => return bad("needs a confirmation, and nobody can be asked"),
            _ => return bad("has an unknown WindowMode"),
        }
        if window.max_retries < -1 {
            return bad("has a MaxRetries below -1");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn download() -> Request {
        Request {
            command_key: "key".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: "http://files.example/image.bin?a=b@c".into(),
            username: "user".into(),
            password: Secret::from("hidden"),
            details: Details::Download {
                file_size: 0,
                target_file_name: String::new(),
                delay_seconds: 0,
                success_url: String::new(),
                failure_url: String::new(),
            },
        }
    }

    fn code(request: &Request) -> u16 {
        request.check().map_or_else(|refused| refused.code, |_| 0)
    }

    #[test]
    fn urls() {
        let check = |url: &str, expected: u16| {
            assert_eq!(code(&Request { url: url.into(), ..download() }), expected, "{url}");
        };
        check("http://files.example/image.bin?a=b@c", 0);
        check("HTTP://[2001:db8::1]:8080/x", 0);
        check("https://files.example", if cfg!(feature = "tls") { 0 } else { 9013 });
        check("ftp://files.example/a", if cfg!(feature = "ftp") { 0 } else { 9013 });
        for unknown in
            ["tftp://x/", "file:///etc/passwd", "gopher://x", "", "/path", "http:/x", "javascript:1"]
        {
            check(unknown, 9013);
        }
        for bad in [
            "http://user@x/",
            "http://user:pass@x/",
            "http://a:b@c@x/",
            "http://",
            "http:///x",
            "http://x:0/",
            "http://x:99999/",
            "http://x y/",
            "http://x/\r\nHost: y",
            "http://bücher.example/",
        ] {
            check(bad, 9003);
        }
    }

    #[test]
    fn file_types() {
        let check = |text: &str, method: Method, expected: Option<&str>| {
            assert_eq!(
                FileType::parse(text, method).map(|file| file.to_string()).as_deref(),
                expected,
                "{text}"
            );
        };
        for method in [Method::Download, Method::ScheduleDownload] {
            check("1 Firmware Upgrade Image", method, Some("1 Firmware Upgrade Image"));
            check("2 Web Content", method, Some("2 Web Content"));
            check("3 Vendor Configuration File", method, Some("3 Vendor Configuration File"));
            check("4 Tone File", method, None);
            check("5 Ringer File", method, None);
            check("6 Stored Firmware Image", method, Some("8 Stored Firmware Image"));
            check("X 00256D Splash", method, None);
            check("2 Vendor Log File", method, None);
            check("", method, None);
        }
        check("1 Vendor Configuration File", Method::Upload, Some("3 Vendor Configuration File"));
        check("2 Vendor Log File", Method::Upload, Some("4 Vendor Log File"));
        check("3 Vendor Configuration File 7", Method::Upload, Some("6 Vendor Configuration File 7"));
        check("4 Vendor Log File 4294967295", Method::Upload, Some("7 Vendor Log File 4294967295"));
        for bad in
            ["4 Vendor Log File", "4 Vendor Log File 0", "4 Vendor Log File 01", "4 Vendor Log File +1"]
        {
            check(bad, Method::Upload, None);
        }
        check("4 Vendor Log File 4294967296", Method::Upload, None);
        check("4 Vendor Log File ", Method::Upload, None);
        check("1 Firmware Upgrade Image", Method::Upload, None);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let mut request = download();
        request.command_key = "ü".repeat(32);
        request.username = "ü".repeat(256);
        assert_eq!(code(&request), 0);
        request.username.push('x');
        assert_eq!(request.check().unwrap_err().to_string(), "9003 Username is longer than 256 characters");
        request = Request { command_key: "x".repeat(33), ..download() };
        assert_eq!(request.check().unwrap_err().to_string(), "9003 CommandKey is longer than 32 characters");
        assert!(!format!("{request:?}").contains("hidden"));
    }

    #[test]
    fn time_windows() {
        let window = |start: u32, end: u32, mode: &str, max_retries: i32| Window {
            start,
            end,
            mode: mode.into(),
            user_message: String::new(),
            max_retries,
        };
        let check = |windows: &[Window], expected: u16| {
            let windows = windows.to_vec();
            let details =
                Details::ScheduleDownload { file_size: 0, target_file_name: String::new(), windows };
            assert_eq!(code(&Request { details, ..download() }), expected);
        };
        let any = "1 At Any Time";
        check(&[window(0, 1, any, -1)], 0);
        check(&[window(0, 10, "2 Immediately", 0), window(10, u32::MAX, "3 When Idle", i32::MAX)], 0);
        check(&[], 9003);
        check(&[window(0, 1, any, 0), window(1, 2, any, 0), window(2, 3, any, 0)], 9003);
        check(&[window(5, 5, any, 0)], 9003);
        check(&[window(6, 5, any, 0)], 9003);
        check(&[window(0, 10, any, 0), window(9, 20, any, 0)], 9003);
        check(&[window(20, 30, any, 0), window(0, 10, any, 0)], 9003);
        check(&[window(0, 1, "4 Confirmation Needed", 0)], 9003);
        check(&[window(0, 1, "1", 0)], 9003);
        check(&[window(0, 1, any, -2)], 9003);
    }
}
