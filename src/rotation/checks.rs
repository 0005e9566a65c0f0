//! What must hold before a step touches anything; judged from what was read.
//!
//! The checks of AWS's own template, and those that it lacks: a pending login
//! must be at the very place of the current one, and of the very role, or of its
//! sibling where two roles take turns. Else whoever may write the secret could
//! have a password set on a role of their choice.

use secrecy::SecretString;

use super::error::{DISCARD, RotationError};
use crate::desired::tenant::{CLONE, Strategy};
use crate::ident::Identifier;
use crate::secrets::{Described, Login, LoginError, SecretError};

/// The tag by which a secret says how its logins rotate.
pub const TAG: &str = "execute-sql:rotation";

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// A login that is complete.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Host name of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The secret of the role that may change this one.
    pub master: Option<String>,
}

impl Credentials {
    /// What a secret's text says; what it leaves out is as PostgreSQL has it.
    pub fn of(id: &str, login: Login) -> Result<Self, SecretError> {
        let missing = |what| SecretError::Login(id.to_owned(), LoginError::Missing(what));
        Ok(Self {
            host: login.host.ok_or_else(|| missing("host"))?,
            port: login.port.unwrap_or(5432),
            database: login.database.unwrap_or_else(|| "postgres".to_owned()),
            username: login.username.ok_or_else(|| missing("username"))?,
            password: login.password.ok_or_else(|| missing("password"))?,
            master: login.master_arn,
        })
    }
}

/// Whether there is anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The version is current already.
    Done,
    /// The version is pending.
    Pending,
}

/// Whether the secret may rotate, and the version is one to rotate to.
pub fn entry(secret: &Described, token: &str) -> Result<Entry, RotationError> {
    let name = &secret.name;
    if secret.deleted {
        return Err(SecretError::Deleted(name.clone()).into());
    }
    if let Some(service) = &secret.owning_service {
        return Err(RotationError::Refused(
            format!("secret `{name}` is managed by `{service}`"),
            "Leave its rotation to that service.",
        ));
    }
    if secret.rotation.is_none() {
        return Err(RotationError::State(
            format!("secret `{name}` has no rotation enabled"),
            "Enable it (RotateSecret) with this function.",
        ));
    }
    let Some(stages) = secret.versions.get(token) else {
        return Err(RotationError::State(
            format!("secret `{name}` has no version `{token}`"),
            "Secrets Manager makes it before it calls; start a rotation with RotateSecret.",
        ));
    };
    if stages.iter().any(|it| it == CURRENT) {
        return Ok(Entry::Done);
    }
    if !stages.iter().any(|it| it == PENDING) {
        return Err(RotationError::State(
            format!("version `{token}` of secret `{name}` is not pending"),
            "Secrets Manager marks it AWSPENDING before it calls; start a rotation with \
             RotateSecret.",
        ));
    }
    Ok(Entry::Pending)
}

/// How the secret's logins rotate: its tag, else the function's setting, else one login.
pub fn strategy(secret: &Described, setting: Option<&str>) -> Result<Strategy, RotationError> {
    let said = secret.tags.get(TAG).map(String::as_str).or(setting);
    match said.map(str::trim) {
        None | Some("single") => Ok(Strategy::Single),
        Some("alternating") => Ok(Strategy::Alternating),
        Some(other) => Err(RotationError::State(
            format!("`{other}` is no way of rotating"),
            "The secret's tag `execute-sql:rotation`, or the function's ROTATION_STRATEGY, is \
             `single` or `alternating`.",
        )),
    }
}

/// The two roles that take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The one that owns, and that grants are made to.
    pub base: Identifier,
    /// The second one.
    pub clone: Identifier,
    /// Whether the second one is current.
    pub clone_is_current: bool,
}

impl Pair {
    /// By the current one's name.
    pub fn of(current: &str) -> Result<Self, RotationError> {
        let base = current.strip_suffix(CLONE).filter(|it| !it.is_empty());
        let refused = |error: crate::ident::IdentifierError| {
            RotationError::Refused(
                format!("role `{current}` cannot take turns with another: {error}"),
                "A name of at most 57 bytes leaves room for `_clone`; or rotate with `single`.",
            )
        };
        let name = |text: String| Identifier::new(text).map_err(refused);
        let own = base.unwrap_or(current);
        Ok(Self {
            base: name(own.to_owned())?,
            clone: name(format!("{own}{CLONE}"))?,
            clone_is_current: base.is_some(),
        })
    }

    /// The one whose turn is next.
    pub fn next(&self) -> &Identifier {
        if self.clone_is_current { &self.base } else { &self.clone }
    }
}

/// Whether two host names are one, as DNS has it.
pub fn same_host(a: &str, b: &str) -> bool {
    let plain = |it: &str| it.trim_end_matches('.').to_ascii_lowercase();
    plain(a) == plain(b)
}

/// The login of another version is at the place of the current one, and of role `username`.
pub fn matches(
    secret: &str,
    stage: &str,
    other: &Credentials,
    current: &Credentials,
    username: &str,
) -> Result<(), RotationError> {
    let at = |it: &Credentials| format!("{}:{}/{}", it.host, it.port, it.database);
    let differs = |what: &str, theirs: &str, wanted: &str| {
        let what = format!(
            "the {stage} version of secret `{secret}` is for {what} `{theirs}`, and not for \
             `{wanted}`"
        );
        Err(RotationError::Refused(what, DISCARD))
    };
    if !same_host(&other.host, &current.host)
        || (other.port, &other.database) != (current.port, &current.database)
    {
        return differs("database", &at(other), &at(current));
    }
    if other.username != username {
        return differs("role", &other.username, username);
    }
    Ok(())
}

/// Whether `id` names the secret: by its name, its ARN, or its ARN without the last six characters.
pub fn is_named(secret: &Described, id: &str) -> bool {
    let partial = secret.arn.rsplit_once('-').map(|(arn, _)| arn);
    id == secret.arn || id == secret.name || Some(id) == partial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::RotationRule;

    fn secret() -> Described {
        Described {
            arn: "arn:aws:secretsmanager:eu-west-1:1:secret:acme-AbCdEf".into(),
            name: "acme".into(),
            rotation: Some(RotationRule { lambda_arn: "l".into(), days: 30, immediately: false }),
            versions: [
                ("old".to_owned(), vec![CURRENT.to_owned()]),
                ("new".to_owned(), vec![PENDING.to_owned()]),
                ("bare".to_owned(), vec![]),
            ]
            .into(),
            ..Described::default()
        }
    }

    fn said(result: Result<impl std::fmt::Debug, RotationError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn only_a_pending_version_of_a_secret_that_rotates_is_rotated_to() {
        assert_eq!(entry(&secret(), "new").unwrap(), Entry::Pending);
        assert_eq!(entry(&secret(), "old").unwrap(), Entry::Done);
        assert!(said(entry(&secret(), "bare")).contains("is not pending"));
        assert!(said(entry(&secret(), "none")).contains("has no version `none`"));
        let off = Described { rotation: None, ..secret() };
        assert_eq!(said(entry(&off, "new")), "secret `acme` has no rotation enabled");
        let managed = Described { owning_service: Some("rds".into()), ..secret() };
        assert_eq!(said(entry(&managed, "new")), "secret `acme` is managed by `rds`");
        let deleted = Described { deleted: true, ..secret() };
        assert!(said(entry(&deleted, "new")).contains("scheduled for deletion"));
    }

    #[test]
    fn the_tag_goes_before_the_setting() {
        let mut secret = secret();
        assert_eq!(strategy(&secret, None).unwrap(), Strategy::Single);
        assert_eq!(strategy(&secret, Some("alternating")).unwrap(), Strategy::Alternating);
        secret.tags.insert(TAG.into(), "single".into());
        assert_eq!(strategy(&secret, Some("alternating")).unwrap(), Strategy::Single);
        secret.tags.insert(TAG.into(), "often".into());
        assert_eq!(said(strategy(&secret, None)), "`often` is no way of rotating");
    }

    #[test]
    fn two_roles_take_turns() {
        let pair = Pair::of("acme").unwrap();
        assert_eq!((pair.next().as_str(), pair.clone_is_current), ("acme_clone", false));
        let pair = Pair::of("acme_clone").unwrap();
        assert_eq!((pair.next().as_str(), pair.base.as_str()), ("acme", "acme"));
        assert_eq!(Pair::of("_clone").unwrap().next().as_str(), "_clone_clone");
        assert!(Pair::of(&"x".repeat(57)).is_ok());
        // Bytes, not characters.
        assert!(said(Pair::of(&"é".repeat(29))).contains("cannot take turns"));
    }

    #[test]
    fn a_login_elsewhere_or_of_another_role_does_not_match() {
        let login = |host: &str, port, username: &str| Credentials {
            host: host.into(),
            port,
            database: "d".into(),
            username: username.into(),
            password: "p".to_owned().into(),
            master: None,
        };
        let current = login("db.example.com", 5432, "a");
        let check = |other, user| matches("s", "pending", &other, &current, user);
        assert!(check(login("DB.example.com.", 5432, "a"), "a").is_ok());
        assert!(check(login("db.example.com", 5432, "a_clone"), "a_clone").is_ok());
        let wrong = said(check(login("evil.example.com", 5432, "a"), "a"));
        assert!(wrong.contains("`evil.example.com:5432/d`, and not for"), "{wrong}");
        assert!(check(login("db.example.com", 5433, "a"), "a").is_err());
        let wrong = said(check(login("db.example.com", 5432, "postgres"), "a"));
        assert!(wrong.contains("role `postgres`, and not for `a`"), "{wrong}");
    }

    #[test]
    fn a_secret_is_known_by_each_of_its_names() {
        let secret = secret();
        let arn = secret.arn.clone();
        for id in ["acme", &arn, &arn[..arn.len() - 7]] {
            assert!(is_named(&secret, id), "{id}");
        }
        assert!(!is_named(&secret, "acm"));
    }
}
