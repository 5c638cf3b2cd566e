//! A small HTTP/1.1 server machine: octets in, requests out, one at a time.
//!
//! Pure: sockets and deadlines are the caller's. It serves the connection-request port, which faces
//! the open Internet, and the mini-ACS. Whatever is not plainly one request is refused, and a
//! refused or pipelined connection yields nothing more:
//!
//! ```text
//! receive(octets) ─► request() ─► None          more octets are needed
//!                           ├───► Some(request) answer it, then answered()
//!                           └───► Err(refusal)  answer with refusal.status and close
//! ```

use std::fmt;

/// How much one connection may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers, in octets.
    pub head: usize,
    /// The body, without the chunked coding, in octets.
    pub body: usize,
}

impl Limits {
    /// For connection requests: 8 KiB of head and a small body that is ignored.
    pub const CONNECTION_REQUEST: Limits = Limits { head: 8 * 1024, body: 4 * 1024 };
}

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The request target, as sent.
    pub target: String,
    /// Name and value of the headers in order; values are trimmed.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Whether the connection may stay open after the answer.
    pub keep_alive: bool,
}

impl Request {
    /// The values of a header, named in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path of the target, which may be in absolute form (RFC 9112 3.2.2), with its query.
    pub fn path(&self) -> &str {
        let is_absolute = self.target.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("http://"));
        match self.target.get(7..).filter(|_| is_absolute) {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => &self.target,
        }
    }
}

/// Why a connection is served no longer: the status to answer with, and the reason for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 413, 431, 501 or 505.
    pub status: u16,
    /// What was wrong.
    pub why: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request is refused with {}: {}", self.status, self.why)
    }
}

impl std::error::Error for Refusal {}

/// The most octets that the body of a request may have, by its head; `None`: the machine's limit.
pub type BodyRule = fn(&Request) -> Option<usize>;

/// The state of one connection.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    rule: BodyRule,
    buffer: Vec<u8>,
    state: State,
    wants_continue: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Body { request: Request, rest: Rest, body: Vec<u8>, limits: Limits },
    Answering { keep_alive: bool },
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    Length(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailer,
}

impl Machine {
    /// A machine for a new connection.
    pub fn new(limits: Limits) -> Machine {
        Machine::with_rule(limits, |_| None)
    }

    /// A machine for a new connection where some requests may have other bodies than most.
    pub fn with_rule(limits: Limits, rule: BodyRule) -> Machine {
        Machine { limits, rule, buffer: Vec::new(), state: State::Head, wants_continue: false }
    }

    /// Takes what came in. What comes before the answer to a request has been given is dropped, and
    /// the connection will be closed after the answer: pipelining is a client's fault (TR-069 3.4.6).
    pub fn receive(&mut self, octets: &[u8]) {
        match &mut self.state {
            State::Head | State::Body { .. } => self.buffer.extend_from_slice(octets),
            State::Answering { keep_alive } if !octets.is_empty() => *keep_alive = false,
            State::Answering { .. } | State::Over => {}
        }
    }

    /// The next request, if it is complete.
    pub fn request(&mut self) -> Result<Option<Request>, Refusal> {
        let result = self.advance();
        if result.is_err() {
            self.state = State::Over;
            self.buffer = Vec::new();
        }
        result
    }

    /// Whether the client waits for `100 Continue` before it sends the body; true once.
    pub fn wants_continue(&mut self) -> bool {
        std::mem::take(&mut self.wants_continue)
    }

    /// Whether anything of a request has come in yet.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && self.buffer.is_empty()
    }

    /// Tells that the answer was sent with this `Connection` wish; gives whether the connection is
    /// to be kept. If not, it yields nothing more.
    pub fn answered(&mut self, keep_alive: bool) -> bool {
        let keeps = keep_alive && matches!(self.state, State::Answering { keep_alive: true });
        self.state = if keeps { State::Head } else { State::Over };
        keeps
    }

    /// Whether the answer about to be written should say that the connection stays open.
    pub fn can_keep_alive(&self) -> bool {
        matches!(self.state, State::Answering { keep_alive: true })
    }

    fn advance(&mut self) -> Result<Option<Request>, Refusal> {
        if matches!(self.state, State::Head) {
            match self.parse_head()? {
                Some((request, rest, limits)) => {
                    self.state = State::Body { request, rest, body: Vec::new(), limits };
                }
                None => return Ok(None),
            }
        }
        let State::Body { rest, body, limits, .. } = &mut self.state else { return Ok(None) };
        if !take_body(&mut self.buffer, rest, body, *limits)? {
            return Ok(None);
        }
        self.wants_continue = false;
        let State::Body { mut request, body, .. } = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(None);
        };
        request.keep_alive &= self.buffer.is_empty();
        request.body = body;
        self.buffer = Vec::new();
        self.state = State::Answering { keep_alive: request.keep_alive };
        Ok(Some(request))
    }

    fn parse_head(&mut self) -> Result<Option<(Request, Rest, Limits)>, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let seen = &self.buffer[..self.buffer.len().min(self.limits.head)];
        let used = match parsed.parse(seen) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if self.buffer.len() > self.limits.head => {
                return Err(refuse(431, "the head is too long"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(refuse(431, "there are too many headers")),
            Err(httparse::Error::Version) => return Err(refuse(505, "it is not HTTP/1")),
            Err(_) => return Err(refuse(400, "it is not HTTP")),
        };
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(refuse(400, "the request line is incomplete"));
        };
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::with_capacity(parsed.headers.len()),
            body: Vec::new(),
            keep_alive: minor == 1,
        };
        for header in parsed.headers.iter() {
            let value =
                std::str::from_utf8(header.value).map_err(|_| refuse(400, "a header is not UTF-8"))?;
            request.headers.push((header.name.to_owned(), value.trim().to_owned()));
        }
        self.buffer.drain(..used);
        let limits = Limits { body: (self.rule)(&request).unwrap_or(self.limits.body), ..self.limits };
        let rest = framing(&request, minor, limits)?;
        let closes = request
            .all("connection")
            .flat_map(|list| list.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case("close"));
        request.keep_alive &= !closes;
        let expects = request.header("expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue"));
        self.wants_continue = expects && minor == 1 && !matches!(rest, Rest::Length(0));
        Ok(Some((request, rest, limits)))
    }
}

/// Writes a whole response. Header values with control characters are left out; there is no
/// `Server` header, as a port on the open Internet should not tell what serves it.
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8], keep_alive: bool) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        if !name.is_empty() && !name.chars().chain(value.chars()).any(char::is_control) {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if status >= 200 && status != 204 {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    if !keep_alive {
        out.push_str("Connection: close\r\n");
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    if status != 204 {
        out.extend_from_slice(body);
    }
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

fn refuse(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

// RFC 9112 6.3, with every doubtful combination refused. A missing Host is let pass: there is but
// one host here, and home-made ACSs forget it.
fn framing(request: &Request, minor: u8, limits: Limits) -> Result<Rest, Refusal> {
    if request.all("host").count() > 1 {
        return Err(refuse(400, "there are two Host headers"));
    }
    let mut lengths = request.all("content-length");
    let mut codings = request.all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(refuse(400, "both Content-Length and Transfer-Encoding")),
        (None, None) => Ok(Rest::Length(0)),
        (Some(_), None) if lengths.next().is_some() => Err(refuse(400, "two Content-Length headers")),
        (Some(digits), None) => {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(refuse(400, "Content-Length is not a number"));
            }
            match digits.parse() {
                Ok(length) if length <= limits.body => Ok(Rest::Length(length)),
                _ => Err(refuse(413, "the body is too long")),
            }
        }
        (None, Some(_)) if codings.next().is_some() => Err(refuse(400, "two Transfer-Encoding headers")),
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") && minor == 1 => Ok(Rest::ChunkSize),
        (None, Some(_)) => Err(refuse(501, "the Transfer-Encoding is unknown")),
    }
}

// Moves what it can from the buffer to the body; true once the body is complete.
fn take_body(
    buffer: &mut Vec<u8>,
    rest: &mut Rest,
    body: &mut Vec<u8>,
    limits: Limits,
) -> Result<bool, Refusal> {
    const MAX_LINE: usize = 256;
    loop {
        match *rest {
            Rest::Length(0) => return Ok(true),
            Rest::Length(left) | Rest::Chunk(left) => {
                let amount = left.min(buffer.len());
                body.extend(buffer.drain(..amount));
                let left = left - amount;
                match (*rest, left) {
                    (Rest::Chunk(_), 0) => *rest = Rest::ChunkEnd,
                    (Rest::Chunk(_), _) => *rest = Rest::Chunk(left),
                    _ => *rest = Rest::Length(left),
                }
                if left > 0 {
                    return Ok(false);
                }
            }
            Rest::ChunkEnd => match buffer.as_slice() {
                [b'\r', b'\n', ..] => {
                    buffer.drain(..2);
                    *rest = Rest::ChunkSize;
                }
                [] | [b'\r'] => return Ok(false),
                _ => return Err(refuse(400, "a chunk does not end where it should")),
            },
            Rest::ChunkSize => match httparse::parse_chunk_size(buffer) {
                Ok(httparse::Status::Complete((used, size))) if used <= MAX_LINE => {
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    if size > limits.body - body.len() {
                        return Err(refuse(413, "the body is too long"));
                    }
                    buffer.drain(..used);
                    *rest = if size == 0 { Rest::Trailer } else { Rest::Chunk(size) };
                }
                Ok(httparse::Status::Partial) if buffer.len() <= MAX_LINE => return Ok(false),
                _ => return Err(refuse(400, "a chunk size is no number")),
            },
            Rest::Trailer => match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) if end <= MAX_LINE => {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    if line == b"\r\n" || line == b"\n" {
                        *rest = Rest::Length(0);
                    }
                }
                None if buffer.len() <= MAX_LINE => return Ok(false),
                _ => return Err(refuse(400, "a trailer is too long")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: 512, body: 64 };

    fn read(text: &str) -> Result<Option<Request>, Refusal> {
        let mut machine = Machine::new(LIMITS);
        machine.receive(text.as_bytes());
        let whole = machine.request();
        let mut machine = Machine::new(LIMITS);
        let mut dripped = Ok(None);
        for byte in text.bytes() {
            machine.receive(&[byte]);
            dripped = machine.request();
            if !matches!(dripped, Ok(None)) {
                break;
            }
        }
        if let (Ok(Some(whole)), Ok(Some(dripped))) = (&whole, &dripped) {
            assert_eq!((&whole.body, &whole.headers), (&dripped.body, &dripped.headers), "{text:?}");
        } else {
            assert_eq!(whole.is_err(), dripped.is_err(), "{text:?}: {whole:?} {dripped:?}");
        }
        whole
    }

    fn body(text: &str) -> String {
        String::from_utf8(read(text).unwrap().unwrap().body).unwrap()
    }

    fn refused(text: &str, status: u16) {
        match read(text) {
            Err(refusal) => assert_eq!(refusal.status, status, "{text:?}: {refusal}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn requests() {
        let request = read("GET /x?y HTTP/1.1\r\nHost: a\r\nX:  b \r\n\r\n").unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path(), request.header("x")),
            ("GET", "/x?y", Some("b"))
        );
        assert!(request.keep_alive);
        let absolute = read("GET HTTP://cpe:7547/x HTTP/1.1\n\n").unwrap().unwrap();
        assert_eq!(absolute.path(), "/x");
        assert!(!read("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(!read("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").unwrap().unwrap().keep_alive);
        assert_eq!(read("GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
    }

    #[test]
    fn bodies() {
        assert_eq!(body("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), "hello");
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
        assert_eq!(body(&format!("{chunked}5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: r\r\n\r\n")), "hello!");
        assert_eq!(read(&format!("{chunked}5\r\nhel")), Ok(None));
        refused(&format!("{chunked}41\r\n"), 413);
        refused(&format!("{chunked}FFFFFFFFFFFFFFFFF\r\n"), 400);
        refused(&format!("{chunked}-1\r\n"), 400);
        refused(&format!("{chunked}1\r\nabc"), 400);
        refused(&format!("{chunked}0\r\n{}\r\n\r\n", "t".repeat(1000)), 400);
        refused(&format!("{chunked}1;{}\r\n", "e".repeat(1000)), 400);
    }

    #[test]
    fn bodies_by_rule() {
        let rule: BodyRule = |request| request.target.starts_with("/files/").then_some(10);
        let length = |target: &str, length: usize| {
            let mut machine = Machine::with_rule(LIMITS, rule);
            machine.receive(format!("PUT {target} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").as_bytes());
            machine.request().map(drop)
        };
        assert_eq!((length("/x", 64), length("/files/x", 10)), (Ok(()), Ok(())));
        assert_eq!(length("/files/x", 11).unwrap_err().status, 413);
    }

    #[test]
    fn doubtful_framing() {
        let post = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\nhello");
        refused(&post("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400);
        refused(&post("Content-Length: 5\r\nContent-Length: 5"), 400);
        refused(&post("Content-Length: +5"), 400);
        refused(&post("Content-Length: -1"), 400);
        refused(&post("Content-Length: 5, 5"), 400);
        refused(&post("Content-Length:"), 400);
        refused(&post("Content-Length: 99999999999999999999999"), 413);
        refused(&post("Content-Length: 65"), 413);
        refused(&post("Transfer-Encoding: gzip, chunked"), 501);
        refused(&post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400);
        refused(&post("Host: a\r\nHost: b"), 400);
        refused(&post("Content-Length : 5"), 400);
        refused(&post("X: a\r\n folded"), 400);
        refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501);
    }

    #[test]
    fn what_is_no_request() {
        for text in
            ["\x16\x03\x01\x02\x00\x01\x00", "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", "GET\r\n\r\n", "{}\r\n\r\n"]
        {
            refused(text, 400);
        }
        refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
        refused(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(600)), 431);
        refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65)), 431);
        let mut machine = Machine::new(LIMITS);
        machine.receive(&vec![b'A'; 1 << 20]);
        assert!(machine.request().is_err());
        machine.receive(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(machine.request(), Ok(None), "a refused connection yields nothing more");
    }

    #[test]
    fn one_request_at_a_time() {
        let one = b"GET /1 HTTP/1.1\r\n\r\n";
        let mut machine = Machine::new(LIMITS);
        assert!(machine.is_idle());
        machine.receive(one);
        assert!(machine.request().unwrap().unwrap().keep_alive && machine.can_keep_alive());
        assert_eq!(machine.request(), Ok(None));
        assert!(machine.answered(true));
        machine.receive(one);
        assert!(machine.request().unwrap().is_some());
        machine.receive(one); // before the answer
        assert!(!machine.can_keep_alive() && !machine.answered(true));
        assert_eq!(machine.request(), Ok(None));
        let mut machine = Machine::new(LIMITS);
        machine.receive(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
        assert!(!machine.request().unwrap().unwrap().keep_alive);
        assert!(!machine.answered(true));
        machine.receive(one);
        assert_eq!(machine.request(), Ok(None), "neither the second nor a third");
    }

    #[test]
    fn continue_is_wanted_once() {
        let mut machine = Machine::new(LIMITS);
        machine.receive(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(machine.request(), Ok(None));
        assert!(machine.wants_continue() && !machine.wants_continue());
        machine.receive(b"ok");
        assert_eq!(machine.request().unwrap().unwrap().body, b"ok");
    }

    #[test]
    fn responses() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(text(response(200, &[], b"", true)), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(
            text(response(204, &[], b"x", false)),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(text(response(100, &[], b"", true)), "HTTP/1.1 100 Continue\r\n\r\n");
        let split = response(200, &[("A", "b"), ("C", "d\r\nE: f")], b"hi", true);
        assert_eq!(text(split), "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
    }
}
