//! The ledger: what became of every mail, the bytes of what did not come in, and another try that
//! doubles nothing.

use crate::mailing::*;
use crate::poison;
use crate::problems::problem;
use postroom_core::access::Scope;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};
use support::desk::TestDesk;
use support::dovecot::Dovecot;
use support::http::Answer;
use support::mail::mail;

fn sink() -> Value {
    json!({"type": "sink"})
}

fn row_path(mailbox: i64, row: &Value) -> String {
    format!("/api/v1/mailboxes/{mailbox}/ingest/{}", row["id"])
}

async fn retry(desk: &TestDesk, mailbox: i64, row: &Value) -> Answer {
    desk.http.post(&format!("{}/retry", row_path(mailbox, row)), &Value::Null).await
}

/// Pushes a mail that can't be kept. Returns its row.
async fn put_aside(desk: &TestDesk, mailbox: i64) -> (Vec<u8>, Value) {
    let raw = mail().subject(poison::SUBJECT).build();
    poison::poison(&poison::of(desk));
    assert_eq!(push(desk, mailbox, &raw).await["verdict"], "quarantined");
    let row = ledger(desk, mailbox, "quarantined").await.remove(0);
    (raw, row)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_aside_is_there_to_read_and_comes_in_by_a_retry() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (raw, row) = put_aside(&desk, mailbox).await;
    assert_eq!((&row["has_raw"], &row["message_id"]), (&json!(true), &Value::Null), "{row}");
    assert_eq!(desk.http.get(&row_path(mailbox, &row)).await.expect(200).json(), row);
    let kept = desk.http.get(&format!("{}/raw", row_path(mailbox, &row))).await.expect(200);
    assert!(kept.body == raw);
    assert_eq!(kept.header("content-type"), Some("message/rfc822"));
    assert!(kept.header("content-disposition").is_some_and(|value| value.starts_with("attachment")));

    // It fails again, and says so.
    let again = retry(&desk, mailbox, &row).await.expect(200).json();
    assert_eq!((&again["verdict"], &again["id"]), (&json!("quarantined"), &row["id"]), "{again}");
    assert!(again["reason"].as_str().is_some_and(|why| why.contains("poisoned")), "{again}");
    assert_eq!(status(&desk, mailbox).await["failed"], 1);

    poison::cure(&poison::of(&desk));
    let done = retry(&desk, mailbox, &row).await.expect(200).json();
    assert_eq!(
        (&done["verdict"], &done["id"], &done["reason"]),
        (&json!("accepted"), &row["id"], &Value::Null)
    );
    assert!(done["message_id"].is_i64() && done["conversation_id"].is_i64(), "{done}");
    let count = desk.event_types().await.len();
    assert_eq!(retry(&desk, mailbox, &row).await.expect(200).json(), done, "done is done");
    assert_eq!(desk.event_types().await.len(), count, "and nobody is told");
    assert_eq!(conversations(&desk).await.len(), 1);
    let status = status(&desk, mailbox).await;
    assert_eq!((&status["accepted"], &status["failed"]), (&json!(1), &json!(0)), "{status}");
    let tries = list(&desk, "/api/v1/events?after=0&limit=100&types=mail.retried").await;
    assert_eq!(tries.len(), 2, "{tries:?}");
    assert_eq!((&tries[0]["actor"]["type"], &tries[0]["actor"]["name"]), (&json!("token"), &json!("test")));
    assert_eq!(tries[0]["data"]["ledger_id"], row["id"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_goes_round_comes_in_where_somebody_wants_it() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let hops = "Received: from a.example by b.example; Sun, 22 Nov 2026 08:00:00 +0000\r\n".repeat(51);
    let raw = [hops.as_bytes(), &mail().subject("Round").build()].concat();
    assert_eq!(push(&desk, mailbox, &raw).await["verdict"], "quarantined");
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    // Its bytes are here: nothing would be another one at its source.
    assert_eq!((&row["has_raw"], &row["next_try_at"]), (&json!(true), &Value::Null), "{row}");
    let done = retry(&desk, mailbox, &row).await.expect(200).json();
    assert_eq!((&done["verdict"], &done["id"]), (&json!("accepted"), &row["id"]), "{done}");
    let all = conversations(&desk).await;
    assert_eq!((all.len(), &all[0]["status"]), (1, &json!("closed")), "no work for anybody: {all:?}");
    assert_eq!(message(&desk, number(&done["message_id"])).await["class"], "loop");
    assert_eq!(status(&desk, mailbox).await["failed"], 0);
    // The next turn of the circle is a copy and nothing else.
    assert_eq!(push(&desk, mailbox, &raw).await["verdict"], "duplicate");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_retries_at_once_and_a_copy_meanwhile_make_one_message() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (raw, row) = put_aside(&desk, mailbox).await;
    poison::cure(&poison::of(&desk));
    let (one, two, three, copy) = tokio::join!(
        retry(&desk, mailbox, &row),
        retry(&desk, mailbox, &row),
        retry(&desk, mailbox, &row),
        push(&desk, mailbox, &raw)
    );
    for answer in [one, two, three] {
        let verdict = answer.expect(200).json()["verdict"].clone();
        assert!(verdict == "accepted" || verdict == "duplicate", "{verdict}");
    }
    assert!(copy["message_id"].is_i64(), "{copy}");
    let all = conversations(&desk).await;
    assert_eq!((all.len(), &all[0]["message_count"]), (1, &json!(1)), "{all:?}");
    let row = desk.http.get(&row_path(mailbox, &row)).await.expect(200).json();
    assert_eq!(row["message_id"], copy["message_id"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_came_in_meanwhile_is_not_doubled() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (raw, row) = put_aside(&desk, mailbox).await;
    poison::cure(&poison::of(&desk));
    assert_eq!(push(&desk, mailbox, &raw).await["verdict"], "accepted");
    assert_eq!(retry(&desk, mailbox, &row).await.expect(200).json()["verdict"], "duplicate");
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_would_not_give_is_fetched_by_a_retry() {
    let dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", mail().subject("Locked").build());
    let name = dovecot.stored("support", "INBOX").pop().expect("a mail is there").name;
    let folder = dovecot.maildir("support", "INBOX").join("new");
    let size = fs::metadata(folder.join(&name)).expect("the mail is there").len();
    let locked = folder.join(format!("{name},S={size},W={size}"));
    fs::rename(folder.join(&name), &locked).expect("the mail is our own");
    fs::set_permissions(&locked, Permissions::from_mode(0o000)).expect("the mail is our own");
    let desk = TestDesk::start_with(Clock::System, |config| config.limits.ingest_tries = 1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    dovecot.deliver("support", "INBOX", mail().subject("Good").build());
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "quarantined").await.remove(0);
    assert_eq!(row["has_raw"], false, "{row}");
    problem(&desk.http.get(&format!("{}/raw", row_path(mailbox, &row))).await, 404, "not_found");

    // In vain: it is put aside again, in the same row, as others come and it does not.
    dovecot.deliver("support", "INBOX", mail().subject("Good too").build());
    let waits = retry(&desk, mailbox, &row).await.expect(200).json();
    assert_eq!((&waits["verdict"], &waits["id"]), (&json!("failed"), &row["id"]), "{waits}");
    desk.until(|| async { ledger(&desk, mailbox, "quarantined").await.pop() }).await;
    assert_eq!(status(&desk, mailbox).await["failed"], 1);

    fs::set_permissions(&locked, Permissions::from_mode(0o644)).expect("the mail is our own");
    retry(&desk, mailbox, &row).await.expect(200);
    let done = desk
        .until(|| async {
            let row = desk.http.get(&row_path(mailbox, &row)).await.expect(200).json();
            (row["verdict"] == "accepted").then_some(row)
        })
        .await;
    assert_eq!((&done["location"], &done["next_try_at"]), (&row["location"], &Value::Null), "{done}");
    assert_eq!(ledger(&desk, mailbox, "quarantined").await.len(), 0);
    let all = conversations(&desk).await;
    assert_eq!(all.iter().filter(|one| one["subject"] == "Locked").count(), 1);
    assert_eq!(all.len(), 3);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_import_rule_left_out_comes_in_by_a_retry() {
    let dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", mail().subject("Old").build());
    let name = dovecot.stored("support", "INBOX").pop().expect("a mail is there").name;
    let file = dovecot.maildir("support", "INBOX").join("new").join(name);
    let file = File::options().write(true).open(file).expect("the mail is our own");
    // Noon of the day before the desk's clock begins.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
    file.set_modified(noon).expect("the mail is our own");
    let desk = TestDesk::start_fixed().await;
    let body = json!({
        "name": "Support", "address": "support@example.org", "delivery": sink(), "paused": true,
        "source": with(imap(&dovecot), json!({"import": {"type": "none"}})),
    });
    let mailbox = add_with(&desk, body).await;
    desk.desk().advance_clock(Duration::from_mins(2));
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &json!({"paused": false})).await.expect(200);
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "ignored").await.remove(0);
    desk.desk().advance_clock(Duration::from_secs(1));
    assert_eq!(retry(&desk, mailbox, &row).await.expect(200).json()["verdict"], "failed");
    let done = desk.until(|| async { ledger(&desk, mailbox, "accepted").await.pop() }).await;
    assert_eq!(done["id"], row["id"]);
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_too_large_comes_whole_into_its_message() {
    let dovecot = Dovecot::start();
    let large = mail().subject("Much").text("See the file.").attachment("a.bin", "x/y", &noise(1 << 20));
    dovecot.deliver("support", "INBOX", large.build());
    let mut desk = TestDesk::start_with(Clock::System, |config| config.limits.mail_mib = 1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "oversized").await.remove(0);
    assert!(number(&row["size"]) > 1 << 20, "the size it has on the server: {row}");
    let refused = retry(&desk, mailbox, &row).await;
    let why = problem(&refused, 409, "state_conflict");
    assert!(why["detail"].as_str().is_some_and(|why| why.contains("limits.mail_mib")), "{why}");

    desk.restart_with(|config| config.limits.mail_mib = 4).await;
    retry(&desk, mailbox, &row).await.expect(200);
    let done = desk.until(|| async { ledger(&desk, mailbox, "accepted").await.pop() }).await;
    assert_eq!((&done["id"], &done["message_id"]), (&row["id"], &row["message_id"]), "{done}");
    let all = conversations(&desk).await;
    assert_eq!((all.len(), &all[0]["message_count"]), (1, &json!(1)), "{all:?}");
    let id = number(&done["message_id"]);
    let message = message(&desk, id).await;
    assert!(
        !message["flags"].as_array().is_some_and(|flags| flags.contains(&json!("oversized"))),
        "{message}"
    );
    assert_eq!(message["attachments"].as_array().map(Vec::len), Some(1), "{message}");
    assert!(raw(&desk, id).await == large.build());
    let file = message["attachments"][0]["id"].as_str().expect("an id");
    assert!(
        desk.http.get(&format!("/api/v1/attachments/{file}/content")).await.expect(200).body
            == noise(1 << 20)
    );
    assert_eq!(status(&desk, mailbox).await["accepted"], 1, "it is counted once");
    assert!(desk.event_types().await.contains(&"message.completed".to_owned()));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_place_any_more_is_a_conflict() {
    let dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", mail().build());
    let desk = TestDesk::start_with(Clock::System, |config| config.limits.mail_mib = 1).await;
    let mailbox = add(&desk, imap(&dovecot), sink()).await;
    sync(&desk, mailbox).await;
    let row = ledger(&desk, mailbox, "accepted").await.remove(0);
    poison::run(&poison::of(&desk), "UPDATE ledger SET verdict = 'expunged', location = '1/1'");
    problem(&retry(&desk, mailbox, &row).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_for_those_who_may_see_the_whole_mailbox() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let other = pushed(&desk, json!({"name": "Other", "address": "other@example.org"})).await;
    let (_, row) = put_aside(&desk, mailbox).await;
    let path = row_path(mailbox, &row);
    let narrow = desk.client(Scope::ALL, &[other]).await;
    for path in
        [path.clone(), format!("{path}/raw"), row_path(other, &row), format!("{}/raw", row_path(other, &row))]
    {
        problem(&narrow.get(&path).await, 404, "not_found");
    }
    for path in [format!("{path}/retry"), format!("{}/retry", row_path(other, &row))] {
        problem(&narrow.post(&path, &Value::Null).await, 404, "not_found");
    }
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    reader.get(&path).await.expect(200);
    reader.get(&format!("{path}/raw")).await.expect(200);
    problem(&reader.post(&format!("{path}/retry"), &Value::Null).await, 403, "insufficient_scope");
    // Who sets mailboxes up does not read their mail by that.
    let admin = desk.client(&[Scope::AdminRead], &[]).await;
    admin.get(&path).await.expect(200);
    problem(&admin.get(&format!("{path}/raw")).await, 403, "insufficient_scope");
    // An agent who may only see what is theirs, and one who may only read.
    let agent = |email: &str, grant: Value| json!({"name": email, "email": email, "role": "agent", "grants": [grant]});
    for (body, get, post) in [
        (
            agent("a@example.org", json!({"mailbox_id": mailbox, "level": "reply", "assigned_only": true})),
            403,
            403,
        ),
        (agent("b@example.org", json!({"mailbox_id": mailbox, "level": "read"})), 200, 403),
        (agent("c@example.org", json!({"mailbox_id": other, "level": "manage"})), 404, 404),
    ] {
        let made = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        let http = desk.client_of_agent(number(&made["id"])).await;
        assert_eq!(http.get(&path).await.status, get, "{body}");
        assert_eq!(http.get(&format!("{path}/raw")).await.status, get, "{body}");
        assert_eq!(http.post(&format!("{path}/retry"), &Value::Null).await.status, post, "{body}");
    }
    assert_eq!(ledger(&desk, mailbox, "quarantined").await, [row], "nothing was touched");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_chosen_by_verdict_and_counted() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let raw = mail().build();
    for verdict in ["accepted", "duplicate", "duplicate"] {
        assert_eq!(push(&desk, mailbox, &raw).await["verdict"], verdict);
    }
    let path = format!("/api/v1/mailboxes/{mailbox}/ingest");
    for (query, total) in
        [("", 3), ("&verdict=duplicate", 2), ("&verdict=accepted,duplicate", 3), ("&verdict=failed", 0)]
    {
        let page = desk.http.get(&format!("{path}?count=true&limit=1{query}")).await.expect(200).json();
        assert_eq!(page["page"]["total"], total, "{query}: {page}");
    }
    let rows = ledger(&desk, mailbox, "duplicate").await;
    let conversation = &conversations(&desk).await[0]["id"];
    assert!(rows.iter().all(|row| row["conversation_id"] == *conversation), "{rows:?}");
    desk.stop().await;
}
