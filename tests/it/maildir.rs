//! Mail from a folder that a mail server on the same machine delivers to. Others read it too, so
//! nothing in it is touched.

use crate::mailing::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::desk::TestDesk;
use support::mail::{TestMail, mail};
use support::maildir::{self, Stored};

fn numbered(number: usize) -> TestMail {
    mail().subject(&format!("Order {number}"))
}

fn made(path: &Path) -> Value {
    maildir::make(path, None);
    json!({"type": "maildir", "path": path})
}

fn sink() -> Value {
    json!({"type": "sink"})
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_taken_in_once_and_left_as_it_is() {
    let mut desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    let source = made(&path);
    for number in 0..3 {
        maildir::deliver(&path, &numbered(number).build(), None);
    }
    let before: Vec<Stored> = maildir::stored(&path);
    let mailbox = add(&desk, source, sink()).await;
    let tried = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/test"), &Value::Null).await.expect(200);
    assert_eq!(tried.json()["source"]["ok"], true, "{}", tried.text());
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["state"], &status["accepted"], &status["last_error"]),
        (&json!("ok"), &json!(3), &Value::Null),
        "{status}"
    );
    let all = conversations(&desk).await;
    let subjects: Vec<&Value> = all.iter().map(|conversation| &conversation["subject"]).collect();
    assert_eq!(subjects, ["Order 0", "Order 1", "Order 2"]);
    let first = messages(&desk, number(&all[0]["id"])).await.remove(0);
    assert_eq!(raw(&desk, number(&first["id"])).await, numbered(0).build());

    sync(&desk, mailbox).await;
    desk.restart().await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(3), &json!(0)), "{status}");
    assert_eq!(maildir::stored(&path), before, "same names, same flags, same folder, same bytes");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_others_move_and_flag_is_the_same_mail() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    let source = made(&path);
    maildir::deliver(&path, &numbered(0).build(), None);
    let mailbox = add(&desk, source, sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 1);
    // A reader looks at it, then answers it.
    let name = maildir::stored(&path).remove(0).name;
    let seen = path.join("cur").join(format!("{name}:2,S"));
    fs::rename(path.join("new").join(&name), &seen).expect("new and cur lie side by side");
    sync(&desk, mailbox).await;
    fs::rename(seen, path.join("cur").join(format!("{name}:2,RS"))).expect("the folder is our own");
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(1), &json!(0)), "{status}");
    // Deleted there, it stays here.
    fs::remove_file(path.join("cur").join(format!("{name}:2,RS"))).expect("the folder is our own");
    assert_eq!(sync(&desk, mailbox).await["state"], "ok");
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_is_counted_and_makes_no_message() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    let source = made(&path);
    maildir::deliver(&path, &numbered(0).build(), None);
    let mailbox = add(&desk, source, sink()).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 1);
    maildir::deliver(&path, &numbered(0).build(), None);
    // One that came another way bears other traces, and is the same mail.
    let traced =
        [b"Received: from elsewhere.example; Mon, 2 Nov 2026 09:00:01 +0000\r\n", &numbered(0).build()[..]];
    maildir::deliver(&path, &traced.concat(), None);
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["duplicates"]), (&json!(1), &json!(2)), "{status}");
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["duplicates"], 2, "counted once: {status}");
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_mails_come_in_at_once_and_what_is_no_mail_is_passed_over() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    let source = made(&path);
    for number in 0..230 {
        maildir::deliver(&path, &numbered(number).build(), None);
    }
    fs::write(path.join("tmp").join("half-written"), b"Subject: half").expect("the folder is our own");
    fs::write(path.join("new").join(".hidden"), b"Subject: hidden").expect("the folder is our own");
    fs::create_dir(path.join("cur").join("a folder")).expect("the folder is our own");
    std::os::unix::fs::symlink("/etc/passwd", path.join("new").join("link")).expect("the folder is our own");
    let mailbox = add(&desk, source, sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(230)), "{status}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_no_maildir_is_said_in_words() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Not there");
    let mailbox = add(&desk, json!({"type": "maildir", "path": path}), sink()).await;
    let tried = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/test"), &Value::Null).await.expect(200);
    let tried = tried.json();
    assert_eq!(tried["source"]["ok"], false);
    assert!(tried["source"]["detail"].as_str().is_some_and(|why| why.contains("is no Maildir")), "{tried}");
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["state"], "failing", "{status}");
    assert!(status["last_error"].as_str().is_some_and(|why| why.contains("is no Maildir")), "{status}");
    assert!(!path.exists(), "nothing is made there");
    // As soon as it is one, all is well.
    made(&path);
    maildir::deliver(&path, &numbered(0).build(), None);
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("ok"), &json!(1)), "{status}");
    desk.stop().await;
}
