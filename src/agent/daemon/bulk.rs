//! The daemon's bulk data: reports are collected between sessions when they are due, and sent by one worker.

use std::sync::Arc;
use std::time::Duration;

use log::{debug, info, warn};

use super::{Daemon, both_clocks};
use crate::agent::bulk::{self, MAX_KEPT, MAX_RETAINED, Report, Upload};
use crate::agent::exchange;
use crate::agent::job::{Job, Outcome};
use crate::agent::schedule::{Now, Periodic, Settings};
use crate::backend::functions::bulkdata::{ERROR, MAX_REFERENCES, Profile};
use crate::cwmp::dispatch;
use crate::cwmp::retry::Policy;
use crate::map::Map;
use crate::sys::rng;

/// How long sending may take.
const LONGEST: Duration = Duration::from_secs(60);

/// All profiles, and what sends their reports.
#[derive(Default)]
pub(super) struct Bulk {
    runs: Map<u32, Run>,
    running: Option<Sending>,
    /// The last report's number.
    serial: u32,
}

/// Reports on their way.
struct Sending {
    profile: u32,
    /// The number of the last of them.
    last: u32,
    job: Job<Result<(), String>>,
}

/// A profile at work.
struct Run {
    profile: Profile,
    clock: Periodic,
    query: String,
    /// Not sent yet, the oldest first.
    reports: Vec<Arc<Report>>,
    /// Parameters of the last report.
    parameters: usize,
    /// The last report could not be made.
    failed: bool,
    /// How often sending has failed in a row.
    failures: u32,
    /// When to send.
    due: Option<Duration>,
}

impl Daemon {
    /// When [`Daemon::run_bulk`] has something to do.
    pub(super) fn bulk_deadline(&mut self) -> Option<Duration> {
        if !self.bulk_wanted() {
            return None;
        }
        if self.model.backend().is_rekept() {
            return Some(Duration::ZERO);
        }
        let idle = self.bulk.running.is_none();
        let due = |run: &Run| run.clock.deadline().into_iter().chain(run.due.filter(|_| idle)).min();
        self.bulk.runs.values().filter_map(due).min()
    }

    /// Takes the worker's result, and collects and sends what is due. Of several reports that are due each has a turn
    /// of the loop of its own.
    pub(super) fn run_bulk(&mut self) {
        let now = both_clocks(&self.clock);
        self.bulk_result(now.mono);
        if !self.bulk_wanted() {
            return;
        }
        if self.model.backend().take_rekept() {
            self.configure_bulk(now);
        }
        let due = self.bulk.runs.iter_mut().find_map(|(number, run)| run.clock.tick(now).then_some(*number));
        if let Some(number) = due {
            self.collect_bulk(number, now.mono);
        }
        if self.bulk.running.is_none() {
            let due = |run: &Run| run.due.is_some_and(|at| at <= now.mono);
            let next = self.bulk.runs.iter().find(|(_, run)| due(run)).map(|(number, _)| *number);
            if let Some(number) = next {
                self.send_bulk(number, now.mono);
            }
        }
    }

    /// During a session the model looks frozen (TR-069 3.7.1.3).
    fn bulk_wanted(&self) -> bool {
        self.exchange.is_none() && !self.resetting && !self.is_leaving()
    }

    fn configure_bulk(&mut self, now: Now) {
        let profiles = self.model.backend().bulk_profiles();
        let Bulk { runs, running, .. } = &mut self.bulk;
        runs.retain(|number, _| profiles.contains_key(number));
        running.take_if(|sending| !profiles.contains_key(&sending.profile));
        for (number, profile) in profiles {
            let (interval, reference) = (profile.interval, profile.reference);
            let settings = Settings { enabled: true, interval, reference };
            let run = runs.or_insert_with(number, || Run {
                profile: profile.clone(),
                // Without a reference an interval begins now, and its report comes with its end.
                clock: Periodic::new(settings, u32::MAX, now),
                query: String::new(),
                reports: Vec::new(),
                parameters: 0,
                failed: false,
                failures: 0,
                due: None,
            });
            run.clock.change(settings, now);
            let encoding = std::mem::discriminant(&profile.encoding);
            if encoding != std::mem::discriminant(&run.profile.encoding) {
                run.reports.clear();
            }
            run.profile = profile;
        }
        self.tell_bulk();
    }

    /// Whether any report could not be made.
    fn tell_bulk(&mut self) {
        let failed = self.bulk.runs.values().any(|run| run.failed);
        self.model.backend().tell(ERROR, if failed { "1" } else { "" });
    }

    /// An interval is over: what is left of earlier ones is kept as far as the profile wants it, and its report joins
    /// them.
    fn collect_bulk(&mut self, number: u32, now: Duration) {
        self.model.refresh();
        self.tell();
        let others = self.bulk.runs.iter().filter(|(other, _)| **other != number);
        let room = MAX_REFERENCES.saturating_sub(others.map(|(_, run)| run.parameters).sum());
        let Some(run) = self.bulk.runs.get_mut(&number) else { return };
        let made = bulk::collect(&mut self.model, &run.profile, room);
        run.query = bulk::query(&mut self.model, &run.profile);
        let addressing = dispatch::addressing(&mut self.model);
        self.model.set_addressing(addressing);
        run.keep(usize::try_from(run.profile.retained).unwrap_or(MAX_RETAINED));
        run.failed = made.is_err();
        match made {
            Ok(mut report) => {
                self.bulk.serial = self.bulk.serial.wrapping_add(1);
                report.serial = self.bulk.serial;
                run.parameters = report.items.len();
                run.reports.push(Arc::new(report));
                run.due = Some(now);
            }
            Err(why) => warn!("no report of bulk data profile {number}: {why}"),
        }
        self.bound_bulk();
        self.tell_bulk();
        self.complain();
    }

    /// Drops the oldest reports while all profiles together have too much.
    fn bound_bulk(&mut self) {
        let runs = &mut self.bulk.runs;
        let reports = runs.values().flat_map(|run| &run.reports);
        let mut all: usize = reports.map(|report| report.cost).sum();
        while all > MAX_KEPT {
            let some = runs.iter_mut().filter(|(_, run)| !run.reports.is_empty());
            let Some((number, run)) = some.min_by_key(|(_, run)| run.reports[0].serial) else { return };
            all -= run.reports.remove(0).cost;
            warn!("a report of bulk data profile {number} is dropped: there is no room for more");
        }
    }

    fn send_bulk(&mut self, number: u32, now: Duration) {
        let Some(run) = self.bulk.runs.get_mut(&number) else { return };
        run.due = None;
        let Some(last) = run.reports.last().map(|report| report.serial) else { return };
        let (profile, query, reports) = (run.profile.clone(), run.query.clone(), run.reports.clone());
        let acs = &self.settings.acs;
        let deadline = self.clock.instant(now + LONGEST);
        let tls = exchange::secure(&profile.url, acs, &self.options.root, &mut self.tls);
        let started = tls.and_then(|tls| {
            let upload = Upload { profile, query, reports, way: exchange::transfer(acs, tls) };
            let work = move |cancel: &Arc<_>| upload.send(cancel, deadline);
            Job::start("bulk data", Arc::clone(&self.wake), work).map_err(|why| why.to_string())
        });
        match started {
            Ok(job) => self.bulk.running = Some(Sending { profile: number, last, job }),
            Err(why) => self.bulk_failed(number, now, &why),
        }
    }

    fn bulk_result(&mut self, now: Duration) {
        let Some(sending) = self.bulk.running.take() else { return };
        let result = match sending.job.outcome() {
            Outcome::Running => return self.bulk.running = Some(sending),
            Outcome::Done(result) => result,
            Outcome::Lost => Err("the worker ended early".to_owned()),
        };
        let Sending { profile: number, last, .. } = sending;
        match (result, self.bulk.runs.get_mut(&number)) {
            (Ok(()), Some(run)) => {
                debug!("bulk data of profile {number} is sent");
                run.failures = 0;
                run.reports.retain(|report| report.serial > last);
            }
            (Ok(()), None) => {}
            (Err(why), _) => self.bulk_failed(number, now, &why),
        }
    }

    /// Sends again if the profile wants that (TR-069 Annex N), else with the next report.
    fn bulk_failed(&mut self, number: u32, now: Duration, why: &str) {
        let Some(run) = self.bulk.runs.get_mut(&number) else { return };
        run.failures = run.failures.saturating_add(1);
        match run.profile.retry {
            // A new report has come meanwhile: it goes now, and the others with it.
            _ if run.due.is_some() => warn!("bulk data of profile {number} not sent: {why}"),
            Some((minimum, multiplier)) => {
                let random = rng::number().unwrap_or(u32::MAX / 2);
                let wait = Policy::new(minimum, multiplier).wait(run.failures, random);
                info!("bulk data of profile {number} not sent, again in {} seconds: {why}", wait.as_secs());
                run.due = Some(now.saturating_add(wait));
            }
            None => {
                warn!("bulk data of profile {number} not sent: {why}");
                run.keep(usize::try_from(run.profile.retained).unwrap_or(MAX_RETAINED));
            }
        }
    }
}

impl Run {
    /// Keeps the last reports, at most so many.
    fn keep(&mut self, most: usize) {
        self.reports.drain(..self.reports.len().saturating_sub(most.min(MAX_RETAINED)));
    }
}
