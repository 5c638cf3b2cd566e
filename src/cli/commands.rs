//! `-c`: icwmp's commands on the data model, with icwmp's words on stdout and faults on stderr: a line that is
//! icwmp's to the letter, and below it one of ours that says what is wrong.
//!
//! The daemon performs them when it runs, over ubus; without it they are performed here, and the services
//! are told of what has changed.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::agent::apply;
use crate::agent::commands::{self, Command, OBJECT};
use crate::agent::daemon::{open_model, read_settings};
use crate::agent::options::Options;
use crate::agent::{lock, vendor};
use crate::backend::System;
use crate::cwmp::fault::{self, Fault};
use crate::model::Model;
use crate::ubus::blobmsg::{Table, Value};
use crate::ubus::client::{CallError, Client};

/// How long the daemon may take: a change waits for the end of a session.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long ubusd may take to say who is there; one that hangs is as if there were none.
const REACH: Duration = Duration::from_secs(5);
/// The most answers that one list is made of.
const MAX_PAGES: usize = 1024;
/// How often a list is begun anew that has changed under its reader.
const MAX_STARTS: usize = 4;
/// The notifications by their numbers, as icwmp names them.
const NOTIFICATIONS: [&str; 7] =
    ["off", "passive", "active", "passive_lw", "passive_passive_lw", "active_lw", "passive_active_lw"];

/// The words, their arguments, and what they do, as icwmpd lists them.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "", "show this help"),
    ("get", "[path-expr]", "get parameter values"),
    ("get_names", "[path-expr] [next-level]", "get parameter names"),
    ("set", "[path-expr] [value] [parameter-key]", "set parameter value"),
    ("add", "[object] [parameter-key]", "add object"),
    ("del", "[object] [parameter-key]", "delete object"),
    ("get_notif", "[path-expr]", "get parameter notifications"),
    ("set_notif", "[path-expr] [notification]", "set parameter notifications"),
];

/// Why a command came to nothing.
enum Refusal {
    /// Faults of TR-069, as the daemon answers with them.
    Fault(Table),
    /// Not a command: icwmp says so on stdout, with those that there are.
    Usage(String),
    /// The daemon, or the state directory.
    System(String),
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
        Err(Refusal::Usage(why)) => {
            let mut out = std::io::stdout().lock();
            let _ = [vec![why], help()].concat().iter().try_for_each(|line| writeln!(out, "{line}"));
            ExitCode::FAILURE
        }
        Err(why) => {
            why.lines().iter().for_each(|line| eprintln!("{line}"));
            ExitCode::FAILURE
        }
    }
}

impl Refusal {
    /// For stderr.
    fn lines(&self) -> Vec<String> {
        match self {
            Refusal::Fault(table) => fault_lines(table),
            Refusal::System(why) | Refusal::Usage(why) => vec![why.clone()],
        }
    }

    /// Arguments that the command does not take.
    fn arguments(why: impl std::fmt::Display) -> Refusal {
        Refusal::Fault(commands::refusal(&Fault::new(fault::INVALID_ARGUMENTS, why)))
    }
}

fn perform(options: &Options, words: &[String]) -> Result<Vec<String>, Refusal> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut who = Who::find(options);
    match words.as_slice() {
        ["get", path @ ..] if path.len() <= 1 => who.list(get(or_all(path)), "parameters", |entry| {
            format!("{} => {}", text(entry, "parameter"), text(entry, "value"))
        }),
        ["get_names", arguments @ ..] if arguments.len() <= 2 => {
            let next_level =
                matches!(arguments, [_, word] if *word == "1" || word.eq_ignore_ascii_case("true"));
            let command = Command::Names { path: or_all(arguments).to_owned(), next_level, from: None };
            who.list(command, "names", |entry| {
                let word = if entry.flag("writable") { "writable" } else { "not-writable" };
                format!("{} => {word}", text(entry, "name"))
            })
        }
        ["set", path, value, key @ ..] if key.len() <= 1 => {
            let values = vec![((*path).to_owned(), (*value).to_owned())];
            who.ask(&Command::Set { values, key: owned(key) })?;
            // As it was given, like icwmp: that the system shows it is seen to before the change is done.
            Ok(vec!["Set value is successfully done".to_owned(), format!("{path} => {value}")])
        }
        ["add", object, key @ ..] if key.len() <= 1 => {
            let answer = who.ask(&Command::Add { object: (*object).to_owned(), key: owned(key) })?;
            Ok(vec![format!("Added {object}{}.", answer.number("instance").unwrap_or_default())])
        }
        ["del", object, key @ ..] if key.len() <= 1 => {
            who.ask(&Command::Del { object: (*object).to_owned(), key: owned(key) })?;
            Ok(vec![format!("Deleted {object}")])
        }
        ["get_notif", path @ ..] if path.len() <= 1 => notifications(&mut who, or_all(path)),
        ["set_notif", path, number] => {
            let bad = |_| Refusal::arguments(format_args!("{number:?} is no notification"));
            let notification = Some(number.parse().map_err(bad)?);
            who.list(attributes(path, notification), "attributes", |_| String::new())?;
            Ok(vec![format!("{path} => {number}")])
        }
        ["help"] => Ok(help()),
        [known, ..] => match COMMANDS.iter().find(|(name, ..)| name == known) {
            Some((name, arguments, _)) => Err(Refusal::arguments(format_args!("{name} takes {arguments}"))),
            None => Err(Refusal::Usage(format!("Wrong cwmp cli command: {known}"))),
        },
        [] => Err(Refusal::Usage("You must add a command as input: \n".to_owned())),
    }
}

fn notifications(who: &mut Who<'_>, path: &str) -> Result<Vec<String>, Refusal> {
    who.list(attributes(path, None), "attributes", |entry| {
        let number = entry.number("notification").and_then(|number| usize::try_from(number).ok());
        let word = number.and_then(|number| NOTIFICATIONS.get(number)).copied().unwrap_or("off");
        format!("{} => {word}", text(entry, "parameter"))
    })
}

/// Who performs commands: the daemon, or this process.
struct Who<'o> {
    options: &'o Options,
    daemon: Option<Client>,
}

impl<'o> Who<'o> {
    fn find(options: &'o Options) -> Who<'o> {
        let client = options.ubus_socket().ok().and_then(|path| Client::connect(&path, REACH).ok());
        let daemon = client.and_then(|mut client| client.list(Some(OBJECT), REACH).ok().map(|_| client));
        Who { options, daemon }
    }

    fn ask(&mut self, command: &Command) -> Result<Table, Refusal> {
        let answer = match &mut self.daemon {
            Some(client) => {
                let (method, arguments) = command.call();
                match client.call(OBJECT, method, &arguments, PATIENCE) {
                    Ok(answers) => answers.into_iter().next().unwrap_or_default(),
                    // It has ended meanwhile, and has done nothing.
                    Err(CallError::NoObject(_)) => {
                        self.daemon = None;
                        self.here(command)?
                    }
                    Err(why) => return Err(Refusal::System(format!("the daemon: {why}"))),
                }
            }
            None => self.here(command)?,
        };
        if answer.get("fault").is_some() { Err(Refusal::Fault(answer)) } else { Ok(answer) }
    }

    /// Without the daemon, which remembers instance numbers: nobody else may change them under it.
    fn here(&self, command: &Command) -> Result<Table, Refusal> {
        if let Some(name) = test_asked_for(command) {
            return Err(Refusal::System(format!("{name}: tests are run by the daemon, which does not run")));
        }
        let system = |why: &dyn std::fmt::Display| Refusal::System(why.to_string());
        let alone = command.changes().then(|| lock::take(&self.options.state_dir()));
        let _alone = alone.transpose().map_err(|why| match why {
            lock::LockError::Taken(_) => Refusal::System(format!("{why}, or let it be on ubus")),
            other => system(&other),
        })?;
        let mut model = open(self.options)?;
        // What the daemon would make of the same names.
        let settings = read_settings(model.backend()).map_err(Refusal::System)?;
        vendor::configure(&mut model, &settings).iter().for_each(|line| eprintln!("{line}"));
        let answer = commands::perform(&mut model, command);
        let more = model.backend().take_complaints();
        model.complaints().iter().chain(&more).for_each(|line| eprintln!("{line}"));
        // A daemon that runs and is not on ubus tells its own.
        if command.changes() {
            let root = &self.options.root;
            let (told, untold) = apply::tell_once(model.backend(), root);
            if !untold.is_empty() {
                let untold = untold.join(" ");
                eprintln!("procd was not told of {untold}: the agent tells it when it starts");
            }
            for mut child in told.into_iter().chain(apply::fulfil(model.backend(), root)) {
                let _ = child.wait();
            }
        }
        Ok(answer)
    }

    /// A whole list, however many answers it takes.
    fn list(
        &mut self,
        mut command: Command,
        name: &str,
        line: impl Fn(&Table) -> String,
    ) -> Result<Vec<String>, Refusal> {
        let mut lines = Vec::new();
        let mut starts = 1;
        for _ in 0..MAX_PAGES {
            let answer = match self.ask(&command) {
                Err(Refusal::Fault(table)) if table.flag("gone") && starts < MAX_STARTS => {
                    starts += 1;
                    lines.clear();
                    command.start_again();
                    continue;
                }
                other => other?,
            };
            lines.extend(entries(&answer, name).map(&line));
            if !command.go_on(&answer) {
                return Ok(lines);
            }
        }
        Err(Refusal::System("the list does not end".to_owned()))
    }
}

/// The diagnostic that a command would request.
fn test_asked_for(command: &Command) -> Option<&str> {
    let Command::Set { values, .. } = command else { return None };
    let asked =
        |(name, value): &&(String, String)| name.ends_with(".DiagnosticsState") && value == "Requested";
    values.iter().find(asked).map(|(name, _)| name.as_str())
}

/// Without a path, icwmp takes all there is.
fn or_all<'w>(arguments: &[&'w str]) -> &'w str {
    arguments.first().copied().unwrap_or_default()
}

fn get(path: &str) -> Command {
    Command::Get { paths: vec![path.to_owned()], from: None }
}

fn attributes(path: &str, notification: Option<i64>) -> Command {
    Command::Attributes { path: path.to_owned(), notification, from: None }
}

fn owned(key: &[&str]) -> Option<String> {
    key.first().map(|key| (*key).to_owned())
}

fn entries<'t>(answer: &'t Table, name: &str) -> impl Iterator<Item = &'t Table> {
    answer.array(name).iter().filter_map(Value::as_table)
}

fn text(entry: &Table, name: &str) -> String {
    entry.text(name).map(|text| text.into_owned()).unwrap_or_default()
}

fn help() -> Vec<String> {
    let line = |(name, arguments, what): &(&str, &str, &str)| {
        format!("\t{:<40}=> {what}", format!("{name} {arguments}").trim_end())
    };
    ["Valid commands:".to_owned()].into_iter().chain(COMMANDS.iter().map(line)).collect()
}

fn open(options: &Options) -> Result<Model<System>, Refusal> {
    let (model, complaints) = open_model(options).map_err(|why| Refusal::System(why.0))?;
    complaints.iter().for_each(|line| eprintln!("{line}"));
    Ok(model)
}

/// `Fault 9005: Invalid parameter name`, as icwmp says it, and what of it was not in order, if that is known.
fn fault_lines(answer: &Table) -> Vec<String> {
    // A parameter's own fault says more than that of the whole call.
    let told = entries(answer, "parameters").next().unwrap_or(answer);
    let number = told.number("fault").unwrap_or_default();
    let (known, why) = (u16::try_from(number).map_or("", fault::text), text(told, "fault_string"));
    if known.is_empty() {
        return vec![format!("Fault {number}: {why}")];
    }
    let more = why.strip_prefix(known).map_or(why.as_str(), |rest| rest.trim_start_matches([':', ' ']));
    let more = Some(more).filter(|more| !more.is_empty()).map(|more| format!("rcwmpd: {more}"));
    [format!("Fault {number}: {known}")].into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_is_a_test() {
        let set = |name: &str, value: &str| Command::Set {
            values: vec![("A.B".to_owned(), "x".to_owned()), (name.to_owned(), value.to_owned())],
            key: None,
        };
        let ping = "Device.IP.Diagnostics.IPPing.DiagnosticsState";
        assert_eq!(test_asked_for(&set(ping, "Requested")), Some(ping));
        assert_eq!(test_asked_for(&set(ping, "Canceled")), None);
        assert_eq!(test_asked_for(&set("Device.X.Name", "Requested")), None);
        assert_eq!(test_asked_for(&get(ping)), None);
    }

    /// icwmp's six texts, word for word: its scripts compare the line.
    #[test]
    fn a_fault_is_told_in_icwmp_s_words() {
        let check = |code: i32, why: &str, lines: &[&str]| {
            let table = Table::new().with("fault", code).with("fault_string", why);
            assert_eq!(fault_lines(&table), lines);
            // The parameter's own fault is told, not that of the call.
            let whole = Table::new().with("fault", 9003).with("fault_string", "Invalid arguments");
            assert_eq!(fault_lines(&whole.with("parameters", vec![Value::Table(table)])), lines);
        };
        check(9002, "Internal error", &["Fault 9002: Internal error"]);
        check(9003, "Invalid arguments: x", &["Fault 9003: Invalid arguments", "rcwmpd: x"]);
        check(9005, "Invalid parameter name: x: y", &["Fault 9005: Invalid parameter name", "rcwmpd: x: y"]);
        check(9007, "else", &["Fault 9007: Invalid parameter value", "rcwmpd: else"]);
        check(9008, "", &["Fault 9008: Attempt to set a non-writable parameter"]);
        check(9009, "Notification request rejected", &["Fault 9009: Notification request rejected"]);
        check(9800, "vendor", &["Fault 9800: vendor"]);
    }

    /// The list of the seed; the keys are icwmpd's too, and not in it.
    #[test]
    fn the_help_is_icwmpd_s() {
        let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let told: Vec<String> = help().iter().map(words).collect();
        let seed = [
            "Valid commands:",
            "help => show this help",
            "get [path-expr] => get parameter values",
            "get_names [path-expr] [next-level] => get parameter names",
            "set [path-expr] [value] => set parameter value",
            "add [object] => add object",
            "del [object] => delete object",
            "get_notif [path-expr] => get parameter notifications",
            "set_notif [path-expr] [notification] => set parameter notifications",
        ];
        let without_keys: Vec<String> =
            told.iter().map(|line| line.replace(" [parameter-key]", "")).collect();
        assert_eq!(without_keys, seed);
    }
}
