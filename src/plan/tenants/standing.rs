//! Whose an object is: the ledger's word, then the comment that each object has.
//!
//! The ledger of the target database knows what was made from there, with OIDs. A
//! resource that works from another database of the cluster has another ledger, so
//! each role, database and schema also has a comment, which the whole cluster sees.

use super::{Asking, TenantError};
use crate::observed::tenant::{Held, HeldKind};

/// How an object stands to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// The resource has it.
    Ours,
    /// The resource began to make it.
    Begun,
    /// It is there, and is to be taken over.
    Adopted,
}

/// An object that is there.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// Its OID.
    pub oid: u32,
    /// The comment on it.
    pub comment: Option<&'a str>,
    /// Of a database that takes no connections yet: its connection limit.
    pub unfinished: Option<i32>,
}

const FIRST: &str = "execute-sql tenant ";

/// The comment on what a tenant has. Everybody on the cluster can read it.
pub fn mark(asking: &Asking<'_>, tenant: &str) -> String {
    let stack = stack_name(asking.stack_id);
    format!("{FIRST}{tenant} of {} in {stack} ({})", asking.logical_id, asking.physical_id)
}

/// The name in a stack's ARN.
fn stack_name(stack_id: &str) -> &str {
    stack_id.split('/').nth(1).unwrap_or(stack_id)
}

fn owner(held: &Held) -> String {
    format!("resource `{}` of stack `{}`", held.logical_id, stack_name(&held.stack_id))
}

/// The physical id in a comment of ours.
pub(super) fn marked_by(comment: Option<&str>) -> Option<&str> {
    let rest = comment?.strip_prefix(FIRST)?;
    rest.rsplit_once('(')?.1.strip_suffix(')')
}

/// How an object of a kind and name stands, or why the tenant cannot have it.
pub(super) fn standing(
    (kind, name): (HeldKind, &str),
    there: Option<There<'_>>,
    held: &[Held],
    asking: &Asking<'_>,
    adopt: bool,
) -> Result<Standing, TenantError> {
    let named = || name.to_owned();
    let row = held.iter().find(|it| it.kind == kind && it.name == name);
    let ours = |it: &&Held| it.stack_id == asking.stack_id && it.logical_id == asking.logical_id;
    if let Some(other) = row.filter(|it| !ours(it)) {
        if !other.released {
            return Err(TenantError::Taken { kind, name: named(), owner: owner(other) });
        }
        if there.is_some() && !adopt {
            return Err(TenantError::Released { kind, name: named(), owner: owner(other) });
        }
    }
    let Some(there) = there else { return Ok(Standing::Missing) };
    if let Some(row) = row.filter(ours) {
        if row.oid == Some(there.oid) {
            return Ok(Standing::Ours);
        }
        if row.oid.is_none() && row.mark.is_some() && there.unfinished == row.mark {
            return Ok(Standing::Begun);
        }
        if row.oid.is_some() && !adopt {
            return Err(TenantError::Replaced { kind, name: named() });
        }
    }
    match marked_by(there.comment) {
        // This resource made it, from another database or under an earlier physical id.
        Some(id) if id == asking.physical_id || Some(id) == asking.incoming_id => {
            Ok(Standing::Adopted)
        }
        Some(_) if !row.is_some_and(|it| it.released) => Err(TenantError::Taken {
            kind,
            name: named(),
            owner: there.comment.unwrap_or_default().replacen(FIRST, "tenant ", 1),
        }),
        _ if adopt => Ok(Standing::Adopted),
        _ => Err(TenantError::Exists { kind, name: named() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Asking<'_> = Asking {
        stack_id: "arn:aws:cloudformation:eu-west-1:1:stack/app/1f",
        logical_id: "Db",
        physical_id: "Db-2",
        incoming_id: Some("Db-1"),
    };

    fn held(oid: Option<u32>, mark: Option<i32>) -> Held {
        Held {
            stack_id: US.stack_id.into(),
            logical_id: US.logical_id.into(),
            physical_id: "Db-2".into(),
            tenant: "acme".into(),
            kind: HeldKind::Database,
            name: "acme".into(),
            oid,
            mark,
            created: true,
            policy: "Retain".into(),
            force: false,
            released: false,
        }
    }

    fn stands(
        there: Option<There<'_>>,
        held: &[Held],
        adopt: bool,
    ) -> Result<Standing, TenantError> {
        standing((HeldKind::Database, "acme"), there, held, &US, adopt)
    }

    fn there(oid: u32, comment: Option<&str>) -> There<'_> {
        There { oid, comment, unfinished: None }
    }

    #[test]
    fn what_the_ledger_has_with_the_same_oid_is_ours() {
        let ours = [held(Some(7), None)];
        assert_eq!(stands(None, &ours, false), Ok(Standing::Missing));
        assert_eq!(stands(Some(there(7, None)), &ours, false), Ok(Standing::Ours));
        assert!(matches!(
            stands(Some(there(8, None)), &ours, false),
            Err(TenantError::Replaced { .. })
        ));
        assert_eq!(stands(Some(there(8, None)), &ours, true), Ok(Standing::Adopted));
    }

    #[test]
    fn a_database_that_was_begun_is_known_by_its_mark_alone() {
        let begun = [held(None, Some(99))];
        let unfinished = |limit| Some(There { oid: 7, comment: None, unfinished: limit });
        assert_eq!(stands(unfinished(Some(99)), &begun, false), Ok(Standing::Begun));
        for not_ours in [unfinished(Some(98)), unfinished(None)] {
            let error = stands(not_ours, &begun, false).unwrap_err();
            assert!(matches!(error, TenantError::Exists { .. }), "{error}");
        }
    }

    #[test]
    fn what_another_resource_has_is_never_taken() {
        let mut other = held(Some(7), None);
        other.logical_id = "Other".into();
        for adopt in [false, true] {
            let error = stands(Some(there(7, None)), &[other.clone()], adopt).unwrap_err();
            assert_eq!(
                error.to_string(),
                "database `acme` belongs to resource `Other` of stack `app`; it is left as it is"
            );
            let comment = "execute-sql tenant acme of X in y (X-1)";
            let error = stands(Some(there(7, Some(comment))), &[], adopt).unwrap_err();
            assert!(error.to_string().contains("belongs to tenant acme of X in y"), "{error}");
        }
        other.released = true;
        let released = stands(Some(there(7, None)), &[other.clone()], false).unwrap_err();
        assert!(matches!(released, TenantError::Released { .. }));
        let comment = "execute-sql tenant acme of Other in y (Other-1)";
        let taken = stands(Some(there(7, Some(comment))), &[other], true);
        assert_eq!(taken, Ok(Standing::Adopted));
    }

    #[test]
    fn a_comment_of_this_resource_is_known_under_an_earlier_physical_id() {
        let earlier = Asking { physical_id: "Db-1", ..US };
        let comment = mark(&earlier, "acme");
        assert_eq!(comment, "execute-sql tenant acme of Db in app (Db-1)");
        assert_eq!(stands(Some(there(7, Some(&comment))), &[], false), Ok(Standing::Adopted));
        let foreign = "a database of the old days (Db-2)";
        assert!(stands(Some(there(7, Some(foreign))), &[], false).is_err());
    }
}
