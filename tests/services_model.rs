//! DHCPv4 and Wi-Fi through the whole model, on a router in a folder; then nonsense, and published configurations.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod folder;

use std::fs;
use std::path::Path;

use folder::{DHCP, NETWORK, Router, WIRELESS, put, router, router_with};

#[test]
#[cfg(target_endian = "little")]
fn what_dhcp_taught() {
    let mut router = router();
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.check(&format!("{wan}IPv4Address.1.IPAddress"), "203.0.113.9");
    router.check(&format!("{wan}IPv4Address.1.AddressingType"), "DHCP");
    assert!(router.try_set(&[(&format!("{wan}IPv4Address.1.IPAddress"), "203.0.113.10")]).is_err());
    let client = "Device.DHCPv4.Client.1.";
    router.check(&format!("{client}Interface"), wan.trim_end_matches('.'));
    router.check(&format!("{client}IPAddress"), "203.0.113.9");
    router.check(&format!("{client}SubnetMask"), "255.255.255.0");
    router.check(&format!("{client}IPRouters"), "203.0.113.1");
    router.check(&format!("{client}DNSServers"), "203.0.113.53");
}

#[test]
fn dhcp_client_options() {
    let mut router = router();
    let client = "Device.DHCPv4.Client.1.";
    router.check(&format!("{client}SentOption.1.Tag"), "60");
    router.check(&format!("{client}SentOption.1.Value"), "736167656d");
    router.check(&format!("{client}ReqOption.3.Tag"), "121");
    let sent = router.add(&format!("{client}SentOption."));
    router.set(&[
        (&format!("{sent}Tag"), "61"),
        (&format!("{sent}Value"), "0102ab"),
        (&format!("{sent}Enable"), "1"),
    ]);
    router.has("network", &["list sendopts '60:736167656d'", "list sendopts '61:0102ab'"]);
    assert_eq!(router.try_set(&[(&format!("{sent}Value"), "AB")]), Ok(()));
    let wanted = router.add(&format!("{client}ReqOption."));
    router.set(&[(&format!("{wanted}Tag"), "43"), (&format!("{wanted}Enable"), "1")]);
    router.has("network", &["option reqopts '1 3 121 43'"]);
    router.delete(&format!("{client}ReqOption.2."));
    router.has("network", &["option reqopts '1 121 43'"]);
    router.check(&format!("{wanted}Tag"), "43");
}

#[test]
fn dhcp_clients_come_and_go() {
    let mut router = router();
    let wan = router.find("Device.IP.Interface.", "Name", "wan");
    router.set(&[("Device.DHCPv4.Client.1.Enable", "0")]);
    router.check("Device.DHCPv4.Client.1.Status", "Disabled");
    let fixed = router.add(&format!("{wan}IPv4Address."));
    router.set(&[
        (&format!("{fixed}IPAddress"), "192.0.2.7"),
        (&format!("{fixed}SubnetMask"), "255.255.255.0"),
        (&format!("{fixed}Enable"), "1"),
    ]);
    router.has("network", &["option rcwmp_dhcpv4 'off'", "option ipaddr '192.0.2.7'"]);
    router.delete("Device.DHCPv4.Client.1.");
    router.check("Device.DHCPv4.ClientNumberOfEntries", "0");
    assert!(router.config("network").iter().all(|line| !line.contains("dhcp'")));

    let client = router.add("Device.DHCPv4.Client.");
    let sent = router.add(&format!("{client}SentOption."));
    router.set(&[
        (&format!("{sent}Tag"), "60"),
        (&format!("{sent}Value"), "6162"),
        (&format!("{sent}Enable"), "1"),
    ]);
    router.set(&[
        (&format!("{client}Enable"), "1"),
        (&format!("{client}Interface"), wan.trim_end_matches('.')),
    ]);
    router.has("network", &["option proto 'dhcp'", "option sendopts '60:6162'"]);
    router.check(&format!("{client}Status"), "Enabled");
    let again = router.add("Device.DHCPv4.Client.");
    assert!(router.try_set(&[(&format!("{again}Interface"), wan.trim_end_matches('.'))]).is_err());
    router.delete(&again);
    router.delete(&client);
    assert!(router.config("network").iter().all(|line| !line.contains("dhcp")));
}

/// A guest network beside the LAN, each with a pool.
fn two_pools() -> Router {
    let network = format!(
        "{}\nconfig interface 'guest'\n\toption device 'lan3'\n\toption proto 'static'\n\toption ipaddr '192.168.9.1'\n\toption netmask '255.255.255.0'\n",
        NETWORK
    );
    let dhcp = format!(
        "{}\nconfig dhcp 'guest'\n\toption interface 'guest'\n\nconfig host\n\toption mac '02:00:00:00:01:13'\n\toption ip '192.168.9.7'\n\nconfig host 'six'\n\toption mac '02:00:00:00:01:14'\n\toption hostid '7'\n",
        DHCP
    );
    router_with(&[("etc/config/network", &network), ("etc/config/dhcp", &dhcp)])
}

/// The order of a request's parameters does not matter (TR-069 A.3.2.1): a LAN that moves takes its pool with it.
#[test]
fn a_subnet_and_its_pool_in_one_request() {
    for backwards in [false, true] {
        let mut router = two_pools();
        let pool = router.find("Device.DHCPv4.Server.Pool.", "MinAddress", "192.168.1.100");
        let lan = router.find("Device.IP.Interface.", "IPv4Address.1.IPAddress", "192.168.1.1");
        let (min, max) = (format!("{pool}MinAddress"), format!("{pool}MaxAddress"));
        let (address, mask) =
            (format!("{lan}IPv4Address.1.IPAddress"), format!("{lan}IPv4Address.1.SubnetMask"));
        let mut all = [
            (min.as_str(), "10.9.0.50"),
            (max.as_str(), "10.9.0.60"),
            (address.as_str(), "10.9.0.1"),
            (mask.as_str(), "255.255.255.0"),
        ];
        if backwards {
            all.reverse();
        }
        router.set(&all);
        all.iter().for_each(|(name, value)| router.check(name, value));
    }
}

/// What a value would push out of its table is refused.
#[test]
fn a_static_address_outside_of_its_pool() {
    let mut router = two_pools();
    let lan = router.find("Device.DHCPv4.Server.Pool.", "MinAddress", "192.168.1.100");
    let yiaddr = format!("{lan}StaticAddress.1.Yiaddr");
    let before = router.config("dhcp");
    // In nobody's subnet, in that of another pool, and together with something that could be taken.
    for address in ["10.9.9.9", "192.168.9.8"] {
        let asked = [(&*yiaddr, address), (&*format!("{lan}StaticAddress.1.Chaddr"), "02:00:00:00:01:99")];
        let why = router.try_set(&asked).unwrap_err();
        assert!(why.contains(&yiaddr) && why.contains("outside of the subnet"), "{why}");
        router.check(&yiaddr, "192.168.1.200");
        assert_eq!(router.config("dhcp"), before);
    }
    // None at all is no other pool's.
    router.set(&[(&yiaddr, "")]);
    router.set(&[(&yiaddr, "192.168.1.201")]);
    // With the router's address in one request it can move, whichever stands first.
    let interface = router.find("Device.IP.Interface.", "Name", "lan");
    let own = format!("{interface}IPv4Address.1.IPAddress");
    router.set(&[(&yiaddr, "192.168.5.200"), (&own, "192.168.5.1")]);
    router.set(&[(&own, "192.168.6.1"), (&yiaddr, "192.168.6.200")]);
}

/// dnsmasq's hosts know no pools; ours keep theirs when the router gets another address.
#[test]
fn static_addresses_outlive_the_address_of_the_router() {
    let mut router = two_pools();
    for (name, min, host) in
        [("lan", "192.168.1.100", "192.168.1.200"), ("guest", "192.168.9.100", "192.168.9.7")]
    {
        let pool = router.find("Device.DHCPv4.Server.Pool.", "MinAddress", min);
        let interface = router.find("Device.IP.Interface.", "Name", name);
        router.check(&format!("{pool}StaticAddressNumberOfEntries"), "1");
        router.set(&[(&format!("{interface}IPv4Address.1.IPAddress"), &format!("10.77.{}.1", name.len()))]);
        router.check(&format!("{pool}StaticAddress.1.Yiaddr"), host);
        router.check(&format!("{pool}StaticAddressNumberOfEntries"), "1");
        router.set(&[(&format!("{pool}StaticAddress.1.Enable"), "0")]);
    }
    // Changed by somebody else, in a file without our notes: in the first pool that serves.
    let network = NETWORK.replace("192.168.1.1'", "172.16.0.1'");
    let files = [("etc/config/network", &*network), ("etc/config/dhcp", DHCP)];
    let mut router = router_with(&files);
    let pool = router.find("Device.DHCPv4.Server.Pool.", "MinAddress", "172.16.0.100");
    router.check(&format!("{pool}StaticAddress.1.Yiaddr"), "192.168.1.200");
    router.delete(&format!("{pool}StaticAddress.1."));
    assert!(router.config("dhcp").iter().all(|line| !line.contains("printer")));
}

#[test]
fn dhcp_pools() {
    let mut router = router();
    let pool = "Device.DHCPv4.Server.Pool.1.";
    for (name, value) in [
        ("Enable", "1"),
        ("Status", "Enabled"),
        ("Order", "1"),
        ("MinAddress", "192.168.1.100"),
        ("MaxAddress", "192.168.1.249"),
        ("SubnetMask", "255.255.255.0"),
        ("LeaseTime", "43200"),
        ("DNSServers", "192.0.2.53,192.0.2.54"),
        ("IPRouters", "192.168.1.1"),
        ("DomainName", "lan"),
        ("AllowedDevices", "All"),
        ("StaticAddressNumberOfEntries", "1"),
        ("StaticAddress.1.Chaddr", "02:00:00:00:01:12"),
        ("StaticAddress.1.Enable", "1"),
        ("ClientNumberOfEntries", "1"),
        ("Client.1.Chaddr", "02:00:00:00:01:0f"),
        ("Client.1.Active", "1"),
        ("Client.1.IPv4Address.1.IPAddress", "192.168.1.136"),
        ("Client.1.IPv4Address.1.LeaseTimeRemaining", "9999-12-31T23:59:59Z"),
        ("Client.1.Option.1.Tag", "12"),
        ("Option.2.Tag", "43"),
        ("Option.2.Value", "010203"),
    ] {
        router.check(&format!("{pool}{name}"), value);
    }
    let at = |name: &str| format!("{pool}{name}");
    router.set(&[(&at("MinAddress"), "192.168.1.10"), (&at("MaxAddress"), "192.168.1.20")]);
    router.has("dhcp", &["option start '10'", "option limit '11'"]);
    router.set(&[(&at("MaxAddress"), "192.168.1.240"), (&at("MinAddress"), "192.168.1.200")]);
    router.has("dhcp", &["option start '200'", "option limit '41'"]);
    assert!(router.try_set(&[(&at("MinAddress"), "192.168.2.10")]).is_err());
    router.set(&[(&at("LeaseTime"), "-1"), (&at("DNSServers"), "192.0.2.1"), (&at("IPRouters"), "")]);
    router.has(
        "dhcp",
        &["option leasetime 'infinite'", "list dhcp_option '6,192.0.2.1'", "list dhcp_option '3'"],
    );
    assert!(router.try_set(&[(&at("DomainName"), "a b; reboot")]).is_err());
    router.set(&[(&at("DomainName"), "home.example")]);
    router.set(&[(&at("Enable"), "0")]);
    router.has("dhcp", &["list dhcp_option '15,home.example'", "option dhcpv4 'disabled'"]);

    router.set(&[(&at("Enable"), "1")]);
    router.set(&[("Device.DHCPv4.Server.Enable", "0")]);
    router.has("dhcp", &["option rcwmp_dhcpv4 '0'", "option dhcpv4 'disabled'", "option rcwmp_enable '1'"]);
    router.check(&at("Enable"), "1");
    router.check(&at("Status"), "Disabled");
    router.set(&[("Device.DHCPv4.Server.Enable", "1")]);
    router.has("dhcp", &["option dhcpv4 'server'"]);
    assert!(router.config("dhcp").iter().all(|line| !line.contains("rcwmp")));

    let host = router.add(&at("StaticAddress."));
    router.set(&[
        (&format!("{host}Chaddr"), "02:00:00:00:01:99"),
        (&format!("{host}Yiaddr"), "192.168.1.50"),
        (&format!("{host}Enable"), "1"),
    ]);
    router
        .has("dhcp", &["config host 'host1'", "option mac '02:00:00:00:01:99'", "option ip '192.168.1.50'"]);
    for address in ["192.168.1.1", "192.168.1.0", "192.168.1.255", "192.168.2.50"] {
        assert!(router.try_set(&[(&format!("{host}Yiaddr"), address)]).is_err(), "{address}");
    }
    router.check(&format!("{host}Yiaddr"), "192.168.1.50");
    router.delete(&host);

    let new = router.add("Device.DHCPv4.Server.Pool.");
    router.check(&format!("{new}Enable"), "0");
    router.check(&format!("{new}LeaseTime"), "86400");
    let iptv = router.find("Device.IP.Interface.", "Name", "iptv");
    router.set(&[
        (&format!("{new}MinAddress"), "10.1.1.0"),
        (&format!("{new}MaxAddress"), "10.1.1.255"),
        (&format!("{new}Interface"), iptv.trim_end_matches('.')),
        (&format!("{new}Enable"), "1"),
    ]);
    router.has(
        "dhcp",
        &["config dhcp 'pool1'", "option interface 'iptv'", "option start '256'", "option limit '256'"],
    );
    let relay = router.add("Device.DHCPv4.Relay.Forwarding.");
    router.set(&[
        (&format!("{relay}DHCPServerIPAddress"), "192.0.2.9"),
        (&format!("{relay}Interface"), iptv.trim_end_matches('.')),
        (&format!("{relay}Enable"), "1"),
    ]);
    router.has("dhcp", &["option server_addr '192.0.2.9'", "option local_addr '10.1.0.2'"]);
    router.check(&format!("{relay}Status"), "Enabled");
    router.delete(&relay);
    router.delete(&new);
}

#[test]
fn radios() {
    let mut router = router();
    let radio = "Device.WiFi.Radio.1.";
    for (name, value) in [
        ("Name", "radio0"),
        ("Enable", "1"),
        ("Status", "Up"),
        ("OperatingFrequencyBand", "2.4GHz"),
        ("SupportedFrequencyBands", "2.4GHz"),
        ("OperatingStandards", "g,n,ax"),
        ("AutoChannelEnable", "1"),
        ("OperatingChannelBandwidth", "20MHz"),
        ("RegulatoryDomain", "DE "),
        ("Stats.BytesSent", "4294967298"),
        ("Stats.ErrorsSent", "2"),
    ] {
        router.check(&format!("{radio}{name}"), value);
    }
    let at = |name: &str| format!("{radio}{name}");
    router.set(&[(&at("Channel"), "11"), (&at("AutoChannelEnable"), "0"), (&at("RegulatoryDomain"), "US ")]);
    router.has("wireless", &["option channel '11'", "option country 'US'"]);
    assert!(router.try_set(&[(&at("Channel"), "36")]).is_err());
    router.set(&[(&at("AutoChannelEnable"), "1"), (&at("OperatingStandards"), "n")]);
    router.has("wireless", &["option channel 'auto'", "option htmode 'HT20'", "option require_mode 'n'"]);
    router.set(&[(&at("OperatingStandards"), "b,g,n"), (&at("Enable"), "0")]);
    router.has("wireless", &["option legacy_rates '1'", "option disabled '1'"]);
    assert!(router.try_set(&[(&at("OperatingFrequencyBand"), "5GHz")]).is_err());
    router.set(&[
        (&at("BasicDataTransmitRates"), "5.5,11"),
        (&at("BeaconPeriod"), "200"),
        (&at("DTIMPeriod"), "3"),
    ]);
    router.has("wireless", &["list basic_rate '5500'", "option beacon_int '200'", "option dtim_period '3'"]);
}

#[test]
fn access_points() {
    let mut router = router();
    let (ssid, ap) = ("Device.WiFi.SSID.1.", "Device.WiFi.AccessPoint.1.");
    for (name, value) in [
        ("Device.WiFi.SSID.1.SSID", "ExampleNet"),
        ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1"),
        ("Device.WiFi.SSID.1.Name", "phy0-ap0"),
        ("Device.WiFi.SSID.1.Status", "Up"),
        ("Device.WiFi.SSID.1.Stats.BytesSent", "4294967298"),
        ("Device.WiFi.AccessPoint.1.SSIDReference", "Device.WiFi.SSID.1"),
        ("Device.WiFi.AccessPoint.1.Status", "Enabled"),
        ("Device.WiFi.AccessPoint.1.SSIDAdvertisementEnabled", "1"),
        ("Device.WiFi.AccessPoint.1.Security.ModeEnabled", "WPA2-Personal"),
        ("Device.WiFi.AccessPoint.1.Security.EncryptionMode", "AES"),
        ("Device.WiFi.AccessPoint.1.Security.KeyPassphrase", ""),
        ("Device.WiFi.AccessPoint.1.Security.MFPConfig", "Disabled"),
    ] {
        router.check(name, value);
    }
    router.set(&[
        (&format!("{ssid}SSID"), "Café 5"),
        (&format!("{ap}Security.KeyPassphrase"), "another one"),
        (&format!("{ap}Security.ModeEnabled"), "WPA3-Personal-Transition"),
        (&format!("{ap}SSIDAdvertisementEnabled"), "0"),
        (&format!("{ap}IsolationEnable"), "1"),
        (&format!("{ap}MACAddressControlEnabled"), "1"),
        (&format!("{ap}AllowedMACAddress"), "02:00:00:00:00:01,02:00:00:00:00:02"),
    ]);
    router.has(
        "wireless",
        &[
            "option ssid 'Café 5'",
            "option key 'another one'",
            "option encryption 'sae-mixed'",
            "option hidden '1'",
            "option isolate '1'",
            "option macfilter 'allow'",
            "list maclist '02:00:00:00:00:01'",
        ],
    );
    router.check(&format!("{ap}Security.MFPConfig"), "Optional");
    // board.json says nothing of antennas here, hostapd's settings of four.
    let rate = |router: &mut Router| router.value("Device.WiFi.Radio.1.MaxBitRate").parse::<u32>().unwrap();
    let one = rate(&mut router);
    put(router.dir.path(), "var/run/hostapd-phy0.conf", "vht_capab=[TX-STBC-2BY1][SOUNDING-DIMENSION-4]\n");
    router.model.refresh();
    let four = rate(&mut router);
    assert!((one * 4..=one * 4 + 3).contains(&four), "{one} {four}");
    // On a network of WEP a passphrase would take the place of its key, unless it gets another mode with it.
    let wep = "0102030405060708090a0b0c0d";
    router.set(&[(&format!("{ap}Security.ModeEnabled"), "WEP-128"), (&format!("{ap}Security.WEPKey"), wep)]);
    router.has("wireless", &["option key '1'", &format!("option key1 '{wep}'")]);
    let before = router.config("wireless");
    for (name, key) in [("KeyPassphrase", "a passphrase"), ("PreSharedKey", &"5a".repeat(32))] {
        let refused = router.try_set(&[(&format!("{ap}Security.{name}"), key)]).unwrap_err();
        assert!(refused.contains("one of WEP"), "{refused}");
    }
    assert_eq!(router.config("wireless"), before);
    router.set(&[
        (&format!("{ap}Security.KeyPassphrase"), "another one"),
        (&format!("{ap}Security.ModeEnabled"), "WPA3-Personal-Transition"),
    ]);
    router.has("wireless", &["option key 'another one'", "option encryption 'sae-mixed'"]);
    assert!(router.try_set(&[(&format!("{ssid}SSID"), "a\nwpa=0")]).is_err());
    assert!(router.try_set(&[(&format!("{ap}Security.KeyPassphrase"), "12345678\nssid=x")]).is_err());
    assert!(router.try_set(&[(&format!("{ap}Security.EncryptionMode"), "TKIP")]).is_err());
    router.set(&[(&format!("{ssid}Enable"), "0")]);
    router.check(&format!("{ap}Enable"), "1");
    router.has("wireless", &["option disabled '1'", "option rcwmp_off 'ssid'"]);
    router.set(&[(&format!("{ssid}Enable"), "1")]);
    router.has("wireless", &["option disabled '0'"]);
}

#[test]
fn protected_setup_and_guard_interval() {
    let mut router = router();
    let wps = "Device.WiFi.AccessPoint.1.WPS.";
    let at = |name: &str| format!("{wps}{name}");
    for (name, value) in [("Enable", "0"), ("Status", "Disabled"), ("ConfigMethodsEnabled", ""), ("PIN", "")]
    {
        router.check(&at(name), value);
    }
    router.set(&[(&at("Enable"), "1")]);
    router.has("wireless", &["option wps_pushbutton '1'"]);
    router.check(&at("Status"), "Configured");
    router.set(&[(&at("ConfigMethodsEnabled"), "PushButton,Label")]);
    router.has("wireless", &["option wps_label '1'"]);
    assert_eq!(router.try_set(&[(&at("PIN"), "12345670")]), Ok(()));
    router.has("wireless", &["option wps_pin '12345670'"]);
    router.check(&at("PIN"), "");
    for bad in ["123", "12345x70", "1234567\n"] {
        assert!(router.try_set(&[(&at("PIN"), bad)]).is_err(), "{bad:?}");
    }
    // What is off keeps its ways.
    router.set(&[(&at("Enable"), "0")]);
    router.has("wireless", &["option wps_pushbutton '0'", "option rcwmp_wps 'pushbutton label'"]);
    router.check(&at("ConfigMethodsEnabled"), "PushButton,Label");
    router.set(&[(&at("ConfigMethodsEnabled"), "Label"), (&at("Enable"), "1")]);
    router.has("wireless", &["option wps_pushbutton '0'", "option wps_label '1'"]);
    assert!(router.config("wireless").iter().all(|line| !line.contains("rcwmp_wps")));
    assert!(router.try_set(&[(&at("ConfigMethodsEnabled"), "Display")]).is_err());
    router.set(&[("Device.WiFi.AccessPoint.1.Security.ModeEnabled", "WPA2-Enterprise")]);
    router.check(&at("Status"), "Error");

    let interval = "Device.WiFi.Radio.1.GuardInterval";
    router.check(interval, "Auto");
    router.set(&[(interval, "800nsec")]);
    router.has("wireless", &["option short_gi_20 '0'", "option short_gi_160 '0'"]);
    assert!(router.try_set(&[(interval, "400nsec")]).is_err());
    router.set(&[(interval, "Auto")]);
    assert!(router.config("wireless").iter().all(|line| !line.contains("short_gi")));
    router.check("Device.WiFi.SSID.1.MLDUnit", "-1");
}

#[test]
fn an_ssid_and_its_access_point_are_made_and_taken_away() {
    let mut router = router();
    let ssid = router.add("Device.WiFi.SSID.");
    router.check("Device.WiFi.AccessPointNumberOfEntries", "1");
    let ap = router.add("Device.WiFi.AccessPoint.");
    router.check("Device.WiFi.SSIDNumberOfEntries", "2");
    router.check(&format!("{ssid}Enable"), "0");
    router.check(&format!("{ap}Enable"), "0");
    router.set(&[
        (&format!("{ssid}LowerLayers"), "Device.WiFi.Radio.1"),
        (&format!("{ssid}SSID"), "Guests"),
        (&format!("{ap}SSIDReference"), ssid.trim_end_matches('.')),
        (&format!("{ap}Security.ModeEnabled"), "WPA2-Personal"),
        (&format!("{ap}Security.KeyPassphrase"), "ExamplePassphrase"),
        (&format!("{ssid}Enable"), "1"),
        (&format!("{ap}Enable"), "1"),
    ]);
    let port = router.add("Device.Bridging.Bridge.1.Port.");
    router
        .set(&[(&format!("{port}LowerLayers"), ssid.trim_end_matches('.')), (&format!("{port}Enable"), "1")]);
    let config = router.config("wireless");
    let start = config.iter().position(|line| line == "config wifi-iface 'wifinet1'").unwrap();
    let section: Vec<&str> = config[start..].iter().map(String::as_str).collect();
    for line in [
        "option mode 'ap'",
        "option device 'radio0'",
        "option ssid 'Guests'",
        "option encryption 'psk2'",
        "option key 'ExamplePassphrase'",
        "option disabled '0'",
        "option network 'lan'",
    ] {
        assert!(section.contains(&line), "{line} is not in {section:#?}");
    }
    assert!(section.iter().all(|line| !line.contains("rcwmp")));
    assert!(router.try_set(&[(&format!("{ap}SSIDReference"), "Device.WiFi.SSID.1")]).is_err());
    router.delete(&ssid);
    router.check("Device.WiFi.AccessPointNumberOfEntries", "2");
    router.has("wireless", &["option disabled '1'"]);
    router.delete(&ap);
    assert!(router.config("wireless").iter().all(|line| !line.contains("wifinet1")));
}

/// Files of the kernel and of the LAN's side that are anything but what they should be.
#[test]
fn nonsense() {
    let long = "\u{ff}x 1/".repeat(40_000);
    let nasty =
        ["\0\0\0", "é".repeat(33).as_str(), long.as_str(), "../../../x", "@@[", "1 2 3 4 5 6 7 8 9", ""]
            .map(str::to_owned);
    for text in &nasty {
        let word: String = text.chars().filter(|c| !c.is_control() && *c != '\'').take(300).collect();
        let network = format!(
            "{NETWORK}\nconfig device\n\toption name '{word}'\n\toption type 'bridge'\n\tlist ports '{word}'\n\
             config interface 'evil'\n\toption device '@evil'\n\toption proto 'static'\n\toption ipaddr '{word}'\n\
             config interface 'evil2'\n\toption device '{word}'\n\toption proto 'dhcp'\n\tlist rcwmp_ipaddr '{word}'\n"
        );
        let wireless = format!(
            "{WIRELESS}\nconfig wifi-device 'r{0}'\n\toption path '{word}'\n\toption htmode '{word}'\n\
             config wifi-iface\n\toption device '{word}'\n\toption ifname '{word}'\n\toption ssid '{word}'\n",
            1
        );
        let dhcp = format!(
            "{DHCP}\nconfig dhcp\n\toption interface '{word}'\n\toption start '{word}'\n\tlist dhcp_option '{word}'\n\
             config host\n\toption mac '{word}'\n\toption ip '{word}'\nconfig relay\n\toption local_addr '{word}'\n"
        );
        let mut router = router_with(&[
            ("etc/config/network", &network),
            ("etc/config/wireless", &wireless),
            ("etc/config/dhcp", &dhcp),
            ("etc/board.json", text),
            ("proc/net/tcp", text),
            ("proc/net/tcp6", text),
            ("proc/net/ipv6_route", text),
        ]);
        for file in ["proc/net/route", "proc/net/fib_trie", "proc/net/if_inet6", "tmp/dhcp.leases"] {
            put(router.dir.path(), file, text);
        }
        put(router.dir.path(), "sys/class/net/lan1/uevent", text);
        put(router.dir.path(), "sys/class/net/lan1/operstate", text);
        router.model.refresh();
        assert!(router.model.values(["Device."]).unwrap().len() > 300);
    }
}

/// Every published configuration can be read whole, without a complaint about the data model.
#[test]
fn samples() {
    let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/router-samples/etc-config"));
    if !samples.exists() {
        println!("skipped: ../shared not present");
        return;
    }
    let mut sets: Vec<_> = fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.extend(fs::read_dir(samples.join("netjsonconfig")).unwrap().map(|entry| entry.unwrap().path()));
    let mut seen = 0;
    for set in sets.into_iter().filter(|set| set.is_dir()) {
        let mut files: Vec<(String, String)> = Vec::new();
        for entry in
            fs::read_dir(&set).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file())
        {
            let name = format!("etc/config/{}", entry.file_name().into_string().unwrap());
            files.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut router = router_with(&files);
        for root in ["Device.Ethernet.", "Device.Bridging.", "Device.IP.", "Device.DHCPv4.", "Device.WiFi."] {
            let values = router.model.values([root]).unwrap();
            assert!(!values.is_empty());
            seen += values.len();
        }
        for complaint in router.model.complaints() {
            println!("{}: {complaint}", set.display());
            assert!(complaint.contains(" is not a"), "{complaint}");
        }
    }
    assert!(seen > 10_000, "{seen} values");
}
