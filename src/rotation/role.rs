//! What a role is, and whether its password may be set by a rotation.
//!
//! A login that is current proves that the secret's writer knew it; that is
//! worth no more than the role. So roles that may make or become others are left
//! alone, and so are those that log in with tokens: RDS would take no password
//! from them any more. Two roles take turns only if one is a member of the other,
//! and of nothing that the other is not: a role that merely has the name is not
//! taken over, and no login leads to more than the one before it.

use super::checks::Pair;
use super::error::RotationError;

/// A role, as [`sql::roles`](super::sql::roles) tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Superuser, CREATEROLE, REPLICATION, BYPASSRLS or `rds_superuser`.
    pub privileged: bool,
    /// A member of `rds_iam`.
    pub iam: bool,
    /// It is the one of the session.
    pub own: bool,
    /// What it is directly a member of.
    pub member_of: Vec<String>,
    /// What it is a member of, directly or not.
    pub reaches: Vec<String>,
}

impl Role {
    /// Reads a row.
    pub fn read(row: &[Option<String>]) -> Option<Self> {
        let [Some(name), privileged, iam, own, member_of, reaches] = row else { return None };
        let is = |it: &Option<String>| it.as_deref() == Some("t");
        let names = |it: &Option<String>| match it {
            Some(text) => serde_json::from_str(text).ok(),
            None => Some(Vec::new()),
        };
        Some(Self {
            name: name.clone(),
            privileged: is(privileged),
            iam: is(iam),
            own: is(own),
            member_of: names(member_of)?,
            reaches: names(reaches)?,
        })
    }
}

/// Whether the password of `role` may be set; by itself, if it is the one of the session.
pub fn may_be_set(role: &Role) -> Result<(), RotationError> {
    let name = &role.name;
    // RDS takes no password from such a role; one that has just logged in with its own is none,
    // whatever its groups are.
    if role.iam && !role.own {
        return Err(RotationError::Refused(
            format!("role `{name}` is a member of `rds_iam`, and so has no password to rotate"),
            "Take the secret's rotation away, or the role's membership.",
        ));
    }
    if role.privileged && !role.own {
        return Err(RotationError::Refused(
            format!("role `{name}` may make or become other roles; its password is not set for it"),
            "Such a role rotates by itself: a secret without `masterarn`, with `single`.",
        ));
    }
    Ok(())
}

/// Whether the master may set the password of `role`.
pub fn may_be_set_by_master(role: &Role) -> Result<(), RotationError> {
    if role.own {
        return Err(RotationError::Refused(
            format!("role `{}` is the master's own", role.name),
            "A master rotates by itself: a secret without `masterarn`, with `single`.",
        ));
    }
    may_be_set(role)
}

/// Whether the two roles are what [`Pair`] takes them for; the second may still be missing.
pub fn take_turns(roles: &[Role], pair: &Pair) -> Result<(), RotationError> {
    let named = |name: &str| roles.iter().find(|it| it.name == name);
    let (base, clone) = (pair.base.as_str(), pair.clone.as_str());
    for role in roles {
        may_be_set_by_master(role)?;
    }
    let Some(first) = named(base) else {
        return Err(RotationError::Refused(
            format!("role `{base}` does not exist; the secret's `{clone}` is not its second one"),
            "A role whose own name ends in `_clone` rotates with `single`.",
        ));
    };
    let Some(second) = named(clone) else { return Ok(()) };
    let more = |it: &&String| *it != base && !first.reaches.contains(*it);
    if !second.member_of.iter().any(|it| it == base) || second.member_of.iter().any(|it| more(&it))
    {
        return Err(RotationError::Refused(
            format!("role `{clone}` exists, and is not the second one of `{base}`"),
            "It would be a member of that role, and of nothing that that role is not. Rename or drop \
             it if nobody needs it, or rotate with `single`.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, member_of: &[&str]) -> Role {
        Role {
            name: name.into(),
            privileged: false,
            iam: false,
            own: false,
            member_of: member_of.iter().map(ToString::to_string).collect(),
            reaches: member_of.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_row_reads_with_and_without_groups() {
        let text = |it: &str| Some(it.to_owned());
        let row = [
            text("a"),
            text("f"),
            text("t"),
            text("f"),
            text(r#"["x","y"]"#),
            text(r#"["x","y"]"#),
        ];
        let read = Role::read(&row).unwrap();
        assert_eq!(read, Role { iam: true, ..role("a", &["x", "y"]) });
        let row = [text("a"), text("f"), text("f"), text("f"), None, None];
        assert_eq!(Role::read(&row).unwrap(), role("a", &[]));
        assert_eq!(Role::read(&row[..2]), None);
    }

    #[test]
    fn a_role_that_may_become_others_sets_its_password_itself_or_not_at_all() {
        let powerful = Role { privileged: true, ..role("dba", &[]) };
        assert!(may_be_set(&powerful).is_err());
        assert!(may_be_set(&Role { own: true, ..powerful }).is_ok());
        let by_token = Role { iam: true, ..role("t", &["rds_iam"]) };
        assert!(may_be_set(&by_token).unwrap_err().to_string().contains("`rds_iam`"));
    }

    #[test]
    fn two_roles_take_turns_only_if_one_is_a_member_of_the_other_and_of_nothing_more() {
        let pair = Pair::of("a").unwrap();
        let said = |roles: &[Role]| take_turns(roles, &pair).map_err(|it| it.to_string());
        assert_eq!(said(&[role("a", &[])]), Ok(()));
        assert_eq!(said(&[role("a", &["app"]), role("a_clone", &["a"])]), Ok(()));
        assert_eq!(said(&[role("a", &["app"]), role("a_clone", &["a", "app"])]), Ok(()));
        assert!(said(&[role("a_clone", &["a"])]).unwrap_err().contains("`a` does not exist"));
        for groups in [&[][..], &["b"], &["a", "b"]] {
            let refused = said(&[role("a", &[]), role("a_clone", groups)]).unwrap_err();
            assert!(refused.contains("is not the second one"), "{refused}");
        }
        let own = Role { own: true, ..role("a", &[]) };
        assert!(said(&[own]).unwrap_err().contains("the master's own"));
    }
}
