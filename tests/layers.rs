//! Keeps the architecture: which module may name which, which files are pure, how long a file may be.
//!
//! The table is that of the design: a module not listed in a row's "may name" must not appear in its files.

use std::fs;
use std::path::{Path, PathBuf};

/// Hard limit on a file's lines, tests included.
const MAX_LINES: usize = 800;

/// Module, and the crate's modules it may name. A file belongs to the longest prefix that fits.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model/", &["model"]),
    ("cwmp/", &["cwmp", "model"]),
    ("ubus/", &["ubus", "sys"]),
    ("uci/", &["uci", "sys"]),
    ("http/", &["http", "sys"]),
    ("backend/", &["backend", "model", "uci", "ubus", "sys"]),
    ("connreq/", &["connreq", "http", "sys"]),
    ("transfer/", &["transfer", "http", "sys"]),
    ("diagnostics/", &["diagnostics", "http", "sys", "ubus"]),
    ("sys/", &["sys"]),
    (
        "agent/",
        &[
            "agent",
            "backend",
            "connreq",
            "cwmp",
            "diagnostics",
            "http",
            "model",
            "sys",
            "transfer",
            "ubus",
            "uci",
        ],
    ),
    ("cli/", &["cli", "agent", "backend", "cwmp", "http", "lab", "model", "sys", "ubus", "uci"]),
    ("lab/", &["lab", "connreq", "cwmp", "http", "model", "ubus", "uci", "sys"]),
];

/// What every module may name.
const FOR_ALL: &[&str] = &["map", "secret", "set"];

/// The pure ones: no I/O, no clock, no randomness, no threads, no logging.
const PURE: &[&str] = &[
    "map",
    "secret",
    "set",
    "model/",
    "cwmp/",
    "ubus/blob",
    "ubus/msg",
    "ubus/object",
    "ubus/peer",
    "ubus/json",
    "lab/router/broker/hub",
    "uci/text",
    "uci/scan",
    "uci/delta",
    "http/auth",
    "http/cookie",
    "http/serve",
    "connreq/binding",
    "connreq/rule",
    "connreq/stun",
    "connreq/udp",
    "connreq/xmpp/request",
    "connreq/xmpp/sasl",
    "connreq/xmpp/server",
    "connreq/xmpp/stream",
    "transfer/plan",
    "sys/age",
    "sys/decimal",
    "agent/bulk/report",
    "agent/schedule",
    "backend/statistics",
    "agent/discovery",
    "agent/settings",
    "lab/acs/session",
];

/// What a pure file must not say.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "SystemTime",
    "Instant::now",
    "getrandom",
    "log::{",
    "log::error!",
    "log::warn!",
    "log::info!",
    "log::debug!",
    "println!",
];

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                out.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    assert!(files.len() > 20, "the walk finds the sources");
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let name = path.strip_prefix(&src).expect("below src").display().to_string();
            (name, text)
        })
        .collect()
}

/// The code without its tests, comments and doc comments: tests may use what they like.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether a file has nothing but tests and what they need.
fn is_test(name: &str) -> bool {
    name.ends_with("scenario.rs") || name.ends_with("/tests.rs")
}

/// The crate's modules that a text names, as `crate::x` or in `use crate::{x, y}`.
fn named(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
        };
        for part in list.split(',') {
            out.push(part.split("::").next().unwrap_or_default().trim().to_owned());
        }
    }
    out
}

#[test]
fn modules_keep_to_their_layer() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some((_, allowed)) = MAY_NAME.iter().find(|(prefix, _)| name.starts_with(prefix)) else {
            continue;
        };
        if is_test(&name) {
            continue;
        }
        for module in named(&code(&text)) {
            if !module.is_empty()
                && !FOR_ALL.contains(&module.as_str())
                && !allowed.contains(&module.as_str())
            {
                wrong.push(format!("src/{name} names crate::{module}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_are_pure() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !PURE.iter().any(|prefix| name.starts_with(prefix)) || is_test(&name) {
            continue;
        }
        let code = code(&text);
        for word in IMPURE {
            if code.contains(word) {
                wrong.push(format!("src/{name} says {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_small_and_introduced() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("src/{name} has no module doc"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("src/{name} has {lines} lines"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checks_can_fail() {
    assert_eq!(
        named("use crate::{model::Model, agent};\nlet x = crate::lab::y();"),
        ["model", "agent", "lab"]
    );
    assert_eq!(code("//! crate::lab\nuse a;\n#[cfg(test)]\nmod tests { log:: }"), "use a;");
}
