//! A Flyway location as a changelog.
//!
//! Each `V`, `B` and `R` script is a changeset by `flyway`: its id is `1.2`, `B7` or
//! `R__views`. A `U` script is the rollback of its version. Liquibase's checksum is
//! made of what Flyway's is made of: of the file as it is, for a repeatable script of
//! the replaced text; so a new value for a placeholder runs only the latter again.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::conf::{self, Conf};
use super::location::{Location, Named};
use super::placeholder::Placeholders;
use super::scan::{Scanned, pieces, scan};
use super::{AUTHOR, Kind, Script, Version};
use crate::changelog::checksum::Checksum;
use crate::changelog::text::HELD;
use crate::changelog::{
    Change, Changelog, ChangelogError, Changeset, FileError, Files, Filter, Identity, Place,
    Rollback, Run, Style, Work, checksum,
};

/// Settings are a few lines; what is longer is none.
const LONGEST_CONF: u64 = 64 * 1024;

/// Reads the location `folder`, however deep its files are.
pub fn read(
    files: &dyn Files,
    folder: &str,
    placeholders: &BTreeMap<String, String>,
) -> Result<Changelog, Vec<ChangelogError>> {
    let paths = files.list(folder).map_err(|error| vec![error.into()])?;
    let missing = || vec![FileError::Missing(folder.to_owned()).into()];
    let mut location = Location::of(paths.ok_or_else(missing)?);
    let (errors, warnings) =
        (std::mem::take(&mut location.errors), std::mem::take(&mut location.warnings));
    let placeholders = Placeholders::new(placeholders);
    let mut reading = Reading { files, folder, placeholders, location, errors, warnings };

    let scripts = std::mem::take(&mut reading.location.scripts);
    let changesets: Vec<_> = scripts.iter().filter_map(|it| reading.changeset(it)).collect();
    let left: Vec<_> = std::mem::take(&mut reading.location.undos).into_iter().collect();
    let without = |(version, path): (Version, String)| {
        format!("`{path}` undoes version {version}, of which there is no script")
    };
    reading.warnings.extend(left.into_iter().map(without));
    let Reading { errors, warnings, .. } = reading;
    if errors.is_empty() {
        Ok(Changelog { style: Style::Flyway, changesets, preconditions: Vec::new(), warnings })
    } else {
        Err(errors)
    }
}

struct Reading<'a> {
    files: &'a dyn Files,
    folder: &'a str,
    placeholders: Placeholders,
    location: Location,
    errors: Vec<ChangelogError>,
    warnings: Vec<String>,
}

impl Reading<'_> {
    fn changeset(&mut self, named: &Named) -> Option<Changeset> {
        let conf = self.conf(&named.path);
        let rollback = self.rollback(named);
        let conf = conf?;
        let scanned = self.scan(&named.path, &conf, named.kind == Kind::Repeatable)?;
        Some(self.made(named, &conf, scanned, rollback?))
    }

    fn made(&self, named: &Named, conf: &Conf, scanned: Scanned, rollback: Rollback) -> Changeset {
        let Scanned { written, replaced, text, .. } = scanned;
        let counts = replaced.unwrap_or_else(|| written.clone());
        let also = (counts.crc != written.crc).then_some(written.crc);
        let change = Change {
            kind: "sql".to_owned(),
            description: "sql".to_owned(),
            applies: true,
            work: Work::Sql(text),
            checksum: counts.squeezed.clone(),
            older: Vec::new(),
            certain: true,
        };
        let current = checksum::v9(&[&counts.squeezed]);
        Changeset {
            identity: identity(named),
            legacy: Vec::new(),
            place: Place { file: named.path.clone(), line: 1 },
            changes: vec![change],
            rollback,
            filter: Filter { ignored: !conf.execute, ..Filter::default() },
            run: Run {
                on_change: named.kind == Kind::Repeatable,
                in_transaction: conf.in_transaction,
                ..Run::default()
            },
            preconditions: None,
            valid_checksums: Vec::new(),
            comments: named.description.clone(),
            description: "sql".to_owned(),
            tag: None,
            checksum: Checksum { current, certain: true, ..Checksum::default() },
            flyway: Some(Script {
                kind: named.kind,
                version: named.version.as_ref().map(ToString::to_string),
                description: named.description.clone(),
                script: below(self.folder, &named.path).to_owned(),
                checksum: counts.crc,
                also: also.into_iter().collect(),
            }),
        }
    }

    /// `None` if there is an error.
    fn rollback(&mut self, named: &Named) -> Option<Rollback> {
        let version = named.version.as_ref().filter(|_| named.kind == Kind::Versioned);
        let Some(path) = version.and_then(|it| self.location.undos.remove(it)) else {
            return Some(Rollback::Unknown);
        };
        let conf = self.conf(&path)?;
        if !conf.execute {
            return Some(Rollback::Unknown);
        }
        if !conf.in_transaction {
            self.warnings.push(format!(
                "`{path}.conf` says `executeInTransaction=false`; a rollback leaves its transaction only for \
                 statements that cannot run in one"
            ));
        }
        let scanned = self.scan(&path, &conf, false)?;
        let Some(sql) = scanned.text.held else {
            let place = Place { file: path, line: 0 };
            let what = format!("an undo script can be {HELD} bytes long, for it is kept in the database");
            self.errors.push(ChangelogError::at(&place, what));
            return None;
        };
        Some(Rollback::Sql(sql))
    }

    fn conf(&mut self, path: &str) -> Option<Conf> {
        let path = format!("{path}.conf");
        if !self.location.confs.contains(&path) {
            return Some(Conf::default());
        }
        let mut text = String::new();
        let read = self.files.open(&path).map_err(ChangelogError::from).and_then(|reader| {
            pieces(&mut reader.take(LONGEST_CONF), &path, &mut |piece| text.push_str(piece))
        });
        match read.map_err(|it| vec![it]).and_then(|()| conf::read(&path, &text)) {
            Ok(conf) => Some(conf),
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    fn scan(&mut self, path: &str, conf: &Conf, repeatable: bool) -> Option<Scanned> {
        let placeholders = conf.placeholders.then_some(&self.placeholders);
        match scan(self.files, path, placeholders, repeatable) {
            Ok(scanned) => Some(scanned),
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }
}

fn identity(named: &Named) -> Identity {
    let id = match (&named.version, named.kind) {
        (Some(version), Kind::Baseline) => format!("B{version}"),
        (Some(version), _) => version.to_string(),
        (None, _) => format!("R__{}", named.description.replace(' ', "_")),
    };
    Identity { id, author: AUTHOR.to_owned(), path: named.path.clone() }
}

/// The path below the location.
fn below<'a>(folder: &str, path: &'a str) -> &'a str {
    path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/'))
}
