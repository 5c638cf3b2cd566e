//! Lua 5.1's patterns, matched by ourselves: the library's own matcher is one C call that nothing can interrupt, and a pattern of thirty
//! characters can keep it for years.
//!
//! Steps are counted, and now and then somebody asked whether to go on. Patterns are bounded, because matching recurses
//! once for each of their items.

use std::fmt;

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 4096;
/// Most captures, as in Lua.
const MAX_CAPTURES: usize = 32;
/// Steps between two questions.
const STRIDE: u32 = 10_000;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// What is wrong in the pattern.
    Malformed(&'static str),
    /// Longer than [`MAX_PATTERN`].
    TooLong,
    /// Somebody said so.
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(why) => f.write_str(why),
            Error::TooLong => write!(f, "the pattern is longer than {MAX_PATTERN} bytes"),
            Error::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

/// What a capture caught, as offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// From, to.
    Text(usize, usize),
    /// `()`.
    Position(usize),
}

/// A match, as offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// In order; none if the pattern has none.
    pub captures: Vec<Capture>,
}

/// The first match of `pattern`, without an anchor of its own, at `from` or, unless `here`, later. `go_on` is asked now and then.
///
/// # Errors
/// [`Error`].
pub fn search(
    text: &[u8],
    pattern: &[u8],
    from: usize,
    here: bool,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<Found>, Error> {
    if pattern.len() > MAX_PATTERN {
        return Err(Error::TooLong);
    }
    let mut matcher = Matcher { text, pattern, captures: Vec::new(), steps: 0, go_on };
    for at in from..=text.len() {
        matcher.captures.clear();
        if let Some(to) = matcher.run(at, 0)? {
            let captures = matcher.captures.iter().map(|open| open.closed()).collect::<Result<_, _>>()?;
            return Ok(Some(Found { from: at, to, captures }));
        }
        if here {
            break;
        }
    }
    Ok(None)
}

/// Where `text` has `wanted` at `from` or later, taken as it is. `go_on` is asked now and then.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn find(
    text: &[u8],
    wanted: &[u8],
    mut from: usize,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<usize>, Error> {
    let Some(&first) = wanted.first() else { return Ok((from <= text.len()).then_some(from)) };
    let cost = cost_of(wanted.len());
    let mut steps = 0;
    while let Some(last) = text.len().checked_sub(wanted.len()).filter(|last| from <= *last) {
        let Some(at) = text[from..=last].iter().position(|byte| *byte == first) else { return Ok(None) };
        if text[from + at..].starts_with(wanted) {
            return Ok(Some(from + at));
        }
        from += at + 1;
        steps += cost;
        if steps >= STRIDE {
            steps = 0;
            if !go_on() {
                return Err(Error::Interrupted);
            }
        }
    }
    Ok(None)
}

/// The steps that comparing so many bytes counts for.
fn cost_of(bytes: usize) -> u32 {
    u32::try_from(bytes / 64).unwrap_or(STRIDE).min(STRIDE) + 1
}

/// A capture while matching.
#[derive(Clone, Copy)]
enum Open {
    /// Begun at.
    Begun(usize),
    Done(Capture),
}

impl Open {
    fn closed(&self) -> Result<Capture, Error> {
        match self {
            Open::Begun(_) => Err(Error::Malformed("unfinished capture")),
            Open::Done(capture) => Ok(*capture),
        }
    }
}

struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Open>,
    steps: u32,
    go_on: &'a dyn Fn() -> bool,
}

impl Matcher<'_> {
    fn step(&mut self) -> Result<(), Error> {
        self.steps_of(1)
    }

    fn steps_of(&mut self, cost: u32) -> Result<(), Error> {
        self.steps += cost;
        if self.steps < STRIDE {
            return Ok(());
        }
        self.steps = 0;
        if (self.go_on)() { Ok(()) } else { Err(Error::Interrupted) }
    }

    /// Matches the pattern from `p` on at `s`; where the match ends.
    fn run(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>, Error> {
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(s)) };
            match (item, self.pattern.get(p + 1)) {
                (b'(', Some(b')')) => return self.capture(Open::Done(Capture::Position(s)), s, p + 2),
                (b'(', _) => return self.capture(Open::Begun(s), s, p + 1),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    if self.pattern.get(p + 2) != Some(&b'[') {
                        return Err(Error::Malformed("missing '[' after '%f' in pattern"));
                    }
                    let end = self.item_end(p + 2)?;
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let after = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p + 2, end) || !self.in_set(after, p + 2, end) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => match self.again(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.item_end(p)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.fits(s, p, end)
                                && let Some(to) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(to));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.most(s, p, end, 0),
                        Some(b'+') => return self.most(s, p, end, 1),
                        Some(b'-') => return self.least(s, p, end),
                        _ if self.fits(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// As many of an item as go, and the rest.
    fn most(&mut self, s: usize, p: usize, end: usize, least: usize) -> Result<Option<usize>, Error> {
        let mut count = 0;
        while self.fits(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        while count >= least {
            if let Some(to) = self.run(s + count, end + 1)? {
                return Ok(Some(to));
            }
            if count == 0 {
                break;
            }
            count -= 1;
        }
        Ok(None)
    }

    /// As few of an item as go, and the rest.
    fn least(&mut self, mut s: usize, p: usize, end: usize) -> Result<Option<usize>, Error> {
        loop {
            if let Some(to) = self.run(s, end + 1)? {
                return Ok(Some(to));
            }
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn capture(&mut self, open: Open, s: usize, p: usize) -> Result<Option<usize>, Error> {
        if self.captures.len() >= MAX_CAPTURES {
            return Err(Error::Malformed("too many captures"));
        }
        let level = self.captures.len();
        self.captures.push(open);
        let found = self.run(s, p)?;
        if found.is_none() {
            self.captures.truncate(level);
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Result<Option<usize>, Error> {
        let begun = self.captures.iter().rposition(|open| matches!(open, Open::Begun(_)));
        let Some((at, Open::Begun(from))) = begun.map(|at| (at, self.captures[at])) else {
            return Err(Error::Malformed("invalid pattern capture"));
        };
        self.captures[at] = Open::Done(Capture::Text(from, s));
        let found = self.run(s, p)?;
        if found.is_none() {
            self.captures[at] = Open::Begun(from);
        }
        Ok(found)
    }

    /// `%1`: what a capture caught, once more.
    fn again(&mut self, s: usize, digit: u8) -> Result<Option<usize>, Error> {
        let index = usize::from(digit - b'0').checked_sub(1);
        match index.and_then(|index| self.captures.get(index)) {
            Some(Open::Done(Capture::Text(from, to))) => {
                let (from, to) = (*from, *to);
                self.steps_of(cost_of(to - from))?;
                let caught = &self.text[from..to];
                Ok(self.text[s..].starts_with(caught).then(|| s + caught.len()))
            }
            // Lua takes a position for a text of no length that is never there again.
            Some(Open::Done(Capture::Position(_))) => Ok(None),
            _ => Err(Error::Malformed("invalid capture index")),
        }
    }

    /// `%bxy` at `s`, the two at `p`.
    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>, Error> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(Error::Malformed("unbalanced pattern"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (at, &byte) in self.text.iter().enumerate().skip(s + 1) {
            self.step()?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the item that begins at `p` ends, without its quantifier.
    fn item_end(&self, p: usize) -> Result<usize, Error> {
        match self.pattern[p] {
            b'%' if p + 1 >= self.pattern.len() => Err(Error::Malformed("malformed pattern (ends with '%')")),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // A bracket that comes first is itself.
                let mut first = true;
                loop {
                    match self.pattern.get(at) {
                        None => return Err(Error::Malformed("malformed pattern (missing ']')")),
                        Some(b']') if !first => return Ok(at + 1),
                        Some(b'%') => at += 2,
                        Some(_) => at += 1,
                    }
                    first = false;
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the character at `s` is one of the item's.
    fn fits(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end),
            literal => literal == byte,
        }
    }

    /// Whether a character is in the set from `p` to `end`, brackets included.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let mut set = &self.pattern[p + 1..end - 1];
        let negated = set.first() == Some(&b'^');
        if negated {
            set = &set[1..];
        }
        let mut found = false;
        while let Some((&item, rest)) = set.split_first() {
            (found, set) = match (item, rest) {
                (b'%', [class, rest @ ..]) => (found || is_in_class(byte, *class), rest),
                (low, [b'-', high, rest @ ..]) => (found || (low..=*high).contains(&byte), rest),
                (literal, rest) => (found || literal == byte, rest),
            };
        }
        found != negated
    }
}

/// Whether a character is in the class of a letter; another character is itself.
fn is_in_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The captures of the first match, or the match itself, as text.
    fn check(text: &str, pattern: &str, expected: Result<Option<&[&str]>, Error>) {
        let found = search(text.as_bytes(), pattern.as_bytes(), 0, false, &|| true);
        let shown = found.map(|found| {
            found.map(|found| {
                let captures = match found.captures.is_empty() {
                    true => vec![Capture::Text(found.from, found.to)],
                    false => found.captures,
                };
                let show = |capture: Capture| match capture {
                    Capture::Text(from, to) => text[from..to].to_owned(),
                    Capture::Position(at) => format!("@{at}"),
                };
                captures.into_iter().map(show).collect::<Vec<_>>()
            })
        });
        let expected =
            expected.map(|found| found.map(|list| list.iter().map(|&item| item.to_owned()).collect()));
        assert_eq!(shown, expected, "{text:?} {pattern:?}");
    }

    #[test]
    fn items() {
        check("key = value", "(%w+)%s*=%s*(%w+)", Ok(Some(&["key", "value"])));
        check("hello", "l+", Ok(Some(&["ll"])));
        check("hello", "l-o", Ok(Some(&["llo"])));
        check("hello", "()ll()", Ok(Some(&["@2", "@4"])));
        check("a(b(c)d)e", "%b()", Ok(Some(&["(b(c)d)"])));
        check("THE (quick) fox", "%f[%a]%a+%f[%A]", Ok(Some(&["THE"])));
        check("\"it's\"", "([\"'])(.-)%1", Ok(Some(&["\"", "it's"])));
        check("a]b", "[]]", Ok(Some(&["]"])));
        check("a-b", "[a%-]+", Ok(Some(&["a-"])));
        check("x", "[^x]", Ok(None));
        check("price$", "e$$", Ok(Some(&["e$"])));
        check("", "", Ok(Some(&[""])));
        check("abc", "b?c", Ok(Some(&["bc"])));
    }

    #[test]
    fn mistakes() {
        for (pattern, why) in [
            ("%", "malformed pattern (ends with '%')"),
            ("[a", "malformed pattern (missing ']')"),
            ("[a%", "malformed pattern (missing ']')"),
            ("(a", "unfinished capture"),
            ("a)", "invalid pattern capture"),
            ("%1", "invalid capture index"),
            ("%f", "missing '[' after '%f' in pattern"),
            ("%b", "unbalanced pattern"),
        ] {
            check("a", pattern, Err(Error::Malformed(why)));
        }
        assert_eq!(search(b"", &[b'a'; 5000], 0, false, &|| true), Err(Error::TooLong));
    }

    #[test]
    fn plain_text() {
        let find = |text: &str, wanted: &str, from| find(text.as_bytes(), wanted.as_bytes(), from, &|| true);
        assert_eq!((find("abcabc", "bc", 0), find("abcabc", "bc", 2)), (Ok(Some(1)), Ok(Some(4))));
        assert_eq!((find("abc", "bcd", 0), find("abc", "c", 3)), (Ok(None), Ok(None)));
        assert_eq!((find("abc", "", 3), find("abc", "", 4)), (Ok(Some(3)), Ok(None)));
        assert_eq!(find("a.c", ".", 0), Ok(Some(1)));
        assert_eq!(find("", "a", 0), Ok(None));
    }

    #[test]
    fn long_comparisons_are_interrupted() {
        let text = "a".repeat(1 << 20);
        let wanted = format!("{}b", "a".repeat(1 << 19));
        assert_eq!(find(text.as_bytes(), wanted.as_bytes(), 0, &|| false), Err(Error::Interrupted));
        let asked = std::cell::Cell::new(0_u32);
        let go_on = || {
            asked.set(asked.get() + 1);
            asked.get() < 200
        };
        // Backwards over what was caught, a comparison for each.
        assert_eq!(search(text.as_bytes(), b"(a*)%1b", 0, true, &go_on), Err(Error::Interrupted));
    }

    #[test]
    fn a_bomb_is_interrupted() {
        let pattern = format!("{}{}b", "a?".repeat(40), "a".repeat(40));
        let text = "a".repeat(40);
        let asked = std::cell::Cell::new(0);
        let go_on = || {
            asked.set(asked.get() + 1);
            asked.get() < 50
        };
        assert_eq!(search(text.as_bytes(), pattern.as_bytes(), 0, false, &go_on), Err(Error::Interrupted));
        assert_eq!(asked.get(), 50);
    }
}
