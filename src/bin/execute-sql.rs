//! The command line: arguments in, one command run, an exit code out.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use execute_sql::commands::cli::{Cli, Command};
use execute_sql::commands::{self, Exit};
use execute_sql::{telemetry, trust};

fn main() -> ExitCode {
    trust::prepare();
    telemetry::for_terminal();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _closed = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    run(&cli).unwrap_or_else(|error| commands::failed(&error)).into()
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &cli.command {
            Command::Plan { source, rehearse } => {
                commands::plan(source, *rehearse, cli.format).await
            }
            Command::Apply { source, run } => commands::apply(source, run, cli.format).await,
            Command::Verify { source } => commands::verify(source, cli.format).await,
            Command::Invoke { event, timeout, function_arn } => {
                commands::invoke(event, *timeout, function_arn.as_deref()).await
            }
            Command::Demo { keep } => {
                commands::demo::run(&commands::demo::Options { keep: *keep }).await?;
                Ok(Exit::Done)
            }
            later => Ok(commands::not_supported(later)),
        }
    })
}
