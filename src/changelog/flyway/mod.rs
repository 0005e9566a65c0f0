//! Flyway's directories: names, versions, checksums, placeholders.
//!
//! [`read`] makes changesets of a location, [`compare`] holds them against the
//! rows of Flyway's history, and [`history_insert`] and [`history_delete`] are the statements that
//! keep that history going, so that one can return to Flyway. Flyway's rules are
//! followed with its default settings; where they are not, the place says so.

mod conf;
mod history;
mod location;
mod name;
mod past;
mod placeholder;
mod read;
mod row;
mod scan;
mod version;

pub use history::{Comparison, State, compare};
pub use location::{is_flyway, versioned};
pub use placeholder::Placeholders;
pub use read::read;
pub use row::{Row, history_delete, history_insert};
pub use scan::reread;
pub use version::Version;

/// The author of changesets that are Flyway's scripts.
pub const AUTHOR: &str = "flyway";

/// What Flyway's history knows of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// V, R or B.
    pub kind: Kind,
    /// The version as the file name has it, `_` made `.`; `None` for a repeatable one.
    pub version: Option<String>,
    /// The description, `_` made blank.
    pub description: String,
    /// Path below the location.
    pub script: String,
    /// Flyway's CRC-32, signed.
    pub checksum: i32,
    /// Other checksums that count as the same (of a repeatable one with placeholders).
    pub also: Vec<i32>,
}

/// What a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `V`: once, in order.
    Versioned,
    /// `R`: again whenever it changes, after all others.
    Repeatable,
    /// `B`: instead of all that came before, on an empty database.
    Baseline,
}
