//! Secrets of tokens: made, and told from what can be none.

use sha2::{Digest, Sha256};

/// How a token begins, so that scanners know a leaked one.
pub const PREFIX: &str = "pr_pat_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// Six characters that tell a mistyped token from an unknown one without the database.
fn check(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().take(CHECK_CHARS).map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])).collect()
}

/// A fresh secret: 256 random bits in base 62, with its check.
pub(in crate::operations) fn fresh(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    let mut digits = Vec::with_capacity(SECRET_CHARS);
    for _ in 0..SECRET_CHARS {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let value = (rest << 8) | u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        digits.push(char::from(ALPHABET[rest as usize]));
    }
    let secret: String = digits.into_iter().collect();
    let check = check(&secret);
    format!("{prefix}{secret}{check}")
}

/// Whether a text could be a secret that begins so.
pub(in crate::operations) fn is_well_formed(prefix: &str, token: &str) -> bool {
    let Some(rest) = token.strip_prefix(prefix) else { return false };
    rest.len() == SECRET_CHARS + CHECK_CHARS
        && rest.is_ascii()
        && check(&rest[..SECRET_CHARS]) == rest[SECRET_CHARS..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_carries_its_check() {
        let secret = fresh(PREFIX);
        assert_eq!(secret.len(), PREFIX.len() + SECRET_CHARS + CHECK_CHARS);
        assert!(is_well_formed(PREFIX, &secret));
        assert_ne!(secret, fresh(PREFIX));
        let mistyped = format!("{}x", &secret[..secret.len() - 1]);
        assert!(!is_well_formed(PREFIX, &mistyped) || mistyped == secret);
        for not_one in ["", " ", "pr_pat_", "pr_pat_ä", &secret[1..]] {
            assert!(!is_well_formed(PREFIX, not_one), "{not_one:?}");
        }
    }
}
