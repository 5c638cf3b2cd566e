//! Tables whose size the hardware makes, not the configuration: `"rows":{"fn":"fixed:2"}` has the rows `1` and `2`, always.

use crate::backend::{System, TableFn};
use crate::model::Result;
use crate::model::backend::{Place, Row};
use crate::model::error::Error;

/// Behind tables.
pub const TABLES: &[TableFn] = &[TableFn { name: "fixed", rows, add: None, delete: None }];

/// The most rows of such a table.
const MAX: u16 = 256;

fn rows(_system: &mut System, _at: Place<'_>, argument: &str) -> Result<Vec<Row>> {
    let count = count(argument).map_err(|why| Error::backend("counting the rows of a fixed table", why))?;
    let row = |number: u16| Row { name: number.to_string(), addr: number.to_string(), cols: Vec::new() };
    Ok((1..=count).map(row).collect())
}

/// The number of rows that an argument asks for.
///
/// # Errors
/// Why it is none.
pub(super) fn count(argument: &str) -> std::result::Result<u16, String> {
    let count = argument.parse().ok().filter(|count| *count <= MAX);
    count.ok_or_else(|| format!("fixed:{argument} is not a number of rows from 0 to {MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (argument, expected) in [
            ("1", Some(1)),
            ("0", Some(0)),
            ("256", Some(256)),
            ("257", None),
            ("", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(count(argument).ok(), expected, "{argument:?}");
        }
    }
}
