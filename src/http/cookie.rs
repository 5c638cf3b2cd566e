//! The cookies of one CWMP session (RFC 6265 and the old Netscape form).
//!
//! Pure. TR-069 3.4.2 is simpler than a browser: cookies live for one session, and every one of
//! them goes back on every later POST, also to a host the session was redirected to. So Domain and
//! Path are read over, and of Expires and Max-Age only "already over" matters, which deletes.

use std::fmt;

use crate::http::cookie_date;

/// The most cookies kept.
pub const MAX_COOKIES: usize = 32;
/// The longest cookie, name and value together, in octets.
pub const MAX_COOKIE: usize = 4 * 1024;
/// The longest `Cookie` header, in octets.
pub const MAX_HEADER: usize = 16 * 1024;

/// Why a `Set-Cookie` header was passed over. The session goes on without the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieError {
    /// No `=`, or nothing before it.
    NoName,
    /// A control character or a separator where none may be.
    BadCharacter,
    /// The cookie alone is longer than [`MAX_COOKIE`].
    TooLong,
    /// The jar is full: [`MAX_COOKIES`] or [`MAX_HEADER`].
    TooMany,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CookieError::NoName => f.write_str("the ACS set a cookie without a name"),
            CookieError::BadCharacter => f.write_str("the ACS set a cookie with a forbidden character"),
            CookieError::TooLong => write!(f, "the ACS set a cookie longer than {MAX_COOKIE} octets"),
            CookieError::TooMany => {
                write!(f, "the ACS set more than {MAX_COOKIES} cookies or {MAX_HEADER} octets of them")
            }
        }
    }
}

impl std::error::Error for CookieError {}

/// The cookies of a session, in the order they were first set.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    tls_only: bool,
}

impl Jar {
    /// An empty jar.
    pub fn new() -> Jar {
        Jar::default()
    }

    /// Takes the value of one `Set-Cookie` header. A cookie of the same name is replaced; one whose
    /// time is over is deleted.
    ///
    /// `tls` tells whether it came over TLS: only then does `Secure` keep it from plain HTTP. `now`
    /// is in seconds since 1970, `None` while the clock is not set: dates before 2000 are over then.
    pub fn store(&mut self, line: &str, tls: bool, now: Option<u64>) -> Result<(), CookieError> {
        const YEAR_2000: u64 = 946_684_800;
        if line.len() > MAX_COOKIE + 1024 {
            return Err(CookieError::TooLong);
        }
        let mut parts = line.split(';');
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).ok_or(CookieError::NoName)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(CookieError::NoName);
        }
        let is_bad = |c: char| c.is_control() || !c.is_ascii();
        if name.contains(|c| is_bad(c) || c == ' ' || c == ',') || value.contains(is_bad) {
            return Err(CookieError::BadCharacter);
        }
        if name.len() + value.len() > MAX_COOKIE {
            return Err(CookieError::TooLong);
        }
        let (mut secure, mut age, mut expires) = (false, None, None);
        for attribute in parts {
            let (key, text) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "secure" => secure = true,
                "max-age" => age = is_over(text.trim()).or(age),
                "expires" => expires = cookie_date::parse(text.trim().trim_matches('"')).or(expires),
                _ => {}
            }
        }
        // RFC 6265 5.3: Max-Age wins over Expires.
        let over = age.unwrap_or_else(|| expires.is_some_and(|at| at <= now.unwrap_or(YEAR_2000)));
        let old = self.cookies.iter().position(|cookie| cookie.name == name);
        if over {
            old.map(|at| self.cookies.remove(at));
            return Ok(());
        }
        let freed = old.map_or(0, |at| self.cookies[at].size());
        let total =
            self.cookies.iter().map(Cookie::size).sum::<usize>() - freed + name.len() + value.len() + 3;
        if total > MAX_HEADER || (old.is_none() && self.cookies.len() == MAX_COOKIES) {
            return Err(CookieError::TooMany);
        }
        let cookie = Cookie { name: name.to_owned(), value: value.to_owned(), tls_only: secure && tls };
        match old {
            Some(at) => self.cookies[at] = cookie,
            None => self.cookies.push(cookie),
        }
        Ok(())
    }

    /// The value of the `Cookie` header for the next request, or `None` if there is nothing to
    /// send. `tls` tells whether the request goes over TLS.
    pub fn header(&self, tls: bool) -> Option<String> {
        let sent = self.cookies.iter().filter(|cookie| tls || !cookie.tls_only);
        let text: Vec<_> = sent.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!text.is_empty()).then(|| text.join("; "))
    }
}

impl Cookie {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + 3
    }
}

// Max-Age is a number of any size with an optional sign; zero or less means over.
fn is_over(age: &str) -> Option<bool> {
    let (sign, digits) = age.strip_prefix('-').map_or((false, age), |digits| (true, digits));
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| sign || digits.bytes().all(|b| b == b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Option<u64> = Some(1_790_000_000); // September 2026

    fn check(lines: &[&str], expected: Option<&str>) {
        let mut jar = Jar::new();
        for line in lines {
            jar.store(line, false, NOW).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        assert_eq!(jar.header(false).as_deref(), expected, "{lines:?}");
    }

    #[test]
    fn kept_and_returned() {
        check(&[], None);
        check(&["session=abc"], Some("session=abc"));
        check(&["a=1; Path=/x; HttpOnly", "b=2; Domain=acs.example"], Some("a=1; b=2"));
        check(&["a=1", "b=2", "a=3"], Some("a=3; b=2"));
        check(&["oktopus=SN1; Expires=Wed, 21 Oct 2037 07:28:00 GMT"], Some("oktopus=SN1"));
        check(&["JSESSIONID=\"x y, z\"; Version=1"], Some("JSESSIONID=\"x y, z\""));
        check(&["a=b=c=="], Some("a=b=c=="));
        check(&["a="], Some("a="));
        check(&["a=1; Max-Age=99999999999999999999999"], Some("a=1"));
        check(&["a=1; Max-Age=soon; Expires=whenever"], Some("a=1"));
    }

    /// TR-069 3.4.2 wants 512 octets at the least.
    #[test]
    fn long_ones() {
        for length in [512, 2048] {
            let line = format!("a={}", "x".repeat(length));
            check(&[&line], Some(&line));
        }
        let several: Vec<String> = (0..8).map(|n| format!("c{n}={}", "y".repeat(509))).collect();
        let lines: Vec<&str> = several.iter().map(String::as_str).collect();
        check(&lines, Some(&several.join("; ")));
    }

    #[test]
    fn deleted() {
        check(&["a=1", "b=2", "a=; Max-Age=0"], Some("b=2"));
        check(&["a=1", "a=1; max-age=-5"], None);
        check(&["a=1", "a=gone; Expires=Thu, 01-Jan-1970 00:00:10 GMT"], None);
        check(&["a=1", "a=1; expires=Thursday, 01-Jan-70 00:00:00 GMT"], None);
        check(&["a=1", "a=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"], Some("a=2"));
        let mut jar = Jar::new();
        jar.store("a=1; Expires=Fri, 01 Jan 2016 00:00:00 GMT", false, None).unwrap();
        assert!(jar.header(false).is_some(), "a clock that is not set judges no recent date");
    }

    #[test]
    fn secure_counts_only_from_tls() {
        let mut jar = Jar::new();
        jar.store("a=1; Secure", true, NOW).unwrap();
        jar.store("b=2; Secure", false, NOW).unwrap();
        assert_eq!(jar.header(true).as_deref(), Some("a=1; b=2"));
        assert_eq!(jar.header(false).as_deref(), Some("b=2"));
    }

    #[test]
    fn refused() {
        let refused = |line: &str| Jar::new().store(line, false, NOW).unwrap_err();
        assert_eq!(refused("justaword; Path=/"), CookieError::NoName);
        assert_eq!(refused("=value"), CookieError::NoName);
        assert_eq!(refused("a=b\r\nX-Evil: 1"), CookieError::BadCharacter);
        assert_eq!(refused("a=b\0"), CookieError::BadCharacter);
        assert_eq!(refused("a b=c"), CookieError::BadCharacter);
        assert_eq!(refused(&format!("a={}", "x".repeat(MAX_COOKIE))), CookieError::TooLong);
        assert_eq!(refused(&format!("a={}", "x".repeat(1 << 20))), CookieError::TooLong);
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut jar = Jar::new();
        let refused = (0..5000).filter(|n| jar.store(&format!("c{n}=v"), false, NOW).is_err()).count();
        assert_eq!((jar.cookies.len(), refused), (MAX_COOKIES, 5000 - MAX_COOKIES));
        assert!(jar.store("c0=new", false, NOW).is_ok(), "a known cookie still changes");
        let mut jar = Jar::new();
        for n in 0..10 {
            let _ = jar.store(&format!("c{n}={}", "x".repeat(4000)), false, NOW);
        }
        assert!(jar.header(false).unwrap().len() <= MAX_HEADER);
        assert_eq!(jar.cookies.len(), 4);
    }
}
