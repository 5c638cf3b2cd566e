//! A small line diff in the unified format, for what provisioning did to the UCI files.

/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// Differing middles of more lines than this in all are shown as removed and added whole.
const MAX_LINES: usize = 4000;

/// A line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit<'a> {
    Keep(&'a str),
    Remove(&'a str),
    Add(&'a str),
}

/// The unified diff of two states of a folder, given as sorted names and texts; empty when they are equal.
/// `folder` stands before the names.
pub fn folders(folder: &str, before: &[(String, String)], after: &[(String, String)]) -> String {
    let text = |files: &'_ [(String, String)], name: &str| {
        files.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
    };
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let mut out = String::new();
    for name in names {
        let (old, new) = (text(before, name), text(after, name));
        if old == new {
            continue;
        }
        let shown = |there: bool, side: &str| match there {
            true => format!("{side}/{folder}/{name}"),
            false => "/dev/null".to_owned(),
        };
        out += &format!("--- {}\n+++ {}\n", shown(old.is_some(), "a"), shown(new.is_some(), "b"));
        out += &texts(&old.unwrap_or_default(), &new.unwrap_or_default());
    }
    out
}

/// The hunks of a unified diff; empty for equal texts.
pub fn texts(old: &str, new: &str) -> String {
    let edits = edits(&lines(old), &lines(new));
    let changed: Vec<usize> = (0..edits.len()).filter(|at| !matches!(edits[*at], Edit::Keep(_))).collect();
    let mut out = String::new();
    let mut next = 0;
    while let Some(first) = changed.get(next).copied() {
        let mut last = first;
        while let Some(at) = changed.get(next).copied().filter(|at| *at <= last + 2 * CONTEXT + 1) {
            last = at;
            next += 1;
        }
        let (start, end) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(edits.len()));
        out += &hunk(&edits, start, end);
    }
    out
}

/// Lines with a mark at a missing last line end.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hunk(edits: &[Edit<'_>], start: usize, end: usize) -> String {
    let old = |edits: &[Edit<'_>]| edits.iter().filter(|edit| !matches!(edit, Edit::Add(_))).count();
    let new = |edits: &[Edit<'_>]| edits.iter().filter(|edit| !matches!(edit, Edit::Remove(_))).count();
    let range = |before: usize, count: usize| match count {
        0 => format!("{before},0"),
        1 => format!("{}", before + 1),
        count => format!("{},{count}", before + 1),
    };
    let (before, inside) = (&edits[..start], &edits[start..end]);
    let mut out =
        format!("@@ -{} +{} @@\n", range(old(before), old(inside)), range(new(before), new(inside)));
    for edit in inside {
        let (sign, line) = match edit {
            Edit::Keep(line) => (' ', line),
            Edit::Remove(line) => ('-', line),
            Edit::Add(line) => ('+', line),
        };
        out.push(sign);
        out += line;
        if !line.ends_with('\n') {
            out += "\n\\ No newline at end of file\n";
        }
    }
    out
}

/// The shortest list of edits, by the table of longest common subsequences of what is between the common ends.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Edit<'a>> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (a, b) = (&old[head..], &new[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(old, new)| old == new).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut out: Vec<Edit<'a>> = old[..head].iter().map(|line| Edit::Keep(line)).collect();
    if a.len() + b.len() > MAX_LINES {
        out.extend(a.iter().map(|line| Edit::Remove(line)));
        out.extend(b.iter().map(|line| Edit::Add(line)));
    } else {
        middle(a, b, &mut out);
    }
    out.extend(old[old.len() - tail..].iter().map(|line| Edit::Keep(line)));
    out
}

fn middle<'a>(a: &[&'a str], b: &[&'a str], out: &mut Vec<Edit<'a>>) {
    let width = b.len() + 1;
    // longest[i * width + j]: of a[i..] and b[j..].
    let mut longest = vec![0_u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push(Edit::Keep(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            out.push(Edit::Remove(a[i]));
            i += 1;
        } else {
            out.push(Edit::Add(b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shapes() {
        let check =
            |old: &str, new: &str, expected: &str| assert_eq!(texts(old, new), expected, "{old:?} {new:?}");
        check("", "", "");
        check("a\n", "a\n", "");
        check("", "a\n", "@@ -0,0 +1 @@\n+a\n");
        check("a\n", "", "@@ -1 +0,0 @@\n-a\n");
        check("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        check("a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
        check(
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            "1\n2\n3\n4\n5\n6\n7\n8\nX\n",
            "@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+X\n",
        );
    }

    #[test]
    fn distant_changes_are_hunks_of_their_own() {
        let old: String = (0..40).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n30\n", "\n");
        let diff = texts(&old, &new);
        assert_eq!(diff.matches("@@ -").count(), 2, "{diff}");
        assert!(diff.contains("@@ -3,7 +3,7 @@\n") && diff.contains("@@ -28,7 +28,6 @@\n"), "{diff}");
    }

    #[test]
    fn files_come_and_go() {
        let files = |list: &[(&str, &str)]| -> Vec<_> {
            list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let diff = folders(
            "etc/config",
            &files(&[("a", "1\n"), ("b", "x\n")]),
            &files(&[("b", "x\n"), ("c", "2\n")]),
        );
        assert_eq!(
            diff,
            "--- a/etc/config/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n--- /dev/null\n+++ b/etc/config/c\n@@ -0,0 +1 @@\n+2\n"
        );
    }

    /// `patch` understands every diff, where it is installed.
    fn patched(old: &str, new: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("old"), old).unwrap();
        std::fs::write(at("diff"), format!("--- old\n+++ new\n{}", texts(old, new))).unwrap();
        let output = Command::new("patch").args(["-s", "-i"]).arg(at("diff")).arg(at("old")).output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(std::fs::read_to_string(at("old")).unwrap_or_default())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn patch_applies_them(old in "([ab]\n){0,30}[ab]?", new in "([ab]\n){0,30}[ab]?") {
            if old != new && let Some(result) = patched(&old, &new) {
                prop_assert_eq!(result, new);
            }
        }
    }
}
