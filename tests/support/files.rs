//! File servers on loopback for the tests of transfers: nginx and vsftpd, certificates by openssl.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rcwmp::http::auth::Credentials;
use rcwmp::http::tls;
use rcwmp::http::wire::{Cancel, Secure};
use rcwmp::transfer::{self, Direction, Done, Failure, Limits, Transfer};

/// Whether a program is there; says so if not.
pub fn has(program: &str) -> bool {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
    let found = places.iter().any(|place| Path::new(place).join(program).exists());
    if !found {
        std::io::stderr().write_all(format!("skipped: {program} not installed\n").as_bytes()).unwrap();
    }
    found
}

/// Octets that no fault of order or of loss leaves the same.
pub fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// A port nobody listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder with `ca`, `other`, `server` (for 127.0.0.1) and `client`, each `.pem` and `.key`.
pub fn certificates() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let openssl = |line: &str| {
            let mut command = Command::new("openssl");
            let quiet = command.args(line.split('|')).current_dir(dir.path()).stderr(Stdio::null());
            assert!(quiet.stdout(Stdio::null()).status().unwrap().success(), "openssl {line}");
        };
        let key = "-newkey|ec|-pkeyopt|ec_paramgen_curve:prime256v1|-nodes";
        for ca in ["ca", "other"] {
            openssl(&format!("req|-x509|{key}|-keyout|{ca}.key|-out|{ca}.pem|-days|30|-subj|/CN=Test {ca}"));
        }
        for (name, extension) in
            [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")]
        {
            fs::write(dir.path().join(format!("{name}.ext")), extension).unwrap();
            openssl(&format!("req|{key}|-keyout|{name}.key|-out|{name}.csr|-subj|/CN={name}"));
            openssl(&format!("x509|-req|-in|{name}.csr|-CA|ca.pem|-CAkey|ca.key|-CAcreateserial|-days|30|-extfile|{name}.ext|-out|{name}.pem"));
        }
        dir
    })
    .path()
}

/// TLS that trusts one of the two CAs, with or without the client's certificate.
pub fn trusting(ca: &str, with_identity: bool) -> Option<Arc<dyn Secure>> {
    let dir = certificates();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let client = tls::Client::new(&tls::Settings {
        ca: dir.join(format!("{ca}.pem")),
        identity: with_identity.then(|| (dir.join("client.pem"), dir.join("client.key"))),
        insecure: false,
        clock: Arc::new(move || Some(now)),
    });
    Some(Arc::new(client.unwrap()))
}

/// A folder for our side, and the transfers tried in it.
pub struct Side {
    dir: tempfile::TempDir,
    /// What the next transfer is told; direction and URL are set for each.
    pub job: Transfer,
    /// Its bounds.
    pub limits: Limits,
    /// Its flag.
    pub cancel: Cancel,
    /// Its time in all.
    pub time: Duration,
}

impl Side {
    pub fn new() -> Side {
        let dir = tempfile::tempdir().unwrap();
        let job = Transfer {
            direction: Direction::Download { into: dir.path().join("file") },
            url: String::new(),
            credentials: Credentials::default(),
            size: 0,
            tls: None,
            tls_for_ftp: false,
            user_agent: "rcwmp-test".to_owned(),
            interface: None,
            force_ipv4: false,
            expect: true,
        };
        let limits = Limits { idle: Duration::from_secs(5), ..Limits::default() };
        Side { dir, job, limits, cancel: Cancel::default(), time: Duration::from_secs(60) }
    }

    pub fn with_login(mut self, user: &str, password: &str) -> Side {
        self.job.credentials = Credentials::new(user, password);
        self
    }

    pub fn with_tls(mut self, tls: Option<Arc<dyn Secure>>) -> Side {
        self.job.tls = tls;
        self
    }

    pub fn idle(mut self, ms: u64) -> Side {
        self.limits.idle = Duration::from_millis(ms);
        self
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    /// Downloads and gives what arrived; checks that a file is whole or not there, and no part left.
    pub fn get(&mut self, url: &str) -> Result<Vec<u8>, Failure> {
        fs::write(self.file(), "old").unwrap();
        fs::write(self.dir.path().join("file.part"), "left over").unwrap();
        self.job.direction = Direction::Download { into: self.file() };
        let done = self.go(url);
        let (there, mode) =
            (fs::read(self.file()).unwrap(), fs::metadata(self.file()).unwrap().permissions());
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 1, "something is left over");
        match done {
            Ok(done) => {
                assert_eq!(u64::try_from(there.len()).unwrap(), done.size);
                assert_eq!(mode.mode() & 0o777, 0o600);
                Ok(there)
            }
            Err(why) => {
                assert_eq!(there, b"old", "{why}");
                Err(why)
            }
        }
    }

    /// Uploads these octets.
    pub fn put(&mut self, url: &str, content: &[u8]) -> Result<Done, Failure> {
        fs::write(self.file(), content).unwrap();
        self.job.direction = Direction::Upload { from: self.file() };
        self.go(url)
    }

    /// The fault code of a download that fails, and its text.
    #[track_caller]
    pub fn refused(&mut self, url: &str, code: u16, words: &str) {
        expect(self.get(url).map(|there| there.len()), code, words);
    }

    /// Sets the flag in a while.
    pub fn cancel_in(&self, ms: u64) {
        let cancel = self.cancel.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(ms));
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    fn go(&mut self, url: &str) -> Result<Done, Failure> {
        self.job.url = url.to_owned();
        let done = transfer::run(&self.job, &self.limits, &self.cancel, Instant::now() + self.time);
        if let Err(why) = &done {
            assert!(!why.to_string().contains("s3cret"), "{why}");
        }
        assert!(!format!("{:?}", self.job).contains("s3cret"));
        done
    }
}

/// That a transfer failed with a code and for a reason.
#[track_caller]
pub fn expect<T: std::fmt::Debug>(done: Result<T, Failure>, code: u16, words: &str) {
    let why = done.unwrap_err();
    assert_eq!(why.code, code, "{why}");
    assert!(why.to_string().contains(words), "{why}");
    assert!(why.text().len() <= 256);
}

/// A server in a process of its own, ended when dropped.
pub struct Server {
    child: Child,
    pub dir: tempfile::TempDir,
}

impl Server {
    /// Starts a program and waits until it listens on all ports.
    fn start(mut command: Command, dir: tempfile::TempDir, ports: &[u16]) -> Server {
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Server { child, dir };
        let until = Instant::now() + Duration::from_secs(20);
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                let ended = server.child.try_wait().unwrap();
                let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
                assert!(ended.is_none() && Instant::now() < until, "{ended:?}: {log}");
                thread::sleep(Duration::from_millis(20));
            }
        }
        server
    }

    /// A file of the server.
    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(path)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
            let _ = std::io::stderr().write_all(&log);
        }
    }
}

/// nginx with these `server { … }` blocks; `DIR` and `CERTS` in them are replaced, and `www` holds
/// the files given.
pub fn nginx(ports: &[u16], blocks: &str, files: &[(&str, &[u8])]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("www")).unwrap();
    for (name, content) in files {
        let path = dir.path().join("www").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(dir.path().join("users"), "cpe:{PLAIN}s3cret\n").unwrap();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path DIR/temp-{kind};\n"))
        .collect();
    let text = format!(
        "daemon off; master_process off; pid DIR/pid; error_log stderr;\nevents {{}}\n\
         http {{ access_log off; root DIR/www; default_type application/octet-stream;\n{temp}{blocks} }}\n"
    );
    let text =
        text.replace("DIR", dir.path().to_str().unwrap()).replace("CERTS", certificates().to_str().unwrap());
    fs::write(dir.path().join("conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir.path()).arg("-e").arg("stderr").arg("-c").arg(dir.path().join("conf"));
    Server::start(command, dir, ports)
}

/// vsftpd with anonymous logins: `file` can be fetched, and `up/` written to. More settings may follow.
pub fn vsftpd(port: u16, more: &str, file: &[u8]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("ftp");
    fs::create_dir_all(root.join("up")).unwrap();
    fs::create_dir_all(dir.path().join("empty")).unwrap();
    fs::write(root.join("file"), file).unwrap();
    for (path, mode) in
        [("", 0o755), ("ftp", 0o555), ("ftp/file", 0o644), ("ftp/up", 0o777), ("empty", 0o555)]
    {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (here, certs) = (dir.path().to_str().unwrap(), certificates().to_str().unwrap());
    let text = format!(
        "listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port={port}\nlocal_enable=NO\n\
         anonymous_enable=YES\nanon_root={here}/ftp\nftp_username=daemon\nno_anon_password=NO\n\
         secure_chroot_dir={here}/empty\nseccomp_sandbox=NO\nxferlog_enable=NO\nwrite_enable=YES\n\
         anon_upload_enable=YES\nanon_umask=022\nrsa_cert_file={certs}/server.pem\n\
         rsa_private_key_file={certs}/server.key\n{more}\n"
    );
    fs::write(dir.path().join("conf"), text).unwrap();
    let mut command = Command::new("vsftpd");
    command.arg(dir.path().join("conf"));
    Server::start(command, dir, &[port])
}
