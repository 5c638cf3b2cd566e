//! Connection requests: a GET with digest authentication to the URL that the device told (TR-069 3.2.2), and when
//! that fails, signed datagrams to the UDP address that it told (Annex G).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::http::auth::{Challenge, Credentials, DigestClient, best_challenge};
use crate::http::url::Url;
use crate::lab::store::Device;
use crate::sys::{clock, rng};

use super::office::Settings;

/// For connecting, and for each read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, its body included.
const MAX_ANSWER: u64 = 16 * 1024;
/// A datagram may be lost; a device takes the first that comes.
const COPIES: usize = 3;

/// Asks a device for a session; by UDP, if it has told where (an empty text for no), when HTTP fails. Nobody
/// answers a datagram, so that is as good as done.
///
/// # Errors
/// Why the device did not accept, for people.
pub fn knock(device: &Device, udp: &str, settings: &Settings) -> Result<(), String> {
    match by_http(device, settings) {
        Err(why) if !udp.is_empty() => {
            by_udp(device, udp, settings).map_err(|more| format!("{why}; by UDP: {more}"))
        }
        result => result,
    }
}

fn by_udp(device: &Device, at: &str, settings: &Settings) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{at}: {error}");
    // TR-181 lets port 80 be left out.
    let has_port = at.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let whole = if has_port { at.to_owned() } else { format!("{at}:80") };
    let target = whole
        .to_socket_addrs()
        .map_err(told)?
        .find(|address| settings.allow_remote || address.ip().is_loopback())
        .ok_or_else(|| format!("{at} is not on this machine (--allow-remote lets it in)"))?;
    let id = rng::number().map_err(told)?;
    let nonce = rng::hex(8).map_err(told)?;
    let text = datagram(device, at, clock::epoch_seconds(), id, &nonce);
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).map_err(told)?;
    (0..COPIES).try_for_each(|_| socket.send_to(text.as_bytes(), target).map(drop)).map_err(told)
}

/// As GenieACS writes it: no `/` before the `?`.
fn datagram(device: &Device, at: &str, time: i64, id: u32, nonce: &str) -> String {
    let user = &device.connection_request_username;
    let password = device.connection_request_password.as_bytes();
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(password).expect("HMAC takes any key");
    mac.update(format!("{time}{id}{user}{nonce}").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    format!(
        "GET http://{at}?ts={time}&id={id}&un={user}&cn={nonce}&sig={signature} HTTP/1.1\r\nHost: {at}\r\n\r\n"
    )
}

fn by_http(device: &Device, settings: &Settings) -> Result<(), String> {
    if device.connection_request_url.is_empty() {
        return Err("the device has told no ConnectionRequestURL".to_owned());
    }
    let url = Url::parse(&device.connection_request_url).map_err(|error| error.to_string())?;
    if url.tls {
        return Err("connection requests go over http only".to_owned());
    }
    let address = address(&url, settings.allow_remote)?;
    let who = Credentials::new(&device.connection_request_username, &device.connection_request_password);
    let (status, challenges) = get(address, &url, None)?;
    if status != 401 {
        return judge(status);
    }
    let challenge =
        best_challenge(challenges.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    let authorization = match challenge {
        Challenge::Basic { .. } => {
            return Err("the device asks for Basic authentication, and TR-069 has Digest only".to_owned());
        }
        Challenge::Digest(digest) => {
            let cnonce = rng::hex(8).map_err(|error| error.to_string())?;
            let uri = if settings.root_uri { "/" } else { url.target.as_str() };
            DigestClient::new(digest).answer(&who, "GET", uri, b"", &cnonce)
        }
    };
    let authorization = authorization.map_err(|error| error.to_string())?;
    match get(address, &url, Some(&authorization))?.0 {
        401 => Err("the device did not accept our user name and password".to_owned()),
        status => judge(status),
    }
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

/// Status and challenges of one GET on a connection of its own.
fn get(address: SocketAddr, url: &Url, authorization: Option<&str>) -> Result<(u16, Vec<String>), String> {
    let told = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let mut text = format!("GET {} HTTP/1.1\r\nHost: {host}:{}\r\n", url.target, url.port);
    if let Some(authorization) = authorization {
        text += &format!("Authorization: {authorization}\r\n");
    }
    text += "Connection: close\r\n\r\n";
    stream.write_all(text.as_bytes()).map_err(told)?;
    let mut seen = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    loop {
        let mut part = [0; 2048];
        let count = stream.read(&mut part).map_err(told)?;
        seen.extend_from_slice(&part[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&seen) {
            Ok(httparse::Status::Complete(_)) => {
                let challenges = answer
                    .headers
                    .iter()
                    .filter(|header| header.name.eq_ignore_ascii_case("WWW-Authenticate"))
                    .map(|header| String::from_utf8_lossy(header.value).into_owned())
                    .collect();
                return Ok((answer.code.unwrap_or_default(), challenges));
            }
            Ok(httparse::Status::Partial) if count > 0 => {}
            Ok(httparse::Status::Partial) => return Err(format!("{address} closed the connection early")),
            Err(error) => return Err(format!("{address} does not speak HTTP: {error}")),
        }
    }
}
