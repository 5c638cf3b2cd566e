//! A long run: agents of real time against ACSs that misbehave at random, measured from the beginning to the end.
//!
//! ```text
//!  steady      one agent, never restarted: its memory, descriptors and threads must not grow
//!  restarted   another one, killed or stopped every few minutes: what it keeps on disk must not grow
//!  both        an Inform every two seconds, connection requests by HTTP and UDP, strangers at both ports, a STUN server
//!              that misbehaves, SIGHUPs, lightweight notifications of what somebody changes
//! ```
//! An agent informs once an hour or once a day; an hour of this is 1800 of its periods, weeks or years of its
//! schedule. The clocks are real: what a clock that jumps does to the schedule is `tests/scheduler_days.rs`.

pub mod acs;
pub mod cpe;
pub mod datagrams;
pub mod dice;
pub mod light;
pub mod measure;
pub mod messages;

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use self::cpe::{Cpe, PERIOD};
use self::dice::Dice;
use self::measure::{Sample, Trend, trends};

/// Between two looks.
const TICK: Duration = Duration::from_millis(100);
/// The most time between two samples.
const SAMPLE: Duration = Duration::from_secs(5);
/// How long an ACS that behaves again may wait for a session that goes well: the agent may still be in one that
/// does not.
const RECOVERY: Duration = Duration::from_secs(90);

/// How it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long.
    pub length: Duration,
    /// What chance begins with.
    pub seed: u32,
    /// The agent.
    pub program: PathBuf,
}

/// How it was.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines for people, in order.
    pub lines: Vec<String>,
    /// What was wrong; nothing if all was well.
    pub faults: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        match self.faults.as_slice() {
            [] => writeln!(f, "done         nothing grows, and every agent still has its sessions"),
            faults => faults.iter().try_for_each(|fault| writeln!(f, "FAULT        {fault}")),
        }
    }
}

/// Runs in an empty folder, until the end or until `stop` says so; `show` gets a line now and then.
///
/// # Errors
/// When it cannot begin, in one sentence. What goes wrong later stands in the report.
pub fn run(
    settings: &Settings,
    folder: &Path,
    stop: &mut dyn FnMut() -> bool,
    show: &mut dyn FnMut(&str),
) -> Result<Report, String> {
    let mut dice = Dice::new(settings.seed);
    let mut start = |name: &'static str, below: &str| {
        let folder = folder.join(below);
        std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        Cpe::start(name, &folder, &settings.program, dice.roll())
    };
    let mut pair = [start("steady", "a")?, start("restarted", "b")?];
    let mut run = Run {
        dice,
        samples: [Vec::new(), Vec::new()],
        shown: 0,
        accepted: 0,
        sent: 0,
        renamed: 0,
        report: Report::default(),
    };
    let begin = Instant::now();
    let mut sampled = Duration::ZERO;
    let every = SAMPLE.min(settings.length / 40);
    // Often enough that a short run has some, rarely enough that sessions go well in between.
    let life = (settings.length / 6).min(Duration::from_secs(100));
    let mut next_life = life;
    while begin.elapsed() < settings.length && run.report.faults.is_empty() && !stop() {
        thread::sleep(TICK);
        let at = begin.elapsed();
        run.disturb(&pair);
        if at >= next_life {
            next_life = at + life.mul_f64(f64::from(run.dice.roll() % 100) / 100.0 + 0.5);
            let at_once = run.dice.percent(60);
            run.note(pair[1].restart(at_once));
        }
        if at >= sampled + every {
            sampled = at;
            run.sample(&mut pair, at, settings.length, show);
        }
    }
    let length = begin.elapsed();
    for cpe in &pair {
        // One that has ended would be waited for in vain.
        if run.report.faults.is_empty() {
            run.recovers(cpe);
        }
    }
    run.conclude(&mut pair, settings, length);
    Ok(run.report)
}

struct Run {
    dice: Dice,
    samples: [Vec<Sample>; 2],
    /// How many lines of the course were shown.
    shown: u32,
    /// Connection requests that were taken.
    accepted: u32,
    /// Connection requests by UDP that were sent.
    sent: u32,
    /// How often somebody has changed what lightweight notifications are about.
    renamed: u32,
    report: Report,
}

impl Run {
    fn note(&mut self, result: Result<(), String>) {
        self.report.faults.extend(result.err());
    }

    /// What comes from outside, at random.
    fn disturb(&mut self, pair: &[Cpe; 2]) {
        for cpe in pair {
            match self.dice.below(400) {
                0..=4 => self.accepted += u32::from(cpe.knock()),
                5..=14 => cpe.pester(&mut self.dice),
                15 => cpe.reload(),
                16..=20 => self.sent += u32::from(cpe.knock_by_udp()),
                21..=30 => cpe.pester_by_udp(&mut self.dice),
                31..=38 => self.renamed += u32::from(cpe.rename(self.dice.roll())),
                _ => {}
            }
        }
    }

    fn sample(&mut self, pair: &mut [Cpe; 2], at: Duration, length: Duration, show: &mut dyn FnMut(&str)) {
        for (cpe, samples) in pair.iter_mut().zip(&mut self.samples) {
            match cpe.measure(at) {
                Ok(sample) => samples.push(sample),
                Err(why) => self.report.faults.push(why),
            }
        }
        // Twenty lines of any run.
        if at < length / 20 * self.shown {
            return;
        }
        self.shown += 1;
        for (cpe, samples) in pair.iter().zip(&self.samples) {
            if let Some(sample) = samples.last() {
                show(&course(cpe, sample));
            }
        }
    }

    /// Once its ACS behaves, an agent has a session that goes well.
    fn recovers(&mut self, cpe: &Cpe) {
        cpe.acs.calm(true);
        let before = (cpe.acs.count("ended well"), cpe.told().ended);
        let start = Instant::now();
        while cpe.acs.count("ended well") <= before.0 || cpe.told().ended <= before.1 {
            if start.elapsed() > RECOVERY {
                let why =
                    format!("the {} agent has no session that goes well with an ACS that behaves", cpe.name);
                self.report.faults.push(why);
                return;
            }
            thread::sleep(TICK);
        }
        let line = format!(
            "{:<12} a session that went well, {} ms after its ACS behaved",
            cpe.name,
            start.elapsed().as_millis()
        );
        self.report.lines.push(line);
    }

    fn conclude(&mut self, pair: &mut [Cpe; 2], settings: &Settings, length: Duration) {
        let lines = &mut self.report.lines;
        let by_udp: u32 = pair.iter().map(|cpe| cpe.told().by_udp).sum();
        lines.push(format!(
            "run          {:.1} minutes of {:.1}, seed {}; {} connection requests by HTTP and {by_udp} by UDP accepted",
            length.as_secs_f64() / 60.0,
            settings.length.as_secs_f64() / 60.0,
            settings.seed,
            self.accepted,
        ));
        for cpe in pair.iter() {
            let told = cpe.told().clone();
            lines.push(format!(
                "{:<12} {} sessions begun, {} ended well, {} failed; restarted {} times",
                cpe.name,
                told.started,
                told.ended,
                told.started.saturating_sub(told.ended),
                cpe.restarts,
            ));
            let periods = length.as_secs() / u64::from(PERIOD);
            lines.push(format!(
                "{:<12} {periods} periods: {} days of a router that informs every hour, {periods} of one that does every day",
                cpe.name,
                periods / 24,
            ));
            let counts: Vec<String> =
                cpe.acs.counts().iter().map(|(what, count)| format!("{what} ×{count}")).collect();
            lines.push(format!("{:<12} its ACS: {}", cpe.name, counts.join(", ")));
            if told.panics > 0 {
                self.report.faults.push(format!("the {} agent panicked {} times", cpe.name, told.panics));
            }
            if told.ended == 0 || told.started == told.ended {
                let why = format!("the {} agent had no mixed fortune: the run says nothing", cpe.name);
                self.report.faults.push(why);
            }
        }
        // Some come while an agent is away, or in the second of the one before.
        if self.sent > 20 && by_udp == 0 {
            self.report.faults.push(format!("none of {} connection requests by UDP was accepted", self.sent));
        }
        let light: Vec<(u32, u32)> = pair.iter().map(|cpe| cpe.light.counts()).collect();
        let (right, wrong) = light.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let renamed = self.renamed;
        self.report
            .lines
            .push(format!("run          {right} lightweight notifications, {renamed} changes by others"));
        if wrong > 0 {
            self.report.faults.push(format!("{wrong} lightweight notifications are not whole or not signed"));
        }
        // The ACS asks for some, for others, or for none.
        if renamed > 100 && right == 0 {
            self.report.faults.push(format!("no lightweight notification of {renamed} changes"));
        }
        for (at, cpe) in pair.iter().enumerate() {
            let found = trends(&self.samples[at]);
            if found.is_empty() {
                self.report.faults.push(format!("the {} agent was measured too seldom", cpe.name));
            }
            for trend in found.iter().filter(|trend| counts_for(cpe, trend)) {
                self.report.lines.push(format!("{:<12} {trend}", cpe.name));
                if trend.grows() {
                    self.report.faults.push(format!("the {} agent grows: {}", cpe.name, trend.name));
                }
            }
        }
        for cpe in pair.iter_mut() {
            // One that has ended already was complained of.
            if self.report.faults.is_empty() {
                let stopped = cpe.stop();
                self.report.faults.extend(stopped.err());
            }
            if !self.report.faults.is_empty() {
                let told = cpe.told();
                self.report
                    .lines
                    .extend(told.last.iter().map(|line| format!("{:<12} log: {line}", cpe.name)));
            }
        }
    }
}

/// A process that is new every few minutes says nothing of its memory over hours.
fn counts_for(cpe: &Cpe, trend: &Trend) -> bool {
    cpe.restarts == 0 || ["state", "files", "descriptors"].contains(&trend.name)
}

fn course(cpe: &Cpe, sample: &Sample) -> String {
    let told = cpe.told();
    format!(
        "{:<12} {:>7.1} min {:>6} sessions {:>6} well {:>7} KiB {:>4} descriptors {:>3} threads {:>7} octets of state {:>5} files",
        cpe.name,
        sample.at.as_secs_f64() / 60.0,
        told.started,
        told.ended,
        sample.memory,
        sample.descriptors,
        sample.threads,
        sample.state,
        sample.files,
    )
}
