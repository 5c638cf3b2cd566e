//! The XMPP connection that connection requests come by: what the configuration says of it, and the way to a server.
//!
//! ```text
//!  DNS-SRV      _xmpp-client._tcp.Domain, and without such records as DNS      ┐
//!  DNS          Domain, port 5222                                              ├─► addresses ─► one of them ─► login
//!  ServerTable  Server.{i}. that are enabled                                   ┘
//! ```
//! All of the way may take its time, so [`Attempt::run`] is for a worker thread.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::tls::Maybe;
use crate::backend::System;
use crate::connreq::xmpp::client::{Account, Fault, Online, Stats, login};
use crate::connreq::xmpp::server::{Retry, Server, order};
use crate::diagnostics::lookup::services;
use crate::http::lookup::lookup;
use crate::http::wire::{Cancel, Wire};
use crate::model::error::Result;
use crate::model::value::switch;

/// The port of clients (RFC 6120 3.2.2).
const PORT: u16 = 5222;
/// The port of DNS.
const DNS: u16 = 53;
/// `KeepAliveInterval` -1: RFC 6120 4.6.4 advises against less.
const KEEP_ALIVE: u64 = 300;
/// The most rows of `Server.{i}.`, and the most addresses in all, that are tried.
const MAX_SERVERS: usize = 16;
/// The most entries of ConnReqAllowedJabberIDs (TR-181).
const MAX_ALLOWED: usize = 32;

/// `Device.XMPP.Connection.{i}.` as far as the agent needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// How the model names the section.
    pub section: String,
    /// Who we are.
    pub account: Account,
    /// Where the server is.
    pub algorithm: Algorithm,
    /// How often a blank is sent; `None` for never.
    pub keep_alive: Option<Duration>,
    /// When to try again.
    pub retry: Retry,
    /// `ManagementServer.ConnReqAllowedJabberIDs`.
    pub allowed: Vec<String>,
}

/// `ServerConnectAlgorithm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// `DNS-SRV`.
    DnsSrv,
    /// `DNS`.
    Dns,
    /// `ServerTable`, with its rows that are enabled.
    ServerTable(Vec<Server>),
}

impl Settings {
    /// The address that we ask for; the server may give another.
    pub fn jid(&self) -> String {
        let Account { username, domain, resource, .. } = &self.account;
        match resource.as_str() {
            "" => format!("{username}@{domain}"),
            resource => format!("{username}@{domain}/{resource}"),
        }
    }
}

/// What ConnReqXMPPConnection refers to, if it is enabled and whole; and how the model names the sections of
/// all the connections.
///
/// # Errors
/// When the configuration cannot be read.
pub fn settings(system: &mut System) -> Result<(Option<Settings>, Vec<String>)> {
    let all = system.sections("cwmp", "xmpp_connection")?;
    let sections = all.iter().map(|section| section.addr.clone()).collect();
    let own =
        system.sections("cwmp", "xmpp")?.into_iter().next().map(|section| format!("cwmp.{}", section.addr));
    let Some(own) = own else { return Ok((None, sections)) };
    let wanted = system.option_text(&format!("{own}.connection"))?;
    let Some(found) = all.into_iter().find(|section| section.id == wanted) else {
        return Ok((None, sections));
    };
    let allowed = system.option_text(&format!("{own}.allowed_jids"))?;
    let mut names: Vec<String> = allowed.split([',', ' ']).map(str::to_owned).collect();
    names.retain(|one| !one.is_empty());
    names.truncate(MAX_ALLOWED);
    // An empty list lets everybody ask; one of nothing but separators was not meant so, and names nobody.
    if names.is_empty() && !allowed.trim().is_empty() {
        names.push(allowed);
    }
    let allowed = names;
    let mut servers = Vec::new();
    let rows = system.sections("cwmp", "xmpp_server")?;
    let mut text = |section: &str, option: &str| system.option_text(&format!("cwmp.{section}.{option}"));
    let number = |text: &str, default: u32| text.trim().parse().unwrap_or(default);
    for row in rows.into_iter().map(|row| row.addr) {
        let host = text(&row, "address")?;
        let is_ours = text(&row, "connection")? == found.addr && is_on(&text(&row, "enable")?);
        if is_ours && !host.is_empty() && servers.len() < MAX_SERVERS {
            let short = |text: String, default| u16::try_from(number(&text, default)).unwrap_or(0);
            servers.push(Server {
                priority: short(text(&row, "priority")?, 0),
                weight: short(text(&row, "weight")?, 0),
                port: short(text(&row, "port")?, PORT.into()),
                host,
            });
        }
    }
    let addr = &found.addr;
    let account = Account {
        username: text(addr, "username")?,
        password: text(addr, "password")?.into(),
        domain: text(addr, "domain")?,
        resource: text(addr, "resource")?,
        use_tls: is_on(&text(addr, "use_tls")?),
    };
    if !is_on(&text(addr, "enable")?) || account.username.is_empty() || account.domain.is_empty() {
        return Ok((None, sections));
    }
    let usual = Retry::default();
    let settings = Settings {
        algorithm: match text(addr, "connect_algorithm")?.as_str() {
            "DNS" => Algorithm::Dns,
            "ServerTable" => Algorithm::ServerTable(servers),
            _ => Algorithm::DnsSrv,
        },
        keep_alive: match text(addr, "keepalive_interval")?.trim().parse::<i64>() {
            Ok(0) => None,
            given => Some(given.ok().and_then(|given| u64::try_from(given).ok()).unwrap_or(KEEP_ALIVE)),
        }
        .map(Duration::from_secs),
        retry: Retry {
            attempts: number(&text(addr, "connect_attempts")?, usual.attempts),
            initial: number(&text(addr, "retry_initial_interval")?, usual.initial).max(1),
            multiplier: number(&text(addr, "retry_interval_multiplier")?, usual.multiplier).max(1000),
            most: number(&text(addr, "retry_max_interval")?, usual.most).max(1),
        },
        section: found.addr,
        account,
        allowed,
    };
    Ok((Some(settings), sections))
}

fn is_on(text: &str) -> bool {
    switch(text) == Some(true)
}

/// One attempt to log in at one address.
pub struct Attempt {
    /// Whose.
    pub settings: Settings,
    /// For STARTTLS.
    pub tls: Maybe,
    /// The only interface to use.
    pub interface: Option<String>,
    /// Only IPv4.
    pub force_ipv4: bool,
    /// The system's name servers.
    pub resolv_conf: PathBuf,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// For the order of servers, the same for all attempts since then.
    pub seed: u32,
    /// Random, for SASL.
    pub nonce: String,
    /// Counted so far.
    pub stats: Stats,
}

impl Attempt {
    /// Finds a server and logs in, by the deadline.
    ///
    /// # Errors
    /// Why that was not possible.
    pub fn run(&self, deadline: Instant, cancel: &Cancel) -> std::result::Result<Online, Fault> {
        let addresses = self.addresses(deadline, cancel)?;
        let turn = self.settings.retry.turn(self.failures, addresses.len());
        let address = addresses.get(turn).copied().into_iter().collect::<Vec<_>>();
        let interface = self.interface.as_deref();
        let (wire, _) = Wire::connect_unless(&address, interface, deadline, Some(cancel.clone()))
            .map_err(|why| Fault::NotPresent(format!("{}: {why}", shown(&address))))?;
        login(wire, &self.settings.account, self.tls.as_deref(), &self.nonce, self.stats)
    }

    fn addresses(&self, deadline: Instant, cancel: &Cancel) -> std::result::Result<Vec<SocketAddr>, Fault> {
        let mut out = Vec::new();
        let mut fault = Fault::NotPresent("no server is configured".to_owned());
        for server in order(self.servers(deadline, cancel)?, self.seed) {
            match lookup(&server.host, server.port, self.force_ipv4, deadline, cancel) {
                Ok(found) => out.extend(found),
                Err(why) => fault = Fault::NotPresent(format!("{}: {why}", server.host)),
            }
        }
        out.truncate(MAX_SERVERS);
        if out.is_empty() { Err(fault) } else { Ok(out) }
    }

    fn servers(&self, deadline: Instant, cancel: &Cancel) -> std::result::Result<Vec<Server>, Fault> {
        let domain = &self.settings.account.domain;
        let plain = || vec![Server { priority: 0, weight: 0, host: domain.clone(), port: PORT }];
        match &self.settings.algorithm {
            Algorithm::ServerTable(servers) => Ok(servers.clone()),
            Algorithm::DnsSrv if domain.parse::<IpAddr>().is_err() => {
                let name = format!("_xmpp-client._tcp.{domain}");
                let found = services(&name, &self.resolv_conf, DNS, cancel, deadline).unwrap_or_default();
                // A root for a target: decidedly not there (RFC 2782).
                if found.len() == 1 && found[0].3.is_empty() {
                    return Err(Fault::NotPresent(format!("{domain} has no XMPP service")));
                }
                let server = |(priority, weight, port, host)| Server { priority, weight, host, port };
                // Beside others such a record says nothing.
                let named = found.into_iter().filter(|(.., host)| !host.is_empty());
                let servers: Vec<Server> = named.map(server).collect();
                Ok(if servers.is_empty() { plain() } else { servers })
            }
            Algorithm::Dns | Algorithm::DnsSrv => Ok(plain()),
        }
    }
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect()
}
