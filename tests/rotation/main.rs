//! Rotations as Secrets Manager drives them, with the real function, over a real PostgreSQL whose
//! master is restricted as on RDS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// The counts of failed logins are for people.
#![allow(clippy::print_stdout)]

mod again;
mod alternating;
mod applications;
mod ministack;
mod refusals;
mod single;
mod stage;
#[path = "../support/mod.rs"]
mod support;
