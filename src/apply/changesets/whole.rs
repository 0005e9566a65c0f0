//! A changeset as one message: the server takes its text apart, so nothing is split wrongly.

use std::borrow::Cow;

use super::{Cause, ChangesetError, Run, Within};
use crate::changelog::Changeset;
use crate::changelog::formatted::delimiter;
use crate::history::Executed;
use crate::postgres::SqlError;
use crate::sql::split::{self, SplitError};
use crate::sql::{check, line_and_column};

/// A part of the message, and the number of the change that it is of.
pub(super) struct Part<'a> {
    text: Cow<'a, str>,
    change: usize,
}

/// How a changeset has to be run.
pub(super) enum Shape<'a> {
    /// In one message.
    OneMessage(Vec<Part<'a>>),
    /// Statement by statement in one transaction.
    Pieces,
    /// Statement by statement outside of one.
    Outside,
}

/// How the texts of a changeset want to be run.
pub(super) fn shape(changeset: &Changeset) -> Result<Shape<'_>, Cause> {
    let mut parts = Vec::new();
    let mut pieces = false;
    let changes = changeset.changes.iter().enumerate().filter(|(_, it)| it.applies);
    for (number, change) in changes {
        let Some(text) = change.content() else {
            pieces = true;
            continue;
        };
        let wrong = |error: &SplitError| {
            let (line, column) = error.place();
            Cause::split(error, &changeset.place_in(number, line, column))
        };
        let look = split::look(&text).map_err(|it| wrong(&it))?;
        if let Some(statement) = &look.copies_out {
            return Err(Cause::CopiesOut(statement.clone()));
        }
        if check::stops_conforming(&text) {
            return Err(Cause::OldStrings);
        }
        if look.needs_no_transaction.is_some()
            || (!look.transaction_commands.is_empty() && !look.own_transaction)
        {
            return Ok(Shape::Outside);
        }
        pieces |= look.has_copy_data || look.has_meta_commands;
        // Ours stands for the text's own, and holds the history's row too.
        let inner = if look.own_transaction {
            split::without_own_transaction(&text).map_err(|it| wrong(&it))?
        } else {
            None
        };
        let text = inner.map_or(text, Cow::Owned);
        parts.push(Part { text, change: number });
    }
    Ok(if pieces { Shape::Pieces } else { Shape::OneMessage(parts) })
}

/// The parts with Liquibase's usual delimiters made `;`; `None` if they have no such line.
fn with_usual_delimiters<'a>(parts: &'a [Part<'_>]) -> Option<Vec<Part<'a>>> {
    let part = |it: &'a Part<'_>| Part { text: delimiter::usual(&it.text), change: it.change };
    let parts: Vec<_> = parts.iter().map(part).collect();
    parts.iter().any(|it| matches!(it.text, Cow::Owned(_))).then_some(parts)
}

impl Run<'_> {
    /// Runs a changeset in one message.
    ///
    /// A line of `GO` or `/` is a name or a division to PostgreSQL, and the end of a statement to
    /// Liquibase. The server's reading comes first; only a text that makes no sense to it is read
    /// as Liquibase does. Nothing of the first try stands then.
    pub(super) async fn whole(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
        within: Within,
        parts: &[Part<'_>],
    ) -> Result<(), ChangesetError> {
        const SYNTAX_ERROR: &str = "42601";
        let is_syntax = |error: &ChangesetError| {
            error.sql().is_some_and(|it| it.sqlstate.as_deref() == Some(SYNTAX_ERROR))
        };
        let next = self.deployment.next;
        let other = with_usual_delimiters(parts);
        let guarded = !changeset.run.fail_on_error || other.is_some();
        let first = self.message(changeset, how, within, guarded, parts).await;
        match (first, other) {
            (Err(error), Some(parts)) if is_syntax(&error) => {
                self.deployment.next = next;
                match self.message(changeset, how, within, guarded, &parts).await {
                    Err(second) if is_syntax(&second) => Err(error),
                    result => result,
                }
            }
            (first, _) => first,
        }
    }

    async fn message(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
        within: Within,
        guarded: bool,
        parts: &[Part<'_>],
    ) -> Result<(), ChangesetError> {
        let (begin, commit) = match within {
            Within::Own => ("BEGIN;\n", "COMMIT"),
            // What may fail must not take the others along.
            Within::Open if guarded => ("SAVEPOINT changeset;\n", "RELEASE SAVEPOINT changeset"),
            Within::Open => ("", ""),
        };
        let mut sql = format!("{begin}{}\n", self.budget.set_local());
        let mut starts = Vec::new();
        for part in parts {
            starts.push(sql.len());
            sql += &part.text;
            // On a line of its own, for the text may end in a comment.
            sql += "\n;\n";
        }
        let end = sql.len();
        sql += &self.recorded(changeset, how, "now()");
        sql += commit;
        let Err(error) = self.session.execute(&sql).await else { return Ok(()) };
        if !error.is_lost() {
            let undo = match (within, begin.is_empty()) {
                (Within::Own, _) => "ROLLBACK",
                (Within::Open, false) => "ROLLBACK TO SAVEPOINT changeset",
                (Within::Open, true) => "",
            };
            if !undo.is_empty() {
                let undone = self.session.run(undo).await;
                undone.map_err(|it| ChangesetError::new(changeset, None, it))?;
            }
        }
        let message = Message { sql: &sql, starts: &starts, end, parts };
        let before = usize::from(!begin.is_empty()) + 1;
        let at = message.position(changeset, &error, before);
        Err(ChangesetError::new(changeset, at, error))
    }
}

struct Message<'a> {
    sql: &'a str,
    /// Where each part begins, in bytes.
    starts: &'a [usize],
    /// Where the last one ends.
    end: usize,
    parts: &'a [Part<'a>],
}

impl Message<'_> {
    /// Where the error is: by the server's position, or by counting the statements that ended.
    fn position(&self, changeset: &Changeset, error: &SqlError, before: usize) -> Option<String> {
        if let Some(position) = error.position {
            let bytes = self.sql.char_indices().nth(position.saturating_sub(1) as usize)?.0;
            if bytes >= self.end {
                return None;
            }
            let nth = self.starts.partition_point(|&start| start <= bytes).checked_sub(1)?;
            let part = &self.parts[nth];
            let inside = self.sql[self.starts[nth]..bytes].chars().count() + 1;
            let (line, column) = line_and_column(&part.text, u32::try_from(inside).ok()?);
            return Some(changeset.place_in(part.change, line, column));
        }
        let mut left = error.completed.checked_sub(before)?;
        for part in self.parts {
            if let Some((line, column)) = split::nth(&part.text, &mut left) {
                return Some(changeset.place_in(part.change, line, column));
            }
        }
        None
    }
}
