//! The fuzz targets without libFuzzer: the corpus of each, cut anywhere, and many changes of it.

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use proptest::prelude::*;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| (path.display().to_string(), fs::read(path).expect("a file"));
    files.iter().map(read).collect()
}

/// Captured frames as inputs of ubus: to a client, to a broker, and what is inside.
fn captured() -> Vec<Vec<u8>> {
    let frames = include_str!("ubus/frames.txt").lines().filter_map(|line| {
        let (head, hex) = line.split_once(' ').filter(|_| line.starts_with(['<', '>']))?;
        let octets =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"));
        Some((u8::from(head.starts_with('>')), octets.collect::<Vec<u8>>()))
    });
    frames.map(|(which, octets)| [&[which, 255][..], &octets].concat()).collect()
}

/// What a target is fed with here.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = corpus(target);
    assert!(inputs.len() >= 5, "the corpus of {target} is there");
    if target == "ubus" {
        inputs.extend(captured().into_iter().map(|octets| ("a captured frame".to_owned(), octets)));
    }
    inputs
}

fn feed(name: &str, run: fn(&[u8]), octets: &[u8]) {
    if catch_unwind(|| run(octets)).is_err() {
        panic!("{name}, cut to {} octets: {:?}", octets.len(), String::from_utf8_lossy(octets));
    }
}

#[test]
fn corpus_of_each_target() {
    for (target, run) in targets::ALL {
        inputs(target).iter().for_each(|(name, octets)| feed(name, *run, octets));
    }
}

#[test]
fn cut_anywhere() {
    for (target, run) in targets::ALL {
        for (name, octets) in inputs(target).iter().filter(|(_, octets)| octets.len() < 400) {
            // Each octet where a target is quick.
            let step = if matches!(*target, "ubus" | "udp" | "dhcp") { 1 } else { 1 + octets.len() / 16 };
            (0..octets.len()).step_by(step).for_each(|end| feed(name, *run, &octets[..end]));
        }
    }
}

/// Several inputs in one, after the head of the first, with some octets changed.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<_> =
        inputs(target).into_iter().map(|(_, octets)| octets).filter(|octets| octets.len() > 2).collect();
    let change = (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255), Just(128)]);
    let all = (
        prop::collection::vec(prop::sample::select(seeds), 1..4),
        prop::collection::vec(change, 0..6),
        0_u8..4,
        any::<u8>(),
    );
    all.prop_map(|(parts, changes, which, cut)| {
        let mut octets = vec![which, cut];
        parts.iter().for_each(|part| octets.extend(&part[2..]));
        for (at, value) in changes {
            let at = 2 + at.index(octets.len() - 2);
            octets[at] = value;
        }
        octets
    })
}

#[test]
fn changed_inputs() {
    for (target, run) in targets::ALL {
        let cases = if *target == "ubus" { 4000 } else { 200 };
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
        let outcome = runner.run(&changed(target), |octets| {
            run(&octets);
            Ok(())
        });
        outcome.unwrap_or_else(|why| panic!("{target}: {why}"));
    }
}
