//! Bytes of a mail that were lost here, on a disk that went bad: they are fetched again, or take their
//! place when they come again by any way.

use crate::mailing::*;
use crate::poison;
use crate::problems::problem;
use crate::program::Shell;
use serde_json::{Value, json};
use support::database;
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::http::Answer;
use support::mail::mail;

/// Spoils all bytes that are kept in the database.
pub fn spoil(desk: &TestDesk) {
    let nothing = match database::kind() {
        database::Kind::Sqlite => "UPDATE blobs SET content = x'00'",
        database::Kind::Postgres => "UPDATE blobs SET content = '\\x00'::bytea",
    };
    poison::run(&poison::of(desk), nothing);
}

async fn raw_of(desk: &TestDesk, message: &Value) -> Answer {
    desk.http.get(&format!("/api/v1/messages/{message}/raw")).await
}

/// A desk with one mail from an IMAP server, whose bytes are lost: the desk, the mailbox, the mail's row.
async fn with_a_lost_mail(dovecot: &Dovecot, raw: &[u8]) -> (TestDesk, i64, Value) {
    dovecot.deliver("support", "INBOX", raw);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(dovecot), json!({"type": "sink"})).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "accepted").await.remove(0);
    assert!(raw_of(&desk, &row["message_id"]).await.expect(200).body == raw);
    spoil(&desk);
    assert_eq!(raw_of(&desk, &row["message_id"]).await.status, 500);
    (desk, mailbox, row)
}

/// Waits until the bytes are there again, and nothing else has changed.
async fn is_whole_again(desk: &TestDesk, mailbox: i64, row: &Value, raw: &[u8]) {
    let message = &row["message_id"];
    desk.until(|| async { (raw_of(desk, message).await.status == 200).then_some(()) }).await;
    assert!(raw_of(desk, message).await.expect(200).body == raw);
    let path = format!("/api/v1/mailboxes/{mailbox}/ingest/{}", row["id"]);
    assert_eq!(desk.http.get(&path).await.expect(200).json(), *row);
    assert_eq!(conversations(desk).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_fetched_again_by_a_retry() {
    let (dovecot, raw) = (Dovecot::start(), mail().subject("Kept").build());
    let (desk, mailbox, row) = with_a_lost_mail(&dovecot, &raw).await;
    let path = format!("/api/v1/mailboxes/{mailbox}/ingest/{}/retry", row["id"]);
    assert_eq!(desk.http.post(&path, &Value::Null).await.expect(200).json(), row);
    is_whole_again(&desk, mailbox, &row, &raw).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_has_them_fetched_again() {
    let (dovecot, raw) = (Dovecot::start(), mail().subject("Kept").build());
    let (desk, mailbox, row) = with_a_lost_mail(&dovecot, &raw).await;
    let told = Shell::of(desk.config()).run(&["doctor", "--refetch", "-o", "json"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let said: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(said["refetch"], json!({"asked": 1, "left": 0}), "{said}");
    sync(&desk, mailbox).await;
    is_whole_again(&desk, mailbox, &row, &raw).await;
    let told = Shell::of(desk.config()).run(&["doctor", "--refetch", "-o", "json"]).well();
    let said: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(said["refetch"], json!({"asked": 0, "left": 0}), "{said}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_take_their_place_when_the_mail_is_pushed_again() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let raw = mail().subject("Kept").build();
    push(&desk, mailbox, &raw).await;
    let row = ledger(&desk, mailbox, "accepted").await.remove(0);
    spoil(&desk);
    let path = format!("/api/v1/mailboxes/{mailbox}/ingest/{}/retry", row["id"]);
    problem(&desk.http.post(&path, &Value::Null).await, 409, "state_conflict");
    assert_eq!(push(&desk, mailbox, &raw).await["verdict"], "duplicate");
    is_whole_again(&desk, mailbox, &row, &raw).await;
    desk.stop().await;
}
