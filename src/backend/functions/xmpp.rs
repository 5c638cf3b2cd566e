//! `Device.XMPP.`: connections in sections `xmpp_connection` of `/etc/config/cwmp`, their servers in
//! `xmpp_server` with the connection's name.

use super::topology;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[ValueFn { name: "xmpp_connection", get: connection, set: None }];

/// Behind tables.
pub const TABLES: &[TableFn] =
    &[TableFn { name: "xmpp_connections", rows, add: Some(add), delete: Some(delete) }];

const TYPE: &str = "xmpp_connection";

fn rows(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let row =
        |section: crate::backend::Section| Row { name: section.id, addr: section.addr, cols: Vec::new() };
    Ok(system.sections("cwmp", TYPE)?.into_iter().map(row).collect())
}

fn add(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let name = topology::free_name(system, "cwmp", TYPE)?;
    let address = topology::new_section(system, "cwmp", TYPE, Some(&name))?;
    topology::put(system, &address, "enable", "0")?;
    Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
}

/// Its servers go too: the next connection might get its name.
fn delete(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let gone = at.row().map(|row| row.addr.clone()).ok_or_else(|| Error::not_deletable(at.name))?;
    // From behind: what is anonymous moves up.
    for server in system.sections("cwmp", "xmpp_server")?.into_iter().rev() {
        let address = format!("cwmp.{}", server.addr);
        if topology::text(system, &address, "connection")? == gone {
            system.delete_section(&address)?;
        }
    }
    system.delete_section(&format!("cwmp.{gone}"))
}

fn connection(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let addr = at.row().map(|row| row.addr.clone()).unwrap_or_default();
    let section = format!("cwmp.{addr}");
    let mut text = |option| topology::text(system, &section, option);
    let (user, domain, resource, on) =
        (text("username")?, text("domain")?, text("resource")?, topology::truth(&text("enable")?));
    let whole = !user.is_empty() && !domain.is_empty();
    let told = |name| system.agent(&format!("xmpp.{addr}.{name}")).filter(|word| !word.is_empty());
    Ok(Some(Raw::One(match what {
        // As the server says it, while there is a connection.
        "id" if on && told("JabberID").is_some() => told("JabberID").unwrap_or_default().to_owned(),
        "id" if !whole => String::new(),
        "id" if resource.is_empty() => format!("{user}@{domain}"),
        "id" => format!("{user}@{domain}/{resource}"),
        _ if !on => "Disabled".to_owned(),
        _ if !whole => "Error_Misconfigured".to_owned(),
        _ => told("Status").unwrap_or("Unknown").to_owned(),
    })))
}
