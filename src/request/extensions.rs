//! `Extensions` and `PluginsMap`, the two spellings of one wish.
//!
//! Names are folded to lower case, as PostgreSQL folds an unquoted name: the
//! published spelling `"PostGIS"` means `postgis`. What PostgreSQL would refuse
//! in a name or version (`check_valid_extension_name`) is refused here.

use serde_json::{Map, Value};

use super::properties::POLICIES;
use super::value::{self, PropertyError, Read};
use crate::desired::{Extension, Policy, Version};
use crate::ident::Identifier;

/// How a property lists extensions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// A list, or a map.
    Extensions,
    /// A map of name to version.
    PluginsMap,
}

const SPELLINGS: [(&str, Spelling); 2] =
    [("Extensions", Spelling::Extensions), ("PluginsMap", Spelling::PluginsMap)];

const KEYS: [&str; 5] = ["Name", "Version", "Schema", "Cascade", "OnDelete"];

/// Both properties as one list, each extension once; what is wrong goes to `errors`.
pub fn read(properties: &Map<String, Value>, errors: &mut Vec<PropertyError>) -> Vec<Extension> {
    let mut wanted: Vec<Extension> = Vec::new();
    for (property, spelling) in SPELLINGS {
        let Some(value) = properties.get(property).filter(|value| !value.is_null()) else {
            continue;
        };
        for read in items(property, value, spelling) {
            match read.and_then(|found| merge(&mut wanted, found)) {
                Ok(()) => {}
                Err(error) => errors.push(error),
            }
        }
    }
    wanted
}

/// Reads a property that is spelled as `Extensions` is, each extension once; what is wrong goes to
/// `errors`.
pub fn list(path: &str, value: &Value, errors: &mut Vec<PropertyError>) -> Vec<Extension> {
    let mut wanted = Vec::new();
    for read in items(path, value, Spelling::Extensions) {
        let read = read.and_then(|found| {
            merge(&mut wanted, found).map_err(|error| PropertyError(format!("`{path}`: {error}")))
        });
        errors.extend(read.err());
    }
    wanted
}

/// The names and policies alone, each entry by itself; `None` if a name is unreadable.
/// An entry whose policy is unreadable is retained.
pub fn read_for_delete(properties: &Map<String, Value>) -> Option<Vec<Extension>> {
    let mut found = Vec::new();
    for (property, _) in SPELLINGS {
        match properties.get(property).filter(|value| !value.is_null()) {
            None => {}
            Some(Value::Array(items)) => {
                for item in items {
                    found.push(kept_or_dropped(item)?);
                }
            }
            Some(value) => {
                for key in value::map(property, value).ok()?.keys() {
                    found.push(bare(name(property, key).ok()?));
                }
            }
        }
    }
    Some(found)
}

fn kept_or_dropped(value: &Value) -> Option<Extension> {
    let map = match value {
        Value::String(text) if !text.trim_start().starts_with('{') => {
            return name("Extensions", text).ok().map(bare);
        }
        _ => value::map("Extensions", value).ok()?,
    };
    let given = value::text("Name", map.get("Name")?).ok()?;
    let policy = map.get("OnDelete").map(|it| value::word("OnDelete", it, &POLICIES));
    Some(Extension {
        on_delete: policy.map(|it| it.unwrap_or(Policy::Retain)),
        ..bare(name("Extensions", &given).ok()?)
    })
}

fn items(property: &str, value: &Value, spelling: Spelling) -> Vec<Read<Extension>> {
    if let (Value::Array(items), Spelling::Extensions) = (value, spelling) {
        let each = |(at, value)| item(&format!("{property}[{at}]"), value);
        return items.iter().enumerate().map(each).collect();
    }
    match value::map(property, value) {
        Ok(map) => map.iter().map(|(key, version)| pair(property, key, version)).collect(),
        Err(_) if spelling == Spelling::Extensions => vec![Err(PropertyError(format!(
            "`{property}` takes a list of names or maps, or a map of name to version"
        )))],
        Err(error) => vec![Err(error)],
    }
}

fn bare(name: Identifier) -> Extension {
    Extension { name, version: Version::Any, schema: None, cascade: true, on_delete: None }
}

/// `name: version` of a map; an empty version is any version.
fn pair(property: &str, key: &str, value: &Value) -> Read<Extension> {
    let path = format!("{property}.{key}");
    Ok(Extension { version: version(&path, value)?, ..bare(name(property, key)?) })
}

fn item(path: &str, value: &Value) -> Read<Extension> {
    let map = match value {
        Value::String(text) if !text.trim_start().starts_with('{') => {
            return name(path, text).map(bare);
        }
        _ => value::map(path, value)?,
    };
    let given =
        map.get("Name").ok_or_else(|| PropertyError(format!("`{path}.Name` is missing")))?;
    let mut extension = bare(name(path, &value::text(&format!("{path}.Name"), given)?)?);
    for (key, value) in &map {
        let at = format!("{path}.{key}");
        match key.as_str() {
            "Name" => {}
            "Version" => extension.version = version(&at, value)?,
            "Schema" => extension.schema = Some(value::identifier(&at, value)?),
            "Cascade" => extension.cascade = value::boolean(&at, value)?,
            "OnDelete" => extension.on_delete = Some(value::word(&at, value, &POLICIES)?),
            _ => return Err(value::unknown(&format!("key in `{path}`:"), key, &KEYS)),
        }
    }
    Ok(extension)
}

fn name(path: &str, text: &str) -> Read<Identifier> {
    let refuse = |why: String| PropertyError(format!("`{path}`: extension name {why}"));
    let name = Identifier::new(text.trim().to_lowercase()).map_err(|it| refuse(it.to_string()))?;
    word(name.as_str()).map_err(|why| refuse(format!("`{name}` {why}")))?;
    Ok(name)
}

fn version(path: &str, value: &Value) -> Read<Version> {
    let text = match value {
        Value::Null => return Ok(Version::Any),
        _ => value::text(path, value)?,
    };
    match text.trim() {
        "" => Ok(Version::Any),
        "latest" => Ok(Version::Latest),
        text if text.len() > 63 => Err(PropertyError(format!("`{path}` is longer than 63 bytes"))),
        text => match word(text) {
            Ok(()) => Ok(Version::Exact(text.to_owned())),
            Err(why) => Err(PropertyError(format!("`{path}`: version `{text}` {why}"))),
        },
    }
}

/// PostgreSQL makes file names of names and versions, hence its rules for them.
/// Quotes, semicolons and white space it would take, but no extension has them.
fn word(text: &str) -> Result<(), &'static str> {
    if text.contains("--") {
        Err("must not hold `--`")
    } else if text.starts_with('-') || text.ends_with('-') {
        Err("must not begin or end with `-`")
    } else if text.contains(['/', '\\', '\'', '"', ';']) || text.contains(char::is_whitespace) {
        Err("must not hold quotes, semicolons, slashes or white space")
    } else if text.contains(char::is_control) {
        Err("must not hold control characters")
    } else {
        Ok(())
    }
}

fn merge(wanted: &mut Vec<Extension>, found: Extension) -> Read<()> {
    match wanted.iter().find(|it| it.name == found.name) {
        None => wanted.push(found),
        Some(before) if *before == found => {}
        Some(before) => {
            return Err(PropertyError(format!(
                "extension `{}` is asked for twice, differently; keep one of them",
                before.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_one(value: Value) -> Result<Vec<Extension>, String> {
        let properties = value.as_object().cloned().unwrap();
        let mut errors = Vec::new();
        let wanted = read(&properties, &mut errors);
        match errors.as_slice() {
            [] => Ok(wanted),
            errors => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        }
    }

    #[test]
    fn each_spelling_means_the_same() {
        let spellings = [
            json!({"Extensions": ["PgCrypto"]}),
            json!({"Extensions": {"pgcrypto": ""}}),
            json!({"Extensions": [{"Name": "pgcrypto", "Cascade": "TRUE"}]}),
            json!({"PluginsMap": {"pgcrypto": ""}, "Extensions": ["pgcrypto"]}),
            json!({"PluginsMap": "{\"pgcrypto\": \"\"}"}),
        ];
        for spelling in spellings {
            let shown = spelling.to_string();
            assert_eq!(
                read_one(spelling).unwrap(),
                [bare(Identifier::new("pgcrypto").unwrap())],
                "{shown}"
            );
        }
    }

    #[test]
    fn names_and_versions_that_no_extension_has_are_refused() {
        for (name, version) in [
            ("a\"b", "1"),
            ("a;b", "1"),
            ("a\0b", "1"),
            ("a--b", "1"),
            ("../x", "1"),
            ("", "1"),
            (&"x".repeat(70), "1"),
            ("a", "1'; DROP TABLE t; --"),
            ("a", "1--2"),
            ("a", "-1"),
            ("a", "1\0"),
            ("a", &"1".repeat(70)),
        ] {
            assert!(read_one(json!({"PluginsMap": {name: version}})).is_err(), "{name} {version}");
        }
    }

    #[test]
    fn one_extension_cannot_be_pinned_twice() {
        let error = read_one(json!({"PluginsMap": {"PostGIS": "3.0.3", "postgis": "3.4.2"}}));
        insta::assert_snapshot!(error.unwrap_err(), @"extension `postgis` is asked for twice, differently; keep one of them");
    }
}
