//! Reports of bulk data, and how they are written (TR-069 Annex N). Pure.

use std::sync::Arc;

use crate::backend::functions::bulkdata::{Encoding, Stamp};
use crate::map::Map;
use crate::model::date;
use crate::model::value::{Kind, Value};

/// What an item costs beside its texts, in octets.
const ITEM: usize = 64;

/// What was found at the end of an interval.
#[derive(Debug, Default)]
pub struct Report {
    /// Later ones have greater numbers.
    pub serial: u32,
    /// When, in seconds since 1970.
    pub time: i64,
    /// In the order of the profile.
    pub items: Vec<Item>,
    /// What it takes, in octets: here, and at most about that when it is written.
    pub cost: usize,
}

/// A parameter in a report.
#[derive(Debug)]
pub struct Item {
    /// As the profile calls it.
    pub name: String,
    /// As it was.
    pub value: Value,
}

impl Report {
    /// Adds a parameter.
    pub fn add(&mut self, item: Item) {
        // As JSON has them, six octets for one.
        let controls = item.value.text.bytes().filter(u8::is_ascii_control).count();
        self.cost += ITEM + item.name.len() + item.value.text.len() + 5 * controls;
        self.items.push(item);
    }
}

/// Reports of one profile as one text, the oldest first.
pub fn encode(reports: &[Arc<Report>], encoding: &Encoding) -> String {
    let mut out = String::new();
    match encoding {
        Encoding::Json { hierarchy, stamp } => {
            out += "{\"Report\":[";
            for (at, report) in reports.iter().enumerate() {
                out += if at > 0 { "," } else { "" };
                json(&mut out, report, *hierarchy, *stamp);
            }
            out += "]}";
        }
        Encoding::Csv { per_row, stamp, field, row, escape } => {
            let mut table = Table { out, separators: [field, row, escape], stamp: *stamp };
            if *per_row {
                table.by_rows(reports)
            } else {
                table.by_columns(reports)
            }
            out = table.out;
        }
    }
    out
}

fn stamped(stamp: Stamp, time: i64) -> Option<String> {
    match stamp {
        Stamp::Epoch => Some(time.to_string()),
        Stamp::Iso => Some(date::format_utc(time)),
        Stamp::None => None,
    }
}

/// One report: an object of names and values, or an object for each object of the model.
fn json(out: &mut String, report: &Report, hierarchy: bool, stamp: Stamp) {
    // What belongs to one object stands together, with instances in their order.
    let mut items: Vec<&Item> = report.items.iter().collect();
    items.sort_by_cached_key(|item| {
        item.name.split('.').map(|part| (part.parse().unwrap_or(u32::MAX), part)).collect::<Vec<_>>()
    });
    out.push('{');
    let mut first = true;
    if let Some(time) = stamped(stamp, report.time) {
        let quote = if stamp == Stamp::Iso { "\"" } else { "" };
        *out += &format!("\"CollectionTime\":{quote}{time}{quote}");
        first = false;
    }
    let (mut open, mut last): (Vec<&str>, Option<Vec<&str>>) = (Vec::new(), None);
    for Item { name, value } in items {
        let path: Vec<&str> = if hierarchy { name.split('.').collect() } else { vec![name] };
        // A name that stands there already, or where a value is instead of an object.
        let taken = last.as_ref().is_some_and(|last| path.starts_with(last));
        let Some((leaf, folders)) = path.split_last().filter(|_| !taken) else { continue };
        if stamp != Stamp::None && path == ["CollectionTime"] {
            continue;
        }
        let same = open.iter().zip(folders).take_while(|(a, b)| a == b).count();
        for _ in same..open.len() {
            out.push('}');
            first = false;
        }
        for folder in &folders[same..] {
            member(out, folder, &mut first);
            out.push('{');
            first = true;
        }
        open = folders.to_vec();
        member(out, leaf, &mut first);
        let text = value.text.as_str();
        match value.kind {
            Kind::Boolean => *out += if text == "1" { "true" } else { "false" },
            Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong if is_number(text) => {
                *out += text
            }
            _ => quoted(out, text),
        }
        last = Some(path);
    }
    *out += &"}".repeat(open.len() + 1);
}

fn member(out: &mut String, name: &str, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
    quoted(out, name);
    out.push(':');
}

fn quoted(out: &mut String, text: &str) {
    *out += &serde_json::Value::from(text).to_string();
}

/// Whether JSON takes it for a number: a whole one without zeros before it.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let zero = digits.starts_with('0') && digits.len() > 1;
    !digits.is_empty() && !zero && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// CSV as RFC 4180 has it, with separators of the profile's choice.
struct Table<'e> {
    out: String,
    /// Of fields and of rows, and what stands around and before what must not be taken for them.
    separators: [&'e str; 3],
    stamp: Stamp,
}

impl Table<'_> {
    fn by_rows(&mut self, reports: &[Arc<Report>]) {
        self.line(None, &["ParameterName", "ParameterValue", "ParameterType"]);
        for report in reports {
            for Item { name, value } in &report.items {
                self.line(Some(report.time), &[name, &value.text, value.kind.name()]);
            }
        }
    }

    /// A column for each name that any of them has: one header must do for all.
    fn by_columns(&mut self, reports: &[Arc<Report>]) {
        let (mut columns, mut names) = (Map::new(), Vec::new());
        for item in reports.iter().flat_map(|report| &report.items) {
            columns.or_insert_with(item.name.as_str(), || {
                names.push(item.name.as_str());
                names.len() - 1
            });
        }
        self.line(None, &names);
        for report in reports {
            let mut row = vec![""; names.len()];
            // Of one name the first counts, as in JSON.
            for item in report.items.iter().rev() {
                row[columns[&item.name.as_str()]] = &item.value.text;
            }
            self.line(Some(report.time), &row);
        }
    }

    /// A row; without a time it is the header.
    fn line(&mut self, time: Option<i64>, fields: &[&str]) {
        let [separator, end, escape] = self.separators;
        let stamp = match time {
            Some(time) => stamped(self.stamp, time),
            None => (self.stamp != Stamp::None).then(|| "ReportTimestamp".to_owned()),
        };
        for (at, field) in stamp.as_deref().into_iter().chain(fields.iter().copied()).enumerate() {
            self.out += if at > 0 { separator } else { "" };
            let special = [separator, end, escape, "\r", "\n"];
            if special.iter().any(|special| field.contains(special)) {
                let inside = field.replace(escape, &escape.repeat(2));
                self.out.extend([escape, &inside, escape]);
            } else {
                self.out += field;
            }
        }
        self.out += end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(time: i64, items: &[(&str, Kind, &str)]) -> Arc<Report> {
        let mut report = Report { time, ..Report::default() };
        for (name, kind, text) in items {
            report.add(Item { name: (*name).to_owned(), value: Value::new(*kind, *text) });
        }
        Arc::new(report)
    }

    fn json_of(reports: &[Arc<Report>], hierarchy: bool, stamp: Stamp) -> String {
        let text = encode(reports, &Encoding::Json { hierarchy, stamp });
        let _: serde_json::Value = serde_json::from_str(&text).unwrap();
        text
    }

    fn csv_of(reports: &[Arc<Report>], per_row: bool, stamp: Stamp, separators: [&str; 3]) -> String {
        let [field, row, escape] = separators.map(str::to_owned);
        encode(reports, &Encoding::Csv { per_row, stamp, field, row, escape })
    }

    #[test]
    fn json_keeps_types() {
        let one = report(
            1_364_529_149,
            &[
                ("Device.A.B", Kind::UnsignedLong, "18446744073709551615"),
                ("Device.A.C", Kind::Boolean, "1"),
                ("Device.A.D", Kind::Boolean, "0"),
                ("Device.A.E", Kind::Int, "-5"),
                ("Device.A.F", Kind::String, "a\"\u{1}\\ü"),
                ("Device.A.G", Kind::UnsignedInt, ""),
                ("Device.A.H", Kind::UnsignedInt, "007"),
                ("Device.A.I", Kind::DateTime, "2013-03-29T03:59:09Z"),
            ],
        );
        assert_eq!(
            json_of(&[one], false, Stamp::Epoch),
            "{\"Report\":[{\"CollectionTime\":1364529149,\"Device.A.B\":18446744073709551615,\
             \"Device.A.C\":true,\"Device.A.D\":false,\"Device.A.E\":-5,\"Device.A.F\":\"a\\\"\\u0001\\\\ü\",\
             \"Device.A.G\":\"\",\"Device.A.H\":\"007\",\"Device.A.I\":\"2013-03-29T03:59:09Z\"}]}"
        );
    }

    #[test]
    fn json_as_a_hierarchy() {
        let number = |name: &'static str, text: &'static str| (name, Kind::UnsignedInt, text);
        let one = report(
            0,
            &[
                number("Device.M.I.10.S.A", "1"),
                number("Device.M.I.2.S.A", "2"),
                number("Device.M.N", "3"),
                number("Device.M.I.10.S.B", "4"),
                number("short", "5"),
                number("short.too", "6"),
                number("Device.M.N", "7"),
            ],
        );
        assert_eq!(
            json_of(&[one, report(0, &[])], true, Stamp::None),
            "{\"Report\":[{\"Device\":{\"M\":{\"I\":{\"2\":{\"S\":{\"A\":2}},\"10\":{\"S\":{\"A\":1,\"B\":4}}},\
             \"N\":3}},\"short\":5},{}]}"
        );
        let iso = json_of(&[report(1_364_529_149, &[number("CollectionTime", "9")])], true, Stamp::Iso);
        assert_eq!(iso, "{\"Report\":[{\"CollectionTime\":\"2013-03-29T03:52:29Z\"}]}");
    }

    #[test]
    fn csv_by_rows() {
        let one = report(
            7,
            &[("a.b", Kind::UnsignedLong, "1"), ("c", Kind::String, "x,\"y\""), ("d", Kind::Boolean, "1")],
        );
        assert_eq!(
            csv_of(&[one], true, Stamp::Epoch, [",", "\r\n", "\""]),
            "ReportTimestamp,ParameterName,ParameterValue,ParameterType\r\n7,a.b,1,unsignedLong\r\n\
             7,c,\"x,\"\"y\"\"\",string\r\n7,d,1,boolean\r\n"
        );
        let other = report(7, &[("a", Kind::String, "p;q")]);
        assert_eq!(
            csv_of(&[other], true, Stamp::None, [";", "|", "'"]),
            "ParameterName;ParameterValue;ParameterType|a;'p;q';string|"
        );
    }

    #[test]
    fn csv_by_columns_has_one_header_for_all() {
        let before = report(1, &[("a", Kind::Int, "1"), ("b", Kind::String, "x\ny"), ("a", Kind::Int, "9")]);
        let now = report(2, &[("c", Kind::Int, "3"), ("a", Kind::Int, "2")]);
        assert_eq!(
            csv_of(&[before, now], false, Stamp::Epoch, [",", "\n", "\""]),
            "ReportTimestamp,a,b,c\n1,1,\"x\ny\",\n2,2,,3\n"
        );
    }
}
