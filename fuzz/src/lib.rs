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
pub use changelog::read;

#[cfg(feature = "changelog")]
mod changelog {
    use std::io::Read;

    use execute_sql::changelog::{FileError, Files, Properties, root};

    /// A bundle of one file.
    struct One<'a> {
        path: &'a str,
        bytes: &'a [u8],
    }

    impl Files for One<'_> {
        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
            if path == self.path {
                Ok(Box::new(self.bytes))
            } else {
                Err(FileError::Missing(path.to_owned()))
            }
        }

        fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
            Ok(folder.is_empty().then(|| vec![self.path.to_owned()]))
        }
    }

    /// Reads a changelog of one file; any bytes give a value or errors that have something to say.
    pub fn read(path: &str, bytes: &[u8]) {
        let mut properties = Properties::default();
        if let Err(errors) = root::read(&One { path, bytes }, path, &mut properties) {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| !error.what.is_empty()));
        }
    }
}
