//! Reads a formatted file: from its lines to its changesets.
//!
//! All errors of a file are collected, so that its author sees them at once. SQL
//! is checked by the server alone; here it is only gathered.

use std::sync::Arc;

use crate::changelog::checksum::{Checksum, Older, v9};
use crate::changelog::precondition::Preconditions;
use crate::changelog::properties::{Scope, When};
use crate::changelog::text::lines::Line;
use crate::changelog::text::pipe::{Gathered, Made};
use crate::changelog::text::{Again, NUL, NUL_HINT, Source};
use crate::changelog::{ChangelogError, Changeset, Files, Place, Properties, Rollback, Text, Work};

use super::attributes::Attributes;
use super::directive::{Directive, Head, Wrong};
use super::header::{self, Header};
use super::walk::{Seen, hidden, is_sql, walk};
use super::{Contents, Inherited, change, precondition, rollback};

/// When the texts of one file are longer than this together (in bytes), further ones are not held.
const HELD_OF_A_FILE: usize = 8 << 20;
const HINT_CHANGESET: &str = "Write `--changeset author:id` with no blank after the colon; quotes may hold \
    blanks (`\"first last\":\"an id\"`). A comment must not begin with that word.";

/// Reads a file that is formatted.
pub fn read(
    files: &dyn Files,
    path: &str,
    properties: &mut Properties,
    inherited: &Inherited,
) -> Result<Contents, Vec<ChangelogError>> {
    let key = inherited.logical_path.as_deref().unwrap_or(path).replace('\\', "/");
    let mut reader = Reader {
        path,
        properties,
        inherited,
        key,
        snapshot: None,
        open: Open::Nothing,
        sql: Gathered::default(),
        contents: Contents::default(),
        errors: Vec::new(),
        begun: 0,
        held: 0,
        previous: None,
        has_nul: false,
    };
    if let Err(error) = walk(files, path, &mut |seen, line| {
        reader.see(seen, line);
        true
    }) {
        reader.errors.push(error);
    }
    reader.close(true);
    reader.errors.sort_by_key(|error| error.place.line);
    if reader.errors.is_empty() { Ok(reader.contents) } else { Err(reader.errors) }
}

struct Reader<'a> {
    path: &'a str,
    properties: &'a mut Properties,
    inherited: &'a Inherited,
    /// Under which path changesets and local properties of the file are kept: its `logicalFilePath`.
    key: String,
    /// The properties as they are, for texts that are not held.
    snapshot: Option<Arc<Properties>>,
    open: Open,
    /// The SQL of the changeset that is open.
    sql: Gathered,
    contents: Contents,
    errors: Vec<ChangelogError>,
    /// How many changesets were begun.
    begun: usize,
    /// How many bytes of texts are held.
    held: usize,
    /// The checksum of the last changeset's SQL.
    previous: Option<String>,
    /// Whether U+0000 was found.
    has_nul: bool,
}

/// Which changeset lines belong to.
enum Open {
    Nothing,
    /// One whose line is wrong.
    Broken,
    One(Box<Current>),
}

struct Current {
    header: Header,
    place: Place,
    damaged: Option<Place>,
    rollback: String,
    preconditions: Option<Preconditions>,
    valid_checksums: Vec<String>,
    comments: String,
}

impl Reader<'_> {
    fn place(&self, line: u32) -> Place {
        Place { file: self.path.to_owned(), line: line as usize }
    }

    fn error(&mut self, line: u32, what: impl Into<String>, hint: &str) {
        let error = ChangelogError::at(&self.place(line), what);
        self.errors.push(if hint.is_empty() { error } else { error.hint(hint) });
    }

    fn warn(&mut self, line: u32, what: &str) {
        self.contents.warnings.push(format!("{}: {what}", self.place(line)));
    }

    fn see(&mut self, seen: Seen<'_>, line: &Line<'_>) {
        if line.has_nul() {
            // A binary file has many; the first one says it all.
            if !std::mem::replace(&mut self.has_nul, true) {
                self.error(line.number, NUL, NUL_HINT);
            }
            return;
        }
        match seen {
            Seen::Line(directive) => self.line(directive, line),
            Seen::Rollback(text) => {
                if let Open::One(current) = &mut self.open {
                    current.rollback.push_str(text);
                    if line.ends {
                        current.rollback.push('\n');
                    }
                }
            }
            Seen::IgnoredToTheEnd(from) => {
                self.warn(
                    from,
                    "`--ignoreLines:start` has no `--ignoreLines:end`: all below is ignored",
                );
            }
            Seen::RollbackToTheEnd(from) => {
                let what = "the rollback block is not closed";
                self.error(from, what, "End its last line with `*/`.");
            }
        }
    }

    fn line(&mut self, directive: Directive<'_>, line: &Line<'_>) {
        match directive {
            Directive::Text => {
                if let Some(what) = hidden(line) {
                    return self.error(
                        line.number,
                        what,
                        "Liquibase takes it for SQL. Correct the line.",
                    );
                }
            }
            Directive::Property => return self.property(line),
            Directive::Header => {
                // Of the last such line above a changeset; one that names none takes it back.
                let named = Attributes::of(&line.text).text("logicalFilePath");
                let named = named.or(self.inherited.logical_path.as_deref());
                self.key = named.unwrap_or(self.path).replace('\\', "/");
            }
            Directive::IgnoreLines(count) => {
                if count != "start" && count.parse::<i64>().is_err() {
                    let what = format!("`--ignoreLines:{count}` is not known");
                    let hint = "Write `start` (and below it `end`), or a number of lines.";
                    self.error(line.number, what, hint);
                }
                return;
            }
            Directive::Changeset(head) => return self.begin(head, line),
            Directive::Wrong(wrong) => return self.wrong(wrong, line),
            Directive::Comment(_) if matches!(self.open, Open::Nothing) => {
                let what = "`--comment` stands outside of a changeset";
                return self.error(line.number, what, "Move it below a `--changeset` line.");
            }
            Directive::Doubtful(form) if !matches!(self.open, Open::Nothing) => {
                let what =
                    format!("the line looks like `{form}`, but Liquibase reads it as SQL text");
                self.warn(line.number, &what);
            }
            _ => {}
        }
        if matches!(self.open, Open::One(_)) {
            if is_sql(directive) {
                self.sql(line);
            } else {
                self.detail(directive, line.number);
            }
        }
    }

    fn sql(&mut self, line: &Line<'_>) {
        let Open::One(current) = &mut self.open else { return };
        let place = || Place { file: self.path.to_owned(), line: line.number as usize };
        if line.damaged && current.damaged.is_none() {
            current.damaged = Some(place());
        }
        let expand = Some((&*self.properties, self.key.as_str()));
        let rules = &current.header.rules;
        if let Err(why) = self.sql.push(&line.text, line.number, line.ends, rules, expand) {
            self.errors.push(ChangelogError::at(&place(), why).hint("Break the line."));
            self.open = Open::Broken;
        }
    }

    /// A directive within a changeset.
    fn detail(&mut self, directive: Directive<'_>, number: u32) {
        let mut wrong = None;
        let mut lost = false;
        let Open::One(current) = &mut self.open else { return };
        match directive {
            Directive::Comment(text) => {
                text.trim_matches(|c| c <= ' ').clone_into(&mut current.comments);
            }
            Directive::ValidCheckSum(text) => current.valid_checksums.push(text.trim().to_owned()),
            Directive::Rollback(text) => {
                current.rollback.push_str(text);
                current.rollback.push('\n');
            }
            Directive::Preconditions(body) => match precondition::container(body) {
                Ok(found) => {
                    lost = current.preconditions.as_ref().is_some_and(|it| !it.all.is_empty());
                    current.preconditions = Some(found);
                }
                Err(error) => wrong = Some(error),
            },
            Directive::Precondition { kind, body } => {
                let body = body.map(|it| self.properties.expand(it.trim(), &self.key));
                match precondition::condition(kind, body.as_deref()) {
                    Ok(found) => {
                        current
                            .preconditions
                            .get_or_insert_with(precondition::none)
                            .all
                            .push(found);
                    }
                    Err(error) => wrong = Some(error),
                }
            }
            _ => {}
        }
        if let Some((what, hint)) = wrong {
            self.error(number, what, hint);
        }
        if lost {
            self.warn(number, "`--preconditions` drops the preconditions above it; put it first");
        }
    }

    fn wrong(&mut self, wrong: Wrong, line: &Line<'_>) {
        let (form, everywhere) = wrong.form();
        if !everywhere && matches!(self.open, Open::Nothing) {
            return;
        }
        let what = format!("`{}` is not `{form}`", shortened(line.text.trim()));
        if wrong == Wrong::Changeset {
            self.close(false);
            self.open = Open::Broken;
            return self.error(line.number, what, HINT_CHANGESET);
        }
        let hint = format!("Write `{form}`; if it is a comment, begin it with another word.");
        self.error(line.number, what, &hint);
    }

    fn property(&mut self, line: &Line<'_>) {
        let own = |it: &str| self.properties.expand(it, &self.key);
        let all = Attributes::of(&line.text);
        let (name, value) = (all.spaced("name"), all.spaced("value"));
        let (Some(name), Some(value)) = (name.map(own), value.map(own)) else {
            let what = "the property has no `name:` or no `value:`";
            return self.error(line.number, what, "Write `--property name:x value:y`.");
        };
        let contexts = all.quoted("contextFilter").filter(|it| !it.is_empty());
        let contexts = contexts.or_else(|| all.quoted("context"));
        let when = When {
            contexts: contexts.map(own),
            labels: all.quoted("labels").map(own),
            dbms: all.products().map(own),
        };
        let global = all.text("global").filter(|it| !it.is_empty());
        let scope = match global {
            Some(it) if !it.eq_ignore_ascii_case("true") => Scope::Local { file: self.key.clone() },
            _ => Scope::Global,
        };
        self.snapshot = None;
        if let Err(what) = self.properties.define(&name, &value, scope, Some(when)) {
            self.error(line.number, what, "");
        }
        if self.sql.is_long() {
            let what = "a property is defined inside a changeset that is longer than 1 MiB";
            self.error(line.number, what, "Move it above the changeset's first line.");
        }
    }

    fn begin(&mut self, head: Head<'_>, line: &Line<'_>) {
        self.close(false);
        self.begun += 1;
        let expand = |it: &str| self.properties.expand(it, &self.key);
        let header = header::read(head, &line.text, &self.key, self.inherited, &expand);
        for contexts in &header.filter.contexts {
            if let Err(what) = self.properties.selection().takes_contexts(contexts) {
                self.error(line.number, what, "");
                break;
            }
        }
        for warning in &header.warnings {
            self.warn(line.number, warning);
        }
        let place = self.place(line.number);
        self.open = Open::One(Box::new(Current {
            header,
            damaged: line.damaged.then(|| place.clone()),
            place,
            rollback: String::new(),
            preconditions: None,
            valid_checksums: Vec::new(),
            comments: String::new(),
        }));
    }

    /// Ends the changeset that is open.
    fn close(&mut self, last: bool) {
        let Open::One(current) = std::mem::replace(&mut self.open, Open::Nothing) else {
            self.sql = Gathered::default();
            return;
        };
        let Current { mut header, place, .. } = *current;
        let inherits = last && self.sql.is_empty();
        let made = self.sql.finish(&mut header.rules, last, Some((&*self.properties, &self.key)));
        let (work, inner, older) = match (made, self.previous.take()) {
            (Some(made), _) => {
                let Made { text, checksum, older } = made;
                let text = self.kept(text, &header);
                // What is not held is not to be held for its older checksums.
                let older = match older {
                    Older::Sql(parts) if text.held.is_none() => {
                        Older::Known { sums: parts.sums().to_vec(), eight: true }
                    }
                    older => older,
                };
                (Work::Sql(Text { damaged: current.damaged, ..text }), checksum, older)
            }
            (None, Some(previous)) if inherits => {
                let what = format!(
                    "the last changeset `{}` has no SQL; Liquibase runs the SQL of the one before \
                     again, here nothing is run",
                    header.identity
                );
                self.contents.warnings.push(format!("{place}: {what}"));
                (Work::Nothing, previous, Older::default())
            }
            (None, _) => {
                let what = format!("changeset `{}` has no SQL", header.identity);
                let hint = "Write its SQL below its line (`SELECT 1;` if there is nothing to do), or \
                            remove the changeset.";
                self.errors.push(ChangelogError::at(&place, what).hint(hint));
                return;
            }
        };
        let expand = |it: &str| self.properties.expand(it, &self.key);
        let rollback = match rollback::read(&current.rollback, &header.rollback_rules, &expand) {
            _ if inherits => Rollback::Unknown,
            Ok(rollback) => rollback,
            Err(what) => {
                let hint = "Write `--rollback changesetId:x changesetAuthor:y`, or SQL.";
                self.errors.push(ChangelogError::at(&place, what).hint(hint));
                Rollback::Unknown
            }
        };
        self.previous = Some(inner.clone());
        let checksum = Checksum { current: v9(&[&inner]), older, certain: true };
        self.contents.changesets.push(Changeset {
            identity: header.identity,
            legacy: header.legacy,
            place,
            changes: vec![change(work, inner)],
            rollback,
            filter: header.filter,
            run: header.run,
            preconditions: current.preconditions,
            valid_checksums: current.valid_checksums,
            comments: current.comments,
            description: "sql".into(),
            tag: None,
            checksum,
            flyway: None,
        });
    }

    /// The text with its source; held only while there is room.
    fn kept(&mut self, text: Text, header: &Header) -> Text {
        let source = Source::Formatted { path: self.path.to_owned(), nth: self.begun - 1 };
        let len = text.held.as_ref().map_or(0, String::len);
        if text.held.is_some() && self.held + len <= HELD_OF_A_FILE {
            self.held += len;
            return Text { source, ..text };
        }
        let snapshot = || Arc::new(self.properties.clone());
        let properties = self.snapshot.get_or_insert_with(snapshot).clone();
        let again =
            Again { rules: header.rules.clone(), properties: Some((properties, self.key.clone())) };
        text.from_file(source, Arc::new(again))
    }
}

fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}
