//! From a root file through its includes: every changeset in the order of the text.
//!
//! Global properties that an included file defines hold in what comes after it, so
//! files are read one after the other, and texts are expanded when their turn
//! has come. In YAML a file's own properties hold in all of it, also above them.

use std::collections::HashMap;

use super::changes::{missing, resolved};
use super::changeset::{Around, contexts, logical};
use super::node::Node;
use super::{changeset, conditions, property};
use crate::changelog::formatted::{self, Inherited};
use crate::changelog::text::{NUL, NUL_HINT};
use crate::changelog::{
    ChangelogError, Changeset, FileError, Files, Place, Preconditions, Properties, files, plain,
};

/// What may stand in a `databaseChangeLog`.
const KNOWN: [&str; 11] = [
    "changeSet",
    "include",
    "includeAll",
    "property",
    "preConditions",
    "logicalFilePath",
    "objectQuotingStrategy",
    "context",
    "contextFilter",
    "changeLogId",
    "schemaLocation",
];

/// Deeper than any project; each level takes room on the stack, which must not run over.
const DEEPEST: usize = 50;
/// Files that include others twice each, level below level, would never end.
const MOST_VISITS: usize = 1000;

/// The way through all files.
pub struct Walk<'a> {
    files: &'a dyn Files,
    properties: &'a mut Properties,
    /// The files that are being read, from the root down.
    chain: Vec<String>,
    /// How often a file was read.
    visits: HashMap<String, usize>,
    /// One was read too often: nothing more is read.
    stopped: bool,
    /// All changesets so far.
    pub changesets: Vec<Changeset>,
    /// Of the files themselves.
    pub preconditions: Vec<Preconditions>,
    /// What was understood otherwise than the author may have meant.
    pub warnings: Vec<String>,
    /// All that is wrong.
    pub errors: Vec<ChangelogError>,
}

/// What an included file is.
enum Kind {
    Tree,
    Sql,
    Unknown,
}

fn kind(path: &str) -> Kind {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("yaml" | "yml" | "json" | "xml") => Kind::Tree,
        Some("sql") => Kind::Sql,
        _ => Kind::Unknown,
    }
}

impl<'a> Walk<'a> {
    /// Nothing is read yet.
    pub fn new(files: &'a dyn Files, properties: &'a mut Properties) -> Self {
        Self {
            files,
            properties,
            chain: Vec::new(),
            visits: HashMap::new(),
            stopped: false,
            changesets: Vec::new(),
            preconditions: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Reads the root: a file or a folder.
    pub fn root(&mut self, path: &str) {
        let place = Place { file: path.to_owned(), line: 0 };
        let path = match files::normal(path) {
            Ok(path) => path,
            Err(error) => return self.errors.push(error.into()),
        };
        match self.files.list(&path) {
            Err(error) => self.errors.push(error.into()),
            Ok(Some(paths)) if matches!(kind(&path), Kind::Unknown) || self.is_folder(&path) => {
                if paths.is_empty() {
                    return self.errors.push(ChangelogError::at(&place, "the folder is empty"));
                }
                let numbered = plain::kind_of(&paths) == plain::Kind::Numbered;
                self.folder(paths, numbered, &place, &Inherited::default());
            }
            Ok(None) if matches!(kind(&path), Kind::Unknown) && self.files.open(&path).is_err() => {
                self.errors.push(FileError::Missing(path).into());
            }
            Ok(_) => self.file(&path, &place, &Inherited::default()),
        }
    }

    /// A folder may be called `x.sql`.
    fn is_folder(&self, path: &str) -> bool {
        self.files.open(path).is_err()
    }

    /// Reads the files of a folder.
    fn folder(&mut self, paths: Vec<String>, numbered: bool, place: &Place, inherited: &Inherited) {
        let sorted = if numbered { plain::by_number(paths) } else { plain::by_path(paths) };
        let all = match plain::paired(self.files, sorted) {
            Ok(all) => all,
            Err(errors) => return self.errors.extend(errors),
        };
        for one in all {
            if matches!(kind(&one.path), Kind::Unknown) {
                self.warnings.push(format!("`{}` is no changelog and is not read", one.path));
                continue;
            }
            let before = self.changesets.len();
            self.file(&one.path, place, inherited);
            if let (Some(down), [up]) = (one.down, &mut self.changesets[before..]) {
                up.rollback = down;
            }
        }
    }

    /// Reads a file that is there, or says at `place` that it is not.
    fn file(&mut self, path: &str, place: &Place, inherited: &Inherited) {
        if self.chain.iter().any(|above| above == path) {
            let chain: Vec<_> = self.chain.iter().map(String::as_str).chain([path]).collect();
            let what = format!("files include each other without end: `{}`", chain.join("` -> `"));
            let hint = "Take one of the includes away, or move the file out of the folder.";
            return self.errors.push(ChangelogError::at(place, what).hint(hint));
        }
        if self.chain.len() >= DEEPEST {
            let what = format!("includes are nested more than {DEEPEST} deep");
            let hint = "Include the files from one root file, one after the other.";
            return self.errors.push(ChangelogError::at(place, what).hint(hint));
        }
        if self.stopped {
            return;
        }
        let visits = self.visits.entry(path.to_owned()).or_default();
        *visits += 1;
        if *visits > MOST_VISITS {
            self.stopped = true;
            let what = format!("`{path}` is included more than {MOST_VISITS} times");
            let hint = "Include a file once.";
            return self.errors.push(ChangelogError::at(place, what).hint(hint));
        }
        self.chain.push(path.to_owned());
        let result = match kind(path) {
            Kind::Tree => self.tree(path, inherited),
            Kind::Sql => self.sql(path, inherited),
            Kind::Unknown => {
                let what = format!("`{path}` is no changelog: its name ends otherwise");
                let hint = "A changelog ends in .sql, .yaml, .yml, .json or .xml.";
                Err(vec![ChangelogError::at(place, what).hint(hint)])
            }
        };
        self.chain.pop();
        if let Err(errors) = result {
            self.errors.extend(errors);
        }
    }

    fn sql(&mut self, path: &str, inherited: &Inherited) -> Result<(), Vec<ChangelogError>> {
        let read = formatted::read(self.files, path, self.properties, inherited)?;
        self.changesets.extend(read.changesets);
        self.warnings.extend(read.warnings);
        Ok(())
    }

    fn tree(&mut self, path: &str, inherited: &Inherited) -> Result<(), Vec<ChangelogError>> {
        let text = self.text(path).map_err(|error| vec![error])?;
        let mut document = Node::document(&text, path).map_err(|error| vec![error])?;
        drop(text);
        let is_xml = path.to_ascii_lowercase().ends_with(".xml");
        if let Some(other) = document.children().iter().find(|it| it.name() != "databaseChangeLog")
        {
            if is_xml {
                return Err(vec![other.unknown("at the root", &["databaseChangeLog"])]);
            }
            // A place for anchors; Liquibase does not look at it.
            self.warnings.push(format!(
                "{}: `{}` stands beside `databaseChangeLog` and is not read",
                other.place(),
                other.name()
            ));
        }
        let Some(log) = document.take("databaseChangeLog") else {
            let place = Place { file: path.to_owned(), line: 0 };
            let error = ChangelogError::at(&place, "there is no `databaseChangeLog` in it");
            return Err(vec![
                error.hint("A changelog is one map with that key, and a list below it."),
            ]);
        };
        self.log(log, path, is_xml, inherited);
        Ok(())
    }

    fn text(&self, path: &str) -> Result<String, ChangelogError> {
        let mut bytes = super::bytes(self.files, path)?;
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let at = |good: &[u8], what: &str, hint: &str| {
            let line = good.split(|byte| *byte == b'\n').count();
            let place = Place { file: path.to_owned(), line };
            ChangelogError::at(&place, what).hint(hint)
        };
        if let Some(nul) = bytes.iter().position(|byte| *byte == 0) {
            return Err(at(&bytes[..nul], NUL, NUL_HINT));
        }
        String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            at(good, "the file is not in UTF-8", "Store it in UTF-8.")
        })
    }

    fn log(&mut self, mut log: Node, path: &str, is_xml: bool, inherited: &Inherited) {
        if !is_xml {
            for node in log.children_named("property") {
                let files = self.files;
                let warned = &mut self.warnings;
                if let Err(error) = property::define(node, path, files, self.properties, warned) {
                    self.errors.push(error);
                }
            }
            log.expand(|text| self.properties.expand(text, path));
        }
        let own = contexts(&log).map(str::to_owned);
        let stored = match log.filled("logicalFilePath") {
            Some(path) => logical(path),
            None => inherited.logical_path.clone().unwrap_or_else(|| path.to_owned()),
        };
        let quoting = match changeset::strategy(&log) {
            Ok(found) => found.map(str::to_owned),
            Err(error) => return self.errors.push(error),
        };
        // From the innermost outwards: first its own, then what its include and the files above say.
        let mut below = inherited.clone();
        below.logical_path = None;
        below.contexts.splice(0..0, own);
        for text in log.texts() {
            let what = format!("`{text}` stands in `databaseChangeLog`, where a map must be");
            self.errors.push(log.error(what).hint("Is a colon missing after it?"));
        }
        for mut node in log.into_children() {
            node.expand(|text| self.properties.expand(text, path));
            if let Err(errors) =
                self.entry(&node, path, &stored, quoting.as_deref(), is_xml, &below)
            {
                self.errors.extend(errors);
            }
        }
    }

    fn entry(
        &mut self,
        node: &Node,
        file: &str,
        path: &str,
        quoting: Option<&str>,
        is_xml: bool,
        inherited: &Inherited,
    ) -> Result<(), Vec<ChangelogError>> {
        let around =
            Around { files: self.files, file, path, properties: &*self.properties, quoting };
        let one = |error: ChangelogError| vec![error];
        match node.name() {
            "changeSet" => {
                let read = changeset::read(node, &around, inherited, &mut self.warnings)?;
                self.changesets.push(read);
                Ok(())
            }
            "include" => self.include(node, file, inherited).map_err(one),
            "includeAll" => self.include_all(node, file, inherited).map_err(one),
            "preConditions" => {
                self.preconditions.push(conditions::read(node, &around).map_err(one)?);
                Ok(())
            }
            // In YAML they are defined already.
            "property" if !is_xml => Ok(()),
            "property" => {
                property::define(node, file, self.files, self.properties, &mut self.warnings)
                    .map_err(one)
            }
            "modifyChangeSets" | "removeChangeSetProperty" => {
                Err(one(node.error(format!("`{}` is not supported", node.name()))))
            }
            name if KNOWN.contains(&name) => Ok(()),
            _ => Err(one(node.unknown("in `databaseChangeLog`", &KNOWN))),
        }
    }

    fn include(
        &mut self,
        node: &Node,
        file: &str,
        inherited: &Inherited,
    ) -> Result<(), ChangelogError> {
        node.only(&[
            "file",
            "relativeToChangelogFile",
            "context",
            "contextFilter",
            "labels",
            "logicalFilePath",
            "ignore",
            "errorIfMissing",
            "changeLogId",
        ])?;
        let path = resolved(node, node.required("file")?, file)?;
        let mut below = below(node, inherited)?;
        below.logical_path = node.filled("logicalFilePath").map(logical);
        match self.files.open(&path).map(drop) {
            Ok(()) => {}
            Err(error @ FileError::Missing(_)) if !node.flag("errorIfMissing", true)? => {
                self.warnings.push(format!("{}: {error}", node.place()));
                return Ok(());
            }
            Err(error) => {
                if matches!(self.files.list(&path), Ok(Some(_))) {
                    let what = format!("`{path}` is a folder");
                    return Err(node.error(what).hint("Take it in with `includeAll`."));
                }
                let properties = &*self.properties;
                let around =
                    Around { files: self.files, file, path: file, properties, quoting: None };
                return Err(missing(node, &error, &around));
            }
        }
        self.file(&path, &node.place(), &below);
        Ok(())
    }

    fn include_all(
        &mut self,
        node: &Node,
        file: &str,
        inherited: &Inherited,
    ) -> Result<(), ChangelogError> {
        for class in ["filter", "resourceFilter", "resourceComparator"] {
            if let Some(name) = node.filled(class) {
                let error = node.error(format!(
                    "`{class}: {name}` is a Java class, which is not possible here"
                ));
                return Err(error.hint(
                    "Filter with `endsWithFilter`, or name the files so that their order is right.",
                ));
            }
        }
        node.only(&[
            "path",
            "relativeToChangelogFile",
            "context",
            "contextFilter",
            "labels",
            "ignore",
            "errorIfMissingOrEmpty",
            "minDepth",
            "maxDepth",
            "endsWithFilter",
            "filter",
            "resourceFilter",
            "resourceComparator",
        ])?;
        let path = resolved(node, node.required("path")?, file)?;
        let below = below(node, inherited)?;
        let depth = |name: &str, default: usize| match node.filled(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                node.error(format!("`{name}` is `{text}`; it must be a whole number"))
            }),
        };
        let (least, most) = (depth("minDepth", 0)?, depth("maxDepth", usize::MAX)?);
        let ending = node.filled("endsWithFilter").unwrap_or_default().to_lowercase();
        let listed = self.files.list(&path).map_err(|error| {
            let hint = error.hint();
            let found = node.error(error.to_string());
            if let Some(hint) = hint { found.hint(hint) } else { found }
        });
        let mut paths = listed?.unwrap_or_default();
        paths.retain(|found| {
            let inside = found.strip_prefix(&path).unwrap_or(found).trim_start_matches('/');
            let depth = inside.matches('/').count() + 1;
            (least..=most).contains(&depth) && found.to_lowercase().ends_with(&ending)
        });
        if paths.is_empty() {
            let what =
                format!("the folder `{path}` is not there, or holds nothing that is asked for");
            if node.flag("errorIfMissingOrEmpty", true)? {
                let hint = "Check the path; `errorIfMissingOrEmpty: false` lets it be empty.";
                return Err(node.error(what).hint(hint));
            }
            self.warnings.push(format!("{}: {what}", node.place()));
            return Ok(());
        }
        self.folder(paths, false, &node.place(), &below);
        Ok(())
    }
}

/// What an include hands down.
fn below(node: &Node, inherited: &Inherited) -> Result<Inherited, ChangelogError> {
    let mut below = inherited.clone();
    below.contexts.splice(0..0, contexts(node).map(str::to_owned));
    below.labels.splice(0..0, node.filled("labels").map(str::to_owned));
    below.ignored |= node.flag("ignore", false)?;
    Ok(below)
}
