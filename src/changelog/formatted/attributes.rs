//! Attributes on a line: `name:value`, in any order, anywhere on it.
//!
//! Liquibase looks for each with a greedy pattern: the last one counts, and a name
//! may be the end of another word. That is kept, for contexts, labels and paths
//! that run today depend on it.

use super::directive::{is_space, is_word};

/// What stands after `name:` wherever it does, the last one first, with the place of the name.
fn all<'a>(line: &'a str, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    line.rmatch_indices(':').filter_map(move |(colon, _)| {
        let at = colon.checked_sub(name.len())?;
        let found = line.as_bytes()[at..colon].eq_ignore_ascii_case(name.as_bytes());
        found.then(|| (at, &line[colon + 1..]))
    })
}

/// A value without blanks; it may be empty.
pub fn text<'a>(line: &'a str, name: &'a str) -> Option<&'a str> {
    all(line, name).next().map(|(_, rest)| until_space(rest))
}

/// The same where the name is a word by itself: `endDelimiter` but not `rollbackEndDelimiter`.
pub fn text_of_own<'a>(line: &'a str, name: &'a str) -> Option<&'a str> {
    let own = |at: usize| at == 0 || !is_word(line.as_bytes()[at - 1]);
    all(line, name).find(|&(at, _)| own(at)).map(|(_, rest)| until_space(rest))
}

/// A value without blanks that may stand after some; it is not empty.
pub fn spaced<'a>(line: &'a str, name: &'a str) -> Option<&'a str> {
    let rests = all(line, name).map(|(_, rest)| until_space(rest.trim_start_matches(is_space)));
    rests.into_iter().find(|it| !it.is_empty())
}

/// A word; it is not empty.
pub fn word<'a>(line: &'a str, name: &'a str) -> Option<&'a str> {
    run(line, name, is_word)
}

/// Some characters of a kind.
pub fn run<'a>(line: &'a str, name: &'a str, kind: fn(u8) -> bool) -> Option<&'a str> {
    let run = |rest: &'a str| &rest[..rest.bytes().take_while(|it| kind(*it)).count()];
    all(line, name).map(|(_, rest)| run(rest)).find(|it| !it.is_empty())
}

/// Whether a word is `true`; every other word means `false`.
pub fn flag(line: &str, name: &str, default: bool) -> bool {
    word(line, name).map_or(default, |it| it.eq_ignore_ascii_case("true"))
}

/// A value in double quotes, or one without blanks; quotes around it are taken away.
pub fn quoted<'a>(line: &'a str, name: &'a str) -> Option<&'a str> {
    let (_, rest) = all(line, name).next()?;
    let end = rest.strip_prefix('"').and_then(|it| it.find('"'));
    Some(unquoted(end.map_or_else(|| until_space(rest), |end| &rest[..end + 2])))
}

/// `dbms`: any character but a comma, then words, `!` and commas.
pub fn products(line: &str) -> Option<&str> {
    all(line, "dbms").find_map(|(_, rest)| {
        let first = rest.chars().next().filter(|&it| it != ',')?.len_utf8();
        let more = rest[first..].bytes().take_while(|&it| is_word(it) || it == b'!' || it == b',');
        Some(more.count()).filter(|&more| more > 0).map(|more| &rest[..first + more])
    })
}

/// Without the quotes around it, single or double.
pub fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

fn until_space(text: &str) -> &str {
    &text[..text.find(is_space).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts() {
        let line = "--changeset a:1 context:b1 CONTEXT:\"b 2\" labels:'x' splitStatements: \
                    rollbackSplitStatements:false endDelimiter:/ rollbackEndDelimiter:@ name:  n dbms: \
                    postgresql dbms:,";
        assert_eq!(quoted(line, "context"), Some("b 2"));
        assert_eq!(quoted(line, "labels"), Some("x"));
        assert_eq!(quoted(line, "contextFilter"), None);
        assert_eq!(word(line, "splitStatements"), Some("false"));
        assert_eq!(text(line, "endDelimiter"), Some("@"));
        assert_eq!(text_of_own(line, "endDelimiter"), Some("/"));
        assert_eq!(spaced(line, "name"), Some("n"));
        assert_eq!(products(line), Some(" postgresql"));
        assert!(!flag("x:yes", "x", true) && flag("x:TRUE", "x", false) && flag("", "x", true));
    }

    #[test]
    fn a_value_ends_where_liquibase_ends_it() {
        assert_eq!(quoted("context:\"a context:b\"", "context"), Some("b\""));
        assert_eq!(quoted("context:x or y", "context"), Some("x"));
        assert_eq!(quoted("context:", "context"), Some(""));
        assert_eq!(products("dbms:\"postgresql\""), Some("\"postgresql"));
        assert_eq!(products("dbms:h"), None);
        assert_eq!(products("dbms:é!a,b c"), Some("é!a,b"));
        assert_eq!(text("é:x", "é"), Some("x"));
        assert_eq!(text("aé:x", "\u{a9}"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_gives_values_or_none(line in "((dbms|a|é)?:[\"' é!,]{0,3}){0,4}") {
            let _ = (text(&line, "a"), quoted(&line, "a"), products(&line), word(&line, "dbms"));
        }
    }
}
