//! Prosody, a real XMPP server, with domains that offer one login each, and a peer that nobody here wrote a
//! library for: it speaks by hand.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The password of all accounts.
pub const SECRET: &str = "s3cret, with = and ,";
/// The domains with a certificate, and the logins they do not offer.
const DOMAINS: &[(&str, &str, &str)] = &[
    ("sha1.example", "DNS:sha1.example", "\"SCRAM-SHA-256\", \"PLAIN\""),
    ("sha256.example", "DNS:sha256.example", "\"SCRAM-SHA-1\", \"PLAIN\""),
    ("plain.example", "DNS:plain.example", "\"SCRAM-SHA-1\", \"SCRAM-SHA-256\""),
    ("wrong.example", "DNS:elsewhere.example", ""),
    (HASHED, "DNS:hashed.example", ""),
];
/// The domain whose accounts are kept as prosody keeps them by default: hashed, with as many iterations as it likes.
pub const HASHED: &str = "hashed.example";

/// A running server; stopped when dropped.
pub struct Prosody {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Prosody {
    /// Starts one on a free port; `None`, with a word, where there is no prosody.
    pub fn start(port: u16) -> Option<Prosody> {
        let is_there = |name: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("command -v {name}")]).stdout(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        for name in ["prosody", "openssl"] {
            if !is_there(name) {
                std::io::stderr().write_all(format!("skipped: {name} not installed\n").as_bytes()).unwrap();
                return None;
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let path = |name: &str| root.join(name).display().to_string();
        let new_key = "-newkey|ec|-pkeyopt|ec_paramgen_curve:prime256v1|-nodes";
        for ca in ["ca", "other"] {
            openssl(
                root,
                &format!("req|-x509|{new_key}|-keyout|{ca}.key|-out|{ca}.pem|-days|30|-subj|/CN=Test {ca}"),
            );
        }
        let mut text = format!(
            "run_as_root = true\ndaemonize = false\npidfile = \"{}\"\ndata_path = \"{}\"\n\
             log = {{ debug = \"{}\" }}\ninterfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {port} }}\n\
             s2s_ports = {{ }}\nmodules_enabled = {{ \"roster\", \"saslauth\", \"tls\", \"disco\", \"ping\" }}\n\
             modules_disabled = {{ \"s2s\" }}\nc2s_require_encryption = false\n\
             allow_unencrypted_plain_auth = true\nauthentication = \"internal_plain\"\n",
            path("pid"),
            path("data"),
            path("log"),
        );
        for (domain, name, without) in DOMAINS {
            fs::write(root.join("ext"), format!("subjectAltName={name}")).unwrap();
            openssl(root, &format!("req|{new_key}|-keyout|{domain}.key|-out|csr|-subj|/CN=x"));
            openssl(
                root,
                &format!(
                    "x509|-req|-in|csr|-CA|ca.pem|-CAkey|ca.key|-CAcreateserial|-days|30|-extfile|ext|-out|{domain}.pem"
                ),
            );
            text += &format!(
                "VirtualHost \"{domain}\"\nssl = {{ key = \"{}\", certificate = \"{}\" }}\n\
                 disable_sasl_mechanisms = {{ {without} }}\n",
                path(&format!("{domain}.key")),
                path(&format!("{domain}.pem")),
            );
            if *domain == HASHED {
                text += "authentication = \"internal_hashed\"\n";
            }
            account(root, domain, "cpe");
        }
        text += "VirtualHost \"acs.example\"\nmodules_disabled = { \"tls\" }\n";
        account(root, "acs.example", "acs");
        account(root, "acs.example", "other");
        fs::write(root.join("config.lua"), text).unwrap();
        let child = run(root, port);
        Some(Prosody { dir, child, port })
    }

    /// The certificate of the authority that has signed, and one that has not.
    pub fn ca(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{name}.pem"))
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops it; its accounts stay.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.child = run(self.dir.path(), self.port);
    }

    /// What it keeps of the account `cpe` of a domain: a number, or a text in quotes.
    pub fn kept(&self, domain: &str, name: &str) -> String {
        let file = folder(self.dir.path(), domain).join("cpe.dat");
        let text = fs::read_to_string(file).unwrap();
        let rest = text.split(&format!("[\"{name}\"] = ")).nth(1).unwrap_or_else(|| panic!("{text}"));
        rest.split(';').next().unwrap().trim_matches('"').to_owned()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(root: &Path, port: u16) -> Child {
    let child = Command::new("prosody")
        .args(["--config", root.join("config.lua").to_str().unwrap(), "-F"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "prosody does not start: {:?}", fs::read_to_string(root.join("log")));
        thread::sleep(Duration::from_millis(50));
    }
    child
}

fn account(root: &Path, domain: &str, user: &str) {
    let folder = folder(root, domain);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{user}.dat")), format!("return {{ [\"password\"] = \"{SECRET}\" }};\n"))
        .unwrap();
}

fn folder(root: &Path, domain: &str) -> std::path::PathBuf {
    root.join("data").join(domain.replace('.', "%2e")).join("accounts")
}

fn openssl(root: &Path, line: &str) {
    let mut command = Command::new("openssl");
    let done =
        command.args(line.split('|')).current_dir(root).stderr(Stdio::null()).stdout(Stdio::null()).status();
    assert!(done.unwrap().success(), "openssl {line}");
}

/// Who asks: an account of `acs.example`.
pub struct Peer {
    stream: TcpStream,
    count: usize,
}

impl Peer {
    /// Logs in.
    pub fn log_in(port: u16, user: &str) -> Peer {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut peer = Peer { stream, count: 0 };
        let header = "<?xml version='1.0'?><stream:stream to='acs.example' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        let proof = base64(format!("\0{user}\0{SECRET}").as_bytes());
        peer.say(header);
        peer.hear("</stream:features>");
        peer.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"));
        peer.hear("<success");
        peer.say(header);
        peer.hear("</stream:features>");
        peer.say(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>desk</resource></bind></iq>",
        );
        peer.hear("</iq>");
        peer
    }

    /// Sends a text as it is.
    pub fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until a word has come.
    pub fn hear(&mut self, word: &str) -> String {
        let (mut seen, mut block) = (String::new(), [0; 4096]);
        while !seen.contains(word) {
            let length = match self.stream.read(&mut block) {
                Ok(length) => length,
                // A machine that was stopped for a moment.
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(why) => panic!("{why}, no {word} in {seen}"),
            };
            assert!(length > 0, "closed, no {word} in {seen}");
            seen.push_str(&String::from_utf8_lossy(&block[..length]));
        }
        seen
    }

    /// Makes a connection request, and gives the stanza that answers it.
    pub fn request(&mut self, to: &str, user: &str, password: &str) -> String {
        self.count += 1;
        let id = format!("r{}", self.count);
        self.say(&format!(
            "<iq to='{to}' id='{id}' type='get'><connectionRequest \
             xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>{user}</username>\
             <password>{password}</password></connectionRequest></iq>"
        ));
        let mut seen = self.hear(&id);
        while !seen.trim_end().ends_with("</iq>") && !seen.trim_end().ends_with("/>") {
            seen += &self.hear(">");
        }
        seen
    }
}

/// With padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digit = |chunk: &[u8]| {
        let chunk = format!("{:0<6}", String::from_utf8_lossy(chunk));
        char::from(DIGITS[usize::from_str_radix(&chunk, 2).unwrap()])
    };
    let mut out: String = bits.as_bytes().chunks(6).map(digit).collect();
    while out.len() & 3 != 0 {
        out.push('=');
    }
    out
}
