//! `Device.DeviceInfo.ProcessStatus.`: the processes of `/proc`, and how busy the processors are.

use std::cell::{Cell, RefCell};

use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "cpu_usage", get: usage, set: None },
    ValueFn { name: "process", get: process, set: None },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "processes", rows: processes, add: None, delete: None },
    TableFn { name: "processors", rows: processors, add: None, delete: None },
];

/// Milliseconds of a tick as `/proc` counts them: USER_HZ is 100 everywhere.
const TICK: u64 = 10;
/// The fewest ticks between two looks that make a figure.
const ENOUGH: u64 = 20;

/// Ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Ticks {
    busy: u64,
    all: u64,
}

/// The most processors.
const MAX_PROCESSORS: usize = 256;

thread_local! {
    /// As [`BEFORE`], for each processor.
    static SHARES: RefCell<Vec<(String, Share)>> = const { RefCell::new(Vec::new()) };
    /// The look before: usage is a difference of two, and since boot it says little.
    static BEFORE: Cell<Ticks> = const { Cell::new(Ticks { busy: 0, all: 0 }) };
}

/// Percent busy since the last look, of all processors together; the first time since boot.
fn usage(system: &mut System, _at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(now) = system.text("/proc/stat").and_then(|text| ticks(&text)) else { return Ok(None) };
    let before = BEFORE.get();
    let fresh = now.all.checked_sub(before.all).filter(|all| *all >= ENOUGH).is_some();
    if fresh {
        BEFORE.set(now);
    }
    let busy = percent(if fresh { before } else { Ticks::default() }, now).min(100);
    Ok(Some(Raw::One(if what == "free" { 100 - busy } else { busy }.to_string())))
}

/// Ticks of one processor: user (and nice), idle (and waiting), all.
type Share = [u64; 3];

/// A row for each line `cpuN` of `/proc/stat`. Columns: percent in user mode, in the kernel, idle, busy.
fn processors(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text("/proc/stat").unwrap_or_default();
    let now: Vec<(String, Share)> = text.lines().filter_map(share).take(MAX_PROCESSORS).collect();
    let before = SHARES.with_borrow_mut(|before| {
        let enough = |(at, (name, share)): (usize, &(String, Share))| {
            before
                .get(at)
                .is_none_or(|(other, old)| other != name || share[2].saturating_sub(old[2]) >= ENOUGH)
        };
        if now.iter().enumerate().any(enough) { std::mem::replace(before, now.clone()) } else { Vec::new() }
    });
    let row = |(name, share): (String, Share)| {
        let old = before.iter().find(|(other, _)| *other == name).map_or([0; 3], |(_, old)| *old);
        let old = if old[2] < share[2] { old } else { [0; 3] };
        let part = |at: usize| {
            percent(Ticks { busy: old[at], all: old[2] }, Ticks { busy: share[at], all: share[2] }).min(100)
        };
        let (user, idle) = (part(0), part(1));
        let busy = 100 - idle;
        let cols = [user, busy.saturating_sub(user), idle, busy].map(|part| part.to_string()).to_vec();
        Row { addr: name.clone(), name, cols }
    };
    Ok(now.into_iter().map(row).collect())
}

/// A line `cpuN`: user nice system idle iowait irq softirq steal.
fn share(line: &str) -> Option<(String, Share)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    name.strip_prefix("cpu")?.parse::<u16>().ok()?;
    let numbers: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let all = numbers.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
    let sum = |a: usize, b: usize| Some(numbers.get(a)?.saturating_add(numbers.get(b).copied().unwrap_or(0)));
    Some((name.to_owned(), [sum(0, 1)?, sum(3, 4)?, all]))
}

fn percent(before: Ticks, now: Ticks) -> u128 {
    let all = u128::from(now.all.saturating_sub(before.all).max(1));
    let busy = u128::from(now.busy.saturating_sub(before.busy)).min(all);
    busy * 100 / all
}

/// The line `cpu` of `/proc/stat`: user nice system idle iowait irq softirq steal.
fn ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let all = numbers.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
    let idle = numbers.get(3)?.saturating_add(numbers.get(4).copied().unwrap_or(0));
    Some(Ticks { busy: all.saturating_sub(idle), all })
}

fn processes(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let mut ids: Vec<u32> = system.names("/proc").iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort_unstable();
    let row = |id: u32| Row { name: id.to_string(), addr: id.to_string(), cols: Vec::new() };
    Ok(ids.into_iter().map(row).collect())
}

fn process(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    if what == "size" {
        let status = system.text(&format!("/proc/{}/status", row.addr));
        return Ok(status.and_then(|text| resident(&text)).map(Raw::One));
    }
    let stat = system.text(&format!("/proc/{}/stat", row.addr));
    Ok(stat.and_then(|text| Stat::parse(&text)?.field(what)).map(Raw::One))
}

/// KiB in memory; kernel threads have none.
pub(super) fn resident(status: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next().filter(|word| word.parse::<u32>().is_ok()).map(str::to_owned)
}

/// A line of `/proc/PID/stat`. The command may hold blanks and parentheses: the last one ends it.
struct Stat<'t> {
    command: &'t str,
    rest: Vec<&'t str>,
}

impl<'t> Stat<'t> {
    fn parse(text: &'t str) -> Option<Stat<'t>> {
        let (head, tail) = text.rsplit_once(')')?;
        let (_, command) = head.split_once('(')?;
        Some(Stat { command, rest: tail.split_whitespace().take(20).collect() })
    }

    fn field(&self, what: &str) -> Option<String> {
        let number = |at: usize| self.rest.get(at)?.parse::<i64>().ok();
        Some(match what {
            "command" => self.command.to_owned(),
            "state" => match *self.rest.first()? {
                "R" => "Running",
                "D" => "Uninterruptible",
                "Z" | "X" => "Zombie",
                "T" | "t" => "Stopped",
                "I" => "Idle",
                _ => "Sleeping",
            }
            .to_owned(),
            // Real-time priorities are below zero, and TR-181 has nothing above the highest.
            "priority" => number(15)?.clamp(0, 99).to_string(),
            "time" => {
                let ticks = u64::try_from(number(11)?).ok()?.saturating_add(u64::try_from(number(12)?).ok()?);
                ticks.saturating_mul(TICK).min(u64::from(u32::MAX)).to_string()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        let text =
            "cpu  28412 0 40211 9911023 51 0 30114 0 0 0\ncpu0 7103 0 10052 2477755 12 0 20011 0 0 0\n";
        let now = ticks(text).unwrap_or_default();
        assert_eq!(now, Ticks { busy: 98_737, all: 10_009_811 });
        assert_eq!(percent(Ticks::default(), now), 0);
        assert_eq!(percent(Ticks { busy: 98_637, all: 10_009_611 }, now), 50);
        assert_eq!(percent(now, Ticks::default()), 0);
        assert_eq!(percent(Ticks::default(), Ticks { busy: u64::MAX, all: u64::MAX }), 100);
        for bad in ["", "cpu", "cpu  x", "cpu  1 2 3", "cpu0 1 2 3 4"] {
            assert_eq!(ticks(bad), None, "{bad}");
        }
    }

    #[test]
    fn shares() {
        let (name, ticks) = share("cpu1 50 10 20 100 20 0 0 0 0 0").unwrap_or_default();
        assert_eq!((name.as_str(), ticks), ("cpu1", [60, 120, 200]));
        for bad in ["", "cpu  1 2 3 4", "cpux 1 2 3 4", "cpu0 1 2", "intr 1"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_process() {
        let text = "811 (a) (b c) S 1 811 811 0 -1 4194560 1 2 3 4 250 17 0 0 20 0 1 0 900 1 2 3";
        let stat = Stat::parse(text).map(|stat| {
            ["command", "state", "priority", "time", "x"].map(|what| stat.field(what).unwrap_or_default())
        });
        assert_eq!(stat, Some(["a) (b c", "Sleeping", "20", "2670", ""].map(str::to_owned)));
        assert!(Stat::parse("1 (a R").is_none());
        assert!(Stat::parse("1 (a) R").is_some_and(|stat| stat.field("time").is_none()));
        assert_eq!(resident("Name:\ta\nVmRSS:\t    1234 kB\n").as_deref(), Some("1234"));
        assert_eq!(resident("VmRSS:\t-1 kB"), None);
    }
}
