//! One GetParameterValues of `Device.` asks each ubus object for one thing once, and opens each file once: counted at the
//! doors, by the programs that are asked and by the kernel (inotify), not by the agent.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/bus.rs"]
mod bus;
#[path = "support/copy.rs"]
mod copy;
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
    let mut routers = 0;
    for folder in fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()) {
        let bus = programs(&folder);
        let mut router = build(&folder, bus.as_ref());
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (mut values, mut asked, mut read) = (0, 0, 0);
        let opens = Opens::below(router.dir.path());
        // The first session, which reads the configuration, and another one.
        for session in 0..2 {
            let told = router.model.values(["Device."]).unwrap();
            values = told.len();
            let mut calls: BTreeMap<String, usize> = BTreeMap::new();
            for call in bus.iter().flat_map(bus::Bus::take_calls) {
                *calls.entry(call).or_default() += 1;
            }
            asked = asked.max(calls.len());
            let twice: Vec<_> = calls.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{name}, session {session}: asked twice: {twice:?}");
            let files = opens.take();
            read = read.max(files.len());
            let twice: Vec<_> = files.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{name}, session {session}: opened twice: {twice:?}");
            router.model.save().unwrap();
            router.model.refresh();
            opens.take();
        }
        println!("{name}: {values} values, {asked} calls, {read} files and folders");
        if name == "pppoe-gateway" {
            assert!(values > 1500 && asked > 10 && read > 150, "{values} {asked} {read}");
            routers += 1;
        }
    }
    assert_eq!(routers, 1);
}
