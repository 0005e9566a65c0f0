//! The files of a changelog, wherever they come from: a folder, a zip, a text.
//!
//! Paths are relative to the bundle, with `/` between their parts, and normal:
//! no `.`, no `..`, no leading `/`. [`normal`] makes them so, and refuses what
//! climbs out.

use std::io::Read;

/// A bundle of files.
pub trait Files: Send + Sync {
    /// Opens a file by its normal path.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError>;

    /// The paths of all files under a folder, however deep, in any order; `None` if
    /// there is no such folder. The bundle itself is the folder with the empty name.
    fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError>;
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {}", self.path(), self.what())]
pub enum FileError {
    /// There is no such file.
    Missing(String),
    /// The path leads out of the bundle.
    Climbs(String),
    /// Reading failed.
    Unreadable(String, String),
}

impl FileError {
    /// The path it is about.
    pub fn path(&self) -> &str {
        let (Self::Missing(path) | Self::Climbs(path) | Self::Unreadable(path, _)) = self;
        path
    }

    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            Self::Missing(_) => "there is no such file".into(),
            Self::Climbs(_) => "the path leads out of the bundle".into(),
            Self::Unreadable(_, why) => format!("it cannot be read: {why}"),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => {
                Some("Check the path, and that the bundle (layer, zip) holds the file.")
            }
            Self::Climbs(_) => Some("Name a path inside of the bundle."),
            Self::Unreadable(..) => None,
        }
    }
}

/// A path as Liquibase stores it: `classpath:` and leading `/` stripped, `\` turned into `/`, the
/// drive letter dropped, `.` and `..` resolved.
pub fn normal(path: &str) -> Result<String, FileError> {
    let slashed = path.replace('\\', "/");
    let bare = slashed.strip_prefix("classpath:").unwrap_or(&slashed);
    let bare = match bare.as_bytes() {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => &bare[2..],
        _ => bare,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in bare.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(FileError::Climbs(path.to_owned())),
            ".." => {}
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The folder that a file is in; empty for the bundle itself.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
pub mod memory {
    //! Files that a test writes down.

    use std::collections::BTreeMap;
    use std::io::{Cursor, Read};

    use super::{FileError, Files};

    /// Path to content.
    #[derive(Default)]
    pub struct Memory(pub BTreeMap<String, Vec<u8>>);

    impl Memory {
        /// A bundle of texts.
        pub fn of(files: &[(&str, &str)]) -> Self {
            let files = files.iter().map(|(path, text)| ((*path).into(), text.as_bytes().to_vec()));
            Self(files.collect())
        }
    }

    impl Files for Memory {
        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
            let bytes = self.0.get(path).ok_or_else(|| FileError::Missing(path.into()))?;
            Ok(Box::new(Cursor::new(bytes)))
        }

        fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
            let inside = format!("{folder}/");
            let is_in = |path: &&String| folder.is_empty() || path.starts_with(&inside);
            let found: Vec<_> = self.0.keys().filter(is_in).cloned().collect();
            Ok((!found.is_empty()).then_some(found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_stored_as_liquibase_stores_it() {
        for (path, stored) in [
            ("classpath:db/changelog/a.sql", "db/changelog/a.sql"),
            ("/db//x/../a.sql", "db/a.sql"),
            ("C:\\db\\a.sql", "db/a.sql"),
            ("./a.sql", "a.sql"),
        ] {
            assert_eq!(normal(path).unwrap(), stored);
        }
        assert_eq!(normal("db/../../x"), Err(FileError::Climbs("db/../../x".into())));
    }
}
