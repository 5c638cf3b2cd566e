//! Ten thousand hostile datagrams in process, to the rule of connection requests and to the STUN client: no panic, no
//! growth, and after each the next honest one counts. Many are signed by who knows the password, and wrong otherwise.
//!
//! The daemon gets as many over a socket in `connreq_generated.rs`.
#![cfg(all(feature = "lab", feature = "stun"))]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/growth.rs"]
mod growth;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use rcwmp::connreq::binding::{Client, Port, Settings};
use rcwmp::connreq::udp::{self, Last};
use rcwmp::http::auth::Credentials;
use rcwmp::lab::soak::dice::Dice;
use sha1::Sha1;

/// Another seed is another test: `SEED=7 cargo test --test datagrams_generated`.
const SEED: u32 = 20_261_122;
const COUNT: usize = 10_000;
const USER: &str = "acs";
const PASSWORD: &str = "s3cret";
const NOW: u64 = 1_790_000_000;

fn seed() -> u32 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn mac(key: &str, text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn request([ts, id, un, cn]: [&str; 4], sig: &str) -> String {
    format!("GET http://192.0.2.2:7547?ts={ts}&id={id}&un={un}&cn={cn}&sig={sig} HTTP/1.1\r\n\r\n")
}

fn signed_by(password: &str, fields: [&str; 4]) -> String {
    request(fields, &hex(&mac(password, fields.concat().as_bytes())))
}

fn signed(fields: [&str; 4]) -> String {
    signed_by(PASSWORD, fields)
}

/// A datagram that must not count, after these that did.
fn hostile(dice: &mut Dice, last: &Last, before: &Last) -> (&'static str, Vec<u8>) {
    let (time, later, far) = (last.time.to_string(), (last.time + 1).to_string(), (NOW * 2).to_string());
    let (id, cn) = (format!("h{}", dice.roll()), hex(&dice.octets(8)));
    let (id, cn) = (id.as_str(), cn.as_str());
    let earlier = (last.time - 1 - u64::from(dice.roll() >> 12)).to_string();
    let long = "9".repeat(257);
    let good = signed([&later, id, USER, cn]);
    let tail = &later[later.len() - 1..];
    let sig = hex(&mac(PASSWORD, format!("{later}{id}{USER}{cn}").as_bytes()));
    let said = match dice.below(28) {
        // Signed, and wrong.
        0 => ("a replay", signed([&time, &last.id, USER, "replayed"])),
        1 => ("an old replay", signed([&before.time.to_string(), &before.id, USER, "replayed"])),
        2 => ("the same time", signed([&time, id, USER, cn])),
        3 => ("an old time", signed([&earlier, id, USER, cn])),
        4 => ("the same ID", signed([&later, &last.id, USER, cn])),
        5 => ("another user", signed([&later, id, "Acs", cn])),
        6 => ("no user", signed([&later, id, "", cn])),
        7 => ("no ID", signed([&later, "", USER, cn])),
        8 => ("no nonce", signed([&later, id, USER, ""])),
        9 => ("a long ID", signed([&later, &long, USER, cn])),
        10 => ("a time of eleven digits", signed([&format!("0{later}"), id, USER, cn])),
        11 => ("a time of milliseconds", signed([&format!("{later}000"), id, USER, cn])),
        12 => ("a negative time", signed([&format!("-{}", &later[1..]), id, USER, cn])),
        13 => ("a time of 65 bits", signed(["36893488147419103232", id, USER, cn])),
        14 => ("POST", good.replace("GET", "POST")),
        15 => ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0")),
        16 => ("a path", good.replace(":7547?", ":7547/x?")),
        17 => ("a time there twice", good.replace("&id=", &format!("&ts={later}&id="))),
        18 => ("too long", good.clone() + &"x".repeat(2048)),
        // What moves between the fields that are signed.
        19 => ("a digit to the ID", request([&later[..9], &format!("{tail}{id}"), USER, cn], &sig)),
        20 => {
            let sig = hex(&mac(PASSWORD, format!("{time}7{id}{USER}{cn}").as_bytes()));
            ("a digit to the time", request([&format!("{time}7"), id, USER, cn], &sig))
        }
        21 => {
            let sig = hex(&mac(PASSWORD, format!("{time}{id}{USER}x{USER}{cn}").as_bytes()));
            let id = format!("{id}{USER}x");
            ("of an old one, the user found further on", request([&time, &id, USER, cn], &sig))
        }
        // Not signed by who knows the password.
        22 => ("guessed", signed_by("guess", [&far, id, USER, cn])),
        23 => ("a signature that is cut", request([&later, id, USER, cn], &sig[..38])),
        24 => ("no signature", request([&later, id, USER, cn], "")),
        25 => {
            let end = dice.below(good.len());
            ("cut", good[..end].to_owned())
        }
        26 => return ("noise", [b"G", &dice.octets(200)[..]].concat()),
        _ => {
            let spoiled = dice.spoil(signed_by("guess", [&later, id, USER, cn]).as_bytes());
            return ("spoiled", spoiled);
        }
    };
    (said.0, said.1.into_bytes())
}

/// Ten thousand inputs, of which the last nine tenths leave nothing behind.
fn settled(one: &mut impl FnMut(usize)) {
    (0..COUNT / 10).for_each(&mut *one);
    growth::leaves_nothing(&format!("SEED={}", seed()), 0, || (COUNT / 10..COUNT).for_each(one));
}

#[test]
fn ten_thousand_requests_by_udp() {
    let who = Credentials::new(USER, PASSWORD);
    let mut dice = Dice::new(seed());
    let mut last = Last { time: NOW, id: "first".to_owned() };
    let mut before = Last { time: NOW - 1, id: "zeroth".to_owned() };
    let mut seen = std::collections::BTreeMap::new();
    let mut one = |at: usize| {
        let (what, datagram) = hostile(&mut dice, &last, &before);
        let place = format!("SEED={} {at}, {what}: {:?}", seed(), String::from_utf8_lossy(&datagram));
        *seen.entry(what).or_insert(0) += 1;
        let start = Instant::now();
        let why = udp::check(&datagram, &who, Some(&last)).expect_err(&place);
        assert!(!why.contains(PASSWORD) && start.elapsed() < Duration::from_secs(2), "{place}");
        // The next honest one counts, three times sent, once.
        let (time, id) = ((last.time + 1).to_string(), at.to_string());
        let honest = signed([&time, &id, USER, "0123456789abcdef"]);
        let accepted = udp::check(honest.as_bytes(), &who, Some(&last));
        let accepted = accepted.unwrap_or_else(|why| panic!("{why}: honest after {place}"));
        assert_eq!((accepted.time, &accepted.id), (last.time + 1, &id));
        before = std::mem::replace(&mut last, accepted);
        for _ in 0..2 {
            udp::check(honest.as_bytes(), &who, Some(&last)).expect_err(&place);
        }
    };
    settled(&mut one);
    assert_eq!(seen.len(), 28, "{seen:?}");
}

/// An answer with a mapped address, and MESSAGE-INTEGRITY as RFC 3489 makes it.
fn mapped(request: &[u8], at: [u8; 6], password: Option<&str>) -> Vec<u8> {
    let mut text = [&[1, 1, 0, 12][..], &request[4..20], &[0, 1, 0, 8, 0, 1], &at[4..], &at[..4]].concat();
    if let Some(password) = password {
        text[3] += 24;
        let mut filled = text.clone();
        filled.resize(filled.len().next_multiple_of(64), 0);
        text.extend([0, 8, 0, 20]);
        text.extend(mac(password, &filled));
    }
    text
}

#[test]
fn ten_thousand_answers_of_stun() {
    const OURS: [u8; 6] = [198, 51, 100, 7, 0x30, 0x39];
    const EVIL: [u8; 6] = [203, 0, 113, 6, 0x10, 0x01];
    let server: SocketAddr = "192.0.2.1:3478".parse().unwrap();
    let stranger: SocketAddr = "192.0.2.66:3478".parse().unwrap();
    let settings = Settings {
        username: "cpe".to_owned(),
        password: "stun".into(),
        minimum: Duration::from_secs(10),
        maximum: Some(Duration::from_secs(10)),
    };
    let mut dice = Dice::new(seed());
    let mut now = Duration::from_secs(1000);
    let mut client = Client::new(settings, server, None, now);
    // Asks as the daemon does, and gives the request.
    let ask = |client: &mut Client, dice: &mut Dice, now: &mut Duration| {
        *now = (*now).max(client.deadline());
        let octets = dice.octets(16);
        let sent = client.tick(*now, &mut |to: &mut [u8]| to.copy_from_slice(&octets[..to.len()]));
        sent.map(|sent| sent.bytes)
    };
    let first = ask(&mut client, &mut dice, &mut now).unwrap();
    let refusal = |request: &[u8], code: u8| {
        [&[1, 0x11, 0, 8][..], &request[4..20], &[0, 9, 0, 4, 0, 0, 4, code]].concat()
    };
    client.receive(Port::First, server, &refusal(&first, 1), now);
    let ours = SocketAddr::from(([OURS[0], OURS[1], OURS[2], OURS[3]], 0x3039));
    let mut one = |at: usize| {
        let request = loop {
            if let Some(request) = ask(&mut client, &mut dice, &mut now) {
                break request;
            }
        };
        let told = client.binding();
        let other = [&request[..4], &dice.octets(16)].concat();
        let (from, datagram) = match dice.below(8) {
            0 => (server, mapped(&other, EVIL, Some("stun"))),
            1 => (server, mapped(&request, EVIL, None)),
            2 => (server, mapped(&request, EVIL, Some("guess"))),
            3 => (stranger, mapped(&request, EVIL, Some("stun"))),
            4 => (server, dice.spoil(&mapped(&request, EVIL, Some("guess")))),
            5 => (server, dice.spoil(&refusal(&request, 1))),
            6 => (server, refusal(&other, 0)),
            _ => (server, [&[1, 1], &dice.octets(60)[..]].concat()),
        };
        let place = format!("SEED={} {at}, from {from}: {datagram:02x?}", seed());
        assert!(!client.receive(*dice.pick(&[Port::First, Port::Second]), from, &datagram, now), "{place}");
        assert_eq!(client.binding(), told, "{place}");
        // The next honest answer counts, to this request or, where an error was believed, to the next.
        let mut asked = request;
        client.receive(Port::First, server, &mapped(&asked, OURS, Some("stun")), now);
        while client.failures() > 0 || client.binding() != Some(ours) {
            if let Some(next) = ask(&mut client, &mut dice, &mut now) {
                asked = next;
            }
            client.receive(Port::First, server, &mapped(&asked, OURS, Some("stun")), now);
            assert!(now < Duration::from_secs(1000 + 60 * (at as u64 + 1)), "{place}");
        }
        assert_eq!(client.binding(), Some(ours), "{place}");
    };
    settled(&mut one);
}
