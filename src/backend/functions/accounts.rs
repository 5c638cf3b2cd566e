//! `Device.Users.`: accounts, groups and shells of `/etc/passwd`, `/etc/shadow`, `/etc/group`, `/etc/shells`.

use crate::backend::{System, TableFn, ValueFn};
use crate::model::Result;
use crate::model::backend::{Place, Row};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[];

/// Behind tables.
pub const TABLES: &[TableFn] = &[
    TableFn { name: "users", rows: users, add: None, delete: None },
    TableFn { name: "user_groups", rows: groups, add: None, delete: None },
    TableFn { name: "user_shells", rows: shells, add: None, delete: None },
];

/// A line of `/etc/group`.
#[derive(Debug, PartialEq, Eq)]
struct Group<'t> {
    name: &'t str,
    id: &'t str,
    members: Vec<&'t str>,
}

fn users(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let passwd = system.text("/etc/passwd").unwrap_or_default();
    let shadow = system.text("/etc/shadow").unwrap_or_default();
    let group = system.text("/etc/group").unwrap_or_default();
    Ok(parse_users(&passwd, &shadow, &parse_groups(&group)))
}

fn groups(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text("/etc/group").unwrap_or_default();
    let row = |group: Group<'_>| row(group.name, vec![group.id.to_owned()]);
    Ok(parse_groups(&text).into_iter().map(row).collect())
}

fn shells(system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Vec<Row>> {
    let text = system.text("/etc/shells").unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
    Ok(lines.map(|line| row(line, Vec::new())).collect())
}

fn row(name: &str, cols: Vec<String>) -> Row {
    Row { name: name.to_owned(), addr: name.to_owned(), cols }
}

fn parse_groups(text: &str) -> Vec<Group<'_>> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.trim().split(':');
            let (name, _, id) = (parts.next()?, parts.next()?, parts.next()?);
            let members =
                parts.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect();
            (!name.is_empty() && id.parse::<u32>().is_ok()).then_some(Group { name, id, members })
        })
        .collect()
}

/// Rows with number, enabled, shell, groups.
fn parse_users(passwd: &str, shadow: &str, groups: &[Group<'_>]) -> Vec<Row> {
    let locked = |name: &str, password: &str| {
        let field = if password == "x" {
            let line = shadow.lines().find(|line| line.split(':').next() == Some(name));
            line.and_then(|line| line.split(':').nth(1)).unwrap_or_default()
        } else {
            password
        };
        field.starts_with(['!', '*'])
    };
    passwd
        .lines()
        .filter_map(|line| {
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
            Some(row(name, vec![id.to_owned(), enabled.to_owned(), shell.to_owned(), of.join(",")]))
        })
        .collect()
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
        assert_eq!(cols("root").as_deref(), Some("0 1 /bin/ash root,wheel"));
        assert_eq!(cols("daemon").as_deref(), Some("1 0 /bin/false "));
        assert_eq!(cols("admin").as_deref(), Some("1000 0 /bin/ash admin,wheel"));
        assert_eq!(cols("guest").as_deref(), Some("1001 1 /bin/ash nobody"));
        assert!(parse_users(":\n:::::::::", "", &[]).is_empty());
    }
}
