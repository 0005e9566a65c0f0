//! One `changeSet` of a root changelog.
//!
//! What its `dbms` does not let run here is not read any further, as in
//! Liquibase. `modifySql` and executors other than `jdbc` are refused by name: to
//! leave them out would run other SQL than was asked for.

use super::node::{Node, closest};
use super::{changes, conditions, rollback};
use crate::changelog::checksum::{Checksum, of_changes};
use crate::changelog::formatted::Inherited;
use crate::changelog::{
    ChangelogError, Changeset, Files, Filter, Identity, Order, Properties, Rollback, Run, Work,
    expression,
};

/// What reading needs to know of the changelog around a changeset.
pub struct Around<'a> {
    /// All files.
    pub files: &'a dyn Files,
    /// The file in which it stands.
    pub file: &'a str,
    /// That file as the history stores it.
    pub path: &'a str,
    /// All of `${…}`.
    pub properties: &'a Properties,
    /// `objectQuotingStrategy` of the changeset or the changelog.
    pub quoting: Option<&'a str>,
}

/// The attributes, and the elements that are no changes.
const KNOWN: [&str; 25] = [
    "id",
    "author",
    "context",
    "contextFilter",
    "labels",
    "dbms",
    "runAlways",
    "alwaysRun",
    "runOnChange",
    "runInTransaction",
    "runOrder",
    "runWith",
    "runWithSpoolFile",
    "failOnError",
    "ignore",
    "logicalFilePath",
    "created",
    "onValidationFail",
    "objectQuotingStrategy",
    "comment",
    "validCheckSum",
    "validCheckSums",
    "preConditions",
    "rollback",
    "changes",
];

/// Reads a changeset; its texts are expanded already.
pub fn read(
    node: &Node,
    around: &Around,
    inherited: &Inherited,
    warnings: &mut Vec<String>,
) -> Result<Changeset, Vec<ChangelogError>> {
    let mut errors = Vec::new();
    let head = head(node, around, inherited).map_err(|error| vec![error])?;
    let mut changeset = head;
    let dbms = changeset.filter.dbms.as_deref();
    for name in dbms.map(expression::unknown_dbms).unwrap_or_default() {
        warnings.push(format!(
            "{}: `dbms` names `{name}`, which is no database; the name here is `postgresql`",
            node.place()
        ));
    }
    if !expression::dbms_matches(dbms) {
        return Ok(changeset);
    }
    if node.filled("onValidationFail").is_some_and(|word| word.eq_ignore_ascii_case("MARK_RAN")) {
        warnings.push(format!(
            "{}: `onValidationFail: MARK_RAN` is not followed; a checksum that differs ends the run",
            node.place()
        ));
    }
    let own = strategy(node).map_err(|error| vec![error])?;
    let quoting = own.or(around.quoting);
    let around = Around { quoting, ..*around };
    let mut reader = Reader { around: &around, changeset: &mut changeset, errors: &mut errors };
    for child in node.children() {
        reader.child(child);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    changeset.description = described(&changeset);
    changeset.checksum = of_changes(&changeset.changes);
    Ok(changeset)
}

struct Reader<'a> {
    around: &'a Around<'a>,
    changeset: &'a mut Changeset,
    errors: &'a mut Vec<ChangelogError>,
}

impl Reader<'_> {
    fn child(&mut self, node: &Node) {
        match node.name() {
            "changes" => {
                for text in node.texts() {
                    // `- empty` without a colon; Liquibase takes it for nothing.
                    if text != "empty" {
                        let what = format!("`{text}` stands in `changes` and is no change");
                        self.errors.push(node.error(what).hint("Is a colon missing after it?"));
                    }
                }
                node.children().iter().for_each(|child| self.child(child));
            }
            "rollback" => match rollback::read(node, self.around) {
                Ok(rollback) => rollback::add(&mut self.changeset.rollback, rollback),
                Err(error) => self.errors.push(error),
            },
            "preConditions" => match conditions::read(node, self.around) {
                Ok(conditions) => self.changeset.preconditions = Some(conditions),
                Err(error) => self.errors.push(error),
            },
            "validCheckSum" | "validCheckSums" => {
                let own = node.texts().iter();
                let below = node.children().iter().flat_map(Node::texts);
                self.changeset.valid_checksums.extend(own.chain(below).cloned());
            }
            "modifySql" => {
                let error = node.error("`modifySql` is not supported");
                self.errors.push(error.hint("Write the SQL as it must run, with `sql`."));
            }
            name if KNOWN.contains(&name) => {}
            // A plain value is rather an attribute written wrongly than a change.
            name if node.children().is_empty()
                && !changes::OWN.contains(&name)
                && closest(name, &KNOWN).is_some() =>
            {
                self.errors.push(node.unknown("in `changeSet`", &KNOWN));
            }
            _ => match changes::read(node, self.around) {
                Ok(change) => {
                    if let (None, Work::Tag(tag)) = (&self.changeset.tag, &change.work) {
                        self.changeset.tag = Some(tag.clone());
                    }
                    self.changeset.changes.push(change);
                }
                Err(error) => self.errors.push(error),
            },
        }
    }
}

/// All but what it does.
fn head(node: &Node, around: &Around, inherited: &Inherited) -> Result<Changeset, ChangelogError> {
    let required = |name: &str| match node.attr(name) {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(node.error(format!("a changeset has no `{name}`"))),
    };
    let path = node.filled("logicalFilePath").map_or_else(|| around.path.to_owned(), logical);
    let identity = Identity { id: required("id")?, author: required("author")?, path };
    if let Some(with) = node.filled("runWith").filter(|with| !with.eq_ignore_ascii_case("jdbc")) {
        return Err(node
            .error(format!("`runWith: {with}` is not supported"))
            .hint("Statements are run over the connection (`jdbc`); take `runWith` away."));
    }
    let order = match node.filled("runOrder") {
        None => Order::AsWritten,
        Some("first") => Order::First,
        Some("last") => Order::Last,
        Some(other) => {
            let what = format!("`runOrder` is `{other}`; it must be first or last");
            return Err(node.error(what));
        }
    };
    let always = match node.flag_if_given("runAlways")? {
        Some(always) => always,
        None => node.flag("alwaysRun", false)?,
    };
    let comments: Vec<&str> =
        node.children_named("comment").map(|it| it.text().unwrap_or_default()).collect();
    Ok(Changeset {
        legacy: dated(&identity),
        identity,
        place: node.place(),
        changes: Vec::new(),
        rollback: Rollback::Unknown,
        filter: filter(node, inherited)?,
        run: Run {
            always,
            on_change: node.flag("runOnChange", false)?,
            in_transaction: node.flag("runInTransaction", true)?,
            fail_on_error: node.flag("failOnError", true)?,
            order,
        },
        preconditions: None,
        valid_checksums: Vec::new(),
        comments: super::trimmed(&comments.join("\n")).to_owned(),
        description: String::new(),
        tag: None,
        checksum: Checksum::default(),
        flyway: None,
    })
}

fn filter(node: &Node, inherited: &Inherited) -> Result<Filter, ChangelogError> {
    let own = contexts(node).unwrap_or_default();
    let labels = node.filled("labels").unwrap_or_default();
    let with = |inherited: &[String], own: &str| {
        let own = Some(own).filter(|own| !own.is_empty()).map(str::to_owned);
        inherited.iter().cloned().chain(own).collect()
    };
    Ok(Filter {
        contexts: with(&inherited.contexts, own),
        labels: with(&inherited.labels, labels),
        dbms: node.filled("dbms").map(str::to_owned),
        ignored: node.flag("ignore", false)? || inherited.ignored,
        contexts_column: expression::join(&inherited.contexts, own),
        labels_column: expression::join_labels(&inherited.labels, labels),
    })
}

/// `objectQuotingStrategy`.
pub fn strategy(node: &Node) -> Result<Option<&str>, ChangelogError> {
    match node.filled("objectQuotingStrategy") {
        Some(other)
            if !["LEGACY", "QUOTE_ALL_OBJECTS", "QUOTE_ONLY_RESERVED_WORDS"].contains(&other) =>
        {
            let what = format!("`objectQuotingStrategy` is `{other}`, which is no strategy");
            let hint = "It must be LEGACY, QUOTE_ALL_OBJECTS or QUOTE_ONLY_RESERVED_WORDS.";
            Err(node.error(what).hint(hint))
        }
        found => Ok(found),
    }
}

/// `contextFilter`, or else `context`.
pub fn contexts(node: &Node) -> Option<&str> {
    node.filled("contextFilter").or_else(|| node.filled("context"))
}

/// A `logicalFilePath` as the history stores it.
pub fn logical(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.strip_prefix('/').unwrap_or(&path).to_owned()
}

/// Liquibase's description, cut as it cuts it.
fn described(changeset: &Changeset) -> String {
    if changeset.changes.is_empty() {
        return "empty".into();
    }
    let all: Vec<&str> = changeset.changes.iter().map(|it| it.description.as_str()).collect();
    let all = all.join("; ");
    // Java counts UTF-16; a character that would be cut in two is left out.
    if all.encode_utf16().count() <= 250 {
        return all;
    }
    let mut units = 0;
    let kept = all.chars().take_while(|c| {
        units += c.len_utf16();
        units <= 247
    });
    kept.chain("...".chars()).collect()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// An `id` that is a plain date in YAML: Liquibase stored Java's text of it, here for a machine
/// whose clock is set to UTC.
fn dated(identity: &Identity) -> Vec<Identity> {
    let parts: Vec<&str> = identity.id.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return Vec::new() };
    let is_date = (year.len(), month.len(), day.len()) == (4, 2, 2)
        && identity.id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let number = |text: &str| text.parse::<usize>().unwrap_or_default();
    let (year, month, day) = (number(year), number(month), number(day));
    if !is_date || !(1..=12).contains(&month) || !(1..=31).contains(&day) || year == 0 {
        return Vec::new();
    }
    // Sakamoto's way to the day of the week.
    let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1];
    let y = if month < 3 { year - 1 } else { year };
    let weekday = DAYS[(y + y / 4 - y / 100 + y / 400 + shift + day) % 7];
    let id = format!("{weekday} {} {day:02} 00:00:00 UTC {year}", MONTHS[month - 1]);
    vec![Identity { id, ..identity.clone() }]
}
