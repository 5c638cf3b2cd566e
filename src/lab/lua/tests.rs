//! The documents' own examples unchanged, and everything a hostile or broken script may try.
#![allow(clippy::disallowed_macros, reason = "a test says what it skips")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::host::{Answer, Fence, Host, Method, Refusal, Stop};
use super::service::{Outcome, Variables, run};
use super::vm::Limits;

/// A device `SN1` that takes everything that is text, and remembers what was asked.
#[derive(Default)]
struct Fake {
    printed: Mutex<Vec<String>>,
    queued: Mutex<Vec<String>>,
    refuse: bool,
}

impl Host for Fake {
    fn print(&self, line: &str) {
        self.printed.lock().unwrap().push(line.to_owned());
    }

    fn enqueue(&self, device: &str, message: &str) -> Result<(), Refusal> {
        if device != "SN1" || self.refuse {
            return Err(Refusal::new(404, "Device not found"));
        }
        self.queued.lock().unwrap().push(message.to_owned());
        Ok(())
    }

    fn call(&self, _: &str, message: &str, method: Method, until: &Fence) -> Result<Answer, Refusal> {
        match method {
            Method::GetParameterValues => Ok(Answer::Values(vec![("Device.A".into(), "1".into())])),
            Method::SetParameterValues if message == "bad" => Err(Refusal {
                message: "Invalid arguments".into(),
                code: "9003".into(),
                parameter_faults: vec![("Device.B".into(), "9007".into(), "too long".into())],
                raw_response: Some("<Fault/>".into()),
            }),
            Method::SetParameterValues => {
                until.sleep(Duration::from_secs(3600));
                Err(Refusal::new(408, "Request timeout"))
            }
            Method::DeleteObject => Ok(Answer::Done),
            Method::AddObject => Ok(Answer::Added { instance_number: 7, status: 0 }),
            Method::GetParameterNames => Ok(Answer::Names(vec!["Device.".into()])),
        }
    }

    fn credential(&self, username: &str, _: &str) -> Result<String, String> {
        if username == "taken" { Err("no room".into()) } else { Ok(format!("oktopus-{username}")) }
    }

    fn refresh(&self, device: &str) -> bool {
        device == "SN1"
    }
}

fn limits(time: f32) -> Limits {
    Limits { time: Duration::from_secs_f32(time), ..Limits::default() }
}

fn go(script: &str, fake: Fake, variables: &Variables, limits: Limits) -> (Outcome, Arc<Fake>) {
    let fake = Arc::new(fake);
    let host: Arc<dyn Host> = fake.clone();
    (run(script, "SN1", variables, &host, limits, &Stop::new()), fake)
}

/// What the script prints; it must end without an error.
fn printed(script: &str) -> String {
    let script = format!("{script}\nset_provisioning_status('provisioned')");
    let (outcome, fake) = go(&script, Fake::default(), &variables(), limits(120.0));
    assert_eq!(outcome, Outcome::Provisioned, "{script}");
    fake.printed.lock().unwrap().join("|")
}

#[test]
fn tables_sort_and_call_back_as_in_lua() {
    let join = "print(table.concat(t, ' '))";
    assert_eq!(printed(&format!("t = {{3, 1, 2}} table.sort(t) {join}")), "1 2 3");
    assert_eq!(
        printed(&format!("t = {{'b', 'a', 'c'}} table.sort(t, function(a, b) return a > b end) {join}")),
        "c b a"
    );
    assert_eq!(printed(&format!("t = {{}} table.sort(t) {join}")), "");
    let many = "t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end table.sort(t) \
        for i = 2, 1000 do assert(t[i - 1] < t[i]) end print(#t)";
    assert_eq!(printed(many), "1000");
    assert_eq!(
        printed("print(select(2, pcall(table.sort, 1)))"),
        "bad argument #1 to 'sort' (table expected, got number)"
    );
    assert!(printed("print(select(2, pcall(table.sort, {1, 'a'})))").contains("attempt to compare"));
    assert_eq!(printed("print(table.foreach({5}, function(k, v) return k + v end))"), "6");
    assert_eq!(printed("print(table.foreachi({5, 6}, function(k, v) if v == 6 then return k end end))"), "2");
    assert_eq!(
        printed("print(('a.b'):find('.', 1, true), ('abc'):find('bc'), ('abc'):find('x', 1, true))"),
        "2\t2\tnil"
    );
}

/// Why a script failed that has its end by itself, on whatever machine.
fn failure(script: &str) -> String {
    failure_within(120.0, script)
}

/// Why a script failed that has so many seconds.
fn failure_within(time: f32, script: &str) -> String {
    match go(script, Fake::default(), &variables(), limits(time)).0 {
        Outcome::Failed(why) => why,
        Outcome::Provisioned => panic!("provisioned: {script}"),
    }
}

fn variables() -> Variables {
    let value = |text: &str| serde_json::Value::String(text.to_owned());
    BTreeMap::from([
        ("pppoe_username".into(), value("user@example.net")),
        ("pppoe_password".into(), value("ExamplePassphrase")),
        ("count".into(), 3.into()),
    ])
}

/// The outcome, the number of messages and the printed lines of an example of the documents.
fn example(name: &str, fake: Fake, variables: &Variables) -> Option<(Outcome, usize, String)> {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    if !shared.exists() {
        #[allow(clippy::disallowed_macros, reason = "a skipped test says so")]
        {
            println!("skipped: ../shared not present");
        }
        return None;
    }
    let script = std::fs::read_to_string(shared.join("seeds/lua/services").join(name)).unwrap();
    let (outcome, fake) = go(&script, fake, variables, limits(120.0));
    let queued = fake.queued.lock().unwrap().len();
    let printed = fake.printed.lock().unwrap().join("|");
    Some((outcome, queued, printed))
}

const UNSET: &str = "the script ended without setting provisioning_status";
const FAILED: &str = "the script set provisioning_status to \"failed\"";

#[test]
fn examples_run_unchanged() {
    let check = |name: &str, failed: Option<&str>, queued: usize, start: &str| {
        let Some((outcome, messages, printed)) = example(name, Fake::default(), &variables()) else { return };
        let expected = failed.map_or(Outcome::Provisioned, |why| Outcome::Failed(why.to_owned()));
        assert_eq!((outcome, messages), (expected, queued), "{name}: {printed}");
        assert!(printed.starts_with(start), "{name}: {printed}");
    };
    check("best_practice_1_always_check_return_values.lua", Some(UNSET), 0, "");
    check(
        "best_practice_2_use_descriptive_logging.lua",
        Some(UNSET),
        0,
        "Step 1: Creating PPPoE WAN connection",
    );
    check("best_practice_3_set_status_explicitly.lua", Some(FAILED), 0, "");
    check("best_practice_4_handle_sequential_operations.lua", None, 0, "");
    check("create_or_update_device_credential.lua", Some(UNSET), 0, "Credential created: oktopus-admin_user");
    check("execution_flow.lua", Some(FAILED), 0, "Processing device: SN1");
    check("generate_random_string.lua", Some(UNSET), 0, "Generated password: ");
    check("get_device_id.lua", Some(UNSET), 0, "Device SN: SN1");
    check("get_variable_value.lua", Some(UNSET), 0, "");
    check("refresh_device_parameters.lua", Some(UNSET), 0, "Device parameters refresh initiated");
    check("send_cwmp_message_and_forget.lua", Some(UNSET), 1, "Message sent successfully");
    check("set_provisioning_status.lua", Some(FAILED), 0, "");
    check("sleep.lua", Some(UNSET), 0, "Waiting for device to process...|Continuing...");
    check("real_world_example_pppoe_service_configuration.lua", None, 3, "Processing device SN: SN1");
}

#[test]
fn the_real_example_reports_refusals_and_missing_variables() {
    let name = "real_world_example_pppoe_service_configuration.lua";
    let refusing = Fake { refuse: true, ..Fake::default() };
    let Some((outcome, queued, printed)) = example(name, refusing, &variables()) else { return };
    assert_eq!((outcome, queued), (Outcome::Failed(FAILED.into()), 0));
    assert!(printed.ends_with("Error Message: Device not found | Code: 404"), "{printed}");
    let Some((Outcome::Failed(why), ..)) = example(name, Fake::default(), &Variables::new()) else {
        panic!()
    };
    assert!(why.contains("attempt to concatenate a nil value"), "{why}");
    assert!(why.contains("<string>:"), "{why}");
    assert!(why.contains("asked for but not given: pppoe_username"), "{why}");
}

#[test]
fn outcomes() {
    assert_eq!(failure(""), UNSET);
    assert_eq!(
        failure("provisioning_status = 'maybe'"),
        "provisioning_status is \"maybe\", not \"provisioned\" or \"failed\""
    );
    assert!(failure("set_provisioning_status('provisioned') error('late')").contains("<string>:1: late"));
    assert!(failure("set_provisioning_status('done')").contains("<string>:1: set_provisioning_status takes"));
    assert!(failure("provisioning_status = = 1").starts_with("the script cannot be read: <string>:1:"));
    assert!(failure("goto x").starts_with("the script cannot be read"));
    assert!(failure(&"x".repeat(2_000_000)).contains("longer than"));
    assert!(failure("\u{1b}Lua").starts_with("the script cannot be read"));
    assert_eq!(printed("provisioning_status = 'failed'"), "");
}

#[test]
fn words() {
    assert_eq!(
        printed("print(1, 'a', nil, true, 0.5, 1e15, {} ~= nil)"),
        "1\ta\tnil\ttrue\t0.5\t1e+15\ttrue"
    );
    assert_eq!(printed("print(setmetatable({}, {__tostring = function() return 'me' end}))"), "me");
    assert_eq!(
        printed("print(device_id, variables.count, type(variables.count), get_variable_value('count'))"),
        "SN1\t3\tnumber\t3"
    );
    assert_eq!(printed("print(get_variable_value('x'), get_variable_value(nil))"), "nil\tnil");
    assert_eq!(
        printed(
            "print(#generate_random_string(12), generate_random_string(0) == '', generate_random_string('x') == '', generate_random_string(1e9) == '', generate_random_string(0/0) == '')"
        ),
        "12\ttrue\ttrue\ttrue\ttrue"
    );
    assert_eq!(
        printed(
            "print(generate_random_string(2000):find('[^A-Za-z0-9]'), generate_random_string(20) ~= generate_random_string(20))"
        ),
        "nil\ttrue"
    );
    assert_eq!(printed("sleep(nil) sleep(-1) sleep(0/0) sleep('0.01') sleep(0.01)"), "");
    assert_eq!(
        printed(
            "for _, a in ipairs { {'', 'p'}, {'a.b', 'p'}, {'a', ''}, {'a', 'b.c'}, {nil, 'p'}, {'taken', 'p'} } do local r = create_or_update_device_credential(a[1], a[2]) print(r.ok, r.username, r.password, r.error_msg) end"
        ),
        "false\t\t\tthe username cannot be empty|false\t\t\tthe username cannot contain dots|false\t\t\tthe password cannot be empty|false\t\t\tthe password cannot contain dots|false\t\t\tthe username must be a string|false\t\t\tno room"
    );
    assert_eq!(
        printed(
            "local r = send_cwmp_message_and_forget('other', '<x/>', 2) print(r.error_message, r.error_code, type(r.error_code))"
        ),
        "Device not found\t404\tstring"
    );
    assert_eq!(
        printed(
            "local r = send_cwmp_message_and_forget(device_id, nil) print(r.error_message, r.error_code)"
        ),
        "message_body must be a string, not nil\t400"
    );
    assert_eq!(
        printed("local r = send_cwmp_message_and_forget(device_id, '\\255') print(r.error_message)"),
        "message_body is not UTF-8"
    );
    assert_eq!(printed("print(send_cwmp_message_and_forget(device_id, '<x/>', nil, true, 4))"), "true");
    assert_eq!(
        printed(
            "print(refresh_device_parameters(device_id), refresh_device_parameters('x'), refresh_device_parameters(nil))"
        ),
        "true\tfalse\tfalse"
    );
}

#[test]
fn blocking_calls() {
    assert_eq!(printed("print(send_cwmp_message(device_id, 'x', 0)['Device.A'])"), "1");
    assert_eq!(
        printed(
            "local r = send_cwmp_message(device_id, 'x', 2, true) print(r.instance_number == 7, 'n' .. r.instance_number, r.status)"
        ),
        "true\tn7\t0"
    );
    assert_eq!(
        printed("print(send_cwmp_message(device_id, 'x', 3), send_cwmp_message(device_id, 'x', 4)[1])"),
        "true\tDevice."
    );
    assert_eq!(
        printed(
            "local r = send_cwmp_message(device_id, 'bad', 1) print(r.error_code, r.parameter_faults[1].parameter_name, r.parameter_faults[1].fault_code, r.raw_response)"
        ),
        "9003\tDevice.B\t9007\t<Fault/>"
    );
    assert_eq!(
        printed(
            "print(send_cwmp_message(device_id, 'x', 9).error_code, send_cwmp_message(device_id, 'x').error_code)"
        ),
        "400\t400"
    );
    assert!(
        failure_within(0.5, "send_cwmp_message(device_id, 'slow', 1) set_provisioning_status('provisioned')")
            .contains("longer than")
    );
}

#[test]
fn the_sandbox_holds() {
    for gone in [
        "io",
        "package",
        "require",
        "module",
        "dofile",
        "loadfile",
        "load",
        "loadstring",
        "debug",
        "newproxy",
        "xpcall",
        "collectgarbage",
        "gcinfo",
        "setfenv",
        "getfenv",
        "os.execute",
        "os.remove",
        "os.rename",
        "os.exit",
        "os.getenv",
        "os.tmpname",
        "os.setlocale",
        "string.dump",
        "jit",
        "ffi",
    ] {
        assert_eq!(printed(&format!("print({gone})")), "nil", "{gone}");
    }
    for stays in [
        "os.time",
        "os.date",
        "os.clock",
        "os.difftime",
        "string.gsub",
        "table.concat",
        "math.floor",
        "pcall",
        "coroutine.wrap",
        "unpack",
    ] {
        assert_eq!(printed(&format!("print(type({stays}))")), "function", "{stays}");
    }
    assert_eq!(printed("print(20 / 2, #unpack({{1}}))"), "10\t1");
    assert_eq!(
        printed(
            "print(getmetatable('').__index == string, pcall(function() return getmetatable(print) end))"
        ),
        "true\ttrue\tnil"
    );
    // A run leaves nothing behind for the next.
    assert_eq!(printed("string.upper = nil leftover = 1 getmetatable('').__index = nil"), "");
    assert_eq!(printed("print(leftover, ('a'):upper())"), "nil\tA");
}

#[test]
fn patterns_stay_usable_and_bounded() {
    assert_eq!(printed("print(('a=b'):match('(%w)=(%w)'))"), "a\tb");
    assert_eq!(printed("print(('aXb'):gsub('X', function(x) return x:lower() end))"), "axb\t1");
    assert_eq!(printed("local t = {} for w in ('a b c'):gmatch('%a') do t[#t + 1] = w end print(#t)"), "3");
    assert_eq!(
        printed("print(pcall(string.find, nil, 'x'))"),
        "false\tbad argument #1 to 'find' (string expected, got nil)"
    );
    assert_eq!(printed("print(select('#', ('x'):find('y')), ('x'):find('x', 1, true))"), "1\t1\t1");
    // In plain Lua 5.1 this recursion overflows the C stack and ends the process.
    assert!(failure("local n = 3e5 return ('a'):rep(n):find(('a?'):rep(n))").contains("pattern is longer"));
    assert_eq!(printed("print(('a'):rep(2000):find(('a?'):rep(2000)))"), "1\t2000");
    let nest = "local function f(n) if n > 0 then ('x'):gsub('.', function() f(n - 1) end) end end print(pcall(f, 1e6))";
    assert!(printed(nest).starts_with("false\t"));
}

#[test]
fn endless_scripts_end() {
    for script in [
        "while true do end",
        "local function f() while true do end end while true do pcall(f) end",
        "while true do pcall(error) end",
        "while true do pcall(function() while true do pcall(error) end end) end",
        "local function f() return f() end f()",
        "coroutine.wrap(function() while true do end end)()",
        "coroutine.wrap(function() local function f() while true do end end while true do pcall(f) end end)()",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do local c = coroutine.create(function() while true do pcall(coroutine.wrap(function() while true do end end)) end end) coroutine.resume(c) end",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) while true do pcall(function() return t.x end) end",
        "table.sort({1,2,3}, function() while true do end end)",
        "('x'):gsub('.', function() while true do pcall(function() while true do end end) end end)",
        "while true do sleep(0.001) end",
        "while true do pcall(sleep, 1000) end",
        "while true do print('x') end",
        "sleep(1e300)",
        "set_provisioning_status('provisioned') pcall(sleep, 1000)",
    ] {
        let start = Instant::now();
        // Interrupted, and not given up: that would be told otherwise.
        assert_eq!(failure_within(0.5, script), "the script ran longer than 0.5 s", "{script}");
        assert!(start.elapsed() < Duration::from_secs(30), "{script} took {:?}", start.elapsed());
    }
}

#[test]
fn work_is_counted() {
    let few = Limits { work: 1000, ..limits(120.0) };
    for script in [
        "while true do end",
        "local function f() while true do end end while true do pcall(f) end",
        "coroutine.wrap(function() while true do end end)()",
        "for i = 1, 1e9 do end set_provisioning_status('provisioned')",
    ] {
        let outcome = go(script, Fake::default(), &Variables::new(), few).0;
        let expected = "the script computed more than 1000 thousand instructions";
        assert_eq!(outcome, Outcome::Failed(expected.into()), "{script}");
    }
    // Sleeping is no work.
    let script = "for i = 1, 10 do sleep(0.02) end set_provisioning_status('provisioned')";
    assert_eq!(go(script, Fake::default(), &Variables::new(), few).0, Outcome::Provisioned);
}

#[test]
fn bombs_burst_inside() {
    for script in [
        "local s = ('xxxxxxxx'):rep(12 * 1024 * 1024)",
        "local t, s = {}, ('x'):rep(8192) while true do t[#t + 1] = s .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "print(('xxxxxxxx'):rep(1024 * 1024 * 1024))",
        "local s = ('x'):rep(1e5) local t = {} for i = 1, 1e4 do t[i] = s end table.concat(t)",
    ] {
        let outcome = go(script, Fake::default(), &Variables::new(), limits(120.0)).0;
        assert_eq!(outcome, Outcome::Failed("the script used more than 64 MiB of memory".into()), "{script}");
    }
    assert!(failure("local function f() return 1 + f() end f()").contains("stack overflow"));
    assert!(
        failure(&format!("return {}1{}", "(".repeat(10_000), ")".repeat(10_000))).contains("cannot be read")
    );
}

#[test]
fn output_is_bounded() {
    let script =
        "print(('x'):rep(1e6)) for i = 1, 20000 do print(i) end set_provisioning_status('provisioned')";
    let (outcome, fake) = go(script, Fake::default(), &Variables::new(), limits(120.0));
    let printed = fake.printed.lock().unwrap();
    assert_eq!(outcome, Outcome::Provisioned);
    assert_eq!((printed[0].len(), printed.len()), (16 * 1024, 10_001));
    assert!(printed[10_000].contains("more than"));
}

#[test]
fn a_stop_wakes_a_sleeper_and_ends_a_loop() {
    for script in
        ["sleep(3600)", "pcall(sleep, 3600)", "while true do end", "send_cwmp_message(device_id, 'slow', 1)"]
    {
        let (stop, start) = (Stop::new(), Instant::now());
        let giver = stop.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            giver.stop();
        });
        let host: Arc<dyn Host> = Arc::new(Fake::default());
        let outcome = run(script, "SN1", &Variables::new(), &host, Limits::default(), &stop);
        assert_eq!(outcome, Outcome::Failed("the script was stopped".into()), "{script}");
        assert!(start.elapsed() < Duration::from_secs(30), "{script}");
        thread.join().unwrap();
    }
}

#[test]
fn pattern_bombs_are_interrupted() {
    // Exponential backtracking, of forty letters and of many.
    for bomb in [
        "local s = ('a'):rep(30) return s:find(('a?'):rep(30) .. ('a'):rep(30) .. 'b')",
        "while true do pcall(string.match, ('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40) .. 'b') end",
        "return ('a'):rep(1e5):gsub('.-.-.-.-.-b', '')",
    ] {
        assert_eq!(failure_within(0.5, bomb), "the script ran longer than 0.5 s", "{bomb}");
    }
}

/// Lua's own answer to an expression, and ours.
#[test]
fn patterns_are_lua_s() {
    let lua = mlua::Lua::new();
    let show = "local function show(...) local out = {} for i = 1, select('#', ...) do out[i] = tostring((select(i, ...))) end return table.concat(out, ',') end ";
    let mut checked = 0;
    let mut check = |expression: &str| {
        let wrapped =
            format!("{show} local function go() return {expression} end local r = show(pcall(go)) ");
        let theirs: String = lua.load(format!("{wrapped} return r")).set_name("=<string>").eval().unwrap();
        // A tail call has no place; ours are none.
        let ours = printed(&format!("{wrapped} print(r)")).replace("<string>:1: ", "");
        assert_eq!(ours, theirs.replace("<string>:1: ", ""), "{expression}");
        checked += 1;
    };
    for text in
        ["''", "'hello world'", "'THE (quick (brown)) fox'", "'a,b,,c'", "'x = 1; y=2'", "'\\0a\\0'", "'aaa'"]
    {
        for pattern in [
            "''",
            "'o'",
            "'l+'",
            "'(%w+)'",
            "'^h'",
            "'%s*$'",
            "'[^,]*'",
            "'%b()'",
            "'%f[%w]%w+'",
            "'(%w)%s*=%s*(%w)'",
            "'()'",
            "'a-'",
            "'a?'",
            "'%z'",
            "'[%a_][%w_]*'",
            "'(a)(a)%2'",
            "'.-'",
            "'[a-e]+'",
            "'%'",
            "'[a'",
            "'(a'",
            "'a)'",
            "'%9'",
            "'%f'",
            "'^'",
            "'$'",
            "'^a*$'",
            "'[]]'",
            "'[^]]'",
        ] {
            check(&format!("string.find({text}, {pattern})"));
            check(&format!("string.find({text}, {pattern}, -3)"));
            check(&format!("string.match({text}, {pattern}, 2)"));
            // Lua does not notice a capture without an end that nobody asks for; we do.
            if pattern != "'(a'" {
                check(&format!("string.gsub({text}, {pattern}, '<%0>')"));
            }
            check(&format!("string.gsub({text}, {pattern}, '%1%%', 2)"));
            check(&format!("string.gsub({text}, {pattern}, string.upper)"));
            check(&format!("string.gsub({text}, {pattern}, {{ a = 'A', hello = 1, b = false }})"));
            check(&format!(
                "(function() local t = {{}} for a, b in string.gmatch({text}, {pattern}) do t[#t + 1] = tostring(a) .. tostring(b) if #t > 99 then break end end return table.concat(t, '|') end)()"
            ));
        }
    }
    for other in [
        "string.find('a.b', '.', 1, true)",
        "string.find('abc', 'c', 10)",
        "string.find('abc', '', 10)",
        "string.gsub('abc', 'b', 7)",
        "string.gsub('abc', 'b', true)",
        "string.gsub('abc', 'b', '%2')",
        "string.gsub('abc', '(b)', function() return {} end)",
        "string.gsub('abc', 'b', '%')",
        "string.find(12, 2)",
        "string.rep('a', 3):gsub('a', '%0%0', 0)",
    ] {
        check(other);
    }
    assert!(checked > 1500, "{checked}");
}
