//! The operations, by the rules of the service's reference and with its words.

// All operations have one shape.
#![allow(clippy::unnecessary_wraps)]

use serde_json::{Value, json};

use super::state::{RotationRules, Secret, State, Text};
use super::{ARN_PREFIX, uuid};
use crate::support::processes::unique;

/// Code and message.
pub struct Refusal(pub &'static str, pub String);

type Answer = Result<Value, Refusal>;

const DATE: f64 = 1_767_225_600.123;

fn refused<T>(code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(code, message.into()))
}

fn parameter<T>(message: impl Into<String>) -> Result<T, Refusal> {
    refused("InvalidParameterException", message)
}

fn request<T>(message: impl Into<String>) -> Result<T, Refusal> {
    refused("InvalidRequestException", message)
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal("ResourceNotFoundException", message.into())
}

impl State {
    pub fn carry_out(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "CreateSecret" => return self.create(body),
            "DeleteSecret" => return self.delete(body),
            "GetRandomPassword" => return random_password(body),
            _ => {}
        }
        let work: fn(&mut Secret, &Value) -> Answer = match operation {
            "GetSecretValue" => get_value,
            "DescribeSecret" => describe,
            "ListSecretVersionIds" => list_versions,
            "PutSecretValue" => put_value,
            "RestoreSecret" => restore,
            "TagResource" => tag,
            "UntagResource" => untag,
            "UpdateSecretVersionStage" => move_stage,
            "RotateSecret" => rotate,
            "CancelRotateSecret" => cancel_rotate,
            _ => return refused("UnknownOperationException", ""),
        };
        let secret = self.named(body)?;
        let of_deleted = ["DescribeSecret", "ListSecretVersionIds", "RestoreSecret"];
        if secret.deleted.is_some() && !of_deleted.contains(&operation) {
            return request(
                "You can't perform this operation on the secret because it was marked for deletion.",
            );
        }
        let reads = ["GetSecretValue", "DescribeSecret", "ListSecretVersionIds", "TagResource"];
        if let Some(service) =
            secret.owning_service.as_ref().filter(|_| !reads.contains(&operation))
        {
            return request(format!(
                "You can't perform this operation on the secret because it is managed by {service}."
            ));
        }
        work(secret, body)
    }

    fn named(&mut self, body: &Value) -> Result<&mut Secret, Refusal> {
        let Some(id) = body["SecretId"].as_str() else {
            return refused("ValidationException", "1 validation error detected: no secretId");
        };
        self.find_mut(id).ok_or_else(|| missing("Secrets Manager can't find the specified secret."))
    }

    fn create(&mut self, body: &Value) -> Answer {
        let name = body["Name"].as_str().unwrap_or_default();
        let allowed = |it: u8| it.is_ascii_alphanumeric() || b"/_+=.@-".contains(&it);
        if !name.bytes().all(allowed) || name.is_empty() || name.len() > 512 {
            return parameter(
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of \
                 the following: -/_+=.@!",
            );
        }
        let token = token(body)?;
        let value = value(body)?;
        let tags = tags(body)?;
        if let Some(known) = self.find(name) {
            if known.deleted.is_some() {
                return request(
                    "You can't create this secret because a secret with this name is already \
                     scheduled for deletion.",
                );
            }
            if known.version(&token).is_some_and(|it| it.value == value) {
                return Ok(json!({"ARN": known.arn, "Name": name, "VersionId": token}));
            }
            return refused(
                "ResourceExistsException",
                format!("The operation failed because the secret {name} already exists."),
            );
        }
        // Letters and digits, another one for each secret of a name.
        let random = unique();
        let arn = format!("{ARN_PREFIX}{name}-{}", &random[random.len() - 6..]);
        let mut secret = Secret::new(name, &arn);
        secret.description = text(body, "Description").unwrap_or_default();
        secret.kms_key_id = text(body, "KmsKeyId");
        secret.tags.extend(tags);
        let mut answer = json!({"ARN": arn, "Name": name});
        if value.is_some() {
            secret.add(&token, value, &["AWSCURRENT"]);
            answer["VersionId"] = json!(token);
        }
        self.secrets.push(secret);
        Ok(answer)
    }

    fn delete(&mut self, body: &Value) -> Answer {
        let days = body["RecoveryWindowInDays"].as_u64();
        let force = body["ForceDeleteWithoutRecovery"] == true;
        if force && days.is_some() || days.is_some_and(|it| !(7..=30).contains(&it)) {
            return parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            );
        }
        let secret = self.named(body)?;
        if secret.deleted.is_some() {
            return request(
                "You can't perform this operation on the secret because it was already scheduled \
                 for deletion.",
            );
        }
        if let Some(service) = &secret.owning_service {
            return request(format!("You can't delete a secret that is managed by {service}."));
        }
        secret.deleted = Some(days.unwrap_or(30));
        let answer = json!({"ARN": secret.arn, "Name": secret.name, "DeletionDate": DATE});
        if force {
            let arn = secret.arn.clone();
            self.forget(&arn);
        }
        Ok(answer)
    }
}

fn get_value(secret: &mut Secret, body: &Value) -> Answer {
    let (id, stage) = (body["VersionId"].as_str(), body["VersionStage"].as_str());
    let version = match (id, stage) {
        (Some(id), _) => secret.version(id),
        (None, stage) => secret.at(stage.unwrap_or("AWSCURRENT")),
    };
    let what = match id {
        Some(id) => format!("VersionId: {id}"),
        None => format!("staging label: {}", stage.unwrap_or("AWSCURRENT")),
    };
    let gone =
        || missing(format!("Secrets Manager can't find the specified secret value for {what}"));
    let version = version.ok_or_else(gone)?;
    if stage.is_some_and(|it| !version.has(it)) {
        return request(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        );
    }
    let value = version.value.as_ref().ok_or_else(gone)?;
    let mut answer = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "VersionStages": version.stages,
        "CreatedDate": DATE,
    });
    value.write(&mut answer);
    Ok(answer)
}

fn describe(secret: &mut Secret, _: &Value) -> Answer {
    let tags: Vec<_> =
        secret.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    // Versions without a stage are not told here.
    let versions = secret.versions.iter().filter(|it| !it.stages.is_empty());
    let versions: serde_json::Map<_, _> =
        versions.map(|it| (it.id.clone(), json!(it.stages))).collect();
    let mut answer = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "Description": secret.description,
        "LastChangedDate": DATE,
        "CreatedDate": DATE,
        "Tags": tags,
        "VersionIdsToStages": versions,
    });
    if let Some(key) = &secret.kms_key_id {
        answer["KmsKeyId"] = json!(key);
    }
    if secret.deleted.is_some() {
        answer["DeletedDate"] = json!(DATE);
    }
    if let Some(service) = &secret.owning_service {
        answer["OwningService"] = json!(service);
    }
    if let Some(rotation) = &secret.rotation {
        answer["RotationEnabled"] = json!(true);
        answer["RotationLambdaARN"] = json!(rotation.lambda_arn);
        let mut rules = json!({});
        if let Some(days) = rotation.days {
            rules["AutomaticallyAfterDays"] = json!(days);
        }
        if let Some(schedule) = &rotation.schedule {
            rules["ScheduleExpression"] = json!(schedule);
        }
        answer["RotationRules"] = rules;
    }
    Ok(answer)
}

fn list_versions(secret: &mut Secret, body: &Value) -> Answer {
    let all = body["IncludeDeprecated"] == true;
    let versions = secret.versions.iter().filter(|it| all || !it.stages.is_empty());
    let versions: Vec<_> = versions
        .map(|it| json!({"VersionId": it.id, "VersionStages": it.stages, "CreatedDate": DATE}))
        .collect();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions}))
}

fn put_value(secret: &mut Secret, body: &Value) -> Answer {
    let token = token(body)?;
    let Some(value) = value(body)? else {
        return parameter("You must provide either SecretString or SecretBinary.");
    };
    let stages: Vec<&str> = match body["VersionStages"].as_array() {
        Some(stages) => stages.iter().filter_map(Value::as_str).collect(),
        None => vec!["AWSCURRENT"],
    };
    if stages.is_empty() || stages.len() > 20 {
        return refused("ValidationException", "1 validation error detected: versionStages");
    }
    match secret.version(&token).and_then(|it| it.value.as_ref()) {
        Some(known) if *known == value => {}
        Some(_) => {
            return refused(
                "ResourceExistsException",
                "A resource with the ID you requested already exists.",
            );
        }
        None => secret.add(&token, Some(value), &stages),
    }
    let stages = secret.version(&token).map(|it| it.stages.clone());
    Ok(json!({
        "ARN": secret.arn, "Name": secret.name, "VersionId": token, "VersionStages": stages,
    }))
}

/// What the service says of one that is not scheduled is not written down; this one refuses, so
/// that callers are seen to cope.
fn restore(secret: &mut Secret, _: &Value) -> Answer {
    if secret.deleted.take().is_none() {
        return request("You can't restore a secret that is not scheduled for deletion.");
    }
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

fn tag(secret: &mut Secret, body: &Value) -> Answer {
    secret.tags.extend(tags(body)?);
    Ok(json!({}))
}

fn untag(secret: &mut Secret, body: &Value) -> Answer {
    for key in body["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        secret.tags.remove(key);
    }
    Ok(json!({}))
}

fn move_stage(secret: &mut Secret, body: &Value) -> Answer {
    let stage = body["VersionStage"].as_str().unwrap_or_default();
    let (to, from) = (body["MoveToVersionId"].as_str(), body["RemoveFromVersionId"].as_str());
    let holder = secret.at(stage).map(|it| it.id.clone());
    match (to, from) {
        (None, None) => return parameter("You must provide a version to move to or from."),
        (None, Some(_)) if stage == "AWSCURRENT" => {
            return parameter(
                "You can only move staging label AWSCURRENT to a different secret version. It \
                 can't be completely removed.",
            );
        }
        (_, Some(from)) if holder.as_deref() != Some(from) => {
            return parameter(format!(
                "When you move staging label {stage}, if you specify RemoveFromVersionId, it must \
                 be set to the version that currently has the staging label {stage}."
            ));
        }
        (Some(to), None) if holder.is_some() && holder.as_deref() != Some(to) => {
            return parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is \
                 currently attached to version {}, so you must explicitly reference that version in \
                 RemoveFromVersionId.",
                holder.unwrap_or_default()
            ));
        }
        (Some(to), _) if secret.version(to).is_none() => {
            return Err(missing("Secrets Manager can't find the specified secret version."));
        }
        (Some(to), _) => secret.attach(stage, to),
        (None, Some(_)) => secret.detach(stage),
    }
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

fn rotate(secret: &mut Secret, body: &Value) -> Answer {
    let token = token(body)?;
    let rules = &body["RotationRules"];
    let days = rules["AutomaticallyAfterDays"].as_u64();
    if days.is_some_and(|it| !(1..=1000).contains(&it)) {
        return parameter("The AutomaticallyAfterDays value must be between 1 and 1000 days.");
    }
    let pending = secret.at("AWSPENDING").filter(|it| !it.has("AWSCURRENT"));
    if pending.is_some_and(|it| it.id != token) {
        return request("A previous rotation isn't complete. That rotation will be reattempted.");
    }
    let known = secret.rotation.as_ref().map(|it| it.lambda_arn.clone());
    let Some(lambda_arn) = text(body, "RotationLambdaARN").or(known) else {
        return request("No Lambda rotation function ARN is associated with this secret.");
    };
    let schedule = rules["ScheduleExpression"].as_str().map(str::to_owned);
    secret.rotation = Some(RotationRules { lambda_arn, days, schedule });
    let immediately = body["RotateImmediately"].as_bool().unwrap_or(true);
    if immediately && secret.version(&token).is_none() {
        secret.add(&token, None, &["AWSPENDING"]);
    }
    secret.due = Some((token.clone(), immediately));
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": token}))
}

fn cancel_rotate(secret: &mut Secret, _: &Value) -> Answer {
    secret.rotation = None;
    secret.due = None;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

fn random_password(body: &Value) -> Answer {
    let length = body["PasswordLength"].as_u64().unwrap_or(32);
    let exclude = body["ExcludeCharacters"].as_str().unwrap_or_default();
    let mut text = String::new();
    while text.len() < usize::try_from(length).unwrap_or(32) {
        text.extend(format!("A!{}", uuid()).chars().filter(|it| !exclude.contains(*it)));
    }
    text.truncate(usize::try_from(length).unwrap_or(32));
    Ok(json!({ "RandomPassword": text }))
}

fn text(body: &Value, key: &str) -> Option<String> {
    body[key].as_str().map(str::to_owned)
}

fn token(body: &Value) -> Result<String, Refusal> {
    match body["ClientRequestToken"].as_str() {
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => parameter("ClientRequestToken must be 32-64 characters long."),
        None => parameter("You must provide a ClientRequestToken value."),
    }
}

fn value(body: &Value) -> Result<Option<Text>, Refusal> {
    if let Some(text) = body["SecretString"].as_str() {
        if text.len() > 65_536 {
            // It may repeat what was sent, as such messages do.
            return refused(
                "ValidationException",
                format!("1 validation error detected: Value '{}' at 'secretString'", &text[..40]),
            );
        }
        return Ok(Some(Text::String(text.to_owned())));
    }
    let bytes = body["SecretBinary"].as_str().and_then(|it| openssl::base64::decode_block(it).ok());
    Ok(bytes.map(Text::Binary))
}

fn tags(body: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let mut tags = Vec::new();
    for tag in body["Tags"].as_array().into_iter().flatten() {
        let key = tag["Key"].as_str().unwrap_or_default();
        if key.is_empty() || key.len() > 128 || key.to_lowercase().starts_with("aws:") {
            return parameter("Tag keys can't be empty, too long, or start with aws:.");
        }
        tags.push((key.to_owned(), tag["Value"].as_str().unwrap_or_default().to_owned()));
    }
    if tags.len() > 50 {
        return parameter("You can't have more than 50 tags.");
    }
    Ok(tags)
}
