//! The statements of a changeset, one after the other, as psql would tell them apart.
//!
//! They are read on a thread of their own, a few ahead of the server, so that a
//! text of any size takes the same memory.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Cause;
use crate::changelog::change::Load;
use crate::changelog::{Changeset, Files, Text, Work};
use crate::postgres::{Row, Session};
use crate::sql::split::{Piece, SplitError, Splitter, Statement};
use crate::sql::transactional::{control, refused_in_transaction};

/// How many pieces are read ahead.
const AHEAD: usize = 4;

/// Pieces, each with the number of the change that it is of.
pub(super) struct Pieces {
    receiver: mpsc::Receiver<Item>,
}

/// What the reading thread has to say.
enum Item {
    Piece(Result<(Piece, usize), Cause>),
    /// It needs to know the types of a table's columns before it can go on.
    Question(String, std::sync::mpsc::Sender<Types>),
}

/// Columns and their types' categories.
type Types = Vec<(String, String)>;

impl Pieces {
    /// Begins to read the text of `changeset`.
    pub(super) fn of(changeset: &Changeset, files: &Arc<dyn Files>) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let changeset = changeset.clone();
        let files = Arc::clone(files);
        tokio::task::spawn_blocking(move || {
            // Whoever reads may have stopped; then there is nobody to tell.
            let _stopped = Reader { changeset: &changeset, files: files.as_ref(), sender }.all();
        });
        Self { receiver }
    }

    /// The next piece; `None` at the end. Questions of the reader are put to `session`.
    pub(super) async fn next(
        &mut self,
        session: &Session,
    ) -> Option<Result<(Piece, usize), Cause>> {
        loop {
            let (question, answer) = match self.receiver.recv().await? {
                Item::Piece(piece) => return Some(piece),
                Item::Question(question, answer) => (question, answer),
            };
            let rows = match session.run(&question).await {
                Ok(rows) => rows,
                Err(error) => return Some(Err(error.into())),
            };
            let pair = |row: Row| {
                let mut columns = row.into_iter().flatten();
                Some((columns.next()?, columns.next()?))
            };
            // A reader that stopped has said why.
            let _stopped = answer.send(rows.into_iter().filter_map(pair).collect());
        }
    }
}

/// The reading side.
struct Reader<'r> {
    changeset: &'r Changeset,
    files: &'r dyn Files,
    sender: mpsc::Sender<Item>,
}

impl Reader<'_> {
    /// Gives all pieces; `false` if nobody wants them any more, or after an error.
    fn all(&self) -> bool {
        let changes = self.changeset.changes.iter().enumerate().filter(|(_, it)| it.applies);
        changes.into_iter().all(|(number, change)| match &change.work {
            Work::Sql(text) => self.sql(number, text),
            Work::Statements(statements) => {
                statements.iter().all(|it| self.statement(number, it.clone()))
            }
            Work::Load(load) => self.load(number, load),
            Work::Tag(_) | Work::Nothing => true,
        })
    }

    fn give(&self, piece: Piece, number: usize) -> bool {
        self.sender.blocking_send(Item::Piece(Ok((piece, number)))).is_ok()
    }

    fn fail(&self, cause: Cause) -> bool {
        // Whoever reads may have stopped; then there is nobody to tell.
        let _stopped = self.sender.blocking_send(Item::Piece(Err(cause)));
        false
    }

    fn statement(&self, number: usize, text: String) -> bool {
        self.give(Piece::Statement(Statement::whole(text)), number)
    }

    fn load(&self, number: usize, load: &Load) -> bool {
        let (answer, types) = std::sync::mpsc::channel();
        if self.sender.blocking_send(Item::Question(load.question(), answer)).is_err() {
            return false;
        }
        let Ok(types) = types.recv() else { return false };
        let mut open = true;
        let loaded = load.statements(self.files, &types, &mut |text| {
            open = self.statement(number, text);
            open
        });
        match loaded {
            Ok(()) => open,
            Err(error) => self.fail(Cause::Text(error.to_string(), None)),
        }
    }

    fn sql(&self, number: usize, text: &Text) -> bool {
        let wrong = |error: &SplitError| {
            let (line, column) = error.place();
            self.fail(Cause::split(error, &self.changeset.place_in(number, line, column)))
        };
        let mut splitter = Splitter::default();
        let mut open = true;
        let read = text.read(self.files, &mut |mut chunk| {
            while open {
                match splitter.next(&mut chunk) {
                    Ok(Some(piece)) => open = self.give(piece, number),
                    Ok(None) => break,
                    Err(error) => open = wrong(&error),
                }
            }
            open
        });
        if let Err(error) = read {
            return self.fail(Cause::Text(error.to_string(), None));
        }
        while open {
            match splitter.finish() {
                Ok(Some(piece)) => open = self.give(piece, number),
                Ok(None) => break,
                Err(error) => open = wrong(&error),
            }
        }
        open
    }
}

/// Whether a text that is too long to hold can run in one transaction of ours.
pub(super) async fn fits_a_transaction(
    session: &Session,
    changeset: &Changeset,
    files: &Arc<dyn Files>,
) -> Result<bool, Cause> {
    let mut pieces = Pieces::of(changeset, files);
    while let Some(piece) = pieces.next(session).await {
        if let (Piece::Statement(it), _) = piece? {
            if refused_in_transaction(&it.text).is_some() || control(&it.text).is_some() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
