//! Looks at one tenant that leaves: its objects, what stands in the way, and its secrets' tags.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::Run;
use crate::apply::tenants::secret::{PHYSICAL_ID, RESOURCE, STACK};
use crate::desired::tenant::{Leaving, Tenant};
use crate::engine::tenants::{Work, changelog};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::inspect;
use crate::lock;
use crate::observed::leaving::{Tagged, Ties};
use crate::observed::tenant::{Found, HeldKind};
use crate::plan::tenants::leaving::{Leaver, Scene};
use crate::postgres::Session;

/// What was seen.
pub(super) struct Seen {
    /// Its objects.
    pub(super) found: Found,
    /// What ties them.
    pub(super) ties: Ties,
    /// Its secrets.
    pub(super) secrets: BTreeMap<String, Tagged>,
}

impl Seen {
    /// What a plan looks at.
    pub(super) fn scene<'a>(&'a self, work: &'a Work<'_>, run: &'a Run<'_>) -> Scene<'a> {
        Scene {
            master: &work.cluster.master,
            resource: (work.asking.stack_id, work.asking.logical_id),
            ids: run.ids,
            known: run.known,
            found: &self.found,
            ties: &self.ties,
            secrets: &self.secrets,
        }
    }
}

/// Looks, over a session on the target database.
pub(super) async fn see(
    work: &Work<'_>,
    session: &Session,
    leaver: &Leaver,
) -> Result<Seen, Failure> {
    let of = |kind| leaver.held.iter().filter(move |it| it.kind == kind).map(|it| it.name.as_str());
    if leaver.on_remove.policy == Leaving::Retain {
        let (found, ties, secrets) = (Found::default(), Ties::default(), BTreeMap::new());
        return Ok(Seen { found, ties, secrets });
    }
    let ledgers = of(HeldKind::Schema).filter_map(ledger_of).collect::<Vec<_>>();
    let schemas = of(HeldKind::Schema).chain(ledgers.iter().map(Identifier::as_str));
    let logins = of(HeldKind::Role).filter_map(|it| Identifier::new(it).ok());
    let names = inspect::tenants::Names {
        databases: of(HeldKind::Database).collect(),
        schemas: schemas.map(str::to_owned).collect(),
        roles: logins.flat_map(|it| [it.to_string(), Tenant::clone_of(&it)]).collect(),
        ..inspect::tenants::Names::default()
    };
    let found = inspect::tenants::found(session, &names, None).await?;
    // What an earlier request left running for this resource is nobody's.
    let ignored = lock::is_of(work.asking.stack_id, work.asking.logical_id);
    let all = (names.databases.as_slice(), names.roles.as_slice(), names.schemas.as_slice());
    let ties = inspect::leaving::ties(session, all, &ignored).await?;
    let mut secrets = BTreeMap::new();
    if leaver.on_remove.policy == Leaving::Drop {
        let looks = of(HeldKind::Secret).map(|arn| tagged(work, arn));
        secrets.extend(try_join_all(looks).await?);
    }
    Ok(Seen { found, ties, secrets })
}

/// The schema of the ledger beside a tenant's schema.
pub(super) fn ledger_of(schema: &str) -> Option<Identifier> {
    changelog::ledger_of(&Identifier::new(schema).ok()?).ok()
}

async fn tagged(work: &Work<'_>, arn: &str) -> Result<(String, Tagged), Failure> {
    let tagged = match work.world.secrets.describe(arn).await? {
        None => Tagged::Gone,
        Some(secret) if secret.deleted => Tagged::Gone,
        Some(secret) => {
            let tag = |key| secret.tags.get(key).cloned().unwrap_or_default();
            Tagged::As(tag(STACK), tag(RESOURCE), tag(PHYSICAL_ID))
        }
    };
    Ok((arn.to_owned(), tagged))
}
