//! Changelog properties: `${name}` and what stands for it.
//!
//! The run's own parameters come first, then global definitions (the first one
//! counts), then those of the file itself (the last one counts). What nobody
//! defined stays as it is written. Liquibase also looks into the environment of
//! its process; that is deliberately not done here, for in a function it holds
//! credentials. A value is expanded before the checksum is made, as there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::expression::{self, Selection};

/// Names and their values, in order of precedence.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    selection: Selection,
    globals: HashMap<String, String>,
    locals: HashMap<String, HashMap<String, String>>,
}

/// Where a definition counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In all files.
    Global,
    /// In the file that holds it, and not in what that includes.
    Local {
        /// The file's path, or its logical path.
        file: String,
    },
}

/// When a definition counts at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// A context expression.
    pub contexts: Option<String>,
    /// A list of labels.
    pub labels: Option<String>,
    /// Database products.
    pub dbms: Option<String>,
}

/// What Liquibase defines by itself for PostgreSQL, as far as it depends on no session.
const BUILT_IN: [(&str, &str); 14] = [
    ("database.autoIncrementClause", ""),
    ("database.currentDateTimeFunction", "NOW()"),
    ("database.databaseChangeLogLockTableName", "databasechangeloglock"),
    ("database.databaseChangeLogTableName", "databasechangelog"),
    ("database.databaseProductName", "PostgreSQL"),
    ("database.lineComment", "--"),
    ("database.requiresPassword", "true"),
    ("database.requiresUsername", "true"),
    ("database.supportsForeignKeyDisable", "false"),
    ("database.supportsInitiallyDeferrableColumns", "true"),
    ("database.supportsSchemas", "true"),
    ("database.supportsSequences", "true"),
    ("database.supportsTablespaces", "true"),
    ("database.typeName", "postgresql"),
];

impl Properties {
    /// The run's parameters, which nothing overrides, and what selects further definitions. Facts of
    /// the session, such as `database.defaultSchemaName`, are known only if they are given.
    pub fn new(given: &BTreeMap<String, String>, selection: &Selection) -> Self {
        let mut all = Self { selection: selection.clone(), ..Self::default() };
        for (name, value) in given {
            all.globals.entry(key(name)).or_insert_with(|| value.clone());
        }
        for (name, value) in BUILT_IN {
            all.globals.entry(key(name)).or_insert_with(|| value.to_owned());
        }
        all
    }

    /// Takes a definition, if this run matches its conditions. The error says which of them cannot
    /// be read.
    pub fn define(
        &mut self,
        name: &str,
        value: &str,
        scope: Scope,
        when: Option<When>,
    ) -> Result<(), String> {
        if let Some(when) = when {
            let contexts = self.selection.takes_contexts(&when.contexts.unwrap_or_default())?;
            let labels = self.selection.takes_labels(&when.labels.unwrap_or_default())?;
            if !(contexts && labels && expression::dbms_matches(when.dbms.as_deref())) {
                return Ok(());
            }
        }
        match scope {
            Scope::Global => {
                self.globals.entry(key(name)).or_insert_with(|| value.to_owned());
            }
            Scope::Local { file } => {
                self.locals.entry(file).or_default().insert(key(name), value.to_owned());
            }
        }
        Ok(())
    }

    /// Whether a name has a value in this file.
    pub fn is_defined(&self, name: &str, file: &str) -> bool {
        self.value(name, file).is_some()
    }

    /// The text with every `${name}` that has a value replaced by it, from the inside outwards.
    pub fn expand(&self, text: &str, file: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let mut expander = self.expander(file);
        let mut out = String::with_capacity(text.len());
        expander.push(text, &mut out);
        expander.finish(&mut out);
        out
    }

    /// The same for a text that comes in pieces.
    pub fn expander<'a>(&'a self, file: &'a str) -> Expander<'a> {
        Expander { properties: self, file, pending: String::new(), open: Vec::new(), dollar: false }
    }

    /// Of this run's contexts and labels.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    fn value(&self, name: &str, file: &str) -> Option<&str> {
        let name = key(name.trim());
        let local = || self.locals.get(file).and_then(|it| it.get(&name));
        self.globals.get(&name).or_else(local).map(String::as_str)
    }
}

fn key(name: &str) -> String {
    name.to_lowercase()
}

/// Names only: a value may be a secret.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locals = self.locals.iter().map(|(file, it)| (file, it.keys().collect::<Vec<_>>()));
        f.debug_struct("Properties")
            .field("selection", &self.selection)
            .field("globals", &self.globals.keys().collect::<Vec<_>>())
            .field("locals", &locals.collect::<Vec<_>>())
            .finish()
    }
}

/// A name longer than this (in bytes) is none: what stands between the brackets is left as it is.
const LONGEST: usize = 4096;
/// What values within values may take together, in bytes and look-ups.
const NESTED: usize = 1 << 20;

/// Expands a text that comes in pieces.
pub struct Expander<'a> {
    properties: &'a Properties,
    file: &'a str,
    /// What stands from the outermost open `${` on.
    pending: String,
    /// Where the names of open brackets start in `pending`.
    open: Vec<usize>,
    /// The last piece ended in a `$`.
    dollar: bool,
}

impl Expander<'_> {
    /// Takes a piece, and gives to `out` what is decided.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        self.take(piece, out, &mut Nested { names: Vec::new(), left: NESTED });
    }

    /// Gives the rest: a bracket that nobody closed is text.
    pub fn finish(&mut self, out: &mut String) {
        self.open.clear();
        out.push_str(&std::mem::take(&mut self.pending));
        if std::mem::take(&mut self.dollar) {
            out.push('$');
        }
    }

    fn take(&mut self, piece: &str, out: &mut String, nested: &mut Nested) {
        let mut rest = piece;
        if self.dollar && !rest.is_empty() {
            self.dollar = false;
            match rest.strip_prefix('{') {
                Some(after) => rest = self.opened(after),
                None => self.text("$", out),
            }
        }
        loop {
            let stop = if self.open.is_empty() { rest.find('$') } else { rest.find(['$', '}']) };
            let Some(at) = stop else {
                self.text(rest, out);
                return;
            };
            self.text(&rest[..at], out);
            let after = &rest[at + 1..];
            rest = after;
            if piece_is_closing(piece, after) {
                self.close(out, nested);
            } else if let Some(name) = after.strip_prefix('{') {
                rest = self.opened(name);
            } else if after.is_empty() {
                self.dollar = true;
            } else {
                self.text("$", out);
            }
        }
    }

    fn opened<'t>(&mut self, rest: &'t str) -> &'t str {
        self.pending.push_str("${");
        self.open.push(self.pending.len());
        rest
    }

    fn text(&mut self, text: &str, out: &mut String) {
        if self.open.is_empty() {
            out.push_str(text);
            return;
        }
        self.pending.push_str(text);
        while !self.open.is_empty() && self.pending.len() > LONGEST {
            self.open.remove(0);
            let keep = self.open.first().map_or(self.pending.len(), |start| start - 2);
            out.push_str(&self.pending[..keep]);
            self.pending.drain(..keep);
            self.open.iter_mut().for_each(|start| *start -= keep);
        }
    }

    fn close(&mut self, out: &mut String, nested: &mut Nested) {
        let Some(start) = self.open.pop() else { return };
        let name = self.pending.split_off(start);
        if name.starts_with("${") {
            // Liquibase takes the brackets away around what has no value itself; checksums depend on it.
            self.pending.truncate(start - 2);
            self.pending.push_str(&name);
        } else if let Some(value) = nested.value(self.properties, self.file, &name) {
            self.pending.truncate(start - 2);
            self.pending.push_str(&value);
        } else {
            self.pending.push_str(&name);
            self.pending.push('}');
        }
        if self.open.is_empty() {
            out.push_str(&std::mem::take(&mut self.pending));
        }
    }
}

/// Whether the character before `after` in `piece` closes a bracket.
fn piece_is_closing(piece: &str, after: &str) -> bool {
    piece.as_bytes()[piece.len() - after.len() - 1] == b'}'
}

/// Values within values: which are being expanded, so that a circle ends, and how much is left.
struct Nested {
    names: Vec<String>,
    left: usize,
}

impl Nested {
    fn value(&mut self, properties: &Properties, file: &str, name: &str) -> Option<String> {
        let value = properties.value(name, file)?;
        if !value.contains("${") {
            return Some(value.to_owned());
        }
        let name = key(name.trim());
        if self.names.contains(&name) || self.left < value.len() + 1 {
            return None;
        }
        self.left -= value.len() + 1;
        self.names.push(name);
        let mut out = String::new();
        let mut inner = properties.expander(file);
        inner.take(value, &mut out, self);
        inner.finish(&mut out);
        self.names.pop();
        self.left = self.left.saturating_sub(out.len());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Properties {
        let given = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Properties::new(&given, &Selection::new(Some("test"), Some("blue")).unwrap())
    }

    #[test]
    fn a_name_is_replaced_by_its_value_and_nothing_else_is_touched() {
        let all =
            given(&[("a", "1"), ("Name", "x y"), ("b1", "inner"), ("c", "<${a}>"), ("e", "")]);
        for (text, expanded) in [
            ("${a}", "1"),
            ("${ A }${name}", "1x y"),
            ("${b${a}}", "inner"),
            ("${c}", "<1>"),
            ("[${e}]", "[]"),
            ("${nope} $a $ { $$ } ${", "${nope} $a $ { $$ } ${"),
            ("$${a}$", "$1$"),
            ("${}", "${}"),
            ("${nope${a}}", "${nope1}"),
            ("${${nope}x}", "${nope}x"),
            ("${open ${a}", "${open 1"),
            ("${${a}", "${1"),
            ("}${a}}", "}1}"),
            ("${\na\n}", "1"),
            ("${database.typeName}", "postgresql"),
        ] {
            assert_eq!(all.expand(text, "f"), expanded, "{text}");
        }
    }

    #[test]
    fn given_comes_before_global_and_global_before_local() {
        let mut all = given(&[("a", "given")]);
        let local = |file: &str| Scope::Local { file: file.into() };
        for (name, value, scope) in [
            ("A", "global", Scope::Global),
            ("b", "first", Scope::Global),
            ("b", "second", Scope::Global),
            ("b", "local", local("f")),
            ("c", "local first", local("f")),
            ("c", "local last", local("f")),
        ] {
            all.define(name, value, scope, None).unwrap();
        }
        assert_eq!(all.expand("${a},${b},${c}", "f"), "given,first,local last");
        assert_eq!(all.expand("${c}", "g"), "${c}");
        assert!(all.is_defined("C", "f") && !all.is_defined("c", "g"));
    }

    #[test]
    fn a_definition_counts_only_in_the_runs_it_is_for() {
        let mut all = given(&[]);
        let when = |contexts: &str, labels: &str, dbms: &str| {
            let text = |it: &str| (!it.is_empty()).then(|| it.to_owned());
            Some(When { contexts: text(contexts), labels: text(labels), dbms: text(dbms) })
        };
        for (value, when) in [
            ("other context", when("prod", "", "")),
            ("other label", when("", "red", "")),
            ("other product", when("", "", "oracle")),
            ("this", when("test or prod", "blue,red", "h2,postgresql")),
            ("too late", None),
        ] {
            all.define("x", value, Scope::Global, when).unwrap();
        }
        assert_eq!(all.expand("${x}", "f"), "this");
        assert!(all.define("y", "", Scope::Global, when("(a", "", "")).is_err());
    }

    #[test]
    fn values_in_a_circle_end() {
        let all = given(&[("a", "${b}!"), ("b", "${a}?"), ("c", "${c}"), ("d0", "xx")]);
        assert_eq!(all.expand("${a} ${c}", "f"), "${a}?! ${c}");
        let laughs: Vec<_> =
            (1..40).map(|n| (format!("d{n}"), format!("${{d{}}}", n - 1).repeat(10))).collect();
        let mut all = all;
        for (name, value) in &laughs {
            all.define(name, value, Scope::Global, None).unwrap();
        }
        assert!(all.expand("${d39}", "f").len() < 100 << 20);
    }

    #[test]
    fn a_value_does_not_show_where_properties_are_printed() {
        assert!(!format!("{:?}", given(&[("a", "secret")])).contains("secret"));
    }

    proptest::proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(parts in proptest::collection::vec("[${}ab\n]{0,4}", 0..12)) {
            let all = given(&[("a", "1"), ("b", "${a}b"), ("a1", "2")]);
            let (mut out, mut expander) = (String::new(), all.expander("f"));
            for part in &parts {
                expander.push(part, &mut out);
            }
            expander.finish(&mut out);
            proptest::prop_assert_eq!(out, all.expand(&parts.concat(), "f"));
        }
    }
}
