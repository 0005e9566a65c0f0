//! Root changelogs in YAML, JSON and XML, and what they include.

pub mod node;
mod scalar;
mod xml;
mod yaml;

pub use node::Node;

/// Without what Java's `trim` takes away at both ends: blanks and control characters.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
