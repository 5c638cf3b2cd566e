//! IPv6 prefixes: one that is passed on whole leads to the interface it came to, and a ULA that is not drawn yet is none.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used)]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/router.rs"]
mod router;
use bus::Offers;
use router::{NETWORK, open_with, router_with};

const DUMP: &str = r#"{"interface":[
{"interface":"wan6","up":true,"l3_device":"modem","proto":"dhcpv6","device":"modem",
 "ipv6-prefix":[{"address":"2001:db8:7:1::","mask":64,"class":"wan6","assigned":{"lan":{"address":"2001:db8:7:1::","mask":64}}}]},
{"interface":"lan","up":true,"l3_device":"br-lan","proto":"static","device":"br-lan",
 "ipv6-prefix-assignment":[{"address":"2001:db8:7:1::","mask":64,"local-address":{"address":"2001:db8:7:1::1","mask":64}}]}]}"#;

#[test]
fn a_prefix_that_is_passed_on_whole() {
    let wan6 = "\nconfig interface 'wan6'\n\toption proto 'dhcpv6'\n\toption device 'modem'\n";
    let network = if NETWORK.contains("'wan6'") { NETWORK.to_owned() } else { format!("{NETWORK}{wan6}") };
    let plain = router_with(&[("etc/config/network", &network)]);
    let bus = Offers::new().says("network.interface", "dump", DUMP).start();
    let mut router = open_with(plain.dir, Some(bus.socket()));
    let whole = router.find("Device.IP.Interface.", "Name", "wan6") + "IPv6Prefix.1";
    router.check(&format!("{whole}.Prefix"), "2001:db8:7:1::/64");
    router.check(&format!("{whole}.Origin"), "PrefixDelegation");
    router.check(&format!("{whole}.ParentPrefix"), "");
    let lan = router.find("Device.IP.Interface.", "Name", "lan");
    let part = router.find(&format!("{lan}IPv6Prefix."), "Prefix", "2001:db8:7:1::/64");
    router.check(&format!("{part}Origin"), "Child");
    router.check(&format!("{part}ParentPrefix"), &whole);
    // What lies in it on the LAN refers to the LAN's row.
    let address = router.find(&format!("{lan}IPv6Address."), "IPAddress", "2001:db8:7:1::1");
    router.check(&format!("{address}Prefix"), part.trim_end_matches('.'));
    assert_eq!(router.model.complaints(), Vec::<String>::new());
}

#[test]
fn a_ula_that_is_not_drawn_yet() {
    let network = "config globals 'globals'\n\toption ula_prefix 'auto'\n";
    let mut router = router_with(&[("etc/config/network", network)]);
    router.check("Device.IP.ULAPrefix", "");
    assert_eq!(router.model.complaints(), Vec::<String>::new());
    router.set(&[("Device.IP.ULAPrefix", "fd12:3456:789a::/48")]);
    router.has("network", &["option ula_prefix 'fd12:3456:789a::/48'"]);
}
