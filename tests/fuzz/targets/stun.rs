//! Any answers of any server at any time: the client of STUN believes the right one, and sends no floods.
//!
//! The input is pieces of a length, an octet that says how each comes, and its octets.

use std::net::SocketAddr;
use std::time::Duration;

use rcwmp::connreq::binding::{Client, Port, Settings};
use rcwmp::connreq::stun;

/// One input.
pub fn run(octets: &[u8]) {
    for password in [None, Some("secret")] {
        if let Ok(response) = stun::read(octets, password) {
            assert!(!response.is_proven || password.is_some());
            assert_eq!(usize::from(octets[3]) + 256 * usize::from(octets[2]) + 20, octets.len());
        }
    }
    let settings = Settings {
        username: "cpe".into(),
        password: "secret".into(),
        minimum: Duration::from_secs(30),
        maximum: octets.first().filter(|first| **first & 1 == 1).map(|_| Duration::from_secs(300)),
    };
    let server: SocketAddr = ([192, 0, 2, 1], 3478).into();
    let other: SocketAddr = ([192, 0, 2, 2], 3478).into();
    let start = Duration::from_secs(100);
    let mut now = start;
    let mut client = Client::new(settings, server, None, now);
    let (mut id, mut sent, mut kicked) = ([0_u8; 16], 0, 0);
    let mut rest = octets;
    for _ in 0..200 {
        while let Some(datagram) = client.tick(now, &mut |octets| {
            id[0] = id[0].wrapping_add(1);
            octets.copy_from_slice(&id[..octets.len()]);
        }) {
            request(&datagram.bytes);
            assert!(datagram.from == Port::First || client.searches());
            sent += 1;
            assert!(sent < 2000, "a flood");
        }
        assert!(client.deadline() > now, "it does not wait");
        let Some((how, piece)) = next(&mut rest) else { break };
        let mut answer = piece.to_vec();
        if how & 1 == 1 && answer.len() >= 20 {
            answer[4..20].copy_from_slice(&id);
            let length = u16::try_from(answer.len() - 20).unwrap_or(0).to_be_bytes();
            answer[2..4].copy_from_slice(&length);
        }
        let at = if how & 2 == 0 { Port::First } else { Port::Second };
        let from = if how & 4 == 0 { server } else { other };
        let before = client.binding();
        let changed = client.receive(at, from, &answer, now);
        assert_eq!(changed, client.binding() != before);
        if changed {
            kicked += 1;
            assert!(how & 1 == 1 || answer.get(4..20) == Some(&id[..]), "another transaction");
            assert!(at == Port::First && from == server);
            let binding = client.binding().expect("it has changed");
            assert!(binding.port() != 0 && !binding.ip().is_unspecified());
        }
        now = match how >> 3 {
            0..8 => now,
            8..24 => now.max(client.deadline()),
            more => now + Duration::from_secs(u64::from(more) * 10),
        };
    }
    // A server that says something else each time makes few sessions: a change, its announcement, and a pause.
    let periods = (now - start).as_secs() / 30 + 1;
    assert!(kicked <= 2 * periods + 2, "{kicked} changes in {periods} periods");
}

/// What we send says of itself how long it is, in attributes that fill it.
fn request(bytes: &[u8]) {
    assert!(bytes.len() >= 20 && bytes[..2] == [0, 1]);
    let mut rest = &bytes[20..];
    assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), rest.len());
    while let [_, _, high, low, after @ ..] = rest {
        rest = &after[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    assert!(rest.is_empty());
}

fn next<'o>(rest: &mut &'o [u8]) -> Option<(u8, &'o [u8])> {
    let [length, how, after @ ..] = *rest else { return None };
    let (piece, after) = after.split_at(usize::from(*length).min(after.len()));
    *rest = after;
    Some((*how, piece))
}
