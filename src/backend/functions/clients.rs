//! Tables of clients that are interfaces of netifd with a certain protocol, DHCPv4's and DHCPv6's.
//!
//! A client that is off leaves its interface to another protocol, with a mark. One that AddObject made is a section of a
//! type of its own, which netifd does not read; once it is told its interface it stands for that one's client.

use super::topology;
use crate::backend::System;
use crate::model::backend::{Place, Row};
use crate::model::{Error, Result};

/// One such table.
pub struct Clients {
    /// netifd's word for an interface with a client.
    pub proto: &'static str,
    /// And for one whose client is off or gone.
    pub idle: &'static str,
    /// The option that marks an interface whose client is off.
    pub mark: &'static str,
    /// The type of the sections that AddObject makes.
    pub made: &'static str,
    /// What their names begin with.
    pub name: &'static str,
    /// The options that they begin with.
    pub fresh: &'static [(&'static str, &'static str)],
    /// The options that a client keeps with its section.
    pub kept: &'static [&'static str],
}

/// A section made by AddObject.
struct Made {
    name: String,
    interface: String,
}

/// All errors are those of [`System::sections`] and [`System::set_option`], and [`Error::bad_value`] where that is said.
impl Clients {
    /// The rows of the table: those of interfaces by their names, then those that AddObject made by theirs.
    pub fn rows(&self, system: &mut System) -> Result<Vec<Row>> {
        let made = self.made(system)?;
        let mut out = Vec::new();
        for interface in topology::interfaces(system)? {
            let known = made.iter().any(|made| made.interface == interface.name);
            if !known && self.state(system, &interface.name)?.is_some() {
                out.push(Row { name: interface.name.clone(), addr: interface.name, cols: Vec::new() });
            }
        }
        for Made { name, interface } in made {
            let addr = if interface.is_empty() { name.clone() } else { interface };
            out.push(Row { name, addr, cols: Vec::new() });
        }
        Ok(out)
    }

    /// Makes a client that has no interface yet.
    pub fn add(&self, system: &mut System) -> Result<Row> {
        let name = topology::free_name(system, "network", self.name)?;
        let section = topology::new_section(system, "network", self.made, Some(&name))?;
        for (option, value) in self.fresh {
            topology::put(system, &section, option, value)?;
        }
        Ok(Row { name: name.clone(), addr: name, cols: Vec::new() })
    }

    /// Takes a client from its interface, which stays.
    pub fn delete(&self, system: &mut System, at: &Place<'_>) -> Result<()> {
        let (own, interface) = self.client(system, at)?;
        self.detach(system, &interface)?;
        match own {
            Some(own) => system.delete_section(&format!("network.{own}")),
            None => Ok(()),
        }
    }

    /// The client of the outermost row: its own section if AddObject made it, and its interface if it has one.
    fn client(&self, system: &mut System, at: &Place<'_>) -> Result<(Option<String>, String)> {
        let row = at.rows.first().ok_or_else(|| Error::unknown_name(at.name))?;
        let name = row.row.name.clone();
        Ok(match self.made(system)?.into_iter().find(|made| made.name == name) {
            Some(made) => (Some(made.name), made.interface),
            None => (None, name),
        })
    }

    /// The section that has the options of a client: its interface's, or its own while it has none.
    pub fn section(&self, system: &mut System, at: &Place<'_>) -> Result<String> {
        Ok(match self.client(system, at)? {
            (Some(own), interface) if interface.is_empty() => format!("network.{own}"),
            (_, interface) => format!("network.{interface}"),
        })
    }

    /// The name of its interface; empty for none.
    pub fn interface(&self, system: &mut System, at: &Place<'_>) -> Result<String> {
        Ok(self.client(system, at)?.1)
    }

    /// Gives a client that AddObject made its interface, or takes it away.
    ///
    /// # Errors
    /// [`Error::bad_value`] for another client, and for an interface that has one or another protocol.
    pub fn set_interface(&self, system: &mut System, at: &Place<'_>, wanted: &str) -> Result<()> {
        let (own, now) = self.client(system, at)?;
        if wanted == now {
            return Ok(());
        }
        if let (Some(own), "") = (&own, wanted) {
            self.detach(system, &now)?;
            return topology::put(system, &format!("network.{own}"), "interface", "");
        }
        let Some(own) = own.filter(|_| now.is_empty()) else {
            let why = "the client belongs to its interface: delete it and add another";
            return Err(Error::bad_value(at.name, why));
        };
        let taken = self.made(system)?.iter().any(|made| made.interface == wanted);
        if taken || self.state(system, wanted)?.is_some() {
            return Err(Error::bad_value(at.name, "the interface has a client already"));
        }
        let (from, to) = (format!("network.{own}"), format!("network.{wanted}"));
        if !matches!(topology::text(system, &to, "proto")?.as_str(), "" | "none" | "static") {
            return Err(Error::bad_value(at.name, "the interface has another protocol"));
        }
        let on = topology::text(system, &from, "enable")? == "1";
        topology::put(system, &from, "enable", "")?;
        topology::put(system, &from, "interface", wanted)?;
        for option in self.kept {
            if let Some(raw) = system.option(&format!("{from}.{option}"))? {
                system.set_option(&format!("{to}.{option}"), Some(&raw))?;
                system.set_option(&format!("{from}.{option}"), None)?;
            }
        }
        self.switch(system, wanted, on)
    }

    /// Whether a client is on; one without an interface remembers what it is to be.
    pub fn is_on(&self, system: &mut System, at: &Place<'_>) -> Result<bool> {
        match self.client(system, at)? {
            (Some(own), interface) if interface.is_empty() => {
                Ok(topology::text(system, &format!("network.{own}"), "enable")? == "1")
            }
            (_, interface) => Ok(self.state(system, &interface)? == Some(true)),
        }
    }

    /// Switches a client.
    pub fn set_on(&self, system: &mut System, at: &Place<'_>, on: bool) -> Result<()> {
        if on == self.is_on(system, at)? {
            return Ok(());
        }
        match self.client(system, at)? {
            (Some(own), interface) if interface.is_empty() => {
                topology::put(system, &format!("network.{own}"), "enable", if on { "1" } else { "" })
            }
            (_, interface) => self.switch(system, &interface, on),
        }
    }

    fn made(&self, system: &mut System) -> Result<Vec<Made>> {
        let mut out = Vec::new();
        for section in system.sections("network", self.made)? {
            let Some(name) = section.name else { continue };
            let interface = topology::text(system, &format!("network.{name}"), "interface")?;
            out.push(Made { name, interface });
        }
        Ok(out)
    }

    /// Whether an interface's client is on, off, or not there.
    fn state(&self, system: &mut System, interface: &str) -> Result<Option<bool>> {
        let section = format!("network.{interface}");
        if topology::text(system, &section, "proto")? == self.proto {
            return Ok(Some(true));
        }
        Ok((topology::text(system, &section, self.mark)? == "off").then_some(false))
    }

    fn switch(&self, system: &mut System, interface: &str, on: bool) -> Result<()> {
        let section = format!("network.{interface}");
        topology::put(system, &section, "proto", if on { self.proto } else { self.idle })?;
        topology::put(system, &section, self.mark, if on { "" } else { "off" })
    }

    /// Leaves an interface without a client.
    fn detach(&self, system: &mut System, interface: &str) -> Result<()> {
        if interface.is_empty() || self.state(system, interface)?.is_none() {
            return Ok(());
        }
        let section = format!("network.{interface}");
        topology::put(system, &section, "proto", self.idle)?;
        for option in self.kept.iter().chain([&self.mark]) {
            topology::put_list(system, &section, option, Vec::new())?;
        }
        Ok(())
    }
}
