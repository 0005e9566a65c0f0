//! What would change for the secrets of a tenant's logins, and for their rotation.
//!
//! A secret that the product makes is known by its tags, and by the ledger. One
//! that was given is read and, but for the tag of its rotation, never written; it
//! must be the login of the role that it is given for.

use super::{Change, ROTATION, Sight, TenantError};
use crate::desired::tenant::{Secret, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::{HeldKind, KnownSecret, SecretState, is_same};

/// What would change of one secret, or why it cannot be the login's.
pub(super) fn of_secret(
    tenant: &Tenant,
    login: &Identifier,
    secret: &Secret,
    sight: &Sight<'_>,
) -> Result<Vec<Change>, TenantError> {
    let id = secret.id().to_owned();
    let state = sight.secrets.get(login).unwrap_or(&SecretState::Absent);
    let made = matches!(secret, Secret::Made(_));
    let login = login.clone();
    match state {
        SecretState::Absent if made => Ok(vec![Change::CreateSecret { login, name: id }]),
        SecretState::Absent => Err(TenantError::SecretAbsent(id)),
        SecretState::Deleted(_) if !made => Err(TenantError::SecretDeleted(id)),
        SecretState::Deleted(known) => {
            may_have(tenant, known, &id, true, sight)?;
            Ok(vec![Change::RestoreSecret { login, name: id }])
        }
        SecretState::Here(known) => {
            if made {
                may_have(tenant, known, &id, false, sight)?;
            }
            let mut changes = Vec::new();
            let clone = Tenant::clone_of(&login);
            match known.keys.get("username") {
                Some(has) if has == login.as_str() => {}
                Some(has) if *has == clone && (tenant.alternates() || made) => {}
                None if made => {}
                None if !tenant.iam_auth && !known.has_password => {
                    return Err(TenantError::SecretEmpty(id));
                }
                None => {}
                Some(has) => {
                    let (has, wanted) = (has.clone(), login.to_string());
                    return Err(TenantError::SecretOfAnother { id, has, wanted });
                }
            }
            if made {
                let mut keys: Vec<_> = sight
                    .keys
                    .iter()
                    .filter(|(key, value)| known.keys.get(**key) != Some(*value))
                    .map(|(key, _)| *key)
                    .collect();
                let is_left = is_of_a_clone_no_more(tenant, &login, known);
                if is_left || !known.keys.contains_key("username") {
                    keys.push("username");
                }
                if is_left || known.has_password == tenant.iam_auth {
                    keys.push("password");
                }
                if !keys.is_empty() {
                    let (login, name) = (login.clone(), id.clone());
                    changes.push(Change::UpdateSecret { login, name, keys });
                }
            } else if !known.has_password && !tenant.iam_auth {
                return Err(TenantError::SecretEmpty(id));
            }
            // Of one that was given only the rotation's tag is ours to write.
            let mut ours = sight.tags.iter().filter(|(key, _)| made || *key == ROTATION);
            let is_lost = made && !is_held(&known.arn, sight);
            if is_lost || ours.any(|(key, value)| known.tags.get(key) != Some(value)) {
                changes.push(Change::TagSecret { login, name: id });
            }
            Ok(changes)
        }
    }
}

/// Whether the ledger has the secret: a run that was killed after it had made it left no row.
fn is_held(arn: &str, sight: &Sight<'_>) -> bool {
    sight.found.held.iter().any(|it| it.kind == HeldKind::Secret && it.name == arn)
}

/// Whether a secret is at the second of two logins that no longer take turns.
fn is_of_a_clone_no_more(tenant: &Tenant, login: &Identifier, known: &KnownSecret) -> bool {
    let has = known.keys.get("username");
    !tenant.alternates() && has.is_some_and(|it| *it == Tenant::clone_of(login))
}

/// Whether a secret gets a new password, which then has to become the role's.
pub(super) fn is_renewed(
    tenant: &Tenant,
    login: &Identifier,
    secret: &Secret,
    state: Option<&SecretState>,
) -> bool {
    let is_renewed = match state {
        None | Some(SecretState::Absent) => true,
        Some(SecretState::Deleted(_)) => false,
        Some(SecretState::Here(known)) => {
            !known.has_password || is_of_a_clone_no_more(tenant, login, known)
        }
    };
    is_renewed && !tenant.iam_auth && matches!(secret, Secret::Made(_))
}

/// Whether a secret of the wanted name may be this tenant's.
fn may_have(
    tenant: &Tenant,
    known: &KnownSecret,
    name: &str,
    deleted: bool,
    sight: &Sight<'_>,
) -> Result<(), TenantError> {
    let asking = &sight.asking;
    if is_same(known.owner.as_ref(), asking.stack_id, asking.logical_id) {
        return Ok(());
    }
    let kind = HeldKind::Secret;
    let name = name.to_owned();
    let row = sight.found.held.iter().find(|it| it.kind == kind && it.name == known.arn);
    let released = row.is_some_and(|it| it.released);
    // It was restored, and its tags were not written any more.
    let is_restored = row
        .filter(|it| !it.released)
        .is_some_and(|it| it.stack_id == asking.stack_id && it.logical_id == asking.logical_id);
    if is_restored {
        return Ok(());
    }
    match &known.owner {
        // Whoever deleted it has no use for it.
        _ if deleted || (tenant.adopt && released) => Ok(()),
        Some((stack, logical)) => {
            let stack = stack.split('/').nth(1).unwrap_or(stack);
            let owner = format!("resource `{logical}` of stack `{stack}`");
            Err(if released {
                TenantError::Released { kind, name, owner }
            } else {
                TenantError::Taken { kind, name, owner }
            })
        }
        None if tenant.adopt => Ok(()),
        None => Err(TenantError::Exists { kind, name }),
    }
}

/// The set-ups of rotation that are missing or other than wanted, in the order of the logins.
pub fn rotations(tenant: &Tenant, sight: &Sight<'_>) -> Vec<Change> {
    let Some(wanted) = &tenant.rotation else { return Vec::new() };
    let is_set_up = |login: &Identifier| match sight.secrets.get(login) {
        Some(SecretState::Here(known)) => known
            .rotation
            .as_ref()
            .is_some_and(|(lambda, days)| *lambda == wanted.lambda_arn && *days == wanted.days),
        _ => false,
    };
    let missing = tenant.logins().filter(|(login, ..)| !is_set_up(login));
    missing.map(|(_, _, it)| Change::rotation(it.id(), wanted.days, wanted.strategy)).collect()
}
