//! Nothing that takes long makes the loop wait: while a download of a minute and a traceroute are on their
//! way, the port and ubus answer at once, and a session is had.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test says why it failed or was skipped")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/own_network.rs"]
mod own_network;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use messages::{envelope, get_values, set_values};
use play::{Knock, challenge, end, has, inform, knock, methods, request_url, router, say, value};
use rcwmp::lab::router::broker::Broker;
use rcwmp::ubus::blobmsg::Table;
use rcwmp::ubus::client::Client;
use scripted::{Scripted, Seen};

const LIMIT: Duration = Duration::from_secs(10);
const ROUTE: &str = "Device.IP.Diagnostics.TraceRoute.";

/// A file of 600 KiB that comes in a minute, for as long as somebody reads it; its URL.
fn slow_file() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/image", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 614400\r\n\r\n");
        for _ in 0..600 {
            if stream.write_all(&[7; 1024]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    url
}

/// A network of its own, with an address behind which packets vanish.
const SILENT: &str = "\
    ip link add quiet type veth peer name other
    ip link set quiet up
    ip link set other up
    ip addr add 10.99.0.1/24 dev quiet
    ip neigh add 10.99.0.9 lladdr 02:00:00:00:00:09 dev quiet";

#[test]
fn a_download_and_a_traceroute_hold_nothing_up() {
    if !own_network::inside("a_download_and_a_traceroute_hold_nothing_up", SILENT) {
        return;
    }
    let download = format!(
        "<cwmp:Download><CommandKey>slow</CommandKey><FileType>1 Firmware Upgrade Image</FileType><URL>{}</URL>\
         <Username/><Password/><FileSize>0</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds><SuccessURL/>\
         <FailureURL/></cwmp:Download>",
        slow_file()
    );
    let (host, timeout, state) =
        (format!("{ROUTE}Host"), format!("{ROUTE}Timeout"), format!("{ROUTE}DiagnosticsState"));
    let requested = [
        (host.as_str(), "xsd:string", "10.99.0.9"),
        (timeout.as_str(), "xsd:unsignedInt", "20000"),
        (state.as_str(), "xsd:string", "Requested"),
    ];
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(envelope("1", &download)),
        say(set_values("2", &requested, "")),
        end(),
        inform(),
        say(envelope("3", "<cwmp:GetQueuedTransfers/>")),
        say(get_values("4", &[&state])),
        end(),
    ]);
    let router = router(&acs.url());
    let socket = router.root().join("var/run/ubus/ubus.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let broker = Broker::start(&socket, vec![]).unwrap();
    let agent = router.start(&[]);
    agent.wait_for("Download of 1 Firmware Upgrade Image is started", 1);
    agent.wait_for("TraceRoute. is started", 1);
    let url = request_url(&acs.seen()[0].text());
    agent.wait_for("tr069 is on ubus", 1);
    let mut client = Client::connect(broker.path(), LIMIT).unwrap();
    let (mut took, mut told): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        took.push(challenge(&url));
        let start = Instant::now();
        assert_eq!(client.call("tr069", "status", &Table::new(), LIMIT).unwrap().len(), 1);
        told.push(start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    took.sort_unstable();
    told.sort_unstable();
    let start = Instant::now();
    assert!([200, 204].contains(&knock(&url, Knock::default())));
    let known = start.elapsed();
    // The median: other tests want this machine's time as well.
    assert!(took[10] < Duration::from_millis(50), "{took:?}");
    assert!(told[10] < Duration::from_millis(50), "{told:?}");
    assert!(known < Duration::from_secs(2), "{known:?}");
    agent.wait_for("End session", 2);
    assert!(agent.stop().0.success());
    let seen: Vec<String> = acs.finish().iter().map(Seen::text).collect();
    has(&seen[7], &["<CommandKey>slow<", "<State>2<"]);
    assert_eq!(value(&seen[8], &state), "Requested");
}
