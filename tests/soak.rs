//! A short `rcwmpd lab soak`: it ends well, its report says what it is to say, and a run that finds fault is one that
//! fails. The long one is for a desk: `cargo run --release -- lab soak`.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

/// Long enough for a few restarts and every kind of misbehaviour but the rarest.
const MINUTES: &str = "0.6";

fn soak(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
    let output = command.args(["lab", "soak"]).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

#[test]
fn a_short_run() {
    let (code, report) = soak(&["--minutes", MINUTES]);
    assert_eq!(code, Some(0), "{report}");
    for word in ["sessions begun", "memory", "descriptors", "state", "nothing grows", "seed 1"] {
        assert!(report.contains(word), "no {word:?} in\n{report}");
    }
    let number = |before: &str| -> u32 {
        let rest = report.split(before).nth(1).unwrap_or_else(|| panic!("no {before:?} in\n{report}"));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    assert!(number("Informs ×") > 5 && number("ended well ×") > 2, "{report}");
    assert!(report.contains("lightweight notifications, "), "{report}");
    assert!(
        ["hang-up ×", "503 ×", "reset ×", "garbage ×", "fault ×"].iter().any(|trick| report.contains(trick))
    );
    assert!(!report.contains("GROWS") && !report.contains("FAULT"), "{report}");
}

#[test]
fn an_agent_that_ends_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("agent");
    std::fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
    let mut mode = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let (code, report) = soak(&["--minutes", "0.2", "--agent", program.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("FAULT") && report.contains("ended by itself"), "{report}");
}

#[test]
fn a_wrong_line() {
    assert_eq!(soak(&["--minutes", "0"]).0, Some(2));
    let (code, help) = soak(&["--help"]);
    assert!(code == Some(0) && help.contains("--minutes N"), "{help}");
}
