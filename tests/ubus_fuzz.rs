//! The fuzz target of ubus without libFuzzer: its corpus, the captured frames, and many changes of both.

#[path = "fuzz/ubus.rs"]
mod ubus;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// Captured frames as inputs: to a client, to a broker, and what is inside.
fn captured() -> Vec<Vec<u8>> {
    let frames = include_str!("ubus/frames.txt").lines().filter_map(|line| {
        let (head, hex) = line.split_once(' ').filter(|_| line.starts_with(['<', '>']))?;
        let octets =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"));
        Some((u8::from(head.starts_with('>')), octets.collect::<Vec<u8>>()))
    });
    frames.map(|(which, octets)| [&[which, 255][..], &octets].concat()).collect()
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/ubus");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|path| fs::read(path).expect("a file")).collect()
}

#[test]
fn corpus_and_capture() {
    let corpus = corpus();
    assert!(corpus.len() >= 20, "the corpus is there");
    corpus.iter().chain(&captured()).for_each(|octets| ubus::run(octets));
}

#[test]
fn cut_at_every_octet() {
    for octets in corpus().iter().chain(&captured()).filter(|octets| octets.len() < 400) {
        for end in 0..octets.len() {
            ubus::run(&octets[..end]);
        }
    }
}

fn changed() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<_> = corpus().into_iter().chain(captured()).filter(|octets| octets.len() > 2).collect();
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn changed_inputs(octets in changed()) {
        ubus::run(&octets);
    }
}
