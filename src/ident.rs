//! Names of PostgreSQL objects, checked once and quoted always.
//!
//! PostgreSQL silently cuts a name at 63 bytes, so two long names can meet in
//! one object. An [`Identifier`] cannot be that long. It knows nothing of what
//! it names: rules for a kind of object (extensions, roles) live with that kind.

use std::fmt;

/// `NAMEDATALEN - 1`, the longest name in bytes that PostgreSQL keeps whole.
pub const MAX_BYTES: usize = 63;

/// A name that PostgreSQL stores as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Identifier(String);

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing to name.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than PostgreSQL keeps.
    #[error("`{0}` is {1} bytes long; PostgreSQL keeps 63")]
    TooLong(String, usize),
    /// A character that no name can hold.
    #[error("{0:?} holds a control character")]
    Control(String),
}

impl Identifier {
    /// Checks a name: 1 to 63 bytes, no control characters (NUL ends a name early).
    pub fn new(name: impl Into<String>) -> Result<Self, IdentifierError> {
        let name = name.into();
        if name.is_empty() {
            Err(IdentifierError::Empty)
        } else if name.chars().any(char::is_control) {
            Err(IdentifierError::Control(name))
        } else if name.len() > MAX_BYTES {
            let bytes = name.len();
            Err(IdentifierError::TooLong(name, bytes))
        } else {
            Ok(Self(name))
        }
    }

    /// The bare name, for messages and look-ups; never for SQL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL text: always in double quotes.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Identifier {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_so_that_it_ends_where_it_should() {
        let name = Identifier::new(r#"a"; DROP TABLE t; --"#).unwrap();
        assert_eq!(name.quoted(), r#""a""; DROP TABLE t; --""#);
    }

    #[test]
    fn names_that_postgresql_would_cut_or_refuse_are_refused() {
        assert_eq!(Identifier::new(""), Err(IdentifierError::Empty));
        assert!(matches!(Identifier::new("a\0b"), Err(IdentifierError::Control(_))));
        assert!(Identifier::new("x".repeat(63)).is_ok());
        assert!(matches!(Identifier::new("x".repeat(64)), Err(IdentifierError::TooLong(_, 64))));
        assert!(matches!(Identifier::new("é".repeat(32)), Err(IdentifierError::TooLong(_, 64))));
    }
}
