//! Preconditions: what must hold before a changeset or a changelog runs.
//!
//! Read here, asked by `apply` when their turn has come, for what came before
//! them may have made them true.

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
