//! Lightweight notifications are valid against the Broadband Forum's schema, and their signature is one
//! that OpenSSL and Python would give.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rcwmp::cwmp::lightweight::{Digest, Sender, packets};
use rcwmp::cwmp::rpc::{DeviceId, ParameterValue};
use rcwmp::model::value::{Kind, Value};

#[expect(clippy::disallowed_macros, reason = "a test says so when it did not test")]
fn skip(why: &str) {
    println!("{why}");
}

fn made() -> Vec<Vec<u8>> {
    made_with(Digest::Sha1)
}

fn made_with(digest: Digest) -> Vec<Vec<u8>> {
    let device = DeviceId {
        manufacturer: "Example".into(),
        oui: "02AB00".into(),
        product_class: "é".repeat(100),
        serial_number: "<0042>".into(),
    };
    let values = [
        (Kind::String, "a <b> & \"c\" ü€𝄞\t\r\n"),
        (Kind::String, ""),
        (Kind::Int, "-5"),
        (Kind::UnsignedInt, "4294967295"),
        (Kind::Long, "-9223372036854775808"),
        (Kind::UnsignedLong, "18446744073709551615"),
        (Kind::Boolean, "1"),
        (Kind::DateTime, "2026-01-01T00:00:00Z"),
        (Kind::Base64, "AAECAw=="),
        (Kind::HexBinary, "0aFF"),
    ];
    let list: Vec<ParameterValue> = (0..4)
        .flat_map(|round| {
            values.iter().map(move |(kind, text)| ParameterValue {
                name: format!("Device.Example.{}.Value{kind:?}", round + 1),
                value: Value::new(*kind, *text),
            })
        })
        .collect();
    let sender = Sender {
        host: "[2001:db8::1]:7547",
        username: &"x".repeat(300),
        password: "Example key",
        digest,
        device: &device,
    };
    packets(&sender, 1_790_000_000, "0123456789abcdef", &list).unwrap()
}

/// Head and body.
fn split(packet: &[u8]) -> (&str, &[u8]) {
    let end = packet.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    (std::str::from_utf8(&packet[..end]).unwrap(), &packet[end + 4..])
}

#[test]
fn notifications_are_valid() {
    let schema = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/standards/xsd/lwn-driver.xsd"));
    if !schema.exists() {
        return skip("skipped: ../shared not present");
    }
    if Command::new("xmllint").arg("--version").output().is_err() {
        return skip("skipped: no xmllint");
    }
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, body: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, body).unwrap();
        let run = Command::new("xmllint")
            .args(["--nonet", "--noout", "--schema"])
            .arg(schema)
            .arg(&file)
            .output()
            .unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let list = made();
    assert!(list.len() > 2);
    for (at, packet) in list.iter().enumerate() {
        let (valid, report) = check(&format!("{at}.xml"), split(packet).1);
        assert!(valid, "{report}");
    }
    // The check can fail.
    let bodies = list.iter().map(|packet| String::from_utf8(split(packet).1.to_vec()).unwrap());
    let text = bodies.into_iter().find(|body| body.contains("xsd:int\">-5")).unwrap();
    assert!(!check("bad.xml", text.replace("<OUI>02AB00", "<OUI>02ab00").as_bytes()).0);
    assert!(!check("bad.xml", text.replace("xsd:int\">-5", "xsd:int\">five").as_bytes()).0);
}

#[test]
fn the_signature_is_openssl_s() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("skipped: no openssl");
    }
    for (digest, option) in [(Digest::Sha1, "-sha1"), (Digest::Sha256, "-sha256")] {
        for packet in made_with(digest) {
            let (head, body) = split(&packet);
            let mut openssl = Command::new("openssl")
                .args(["dgst", option, "-hmac", "Example key"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            openssl.stdin.take().unwrap().write_all(body).unwrap();
            let said = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
            let expected = said.trim().rsplit(' ').next().unwrap();
            assert!(head.ends_with(&format!("\r\nSignature: {expected}")), "{head} {said}");
        }
    }
}

/// TR-181 2.19 has no parameter that an ACS could ask for SHA-256 with: that is the configuration's.
#[test]
fn the_signature_is_python_s() {
    const PROGRAM: &str = "import sys, hmac, hashlib\n\
                           for line in sys.stdin:\n\
                           \x20body = bytes.fromhex(line)\n\
                           \x20for one in (hashlib.sha1, hashlib.sha256):\n\
                           \x20 print(hmac.new(b'Example key', body, one).hexdigest())\n";
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("skipped: no python3");
    }
    // A longer signature leaves less room, so they are not packets of the same values.
    let of = |packets: Vec<Vec<u8>>, kind: usize| packets.into_iter().map(move |packet| (packet, kind));
    let packets: Vec<(Vec<u8>, usize)> = of(made(), 0).chain(of(made_with(Digest::Sha256), 1)).collect();
    let hex = |body: &[u8]| body.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    let bodies: String = packets.iter().map(|(packet, _)| hex(split(packet).1)).collect();
    let mut python = Command::new("python3");
    let python = python.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(bodies.as_bytes()).unwrap();
    let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    let digests: Vec<&str> = said.lines().collect();
    assert_eq!(digests.len(), 2 * packets.len());
    for ((packet, kind), digests) in packets.iter().zip(digests.chunks(2)) {
        let signature = split(packet).0.rsplit("\r\nSignature: ").next().unwrap();
        assert_eq!(signature, digests[*kind]);
        assert_eq!(signature.len(), [40, 64][*kind]);
    }
}
