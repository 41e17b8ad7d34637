//! Nobody can make the desk send mail to a third party, and no two machines can keep each other busy
//! (V-06, V-07, V-08).

use super::*;
use crate::bounces::{agent, answered, bounce};

/// Lets everything that leaves arrive where it goes, if that is one of ours, until nothing leaves any more.
async fn circulate(desk: &TestDesk, sink: &SmtpSink, mailboxes: &[(i64, &str)]) -> usize {
    let mut seen = 0;
    for _ in 0..20 {
        settled(desk).await;
        let mails = sink.mails();
        if mails.len() == seen {
            return seen;
        }
        for mail in &mails[seen..] {
            for (mailbox, _) in mailboxes.iter().filter(|(_, address)| mail.to.iter().any(|to| to == address))
            {
                push(desk, *mailbox, &mail.raw).await;
            }
        }
        seen = mails.len();
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_our_mailboxes_do_not_answer_each_other() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let support = acknowledging(&desk, &sink, json!({})).await;
    let sales = json!({"name": "Sales", "address": "sales@example.org"});
    let sales = acknowledging(&desk, &sink, sales).await;
    let both = [(support, "support@example.org"), (sales, "sales@example.org")];
    // Somebody writes in the name of each to the other one, and one to both in their own name.
    arrive(&desk, support, &mail().from("Sales <sales@example.org>").subject("One")).await;
    let forged = mail().from("Support <support@example.org>").to("sales@example.org").subject("Two");
    arrive(&desk, sales, &forged).await;
    assert_eq!(circulate(&desk, &sink, &both).await, 0);
    let eve =
        mail().from("eve@example.net").to("support@example.org").to("sales@example.org").subject("Three");
    for (mailbox, _) in both {
        push(&desk, mailbox, &eve.build()).await;
    }
    assert_eq!(circulate(&desk, &sink, &both).await, 1);
    // A real answer from one to the other is somebody's mail, and gets none.
    let id = arrive(&desk, support, &mail().from("ann@example.net").subject("Four")).await.conversation;
    let answer = json!({"kind": "reply", "text": "Ask sales.", "to": [{"email": "sales@example.org"}]});
    reply_with(&desk, id, answer).await;
    assert_eq!(circulate(&desk, &sink, &both).await, 3, "Ann's acknowledgement and the answer to sales");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_that_know_nothing_of_each_other_stop_after_one_mail_each() {
    let (one, two) = (desk_with(|_| ()).await, desk_with(|_| ()).await);
    let (from_one, from_two) = (SmtpSink::start(), SmtpSink::start());
    let a = acknowledging(&one, &from_one, json!({"address": "a@one.example", "name": "One"})).await;
    let b = acknowledging(&two, &from_two, json!({"address": "b@two.example", "name": "Two"})).await;
    arrive(&one, a, &mail().from("b@two.example").to("a@one.example").subject("It begins")).await;
    let mut seen = (0, 0);
    for _ in 0..5 {
        settled(&one).await;
        for mail in &from_one.mails()[seen.0..] {
            push(&two, b, &mail.raw).await;
            seen.0 += 1;
        }
        settled(&two).await;
        for mail in &from_two.mails()[seen.1..] {
            push(&one, a, &mail.raw).await;
            seen.1 += 1;
        }
    }
    assert_eq!(seen, (1, 0), "an automatic answer gets none");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_out_of_office_ping_pong_ends_with_the_first() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    arrive(&desk, mailbox, &ada()).await;
    for n in 0..20 {
        settled(&desk).await;
        let ours = sink.mails().last().expect("a mail").header("Message-ID").expect("an id");
        let away = ada().subject(&format!("Out of office {n}")).text("I am away.").in_reply_to(&ours);
        arrive(&desk, mailbox, &away.header("Auto-Submitted", "auto-replied")).await;
        // Another program answers with no sign that it is one, and each time as if anew.
        let silent = ada().subject(&format!("I am away {n}")).message_id(&format!("<away-{n}@example.net>"));
        arrive(&desk, mailbox, &silent).await;
        pass(&desk, Duration::from_mins(5)).await;
    }
    settled(&desk).await;
    assert_eq!(sink.mails().len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_bounces_are_answered_by_nobody() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({})).await;
    for n in 0..500 {
        // Some say what they are, some only by their sender.
        let raw = match n % 2 {
            0 => mail()
                .from(&format!("Mail Delivery System <mailer-daemon@mx{n}.example>"))
                .header("Return-Path", "<>")
                .subject(&format!("Undelivered Mail Returned to Sender {n}"))
                .text("user unknown")
                .build(),
            _ => format!(
                "Return-Path: <>\r\nFrom: postmaster@mx{n}.example\r\nTo: support@example.org\r\nSubject: Report {n}\r\n\
                 Message-ID: <bounce-{n}@mx{n}.example>\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
                 --b\r\nContent-Type: text/plain\r\n\r\nGone.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
                 Reporting-MTA: dns; mx{n}.example\r\n\r\nFinal-Recipient: rfc822; x{n}@example.net\r\n\
                 Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
            )
            .into_bytes(),
        };
        push(&desk, mailbox, &raw).await;
    }
    settled(&desk).await;
    assert_eq!(sink.mails().len(), 0);
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM automatic_mails"), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_answers_that_come_back_make_two_mails_in_all() {
    const ANSWERS: usize = 50;
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let mailbox = acknowledging(&desk, &sink, json!({"delivery": smtp(&sink)})).await;
    let amy = agent(&desk, "amy@desk.example").await;
    desk.http.patch(&settings(mailbox), &json!({"acknowledge": false})).await.expect(200);
    let mut answers = Vec::new();
    for n in 0..ANSWERS {
        answers.push(answered(&desk, mailbox, &format!("c{n}@example{n}.net"), Some(amy)).await.1);
    }
    desk.http.patch(&settings(mailbox), &json!({"acknowledge": true})).await.expect(200);
    for n in 0..500 {
        let of = n % ANSWERS;
        let raw = bounce(&n.to_string(), &format!("c{of}@example{of}.net"), "5.1.1", &id_of(&answers[of]));
        push(&desk, mailbox, &raw).await;
    }
    settled(&desk).await;
    let mails = sink.mails();
    assert_eq!(mails.len() - ANSWERS, 2, "what a person wrote, and two notices");
    for notice in &mails[ANSWERS..] {
        assert_eq!((notice.from.as_str(), notice.to.as_slice()), ("", &["amy@desk.example".to_owned()][..]));
        assert!(!notice.text().contains("EVIL") && !notice.text().contains("evil"), "{}", notice.text());
    }
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'message.bounced'"), 500);
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM events WHERE type = 'notice.withheld'"), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mails_in_a_victims_name_send_them_one() {
    let (desk, sink) = (desk_with(|_| ()).await, SmtpSink::start());
    let support = acknowledging(&desk, &sink, json!({})).await;
    let sales = json!({"name": "Sales", "address": "sales@example.org"});
    let sales = acknowledging(&desk, &sink, sales).await;
    for n in 0..1_000 {
        let (mailbox, to) =
            if n % 2 == 0 { (support, "support@example.org") } else { (sales, "sales@example.org") };
        // One a minute: never a flood, and never the same mail.
        let raw = mail()
            .from("CHEAP-PILLS http://evil.example <Victim@Example.net>")
            .to(to)
            .subject(&format!("CHEAP-PILLS {n} http://evil.example"))
            .text(&format!("CHEAP-PILLS number {n}: http://evil.example"))
            .message_id(&format!("<{n}@sender{n}.example>"));
        arrive(&desk, mailbox, &raw).await;
        desk.desk().advance_clock(Duration::from_mins(1));
    }
    settled(&desk).await;
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    let told = mails[0].text();
    assert!(!told.contains("CHEAP") && !told.contains("evil"), "{told}");
    assert_eq!(mails[0].to, ["Victim@Example.net"]);
    let withheld = "SELECT count(*) AS count FROM events WHERE type = 'auto_reply.withheld'";
    assert_eq!(count(&desk, withheld), 999, "each says why");
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM wanted_answers"), 0);
    desk.stop().await;
}
