//! Folders of SQL files: Liquibase's `includeAll` order, or that of their numbers.
//!
//! Whatever the order, a file keeps the identity that Liquibase gives it (`raw` of
//! `includeAll` and its path), so one may return to Liquibase. A file
//! `x.down.sql` beside `x.up.sql` is its rollback and never runs by itself; files that hold both
//! ways behind another program's markers are refused, for their way down would run too.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};

use super::formatted::directive::{self, Directive};
use super::{ChangelogError, FileError, Files, Place, Rollback, flyway, formatted};

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Flyway's names.
    Flyway,
    /// SQL files whose names all begin with a number.
    Numbered,
    /// Anything else: the order of `includeAll`.
    Named,
}

/// What the folder with these files is.
pub fn kind_of(paths: &[String]) -> Kind {
    if flyway::is_flyway(paths) {
        return Kind::Flyway;
    }
    let mut changelogs = paths.iter().filter(|path| ends_with(path, &CHANGELOGS)).peekable();
    let is_numbered = |path: &String| ends_with(path, &[".sql"]) && number(path).is_some();
    if changelogs.peek().is_some() && changelogs.all(is_numbered) {
        Kind::Numbered
    } else {
        Kind::Named
    }
}

const CHANGELOGS: [&str; 5] = [".sql", ".yaml", ".yml", ".json", ".xml"];

fn ends_with(path: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| {
        path.len()
            .checked_sub(ending.len())
            .and_then(|at| path.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    })
}

/// The digits that a file's name begins with, if `_`, `-` or `.` stands behind them; without zeros in
/// front, so that longer is more.
fn number(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let end = name.find(|c: char| !c.is_ascii_digit())?;
    let is_ended = name[end..].starts_with(['_', '-', '.']);
    (end > 0 && is_ended).then(|| name[..end].trim_start_matches('0'))
}

/// In the order of `includeAll`: by the whole path, as Java compares texts.
pub fn by_path(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_by(|a, b| as_java(a, b));
    paths
}

fn as_java(a: &str, b: &str) -> Ordering {
    const PREFIX: &str = "WEB-INF/classes/";
    if a.contains(PREFIX) || b.contains(PREFIX) {
        let (a, b) = (a.replace(PREFIX, ""), b.replace(PREFIX, ""));
        return a.encode_utf16().cmp(b.encode_utf16());
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// In the order of their numbers; equal numbers by their path.
pub fn by_number(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_by(|a, b| {
        let (x, y) = (number(a).unwrap_or_default(), number(b).unwrap_or_default());
        x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| as_java(a, b))
    });
    paths
}

/// A file to read, and what undoes it.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its path.
    pub path: String,
    /// From the file with `.down.sql`.
    pub down: Option<Rollback>,
}

/// Puts `x.down.sql` with its `x.up.sql`.
pub fn paired(files: &dyn Files, paths: Vec<String>) -> Result<Vec<File>, Vec<ChangelogError>> {
    let lower: HashMap<String, usize> =
        paths.iter().enumerate().map(|(at, path)| (path.to_lowercase(), at)).collect();
    let mut errors = Vec::new();
    let mut downs: HashMap<usize, Rollback> = HashMap::new();
    let mut taken = HashSet::new();
    for (at, path) in paths.iter().enumerate().filter(|(_, path)| ends_with(path, &[".sql"])) {
        match formatted::is_formatted(files, path) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                errors.push(error);
                continue;
            }
        }
        if let Some(stem) = path.to_lowercase().strip_suffix(".down.sql") {
            if let Some(up) = lower.get(&format!("{stem}.up.sql")) {
                match text(files, path) {
                    Ok(text) => {
                        taken.insert(at);
                        downs.insert(*up, text);
                    }
                    Err(error) => errors.push(error.into()),
                }
            } else {
                let place = Place { file: path.clone(), line: 0 };
                let what = "the file goes down, and there is no `.up.sql` beside it";
                let hint = "Rename it if it is to run; a `.down.sql` is only ever the rollback of \
                            an `.up.sql`.";
                errors.push(ChangelogError::at(&place, what).hint(hint));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let all = paths.into_iter().enumerate().filter(|(at, _)| !taken.contains(at));
    Ok(all.map(|(at, path)| File { path, down: downs.remove(&at) }).collect())
}

fn text(files: &dyn Files, path: &str) -> Result<Rollback, FileError> {
    let bytes = super::root::bytes(files, path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    Ok(if text.is_empty() { Rollback::Nothing } else { Rollback::Sql(text.to_owned()) })
}

/// Lines with which other programs begin the way up and the way down, in lower case and without
/// blanks. A way down counts after a way up only: alone it may stand in a function's body.
const MARKERS: [(&str, &str, &str); 6] = [
    ("--+gooseup", "--+goosedown", "goose"),
    ("--migrate:up", "--migrate:down", "dbmate"),
    ("--+migrateup", "--+migratedown", "sql-migrate"),
    ("--+micrateup", "--+micratedown", "micrate"),
    ("--//", "--//@undo", "MyBatis migrations"),
    ("---!ups", "---!downs", "Play evolutions"),
];

/// Looks at the lines of a file that is not formatted. One that holds the way down too is refused,
/// and so is one whose heading is hidden by a byte order mark. Else the line of the first
/// `--changeset`, which is only a comment in such a file.
pub fn look(files: &dyn Files, path: &str) -> Result<Option<usize>, ChangelogError> {
    let unreadable =
        |error: std::io::Error| FileError::Unreadable(path.to_owned(), error.to_string());
    let mut reader = BufReader::new(files.open(path)?);
    // Only the beginning of a line is looked at, so that a long one takes no memory.
    let (mut start, mut nth, mut changeset) = (Vec::with_capacity(LOOKED_AT), 1, None);
    let mut up = [false; MARKERS.len()];
    loop {
        let buffer = reader.fill_buf().map_err(unreadable)?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let line = &buffer[..end.unwrap_or(buffer.len())];
        start.extend_from_slice(&line[..line.len().min(LOOKED_AT - start.len())]);
        let is_last = buffer.is_empty();
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() || is_last {
            refuse(&start, &mut up, path, nth)?;
            if changeset.is_none()
                && is_directive(&start, |it| matches!(it, Directive::Changeset(_)))
            {
                changeset = Some(nth);
            }
            start.clear();
            nth += 1;
        }
        if is_last {
            return Ok(changeset);
        }
    }
}

/// What must not stand in a file that runs as a whole.
fn refuse(
    line: &[u8],
    up: &mut [bool; MARKERS.len()],
    path: &str,
    nth: usize,
) -> Result<(), ChangelogError> {
    let error =
        |what: String| ChangelogError::at(&Place { file: path.to_owned(), line: nth }, what);
    if let Some(program) = program(line, up) {
        let what = format!("the file is {program}'s and holds the way down too, which would run");
        let hint = "Put what stands below the line into a file `….down.sql`, and what stands above \
                    it into `….up.sql`.";
        return Err(error(what).hint(hint));
    }
    let bare = line.strip_prefix(MARK).unwrap_or(line);
    if bare.starts_with(MARK) && is_directive(line, |it| matches!(it, Directive::Header)) {
        let what = "two byte order marks (U+FEFF) stand before `--liquibase formatted sql`";
        return Err(error(what.into()).hint("Remove them."));
    }
    Ok(())
}

const MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether the beginning of a line, byte order marks left out, is such a directive.
fn is_directive(mut line: &[u8], wanted: fn(Directive<'_>) -> bool) -> bool {
    while let Some(rest) = line.strip_prefix(MARK) {
        line = rest;
    }
    line.trim_ascii_start().starts_with(b"-")
        && wanted(directive::of(String::from_utf8_lossy(line).trim_end_matches('\r')))
}

/// As much of a line (in bytes) tells whether it is a marker.
const LOOKED_AT: usize = 120;

/// Whose way down a line begins; `up` notes whose way up was seen.
fn program(line: &[u8], up: &mut [bool; MARKERS.len()]) -> Option<&'static str> {
    let start = line.strip_prefix(MARK).unwrap_or(line).trim_ascii_start();
    if !start.starts_with(b"--") && !start.starts_with(b"#") {
        return None;
    }
    let bytes = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    let squeezed: String = bytes.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let squeezed = squeezed.strip_prefix('#').unwrap_or(&squeezed);
    MARKERS.iter().zip(up).find_map(|((upwards, down, program), up)| {
        *up |= squeezed.starts_with(upwards);
        (*up && squeezed.starts_with(down)).then_some(*program)
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn numbers_are_taken_as_numbers_only_if_all_files_have_one() {
        let numbered = owned(&["db/10_b.sql", "db/2-a.SQL", "db/002.c.sql", "db/README.md"]);
        assert_eq!(kind_of(&numbered), Kind::Numbered);
        let sorted = owned(&["db/README.md", "db/002.c.sql", "db/2-a.SQL", "db/10_b.sql"]);
        assert_eq!(by_number(numbered), sorted);
        for paths in [
            &["1_a.sql", "b.sql"][..],
            &["1_a.sql", "2_root.yaml"],
            &["1a.sql"],
            &["1"],
            &["readme.md"],
            &[],
        ] {
            assert_eq!(kind_of(&owned(paths)), Kind::Named, "{paths:?}");
        }
    }

    #[test]
    fn paths_are_sorted_as_java_does() {
        let sorted =
            ["B.sql", "WEB-INF/classes/C.sql", "a/b.sql", "a.sql", "\u{1f600}.sql", "\u{ff5e}.sql"];
        let mut expected = owned(&sorted);
        expected.swap(2, 3);
        assert_eq!(by_path(owned(&sorted)), expected);
    }

    #[test]
    fn a_way_down_is_a_rollback_and_never_runs() {
        let files = Memory::of(&[
            ("1_a.up.sql", "create table a ()"),
            ("1_a.down.sql", "\u{feff}drop table a\n"),
            ("2_b.UP.sql", "x"),
            ("2_b.Down.sql", "  "),
        ]);
        let paths = by_path(owned(&["1_a.up.sql", "1_a.down.sql", "2_b.UP.sql", "2_b.Down.sql"]));
        let all = paired(&files, paths).unwrap();
        let all: Vec<_> = all.into_iter().map(|file| (file.path, file.down)).collect();
        let down = Rollback::Sql("drop table a".into());
        assert_eq!(
            all,
            [("1_a.up.sql".into(), Some(down)), ("2_b.UP.sql".into(), Some(Rollback::Nothing))]
        );
        let alone = Memory::of(&[("a.down.sql", "drop table a")]);
        assert!(paired(&alone, owned(&["a.down.sql"])).is_err());
    }

    #[test]
    fn files_with_both_ways_are_refused() {
        for (text, program) in [
            ("-- +goose Up\nselect 1;\n--  +goose  Down\nselect 2", "goose"),
            ("\u{feff}-- migrate:up\n\n-- migrate:down", "dbmate"),
            ("-- +migrate Up\n-- +migrate Down\n", "sql-migrate"),
            ("# --- !Ups\n# --- !Downs\n", "Play evolutions"),
            ("-- //@UNDO\n", "MyBatis"),
            ("\u{feff}\u{feff}--liquibase formatted sql\n", "byte order"),
        ] {
            let files = Memory::of(&[("a.sql", text)]);
            let error = look(&files, "a.sql").unwrap_err();
            assert!(error.what.contains(program) && error.place.line > 0, "{error}");
        }
        let files = Memory::of(&[("a.sql", "-- going down\nselect '-- +goose'")]);
        assert_eq!(look(&files, "a.sql"), Ok(None));
    }
}
