//! What changed in an SQL text, in a few lines that a person can read.
//!
//! For messages, so it is short: a few lines, long ones cut, of long texts only
//! the first part that differs. Passwords and SCRAM verifiers are blotted out
//! before anything is compared, so a text that differs in nothing else is said to
//! differ in what is not shown. It cannot know what else in a text is a secret.

use similar::{Algorithm, ChangeTag, DiffTag, capture_diff_slices, group_diff_ops};

use super::scan::{Token, tokens};

/// Unchanged lines beside the changed ones.
const CONTEXT: usize = 1;
/// Lines of either text that are compared, about from the first that differs.
const COMPARED: usize = 2_000;
/// Characters of a line that are shown.
const WIDTH: usize = 120;

/// The difference between what was applied and what is there now, at most `most` lines and one that
/// says that there are more; empty if both are the same. `@@ 3` says which line of the new text comes
/// next, `-` was there, `+` is there.
pub fn difference(applied: &str, now: &str, most: usize) -> String {
    if applied == now {
        return String::new();
    }
    let (applied, now) = (blotted(applied), blotted(now));
    let (old, new): (Vec<_>, Vec<_>) = (applied.lines().collect(), now.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(old, new)| old == new).count()
    };
    let before = same(&mut old.iter().zip(&new));
    let after = same(&mut old[before..].iter().rev().zip(new[before..].iter().rev()));
    let from = before.saturating_sub(CONTEXT);
    let middle = |lines: &[&str]| from..(lines.len() - after + CONTEXT).min(lines.len());
    let (old, new) = (&old[middle(&old)], &new[middle(&new)]);
    let is_cut = old.len().max(new.len()) > COMPARED;
    let (old, new) = (&old[..old.len().min(COMPARED)], &new[..new.len().min(COMPARED)]);

    let mut operations = capture_diff_slices(Algorithm::Myers, old, new);
    if is_cut && operations.len() > 2 {
        // What differs at the cut may not differ in the whole.
        operations.pop_if(|last| last.tag() != DiffTag::Equal);
    }
    let mut lines = Vec::new();
    for group in group_diff_ops(operations, CONTEXT) {
        let first = group.first().map_or(0, |operation| operation.new_range().start);
        lines.push(format!("@@ {}", from + first + 1));
        for change in group.iter().flat_map(|operation| operation.iter_changes(old, new)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push(format!("{sign}{}", short(change.value())));
        }
        if lines.len() > most {
            break;
        }
    }
    if lines.is_empty() {
        return "only in line ends, or in what is not shown".to_owned();
    }
    if is_cut || lines.len() > most {
        lines.truncate(most);
        lines.push("… and more".to_owned());
    }
    lines.join("\n")
}

fn short(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The text with passwords and verifiers blotted out; its lines stay where they are.
fn blotted(sql: &str) -> String {
    blotted_within(sql, 8)
}

/// The same with so many bodies in bodies; what is deeper is blotted out.
fn blotted_within(sql: &str, deep: usize) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut done = 0;
    let mut is_secret = false;
    for token in tokens(sql) {
        match token {
            Token::Literal(text) => {
                let at = text.as_ptr().addr().saturating_sub(sql.as_ptr().addr());
                if let Some(shown) = shown(text, is_secret, deep).filter(|_| at >= done) {
                    out.push_str(&sql[done..at]);
                    out.push_str(&shown);
                    done = at + text.len();
                }
                is_secret = false;
            }
            Token::Word(word) => is_secret = names_secret(word),
            Token::Other(text) => is_secret &= text.chars().all(|c| matches!(c, ':' | '=' | '>')),
            _ => is_secret = false,
        }
    }
    out.push_str(&sql[done..]);
    super::without_verifiers(&out)
}

/// What is shown of a string, if that is not the string itself.
fn shown(text: &str, is_secret: bool, deep: usize) -> Option<String> {
    let line_ends = || text.bytes().filter(|byte| *byte == b'\n').map(|_| '\n');
    if is_secret {
        return Some("'****'".chars().chain(line_ends()).collect());
    }
    // The body of a function is SQL as well.
    let tag = text.starts_with('$').then(|| text[1..].find('$')).flatten();
    let body = tag.and_then(|end| text.get(end + 2..text.len().saturating_sub(end + 2)));
    if let Some((body, end)) = body.zip(tag).filter(|_| deep > 0) {
        let tag = &text[..end + 2];
        return Some(format!(
            "{tag}{}{}",
            blotted_within(body, deep - 1),
            &text[tag.len() + body.len()..]
        ));
    }
    // So may a string be; there it is not told apart what is what.
    let lower = text.to_ascii_lowercase();
    let hides = deep == 0 || ["password", "passwd"].iter().any(|word| lower.contains(word));
    hides.then(|| "'****'".chars().chain(line_ends()).collect())
}

fn names_secret(word: &str) -> bool {
    ["password", "passwd", "pwd", "secret"].iter().any(|it| word.eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn changed_lines_are_shown_with_their_neighbours() {
        let applied = "CREATE TABLE t (\n  a int,\n  b int,\n  c int\n);\n\nSELECT 1;\nSELECT 2;\n";
        let now = "CREATE TABLE t (\n  a int,\n  b bigint,\n  c int\n);\n\nSELECT 1;\nSELECT 2;\nSELECT 3;\n";
        assert_eq!(
            difference(applied, now, 20),
            "@@ 2\n   a int,\n-  b int,\n+  b bigint,\n   c int\n@@ 8\n SELECT 2;\n+SELECT 3;"
        );
        assert_eq!(difference(applied, now, 3), "@@ 2\n   a int,\n-  b int,\n… and more");
        assert_eq!(difference(applied, applied, 3), "");
        assert_eq!(difference("", "a", 9), "@@ 1\n+a");
        assert_eq!(difference("a", "", 9), "@@ 1\n-a");
    }

    #[test]
    fn what_cannot_be_seen_is_said() {
        let said = "only in line ends, or in what is not shown";
        assert_eq!(difference("a\nb", "a\r\nb\n", 9), said);
        assert_eq!(difference("ALTER ROLE a PASSWORD 'x'", "ALTER ROLE a PASSWORD 'y'", 9), said);
    }

    #[test]
    fn no_password_is_shown() {
        let tags = (0..10_000).chain((0..10_000).rev());
        let deep = tags.fold(String::new(), |text, it| text + &format!("$a{it}$ "));
        for sql in [
            &*deep,
            "ALTER ROLE a PASSWORD 'hunter2'",
            "CREATE ROLE a LOGIN PASSWORD E'hunter2';",
            "ALTER ROLE a PASSWORD $$hunter2$$;",
            "ALTER ROLE a PASSWORD 'SCRAM-SHA-256$hunter2:x'",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'hunter2')",
            "DO $do$ BEGIN ALTER ROLE a PASSWORD 'hunter2'; END $do$",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''hunter2'''; END $$",
            "SELECT dblink('host=h password=hunter2')",
            "SELECT f(password => 'hunter2', secret := 'hunter2')",
            "UPDATE t SET pwd = 'hunter2'",
            "ALTER ROLE a PASSWORD 'hunter2",
            "ALTER ROLE a PASSWORD\n'x\nhunter2'",
        ] {
            for text in [difference(sql, "SELECT 1", 99), difference("SELECT 1", sql, 99)] {
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }

    #[test]
    fn other_strings_are_shown_and_lines_stay_where_they_are() {
        assert_eq!(
            blotted("SELECT 'a', $$b$$, $x$ c $x$ -- password 'd'"),
            "SELECT 'a', $$b$$, $x$ c $x$ -- password 'd'"
        );
        assert_eq!(blotted("PASSWORD 'a\nb'\nSELECT '$'"), "PASSWORD '****'\n\nSELECT '$'");
        assert_eq!(difference("PASSWORD 'a\nb';\nx", "PASSWORD 'a\nb';\ny", 9), "@@ 2\n ;\n-x\n+y");
    }

    #[test]
    fn long_lines_and_long_texts_are_cut() {
        let (one, other) = (format!("{}1", "é".repeat(200)), "y\n".repeat(1_000_000));
        let text = difference(&one, &other, 5);
        assert_eq!(text.lines().nth(1), Some(&*format!("-{}…", "é".repeat(WIDTH))));
        assert_eq!(text.lines().count(), 6);
        let different: String = (0..100_000).flat_map(|n| [n.to_string(), "\n".into()]).collect();
        assert_eq!(difference(&different, &other, 2).lines().count(), 3);
        assert_eq!(difference(&different, &format!("x\n{different}"), 9), "@@ 1\n+x\n 0");
        let both = format!("x\n{different}y");
        assert_eq!(difference(&different, &both, 9), "@@ 1\n+x\n 0\n… and more");
    }

    proptest! {
        #[test]
        fn any_texts_have_a_difference(one in "(?s)(.|\\$\\$|'|password ){0,20}", other in "(?s).*", most in 0..9_usize) {
            let text = difference(&one, &other, most);
            prop_assert_eq!(text.is_empty(), one == other);
            prop_assert!(text.lines().count() <= most + 1);
        }
    }
}
