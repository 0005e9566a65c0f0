//! Preconditions of formatted SQL: `sql-check`, `table-exists`, `view-exists`.
//!
//! Tables and views are looked for in the catalog as Liquibase finds them: without
//! regard to case, in the schema that is named or the session's current one;
//! partitioned and unlogged tables count, foreign and temporary ones and
//! materialized views do not.

use crate::changelog::precondition::{Condition, Otherwise, Preconditions};
use crate::sql::literal;

use super::attributes::Attributes;
use super::directive::after;

/// What is wrong with a precondition, and what to do about it.
pub type Wrong = (String, &'static str);

/// The words after `--preconditions`.
pub fn container(body: &str) -> Result<Preconditions, Wrong> {
    if Attributes::of(body).word("onSqlOutput").is_some()
        && Attributes::of(body).word("onUpdateSQL").is_some()
    {
        let what = "`onSqlOutput` and `onUpdateSQL` are two names for one thing".to_owned();
        return Err((what, "Keep `onSqlOutput`."));
    }
    Ok(Preconditions {
        on_fail: otherwise(body, "onFail")?,
        on_error: otherwise(body, "onError")?,
        on_fail_message: message(body, "onFailMessage"),
        on_error_message: message(body, "onErrorMessage"),
        ..none()
    })
}

/// Preconditions that nobody introduced.
pub fn none() -> Preconditions {
    Preconditions {
        all: Vec::new(),
        on_fail: Otherwise::Halt,
        on_error: Otherwise::Halt,
        on_fail_message: None,
        on_error_message: None,
    }
}

fn otherwise(body: &str, name: &str) -> Result<Otherwise, Wrong> {
    let Some(word) = Attributes::of(body).word(name) else { return Ok(Otherwise::Halt) };
    Ok(match word.to_ascii_uppercase().as_str() {
        "HALT" => Otherwise::Halt,
        "CONTINUE" => Otherwise::Continue,
        "MARK_RAN" => Otherwise::MarkRan,
        "WARN" => Otherwise::Warn,
        _ => {
            let what = format!("`{name}:{word}` is not known");
            return Err((what, "Write HALT, CONTINUE, MARK_RAN or WARN."));
        }
    })
}

fn message(body: &str, name: &str) -> Option<String> {
    let text = Attributes::of(body).quoted(name)?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// One condition; its body is expanded already.
pub fn condition(kind: &str, body: Option<&str>) -> Result<Condition, Wrong> {
    let body = body.unwrap_or_default().trim();
    match kind {
        "sql-check" => sql_check(body).ok_or_else(|| {
            let what = format!("`--precondition-sql-check {body}` names no result and query");
            (what, "Write `--precondition-sql-check expectedResult:0 SELECT …`; a result that is not one \
                    word stands in quotes.")
        }),
        "table-exists" => exists(body, "table", "tableExists", "'r', 'p'"),
        "view-exists" => exists(body, "view", "viewExists", "'v'"),
        _ => Err((
            format!("the precondition `{kind}` is not supported in formatted SQL"),
            "Use sql-check, table-exists or view-exists (lower case).",
        )),
    }
}

/// `[expectedResult:]X SQL`: X is a word, or in quotes.
fn sql_check(body: &str) -> Option<Condition> {
    let parts = |text: &'_ str| -> Option<(String, String)> {
        let quote = text.chars().next().filter(|it| matches!(it, '\'' | '"'));
        let (expected, rest) = if let Some(quote) = quote {
            let end = text[1..].find(quote).filter(|&end| end > 0)? + 1;
            (&text[1..end], &text[end + 1..])
        } else {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = text.find(|c| !word(c)).filter(|&end| end > 0)?;
            text.split_at(end)
        };
        Some((expected.to_owned(), rest.strip_prefix(' ')?.to_owned()))
    };
    let named = after(body, "expectedResult:").and_then(parts);
    let (expected, sql) = named.or_else(|| parts(body))?;
    Some(Condition::SqlCheck { expected, sql })
}

fn exists(body: &str, what: &str, shown: &str, kinds: &str) -> Result<Condition, Wrong> {
    let Some(name) = Attributes::of(body).word(what) else {
        let wrong = format!("`--precondition-{what}-exists {body}` names no {what}");
        return Err((
            wrong,
            "Write its name after a colon, without quotes: `table:orders`, `view:sums`.",
        ));
    };
    let schema = Attributes::of(body).word("schema");
    let within = schema.map_or_else(
        || "n.nspname = pg_catalog.current_schema()".to_owned(),
        |schema| format!("pg_catalog.lower(n.nspname) = pg_catalog.lower({})", literal(schema)),
    );
    let shown = match schema {
        Some(schema) => format!("{shown} {schema}.{name}"),
        None => format!("{shown} {name}"),
    };
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = \
         c.relnamespace WHERE c.relkind IN ({kinds}) AND {within} AND pg_catalog.lower(c.relname) = \
         pg_catalog.lower({}))",
        literal(name)
    );
    Ok(Condition::Query { shown, sql })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_a_result_and_a_query() {
        for (body, expected) in [
            ("expectedResult:0 select 1", Some(("0", "select 1"))),
            ("EXPECTEDRESULT:'a b' select 1 ", Some(("a b", "select 1"))),
            ("\"t\" select  true", Some(("t", "select  true"))),
            ("7 select 7", Some(("7", "select 7"))),
            ("expectedResult:1.0 select 1.0", None),
            ("expectedResult:1", None),
            ("'' select 1", None),
            ("", None),
        ] {
            let found = condition("sql-check", Some(body)).ok();
            let expected = expected.map(|(expected, sql)| Condition::SqlCheck {
                expected: expected.into(),
                sql: sql.into(),
            });
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn a_table_is_looked_for_in_its_schema_or_the_current_one() {
        let query = |kind, body| match condition(kind, Some(body)).unwrap() {
            Condition::Query { shown, sql } => (shown, sql),
            other => panic!("{other:?}"),
        };
        let (shown, sql) = query("table-exists", "table:Orders schema:s");
        assert_eq!(shown, "tableExists s.Orders");
        assert!(sql.contains("lower('Orders')") && sql.contains("lower('s')"));
        let (shown, sql) = query("view-exists", "view:v");
        assert_eq!(shown, "viewExists v");
        assert!(sql.contains("current_schema()") && sql.contains("('v')"));
        for (kind, body) in [("table-exists", "table:\"a b\""), ("view-exists", ""), ("x", "y")] {
            assert!(condition(kind, Some(body)).is_err());
        }
        assert!(condition("Sql-Check", Some("1 select 1")).is_err());
    }

    #[test]
    fn what_follows_a_failure_is_known_or_refused() {
        let found = container(" onFail:mark_ran onError:WARN onFailMessage:\"no table\"").unwrap();
        assert_eq!((found.on_fail, found.on_error), (Otherwise::MarkRan, Otherwise::Warn));
        assert_eq!(found.on_fail_message.as_deref(), Some("no table"));
        assert_eq!(container("").unwrap(), none());
        assert!(container(" onFail:NOPE").is_err());
        assert!(container(" onSqlOutput:TEST onUpdateSQL:TEST").is_err());
    }
}
