//! Changelog properties: `${name}` and what stands for it.

/// Names and their values, in order of precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {}
