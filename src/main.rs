//! `rcwmpd`: argv → mode → exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rcwmp::cli::run(std::env::args_os().skip(1))
}
