//! `property` of a root changelog, and the `.properties` files that it may name.

use super::changes::{missing, resolved};
use super::changeset::Around;
use super::node::Node;
use crate::changelog::properties::{Properties, Scope, When};
use crate::changelog::{ChangelogError, Files, files};

/// Defines what the node says.
pub fn define(
    node: &Node,
    file: &str,
    files: &dyn Files,
    properties: &mut Properties,
    warnings: &mut Vec<String>,
) -> Result<(), ChangelogError> {
    node.only(&[
        "name",
        "value",
        "file",
        "global",
        "context",
        "contextFilter",
        "labels",
        "dbms",
        "relativeToChangelogFile",
        "errorIfMissing",
        "target",
    ])?;
    let text = |name: &str| node.filled(name).map(str::to_owned);
    let when = || When {
        contexts: super::changeset::contexts(node).map(str::to_owned),
        labels: text("labels"),
        dbms: text("dbms"),
    };
    let is_global = node.flag("global", true)?;
    let scope = || {
        if is_global { Scope::Global } else { Scope::Local { file: file.to_owned() } }
    };
    let mut set = |name: &str, value: &str| {
        properties.define(name, value, scope(), Some(when())).map_err(|what| node.error(what))
    };
    let Some(written) = node.filled("file") else {
        return set(node.required("name")?, node.attr("value").unwrap_or_default());
    };
    let path = resolved(node, written, file)?;
    match super::bytes(files, &path) {
        Ok(bytes) => pairs(&bytes).iter().try_for_each(|(name, value)| set(name, value)),
        Err(error) if is_missing(&error) && !node.flag("errorIfMissing", true)? => {
            warnings.push(format!("{}: {error}", node.place()));
            Ok(())
        }
        Err(error) => {
            let around = Around { files, file, path: file, properties, quoting: None };
            Err(missing(node, &error, &around))
        }
    }
}

fn is_missing(error: &files::FileError) -> bool {
    matches!(error, files::FileError::Missing(_))
}

/// A file of Java's: `name = value`, in Latin-1, with comments and lines that go on after `\`.
fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    // Every byte is a character of its own in Latin-1.
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let blank = |c: char| matches!(c, ' ' | '\t' | '\u{c}');
    let mut all = Vec::new();
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        let start = line.trim_start_matches(blank);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = start.to_owned();
        while goes_on(&whole) {
            whole.pop();
            whole.push_str(lines.next().unwrap_or_default().trim_start_matches(blank));
        }
        let mut escaped = false;
        let end = whole.find(|c: char| {
            let ends = !escaped && (blank(c) || matches!(c, '=' | ':'));
            escaped = c == '\\' && !escaped;
            ends
        });
        let (name, rest) = whole.split_at(end.unwrap_or(whole.len()));
        let rest = rest.trim_start_matches(blank);
        let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(blank);
        all.push((unescaped(name), unescaped(rest)));
    }
    all
}

/// Whether an odd number of backslashes stands at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn unescaped(text: &str) -> String {
    // Escapes are in UTF-16: two of them may be one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', None) => continue,
            (c, None) => c,
            (_, Some('n')) => '\n',
            (_, Some('t')) => '\t',
            (_, Some('r')) => '\r',
            (_, Some('f')) => '\u{c}',
            (_, Some('u')) => {
                let digits: String = rest.clone().take(4).collect();
                if let Some(unit) =
                    u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)
                {
                    units.push(unit);
                    rest.nth(3);
                    continue;
                }
                'u'
            }
            (_, Some(other)) => other,
        };
        units.extend(c.encode_utf16(&mut [0; 2]).iter());
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_properties_is_read_as_java_reads_it() {
        let text = "# no\n! no\na=1\n b : two words \nc three\nd\\ e\\=f=\\u00e9\\ud83d\\ude00\\t\n\
                    long=one,\\\n   two\\\\\r\nempty=\r\nalone\n\n\\u12=x\\";
        let read = pairs(text.as_bytes());
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("a", "1"),
            ("b", "two words "),
            ("c", "three"),
            ("d e=f", "\u{e9}\u{1f600}\t"),
            ("long", "one,two\\"),
            ("empty", ""),
            ("alone", ""),
            ("u12", "x"),
        ];
        assert_eq!(read, expected);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_pairs(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = pairs(&bytes);
            let _ = pairs(&bytes.iter().map(|b| b"\\u=: \n#a1"[(*b % 9) as usize]).collect::<Vec<_>>());
        }
    }
}
