//! Diagnostics between the model and their execution: what an ACS has set becomes a test's input, and what
//! the test has found becomes values (TR-181 DiagnosticsState, TR-143).

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::diagnose_igd;
use crate::diagnostics::{
    Moment, ProtocolVersion, State, download, echo_test, lookup, neighbours, ping, selection, self_test,
    throughput, traceroute, upload,
};
use crate::model::date;
use crate::sys::fs::Root;

/// The longest that any test may take; a throughput test by time can be asked for 999 s.
const LONGEST: Duration = Duration::from_secs(1200);
/// Where the router's own programs find their name servers.
const RESOLV_CONF: &str = "/tmp/resolv.conf";

const PING: &str = "Device.IP.Diagnostics.IPPing.";
const TRACEROUTE: &str = "Device.IP.Diagnostics.TraceRoute.";
const DOWNLOAD: &str = "Device.IP.Diagnostics.DownloadDiagnostics.";
const UPLOAD: &str = "Device.IP.Diagnostics.UploadDiagnostics.";
const UDP_ECHO: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
const SELECTION: &str = "Device.IP.Diagnostics.ServerSelectionDiagnostics.";
const LOOKUP: &str = "Device.DNS.Diagnostics.NSLookupDiagnostics.";
const NEIGHBOURS: &str = "Device.WiFi.NeighboringWiFiDiagnostic.";
const SELF_TEST: &str = "Device.SelfTestDiagnostics.";

/// A test that can be run.
#[derive(Debug, Clone)]
pub enum Test {
    /// IPPing.
    Ping(ping::Input),
    /// TraceRoute.
    TraceRoute(traceroute::Input),
    /// DownloadDiagnostics.
    Download(throughput::Input),
    /// UploadDiagnostics.
    Upload(upload::Input),
    /// UDPEchoDiagnostics.
    UdpEcho(echo_test::Input),
    /// ServerSelectionDiagnostics.
    Selection(selection::Input),
    /// NSLookupDiagnostics.
    Lookup(lookup::Input),
    /// SelfTestDiagnostics.
    SelfTest(self_test::Input),
    /// NeighboringWiFiDiagnostic; who listens is filled in by whoever starts it.
    Neighbours(neighbours::Input),
}

/// What a test has found, in the model's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// DiagnosticsState.
    pub state: String,
    /// Whether the ACS is told: not of a test that it has cancelled.
    pub is_event: bool,
    /// Values by their names below the object.
    pub values: Vec<(String, String)>,
    /// Tables below the object, with their final dot, and their numbers of rows.
    pub rows: Vec<(String, u32)>,
}

/// What an ACS has set, by names below the object.
struct Given<'v>(&'v HashMap<String, String>);

impl Given<'_> {
    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn number<N: FromStr + Default>(&self, name: &str) -> N {
        self.0.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text == "1")
    }

    fn version(&self) -> ProtocolVersion {
        ProtocolVersion::from_name(&self.text("ProtocolVersion")).unwrap_or(ProtocolVersion::Any)
    }
}

impl Test {
    /// The test of an object with what is set there; `None` for an object that is no test. `interface` is
    /// the Linux device of its Interface, empty for whatever the routes say.
    pub fn of(
        object: &str,
        values: &HashMap<String, String>,
        interface: String,
        root: &Root,
    ) -> Option<Test> {
        let given = Given(values);
        let resolv_conf = root.resolve(RESOLV_CONF).unwrap_or_else(|_| PathBuf::from(RESOLV_CONF));
        Some(match diagnose_igd::standard(object) {
            PING => Test::Ping(ping::Input {
                interface,
                protocol_version: given.version(),
                host: given.text("Host"),
                number_of_repetitions: given.number("NumberOfRepetitions"),
                timeout: given.number("Timeout"),
                data_block_size: given.number("DataBlockSize"),
                dscp: given.number("DSCP"),
            }),
            TRACEROUTE => Test::TraceRoute(traceroute::Input {
                interface,
                protocol_version: given.version(),
                host: given.text("Host"),
                number_of_tries: given.number("NumberOfTries"),
                timeout: given.number("Timeout"),
                data_block_size: given.number("DataBlockSize"),
                dscp: given.number("DSCP"),
                max_hop_count: given.number("MaxHopCount"),
                with_names: true,
            }),
            DOWNLOAD => Test::Download(throughput_input(&given, "DownloadURL", interface)),
            UPLOAD => Test::Upload(upload::Input {
                common: throughput_input(&given, "UploadURL", interface),
                test_file_length: given.number("TestFileLength"),
            }),
            UDP_ECHO => Test::UdpEcho(echo_test::Input {
                interface,
                host: given.text("Host"),
                port: given.number("Port"),
                number_of_repetitions: given.number("NumberOfRepetitions"),
                timeout: given.number("Timeout"),
                data_block_size: given.number("DataBlockSize"),
                dscp: given.number("DSCP"),
                inter_transmission_time: given.number("InterTransmissionTime"),
                protocol_version: given.version(),
                enable_individual_packet_results: given.flag("EnableIndividualPacketResults"),
            }),
            SELECTION => Test::Selection(selection::Input {
                interface,
                protocol_version: given.version(),
                protocol: selection::Protocol::from_name(&given.text("Protocol"))?,
                host_list: given
                    .text("HostList")
                    .split(',')
                    .map(str::trim)
                    .filter(|host| !host.is_empty())
                    .map(str::to_owned)
                    .collect(),
                number_of_repetitions: given.number("NumberOfRepetitions"),
                timeout: given.number("Timeout"),
                ..selection::Input::default()
            }),
            LOOKUP => Test::Lookup(lookup::Input {
                interface,
                host_name: given.text("HostName"),
                dns_server: given.text("DNSServer"),
                timeout: given.number("Timeout"),
                number_of_repetitions: given.number("NumberOfRepetitions"),
                resolv_conf,
                ..lookup::Input::default()
            }),
            NEIGHBOURS => Test::Neighbours(neighbours::Input::default()),
            SELF_TEST => Test::SelfTest(self_test::Input {
                directories: ["/etc/config", "/tmp"]
                    .iter()
                    .filter_map(|path| root.resolve(path).ok())
                    .collect(),
                resolv_conf,
            }),
            _ => return None,
        })
    }

    /// Runs it. To be called where waiting does no harm; ends soon after `cancel` is set.
    pub fn run(&self, cancel: &AtomicBool) -> Found {
        let deadline = Instant::now() + LONGEST;
        match self {
            Test::Ping(input) => {
                let out = ping::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.address(out.ip_address_used);
                for (name, number) in [
                    ("SuccessCount", out.success_count),
                    ("FailureCount", out.failure_count),
                    ("AverageResponseTime", out.average_response_time),
                    ("MinimumResponseTime", out.minimum_response_time),
                    ("MaximumResponseTime", out.maximum_response_time),
                    ("AverageResponseTimeDetailed", out.average_response_time_detailed),
                    ("MinimumResponseTimeDetailed", out.minimum_response_time_detailed),
                    ("MaximumResponseTimeDetailed", out.maximum_response_time_detailed),
                ] {
                    found.put(name, number);
                }
                found
            }
            Test::TraceRoute(input) => {
                let out = traceroute::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.address(out.ip_address_used);
                found.put("ResponseTime", out.response_time);
                found.table("RouteHops.", &out.route_hops, |row, hop| {
                    row.put("Host", &hop.host);
                    row.put("HostAddress", &hop.host_address);
                    row.put("ErrorCode", hop.error_code);
                    row.put("RTTimes", joined(&hop.rt_times));
                });
                found
            }
            Test::Download(input) => {
                throughput_found(download::run(input, cancel, deadline), "Received", input)
            }
            Test::Upload(input) => {
                throughput_found(upload::run(input, cancel, deadline), "Sent", &input.common)
            }
            Test::UdpEcho(input) => {
                let out = echo_test::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.address(out.ip_address_used);
                found.put("SuccessCount", out.success_count);
                found.put("FailureCount", out.failure_count);
                found.put("AverageResponseTime", out.average_response_time);
                found.put("MinimumResponseTime", out.minimum_response_time);
                found.put("MaximumResponseTime", out.maximum_response_time);
                found.table("IndividualPacketResult.", &out.individual_packet_result, |row, packet| {
                    row.put("PacketSuccess", u8::from(packet.packet_success));
                    row.time("PacketSendTime", Some(packet.packet_send_time));
                    row.time("PacketReceiveTime", packet.packet_receive_time);
                    row.put("TestGenSN", packet.test_gen_sn);
                    row.put("TestRespSN", packet.test_resp_sn);
                    row.put("TestRespRcvTimeStamp", packet.test_resp_rcv_time_stamp);
                    row.put("TestRespReplyTimeStamp", packet.test_resp_reply_time_stamp);
                    row.put("TestRespReplyFailureCount", packet.test_resp_reply_failure_count);
                });
                found
            }
            Test::Selection(input) => {
                let out = selection::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.address(out.ip_address_used);
                found.put("FastestHost", &out.fastest_host);
                found.put("MinimumResponseTime", out.minimum_response_time);
                found.put("AverageResponseTime", out.average_response_time);
                found.put("MaximumResponseTime", out.maximum_response_time);
                found
            }
            Test::Lookup(input) => {
                let out = lookup::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.put("SuccessCount", out.success_count);
                found.table("Result.", &out.result, |row, one| {
                    row.put("Status", one.status.as_str());
                    row.put("AnswerType", one.answer_type.as_str());
                    row.put("HostNameReturned", &one.host_name_returned);
                    // The parameter's list holds ten.
                    row.put("IPAddresses", joined(one.ip_addresses.iter().take(10)));
                    row.put("DNSServerIP", one.dns_server_ip);
                    row.put("ResponseTime", one.response_time);
                });
                found
            }
            Test::Neighbours(input) => {
                let out = neighbours::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.table("Result.", &out.result, |row, one| {
                    row.put("Radio", &one.radio);
                    row.put("SSID", &one.ssid);
                    row.put("BSSID", &one.bssid);
                    row.put("Mode", one.mode);
                    row.put("Channel", one.channel);
                    row.put("SignalStrength", one.signal_strength);
                    row.put("SecurityModeEnabled", one.security_mode_enabled);
                    row.put("EncryptionMode", joined(&one.encryption_mode));
                    row.put("OperatingFrequencyBand", one.operating_frequency_band);
                });
                found
            }
            Test::SelfTest(input) => {
                let out = self_test::run(input, cancel, deadline);
                let mut found = Found::new(out.diagnostics_state);
                found.put("Results", &out.results);
                found
            }
        }
    }
}

impl Found {
    fn new(state: State) -> Found {
        Found {
            state: state.as_str().to_owned(),
            is_event: state.is_event(),
            values: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The test of an object was lost with its thread, or could not be begun.
    pub fn lost(object: &str) -> Found {
        Found::new(if object == NEIGHBOURS { State::Failed } else { State::Internal }).of(object)
    }

    /// As the object tells it: TR-098's have other words.
    pub fn of(self, object: &str) -> Found {
        diagnose_igd::told(object, self)
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts alike, mostly copied")]
    fn put(&mut self, name: &str, value: impl ToString) {
        self.values.push((name.to_owned(), value.to_string()));
    }

    fn address(&mut self, address: Option<IpAddr>) {
        self.put("IPAddressUsed", address.map_or_else(String::new, |address| address.to_string()));
    }

    fn time(&mut self, name: &str, moment: Option<Moment>) {
        self.put(name, moment.map_or_else(|| UNKNOWN.to_owned(), date_time));
    }

    /// Rows of results, each value under its number.
    fn table<R>(&mut self, table: &str, rows: &[R], mut row: impl FnMut(&mut Found, &R)) {
        for (number, one) in (1_u32..).zip(rows) {
            let mut found = Found::new(State::Complete);
            row(&mut found, one);
            let named =
                found.values.into_iter().map(|(name, text)| (format!("{table}{number}.{name}"), text));
            self.values.extend(named);
        }
        self.rows.push((table.to_owned(), u32::try_from(rows.len()).unwrap_or(u32::MAX)));
    }
}

/// dateTime of an unknown time (TR-106 3.2.2).
const UNKNOWN: &str = "0001-01-01T00:00:00Z";

/// With microseconds, as TR-143 asks for.
fn date_time(moment: Moment) -> String {
    let (seconds, micros) = moment.split();
    let text = date::format_utc(seconds);
    format!("{}.{micros:06}Z", text.trim_end_matches('Z'))
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}

fn throughput_input(given: &Given<'_>, url: &str, interface: String) -> throughput::Input {
    throughput::Input {
        interface,
        url: given.text(url),
        dscp: given.number("DSCP"),
        ethernet_priority: given.number("EthernetPriority"),
        time_based_test_duration: given.number("TimeBasedTestDuration"),
        time_based_test_measurement_interval: given.number("TimeBasedTestMeasurementInterval"),
        time_based_test_measurement_offset: given.number("TimeBasedTestMeasurementOffset"),
        protocol_version: given.version(),
        // TR-098 has no such parameter: one.
        number_of_connections: given.number::<u32>("NumberOfConnections").max(1),
        enable_per_connection_results: given.flag("EnablePerConnectionResults"),
    }
}

/// `way` is what the test's own octets do: `Received` or `Sent`.
fn throughput_found(out: throughput::Output, way: &str, input: &throughput::Input) -> Found {
    let mut found = Found::new(out.diagnostics_state);
    found.address(out.ip_address_used);
    found.time("ROMTime", out.rom_time);
    found.time("BOMTime", out.bom_time);
    found.time("EOMTime", out.eom_time);
    found.put(&format!("TestBytes{way}"), out.test_bytes);
    found.put("TotalBytesReceived", out.total_bytes_received);
    found.put("TotalBytesSent", out.total_bytes_sent);
    found.put(&format!("TestBytes{way}UnderFullLoading"), out.test_bytes_under_full_loading);
    found.put("TotalBytesReceivedUnderFullLoading", out.total_bytes_received_under_full_loading);
    found.put("TotalBytesSentUnderFullLoading", out.total_bytes_sent_under_full_loading);
    found.put("PeriodOfFullLoading", out.period_of_full_loading);
    found.time("TCPOpenRequestTime", out.tcp_open_request_time);
    found.time("TCPOpenResponseTime", out.tcp_open_response_time);
    let connections = match input.enable_per_connection_results {
        true => out.per_connection_result,
        false => Vec::new(),
    };
    found.table("PerConnectionResult.", &connections, |row, one| {
        row.time("ROMTime", one.rom_time);
        row.time("BOMTime", one.bom_time);
        row.time("EOMTime", one.eom_time);
        row.put(&format!("TestBytes{way}"), one.test_bytes);
        row.put("TotalBytesReceived", one.total_bytes_received);
        row.put("TotalBytesSent", one.total_bytes_sent);
        row.time("TCPOpenRequestTime", one.tcp_open_request_time);
        row.time("TCPOpenResponseTime", one.tcp_open_response_time);
    });
    found.table("IncrementalResult.", &out.incremental_result, |row, one| {
        row.put(&format!("TestBytes{way}"), one.test_bytes);
        row.put("TotalBytesReceived", one.total_bytes_received);
        row.put("TotalBytesSent", one.total_bytes_sent);
        row.time("StartTime", Some(one.start_time));
        row.time("EndTime", Some(one.end_time));
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compiled;

    #[test]
    fn every_object_that_can_be_requested_is_a_test_and_every_result_has_its_parameter() {
        let schema = compiled::schema();
        let root = Root::default();
        let cancel = AtomicBool::new(true);
        let mut tests = 0;
        for object in schema.objects() {
            if !object.params.iter().any(|param| param.name == "DiagnosticsState") {
                continue;
            }
            let defaults: HashMap<String, String> = object
                .params
                .iter()
                .map(|param| (param.name.to_owned(), param.source.default.to_owned()))
                .collect();
            let test = Test::of(object.path, &defaults, String::new(), &root).expect(object.path);
            tests += 1;
            let found = test.run(&cancel);
            let names: Vec<&str> = object.params.iter().map(|param| param.name).collect();
            for (name, text) in &found.values {
                let param = object.params.iter().find(|param| param.name == name);
                let param = param.unwrap_or_else(|| panic!("{}{name} is not one of {names:?}", object.path));
                assert!(param.ty.canonical(text).is_ok(), "{}{name} = {text:?}", object.path);
            }
            for (table, _) in &found.rows {
                assert!(schema.find(&format!("{}{table}{{i}}.", object.path)).is_some(), "{table}");
            }
            let words =
                object.params.iter().find(|param| param.name == "DiagnosticsState").unwrap().ty.values;
            assert!(words.contains(&found.state.as_str()), "{}: {}", object.path, found.state);
        }
        assert_eq!(tests, 9);
    }

    #[test]
    fn times_have_microseconds() {
        assert_eq!(date_time(Moment(1_795_237_200_000_042)), "2026-11-21T05:00:00.000042Z");
    }
}
