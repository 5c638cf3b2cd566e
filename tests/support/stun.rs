//! STUN servers that nobody here wrote, signed datagrams, and what a router's configuration says of them.
#![allow(dead_code, clippy::unwrap_used)]

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use rcwmp::lab::router::{CONNECTION_REQUEST_USER, PASSWORD};
use sha1::Sha1;

use crate::agent::Router;

/// Says that something was not tested.
#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
pub fn skip(why: &str) {
    println!("skipped: {why}");
}

/// A program that is ended when dropped.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a program with its output to nowhere; `None`, with a word about it, where it is not installed.
    pub fn start(program: &str, arguments: &[&str]) -> Option<Server> {
        let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        match quiet(Command::new(program).args(arguments).stdin(Stdio::null())) {
            Ok(child) => Some(Server(child)),
            Err(_) => {
                skip(&format!("{program} not installed"));
                None
            }
        }
    }
}

/// Two free UDP ports on an address.
pub fn free_udp_ports(address: &str) -> [u16; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind((address, 0)).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

/// Waits until a STUN server answers a classic Binding Request.
pub fn wait_for_server(at: (&str, u16)) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let request = [&[0, 1, 0, 0][..], b"0123456789abcdef"].concat();
        let _ = socket.send_to(&request, at);
        if socket.recv(&mut [0; 1500]).is_ok() {
            return;
        }
        assert!(Instant::now() < end, "the STUN server does not answer");
        thread::sleep(Duration::from_millis(50));
    }
}

/// stund on the loopback: it answers to whom RESPONSE-ADDRESS says.
pub fn stund() -> Option<(Server, u16)> {
    let [port, other] = free_udp_ports("127.0.0.1");
    let (one, two) = (port.to_string(), other.to_string());
    let server = Server::start("stund", &["-h", "127.0.0.1", "-a", "127.0.0.2", "-p", &one, "-o", &two])?;
    wait_for_server(("127.0.0.1", port));
    Some((server, port))
}

/// coturn on the loopback, its files in a folder: it knows nothing of RESPONSE-ADDRESS.
pub fn coturn(folder: &Path) -> Option<(Server, u16)> {
    let [port, _] = free_udp_ports("127.0.0.1");
    let file = folder.join("turnserver.conf");
    let text = format!(
        "listening-ip=127.0.0.1\nlistening-port={port}\nstun-only\nno-tls\nno-dtls\nno-tcp\nno-cli\nno-auth\n\
         log-file={0}/turn.log\nuserdb={0}/turndb\npidfile={0}/turn.pid\n",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    let server = Server::start("turnserver", &["-c", file.to_str().unwrap()])?;
    wait_for_server(("127.0.0.1", port));
    Some((server, port))
}

/// Turns STUN on in a router's configuration.
pub fn set_stun(router: &Router, server: &str, port: u16, minimum: i64, maximum: i64) {
    let text = router.read("/etc/config/cwmp");
    let section = format!(
        "\nconfig stun 'stun'\n\toption enable '1'\n\toption server_address '{server}'\n\toption server_port \
         '{port}'\n\toption min_keepalive '{minimum}'\n\toption max_keepalive '{maximum}'\n"
    );
    router.write("/etc/config/cwmp", &(text + &section));
}

/// Seconds since 1970.
pub fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A connection request as GenieACS sends it, for the fixture's user.
pub fn request(at: &str, ts: u64, id: u32) -> String {
    request_by(PASSWORD, at, ts, id)
}

/// As [`request`], signed with this password.
pub fn request_by(password: &str, at: &str, ts: u64, id: u32) -> String {
    let (un, cn) = (CONNECTION_REQUEST_USER, "0123456789abcdef");
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(password.as_bytes()).unwrap();
    mac.update(format!("{ts}{id}{un}{cn}").as_bytes());
    let sig: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("GET http://{at}?ts={ts}&id={id}&un={un}&cn={cn}&sig={sig} HTTP/1.1\r\n\r\n")
}

/// Sends datagrams to an address from a socket that must get nothing back.
pub struct Sender(UdpSocket);

impl Sender {
    /// A socket on any port.
    pub fn open() -> Sender {
        Sender(UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    /// Sends it as often.
    pub fn send(&self, to: &str, datagram: impl AsRef<[u8]>, times: usize) {
        for _ in 0..times {
            self.0.send_to(datagram.as_ref(), to).unwrap();
        }
    }

    /// Nothing has come back, and nothing does for a while.
    #[track_caller]
    pub fn hears_nothing(&self) {
        self.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(self.0.recv(&mut [0; 16]).is_err(), "somebody answers");
    }
}
