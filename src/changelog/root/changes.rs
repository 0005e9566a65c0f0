//! The changes that are about SQL text or nothing at all: `sql`, `sqlFile`,
//! `tagDatabase`, `empty`, `output`, `stop`. All others are structural and read by
//! [`change`](crate::changelog::change).
//!
//! Comments are never stripped: the server knows better what is one. What Liquibase's checksum
//! is made of is not always what runs: the text of a file counts before its properties are expanded.

use super::changeset::Around;
use super::node::{Node, closest};
use super::trimmed;
use crate::changelog::checksum::{Older, of_text, squeezed_md5, v8_sql};
use crate::changelog::formatted::delimiter;
use crate::changelog::precondition::folded;
use crate::changelog::text::{self, Source, pipe::Rules};
use crate::changelog::{Change, ChangelogError, Text, Work, change, expression, files};
use crate::sql::literal;

/// Reads one change.
pub fn read(node: &Node, around: &Around) -> Result<Change, ChangelogError> {
    match node.name() {
        "sql" => sql(node),
        "sqlFile" => sql_file(node, around),
        "tagDatabase" => {
            node.only(&["tag", "keepTag", "tagVersion"])?;
            let tag = node.required("tag")?;
            let shown = format!("tagDatabase:[\n    tag=\"{tag}\"\n]");
            Ok(made("tagDatabase", &shown, Work::Tag(tag.to_owned())))
        }
        "empty" => {
            node.only(&[])?;
            Ok(made("empty", "empty:[]", Work::Nothing))
        }
        "output" => {
            node.only(&["message", "target"])?;
            let message = node.attr("message").or(node.text()).map(trimmed).unwrap_or_default();
            let target = node.filled("target").unwrap_or("STDERR");
            let shown = format!("output:[\n    message=\"{message}\"\n    target=\"{target}\"\n]");
            Ok(made("output", &shown, Work::Nothing))
        }
        "stop" => {
            node.only(&["message"])?;
            let message = node.filled("message").or(node.text()).map(trimmed);
            let message = message.unwrap_or("Stop command in changelog file");
            let shown = format!("stop:[\n    message=\"{message}\"\n]");
            let body = format!("BEGIN RAISE EXCEPTION USING MESSAGE = {}; END", literal(message));
            Ok(made("stop", &shown, Work::Statements(vec![format!("DO {}", literal(&body))])))
        }
        name if change::is_known(name) => {
            quoted_otherwise(node, around.quoting)?;
            let expand = |text: &str| around.properties.expand(text, around.file);
            let (files, changelog) = (around.files, around.file);
            change::read(node, &change::Context { files, changelog, expand: &expand })
        }
        _ => {
            let known: Vec<_> = OWN.iter().chain(&change::NAMES).copied().collect();
            let error = node.unknown("as a change", &known);
            let hint = error.hint.clone();
            Err(error.hint(hint.unwrap_or_else(|| "Write it as an `sql` change.".into())))
        }
    }
}

/// Structural changes quote names as Liquibase's `LEGACY` does. Where another strategy would give
/// another name, the change is refused: it would make another object.
fn quoted_otherwise(node: &Node, quoting: Option<&str>) -> Result<(), ChangelogError> {
    let Some(strategy) = quoting.filter(|it| *it != "LEGACY") else { return Ok(()) };
    let differs = |text: &str| match strategy {
        "QUOTE_ALL_OBJECTS" => text.split(',').any(|name| folded(name.trim()) != name.trim()),
        _ => text.contains(char::is_uppercase),
    };
    for child in node.children() {
        let name = child.name().to_ascii_lowercase();
        if let Some(text) =
            child.text().filter(|_| name.ends_with("name") || name.ends_with("names"))
        {
            if differs(text) {
                let what = format!("`{text}` means another name with `{strategy}`");
                let hint = "Take `objectQuotingStrategy` away, or write the change as `sql`.";
                return Err(child.error(what).hint(hint));
            }
        }
        quoted_otherwise(child, quoting)?;
    }
    Ok(())
}

/// The names of the changes that are read here.
pub const OWN: [&str; 6] = ["sql", "sqlFile", "tagDatabase", "empty", "output", "stop"];

fn made(kind: &str, shown: &str, work: Work) -> Change {
    Change {
        kind: kind.into(),
        description: kind.into(),
        applies: true,
        work,
        checksum: of_text(9, shown),
        older: vec![of_text(8, shown)],
        certain: true,
    }
}

/// What `sql` and `sqlFile` say of their text.
struct Manner<'a> {
    end_delimiter: Option<&'a str>,
    split: bool,
    strip: bool,
    applies: bool,
}

impl<'a> Manner<'a> {
    fn of(node: &'a Node) -> Result<Self, ChangelogError> {
        Ok(Self {
            end_delimiter: node.attr("endDelimiter"),
            split: node.flag("splitStatements", true)?,
            strip: node.flag("stripComments", false)?,
            applies: expression::dbms_matches(node.filled("dbms")),
        })
    }

    /// Checksums of version 8 of a text: as written, and with the other `splitStatements`, which
    /// some versions took by mistake.
    fn eight(&self, text: &str) -> [String; 2] {
        [self.split, !self.split].map(|split| v8_sql(text, self.end_delimiter, split, self.strip))
    }

    /// As the server gets it.
    fn prepared(&self, text: &str) -> String {
        delimiter::prepared(&text.replace('\r', ""), self.end_delimiter, self.split).into_owned()
    }
}

fn sql(node: &Node) -> Result<Change, ChangelogError> {
    node.only(&[
        "sql",
        "splitStatements",
        "stripComments",
        "endDelimiter",
        "dbms",
        "comment",
        "encoding",
        "rerunnable",
    ])?;
    let manner = Manner::of(node)?;
    let from = if node.texts().is_empty() { node.child("sql").unwrap_or(node) } else { node };
    let text = trimmed(from.text().unwrap_or_default());
    if text.is_empty() {
        return Err(node
            .error("`sql` has no SQL")
            .hint("Write the text as its value, or take the change away."));
    }
    let prepared = manner.prepared(text);
    let first = from.text_line();
    let lines: Vec<u32> = match first {
        0 => Vec::new(),
        first => (first..).take(prepared.lines().count()).collect(),
    };
    Ok(Change {
        kind: "sql".into(),
        description: "sql".into(),
        applies: manner.applies,
        checksum: squeezed_md5(text),
        older: manner.eight(text).into(),
        certain: true,
        work: Work::Sql(Text::of(prepared, lines, Source::Inline)),
    })
}

fn sql_file(node: &Node, around: &Around) -> Result<Change, ChangelogError> {
    node.only(&[
        "path",
        "relativeToChangelogFile",
        "splitStatements",
        "stripComments",
        "endDelimiter",
        "dbms",
        "encoding",
        "rerunnable",
        "comment",
    ])?;
    let manner = Manner::of(node)?;
    let written = node.required("path")?;
    let path = resolved(node, written, around.file)?;
    if let Some(encoding) = node.filled("encoding") {
        if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&encoding.to_lowercase().as_str()) {
            return Err(node
                .error(format!("the encoding `{encoding}` is not read"))
                .hint("Store the file in UTF-8."));
        }
    }
    let description = format!("sqlFile path={written}");
    if !manner.applies {
        // It may not even be there.
        let skipped = made("sqlFile", "", Work::Nothing);
        return Ok(Change { description, applies: false, older: Vec::new(), ..skipped });
    }
    let rules = || Rules {
        end_delimiter: manner.end_delimiter.map(str::to_owned),
        written_delimiter: manner.end_delimiter.map(str::to_owned),
        split: manner.split,
        strip: manner.strip,
    };
    around.files.open(&path).map_err(|error| missing(node, &error, around))?;
    let empty = || node.error(format!("the file `{path}` is empty"));
    // The checksum is of the text as it stands in the file, since version 4.26.
    let bare = text::whole(around.files, &path, rules(), None)?.ok_or_else(empty)?;
    let mut older = sums(bare.older);
    let as_it_is = bare.text.held.as_deref().is_some_and(|text| !text.contains("${"));
    let text = if as_it_is {
        bare.text
    } else {
        let expand = Some((around.properties, around.file));
        let made = text::whole(around.files, &path, rules(), expand)?.ok_or_else(empty)?;
        if made.checksum != bare.checksum {
            // 4.22 to 4.25 took the expanded text.
            older.extend(sums(made.older));
            older.push(made.checksum);
        }
        made.text
    };
    Ok(Change {
        kind: "sqlFile".into(),
        description,
        applies: true,
        checksum: bare.checksum,
        older,
        certain: true,
        work: Work::Sql(text),
    })
}

fn sums(older: Older) -> Vec<String> {
    match older {
        Older::Known { sums, .. } => sums,
        Older::Sql(sql) => sql.sums().into(),
    }
}

/// The path of a file that a node names.
pub fn resolved(node: &Node, written: &str, file: &str) -> Result<String, ChangelogError> {
    let relative = node.flag("relativeToChangelogFile", false)?;
    let path = match files::folder(file) {
        folder if relative && !folder.is_empty() => format!("{folder}/{written}"),
        _ => written.to_owned(),
    };
    files::normal(&path).map_err(|error| {
        let hint = error.hint().unwrap_or_default();
        node.error(error.to_string()).hint(hint)
    })
}

/// The error of a file that a node names; if it is found beside the changelog, the hint says so.
pub fn missing(node: &Node, error: &files::FileError, around: &Around) -> ChangelogError {
    let found = node.error(error.to_string());
    let beside = match files::folder(around.file) {
        "" => None,
        folder => Some(format!("{folder}/{}", error.path())),
    };
    let is_beside = matches!(error, files::FileError::Missing(_))
        && beside.is_some_and(|path| around.files.open(&path).is_ok());
    match error.hint() {
        _ if error.path().contains("${") => found
            .hint("A property in it has no value; give it in `Parameters`, or define it above."),
        _ if is_beside => found.hint(
            "There is one beside the changelog; say `relativeToChangelogFile: true` to mean it.",
        ),
        Some(hint) => match near(around.files, error.path()) {
            Some(path) => found.hint(format!("There is `{path}`.")),
            None => found.hint(hint),
        },
        None => found,
    }
}

/// A file in the same folder that is called nearly the same.
fn near(files: &dyn files::Files, path: &str) -> Option<String> {
    let there = files.list(files::folder(path)).ok()??;
    let there: Vec<&str> = there.iter().map(String::as_str).take(10_000).collect();
    closest(path, &there).filter(|it| *it != path).map(str::to_owned)
}
