//! The *Scripts* environment: a script that may live for ever, with listeners that the ACS calls.
//!
//! ```text
//! acs ─► Mailbox ─► run: tasks (the script itself, and its callbacks) ─► resume … yield ─► sleep, or a call on a thread of its own
//!           ▲                                                                                      │
//!           └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! All of a script happens on one thread in one state. Once it listens, the script and its callbacks are coroutines that
//! give way to each other where they wait: in `sleep`, in a blocking message, in a refresh. `pcall` is made of coroutines too, so that
//! Lua 5.1 can wait inside it. Where Lua cannot give way (in `table.sort`, a coroutine of the script's own) waiting keeps
//! the whole script.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mlua::thread::ThreadStatus;
use mlua::{Function, Lua, MultiValue, Result, Table, Thread, Value, Variadic};

use super::host::{Answer, Card, Fleet, Host, Method, Refusal, Stop};
use super::vm::{Trouble, Vm, fell};
use super::words;

/// Most listeners of a script.
const MAX_LISTENERS: usize = 64;
/// Most callbacks of a script that are alive at a time.
const MAX_ALIVE: usize = 64;
/// Most events that wait for a script.
const MAX_WAITING: usize = 10_000;
/// Between two turns of a task that gave way by itself.
const TURN: Duration = Duration::from_millis(1);
/// Longest wait for a letter.
const NAP: Duration = Duration::from_secs(3600);

/// Makes the words that wait give way, and `pcall` let them.
const PRELUDE: &str = r#"
local native, token = ...
local error, running, yield, create, resume, status = error, coroutine.running, coroutine.yield, coroutine.create, coroutine.resume, coroutine.status
local managed, closed, listening = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" }), false

for word, block in pairs(native.blocking) do
  _G[word] = function(...)
    local co = running()
    if listening and co and managed[co] and not closed[co] then return yield(token, word, ...) end
    return block(...)
  end
end

for word, register in pairs(native.listeners) do
  _G[word] = function(...)
    local why = register(...)
    if why then error(why, 2) end
    listening = true
  end
end

local plain = pcall
function pcall(f, ...)
  local co = running()
  if not (co and managed[co]) then return plain(f, ...) end
  local child = create(function(...) return f(...) end)
  managed[child], closed[child] = true, closed[co]
  local function step(ok, ...)
    if not ok then return false, ... end
    if status(child) == "dead" then return true, ... end
    return step(resume(child, yield(...)))
  end
  return step(resume(child, ...))
end

for name, library in pairs { sort = table, foreach = table, foreachi = table } do
  local plain = library[name]
  library[name] = plain and function(...)
    local co = running()
    if not (co and managed[co]) then return plain(...) end
    local before = closed[co]
    local function leave(...) closed[co] = before return ... end
    closed[co] = true
    return leave(plain(...))
  end
end

return function(f)
  local co = create(function(...) return f(...) end)
  managed[co] = true
  return co
end
"#;

/// Something that listeners wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// An event of an Inform: the device, and the event as scripts see it.
    Event(String, String),
    /// A device was heard of for the first time.
    NewDevice(String),
}

/// How the ACS reaches a running script.
#[derive(Default)]
pub struct Mailbox {
    stop: Stop,
    letters: Mutex<Letters>,
    arrived: Condvar,
}

#[derive(Default)]
struct Letters {
    occurrences: VecDeque<Occurrence>,
    done: Vec<(u32, Done)>,
    lost: usize,
}

/// What a task waits for, on a thread of its own.
type Work = Box<dyn FnOnce(&dyn Fleet) -> Done + Send>;

/// What a wait came to.
enum Done {
    Answer(std::result::Result<Answer, Refusal>),
    Flag(bool),
}

impl Mailbox {
    /// Ends the script: at once in Lua code and in what waits.
    pub fn stop(&self) {
        self.stop.stop();
        // With the letters, so that the script is not between looking and waiting.
        let _letters = self.letters();
        self.arrived.notify_all();
    }

    /// The signal that [`Mailbox::stop`] gives.
    pub fn signal(&self) -> &Stop {
        &self.stop
    }

    /// Tells the script; beyond ten thousand that it has not taken yet, the script is told how many were lost.
    pub fn tell(&self, occurrence: Occurrence) {
        let mut letters = self.letters();
        if letters.occurrences.len() < MAX_WAITING {
            letters.occurrences.push_back(occurrence);
        } else {
            letters.lost += 1;
        }
        self.arrived.notify_all();
    }

    /// Waits for one occurrence, dropping others; whether it came before then.
    pub fn wait_for(&self, wanted: &Occurrence, until: Instant) -> bool {
        while Instant::now() < until {
            if self.take(until).occurrences.contains(wanted) {
                return true;
            }
        }
        false
    }

    fn finish(&self, task: u32, done: Done) {
        self.letters().done.push((task, done));
        self.arrived.notify_all();
    }

    /// What has arrived, waiting for it no longer than until then.
    fn take(&self, until: Instant) -> Letters {
        let mut letters = self.letters();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let any = !letters.occurrences.is_empty() || !letters.done.is_empty();
            if any || left.is_zero() || self.stop.is_stopped() {
                return std::mem::take(&mut *letters);
            }
            letters = self.arrived.wait_timeout(letters, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a script in a fresh state: to its end if it does not listen, else until it is stopped. An error in a callback is
/// printed, the listener stays; one in the script itself ends it.
///
/// # Errors
/// Why it ended otherwise.
pub fn run(
    vm: &Vm,
    script: &str,
    host: &Arc<dyn Fleet>,
    mailbox: &Arc<Mailbox>,
) -> std::result::Result<(), Trouble> {
    let start = |error: mlua::Error| Trouble::Start(error.to_string());
    let listeners = Arc::new(Mutex::new(Vec::new()));
    let token = vm.lua().create_table().map_err(start)?;
    let spawn = install(vm, host, &listeners, &token).map_err(start)?;
    let script = vm.load(script)?;
    let mut loop_ = Loop {
        vm,
        host: Arc::clone(host),
        mailbox: Arc::clone(mailbox),
        token,
        spawn,
        listeners,
        tasks: Vec::new(),
        last: 0,
    };
    loop_.begin(script, MultiValue::new(), None).map_err(start)?;
    loop_.turn()
}

/// Who waits for events or new devices.
struct Listener {
    kind: Kind,
    serial_number: Option<String>,
    callback: Function,
    parallel: usize,
    /// What comes while all callbacks are busy is not kept.
    discard: bool,
    waiting: VecDeque<Occurrence>,
    alive: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Event(Option<String>),
    NewDevice,
}

impl Listener {
    fn wants(&self, occurrence: &Occurrence) -> bool {
        let (fits, device) = match (&self.kind, occurrence) {
            (Kind::Event(wanted), Occurrence::Event(device, event)) => {
                (wanted.as_ref().is_none_or(|wanted| wanted == event), device)
            }
            (Kind::NewDevice, Occurrence::NewDevice(device)) => (true, device),
            _ => return false,
        };
        fits && self.serial_number.as_ref().is_none_or(|wanted| wanted == device)
    }
}

type Listeners = Arc<Mutex<Vec<Listener>>>;

/// The script itself, or a callback.
struct Task {
    id: u32,
    thread: Thread,
    listener: Option<usize>,
    wait: Wait,
}

enum Wait {
    Ready(MultiValue),
    Until(Instant),
    Answer,
}

struct Loop<'a> {
    vm: &'a Vm,
    host: Arc<dyn Fleet>,
    mailbox: Arc<Mailbox>,
    token: Table,
    spawn: Function,
    listeners: Listeners,
    tasks: Vec<Task>,
    last: u32,
}

impl Loop<'_> {
    fn turn(&mut self) -> std::result::Result<(), Trouble> {
        loop {
            self.resume_all()?;
            self.call_listeners();
            if self.tasks.is_empty() && lock(&self.listeners).is_empty() {
                return Ok(());
            }
            let until = self.tasks.iter().map(|task| match task.wait {
                Wait::Ready(_) => Instant::now(),
                Wait::Until(until) => until,
                Wait::Answer => Instant::now() + NAP,
            });
            let until = until.min().unwrap_or_else(|| Instant::now() + NAP);
            let letters = self.mailbox.take(until);
            if let Some(ended) = self.vm.fence().ended() {
                return Err(self.vm.ended(ended));
            }
            if letters.lost > 0 {
                self.host
                    .print(&format!("({} events were lost: {MAX_WAITING} waited already)", letters.lost));
            }
            for (id, done) in letters.done {
                self.arrived(id, done);
            }
            for occurrence in letters.occurrences {
                self.sort(&occurrence);
            }
        }
    }

    /// Resumes what can go on, each once.
    fn resume_all(&mut self) -> std::result::Result<(), Trouble> {
        let (ready, waiting) =
            std::mem::take(&mut self.tasks).into_iter().partition(|task| match task.wait {
                Wait::Ready(_) => true,
                Wait::Until(until) => Instant::now() >= until,
                Wait::Answer => false,
            });
        self.tasks = waiting;
        let ready: Vec<Task> = ready;
        for mut task in ready {
            let values = match std::mem::replace(&mut task.wait, Wait::Answer) {
                Wait::Ready(values) => values,
                Wait::Until(_) | Wait::Answer => MultiValue::new(),
            };
            let result = task.thread.resume::<MultiValue>(values);
            if let Some(ended) = self.vm.fence().ended() {
                return Err(self.vm.ended(ended));
            }
            match result {
                Ok(values) if task.thread.status() == ThreadStatus::Resumable => {
                    task.wait = self.wait(task.id, values);
                    self.tasks.push(task);
                }
                Ok(_) => self.left(&task),
                Err(error) if task.listener.is_none() => return Err(self.vm.trouble(&error)),
                Err(error) => {
                    self.host.print(&self.vm.trouble(&error).to_string());
                    self.left(&task);
                }
            }
        }
        Ok(())
    }

    fn left(&self, task: &Task) {
        let mut listeners = lock(&self.listeners);
        if let Some(listener) = task.listener.and_then(|at| listeners.get_mut(at)) {
            listener.alive -= 1;
        }
    }

    /// Hands an occurrence to the listeners that want it.
    fn sort(&self, occurrence: &Occurrence) {
        for listener in lock(&self.listeners).iter_mut().filter(|listener| listener.wants(occurrence)) {
            let busy = listener.alive + listener.waiting.len() >= listener.parallel;
            if !(listener.discard && busy) && listener.waiting.len() < MAX_WAITING {
                listener.waiting.push_back(occurrence.clone());
            }
        }
    }

    /// Starts callbacks for what waits, as many as may live.
    fn call_listeners(&mut self) {
        loop {
            if self.tasks.len() > MAX_ALIVE {
                return;
            }
            let mut listeners = lock(&self.listeners);
            let Some((at, listener)) = listeners
                .iter_mut()
                .enumerate()
                .find(|(_, listener)| listener.alive < listener.parallel && !listener.waiting.is_empty())
            else {
                return;
            };
            let Some(occurrence) = listener.waiting.pop_front() else { return };
            let callback = listener.callback.clone();
            listener.alive += 1;
            drop(listeners);
            let begun = match self.argument(&occurrence) {
                Ok(Some(argument)) => {
                    self.begin(callback, MultiValue::from_iter([Value::Table(argument)]), Some(at))
                }
                // Deleted meanwhile.
                Ok(None) => Err(mlua::Error::RuntimeError("the new device is gone again".to_owned())),
                Err(error) => Err(error),
            };
            if let Err(error) = begun {
                self.host.print(&error.to_string());
                if let Some(listener) = lock(&self.listeners).get_mut(at) {
                    listener.alive -= 1;
                }
            }
        }
    }

    fn argument(&self, occurrence: &Occurrence) -> Result<Option<Table>> {
        match occurrence {
            Occurrence::Event(device, event) => {
                let table = self.vm.lua().create_table()?;
                table.raw_set("serial_number", device.as_str())?;
                table.raw_set("event", event.as_str())?;
                Ok(Some(table))
            }
            Occurrence::NewDevice(device) => {
                self.host.device(device).map(|card| device_table(self.vm.lua(), &card)).transpose()
            }
        }
    }

    fn begin(&mut self, function: Function, values: MultiValue, listener: Option<usize>) -> Result<()> {
        let thread: Thread = self.spawn.call(function)?;
        self.last = self.last.wrapping_add(1);
        self.tasks.push(Task { id: self.last, thread, listener, wait: Wait::Ready(values) });
        Ok(())
    }

    /// What a task that gave way waits for.
    fn wait(&self, task: u32, values: MultiValue) -> Wait {
        let mut values = values.into_iter();
        let ours = matches!(values.next(), Some(Value::Table(table)) if table == self.token);
        let word = values.next().and_then(|word| words::text(&word)).unwrap_or_default();
        if !ours {
            return Wait::Until(Instant::now() + TURN);
        }
        let arguments: Vec<Value> = values.collect();
        let argument = |at: usize| arguments.get(at).unwrap_or(&Value::Nil);
        if word == "sleep" {
            let time = words::duration(argument(0)).min(Duration::from_secs(100 * 365 * 24 * 3600));
            return Wait::Until(Instant::now() + time);
        }
        let work: Work = if word == "refresh_device_parameters" {
            let device = words::text(argument(0)).unwrap_or_default();
            let fence = self.vm.fence().clone();
            Box::new(move |host| Done::Flag(host.refresh_now(&device, &fence)))
        } else {
            match words::call_arguments(argument(0), argument(1), argument(2)) {
                Ok((device, message, method)) => {
                    let (fence, later) = (self.vm.fence().clone(), word == "send_cwmp_async_message");
                    Box::new(move |host| {
                        Done::Answer(match later {
                            true => host.call_later(&device, &message, method, &fence),
                            false => host.call(&device, &message, method, &fence),
                        })
                    })
                }
                Err(refusal) => return Wait::Ready(self.values(Done::Answer(Err(refusal)))),
            }
        };
        let (host, mailbox) = (Arc::clone(&self.host), Arc::clone(&self.mailbox));
        let spawned = thread::Builder::new().name("lua-wait".to_owned()).spawn(move || {
            let done = work(host.as_ref());
            mailbox.finish(task, done);
        });
        match spawned {
            Ok(_) => Wait::Answer,
            Err(error) => Wait::Ready(self.values(Done::Answer(Err(Refusal::new(500, error.to_string()))))),
        }
    }

    fn arrived(&mut self, id: u32, done: Done) {
        let values = self.values(done);
        if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
            task.wait = Wait::Ready(values);
        }
    }

    fn values(&self, done: Done) -> MultiValue {
        let value = match done {
            Done::Flag(flag) => Ok(Value::Boolean(flag)),
            Done::Answer(answer) => words::outcome(self.vm.lua(), answer),
        };
        // Only for lack of memory, which the script will meet itself.
        MultiValue::from_iter([value.unwrap_or(Value::Nil)])
    }
}

fn lock(listeners: &Listeners) -> MutexGuard<'_, Vec<Listener>> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds all functions; gives the one that makes a coroutine of a function.
fn install(vm: &Vm, host: &Arc<dyn Fleet>, listeners: &Listeners, token: &Table) -> Result<Function> {
    let (lua, globals) = (vm.lua(), vm.lua().globals());
    let common: Arc<dyn Host> = Arc::clone(host) as Arc<dyn Host>;
    words::install(vm, &common, usize::MAX)?;
    // It is for Services, where a queue is drained by the session that the script runs in.
    globals.raw_set("send_cwmp_message_and_forget", mlua::Nil)?;
    install_fleet(lua, host)?;

    let blocking = lua.create_table()?;
    for word in ["sleep", "send_cwmp_message"] {
        blocking.raw_set(word, globals.raw_get::<Function>(word)?)?;
    }
    let (theirs, fence) = (Arc::clone(host), vm.fence().clone());
    blocking.raw_set(
        "send_cwmp_async_message",
        lua.create_function(
            move |lua, (device, message, kind, _): (Value, Value, Value, Variadic<Value>)| {
                let answer = words::call_arguments(&device, &message, &kind).and_then(
                    |(device, message, method): (String, String, Method)| {
                        theirs.call_later(&device, &message, method, &fence)
                    },
                );
                match fence.ended() {
                    Some(ended) => Err(fell(ended)),
                    None => words::outcome(lua, answer),
                }
            },
        )?,
    )?;
    let (theirs, fence) = (Arc::clone(host), vm.fence().clone());
    blocking.raw_set(
        "refresh_device_parameters",
        lua.create_function(move |_, device: Value| {
            let done = words::text(&device).is_some_and(|device| theirs.refresh_now(&device, &fence));
            fence.ended().map_or(Ok(done), |ended| Err(fell(ended)))
        })?,
    )?;

    let words = lua.create_table()?;
    for (word, event) in [("listen_to_cwmp_event", true), ("listen_to_new_device", false)] {
        let listeners = Arc::clone(listeners);
        words.raw_set(
            word,
            lua.create_function(move |_, arguments: Variadic<Value>| {
                Ok(listen(&listeners, word, event, &arguments).err())
            })?,
        )?;
    }
    let native = lua.create_table()?;
    native.raw_set("blocking", blocking)?;
    native.raw_set("listeners", words)?;
    lua.load(PRELUDE).set_name("=prelude").call((native, token.clone()))
}

/// Registers a listener in any of the documents' forms: the first function is the callback; text before it names the event and
/// the device, `*` and nothing being any; a number after it is how many callbacks may live at a time, a boolean whether what comes
/// meanwhile is discarded.
fn listen(
    listeners: &Listeners,
    word: &str,
    event: bool,
    arguments: &[Value],
) -> std::result::Result<(), String> {
    let at = arguments.iter().position(|value| matches!(value, Value::Function(_)));
    let Some((at, Value::Function(callback))) = at.map(|at| (at, &arguments[at])) else {
        return Err(format!("{word} needs a callback function"));
    };
    let before = |index: usize| if index < at { arguments.get(index).and_then(words::text) } else { None };
    let wanted = |text: Option<String>| text.filter(|text| !text.is_empty() && text != "*");
    let kind = match event {
        true => Kind::Event(wanted(before(0)).map(|code| event_word(&code))),
        false => Kind::NewDevice,
    };
    let after = &arguments[at + 1..];
    let parallel = after.iter().find_map(words::number).unwrap_or(1.0).clamp(1.0, MAX_ALIVE as f64);
    let discard = after.iter().any(|value| matches!(value, Value::Boolean(true)));
    let mut listeners = lock(listeners);
    if listeners.len() >= MAX_LISTENERS {
        return Err(format!("a script has at most {MAX_LISTENERS} listeners"));
    }
    listeners.push(Listener {
        kind,
        serial_number: wanted(before(1)),
        callback: callback.clone(),
        parallel: if parallel.is_nan() { 1 } else { parallel as usize },
        discard,
        waiting: VecDeque::new(),
        alive: 0,
    });
    Ok(())
}

/// An event code as scripts see it: the number of a standard one, else the whole code.
pub fn event_word(code: &str) -> String {
    let first = code.split(' ').next().unwrap_or_default();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { first.to_owned() } else { code.to_owned() }
}

fn install_fleet(lua: &Lua, host: &Arc<dyn Fleet>) -> Result<()> {
    let globals = lua.globals();
    let theirs = Arc::clone(host);
    let get = move |lua: &Lua, serial: Value| match words::text(&serial)
        .and_then(|serial| theirs.device(&serial))
    {
        Some(card) => device_table(lua, &card).map(Value::Table),
        None => Ok(Value::Boolean(false)),
    };
    globals.raw_set("get_device", lua.create_function(get)?)?;
    let theirs = Arc::clone(host);
    let all = move |lua: &Lua, ()| {
        let list = lua.create_table()?;
        for card in theirs.devices() {
            list.raw_push(device_table(lua, &card)?)?;
        }
        Ok(list)
    };
    globals.raw_set("get_all_devices", lua.create_function(all)?)?;
    let theirs = Arc::clone(host);
    let delete = move |_: &Lua, serial: Value| {
        Ok(words::text(&serial).is_some_and(|serial| theirs.delete_device(&serial)))
    };
    globals.raw_set("delete_device", lua.create_function(delete)?)?;
    let theirs = Arc::clone(host);
    let model = move |_: &Lua, (serial, model): (Value, Value)| {
        let arguments = words::text(&serial).zip(words::text(&model));
        Ok(arguments.is_some_and(|(serial, model)| theirs.set_model(&serial, &model)))
    };
    globals.raw_set("set_device_model", lua.create_function(model)?)?;
    let theirs = Arc::clone(host);
    let credential = move |_: &Lua, (username, password): (Value, Value)| {
        let text = |value: &Value| words::text(value).filter(|text| !text.is_empty());
        let arguments = text(&username).zip(text(&password));
        Ok(arguments.is_some_and(|(username, password)| theirs.credential(&username, &password).is_ok()))
    };
    globals.raw_set("create_or_update_device_credential", lua.create_function(credential)?)?;
    globals.raw_set("send_usp_message", lua.create_function(send_usp)?)
}

/// There is no agent with USP yet: what is sent is looked at, and refused as for one that is offline.
fn send_usp(lua: &Lua, (endpoint, message): (Value, Value)) -> Result<Table> {
    let body = match &message {
        Value::String(text) => {
            serde_json::from_slice::<serde_json::Value>(&text.as_bytes()).map_err(|error| error.to_string())
        }
        other => Err(format!("it must be a string, not {}", other.type_name())),
    };
    let refusal = match (words::text(&endpoint), body) {
        (None, _) => Refusal::new(400, "the endpoint id must be a string"),
        (_, Err(why)) => Refusal::new(400, format!("the message cannot be read: {why}")),
        (_, Ok(body)) if !body["header"].is_object() || !body["body"].is_object() => {
            Refusal::new(400, "the message is no USP message: it needs a header and a body")
        }
        _ => Refusal::new(503, "Device is offline"),
    };
    words::error_table(lua, &refusal)
}

fn device_table(lua: &Lua, card: &Card) -> Result<Table> {
    let table = lua.create_table()?;
    for (name, text) in [
        ("sn", card.serial_number.as_str()),
        ("model", &card.model),
        ("vendor", &card.vendor),
        ("version", &card.version),
        ("product_class", &card.product_class),
        ("alias", ""),
        ("data_model", &card.data_model),
    ] {
        table.raw_set(name, text)?;
    }
    // 0 is offline, 1 associating, 2 online.
    table.raw_set("status", if card.online { 2 } else { 0 })?;
    table.raw_set("cwmp", card.cwmp)?;
    table.raw_set("usp", false)?;
    Ok(table)
}
