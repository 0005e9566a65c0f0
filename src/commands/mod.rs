//! The commands of `execute-sql`, one module each.

pub mod demo;
