//! Whether a mail is here already (R1). Message-IDs alone do not tell: there are senders that
//! use one for many mails (FreeScout #5591), and lists that change a mail on its way.

/// What is kept of the message that bears an id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Its fingerprint; what never was mail has none.
    pub fingerprint: Option<Vec<u8>>,
    /// The hash of its raw bytes, where they were kept.
    pub raw_hash: Option<String>,
}

/// What a mail is to the message that bears its Message-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Nothing bears that id: a new message.
    New,
    /// The very same message, come another way: one more place it was seen in.
    Same,
    /// Another message under a used id: a new message, and the id stays with its first owner.
    Reused,
}

/// Compares a mail with the message that bears its Message-ID.
///
/// Equal raw bytes suffice; else the fingerprints must be equal. Where there is nothing to
/// compare it is kept as a message of its own: better twice than lost. Our own mail come back
/// is told apart by its class before.
pub fn identify(known: Option<&Known>, fingerprint: &[u8; 32], raw_hash: &str) -> Sameness {
    let Some(known) = known else { return Sameness::New };
    let equal_bytes = !raw_hash.is_empty() && known.raw_hash.as_deref() == Some(raw_hash);
    // A mail that could not be read has no fingerprint: all zeros.
    let is_taken = fingerprint.iter().any(|byte| *byte != 0);
    let equal_content = is_taken && known.fingerprint.as_deref() == Some(fingerprint.as_slice());
    if equal_bytes || equal_content { Sameness::Same } else { Sameness::Reused }
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
    fn sameness_needs_bytes_or_content() {
        let known = Known { fingerprint: Some(vec![1; 32]), raw_hash: Some("a".into()) };
        assert_eq!(identify(None, &[1; 32], "a"), Sameness::New);
        assert_eq!(identify(Some(&known), &[2; 32], "a"), Sameness::Same);
        assert_eq!(identify(Some(&known), &[1; 32], "b"), Sameness::Same);
        assert_eq!(identify(Some(&known), &[2; 32], "b"), Sameness::Reused);
    }

    #[test]
    fn what_cannot_be_compared_is_kept() {
        let ours = Known::default();
        assert_eq!(identify(Some(&ours), &[1; 32], "b"), Sameness::Reused);
        assert_eq!(identify(Some(&ours), &[1; 32], ""), Sameness::Reused);
        let unread = Known { fingerprint: Some(vec![0; 32]), raw_hash: None };
        assert_eq!(identify(Some(&unread), &[0; 32], "b"), Sameness::Reused);
    }

    #[test]
    fn an_internal_id_is_no_other_mails() {
        assert_ne!(internal_id("a"), internal_id("b"));
    }
}
