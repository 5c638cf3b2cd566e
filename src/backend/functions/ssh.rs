//! `Device.SSH.`: dropbear's servers, who is connected to them, and the keys that root lets in.
//!
//! A row of the keys is a line of `/etc/dropbear/authorized_keys`. AddObject makes a line before there is
//! a key: a comment, which dropbear does not read.

use super::services::{self, Instance};
use super::{netif, proc_net, topology};
use crate::backend::{Section, System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "ssh", get: server, set: None },
    ValueFn { name: "ssh_interface", get: interface, set: Some(set_interface) },
    ValueFn { name: "ssh_key", get: key, set: Some(set_key) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "ssh_sessions", rows: sessions, add: None, delete: None },
    TableFn { name: "ssh_keys", rows: keys, add: Some(add_key), delete: Some(delete_key) },
];

const KEYS: &str = "/etc/dropbear/authorized_keys";
/// Of a line that has no key yet.
const EMPTY: &str = "# rcwmp ";
/// The most keys, and connections.
const MAX_ROWS: usize = 256;
/// The longest key: 16384 bits of RSA in base64, with options and a comment.
const MAX_KEY: usize = 8192;

/// The sections that are on, with what procd runs for them.
fn running(system: &mut System) -> Result<Vec<(Section, Option<u32>)>> {
    let instances = services::instances(system, "dropbear");
    let mut out: Vec<(Section, Option<u32>)> = Vec::new();
    for section in system.sections("dropbear", "dropbear")?.into_iter().take(MAX_ROWS) {
        if netif::unless_off(system, &format!("dropbear.{}.enable", section.addr))? {
            // The instance of a nameless section has a name that only uci knows, but keeps its place.
            let named = |one: &&Instance| Some(&one.name) == section.name.as_ref();
            let instance = instances.iter().find(named).or(instances.get(out.len()));
            let pid = instance.and_then(|instance| instance.pid);
            out.push((section, pid));
        }
    }
    Ok(out)
}

fn server(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let running = running(system)?;
    let row = at.row().map(|row| row.addr.as_str()).unwrap_or_default();
    let own = running.iter().find(|(section, _)| section.addr == row);
    let pid = own.and_then(|(_, pid)| *pid);
    let state = |on: bool, runs: bool| match (on, runs) {
        (false, _) => "Disabled",
        (true, true) => "Enabled",
        (true, false) => "Error",
    };
    let text = match what {
        "enable" => Some(if running.is_empty() { "0" } else { "1" }.to_owned()),
        "status" => Some(state(!running.is_empty(), running.iter().any(|(_, pid)| pid.is_some())).to_owned()),
        "server_status" => Some(state(own.is_some(), pid.is_some()).to_owned()),
        "since" => pid.and_then(|pid| services::since(system, pid)),
        "pid" => pid.map(|pid| pid.to_string()),
        // Whose the file of keys is.
        _ => Some("root".to_owned()),
    };
    Ok(text.map(Raw::One))
}

/// Which of the two options names the interface: the one that binds to its device goes first.
fn interface_option(system: &mut System, at: &Place<'_>) -> Result<(String, &'static str)> {
    let section = format!("dropbear.{}", at.row().map(|row| row.addr.as_str()).unwrap_or_default());
    let direct = !topology::text(system, &section, "DirectInterface")?.is_empty();
    Ok((section, if direct { "DirectInterface" } else { "Interface" }))
}

fn interface(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let (section, option) = interface_option(system, &at)?;
    Ok(topology::words(system, &section, option)?.into_iter().next().map(Raw::One))
}

fn set_interface(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let (section, option) = interface_option(system, &at)?;
    // The interface it was bound to is deleted: on all others it would be for everybody.
    if raw.text().is_empty() && system.releasing {
        topology::put(system, &section, "enable", "0")?;
    }
    topology::put(system, &section, option, &raw.text())
}

/// Connections to the port of a section. Columns: address and port of the other side.
fn sessions(system: &mut System, _at: Place<'_>, section: &str) -> Result<Vec<Row>> {
    if running(system)?.iter().all(|(one, _)| one.addr != section) {
        return Ok(Vec::new());
    }
    let port = system.option_text(&format!("dropbear.{section}.Port"))?;
    let port: u16 = if port.is_empty() { 22 } else { port.parse().unwrap_or(0) };
    let mut out = Vec::new();
    for socket in proc_net::sockets(system) {
        if socket.listens || socket.local_port != port || out.len() >= MAX_ROWS {
            continue;
        }
        let remote = match socket.remote {
            std::net::IpAddr::V6(address) => address.to_canonical(),
            address => address,
        };
        let name = format!("{remote} {}", socket.remote_port);
        let cols = vec![remote.to_string(), socket.remote_port.to_string()];
        out.push(Row { addr: name.clone(), name, cols });
    }
    Ok(out)
}

/// Whether a line of the file is a row: a key, or the place of one.
fn is_row(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(EMPTY) || !(line.is_empty() || line.starts_with('#'))
}

/// Rows named by their lines, at the numbers of these in the file.
fn keys(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text(KEYS).unwrap_or_default();
    let rows = text.lines().enumerate().filter(|(_, line)| is_row(line)).take(MAX_ROWS);
    let row = |(at, line): (usize, &str)| Row {
        name: line.trim().to_owned(),
        addr: at.to_string(),
        cols: Vec::new(),
    };
    Ok(rows.map(row).collect())
}

fn key(_system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(at.row().filter(|row| !row.name.starts_with(EMPTY)).map(|row| Raw::one(&row.name)))
}

/// Whether a text is one line with a public key in it, behind options or not.
fn is_key(text: &str) -> bool {
    let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let mut words = text.split(' ');
    let blob = words.find(|word| kinds.iter().any(|kind| word.starts_with(kind))).and_then(|_| words.next());
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.len() <= MAX_KEY
        && !text.starts_with('#')
        && !text.chars().any(char::is_control)
        && blob.is_some_and(|blob| blob.len() >= 16 && blob.bytes().all(base64))
}

fn set_key(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let key = raw.text();
    let key = key.trim();
    if !key.is_empty() && !is_key(key) {
        return Err(Error::bad_value(at.name, "not a public key as a line of authorized_keys has it"));
    }
    let text = system.text(KEYS).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let line = at.row().and_then(|row| row.addr.parse().ok()).filter(|line| *line < lines.len());
    let line: usize = line.ok_or_else(|| Error::not_writable(at.name))?;
    if lines.iter().enumerate().any(|(other, text)| other != line && !key.is_empty() && text.trim() == key) {
        return Err(Error::bad_value(at.name, "this key is there already"));
    }
    let new = if key.is_empty() { free(&lines) } else { key.to_owned() };
    let changed = lines.iter().enumerate().map(|(other, text)| if other == line { &new } else { *text });
    system.put_text(KEYS, joined(changed))
}

/// The place of a key that is not there yet.
fn free(lines: &[&str]) -> String {
    let taken = |name: &str| lines.iter().any(|line| line.trim() == name);
    topology::numbered(EMPTY, taken)
}

fn joined<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn add_key(system: &mut System, at: Place<'_>, argument: &str) -> Result<Row> {
    if !system.exists("/etc/dropbear") {
        return Err(Error::exhausted(format!("adding to {}: dropbear is not installed", at.name)));
    }
    let text = system.text(KEYS).unwrap_or_default();
    if keys(system, at, argument)?.len() >= MAX_ROWS {
        return Err(Error::exhausted(format!("there are {MAX_ROWS} keys")));
    }
    let lines: Vec<&str> = text.lines().collect();
    let name = free(&lines);
    let addr = lines.len().to_string();
    system.put_text(KEYS, joined(lines.into_iter().chain([name.as_str()])))?;
    Ok(Row { name, addr, cols: Vec::new() })
}

fn delete_key(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let gone = at.row().map(|row| row.name.clone()).unwrap_or_default();
    let text = system.text(KEYS).unwrap_or_default();
    system.put_text(KEYS, joined(text.lines().filter(|line| line.trim() != gone)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (text, good) in [
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample user@host", true),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB", true),
            ("restrict,command=\"echo hi\" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB", true),
            ("ssh-rsa", false),
            ("ssh-rsa short", false),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB\nssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB", false),
            ("#ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB", false),
            ("AAAAB3NzaC1yc2EAAAADAQABAAAB", false),
            ("", false),
        ] {
            assert_eq!(is_key(text), good, "{text}");
        }
        assert!(is_row("ssh-rsa x") && is_row("# rcwmp 1") && !is_row("# note") && !is_row("  "));
    }
}
