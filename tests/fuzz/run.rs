//! libFuzzer over the target that FUZZ_TARGET names.
#![no_main]

use std::sync::OnceLock;

mod targets;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET");
        targets::ALL.iter().find(|(known, _)| *known == name).expect("one of targets/mod.rs").1
    });
    target(octets);
});
