//! What the tests stand on: a real PostgreSQL with RDS's restricted master, and small stand-ins on
//! the loopback for the parts of AWS that talk to the function (Lambda, CloudFormation, Secrets
//! Manager). Nothing here knows the product; it plays the world around it.
//!
//! Everything blocks: tests are plain `#[test]` functions. One thread per process runs the async
//! database driver for all of them ([`runtime`]).

// Each test binary compiles all of this and uses a part.
#![allow(dead_code, unused_imports, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::doc_markdown)]
// A guardian outlives its test; hex digits and owned arguments read better as they are.
#![allow(clippy::zombie_processes, clippy::format_collect, clippy::needless_pass_by_value)]
#![allow(clippy::unused_self, clippy::similar_names, clippy::duration_suboptimal_units)]

pub mod bundle;
pub mod client;
pub mod cloudformation;
pub mod cluster;
pub mod embedded;
pub mod environment;
pub mod folder;
pub mod http;
pub mod instance;
pub mod lambda;
pub mod liquibase;
pub mod pooler;
pub mod postgres;
pub mod probes;
pub mod processes;
pub mod programs;
pub mod proxy;
pub mod runtime;
pub mod secrets;
pub mod stack;
pub mod tls;

pub use bundle::Bundle;
pub use client::{Client, Running};
pub use cloudformation::{Behaviour, Receiver, Recorded};
pub use folder::{Folder, command_line};
pub use lambda::{FUNCTION_ARN, Function, FunctionOptions, Invocation, Pending};
pub use liquibase::Liquibase;
pub use postgres::{
    ADMIN_PASSWORD, Database, MAJORS, MASTER, MASTER_PASSWORD, MASTER_PASSWORD_MARK, Server,
    Settings, Stop,
};
pub use proxy::{Mode, Proxy, Side};
pub use secrets::{Failure, Fault, Rotation, Secrets};
pub use stack::{Next, Stack, sns};
pub use tls::Certificate;

use std::time::{Duration, Instant};

/// Far above what anything here needs, so that only a real fault reaches it, also on a busy machine.
pub const GENEROUS: Duration = Duration::from_secs(60);

/// Polls `condition` until it holds; panics with `what` after a generous limit.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GENEROUS, "waited {GENEROUS:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
