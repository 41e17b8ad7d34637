//! A webhook's secret and what it signs (Standard Webhooks 1.0.0): HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How a secret begins, so that scanners know a leaked one.
pub const PREFIX: &str = "whsec_";
/// Its random bytes: 24 to 64 are allowed.
const BYTES: usize = 32;

/// A fresh secret.
pub fn fresh() -> String {
    let mut bytes = [0_u8; BYTES];
    rand::fill(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// The value of `webhook-signature`: one signature for each secret. `seconds` are those of `webhook-timestamp`.
/// A secret that is none signs nothing.
pub fn signatures(secrets: &[String], id: &str, seconds: i64, body: &str) -> String {
    let signed = secrets.iter().filter_map(|secret| sign(secret, id, seconds, body));
    signed.map(|signature| format!("v1,{signature}")).collect::<Vec<_>>().join(" ")
}

fn sign(secret: &str, id: &str, seconds: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_reference_libraries_is_signed_alike() {
        // github.com/standard-webhooks/standard-webhooks, libraries/*: "sign function works".
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let signed =
            signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_live_secret_signs() {
        let secrets = [fresh(), fresh()];
        let both = signatures(&secrets, "dlv_1", 1, "{}");
        let one = |at: usize| signatures(&secrets[at..=at], "dlv_1", 1, "{}");
        assert_eq!(both, format!("{} {}", one(0), one(1)));
        assert_ne!(secrets[0], secrets[1]);
        assert_eq!(signatures(&["none".to_owned()], "dlv_1", 1, "{}"), "");
    }
}
