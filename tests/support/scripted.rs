//! A scripted HTTP server on loopback: numbered steps, one for each request, that can misbehave.
//!
//! ```text
//! let acs = Scripted::start(vec![step().status(401).header("WWW-Authenticate", "Basic"), step().status(204)]);
//! … talk to acs.url() …
//! let seen = acs.finish(); // panics with the step's number if the script was not followed to its end
//! ```
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which connection it came over, counted from 1.
    pub connection: usize,
    /// Request line and headers, as sent.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header, trimmed, or `None`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or_default()
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.head.split_whitespace().next().unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Answer = Box<dyn FnOnce(&Seen) -> Step + Send>;

/// What the server does with one request.
#[derive(Default)]
pub struct Step {
    status: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    raw: Option<Vec<u8>>,
    chunked: bool,
    drip: Option<Duration>,
    wait: Option<Duration>,
    close: bool,
    computed: Option<Answer>,
}

/// An empty step, to be completed by its methods; as it is, it answers nothing.
pub fn step() -> Step {
    Step::default()
}

impl Step {
    /// Answers with a status and `Content-Length`.
    pub fn status(mut self, code: u16) -> Step {
        self.status = Some(format!("{code:03} Scripted"));
        self
    }

    /// Whether it answers with this status.
    pub fn is_status(&self, code: &str) -> bool {
        self.status.as_deref().is_some_and(|status| status.starts_with(code))
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Step {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Gives the body.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Step {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sends the body in chunks of five octets.
    pub fn chunked(mut self) -> Step {
        self.chunked = true;
        self
    }

    /// Sends exactly these octets instead of a well-formed answer.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Step {
        self.raw = Some(bytes.as_ref().to_vec());
        self
    }

    /// Sends octet by octet with this pause after each.
    pub fn drip(mut self, pause: Duration) -> Step {
        self.drip = Some(pause);
        self
    }

    /// Waits before answering.
    pub fn wait(mut self, time: Duration) -> Step {
        self.wait = Some(time);
        self
    }

    /// Closes the connection afterwards, without announcing it.
    pub fn close(mut self) -> Step {
        self.close = true;
        self
    }

    /// Makes the step from the request.
    pub fn computed(mut self, answer: impl FnOnce(&Seen) -> Step + Send + 'static) -> Step {
        self.computed = Some(Box::new(answer));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let Some(status) = &self.status else { return Vec::new() };
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut body = self.body.clone();
        if self.chunked {
            head += "Transfer-Encoding: chunked\r\n";
            body = self
                .body
                .chunks(5)
                .flat_map(|c| [format!("{:X};x=y\r\n", c.len()).as_bytes(), c, b"\r\n"].concat())
                .collect();
            body.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
        } else if !status.starts_with("204") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        [head.into_bytes(), body].concat()
    }
}

/// A connection, plain or wrapped.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

type Wrap = dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync;

/// The running server.
pub struct Scripted {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    steps: Mutex<VecDeque<(usize, Step)>>,
    seen: Mutex<Vec<Seen>>,
    fault: Mutex<Option<String>>,
    connections: AtomicUsize,
    stop: AtomicBool,
}

impl Scripted {
    /// Serves the steps over plain HTTP.
    pub fn start(steps: Vec<Step>) -> Scripted {
        Scripted::start_on("127.0.0.1:0", steps)
    }

    /// Serves the steps on an address of its own, such as `[::1]:0`.
    pub fn start_on(address: &str, steps: Vec<Step>) -> Scripted {
        Scripted::start_with(address, "http", steps, |stream| Some(Box::new(stream)))
    }

    /// Serves the steps over what `wrap` makes of a connection; `None` drops it.
    pub fn start_with(
        address: &str,
        scheme: &'static str,
        steps: Vec<Step>,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind(address).expect("a loopback port");
        let shared = Arc::new(Shared {
            steps: Mutex::new(steps.into_iter().enumerate().map(|(at, step)| (at + 1, step)).collect()),
            seen: Mutex::new(Vec::new()),
            fault: Mutex::new(None),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let server = Scripted { address: listener.local_addr().unwrap(), scheme, shared: shared.clone() };
        let wrap: Arc<Wrap> = Arc::new(wrap);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (shared, wrap) = (shared.clone(), wrap.clone());
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
                    let _ = stream.set_nodelay(true);
                    if let Some(stream) = wrap(stream) {
                        serve(&shared, number, stream);
                    }
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:port/acs`.
    pub fn url(&self) -> String {
        format!("{}://{}/acs", self.scheme, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends the script and gives the requests; panics if steps are left over or one too many came.
    #[track_caller]
    pub fn finish(self) -> Vec<Seen> {
        if let Some(fault) = self.shared.fault.lock().unwrap().take() {
            panic!("{fault}");
        }
        let left: Vec<_> = self.shared.steps.lock().unwrap().iter().map(|(number, _)| *number).collect();
        assert!(left.is_empty(), "the script was left before steps {left:?}");
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, connection: usize, mut stream: Box<dyn Stream>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(connection, &mut stream, &mut buffer) {
        shared.seen.lock().unwrap().push(seen.clone());
        let Some((number, mut step)) = shared.steps.lock().unwrap().pop_front() else {
            *shared.fault.lock().unwrap() = Some(format!("a request beyond the script:\n{}", seen.head));
            return;
        };
        while let Some(answer) = step.computed.take() {
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| answer(&seen))) {
                Ok(made) => step = made,
                Err(_) => {
                    *shared.fault.lock().unwrap() = Some(format!("step {number} panicked"));
                    return;
                }
            }
        }
        if let Some(time) = step.wait {
            thread::sleep(time);
        }
        let bytes = step.bytes();
        let sent = match step.drip {
            None => stream.write_all(&bytes).and_then(|()| stream.flush()),
            Some(pause) => bytes.iter().try_for_each(|byte| {
                thread::sleep(pause);
                stream.write_all(&[*byte]).and_then(|()| stream.flush())
            }),
        };
        if sent.is_err() || step.close {
            return;
        }
    }
}

fn read_request(connection: usize, stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let mut block = [0; 4096];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let seen = Seen { connection, head, body: Vec::new() };
            let length: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some(Seen { body, ..seen });
            }
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(amount) => buffer.extend_from_slice(&block[..amount]),
        }
    }
}
