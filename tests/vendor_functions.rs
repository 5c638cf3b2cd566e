//! A vendor file that names what this agent does not have is refused when it is loaded, with its place.
#![allow(clippy::unwrap_used)]

use std::fs;

use rcwmp::agent::vendor::{DIRECTORY, with_vendor_files};
use rcwmp::model::compiled;
use rcwmp::sys::fs::Root;

fn complaints(text: &str) -> (usize, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(DIRECTORY.trim_start_matches('/'));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("x.json"), text).unwrap();
    let (schema, complaints) = with_vendor_files(compiled::schema(), &Root::new(dir.path()), "");
    (schema.objects().iter().filter(|object| object.path.contains("X_T")).count(), complaints)
}

#[test]
fn what_is_not_there_is_refused_with_its_place() {
    let file = |rows: &str, source: &str| {
        format!(
            "{{\"objects\": [\n{{\"object\":\"Device.X_T.\"}},\n{{\"object\":\"Device.X_T.Row.{{i}}.\", \"rows\":{{{rows}}}, \"params\":[\n\
             {{\"name\":\"Good\", \"type\":\"string\", \"row\":\"name\"}},\n{{\"name\":\"P\", \"type\":\"string\", {source}}}\n]}}]}}\n"
        )
    };
    let good = r#""fn":"fixed:256""#;
    assert_eq!(complaints(&file(good, r#""fn":"device_uptime""#)), (2, Vec::new()));
    for (rows, source, place, why) in [
        (
            r#""fn":"fixed:257""#,
            r#""const":"""#,
            "x.json:3:",
            "fixed:257 is not a number of rows from 0 to 256",
        ),
        (r#""fn":"nothing:1""#, r#""const":"""#, "x.json:3:", "there is no function \"nothing\" for tables"),
        (good, r#""fn":"nothing:1""#, "x.json:5:", "P: there is no function \"nothing\" for parameters"),
        (good, r#""fn":"fixed""#, "x.json:5:", "P: there is no function \"fixed\" for parameters"),
        (good, r#""uci":"x.y.z", "via":"nothing""#, "x.json:5:", "P: there is no conversion \"nothing\""),
    ] {
        let (objects, told) = complaints(&file(rows, source));
        assert_eq!(objects, 0, "{why}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(place) && told[0].contains(why), "{}", told[0]);
        assert!(told[0].contains("the file is skipped"), "{}", told[0]);
    }
}
