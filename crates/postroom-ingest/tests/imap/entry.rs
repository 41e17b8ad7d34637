//! The way in: reaching a server, TLS, login.

use crate::server::{PATIENT, Server, certificate, password};
use postroom_core::mailbox::{AfterIngest, AuthMethod, Credential, Security, Source};
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::connect;
use postroom_ingest::probe::probe_source;
use postroom_ingest::source::MailSource;
use std::net::TcpListener;

fn refused(source: &Source) -> SourceError {
    connect(source, &password(), &PATIENT).expect_err("this must not become a session")
}

fn with_host(mut source: Source, name: &str) -> Source {
    if let Source::Imap { host, .. } = &mut source {
        name.clone_into(host);
    }
    source
}

fn with_ca(mut source: Source, file: Option<&str>) -> Source {
    if let Source::Imap { ca_file, .. } = &mut source {
        *ca_file = file.map(str::to_owned);
    }
    source
}

/// A server that nobody will have connected to.
fn nobody() -> Source {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    Source::Imap {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::None,
        username: "amy".to_owned(),
        auth: AuthMethod::Password,
        folders: Vec::new(),
        after_ingest: AfterIngest::Leave,
        import: postroom_core::mailbox::Import::All,
        sent_folder: None,
        junk_folder: None,
        ca_file: None,
    }
}

#[test]
fn a_welcome_in_any_language_lets_in() {
    let server = Server::play(|peer| {
        peer.say("* OK Grüß Gott – bereit\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1\r\n");
        peer.ok();
        peer.hear("LOGIN \"amy\" \"correct horse\"");
        peer.finish("OK Angemeldet – willkommen");
        peer.able("IMAP4rev1 MOVE");
        peer.hear("LOGOUT");
        peer.say("* BYE Auf Wiederhören – tschüß\r\n");
        peer.ok();
    });
    let mut session = server.session();
    assert!(session.can_move() && !session.can_expunge());
    session.logout();
    assert!(session.still_there(&[1]).unwrap_err().to_string().ends_with("the session is over"));
    server.end();
}

#[test]
fn a_refused_login_says_who_and_where_and_never_the_password() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
        peer.ok();
        peer.hear("LOGIN \"amy\" \"correct horse\"");
        peer.finish("NO [AUTHENTICATIONFAILED] Falsches Paßwort.");
    });
    let error = refused(&server.source(Security::None));
    let expected = format!(
        "the server at 127.0.0.1:{} refused the login for amy; check username and password; \
         it said: [AUTHENTICATIONFAILED] Falsches Paßwort.",
        server.port
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.drops_session() && !error.is_transient());
    server.end();
}

#[test]
fn a_server_that_repeats_the_password_is_not_quoted() {
    let echoes = ["LOGIN \"amy\" \"correct horse\"", "unknown: Y29ycmVjdCBob3JzZQ=="];
    for echo in echoes {
        let server = Server::play(move |peer| {
            peer.say("* OK ready\r\n");
            peer.hear("CAPABILITY");
            peer.say("* CAPABILITY IMAP4rev1\r\n");
            peer.ok();
            peer.hear("LOGIN \"amy\" \"correct horse\"");
            peer.finish(&format!("BAD {echo}"));
        });
        let error = refused(&server.source(Security::None));
        assert!(error.to_string().ends_with("check username and password"), "{error}");
        assert!(!format!("{error:?}").contains("horse"), "{error:?}");
        server.end();
    }
}

#[test]
fn a_login_that_is_refused_for_now_is_worth_another_try() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1\r\n");
        peer.ok();
        peer.hear("LOGIN \"amy\" \"correct horse\"");
        peer.finish("NO [UNAVAILABLE] Try later");
    });
    assert!(refused(&server.source(Security::None)).is_transient());
    server.end();
}

#[test]
fn a_password_beyond_ascii_goes_by_authenticate_plain() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
        peer.ok();
        peer.hear("AUTHENTICATE PLAIN");
        peer.say("+ \r\n");
        assert_eq!(peer.hear_line().as_deref(), Some("AGFteQBww6Rzc3c=")); // \0amy\0pässw
        peer.finish("OK done");
        peer.able("IMAP4rev1");
    });
    connect(&server.source(Security::None), &Credential::Password("pässw".to_owned()), &PATIENT).unwrap();
    server.end();
}

#[test]
fn no_password_is_sent_where_passwords_are_not_taken() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\n");
        peer.ok();
        assert_eq!(peer.hear_line(), None);
    });
    let error = refused(&server.source(Security::None));
    assert!(error.to_string().contains("it offers no login by password"), "{error}");
    server.end();
}

#[test]
fn a_server_that_is_full_or_none_is_told_from_a_wrong_password() {
    let say = |words: &'static str| Server::play(move |peer| peer.say(words));
    let cases = [
        (
            "* BYE Too many connections\r\n",
            "the server takes no connection now; it said: BYE Too many connections",
        ),
        ("220 smtp.example.org ESMTP\r\n", "this is not an IMAP server; it said: 220 smtp.example.org ESMTP"),
        ("* PREAUTH hello\r\n", "the server greets in an unexpected way; it said: PREAUTH hello"),
        ("", "the server hung up in the middle of an answer"),
    ];
    for (greeting, why) in cases {
        let server = say(greeting);
        let error = refused(&server.source(Security::None));
        assert!(error.is_transient() && error.to_string().ends_with(why), "{error}");
        server.end();
    }
}

#[test]
fn nobody_there_is_unreachable() {
    let error = refused(&nobody());
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    assert!(error.is_transient() && error.to_string().ends_with("can't be reached"), "{error}");
}

#[test]
fn without_tls_only_this_very_machine_is_spoken_to() {
    let error = refused(&with_host(nobody(), "192.0.2.1"));
    assert!(matches!(error, SourceError::Insecure { .. }), "{error:?}");
    assert!(error.to_string().contains("choose tls or starttls"), "{error}");
}

#[test]
fn tls_and_starttls_with_an_authority_of_ones_own() {
    let server = Server::play(|peer| {
        assert!(peer.secure("good"));
        peer.say("* OK ready\r\n");
        peer.able("IMAP4rev1");
        peer.hear("LOGIN \"amy\" \"correct horse\"");
        peer.ok();
        peer.able("IMAP4rev1");
    });
    let source = with_host(server.source(Security::Tls), "localhost");
    connect(&source, &password(), &PATIENT).unwrap();
    server.end();

    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("STARTTLS");
        peer.say("* OK wait a moment\r\n");
        peer.finish("OK begin");
        assert!(peer.secure("good"));
        peer.able("IMAP4rev1");
        peer.hear("LOGIN \"amy\" \"correct horse\"");
        peer.ok();
        peer.able("IMAP4rev1");
    });
    connect(&server.source(Security::StartTls), &password(), &PATIENT).unwrap();
    server.end();
}

#[test]
fn a_bad_certificate_is_refused_and_why_is_said() {
    let cases = [
        ("other", Some("ca"), "its certificate is for another name (mail.example.org)"),
        ("expired", Some("ca"), "its certificate has expired"),
        (
            "good",
            Some("other"),
            "its certificate comes from an issuer that is not trusted here; for an authority of your own set ca_file",
        ),
    ];
    for (shown, trusted, why) in cases {
        let server = Server::play(move |peer| {
            // In TLS 1.3 the server is done before it hears what the client thinks of it.
            peer.secure(shown);
            assert_eq!(peer.hear_line(), None);
        });
        let source = with_ca(server.source(Security::Tls), trusted.map(certificate).as_deref());
        let error = refused(&with_host(source, "localhost"));
        assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
        assert!(error.to_string().starts_with("there is no safe connection to localhost"), "{error}");
        assert!(error.to_string().ends_with(why), "{error}");
        assert!(!error.is_transient());
        server.end();
    }
}

#[test]
fn without_a_ca_file_a_private_authority_is_not_believed() {
    let server = Server::play(|peer| {
        peer.secure("good");
        assert_eq!(peer.hear_line(), None);
    });
    let error = refused(&with_ca(server.source(Security::Tls), None));
    assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
    // Where the machine has no authorities at all, nobody connects.
    drop(std::net::TcpStream::connect(("127.0.0.1", server.port)));
    server.end();
}

#[test]
fn a_ca_file_that_is_no_use_is_named() {
    let cases =
        [("missing", "can't be read"), ("make", "holds no certificate"), ("server", "holds no certificate")];
    for (file, why) in cases {
        let path = certificate(file).replace(".pem", if file == "server" { ".key" } else { "" });
        let mut source = with_ca(nobody(), Some(&path));
        if let Source::Imap { security, .. } = &mut source {
            *security = Security::Tls;
        }
        let error = refused(&source);
        assert!(error.to_string().contains(&path) && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn tls_on_a_port_that_does_not_speak_it() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        while peer.hear_bytes() {}
    });
    let error = refused(&server.source(Security::Tls));
    assert!(error.to_string().contains("it does not speak TLS on this port"), "{error}");
    server.end();
}

#[test]
fn without_starttls_nothing_secret_is_sent() {
    for answer in ["BAD Unknown command", "NO not today"] {
        let server = Server::play(move |peer| {
            peer.say("* OK [CAPABILITY IMAP4rev1] ready\r\n");
            peer.hear("STARTTLS");
            peer.finish(answer);
            assert_eq!(peer.hear_line(), None);
        });
        let error = refused(&server.source(Security::StartTls));
        assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
        assert!(
            error.to_string().contains("the server refuses STARTTLS, and nothing is sent without it"),
            "{error}"
        );
        server.end();
    }
}

#[test]
fn what_is_put_behind_starttls_never_counts_as_said_under_tls() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("STARTTLS");
        // In one piece, as somebody in between would send it.
        peer.say("s OK begin\r\n* CAPABILITY IMAP4rev1\r\na1 OK done\r\na2 OK logged in\r\n");
        peer.secure("good");
        while peer.hear_bytes() {}
    });
    let error = refused(&server.source(Security::StartTls));
    assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
    server.end();
}

#[test]
fn a_probe_says_what_works_and_what_does_not() {
    let server = Server::let_in(|peer| {
        peer.open(12);
        peer.hear("EXAMINE \"Done\"");
        peer.finish("NO no such folder");
        peer.hear("LIST \"\" \"Done\"");
        peer.ok();
        peer.hear("LOGOUT");
        peer.ok();
    });
    let mut source = server.source(Security::None);
    if let Source::Imap { after_ingest, .. } = &mut source {
        *after_ingest = AfterIngest::Move { folder: "Done".to_owned() };
    }
    let probe = probe_source(&source, Some(&password()));
    assert!(!probe.ok);
    assert_eq!(
        probe.detail,
        "there is no folder \"Done\" on the server; create it there or correct its name"
    );
    server.end();

    let server = Server::let_in(|peer| {
        peer.open(1);
        peer.hear("LOGOUT");
        peer.ok();
    });
    let probe = probe_source(&server.source(Security::None), Some(&password()));
    assert!(probe.ok);
    assert_eq!(probe.detail, format!("logged in to 127.0.0.1:{} as amy; INBOX holds 1 mail", server.port));
    server.end();

    let probe = probe_source(&nobody(), Some(&password()));
    assert!(!probe.ok && probe.detail.contains("can't be reached: "), "{}", probe.detail);
    assert_eq!(probe_source(&nobody(), None).detail, "no password is set");
    assert!(probe_source(&Source::Push {}, None).ok);
    assert!(!probe_source(&Source::Maildir { path: "/nowhere".to_owned() }, None).ok);
}
