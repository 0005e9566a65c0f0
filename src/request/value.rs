//! Reads one property value, in CloudFormation's form or the native one.
//!
//! CloudFormation makes a string of every scalar, also inside lists and maps, so
//! `"5432"` and `5432` must read alike. Each reader names the property in its
//! error and says what would be accepted.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::ident::Identifier;

/// One thing that is wrong with the properties, in words for the template's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PropertyError(pub String);

/// Shorthand for a reader's result.
pub type Read<T> = Result<T, PropertyError>;

fn wrong(path: &str, value: &Value, wanted: &str) -> PropertyError {
    PropertyError(format!("`{path}` is {}; it takes {wanted}", describe(value)))
}

/// A value as an error shows it: short, and never the inside of a list or map.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(it) => format!("`{it}`"),
        Value::Number(it) => format!("`{it}`"),
        Value::String(it) if it.chars().count() > 40 => {
            format!("`{}…`", it.chars().take(40).collect::<String>())
        }
        Value::String(it) => format!("`{it}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

/// A text, with the secrets and the placeholders refused that never belong in one.
pub fn text(path: &str, value: &Value) -> Read<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(it) => it.to_string(),
        _ => return Err(wrong(path, value, "a text")),
    };
    if text.contains("{{resolve:") {
        return Err(PropertyError(format!(
            "`{path}` holds `{{{{resolve:…}}}}`, which CloudFormation does not resolve for custom \
             resources; name the secret in `DBSecret`, it is read when it is needed"
        )));
    }
    if text.contains('\0') {
        return Err(PropertyError(format!("`{path}` holds the character U+0000")));
    }
    Ok(text)
}

/// A text that is not empty.
pub fn filled(path: &str, value: &Value) -> Read<String> {
    let text = text(path, value)?;
    if text.trim().is_empty() {
        return Err(PropertyError(format!("`{path}` is empty")));
    }
    Ok(text)
}

/// A name.
pub fn identifier(path: &str, value: &Value) -> Read<Identifier> {
    Identifier::new(text(path, value)?)
        .map_err(|error| PropertyError(format!("`{path}` is no usable name: {error}")))
}

/// `true` or `false` in any case, and nothing else.
pub fn boolean(path: &str, value: &Value) -> Read<bool> {
    match value {
        Value::Bool(it) => Ok(*it),
        Value::String(it) if it.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(it) if it.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(wrong(path, value, "`true` or `false`")),
    }
}

/// A whole number within bounds, both included.
pub fn integer(path: &str, value: &Value, least: u64, most: u64) -> Read<u64> {
    let number = match value {
        Value::Number(it) => it.as_u64(),
        Value::String(it) => it.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|it| (least..=most).contains(it))
        .ok_or_else(|| wrong(path, value, &format!("a whole number from {least} to {most}")))
}

/// Whole seconds within bounds, both included.
pub fn seconds(path: &str, value: &Value, least: u64, most: u64) -> Read<Duration> {
    integer(path, value, least, most).map(Duration::from_secs)
}

/// One of a few words, in any case.
pub fn word<T: Copy>(path: &str, value: &Value, words: &[(&str, T)]) -> Read<T> {
    let found = value.as_str().unwrap_or_default();
    let hit = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(found));
    hit.map(|&(_, it)| it).ok_or_else(|| {
        let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        wrong(path, value, &names.join(" or "))
    })
}

/// One text, or a list of them.
pub fn texts(path: &str, value: &Value) -> Read<Vec<String>> {
    match value {
        Value::Array(items) => {
            let each = |(at, item)| filled(&format!("{path}[{at}]"), item);
            items.iter().enumerate().map(each).collect()
        }
        _ => Ok(vec![filled(path, value)?]),
    }
}

/// A map; CloudFormation users also write one as a JSON text.
pub fn map(path: &str, value: &Value) -> Read<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map.clone()),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(wrong(path, value, "a map")),
        },
        _ => Err(wrong(path, value, "a map")),
    }
}

/// The known name that `name` was most likely meant to be.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= 2.max(candidate.len() / 4))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The message for a key that nothing knows.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> PropertyError {
    let shown: String = name.chars().take(64).collect();
    PropertyError(match closest(name, known.iter().copied()) {
        Some(candidate) => format!("unknown {what} `{shown}`; did you mean `{candidate}`?"),
        None => format!("unknown {what} `{shown}`; known are {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_string_reads_like_the_native_value() {
        assert_eq!(integer("Port", &json!("5432"), 1, 65535), Ok(5432));
        assert_eq!(integer("Port", &json!(5432), 1, 65535), Ok(5432));
        assert_eq!(boolean("Cascade", &json!("False")), Ok(false));
        assert_eq!(boolean("Cascade", &json!(true)), Ok(true));
        assert_eq!(texts("Sql", &json!("a")), Ok(vec!["a".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let message = |error: PropertyError| error.0;
        insta::assert_snapshot!(message(boolean("Cascade", &json!("yes")).unwrap_err()), @"`Cascade` is `yes`; it takes `true` or `false`");
        insta::assert_snapshot!(message(integer("Port", &json!("70000"), 1, 65535).unwrap_err()), @"`Port` is `70000`; it takes a whole number from 1 to 65535");
        insta::assert_snapshot!(message(text("X", &json!({})).unwrap_err()), @"`X` is a map; it takes a text");
        insta::assert_snapshot!(message(unknown("property", "Extentions", &["Extensions", "Mode"])), @"unknown property `Extentions`; did you mean `Extensions`?");
        insta::assert_snapshot!(message(unknown("property", "Colour", &["Extensions", "Mode"])), @"unknown property `Colour`; known are Extensions, Mode");
    }

    #[test]
    fn a_placeholder_that_nobody_resolves_is_refused() {
        let value = json!("{{resolve:secretsmanager:db:SecretString:password}}");
        assert!(text("DBSecret", &value).unwrap_err().0.contains("does not resolve"));
    }
}
