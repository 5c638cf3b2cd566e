//! `-c`: icwmp's commands on the data model, with icwmp's words on stdout and faults on stderr.

use std::io::Write as _;
use std::process::ExitCode;

use crate::agent::daemon::open_model;
use crate::agent::lock;
use crate::agent::options::Options;
use crate::backend::System;
use crate::cwmp::fault::Fault;
use crate::model::value::Input;
use crate::model::{Error, Model};

/// The words, their arguments, and what they do.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("get", "PATH", "values of a parameter, or of all below a partial path"),
    ("get_names", "PATH [1|true]", "names below a path, only the next level if asked"),
    ("set", "PATH VALUE [KEY]", "sets a parameter"),
    ("add", "OBJECT [KEY]", "adds an instance to a table"),
    ("del", "OBJECT [KEY]", "deletes an instance"),
    ("help", "", "this list"),
];

/// Why a command came to nothing.
enum Refusal {
    /// The data model's word.
    Model(Error),
    /// Not a command, or not its arguments.
    Usage(String),
    /// The daemon, or the state directory.
    System(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Model(error)
    }
}

/// Runs one command: its words, first its name.
pub(super) fn run(options: &Options, words: &[String]) -> ExitCode {
    match perform(options, words) {
        Ok(lines) => {
            // A reader that has seen enough (`| head`) is no error of ours.
            let mut out = std::io::stdout().lock();
            let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
            ExitCode::SUCCESS
        }
        Err(Refusal::Model(error)) => {
            for line in faults(&error) {
                eprintln!("{line}");
            }
            ExitCode::FAILURE
        }
        Err(Refusal::System(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
        Err(Refusal::Usage(why)) => {
            eprintln!("{why}");
            help().iter().for_each(|line| eprintln!("{line}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(options: &Options, words: &[String]) -> Result<Vec<String>, Refusal> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get", path] => {
            let mut model = open(options)?;
            let values = model.values([*path])?;
            Ok(values.into_iter().map(|(name, value)| format!("{name} => {}", value.text)).collect())
        }
        ["get_names", path, level @ ..] if level.len() <= 1 => {
            let next = matches!(level, ["1" | "true"]);
            let names = open(options)?.names(path, next)?;
            let word = |writable| if writable { "writable" } else { "not-writable" };
            Ok(names.into_iter().map(|(name, writable)| format!("{name} => {}", word(writable))).collect())
        }
        ["set", path, value, key @ ..] if key.len() <= 1 => changing(options, |model| {
            let input = Input { text: (*value).to_owned(), ..Input::default() };
            model.set(&[((*path).to_owned(), input)], key.first().copied())?;
            let now = model.values([*path])?;
            let mut lines = vec!["Set value is successfully done".to_owned()];
            lines.extend(now.into_iter().map(|(name, value)| format!("{name} => {}", value.text)));
            Ok(lines)
        }),
        ["add", object, key @ ..] if key.len() <= 1 => changing(options, |model| {
            let number = model.add(object, key.first().copied())?;
            Ok(vec![format!("Added {object}{number}.")])
        }),
        ["del", object, key @ ..] if key.len() <= 1 => changing(options, |model| {
            model.delete(object, key.first().copied())?;
            Ok(vec![format!("Deleted {object}")])
        }),
        ["help"] => Ok(help()),
        [known, ..] if COMMANDS.iter().any(|(name, ..)| name == known) => {
            Err(Refusal::Usage(format!("Wrong arguments for cwmp cli command: {known}")))
        }
        [other, ..] => Err(Refusal::Usage(format!("Wrong cwmp cli command: {other}"))),
        [] => Err(Refusal::Usage("Wrong cwmp cli command: (none)".to_owned())),
    }
}

fn help() -> Vec<String> {
    let line = |(name, arguments, what): &(&str, &str, &str)| {
        format!("  {:<28} {what}", format!("{name} {arguments}").trim_end())
    };
    ["Valid commands:".to_owned()].into_iter().chain(COMMANDS.iter().map(line)).collect()
}

fn open(options: &Options) -> Result<Model<System>, Refusal> {
    let (model, complaints) = open_model(options).map_err(|why| Refusal::System(why.0))?;
    complaints.iter().for_each(|line| eprintln!("{line}"));
    Ok(model)
}

/// Runs a change. The daemon remembers instance numbers, so nobody else may change them under it.
fn changing(
    options: &Options,
    change: impl FnOnce(&mut Model<System>) -> Result<Vec<String>, Error>,
) -> Result<Vec<String>, Refusal> {
    let _alone = lock::take(&options.state_dir()).map_err(|why| Refusal::System(why.to_string()))?;
    Ok(change(&mut open(options)?)?)
}

/// `Fault 9005: Invalid parameter name`, a line for each bad parameter.
fn faults(error: &Error) -> Vec<String> {
    let fault = Fault::from(error);
    if fault.parameters.is_empty() {
        return vec![format!("Fault {}: {}", fault.code, fault.string)];
    }
    fault.parameters.iter().map(|one| format!("Fault {}: {}", one.code, one.string)).collect()
}
