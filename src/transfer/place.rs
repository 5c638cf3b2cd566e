//! Where a file is: the URL of a Download or Upload, checked before anything is connected to. Pure.

use super::fault::{Cause, Failure};
use crate::http::url::{Url, UrlError};

/// A URL of a scheme we speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `http` and `https`.
    Http(Url),
    /// `ftp` and `ftps`.
    #[cfg(feature = "ftp")]
    Ftp(FtpPlace),
}

/// A file on an FTP server (RFC 1738 3.2).
#[cfg(feature = "ftp")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FtpPlace {
    /// TLS is demanded: `ftps`, by AUTH TLS on the ordinary port (RFC 4217).
    pub(super) tls: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the server gets it: decoded, not empty, without control characters, seen from where the
    /// login leads unless it begins with a slash (`//` or `/%2F` in the URL).
    pub(super) path: Vec<u8>,
}

/// Whether a transfer from or to a URL can be tried at all: for the response to Download, Upload and
/// ScheduleDownload. Errors with 9013 for a scheme that is not spoken, else with 9003.
pub fn check_url(text: &str) -> Result<(), Failure> {
    Place::parse(text).map(drop).map_err(|cause| cause.of(false))
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Place, Cause> {
        let bad = |why: UrlError| Cause::BadUrl(why.to_string());
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "https" if !cfg!(feature = "tls") => Err(Cause::Scheme("https is not built in".to_owned())),
            "http" | "https" => Url::parse(text).map(Place::Http).map_err(bad),
            #[cfg(feature = "ftp")]
            "ftps" if !cfg!(feature = "tls") => Err(Cause::Scheme("ftps is not built in".to_owned())),
            #[cfg(feature = "ftp")]
            "ftp" | "ftps" => FtpPlace::parse(text, scheme == "ftps").map(Place::Ftp),
            _ => {
                let known =
                    if cfg!(feature = "ftp") { "http, https, ftp and ftps" } else { "http and https" };
                Err(Cause::Scheme(format!("the URL begins with none of {known}")))
            }
        }
    }
}

#[cfg(feature = "ftp")]
impl FtpPlace {
    fn parse(text: &str, tls: bool) -> Result<FtpPlace, Cause> {
        use crate::http::url;

        let bad = |why: &str| Cause::BadUrl(why.to_owned());
        if text.len() > url::MAX_URL {
            return Err(bad(&UrlError::TooLong.to_string()));
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let url::Place { host, port, target } =
            url::Place::parse(rest, 21).map_err(|why| bad(&why.to_string()))?;
        let encoded = target.strip_prefix('/').unwrap_or(&target);
        // A file is taken as it is, whatever representation the URL suggests.
        let encoded = ["i", "a"]
            .into_iter()
            .find_map(|kind| encoded.strip_suffix(kind)?.strip_suffix(";type="))
            .unwrap_or(encoded);
        let path = decoded(encoded).ok_or_else(|| bad("the URL holds a % that is no escape"))?;
        if path.is_empty() || path.ends_with(b"/") {
            return Err(bad("the URL names no file"));
        }
        if path.iter().any(u8::is_ascii_control) {
            return Err(bad("the URL hides a control character"));
        }
        Ok(FtpPlace { tls, host, port, path })
    }
}

#[cfg(feature = "ftp")]
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    Some(out)
}

#[cfg(all(test, feature = "ftp", feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let check = |text: &str, tls: bool, host: &str, port: u16, path: &str| {
            let expected = FtpPlace { tls, host: host.to_owned(), port, path: path.as_bytes().to_vec() };
            assert_eq!(Place::parse(text), Ok(Place::Ftp(expected)), "{text}");
        };
        check("ftp://h/a", false, "h", 21, "a");
        check("FTPS://H:2121/a/b%20c", true, "h", 2121, "a/b c");
        check("ftp://[::1]:21//etc/x;type=i", false, "::1", 21, "/etc/x");
        check("ftp://h/%2Fetc/x?y#z", false, "h", 21, "/etc/x?y");
        check("ftp://h:80/%C3%A4", false, "h", 80, "ä");
        assert!(matches!(Place::parse("https://h/a?b"), Ok(Place::Http(_))));
    }

    #[test]
    fn refusals() {
        let check = |text: &str, code: u16| {
            assert_eq!(check_url(text).map_err(|why| why.code), Err(code), "{text}");
        };
        for scheme in ["", "h", "tftp://h/x", "file:///etc/passwd", "sftp://h/x", "javascript:x", "://h/x"] {
            check(scheme, 9013);
        }
        for bad in [
            "http://u:p@h/x",
            "ftp://u@h/x",
            "ftp://h",
            "ftp://h/",
            "ftp://h/dir/",
            "http://",
            "ftp://h:0/x",
            "ftp://h:99999/x",
            "ftp://h/a%0d%0aDELE%20b",
            "ftp://h/a%00",
            "ftp://h/%7f",
            "ftp://h/%",
            "ftp://h/%g0",
            "ftp://h/%+1",
            "ftp://h/a b",
            "ftp://h/a\r\nb",
            "ftp://h\r\n/x",
            "http://h/ä",
            "ftp://[::1/x",
            "ftps://;id/x",
        ] {
            check(bad, 9003);
        }
        check(&format!("ftp://h/{}", "x".repeat(3000)), 9003);
    }
}

#[cfg(all(test, not(feature = "ftp")))]
mod tests_without_ftp {
    use super::*;

    #[test]
    fn ftp_is_not_spoken() {
        for url in ["ftp://h/x", "ftps://h/x"] {
            assert_eq!(check_url(url).map_err(|why| why.code), Err(9013), "{url}");
        }
        assert_eq!(check_url("http://h/x"), Ok(()));
    }
}
