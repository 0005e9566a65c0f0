//! Changelogs that are wrong, as their author meets it: what is said, and that nothing was done.
//!
//! Each runs through the command line, as its own process, so that a panic, an abort or a
//! stack that overflows is seen as what it is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::File;
use std::io::{Cursor, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::http::Listener;
use support::{Bundle, Database, MASTER_PASSWORD_MARK, Server, command_line, wait_until};

const HEAD: &str = "--liquibase formatted sql\n";
const GOOD: &str = "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE t ();\n";
/// A password that an author writes where it should not stand.
const SECRET: &str = "hunter2-Zq81";

/// What a run of the program came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn succeeded(&self) -> &Ran {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// It failed in order, and said all of this.
    #[track_caller]
    fn failed(&self, says: &[&str]) -> &Ran {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        assert!(self.err.starts_with("error: ") || self.err.contains("\nerror: "), "{}", self.err);
        self.says(says)
    }

    #[track_caller]
    fn says(&self, says: &[&str]) -> &Ran {
        for said in says {
            assert!(self.err.contains(said) || self.out.contains(said), "{said}\n{}", self.err);
        }
        self
    }
}

fn command(database: &Database, bundle: &Bundle, changelog: &Value) -> Command {
    let properties = match changelog.get("Changelog") {
        Some(_) => changelog.clone(),
        None => json!({ "Changelog": changelog }),
    };
    bundle.write("properties.json", properties.to_string().as_bytes());
    let mut command = command_line(database);
    command
        .current_dir(bundle.path())
        .args(["apply", "--file", "properties.json"])
        .stdin(Stdio::null());
    command
}

#[track_caller]
fn finished(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (code, out, err) = (output.status.code(), text(output.stdout), text(output.stderr));
    for text in [&out, &err] {
        assert!(!text.contains(MASTER_PASSWORD_MARK) && !text.contains("panicked"), "{text}");
        assert!(!text.contains(SECRET), "{text}");
    }
    Ran { code, out, err }
}

#[track_caller]
fn apply(database: &Database, bundle: &Bundle, changelog: &Value) -> Ran {
    finished(command(database, bundle, changelog))
}

/// Tables and schemas that anybody made.
fn left(database: &Database) -> String {
    database.admin().value(
        "SELECT coalesce(string_agg(oid::regclass::text, ' ' ORDER BY oid), '') FROM pg_class \
         WHERE relkind = 'r' AND relnamespace NOT IN \
         ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
    )
}

fn value(database: &Database, sql: &str) -> String {
    database.admin().value(sql)
}

/// Files, what `Changelog` is, and what must be said.
type Case<'a> = (&'a [(&'a str, &'a str)], Value, &'a [&'a str]);

/// Each is refused with what it has to say, and the database is as it was.
#[track_caller]
fn refused(cases: &[Case<'_>]) {
    let database = Server::shared().database();
    for (files, changelog, says) in cases {
        apply(&database, &Bundle::of(files), changelog).failed(says);
    }
    assert_eq!(left(&database), "");
}

/// The same where a file is not a text.
#[track_caller]
fn bytes_refused(cases: &[(&str, &[u8], &[&str])]) {
    let database = Server::shared().database();
    for (path, bytes, says) in cases {
        let load = "sql: CREATE TABLE t (n text)\n    - loadData: {file: d.csv, tableName: t}";
        let bundle = Bundle::of(&[("a.yaml", &yaml(load))]);
        bundle.write(path, bytes);
        let root = match path.rsplit_once('/') {
            Some((folder, _)) => folder,
            None if *path == "d.csv" => "a.yaml",
            None => path,
        };
        apply(&database, &bundle, &json!(root)).failed(says);
    }
    assert_eq!(left(&database), "");
}

/// Every way to name one file.
fn yaml(change: &str) -> String {
    format!(
        "databaseChangeLog:\n- changeSet:\n    id: 1\n    author: ann\n    changes:\n    - {change}\n"
    )
}

#[test]
fn a_changeset_that_stands_twice_is_refused_with_both_places() {
    let root = "databaseChangeLog:\n- include: {file: a.sql}\n- include: {file: b.sql}\n";
    let logical = |author: &str| {
        format!("--liquibase formatted sql logicalFilePath:x\n--changeset {author}:1\nSELECT 1;\n")
    };
    refused(&[
        (
            &[("a.sql", &format!("{GOOD}--changeset ann:1\nSELECT 2;\n"))],
            json!("a.sql"),
            &["a.sql:4: the changeset `ann:1` of `a.sql` stands here and in a.sql:2", "another id"],
        ),
        (
            &[("r.yaml", root), ("a.sql", &logical("ann")), ("b.sql", &logical("ANN"))],
            json!("r.yaml"),
            &["b.sql:2: the changeset `ANN:1` of `x` stands here and in a.sql:2"],
        ),
        (
            &[("r.yaml", &root.replace("b.sql", "./a.sql")), ("a.sql", GOOD)],
            json!("r.yaml"),
            &["a.sql:2: the changeset `ann:1`", "include its file only once"],
        ),
    ]);
}

#[test]
fn an_applied_changeset_that_was_edited_stops_the_run_before_what_is_new() {
    let database = Server::shared().database();
    let bundle = Bundle::of(&[("a.sql", GOOD)]);
    apply(&database, &bundle, &json!("a.sql")).succeeded();
    let edited = GOOD.replace("t ()", "t (a int)") + "--changeset ann:2\nCREATE TABLE late ();\n";
    bundle.write("a.sql", edited.as_bytes());
    apply(&database, &bundle, &json!("a.sql")).failed(&[
        "changeset `ann:1` (a.sql:2) ran before and was changed since",
        "-CREATE TABLE t ();",
        "+CREATE TABLE t (a int);",
        "hint: ",
    ]);
    assert!(!left(&database).contains("late"));
}

#[test]
fn a_changeset_that_moved_to_another_file_is_another_one_and_the_old_one_is_missed() {
    let database = Server::shared().database();
    let bundle = Bundle::of(&[("a.sql", GOOD)]);
    apply(&database, &bundle, &json!("a.sql")).succeeded();
    bundle.remove("a.sql");
    bundle.write("b.sql", GOOD.replace("TABLE t", "TABLE IF NOT EXISTS t").as_bytes());
    let ran = apply(&database, &bundle, &json!("b.sql"));
    ran.succeeded().says(&["1 changesets of the history are not in this changelog"]);
    assert_eq!(value(&database, "SELECT count(*) FROM databasechangelog"), "2");
    // With the old path it is the one that ran.
    let kept = GOOD.replace("sql\n--ch", "sql logicalFilePath:a.sql\n--ch");
    bundle.write("c.sql", kept.as_bytes());
    apply(&database, &bundle, &json!("c.sql")).succeeded().says(&["Nothing to do"]);
}

#[test]
fn what_liquibase_does_in_silence_is_told() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("--changeset ann:2\n", "1", &["a.sql:4: the last changeset `ann:2` has no SQL"]),
        (
            "--changeset ann:2 dbms:postgres\nCREATE TABLE never ();\n",
            "1",
            &[
                "a.sql:4: `dbms` names `postgres`",
                "write `dbms:postgresql`",
                "1 changesets are left",
            ],
        ),
        (
            "--changeset ann:2 runOnChagne:true\nSELECT 1;\n",
            "2",
            &["a.sql:4: `runOnChagne` is not known", "did you mean `runOnChange`?"],
        ),
        (
            "--changeset ann:2 contexts:test\nSELECT 1;\n",
            "2",
            &["a.sql:4: `contexts` is not known", "did you mean `context`?"],
        ),
        ("--changeset ann:2 runWith:psql\nSELECT 1;\n", "2", &["`runWith:psql` has no effect"]),
        ("--changeset ann:2 runAlways:yes\nSELECT 1;\n", "2", &["`runAlways:yes` counts as"]),
    ];
    for (text, ran, says) in cases {
        let database = Server::shared().database();
        let bundle = Bundle::of(&[("a.sql", &format!("{GOOD}{text}"))]);
        apply(&database, &bundle, &json!("a.sql")).succeeded().says(says);
        let effective = "SELECT count(*) FROM databasechangelog WHERE id = '1' OR id = '2'";
        let rows = value(&database, effective);
        assert!(rows == ran || (text == "--changeset ann:2\n" && rows == "2"), "{text}: {rows}");
        assert!(!left(&database).contains("never"));
    }
}

#[test]
fn a_file_whose_heading_is_not_the_first_line_says_that_it_is_one_changeset() {
    let database = Server::shared().database();
    let bundle = Bundle::of(&[("a.sql", &format!("/* a licence */\n{GOOD}"))]);
    apply(&database, &bundle, &json!("a.sql"))
        .succeeded()
        .says(&["a.sql:3: `--changeset` is only a comment here", "`--liquibase formatted sql`"]);
}

#[test]
fn what_is_not_closed_is_told_with_its_place_before_anything_runs() {
    for (sql, says) in [
        ("CREATE TABLE u ();\n/* never /* inner */\n", "a.sql:6:1"),
        ("CREATE TABLE u ();\nSELECT 'abc;\n", "a.sql:6:8"),
        ("CREATE TABLE u ();\nSELECT \"abc;\n", "a.sql:6:8"),
        ("CREATE TABLE u ();\nDO $x$ BEGIN END $$;\n", "a.sql:6:4"),
        ("CREATE TABLE u ();\nSELECT (1;\n", "a.sql:6:10"),
    ] {
        for more in ["", " runInTransaction:false"] {
            let database = Server::shared().database();
            let text = format!("{GOOD}--changeset ann:2{more}\n{sql}");
            let bundle = Bundle::of(&[("a.sql", &text)]);
            apply(&database, &bundle, &json!("a.sql")).failed(&["changeset `ann:2`", says]);
            // Only the server knows of brackets; all else is seen before anything runs.
            if sql.contains("(1") {
                let ids = "SELECT string_agg(id, ',') FROM databasechangelog";
                assert_eq!(value(&database, ids), "1");
            } else {
                assert_eq!(left(&database), "", "{sql}");
            }
        }
    }
}

#[test]
fn directives_that_are_wrong_are_refused_with_line_and_form() {
    let text = |it: &str| format!("{GOOD}{it}\nSELECT 1;\n");
    let cases = [
        ("--changeset ann", "a.sql:4: `--changeset ann` is not `--changeset author:id`"),
        ("--changeset ann: 2", "no blank after the colon"),
        ("-changeset ann:2", "a.sql:4: `-changeset ann:2` is not"),
        ("--changeset ann:2\n--changeset ann:3", "a.sql:4: changeset `ann:2` has no SQL"),
        ("--property name=x value=y", "Write `--property name:x value:y`"),
        ("--changeset ann:2\n-rollback x", "`-rollback x` is not `--rollback statement`"),
        ("--changeset ann:2\n/* liquibase rollback", "a.sql:5: the rollback block is not closed"),
        (
            "--changeset ann:2\n--rollback changesetId:9 changesetAuthor:b",
            "a.sql:4: its rollback names `b:9` of `a.sql`, which is not there",
        ),
        ("--changeset ann:2\n--precondition-nope x", "a.sql:5: the precondition `nope` is not"),
        (
            "--changeset ann:2\n--preconditions onFail:MARKRAN",
            "a.sql:5: `onFail:MARKRAN` is not known",
        ),
        ("--changeset ann:2 context:\"(a and\"", "a.sql:4: the brackets of the expression"),
        ("\u{feff}--changeset ann:2", "a.sql:4: a byte order mark (U+FEFF) stands in the middle"),
        (&format!("--changeset ann:2 labels:{}", "x".repeat(2 << 20)), "longer than 1 MiB"),
    ]
    .map(|(it, says)| (text(it), says));
    let cases: Vec<_> =
        cases.iter().map(|(text, says)| ([("a.sql", text.as_str())], [*says])).collect();
    let cases: Vec<Case<'_>> =
        cases.iter().map(|(files, says)| (&files[..], json!("a.sql"), &says[..])).collect();
    refused(&cases);
}

#[test]
fn paths_that_lead_nowhere_in_a_circle_or_out_of_the_bundle_are_refused() {
    let log = |entry: &str| format!("databaseChangeLog:\n- {entry}\n");
    let to = |entry: &str, says: &'static [&'static str]| (log(entry), says);
    let relative = "include: {file: ../../x.sql, relativeToChangelogFile: true}";
    let cases = [
        to(
            "include: {file: db/b.xml}",
            &[
                "db/b.xml:2: files include each other without end: `db/a.yaml` -> `db/b.xml` -> `db/a.yaml`",
            ],
        ),
        to("include: {file: db/x/../a.yaml}", &["db/a.yaml:2: files include each other"]),
        to("includeAll: {path: db}", &["db/a.yaml:2: files include each other without end"]),
        to(
            "includeAll: {path: nope}",
            &["db/a.yaml:2: the folder `nope` is not there", "errorIfMissingOrEmpty: false"],
        ),
        to("includeAll: {path: db/a.sql}", &["db/a.yaml:2: the folder `db/a.sql` is not there"]),
        to("includeAll: {path: db, endsWithFilter: .sqlx}", &["holds nothing that is asked for"]),
        to(
            "includeAll: {path: ../../../etc}",
            &[
                "db/a.yaml:2: `../../../etc`: the path leads out of the bundle",
                "inside of the bundle",
            ],
        ),
        to("include: {file: db}", &["db/a.yaml:2: `db` is a folder", "includeAll"]),
        to(
            "include: {file: db/a.sqll}",
            &["db/a.yaml:2: `db/a.sqll`: there is no such file", "There is `db/a.sql`."],
        ),
        to(
            "include: {file: a.sql}",
            &["`a.sql`: there is no such file", "relativeToChangelogFile"],
        ),
        to(
            "include: {file: '${nope}/a.sql'}",
            &["`${nope}/a.sql`: there is no such file", "A property in it has no value"],
        ),
        to("include: {file: ../../etc/passwd.sql}", &["the path leads out of the bundle"]),
        to(relative, &["db/a.yaml:2: `db/../../x.sql`: the path leads out of the bundle"]),
        to("include: {file: 'C:\\..\\x.sql'}", &["the path leads out of the bundle"]),
        to("include: {file: /etc/passwd.sql}", &["`etc/passwd.sql`: there is no such file"]),
        to("include: {file: db/notes.txt}", &["db/a.yaml:2: ", "no such file"]),
        (
            yaml("sqlFile: {path: ../../etc/passwd}"),
            &["db/a.yaml:6: `../../etc/passwd`: the path leads out"],
        ),
        (
            yaml("loadData: {file: ../../etc/passwd, tableName: t}"),
            &["db/a.yaml:6: `../../etc/passwd`: the path leads out"],
        ),
    ];
    let back = "<databaseChangeLog>\n<include file='db/a.yaml'/></databaseChangeLog>";
    let files: Vec<_> = cases
        .iter()
        .map(|(text, _)| [("db/a.yaml", text.as_str()), ("db/b.xml", back), ("db/a.sql", GOOD)])
        .collect();
    let mut all: Vec<Case<'_>> = files
        .iter()
        .zip(&cases)
        .map(|(files, (_, says))| (&files[..], json!("db/a.yaml"), *says))
        .collect();
    all.push((&[], json!("../a.sql"), &["`Changelog` is `../a.sql`: the path leads out"]));
    all.push((&[("a.sql", GOOD)], json!("b.sql"), &["`b.sql` is not in", "There is `a.sql`."]));
    refused(&all);
}

#[test]
fn links_out_of_the_bundle_and_empty_folders_are_refused() {
    let database = Server::shared().database();
    for (entry, says) in [
        ("include: {file: out.sql}", "a.yaml:2: `out.sql`: the path leads out of the bundle"),
        ("includeAll: {path: etc}", "a.yaml:2: `etc`: the path leads out of the bundle"),
        ("include: {file: round.sql}", "a.yaml:2: `round.sql`: it cannot be read"),
        ("includeAll: {path: empty}", "a.yaml:2: the folder `empty` is not there, or holds"),
    ] {
        let bundle = Bundle::of(&[("a.yaml", &format!("databaseChangeLog:\n- {entry}\n"))]);
        let at = |name: &str| format!("{}/{name}", bundle.path());
        std::os::unix::fs::symlink("/etc/passwd", at("out.sql")).unwrap();
        std::os::unix::fs::symlink("/etc", at("etc")).unwrap();
        std::os::unix::fs::symlink("round.sql", at("round.sql")).unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        apply(&database, &bundle, &json!("a.yaml")).failed(&[says]);
        apply(&database, &bundle, &json!("empty")).failed(&["empty: the folder is empty"]);
    }
    assert_eq!(left(&database), "");
}

#[test]
fn includes_without_end_are_refused_and_many_are_read() {
    let database = Server::shared().database();
    let chain = |length: usize, times: usize| {
        let bundle = Bundle::of(&[("f0.xml", "")]);
        for n in 0..length {
            let next = format!("- include: {{file: f{}.yaml}}\n", n + 1).repeat(times);
            bundle.write(&format!("f{n}.yaml"), format!("databaseChangeLog:\n{next}").as_bytes());
        }
        bundle.write(&format!("f{length}.yaml"), yaml("sql: CREATE TABLE t ()").as_bytes());
        bundle
    };
    for length in [60, 400] {
        apply(&database, &chain(length, 1), &json!("f0.yaml"))
            .failed(&["f49.yaml:2: includes are nested more than 50 deep", "hint: "]);
    }
    apply(&database, &chain(40, 2), &json!("f0.yaml"))
        .failed(&["f39.yaml:2: `f40.yaml` is included more than 1000 times"]);
    assert_eq!(left(&database), "");
    apply(&database, &chain(49, 1), &json!("f0.yaml")).succeeded();

    let many = (0..2000).map(|n| format!("- include: {{file: {n}.sql}}\n"));
    let many = many.collect::<Vec<_>>().concat();
    let bundle = Bundle::of(&[("a.yaml", &format!("databaseChangeLog:\n{many}"))]);
    for n in 0..2000 {
        bundle
            .write(&format!("{n}.sql"), format!("{HEAD}--changeset ann:{n}\nSELECT;\n").as_bytes());
    }
    let ran = apply(&database, &bundle, &json!({ "Path": "a.yaml", "ToTag": "nope" }));
    ran.failed(&["tag `nope` of `ToTag` is neither in the changelog nor in the history"]);
}

#[test]
fn files_in_other_encodings_are_refused_with_the_line_or_read_by_their_mark() {
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|c| c as u8).collect() };
    let sixteen =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let umlaut = format!("{GOOD}--changeset ann:2\nSELECT 'ü';\n");
    let not = "is not UTF-8 at ";
    let nul = "it holds the character U+0000";
    bytes_refused(&[
        ("a.sql", &latin(&umlaut), &["changeset `ann:2` is not UTF-8 at a.sql:5", "Convert"]),
        ("db/1_a.sql", &latin("SELECT 1;\n-- ü"), &[not, "db/1_a.sql:2"]),
        ("db/V1__a.sql", &latin("SELECT 'ü'"), &["db/V1__a.sql:1: the script is not UTF-8"]),
        ("a.yaml", &latin("databaseChangeLog:\n- ü"), &["a.yaml:2: the file is not in UTF-8"]),
        ("a.json", &latin("{\"ü\": 1}"), &["a.json:1: the file is not in UTF-8"]),
        ("a.xml", &latin("<a>\n\u{fc}</a>"), &["a.xml:2: the file is not in UTF-8"]),
        ("d.csv", &latin("n\nü\n"), &[not, "d.csv:2"]),
        ("a.sql", b"--liquibase formatted sql\n--changeset a:1\nSELECT '\xed\xa0\xbd'", &[not]),
        ("a.sql", &sixteen(GOOD), &["a.sql:1", nul, "If the file is in UTF-16"]),
        ("db/V1__a.sql", &sixteen(GOOD), &["db/V1__a.sql:1", nul]),
        ("a.yaml", &sixteen("databaseChangeLog: []"), &["a.yaml:1", nul]),
        ("a.xml", &sixteen("\u{feff}<databaseChangeLog/>"), &["a.xml:1", nul]),
        ("d.csv", &sixteen("\u{feff}n\nx\n"), &["d.csv:1", nul]),
    ]);
    let database = Server::shared().database();
    let bundle = Bundle::of(&[]);
    let text = format!("\u{feff}{umlaut}").replace("SELECT 'ü'", "CREATE TABLE u AS SELECT 'ü' u");
    bundle.write("a.sql", &sixteen(&text));
    apply(&database, &bundle, &json!("a.sql")).succeeded();
    assert_eq!(value(&database, "SELECT u FROM u"), "ü");
}

#[test]
fn a_character_that_postgresql_has_not_is_refused_wherever_it_stands() {
    let nul = "it holds the character U+0000";
    let table = "\"a\\0b\"";
    let of = |text: String| text.into_bytes();
    bytes_refused(&[
        ("a.sql", &of(format!("{GOOD}--changeset ann:2\nSELECT 'a\0b';\n")), &["a.sql:5", nul]),
        ("a.sql", &of(format!("{GOOD}--changeset ann:2\0x\nSELECT 1;\n")), &["a.sql:4", nul]),
        ("a.sql", &of(format!("{GOOD}--comment: a\0b\n")), &["a.sql:4", nul]),
        ("db/1_a.sql", b"SELECT 1;\nSELECT '\0';", &["db/1_a.sql:2", nul]),
        ("db/R__a.sql", b"SELECT 1;\nSELECT '\0';", &["db/R__a.sql:2", nul]),
        ("b.yaml", &of(yaml(&format!("sql: {table}"))), &["b.yaml:6", nul]),
        ("b.yaml", &of(yaml(&format!("dropTable: {{tableName: {table}}}"))), &["b.yaml:6", nul]),
        ("b.json", br#"{"databaseChangeLog": [{"a": "\u0000"}]}"#, &["b.json:1", nul]),
        ("b.xml", b"<databaseChangeLog>&#0;</databaseChangeLog>", &["b.xml:1"]),
        ("d.csv", b"n\n1\nx\0y\n", &["d.csv:3", nul]),
    ]);
}

#[test]
fn what_is_no_changelog_at_all_is_refused_as_what_it_is() {
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    bytes_refused(&[
        ("a.sql", b"", &["a.sql:1: the file is empty", "Write its SQL, or remove the file."]),
        ("a.sql", b" \r\n\t\n", &["a.sql:1: the file is empty"]),
        ("a.sql", &binary, &["a.sql:1: it holds the character U+0000"]),
        ("a.sql", b"\x89PNG\r\n\x1a\n", &["a.sql:1"]),
        ("db/001_a.sql", b"", &["db/001_a.sql:1: the file is empty"]),
        ("b.yaml", b"", &["b.yaml: there is no `databaseChangeLog` in it"]),
        ("b.yaml", b"hello\n", &["there is no `databaseChangeLog` in it", "one map with that key"]),
        ("b.yaml", b"- changeSet: {id: 1}\n", &["there is no `databaseChangeLog` in it"]),
        ("b.yaml", b"databaseChangeLog: 5\n", &["b.yaml:1: `5` stands in `databaseChangeLog`"]),
        ("b.json", b"", &["b.json: there is no `databaseChangeLog` in it"]),
        ("b.json", &binary, &["b.json:1"]),
        ("b.xml", b"", &["b.xml:1: the XML cannot be read"]),
        ("b.xml", b"<project/>", &["b.xml:1: `project` is not known at the root"]),
        ("b.txt", b"SELECT 1", &["b.txt", "name ends otherwise"]),
    ]);
}

#[test]
fn a_syntax_error_is_told_with_its_line() {
    bytes_refused(&[
        (
            "b.yaml",
            b"databaseChangeLog:\n- changeSet:\n    id: 1\n   author: a\n",
            &["b.yaml:4: the YAML cannot be read at column 4", "hint: "],
        ),
        (
            "b.yaml",
            b"databaseChangeLog:\n- changeSet:\n\tid: 1\n",
            &["b.yaml:3", "tabs", "Indent with blanks."],
        ),
        ("b.yaml", b"databaseChangeLog:\n- changeSet: {id: 'x, author: a}\n", &["b.yaml:2"]),
        ("b.yaml", b"databaseChangeLog: []\n---\na: 1\n", &["b.yaml:2: a second document"]),
        (
            "b.json",
            b"{\"databaseChangeLog\": [\n{\"a\": \"1\" \"b\": 2}]}",
            &["b.json:2: the JSON cannot be read at column"],
        ),
        ("b.json", b"{\"databaseChangeLog\": [ {\"changeSet\": {", &["b.json"]),
        ("b.json", br#"{"databaseChangeLog": [{"a": "\ud83d"}]}"#, &["b.json:1", "Unicode"]),
        ("b.xml", b"<databaseChangeLog>\n<changeSet id='1'>\n</databaseChangeLog>", &["b.xml:3"]),
        ("b.xml", b"<databaseChangeLog>\n&nope;</databaseChangeLog>", &["b.xml:2", "nope"]),
    ]);
}

#[test]
fn what_would_grow_or_nest_without_end_is_refused_at_once() {
    let laughs = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]>\n<databaseChangeLog>&c;</databaseChangeLog>";
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 5000].join(", "));
    let properties = (1..12)
        .map(|n| format!("--property name:p{n} value:{}\n", format!("${{p{}}}", n - 1).repeat(10)))
        .collect::<Vec<_>>()
        .concat();
    let properties = format!("{HEAD}--property name:p0 value:{}\n{properties}", "x".repeat(1000));
    let deep = |open: &str, close: &str| {
        let text = open.repeat(100_000) + &close.repeat(100_000);
        text.into_bytes()
    };
    bytes_refused(&[
        ("b.xml", laughs.as_bytes(), &["b.xml:1", "DTD", "Remove the `<!DOCTYPE>`"]),
        ("b.xml", &deep("<a>", "</a>"), &["b.xml:1: elements are nested too deep"]),
        ("b.yaml", long.as_bytes(), &["b.yaml:2: anchors (`&`) and aliases (`*`) stand for too"]),
        (
            "b.yaml",
            b"a: &a\n  <<: *a\ndatabaseChangeLog: []\n",
            &["an alias (`*`) names what holds"],
        ),
        ("b.yaml", &deep("[", ""), &["b.yaml:1", "nested too deep"]),
        ("b.yaml", &deep("- ", ""), &["b.yaml:1", "nested too deep"]),
        ("b.yaml", &deep("? ", ""), &["b.yaml:1", "nested too deep"]),
        ("b.yaml", &deep("{a: ", "}"), &["b.yaml:1", "nested too deep"]),
        ("b.json", &deep("{\"a\":", "}"), &["b.json:1", "nested too deep"]),
        ("a.sql", properties.as_bytes(), &["a.sql:6: the value of the property `p4` is longer"]),
    ]);
    // A statement may nest as deep as the server takes it; an expression of ours has no limit.
    let brackets = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    let context = format!("{HEAD}--changeset a:1 context:{}\nSELECT 1;\n", brackets(50_000));
    let statement = format!("{GOOD}--changeset a:2\nSELECT {};\n", brackets(50_000));
    let database = Server::shared().database();
    let bundle = Bundle::of(&[("a.sql", &context), ("b.sql", &statement)]);
    let with = |path: &str, contexts: &str| json!({ "Path": path, "Contexts": contexts });
    apply(&database, &bundle, &with("a.sql", "a")).succeeded();
    apply(&database, &bundle, &with("a.sql", &brackets(50_000))).succeeded();
    apply(&database, &bundle, &json!("b.sql")).failed(&["changeset `a:2` (b.sql:5:"]);
}

#[test]
fn names_that_are_not_known_are_refused_with_the_closest() {
    let cases = [
        (
            yaml("createTabel: {tableName: t}"),
            "a.yaml:6: `createTabel` is not known",
            "`createTable`?",
        ),
        (yaml("createPackage: {}"), "a.yaml:6: `createPackage` is not known", "as an `sql` change"),
        (
            yaml("createTable: {tabelName: t}"),
            "`tabelName` is not known in `createTable`",
            "`tableName`?",
        ),
        (
            yaml("x: {}").replace("id: 1", "id: 1\n    runOnChagne: true"),
            "`runOnChagne`",
            "`runOnChange`?",
        ),
        ("databaseChangeLog:\n- changset: {}\n".into(), "a.yaml:2: `changset`", "`changeSet`?"),
        (yaml("sql: {sql: a, splitStatement: x}"), "`splitStatement`", "`splitStatements`?"),
        (
            yaml("sql: SELECT 1\n    preConditions: [tabelExists: {tableName: t}]"),
            "`tabelExists`",
            "`tableExists`?",
        ),
        (yaml("sql: SELECT 1\n    modifySql: {}"), "a.yaml:7: `modifySql` is not supported", ""),
    ];
    let says: Vec<_> =
        cases.iter().map(|(text, a, b)| ([("a.yaml", text.as_str())], [*a, *b])).collect();
    let cases: Vec<Case<'_>> =
        says.iter().map(|(files, says)| (&files[..], json!("a.yaml"), &says[..])).collect();
    refused(&cases);
}

#[test]
fn files_of_other_programs_are_not_taken_for_what_they_are_not() {
    let goose = "-- +goose Up\nCREATE TABLE t ();\n-- +goose Down\nDROP TABLE t;\n";
    let dbmate = "\u{feff}-- migrate:up\nCREATE TABLE t ();\n-- migrate:down\nDROP TABLE t;\n";
    let include = "databaseChangeLog:\n- include: {file: a.sql}\n";
    let one = |name| -> [(&'static str, &'static str); 2] {
        [("db/V2__b.sql", "SELECT 1"), (name, "SELECT 2")]
    };
    let misnamed: &[&str] = &["it is no script of Flyway", "Flyway would pass it over"];
    refused(&[
        (
            &[("db/001_a.sql", goose)],
            json!("db"),
            &["db/001_a.sql:3: the file is goose's", "….down.sql"],
        ),
        (
            &[("db/001_a.sql", dbmate)],
            json!("db/001_a.sql"),
            &["db/001_a.sql:3: the file is dbmate's"],
        ),
        (
            &[("a.yaml", include), ("a.sql", goose)],
            json!("a.yaml"),
            &["a.sql:3: the file is goose's"],
        ),
        (&[("db/001_a.down.sql", "x")], json!("db"), &["there is no `.up.sql` beside it"]),
        (&one("db/V2.0__c.sql"), json!("db"), &["version 2", "is also that of", "another version"]),
        (
            &[("db/R__a.sql", "a"), ("db/x/R__a.sql", "b")],
            json!("db"),
            &["also the description of"],
        ),
        (&one("db/V1x__a.sql"), json!("db"), &["db/V1x__a.sql", "`1x` in its name is no version"]),
        (&one("db/V1_a.sql"), json!("db"), misnamed),
        (&one("db/V__a.sql"), json!("db"), misnamed),
        (&one("db/v1__a.sql"), json!("db"), misnamed),
        (&one("db/notes.sql"), json!("db"), misnamed),
        (&[("db/v1__a.sql", "x"), ("db/v2__b.sql", "x")], json!("db"), misnamed),
        (
            &one("db/afterMigrate.sql"),
            json!("db"),
            &["callbacks (`afterMigrate`) are not supported"],
        ),
        (&one("db/V3__c.java"), json!("db"), &["db/V3__c.java: only scripts in SQL are supported"]),
        (
            &[("db/V1__a.sql", "SELECT 1;\nSELECT ${nope};")],
            json!("db"),
            &[
                "db/V1__a.sql:2: the placeholder `${nope}` has no value",
                "Give `nope` in `Parameters`",
            ],
        ),
        (
            &[("db/V1__a.sql", ""), ("db/V1__a.sql.conf", "executeInTransaction=maybe\n")],
            json!("db"),
            &["db/V1__a.sql.conf:1: `executeInTransaction` is `maybe`"],
        ),
    ]);
}

#[test]
fn settings_that_name_nothing_or_cannot_be_read_are_refused() {
    let files = [("a.sql", GOOD), ("db/V1__a.sql", "SELECT 1")];
    let with = |path: &str, key: &str, value: &str| json!({ "Path": path, key: value });
    refused(&[
        (
            &files,
            with("a.sql", "ToTag", "nope"),
            &["tag `nope` of `ToTag` is neither in the changelog"],
        ),
        (&files, with("db", "ToTag", "99"), &["tag `99` of `ToTag`"]),
        (&files, with("a.sql", "Baseline", "nope"), &["`Baseline` is `nope`", "Name a version"]),
        (&files, with("db", "Baseline", "nope"), &["`nope` is no version"]),
        (&files, with("a.sql", "Contexts", "(a and"), &["the brackets of the expression `(a and`"]),
        (&files, with("a.sql", "Labels", "a)"), &["the brackets of the expression `a)`"]),
        (&files, with("a.sql", "Contex", "a"), &["did you mean `Contexts`?"]),
        (&files, json!({ "Path": "a.sql", "Inline": "SELECT 1" }), &["takes one of"]),
    ]);
}

#[test]
fn odd_names_line_ends_and_long_lines_are_no_reason_to_fail() {
    let database = Server::shared().database();
    let crlf = format!("{HEAD}--changeset ann:c\nCREATE TABLE c (\n a int);\n--comment: x\n--rollback DROP TABLE c;\n").replace('\n', "\r\n");
    let returns =
        format!("{HEAD}--changeset ann:r\n-- one\nCREATE TABLE r ();").replace('\n', "\r");
    let tabs = "\t--\tliquibase\tformatted\n\t--\tchangeset\tann:t\nCREATE\tTABLE\ttabs ();\n";
    let long = format!(
        "{HEAD}--changeset ann:l\nCREATE TABLE l AS SELECT length('{}') n;",
        "é".repeat(3 << 20)
    );
    let odd = "db/1 a \"b\" 'c' ü中;--$$.sql";
    for (path, text) in [
        (odd, &GOOD.replace("TABLE t", "TABLE odd")),
        ("crlf.sql", &crlf),
        ("returns.sql", &returns),
        ("tabs.sql", &tabs.to_owned()),
        ("long.sql", &long),
    ] {
        apply(&database, &Bundle::of(&[(path, text)]), &json!(path)).succeeded();
    }
    let tables = left(&database);
    for table in ["odd", "c", "r", "tabs", "l"] {
        assert!(tables.split(' ').any(|it| it == table), "{table}: {tables}");
    }
    assert_eq!(value(&database, "SELECT n FROM l"), (3 << 20).to_string());
    let of = "SELECT filename FROM databasechangelog WHERE id = '1'";
    assert_eq!(value(&database, of), odd);
    let crlf = "SELECT comments || ' ' || (SELECT rollback FROM execute_sql.changeset WHERE id = 'c') FROM databasechangelog WHERE id = 'c'";
    assert_eq!(value(&database, crlf), "x DROP TABLE c;");
}

#[test]
fn rows_that_a_csv_file_would_lose_in_silence_are_an_error() {
    for (csv, says) in [
        ("n\n\"1\n2\n3\n", "`d.csv`: a quote in line 2 is not closed"),
        ("n\n1,2\n", "`d.csv`:2 has 2 values, its header 1"),
        ("", "`d.csv` is empty"),
        ("m\n1\n", "column \"m\" of relation \"t\" does not exist"),
    ] {
        let database = Server::shared().database();
        let text =
            yaml("sql: CREATE TABLE t (n text)\n    - loadData: {file: d.csv, tableName: t}");
        let bundle = Bundle::of(&[("a.yaml", &text), ("d.csv", csv)]);
        apply(&database, &bundle, &json!("a.yaml")).failed(&["changeset `ann:1`", says]);
        assert!(!left(&database).contains(" t"), "{}", left(&database));
    }
}

#[test]
fn a_password_in_a_changeset_is_kept_nowhere() {
    let database = Server::shared().database();
    let role = format!("{}_r", database.name);
    let make = |how: &str| format!("DROP ROLE IF EXISTS {role};\n{how}\nDROP ROLE {role};\n");
    let texts = [
        make(&format!("CREATE ROLE {role} PASSWORD '{SECRET}';")),
        make(&format!("DO $$ BEGIN CREATE ROLE {role} PASSWORD '{SECRET}'; END $$;")),
        make(&format!("DO $$ BEGIN EXECUTE 'CREATE ROLE {role} PASSWORD ''{SECRET}'''; END $$;")),
        make(&format!("CREATE ROLE {role} PASSWORD '${{key}}';")),
        format!("SELECT 'host=x password={SECRET}';\n"),
        format!("SELECT 1;\n--rollback ALTER ROLE {role} PASSWORD '{SECRET}';\n"),
    ];
    let mut text = HEAD.to_owned();
    for (n, sql) in texts.iter().enumerate() {
        text.extend([format!("--changeset ann:{n}\n"), sql.clone()]);
    }
    let changelog = json!({ "Path": "a.sql", "Parameters": { "key": SECRET } });
    let bundle = Bundle::of(&[("a.sql", &text)]);
    apply(&database, &bundle, &changelog).succeeded();
    // An edit shows what it can, and a failure names the place.
    bundle.write("a.sql", text.replace("DROP ROLE IF", "DROP USER IF").as_bytes());
    apply(&database, &bundle, &changelog).failed(&["was changed since"]);
    let broken = format!("{HEAD}--changeset ann:x\nCREATE ROLE x PASSWORD '{SECRET}' nonsense;\n");
    bundle.write("b.sql", broken.as_bytes());
    apply(&database, &bundle, &json!("b.sql")).failed(&["changeset `ann:x` (b.sql:3:"]);

    let tables = left(&database);
    for table in tables.split(' ') {
        let found = format!("SELECT count(*) FROM {table} AS it WHERE it::text LIKE '%{SECRET}%'");
        assert_eq!(value(&database, &found), "0", "{table}");
    }
    let inline = json!({ "Inline": text });
    apply(&database, &bundle, &inline).failed(&["it holds a password in clear text"]);
}

/// A zip of one file whose name is changed afterwards, as no honest program would write it.
fn zip(name: &str, claims: Option<u32>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let good = "x".repeat(name.len());
    writer.start_file(&*good, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(GOOD.as_bytes()).unwrap();
    let mut bytes = writer.finish().unwrap().into_inner();
    for at in 0..bytes.len() - good.len() {
        if bytes[at..].starts_with(good.as_bytes()) {
            bytes[at..at + good.len()].copy_from_slice(name.as_bytes());
        }
    }
    if let Some(size) = claims {
        let at = bytes.windows(4).position(|it| it == b"PK\x01\x02").unwrap() + 24;
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    bytes
}

#[test]
fn a_zip_that_reaches_out_or_expands_without_end_is_refused() {
    let database = Server::shared().database();
    for (bytes, says) in [
        (zip("/aa/a.sql", None), "holds `/aa/a.sql`, whose path is absolute"),
        (zip("../aa/a.sql", None), "holds `../aa/a.sql`, whose path climbs out"),
        (zip("C:\\aa\\a.sql", None), "whose path is absolute"),
        (zip("aa/a.sql", Some(0x7fff_ffff)), "expands to 2047 MiB; the limit is 1024"),
        (zip("aa/a.sql", Some(0x1000_0000)), "expands to 200 times its size and more"),
        (zip("aa/a.sql", None)[..80].to_vec(), "is damaged or cut off"),
        (zip("aa/b.sql", None), "changelog `aa/a.sql` is not in `s3://releases/app.zip`"),
    ] {
        let listener = Listener::start(move |mut connection| {
            while connection.read().is_some() {
                connection.answer(200, &[], &bytes);
            }
        });
        let changelog = json!({ "Bucket": "releases", "Key": "app.zip", "Path": "aa/a.sql" });
        let bundle = Bundle::of(&[]);
        let mut command = command(&database, &bundle, &changelog);
        command.env("AWS_ENDPOINT_URL_S3", listener.origin()).envs([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ]);
        finished(command).failed(&["s3://releases/app.zip", says, "hint: "]);
    }
    assert_eq!(left(&database), "");
}

/// The program's peak of memory in MiB, as the system counts it.
fn peak(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut code) = (0, None);
    wait_until("the program ends", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: Option<u64> = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024);
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
    peak
}

/// The peaks of a file of so many MiB, in four ways; each way makes its own tables.
fn peaks(database: &Database, mib: usize) -> [u64; 4] {
    let bundle = Bundle::of(&[]);
    let write = |name: &str, head: &str, row: &str, end: &str| {
        let mut file = File::create(format!("{}/{name}", bundle.path())).unwrap();
        let block = row.repeat((1 << 20) / row.len());
        file.write_all(head.as_bytes()).unwrap();
        for _ in 0..mib {
            file.write_all(block.as_bytes()).unwrap();
        }
        file.write_all(end.as_bytes()).unwrap();
    };
    let row = format!("1\t{}\n", "x".repeat(500));
    let table = |name: &str| format!("CREATE TABLE {name}{mib} (a int, b text)");
    let copy = table("c");
    let copy = format!("{HEAD}--changeset ann:{mib}\n{copy};\nCOPY c{mib} FROM stdin;\n");
    write("copy.sql", &copy, &row, "\\.\nSELECT 1;\n");
    let small = "--changeset ann:same context:other\nSELECT 1;\n-- ".to_owned();
    write("small.sql", HEAD, &format!("{small}{}\n", "x".repeat(5000)), "");
    write(&format!("{mib}_plain.sql"), "SELECT 1;\n", &format!("-- {row}"), "");
    let load =
        yaml(&format!("sql: {}\n    - loadData: {{file: d.csv, tableName: l{mib}}}", table("l")));
    bundle.write(&format!("load{mib}.yaml"), load.as_bytes());
    write("d.csv", "a,b\n", &row.replace('\t', ","), "");
    let plain = format!("{mib}_plain.sql");
    let load = format!("load{mib}.yaml");
    ["copy.sql", "small.sql", &plain, &load].map(|path| {
        let changelog = json!({ "Path": path, "Contexts": "this" });
        peak(command(database, &bundle, &changelog))
    })
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let database = Server::shared().database();
    let (small, large) = (peaks(&database, 2), peaks(&database, 30));
    // Of 6,000 changesets each takes some memory; 8 MiB of texts are held for speed.
    for ((small, large), more) in small.into_iter().zip(large).zip([10, 50, 10, 10]) {
        assert!(small > 0 && large < small + more, "{small} MiB, {large} MiB");
    }
    let counts = "SELECT (SELECT count(*) FROM c30) = (SELECT count(*) FROM l30)";
    assert_eq!(value(&database, counts), "t");
}
