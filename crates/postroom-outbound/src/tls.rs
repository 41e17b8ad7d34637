//! Whom we trust on an encrypted connection, and what is wrong with a certificate in words.

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use rustls::{AlertDescription, CertificateError};
use std::error::Error as StdError;

/// What TLS to a host needs: the system's roots, or only those of a PEM file.
///
/// Reads files: call it where that may block. The fault is a sentence.
pub(crate) fn parameters(host: &str, ca_file: Option<&str>) -> Result<TlsParameters, String> {
    let builder = TlsParameters::builder(host.to_owned());
    let builder = match ca_file {
        None => builder,
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| format!("can't read ca_file {path}: {error}"))?;
            // lettre takes a file without any certificate as well
            if !pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
                return Err(format!("there is no certificate in ca_file {path}"));
            }
            let certificate = Certificate::from_pem(&pem)
                .map_err(|error| format!("can't read the certificates in ca_file {path}: {error}"))?;
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate)
        }
    };
    builder.build_rustls().map_err(|error| format!("can't set TLS up: {}", in_words(&error)))
}

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Why a handshake failed, for people.
pub(crate) fn in_words(error: &(dyn StdError + 'static)) -> String {
    let mut cause = Some(error);
    let mut deepest = error.to_string();
    while let Some(current) = cause {
        if let Some(tls) = tls_error(current) {
            return tls_in_words(tls);
        }
        deepest = current.to_string();
        cause = current.source();
    }
    deepest
}

/// TLS errors travel inside I/O errors, which do not name them as their source.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()))
}

fn tls_in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(fault) => certificate_in_words(fault),
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS here; is the port one for STARTTLS?".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server knows only TLS versions older than 1.2".to_owned()
        }
        other => other.to_string(),
    }
}

fn certificate_in_words(fault: &CertificateError) -> String {
    match fault {
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let presented = presented.join(", ");
            format!("the certificate is for another name: it is not for {expected} but for {presented}")
        }
        CertificateError::UnknownIssuer => {
            "nobody whom we trust issued the certificate; if the authority is your own, name it in ca_file"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet; is the clock right?".to_owned()
        }
        CertificateError::Revoked => "the certificate has been revoked".to_owned(),
        CertificateError::BadSignature => "the certificate's signature is wrong".to_owned(),
        // the reason is rustls-webpki's and of no type that can be named here
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority as its own; it needs one that the authority issued"
                .to_owned()
        }
        other => format!("the certificate is not good: {other:?}"),
    }
}
