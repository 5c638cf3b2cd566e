//! Messages for the log at DEBUG: without passwords and keys.
//!
//! What is secret goes by the names of elements, whatever their prefixes: the value of a parameter whose name
//! says so, and elements that are passwords themselves (Download, Upload, ChangeDUState). The text need not be
//! well-formed, since it is logged when it is not, too.

/// What the last part of a secret parameter's name, or a secret element's name, has in it.
const SECRETS: [&str; 7] = ["Password", "Passphrase", "Secret", "PreSharedKey", "WEPKey", "PIN", "Voucher"];
/// What stands for a secret.
const STARS: &str = "***";

/// The message with stars for its secrets.
pub fn redacted(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    // Whether the parameter named last is a secret.
    let mut secret_value = false;
    let mut name = String::new();
    let mut in_name = false;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if in_name {
            name.push_str(before);
        }
        out.push_str(before);
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, after) = tag.split_at(end);
        out.push_str(tag);
        rest = after;
        let inner = tag.trim_start_matches('<').trim_end_matches('>');
        let closing = inner.starts_with('/');
        let local = local_name(inner.trim_start_matches('/'));
        match (local, closing) {
            ("Name", false) => (in_name, name) = (true, String::new()),
            ("Name", true) => {
                in_name = false;
                secret_value = is_secret(name.trim().rsplit('.').next().unwrap_or_default());
            }
            (local, false)
                if !inner.ends_with('/') && ((local == "Value" && secret_value) || is_secret(local)) =>
            {
                rest = hide(local, after, &mut out);
            }
            _ => {}
        }
    }
    out.push_str(rest);
    out
}

/// Puts stars for all up to the end tag of `local`, or to the end if there is none; gives the rest.
fn hide<'t>(local: &str, after: &'t str, out: &mut String) -> &'t str {
    let mut from = 0;
    while let Some(at) = after[from..].find("</").map(|at| from + at) {
        if local_name(&after[at + 2..]) == local {
            out.push_str(if at == 0 { "" } else { STARS });
            return &after[at..];
        }
        from = at + 2;
    }
    out.push_str(STARS);
    ""
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
        assert_eq!(redacted(message.as_bytes()), shown);
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
        for plain in ["", "<a/>", "no tags", "<", "a<b", "</Name><Value>x</Value>"] {
            check(plain, plain);
        }
    }
}
