//! The log: JSON lines in Lambda, plain text on a terminal.
//!
//! Every line passes [`scrub`](crate::redact::scrub). The crates that carry
//! events and secrets write them out at TRACE, so they are held at INFO whatever
//! the level is. `EXECUTE_SQL_LOG` sets ours: `error`, `warn`, `info` (default),
//! `debug`.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact::scrub;

/// JSON lines on standard output, as `CloudWatch` Logs reads them.
pub fn for_lambda() {
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(Scrubbed(io::stdout as fn() -> io::Stdout));
    tracing_subscriber::registry().with(layer).with(targets(LevelFilter::INFO)).init();
}

/// Text on standard error; warnings only, unless the variable says more.
pub fn for_terminal() {
    let layer = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_writer(Scrubbed(io::stderr as fn() -> io::Stderr));
    tracing_subscriber::registry().with(layer).with(targets(LevelFilter::WARN)).init();
}

fn targets(default: LevelFilter) -> Targets {
    let level = std::env::var("EXECUTE_SQL_LOG").ok().and_then(|it| it.parse().ok());
    Targets::new()
        .with_target("execute_sql", level.unwrap_or(default))
        .with_default(LevelFilter::WARN)
}

struct Scrubbed<W>(fn() -> W);

impl<'a, W: Write + 'a> MakeWriter<'a> for Scrubbed<W> {
    type Writer = ScrubbedWriter<W>;

    fn make_writer(&'a self) -> Self::Writer {
        ScrubbedWriter((self.0)())
    }
}

/// The formatter writes one whole event at a time, so no secret is split over two writes.
struct ScrubbedWriter<W>(W);

impl<W: Write> Write for ScrubbedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(scrub(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
