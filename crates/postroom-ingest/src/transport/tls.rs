//! TLS: whom a mailbox trusts, the handshake, and what was wrong with a certificate in words.

use super::{Place, Timed, Wire};
use crate::error::{SourceError, clean};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_platform_verifier::BuilderVerifierExt;
use std::io;
use std::sync::{Arc, OnceLock};

/// Whom to believe that it is the server: the authorities the system trusts or, where a `ca_file`
/// is set, that file's and no others.
pub(super) struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Trust {
    pub fn new(place: &Place, ca_file: Option<&str>) -> Result<Self, SourceError> {
        let config = match ca_file {
            Some(path) => private(place, path)?,
            None => system(place)?,
        };
        let name = idna::domain_to_ascii(&place.host).unwrap_or_else(|_| place.host.clone());
        let name = ServerName::try_from(name)
            .map_err(|_| place.unsafe_because("this is no name that a certificate could be for"))?;
        Ok(Self { config, name })
    }

    /// Sets up TLS over a fresh connection.
    pub fn shake_hands(self, place: &Place, timed: Timed) -> Result<Wire, SourceError> {
        let connection = ClientConnection::new(self.config, self.name)
            .map_err(|error| place.unsafe_because(say(&error)))?;
        let mut tls = StreamOwned::new(connection, timed);
        while tls.conn.is_handshaking() {
            match tls.conn.complete_io(&mut tls.sock) {
                Ok(_) => {}
                Err(error) => return Err(failed(place, error)),
            }
        }
        Ok(Wire::Tls(Box::new(tls)))
    }
}

/// A handshake that failed, told apart from a connection that broke.
fn failed(place: &Place, error: io::Error) -> SourceError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => place.unsafe_because(say(inner)),
        None => place.broken(error),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The configuration with the system's authorities: made once, for reading them takes its time.
fn system(place: &Place) -> Result<Arc<ClientConfig>, SourceError> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(config.clone());
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| {
            let hint = "install the system's CA certificates, or set ca_file";
            place.unsafe_because(format!("no authorities to check it by; {hint} ({error})"))
        })?
        .with_no_client_auth();
    Ok(SYSTEM.get_or_init(|| Arc::new(config)).clone())
}

/// The configuration with the authorities of one file alone.
fn private(place: &Place, path: &str) -> Result<Arc<ClientConfig>, SourceError> {
    let bad = |why: String| place.unsafe_because(format!("ca_file {path} {why}"));
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| bad(format!("can't be read: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| bad(format!("holds a certificate that can't be used: {error}")))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no certificate".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| place.unsafe_because(say(&error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What is wrong, in words.
fn say(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                // They come as `DnsName("mail.example.org")`.
                let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
                let names: Vec<_> = presented.iter().map(bare).collect();
                format!("its certificate is for another name ({})", clean(names.join(", ").as_bytes()))
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            Bad::UnknownIssuer => "its certificate comes from an issuer that is not trusted here; \
                 for an authority of your own set ca_file"
                .to_owned(),
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is this machine's clock right?".to_owned()
            }
            Bad::Revoked => "its certificate was revoked".to_owned(),
            Bad::BadSignature => {
                "its certificate is not signed by who it says; is ca_file the right one?".to_owned()
            }
            // The reason is rustls-webpki's and of no type that can be named here.
            Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "it shows the certificate of an authority as its own; it needs one that the authority issued"
                    .to_owned()
            }
            other => format!("its certificate can't be used: {other}"),
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port; should security be another, or the port?".to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}
