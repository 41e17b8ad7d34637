//! Mails signed as a sender's server signs them (RFC 6376, RFC 8463).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use rustls::pki_types::PrivateKeyDer;

/// What is signed of a mail.
const SIGNED: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];

/// A domain's key.
pub struct DkimKey {
    domain: String,
    selector: String,
    pkcs8: Vec<u8>,
}

impl DkimKey {
    /// A fresh Ed25519 key.
    pub fn new(domain: &str, selector: &str) -> Self {
        let pkcs8 = Ed25519Key::generate_pkcs8().expect("a key");
        Self { domain: domain.to_owned(), selector: selector.to_owned(), pkcs8 }
    }

    fn key(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.pkcs8).expect("a key that was made here")
    }

    /// The name under which the public key lies in DNS.
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// Name and record, `more` being further tags: `t=s`.
    pub fn record(&self, more: &str) -> (String, String) {
        let key = STANDARD.encode(self.key().public_key());
        (self.name(), format!("v=DKIM1; k=ed25519; {more}; p={key}"))
    }

    /// The mail with its signature on top.
    pub fn sign(&self, mail: &[u8]) -> Vec<u8> {
        self.sign_as(mail, |signer| signer)
    }

    /// [`DkimKey::sign`] with a signer that is set up otherwise.
    pub fn sign_as(
        &self,
        mail: &[u8],
        how: impl FnOnce(DkimSigner<Ed25519Key, Done>) -> DkimSigner<Ed25519Key, Done>,
    ) -> Vec<u8> {
        signed(mail, &how(signer(self.key(), &self.domain, &self.selector)))
    }
}

/// A mail signed with an RSA key (PKCS#8, DER), and the record of that key.
pub fn sign_with_rsa(domain: &str, selector: &str, pkcs8: &[u8], mail: &[u8]) -> (Vec<u8>, (String, String)) {
    let der = PrivateKeyDer::try_from(pkcs8).expect("a key");
    let key = RsaKey::<Sha256>::from_key_der(der).expect("a key");
    let record = format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(key.public_key()));
    let name = format!("{selector}._domainkey.{domain}");
    (signed(mail, &signer(key, domain, selector)), (name, record))
}

fn signer<K: SigningKey>(key: K, domain: &str, selector: &str) -> DkimSigner<K, Done> {
    DkimSigner::from_key(key).domain(domain).selector(selector).headers(SIGNED)
}

fn signed<K: SigningKey>(mail: &[u8], signer: &DkimSigner<K, Done>) -> Vec<u8> {
    let header = signer.sign(mail).expect("a mail can be signed").to_header();
    [header.as_bytes(), mail].concat()
}
