//! Goes through a formatted file line by line: which lines count, and as what.
//!
//! It knows what reaches over several lines: ignored lines and rollback blocks.
//! A file is read by it once, and once more for each text that is too long to
//! hold; both must see the same.

use crate::changelog::text::each_line;
use crate::changelog::text::lines::Line;
use crate::changelog::{ChangelogError, Files};

use super::directive::{self, Directive, Wrong, is_space};

/// What stands on a line.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A directive, or SQL; of a very long line a piece.
    Line(Directive<'a>),
    /// A line of a rollback block.
    Rollback(&'a str),
    /// The file is at its end, but these lines are still ignored, from a line on.
    IgnoredToTheEnd(u32),
    /// The file is at its end, but a rollback block is still open, from a line on.
    RollbackToTheEnd(u32),
}

/// Whether the walk goes on.
pub type Goes = bool;

#[derive(Clone, Copy)]
enum State {
    Plain,
    Ignores { from: u32 },
    IgnoresSome { left: u64 },
    Rollback { from: u32 },
}

/// Gives what stands on each line to `see`.
pub fn walk(
    files: &dyn Files,
    path: &str,
    see: &mut dyn FnMut(Seen<'_>, &Line<'_>) -> Goes,
) -> Result<(), ChangelogError> {
    let mut state = State::Plain;
    let mut within = false;
    let mut goes = true;
    each_line(files, path, &mut |line| {
        goes = match state {
            State::IgnoresSome { left } => {
                let left = left - u64::from(line.ends);
                state = if left > 0 { State::IgnoresSome { left } } else { State::Plain };
                true
            }
            State::Ignores { .. } => match directive(line) {
                Directive::IgnoreLines("end") => {
                    state = State::Plain;
                    true
                }
                it @ Directive::Wrong(Wrong::Ignore) if line.text.starts_with('-') => {
                    let one_dash = !line.text.starts_with("--");
                    !one_dash || see(Seen::Line(it), line)
                }
                _ => true,
            },
            State::Rollback { .. } => {
                let text = line.text.trim_end_matches(is_space);
                match text.strip_suffix("*/").filter(|_| line.ends) {
                    Some(last) => {
                        state = State::Plain;
                        last.chars().all(is_space) || see(Seen::Rollback(last), line)
                    }
                    None => see(Seen::Rollback(&line.text), line),
                }
            }
            State::Plain => {
                let directive = directive(line);
                match directive {
                    Directive::Changeset(_) => within = true,
                    Directive::IgnoreLines("start") => {
                        state = State::Ignores { from: line.number };
                    }
                    Directive::IgnoreLines(count) => {
                        if let Some(left) = count.parse().ok().filter(|&it| it > 0) {
                            state = State::IgnoresSome { left };
                        }
                    }
                    Directive::RollbackBlock if within => {
                        state = State::Rollback { from: line.number };
                    }
                    _ => {}
                }
                see(Seen::Line(directive), line)
            }
        };
        goes
    })?;
    let end = Line { text: "".into(), number: 0, begins: true, ends: true, damaged: false };
    match state {
        State::Ignores { from } if goes => see(Seen::IgnoredToTheEnd(from), &end),
        State::Rollback { from } if goes => see(Seen::RollbackToTheEnd(from), &end),
        _ => goes,
    };
    Ok(())
}

fn directive<'a>(line: &'a Line<'_>) -> Directive<'a> {
    if line.whole() { directive::of(&line.text) } else { Directive::Text }
}

/// Gives the lines of SQL of the n-th changeset (from 0) once more.
pub fn replay(
    files: &dyn Files,
    path: &str,
    nth: usize,
    take: &mut dyn FnMut(&str, u32, bool) -> Goes,
) -> Result<(), ChangelogError> {
    let mut begun = 0;
    walk(files, path, &mut |seen, line| match seen {
        Seen::Line(Directive::Changeset(_)) => {
            begun += 1;
            begun <= nth + 1
        }
        Seen::Line(it) if begun == nth + 1 && is_sql(it) => {
            take(&line.text, line.number, line.ends)
        }
        _ => true,
    })
}

/// Whether a line within a changeset is SQL.
pub fn is_sql(directive: Directive<'_>) -> bool {
    matches!(directive, Directive::Text | Directive::Doubtful(_) | Directive::Header)
}

/// Why a line that looks like a directive is none.
pub fn hidden(line: &Line<'_>) -> Option<&'static str> {
    let is_directive = |text: &str| !matches!(directive::of(text), Directive::Text);
    match line.text.strip_prefix('\u{feff}') {
        Some(rest) if is_directive(rest) => {
            Some("a byte order mark (U+FEFF) stands in the middle of the file, before a directive")
        }
        None if line.begins && !line.ends && is_directive(&line.text) => {
            Some("a directive is longer than 1 MiB")
        }
        _ => None,
    }
}
