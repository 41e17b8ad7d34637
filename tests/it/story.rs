//! The main job as a story: a mail is put into a mailbox, becomes a conversation, is answered,
//! and the answer to the answer comes home. Strangers stay outside.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::mail;
use support::smtp::{self, SmtpSink};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_answered_and_strangers_stay_outside() {
    let (dovecot, sink) = (Dovecot::start(), SmtpSink::start());
    let desk = TestDesk::start().await;
    let support = add(&desk, imap(&dovecot), smtp(&sink)).await;

    // Both ends of the mailbox work, says the desk.
    let tried = desk.http.post(&format!("/api/v1/mailboxes/{support}/test"), &Value::Null).await;
    let tried = tried.expect(200).json();
    assert_eq!((&tried["source"]["ok"], &tried["delivery"]["ok"]), (&json!(true), &json!(true)), "{tried}");
    assert!(sink.mails().is_empty());

    // Ada's mail is put into the mailbox. The desk polls it.
    let question = mail()
        .from("Ada <ada@example.net>")
        .subject("Parcel lost")
        .text("Where is my parcel?")
        .header("X-Mailer", "Ada's own");
    dovecot.deliver("support", "INBOX", question.build());
    let status = sync(&desk, support).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(1)), "{status}");

    // It is a conversation now, and can be read.
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 1);
    let (first, ada) = (number(&all[0]["id"]), number(&all[0]["customer_id"]));
    assert_eq!(all[0]["subject"], "Parcel lost");
    assert_eq!((&all[0]["status"], &all[0]["waiting_on"]), (&json!("open"), &json!("us")));
    let read = messages(&desk, first).await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0]["text"].as_str().map(str::trim_end), Some("Where is my parcel?"));
    assert_eq!(
        (&read[0]["kind"], &read[0]["author"]["email"]),
        (&json!("inbound"), &json!("ada@example.net"))
    );
    assert_eq!(raw(&desk, number(&read[0]["id"])).await, question.build());

    // It is answered, with a hidden copy to the archive.
    let answer = reply_with(
        &desk,
        first,
        json!({"kind": "reply", "text": "It left today.\n\nAmy", "bcc": [{"email": "archive@example.org"}]}),
    )
    .await;
    let delivery = delivered(&desk, &answer, "sent").await;
    assert_eq!((&delivery["attempts"], &delivery["captured"]), (&json!(1), &json!(false)));
    let waiting = conversation(&desk, first).await;
    assert_eq!((&waiting["waiting_on"], &waiting["message_count"]), (&json!("customer"), &json!(2)));

    // The receiver gets it: through TLS, logged in, from the mailbox, to Ada and the archive.
    let got = sink.next().await;
    assert!(got.tls && got.login.as_deref() == Some(smtp::USER), "{got:?}");
    assert_eq!(got.from, "support@example.org");
    assert_eq!(got.to, ["ada@example.net", "archive@example.org"]);
    let header = |name: &str| got.header(name).unwrap_or_else(|| panic!("no {name} in {}", got.text()));
    assert!(header("From").contains("<support@example.org>") && header("To").contains("<ada@example.net>"));
    assert_eq!(header("Subject"), "Re: Parcel lost");
    assert_eq!(header("In-Reply-To"), question.id());
    assert!(header("Content-Type").starts_with("multipart/alternative;"), "{}", header("Content-Type"));
    assert!(got.header("Bcc").is_none() && !got.text().contains("archive@"), "{}", got.text());
    let our_id = header("Message-ID");
    assert_eq!(our_id, id_of(&answer));
    assert_own_id(&our_id, first, number(&answer["id"]));
    let references = header("References");
    let references: Vec<&str> = references.split(' ').collect();
    assert_eq!(references.len(), 3, "{references:?}");
    assert!(references[0].starts_with(&format!("<t.{first}.")) && references[0].ends_with("@example.org>"));
    assert_eq!(references[1..], [question.id(), our_id.clone()]);
    assert_eq!(raw(&desk, number(&answer["id"])).await, got.raw, "what is kept is what left");

    // Ada answers, from a program that names our mail and nothing else. It comes home.
    let thanks = mail()
        .from("Ada <ada@example.net>")
        .subject("Re: Parcel lost")
        .text("Thank you!\n\n> It left today.")
        .header("In-Reply-To", &our_id);
    // A stranger has seen the number and copies it; another has got hold of our mail's id.
    let guesser = mail()
        .from("Eve <eve@evil.example>")
        .subject(&format!("Re: [#{first}] Parcel lost"))
        .text("Send me everything you have, please.");
    let replayer = mail()
        .from("Mallory <mallory@evil.example>")
        .subject("Re: Parcel lost")
        .text("And where are my things?")
        .in_reply_to(&our_id);
    // And the desk's own answer comes back, by way of a list that it is on.
    let echo =
        [b"Received: from list.example by mx.example.org; Mon, 2 Nov 2026 10:00:00 +0000\r\n", &got.raw[..]];
    for mail in [thanks.build(), guesser.build(), replayer.build(), echo.concat()] {
        dovecot.deliver("support", "INBOX", mail);
    }
    let status = sync(&desk, support).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(4), &json!(1)), "{status}");

    let home = messages(&desk, first).await;
    let texts: Vec<&str> = home.iter().filter_map(|message| message["reply_text"].as_str()).collect();
    assert_eq!(home.len(), 3, "the question, the answer, the thanks: {texts:?}");
    assert_eq!(texts[2].trim_end(), "Thank you!");
    let why = decision(&desk, number(&home[2]["id"])).await;
    assert_eq!(
        (&why["outcome"], &why["strength"], &why["sender_class"]),
        (&json!("append"), &json!("A"), &json!("P1"))
    );
    let now = conversation(&desk, first).await;
    assert_eq!(
        (&now["waiting_on"], &now["links"], &now["customer_id"]),
        (&json!("us"), &json!([]), &json!(ada))
    );

    let all = conversations(&desk).await;
    assert_eq!(all.len(), 3);
    let (guessed, replayed) = (number(&all[1]["id"]), number(&all[2]["id"]));
    assert_eq!(conversation(&desk, guessed).await["links"], json!([]), "a guessed number links nothing");
    assert_eq!(
        conversation(&desk, replayed).await["links"],
        json!([{"conversation_id": first, "reason": "suggested"}])
    );
    for (stranger, email) in [(guessed, "eve@evil.example"), (replayed, "mallory@evil.example")] {
        let theirs = messages(&desk, stranger).await;
        assert_eq!((theirs.len(), &theirs[0]["from"]["email"]), (1, &json!(email)));
        assert_ne!(conversation(&desk, stranger).await["customer_id"], json!(ada));
    }

    // Nothing of the conversation goes to the strangers: the next answer is for Ada alone, and an
    // answer to a stranger has no word of it.
    let next = reply(&desk, first, "You are welcome.").await;
    delivered(&desk, &next, "sent").await;
    assert_eq!(sink.next().await.to, ["ada@example.net"]);
    let firm = reply(&desk, replayed, "Who are you?").await;
    delivered(&desk, &firm, "sent").await;
    let got = sink.next().await;
    assert_eq!(got.to, ["mallory@evil.example"]);
    assert!(!got.text().contains("ada@example.net") && !got.text().contains("left today"), "{}", got.text());
    assert!(!got.text().contains(&format!("<t.{first}.")), "{}", got.text());
    assert_eq!(sink.mails().len(), 3);
    desk.stop().await;
}

/// `<c.CONVERSATION.MESSAGE.RANDOM.SEAL@example.org>`.
#[track_caller]
fn assert_own_id(id: &str, conversation: i64, message: i64) {
    let local = id.strip_prefix('<').and_then(|id| id.strip_suffix("@example.org>"));
    let parts: Vec<&str> = local.unwrap_or_else(|| panic!("{id}")).split('.').collect();
    assert_eq!(parts[..3], ["c", &conversation.to_string(), &message.to_string()], "{id}");
    assert_eq!(parts[3..].iter().map(|part| part.len()).collect::<Vec<_>>(), [16, 16], "{id}");
}
