//! Messages for the log at DEBUG: without passwords and keys.
//!
//! What is secret goes by the names of elements, whatever their prefixes: the value of a parameter whose name
//! says so, and elements that are passwords themselves (Download, Upload, ChangeDUState). The text need not be
//! well-formed, since it is logged when it is not, too.

use std::borrow::Cow;

use crate::http::url::Place;

/// What the last part of a secret parameter's name, or a secret element's name, has in it.
const SECRETS: [&str; 10] = [
    "Password",
    "Passphrase",
    "Secret",
    "PreSharedKey",
    "PresharedKey",
    "PrivateKey",
    "UpdateKey",
    "WEPKey",
    "PIN",
    "Voucher",
];
/// What stands for a secret.
const STARS: &str = "***";

/// The message with stars for its secrets; `is_hidden` knows the last parts of further secret parameters' names, as
/// a vendor has them. From where it is no XML, nothing of it is shown.
pub fn redacted(body: &[u8], is_hidden: &dyn Fn(&str) -> bool) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    // Whether the value of the struct that is open is shown: not before its name, which may come behind it.
    let mut shows_value = true;
    let mut name = String::new();
    let mut in_name = false;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if in_name {
            name.push_str(before);
        }
        out.push_str(&shown_text(before));
        let special = special(tag);
        let Some(end) = special.or_else(|| end_of(tag)) else {
            out.push_str(STARS);
            return out;
        };
        let (tag, after) = tag.split_at(end);
        match special {
            Some(_) => out.push_str(&shown_text(tag)),
            None => out.push_str(tag),
        }
        rest = after;
        if special.is_some() {
            // A name may be written in CDATA, and its text is the name all the same.
            if let Some(text) = tag.strip_prefix("<![CDATA[").filter(|_| in_name) {
                name.push_str(text.trim_end_matches("]]>"));
            }
            continue;
        }
        let inner = tag.trim_start_matches('<').trim_end_matches('>');
        let closing = inner.starts_with('/');
        let local = local_name(inner.trim_start_matches('/'));
        match (local, closing) {
            ("Name", false) => (in_name, name) = (true, String::new()),
            ("Name", true) => {
                in_name = false;
                let last = name.trim().rsplit('.').next().unwrap_or_default();
                // No parameter's name needs a reference: one that has it may be any other's.
                shows_value = !(is_secret(last) || is_hidden(last) || last.contains('&'));
            }
            ("ParameterValueStruct", _) => shows_value = false,
            (local, false)
                if !inner.ends_with('/') && ((local == "Value" && !shows_value) || is_secret(local)) =>
            {
                rest = hide(local, after, &mut out);
            }
            _ => {}
        }
    }
    out.push_str(&shown_text(rest));
    out
}

/// A piece of text between tags: a URL in it without a user's name and password. One with references is not taken
/// apart.
fn shown_text(text: &str) -> Cow<'_, str> {
    match text.find("://") {
        None => Cow::Borrowed(text),
        Some(at) if text.contains("&#") => Cow::Owned(format!("{}://{STARS}", &text[..at])),
        // Several URLs, or one in another: what belongs to which is anybody's guess.
        Some(at) if text[at + 3..].contains("://") && text[at + 3..].contains('@') => {
            let end = text.rfind('@').unwrap_or(text.len());
            Cow::Owned(format!("{}://{STARS}{}", &text[..at], &text[end..]))
        }
        Some(_) => Cow::Owned(shown_url(text)),
    }
}

/// Puts stars for all up to the end tag of `local`, or to the end if there is none; gives the rest.
fn hide<'t>(local: &str, after: &'t str, out: &mut String) -> &'t str {
    let mut from = 0;
    while let Some(at) = after[from..].find('<').map(|at| from + at) {
        let tag = &after[at..];
        if tag.strip_prefix("</").is_some_and(|name| local_name(name) == local) {
            out.push_str(if at == 0 { "" } else { STARS });
            return tag;
        }
        from = at + special(tag).unwrap_or(1);
    }
    out.push_str(STARS);
    ""
}

/// The length of a tag, up to the first `>` that is not in quotes; none if it has no end or another tag in it, which is
/// no XML: what seems to stand in quotes then may be anything.
fn end_of(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, octet) in tag.bytes().enumerate().skip(1) {
        match (octet, quote) {
            (b'<', _) => return None,
            (b'>', None) => return Some(at + 1),
            (b'"' | b'\'', None) => quote = Some(octet),
            (_, Some(open)) if octet == open => quote = None,
            _ => {}
        }
    }
    None
}

/// The length of what holds `<` and `>` as text: CDATA, a comment or an instruction, cut short or not.
fn special(tag: &str) -> Option<usize> {
    let kinds = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
    let (open, close) = kinds.into_iter().find(|(open, _)| tag.starts_with(open))?;
    Some(tag[open.len()..].find(close).map_or(tag.len(), |at| open.len() + at + close.len()))
}

/// The URL with stars for what may be a user's name and password in it: such a URL is not accepted, but logged.
pub fn shown_url(url: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url.rfind('@') {
        Some(at) if at >= authority && Place::parse(&url[authority..], 80).is_err() => {
            format!("{}{STARS}{}", &url[..authority], &url[at..])
        }
        _ => url.to_owned(),
    }
}

/// The name of a tag without its prefix.
fn local_name(tag: &str) -> &str {
    let name = tag.split(|c: char| c.is_whitespace() || c == '/' || c == '>').next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, shown: &str) {
        assert_eq!(redacted(message.as_bytes(), &|name| name == "ApiToken"), shown);
    }

    #[test]
    fn secrets_stay_out() {
        check(
            "<P><Name>A.Password</Name><Value xsi:type=\"x\">s3cret</Value></P><P><Name>A.B</Name><Value>v</Value></P>",
            "<P><Name>A.Password</Name><Value xsi:type=\"x\">***</Value></P><P><Name>A.B</Name><Value>v</Value></P>",
        );
        check(
            "<c:Name>A.KeyPassphrase </c:Name >\n<c:Value>s</c:Value>",
            "<c:Name>A.KeyPassphrase </c:Name >\n<c:Value>***</c:Value>",
        );
        check("<Password>s<!-- </x> -->3</Password><URL>u</URL>", "<Password>***</Password><URL>u</URL>");
        check("<Password/><URL>u</URL>", "<Password/><URL>u</URL>");
        check("<Password></Password>", "<Password></Password>");
        check("<Name>A.Password</Name><Value>cut sh", "<Name>A.Password</Name><Value>***");
        check(
            "<Name>A.PasswordReset.B</Name><Value>v</Value>",
            "<Name>A.PasswordReset.B</Name><Value>v</Value>",
        );
        check("<Password>s<!-- </Password> -->3</Password>", "<Password>***</Password>");
        check("<Password><![CDATA[s</Password>3]]></Password>", "<Password>***</Password>");
        check("<Password><![CDATA[s</Password>3", "<Password>***");
        check(
            "<Name><![CDATA[A.Password]]></Name><Value>s</Value>",
            "<Name><![CDATA[A.Password]]></Name><Value>***</Value>",
        );
        check(
            "<Name>A.Pass<?x y?>word</Name><Value>s</Value>",
            "<Name>A.Pass<?x y?>word</Name><Value>***</Value>",
        );
        check(
            "<Name>A.Pass&#119;ord</Name><Value>s</Value>",
            "<Name>A.Pass&#119;ord</Name><Value>***</Value>",
        );
        check("<!--Password--><URL>u</URL>", "<!--Password--><URL>u</URL>");
        check("<URL>http://u:s3cret@h/x</URL>", "<URL>http://***@h/x</URL>");
        check("<URL><![CDATA[http://u:s3cret@h/x]]></URL>", "<URL><![CDATA[http://***@h/x]]></URL>");
        check("<URL>http://u:s3cret&#64;h/x</URL>", "<URL>http://***</URL>");
        check("<URL>http://h/x@y?a=b&amp;c</URL>", "<URL>http://h/x@y?a=b&amp;c</URL>");
        check("<Name>A.B.PrivateKey</Name><Value>s</Value>", "<Name>A.B.PrivateKey</Name><Value>***</Value>");
        for plain in ["", "<a/>", "no tags", "</Name><Value>x</Value>", "<a b='>'>c</a>"] {
            check(plain, plain);
        }
    }

    #[test]
    fn secrets_that_hide_stay_out_too() {
        // Before its name, in a name of a vendor, and behind a `>` in an attribute.
        check(
            "<ParameterValueStruct><Value>s</Value><Name>A.Password</Name></ParameterValueStruct>",
            "<ParameterValueStruct><Value>***</Value><Name>A.Password</Name></ParameterValueStruct>",
        );
        check(
            "<ParameterValueStruct><Name>A.B</Name><Value>v</Value></ParameterValueStruct><ParameterValueStruct><Value>s",
            "<ParameterValueStruct><Name>A.B</Name><Value>v</Value></ParameterValueStruct><ParameterValueStruct><Value>***",
        );
        check("<Name>A.ApiToken</Name><Value>s</Value>", "<Name>A.ApiToken</Name><Value>***</Value>");
        check(
            "<Name a='>'>A.Password</Name><Value>s</Value>",
            "<Name a='>'>A.Password</Name><Value>***</Value>",
        );
        check(
            "<Name>A.Password</Name><Value a=\"x/>y\">s</Value>",
            "<Name>A.Password</Name><Value a=\"x/>y\">***</Value>",
        );
        check("<Password a=\"/>\">s</Password>", "<Password a=\"/>\">***</Password>");
        // No XML: what a reader would make of it is not known.
        check("a<b", "a***");
        check("<a b=\"><Password>s3cret</Password><c d=\"x\">", "***");
        check("<a <Password>s3cret</Password>", "***");
        // Two URLs.
        check("<URL>http://ok/a,ftp://u:s@h/x</URL>", "<URL>http://***@h/x</URL>");
        check("<URL>http://ok/?next=http://u:s@h</URL>", "<URL>http://***@h</URL>");
        check("<URL>http://ok/?next=http://h</URL>", "<URL>http://ok/?next=http://h</URL>");
    }

    #[test]
    fn a_url_shows_no_password() {
        for (url, shown) in [
            ("http://u:s3cret@acs/x", "http://***@acs/x"),
            ("http://u:s3/cr@et@acs/", "http://***@acs/"),
            ("u:s3cret@acs", "***@acs"),
            ("http://acs:7547/cwmp?a=b", "http://acs:7547/cwmp?a=b"),
            ("http://acs/a@b?c=d@e", "http://acs/a@b?c=d@e"),
            ("", ""),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
