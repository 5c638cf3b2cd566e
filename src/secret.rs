//! A secret text: nobody is shown it, and it is overwritten in memory when it goes.
//!
//! For passwords of the configuration, of the ACS's requests and of those who knock. What is out of reach: UCI's
//! file as the store keeps it, and what leaves for a socket.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A password. `Debug` shows stars, there is no `Display`, and each copy is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself, for those who compute with it or send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to be changed in place.
    pub fn text_mut(&mut self) -> &mut String {
        &mut self.0
    }

    /// The text without blanks around it; what was given is overwritten.
    pub fn trimmed(text: String) -> Secret {
        let whole = Secret::from(text);
        Secret::from(whole.trim())
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }
}

impl From<&String> for Secret {
    fn from(text: &String) -> Secret {
        Secret::from(text.as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// The state file has it as a string: a download outlives a reboot.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_shown_it() {
        let secret = Secret::trimmed(" p\n".to_owned());
        assert_eq!((secret.as_str(), secret.len()), ("p", 1));
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "*** Some(\n    ***,\n)");
    }

    #[test]
    fn the_state_file_has_it_as_a_string() {
        let text = serde_json::to_string(&Secret::from("a\"b")).unwrap();
        assert_eq!(text, "\"a\\\"b\"");
        assert_eq!(serde_json::from_str::<Secret>(&text).unwrap(), Secret::from("a\"b"));
    }
}
