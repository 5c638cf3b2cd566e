//! Streams as servers send them, cut anywhere, and as nobody should send them.

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
     xml:lang='en' version='1.0' from='localhost' id='1' xmlns='jabber:client'>";

/// Feeds a text in pieces of so many octets, and gives all that came out before an error.
fn read(text: &[u8], piece: usize) -> (Vec<Item>, Option<StreamError>) {
    let (mut stream, mut items) = (Stream::default(), Vec::new());
    for part in text.chunks(piece) {
        stream.feed(part);
        loop {
            match stream.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(stream.held.capacity() <= 2 * MAX_STANZA);
    }
    (items, None)
}

/// The stanzas after a header.
fn stanzas(text: &str) -> Vec<Item> {
    let text = format!("{HEADER}{text}");
    let (items, error) = read(text.as_bytes(), usize::MAX);
    assert_eq!(error, None, "{text}");
    for piece in [1, 2, 3, 7] {
        assert_eq!(read(text.as_bytes(), piece), (items.clone(), None), "{piece}");
    }
    assert!(matches!(&items[0], Item::Header(header) if header.attribute("id") == Some("1")));
    items[1..].to_vec()
}

fn one(text: &str) -> Element {
    match stanzas(text).as_slice() {
        [Item::Stanza(element)] => element.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, expected: &StreamError) {
    let whole = format!("{HEADER}{text}");
    for piece in [1, 5, usize::MAX] {
        assert_eq!(read(whole.as_bytes(), piece).1.as_ref(), Some(expected), "{text}");
    }
}

#[test]
fn features_and_requests() {
    let features =
        one("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
         <mechanisms xmlns='m'><mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
         </stream:features>");
    assert!(features.is(STREAMS, "features"));
    let starttls = features.child("urn:ietf:params:xml:ns:xmpp-tls", "starttls").unwrap();
    assert!(starttls.child("urn:ietf:params:xml:ns:xmpp-tls", "required").is_some());
    assert_eq!(features.child("m", "mechanisms").unwrap().children[1].text.as_str(), "SCRAM-SHA-1");
    // What GenieACS sends, by prosody.
    let iq =
        one("<iq from=\"acs@localhost/d0f3\" id=\"eaSa5Mnt+TU=\" to=\"cpe@localhost/wan\" type=\"get\">\
         <connectionRequest xmlns=\"urn:x\"><username>c&amp;u</username><password><![CDATA[<p>]]>&#x20;&lt;\
         </password></connectionRequest></iq>");
    assert!(iq.is(CLIENT, "iq") && iq.attribute("id") == Some("eaSa5Mnt+TU="));
    let request = iq.child("urn:x", "connectionRequest").unwrap();
    assert_eq!(request.child("urn:x", "username").unwrap().text.as_str(), "c&u");
    assert_eq!(request.child("urn:x", "password").unwrap().text.as_str(), "<p> <");
}

#[test]
fn blanks_ends_and_empty_ones() {
    let items = stanzas("  \n<a/> <b x='/'/>\t<c y='a>b'>t</c></stream:stream>");
    let names: Vec<&str> = items
        .iter()
        .map(|item| match item {
            Item::Stanza(element) => element.name.as_str(),
            Item::End => "end",
            _ => "?",
        })
        .collect();
    assert_eq!(names, ["a", "b", "c", "end"]);
    assert_eq!(stanzas("</stream:stream>anything <"), [Item::End]);
    assert_eq!(stanzas("<message><body>half"), []);
}

#[test]
fn what_xmpp_forbids() {
    for text in [
        "<!-- x --><a/>",
        "<a><!-- x --></a>",
        "<?php x ?>",
        "<a><?x?></a>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
        "<a>&b;</a>",
        "<a x='&b;'/>",
        "<![CDATA[x]]>",
    ] {
        refused(text, &StreamError::Restricted);
    }
    let bomb = "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><stream:stream>";
    assert_eq!(read(bomb.as_bytes(), 1).1, Some(StreamError::Restricted));
    for instruction in ["<?xm version='1.0'?>", "<?xml-stylesheet href='x'?>", "<?xml>", "<?xml?>"] {
        assert_eq!(read(instruction.as_bytes(), 3).1, Some(StreamError::Restricted), "{instruction}");
    }
}

#[test]
fn what_is_no_stream() {
    let malformed = |text: &str| {
        let whole = format!("{HEADER}{text}");
        let error = read(whole.as_bytes(), 1).1;
        assert!(matches!(error, Some(StreamError::Malformed(_))), "{text}: {error:?}");
    };
    for text in ["x", "<a></b>", "<a <b/>>", "<a x='1' x='2'/>", "<n:a/>", "<a>\u{1}</a>", "<a>&#1;</a>"] {
        malformed(text);
    }
    for text in ["HTTP/1.1 400 Bad Request", "<a/>", "<a>", "<stream:stream>", "</stream:stream", "\u{0}"] {
        let (items, error) = read(text.as_bytes(), 1);
        assert!(items.is_empty(), "{text}: {items:?}");
        assert!(error.is_some() || text.starts_with("</"), "{text}");
    }
    assert!(matches!(read(b"<stream:stream \xff='x'>", 1).1, Some(StreamError::Malformed(_))));
}

#[test]
fn too_long_and_too_deep_is_let_pass() {
    let next = |text: &str| {
        let items = stanzas(&format!("{text}<next/>"));
        assert_eq!(items.len(), 2, "{items:?}");
        assert_eq!(items[0], Item::Passed);
        assert!(matches!(&items[1], Item::Stanza(element) if element.name == "next"));
    };
    next(&format!("<a>{}</a>", "x".repeat(MAX_STANZA)));
    next(&format!("<a x='{}'/>", "x".repeat(MAX_STANZA)));
    next(&format!("<{}/>", "x".repeat(MAX_STANZA)));
    next(&format!("{}{}", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH)));
    next(&format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000)));
    next(&format!("<a>{}</a>", "<b/>".repeat(MAX_PARTS)));
    next(&format!("<a {}/>", (0..MAX_PARTS).map(|n| format!("a{n}='' ")).collect::<String>()));
    next(&format!("<a><![CDATA[{}]]></a>", "<".repeat(MAX_STANZA)));
    assert_eq!(one(&format!("<a>{}</a>", "x".repeat(10_000))).text.len(), 10_000);
}

#[test]
fn what_does_not_end() {
    let endless = |start: &str, text: &str| {
        let mut stream = Stream::default();
        stream.feed(format!("{HEADER}{start}").as_bytes());
        assert!(matches!(stream.next(), Ok(Some(Item::Header(_)))));
        for _ in 0..1000 {
            stream.feed(text.repeat(4096 / text.len()).as_bytes());
            match stream.next() {
                Ok(None) => assert!(stream.held.len() <= MAX_STANZA && stream.unread.capacity() <= 16 * 1024),
                Ok(other) => panic!("{other:?}"),
                Err(error) => return assert_eq!(error, StreamError::TooLong),
            }
        }
        panic!("{text} goes on for ever");
    };
    endless("", "<a>");
    endless("<a b='", "<");
    endless("<a", "a");
    endless("<a>", "x");
    endless("<a><![CDATA[", "]");
    let mut stream = Stream::default();
    stream.feed(format!("<stream:stream a='{}", "x".repeat(2 * MAX_HEADER)).as_bytes());
    assert_eq!(stream.next(), Err(StreamError::TooLong));
}

#[test]
fn noise_and_cut_messages_never_panic() {
    let text =
        format!("{HEADER}<iq id='1' type='get'><a xmlns='b'>&amp;<![CDATA[]]></a></iq><x:y xmlns:x='z'/>");
    for length in 0..text.len() {
        let _ = read(&text.as_bytes()[..length], 3);
    }
    let mut seed = 7_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::from(u16::from_be_bytes([seed.to_be_bytes()[0], seed.to_be_bytes()[1]]))
    };
    for _ in 0..5_000 {
        let mut octets = text.clone().into_bytes();
        for _ in 0..1 + next() % 4 {
            let (at, with) = (next() % octets.len(), b"<>/!?[]&;'\" =x\0\xff"[next() % 16]);
            octets[at] = with;
        }
        let _ = read(&octets, 1 + next() % 50);
    }
}

#[test]
fn texts_are_escaped() {
    assert_eq!(escape("a<b>&\"'\n\u{1}é"), "a&lt;b&gt;&amp;&quot;&apos;&#10;é");
    assert_eq!(one(&format!("<a x=\"{}\"/>", escape("<\n'\">&"))).attribute("x"), Some("<\n'\">&"));
}
