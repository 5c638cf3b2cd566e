//! Parameters that are commands (TR-181 `Reset`, `Renew`): what is set to true is done once services have
//! followed the change, and reads as false.

use crate::backend::{System, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};

/// The functions behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "order", get, set: Some(set) }];

/// Something that is to be done with an interface of netifd, or with a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Taken down and up again.
    Restart(String),
    /// Its DHCP lease is asked for anew.
    Renew(String),
    /// The start script of this name is run with this word.
    Script(String, &'static str),
    /// What was seen of a thermal zone is forgotten.
    Forget(String),
    /// What fstab wants is mounted.
    Mount,
    /// What is mounted there is taken away.
    Unmount(String),
}

/// The order of an argument, `restart/INTERFACE` or `renew/SECTION`.
fn order(system: &mut System, argument: &str) -> Result<Option<Order>> {
    let Some((verb, section)) = argument.split_once('/') else { return Ok(None) };
    // A client that AddObject made is told its interface.
    let told = system.option_text(&format!("network.{section}.interface"))?;
    let interface = if told.is_empty() { section.to_owned() } else { told };
    Ok(match verb {
        "restart" => Some(Order::Restart(interface)),
        "renew" => Some(Order::Renew(interface)),
        _ => None,
    })
}

/// True only until the change is committed, which reads back what it has written.
fn get(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let order = order(system, argument)?;
    let waits = order.is_some_and(|order| system.is_ordered(&order));
    Ok(Some(Raw::one(if waits { "1" } else { "0" })))
}

fn set(system: &mut System, _at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    if let (Some(order), "1") = (order(system, argument)?, raw.text().as_str()) {
        system.order(order);
    }
    Ok(())
}
