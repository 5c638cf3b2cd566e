//! One Lua 5.1 state behind a fence: few libraries, text chunks only, limited memory and time.
//!
//! Time: a count hook looks at the fence. Once the fence has fallen it raises an error and re-arms itself to every instruction;
//! `pcall` and `coroutine.resume` are wrapped to raise again what they caught then, so that no loop of
//! protected calls lives on. Patterns and plain texts are sought by ourselves ([`pattern`]), and what sorts or calls back is Lua
//! (`prelude.lua`), so that they can be interrupted. What still cannot be is given up with its thread. Matching recurses once for each item of a pattern: the
//! thread's stack is large, so that none overflows it.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{
    FromLuaMulti, Function, HookTriggers, IntoLuaMulti, Lua, LuaOptions, LuaString, MultiValue, StdLib,
    Table, Value, VmState,
};

use super::host::{Ended, Fence, Stop};
use super::pattern::{self, Capture};

/// Largest script, in bytes.
pub const MAX_SCRIPT: usize = 1024 * 1024;
/// Runs that were given up and still compute; no new run starts beyond.
const MAX_LOST: usize = 4;
/// How long after its deadline a run may take to notice.
const GRACE: Duration = Duration::from_secs(2);
/// Instructions between two looks at the fence: few, since each may be the comparison or the copy of two large strings.
const STRIDE: u32 = 100;
/// Strides in a thousand instructions.
const STRIDES: u32 = 1000 / STRIDE;
/// Of a run's thread: nested calls of C functions and long patterns live on the C stack.
const STACK: usize = 16 * 1024 * 1024;

/// The globals of the base library that stay.
const BASE: &[&str] = &[
    "_G",
    "_VERSION",
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "coroutine",
    "math",
    "os",
    "string",
    "table",
];
/// What stays of `os`: nothing that touches the system.
const OS: &[&str] = &["clock", "date", "difftime", "time"];
/// What goes of `string`: `dump` makes byte code.
const NOT_STRING: &[&str] = &["dump"];

/// Takes what it is called with in [`restrict`].
const PRELUDE: &str = include_str!("prelude.lua");

/// The threads of runs that were given up.
static LOST: Mutex<Vec<thread::JoinHandle<()>>> = Mutex::new(Vec::new());

/// What a run may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the state's heap.
    pub memory: usize,
    /// Wall-clock time, sleeping included.
    pub time: Duration,
    /// Thousands of instructions of the Lua machine; [`u32::MAX`] is no limit.
    pub work: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 * 1024 * 1024, time: Duration::from_secs(60), work: 20_000_000 }
    }
}

/// Why a run had no proper end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The script is not Lua, or too long.
    Syntax(String),
    /// An error nobody caught, with its traceback.
    Uncaught(String),
    /// More memory than allowed, in bytes.
    Memory(usize),
    /// Longer than allowed.
    Time(Duration),
    /// More instructions than allowed, in thousands.
    Work(u32),
    /// Ended from outside.
    Stopped,
    /// It did not end even when it had to; its thread was given up.
    Lost(Duration),
    /// It could not start.
    Start(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Syntax(why) => write!(f, "the script cannot be read: {why}"),
            Trouble::Uncaught(why) => write!(f, "the script raised an error: {why}"),
            Trouble::Memory(limit) => write!(f, "the script used more than {} MiB of memory", limit >> 20),
            Trouble::Time(limit) => write!(f, "the script ran longer than {} s", limit.as_secs_f32()),
            Trouble::Work(limit) => {
                write!(f, "the script computed more than {limit} thousand instructions")
            }
            Trouble::Stopped => f.write_str("the script was stopped"),
            Trouble::Lost(limit) => {
                write!(
                    f,
                    "the script could not be interrupted after {} s and was given up",
                    limit.as_secs_f32()
                )
            }
            Trouble::Start(why) => write!(f, "the script could not start: {why}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// A fenced state.
pub struct Vm {
    lua: Lua,
    fence: Fence,
    limits: Limits,
}

impl Vm {
    /// A fresh state with fresh globals; its time starts now.
    ///
    /// # Errors
    /// [`Trouble::Start`], for lack of memory.
    pub fn new(limits: Limits, stop: &Stop) -> Result<Vm, Trouble> {
        let start = |error: mlua::Error| Trouble::Start(error.to_string());
        let libraries = StdLib::TABLE | StdLib::OS | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new()).map_err(start)?;
        let fence = Fence::new(stop, limits.time);
        restrict(&lua, &fence, limits.memory).map_err(start)?;
        lua.set_memory_limit(limits.memory).map_err(start)?;
        arm(&lua, fence.clone(), limits.work).map_err(start)?;
        Ok(Vm { lua, fence, limits })
    }

    /// The state, to add functions to.
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// The fence, for functions that wait.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Runs a script to its end. Its lines are `<string>:1` and so on in errors, as upstream.
    ///
    /// # Errors
    /// [`Trouble`], most serious first: when the fence fell it is that, whatever the script made of it.
    pub fn exec(&self, script: &str) -> Result<(), Trouble> {
        let script = self.load(script)?;
        self.call(&script, ())
    }

    /// Reads a script, which is not run yet.
    ///
    /// # Errors
    /// [`Trouble::Syntax`], [`Trouble::Memory`].
    pub fn load(&self, script: &str) -> Result<Function, Trouble> {
        if script.len() > MAX_SCRIPT {
            return Err(Trouble::Syntax(format!("it is longer than {MAX_SCRIPT} bytes")));
        }
        let chunk = self.lua.load(script).set_name("=<string>").set_mode(ChunkMode::Text);
        chunk.into_function().map_err(|error| self.trouble(&error))
    }

    /// Calls a function of the script.
    ///
    /// # Errors
    /// As [`Vm::exec`].
    pub fn call<R: FromLuaMulti>(
        &self,
        function: &Function,
        arguments: impl IntoLuaMulti,
    ) -> Result<R, Trouble> {
        let result = function.call(arguments);
        match self.fence.ended() {
            Some(ended) => Err(self.ended(ended)),
            None => result.map_err(|error| self.trouble(&error)),
        }
    }

    /// The trouble that a fallen fence is.
    pub fn ended(&self, ended: Ended) -> Trouble {
        match ended {
            Ended::Stopped => Trouble::Stopped,
            Ended::TimeUp(limit) => Trouble::Time(limit),
            Ended::Worn => Trouble::Work(self.limits.work),
        }
    }

    /// What an error of Lua's is.
    pub fn trouble(&self, error: &mlua::Error) -> Trouble {
        match error {
            mlua::Error::SyntaxError { message, .. } => Trouble::Syntax(message.clone()),
            mlua::Error::MemoryError(_) => Trouble::Memory(self.limits.memory),
            mlua::Error::RuntimeError(message) => Trouble::Uncaught(message.clone()),
            mlua::Error::CallbackError { cause, traceback } => match cause.as_ref() {
                mlua::Error::MemoryError(_) => Trouble::Memory(self.limits.memory),
                cause => Trouble::Uncaught(format!("{cause}\n{traceback}")),
            },
            other => Trouble::Uncaught(other.to_string()),
        }
    }
}

/// Runs `body` with a state of its own on a thread of its own, and waits for it; when it does not come back in time
/// the thread is left to itself.
///
/// # Errors
/// Those of [`Vm::new`] and of `body`; [`Trouble::Lost`]; [`Trouble::Start`] when too many were lost before.
pub fn run_apart<T: Send + 'static>(
    limits: Limits,
    stop: &Stop,
    body: impl FnOnce(&Vm) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    lost.retain(|thread| !thread.is_finished());
    if lost.len() >= MAX_LOST {
        return Err(Trouble::Start(format!("{MAX_LOST} runs that were given up still compute")));
    }
    drop(lost);
    let (sender, receiver) = mpsc::channel();
    let theirs = stop.clone();
    let body = move || {
        // Nobody listens any more when the run was given up.
        let _ = sender.send(Vm::new(limits, &theirs).and_then(|vm| body(&vm)));
    };
    let thread = self::thread(body).map_err(|error| Trouble::Start(error.to_string()))?;
    let fence = Fence::new(stop, limits.time);
    let mut grace = false;
    loop {
        // Short waits, because a stop shortens the deadline.
        let wait = if grace { GRACE } else { fence.left().min(Duration::from_millis(100)) };
        match receiver.recv_timeout(wait) {
            Ok(result) => return result,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Trouble::Start("its thread broke down".to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) if grace => break,
            Err(mpsc::RecvTimeoutError::Timeout) => grace = fence.ended().is_some(),
        }
    }
    LOST.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    Err(Trouble::Lost(limits.time))
}

/// A thread with room for a state.
///
/// # Errors
/// The system's.
pub fn thread(body: impl FnOnce() + Send + 'static) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("lua".to_owned()).stack_size(STACK).spawn(body)
}

/// Counts instructions and looks at the fence now and then; at every one once it has fallen.
fn arm(lua: &Lua, fence: Fence, work: u32) -> mlua::Result<()> {
    let strides = AtomicU32::new(0);
    let most = work.saturating_mul(STRIDES);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(STRIDE), move |lua, _| {
        if most != u32::MAX && strides.fetch_add(1, Ordering::Relaxed) >= most {
            fence.wear();
        }
        let Some(ended) = fence.ended() else { return Ok(VmState::Continue) };
        let (each, fence) = (HookTriggers::new().every_nth_instruction(1), fence.clone());
        lua.set_global_hook(each, move |_, _| match fence.ended() {
            Some(ended) => Err(fell(ended)),
            None => Ok(VmState::Continue),
        })?;
        Err(fell(ended))
    })
}

/// The error that a fallen fence raises.
pub(super) fn fell(ended: Ended) -> mlua::Error {
    mlua::Error::RuntimeError(match ended {
        Ended::Stopped => Trouble::Stopped.to_string(),
        Ended::TimeUp(limit) => Trouble::Time(limit).to_string(),
        Ended::Worn => "the script computed too much".to_owned(),
    })
}

/// Takes away what is not in the lists above and installs the prelude.
fn restrict(lua: &Lua, fence: &Fence, memory: usize) -> mlua::Result<()> {
    let globals = lua.globals();
    keep(&globals, |name| BASE.contains(&name))?;
    keep(&globals.get("os")?, |name| OS.contains(&name))?;
    keep(&globals.get("string")?, |name| !NOT_STRING.contains(&name))?;
    let theirs = fence.clone();
    let fallen = lua.create_function(move |_, ()| match theirs.ended() {
        Some(ended) => Err(fell(ended)),
        None => Ok(()),
    })?;
    let theirs = fence.clone();
    let search = lua.create_function(move |lua, given: (LuaString, LuaString, usize, bool)| {
        search(lua, &theirs, &given)
    })?;
    let theirs = fence.clone();
    let plain = lua.create_function(move |_, (text, wanted, at): (LuaString, LuaString, usize)| {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        match pattern::find(&text, &wanted, at.saturating_sub(1), &|| theirs.ended().is_none()) {
            Ok(None) => Ok(MultiValue::from_vec(vec![Value::Nil, Value::Nil])),
            Ok(Some(from)) => {
                let place = |at: usize| Value::Number(at as f64);
                Ok(MultiValue::from_vec(vec![Value::Nil, place(from + 1), place(from + wanted.len())]))
            }
            Err(_) => Err(theirs.ended().map_or_else(|| fell(Ended::Stopped), fell)),
        }
    })?;
    let theirs = fence.clone();
    let special = lua.create_function(move |_, pattern: LuaString| {
        for part in pattern.as_bytes().chunks(64 * 1024) {
            if part.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
                return Ok(true);
            }
            if let Some(ended) = theirs.ended() {
                return Err(fell(ended));
            }
        }
        Ok(false)
    })?;
    let rep = lua.create_function(move |lua, (text, count): (LuaString, f64)| {
        let count = if count >= 1.0 { count as usize } else { 0 };
        // Lua's own would grow its buffer up to the limit first.
        match text.as_bytes().len().checked_mul(count).filter(|length| *length < memory) {
            Some(_) => lua.create_string(text.as_bytes().repeat(count)),
            None => Err(mlua::Error::MemoryError("not enough memory".to_owned())),
        }
    })?;
    let mut kept: Vec<Value> =
        [fallen, search, plain, special, rep].into_iter().map(Value::Function).collect();
    for name in ["type", "error", "tostring", "tonumber", "select", "rawget", "rawset", "next"] {
        kept.push(globals.get(name)?);
    }
    lua.load(PRELUDE).set_name("=prelude").set_mode(ChunkMode::Text).call(MultiValue::from_vec(kept))
}

/// The first match of a pattern in a text from a place on: nil, or what is wrong; then start, end and captures. `^` is an
/// anchor only where the last argument says so.
fn search(
    lua: &Lua,
    fence: &Fence,
    (text, pattern, at, anchors): &(LuaString, LuaString, usize, bool),
) -> mlua::Result<MultiValue> {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (pattern, here) = match pattern.strip_prefix(b"^") {
        Some(rest) if *anchors => (rest, true),
        _ => (&pattern[..], false),
    };
    let from = at.saturating_sub(1).min(text.len());
    let found = match pattern::search(&text, pattern, from, here, &|| fence.ended().is_none()) {
        Ok(None) => return Ok(MultiValue::from_vec(vec![Value::Nil, Value::Nil])),
        Ok(Some(found)) => found,
        Err(why) => {
            return match fence.ended() {
                Some(ended) => Err(fell(ended)),
                None => Ok(MultiValue::from_vec(vec![Value::String(lua.create_string(why.to_string())?)])),
            };
        }
    };
    let place = |at: usize| Value::Number(at as f64);
    let mut out = vec![Value::Nil, place(found.from + 1), place(found.to)];
    for capture in found.captures {
        out.push(match capture {
            Capture::Text(from, to) => Value::String(lua.create_string(&text[from..to])?),
            Capture::Position(at) => place(at + 1),
        });
    }
    Ok(MultiValue::from_vec(out))
}

fn keep(table: &Table, wanted: impl Fn(&str) -> bool) -> mlua::Result<()> {
    for pair in table.clone().pairs::<String, mlua::Value>() {
        let (name, _) = pair?;
        if !wanted(&name) {
            table.raw_set(name, mlua::Nil)?;
        }
    }
    Ok(())
}
