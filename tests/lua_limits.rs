//! What a hostile script costs: itself, and nobody else. Each runs as a service of one device and ends *Failed* within its limit, while
//! another device informs and is answered.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use oktopus::{Acs, inform};
use rcwmp::cwmp::event::EventCode;
use rcwmp::lab::acs::scripts::State;
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::store::Status;

/// The shortest limit of these runs.
const LEAST: Duration = Duration::from_millis(1500);
/// What a machine may take for a run that has its end long before. That a run which went on was interrupted, and not given up, its
/// reason says: the virtual machine gives up two seconds after the limit.
const PATIENCE: Duration = Duration::from_secs(120);

/// The limit of these runs: longer on a machine that does much else, so that Informs are answered meanwhile there too.
fn limit() -> Duration {
    static LIMIT: OnceLock<Duration> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let acs = Acs::new();
        let slowest = (0..5).map(|_| inform(&acs, "OTHER", EventCode::Periodic)).max().unwrap();
        // In halves of a second, for the sentence that tells it.
        let halves = (slowest * 10).as_millis().div_ceil(500);
        LEAST.max(Duration::from_millis(500) * u32::try_from(halves).unwrap())
    })
}

/// Runs scripts that cannot end well, each on a device of its own and one after the other; their reasons must have the word, or one of them.
fn fail(scripts: &[(&str, &str)]) {
    let limit = limit();
    let acs = Acs::limited(limit);
    let time = format!("the script ran longer than {} s", limit.as_secs_f32());
    let status = |instance| acs.office.store.instance(instance).unwrap().unwrap().status;
    for (number, (script, word)) in scripts.iter().enumerate() {
        let serial = format!("SN{number}");
        acs.office.store.add_device(&serial).unwrap();
        let instance = acs.service(&serial, script, &Variables::new());
        let start = Instant::now();
        inform(&acs, &serial, EventCode::Bootstrap);
        let mut meanwhile = 0;
        while status(instance) != Status::Failed {
            inform(&acs, "OTHER", EventCode::Periodic);
            // It was answered, and the script runs still.
            meanwhile += u32::from(status(instance) != Status::Failed);
            assert!(start.elapsed() < limit + PATIENCE, "{script} goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (_, reason, _) = acs.outcome(instance);
        let words = word.replace(TIME, &time);
        assert!(words.split('|').any(|word| reason.contains(word)), "{script}: {reason}");
        assert!(meanwhile > 0 || !reason.contains(&time), "{script}: no Inform was answered while it ran");
    }
}

/// At once, on a machine that does much else.
const SOON: Duration = Duration::from_secs(8);
/// Stands for the sentence with the limit.
const TIME: &str = "{time}";
const MEMORY: &str = "the script used more than 64 MiB of memory";
/// On a slow machine the time is over before.
const EITHER: &str = "more than 64 MiB of memory|{time}";

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
            "failed|{time}",
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
    let acs = Acs::limited(LEAST);
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
        std::thread::sleep(LEAST);
        assert_eq!(acs.run("print(1)"), ["1"]);
        inform(&acs, "OTHER", EventCode::Periodic);
        assert_eq!(acs.scripts.report("endless").unwrap().state, State::Running, "{script}");
        let start = Instant::now();
        acs.scripts.stop("endless").unwrap();
        while acs.scripts.remove("endless").is_err() {
            assert!(start.elapsed() < SOON, "{script} goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
