//! CWMP faults (TR-069 A.5): codes, their texts, who is to blame, and the one table from a model error to a fault.

use std::fmt;

use crate::model::{self, ErrorKind};

/// A `cwmp:Fault`, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// 9000 to 9899 from a CPE, 8000 to 8899 from an ACS; 0 when a SOAP fault came without CWMP's detail.
    pub code: u16,
    /// Human-readable, without secrets.
    pub string: String,
    /// One entry for each bad parameter of a SetParameterValues; else empty.
    pub parameters: Vec<ParameterFault>,
}

/// `SetParameterValuesFault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterFault {
    /// The parameter to blame.
    pub parameter_name: String,
    /// 9001, 9002, 9005 to 9008.
    pub code: u16,
    /// Human-readable.
    pub string: String,
}

/// 9000.
pub const METHOD_NOT_SUPPORTED: u16 = 9000;
/// 9001.
pub const REQUEST_DENIED: u16 = 9001;
/// 9002.
pub const INTERNAL_ERROR: u16 = 9002;
/// 9003.
pub const INVALID_ARGUMENTS: u16 = 9003;
/// 9004.
pub const RESOURCES_EXCEEDED: u16 = 9004;
/// 9005.
pub const INVALID_PARAMETER_NAME: u16 = 9005;
/// 9006.
pub const INVALID_PARAMETER_TYPE: u16 = 9006;
/// 9007.
pub const INVALID_PARAMETER_VALUE: u16 = 9007;
/// 9008.
pub const NOT_WRITABLE: u16 = 9008;
/// 9009.
pub const NOTIFICATION_REJECTED: u16 = 9009;
/// 8005: the ACS asks for the same request again.
pub const RETRY_REQUEST: u16 = 8005;

impl Fault {
    /// A fault with the standard text of its code and, after a colon, `why` if there is one.
    pub fn new(code: u16, why: impl fmt::Display) -> Fault {
        let why = why.to_string();
        let text = text(code);
        let string = if why.is_empty() { text.to_owned() } else { format!("{text}: {why}") };
        Fault { code, string, parameters: Vec::new() }
    }

    /// `Client` or `Server` as A.5 assigns it to the code.
    pub fn faultcode(&self) -> &'static str {
        match self.code {
            9003 | 9005 | 9006 | 9007 | 9008 | 9020 | 9021 | 8003 => "Client",
            _ => "Server",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.string)?;
        for fault in &self.parameters {
            write!(f, "; {}: {} {}", fault.parameter_name, fault.code, fault.string)?;
        }
        Ok(())
    }
}

/// The standard's text of a code (A.5), empty for a vendor's.
pub fn text(code: u16) -> &'static str {
    match code {
        8000 | 9000 => "Method not supported",
        8001 | 9001 => "Request denied",
        8002 | 9002 => "Internal error",
        8003 | 9003 => "Invalid arguments",
        8004 | 9004 => "Resources exceeded",
        8005 => "Retry request",
        8006 => "ACS version incompatible with CPE",
        9005 => "Invalid parameter name",
        9006 => "Invalid parameter type",
        9007 => "Invalid parameter value",
        9008 => "Attempt to set a non-writable parameter",
        9009 => "Notification request rejected",
        9010 => "File transfer failure",
        9011 => "Upload failure",
        9012 => "File transfer server authentication failure",
        9013 => "Unsupported protocol for file transfer",
        9014 => "File transfer failure: unable to join multicast group",
        9015 => "File transfer failure: unable to contact file server",
        9016 => "File transfer failure: unable to access file",
        9017 => "File transfer failure: unable to complete download",
        9018 => "File transfer failure: file corrupted or otherwise unusable",
        9019 => "File transfer failure: file authentication failure",
        9020 => "File transfer failure: unable to complete download within specified time windows",
        9021 => "Cancelation of file transfer not permitted in current transfer state",
        9022 => "Invalid UUID format",
        9023 => "Unknown execution environment",
        9024 => "Disabled execution environment",
        9025 => "Deployment unit to execution environment mismatch",
        9026 => "Duplicate deployment unit",
        9027 => "System resources exceeded",
        9028 => "Unknown deployment unit",
        9029 => "Invalid deployment unit state",
        9030 => "Invalid deployment unit update: downgrade not permitted",
        9031 => "Invalid deployment unit update: version not specified",
        9032 => "Invalid deployment unit update: version already exists",
        _ => "",
    }
}

/// The code of one model error (A.5, and the method's own list in A.3).
pub fn code_of(error: &model::Error) -> u16 {
    match error.kind() {
        ErrorKind::UnknownName(_) | ErrorKind::NotAddable(_) | ErrorKind::NotDeletable(_) => {
            INVALID_PARAMETER_NAME
        }
        ErrorKind::NotWritable(_) | ErrorKind::Learnt(_) => NOT_WRITABLE,
        ErrorKind::WrongType { .. } => INVALID_PARAMETER_TYPE,
        ErrorKind::BadValue { .. } => INVALID_PARAMETER_VALUE,
        ErrorKind::BadArgument(_) | ErrorKind::Several(_) => INVALID_ARGUMENTS,
        ErrorKind::Denied { .. } => REQUEST_DENIED,
        ErrorKind::Exhausted(_) => RESOURCES_EXCEEDED,
        ErrorKind::NotificationRefused(_) => NOTIFICATION_REJECTED,
        ErrorKind::Backend { .. } => INTERNAL_ERROR,
    }
}

impl From<&model::Error> for Fault {
    fn from(error: &model::Error) -> Fault {
        let mut fault = Fault::new(code_of(error), "");
        match error.kind() {
            ErrorKind::Several(list) => {
                // 9004 blames no parameter (A.3.2.1): there it is the fault of the whole request.
                let full = |(_, error): &&(String, model::Error)| code_of(error) == RESOURCES_EXCEEDED;
                if let Some((_, why)) = list.iter().find(full) {
                    return Fault::from(why);
                }
                fault.parameters = list
                    .iter()
                    .map(|(name, error)| ParameterFault {
                        parameter_name: name.clone(),
                        code: code_of(error),
                        string: Fault::new(code_of(error), error.reason()).string,
                    })
                    .collect();
            }
            _ => fault.string = format!("{}: {error}", text(fault.code)),
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_errors_have_one_code_each() {
        let name = || "Device.X".to_owned();
        for (error, code) in [
            (model::Error::unknown_name(&name()), 9005),
            (model::Error::not_writable(&name()), 9008),
            (model::Error::learnt(&name()), 9008),
            (model::Error::denied(&name(), "why".to_owned()), 9001),
            (
                model::Error::new(ErrorKind::WrongType {
                    name: name(),
                    expected: "xsd:int",
                    given: "xsd:boolean".into(),
                }),
                9006,
            ),
            (model::Error::bad_value("Device.X", "too long"), 9007),
            (model::Error::bad_argument("twice".into()), 9003),
            (model::Error::not_addable(&name()), 9005),
            (model::Error::exhausted("full".into()), 9004),
            (model::Error::notification_refused(&name()), 9009),
            (model::Error::backend("writing network", "no space"), 9002),
        ] {
            assert_eq!(Fault::from(&error).code, code, "{error}");
        }
    }

    /// A.5 assigns each code to one of both, and has a text for each.
    #[test]
    fn who_is_to_blame() {
        let client = [9003, 9005, 9006, 9007, 9008, 9020, 9021, 8003];
        let codes: Vec<u16> = (9000..=9032).chain(8000..=8006).collect();
        for &code in &codes {
            let expected = if client.contains(&code) { "Client" } else { "Server" };
            assert_eq!(Fault::new(code, "").faultcode(), expected, "{code}");
            assert!(!text(code).is_empty(), "{code}");
        }
        let mut texts: Vec<&str> =
            codes.iter().filter(|code| **code >= 9000).map(|code| text(*code)).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 33, "a text stands for two codes");
        for vendor in [9800, 9899, 8800, 8899] {
            assert_eq!((Fault::new(vendor, "").faultcode(), text(vendor)), ("Server", ""));
        }
    }

    #[test]
    fn several_become_parameter_faults() {
        let error = model::Error::several(vec![("A.B".into(), model::Error::not_writable("A.B"))]);
        let fault = Fault::from(&error);
        assert_eq!((fault.code, fault.faultcode(), fault.parameters[0].code), (9003, "Client", 9008));
        let full = ("A.[x].B".into(), model::Error::exhausted("A. holds 256 instances already".into()));
        let fault = Fault::from(&model::Error::several(vec![
            ("A.B".into(), model::Error::not_writable("A.B")),
            full,
        ]));
        assert_eq!((fault.code, fault.faultcode(), fault.parameters.len()), (9004, "Server", 0));
        assert_eq!(fault.string, "Resources exceeded: A. holds 256 instances already");
    }
}
