//! libFuzzer over `ubus.rs`.
#![no_main]

#[path = "../ubus.rs"]
mod ubus;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| ubus::run(octets));
