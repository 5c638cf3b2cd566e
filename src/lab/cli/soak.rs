//! `rcwmpd lab soak`: agents for an hour of real time against ACSs that misbehave, and a report.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use super::Place;
use crate::lab::soak::{self, Settings};
use crate::sys::signal::{Asked, Signals};

const HELP: &str = "rcwmpd lab soak: two agents against ACSs that misbehave at random, and what they use over time

  --minutes N    how long, 0.2 to 10080, with a fraction if you like (default 60)
  --seed N       what chance begins with (default 1); the same seed does much the same
  --agent FILE   runs this program as the agent, another build perhaps
  --help         this help

Exit code 1 if memory, descriptors, threads, state or files grow from the first quarter to the last, if an agent ends
by itself or panics, or if there is no session that goes well once the ACS behaves.
";
/// What `--minutes` may be.
const MINUTES: std::ops::RangeInclusive<f64> = 0.2..=10_080.0;

/// What the command line says.
#[derive(Debug, PartialEq)]
struct Options {
    minutes: f64,
    seed: u32,
    agent: Option<PathBuf>,
    help: bool,
}

/// Runs it; `arguments` are those after `soak`.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("rcwmpd: {why}\nrcwmpd: see rcwmpd lab soak --help");
            return ExitCode::from(2);
        }
    };
    if options.help {
        let _ = write!(std::io::stdout().lock(), "{HELP}");
        return ExitCode::SUCCESS;
    }
    match soak(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("rcwmpd lab soak: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options { minutes: 60.0, seed: 1, agent: None, help: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    let text = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Long("minutes") => {
                let given: f64 = parser.value().and_then(|value| value.parse()).map_err(text)?;
                if !MINUTES.contains(&given) {
                    return Err(format!("--minutes {given} is not in {MINUTES:?}"));
                }
                options.minutes = given;
            }
            Long("seed") => options.seed = parser.value().and_then(|value| value.parse()).map_err(text)?,
            Long("agent") => options.agent = Some(PathBuf::from(parser.value().map_err(text)?)),
            Long("help") | Short('h') => options.help = true,
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(options)
}

/// Whether all was well.
fn soak(options: &Options) -> Result<bool, String> {
    let mut signals = Signals::install().map_err(|error| error.to_string())?;
    let program = options.agent.as_ref().map_or_else(std::env::current_exe, std::path::absolute);
    let settings = Settings {
        length: Duration::from_secs_f64(options.minutes * 60.0),
        seed: options.seed,
        program: program.map_err(|error| error.to_string())?,
    };
    let place = Place::new(None)?;
    let mut stop = || signals.asked() == Some(Asked::Stop);
    let mut show = |line: &str| {
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let report = soak::run(&settings, &place.folder, &mut stop, &mut show)?;
    let _ = write!(std::io::stdout().lock(), "\n{report}");
    Ok(report.faults.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn lines() {
        assert_eq!(of(""), Ok(Options { minutes: 60.0, seed: 1, agent: None, help: false }));
        let options = of("--minutes 0.5 --seed 7 --agent /x").unwrap();
        assert_eq!((options.minutes, options.seed, options.agent), (0.5, 7, Some(PathBuf::from("/x"))));
        assert!(of("--help").unwrap().help);
        for line in ["--minutes", "--minutes 0", "--minutes NaN", "--minutes 1e9", "--seed -1", "word", "-x"]
        {
            assert!(of(line).is_err(), "{line}");
        }
    }
}
