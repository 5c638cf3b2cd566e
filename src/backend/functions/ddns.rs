//! `Device.DynamicDNS.`: the sections `service` of ddns-scripts, and what its running scripts leave in
//! `/var/run/ddns`: `SECTION.pid`, `SECTION.update` (seconds from boot to the last update), `SECTION.err`.

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::date;
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "ddns", get: ddns, set: Some(set_ddns) },
    ValueFn { name: "ddns_time", get: time, set: Some(set_time) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

/// Where services are described, and the most of their names that fit into the parameter.
const SERVICES: &str = "/usr/share/ddns/default";
const MAX_SERVICES: usize = 1000;

/// What is known of a client.
struct Client {
    section: String,
    on: bool,
    complete: bool,
    running: bool,
    /// Seconds since 1970.
    updated: Option<i64>,
    error: Option<String>,
}

fn client(system: &mut System, at: Place<'_>) -> Result<Client> {
    let name = at.rows.first().map(|instance| instance.row.addr.clone()).unwrap_or_default();
    let section = format!("ddns.{name}");
    let mut text = |option| topology::text(system, &section, option);
    let on = topology::truth(&text("enabled")?);
    let server = ["service_name", "update_url", "update_script"];
    let mut has_server = false;
    for option in server {
        has_server |= !text(option)?.is_empty();
    }
    // The scripts take the one for the other.
    let complete = has_server && !(text("domain")?.is_empty() && text("lookup_host")?.is_empty());
    let run = topology::text(system, "ddns.global", "ddns_rundir")?;
    let run = if run.starts_with('/') { run } else { "/var/run/ddns".to_owned() };
    let mut file = |ending| system.text(&format!("{run}/{name}.{ending}"));
    let pid = file("pid").and_then(|text| text.trim().parse::<u32>().ok());
    let uptime = file("update").and_then(|text| text.trim().parse::<u64>().ok()).filter(|at| *at > 0);
    let error = file("err").map(|text| text.to_ascii_lowercase()).filter(|text| !text.trim().is_empty());
    let running = pid.is_some_and(|pid| system.exists(&format!("/proc/{pid}")));
    let (epoch, since_boot) = system.now();
    let ago = uptime.and_then(|at| i64::try_from(since_boot.checked_sub(at)?).ok());
    let updated = ago.and_then(|ago| epoch.checked_sub(ago));
    Ok(Client { section, on, complete, running, updated, error })
}

fn ddns(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    match what {
        "services" => return Ok(Some(Raw::Many(services(system)))),
        "protocols" => {
            let programs = ["/usr/bin/curl", "/usr/libexec/wget-ssl", "/usr/bin/wget-ssl"];
            let tls = programs.iter().any(|path| system.exists(path))
                || system.names("/lib").iter().any(|name| name.starts_with("libustream-ssl"));
            return Ok(Some(Raw::one(if tls { "HTTP,HTTPS" } else { "HTTP" })));
        }
        _ => {}
    }
    let client = client(system, at)?;
    let Client { section, on, complete, running, updated, error } = client;
    Ok(match what {
        "status" => Some(
            match () {
                () if !on => "Disabled",
                () if !complete => "Error_Misconfigured",
                () if !running => "Error",
                () if updated.is_some() => "Updated",
                () => "Connecting",
            }
            .to_owned(),
        ),
        "host" => Some(
            match () {
                () if !on => "Disabled",
                () if !complete || !running => "Error",
                () if updated.is_some() => "Registered",
                () => "Updating",
            }
            .to_owned(),
        ),
        "error" if on && !complete => Some("MISCONFIGURATION_ERROR".to_owned()),
        "error" => Some(cause(error.as_deref().filter(|_| on)).to_owned()),
        "updated" => updated.map(date::format_utc),
        "name" => Some(topology::text(system, &section, "domain")?),
        "interface" => {
            let told = topology::text(system, &section, "interface")?;
            Some(if told.is_empty() { topology::text(system, &section, "ip_network")? } else { told })
        }
        _ => {
            let url = topology::text(system, &section, "update_url")?;
            let found = server(&url);
            match what {
                "address" => found.map(|(host, _)| host.to_owned()),
                _ => found.map(|(_, port)| port.to_string()),
            }
        }
    }
    .map(Raw::One))
}

/// What the program that was called complained about.
fn cause(error: Option<&str>) -> &'static str {
    let Some(error) = error else { return "NO_ERROR" };
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    match () {
        () if says(&["resolve", "nxdomain", "bad address", "name or service"]) => "DNS_ERROR",
        () if says(&["timed out", "timeout"]) => "TIMEOUT_ERROR",
        () if says(&["401", "403", "unauthorized", "badauth"]) => "AUTHENTICATION_ERROR",
        () => "CONNECTION_ERROR",
    }
}

/// Host and port of an update URL, whose user part holds placeholders in brackets.
fn server(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (host, default),
    };
    (!host.is_empty()).then_some((host, port))
}

/// The names of the services that are described, as many as fit.
fn services(system: &mut System) -> Vec<String> {
    let mut room = MAX_SERVICES;
    let names = system.names(SERVICES).into_iter();
    names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .take_while(|name| {
            let fits = name.len() < room;
            room = room.saturating_sub(name.len() + 1);
            fits
        })
        .collect()
}

fn set_ddns(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let section = client(system, at)?.section;
    let text = raw.text();
    if what == "interface" {
        // The one that triggers an update, and the one whose address is told.
        topology::put(system, &section, "ip_network", &text)?;
        return topology::put(system, &section, "interface", &text);
    }
    if what != "name" || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::bad_value(at.name, "not a host name"));
    }
    let before = topology::text(system, &section, "domain")?;
    let looked_up = topology::text(system, &section, "lookup_host")?;
    if looked_up == before || looked_up.is_empty() {
        topology::put(system, &section, "lookup_host", &text)?;
    }
    topology::put(system, &section, "domain", &text)
}

/// `SECTION.check` or `SECTION.retry`: a number with a unit in another option.
fn names(argument: &str) -> (String, String, String) {
    let (section, what) = argument.rsplit_once('.').unwrap_or_default();
    (format!("ddns.{section}"), format!("{what}_interval"), format!("{what}_unit"))
}

fn time(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let (section, number, unit) = names(argument);
    let (number, unit) =
        (topology::text(system, &section, &number)?, topology::text(system, &section, &unit)?);
    Ok(number.trim().parse::<u32>().ok().and_then(|number| {
        let seconds = match unit.as_str() {
            "days" => 86_400,
            "hours" => 3_600,
            "minutes" => 60,
            "seconds" => 1,
            // Without a unit: checks by minutes, retries by seconds.
            _ if argument.ends_with(".check") => 60,
            _ => 1,
        };
        number.checked_mul(seconds).map(|seconds| Raw::One(seconds.to_string()))
    }))
}

fn set_time(system: &mut System, _at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let (section, number, unit) = names(argument);
    topology::put(system, &section, &number, &raw.text())?;
    topology::put(system, &section, &unit, "seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for (url, expected) in [
            (
                "http://[USERNAME]:[PASSWORD]@your.provider.net/nic?h=[DOMAIN]",
                Some(("your.provider.net", 80)),
            ),
            ("https://dyn.example.com:8443/up", Some(("dyn.example.com", 8443))),
            ("https://[2001:db8::1]/x", Some(("[2001:db8::1]", 443))),
            ("dyn.example.com", None),
            ("http:///x", None),
            ("http://h:x/", None),
        ] {
            assert_eq!(server(url), expected, "{url}");
        }
    }

    #[test]
    fn causes() {
        assert_eq!(cause(None), "NO_ERROR");
        assert_eq!(cause(Some("curl: (6) could not resolve host: x")), "DNS_ERROR");
        assert_eq!(cause(Some("connection refused")), "CONNECTION_ERROR");
        assert_eq!(cause(Some("http error 401")), "AUTHENTICATION_ERROR");
    }
}
