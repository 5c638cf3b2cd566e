//! Which packages the named functions read, for looking for changes without reading everything.
//!
//! A function may stand here by its own name or by the beginning of it. What a row leaves out is found
//! by the slow look only; a function without a row is looked at slowly. `tests/reach.rs` holds the rows
//! against what the functions read.

use crate::model::reach::Reach;

/// The beginning of a name, packages, and whether there is more than packages to read.
const ROWS: &[(&str, &[&str], bool)] = &[
    ("acs_", &["cwmp"], false),
    ("provisioning_code", &["cwmp"], false),
    ("lightweight_protocols", &["cwmp"], false),
    ("inform_", &["cwmp"], false),
    ("device_identity", &["cwmp", "system"], true),
    ("log_files", &["cwmp", "system"], true),
    ("config_files", &["cwmp"], true),
    ("time_zone", &["system"], false),
    ("time_", &["system"], true),
    ("firewall_rule", &["firewall", "network"], true),
    ("firewall_status", &["firewall", "network"], true),
    ("firewall_", &["firewall"], true),
    ("shaper", &["network", "qosify", "sqm"], true),
    ("nat_", &["firewall", "network"], true),
    ("port_mapping", &["cwmp", "firewall", "network"], true),
    ("dhcp_", &["dhcp", "network"], true),
    ("dns_", &["dhcp", "network"], true),
    ("manageable_devices", &[], true),
    ("firmware_images", &["cwmp"], true),
    ("host", &["cwmp", "dhcp", "firewall", "network", "wireless"], true),
    ("dhcp6_option", &["dhcp", "network"], true),
    ("dhcp6_", &["network"], true),
    ("odhcpd_", &["dhcp", "network"], true),
    ("ppp_", &["network"], true),
    ("sfp_", &["network"], true),
    ("sd_", &[], true),
    ("service_", &[], true),
    ("thermal_setting", &[], true),
    ("storage_folder", &["fstab", "ksmbd", "samba4"], true),
    ("storage_", &["fstab"], true),
    ("dsl_packets", &["network"], true),
    ("dsl", &[], true),
    ("atm_", &["network"], false),
    ("cell_", &["network"], true),
    ("proto_", &["network"], true),
    ("gre_", &["network"], true),
    ("split_prefix", &["network"], false),
    ("map_prefix", &["network"], true),
    ("aftr", &["network"], true),
    ("nd_", &["network"], true),
    ("route", &["network"], true),
    ("bridge", &["network", "wireless"], true),
    ("ip_", &["network", "wireless"], true),
    ("ip4_", &["network", "wireless"], true),
    ("ip6_", &["network", "wireless"], true),
    ("eth_", &["cwmp", "firewall", "network", "wireless"], true),
    ("link_", &["network", "wireless"], true),
    ("lag_", &["network"], true),
    ("net_status", &["network", "wireless"], true),
    ("device_option", &["network"], true),
    ("vlan_", &["network", "wireless"], true),
    ("wifi_", &["network", "wireless"], true),
    ("radio_", &["network", "wireless"], true),
    ("order", &["network"], false),
    ("fixed", &[], false),
    ("xmpp_connection", &["cwmp"], true),
    ("gateway_info", &["cwmp"], true),
    ("ssh_key", &[], true),
    ("ssh", &["dropbear"], true),
    ("web", &["luci", "network", "uhttpd"], true),
    ("ddns", &["ddns"], true),
    ("upnp_", &["minidlna", "upnpd"], true),
    ("usb", &[], true),
    ("mqtt", &["mosquitto"], true),
    ("user", &[], true),
    ("led", &["system"], true),
    ("syslog", &["system"], true),
    ("statistics", &[], true),
];

/// What a function depends on; `spec` as in a data model file, `name` or `name:argument`.
pub fn of(spec: &'static str) -> Reach {
    let (name, argument) = spec.split_once(':').unwrap_or((spec, ""));
    if matches!(name, "setting" | "setting_list" | "present" | "bbf_sections") {
        return match argument.split(['.', crate::model::bbf::PART]).next() {
            Some(package) if !package.is_empty() && !package.contains('{') => Reach::packages(&[package]),
            _ => Reach::slow(),
        };
    }
    match ROWS.iter().find(|(beginning, ..)| name.starts_with(beginning)) {
        Some((_, packages, false)) => Reach::packages(packages),
        Some((_, packages, true)) => Reach::packages(packages).and(&Reach::slow()),
        None => Reach::slow(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reach::Scope;

    fn check(spec: &'static str, packages: &str, slow: bool) {
        let reach = of(spec);
        assert_eq!(reach.package_names().collect::<Vec<_>>().join(" "), packages, "{spec}");
        assert_eq!(reach.meets(&Scope::Slow), slow, "{spec}");
    }

    #[test]
    fn functions() {
        check("setting:cwmp.stun.stun.enable", "cwmp", false);
        check("setting_list:{c0}.x.y.z", "", true);
        check("acs_url", "cwmp", false);
        check("time_zone", "system", false);
        check("time_local", "system", true);
        check("wifi_status:ap", "network wireless", true);
        check("cpu_usage", "", true);
        check("of_a_vendor", "", true);
    }
}
