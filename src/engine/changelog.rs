//! Reads the changelog that a request names, before any session is opened.

use std::sync::Arc;

use super::{Task, World};
use crate::changelog::{self, ChangelogError, Loaded};
use crate::desired::Changelog;
use crate::failure::Failure;
use crate::inspect;
use crate::observed::Observed;
use crate::plan::PlanError;
use crate::postgres::Session;
use crate::source;

/// The changelog, read and checked as far as that goes without a database; `None` if there is none.
pub(super) async fn load(world: &World, task: &Task<'_>) -> Result<Option<Arc<Loaded>>, Failure> {
    match &task.desired.changelog {
        Some(wanted) => load_this(world, task, wanted).await.map(Some),
        None => Ok(None),
    }
}

/// A changelog, read and checked.
pub(super) async fn load_this(
    world: &World,
    task: &Task<'_>,
    wanted: &Changelog,
) -> Result<Arc<Loaded>, Failure> {
    task.budget.doing("reading the changelog");
    let bundle = source::open(&wanted.source, &world.places, &world.aws, task.budget).await?;
    task.budget.doing(format!("reading changelog `{}`", bundle.root));
    let wanted = wanted.clone();
    // Files are read by blocking calls, and long ones take a while.
    let read = tokio::task::spawn_blocking(move || {
        let changelog = changelog::read(bundle.files.as_ref(), &bundle.root, &wanted)?;
        Ok::<_, Vec<ChangelogError>>(Loaded { changelog, files: bundle.files })
    });
    let loaded =
        read.await.map_err(|error| Failure::Internal(format!("read the changelog: {error}")))??;
    for warning in &loaded.changelog.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(loaded))
}

/// A failure about edited changesets, with what was edited where the ledger has the earlier text.
pub(super) async fn explained(
    session: &Session,
    task: &Task<'_>,
    loaded: Option<&Loaded>,
    observed: &Observed,
    failure: Failure,
) -> Failure {
    let Failure::Plan(PlanError::Edited(mut edited)) = failure else { return failure };
    let (Some(loaded), Some(wanted), Some(history)) =
        (loaded, &task.desired.changelog, &observed.history)
    else {
        return PlanError::Edited(edited).into();
    };
    if let (true, Ok(table)) = (history.has_ledger, inspect::history::table(wanted, history)) {
        for it in edited.iter_mut().take(3) {
            let changeset = &loaded.changelog.changesets[it.number];
            // The difference is a help; without it the error is still one.
            let before =
                inspect::history::content(session, &task.ledger, &table, &changeset.identity).await;
            if let (Ok(Some(before)), Some(now)) = (before, changeset.content()) {
                it.difference = Some(crate::sql::difference::difference(&before, &now, 12));
            }
        }
    }
    PlanError::Edited(edited).into()
}
