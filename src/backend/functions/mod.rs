//! The named functions, by area; each area lists its own.

pub mod accounts;
pub mod bridge_vlans;
pub mod bridging;
pub mod deviceinfo;
pub mod dhcp_clients;
pub mod dhcp_options;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod dns;
pub mod ethernet;
pub mod firewall;
pub mod fixed;
pub mod forwarding_table;
pub mod hosts;
pub mod ip;
pub mod items;
pub mod kernel_routes;
pub mod manageable;
pub mod nat;
pub mod netif;
pub mod netifd;
pub mod odhcpd;
pub mod packages;
pub mod ppp;
pub mod prefixes;
pub mod proc_net;
pub mod processes;
pub mod radio;
pub mod radio_state;
pub mod reach;
pub mod routing;
pub mod settings;
pub mod stations;
pub mod time;
pub mod topology;
pub mod wifi;
pub mod wifi_security;
pub mod wifi_state;

use super::{TableFn, ValueFn};

/// All functions behind parameters.
pub fn value(name: &str) -> Option<&'static ValueFn> {
    AREAS.iter().flat_map(|area| area.0).find(|function| function.name == name)
}

/// All functions behind tables.
pub fn table(name: &str) -> Option<&'static TableFn> {
    AREAS.iter().flat_map(|area| area.1).find(|function| function.name == name)
}

const AREAS: &[(&[ValueFn], &[TableFn])] = &[
    (accounts::VALUES, accounts::TABLES),
    (deviceinfo::VALUES, deviceinfo::TABLES),
    (dns::VALUES, dns::TABLES),
    (firewall::VALUES, firewall::TABLES),
    (&[], fixed::TABLES),
    (hosts::VALUES, hosts::TABLES),
    (manageable::VALUES, manageable::TABLES),
    (nat::VALUES, nat::TABLES),
    (netifd::VALUES, netifd::TABLES),
    (ppp::VALUES, ppp::TABLES),
    (prefixes::VALUES, prefixes::TABLES),
    (dhcpv6::VALUES, dhcpv6::TABLES),
    (packages::VALUES, packages::TABLES),
    (processes::VALUES, processes::TABLES),
    (routing::VALUES, routing::TABLES),
    (settings::VALUES, settings::TABLES),
    (time::VALUES, time::TABLES),
    (ethernet::VALUES, ethernet::TABLES),
    (bridging::VALUES, bridging::TABLES),
    (bridge_vlans::VALUES, bridge_vlans::TABLES),
    (ip::VALUES, ip::TABLES),
    (dhcpv4::VALUES, dhcpv4::TABLES),
    (dhcp_clients::VALUES, dhcp_clients::TABLES),
    (dhcp_options::VALUES, dhcp_options::TABLES),
    (wifi::VALUES, wifi::TABLES),
    (wifi_security::VALUES, &[]),
    (radio::VALUES, &[]),
    (radio_state::VALUES, &[]),
    (stations::VALUES, stations::TABLES),
];
