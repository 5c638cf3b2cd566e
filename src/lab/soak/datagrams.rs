//! The UDP side of a long run (TR-069 Annex G): a STUN server that misbehaves at random, right connection requests, and
//! what strangers send.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::dice::Dice;
use crate::lab::acs::knock::by_udp;
use crate::lab::acs::office::Settings as Office;
use crate::lab::router::CONNECTION_REQUEST_USER;
use crate::lab::store::Device;

/// How often the server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);
/// How many of a hundred requests are not answered as they should be.
const CHANCE: usize = 30;

/// A STUN server on the loopback; it ends with its value.
pub struct Stun {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Stun {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system's.
    pub fn start(seed: u32) -> io::Result<Stun> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (all, mut dice) = (Arc::clone(&stop), Dice::new(seed));
        thread::Builder::new().name("stun".to_owned()).spawn(move || {
            let mut block = [0; 1500];
            // A NAT's port that changes now and then.
            let mut port = 40_000;
            while !all.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut block) else { continue };
                let Some(id) = block[..length].get(4..20) else { continue };
                port = if dice.percent(3) { 40_000 + u16::from(dice.percent(50)) } else { port };
                for octets in answers(&mut dice, id, port) {
                    let _ = socket.send_to(&octets, from);
                }
            }
        })?;
        Ok(Stun { address, stop })
    }

    /// What a router's configuration says of it.
    pub fn section(&self) -> String {
        format!(
            "\nconfig stun 'stun'\n\toption enable '1'\n\toption server_address '{}'\n\toption server_port '{}'\n\
             \toption min_keepalive '1'\n\toption max_keepalive '3'\n",
            self.address.ip(),
            self.address.port()
        )
    }
}

impl Drop for Stun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// What a request is answered with: a mapped address, an error, noise, nothing, or several of it.
fn answers(dice: &mut Dice, id: &[u8], port: u16) -> Vec<Vec<u8>> {
    let mapped =
        [&[1, 1, 0, 12][..], id, &[0, 1, 0, 8, 0, 1], &port.to_be_bytes(), &[203, 0, 113, 6]].concat();
    if !dice.percent(CHANCE) {
        return vec![mapped];
    }
    match dice.below(6) {
        0 => Vec::new(),
        1 => vec![[&[1, 0x11, 0, 8][..], id, &[0, 9, 0, 4, 0, 0, 5, 0]].concat()],
        2 => vec![dice.octets(60)],
        3 => vec![dice.spoil(&mapped), mapped],
        4 => vec![[&[1, 1], &dice.octets(30)[..]].concat(), mapped],
        _ => vec![mapped; 20],
    }
}

/// A right request; nothing tells whether it comes there.
pub fn knock(device: &Device, host: &str) -> bool {
    by_udp(device, host, &Office::default()).is_ok()
}

/// What strangers send: octets without meaning, guesses, and changes of them.
pub fn pester(host: &str, dice: &mut Dice) {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return };
    let guess = format!(
        "GET http://{host}?ts=4000000000&id={}&un={CONNECTION_REQUEST_USER}&cn=0&sig={} HTTP/1.1\r\n\r\n",
        dice.roll(),
        "0f".repeat(20)
    );
    for _ in 0..=dice.below(20) {
        let count = dice.below(1500);
        let octets = match dice.below(4) {
            0 => dice.octets(count),
            1 => [&[1, 1], &dice.octets(count)[..]].concat(),
            2 => guess.clone().into_bytes(),
            _ => dice.spoil(guess.as_bytes()),
        };
        let _ = socket.send_to(&octets, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_answers_mostly() {
        let stun = Stun::start(7).unwrap();
        assert!(stun.section().contains(&format!("server_port '{}'", stun.address.port())));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (mut right, mut block) = (0, [0; 1500]);
        for n in 0..40 {
            let request = [&[0, 1, 0, 0][..], &[n; 16]].concat();
            socket.send_to(&request, stun.address).unwrap();
            let mut is_right = false;
            while let Ok(length) = socket.recv(&mut block) {
                is_right |= length == 32 && block[4..20] == [n; 16] && block[28..32] == [203, 0, 113, 6];
            }
            right += u32::from(is_right);
        }
        assert!((20..40).contains(&right), "{right}");
    }
}
