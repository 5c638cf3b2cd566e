//! What a long run measures of an agent, and whether it grows: the first quarter of the run against the last.
//!
//! [`sample`] reads `/proc` and folders; the rest is pure.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What is measured at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Since the run began.
    pub at: Duration,
    /// KiB of memory that are the agent's own: neither its program's pages nor files (`RssAnon`).
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Octets of all files in its state directory.
    pub state: u64,
    /// Files in the router's folder.
    pub files: u64,
}

/// One number over the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// What it is.
    pub name: &'static str,
    /// What it counts in, or nothing.
    pub unit: &'static str,
    /// Median of the first quarter.
    pub first: u64,
    /// Median of the last quarter.
    pub last: u64,
    /// The most at any moment.
    pub most: u64,
    /// How much more the last quarter may have than the first.
    pub allowed: u64,
}

impl Trend {
    /// Whether the last quarter has more than is allowed.
    pub fn grows(&self) -> bool {
        self.last > self.first.saturating_add(self.allowed)
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trend { name, unit, first, last, most, allowed } = self;
        let verdict = if self.grows() { "GROWS" } else { "steady" };
        write!(
            f,
            "{name:<12} first quarter {first:>8}, last quarter {last:>8}, most {most:>8} {unit:<6} \
             (allowed +{allowed}): {verdict}"
        )
    }
}

/// Measures a process, its state directory and its router's folder; `None` when the process is gone.
pub fn sample(at: Duration, process: u32, state: &Path, folder: &Path) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    let (_, octets) = walk(state, 0);
    let (files, _) = walk(folder, 0);
    Some(Sample {
        at,
        memory: field("RssAnon:")?,
        descriptors: u64::try_from(descriptors).ok()?,
        threads: field("Threads:")?,
        state: octets,
        files,
    })
}

/// The numbers of a run over time; none for less than four samples, which have no quarters.
pub fn trends(samples: &[Sample]) -> Vec<Trend> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        return Vec::new();
    }
    let (early, late) = (&samples[..quarter], &samples[samples.len() - quarter..]);
    let trend = |name, unit, of: fn(&Sample) -> u64, allowed: fn(u64) -> u64| {
        let first = median(early, of);
        let most = samples.iter().map(of).max().unwrap_or_default();
        Trend { name, unit, first, last: median(late, of), most, allowed: allowed(first) }
    };
    vec![
        // What the allocator keeps differs by what happened to be asked at once.
        trend("memory", "KiB", |one| one.memory, |first| (first / 10).max(1024)),
        // A session, a transfer and a diagnostic may be under way, or not.
        trend("descriptors", "", |one| one.descriptors, |_| 6),
        trend("threads", "", |one| one.threads, |_| 3),
        // A few events and transfers more or less wait.
        trend("state", "octets", |one| one.state, |first| (first / 4).max(8192)),
        trend("files", "", |one| one.files, |_| 8),
    ]
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// How many files there are below a folder, and their octets; links are not followed.
fn walk(folder: &Path, depth: u32) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(folder) else { return (0, 0) };
    let (mut files, mut octets) = (0, 0);
    for entry in entries.flatten() {
        // One that has just been removed counts for nothing.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && depth < 16 {
            let (more, size) = walk(&entry.path(), depth + 1);
            (files, octets) = (files + more, octets + size);
        } else if meta.is_file() {
            (files, octets) = (files + 1, octets + meta.len());
        }
    }
    (files, octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(memory: impl Fn(u64) -> u64) -> Vec<Trend> {
        let one = |at| Sample { at: Duration::from_secs(at), memory: memory(at), ..Sample::default() };
        trends(&(0..100).map(one).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(memory: impl Fn(u64) -> u64, grows: &[&str]) {
        let found: Vec<_> = run(memory).iter().filter(|one| one.grows()).map(|one| one.name).collect();
        assert_eq!(found, grows);
    }

    #[test]
    fn what_grows_is_seen() {
        check(|_| 5000, &[]);
        // A leak of 20 KiB at each sample.
        check(|at| 5000 + 20 * at, &["memory"]);
        // Warm after a few, and a peak in between.
        check(|at| if at < 5 { 1000 } else { 6000 }, &[]);
        check(|at| if at == 50 { 90_000 } else { 6000 }, &[]);
        check(|at| 5000 - 20 * at, &[]);
        let most: Vec<u64> = run(|at| 7 + at).iter().map(|one| one.most).collect();
        assert_eq!(most, [106, 0, 0, 0, 0]);
    }

    #[test]
    fn too_few_say_nothing() {
        assert!(trends(&[Sample::default(); 3]).is_empty());
        assert_eq!(trends(&[Sample::default(); 4]).len(), 5);
    }

    #[test]
    fn this_process_can_be_measured() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("c"), "four").unwrap();
        let seen = sample(Duration::ZERO, std::process::id(), &below, folder.path()).unwrap();
        assert_eq!((seen.state, seen.files), (4, 1));
        assert!(seen.memory > 0 && seen.descriptors > 2 && seen.threads > 0);
        assert_eq!(sample(Duration::ZERO, u32::MAX, &below, folder.path()), None);
    }

    #[test]
    fn a_line_says_its_verdict() {
        let trend = Trend { name: "memory", unit: "KiB", first: 10, last: 20, most: 30, allowed: 9 };
        let line = trend.to_string();
        assert!(line.contains("GROWS") && line.contains("10") && line.contains("(allowed +9)"), "{line}");
        assert!(Trend { allowed: 10, ..trend }.to_string().ends_with("steady"));
    }
}
