//! `validate` and `dump-model`.

use std::io::Write as _;
use std::process::ExitCode;

use crate::agent::daemon::{open_model, read_settings};
use crate::agent::exchange::check_tls;
use crate::agent::offers;
use crate::agent::options::Options;
use crate::agent::vendor;
use crate::http::url::Url;
use crate::model::compiled;
use crate::uci::StoreError;

/// Checks everything that can be wrong before the daemon starts, and says all of it.
pub(super) fn validate(options: &Options) -> ExitCode {
    let mut complaints = Vec::new();
    match open_model(options) {
        Err(why) => complaints.push(why.0),
        Ok((mut model, mut found)) => {
            complaints.append(&mut found);
            // What the model then cannot show is a consequence and not said again.
            let mut broken = Vec::new();
            match model.backend().uci().packages() {
                Err(why) => complaints.push(why.to_string()),
                Ok(packages) => {
                    for package in packages {
                        let Err(why) = model.backend().uci().package(&package) else { continue };
                        broken.push(why.to_string());
                        complaints.push(match &why {
                            StoreError::Parse(error) => error.explain(),
                            other => other.to_string(),
                        });
                    }
                }
            }
            let mut found = Vec::new();
            match read_settings(model.backend()) {
                Err(why) => found.push(why),
                Ok(settings) => {
                    found.extend(vendor::configure(&mut model, &settings));
                    found.extend(vendor::check_notifications(model.backend(), &settings));
                    found.extend(settings.complaints);
                    let offers = offers::read(&options.root, &settings.discovery.wan);
                    if settings.discovery.has_say {
                        found.extend(offers.complaints);
                    }
                    match Url::parse(&settings.acs.url) {
                        _ if settings.acs.url.is_empty() && offers.offer.url.is_some() => {}
                        _ if settings.acs.url.is_empty() => found.push("no ACS URL: set cwmp.acs.url".into()),
                        Err(why) => found.push(format!("cwmp.acs.url: {why}")),
                        Ok(_) => found.extend(check_tls(&settings.acs, &options.root).err()),
                    }
                }
            }
            found.extend(model.values(["Device."]).err().map(|why| why.to_string()));
            found.extend(model.complaints());
            complaints.extend(found.into_iter().filter(|line| !broken.iter().any(|why| line.contains(why))));
        }
    }
    complaints.iter().for_each(|line| eprintln!("{line}"));
    match complaints.len() {
        0 => {
            let _ = writeln!(std::io::stdout(), "configuration and data model are in order");
            ExitCode::SUCCESS
        }
        count => {
            eprintln!("{count} complaint{}", if count == 1 { "" } else { "s" });
            ExitCode::FAILURE
        }
    }
}

/// One line for each object and parameter: path, kind, type, access; of a parameter its values, with `|` between
/// them, and the notification it has before the ACS asks, in TR-181's words.
pub(super) fn dump_model(options: &Options) -> ExitCode {
    let (schema, complaints) = vendor::with_vendor_files(compiled::schema(), &options.root, "");
    complaints.iter().for_each(|line| eprintln!("{line}"));
    let access = |write| if write { "readWrite" } else { "readOnly" };
    let mut out = std::io::stdout().lock();
    for object in schema.objects() {
        let kind = if object.is_table() { "table" } else { "object" };
        let _ = writeln!(out, "{}\t{kind}\t\t{}\t\t", object.path, access(object.add || object.delete));
        for param in object.params.iter() {
            let kind = param.ty.kind.name();
            let kind = if param.ty.list { format!("list({kind})") } else { kind.to_owned() };
            let (access, values) = (access(param.write), param.ty.values.join("|"));
            let (path, notify) = (format!("{}{}", object.path, param.name), param.notify.name());
            let _ = writeln!(out, "{path}\tparameter\t{kind}\t{access}\t{values}\t{notify}");
        }
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
