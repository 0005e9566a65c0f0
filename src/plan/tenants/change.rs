//! One change for a tenant, small enough to be tried again by itself, and printable.
//!
//! A change names objects and never a password. Making a role or a database
//! brings all of its attributes along; the smaller changes are for what is there.

use std::fmt;

use crate::desired::tenant::{Access, Strategy};
use crate::ident::Identifier;
use crate::plan::Step;

/// What is changed for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "change", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Change {
    /// `CreateSecret`, with a new password.
    CreateSecret {
        /// The login that is kept in it.
        login: Identifier,
        /// Its name.
        name: String,
    },
    /// `RestoreSecret`, for its name waits for its deletion.
    RestoreSecret {
        /// The login that is kept in it.
        login: Identifier,
        /// Its name.
        name: String,
    },
    /// `PutSecretValue` with the same password and other keys.
    UpdateSecret {
        /// The login that is kept in it.
        login: Identifier,
        /// Its name or ARN.
        name: String,
        /// The keys that differ.
        keys: Vec<&'static str>,
    },
    /// `TagResource`.
    TagSecret {
        /// The login that is kept in it.
        login: Identifier,
        /// Its name or ARN.
        name: String,
    },
    /// `CREATE ROLE`.
    CreateRole {
        /// Its name.
        name: Identifier,
        /// What it may do; `None` for the tenant's own.
        access: Option<Access>,
    },
    /// A role that was there is the resource's from now on.
    AdoptRole {
        /// Its name.
        name: Identifier,
    },
    /// The password of the secret becomes the role's.
    SetPassword {
        /// The role.
        name: Identifier,
    },
    /// `ALTER ROLE … LOGIN`.
    AllowLogin {
        /// The role.
        name: Identifier,
    },
    /// `ALTER ROLE … CONNECTION LIMIT`.
    LimitRole {
        /// The role.
        name: Identifier,
        /// The limit now.
        from: i32,
        /// The wanted one.
        to: u32,
    },
    /// `GRANT rds_iam`.
    GrantIam {
        /// The role.
        name: Identifier,
    },
    /// `REVOKE rds_iam`.
    RevokeIam {
        /// The role.
        name: Identifier,
    },
    /// A role for migrations acts as the tenant's role.
    ActAs {
        /// The role.
        name: Identifier,
        /// The tenant's.
        tenant: Identifier,
    },
    /// It acts as the tenant's role no more.
    ActAsItself {
        /// The role.
        name: Identifier,
        /// The tenant's.
        tenant: Identifier,
    },
    /// `ALTER ROLE … VALID UNTIL 'infinity'`.
    NeverExpires {
        /// The role.
        name: Identifier,
    },
    /// The master is a member of the tenant's role, from a run that was interrupted.
    LeaveRole {
        /// The role.
        name: Identifier,
    },
    /// The comment that says whose it is.
    Mark {
        /// `role`, `database` or `schema`.
        kind: &'static str,
        /// Its name.
        name: Identifier,
    },
    /// `CREATE DATABASE`, closed to all others.
    CreateDatabase {
        /// Its name.
        name: Identifier,
    },
    /// A database that was begun gets its privileges and limits.
    FinishDatabase {
        /// Its name.
        name: Identifier,
    },
    /// A database that was there is the resource's from now on.
    AdoptDatabase {
        /// Its name.
        name: Identifier,
    },
    /// `ALTER DATABASE … CONNECTION LIMIT`.
    LimitDatabase {
        /// Its name.
        name: Identifier,
        /// The limit now.
        from: i32,
        /// The wanted one.
        to: u32,
    },
    /// `ALTER DATABASE … OWNER TO`.
    GiveDatabase {
        /// Its name.
        name: Identifier,
        /// The owner now.
        from: String,
        /// The wanted one.
        to: Identifier,
    },
    /// `REVOKE … FROM PUBLIC`.
    CloseDatabase {
        /// Its name.
        name: Identifier,
    },
    /// `GRANT … ON DATABASE`.
    GrantDatabase {
        /// Its name.
        name: Identifier,
        /// To whom.
        to: Identifier,
        /// Letters of an ACL: `C` create, `T` temporary, `c` connect.
        privileges: String,
    },
    /// `ALTER DATABASE … SET`, or `ALTER ROLE … SET` for a tenant that is a schema.
    Set {
        /// The setting.
        setting: String,
        /// Its value.
        value: String,
    },
    /// `CREATE SCHEMA … AUTHORIZATION`.
    CreateSchema {
        /// Its name.
        name: Identifier,
    },
    /// A schema that was there is the resource's from now on.
    AdoptSchema {
        /// Its name.
        name: Identifier,
    },
    /// `ALTER SCHEMA … OWNER TO`.
    GiveSchema {
        /// Its name.
        name: Identifier,
        /// The owner now.
        from: String,
        /// The wanted one.
        to: Identifier,
    },
    /// `REVOKE CREATE ON SCHEMA … FROM PUBLIC`.
    CloseSchema {
        /// Its name.
        name: Identifier,
    },
    /// A step about an extension, in the tenant's database.
    Extension {
        /// The step.
        #[serde(serialize_with = "shown")]
        step: Step,
    },
    /// What a further role lacks, and the default privileges for what comes.
    GrantAccess {
        /// The role.
        name: Identifier,
        /// What it may do.
        access: Access,
    },
    /// A step of the tenant's changelog.
    Changeset {
        /// The step.
        #[serde(serialize_with = "shown")]
        step: Step,
    },
    /// All of its changelog, whose database is not there yet.
    Changelog {
        /// How many changesets it has.
        changesets: usize,
    },
    /// `RotateSecret`, as a set-up.
    SetUpRotation {
        /// The secret.
        secret: String,
        /// Every so many days.
        days: u32,
        /// One login or two.
        strategy: &'static str,
    },
    /// `ALTER ROLE … NOLOGIN`, and the end of its sessions.
    Disable {
        /// The role.
        name: Identifier,
    },
    /// `DROP DATABASE`.
    DropDatabase {
        /// Its name.
        name: Identifier,
        /// It is dropped only while it still has this OID.
        oid: u32,
        /// Whether sessions on it are ended.
        force: bool,
    },
    /// `DROP SCHEMA … CASCADE`: all in it is the tenant's.
    DropSchema {
        /// Its name.
        name: Identifier,
        /// It is dropped only while it still has this OID.
        oid: u32,
    },
    /// `REASSIGN OWNED` and `DROP OWNED` in every database, then `DROP ROLE`.
    DropRole {
        /// Its name.
        name: Identifier,
        /// It is dropped only while it still has this OID.
        oid: u32,
    },
    /// `DeleteSecret`, with a window in which it can be restored.
    DeleteSecret {
        /// Its ARN.
        arn: String,
    },
    /// It stays as it is, and nobody has it.
    Release,
}

fn shown<S: serde::Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(step)
}

impl Change {
    /// For rotation set-ups.
    pub fn rotation(secret: &str, days: u32, strategy: Strategy) -> Self {
        Self::SetUpRotation { secret: secret.to_owned(), days, strategy: strategy.as_str() }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSecret { name, .. } => write!(f, "+ secret {name}"),
            Self::RestoreSecret { name, .. } => write!(f, "+ secret {name} is restored"),
            Self::UpdateSecret { name, keys, .. } => {
                write!(f, "~ secret {name}: {}", keys.join(", "))
            }
            Self::TagSecret { name, .. } => write!(f, "~ secret {name}: tags"),
            Self::CreateRole { name, access: None } => write!(f, "+ role {name}"),
            Self::CreateRole { name, access: Some(access) } => {
                write!(f, "+ role {name} ({})", access.as_str())
            }
            Self::AdoptRole { name } => write!(f, "~ role {name} is taken over"),
            Self::SetPassword { name } => {
                write!(f, "~ role {name} gets the password of its secret")
            }
            Self::AllowLogin { name } => write!(f, "~ role {name} may log in"),
            Self::LimitRole { name, from, to } => {
                write!(f, "~ role {name} connection limit {from} -> {to}")
            }
            Self::GrantIam { name } => write!(f, "~ role {name} logs in with IAM tokens"),
            Self::RevokeIam { name } => write!(f, "~ role {name} logs in with a password"),
            Self::ActAs { name, tenant } => write!(f, "~ role {name} acts as {tenant}"),
            Self::ActAsItself { name, tenant } => {
                write!(f, "~ role {name} acts as {tenant} no more")
            }
            Self::NeverExpires { name } => write!(f, "~ role {name}: its password does not expire"),
            Self::LeaveRole { name } => write!(f, "~ role {name}: the master leaves it"),
            Self::Mark { kind, name } => write!(f, "~ {kind} {name}: its comment"),
            Self::CreateDatabase { name } => write!(f, "+ database {name}"),
            Self::FinishDatabase { name } => {
                write!(f, "+ database {name}, which was begun before")
            }
            Self::AdoptDatabase { name } => write!(f, "~ database {name} is taken over"),
            Self::LimitDatabase { name, from, to } => {
                write!(f, "~ database {name} connection limit {from} -> {to}")
            }
            Self::GiveDatabase { name, from, to } => {
                write!(f, "~ database {name} owner {from} -> {to}")
            }
            Self::CloseDatabase { name } => {
                write!(f, "~ database {name}: nothing for PUBLIC")
            }
            Self::GrantDatabase { name, to, privileges } => {
                write!(f, "~ database {name}: {privileges} for {to}")
            }
            Self::Set { setting, value } => write!(f, "~ {setting} = {value}"),
            Self::CreateSchema { name } => write!(f, "+ schema {name}"),
            Self::AdoptSchema { name } => write!(f, "~ schema {name} is taken over"),
            Self::GiveSchema { name, from, to } => {
                write!(f, "~ schema {name} owner {from} -> {to}")
            }
            Self::CloseSchema { name } => {
                write!(f, "~ schema {name}: PUBLIC makes nothing in it")
            }
            Self::Extension { step } | Self::Changeset { step } => step.fmt(f),
            Self::GrantAccess { name, access } => {
                write!(f, "~ role {name}: its {} privileges", access.as_str())
            }
            Self::Changelog { changesets } => write!(f, "+ {changesets} changesets"),
            Self::SetUpRotation { secret, days, strategy } => {
                write!(f, "~ secret {secret} rotates every {days} days ({strategy})")
            }
            Self::Disable { name } => write!(f, "~ role {name} may not log in"),
            Self::DropDatabase { name, force: false, .. } => write!(f, "- database {name}"),
            Self::DropDatabase { name, .. } => write!(f, "- database {name}, with its sessions"),
            Self::DropSchema { name, .. } => write!(f, "- schema {name}"),
            Self::DropRole { name, .. } => write!(f, "- role {name}"),
            Self::DeleteSecret { arn } => write!(f, "- secret {arn}"),
            Self::Release => f.write_str("~ it leaves the list and stays as it is"),
        }
    }
}
