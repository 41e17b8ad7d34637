//! The Sent folder, which is what agents wrote with other programs, and the junk folder, whose
//! mail is nobody's work until somebody says otherwise.

use super::sink;
use crate::mailing::*;
use serde_json::{Value, json};
use std::fs;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::{TestMail, mail};

/// A mailbox that reads both. What was there before the folders were asked for is old mail.
async fn watched(desk: &TestDesk, dovecot: &Dovecot, changes: Value) -> i64 {
    dovecot.make_folder("support", "Sent");
    dovecot.make_folder("support", "Junk");
    let special = json!({"sent_folder": "Sent", "junk_folder": "Junk"});
    add(desk, with(with(imap(dovecot), special), changes), sink()).await
}

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Printer on fire").text(text)
}

/// What a message says.
fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap_or_default().trim()
}

/// A mail that an agent writes with another program.
fn sent(from: &str, to: &str, text: &str) -> TestMail {
    mail().from(from).to(to).subject("Re: Printer on fire").text(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_send_elsewhere_is_an_answer() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox =
        watched(&desk, &dovecot, json!({"after_ingest": {"type": "delete", "after_days": 0}})).await;
    let bob = json!({"name": "Bob", "email": "bob@example.org", "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
    let bob = desk.http.post("/api/v1/agents", &bob).await.expect(201).json()["id"].clone();
    dovecot.deliver("support", "INBOX", ada("It burns.").build());
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(1)), "{status}");
    let first = number(&conversations(&desk).await[0]["id"]);
    let ids = ada("It burns.").id();

    let answer = sent("Bob <bob@example.org>", "ada@acme.example", "Water!")
        .cc("expert@fire.example")
        .in_reply_to(&ids);
    dovecot.deliver("support", "Sent", answer.build());
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(2)), "{status}");
    let message = messages(&desk, first).await.pop().expect("two are there");
    assert_eq!((&message["kind"], text(&message)), (&json!("reply"), "Water!"), "{message}");
    assert_eq!((&message["author"]["type"], &message["author"]["id"]), (&json!("agent"), &bob), "{message}");
    assert_eq!(message["delivery"], Value::Null, "it is not sent again");
    let now = conversation(&desk, first).await;
    assert_eq!((&now["status"], &now["waiting_on"]), (&json!("open"), &json!("customer")), "{now}");
    let why = decision(&desk, number(&message["id"])).await;
    assert_eq!((&why["sender_class"], &why["outcome"]), (&json!("agent"), &json!("append")), "{why}");
    let events = desk.event_types().await;
    assert_eq!(events.iter().filter(|event| *event == "message.sent").count(), 1, "{events:?}");
    // Nothing is done to what lies there; INBOX is another matter.
    assert_eq!(dovecot.stored("support", "Sent").len(), 1);
    assert!(dovecot.stored("support", "INBOX").is_empty());

    // Whom the agent wrote to belongs to it, and may answer the agent's own mail.
    dovecot.deliver(
        "support",
        "INBOX",
        mail().from("expert@fire.example").text("Foam.").in_reply_to(&answer.id()).build(),
    );
    sync(&desk, mailbox).await;
    let landed = messages(&desk, first).await.pop().expect("three are there");
    assert_eq!(text(&landed), "Foam.");
    assert_eq!(decision(&desk, number(&landed["id"])).await["sender_class"], "P2");

    // It never reopens.
    set_status(&desk, first, "closed").await;
    dovecot.deliver(
        "support",
        "Sent",
        sent("support@example.org", "ada@acme.example", "Still?").in_reply_to(&ids).build(),
    );
    sync(&desk, mailbox).await;
    let last = messages(&desk, first).await.pop().expect("four are there");
    assert_eq!((text(&last), &last["author"]["type"]), ("Still?", &json!("system")), "{last}");
    assert_eq!(last["author"]["name"], "Support", "the mailbox itself");
    assert_eq!(conversation(&desk, first).await["status"], "closed");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_mail_to_somebody_begins_their_conversation() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot, json!({})).await;
    sync(&desk, mailbox).await;
    dovecot.deliver(
        "support",
        "Sent",
        sent("support@example.org", "Cyd <cyd@new.example>", "Welcome!").build(),
    );
    // To nobody but ourselves it is nothing to the desk.
    dovecot.deliver(
        "support",
        "Sent",
        sent("support@example.org", "support@example.org", "Note to self").build(),
    );
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(1)), "{status}");
    assert_eq!(ledger(&desk, mailbox, "ignored").await.len(), 1);
    let all = conversations(&desk).await;
    assert_eq!(
        (all.len(), &all[0]["status"], &all[0]["waiting_on"]),
        (1, &json!("pending"), &json!("customer"))
    );
    let customer =
        desk.http.get(&format!("/api/v1/customers/{}", all[0]["customer_id"])).await.expect(200).json();
    assert_eq!(customer["addresses"][0]["email"], "cyd@new.example");
    // Their answer is the customer's, and makes it our turn.
    let welcome = sent("support@example.org", "Cyd <cyd@new.example>", "Welcome!").id();
    dovecot.deliver(
        "support",
        "INBOX",
        mail().from("cyd@new.example").text("Thanks!").in_reply_to(&welcome).build(),
    );
    sync(&desk, mailbox).await;
    let now = conversation(&desk, number(&all[0]["id"])).await;
    assert_eq!(
        (&now["status"], &now["waiting_on"], &now["message_count"]),
        (&json!("open"), &json!("us"), &json!(2))
    );
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_answers_are_known_in_the_sent_folder() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot, json!({})).await;
    dovecot.deliver("support", "INBOX", ada("It burns.").build());
    sync(&desk, mailbox).await;
    let first = number(&conversations(&desk).await[0]["id"]);
    let answers = [
        reply(&desk, first, "Water!").await,
        reply(&desk, first, "More water!").await,
        reply(&desk, first, "Sand!").await,
    ];
    let mut copies = Vec::new();
    for answer in &answers {
        copies.push(String::from_utf8(raw(&desk, number(&answer["id"])).await).expect("we write ASCII"));
    }
    let rename = |raw: &str, ours: &str, new: &str| raw.replacen(&format!("Message-ID: {ours}"), new, 1);
    // As it is; with another Message-ID and ours beside it; with another one, and ours in References.
    let [one, two, three] = &answers;
    dovecot.deliver("support", "Sent", copies[0].as_bytes());
    let beside =
        format!("Message-ID: <two@outlook.example>\r\nX-Microsoft-Original-Message-ID: {}", id_of(two));
    dovecot.deliver("support", "Sent", rename(&copies[1], &id_of(two), &beside));
    dovecot.deliver("support", "Sent", rename(&copies[2], &id_of(three), "Message-ID: <three@ses.example>"));
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(1), &json!(3)), "{status}");
    let known: Vec<Value> =
        ledger(&desk, mailbox, "duplicate").await.iter().rev().map(|row| row["message_id"].clone()).collect();
    assert_eq!(known, [one["id"].clone(), two["id"].clone(), three["id"].clone()]);
    assert_eq!(messages(&desk, first).await.len(), 4);
    // The customer's program knows them by their new names alone (iOS Mail drops References).
    for (name, said) in [("<two@outlook.example>", "2"), ("<three@ses.example>", "3")] {
        dovecot.deliver("support", "INBOX", ada(said).in_reply_to(name).build());
        sync(&desk, mailbox).await;
        let landed = messages(&desk, first).await.pop().expect("it is there");
        assert_eq!(text(&landed), said, "{name}");
        assert_eq!(decision(&desk, number(&landed["id"])).await["strength"], "B'", "{name}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_anybody_asked_stays_out() {
    let dovecot = Dovecot::start();
    dovecot.make_folder("support", "Sent");
    dovecot.deliver("support", "Sent", sent("support@example.org", "old@new.example", "Long ago").build());
    let folder = dovecot.maildir("support", "Sent").join("new");
    let file = fs::read_dir(folder).expect("it is there").flatten().next().expect("it holds the mail").path();
    let long_ago = std::time::SystemTime::now() - days(3);
    fs::File::options()
        .write(true)
        .open(file)
        .and_then(|file| file.set_modified(long_ago))
        .expect("it is our own");
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot, json!({})).await;
    sync(&desk, mailbox).await;
    dovecot.deliver("support", "Sent", sent("support@example.org", "new@new.example", "Today").build());
    sync(&desk, mailbox).await;
    // Not even where the server numbers its mails anew.
    dovecot.lose_uidvalidity("support", "Sent");
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(1)), "{status}");
    let all = conversations(&desk).await;
    assert_eq!(text(&messages(&desk, number(&all[0]["id"])).await[0]), "Today");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_kept_apart_until_somebody_says_otherwise() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot, json!({"after_ingest": {"type": "seen"}})).await;
    dovecot.deliver("support", "INBOX", ada("It burns.").build());
    sync(&desk, mailbox).await;
    let first = conversations(&desk).await.remove(0);
    set_status(&desk, number(&first["id"]), "closed").await;
    let before = conversation(&desk, number(&first["id"])).await;

    let watches = mail().from("Eve <eve@evil.example>").subject("Watches").text("Cheap!");
    let hidden = ada("Hello?").in_reply_to(&ada("It burns.").id());
    dovecot.deliver("support", "Junk", watches.build());
    dovecot.deliver("support", "Junk", hidden.build());
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(3)), "{status}");
    assert_eq!(conversation(&desk, number(&first["id"])).await, before, "nothing wakes it");
    let spam = list(&desk, "/api/v1/conversations?status=spam&sort=id").await;
    assert_eq!(spam.len(), 2);
    let (one, two) = (number(&spam[0]["id"]), number(&spam[1]["id"]));
    assert_eq!(
        conversation(&desk, two).await["links"],
        json!([{"conversation_id": first["id"], "reason": "suggested"}])
    );
    let received = list(&desk, "/api/v1/events?after=0&limit=100&types=message.received").await;
    let quiet: Vec<bool> = received.iter().map(|event| event["data"]["quiet"] == json!(true)).collect();
    assert_eq!(quiet, [false, true, true]);
    assert!(dovecot.stored("support", "Junk").iter().all(|mail| mail.flags.is_empty()), "it is not touched");

    // Brought back by an agent, it is a conversation like any other.
    desk.http.post(&format!("/api/v1/conversations/{one}/not-spam"), &Value::Null).await.expect(200);
    let more = mail().from("Eve <eve@evil.example>").text("And?").in_reply_to(&watches.id());
    dovecot.deliver("support", "INBOX", more.build());
    sync(&desk, mailbox).await;
    let now = conversation(&desk, one).await;
    assert_eq!((&now["status"], &now["message_count"]), (&json!("open"), &json!(2)));

    // Moved by a person on the server: the same mail, once, and no spam any more.
    dovecot.deliver("support", "INBOX", hidden.build());
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(4), &json!(1)), "{status}");
    let now = conversation(&desk, two).await;
    assert_eq!(
        (&now["status"], &now["waiting_on"], &now["message_count"]),
        (&json!("open"), &json!("us"), &json!(1))
    );
    assert_eq!(messages(&desk, two).await[0]["flags"], json!(["unverified"]), "it is no junk");
    let told = list(&desk, "/api/v1/events?after=0&limit=100&types=conversation.status_changed").await.pop();
    let told = told.expect("it is told");
    assert_eq!((&told["data"]["reason"], &told["conversation_id"]), (&json!("moved_from_junk"), &json!(two)));
    // What an agent calls spam stays spam, however often the server shows it.
    desk.http.post(&format!("/api/v1/conversations/{two}/spam"), &Value::Null).await.expect(200);
    dovecot.deliver("support", "INBOX", hidden.build());
    sync(&desk, mailbox).await;
    assert_eq!(conversation(&desk, two).await["status"], "spam");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_found_by_their_role_or_said_to_be_missing() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let source = with(imap(&dovecot), json!({"sent_folder": "auto"}));
    let mailbox = add(&desk, source, sink()).await;
    dovecot.deliver("support", "INBOX", ada("It burns.").build());
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("degraded"), &json!(1)), "{status}");
    assert!(
        status["last_error"].as_str().is_some_and(|why| why.contains("names no sent folder")),
        "{status}"
    );
    let path = format!("/api/v1/mailboxes/{mailbox}");
    for (change, pointer) in [
        (json!({"sent_folder": "INBOX"}), "/source/sent_folder"),
        (json!({"sent_folder": "A", "junk_folder": "A"}), "/source/junk_folder"),
        (
            json!({"sent_folder": "A", "after_ingest": {"type": "move", "folder": "A"}}),
            "/source/after_ingest/folder",
        ),
    ] {
        let refused = desk.http.patch(&path, &json!({"source": change})).await.expect(422).json();
        let faults = refused["errors"].as_array().expect("a list").clone();
        assert!(faults.iter().any(|fault| fault["pointer"] == pointer), "{refused}");
    }
    let now = desk.http.patch(&path, &json!({"source": {"sent_folder": null}})).await.expect(200).json();
    assert_eq!(now["source"]["sent_folder"], Value::Null);
    assert_eq!(sync(&desk, mailbox).await["state"], "ok");
    desk.stop().await;
}
