//! FTP (RFC 959, 2428) as far as a throughput test needs it: anonymous, binary, passive, one file.
//!
//! The data connection goes to the host of the control connection, whatever address the server
//! names: a test must not be turned against somebody else.

use std::net::SocketAddr;
use std::time::Instant;

use crate::diagnostics::State;
use crate::diagnostics::download::BUFFER;
use crate::diagnostics::socket::Way;
use crate::diagnostics::tcp::{Got, Link, PATIENCE, Rule};
use crate::diagnostics::throughput::{Reporter, Target};
use crate::diagnostics::upload::Source;

/// The longest reply, all its lines together.
const MAX_REPLY: usize = 8 * 1024;
/// Who we are: an anonymous user gives an address as password (RFC 1635).
const PASSWORD: &str = "rcwmp@";

/// Fetches the file of the URL.
pub(crate) fn retrieve(
    target: &Target,
    way: &Way<'_>,
    reporter: &Reporter<'_>,
    rule: Rule<'_>,
) -> Result<(), State> {
    let (directory, file) = path(&target.url.target).ok_or(State::Other)?;
    let mut session = Session::log_in(target, way, rule)?;
    let path = format!("{directory}{file}");
    // A server need not know SIZE: then there is nothing to hold the count against.
    let size = match session.command(&format!("SIZE {path}"))? {
        Reply { code: 213, text } => text.trim().parse::<u64>().ok(),
        _ => None,
    };
    let mut data = session.open_data(target.peer, way, rule)?;
    reporter.opened(data.requested, data.responded);
    reporter.requested();
    if !matches!(session.command(&format!("RETR {path}"))?.code, 125 | 150) {
        return Err(State::TransferFailed);
    }
    let mut buffer = vec![0; BUFFER];
    let (mut count, mut last) = (0_u64, Instant::now());
    let is_whole = loop {
        let stalled = rule.control.after(PATIENCE);
        let end = reporter.end_of_test();
        if end.is_some_and(|end| Instant::now() >= end) {
            break false;
        }
        match data.read(&mut buffer, end.map_or(stalled, |end| end.min(stalled)))? {
            Got::Data(octets) => {
                last = Instant::now();
                reporter.moved(octets);
                count = count.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
            }
            Got::End => break true,
            Got::Late if end.is_some_and(|end| Instant::now() >= end) => break false,
            Got::Late => return Err(State::Timeout),
        }
    };
    drop(data);
    if is_whole {
        if session.reply()?.code != 226 {
            return Err(State::TransferFailed);
        }
        if size.is_some_and(|size| size != count) {
            return Err(State::IncorrectSize);
        }
    }
    reporter.ended(last);
    Ok(())
}

/// Stores what the source gives under the name of the URL.
pub(crate) fn store(
    target: &Target,
    way: &Way<'_>,
    reporter: &Reporter<'_>,
    rule: Rule<'_>,
    source: &mut Source<'_>,
) -> Result<(), State> {
    let (directory, file) = path(&target.url.target).ok_or(State::Other)?;
    let mut session = Session::log_in(target, way, rule)?;
    if !directory.is_empty() && session.command(&format!("CWD {directory}"))?.code != 250 {
        return Err(State::NoCwd);
    }
    let mut data = session.open_data(target.peer, way, rule)?;
    reporter.opened(data.requested, data.responded);
    reporter.requested();
    if !matches!(session.command(&format!("STOR {file}"))?.code, 125 | 150) {
        return Err(State::NoStor);
    }
    let is_taken = source.pour(&mut data, rule)?;
    // The end of the connection is the end of the file.
    drop(data);
    if !is_taken || session.reply()?.code != 226 {
        return Err(State::NoTransferComplete);
    }
    reporter.ended(Instant::now());
    Ok(())
}

/// The directory (with its last slash, from the login's directory) and the file that a URL's path
/// names (RFC 1738 3.2.2); `None` if it names no file or hides a line end.
fn path(target: &str) -> Option<(String, String)> {
    let path = target.split('?').next()?.strip_prefix('/')?;
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            octet => octet,
        };
        octets.push(octet);
    }
    let text = String::from_utf8(octets).ok().filter(|text| !text.contains(char::is_control))?;
    let (directory, file) = text.split_at(text.rfind('/').map_or(0, |slash| slash + 1));
    (!file.is_empty()).then(|| (directory.to_owned(), file.to_owned()))
}

/// A reply: the code, and the text of its last line.
#[derive(Debug)]
struct Reply {
    code: u16,
    text: String,
}

/// A control connection that is logged in.
struct Session<'a> {
    link: Link<'a>,
    rule: Rule<'a>,
    unread: Vec<u8>,
    is_v6: bool,
}

impl<'a> Session<'a> {
    fn log_in(target: &Target, way: &Way<'_>, rule: Rule<'a>) -> Result<Session<'a>, State> {
        let link = Link::connect(target.peer, way, rule)?;
        let mut session = Session { link, rule, unread: Vec::new(), is_v6: target.peer.is_ipv6() };
        // 120 promises that 220 will follow.
        let mut greeting = session.reply()?;
        if greeting.code == 120 {
            greeting = session.reply()?;
        }
        if greeting.code != 220 {
            return Err(State::NoResponse);
        }
        match session.command("USER anonymous")?.code {
            230 => {}
            331 => {
                if !matches!(session.command(&format!("PASS {PASSWORD}"))?.code, 202 | 230) {
                    return Err(State::LoginFailed);
                }
            }
            _ => return Err(State::PasswordRequestFailed),
        }
        if session.command("TYPE I")?.code != 200 {
            return Err(State::NoTransferMode);
        }
        Ok(session)
    }

    fn command(&mut self, line: &str) -> Result<Reply, State> {
        self.link.write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn open_data(&mut self, peer: SocketAddr, way: &Way<'_>, rule: Rule<'a>) -> Result<Link<'a>, State> {
        // EPSV names a port and nothing else; a server older than it speaks PASV, over IPv4 only.
        let mut port = extended_port(&self.command("EPSV")?);
        if port.is_none() && !self.is_v6 {
            port = passive_port(&self.command("PASV")?);
        }
        let mut address = peer;
        address.set_port(port.ok_or(State::NoPasv)?);
        Link::connect(address, way, rule).map_err(|state| match state {
            State::InitConnectionFailed | State::NoRouteToHost => State::NoPasv,
            state => state,
        })
    }

    /// Reads one reply (RFC 959 4.2): `ddd text`, or lines from `ddd-` to `ddd `.
    fn reply(&mut self) -> Result<Reply, State> {
        let until = self.rule.control.after(PATIENCE);
        let (mut total, mut first) = (0, None);
        loop {
            let line = self.line(until)?;
            total += line.len();
            if total > MAX_REPLY {
                return Err(State::NoResponse);
            }
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let mark = line.as_bytes().get(3).copied().unwrap_or(b' ');
            match (code, first) {
                (Some(code), None) if mark == b'-' => first = Some(code),
                (Some(code), expected)
                    if mark == b' ' && expected.is_none_or(|expected| expected == code) =>
                {
                    return Ok(Reply { code, text: line.get(4..).unwrap_or_default().to_owned() });
                }
                (_, Some(_)) => {}
                (_, None) => return Err(State::NoResponse),
            }
        }
    }

    fn line(&mut self, until: Instant) -> Result<String, State> {
        loop {
            if let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.unread.len() > MAX_REPLY {
                return Err(State::NoResponse);
            }
            let mut buffer = [0; 1024];
            match self.link.read(&mut buffer, until)? {
                Got::Data(count) => self.unread.extend(&buffer[..count]),
                Got::End => return Err(State::NoResponse),
                Got::Late => return Err(State::Timeout),
            }
        }
    }
}

/// `229 Entering Extended Passive Mode (|||6446|)`.
fn extended_port(reply: &Reply) -> Option<u16> {
    let inside = reply.text.split_once('(')?.1.split_once(')')?.0;
    let delimiter = inside.chars().next()?;
    let port = inside.split(delimiter).nth(3)?.parse().ok()?;
    (reply.code == 229 && port != 0).then_some(port)
}

/// `227 Entering Passive Mode (h1,h2,h3,h4,p1,p2)`: the last two are the port.
fn passive_port(reply: &Reply) -> Option<u16> {
    let is_part = |c: char| c.is_ascii_digit() || c == ',';
    let from = reply.text.find(|c: char| c.is_ascii_digit())?;
    let numbers = reply.text[from..].split(|c| !is_part(c)).next()?;
    let parts: Vec<u8> = numbers.split(',').map_while(|part| part.parse().ok()).collect();
    let port = match parts[..] {
        [_, _, _, _, high, low] => u16::from_be_bytes([high, low]),
        _ => return None,
    };
    (reply.code == 227 && port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        let check = |code: u16, text: &str, expected: Option<u16>| {
            let reply = Reply { code, text: text.into() };
            let found = extended_port(&reply).or(passive_port(&reply));
            assert_eq!(found, expected, "{text}");
        };
        check(229, "Entering Extended Passive Mode (|||6446|)", Some(6446));
        check(229, "ok (!!!70000!)", None);
        check(229, "ok (|||0|)", None);
        check(229, "ok (", None);
        check(500, "ok (|||6446|)", None);
        check(227, "Entering Passive Mode (10,0,0,1,25,46).", Some(6446));
        check(227, "Entering Passive Mode 10,0,0,1,25,46", Some(6446));
        check(227, "(10,0,0,1,256,46)", None);
        check(227, "(10,0,0,1,25)", None);
        check(227, "none", None);
    }

    #[test]
    fn paths_are_taken_apart() {
        let check = |target: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(directory, file)| (directory.to_owned(), file.to_owned()));
            assert_eq!(path(target), expected, "{target}");
        };
        check("/file", Some(("", "file")));
        check("/a/b/file%20x", Some(("a/b/", "file x")));
        check("/%2Fetc/x", Some(("/etc/", "x")));
        for bad in ["/", "/a/", "/a%0d%0aDELE x", "/%00", "/%zz", "/%f", "/%ff", "/\u{7f}x"] {
            check(bad, None);
        }
    }
}
