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
        let mut sql = String::new();
        for (id, changes) in changesets(file, text) {
            sql += &format!("-- {id}\n");
            for statement in changes.iter().flat_map(statements) {
                sql += &format!("{statement};\n");
            }
        }
        insta::assert_snapshot!(file.replace('.', "_"), sql);
    }
}
