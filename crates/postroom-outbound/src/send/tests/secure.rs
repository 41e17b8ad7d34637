//! Logins and encryption: what is secret stays so.

use super::*;

#[tokio::test]
async fn a_login_is_refused_or_put_off() {
    let hello = |offers| vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(offers)];
    let plain =
        |answer| [hello(b"250-x\r\n250 AUTH PLAIN\r\n"), vec![Hear("AUTH PLAIN "), Say(answer)]].concat();
    let login = |answer| {
        let steps = vec![
            Hear("AUTH LOGIN"),
            Say(b"334 VXNlcm5hbWU6\r\n"),
            Hear("ZGVzaw=="),
            Say(b"334 UGFzc3dvcmQ6\r\n"),
            Hear("czNjcmV0LXdvcmQ="),
            Say(answer),
        ];
        [hello(b"250-x\r\n250 AUTH=LOGIN\r\n"), steps].concat()
    };
    for (steps, is_refused) in [
        (
            plain(b"535 5.7.8 no s3cret-word s3cre\0t-word AGRlc2sAczNjcmV0LXdvcmQ= czNjcmV0LXdvcmQ=\r\n"),
            true,
        ),
        (plain(b"534 5.7.9 use a token\r\n"), true),
        (plain(b"454 4.7.0 later\r\n"), false),
        (plain(b"334 more?\r\n"), false),
        (login(b"535 5.7.8 no s3cret-word\r\n"), true),
        (hello(b"250-x\r\n250 AUTH GSSAPI\r\n"), true),
        (hello(b"250 x\r\n"), true),
    ] {
        let script = Script::play(steps);
        let (outcome, noted) =
            deliver(&with_login(script.port), &to(&["ada@example.net"]), RAW, &patient()).await;
        let reason = match &outcome {
            Outcome::LoginRefused { reason } if is_refused => reason,
            Outcome::Deferred { reason, .. } if !is_refused => reason,
            other => panic!("{other:?}"),
        };
        assert!(
            !reason.contains("s3cret-word") && !reason.contains("czNj") && !reason.contains("AGRl"),
            "{reason}"
        );
        assert_eq!(noted, 0);
        assert_eq!(script.end().await.rest, b"QUIT\r\n");
    }
    let (delivery, envelope) = (with_login(1), to(&["ada@example.net"]));
    let outcome = send(&delivery, None, &envelope, RAW, &patient(), &Noting::default()).await;
    let Outcome::LoginRefused { reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "no password is known for desk at localhost:1");
}

#[tokio::test]
async fn who_sends_is_asked_before_the_login_and_told_after_it() {
    let hello = || vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250-x\r\n250 AUTH PLAIN\r\n")];
    let password = Credential::Password("s3cret-word".to_owned());
    for (said, entry) in
        [(&b"535 5.7.8 no\r\n"[..], Entry::Refused), (b"454 4.7.0 later\r\n", Entry::Unknown)]
    {
        let script = Script::play([hello(), vec![Hear("AUTH PLAIN"), Say(said)]].concat());
        let course = Noting::default();
        let (delivery, envelope) = (with_login(script.port), to(&["ada@example.net"]));
        let outcome = send(&delivery, Some(&password), &envelope, RAW, &patient(), &course).await;
        assert_eq!(matches!(outcome, Outcome::LoginRefused { .. }), entry == Entry::Refused, "{outcome:?}");
        assert_eq!(*course.entries.lock().unwrap(), [entry]);
        script.end().await;
    }
    let script = Script::play(hello());
    let course = Noting { not_now: Some("it was refused a moment ago"), ..Noting::default() };
    let (delivery, envelope) = (with_login(script.port), to(&["ada@example.net"]));
    let outcome = send(&delivery, Some(&password), &envelope, RAW, &patient(), &course).await;
    assert!(
        matches!(&outcome, Outcome::LoginRefused { reason } if reason == "it was refused a moment ago"),
        "{outcome:?}"
    );
    assert!(course.entries.lock().unwrap().is_empty());
    assert_eq!(script.end().await.rest, b"QUIT\r\n", "no password goes over the line");
}

#[tokio::test]
async fn a_login_by_token_acknowledges_a_refusal_with_nothing() {
    // user=desk^Aauth=Bearer s3cret-token^A^A
    const AUTH: &str = "AUTH XOAUTH2 dXNlcj1kZXNrAWF1dGg9QmVhcmVyIHMzY3JldC10b2tlbgEB";
    let token = Credential::Bearer("s3cret-token".to_owned());
    let hello = || vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250-x\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n")];
    let after = |steps: Vec<Step>| [hello(), vec![Hear(AUTH)], steps].concat();
    for (steps, is_refused) in [
        // {"status":"400","schemes":"Bearer"}
        (
            after(vec![
                Say(b"334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=\r\n"),
                Hear(""),
                Say(b"535-5.7.8 not s3cret-token\r\n535 5.7.8 sorry\r\n"),
            ]),
            true,
        ),
        (after(vec![Say(b"535 5.7.3 Authentication unsuccessful\r\n")]), true),
        (after(vec![Say(b"454 4.7.0 Temporary authentication failure\r\n")]), false),
        (vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250-x\r\n250 AUTH LOGIN PLAIN\r\n")], true),
    ] {
        let script = Script::play(steps);
        let to = to(&["ada@example.net"]);
        let (outcome, noted) = deliver_as(&with_login(script.port), &token, &to, RAW, &patient()).await;
        let reason = match &outcome {
            Outcome::LoginRefused { reason } if is_refused => reason,
            Outcome::Deferred { reason, .. } if !is_refused => reason,
            other => panic!("{other:?}"),
        };
        assert!(!reason.contains("s3cret"), "{reason}");
        assert_eq!(noted, 0);
        let heard = script.end().await;
        assert!(heard.lines.iter().all(|line| !line.starts_with("AUTH PLAIN")), "{:?}", heard.lines);
        assert!(heard.lines.get(2).is_none_or(String::is_empty), "{:?}", heard.lines);
        assert_eq!(heard.rest, b"QUIT\r\n");
    }
    let mail = vec![
        Say(b"235 2.7.0 Accepted\r\n"),
        Hear("MAIL"),
        Say(b"250 ok\r\n"),
        Hear("RCPT"),
        Say(b"250 ok\r\n"),
        Hear("DATA"),
        Say(b"354 go\r\n"),
        Mail,
        Say(b"250 ok\r\n"),
    ];
    let script = Script::play(after(mail));
    let to = to(&["ada@example.net"]);
    let (outcome, noted) = deliver_as(&with_login(script.port), &token, &to, RAW, &patient()).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert_eq!(noted, 1);
    script.end().await;
}

#[tokio::test]
async fn steps_of_a_login_end_well() {
    let script = Script::play(vec![
        Say(b"220 x\r\n"),
        Hear("EHLO"),
        Say(b"250-x\r\n250 AUTH LOGIN\r\n"),
        Hear("AUTH LOGIN"),
        Say(b"334 wie bitte\r\n"),
        Hear("ZGVzaw=="),
        Say(b"334 \r\n"),
        Hear("czNjcmV0LXdvcmQ="),
        Say(b"235 in\r\n"),
        Hear("MAIL"),
        Say(b"451 later\r\n"),
    ]);
    let (outcome, _) = deliver(&with_login(script.port), &to(&["ada@example.net"]), RAW, &patient()).await;
    assert_eq!(deferred(&outcome).1, Some(451));
    script.end().await;
}

#[tokio::test]
async fn without_starttls_nothing_goes() {
    let script = Script::play(vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250-x\r\n250 AUTH PLAIN\r\n")]);
    let Delivery::Smtp { host, port, ca_file, username, .. } = with_login(script.port) else { panic!() };
    let delivery = Delivery::Smtp {
        host,
        port,
        security: Security::StartTls,
        username,
        auth: AuthMethod::Password,
        ca_file,
    };
    let (outcome, _) = deliver(&delivery, &to(&["ada@example.net"]), RAW, &patient()).await;
    assert!(deferred(&outcome).0.ends_with("does not offer STARTTLS, and nothing is sent unencrypted"));
    assert_eq!(script.end().await.rest, b"QUIT\r\n");
}

fn trusting(port: u16, security: Security, ca_file: &str) -> Delivery {
    let ca_file = Some(fixture(ca_file).to_str().unwrap().to_owned());
    Delivery::Smtp {
        host: "localhost".into(),
        port,
        security,
        username: None,
        auth: AuthMethod::Password,
        ca_file,
    }
}

fn starttls() -> Vec<Step> {
    vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250-x\r\n250 STARTTLS\r\n"), Hear("STARTTLS")]
}

#[tokio::test]
async fn encrypted_mail_goes() {
    let inside =
        || [vec![Hear("EHLO"), Say(b"250 x\r\n")], up_to_data(vec![Mail, Say(b"250 taken\r\n")])].concat();
    let wrapped = [vec![Tls("localhost.pem"), Say(b"220 x\r\n")], inside()].concat();
    let upgraded = [starttls(), vec![Say(b"220 go\r\n"), Tls("localhost.pem")], inside()].concat();
    for (security, steps) in [(Security::Tls, wrapped), (Security::StartTls, upgraded)] {
        let script = Script::play(steps);
        let delivery = trusting(script.port, security, "ca.pem");
        let (outcome, _) = deliver(&delivery, &to(&["ada@example.net"]), RAW, &patient()).await;
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        assert_eq!(script.end().await.rest, b"QUIT\r\n");
    }
}

#[tokio::test]
async fn words_put_before_tls_are_not_believed() {
    let injected = b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n";
    let script = Script::play([starttls(), vec![Say(injected)]].concat());
    let delivery = trusting(script.port, Security::StartTls, "ca.pem");
    let (outcome, _) = deliver(&delivery, &to(&["ada@example.net"]), RAW, &patient()).await;
    assert!(deferred(&outcome).0.contains("bytes in plain after the answer to STARTTLS"));
    assert!(script.end().await.rest.is_empty());
}

#[tokio::test]
async fn nothing_goes_unencrypted_to_another_machine() {
    let Delivery::Smtp { port, security, username, ca_file, .. } = server(25, Security::None) else {
        panic!()
    };
    // RFC 5737: this address is nobody's
    let delivery = Delivery::Smtp {
        host: "192.0.2.1".into(),
        port,
        security,
        username,
        auth: AuthMethod::Password,
        ca_file,
    };
    let (outcome, _) = deliver(&delivery, &to(&["ada@example.net"]), RAW, &patient()).await;
    assert_eq!(
        deferred(&outcome).0,
        "192.0.2.1:25 is another machine, and nothing is sent there unencrypted"
    );
    let (outcome, _) = deliver(&Delivery::Sink {}, &to(&["ada@example.net"]), RAW, &patient()).await;
    assert!(deferred(&outcome).0.contains("captured"));
}
