//! Files over FTP and FTPS: with vsftpd, and with servers that misbehave.
#![allow(clippy::unwrap_used)]
#![cfg(all(feature = "ftp", feature = "tls"))]

#[path = "support/files.rs"]
mod files;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use files::{Side, content, expect, free_port, has, trusting, vsftpd};

#[test]
fn vsftpd_plain() {
    if !has("vsftpd") || !has("openssl") {
        return;
    }
    let large = content(3_000_001);
    for (mode, settings) in [("EPSV", ""), ("PASV", "cmds_denied=EPSV")] {
        let port = free_port();
        let server = vsftpd(port, settings, &large);
        let url = |path: &str| format!("ftp://127.0.0.1:{port}/{path}");
        let mut side = Side::new();
        assert_eq!(side.get(&url("file")).unwrap(), large, "{mode}");
        assert_eq!(side.get(&url("%2Ffile;type=i")).unwrap(), large, "{mode}");
        side.job.size = 5;
        assert_eq!(side.get(&url("file")).unwrap(), large, "a wrong FileSize is no failure");
        side.job.size = 0;
        side.refused(&url("none"), 9016, "RETR: 550");
        side.refused(&url("up"), 9016, "RETR: 550");
        side.limits.max_size = 3_000_000;
        side.refused(&url("file"), 9010, "larger than");
        side.limits.max_size = 3_000_001;
        for (name, body) in [("a", &large[..]), ("b", b"one"), ("c%20d", b"")] {
            side.put(&url(&format!("up/{name}")), body).unwrap();
            assert_eq!(server.read(&format!("ftp/up/{}", name.replace("%20", " "))), body);
        }
        expect(side.put(&url("file"), b"x"), 9016, "STOR: 553");
        expect(side.put(&url("up/a"), b"x"), 9016, "STOR: 553");
        Side::new().with_login("bob", "s3cret").refused(&url("file"), 9012, "530");
    }
}

#[test]
fn vsftpd_slow() {
    if !has("vsftpd") || !has("openssl") {
        return;
    }
    let port = free_port();
    let _server = vsftpd(port, "anon_max_rate=50000", &content(3_000_000));
    let url = format!("ftp://127.0.0.1:{port}/file");
    let mut side = Side::new();
    side.cancel_in(700);
    let start = Instant::now();
    side.refused(&url, 9010, "called off");
    assert!(start.elapsed() < Duration::from_millis(1700), "{:?}", start.elapsed());
    let mut side = Side::new();
    side.time = Duration::from_millis(700);
    let start = Instant::now();
    side.refused(&url, 9017, "too long");
    assert!(start.elapsed() < Duration::from_millis(1700), "{:?}", start.elapsed());
}

/// The data connection must resume the session of the control connection.
#[test]
fn vsftpd_tls() {
    if !has("vsftpd") || !has("openssl") {
        return;
    }
    let large = content(2_000_000);
    let tls = "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n\
               require_ssl_reuse=YES\nssl_ciphers=HIGH\n";
    let port = free_port();
    let server = vsftpd(port, tls, &large);
    let ftps = |path: &str| format!("ftps://127.0.0.1:{port}/{path}");
    let ftp = |path: &str| format!("ftp://127.0.0.1:{port}/{path}");
    let mut side = Side::new().with_tls(trusting("ca", false));
    for _ in 0..3 {
        assert_eq!(side.get(&ftps("file")).unwrap(), large);
    }
    for (name, length) in [("a", 2_000_000), ("b", 1), ("c", 0)] {
        side.put(&ftps(&format!("up/{name}")), &large[..length]).unwrap();
        assert_eq!(server.read(&format!("ftp/up/{name}")), &large[..length]);
    }
    side.refused(&ftps("none"), 9016, "550");
    side.refused(&ftps("file").replace("127.0.0.1", "localhost"), 9012, "for another host");
    Side::new().with_tls(trusting("other", false)).refused(&ftps("file"), 9012, "nobody we trust");
    Side::new().refused(&ftps("file"), 9013, "TLS");
    // A server that insists, and a URL that does not.
    side.refused(&ftp("file"), 9012, "530");
    side.job.tls_for_ftp = true;
    assert_eq!(side.get(&ftp("file")).unwrap(), large);
    // A server that has none.
    let plain_port = free_port();
    let _plain = vsftpd(plain_port, "", b"plain");
    let url = |scheme: &str| format!("{scheme}://127.0.0.1:{plain_port}/file");
    assert_eq!(side.get(&url("ftp")).unwrap(), b"plain");
    side.refused(&url("ftps"), 9012, "no TLS");
}

/// How a server deviates: for a command, its raw answer. `PORT` in it becomes the data port, `EPORT`
/// the same as EPSV wants it, "hang" answers nothing, "close" hangs up.
type Script = Vec<(&'static str, &'static str)>;

struct Ftp {
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

/// A server that sends `file` to whoever asks, except where the script says otherwise.
fn ftp(script: Script, file: &'static [u8]) -> Ftp {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    thread::spawn(move || {
        for control in listener.incoming().flatten() {
            let (script, heard) = (script.clone(), heard.clone());
            thread::spawn(move || serve(control, &script, file, &heard));
        }
    });
    Ftp { port, said }
}

fn serve(mut control: TcpStream, script: &Script, file: &[u8], heard: &Mutex<Vec<String>>) {
    let data = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = data.local_addr().unwrap().port();
    let pair = format!("{},{}", number / 256, number % 256);
    let mut lines = BufReader::new(control.try_clone().unwrap()).lines();
    let mut line = "GREETING".to_owned();
    loop {
        let verb = line.split(' ').next().unwrap_or_default().to_owned();
        let usual = match verb.as_str() {
            "GREETING" => "220 ready\r\n",
            "USER" => "331 password\r\n",
            "PASS" => "230 in\r\n",
            "TYPE" => "200 ok\r\n",
            "SIZE" => "500 what\r\n",
            "EPSV" => "229 (|||EPORT|)\r\n",
            "RETR" | "STOR" => "150 here\r\n",
            "DONE" => "226 sent\r\n",
            _ => "502 no\r\n",
        };
        let answer = script.iter().find(|(of, _)| *of == verb).map_or(usual, |(_, answer)| answer);
        match answer {
            "hang" => thread::sleep(Duration::from_secs(5)),
            "close" => return,
            "endless" => while control.write_all(b"220-and on\r\n").is_ok() {},
            "longline" => while control.write_all(b"220 and on ").is_ok() {},
            text => {
                let text = text.replace("EPORT", &number.to_string()).replace("PORT", &pair);
                if control.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        }
        if matches!(verb.as_str(), "RETR" | "STOR") && answer.starts_with('1') {
            let Ok((mut to, _)) = data.accept() else { return };
            if verb == "RETR" {
                let _ = to.write_all(file);
                if script.iter().any(|(of, _)| *of == "STALL") {
                    thread::sleep(Duration::from_secs(3));
                }
            } else {
                let _ = std::io::copy(&mut to, &mut std::io::sink());
            }
            line = "DONE".to_owned();
            continue;
        }
        match lines.next() {
            Some(Ok(next)) => line = next,
            _ => return,
        }
        heard.lock().unwrap().push(line.clone());
    }
}

impl Ftp {
    fn url(&self) -> String {
        format!("ftp://127.0.0.1:{}/dir/file", self.port)
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

#[test]
fn what_is_said() {
    let server = ftp(vec![("SIZE", "213 5\r\n")], b"12345");
    let mut side = Side::new().with_login("cpe", "s3cret pass");
    assert_eq!(side.get(&server.url()).unwrap(), b"12345");
    thread::sleep(Duration::from_millis(100));
    let expected =
        ["USER cpe", "PASS s3cret pass", "TYPE I", "SIZE dir/file", "EPSV", "RETR dir/file", "QUIT"];
    assert_eq!(server.said(), expected);
    let server =
        ftp(vec![("USER", "230 in already\r\n"), ("GREETING", "120 wait\r\n220-a\r\n b\r\n220 c\r\n")], b"");
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"");
    assert_eq!(server.said()[..2], ["USER anonymous", "TYPE I"]);
    // Another's address in the reply to PASV leads nowhere else.
    let server = ftp(vec![("EPSV", "500 what\r\n"), ("PASV", "227 go (192,0,2,1,PORT)\r\n")], b"12345");
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"12345");
}

#[test]
fn no_second_command_is_smuggled() {
    let server = ftp(vec![], b"12345");
    for (user, password) in [("a\r\nDELE x", "b"), ("a", "b\r\nDELE x"), ("a\nDELE x", "b"), ("a", "b\0")] {
        Side::new().with_login(user, password).refused(&server.url(), 9003, "control character");
    }
    for path in ["a%0d%0aDELE%20x", "a%0aDELE%20x", "%00", "a\r\nDELE x"] {
        let url = format!("ftp://127.0.0.1:{}/{path}", server.port);
        Side::new().refused(&url, 9003, "character");
    }
    assert!(server.said().iter().all(|line| !line.starts_with("DELE")), "{:?}", server.said());
}

#[test]
fn files_that_break_off() {
    let broken = |script: Script, code: u16, words: &str| {
        let server = ftp(script, b"12345");
        Side::new().idle(700).refused(&server.url(), code, words);
    };
    broken(vec![("DONE", "close")], 9017, "not confirmed");
    broken(vec![("DONE", "hang")], 9017, "not confirmed");
    broken(vec![("DONE", "426 broken\r\n")], 9017, "426");
    broken(vec![("DONE", "451 broken\r\n")], 9017, "451");
    broken(vec![("DONE", "421 bye\r\n")], 9017, "421");
    broken(vec![("STALL", "")], 9017, "broke off");
    broken(vec![("SIZE", "213 6\r\n")], 9017, "5 of 6 octets");
    broken(vec![("SIZE", "213 99999999999\r\n")], 9010, "larger than");
    let server = ftp(vec![("SIZE", "213 4\r\n")], b"12345");
    assert_eq!(Side::new().get(&server.url()).unwrap(), b"12345", "it has grown meanwhile");
}

#[test]
fn hostile_replies() {
    let broken = |script: Script, code: u16, words: &str| {
        let server = ftp(script, b"12345");
        let start = Instant::now();
        Side::new().idle(700).with_tls(trusting("ca", false)).refused(&server.url(), code, words);
        assert!(start.elapsed() < Duration::from_secs(3));
    };
    if !has("openssl") {
        return;
    }
    broken(vec![("GREETING", "endless")], 9010, "lines");
    broken(vec![("GREETING", "longline")], 9010, "line is longer");
    broken(vec![("GREETING", "hang")], 9015, "does not answer");
    broken(vec![("GREETING", "close")], 9015, "closed");
    broken(vec![("GREETING", "421 full\r\n")], 9015, "421");
    broken(vec![("GREETING", "530 banned\r\n")], 9012, "530");
    broken(vec![("GREETING", "HTTP/1.1 400 Bad\r\n")], 9010, "does not speak FTP");
    broken(vec![("GREETING", "\u{1}\u{2}\u{3}\n")], 9010, "does not speak FTP");
    broken(vec![("PASS", "530 wrong\r\n")], 9012, "530");
    broken(vec![("USER", "332 account\r\n")], 9012, "332");
    broken(vec![("PASS", "331 again\r\n")], 9010, "331");
    broken(vec![("USER", "331 a\r\n230 b\r\n")], 9010, "not asked");
    broken(vec![("TYPE", "hang")], 9015, "does not answer");
    broken(vec![("TYPE", "504 no\r\n")], 9010, "TYPE: 504");
    broken(vec![("EPSV", "229 (|||0|)\r\n")], 9010, "EPSV gave");
    broken(vec![("EPSV", "229 (|1|192.0.2.1|80|)\r\n")], 9010, "EPSV gave");
    broken(vec![("EPSV", "229 (|||1|)\r\n")], 9015, "data connection");
    broken(vec![("EPSV", "500 no\r\n"), ("PASV", "227 (1,2,3)\r\n")], 9010, "PASV gave");
    broken(vec![("EPSV", "500 no\r\n"), ("PASV", "500 no\r\n")], 9010, "PASV: 500");
    broken(vec![("RETR", "425 no data\r\n")], 9015, "425");
    broken(vec![("RETR", "200 never mind\r\n")], 9010, "200");
    broken(vec![("RETR", "450 busy\r\n")], 9016, "450");
    // Before TLS anybody may add words.
    let server = ftp(vec![("AUTH", "234 ok\r\n230 welcome\r\n")], b"12345");
    let mut side = Side::new().idle(700).with_tls(trusting("ca", false));
    let url = server.url().replace("ftp:", "ftps:");
    side.refused(&url, 9010, "before TLS");
    let server = ftp(vec![("AUTH", "234 ok\r\n")], b"12345");
    side.refused(&server.url().replace("ftp:", "ftps:"), 9015, "handshake");

    let server = ftp(vec![("GREETING", "hang")], b"");
    let mut side = Side::new();
    side.cancel_in(300);
    let start = Instant::now();
    side.refused(&server.url(), 9010, "called off");
    assert!(start.elapsed() < Duration::from_millis(1300), "{:?}", start.elapsed());
    Side::new().refused(&format!("ftp://127.0.0.1:{}/x", free_port()), 9015, "refused");
    Side::new().refused("ftp://no-such-host.invalid/x", 9015, "no-such-host.invalid");
}

#[test]
fn uploads_that_fail() {
    let put = |script: Script| Side::new().idle(700).put(&ftp(script, b"").url(), &content(200_000));
    assert_eq!(put(vec![]).unwrap().size, 200_000);
    expect(put(vec![("STOR", "552 full\r\n")]), 9011, "552");
    expect(put(vec![("STOR", "553 no\r\n")]), 9016, "553");
    expect(put(vec![("DONE", "552 full\r\n")]), 9011, "552");
    expect(put(vec![("DONE", "close")]), 9011, "not confirmed");
    expect(put(vec![("PASS", "530 no\r\n")]), 9012, "530");
}
