//! Hostile documents end in an error (or a right reading), quickly and without much memory.

#[path = "soap/messages.rs"]
mod messages;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rcwmp::cwmp::rpc::{Message, Request};
use rcwmp::cwmp::soap::envelope::{Envelope, Namespace};
use rcwmp::cwmp::soap::{self, Limits, ReadError};

/// Generous for an unoptimised build on a busy machine: quadratic work on 4 MB takes minutes.
const SOON: Duration = Duration::from_secs(10);

fn read(bytes: &[u8]) -> Result<Envelope, ReadError> {
    let start = Instant::now();
    let result = soap::read(bytes, &Limits::default());
    assert!(start.elapsed() < SOON, "took {:?} for {} octets", start.elapsed(), bytes.len());
    result
}

fn framed(before: &str, header: &str, body: &str) -> String {
    format!(
        "{before}<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:e=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn names(inside: &str) -> String {
    format!("<c:GetParameterValues><ParameterNames>{inside}</ParameterNames></c:GetParameterValues>")
}

fn refused(document: &str) -> String {
    let head: String = document.chars().take(200).collect();
    match read(document.as_bytes()) {
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 2000, "{} octets of error", text.len());
            text
        }
        Ok(envelope) => panic!("{head} was read as {envelope:?}"),
    }
}

fn check(document: &str, why: &str) {
    let error = refused(document);
    assert!(error.contains(why), "{error}, not {why}");
}

#[test]
fn entities() {
    let mut laughs = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY l0 \"ha\">".to_owned();
    for at in 1..30 {
        laughs += &format!("<!ENTITY l{at} \"&l{};&l{};\">", at - 1, at - 1);
    }
    check(&framed(&(laughs + "]>"), "", &names("<string>&l29;</string>")), "DOCTYPE");
    let blow_up = format!("<!DOCTYPE q [<!ENTITY q \"{}\">]>", "a".repeat(50_000));
    check(&framed(&blow_up, "", &names(&"<string>&q;</string>".repeat(1000))), "DOCTYPE");
    check(
        &framed(
            "<!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
            "",
            &names("<string>&x;</string>"),
        ),
        "DOCTYPE",
    );
    check(&framed("<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\">", "", &names("")), "DOCTYPE");
    check(&framed("<!DOCTYPE x [<!ENTITY % p SYSTEM \"file:///x\">%p;]>", "", &names("")), "DOCTYPE");
    check(&framed("", "", &names("<string>&x;</string>")), "entity \"x\"");
    check(&framed("", "", &names("<!DOCTYPE x>")), "DOCTYPE");
}

#[test]
fn sizes() {
    check(&framed("", "", &names(&"<a>".repeat(100_000))), "deep");
    let nested = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    check(&framed("", &nested, "<c:GetRPCMethods/>"), "deep");
    let attributes: String = (0..100_000).map(|at| format!(" a{at}=\"1\"")).collect();
    check(&framed("", "", &names(&format!("<string{attributes}/>"))), "64 attributes");
    let same = " a=\"1\"".repeat(100_000);
    check(&framed("", "", &names(&format!("<string{same}/>"))), "twice");
    let namespaces: String = (0..50_000).map(|at| format!(" xmlns:n{at}=\"urn:{at}\"")).collect();
    refused(&framed("", "", &names(&format!("<string{namespaces}/>"))));
    let text = "a".repeat((4 << 20) - 1000);
    check(&framed("", "", &names(&format!("<string>{text}</string>"))), "a text of more than");
    check(&framed("", "", &names(&format!("<string>{text}{text}</string>"))), "too large");
    check(&framed("", "", &names(&format!("<string a=\"{text}\"></string>x"))), "text where elements belong");
    check(&framed("", "", &names(&format!("<{text}/>"))), "a name of more than");
    check(&framed("", "", &names(&format!("<string {text}=\"\"/>"))), "a name of more than");
    check(&framed("", &"<c:x/>".repeat(200_000), "<c:GetRPCMethods/>"), "128000 elements");
    check(&framed("", "", &names(&"<string/>".repeat(20_001))), "more than 20000");
    check(&framed("", "", &names(&"<string>A.</string>".repeat(100_000))), "more than 20000");
    check(&framed("", &format!("<c:ID>{}</c:ID>", "1".repeat(1 << 20)), "<c:GetRPCMethods/>"), "1024 octets");
    let references = "&amp;".repeat(400_000);
    check(&framed("", "", &names(&format!("<string>{references}</string>x"))), "text where elements belong");
    let comments = "a<!-- c -->".repeat(200_000);
    check(&framed("", "", &names(&format!("<string>{comments}</string>x"))), "text where elements belong");
}

#[test]
fn what_an_acs_may_send_is_read() {
    let value = "v".repeat(1 << 20);
    let body = format!(
        "<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>A.B</Name><Value>{value}</Value>\
         </ParameterValueStruct></ParameterList></c:SetParameterValues>"
    );
    match read(framed("", "", &body).as_bytes()).unwrap().message {
        Message::Request(Request::SetParameterValues(call)) => assert_eq!(call.list[0].value.text, value),
        other => panic!("{other:?}"),
    }
    let many = names(&"<string>Device.X.1.Y</string>".repeat(20_000));
    match read(framed("", "", &many).as_bytes()).unwrap().message {
        Message::Request(Request::GetParameterValues(list)) => assert_eq!(list.len(), 20_000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_of_the_other_methods() {
    let all = |method: &str, inside: &str| framed("", "", &format!("<c:{method}>{inside}</c:{method}>"));
    let operation = "<Operations xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:type=\"c:UninstallOpStruct\">\
                     <UUID/></Operations>";
    let sixteen = operation.repeat(16) + "<CommandKey/>";
    match read(all("ChangeDUState", &sixteen).as_bytes()).unwrap().message {
        Message::Request(Request::ChangeDuState(call)) => assert_eq!(call.operations.len(), 16),
        other => panic!("{other:?}"),
    }
    check(&all("ChangeDUState", &operation.repeat(20_001)), "more than 20000 operations");
    check(&all("ChangeDUState", &"<Operations/>".repeat(100_000)), "xsi:type");
    check(&all("ChangeDUState", &"<Operations>".repeat(100_000)), "deep");
    let windows = "<TimeWindowList/>".repeat(2);
    check(&all("ScheduleDownload", &windows), "TimeWindowList is there twice");
    let windows = format!("<TimeWindowList>{}</TimeWindowList>", "<TimeWindowStruct/>".repeat(30_000));
    check(&all("ScheduleDownload", &windows), "WindowStart is missing");
    let vouchers = format!("<VoucherList>{}</VoucherList>", "<base64>AAAA</base64>".repeat(20_001));
    check(&all("SetVouchers", &vouchers), "more than 20000");
    let long = "=".repeat(1 << 20);
    check(&all("SetVouchers", &format!("<VoucherList><base64>{long}</base64></VoucherList>")), "not base64");
    check(&all("CancelTransfer", &format!("<CommandKey>{long}</CommandKey>")), "longer than 32");
    check(&all("RequestDownload", &format!("<FileType>{long}</FileType>")), "longer than 64");
    let lying = format!("<c:{}>", "x".repeat(200));
    check(&all("GetOptions", &format!("<OptionName>{lying}</OptionName>")), "");
}

/// Whatever is wrong beside it, a password stands in no error.
#[test]
fn passwords_stay_out_of_errors() {
    let secret = "hunter2";
    for inside in [
        format!("<Password>{secret}</Password>"),
        format!("<Password>{}</Password>", secret.repeat(100)),
        format!("<Password>{secret}</Password><Password>{secret}</Password>"),
        format!("<Password>{secret}</Password><FileSize>-1</FileSize>"),
        format!("<Operations><InstallOpStruct><Password>{secret}</Password></InstallOpStruct></Operations>"),
    ] {
        for method in ["Download", "Upload", "ScheduleDownload", "ChangeDUState"] {
            let error = refused(&framed("", "", &format!("<c:{method}>{inside}</c:{method}>")));
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn encodings() {
    let document = framed("", "", "<c:GetRPCMethods/>");
    let with = |bytes: &[u8]| {
        let mut whole = framed("", "", &names("<string>@</string>")).into_bytes();
        let at = whole.iter().position(|&byte| byte == b'@').unwrap();
        whole.splice(at..=at, bytes.iter().copied());
        read(&whole)
    };
    assert!(with("ü".as_bytes()).is_ok());
    for bad in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc3",
        b"\0",
        b"\x01",
        b"\xef\xbf\xbf",
    ] {
        assert!(matches!(with(bad), Err(ReadError::NotXml(_))), "{bad:x?}");
    }
    for big in [false, true] {
        let units = document
            .encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        let bytes: Vec<u8> =
            if big { vec![0xfe, 0xff] } else { vec![0xff, 0xfe] }.into_iter().chain(units).collect();
        assert!(matches!(read(&bytes), Err(ReadError::NotXml(_))));
        assert!(matches!(read(&bytes[2..]), Err(ReadError::NotXml(_))));
    }
    check(&framed("<?xml version=\"1.0\" encoding=\"UTF-16\"?>", "", ""), "UTF-16");
    assert!(read(format!("\u{feff}{document}").as_bytes()).is_ok());
    assert!(read(b"").is_err() && read(b"\0").is_err() && read(&[b'<'; 100_000]).is_err());
}

#[test]
fn counts_that_lie() {
    for count in ["4294967295", "18446744073709551616", "-1", "", "%s%n", "0", "1,2", "x]["] {
        let body = format!(
            "<c:GetParameterValues><ParameterNames e:arrayType=\"xsd:string[{count}]\"><string>A.</string>\
             </ParameterNames></c:GetParameterValues>"
        );
        let message = read(framed("", "", &body).as_bytes()).unwrap().message;
        assert_eq!(message, Message::Request(Request::GetParameterValues(vec!["A.".into()])));
    }
}

#[test]
fn identifiers() {
    let id =
        |inside: &str| read(framed("", &format!("<c:ID>{inside}</c:ID>"), "<c:GetRPCMethods/>").as_bytes());
    for text in [
        "&lt;/c:ID&gt;&lt;c:Reboot/&gt;",
        "<![CDATA[</c:ID>]]>",
        "&#13;&#10;X: y",
        " a ",
        "",
        "%s",
        "'\"&amp;",
    ] {
        let envelope = id(text).unwrap();
        let again = soap::read(&soap::write(&envelope), &Limits::default()).unwrap();
        assert_eq!(again.header.id, envelope.header.id);
    }
    assert_eq!(id(" a ").unwrap().header.id.as_deref(), Some(" a "));
    assert!(id("<b>1</b>").is_err());
    assert!(id("1</c:ID><c:ID>2").is_err());
}

#[test]
fn truncated_anywhere() {
    for message in messages::messages() {
        let namespace = Namespace::V1_2;
        let bytes =
            soap::write(&Envelope { namespace, header: messages::header(namespace, &message), message });
        let end = bytes.len() - 1;
        assert_eq!(bytes[end], b'\n');
        for at in 0..end {
            assert!(read(&bytes[..at]).is_err(), "{} of {}", at, bytes.len());
        }
        assert!(read(&bytes[..end]).is_ok());
    }
}

/// A flipped bit gives an error or another message, never a panic; and what was read can be written.
#[test]
fn flipped_bits() {
    for (at, message) in messages::requests().into_iter().enumerate() {
        let namespace = messages::NAMESPACES[at % 3];
        let original = messages::envelope(namespace, Message::Request(message));
        let bytes = soap::write(&original);
        // Every bit of the short messages, one bit of each octet of the long ones.
        let step = if bytes.len() < 700 { 1 } else { 9 };
        for at in (0..bytes.len() * 8).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            if let Ok(envelope) = soap::read(&flipped, &Limits::default()) {
                assert!(soap::read(&soap::write(&envelope), &Limits::default()).is_ok());
            }
        }
    }
}

proptest! {
    #[test]
    fn random_octets(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(soap::read(&bytes, &Limits::default()).is_err());
    }

    #[test]
    fn random_markup(parts in prop::collection::vec(prop::sample::select(vec![
        "<c:AddObject>", "</c:AddObject>", "<ObjectName>", "</ObjectName>", "<s:Body>", "</s:Body>", "</s:Envelope>",
        "<![CDATA[", "]]>", "<!--", "-->", "&amp;", "&", "<", ">", "<?x", "?>", "text", " ", "\"", "<c:ID/>", "\u{0}",
        "<c:ChangeDUState>", "</c:ChangeDUState>", "<Operations>", "</Operations>", "<InstallOpStruct>", "<URL/>",
        "</InstallOpStruct>", "<CommandKey/>", "<c:CancelTransfer>", "</c:CancelTransfer>", "<c:FactoryReset/>",
        "<x xmlns=''/>", "<s:Fault>", "</s:Fault>", "<!DOCTYPE", "<c:Inform/>",
    ]), 0..30)) {
        let document = framed("", "", &parts.concat());
        if let Ok(envelope) = soap::read(document.as_bytes(), &Limits::default()) {
            prop_assert_eq!(soap::read(&soap::write(&envelope), &Limits::default()), Ok(envelope));
        }
    }
}

#[test]
fn never_executed() {
    for (header, body) in [
        ("<c:Reboot><CommandKey/></c:Reboot>", ""),
        ("", "<Reboot xmlns=\"urn:other\"/>"),
        ("", "<Reboot/>"),
        ("", "<c:Reboot xmlns:c=\"urn:other\"/>"),
        ("", "<c:Reboot xmlns:c=\"urn:dslforum-org:cwmp-1-2/\"/>"),
        ("", "<c:Reboot/><c:Reboot/>"),
        ("", "<x><c:Reboot/></x>"),
        ("", "<c:Reboot/></s:Body><s:Body><c:Reboot/>"),
        ("", "<c:Reboot/></s:Body></s:Envelope><s:Envelope><s:Body><c:Reboot/>"),
        ("</s:Header></s:Envelope><!--", "<c:Reboot/>-->"),
    ] {
        refused(&framed("", header, body));
    }
    let beside = framed("", "<c:Reboot/>", "<c:GetRPCMethods/>");
    assert_eq!(read(beside.as_bytes()).unwrap().message, Message::Request(Request::GetRpcMethods));
}
