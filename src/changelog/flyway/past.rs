//! What the rows of Flyway's history come to.
//!
//! The history is a list of what happened; what counts is what stands at its end.
//! An undo and a deletion take the last application of their version back, of a
//! repeatable script the last row counts. Rows that make the schema say nothing.

use std::collections::HashMap;

use super::row::{Row, short_description};
use super::version::Version;

/// What stands of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It never was applied.
    None,
    /// It is applied, by this row.
    Applied(&'a Row),
    /// It failed, or its undoing did.
    Failed,
    /// It was undone or deleted.
    Gone,
}

/// The end of a history.
#[derive(Debug, Default)]
pub struct Past<'a> {
    versioned: HashMap<Version, Vec<Event<'a>>>,
    repeatable: HashMap<&'a str, &'a Row>,
    /// Rows whose version is none.
    odd: Vec<&'a Row>,
    newest: Option<Version>,
    base: Option<Version>,
}

#[derive(Debug)]
struct Event<'a> {
    row: &'a Row,
    is_baseline: bool,
    is_gone: bool,
    has_failed: bool,
}

impl<'a> Past<'a> {
    /// Reads rows in any order.
    pub fn of(rows: &'a [Row]) -> Self {
        let mut sorted: Vec<_> = rows.iter().filter(|row| row.kind != "SCHEMA").collect();
        sorted.sort_by_key(|row| row.installed_rank);
        let mut past = Self::default();
        for row in sorted {
            match row.version.as_deref().map(Version::parse) {
                Some(Some(version)) => past.happened(row, version),
                Some(None) => past.odd.push(row),
                None => {
                    past.repeatable.insert(&row.description, row);
                }
            }
        }
        past.sum_up();
        past
    }

    fn happened(&mut self, row: &'a Row, version: Version) {
        if row.kind == "BASELINE" {
            return self.counts_up_to(&version);
        }
        let events = self.versioned.entry(version).or_default();
        let mut standing = events.iter_mut().filter(|it| !it.is_gone);
        if row.kind == "DELETE" {
            if let Some(last) = standing.next_back().filter(|_| row.success) {
                last.is_gone = true;
            }
        } else if row.kind.starts_with("UNDO_") {
            if let Some(last) = standing.rfind(|it| !it.is_baseline) {
                last.is_gone = row.success;
                last.has_failed |= !row.success;
            }
        } else {
            let is_baseline =
                row.kind.ends_with("_BASELINE") || row.kind.ends_with("_STATE_SCRIPT");
            events.push(Event { row, is_baseline, is_gone: false, has_failed: !row.success });
        }
    }

    fn sum_up(&mut self) {
        let standing = |is_baseline: bool| {
            let of = self.versioned.iter().filter(move |(_, events)| {
                events.iter().any(|it| !it.is_gone && (it.is_baseline || !is_baseline))
            });
            of.map(|(version, _)| version).max().cloned()
        };
        let (newest, base) = (standing(false), standing(true));
        self.newest = newest.max(self.newest.take());
        self.base = base.max(self.base.take());
    }

    /// Takes a version as applied.
    pub fn has(&mut self, version: &Version) {
        self.newest = self.newest.take().max(Some(version.clone()));
    }

    /// Takes all up to a version as applied.
    pub fn counts_up_to(&mut self, version: &Version) {
        self.has(version);
        self.base = self.base.take().max(Some(version.clone()));
    }

    /// The newest version that is applied.
    pub fn newest(&self) -> Option<&Version> {
        self.newest.as_ref()
    }

    /// The newest baseline: all up to it counts as applied.
    pub fn base(&self) -> Option<&Version> {
        self.base.as_ref()
    }

    /// What stands of a versioned script.
    pub fn script(&self, version: &Version) -> Entry<'a> {
        self.entry(version, false)
    }

    /// What stands of a baseline script.
    pub fn baseline(&self, version: &Version) -> Entry<'a> {
        self.entry(version, true)
    }

    fn entry(&self, version: &Version, is_baseline: bool) -> Entry<'a> {
        let mut events = self.versioned.get(version).into_iter().flatten();
        match events.rfind(|it| it.is_baseline == is_baseline) {
            None => Entry::None,
            Some(last) if last.is_gone => Entry::Gone,
            Some(last) if last.has_failed => Entry::Failed,
            Some(last) => Entry::Applied(last.row),
        }
    }

    /// What stands of a repeatable script.
    pub fn repeatable(&self, description: &str) -> Entry<'a> {
        match self.repeatable.get(short_description(description).as_str()) {
            None => Entry::None,
            Some(row) if row.kind == "DELETE" => Entry::Gone,
            Some(row) if !row.success => Entry::Failed,
            Some(row) => Entry::Applied(row),
        }
    }

    /// The rows that stand, by rank; each with its version, and whether it is a baseline script's.
    pub fn rows(&self) -> Vec<(&'a Row, Option<(&Version, bool)>)> {
        let events = self.versioned.iter().flat_map(|(version, events)| {
            // A script that was undone and applied again stands once.
            [false, true].into_iter().filter_map(move |is_baseline| {
                let last = events.iter().rfind(|it| it.is_baseline == is_baseline)?;
                (!last.is_gone).then_some((last.row, Some((version, is_baseline))))
            })
        });
        let repeatable = self.repeatable.values().filter(|row| row.kind != "DELETE");
        let others = repeatable.chain(&self.odd).map(|row| (*row, None));
        let mut all: Vec<_> = events.chain(others).collect();
        all.sort_by_key(|(row, _)| row.installed_rank);
        all
    }
}
