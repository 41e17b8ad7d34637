//! One mail in two folders of a mailbox, or two mails of one matter in different ones, and the wrong
//! folder is read first.

use super::sink;
use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::mail::{TestMail, mail};

async fn watched(desk: &TestDesk, dovecot: &Dovecot) -> i64 {
    dovecot.make_folder("support", "Sent");
    dovecot.make_folder("support", "Junk");
    let special = json!({"sent_folder": "Sent", "junk_folder": "Junk"});
    let mailbox = add(desk, with(imap(dovecot), special), sink()).await;
    sync(desk, mailbox).await;
    mailbox
}

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Printer on fire").text(text)
}

/// Delivers, and polls.
async fn deliver(desk: &TestDesk, dovecot: &Dovecot, mailbox: i64, folder: &str, mail: &TestMail) -> Value {
    dovecot.deliver("support", folder, mail.build());
    let status = sync(desk, mailbox).await;
    assert_eq!(status["state"], "ok", "{status}");
    status
}

/// An agent's answer with a copy to the mailbox itself.
fn answer(to: &str, text: &str) -> TestMail {
    mail().from("Support <support@example.org>").to(to).cc("support@example.org").text(text)
}

/// What there is: a conversation's status, whose turn it is, and its messages' kinds.
async fn there(desk: &TestDesk) -> Vec<(String, Value, Vec<String>)> {
    let mut all = Vec::new();
    for conversation in list(desk, "/api/v1/conversations?sort=id").await {
        let kinds = messages(desk, number(&conversation["id"])).await;
        let kinds = kinds.iter().map(|m| m["kind"].as_str().unwrap_or_default().to_owned()).collect();
        let status = conversation["status"].as_str().unwrap_or_default().to_owned();
        all.push((status, conversation["waiting_on"].clone(), kinds));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_copy_to_ourselves_is_the_agents_once_it_is_seen_to_be_sent() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot).await;
    let question = ada("It burns.");
    deliver(&desk, &dovecot, mailbox, "INBOX", &question).await;
    let water = answer("ada@acme.example", "Water!").in_reply_to(&question.id());
    deliver(&desk, &dovecot, mailbox, "INBOX", &water.clone().header("Received", "from outlook")).await;
    assert_eq!(there(&desk).await.len(), 2, "anybody can write in our name");
    let status = deliver(&desk, &dovecot, mailbox, "Sent", &water).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(2), &json!(1)), "{status}");
    let whole = ("open".to_owned(), json!("customer"), vec!["inbound".to_owned(), "reply".to_owned()]);
    assert_eq!(there(&desk).await, [whole]);
    let first = number(&list(&desk, "/api/v1/conversations").await[0]["id"]);
    let said = messages(&desk, first).await.pop().expect("two are there");
    assert_eq!((&said["author"]["type"], &said["flags"]), (&json!("system"), &json!([])), "{said}");
    assert_eq!(decision(&desk, number(&said["id"])).await["sender_class"], "agent");
    let sent = list(&desk, "/api/v1/events?after=0&limit=100&types=message.sent").await;
    assert_eq!(sent.len(), 1);
    // Who answers it is led to the customer's conversation.
    deliver(&desk, &dovecot, mailbox, "INBOX", &ada("Thanks.").in_reply_to(&water.id())).await;
    assert_eq!(there(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_mail_with_a_copy_to_ourselves_is_the_customers_conversation() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot).await;
    let welcome = answer("Cyd <cyd@new.example>", "Welcome!");
    deliver(&desk, &dovecot, mailbox, "INBOX", &welcome.clone().header("Received", "from outlook")).await;
    deliver(&desk, &dovecot, mailbox, "Sent", &welcome).await;
    assert_eq!(there(&desk).await, [("pending".to_owned(), json!("customer"), vec!["reply".to_owned()])]);
    deliver(
        &desk,
        &dovecot,
        mailbox,
        "INBOX",
        &mail().from("cyd@new.example").text("Thanks!").in_reply_to(&welcome.id()),
    )
    .await;
    let answered = vec!["reply".to_owned(), "inbound".to_owned()];
    assert_eq!(there(&desk).await, [("open".to_owned(), json!("us"), answered)]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_somebody_has_worked_on_stays() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot).await;
    let question = ada("It burns.");
    deliver(&desk, &dovecot, mailbox, "INBOX", &question).await;
    let water = answer("ada@acme.example", "Water!").in_reply_to(&question.id());
    deliver(&desk, &dovecot, mailbox, "INBOX", &water.clone().header("Received", "from outlook")).await;
    let copy = number(&list(&desk, "/api/v1/conversations?sort=id").await[1]["id"]);
    set_status(&desk, copy, "closed").await;
    let before = conversation(&desk, copy).await;
    deliver(&desk, &dovecot, mailbox, "Sent", &water).await;
    assert_eq!(conversation(&desk, copy).await, before);
    desk.stop().await;
}

/// The server takes a customer's first mail for junk, and lets the next one through.
#[tokio::test(flavor = "multi_thread")]
async fn mail_from_an_inbox_does_not_vanish_among_junk() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot).await;
    let question = ada("It burns.");
    deliver(&desk, &dovecot, mailbox, "Junk", &question).await;
    let again = ada("Did you get my mail?").in_reply_to(&question.id());
    deliver(&desk, &dovecot, mailbox, "INBOX", &again).await;
    deliver(&desk, &dovecot, mailbox, "INBOX", &ada("Hello?").in_reply_to(&question.id())).await;
    let one = vec!["inbound".to_owned()];
    let two = vec!["inbound".to_owned(), "inbound".to_owned()];
    let junk = ("spam".to_owned(), Value::Null, one);
    assert_eq!(there(&desk).await, [junk, ("open".to_owned(), json!("us"), two)]);
    // What somebody says is spam stays spam, with what comes into it.
    let open = list(&desk, "/api/v1/conversations?status=open").await;
    desk.http.post(&format!("/api/v1/conversations/{}/spam", open[0]["id"]), &Value::Null).await.expect(200);
    deliver(&desk, &dovecot, mailbox, "INBOX", &ada("Anybody?").in_reply_to(&again.id())).await;
    assert_eq!(list(&desk, "/api/v1/conversations?status=open").await.len(), 0);
    desk.stop().await;
}

/// "Reply" with another recipient and another subject is how many begin a new mail.
#[tokio::test(flavor = "multi_thread")]
async fn an_agents_mail_about_something_else_to_somebody_else_is_another_matter() {
    let dovecot = Dovecot::start();
    let desk = TestDesk::start().await;
    let mailbox = watched(&desk, &dovecot).await;
    let question = ada("It burns.");
    deliver(&desk, &dovecot, mailbox, "INBOX", &question).await;
    let invoice = mail()
        .from("support@example.org")
        .to("bob@bree.example")
        .subject("Your invoice 77")
        .in_reply_to(&question.id());
    deliver(&desk, &dovecot, mailbox, "Sent", &invoice).await;
    let answer = mail().from("bob@bree.example").subject("Re: Your invoice 77").in_reply_to(&invoice.id());
    deliver(&desk, &dovecot, mailbox, "INBOX", &answer).await;
    let all = list(&desk, "/api/v1/conversations?sort=id").await;
    let counts: Vec<i64> = all.iter().map(|conversation| number(&conversation["message_count"])).collect();
    assert_eq!(counts, [1, 2]);
    desk.stop().await;
}
