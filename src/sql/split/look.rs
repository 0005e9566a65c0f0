//! How a text must be run, seen before it runs: in one pass over its statements.
//!
//! A plain text goes to the server in one message. Only one that holds COPY data,
//! commands of psql or transactions of its own, or what PostgreSQL refuses in a
//! transaction block, is split. What a statement does is not looked at any further.

use super::outline::statements;
use super::{Copy, Piece, SplitError, Splitter};
use crate::sql::scan::tokens;
use crate::sql::transactional::{self, Control, control_of};

/// The most transaction commands that are listed.
const LISTED: usize = 16;

/// What must be known of a text to run it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// The first statement that PostgreSQL refuses inside of a transaction block.
    pub needs_no_transaction: Option<String>,
    /// The commands that begin or end transactions, in order; at most 16 are listed.
    pub transaction_commands: Vec<Command>,
    /// The whole text is one transaction: `BEGIN; …; COMMIT`, without modes and without any other
    /// such command.
    pub own_transaction: bool,
    /// `COPY … FROM STDIN` with its data.
    pub has_copy_data: bool,
    /// The first statement that copies to the client (`COPY … TO STDOUT`).
    pub copies_out: Option<String>,
    /// Commands of psql: the text cannot be sent as it is.
    pub has_meta_commands: bool,
    /// How many statements there are, empty ones not counted.
    pub statements: usize,
}

/// A command that begins or ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Which.
    pub control: Control,
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
}

/// Looks at a text that is held.
pub fn look(sql: &str) -> Result<Shape, SplitError> {
    let mut look = Look::default();
    look.feed(sql)?;
    look.finish()
}

/// A text that is one transaction of its own, with blanks in place of its first and last
/// statement, so that it can run in a transaction of ours and all positions stay; `None` if it is
/// not such a text.
pub fn without_own_transaction(sql: &str) -> Result<Option<String>, SplitError> {
    let mut look = Look::default();
    look.feed(sql)?;
    let shape = look.end()?;
    let (Some(begin), Some(commit)) = (look.begin, look.last_commit) else { return Ok(None) };
    if !shape.own_transaction {
        return Ok(None);
    }
    let mut inner = String::with_capacity(sql.len());
    let mut at = 0;
    for (start, end) in [begin, commit] {
        inner.push_str(&sql[at..start]);
        let blank = |c: char| if matches!(c, '\n' | '\r') { c } else { ' ' };
        inner.extend(sql[start..end].chars().map(blank));
        at = end;
    }
    inner.push_str(&sql[at..]);
    Ok(Some(inner))
}

/// The line and the column of the statement number `left` (from 0) of a text; if it has fewer,
/// `left` becomes what is left of the count.
pub fn nth(mut sql: &str, left: &mut usize) -> Option<(usize, usize)> {
    let mut splitter = Splitter::default();
    loop {
        let piece = match splitter.next(&mut sql) {
            Ok(None) => splitter.finish(),
            piece => piece,
        };
        match piece {
            Ok(Some(Piece::Statement(it))) if *left == 0 => return Some((it.line, it.column)),
            Ok(Some(Piece::Statement(_))) => *left -= 1,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// [`look`] for a text that streams by.
#[derive(Debug, Default)]
pub struct Look {
    splitter: Splitter,
    shape: Shape,
    controls: usize,
    /// The bytes of the first statement, if it is a plain `BEGIN`.
    begin: Option<(usize, usize)>,
    /// The bytes of the statement before the end, if it is a plain `COMMIT`.
    last_commit: Option<(usize, usize)>,
}

impl Look {
    /// The next chunk.
    pub fn feed(&mut self, mut chunk: &str) -> Result<(), SplitError> {
        while let Some(piece) = self.splitter.next(&mut chunk)? {
            self.piece(piece);
        }
        Ok(())
    }

    /// No more chunks come.
    pub fn finish(mut self) -> Result<Shape, SplitError> {
        self.end()
    }

    fn end(&mut self) -> Result<Shape, SplitError> {
        while let Some(piece) = self.splitter.finish()? {
            self.piece(piece);
        }
        self.shape.has_meta_commands = self.splitter.commands() > 0;
        self.shape.own_transaction =
            self.controls == 2 && self.begin.is_some() && self.last_commit.is_some();
        Ok(std::mem::take(&mut self.shape))
    }

    fn piece(&mut self, piece: Piece) {
        let statement = match piece {
            Piece::Statement(statement) => statement,
            Piece::CopyData(_) | Piece::CopyEnd => {
                self.shape.has_copy_data = true;
                return;
            }
            Piece::Notice { .. } => return,
        };
        self.shape.statements += 1;
        self.last_commit = None;
        let (line, column) = (statement.line, statement.column);
        let span = (statement.span.start, statement.span.end);
        let verbatim = statement.is_verbatim();
        let controls: Vec<_> = if verbatim {
            transactional::control(&statement.text).into_iter().collect()
        } else {
            // After `\;` there are several in one.
            let tokens = tokens(&statement.text);
            statements(&tokens).filter_map(|(tokens, _)| control_of(tokens)).collect()
        };
        for control in controls {
            match control {
                Control::Begin { plain: true } if self.shape.statements == 1 && verbatim => {
                    self.begin = Some(span);
                }
                Control::Commit { plain: true } if verbatim => self.last_commit = Some(span),
                _ => {}
            }
            self.controls += 1;
            if self.controls <= LISTED {
                self.shape.transaction_commands.push(Command { control, line, column });
            }
        }
        let refused = transactional::refused_in_transaction(&statement.text).is_some();
        let out = statement.copy == Some(Copy::Out);
        if refused && self.shape.needs_no_transaction.is_none() {
            self.shape.needs_no_transaction = Some(statement.text);
        } else if out && self.shape.copies_out.is_none() {
            self.shape.copies_out = Some(statement.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_plain() {
        let shape =
            look("-- x\nCREATE TABLE t (a int);; INSERT INTO t VALUES (1);\nSELECT ':a'").unwrap();
        assert_eq!(shape, Shape { statements: 3, ..Shape::default() });
        assert_eq!(look(" -- nothing\n ; /* x */ ;").unwrap(), Shape::default());
    }

    #[test]
    fn what_needs_care_is_seen() {
        let shape = look("SELECT 1; VACUUM t; CREATE INDEX CONCURRENTLY i ON t (a);").unwrap();
        assert_eq!(shape.needs_no_transaction.as_deref(), Some("VACUUM t"));
        let shape = look("COPY t FROM STDIN;\nVACUUM;\n\\.\nCOPY t TO STDOUT").unwrap();
        assert!(shape.has_copy_data && shape.needs_no_transaction.is_none());
        assert_eq!((shape.statements, shape.copies_out.as_deref()), (2, Some("COPY t TO STDOUT")));
        assert!(look("\\set x 1\nSELECT :x").unwrap().has_meta_commands);
        assert!(look("SELECT 1\\; SELECT 2").unwrap().has_meta_commands);
        assert!(matches!(look("SELECT '"), Err(SplitError::Unclosed { .. })));
    }

    #[test]
    fn a_transaction_of_its_own_is_told_from_others() {
        for (sql, own) in [
            ("BEGIN; SELECT 1; COMMIT;", true),
            ("/* x */ begin work; SAVEPOINT a; ROLLBACK TO a; end transaction -- x", true),
            ("START TRANSACTION; SELECT 1; COMMIT AND NO CHAIN", true),
            ("BEGIN; COMMIT", true),
            ("BEGIN; SELECT 1", false),
            ("SELECT 1; BEGIN; SELECT 1; COMMIT;", false),
            ("BEGIN; SELECT 1; COMMIT; SELECT 2", false),
            ("BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 1; COMMIT", false),
            ("BEGIN; COMMIT; COMMIT", false),
            ("BEGIN; SELECT 1; ROLLBACK", false),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT", false),
            ("BEGIN; SELECT 1; COMMIT AND CHAIN", false),
            ("SELECT 1", false),
            ("BEGIN \\; SELECT 1; SELECT 2; COMMIT", false),
            ("BEGIN; SELECT 1\\; COMMIT \\; BEGIN; COMMIT", false),
            ("\\set b 'BEGIN; SELECT 1;'\n:b; COMMIT", false),
            ("\\set b 'BEGIN; SELECT 1; COMMIT;'\n:b;", false),
            ("\\set ON_ERROR_STOP 1\nBEGIN; SELECT :ON_ERROR_STOP; COMMIT;", true),
        ] {
            assert_eq!(look(sql).unwrap().own_transaction, own, "{sql}");
            assert_eq!(without_own_transaction(sql).unwrap().is_some(), own, "{sql}");
        }
        let hidden =
            look("SELECT 1 \\; CREATE FUNCTION f() BEGIN ATOMIC a; END \\; ABORT").unwrap();
        assert_eq!(hidden.transaction_commands.len(), 1);
        let commands = look("SELECT 1;\n COMMIT").unwrap().transaction_commands;
        let control = Control::Commit { plain: true };
        assert_eq!(commands, [Command { control, line: 2, column: 2 }]);
    }

    #[test]
    fn the_inner_part_keeps_its_place() {
        let sql = "\u{feff}-- é\nBEGIN /* é\n */;\nSELECT 'é;';\nCOMMIT; -- end";
        let inner = without_own_transaction(sql).unwrap().unwrap();
        assert_eq!(inner, "\u{feff}-- é\n          \n    \nSELECT 'é;';\n        -- end");
        assert_eq!(inner.chars().count(), sql.chars().count());
    }
}
