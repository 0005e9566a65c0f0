//! What a file of a Flyway location is, told by its name alone.
//!
//! Only Flyway's default prefixes, separator and suffix are known: `V`, `R`, `B`,
//! `U`, `__`, `.sql`. Flyway passes over an `.sql` file whose name it cannot read;
//! here it is [`Found::Misnamed`], so that no script is forgotten in silence.

use super::version::Version;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// `V1_2__create_orders.sql`
    Versioned(Version, String),
    /// `B7__all_so_far.sql`
    Baseline(Version, String),
    /// `U1_2__create_orders.sql`
    Undo(Version, String),
    /// `R__views.sql`
    Repeatable(String),
    /// `afterMigrate__grants.sql`, by its event.
    Callback(&'static str),
    /// An `.sql` file with a name that Flyway does not run, and why.
    Misnamed(String),
    /// A script or a callback in another language than SQL.
    Foreign,
    /// Something for a script: `V1__x.sql.conf`.
    Conf,
    /// Something of Flyway's that it would not read either, or that is not read here: `flyway.toml`,
    /// `V1__x.conf`.
    Unread,
    /// None of Flyway's.
    Other,
}

/// The events of callbacks that run when scripts are applied or undone.
const EVENTS: [&str; 29] = [
    "beforeMigrate",
    "beforeEachMigrate",
    "beforeEachMigrateStatement",
    "afterEachMigrateStatement",
    "afterEachMigrateStatementError",
    "afterEachMigrate",
    "afterEachMigrateError",
    "beforeRepeatables",
    "afterVersioned",
    "afterMigrateApplied",
    "afterMigrate",
    "afterMigrateError",
    "afterMigrateOperationFinish",
    "beforeUndo",
    "beforeEachUndo",
    "beforeEachUndoStatement",
    "afterEachUndoStatement",
    "afterEachUndoStatementError",
    "afterEachUndo",
    "afterEachUndoError",
    "afterUndo",
    "afterUndoError",
    "beforeValidate",
    "afterValidate",
    "afterValidateError",
    "createSchema",
    "beforeCreateSchema",
    "beforeConnect",
    "afterConnect",
];

/// The events of commands that nothing here stands for: their callbacks never run.
const IDLE: [&str; 13] = [
    "beforeClean",
    "afterClean",
    "afterCleanError",
    "beforeBaseline",
    "afterBaseline",
    "afterBaselineError",
    "beforeRepair",
    "afterRepair",
    "afterRepairError",
    "beforeInfo",
    "afterInfo",
    "afterInfoError",
    "afterInfoOperationFinish",
];

/// Languages in which Flyway takes scripts.
const LANGUAGES: [&str; 11] =
    ["java", "class", "kt", "groovy", "scala", "py", "sh", "bash", "ps1", "bat", "cmd"];

/// Whether callbacks of this event have no part in applying scripts.
pub fn is_idle(event: &str) -> bool {
    IDLE.contains(&event)
}

/// The last part of a path.
pub fn of_path(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Tells what a file is.
pub fn found(path: &str) -> Found {
    let name = of_path(path);
    let Some((stem, suffix)) = name.rsplit_once('.') else { return Found::Other };
    let is = |other: &str| suffix.eq_ignore_ascii_case(other);
    if is("sql") {
        script(stem).unwrap_or_else(Found::Misnamed)
    } else if is("conf") {
        conf(stem, suffix)
    } else if stem == "flyway" && (is("toml") || is("properties")) {
        Found::Unread
    } else if LANGUAGES.iter().any(|it| is(it)) && script(stem).is_ok() {
        Found::Foreign
    } else {
        Found::Other
    }
}

fn conf(stem: &str, suffix: &str) -> Found {
    let of_script = stem.rsplit_once('.').is_some_and(|(_, it)| it.eq_ignore_ascii_case("sql"));
    // Flyway looks for exactly this name.
    if of_script && suffix == "conf" {
        Found::Conf
    } else if of_script || stem == "flyway" || script(stem).is_ok() {
        Found::Unread
    } else {
        Found::Other
    }
}

/// A name without its suffix.
fn script(stem: &str) -> Result<Found, String> {
    if let Some((make, rest)) = versioned(stem) {
        let (version, description) = rest.split_once("__").unwrap_or((rest, ""));
        let read = Version::parse(version).ok_or_else(|| {
            format!("`{version}` in its name is no version: numbers parted by `.` or `_`")
        })?;
        return Ok(make(read, description.replace('_', " ")));
    }
    if let Some(rest) = stem.strip_prefix('R') {
        return unversioned(rest).map(Found::Repeatable);
    }
    let events = EVENTS.iter().chain(&IDLE).filter(|event| stem.starts_with(**event));
    match events.max_by_key(|event| event.len()) {
        Some(event) => unversioned(&stem[event.len()..]).map(|_| Found::Callback(event)),
        None => Err("its name begins with none of `V`, `R`, `B` and `U`".to_owned()),
    }
}

type Make = fn(Version, String) -> Found;

fn versioned(stem: &str) -> Option<(Make, &str)> {
    let makes: [(char, Make); 3] =
        [('V', Found::Versioned), ('B', Found::Baseline), ('U', Found::Undo)];
    makes.into_iter().find_map(|(prefix, make)| Some((make, stem.strip_prefix(prefix)?)))
}

fn unversioned(rest: &str) -> Result<String, String> {
    let (before, description) = rest.split_once("__").unwrap_or((rest, ""));
    if before.is_empty() {
        Ok(description.replace('_', " "))
    } else {
        Err(format!("`{before}` stands where its name has `__`"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn a_name_tells_what_a_file_is() {
        for (path, what) in [
            ("db/V1__a_b.sql", Found::Versioned(version("1"), "a b".into())),
            ("V1_2.3__x__y.SQL", Found::Versioned(version("1.2.3"), "x  y".into())),
            ("V1.sql", Found::Versioned(version("1"), String::new())),
            ("V1___x.sql", Found::Versioned(version("1"), " x".into())),
            ("deep/er/B10__all.sql", Found::Baseline(version("10"), "all".into())),
            ("U1__a.sql", Found::Undo(version("1"), "a".into())),
            ("R__views.sql", Found::Repeatable("views".into())),
            ("afterMigrate.sql", Found::Callback("afterMigrate")),
            ("afterMigrateError__mail.sql", Found::Callback("afterMigrateError")),
            ("beforeClean.sql", Found::Callback("beforeClean")),
            ("V1__a.sql.conf", Found::Conf),
            ("V1__a.sql.CONF", Found::Unread),
            ("V1__a.conf", Found::Unread),
            ("flyway.conf", Found::Unread),
            ("flyway.toml", Found::Unread),
            ("V2__Seed.java", Found::Foreign),
            ("R__load.py", Found::Foreign),
            ("beforeMigrate.sh", Found::Foreign),
            ("Tool.java", Found::Other),
            ("README.md", Found::Other),
            ("Makefile", Found::Other),
        ] {
            assert_eq!(found(path), what, "{path}");
        }
    }

    #[test]
    fn an_sql_file_that_flyway_would_pass_over_is_misnamed() {
        for path in ["Views.sql", "V1_x.sql", "V__x.sql", "R1__x.sql", "v1__x.sql", "seed.sql"] {
            assert!(matches!(found(path), Found::Misnamed(_)), "{path}");
        }
        assert!(matches!(found("afterMigrateOnce.sql"), Found::Misnamed(_)));
    }

    proptest! {
        #[test]
        fn any_name_is_something(path in ".*", stem in "[VRBU]?[0-9_.]{0,5}[a-zé_]{0,5}") {
            let _ = found(&path);
            let _ = found(&format!("{stem}.sql"));
        }
    }
}
