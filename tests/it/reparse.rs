//! Kept mail read anew: what a message says is mended, and nothing else is touched.

use crate::mailing::*;
use crate::poison;
use crate::problems::problem;
use crate::program::Shell;
use postroom_core::access::Scope;
use postroom_core::id::{MailboxId, MessageId};
use postroom_core::operations::messages::reparse as operation;
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::{TestMail, mail};

fn letter() -> TestMail {
    mail()
        .subject("Late order")
        .text("Where is it?\n\nOn Monday, Amy wrote:\n> It left today.\n\n-- \nAda")
        .html("<p>Where is it?</p><blockquote type=cite>It left today.</blockquote>")
        .attachment("bill.pdf", "application/pdf", b"%PDF-1.4 bill")
        .attachment("photo.png", "image/png", b"\x89PNG photo")
}

async fn reparse(http: &Http, message: i64, query: &str) -> Answer {
    http.post(&format!("/api/v1/messages/{message}/reparse{query}"), &Value::Null).await
}

async fn done(desk: &TestDesk, message: i64) -> Value {
    reparse(&desk.http, message, "").await.expect(200).json()
}

async fn told(desk: &TestDesk) -> Vec<Value> {
    list(desk, "/api/v1/events?after=0&limit=100&types=message.reparsed").await
}

/// A message as it is shown, without what counts its changes.
fn shown(mut message: Value) -> Value {
    message.as_object_mut().expect("a message").remove("version");
    message
}

fn ids(message: &Value) -> Vec<&str> {
    let files = message["attachments"].as_array().expect("a list");
    files.iter().map(|file| file["id"].as_str().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_wrong_is_mended_and_nothing_else_moves() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    let right = message(&desk, at.message).await;
    assert_eq!((right["attachments"].as_array().map(Vec::len), ids(&right).len()), (Some(2), 2), "{right}");
    assert!(right["quoted_text"].is_string(), "{right}");
    let before = conversation(&desk, at.conversation).await;
    let threading = decision(&desk, at.message).await;
    let of = format!("WHERE id = {}", at.message);
    for change in [
        r#"text_parts = '{"signature":{"start":2,"end":5},"quoted":{"start":0,"end":1}}'"#,
        "content = 'garbled', reply_content = NULL, subject = '=?utf-8?q?Late?='",
        r#"class = 'list', signals = '["header:list-id"]', has_html = (1 = 0)"#,
        r#"sender = '{"name":"?","email":"ada@example.org"}', author_name = '?'"#,
    ] {
        sql(desk.config(), &format!("UPDATE messages SET {change} {of}"));
    }
    sql(
        desk.config(),
        "UPDATE attachments SET filename = 'x', content_type = 'text/plain', inline = (1 = 1) WHERE filename = 'bill.pdf'",
    );
    sql(desk.config(), "UPDATE attachments SET part = 77 WHERE filename = 'photo.png'");

    let wrong = message(&desk, at.message).await;
    let dry = reparse(&desk.http, at.message, "?dry_run=true").await.expect(200).json();
    assert_eq!(
        (&dry["dry_run"], &message(&desk, at.message).await),
        (&json!(true), &wrong),
        "nothing written"
    );
    assert_eq!(told(&desk).await, Vec::<Value>::new());
    let mended = done(&desk, at.message).await;
    assert_eq!((&mended["changed"], &mended["message"]), (&dry["changed"], &dry["message"]));
    assert_eq!(
        mended["changed"],
        json!([
            "from",
            "subject",
            "text",
            "reply_text",
            "quoted_text",
            "signature",
            "has_html",
            "class",
            "signals",
            "attachments"
        ])
    );
    assert_eq!(mended["message"], message(&desk, at.message).await);
    // The files have their ids still, and the bytes behind them are the right ones again.
    assert_eq!(shown(mended["message"].clone()), shown(right.clone()));
    for (id, bytes) in ids(&right).iter().zip([&b"%PDF-1.4 bill"[..], b"\x89PNG photo"]) {
        let content = desk.http.get(&format!("/api/v1/attachments/{id}/content")).await.expect(200);
        assert_eq!(content.body, bytes);
    }
    assert_eq!(conversation(&desk, at.conversation).await, before);
    assert_eq!(decision(&desk, at.message).await, threading);
    let events = told(&desk).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["data"]["fields"], &events[0]["message_id"]),
        (&mended["changed"], &json!(at.message))
    );
    assert!(!events[0].to_string().contains("Where is it"), "events hold no text");

    // Once more: it is right, nothing is written, nobody is told.
    let again = done(&desk, at.message).await;
    assert_eq!((&again["changed"], &again["message"]), (&json!([]), &mended["message"]));
    assert_eq!(told(&desk).await.len(), 1);
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_not_seen_is_new_and_one_that_is_none_goes() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    let right = message(&desk, at.message).await;
    let kept = ids(&right)[1].to_owned();
    sql(desk.config(), "DELETE FROM attachments WHERE filename = 'bill.pdf'");
    sql(
        desk.config(),
        &format!(
            "INSERT INTO attachments (id, message_id, part, filename, content_type, size, inline, created_at) \
             VALUES ('att_0123456789abcdef0123456789abcdef', {}, 1, 'no file', 'text/plain', 9, (1 = 0), 0)",
            at.message
        ),
    );
    let dry = reparse(&desk.http, at.message, "?dry_run=true").await.expect(200).json();
    assert_eq!(ids(&message(&desk, at.message).await).len(), 2, "still the wrong ones");
    let mended = done(&desk, at.message).await;
    assert_eq!((&mended["changed"], &dry["changed"]), (&json!(["attachments"]), &json!(["attachments"])));
    let files = ids(&mended["message"]);
    assert!(files.contains(&kept.as_str()) && files.len() == 2, "{mended}");
    let new = files.iter().find(|id| **id != kept).unwrap();
    let content = desk.http.get(&format!("/api/v1/attachments/{new}/content")).await.expect(200);
    assert_eq!(content.body, b"%PDF-1.4 bill");
    assert_eq!(done(&desk, at.message).await["changed"], json!([]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_a_mail_and_who_vouches_for_them_stays() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    let changes = r#"sender = '{"name":"Bea","email":"bea@elsewhere.example"}', author_name = 'Bea',
        sender_auth = 'pass', flags = '["guess","shortened"]', internet_message_id = 'other@elsewhere.example',
        about_message_id = 7, received_at = 5"#;
    sql(desk.config(), &format!("UPDATE messages SET {changes} WHERE id = {}", at.message));
    let before = message(&desk, at.message).await;
    set_status(&desk, at.conversation, "closed").await;
    let participants = conversation(&desk, at.conversation).await;
    let mended = done(&desk, at.message).await;
    // Only what reading decides of the flags.
    assert_eq!((&mended["changed"], &mended["message"]["flags"]), (&json!(["flags"]), &json!(["guess"])));
    for member in ["from", "author", "sender_auth", "internet_message_id", "about_message_id", "received_at"]
    {
        assert_eq!(mended["message"][member], before[member], "{member}");
    }
    assert_eq!(conversation(&desk, at.conversation).await, participants, "it is closed, and stays so");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_is_known_again_by_todays_reading() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    // As an older reader reckoned it.
    sql(desk.config(), &format!("UPDATE messages SET fingerprint = {}", two_bytes(&desk)));
    let copy = letter().header("X-Copy", "1");
    assert_eq!(done(&desk, at.message).await["changed"], json!(["fingerprint"]));
    let receipt = push(&desk, mailbox, &copy.build()).await;
    assert_eq!((&receipt["verdict"], &receipt["message_id"]), (&json!("duplicate"), &json!(at.message)));
    desk.stop().await;
}

/// Two bytes, as the database writes them.
fn two_bytes(desk: &TestDesk) -> &'static str {
    match poison::of(desk) {
        DatabaseUrl::Sqlite(_) => "x'0102'",
        DatabaseUrl::Postgres(_) => r"'\x0102'::bytea",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_anew_is_refused_and_left() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    // What never was mail, or left from here.
    let answer = reply(&desk, at.conversation, "It left.").await;
    delivered(&desk, &answer, "sent").await;
    let note = reply_with(&desk, at.conversation, json!({"kind": "note", "text": "Hm."})).await;
    let filed = reply_with(&desk, at.conversation, json!({"kind": "inbound", "text": "By phone."})).await;
    for other in [&answer, &note, &filed] {
        for query in ["", "?dry_run=true"] {
            let refused =
                problem(&reparse(&desk.http, number(&other["id"]), query).await, 409, "state_conflict");
            assert!(refused["detail"].as_str().unwrap().contains("mail that came in"), "{refused}");
        }
    }
    // A version that was overtaken.
    let path = format!("/api/v1/messages/{}/reparse", at.message);
    let stale = desk.http.send("POST", &path, &[("If-Match", "\"m1-0\"")], b"").await;
    problem(&stale, 412, "version_conflict");

    // Today's reader can't make out what is there.
    let files: Vec<String> = (0..201).map(|n| format!("f{n}.png")).collect();
    let many =
        files.iter().fold(mail().subject("Files"), |mail, name| mail.attachment(name, "image/png", b"x"));
    let many = arrive(&desk, mailbox, &many).await;
    assert_eq!(done(&desk, many.message).await["changed"], json!([]), "as poor as before");
    sql(
        desk.config(),
        &format!("UPDATE messages SET flags = '[]', subject = 'as it was' WHERE id = {}", many.message),
    );
    let refused = problem(&reparse(&desk.http, many.message, "").await, 409, "state_conflict");
    assert!(refused["detail"].as_str().unwrap().contains("201 files"), "{refused}");
    assert_eq!(message(&desk, many.message).await["subject"], "as it was");

    // Its bytes are other ones, and then they are gone.
    let hash = |id: i64| format!("(SELECT raw_hash FROM messages WHERE id = {id})");
    sql(
        desk.config(),
        &format!(
            "UPDATE blobs SET content = (SELECT content FROM blobs WHERE hash = {}) WHERE hash = {}",
            hash(many.message),
            hash(at.message)
        ),
    );
    let before = message(&desk, at.message).await;
    for word in ["damaged", "missing"] {
        for query in ["", "?dry_run=true"] {
            let refused = problem(&reparse(&desk.http, at.message, query).await, 409, "state_conflict");
            assert!(refused["detail"].as_str().unwrap().contains(word), "{refused}");
        }
        sql(desk.config(), &format!("DELETE FROM blobs WHERE hash = {}", hash(at.message)));
    }
    assert_eq!(message(&desk, at.message).await, before);
    assert_eq!(told(&desk).await, Vec::<Value>::new());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_the_right_to_answer() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = arrive(&desk, mailbox, &letter()).await;
    sql(desk.config(), "UPDATE messages SET subject = 'wrong'");
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reparse(&reader, at.message, "?dry_run=true").await, 403, "insufficient_scope");
    let mut agents = Vec::new();
    for (email, level) in [("amy@example.org", "read"), ("bob@example.org", "reply")] {
        let body = json!({"name": email, "email": email, "role": "agent",
            "grants": [{"mailbox_id": mailbox, "level": level}]});
        let made = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        agents.push(desk.client_of_agent(number(&made["id"])).await);
    }
    for query in ["", "?dry_run=true"] {
        problem(&reparse(&agents[0], at.message, query).await, 403, "forbidden");
    }
    let elsewhere = desk.mailbox("Elsewhere", "elsewhere@example.org").await;
    let stranger = desk.client(Scope::ALL, &[elsewhere]).await;
    problem(&reparse(&stranger, at.message, "").await, 404, "not_found");
    assert_eq!(message(&desk, at.message).await["subject"], "wrong");
    assert_eq!(reparse(&agents[1], at.message, "").await.expect(200).json()["changed"], json!(["subject"]));
    desk.stop().await;
}

/// The command's answer.
fn report(told: &crate::program::Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error} in {told:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_read_anew_by_a_command() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let mut all = Vec::new();
    for subject in ["One", "Two", "Three"] {
        all.push(arrive(&desk, mailbox, &letter().subject(subject)).await);
    }
    let shell = Shell::of(desk.config());
    let wrong = "UPDATE messages SET subject = 'wrong' WHERE subject IN ('One', 'Three')";
    sql(desk.config(), wrong);
    let command = |more: &[&str]| {
        let mut arguments = vec!["message", "reparse", "--mailbox", "Support", "-o", "json"];
        arguments.extend(more);
        shell.run(&arguments)
    };
    let dry = report(&command(&["--dry-run"]).well());
    assert_eq!(
        (&dry["changed"], &dry["unchanged"], &dry["fields"]),
        (&json!(2), &json!(1), &json!({"subject": 2}))
    );
    assert_eq!(dry["messages"][0], json!({"message_id": all[0].message, "changed": ["subject"]}));
    assert_eq!(message(&desk, all[0].message).await["subject"], "wrong");
    let done = report(&command(&[]).well());
    assert_eq!(
        (&done["changed"], &done["failed"], &done["messages"]),
        (&json!(2), &json!(0), &dry["messages"])
    );
    assert_eq!(message(&desk, all[2].message).await["subject"], "Three");
    assert_eq!(told(&desk).await.len(), 2);
    let again = report(&command(&[]).well());
    assert_eq!((&again["changed"], &again["unchanged"]), (&json!(0), &json!(3)));

    // One that was stopped goes on where it was, once.
    sql(desk.config(), wrong);
    let after = MessageId(all[1].message);
    desk.write(move |cx| operation::note_progress(cx, MailboxId(mailbox), Some(after))).await;
    let rest = report(&command(&[]).well());
    assert_eq!((&rest["resumed_after"], &rest["changed"]), (&json!(after), &json!(1)), "{rest}");
    assert_eq!(message(&desk, all[0].message).await["subject"], "wrong");
    let whole = report(&command(&[]).well());
    assert_eq!((&whole["resumed_after"], &whole["changed"]), (&Value::Null, &json!(1)), "{whole}");

    // What is wrong with one keeps nobody from the next.
    sql(desk.config(), wrong);
    sql(
        desk.config(),
        &format!(
            "DELETE FROM blobs WHERE hash = (SELECT raw_hash FROM messages WHERE id = {})",
            all[0].message
        ),
    );
    let failed = command(&[]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let failed = report(&failed);
    assert_eq!((&failed["changed"], &failed["failed"]), (&json!(1), &json!(1)), "{failed}");
    assert_eq!(failed["failures"][0]["message_id"], all[0].message);
    let single = shell.run(&["message", "reparse", &all[1].message.to_string(), "999999"]);
    assert!(
        single.code == Some(1) && single.out.contains("message 999999: there is no such message"),
        "{single:?}"
    );
    for nonsense in [
        &["message", "reparse"][..],
        &["message", "reparse", "0"],
        &["message", "reparse", "1", "--mailbox", "x"],
    ] {
        assert_eq!(shell.run(nonsense).code, Some(2), "{nonsense:?}");
    }
    assert!(shell.run(&["message", "reparse", "--mailbox", "Nobody"]).refusal().contains("Nobody"));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_stops_in_the_middle_goes_on_there() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    // One more than lies between two bookmarks.
    let mut last = None;
    for number in 0..201 {
        last = Some(arrive(&desk, mailbox, &mail().subject(&format!("Mail {number}"))).await);
    }
    let last = last.unwrap().message;
    sql(desk.config(), &format!("UPDATE messages SET subject = 'wrong' WHERE id = {last}"));
    let database = poison::of(&desk);
    let (freeze, thaw) = match database {
        DatabaseUrl::Sqlite(_) => (
            "CREATE TRIGGER frozen BEFORE UPDATE ON messages BEGIN SELECT RAISE(ABORT, 'it is frozen'); END",
            "DROP TRIGGER frozen",
        ),
        DatabaseUrl::Postgres(_) => (
            "CREATE FUNCTION frozen() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'it is frozen'; END $$ \
             LANGUAGE plpgsql; CREATE TRIGGER frozen BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION frozen()",
            "DROP TRIGGER frozen ON messages; DROP FUNCTION frozen()",
        ),
    };
    poison::run(&database, freeze);
    let shell = Shell::of(desk.config());
    let command = ["message", "reparse", "--mailbox", "Support", "-o", "json"];
    let stopped = shell.run(&command);
    assert!(stopped.code == Some(1) && stopped.err.contains("frozen"), "{stopped:?}");
    assert_eq!(report(&stopped)["unchanged"], 200);
    poison::run(&database, thaw);
    let rest = report(&shell.run(&command).well());
    assert_eq!((&rest["resumed_after"], &rest["changed"]), (&json!(last - 1), &json!(1)), "{rest}");
    assert_eq!(rest["unchanged"], 0);
    let from_start = report(&shell.run(&[&command[..], &["--from-start"]].concat()).well());
    assert_eq!((&from_start["resumed_after"], &from_start["unchanged"]), (&Value::Null, &json!(201)));
    desk.stop().await;
}
