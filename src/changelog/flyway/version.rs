//! Versions as Flyway orders them: numbers of any length, parted by dots.
//!
//! A missing part is 0, so `1` is `1.0`, and `005` is `5`. What is written is kept
//! beside it, for the history stores that. Signs, and digits other than `0` to
//! `9`, are refused, though Flyway reads them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A version.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    /// Without leading zeros, so that 0 is empty; without trailing zeros among the parts.
    parts: Vec<String>,
}

impl Version {
    /// Reads a version as a file name or a history has it; `_` is a dot.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('_', ".");
        let mut parts = Vec::new();
        for part in text.split('.') {
            if part.is_empty() || !part.bytes().all(|it| it.is_ascii_digit()) {
                return None;
            }
            parts.push(part.trim_start_matches('0').to_owned());
        }
        let len = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        parts.truncate(len);
        Some(Self { text, parts })
    }

    /// As it is written, with dots.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of two numbers without leading zeros the longer is the larger; and no part is less than any.
        self.parts.iter().map(|it| (it.len(), it)).cmp(other.parts.iter().map(|it| (it.len(), it)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let sorted = [
            "0",
            "0.0.1",
            "1",
            "1.1",
            "1.1.0.1",
            "1_2",
            "1.10",
            "2",
            "10",
            "20240101120000",
            "99999999999999999999999999999999",
            "100000000000000000000000000000000",
        ];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn missing_parts_are_zero_and_leading_zeros_do_not_count() {
        for (a, b) in [("1", "1.0"), ("1", "1.0.0"), ("005", "5"), ("1_2", "1.02"), ("0", "0.0")] {
            assert_eq!(version(a), version(b));
            assert_eq!(version(a).cmp(&version(b)), Ordering::Equal);
        }
        assert_eq!(version("1_02").as_str(), "1.02");
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["", ".", "1.", ".1", "1..2", "1-2", "-1", "+1", "iews", "1a", "latest", "١"] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_compare_as_numbers(a: u64, b: u64, c: u8, d: u8) {
            let (left, right) = (version(&format!("{a}.{c}")), version(&format!("{b}.{d}")));
            prop_assert_eq!(left.cmp(&right), (a, c).cmp(&(b, d)));
        }

        #[test]
        fn any_text_is_a_version_or_none(text in ".*") {
            let _ = Version::parse(&text);
        }
    }
}
