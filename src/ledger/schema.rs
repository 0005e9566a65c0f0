//! Where the ledger is: in a schema of its own, of which a database may have several.
//!
//! `schema.sql` is written for the usual name, so that it can be read and run as it
//! stands; for another name our own names in it are replaced, those in the bodies of its
//! functions too. The setting `execute_sql.working` is no object and keeps its name.

use std::borrow::Cow;

use crate::ident::Identifier;
use crate::sql::literal;

/// The schema where nobody asks for another.
pub const DEFAULT: &str = "execute_sql";

/// The statements for [`DEFAULT`].
const TEXT: &str = include_str!("schema.sql");

/// What encloses the bodies of functions in [`TEXT`].
const BODY: &str = "$body$";

/// The usual schema.
pub fn default_schema() -> Identifier {
    Identifier::new(DEFAULT).expect("it is short and plain")
}

/// The statements that make the ledger in `schema`; they may run again.
pub fn schema(schema: &Identifier) -> Cow<'static, str> {
    if schema.as_str() == DEFAULT {
        return Cow::Borrowed(TEXT);
    }
    let name = schema.quoted();
    let text = TEXT.replace(BODY, &enclosing(&name));
    let mut made = String::with_capacity(text.len() + 64 * name.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(DEFAULT) {
        let (before, after) = (&rest[..at], &rest[at + DEFAULT.len()..]);
        made += before;
        rest = after;
        if !before.ends_with('\'') {
            made += &name;
        } else if let Some(after) = after.strip_prefix('\'') {
            // The name as a value; what stands before it is its quote.
            made.pop();
            made += &literal(schema.as_str());
            rest = after;
        } else {
            made += DEFAULT;
        }
    }
    Cow::Owned(made + rest)
}

/// A dollar quote that does not end within `name`.
fn enclosing(name: &str) -> String {
    let mut tag = BODY.to_owned();
    while name.contains(&tag) {
        tag.insert(1, 'x');
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ledger_is_the_file_as_it_stands() {
        assert!(matches!(schema(&default_schema()), Cow::Borrowed(TEXT)));
    }

    #[test]
    fn another_schema_has_every_name_of_the_file_but_the_settings() {
        let acme = Identifier::new("acme ledger").unwrap();
        let text = schema(&acme);
        let left: Vec<_> = text.match_indices(DEFAULT).map(|(at, _)| &text[at..]).collect();
        assert_eq!(left.len(), 1);
        assert!(left[0].starts_with("execute_sql.working'"));
        let names = TEXT.matches(DEFAULT).count();
        assert_eq!(text.matches("acme ledger").count(), names - 1);
        assert!(text.contains("CREATE TABLE IF NOT EXISTS \"acme ledger\".resource ("));
        assert!(text.contains("nspname = 'acme ledger')"));
    }

    #[test]
    fn a_name_cannot_end_the_text_that_it_stands_in() {
        let name = Identifier::new("a'b\"c$body$d\\").unwrap();
        let text = schema(&name);
        assert!(text.contains("\"a'b\"\"c$body$d\\\".audit"));
        assert!(text.contains(&format!("nspname = {}", literal(name.as_str()))));
        assert_eq!(text.matches("$xbody$").count(), TEXT.matches(BODY).count());
    }
}
