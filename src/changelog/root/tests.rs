//! Held against the rows that Liquibase 4.28.0 itself wrote for `tests/changelogs/root`.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::changelog::files::memory::Memory;
use crate::changelog::{Work, expression::Selection};

fn bundle() -> Memory {
    let long = "a".repeat(114);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut add = |path: &str, bytes: &[u8]| files.insert(path.to_owned(), bytes.to_vec());
    add("master.yaml", include_bytes!("../../../tests/changelogs/root/master.yaml"));
    add("more.yaml", include_bytes!("../../../tests/changelogs/root/more.yaml"));
    add("more.xml", include_bytes!("../../../tests/changelogs/root/more.xml"));
    add("names.properties", include_bytes!("../../../tests/changelogs/root/names.properties"));
    add("db/inc.xml", include_bytes!("../../../tests/changelogs/root/db/inc.xml"));
    add("db/inc.json", include_bytes!("../../../tests/changelogs/root/db/inc.json"));
    add("db/more2.xml", include_bytes!("../../../tests/changelogs/root/db/more2.xml"));
    add("db/fmt.sql", include_bytes!("../../../tests/changelogs/root/db/fmt.sql"));
    add("db/fmt2.sql", include_bytes!("../../../tests/changelogs/root/db/fmt2.sql"));
    add("db/all/B.sql", include_bytes!("../../../tests/changelogs/root/db/all/B.sql"));
    add("db/all/a.yaml", include_bytes!("../../../tests/changelogs/root/db/all/a.yaml"));
    add("db/all/README.md", b"not a changelog");
    add("db/all/sub/z.xml", include_bytes!("../../../tests/changelogs/root/db/all/sub/z.xml"));
    add("db/raw/10_a.sql", include_bytes!("../../../tests/changelogs/root/db/raw/10_a.sql"));
    add("db/raw/1_a.sql", include_bytes!("../../../tests/changelogs/root/db/raw/1_a.sql"));
    add("db/raw/2_a.sql", include_bytes!("../../../tests/changelogs/root/db/raw/2_a.sql"));
    add("sqls/one.sql", include_bytes!("../../../tests/changelogs/root/sqls/one.sql"));
    add("sqls/two.sql", include_bytes!("../../../tests/changelogs/root/sqls/two.sql"));
    add("sqls/two.sql.x", include_bytes!("../../../tests/changelogs/root/sqls/two.sql.x"));
    add("sqls/three.sql", include_bytes!("../../../tests/changelogs/root/sqls/three.sql"));
    add(&format!("sqls/{long}.sql"), b"select 'long';\n");
    Memory(files)
}

fn read_with(files: &Memory, path: &str) -> Result<Changelog, Vec<ChangelogError>> {
    let mut properties = Properties::new(&BTreeMap::new(), &Selection::default());
    read(files, path, &mut properties)
}

fn one(yaml: &str) -> Result<Changeset, Vec<ChangelogError>> {
    let text = format!("databaseChangeLog:\n- changeSet:\n    id: 1\n    author: a\n{yaml}");
    let files = Memory::of(&[("a.yaml", text.as_str()), ("db/x.sql", "select 1;\n")]);
    read_with(&files, "a.yaml").map(|mut read| read.changesets.remove(0))
}

fn messages(errors: Vec<ChangelogError>) -> String {
    let all = errors.into_iter().map(|error| match &error.hint {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    });
    all.collect::<Vec<_>>().join("\n")
}

fn rows_are_liquibases(path: &str, rows: &str) {
    let read = read_with(&bundle(), path).map_err(messages).unwrap();
    let applies =
        |it: &&Changeset| expression::dbms_matches(it.filter.dbms.as_deref()) && !it.filter.ignored;
    let found: Vec<String> = read
        .changesets
        .iter()
        .filter(applies)
        .map(|it| {
            let identity = it.legacy.first().filter(|_| it.identity.id.contains('-'));
            let identity = identity.filter(|legacy| legacy.id.contains("UTC"));
            let identity = identity.unwrap_or(&it.identity);
            let columns = [
                &identity.id,
                &identity.author,
                &identity.path,
                &it.checksum.current,
                &it.description,
                &it.comments.replace('\n', "\\n"),
                it.tag.as_deref().unwrap_or_default(),
                &it.filter.contexts_column,
                &it.filter.labels_column,
            ];
            columns.join("|")
        })
        .collect();
    assert_eq!(found.join("\n"), rows.trim_end());
}

#[test]
fn the_rows_of_a_root_in_yaml_are_liquibases() {
    rows_are_liquibases("master.yaml", include_str!("../../../tests/changelogs/root/master.rows"));
}

#[test]
fn the_rows_of_odd_but_valid_files_are_liquibases() {
    rows_are_liquibases("more.yaml", include_str!("../../../tests/changelogs/root/more.rows"));
}

#[test]
fn what_is_wrong_is_told_at_once_and_by_name() {
    let text = "databaseChangeLog:\n- changeSet:\n    id: 1\n    author: a\n    changes:\n    - sqlFle: {path: x}\n    \
                - sql: ''\n    modifySql: {append: {value: x}}\n    rnAlways: true\n- chngeSet: {id: 1}\n- include: {file: ../x.yaml}\n\
                - include: {file: nope.yaml}\n- include: {file: db}\n- include: {file: db/x.txt}\n- includeAll: {path: gone}\n\
                - includeAll: {path: db, filter: com.example.Filter}\n- changeSet: {id: 2, author: a, runWith: psql}\n\
                - changeSet: {id: 3, changes: []}\n- changeSet: {id: 4, author: a, runOnChange: sometimes}\n- nothing\n";
    let files = Memory::of(&[("a.yaml", text), ("db/x.txt", "")]);
    let expected = "a.yaml:1: `nothing` stands in `databaseChangeLog`, where a map must be (Is a colon missing after it?)\n\
        a.yaml:6: `sqlFle` is not known as a change (Did you mean `sqlFile`?)\n\
        a.yaml:7: `sql` has no SQL (Write the text as its value, or take the change away.)\n\
        a.yaml:8: `modifySql` is not supported (Write the SQL as it must run, with `sql`.)\n\
        a.yaml:9: `rnAlways` is not known in `changeSet` (Did you mean `runAlways`?)\n\
        a.yaml:10: `chngeSet` is not known in `databaseChangeLog` (Did you mean `changeSet`?)\n\
        a.yaml:11: `../x.yaml`: the path leads out of the bundle (Name a path inside of the bundle.)\n\
        a.yaml:12: `nope.yaml`: there is no such file (Check the path, and that the bundle (layer, zip) holds the file.)\n\
        a.yaml:13: `db` is a folder (Take it in with `includeAll`.)\n\
        a.yaml:14: `db/x.txt` is no changelog: its name ends otherwise (A changelog ends in .sql, .yaml, .yml, .json or .xml.)\n\
        a.yaml:15: the folder `gone` is not there, or holds nothing that is asked for (Check the path; `errorIfMissingOrEmpty: false` lets it be empty.)\n\
        a.yaml:16: `filter: com.example.Filter` is a Java class, which is not possible here (Filter with `endsWithFilter`, or name the files so that their order is right.)\n\
        a.yaml:17: `runWith: psql` is not supported (Statements are run over the connection (`jdbc`); take `runWith` away.)\n\
        a.yaml:18: a changeset has no `author`\n\
        a.yaml:19: `runOnChange` is `sometimes`; it must be true or false";
    assert_eq!(messages(read_with(&files, "a.yaml").unwrap_err()), expected);
}

#[test]
fn files_that_include_each_other_are_refused_with_the_chain() {
    let files = Memory::of(&[
        ("a.yaml", "databaseChangeLog:\n- include: {file: db/b.xml}\n"),
        (
            "db/b.xml",
            "<databaseChangeLog>\n<includeAll path='../db' relativeToChangelogFile='true'/>\n</databaseChangeLog>",
        ),
    ]);
    let error = messages(read_with(&files, "a.yaml").unwrap_err());
    assert!(
        error.starts_with(
            "db/b.xml:2: files include each other without end: `a.yaml` -> `db/b.xml` -> `db/b.xml`"
        ),
        "{error}"
    );
}

#[test]
fn a_changeset_that_stands_twice_is_refused_unless_the_run_takes_one() {
    let twice = |first: &str, second: &str| {
        let text = format!(
            "databaseChangeLog:\n- changeSet: {{id: A, author: x, {first} changes: []}}\n\
             - changeSet: {{id: a, author: X, {second} changes: []}}\n"
        );
        let selection = Selection::new(Some("test"), None).unwrap();
        let mut properties = Properties::new(&BTreeMap::new(), &selection);
        read(&Memory::of(&[("a.yaml", &text)]), "a.yaml", &mut properties)
    };
    let error = messages(twice("", "").unwrap_err());
    let expected = "a.yaml:3: the changeset `X:a` of `a.yaml` stands here and in a.yaml:2";
    assert!(error.starts_with(expected), "{error}");
    assert!(twice("context: prod,", "context: test,").is_ok());
    assert!(twice("dbms: oracle,", "").is_ok());
}

#[test]
fn rollbacks_become_one_text() {
    let rollback = |text: &str| one(text).map_err(messages).unwrap().rollback;
    let sql = |text: &str| Rollback::Sql(text.into());
    let cases = [
        ("    rollback: drop table a\n", sql("drop table a;")),
        ("    rollback: |\n      drop table a; -- gone\n", sql("drop table a; -- gone\n;")),
        (
            "    rollback:\n    - sql: drop table a;\n    - sqlFile: {path: db/x.sql}\n",
            sql("drop table a;\nselect 1;"),
        ),
        (
            "    changes:\n    - sql: select 1\n    - rollback: drop table b\n    - rollback: drop table a\n",
            sql("drop table b;\ndrop table a;"),
        ),
        ("    rollback:\n", Rollback::Nothing),
        ("    rollback: not required\n", Rollback::Nothing),
        ("    rollback: {empty: {}}\n", Rollback::Nothing),
        ("    changes: []\n", Rollback::Unknown),
        (
            "    rollback: {changeSetId: 1, changeSetAuthor: A}\n",
            Rollback::Changeset { id: "1".into(), author: "A".into(), path: None },
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(rollback(yaml), expected, "{yaml}");
    }
    assert!(one("    rollback: {changeSetId: 2, changeSetAuthor: a}\n").is_err());
    assert!(one("    rollback: {tagDatabase: {tag: x}}\n").is_err());
}

#[test]
fn a_long_file_is_whole_in_a_rollback() {
    let long = format!("select 1;\n{}select '${{x}}';", "select 2;\n".repeat(200_000));
    let text = "databaseChangeLog:\n- property: {name: x, value: nine}\n- changeSet:\n    id: 1\n    author: a\n    \
                changes:\n    - sqlFile: {path: long.sql}\n    rollback:\n    - sqlFile: {path: long.sql}\n";
    let files = Memory::of(&[("a.yaml", text), ("long.sql", &long)]);
    let read = read_with(&files, "a.yaml").map_err(messages).unwrap();
    let Rollback::Sql(sql) = &read.changesets[0].rollback else { panic!("no SQL") };
    assert!(sql.starts_with("select 1;\nselect 2;") && sql.ends_with("\nselect 'nine';"));
    let Work::Sql(text) = &read.changesets[0].changes[0].work else { panic!("no SQL") };
    assert!(text.held.is_none() && text.len == sql.len() as u64);
}

#[test]
fn names_that_another_quoting_would_change_are_refused() {
    let made = |strategy: &str, table: &str| {
        one(&format!("    objectQuotingStrategy: {strategy}\n    changes:\n    - dropTable: {{tableName: {table}}}\n")).is_ok()
    };
    assert!(made("LEGACY", "ORDERS") && made("QUOTE_ALL_OBJECTS", "MyOrders"));
    assert!(!made("QUOTE_ALL_OBJECTS", "ORDERS") && !made("QUOTE_ONLY_RESERVED_WORDS", "MyOrders"));
    assert!(!made("QUOTE_NOTHING", "orders"));
}

#[test]
fn the_lines_of_sql_are_those_of_the_file() {
    let read = one("    changes:\n    - sql: |\n\n        select 1;\n        select 2;\n    - sqlFile: {path: db/x.sql}\n").unwrap();
    let lines: Vec<_> = read
        .changes
        .iter()
        .map(|it| match &it.work {
            Work::Sql(text) => text.lines.clone(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(lines, [vec![8, 9], vec![1]]);
}

#[test]
fn what_a_file_beside_the_changelog_needs_is_in_the_hint() {
    let text = "databaseChangeLog:\n- include: {file: b.yaml}\n";
    let files = Memory::of(&[("db/a.yaml", text), ("db/b.yaml", "databaseChangeLog: []")]);
    assert!(
        messages(read_with(&files, "db/a.yaml").unwrap_err())
            .contains("relativeToChangelogFile: true")
    );
}

#[test]
fn run_order_moves_changesets_to_the_ends_and_keeps_their_order() {
    let mut text = String::from("databaseChangeLog:\n");
    for (id, order) in
        [("a", "last"), ("b", ""), ("c", "first"), ("d", "last"), ("e", "first"), ("f", "")]
    {
        let order = if order.is_empty() { String::new() } else { format!(", runOrder: {order}") };
        text.extend([format!("- changeSet: {{id: {id}, author: x{order}, changes: []}}\n")]);
    }
    let read = read_with(&Memory::of(&[("a.yaml", &text)]), "a.yaml").unwrap();
    let ids: Vec<_> = read.changesets.iter().map(|it| it.identity.id.as_str()).collect();
    assert_eq!(ids, ["c", "e", "b", "f", "a", "d"]);
}

#[test]
fn an_include_that_may_be_missing_is_a_warning() {
    let text = "databaseChangeLog:\n- include: {file: gone.yaml, errorIfMissing: false}\n\
                - includeAll: {path: gone, errorIfMissingOrEmpty: false}\n";
    let read = read_with(&Memory::of(&[("a.yaml", text)]), "a.yaml").unwrap();
    assert_eq!((read.changesets.len(), read.warnings.len()), (0, 2));
}

#[test]
fn every_precondition_becomes_a_condition() {
    let names: BTreeSet<_> = match one(
        "    preConditions:\n    - onFail: mark_ran\n    - onError: WARN\n    - or:\n      - tableExists: {tableName: ORDERS, schemaName: s}\n      \
         - viewExists: {viewName: MyView}\n      - sequenceExists: {sequenceName: q}\n      - columnExists: {tableName: t, columnName: c}\n      \
         - indexExists: {indexName: i, tableName: t, columnNames: 'a, b'}\n      - foreignKeyConstraintExists: {foreignKeyName: f}\n      \
         - primaryKeyExists: {tableName: t}\n      - uniqueConstraintExists: {tableName: t, columnNames: 'a, b'}\n      \
         - tableIsEmpty: {tableName: t}\n      - rowCount: {tableName: t, expectedRows: 5}\n      - runningAs: {username: u}\n      \
         - dbms: {type: PostgreSQL}\n      - changeLogPropertyDefined: {property: nope}\n      \
         - changeSetExecuted: {id: 1, author: a, changeLogFile: 'classpath:x.xml'}\n    changes: []\n",
    ) {
        Ok(changeset) => {
            let read = changeset.preconditions.unwrap();
            assert_eq!(read.on_fail, crate::changelog::precondition::Otherwise::MarkRan);
            let [crate::changelog::precondition::Condition::Any(all)] = read.all.as_slice() else {
                panic!("{:?}", read.all)
            };
            all.iter().map(|it| format!("{it:?}")).collect()
        }
        Err(errors) => panic!("{}", messages(errors)),
    };
    assert_eq!(names.len(), 14);
    let has = |part: &str| assert!(names.iter().any(|it| it.contains(part)), "{part}");
    has("c.relname = 'orders'");
    has("c.relname = 'MyView'");
    has("Known { shown: \"dbms PostgreSQL\", holds: true }");
    has("Known { shown: \"changeLogPropertyDefined nope\", holds: false }");
    has("path: \"x.xml\"");
    has("count(*) = 5 FROM \\\"t\\\"");
    for wrong in [
        "tableExist: {tableName: t}",
        "tableExists: {table: t}",
        "customPrecondition: {className: X}",
        "onFail: SKIP",
    ] {
        assert!(
            one(&format!("    preConditions:\n    - {wrong}\n    changes: []\n")).is_err(),
            "{wrong}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_changelog_or_errors(parts in proptest::collection::vec(0..12usize, 0..12)) {
        const PARTS: [&str; 12] = ["databaseChangeLog:\n", "- changeSet:\n", "    id: 1\n", "    author: a\n", "    changes:\n",
            "    - sql: x\n", "- include: {file: a.yaml}\n", "    rollback:\n", "- preConditions:\n", "  - not:\n", "- property: {name: a, value: '${a}'}\n", "    ${a}: [*a, &a]\n"];
        let text: String = parts.iter().map(|at| PARTS[*at]).collect();
        let _ = read_with(&Memory::of(&[("a.yaml", &text)]), "a.yaml");
    }
}
