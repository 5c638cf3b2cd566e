//! `Device.DeviceInfo.Processor.` of real boards: `../shared/router-samples/proc/cpuinfo-*`.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::path::Path;

#[path = "support/router.rs"]
mod router;
use router::router_with;

#[test]
fn processors_of_real_boards() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/router-samples/proc");
    if !samples.is_dir() {
        println!("skipped: ../shared not present");
        return;
    }
    for (sample, arch, word) in [
        ("cpuinfo-aarch64-cortex-a53", "aarch64_cortex-a53", "arm"),
        ("cpuinfo-armv7-cortex-a53-32bit", "arm_cortex-a7", "arm"),
        ("cpuinfo-ar7241-mips24kc", "mips_24kc", "mipseb"),
        ("cpuinfo-mt7621-mips1004kc", "mipsel_24kc", "mipsel"),
        ("cpuinfo-mt7621-mips1004kc", "riscv64_generic", ""),
    ] {
        let text = fs::read_to_string(samples.join(sample)).unwrap();
        let release = format!("DISTRIB_ARCH='{arch}'\n");
        let mut router = router_with(&[("proc/cpuinfo", &text), ("etc/openwrt_release", &release)]);
        let expected = match word {
            "" => 0,
            _ => text.lines().filter(|line| line.starts_with("processor")).count(),
        };
        router.check("Device.DeviceInfo.ProcessorNumberOfEntries", &expected.to_string());
        for number in 1..=expected {
            router.check(&format!("Device.DeviceInfo.Processor.{number}.Architecture"), word);
        }
        assert_eq!(router.model.complaints(), Vec::<String>::new());
    }
}
