//! Connection requests: a GET with digest authentication to the URL that the device told (TR-069 3.2.2), Basic where a
//! device knows nothing better and that is allowed, and a signed datagram to one behind a NAT (Annex G.2.2).
//!
//! The challenge is answered on the connection that it came over, unless the device closes it: some bind the nonce to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::http::auth::{Challenge, Credentials, DigestClient, basic, best_challenge};
use crate::http::url::Url;
use crate::lab::store::Device;
use crate::sys::rng;

use super::office::Settings;

/// For connecting, and for each read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, its body included.
const MAX_ANSWER: usize = 16 * 1024;
/// How often a datagram is sent, since some are lost.
const DATAGRAMS: usize = 3;

/// Asks a device for a session.
///
/// # Errors
/// Why the device did not accept, for people.
pub fn knock(device: &Device, settings: &Settings) -> Result<(), String> {
    if device.connection_request_url.is_empty() {
        return Err("the device has told no ConnectionRequestURL".to_owned());
    }
    let url = Url::parse(&device.connection_request_url).map_err(|error| error.to_string())?;
    if url.tls {
        return Err("connection requests go over http only".to_owned());
    }
    let address = address(&url, settings.allow_remote)?;
    let who = Credentials::new(&device.connection_request_username, &device.connection_request_password);
    let (first, stream) = get(connect(address)?, &url, None)?;
    if first.status != 401 {
        return judge(first.status);
    }
    let challenge =
        best_challenge(first.challenges.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    let authorization = match challenge {
        Challenge::Basic { .. } if !settings.basic_knock => {
            let why =
                "the device asks for Basic, which would show it the password in clear (--quirk basic-knock)";
            return Err(why.to_owned());
        }
        Challenge::Basic { .. } => basic(&who),
        Challenge::Digest(digest) => {
            let cnonce = rng::hex(8).map_err(|error| error.to_string())?;
            let uri = if settings.root_uri { "/" } else { url.target.as_str() };
            DigestClient::new(digest).answer(&who, "GET", uri, b"", &cnonce)
        }
    };
    let authorization = authorization.map_err(|error| error.to_string())?;
    let answered = match stream {
        // It may have been closed without a word.
        Some(stream) => get(stream, &url, Some(&authorization))
            .or_else(|_| get(connect(address)?, &url, Some(&authorization))),
        None => get(connect(address)?, &url, Some(&authorization)),
    };
    match answered?.0.status {
        401 => Err("the device did not accept our user name and password".to_owned()),
        status => judge(status),
    }
}

/// Sends a signed datagram to the UDPConnectionRequestAddress of a device; nothing tells whether it comes there.
///
/// # Errors
/// An address that is none or may not be talked to; the system's.
pub fn by_udp(device: &Device, address: &str, settings: &Settings) -> Result<(), String> {
    let text = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
    let mut found = text.to_socket_addrs().map_err(|error| format!("{address}: {error}"))?;
    let to = found
        .find(|one| settings.allow_remote || one.ip().is_loopback())
        .ok_or_else(|| format!("{address} is not on this machine (--allow-remote lets it in)"))?;
    let now = crate::sys::clock::epoch_seconds().to_string();
    let id = rng::number().map_err(|error| error.to_string())?.to_string();
    let nonce = rng::hex(8).map_err(|error| error.to_string())?;
    let datagram = datagram(device, address, &now, &id, &nonce);
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let told = |error: std::io::Error| format!("{address}: {error}");
    let socket = UdpSocket::bind(any).map_err(told)?;
    for _ in 0..DATAGRAMS {
        socket.send_to(datagram.as_bytes(), to).map_err(told)?;
    }
    Ok(())
}

/// The text of a datagram (Annex G.2.2.3): its signature is over the four arguments, in their order.
fn datagram(device: &Device, address: &str, ts: &str, id: &str, cn: &str) -> String {
    let un = &device.connection_request_username;
    let mut mac = Hmac::<Sha1>::new_from_slice(device.connection_request_password.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{ts}{id}{un}{cn}").as_bytes());
    let sig: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    let un: String = un
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("GET http://{address}?ts={ts}&id={id}&un={un}&cn={cn}&sig={sig} HTTP/1.1\r\n\r\n")
}

fn judge(status: u16) -> Result<(), String> {
    match status {
        200 | 204 => Ok(()),
        503 => Err("the device is too busy for a session (503)".to_owned()),
        other => Err(format!("the device answered with status {other}")),
    }
}

/// The device's address; beyond the loopback only where that is allowed, since it is the device that names it.
fn address(url: &Url, allow_remote: bool) -> Result<SocketAddr, String> {
    let mut addresses =
        (url.host.as_str(), url.port).to_socket_addrs().map_err(|error| format!("{}: {error}", url.host))?;
    addresses
        .find(|address| allow_remote || address.ip().is_loopback())
        .ok_or_else(|| format!("{} is not on this machine (--allow-remote lets it in)", url.host))
}

/// What a device answered.
struct Answer {
    status: u16,
    challenges: Vec<String>,
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let told = |error: std::io::Error| format!("{address}: {error}");
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    Ok(stream)
}

/// One GET: the answer, and the connection if it stays open.
fn get(
    mut stream: TcpStream,
    url: &Url,
    authorization: Option<&str>,
) -> Result<(Answer, Option<TcpStream>), String> {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let place = format!("{host}:{}", url.port);
    let told = |error: std::io::Error| format!("{place}: {error}");
    let mut text = format!("GET {} HTTP/1.1\r\nHost: {place}\r\n", url.target);
    match authorization {
        Some(authorization) => text += &format!("Authorization: {authorization}\r\nConnection: close\r\n"),
        None => text += "Connection: keep-alive\r\n",
    }
    text += "\r\n";
    stream.write_all(text.as_bytes()).map_err(told)?;
    let mut seen = Vec::new();
    loop {
        let mut part = [0; 2048];
        let count = stream.read(&mut part).map_err(told)?;
        seen.extend_from_slice(&part[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&seen) {
            Ok(httparse::Status::Complete(head)) => {
                let all = |name: &str| -> Vec<String> {
                    let named = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
                    named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
                };
                let length: Option<usize> =
                    all("Content-Length").first().and_then(|text| text.trim().parse().ok());
                let closes = all("Connection").iter().any(|word| word.trim().eq_ignore_ascii_case("close"));
                let found =
                    Answer { status: answer.code.unwrap_or_default(), challenges: all("WWW-Authenticate") };
                // Only an answer whose end is known leaves a connection for the next request.
                let keeps = !closes && answer.version == Some(1);
                let left = length.map(|length| length.saturating_sub(seen.len() - head));
                let stream = match left.filter(|left| keeps && *left <= MAX_ANSWER) {
                    Some(left) => stream.read_exact(&mut vec![0; left]).is_ok().then_some(stream),
                    None => None,
                };
                return Ok((found, stream));
            }
            Ok(httparse::Status::Partial) if count > 0 && seen.len() <= MAX_ANSWER => {}
            Ok(httparse::Status::Partial) => return Err(format!("{place} closed the connection early")),
            Err(error) => return Err(format!("{place} does not speak HTTP: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device {
            connection_request_username: "CPE 1".into(),
            connection_request_password: "Passphrase".into(),
            ..Device::default()
        }
    }

    #[test]
    fn the_signature_of_a_datagram() {
        // printf '%s' '11206737001234CPE 1XTGRWIPC6D3IPXS3' | openssl dgst -sha1 -hmac Passphrase
        let text = datagram(&device(), "127.0.0.1:3490", "1120673700", "1234", "XTGRWIPC6D3IPXS3");
        assert_eq!(
            text,
            "GET http://127.0.0.1:3490?ts=1120673700&id=1234&un=CPE%201&cn=XTGRWIPC6D3IPXS3&sig=F7D2F85123BA8454A3A555ED0BDAA10AB802A43A HTTP/1.1\r\n\r\n"
        );
    }

    #[test]
    fn datagrams_arrive() {
        let cpe = UdpSocket::bind("127.0.0.1:0").unwrap();
        cpe.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = cpe.local_addr().unwrap().to_string();
        by_udp(&device(), &address, &Settings::default()).unwrap();
        let mut part = [0; 1024];
        let texts: Vec<Vec<u8>> = (0..DATAGRAMS)
            .map(|_| cpe.recv(&mut part).map(|count| part[..count].to_vec()).unwrap())
            .collect();
        assert!(texts.iter().all(|text| text == &texts[0]));
        assert!(texts[0].starts_with(format!("GET http://{address}?ts=").as_bytes()));
        assert!(
            by_udp(&device(), "192.0.2.1:7", &Settings::default()).unwrap_err().contains("--allow-remote")
        );
        assert!(by_udp(&device(), "a b", &Settings::default()).is_err());
    }
}
