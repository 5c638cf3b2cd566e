//! The command lines of `mini-acs` and `lab`: two tables of flags, and their parser.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use serde_json::Value as Json;

use super::lua;
use crate::http::auth::Credentials;
use crate::lab::acs::guard::Auth;
use crate::lab::acs::quirks::Quirks;
use crate::lab::lua::service::Variables;
use crate::lab::models::Model;

/// Flags of both modes: name, value, what for, and whether `mini-acs` and `lab` have it.
pub const FLAGS: &[(&str, &str, &str, bool, bool)] = &[
    ("listen", "ADDRESS", "where to listen (default 127.0.0.1:9292)", true, false),
    ("db", "FILE", "the device store, an SQLite file (default: in memory)", true, false),
    ("service", "FILE", "a Lua script of the Services environment", true, true),
    ("var", "NAME=VALUE", "a variable of the --service before it; of the built-in one in lab", true, true),
    ("device", "SERIAL", "attaches the --service before it to this device", true, false),
    (
        "script",
        "FILE",
        "a Lua script of the Scripts environment, or a folder of them (*.lua); runs until it ends",
        true,
        false,
    ),
    ("profile", "FILE", "a profile, or one that is built in: openwrt-tr181, tr098", true, false),
    (
        "auth",
        "KIND[:USER:PASSWORD]",
        "what CPEs must show, these or a credential of the store; KIND is basic or digest",
        true,
        false,
    ),
    ("allow-remote", "", "lets addresses beyond the loopback in; needs --auth", true, false),
    ("https", "ADDRESS", "listens for HTTPS too, with --cert and --key", true, false),
    ("cert", "FILE", "the certificate with its chain, PEM", true, false),
    ("key", "FILE", "its key, PEM (default: the --cert file)", true, false),
    (
        "xmpp",
        "USER:PASSWORD@DOMAIN",
        "sends connection requests over XMPP, too, to devices that have told a ConnReqJabberID; over TLS",
        true,
        false,
    ),
    ("xmpp-server", "HOST[:PORT]", "the server for --xmpp (default: the domain, port 5222)", true, false),
    (
        "xmpp-ca",
        "PATH",
        "who signs its certificate, PEM, a file or a directory (default /etc/ssl/certs)",
        true,
        false,
    ),
    ("control", "ADDRESS", "serves the JSON API here, for `mini-acs ctl` (a loopback address)", true, false),
    ("token-file", "FILE", "the token of the control, made if it is not there (default: shown)", true, false),
    ("fill", "", "fills in the arrayType and xsi:type that scripts leave out", true, true),
    ("quirk", "WORD", "a departure from the standard, to play an ACS that does", true, true),
    ("agent", "FILE", "runs this program as the agent, another build perhaps", false, true),
    ("keep", "DIR", "makes the router here, and leaves it", false, true),
    ("router", "", "serves the router on ubus until it is stopped, without an ACS and an agent", false, true),
    ("root", "DIR", "with --router: its folder, used as it is or made; it stays", false, true),
    (
        "socket",
        "FILE",
        "the router's ubus socket (default: var/run/ubus/ubus.sock in its folder)",
        false,
        true,
    ),
    ("model", "NAME", "gives the router more data model: tr098, or a JSON file", false, true),
    ("trace", "", "shows every SOAP message, with its time", true, true),
    ("timeout", "SECONDS", "gives up after so long (default 30)", false, true),
    (
        "verbose",
        "",
        "shows every SOAP message, the Inform's values and, in lab, the agent's log and ubus",
        true,
        true,
    ),
    ("help", "", "this help", true, true),
];

/// A script to be attached.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The file's name without its ending.
    pub name: String,
    /// Its text.
    pub script: String,
    /// Its `--var`s.
    pub variables: Variables,
    /// Its `--device`s.
    pub devices: Vec<String>,
}

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// `--listen`.
    pub listen: SocketAddr,
    /// `--db`.
    pub db: Option<PathBuf>,
    /// `--service`.
    pub services: Vec<Service>,
    /// `--var` before any `--service`: for the built-in one.
    pub variables: Variables,
    /// `--script`: names and texts.
    pub scripts: Vec<(String, String)>,
    /// `--profile`: names and texts.
    pub profiles: Vec<(String, String)>,
    /// `--auth`.
    pub auth: Auth,
    /// `--allow-remote`.
    pub allow_remote: bool,
    /// `--https`.
    pub https: Option<SocketAddr>,
    /// `--cert`.
    pub cert: Option<PathBuf>,
    /// `--key`.
    pub key: Option<PathBuf>,
    /// `--xmpp`, with `--xmpp-server` and `--xmpp-ca`.
    #[cfg(feature = "xmpp")]
    pub xmpp: Option<crate::lab::acs::xmpp::Sender>,
    /// `--control`.
    pub control: Option<SocketAddr>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--fill`.
    pub fill: bool,
    /// `--trace`.
    pub trace: bool,
    /// `--quirk`.
    pub quirks: Quirks,
    /// `--agent`.
    pub agent: Option<PathBuf>,
    /// `--keep`.
    pub keep: Option<PathBuf>,
    /// `--router`.
    pub router: bool,
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--model`.
    pub model: Option<Model>,
    /// `--timeout`.
    pub timeout: Duration,
    /// `--verbose`.
    pub verbose: bool,
    /// `--help`.
    pub help: bool,
}

/// Which of the two modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `mini-acs`.
    MiniAcs,
    /// `lab`.
    Lab,
}

impl Mode {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Mode::MiniAcs => "mini-acs",
            Mode::Lab => "lab",
        }
    }

    /// The flags it has.
    fn flags(self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        FLAGS
            .iter()
            .filter(move |(.., acs, lab)| if self == Mode::MiniAcs { *acs } else { *lab })
            .map(|(name, value, what, ..)| (*name, *value, *what))
    }

    /// The help, made of the table.
    pub fn help(self) -> String {
        let what = match self {
            Mode::MiniAcs => "an ACS on this machine that provisions CPEs with Oktopus Lua",
            Mode::Lab => "provisions a simulated router from its BOOTSTRAP on, and shows what happens",
        };
        let mut out = format!("rcwmpd {}: {what}\n\n", self.word());
        for (name, value, what) in self.flags() {
            out.push_str(&format!("  {:<28} {what}\n", format!("--{name} {value}").trim_end()));
        }
        out.push_str("\nThe words of --quirk:\n\n");
        for (word, what) in Quirks::words() {
            out.push_str(&format!("  {word:<28} {what}\n"));
        }
        out
    }
}

/// Reads the arguments after the mode's word; scripts are read too.
///
/// # Errors
/// What is wrong with them, in one sentence.
pub fn parse(mode: Mode, arguments: impl IntoIterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], if mode == Mode::MiniAcs { 9292 } else { 0 })),
        db: None,
        services: Vec::new(),
        variables: Variables::new(),
        scripts: Vec::new(),
        profiles: Vec::new(),
        auth: Auth::None,
        allow_remote: false,
        https: None,
        cert: None,
        key: None,
        #[cfg(feature = "xmpp")]
        xmpp: None,
        control: None,
        token_file: None,
        fill: false,
        trace: false,
        quirks: Quirks::default(),
        agent: None,
        keep: None,
        router: false,
        root: None,
        socket: None,
        model: None,
        timeout: Duration::from_secs(30),
        verbose: false,
        help: false,
    };
    let text = |error: lexopt::Error| error.to_string();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(text)? {
        let name = match &argument {
            Short('h') => "help".to_owned(),
            Long(name) => (*name).to_owned(),
            _ => return Err(argument.unexpected().to_string()),
        };
        if !mode.flags().any(|(known, ..)| known == name) {
            return Err(format!("{} has no --{name}", mode.word()));
        }
        match name.as_str() {
            "allow-remote" => options.allow_remote = true,
            "verbose" => options.verbose = true,
            "fill" => options.fill = true,
            "trace" => options.trace = true,
            "cert" => options.cert = Some(PathBuf::from(parser.value().map_err(text)?)),
            "key" => options.key = Some(PathBuf::from(parser.value().map_err(text)?)),
            "token-file" => options.token_file = Some(PathBuf::from(parser.value().map_err(text)?)),
            "help" => options.help = true,
            "router" => options.router = true,
            "root" => options.root = Some(PathBuf::from(parser.value().map_err(text)?)),
            "socket" => options.socket = Some(PathBuf::from(parser.value().map_err(text)?)),
            "db" => options.db = Some(PathBuf::from(parser.value().map_err(text)?)),
            "agent" => options.agent = Some(PathBuf::from(parser.value().map_err(text)?)),
            "keep" => options.keep = Some(PathBuf::from(parser.value().map_err(text)?)),
            "script" => options.scripts.extend(lua::scripts(Path::new(&parser.value().map_err(text)?))?),
            "profile" => options.profiles.push(lua::profile(Path::new(&parser.value().map_err(text)?))?),
            "service" => options.services.push(read_service(Path::new(&parser.value().map_err(text)?))?),
            _ => {
                let value = parser.value().map_err(text)?;
                let value =
                    value.into_string().map_err(|value| format!("--{name}: {value:?} is not UTF-8"))?;
                options.take(&name, &value).map_err(|why| format!("--{name}: {why}"))?;
            }
        }
    }
    if mode == Mode::Lab && options.services.len() > 1 {
        return Err("lab runs one --service".to_owned());
    }
    if options.root.is_some() && !options.router {
        return Err("--root belongs to --router; --keep makes the router of a provisioning".to_owned());
    }
    let provisions = !options.services.is_empty()
        || !options.variables.is_empty()
        || options.keep.is_some()
        || options.quirks != Quirks::default();
    if options.router && provisions {
        return Err("--router provisions nothing: no --service, --var, --quirk or --keep with it".to_owned());
    }
    if mode == Mode::MiniAcs {
        if !options.variables.is_empty() {
            return Err("--var belongs after a --service".to_owned());
        }
        if let Some(service) = options.services.iter().find(|service| service.devices.is_empty()) {
            return Err(format!("service {} needs a --device after it", service.name));
        }
        if options.https.is_some() != options.cert.is_some() {
            return Err("--https and --cert belong together".to_owned());
        }
        if options.key.is_some() && options.cert.is_none() {
            return Err("--key belongs to a --cert".to_owned());
        }
        if options.token_file.is_some() && options.control.is_none() {
            return Err("--token-file belongs to --control".to_owned());
        }
    }
    Ok(options)
}

impl Options {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "listen" => self.listen = address(value)?,
            "https" => self.https = Some(address(value)?),
            "control" => self.control = Some(address(value)?),
            #[cfg(feature = "xmpp")]
            "xmpp" => self.xmpp = Some(crate::lab::acs::xmpp::Sender::parse(value)?),
            #[cfg(feature = "xmpp")]
            "xmpp-server" | "xmpp-ca" => {
                let sender = self.xmpp.as_mut().ok_or("it belongs after --xmpp")?;
                match name {
                    "xmpp-server" => sender.server = Some(value.to_owned()),
                    _ => sender.ca = PathBuf::from(value),
                }
            }
            #[cfg(not(feature = "xmpp"))]
            "xmpp" | "xmpp-server" | "xmpp-ca" => return Err("this build has no XMPP".to_owned()),
            "var" => {
                let (name, value) = value
                    .split_once('=')
                    .filter(|(name, _)| !name.is_empty())
                    .ok_or("NAME=VALUE is wanted")?;
                let variables = match self.services.last_mut() {
                    Some(service) => &mut service.variables,
                    None => &mut self.variables,
                };
                variables.insert(name.to_owned(), Json::String(value.to_owned()));
            }
            "device" => {
                let service = self.services.last_mut().ok_or("it belongs after a --service")?;
                service.devices.push(value.to_owned());
            }
            "auth" => {
                let mut parts = value.splitn(3, ':');
                let (kind, user, password) = (parts.next(), parts.next(), parts.next());
                let who = match (user, password) {
                    (Some(user), Some(password)) if !user.is_empty() => Credentials::new(user, password),
                    (None, None) => Credentials::default(),
                    _ => return Err("KIND or KIND:USER:PASSWORD is wanted".to_owned()),
                };
                self.auth = match kind {
                    Some("basic") => Auth::Basic(who),
                    Some("digest") => Auth::Digest(who),
                    _ => return Err("the kind is basic or digest".to_owned()),
                };
            }
            "model" => self.model = Some(Model::find(value)?),
            "quirk" => self.quirks.turn_on(value)?,
            "timeout" => {
                let seconds: u64 =
                    value.parse().map_err(|_| format!("{value:?} is not a number of seconds"))?;
                self.timeout = Duration::from_secs(seconds.clamp(1, 86_400));
            }
            other => return Err(format!("there is no --{other}")),
        }
        Ok(())
    }
}

/// An address with its port, or the port of the loopback alone.
fn address(value: &str) -> Result<SocketAddr, String> {
    let port_only = value.strip_prefix(':').map(|port| format!("127.0.0.1:{port}"));
    let text = port_only.as_deref().unwrap_or(value);
    text.parse().map_err(|_| format!("{value:?} is not an address with a port"))
}

fn read_service(path: &Path) -> Result<Service, String> {
    let (name, script) = lua::read("--service", path)?;
    Ok(Service { name, script, variables: Variables::new(), devices: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: Mode, line: &str) -> Result<Options, String> {
        parse(mode, line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn services_take_what_follows_them() {
        let file = tempfile::NamedTempFile::with_suffix(".lua").unwrap();
        std::fs::write(file.path(), "print(1)").unwrap();
        let path = file.path().display();
        let line = format!(
            "--service {path} --var a=b=c --device SN1 --device SN2 --service {path} --device SN3 --listen :0"
        );
        let options = of(Mode::MiniAcs, &line).unwrap();
        assert_eq!(options.services[0].devices, ["SN1", "SN2"]);
        assert_eq!(options.services[0].variables["a"], Json::String("b=c".into()));
        assert_eq!(options.services[1].variables, Variables::new());
        assert_eq!(options.listen.to_string(), "127.0.0.1:0");
        assert!(of(Mode::Lab, &format!("--service {path} --service {path}")).is_err());
        assert!(of(Mode::MiniAcs, &format!("--service {path}")).unwrap_err().contains("needs a --device"));
    }

    #[test]
    fn wrong_lines() {
        for line in [
            "--nonsense",
            "word",
            "-x",
            "--device SN1",
            "--var a=b",
            "--auth digest:u",
            "--auth x:u:p",
            "--auth digest::p",
            "--https :0",
            "--key /x",
            "--token-file /x",
            "--control x",
            "--listen nine",
            "--quirk x",
            "--service /nonexistent",
            "--script /nonexistent",
            "--profile /nonexistent",
            "--keep /x",
            "--agent /x",
            "--listen",
            "--verbose=1",
        ] {
            assert!(of(Mode::MiniAcs, line).is_err(), "{line}");
        }
        for line in ["--db x", "--timeout x", "--model /nonexistent", "--var =b", "--listen 127.0.0.1:1"] {
            assert!(of(Mode::Lab, line).is_err(), "{line}");
        }
        for line in [
            "--router --var a=b",
            "--router --keep /x",
            "--router --quirk no-cookie",
            "--root /x",
            "--socket",
        ] {
            assert!(of(Mode::Lab, line).is_err(), "{line}");
        }
        let options = of(Mode::Lab, "--router --root /x --socket /y").unwrap();
        assert!(options.router && options.root.is_some() && options.socket.is_some());
        let options = of(
            Mode::Lab,
            "--var a=b --timeout 5 --model tr098 --verbose --keep /x --agent /y --quirk no-cookie",
        )
        .unwrap();
        assert!(
            options.verbose
                && options.keep.is_some()
                && options.agent.is_some()
                && options.variables.contains_key("a")
        );
    }

    #[test]
    fn every_flag_is_in_the_help_of_its_mode() {
        for (name, _, _, acs, lab) in FLAGS {
            assert_eq!(Mode::MiniAcs.help().contains(&format!("--{name}")), *acs);
            assert_eq!(Mode::Lab.help().contains(&format!("--{name}")), *lab);
        }
        for (word, what) in Quirks::words() {
            assert!(Mode::Lab.help().contains(&format!("  {word} ")) && Mode::MiniAcs.help().contains(what));
        }
    }
}
