//! The lightweight notifications of a long run (TR-069 Annex M): who receives them, and looks whether each is whole and
//! signed; and somebody who changes what they are about.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::lab::router::PASSWORD;

/// What is changed, and told.
pub const NAME: &str = "Device.DeviceInfo.HostName";
/// How often the receiver looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);
/// Seconds between two of what may wait (levels 3 and 4).
const TRIGGER: u32 = 5;

/// A receiver on the loopback; it ends with its value.
pub struct Light {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    right: AtomicU32,
    wrong: AtomicU32,
}

impl Light {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system's.
    pub fn start() -> io::Result<Light> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let counts = Arc::new(Counts::default());
        let all = Arc::clone(&counts);
        thread::Builder::new().name("light".to_owned()).spawn(move || {
            let mut block = vec![0; 65_536];
            while !all.stop.load(Ordering::SeqCst) {
                let Ok(length) = socket.recv(&mut block) else { continue };
                let count = if is_right(&block[..length]) { &all.right } else { &all.wrong };
                count.fetch_add(1, Ordering::SeqCst);
            }
        })?;
        Ok(Light { address, counts })
    }

    /// What a router's configuration says of it.
    pub fn section(&self) -> String {
        format!(
            "\nconfig lwn 'lwn'\n\toption enable '1'\n\toption hostname '{}'\n\toption port '{}'\n\
             \toption trigger_interval '{TRIGGER}'\n",
            self.address.ip(),
            self.address.port()
        )
    }

    /// How many notifications have come, and how many datagrams that are none.
    pub fn counts(&self) -> (u32, u32) {
        (self.counts.right.load(Ordering::SeqCst), self.counts.wrong.load(Ordering::SeqCst))
    }
}

impl Drop for Light {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::SeqCst);
    }
}

/// Whether a datagram is a notification of our router: a head with the length and the signature of its body.
fn is_right(datagram: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(datagram) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(PASSWORD.as_bytes()) else { return false };
    mac.update(body.as_bytes());
    let seal: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    head.starts_with("POST / HTTP/1.1\r\n")
        && body.contains("<Notification ")
        && header("Content-Length:") == Some(&body.len().to_string())
        && header("Signature:").is_some_and(|given| given.eq_ignore_ascii_case(&seal))
}

/// Somebody at the router gives it another name, as `uci commit` does it.
///
/// # Errors
/// The system's.
pub fn rename(root: &Path, name: &str) -> io::Result<()> {
    let file = root.join("etc/config/system");
    let text = std::fs::read_to_string(&file)?;
    let line = |line: &str| match line.trim_start().starts_with("option hostname ") {
        true => format!("\toption hostname '{name}'\n"),
        false => format!("{line}\n"),
    };
    let fresh = file.with_file_name(".system.soak");
    std::fs::write(&fresh, text.lines().map(line).collect::<String>())?;
    std::fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::lightweight::{Digest, Sender, packets};
    use crate::cwmp::rpc::{DeviceId, ParameterValue};
    use crate::model::value::{Kind, Value};

    #[test]
    fn what_is_counted() {
        let device = DeviceId::default();
        let digest = Digest::Sha1;
        let sender = Sender { host: "acs:1", username: "u", password: PASSWORD, digest, device: &device };
        let list = [ParameterValue {
            name: NAME.to_owned(),
            value: Value { kind: Kind::String, text: "a".to_owned() },
        }];
        let good = packets(&sender, 1, "n", &list).unwrap().remove(0);
        let light = Light::start().unwrap();
        assert!(light.section().contains(&format!("port '{}'", light.address.port())));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for datagram in [&good[..], &good[..good.len() - 1], b"x", b"\xff\r\n\r\n"] {
            socket.send_to(datagram, light.address).unwrap();
        }
        while light.counts().0 + light.counts().1 < 4 {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(light.counts(), (1, 3));
    }

    #[test]
    fn another_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc/config");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("system"), "config system\n\toption hostname 'old'\n\toption x 'y'\n")
            .unwrap();
        rename(dir.path(), "new").unwrap();
        let text = std::fs::read_to_string(folder.join("system")).unwrap();
        assert_eq!(text, "config system\n\toption hostname 'new'\n\toption x 'y'\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }
}
