//! `validate` and `dump-model`.

use std::io::Write as _;
use std::process::ExitCode;

use crate::agent::daemon::{open_model, read_settings};
use crate::agent::options::Options;
use crate::agent::vendor;
use crate::http::url::Url;
use crate::model::compiled;

/// Checks everything that can be wrong before the daemon starts, and says all of it.
pub(super) fn validate(options: &Options) -> ExitCode {
    let mut complaints = Vec::new();
    match open_model(options) {
        Err(why) => complaints.push(why.0),
        Ok((mut model, mut found)) => {
            complaints.append(&mut found);
            let packages = model.backend().uci().packages();
            for package in packages.unwrap_or_default() {
                if let Err(why) = model.backend().uci().package(&package) {
                    complaints.push(match &why {
                        crate::uci::StoreError::Parse(error) => error.explain(),
                        other => other.to_string(),
                    });
                }
            }
            let settings = read_settings(model.backend());
            complaints.extend(settings.complaints);
            if settings.acs.url.is_empty() {
                complaints.push("no ACS URL: set cwmp.acs.url".to_owned());
            } else if let Err(why) = Url::parse(&settings.acs.url) {
                complaints.push(format!("cwmp.acs.url: {why}"));
            }
            if let Err(why) = model.values(["Device."]) {
                complaints.push(why.to_string());
            }
            complaints.extend(model.complaints());
        }
    }
    complaints.iter().for_each(|line| eprintln!("{line}"));
    match complaints.len() {
        0 => {
            println!("configuration and data model are in order");
            ExitCode::SUCCESS
        }
        count => {
            eprintln!("{count} complaints");
            ExitCode::FAILURE
        }
    }
}

/// One line for each object and parameter: path, kind, type, access.
pub(super) fn dump_model(options: &Options) -> ExitCode {
    let (schema, complaints) = vendor::with_vendor_files(compiled::schema(), &options.root);
    complaints.iter().for_each(|line| eprintln!("{line}"));
    let access = |write| if write { "readWrite" } else { "readOnly" };
    let mut out = std::io::stdout().lock();
    for object in schema.objects() {
        let kind = if object.is_table() { "table" } else { "object" };
        let _ = writeln!(out, "{}\t{kind}\t\t{}", object.path, access(object.add || object.delete));
        for param in object.params.iter() {
            let kind = param.ty.kind.name();
            let kind = if param.ty.list { format!("list({kind})") } else { kind.to_owned() };
            let _ =
                writeln!(out, "{}{}\tparameter\t{kind}\t{}", object.path, param.name, access(param.write));
        }
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
