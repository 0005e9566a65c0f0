//! Looks at one tenant: its secrets, and whether they log in.
//!
//! A password can be checked in one way only: by logging in with it. The session
//! that this gives is kept, for what is done as the tenant itself.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};

use super::super::login;
use super::Work;
use crate::apply::tenants::secret as texts;
use crate::desired::tenant::{Place, Secret, Tenant};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::observed::tenant::{Found, HeldKind, KnownSecret, LoginState, Role, SecretState};
use crate::postgres::{self, ConnectError, Endpoint, Session};
use crate::redact;
use crate::secrets::{Described, Login, SecretError, Which};

/// One tenant, as far as it can be seen from outside of its database.
#[derive(Default)]
pub(super) struct Seen {
    /// What each of its secrets is to say.
    pub(super) keys: BTreeMap<&'static str, String>,
    /// The tags of those that are made.
    pub(super) tags: BTreeMap<String, String>,
    /// The connection limit by which a new database is known as ours until it is whole.
    pub(super) mark: i32,
    /// Its secrets, by the login that they keep.
    pub(super) secrets: BTreeMap<Identifier, SecretState>,
    /// What is in them, likewise.
    pub(super) kept: BTreeMap<Identifier, Kept>,
    /// What came of logging in, by role.
    pub(super) logins: BTreeMap<Identifier, LoginState>,
    /// The session of its own login, if that works.
    pub(super) own: Option<Session>,
}

/// What is in a secret.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Its ARN.
    pub(super) arn: String,
    /// All of it.
    pub(super) text: SecretString,
    /// The role, which may be the second of two that take turns.
    pub(super) username: Identifier,
    /// Its password; an IAM login has none.
    pub(super) password: Option<SecretString>,
}

/// What came of one login.
pub(super) enum Tried {
    /// It works.
    Works(Session),
    /// The password is right, and all connections that the role may have are taken.
    Full,
    /// The password is right, and the database does not let the role in.
    Closed(ConnectError),
    /// The password is wrong.
    Refused(ConnectError),
    /// The role may not log in, whatever its password is.
    Barred(ConnectError),
}

impl Tried {
    fn state(&self) -> LoginState {
        match self {
            Self::Works(_) | Self::Full => LoginState::Works,
            Self::Closed(_) => LoginState::Closed,
            Self::Refused(_) => LoginState::Refused,
            Self::Barred(_) => LoginState::Untried,
        }
    }
}

/// Looks. Unless `careful`, secrets of roles that are not there are not asked for: making them
/// tells if there is one.
pub(super) async fn see(
    work: &Work<'_>,
    tenant: &Tenant,
    found: &Found,
    careful: bool,
) -> Result<Seen, Failure> {
    // An earlier run that was killed may still be making the database, with the mark that it had.
    let begun = found.held.iter().filter(|it| it.kind == HeldKind::Database && work.is_ours(it));
    let mut begun = begun
        .filter(|it| matches!(&tenant.place, Place::Database(name) if it.name == name.as_str()));
    let mark = begun.find_map(|it| it.mark);
    let mark = mark.unwrap_or_else(|| fastrand::i32(1_000_000..i32::MAX));
    let (keys, tags) = (work.keys_of(tenant), texts::tags(tenant, &work.asking));
    let mut seen = Seen { keys, tags, mark, ..Seen::default() };
    let is_new = |login: &Identifier, secret: &Secret| {
        matches!(secret, Secret::Made(_))
            && !found.roles.contains_key(login.as_str())
            && !found.held.iter().any(|it| it.tenant == tenant.name)
    };
    let asked = tenant.logins().filter(|(login, _, secret)| careful || !is_new(login, secret));
    let looks = asked.map(|(login, _, secret)| async move {
        Ok::<_, Failure>((login.clone(), look(work, login, secret).await?))
    });
    for (login, (state, kept)) in try_join_all(looks).await? {
        seen.secrets.insert(login.clone(), state);
        seen.kept.extend(kept.map(|it| (login, it)));
    }
    let database = match &tenant.place {
        Place::Database(name) => name.as_str(),
        Place::Schema(_) => work.cluster.target.as_str(),
    };
    let is_there = |login: &Kept| {
        found.databases.get(database).is_some_and(|it| it.allows_connections)
            && found.roles.contains_key(login.username.as_str())
    };
    for (login, kept) in &seen.kept {
        if !is_there(kept) || (kept.password.is_none() && !tenant.iam_auth) {
            continue;
        }
        let tried = try_login(work, tenant, database, kept).await?;
        let mut state = tried.state();
        let role = found.roles.get(kept.username.as_str());
        let by_password = |it: &Role| !tenant.iam_auth && (!it.login || it.has_iam());
        if matches!(tried, Tried::Barred(_)) && role.is_some_and(by_password) {
            // It may not log in at all now; that its password will be right then is made sure.
            state = LoginState::Refused;
        } else if state == LoginState::Refused
            && !tenant.iam_auth
            && rotates(work, tenant, database, kept).await?
        {
            state = LoginState::Rotating;
        }
        seen.logins.insert(kept.username.clone(), state);
        if let (Tried::Works(session), true) = (tried, *login == tenant.username) {
            seen.own = Some(session);
        }
    }
    // A role without a password in its secret's turn is to get that password.
    for kept in seen.kept.values().filter(|it| !is_there(it)) {
        let role_is_there = found.roles.contains_key(kept.username.as_str());
        if role_is_there && kept.password.is_some() && !tenant.iam_auth {
            seen.logins.insert(kept.username.clone(), LoginState::Refused);
        }
    }
    Ok(seen)
}

async fn look(
    work: &Work<'_>,
    login: &Identifier,
    secret: &Secret,
) -> Result<(SecretState, Option<Kept>), Failure> {
    let id = secret.id();
    let Some(described) = work.world.secrets.describe(id).await? else {
        return Ok((SecretState::Absent, None));
    };
    if described.deleted {
        return Ok((SecretState::Deleted(known(&described, None)), None));
    }
    let arn = described.arn.clone();
    let text = match work.world.secrets.current(&arn).await {
        Ok(text) => text,
        // Made, and never given a value.
        Err(SecretError::NotFound(_)) => SecretString::from("{}"),
        Err(error) => return Err(error.into()),
    };
    let read = Login::read(text.expose_secret());
    let read = read.map_err(|error| SecretError::Login(id.to_owned(), error))?;
    if let Some(password) = &read.password {
        redact::remember_for_a_while(password);
    }
    let username = match &read.username {
        Some(name) => Identifier::new(name.as_str()).unwrap_or_else(|_| login.clone()),
        None => login.clone(),
    };
    let state = SecretState::Here(known(&described, Some(&text)));
    Ok((state, Some(Kept { arn, text, username, password: read.password })))
}

/// A secret without its password.
fn known(described: &Described, text: Option<&SecretString>) -> KnownSecret {
    let tag = |key: &str| described.tags.get(key).cloned();
    let map: serde_json::Map<String, serde_json::Value> =
        text.and_then(|it| serde_json::from_str(it.expose_secret()).ok()).unwrap_or_default();
    let plain = ["engine", "host", "port", "dbname", "username", "masterarn"];
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    KnownSecret {
        arn: described.arn.clone(),
        owner: tag(texts::STACK).zip(tag(texts::RESOURCE)),
        made: tag(texts::MADE).as_deref() == Some("true"),
        keys: plain
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), shown(map.get(*key)?))))
            .collect(),
        has_password: map
            .get("password")
            .and_then(|it| it.as_str())
            .is_some_and(|it| !it.is_empty()),
        rotation: described.rotation.as_ref().map(|it| (it.lambda_arn.clone(), it.days)),
        tags: described.tags.clone(),
    }
}

/// Whether the next version of the secret logs in: then a rotation is about to end.
async fn rotates(
    work: &Work<'_>,
    tenant: &Tenant,
    database: &str,
    kept: &Kept,
) -> Result<bool, Failure> {
    let pending = work.world.secrets.version(&kept.arn, Which::Stage("AWSPENDING")).await?;
    let Some(text) = pending else { return Ok(false) };
    let Ok(login) = Login::read(text.expose_secret()) else { return Ok(false) };
    if login.username.as_deref() != Some(kept.username.as_str()) || login.password.is_none() {
        return Ok(false);
    }
    if let Some(password) = &login.password {
        redact::remember_for_a_while(password);
    }
    let pending = Kept { password: login.password, ..kept.clone() };
    let tried = try_login(work, tenant, database, &pending).await?;
    Ok(matches!(tried, Tried::Works(_) | Tried::Full | Tried::Closed(_)))
}

fn right(error: ConnectError) -> Tried {
    const TOO_MANY_CONNECTIONS: &str = "53300";
    let state = match &error {
        ConnectError::Refused(_, error) => error.sqlstate.as_deref(),
        _ => None,
    };
    if state == Some(TOO_MANY_CONNECTIONS) { Tried::Full } else { Tried::Closed(error) }
}

/// NOLOGIN, or no way in by this method at all.
const INVALID_AUTHORIZATION: &str = "28000";

/// Logs in with what a secret has; waits for what heals.
pub(super) async fn try_login(
    work: &Work<'_>,
    tenant: &Tenant,
    database: &str,
    kept: &Kept,
) -> Result<Tried, Failure> {
    let mut endpoint = endpoint(work, database, kept);
    if tenant.iam_auth {
        endpoint.password = Some(login::iam_token(work.world, &endpoint).await?);
    }
    let options = work.master.guarded();
    let mut wait = std::time::Duration::from_millis(100);
    loop {
        endpoint.limit = work.task.desired.connection.connect_timeout.min(work.task.budget.left());
        let connected = postgres::connect(&endpoint, &options, &work.world.connectors);
        let error = match Box::pin(connected).await {
            Ok(session) => return Ok(Tried::Works(session)),
            Err(error) => error,
        };
        let failure = match error {
            error if error.is_wrong_password() => return Ok(Tried::Refused(error)),
            error if error.proves_password() => return Ok(right(error)),
            error => Failure::Connect(error),
        };
        if failure.sqlstate() == Some(INVALID_AUTHORIZATION) {
            if let Failure::Connect(error) = failure {
                return Ok(Tried::Barred(error));
            }
            return Err(failure);
        }
        let heals = matches!(&failure, Failure::Connect(error) if error.heals());
        if !heals || !work.task.budget.pause(wait).await {
            return Err(failure);
        }
        wait = (wait * 2).min(std::time::Duration::from_secs(2));
    }
}

/// The server is the master's; a secret may still name an earlier one.
pub(super) fn endpoint(work: &Work<'_>, database: &str, kept: &Kept) -> Endpoint {
    Endpoint {
        database: database.to_owned(),
        username: kept.username.to_string(),
        password: kept.password.clone(),
        ..work.master.endpoint()
    }
}
