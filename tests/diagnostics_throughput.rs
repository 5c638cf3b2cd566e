//! DownloadDiagnostics and UploadDiagnostics against nginx, a real FTP server if one is installed,
//! and servers that are scripted to misbehave.

#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcwmp::diagnostics::throughput::{Input, MAX_CONNECTIONS, Output};
use rcwmp::diagnostics::{ProtocolVersion, State, download, upload};

static GO: AtomicBool = AtomicBool::new(false);

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn input(url: &str) -> Input {
    Input { url: url.into(), enable_per_connection_results: true, ..Input::default() }
}

fn fetch(input: &Input) -> Output {
    download::run(input, &GO, soon(30))
}

fn send(common: Input, test_file_length: u64) -> Output {
    upload::run(&upload::Input { common, test_file_length }, &GO, soon(30))
}

fn check_times(output: &Output) {
    let times = [
        output.tcp_open_request_time,
        output.tcp_open_response_time,
        output.rom_time,
        output.bom_time,
        output.eom_time,
    ];
    assert!(times.iter().all(Option::is_some), "{output:?}");
    let rows = &output.per_connection_result;
    for row in rows {
        assert!(row.tcp_open_request_time <= row.tcp_open_response_time, "{row:?}");
        assert!(row.tcp_open_response_time <= row.rom_time, "{row:?}");
        assert!(row.rom_time <= row.bom_time && row.bom_time <= row.eom_time, "{row:?}");
    }
    assert_eq!(output.test_bytes, rows.iter().map(|row| row.test_bytes).sum::<u64>());
    assert_eq!(output.bom_time, rows.iter().filter_map(|row| row.bom_time).min());
    assert_eq!(output.eom_time, rows.iter().filter_map(|row| row.eom_time).max());
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(port: u16) {
    let end = soon(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "the server does not come up");
        thread::sleep(Duration::from_millis(20));
    }
}

mod nginx {
    use super::*;

    fn start(dir: &Path) -> Option<(Guard, u16)> {
        let port = free_port();
        let root = dir.display();
        for name in ["www/put", "tmp"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let conf = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;
             events {{ worker_connections 64; }}
             http {{ access_log off; client_max_body_size 1m; keepalive_timeout 5;
               client_body_temp_path {root}/tmp; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
               uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
               server {{ listen 127.0.0.1:{port}; root {root}/www;
                 location /put/ {{ dav_methods PUT; create_full_put_path on; client_max_body_size 0; }}
                 location /slow/ {{ alias {root}/www/; limit_rate 2m; }}
                 location /moved {{ return 302 /file; }}
                 location /private {{ return 401; }} }} }}"
        );
        fs::write(dir.join("nginx.conf"), conf).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let guard = Guard(child);
        wait_for(port);
        Some((guard, port))
    }

    #[test]
    fn measures() {
        let dir = tempfile::tempdir().unwrap();
        let Some((_guard, port)) = start(dir.path()) else {
            println!("skipped: nginx is not installed");
            return;
        };
        const SIZE: u64 = 3_000_000;
        fs::write(dir.path().join("www/file"), vec![0x5a; 3_000_000]).unwrap();
        let url = |path: &str| format!("http://127.0.0.1:{port}{path}");

        let one = fetch(&Input { dscp: 10, ethernet_priority: 1, ..input(&url("/file")) });
        assert_eq!(one.diagnostics_state, State::Complete, "{one:?}");
        check_times(&one);
        assert!(one.test_bytes > SIZE && one.test_bytes < SIZE + 2000, "{}", one.test_bytes);
        assert_eq!(one.test_bytes_under_full_loading, one.test_bytes);
        assert!(one.period_of_full_loading > 0);
        // Loopback counts what it carries, with the headers of IP and TCP; the first octets were
        // counted before we looked.
        assert!(one.total_bytes_received > SIZE / 2, "{one:?}");
        assert_eq!(one.ip_address_used.unwrap().to_string(), "127.0.0.1");
        assert!(one.incremental_result.is_empty());

        let four = fetch(&Input { number_of_connections: MAX_CONNECTIONS, ..input(&url("/slow/file")) });
        assert_eq!(four.diagnostics_state, State::Complete, "{four:?}");
        check_times(&four);
        assert_eq!(four.per_connection_result.len(), 4);
        assert!(four.test_bytes > 4 * SIZE);
        assert!(four.test_bytes_under_full_loading > 0);
        assert!(four.test_bytes_under_full_loading <= four.test_bytes);

        let timed = Input {
            time_based_test_duration: 1,
            time_based_test_measurement_interval: 1,
            ..input(&url("/slow/file"))
        };
        let timed = fetch(&timed);
        assert_eq!(timed.diagnostics_state, State::Complete, "{timed:?}");
        assert!(timed.test_bytes > 500_000 && timed.test_bytes < SIZE, "{}", timed.test_bytes);
        assert_eq!(timed.incremental_result.len(), 1, "{timed:?}");
        let increment = &timed.incremental_result[0];
        assert_eq!(increment.end_time.0 - increment.start_time.0, 1_000_000);
        assert!(increment.test_bytes > 0 && increment.test_bytes <= timed.test_bytes);

        let state = |path: &str| fetch(&input(&url(path))).diagnostics_state;
        assert_eq!(state("/none"), State::TransferFailed);
        assert_eq!(state("/moved"), State::TransferFailed);
        assert_eq!(state("/private"), State::LoginFailed);

        let sent = send(input(&url("/put/a/file")), SIZE);
        assert_eq!(sent.diagnostics_state, State::Complete, "{sent:?}");
        check_times(&sent);
        assert!(sent.test_bytes > SIZE && sent.test_bytes < SIZE + 1000);
        assert_eq!(fs::metadata(dir.path().join("www/put/a/file")).unwrap().len(), SIZE);
        assert!(sent.total_bytes_sent > SIZE / 2, "{sent:?}");

        let timed = send(Input { time_based_test_duration: 1, ..input(&url("/put/timed")) }, 0);
        assert_eq!(timed.diagnostics_state, State::Complete, "{timed:?}");
        let stored = fs::metadata(dir.path().join("www/put/timed")).unwrap().len();
        assert!(stored > 100_000 && timed.test_bytes > stored, "{stored}");
        let duration = timed.eom_time.unwrap().0 - timed.bom_time.unwrap().0;
        assert!((1_000_000..4_000_000).contains(&duration), "{duration}");

        let empty = send(input(&url("/put/empty")), 0);
        assert_eq!(empty.diagnostics_state, State::Complete, "{empty:?}");
        let state = |path: &str, size: u64| send(input(&url(path)), size).diagnostics_state;
        assert_eq!(state("/file", SIZE), State::NoTransferComplete);
        assert_eq!(state("/private", 10), State::LoginFailed);
    }
}

/// A server that does one thing with each connection.
fn serve(action: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let action = std::sync::Arc::new(action);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let action = action.clone();
            thread::spawn(move || action(stream));
        }
    });
    port
}

/// Answers each request with these octets, then closes.
fn answer(text: impl Into<Vec<u8>>) -> u16 {
    let text = text.into();
    serve(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(&text);
    })
}

fn state_of(port: u16) -> State {
    fetch(&input(&format!("http://127.0.0.1:{port}/"))).diagnostics_state
}

#[test]
fn answers_of_every_kind() {
    let check = |text: &str, expected: State| assert_eq!(state_of(answer(text)), expected, "{text:?}");
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", State::Complete);
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", State::Complete);
    check("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", State::Complete);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", State::Complete);
    check("HTTP/1.0 200 OK\r\n\r\nabc", State::Complete);
    check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", State::IncorrectSize);
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", State::IncorrectSize);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", State::IncorrectSize);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", State::TransferFailed);
    check("HTTP/1.1 500 No\r\n\r\n", State::TransferFailed);
    check("", State::NoResponse);
    check("HTTP/1.1 200", State::TransferFailed);
    check("SSH-2.0-OpenSSH\r\n", State::TransferFailed);
    check(&format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(100_000)), State::TransferFailed);
}

#[test]
fn faults_before_the_transfer() {
    let state = |input: &Input| fetch(input).diagnostics_state;
    assert_eq!(state_of(free_port()), State::InitConnectionFailed);
    for bad in ["", "https://127.0.0.1/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "http://a b/"] {
        assert_eq!(state(&input(bad)), State::Other, "{bad}");
    }
    assert_eq!(state(&input("http://no-such-host.invalid/")), State::CannotResolveHostName);
    let good = input("http://127.0.0.1:9/");
    let v6 = Input { protocol_version: ProtocolVersion::V6, ..good.clone() };
    assert_eq!(state(&v6), State::CannotResolveHostName);
    for bad in [
        Input { dscp: 64, ..good.clone() },
        Input { ethernet_priority: 8, ..good.clone() },
        Input { number_of_connections: 0, ..good.clone() },
        Input { number_of_connections: MAX_CONNECTIONS + 1, ..good.clone() },
        Input { time_based_test_duration: 1000, ..good.clone() },
        Input { interface: "nosuch0".into(), ..good },
    ] {
        assert_eq!(state(&bad), State::Other, "{bad:?}");
    }
}

#[test]
fn a_dripping_server_ends_with_the_deadline() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let url = input(&format!("http://127.0.0.1:{port}/"));
    let output = download::run(&url, &GO, start + Duration::from_millis(600));
    assert_eq!(output.diagnostics_state, State::Timeout);
    assert!(start.elapsed() < Duration::from_secs(3));
    // A test by time is content with whatever came.
    let timed = Input { time_based_test_duration: 1, number_of_connections: 2, ..url.clone() };
    let output = fetch(&timed);
    assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
    assert!(output.test_bytes > 100 && output.test_bytes < 1000);
    let cancel = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        let test = scope.spawn(|| download::run(&url, &cancel, soon(60)));
        thread::sleep(Duration::from_millis(200));
        cancel.store(true, Ordering::Relaxed);
        test.join().unwrap()
    });
    assert_eq!(output.diagnostics_state, State::Canceled);
}

#[test]
fn one_failure_ends_all_connections() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let port = serve(move |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        if count.fetch_add(1, Ordering::Relaxed) == 1 {
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n");
        } else {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
            thread::sleep(Duration::from_secs(20));
        }
    });
    let start = Instant::now();
    let url = Input { number_of_connections: 3, ..input(&format!("http://127.0.0.1:{port}/")) };
    assert_eq!(fetch(&url).diagnostics_state, State::TransferFailed);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_upload_that_is_cut_off() {
    let early = serve(|mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
        thread::sleep(Duration::from_millis(300));
    });
    let state = |port: u16| send(input(&format!("http://127.0.0.1:{port}/f")), 50_000_000).diagnostics_state;
    let refused = state(early);
    assert!(matches!(refused, State::LoginFailed | State::NoTransferComplete), "{refused}");
    let closing = serve(|mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
    });
    assert_eq!(state(closing), State::NoTransferComplete);
}

#[cfg(feature = "ftp")]
mod ftp {
    use super::*;
    use std::io::{BufRead, BufReader};

    /// What the scripted server does differently.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        NoEpsv,
        NoPassive,
        ElsewhereInPasv,
        NoUser,
        NoLogin,
        NoType,
        NoFile,
        Short,
        NoCwd,
        NoStor,
        NoComplete,
        Silent,
        Chatter,
    }

    const FILE: &[u8] = &[7; 100_000];

    fn start(fault: Fault) -> u16 {
        serve(move |stream| talk(&stream, fault).unwrap_or(()))
    }

    fn talk(stream: &TcpStream, fault: Fault) -> std::io::Result<()> {
        let mut out = stream;
        let mut say = |line: &str| out.write_all(format!("{line}\r\n").as_bytes());
        match fault {
            Fault::Silent => thread::sleep(Duration::from_secs(20)),
            Fault::Chatter => loop {
                say("220-and on")?;
            },
            _ => say("220-hello\r\n 220 not yet\r\n220 ready")?,
        }
        let mut data: Option<TcpListener> = None;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "USER" if fault == Fault::NoUser => say("530 no")?,
                "USER" => say("331 password")?,
                "PASS" if fault == Fault::NoLogin => say("530 no")?,
                "PASS" => say("230 in")?,
                "TYPE" if fault == Fault::NoType => say("504 no")?,
                "TYPE" => say("200 ok")?,
                "SIZE" if fault == Fault::NoFile => say("550 none")?,
                "SIZE" => say(&format!("213 {}", FILE.len()))?,
                "CWD" if fault == Fault::NoCwd => say("550 none")?,
                "CWD" => say(if rest == "a/b/" { "250 there" } else { "550 none" })?,
                "EPSV" if matches!(fault, Fault::NoEpsv | Fault::NoPassive | Fault::ElsewhereInPasv) => {
                    say("500 what")?;
                }
                "PASV" if fault == Fault::NoPassive => say("500 what")?,
                "EPSV" | "PASV" => {
                    let listener = TcpListener::bind("127.0.0.1:0")?;
                    let port = listener.local_addr()?.port();
                    let [high, low] = port.to_be_bytes();
                    data = Some(listener);
                    // The address in a PASV reply must not be believed: nothing answers at 192.0.2.1.
                    let host = if fault == Fault::ElsewhereInPasv { "192,0,2,1" } else { "127,0,0,1" };
                    match word {
                        "EPSV" => say(&format!("229 Extended (|||{port}|)"))?,
                        _ => say(&format!("227 Passive ({host},{high},{low})"))?,
                    }
                }
                "RETR" if fault == Fault::NoFile => say("550 none")?,
                "RETR" => {
                    let (mut stream, _) = data.take().unwrap().accept()?;
                    say("150 coming")?;
                    let length = if fault == Fault::Short { 99_999 } else { FILE.len() };
                    stream.write_all(&FILE[..length])?;
                    drop(stream);
                    say(if fault == Fault::NoComplete { "426 cut" } else { "226 done" })?;
                }
                "STOR" if fault == Fault::NoStor => say("553 no")?,
                "STOR" => {
                    let (mut stream, _) = data.take().unwrap().accept()?;
                    say("150 give")?;
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all)?;
                    let is_good = fault != Fault::NoComplete && (all.len() == 70_000 || all.len() > 100_000);
                    say(if is_good { "226 done" } else { "451 no" })?;
                }
                _ => say("500 what")?,
            }
        }
        Ok(())
    }

    #[test]
    fn downloads() {
        let check = |fault: Fault, expected: State| {
            let output = fetch(&input(&format!("ftp://127.0.0.1:{}/a/b/file", start(fault))));
            assert_eq!(output.diagnostics_state, expected, "{output:?}");
            if expected == State::Complete {
                check_times(&output);
                assert_eq!(output.test_bytes, 100_000);
            }
        };
        check(Fault::None, State::Complete);
        check(Fault::NoEpsv, State::Complete);
        check(Fault::ElsewhereInPasv, State::Complete);
        check(Fault::NoPassive, State::NoPasv);
        check(Fault::NoUser, State::PasswordRequestFailed);
        check(Fault::NoLogin, State::LoginFailed);
        check(Fault::NoType, State::NoTransferMode);
        check(Fault::NoFile, State::TransferFailed);
        check(Fault::Short, State::IncorrectSize);
        check(Fault::NoComplete, State::TransferFailed);
        check(Fault::Chatter, State::NoResponse);
    }

    #[test]
    fn uploads() {
        let check = |fault: Fault, path: &str, expected: State| {
            let output = send(input(&format!("ftp://127.0.0.1:{}{path}", start(fault))), 70_000);
            assert_eq!(output.diagnostics_state, expected, "{output:?}");
            if expected == State::Complete {
                check_times(&output);
                assert_eq!(output.test_bytes, 70_000);
            }
        };
        check(Fault::None, "/file", State::Complete);
        check(Fault::None, "/a/b/file", State::Complete);
        check(Fault::None, "/other/file", State::NoCwd);
        check(Fault::NoStor, "/file", State::NoStor);
        check(Fault::NoComplete, "/file", State::NoTransferComplete);
        check(Fault::NoPassive, "/file", State::NoPasv);
        check(Fault::None, "/", State::Other);
        check(Fault::None, "/x%0d%0aDELE%20y", State::Other);
    }

    #[test]
    fn by_time_and_by_deadline() {
        let url = format!("ftp://127.0.0.1:{}/file", start(Fault::None));
        let timed = Input { time_based_test_duration: 1, number_of_connections: 2, ..input(&url) };
        let output = send(timed, 0);
        assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
        assert!(output.test_bytes > 100_000);
        let start_at = Instant::now();
        let silent = input(&format!("ftp://127.0.0.1:{}/file", start(Fault::Silent)));
        let output = download::run(&silent, &GO, start_at + Duration::from_millis(400));
        assert_eq!(output.diagnostics_state, State::Timeout);
        assert!(start_at.elapsed() < Duration::from_secs(3));
    }

    /// vsftpd, if it is installed and lets itself be started by us.
    #[test]
    fn vsftpd() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), FILE).unwrap();
        let port = free_port();
        let conf = format!(
            "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nanonymous_enable=YES\n\
             local_enable=NO\nno_anon_password=NO\nanon_root={0}\nsecure_chroot_dir={0}\nseccomp_sandbox=NO\n\
             run_as_launching_user=YES\nxferlog_enable=NO\n",
            dir.path().display()
        );
        let file = dir.path().join("vsftpd.conf");
        fs::write(&file, conf).unwrap();
        let Ok(child) = Command::new("vsftpd").arg(&file).stdout(Stdio::null()).spawn() else {
            println!("skipped: vsftpd is not installed");
            return;
        };
        let _guard = Guard(child);
        wait_for(port);
        let output = fetch(&input(&format!("ftp://127.0.0.1:{port}/file")));
        assert_eq!(output.diagnostics_state, State::Complete, "{output:?}");
        assert_eq!(output.test_bytes, 100_000);
        let none = fetch(&input(&format!("ftp://127.0.0.1:{port}/none")));
        assert_eq!(none.diagnostics_state, State::TransferFailed);
    }
}
