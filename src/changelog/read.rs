//! From the property `Changelog` and its files to changesets: the one way in.
//!
//! A folder of Flyway's names is read by Flyway's rules, everything else by
//! Liquibase's. Where the files come from is not known here.

use super::{
    Changelog, ChangelogError, Files, Place, Properties, expression, flyway, formatted, plain, root,
};
use crate::desired;

/// Reads the changelog that begins with the file or folder `root` of the bundle; empty is the
/// whole bundle.
pub fn read(
    files: &dyn Files,
    root: &str,
    wanted: &desired::Changelog,
) -> Result<Changelog, Vec<ChangelogError>> {
    if let Some(paths) = files.list(root).map_err(|error| vec![error.into()])? {
        if plain::kind_of(&paths) == plain::Kind::Flyway || is_mixed(files, &paths)? {
            return flyway::read(files, root, &wanted.parameters);
        }
    }
    let place = Place { file: "Changelog".into(), line: 0 };
    let selection =
        expression::Selection::new(wanted.contexts.as_deref(), wanted.labels.as_deref())
            .map_err(|what| vec![ChangelogError::at(&place, what)])?;
    root::read(files, root, &mut Properties::new(&wanted.parameters, &selection))
}

/// Whether a folder has Flyway's scripts beside others. It is read as Flyway's, which says what
/// is wrong with the others: in Liquibase's order `V10__` would run before `V2__`, all
/// of it anew.
fn is_mixed(files: &dyn Files, paths: &[String]) -> Result<bool, Vec<ChangelogError>> {
    for path in flyway::versioned(paths) {
        if !formatted::is_formatted(files, path).map_err(|error| vec![error])? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::Style;
    use super::super::files::memory::Memory;
    use super::*;
    use crate::ident::Identifier;

    fn wanted() -> desired::Changelog {
        desired::Changelog {
            source: desired::Source::Path(String::new()),
            contexts: None,
            labels: None,
            parameters: [("size".to_owned(), "9".to_owned())].into(),
            to_tag: None,
            table: Identifier::new("databasechangelog").unwrap(),
            schema: None,
            out_of_order: false,
            baseline: None,
        }
    }

    #[test]
    fn a_folder_of_flyways_names_is_flyways() {
        let files = Memory::of(&[("db/V1__a.sql", "select 1;"), ("db/R__b.sql", "select 2;")]);
        assert_eq!(read(&files, "db", &wanted()).unwrap().style, Style::Flyway);
    }

    #[test]
    fn parameters_go_before_what_files_define() {
        let text = "databaseChangeLog:\n- property: {name: size, value: 1}\n- changeSet:\n    \
                    id: '${size}'\n    author: a\n    changes: []\n";
        let files = Memory::of(&[("inline.yaml", text)]);
        let read = read(&files, "inline.yaml", &wanted()).unwrap();
        assert_eq!(read.changesets[0].identity.id, "9");
    }

    #[test]
    fn expressions_of_the_run_that_cannot_be_read_are_refused() {
        let wanted = desired::Changelog { contexts: Some("(a".into()), ..wanted() };
        assert!(
            read(&Memory::of(&[("a.yaml", "databaseChangeLog: []")]), "a.yaml", &wanted).is_err()
        );
    }
}
