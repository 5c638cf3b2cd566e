//! Configurations of real routers as they were published, with the answers of programs where there are some: all of
//! `Device.` is read without a fault, every value is of its parameter's type, and what a set configures shows, as a
//! reader of its own (that knows nothing of the agent's) finds it in the files.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod router;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use bus::{Bus, Offers};
use rcwmp::model::value::Input;
use router::{Router, open_with};

/// Without a value of their type where nobody says any: no country is configured, and the kernel's `00` is no name.
const BLANK: &[&str] = &[".RegulatoryDomain", ".RoamingStatus", ".IMEI"];
/// Complaints about values that are none of their type in the files themselves, one by one.
const FOREIGN: &[(&str, &str, &str)] = &[
    // `10.xxx.yyy.zzz`, for the reader to fill in.
    ("dsa-movistar-iptv", "Device.IP.Interface.5.IPv4Address.1.IPAddress", "is not an IPv4 address"),
    // `XX:XX:XX:XX:XX:XX`.
    ("x86-orange-tv", "Device.DHCPv4.Server.Pool.3.StaticAddress.1.Chaddr", "is not a MAC address"),
];
/// Object, method, and the published answer: what a router of that age says, whatever the set.
const ANSWERS: &[(&str, &str, &str)] = &[
    ("system", "board", "system.board-openwrt-one-25.12"),
    ("system", "info", "system.info-wndr3800-24.10"),
    ("dhcp", "ipv4leases", "dhcp.ipv4leases-25.12.derived"),
    ("dhcp", "ipv6leases", "dhcp.ipv6leases-pd.derived"),
    ("luci-rpc", "getHostHints", "luci-rpc.getHostHints-21.02"),
    ("luci-rpc", "getDHCPLeases", "luci-rpc.getDHCPLeases-21.02"),
    ("luci-rpc", "getNetworkDevices", "luci-rpc.getNetworkDevices.derived"),
    ("luci-rpc", "getWirelessDevices", "luci-rpc.getWirelessDevices.derived"),
    ("network.interface", "dump", "network.interface.dump-pppoe-dualstack-dhcp-wg.derived"),
    ("network.wireless", "status", "network.wireless.status-mt7986-25.12"),
    ("iwinfo", "info", "iwinfo.info-ap-25.12"),
    ("iwinfo", "assoclist", "iwinfo.assoclist-he-eht.derived"),
    ("service", "list", "service.list.derived"),
    ("rc", "list", "rc.list.derived"),
    ("dsl", "metrics", "dsl.metrics-vdsl2.derived"),
];
/// The answers that belong to a set.
const MATCHING: &[(&str, &str, &str, &str)] = &[
    ("mvebu-mesh11s-master", "network.wireless", "status", "network.wireless.status-mesh-21.02"),
    ("mvebu-mesh11s-master", "iwinfo", "info", "iwinfo.info-mesh-5g"),
    ("mvebu-mesh11s-master", "iwinfo", "assoclist", "iwinfo.assoclist-mesh-5g"),
    ("wrt1900acs-dumb-ap", "iwinfo", "assoclist", "iwinfo.assoclist-mwlwifi-25.12"),
    ("m28c-immortalwrt", "network.wireless", "status", "network.wireless.status-ax6000-25.12"),
    ("mt7621-kpn-iptv", "network.wireless", "status", "network.wireless.status-mt7622-23.05"),
];

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/router-samples")
}

/// The folders with sets; none without the samples.
fn sets() -> Vec<PathBuf> {
    let below = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    };
    let folder = samples().join("etc-config");
    let mut sets: Vec<PathBuf> = below(folder.clone()).chain(below(folder.join("netjsonconfig"))).collect();
    sets.sort();
    sets
}

fn name_of(set: &Path) -> &str {
    set.file_name().unwrap().to_str().unwrap()
}

fn programs(set: &Path) -> Bus {
    let answer =
        |file: &str| fs::read_to_string(samples().join("ubus").join(format!("{file}.json"))).unwrap();
    let mut offers = Offers::new();
    for (object, method, file) in ANSWERS {
        offers = offers.says(object, method, &answer(file));
    }
    for (_, object, method, file) in MATCHING.iter().filter(|(of, ..)| *of == name_of(set)) {
        offers = offers.says(object, method, &answer(file));
    }
    offers.start()
}

fn build(set: &Path, programs: Option<&Bus>) -> Router {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("etc/config");
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    open_with(dir, programs.map(Bus::socket))
}

/// What the agent itself says when it is started on the same folder, where that is something else than these names.
fn as_the_agent(router: &Router, names: &[String]) -> Option<String> {
    let mut run = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
    let out = run.arg("--root").arg(router.dir.path()).args(["-c", "get", "Device."]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let told: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("Device."))
        .filter_map(|line| Some(line.split_once(" =>")?.0))
        .collect();
    let same = out.status.success() && told == names.iter().map(String::as_str).collect::<Vec<_>>();
    (!same).then(|| {
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        format!("the agent: {} of {} names, {:?} {why}", told.len(), names.len(), out.status)
    })
}

/// A section of a file: type, name, options in their order, an item of a list each.
struct Section {
    ty: String,
    name: String,
    options: Vec<(String, String)>,
}

impl Section {
    /// The words of an option, be it a list or a text with blanks.
    fn words(&self, option: &str) -> Vec<&str> {
        let of = self.options.iter().filter(|(name, _)| name == option);
        of.flat_map(|(_, value)| value.split_whitespace()).collect()
    }

    fn text(&self, option: &str) -> &str {
        let found = self.options.iter().rev().find(|(name, _)| name == option);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn is(&self, option: &str) -> bool {
        matches!(self.text(option), "1" | "on" | "true" | "yes" | "enabled")
    }
}

/// The words of a line; quotes hold blanks together.
fn line(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => out.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

fn read(set: &Path, package: &str) -> Vec<Section> {
    let text = fs::read(set.join(package)).unwrap_or_default();
    let mut out: Vec<Section> = Vec::new();
    for words in String::from_utf8_lossy(&text).lines().map(line) {
        let word = |at: usize| words.get(at).cloned().unwrap_or_default();
        match word(0).as_str() {
            "config" => out.push(Section { ty: word(1), name: word(2), options: Vec::new() }),
            "option" | "list" => {
                let Some(section) = out.last_mut() else { continue };
                // The last one of several options of a name holds.
                if word(0) == "option" {
                    section.options.retain(|(name, _)| *name != word(1));
                }
                section.options.push((word(1), word(2)));
            }
            _ => {}
        }
    }
    out
}

/// What was read of a router.
struct Tree(Vec<(String, String)>);

impl Tree {
    /// The values of the parameters of a name below an object.
    fn all(&self, object: &str, param: &str) -> Vec<&str> {
        let param = format!(".{param}");
        let of = self.0.iter().filter(|(name, _)| name.starts_with(object) && name.ends_with(&param));
        of.map(|(_, value)| value.as_str()).collect()
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// What a set configures and the tree does not show.
fn missing(set: &Path, tree: &Tree) -> (usize, Vec<String>) {
    let (mut seen, mut out) = (0, Vec::new());
    let mut shows = |what: String, shown: bool| {
        seen += 1;
        if !shown {
            out.push(format!("{}: {what}", name_of(set)));
        }
    };
    for iface in read(set, "wireless").iter().filter(|section| section.ty == "wifi-iface") {
        let (ssid, mode) = (iface.text("ssid"), iface.text("mode"));
        if !ssid.is_empty() && matches!(mode, "" | "ap" | "sta") {
            shows(format!("SSID {ssid}"), tree.all("Device.WiFi.", "SSID").contains(&ssid));
        }
    }
    let network = read(set, "network");
    let interfaces: Vec<&Section> = network.iter().filter(|section| section.ty == "interface").collect();
    let names = tree.all("Device.IP.Interface.", "Name");
    for interface in &interfaces {
        let (name, proto) = (&interface.name, interface.text("proto"));
        shows(format!("interface {name}"), names.contains(&name.as_str()));
        if proto == "static" {
            for address in interface.words("ipaddr").iter().filter_map(|word| word.split('/').next()) {
                if address.parse::<Ipv4Addr>().is_ok() {
                    shows(
                        format!("address {address}"),
                        tree.all("Device.IP.Interface.", "IPAddress").contains(&address),
                    );
                }
            }
            for address in interface.words("ip6addr").iter().filter_map(|word| word.split('/').next()) {
                if let Ok(wanted) = address.parse::<Ipv6Addr>() {
                    let shown = tree.all("Device.IP.Interface.", "IPAddress");
                    let shown = shown.iter().any(|shown| shown.parse() == Ok(wanted));
                    shows(format!("address {address}"), shown);
                }
            }
        }
        if matches!(proto, "pppoe" | "pppoa" | "ppp") && !interface.text("username").is_empty() {
            let user = interface.text("username");
            shows(format!("PPP user {user}"), tree.all("Device.PPP.", "Username").contains(&user));
        }
    }
    for system in read(set, "system").iter().filter(|section| section.ty == "system") {
        for (option, param) in
            [("hostname", "Device.DeviceInfo.HostName"), ("timezone", "Device.Time.LocalTimeZone")]
        {
            let text = system.text(option);
            if !text.is_empty() {
                shows(format!("{option} {text}"), tree.get(param) == text);
            }
        }
    }
    for section in &read(set, "dhcp") {
        match section.ty.as_str() {
            "host" if !section.text("ip").is_empty() => {
                // Placeholders are no addresses.
                let is_mac = |mac: &&str| {
                    let octets: Vec<&str> = mac.split(':').collect();
                    octets.len() == 6 && octets.iter().all(|octet| u8::from_str_radix(octet, 16).is_ok())
                };
                for mac in section.words("mac").into_iter().filter(is_mac) {
                    let known = tree.all("Device.DHCPv4.Server.", "Chaddr");
                    let shown = known.iter().any(|known| known.eq_ignore_ascii_case(mac));
                    shows(format!("static lease of {mac}"), shown);
                }
            }
            "dhcp" if !section.is("ignore") && section.text("dhcpv4") != "disabled" => {
                let of = section.text("interface");
                let is_static =
                    |interface: &&&Section| interface.name == of && interface.text("proto") == "static";
                if interfaces.iter().any(|interface| is_static(&interface)) {
                    let pools = tree.all("Device.DHCPv4.Server.Pool.", "Interface");
                    let shown = pools.iter().any(|path| tree.get(&format!("{path}.Name")) == of);
                    shows(format!("DHCP pool of {of}"), shown);
                }
            }
            _ => {}
        }
    }
    let firewall = read(set, "firewall");
    for section in &firewall {
        let (port, client) = (section.text("src_dport"), section.text("dest_ip"));
        match section.ty.as_str() {
            "redirect" if matches!(section.text("target"), "" | "DNAT") && !client.is_empty() => {
                let first = port.split(['-', ':']).next().unwrap_or_default();
                let mappings = tree.all("Device.NAT.PortMapping.", "InternalClient");
                let shown = mappings.contains(&client)
                    && (first.parse::<u16>().is_err()
                        || tree.all("Device.NAT.PortMapping.", "ExternalPort").contains(&first));
                shows(format!("forwarded port {port} to {client}"), shown);
            }
            // TR-181's firewall has no marks of packets.
            "rule" if !section.text("name").is_empty() && section.text("target") != "MARK" => {
                let name = section.text("name");
                let shown = tree.all("Device.Firewall.", "Description").contains(&name)
                    || tree.all("Device.QoS.", "Alias").contains(&name);
                shows(format!("firewall rule {name}"), shown);
            }
            _ => {}
        }
    }
    // What goes from one zone to another is a policy between their interfaces.
    let forwardings = firewall.iter().filter(|section| section.ty == "forwarding").count();
    let policies = tree.all("Device.Firewall.Policy.", "TargetChain").len();
    shows(format!("{forwardings} forwardings, {policies} policies"), policies >= forwardings);
    (seen, out)
}

#[test]
fn all_is_read_and_what_is_configured_shows() {
    let sets = sets();
    if sets.is_empty() {
        println!("skipped: ../shared not present");
        return;
    }
    let (mut values, mut facts, mut wrong) = (0, 0, Vec::new());
    for set in &sets {
        for with in [false, true] {
            let bus = with.then(|| programs(set));
            let mut router = build(set, bus.as_ref());
            let read = router.model.values(["Device."]).unwrap();
            values += read.len();
            let mut names: Vec<String> =
                router.model.names("Device.", false).unwrap().into_iter().map(|(name, _)| name).collect();
            names.retain(|name| !name.ends_with('.'));
            assert_eq!(
                read.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                names.iter().collect::<Vec<_>>()
            );
            if !with {
                wrong.extend(as_the_agent(&router, &names).map(|why| format!("{}: {why}", name_of(set))));
            }
            for ((name, param), (_, value)) in router.model.params("Device.").unwrap().iter().zip(&read) {
                let input = Input { text: value.text.clone(), ..Input::default() };
                // What is not to be read, or what nobody knows, shows as empty.
                let blank =
                    value.text.is_empty() && (param.hidden || BLANK.iter().any(|end| name.ends_with(end)));
                if value.kind != param.ty.wire() || (!blank && param.ty.check(&input).is_err()) {
                    wrong.push(format!("{}: {name} => {:?}", name_of(set), value.text));
                }
            }
            for complaint in router.model.complaints() {
                let is_known = |(of, name, why): &(&str, &str, &str)| {
                    *of == name_of(set) && complaint.starts_with(name) && complaint.ends_with(why)
                };
                if !FOREIGN.iter().any(is_known) {
                    wrong.push(format!("{}: {complaint}", name_of(set)));
                }
            }
            let tree = Tree(read.into_iter().map(|(name, value)| (name, value.text)).collect());
            let (seen, gone) = missing(set, &tree);
            facts += seen;
            wrong.extend(gone.into_iter().map(|what| format!("{what} does not show (programs: {with})")));
        }
    }
    println!("{} sets, {values} values, {facts} facts", sets.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sets.len() > 60 && values > 80_000 && facts > 600, "{} {values} {facts}", sets.len());
}

/// What netifd told of the very configuration it ran with: its addresses are those of the tree.
#[test]
fn what_netifd_tells_shows() {
    let set = samples().join("etc-config/netifd-run.derived");
    if !set.exists() {
        println!("skipped: ../shared not present");
        return;
    }
    let bus = programs(&set);
    let mut router = build(&set, Some(&bus));
    let read = router.model.values(["Device.IP."]).unwrap();
    let tree = Tree(read.into_iter().map(|(name, value)| (name, value.text)).collect());
    let file = samples().join("ubus/network.interface.dump-pppoe-dualstack-dhcp-wg.derived.json");
    let dump: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut addresses = 0;
    for interface in dump["interface"].as_array().unwrap() {
        for list in ["ipv4-address", "ipv6-address"] {
            for one in interface[list].as_array().into_iter().flatten() {
                let address = one["address"].as_str().unwrap();
                let shown = tree.all("Device.IP.Interface.", "IPAddress");
                assert!(shown.contains(&address), "{} {address}: {shown:?}", interface["interface"]);
                addresses += 1;
            }
        }
    }
    assert!(addresses > 3, "{addresses}");
}

#[test]
fn the_reader_reads() {
    assert_eq!(line("\toption  ssid 'My \"Net\"' # x"), ["option", "ssid", "My \"Net\""]);
    assert_eq!(line("list a \"b c\"d ''"), ["list", "a", "b cd", ""]);
    assert!(line("  # nothing").is_empty());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "config a b\noption c 1\noption c '2 3'\nlist d e\nlist d f\nconfig g\n")
        .unwrap();
    let found = read(dir.path(), "x");
    assert_eq!((found.len(), found[0].words("c"), found[0].words("d")), (2, vec!["2", "3"], vec!["e", "f"]));
    // A fact that is not in the tree is found out.
    fs::write(dir.path().join("system"), "config system\noption hostname 'here'\n").unwrap();
    let tree = |name: &str| Tree(vec![("Device.DeviceInfo.HostName".into(), name.into())]);
    assert_eq!(missing(dir.path(), &tree("here")).1.len(), 0);
    assert_eq!(missing(dir.path(), &tree("there")).1.len(), 1);
}
