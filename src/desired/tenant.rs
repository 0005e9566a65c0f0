//! What is asked for of one tenant: a database or a schema, its login, its secret.
//!
//! All names are complete here: defaults, `TenantDefaults` and templates are
//! already in them, and no two tenants of a list have a name in common. Which of
//! it is there is `observed::tenant`'s.

use std::collections::BTreeMap;

use super::{Changelog, Extension};
use crate::ident::Identifier;

/// What the name of an alternating login's second role ends with, as in AWS's own rotation.
pub const CLONE: &str = "_clone";

/// One entry of `Tenants`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// By which the answer and the ledger name it.
    pub name: String,
    /// Where its objects are.
    pub place: Place,
    /// Its login role.
    pub username: Identifier,
    /// Who owns its database.
    pub owner: Owner,
    /// Where its login is kept.
    pub secret: Secret,
    /// For the role and for the database; at least 1.
    pub connection_limit: u32,
    /// Further login roles.
    pub roles: Vec<Role>,
    /// Applied in its database; none for a schema.
    pub extensions: Vec<Extension>,
    /// Applied in its database or schema, as its login.
    pub changelog: Option<Changelog>,
    /// How its secrets rotate, if they do.
    pub rotation: Option<Rotation>,
    /// Whether its logins use tokens of RDS IAM authentication, and no password.
    pub iam_auth: bool,
    /// What happens when it leaves the list, or the resource goes.
    pub on_remove: OnRemove,
    /// Whether a database, schema, role or secret that is there, and that no resource has, is taken
    /// for it.
    pub adopt: bool,
    /// Of its secrets.
    pub tags: BTreeMap<String, String>,
    /// The key of its secrets; `None` is `aws/secretsmanager`.
    pub kms_key_id: Option<String>,
    /// Settings of its database, or of its roles where it is a schema.
    pub settings: BTreeMap<String, String>,
    /// `LOCALE` of its database.
    pub locale: Option<String>,
    /// `TEMPLATE` of its database.
    pub template: Identifier,
}

/// Where a tenant's objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a database of its own.
    Database(Identifier),
    /// In a schema of the target database.
    Schema(Identifier),
}

/// Who owns a tenant's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// The login of the resource; the tenant owns schema `public` in it.
    #[default]
    Provider,
    /// The tenant's role.
    Tenant,
}

/// Where a login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// A secret of this name, made where there is none.
    Made(String),
    /// One that exists, by name or ARN; it is read and never written.
    Given(String),
}

impl Secret {
    /// Its name or ARN.
    pub fn id(&self) -> &str {
        match self {
            Self::Made(id) | Self::Given(id) => id,
        }
    }
}

/// A further login role of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: Identifier,
    /// What it may do.
    pub access: Access,
    /// Where its login is kept.
    pub secret: Secret,
}

/// What a further role may do with the tenant's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read tables and sequences.
    Readonly,
    /// Read and write rows.
    Readwrite,
    /// Make and change objects, which then belong to the tenant's role.
    Migrate,
}

impl Access {
    /// As the properties write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readonly => "readonly",
            Self::Readwrite => "readwrite",
            Self::Migrate => "migrate",
        }
    }
}

/// How a tenant's secrets rotate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The function that does it (`_HANDLER=rotation`).
    pub lambda_arn: String,
    /// Every so many days, 1 to 1000.
    pub days: u32,
    /// One login, or two that take turns.
    pub strategy: Strategy,
    /// Whether the first rotation is now.
    pub immediately: bool,
}

/// How many logins a rotation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// One, whose password changes.
    #[default]
    Single,
    /// Two, one of which is current while the other changes.
    Alternating,
}

impl Strategy {
    /// As the properties and the secret's tag write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Alternating => "alternating",
        }
    }
}

/// The end of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnRemove {
    /// What is done.
    pub policy: Leaving,
    /// Whether `Drop` ends the sessions that are still there.
    pub force: bool,
}

/// What becomes of a tenant that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leaving {
    /// It stays as it is.
    #[default]
    Retain,
    /// Its roles may not log in any more; its data stay.
    Disable,
    /// Its database or schema, roles and secrets go, as far as this resource made them.
    Drop,
}

impl Leaving {
    /// As the properties and the ledger write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retain => "Retain",
            Self::Disable => "Disable",
            Self::Drop => "Drop",
        }
    }
}

impl Tenant {
    /// Whether two logins take turns.
    pub fn alternates(&self) -> bool {
        self.rotation.as_ref().is_some_and(|it| it.strategy == Strategy::Alternating)
    }

    /// The database's own limit: two logins that take turns may for a while both be full.
    pub fn database_limit(&self) -> u32 {
        if self.alternates() { self.connection_limit * 2 } else { self.connection_limit }
    }

    /// All its logins: its own first, then the further ones, with their secrets.
    pub fn logins(&self) -> impl Iterator<Item = (&Identifier, Option<Access>, &Secret)> {
        let own = (&self.username, None, &self.secret);
        let more = self.roles.iter().map(|it| (&it.name, Some(it.access), &it.secret));
        std::iter::once(own).chain(more)
    }

    /// The second role of a login whose logins take turns.
    pub fn clone_of(name: &Identifier) -> String {
        format!("{name}{CLONE}")
    }
}
