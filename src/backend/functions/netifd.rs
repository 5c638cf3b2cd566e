//! What netifd tells over ubus: `network.interface dump` of its interfaces, `network.device status` of its devices.
//!
//! Either is one call a session. Nothing in an answer is believed: what is not what it should be is as if it
//! were not told, and what is too much is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::topology::{self, Interface};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::backend::{Place, Raw};
use crate::model::{Result, date};
use crate::ubus::blobmsg::{Table, Value};

/// The most interfaces that are looked at.
const MAX_INTERFACES: usize = 256;
/// The most addresses, prefixes, routes, servers or complaints of one interface.
const MAX_ITEMS: usize = 64;
/// The most interfaces that one's protocol makes on its device.
const MAX_CHILDREN: usize = 8;
/// The longest text that is taken.
const MAX_TEXT: usize = 8192;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "interface_uptime", get: uptime, set: None },
    ValueFn { name: "net_stat", get: statistic, set: None },
    ValueFn { name: "net_speed", get: speed, set: None },
    ValueFn { name: "net_duplex", get: duplex, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

/// How long an address or a prefix still lives, in seconds; `None` for ever.
pub type Life = Option<u32>;

/// An IPv4 address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address4 {
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its prefix.
    pub bits: u32,
    /// The other end of a point-to-point link.
    pub peer: Option<Ipv4Addr>,
}

/// An IPv6 address or prefix of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address6 {
    /// The address; of a prefix without the bits behind it.
    pub address: Ipv6Addr,
    /// The length of its prefix.
    pub bits: u8,
    /// How long it is preferred.
    pub preferred: Life,
    /// How long it is valid.
    pub valid: Life,
}

/// A route that netifd set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub target: IpAddr,
    /// The length of its prefix.
    pub bits: u8,
    /// The next hop, unless the target is on the link.
    pub gateway: Option<IpAddr>,
    /// Its metric, if it has one.
    pub metric: Option<u32>,
    /// How long it is valid.
    pub valid: Life,
}

/// An interface as netifd sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logical {
    /// What it is called.
    pub name: String,
    /// It is configured and runs.
    pub up: bool,
    /// It is being set up.
    pub pending: bool,
    /// It has what it stands on.
    pub available: bool,
    /// Another interface's protocol made it; UCI does not know it.
    pub dynamic: bool,
    /// How long it is up, in seconds.
    pub uptime: Option<u32>,
    /// The device that carries its packets; empty when it is down.
    pub l3_device: String,
    /// Its protocol.
    pub proto: String,
    /// Its IPv4 addresses.
    pub ipv4: Vec<Address4>,
    /// Its IPv6 addresses.
    pub ipv6: Vec<Address6>,
    /// Prefixes that were delegated to it.
    pub delegated: Vec<Address6>,
    /// Prefixes that were assigned to it, each with its own address in it.
    pub assigned: Vec<(Address6, Option<Ipv6Addr>)>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its name servers.
    pub dns: Vec<IpAddr>,
    /// What went wrong last: subsystem and code.
    pub errors: Vec<(String, String)>,
    /// The DHCP server that gave its address.
    pub dhcp_server: Option<Ipv4Addr>,
    /// The lease that the server gave: seconds, -1 for ever.
    pub lease_time: Option<i32>,
    /// What else udhcpc's script passes on: host name, domain and time servers.
    pub host: String,
    /// See [`Logical::host`].
    pub domains: Vec<String>,
    /// See [`Logical::host`].
    pub time_servers: Vec<Ipv4Addr>,
    /// Options of DHCPv6, each a code and its octets as hexadecimal digits.
    pub options: Vec<(u16, String)>,
}

impl Logical {
    fn read(table: &Table) -> Logical {
        let text = |name: &str| table.text(name).filter(|text| text.len() <= 64).unwrap_or_default();
        let tables = |name: &str| table.array(name).iter().take(MAX_ITEMS).filter_map(Value::as_table);
        let data = table.table("data");
        let l3_device = text("l3_device").into_owned();
        Logical {
            name: text("interface").into_owned(),
            up: table.flag("up"),
            pending: table.flag("pending"),
            available: table.flag("available"),
            dynamic: table.flag("dynamic"),
            uptime: table.number("uptime").and_then(|seconds| u32::try_from(seconds).ok()),
            l3_device: if topology::is_device_name(&l3_device) { l3_device } else { String::new() },
            proto: text("proto").into_owned(),
            ipv4: tables("ipv4-address").filter_map(address4).collect(),
            ipv6: tables("ipv6-address").filter_map(address6).collect(),
            delegated: tables("ipv6-prefix").filter_map(prefix6).collect(),
            assigned: tables("ipv6-prefix-assignment").filter_map(assigned).collect(),
            routes: tables("route").filter_map(route).collect(),
            dns: table
                .array("dns-server")
                .iter()
                .take(MAX_ITEMS)
                .filter_map(|one| one.as_text()?.to_str().parse().ok())
                .collect(),
            errors: tables("errors").map(complaint).collect(),
            dhcp_server: data.and_then(|data| data.text("dhcpserver")?.parse().ok()),
            lease_time: data.and_then(|data| data.number("leasetime")).and_then(lease),
            host: data.and_then(|data| data.text("hostname")).map(short).unwrap_or_default(),
            domains: table
                .array("dns-search")
                .iter()
                .take(MAX_ITEMS)
                .filter_map(|one| Some(short(one.as_text()?.to_str())))
                .collect(),
            time_servers: data
                .and_then(|data| data.text("ntpserver"))
                .map(|text| {
                    text.split_whitespace().take(MAX_ITEMS).filter_map(|one| one.parse().ok()).collect()
                })
                .unwrap_or_default(),
            options: data
                .and_then(|data| data.text("passthru"))
                .map(|text| options(&text))
                .unwrap_or_default(),
        }
    }

    /// Whether it is made by the protocol of another one: `wan_6` by `wan`.
    fn is_child_of(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
        self.dynamic && rest.is_some()
    }

    /// Its complaints in one word each.
    pub fn has_error(&self, codes: &[&str]) -> bool {
        self.errors.iter().any(|(_, code)| codes.contains(&code.as_str()))
    }
}

/// A name, if it is no longer than one.
fn short(text: std::borrow::Cow<'_, str>) -> String {
    if text.len() <= 255 { text.into_owned() } else { String::new() }
}

fn address4(table: &Table) -> Option<Address4> {
    let bits = table.number("mask").map_or(Some(32), |bits| u32::try_from(bits).ok())?;
    let address = table.text("address")?.parse().ok()?;
    let peer = table.text("ptpaddress").and_then(|text| text.parse().ok());
    (bits <= 32).then_some(Address4 { address, bits, peer })
}

fn address6(table: &Table) -> Option<Address6> {
    let bits = table.number("mask").map_or(Some(128), |bits| u8::try_from(bits).ok())?;
    let address = table.text("address")?.parse().ok()?;
    let (preferred, valid) = (life(table, "preferred"), life(table, "valid"));
    (bits <= 128).then_some(Address6 { address, bits, preferred, valid })
}

fn prefix6(table: &Table) -> Option<Address6> {
    let found = address6(table)?;
    Some(Address6 { address: network6(found.address, found.bits), ..found })
}

fn assigned(table: &Table) -> Option<(Address6, Option<Ipv6Addr>)> {
    let own = table.table("local-address").and_then(|own| own.text("address")?.parse().ok());
    Some((prefix6(table)?, own))
}

/// An address without the bits behind its prefix.
pub fn network6(address: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let zeros = 128_u32.saturating_sub(u32::from(bits));
    Ipv6Addr::from(u128::from(address) & u128::MAX.checked_shl(zeros).unwrap_or(0))
}

/// Seconds; what is absent, as well as odhcpd's -1 and the protocol's 2^32-1, is for ever.
pub fn life(table: &Table, name: &str) -> Life {
    match table.number(name) {
        None | Some(-1) => None,
        Some(..-1) => Some(0),
        Some(seconds) => u32::try_from(seconds).ok().filter(|seconds| *seconds != u32::MAX),
    }
}

fn lease(seconds: i64) -> Option<i32> {
    match seconds {
        -1 | 0xffff_ffff => Some(-1),
        _ => i32::try_from(seconds).ok().filter(|seconds| *seconds >= 0),
    }
}

fn route(table: &Table) -> Option<Route> {
    let target: IpAddr = table.text("target")?.parse().ok()?;
    let most = if target.is_ipv4() { 32 } else { 128 };
    let bits = u8::try_from(table.number("mask")?).ok().filter(|bits| *bits <= most)?;
    let gateway = table.text("nexthop").and_then(|text| text.parse::<IpAddr>().ok());
    let gateway =
        gateway.filter(|gateway| !gateway.is_unspecified() && gateway.is_ipv4() == target.is_ipv4());
    let metric = table.number("metric").and_then(|metric| u32::try_from(metric).ok());
    Some(Route { target, bits, gateway, metric, valid: life(table, "valid") })
}

fn complaint(table: &Table) -> (String, String) {
    let text = |name: &str| table.text(name).filter(|text| text.len() <= 64).unwrap_or_default().into_owned();
    (text("subsystem"), text("code"))
}

/// DHCPv6 options as odhcp6c passes them on: code, length and octets in hexadecimal digits. One that is not
/// whole ends them.
fn options(text: &str) -> Vec<(u16, String)> {
    let mut rest = text;
    let mut out = Vec::new();
    if text.len() > MAX_TEXT || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return out;
    }
    while let (Some(code), Some(length)) = (rest.get(..4), rest.get(4..8)) {
        let number = |hex| u16::from_str_radix(hex, 16).unwrap_or_default();
        let end = 8 + usize::from(number(length)) * 2;
        let Some(value) = rest.get(8..end) else { break };
        if out.len() < MAX_ITEMS {
            out.push((number(code), value.to_ascii_uppercase()));
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    out
}

/// All interfaces, each name once; none when netifd does not answer. Read once a session.
pub fn all(system: &mut System) -> Rc<[Rc<Logical>]> {
    let read = |system: &mut System| {
        let answer = system.ubus("network.interface", "dump");
        let tables = answer.iter().flat_map(|answer| answer.array("interface")).filter_map(Value::as_table);
        let mut found: Vec<Rc<Logical>> = Vec::new();
        for logical in tables.take(MAX_INTERFACES).map(Logical::read) {
            if !logical.name.is_empty() && found.iter().all(|other| other.name != logical.name) {
                found.push(Rc::new(logical));
            }
        }
        Ok(found)
    };
    system.once("netifd", [], read).unwrap_or_default()
}

/// One interface; `None` when netifd does not answer or has none of that name.
pub fn find(system: &mut System, name: &str) -> Option<Rc<Logical>> {
    all(system).iter().find(|one| one.name == name).map(Rc::clone)
}

/// An interface and those that its protocol made on the same device (`wan_6` on `pppoe-wan`).
pub fn family(system: &mut System, name: &str) -> Vec<Rc<Logical>> {
    let all = all(system);
    let Some(own) = all.iter().find(|one| one.name == name) else { return Vec::new() };
    let fits = |one: &&Rc<Logical>| one.is_child_of(name) && one.l3_device == own.l3_device;
    let children = all.iter().filter(fits).take(if own.l3_device.is_empty() { 0 } else { MAX_CHILDREN });
    std::iter::once(own).chain(children).map(Rc::clone).collect()
}

/// The configured interface that one of netifd's stands for: itself, or the one whose protocol made it.
pub fn configured<'i>(interfaces: &'i [Interface], logical: &Logical) -> Option<&'i Interface> {
    let own = interfaces.iter().find(|one| one.name == logical.name);
    own.or_else(|| interfaces.iter().find(|one| logical.is_child_of(&one.name)))
}

/// When what lives so long ends, as a dateTime; `what` names it among all that ends, see [`System::steady`].
pub fn ends(system: &mut System, what: &str, life: Life) -> String {
    match life {
        None => "9999-12-31T23:59:59Z".to_owned(),
        Some(seconds) => {
            let end = system.now().0.saturating_add(i64::from(seconds));
            date::format_utc(system.steady(what, end))
        }
    }
}

/// TR-181's Status of an interface that is on; `l3` is the device that carries it.
pub fn status(system: &mut System, interface: &Interface, l3: &str) -> &'static str {
    let kernel = topology::status(system, l3);
    let lower = || match topology::is_device_name(&interface.device) {
        true => interface.device.as_str(),
        false => "",
    };
    match find(system, &interface.name) {
        // netifd keeps an address on a bridge that has no link; the kernel knows of the link.
        Some(told) if told.up => kernel.unwrap_or("Up"),
        Some(told) if told.pending => "Dormant",
        Some(told) if !told.available => "NotPresent",
        Some(_) => match topology::status(system, lower()) {
            None | Some("Up" | "Unknown") => "Down",
            Some("NotPresent") => "NotPresent",
            Some(_) => "LowerLayerDown",
        },
        None => match kernel {
            Some(word) => word,
            None if l3.is_empty() || topology::in_sysfs(system, &interface.device, "") => "Down",
            None => "NotPresent",
        },
    }
}

fn uptime(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    let told = find(system, name).filter(|told| told.up);
    Ok(told.and_then(|told| told.uptime).map(|seconds| Raw::One(seconds.to_string())))
}

// --- devices

/// What netifd tells of a device, as a function of its table; `None` when it does not know it.
pub fn device<T>(system: &mut System, name: &str, read: impl FnOnce(&Table) -> Option<T>) -> Option<T> {
    if !topology::is_device_name(name) {
        return None;
    }
    let answer: Rc<Table> = system.ubus("network.device", "status")?;
    read(answer.table(name)?)
}

/// TR-181's Status of a device of which the kernel's files tell none.
pub fn device_status(system: &mut System, name: &str) -> Option<&'static str> {
    device(system, name, |table| {
        let over = matches!(table.text("type").as_deref(), Some("bridge" | "8021q" | "8021ad" | "VLAN"));
        Some(match (table.flag("up"), table.flag("carrier")) {
            _ if table.get("present").and_then(Value::as_bool) == Some(false) => "NotPresent",
            (true, true) => "Up",
            (true, false) if over => "LowerLayerDown",
            _ => "Down",
        })
    })
}

/// Megabits a second and whether both ways at once, from `1000F`.
fn link(text: &str) -> Option<(u32, bool)> {
    let (digits, mode) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let speed = digits.parse().ok()?;
    match mode {
        "F" => Some((speed, true)),
        "H" => Some((speed, false)),
        _ => None,
    }
}

/// A file of the device under `/sys/class/net`, else what netifd tells.
fn statistic(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let Some((name, counter)) = argument.rsplit_once('/') else { return Ok(None) };
    if let Some(text) = topology::sysfs(system, name, &format!("statistics/{counter}")) {
        return Ok(Some(Raw::One(text)));
    }
    let told = device(system, name, |table| table.table("statistics")?.number(counter));
    Ok(told.filter(|count| *count >= 0).map(|count| Raw::One(count.to_string())))
}

fn speed(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    if let Some(text) = topology::sysfs(system, name, "speed") {
        return Ok(Some(Raw::One(text)));
    }
    let told = device(system, name, |table| link(&table.text("speed")?).filter(|_| table.flag("carrier")));
    Ok(told.map(|(speed, _)| Raw::One(speed.to_string())))
}

fn duplex(system: &mut System, _at: Place<'_>, name: &str) -> Result<Option<Raw>> {
    if let Some(text) = topology::sysfs(system, name, "duplex") {
        return Ok(Some(Raw::One(text)));
    }
    let told = device(system, name, |table| link(&table.text("speed")?).filter(|_| table.flag("carrier")));
    Ok(told.map(|(_, full)| Raw::one(if full { "full" } else { "half" })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ubus::json;

    fn logical(text: &str) -> Logical {
        Logical::read(&json::parse(text).unwrap())
    }

    #[test]
    fn whole() {
        let wan = logical(
            r#"{"interface":"wan6","up":true,"l3_device":"pppoe-wan","uptime":7,"proto":"dhcpv6",
            "ipv4-address":[{"address":"192.0.2.45","mask":32,"ptpaddress":"192.0.2.1"}],
            "ipv6-prefix":[{"address":"2001:db8:4500::7","mask":56,"preferred":-1,"valid":7053}],
            "route":[{"target":"::","mask":0,"nexthop":"fe80::1"},{"target":"10.8.0.2","mask":32,"nexthop":"0.0.0.0"}],
            "dns-server":["2001:db8::1",7,"x"],"errors":[{"subsystem":"ppp","code":"AUTH_FAILED"}],
            "data":{"leasetime":4294967295,"dhcpserver":"192.0.2.1","passthru":"0017000200ff00180004"}}"#,
        );
        assert_eq!((wan.up, wan.uptime, wan.l3_device.as_str()), (true, Some(7), "pppoe-wan"));
        assert_eq!(wan.ipv4[0].peer, Some(Ipv4Addr::new(192, 0, 2, 1)));
        let prefix = &wan.delegated[0];
        assert_eq!((prefix.address.to_string().as_str(), prefix.preferred), ("2001:db8:4500::", None));
        assert_eq!((prefix.valid, wan.lease_time), (Some(7053), Some(-1)));
        assert_eq!(wan.routes.iter().filter(|route| route.gateway.is_some()).count(), 1);
        assert_eq!((wan.dns.len(), wan.has_error(&["AUTH_FAILED"])), (1, true));
        assert_eq!(wan.options, [(23, "00FF".to_owned())]);
    }

    #[test]
    fn nonsense() {
        let none = logical(
            r#"{"interface":7,"up":"yes","l3_device":"../etc","uptime":-1,"ipv4-address":{"address":"1.2.3.4"},
            "ipv6-address":[{"address":"fe80::1%eth0","mask":64},{"address":"::1","mask":129},[],null],
            "ipv6-prefix":[{"mask":64}],"route":[{"target":"1.2.3.4","mask":33},{"target":"::"}],
            "ipv6-prefix-assignment":"x","dns-server":{},"errors":[{}],"data":[1]}"#,
        );
        assert_eq!(none, Logical { errors: vec![Default::default()], ..Logical::default() });
        let many = format!(r#"{{"dns-server":[{}"1.1.1.1"]}}"#, r#""1.1.1.1","#.repeat(1000));
        assert_eq!(logical(&many).dns.len(), MAX_ITEMS);
        for (text, found) in [("000100", 0), ("00010000", 1), ("0001ffff00", 0), ("00zz0000", 0), ("ää", 0)]
        {
            assert_eq!(options(text).len(), found, "{text}");
        }
    }

    #[test]
    fn links() {
        assert_eq!(link("1000F"), Some((1000, true)));
        assert_eq!(link("10H"), Some((10, false)));
        for bad in ["", "F", "-1F", "1000", "1000X", "1000é", "99999999999F"] {
            assert_eq!(link(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lifetimes() {
        let table = json::parse(r#"{"a":5,"b":-1,"c":-9,"d":4294967295,"e":"x","f":99999999999}"#).unwrap();
        let of = |name: &str| life(&table, name);
        assert_eq!([of("a"), of("b"), of("c"), of("d"), of("e")], [Some(5), None, Some(0), None, None]);
        assert_eq!((of("f"), of("absent")), (None, None));
    }
}
