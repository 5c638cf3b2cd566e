//! Any datagram as a connection request: what is accepted is signed, and is accepted once.

use rcwmp::connreq::udp::{self, Last, MAX_DATAGRAM};
use rcwmp::http::auth::Credentials;

/// One input.
pub fn run(octets: &[u8]) {
    let who = Credentials::new("acs", "secret");
    let last = match udp::check(octets, &who, None) {
        Ok(last) => last,
        Err(why) => return assert!(!why.is_empty()),
    };
    assert!(octets.len() <= MAX_DATAGRAM && !udp::is_stun(octets));
    assert!(!last.id.is_empty() && last.id.len() <= 256);
    // Again, out of order, and for others.
    assert!(udp::check(octets, &who, Some(&last)).is_err());
    assert!(udp::check(octets, &who, Some(&Last { time: u64::MAX, id: String::new() })).is_err());
    if last.time > 0 {
        let earlier = Last { time: last.time - 1, id: format!("{}x", last.id) };
        assert_eq!(udp::check(octets, &who, Some(&earlier)).as_ref(), Ok(&last));
        let same = Last { id: last.id.clone(), ..earlier };
        assert!(udp::check(octets, &who, Some(&same)).is_err());
    }
    for other in [("acs", "Secret"), ("Acs", "secret"), ("", "secret"), ("acs", "")] {
        assert!(udp::check(octets, &Credentials::new(other.0, other.1), None).is_err());
    }
}
