//! The mini-ACS as people start it, with its `ctl`; it is killed when this is dropped.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part, and may panic")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// For slow machines that do much else.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct MiniAcs {
    child: Child,
    /// Where CPEs go.
    pub url: String,
    /// Where `ctl` goes.
    pub control: String,
    /// For the token, and whatever a test puts there.
    pub folder: PathBuf,
    own: Option<tempfile::TempDir>,
}

impl MiniAcs {
    /// In a folder of its own, with more words of the command line.
    pub fn start(words: &[&str]) -> MiniAcs {
        let own = tempfile::tempdir().unwrap();
        let mut acs = MiniAcs::start_in(own.path(), words);
        acs.own = Some(own);
        acs
    }

    /// In a folder that outlives it.
    pub fn start_in(folder: &Path, words: &[&str]) -> MiniAcs {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rcwmpd"))
            .args(["mini-acs", "--listen", ":0", "--control", ":0", "--token-file"])
            .arg(folder.join("token"))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |who: &str| loop {
            let line = lines.next().expect("it starts").unwrap();
            if let Some(rest) = line.strip_prefix(who) {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let (url, control) = (address("acs "), address("control "));
        // Nobody reads the rest, and it must not block.
        thread::spawn(move || lines.for_each(drop));
        MiniAcs { child, url, control, folder: folder.to_owned(), own: None }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `rcwmpd mini-acs ctl`, to be started.
    pub fn ctl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rcwmpd"));
        command.args(["mini-acs", "ctl", "--control", &self.control, "--token-file"]);
        command.arg(self.folder.join("token")).args(words);
        command
    }

    /// What a verb says that has success.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        let output = self.ctl(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Json {
        serde_json::from_str(&self.says(words)).unwrap()
    }

    /// What a verb says that has none.
    #[track_caller]
    pub fn refuses(&self, words: &[&str]) -> String {
        let output = self.ctl(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A file for a verb that takes one.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Waits until something is told in a device's history so often; the texts of all of it.
    #[track_caller]
    pub fn wait(&self, serial: &str, method: &str, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let history = self.json(&["history", serial]);
            let of = history.as_array().unwrap().iter().filter(|one| one["method"] == method);
            let texts: Vec<String> = of.map(|one| one["text"].as_str().unwrap().to_owned()).collect();
            if texts.len() >= count {
                return texts;
            }
            assert!(start.elapsed() < PATIENCE, "{history}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for MiniAcs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
