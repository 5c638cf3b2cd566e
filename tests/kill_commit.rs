//! A process that commits three files over and over is killed at random points: after recovery
//! every file is of the same generation, and nothing else lies around.
//!
//! The test binary starts itself as that process, told by an environment variable.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rcwmp::sys::journal::{Journal, Write};

const FILES: [&str; 3] = ["etc/a", "etc/b", "other/c"];
const KILLS: usize = 150;

/// Contents of a size that differs from file to file and generation to generation.
fn contents(generation: u32, file: usize) -> Vec<u8> {
    let line = format!("{generation}\n");
    let times = 1 + (usize::try_from(generation).unwrap() * 37 + file * 911) % 2000;
    line.repeat(times).into_bytes()
}

fn writes(dir: &Path, generation: u32) -> Vec<Write> {
    let replace = |(nth, name): (usize, &&str)| Write::Replace {
        path: dir.join(name),
        bytes: contents(generation, nth),
    };
    let mut writes: Vec<_> = FILES.iter().enumerate().map(replace).collect();
    let seen = format!("delta of {}\n", generation - 1).into_bytes();
    writes.push(Write::Cut { path: dir.join("delta"), seen });
    writes
}

/// Not a test by itself: what the child does.
#[test]
fn child() {
    let Ok(dir) = std::env::var("RCWMP_KILL_COMMIT") else { return };
    let dir = Path::new(&dir);
    let journal = Journal::new(dir.join("journal")).unwrap();
    let first: u32 = std::env::var("RCWMP_KILL_FROM").unwrap().parse().unwrap();
    for generation in first..first + 10_000 {
        fs::write(dir.join("delta"), format!("delta of {}\n", generation - 1)).unwrap();
        let done = journal.commit(&writes(dir, generation));
        fs::write(dir.join("result"), format!("{done:?}")).unwrap();
        if done.is_err() {
            return;
        }
    }
}

fn desk() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    for (nth, name) in FILES.iter().enumerate() {
        fs::write(dir.path().join(name), contents(0, nth)).unwrap();
    }
    dir
}

fn child_args(command: &mut Command, dir: &Path, from: u32) -> Child {
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("RCWMP_KILL_COMMIT", dir)
        .env("RCWMP_KILL_FROM", from.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The generation of all the files; fails if they differ or are not whole.
fn generation(dir: &Path) -> u32 {
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let text = String::from_utf8(read(FILES[0])).unwrap();
    let generation: u32 = text.lines().next().unwrap().parse().unwrap();
    for (nth, name) in FILES.iter().enumerate() {
        assert!(read(name) == contents(generation, nth), "{name} is not of generation {generation}");
    }
    generation
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check_clean(dir: &Path) {
    assert_eq!(names(&dir.join("etc")), ["a", "b"]);
    assert_eq!(names(&dir.join("other")), ["c"]);
    assert_eq!(names(&dir.join("journal")), [""; 0]);
}

#[test]
fn killed_at_random_points() {
    let desk = desk();
    let dir = desk.path();
    let journal = Journal::new(dir.join("journal")).unwrap();
    // A small generator of our own, seeded so that a failure can be repeated.
    let mut seed: u32 = 20_260_101;
    let mut last = 0;
    let (mut forward, mut interrupted) = (0, 0);
    // On a machine that is busy few commits are quick enough to be seen: more kills, then.
    for round in 0..KILLS * 10 {
        if round >= KILLS && last > 0 && interrupted > 0 {
            break;
        }
        let _ = fs::remove_file(dir.join("result"));
        let mut child = child_args(&mut Command::new(std::env::current_exe().unwrap()), dir, last + 1);
        // The start of a process takes longer than many commits, so wait for the first sign of life.
        let start = Instant::now();
        while !dir.join("journal/intent").exists() && !dir.join("result").exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "the child does not start");
            sleep(Duration::from_micros(50));
        }
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        let longest = if round < KILLS { 6_000 } else { 200_000 };
        sleep(Duration::from_micros(u64::from(seed % longest)));
        child.kill().unwrap();
        child.wait().unwrap();

        interrupted += usize::from(dir.join("journal/intent").exists());
        forward += usize::from(dir.join("journal/journal").exists());
        journal.recover().unwrap();
        let now = generation(dir);
        assert!(now >= last, "generation {now} after {last}");
        last = now;
        // What went into this generation is cut; at most the next delta was being written.
        let delta = fs::read_to_string(dir.join("delta")).unwrap_or_default();
        assert!(
            delta.is_empty() || delta == format!("delta of {now}\n"),
            "{delta:?} beside generation {now}"
        );
        check_clean(dir);
    }
    assert!(last > 0, "the child never committed");
    assert!(interrupted > 0, "no commit was ever interrupted");
    println!("{KILLS} kills, {interrupted} within a commit, {forward} rolled forward, generation {last}");
}

#[test]
fn a_full_disk_leaves_everything_old() {
    let desk = desk();
    let dir = desk.path();
    let journal = Journal::new(dir.join("journal")).unwrap();
    let big = (1..).find(|generation| contents(*generation, 2).len() > 4096).unwrap();
    journal.commit(&writes(dir, big - 1)).unwrap();
    // A limit on the size of a file, its signal ignored, fails a write as a full disk does.
    let mut shell = Command::new("sh");
    let script = "ulimit -f 4; trap '' XFSZ; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(std::env::current_exe().unwrap());
    child_args(&mut shell, dir, big).wait().unwrap();
    let result = fs::read_to_string(dir.join("result")).unwrap();
    assert!(result.contains("write") && result.contains("rcwmp-new"), "{result}");
    assert_eq!(generation(dir), big - 1);
    check_clean(dir);
}
