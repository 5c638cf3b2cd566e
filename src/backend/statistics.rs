//! Periodic statistics (TR-181 `Device.PeriodicStatistics.`): what is read when, and what has been found of it.
//!
//! ```text
//!  configure ─► deadline ─► wanted: names to read ─► look: what they were ─► the lists of each parameter
//!                  ▲                                      │
//!                  └────── the next interval or look ◄────┘
//! ```
//! Everything is in memory only and begins anew with the agent. The memory has a bound: [`MAX_PARAMETERS`] parameters
//! with [`MAX_SAMPLES`] samples of at most [`MAX_VALUE`] octets each, so about 700 KiB of numbers, 1.7 MiB of text.

use std::collections::VecDeque;
use std::time::Duration;

use crate::map::Map;

/// The most samples of a parameter (MaxReportSamples): a day of five minutes each.
pub const MAX_SAMPLES: u32 = 288;
/// The most parameters that are sampled at the same time, in all sample sets together.
pub const MAX_PARAMETERS: usize = 64;
/// The most octets of a sample; the rest of a longer value is not kept, and the sample is suspect.
pub const MAX_VALUE: usize = 64;
/// How often a parameter is looked at in an interval whose minimum, maximum, average or thresholds count.
const LOOKS: u32 = 12;
/// A value that is read later than that after its interval has ended is suspect.
const LATE: Duration = Duration::from_secs(5);

/// CalculationMode. A histogram is not among what the profiles ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calculation {
    /// The value at the end of the interval.
    #[default]
    Latest,
    /// The least of the interval.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their mean, rounded to a whole number.
    Average,
}

/// What a SampleSet is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Enable.
    pub enabled: bool,
    /// SampleInterval in seconds, at least 1.
    pub interval: u32,
    /// ReportSamples, 1 to [`MAX_SAMPLES`].
    pub report: u32,
    /// TimeReference in seconds since 1970, unless it is the unknown time.
    pub reference: Option<i64>,
    /// FetchSamples.
    pub fetch: u32,
    /// The parameters that are enabled, by instance number.
    pub parameters: Map<u32, Wish>,
}

/// What an entry of the Parameter table is set to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Reference: the parameter's full name.
    pub reference: String,
    /// SampleMode is Change.
    pub change: bool,
    /// CalculationMode.
    pub calculation: Calculation,
    /// LowThreshold.
    pub low: i64,
    /// HighThreshold; equal to the low one: there are none.
    pub high: i64,
}

/// What a parameter was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Its text.
    pub text: String,
    /// Its number, if it is of a numeric type.
    pub number: Option<i128>,
}

/// One entry of the lists of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Of Values; empty when the parameter did not exist.
    pub value: Box<str>,
    /// Of SampleSeconds.
    pub seconds: u32,
    /// Of SuspectData.
    pub suspect: bool,
}

/// All sample sets.
#[derive(Debug, Default)]
pub struct Statistics {
    sets: Map<u32, Set>,
    /// The wall clock's seconds at the monotonic clock's zero, once it is set.
    offset: Option<i64>,
}

#[derive(Debug)]
struct Set {
    setting: Setting,
    /// None when it is disabled, or has yet to begin.
    run: Option<Run>,
    forced: bool,
    /// The last one is a preview of the interval that runs (ForceSample).
    preview: bool,
    spans: VecDeque<Span>,
    series: Map<u32, Series>,
}

/// The interval that runs.
#[derive(Debug)]
struct Run {
    start: Duration,
    end: Duration,
    look: Duration,
    /// How many have ended.
    done: u32,
}

/// An interval that is stored.
#[derive(Debug)]
struct Span {
    start: Duration,
    end: Duration,
    seconds: u32,
}

/// One parameter.
#[derive(Debug, Default)]
struct Series {
    wish: Wish,
    /// It has been looked at since it was enabled.
    begun: bool,
    preview: bool,
    samples: VecDeque<Sample>,
    failures: u32,
    /// Where the last value was: below, between or above the thresholds.
    place: i8,
    /// Since when the parameter exists, in this interval.
    since: Option<Duration>,
    /// For how long it existed before that.
    before: Duration,
    /// Its value at the start of the interval.
    base: Option<i128>,
    last: Option<Reading>,
    least: i128,
    most: i128,
    sum: i128,
    count: i128,
    suspect: bool,
}

impl Statistics {
    /// Takes over settings. What has not changed goes on; what has been enabled begins with the next look.
    pub fn configure(&mut self, settings: Map<u32, Setting>) {
        self.sets.retain(|number, _| settings.contains_key(number));
        for (number, setting) in settings {
            self.sets.or_insert_with(number, || Set::of(&setting)).change(setting);
        }
    }

    /// ForceSample: the interval that runs is shown with the next look.
    pub fn force(&mut self, set: u32) {
        if let Some(set) = self.sets.get_mut(&set) {
            set.forced = true;
        }
    }

    /// When to look next; at once when that is not after the present.
    pub fn deadline(&self) -> Option<Duration> {
        self.sets.values().filter_map(Set::deadline).min()
    }

    /// The names to read for a look now. Not `live`: the system cannot be looked at, only what is new begins and what
    /// is forced is shown.
    pub fn wanted(&self, now: Duration, live: bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for set in self.sets.values() {
            let due = set.due(now, live);
            let of_set = set.series.values().filter(|series| due.reads(series));
            names.extend(of_set.map(|series| series.wish.reference.clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// Takes what was read; a parameter without a reading does not exist. Gives the sets whose samples the ACS is to
    /// fetch now (Status goes to Trigger and back).
    pub fn look(
        &mut self,
        now: Duration,
        wall: Option<i64>,
        live: bool,
        readings: &Map<String, Reading>,
    ) -> Vec<u32> {
        if let Some(wall) = wall {
            let offset = wall.saturating_sub(whole(now));
            // A second more or less is only how two clocks are rounded.
            if self.offset.is_none_or(|known| known.abs_diff(offset) > 1) {
                self.offset = Some(offset);
            }
        }
        let mut triggered = Vec::new();
        for (number, set) in self.sets.iter_mut() {
            if set.look(now, wall, live, readings) {
                triggered.push(*number);
            }
        }
        triggered
    }

    /// Whether a set is enabled.
    pub fn is_enabled(&self, set: u32) -> bool {
        self.sets.get(&set).is_some_and(|set| set.setting.enabled)
    }

    /// ReportStartTime and ReportEndTime in seconds since 1970, if samples are stored and the clock is set.
    pub fn report(&self, set: u32) -> Option<(i64, i64)> {
        let spans = &self.sets.get(&set)?.spans;
        let at = |moment: Duration| self.offset.map(|offset| offset.saturating_add(whole(moment)));
        Some((at(spans.front()?.start)?, at(spans.back()?.end)?))
    }

    /// SampleSeconds of a set.
    pub fn sample_seconds(&self, set: u32) -> Vec<u32> {
        let set = self.sets.get(&set);
        set.map(|set| set.spans.iter().map(|span| span.seconds).collect()).unwrap_or_default()
    }

    /// The samples of a parameter, the oldest first, and its Failures.
    pub fn samples(&self, set: u32, parameter: u32) -> Option<(&VecDeque<Sample>, u32)> {
        let series = self.sets.get(&set)?.series.get(&parameter)?;
        Some((&series.samples, series.failures))
    }
}

/// What is to be done with a set.
#[derive(Clone, Copy)]
struct DueNow {
    begin: bool,
    end: bool,
    looks: bool,
    forced: bool,
}

impl DueNow {
    fn reads(self, series: &Series) -> bool {
        self.begin || self.end || self.forced || !series.begun || (self.looks && series.is_watched())
    }
}

impl Set {
    fn of(setting: &Setting) -> Set {
        Set {
            setting: Setting { enabled: false, parameters: Map::new(), ..setting.clone() },
            run: None,
            forced: false,
            preview: false,
            spans: VecDeque::new(),
            series: Map::new(),
        }
    }

    fn change(&mut self, setting: Setting) {
        let timing = |setting: &Setting| (setting.enabled, setting.interval, setting.reference);
        if timing(&setting) != timing(&self.setting) {
            self.run = None;
            self.preview = false;
        }
        self.series.retain(|number, series| {
            setting.parameters.get(number).is_some_and(|wish| wish.reference == series.wish.reference)
        });
        for (number, wish) in setting.parameters.iter() {
            let series = self.series.or_default(*number);
            if series.wish != *wish {
                // What was summed up so far was something else.
                series.suspect = series.begun;
                (series.count, series.place) = (0, 0);
                series.wish = wish.clone();
            }
        }
        self.setting = setting;
        self.cut();
    }

    /// Drops the oldest samples beyond ReportSamples.
    fn cut(&mut self) {
        let most = self.setting.report.min(MAX_SAMPLES) as usize;
        self.spans.drain(..self.spans.len().saturating_sub(most));
        for series in self.series.values_mut() {
            series.samples.drain(..series.samples.len().saturating_sub(most));
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let run = match &self.run {
            _ if !self.setting.enabled => return None,
            Some(run) if !self.forced && self.series.values().all(|series| series.begun) => run,
            _ => return Some(Duration::ZERO),
        };
        let watched = self.series.values().any(Series::is_watched);
        Some(if watched { run.end.min(run.look) } else { run.end })
    }

    fn due(&self, now: Duration, live: bool) -> DueNow {
        let enabled = self.setting.enabled;
        let run = self.run.as_ref();
        DueNow {
            begin: enabled && run.is_none(),
            end: enabled && live && run.is_some_and(|run| now >= run.end),
            looks: enabled && live && run.is_some_and(|run| now >= run.look),
            forced: enabled && self.forced,
        }
    }

    /// Whether the ACS is to fetch the samples.
    fn look(
        &mut self,
        now: Duration,
        wall: Option<i64>,
        live: bool,
        readings: &Map<String, Reading>,
    ) -> bool {
        let due = self.due(now, live);
        self.forced = false;
        if !self.setting.enabled {
            return false;
        }
        if due.begin {
            self.spans.clear();
            self.preview = false;
            for series in self.series.values_mut() {
                *series = Series { wish: std::mem::take(&mut series.wish), ..Series::default() };
            }
            let end = self.end_after(now, now, wall, true);
            self.run = Some(Run { start: now, end, look: now, done: 0 });
        }
        for series in self.series.values_mut().filter(|series| due.reads(series)) {
            series.take(now, readings.get(&series.wish.reference));
        }
        let look = self.next_look(now);
        let Some(run) = &mut self.run else { return false };
        if due.looks || due.begin {
            run.look = look;
        }
        if due.end {
            return self.end(now, wall);
        }
        if due.forced {
            let (start, end) = (run.start, now.min(run.end));
            self.store(Span { start, end, seconds: round(end.saturating_sub(start)) }, false, true);
        }
        false
    }

    /// When to look within an interval.
    fn next_look(&self, now: Duration) -> Duration {
        now.saturating_add(Duration::from_secs(u64::from((self.setting.interval / LOOKS).max(1))))
    }

    /// Ends the interval that runs, and those that nobody has looked at since.
    fn end(&mut self, now: Duration, wall: Option<i64>) -> bool {
        let mut triggered = false;
        let late = self.run.as_ref().is_some_and(|run| now.saturating_sub(run.end) > LATE);
        let mut collected = true;
        // A machine that slept for long has missed more than are kept.
        for _ in 0..=MAX_SAMPLES {
            let Some(Run { start, end, done, .. }) = self.run.take_if(|run| now >= run.end) else { break };
            let seconds = if collected { round(end.saturating_sub(start)) } else { 0 };
            self.store(Span { start, end, seconds }, late, false);
            collected = false;
            let done = done.wrapping_add(1);
            let Setting { fetch, report, interval, reference, .. } = self.setting;
            if (1..=report).contains(&fetch) {
                let nth = match (reference, wall) {
                    (Some(reference), Some(wall)) => {
                        let half = i64::from(interval / 2);
                        let at = wall.saturating_sub(whole(now.saturating_sub(end)));
                        at.saturating_sub(reference)
                            .saturating_add(half)
                            .div_euclid(i64::from(interval.max(1)))
                    }
                    _ => i64::from(done),
                };
                triggered |= nth.rem_euclid(i64::from(fetch)) == 0;
            }
            let next = self.end_after(end, now, wall, false);
            self.run = Some(Run { start: end, end: next, look: self.next_look(now), done });
        }
        if let Some(run) = self.run.as_mut().filter(|run| now >= run.end) {
            // Still behind: it goes on from here.
            run.start = now;
            run.end = now.saturating_add(Duration::from_secs(u64::from(self.setting.interval)));
        }
        triggered
    }

    /// Stores an interval in all lists, or a preview of it, in the place of an earlier preview.
    fn store(&mut self, span: Span, late: bool, preview: bool) {
        if std::mem::replace(&mut self.preview, preview) {
            self.spans.pop_back();
        }
        for series in self.series.values_mut() {
            if std::mem::replace(&mut series.preview, preview) {
                series.samples.pop_back();
            }
            series.samples.push_back(series.sample(&span, late));
            if !preview {
                series.next(span.end);
            }
        }
        self.spans.push_back(span);
        self.cut();
    }

    /// When the interval that begins at `start` ends: a whole number of intervals from TimeReference, as far as there
    /// is one and the clock is set. Only the first may be shorter than the others.
    fn end_after(&self, start: Duration, now: Duration, wall: Option<i64>, first: bool) -> Duration {
        let interval = i64::from(self.setting.interval.max(1));
        let mut wait = interval;
        if let (Some(reference), Some(wall)) = (self.setting.reference, wall) {
            let at = wall.saturating_sub(whole(now.saturating_sub(start)));
            wait -= at.saturating_sub(reference).rem_euclid(interval);
            // It was woken a little before the clock's second.
            if !first && wait <= (interval / 4).min(whole(LATE)) {
                wait += interval;
            }
        }
        start.saturating_add(Duration::from_secs(wait.unsigned_abs()))
    }
}

impl Series {
    /// Whether its values within the interval count.
    fn is_watched(&self) -> bool {
        self.wish.calculation != Calculation::Latest || self.wish.low != self.wish.high
    }

    /// Takes a value; the first one is that of the start.
    fn take(&mut self, now: Duration, reading: Option<&Reading>) {
        let begins = !std::mem::replace(&mut self.begun, true);
        let Some(reading) = reading else {
            if let Some(since) = self.since.take() {
                self.before = self.before.saturating_add(now.saturating_sub(since));
                self.suspect = true;
            }
            (self.last, self.base) = (None, None);
            return;
        };
        let appears = self.since.is_none();
        self.since.get_or_insert(now);
        if let Some(number) = reading.number {
            let before = self.last.as_ref().and_then(|last| last.number);
            // Counters only grow, unless somebody has begun anew with them.
            let counter = self.wish.reference.contains(".Stats.");
            self.suspect |= counter && before.is_some_and(|before| number < before);
            let base = *self.base.get_or_insert(number);
            // The change of what has just come is none.
            if !(begins || appears && self.wish.change) {
                self.add(if self.wish.change { number.saturating_sub(base) } else { number });
            }
        }
        self.last = Some(reading.clone());
    }

    /// One more sampled value.
    fn add(&mut self, value: i128) {
        if self.count == 0 {
            (self.least, self.most, self.sum) = (value, value, 0);
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        (self.least, self.most) = (self.least.min(value), self.most.max(value));
        let (low, high) = (i128::from(self.wish.low), i128::from(self.wish.high));
        if low != high {
            let place = i8::from(value >= high) - i8::from(value <= low && value < high);
            if place != 0 && place != self.place {
                self.failures = self.failures.saturating_add(1);
            }
            self.place = place;
        }
    }

    /// The statistic of an interval, as it is at its end.
    fn sample(&self, span: &Span, late: bool) -> Sample {
        let there = self.since.map_or(Duration::ZERO, |since| span.end.saturating_sub(since));
        let value = match &self.last {
            None => String::new(),
            Some(Reading { number: Some(number), .. }) => {
                let change = number.saturating_sub(self.base.unwrap_or(*number));
                let latest = if self.wish.change { change } else { *number };
                match self.wish.calculation {
                    Calculation::Minimum if self.count > 0 => self.least,
                    Calculation::Maximum if self.count > 0 => self.most,
                    Calculation::Average if self.count > 0 => {
                        self.sum.saturating_mul(2).saturating_add(self.count).div_euclid(2 * self.count)
                    }
                    _ => latest,
                }
                .to_string()
            }
            Some(reading) => reading.text.clone(),
        };
        let mut most = value.len().min(MAX_VALUE);
        while !value.is_char_boundary(most) {
            most -= 1;
        }
        Sample {
            seconds: round(self.before.saturating_add(there)).min(span.seconds),
            suspect: self.suspect || late || most < value.len() || self.last.is_none(),
            value: value[..most].into(),
        }
    }

    /// The next interval begins with the value that this one has ended with.
    fn next(&mut self, end: Duration) {
        self.before = Duration::ZERO;
        self.since = self.last.as_ref().map(|_| end);
        self.base = self.last.as_ref().and_then(|last| last.number);
        (self.count, self.suspect) = (0, false);
    }
}

/// Whole seconds, rounded.
fn round(time: Duration) -> u32 {
    u32::try_from(time.saturating_add(Duration::from_millis(500)).as_secs()).unwrap_or(u32::MAX)
}

/// Whole seconds for reckoning with dates.
fn whole(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
