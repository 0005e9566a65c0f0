//! The corpus of structural changes, held against what Liquibase 4.28.0 wrote for it.
//!
//! `rows.txt` is what its history held after `liquibase update`; the statements are a
//! snapshot, and were run: the schemas and rows they make are those that Liquibase made.
#![cfg(test)]

use super::*;
use crate::changelog::checksum;
use crate::changelog::files::memory::Memory;

const ROWS: &str = include_str!("../../../tests/changelogs/structural/rows.txt");
const CORPUS: [(&str, &str); 6] = [
    ("tables.yaml", include_str!("../../../tests/changelogs/structural/tables.yaml")),
    ("columns.yaml", include_str!("../../../tests/changelogs/structural/columns.yaml")),
    ("constraints.yaml", include_str!("../../../tests/changelogs/structural/constraints.yaml")),
    ("data.yaml", include_str!("../../../tests/changelogs/structural/data.yaml")),
    ("forms.xml", include_str!("../../../tests/changelogs/structural/forms.xml")),
    ("more.yaml", include_str!("../../../tests/changelogs/structural/more.yaml")),
];

fn files() -> Memory {
    Memory::of(&[
        ("data/odd.csv", include_str!("../../../tests/changelogs/structural/data/odd.csv")),
        ("data/odd2.csv", include_str!("../../../tests/changelogs/structural/data/odd2.csv")),
        ("data/auto.csv", include_str!("../../../tests/changelogs/structural/data/auto.csv")),
        ("data/tab.csv", include_str!("../../../tests/changelogs/structural/data/tab.csv")),
        ("data/typed.csv", include_str!("../../../tests/changelogs/structural/data/typed.csv")),
        ("data/update.csv", include_str!("../../../tests/changelogs/structural/data/update.csv")),
        ("data/update2.csv", include_str!("../../../tests/changelogs/structural/data/update2.csv")),
        ("views/p_file.sql", include_str!("../../../tests/changelogs/structural/views/p_file.sql")),
        ("views/v_file.sql", include_str!("../../../tests/changelogs/structural/views/v_file.sql")),
        ("views/v_xml.sql", include_str!("../../../tests/changelogs/structural/views/v_xml.sql")),
    ])
}

/// The changesets of a file: ids and changes.
fn changesets(file: &str, text: &str) -> Vec<(String, Vec<Change>)> {
    let files = files();
    let context = Context { files: &files, changelog: file, expand: &|text| text.to_owned() };
    let document = Node::document(text, file).unwrap();
    let changelog = document.child("databaseChangeLog").unwrap();
    let read_all = |changeset: &Node| {
        let changes = changeset.child("changes").unwrap_or(changeset).children();
        let changes = changes.iter().filter(|node| is_known(node.name()));
        let changes = changes.map(|node| read(node, &context).unwrap()).collect();
        (changeset.attr("id").unwrap().to_owned(), changes)
    };
    changelog.children_named("changeSet").map(read_all).collect()
}

fn statements(change: &Change) -> Vec<String> {
    match &change.work {
        Work::Statements(statements) => statements.clone(),
        Work::Load(load) => {
            let mut all = vec![format!("-- {}", load.file())];
            // What the database says of the tables' columns.
            let types = [("txt", "S"), ("Mixed", "S"), ("label", "S"), ("ok", "B"), ("u", "U")];
            let more = [("id", "N"), ("num", "N"), ("day", "D"), ("at", "D")];
            let types = types.into_iter().chain(more);
            let types: Vec<_> = types.map(|(name, of)| (name.into(), of.into())).collect();
            load.statements(&files(), &types, &mut |sql| {
                all.push(sql);
                true
            })
            .unwrap();
            all
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_history_is_what_liquibase_wrote() {
    let mut wrong = Vec::new();
    let mut rows = ROWS.lines();
    for (file, text) in CORPUS {
        for (id, changes) in changesets(file, text) {
            let ours = changes.iter().filter(|it| it.applies).map(|it| it.checksum.as_str());
            let sum = checksum::v9(&ours.collect::<Vec<_>>());
            let description: Vec<_> = changes.iter().map(|it| it.description.as_str()).collect();
            let mut description = description.join("; ");
            if description.len() > 250 {
                description = format!("{}...", &description[..247]);
            }
            let ours = format!("{file}|{id}|{sum}|{description}");
            let row = rows.next().unwrap();
            if ours != row {
                wrong.push(format!("ours   {ours}\ntheirs {row}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(rows.next(), None);
}

#[test]
fn the_statements_are_those_that_were_compared_with_liquibases() {
    for (file, text) in CORPUS {
        let mut sql = Vec::new();
        for (id, changes) in changesets(file, text) {
            sql.push(format!("-- {id}"));
            for statement in changes.iter().flat_map(statements) {
                sql.push(format!("{statement};"));
            }
        }
        insta::assert_snapshot!(file.replace('.', "_"), sql.join("\n"));
    }
}

fn one(yaml: &str) -> Result<Change, ChangelogError> {
    let files = files();
    let context =
        Context { files: &files, changelog: "db/root.yaml", expand: &|text| text.to_owned() };
    let document = Node::document(yaml, "db/root.yaml").unwrap();
    read(&document.children()[0], &context)
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place_and_the_way_out() {
    let named = "addForeignKeyConstraint: {constraintName: f, baseTableName: a, referencedTableName: b, \
                 baseColumnNames: x, referencedColumnNames: y,";
    let columns = "columns: [{column: {name: a, type: int}}]}";
    for (yaml, message, hint) in [
        (
            "createTabel: {}".to_owned(),
            "root.yaml:1: the change `createTabel` is not supported",
            Some("Did you mean `createTable`?"),
        ),
        (
            "customChange: {}".to_owned(),
            "the change `customChange` is not supported",
            Some("Write it as an `sql` change."),
        ),
        (format!("createTable: {{{columns}"), "`createTable` has no `tableName`", None),
        (format!("createTable: {{tableName: '', {columns}"), "has no `tableName`", None),
        ("createTable: {tableName: t}".to_owned(), "`createTable` has no `columns`", None),
        (
            "createTable:\n  tableName: t\n  tableSpace1: x".to_owned(),
            "root.yaml:3: `tableSpace1` is not known in `createTable`",
            Some("Did you mean `tablespace`?"),
        ),
        (
            "createTable: {tableName: t, columns: [{column: {name: a, typ: int}}]}".to_owned(),
            "`typ` is not known in `column`",
            Some("Did you mean `type`?"),
        ),
        (
            "createTable: {tableName: t, columns: [{column: {name: a}}]}".to_owned(),
            "the column `a` has no `type`",
            None,
        ),
        (
            "addColumn: {tableName: t, columns: [{column: {type: int}}]}".to_owned(),
            "`column` has no `name`",
            None,
        ),
        (
            "createTable: {tableName: t, columns: [{column: {name: a, type: int, \
             constraints: {nullable: maybe}}}]}"
                .to_owned(),
            "`nullable` is `maybe`; it must be true or false",
            None,
        ),
        (
            "createTable: {tableName: t, columns: [{column: {name: a, type: int, \
             constraints: {references: 'b(x'}}}]}"
                .to_owned(),
            "`references` is `b(x`",
            Some("Write it as `table(column)` or `schema.table(column)`."),
        ),
        (
            "createSequence: {sequenceName: s, startValue: x}".to_owned(),
            "`startValue` is `x`; it must be a whole number",
            None,
        ),
        (
            "createSequence: {sequenceName: s, ordered: true}".to_owned(),
            "`ordered` of `createSequence` is not supported",
            Some("PostgreSQL has no ordered sequences. Leave it out."),
        ),
        (
            format!("{named} onDelete: 'CASCADE; DROP TABLE t'}}"),
            "`onDelete` is `CASCADE; DROP TABLE t`, which is no action",
            Some("It can be CASCADE, SET NULL, SET DEFAULT, RESTRICT, NO ACTION."),
        ),
        (
            "insert: {tableName: t, columns: [{column: {name: a, value: \"to_date('x')\"}}]}"
                .to_owned(),
            "a `value` that begins with `to_date(` is an expression in Liquibase",
            Some("Write it as `valueComputed`."),
        ),
        (
            "insert: {tableName: t, columns: [{column: {name: a, valueBlobFile: x}}]}".to_owned(),
            "`valueBlobFile` of `column` is not supported",
            Some("Write the value itself, or load it with an `sql` change."),
        ),
        (
            "loadData: {tableName: t, file: nowhere.csv}".to_owned(),
            "db/root.yaml:1: `nowhere.csv`: there is no such file",
            Some("Check the path, and that the bundle (layer, zip) holds the file."),
        ),
        (
            "loadData: {tableName: t, file: data/odd.csv, encoding: latin1}".to_owned(),
            "the encoding `latin1` is not supported",
            Some("Store the file as UTF-8."),
        ),
        (
            "createView: {viewName: v, path: ../../x.sql, relativeToChangelogFile: true}".to_owned(),
            "the path leads out of the bundle",
            Some("Name a path inside of the bundle."),
        ),
        ("createView: {viewName: v}".to_owned(), "has neither a `path` nor a text", None),
        ("dropColumn: {tableName: t}".to_owned(), "`dropColumn` has no `columnName`", None),
        (
            "addDefaultValue: {tableName: t, columnName: c, defaultValue: a, defaultValueNumeric: 1}"
                .to_owned(),
            "`addDefaultValue` has both `defaultValue` and `defaultValueNumeric`",
            None,
        ),
    ] {
        let error = one(&yaml).unwrap_err();
        assert!(error.to_string().contains(message), "{yaml}: {error}");
        assert_eq!(error.hint.as_deref(), hint, "{yaml}");
    }
}

#[test]
fn a_change_for_another_database_does_not_run_and_needs_no_file() {
    let change = one("createProcedure: {dbms: 'oracle, h2', path: nowhere.sql}").unwrap();
    assert_eq!((change.applies, change.work), (false, Work::Nothing));
    assert!(
        one("insert: {dbms: '!oracle', tableName: t, columns: {name: a, value: x}}")
            .unwrap()
            .applies
    );
}

#[test]
fn a_name_or_a_value_is_never_sql() {
    let evil = "x\"; DROP TABLE t; --'";
    let yaml = serde_json::json!({"insert": {"tableName": evil, "schemaName": evil, "columns": [
        {"column": {"name": evil, "value": evil}}, {"column": {"name": "n", "valueSequenceNext": evil}},
    ]}});
    let Work::Statements(statements) = one(&yaml.to_string()).unwrap().work else { panic!() };
    let name = r#""x""; DROP TABLE t; --'""#;
    let value = r#"'x"; DROP TABLE t; --'''"#;
    let sequence = r#"'"x""; DROP TABLE t; --''"."x""; DROP TABLE t; --''"'"#;
    let expected =
        format!("INSERT INTO {name}.{name} ({name}, \"n\") VALUES ({value}, nextval({sequence}))");
    assert_eq!(statements, [expected]);
}

/// A file of any length that is made as it is read.
struct Endless {
    rows: u64,
}

impl Files for Endless {
    fn open(
        &self,
        _: &str,
    ) -> Result<Box<dyn std::io::Read + Send + '_>, crate::changelog::FileError> {
        use std::io::Read;
        let rows = (0..self.rows).map(|row| format!("{row},some text that is data\n").into_bytes());
        let chunks = std::iter::once(b"id,label\n".to_vec()).chain(rows);
        Ok(Box::new(Chunks { chunks, rest: Vec::new() }.take(u64::MAX)))
    }

    fn list(&self, _: &str) -> Result<Option<Vec<String>>, crate::changelog::FileError> {
        Ok(None)
    }
}

struct Chunks<I> {
    chunks: I,
    rest: Vec<u8>,
}

impl<I: Iterator<Item = Vec<u8>>> std::io::Read for Chunks<I> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.chunks.next().unwrap_or_default();
        }
        let len = into.len().min(self.rest.len());
        into[..len].copy_from_slice(&self.rest[..len]);
        self.rest.drain(..len);
        Ok(len)
    }
}

#[test]
fn a_large_file_comes_in_statements_of_some_hundred_rows() {
    let files = Endless { rows: 20_001 };
    let context = Context { files: &files, changelog: "a.xml", expand: &|text| text.to_owned() };
    let document = Node::document("loadData: {tableName: t, file: big.csv}", "a.yaml").unwrap();
    let Work::Load(load) = read(&document.children()[0], &context).unwrap().work else { panic!() };
    let (mut statements, mut longest) = (0, 0);
    load.statements(&files, &[], &mut |sql| {
        (statements, longest) = (statements + 1, longest.max(sql.len()));
        true
    })
    .unwrap();
    assert_eq!(statements, 41);
    assert!(longest < 300 * 1024, "{longest}");
    let mut first = None;
    load.statements(&files, &[], &mut |sql| {
        assert!(first.is_none(), "it goes on");
        first = Some(sql);
        false
    })
    .unwrap();
    let first = first.unwrap();
    assert!(
        first.starts_with("INSERT INTO \"t\" (\"id\", \"label\") VALUES ('0', "),
        "{first:.80}"
    );
    assert!(load.question().contains(r#"to_regclass('"t"')"#));
}

#[test]
fn a_row_that_does_not_fit_is_refused_with_its_line() {
    let files = Memory::of(&[("a.csv", "id,label\n1,one\n\n2,two,three\n"), ("b.csv", "")]);
    let context = Context { files: &files, changelog: "a.xml", expand: &|text| text.to_owned() };
    for (file, message) in [
        ("a.csv", "a.yaml:1: `a.csv`:4 has 3 values, its header 2"),
        ("b.csv", "a.yaml:1: `b.csv` is empty"),
    ] {
        let yaml = format!("loadData: {{tableName: t, file: {file}}}");
        let document = Node::document(&yaml, "a.yaml").unwrap();
        let Work::Load(load) = read(&document.children()[0], &context).unwrap().work else {
            panic!()
        };
        let error = load.statements(&files, &[], &mut |_| true).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

proptest::proptest! {
    #[test]
    fn any_change_gives_a_value_or_an_error(
        at in 0..NAMES.len(),
        fields in proptest::collection::vec((0..30_usize, "[a-z0-9(),.' ;:?\"\\\\-]{0,12}"), 0..8),
        columns in proptest::collection::vec((0..26_usize, "[a-z0-9(),.' ;:?\"\\\\-]{0,12}"), 0..6),
    ) {
        use serde_json::{Map, Value};
        let pick = |of: &shape::Shape, at: usize| of.fields()[at % of.fields().len().max(1)].name;
        let shape = shape::of(NAMES[at]).unwrap();
        let mut change = Map::new();
        for (field, text) in fields.iter().filter(|_| !shape.fields().is_empty()) {
            change.insert(pick(shape, *field).to_owned(), Value::String(text.clone()));
        }
        for field in shape.fields().iter().filter(|field| field.needed) {
            change.entry(field.name).or_insert_with(|| "x".into());
        }
        let column: Map<_, _> = columns
            .iter()
            .map(|(field, text)| (pick(&shape::COLUMN, *field).to_owned(), Value::String(text.clone())))
            .collect();
        change.remove("columns");
        if shape.fields().iter().any(|field| field.name == "columns") {
            change.insert("column".into(), Value::Object(column));
        }
        let _ = one(&serde_json::json!({NAMES[at]: change}).to_string());
    }
}
