//! The doors for connection requests stand where the way to the ACS begins, and nowhere else (TR-069 3.2.2): IPv6 as
//! IPv4, and not on other addresses of the machine.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/stun.rs"]
mod stun;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use play::{Knock, end, inform_with, knock, methods, request_url, router};
use scripted::Scripted;
use stun::{epoch, request};

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("skipped: {why}");
}

/// Host and port of a URL.
fn place(url: &str) -> String {
    url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned()
}

/// A first session, and two for connection requests: by HTTP, and by UDP.
fn steps() -> Vec<scripted::Step> {
    vec![
        inform_with(&["0 BOOTSTRAP"]),
        methods(),
        end(),
        inform_with(&["6 CONNECTION REQUEST"]),
        end(),
        inform_with(&["6 CONNECTION REQUEST"]),
        end(),
    ]
}

#[test]
fn an_acs_with_ipv6_only() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("no IPv6 on the loopback");
    }
    let acs = Scripted::start_on("[::1]:0", steps());
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    let at: SocketAddr = place(&url).parse().unwrap();
    assert!(url.starts_with("http://[::1]:") && at.is_ipv6(), "a literal stands in brackets: {url}");
    assert_eq!(knock(&url, Knock { password: Some("guess"), ..Knock::default() }), 401);
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.send_to(request(&place(&url), epoch(), 3).as_bytes(), at).unwrap();
    agent.wait_for("End session", 3);
    assert!(TcpStream::connect(("127.0.0.1", at.port())).is_err(), "not for IPv4 too");
    acs.finish();
}

#[test]
fn only_on_the_address_that_leads_to_the_acs() {
    let acs = Scripted::start(steps());
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("End session", 1);
    let url = request_url(&acs.seen()[0].text());
    let port = place(&url).parse::<SocketAddr>().unwrap().port();
    // The whole of 127.0.0.0/8 is this machine: a port on all addresses would be there.
    for other in ["127.0.0.2", "127.1.2.3"] {
        assert!(TcpStream::connect((other, port)).is_err(), "{other}");
        let taken = UdpSocket::bind((other, port));
        assert!(taken.is_ok(), "{other}: {taken:?}");
    }
    if TcpListener::bind("[::1]:0").is_ok() {
        assert!(TcpStream::connect(("::1", port)).is_err());
    }
    assert_eq!(knock(&url, Knock::default()), 200);
    agent.wait_for("End session", 2);
    let sender = stun::Sender::open();
    sender.send(&place(&url), request(&place(&url), epoch(), 3), 3);
    agent.wait_for("End session", 3);
    sender.hears_nothing();
    acs.finish();
}
