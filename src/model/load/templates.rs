//! Templates of data model files: parameter lines that several objects share, and that other templates may build on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{File, LoadError, MAX_ROWS, RawParam, too_many};

/// How deep templates may use one another.
const MAX_DEPTH: usize = 8;

/// Parameter lines that several objects share.
#[derive(Debug, Clone, Default)]
pub struct Templates(BTreeMap<String, Vec<RawParam>>);

/// The templates of a file as they stand there: parameters, and `{"template": …}` for those of another one.
pub(super) type Pieces<'t> = BTreeMap<String, Vec<&'t RawValue>>;

/// A line that stands for the parameters of a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    template: String,
    #[serde(default)]
    with: BTreeMap<String, String>,
}

/// Tells such a line from one that is a parameter.
#[derive(Deserialize)]
struct Probe {
    template: Option<IgnoredAny>,
}

fn usage<'t>(file: File<'t>, place: &'t str) -> Result<Option<Usage>, LoadError> {
    let uses = serde_json::from_str::<Probe>(place).is_ok_and(|probe| probe.template.is_some());
    if uses { file.read(place).map(Some) } else { Ok(None) }
}

impl Templates {
    /// What a line of an object's parameters stands for: itself, or the parameters of the template it names.
    ///
    /// # Errors
    /// [`LoadError`] for a line that is nothing, or names a template that is not there.
    pub(super) fn line<'t>(&self, file: File<'t>, place: &'t str) -> Result<Vec<RawParam>, LoadError> {
        match usage(file, place)? {
            Some(usage) => self.brings(&usage).map_err(|why| file.fail(place, &why)),
            None => Ok(vec![file.read(place)?]),
        }
    }

    fn brings(&self, usage: &Usage) -> Result<Vec<RawParam>, String> {
        let lines = self
            .0
            .get(&usage.template)
            .ok_or_else(|| format!("there is no template {:?}", usage.template))?;
        Ok(lines.iter().map(|line| line.filled(&usage.with)).collect())
    }

    /// Adds those of a file, and gives how many parameters they have together. They may use each other in any order,
    /// and those of files before; of two that have one name the file's own is meant.
    ///
    /// # Errors
    /// [`LoadError`] for lines that are nothing, templates that use each other in a circle or too deep, and too many.
    pub(super) fn add<'t>(&mut self, file: File<'t>, own: &Pieces<'t>) -> Result<usize, LoadError> {
        let mut reader =
            Reader { file, own, known: self, done: Templates::default(), within: Vec::new(), count: 0 };
        for name in own.keys() {
            reader.template(name)?;
        }
        let Reader { mut done, count, .. } = reader;
        self.0.append(&mut done.0);
        Ok(count)
    }
}

/// One file's templates while they are read.
struct Reader<'r, 't> {
    file: File<'t>,
    own: &'r Pieces<'t>,
    known: &'r Templates,
    done: Templates,
    /// Those that are being read, each used by the one before it.
    within: Vec<&'r str>,
    count: usize,
}

impl<'r, 't> Reader<'r, 't> {
    fn template(&mut self, name: &'r str) -> Result<(), LoadError> {
        let Some(pieces) = self.own.get(name).filter(|_| !self.done.0.contains_key(name)) else {
            return Ok(());
        };
        self.within.push(name);
        let mut lines = Vec::new();
        for piece in pieces {
            let place = piece.get();
            match usage(self.file, place)? {
                Some(usage) => lines.extend(self.used(&usage, place)?),
                None => lines.push(self.file.read(place)?),
            }
            if self.count + lines.len() > MAX_ROWS {
                return Err(self.file.fail(place, &too_many()));
            }
        }
        self.within.pop();
        self.count += lines.len();
        self.done.0.insert(name.to_owned(), lines);
        Ok(())
    }

    /// What a template brings that another one of this file names at `place`.
    fn used(&mut self, usage: &Usage, place: &str) -> Result<Vec<RawParam>, LoadError> {
        let wrong = |why: String| self.file.fail(place, &why);
        let Some((name, _)) = self.own.get_key_value(&usage.template) else {
            return self.known.brings(usage).map_err(wrong);
        };
        if self.within.contains(&name.as_str()) {
            return Err(wrong(format!("a circle of templates: {} uses {name}", self.within.join(" uses "))));
        }
        if self.within.len() >= MAX_DEPTH {
            return Err(wrong(format!("templates use one another more than {MAX_DEPTH} deep")));
        }
        self.template(name)?;
        self.done.brings(usage).map_err(|why| self.file.fail(place, &why))
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    const X: &str = r#"{"name":"X","type":"string","file":"/sys/{dev}/x"}"#;
    const Y: &str = r#"{"name":"Y","type":"string","file":"/sys/{dev}/y"}"#;

    /// The names and places of an object's parameters that come of templates, or the complaint.
    fn check(templates: &[&str], usage: &str, expected: &str) {
        let text = format!(
            "{{\"templates\":{{\n{}\n}},\n\"objects\":[{{\"object\":\"Device.\",\"params\":[{usage}]}}]}}",
            templates.join(",\n")
        );
        let got = match load("x.json", &text, &mut Templates::default()) {
            Ok(objects) => {
                let lines = objects[0].params.iter().map(|one| format!("{} {}", one.name, one.source.spec));
                lines.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn one_in_another() {
        let small = format!("\"small\":[{X}]");
        // In whichever order they stand, and as deep as it goes.
        for big in ["big", "tall"] {
            let more = format!("\"{big}\":[{{\"template\":\"small\"}},{Y}]");
            let usage = format!(r#"{{"template":"{big}","with":{{"dev":"{{}}"}}}}"#);
            check(&[&small, &more], &usage, "X /sys/{}/x, Y /sys/{}/y");
        }
        let other = r#""other":[{"template":"small","with":{"dev":"{c1}"}}]"#;
        check(&[&small, other], r#"{"template":"other","with":{"dev":"{}"}}"#, "X /sys/{c1}/x");
        check(&[&small, "\"none\":[]"], r#"{"template":"none"}"#, "");
    }

    #[test]
    fn of_a_file_before() {
        let mut templates = Templates::default();
        let first = format!(r#"{{"templates":{{"a":[{X}],"b":[{Y}]}}}}"#);
        load("first.json", &first, &mut templates).unwrap();
        let second = format!(
            r#"{{"templates":{{"b":[{X}],"c":[{{"template":"b"}}],"d":[{{"template":"a"}},{Y}]}},
            "objects":[{{"object":"Device.","params":[{{"template":"c"}}]}},{{"object":"Device.A.","params":[{{"template":"d"}}]}}]}}"#
        );
        let objects = load("second.json", &second, &mut templates).unwrap();
        let names = |n: usize| objects[n].params.iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!((names(0), names(1)), (vec!["X"], vec!["X", "Y"]));
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let uses = |name: &str, other: &str| format!("\"{name}\":[{{\"template\":\"{other}\"}}]");
        check(
            &[&uses("a", "b"), &uses("b", "c"), &uses("c", "a")],
            "",
            "x.json:4:6: a circle of templates: a uses b uses c uses a",
        );
        check(&[&uses("a", "a")], "", "x.json:2:6: a circle of templates: a uses a");
        check(&[&uses("a", "gone")], "", "x.json:2:6: there is no template \"gone\"");
        check(
            &[r#""a":[{"template":"b","typo":1}]"#],
            "",
            "x.json:2:27: unknown field `typo`, expected `template` or `with`",
        );
        let chain: Vec<String> = (0..9).map(|n| uses(&format!("t{n}"), &format!("t{}", n + 1))).collect();
        let last = format!("\"t9\":[{X}]");
        let mut list: Vec<&str> = chain.iter().map(String::as_str).collect();
        list.push(&last);
        check(&list, "", "x.json:9:7: templates use one another more than 8 deep");
        check(&list[3..], r#"{"template":"t3","with":{"dev":"lo"}}"#, "X /sys/lo/x");
        // Together with what it uses each is small, but there are many.
        let hundred: Vec<String> = (0..100).map(|n| X.replace("\"X\"", &format!("\"X{n}\""))).collect();
        let mut many = vec![format!("\"all\":[{}]", hundred.join(","))];
        many.extend((0..200).map(|n| uses(&format!("u{n:03}"), "all")));
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, "", "x.json:202:9: more than 20000 rows in one file");
    }
}
