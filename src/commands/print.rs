//! What people and programs see. Colour only on a terminal, and not with `NO_COLOR`.
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};

use serde_json::{Value, json};

use super::Exit;
use super::cli::Format;
use crate::failure::Failure;
use crate::outcome::{Outcome, Rehearsed};
use crate::plan::Plan;
use crate::redact::scrub;

/// A plan that nothing was done of.
pub fn plan(outcome: &Outcome, format: Format) -> Exit {
    match format {
        Format::Json => json(&report(outcome)),
        Format::Text => {
            heading(outcome);
            steps(&outcome.plan);
            notes(&outcome.plan);
            rehearsal(&outcome.rehearsal);
            match outcome.plan.steps.len() {
                0 => say("Nothing to do."),
                1 => say("1 step. Nothing was changed."),
                count => say(format!("{count} steps. Nothing was changed.")),
            }
        }
    }
    let failed = outcome.rehearsal.iter().any(|it| it.result == "failed");
    if failed { Exit::Failed } else { Exit::Done }
}

/// What was done.
pub fn applied(outcome: &Outcome, format: Format) -> Exit {
    match format {
        Format::Json => json(&report(outcome)),
        Format::Text => {
            heading(outcome);
            steps(&outcome.plan);
            notes(&outcome.plan);
            let duration = outcome.data.get("DurationMs").map_or("?", String::as_str);
            if outcome.changed {
                say(format!("Done in {duration} ms."));
            } else {
                say("Nothing to do; everything was as wanted.");
            }
        }
    }
    Exit::Done
}

/// Nothing differs.
pub fn verified(outcome: &Outcome, format: Format) -> Exit {
    match format {
        Format::Json => json(&report(outcome)),
        Format::Text => {
            heading(outcome);
            say("The database is as wanted.");
        }
    }
    Exit::Done
}

/// Something differs.
pub fn differs(plan: &Plan, format: Format) -> Exit {
    match format {
        Format::Json => json(&json!({ "Differs": plan.steps })),
        Format::Text => {
            say("The database differs; to mend it, apply would do:");
            steps(plan);
        }
    }
    Exit::Differs
}

/// It failed.
pub fn failure(failure: &Failure, format: Format) -> Exit {
    let cause = scrub(&failure.to_string()).into_owned();
    let hint = failure.hint().map(|it| scrub(&it).into_owned());
    match format {
        Format::Json => {
            json(&json!({ "Error": cause, "Hint": hint, "Name": failure.name() }));
        }
        Format::Text => {
            complain(format!("error: {cause}"));
            if let Some(hint) = hint {
                complain(format!("hint: {hint}"));
            }
        }
    }
    Exit::Failed
}

/// Any value, for programs.
pub fn json(value: &Value) {
    say(format!("{value:#}"));
}

/// A line about something that is not there yet.
pub fn not_supported(command: &str) -> Exit {
    complain(format!("error: `{command}` is not supported yet"));
    Exit::Failed
}

/// An error of the command itself.
pub fn error(error: &anyhow::Error) -> Exit {
    complain(format!("error: {}", scrub(&format!("{error:#}"))));
    Exit::Failed
}

fn report(outcome: &Outcome) -> Value {
    json!({
        "Changed": outcome.changed,
        "Reason": outcome.reason,
        "Steps": outcome.plan.steps,
        "Notes": outcome.plan.notes,
        "Rehearsal": outcome.rehearsal,
        "Data": outcome.data,
    })
}

fn heading(outcome: &Outcome) {
    let of = |key: &str| outcome.data.get(key).map_or("", String::as_str);
    say(format!("Database {}, PostgreSQL {}", of("Database"), of("ServerVersion")));
}

fn steps(plan: &Plan) {
    for step in &plan.steps {
        say(coloured(&format!("  {step}")));
    }
}

fn notes(plan: &Plan) {
    for note in &plan.notes {
        say(format!("  note: {}", scrub(note)));
    }
}

/// What came of trying the changesets out.
fn rehearsal(changesets: &[Rehearsed]) {
    for it in changesets {
        let Rehearsed { changeset, result, rows, duration_ms, .. } = it;
        say(format!("  rehearsed {changeset}: {result}, {rows} rows, {duration_ms} ms"));
        for text in it.message.iter().chain(&it.locks) {
            say(format!("    {}", scrub(text)));
        }
        for table in &it.rewritten {
            say(format!("    {table} is written anew"));
        }
    }
}

fn coloured(line: &str) -> String {
    let plain = !stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let colour = match line.trim_start().chars().next() {
        Some('+') => 32,
        Some('~' | '!') => 33,
        Some('-') => 31,
        _ => 0,
    };
    if plain || colour == 0 { line.to_owned() } else { format!("\u{1b}[{colour}m{line}\u{1b}[0m") }
}

/// Prints a line; whoever closed the other end of the pipe has read enough.
fn say(line: impl Display) {
    let _closed = writeln!(stdout(), "{line}");
}

fn complain(line: impl Display) {
    let _closed = writeln!(stderr(), "{line}");
}
