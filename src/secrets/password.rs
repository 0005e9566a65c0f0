//! Fresh passwords.
//!
//! Of characters that stand for themselves in a URL, in a shell and in every
//! connection string, so that nobody who pastes one has to escape it. The
//! randomness is the system's, by way of OpenSSL.

use secrecy::SecretString;

/// The unreserved characters of RFC 3986.
const ALPHABET: &[u8; 66] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/// 32 of them are 193 bits.
const LENGTH: usize = 32;

/// A fresh random password: 32 URL-safe characters, with an upper and a lower letter, a digit and a
/// mark.
pub fn password() -> SecretString {
    loop {
        let drawn = draw();
        // Drawn anew as a whole: filling a missing kind in would favour some places.
        if of_each_kind(&drawn) {
            return drawn.into();
        }
    }
}

/// Random text of letters and digits for a `ClientRequestToken`.
pub(crate) fn token() -> String {
    random::<16>().iter().fold(String::with_capacity(32), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

fn draw() -> String {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        // A byte beyond the last whole alphabet is thrown away: a remainder would favour some.
        let fair = |byte: &u8| usize::from(*byte) < 256 / ALPHABET.len() * ALPHABET.len();
        let characters = random::<64>().into_iter().filter(fair);
        let characters = characters.map(|byte| char::from(ALPHABET[usize::from(byte) % 66]));
        text.extend(characters.take(LENGTH - text.len()));
    }
    text
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    openssl::rand::rand_bytes(&mut bytes).expect("the kernel's randomness is always there");
    bytes
}

fn of_each_kind(text: &str) -> bool {
    let has = |kind: fn(u8) -> bool| text.bytes().any(kind);
    has(|it| it.is_ascii_uppercase())
        && has(|it| it.is_ascii_lowercase())
        && has(|it| it.is_ascii_digit())
        && has(|it| it.is_ascii_punctuation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::collections::BTreeSet;

    #[test]
    fn a_password_is_safe_in_a_url_and_of_each_kind() {
        let made: Vec<_> = (0..500).map(|_| password()).collect();
        let texts: BTreeSet<_> = made.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(texts.len(), made.len(), "no two are the same");
        for text in &texts {
            assert_eq!(text.len(), 32);
            assert!(of_each_kind(text), "{text}");
            assert!(text.bytes().all(|it| ALPHABET.contains(&it)), "{text}");
        }
        let seen: BTreeSet<_> = texts.iter().flat_map(|it| it.bytes()).collect();
        assert_eq!(seen.len(), ALPHABET.len(), "every character is drawn");
    }

    #[test]
    fn what_lacks_a_kind_is_drawn_again() {
        assert!(of_each_kind("aA0-"));
        for text in ["aA0", "aA-", "a0-", "A0-"] {
            assert!(!of_each_kind(text), "{text}");
        }
    }

    #[test]
    fn a_token_is_long_enough_for_the_service() {
        let token = token();
        assert!(token.len() == 32 && token.bytes().all(|it| it.is_ascii_hexdigit()));
    }
}
