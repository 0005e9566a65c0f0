//! What a tenant can do to another one, to the provider and to the server: a list of attacks, each
//! made for real over the tenant's own login, and what came of it.
//!
//! [`run`] furnishes the victim with something to steal, makes the attacks and clears up; they
//! leave nothing behind (most are rolled back). [`expected`] says which of them cannot be closed in
//! a model of tenants and why; [`surprises`] compares. The runner knows nothing of the product, and
//! `tests/probes.rs` shows that it finds the holes of tenants that nobody protected.

mod list;
mod special;
mod stage;

use std::fmt;

use super::Server;
use super::postgres::MASTER;
pub use list::PROBES;
use stage::Stage;

/// Two tenants of one server. Names are plain: lower-case letters, digits and underscores.
pub struct World<'a> {
    pub server: &'a Server,
    /// Who attacks.
    pub a: Tenant,
    /// Who is attacked; what there is to steal is made by [`run`], over this tenant's login.
    pub b: Tenant,
    /// The database where the provider keeps its own things (`DBSecret`'s).
    pub admin_database: String,
    pub master: String,
}

/// How a tenant gets in, and where its tables are.
pub struct Tenant {
    pub user: String,
    pub password: String,
    pub database: String,
    /// Made by the tenant if it is not there.
    pub schema: String,
}

/// How tenants are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// A database each, which the provider owns; the tenant owns its schema `public`.
    Provider,
    /// A database each, which the tenant owns.
    Tenant,
    /// A schema each in one database, the provider's.
    Schema,
}

/// One attack.
pub struct Probe {
    /// As in the list of findings; from 47 on our own.
    pub number: u32,
    /// What is tried, as a verb and its object.
    pub what: &'static str,
    pub attack: Attack,
    pub exposure: Exposure,
}

pub enum Attack {
    /// Succeeds with a session there.
    Login(At),
    /// Succeeds if the statements run.
    Run(At, &'static str),
    /// Succeeds if the statement shows a row.
    Show(At, &'static str),
    /// Anything that takes more than one session.
    Special(fn(&Stage<'_>) -> Outcome),
}

/// Where an attack is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Own,
    Victims,
    Admin,
    Postgres,
    Template1,
    Rdsadmin,
}

/// Whether a well-kept server still lets it happen, and why that is so.
pub enum Exposure {
    Never,
    Always(&'static str),
    In(&'static [Model], &'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// With this SQLSTATE.
    Refused(String),
    /// The server said yes and nothing came of it.
    NoEffect,
}

/// What came of one attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub number: u32,
    pub what: &'static str,
    pub outcome: Outcome,
}

impl<'a> World<'a> {
    pub fn new(server: &'a Server, a: Tenant, b: Tenant, admin_database: &str) -> World<'a> {
        World { server, a, b, admin_database: admin_database.into(), master: MASTER.into() }
    }
}

impl Tenant {
    pub fn new(user: &str, password: &str, database: &str, schema: &str) -> Tenant {
        Tenant {
            user: user.into(),
            password: password.into(),
            database: database.into(),
            schema: schema.into(),
        }
    }
}

impl Probe {
    /// Why it succeeds even where tenants are kept apart; `None` if it must not.
    pub fn open_in(&self, model: Model) -> Option<&'static str> {
        match self.exposure {
            Exposure::Always(why) => Some(why),
            Exposure::In(models, why) if models.contains(&model) => Some(why),
            Exposure::In(..) | Exposure::Never => None,
        }
    }
}

/// Makes all attacks.
pub fn run(world: &World<'_>) -> Vec<Found> {
    let stage = Stage::set(world);
    let found = |probe: &Probe| Found {
        number: probe.number,
        what: probe.what,
        outcome: stage.make(&probe.attack),
    };
    PROBES.iter().map(found).collect()
}

/// For each probe by its number: why it cannot be closed in this model, or `None` if it must be.
pub fn expected(model: Model) -> Vec<(u32, Option<&'static str>)> {
    PROBES.iter().map(|probe| (probe.number, probe.open_in(model))).collect()
}

/// The attacks that succeeded.
pub fn succeeded(found: &[Found]) -> Vec<u32> {
    let is_hole = |it: &&Found| it.outcome == Outcome::Succeeded;
    found.iter().filter(is_hole).map(|it| it.number).collect()
}

/// What is not as [`expected`], a line for each; none if all is.
pub fn surprises(found: &[Found], model: Model) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, open) in expected(model) {
        let Some(it) = found.iter().find(|it| it.number == number) else {
            lines.push(format!("{number} was not tried"));
            continue;
        };
        match (&it.outcome, open) {
            (Outcome::Succeeded, None) => lines.push(format!("{it}, and must not")),
            (Outcome::Succeeded, Some(_)) | (Outcome::NoEffect, None) => {}
            // Anything else (a syntax error, a lost connection) closes nothing.
            (Outcome::Refused(code), None) if ["42501", "53300"].contains(&code.as_str()) => {}
            (Outcome::Refused(_), None) => lines.push(format!("{it}, which is no protection")),
            (_, Some(why)) => lines.push(format!("{it}, although: {why}")),
        }
    }
    lines
}

/// Makes all attacks and panics if one ends otherwise than it must in this model.
#[track_caller]
pub fn assert_isolated(world: &World<'_>, model: Model) {
    let surprises = surprises(&run(world), model);
    assert!(surprises.is_empty(), "{model:?}:\n{}", surprises.join("\n"));
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.number, self.what)?;
        match &self.outcome {
            Outcome::Succeeded => f.write_str("succeeds"),
            Outcome::Refused(code) => write!(f, "is refused ({code})"),
            Outcome::NoEffect => f.write_str("has no effect"),
        }
    }
}
