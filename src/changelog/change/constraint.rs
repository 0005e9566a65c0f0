//! Keys and uniqueness of tables that are there.
//!
//! The server makes up the names that nobody gave, as it does for Liquibase. A
//! primary key is dropped by the name that the catalog has for it, if the author
//! gave none.

use super::given::Given;
use super::name::{self, qualified, quoted};
use crate::changelog::ChangelogError;
use crate::sql::literal;

/// `addPrimaryKey`.
pub fn add_primary_key(given: &Given) -> Vec<String> {
    let table = name::table(given);
    let columns = name::list(given.needed("columnNames"));
    let name = given.text("constraintName").map(quoted);
    let mut sql =
        format!("ALTER TABLE {table} ADD {}PRIMARY KEY ({columns})", named(name.as_ref()));
    sql.push_str(&space(given));
    let clustered = name.filter(|_| given.is("clustered"));
    let cluster = clustered.map(|name| format!("CLUSTER {table} USING {name}"));
    [sql].into_iter().chain(cluster).collect()
}

/// `dropPrimaryKey`.
pub fn drop_primary_key(given: &Given) -> String {
    let table = name::table(given);
    if let Some(name) = given.filled("constraintName") {
        return format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(name));
    }
    let of = literal(&table);
    let body = format!(
        "DECLARE\n  found name;\nBEGIN\n  SELECT conname INTO STRICT found FROM pg_constraint\n    \
         WHERE contype = 'p' AND conrelid = {of}::regclass;\n  \
         EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', {of}, found);\nEND"
    );
    format!("DO {}", literal(&body))
}

/// `addUniqueConstraint`.
pub fn add_unique(given: &Given) -> Result<String, ChangelogError> {
    given.refuse(
        "forIndexName",
        "Leave it out, or write `ALTER TABLE … ADD CONSTRAINT … UNIQUE USING INDEX` in an `sql` change.",
    )?;
    let name = given.text("constraintName").map(quoted);
    let columns = name::list(given.needed("columnNames"));
    let (table, name) = (name::table(given), named(name.as_ref()));
    let mut sql = format!("ALTER TABLE {table} ADD {name}UNIQUE ({columns})");
    // The grammar wants them in this order, whatever Liquibase writes.
    sql.push_str(&space(given));
    sql.push_str(&deferred(given));
    Ok(sql)
}

/// `addForeignKeyConstraint`.
pub fn add_foreign_key(given: &Given) -> Result<String, ChangelogError> {
    let table = qualified(given.text("baseTableSchemaName"), given.needed("baseTableName"));
    let target =
        qualified(given.text("referencedTableSchemaName"), given.needed("referencedTableName"));
    let mut sql = format!(
        "ALTER TABLE {table} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {target} ({})",
        quoted(given.needed("constraintName")),
        name::list(given.needed("baseColumnNames")),
        name::list(given.needed("referencedColumnNames")),
    );
    if let Some(action) = action(given, "onUpdate")? {
        sql.extend([" ON UPDATE ", action]);
    }
    if let Some(action) = action(given, "onDelete")? {
        sql.extend([" ON DELETE ", action]);
    }
    sql.push_str(&deferred(given));
    sql.push_str(if given.flag("validate") == Some(false) { " NOT VALID" } else { "" });
    Ok(sql)
}

/// `dropForeignKeyConstraint`.
pub fn drop_foreign_key(given: &Given) -> String {
    let table = qualified(given.text("baseTableSchemaName"), given.needed("baseTableName"));
    format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(given.needed("constraintName")))
}

/// `dropUniqueConstraint`.
pub fn drop_unique(given: &Given) -> String {
    let table = name::table(given);
    format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(given.needed("constraintName")))
}

fn named(name: Option<&String>) -> String {
    name.map(|name| format!("CONSTRAINT {name} ")).unwrap_or_default()
}

fn space(given: &Given) -> String {
    let space = given.filled("tablespace");
    space.map(|space| format!(" USING INDEX TABLESPACE {}", quoted(space))).unwrap_or_default()
}

fn deferred(given: &Given) -> String {
    let mut sql = String::new();
    sql.push_str(if given.is("deferrable") { " DEFERRABLE" } else { "" });
    sql.push_str(if given.is("initiallyDeferred") { " INITIALLY DEFERRED" } else { "" });
    sql
}

/// What happens to rows that refer to one that is gone.
fn action(given: &Given, field: &str) -> Result<Option<&'static str>, ChangelogError> {
    const ACTIONS: [&str; 5] = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"];
    let Some(text) = given.filled(field) else { return Ok(None) };
    let words: Vec<_> = text.split_whitespace().collect();
    let words = words.join(" ");
    let found = ACTIONS.into_iter().find(|action| action.eq_ignore_ascii_case(&words));
    found.map(Some).ok_or_else(|| {
        given
            .error(format!("`{field}` is `{text}`, which is no action"))
            .hint(format!("It can be {}.", ACTIONS.join(", ")))
    })
}
