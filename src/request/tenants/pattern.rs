//! Names with placeholders: `{name}`, `{username}`, `{prefix}`, `{environment}`.
//!
//! A pattern is read once and filled for each tenant. What it may hold is checked when
//! it is read, so that filling cannot fail; whether the outcome is a usable name is
//! for [`super::names`] and [`super::secret`] to say.

use super::super::value::{self, PropertyError, Read};

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Word(Word),
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The tenant's `Name`.
    Name,
    /// Its `Username`.
    Username,
    /// `TenantDefaults.SecretPrefix`.
    Prefix,
    /// `TenantDefaults.Environment`.
    Environment,
}

const WORDS: [(&str, Word); 4] = [
    ("name", Word::Name),
    ("username", Word::Username),
    ("prefix", Word::Prefix),
    ("environment", Word::Environment),
];

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// For `{name}`.
    pub name: &'a str,
    /// For `{username}`.
    pub username: &'a str,
    /// For `{prefix}`.
    pub prefix: &'a str,
    /// For `{environment}`.
    pub environment: &'a str,
}

impl Pattern {
    /// Reads one; a brace that is part of no known placeholder is refused.
    pub fn read(path: &str, text: &str) -> Read<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let inside = from.strip_prefix('{').and_then(|it| it.split_once('}'));
            // A text with braces may be a secret's content, which is not to be shown.
            let Some((word, after)) = inside.filter(|(word, _)| is_word(word)) else {
                return Err(PropertyError(format!(
                    "`{path}` holds a brace that belongs to no placeholder"
                )));
            };
            match WORDS.iter().find(|(known, _)| *known == word) {
                Some(&(_, word)) => parts.push(Part::Word(word)),
                None => {
                    return Err(value::unknown(
                        &format!("placeholder in `{path}`:"),
                        &format!("{{{word}}}"),
                        &["{name}", "{username}", "{prefix}", "{environment}"],
                    ));
                }
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether it holds this placeholder.
    pub fn holds(&self, word: Word) -> bool {
        self.0.contains(&Part::Word(word))
    }

    /// Whether it gives each tenant a text of its own.
    pub fn tells_tenants_apart(&self) -> bool {
        self.holds(Word::Name) || self.holds(Word::Username)
    }

    /// The text for one tenant.
    pub fn fill(&self, words: &Words<'_>) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            filled.push_str(match part {
                Part::Text(text) => text,
                Part::Word(Word::Name) => words.name,
                Part::Word(Word::Username) => words.username,
                Part::Word(Word::Prefix) => words.prefix,
                Part::Word(Word::Environment) => words.environment,
            });
        }
        filled
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= 20 && text.chars().all(|it| it.is_ascii_alphabetic() || it == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words<'_> =
        Words { name: "acme", username: "acme_user", prefix: "shop", environment: "prod" };

    #[test]
    fn a_pattern_is_filled_with_the_words_of_a_tenant() {
        let fill = |text| Pattern::read("SecretName", text).unwrap().fill(&WORDS);
        assert_eq!(fill("/{prefix}/{environment}/{name}"), "/shop/prod/acme");
        assert_eq!(fill("{username}{username}x"), "acme_useracme_userx");
        assert_eq!(fill("plain"), "plain");
        assert_eq!(fill(""), "");
    }

    #[test]
    fn a_brace_that_means_nothing_is_refused() {
        let refused = |text| Pattern::read("SecretName", text).unwrap_err().0;
        insta::assert_snapshot!(refused("a{nam}"), @"unknown placeholder in `SecretName`: `{nam}`; did you mean `{name}`?");
        insta::assert_snapshot!(refused("{Tenant}"), @"unknown placeholder in `SecretName`: `{Tenant}`; known are {name}, {username}, {prefix}, {environment}");
        for text in ["{name", "name}", "}{", "{", "{a: b}", "{{name}}"] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(refused(text), @"`SecretName` holds a brace that belongs to no placeholder");
            }
        }
    }
}
