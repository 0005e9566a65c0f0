//! The master's sessions while tenants are worked on, and the lock for what the cluster shares.
//!
//! The login is read once, and once more when it is refused: it may rotate in the
//! middle of a run. Sessions on the target database are kept for the next tenant.
//! Writes to the shared catalogs go one after the other through the whole cluster;
//! an advisory lock belongs to a database, so the lock is one of database `postgres`.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::{Task, World, login};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::inspect::InspectError;
use crate::plan::tenants::TenantError;
use crate::postgres::{self, Endpoint, Session, SessionOptions, SqlError};

/// The key of the cluster's lock: "execsqlc" in ASCII.
const KEY: i64 = 0x6578_6563_7371_6c63;

/// The database that every cluster has.
const COMMON: &str = "postgres";

/// The master's sessions.
pub(super) struct Master<'a> {
    world: &'a World,
    task: &'a Task<'a>,
    read_only: bool,
    endpoint: Mutex<Endpoint>,
    idle: Mutex<Vec<Session>>,
    /// The session that takes the cluster's lock, with one user at a time.
    lock: tokio::sync::Mutex<Option<Session>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Master<'a> {
    /// Reads the login.
    pub(super) async fn new(
        world: &'a World,
        task: &'a Task<'a>,
        read_only: bool,
    ) -> Result<Self, Failure> {
        let endpoint = login::resolve(world, task.desired, task.budget).await?;
        let (endpoint, idle) = (Mutex::new(endpoint), Mutex::default());
        Ok(Self { world, task, read_only, endpoint, idle, lock: tokio::sync::Mutex::default() })
    }

    /// Where the server is, and the master's own login.
    pub(super) fn endpoint(&self) -> Endpoint {
        held(&self.endpoint).clone()
    }

    /// What holds for sessions in a database that somebody else may own.
    pub(super) fn guarded(&self) -> SessionOptions {
        SessionOptions {
            search_path: Some("pg_catalog".into()),
            guarded: true,
            ..self.task.options(self.read_only)
        }
    }

    /// A session on the target database; to be given back if it is as good as new.
    pub(super) async fn session(&self) -> Result<Session, Failure> {
        let idle = held(&self.idle).pop();
        match idle {
            Some(session) => Ok(session),
            // Tenants that are schemas may be in this database too.
            None => self.open(None, &self.guarded()).await,
        }
    }

    /// For the next one to use.
    pub(super) fn give_back(&self, session: Session) {
        held(&self.idle).push(session);
    }

    /// A session in a tenant's database. Nothing of the tenant's may run in it.
    pub(super) async fn inside(&self, database: &Identifier) -> Result<Session, Failure> {
        let mut endpoint = self.endpoint();
        database.as_str().clone_into(&mut endpoint.database);
        endpoint.limit = self.task.desired.connection.connect_timeout.min(self.task.budget.left());
        let options = self.guarded();
        let first = postgres::connect(&endpoint, &options, &self.world.connectors);
        match Box::pin(first).await {
            Ok(session) => Ok(session),
            // The limit of the database is the tenant's, and nobody knows when there is room again.
            Err(error) if error.is_full() => {
                Err(TenantError::Full(format!("database `{database}`")).into())
            }
            Err(_) => self.open(Some(database.as_str()), &options).await,
        }
    }

    async fn open(
        &self,
        database: Option<&str>,
        options: &SessionOptions,
    ) -> Result<Session, Failure> {
        let at = |endpoint: &Endpoint| {
            let mut endpoint = endpoint.clone();
            if let Some(database) = database {
                database.clone_into(&mut endpoint.database);
            }
            endpoint
        };
        let (desired, budget) = (self.task.desired, self.task.budget);
        let endpoint = at(&self.endpoint());
        let opened = login::at(self.world, &endpoint, desired, options, budget).await;
        match opened {
            Err(Failure::Connect(error)) if error.is_wrong_password() => {
                let renewed = login::resolve(self.world, desired, budget).await?;
                let endpoint = at(&renewed);
                *held(&self.endpoint) = renewed;
                login::at(self.world, &endpoint, desired, options, budget).await
            }
            opened => opened,
        }
    }

    /// Does `work` while nobody else on the cluster writes what it shares.
    pub(super) async fn alone<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut kept = self.lock.lock().await;
        let session = match kept.take() {
            Some(session) => session,
            None => self.open_common().await?,
        };
        self.take(&session).await?;
        let done = work.await;
        let freed = session.run(&format!("SELECT pg_advisory_unlock({KEY})")).await;
        // A session that is gone has no lock any more; the next one opens another.
        if freed.is_ok() {
            *kept = Some(session);
        }
        done
    }

    async fn open_common(&self) -> Result<Session, Failure> {
        let options = self.task.options(self.read_only);
        match self.open(Some(COMMON), &options).await {
            // Without it those that share a target database still wait for each other.
            Err(failure) if matches!(failure.sqlstate(), Some("3D000" | "42501")) => {
                tracing::warn!("no lock over the whole cluster is taken: {failure}");
                self.open(None, &options).await
            }
            opened => opened,
        }
    }

    async fn take(&self, session: &Session) -> Result<(), Failure> {
        let failed = |error: SqlError| Failure::Inspect(InspectError::from(error));
        let mut wait = Duration::from_millis(2);
        loop {
            let got = session.value(&format!("SELECT pg_try_advisory_lock({KEY})")).await;
            if got.map_err(failed)?.as_deref() == Some("t") {
                return Ok(());
            }
            if !self.task.budget.pause(wait).await {
                let doing = "waiting for another run to write the catalogs of the cluster";
                return Err(Failure::Deadline(doing.into()));
            }
            wait = (wait * 2).min(Duration::from_millis(50));
        }
    }
}
