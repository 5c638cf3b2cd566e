//! One GetParameterValues of `Device.` asks each ubus object for one thing once, and opens each file once: counted at the
//! doors, by the programs that are asked and by the kernel (inotify), not by the agent.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/opens.rs"]
mod opens;
#[path = "support/router.rs"]
mod router;

use std::collections::BTreeMap;
use std::fs;

use fixture::{build, programs};
use opens::Opens;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routers");

#[test]
fn everything_is_asked_and_read_once() {
    for folder in fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()) {
        let bus = programs(&folder);
        let mut router = build(&folder, bus.as_ref());
        // Numbers are given and kept files made by the first look.
        router.model.values(["Device."]).unwrap();
        router.model.save().unwrap();
        let opens = Opens::below(router.dir.path());
        for _ in 0..2 {
            router.model.refresh();
            if let Some(bus) = &bus {
                bus.take_calls();
            }
            opens.take();
            let count = router.model.values(["Device."]).unwrap().len();
            let mut calls: BTreeMap<String, usize> = BTreeMap::new();
            for call in bus.iter().flat_map(bus::Bus::take_calls) {
                *calls.entry(call).or_default() += 1;
            }
            println!("{}: {count} values, {calls:#?}", folder.display());
            println!("{:#?}", opens.take());
        }
    }
}
