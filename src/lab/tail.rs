//! What a program that was started says: its lines as they come, and the last of them.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};

/// The longest line, in octets; what is longer comes in several.
const MAX_LINE: u64 = 4096;

/// Hands on each line, without its end, until there are no more or reading fails. What is no UTF-8 is replaced.
pub fn each_line(from: impl Read, mut take: impl FnMut(String)) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match (&mut from).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(count) if count > 0 => take(String::from_utf8_lossy(&line).trim_end().to_owned()),
            _ => return,
        }
    }
}

/// Adds a line to the last ones, of which there are at most so many.
pub fn keep_last(lines: &mut VecDeque<String>, line: String, most: usize) {
    while lines.len() >= most.max(1) {
        lines.pop_front();
    }
    lines.push_back(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], most: usize, expected: &[&str]) {
        let mut lines = VecDeque::new();
        each_line(input, |line| keep_last(&mut lines, line, most));
        assert_eq!(lines, expected);
    }

    #[test]
    fn lines_and_the_last_of_them() {
        check(b"", 2, &[]);
        check(b"a\nb \r\nc", 3, &["a", "b", "c"]);
        check(b"a\n\nc\n", 2, &["", "c"]);
        check(b"a\nb", 0, &["b"]);
        check(b"\xff\n", 1, &["\u{fffd}"]);
        let long = vec![b'x'; 5000];
        check(&long, 3, &[&"x".repeat(4096), &"x".repeat(904)]);
    }
}
