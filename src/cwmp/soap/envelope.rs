//! The envelope as data: namespace, headers (TR-069 table 4), one message.

use std::fmt;

use crate::cwmp::rpc::Message;

/// The namespaces of CWMP; 1.2, 1.3 and 1.4 share the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Namespace {
    /// `urn:dslforum-org:cwmp-1-0`.
    V1_0,
    /// `urn:dslforum-org:cwmp-1-1`.
    V1_1,
    /// `urn:dslforum-org:cwmp-1-2`.
    #[default]
    V1_2,
}

/// A protocol version (TR-069 3.7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1 in all known versions.
    pub major: u8,
    /// 0 to 4 in all known versions.
    pub minor: u8,
}

/// The SOAP headers of CWMP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// `cwmp:ID`, echoed exactly in the answer.
    pub id: Option<String>,
    /// `cwmp:HoldRequests`; absent means false.
    pub hold_requests: bool,
    /// `cwmp:SessionTimeout` in seconds, only with Inform.
    pub session_timeout: Option<u32>,
    /// `cwmp:SupportedCWMPVersions`, only with Inform; empty means absent.
    pub supported_cwmp_versions: Vec<Version>,
    /// `cwmp:UseCWMPVersion`, only with InformResponse.
    pub use_cwmp_version: Option<Version>,
}

/// One SOAP envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The namespace of the CWMP elements.
    pub namespace: Namespace,
    /// The headers.
    pub header: Header,
    /// What the Body holds.
    pub message: Message,
}

impl Namespace {
    /// The namespace name.
    pub fn uri(self) -> &'static str {
        match self {
            Namespace::V1_0 => "urn:dslforum-org:cwmp-1-0",
            Namespace::V1_1 => "urn:dslforum-org:cwmp-1-1",
            Namespace::V1_2 => "urn:dslforum-org:cwmp-1-2",
        }
    }

    /// The namespace of a name; `cwmp-1-3` and `cwmp-1-4` do not exist in any document, but are
    /// sent by some ACSs and read as 1-2.
    pub fn from_uri(uri: &str) -> Option<Namespace> {
        Some(match uri {
            "urn:dslforum-org:cwmp-1-0" => Namespace::V1_0,
            "urn:dslforum-org:cwmp-1-1" => Namespace::V1_1,
            "urn:dslforum-org:cwmp-1-2" | "urn:dslforum-org:cwmp-1-3" | "urn:dslforum-org:cwmp-1-4" => {
                Namespace::V1_2
            }
            _ => return None,
        })
    }

    /// The version to infer when an ACS names none: 1.0, 1.1 or 1.2 (TR-069 3.7.4).
    pub fn inferred_version(self) -> Version {
        match self {
            Namespace::V1_0 => Version::V1_0,
            Namespace::V1_1 => Version::V1_1,
            Namespace::V1_2 => Version::V1_2,
        }
    }
}

impl Version {
    /// CWMP 1.0.
    pub const V1_0: Version = Version { major: 1, minor: 0 };
    /// CWMP 1.1.
    pub const V1_1: Version = Version { major: 1, minor: 1 };
    /// CWMP 1.2.
    pub const V1_2: Version = Version { major: 1, minor: 2 };
    /// CWMP 1.3.
    pub const V1_3: Version = Version { major: 1, minor: 3 };
    /// CWMP 1.4, the newest.
    pub const V1_4: Version = Version { major: 1, minor: 4 };
    /// All of them, as SupportedCWMPVersions lists them.
    pub const ALL: [Version; 5] = [Version::V1_0, Version::V1_1, Version::V1_2, Version::V1_3, Version::V1_4];

    /// Parses `1.4`.
    pub fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.trim().split_once('.')?;
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Version { major: number(major)?, minor: number(minor)? })
    }

    /// The namespace that messages of this version are written in.
    pub fn namespace(self) -> Namespace {
        match self.minor {
            0 => Namespace::V1_0,
            1 => Namespace::V1_1,
            _ => Namespace::V1_2,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
