//! The command line: one table of modes and flags, from which parser and help are made.
//!
//! Exit codes: 0 done, 1 refused or failed (with a line on stderr), 2 a command line nobody understands.
#![allow(clippy::disallowed_macros, reason = "this module talks to the terminal")]

mod ask;
mod check;
mod commands;
mod wish;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use self::ask::Question;
use crate::agent::daemon;
use crate::agent::options::Options;
use crate::agent::requests::Wish;
use crate::sys::fs::Root;

/// What can be asked for, with its arguments and what it does.
const MODES: &[(&str, &str)] = &[
    ("", "the daemon"),
    ("-c, --cli COMMAND [ARGUMENT]…", "one command on the data model: see `-c help`"),
    ("request-download TYPE [NAME=VALUE]…", "asks the ACS for a file, if it takes such requests"),
    (
        "kicked COMMAND [REFERER [ARG [NEXT]]]",
        "tells the ACS that the user has followed a link that kicks the device",
    ),
    ("status", "what the daemon does, from its ubus object tr069"),
    ("inform [EVENT]", "asks it for a session, with an event such as \"2 PERIODIC\""),
    ("reload", "asks it to read its configuration again"),
    ("validate", "checks configuration and data model, every complaint at once"),
    (
        "dump-model",
        "path, kind, type, access, values and notification of all that the model has, separated by tabs",
    ),
    #[cfg(feature = "lab")]
    (
        "mini-acs [ctl]",
        "an ACS on loopback that runs Oktopus services: see `mini-acs --help` and `mini-acs ctl --help`",
    ),
    #[cfg(feature = "lab")]
    (
        "lab [soak]",
        "mini-ACS, simulated router and agent, provisioned from BOOTSTRAP on: see `lab --help`, `lab soak --help`",
    ),
];

/// Flags: short, long, value, what for.
const FLAGS: &[(&str, &str, &str, &str)] = &[
    ("s", "ubus-socket", "FILE", "ubusd's socket (default /var/run/ubus/ubus.sock below the root)"),
    ("b", "boot-event", "", "the device has just booted: inform with 1 BOOT"),
    ("g", "get-rpc-methods", "", "ask the ACS for its methods in the first session"),
    ("f", "foreground", "", "log to stderr too"),
    ("", "root", "DIR", "the folder that stands for /"),
    ("", "config-dir", "DIR", "where UCI files are, below the root (default /etc/config)"),
    ("", "state-dir", "DIR", "where the agent's state is kept (default /etc/rcwmp below the root)"),
    ("h", "help", "", "this help"),
    ("v", "version", "", "the version"),
];

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Mode {
    Daemon,
    Command(Vec<String>),
    Wish(Wish),
    Ask(Question),
    Validate,
    DumpModel,
    Help,
    Version,
    #[cfg(feature = "lab")]
    Lab(Vec<OsString>),
    #[cfg(feature = "lab")]
    MiniAcs(Vec<OsString>),
}

/// Runs what `arguments` (without the program's name) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (mode, options) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("rcwmpd: {why}\nrcwmpd: see rcwmpd --help");
            return ExitCode::from(2);
        }
    };
    // A mistyped root would be a router without any settings, and get a state directory.
    if !options.root.dir().is_dir() {
        eprintln!("rcwmpd: --root: {} is not a directory", options.root.dir().display());
        return ExitCode::FAILURE;
    }
    match mode {
        Mode::Help => {
            let _ = writeln!(std::io::stdout(), "{}", help());
            ExitCode::SUCCESS
        }
        Mode::Version => {
            let _ = writeln!(std::io::stdout(), "rcwmpd {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Mode::Daemon => match daemon::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("rcwmpd: {}", why.0);
                ExitCode::FAILURE
            }
        },
        Mode::Command(words) => commands::run(&options, &words),
        Mode::Ask(question) => ask::ask(&options, &question),
        Mode::Wish(wish) => wish::leave(&options, &wish),
        Mode::Validate => check::validate(&options),
        Mode::DumpModel => check::dump_model(&options),
        #[cfg(feature = "lab")]
        Mode::Lab(arguments) => crate::lab::cli::lab(arguments),
        #[cfg(feature = "lab")]
        Mode::MiniAcs(arguments) => crate::lab::cli::mini_acs(arguments),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Mode, Options), String> {
    let mut options = Options::default();
    let mut mode = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    let text = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Short('b') | Long("boot-event") => options.boot = true,
            Short('g') | Long("get-rpc-methods") => options.get_rpc_methods = true,
            Short('f') | Long("foreground") => options.foreground = true,
            Long("root") => options.root = Root::new(directory(&mut parser)?),
            Long("config-dir") => options.config_dir = directory(&mut parser)?,
            // The other one is icwmpd's spelling.
            Short('s') | Long("ubus-socket" | "ubus_socket") => {
                options.ubus_socket = Some(directory(&mut parser)?)
            }
            Long("state-dir") => options.state_dir = Some(directory(&mut parser)?),
            Short('h') | Long("help") => mode = Some(Mode::Help),
            Short('v') | Long("version") => mode = Some(Mode::Version),
            // The rest belongs to the command, dashes included: a value may begin with one. icwmpd's help says
            // --cli, and its program knows only the other.
            Short('c') | Long("cli" | "command-input") => {
                mode = Some(Mode::Command(rest(&mut parser)?));
            }
            Value(word) if mode.is_none() => match word.to_str() {
                Some("status" | "inform" | "reload") => {
                    let words = rest(&mut parser)?;
                    mode = Some(Mode::Ask(ask::question(word.to_str().unwrap_or_default(), &words)?));
                }
                Some("request-download") => {
                    mode = Some(Mode::Wish(wish::request_download(&rest(&mut parser)?)?));
                }
                Some("kicked") => mode = Some(Mode::Wish(wish::kicked(&rest(&mut parser)?)?)),
                Some("validate") => mode = Some(Mode::Validate),
                Some("dump-model") => mode = Some(Mode::DumpModel),
                #[cfg(feature = "lab")]
                Some("lab") => mode = Some(Mode::Lab(parser.raw_args().map_err(text)?.collect())),
                #[cfg(feature = "lab")]
                Some("mini-acs") => mode = Some(Mode::MiniAcs(parser.raw_args().map_err(text)?.collect())),
                _ => return Err(format!("there is no mode {word:?}")),
            },
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok((mode.unwrap_or(Mode::Daemon), options))
}

/// All that follows, as it is.
fn rest(parser: &mut lexopt::Parser) -> Result<Vec<String>, String> {
    let words = parser.raw_args().map_err(|error| error.to_string())?;
    let words: Result<Vec<String>, OsString> = words.map(OsString::into_string).collect();
    words.map_err(|word| format!("{word:?} is not UTF-8"))
}

/// A directory, made absolute: journals and locks hold paths that must mean the same everywhere.
fn directory(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    let path = parser.value().map(PathBuf::from).map_err(|error| error.to_string())?;
    std::path::absolute(&path).map_err(|why| format!("{path:?}: {why}"))
}

/// The help, made of the tables.
fn help() -> String {
    let mut out =
        String::from("rcwmpd: a TR-069 (CWMP) agent for OpenWrt\n\nUsage: rcwmpd [FLAGS] [MODE]\n\nModes:\n");
    for (mode, what) in MODES {
        out.push_str(&format!("  {:<32} {what}\n", if mode.is_empty() { "(none)" } else { mode }));
    }
    out.push_str("\nFlags:\n");
    for (short, long, value, what) in FLAGS {
        let dash = if short.is_empty() { "    ".to_owned() } else { format!("-{short}, ") };
        out.push_str(&format!("  {:<32} {what}\n", format!("{dash}--{long} {value}").trim_end()));
    }
    out.push_str("\nExit codes: 0 done, 1 refused or failed, 2 wrong command line.");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<(Mode, Options), String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn lines() {
        let (mode, options) = of("-b -g --root /x --state-dir=/y").unwrap();
        assert!(mode == Mode::Daemon && options.boot && options.get_rpc_methods && !options.foreground);
        assert_eq!(options.state_dir(), PathBuf::from("/y"));
        assert_eq!(of("--ubus_socket /s status").unwrap().1, of("-s /s status").unwrap().1);
        let (mode, options) = of("--root /x -c set Device.A -1 key").unwrap();
        assert_eq!(mode, Mode::Command(vec!["set".into(), "Device.A".into(), "-1".into(), "key".into()]));
        assert_eq!(options.state_dir(), PathBuf::from("/x/etc/rcwmp"));
        assert_eq!(of("validate").unwrap().0, Mode::Validate);
        for wrong in ["--nonsense", "-x", "nonsense", "--root", "validate more", "-b=3"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    /// icwmpd's own, of all its versions that are in the field.
    #[test]
    fn the_options_of_icwmpd() {
        for (long, short) in [
            ("--boot-event", "-b"),
            ("--get-rpc-methods", "-g"),
            ("--command-input get Device.A", "-c get Device.A"),
            ("--cli get Device.A", "-c get Device.A"),
            ("--help", "-h"),
            ("--version", "-v"),
            ("--ubus_socket /x", "-s /x"),
            ("-gb", "-b -g"),
        ] {
            assert_eq!(of(long).unwrap(), of(short).unwrap());
        }
    }

    #[test]
    fn every_flag_is_in_the_help_and_is_parsed() {
        let help = help();
        for (short, long, value, _) in FLAGS {
            assert!(help.contains(&format!("--{long}")));
            let with = if value.is_empty() { "" } else { " /x" };
            let short = Some(short).filter(|short| !short.is_empty()).map(|short| format!("-{short}{with}"));
            for line in short.into_iter().chain([format!("--{long}{with}")]) {
                assert!(of(&line).is_ok(), "{line}");
            }
        }
    }
}
