//! The statements of a changeset, one after the other, as psql would tell them apart.
//!
//! They are read on a thread of their own, a few ahead of the server, so that a
//! text of any size takes the same memory.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Cause;
use super::whole::place;
use crate::changelog::{Changeset, Files, Text, Work};
use crate::sql::split::{Piece, SplitError, Splitter, Statement};
use crate::sql::transactional::{control, refused_in_transaction};

/// How many pieces are read ahead.
const AHEAD: usize = 4;

/// Pieces, each with the number of the change that it is of.
pub(super) struct Pieces {
    receiver: mpsc::Receiver<Result<(Piece, usize), Cause>>,
}

impl Pieces {
    /// Begins to read the text of `changeset`.
    pub(super) fn of(changeset: &Changeset, files: &Arc<dyn Files>) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let changeset = changeset.clone();
        let files = Arc::clone(files);
        tokio::task::spawn_blocking(move || {
            // Whoever reads may have stopped; then there is nobody to tell.
            let _stopped =
                read(&changeset, files.as_ref(), &mut |piece| sender.blocking_send(piece).is_ok());
        });
        Self { receiver }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<(Piece, usize), Cause>> {
        self.receiver.recv().await
    }
}

type Sink<'a> = &'a mut dyn FnMut(Result<(Piece, usize), Cause>) -> bool;

/// Gives all pieces to `sink` until it says `false`.
fn read(changeset: &Changeset, files: &dyn Files, sink: Sink<'_>) -> bool {
    let changes = changeset.changes.iter().enumerate().filter(|(_, it)| it.applies);
    for (number, change) in changes {
        let goes_on = match &change.work {
            Work::Sql(text) => sql(changeset, number, text, files, sink),
            Work::Statements(statements) => statements
                .iter()
                .all(|it| sink(Ok((Piece::Statement(Statement::whole(it.clone())), number)))),
            Work::Tag(_) | Work::Nothing => true,
        };
        if !goes_on {
            return false;
        }
    }
    true
}

fn sql(
    changeset: &Changeset,
    number: usize,
    text: &Text,
    files: &dyn Files,
    sink: Sink<'_>,
) -> bool {
    let wrong = |error: &SplitError| {
        let (line, column) = error.place();
        let at = place(changeset, number, line, column);
        Err(Cause::Text(format!("{error} at {at}")))
    };
    let mut splitter = Splitter::default();
    let mut open = true;
    let read = text.read(files, &mut |mut chunk| {
        while open {
            match splitter.next(&mut chunk) {
                Ok(Some(piece)) => open = sink(Ok((piece, number))),
                Ok(None) => break,
                Err(error) => {
                    sink(wrong(&error));
                    open = false;
                }
            }
        }
        open
    });
    if let Err(error) = read {
        sink(Err(Cause::Text(error.to_string())));
        return false;
    }
    while open {
        match splitter.finish() {
            Ok(Some(piece)) => open = sink(Ok((piece, number))),
            Ok(None) => break,
            Err(error) => {
                sink(wrong(&error));
                return false;
            }
        }
    }
    open
}

/// Whether a text that is too long to hold can run in one transaction of ours.
pub(super) async fn fits_a_transaction(
    changeset: &Changeset,
    files: &Arc<dyn Files>,
) -> Result<bool, Cause> {
    let mut pieces = Pieces::of(changeset, files);
    while let Some(piece) = pieces.next().await {
        if let (Piece::Statement(it), _) = piece? {
            if refused_in_transaction(&it.text).is_some() || control(&it.text).is_some() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
