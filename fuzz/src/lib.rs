//! What the targets share: all pieces of a text, and a bundle of one file.

use execute_sql::sql::split::{Piece, SplitError, Splitter};

/// All pieces of a text that comes in chunks of about `step` bytes.
pub fn pieces(sql: &str, step: usize) -> Result<Vec<Piece>, SplitError> {
    let (mut splitter, mut found, mut at) = (Splitter::default(), Vec::new(), 0);
    while at < sql.len() {
        let end = sql.ceil_char_boundary((at + step).min(sql.len()));
        let mut chunk = &sql[at..end];
        at = end;
        while let Some(piece) = splitter.next(&mut chunk)? {
            found.push(piece);
        }
    }
    while let Some(piece) = splitter.finish()? {
        found.push(piece);
    }
    Ok(found)
}

#[cfg(feature = "changelog")]
pub use changelog::{csv, flyway, read};

#[cfg(feature = "changelog")]
mod changelog {
    use std::collections::BTreeMap;
    use std::io::Read;

    use execute_sql::changelog::{
        Changelog, ChangelogError, FileError, Files, Properties, Work, flyway, root,
    };

    /// A bundle in memory.
    struct Memory<'a>(BTreeMap<String, &'a [u8]>);

    impl Files for Memory<'_> {
        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
            match self.0.get(path) {
                Some(bytes) => Ok(Box::new(*bytes)),
                None => Err(FileError::Missing(path.to_owned())),
            }
        }

        fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
            Ok(folder.is_empty().then(|| self.0.keys().cloned().collect()))
        }
    }

    /// Errors have something to say.
    fn told(read: Result<Changelog, Vec<ChangelogError>>) -> Option<Changelog> {
        match read {
            Ok(changelog) => Some(changelog),
            Err(errors) => {
                assert!(!errors.is_empty());
                assert!(errors.iter().all(|error| !error.what.is_empty()));
                None
            }
        }
    }

    /// Reads a changelog of one file; any bytes give a value or errors that have something to say.
    pub fn read(path: &str, bytes: &[u8]) {
        let files = Memory(BTreeMap::from([(path.to_owned(), bytes)]));
        told(root::read(&files, path, &mut Properties::default()));
    }

    /// Reads a Flyway location whose files have these names, one on each line, and this text.
    pub fn flyway(names: &str, text: &[u8]) {
        let name = |it: &str| it.replace(['/', '\\', '\0'], "_");
        let files = names.lines().take(20).map(|it| (name(it), text));
        let files = Memory(files.collect());
        told(flyway::read(&files, "", &BTreeMap::from([("a".into(), "b".into())])));
    }

    /// Reads a CSV file, and makes its statements.
    pub fn csv(bytes: &[u8]) {
        let yaml = b"databaseChangeLog:\n- changeSet:\n    id: 1\n    author: a\n    changes:\n    \
            - loadData: {tableName: t, file: d.csv, columns: [{column: {name: n, type: numeric}}, \
            {column: {name: d, type: date}}, {column: {name: b, type: boolean}}]}\n";
        let files = [("a.yaml".to_owned(), &yaml[..]), ("d.csv".to_owned(), bytes)];
        let files = Memory(BTreeMap::from(files));
        let read = told(root::read(&files, "a.yaml", &mut Properties::default()));
        for changeset in read.into_iter().flat_map(|it| it.changesets) {
            for change in changeset.changes {
                if let Work::Load(load) = change.work {
                    let made = load.statements(&files, &[], &mut |sql| {
                        assert!(!sql.contains('\0'));
                        true
                    });
                    assert!(made.is_ok() || !made.unwrap_err().what.is_empty());
                }
            }
        }
    }
}
