//! Writes a tenant's secrets, and sets their rotation up.

use std::collections::BTreeMap;
use std::time::Instant;

use secrecy::ExposeSecret;

use super::Work;
use super::one::{self, Told};
use super::see::{Kept, Seen};
use crate::apply::tenants::secret as texts;
use crate::desired::tenant::{Secret, Tenant};
use crate::failure::Failure;
use crate::ident::Identifier;
use crate::observed::tenant::{HeldKind, SecretState, is_same};
use crate::plan::tenants::{self as plan, Change};
use crate::redact;
use crate::secrets::{Login, NewSecret, Put, RotationRule, SecretError, password, token, with};

/// The days in which a deleted secret can be restored: the most that there are.
pub(super) const WINDOW: u8 = 30;

/// Takes back scheduled deletions; whose the secrets are was looked at before.
///
/// The ledger knows of it first: a secret that waits for its deletion takes no tags.
pub(super) async fn restore(
    work: &Work<'_>,
    tenant: &Tenant,
    changes: &[Change],
    seen: &Seen,
) -> Result<(), Failure> {
    for change in changes {
        if let Change::RestoreSecret { name, login } = change {
            if let Some(SecretState::Deleted(known)) = seen.secrets.get(login) {
                let held = (HeldKind::Secret, known.arn.as_str(), "NULL");
                let holds = work.entry.holds(tenant, held, known.owner.is_some(), None);
                let sql = format!("{}{holds}COMMIT", one::begin(work));
                one::alone(work, &change.to_string(), &sql).await?;
            }
            work.world.secrets.restore(name).await?;
            let mut tags = texts::tags(tenant, &work.asking);
            let (stack, resource) = (work.asking.stack_id, work.asking.logical_id);
            let ours = |it: &SecretState| match it {
                SecretState::Deleted(known) => is_same(known.owner.as_ref(), stack, resource),
                _ => false,
            };
            if !seen.secrets.get(login).is_some_and(ours) {
                tags.insert(texts::MADE.into(), "false".into());
            }
            work.world.secrets.tag(name, &tags).await?;
        }
    }
    Ok(())
}

/// Makes and changes what the plan says; what is in them now is in `seen`.
pub(super) async fn write(
    work: &Work<'_>,
    tenant: &Tenant,
    outer: &[Change],
    seen: &mut Seen,
    told: &mut Told,
) -> Result<(), Failure> {
    for change in outer {
        let started = Instant::now();
        match change {
            Change::CreateSecret { login, name } => {
                let kept = create(work, tenant, login, name, &seen.keys).await?;
                seen.kept.insert(login.clone(), kept);
            }
            Change::UpdateSecret { login, keys, .. } => {
                let Some(kept) = seen.kept.get_mut(login) else { continue };
                update(work, tenant, login, (keys, &seen.keys), kept).await?;
            }
            Change::TagSecret { login, name } => {
                let mut tags = texts::tags(tenant, &work.asking);
                let is_given = |(it, _, secret): (&Identifier, _, &Secret)| {
                    it == login && matches!(secret, Secret::Given(_))
                };
                let (stack, resource) = (work.asking.stack_id, work.asking.logical_id);
                let ours = |it: &SecretState| match it {
                    SecretState::Here(known) => is_same(known.owner.as_ref(), stack, resource),
                    _ => false,
                };
                // Before the tags say that it is ours, or a later run takes the word of the others.
                if !seen.secrets.get(login).is_some_and(ours) {
                    tags.insert(texts::MADE.into(), "false".into());
                }
                if tenant.logins().any(is_given) {
                    tags.retain(|key, _| key == plan::ROTATION);
                }
                work.world.secrets.tag(name, &tags).await?;
            }
            _ => continue,
        }
        told.took(std::slice::from_ref(change), started);
    }
    Ok(())
}

async fn create(
    work: &Work<'_>,
    tenant: &Tenant,
    login: &Identifier,
    name: &str,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<Kept, Failure> {
    let password = (!tenant.iam_auth).then(password);
    if let Some(password) = &password {
        redact::remember_for_a_while(password);
    }
    let mut tags = texts::tags(tenant, &work.asking);
    tags.insert(texts::MADE.into(), "true".into());
    let new = NewSecret {
        name: name.to_owned(),
        description: format!("Login {login} of tenant {}", tenant.name),
        text: texts::text(wanted, login.as_str(), password.as_ref()),
        kms_key_id: tenant.kms_key_id.clone(),
        tags,
        token: token(),
    };
    let arn = work.world.secrets.create(&new).await?;
    work.unwritten().insert(arn.clone());
    Ok(Kept { arn, text: new.text, username: login.clone(), password })
}

async fn update(
    work: &Work<'_>,
    tenant: &Tenant,
    login: &Identifier,
    (keys, wanted): (&[&'static str], &BTreeMap<&'static str, String>),
    kept: &mut Kept,
) -> Result<(), Failure> {
    let mut changes = Vec::new();
    for key in keys {
        let value = match *key {
            "username" => {
                kept.username = login.clone();
                login.as_str().into()
            }
            "password" if tenant.iam_auth => serde_json::Value::String(String::new()),
            "password" => {
                let fresh = password();
                redact::remember_for_a_while(&fresh);
                let value = fresh.expose_secret().into();
                kept.password = Some(fresh);
                value
            }
            key => match wanted.get(key) {
                Some(value) => texts::value_of(key, value),
                None => continue,
            },
        };
        changes.push((*key, value));
    }
    let text = with(kept.text.expose_secret(), &changes)
        .map_err(|error| SecretError::Login(login.to_string(), error))?;
    let put = Put { text: &text, token: &token(), stages: None, rotation_token: None };
    work.world.secrets.put(&kept.arn, put).await?;
    kept.text = text;
    kept.password = kept.password.take().filter(|_| !tenant.iam_auth);
    debug_assert!(Login::read(kept.text.expose_secret()).is_ok());
    Ok(())
}

/// Takes back what was made for a resource that a Delete took away meanwhile: that Delete could not
/// know of it.
pub(super) async fn take_back(work: &Work<'_>) {
    let unwritten = std::mem::take(&mut *work.unwritten());
    for arn in unwritten {
        if let Err(error) = work.world.secrets.delete(&arn, WINDOW).await {
            tracing::error!(arn, "{error}");
        }
    }
}

/// Sets rotation up; a tenant whose rotation cannot be set up is not done.
pub(super) async fn rotate(
    work: &Work<'_>,
    tenant: &Tenant,
    changes: &[Change],
    seen: &Seen,
    told: &mut Told,
) -> Result<(), Failure> {
    let Some(rotation) = &tenant.rotation else { return Ok(()) };
    let rule = RotationRule {
        lambda_arn: rotation.lambda_arn.clone(),
        days: rotation.days,
        immediately: rotation.immediately,
    };
    for change in changes {
        let Change::SetUpRotation { secret, .. } = change else { continue };
        let started = Instant::now();
        let login = tenant.logins().find(|it| it.2.id() == secret).map(|it| it.0);
        let arn = login.and_then(|it| seen.kept.get(it)).map_or(secret.as_str(), |it| &it.arn);
        work.world.secrets.set_up_rotation(arn, &rule).await?;
        told.took(std::slice::from_ref(change), started);
    }
    Ok(())
}
