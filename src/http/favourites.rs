//! Which of a host's addresses to try first (TR-069 3.1): the one that answered last, else one at random.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::map::Map;

/// The hosts whose addresses are remembered.
const MAX_FAVOURITES: usize = 8;

/// The addresses that answered, by host: shared among sessions, each of which looks its hosts up anew.
#[derive(Debug, Clone, Default)]
pub struct Favourites(Arc<Mutex<Map<String, IpAddr>>>);

impl Favourites {
    /// Puts the addresses of a host in the order to try them (TR-069 3.1): first the one that answered last, if it
    /// is still one of them; the others from one at random, given as any number.
    pub fn order(&self, host: &str, found: &mut [SocketAddr], random: u8) {
        let turn = usize::from(random) % found.len().max(1);
        found.rotate_left(turn);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = known.get(host).and_then(|last| found.iter().position(|one| one.ip() == *last)) {
            found[..=at].rotate_right(1);
        }
    }

    /// The address of a host that has answered last.
    pub fn last(&self, host: &str) -> Option<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied()
    }

    /// Remembers that an address of a host has answered.
    pub fn answered(&self, host: &str, address: IpAddr) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Redirects may lead to many hosts; the ACS itself comes back with the next session.
        if known.len() >= MAX_FAVOURITES && !known.contains_key(host) {
            known.clear();
        }
        known.insert(host.to_owned(), address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|one| format!("{one}:80").parse().unwrap()).collect()
    }

    #[test]
    fn addresses_are_tried_in_turn_from_one_at_random() {
        let favourites = Favourites::default();
        let order = |random| {
            let mut found = addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
            favourites.order("acs", &mut found, random);
            found
        };
        assert_eq!(order(0), addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]));
        assert_eq!(order(4), addresses(&["192.0.2.2", "192.0.2.3", "192.0.2.1"]));
        assert_eq!(order(255), order(0));
        favourites.order("acs", &mut [], 7);
        // What answered goes first, whatever the dice say; the others still take turns.
        favourites.answered("acs", "192.0.2.3".parse().unwrap());
        assert_eq!(order(0), addresses(&["192.0.2.3", "192.0.2.1", "192.0.2.2"]));
        assert_eq!(order(1), addresses(&["192.0.2.3", "192.0.2.2", "192.0.2.1"]));
        // Of another host, or no longer among the name's addresses, it means nothing.
        favourites.answered("other", "192.0.2.1".parse().unwrap());
        assert_eq!(order(0)[0], order(1)[0]);
        favourites.answered("acs", "192.0.2.9".parse().unwrap());
        assert_eq!(order(1), addresses(&["192.0.2.2", "192.0.2.3", "192.0.2.1"]));
    }

    #[test]
    fn few_hosts_are_remembered() {
        let favourites = Favourites::default();
        for n in 0..100 {
            favourites.answered(&format!("host{n}"), "192.0.2.1".parse().unwrap());
            assert!(favourites.0.lock().unwrap().len() <= MAX_FAVOURITES);
        }
    }
}
