//! Attributes on a line: `name:value`, in any order, anywhere on it.
//!
//! Liquibase looks for each with a greedy pattern: the last one counts, and a name
//! may be the end of another word. That is kept, for contexts, labels and paths
//! that run today depend on it.

use super::directive::{is_space, is_word};

/// The attributes of a line.
pub struct Attributes<'a> {
    line: &'a str,
    /// Where colons stand: some twenty names are asked for on every line.
    colons: Vec<usize>,
}

impl<'a> Attributes<'a> {
    /// Looks for them on a line.
    pub fn of(line: &'a str) -> Self {
        let colons = line.bytes().enumerate().filter(|(_, byte)| *byte == b':').map(|(at, _)| at);
        Self { line, colons: colons.collect() }
    }

    /// What stands after `name:` wherever it does, the last one first, with the place of the name.
    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (usize, &'a str)> + use<'s, 'a> {
        let line = self.line;
        self.colons.iter().rev().filter_map(move |&colon| {
            let at = colon.checked_sub(name.len())?;
            let found = line.as_bytes()[at..colon].eq_ignore_ascii_case(name.as_bytes());
            found.then(|| (at, &line[colon + 1..]))
        })
    }

    /// A value without blanks; it may be empty.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.all(name).next().map(|(_, rest)| until_space(rest))
    }

    /// The same where the name is a word by itself: `endDelimiter` but not `rollbackEndDelimiter`.
    pub fn text_of_own(&self, name: &str) -> Option<&'a str> {
        let own = |at: usize| at == 0 || !is_word(self.line.as_bytes()[at - 1]);
        self.all(name).find(|&(at, _)| own(at)).map(|(_, rest)| until_space(rest))
    }

    /// A value without blanks that may stand after some; it is not empty.
    pub fn spaced(&self, name: &str) -> Option<&'a str> {
        let rests = self.all(name);
        let mut values = rests.map(|(_, it)| until_space(it.trim_start_matches(is_space)));
        values.find(|it| !it.is_empty())
    }

    /// A word; it is not empty.
    pub fn word(&self, name: &str) -> Option<&'a str> {
        self.run(name, is_word)
    }

    /// Some characters of a kind.
    pub fn run(&self, name: &str, kind: fn(u8) -> bool) -> Option<&'a str> {
        let run = |rest: &'a str| &rest[..rest.bytes().take_while(|it| kind(*it)).count()];
        self.all(name).map(|(_, rest)| run(rest)).find(|it| !it.is_empty())
    }

    /// Whether a word is `true`; every other word means `false`.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.word(name).map_or(default, |it| it.eq_ignore_ascii_case("true"))
    }

    /// A value in double quotes, or one without blanks; quotes around it are taken away.
    pub fn quoted(&self, name: &str) -> Option<&'a str> {
        let (_, rest) = self.all(name).next()?;
        let end = rest.strip_prefix('"').and_then(|it| it.find('"'));
        Some(unquoted(end.map_or_else(|| until_space(rest), |end| &rest[..end + 2])))
    }

    /// `dbms`: any character but a comma, then words, `!` and commas.
    pub fn products(&self) -> Option<&'a str> {
        self.all("dbms").find_map(|(_, rest)| {
            let first = rest.chars().next().filter(|&it| it != ',')?.len_utf8();
            let more = rest[first..].bytes();
            let more = more.take_while(|&it| is_word(it) || it == b'!' || it == b',').count();
            (more > 0).then(|| &rest[..first + more])
        })
    }
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
        let line = Attributes::of(line);
        assert_eq!(line.quoted("context"), Some("b 2"));
        assert_eq!(line.quoted("labels"), Some("x"));
        assert_eq!(line.quoted("contextFilter"), None);
        assert_eq!(line.word("splitStatements"), Some("false"));
        assert_eq!(line.text("endDelimiter"), Some("@"));
        assert_eq!(line.text_of_own("endDelimiter"), Some("/"));
        assert_eq!(line.spaced("name"), Some("n"));
        assert_eq!(line.products(), Some(" postgresql"));
        let flag = |line, default| Attributes::of(line).flag("x", default);
        assert!(!flag("x:yes", true) && flag("x:TRUE", false) && flag("", true));
    }

    #[test]
    fn a_value_ends_where_liquibase_ends_it() {
        assert_eq!(Attributes::of("context:\"a context:b\"").quoted("context"), Some("b\""));
        assert_eq!(Attributes::of("context:x or y").quoted("context"), Some("x"));
        assert_eq!(Attributes::of("context:").quoted("context"), Some(""));
        assert_eq!(Attributes::of("dbms:\"postgresql\"").products(), Some("\"postgresql"));
        assert_eq!(Attributes::of("dbms:h").products(), None);
        assert_eq!(Attributes::of("dbms:é!a,b c").products(), Some("é!a,b"));
        assert_eq!(Attributes::of("é:x").text("é"), Some("x"));
        assert_eq!(Attributes::of("aé:x").text("\u{a9}"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_gives_values_or_none(line in "((dbms|a|é)?:[\"' é!,]{0,3}){0,4}") {
            let line = Attributes::of(&line);
            let _ = (line.text("a"), line.quoted("a"), line.products(), line.word("dbms"));
        }
    }
}
