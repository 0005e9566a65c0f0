//! Names of objects: what Liquibase makes of them, always quoted.
//!
//! Liquibase quotes a name only if it must: mixed case, reserved words, characters
//! beyond letters, digits and `_`. What it does not quote the server folds to lower
//! case. Here every name is quoted, after the same folding, so the same object is
//! meant. A name without a schema is left to the search path.

use super::given::Given;

/// What PostgreSQL reserves, as Liquibase knows it. `ORDER` as a name keeps its upper case.
static RESERVED: &[&str] = &[
    "ALL",
    "ANALYSE",
    "ANALYZE",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "ASYMMETRIC",
    "AUTHORIZATION",
    "BINARY",
    "BOTH",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COLLATION",
    "COLUMN",
    "CONCURRENTLY",
    "CONSTRAINT",
    "CREATE",
    "CROSS",
    "CURRENT_CATALOG",
    "CURRENT_DATE",
    "CURRENT_ROLE",
    "CURRENT_SCHEMA",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DEFAULT",
    "DEFERRABLE",
    "DESC",
    "DISTINCT",
    "DO",
    "ELSE",
    "END",
    "EXCEPT",
    "FALSE",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FREEZE",
    "FROM",
    "FULL",
    "GRANT",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INITIALLY",
    "INNER",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LATERAL",
    "LEADING",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "NATURAL",
    "NOT",
    "NOTNULL",
    "NULL",
    "OFFSET",
    "ON",
    "ONLY",
    "OR",
    "ORDER",
    "OUTER",
    "OVERLAPS",
    "PLACING",
    "PRIMARY",
    "REFERENCES",
    "RETURNING",
    "RIGHT",
    "SELECT",
    "SESSION_USER",
    "SIMILAR",
    "SOME",
    "SYMMETRIC",
    "TABLE",
    "TABLESAMPLE",
    "THEN",
    "TO",
    "TRAILING",
    "TRUE",
    "UNION",
    "UNIQUE",
    "USER",
    "USING",
    "VARIADIC",
    "VERBOSE",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// The name that the server stores.
pub fn stored(name: &str) -> String {
    let lower = |name: &str| name.bytes().any(|byte| byte.is_ascii_lowercase());
    let mixed = name.chars().any(char::is_uppercase)
        && (lower(name) || name.chars().any(char::is_lowercase));
    let plain = name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let digit = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if mixed || !plain || name.trim() != name || digit || reserved(name) {
        name.to_owned()
    } else {
        name.to_ascii_lowercase()
    }
}

/// The name as SQL text.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", stored(name).replace('\0', "").replace('"', "\"\""))
}

/// A name in a schema, if one is given.
pub fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema.map(str::trim).filter(|schema| !schema.is_empty()) {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}

/// The table of a change, with its schema.
pub fn table(given: &Given) -> String {
    qualified(given.text("schemaName"), given.needed("tableName"))
}

/// Names with commas between them, as SQL text; `ASC` and `DESC` behind a name go.
pub fn list(names: &str) -> String {
    let names: Vec<_> = split(names).map(|name| quoted(bare(name))).collect();
    names.join(", ")
}

/// Names with commas between them.
pub fn split(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn bare(name: &str) -> &str {
    match name.rsplit_once(char::is_whitespace) {
        Some((bare, order)) if ["ASC", "DESC"].iter().any(|it| it.eq_ignore_ascii_case(order)) => {
            bare.trim_end()
        }
        _ => name,
    }
}

/// The name of a primary key that nobody named: at most 63 bytes.
pub fn primary_key(table: &str) -> String {
    const SUFFIX: &str = "_pkey";
    const MOST: usize = 63 - SUFFIX.len();
    if table.len() <= MOST {
        return format!("{table}{SUFFIX}");
    }
    // Liquibase cuts at the byte, and then drops the last character, whole or not.
    let mut end = MOST;
    while !table.is_char_boundary(end) {
        end -= 1;
    }
    let cut = &table[..end];
    let last = if end == MOST { cut.chars().next_back().map_or(0, char::len_utf8) } else { 0 };
    format!("{}{SUFFIX}", &cut[..end - last])
}

fn reserved(name: &str) -> bool {
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `escapeObjectName` of Liquibase 4.28.0 gives, as the server stores it.
    #[test]
    fn a_name_means_the_object_that_it_means_in_liquibase() {
        for (name, expected) in [
            ("person", "person"),
            ("Person", "Person"),
            ("PERSON", "person"),
            ("PERSON_ID2", "person_id2"),
            ("USER", "USER"),
            ("user", "user"),
            ("ORDER", "ORDER"),
            ("DATE", "date"),
            ("VALUE", "value"),
            ("first name", "first name"),
            ("1ABC", "1ABC"),
            ("A-B", "A-B"),
            ("ÜBER", "ÜBER"),
            ("a.b", "a.b"),
            ("A$B", "A$B"),
        ] {
            assert_eq!(stored(name), expected, "{name}");
        }
        assert_eq!(quoted("a\"b; DROP"), "\"a\"\"b; DROP\"");
        assert_eq!(qualified(Some("MYSCHEMA"), "T"), "\"myschema\".\"t\"");
        assert_eq!(qualified(Some(" "), "T"), "\"t\"");
        assert_eq!(list("id, Name DESC,ORDER asc"), "\"id\", \"Name\", \"ORDER\"");
    }

    #[test]
    fn a_primary_key_has_its_tables_name() {
        assert_eq!(primary_key("person"), "person_pkey");
        assert_eq!(stored(&primary_key("PERSON")), "PERSON_pkey");
        assert_eq!(primary_key(&"x".repeat(58)).len(), 63);
        assert_eq!(primary_key(&"x".repeat(59)).len(), 62);
        assert_eq!(primary_key(&"ö".repeat(30)), format!("{}_pkey", "ö".repeat(28)));
        assert_eq!(
            primary_key(&format!("x{}", "ö".repeat(30))),
            format!("x{}_pkey", "ö".repeat(28))
        );
    }
}
