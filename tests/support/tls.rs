//! Certificates for the servers of the tests: a private CA, a second one, and leaves that are wrong
//! in one way each. Made once per test process with the openssl command.

use crate::workdir::WorkDir;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Which certificate a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificate {
    /// Signed by the CA, for `localhost` and 127.0.0.1, valid.
    #[default]
    Good,
    /// Good but for its dates: it ran out in 2021.
    Expired,
    /// Good but for its name: `elsewhere.example`.
    WrongName,
    /// Good but for its signer: a CA that nobody trusts.
    Untrusted,
}

impl Certificate {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::WrongName => "wrong-name",
            Self::Untrusted => "untrusted",
        }
    }

    /// The certificate's file, PEM.
    pub fn file(self) -> PathBuf {
        folder().join(format!("{}.pem", self.name()))
    }

    /// The key's file, PEM, PKCS #8.
    pub fn key_file(self) -> PathBuf {
        folder().join(format!("{}.key", self.name()))
    }
}

/// The CA that clients of the tests are told to trust, PEM.
pub fn ca_file() -> PathBuf {
    folder().join("ca.pem")
}

/// The CA that signed [`Certificate::Untrusted`], PEM.
pub fn other_ca_file() -> PathBuf {
    folder().join("other-ca.pem")
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<WorkDir> = OnceLock::new();
    let dir = FOLDER.get_or_init(|| {
        let dir = WorkDir::new("tls");
        make(&dir);
        dir
    });
    dir.path()
}

/// `openssl ca`, since of openssl's commands it alone takes a date that lies in the past.
const CONFIG: &str = "
[ca]
default_ca = test
[test]
database = $ENV::DIR/index
rand_serial = yes
new_certs_dir = $ENV::DIR
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[elsewhere]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:elsewhere.example
";

fn make(dir: &WorkDir) {
    dir.write("openssl.cnf", CONFIG);
    dir.write("index", "");
    for name in ["ca", "other-ca"] {
        key(dir, name);
        let subject = format!("/CN=postroom test {name}");
        let (own_key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let request = ["req", "-x509", "-new", "-config", "openssl.cnf", "-extensions", "authority"];
        let of = ["-days", "3650", "-subj", &subject, "-key", &own_key, "-out", &certificate];
        openssl(dir, &[&request[..], &of[..]].concat());
    }
    let years = ("20250101000000Z", "20450101000000Z");
    leaf(dir, Certificate::Good, "ca", "leaf", years);
    leaf(dir, Certificate::Expired, "ca", "leaf", ("20200101000000Z", "20210101000000Z"));
    leaf(dir, Certificate::WrongName, "ca", "elsewhere", years);
    leaf(dir, Certificate::Untrusted, "other-ca", "leaf", years);
}

fn leaf(dir: &WorkDir, which: Certificate, ca: &str, extensions: &str, (from, until): (&str, &str)) {
    let name = which.name();
    key(dir, name);
    let (own_key, request, certificate) =
        (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    let ask = ["req", "-new", "-config", "openssl.cnf", "-subj", &subject];
    openssl(dir, &[&ask[..], &["-key", &own_key, "-out", &request]].concat());
    let (ca_file, ca_key) = (format!("{ca}.pem"), format!("{ca}.key"));
    let sign = ["ca", "-batch", "-notext", "-config", "openssl.cnf", "-extensions", extensions];
    let by = ["-cert", &ca_file, "-keyfile", &ca_key, "-startdate", from, "-enddate", until];
    openssl(dir, &[&sign[..], &by[..], &["-in", &request, "-out", &certificate]].concat());
}

fn key(dir: &WorkDir, name: &str) {
    let file = format!("{name}.key");
    let make = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &file];
    openssl(dir, &make);
}

fn openssl(dir: &WorkDir, arguments: &[&str]) {
    let command =
        Command::new("openssl").args(arguments).current_dir(dir.path()).env("DIR", dir.path()).output();
    let output = command.unwrap_or_else(|error| {
        panic!("can't run openssl ({error}); tests/run installs what the tests need")
    });
    assert!(
        output.status.success(),
        "openssl {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(certificate: Certificate, arguments: &[&str]) -> String {
        let file = certificate.file();
        let output = Command::new("openssl").arg("verify").args(arguments).arg(file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn each_certificate_is_wrong_in_one_way() {
        let (ca, other) = (ca_file(), other_ca_file());
        let trusting = ["-CAfile", ca.to_str().unwrap(), "-verify_hostname", "localhost"];
        assert!(verify(Certificate::Good, &trusting).contains(": OK"));
        assert!(
            verify(Certificate::Good, &["-CAfile", ca.to_str().unwrap(), "-verify_ip", "127.0.0.1"])
                .contains(": OK")
        );
        assert!(verify(Certificate::Expired, &trusting).contains("certificate has expired"));
        assert!(verify(Certificate::WrongName, &trusting).contains("hostname mismatch"));
        assert!(verify(Certificate::Untrusted, &trusting).contains("unable to get local issuer"));
        assert!(verify(Certificate::Untrusted, &["-CAfile", other.to_str().unwrap()]).contains(": OK"));
    }
}
