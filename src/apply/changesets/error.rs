//! A changeset failed: which, where, and what stands of the run.

use std::fmt::Write as _;

use crate::changelog::Changeset;
use crate::postgres::SqlError;
use crate::sql::split::SplitError;

/// A changeset failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct ChangesetError {
    /// `author:id`.
    pub changeset: String,
    /// `file`, or `file:line:column` of the statement.
    pub at: String,
    /// What went wrong.
    #[source]
    pub cause: Cause,
    /// The first `${name}` in its text that nothing stands for.
    pub undefined: Option<String>,
    /// How many changesets of this run stand.
    pub stand: usize,
    /// How many statements of the changeset itself stand, if it runs outside of a transaction.
    pub statements: usize,
}

/// What went wrong with a changeset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The server refused a statement.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Its text, or a file of it, cannot be read.
    #[error("{0}")]
    Text(String, Option<&'static str>),
    /// It wants to send data to the client.
    #[error("`{0}` copies to the client, which is not here")]
    CopiesOut(String),
    /// It wants strings to be read in PostgreSQL's old way.
    #[error("it turns `standard_conforming_strings` off")]
    OldStrings,
    /// A precondition does not hold, and its author wants the run to end.
    #[error("its precondition `{shown}` does not hold{}", .message.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    Precondition {
        /// The condition.
        shown: String,
        /// The author's words.
        message: Option<String>,
    },
    /// It was interrupted, and what ran then is not what stands there now.
    #[error("it was interrupted after {0} statements, and those have been changed since")]
    Moved(usize),
    /// An index that was built concurrently is not valid.
    #[error("index `{0}` was built and is not valid")]
    InvalidIndex(String),
}

impl Cause {
    /// A text that cannot be taken apart, with the place in its file.
    pub(super) fn split(error: &SplitError, at: &str) -> Self {
        Self::Text(error.told(at), error.hint())
    }
}

impl ChangesetError {
    pub(super) fn new(changeset: &Changeset, at: Option<String>, cause: impl Into<Cause>) -> Self {
        Self {
            changeset: changeset.identity.to_string(),
            at: at.unwrap_or_else(|| changeset.place.to_string()),
            cause: cause.into(),
            undefined: changeset.content().as_deref().and_then(undefined),
            stand: 0,
            statements: 0,
        }
    }

    /// The server's error, if it is one.
    pub fn sql(&self) -> Option<&SqlError> {
        match &self.cause {
            Cause::Sql(error) => Some(error),
            _ => None,
        }
    }

    fn text(&self) -> String {
        let mut text =
            format!("changeset `{}` ({}) failed: {}", self.changeset, self.at, self.cause);
        if self.statements > 0 {
            let _infallible = write!(text, "; {} statements of it stand", self.statements);
        }
        if self.stand > 0 {
            let _infallible =
                write!(text, "; {} changesets of this run before it stand", self.stand);
        }
        text
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.cause {
            Cause::Sql(error) if error.sqlstate.as_deref() == Some("25001") => {
                "Set `runInTransaction:false` on the changeset."
            }
            Cause::Sql(error) if error.sqlstate.as_deref() == Some("25006") => {
                "A changeset must not make its transaction read only; its row is written in it."
            }
            Cause::Sql(SqlError { sqlstate: Some(state), .. })
                if state == "42601" && self.undefined.is_some() =>
            {
                let name = self.undefined.as_deref().unwrap_or_default();
                return Some(format!("Nothing stands for `{name}`; give it in `Parameters`."));
            }
            Cause::Sql(error) => return error.hint(),
            Cause::Text(_, hint) => return hint.map(str::to_owned),
            Cause::OldStrings => "Leave that out, and write strings with backslashes as E'...'.",
            Cause::CopiesOut(_) => "Leave it out.",
            Cause::Precondition { .. } => "Make the condition true, or set its `onFail`.",
            Cause::Moved(_) => {
                "Give the changeset its earlier text back, or finish it by hand and record it with \
                 Liquibase's `mark-next-changeset-ran`."
            }
            Cause::InvalidIndex(_) => {
                "Look for duplicate rows or a lock that was waited for too long."
            }
        };
        Some(hint.to_owned())
    }
}

fn undefined(text: &str) -> Option<String> {
    let start = text.find("${")?;
    let end = text[start..].find('}')? + start;
    Some(text[start..=end].to_owned())
}
