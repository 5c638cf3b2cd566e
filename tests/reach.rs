//! What values depend on, held against what reading them touches: a package that a value is read from
//! must be one that its reach names, or a change of it would be found late.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use rcwmp::backend::{Places, System};
use rcwmp::model::compiled;
use rcwmp::model::path::Path;
use rcwmp::model::reach;
use rcwmp::model::tree::Model;
use rcwmp::sys::fs::Root;

#[path = "support/router.rs"]
mod router;

const FIREWALL: &str = "
config zone
	option name 'lan'
	list network 'lan'

config zone
	option name 'wan'
	option masq '1'
	list network 'wan'

config rule
	option name 'Allow-Ping'
	option src 'wan'
	option proto 'icmp'
	option target 'ACCEPT'

config redirect
	option name 'HTTPS'
	option src 'wan'
	option dest 'lan'
	option src_dport '443'
	option proto 'tcp'
	option dest_ip '192.168.1.3'
";

const CWMP: &str = "
config acs 'acs'
	option url 'http://192.0.2.1/'
	option dhcp_discovery 'enable'

config cpe 'cpe'
	option default_wan_interface 'wan'
	option default_lan_interface 'lan'

config inform_parameter
	option parameter_name 'Device.DeviceInfo.UpTime'
";

/// A link of PPP and a client of DHCPv6 upon it.
const DSL: &str = "
config interface 'dsl'
	option proto 'pppoe'
	option device 'lan3'

config interface 'dsl6'
	option proto 'dhcpv6'
	option device '@dsl'
";

#[test]
fn a_value_is_read_from_packages_of_its_reach() {
    let network = format!("{}{DSL}", router::NETWORK);
    let mut router = router::router_with(&[
        ("etc/config/network", &network),
        ("etc/config/dhcp", router::DHCP),
        ("etc/config/wireless", router::WIRELESS),
        ("etc/config/firewall", FIREWALL),
        ("etc/config/cwmp", CWMP),
        ("etc/config/system", "config system\n\toption hostname 'r'\n\nconfig timeserver 'ntp'\n"),
    ]);
    let names: Vec<String> =
        router.model.params("Device.").unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 1000, "{}", names.len());
    let mut wrong = BTreeSet::new();
    let mut pure = 0;
    for name in names {
        let root = router.dir.path();
        let places = Places {
            root: Root::new(root),
            config_dir: "/etc/config".into(),
            delta_dir: "/tmp/.uci".into(),
            state_dir: root.join("other"),
            ubus_socket: None,
        };
        let (system, memory) = System::open(places).unwrap();
        let mut model = Model::new(compiled::schema(), system, memory);
        model.refresh();
        if model.values([name.as_str()]).is_err() {
            panic!("{name}");
        }
        let path = Path::parse(&name).unwrap();
        let last = path.segments().last().unwrap().to_string();
        let at = model.schema().find(&path.head(path.segments().len() - 1).schema_path()).unwrap();
        let schema = model.schema().clone();
        let position = schema.objects()[at].params.iter().position(|param| param.name == last).unwrap();
        let reach = reach::of_param(&schema, at, position, model.backend());
        let told: BTreeSet<&str> = reach.package_names().collect();
        pure += usize::from(!reach.meets(&reach::Scope::Slow));
        let source = schema.objects()[at].params[position].source;
        let read: Vec<String> = model.backend().uci().known().map(str::to_owned).collect();
        for package in read.iter().filter(|package| !told.contains(package.as_str())) {
            wrong.insert(format!(
                "{} reads {package} by {:?} {}",
                path.schema_path(),
                source.from,
                source.spec
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(pure > 50, "{pure} values need no slow look");
}
