//! One resource's properties out of a CloudFormation template.
//!
//! Only what can be known here is resolved: parameters (given, or their
//! defaults), `Fn::Sub` and `Fn::Join` over them. Any other intrinsic function
//! stands for something that exists only in AWS; it is named if it matters.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

const TYPE: &str = "Custom::ExecuteSQL";

/// Logical id and properties of the resource that is meant.
pub fn properties(
    template: &Value,
    resource: Option<&str>,
    parameters: &BTreeMap<String, String>,
) -> Result<(String, Map<String, Value>)> {
    let resources = template.get("Resources").and_then(Value::as_object);
    let resources = resources.context("the template has no `Resources`")?;
    let ours: Vec<_> = resources
        .iter()
        .filter(|(_, it)| it.get("Type").is_some_and(|kind| kind == TYPE))
        .collect();
    let names = || ours.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let (logical_id, found) = match (resource, ours.as_slice()) {
        (_, []) => bail!("the template has no resource of type {TYPE}"),
        (Some(wanted), _) => match ours.iter().find(|(name, _)| *name == wanted) {
            Some(found) => *found,
            None => bail!("the template has no {TYPE} `{wanted}`; it has {}", names()),
        },
        (None, [only]) => *only,
        (None, _) => {
            bail!("the template has several of type {TYPE}: {}; choose by --resource", names())
        }
    };
    let declared = template.get("Parameters").and_then(Value::as_object);
    for name in parameters.keys() {
        if !declared.is_some_and(|it| it.contains_key(name)) {
            bail!("the template has no parameter `{name}`");
        }
    }
    let values = values(declared, parameters);
    let mut properties = Map::new();
    let given = found.get("Properties").and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        // The function itself is of no matter here.
        if !matches!(name.as_str(), "ServiceToken" | "ServiceTimeout") {
            let path = format!("{logical_id}.{name}");
            properties.extend(resolved(value, &values, &path)?.map(|it| (name.clone(), it)));
        }
    }
    Ok((logical_id.clone(), properties))
}

fn values(
    declared: Option<&Map<String, Value>>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let default = |(name, it): (&String, &Value)| {
        let value = match it.get("Default")? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.clone(), value))
    };
    let mut values: BTreeMap<_, _> = declared.into_iter().flatten().filter_map(default).collect();
    values.extend(given.clone());
    values
}

/// `None` for `AWS::NoValue`.
fn resolved(value: &Value, values: &BTreeMap<String, String>, path: &str) -> Result<Option<Value>> {
    Ok(Some(match value {
        Value::Array(items) => {
            let mut list = Vec::new();
            for (at, item) in items.iter().enumerate() {
                list.extend(resolved(item, values, &format!("{path}[{at}]"))?);
            }
            Value::Array(list)
        }
        Value::Object(map) if map.len() == 1 => {
            let (name, argument) = map.iter().next().context("a map of one entry")?;
            match name.as_str() {
                "Ref" if argument == "AWS::NoValue" => return Ok(None),
                "Ref" => json!(referred(argument.as_str().unwrap_or_default(), values, path)?),
                "Fn::Sub" => json!(substituted(argument, values, path)?),
                "Fn::Join" => json!(joined(argument, values, path)?),
                intrinsic if intrinsic.starts_with("Fn::") => {
                    bail!("{path} uses {intrinsic}, which is known only in AWS{ADVICE}")
                }
                _ => entries(map, values, path)?,
            }
        }
        Value::Object(map) => entries(map, values, path)?,
        other => other.clone(),
    }))
}

const ADVICE: &str = "; make it a parameter and give it by --parameter, or use --file";

fn entries(
    map: &Map<String, Value>,
    values: &BTreeMap<String, String>,
    path: &str,
) -> Result<Value> {
    let mut entries = Map::new();
    for (name, value) in map {
        let value = resolved(value, values, &format!("{path}.{name}"))?;
        entries.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(Value::Object(entries))
}

fn referred<'a>(
    name: &str,
    values: &'a BTreeMap<String, String>,
    path: &str,
) -> Result<&'a String> {
    values.get(name).with_context(|| {
        format!(
            "{path} refers to `{name}`, whose value is known only in AWS; give it by --parameter \
                 if it is a parameter, or use --file"
        )
    })
}

fn substituted(argument: &Value, values: &BTreeMap<String, String>, path: &str) -> Result<String> {
    let Value::String(text) = argument else {
        bail!("{path} uses Fn::Sub with a map, which is not resolved here{ADVICE}");
    };
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) =
            after.split_once('}').with_context(|| format!("{path}: unclosed ${{"))?;
        out.push_str(before);
        match name.strip_prefix('!') {
            Some(literal) => out.extend(["${", literal, "}"]),
            None => out.push_str(referred(name, values, path)?),
        }
        rest = tail;
    }
    Ok(out + rest)
}

fn joined(argument: &Value, values: &BTreeMap<String, String>, path: &str) -> Result<String> {
    let parts = argument.as_array().map(Vec::as_slice);
    let Some([Value::String(separator), Value::Array(items)]) = parts else {
        bail!("{path}: Fn::Join takes a separator and a list");
    };
    let mut texts = Vec::new();
    for item in items {
        match resolved(item, values, path)? {
            Some(Value::String(text)) => texts.push(text),
            Some(other) => texts.push(other.to_string()),
            None => {}
        }
    }
    Ok(texts.join(separator))
}

/// YAML or JSON text as JSON, CloudFormation's short tags (`!Ref x`) written out.
pub fn parsed(text: &str) -> Result<Value> {
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(text)?;
    to_json(yaml)
}

fn to_json(value: serde_yaml_ng::Value) -> Result<Value> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(it) => json!(it),
        Yaml::Number(it) => serde_json::to_value(it)?,
        Yaml::String(it) => json!(it),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(to_json).collect::<Result<_>>()?)
        }
        Yaml::Mapping(map) => {
            let mut entries = Map::new();
            for (key, value) in map {
                entries.insert(key_text(&key)?, to_json(value)?);
            }
            Value::Object(entries)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let name = match name {
                "Ref" | "Condition" => name.to_owned(),
                _ => format!("Fn::{name}"),
            };
            json!({ name: to_json(tagged.value)? })
        }
    })
}

fn key_text(key: &serde_yaml_ng::Value) -> Result<String> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match key {
        Yaml::String(it) => it.clone(),
        Yaml::Bool(it) => it.to_string(),
        Yaml::Number(it) => it.to_string(),
        _ => bail!("a key of a map is no text"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Parameters:
  Version: {Type: String, Default: 3.4.2}
  Secret: {Type: String}
Resources:
  Bucket: {Type: "AWS::S3::Bucket"}
  Plugins:
    Type: Custom::ExecuteSQL
    Properties:
      ServiceToken: !GetAtt Function.Arn
      DBSecret: !Ref Secret
      PluginsMap: {PostGIS: !Ref Version}
      OnCreate: !Sub "SELECT '${Version}'"
      Nonce: !Ref AWS::NoValue
"#;

    fn found(
        resource: Option<&str>,
        parameters: &[(&str, &str)],
    ) -> Result<(String, Map<String, Value>)> {
        let parameters = parameters.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        properties(&parsed(TEMPLATE)?, resource, &parameters)
    }

    #[test]
    fn a_resource_is_found_and_its_parameters_filled_in() {
        let (logical_id, properties) = found(None, &[("Secret", "s")]).unwrap();
        assert_eq!(logical_id, "Plugins");
        assert_eq!(
            Value::Object(properties),
            json!({"DBSecret": "s", "PluginsMap": {"PostGIS": "3.4.2"}, "OnCreate": "SELECT '3.4.2'"})
        );
    }

    #[test]
    fn what_is_known_only_in_aws_is_named() {
        let message =
            |result: Result<_>| result.err().map(|it: anyhow::Error| it.to_string()).unwrap();
        insta::assert_snapshot!(message(found(None, &[])), @"Plugins.DBSecret refers to `Secret`, whose value is known only in AWS; give it by --parameter if it is a parameter, or use --file");
        insta::assert_snapshot!(message(found(Some("Bucket"), &[])), @"the template has no Custom::ExecuteSQL `Bucket`; it has Plugins");
        insta::assert_snapshot!(message(found(None, &[("Sekret", "s")])), @"the template has no parameter `Sekret`");
    }
}
