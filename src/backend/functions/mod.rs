//! The named functions, by area; each area lists its own.

pub mod accounts;
pub mod bbf;
pub mod bonds;
pub mod bridge_vlans;
pub mod bridging;
pub mod bulkdata;
pub mod clients;
pub mod crypt;
pub mod ddns;
pub mod deviceinfo;
pub mod dhcp6_options;
pub mod dhcp_clients;
pub mod dhcp_conditions;
pub mod dhcp_hosts;
pub mod dhcp_options;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod discovered;
pub mod dns;
pub mod ethernet;
pub mod firewall;
pub mod firewall_conditions;
pub mod firewall_sets;
pub mod firewall_status;
pub mod fixed;
pub mod forwarding_table;
pub mod gateway;
pub mod hosts;
pub mod init_scripts;
pub mod ip;
pub mod items;
pub mod kernel_routes;
pub mod leds;
pub mod lines;
pub mod manageable;
pub mod modems;
pub mod mqtt;
pub mod nat;
pub mod netif;
pub mod netifd;
pub mod odhcpd;
pub mod odhcpd_server;
pub mod orders;
pub mod packages;
pub mod ppp;
pub mod prefixes;
pub mod proc_net;
pub mod processes;
pub mod profiles;
pub mod radio;
pub mod radio_state;
pub mod reach;
pub mod roles;
pub mod routing;
pub mod sensors;
pub mod services;
pub mod settings;
pub mod shaping;
pub mod shares;
pub mod spectrum;
pub mod ssh;
pub mod stations;
pub mod statistics;
pub mod storage;
pub mod switches;
pub mod syslog;
pub mod time;
pub mod topology;
pub mod tunnels;
pub mod usb;
pub mod web;
pub mod wifi;
pub mod wifi_abilities;
pub mod wifi_halves;
pub mod wifi_security;
pub mod wifi_state;
pub mod wps;
pub mod xmpp;

use std::sync::OnceLock;

use super::{TableFn, ValueFn, convert};
use crate::model::backend::Row;
use crate::model::schema::{Object, Origin, Param};

/// Whether there are the functions and conversions that an object, or a parameter of it, names.
///
/// # Errors
/// Which one there is not, or what its argument cannot be.
pub fn known(object: &Object, param: Option<&Param>) -> Result<(), String> {
    let split = |spec: &'static str| spec.split_once(':').unwrap_or((spec, ""));
    match (param, object.rows) {
        (None, Some(rows)) if rows.from == Origin::Function => {
            let (name, argument) = split(rows.spec);
            match table(name) {
                None => Err(format!("there is no function {name:?} for tables")),
                Some(_) if name == "fixed" => fixed::count(argument).map(drop),
                Some(_) => Ok(()),
            }
        }
        (None, _) => Ok(()),
        (Some(param), _) => {
            let (name, via) = (split(param.source.spec).0, param.source.via);
            if param.source.from == Origin::Function && value(name).is_none() {
                return Err(format!("there is no function {name:?} for parameters"));
            }
            match via.is_empty() || convert::named(via).is_some() {
                true => Ok(()),
                false => Err(format!("there is no conversion {via:?}")),
            }
        }
    }
}

/// All functions behind parameters.
pub fn value(name: &str) -> Option<&'static ValueFn> {
    // Most values are asked of one of them: they are put in order once.
    static SORTED: OnceLock<Vec<&'static ValueFn>> = OnceLock::new();
    let sorted = SORTED.get_or_init(|| {
        let mut all: Vec<&'static ValueFn> = AREAS.iter().flat_map(|area| area.0).collect();
        all.sort_by_key(|function| function.name);
        all
    });
    sorted.binary_search_by(|function| function.name.cmp(name)).ok().map(|at| sorted[at])
}

/// All functions behind tables.
pub fn table(name: &str) -> Option<&'static TableFn> {
    AREAS.iter().flat_map(|area| area.1).find(|function| function.name == name)
}

/// Says of a row what kind it is.
type Kind = fn(&Row) -> bool;

/// Tables that have rows of the configuration and others that the network brought, and which those are.
const LEARNT: &[(&str, Kind)] = &[
    ("dns_forwarders", dns::is_learnt),
    ("dns_servers", dns::is_learnt),
    ("ip4_addresses", ip::is_learnt),
    ("ip6_addresses", ip::is_learnt),
    ("ip6_prefixes", prefixes::is_learnt),
    ("routes", routing::is_learnt),
];

/// Tables that have rows which can be set and not be deleted, and which those are.
const STAYING: &[(&str, Kind)] = &[
    ("bridge_ports", bridging::is_management),
    ("bridge_vlan_ports", bridge_vlans::is_wireless),
    ("dhcp_pools", dhcpv4::is_shared),
    ("eth_vlans", ethernet::is_unconfigured),
    ("odhcpd_pools", dhcpv4::is_shared),
    ("user_groups", accounts::is_own),
    ("users", accounts::is_own),
];

/// Whether a row of a table, `name` or `name:argument`, only reports what the network brought.
pub fn learnt(spec: &str, row: &Row) -> bool {
    is_of(LEARNT, spec, row)
}

/// Whether a row of a table cannot be deleted.
pub fn stays(spec: &str, row: &Row) -> bool {
    is_of(LEARNT, spec, row) || is_of(STAYING, spec, row)
}

fn is_of(kinds: &[(&str, Kind)], spec: &str, row: &Row) -> bool {
    let name = spec.split(':').next().unwrap_or(spec);
    kinds.iter().any(|(table, is)| *table == name && is(row))
}

const AREAS: &[(&[ValueFn], &[TableFn])] = &[
    (accounts::VALUES, accounts::TABLES),
    (bbf::VALUES, bbf::TABLES),
    (deviceinfo::VALUES, deviceinfo::TABLES),
    (discovered::VALUES, discovered::TABLES),
    (dns::VALUES, dns::TABLES),
    (firewall::VALUES, firewall::TABLES),
    (firewall_sets::VALUES, firewall_sets::TABLES),
    (firewall_conditions::VALUES, &[]),
    (firewall_status::VALUES, &[]),
    (shaping::VALUES, shaping::TABLES),
    (&[], fixed::TABLES),
    (hosts::VALUES, hosts::TABLES),
    (init_scripts::VALUES, &[]),
    (lines::VALUES, lines::TABLES),
    (spectrum::VALUES, &[]),
    (manageable::VALUES, manageable::TABLES),
    (nat::VALUES, nat::TABLES),
    (orders::VALUES, &[]),
    (netifd::VALUES, netifd::TABLES),
    (ppp::VALUES, ppp::TABLES),
    (prefixes::VALUES, prefixes::TABLES),
    (dhcpv6::VALUES, dhcpv6::TABLES),
    (odhcpd_server::VALUES, odhcpd_server::TABLES),
    (packages::VALUES, packages::TABLES),
    (processes::VALUES, processes::TABLES),
    (&[], roles::TABLES),
    (routing::VALUES, routing::TABLES),
    (tunnels::VALUES, tunnels::TABLES),
    (switches::VALUES, &[]),
    (settings::VALUES, settings::TABLES),
    (time::VALUES, time::TABLES),
    (ethernet::VALUES, ethernet::TABLES),
    (bonds::VALUES, bonds::TABLES),
    (bridging::VALUES, bridging::TABLES),
    (bridge_vlans::VALUES, bridge_vlans::TABLES),
    (ip::VALUES, ip::TABLES),
    (dhcpv4::VALUES, dhcpv4::TABLES),
    (dhcp_clients::VALUES, dhcp_clients::TABLES),
    (dhcp_options::VALUES, dhcp_options::TABLES),
    (dhcp_conditions::VALUES, &[]),
    (dhcp_hosts::VALUES, dhcp_hosts::TABLES),
    (dhcp6_options::VALUES, dhcp6_options::TABLES),
    (profiles::VALUES, profiles::TABLES),
    (wifi::VALUES, wifi::TABLES),
    (wifi_abilities::VALUES, &[]),
    (wifi_security::VALUES, &[]),
    (wps::VALUES, &[]),
    (radio::VALUES, &[]),
    (radio_state::VALUES, &[]),
    (stations::VALUES, stations::TABLES),
    (sensors::VALUES, sensors::TABLES),
    (services::VALUES, services::TABLES),
    (leds::VALUES, leds::TABLES),
    (modems::VALUES, &[]),
    (mqtt::VALUES, mqtt::TABLES),
    (syslog::VALUES, &[]),
    (shares::VALUES, shares::TABLES),
    (ssh::VALUES, ssh::TABLES),
    (storage::VALUES, storage::TABLES),
    (web::VALUES, web::TABLES),
    (ddns::VALUES, ddns::TABLES),
    (usb::VALUES, usb::TABLES),
    (xmpp::VALUES, xmpp::TABLES),
    (gateway::VALUES, gateway::TABLES),
    (statistics::VALUES, &[]),
    (bulkdata::VALUES, bulkdata::TABLES),
];
