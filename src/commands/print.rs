//! What people and programs see. Colour only on a terminal, and not with `NO_COLOR`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal, stdout};

use serde_json::{Value, json};

use super::Exit;
use super::cli::Format;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::redact::scrub;

/// A plan that nothing was done of.
pub fn plan(outcome: &Outcome, format: Format) -> Exit {
    match format {
        Format::Json => json(&report(outcome)),
        Format::Text => {
            heading(outcome);
            steps(outcome);
            match outcome.plan.steps.len() {
                0 => println!("Nothing to do."),
                1 => println!("1 step. Nothing was changed."),
                count => println!("{count} steps. Nothing was changed."),
            }
        }
    }
    Exit::Done
}

/// What was done.
pub fn applied(outcome: &Outcome, format: Format) -> Exit {
    match format {
        Format::Json => json(&report(outcome)),
        Format::Text => {
            heading(outcome);
            steps(outcome);
            let duration = outcome.data.get("DurationMs").map_or("?", String::as_str);
            if outcome.changed {
                println!("Done in {duration} ms.");
            } else {
                println!("Nothing to do; everything was as wanted.");
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
            println!("The database is as wanted.");
        }
    }
    Exit::Done
}

/// Something differs.
pub fn differs(plan: &str, format: Format) -> Exit {
    match format {
        Format::Json => json(&json!({ "Differs": plan.split("; ").collect::<Vec<_>>() })),
        Format::Text => {
            println!("The database differs; to mend it, apply would do:");
            plan.split("; ").for_each(|line| println!("{}", coloured(line)));
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
            eprintln!("error: {cause}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
        }
    }
    Exit::Failed
}

/// Any value, for programs.
pub fn json(value: &Value) {
    println!("{value:#}");
}

/// A line about something that is not there yet.
pub fn not_supported(command: &str) -> Exit {
    eprintln!("error: `{command}` is not supported yet");
    Exit::Failed
}

/// An error of the command itself.
pub fn error(error: &anyhow::Error) -> Exit {
    eprintln!("error: {}", scrub(&format!("{error:#}")));
    Exit::Failed
}

fn report(outcome: &Outcome) -> Value {
    json!({
        "Changed": outcome.changed,
        "Reason": outcome.reason,
        "Steps": outcome.plan.steps,
        "Data": outcome.data,
    })
}

fn heading(outcome: &Outcome) {
    let of = |key: &str| outcome.data.get(key).map_or("", String::as_str);
    println!("Database {}, PostgreSQL {}", of("Database"), of("ServerVersion"));
}

fn steps(outcome: &Outcome) {
    for step in &outcome.plan.steps {
        println!("{}", coloured(&format!("  {step}")));
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
