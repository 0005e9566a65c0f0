//! Files below a folder: a layer, the function's code, a project on somebody's disk.
//!
//! Nothing outside of the folder is ever read: each path is resolved, symbolic links
//! included, and must end below the folder. Links within are fine; layers have them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{CODE, LAYERS, SourceError};
use crate::changelog::files::{FileError, Files, normal};
use crate::request::value::closest;

/// No changelog is as large; what is larger is the wrong folder.
const MOST_FILES: usize = 100_000;
const MOST_LEVELS: usize = 64;

/// The files below one folder.
#[derive(Debug)]
pub struct Dir {
    /// Without links.
    root: PathBuf,
}

/// The first of the roots that has `path`, and the path in it.
pub fn find(path: &str, roots: &[PathBuf]) -> Result<(Dir, String), SourceError> {
    let (roots, relative) = meant(path, roots)?;
    for root in roots {
        let dir = match root.canonicalize() {
            Ok(root) => Dir { root },
            Err(error) if is_missing(&error) => continue,
            Err(error) => {
                return Err(SourceError::Unreadable(root.display().to_string(), error.to_string()));
            }
        };
        match dir.resolved(&relative) {
            Ok(_) => return Ok((dir, relative)),
            Err(FileError::Missing(_)) => {}
            Err(FileError::Climbs(path)) => return Err(SourceError::Climbs(path)),
            Err(FileError::Unreadable(path, why)) => {
                return Err(SourceError::Unreadable(path, why));
            }
        }
    }
    Err(SourceError::Missing {
        closest: roots.iter().find_map(|root| nearly(root, &relative)),
        searched: roots.iter().map(|root| root.display().to_string()).collect(),
        path: relative,
    })
}

/// Which roots are meant, and the path in them. An absolute path below a root means that one; one
/// below Lambda's folders means the same files where they are elsewhere, as on the command line.
fn meant<'a>(path: &str, roots: &'a [PathBuf]) -> Result<(&'a [PathBuf], String), SourceError> {
    let below = |root: &Path| Path::new(path).strip_prefix(root).ok()?.to_str();
    let own = roots.iter().enumerate().filter(|(_, root)| root.is_absolute());
    let own = own.into_iter().find_map(|(at, root)| Some((&roots[at..=at], below(root)?)));
    let in_lambda = || [LAYERS, CODE].iter().find_map(|root| below(Path::new(root)));
    let (roots, rest) = own.unwrap_or_else(|| (roots, in_lambda().unwrap_or(path)));
    match normal(rest) {
        Ok(relative) => Ok((roots, relative)),
        Err(_) => Err(SourceError::Climbs(path.to_owned())),
    }
}

/// What is there instead: the same path with one part called nearly the same.
fn nearly(root: &Path, path: &str) -> Option<String> {
    let mut there: Vec<&str> = Vec::new();
    let mut parts = path.split('/');
    while let Some(part) = parts.next() {
        let folder = root.join(there.join("/"));
        if folder.join(part).exists() {
            there.push(part);
            continue;
        }
        let names = fs::read_dir(folder).ok()?.take(MOST_FILES);
        let names: Vec<String> =
            names.filter_map(|it| it.ok()?.file_name().into_string().ok()).collect();
        there.push(closest(part, names.iter().map(String::as_str))?);
        there.extend(parts);
        let found = there.join("/");
        return root.join(&found).exists().then_some(found);
    }
    None
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl Dir {
    /// The file or folder on the disk, which is below the root.
    fn resolved(&self, path: &str) -> Result<PathBuf, FileError> {
        let relative = normal(path)?;
        if relative.contains('\0') {
            return Err(FileError::Missing(path.to_owned()));
        }
        match self.root.join(relative).canonicalize() {
            Ok(found) if found.starts_with(&self.root) => Ok(found),
            Ok(_) => Err(FileError::Climbs(path.to_owned())),
            Err(error) if is_missing(&error) => Err(FileError::Missing(path.to_owned())),
            Err(error) => Err(unreadable(path, &error)),
        }
    }
}

impl Files for Dir {
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, FileError> {
        let found = self.resolved(path)?;
        let kind = found.metadata().map_err(|error| unreadable(path, &error))?;
        if kind.is_dir() {
            return Err(FileError::Missing(path.to_owned()));
        }
        // Opening a pipe would wait for somebody to write to it.
        if !kind.is_file() {
            return Err(FileError::Unreadable(path.to_owned(), "it is no regular file".into()));
        }
        match File::open(found) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Option<Vec<String>>, FileError> {
        let found = match self.resolved(folder) {
            Ok(found) if found.is_dir() => found,
            Ok(_) | Err(FileError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut walk = Walk { root: &self.root, above: vec![found], files: Vec::new(), seen: 0 };
        walk.folder(&normal(folder)?)?;
        Ok(Some(walk.files))
    }
}

struct Walk<'a> {
    root: &'a Path,
    /// The folders on the way down, without links; the last is the one at hand.
    above: Vec<PathBuf>,
    files: Vec<String>,
    seen: usize,
}

impl Walk<'_> {
    fn folder(&mut self, path: &str) -> Result<(), FileError> {
        let failed = |error: io::Error| unreadable(path, &error);
        let here = self.above.last().cloned().unwrap_or_default();
        for entry in fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let below = |name: &str| match path {
                "" => name.to_owned(),
                _ => format!("{path}/{name}"),
            };
            let Some(name) = name.to_str().map(below) else {
                let name = below(&name.to_string_lossy());
                return Err(FileError::Unreadable(name, "its name is no UTF-8".into()));
            };
            self.seen += 1;
            if self.seen > MOST_FILES {
                let why = format!("it holds more than {MOST_FILES} files");
                return Err(FileError::Unreadable(path.to_owned(), why));
            }
            let kind = entry.file_type().map_err(failed)?;
            // A link that leads nowhere, or a file outside, is listed: opening it says why it is
            // not read, but only if it is wanted.
            let into = match entry.path() {
                real if kind.is_dir() => Some(real),
                link if kind.is_symlink() => link.canonicalize().ok().filter(|it| it.is_dir()),
                _ => None,
            };
            match into {
                Some(folder) => self.enter(folder, &name)?,
                None => self.files.push(name),
            }
        }
        Ok(())
    }

    fn enter(&mut self, folder: PathBuf, path: &str) -> Result<(), FileError> {
        if !folder.starts_with(self.root) {
            return Err(FileError::Climbs(path.to_owned()));
        }
        if self.above.contains(&folder) || self.above.len() >= MOST_LEVELS {
            let why = "folders lie in each other without an end".to_owned();
            return Err(FileError::Unreadable(path.to_owned(), why));
        }
        self.above.push(folder);
        self.folder(path)?;
        self.above.pop();
        Ok(())
    }
}

fn unreadable(path: &str, error: &io::Error) -> FileError {
    FileError::Unreadable(path.to_owned(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    /// A folder for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(files: &[&str]) -> Self {
            let name = format!("execute-sql-dir-{:016x}", fastrand::u64(..));
            let folder = Self(std::env::temp_dir().join(name));
            for file in files {
                let path = folder.0.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("of {file}")).unwrap();
            }
            folder
        }

        fn dir(&self) -> Dir {
            Dir { root: self.0.join("root").canonicalize().unwrap() }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn read(files: &dyn Files, path: &str) -> Result<String, FileError> {
        let mut text = String::new();
        files.open(path)?.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    fn listed(files: &dyn Files, folder: &str) -> Vec<String> {
        let mut found = files.list(folder).unwrap().unwrap();
        found.sort();
        found
    }

    #[test]
    fn the_first_root_that_has_the_path_serves_all() {
        let folder = Folder::new(&["a/db/x.sql", "b/db/x.sql", "b/db/only.sql", "b/y.sql"]);
        let roots = [folder.0.join("none"), folder.0.join("a"), folder.0.join("b")];
        let (dir, path) = find("classpath:/db/x.sql", &roots).unwrap();
        assert_eq!(path, "db/x.sql");
        assert_eq!(read(&dir, &path).unwrap(), "of a/db/x.sql");
        assert_eq!(read(&dir, "db/only.sql"), Err(FileError::Missing("db/only.sql".into())));
        let (dir, path) = find("./db/only.sql", &roots).unwrap();
        assert_eq!(read(&dir, &path).unwrap(), "of b/db/only.sql");
        assert_eq!(listed(&dir, "db"), ["db/only.sql", "db/x.sql"]);
        assert_eq!(listed(&dir, ""), ["db/only.sql", "db/x.sql", "y.sql"]);
        assert_eq!(dir.list("y.sql").unwrap(), None);
        assert_eq!(dir.list("none").unwrap(), None);
        assert_eq!(read(&dir, "db"), Err(FileError::Missing("db".into())));
        let absolute = folder.0.join("b/db");
        let (dir, path) = find(absolute.to_str().unwrap(), &roots).unwrap();
        assert_eq!((path.as_str(), read(&dir, "y.sql").is_ok()), ("db", true));
        for path in ["/opt/db/only.sql", "/var/task/db/only.sql"] {
            assert_eq!(find(path, &roots).unwrap().1, "db/only.sql");
        }
    }

    #[test]
    fn what_is_missing_is_told_with_where_it_was_looked_for_and_what_is_there() {
        let folder = Folder::new(&["b/db/Changelog.yaml"]);
        let roots = [folder.0.join("a"), folder.0.join("b")];
        for (path, wanted) in [
            ("db/changelog.yaml", Some("db/Changelog.yaml")),
            ("db/changelog.yml", Some("db/Changelog.yaml")),
            ("bd/Changelog.yaml", Some("db/Changelog.yaml")),
            ("db/Changelog.yaml/x", None),
            ("other.sql", None),
        ] {
            let error = find(path, &roots).unwrap_err();
            let SourceError::Missing { searched, closest, .. } = &error else { panic!("{error}") };
            assert_eq!(searched.len(), 2);
            assert_eq!(closest.as_deref(), wanted, "{path}");
        }
        assert_eq!(find("../x", &roots).unwrap_err(), SourceError::Climbs("../x".into()));
        let climbs = roots[1].join("../a").to_str().unwrap().to_owned();
        assert_eq!(find(&climbs, &roots).unwrap_err(), SourceError::Climbs(climbs));
    }

    #[test]
    fn a_link_may_lead_about_inside_but_not_out() {
        let folder = Folder::new(&["root/real/x.sql", "out/secret.sql", "rootless/secret.sql"]);
        let root = folder.0.join("root");
        symlink("real", root.join("inside")).unwrap();
        symlink("../out/secret.sql", root.join("file.sql")).unwrap();
        symlink("nowhere", root.join("broken.sql")).unwrap();
        let dir = folder.dir();
        assert_eq!(read(&dir, "inside/x.sql").unwrap(), "of root/real/x.sql");
        assert_eq!(listed(&dir, "inside"), ["inside/x.sql"]);
        assert_eq!(listed(&dir, ""), ["broken.sql", "file.sql", "inside/x.sql", "real/x.sql"]);
        assert_eq!(read(&dir, "file.sql"), Err(FileError::Climbs("file.sql".into())));
        assert_eq!(read(&dir, "broken.sql"), Err(FileError::Missing("broken.sql".into())));
        assert_eq!(
            read(&dir, "../rootless/secret.sql"),
            Err(FileError::Climbs("../rootless/secret.sql".into()))
        );
        symlink("../../out", root.join("real/out")).unwrap();
        assert_eq!(dir.list("real"), Err(FileError::Climbs("real/out".into())));
        assert_eq!(find("real/out", &[root]).unwrap_err(), SourceError::Climbs("real/out".into()));
    }

    #[test]
    fn a_link_to_a_folder_above_is_not_followed_for_ever() {
        let folder = Folder::new(&["root/a/x.sql"]);
        symlink("..", folder.0.join("root/a/up")).unwrap();
        assert!(matches!(folder.dir().list("a"), Err(FileError::Unreadable(..))));
    }

    proptest! {
        #[test]
        fn no_path_leads_out(parts in prop::collection::vec(
            prop_oneof![Just(".."), Just("."), Just(""), Just("a"), Just("out"), Just("up"), Just("x.sql"),
                        Just("\0"), Just("C:"), Just("classpath:"), Just("..\\.."), Just("é")],
            0..8,
        )) {
            let folder = Folder::new(&["root/a/x.sql", "x.sql", "a/x.sql"]);
            symlink("../..", folder.0.join("root/a/out")).unwrap();
            symlink("..", folder.0.join("root/a/up")).unwrap();
            let dir = folder.dir();
            if let Ok(text) = read(&dir, &parts.join("/")) {
                prop_assert_eq!(text, "of root/a/x.sql");
            }
            drop(dir.list(&parts.join("/")));
        }
    }
}
