//! What can be known to go wrong with a changeset before anything runs.
//!
//! Only changesets that are to run are looked at: one that ran is compared, and may
//! be as odd as it likes.

use super::PlanError;
use crate::changelog::{Changeset, Work};
use crate::sql::split;

/// The columns of the history are as wide as Liquibase makes them (in characters).
const WIDTH: usize = 255;

/// Refuses what cannot run, or cannot be recorded once it ran.
pub(super) fn refuse(changeset: &Changeset) -> Result<(), PlanError> {
    let name = || changeset.identity.to_string();
    if let Some(place) = changeset.changes.iter().find_map(|it| it.damaged()) {
        return Err(PlanError::NotUtf8 { changeset: name(), place: place.to_string() });
    }
    let identity = &changeset.identity;
    for (what, text) in
        [("id", &identity.id), ("author", &identity.author), ("path", &identity.path)]
    {
        if text.chars().count() > WIDTH {
            return Err(PlanError::TooLong { place: changeset.place.to_string(), what });
        }
    }
    for (number, change) in changeset.changes.iter().enumerate().filter(|(_, it)| it.applies) {
        let Work::Sql(text) = &change.work else { continue };
        // A text that is not held is read when it runs.
        let Some(sql) = &text.held else { continue };
        if let Err(error) = split::look(sql) {
            let (line, column) = error.place();
            let at = changeset.place_in(number, line, column);
            return Err(PlanError::Text {
                changeset: name(),
                what: error.told(&at),
                hint: error.hint(),
            });
        }
    }
    Ok(())
}
