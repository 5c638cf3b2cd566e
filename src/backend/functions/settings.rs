//! The agent's own settings in `/etc/config/cwmp` where one line of a data model file is not enough:
//! sections that may be missing, lists with blanks in their items, values that DHCP may bring.

use crate::backend::functions::netif::put;
use crate::backend::functions::topology::truth;
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "setting", get: setting, set: Some(set_setting) },
    ValueFn { name: "setting_list", get: setting_list, set: Some(set_setting_list) },
    ValueFn { name: "acs_url", get: acs_url, set: Some(set_acs_url) },
    ValueFn { name: "acs_retry", get: acs_retry, set: Some(set_acs_retry) },
    ValueFn { name: "provisioning_code", get: provisioning_code, set: Some(set_provisioning_code) },
    ValueFn { name: "lightweight_protocols", get: lightweight, set: Some(set_lightweight) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[];

/// `package.name.type.option`: a section that is made when something is written to it.
struct Address<'a> {
    package: &'a str,
    name: &'a str,
    ty: &'a str,
    option: &'a str,
}

impl<'a> Address<'a> {
    fn parse(argument: &'a str) -> Result<Address<'a>> {
        let mut parts = argument.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(package), Some(name), Some(ty), Some(option), None) => {
                Ok(Address { package, name, ty, option })
            }
            _ => Err(Error::backend(format!("reading {argument}"), "not package.name.type.option")),
        }
    }

    /// The option's address, where the section is there. icwmp's configurations have the section's name
    /// as its type too, so an anonymous section of that type will do.
    fn find(&self, system: &mut System) -> Result<Option<String>> {
        let Address { package, name, option, .. } = self;
        let sections = system.sections(package, "*")?;
        let named = sections.iter().find(|section| section.addr == *name);
        let found = named.or_else(|| sections.iter().find(|section| section.ty == *name));
        Ok(found.map(|section| format!("{package}.{}.{option}", section.addr)))
    }

    fn find_or_make(&self, system: &mut System) -> Result<String> {
        match self.find(system)? {
            Some(address) => Ok(address),
            None => {
                let addr = system.add_section(self.package, self.ty, Some(self.name))?;
                Ok(format!("{}.{addr}.{}", self.package, self.option))
            }
        }
    }
}

fn setting(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    match Address::parse(argument)?.find(system)? {
        Some(address) => system.option(&address),
        None => Ok(None),
    }
}

fn set_setting(system: &mut System, _at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let address = Address::parse(argument)?;
    if raw.text().is_empty() && address.find(system)?.is_none() {
        return Ok(());
    }
    let address = address.find_or_make(system)?;
    put(system, &address, &raw.text())
}

fn setting_list(system: &mut System, at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    Ok(setting(system, at, argument)?.map(|raw| match raw {
        Raw::One(text) => Raw::Many(
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        ),
        many => many,
    }))
}

fn set_setting_list(system: &mut System, at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    let joined = match raw {
        Raw::One(text) => text.clone(),
        Raw::Many(items) => items.join(","),
    };
    match (setting(system, at, argument)?, raw) {
        (Some(Raw::Many(_)), Raw::Many(items)) if !items.is_empty() => {
            let address = Address::parse(argument)?.find_or_make(system)?;
            system.set_option(&address, Some(raw))
        }
        _ => set_setting(system, at, argument, &Raw::One(joined)),
    }
}

fn discovers(system: &mut System) -> Result<bool> {
    Ok(truth(&system.option_text("cwmp.acs.dhcp_discovery")?))
}

/// Whether DHCP is asked: because that is on, or because there is no URL to go by (TR-069 3.1).
fn dhcp_has_say(system: &mut System) -> Result<bool> {
    Ok(discovers(system)? || system.option_text("cwmp.acs.url")?.trim().is_empty())
}

fn acs_url(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    if dhcp_has_say(system)? {
        let found = system.option_text("cwmp.acs.dhcp_url")?;
        if !found.trim().is_empty() {
            return Ok(Some(Raw::one(found.trim())));
        }
    }
    system.option("cwmp.acs.url")
}

fn set_acs_url(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    // Without a URL nor somebody who could bring one, nobody would ever hear of this device again.
    if raw.text().is_empty() && !discovers(system)? {
        return Err(Error::bad_value(at.name, "empty, and DHCP discovery is off"));
    }
    if raw.text().is_empty() {
        return put(system, "cwmp.acs.url", "");
    }
    // What the ACS has set must not be overridden by DHCP any more (TR-069 3.1).
    if discovers(system)? {
        system.set_option("cwmp.acs.dhcp_discovery", Some(&Raw::one("disable")))?;
    }
    put(system, "cwmp.acs.url", &raw.text())
}

/// `argument` is the option's name in section `acs`. What DHCP has offered goes before what is configured,
/// but not before what was set through here.
fn acs_retry(system: &mut System, _at: Place<'_>, argument: &str) -> Result<Option<Raw>> {
    let fixed = truth(&system.option_text(&format!("cwmp.acs.{argument}_fixed"))?);
    if !fixed && dhcp_has_say(system)? {
        let offered = system.option_text(&format!("cwmp.acs.dhcp_{argument}"))?;
        let least = if argument == "retry_interval_multiplier" { 1000 } else { 1 };
        // What is no such number is not used either.
        if offered.trim().parse().is_ok_and(|number: u32| (least..=65_535).contains(&number)) {
            return Ok(Some(Raw::one(offered.trim())));
        }
    }
    system.option(&format!("cwmp.acs.{argument}"))
}

fn set_acs_retry(system: &mut System, _at: Place<'_>, argument: &str, raw: &Raw) -> Result<()> {
    put(system, &format!("cwmp.acs.{argument}"), &raw.text())?;
    put(system, &format!("cwmp.acs.{argument}_fixed"), "1")
}

fn provisioning_code(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    match system.option(CODE)? {
        None if dhcp_has_say(system)? && !truth(&system.option_text(CODE_FIXED)?) => {
            system.option("cwmp.cpe.dhcp_provisioning_code")
        }
        own => Ok(own),
    }
}

fn set_provisioning_code(system: &mut System, _at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    // UCI knows no empty option, and none at all leaves the word to DHCP.
    put(system, CODE_FIXED, if raw.text().is_empty() { "1" } else { "" })?;
    put(system, CODE, &raw.text())
}

const CODE: &str = "cwmp.cpe.provisioning_code";
const CODE_FIXED: &str = "cwmp.cpe.provisioning_code_fixed";
const LIGHTWEIGHT: &str = "cwmp.lwn.lwn.enable";

fn lightweight(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let on = setting(system, at, LIGHTWEIGHT)?.is_some_and(|raw| truth(&raw.text()));
    Ok(Some(Raw::one(if on { "UDP" } else { "" })))
}

fn set_lightweight(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    let on = raw.items().contains(&"UDP");
    set_setting(system, at, LIGHTWEIGHT, &Raw::one(if on { "1" } else { "0" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let good = Address::parse("cwmp.stun.stun.enable").map(|a| (a.package, a.name, a.ty, a.option));
        assert_eq!(good, Ok(("cwmp", "stun", "stun", "enable")));
        assert!(Address::parse("cwmp.stun.enable").is_err());
        assert!(Address::parse("a.b.c.d.e").is_err());
    }
}
