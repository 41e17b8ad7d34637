//! DKIM signatures (RFC 6376) as far as the mail alone decides: who signed, what is covered, and
//! whether the body is what was signed. What is left to ask is the key, which lies in DNS.

use crate::domains;
use crate::headers::Headers;
use crate::limits::Limits;
use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::{Algorithm, HashAlgorithm};
use mail_auth::common::headers::Header;
use mail_auth::dkim::{Canonicalization, Signature};
use postroom_core::mail::{SignatureAlgorithm, SignatureClaim};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Signature headers that are looked at, and those of the sender's own domain whose keys are
/// asked for. A mail has one or two.
const LOOKED_AT: usize = 30;
const CLAIMS: usize = 5;
/// Bytes of one signature header, and names in its `h=`: each is looked up among all headers.
const VALUE_BYTES: usize = 8 * 1024;
const SIGNED_NAMES: usize = 200;

/// The signatures that would speak for a sender at `from`, a domain in [`domains::ascii`]'s form,
/// if their keys bear them out. `raw` is the mail whose headers these are.
pub(crate) fn claims(raw: &[u8], headers: &Headers<'_>, from: &str, limits: &Limits) -> Vec<SignatureClaim> {
    let signatures: Vec<(&[u8], Signature)> = headers
        .iter()
        .filter(|(name, value)| name.eq_ignore_ascii_case(b"DKIM-Signature") && value.len() <= VALUE_BYTES)
        .take(LOOKED_AT)
        .filter_map(|(_, value)| Some((value, Signature::parse(value).ok()?)))
        .filter(|(_, signature)| is_of_use(signature, from))
        .take(CLAIMS)
        .collect();
    if signatures.is_empty() || headers.is_cut {
        return Vec::new();
    }
    let (_, body) = Headers::read(raw, 0, true, limits);
    let mut bodies = Bodies { body: raw.get(body..).unwrap_or_default(), simple: None, relaxed: None };
    // As they stood on the wire: line ends of CRLF, the last one included.
    let fields: Vec<(&[u8], Vec<u8>)> =
        headers.iter().map(|(name, value)| (name, on_the_wire(value))).collect();
    signatures
        .into_iter()
        .filter(|(_, signature)| bodies.hash(signature.cb) == signature.bh)
        .filter_map(|(value, signature)| claim(&fields, value, signature))
        .collect()
}

/// Whether a signature could say anything of a sender at `from`, before anything is computed.
fn is_of_use(signature: &Signature, from: &str) -> bool {
    let Some(domain) = domains::ascii(&signature.d) else { return false };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    signature.v == 1
        // RFC 8301 section 3.1: SHA-1 proves nothing.
        && signature.a != Algorithm::RsaSha1
        // A signed length lets anybody add text below (RFC 6376 section 8.2).
        && signature.l == 0
        && (signature.x == 0 || signature.x > signature.t)
        && is_name(&signature.s)
        && is_name(&signature.d)
        && signature.h.len() <= SIGNED_NAMES
        // Section 5.4: From must be covered.
        && signature.h.iter().any(|name| name.trim().eq_ignore_ascii_case("from"))
        && identity_fits(&signature.i, &signature.d)
        && domains::are_of_one(&domain, from)
}

/// Whether `i=` is within `d=` (RFC 6376 section 3.5); left out, it is `d=` itself.
fn identity_fits(identity: &str, domain: &str) -> bool {
    let Some((_, identity)) = identity.rsplit_once('@') else { return identity.is_empty() };
    identity.eq_ignore_ascii_case(domain) || is_below(identity, domain)
}

fn is_below(low: &str, high: &str) -> bool {
    let (low, high) = (low.to_ascii_lowercase(), high.to_ascii_lowercase());
    low.strip_suffix(&high).is_some_and(|rest| rest.ends_with('.'))
}

/// The hashes of the body, each made once.
struct Bodies<'x> {
    body: &'x [u8],
    simple: Option<Vec<u8>>,
    relaxed: Option<Vec<u8>>,
}

impl Bodies<'_> {
    fn hash(&mut self, how: Canonicalization) -> &[u8] {
        let kept = match how {
            Canonicalization::Simple => &mut self.simple,
            Canonicalization::Relaxed => &mut self.relaxed,
        };
        let body = self.body;
        kept.get_or_insert_with(|| HashAlgorithm::Sha256.hash(how.canonical_body(body, 0)).as_ref().to_vec())
    }
}

/// A field's value with CRLF where its lines end.
fn on_the_wire(value: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(value.len() + 2);
    for line in value.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                wire.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                wire.extend_from_slice(b"\r\n");
            }
            None => wire.extend_from_slice(line),
        }
    }
    wire.extend_from_slice(b"\r\n");
    wire
}

/// What the key must bear out.
fn claim(fields: &[(&[u8], Vec<u8>)], value: &[u8], signature: Signature) -> Option<SignatureClaim> {
    let value = on_the_wire(value);
    // The name as written: simple canonicalisation keeps its case.
    let name = fields.iter().find(|(_, known)| *known == value).map(|(name, _)| *name)?;
    let message = AuthenticatedMessage {
        headers: fields.iter().map(|(name, value)| (*name, value.as_slice())).collect(),
        dkim_headers: vec![Header::new(name, &value, signature.clone())],
        ..AuthenticatedMessage::default()
    };
    // It is async by its signature alone: it waits for nothing.
    let Poll::Ready(Ok(signed)) =
        pin!(message.get_canonicalized_header()).poll(&mut Context::from_waker(Waker::noop()))
    else {
        return None;
    };
    let identity = signature.i.rsplit_once('@').map(|(_, domain)| domain);
    Some(SignatureClaim {
        key_name: format!("{}._domainkey.{}.", signature.s, signature.d).to_ascii_lowercase(),
        is_below: identity.is_some_and(|identity| is_below(identity, &signature.d)),
        algorithm: match signature.a {
            Algorithm::RsaSha256 => SignatureAlgorithm::RsaSha256,
            Algorithm::Ed25519Sha256 => SignatureAlgorithm::Ed25519Sha256,
            Algorithm::RsaSha1 => return None,
        },
        expires: (signature.x != 0).then(|| i64::try_from(signature.x).unwrap_or(i64::MAX)),
        signature: signature.b,
        signed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(tags: &str) -> Signature {
        let all = format!("v=1; a=ed25519-sha256; c=relaxed/relaxed; h=From:To; bh=AAAA; b=AAAA; {tags}");
        Signature::parse(all.as_bytes()).expect("a signature")
    }

    #[test]
    fn a_signature_must_speak_for_the_sender() {
        let fits = |tags: &str| is_of_use(&signature(tags), "mail.shop.example");
        for tags in [
            "d=shop.example; s=k",
            "d=mail.shop.example; s=k",
            "d=news.Shop.example; s=k",
            "d=shop.example; s=k; i=x@a.shop.example",
        ] {
            assert!(fits(tags), "{tags}");
        }
        for tags in [
            "d=evil.example; s=k",
            "d=evilshop.example; s=k",
            "d=example; s=k",
            "d=shop.example; s=k; i=x@evil.example",
            "d=shop.example; s=k; i=x@evilshop.example",
            "d=shop.example; s=k; i=nobody",
            "d=shop.example; s=k; l=10",
            "d=shop.example; s=k; t=20; x=10",
            "d=shop.example; s=k; h=To:Subject",
            "d=shop.example; s=k; v=2",
            "d=shop.example; s=k; a=rsa-sha1",
            "d=shop.example; s=../k",
        ] {
            let parsed = Signature::parse(
                format!("v=1; a=rsa-sha256; c=relaxed/relaxed; h=From:To; bh=AAAA; b=AAAA; {tags}")
                    .as_bytes(),
            );
            assert!(parsed.is_err() || parsed.is_ok_and(|s| !is_of_use(&s, "mail.shop.example")), "{tags}");
        }
    }

    #[test]
    fn names_and_signatures_are_bounded() {
        let from = "shop.example";
        let many = |count: usize| format!("d=shop.example; s=k; h=From{}", ":x".repeat(count - 1));
        assert!(is_of_use(&signature(&many(SIGNED_NAMES)), from));
        assert!(!is_of_use(&signature(&many(SIGNED_NAMES + 1)), from));
    }

    #[test]
    fn lines_end_as_on_the_wire() {
        assert_eq!(on_the_wire(b" a\n b"), b" a\r\n b\r\n");
        assert_eq!(on_the_wire(b" a\r\n b"), b" a\r\n b\r\n");
        assert_eq!(on_the_wire(b""), b"\r\n");
    }
}
