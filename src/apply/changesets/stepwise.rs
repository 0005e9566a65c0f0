//! A changeset statement by statement: in one transaction, or outside of one.
//!
//! Outside, each statement that may is a transaction together with the ledger's
//! note that it stands. Before one that PostgreSQL refuses in a transaction the
//! note says that its end is in doubt; a run that finds such a note looks, as far as
//! one can, whether it ended. So an interrupted changeset goes on where it stopped.

use sha2::{Digest, Sha256};

use super::pieces::Pieces;
use super::{
    Cause, ChangesetError, RESET_SESSION, Run, Within, index, keeps_lock, refuses_transaction,
};
use crate::changelog::Changeset;
use crate::history::Executed;
use crate::ledger::Progress;
use crate::postgres::SqlError;
use crate::request::hex;
use crate::sql::split::{Copy, Piece, Statement};
use crate::sql::transactional::{Control, control, refused_in_transaction, sets_session};

impl Run<'_> {
    /// Statement by statement in one transaction.
    pub(super) async fn inside(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
        within: Within,
    ) -> Result<(), ChangesetError> {
        let (begin, commit, undo) = match within {
            Within::Own => ("BEGIN;", "COMMIT", "ROLLBACK"),
            Within::Open => (
                "SAVEPOINT changeset;",
                "RELEASE SAVEPOINT changeset",
                "ROLLBACK TO SAVEPOINT changeset",
            ),
        };
        let fail = |at: Option<String>, cause: Cause| ChangesetError::new(changeset, at, cause);
        let opened = self.session.run(&format!("{begin}{}", self.budget.set_local())).await;
        opened.map_err(|it| fail(None, it.into()))?;
        let ended = match self.all(changeset).await {
            Ok(()) => {
                let sql = format!("{}{commit}", self.recorded(changeset, how, "now()"));
                self.session.run(&sql).await.map(drop).map_err(|it| fail(None, it.into()))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            if !error.sql().is_some_and(SqlError::is_lost) {
                self.session.run(undo).await.map_err(|it| fail(None, it.into()))?;
            }
        }
        ended
    }

    async fn all(&self, changeset: &Changeset) -> Result<(), ChangesetError> {
        let mut pieces = Pieces::of(changeset, &self.loaded.files);
        while let Some(piece) = pieces.next(self.session).await {
            let (piece, change) = piece.map_err(|it| ChangesetError::new(changeset, None, it))?;
            let Piece::Statement(statement) = piece else { continue };
            // The text's own brackets: ours stand for them.
            if matches!(
                control(&statement.text),
                Some(Control::Begin { .. } | Control::Commit { .. })
            ) {
                continue;
            }
            let ran = if statement.copy == Some(Copy::In) {
                self.copy(&statement, &mut pieces).await
            } else {
                self.session.execute(&statement.text).await.map_err(Cause::from)
            };
            ran.map_err(|it| failed(changeset, &statement, change, it))?;
        }
        Ok(())
    }

    /// Sends the rows that follow `COPY … FROM STDIN`.
    async fn copy(&self, statement: &Statement, pieces: &mut Pieces) -> Result<(), Cause> {
        let mut copy = self.session.copy_in(&statement.text).await?;
        while let Some(piece) = pieces.next(self.session).await {
            match piece?.0 {
                Piece::CopyData(data) => copy.send(data).await?,
                _ => break,
            }
        }
        Ok(copy.finish().await?)
    }

    /// Statement by statement, each for itself.
    pub(super) async fn outside(
        &mut self,
        changeset: &Changeset,
        how: Executed<'_>,
    ) -> Result<(), ChangesetError> {
        let fail = |cause: Cause| ChangesetError::new(changeset, None, cause);
        let begun = self.begun(changeset).await.map_err(|it| fail(it.into()))?;
        let mut walk = Walk { run: self, changeset, progress: begun.clone(), in_block: false };
        if let Err(mut error) = walk.all(&begun).await {
            let progress = walk.progress.clone();
            error.statements = progress.done;
            if !error.sql().is_some_and(SqlError::is_lost) {
                let note = walk.note(&progress);
                let sql = format!("{RESET_SESSION} BEGIN; {note}COMMIT");
                self.session.run(&sql).await.map_err(|it| fail(it.into()))?;
                // Another attempt goes on from here, not from what was known when the run began.
                self.came_to = Some((changeset.identity.clone(), progress));
            }
            return Err(error);
        }
        let sql = format!("BEGIN;{}COMMIT", self.recorded(changeset, how, "now()"));
        self.session.run(&sql).await.map(drop).map_err(|it| fail(it.into()))
    }

    /// How far an earlier run came; otherwise the ledger learns that the changeset is begun.
    async fn begun(&self, changeset: &Changeset) -> Result<Progress, SqlError> {
        let it = &changeset.identity;
        if let Some((_, progress)) = self.came_to.as_ref().filter(|(whose, _)| whose == it) {
            return Ok(progress.clone());
        }
        let same = self
            .interrupted
            .iter()
            .find(|row| row.id == it.id && row.author == it.author && row.path == it.path);
        if let Some(row) = same {
            return Ok(Progress {
                done: row.done,
                sha256: row.done_sha256.clone(),
                doubtful: row.doubtful,
            });
        }
        self.session.run(&self.entry.changeset_began(self.table, changeset)).await?;
        Ok(Progress::default())
    }
}

fn failed(
    changeset: &Changeset,
    statement: &Statement,
    change: usize,
    cause: Cause,
) -> ChangesetError {
    let position = if let Cause::Sql(error) = &cause { error.position } else { None };
    let (line, column) =
        position.map_or((statement.line, statement.column), |it| statement.place(it));
    ChangesetError::new(changeset, Some(changeset.place_in(change, line, column)), cause)
}

/// One walk through the statements of a changeset.
struct Walk<'r, 'a> {
    run: &'r Run<'a>,
    changeset: &'r Changeset,
    /// What stands, and is known to stand.
    progress: Progress,
    /// Whether the text has opened a transaction of its own.
    in_block: bool,
}

impl Walk<'_, '_> {
    async fn all(&mut self, begun: &Progress) -> Result<(), ChangesetError> {
        let mut hash = Sha256::new();
        let mut seen = 0;
        let mut doubtful = begun.doubtful;
        let mut settings = Vec::new();
        let mut pieces = Pieces::of(self.changeset, &self.run.loaded.files);
        while let Some(piece) = pieces.next(self.run.session).await {
            let (piece, change) =
                piece.map_err(|it| ChangesetError::new(self.changeset, None, it))?;
            let Piece::Statement(statement) = piece else { continue };
            hash.update(statement.text.trim());
            hash.update([0]);
            seen += 1;
            let after =
                Progress { done: seen, sha256: hex(&hash.clone().finalize()), doubtful: false };
            if seen <= begun.done && sets_session(&statement.text) {
                settings.push(statement.text.clone());
            }
            if seen < begun.done {
                continue;
            }
            if seen == begun.done {
                if after.sha256 != begun.sha256 {
                    let cause = Cause::Moved(begun.done);
                    return Err(ChangesetError::new(self.changeset, None, cause));
                }
                tracing::info!(statements = seen, "going on after what stands");
                self.progress = Progress { doubtful, ..after };
                // What stands in the database is there; what was set for the session is not.
                for setting in std::mem::take(&mut settings) {
                    let set = self.run.session.run(&setting).await;
                    set.map_err(|it| failed(self.changeset, &statement, change, it.into()))?;
                }
                continue;
            }
            // The server answers now, or nobody writes down what it did.
            self.progress.doubtful = false;
            let ran = self.one(&statement, &mut pieces, &after, doubtful).await;
            ran.map_err(|it| failed(self.changeset, &statement, change, it))?;
            doubtful = false;
        }
        if seen < begun.done {
            return Err(ChangesetError::new(self.changeset, None, Cause::Moved(begun.done)));
        }
        Ok(())
    }

    async fn one(
        &mut self,
        statement: &Statement,
        pieces: &mut Pieces,
        after: &Progress,
        doubtful: bool,
    ) -> Result<(), Cause> {
        let session = self.run.session;
        let note = self.note(after);
        if let Some(control) = control(&statement.text) {
            let commits = matches!(control, Control::Commit { .. } | Control::Prepare);
            // What stands is noted in the text's own transaction, before it commits.
            if commits && self.in_block {
                session.run(&note).await?;
            }
            session.run(&statement.text).await?;
            // `AND CHAIN` opens the next one.
            self.in_block =
                matches!(control, Control::Begin { .. } | Control::Commit { plain: false });
            if commits {
                self.progress = after.clone();
            }
            return Ok(());
        }
        if self.in_block {
            if statement.copy == Some(Copy::In) {
                return self.run.copy(statement, pieces).await;
            }
            return Ok(session.execute(&statement.text).await?);
        }
        if statement.copy == Some(Copy::In) {
            session.run("BEGIN").await?;
            self.run.copy(statement, pieces).await?;
            session.run(&format!("{note}COMMIT")).await?;
        } else if doubtful || refused_in_transaction(&statement.text).is_some() {
            self.alone(statement, &note, doubtful).await?;
        } else {
            let sql = format!("BEGIN;\n{}\n;\n{note}COMMIT", statement.text);
            match session.execute(&sql).await {
                Err(error)
                    if refuses_transaction(error.sqlstate.as_deref().unwrap_or_default()) =>
                {
                    session.run("ROLLBACK").await?;
                    self.alone(statement, &note, false).await?;
                }
                Err(mut error) => {
                    session.run("ROLLBACK").await?;
                    // The position is one in the message; seven characters come before the text.
                    error.position = error.position.and_then(|it| it.checked_sub(7));
                    return Err(error.into());
                }
                Ok(()) => {}
            }
        }
        self.progress = after.clone();
        Ok(())
    }

    /// Says in the ledger how far it came, whatever role the text has taken on.
    fn note(&self, progress: &Progress) -> String {
        let note = self.run.entry.changeset_progress(self.run.table, self.changeset, progress);
        format!("SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; {note}")
    }

    /// A statement that is refused in a transaction; no note can be of the same moment.
    async fn alone(&self, statement: &Statement, note: &str, doubtful: bool) -> Result<(), Cause> {
        let session = self.run.session;
        let before = Progress { doubtful: true, ..self.progress.clone() };
        session.run(&format!("BEGIN; {}COMMIT", self.note(&before))).await?;
        let limit = self.run.budget.statement_timeout().as_millis();
        // A concurrent build waits for old snapshots, which is no lock to be impatient about.
        session.run(&format!("SET lock_timeout = 0; SET statement_timeout = {limit}")).await?;
        let built = index::named(&statement.text);
        let is_there = match &built {
            Some(built) => index::prepare(session, built, doubtful).await?,
            None => false,
        };
        if !is_there {
            match session.execute(&statement.text).await {
                // It did end the other time, only nobody could note it.
                Err(error) if doubtful && is_done_already(&error) => {}
                ran => ran?,
            }
        }
        if let Some(built) = &built {
            index::check(session, built).await?;
        }
        let reset = "RESET lock_timeout; RESET statement_timeout;";
        let kept = keeps_lock(&statement.text, self.run.entry.ledger);
        session.run(&format!("BEGIN; {reset}{kept}{note}COMMIT")).await?;
        Ok(())
    }
}

/// 42710, 42P04, 42P07: what it makes is there; 42704, 3D000, 42P01: what it drops is gone.
fn is_done_already(error: &SqlError) -> bool {
    const ENDS: [&str; 6] = ["42710", "42P04", "42P07", "42704", "3D000", "42P01"];
    error.sqlstate.as_deref().is_some_and(|it| ENDS.contains(&it))
}
