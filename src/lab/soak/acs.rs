//! An ACS on the loopback that does its work, and misbehaves at random: so many of a hundred requests get what no
//! agent should get.
//!
//! ```text
//! POST /acs    Inform ─► InformResponse; empty or an answer ─► a few requests, then 204
//! GET  /file   what a Download gets          PUT /file   where an Upload goes
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::dice::Dice;
use super::light::NAME;
use super::messages::{Ask, TABLE, answer, fault, id_of, rows, value};
use crate::http::serve::{Limits, Machine, Request};

/// How many of a hundred requests are answered badly.
const CHANCE: usize = 20;
/// The most requests of a session.
const MOST: usize = 5;
/// The rows that there are to be at most, unless answers are lost.
const ROWS: usize = 4;
/// Methods without arguments, the last one of nobody's.
const PLAIN: [&str; 3] = ["GetRPCMethods", "GetQueuedTransfers", "NoSuchMethod"];
/// The whole model; the numbers of its rows are persisted when they are told first.
const ALL: &str = "Device.";
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(20);
/// Requests of an agent are small; an Upload has a configuration.
const LIMITS: Limits = Limits { head: 16 * 1024, body: 8 << 20 };

/// What is done instead of an answer.
const TRICKS: [&str; 17] = [
    "hang-up",
    "reset",
    "503",
    "500",
    "404",
    "garbage",
    "spoiled",
    "slow",
    "fault",
    "wrong ID",
    "cut short",
    "long header",
    "silence",
    "redirect",
    "challenge",
    "empty",
    "huge length",
];

/// The running ACS; it ends with its value.
pub struct Acs {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// It behaves.
    calm: AtomicBool,
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dice: Option<Dice>,
    counts: BTreeMap<&'static str, u32>,
    rows: Vec<String>,
    /// The agent has been asked for everything: what it keeps from then on is all that there is.
    warm: bool,
    /// It has asked for lightweight notifications.
    notified: bool,
    /// The last ConnectionRequestURL that was told.
    url: String,
    ids: u32,
}

/// What one connection remembers.
#[derive(Default)]
struct Talk {
    informed: bool,
    asked: usize,
    /// How many requests this session is to have.
    wanted: usize,
    last: Option<Ask>,
}

impl Acs {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system's.
    pub fn start(seed: u32) -> io::Result<Acs> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.state().dice = Some(Dice::new(seed));
        let all = Arc::clone(&shared);
        thread::Builder::new().name("acs".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if all.stop.load(Ordering::SeqCst) {
                    return;
                }
                let one = Arc::clone(&all);
                // Without a thread for it the connection is closed, which is one more misbehaviour.
                let _ = thread::Builder::new().spawn(move || one.serve(stream, address));
            }
        })?;
        Ok(Acs { address, shared })
    }

    /// Where the agent finds it.
    pub fn url(&self) -> String {
        format!("http://{}/acs", self.address)
    }

    /// Behaves from now on, or misbehaves again.
    pub fn calm(&self, calm: bool) {
        self.shared.calm.store(calm, Ordering::SeqCst);
    }

    /// What has happened so far, and how often.
    pub fn counts(&self) -> BTreeMap<&'static str, u32> {
        self.shared.state().counts.clone()
    }

    /// How often one thing has happened.
    pub fn count(&self, what: &str) -> u32 {
        self.shared.state().counts.get(what).copied().unwrap_or_default()
    }

    /// Where the agent takes connection requests; empty before its first Inform.
    pub fn request_url(&self) -> String {
        self.shared.state().url.clone()
    }
}

impl Drop for Acs {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection to its end, whatever that is.
    fn serve(&self, mut stream: TcpStream, address: SocketAddr) {
        let _ = stream.set_read_timeout(Some(IDLE));
        let _ = stream.set_write_timeout(Some(IDLE));
        let _ = stream.set_nodelay(true);
        let (mut machine, mut talk) = (Machine::new(LIMITS), Talk::default());
        let mut block = [0; 8192];
        loop {
            match machine.request() {
                Ok(Some(request)) => {
                    let trick = self.trick();
                    if let Some(trick) = trick {
                        self.state().count(trick);
                    }
                    let reply = self.reply(&request, &mut talk, address);
                    let goes_on = send(&mut stream, &reply, trick, &request, self);
                    if !matches!(goes_on, Ok(true)) || !machine.answered(true) {
                        return;
                    }
                }
                Ok(None) => {
                    if machine.wants_continue() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
                    {
                        return;
                    }
                    match stream.read(&mut block) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => machine.receive(&block[..count]),
                    }
                }
                // The agent has sent what is no request.
                Err(_) => return self.state().count("not HTTP"),
            }
        }
    }

    /// What to do instead of answering well.
    fn trick(&self) -> Option<&'static str> {
        let calm = self.calm.load(Ordering::SeqCst);
        let mut state = self.state();
        let dice = state.dice.as_mut()?;
        (!calm && dice.percent(CHANCE)).then(|| *dice.pick(&TRICKS))
    }

    /// What an ACS answers that behaves: status and body.
    fn reply(&self, request: &Request, talk: &mut Talk, address: SocketAddr) -> (u16, Vec<u8>) {
        let mut state = self.state();
        match request.method.as_str() {
            "GET" => {
                state.count("downloads");
                // No configuration and no firmware: the transfer succeeds, and what it is for does not.
                let length = state.dice.as_mut().map_or(0, |dice| dice.below(60_000));
                let octets = state.dice.as_mut().map(|dice| dice.octets(length)).unwrap_or_default();
                return (200, octets);
            }
            "PUT" => {
                state.count("uploads");
                return (201, Vec::new());
            }
            _ => {}
        }
        let text = String::from_utf8_lossy(&request.body).into_owned();
        if text.contains(":Inform>") {
            let least = if state.notified { 0 } else { 2 };
            let wanted = state.dice.as_mut().map_or(0, |dice| dice.below(MOST + 1)).max(least);
            *talk = Talk { informed: true, wanted, ..Talk::default() };
            state.count("Informs");
            for code in ["2 PERIODIC", "6 CONNECTION REQUEST", "8 DIAGNOSTICS COMPLETE", "3 SCHEDULED"] {
                if text.contains(code) {
                    state.count(code);
                }
            }
            if let Some(url) = value(&text, "Device.ManagementServer.ConnectionRequestURL") {
                state.url = url;
            }
            return (200, answer(&text).into_bytes());
        }
        if !talk.informed {
            state.count("without an Inform");
            return (400, Vec::new());
        }
        if ["GetRPCMethods>", "GetRPCMethods/>", "TransferComplete>", "AutonomousTransferComplete>"]
            .iter()
            .any(|name| text.contains(&format!("cwmp:{name}")))
        {
            if text.contains("TransferComplete>") {
                state.count("TransferCompletes");
            }
            return (200, answer(&text).into_bytes());
        }
        state.learn(&text, talk.last.take().as_ref());
        if talk.asked >= talk.wanted {
            state.count("ended well");
            return (204, Vec::new());
        }
        talk.asked += 1;
        let ask = state.next(address);
        state.ids = state.ids.wrapping_add(1);
        let envelope = ask.envelope(&format!("s{}", state.ids));
        state.count("requests");
        talk.last = Some(ask);
        (200, envelope.into_bytes())
    }
}

impl State {
    fn count(&mut self, what: &'static str) {
        let count = self.counts.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    /// What an answer tells of the rows.
    fn learn(&mut self, answer: &str, last: Option<&Ask>) {
        if answer.contains("Fault>") {
            self.count("faults");
        }
        match last {
            Some(Ask::Add) => self.rows.extend(rows(answer)),
            Some(Ask::Names(TABLE)) => self.rows = rows(answer),
            Some(Ask::Notify(..)) => self.notified |= answer.contains("SetParameterAttributesResponse"),
            Some(Ask::Values(ALL)) => self.warm |= answer.contains("GetParameterValuesResponse"),
            _ => {}
        }
    }

    fn next(&mut self, address: SocketAddr) -> Ask {
        let Some(dice) = &mut self.dice else { return Ask::Plain("GetRPCMethods") };
        let url = format!("http://{address}/file");
        if !self.warm {
            return Ask::Values(ALL);
        }
        if !self.notified {
            return Ask::Notify(NAME, 6);
        }
        match dice.below(19) {
            0 => Ask::Values("Device.DeviceInfo."),
            1 => Ask::Values("Device.ManagementServer."),
            2 => Ask::Values(if dice.percent(10) { ALL } else { "Device.WiFi." }),
            3 => Ask::Values("Device.NoSuchThing"),
            4 => Ask::Names("Device."),
            5 | 6 => Ask::Names(TABLE),
            7 => Ask::Set(NAME, format!("soak-{}", dice.below(1000))),
            8 => Ask::Set("Device.ManagementServer.PeriodicInformTime", "no time".to_owned()),
            9 => Ask::Notify(NAME, u8::try_from(dice.below(7)).unwrap_or_default()),
            10 => Ask::Attributes(NAME),
            11 if self.rows.len() < ROWS => Ask::Add,
            11..=13 => self.rows.pop().map_or(Ask::Add, Ask::Delete),
            14 if dice.percent(50) => Ask::Download("3 Vendor Configuration File", url),
            14 => Ask::Download("1 Firmware Upgrade Image", url),
            15 => Ask::Upload(url),
            16 => Ask::Schedule(1 + u32::try_from(dice.below(5)).unwrap_or_default()),
            17 => Ask::Ping,
            _ => Ask::Plain(PLAIN[dice.below(PLAIN.len())]),
        }
    }
}

/// Answers, or does the trick instead; whether the connection goes on.
fn send(
    stream: &mut TcpStream,
    (status, body): &(u16, Vec<u8>),
    trick: Option<&'static str>,
    request: &Request,
    shared: &Shared,
) -> io::Result<bool> {
    let mut dice = Dice::new(shared.state().dice.as_mut().map_or(1, Dice::roll));
    let text = String::from_utf8_lossy(&request.body);
    let Some(trick) = trick else {
        stream.write_all(&http(*status, "", body))?;
        return Ok(true);
    };
    match trick {
        "hang-up" => return Ok(false),
        "reset" => {
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&*stream, sockopt::Linger, &linger)?;
            return Ok(false);
        }
        "503" => stream.write_all(&http(503, "Retry-After: 1\r\n", b""))?,
        "500" => stream.write_all(&http(500, "", b"<html>sorry</html>"))?,
        "404" => stream.write_all(&http(404, "", b"gone"))?,
        "garbage" => {
            let count = 1 + dice.below(3000);
            stream.write_all(&dice.octets(count))?;
            return Ok(false);
        }
        "spoiled" => stream.write_all(&http(*status, "", &dice.spoil(body)))?,
        "slow" => {
            let answer = http(*status, "", body);
            let (some, rest) = answer.split_at(answer.len().min(20));
            for octet in some {
                stream.write_all(&[*octet])?;
                thread::sleep(Duration::from_millis(50));
            }
            stream.write_all(rest)?;
        }
        "fault" => {
            let code = 8000 + u16::try_from(dice.below(7)).unwrap_or_default();
            stream.write_all(&http(200, "", fault(&id_of(&text), code).as_bytes()))?;
        }
        "wrong ID" => {
            let text = String::from_utf8_lossy(body);
            let id = id_of(&text);
            let wrong = text.replacen(&format!(">{id}<"), ">of another<", 1);
            stream.write_all(&http(*status, "", wrong.as_bytes()))?;
        }
        "cut short" => {
            let answer = http(*status, "", body);
            stream.write_all(&answer[..dice.below(answer.len())])?;
            let _ = stream.shutdown(Shutdown::Write);
            return Ok(false);
        }
        "long header" => {
            let header = format!("X-Long: {}\r\n", "x".repeat(1000 << dice.below(8)));
            stream.write_all(&http(*status, &header, body))?;
        }
        "silence" => {
            thread::sleep(Duration::from_secs(3));
            return Ok(false);
        }
        "redirect" => stream.write_all(&http(302, "Location: /acs\r\n", b""))?,
        "challenge" => {
            let nonce = dice.roll();
            let header =
                format!("WWW-Authenticate: Digest realm=\"soak\", qop=\"auth\", nonce=\"{nonce:08x}\"\r\n");
            stream.write_all(&http(401, &header, b""))?;
        }
        "empty" => stream.write_all(&http(200, "", b""))?,
        _ => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n")?;
            stream.write_all(body)?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn http(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: text/xml; charset=utf-8\r\n" };
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} Soak\r\n{headers}{kind}{length}\r\n");
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(stream: &mut TcpStream, body: &str) -> String {
        write!(stream, "POST /acs HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut block = vec![0; 65_536];
        let length = stream.read(&mut block).unwrap();
        String::from_utf8_lossy(&block[..length]).into_owned()
    }

    #[test]
    fn a_session_while_it_is_calm() {
        let acs = Acs::start(1).unwrap();
        acs.calm(true);
        let mut stream = TcpStream::connect(acs.address).unwrap();
        let inform = "<a:ID x=\"1\">4</a:ID><cwmp:Inform><EventCode>2 PERIODIC</EventCode>\
                      <Name>Device.ManagementServer.ConnectionRequestURL</Name><Value>http://u</Value></cwmp:Inform>";
        let said = post(&mut stream, inform);
        assert!(said.contains("InformResponse") && said.contains(">4<"), "{said}");
        let mut asked = 0;
        while !post(&mut stream, "").starts_with("HTTP/1.1 204") {
            asked += 1;
            assert!(asked <= MOST);
        }
        let count = |what: &str| acs.count(what);
        assert_eq!((count("Informs"), count("2 PERIODIC"), count("ended well")), (1, 1, 1));
        assert_eq!(acs.request_url(), "http://u");
        assert_eq!(usize::try_from(count("requests")).unwrap(), asked);
        assert!(TRICKS.iter().all(|trick| count(trick) == 0));
    }

    #[test]
    fn it_misbehaves_in_every_way() {
        let acs = Acs::start(2).unwrap();
        let seen = || TRICKS.iter().filter(|trick| acs.count(trick) > 0).count();
        for _ in 0..2000 {
            if seen() == TRICKS.len() {
                return;
            }
            if let Some(trick) = acs.shared.trick() {
                acs.shared.state().count(trick);
            }
        }
        panic!("{:?}", acs.counts());
    }
}
