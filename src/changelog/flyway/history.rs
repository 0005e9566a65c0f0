//! Scripts held against the rows of Flyway's history: what is applied, what is not.
//!
//! The states are those of Flyway's `info`, and [`Comparison::refusals`] are those of
//! its `validate`, but for these, where it is stricter than is good for a stack that
//! may roll back to older files: rows without a file are told and never refused, and
//! so is a description or a type that differs while the checksum does not. A baseline
//! script that its settings keep from running is not counted as a baseline.

use std::collections::HashSet;

use super::past::{Entry, Past};
use super::row::{Row, short_description};
use super::version::Version;
use super::{Kind, Script};
use crate::changelog::{ChangelogError, Changeset, Identity, Place};

/// What the history says of a changeset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is to run.
    Pending,
    /// It was applied, and is as it was.
    Applied,
    /// Our own history has it, and decides.
    Known,
    /// A repeatable script that is not as it was when it ran last: it is to run.
    Outdated,
    /// Its version is that of a baseline or below it: it counts as applied.
    BelowBaseline,
    /// A baseline script of a database that has versions already: it never runs there.
    NotNeeded,
    /// It was applied and then undone: it is to run.
    Undone,
    /// It is not applied, but something newer is, and `out_of_order` is not allowed.
    OutOfOrder {
        /// The newest version that is applied.
        newest: String,
    },
    /// It failed halfway, outside of a transaction.
    Failed,
    /// It was applied, and is not as it was.
    ChecksumDiffers {
        /// The row's.
        stored: i32,
        /// The file's.
        now: i32,
    },
    /// Its settings keep it from running.
    Ignored,
}

impl State {
    /// Whether the changeset is to run.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Pending | Self::Outdated | Self::Undone)
    }
}

/// What a history says of a changelog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Of each changeset, in their order.
    pub states: Vec<State>,
    /// Applied scripts of which there is no file, though there are files of newer versions.
    pub missing: Vec<Row>,
    /// Applied scripts that are newer than all files.
    pub future: Vec<Row>,
    /// What differs without being refused.
    pub notes: Vec<String>,
}

/// Holds changesets against the rows of Flyway's history. `is_known` says what our own history has
/// applied; such a changeset counts as applied whatever the rows say. All up to the version `baseline`
/// counts as applied too. The error is a baseline that is no version.
pub fn compare(
    changesets: &[Changeset],
    rows: &[Row],
    is_known: &dyn Fn(&Identity) -> bool,
    out_of_order: bool,
    baseline: Option<&str>,
) -> Result<Comparison, Vec<ChangelogError>> {
    let scripts: Vec<_> = changesets.iter().filter_map(Compared::of).collect();
    let mut past = Past::of(rows);
    if let Some(text) = baseline {
        let Some(version) = Version::parse(text) else {
            let place = Place { file: "Baseline".to_owned(), line: 0 };
            let error = ChangelogError::at(&place, format!("`{text}` is no version"));
            return Err(vec![error.hint("A version is numbers parted by dots: `1.2`.")]);
        };
        past.counts_up_to(&version);
    }
    for it in scripts.iter().filter(|it| is_known(&it.changeset.identity)) {
        match &it.version {
            Some(version) if it.script.kind == Kind::Baseline => past.counts_up_to(version),
            Some(version) => past.has(version),
            None => {}
        }
    }
    let view = View { past: &past, begins_with: begins_with(&scripts, &past), out_of_order };

    let mut all = Comparison::default();
    let mut scripts_left = scripts.iter();
    for changeset in changesets {
        let compared = changeset.flyway.as_ref().and_then(|_| scripts_left.next());
        let known = is_known(&changeset.identity);
        all.states.push(match compared {
            Some(it) if !known => view.state(it, &mut all.notes),
            _ if known => State::Known,
            _ => State::Pending,
        });
    }
    without_file(&scripts, &past, &mut all);
    Ok(all)
}

impl Comparison {
    /// What keeps the changelog from being applied. The changesets are those that were compared.
    pub fn refusals(&self, changesets: &[Changeset]) -> Vec<ChangelogError> {
        let both = changesets.iter().zip(&self.states);
        both.filter_map(|(changeset, state)| refusal(changeset, state)).collect()
    }
}

fn refusal(changeset: &Changeset, state: &State) -> Option<ChangelogError> {
    let (what, hint) = match state {
        State::Failed => (
            format!("`{}` failed in Flyway, and may be half applied", changeset.identity),
            "Remove what it left behind, then its row from Flyway's history, as `flyway repair` does.",
        ),
        State::ChecksumDiffers { stored, now } => (
            format!(
                "`{}` was changed after it was applied: its checksum in Flyway's history is {stored}, now it \
                 is {now}",
                changeset.identity
            ),
            "Take the change back and put it into a new script. If it is of no matter, bring the row in \
             line, as `flyway repair` does.",
        ),
        State::OutOfOrder { newest } => (
            format!("`{}` is not applied, but {newest}, which is newer, is", changeset.identity),
            "Give it a newer version, or set `OutOfOrder` to `true`.",
        ),
        _ => return None,
    };
    let place = Place { file: changeset.place.file.clone(), line: 0 };
    Some(ChangelogError::at(&place, what).hint(hint))
}

/// A changeset that is a script of Flyway's.
struct Compared<'a> {
    changeset: &'a Changeset,
    script: &'a Script,
    version: Option<Version>,
}

impl<'a> Compared<'a> {
    fn of(changeset: &'a Changeset) -> Option<Self> {
        let script = changeset.flyway.as_ref()?;
        let version = script.version.as_deref().and_then(Version::parse);
        Some(Self { changeset, script, version })
    }
}

/// Only an empty database begins with a baseline script: the newest one.
fn begins_with(scripts: &[Compared], past: &Past) -> Option<Version> {
    let counts = |it: &&Compared| {
        it.script.kind == Kind::Baseline && !it.changeset.filter.ignored && past.newest().is_none()
    };
    scripts.iter().filter(counts).filter_map(|it| it.version.clone()).max()
}

struct View<'a> {
    past: &'a Past<'a>,
    begins_with: Option<Version>,
    out_of_order: bool,
}

impl View<'_> {
    fn state(&self, it: &Compared, notes: &mut Vec<String>) -> State {
        match (&it.version, it.script.kind) {
            (Some(version), Kind::Baseline) => self.baseline(it, version),
            (Some(version), _) => match self.past.script(version) {
                Entry::Applied(row) => self.applied(it, version, row, notes),
                Entry::Failed => State::Failed,
                Entry::None => self.waiting(it, version, State::Pending),
                Entry::Gone => self.waiting(it, version, State::Undone),
            },
            (None, _) => self.repeatable(it),
        }
    }

    fn applied(
        &self,
        it: &Compared,
        version: &Version,
        row: &Row,
        notes: &mut Vec<String>,
    ) -> State {
        let name = &it.changeset.identity;
        // A baseline stands for all that came before it, whatever the files say.
        if self.past.base().is_some_and(|base| version <= base) {
            return State::Applied;
        }
        if row.kind != "SQL" {
            notes.push(format!("`{name}` was applied as {}, from `{}`", row.kind, row.script));
            return State::Applied;
        }
        if let Some(stored) = row.checksum.filter(|stored| !is_same(it.script, *stored)) {
            return State::ChecksumDiffers { stored, now: it.script.checksum };
        }
        if row.description != short_description(&it.script.description) {
            notes.push(format!("`{name}` was applied under the description `{}`", row.description));
        }
        State::Applied
    }

    fn waiting(&self, it: &Compared, version: &Version, state: State) -> State {
        if it.changeset.filter.ignored {
            return State::Ignored;
        }
        let base = self.begins_with.as_ref().or(self.past.base());
        if base.is_some_and(|base| version <= base) {
            return State::BelowBaseline;
        }
        match self.past.newest().filter(|newest| version < newest && !self.out_of_order) {
            Some(newest) => State::OutOfOrder { newest: newest.to_string() },
            None => state,
        }
    }

    fn baseline(&self, it: &Compared, version: &Version) -> State {
        match self.past.baseline(version) {
            Entry::Applied(_) => State::Applied,
            Entry::Failed => State::Failed,
            _ if it.changeset.filter.ignored => State::Ignored,
            _ if self.begins_with.as_ref() == Some(version) => State::Pending,
            _ if self.begins_with.is_some() => State::BelowBaseline,
            _ => State::NotNeeded,
        }
    }

    fn repeatable(&self, it: &Compared) -> State {
        let state = match self.past.repeatable(&it.script.description) {
            Entry::Failed => return State::Failed,
            Entry::Applied(row)
                if row.checksum.is_some_and(|it_was| is_same(it.script, it_was)) =>
            {
                return State::Applied;
            }
            Entry::Applied(_) => State::Outdated,
            Entry::None | Entry::Gone => State::Pending,
        };
        if it.changeset.filter.ignored { State::Ignored } else { state }
    }
}

fn is_same(script: &Script, checksum: i32) -> bool {
    script.checksum == checksum || script.also.contains(&checksum)
}

/// Tells the rows that no file stands for.
fn without_file(scripts: &[Compared], past: &Past, all: &mut Comparison) {
    let newest = scripts.iter().filter_map(|it| it.version.as_ref()).max();
    let versioned: HashSet<_> = scripts
        .iter()
        .filter_map(|it| Some((it.version.as_ref()?, it.script.kind == Kind::Baseline)))
        .collect();
    let repeatable: HashSet<_> = scripts
        .iter()
        .filter(|it| it.version.is_none())
        .map(|it| short_description(&it.script.description))
        .collect();
    for (row, version) in past.rows() {
        match version {
            Some((version, is_baseline)) if !versioned.contains(&(version, is_baseline)) => {
                let is_future = newest.is_none_or(|newest| version >= newest);
                let rows = if is_future { &mut all.future } else { &mut all.missing };
                rows.push(row.clone());
            }
            None if !repeatable.contains(&row.description) => all.missing.push(row.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::changelog::files::memory::Memory;
    use crate::changelog::flyway::read;

    /// Scripts that hold their own names.
    fn scripts(names: &[&str]) -> Vec<Changeset> {
        let files: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        let files = Memory::of(&files);
        read(&files, "", &BTreeMap::new()).unwrap().changesets
    }

    fn crc(name: &str) -> i32 {
        crc32fast::hash(name.as_bytes()).cast_signed()
    }

    /// What Flyway writes of such scripts: `U1__a.sql` undoes, `-V1__a.sql` deletes, `!V1__a.sql` fails,
    /// `=3` is a baseline.
    fn history(events: &[&str]) -> Vec<Row> {
        let mut rows: Vec<_> =
            events.iter().zip(1..).map(|(event, rank)| row(event, rank)).collect();
        rows.reverse();
        rows
    }

    fn row(event: &str, installed_rank: i32) -> Row {
        let (mut kind, mut success, mut checksum) = ("SQL", true, None);
        let script = event.trim_start_matches(['-', '!', '=']);
        let (head, description) =
            script.trim_end_matches(".sql").split_once("__").unwrap_or((script, ""));
        match &event[..1] {
            "-" => kind = "DELETE",
            "=" => kind = "BASELINE",
            _ => checksum = Some(crc(script)),
        }
        success &= !event.starts_with('!');
        match head.as_bytes().first() {
            Some(b'U') => kind = "UNDO_SQL",
            Some(b'B') => kind = "SQL_BASELINE",
            _ => {}
        }
        let version = head.trim_start_matches(char::is_alphabetic);
        Row {
            installed_rank,
            version: (!version.is_empty()).then(|| version.to_owned()),
            description: description.replace('_', " "),
            kind: kind.into(),
            script: script.into(),
            checksum,
            success,
        }
    }

    fn compared(files: &[&str], rows: &[Row]) -> Comparison {
        compare(&scripts(files), rows, &|_| false, false, None).unwrap()
    }

    fn states(files: &[&str], events: &[&str]) -> Vec<State> {
        compared(files, &history(events)).states
    }

    fn older_than(newest: &str) -> State {
        State::OutOfOrder { newest: newest.into() }
    }

    #[test]
    fn versions_are_applied_once_and_in_order() {
        use State::{Applied, Pending};
        let files = ["V1__a.sql", "V2__b.sql", "V10__c.sql"];
        assert_eq!(states(&files, &[]), [Pending, Pending, Pending]);
        assert_eq!(states(&files, &["V1__a.sql", "V2__b.sql"]), [Applied, Applied, Pending]);
        assert_eq!(states(&["V1.0__a.sql"], &["V1__a.sql"]).len(), 1);
        // 2 was merged late.
        let late = history(&["V1__a.sql", "V10__c.sql"]);
        assert_eq!(compared(&files, &late).states, [Applied, older_than("10"), Applied]);
        let allowed = compare(&scripts(&files), &late, &|_| false, true, None).unwrap();
        assert_eq!(allowed.states, [Applied, Pending, Applied]);
    }

    #[test]
    fn what_was_undone_or_deleted_runs_again() {
        use State::{Applied, Pending, Undone};
        let files = ["V1__a.sql", "V2__b.sql"];
        let begin = ["V1__a.sql", "V2__b.sql"];
        let after = |more: &[&str]| states(&files, &[&begin[..], more].concat());
        assert_eq!(after(&["U2__b.sql"]), [Applied, Undone]);
        assert_eq!(after(&["-V2__b.sql"]), [Applied, Undone]);
        assert_eq!(after(&["U2__b.sql", "V2__b.sql"]), [Applied, Applied]);
        assert_eq!(after(&["U2__b.sql", "U1__a.sql"]), [Undone, Undone]);
        // Undone in the middle, it is out of order.
        assert_eq!(after(&["U1__a.sql"]), [older_than("2"), Applied]);
        // A deletion that failed is none, and nothing is deleted twice.
        assert_eq!(after(&["!U2__b.sql"]), [Applied, State::Failed]);
        assert_eq!(after(&["-V2__b.sql", "-V2__b.sql"]), [Applied, Undone]);
        assert_eq!(states(&files, &["U1__a.sql"]), [Pending, Pending]);
    }

    #[test]
    fn a_repeatable_script_runs_when_it_is_not_as_it_was() {
        use State::{Applied, Outdated, Pending};
        let files = ["R__a.sql", "R__b.sql", "R__c.sql", "R__d.sql"];
        let mut rows = history(&["R__a.sql", "R__b.sql", "R__a.sql", "R__d.sql", "-R__d.sql"]);
        let of = |rank: i32, rows: &mut Vec<Row>, checksum| {
            rows.iter_mut().find(|it| it.installed_rank == rank).unwrap().checksum = checksum;
        };
        of(1, &mut rows, Some(1));
        of(2, &mut rows, Some(2));
        assert_eq!(compared(&files, &rows).states, [Applied, Outdated, Pending, Pending]);
        of(3, &mut rows, None);
        assert_eq!(compared(&files, &rows).states[0], Outdated);
        assert_eq!(states(&["R__a.sql"], &["!R__a.sql"]), [State::Failed]);
    }

    #[test]
    fn a_repeatable_script_may_be_stored_before_its_placeholders_were_replaced() {
        let files = Memory::of(&[("R__a.sql", "SELECT '${x}'")]);
        let given = BTreeMap::from([("x".to_owned(), "1".to_owned())]);
        let scripts = read(&files, "", &given).unwrap().changesets;
        for (text, state) in [
            ("SELECT '1'", State::Applied),
            ("SELECT '${x}'", State::Applied),
            ("SELECT '2'", State::Outdated),
        ] {
            let rows = [Row { checksum: Some(crc(text)), ..row("R__a.sql", 1) }];
            assert_eq!(compare(&scripts, &rows, &|_| false, false, None).unwrap().states, [state]);
        }
    }

    #[test]
    fn all_up_to_a_baseline_counts_as_applied() {
        use State::{Applied, BelowBaseline, Pending};
        let files = ["V1__a.sql", "V2__b.sql", "V3__c.sql"];
        let all = [BelowBaseline, BelowBaseline, Pending];
        assert_eq!(states(&files, &["=2"]), all);
        // A baseline that is asked for is the same.
        let given = compare(&scripts(&files), &[], &|_| false, false, Some("2.0")).unwrap();
        assert_eq!(given.states, all);
        let error = compare(&[], &[], &|_| false, false, Some("x")).unwrap_err();
        assert_eq!(error[0].to_string(), "Baseline: `x` is no version");
        // What is below it may have changed.
        let mut rows = history(&["V1__a.sql", "=2"]);
        rows[1].checksum = Some(0);
        assert_eq!(compared(&files, &rows).states, [Applied, BelowBaseline, Pending]);
    }

    #[test]
    fn an_empty_database_begins_with_the_newest_baseline_script() {
        use State::{Applied, BelowBaseline, NotNeeded, Pending};
        let files = ["V1__a.sql", "B1__x.sql", "V2__b.sql", "B2__x.sql", "V3__c.sql", "R__v.sql"];
        // In running order: B1, V1, B2, V2, V3, R.
        assert_eq!(
            states(&files, &[]),
            [BelowBaseline, BelowBaseline, Pending, BelowBaseline, Pending, Pending]
        );
        assert_eq!(
            states(&files, &["B2__x.sql"]),
            [NotNeeded, BelowBaseline, Applied, BelowBaseline, Pending, Pending]
        );
        assert_eq!(
            states(&files, &["V1__a.sql"]),
            [NotNeeded, Applied, NotNeeded, Pending, Pending, Pending]
        );
        assert_eq!(states(&files, &["!B2__x.sql"])[2], State::Failed);
        // A history with nothing but the making of its schema is an empty one.
        let mut schema = row("=0", 0);
        (schema.kind, schema.version) = ("SCHEMA".into(), None);
        assert_eq!(compared(&files, &[schema]).states, states(&files, &[]));
    }

    #[test]
    fn our_own_history_decides_what_it_knows() {
        use State::{BelowBaseline, Known, NotNeeded, Pending};
        let files = ["V1__a.sql", "V2__b.sql", "B2__x.sql", "V3__c.sql", "R__v.sql"];
        let with = |known: &[&str]| {
            let is_known = |it: &Identity| known.contains(&it.id.as_str());
            compare(&scripts(&files), &[], &is_known, false, None).unwrap().states
        };
        assert_eq!(with(&["B2", "R__v"]), [BelowBaseline, Known, BelowBaseline, Pending, Known]);
        assert_eq!(with(&["1"]), [Known, NotNeeded, Pending, Pending, Pending]);
        assert_eq!(with(&["3"]), [older_than("3"), NotNeeded, older_than("3"), Known, Pending]);
    }

    #[test]
    fn settings_can_keep_a_script_from_running() {
        use State::{Applied, Ignored, Pending};
        let files = Memory::of(&[
            ("V1__a.sql", "V1__a.sql"),
            ("V2__b.sql", ""),
            ("V2__b.sql.conf", "shouldExecute=false"),
            ("B3__x.sql", ""),
            ("B3__x.sql.conf", "shouldExecute=false"),
        ]);
        let scripts = read(&files, "", &BTreeMap::new()).unwrap().changesets;
        let states =
            |rows: &[Row]| compare(&scripts, rows, &|_| false, false, None).unwrap().states;
        assert_eq!(states(&[]), [Pending, Ignored, Ignored]);
        let mut rows = history(&["V1__a.sql", "V2__b.sql"]);
        for row in &mut rows {
            row.checksum = None;
        }
        assert_eq!(states(&rows), [Applied, Applied, Ignored]);
    }

    #[test]
    fn rows_without_a_file_are_told_and_not_refused() {
        let rows = history(&[
            "V1__a.sql",
            "V2__gone.sql",
            "V5__later.sql",
            "V3__undone.sql",
            "U3__undone.sql",
            "R__old.sql",
            "Vx__odd.sql",
            "V4__d.sql",
        ]);
        let mut rows = rows;
        rows[1].version = Some("x".into());
        let all = compared(&["V1__a.sql", "V4__d.sql"], &rows);
        let names = |rows: &[Row]| rows.iter().map(|it| it.script.clone()).collect::<Vec<_>>();
        assert_eq!(names(&all.missing), ["V2__gone.sql", "R__old.sql", "Vx__odd.sql"]);
        assert_eq!(names(&all.future), ["V5__later.sql"]);
        assert_eq!(all.states, [State::Applied, State::Applied]);
        let all = compared(&["R__new.sql"], &rows);
        assert_eq!((all.missing.len(), all.future.len()), (2, 4));
    }

    #[test]
    fn a_change_after_the_fact_is_refused_with_the_way_out() {
        let mut rows = history(&["V1__a.sql", "!V2__b.sql", "V4__d.sql"]);
        rows[2].checksum = Some(7);
        let files = scripts(&["V1__a.sql", "V2__b.sql", "V3__c.sql", "V4__d.sql"]);
        let all = compare(&files, &rows, &|_| false, false, None).unwrap();
        let refusals = all.refusals(&files);
        let shown: Vec<_> = refusals.iter().map(ToString::to_string).collect();
        let now = crc("V1__a.sql");
        assert_eq!(
            shown,
            [
                format!(
                    "V1__a.sql: `flyway:1` was changed after it was applied: its checksum in Flyway's history is \
                     7, now it is {now}"
                ),
                "V2__b.sql: `flyway:2` failed in Flyway, and may be half applied".into(),
                "V3__c.sql: `flyway:3` is not applied, but 4, which is newer, is".into(),
            ]
        );
        assert!(refusals.iter().all(|it| it.hint.is_some()));
    }

    #[test]
    fn what_differs_besides_is_told() {
        let mut rows = history(&["V1__a.sql", "V2__b.sql", "V3__c.sql"]);
        rows[2].description = "first".into();
        (rows[1].kind, rows[1].checksum) = ("JDBC".into(), Some(1));
        rows[0].checksum = None;
        let all = compared(&["V1__a.sql", "V2__b.sql", "V3__c.sql"], &rows);
        assert_eq!(all.states, [State::Applied, State::Applied, State::Applied]);
        assert_eq!(
            all.notes,
            [
                "`flyway:1` was applied under the description `first`",
                "`flyway:2` was applied as JDBC, from `V2__b.sql`",
            ]
        );
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let kind = prop::sample::select(vec![
            "SQL",
            "JDBC",
            "BASELINE",
            "SQL_BASELINE",
            "DELETE",
            "UNDO_SQL",
            "SCHEMA",
            "?",
        ]);
        let version = prop::option::of("[0-3]{1,2}(\\.[0-3])?|x");
        (0..9_i32, version, "[av]?", kind, prop::option::of(0..2_i32), any::<bool>()).prop_map(
            |(installed_rank, version, description, kind, checksum, success)| Row {
                installed_rank,
                version,
                description,
                kind: kind.into(),
                script: String::new(),
                checksum,
                success,
            },
        )
    }

    proptest! {
        #[test]
        fn any_history_can_be_compared(
            rows in prop::collection::vec(any_row(), 0..12),
            out_of_order: bool,
            baseline in prop::option::of("[0-3]"),
            known in "[0-3]",
        ) {
            let files = scripts(&["V1__a.sql", "V2__b.sql", "B2__x.sql", "V3.1__c.sql", "R__v.sql"]);
            let is_known = |it: &Identity| it.id == known;
            let all = compare(&files, &rows, &is_known, out_of_order, baseline.as_deref()).unwrap();
            prop_assert_eq!(all.states.len(), files.len());
            let refused = all.refusals(&files).len();
            prop_assert!(all.states.iter().filter(|it| it.runs()).count() + refused <= files.len());
            if out_of_order {
                let is_late = |it: &State| matches!(it, State::OutOfOrder { .. });
                prop_assert!(!all.states.iter().any(is_late));
            }
        }
    }
}
