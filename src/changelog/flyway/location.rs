//! The files of a Flyway location, told apart by their names and put in order.
//!
//! Versioned and baseline scripts come by version, repeatable ones after them by
//! description. What Flyway would run and this cannot (callbacks, other languages),
//! and what Flyway would pass over though it looks like a script, is an error.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Kind;
use super::name::{Found, found, is_idle, of_path};
use super::version::Version;
use crate::changelog::{ChangelogError, Place};

/// The history's column holds no longer version.
const LONGEST_VERSION: usize = 50;

/// A script by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its path in the bundle.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// `None` for a repeatable one.
    pub version: Option<Version>,
    /// `_` made blank.
    pub description: String,
}

/// What stands in a location.
#[derive(Debug, Default)]
pub struct Location {
    /// All but undo scripts, in running order.
    pub scripts: Vec<Named>,
    /// Paths of undo scripts.
    pub undos: BTreeMap<Version, String>,
    /// Paths of the scripts' settings.
    pub confs: BTreeSet<String>,
    /// What is refused.
    pub errors: Vec<ChangelogError>,
    /// What is passed over.
    pub warnings: Vec<String>,
}

impl Location {
    /// Looks at the names of all files.
    pub fn of(mut paths: Vec<String>) -> Self {
        paths.sort_unstable();
        let mut all = Self::default();
        for path in paths {
            all.add(path);
        }
        all.scripts.sort_by(in_order);
        all.refuse_doubles();
        let named = all.scripts.iter().map(|it| &it.path).chain(all.undos.values());
        let scripts: BTreeSet<_> = named.map(String::as_str).collect();
        let of_none =
            all.confs.iter().filter(|path| !scripts.contains(&path[..path.len() - ".conf".len()]));
        all.warnings.extend(of_none.map(|path| format!("`{path}` belongs to no script")));
        all
    }

    fn add(&mut self, path: String) {
        match found(&path) {
            Found::Versioned(version, description) => {
                self.script(path, Kind::Versioned, Some(version), description);
            }
            Found::Baseline(version, description) => {
                self.script(path, Kind::Baseline, Some(version), description);
            }
            Found::Repeatable(description) => {
                self.script(path, Kind::Repeatable, None, description);
            }
            Found::Undo(version, _) => self.undo(path, version),
            Found::Conf => {
                self.confs.insert(path);
            }
            Found::Callback(event) if is_idle(event) => {
                self.warnings.push(format!("`{path}` never runs: nothing here fires `{event}`"));
            }
            Found::Callback(event) => {
                let what = format!("callbacks (`{event}`) are not supported");
                let hint = "Move its statements into a repeatable script (`R__….sql`), or into \
                            `OnCreate` and `OnUpdate` if they shall run with every deployment.";
                self.refuse(&path, what, hint);
            }
            Found::Foreign => {
                let hint = "Write it as SQL, or move it out of the folder; where it has run, its \
                            row in Flyway's history stays as it is.";
                self.refuse(&path, "only scripts in SQL are supported", hint);
            }
            Found::Misnamed(why) => {
                let hint = "Flyway would pass it over. Name it `V<version>__<description>.sql` or \
                            `R__<description>.sql`, or move it out of the folder.";
                self.refuse(&path, format!("it is no script of Flyway: {why}"), hint);
            }
            Found::Unread => self.warnings.push(format!("`{path}` is not read")),
            Found::Other => {
                let end = path.rsplit_once('.').map_or("", |(_, end)| end);
                let is_changelog =
                    ["yaml", "yml", "json", "xml"].iter().any(|it| end.eq_ignore_ascii_case(it));
                if is_changelog {
                    self.warnings
                        .push(format!("`{path}` is not read, for the folder has Flyway's scripts"));
                }
            }
        }
    }

    fn script(&mut self, path: String, kind: Kind, version: Option<Version>, description: String) {
        if version.as_ref().is_some_and(|it| it.as_str().len() > LONGEST_VERSION) {
            let what = format!("its version is longer than {LONGEST_VERSION} characters");
            self.refuse(&path, what, "Flyway's history cannot hold it; shorten it.");
        }
        self.scripts.push(Named { path, kind, version, description });
    }

    fn undo(&mut self, path: String, version: Version) {
        if let Some(other) = self.undos.get(&version) {
            let what = format!("version {version} has another undo script, `{other}`");
            self.refuse(&path, what, "Remove one of them.");
        } else {
            self.undos.insert(version, path);
        }
    }

    fn refuse_doubles(&mut self) {
        for pair in self.scripts.windows(2) {
            let [first, second] = pair else { continue };
            let same = first.kind == second.kind
                && first.version == second.version
                && (first.version.is_some() || first.description == second.description);
            if !same {
                continue;
            }
            let what = match &second.version {
                Some(version) => format!("version {version} is also that of `{}`", first.path),
                None => {
                    format!("`{}` is also the description of `{}`", first.description, first.path)
                }
            };
            let place = Place { file: second.path.clone(), line: 0 };
            let hint = match &second.version {
                Some(_) => "Give one of them another version; `1`, `1.0` and `01` are the same.",
                None => "Give one of them another description.",
            };
            self.errors.push(ChangelogError::at(&place, what).hint(hint));
        }
    }

    fn refuse(&mut self, path: &str, what: impl Into<String>, hint: &str) {
        let place = Place { file: path.to_owned(), line: 0 };
        self.errors.push(ChangelogError::at(&place, what).hint(hint));
    }
}

/// By version, a baseline before what has its version; then by description, as Java compares texts.
fn in_order(one: &Named, other: &Named) -> Ordering {
    match (&one.version, &other.version) {
        (Some(a), Some(b)) => {
            let is_later = |it: &Named| it.kind != Kind::Baseline;
            a.cmp(b).then(is_later(one).cmp(&is_later(other)))
        }
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.description.encode_utf16().cmp(other.description.encode_utf16()),
    }
}

/// Whether a folder is written for Flyway: it has scripts with Flyway's names, and no other `.sql`.
pub fn is_flyway(paths: &[String]) -> bool {
    let mut has_scripts = false;
    for path in paths {
        match found(of_path(path)) {
            Found::Versioned(..) | Found::Baseline(..) | Found::Undo(..) | Found::Repeatable(_) => {
                has_scripts = true;
            }
            Found::Misnamed(_) => return false,
            _ => {}
        }
    }
    has_scripts
}

/// The versioned scripts, by their names; also those with a small `v`, which Flyway passes over.
pub fn versioned(paths: &[String]) -> impl Iterator<Item = &str> {
    let is_versioned = |path: &&str| {
        let name = of_path(path);
        let name = name.strip_prefix('v').map_or(name.to_owned(), |rest| format!("V{rest}"));
        matches!(found(&name), Found::Versioned(..)) && name.contains("__")
    };
    paths.iter().map(String::as_str).filter(is_versioned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn location(paths: &[&str]) -> Location {
        Location::of(paths.iter().map(|path| (*path).to_owned()).collect())
    }

    fn shown(errors: &[ChangelogError]) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn versions_come_as_numbers_and_repeatable_scripts_last() {
        let all = location(&[
            "R__b.sql",
            "a/V10__x.sql",
            "V2__x.sql",
            "R__a.sql",
            "V2_1__x.sql",
            "B2__x.sql",
            "b/V1__x.sql",
        ]);
        let order: Vec<_> = all.scripts.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            order,
            [
                "b/V1__x.sql",
                "B2__x.sql",
                "V2__x.sql",
                "V2_1__x.sql",
                "a/V10__x.sql",
                "R__a.sql",
                "R__b.sql"
            ]
        );
        assert!(all.errors.is_empty() && all.warnings.is_empty());
    }

    #[test]
    fn doubles_are_refused_with_both_names() {
        let all = location(&[
            "V1__a.sql",
            "x/V1.0__b.sql",
            "B1__c.sql",
            "R__v.sql",
            "x/R__v.sql",
            "U1__a.sql",
            "U01__b.sql",
        ]);
        assert_eq!(
            shown(&all.errors),
            [
                "U1__a.sql: version 1 has another undo script, `U01__b.sql`",
                "x/V1.0__b.sql: version 1.0 is also that of `V1__a.sql`",
                "x/R__v.sql: `v` is also the description of `R__v.sql`",
            ]
        );
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        let all =
            location(&["V1__a.sql", "V2__b.java", "afterMigrate.sql", "V3_c.sql", "V4__d.py"]);
        assert_eq!(
            shown(&all.errors),
            [
                "V2__b.java: only scripts in SQL are supported",
                "V3_c.sql: it is no script of Flyway: `3_c` in its name is no version: numbers parted by \
                 `.` or `_`",
                "V4__d.py: only scripts in SQL are supported",
                "afterMigrate.sql: callbacks (`afterMigrate`) are not supported",
            ]
        );
        assert!(all.errors.iter().all(|it| it.hint.is_some()));
        let long = format!("V{}__x.sql", "1".repeat(51));
        assert_eq!(location(&[&long]).errors.len(), 1);
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let all = location(&[
            "V1__a.sql",
            "V9__x.sql.conf",
            "beforeClean.sql",
            "flyway.toml",
            "README.md",
        ]);
        assert!(all.errors.is_empty());
        assert_eq!(
            all.warnings,
            [
                "`beforeClean.sql` never runs: nothing here fires `beforeClean`",
                "`flyway.toml` is not read",
                "`V9__x.sql.conf` belongs to no script",
            ]
        );
    }

    #[test]
    fn a_folder_is_flyways_if_all_its_scripts_are() {
        let is = |paths: &[&str]| {
            is_flyway(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
        };
        assert!(is(&["db/V1__a.sql", "db/x/R__b.sql", "db/afterMigrate.sql", "db/README.md"]));
        assert!(!is(&["db/V1__a.sql", "db/002_b.sql"]));
        assert!(!is(&["db/Views.sql"]));
        assert!(!is(&["db/afterMigrate.sql"]));
        assert!(!is(&[]));
    }

    proptest! {
        #[test]
        fn any_paths_have_a_location(paths: Vec<String>) {
            let _ = Location::of(paths);
        }
    }
}
