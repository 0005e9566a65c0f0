//! The end of tenants: what goes, what stays and why, and what a crash in the middle leaves.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod interrupted;
mod kept;
mod policies;
mod scene;
mod schemas;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;
