//! The keys of a tenant that are maps or lists themselves, and texts with a rule.
//!
//! Each map has its own keys and refuses all others. A reader gives back what it could
//! read and puts each mistake into `errors`, so that all of them are told at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::value::{self, PropertyError, Read};
use super::given::Reader;
use super::names::{character, shown};
use super::pattern::Pattern;
use crate::desired::tenant::{Access, Leaving, OnRemove, Rotation, Strategy};

/// An entry of `Roles`, its names not yet filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRole {
    pub(super) name: Pattern,
    pub(super) access: Access,
    pub(super) secret: Option<Pattern>,
    pub(super) secret_name: Option<Pattern>,
}

/// Keys of an entry of `Roles`.
pub const ROLE_KEYS: [&str; 4] = ["Name", "Access", "Secret", "SecretName"];

/// Keys of `Rotation`.
pub const ROTATION_KEYS: [&str; 4] = ["LambdaArn", "Days", "Strategy", "Immediately"];

/// Keys of `OnRemove` where it is a map.
pub const ON_REMOVE_KEYS: [&str; 2] = ["Policy", "Force"];

const ACCESS: [Access; 3] = [Access::Readonly, Access::Readwrite, Access::Migrate];
const STRATEGIES: [Strategy; 2] = [Strategy::Single, Strategy::Alternating];
const LEAVING: [Leaving; 3] = [Leaving::Retain, Leaving::Disable, Leaving::Drop];

/// The error for a key that a map does not have.
pub fn unknown(at: &str, key: &str, known: &[&str]) -> PropertyError {
    if key.to_lowercase().contains("password") {
        return PropertyError(format!(
            "`{at}.{}`: a password never travels in properties; put it into a secret and name \
             that in `Secret`",
            shown(key)
        ));
    }
    value::unknown(&format!("key in `{at}`:"), key, known)
}

/// Reads the entries of a map; what one is wrong with goes to `errors`.
fn each(
    path: &str,
    map: &Map<String, Value>,
    errors: &mut Vec<PropertyError>,
    mut read: impl FnMut(&str, &str, &Value) -> Read<()>,
) {
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        if let Err(error) = read(&format!("{path}.{key}"), key, value) {
            errors.push(error);
        }
    }
}

/// Reads `Roles`.
pub(super) fn roles(
    reader: &Reader<'_>,
    path: &str,
    value: &Value,
    errors: &mut Vec<PropertyError>,
) -> Read<Vec<GivenRole>> {
    let Value::Array(items) = value else {
        return Err(PropertyError(format!("`{path}` takes a list of maps")));
    };
    let mut roles = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match value::map(&path, item) {
            Ok(map) => roles.extend(role(reader, &path, &map, errors)),
            Err(error) => errors.push(error),
        }
    }
    Ok(roles)
}

fn role(
    reader: &Reader<'_>,
    path: &str,
    map: &Map<String, Value>,
    errors: &mut Vec<PropertyError>,
) -> Option<GivenRole> {
    let (mut name, mut access, mut secret, mut secret_name) = (None, None, None, None);
    each(path, map, errors, |at, key, value| {
        match key {
            "Name" => name = Some(reader.object(at, value)?),
            "Access" => access = Some(value::word(at, value, &ACCESS.map(|it| (it.as_str(), it)))?),
            "Secret" => secret = Some(reader.secret(at, value)?),
            "SecretName" => secret_name = Some(reader.pattern(at, value)?),
            _ => return Err(unknown(path, key, &ROLE_KEYS)),
        }
        Ok(())
    });
    for key in ["Name", "Access"] {
        if map.get(key).is_none_or(Value::is_null) {
            errors.push(PropertyError(format!("`{path}.{key}` is missing")));
        }
    }
    if secret.is_some() && secret_name.is_some() {
        errors.push(PropertyError(format!("`{path}` takes one of `Secret` and `SecretName`")));
    }
    Some(GivenRole { name: name?, access: access?, secret, secret_name })
}

/// Reads `Rotation`; `none` turns off that of the defaults.
pub fn rotation(
    path: &str,
    value: &Value,
    errors: &mut Vec<PropertyError>,
) -> Read<Option<Rotation>> {
    if value.as_str().is_some_and(|it| it.eq_ignore_ascii_case("none")) {
        return Ok(None);
    }
    let map = value::map(path, value)?;
    let mut rotation = Rotation {
        lambda_arn: String::new(),
        days: 30,
        strategy: Strategy::Single,
        immediately: false,
    };
    each(path, &map, errors, |at, key, value| {
        match key {
            "LambdaArn" => rotation.lambda_arn = lambda(at, value)?,
            "Days" => {
                let days = value::integer(at, value, 1, 1000)?;
                rotation.days = u32::try_from(days).expect("the bound is far below");
            }
            "Strategy" => {
                rotation.strategy =
                    value::word(at, value, &STRATEGIES.map(|it| (it.as_str(), it)))?;
            }
            "Immediately" => rotation.immediately = value::boolean(at, value)?,
            _ => return Err(unknown(path, key, &ROTATION_KEYS)),
        }
        Ok(())
    });
    if map.get("LambdaArn").is_none_or(Value::is_null) {
        return Err(PropertyError(format!("`{path}.LambdaArn` is missing")));
    }
    Ok(Some(rotation))
}

fn lambda(path: &str, value: &Value) -> Read<String> {
    let text = line(path, value, 2048)?;
    let fields: Vec<_> = text.split(':').collect();
    let is_function = matches!(fields.as_slice(), ["arn", _, "lambda", _, _, "function", name, ..]
        if !name.is_empty());
    if !is_function || text.contains(char::is_whitespace) {
        return Err(PropertyError(format!("`{path}` takes the ARN of a Lambda function")));
    }
    Ok(text)
}

/// Reads `OnRemove`.
pub fn on_remove(path: &str, value: &Value, errors: &mut Vec<PropertyError>) -> Read<OnRemove> {
    let mut on_remove = OnRemove::default();
    if let Value::String(text) = value {
        if !text.trim_start().starts_with('{') {
            on_remove.policy = value::word(path, value, &LEAVING.map(|it| (it.as_str(), it)))?;
            return Ok(on_remove);
        }
    }
    each(path, &value::map(path, value)?, errors, |at, key, value| {
        match key {
            "Policy" => {
                on_remove.policy = value::word(at, value, &LEAVING.map(|it| (it.as_str(), it)))?;
            }
            "Force" => on_remove.force = value::boolean(at, value)?,
            _ => return Err(unknown(path, key, &ON_REMOVE_KEYS)),
        }
        Ok(())
    });
    Ok(on_remove)
}

/// Reads `Tags`.
pub fn tags(
    path: &str,
    value: &Value,
    errors: &mut Vec<PropertyError>,
) -> Read<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    each(path, &value::map(path, value)?, errors, |at, key, value| {
        let refuse =
            |why: &str| Err(PropertyError(format!("`{path}` has a tag `{}`, {why}", shown(key))));
        let lower = key.to_lowercase();
        if key.trim().is_empty() {
            return Err(PropertyError(format!("`{path}` has a tag without a name")));
        } else if key.chars().count() > 128 {
            return refuse("which is longer than 128 characters");
        } else if lower.starts_with("aws:") {
            return refuse("which is AWS's own");
        } else if lower.starts_with("execute-sql:") {
            return refuse("which is the product's own");
        }
        let value = value::text(at, value)?;
        if value.chars().count() > 256 {
            return refuse("whose value is longer than 256 characters");
        }
        tags.insert(key.to_owned(), value);
        Ok(())
    });
    Ok(tags)
}

/// Reads `Settings`. PostgreSQL knows a setting in any case, so it is kept in lower case.
pub fn settings(
    path: &str,
    value: &Value,
    errors: &mut Vec<PropertyError>,
) -> Read<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    each(path, &value::map(path, value)?, errors, |at, key, value| {
        let refuse = |why: &str| {
            Err(PropertyError(format!("`{path}` has a setting `{}`, {why}", shown(key))))
        };
        let name = key.to_ascii_lowercase();
        if !is_setting(key) {
            return refuse("which is no name of one: letters, digits, `_`, and one dot at most");
        } else if name == "role" || name == "session_authorization" {
            return refuse("which would make another role of the tenant's login");
        } else if name.contains("password") && name != "password_encryption" {
            return refuse("but a password never travels in properties");
        }
        if settings.insert(name, value::text(at, value)?).is_some() {
            return refuse("which is there twice, in upper and lower case");
        }
        Ok(())
    });
    Ok(settings)
}

fn is_setting(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
            && word.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
    };
    match name.split_once('.') {
        Some((class, name)) => is_word(class) && is_word(name),
        None => is_word(name),
    }
}

/// A text of one line.
pub fn line(path: &str, value: &Value, most: usize) -> Read<String> {
    let text = value::filled(path, value)?;
    if let Some(it) = text.chars().find(|it| it.is_control()) {
        return Err(PropertyError(format!("`{path}` holds {}", character(it))));
    }
    if text.len() > most {
        return Err(PropertyError(format!("`{path}` is longer than {most} bytes")));
    }
    Ok(text)
}
