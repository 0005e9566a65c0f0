//! What is done for tenants, as SQL texts and secrets' texts.
//!
//! Everything here makes text and sends none. A role's password is in it as a
//! SCRAM verifier, so these texts are never shown. The master becomes a member
//! of a tenant's role only within one transaction, in which it does what takes the
//! rights of that role, and leaves it again: nobody ever sees it as a member.

pub mod database;
pub mod inside;
pub mod leaving;
pub mod role;
pub mod secret;

/// Runs `statements` as one who has the rights of `role` too.
pub fn as_member(role: &crate::ident::Identifier, statements: &str) -> String {
    let role = role.quoted();
    format!("GRANT {role} TO CURRENT_USER;\n{statements}REVOKE {role} FROM CURRENT_USER;\n")
}

/// The settings whose value is a list of names.
const LISTS: [&str; 6] = [
    "search_path",
    "datestyle",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
];

/// `SET name TO value` without the first word, for `ALTER … SET`.
pub(super) fn assignment(setting: &str, value: &str) -> String {
    let name: Vec<_> =
        setting.split('.').map(|it| format!("\"{}\"", it.replace('"', "\"\""))).collect();
    let value = if LISTS.contains(&setting.to_ascii_lowercase().as_str()) {
        let each = value.split(',').map(|it| crate::sql::literal(it.trim().trim_matches('"')));
        each.collect::<Vec<_>>().join(", ")
    } else {
        crate::sql::literal(value)
    };
    format!("SET {} TO {value}", name.join("."))
}
