//! Which changesets run, by Liquibase's rules.
//!
//! A changeset whose filters match runs if the history does not know it, if it is
//! `runAlways`, or if it is `runOnChange` and changed. One that changed otherwise
//! stops everything before anything runs. What the history has and the changelog
//! has not is told and left: a stack that rolls back brings the older changelog.

use std::collections::HashMap;

use super::{PlanError, Step, pending};
use crate::changelog::checksum::Verdict;
use crate::changelog::expression::{Selection, dbms_matches};
use crate::changelog::files::normal;
use crate::changelog::flyway::{self, Comparison, State};
use crate::changelog::{Changelog, Changeset, Identity, Style};
use crate::desired;
use crate::observed::{History, HistoryRow, Interrupted};

/// The part of a plan that is about changesets.
#[derive(Debug, Default)]
pub struct Changesets {
    /// In this order.
    pub steps: Vec<Step>,
    /// What there is to tell.
    pub notes: Vec<String>,
}

/// Why a changeset runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// It never ran here.
    New,
    /// It is `runOnChange`, and its text is another one.
    Changed,
    /// It is `runAlways`.
    Always,
    /// An earlier run was interrupted in the middle of it.
    Interrupted,
}

/// A changeset that ran and is not the same any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its number in the changelog.
    pub number: usize,
    /// `author:id`.
    pub changeset: String,
    /// `file:line`.
    pub place: String,
    /// The checksum that is stored.
    pub was: String,
    /// The checksum now.
    pub now: String,
    /// How the text changed, where the ledger has the earlier one.
    pub difference: Option<String>,
}

/// Identities as Liquibase compares them: without regard to case, by the normal path.
type Key = (String, String, String);

fn key(id: &str, author: &str, path: &str) -> Key {
    let path = match author {
        // A version is one wherever its script stands.
        flyway::AUTHOR => String::new(),
        _ => normal(path).unwrap_or_else(|_| path.to_owned()),
    };
    (id.to_lowercase(), author.to_lowercase(), path.to_lowercase())
}

fn key_of(identity: &Identity) -> Key {
    key(&identity.id, &identity.author, &identity.path)
}

/// What ran before, to be asked by identity.
#[derive(Debug)]
pub struct Ran<'a> {
    rows: HashMap<Key, &'a HistoryRow>,
    interrupted: HashMap<Key, &'a Interrupted>,
}

impl<'a> Ran<'a> {
    /// What `history` says.
    pub fn new(history: &'a History) -> Self {
        // Of several rows of one identity the newest counts; they come oldest first.
        let rows = history.rows.iter().map(|it| (key(&it.id, &it.author, &it.path), it));
        let interrupted =
            history.interrupted.iter().map(|it| (key(&it.id, &it.author, &it.path), it));
        Self { rows: rows.collect(), interrupted: interrupted.collect() }
    }

    /// The row of a changeset, under its identity or an older one.
    pub fn row(&self, changeset: &Changeset) -> Option<&'a HistoryRow> {
        let identities = std::iter::once(&changeset.identity).chain(&changeset.legacy);
        identities.map(key_of).find_map(|key| self.rows.get(&key).copied())
    }

    fn interrupted(&self, changeset: &Changeset) -> Option<&'a Interrupted> {
        self.interrupted.get(&key_of(&changeset.identity)).copied()
    }
}

/// The changesets to run, and what to say about the others.
///
/// `with_always` adds those that run every time; they are no difference between two states.
pub fn plan(
    changelog: &Changelog,
    wanted: &desired::Changelog,
    history: &History,
    with_always: bool,
) -> Result<Changesets, PlanError> {
    if !history.has_schema {
        return Err(PlanError::NoSuchSchema(history.schema.clone()));
    }
    if let (Some(there), None) = (&history.elsewhere, &wanted.schema) {
        let (there, here) = (there.clone(), history.schema.clone());
        return Err(PlanError::HistoryElsewhere { there, here });
    }
    let selection = Selection::new(wanted.contexts.as_deref(), wanted.labels.as_deref())
        .map_err(PlanError::Selection)?;
    let ran = Ran::new(history);
    let end = end(changelog, wanted, history)?;
    let mut found = Changesets { notes: changelog.warnings.clone(), ..Changesets::default() };
    let mut edited = Vec::new();
    let mut counted = Counted::default();
    let mut unset = Vec::new();
    let mut adopted = Vec::new();
    let flyway = match changelog.style {
        Style::Flyway => Some(flyway_states(changelog, wanted, history, &ran)?),
        Style::Liquibase => None,
    };
    for (number, changeset) in changelog.changesets[..end].iter().enumerate() {
        let filter = &changeset.filter;
        let taken = selection.takes(filter).map_err(|error| {
            PlanError::Selection(format!(
                "changeset `{}` ({}): {error}",
                changeset.identity, changeset.place
            ))
        })?;
        if filter.ignored || !dbms_matches(filter.dbms.as_deref()) || !taken {
            counted.filtered += 1;
            continue;
        }
        let step = |why| Step::RunChangeset {
            number,
            changeset: changeset.identity.to_string(),
            at: changeset.place.to_string(),
            why,
        };
        let Some(row) = ran.row(changeset) else {
            match flyway.as_ref().and_then(|it| it.states.get(number)) {
                // It ran in Flyway's time.
                Some(State::Applied) => {
                    adopted.push(number);
                    continue;
                }
                Some(state) if !state.runs() => {
                    counted.passed_over += 1;
                    continue;
                }
                _ => {}
            }
            pending::refuse(changeset)?;
            found.notes.extend(moved(changeset, history));
            let why = match ran.interrupted(changeset) {
                Some(_) => Why::Interrupted,
                None => Why::New,
            };
            found.steps.push(step(why));
            continue;
        };
        let verdict =
            changeset.checksum.accepts(row.checksum.as_deref(), &changeset.valid_checksums);
        match verdict {
            _ if changeset.run.always => {
                if with_always {
                    found.steps.push(step(Why::Always));
                }
            }
            Verdict::Differs if changeset.run.on_change => {
                pending::refuse(changeset)?;
                found.steps.push(step(Why::Changed));
            }
            Verdict::Differs => edited.push(Edited {
                number,
                changeset: changeset.identity.to_string(),
                place: changeset.place.to_string(),
                was: row.checksum.clone().unwrap_or_default(),
                now: changeset.checksum.current.clone(),
                difference: None,
            }),
            Verdict::Unset => unset.push(number),
            Verdict::Uncertain => counted.uncertain.push(changeset.identity.to_string()),
            Verdict::Same | Verdict::Older => {}
        }
    }
    if !edited.is_empty() {
        return Err(PlanError::Edited(edited));
    }
    if let Some(flyway) = flyway {
        found.notes.extend(flyway.notes);
        found.notes.extend(without_file(&flyway.missing, &flyway.future));
    } else if let Some(step) = baseline(changelog, wanted, history, &mut found.steps)? {
        found.steps.insert(0, step);
    }
    if !adopted.is_empty() {
        let because = "they are in flyway_schema_history".to_owned();
        found.steps.insert(0, Step::RecordChangesets { numbers: adopted, because });
    }
    if !unset.is_empty() {
        found.steps.insert(0, Step::RecordChecksums { numbers: unset });
    }
    found.notes.extend(counted.notes());
    found.notes.extend(unknown(changelog, history));
    Ok(found)
}

/// Flyway's history, compared; what it refuses stops everything.
fn flyway_states(
    changelog: &Changelog,
    wanted: &desired::Changelog,
    history: &History,
    ran: &Ran<'_>,
) -> Result<Comparison, PlanError> {
    let is_known = |identity: &Identity| ran.rows.contains_key(&key_of(identity));
    let compared = flyway::compare(
        &changelog.changesets,
        history.flyway.as_deref().unwrap_or_default(),
        &is_known,
        wanted.out_of_order,
        wanted.baseline.as_deref(),
    )
    .map_err(PlanError::Flyway)?;
    let refused = compared.refusals(&changelog.changesets);
    if refused.is_empty() { Ok(compared) } else { Err(PlanError::Flyway(refused)) }
}

/// Rows of Flyway's history that no file belongs to.
fn without_file(missing: &[flyway::Row], future: &[flyway::Row]) -> Option<String> {
    let last = future.last().or(missing.last())?;
    Some(format!(
        "{} rows of flyway_schema_history have no file here and stay as they are (one: `{}`)",
        missing.len() + future.len(),
        last.script
    ))
}

#[derive(Default)]
struct Counted {
    filtered: usize,
    passed_over: usize,
    uncertain: Vec<String>,
}

impl Counted {
    fn notes(&self) -> impl Iterator<Item = String> {
        let filtered = (self.filtered > 0).then(|| {
            format!("{} changesets are left out by their contexts, labels or dbms", self.filtered)
        });
        let passed_over = (self.passed_over > 0).then(|| {
            format!(
                "{} scripts do not count here (up to the baseline, not to be executed)",
                self.passed_over
            )
        });
        let uncertain = self.uncertain.first().map(|first| {
            format!(
                "{} stored checksums follow a rule that is not known here and are taken as they \
                 are (the first: `{first}`)",
                self.uncertain.len()
            )
        });
        filtered.into_iter().chain(passed_over).chain(uncertain)
    }
}

/// How many of the changesets count: all, or those up to `ToTag`.
fn end(
    changelog: &Changelog,
    wanted: &desired::Changelog,
    history: &History,
) -> Result<usize, PlanError> {
    let Some(tag) = &wanted.to_tag else { return Ok(changelog.changesets.len()) };
    let tagged = |row: &HistoryRow| row.tag.as_ref() == Some(tag);
    // A changeset may have a newer row than the one with the tag.
    let tagged = history.rows.iter().rev().find(|row| tagged(row));
    let tagged = tagged.map(|it| key(&it.id, &it.author, &it.path));
    let is_last = |changeset: &Changeset| {
        let mut identities = std::iter::once(&changeset.identity).chain(&changeset.legacy);
        changeset.tag.as_ref() == Some(tag)
            || tagged.as_ref().is_some_and(|tagged| identities.any(|it| key_of(it) == *tagged))
    };
    let last = changelog.changesets.iter().position(is_last);
    last.map(|at| at + 1).ok_or_else(|| PlanError::NoSuchTag(tag.clone()))
}

/// On a database that has no history, what `Baseline` names counts as run, with all before it.
fn baseline(
    changelog: &Changelog,
    wanted: &desired::Changelog,
    history: &History,
    steps: &mut Vec<Step>,
) -> Result<Option<Step>, PlanError> {
    let Some(baseline) = &wanted.baseline else { return Ok(None) };
    if !history.rows.is_empty() || history.flyway.as_ref().is_some_and(|it| !it.is_empty()) {
        return Ok(None);
    }
    let is_named = |it: &Changeset| {
        it.tag.as_ref() == Some(baseline)
            || it.identity.to_string() == *baseline
            || it.flyway.as_ref().is_some_and(|it| it.version.as_ref() == Some(baseline))
    };
    let Some(last) = changelog.changesets.iter().position(is_named) else {
        return Err(PlanError::NoSuchBaseline(baseline.clone()));
    };
    let mut numbers = Vec::new();
    steps.retain(|step| match step {
        Step::RunChangeset { number, .. } if *number <= last => {
            numbers.push(*number);
            false
        }
        _ => true,
    });
    Ok(Some(Step::RecordChangesets { numbers, because: format!("baseline {baseline}") }))
}

/// A changeset that seems to have been moved to another file: it is another one now, and runs.
fn moved(changeset: &Changeset, history: &History) -> Option<String> {
    let Identity { id, author, path } = &changeset.identity;
    let generic = changeset.flyway.is_some() || id == "raw";
    let row = history.rows.iter().rev().find(|it| it.id == *id && it.author == *author)?;
    (!generic && row.path != *path).then(|| {
        format!(
            "changeset `{}` runs although one of that name ran from {}: the file is a part of its \
             identity, which `logicalFilePath` keeps",
            changeset.identity, row.path
        )
    })
}

/// Rows that the changelog does not know.
fn unknown(changelog: &Changelog, history: &History) -> Option<String> {
    let all = changelog.changesets.iter();
    let known: std::collections::HashSet<Key> =
        all.flat_map(|it| std::iter::once(&it.identity).chain(&it.legacy)).map(key_of).collect();
    let mut rows =
        history.rows.iter().filter(|it| !known.contains(&key(&it.id, &it.author, &it.path)));
    let last = rows.next_back()?;
    let count = rows.count() + 1;
    Some(format!(
        "{count} changesets of the history are not in this changelog and stay as they are (the \
         newest: `{}:{}` of {})",
        last.author, last.id, last.path
    ))
}
