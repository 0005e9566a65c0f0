//! The rows of Flyway's history, and the statements that add to it.
//!
//! The table itself is Flyway's: it is read and continued where it exists, and
//! never made here. A row is added as Flyway adds it, with the next rank and the
//! session's role.

use std::fmt::Write as _;

use super::{Kind, Script};
use crate::sql::{literal, nullable};

/// A row of `flyway_schema_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `installed_rank`; the order in which things happened.
    pub installed_rank: i32,
    /// `version`; none for repeatable scripts.
    pub version: Option<String>,
    /// `description`.
    pub description: String,
    /// `type`: `SQL`, `JDBC`, `BASELINE`, `DELETE` and so on.
    pub kind: String,
    /// `script`.
    pub script: String,
    /// `checksum`.
    pub checksum: Option<i32>,
    /// `success`.
    pub success: bool,
}

/// The statement that records in `table` (a quoted name) that a script was applied within `ms`
/// milliseconds.
pub fn history_insert(table: &str, script: &Script, ms: u64) -> String {
    let kind = if script.kind == Kind::Baseline { "SQL_BASELINE" } else { "SQL" };
    insert(table, script, kind, ms)
}

/// The statement that records in `table` (a quoted name) that a script was undone: a row of the
/// type `DELETE`, as Flyway's `repair` writes it. Flyway's own `UNDO_SQL` is known only to some of its
/// editions. Flyway takes a script that was deleted for one that was never applied.
pub fn history_delete(table: &str, script: &Script) -> String {
    insert(table, script, "DELETE", 0)
}

fn insert(table: &str, script: &Script, kind: &str, ms: u64) -> String {
    let mut sql = format!(
        "INSERT INTO {table} (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \
         \"checksum\", \"installed_by\", \"execution_time\", \"success\") \
         SELECT coalesce(max(\"installed_rank\"), 0) + 1, "
    );
    let _ = write!(
        sql,
        "{}, {}, {}, {}, {}, current_user, {}, true FROM {table}",
        nullable(script.version.as_deref()),
        literal(&short_description(&script.description)),
        literal(kind),
        literal(&short_script(&script.script)),
        script.checksum,
        i32::try_from(ms).unwrap_or(i32::MAX),
    );
    sql
}

/// A description as the history holds it: at most 200 of UTF-16's units.
pub fn short_description(description: &str) -> String {
    let units: Vec<_> = description.encode_utf16().take(201).collect();
    match units.get(..197) {
        Some(first) if units.len() > 200 => format!("{}...", String::from_utf16_lossy(first)),
        _ => description.to_owned(),
    }
}

fn short_script(script: &str) -> String {
    let units: Vec<_> = script.encode_utf16().take(1001).collect();
    match units.get(3..1000) {
        Some(kept) if units.len() > 1000 => format!("...{}", String::from_utf16_lossy(kept)),
        _ => script.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(kind: Kind, version: Option<&str>) -> Script {
        Script {
            kind,
            version: version.map(str::to_owned),
            description: "it's all".into(),
            script: "a/B7__it's_all.sql".into(),
            checksum: -5,
            also: vec![],
        }
    }

    #[test]
    fn a_row_is_added_as_flyway_adds_it() {
        let sql = history_insert("\"public\".\"h\"", &script(Kind::Baseline, Some("7")), u64::MAX);
        assert_eq!(
            sql,
            "INSERT INTO \"public\".\"h\" (\"installed_rank\", \"version\", \"description\", \"type\", \
             \"script\", \"checksum\", \"installed_by\", \"execution_time\", \"success\") \
             SELECT coalesce(max(\"installed_rank\"), 0) + 1, '7', 'it''s all', 'SQL_BASELINE', \
             'a/B7__it''s_all.sql', -5, current_user, 2147483647, true FROM \"public\".\"h\""
        );
        let sql = history_insert("h", &script(Kind::Repeatable, None), 12);
        assert!(
            sql.contains(" + 1, NULL, 'it''s all', 'SQL', ")
                && sql.contains("current_user, 12, true")
        );
        assert!(history_delete("h", &script(Kind::Versioned, Some("7"))).contains("'DELETE'"));
    }

    #[test]
    fn long_texts_are_cut_as_flyway_cuts_them() {
        assert_eq!(short_description(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(short_description(&"é".repeat(201)), format!("{}...", "é".repeat(197)));
        assert_eq!(short_description(&"𝄞".repeat(101)).chars().count(), 98 + 1 + 3);
        assert_eq!(short_script(&"x".repeat(1001)), format!("...{}", "x".repeat(997)));
        assert_eq!(short_script(&"x".repeat(1000)), "x".repeat(1000));
    }
}
