//! Who says what, when, and what it means.

use super::*;

#[tokio::test]
async fn a_mail_goes_with_login_past_slow_and_long_replies() {
    let script = Script::play(vec![
        Stammer(b"220-welcome\r\n220 x ESMTP\r\n"),
        Hear("EHLO example.org"),
        Say(b"250-x greets you\r\n250-size 1000\r\n250-8BITMIME\r\n250-AUTH LOGIN PLAIN\r\n250 HELP\r\n"),
        Hear("AUTH PLAIN AGRlc2sAczNjcmV0LXdvcmQ="),
        Say(b"235 in\r\n"),
        Hear("MAIL FROM:<desk@example.org> SIZE=30"),
        Stammer(b"250-2.1.0 still\r\n250 2.1.0 ok\r\n"),
        Hear("RCPT TO:<ada@example.net>"),
        // a code alone, and a line end without CR
        Say(b"250\n"),
        Hear("RCPT TO:<bob@example.net>"),
        Say(b"251 f\xFCr ihn\r\n"),
        Hear("DATA"),
        Stammer(b"354 go\r\n"),
        Mail,
        Say(b"250-2.0.0 Ok\r\n250 queued as 4711\r\n"),
    ]);
    let envelope = to(&["ada@example.net", "bob@example.net"]);
    let (outcome, noted) = deliver(&with_login(script.port), &envelope, RAW, &patient()).await;
    let response = "250 2.0.0 Ok queued as 4711".to_owned();
    assert_eq!(outcome, Outcome::Sent { response, refused: Vec::new() });
    assert_eq!(noted, 1);
    let heard = script.end().await;
    assert_eq!(heard.mail, b"Subject: Hi\r\n\r\n..\r\n...two\r\nbye\r\n.\r\n");
    assert_eq!(heard.rest, b"QUIT\r\n");
}

#[tokio::test]
async fn sending_can_be_spawned() {
    let script = Script::play(vec![Say(b"421 not now\r\n")]);
    let (delivery, envelope) = (server(script.port, Security::None), to(&["ada@example.net"]));
    let task =
        tokio::spawn(
            async move { send(&delivery, None, &envelope, RAW, &patient(), &Noting::default()).await },
        );
    assert_eq!(deferred(&task.await.unwrap()).1, Some(421));
    script.end().await;
}

#[tokio::test]
async fn a_refused_recipient_stops_no_other() {
    let envelope = to(&["gone@example.net", "ada@example.net", "full@example.net"]);
    let (outcome, _, heard) = play_to(
        &envelope,
        RAW,
        &patient(),
        vec![
            Hear("MAIL"),
            Say(b"250 ok\r\n"),
            Hear("RCPT TO:<gone@example.net>"),
            Say(b"550-5.1.1 nobody\r\n550 5.1.1 of that name\r\n"),
            Hear("RCPT TO:<ada@example.net>"),
            Say(b"250 ok\r\n"),
            Hear("RCPT TO:<full@example.net>"),
            Say(b"450 4.2.2 full\r\n"),
            Hear("DATA"),
            Say(b"354 go\r\n"),
            Mail,
            Say(b"250 taken\r\n"),
        ],
    )
    .await;
    let Outcome::Sent { refused, .. } = outcome else { panic!("{outcome:?}") };
    let told: Vec<_> = refused.iter().map(|r| (r.recipient.as_str(), r.permanent, r.code)).collect();
    assert_eq!(told, [("gone@example.net", true, Some(550)), ("full@example.net", false, Some(450))]);
    assert!(refused[0].text.ends_with("answered RCPT TO with 550 5.1.1 nobody 5.1.1 of that name"));
    assert_eq!(heard.rest, b"QUIT\r\n");
}

#[tokio::test]
async fn who_is_refused_is_told_before_the_bytes_go() {
    let script = Script::play(vec![
        Say(b"220 x\r\n"),
        Hear("EHLO"),
        Say(b"250 x\r\n"),
        Hear("MAIL"),
        Say(b"250 ok\r\n"),
        Hear("RCPT TO:<gone@example.net>"),
        Say(b"550 nobody\r\n"),
        Hear("RCPT TO:<ada@example.net>"),
        Say(b"250 ok\r\n"),
        Hear("DATA"),
        Say(b"354 go\r\n"),
        Mail,
        Say(b"250 ok\r\n"),
    ]);
    let (delivery, envelope) =
        (server(script.port, Security::None), to(&["gone@example.net", "ada@example.net"]));
    let course = Noting::default();
    let outcome = send(&delivery, None, &envelope, RAW, &patient(), &course).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let named = ("desk@example.org".to_owned(), vec!["gone@example.net".to_owned()]);
    assert_eq!(course.named.into_inner().unwrap(), [named]);
    script.end().await;
}

#[tokio::test]
async fn where_nobody_is_accepted_no_data_goes() {
    let envelope = to(&["gone@example.net", "full@example.net"]);
    for (second, is_deferred) in [(&b"450 4.2.2 full\r\n"[..], true), (b"550 5.1.1 nobody\r\n", false)] {
        let steps = vec![
            Hear("MAIL"),
            Say(b"250 ok\r\n"),
            Hear("RCPT"),
            Say(b"550 no\r\n"),
            Hear("RCPT"),
            Say(second),
        ];
        let (outcome, noted, heard) = play_to(&envelope, RAW, &patient(), steps).await;
        let refused = match &outcome {
            Outcome::Deferred { code: Some(450), refused, .. } if is_deferred => refused,
            Outcome::Failed { code: Some(550), refused, .. } if !is_deferred => refused,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused.len(), 2);
        assert_eq!((noted, heard.rest.as_slice()), (0, &b"QUIT\r\n"[..]));
    }
}

#[tokio::test]
async fn a_greeting_that_is_none_defers() {
    for (greeting, code) in
        [(&b"421 busy\r\n"[..], Some(421)), (b"554 blocked\r\n", Some(554)), (b"SSH-2.0-x\r\n", None)]
    {
        let script = Script::play(vec![Say(greeting)]);
        let (outcome, noted) =
            deliver(&server(script.port, Security::None), &to(&["ada@example.net"]), RAW, &patient()).await;
        assert_eq!((deferred(&outcome).1, noted), (code, 0));
        let heard = script.end().await;
        assert!(heard.rest.is_empty() || heard.rest == b"QUIT\r\n");
    }
}

#[tokio::test]
async fn every_code_before_the_mail_has_its_meaning() {
    let mail = |answer| vec![Hear("MAIL"), Say(answer)];
    let (outcome, ..) = play(mail(b"451 4.3.0 later\r\n")).await;
    assert_eq!(deferred(&outcome).1, Some(451));
    assert!(deferred(&outcome).0.ends_with("answered MAIL FROM with 451 4.3.0 later"));
    let (outcome, ..) = play(mail(b"550 5.7.1 not you\r\n")).await;
    assert_eq!(failure(&outcome).1, Some(550));
    let (outcome, ..) = play(mail(b"530 5.7.0 log in first\r\n")).await;
    assert!(matches!(outcome, Outcome::LoginRefused { .. }), "{outcome:?}");

    let rcpt = vec![Hear("MAIL"), Say(b"250 ok\r\n"), Hear("RCPT"), Say(b"421 closing\r\n"), Close];
    assert_eq!(deferred(&play(rcpt).await.0).1, Some(421));

    let data = |answer| {
        vec![Hear("MAIL"), Say(b"250 ok\r\n"), Hear("RCPT"), Say(b"250 ok\r\n"), Hear("DATA"), Say(answer)]
    };
    let (outcome, noted, heard) = play(data(b"452 4.3.1 disk\r\n")).await;
    assert_eq!((deferred(&outcome).1, noted), (Some(452), 0));
    assert_eq!(heard.rest, b"QUIT\r\n");
    assert_eq!(failure(&play(data(b"554 no\r\n")).await.0).1, Some(554));
    // 250 is no leave to send
    assert_eq!(deferred(&play(data(b"250 ok\r\n")).await.0).1, Some(250));
}

#[tokio::test]
async fn the_verdict_on_the_mail_counts() {
    let (outcome, noted, _) = play(up_to_data(vec![Mail, Say(b"552 5.3.4 too big\r\n")])).await;
    assert_eq!((failure(&outcome).1, noted), (Some(552), 1));
    let (outcome, ..) = play(up_to_data(vec![Mail, Say(b"451 4.3.0 later\r\n")])).await;
    assert_eq!(deferred(&outcome).1, Some(451));
    let (outcome, ..) = play(up_to_data(vec![Mail, Say(b"250 \xE9t\xE9\r\n")])).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_lost_verdict_is_uncertain() {
    for steps in [
        vec![Mail, Close],
        vec![Mail, Say(b"25"), Close],
        vec![Mail, Say(b"what?\r\n")],
        vec![Mail, Say(b"354 go on\r\n")],
        vec![Mail],
    ] {
        let envelope = to(&["ada@example.net"]);
        let (outcome, noted, heard) = play_to(&envelope, RAW, &impatient(), up_to_data(steps)).await;
        assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");
        assert_eq!(noted, 1);
        assert!(!heard.mail.is_empty());
    }
}

/// More than the buffers between two sockets hold.
fn huge() -> Vec<u8> {
    b"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n".repeat(500_000)
}

#[tokio::test]
async fn a_connection_lost_before_the_dot_defers() {
    let (outcome, noted, _) =
        play_to(&to(&["ada@example.net"]), &huge(), &patient(), up_to_data(vec![Close])).await;
    assert_eq!((deferred(&outcome).1, noted), (None, 1));
}

/// Says its word and reads nothing: the client's own time runs out.
#[tokio::test]
async fn a_server_that_stops_reading_is_asked_why() {
    let script = Script::play(vec![
        Say(b"220 x\r\n"),
        Hear("EHLO"),
        Say(b"250 x\r\n"),
        Hear("MAIL"),
        Say(b"250 ok\r\n"),
        Hear("RCPT"),
        Say(b"250 ok\r\n"),
        Hear("DATA"),
        Say(b"354 go\r\n"),
        Step::Deaf(b"552 5.3.4 too big\r\n"),
    ]);
    let (outcome, _) =
        deliver(&server(script.port, Security::None), &to(&["ada@example.net"]), &huge(), &impatient()).await;
    assert_eq!(failure(&outcome).1, Some(552));
    script.end().await;
}

#[tokio::test]
async fn what_can_not_be_noted_is_not_sent() {
    let script = Script::play({
        let mut steps = vec![Say(b"220 x\r\n"), Hear("EHLO"), Say(b"250 x\r\n")];
        steps.extend(up_to_data(vec![]));
        steps
    });
    let (delivery, envelope) = (server(script.port, Security::None), to(&["ada@example.net"]));
    let course = Noting { fault: Some("the disk\r\nis full"), ..Noting::default() };
    let outcome = send(&delivery, None, &envelope, RAW, &patient(), &course).await;
    assert_eq!(
        deferred(&outcome),
        ("the mail was not sent, for it could not be noted: the disk is full", None)
    );
    assert!(script.end().await.rest.is_empty());
}

#[tokio::test]
async fn an_answer_before_the_mail_is_not_its_verdict() {
    let steps = vec![
        Hear("MAIL"),
        Say(b"250 ok\r\n"),
        Hear("RCPT"),
        Say(b"250 ok\r\n"),
        Hear("DATA"),
        Say(b"354 go\r\n250 taken\r\n"),
    ];
    let (outcome, noted, heard) = play(steps).await;
    assert_eq!((deferred(&outcome).1, noted), (None, 0));
    assert!(heard.rest.is_empty());
    let (outcome, ..) = play(vec![Hear("MAIL"), Say(b"250 ok\r\n250 ok\r\n")]).await;
    assert_eq!(deferred(&outcome).1, None);
}

#[tokio::test]
async fn endless_and_unfinished_replies_are_given_up() {
    let endless: &[u8] = vec![b'2'; 1024 * 1024].leak();
    let many_lines: &[u8] = b"220-x\r\n".repeat(20_000).leak();
    for greeting in [endless, many_lines] {
        // it may be left in the middle of its speech
        let script = Script::play(vec![Step::Deaf(greeting)]);
        let (outcome, _) =
            deliver(&server(script.port, Security::None), &to(&["ada@example.net"]), RAW, &patient()).await;
        assert!(deferred(&outcome).0.contains("gave an answer without end"), "{outcome:?}");
        script.end().await;
    }
    let script = Script::play(vec![Say(b"220-x\r\n220-y")]);
    let timeouts = Timeouts { command: Duration::from_millis(300), ..patient() };
    let (outcome, _) =
        deliver(&server(script.port, Security::None), &to(&["ada@example.net"]), RAW, &timeouts).await;
    assert!(deferred(&outcome).0.contains("gave no answer within 300ms"), "{outcome:?}");
    script.end().await;
}
