//! The property `Changelog`: a path, or a map that says where and how.
//!
//! Only what can be told from the properties alone is checked here: one place and no
//! more, names that can be names, no password. Whether the files are there, and
//! what they hold, is seen when they are read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::value::{self, PropertyError, Read};
use crate::changelog::files;
use crate::desired::{Changelog, Source};
use crate::ident::{Identifier, MAX_BYTES};
use crate::sql::check;

/// Keys of `Changelog`.
pub const KEYS: [&str; 13] = [
    "Path",
    "Inline",
    "Bucket",
    "Key",
    "VersionId",
    "Contexts",
    "Labels",
    "Parameters",
    "ToTag",
    "Table",
    "Schema",
    "OutOfOrder",
    "Baseline",
];

/// Liquibase's name for its history table, folded as PostgreSQL folds it.
const TABLE: &str = "databasechangelog";

/// What is put after it for the table of the lock.
const LOCK: &str = "lock";

/// Reads it; what is wrong goes to `errors`, and then there is none.
pub fn read(path: &str, value: &Value, errors: &mut Vec<PropertyError>) -> Option<Changelog> {
    let before = errors.len();
    let changelog = match value {
        Value::String(text) if !text.trim_start().starts_with('{') => {
            keep(errors, file(path, value)).map(|it| of(Source::Path(it)))
        }
        Value::String(_) | Value::Object(_) => {
            keep(errors, value::map(path, value)).and_then(|map| entries(path, &map, errors))
        }
        _ => {
            errors.push(PropertyError(format!("`{path}` takes a path or a map")));
            None
        }
    };
    changelog.filter(|_| errors.len() == before)
}

fn keep<T>(errors: &mut Vec<PropertyError>, read: Read<T>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

fn of(source: Source) -> Changelog {
    Changelog {
        source,
        contexts: None,
        labels: None,
        parameters: BTreeMap::new(),
        to_tag: None,
        table: Identifier::new(TABLE).expect("it is a short word"),
        schema: None,
        out_of_order: false,
        baseline: None,
    }
}

fn entries(
    path: &str,
    map: &Map<String, Value>,
    errors: &mut Vec<PropertyError>,
) -> Option<Changelog> {
    let source = keep(errors, source(path, map));
    // The other keys are read also without a source, so that all mistakes are told at once.
    let mut changelog = of(source.clone().unwrap_or_else(|| Source::Inline(String::new())));
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let read = entry(&mut changelog, path, key, value);
        keep(errors, read);
    }
    source.map(|_| changelog)
}

fn entry(into: &mut Changelog, at: &str, key: &str, value: &Value) -> Read<()> {
    let path = &format!("{at}.{key}");
    match key {
        "Path" | "Inline" | "Bucket" | "Key" | "VersionId" => {}
        "Contexts" => into.contexts = joined(path, value)?,
        "Labels" => into.labels = joined(path, value)?,
        "Parameters" => into.parameters = parameters(path, value)?,
        "ToTag" => into.to_tag = Some(name_of_state(path, value)?),
        "Table" => into.table = table(path, value)?,
        "Schema" => into.schema = Some(name(path, value)?),
        "OutOfOrder" => into.out_of_order = value::boolean(path, value)?,
        "Baseline" => into.baseline = Some(name_of_state(path, value)?),
        _ => return Err(value::unknown(&format!("key in `{at}`:"), key, &KEYS)),
    }
    Ok(())
}

/// Exactly one of `Path`, `Inline` and `Bucket`; with a bucket `Path` is a place in the zip.
fn source(path: &str, map: &Map<String, Value>) -> Read<Source> {
    let given = |key: &str| map.get(key).filter(|value| !value.is_null());
    let read = |key: &str, value, how: fn(&str, &Value) -> Read<String>| {
        how(&format!("{path}.{key}"), value)
    };
    for key in ["Key", "VersionId"] {
        if given(key).is_some() && given("Bucket").is_none() {
            return Err(PropertyError(format!("`{path}.{key}` needs `{path}.Bucket`")));
        }
    }
    match (given("Path"), given("Inline"), given("Bucket")) {
        (Some(file_path), None, None) => Ok(Source::Path(read("Path", file_path, file)?)),
        (None, Some(text), None) => Ok(Source::Inline(read("Inline", text, inline)?)),
        (inside, None, Some(name)) => Ok(Source::Bucket {
            bucket: read("Bucket", name, bucket)?,
            key: match given("Key") {
                Some(value) => read("Key", value, object_key)?,
                None => return Err(PropertyError(format!("`{path}.Key` is missing"))),
            },
            version: given("VersionId")
                .map(|value| read("VersionId", value, value::filled))
                .transpose()?,
            path: inside.map(|value| read("Path", value, file)).transpose()?,
        }),
        _ => Err(PropertyError(format!(
            "`{path}` takes one of `Path`, `Inline`, and `Bucket` with `Key`"
        ))),
    }
}

fn file(path: &str, value: &Value) -> Read<String> {
    let given = value::text(path, value)?;
    if given.trim().is_empty() {
        return Err(PropertyError(format!(
            "`{path}` is empty; leave it out (`AWS::NoValue`) where there is none"
        )));
    }
    if given.contains("://") {
        return Err(PropertyError(format!(
            "`{path}` takes a path, not a URL; an object in S3 is named by `Bucket` and `Key`"
        )));
    }
    match files::normal(&given) {
        Ok(_) => Ok(given),
        Err(error) => {
            Err(PropertyError(format!("`{path}` is `{}`: {}", error.path(), error.what())))
        }
    }
}

fn inline(path: &str, value: &Value) -> Read<String> {
    let text = value::filled(path, value)?;
    match check::statement(&text) {
        Err(why @ check::Refused::InlinePassword) => Err(PropertyError(format!(
            "`{path}`: {why}; keep the password in a secret, or send a SCRAM verifier, which \
             reveals none"
        ))),
        _ => Ok(text),
    }
}

fn bucket(path: &str, value: &Value) -> Read<String> {
    let name = value::filled(path, value)?;
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    let edges = name.starts_with(['.', '-']) || name.ends_with(['.', '-']) || name.contains("..");
    if name.len() < 3 || name.len() > 255 || edges || !name.chars().all(is_allowed) {
        return Err(PropertyError(format!(
            "`{path}` takes the name of a bucket alone, without ARN, URL or path"
        )));
    }
    if name.ends_with("--x-s3") {
        return Err(PropertyError(format!(
            "`{path}` is a directory bucket (S3 Express), which is not supported yet"
        )));
    }
    Ok(name)
}

fn object_key(path: &str, value: &Value) -> Read<String> {
    let key = value::filled(path, value)?;
    if key.len() > 1024 {
        return Err(PropertyError(format!("`{path}` is longer than 1024 bytes")));
    }
    if key.ends_with('/') {
        return Err(PropertyError(format!(
            "`{path}` names a folder; put its files into a zip and name that"
        )));
    }
    Ok(key)
}

/// In Liquibase a comma between contexts lists them, and between labels it is `or`.
fn joined(path: &str, value: &Value) -> Read<Option<String>> {
    let text = match value {
        Value::Array(_) => value::texts(path, value)?.join(","),
        _ => value::text(path, value)?,
    };
    Ok(Some(text.trim().to_owned()).filter(|it| !it.is_empty()))
}

fn parameters(path: &str, value: &Value) -> Read<BTreeMap<String, String>> {
    const LIKE_A_PASSWORD: [&str; 4] = ["password", "passwd", "passphrase", "pwd"];
    let mut parameters = BTreeMap::new();
    for (name, value) in value::map(path, value)? {
        let lower = name.to_lowercase();
        let path = format!("{path}.{name}");
        if name.trim().is_empty() {
            return Err(PropertyError(format!("`{path}` has no name")));
        }
        if LIKE_A_PASSWORD.iter().any(|it| lower.contains(it)) {
            return Err(PropertyError(format!(
                "`{path}`: a password never travels in properties; set it from a secret, outside \
                 of the changelog"
            )));
        }
        if !value.is_null() {
            parameters.insert(name, value::text(&path, &value)?);
        }
    }
    Ok(parameters)
}

/// A tag or version. YAML reads a bare `1.10` as the number 1.1, which is another one.
fn name_of_state(path: &str, value: &Value) -> Read<String> {
    if value.is_f64() {
        return Err(PropertyError(format!("`{path}` is the number `{value}`; put it in quotes")));
    }
    Ok(value::filled(path, value)?.trim().to_owned())
}

fn table(path: &str, value: &Value) -> Read<Identifier> {
    let table = name(path, value)?;
    if table.as_str().len() + LOCK.len() > MAX_BYTES {
        return Err(PropertyError(format!(
            "`{path}` is longer than {} bytes, and the table of the lock is called the same with \
             `{LOCK}` after it",
            MAX_BYTES - LOCK.len()
        )));
    }
    Ok(table)
}

/// Liquibase leaves a name in capitals unquoted, so PostgreSQL folds it; a mixed one it quotes.
fn name(path: &str, value: &Value) -> Read<Identifier> {
    let given = value::identifier(path, value)?;
    let text = given.as_str();
    let is_quoted = text.chars().any(char::is_lowercase)
        || text.contains('-')
        || text.starts_with(|it: char| it.is_ascii_digit());
    if is_quoted {
        return Ok(given);
    }
    value::identifier(path, &Value::String(text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_one(value: Value) -> Result<Changelog, String> {
        let mut errors = Vec::new();
        let changelog = read("Changelog", &value, &mut errors);
        match errors.as_slice() {
            [] => Ok(changelog.unwrap()),
            errors => {
                assert_eq!(changelog, None);
                Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    fn path(text: &str) -> Source {
        Source::Path(text.into())
    }

    #[test]
    fn each_spelling_of_a_path_means_the_same() {
        let spellings = [
            json!("db/changelog.yaml"),
            json!({"Path": "db/changelog.yaml"}),
            json!("{\"Path\": \"db/changelog.yaml\"}"),
            json!({"Path": "db/changelog.yaml", "Inline": null, "Contexts": "", "Labels": []}),
        ];
        for spelling in spellings {
            assert_eq!(read_one(spelling), Ok(of(path("db/changelog.yaml"))));
        }
    }

    #[test]
    fn every_key_is_read_in_either_form() {
        let wanted = Changelog {
            source: Source::Bucket {
                bucket: "releases".into(),
                key: "app/42 ü.zip".into(),
                version: Some("null".into()),
                path: Some("db/changelog".into()),
            },
            contexts: Some("prod,eu".into()),
            labels: Some("a and b,c".into()),
            parameters: [("rows".to_owned(), "7".to_owned()), ("fast".into(), "true".into())]
                .into(),
            to_tag: Some("42".into()),
            table: Identifier::new("history").unwrap(),
            schema: Some(Identifier::new("App").unwrap()),
            out_of_order: true,
            baseline: Some("1.10".into()),
        };
        let native = json!({
            "Bucket": "releases", "Key": "app/42 ü.zip", "VersionId": "null", "Path": "db/changelog",
            "Contexts": ["prod", "eu"], "Labels": ["a and b", "c"],
            "Parameters": {"rows": 7, "fast": true}, "ToTag": 42, "Table": "HISTORY",
            "Schema": "App", "OutOfOrder": true, "Baseline": "1.10",
        });
        let of_cloudformation = json!({
            "Bucket": "releases", "Key": "app/42 ü.zip", "VersionId": "null", "Path": "db/changelog",
            "Contexts": "prod,eu", "Labels": "a and b,c",
            "Parameters": {"rows": "7", "fast": "true"}, "ToTag": "42", "Table": "history",
            "Schema": "App", "OutOfOrder": "true", "Baseline": "1.10",
        });
        let as_text = Value::String(of_cloudformation.to_string());
        for spelling in [native, of_cloudformation, as_text] {
            assert_eq!(read_one(spelling), Ok(wanted.clone()));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |value: Value| read_one(value).unwrap_err();
        insta::assert_snapshot!(error(json!("")), @"`Changelog` is empty; leave it out (`AWS::NoValue`) where there is none");
        insta::assert_snapshot!(error(json!(["a"])), @"`Changelog` takes a path or a map");
        insta::assert_snapshot!(error(json!("../db")), @"`Changelog` is `../db`: the path leads out of the bundle");
        insta::assert_snapshot!(error(json!("s3://bucket/key")), @"`Changelog` takes a path, not a URL; an object in S3 is named by `Bucket` and `Key`");
        insta::assert_snapshot!(error(json!({})), @"`Changelog` takes one of `Path`, `Inline`, and `Bucket` with `Key`");
        insta::assert_snapshot!(error(json!({"Path": "a", "Inline": "b"})), @"`Changelog` takes one of `Path`, `Inline`, and `Bucket` with `Key`");
        insta::assert_snapshot!(error(json!({"Bucket": "abc"})), @"`Changelog.Key` is missing");
        insta::assert_snapshot!(error(json!({"Bucket": "arn:aws:s3:::abc", "Key": "a"})), @"`Changelog.Bucket` takes the name of a bucket alone, without ARN, URL or path");
        insta::assert_snapshot!(error(json!({"Bucket": "a--use1-az4--x-s3", "Key": "a"})), @"`Changelog.Bucket` is a directory bucket (S3 Express), which is not supported yet");
        insta::assert_snapshot!(error(json!({"Bucket": "abc", "Key": "a/"})), @"`Changelog.Key` names a folder; put its files into a zip and name that");
        insta::assert_snapshot!(error(json!({"Inline": "ALTER ROLE a PASSWORD 'hunter2'"})), @"`Changelog.Inline`: it holds a password in clear text; keep the password in a secret, or send a SCRAM verifier, which reveals none");
        insta::assert_snapshot!(error(json!({"Path": "a", "Parameters": {"AppPassword": "hunter2"}})), @"`Changelog.Parameters.AppPassword`: a password never travels in properties; set it from a secret, outside of the changelog");
        insta::assert_snapshot!(error(json!({"Path": "a", "Baseline": 1.1})), @"`Changelog.Baseline` is the number `1.1`; put it in quotes");
        insta::assert_snapshot!(error(json!({"Path": "a", "Table": "x".repeat(60)})), @"`Changelog.Table` is longer than 59 bytes, and the table of the lock is called the same with `lock` after it");
        let resolved =
            json!({"Path": "a", "Parameters": {"x": "{{resolve:secretsmanager:db:SecretString}}"}});
        assert!(error(resolved).contains("does not resolve"));
    }

    #[test]
    fn all_mistakes_of_the_map_are_named_at_once() {
        let error = read_one(json!({"Contects": "a", "VersionId": "1", "OutOfOrder": "yes"}));
        insta::assert_snapshot!(error.unwrap_err(), @"
        `Changelog.VersionId` needs `Changelog.Bucket`
        unknown key in `Changelog`: `Contects`; did you mean `Contexts`?
        `Changelog.OutOfOrder` is `yes`; it takes `true` or `false`
        ");
    }
}
