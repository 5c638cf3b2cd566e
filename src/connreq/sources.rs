//! Who has sent wrong credentials lately, and who is known: guessing is slowed down for each source by itself
//! and for all strangers together.
//!
//! Pure. A stranger, whose whole /64 of IPv6 counts as one, may fail ten times at once and then once a second; all
//! strangers together sixty-four times at once and then twice a second, however many addresses somebody has to guess
//! from. Who is known is so by his full address alone, so that his neighbours are strangers, and can neither lock him
//! out nor guess in his name: where our own sessions go has a brake for itself, and is not held up by any crowd, even
//! before the first request; what comes from an address that was right before by the credentials that still hold is
//! always looked at, so that nobody who shares this very address can lock the right ACS out, and what is wrong too
//! often is not asked again.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const BURST: u32 = 10;
const REFILL: Duration = Duration::from_secs(1);
/// Of a source that was right before.
const BURST_OF_PROVEN: u32 = 60;
/// Wrong credentials of all strangers together.
const BURST_OF_ALL: u32 = 64;
const REFILL_OF_ALL: Duration = Duration::from_millis(500);
const MAX_SOURCES: usize = 64;
const MAX_PROVEN: usize = 8;
/// An ACS may have several addresses, and each session goes to one of them.
const MAX_MET: usize = 4;

/// The sources that are known, by full addresses. Each list is sorted, so that it is another one only when there is
/// news to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Who has sent a valid request; the last eight.
    pub proven: Vec<IpAddr>,
    /// Where successful sessions went, and who was right by earlier credentials; the last four.
    pub met: Vec<IpAddr>,
}

/// The sources seen, a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    guessers: Vec<Guesser>,
    /// The debt of all strangers.
    debt_until: Duration,
    /// In the order of their last success.
    proven: Vec<IpAddr>,
    met: Vec<IpAddr>,
}

#[derive(Debug)]
struct Guesser {
    whose: Whose,
    /// Until when the failures so far are paid off: the state of a token bucket in one number.
    debt_until: Duration,
    seen: Duration,
}

/// Who pays for failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// A known address.
    Own(IpAddr),
    /// All strangers of a network.
    Network(IpAddr),
}

/// Which brake holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brake {
    /// Too many failures of this source.
    Own,
    /// Too many failures of all strangers together.
    All,
}

impl Sources {
    /// Whether credentials from there are looked at: always where they were right before.
    pub(crate) fn may_try(&self, source: IpAddr, now: Duration) -> Result<(), Brake> {
        let source = source.to_canonical();
        if self.proven.contains(&source) {
            return Ok(());
        }
        if self.owes(source, now, BURST) {
            return Err(Brake::Own);
        }
        if !self.knows(source) && self.debt_until > now + REFILL_OF_ALL * (BURST_OF_ALL - 1) {
            return Err(Brake::All);
        }
        Ok(())
    }

    /// Whether somebody there was right before, or has been the ACS of a session.
    pub(crate) fn knows(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.proven.contains(&source) || self.met.contains(&source)
    }

    /// Whether one more failure would be too many.
    fn owes(&self, source: IpAddr, now: Duration, burst: u32) -> bool {
        let whose = self.whose(source);
        let guesser = self.guessers.iter().find(|guesser| guesser.whose == whose);
        guesser.is_some_and(|guesser| guesser.debt_until > now + REFILL * (burst - 1))
    }

    fn whose(&self, source: IpAddr) -> Whose {
        if self.knows(source) { Whose::Own(source.to_canonical()) } else { Whose::Network(network(source)) }
    }

    /// Whether somebody there who is wrong is to be asked again: the only brake for an address that was right before.
    pub(crate) fn may_be_asked(&self, source: IpAddr, now: Duration) -> bool {
        !self.owes(source, now, BURST_OF_PROVEN)
    }

    /// Notes wrong credentials.
    pub(crate) fn failed(&mut self, source: IpAddr, now: Duration) {
        let whose = self.whose(source);
        if let Whose::Network(_) = whose {
            self.debt_until = self.debt_until.max(now) + REFILL_OF_ALL;
        }
        if !self.may_be_asked(source, now) {
            return;
        }
        let at = match self.guessers.iter().position(|known| known.whose == whose) {
            Some(at) => at,
            None => {
                if self.guessers.len() == MAX_SOURCES {
                    let oldest = self.guessers.iter().min_by_key(|known| known.seen);
                    let oldest = oldest.map(|known| known.whose);
                    self.guessers.retain(|known| Some(known.whose) != oldest);
                }
                self.guessers.push(Guesser { whose, debt_until: now, seen: now });
                self.guessers.len() - 1
            }
        };
        let known = &mut self.guessers[at];
        known.debt_until = known.debt_until.max(now) + REFILL;
        known.seen = now;
    }

    /// Notes right credentials.
    pub(crate) fn succeeded(&mut self, source: IpAddr) {
        let source = source.to_canonical();
        self.guessers.retain(|guesser| guesser.whose != Whose::Own(source));
        keep(&mut self.proven, source, MAX_PROVEN);
    }

    /// Notes where a session has been.
    pub(crate) fn met(&mut self, acs: IpAddr) {
        keep(&mut self.met, acs.to_canonical(), MAX_MET);
    }

    /// Other credentials are asked for from now on. Who was right before was so by the old ones, which somebody else
    /// may have had: he is slowed down by himself again, and still not by others, where there is room for that beside
    /// those that sessions went to.
    pub(crate) fn doubt(&mut self) {
        // What was owed by a longer measure would shut it out.
        self.guessers.retain(|guesser| matches!(guesser.whose, Whose::Network(_)));
        let mut met = std::mem::take(&mut self.proven);
        met.retain(|address| !self.met.contains(address));
        met.drain(..met.len().saturating_sub(MAX_MET - self.met.len()));
        met.append(&mut self.met);
        self.met = met;
    }

    /// Those to remember over a restart.
    pub(crate) fn known(&self) -> Known {
        let sorted = |list: &[IpAddr]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        Known { proven: sorted(&self.proven), met: sorted(&self.met) }
    }

    /// Takes up what an earlier life knew.
    pub(crate) fn recall(&mut self, known: &Known) {
        // A file that somebody made longer is no way to make the lists so.
        known.proven.iter().take(MAX_PROVEN).for_each(|address| self.succeeded(*address));
        known.met.iter().take(MAX_MET).for_each(|address| self.met(*address));
    }
}

/// Puts an address last in a list, whose first one goes if there are too many.
fn keep(list: &mut Vec<IpAddr>, address: IpAddr, most: usize) {
    list.retain(|known| *known != address);
    list.push(address);
    if list.len() > most {
        list.remove(0);
    }
}

/// Whom a stranger's address counts for: one IPv6 customer has a whole /64 of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
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
            assert_eq!(sources.may_try(v4(1), at(0)), Ok(()));
            sources.failed(v4(1), at(0));
        }
        assert_eq!(sources.may_try(v4(1), at(999)), Err(Brake::Own));
        assert_eq!(sources.may_try(v4(1), at(1000)), Ok(()));
        sources.failed(v4(1), at(1000));
        assert_eq!(sources.may_try(v4(1), at(1500)), Err(Brake::Own));
        assert_eq!(sources.may_try(v4(2), at(0)), Ok(()), "others are not concerned");
    }

    #[test]
    fn a_network_is_one_source() {
        let mut sources = Sources::default();
        for host in 0..10u16 {
            sources.failed(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]), at(0));
        }
        assert_eq!(sources.may_try("2001:db8::ffff".parse().unwrap(), at(0)), Err(Brake::Own));
        assert_eq!(sources.may_try("2001:db8:0:1::1".parse().unwrap(), at(0)), Ok(()));
        sources.met("2001:db8:0:1::1".parse().unwrap());
        assert!(sources.knows("2001:db8:0:1::1".parse().unwrap()) && !sources.knows(v4(1)));
    }

    /// They share a /64, and nothing else.
    #[test]
    fn a_neighbour_of_the_acs_is_a_stranger() {
        let of = |last: u16| IpAddr::from([0xfd99, 0, 0, 0, 0, 0, 0, last]);
        let guess = |sources: &mut Sources, from: IpAddr, times: u32| {
            let tries = (0..times).filter(|_| {
                let is_tried = sources.may_try(from, at(0)).is_ok();
                if is_tried {
                    sources.failed(from, at(0));
                }
                is_tried
            });
            tries.count()
        };
        let mut sources = Sources::default();
        sources.met(of(1));
        assert!(!sources.knows(of(2)));
        assert_eq!(guess(&mut sources, of(2), 2000), BURST as usize);
        assert_eq!(sources.may_try(of(1), at(0)), Ok(()), "not locked out by it");
        sources.succeeded(of(1));
        assert_eq!(guess(&mut sources, of(3), 2000), 0, "all strangers of the network have one brake");
        assert_eq!(sources.may_try(of(2), at(0)), Err(Brake::Own), "who was right is its neighbour");
        assert_eq!(sources.may_try(of(1), at(0)), Ok(()));
        // The network's own name is no address of anybody, and no way to its brake.
        sources.met(of(0));
        assert_eq!(guess(&mut sources, of(0), 2000), BURST as usize);
        assert_eq!(sources.may_try(of(1), at(0)), Ok(()));
    }

    #[test]
    fn who_shares_the_address_of_the_acs_is_not_asked_for_ever() {
        let mut sources = Sources::default();
        sources.succeeded(v4(1));
        for _ in 0..BURST_OF_PROVEN {
            assert!(sources.may_be_asked(v4(1), at(0)));
            sources.failed(v4(1), at(0));
        }
        (0..1000).for_each(|_| sources.failed(v4(1), at(0)));
        assert!(!sources.may_be_asked(v4(1), at(0)), "wrong too often");
        assert_eq!(sources.may_try(v4(1), at(0)), Ok(()), "and the right one is heard");
        assert!(sources.may_be_asked(v4(1), at(1000)), "what is not asked for costs nothing more");
        sources.doubt();
        assert_eq!(sources.may_try(v4(1), at(0)), Ok(()));
        assert_eq!(sources.debt_until, Duration::ZERO, "and nobody else has paid");
    }

    /// A source of its own for each guess, a hundred a second for an hour: what is tried is what the brake lets
    /// through, and those who are known notice nothing.
    #[test]
    fn a_botnet_guesses_no_faster_than_one() {
        let mut sources = Sources::default();
        sources.succeeded(v4(1));
        sources.met(v4(2));
        let (mut tried, mut address) = (0_u64, 0x0a00_0000_u32);
        for ms in (0..3_600_000).step_by(10) {
            // And as many at once in the beginning.
            for _ in 0..if ms == 0 { 100 } else { 1 } {
                address += 1;
                let source = IpAddr::from(address.to_be_bytes());
                if sources.may_try(source, at(ms)).is_ok() {
                    sources.failed(source, at(ms));
                    tried += 1;
                }
            }
            assert!(sources.may_try(v4(1), at(ms)).is_ok() && sources.may_try(v4(2), at(ms)).is_ok());
        }
        assert_eq!(tried, u64::from(BURST_OF_ALL) + 2 * 3600 - 1);
        assert_eq!(sources.may_try(v4(3), at(3_600_000 - 1)), Err(Brake::All));
        assert_eq!(sources.may_try(v4(3), at(3_602_000)), Ok(()), "no stranger is shut out for ever");
        assert!(sources.guessers.len() <= MAX_SOURCES);
    }

    #[test]
    fn where_sessions_go_has_a_brake_of_its_own_until_it_was_right() {
        let mut sources = Sources::default();
        sources.met(v4(1));
        for _ in 0..BURST {
            assert_eq!(sources.may_try(v4(1), at(0)), Ok(()));
            sources.failed(v4(1), at(0));
        }
        assert_eq!(sources.may_try(v4(1), at(0)), Err(Brake::Own), "its neighbours may guess as little");
        assert_eq!(sources.debt_until, Duration::ZERO, "and nobody else pays for them");
        assert_eq!(sources.may_try(v4(1), at(1000)), Ok(()));
        sources.succeeded(v4(1));
        for _ in 0..100 {
            sources.failed(v4(1), at(1000));
        }
        assert_eq!(sources.may_try(v4(1), at(1000)), Ok(()));
    }

    /// Somebody has had the old credentials, and guesses the new ones.
    #[test]
    fn who_was_right_by_other_credentials_guesses_no_faster_than_others() {
        let mut sources = Sources::default();
        (1..=8).for_each(|n| sources.succeeded(v4(n)));
        sources.met(v4(8));
        sources.met(v4(9));
        sources.doubt();
        let known = Known { proven: Vec::new(), met: [6, 7, 8, 9].map(v4).to_vec() };
        assert_eq!(sources.known(), known, "who was right last stays known, behind those of sessions");
        (0..BURST).for_each(|_| sources.failed(v4(7), at(0)));
        assert_eq!(sources.may_try(v4(7), at(0)), Err(Brake::Own));
        (0..BURST_OF_ALL).for_each(|n| sources.failed(IpAddr::from(n.to_be_bytes()), at(0)));
        assert_eq!(sources.may_try(v4(1), at(0)), Err(Brake::All));
        assert_eq!(sources.may_try(v4(6), at(0)), Ok(()));
        sources.met(v4(10));
        assert!(
            !sources.knows(v4(6)) && sources.knows(v4(8)),
            "the next session takes the place of a doubtful one"
        );
        sources.doubt();
        assert_eq!(sources.known().met, [7, 8, 9, 10].map(v4));
    }

    #[test]
    fn the_lists_are_bounded_and_what_is_kept_changes_with_its_members_only() {
        let mut sources = Sources::default();
        sources.succeeded(v4(1));
        for n in 0..1000u32 {
            sources.failed(IpAddr::from(n.to_be_bytes()), at(u64::from(n)));
        }
        assert!(sources.guessers.len() <= MAX_SOURCES && sources.knows(v4(1)));
        for n in 0..100 {
            sources.succeeded(v4(n));
            sources.met(v4(n));
        }
        let known = sources.known();
        assert_eq!((known.proven.len(), known.met.len()), (MAX_PROVEN, MAX_MET));
        assert_eq!(known.met, [v4(96), v4(97), v4(98), v4(99)]);
        sources.succeeded(v4(94));
        sources.met(v4(98));
        assert_eq!(sources.known(), known, "the same members in another order are no news");
        sources.succeeded(v4(7));
        assert!(sources.knows(v4(94)) && !sources.knows(v4(92)), "who was right last stays longest");
        let mut next = Sources::default();
        next.recall(&sources.known());
        assert_eq!(next.known(), sources.known());
        let long = Known { proven: (0..=255).map(v4).collect(), met: (0..=255).map(v4).collect() };
        next.recall(&long);
        assert_eq!((next.proven.len(), next.met.len()), (MAX_PROVEN, MAX_MET));
    }
}
