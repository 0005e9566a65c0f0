//! Liquibase and this program share a history: what one ran, the other takes as run, row for row.
//!
//! The changelogs are in `tests/changelogs/interop`. Each test copies them into a folder of its
//! own, for it writes the properties beside them and edits them; Liquibase searches that folder, so
//! that both name files alike.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::time::Duration;

use serde_json::json;
use stage::Stage;
use support::folder::{dump, history};
use support::liquibase::VERSION;
use support::{Client, Database, Folder, Liquibase, Server, wait_until};

fn changelogs() -> Folder {
    Folder::copy_of("changelogs/interop")
}

fn liquibase<'a>(folder: &'a Folder, database: &'a Database) -> Liquibase<'a> {
    Liquibase { database, folder: &folder.0 }
}

fn database() -> Database {
    Server::shared().database()
}

/// The history but for what differs from run to run: `DATEEXECUTED` and `DEPLOYMENT_ID`.
fn rows(database: &Database) -> Vec<String> {
    history(
        database,
        "id, author, filename, orderexecuted, exectype, md5sum, description, comments, tag, \
         liquibase, contexts, labels",
    )
}

/// Both ran the same, wrote the same, and made the same of it.
#[track_caller]
fn same(liquibase: &Database, ours: &Database) {
    let (theirs, written) = (rows(liquibase), rows(ours));
    for (theirs, ours) in theirs.iter().zip(&written) {
        assert_eq!(theirs, ours, "left: Liquibase's");
    }
    assert_eq!(theirs.len(), written.len(), "{theirs:#?}\n{written:#?}");
    let (theirs, made) = (dump(liquibase, &[]), dump(ours, &[]));
    for (theirs, ours) in theirs.lines().zip(made.lines()) {
        assert_eq!(theirs, ours, "left: after Liquibase");
    }
    assert_eq!(theirs, made, "left: after Liquibase");
}

/// The one road of most tests: each migrates a database of its own, and is then asked about the
/// other's. `ours` is our `Changelog`, `theirs` the file that Liquibase is given.
#[track_caller]
fn both_ways(ours: &str, theirs: &str, expected: usize) {
    let (folder, by_liquibase, by_us) = (changelogs(), database(), database());
    std::thread::scope(|scope| {
        scope.spawn(|| liquibase(&folder, &by_liquibase).update(theirs, &[]));
        folder.apply(&by_us, ours);
    });
    same(&by_liquibase, &by_us);
    assert_eq!(rows(&by_us).len(), expected);
    assert!(rows(&by_us).iter().all(|row| row.contains(VERSION)));
    folder.is_up_to_date(&by_us, ours);
    folder.is_up_to_date(&by_liquibase, ours);
    let before = history(&by_us, "*");
    assert_eq!(liquibase(&folder, &by_us).status(theirs, &[]), Ok(()));
    assert_eq!(history(&by_us, "*"), before);
}

#[test]
fn a_formatted_file_is_the_same_to_both() {
    both_ways("formatted.sql", "formatted.sql", 59);
}

#[test]
fn without_an_end_delimiter_a_line_of_go_or_a_slash_ends_a_statement() {
    let (folder, by_liquibase, by_us) = (changelogs(), database(), database());
    liquibase(&folder, &by_liquibase).update("small/go.sql", &[]);
    folder.apply(&by_us, "small/go.sql");
    same(&by_liquibase, &by_us);
}

#[test]
fn a_mixed_root_in_yaml_is_the_same_to_both() {
    both_ways("mixed/root.yaml", "mixed/root.yaml", 42);
}

#[test]
fn a_mixed_root_in_xml_is_the_same_to_both() {
    both_ways("mixed/root.xml", "mixed/root.xml", 42);
}

#[test]
fn a_folder_of_sql_files_is_the_same_to_both() {
    both_ways("raw", "raw.yaml", 11);
}

#[test]
fn either_goes_on_where_the_other_stopped() {
    let (folder, whole) = (changelogs(), database());
    let (theirs_first, ours_first) = (database(), database());
    let root = "mixed/root.yaml";
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = format!("--changelog-file={root}");
            liquibase(&folder, &theirs_first).must(&["update-to-tag", &file, "--tag=half"]);
        });
        folder.apply(&whole, root);
        folder.apply(&ours_first, &format!("{{Path: {root}, ToTag: half}}"));
    });
    assert_eq!(rows(&theirs_first), rows(&ours_first));
    let half = rows(&ours_first).len();
    assert!(half > 20 && half < rows(&whole).len(), "{half}");
    assert_eq!(dump(&theirs_first, &[]), dump(&ours_first, &[]));

    folder.apply(&theirs_first, root);
    let said = liquibase(&folder, &ours_first).update(root, &[]);
    assert!(said.contains(&format!("Previously run:{half:>16}")), "{said}");
    same(&whole, &theirs_first);
    same(&whole, &ours_first);
}

#[test]
fn contexts_labels_and_parameters_choose_the_same_changesets() {
    let (folder, by_liquibase, by_us) = (changelogs(), database(), database());
    let chosen =
        ["--contexts=prod,own,all", "--label-filter=one or (nested and !deeper)", "-Dwho=given"];
    liquibase(&folder, &by_liquibase).update("small/selection.yaml", &chosen);
    let ours = "{Path: small/selection.yaml, Contexts: 'prod,own,all', \
                Labels: 'one or (nested and !deeper)', Parameters: {who: given}}";
    folder.apply(&by_us, ours);
    same(&by_liquibase, &by_us);
    folder.is_up_to_date(&by_us, ours);
    // A list is the same as a text with commas; without a choice everything else runs.
    folder.is_up_to_date(&by_us, &ours.replace("'prod,own,all'", "[prod, own, all]"));
    let before = rows(&by_us).len();
    folder.apply(&by_us, "small/selection.yaml");
    assert!(rows(&by_us).len() > before);
}

#[test]
fn what_runs_again_leaves_the_same_rows_and_an_edit_is_refused_by_both() {
    let (folder, one, other) = (changelogs(), database(), database());
    let file = "small/rerun.sql";
    liquibase(&folder, &one).update(file, &[]);
    folder.apply(&other, file);
    same(&one, &other);

    folder.edit(file, "'on change, version 1'", "'on change, version 2'");
    liquibase(&folder, &one).update(file, &[]);
    folder.apply(&other, file);
    same(&one, &other);
    assert!(rows(&one).iter().any(|row| row.contains("RERAN")));

    // Each goes on in the other's database.
    folder.apply(&one, file);
    liquibase(&folder, &other).update(file, &[]);
    same(&other, &one);

    folder.edit(file, "VALUES ('plain')", "VALUES ('edited')");
    let before = [history(&one, "*"), history(&other, "*")];
    for command in ["plan", "apply", "verify"] {
        let said = folder.run(&other, command, file);
        assert_eq!(said.code, Some(1), "{command}: {}{}", said.out, said.err);
        let text = said.out + &said.err;
        assert!(text.contains("run:plain") && text.contains(file), "{command}: {text}");
    }
    let said = liquibase(&folder, &one).run(&["update", &format!("--changelog-file={file}")]);
    assert!(!said.ok && said.text.contains("but is now"), "{}", said.text);
    assert_eq!([history(&one, "*"), history(&other, "*")], before);
}

#[test]
fn an_empty_last_changeset_is_stored_as_by_liquibase() {
    let (folder, by_liquibase, by_us) = (changelogs(), database(), database());
    liquibase(&folder, &by_liquibase).update("small/empty-last.sql", &[]);
    folder.apply(&by_us, "small/empty-last.sql");
    same(&by_liquibase, &by_us);
}

/// A history as Liquibase 4.4 left it: sums of version 8, one row without a sum.
fn old_history(database: &Database) {
    let of_sql = |sql: &str| {
        let sql = sql.replace('\'', "''");
        format!("'8:' || md5('8:' || md5('null:true:true:{sql}') || ':')")
    };
    let client = database.master();
    client.exec(
        "CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL, \
         filename varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted int NOT NULL, \
         exectype varchar(10) NOT NULL, md5sum varchar(35), description varchar(255), \
         comments varchar(255), tag varchar(255), liquibase varchar(20), contexts varchar(255), \
         labels varchar(255), deployment_id varchar(10)); \
         CREATE TABLE databasechangeloglock (id int NOT NULL PRIMARY KEY, locked boolean NOT NULL, \
         lockgranted timestamp, lockedby varchar(255)); \
         INSERT INTO databasechangeloglock VALUES (1, false)",
    );
    let rows = [
        ("one", Some(of_sql("CREATE TABLE no_such (a int); CREATE TABLE neither (a int)"))),
        ("two", Some(of_sql("INSERT INTO no_such VALUES (1)"))),
        ("none", None),
        ("moved", Some(of_sql("SELECT 'a b'"))),
    ];
    for (order, (id, sum)) in rows.iter().enumerate() {
        let sum = sum.as_deref().unwrap_or("NULL");
        client.exec(&format!(
            "INSERT INTO databasechangelog VALUES ('{id}', 'old', 'old.sql', '2021-02-03 04:05:06', \
             {}, 'EXECUTED', {sum}, 'sql', '', NULL, '4.4.0', NULL, NULL, '1612325106')",
            order + 1
        ));
    }
}

#[test]
fn a_history_of_an_older_liquibase_is_adopted_and_nothing_runs() {
    let (folder, one, other) = (changelogs(), database(), database());
    folder.write(
        "old.sql",
        "--liquibase formatted sql\n\n\
         --changeset old:one\nCREATE TABLE no_such (a int);\n\n  CREATE\tTABLE neither (a int)\n\n\
         --changeset old:two\nINSERT INTO no_such VALUES (1)\n\
         --changeset old:none\nINSERT INTO no_such VALUES (2);\n\
         --changeset old:moved\nSELECT   'a  b'\n",
    );
    for database in [&one, &other] {
        old_history(database);
    }
    let before = dump(&one, &[]);
    // The sums above are Liquibase's own, or it would refuse.
    let said = liquibase(&folder, &one).update("old.sql", &[]);
    assert!(said.contains("Previously run:               4"), "{said}");
    folder.apply(&other, "old.sql");
    folder.is_up_to_date(&other, "old.sql");
    assert_eq!(dump(&other, &[]), before);
    let unsummed = |database: &Database| {
        let sql = "SELECT id, orderexecuted, exectype, dateexecuted, liquibase, deployment_id \
                   FROM databasechangelog ORDER BY orderexecuted";
        database.admin().rows(sql)
    };
    assert_eq!(unsummed(&other), unsummed(&one));
    // It takes what became of the sums, whether they were brought up to its version or left.
    assert_eq!(liquibase(&folder, &other).status("old.sql", &[]), Ok(()));

    folder.edit("old.sql", "INSERT INTO no_such VALUES (1)", "INSERT INTO no_such VALUES (3)");
    let said = folder.run(&other, "apply", "old.sql");
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
}

#[test]
fn identities_as_older_versions_stored_them_are_known() {
    // Liquibase runs such changesets again: to 4.4 and older a quote was a letter like any other.
    let (folder, database) = (changelogs(), database());
    folder.write(
        "quoted.sql",
        "--liquibase formatted sql\n\
         --changeset \"bob smith\":\"with blanks\"\nCREATE TABLE no_such (a int);\n",
    );
    old_history(&database);
    let client = database.master();
    client.exec(
        "DELETE FROM databasechangelog WHERE id <> 'none'; \
         UPDATE databasechangelog SET id = '\"with', author = '\"bob smith\"', \
         filename = 'classpath:/quoted.sql'",
    );
    drop(client);
    folder.apply(&database, "quoted.sql");
    assert_eq!(history(&database, "id").len(), 1);
    assert_eq!(database.admin().value("SELECT to_regclass('no_such') IS NULL"), "t");
    folder.is_up_to_date(&database, "quoted.sql");
}

/// A changeset that waits for the test: it takes a lock that the test holds.
const WAITING: &str = "--liquibase formatted sql\n\
    --changeset wait:1\nCREATE TABLE before (a int);\n\
    --changeset wait:2\nSELECT pg_advisory_lock(4711);\nSELECT pg_advisory_unlock(4711);\n\
    --changeset wait:3\nCREATE TABLE after (a int);\n";

/// Holds what [`WAITING`] waits for, as long as it lives.
fn gate(database: &Database) -> Client {
    let client = database.admin();
    client.exec("SELECT pg_advisory_lock(4711)");
    client
}

/// The sessions that wait at the gate.
fn waiting(database: &Database) -> Vec<i32> {
    let rows = database.admin().rows(
        "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = 4711 \
         AND NOT l.granted",
    );
    rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

fn locked_by(database: &Database) -> Option<String> {
    let sql = "SELECT lockedby FROM databasechangeloglock WHERE id = 1 AND locked";
    database.admin().rows(sql).first().map(|row| row[0].clone().unwrap())
}

#[test]
fn liquibase_waits_while_we_run() {
    let (folder, database) = (changelogs(), database());
    folder.write("wait.sql", WAITING);
    let gate = gate(&database);
    let ours = folder.start(&database, "wait.sql");
    wait_until("our changeset waits", || !waiting(&database).is_empty());
    assert!(locked_by(&database).is_some());
    let it = liquibase(&folder, &database);
    let file = "--changelog-file=wait.sql";
    let theirs = it.start(&["--log-level=INFO", "--changelog-lock-poll-rate=1", "update", file]);
    theirs.wait_for("Waiting for changelog lock");
    drop(gate);
    let output = ours.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = theirs.wait();
    assert!(said.ok, "{}", said.text);
    assert_eq!(rows(&database).len(), 3);
    assert_eq!(locked_by(&database), None);
}

#[test]
fn we_wait_while_liquibase_runs() {
    let (folder, database) = (changelogs(), database());
    folder.write("wait.sql", WAITING);
    let gate = gate(&database);
    let it = liquibase(&folder, &database);
    let theirs = it.start(&["update", "--changelog-file=wait.sql"]);
    wait_until("Liquibase's changeset waits", || !waiting(&database).is_empty());
    let holder = locked_by(&database).unwrap();
    let ours = folder.start(&database, "wait.sql");
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name LIKE 'execute-sql%'";
    wait_until("we are there", || database.admin().value(sessions) != "0");
    assert_eq!(locked_by(&database), Some(holder));
    drop(gate);
    let said = theirs.wait();
    assert!(said.ok, "{}", said.text);
    let output = ours.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows(&database).len(), 3);
    assert_eq!(locked_by(&database), None);
    folder.is_up_to_date(&database, "wait.sql");
}

#[test]
fn the_lock_row_of_our_own_killed_run_is_taken_over() {
    let (folder, database) = (changelogs(), database());
    folder.write("wait.sql", WAITING);
    let gate = gate(&database);
    let mut killed = folder.start(&database, "wait.sql");
    wait_until("our changeset waits", || !waiting(&database).is_empty());
    let pid = waiting(&database)[0];
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(locked_by(&database).is_some(), "the row is left, as by any runner that dies");
    database.admin().exec(&format!("SELECT pg_terminate_backend({pid}, 60000)"));
    drop(gate);
    folder.apply(&database, "wait.sql");
    assert_eq!(rows(&database).len(), 3);
    assert_eq!(locked_by(&database), None);
}

#[test]
fn a_lock_row_of_somebody_else_is_waited_for_named_and_taken_once_nobody_is_there() {
    let folder = changelogs();
    folder.write("one.sql", "CREATE TABLE one (a int);\n");
    let stage = Stage::with(Server::shared(), |it| {
        it.env("LAMBDA_TASK_ROOT", folder.0.to_str().unwrap()).timeout(Duration::from_secs(6))
    });
    stage.database.master().exec(
        "CREATE TABLE databasechangeloglock (id int NOT NULL PRIMARY KEY, locked boolean NOT NULL, \
         lockgranted timestamp, lockedby varchar(255)); \
         INSERT INTO databasechangeloglock VALUES (1, true, now(), 'build-7 (10.0.0.7)')",
    );
    // Its session; what says that somebody may be at work.
    let theirs = stage.database.master();
    let reason = stage.refused(json!({ "Changelog": "one.sql" }));
    assert!(reason.contains("build-7 (10.0.0.7)"), "{reason}");
    assert_eq!(locked_by(&stage.database).as_deref(), Some("build-7 (10.0.0.7)"));
    let table = "SELECT to_regclass('one') IS NULL";
    assert_eq!(stage.database.admin().value(table), "t");

    drop(theirs);
    folder.apply(&stage.database, "one.sql");
    assert_eq!(stage.database.admin().value(table), "f");
    assert_eq!(locked_by(&stage.database), None);
}
