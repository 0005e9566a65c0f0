//! The door to the structural changes, and the names they may be mistaken for.

use super::changes::OWN;
use super::changeset::Around;
use super::node::Node;
use crate::changelog::{Change, ChangelogError};

/// Reads a change that is not about SQL text.
pub fn read(node: &Node, _around: &Around) -> Result<Change, ChangelogError> {
    Err(node.unknown("as a change", &OWN))
}
