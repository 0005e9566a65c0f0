//! A changeset's line: its identity and its attributes.
//!
//! What Liquibase understands otherwise than people mean it is warned of, not
//! corrected: the same file must mean the same here and there.

use crate::changelog::expression::{self, join, join_labels};
use crate::changelog::root::node::closest;
use crate::changelog::text::pipe::Rules;
use crate::changelog::{Filter, Identity, Order, Run, files};

use super::Inherited;
use super::attributes::{Attributes, unquoted};
use super::directive::{Head, is_space, is_word};

/// What a changeset's line says.
pub struct Header {
    pub identity: Identity,
    pub legacy: Vec<Identity>,
    pub filter: Filter,
    pub run: Run,
    pub rules: Rules,
    pub rollback_rules: Rules,
    pub warnings: Vec<String>,
}

/// Reads the line. `path` is what the file's changesets are stored under if the line names no other;
/// `expand` replaces properties.
pub fn read(
    head: Head<'_>,
    line: &str,
    path: &str,
    inherited: &Inherited,
    expand: &dyn Fn(&str) -> String,
) -> Header {
    let mut warnings = Vec::new();
    let all = Attributes::of(line);
    let path = all.text("logicalFilePath").filter(|it| !it.is_empty()).unwrap_or(path);
    let path = stored(&expand(path));
    let id = expand(unquoted(head.id));
    let author = expand(unquoted(head.author));
    // Older Liquibases knew no quotes, and ended the id at the first blank.
    let legacy = if id == head.plain_id && author == head.author {
        Vec::new()
    } else {
        let (id, author) = (head.plain_id.to_owned(), head.author.to_owned());
        vec![Identity { id, author, path: path.clone() }]
    };
    let own = Identity { id, author, path };
    warnings.extend(misspelt(head, line));

    for name in ["runOnChange", "runAlways", "runInTransaction", "failOnError", "stripComments"] {
        let other =
            |it: &&str| !["true", "false"].iter().any(|known| it.eq_ignore_ascii_case(known));
        if let Some(value) = all.word(name).filter(other) {
            warnings
                .push(format!("`{name}:{value}` counts as `{name}:false`; write true or false"));
        }
    }
    let executor = |it: u8| is_word(it) || matches!(it, b'$' | b'{' | b'}');
    if let Some(with) = all.run("runWith", executor).map(expand) {
        if !with.eq_ignore_ascii_case("jdbc") {
            warnings.push(format!(
                "`runWith:{with}` has no effect here: all SQL is sent to the server"
            ));
        }
    }
    let end_delimiter = all.text_of_own("endDelimiter").map(str::to_owned);
    let rollback_rules = Rules {
        end_delimiter: all.text("rollbackEndDelimiter").map(str::to_owned),
        split: all.flag("rollbackSplitStatements", true),
        ..Rules::default()
    };
    let rules = Rules {
        end_delimiter,
        // Liquibase also finds the rollback's delimiter here, if it stands behind.
        written_delimiter: all.text("endDelimiter").map(str::to_owned),
        split: all.flag("splitStatements", true),
        strip: all.flag("stripComments", true),
    };
    let run = Run {
        always: all.flag("runAlways", false),
        on_change: all.flag("runOnChange", false),
        in_transaction: all.flag("runInTransaction", true),
        fail_on_error: all.flag("failOnError", true),
        order: Order::AsWritten,
    };
    let filter = filter(line, &all, inherited, expand, &mut warnings);
    Header { identity: own, legacy, filter, run, rules, rollback_rules, warnings }
}

/// The attributes.
const KNOWN: [&str; 17] = [
    "stripComments",
    "splitStatements",
    "rollbackSplitStatements",
    "endDelimiter",
    "rollbackEndDelimiter",
    "runOnChange",
    "runAlways",
    "runInTransaction",
    "failOnError",
    "context",
    "contextFilter",
    "labels",
    "logicalFilePath",
    "dbms",
    "ignore",
    "runWith",
    "runWithSpoolFile",
];

/// What is nearly an attribute: Liquibase passes it over in silence.
fn misspelt(head: Head<'_>, line: &str) -> Option<String> {
    let end = head.id.as_ptr() as usize - line.as_ptr() as usize + head.id.len();
    line[end..].split(is_space).find_map(|word| {
        let (name, _) = word.split_once(':')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphabetic());
        // The end of a longer word is found, too.
        let is_known = |it: &&'static str| {
            let start = name.len().checked_sub(it.len());
            start.is_some_and(|start| name[start..].eq_ignore_ascii_case(it))
        };
        if !is_name || KNOWN.iter().any(is_known) {
            return None;
        }
        let meant = closest(name, &KNOWN)?;
        Some(format!("`{name}` is not known and counts for nothing; did you mean `{meant}`?"))
    })
}

fn filter(
    line: &str,
    all: &Attributes<'_>,
    inherited: &Inherited,
    expand: &dyn Fn(&str) -> String,
    warnings: &mut Vec<String>,
) -> Filter {
    let chosen = all.quoted("contextFilter").filter(|it| !it.is_empty());
    let (name, contexts) = match chosen {
        Some(it) => ("contextFilter", Some(it)),
        None => ("context", all.quoted("context")),
    };
    let labels = all.quoted("labels");
    warnings.extend(contexts.and_then(|it| cut_short(line, name, it)));
    warnings.extend(labels.and_then(|it| cut_short(line, "labels", it)));
    let own_contexts = contexts.map(expand).unwrap_or_default();
    let own_labels = labels.map(expand).unwrap_or_default();

    let dbms = all.products().map(expand);
    for name in dbms.as_deref().map(expression::unknown_dbms).unwrap_or_default() {
        let advice = if name.trim_matches(['"', '!']).to_ascii_lowercase().starts_with("postgre") {
            "; write `dbms:postgresql`"
        } else {
            ""
        };
        warnings.push(format!("`dbms` names `{name}`, which Liquibase does not know{advice}"));
    }
    let with = |inherited: &[String], own: &str| {
        let own = Some(own).filter(|it| !it.trim().is_empty());
        inherited.iter().map(String::as_str).chain(own).map(str::to_owned).collect()
    };
    Filter {
        contexts_column: join(&inherited.contexts, &own_contexts),
        labels_column: join_labels(&inherited.labels, &own_labels),
        contexts: with(&inherited.contexts, &own_contexts),
        labels: with(&inherited.labels, &own_labels),
        dbms,
        ignored: inherited.ignored
            || all.text("ignore").is_some_and(|it| expand(it).trim().eq_ignore_ascii_case("true")),
    }
}

/// A value without quotes ends at the first blank; a warning if more was meant.
fn cut_short(line: &str, name: &str, value: &str) -> Option<String> {
    let at = line.rfind(value).filter(|_| !value.is_empty())? + value.len();
    let rest = line[at..].trim_start();
    let more = ["or ", "and ", "OR ", "AND "].iter().any(|it| rest.starts_with(it));
    let more = more || (value.ends_with(',') && !rest.is_empty());
    let quoted = line[at..].starts_with(['"', '\'']);
    (more && !quoted)
        .then(|| format!("`{name}:{value}` ends at the blank; put all of it in quotes"))
}

/// A path as the history stores it; one that climbs out stays as it is written.
pub fn stored(path: &str) -> String {
    let plain = |it: &str| !matches!(it, "" | "." | "..");
    if !path.contains(['\\', ':']) && path.split('/').all(plain) {
        return path.to_owned();
    }
    files::normal(path).unwrap_or_else(|_| path.replace('\\', "/"))
}
