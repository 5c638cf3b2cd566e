//! `rcwmpd status`, `inform` and `reload`: the daemon is asked over ubus, and its answer printed as JSON.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::agent::control::OBJECT;
use crate::agent::options::Options;
use crate::ubus::blobmsg::Table;
use crate::ubus::client::Client;
use crate::ubus::json;

/// How long ubusd and the daemon may take, each.
const PATIENCE: Duration = Duration::from_secs(5);

/// A call of the daemon's object.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    method: &'static str,
    arguments: Table,
}

/// The question of a mode and what follows it.
///
/// # Errors
/// Words that do not belong there.
pub fn question(mode: &str, words: &[String]) -> Result<Question, String> {
    let of = |method, arguments| Ok(Question { method, arguments });
    match (mode, words) {
        ("status", []) => of("status", Table::new()),
        ("inform", []) => of("inform", Table::new()),
        ("inform", [event]) => of("inform", Table::new().with("event", event.as_str())),
        ("reload", []) => of("command", Table::new().with("command", "reload")),
        _ => Err(format!("{mode} does not take {} words", words.len())),
    }
}

/// Asks, prints, and says by its exit code whether the daemon has done it.
pub fn ask(options: &Options, question: &Question) -> ExitCode {
    let path = match options.ubus_socket() {
        Ok(path) => path,
        Err(why) => return refused(&why),
    };
    let mut client = match Client::connect(&path, PATIENCE) {
        Ok(client) => client,
        Err(why) => return refused(&why),
    };
    match client.call(OBJECT, question.method, &question.arguments, PATIENCE) {
        Ok(answers) => {
            let failed = |answer: &Table| {
                answer.get("status").and_then(crate::ubus::blobmsg::Value::as_i64).is_some_and(|n| n < 0)
            };
            // Whoever reads may have enough.
            let mut out = std::io::stdout().lock();
            answers.iter().for_each(|answer| drop(writeln!(out, "{}", json::print(answer))));
            if answers.iter().any(failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(why) => refused(&why),
    }
}

fn refused(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("rcwmpd: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(question("status", &[]).unwrap().method, "status");
        let reload = question("reload", &[]).unwrap();
        assert_eq!((reload.method, reload.arguments.text("command").as_deref()), ("command", Some("reload")));
        let inform = question("inform", &["2 PERIODIC".to_owned()]).unwrap();
        assert_eq!(inform.arguments.text("event").as_deref(), Some("2 PERIODIC"));
        assert!(question("status", &words("now")).is_err() && question("inform", &words("a b")).is_err());
    }
}
