//! Captured conversations with a ubusd: frames as text, one a line, and the hub of the lab's broker against them.
//!
//! `>1 …` is a frame in hex to ubusd on connection 1, `<1 …` one from it, `# 1 ends` where the connection ends; other
//! lines with `#` tell what was done.
#![allow(clippy::unwrap_used, dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use rcwmp::lab::router::broker::hub::{Hub, Numbered, Out};
use rcwmp::ubus::msg::{self, Kind};

/// One frame: whether from ubusd, on which connection, and its octets.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub from_ubusd: bool,
    pub connection: char,
    pub octets: Vec<u8>,
}

/// The frame of a line, if it has one.
pub fn frame(line: &str) -> Option<Frame> {
    let (head, hex) = line.split_once(' ')?;
    let mut head = head.chars();
    let from_ubusd = match head.next()? {
        '<' => true,
        '>' => false,
        _ => return None,
    };
    let octets = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    Some(Frame { from_ubusd, connection: head.next()?, octets: octets.collect() })
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A hub that gives the numbers of the capture, in their order.
pub fn hub(part: &str) -> Hub {
    let mut numbers: BTreeMap<char, VecDeque<u32>> = BTreeMap::new();
    // Who has asked for an object with which request, and whether its signature is new.
    let mut asked: BTreeMap<(char, [u8; 2]), bool> = BTreeMap::new();
    for Frame { from_ubusd, connection, octets } in part.lines().filter_map(frame) {
        let kind = Kind::from_number(octets[1]);
        let request = (connection, [octets[2], octets[3]]);
        match (from_ubusd, kind) {
            (true, Some(Kind::Hello)) => {
                let peer = u32::from_be_bytes(octets[4..8].try_into().unwrap());
                numbers.entry('c').or_default().push_back(peer);
            }
            (false, Some(Kind::AddObject)) => {
                asked.insert(request, msg::decode(&octets).unwrap().object_type().is_none());
            }
            (true, Some(Kind::Data)) if octets[4..8] == [0; 4] => {
                if let Some(new) = asked.remove(&request) {
                    let message = msg::decode(&octets).unwrap();
                    numbers.entry('o').or_default().extend(message.object_id());
                    numbers.entry('s').or_default().extend(message.object_type().filter(|_| new));
                }
            }
            _ => {}
        }
    }
    let numbers = Mutex::new(numbers);
    let next = move |what| {
        let key = match what {
            Numbered::Client => 'c',
            Numbered::Signature => 's',
            Numbered::Object => 'o',
        };
        numbers.lock().unwrap().get_mut(&key).and_then(VecDeque::pop_front).expect("a captured number")
    };
    Hub::new(Vec::new(), Box::new(next))
}

/// Plays what the clients said against the hub: it must answer each of them octet for octet as ubusd did. The capture
/// has some answers before their questions, but those of a connection in order.
#[track_caller]
pub fn replay(part: &str) {
    let mut hub = hub(part);
    let mut clients: BTreeMap<char, u32> = BTreeMap::new();
    let mut sent: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in part.lines() {
        let mut out = Out::new();
        match frame(line) {
            Some(frame) if !frame.from_ubusd => {
                hub.receive(clients[&frame.connection], &frame.octets, &mut out);
            }
            Some(frame) if !clients.contains_key(&frame.connection) => {
                let client = hub.connect("root", "root", &mut out).unwrap();
                clients.insert(frame.connection, client);
            }
            None => {
                if let Some(connection) = line.strip_prefix("# ").and_then(|line| line.strip_suffix(" ends"))
                    && let &[connection] = connection.as_bytes()
                {
                    hub.disconnect(clients[&char::from(connection)], &mut out);
                }
            }
            _ => {}
        }
        for (to, octets) in out {
            sent.entry(to).or_default().push(hex(&octets));
        }
    }
    for (connection, client) in clients {
        let of = |frame: &Frame| frame.from_ubusd && frame.connection == connection;
        let captured = part.lines().filter_map(frame).filter(of);
        let captured: Vec<_> = captured.map(|frame| hex(&frame.octets)).collect();
        assert_eq!(sent[&client], captured, "connection {connection} of {}", part.lines().next().unwrap());
    }
}
