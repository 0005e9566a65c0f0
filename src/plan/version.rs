//! The order of extension versions.
//!
//! PostgreSQL gives versions no order: they are names with update paths between
//! them. Authors count in numbers, and users say "newer"; so runs of digits
//! compare as numbers and the rest as text. A pre-release (`3.4.0rc1`) comes
//! before its release.

use std::cmp::Ordering;

/// Compares two versions part by part.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    for at in 0..left.len().max(right.len()) {
        let order = match (left.get(at), right.get(at)) {
            (Some(Part::Number(a)), Some(Part::Number(b))) => a.cmp(b),
            (Some(Part::Text(a)), Some(Part::Text(b))) => a.cmp(b),
            // `rc1`, `beta`: less than nothing, and than a further number.
            (Some(Part::Text(_)), _) => Ordering::Less,
            (_, Some(Part::Text(_))) => Ordering::Greater,
            (Some(Part::Number(_)), None) => Ordering::Greater,
            (None, Some(Part::Number(_))) => Ordering::Less,
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Whether a version is a number at all: PostGIS lists `ANY`, others `unpackaged` or `next`.
pub fn is_release(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && !version.ends_with("next")
        && !version.contains("unpackaged")
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Number(u128),
    Text(String),
}

fn parts(version: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let word = first.is_alphabetic();
        let same = |c: char| if digit { c.is_ascii_digit() } else { word && c.is_alphabetic() };
        let len = rest.find(|c| !same(c)).unwrap_or(rest.len()).max(first.len_utf8());
        if digit {
            // A number too long to be one compares as the largest.
            parts.push(Part::Number(rest[..len].parse().unwrap_or(u128::MAX)));
        } else if word {
            parts.push(Part::Text(rest[..len].to_lowercase()));
        }
        rest = &rest[len..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let ascending = ["1", "1.2", "1.3", "1.10", "2.5.4", "3.0.0rc1", "3.0.0", "3.0.1", "10.0"];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("3.4.2", "3.4.2"), Ordering::Equal);
    }

    #[test]
    fn names_that_are_no_release_are_told_apart() {
        assert!(is_release("3.3.2"));
        for name in ["ANY", "unpackaged", "3.4.0next", ""] {
            assert!(!is_release(name), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_two_texts_compare_both_ways(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
