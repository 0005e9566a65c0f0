//! Names and ARNs of tenants' secrets, as Secrets Manager has them.
//!
//! A name that is made must be one that `CreateSecret` takes. One that is given may be
//! a name or an ARN, and is never shown in an error, for people paste a secret's content
//! where its name belongs. Whether a secret is there is not asked here.

use super::super::value::{PropertyError, Read};
use super::names::{character, shown};

const MOST_CHARACTERS: usize = 512;

/// Checks the name of a secret that is made.
pub fn name(path: &str, text: &str) -> Read<String> {
    let refuse = |why: &str| {
        Err(PropertyError(format!(
            "`{path}` is `{}`, which is no name for a secret: {why}",
            shown(text)
        )))
    };
    if text.is_empty() {
        return Err(PropertyError(format!("`{path}` is empty")));
    }
    if text.contains("rds!") {
        return refuse("names with `rds!` belong to RDS");
    }
    if let Some(it) = text.chars().find(|it| !is_allowed(*it)) {
        return refuse(&format!(
            "it holds {}; Secrets Manager takes ASCII letters, digits and `/_+=.@-`",
            character(it)
        ));
    }
    if text.len() > MOST_CHARACTERS {
        return refuse("it is longer than 512 characters");
    }
    if looks_like_an_arns_end(text) {
        return refuse(
            "it ends in a hyphen and six characters, and so looks like the end of an ARN; put \
             another one in `SecretName`",
        );
    }
    Ok(text.to_owned())
}

/// Checks the part of a secret's name that all secrets share.
pub fn part(path: &str, text: &str) -> Read<String> {
    let trimmed = text.trim_matches('/');
    if trimmed.is_empty() {
        return Err(PropertyError(format!("`{path}` is empty")));
    }
    match trimmed.chars().find(|it| !is_allowed(*it)) {
        None => Ok(trimmed.to_owned()),
        Some(it) => Err(PropertyError(format!(
            "`{path}` is `{}`: it holds {}; names of secrets take ASCII letters, digits and \
             `/_+=.@-`",
            shown(text),
            character(it)
        ))),
    }
}

/// Checks the name or ARN of a secret that is there.
pub fn id(path: &str, text: &str) -> Read<String> {
    let refuse = |why: &str| Err(PropertyError(format!("`{path}` {why}")));
    let name = match arn(text) {
        Some((_, name)) => name,
        None if text.starts_with("arn:") => return refuse("is an ARN, but not that of a secret"),
        None => text,
    };
    if name.starts_with("rds!") {
        return refuse("is a secret of RDS itself; a tenant's login needs another one");
    }
    // Other services have names of their own, with an exclamation mark.
    if name.is_empty() || !name.chars().all(|it| is_allowed(it) || it == '!') {
        return refuse("takes the name or ARN of a secret in Secrets Manager, not its content");
    }
    if name.len() > MOST_CHARACTERS + SUFFIX {
        return refuse("is longer than the name of a secret can be");
    }
    Ok(text.to_owned())
}

/// Of a secret's ARN, what is before the name (account and region), and the name with its suffix.
pub fn arn(id: &str) -> Option<(&str, &str)> {
    let (scope, name) = id.split_once(":secret:")?;
    let fields: Vec<_> = scope.split(':').collect();
    let is_one = matches!(fields.as_slice(), ["arn", _, "secretsmanager", region, account]
        if !region.is_empty() && !account.is_empty());
    is_one.then_some((scope, name))
}

/// The name without the six random characters that an ARN ends with.
pub fn without_suffix(name: &str) -> Option<&str> {
    looks_like_an_arns_end(name).then(|| &name[..name.len() - SUFFIX])
}

/// The hyphen and six characters.
const SUFFIX: usize = 7;

fn looks_like_an_arns_end(name: &str) -> bool {
    name.is_ascii() && name.len() > SUFFIX && name.as_bytes()[name.len() - SUFFIX] == b'-'
}

fn is_allowed(it: char) -> bool {
    it.is_ascii_alphanumeric() || "/_+=.@-".contains(it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_secrets_manager_refuses_is_refused() {
        let refused = |text: &str| name("SecretName", text).unwrap_err().0;
        insta::assert_snapshot!(refused("a b"), @"`SecretName` is `a b`, which is no name for a secret: it holds a space; Secrets Manager takes ASCII letters, digits and `/_+=.@-`");
        insta::assert_snapshot!(refused("а"), @"`SecretName` is `а`, which is no name for a secret: it holds `а` (U+0430); Secrets Manager takes ASCII letters, digits and `/_+=.@-`");
        insta::assert_snapshot!(refused("db/a-reader"), @"`SecretName` is `db/a-reader`, which is no name for a secret: it ends in a hyphen and six characters, and so looks like the end of an ARN; put another one in `SecretName`");
        insta::assert_snapshot!(refused("rds!db-1"), @"`SecretName` is `rds!db-1`, which is no name for a secret: names with `rds!` belong to RDS");
        insta::assert_snapshot!(refused(""), @"`SecretName` is empty");
        assert!(refused(&"x".repeat(513)).ends_with("it is longer than 512 characters"));
        for text in ["a", "/a/b_c+d=e.f@g", "a-12345", "a-1234567", &"x".repeat(512)] {
            assert_eq!(name("SecretName", text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_given_secret_is_a_name_or_an_arn_and_is_not_shown() {
        let arn = "arn:aws-cn:secretsmanager:eu-west-1:123456789012:secret:db/acme-AbCdEf";
        for text in [arn, "db/acme", "db/acme-AbCdEf", "appflow!x"] {
            assert_eq!(id("Secret", text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "{\"password\":\"hunter2\"}",
            "postgres://a:hunter2@b/c",
            "hunter2 ",
            "rds!db-1",
            "arn:aws:kms:eu-west-1:123456789012:key/hunter2",
            "arn:aws:secretsmanager:::secret:hunter2",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!cluster-1",
        ] {
            let error = id("Secret", text).unwrap_err().0;
            assert!(error.starts_with("`Secret` ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_prefix_has_no_outer_slashes() {
        assert_eq!(part("SecretPrefix", "/shop/db/").as_deref(), Ok("shop/db"));
        assert!(part("SecretPrefix", "//").is_err());
        assert!(part("SecretPrefix", "{name}").is_err());
    }
}
