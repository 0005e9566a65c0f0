//! Why a tenant cannot be had as it is asked for.

use crate::observed::tenant::HeldKind;

/// What stands in a tenant's way; found before anything is changed for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// Somebody else made it.
    #[error("{} `{name}` belongs to {owner}; it is left as it is", .kind.as_str())]
    Taken {
        /// What it is.
        kind: HeldKind,
        /// Its name.
        name: String,
        /// The resource that has it.
        owner: String,
    },
    /// A resource had it and let it go.
    #[error("{} `{name}` is there from {owner}, which let it go", .kind.as_str())]
    Released {
        /// What it is.
        kind: HeldKind,
        /// Its name.
        name: String,
        /// The resource that had it.
        owner: String,
    },
    /// It was there before.
    #[error("{} `{name}` exists, and this resource did not make it", .kind.as_str())]
    Exists {
        /// What it is.
        kind: HeldKind,
        /// Its name.
        name: String,
    },
    /// It was dropped and made again by somebody else.
    #[error("{} `{name}` is another one than the one that this resource made", .kind.as_str())]
    Replaced {
        /// What it is.
        kind: HeldKind,
        /// Its name.
        name: String,
    },
    /// The tenant's data are under another name.
    #[error("tenant `{tenant}` has {} `{has}`, and cannot be moved to `{wanted}`", .kind.as_str())]
    Moved {
        /// The tenant.
        tenant: String,
        /// What it has.
        kind: HeldKind,
        /// Its name.
        has: String,
        /// What is asked for.
        wanted: String,
    },
    /// It is too mighty for a tenant.
    #[error(
        "role `{0}` is a superuser, has CREATEDB, CREATEROLE, REPLICATION or BYPASSRLS, or is a \
         member of a role that reaches beyond a database"
    )]
    Mighty(String),
    /// The login of the resource itself.
    #[error("role `{0}` is the one that this resource logs in as")]
    IsMaster(String),
    /// Whoever has that name looks for unqualified names there first (`"$user"`).
    #[error("schema `{0}` would be the first in the search path of the role of the same name")]
    SchemaOfRole(String),
    /// The target database.
    #[error("database `{0}` is the target database of this resource")]
    IsTarget(String),
    /// A secret that should be there is not.
    #[error("secret `{0}` does not exist")]
    SecretAbsent(String),
    /// It waits for its deletion.
    #[error("secret `{0}` is scheduled for deletion")]
    SecretDeleted(String),
    /// It holds no password.
    #[error("secret `{0}` has no `password`")]
    SecretEmpty(String),
    /// It is the login of another role.
    #[error("secret `{id}` is the login of `{has}`, not of `{wanted}`")]
    SecretOfAnother {
        /// The secret.
        id: String,
        /// Its user name.
        has: String,
        /// The role.
        wanted: String,
    },
    /// `LOCALE` of a database cannot be changed.
    #[error("database `{name}` has locale `{has}`, and that cannot be changed to `{wanted}`")]
    Locale {
        /// The database.
        name: String,
        /// Its locale.
        has: String,
        /// The wanted one.
        wanted: String,
    },
    /// The privileges are too different before.
    #[error("the server is PostgreSQL {}; tenants need 15 or newer", .0 / 10000)]
    TooOld(u32),
    /// No RDS.
    #[error("the server has no role `rds_iam`, so nobody can log in with IAM tokens")]
    NoIam,
    /// After all was done, somebody else's roles can still get in.
    #[error("database `{0}` still lets PUBLIC in after its privileges were taken away")]
    StillOpen(String),
    /// The server does not take the new login.
    #[error(
        "the login of `{role}` with secret `{secret}` is refused after its password was set: {why}"
    )]
    LoginRefused {
        /// The role.
        role: String,
        /// The secret.
        secret: String,
        /// What the server said.
        why: String,
    },
    /// The password of its secret is the old one already, and that of the next version the role's.
    #[error("a rotation of secret `{0}` is under way, so nothing can be done with its login")]
    Rotating(String),
    /// All connections that the tenant may have are taken.
    #[error("{0} has all the connections that it may have; its database was not looked into")]
    Full(String),
}

impl TenantError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "Choose another name, or remove it from that resource first.",
            Self::Released { .. } => {
                "Set `Adopt: true` on the tenant to take it back, or choose another name."
            }
            Self::Exists { .. } | Self::Replaced { .. } => {
                "Choose another name, or set `Adopt: true` on the tenant to take it over; what is \
                 taken over is never dropped."
            }
            Self::Moved { .. } => {
                "Leave its `Database` or `Schema` as it was; for another one add another tenant."
            }
            Self::Mighty(_) => {
                "Take these attributes and memberships away, or choose another name."
            }
            Self::IsMaster(_) => "Choose another `Username`.",
            Self::SchemaOfRole(_) => "Choose another `Schema`.",
            Self::IsTarget(_) => "Choose another `Database`, or use `Schema`.",
            Self::SecretAbsent(_) => {
                "Check `Secret` and the region, or leave it out; then one is made."
            }
            Self::SecretDeleted(_) => "Restore it (RestoreSecret), or name another.",
            Self::SecretEmpty(_) => "Store JSON text with `username` and `password`.",
            Self::SecretOfAnother { .. } => "Give each login a secret of its own.",
            Self::Locale { .. } => "Leave `Locale` as it was, or make another database.",
            Self::TooOld(_) => "Upgrade the engine.",
            Self::NoIam => "Leave `IamAuth` out, or use RDS or Aurora.",
            Self::StillOpen(_) => {
                "Look at its privileges (datacl in pg_database) and who granted them."
            }
            Self::LoginRefused { .. } => {
                "See the server's log; with `IamAuth` the function's role needs rds-db:connect as that \
                 role. Then deploy again."
            }
            Self::Rotating(_) => "Deploy again when the rotation has ended.",
            Self::Full(_) => {
                "Close some of its connections, or raise `ConnectionLimit`, and deploy again."
            }
        }
    }
}
