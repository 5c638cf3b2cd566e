//! What a hostile script costs: itself, and nobody else. Each runs as a service of one device and ends *Failed* within its limit, while
//! another device informs and is answered.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::time::{Duration, Instant};

use oktopus::{Acs, inform};
use rcwmp::cwmp::event::EventCode;
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::store::Status;

/// The limit of these runs.
const LIMIT: Duration = Duration::from_millis(1500);
/// What a run may take beyond, until it is given up.
const GRACE: Duration = Duration::from_millis(3500);
/// What an Inform may take meanwhile, on a busy machine.
const ANSWER: Duration = Duration::from_millis(1000);

/// Runs scripts that cannot end well, each on a device of its own and one after the other; their reasons must have the word, or one of them.
fn fail(scripts: &[(&str, &str)]) {
    let acs = Acs::limited(LIMIT);
    for (number, (script, word)) in scripts.iter().enumerate() {
        let serial = format!("SN{number}");
        acs.office.store.add_device(&serial).unwrap();
        let instance = acs.service(&serial, script, &Variables::new());
        let start = Instant::now();
        inform(&acs, &serial, EventCode::Bootstrap);
        let mut answered = 0;
        while acs.office.store.instance(instance).unwrap().unwrap().status != Status::Failed {
            let took = inform(&acs, "OTHER", EventCode::Periodic);
            assert!(took < ANSWER, "{script}: an Inform took {took:?}");
            answered += 1;
            assert!(start.elapsed() < LIMIT + GRACE, "{script} goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (_, reason, _) = acs.outcome(instance);
        assert!(word.split('|').any(|word| reason.contains(word)), "{script}: {reason}");
        assert!(answered > 0 || start.elapsed() < Duration::from_millis(200), "{script}");
    }
}

const TIME: &str = "the script ran longer than 1.5 s";
const MEMORY: &str = "the script used more than 64 MiB of memory";
/// On a slow machine the time is over before.
const EITHER: &str = "more than 64 MiB of memory|longer than 1.5 s";

#[test]
fn protected_calls_do_not_protect() {
    fail(&[
        ("local function f() while true do end end while true do pcall(f) end", TIME),
        ("local f = error while true do pcall(f) end", TIME),
        ("while true do pcall(function() while true do pcall(error) end end) end", TIME),
    ]);
}

#[test]
fn string_bombs() {
    fail(&[
        ("string.rep('x', 1024 * 1024 * 1024)", EITHER),
        ("local s = 'x' while true do s = s .. s end", EITHER),
        ("local t = {} while true do t[#t + 1] = ('x'):rep(2000000) .. #t end", EITHER),
        (
            "local ok = pcall(string.rep, 'x', 1e9) set_provisioning_status(ok and 'provisioned' or 'failed')",
            "failed|1.5 s",
        ),
    ]);
}

#[test]
fn deep_recursion() {
    fail(&[
        ("local function f() return 1 + f() end f()", "stack overflow"),
        ("local function f() return f() end f()", TIME),
        ("local function f(n) return pcall(f, n + 1) end while true do f(0) end", TIME),
        (
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end return t.x",
            "overflow",
        ),
    ]);
}

#[test]
fn coroutine_tricks() {
    fail(&[
        ("coroutine.wrap(function() while true do end end)()", TIME),
        ("while true do coroutine.resume(coroutine.create(function() while true do end end)) end", TIME),
        ("local function f() coroutine.wrap(f)() end f()", "overflow"),
        (
            "while true do local c = coroutine.create(function() pcall(function() while true do end end) end) coroutine.resume(c) end",
            TIME,
        ),
        ("coroutine.yield()", "yield"),
    ]);
}

#[test]
fn pattern_bombs() {
    fail(&[
        ("local n = 3e5 return ('a'):rep(n):find(('a?'):rep(n))", "pattern is longer"),
        ("local s = ('a'):rep(30) return s:find(('a?'):rep(30) .. s .. 'b')", TIME),
        (
            "local s = ('a'):rep(30) while true do pcall(string.gsub, s, ('a?'):rep(30) .. s .. 'b', '') end",
            TIME,
        ),
        ("for w in ('a'):rep(1e5):gmatch('.-.-.-.-.-b') do end", TIME),
    ]);
}

#[test]
fn large_strings_are_no_hiding_place() {
    // More of them than runs may be given up: all have to be interrupted.
    let all = "t = {} for i = 1, 3e5 do t[i] = s end";
    let sort = format!("local s = ('a'):rep(2e7) {all} table.sort(t)");
    let by = format!("local s = ('a'):rep(2e7) {all} table.sort(t, function(a, b) return a < b end)");
    fail(&[
        ("local s = ('a'):rep(2^24) s:find(('a'):rep(2^23) .. 'b', 1, true)", TIME),
        ("local s = ('a'):rep(2^24) s:find(('a'):rep(2^23) .. 'b')", TIME),
        (&sort, TIME),
        (&by, TIME),
        ("local a, b = ('a'):rep(2e7), ('a'):rep(2e7) .. 'b' while true do local _ = a < b end", TIME),
        ("local s = ('a'):rep(1e6) while true do local _ = string.format('%s', s):upper() end", TIME),
        ("local s = ('a'):rep(2^23) s:find('^(a*)%1b')", TIME),
        ("local s = ('a'):rep(1e6) while true do s:gsub('b', s) end", TIME),
    ]);
}

#[test]
fn byte_code_and_what_is_not_there() {
    fail(&[
        ("\u{1b}LuaQ\0\u{1}\u{4}\u{8}\u{4}\u{8}\0", "cannot be read"),
        ("loadstring('\\27Lua')()", "attempt to call global 'loadstring'"),
        ("string.dump(print)", "attempt to call field 'dump'"),
        ("io.open('/etc/passwd')", "attempt to index global 'io'"),
        ("os.execute('true')", "attempt to call field 'execute'"),
        ("require 'socket'", "attempt to call global 'require'"),
    ]);
}

#[test]
fn the_documents_scripts_have_the_same_fence() {
    let acs = Acs::limited(LIMIT);
    let refused = |script: &str, word: &str| {
        let printed = acs.run(script).join("\n");
        assert!(printed.contains(word), "{script}: {printed}");
    };
    refused("string.rep('x', 1024 * 1024 * 1024)", MEMORY);
    refused("local function f() return 1 + f() end f()", "stack overflow");
    refused("io.open('/etc/passwd')", "attempt to index global 'io'");
    refused("\u{1b}Lua", "cannot be read");
    // They have no limit of time: stopping ends them, at once, and others go on meanwhile.
    for script in [
        "local function f() while true do end end while true do pcall(f) end",
        "while true do print('x') end",
    ] {
        acs.scripts.start("endless", script).unwrap();
        std::thread::sleep(LIMIT);
        assert_eq!(acs.run("print(1)"), ["1"]);
        assert!(inform(&acs, "OTHER", EventCode::Periodic) < ANSWER);
        let start = Instant::now();
        acs.scripts.stop("endless").unwrap();
        while acs.scripts.remove("endless").is_err() {
            assert!(start.elapsed() < Duration::from_millis(500), "{script} goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
