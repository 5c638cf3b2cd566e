//! Time and allocations of one read of all of `Device.`, without CWMP and without the time that other programs take:
//! `cargo bench --bench model` (in a debug build: `cargo test --bench model`).
//!
//! Two routers: the fixture `tests/routers/pppoe-gateway` as it is, and with more of everything. Three columns:
//! the read, the same without any program on ubus, and the baseline: opening and reading the same files, without any model.
//! Times are of this thread's own CPU, so that waiting for answers does not count; they are the least of the rounds.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "../support/bus.rs"]
mod bus;
#[path = "../support/copy.rs"]
mod copy;
#[path = "../support/fixture.rs"]
mod fixture;
#[path = "../support/opens.rs"]
mod opens;
#[path = "../support/router.rs"]
mod router;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use copy::copy;
use fixture::programs;
use opens::Opens;
use router::Router;

const GATEWAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routers/pppoe-gateway");
/// How often each read is timed.
const ROUNDS: usize = 15;
/// What the larger router has more of: VLANs with an interface each, and devices on the LAN.
const MORE: usize = 24;

fn main() {
    println!(
        "{:>22} {:>8} {:>9} {:>9} {:>11} {:>10} {:>8} {:>8}",
        "router", "values", "CPU ms", "ms/2000", "allocations", "per value", "KiB peak", "/ files"
    );
    let folder = tempfile::tempdir().unwrap();
    let larger = folder.path().join("larger");
    enlarge(Path::new(GATEWAY), &larger);
    for (name, folder) in [("pppoe-gateway", Path::new(GATEWAY)), ("larger gateway", &larger)] {
        let bus = programs(folder);
        line(name, fixture::build(folder, bus.as_ref()));
        line("without programs", fixture::build(folder, None));
    }
    println!(
        "\n\"/ files\": the CPU time over that of opening and reading the same files, with nothing made of them."
    );
}

/// Reads everything, and prints a line of the table.
fn line(name: &str, mut router: Router) {
    let opens = Opens::below(router.dir.path());
    let count = read(&mut router);
    let files: Vec<PathBuf> = opens.take().into_keys().filter(|path| path.is_file()).collect();
    router.model.save().unwrap();
    let whole = least(|| read(&mut router));
    let plain =
        least(|| files.iter().filter_map(|path| fs::read(path).ok()).map(|octets| octets.len()).sum());
    let told = allocation_counter::measure(|| {
        read(&mut router);
    });
    println!(
        "{:>22} {:>8} {:>9.2} {:>9.2} {:>11} {:>10.1} {:>8} {:>8.1}",
        name,
        count,
        ms(whole),
        ms(whole) * 2000.0 / count as f64,
        told.count_total,
        told.count_total as f64 / count as f64,
        told.bytes_max / 1024,
        whole.as_secs_f64() / plain.as_secs_f64().max(1e-9)
    );
}

/// A session's first read of everything; the number of values.
fn read(router: &mut Router) -> usize {
    router.model.refresh();
    router.model.values(["Device."]).unwrap().len()
}

/// The least CPU time of this thread that the work takes.
fn least(mut work: impl FnMut() -> usize) -> Duration {
    let one = |_| {
        // The account is brought up to date when the thread has slept.
        std::thread::sleep(Duration::from_millis(1));
        let before = cpu();
        assert!(work() > 0);
        std::thread::sleep(Duration::from_millis(1));
        cpu().saturating_sub(before)
    };
    (0..ROUNDS).map(one).min().unwrap()
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps CPU times");
    Duration::from_nanos(text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The router with more VLANs, interfaces, address pools, leases and devices.
fn enlarge(from: &Path, to: &Path) {
    copy(from, to);
    let add = |name: &str, more: &str| {
        let path = to.join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + more).unwrap();
    };
    let (mut network, mut dhcp, mut firewall, mut kernel, mut leases) =
        (String::new(), String::new(), String::new(), String::new(), String::new());
    for n in 1..=MORE {
        let vlan = 100 + n;
        let device = format!("br-lan.{vlan}");
        write!(
            network,
            "\nconfig bridge-vlan\n\toption device 'br-lan'\n\toption vlan '{vlan}'\n\tlist ports 'lan3:t'\n"
        )
        .unwrap();
        write!(network, "\nconfig interface 'net{n}'\n\toption device '{device}'\n\toption proto 'static'\n\toption ipaddr '10.{n}.0.1'\n\toption netmask '255.255.255.0'\n").unwrap();
        write!(
            dhcp,
            "\nconfig dhcp 'net{n}'\n\toption interface 'net{n}'\n\toption start '10'\n\toption limit '100'\n"
        )
        .unwrap();
        write!(firewall, "\nconfig redirect\n\toption name 'port{n}'\n\toption src 'wan'\n\toption dest 'lan'\n\toption proto 'tcp'\n\toption src_dport '{}'\n\toption dest_ip '192.168.1.{n}'\n\toption target 'DNAT'\n", 8000 + n).unwrap();
        for (file, value) in
            [("address", "02:00:00:00:60:01"), ("mtu", "1500"), ("operstate", "up"), ("type", "1")]
        {
            writeln!(kernel, "sys/class/net/{device}/{file} = {value}").unwrap();
        }
        for file in [
            "rx_bytes",
            "tx_bytes",
            "rx_packets",
            "tx_packets",
            "rx_errors",
            "tx_errors",
            "rx_dropped",
            "tx_dropped",
            "multicast",
        ] {
            writeln!(kernel, "sys/class/net/{device}/statistics/{file} = {}", n * 1000).unwrap();
        }
        writeln!(kernel, "sys/class/net/{device}/uevent = DEVTYPE=vlan").unwrap();
        writeln!(leases, "4102444800 02:00:00:00:61:{n:02x} 192.168.1.{} device{n} *", 20 + n).unwrap();
    }
    add("etc/config/network", &network);
    add("etc/config/dhcp", &dhcp);
    add("etc/config/firewall", &firewall);
    add("kernel", &kernel);
    add("tmp/dhcp.leases", &leases);
}
