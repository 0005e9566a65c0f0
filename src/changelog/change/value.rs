//! Values of columns as SQL text: what a row gets, and what a default is.
//!
//! A `value` is a string and written as one. `valueComputed` is an expression by
//! its author's own word. In between Liquibase guesses: `NULL` and `NOW()` as a
//! `value` are what they say, and so are they here; that a `value` begins with
//! `to_date(` makes it an expression in Liquibase, but is refused here.

use super::given::Given;
use super::kind::{Family, Kind};
use super::{date, name, number};
use crate::changelog::ChangelogError;
use crate::sql::literal;

/// The fields that give a value, the first one that is there counts.
pub const VALUES: [&str; 9] = [
    "value",
    "valueBoolean",
    "valueNumeric",
    "valueDate",
    "valueComputed",
    "valueClobFile",
    "valueBlobFile",
    "valueSequenceNext",
    "valueSequenceCurrent",
];

/// The attributes that say a default value.
pub const DEFAULTS: [&str; 6] = [
    "defaultValue",
    "defaultValueBoolean",
    "defaultValueNumeric",
    "defaultValueDate",
    "defaultValueComputed",
    "defaultValueSequenceNext",
];

/// Whether a column says what its rows get.
pub fn has_one(column: &Given) -> bool {
    VALUES.iter().any(|name| column.value(name).is_some())
}

/// What a row gets; `schema` is where sequences are.
pub fn of(column: &Given, schema: Option<&str>) -> Result<String, ChangelogError> {
    for file in ["valueClobFile", "valueBlobFile"] {
        column.refuse(file, "Write the value itself, or load it with an `sql` change.")?;
    }
    let Some(field) = VALUES.into_iter().find(|name| column.value(name).is_some()) else {
        return Ok("NULL".into());
    };
    let text = column.needed(field);
    Ok(match field {
        "value" => string(text).ok_or_else(|| {
            column
                .error("a `value` that begins with `to_date(` is an expression in Liquibase")
                .hint("Write it as `valueComputed`.")
        })?,
        "valueBoolean" => flag(column.is(field)).into(),
        "valueNumeric" => number::plain(text).unwrap_or_else(|| text.to_owned()),
        "valueDate" => literal(&date::in_sql(text)),
        "valueSequenceNext" => sequence("nextval", schema, text),
        "valueSequenceCurrent" => sequence("currval", schema, text),
        _ => expression(text),
    })
}

/// A string; `NULL` and `NOW()` are what they say. `None` if Liquibase takes it for an expression.
pub fn string(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("null") {
        Some("NULL".into())
    } else if text.eq_ignore_ascii_case("now()") {
        Some("NOW()".into())
    } else if text.starts_with("to_date(") {
        None
    } else {
        Some(literal(text))
    }
}

/// `TRUE` or `FALSE`.
pub fn flag(flag: bool) -> &'static str {
    if flag { "TRUE" } else { "FALSE" }
}

/// An expression as its author wrote it; the current time in all its spellings is `NOW()`.
pub fn expression(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let is_now = lower.starts_with("current_timestamp") || lower.starts_with("current_datetime");
    if is_now || lower == "now()" { "NOW()".into() } else { text.to_owned() }
}

/// `nextval('"schema"."sequence"')`.
pub fn sequence(function: &str, schema: Option<&str>, sequence: &str) -> String {
    format!("{function}({})", literal(&name::qualified(schema, sequence)))
}

/// A column's default, for its type.
pub fn default(column: &Given, kind: Option<&Kind>) -> Option<String> {
    let field = DEFAULTS.into_iter().find(|name| column.value(name).is_some())?;
    let text = column.needed(field);
    let family = kind.map_or(Family::Other, |kind| kind.family);
    Some(match field {
        "defaultValue" => default_string(text, family),
        "defaultValueBoolean" => default_flag(column.is(field), family),
        "defaultValueNumeric" => default_number(text, family),
        "defaultValueDate" => literal(&date::in_sql(text)),
        "defaultValueSequenceNext" => sequence("nextval", None, text),
        _ => expression(text),
    })
}

fn default_string(text: &str, family: Family) -> String {
    if text.eq_ignore_ascii_case("null") {
        return "NULL".into();
    }
    match family {
        Family::Integer | Family::Number => match number::plain(text) {
            Some(number) => number::short(&number).to_owned(),
            // `nextval('s')`: what is no number is an expression there.
            None if text.contains('(') => text.to_owned(),
            None => literal(text),
        },
        Family::Boolean => match text.replace('\'', "").to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "b1" => "TRUE".into(),
            "false" | "f" | "0" | "b0" => "FALSE".into(),
            _ => literal(text),
        },
        Family::Bit => bits(text).unwrap_or_else(|| literal(text)),
        Family::Clob if is_literal(text) => text.to_owned(),
        Family::Timestamp if text.eq_ignore_ascii_case("now()") => "NOW()".into(),
        // A call without arguments, and nothing else.
        Family::Timestamp if is_call(text) => text.to_owned(),
        _ => literal(text),
    }
}

fn default_flag(value: bool, family: Family) -> String {
    let digit = if value { "1" } else { "0" };
    match family {
        Family::Integer | Family::Number => digit.into(),
        Family::Bit => format!("B'{digit}'"),
        Family::Boolean => flag(value).into(),
        _ => literal(if value { "true" } else { "false" }),
    }
}

fn default_number(text: &str, family: Family) -> String {
    let Some(number) = number::plain(text) else { return text.to_owned() };
    let short = number::short(&number);
    match family {
        Family::Integer | Family::Number => short.to_owned(),
        Family::Boolean => flag(short == "1").into(),
        Family::Bit => bits(&number).unwrap_or_else(|| literal(&number)),
        _ => literal(short),
    }
}

/// `B'101'` for `101`, `b'101'`, `b'101'::bit`.
fn bits(text: &str) -> Option<String> {
    let bare = text.trim().to_ascii_lowercase().replace(['\'', '"'], "");
    let bare = bare.strip_suffix("::bit").unwrap_or(&bare);
    let bare = bare.strip_prefix('b').unwrap_or(bare);
    let fits = !bare.is_empty() && bare.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    fits.then(|| format!("B'{bare}'"))
}

/// Whether the author wrote the quotes already.
fn is_literal(text: &str) -> bool {
    let inside = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inside.is_some_and(|inside| !inside.replace("''", "").contains(['\'', '\\']))
}

fn is_call(text: &str) -> bool {
    let name = text.strip_suffix("()").unwrap_or_default();
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_a_string_whatever_it_looks_like() {
        assert_eq!(string("it's").as_deref(), Some("'it''s'"));
        assert_eq!(string("'); DROP TABLE t; --").as_deref(), Some("'''); DROP TABLE t; --'"));
        assert_eq!(string("null").as_deref(), Some("NULL"));
        assert_eq!(string("now()").as_deref(), Some("NOW()"));
        assert_eq!(string("to_date('1','2')"), None);
    }

    #[test]
    fn a_default_is_written_for_its_type() {
        for (text, family, expected) in [
            ("7.00", Family::Integer, "7"),
            ("x", Family::Integer, "'x'"),
            ("nextval('s')", Family::Integer, "nextval('s')"),
            ("T", Family::Boolean, "TRUE"),
            ("101", Family::Bit, "B'101'"),
            ("b'1'::\"bit\"", Family::Bit, "B'1'"),
            ("'abc'", Family::Clob, "'abc'"),
            ("'a' || 'b'", Family::Clob, "'''a'' || ''b'''"),
            ("''; DROP TABLE t; --'", Family::Clob, "'''''; DROP TABLE t; --'''"),
            ("clock_timestamp()", Family::Timestamp, "clock_timestamp()"),
            ("f(); g()", Family::Timestamp, "'f(); g()'"),
            ("2020-01-01", Family::Timestamp, "'2020-01-01'"),
            ("NULL", Family::Char, "NULL"),
            ("{}", Family::Other, "'{}'"),
        ] {
            assert_eq!(default_string(text, family), expected, "{text}");
        }
        assert_eq!(default_number("1,000", Family::Integer), "1000");
        assert_eq!(default_number("1", Family::Boolean), "TRUE");
        assert_eq!(default_number("5", Family::Char), "'5'");
        assert_eq!(default_flag(true, Family::Integer), "1");
        assert_eq!(default_flag(false, Family::Bit), "B'0'");
    }

    #[test]
    fn the_current_time_has_one_spelling() {
        let all =
            ["CURRENT_TIMESTAMP", "current_datetime", "now()", "CURRENT_DATE"].map(expression);
        assert_eq!(all, ["NOW()", "NOW()", "NOW()", "CURRENT_DATE"]);
    }
}
