//! What `/etc/config/cwmp` says, parsed once: nobody handles half-validated configuration.
//!
//! Option names and meanings are icwmp's. A value that makes no sense is complained about and its
//! default used; only what the agent cannot run without (an ACS URL) is asked for where it is needed.

use std::path::PathBuf;
use std::time::Duration;

use crate::cwmp::lightweight::Digest;
use crate::model::date::{self, Moment};
use crate::model::value::switch;
use crate::secret::Secret;
use crate::sys::decimal;

/// The default of `periodic_inform_interval`, in seconds.
const DAY: u32 = 86_400;
/// From which amendments on there are aliases, compression, and intervals of retries, as icwmp has it.
const WITH_ALIASES: u8 = 5;
const WITH_COMPRESSION: u8 = 5;
const WITH_RETRIES: u8 = 3;

/// The agent's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `cpe.enable`: off, the daemon has nothing to do.
    pub enabled: bool,
    /// `cpe.jail`: the init script has procd start the agent with no more rights than it needs.
    pub jail: bool,
    /// `cpe.jail_user`: in it, procd starts the agent as a user of its own.
    pub jail_user: bool,
    /// How to reach the ACS.
    pub acs: Acs,
    /// What DHCP has to do with that.
    pub discovery: Discovery,
    /// `acs.periodic_inform_enable`, `_interval` (seconds) and `_time` (`None`: unknown).
    pub periodic: Periodic,
    /// HeartbeatPolicy: `acs.heartbeat_enable`, `_interval` and `_time`.
    pub heartbeat: Periodic,
    /// `cpe.schedule_reboot`: epoch seconds.
    pub schedule_reboot: Option<i64>,
    /// `cpe.delay_reboot`: seconds after the session that sets it; negative for none.
    pub delay_reboot: i64,
    /// `cpe.active_notif_throttle`: seconds between sessions that are only about active notifications.
    pub throttle: u32,
    /// `cpe.md_notif_limit`: seconds between active notifications of the number of manageable devices.
    pub manageable_limit: u32,
    /// `acs.retry_min_wait_interval` in seconds and `acs.retry_interval_multiplier` in thousandths, or what
    /// [`Discovery`] says instead.
    pub retry: (u32, u32),
    /// The connection-request listener.
    pub connection_request: ConnectionRequest,
    /// `config stun`, while `stun.enable` is on.
    pub stun: Option<Stun>,
    /// `lwn.digest`: what lightweight notifications are signed with.
    pub light_digest: Digest,
    /// `cpe.session_timeout`, in seconds: announced to the ACS, and how long a nonce of the
    /// connection-request port may be used.
    pub session_timeout: u32,
    /// `cpe.clock_sync_timeout`: how long the first session waits for a clock that is not set.
    pub clock_wait: Duration,
    /// How often values that no file tells of are compared with what the ACS knows:
    /// `cpe.periodic_notify_interval`. `None`, by `cpe.periodic_notify_enable`: changes are told with a session
    /// that begins for another reason, and never begin one.
    pub look: Option<Duration>,
    /// `cpe.fw_upgrade_keep_settings`: new firmware starts with the settings of the old one.
    pub keep_settings: bool,
    /// `cpe.disable_datatype_check`, negated: a value's xsi:type must be its parameter's.
    pub type_check: bool,
    /// `cpe.forced_inform_json`: a file that names more parameters for every Inform; empty for none.
    pub forced_inform: String,
    /// `cpe.custom_notify_json`: a file that names notifications that hold at first; empty for none.
    pub custom_notify: String,
    /// `acs.get_rpc_methods`: ask the ACS for its methods after start.
    pub get_rpc_methods: bool,
    /// `cpe.amd_version`: the amendment of TR-069 spoken, 1 to 6. Messages are of its version of CWMP, and what is
    /// newer is not there: methods and events, aliases ([`Settings::has_aliases`]) and compression before the
    /// fifth, other intervals of retries than 5 s and 2.000 before the third.
    pub amendment: u8,
    /// Where and how much to log.
    pub log: Log,
    /// What was wrong with the file; one sentence each.
    pub complaints: Vec<String>,
}

/// How to reach the ACS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acs {
    /// `acs.url`, or `acs.dhcp_url` as [`Discovery`] says.
    pub url: String,
    /// `acs.userid`.
    pub username: String,
    /// `acs.passwd`.
    pub password: Secret,
    /// `acs.ssl_capath`, once called `acs.https_ssl_capath`: a file or a directory of PEM certificates.
    pub ca: Option<PathBuf>,
    /// `acs.ssl_cert` and `acs.ssl_key`: our own certificate chain and its key, PEM, for servers that want one
    /// (TR-069 3.4.4). Not icwmp's.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `acs.insecure_enable`: certificates are not checked.
    pub insecure: bool,
    /// `acs.compression`.
    pub compression: Compression,
    /// `cpe.use_curl_ifname`: connections leave by [`Acs::interface`].
    pub binds: bool,
    /// The network device for that: `cpe.interface`, and where that is empty the one that carries
    /// [`Discovery::wan`], which `read_settings` of the daemon finds out. `None` where nobody knows one.
    pub interface: Option<String>,
    /// `cpe.force_ipv4`.
    pub force_ipv4: bool,
    /// Whether an upload asks first whether it is welcome; not with `acs.http_disable_100continue`. Messages
    /// never do.
    pub expect: bool,
}

/// ACS discovery by DHCP. What was offered last stands in icwmp's options, where the agent puts it: it must
/// outlive a lease that ends and a reboot, for an ACS that comes and goes would have "0 BOOTSTRAP" each time.
///
/// | | while DHCP has a say |
/// |---|---|
/// | URL | `acs.dhcp_url`, and without one `acs.url` |
/// | ProvisioningCode | `cpe.provisioning_code` if it is there, or `cpe.provisioning_code_fixed` says that the ACS wants none; else `cpe.dhcp_provisioning_code` |
/// | CWMPRetry… | `acs.retry_…` if `acs.retry_…_fixed` says that the ACS has set it; else `acs.dhcp_retry_…` if it is there; else `acs.retry_…` |
///
/// DHCP has a say while `acs.dhcp_discovery` is on, as in icwmp, and while `acs.url` is empty, as TR-069 3.1
/// wants it whatever else is configured. icwmp takes 5 s and 2.000 for intervals that DHCP leaves out,
/// and never what the ACS has set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// `acs.dhcp_discovery`.
    pub on: bool,
    /// Whether DHCP has a say.
    pub has_say: bool,
    /// Whether the URL of the ACS is the one of DHCP.
    pub is_used: bool,
    /// `acs.dhcp_url`; empty for none.
    pub url: String,
    /// `cpe.default_wan_interface`: whose offers count.
    pub wan: String,
}

/// `acs.compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Bodies go as they are.
    #[default]
    Disabled,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: deflate`.
    Deflate,
}

/// The periodic Inform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periodic {
    /// Whether it is sent at all.
    pub enabled: bool,
    /// Seconds.
    pub interval: u32,
    /// Epoch seconds of the phase.
    pub time: Option<i64>,
}

/// The connection-request listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRequest {
    /// `cpe.http_connection_request_enable`: off, the port is closed.
    pub enabled: bool,
    /// `cpe.userid`.
    pub username: String,
    /// `cpe.passwd`.
    pub password: Secret,
    /// `cpe.port`.
    pub port: u16,
    /// `cpe.path`; `None`: a random one, kept in the state.
    pub path: Option<String>,
    /// `cpe.cr_timeout`: how long a connection may live.
    pub timeout: Duration,
    /// `cpe.incoming_rule`: what the init script opens in the firewall.
    pub rule: IncomingRule,
}

/// Connection requests by UDP through a NAT (TR-069 Annex G).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stun {
    /// `stun.server_address`; empty for the host of the ACS.
    pub server: String,
    /// `stun.server_port`.
    pub port: u16,
    /// `stun.username`.
    pub username: String,
    /// `stun.password`.
    pub password: Secret,
    /// `stun.min_keepalive`.
    pub minimum: Duration,
    /// `stun.max_keepalive`; `None` for no limit.
    pub maximum: Option<Duration>,
}

/// `cpe.incoming_rule`. The last one is the default of icwmp's published schema. TR-069 3.2.2 has a device accept
/// connection requests from every source that knows the password: `Port_Only` is for an ACS that knocks from
/// another address than its URL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncomingRule {
    /// `Port_Only`: the port, for everybody.
    Port,
    /// `IP_Only`: every port, for the ACS.
    Address,
    /// `IP_Port`: the port, for the ACS. By default, for everybody until the address of the ACS is known.
    #[default]
    Both,
}

/// Where and how much to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `cpe.log_severity`.
    pub level: log::LevelFilter,
    /// `cpe.log_to_console`.
    pub console: bool,
    /// `cpe.log_to_syslog`.
    pub syslog: bool,
    /// `cpe.log_to_file` and `cpe.log_file_name`, below the root.
    pub file: Option<String>,
    /// `cpe.log_max_size` in bytes.
    pub max_size: u64,
}

impl Settings {
    /// Reads the settings through `option`, which gives the text of `section.option` or `None`.
    pub fn read(option: &mut dyn FnMut(&str) -> Option<String>) -> Settings {
        let mut reader = Reader { option, complaints: Vec::new() };
        let own_url = reader.text("acs.url");
        let discovery = reader.discovery(own_url.is_empty());
        let url = if discovery.is_used { discovery.url.clone() } else { own_url };
        let compression = match reader.text("acs.compression").to_ascii_lowercase().as_str() {
            "gzip" => Compression::Gzip,
            "deflate" => Compression::Deflate,
            "" | "disabled" | "0" | "false" => Compression::Disabled,
            other => {
                reader
                    .complaints
                    .push(format!("cwmp.acs.compression: {other:?} is none of GZIP, Deflate, Disabled"));
                Compression::Disabled
            }
        };
        let amendment = u8::try_from(reader.number("cpe.amd_version", 5, 1, 6)).unwrap_or(5);
        let binds = reader.flag("cpe.use_curl_ifname", false);
        let interface = binds.then(|| reader.text("cpe.interface"));
        let path = |text: String| Some(text).filter(|path| !path.is_empty()).map(PathBuf::from);
        let (chain, key) = (path(reader.text("acs.ssl_cert")), path(reader.text("acs.ssl_key")));
        if chain.is_some() != key.is_some() {
            let why = "cwmp.acs.ssl_cert and ssl_key: one without the other is no identity";
            reader.complaints.push(why.to_owned());
        }
        let acs = Acs {
            url,
            username: reader.text("acs.userid"),
            password: reader.secret("acs.passwd"),
            ca: reader.first(&["acs.ssl_capath", "acs.https_ssl_capath"]).map(PathBuf::from),
            identity: chain.zip(key),
            insecure: reader.flag("acs.insecure_enable", false),
            compression: if amendment < WITH_COMPRESSION { Compression::Disabled } else { compression },
            binds,
            interface: interface.filter(|name| !name.is_empty()),
            force_ipv4: reader.flag("cpe.force_ipv4", false),
            expect: !reader.flag("acs.http_disable_100continue", false),
        };
        let moment = |text: &str| match date::parse(text) {
            Some(Moment::At(epoch)) => Some(epoch),
            _ => None,
        };
        let time = moment(&reader.text("acs.periodic_inform_time"));
        let heartbeat = Periodic {
            enabled: reader.flag("acs.heartbeat_enable", false),
            interval: reader.number("acs.heartbeat_interval", 30, 30, u32::MAX),
            time: moment(&reader.text("acs.heartbeat_time")),
        };
        let schedule_reboot = moment(&reader.text("cpe.schedule_reboot"));
        let delay_reboot = reader.text("cpe.delay_reboot").parse().unwrap_or(-1);
        let periodic = Periodic {
            enabled: reader.flag("acs.periodic_inform_enable", true),
            interval: match reader.number("acs.periodic_inform_interval", DAY, 0, u32::MAX) {
                // icwmp takes a day for anything below a minute; an ACS that was told its 30 s are
                // applied must get them (TR-181: from 1 on).
                0 => DAY,
                interval => interval,
            },
            time,
        };
        let retry = (
            reader.retry("retry_min_wait_interval", 5, 1, discovery.has_say),
            reader.retry("retry_interval_multiplier", 2000, 1000, discovery.has_say),
        );
        let retry = if amendment < WITH_RETRIES { (5, 2000) } else { retry };
        let path = reader.text("cpe.path");
        let connection_request = ConnectionRequest {
            enabled: reader.flag("cpe.http_connection_request_enable", true),
            username: reader.text("cpe.userid"),
            password: reader.secret("cpe.passwd"),
            port: u16::try_from(reader.number("cpe.port", 7547, 1, 65_535)).unwrap_or(7547),
            path: Some(path)
                .filter(|path| !path.is_empty())
                .map(|path| if path.starts_with('/') { path } else { format!("/{path}") }),
            timeout: reader.seconds("cpe.cr_timeout", 5, "0.1", "60"),
            rule: reader.incoming_rule(),
        };
        let look = u64::from(reader.number("cpe.periodic_notify_interval", 10, 1, 86_400));
        let log = Log {
            level: match reader.text("cpe.log_severity").as_str() {
                // No line is graver than an error, and none of the grade between warning and information.
                "EMERG" | "ALERT" | "CRITIC" => log::LevelFilter::Off,
                "ERROR" => log::LevelFilter::Error,
                "WARNING" | "NOTICE" => log::LevelFilter::Warn,
                "" | "INFO" => log::LevelFilter::Info,
                "DEBUG" => log::LevelFilter::Debug,
                other => {
                    reader.complaints.push(format!("cwmp.cpe.log_severity: {other:?} is no severity"));
                    log::LevelFilter::Info
                }
            },
            console: reader.flag("cpe.log_to_console", false),
            syslog: reader.flag("cpe.log_to_syslog", true),
            file: reader.flag("cpe.log_to_file", true).then(|| match reader.text("cpe.log_file_name") {
                empty if empty.is_empty() => "/var/log/icwmpd.log".to_owned(),
                name => name,
            }),
            max_size: u64::from(reader.number("cpe.log_max_size", 102_400, 1024, 1 << 30)),
        };
        // These are read as values of the model, which says nothing of what it cannot understand.
        reader.flag("lwn.enable", false);
        reader.number("lwn.port", 7547, 0, 65_535);
        reader.flag("cpe.upgrades_managed", false);
        let light_digest = match reader.text("lwn.digest").as_str() {
            "" | "SHA-1" => Digest::Sha1,
            "SHA-256" => Digest::Sha256,
            other => {
                reader.complaints.push(format!("cwmp.lwn.digest: {other:?} is neither SHA-1 nor SHA-256"));
                Digest::Sha1
            }
        };
        Settings {
            enabled: reader.flag("cpe.enable", true),
            jail: reader.flag("cpe.jail", false),
            jail_user: reader.flag("cpe.jail_user", false),
            acs,
            discovery,
            periodic,
            heartbeat,
            schedule_reboot,
            delay_reboot,
            throttle: reader.number("cpe.active_notif_throttle", 0, 0, u32::MAX),
            manageable_limit: reader.number("cpe.md_notif_limit", 0, 0, u32::MAX),
            retry,
            connection_request,
            stun: reader.stun(),
            light_digest,
            session_timeout: reader.number("cpe.session_timeout", 60, 1, 86_400).max(30),
            clock_wait: reader.seconds("cpe.clock_sync_timeout", 128, "0", "86400"),
            look: reader.flag("cpe.periodic_notify_enable", true).then(|| Duration::from_secs(look)),
            keep_settings: reader.flag("cpe.fw_upgrade_keep_settings", true),
            type_check: !reader.flag("cpe.disable_datatype_check", false),
            forced_inform: reader.text("cpe.forced_inform_json"),
            custom_notify: reader.text("cpe.custom_notify_json"),
            get_rpc_methods: reader.flag("acs.get_rpc_methods", true),
            amendment,
            log,
            complaints: reader.complaints,
        }
    }

    /// Whether instances have aliases for the ACS (TR-069 3.6.1).
    pub fn has_aliases(&self) -> bool {
        self.amendment >= WITH_ALIASES
    }

    /// Whether bodies can be compressed (TR-069 3.4.7).
    pub fn has_compression(&self) -> bool {
        self.amendment >= WITH_COMPRESSION
    }
}

struct Reader<'o> {
    option: &'o mut dyn FnMut(&str) -> Option<String>,
    complaints: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> String {
        (self.option)(name).unwrap_or_default().trim().to_owned()
    }

    fn secret(&mut self, name: &str) -> Secret {
        Secret::trimmed((self.option)(name).unwrap_or_default())
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        let text = self.text(name);
        switch(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                self.complaints.push(format!("cwmp.{name}: {text:?} is neither on nor off"));
            }
            default
        })
    }

    /// The first of these options that says anything.
    fn first(&mut self, names: &[&str]) -> Option<String> {
        names.iter().map(|name| self.text(name)).find(|text| !text.is_empty())
    }

    fn stun(&mut self) -> Option<Stun> {
        let enabled = self.flag("stun.enable", false);
        let maximum = match self.text("stun.max_keepalive").as_str() {
            "" | "-1" => None,
            _ => Some(self.number("stun.max_keepalive", u32::MAX, 0, u32::MAX)),
        };
        let stun = Stun {
            server: self.text("stun.server_address"),
            port: u16::try_from(self.number("stun.server_port", 3478, 1, 65_535)).unwrap_or(3478),
            username: self.text("stun.username"),
            password: self.secret("stun.password"),
            minimum: Duration::from_secs(self.number("stun.min_keepalive", 30, 0, u32::MAX).into()),
            maximum: maximum.map(|seconds| Duration::from_secs(seconds.into())),
        };
        enabled.then_some(stun)
    }

    fn incoming_rule(&mut self) -> IncomingRule {
        match self.text("cpe.incoming_rule").to_ascii_lowercase().as_str() {
            "port_only" => IncomingRule::Port,
            "ip_only" => IncomingRule::Address,
            "" | "ip_port" => IncomingRule::Both,
            other => {
                let why = format!("cwmp.cpe.incoming_rule: {other:?} is none of Port_Only, IP_Only, IP_Port");
                self.complaints.push(why);
                IncomingRule::default()
            }
        }
    }

    fn discovery(&mut self, is_needed: bool) -> Discovery {
        let on = self.flag("acs.dhcp_discovery", false);
        let url = self.text("acs.dhcp_url");
        let wan = Some(self.text("cpe.default_wan_interface")).filter(|name| !name.is_empty());
        let has_say = on || is_needed;
        let is_used = has_say && !url.is_empty();
        Discovery { on, has_say, is_used, url, wan: wan.unwrap_or_else(|| "wan".to_owned()) }
    }

    fn retry(&mut self, name: &str, default: u32, least: u32, dhcp_has_say: bool) -> u32 {
        let own = self.number(&format!("acs.{name}"), default, least, 65_535);
        if !dhcp_has_say || self.flag(&format!("acs.{name}_fixed"), false) {
            return own;
        }
        self.number(&format!("acs.dhcp_{name}"), own, least, 65_535)
    }

    /// Seconds, with or without a fraction.
    fn seconds(&mut self, name: &str, default: u64, least: &str, most: &str) -> Duration {
        let text = self.text(name);
        let range = decimal::seconds(least)..=decimal::seconds(most);
        match decimal::seconds(&text) {
            Some(time) if range.contains(&Some(time)) => return time,
            _ if text.is_empty() => {}
            _ => {
                self.complaints.push(format!("cwmp.{name}: {text:?} is no number from {least} to {most}"));
            }
        }
        Duration::from_secs(default)
    }

    fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let text = self.text(name);
        if text.is_empty() {
            return default;
        }
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.complaints.push(format!("cwmp.{name}: {text:?} is no number from {least} to {most}"));
                default
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[(&str, &str)]) -> Settings {
        Settings::read(&mut |name| {
            list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults() {
        let settings = read(&[]);
        assert!(settings.enabled && settings.periodic.enabled && settings.complaints.is_empty());
        assert_eq!((settings.periodic.interval, settings.periodic.time), (86_400, None));
        assert_eq!(settings.retry, (5, 2000));
        assert_eq!((settings.connection_request.port, settings.session_timeout), (7547, 60));
        assert_eq!(settings.log.file.as_deref(), Some("/var/log/icwmpd.log"));
    }

    #[test]
    fn the_url_of_dhcp_goes_first_when_discovery_is_on() {
        let both = [("acs.url", "http://a/"), ("acs.dhcp_url", "http://b/")];
        assert_eq!(read(&both).acs.url, "http://a/");
        assert_eq!(read(&[both[0], both[1], ("acs.dhcp_discovery", "enable")]).acs.url, "http://b/");
        assert_eq!(read(&[both[0], ("acs.dhcp_discovery", "1")]).acs.url, "http://a/");
        // Without a URL there is nothing else to go by (TR-069 3.1).
        assert_eq!(read(&both[1..]).acs.url, "http://b/");
        assert_eq!(read(&[both[1], ("acs.dhcp_discovery", "0")]).acs.url, "http://b/");
        assert!(!read(&both).discovery.has_say && read(&[]).discovery.has_say);
        assert!(read(&both[1..]).discovery.is_used && !read(&[]).discovery.is_used);
    }

    #[test]
    fn retries() {
        let on = ("acs.dhcp_discovery", "1");
        let own = ("acs.retry_min_wait_interval", "7");
        let dhcp = ("acs.dhcp_retry_min_wait_interval", "30");
        let of = |list: &[(&str, &str)]| read(&[&[("acs.url", "http://a/")], list].concat()).retry.0;
        assert_eq!(of(&[dhcp]), 5);
        assert_eq!(of(&[dhcp, own]), 7);
        assert_eq!(of(&[on, dhcp, own]), 30);
        assert_eq!(of(&[on, own]), 7);
        assert_eq!(of(&[on, dhcp, own, ("acs.retry_min_wait_interval_fixed", "1")]), 7);
        assert_eq!(of(&[on, dhcp, own, ("acs.retry_interval_multiplier_fixed", "1")]), 30);
        assert_eq!(of(&[on, own, ("acs.dhcp_retry_min_wait_interval", "0")]), 7);
        let multiplier = read(&[("acs.dhcp_retry_interval_multiplier", "1500")]);
        assert_eq!(multiplier.retry, (5, 1500));
    }

    /// icwmp's meaning: what an amendment does not have is off.
    #[test]
    fn amendments() {
        for (amendment, aliases, compression, retry) in [
            ("1", false, Compression::Disabled, (5, 2000)),
            ("2", false, Compression::Disabled, (5, 2000)),
            ("3", false, Compression::Disabled, (7, 3000)),
            ("4", false, Compression::Disabled, (7, 3000)),
            ("5", true, Compression::Gzip, (7, 3000)),
            ("6", true, Compression::Gzip, (7, 3000)),
        ] {
            let settings = read(&[
                ("cpe.amd_version", amendment),
                ("acs.compression", "GZIP"),
                ("acs.retry_min_wait_interval", "7"),
                ("acs.retry_interval_multiplier", "3000"),
            ]);
            let found = (settings.has_aliases(), settings.acs.compression, settings.retry);
            assert_eq!(found, (aliases, compression, retry), "{amendment}");
        }
    }

    #[test]
    fn nonsense_is_complained_about() {
        let settings = read(&[
            ("cpe.port", "70000"),
            ("cpe.enable", "perhaps"),
            ("acs.compression", "zip"),
            ("cpe.log_severity", "LOUD"),
            ("acs.retry_min_wait_interval", "0"),
            ("lwn.digest", "MD5"),
            ("lwn.enable", "perhaps"),
            ("lwn.port", "99999"),
            ("cpe.upgrades_managed", "perhaps"),
        ]);
        assert_eq!(settings.complaints.len(), 9, "{:?}", settings.complaints);
        assert_eq!((settings.connection_request.port, settings.enabled), (7547, true));
        assert_eq!(settings.light_digest, Digest::Sha1);
        assert_eq!(read(&[("lwn.digest", "SHA-256")]).light_digest, Digest::Sha256);
    }

    /// Of icwmp's eight levels those that no line of ours is of.
    #[test]
    fn levels_of_the_log() {
        use log::LevelFilter as L;
        for (word, level) in [
            ("EMERG", L::Off),
            ("ALERT", L::Off),
            ("CRITIC", L::Off),
            ("ERROR", L::Error),
            ("WARNING", L::Warn),
            ("NOTICE", L::Warn),
            ("INFO", L::Info),
            ("", L::Info),
            ("DEBUG", L::Debug),
        ] {
            assert_eq!(read(&[("cpe.log_severity", word)]).log.level, level, "{word}");
        }
    }

    #[test]
    fn values() {
        let settings = read(&[
            ("acs.periodic_inform_interval", "0"),
            ("acs.periodic_inform_time", "2026-01-01T00:00:00Z"),
            ("cpe.path", "cr"),
            ("cpe.session_timeout", "5"),
            ("acs.compression", "GZIP"),
            ("cpe.log_to_file", "0"),
        ]);
        assert_eq!(settings.periodic.interval, 86_400);
        assert_eq!(settings.periodic.time, Some(1_767_225_600));
        assert_eq!(settings.connection_request.path.as_deref(), Some("/cr"));
        assert_eq!((settings.session_timeout, settings.acs.compression), (30, Compression::Gzip));
        assert_eq!(settings.log.file, None);
    }

    #[test]
    fn stun() {
        assert_eq!(read(&[("stun.server_address", "stun.example")]).stun, None);
        let of = |list: &[(&str, &str)]| read(&[&[("stun.enable", "1")], list].concat());
        let stun = of(&[]).stun.unwrap();
        assert_eq!((stun.port, stun.minimum.as_secs(), stun.maximum), (3478, 30, None));
        assert_eq!(of(&[("stun.max_keepalive", "-1")]).stun.unwrap().maximum, None);
        let stun = of(&[("stun.max_keepalive", "0"), ("stun.min_keepalive", "0")]).stun.unwrap();
        assert_eq!((stun.minimum, stun.maximum), (Duration::ZERO, Some(Duration::ZERO)));
        for wrong in ["stun.max_keepalive", "stun.min_keepalive", "stun.server_port"] {
            assert_eq!(of(&[(wrong, "-2")]).complaints.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn what_icwmp_has_and_its_schema_has_not() {
        let settings = read(&[
            ("cpe.cr_timeout", "0.5"),
            ("cpe.clock_sync_timeout", "0"),
            ("cpe.incoming_rule", "IP_Port"),
            ("acs.http_disable_100continue", "1"),
            ("acs.https_ssl_capath", "/etc/old"),
            ("cpe.periodic_notify_enable", "0"),
            ("cpe.fw_upgrade_keep_settings", "off"),
        ]);
        assert_eq!(
            (settings.connection_request.timeout, settings.clock_wait),
            (Duration::from_millis(500), Duration::ZERO)
        );
        assert_eq!(settings.connection_request.rule, IncomingRule::Both);
        assert_eq!((settings.acs.expect, settings.keep_settings, settings.look), (false, false, None));
        assert_eq!(settings.acs.ca, Some("/etc/old".into()));
        let both = read(&[("acs.ssl_capath", "/etc/new"), ("acs.https_ssl_capath", "/etc/old")]);
        assert_eq!(both.acs.ca, Some("/etc/new".into()));
        let one = |name, value| read(&[(name, value)]).complaints.len();
        for wrong in ["0", "-1", "61", "NaN", "inf", "5s", "1e39"] {
            assert_eq!(one("cpe.cr_timeout", wrong), 1, "{wrong}");
        }
        assert_eq!(one("cpe.incoming_rule", "Any"), 1);
        assert_eq!(one("cpe.periodic_notify_interval", "0"), 1);
    }
}
