//! Who sees all that goes over the bus, for `ubus monitor`: each message that comes in and each that goes out, in a
//! message of its own, before the one it tells of.
//!
//! ```text
//!  MONITOR: CLIENT 0 │ PEER 1 │ SEQ 3 │ TYPE 4 │ SEND 2 (u8) │ DATA 5, the attributes
//! ```

use super::hub::Out;
use crate::ubus::blob::{self, HEAD, Writer};
use crate::ubus::blobmsg::Text;
use crate::ubus::msg::{Kind, Status};

/// Octets before a message's blob.
const HEADER: usize = 8;

/// The clients that see everything, the first comes first.
#[derive(Debug, Default)]
pub struct Monitors(Vec<Monitor>);

#[derive(Debug)]
struct Monitor {
    client: u32,
    sequence: u16,
}

impl Monitors {
    /// What a client asks the object of monitors for: `add` or `remove`. Who asks again begins anew, as the last.
    pub fn asked(&mut self, client: u32, method: &Text) -> Status {
        let add = *method == "add";
        if !add && *method != "remove" {
            return Status::MethodNotFound;
        }
        self.remove(client);
        if add {
            self.0.push(Monitor { client, sequence: 0 });
        }
        Status::Ok
    }

    /// A client is none any more.
    pub fn remove(&mut self, client: u32) {
        self.0.retain(|monitor| monitor.client != client);
    }

    /// What is sent, each message shown before it.
    pub fn pass(&mut self, sent: Out, out: &mut Out) {
        for (to, octets) in sent {
            self.show(to, &octets, true, out);
            out.push((to, octets));
        }
    }

    /// Shows one whole message from a client, or to it; not one that would be too large with what is said of it.
    pub fn show(&mut self, client: u32, raw: &[u8], sent: bool, out: &mut Out) {
        if self.0.is_empty() {
            return;
        }
        let Some(body) = told(client, raw, sent) else { return };
        for Monitor { client, sequence } in &mut self.0 {
            *sequence = sequence.wrapping_add(1);
            let mut octets = vec![0, Kind::Monitor as u8];
            octets.extend(sequence.to_be_bytes());
            octets.extend([0; 4]);
            octets.extend(&body);
            out.push((*client, octets));
        }
    }
}

fn told(client: u32, raw: &[u8], sent: bool) -> Option<Vec<u8>> {
    let (&[_, kind, high, low, a, b, c, d], rest) = raw.split_first_chunk::<HEADER>()?;
    let (head, attributes) = rest.split_first_chunk::<HEAD>()?;
    let attributes = attributes.get(..blob::length(u32::from_be_bytes(*head)).checked_sub(HEAD)?)?;
    let mut body = Writer::new();
    let open = body.open(0, false);
    body.blob(0, &client.to_be_bytes());
    body.blob(1, &[a, b, c, d]);
    body.blob(3, &[0, 0, high, low]);
    body.blob(4, &[0, 0, 0, kind]);
    body.blob(2, &[u8::from(sent)]);
    body.blob(5, attributes);
    body.close(open);
    body.finish().ok()
}
