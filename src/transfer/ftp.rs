//! Transfers over FTP (RFC 959), passive and binary only, with explicit TLS (RFC 4217).
//!
//! ```text
//!  greeting ─► [AUTH TLS] ─► USER, PASS ─► [PBSZ 0, PROT P] ─► TYPE I ─► [SIZE] ─► EPSV or PASV
//!     ─► RETR or STOR ─► the file on a second connection ─► the final reply ─► QUIT
//! ```
//! A download counts only once the server has said that it sent all (226 or 250). Second connections
//! go to the host of the first, whatever a reply says. Under TLS they resume its TLS session, as
//! vsftpd's `require_ssl_reuse` wants. Implicit TLS (port 990) is not spoken.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::fault::Cause;
use super::ftp_reply::{MAX_LINE, Reading, Reply};
use super::http::tls;
use super::part::Part;
use super::place::FtpPlace;
use super::run::Work;
use crate::http::lookup::lookup;
use crate::http::wire::{Link, Wire};

/// How much of a file is sent at a time.
const BLOCK: usize = 32 * 1024;
/// How long to wait for the server to close its side after an upload, and for QUIT to leave.
const FAREWELL: Duration = Duration::from_secs(5);
/// The most that is read of a data connection that should be silent.
const MAX_SILENCE: usize = 64 * 1024;

/// Fetches a file.
pub(super) fn download(place: &FtpPlace, work: &Work<'_>, part: &mut Part<'_>) -> Result<(), Cause> {
    let mut control = Control::login(place, work)?;
    let size = control.command(b"SIZE", &place.path)?.size();
    if let Some(size) = size {
        part.expect(size)?;
    }
    let mut data = control.open(b"RETR", place)?;
    let is_tls = data.is_tls();
    let got = work.receive(&mut Patient { link: &mut data, work }, part);
    // Without a close_notify only the size can tell that nobody cut the file.
    let is_known_whole = size.is_some_and(|size| part.written() >= size);
    match got {
        Err(Cause::CutOff(_)) if is_tls && is_known_whole => {}
        other => other?,
    }
    drop(data);
    control.end("RETR")?;
    match size {
        Some(size) if part.written() < size => {
            Err(Cause::CutOff(format!("{} of {size} octets came", part.written())))
        }
        _ => Ok(()),
    }
}

/// Puts a file.
pub(super) fn upload(place: &FtpPlace, work: &Work<'_>, from: &mut File, length: u64) -> Result<(), Cause> {
    let mut control = Control::login(place, work)?;
    let mut data = control.open(b"STOR", place)?;
    let (mut block, mut left) = (vec![0; BLOCK], length);
    while left > 0 {
        work.check()?;
        let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let amount = from.read(&mut block[..most]).map_err(|error| Cause::Local(error.to_string()))?;
        if amount == 0 {
            return Err(Cause::Local("the file became shorter while it was sent".to_owned()));
        }
        left -= u64::try_from(amount).unwrap_or(left);
        data.set_deadline(soon(work, work.limits.idle));
        if let Err(error) = data.write_all(&block[..amount]) {
            // Why it hung up, it may say on the other connection: no space, say.
            return Err(match control.end("STOR") {
                Err(why @ (Cause::Server(_) | Cause::NoFile(_) | Cause::Login(_))) => why,
                _ => Cause::CutOff(error.to_string()),
            });
        }
    }
    data.set_deadline(soon(work, FAREWELL));
    let _ = data.flush().and_then(|()| data.finish());
    // A connection closed over unread octets (TLS tickets, say) would be reset, and the file lost.
    let _ = io::copy(&mut (&mut data).take(MAX_SILENCE as u64), &mut io::sink());
    drop(data);
    control.end("STOR")
}

/// The control connection.
struct Control<'a> {
    work: &'a Work<'a>,
    host: &'a str,
    peer: IpAddr,
    // Taken out only while TLS is put on.
    link: Option<Link>,
    unread: Vec<u8>,
}

impl<'a> Control<'a> {
    fn login(place: &'a FtpPlace, work: &'a Work<'a>) -> Result<Control<'a>, Cause> {
        let until = soon(work, work.limits.idle);
        let job = work.job;
        if place.tls && job.tls.is_none() {
            return Err(Cause::Scheme("TLS is not set up".to_owned()));
        }
        let unreachable = |error: io::Error| Cause::Unreachable(format!("{}: {error}", place.host));
        let found =
            lookup(&place.host, place.port, job.force_ipv4, until, work.cancel).map_err(unreachable)?;
        let (wire, peer) =
            Wire::connect_unless(&found, job.interface.as_deref(), until, Some(work.cancel.clone()))
                .map_err(unreachable)?;
        let link = Some(Link::Plain(wire));
        let mut control = Control { work, host: &place.host, peer: peer.ip(), link, unread: Vec::new() };
        let mut greeting = control.reply()?;
        if greeting.code == 120 {
            greeting = control.reply()?;
        }
        if greeting.code != 220 {
            return Err(greeting.refusal("the greeting"));
        }
        if place.tls || (job.tls_for_ftp && job.tls.is_some()) {
            control.start_tls(place.tls)?;
        }
        control.authenticate()?;
        if control.is_tls() {
            control.demand(b"PBSZ", b"0")?;
            control.demand(b"PROT", b"P")?;
        }
        control.demand(b"TYPE", b"I")?;
        Ok(control)
    }

    fn start_tls(&mut self, is_demanded: bool) -> Result<(), Cause> {
        let answer = self.command(b"AUTH", b"TLS")?;
        if answer.code != 234 {
            let why = format!("it has no TLS: {} {}", answer.code, answer.text);
            return if is_demanded { Err(Cause::Login(why)) } else { Ok(()) };
        }
        // What stands here was not said under TLS, by whomever.
        if !self.unread.is_empty() {
            return Err(Cause::Server("it goes on talking before TLS".to_owned()));
        }
        if let Some(Link::Plain(wire)) = self.link.take() {
            self.link = Some(self.secured(wire)?);
        }
        Ok(())
    }

    fn authenticate(&mut self) -> Result<(), Cause> {
        let who = &self.work.job.credentials;
        let (user, password) = match who.username.as_str() {
            "" => ("anonymous", "anonymous@"),
            user => (user, who.password.as_str()),
        };
        let mut answer = self.command(b"USER", user.as_bytes())?;
        if answer.code == 331 {
            answer = self.command(b"PASS", password.as_bytes())?;
        }
        match answer.code {
            202 | 230 | 232 => Ok(()),
            500..=599 => Err(Cause::Login(format!("the login: {} {}", answer.code, answer.text))),
            _ => Err(answer.refusal("the login")),
        }
    }

    // Opens the second connection and starts the transfer of a file over it.
    fn open(&mut self, verb: &[u8], place: &FtpPlace) -> Result<Link, Cause> {
        let wire = match self.extended()? {
            Some(wire) => wire,
            None => self.passive()?,
        };
        let answer = self.command(verb, &place.path)?;
        if !matches!(answer.code, 125 | 150) {
            return Err(answer.refusal(&String::from_utf8_lossy(verb)));
        }
        if self.is_tls() { self.secured(wire) } else { Ok(Link::Plain(wire)) }
    }

    fn extended(&mut self) -> Result<Option<Wire>, Cause> {
        let answer = self.command(b"EPSV", b"")?;
        if answer.code != 229 {
            let may_be_old = self.peer.to_canonical().is_ipv4() && answer.code >= 500;
            return if may_be_old { Ok(None) } else { Err(answer.refusal("EPSV")) };
        }
        let port = answer.extended_port();
        let port = port.ok_or_else(|| Cause::Server(format!("EPSV gave {:?}", answer.text)))?;
        self.connect(port).map(Some)
    }

    fn passive(&mut self) -> Result<Wire, Cause> {
        let answer = self.command(b"PASV", b"")?;
        if answer.code != 227 {
            return Err(answer.refusal("PASV"));
        }
        let port = answer.passive_port();
        self.connect(port.ok_or_else(|| Cause::Server(format!("PASV gave {:?}", answer.text)))?)
    }

    fn connect(&self, port: u16) -> Result<Wire, Cause> {
        let (work, address) = (self.work, SocketAddr::new(self.peer, port));
        let until = soon(work, work.limits.idle);
        let interface = work.job.interface.as_deref();
        Wire::connect_unless(&[address], interface, until, Some(work.cancel.clone()))
            .map(|(wire, _)| wire)
            .map_err(|error| Cause::Unreachable(format!("the data connection to {address}: {error}")))
    }

    fn secured(&self, mut wire: Wire) -> Result<Link, Cause> {
        wire.set_deadline(soon(self.work, self.work.limits.idle));
        let secure =
            self.work.job.tls.as_ref().ok_or_else(|| Cause::Scheme("TLS is not set up".to_owned()))?;
        secure.handshake(self.host, wire).map(Link::Secured).map_err(|why| tls(self.host, &why))
    }

    fn is_tls(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_tls)
    }

    // The reply after the file.
    fn end(&mut self, step: &str) -> Result<(), Cause> {
        let answer = match self.reply() {
            Err(Cause::Unreachable(why)) => Err(Cause::CutOff(format!("{step} was not confirmed: {why}"))),
            other => other,
        }?;
        if !matches!(answer.code, 226 | 250) {
            return Err(match answer.refusal(step) {
                Cause::Unreachable(why) => Cause::CutOff(why),
                other => other,
            });
        }
        // The file is there; whether the server hears the farewell is its own affair.
        let _ = self.send(b"QUIT", b"");
        Ok(())
    }

    fn demand(&mut self, verb: &[u8], argument: &[u8]) -> Result<(), Cause> {
        let answer = self.command(verb, argument)?;
        if (200..300).contains(&answer.code) {
            return Ok(());
        }
        Err(answer.refusal(&String::from_utf8_lossy(verb)))
    }

    fn command(&mut self, verb: &[u8], argument: &[u8]) -> Result<Reply, Cause> {
        // Whatever came unasked answers nothing that is asked now.
        if !self.unread.is_empty() {
            return Err(Cause::Server("it answers what was not asked".to_owned()));
        }
        self.send(verb, argument)?;
        self.reply()
    }

    fn send(&mut self, verb: &[u8], argument: &[u8]) -> Result<(), Cause> {
        // A line end in a name or password would be a command of its own.
        if argument.iter().any(u8::is_ascii_control) {
            return Err(Cause::BadUrl(
                "a control character in the file name, user name or password".to_owned(),
            ));
        }
        let mut line = verb.to_vec();
        if !argument.is_empty() || verb == b"PASS" {
            line.push(b' ');
        }
        line.extend_from_slice(argument);
        line.extend_from_slice(b"\r\n");
        let link = patient(&mut self.link, self.work)?;
        link.write_all(&line).and_then(|()| link.flush()).map_err(|error| broken(&error))
    }

    fn reply(&mut self) -> Result<Reply, Cause> {
        let mut reading = Reading::default();
        loop {
            let line = self.line()?;
            if let Some(reply) = reading.line(&line)? {
                return Ok(reply);
            }
        }
    }

    fn line(&mut self) -> Result<Vec<u8>, Cause> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                while line.last().is_some_and(|last| b"\r\n".contains(last)) {
                    line.pop();
                }
                return Ok(line);
            }
            if self.unread.len() > MAX_LINE {
                return Err(Cause::Server(format!("a line is longer than {MAX_LINE} octets")));
            }
            let mut block = [0; 1024];
            match patient(&mut self.link, self.work)?.read(&mut block) {
                Ok(0) => return Err(Cause::Unreachable("it closed the connection".to_owned())),
                Ok(amount) => self.unread.extend_from_slice(&block[..amount]),
                Err(error) => return Err(broken(&error)),
            }
        }
    }
}

/// A data connection on which each read has its own time.
struct Patient<'a> {
    link: &'a mut Link,
    work: &'a Work<'a>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.link.set_deadline(soon(self.work, self.work.limits.idle));
        self.link.read(buf)
    }
}

fn patient<'l>(link: &'l mut Option<Link>, work: &Work<'_>) -> Result<&'l mut Link, Cause> {
    work.check()?;
    let link = link.as_mut().ok_or_else(|| Cause::Unreachable("the connection is gone".to_owned()))?;
    link.set_deadline(soon(work, work.limits.idle));
    Ok(link)
}

fn soon(work: &Work<'_>, time: Duration) -> Instant {
    Instant::now().checked_add(time).map_or(work.deadline, |soon| soon.min(work.deadline))
}

fn broken(error: &io::Error) -> Cause {
    Cause::Unreachable(match error.kind() {
        io::ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => error.to_string(),
    })
}
