//! Who has sent wrong credentials lately: guessing is slowed down for each source by itself.
//!
//! Pure. A source may fail ten times at once and then once a second. One that was right before is
//! never slowed, so that nobody who shares its address can lock the right ACS out.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const BURST: u64 = 10;
const REFILL: Duration = Duration::from_secs(1);
const MAX_SOURCES: usize = 64;
const MAX_PROVEN: usize = 8;

/// The sources seen, a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    list: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    network: IpAddr,
    proven: bool,
    /// Until when the failures so far are paid off: the state of a token bucket in one number.
    debt_until: Duration,
    seen: Duration,
}

impl Sources {
    /// Whether credentials from there are looked at.
    pub(crate) fn may_try(&self, source: IpAddr, now: Duration) -> bool {
        let network = network(source);
        let known = self.list.iter().find(|known| known.network == network);
        let allowance = REFILL * u32::try_from(BURST - 1).unwrap_or(u32::MAX);
        known.is_none_or(|known| known.proven || known.debt_until <= now + allowance)
    }

    /// Whether somebody there was right before.
    pub(crate) fn knows(&self, source: IpAddr) -> bool {
        let network = network(source);
        self.list.iter().any(|known| known.proven && known.network == network)
    }

    /// Notes wrong credentials.
    pub(crate) fn failed(&mut self, source: IpAddr, now: Duration) {
        let known = self.entry(source, now);
        known.debt_until = known.debt_until.max(now) + REFILL;
    }

    /// Notes right credentials.
    pub(crate) fn succeeded(&mut self, source: IpAddr, now: Duration) {
        let known = self.entry(source, now);
        known.proven = true;
        known.debt_until = now;
        let proven = self.list.iter().filter(|known| known.proven);
        if proven.clone().count() > MAX_PROVEN {
            let oldest = proven.min_by_key(|known| known.seen).map(|known| known.network);
            if let Some(known) = self.list.iter_mut().find(|known| Some(known.network) == oldest) {
                known.proven = false;
            }
        }
    }

    fn entry(&mut self, source: IpAddr, now: Duration) -> &mut Source {
        let network = network(source);
        let at = match self.list.iter().position(|known| known.network == network) {
            Some(at) => at,
            None => {
                if self.list.len() == MAX_SOURCES {
                    let order = |known: &&Source| (known.proven, known.seen);
                    let oldest = self.list.iter().min_by_key(order).map(|known| known.network);
                    self.list.retain(|known| Some(known.network) != oldest);
                }
                self.list.push(Source { network, proven: false, debt_until: now, seen: now });
                self.list.len() - 1
            }
        };
        let known = &mut self.list[at];
        known.seen = now;
        known
    }
}

// One IPv6 customer has a whole /64 to guess from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(1_000_000 + ms)
    }

    #[test]
    fn ten_at_once_then_one_a_second() {
        let mut sources = Sources::default();
        for _ in 0..BURST {
            assert!(sources.may_try(v4(1), at(0)));
            sources.failed(v4(1), at(0));
        }
        assert!(!sources.may_try(v4(1), at(999)));
        assert!(sources.may_try(v4(1), at(1000)));
        sources.failed(v4(1), at(1000));
        assert!(!sources.may_try(v4(1), at(1500)));
        assert!(sources.may_try(v4(2), at(0)), "others are not concerned");
    }

    #[test]
    fn a_network_is_one_source() {
        let mut sources = Sources::default();
        for host in 0..10u16 {
            sources.failed(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]), at(0));
        }
        assert!(!sources.may_try("2001:db8::ffff".parse().unwrap(), at(0)));
        assert!(sources.may_try("2001:db8:0:1::1".parse().unwrap(), at(0)));
    }

    #[test]
    fn the_list_is_bounded_and_keeps_the_proven() {
        let mut sources = Sources::default();
        sources.succeeded(v4(1), at(0));
        for n in 0..1000u32 {
            sources.failed(IpAddr::from(n.to_be_bytes()), at(u64::from(n)));
        }
        assert!(sources.list.len() <= MAX_SOURCES && sources.list.iter().any(|s| s.proven));
        for n in 0..100 {
            sources.succeeded(v4(n), at(2000 + u64::from(n)));
        }
        assert_eq!(sources.list.iter().filter(|s| s.proven).count(), MAX_PROVEN);
    }
}
