//! One value of a CSV file as SQL text, by the type of its column.
//!
//! Whatever stands in the file is a literal; the server makes of it what the
//! column is. Only `COMPUTED` columns hold SQL, for their author says so, and
//! `SEQUENCE` columns the names of sequences.

use super::{date, number, value};
use crate::sql::literal;

/// What a column of a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `BOOLEAN`.
    Boolean,
    /// `NUMERIC`.
    Numeric,
    /// `DATE`, `DATETIME`, `TIME`.
    Date,
    /// `STRING`.
    String,
    /// `COMPUTED`.
    Computed,
    /// `SEQUENCE`.
    Sequence,
    /// `SKIP`.
    Skip,
    /// `BLOB`, `CLOB`.
    Lob,
    /// `UUID`, `OTHER`, and any other word.
    Other,
}

impl Type {
    /// By its name in a changelog.
    pub fn of(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => Self::Boolean,
            "NUMERIC" => Self::Numeric,
            "DATE" | "DATETIME" | "TIME" => Self::Date,
            "STRING" => Self::String,
            "COMPUTED" => Self::Computed,
            "SEQUENCE" => Self::Sequence,
            "SKIP" => Self::Skip,
            "BLOB" | "CLOB" => Self::Lob,
            _ => Self::Other,
        }
    }

    /// By the `typcategory` of the table's column.
    pub fn of_category(category: &str) -> Self {
        match category {
            "B" => Self::Boolean,
            "N" => Self::Numeric,
            "D" => Self::Date,
            "S" => Self::String,
            _ => Self::Other,
        }
    }
}

/// A value; `None` is an empty one. An error says what is wrong with it.
pub fn in_sql(
    kind: Option<Type>,
    text: Option<&str>,
    schema: Option<&str>,
) -> Result<String, String> {
    if text.is_some_and(|text| text.eq_ignore_ascii_case("null")) {
        return Ok("NULL".into());
    }
    let Some(text) = text else {
        return match kind {
            // An empty text is a text; an empty number is none.
            Some(Type::String) => Ok("''".into()),
            Some(Type::Sequence) => {
                Err("there is no name of a sequence, and no `defaultValue`".into())
            }
            _ => Ok("NULL".into()),
        };
    };
    Ok(match kind {
        Some(Type::Boolean) => value::flag(is_true(text)).into(),
        Some(Type::Numeric) => number::plain(text).unwrap_or_else(|| literal(text)),
        Some(Type::Date) => moment(text)?,
        Some(Type::Computed) => value::expression(text),
        Some(Type::Sequence) => value::sequence("nextval", schema, text),
        _ if text.eq_ignore_ascii_case("now()") => "NOW()".into(),
        _ => literal(text),
    })
}

/// What Liquibase takes for true; all else is false.
fn is_true(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let word = matches!(text.as_str(), "true" | "t" | "yes" | "y" | "1");
    word || text.parse::<i32>().is_ok_and(|number| number > 0)
}

/// A date, or the time of the run with what is added to it: `NOW`, `NOW+2h`, `TODAY-1`.
fn moment(text: &str) -> Result<String, String> {
    if let Some(date) = date::iso(text) {
        return Ok(literal(&date::in_sql(&date)));
    }
    let lower = text.to_ascii_lowercase();
    let (rest, today) = match (lower.strip_prefix("now"), lower.strip_prefix("today")) {
        _ if lower == "now()" => return Ok("NOW()".into()),
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        (None, None) => return Ok(literal(text)),
    };
    if rest.is_empty() {
        return Ok("LOCALTIMESTAMP".into());
    }
    let wrong = || format!("`{text}` is no date; write `NOW+2h`, `NOW-3days` or `TODAY+1`");
    let digits = rest.strip_prefix(['+', '-']).ok_or_else(wrong)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (count, unit) = digits.split_at(end);
    let units = ["years", "days", "hours", "minutes"];
    let unit = match unit {
        "" if today => Some("days"),
        "" => None,
        _ if today => None,
        unit => units.into_iter().find(|it| it.starts_with(unit)),
    };
    let fits = !count.is_empty() && count.len() < 10;
    let unit = unit.filter(|_| fits).ok_or_else(wrong)?;
    Ok(format!("LOCALTIMESTAMP {} INTERVAL '{count} {unit}'", &rest[..1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_file_is_a_literal() {
        let sql = |kind, text| in_sql(Some(kind), text, None);
        for (kind, text, expected) in [
            (Type::String, "it's", "'it''s'"),
            (Type::String, "NULL", "NULL"),
            (Type::Numeric, "1,000.50", "1000.50"),
            (Type::Numeric, "1); DROP TABLE t; --", "'1); DROP TABLE t; --'"),
            (Type::Numeric, "now()", "'now()'"),
            (Type::Boolean, "Yes", "TRUE"),
            (Type::Boolean, "2", "TRUE"),
            (Type::Boolean, "nope", "FALSE"),
            (Type::Date, "2020-01-02T03:04:05", "'2020-01-02 03:04:05'"),
            (Type::Date, "f()", "'f()'"),
            (Type::Date, "NOW-3d", "LOCALTIMESTAMP - INTERVAL '3 days'"),
            (Type::Date, "today+1", "LOCALTIMESTAMP + INTERVAL '1 days'"),
            (Type::Computed, "upper('a')", "upper('a')"),
            (Type::Sequence, "S", "nextval('\"s\"')"),
            (Type::Other, "to_date('x')", "'to_date(''x'')'"),
        ] {
            assert_eq!(sql(kind, Some(text)).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(sql(Type::String, None).as_deref(), Ok("''"));
        assert_eq!(sql(Type::Numeric, None).as_deref(), Ok("NULL"));
        assert_eq!(in_sql(None, None, None).as_deref(), Ok("NULL"));
        assert!(sql(Type::Sequence, None).is_err() && sql(Type::Date, Some("nowhere")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_value_gives_sql_or_an_error(text in "(now|today)?[-+]?[0-9]{0,12}.{0,8}") {
            for kind in [Type::Boolean, Type::Numeric, Type::Date, Type::String, Type::Other] {
                let _ = in_sql(Some(kind), Some(&text), None);
            }
        }
    }
}
