//! One Lua 5.1 state behind a fence: few libraries, text chunks only, limited memory and time.
//!
//! Time: a count hook looks at the fence. Once the fence has fallen it raises an error and re-arms itself to every instruction;
//! `pcall` and `coroutine.resume` are wrapped to raise again what they caught then, so that no loop of
//! protected calls lives on. What still cannot be interrupted (a C function that computes for hours) is given
//! up with its thread. A pattern in Lua 5.1 recurses once for each of its characters: patterns are bounded and the
//! thread's stack is large, so that none overflows it.

use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{FromLuaMulti, Function, HookTriggers, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, VmState};

use super::host::{Ended, Fence, Stop};

/// Largest script, in bytes.
pub const MAX_SCRIPT: usize = 1024 * 1024;
/// Runs that were given up and still compute; no new run starts beyond.
const MAX_LOST: usize = 4;
/// How long after its deadline a run may take to notice.
const GRACE: Duration = Duration::from_secs(2);
/// Instructions between two looks at the fence.
const STRIDE: u32 = 1000;
/// Of a run's thread: nested `string.gsub` callbacks and long patterns live on the C stack.
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

/// Wraps what could outlive the fence or overflow the stack. `fallen` raises when the fence has fallen.
const PRELUDE: &str = r#"
local fallen, type, error = ...
local pcall0, resume0 = pcall, coroutine.resume
local function after(...) fallen() return ... end
function pcall(...) return after(pcall0(...)) end
function coroutine.resume(...) return after(resume0(...)) end
local function text(value, at, name)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    error("bad argument #" .. at .. " to '" .. name .. "' (string expected, got " .. kind .. ")", 3)
  end
end
for _, name in pairs { "find", "match", "gmatch", "gsub" } do
  local native = string[name]
  string[name] = function(s, p, ...)
    text(s, 1, name)
    text(p, 2, name)
    if type(p) == "string" and #p > 4096 then error("the pattern is longer than 4096 bytes", 2) end
    return native(s, p, ...)
  end
end
string.gfind = string.gmatch
"#;

/// The threads of runs that were given up.
static LOST: Mutex<Vec<thread::JoinHandle<()>>> = Mutex::new(Vec::new());

/// What a run may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the state's heap.
    pub memory: usize,
    /// Wall-clock time, sleeping included.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 * 1024 * 1024, time: Duration::from_secs(60) }
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
        restrict(&lua, &fence).map_err(start)?;
        lua.set_memory_limit(limits.memory).map_err(start)?;
        arm(&lua, STRIDE, fence.clone()).map_err(start)?;
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

/// Looks at the fence every `stride` instructions.
fn arm(lua: &Lua, stride: u32, fence: Fence) -> mlua::Result<()> {
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(stride), move |lua, _| {
        let Some(ended) = fence.ended() else { return Ok(VmState::Continue) };
        if stride > 1 {
            arm(lua, 1, fence.clone())?;
        }
        Err(fell(ended))
    })
}

/// The error that a fallen fence raises.
pub(super) fn fell(ended: Ended) -> mlua::Error {
    mlua::Error::RuntimeError(match ended {
        Ended::Stopped => Trouble::Stopped.to_string(),
        Ended::TimeUp(limit) => Trouble::Time(limit).to_string(),
    })
}

/// Takes away what is not in the lists above and installs the prelude.
fn restrict(lua: &Lua, fence: &Fence) -> mlua::Result<()> {
    let globals = lua.globals();
    keep(&globals, |name| BASE.contains(&name))?;
    keep(&globals.get("os")?, |name| OS.contains(&name))?;
    keep(&globals.get("string")?, |name| !NOT_STRING.contains(&name))?;
    let fence = fence.clone();
    let fallen = lua.create_function(move |_, ()| match fence.ended() {
        Some(ended) => Err(fell(ended)),
        None => Ok(()),
    })?;
    let kept: (Function, Function) = (globals.get("type")?, globals.get("error")?);
    lua.load(PRELUDE).set_name("=prelude").set_mode(ChunkMode::Text).call((fallen, kept.0, kept.1))
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
