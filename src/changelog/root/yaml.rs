//! YAML, and with it JSON, to the tree.
//!
//! Anchors may be defined again and keys may come twice (the last one counts), as
//! `SnakeYAML` has it. Plain values mean what they mean in YAML 1.1, see
//! [`scalar`](super::scalar). Tags of other types, lists in lists, and what is too deep
//! or too much once its aliases are written out, are refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::node::Node;
use super::scalar;
use crate::changelog::{ChangelogError, Place, text};

/// Deeper than any changelog; a tree this deep is walked without harm.
const DEEPEST: usize = 100;
/// What anchors and aliases may add, in bytes of memory; beyond it somebody plays a trick.
const MOST_COPIED: usize = 32 << 20;

/// A value with its line.
#[derive(Debug, Clone)]
enum Value {
    /// `None` is null; and the line of its first character that is not blank, or 0.
    Plain(Option<String>, u32),
    List(Vec<(u32, Value)>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
struct Entry {
    key: String,
    line: u32,
    value: Value,
}

/// A list or map that is not finished.
struct Open {
    anchor: usize,
    line: u32,
    key: Option<(String, u32)>,
    value: Value,
}

/// Reads a document.
pub fn document(text: &str, file: &str) -> Result<Node, ChangelogError> {
    let text = paired(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut reader = Reader {
        file: file.into(),
        open: Vec::new(),
        anchors: HashMap::new(),
        copied: 0,
        done: None,
    };
    let mut parser = Parser::new_from_str(&text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                reader.take(event, u32::try_from(span.start.line()).unwrap_or(u32::MAX))?;
            }
            Err(error) => {
                return Err(malformed(&error, file));
            }
        }
    }
    let file = reader.file;
    let mut root = Node::new("", &file, 1);
    if let Some(value) = reader.done {
        fill(&mut root, value)?;
    }
    Ok(root)
}

/// What the parser says, in the words of who wrote the file.
fn malformed(error: &ScanError, file: &str) -> ChangelogError {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    let place = Place { file: file.to_owned(), line };
    let format = if file.to_ascii_lowercase().ends_with(".json") { "JSON" } else { "YAML" };
    let what = format!("the {format} cannot be read at column {column}: {}", error.info());
    ChangelogError::at(&place, what).hint(match error.info() {
        it if it.contains("tab") => "Indent with blanks.",
        it if it.contains("recursion limit") => "Maps and lists are nested too deep.",
        _ => "Often a quote, bracket or colon is missing, or a line is not indented as its neighbours are.",
    })
}

struct Reader {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    copied: usize,
    done: Option<Value>,
}

impl Reader {
    fn error(&self, line: u32, what: impl Into<String>) -> ChangelogError {
        let place = Place { file: self.file.to_string(), line: line as usize };
        ChangelogError::at(&place, what)
    }

    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), ChangelogError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_one_line = !text.contains('\n');
                let value = self.plain(text, style, tag.as_deref(), line)?;
                let begins = match style {
                    // Its place is that of its first line with text, not that of the `|`.
                    ScalarStyle::Literal => line,
                    ScalarStyle::Folded => 0,
                    _ if is_one_line => line,
                    _ => 0,
                };
                self.add(Value::Plain(value, begins), anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), line)?;
                self.open(anchor, line, Value::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), line)?;
                self.open(anchor, line, Value::Map(Vec::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.value, open.anchor, open.line),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some(value) = self.anchors.get(&anchor) else {
                    return Err(self.error(line, "an alias (`*`) names what holds it"));
                };
                self.copied += size(value);
                self.check_copied(line)?;
                let value = value.clone();
                self.add(value, 0, line)
            }
            Event::DocumentStart(_) if self.done.is_some() => {
                Err(self.error(line, "a second document (`---`) stands in the file"))
            }
            _ => Ok(()),
        }
    }

    fn check_copied(&self, line: u32) -> Result<(), ChangelogError> {
        if self.copied > MOST_COPIED {
            let error = self.error(line, "anchors (`&`) and aliases (`*`) stand for too much");
            return Err(error.hint("Write less by aliases, or include a file."));
        }
        Ok(())
    }

    fn plain(
        &self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: u32,
    ) -> Result<Option<String>, ChangelogError> {
        if text.contains('\0') {
            return Err(self.error(line, text::NUL).hint(text::NUL_HINT));
        }
        match tag {
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => Ok(Some(text.into_owned())),
                "null" => Ok(None),
                "bool" | "int" | "float" => Ok(scalar::plain(&text)),
                _ => Err(self.error(line, format!("the tag `{tag}` is not read"))),
            },
            // A bare `!` means: not a number, whatever it looks like.
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Some(text.into_owned())),
            Some(tag) => Err(self.error(line, format!("the tag `{tag}` is not read"))),
            None if style == ScalarStyle::Plain => Ok(scalar::plain(&text)),
            None => Ok(Some(text.into_owned())),
        }
    }

    fn check_tag(&self, tag: Option<&Tag>, line: u32) -> Result<(), ChangelogError> {
        match tag {
            None => Ok(()),
            Some(tag)
                if tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "map" | "seq") =>
            {
                Ok(())
            }
            Some(tag) => Err(self.error(line, format!("the tag `{tag}` is not read"))),
        }
    }

    fn open(&mut self, anchor: usize, line: u32, value: Value) -> Result<(), ChangelogError> {
        if self.open.len() > DEEPEST {
            return Err(self.error(line, "maps and lists are nested too deep"));
        }
        self.open.push(Open { anchor, line, key: None, value });
        Ok(())
    }

    /// A finished value goes to where it belongs.
    fn add(&mut self, value: Value, anchor: usize, line: u32) -> Result<(), ChangelogError> {
        if anchor > 0 {
            self.copied += size(&value);
            self.check_copied(line)?;
            self.anchors.insert(anchor, value.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.done = Some(value);
            return Ok(());
        };
        match (&mut open.value, open.key.take()) {
            (Value::List(list), _) => list.push((line, value)),
            (Value::Map(map), Some((key, line))) if key == "<<" => {
                merge(map, value).map_err(|what| self.error(line, what))?;
            }
            (Value::Map(map), Some((key, line))) => put(map, Entry { key, line, value }),
            (Value::Map(_), None) => match value {
                Value::Plain(key, _) => open.key = Some((key.unwrap_or_default(), line)),
                _ => return Err(self.error(line, "a map or list stands where a key must be")),
            },
            (Value::Plain(..), _) => {}
        }
        Ok(())
    }
}

/// The last of two equal keys counts.
fn put(map: &mut Vec<Entry>, entry: Entry) {
    // Maps of a changelog are small, but one with thousands of keys must not take minutes.
    if map.len() < 64 {
        map.retain(|other| other.key != entry.key);
    }
    map.push(entry);
}

/// `<<`: what the other map has, unless this one says it itself.
fn merge(map: &mut Vec<Entry>, value: Value) -> Result<(), &'static str> {
    match value {
        Value::Map(entries) => {
            // In front, so that a key which comes later in this map wins.
            let missing: Vec<Entry> = entries
                .into_iter()
                .filter(|entry| !map.iter().any(|own| own.key == entry.key))
                .collect();
            map.splice(0..0, missing);
            Ok(())
        }
        Value::List(list) => list.into_iter().try_for_each(|(_, value)| merge(map, value)),
        Value::Plain(..) => Err("`<<` does not name a map"),
    }
}

/// About how many bytes of memory it takes.
fn size(value: &Value) -> usize {
    let own = size_of::<Entry>();
    match value {
        Value::Plain(text, _) => own + text.as_ref().map_or(0, String::len),
        Value::List(list) => own + list.iter().map(|(_, value)| size(value)).sum::<usize>(),
        Value::Map(map) => {
            own + map.iter().map(|entry| entry.key.len() + size(&entry.value)).sum::<usize>()
        }
    }
}

/// Makes children and texts of a value.
fn fill(node: &mut Node, value: Value) -> Result<(), ChangelogError> {
    match value {
        Value::Plain(text, begins) => {
            if let Some(text) = text {
                node.set_text_line(begins);
                node.push_text(text);
            }
        }
        Value::Map(map) => {
            for entry in map {
                let mut child = node.below(entry.key, entry.line);
                fill(&mut child, entry.value)?;
                node.push(child);
            }
        }
        Value::List(list) => {
            for (line, value) in list {
                if matches!(value, Value::List(_)) {
                    return Err(node.below("", line).error("a list stands in a list"));
                }
                fill(node, value)?;
            }
        }
    }
    Ok(())
}

/// JSON writes a character beyond the first 65,536 as two escapes, YAML as one or itself.
fn paired(text: &str) -> Cow<'_, str> {
    let lower = |at: usize, first: &[u8]| {
        let bytes = text.as_bytes().get(at..at + 6)?;
        let is_half = bytes[..2] == *b"\\u" && first.contains(&bytes[3].to_ascii_lowercase());
        let code = std::str::from_utf8(&bytes[2..]).ok().filter(|_| is_half)?;
        matches!(bytes[2], b'd' | b'D').then(|| u32::from_str_radix(code, 16).ok())?
    };
    let (mut out, mut from, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        let high = lower(start, b"89ab");
        match high.and_then(|high| Some((high, lower(start + 6, b"cdef")?))) {
            Some((high, low)) => {
                out.push_str(&text[from..start]);
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                (from, at) = (start + 12, start + 12);
            }
            // A backslash takes the next character with it.
            None => {
                at = text[start + 1..]
                    .chars()
                    .next()
                    .map_or(text.len(), |c| start + 1 + c.len_utf8());
            }
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        document(text, "a.yaml").unwrap()
    }

    #[test]
    fn an_anchor_may_be_defined_again_and_the_nearest_counts() {
        let root = read("a: &x {v: 1}\nb: *x\nc: &x {v: 2}\nd: {<<: *x, w: 3}\n");
        let v = |name: &str| root.child(name).unwrap().attr("v").map(str::to_owned);
        assert_eq!((v("b"), v("d")), (Some("1".into()), Some("2".into())));
        assert_eq!(root.child("d").unwrap().attr("w"), Some("3"));
    }

    #[test]
    fn an_own_key_wins_over_a_merged_one_wherever_it_stands() {
        let root = read("a: &x {v: 1}\nb: {v: 2, <<: *x}\nc: {<<: *x, v: 3}\nd: {v: 4, v: 5}");
        let v = |name: &str| root.child(name).unwrap().attr("v").map(str::to_owned);
        assert_eq!(
            (v("b"), v("c"), v("d")),
            (Some("2".into()), Some("3".into()), Some("5".into()))
        );
    }

    #[test]
    fn values_keep_their_text_where_it_is_one() {
        let root =
            read("a: 'x'\nb: |\n  select 1;\n  go\nc: >-\n  a\n  b\nd: !!str 010\ne:\nf: [x, y]");
        assert_eq!(root.attr("b"), Some("select 1;\ngo\n"));
        let line = |name: &str| root.child(name).unwrap().text_line();
        assert_eq!((line("a"), line("b"), line("c"), line("d")), (1, 3, 0, 8));
        let blank = read("a: |\n\n\n  x\n");
        assert_eq!((blank.attr("a"), blank.child("a").unwrap().text_line()), (Some("\n\nx\n"), 4));
        assert_eq!(
            (root.attr("c"), root.attr("d"), root.attr("e")),
            (Some("a b"), Some("010"), None)
        );
        assert_eq!(root.child("f").unwrap().texts(), ["x", "y"]);
    }

    #[test]
    fn json_may_be_indented_with_tabs_and_escape_in_pairs() {
        let root = read(
            "{\n\t\"a\": \"\\ud83d\\ude00\\/\\\\ud83d\",\n\t\"b\":[ {\"c\" : null}, {\"c\":1}]\n}",
        );
        assert_eq!(root.attr("a"), Some("\u{1f600}/\\ud83d"));
        assert_eq!(root.child("b").unwrap().children_named("c").count(), 2);
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let many = vec![format!("{{k: *a{}}}", i - 1); 10].join(", ");
            text.extend([format!("a{i}: &a{i} [{many}]\n")]);
        }
        assert!(document(&text, "a.yaml").unwrap_err().what.contains("too much"));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 50].join(", "));
        assert!(document(&long, "a.yaml").unwrap_err().what.contains("too much"));
        let nested = format!("{}{}{}", "&a [".repeat(90), "x".repeat(1 << 20), "]".repeat(90));
        assert!(document(&nested, "a.yaml").unwrap_err().what.contains("too much"));
        assert!(document(&"[".repeat(5000), "a.yaml").is_err());
        assert!(document("a: &x [*x]", "a.yaml").is_err());
        assert!(document("a: !!binary AAAA", "a.yaml").is_err());
        assert!(document("a: 1\n---\nb: 2", "a.yaml").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_tree_or_an_error(text in "[ -~\\n\\t\u{e4}\u{1f600}]{0,60}", shape in "[a:\\-&*<\\[\\]{}!'\"| \\n\\\\u#,?%@]{0,60}") {
            let _ = document(&text, "a.yaml");
            let _ = document(&shape, "a.yaml");
            let _ = super::super::xml::document(&text, "a.xml");
        }
    }
}
