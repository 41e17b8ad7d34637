//! What a server can take and what it can not.

use super::*;

/// The answer to EHLO, what is sent to whom, and the steps that follow.
async fn play_offers(
    offers: &'static [u8],
    envelope: &Envelope,
    raw: &[u8],
    steps: Vec<Step>,
) -> (Outcome, Heard) {
    let script = Script::play([vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(offers)], steps].concat());
    let (outcome, _) = deliver(&server(script.port, Security::None), envelope, raw, &patient()).await;
    (outcome, script.end().await)
}

#[tokio::test]
async fn what_is_too_large_is_not_begun() {
    let envelope = to(&["ada@example.net"]);
    let (outcome, heard) = play_offers(b"250-x\r\n250 SIZE 29\r\n", &envelope, RAW, vec![]).await;
    assert!(failure(&outcome).0.starts_with("the mail is too large: it has 30 bytes"), "{outcome:?}");
    assert_eq!(heard.rest, b"QUIT\r\n");
    // 0 and nothing are no limit
    for offers in [&b"250-x\r\n250 SIZE 0\r\n"[..], b"250-x\r\n250 SIZE\r\n"] {
        let (outcome, _) = play_offers(offers, &envelope, RAW, vec![Hear("MAIL"), Say(b"451 x\r\n")]).await;
        assert_eq!(deferred(&outcome).1, Some(451));
    }
}

#[tokio::test]
async fn addresses_outside_ascii_go_where_they_can() {
    let envelope = to(&["ädä@example.net", "ada@example.net"]);
    let (outcome, _) =
        play_offers(b"250 x\r\n", &envelope, RAW, up_to_data(vec![Mail, Say(b"250 ok\r\n")])).await;
    let Outcome::Sent { refused, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((refused.len(), refused[0].permanent, refused[0].code), (1, true, None));
    assert!(refused[0].text.ends_with("sends no mail to addresses outside ASCII (SMTPUTF8)"));

    let steps = vec![
        Hear("MAIL FROM:<desk@example.org> SMTPUTF8"),
        Say(b"250 ok\r\n"),
        Hear("RCPT TO:<ädä@example.net>"),
        Say(b"451 x\r\n"),
        Hear("RCPT"),
        Say(b"451 x\r\n"),
    ];
    let (outcome, _) = play_offers(b"250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", &envelope, RAW, steps).await;
    assert_eq!(deferred(&outcome).1, Some(451));

    let from =
        Envelope { from: "dësk@bücher.example".into(), instead: None, to: vec!["ada@example.net".into()] };
    let (outcome, heard) = play_offers(b"250 x\r\n", &from, RAW, vec![]).await;
    assert!(failure(&outcome).0.contains("SMTPUTF8"));
    assert_eq!(heard.rest, b"QUIT\r\n");
    let steps = vec![Hear("MAIL FROM:<dësk@xn--bcher-kva.example> SMTPUTF8"), Say(b"451 x\r\n")];
    let (outcome, _) = play_offers(b"250-x\r\n250 SMTPUTF8\r\n", &from, RAW, steps).await;
    assert_eq!(deferred(&outcome).1, Some(451));
}

#[tokio::test]
async fn a_header_outside_ascii_goes_to_nobody_where_it_is_not_offered() {
    let envelope = to(&["ada@example.net", "ädä@example.net"]);
    let raw = "To: ada@example.net, ädä@example.net\r\n\r\nx\r\n".as_bytes();
    let (outcome, heard) = play_offers(b"250-x\r\n250 8BITMIME\r\n", &envelope, raw, vec![]).await;
    assert!(failure(&outcome).0.contains("SMTPUTF8"), "{outcome:?}");
    assert_eq!(heard.rest, b"QUIT\r\n");
    let steps = vec![Hear("MAIL FROM:<desk@example.org> BODY=8BITMIME SMTPUTF8"), Say(b"451 x\r\n")];
    let (outcome, _) = play_offers(b"250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", &envelope, raw, steps).await;
    assert_eq!(deferred(&outcome).1, Some(451));
}

#[tokio::test]
async fn eight_bit_mail_goes_where_it_can() {
    let envelope = to(&["ada@example.net"]);
    let raw = "Subject: x\r\n\r\nä\r\n".as_bytes();
    let (outcome, _) = play_offers(b"250 x\r\n", &envelope, raw, vec![]).await;
    assert!(failure(&outcome).0.contains("takes only 7-bit mail"));
    let steps = vec![Hear("MAIL FROM:<desk@example.org> BODY=8BITMIME"), Say(b"451 x\r\n")];
    let (outcome, _) =
        play_offers(b"250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", &envelope, raw, steps.clone()).await;
    assert_eq!(deferred(&outcome).1, Some(451));
}

#[tokio::test]
async fn a_bad_envelope_is_not_begun() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let delivery = server(listener.local_addr().unwrap().port(), Security::None);
    let bad_from = Envelope {
        from: "x@y.example>\r\nRCPT TO:<z@y.example".into(),
        instead: None,
        to: vec!["a@b.example".into()],
    };
    for envelope in [to(&[]), bad_from] {
        let (outcome, _) = deliver(&delivery, &envelope, RAW, &patient()).await;
        assert_eq!(failure(&outcome).1, None);
    }
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    let (outcome, _, heard) = play_to(
        &to(&["a@b.example>\r\nDATA", "ada@example.net"]),
        RAW,
        &patient(),
        up_to_data(vec![Mail, Say(b"250 ok\r\n")]),
    )
    .await;
    let Outcome::Sent { refused, .. } = outcome else { panic!("{outcome:?}") };
    assert!(refused[0].permanent && heard.lines.len() == 4, "{heard:?}");
}

#[tokio::test]
async fn a_null_sender_may_send() {
    let script = Script::play(vec![
        Say(b"220 x\r\n"),
        Hear("EHLO [127.0.0.1]"),
        Say(b"250 x\r\n"),
        Hear("MAIL FROM:<>"),
        Say(b"451 x\r\n"),
    ]);
    let envelope = Envelope { from: String::new(), instead: None, to: vec!["ada@example.net".into()] };
    let (outcome, _) = deliver(&server(script.port, Security::None), &envelope, RAW, &patient()).await;
    assert_eq!(deferred(&outcome).1, Some(451));
    script.end().await;
}
