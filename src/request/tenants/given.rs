//! What one map says: an entry of `Tenants`, or `TenantDefaults`.
//!
//! Both have the same keys and are read alike, each key by itself and nothing filled in
//! yet; that is [`super::complete`]'s. Keys of one map that contradict each other are
//! refused here, so that a mistake in the defaults is told once and not for each tenant.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::value::{self, PropertyError, Read};
use super::super::{changelog, extensions};
use super::parts::{self, GivenRole};
use super::pattern::{Pattern, Word, Words};
use super::{names, secret};
use crate::desired::tenant::{OnRemove, Owner, Rotation};
use crate::desired::{Changelog, Extension};
use crate::ident::Identifier;

/// Keys of a tenant.
pub const KEYS: [&str; 20] = [
    "Name",
    "Database",
    "Schema",
    "Username",
    "Owner",
    "Secret",
    "SecretName",
    "ConnectionLimit",
    "Roles",
    "Extensions",
    "Changelog",
    "Rotation",
    "IamAuth",
    "OnRemove",
    "Adopt",
    "Tags",
    "KmsKeyId",
    "Settings",
    "Locale",
    "Template",
];

/// Keys that `TenantDefaults` has besides.
pub const MORE_DEFAULTS: [&str; 2] = ["SecretPrefix", "Environment"];

/// Who a map speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// One tenant.
    Tenant,
    /// All of them.
    Defaults,
}

/// The keys of one map, each absent, unreadable or read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Whether a key that gives names was unreadable, so that names may be other ones.
    pub names_unreadable: bool,
    pub(super) name: Option<String>,
    pub(super) database: Option<Pattern>,
    pub(super) schema: Option<Pattern>,
    pub(super) username: Option<Pattern>,
    pub(super) owner: Option<Owner>,
    pub(super) secret: Option<Pattern>,
    pub(super) secret_name: Option<Pattern>,
    pub(super) connection_limit: Option<u32>,
    pub(super) roles: Option<Vec<GivenRole>>,
    pub(super) extensions: Option<Vec<Extension>>,
    pub(super) changelog: Option<Changelog>,
    /// `Some(None)` is a rotation that is turned off.
    #[allow(clippy::option_option, reason = "not said, said to be none, and said")]
    pub(super) rotation: Option<Option<Rotation>>,
    pub(super) iam_auth: Option<bool>,
    pub(super) on_remove: Option<OnRemove>,
    pub(super) adopt: Option<bool>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) locale: Option<String>,
    pub(super) template: Option<Identifier>,
    pub(super) prefix: Option<String>,
    pub(super) environment: Option<String>,
}

/// Reads a map; what is wrong goes to `errors`. `has_environment` tells whether `{environment}` has
/// a value.
pub fn read(
    at: &str,
    map: &Map<String, Value>,
    speaker: Speaker,
    has_environment: bool,
    errors: &mut Vec<PropertyError>,
) -> Given {
    let mut given = Given::default();
    let reader = Reader { at, speaker, has_environment };
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let before = errors.len();
        if let Err(error) = reader.key(&mut given, key, value, errors) {
            errors.push(error);
        }
        let gives_names = matches!(
            key.as_str(),
            "Name" | "Database" | "Schema" | "Username" | "Secret" | "SecretName" | "Roles"
        );
        given.names_unreadable |= gives_names && errors.len() > before;
    }
    reader.contradictions(&given, errors);
    given
}

/// How one map is read.
pub(super) struct Reader<'a> {
    /// Its name in errors.
    pub(super) at: &'a str,
    speaker: Speaker,
    has_environment: bool,
}

impl Reader<'_> {
    fn key(
        &self,
        into: &mut Given,
        key: &str,
        value: &Value,
        errors: &mut Vec<PropertyError>,
    ) -> Read<()> {
        let path = &format!("{}.{key}", self.at);
        match key {
            "Name" => into.name = Some(self.name(path, value)?),
            "Database" => into.database = Some(self.object(path, value)?),
            "Schema" => into.schema = Some(self.object(path, value)?),
            "Username" => into.username = Some(self.username(path, value)?),
            "Owner" => {
                let words = [("provider", Owner::Provider), ("tenant", Owner::Tenant)];
                into.owner = Some(value::word(path, value, &words)?);
            }
            "Secret" => into.secret = Some(self.secret(path, value)?),
            "SecretName" => into.secret_name = Some(self.pattern(path, value)?),
            "ConnectionLimit" => into.connection_limit = Some(number(path, value, 10_000)?),
            "Roles" => into.roles = Some(parts::roles(self, path, value, errors)?),
            "Extensions" => into.extensions = Some(extensions::list(path, value, errors)),
            "Changelog" => into.changelog = changelog::read(path, value, errors),
            "Rotation" => into.rotation = Some(parts::rotation(path, value, errors)?),
            "IamAuth" => into.iam_auth = Some(value::boolean(path, value)?),
            "OnRemove" => into.on_remove = Some(parts::on_remove(path, value, errors)?),
            "Adopt" => into.adopt = Some(value::boolean(path, value)?),
            "Tags" => into.tags = parts::tags(path, value, errors)?,
            "KmsKeyId" => into.kms_key_id = Some(parts::line(path, value, 2048)?),
            "Settings" => into.settings = parts::settings(path, value, errors)?,
            "Locale" => into.locale = Some(parts::line(path, value, 128)?),
            "Template" => into.template = Some(value::identifier(path, value)?),
            "SecretPrefix" if self.is_defaults() => {
                into.prefix = Some(secret::part(path, &value::text(path, value)?)?);
            }
            "Environment" if self.is_defaults() => {
                into.environment = Some(secret::part(path, &value::text(path, value)?)?);
            }
            _ => return Err(self.unknown(path, key)),
        }
        Ok(())
    }

    fn is_defaults(&self) -> bool {
        self.speaker == Speaker::Defaults
    }

    fn unknown(&self, path: &str, key: &str) -> PropertyError {
        if MORE_DEFAULTS.contains(&key) {
            return PropertyError(format!(
                "`{path}` is the same for all tenants; put it into `TenantDefaults`"
            ));
        }
        let more = if self.is_defaults() { &MORE_DEFAULTS[..] } else { &[] };
        parts::unknown(self.at, key, &[&KEYS, more].concat())
    }

    fn name(&self, path: &str, value: &Value) -> Read<String> {
        if self.is_defaults() {
            return Err(PropertyError(format!(
                "`{path}` makes no sense, as each tenant has a name of its own"
            )));
        }
        names::tenant(path, &value::text(path, value)?)
    }

    /// The name of a database, schema or role.
    pub(super) fn object(&self, path: &str, value: &Value) -> Read<Pattern> {
        let pattern = self.pattern(path, value)?;
        if self.is_defaults() {
            // What its own text makes impossible would else be told for each tenant.
            let any = Words { name: "x", username: "x", prefix: "x", environment: "x" };
            names::characters(path, &pattern.fill(&any))?;
        }
        Ok(pattern)
    }

    fn username(&self, path: &str, value: &Value) -> Read<Pattern> {
        let pattern = self.object(path, value)?;
        if pattern.holds(Word::Username) {
            return Err(PropertyError(format!("`{path}` cannot hold `{{username}}`, as it is it")));
        }
        Ok(pattern)
    }

    /// A secret that is there, which is named by a text that an error must not show.
    pub(super) fn secret(&self, path: &str, value: &Value) -> Read<Pattern> {
        let Value::String(text) = value else {
            return Err(PropertyError(format!("`{path}` takes the name or ARN of a secret")));
        };
        // Braces may be JSON, and a placeholder that is told would then be part of a secret.
        if text.trim_start().starts_with('{') && text.contains('"') {
            secret::id(path, text)?;
        }
        self.pattern(path, value)
    }

    /// A text with placeholders, which in the defaults has to tell tenants apart.
    pub(super) fn pattern(&self, path: &str, value: &Value) -> Read<Pattern> {
        let pattern = Pattern::read(path, &value::text(path, value)?)?;
        if self.is_defaults() && !pattern.tells_tenants_apart() {
            return Err(PropertyError(format!(
                "`{path}` would be the same for all tenants; put `{{name}}` or `{{username}}` \
                 into it"
            )));
        }
        if !self.has_environment && pattern.holds(Word::Environment) {
            return Err(PropertyError(format!(
                "`{path}` holds `{{environment}}`, and there is no `TenantDefaults.Environment`"
            )));
        }
        Ok(pattern)
    }

    /// What one map says must fit together.
    fn contradictions(&self, given: &Given, errors: &mut Vec<PropertyError>) {
        let at = self.at;
        let mut refuse = |why: String| errors.push(PropertyError(why));
        if given.database.is_some() && given.schema.is_some() {
            refuse(format!("`{at}` takes one of `Database` and `Schema`"));
        } else if given.schema.is_some() {
            for key in given.database_keys() {
                refuse(for_a_database(at, key));
            }
            if given.settings.contains_key(SEARCH_PATH) {
                refuse(search_path(at));
            }
            if given.extensions.as_ref().is_some_and(|it| !it.is_empty()) {
                refuse(extensions_of_a_schema(at));
            }
        }
        if given.secret.is_some() && given.secret_name.is_some() {
            refuse(format!("`{at}` takes one of `Secret` and `SecretName`"));
        }
        if given.iam_auth == Some(true) && matches!(given.rotation, Some(Some(_))) {
            refuse(no_rotation(at));
        }
    }
}

/// The setting that the product makes itself for a schema tenant.
pub(super) const SEARCH_PATH: &str = "search_path";

impl Given {
    /// The keys, as far as they are given, that only a database has a use for.
    pub(super) fn database_keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("Owner", self.owner.is_some()),
            ("Locale", self.locale.is_some()),
            ("Template", self.template.is_some()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key)
    }
}

/// The error for a key that a schema has no use for.
pub(super) fn for_a_database(at: &str, key: &str) -> PropertyErrorText {
    format!("`{at}.{key}` is for a tenant with a database of its own, and this one has a `Schema`")
}

/// The error for extensions of a schema.
pub(super) fn extensions_of_a_schema(at: &str) -> PropertyErrorText {
    format!(
        "`{at}.Extensions` cannot be, as this tenant has a `Schema` and extensions belong to the \
         whole database; put them into the `Extensions` of the resource"
    )
}

/// The error for a search path that is the product's to set.
pub(super) fn search_path(at: &str) -> PropertyErrorText {
    format!("`{at}.Settings.{SEARCH_PATH}` cannot be, as it is set to the tenant's `Schema`")
}

/// The error for a rotation of logins without a password.
pub(super) fn no_rotation(at: &str) -> PropertyErrorText {
    format!("`{at}` has `IamAuth` and `Rotation`: an IAM login has no password that could rotate")
}

type PropertyErrorText = String;

fn number(path: &str, value: &Value, most: u64) -> Read<u32> {
    let number = value::integer(path, value, 1, most)?;
    Ok(u32::try_from(number).expect("the bound is far below"))
}
