//! psql's backslash commands: the few that a text for the server may hold.
//!
//! `\set`, `\unset`, `\echo` and its like, `\restrict` and `\unrestrict` (which newer
//! versions of `pg_dump` write) are understood with psql's quoting. All others are
//! refused with a way out: they would read files, open connections or run programs.

use std::collections::BTreeMap;

use super::SplitError;
use super::lexer::{in_variable, is_space};
use super::place::Place;
use crate::ident::Identifier;

/// What `\set` has set.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `:'name'`: the value as a literal.
    pub fn literal(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        // An `E'` must not stick to a word before it.
        let apart = if value.contains('\\') { " " } else { "" };
        Some(format!("{apart}{}", crate::sql::literal(value)))
    }

    /// `:"name"`: the value as a quoted name.
    pub fn name(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(match Identifier::new(value) {
            Ok(name) => name.quoted(),
            // Too long or empty: the server says so, as it does with psql.
            Err(_) => format!("\"{}\"", value.replace('"', "\"\"")),
        })
    }
}

/// What a line did.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// How much of the line belongs to the command.
    pub used: usize,
    /// What it has to say.
    pub notice: Option<String>,
}

/// Carries out the command at the start of `line`, whose backslash stands at `place`.
pub fn run(line: &str, place: Place, variables: &mut Variables) -> Result<Done, SplitError> {
    let name_end = line.bytes().position(|byte| is_space(byte) || byte == b'\\');
    let (name, rest) = line.split_at(name_end.unwrap_or(line.len()));
    if let Some(hint) = refused(name) {
        let command = name.chars().take(63).collect();
        return Err(SplitError::Command { command, line: place.line, column: place.column, hint });
    }
    let mut arguments = Arguments { rest, variables };
    let wrong = |what| SplitError::Argument {
        command: name.to_owned(),
        line: place.line,
        column: place.column,
        what,
    };
    let given = arguments.all().map_err(wrong)?;
    let used = line.len() - arguments.rest.len();
    let used = if line[used..].starts_with("\\\\") { used + 2 } else { used };
    let mut notice = None;
    match (name, given.as_slice()) {
        ("set", [variable, values @ ..]) => {
            let value = values.concat();
            check_variable(variable, &value).map_err(wrong)?;
            variables.0.insert(variable.clone(), value);
        }
        ("unset", [variable, ..]) => {
            variables.0.remove(variable);
        }
        ("unset", []) => return Err(wrong("it names no variable")),
        ("echo" | "qecho" | "warn", [first, words @ ..]) if first == "-n" => {
            notice = Some(words.join(" "));
        }
        ("echo" | "qecho" | "warn", words) => notice = Some(words.join(" ")),
        _ => {}
    }
    Ok(Done { used, notice })
}

/// A variable's name, and the values that would make psql run a text in another way.
fn check_variable(name: &str, value: &str) -> Result<(), &'static str> {
    let off = ["", "off", "0", "no", "false"].iter().any(|off| value.eq_ignore_ascii_case(off));
    match name {
        _ if name.is_empty() || !name.bytes().all(in_variable) => {
            Err("a variable's name holds letters, digits and `_` only")
        }
        "ON_ERROR_STOP" if off => Err("an error always stops the text here"),
        "AUTOCOMMIT" if off => Err("transactions are not switched by a variable here"),
        "ON_ERROR_ROLLBACK" if !off => Err("an error always stops the text here"),
        "SINGLELINE" if !off => Err("a statement ends with `;` here, not with its line"),
        _ => Ok(()),
    }
}

/// Why a command is refused, as advice; `None` for those that are understood.
fn refused(command: &str) -> Option<&'static str> {
    Some(match command {
        "set" | "unset" | "echo" | "qecho" | "warn" | "restrict" | "unrestrict" => return None,
        "" => "A backslash outside of quotes starts a command of psql; remove it.",
        "." => "`\\.` ends the data of `COPY ... FROM STDIN`, and there is none here.",
        "c" | "connect" => {
            "The connection is given from outside; put what is for another database into a changelog of its own."
        }
        "i" | "include" | "ir" | "include_relative" => {
            "List the file in the changelog, with `include` or by its place in the folder."
        }
        "copy" => "Write `COPY ... FROM STDIN;` with its data below, up to a line `\\.`.",
        "if" | "elif" | "else" | "endif" => {
            "Choose with contexts, labels or preconditions of the changeset, or with `DO $$ ... IF ... $$`."
        }
        "g" | "gx" => "End the statement with `;`.",
        "gexec" => "Build and run the statements in `DO $$ ... EXECUTE ... $$`.",
        "gset" => {
            "Take the value in the statement itself, or with `SELECT ... INTO` in `DO $$ ... $$`."
        }
        "q" | "quit" => "Remove what follows it, and the command.",
        "!" | "o" | "out" | "w" | "write" | "cd" | "getenv" | "setenv" => {
            "Programs, files and the environment are out of reach here; remove it."
        }
        "begin" | "commit" | "rollback" => "It is an SQL command: remove the backslash.",
        "timing" | "pset" | "x" | "a" | "t" | "f" | "H" | "html" | "C" | "T" | "tableattr"
        | "encoding" => "It only shapes what psql shows; remove it.",
        _ => {
            "Of psql's commands `\\set`, `\\unset`, `\\echo`, `\\qecho` and `\\warn` are understood; remove it, or say it in SQL."
        }
    })
}

/// The words after a command.
struct Arguments<'a> {
    rest: &'a str,
    variables: &'a Variables,
}

impl Arguments<'_> {
    /// All up to the end of the line, or to a backslash that starts something else.
    fn all(&mut self) -> Result<Vec<String>, &'static str> {
        let mut all = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
            if self.rest.is_empty() || self.rest.starts_with('\\') {
                return Ok(all);
            }
            all.push(self.one()?);
        }
    }

    /// One, which may be put together from quoted and bare parts and variables.
    fn one(&mut self) -> Result<String, &'static str> {
        let mut out = String::new();
        while let Some(&first) = self.rest.as_bytes().first() {
            match first {
                b'\\' => break,
                _ if is_space(first) => break,
                b'\'' => out.push_str(&self.quoted()?),
                b'`' => return Err("a program in backticks cannot run here"),
                b'"' => {
                    let end = self.rest[1..].find('"').ok_or(UNCLOSED)? + 2;
                    out.push_str(&self.rest[..end]);
                    self.rest = &self.rest[end..];
                }
                b':' => out.push_str(&self.variable()),
                _ => {
                    let stop = |byte: u8| is_space(byte) || br#"\'`":"#.contains(&byte);
                    let end = self.rest.bytes().position(stop).unwrap_or(self.rest.len());
                    out.push_str(&self.rest[..end]);
                    self.rest = &self.rest[end..];
                }
            }
        }
        Ok(out)
    }

    /// `'…'`, with `''` and backslash escapes.
    fn quoted(&mut self) -> Result<String, &'static str> {
        let bytes = self.rest.as_bytes();
        let (mut out, mut at) = (Vec::new(), 1);
        loop {
            let next = bytes.get(at + 1).copied();
            match *bytes.get(at).ok_or(UNCLOSED)? {
                b'\'' if next == Some(b'\'') => (at += 2, out.push(b'\'')).1,
                b'\'' => break,
                b'\\' => {
                    let (byte, len) = escape(&bytes[at + 1..]).ok_or(UNCLOSED)?;
                    out.push(byte);
                    at += 1 + len;
                }
                byte => (at += 1, out.push(byte)).1,
            }
        }
        self.rest = &self.rest[at + 1..];
        let text = String::from_utf8(out).map_err(|_| "its escapes give no UTF-8")?;
        if text.contains('\0') { Err("its escapes give the character U+0000") } else { Ok(text) }
    }

    /// `:name`, `:'name'`, `:"name"`, `:{?name}`; a colon that is none of these stays.
    fn variable(&mut self) -> String {
        let after = &self.rest[1..];
        let (open, close) = match after.as_bytes() {
            [b'\'', ..] => ("'", "'"),
            [b'"', ..] => ("\"", "\""),
            [b'{', b'?', ..] => ("{?", "}"),
            _ => ("", ""),
        };
        let named = &after[open.len()..];
        let len = named.bytes().position(|byte| !in_variable(byte)).unwrap_or(named.len());
        let (name, behind) = named.split_at(len);
        if let (false, Some(behind)) = (name.is_empty(), behind.strip_prefix(close)) {
            let value = match open {
                "" => self.variables.get(name).map(str::to_owned),
                "'" => self.variables.literal(name),
                "\"" => self.variables.name(name),
                _ => Some(test(self.variables, name).to_owned()),
            };
            let written = &self.rest[..self.rest.len() - behind.len()];
            self.rest = behind;
            return value.unwrap_or_else(|| written.to_owned());
        }
        self.rest = after;
        ":".to_owned()
    }
}

/// `:{?name}`: whether the variable is set.
pub fn test(variables: &Variables, name: &str) -> &'static str {
    if variables.get(name).is_some() { "TRUE" } else { "FALSE" }
}

const UNCLOSED: &str = "a quote is not closed on its line";

/// What follows a backslash in quotes: the byte it means, and how long it is.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = rest.iter().skip(from).take(most);
        digits.map_while(|&byte| char::from(byte).to_digit(radix)).collect::<Vec<_>>()
    };
    // Three octal digits may give more than a byte holds; psql keeps the low one.
    let number = |digits: &[u32], radix: u32| {
        digits.iter().fold(0_u32, |sum, digit| sum * radix + digit).to_le_bytes()[0]
    };
    let (octal, hex) = (digits(0, 3, 8), digits(1, 2, 16));
    Some(match *rest.first()? {
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'b' => (0x08, 1),
        b'r' => (b'\r', 1),
        b'f' => (0x0c, 1),
        b'x' if !hex.is_empty() => (number(&hex, 16), 1 + hex.len()),
        _ if !octal.is_empty() => (number(&octal, 8), octal.len()),
        byte => (byte, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(line: &str) -> (Result<Done, SplitError>, Variables) {
        let mut variables = Variables::default();
        variables.0.insert("v".into(), "it's".into());
        (run(line, Place::START, &mut variables), variables)
    }

    #[test]
    fn set_understands_psqls_quoting() {
        for (line, value) in [
            ("set x", ""),
            ("set x a b", "ab"),
            ("set x 'it''s' \" y \"", "it's\" y \""),
            (r"set x 'a\n\x41\102\'\é'", "a\nAB'é"),
            ("set x a:v:w", "ait's:w"),
            ("set x :'v':\"v\"", "'it''s'\"it's\""),
            ("set x :{?v}:{?w}: :'", "TRUEFALSE:"),
            ("set x 1;\r", "1;"),
            ("set x ':v'", ":v"),
        ] {
            let (done, variables) = set(line.trim_end_matches(" :'"));
            assert!(done.is_ok(), "{line}: {done:?}");
            assert_eq!(variables.get("x"), Some(value), "{line}");
        }
    }

    #[test]
    fn what_follows_a_command_on_its_line_is_left() {
        let used = |line| set(line).0.unwrap().used;
        assert_eq!(used(r"set x 1 \\ SELECT 2;"), r"set x 1 \\".len());
        assert_eq!(used(r"set x 1 \set y 2"), r"set x 1 ".len());
        assert_eq!(set("unset v").1.get("v"), None);
        assert_eq!(set("echo a  'b c'").0.unwrap().notice.as_deref(), Some("a b c"));
        assert_eq!(set("warn -n x").0.unwrap().notice.as_deref(), Some("x"));
        assert_eq!(set("restrict aB3").0.unwrap().notice, None);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_way_out() {
        for command in
            ["i x.sql", "connect db", "copy t from 'x'", "gexec", "if true", ".", "", "d"]
        {
            let error = set(command).0.unwrap_err();
            assert!(matches!(&error, SplitError::Command { .. }), "{command}");
            let text = error.to_string();
            assert!(text.contains(command.split(' ').next().unwrap()), "{text}");
            assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{error:?}");
        }
        for line in [
            "set x 'a",
            "set x \"a",
            "set x `date`",
            "set a-b 1",
            "unset",
            "set x '\\xff'",
            "set '' 1",
            "set ON_ERROR_STOP off",
            "set AUTOCOMMIT 0",
            "set ON_ERROR_ROLLBACK on",
            "set x '\\000'",
        ] {
            assert!(matches!(set(line).0, Err(SplitError::Argument { .. })), "{line}");
        }
        assert!(set("set ON_ERROR_STOP on").0.is_ok());
        assert!(set("set").0.is_ok());
    }
}
