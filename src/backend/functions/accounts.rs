//! `Device.Users.`: accounts, groups and shells of `/etc/passwd`, `/etc/shadow`, `/etc/group`, `/etc/shells`.
//!
//! Numbers below 1000 are the system's own: these accounts can be locked and get a password, but neither go
//! nor be called otherwise. An account never becomes one without a password: that is who comes in from anywhere.

use super::{crypt, topology};
use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Raw, Row};
use crate::model::error::Error;

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "user", get: user, set: Some(set_user) },
    ValueFn { name: "user_group", get: user, set: Some(set_group) },
    ValueFn { name: "user_password", get: |_, _, _| Ok(None), set: Some(set_password) },
];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "users", rows: users, add: Some(add_user), delete: Some(delete_user) },
    TableFn { name: "user_groups", rows: groups, add: Some(add_group), delete: Some(delete_group) },
    TableFn { name: "user_shells", rows: shells, add: None, delete: None },
];

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const GROUP: &str = "/etc/group";
/// The first number that is not the system's own, and the last that is not special.
const FIRST: u32 = 1000;
const LAST: u32 = 60_000;

/// A line of `/etc/group`.
#[derive(Debug, PartialEq, Eq)]
struct Group<'t> {
    line: usize,
    name: &'t str,
    id: &'t str,
    members: Vec<&'t str>,
}

fn users(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let passwd = system.text(PASSWD).unwrap_or_default();
    let shadow = system.text(SHADOW).unwrap_or_default();
    let group = system.text(GROUP).unwrap_or_default();
    Ok(parse_users(&passwd, &shadow, &parse_groups(&group)))
}

fn groups(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text(GROUP).unwrap_or_default();
    let row = |group: Group<'_>| row(group.line, group.name, vec![group.id.to_owned(), own(group.id)]);
    Ok(parse_groups(&text).into_iter().map(row).collect())
}

fn shells(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text("/etc/shells").unwrap_or_default();
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| line.starts_with('/'));
    Ok(lines.map(|(at, line)| row(at, line, Vec::new())).collect())
}

/// The line is the address: names change.
fn row(line: usize, name: &str, cols: Vec<String>) -> Row {
    Row { name: name.to_owned(), addr: line.to_string(), cols }
}

/// Whether a number is the system's own.
fn own(id: &str) -> String {
    if id.parse().is_ok_and(|id| (FIRST..=LAST).contains(&id)) { "0" } else { "1" }.to_owned()
}

fn parse_groups(text: &str) -> Vec<Group<'_>> {
    text.lines().enumerate().filter_map(|(line, text)| parse_group(line, text)).collect()
}

fn parse_group(line: usize, text: &str) -> Option<Group<'_>> {
    let mut parts = text.trim().split(':');
    let (name, _, id) = (parts.next()?, parts.next()?, parts.next()?);
    let members = parts.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
    (!name.is_empty() && id.parse::<u32>().is_ok()).then_some(Group { line, name, id, members })
}

/// Rows with number, enabled, shell, groups, own.
fn parse_users(passwd: &str, shadow: &str, groups: &[Group<'_>]) -> Vec<Row> {
    let locked = |name: &str, password: &str| {
        let field = if password == "x" {
            let line = shadow.lines().find(|line| line.split(':').next() == Some(name));
            line.and_then(|line| line.split(':').nth(1)).unwrap_or_default()
        } else {
            password
        };
        field.starts_with('!')
    };
    passwd
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let parts: Vec<&str> = line.trim().split(':').collect();
            let [name, password, id, group, _, _, shell] = parts[..] else { return None };
            if name.is_empty() || id.parse::<u32>().is_err() {
                return None;
            }
            let enters = !matches!(shell.rsplit('/').next(), Some("false" | "nologin" | ""));
            let enabled = enters && !locked(name, password);
            let of: Vec<&str> = groups
                .iter()
                .filter(|one| one.id == group || one.members.contains(&name))
                .map(|one| one.name)
                .collect();
            let enabled = if enabled { "1" } else { "0" };
            let cols = vec![id.to_owned(), enabled.to_owned(), shell.to_owned(), of.join(","), own(id)];
            Some(row(at, name, cols))
        })
        .collect()
}

/// Whether a user or a group is the system's own.
pub fn is_own(row: &Row) -> bool {
    row.cols.first().is_some_and(|id| own(id) == "1")
}

/// A column of the row, or its name.
fn user(_system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(row) = at.row() else { return Ok(None) };
    Ok(match what {
        // A hash of it is kept.
        "password" => None,
        "id" => row.cols.first(),
        "enable" => row.cols.get(1),
        "shell" => row.cols.get(2),
        _ => Some(&row.name),
    }
    .map(Raw::one))
}

/// The fields of a line of a file; none of a line that is not there.
fn fields(system: &mut System, file: &str, line: usize) -> Vec<String> {
    let text = system.text(file).unwrap_or_default();
    text.lines().nth(line).unwrap_or_default().trim().split(':').map(str::to_owned).collect()
}

/// Stages a file with one line changed, or without it, or with one more.
fn put_line(system: &mut System, file: &str, line: usize, fields: Option<&[String]>) -> Result<()> {
    let text = system.text(file).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match (fields.map(|fields| fields.join(":")), lines.get_mut(line)) {
        (Some(new), Some(old)) => *old = new,
        (Some(new), None) => lines.push(new),
        (None, Some(_)) => drop(lines.remove(line)),
        (None, None) => {}
    }
    system.put_text(file, lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect())
}

/// The place of somebody's line in a file; the place behind the last one without any.
fn line_of(system: &mut System, file: &str, name: &str) -> (usize, bool) {
    let text = system.text(file).unwrap_or_default();
    let found = text.lines().position(|line| line.split(':').next().map(str::trim) == Some(name));
    (found.unwrap_or_else(|| text.lines().count()), found.is_some())
}

fn line_at(at: &Place<'_>) -> Result<usize> {
    let line = at.row().and_then(|row| row.addr.parse().ok());
    line.ok_or_else(|| Error::not_writable(at.name))
}

/// A name that every program can take: of POSIX' portable characters, and not longer than utmp's.
fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    first && name.len() <= 31 && name.bytes().all(rest)
}

/// Refuses what would meet something of the system, or another one's name or number.
fn check(system: &mut System, at: &Place<'_>, file: &str, what: &str, text: &str) -> Result<()> {
    let line = line_at(at)?;
    let number = if what == "id" { 2 } else { 0 };
    let now = fields(system, file, line);
    if now.get(number).is_some_and(|now| now == text) {
        return Ok(());
    }
    if now.get(2).is_none_or(|id| own(id) == "1") {
        return Err(Error::bad_value(at.name, "the system's own are called as they are"));
    }
    let good = if what == "id" { own(text) == "0" } else { is_name(text) };
    if !good {
        return Err(Error::bad_value(at.name, "the system has no place for this one"));
    }
    let all = system.text(file).unwrap_or_default();
    if all.lines().any(|line| line.split(':').nth(number) == Some(text)) {
        return Err(Error::bad_value(at.name, "another one has it"));
    }
    Ok(())
}

fn set_user(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let line = line_at(&at)?;
    let text = raw.text();
    let mut now = fields(system, PASSWD, line);
    if now.len() != 7 {
        return Err(Error::not_writable(at.name));
    }
    let name = now[0].clone();
    match what {
        "enable" => {
            let field = password(system, &name);
            let bare = field.trim_start_matches('!');
            let new = match (topology::truth(&text), bare) {
                // Nobody has set a password: keys can open it, but no empty one.
                (true, "") if field.starts_with('!') => "*".to_owned(),
                (true, bare) => bare.to_owned(),
                (false, bare) => format!("!{bare}"),
            };
            put_password(system, &name, &new)
        }
        "password" => set_password(system, at, &name, raw),
        "id" => {
            check(system, &at, PASSWD, what, &text)?;
            now[2] = text;
            put_line(system, PASSWD, line, Some(&now))
        }
        "shell" => {
            now[6] = text;
            put_line(system, PASSWD, line, Some(&now))
        }
        _ => {
            check(system, &at, PASSWD, what, &text)?;
            now[0].clone_from(&text);
            put_line(system, PASSWD, line, Some(&now))?;
            if let (shadow, true) = line_of(system, SHADOW, &name) {
                let mut now = fields(system, SHADOW, shadow);
                now[0].clone_from(&text);
                put_line(system, SHADOW, shadow, Some(&now))?;
            }
            replace_member(system, &name, Some(&text))
        }
    }
}

/// Takes a member out of every group, or calls it otherwise.
fn replace_member(system: &mut System, name: &str, new: Option<&str>) -> Result<()> {
    let text = system.text(GROUP).unwrap_or_default();
    for group in parse_groups(&text).iter().filter(|group| group.members.contains(&name)) {
        let members = group.members.iter().filter_map(|one| if *one == name { new } else { Some(*one) });
        let members = members.collect::<Vec<_>>().join(",");
        let mut now = fields(system, GROUP, group.line);
        now.truncate(3);
        now.push(members);
        put_line(system, GROUP, group.line, Some(&now))?;
    }
    Ok(())
}

/// The field of the password, wherever it is.
fn password(system: &mut System, name: &str) -> String {
    let mut second = |file| {
        let (line, there) = line_of(system, file, name);
        there.then(|| fields(system, file, line).get(1).cloned()).flatten()
    };
    match second(PASSWD) {
        Some(field) if field != "x" => field,
        _ => second(SHADOW).unwrap_or_default(),
    }
}

fn put_password(system: &mut System, name: &str, field: &str) -> Result<()> {
    let (line, _) = line_of(system, PASSWD, name);
    let mut now = fields(system, PASSWD, line);
    if let Some(old) = now.get_mut(1).filter(|old| *old != "x") {
        "x".clone_into(old);
        put_line(system, PASSWD, line, Some(&now))?;
    }
    let (line, there) = line_of(system, SHADOW, name);
    let mut now = if there { fields(system, SHADOW, line) } else { Vec::new() };
    if now.len() < 2 {
        now = [name, "", "0", "0", "99999", "7", "", "", ""].map(str::to_owned).to_vec();
    }
    field.clone_into(&mut now[1]);
    put_line(system, SHADOW, line, Some(&now))
}

/// `argument` is whose.
fn set_password(system: &mut System, at: Place<'_>, name: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    if !line_of(system, PASSWD, name).1 {
        return Err(Error::bad_value(at.name, "there is no such account"));
    }
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::bad_value(at.name, "empty, or with a control character"));
    }
    let failed = |why| Error::backend("making a salt", why);
    let lock = if password(system, name).starts_with('!') { "!" } else { "" };
    let field = format!("{lock}{}", crypt::shadowed(&text).map_err(failed)?);
    put_password(system, name, &field)
}

/// The first number that no line has as its third field.
fn free_number(system: &mut System, files: &[&str]) -> Result<u32> {
    let texts: Vec<_> = files.iter().filter_map(|file| system.text(file)).collect();
    let taken: Vec<u32> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split(':').nth(2)?.parse().ok())
        .collect();
    let free = (FIRST..=LAST).find(|number| !taken.contains(number));
    free.ok_or_else(|| Error::exhausted("no number is left for an account".to_owned()))
}

/// A locked account with a number of its own, which is in no group.
fn add_user(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let id = free_number(system, &[PASSWD, GROUP])?.to_string();
    let text =
        system.text(PASSWD).ok_or_else(|| Error::exhausted("there are no accounts here".to_owned()))?;
    let taken = |name: &str| text.lines().any(|line| line.split(':').next() == Some(name));
    let name = topology::numbered("user", taken);
    let shells = system.text("/etc/shells").unwrap_or_default();
    let shell = shells.lines().map(str::trim).find(|line| line.starts_with('/')).unwrap_or("/bin/ash");
    let line = text.lines().count();
    let fields = [&name, "x", &id, &id, &name, "/var", shell].map(str::to_owned);
    put_line(system, PASSWD, line, Some(&fields))?;
    put_password(system, &name, "!")?;
    Ok(row(line, &name, vec![id, "0".to_owned(), shell.to_owned(), String::new(), "0".to_owned()]))
}

fn delete_user(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    let name = delete_line(system, &at, PASSWD)?;
    if let (line, true) = line_of(system, SHADOW, &name) {
        put_line(system, SHADOW, line, None)?;
    }
    replace_member(system, &name, None)
}

/// Takes the row's line away, and gives its name.
fn delete_line(system: &mut System, at: &Place<'_>, file: &str) -> Result<String> {
    let line = line_at(at)?;
    let now = fields(system, file, line);
    if now.get(2).is_none_or(|id| own(id) == "1") {
        return Err(Error::not_deletable(at.name));
    }
    put_line(system, file, line, None)?;
    Ok(now[0].clone())
}

fn set_group(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let text = raw.text();
    check(system, &at, GROUP, what, &text)?;
    let line = line_at(&at)?;
    let mut now = fields(system, GROUP, line);
    let field = if what == "id" { 2 } else { 0 };
    match now.get_mut(field) {
        Some(field) => *field = text,
        None => return Err(Error::not_writable(at.name)),
    }
    put_line(system, GROUP, line, Some(&now))
}

fn add_group(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Row> {
    let id = free_number(system, &[PASSWD, GROUP])?.to_string();
    let text = system.text(GROUP).ok_or_else(|| Error::exhausted("there are no groups here".to_owned()))?;
    let taken = |name: &str| text.lines().any(|line| line.split(':').next() == Some(name));
    let name = topology::numbered("group", taken);
    let line = text.lines().count();
    let fields = [&name, "x", &id, ""].map(str::to_owned);
    put_line(system, GROUP, line, Some(&fields))?;
    Ok(row(line, &name, vec![id, "0".to_owned()]))
}

fn delete_group(system: &mut System, at: Place<'_>, _argument: &str) -> Result<()> {
    delete_line(system, &at, GROUP).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\n\
                      admin:x:1000:1000::/home/admin:/bin/ash\nbroken:x:y\n::::::\nguest:x:1001:65534::/:/bin/ash";
        let shadow = "root:$1$AAAA:0:0:99999:7:::\nadmin:!:0:::::";
        let groups = parse_groups("root:x:0:\nadmin:x:1000:\nwheel:x:10:admin,root\nbad\nnobody:x:65534:");
        let rows = parse_users(passwd, shadow, &groups);
        let cols = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.cols.join(" "));
        assert_eq!(rows.len(), 4);
        assert_eq!(cols("root").as_deref(), Some("0 1 /bin/ash root,wheel 1"));
        assert_eq!(cols("daemon").as_deref(), Some("1 0 /bin/false  1"));
        assert_eq!(cols("admin").as_deref(), Some("1000 0 /bin/ash admin,wheel 0"));
        assert_eq!(cols("guest").as_deref(), Some("1001 1 /bin/ash nobody 0"));
        assert!(parse_users(":\n:::::::::", "", &[]).is_empty());
    }
}
