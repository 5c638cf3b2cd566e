//! Any octets as an ACS's answers: whatever they are, a post ends, what it gives is within its bound, and what was sent
//! is one request at a time.
//!
//! The first octet says how much comes at a time and the second what is agreed on; `\0\n` ends a connection.

use std::sync::Arc;

use rcwmp::http::auth::{self, Authorization, Credentials};
use rcwmp::http::body::Compression;
use rcwmp::http::client::{Post, Session, Settings};
use rcwmp::http::cookie::Jar;
use rcwmp::http::serve::{Limits, Machine};
use rcwmp::http::url::Url;

use super::wire::{self, Script};

const MAX_REPLY: usize = 64 * 1024;

/// One input.
pub fn run(octets: &[u8]) {
    let [step, agreed, rest @ ..] = octets else { return };
    let rest = at_home(rest);
    let mut said = vec![Vec::new()];
    let mut left = rest.as_slice();
    while let Some(first) = left.first() {
        match left {
            [0, b'\n', after @ ..] => {
                said.push(Vec::new());
                left = after;
            }
            [_, after @ ..] => {
                said.last_mut().expect("never empty").push(*first);
                left = after;
            }
            [] => {}
        }
    }
    said.truncate(16);
    let script = Script::new(said, 1 + usize::from(*step) * 16);
    let who = Credentials::new("cpe", "secret");
    let mut settings = Settings::new(format!("https://{}/acs", wire::address()));
    settings.tls = Some(Arc::new(script.clone()));
    settings.max_reply = MAX_REPLY;
    if agreed & 1 == 0 {
        settings.credentials = who.clone();
    }
    settings.compression = match agreed >> 1 & 3 {
        0 => Compression::Gzip,
        1 => Compression::Deflate,
        _ => Compression::None,
    };
    let mut session = Session::new(settings).expect("a URL of ours");
    for post in [Post::Soap(b"<Envelope/>"), Post::Empty, Post::Soap(b"")] {
        match session.post(post) {
            Ok(reply) => {
                assert!([200, 201, 202, 204].contains(&reply.status));
                assert!(reply.body.len() <= MAX_REPLY);
            }
            Err(why) => {
                assert!(why.explain().len() <= 16 * 1024, "{}", why.explain().len());
                break;
            }
        }
    }
    assert!(session.connects() <= 32);
    assert!(session.url().host == "127.0.0.1", "{:?}", session.url());
    let heard = script.heard();
    assert!(heard.len() <= 64, "{} requests", heard.len());
    heard.iter().for_each(|octets| request(octets, &who));
    pieces(&rest);
}

/// One whole request, whatever cookies and challenges were in the answers.
fn request(octets: &[u8], who: &Credentials) {
    let mut machine = Machine::new(Limits { head: 64 * 1024, body: 64 * 1024 });
    machine.receive(octets);
    let request = match machine.request() {
        Ok(Some(request)) => request,
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(octets)),
    };
    assert!(request.method == "POST" && request.keep_alive, "{request:?}");
    assert_eq!(request.all("host").count(), 1);
    let mut logins = request.all("authorization");
    if let Some(login) = logins.next() {
        match auth::parse_authorization(login) {
            Ok(Authorization::Basic(given)) => assert!(&given == who),
            Ok(Authorization::Digest(digest)) => {
                assert!(digest.proves(who, &digest.realm, "POST", &request.body), "{login}");
                assert_eq!(digest.uri, request.target);
            }
            other => panic!("{other:?} of {login}"),
        }
    }
    assert!(logins.next().is_none());
}

/// The parts of an answer on their own: cookies, and redirects to anywhere.
fn pieces(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (mut jar, home) = (Jar::new(), Url::parse("https://acs.example/path?query").expect("a URL"));
    for line in text.split('\n').take(64) {
        let _ = jar.store(line, true, Some(2_000_000_000));
        for url in [Url::parse(line), home.join(line)] {
            match url {
                Ok(url) => {
                    let again = Url::parse(&url.to_string());
                    assert_eq!(again.as_ref(), Ok(&url), "{url}");
                }
                Err(why) => assert!(why.to_string().len() < 4096),
            }
        }
    }
    if let Some(header) = jar.header(true) {
        assert!(header.len() <= rcwmp::http::cookie::MAX_HEADER);
        assert!(!header.bytes().any(|octet| octet.is_ascii_control()), "{header:?}");
    }
}

/// The same without redirects to elsewhere: nobody but this thread is to be connected to.
fn at_home(octets: &[u8]) -> Vec<u8> {
    let mut out = octets.to_vec();
    let mut from = 0;
    while let Some(at) = out[from..].windows(9).position(|word| word.eq_ignore_ascii_case(b"location:")) {
        let start = from + at;
        from = start + 9;
        let value: Vec<u8> =
            out[from..].iter().copied().skip_while(|octet| b" \t".contains(octet)).take(2).collect();
        if !matches!(value[..], [b'/', next] if next.is_ascii_alphanumeric()) {
            out[start] = b'X';
        }
    }
    out
}
