//! `Device.BulkData.`: its settings are kept in the agent's store, and given to the agent as [`Profile`]s; what the
//! agent makes of them is in `agent::bulk`.

use crate::backend::{System, TableFn, ValueFn};
use crate::map::Map;
use crate::model::backend::{Place, Raw};
use crate::model::date::{self, Moment};
use crate::model::error::{Error, Result};
use crate::model::path::Path;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "bulk_status", get: status, set: None },
    ValueFn { name: "bulk_limit", get: limit, set: None },
    ValueFn { name: "bulk_setting", get: setting, set: Some(set) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn {
    // Of the store, with a number of rows that the standard has a parameter for, or that costs memory; and how many
    // there are at first.
    name: "stored",
    rows: |system, at, numbers| Ok(system.stored_rows(at, bounds(numbers).1)),
    add: Some(|system, at, numbers| {
        let (most, first) = bounds(numbers);
        system.add_stored(at, most, first)
    }),
    delete: Some(|system, at, numbers| {
        system.delete_stored(at, bounds(numbers).1);
        Ok(())
    }),
}];

/// `MOST` or `MOST:FIRST`: of the rows of a table.
fn bounds(numbers: &str) -> (usize, usize) {
    let (most, first) = numbers.split_once(':').unwrap_or((numbers, "0"));
    (most.parse().unwrap_or(0), first.parse().unwrap_or(0))
}

/// MinReportingInterval, in seconds.
pub const MIN_INTERVAL: u32 = 5;
/// MaxNumberOfParameterReferences: the most parameters of all profiles together, partial paths and wildcards
/// written out.
pub const MAX_REFERENCES: usize = 4096;
/// The longest separator of a CSV report, in characters.
const MAX_SEPARATOR: usize = 8;
/// The agent tells by it that a report could not be made.
pub const ERROR: &str = "bulk_error";

const ROOT: &str = "Device.BulkData.";

/// The form of times in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Seconds since 1970.
    Epoch,
    /// ISO 8601.
    Iso,
    /// There are none.
    None,
}

/// EncodingType, with the settings of that encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    Json {
        /// ReportFormat is ObjectHierarchy, and not NameValuePair.
        hierarchy: bool,
        /// ReportTimestamp.
        stamp: Stamp,
    },
    /// CSV.
    Csv {
        /// ReportFormat is ParameterPerRow, and not ParameterPerColumn.
        per_row: bool,
        /// RowTimestamp.
        stamp: Stamp,
        /// FieldSeparator.
        field: String,
        /// RowSeparator.
        row: String,
        /// EscapeCharacter.
        escape: String,
    },
}

/// What an entry of the Parameter table is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Name; empty: that of the parameter itself.
    pub name: String,
    /// Reference: a parameter or a partial path, with wildcards.
    pub reference: String,
    /// Exclude.
    pub exclude: bool,
}

/// A profile that is enabled, and has a way and an encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// ReportingInterval in seconds.
    pub interval: u32,
    /// TimeReference in seconds since 1970, unless it is the unknown time.
    pub reference: Option<i64>,
    /// NumberOfRetainedFailedReports; -1 for as many as possible.
    pub retained: i32,
    /// EncodingType.
    pub encoding: Encoding,
    /// The Parameter table.
    pub wishes: Vec<Wish>,
    /// HTTP.URL.
    pub url: String,
    /// HTTP.Username.
    pub username: String,
    /// HTTP.Password.
    pub password: String,
    /// HTTP.Compression.
    pub compression: String,
    /// HTTP.Method is PUT.
    pub put: bool,
    /// HTTP.UseDateHeader.
    pub date: bool,
    /// HTTP.RetryMinimumWaitInterval and RetryIntervalMultiplier, if RetryEnable is on.
    pub retry: Option<(u32, u32)>,
    /// The RequestURIParameter table: names and references.
    pub query: Vec<(String, String)>,
}

fn status(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let enabled = system.stored("Device.BulkData.Enable") == Some("1");
    let failed = system.agent(ERROR).is_some_and(|error| !error.is_empty());
    Ok(Some(Raw::one(match (enabled, failed) {
        (false, _) => "Disabled",
        (true, true) => "Error",
        (true, false) => "Enabled",
    })))
}

fn limit(_system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let limit = if what == "interval" { MIN_INTERVAL as usize } else { MAX_REFERENCES };
    Ok(Some(Raw::one(limit.to_string())))
}

fn setting(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(system.stored(&System::stored_name(at)).map(Raw::one))
}

/// Settings that have a bound which the parameter's type does not tell.
fn set(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    let why = match what {
        "interval" if text.parse::<u32>().is_ok_and(|interval| interval < MIN_INTERVAL) => {
            format!("at least {MIN_INTERVAL} seconds (MinReportingInterval)")
        }
        "reference" if !text.is_empty() && Path::parse(&text).is_err() => "not a path".to_owned(),
        "separator" if text.is_empty() || text.chars().count() > MAX_SEPARATOR => {
            format!("1 to {MAX_SEPARATOR} characters")
        }
        _ => {
            system.staging().values.insert(System::stored_name(at), text);
            return Ok(());
        }
    };
    Err(Error::bad_value(at.name, why))
}

impl System {
    /// The profiles that are to be reported, by instance number.
    pub fn bulk_profiles(&self) -> Map<u32, Profile> {
        profiles(&self.kept.values)
    }
}

fn profiles(kept: &Map<String, String>) -> Map<u32, Profile> {
    let text = |path: &str, default: &str| kept.get(path).map_or(default, String::as_str).to_owned();
    let is = |path: &str, wanted: &str| kept.get(path).is_some_and(|text| text == wanted);
    // The numbers of the rows of a table that have this parameter, in order.
    let rows = |table: &str, parameter: &str| {
        let number = |path: &String| path.strip_prefix(table)?.strip_suffix(parameter)?.parse::<u32>().ok();
        let mut found: Vec<u32> = kept.keys().filter_map(number).collect();
        found.sort_unstable();
        found
    };
    let profile = |number: &u32| {
        let at = |name: &str| format!("{ROOT}Profile.{number}.{name}");
        let whole = |name: &str, default: u32| text(&at(name), "").parse().unwrap_or(default);
        let stamp = |name: &str| match text(&at(name), "").as_str() {
            "ISO-8601" => Stamp::Iso,
            "None" => Stamp::None,
            _ => Stamp::Epoch,
        };
        let encoding = match text(&at("EncodingType"), "").as_str() {
            "JSON" => Encoding::Json {
                hierarchy: !is(&at("JSONEncoding.ReportFormat"), "NameValuePair"),
                stamp: stamp("JSONEncoding.ReportTimestamp"),
            },
            "CSV" => Encoding::Csv {
                per_row: is(&at("CSVEncoding.ReportFormat"), "ParameterPerRow"),
                stamp: stamp("CSVEncoding.RowTimestamp"),
                field: text(&at("CSVEncoding.FieldSeparator"), ","),
                row: text(&at("CSVEncoding.RowSeparator"), "\n"),
                escape: text(&at("CSVEncoding.EscapeCharacter"), "\""),
            },
            _ => return None,
        };
        let url = text(&at("HTTP.URL"), "");
        if !is(&at("Enable"), "1") || !is(&at("Protocol"), "HTTP") || url.is_empty() {
            return None;
        }
        let table = |name: &str| -> Vec<String> {
            let table = at(name);
            rows(&table, ".Reference").into_iter().map(|row| format!("{table}{row}.")).collect()
        };
        let wish = |row: String| Wish {
            name: text(&format!("{row}Name"), ""),
            reference: text(&format!("{row}Reference"), ""),
            exclude: is(&format!("{row}Exclude"), "1"),
        };
        let wishes = |name: &str| -> Vec<Wish> {
            table(name).into_iter().map(wish).filter(|wish| !wish.reference.is_empty()).collect()
        };
        let profile = Profile {
            interval: whole("ReportingInterval", 86_400).max(MIN_INTERVAL),
            reference: match date::parse(&text(&at("TimeReference"), "")) {
                Some(Moment::At(moment)) => Some(moment),
                _ => None,
            },
            retained: text(&at("NumberOfRetainedFailedReports"), "").parse().unwrap_or(0),
            encoding,
            wishes: wishes("Parameter."),
            url,
            username: text(&at("HTTP.Username"), ""),
            password: text(&at("HTTP.Password"), ""),
            compression: text(&at("HTTP.Compression"), ""),
            put: is(&at("HTTP.Method"), "PUT"),
            date: !is(&at("HTTP.UseDateHeader"), "0"),
            retry: is(&at("HTTP.RetryEnable"), "1").then(|| {
                (whole("HTTP.RetryMinimumWaitInterval", 5), whole("HTTP.RetryIntervalMultiplier", 2000))
            }),
            query: wishes("HTTP.RequestURIParameter.")
                .into_iter()
                .map(|wish| (wish.name, wish.reference))
                .collect(),
        };
        Some((*number, profile))
    };
    if !is("Device.BulkData.Enable", "1") {
        return Map::new();
    }
    rows("Device.BulkData.Profile.", ".Enable").iter().filter_map(profile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_becomes_profiles() {
        let kept = |list: &[(&str, &str)]| -> Map<String, String> {
            list.iter().map(|(path, text)| (format!("{ROOT}{path}"), (*text).to_owned())).collect()
        };
        let mut list = vec![
            ("Enable", "1"),
            ("Profile.3.Enable", "1"),
            ("Profile.3.Protocol", "HTTP"),
            ("Profile.3.EncodingType", "CSV"),
            ("Profile.3.ReportingInterval", "1"),
            ("Profile.3.TimeReference", "2023-11-14T22:00:00Z"),
            ("Profile.3.CSVEncoding.ReportFormat", "ParameterPerRow"),
            ("Profile.3.CSVEncoding.RowTimestamp", "None"),
            ("Profile.3.HTTP.URL", "http://c.example/"),
            ("Profile.3.HTTP.RetryEnable", "1"),
            ("Profile.3.HTTP.RequestURIParameter.1.Name", "ct"),
            ("Profile.3.HTTP.RequestURIParameter.1.Reference", "Device.Time.CurrentLocalTime"),
            ("Profile.3.Parameter.10.Reference", "Device.B"),
            ("Profile.3.Parameter.2.Name", "a"),
            ("Profile.3.Parameter.2.Reference", "Device.A."),
            ("Profile.3.Parameter.2.Exclude", "1"),
            ("Profile.3.Parameter.4.Reference", ""),
            ("Profile.4.Enable", "0"),
            ("Profile.5.Enable", "1"),
        ];
        let found = profiles(&kept(&list));
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [3]);
        let profile = &found[&3];
        assert_eq!((profile.interval, profile.reference), (MIN_INTERVAL, Some(1_699_999_200)));
        assert_eq!((profile.retained, profile.put, profile.date), (0, false, true));
        assert_eq!(profile.retry, Some((5, 2000)));
        assert_eq!(profile.query, [("ct".to_owned(), "Device.Time.CurrentLocalTime".to_owned())]);
        let (field, row, escape) = (",".to_owned(), "\n".to_owned(), "\"".to_owned());
        assert_eq!(profile.encoding, Encoding::Csv { per_row: true, stamp: Stamp::None, field, row, escape });
        let wish = |name: &str, reference: &str, exclude| Wish {
            name: name.to_owned(),
            reference: reference.to_owned(),
            exclude,
        };
        assert_eq!(profile.wishes, [wish("a", "Device.A.", true), wish("", "Device.B", false)]);
        list[0].1 = "0";
        assert!(profiles(&kept(&list)).is_empty());
    }
}
