//! What an operator is told about a way out.

use super::*;
use crate::script::Step::{Close, Hear, Say, Tls};
use crate::script::{Heard, Script, Step, fixture};
use postroom_core::mailbox::AuthMethod;

fn patient() -> Timeouts {
    let long = Duration::from_secs(20);
    Timeouts { connect: long, command: long, ..Timeouts::default() }
}

fn secret() -> Credential {
    Credential::Password("secret".to_owned())
}

fn delivery(port: u16, security: Security, ca_file: Option<&str>) -> Delivery {
    Delivery::Smtp {
        host: "localhost".into(),
        port,
        security,
        username: Some("desk@example.org".into()),
        auth: AuthMethod::Password,
        ca_file: ca_file.map(|name| fixture(name).to_str().unwrap().to_owned()),
    }
}

async fn try_with(security: Security, ca_file: Option<&str>, steps: Vec<Step>) -> (Probe, Heard) {
    let script = Script::play(steps);
    let answer = probe(&delivery(script.port, security, ca_file), Some(&secret()), &patient()).await;
    (answer, script.end().await)
}

fn login(answer: &'static [u8]) -> Vec<Step> {
    vec![
        Say(b"220 x\r\n"),
        Hear("EHLO example.org"),
        Say(b"250-x\r\n250 AUTH PLAIN\r\n"),
        Hear("AUTH PLAIN"),
        Say(answer),
    ]
}

#[tokio::test]
async fn what_works_is_said() {
    let steps = [vec![Tls("localhost.pem")], login(b"235 in\r\n")].concat();
    let (answer, heard) = try_with(Security::Tls, Some("ca.pem"), steps).await;
    assert!(answer.ok);
    assert!(answer.detail.ends_with("answers with TLS, logged in as desk@example.org"), "{}", answer.detail);
    assert_eq!(heard.rest, b"QUIT\r\n");
    let answer = probe(&Delivery::Sink {}, None, &patient()).await;
    assert_eq!(answer, Probe { ok: true, detail: "nothing leaves: mail is captured".into() });
}

#[tokio::test]
async fn a_refused_login_is_said() {
    let (answer, _) = try_with(Security::None, None, login(b"535 5.7.8 wrong password secret\r\n")).await;
    assert!(!answer.ok);
    assert!(
        answer.detail.ends_with("answered the login with 535 5.7.8 wrong password …"),
        "{}",
        answer.detail
    );
}

#[tokio::test]
async fn a_bad_certificate_is_said_in_words() {
    for (shown, trusted, words) in [
        ("expired.pem", Some("ca.pem"), "the certificate has expired"),
        ("other_name.pem", Some("ca.pem"), "it is not for localhost but for"),
        ("localhost.pem", Some("self_signed.pem"), "nobody whom we trust issued the certificate"),
        ("self_signed.pem", Some("self_signed.pem"), "shows the certificate of an authority as its own"),
        ("localhost.pem", None, "nobody whom we trust issued the certificate"),
    ] {
        let (answer, heard) = try_with(Security::Tls, trusted, vec![Tls(shown)]).await;
        assert!(!answer.ok);
        assert!(answer.detail.contains(words), "{shown}: {}", answer.detail);
        assert!(heard.rest.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_port_is_said() {
    let (answer, _) = try_with(Security::Tls, Some("ca.pem"), vec![Say(b"220 plain\r\n")]).await;
    assert!(
        answer.detail.contains("does not speak TLS here; is the port one for STARTTLS?"),
        "{}",
        answer.detail
    );
    let (answer, _) =
        try_with(Security::StartTls, None, vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250 x\r\n")]).await;
    assert!(answer.detail.contains("does not offer STARTTLS"), "{}", answer.detail);
    let (answer, _) = try_with(Security::None, None, vec![Close]).await;
    assert!(answer.detail.contains("the connection"), "{}", answer.detail);
}

#[tokio::test]
async fn an_unusable_ca_file_is_said() {
    for (name, words) in
        [("none.pem", "can't read ca_file"), ("README.md", "there is no certificate in ca_file")]
    {
        let (answer, _) = try_with(Security::Tls, Some(name), vec![]).await;
        assert!(answer.detail.contains(words), "{}", answer.detail);
    }
}

#[test]
fn nobody_there_is_said_by_the_blocking_probe() {
    // a port that was free a moment ago
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let answer = probe_delivery(&delivery(port, Security::None, None), Some(&secret()));
    assert!(!answer.ok);
    assert!(answer.detail.starts_with(&format!("can't reach localhost:{port}: ")), "{}", answer.detail);
    let nowhere = Delivery::Smtp {
        host: "nowhere.invalid".into(),
        port: 587,
        security: Security::StartTls,
        username: None,
        auth: AuthMethod::Password,
        ca_file: None,
    };
    assert!(probe_delivery(&nowhere, None).detail.starts_with("can't find the host nowhere.invalid"));
}
