//! A stand-in until the command line is there: `demo` alone.

use execute_sql::commands::demo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    execute_sql::trust::prepare();
    execute_sql::telemetry::for_terminal();
    let keep = std::env::args().any(|it| it == "--keep");
    demo::run(&demo::Options { keep }).await
}
