//! Indexes that are built beside running work.
//!
//! When such a build fails it leaves an index that is not valid, and the next try finds
//! its name taken. Who runs the statement asks the catalog by these names.

use super::{Words, flag};
use crate::ident::MAX_BYTES;
use crate::sql::scan::Token;

/// A `CREATE INDEX CONCURRENTLY` or `REINDEX … CONCURRENTLY`, with names as PostgreSQL stores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrentIndex {
    /// `None`: it is created. Else, what is built anew.
    pub rebuilt: Option<Rebuilt>,
    /// The schema that is named: the table's for a new index (which goes there), else that of what
    /// is built anew.
    pub schema: Option<String>,
    /// The index; a new one may be left without a name.
    pub name: Option<String>,
    /// The table of a new index, or the table whose indexes are built anew.
    pub table: Option<String>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `UNIQUE`.
    pub unique: bool,
}

/// What `REINDEX` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// One index.
    Index,
    /// All of a table.
    Table,
    /// All of a schema, which is in `schema`.
    Schema,
    /// All of the database.
    Database,
}

/// What a statement says of such an index; `None` if it is another statement.
pub fn concurrent_index(statement: &str) -> Option<ConcurrentIndex> {
    let mut words = Words::of(statement);
    match words.any(&["create", "reindex"])? {
        "create" => created(words),
        _ => rebuilt(words),
    }
}

fn created(mut words: Words<'_>) -> Option<ConcurrentIndex> {
    let unique = words.take("unique");
    if !(words.take("index") && words.take("concurrently")) {
        return None;
    }
    let mut rest = words.clone();
    let if_not_exists = rest.take("if") && rest.take("not") && rest.take("exists");
    if if_not_exists {
        words = rest;
    }
    let name = if words.take("on") {
        None
    } else {
        let name = words.name().pop()?;
        words.take("on").then_some(())?;
        Some(name)
    };
    words.take("only");
    let mut table = words.name();
    let relation = Some(table.pop()?);
    Some(ConcurrentIndex {
        rebuilt: None,
        schema: table.pop(),
        name,
        table: relation,
        if_not_exists,
        unique,
    })
}

fn rebuilt(mut words: Words<'_>) -> Option<ConcurrentIndex> {
    let option = flag(&words.options(), "concurrently") == Some(true);
    let what = match words.any(&["index", "table", "schema", "database", "system"])? {
        "index" => Rebuilt::Index,
        "table" => Rebuilt::Table,
        "schema" => Rebuilt::Schema,
        "database" => Rebuilt::Database,
        // Catalogs are refused.
        _ => return None,
    };
    if !(words.take("concurrently") || option) {
        return None;
    }
    let mut parts = words.name();
    let named = parts.pop();
    let mut found = ConcurrentIndex {
        rebuilt: Some(what),
        schema: parts.pop(),
        name: None,
        table: None,
        if_not_exists: false,
        unique: false,
    };
    match what {
        Rebuilt::Index => found.name = Some(named?),
        Rebuilt::Table => found.table = Some(named?),
        Rebuilt::Schema => found.schema = Some(named?),
        Rebuilt::Database => {}
    }
    Some(found)
}

/// A name as PostgreSQL stores it: folded if it has no quotes, and cut at 63 bytes.
pub fn stored(token: Token<'_>) -> Option<String> {
    let mut name = match token {
        Token::Word(word) => word.to_ascii_lowercase(),
        Token::Quoted(text) => {
            let escaped = text.starts_with(['u', 'U']);
            let inner = text.get(if escaped { 3 } else { 1 }..text.len() - 1)?;
            let inner = inner.replace("\"\"", "\"");
            if escaped { unescaped(&inner)? } else { inner }
        }
        Token::Literal(_) | Token::Semicolon | Token::Other(_) => return None,
    };
    name.truncate(name.floor_char_boundary(MAX_BYTES));
    Some(name)
}

/// `U&"…"`: `\` with four digits, `\+` with six, `\\`.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut parts = text.split('\\');
    out.extend(parts.next()?.encode_utf16());
    while let Some(part) = parts.next() {
        if part.is_empty() {
            out.push(u16::from(b'\\'));
            out.extend(parts.next()?.encode_utf16());
            continue;
        }
        let (from, to) = if part.starts_with('+') { (1, 7) } else { (0, 4) };
        let code = u32::from_str_radix(part.get(from..to)?, 16).ok()?;
        match u16::try_from(code) {
            // Half of a pair is a code unit.
            Ok(unit) => out.push(unit),
            Err(_) => out.extend(char::from_u32(code)?.encode_utf16(&mut [0; 2]).iter()),
        }
        out.extend(part[to..].encode_utf16());
    }
    String::from_utf16(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = (Option<&'static str>, Option<&'static str>, Option<&'static str>, bool, bool);

    fn parts(found: &ConcurrentIndex) -> (Option<&str>, Option<&str>, Option<&str>, bool, bool) {
        let ConcurrentIndex { schema, name, table, if_not_exists, unique, .. } = found;
        (schema.as_deref(), name.as_deref(), table.as_deref(), *if_not_exists, *unique)
    }

    #[test]
    fn a_new_index_is_known_by_its_names() {
        let cases: [(&str, Parts); 7] = [
            (
                "CREATE INDEX CONCURRENTLY Idx ON T (a)",
                (None, Some("idx"), Some("t"), false, false),
            ),
            (
                "create unique index concurrently if not exists \"I \"\"x\" on only S.\"T\" using btree (a)",
                (Some("s"), Some("I \"x"), Some("T"), true, true),
            ),
            (
                "CREATE INDEX CONCURRENTLY ON public.t(a)",
                (Some("public"), None, Some("t"), false, false),
            ),
            ("CREATE INDEX CONCURRENTLY if ON t(a)", (None, Some("if"), Some("t"), false, false)),
            (
                "CREATE INDEX CONCURRENTLY /* x ON y */ u&\"d\\0061t\\+00006Fo\" ON t(a)",
                (None, Some("datoo"), Some("t"), false, false),
            ),
            (
                "CREATE INDEX CONCURRENTLY i ON db.s.t(a)",
                (Some("s"), Some("i"), Some("t"), false, false),
            ),
            ("CREATE INDEX CONCURRENTLY é ON T$1(a)", (None, Some("é"), Some("t$1"), false, false)),
        ];
        for (sql, expected) in cases {
            let found = concurrent_index(sql).unwrap_or_else(|| panic!("{sql}"));
            assert_eq!((found.rebuilt, parts(&found)), (None, expected), "{sql}");
        }
        let long = format!("CREATE INDEX CONCURRENTLY {}é ON t(a)", "x".repeat(62));
        assert_eq!(concurrent_index(&long).unwrap().name, Some("x".repeat(62)));
        for sql in [
            "CREATE INDEX i ON t (a)",
            "CREATE INDEX CONCURRENTLY",
            "CREATE INDEX CONCURRENTLY i",
            "SELECT 'CREATE INDEX CONCURRENTLY i ON t(a)'",
            "CREATE INDEX CONCURRENTLY U&\"\\zz\" ON t(a)",
        ] {
            assert_eq!(concurrent_index(sql), None, "{sql}");
        }
    }

    #[test]
    fn an_index_that_is_built_anew_is_known_too() {
        let cases: [(&str, Rebuilt, Parts); 4] = [
            (
                "REINDEX INDEX CONCURRENTLY s.I",
                Rebuilt::Index,
                (Some("s"), Some("i"), None, false, false),
            ),
            (
                "REINDEX (CONCURRENTLY, VERBOSE) TABLE t",
                Rebuilt::Table,
                (None, None, Some("t"), false, false),
            ),
            (
                "reindex schema concurrently S",
                Rebuilt::Schema,
                (Some("s"), None, None, false, false),
            ),
            ("REINDEX DATABASE CONCURRENTLY", Rebuilt::Database, (None, None, None, false, false)),
        ];
        for (sql, what, expected) in cases {
            let found = concurrent_index(sql).unwrap_or_else(|| panic!("{sql}"));
            assert_eq!((found.rebuilt, parts(&found)), (Some(what), expected), "{sql}");
        }
        assert_eq!(concurrent_index("REINDEX TABLE t"), None);
        assert_eq!(concurrent_index("REINDEX TABLE CONCURRENTLY"), None);
    }
}
