//! Notification and access list of parameters (TR-069 A.3.2.4, A.3.2.5).
//!
//! | rule | what happens |
//! |---|---|
//! | the data model forces active notification | it stays 2, whatever is asked for |
//! | the data model lets a CPE deny it | 2, 5 and 6 are refused (9009), passive ones never |
//! | 3 to 6 without lightweight notification | refused (9003) |
//! | a partial path | means the instances that exist now |
//! | an object goes | its attributes go; a new instance has the defaults |
//!
//! Attributes hang on names with instance numbers, whatever identifiers a request uses; those of rows
//! that come and go by themselves live as long as their numbers, which is this process's life.

use super::addressing::in_numbers;
use super::backend::Backend;
use super::error::{Error, Result};
use super::memory::Attributes;
use super::path::Path;
use super::schema::{Notify, Param, Schema};
use super::tree::{Model, Sink};

/// The most parameters whose attributes are not the default; each is some eighty octets on the flash.
pub const MAX_ATTRIBUTES: usize = 16_384;

/// A change of attributes (TR-069 A.3.2.4); `None` leaves one as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// A full or partial path.
    pub name: String,
    /// 0 to 6; 3 to 6 are lightweight notification.
    pub notification: Option<i64>,
    /// Whether `Subscriber` is in the new access list.
    pub subscriber: Option<bool>,
}

impl<B: Backend> Model<B> {
    /// Whether this agent sends lightweight notifications (TR-069 Annex M), so that 3 to 6 can be asked
    /// for. What was asked for earlier stays as it is.
    pub fn set_lightweight(&mut self, supported: bool) {
        self.lightweight = supported;
    }

    /// The notification and access of a parameter, as stored or by default. The name may have aliases.
    pub fn attributes(&mut self, name: &str, param: &Param) -> Attributes {
        let numbered = self.numbered(name).unwrap_or_else(|_| name.to_owned());
        self.attributes_of(&numbered, param)
    }

    /// As [`Model::attributes`], for a name with numbers.
    pub(super) fn attributes_of(&self, name: &str, param: &Param) -> Attributes {
        let stored = self.memory.attributes(name).or_else(|| self.passing.attributes(name));
        match (param.notify, stored) {
            (Notify::Forced, Some(stored)) => Attributes { notification: 2, subscriber: stored.subscriber },
            (_, Some(stored)) => stored.clone(),
            (_, None) => by_default(param),
        }
    }

    /// Changes attributes in order, all or none (TR-069 A.3.2.4).
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::bad_argument`] for a notification outside of what is supported,
    /// [`Error::notification_refused`], [`Error::exhausted`] beyond [`MAX_ATTRIBUTES`], [`Error::backend`].
    pub fn set_attributes(&mut self, changes: &[AttributeChange]) -> Result<()> {
        let most = if self.lightweight { 6 } else { 2 };
        let mut wanted = Vec::with_capacity(changes.len());
        for change in changes {
            let bad = |n: i64| Error::bad_argument(format!("notification {n} of {}", change.name));
            wanted.push(match change.notification {
                None => None,
                Some(n) => Some(u8::try_from(n).ok().filter(|n| *n <= most).ok_or_else(|| bad(n))?),
            });
        }
        self.changing(|model, _| {
            for (change, notification) in changes.iter().zip(wanted) {
                for (name, param) in model.numbered_params(&change.name)? {
                    let active = matches!(notification, Some(2 | 5 | 6));
                    if active && param.notify == Notify::CanDeny {
                        return Err(Error::notification_refused(&name));
                    }
                    let mut attributes = model.attributes_of(&name, &param);
                    // Parameters that are always active ignore other settings.
                    if param.notify != Notify::Forced {
                        attributes.notification = notification.unwrap_or(attributes.notification);
                    }
                    attributes.subscriber = change.subscriber.unwrap_or(attributes.subscriber);
                    let special = (attributes != by_default(&param)).then_some(attributes);
                    let volatile = is_volatile(&model.schema, &name);
                    let memory = if volatile { &mut model.passing } else { &mut model.memory };
                    memory.set_attributes(&name, special);
                }
                let count = model.memory.all_attributes().count() + model.passing.all_attributes().count();
                if count > MAX_ATTRIBUTES {
                    let why = format!("more than {MAX_ATTRIBUTES} parameters with attributes of their own");
                    return Err(Error::exhausted(why));
                }
            }
            Ok(())
        })
    }

    /// The parameters at or below a path by names with numbers, with their definitions.
    ///
    /// # Errors
    /// [`Error::unknown_name`], [`Error::exhausted`], [`Error::backend`].
    pub(super) fn numbered_params(&mut self, path: &str) -> Result<Vec<(String, Param)>> {
        let targets = self.locate(&Path::parse(path)?)?;
        let mode = std::mem::take(&mut self.addressing);
        let mut out = Vec::new();
        let walk = || -> Result<()> {
            for mut target in targets {
                target.name = in_numbers(&target);
                self.walk(target, &mut Sink::Params(&mut out))?;
            }
            Ok(())
        };
        let walked = walk();
        self.addressing = mode;
        walked.map(|()| out)
    }
}

/// The attributes nobody has changed.
fn by_default(param: &Param) -> Attributes {
    let notification = match param.notify {
        Notify::Forced | Notify::Default => 2,
        Notify::Normal | Notify::CanDeny => 0,
    };
    Attributes { notification, subscriber: true }
}

/// Whether a parameter lies in a row that comes and goes by itself.
fn is_volatile(schema: &Schema, name: &str) -> bool {
    let Ok(path) = Path::parse(name) else { return false };
    (1..path.segments().len()).any(|length| {
        let object = schema.find(&path.head(length).schema_path()).map(|at| &schema.objects()[at]);
        object.and_then(|object| object.rows).is_some_and(|rows| rows.volatile)
    })
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Fake, model, row, set};
    use super::*;
    use crate::model::ErrorKind;
    use crate::model::addressing::Addressing;

    fn change(name: &str, notification: i64) -> AttributeChange {
        AttributeChange { name: name.into(), notification: Some(notification), subscriber: None }
    }

    fn of(model: &mut Model<Fake>, name: &str) -> (u8, bool) {
        let (name, param) = model.params(name).unwrap().remove(0);
        let found = model.attributes(&name, &param);
        (found.notification, found.subscriber)
    }

    #[test]
    fn the_data_model_decides_first() {
        let mut model = model();
        for (name, before, asked, after) in [
            ("Device.If.1.Mtu", 0, 2, 2),
            ("Device.If.1.Mtu", 2, 1, 1),
            ("Device.If.1.Mtu", 1, 0, 0),
            // Forced: no fault, no effect.
            ("Device.If.1.Sw", 2, 0, 2),
            ("Device.If.1.Sw", 2, 1, 2),
            // Active at first, the ACS may change it, and change it back.
            ("Device.Url", 2, 0, 0),
            ("Device.Url", 0, 2, 2),
            // Passive cannot be denied.
            ("Device.If.1.Cnt", 0, 1, 1),
            // Also what cannot be written or read has attributes.
            ("Device.Version", 0, 2, 2),
            ("Device.If.1.Secret", 0, 1, 1),
        ] {
            assert_eq!(of(&mut model, name).0, before, "{name}");
            model.set_attributes(&[change(name, asked)]).unwrap();
            assert_eq!(of(&mut model, name).0, after, "{name}");
        }
    }

    #[test]
    fn all_or_nothing_and_the_later_wins() {
        let mut model = model();
        let refused = model.set_attributes(&[change("Device.If.2.Mtu", 2), change("Device.If.2.", 2)]);
        assert_eq!(refused, Err(Error::notification_refused("Device.If.2.Cnt")));
        let unknown = model.set_attributes(&[change("Device.If.2.Mtu", 2), change("Device.If.9.Mtu", 2)]);
        assert_eq!(unknown, Err(Error::unknown_name("Device.If.9.Mtu")));
        assert_eq!(of(&mut model, "Device.If.2.Mtu").0, 0);
        model.set_attributes(&[change("Device.If.2.", 1), change("Device.If.2.Mtu", 2)]).unwrap();
        assert_eq!((of(&mut model, "Device.If.2.Mtu").0, of(&mut model, "Device.If.2.Mode").0), (2, 1));
        model.backend().refuse_commit = true;
        assert!(model.set_attributes(&[change("Device.If.2.Mtu", 0)]).is_err());
        assert_eq!(of(&mut model, "Device.If.2.Mtu").0, 2);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let mut model = model();
        for n in [-1, 3, 4, 5, 6, 7, 256 + 2, i64::MAX] {
            let refused = model.set_attributes(&[change("Device.If.1.Mtu", n)]).unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::BadArgument(why) if why.contains("Device.If.1.Mtu")),
                "{n}"
            );
        }
        model.set_lightweight(true);
        for n in 0..=6 {
            model.set_attributes(&[change("Device.If.1.Mtu", n)]).unwrap();
            assert_eq!(i64::from(of(&mut model, "Device.If.1.Mtu").0), n);
            let denied = model.set_attributes(&[change("Device.If.1.Cnt", n)]);
            assert_eq!(denied.is_err(), [2, 5, 6].contains(&n), "{n}");
            model.set_attributes(&[change("Device.If.1.Sw", n)]).unwrap();
            assert_eq!(of(&mut model, "Device.If.1.Sw").0, 2);
        }
        assert!(model.set_attributes(&[change("Device.If.1.Mtu", 7)]).is_err());
    }

    #[test]
    fn an_attribute_not_named_stays() {
        let mut model = model();
        let closed =
            AttributeChange { name: "Device.If.1.Mtu".into(), notification: None, subscriber: Some(false) };
        model.set_attributes(&[change("Device.If.1.Mtu", 1), closed.clone()]).unwrap();
        assert_eq!(of(&mut model, "Device.If.1.Mtu"), (1, false));
        model.set_attributes(&[change("Device.If.1.Mtu", 2)]).unwrap();
        assert_eq!(of(&mut model, "Device.If.1.Mtu"), (2, false));
        // A forced one has an access list of its own.
        model.set_attributes(&[AttributeChange { name: "Device.If.1.Sw".into(), ..closed }]).unwrap();
        assert_eq!(of(&mut model, "Device.If.1.Sw"), (2, false));
    }

    #[test]
    fn attributes_go_with_their_object() {
        let mut model = model();
        model.set_attributes(&[change("Device.If.2.", 1), change("Device.If.1.Mtu", 2)]).unwrap();
        // A partial path means what exists now.
        assert_eq!(model.add("Device.If.", None), Ok(3));
        assert_eq!(of(&mut model, "Device.If.3.Mtu"), (0, true));
        assert_eq!(of(&mut model, "Device.If.3.Sw"), (2, true));
        model.delete("Device.If.2.", None).unwrap();
        let left: Vec<_> = model.memory().all_attributes().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(left, ["Device.If.1.Mtu"]);
    }

    #[test]
    fn the_default_takes_no_room() {
        let mut model = model();
        model.set_attributes(&[change("Device.If.1.", 1)]).unwrap();
        assert!(model.memory().all_attributes().count() > 5);
        model.set_attributes(&[change("Device.If.1.", 0)]).unwrap();
        assert_eq!(model.memory().all_attributes().count(), 0);
    }

    #[test]
    fn aliases_name_the_same_attributes() {
        let mut model = model();
        set(&mut model, &[("Device.If.1.Alias", "home")]).unwrap();
        model.set_attributes(&[change("Device.If.[home].Mtu", 2)]).unwrap();
        assert_eq!(of(&mut model, "Device.If.1.Mtu").0, 2);
        set(&mut model, &[("Device.If.1.Alias", "other")]).unwrap();
        assert_eq!(of(&mut model, "Device.If.[other].Mtu").0, 2);
        model.set_addressing(Addressing { by_alias: true, auto_create: false });
        assert_eq!(model.presented("Device.If.1.Mtu"), "Device.If.[other].Mtu");
        assert_eq!(model.presented("Device.If.2.Addr.1."), "Device.If.[cpe-2].Addr.1.");
        assert_eq!(model.presented("Device.If.7.Mtu"), "Device.If.7.Mtu");
        model.set_attributes(&[change("Device.If.", 1)]).unwrap();
        assert_eq!(of(&mut model, "Device.If.1.Mtu").0, 1);
        let names: Vec<_> = model.memory().all_attributes().map(|(name, _)| name.to_owned()).collect();
        assert!(names.iter().all(|name| !name.contains('[')), "{names:?}");
    }

    #[test]
    fn rows_that_come_and_go_take_theirs_with_them() {
        let mut model = model();
        model.backend().rows.insert("proc".into(), vec![row("init"), row("shell")]);
        model.set_attributes(&[change("Device.Proc.2.Pid", 2)]).unwrap();
        assert_eq!(of(&mut model, "Device.Proc.2.Pid").0, 2);
        // Their numbers begin anew with the next life, so nothing of them is kept.
        assert_eq!(model.memory().all_attributes().count(), 0);
    }

    #[test]
    fn there_is_a_bound() {
        let mut model = model();
        let rows = (0..1 + MAX_ATTRIBUTES / 10).map(|n| row(&format!("r{n}"))).collect();
        model.backend().rows.insert("net.if".into(), rows);
        assert!(matches!(
            model.set_attributes(&[change("Device.If.", 1)]).unwrap_err().kind(),
            ErrorKind::Exhausted(_)
        ));
        assert_eq!(model.memory().all_attributes().count(), 0);
    }
}
