//! What an FTP server says on its control connection (RFC 959 4.2, RFC 2428, RFC 3659). Pure.

use super::fault::Cause;

/// The longest line taken, in octets.
pub(super) const MAX_LINE: usize = 2048;
/// The most lines of one reply.
const MAX_LINES: usize = 200;
/// What is kept of a reply's text for a fault.
const MAX_TEXT: usize = 160;

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// From 100 to 599.
    pub(super) code: u16,
    /// The last line, without the code.
    pub(super) text: String,
}

/// Puts lines together to a reply.
#[derive(Debug, Default)]
pub(super) struct Reading {
    code: Option<u16>,
    lines: usize,
}

impl Reading {
    /// Takes a line without its end. Gives the reply if this was its last line.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Cause> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(Cause::Server(format!("a reply has more than {MAX_LINES} lines")));
        }
        let code = code(line);
        let mark = line.get(3).copied().unwrap_or(b' ');
        match (self.code, code, mark) {
            (None, Some(code), b'-') => self.code = Some(code),
            (None, Some(code), b' ') => return Ok(Some(Reply { code, text: text(line) })),
            (None, _, _) => return Err(Cause::Server(format!("it does not speak FTP: {:?}", text(line)))),
            (Some(first), Some(code), b' ') if first == code => {
                return Ok(Some(Reply { code, text: text(line) }));
            }
            (Some(_), _, _) => {}
        }
        Ok(None)
    }
}

impl Reply {
    /// What a refusal means, for the step that was refused.
    pub(super) fn refusal(&self, step: &str) -> Cause {
        let why = format!("{step}: {} {}", self.code, self.text);
        match self.code {
            120 | 421 | 425 => Cause::Unreachable(why),
            332 | 430 | 530 | 532 | 533 | 534 | 535 => Cause::Login(why),
            450 | 550 | 551 | 553 => Cause::NoFile(why),
            426 | 451 => Cause::CutOff(why),
            _ => Cause::Server(why),
        }
    }

    /// The port of a reply 229 to EPSV, as in `(|||6446|)`.
    pub(super) fn extended_port(&self) -> Option<u16> {
        let inside = self.text.split_once('(')?.1;
        let mark = inside.chars().next().filter(|mark| mark.is_ascii_graphic() && !mark.is_ascii_digit())?;
        let mut fields = inside.split(mark);
        let empty = (fields.next()?, fields.next()?, fields.next()?);
        let port = fields.next()?;
        fields.next()?;
        (empty == ("", "", "")).then(|| number(port))?.filter(|port| *port != 0)
    }

    /// The port of a reply 227 to PASV, as in `(127,0,0,1,25,46)`. The address in it is not even
    /// looked at: it would let a server send us to another.
    pub(super) fn passive_port(&self) -> Option<u16> {
        let is_part = |c: char| c.is_ascii_digit() || c == ',';
        let fields = self
            .text
            .split(|c: char| !is_part(c))
            .map(|word| word.split(',').collect::<Vec<_>>())
            .find(|fields| fields.len() == 6)?;
        let numbers: Option<Vec<u16>> =
            fields.into_iter().map(|field| number(field).filter(|n| *n < 256)).collect();
        let numbers = numbers?;
        Some(numbers[4] * 256 + numbers[5]).filter(|port| *port != 0)
    }

    /// The size in a reply 213 to SIZE.
    pub(super) fn size(&self) -> Option<u64> {
        let digits = self.text.trim();
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number && self.code == 213)
    }
}

fn number(digits: &str) -> Option<u16> {
    let is_number = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn code(line: &[u8]) -> Option<u16> {
    let (digits, _) = line.split_at_checked(3)?;
    let digits = std::str::from_utf8(digits).ok()?;
    number(digits).filter(|code| (100..600).contains(code))
}

fn text(line: &[u8]) -> String {
    let rest = if code(line).is_some() { line.get(4..).unwrap_or_default() } else { line };
    String::from_utf8_lossy(rest).trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Reply>, Cause> {
        let mut reading = Reading::default();
        for (at, line) in lines.iter().enumerate() {
            if let Some(reply) = reading.line(line.as_bytes())? {
                assert_eq!(at + 1, lines.len(), "ended early");
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    #[test]
    fn replies() {
        let check = |lines: &[&str], code: u16, text: &str| {
            assert_eq!(read(lines), Ok(Some(Reply { code, text: text.to_owned() })), "{lines:?}");
        };
        check(&["220 ready"], 220, "ready");
        check(&["220"], 220, "");
        check(&["220-a", "220-b", " 220 c", "221 d", "garbage", "", "220 end"], 220, "end");
        check(&["230-\u{1b}[2J", "230 \u{7}x"], 230, "x");
        assert_eq!(read(&["220-a", "b"]), Ok(None));
        for bad in
            ["", "22", "2200 x", "220x", "-22 x", "+22 x", "099 x", "600 x", "SSH-2.0-x", "HTTP/1.1 200 OK"]
        {
            assert!(matches!(read(&[bad]), Err(Cause::Server(_))), "{bad}");
        }
        let mut reading = Reading::default();
        assert!((0..1000).map(|_| reading.line(b"220-x")).any(|taken| taken.is_err()));
        assert!(read(&[&format!("500 {}", "x".repeat(5000))]).unwrap().unwrap().text.len() == MAX_TEXT);
    }

    #[test]
    fn ports() {
        let reply = |text: &str| Reply { code: 229, text: text.to_owned() };
        let extended = |text: &str, port| assert_eq!(reply(text).extended_port(), port, "{text}");
        extended("Entering Extended Passive Mode (|||6446|)", Some(6446));
        extended("(!!!1!) x", Some(1));
        for bad in [
            "(|||0|)",
            "(|||65536|)",
            "(|1|127.0.0.1|80|)",
            "(|||80)",
            "|||80|",
            "()",
            "(1111)",
            "(|||+8|)",
            "",
        ] {
            extended(bad, None);
        }
        let passive = |text: &str, port| assert_eq!(reply(text).passive_port(), port, "{text}");
        passive("Entering Passive Mode (127,0,0,1,25,46).", Some(25 * 256 + 46));
        passive("=10,0,0,1,0,80", Some(80));
        for bad in [
            "(127,0,0,1,0,0)",
            "(1,2,3,4,256,1)",
            "(1,2,3,4,5)",
            "(1,2,3,4,5,6,7)",
            "(,,,,,)",
            "(1,2,3,4,-5,6)",
            "",
        ] {
            passive(bad, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |code: u16, text: &str, size| {
            assert_eq!(Reply { code, text: text.to_owned() }.size(), size, "{text}");
        };
        check(213, "1048576", Some(1_048_576));
        check(213, "18446744073709551615", Some(u64::MAX));
        check(550, "1", None);
        for bad in ["", "-1", "+1", "1 2", "18446744073709551616", "1e9"] {
            check(213, bad, None);
        }
    }
}
