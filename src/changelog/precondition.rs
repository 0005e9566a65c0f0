//! Preconditions: what must hold before a changeset or a changelog runs.
//!
//! Read with the changelog, asked by `apply` when their turn has come, for what
//! came before them may have made them true. What asks the catalog is made here
//! into a query that answers `t` or `f`, so asking knows nothing of their kinds.

use crate::sql::literal;

/// A condition with what to do if it does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preconditions {
    /// All of these must hold.
    pub all: Vec<Condition>,
    /// If they do not.
    pub on_fail: Otherwise,
    /// If they cannot be asked.
    pub on_error: Otherwise,
    /// The author's words for the first case.
    pub on_fail_message: Option<String>,
    /// And for the second.
    pub on_error_message: Option<String>,
}

/// What happens if a precondition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// The run ends.
    #[default]
    Halt,
    /// The changeset is skipped, and asked again next time.
    Continue,
    /// The changeset counts as run.
    MarkRan,
    /// It runs anyway, with a warning.
    Warn,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `and`.
    All(Vec<Condition>),
    /// `or`.
    Any(Vec<Condition>),
    /// `not`: none of them.
    Not(Vec<Condition>),
    /// A query's only value, compared as text.
    SqlCheck {
        /// What is expected.
        expected: String,
        /// The query.
        sql: String,
    },
    /// A query without a row means yes or no: one that gives a row `t` holds. Made here from
    /// `tableExists`, `columnExists`, `indexExists` and their like; `shown` is what the author wrote.
    Query {
        /// For messages: `tableExists orders`.
        shown: String,
        /// A query that gives one value, `t` or `f`.
        sql: String,
    },
    /// `changeSetExecuted`.
    ChangesetExecuted(super::Identity),
    /// Decided while reading: `dbms`, `changeLogPropertyDefined`.
    Known {
        /// For messages.
        shown: String,
        /// Whether it holds.
        holds: bool,
    },
}

/// What a catalog's relation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A table, partitioned or not.
    Table,
    /// A view that is not materialized.
    View,
    /// A sequence.
    Sequence,
}

/// A name with its schema as the author wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// `None` is the first schema of the search path.
    pub schema: Option<&'a str>,
    /// The name.
    pub name: &'a str,
    /// `objectQuotingStrategy="QUOTE_ALL_OBJECTS"`: names stand as they are.
    pub exact: bool,
}

impl Named<'_> {
    /// The name as the catalog has it.
    pub fn stored(&self) -> String {
        if self.exact { self.name.to_owned() } else { folded(self.name) }
    }

    /// An expression that is the name of the schema.
    pub fn schema_sql(&self) -> String {
        match self.schema {
            None => "current_schema()".into(),
            Some(schema) if self.exact => literal(schema),
            Some(schema) => literal(&folded(schema)),
        }
    }
}

impl Condition {
    /// `tableExists`, `viewExists`, `sequenceExists`.
    pub fn exists(relation: Relation, named: &Named) -> Self {
        let (word, kinds) = match relation {
            Relation::Table => ("tableExists", "('r', 'p')"),
            Relation::View => ("viewExists", "('v')"),
            Relation::Sequence => ("sequenceExists", "('S')"),
        };
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.relnamespace WHERE c.relkind IN {kinds} AND n.nspname = {} \
             AND c.relname = {})",
            named.schema_sql(),
            literal(&named.stored()),
        );
        Self::Query { shown: format!("{word} {}", named.name), sql }
    }
}

/// A name as Liquibase lets PostgreSQL keep it: in lower case, but where it mixes cases, begins
/// with a digit or has a hyphen; such a name is quoted.
pub fn folded(name: &str) -> String {
    let mixed = name.contains(char::is_uppercase) && name.contains(char::is_lowercase);
    let kept = mixed || name.contains('-') || name.starts_with(|c: char| c.is_ascii_digit());
    if kept { name.to_owned() } else { name.to_lowercase() }
}
