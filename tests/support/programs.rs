//! Programs on a ubus of their own, as a list of methods: what each does, and how often it was called.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use rcwmp::ubus::json;
use rcwmp::ubus::msg::Status;

#[path = "bus.rs"]
mod bus;
use bus::{Bus, Offers};

/// What a method does.
#[derive(Debug, Clone)]
pub enum Does {
    /// Answers with this JSON.
    Says(String),
    /// Answers with a status.
    Refuses(Status),
    /// Nothing.
    KeepsSilent,
}

/// What a program answered on a router, `tests/ubus-samples/NAME.json`.
pub fn sample(name: &str) -> String {
    bus::sample(name)
}

/// A method that says what is in a sample.
pub fn says(name: &str) -> Does {
    Does::Says(sample(name))
}

/// A method that says this JSON.
pub fn says_json(text: &str) -> Does {
    Does::Says(text.to_owned())
}

/// A broker with the programs.
pub struct Programs(Bus);

impl Programs {
    /// Offers these methods: object, method, and what it does.
    pub fn start(methods: &[(&str, &str, Does)]) -> Programs {
        let offers = methods.iter().fold(Offers::new(), |offers, (object, method, does)| match does {
            Does::Says(text) => offers.says(object, method, text),
            Does::Refuses(status) => offers.refuses(object, method, *status),
            Does::KeepsSilent => offers.keeps_silent_on(object, method),
        });
        Programs(offers.start())
    }

    /// Where they are.
    pub fn socket(&self) -> PathBuf {
        self.0.socket()
    }

    /// From now on a method says this JSON.
    pub fn now_says(&self, object: &str, method: &str, text: &str) {
        self.0.now_says(object, method, text);
    }

    /// How often each method was called; counting begins anew.
    pub fn calls(&self) -> BTreeMap<String, u32> {
        let mut calls = BTreeMap::new();
        for call in self.0.take_calls() {
            let name: Vec<&str> = call.split(' ').take(2).collect();
            *calls.entry(name.join(" ")).or_insert(0) += 1;
        }
        calls
    }
}

/// The fields of a JSON object on one line.
pub fn on_one_line(text: &str) -> String {
    json::parse(text).map(|table| json::print_line(&table)).unwrap_or_default()
}
