//! The last line before a secret is seen: known secrets are blotted out of text.
//!
//! Secrets are kept out of messages by their type, and SQL never holds one. But
//! servers and libraries write messages of their own, so every log line and
//! every answer passes [`scrub`], which knows the secrets of this process in the
//! forms in which they might turn up.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// Shorter ones would blot out ordinary words; no policy allows such passwords.
const SHORTEST: usize = 4;

/// A warm function sees old passwords rotate away; this many forms are remembered.
const MOST: usize = 64;

static KNOWN: RwLock<VecDeque<SecretString>> = RwLock::new(VecDeque::new());

/// Those of tenants, which are many, must not push the master's out.
static PASSING: RwLock<VecDeque<SecretString>> = RwLock::new(VecDeque::new());

/// From now on this text is blotted out, also as JSON or SQL would escape it.
pub fn remember(secret: &SecretString) {
    keep(&KNOWN, secret);
}

/// The same for one of many: it is forgotten when enough others came.
pub fn remember_for_a_while(secret: &SecretString) {
    keep(&PASSING, secret);
}

fn keep(ring: &RwLock<VecDeque<SecretString>>, secret: &SecretString) {
    let plain = secret.expose_secret();
    if plain.len() < SHORTEST {
        return;
    }
    let json = serde_json::to_string(plain).expect("a string always serializes");
    let forms = [plain.to_owned(), json[1..json.len() - 1].to_owned(), plain.replace('\'', "''")];
    let mut known = ring.write().unwrap_or_else(PoisonError::into_inner);
    for form in forms {
        if !known.iter().any(|it| it.expose_secret() == form) {
            known.push_front(form.into());
        }
    }
    known.truncate(MOST);
}

/// The text with every known secret replaced by `****`.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let read = |ring: &'static RwLock<VecDeque<SecretString>>| {
        ring.read().unwrap_or_else(PoisonError::into_inner)
    };
    let (known, passing) = (read(&KNOWN), read(&PASSING));
    let mut scrubbed = Cow::Borrowed(text);
    for secret in known.iter().chain(passing.iter()) {
        if scrubbed.contains(secret.expose_secret()) {
            scrubbed = Cow::Owned(scrubbed.replace(secret.expose_secret(), "****"));
        }
    }
    scrubbed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blotted_out_in_each_of_its_forms() {
        remember(&SecretString::from("it's \"x\""));
        remember(&SecretString::from("abc"));
        assert_eq!(scrub("abc: it's \"x\", it''s \"x\", it's \\\"x\\\""), "abc: ****, ****, ****");
    }
}
