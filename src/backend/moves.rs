//! TR-181's `Order` where it is the order of sections in their file: moves are staged with the other writes
//! and made when all of them are, so that no address of a section changes under a write that follows.

use super::System;
use crate::model::backend::{Place, Raw};
use crate::model::error::{Error, Result};

/// The most moves of one change.
const MAX_MOVES: usize = 1024;

/// A section that is to stand elsewhere among the rows of its table.
#[derive(Debug, Clone)]
pub(super) struct Move {
    package: String,
    /// The stable names of the table's rows.
    rows: Vec<String>,
    /// Which of them is to move.
    id: String,
    /// Its new place among them, from 0.
    place: usize,
}

impl System {
    /// The place of a section, from 1, among those of a table; `rows` are their addresses as the file has them.
    pub(super) fn order_of(&self, rows: &[String], addr: &str) -> Option<Raw> {
        rows.iter().position(|row| row == addr).map(|place| Raw::one((place + 1).to_string()))
    }

    /// Stages another place for a section among those of its table, see [`System::order_of`].
    ///
    /// # Errors
    /// [`Error::bad_value`] for a place behind the last one, and as [`System::section_id`].
    pub(super) fn put_order(
        &mut self,
        at: Place<'_>,
        package: &str,
        rows: &[String],
        addr: &str,
        raw: &Raw,
    ) -> Result<()> {
        let wanted: usize = raw.text().parse().map_err(|_| Error::bad_value(at.name, "not a number"))?;
        if wanted == 0 || wanted > rows.len() {
            return Err(Error::bad_value(at.name, format!("the table has the places 1 to {}", rows.len())));
        }
        if self.moves.len() >= MAX_MOVES {
            return Err(Error::bad_value(at.name, "too much is moved at once"));
        }
        let id = self.section_id(package, addr)?;
        let rows = rows.iter().map(|row| self.section_id(package, row)).collect::<Result<_>>()?;
        self.moves.push(Move { package: package.to_owned(), rows, id, place: wanted - 1 });
        Ok(())
    }

    /// Makes what is staged, the foremost places first: so none is pushed on by a later one.
    ///
    /// # Errors
    /// As [`System::sections`].
    pub(super) fn make_moves(&mut self) -> Result<()> {
        let mut moves = std::mem::take(&mut self.moves);
        moves.sort_by_key(|one| one.place);
        for Move { package, rows, id, place } in moves {
            let all = self.sections(&package, "*")?;
            let Some(own) = all.iter().position(|section| section.id == id) else { continue };
            let others: Vec<usize> = (0..all.len())
                .filter(|at| *at != own && rows.iter().any(|row| *row == all[*at].id))
                .collect();
            let before = all[..own].iter().filter(|section| rows.contains(&section.id)).count();
            if before == place {
                continue;
            }
            // Directly before the row that has the place now, or behind the last one.
            let follower = match others.get(place) {
                Some(at) => Some(*at),
                None => others.last().map(|at| *at + 1).filter(|at| *at < all.len()),
            };
            let follower = follower.map(|at| all[at].addr.clone());
            self.move_section(&package, &all[own].addr, follower.as_deref())?;
        }
        Ok(())
    }
}
