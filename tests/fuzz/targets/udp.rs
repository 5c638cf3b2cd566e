//! Any datagram as a connection request: what is accepted is signed, and is accepted once. And any fields with a right
//! signature: no other fields have the same one.

use hmac::{Hmac, Mac};
use rcwmp::connreq::udp::{self, Last, MAX_DATAGRAM};
use rcwmp::http::auth::Credentials;
use sha1::Sha1;

const SECRET: &str = "secret";

/// One input.
pub fn run(octets: &[u8]) {
    datagram(octets);
    fields(octets);
}

fn datagram(octets: &[u8]) {
    let who = Credentials::new("acs", SECRET);
    let last = match udp::check(octets, &who, None) {
        Ok(last) => last,
        Err(why) => return assert!(!why.is_empty()),
    };
    assert!(octets.len() <= MAX_DATAGRAM && !udp::is_stun(octets));
    assert!(!last.id.is_empty() && last.id.len() <= 256);
    assert!((1_000_000_000..=9_999_999_999).contains(&last.time));
    // Again, out of order, and for others.
    assert!(udp::check(octets, &who, Some(&last)).is_err());
    assert!(udp::check(octets, &who, Some(&Last { time: u64::MAX, id: String::new() })).is_err());
    let earlier = Last { time: last.time - 1, id: format!("{}x", last.id) };
    assert_eq!(udp::check(octets, &who, Some(&earlier)).as_ref(), Ok(&last));
    let same = Last { id: last.id.clone(), ..earlier };
    assert!(udp::check(octets, &who, Some(&same)).is_err());
    for other in [("acs", "Secret"), ("Acs", SECRET), ("", SECRET), ("acs", "")] {
        assert!(udp::check(octets, &Credentials::new(other.0, other.1), None).is_err());
    }
}

/// The octets as the text that is signed; then its characters move from field to field.
fn fields(octets: &[u8]) {
    let [a, b, c, rest @ ..] = octets else { return };
    let plain = |octet: &&u8| octet.is_ascii_alphanumeric() || b"-._~".contains(octet);
    let text: String = rest.iter().filter(plain).take(240).map(|octet| char::from(*octet)).collect();
    let time = 1_000_000_000 + u64::from(u32::from_be_bytes([*a, *b, *c, 0]));
    let all = format!("{time}{text}");
    let place = |octet: u8, from: usize| {
        let left = all.len().saturating_sub(from);
        from + (1 + usize::from(octet) % left.max(1)).min(left)
    };
    let id = place(*a ^ *c, 10);
    let un = place(*b ^ *c, id);
    if un >= all.len() {
        return;
    }
    let signed = [10, id, un];
    let who = Credentials::new(&all[id..un], SECRET);
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(all.as_bytes());
    let sig: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let all = (all.as_str(), sig.as_str());
    let request = request(all, signed);
    let seen = udp::check(&request, &who, None).expect("it is signed");
    assert_eq!((seen.time, seen.id.as_str()), (time, &all.0[10..id]));
    assert!(udp::check(&request, &who, Some(&seen)).is_err());
    for (which, cut) in signed.into_iter().enumerate() {
        for moved in (cut.saturating_sub(3)..=cut + 3).filter(|moved| *moved != cut) {
            let mut cuts = signed;
            cuts[which] = moved;
            refused(all, cuts, &who, &seen);
            // The user as long as it was.
            refused(all, [10, moved, moved + (un - id)], &who, &seen);
        }
    }
}

/// The same text and signature with other fields. Only where the user stands twice in it is there another request, of the
/// same time: one of the two is accepted.
fn refused(all: (&str, &str), cuts: [usize; 3], who: &Credentials, seen: &Last) {
    let [ts, id, un] = cuts;
    if !(ts <= id && id <= un && un <= all.0.len()) {
        return;
    }
    let request = request(all, cuts);
    assert!(udp::check(&request, who, Some(seen)).is_err(), "{}", String::from_utf8_lossy(&request));
    if let Ok(other) = udp::check(&request, who, None) {
        assert!(ts == 10 && all.0[id..un] == who.username && other.time == seen.time);
    }
}

/// A text cut into ts, id, un and cn, with its signature.
fn request((all, sig): (&str, &str), [ts, id, un]: [usize; 3]) -> Vec<u8> {
    format!(
        "GET http://192.0.2.2:1234?ts={}&id={}&un={}&cn={}&sig={sig} HTTP/1.1\r\n\r\n",
        &all[..ts],
        &all[ts..id],
        &all[id..un],
        &all[un..]
    )
    .into_bytes()
}
