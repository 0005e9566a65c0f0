//! Names of tenants, and of the databases, schemas and roles that are made for them.
//!
//! PostgreSQL would take nearly any text. Names made here are plain ASCII: a look-alike
//! from another alphabet is another name that nobody can tell apart, and a secret's name
//! could not hold it. What PostgreSQL, RDS or this product keep for themselves is
//! refused with the reason, before anything is made.

use super::super::value::{PropertyError, Read};
use crate::desired::tenant::CLONE;
use crate::ident::{Identifier, MAX_BYTES};

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A database.
    Database,
    /// A schema, next to which its ledger's schema has to have a name too.
    Schema,
    /// A login role.
    Role,
    /// A login role whose second one is called the same with [`CLONE`] after it.
    AlternatingRole,
}

/// What the name of the schema with a schema tenant's ledger begins with.
const LEDGER: &str = "execute_sql_";

/// Checks the name of a tenant, `^[a-z][a-z0-9_]{1,49}$`.
pub fn tenant(path: &str, text: &str) -> Read<String> {
    let is_allowed = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let refuse = |why: &str| {
        Err(PropertyError(format!(
            "`{path}` is `{}`: {why}; it takes 2 to 50 lower-case letters, digits and `_`, and a \
             letter first",
            shown(text)
        )))
    };
    if let Some(it) = text.chars().find(|it| !is_allowed(*it)) {
        return refuse(&format!("it holds {}", character(it)));
    }
    if !text.starts_with(|it: char| it.is_ascii_lowercase()) {
        return refuse("it does not begin with a letter");
    }
    match text.len() {
        2..=50 => Ok(text.to_owned()),
        bytes => refuse(&format!("it is {bytes} long")),
    }
}

/// Checks a name that is made.
pub fn made(path: &str, text: &str, kind: Kind) -> Read<Identifier> {
    characters(path, text)?;
    let (most, why) = kind.room();
    if text.len() > most {
        return Err(PropertyError(format!(
            "`{path}` is `{}`, {} bytes long; it takes {most}, {why}",
            shown(text),
            text.len()
        )));
    }
    if let Some(why) = kind.reserved(&text.to_ascii_lowercase()) {
        return Err(PropertyError(format!("`{path}` is `{text}`, which is reserved: {why}")));
    }
    Identifier::new(text).map_err(|error| PropertyError(format!("`{path}`: {error}")))
}

/// Checks the characters of a name alone.
pub fn characters(path: &str, text: &str) -> Read<()> {
    let refuse = |why: String| {
        Err(PropertyError(format!(
            "`{path}` is `{}`: {why}; a name takes ASCII letters, digits, `_` and `-`, and a \
             letter or `_` first",
            shown(text)
        )))
    };
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    match text.chars().next() {
        None => return Err(PropertyError(format!("`{path}` is empty"))),
        Some(first) if is_allowed(first) && !first.is_ascii_alphabetic() && first != '_' => {
            return refuse(format!("it begins with {}", character(first)));
        }
        Some(_) => {}
    }
    match text.chars().find(|it| !is_allowed(*it)) {
        Some(it) => refuse(format!("it holds {}", character(it))),
        None => Ok(()),
    }
}

impl Kind {
    /// How many bytes it may have, and why no more.
    fn room(self) -> (usize, &'static str) {
        match self {
            Self::Database | Self::Role => (MAX_BYTES, "as PostgreSQL keeps no more"),
            Self::Schema => {
                (MAX_BYTES - LEDGER.len(), "as the ledger's schema is called `execute_sql_` and it")
            }
            Self::AlternatingRole => (
                MAX_BYTES - CLONE.len(),
                "as the second login of an alternating rotation has `_clone` after it",
            ),
        }
    }

    /// Why a name, in lower case, is not for a tenant.
    fn reserved(self, name: &str) -> Option<&'static str> {
        match self {
            Self::Database => database(name),
            Self::Schema => schema(name),
            Self::Role | Self::AlternatingRole => role(name),
        }
    }
}

fn database(name: &str) -> Option<&'static str> {
    Some(match name {
        "postgres" => "administration connects to it",
        "template0" | "template1" => "new databases are copies of it",
        "rdsadmin" => "it belongs to RDS",
        "all" | "replication" | "sameuser" | "samerole" | "samegroup" => {
            "it has a meaning of its own in `pg_hba.conf`"
        }
        _ => return None,
    })
}

fn schema(name: &str) -> Option<&'static str> {
    Some(match name {
        "public" => "all roles of the database know it",
        "information_schema" => "it belongs to PostgreSQL",
        _ if name.starts_with("pg_") => "names with `pg_` belong to PostgreSQL",
        _ if name.starts_with("execute_sql") => "names with `execute_sql` are for ledgers",
        _ => return None,
    })
}

fn role(name: &str) -> Option<&'static str> {
    Some(match name {
        "postgres" => "the master user is usually called so",
        "public" | "none" | "current_user" | "session_user" | "current_role" | "user" => {
            "it is a key word where PostgreSQL takes the name of a role"
        }
        "execute_sql" => "it is the product's own",
        _ if name.starts_with("pg_") => "names with `pg_` belong to PostgreSQL",
        _ if name.starts_with("rds") => "names with `rds` belong to RDS",
        _ => return None,
    })
}

/// A text as an error shows it: short, and with nothing that a terminal would act on.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, it) in text.chars().enumerate() {
        if at == 64 {
            shown.push('…');
            break;
        }
        if is_visible(it) {
            shown.push(it);
        } else {
            shown.extend(it.escape_unicode());
        }
    }
    shown
}

/// Letters of any alphabet and printable ASCII; marks that turn or hide text are not.
fn is_visible(it: char) -> bool {
    it.is_ascii_graphic() || it == ' ' || it.is_alphanumeric()
}

/// One character as an error shows it; beyond ASCII with its number, for it may look like another.
pub fn character(it: char) -> String {
    let number = u32::from(it);
    match it {
        ' ' => "a space".into(),
        _ if it.is_ascii_graphic() => format!("`{it}`"),
        _ if is_visible(it) => format!("`{it}` (U+{number:04X})"),
        _ => format!("the character U+{number:04X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, kind: Kind) -> String {
        made("Name", text, kind).unwrap_err().0
    }

    #[test]
    fn a_character_that_is_not_plain_is_named() {
        let database = |text| refused(text, Kind::Database);
        insta::assert_snapshot!(database("аcme"), @"`Name` is `аcme`: it holds `а` (U+0430); a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first");
        insta::assert_snapshot!(database("a\"b"), @r#"`Name` is `a"b`: it holds `"`; a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first"#);
        insta::assert_snapshot!(database("a\u{7}b"), @r"`Name` is `a\u{7}b`: it holds the character U+0007; a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first");
        insta::assert_snapshot!(database("a\u{202e}b"), @r"`Name` is `a\u{202e}b`: it holds the character U+202E; a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first");
        insta::assert_snapshot!(database("a b"), @"`Name` is `a b`: it holds a space; a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first");
        insta::assert_snapshot!(database("1a"), @"`Name` is `1a`: it begins with `1`; a name takes ASCII letters, digits, `_` and `-`, and a letter or `_` first");
        insta::assert_snapshot!(database(""), @"`Name` is empty");
        for text in
            ["a'b", "a;b", "a$b", "a.b", "a/b", "a\\b", "a\u{200b}b", "ａ", "é", "-a", "a\nb"]
        {
            assert!(made("Name", text, Kind::Role).is_err(), "{text:?}");
        }
    }

    #[test]
    fn plain_names_are_taken_as_they_are_written() {
        for text in ["a", "_a", "Acme", "a-b_9", &"x".repeat(51)] {
            for kind in [Kind::Database, Kind::Schema, Kind::Role, Kind::AlternatingRole] {
                assert_eq!(made("Name", text, kind).unwrap().as_str(), text);
            }
        }
    }

    #[test]
    fn a_name_leaves_room_for_what_is_put_to_it() {
        let most = [
            (Kind::Database, 63),
            (Kind::Schema, 51),
            (Kind::Role, 63),
            (Kind::AlternatingRole, 57),
        ];
        for (kind, most) in most {
            assert!(made("Name", &"x".repeat(most), kind).is_ok(), "{kind:?}");
            assert!(made("Name", &"x".repeat(most + 1), kind).is_err(), "{kind:?}");
        }
        let long = "x".repeat(58);
        insta::assert_snapshot!(refused(&long, Kind::AlternatingRole), @"`Name` is `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, 58 bytes long; it takes 57, as the second login of an alternating rotation has `_clone` after it");
        insta::assert_snapshot!(refused(&long, Kind::Schema), @"`Name` is `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, 58 bytes long; it takes 51, as the ledger's schema is called `execute_sql_` and it");
    }

    #[test]
    fn reserved_names_are_refused_in_any_case_and_only_where_they_are() {
        let table: [(Kind, &[&str]); 3] = [
            (
                Kind::Database,
                &[
                    "postgres",
                    "Postgres",
                    "template0",
                    "template1",
                    "rdsadmin",
                    "all",
                    "replication",
                    "sameuser",
                    "samerole",
                    "samegroup",
                ],
            ),
            (
                Kind::Schema,
                &[
                    "public",
                    "information_schema",
                    "pg_catalog",
                    "PG_x",
                    "execute_sql",
                    "execute_sql_acme",
                ],
            ),
            (
                Kind::Role,
                &[
                    "postgres",
                    "public",
                    "none",
                    "current_user",
                    "session_user",
                    "current_role",
                    "user",
                    "pg_monitor",
                    "rdsadmin",
                    "rds_superuser",
                    "rdsrepladmin",
                    "rds_iam",
                    "RDS_x",
                    "execute_sql",
                ],
            ),
        ];
        for (kind, names) in table {
            for name in names {
                assert!(refused(name, kind).contains("which is reserved: "), "{kind:?} {name}");
            }
        }
        insta::assert_snapshot!(refused("rds_iam", Kind::Role), @"`Name` is `rds_iam`, which is reserved: names with `rds` belong to RDS");
        assert!(made("Name", "public", Kind::Database).is_ok());
        assert!(made("Name", "all", Kind::Schema).is_ok());
        assert!(made("Name", "replication", Kind::Role).is_ok());
    }

    #[test]
    fn the_name_of_a_tenant_is_a_plain_word() {
        for text in ["ab", "a_", "a1", &"a".repeat(50)] {
            assert_eq!(tenant("Name", text).as_deref(), Ok(text));
        }
        for text in ["", "a", "1a", "_a", "A1", "a-b", "a.b", " ab", "ab\n", &"a".repeat(51)] {
            assert!(tenant("Name", text).is_err(), "{text:?}");
        }
        let refused = |text| tenant("Name", text).unwrap_err().0;
        insta::assert_snapshot!(refused("Acme"), @"`Name` is `Acme`: it holds `A`; it takes 2 to 50 lower-case letters, digits and `_`, and a letter first");
        insta::assert_snapshot!(refused("a"), @"`Name` is `a`: it is 1 long; it takes 2 to 50 lower-case letters, digits and `_`, and a letter first");
    }
}
