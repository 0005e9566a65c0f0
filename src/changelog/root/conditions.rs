//! `preConditions` of root changelogs.
//!
//! Those about the catalog become queries, those about the changelog are decided
//! here. `customPrecondition` runs Java, so it is refused, as is every name that is
//! not known: a condition that nobody asks would hold always.

use super::changeset::Around;
use super::node::Node;
use crate::changelog::precondition::{Condition, Named, Otherwise, Relation, folded};
use crate::changelog::{ChangelogError, Identity, Preconditions, expression};
use crate::ident::Identifier;
use crate::sql::literal;

/// The attributes of `preConditions` itself.
const OWN: [&str; 6] =
    ["onFail", "onError", "onFailMessage", "onErrorMessage", "onSqlOutput", "onUpdateSQL"];

const KNOWN: [&str; 20] = [
    "and",
    "or",
    "not",
    "dbms",
    "runningAs",
    "changeSetExecuted",
    "changeLogPropertyDefined",
    "expectedQuotingStrategy",
    "sqlCheck",
    "tableExists",
    "viewExists",
    "sequenceExists",
    "columnExists",
    "indexExists",
    "foreignKeyConstraintExists",
    "primaryKeyExists",
    "uniqueConstraintExists",
    "tableIsEmpty",
    "rowCount",
    "preConditions",
];

/// Reads `preConditions`.
pub fn read(node: &Node, around: &Around) -> Result<Preconditions, ChangelogError> {
    let mut all = Vec::new();
    for child in node.children() {
        if !OWN.iter().any(|name| child.is(name)) {
            all.push(condition(child, around)?);
        }
    }
    let message = |name: &str| node.filled(name).map(str::to_owned);
    Ok(Preconditions {
        all,
        on_fail: otherwise(node, "onFail")?,
        on_error: otherwise(node, "onError")?,
        on_fail_message: message("onFailMessage"),
        on_error_message: message("onErrorMessage"),
    })
}

fn otherwise(node: &Node, name: &str) -> Result<Otherwise, ChangelogError> {
    let Some(word) = node.filled(name) else { return Ok(Otherwise::default()) };
    match word.to_ascii_uppercase().as_str() {
        "HALT" => Ok(Otherwise::Halt),
        "CONTINUE" => Ok(Otherwise::Continue),
        "MARK_RAN" => Ok(Otherwise::MarkRan),
        "WARN" => Ok(Otherwise::Warn),
        _ => Err(node
            .error(format!("`{name}` is `{word}`; it must be HALT, CONTINUE, MARK_RAN or WARN"))),
    }
}

fn several(node: &Node, around: &Around) -> Result<Vec<Condition>, ChangelogError> {
    node.children().iter().map(|child| condition(child, around)).collect()
}

fn condition(node: &Node, around: &Around) -> Result<Condition, ChangelogError> {
    let exact = around.quoting == Some("QUOTE_ALL_OBJECTS");
    let named = |name: &str| -> Result<(Option<String>, String), ChangelogError> {
        Ok((node.filled("schemaName").map(str::to_owned), node.required(name)?.to_owned()))
    };
    let name = KNOWN.iter().find(|name| node.is(name)).copied().unwrap_or_default();
    match name {
        "and" => Ok(Condition::All(several(node, around)?)),
        // A container in a container; what it says of failing has no effect there in Liquibase.
        "preConditions" => Ok(Condition::All(read(node, around)?.all)),
        "or" => Ok(Condition::Any(several(node, around)?)),
        "not" => Ok(Condition::Not(several(node, around)?)),
        "sqlCheck" => {
            node.only(&["expectedResult", "sql"])?;
            let sql = node.text().or_else(|| node.attr("sql")).unwrap_or_default().trim();
            let sql = sql.strip_suffix(';').unwrap_or(sql).trim_end();
            if sql.is_empty() {
                return Err(node.error("`sqlCheck` has no SQL"));
            }
            let expected = node.attr("expectedResult");
            let expected =
                expected.ok_or_else(|| node.error("`sqlCheck` has no `expectedResult`"))?;
            Ok(Condition::SqlCheck { expected: expected.to_owned(), sql: sql.to_owned() })
        }
        "tableExists" | "viewExists" | "sequenceExists" => {
            let (relation, attribute) = match name {
                "tableExists" => (Relation::Table, "tableName"),
                "viewExists" => (Relation::View, "viewName"),
                _ => (Relation::Sequence, "sequenceName"),
            };
            node.only(&["catalogName", "schemaName", attribute])?;
            let (schema, name) = named(attribute)?;
            let named = Named { schema: schema.as_deref(), name: &name, exact };
            Ok(Condition::exists(relation, &named))
        }
        "columnExists" => {
            node.only(&["catalogName", "schemaName", "tableName", "columnName"])?;
            Ok(column(node.required("tableName")?, node.required("columnName")?, node))
        }
        "indexExists" => index(node, exact),
        "foreignKeyConstraintExists" => {
            node.only(&["catalogName", "schemaName", "foreignKeyTableName", "foreignKeyName"])?;
            let table = node.filled("foreignKeyTableName");
            constraint(node, exact, "f", table, node.filled("foreignKeyName"), None)
        }
        "primaryKeyExists" => {
            node.only(&["catalogName", "schemaName", "tableName", "primaryKeyName"])?;
            let table = node.filled("tableName");
            constraint(node, exact, "p", table, node.filled("primaryKeyName"), None)
        }
        "uniqueConstraintExists" => {
            let known = ["catalogName", "schemaName", "tableName", "columnNames", "constraintName"];
            node.only(&known)?;
            let (name, columns) = (node.filled("constraintName"), node.filled("columnNames"));
            if name.is_none() && columns.is_none() {
                return Err(
                    node.error("`uniqueConstraintExists` needs `constraintName` or `columnNames`")
                );
            }
            let table = Some(node.required("tableName")?);
            constraint(node, exact, "u", table, name, columns)
        }
        "tableIsEmpty" => {
            node.only(&["catalogName", "schemaName", "tableName"])?;
            let table = table(node, exact)?;
            let shown = format!("tableIsEmpty {}", node.required("tableName")?);
            Ok(Condition::Query { shown, sql: format!("SELECT NOT EXISTS (SELECT FROM {table})") })
        }
        "rowCount" => {
            node.only(&["catalogName", "schemaName", "tableName", "expectedRows"])?;
            let rows = node.required("expectedRows")?;
            let rows: i64 = rows.parse().map_err(|_| {
                node.error(format!("`expectedRows` is `{rows}`; it must be a whole number"))
            })?;
            let shown = format!("rowCount {} {rows}", node.required("tableName")?);
            let table = table(node, exact)?;
            Ok(Condition::Query { shown, sql: format!("SELECT count(*) = {rows} FROM {table}") })
        }
        "runningAs" => {
            node.only(&["username"])?;
            let user = node.required("username")?;
            let sql = format!(
                "SELECT lower(split_part(session_user::text, '@', 1)) = lower({})",
                literal(user)
            );
            Ok(Condition::Query { shown: format!("runningAs {user}"), sql })
        }
        "dbms" => {
            node.only(&["type"])?;
            let kind = node.required("type")?;
            let holds = expression::dbms_matches(Some(kind));
            Ok(Condition::Known { shown: format!("dbms {kind}"), holds })
        }
        "changeSetExecuted" => {
            node.only(&["id", "author", "changeLogFile"])?;
            let path = node.filled("changeLogFile").unwrap_or(around.path);
            Ok(Condition::ChangesetExecuted(Identity {
                id: node.required("id")?.to_owned(),
                author: node.required("author")?.to_owned(),
                path: crate::changelog::files::normal(path)?,
            }))
        }
        "changeLogPropertyDefined" => {
            node.only(&["property", "value"])?;
            let property = node.required("property")?;
            let written = format!("${{{property}}}");
            let holds = around.properties.is_defined(property, around.file)
                && node
                    .attr("value")
                    .is_none_or(|wanted| around.properties.expand(&written, around.file) == wanted);
            Ok(Condition::Known { shown: format!("changeLogPropertyDefined {property}"), holds })
        }
        "expectedQuotingStrategy" => {
            node.only(&["strategy"])?;
            let strategy = node.required("strategy")?;
            let holds = around.quoting.unwrap_or("LEGACY") == strategy;
            Ok(Condition::Known { shown: format!("expectedQuotingStrategy {strategy}"), holds })
        }
        _ if node.is("customPrecondition") => Err(node
            .error("`customPrecondition` runs a Java class, which is not possible here")
            .hint("Ask the same with `sqlCheck`.")),
        _ => Err(node.unknown("as a precondition", &KNOWN)),
    }
}

/// `columnExists`: Liquibase asks without regard to case.
fn column(table: &str, column: &str, node: &Node) -> Condition {
    let schema = match node.filled("schemaName") {
        None => "current_schema()".to_owned(),
        Some(schema) => literal(schema),
    };
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c \
         ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT a.attisdropped AND lower(n.nspname) = lower({schema}) \
         AND lower(c.relname) = lower({}) AND lower(a.attname) = lower({}))",
        literal(table),
        literal(column),
    );
    Condition::Query { shown: format!("columnExists {table}.{column}"), sql }
}

/// The table of a node, quoted.
fn table(node: &Node, exact: bool) -> Result<String, ChangelogError> {
    let quoted = |name: &str| {
        let stored = if exact { name.to_owned() } else { folded(name) };
        let name = Identifier::new(stored);
        name.map(|name| name.quoted()).map_err(|error| node.error(error.to_string()))
    };
    let name = quoted(node.required("tableName")?)?;
    match node.filled("schemaName") {
        None => Ok(name),
        Some(schema) => Ok(format!("{}.{name}", quoted(schema)?)),
    }
}

fn index(node: &Node, exact: bool) -> Result<Condition, ChangelogError> {
    node.only(&["catalogName", "schemaName", "tableName", "columnNames", "indexName"])?;
    let (name, table) = (node.filled("indexName"), node.filled("tableName"));
    let columns = node.filled("columnNames");
    if name.is_none() && columns.is_none() {
        return Err(node.error("`indexExists` needs `indexName` or `columnNames`"));
    }
    let stored = |name| literal(&Named { schema: None, name, exact }.stored());
    let schema = Named { schema: node.filled("schemaName"), name: "", exact }.schema_sql();
    let all = [
        Some(format!("n.nspname = {schema}")),
        name.map(|name| format!("i.relname = {}", stored(name))),
        table.map(|table| format!("c.relname = {}", stored(table))),
        columns.map(|columns| {
            format!(
                "(SELECT array_agg(a.attname::text ORDER BY k.nth) \
                 FROM unnest(x.indkey) WITH ORDINALITY k(attnum, nth) \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum \
                 WHERE k.nth <= x.indnkeyatts) = {}",
                array(columns, exact)
            )
        }),
    ];
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i \
         ON i.oid = x.indexrelid JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {})",
        joined(all, " AND "),
    );
    let shown = joined([name, table, columns], " ");
    Ok(Condition::Query { shown: format!("indexExists {shown}"), sql })
}

fn constraint(
    node: &Node,
    exact: bool,
    kind: &str,
    table: Option<&str>,
    name: Option<&str>,
    columns: Option<&str>,
) -> Result<Condition, ChangelogError> {
    if table.is_none() && name.is_none() {
        return Err(node.error(format!("`{}` names neither a table nor a constraint", node.name())));
    }
    let stored = |name| literal(&Named { schema: None, name, exact }.stored());
    let schema = Named { schema: node.filled("schemaName"), name: "", exact }.schema_sql();
    let all = [
        Some(format!("o.contype = '{kind}' AND n.nspname = {schema}")),
        table.map(|table| format!("c.relname = {}", stored(table))),
        // Liquibase compares constraint names without regard to case.
        name.map(|name| format!("lower(o.conname) = lower({})", literal(name))),
        columns.map(|columns| {
            format!(
                "(SELECT array_agg(a.attname::text ORDER BY k.nth) \
                 FROM unnest(o.conkey) WITH ORDINALITY k(attnum, nth) \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid \
                 AND a.attnum = k.attnum) = {}",
                array(columns, exact)
            )
        }),
    ];
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c \
         ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {})",
        joined(all, " AND "),
    );
    let shown = joined([table, name, columns], " ");
    Ok(Condition::Query { shown: format!("{} {shown}", node.name()), sql })
}

fn joined<T: AsRef<str>, const N: usize>(parts: [Option<T>; N], with: &str) -> String {
    let parts: Vec<_> = parts.iter().flatten().map(AsRef::as_ref).collect();
    parts.join(with)
}

fn array(columns: &str, exact: bool) -> String {
    let names: Vec<String> = columns
        .split(',')
        .map(|name| Named { schema: None, name: name.trim(), exact }.stored())
        .collect();
    crate::sql::text_array(names.iter().map(String::as_str))
}
