//! The command line, for people and CI.
//!
//! It reads the same properties as the custom resource, from a file or a
//! template, and goes the same road. Only here is anything printed.

pub mod cli;
mod desired_state;
mod invoke;
mod print;
mod run;
mod server;
mod template;

pub use invoke::invoke;
pub use run::{apply, plan, verify};

/// How a command ended, as a process tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or the same.
    Done,
    /// 1: failed.
    Failed,
    /// 2: `verify` found a difference.
    Differs,
    /// 64: the command line was wrong (`EX_USAGE` of sysexits.h).
    Usage,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Differs => 2,
            Exit::Usage => 64,
        })
    }
}

/// Refuses a command that has a name but no work yet.
pub fn not_supported(command: &cli::Command) -> Exit {
    print::not_supported(&format!("{command:?}").to_lowercase())
}

/// Says why a command could not even begin.
pub fn failed(error: &anyhow::Error) -> Exit {
    print::error(error)
}
