//! SCRAM-SHA-256 verifiers, made on this side.
//!
//! PostgreSQL stores a verifier as it comes, so the password itself is in no
//! statement and in no log of the server's. What is no verifier it would take for
//! a password in plain text, without a word: whoever sets one logs in with it
//! afterwards. A verifier is a secret too, for it can be guessed against.

use secrecy::{ExposeSecret, SecretString};

/// A SCRAM-SHA-256 verifier with a fresh salt and 4096 iterations, for `PASSWORD '…'`.
pub fn verifier(password: &SecretString) -> SecretString {
    postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::base64::{decode_block, encode_block};
    use openssl::hash::MessageDigest;
    use openssl::pkcs5::pbkdf2_hmac;
    use openssl::pkey::PKey;
    use openssl::sha::sha256;
    use openssl::sign::Signer;

    fn hmac(key: &[u8], text: &str) -> Vec<u8> {
        let key = PKey::hmac(key).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.update(text.as_bytes()).unwrap();
        signer.sign_to_vec().unwrap()
    }

    /// RFC 5803, by another library than the one that makes them.
    #[test]
    fn a_verifier_is_what_its_salt_and_the_password_give() {
        let verifier = verifier(&SecretString::from("Pa~s.s-w_rd"));
        let parts: Vec<_> = verifier.expose_secret().split(['$', ':']).collect();
        assert_eq!((parts[0], parts[1], parts.len()), ("SCRAM-SHA-256", "4096", 5));
        let mut salted = [0; 32];
        let salt = decode_block(parts[2]).unwrap();
        pbkdf2_hmac(b"Pa~s.s-w_rd", &salt, 4096, MessageDigest::sha256(), &mut salted).unwrap();
        let stored = sha256(&hmac(&salted, "Client Key"));
        assert_eq!(parts[3], encode_block(&stored));
        assert_eq!(parts[4], encode_block(&hmac(&salted, "Server Key")));
    }

    #[test]
    fn two_verifiers_of_one_password_differ() {
        let password = SecretString::from("the same");
        let made = [verifier(&password), verifier(&password)];
        assert_ne!(made[0].expose_secret(), made[1].expose_secret());
        assert!(!made[0].expose_secret().contains('\''), "it needs no quoting");
    }
}
