//! Whether a mail is here already (R1): the same bytes, or the same Message-ID with the same
//! fingerprint. Message-IDs alone do not tell: there are senders that use one for many mails
//! (FreeScout #5591), and lists that change a mail on its way. Where there is nothing to compare a mail
//! is kept as a message of its own: better twice than lost.

/// Whether a fingerprint tells mails apart at all: that of a mail that says nothing is all zeros.
pub fn tells(fingerprint: &[u8]) -> bool {
    fingerprint.iter().any(|byte| *byte != 0)
}

/// The id of a mail that has none: made of its raw bytes' hash, never sent to anybody.
///
/// Not of the fingerprint: two alarms with equal words and no Date are two mails.
pub fn internal_id(raw_hash: &str) -> String {
    format!("sha256:{raw_hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_tells_nothing() {
        assert!(tells(&[1; 32]));
        assert!(!tells(&[0; 32]));
    }

    #[test]
    fn an_internal_id_is_no_other_mails() {
        assert_ne!(internal_id("a"), internal_id("b"));
    }
}
