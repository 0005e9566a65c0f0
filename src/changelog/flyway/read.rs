//! A Flyway location as a changelog.
//!
//! Each `V`, `B` and `R` script is a changeset by `flyway`: its id is `1.2`, `B7` or
//! `R__views`. A `U` script is the rollback of its version. Liquibase's checksum is
//! made of what Flyway's is made of: of the file as it is, for a repeatable script of
//! the replaced text; so a new value for a placeholder runs only the latter again.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use super::conf::{self, Conf};
use super::location::{Location, Named};
use super::placeholder::Placeholders;
use super::scan::{Scanned, pieces, scan};
use super::{AUTHOR, Kind, Script, Version};
use crate::changelog::text::HELD;
use crate::changelog::{
    Change, Changelog, ChangelogError, Changeset, Files, Filter, Identity, Place, Rollback, Run,
    Style, Work, checksum,
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
    let missing = || {
        let place = Place { file: folder.to_owned(), line: 0 };
        let hint = "Check the path, and that the bundle (layer, zip) holds the folder.";
        vec![ChangelogError::at(&place, "there is no such folder").hint(hint)]
    };
    let mut location = Location::of(paths.ok_or_else(missing)?);
    let (errors, warnings) =
        (std::mem::take(&mut location.errors), std::mem::take(&mut location.warnings));
    let placeholders = Arc::new(Placeholders::new(placeholders));
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
    placeholders: Arc<Placeholders>,
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
        let Scanned { written, replaced, text } = scanned;
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
        let changes = vec![change];
        Changeset {
            identity: identity(named),
            legacy: Vec::new(),
            place: Place { file: named.path.clone(), line: 1 },
            checksum: checksum::of_changes(&changes),
            changes,
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
            let what =
                format!("an undo script can be {HELD} bytes long, for it is kept in the database");
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
            pieces(&mut reader.take(LONGEST_CONF), &path, &mut |piece| {
                text.push_str(piece);
                true
            })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::changelog::files::memory::Memory;

    fn read_all(files: &[(&str, &str)], given: &[(&str, &str)]) -> Result<Changelog, Vec<String>> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let files = Memory::of(files);
        read(&files, "db", &given.collect())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn sql(changeset: &Changeset) -> &str {
        match &changeset.changes[0].work {
            Work::Sql(text) => text.held.as_deref().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_location_becomes_changesets() {
        let files = [
            ("db/V1_1__create_t.sql", "CREATE TABLE ${s}.t ();\n"),
            ("db/undo/U1.1__x.sql", "DROP TABLE ${s}.t;"),
            ("db/V2__i.sql", "CREATE INDEX CONCURRENTLY i ON t (a);"),
            ("db/V2__i.sql.conf", "executeInTransaction=false"),
            ("db/B2__all.sql", "-- all"),
            ("db/views/R__all_views.sql", "-- ${s}"),
            ("db/V3__raw.sql", "SELECT '${kept}';"),
            ("db/V3__raw.sql.conf", "placeholderReplacement=false"),
            ("other/V9__x.sql", ""),
        ];
        let all = read_all(&files, &[("S", "app")]).unwrap();
        assert_eq!((all.style, all.warnings.len()), (Style::Flyway, 0));
        let ids: Vec<_> = all.changesets.iter().map(|it| it.identity.to_string()).collect();
        assert_eq!(ids, ["flyway:1.1", "flyway:B2", "flyway:2", "flyway:3", "flyway:R__all_views"]);
        let [create, baseline, index, raw, views] = &all.changesets[..] else { panic!() };

        assert_eq!(sql(create), "CREATE TABLE app.t ();\n");
        assert_eq!(create.rollback, Rollback::Sql("DROP TABLE app.t;".into()));
        assert_eq!(create.identity.path, "db/V1_1__create_t.sql");
        assert!(create.run.in_transaction && !create.run.on_change);
        let crc = |text: &str| crc32fast::hash(text.as_bytes()).cast_signed();
        assert_eq!(
            create.flyway,
            Some(Script {
                kind: Kind::Versioned,
                version: Some("1.1".into()),
                description: "create t".into(),
                script: "V1_1__create_t.sql".into(),
                checksum: crc("CREATE TABLE ${s}.t ();"),
                also: vec![],
            })
        );
        assert_eq!(baseline.flyway.as_ref().unwrap().kind, Kind::Baseline);
        assert!(!index.run.in_transaction);
        assert_eq!(sql(raw), "SELECT '${kept}';");
        assert!(views.run.on_change);
        let script = views.flyway.as_ref().unwrap();
        assert_eq!(script.script, "views/R__all_views.sql");
        assert_eq!((script.checksum, &script.also[..]), (crc("-- app"), &[crc("-- ${s}")][..]));
    }

    const EXAMPLE: [(&str, &str); 12] = [
        (
            "db/B2__customers_and_orders.sql",
            include_str!("../../../tests/changelogs/flyway/B2__customers_and_orders.sql"),
        ),
        ("db/README.md", include_str!("../../../tests/changelogs/flyway/README.md")),
        (
            "db/R__open_orders.sql",
            include_str!("../../../tests/changelogs/flyway/R__open_orders.sql"),
        ),
        ("db/R__readers.sql", include_str!("../../../tests/changelogs/flyway/R__readers.sql")),
        ("db/V10__seed.sql", include_str!("../../../tests/changelogs/flyway/V10__seed.sql")),
        (
            "db/V1__create_customers.sql",
            include_str!("../../../tests/changelogs/flyway/V1__create_customers.sql"),
        ),
        (
            "db/V2__index_orders.sql",
            include_str!("../../../tests/changelogs/flyway/V2__index_orders.sql"),
        ),
        (
            "db/V2__index_orders.sql.conf",
            include_str!("../../../tests/changelogs/flyway/V2__index_orders.sql.conf"),
        ),
        (
            "db/V3__templates.sql",
            include_str!("../../../tests/changelogs/flyway/V3__templates.sql"),
        ),
        (
            "db/V3__templates.sql.conf",
            include_str!("../../../tests/changelogs/flyway/V3__templates.sql.conf"),
        ),
        (
            "db/shop/U1_1__create_orders.sql",
            include_str!("../../../tests/changelogs/flyway/shop/U1_1__create_orders.sql"),
        ),
        (
            "db/shop/V1_1__create_orders.sql",
            include_str!("../../../tests/changelogs/flyway/shop/V1_1__create_orders.sql"),
        ),
    ];

    /// The numbers are from another program: zlib's `crc32` over the lines without their ends.
    #[test]
    fn the_example_has_flyways_checksums_and_order() {
        let given = [("schema", "shop"), ("reader", "shop_reader")];
        let all = read_all(&EXAMPLE, &given).unwrap();
        assert!(all.warnings.is_empty());
        let sums: Vec<_> = all
            .changesets
            .iter()
            .map(|it| (it.identity.id.as_str(), it.flyway.as_ref().unwrap().checksum))
            .collect();
        assert_eq!(
            sums,
            [
                ("1", -582_883_266),
                ("1.1", 304_311_582),
                ("B2", 1_244_778_302),
                ("2", -1_155_706_962),
                ("3", -2_121_651_257),
                ("10", -2_025_164_430),
                ("R__open_orders", 1_593_744_142),
                ("R__readers", -1_145_670_331),
            ]
        );
        assert_eq!(all.changesets[1].rollback, Rollback::Sql("DROP TABLE shop.orders;\n".into()));
    }

    #[test]
    fn a_new_value_changes_what_repeatable_scripts_are_and_no_others() {
        let of = |value| {
            let files = [("db/V1__a.sql", "-- ${x}"), ("db/R__a.sql", "-- ${x}")];
            let all = read_all(&files, &[("x", value)]).unwrap().changesets;
            all.into_iter().map(|it| it.checksum.current).collect::<Vec<_>>()
        };
        let (one, other) = (of("1"), of("2"));
        assert_eq!(one[0], other[0]);
        assert_ne!(one[1], other[1]);
        assert_eq!(one[1], checksum::v9(&[&checksum::squeezed_md5("-- 1")]));
        assert_eq!(one[0], checksum::v9(&[&checksum::squeezed_md5("-- ${x}")]));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let files = [
            ("db/V1__a.sql", "\n${nope}"),
            ("db/V2__b.sql", ""),
            ("db/V2__b.sql.conf", "encoding=latin1"),
            ("db/U2__b.sql", "${nope}"),
            ("db/afterMigrate.sql", ""),
        ];
        assert_eq!(
            read_all(&files, &[]).unwrap_err(),
            [
                "db/afterMigrate.sql: callbacks (`afterMigrate`) are not supported",
                "db/V1__a.sql:2: the placeholder `${nope}` has no value",
                "db/V2__b.sql.conf:1: the encoding `latin1` is not supported",
                "db/U2__b.sql:1: the placeholder `${nope}` has no value",
            ]
        );
        assert_eq!(read_all(&[], &[]).unwrap_err(), ["db: there is no such folder"]);
    }

    #[test]
    fn an_undo_script_without_its_version_is_told() {
        let files = [("db/V1__a.sql", ""), ("db/U7__x.sql", "")];
        assert_eq!(
            read_all(&files, &[]).unwrap().warnings,
            ["`db/U7__x.sql` undoes version 7, of which there is no script"]
        );
        let files = [
            ("db/V1__a.sql", ""),
            ("db/U1__a.sql", "x"),
            ("db/U1__a.sql.conf", "shouldExecute=false"),
        ];
        assert_eq!(read_all(&files, &[]).unwrap().changesets[0].rollback, Rollback::Unknown);
        let long = "-".repeat(HELD + 1);
        assert_eq!(
            read_all(&[("db/V1__a.sql", ""), ("db/U1__a.sql", &long)], &[]).unwrap_err().len(),
            1
        );
    }

    proptest! {
        #[test]
        fn any_scripts_are_a_changelog_or_errors(v in "(?s).*", r in "(?s).*", conf in "(?s).*") {
            let files = [("db/V1__a.sql", &*v), ("db/R__a.sql", &*r), ("db/V1__a.sql.conf", &*conf)];
            let _ = read_all(&files, &[]);
        }
    }
}
