//! No two tenants of a list have a name in common.
//!
//! Names are compared without case: `Acme` and `acme` are two databases that nobody
//! would tell apart. The second login of an alternating rotation counts, and so do the
//! target database and the login of the resource itself, which are no tenant's. A
//! name that the server has for another reason is found when the server is asked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::secret;
use crate::desired::tenant::{Place, Tenant};

/// What tenants have been found to have, each name once.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashMap<(Kind, String), Taken>,
}

/// Which names are compared with which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Names of tenants.
    Tenant,
    /// Of databases.
    Database,
    /// Of schemas.
    Schema,
    /// Of login roles.
    Login,
    /// Of second roles of a login, which are login roles.
    Clone,
    /// Of secrets that are given by name.
    Secret,
    /// Of secrets that are given by ARN, without account and region.
    ArnName,
    /// ARNs.
    Arn,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "name",
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Login | Self::Clone => "login",
            Self::Secret | Self::ArnName | Self::Arn => "secret",
        }
    }

    fn compared_as(self) -> Self {
        match self {
            Self::Clone => Self::Login,
            _ => self,
        }
    }
}

#[derive(Debug, Clone)]
struct Taken {
    /// As it is written.
    name: String,
    /// As an error calls it.
    what: String,
    owner: Owner,
}

/// Whose a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The resource's, by this property.
    Resource(&'static str),
    /// That of the tenant at this place of the list, so called.
    Tenant(usize, String),
}

/// A name that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The place in the list of the tenant that has it already, if it is one.
    pub with: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Names {
    /// Keeps a name for the resource itself.
    pub fn reserve(&mut self, kind: Kind, name: &str, property: &'static str) {
        let owner = Owner::Resource(property);
        let mut none_yet = Vec::new();
        if kind == Kind::Secret {
            self.secret(name, property, &owner, &mut none_yet);
        } else {
            self.add(kind, name, &owner, &mut none_yet);
        }
    }

    /// Adds all names of a tenant; tells which of them were taken.
    pub fn add_tenant(&mut self, at: usize, called: &str, tenant: &Tenant) -> Vec<Collision> {
        let owner = &Owner::Tenant(at, called.to_owned());
        let mut found = Vec::new();
        self.add(Kind::Tenant, &tenant.name, owner, &mut found);
        match &tenant.place {
            Place::Database(name) => self.add(Kind::Database, name.as_str(), owner, &mut found),
            Place::Schema(name) => self.add(Kind::Schema, name.as_str(), owner, &mut found),
        }
        for (name, _, secret) in tenant.logins() {
            self.add(Kind::Login, name.as_str(), owner, &mut found);
            if tenant.alternates() {
                self.add(Kind::Clone, &Tenant::clone_of(name), owner, &mut found);
            }
            self.secret(secret.id(), name.as_str(), owner, &mut found);
        }
        found
    }

    /// Which tenant of the list has this database.
    pub fn database(&self, name: &str) -> Option<&str> {
        let taken = self.taken.get(&(Kind::Database, name.to_lowercase()))?;
        match &taken.owner {
            Owner::Tenant(_, called) if taken.name == name => Some(called),
            _ => None,
        }
    }

    fn add(&mut self, kind: Kind, name: &str, owner: &Owner, found: &mut Vec<Collision>) {
        let what = match kind {
            Kind::Clone => format!("login `{name}` (the second one of an alternating rotation)"),
            _ => format!("{} `{name}`", kind.as_str()),
        };
        let taken = Taken { name: name.to_owned(), what, owner: owner.clone() };
        match self.taken.entry((kind.compared_as(), name.to_lowercase())) {
            Entry::Occupied(before) => found.push(collision(&taken, before.get())),
            Entry::Vacant(entry) => {
                entry.insert(taken);
            }
        }
    }

    /// A name may be that of an ARN; two ARNs are the same only as a whole.
    fn secret(&mut self, id: &str, login: &str, owner: &Owner, found: &mut Vec<Collision>) {
        let mut keys = Vec::new();
        let mut hits = Vec::new();
        match secret::arn(id) {
            None => {
                keys.push((Kind::Secret, id.to_owned()));
                hits.push((Kind::ArnName, id.to_owned()));
            }
            Some((scope, name)) => {
                // Without its suffix an ARN is one as well, so its end may be part of the name.
                for name in std::iter::once(name).chain(secret::without_suffix(name)) {
                    keys.push((Kind::Arn, format!("{scope}:secret:{name}")));
                    keys.push((Kind::ArnName, name.to_owned()));
                    hits.push((Kind::Secret, name.to_owned()));
                }
            }
        }
        // The name of an ARN is that of another secret where account or region differ.
        hits.extend(keys.iter().filter(|(kind, _)| *kind != Kind::ArnName).cloned());
        // What is given may be a secret's content after all, so it is not shown.
        let what = format!("the secret of login `{login}`");
        let taken = Taken { name: String::new(), what, owner: owner.clone() };
        if let Some(before) = hits.iter().find_map(|key| self.taken.get(key)) {
            found.push(collision(&taken, before));
        }
        for key in keys {
            self.taken.entry(key).or_insert_with(|| taken.clone());
        }
    }
}

fn collision(taken: &Taken, before: &Taken) -> Collision {
    let called = match &taken.owner {
        Owner::Tenant(_, called) => called,
        Owner::Resource(property) => *property,
    };
    let (with, whose) = match &before.owner {
        Owner::Tenant(at, _) if before.owner == taken.owner => {
            (Some(*at), "the same tenant".into())
        }
        Owner::Tenant(at, called) => (Some(*at), format!("`{called}`")),
        Owner::Resource(property) => (None, format!("the resource itself (`{property}`)")),
    };
    let (what, other) = (&taken.what, &before.what);
    let message = if taken.name != before.name {
        format!("`{called}`: {what} differs only in case from {other} of {whose}")
    } else if what == other || matches!(before.owner, Owner::Resource(_)) || taken.name.is_empty() {
        format!("`{called}`: {what} is also that of {whose}")
    } else {
        format!("`{called}`: {what} is also {other} of {whose}")
    };
    Collision { with, message }
}
