//! Liquibase's checksums, versions 8 and 9.

/// The checksums of a changeset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checksum {
    /// What is stored: `9:` and 32 hex digits.
    pub current: String,
    /// What other programs or versions may have stored for the same changeset.
    pub older: Vec<String>,
    /// Whether `current` follows Liquibase's rule. Where the rule is not known for sure, a stored
    /// checksum that differs is adopted with a warning, and nothing runs again.
    pub certain: bool,
}
