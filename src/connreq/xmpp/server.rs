//! Which server is tried next, and after how long (`Device.XMPP.Connection.{i}.Server…`).
//!
//! Pure: random numbers are arguments.

use std::time::Duration;

/// Where a server may be: a row of `Server.{i}.`, or an SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The lower, the sooner.
    pub priority: u16,
    /// The higher, the more often among those of one priority.
    pub weight: u16,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port of TCP.
    pub port: u16,
}

/// Puts servers in the order in which they are to be tried (RFC 2782). The same `seed` gives the same order, in whatever
/// order they are given: name servers turn theirs around from answer to answer.
pub fn order(mut servers: Vec<Server>, seed: u32) -> Vec<Server> {
    let mut state = seed;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The high half of such a number is the random one.
        (state >> 16) % below.max(1)
    };
    servers.sort_by(|one, other| {
        let key = |one: &Server| (one.priority, one.weight, one.port);
        key(one).cmp(&key(other)).then_with(|| one.host.cmp(&other.host))
    });
    let mut out = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let peers = servers.iter().take_while(|one| one.priority == first.priority).count();
        let total: u32 = servers[..peers].iter().map(|one| u32::from(one.weight)).sum();
        let mut drawn = random(total.saturating_add(1));
        let chosen = servers[..peers].iter().position(|one| {
            let weight = u32::from(one.weight);
            let is_it = drawn <= weight && (weight > 0 || total == 0);
            drawn = drawn.saturating_sub(weight);
            is_it
        });
        out.push(servers.remove(chosen.unwrap_or(0)));
    }
    out
}

/// `ServerConnectAttempts` and `ServerRetry…` of a connection (TR-181).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts at one address before the next one's turn; 0 leaves all of this to us.
    pub attempts: u32,
    /// Seconds: the first wait at the most.
    pub initial: u32,
    /// In thousandths: how much longer each wait may be than the one before.
    pub multiplier: u32,
    /// Seconds: the longest wait.
    pub most: u32,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { attempts: 16, initial: 60, multiplier: 2000, most: 30_720 }
    }
}

impl Retry {
    /// The wait after so many attempts that failed since the last success: a random part of initial
    /// interval times multiplier to the power of one less than their number.
    pub fn wait(&self, failures: u32, random: u32) -> Duration {
        let ours = Retry { attempts: 1, ..Retry::default() };
        let Retry { initial, multiplier, most, .. } = if self.attempts == 0 { &ours } else { self };
        let limit = u64::from(*most) * 1000;
        let mut longest = u64::from(*initial) * 1000;
        for _ in 1..failures {
            // Of what is so much longer, no random part that matters is below the limit.
            if longest > limit << 20 || *multiplier <= 1000 || *initial == 0 {
                break;
            }
            longest = u64::try_from(u128::from(longest) * u128::from(*multiplier) / 1000).unwrap_or(u64::MAX);
        }
        let part = (u128::from(longest) * u128::from(random)) >> 32;
        Duration::from_millis(u64::try_from(part).unwrap_or(u64::MAX).min(limit))
    }

    /// Which of a list of addresses is next after so many failures.
    pub fn turn(&self, failures: u32, addresses: usize) -> usize {
        let turn = usize::try_from(failures / self.attempts.max(1)).unwrap_or(0);
        turn.checked_rem(addresses).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(priority: u16, weight: u16, host: &str) -> Server {
        Server { priority, weight, host: host.to_owned(), port: 5222 }
    }

    fn hosts(servers: &[Server], seed: u32) -> String {
        order(servers.to_vec(), seed).into_iter().map(|one| one.host).collect()
    }

    #[test]
    fn priority_comes_first_and_weight_counts() {
        let all = [server(20, 9, "d"), server(10, 0, "a"), server(10, 75, "b"), server(10, 25, "c")];
        let mut first = [0; 3];
        for seed in 0..1000 {
            let found = hosts(&all, seed);
            assert!(found.ends_with('d') && found.len() == 4, "{found}");
            let mut turned = all.clone();
            turned.rotate_left(usize::try_from(seed % 4).unwrap());
            assert_eq!(found, hosts(&turned, seed));
            first["abc".find(&found[..1]).unwrap()] += 1;
        }
        assert!(first[0] < 30 && (650..850).contains(&first[1]), "{first:?}");
        assert_eq!(hosts(&[], 7), "");
        assert_eq!(hosts(&[server(0, 0, "x"), server(0, 0, "y")], 7).len(), 2);
    }

    #[test]
    fn waits_grow_to_their_limit() {
        let retry = Retry::default();
        let longest = |failures| retry.wait(failures, u32::MAX).as_secs_f64().round();
        for (failures, expected) in [(1, 60.0), (2, 120.0), (3, 240.0), (10, 30_720.0), (11, 30_720.0)] {
            assert_eq!(longest(failures), expected, "{failures}");
        }
        assert_eq!(retry.wait(3, 0), Duration::ZERO);
        assert_eq!(retry.wait(2, 1 << 31), Duration::from_secs(60));
        assert_eq!(retry.wait(u32::MAX, 1 << 31), Duration::from_secs(30_720));
        let steep = Retry { multiplier: 65_535, initial: 65_535, most: u32::MAX, attempts: 1 };
        assert_eq!(steep.wait(u32::MAX, u32::MAX), Duration::from_secs(u32::MAX.into()));
        let level = Retry { multiplier: 1000, ..retry };
        assert_eq!(level.wait(u32::MAX, 1 << 31), Duration::from_secs(30));
        let nothing = Retry { initial: 0, ..retry };
        assert_eq!(nothing.wait(u32::MAX, u32::MAX), Duration::ZERO);
        let none = Retry { attempts: 0, initial: 1, multiplier: 1000, most: 1 };
        assert_eq!(none.wait(1, 1 << 31), Duration::from_secs(30));
    }

    #[test]
    fn an_address_has_its_attempts() {
        let retry = Retry { attempts: 2, ..Retry::default() };
        let turns: Vec<usize> = (0..7).map(|failures| retry.turn(failures, 3)).collect();
        assert_eq!(turns, [0, 0, 1, 1, 2, 2, 0]);
        assert_eq!(Retry { attempts: 0, ..retry }.turn(4, 3), 1);
        assert_eq!(retry.turn(9, 0), 0);
    }
}
