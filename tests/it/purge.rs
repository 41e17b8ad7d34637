//! What is deleted for good is gone wherever it was, does not come again, and who kept a copy is told.

use crate::mailing::*;
use crate::problems::{faults, problem};
use crate::webhooks;
use postroom_core::operations::collecting::Round;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::hooks::Hooks;
use support::http::{Answer, Http};
use support::mail::{TestMail, mail};

/// Stands in everything that is written in the conversation that goes.
const CANARY: &str = "canary5e1f";

fn path(conversation: i64) -> String {
    format!("/api/v1/conversations/{conversation}")
}

/// Puts a conversation into the trash and deletes it for good.
async fn purge(http: &Http, conversation: i64) {
    http.delete(&path(conversation)).await.expect(204);
    purged(http, conversation).await.expect(204);
}

async fn purged(http: &Http, conversation: i64) -> Answer {
    http.delete(&format!("{}?purge=true", path(conversation))).await
}

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject(&format!("Printer {CANARY}")).text(text)
}

/// Every column of text of every table, as `table.column`.
fn columns(desk: &TestDesk) -> Vec<(String, String)> {
    // Words that were in the full-text index lie in its segments until they are merged.
    let query = if support::database::kind() == support::database::Kind::Postgres {
        "SELECT string_agg(table_name || '.' || column_name, ',') AS text FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type IN ('text', 'tsvector')"
    } else {
        "SELECT group_concat(m.name || '.' || c.name, ',') AS text FROM sqlite_master AS m, \
         pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'search_words%' \
         AND c.type = 'TEXT'"
    };
    let text = text_of(desk, query);
    text.split(',')
        .map(|one| one.split_once('.').expect("a dot"))
        .map(|(t, c)| (t.into(), c.into()))
        .collect()
}

/// Where the canary stands.
fn found(desk: &TestDesk) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column) in columns(desk) {
        let query =
            format!("SELECT count(*) AS count FROM {table} WHERE CAST({column} AS TEXT) LIKE '%{CANARY}%'");
        if count(desk, &query) > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_it() {
    let (desk, hooks) = (webhooks::desk().await, Hooks::start().await);
    webhooks::make(&desk, &hooks, json!({})).await;
    let mailbox = pushed(&desk, json!({})).await;
    let question = ada(&format!("The {CANARY} burns."))
        .html(&format!("<p>The {CANARY} burns.</p>"))
        .attachment(&format!("{CANARY}.txt"), "text/plain", CANARY.as_bytes());
    let landed = arrive(&desk, mailbox, &question).await;
    let at = landed.conversation;
    let answer = reply(&desk, at, &format!("Water on the {CANARY}!")).await;
    delivered(&desk, &answer, "sent").await;
    for more in [
        json!({"kind": "note", "text": format!("He sells {CANARY}s.")}),
        json!({"kind": "reply", "text": format!("Dear {CANARY}"), "draft": true}),
        json!({"kind": "reply", "text": format!("Later, {CANARY}"), "undo_seconds": 60}),
    ] {
        reply_with(&desk, at, more).await;
    }
    let change = json!({"subject": format!("Fire {CANARY}"), "external_id": {"source": "crm", "id": CANARY}});
    desk.http.patch(&path(at), &change).await.expect(200);
    // One that was merged into it.
    let other =
        arrive(&desk, mailbox, &ada(&format!("Once more: {CANARY}")).message_id("<b@acme.example>")).await;
    desk.http.post(&format!("{}/merge", path(other.conversation)), &json!({"into": at})).await.expect(201);
    // And one that stays, of the same customer.
    let stays =
        arrive(&desk, mailbox, &mail().from("Ada <ada@acme.example>").subject("Paper").text("Out.")).await;
    desk.until(|| async { (!hooks.calls().is_empty()).then_some(()) }).await;
    let before = found(&desk);
    for table in ["messages.", "conversations.", "events.", "webhook_deliveries.", "attachments.", "unsent."]
    {
        assert!(before.iter().any(|column| column.starts_with(table)), "{table} {before:?}");
    }

    purge(&desk.http, at).await;
    assert_eq!(found(&desk), Vec::<String>::new());
    for gone in [at, other.conversation] {
        problem(&desk.http.get(&path(gone)).await, 404, "not_found");
        let kept = format!("SELECT count(*) AS count FROM messages WHERE conversation_id = {gone}");
        assert_eq!(count(&desk, &kept), 0);
    }
    problem(&desk.http.get(&format!("/api/v1/messages/{}", landed.message)).await, 404, "not_found");
    problem(&purged(&desk.http, at).await, 404, "not_found");
    assert_eq!(conversations(&desk).await.len(), 1);
    assert_eq!(list(&desk, &format!("/api/v1/conversations?q={CANARY}")).await.len(), 0);
    let trash = list(&desk, "/api/v1/conversations?q=is:trash").await;
    assert_eq!(trash.len(), 0);
    // What stands in the audit log names it and says nothing of it.
    let audit = list(&desk, "/api/v1/audit-log?limit=100").await;
    let noted: Vec<&Value> = audit.iter().filter(|row| row["kind"] == "conversation.purged").collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(
        (&noted[0]["data"]["conversation_id"], &noted[0]["data"]["messages"]),
        (&json!(at), &json!(6))
    );
    // Its bytes go a day later, and nothing else does.
    let kept = || count(&desk, "SELECT count(*) AS count FROM blobs");
    assert!(kept() > 1);
    let look = || {
        desk.desk().look_for_unused_here(&mut Round::begin(), 100).expect("the store is there");
        desk.desk().collect_here().expect("the store is there");
        kept()
    };
    assert!(look() > 1, "not at once");
    desk.desk().advance_clock(days(1));
    assert_eq!(look(), 1);
    assert!(!raw(&desk, stays.message).await.is_empty());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_mail_does_not_come_again() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let elsewhere =
        pushed(&desk, json!({"name": "Sales", "address": "sales@example.org", "group": "sales"})).await;
    let question = ada("It burns.");
    let landed = arrive(&desk, mailbox, &question).await;
    let answer = reply(&desk, landed.conversation, "Water!").await;
    delivered(&desk, &answer, "sent").await;
    let ours = raw(&desk, number(&answer["id"])).await;
    purge(&desk.http, landed.conversation).await;

    // The same bytes, the same mail by another way, and our own answer that comes back.
    let by_another_way = [
        b"Received: from elsewhere.example by here.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n",
        &question.build()[..],
    ]
    .concat();
    for bytes in [&question.build()[..], &by_another_way[..], &ours[..]] {
        let receipt = push(&desk, mailbox, bytes).await;
        assert_eq!(
            (&receipt["verdict"], &receipt["message_id"]),
            (&json!("ignored"), &Value::Null),
            "{receipt}"
        );
        assert_eq!(receipt["reason"], "the same mail was deleted for good before");
    }
    assert_eq!(conversations(&desk).await.len(), 0);
    let rows = ledger(&desk, mailbox, "ignored").await;
    assert!(rows.iter().all(|row| row["reason"] == "the same mail was deleted for good before"), "{rows:?}");
    assert_eq!(rows.len(), 3);
    let first = ledger(&desk, mailbox, "accepted").await;
    assert_eq!(first.len(), 1, "that it was seen is known");
    assert_eq!((&first[0]["message_id"], &first[0]["conversation_id"]), (&Value::Null, &Value::Null));
    // Where it was never deleted it comes in.
    arrive(&desk, elsewhere, &question).await;
    // What is new is new: who answers to it begins anew.
    let hello =
        arrive(&desk, mailbox, &ada("Hello?").message_id("<c@acme.example>").in_reply_to(&question.id()))
            .await;
    assert_ne!(hello.conversation, landed.conversation);
    let id = answer["internet_message_id"].as_str().expect("it has one");
    let late =
        mail().from("Ada <ada@acme.example>").subject("Re: Printer").in_reply_to(id).text("Thank you!");
    let late = arrive(&desk, mailbox, &late).await;
    assert_ne!(late.conversation, landed.conversation);
    // And other words under its id are another mail.
    let other = ada("It is another matter.").message_id(&question.id());
    assert_eq!(push(&desk, mailbox, &other.build()).await["verdict"], "accepted");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_deleted_for_good_says_why() {
    let desk = TestDesk::start_fixed().await;
    // Nobody listens on port 1: what is sent waits.
    let refused = json!({"type": "smtp", "host": "127.0.0.1", "port": 1, "security": "none"});
    let mailbox = pushed(&desk, json!({"delivery": refused})).await;
    let landed = arrive(&desk, mailbox, &ada("It burns.")).await.conversation;
    let into = arrive(&desk, mailbox, &mail().from("eve@acme.example")).await.conversation;

    let why = problem(&purged(&desk.http, landed).await, 409, "state_conflict");
    assert!(why["detail"].as_str().is_some_and(|why| why.contains("in the trash")), "{why}");
    let answer = reply(&desk, landed, "Water!").await;
    desk.http.delete(&path(landed)).await.expect(204);
    let why = problem(&purged(&desk.http, landed).await, 409, "state_conflict");
    let named = format!("message {} is still on its way", answer["id"]);
    assert!(why["detail"].as_str().is_some_and(|why| why.contains(&named)), "{why}");
    assert_eq!(conversation(&desk, landed).await["message_count"], 2, "nothing was deleted");
    // Given up, it may go.
    desk.http.post(&format!("{}/restore", path(landed)), &Value::Null).await.expect(200);
    desk.until(|| async {
        let cancel = format!("/api/v1/messages/{}/cancel", answer["id"]);
        (desk.http.post(&cancel, &Value::Null).await.status == 200).then_some(())
    })
    .await;
    desk.http.delete(&path(landed)).await.expect(204);
    let stale = [("If-Match", "\"c1-1\"")];
    let stale = desk.http.send("DELETE", &format!("{}?purge=true", path(landed)), &stale, b"").await;
    problem(&stale, 412, "version_conflict");
    // Neither who may change it nor who sets the desk up may alone.
    let agent = json!({"name": "Amy", "email": "amy@example.org", "grants": [{"mailbox_id": mailbox, "level": "manage"}]});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json();
    let amy = desk.client_of_agent(number(&agent["id"])).await;
    let why = problem(&purged(&amy, landed).await, 403, "insufficient_scope");
    assert!(why["detail"].as_str().is_some_and(|why| why.contains("admin:write")), "{why}");
    let token = json!({"name": "set-up", "scopes": ["admin:write"]});
    let token = desk.http.post("/api/v1/tokens", &token).await.expect(201).json();
    let set_up = Http::new(desk.address()).with_token(token["token"].as_str().expect("a secret"));
    problem(&purged(&set_up, landed).await, 403, "insufficient_scope");
    let unknown = desk.http.delete(&format!("{}?purge=perhaps", path(landed))).await;
    problem(&unknown, 400, "bad_parameter");
    purged(&desk.http, landed).await.expect(204);

    let merged = arrive(&desk, mailbox, &mail().from("eve@acme.example").subject("Again")).await.conversation;
    desk.http.post(&format!("{}/merge", path(merged)), &json!({"into": into})).await.expect(201);
    problem(&purged(&desk.http, merged).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_might_see_it_is_told_and_nobody_else() {
    let (desk, hooks) = (webhooks::desk().await, Hooks::start().await);
    let ours = pushed(&desk, json!({})).await;
    let theirs = pushed(&desk, json!({"name": "Theirs", "address": "theirs@example.org"})).await;
    let agent = async |name: &str, grant: Value| {
        let body = json!({"name": name, "email": format!("{name}@example.org"), "grants": [grant]});
        let agent = number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"]);
        (agent, desk.client_of_agent(agent).await)
    };
    let (_, amy) = agent("amy", json!({"mailbox_id": ours, "level": "read"})).await;
    let (_, bob) = agent("bob", json!({"mailbox_id": theirs, "level": "manage"})).await;
    let only = json!({"mailbox_id": ours, "level": "reply", "assigned_only": true});
    let (cem_id, cem) = agent("cem", only.clone()).await;
    let (_, dora) = agent("dora", only).await;
    let at = arrive(&desk, ours, &ada("It burns.")).await;
    let change = json!({"assignee_id": cem_id, "tags": ["hot"]});
    desk.http.patch(&path(at.conversation), &change).await.expect(200);
    let kinds = json!(["conversation.purged"]);
    let mut wanting = Vec::new();
    desk.http.post("/api/v1/tags", &json!({"name": "cold"})).await.expect(201);
    for tag in ["hot", "cold"] {
        let more = json!({"event_types": kinds, "tags": [tag], "mailbox_ids": [ours]});
        wanting.push(webhooks::make(&desk, &hooks, more).await);
    }
    let everything = webhooks::make(&desk, &hooks, json!({"event_types": kinds})).await;
    let before = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    let before = number(&before["page"]["next_after"]);
    purge(&desk.http, at.conversation).await;

    let told = async |http: &Http| {
        let page = http.get(&format!("/api/v1/events?after={before}&limit=100")).await.expect(200).json();
        page["data"].as_array().expect("events").clone()
    };
    let seen = told(&desk.http).await;
    let last = seen.last().expect("it is told");
    assert_eq!(
        (&last["type"], &last["conversation_id"]),
        (&json!("conversation.purged"), &json!(at.conversation))
    );
    assert_eq!((&last["mailbox_id"], &last["data"]["message_ids"]), (&json!(ours), &json!([at.message])));
    assert_eq!(seen.len(), 1, "what was told of it is gone: {seen:?}");
    assert_eq!(told(&amy).await, seen);
    assert_eq!(told(&cem).await, seen, "it was theirs");
    assert_eq!((told(&bob).await, told(&dora).await), (Vec::new(), Vec::new()));
    let rows = webhooks::settled(&desk, &everything, 1).await;
    assert_eq!(rows.len(), 1);
    webhooks::settled(&desk, &wanting[0], 1).await;
    assert_eq!(list(&desk, &format!("{}/deliveries", webhooks::at(&wanting[1]))).await, Vec::<Value>::new());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_empties_the_trash() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let from = format!("ada{n}@example.net");
        ids.push(arrive(&desk, mailbox, &mail().from(&from)).await.conversation);
    }
    for id in &ids[..2] {
        desk.http.delete(&path(*id)).await.expect(204);
    }
    let bulk = "/api/v1/conversations/bulk";
    let both = json!({"select": {"ids": ids}, "patch": {"purge": true, "status": "closed"}});
    let faulty = desk.http.post(bulk, &both).await;
    assert_eq!(faults(&faulty), [("/patch/purge".to_owned(), "ambiguous".to_owned())]);
    let none = json!({"select": {"ids": ids}, "patch": {"purge": false}});
    assert_eq!(faults(&desk.http.post(bulk, &none).await), [("/patch".to_owned(), "required".to_owned())]);
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "supervisor"});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json();
    let amy = desk.client_of_agent(number(&agent["id"])).await;
    let all =
        |dry_run: bool| json!({"select": {"q": "is:trash"}, "patch": {"purge": true}, "dry_run": dry_run});
    problem(&amy.post(bulk, &all(true)).await, 403, "insufficient_scope");

    let over = async |body: Value| {
        let job = desk.http.post(bulk, &body).await.expect(202).json();
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
        desk.until(|| async {
            let job = desk.http.get(&path).await.expect(200).json();
            (!job["finished_at"].is_null()).then_some(job)
        })
        .await
    };
    let noted = || count(&desk, "SELECT count(*) AS count FROM audit_log WHERE kind = 'conversation.purged'");
    let tried = over(all(true)).await;
    assert_eq!((&tried["changed"], noted()), (&json!(2), 0), "{tried}");
    assert_eq!(list(&desk, "/api/v1/conversations?q=is:trash").await.len(), 2);
    let done = over(all(false)).await;
    assert_eq!((&done["changed"], noted()), (&json!(2), 2), "{done}");
    let left: Vec<i64> = conversations(&desk).await.iter().map(|one| number(&one["id"])).collect();
    assert_eq!((left, count(&desk, "SELECT count(*) AS count FROM conversations")), (vec![ids[2]], 1));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_meanwhile_writes_before_or_finds_it_gone() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    for round in 0..8 {
        let question = mail().from("ada@example.net").subject(&format!("Round {round}"));
        let at = arrive(&desk, mailbox, &question).await.conversation;
        desk.http.delete(&path(at)).await.expect(204);
        let (restore, mark) = (format!("{}/restore", path(at)), format!("{}/tags", path(at)));
        let tag = json!({"add": ["hot"]});
        let answer =
            mail().from("ada@example.net").subject(&format!("Re: Round {round}")).in_reply_to(&question.id());
        let answer = answer.build();
        let (gone, back, read, _) = tokio::join!(
            purged(&desk.http, at),
            desk.http.post(&restore, &Value::Null),
            desk.http.post(&mark, &tag),
            push(&desk, mailbox, &answer),
        );
        match (gone.status, back.status) {
            (204, 404) | (409, 200) => {}
            both => panic!("{both:?} {} {}", gone.text(), back.text()),
        }
        assert!(read.status < 500, "{}", read.text());
        let left = desk.http.get(&path(at)).await.status;
        assert_eq!(left, if gone.status == 204 { 404 } else { 200 });
        desk.until(|| async { (conversations(&desk).await.len() > round).then_some(()) }).await;
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_numbered_anew_brings_nothing_back() {
    use support::dovecot::Dovecot;
    let dovecot = Dovecot::start();
    for n in 0..3 {
        let order = mail().from(&format!("c{n}@example.net")).subject(&format!("Order {n}"));
        dovecot.deliver("support", "INBOX", order.build());
    }
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, imap(&dovecot), json!({"type": "sink"})).await;
    assert_eq!(sync(&desk, mailbox).await["accepted"], 3);
    let all = conversations(&desk).await;
    purge(&desk.http, number(&all[1]["id"])).await;
    for _ in 0..2 {
        dovecot.lose_uidvalidity("support", "INBOX");
        let status = sync(&desk, mailbox).await;
        assert_eq!((&status["accepted"], &status["pending"]), (&json!(3), &json!(0)), "{status}");
        let left: Vec<Value> = conversations(&desk).await.iter().map(|one| one["subject"].clone()).collect();
        assert_eq!(left, [json!("Order 0"), json!("Order 2")]);
    }
    let held = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/reconcile"), &json!({})).await;
    assert_eq!(held.expect(200).json()["missing"], 0);
    desk.stop().await;
}

/// Whoever knows what our mails are called can send one that is called so, and it may be deleted for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_keeps_none_of_our_mail_away() {
    use support::dovecot::Dovecot;
    let dovecot = Dovecot::start();
    dovecot.make_folder("support", "Sent");
    let names: Vec<String> = (0..3).map(|n| format!("<agent{n}@example.org>")).collect();
    let more = format!("Message-ID: {}\r\nMessage-ID: {}\r\n", names[1], names[2]);
    let junk = mail().from("eve@evil.example").subject("Pills").message_id(&names[0]).build();
    dovecot.deliver("support", "INBOX", [more.as_bytes(), &junk[..]].concat());
    let desk = TestDesk::start().await;
    let source = with(imap(&dovecot), json!({"sent_folder": "Sent"}));
    let mailbox = add(&desk, source, json!({"type": "sink"})).await;
    sync(&desk, mailbox).await;
    purge(&desk.http, number(&conversations(&desk).await[0]["id"])).await;
    for (n, name) in names.iter().enumerate() {
        let ours = mail().from("support@example.org").to("ada@example.net").subject(&format!("Contract {n}"));
        dovecot.deliver("support", "Sent", ours.message_id(name).text("We confirm it.").build());
    }
    sync(&desk, mailbox).await;
    let left: Vec<Value> = conversations(&desk).await.iter().map(|one| one["subject"].clone()).collect();
    assert_eq!(left, [json!("Contract 0"), json!("Contract 1"), json!("Contract 2")]);
    // What we wrote ourselves and deleted stays away by its name, whatever a server made of it.
    purge(&desk.http, number(&conversations(&desk).await[0]["id"])).await;
    let again = mail().from("support@example.org").to("ada@example.net").subject("Contract 0");
    dovecot.deliver("support", "Sent", again.message_id(&names[0]).text("We confirm it. -- added").build());
    sync(&desk, mailbox).await;
    assert_eq!(conversations(&desk).await.len(), 2);
    desk.stop().await;
}
