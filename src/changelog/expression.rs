//! Contexts, labels and `dbms`: whether a changeset counts in this run.
//!
//! Liquibase's small grammar of `and`, `or`, `not` and brackets, without regard to
//! case. A run without contexts takes everything but `@required` ones; a run
//! without labels takes everything. What stands in the history's columns
//! `CONTEXTS` and `LABELS` is written here too, for it is made of the same parts.

use std::borrow::Cow;

use super::{DBMS, Filter};

/// What a run takes: its contexts, and its label expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    contexts: Vec<String>,
    labels: Vec<String>,
    /// Whether a context of the run is an expression by itself.
    complex: bool,
}

impl Selection {
    /// From the run's settings. The error says which expression cannot be read.
    pub fn new(contexts: Option<&str>, labels: Option<&str>) -> Result<Self, String> {
        let contexts = items(&contexts.unwrap_or_default().replace('\\', ""));
        let labels = items(&labels.unwrap_or_default().replace('\\', ""));
        for expression in contexts.iter().chain(&labels) {
            holds(expression, &["x".to_owned()])?;
        }
        let complex = contexts.iter().any(|it| it.contains(['!', '(']) || it.contains(' '));
        Ok(Self { contexts, labels, complex })
    }

    /// Whether contexts and labels of a changeset match; `dbms` and `ignore` are asked for elsewhere.
    /// The error says which expression cannot be read.
    pub fn takes(&self, filter: &Filter) -> Result<bool, String> {
        for contexts in &filter.contexts {
            if !self.takes_contexts(contexts)? {
                return Ok(false);
            }
        }
        for labels in &filter.labels {
            if !self.takes_labels(labels)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one context expression matches.
    pub fn takes_contexts(&self, expression: &str) -> Result<bool, String> {
        if self.contexts.is_empty() && !expression.contains(['@', '(']) {
            return Ok(true);
        }
        let alternatives = items(expression);
        if alternatives.is_empty() || any(&alternatives, &self.contexts)? {
            return Ok(true);
        }
        Ok(self.complex && any(&self.contexts, &alternatives)?)
    }

    /// Whether a list of labels matches.
    pub fn takes_labels(&self, labels: &str) -> Result<bool, String> {
        Ok(self.labels.is_empty() || any(&self.labels, &items(labels))?)
    }
}

/// A comma list in lower case; what is empty is left out.
fn items(list: &str) -> Vec<String> {
    let items = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    items.map(str::to_lowercase).collect()
}

fn any(expressions: &[String], items: &[String]) -> Result<bool, String> {
    for expression in expressions {
        if holds(expression, items)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an expression (in lower case) holds for a set of names. A bracket is replaced by its own
/// answer, innermost first, as Liquibase does it; so an answer is a word of the grammar. Empty
/// brackets have no answer.
fn holds(expression: &str, items: &[String]) -> Result<bool, String> {
    let unpaired = || {
        let shown = shortened(expression);
        Err(format!("the brackets of the expression `{shown}` do not pair, or hold nothing"))
    };
    // What is left of the text so far, and where its open brackets begin.
    let (mut rest, mut open) = (String::with_capacity(expression.len()), Vec::new());
    for c in expression.chars() {
        match c {
            '(' => open.push(rest.len()),
            ')' => {
                let Some(start) = open.pop().filter(|start| *start < rest.len()) else {
                    return unpaired();
                };
                let answer = plain(&rest[start..], items);
                rest.truncate(start);
                rest.extend([" ", if answer { TRUE } else { FALSE }, " "]);
            }
            _ => rest.push(c),
        }
    }
    if open.is_empty() { Ok(plain(&rest, items)) } else { unpaired() }
}

/// Enough of it to know it again.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

// Upper case: no name can be it, for names are compared in lower case.
const TRUE: &str = ":TRUE";
const FALSE: &str = ":FALSE";

/// An expression without brackets.
fn plain(expression: &str, items: &[String]) -> bool {
    let any = |part: &str| words(part, "and").iter().all(|it| term(it, items));
    expression.split(',').any(|part| words(part, "or").iter().any(|it| any(it)))
}

/// Cuts at a word that has white space on both sides.
fn words<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(space) = text[at..].find(char::is_whitespace).map(|it| it + at) {
        let after = text[space..].trim_start();
        at = text.len() - after.len();
        if let Some(next) =
            after.strip_prefix(word).filter(|it| it.starts_with(char::is_whitespace))
        {
            parts.push(&text[start..space]);
            start = text.len() - next.trim_start().len();
            at = start;
        }
    }
    parts.push(&text[start..]);
    parts
}

fn term(text: &str, items: &[String]) -> bool {
    let text = text.trim();
    if text == TRUE || text == FALSE {
        return text == TRUE;
    }
    let negated = |it: &'_ str| -> Option<usize> {
        let rest = it.strip_prefix('!').or_else(|| it.strip_prefix("not "))?;
        Some(it.len() - rest.len())
    };
    let (mut not, mut required) = (false, false);
    let mut name = text;
    if let Some(len) = negated(name) {
        (not, name) = (true, name[len..].trim());
    }
    if let Some(rest) = name.strip_prefix('@') {
        (required, name) = (true, rest.trim());
        if let Some(len) = negated(name).filter(|_| !not) {
            (not, name) = (true, name[len..].trim());
            // Liquibase reads `@!x` as `!x`.
            required = false;
        }
    }
    if !required && items.is_empty() {
        return true;
    }
    (name == TRUE || (name != FALSE && items.iter().any(|it| it == name))) != not
}

/// What else Liquibase, or an extension of it, calls a database.
#[rustfmt::skip]
const KNOWN: [&str; 53] = [
    "all", "asany", "athena", "aurora", "azuresqldatabase", "bigquery", "cassandra", "clickhouse",
    "cloudspanner", "cockroachdb", "cosmosdb", "databricks", "db2", "db2i", "db2z", "derby",
    "duckdb", "dynamodb", "edb", "exasol", "firebird", "greenplum", "h2", "hanadb", "hive",
    "hsqldb", "impala", "informix", "ingres", "iris", "mariadb", "maxdb", "mock", "mongodb",
    "mssql", "mysql", "neo4j", "netezza", "none", "oracle", "postgresql", "redshift",
    "singlestore", "snowflake", "spanner", "sqlite", "sybase", "teradata", "tibero",
    "unsupported", "vertica", "ydb", "yugabytedb",
];

fn products(attribute: &str) -> impl Iterator<Item = &str> {
    attribute.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// Whether a `dbms` attribute takes PostgreSQL: `all`, `none`, a list, or what is not (`!mysql`).
pub fn dbms_matches(attribute: Option<&str>) -> bool {
    let attribute = attribute.unwrap_or_default();
    let names = |wanted: &str| products(attribute).any(|it| it.eq_ignore_ascii_case(wanted));
    if names("all") {
        return true;
    }
    let excluded = products(attribute)
        .filter_map(|it| it.strip_prefix('!'))
        .any(|it| it.eq_ignore_ascii_case(DBMS));
    if names("none") || excluded {
        return false;
    }
    names(DBMS) || products(attribute).all(|it| it.starts_with('!'))
}

/// The names in a `dbms` attribute that no Liquibase knows, such as `postgres`: a changeset with
/// such a name alone is never run, without a word, so its author should hear of it.
pub fn unknown_dbms(attribute: &str) -> Vec<&str> {
    let known = |name: &str| KNOWN.iter().any(|it| it.eq_ignore_ascii_case(name));
    products(attribute).filter(|it| !known(it.trim_start_matches('!'))).collect()
}

/// The column `CONTEXTS`: what is inherited (from the innermost file outwards), then the own, with
/// `AND` between them and brackets around what holds a comma or a blank.
pub fn join(inherited: &[String], own: &str) -> String {
    let parts = inherited.iter().map(String::as_str).chain([own]);
    let parts = parts
        .filter(|it| !it.trim().is_empty())
        .map(|it| if it.contains([',', ' ']) { format!("({it})") } else { it.to_owned() });
    parts.collect::<Vec<_>>().join(" AND ")
}

/// The column `LABELS`: the inherited lists (from the innermost file outwards), then the own; in lower
/// case, each list without its repetitions.
pub fn join_labels(inherited: &[String], own: &str) -> String {
    let mut all = Vec::new();
    for list in inherited.iter().map(String::as_str).chain([own]) {
        let mut seen: Vec<String> = Vec::new();
        for label in items(list) {
            if !seen.contains(&label) {
                seen.push(label);
            }
        }
        all.extend(seen);
    }
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(run: &str, expression: &str) -> bool {
        Selection::new(Some(run), None).unwrap().takes_contexts(expression).unwrap()
    }

    #[test]
    fn contexts_follow_liquibases_grammar() {
        for (run, expression, expected) in [
            ("", "test", true),
            ("", "!test", true),
            ("", "@test", false),
            ("", "!@test", true),
            ("", "@!test", true),
            ("", "(@test)", false),
            ("test", "", true),
            ("test", "test", true),
            ("TEST", "Test", true),
            ("test", "prod", false),
            ("test", "!test", false),
            ("test", "not test", false),
            ("test", "@test", true),
            ("test", "test or prod", true),
            ("test", "test and prod", false),
            ("test, prod", "test and prod", true),
            ("test", "prod, test", true),
            ("test", "(prod or test) and !dev", true),
            ("test,dev", "(prod or test) and !dev", false),
            ("test", "!(prod or test)", false),
            ("test", "not (prod and test)", true),
            ("test", "a or (b and (test or c) and !d) or e", false),
            ("test,b", "a or (b and (test or c) and !d) or e", true),
            ("test", "sandor", false),
            ("sandor", "sandor", true),
            ("test", "prod\tor\ttest", true),
            ("test or prod", "prod", true),
            ("!test", "test", false),
            ("!test", "prod", true),
        ] {
            assert_eq!(takes(run, expression), expected, "{run} / {expression}");
        }
    }

    #[test]
    fn brackets_that_do_not_pair_are_an_error() {
        let run = Selection::new(Some("a"), None).unwrap();
        for expression in ["(a", "a)", "(a,b)", "()", "((a)"] {
            assert!(run.takes_contexts(expression).is_err(), "{expression}");
        }
        assert!(Selection::new(Some("(a"), None).is_err());
        assert!(Selection::new(None, Some("a)")).is_err());
    }

    #[test]
    fn labels_are_a_list_and_the_run_has_the_expression() {
        for (run, labels, expected) in [
            ("", "a", true),
            ("a", "", true),
            ("a", "a,b", true),
            ("!a", "a,b", false),
            ("a and b", "a,B", true),
            ("a and c", "a,b", false),
            ("c,b", "a, b", true),
            ("(a or c) and !d", "a", true),
        ] {
            let run = Selection::new(None, Some(run)).unwrap();
            assert_eq!(run.takes_labels(labels).unwrap(), expected, "{run:?} / {labels}");
        }
    }

    #[test]
    fn every_expression_of_a_filter_must_match() {
        let run = Selection::new(Some("test"), Some("a")).unwrap();
        let filter = |contexts: &[&str], labels: &[&str]| Filter {
            contexts: contexts.iter().map(|&it| it.into()).collect(),
            labels: labels.iter().map(|&it| it.into()).collect(),
            ..Filter::default()
        };
        assert!(run.takes(&filter(&["test", "test or prod"], &["a", "a,b"])).unwrap());
        assert!(!run.takes(&filter(&["test", "prod"], &[])).unwrap());
        assert!(!run.takes(&filter(&[], &["a", "b"])).unwrap());
        assert!(run.takes(&Filter::default()).unwrap());
    }

    #[test]
    fn dbms_takes_postgresql_only_by_its_own_name() {
        for (attribute, expected) in [
            (None, true),
            (Some(""), true),
            (Some("postgresql"), true),
            (Some("PostgreSQL, h2"), true),
            (Some("postgres"), false),
            (Some("all"), true),
            (Some("none"), false),
            (Some("postgresql,none"), false),
            (Some("!mysql"), true),
            (Some("!postgresql"), false),
            (Some("!mysql,oracle"), false),
        ] {
            assert_eq!(dbms_matches(attribute), expected, "{attribute:?}");
        }
        assert_eq!(unknown_dbms("postgres, h2,!pg,all"), ["postgres", "!pg"]);
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn the_columns_are_written_as_liquibase_writes_them() {
        let of = |parts: &[&str]| parts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert_eq!(join(&[], "test or prod"), "(test or prod)");
        assert_eq!(join(&of(&["a"]), "b,c"), "a AND (b,c)");
        assert_eq!(join(&of(&["a", "b"]), ""), "a AND b");
        assert_eq!(join(&[], ""), "");
        assert_eq!(join_labels(&of(&["A, b"]), "c,c , a"), "a,b,c,a");
        assert_eq!(join_labels(&[], ""), "");
    }

    proptest::proptest! {
        #[test]
        fn any_expression_gives_an_answer(run in ".{0,20}", text in "[ab@!() ,]{0,20}|.{0,20}") {
            if let Ok(run) = Selection::new(Some(&run), Some(&run)) {
                let _ = run.takes_contexts(&text);
                let _ = run.takes_labels(&text);
            }
        }
    }
}
