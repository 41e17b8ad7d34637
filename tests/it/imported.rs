//! History by API: what a script brings from another desk is kept as it was there, and nothing follows from it.

use crate::mailing::*;
use crate::problems::problem;
use crate::webhooks::{allowing, at, make};
use postroom_core::access::Scope;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use support::desk::{BEGINNING, TestDesk};
use support::hooks::Hooks;
use support::http::{Answer, Http};
use support::mail::mail;
use support::smtp::SmtpSink;

const PATH: &str = "/api/v1/conversations";

fn lamp(mailbox: i64, more: Value) -> Value {
    let usual = json!({
        "imported": true, "mailbox_id": mailbox, "subject": "Broken lamp", "channel": "email",
        "customer": {"email": "ada@example.net", "name": "Ada"}, "created_at": "2016-03-01T09:00:00Z",
        "message": {"kind": "inbound", "text": "The chandelier does not shine."},
    });
    with(usual, more)
}

fn answer(more: Value) -> Value {
    let usual = json!({"imported": true, "kind": "reply", "text": "Here is another one.",
        "created_at": "2016-03-02T10:00:00Z"});
    with(usual, more)
}

async fn begin(desk: &TestDesk, body: &Value) -> Value {
    desk.http.post(PATH, body).await.expect(201).json()
}

async fn add(desk: &TestDesk, to: &Value, body: &Value) -> Value {
    desk.http.post(&format!("{PATH}/{}/messages", to["id"]), body).await.expect(201).json()
}

async fn put(http: &Http, name: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    let path = format!("{PATH}/by-external-id/old/{name}");
    http.send("PUT", &path, &headers, body.to_string().as_bytes()).await
}

async fn now(desk: &TestDesk, of: &Value) -> Value {
    conversation(desk, number(&of["id"])).await
}

fn time(text: &str) -> Value {
    json!(format!("{text}.000000Z"))
}

/// Rows of a table.
fn rows(desk: &TestDesk, table: &str) -> i64 {
    count(desk, &format!("SELECT count(*) AS count FROM {table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_is_as_it_was_and_nothing_follows_from_it() {
    let hooks = Hooks::start().await;
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), allowing).await;
    let mailbox = pushed(&desk, json!({})).await;
    let answers = format!("/api/v1/mailboxes/{mailbox}/auto-reply");
    desk.http.patch(&answers, &json!({"acknowledge": true})).await.expect(200);
    let hook = make(&desk, &hooks, json!({})).await;
    let amy = json!({"name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": mailbox, "level": "reply"}]});
    let amy = number(&desk.http.post("/api/v1/agents", &amy).await.expect(201).json()["id"]);
    let reader = desk.client_of_agent(amy).await;

    let body = lamp(
        mailbox,
        json!({"closed_at": "2016-03-05T08:00:00Z", "tags": ["lamps"], "assignee_id": amy, "priority": "high",
            "external_id": {"source": "old", "id": "1"}}),
    );
    let made = begin(&desk, &body).await;
    let reply = add(&desk, &made, &answer(json!({"author": {"agent_id": amy}}))).await;
    let note = json!({"kind": "note", "text": "She is patient.", "created_at": "2016-03-01T12:00:00Z",
        "author": {"name": "Old Joe"}});
    let note = add(&desk, &made, &answer(note)).await;
    let thanks = json!({"kind": "inbound", "text": "Thank you.", "created_at": "2016-03-03T00:00:00Z",
        "author": {"name": "Bob", "email": "bob@example.net"}});
    let thanks = add(&desk, &made, &answer(thanks)).await;

    let after = now(&desk, &made).await;
    assert_eq!(after["created_at"], time("2016-03-01T09:00:00"));
    assert_eq!(after["closed_at"], time("2016-03-05T08:00:00"));
    assert_eq!(after["last_message_at"], time("2016-03-03T00:00:00"));
    assert_eq!(after["last_message_id"], thanks["id"]);
    let state =
        json!([after["status"], after["waiting_on"], after["priority"], after["assignee_id"], after["tags"]]);
    assert_eq!(state, json!(["closed", null, "high", amy, ["lamps"]]));
    assert_eq!((&after["message_count"], &after["channel"]), (&json!(4), &json!("email")));

    // They stand by their dates, whatever order they came in.
    let ids = |list: &[Value]| -> Vec<i64> { list.iter().map(|one| number(&one["id"])).collect() };
    let id = number(&made["id"]);
    let stand = messages(&desk, id).await;
    let first = number(&stand[0]["id"]);
    let (reply_id, note_id, thanks_id) = (number(&reply["id"]), number(&note["id"]), number(&thanks["id"]));
    assert_eq!(ids(&stand), [first, note_id, reply_id, thanks_id]);
    let turned = list(&desk, &format!("{PATH}/{id}/messages?sort=-created_at&limit=100")).await;
    assert_eq!(ids(&turned), [thanks_id, reply_id, note_id, first]);
    let came = list(&desk, &format!("{PATH}/{id}/messages?sort=id&limit=100")).await;
    assert_eq!(ids(&came), [first, reply_id, note_id, thanks_id]);
    for message in &stand {
        assert_eq!(
            (&message["flags"], &message["delivery"]),
            (&json!(["imported"]), &Value::Null),
            "{message}"
        );
        let path = format!("/api/v1/messages/{}", message["id"]);
        problem(&desk.http.get(&format!("{path}/raw")).await, 404, "not_found");
        problem(&desk.http.get(&format!("{path}/delivery")).await, 404, "not_found");
        desk.http.get(&format!("{path}/html")).await.expect(200);
    }
    assert_eq!(
        (&stand[0]["created_at"], &stand[0]["received_at"]),
        (&time("2016-03-01T09:00:00"), &time("2016-03-01T09:00:00"))
    );
    let who = |one: &Value| {
        json!([one["author"]["type"], one["author"]["id"], one["author"]["name"], one["author"]["email"]])
    };
    assert_eq!(who(&stand[0]), json!(["customer", made["customer_id"], "Ada", "ada@example.net"]));
    assert_eq!(who(&stand[1]), json!(["agent", null, "Old Joe", null]));
    assert_eq!(who(&stand[2]), json!(["agent", amy, "Amy", null]));
    assert_eq!(
        (&stand[3]["author"]["name"], &stand[3]["author"]["email"]),
        (&json!("Bob"), &json!("bob@example.net"))
    );
    assert_ne!(stand[3]["author"]["id"], made["customer_id"]);
    assert_eq!(stand[2]["to"], json!([{"email": "ada@example.net", "name": "Ada"}]));

    // It is found, by its words and by its date, and unread to nobody.
    let found = list(&desk, &format!("{PATH}?q=chandelier")).await;
    assert_eq!(ids(&found), [id]);
    assert_eq!(ids(&list(&desk, &format!("{PATH}?q=another")).await), [id], "a reply is found as well");
    let live = arrive(&desk, mailbox, &mail().from("eve@example.net").subject("New")).await.conversation;
    assert_eq!(ids(&list(&desk, &format!("{PATH}?sort=-created_at")).await), [live, id]);
    assert_eq!(ids(&list(&desk, &format!("{PATH}?created_before=2017-01-01T00:00:00Z")).await), [id]);
    let recent = lamp(mailbox, json!({"created_at": BEGINNING, "status": "open"}));
    let recent = begin(&desk, &recent).await;
    let unread = reader.get(&format!("{PATH}?unread=true")).await.expect(200).json();
    assert_eq!(ids(unread["data"].as_array().expect("a list")), [live]);
    let allowed = format!("{PATH}/{id}?include=capabilities");
    let allowed = desk.http.get(&allowed).await.expect(200).json();
    assert_eq!(allowed["included"]["capabilities"][0]["conversation_id"], json!(id));

    // Nothing of it leaves, is answered or told.
    assert_eq!(
        rows(&desk, "outbox"),
        count(
            &desk,
            "SELECT count(*) AS count FROM outbox o JOIN messages m ON m.id = o.message_id WHERE m.kind = 'auto_reply'"
        )
    );
    let wanted = format!(
        "SELECT count(*) AS count FROM wanted_answers w JOIN messages m ON m.id = w.message_id \
        WHERE m.conversation_id IN ({id}, {})",
        recent["id"]
    );
    assert_eq!(count(&desk, &wanted), 0);
    let of =
        |id: &Value| format!("SELECT count(*) AS count FROM webhook_deliveries WHERE conversation_id = {id}");
    let live_told = of(&json!(live));
    desk.until(|| async { (count(&desk, &live_told) > 0).then_some(()) }).await;
    assert_eq!((count(&desk, &of(&made["id"])), count(&desk, &of(&recent["id"]))), (0, 0));
    let told = list(&desk, &format!("{}/deliveries?limit=100", at(&hook))).await;
    for one in &told {
        assert_ne!(one["event_type"], "tag.created", "a tag that history brought is no news: {one}");
    }

    // The log has it all, in its own time.
    let log = list(&desk, &format!("{PATH}/{id}/activity?limit=100")).await;
    let kinds: Vec<&str> = log.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds[0], "conversation.created");
    for kind in ["message.received", "message.sent", "message.note_added"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for event in &log {
        assert_eq!(
            (&event["data"]["imported"], &event["timestamp"]),
            (&json!(true), &json!(BEGINNING)),
            "{event}"
        );
    }
    let export = list(&desk, "/api/v1/export/messages?limit=100").await;
    assert!(export.iter().any(|one| one["id"] == note["id"] && one["created_at"] == note["created_at"]));
    desk.stop().await;
}

#[tokio::test]
async fn open_history_tells_whose_turn_it_is_by_its_dates() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let made = begin(&desk, &lamp(mailbox, json!({"status": "open"}))).await;
    let turn =
        |one: &Value| json!([one["status"], one["waiting_on"], one["waiting_since"], one["last_message_at"]]);
    let (first, second) = (time("2016-03-01T09:00:00"), time("2016-03-02T10:00:00"));
    assert_eq!(turn(&made), json!(["open", "us", first, first]));
    add(&desk, &made, &answer(json!({}))).await;
    assert_eq!(turn(&now(&desk, &made).await), json!(["open", "customer", second, second]));
    // What is older changes nothing of that.
    let before = json!({"kind": "inbound", "text": "Hello?", "created_at": "2016-03-02T09:00:00Z"});
    add(&desk, &made, &answer(before)).await;
    assert_eq!(turn(&now(&desk, &made).await), json!(["open", "customer", second, second]));
    let (later, last) = (time("2016-03-04T09:00:00"), time("2016-03-06T09:00:00"));
    for at in [&last, &later] {
        add(&desk, &made, &answer(json!({"kind": "inbound", "text": "And the bulb?", "created_at": at})))
            .await;
    }
    assert_eq!(turn(&now(&desk, &made).await), json!(["open", "us", later, last]));

    // Closed history stays closed, and was so when its last message came; an explicit date counts where it is later.
    let closed = begin(&desk, &lamp(mailbox, json!({"subject": "Done"}))).await;
    assert_eq!((&closed["status"], &closed["closed_at"]), (&json!("closed"), &first));
    add(&desk, &closed, &answer(json!({"kind": "inbound", "text": "Thanks"}))).await;
    let closed = now(&desk, &closed).await;
    assert_eq!((&closed["status"], &closed["closed_at"]), (&json!("closed"), &second));

    // What came here since stays the newest, and history moves nothing.
    let live = arrive_at(&desk, &made).await;
    add(&desk, &made, &answer(json!({"text": "By the way.", "created_at": BEGINNING}))).await;
    let after = now(&desk, &made).await;
    assert_eq!(after["last_message_id"], live["id"]);
    assert_eq!((&after["waiting_on"], &after["message_count"]), (&json!("us"), &json!(7)));
    desk.stop().await;
}

/// Something that a customer said just now.
async fn arrive_at(desk: &TestDesk, to: &Value) -> Value {
    add(desk, to, &json!({"kind": "inbound", "text": "I still wait."})).await
}

#[tokio::test]
async fn a_script_that_broke_off_begins_anew_and_doubles_nothing() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let body = lamp(mailbox, json!({}));
    let made = put(&desk.http, "1", &body).await.expect(201).json();
    for _ in 0..2 {
        let again = put(&desk.http, "1", &body).await.expect(200).json();
        assert_eq!(again, made, "it stays as it is");
    }
    let path = format!("{PATH}/{}/messages", made["id"]);
    let named = answer(json!({"message_id": "<lamp-2@example.org>"}));
    let note = answer(json!({"kind": "note", "text": "Calm."}));
    for one in [&named, &note] {
        let first = desk.http.post(&path, one).await.expect(201).json();
        assert_eq!(desk.http.post(&path, one).await.expect(200).json(), first);
    }
    // Another date or text is another message; so is another Message-ID.
    for other in [
        with(note.clone(), json!({"created_at": "2016-03-02T10:00:01Z"})),
        with(note, json!({"text": "Calmer."})),
        with(named.clone(), json!({"message_id": "<lamp-3@example.org>"})),
    ] {
        desk.http.post(&path, &other).await.expect(201);
    }
    // One that has a Message-ID is no other one that has none, however alike they are.
    let plain = answer(json!({}));
    let first = desk.http.post(&path, &plain).await.expect(201).json();
    for _ in 0..2 {
        assert_eq!(desk.http.post(&path, &plain).await.expect(200).json(), first);
    }
    let before = now(&desk, &made).await;
    assert_eq!(before["message_count"], 7);

    // What an agent has done since counts for more than the script.
    let at = format!("{PATH}/{}", made["id"]);
    let worked =
        desk.http.patch(&at, &json!({"status": "open", "subject": "Lamps"})).await.expect(200).json();
    assert_eq!(put(&desk.http, "1", &body).await.expect(200).json(), worked);
    // By its name alone it is refused, and said where it is.
    let taken = with(body.clone(), json!({"external_id": {"source": "old", "id": "1"}}));
    assert_eq!(
        problem(&desk.http.post(PATH, &taken).await, 409, "already_exists")["existing_id"],
        made["id"]
    );
    // A Message-ID is one message's.
    let other = begin(&desk, &lamp(mailbox, json!({"subject": "Other"}))).await;
    let elsewhere = desk.http.post(&format!("{PATH}/{}/messages", other["id"]), &named).await;
    problem(&elsewhere, 409, "already_exists");
    // Many at once, each by itself.
    let item = |name: &str, date: &str| {
        lamp(mailbox, json!({"external_id": {"source": "old", "id": name}, "created_at": date}))
    };
    let many = json!({"conversations": [item("7", "2011-01-01T00:00:00Z"), item("1", "2011-01-01T00:00:00Z"),
        item("8", "2999-01-01T00:00:00Z")]});
    let done = desk.http.post(&format!("{PATH}/batch"), &many).await.expect(200).json();
    let statuses: Vec<&Value> =
        done["results"].as_array().expect("a list").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [201, 409, 422]);
    assert_eq!(rows(&desk, "outbox"), 0);
    desk.stop().await;
}

#[tokio::test]
async fn what_history_can_not_be_is_refused_and_changes_nothing() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let made = begin(&desk, &lamp(mailbox, json!({}))).await;
    let path = format!("{PATH}/{}/messages", made["id"]);
    let tables = ["conversations", "messages", "customers", "events", "rfc_ids"];
    let all = |desk: &TestDesk| tables.map(|table| rows(desk, table));
    let plain = [Scope::ConversationsWrite, Scope::MessagesSend];
    let plain = desk.client(&plain, &[]).await;
    let alone = desk.client(&[Scope::ConversationsImport, Scope::ConversationsRead], &[]).await;
    let before = all(&desk);
    for (at, body) in [(PATH, lamp(mailbox, json!({}))), (&path, answer(json!({})))] {
        let told = problem(&plain.post(at, &body).await, 403, "insufficient_scope");
        assert_eq!(told["required_scope"], "conversations:import");
    }
    let told = problem(&put(&plain, "1", &lamp(mailbox, json!({}))).await, 403, "insufficient_scope");
    assert_eq!(told["required_scope"], "conversations:import");
    let told = problem(&alone.post(&path, &answer(json!({}))).await, 403, "insufficient_scope");
    assert_eq!(told["required_scope"], "conversations:write");

    let begins = [
        (json!({"imported": false}), "/created_at", "not_allowed"),
        (
            json!({"imported": false, "created_at": null, "closed_at": "2016-01-01T00:00:00Z"}),
            "/closed_at",
            "not_allowed",
        ),
        (json!({"created_at": null}), "/created_at", "required"),
        (json!({"created_at": "2999-01-01T00:00:00Z"}), "/created_at", "future"),
        (json!({"created_at": "1969-12-31T23:59:59Z"}), "/created_at", "too_old"),
        (json!({"closed_at": "2016-02-01T09:00:00Z"}), "/closed_at", "too_early"),
        (json!({"closed_at": "2999-02-01T09:00:00Z"}), "/closed_at", "future"),
        (json!({"closed_at": "2016-04-01T09:00:00Z", "status": "open"}), "/closed_at", "not_allowed"),
        (json!({"status": "snoozed"}), "/status", "not_settable"),
        (
            json!({"imported": false, "created_at": null, "message": {"kind": "note", "text": "x", "imported": true,
                "created_at": "2016-01-01T00:00:00Z"}}),
            "/message/imported",
            "not_allowed",
        ),
        (
            json!({"message": {"kind": "note", "text": "x", "created_at": "2999-01-01T00:00:00Z"}}),
            "/message/created_at",
            "future",
        ),
    ];
    for (more, pointer, code) in begins {
        let told =
            problem(&desk.http.post(PATH, &lamp(mailbox, more.clone())).await, 422, "validation_failed");
        let first = (&told["errors"][0]["pointer"], &told["errors"][0]["code"]);
        assert_eq!(first, (&json!(pointer), &json!(code)), "{more}");
    }
    let adds = [
        (json!({"imported": false}), "/created_at", "not_allowed"),
        (json!({"imported": false, "created_at": null, "author": {"name": "x"}}), "/author", "not_allowed"),
        (json!({"imported": false, "created_at": null, "message_id": "<a@b>"}), "/message_id", "not_allowed"),
        (json!({"created_at": null}), "/created_at", "required"),
        (json!({"created_at": "2999-01-01T00:00:00Z"}), "/created_at", "future"),
        (json!({"created_at": "1969-12-31T23:59:59Z"}), "/created_at", "too_old"),
        (json!({"kind": "forward", "to": [{"email": "x@example.net"}]}), "/kind", "not_allowed"),
        (json!({"draft": true}), "/draft", "not_allowed"),
        (json!({"send_at": "2999-01-01T00:00:00Z"}), "/send_at", "not_allowed"),
        (json!({"undo_seconds": 5}), "/undo_seconds", "not_allowed"),
        (json!({"quote": true}), "/quote", "not_allowed"),
        (json!({"text": " "}), "/text", "required"),
        (json!({"author": {}}), "/author", "required"),
        (json!({"author": {"agent_id": 1, "name": "x"}}), "/author", "ambiguous"),
        (json!({"author": {"agent_id": 999}}), "/author/agent_id", "not_found"),
        (json!({"author": {"email": "no address"}}), "/author/email", "invalid_email"),
        (json!({"author": {"name": "a\nb"}}), "/author/name", "line_break"),
        (json!({"kind": "inbound", "author": {"agent_id": 1}}), "/author/agent_id", "not_allowed"),
        (json!({"message_id": "<>"}), "/message_id", "invalid"),
        (json!({"kind": "note", "message_id": "<a@b>"}), "/message_id", "not_allowed"),
    ];
    for (more, pointer, code) in adds {
        let told = problem(&desk.http.post(&path, &answer(more.clone())).await, 422, "validation_failed");
        let first = (&told["errors"][0]["pointer"], &told["errors"][0]["code"]);
        assert_eq!(first, (&json!(pointer), &json!(code)), "{more}");
    }
    let preview = desk.http.post(&format!("{path}/preview"), &answer(json!({}))).await;
    assert_eq!(problem(&preview, 422, "validation_failed")["errors"][0]["pointer"], "/imported");
    desk.http.post(&path, &answer(json!({"author": {"nme": "x"}}))).await.expect(422);
    assert_eq!(all(&desk), before);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_on_where_history_ended() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let recent = json!({"created_at": "2026-11-20T09:00:00Z",
        "message": {"kind": "inbound", "text": "It does not shine.", "message_id": "<lamp-1@example.net>"}});
    let made = begin(&desk, &lamp(mailbox, recent)).await;
    let id = number(&made["id"]);
    let sent = json!({"created_at": "2026-11-20T10:00:00Z", "message_id": "lamp-2@old.example.org"});
    let sent = add(&desk, &made, &answer(sent)).await;
    assert_eq!(sent["internet_message_id"], "<lamp-2@old.example.org>");

    // The customer's answer to what the old desk wrote comes here, and opens it again.
    let ada = mail()
        .from("Ada <ada@example.net>")
        .subject("Re: Broken lamp")
        .in_reply_to("<lamp-2@old.example.org>");
    let back = arrive(&desk, mailbox, &ada).await;
    assert_eq!(back.conversation, id);
    let after = conversation(&desk, id).await;
    assert_eq!((&after["status"], &after["last_message_id"]), (&json!("open"), &json!(back.message)));
    // A stranger who names it does not come in by that.
    let eve = mail()
        .from("Eve <eve@evil.example>")
        .subject("Re: Broken lamp")
        .in_reply_to("<lamp-2@old.example.org>");
    let stranger = arrive(&desk, mailbox, &eve).await;
    assert_ne!(stranger.conversation, id);

    // What is written here names what was written there.
    let quiet = json!({"subject": "Late order", "created_at": "2026-11-20T09:00:00Z", "status": "open",
        "message": {"kind": "inbound", "text": "Where is it?", "message_id": "<late-1@example.net>"}});
    let late = number(&begin(&desk, &lamp(mailbox, quiet)).await["id"]);
    reply(&desk, late, "It left today.").await;
    let raw = String::from_utf8(sink.next().await.raw).expect("text");
    let head = raw.split("\r\n\r\n").next().expect("a head").replace("\r\n ", " ").replace("\r\n\t", " ");
    let line = |name: &str| head.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("In-Reply-To:").contains("<late-1@example.net>"), "{head}");
    assert!(line("References:").contains("<late-1@example.net>"), "{head}");
    assert!(line("To:").contains("ada@example.net"), "{head}");

    // A conversation that ended years ago is followed by another.
    let old = json!({"subject": "Ancient", "message": {"kind": "inbound", "text": "?", "message_id": "<old-1@example.net>"}});
    let old = number(&begin(&desk, &lamp(mailbox, old)).await["id"]);
    let again =
        mail().from("Ada <ada@example.net>").subject("Re: Ancient").in_reply_to("<old-1@example.net>");
    let again = arrive(&desk, mailbox, &again).await;
    assert_ne!(again.conversation, old);
    let follows = conversation(&desk, again.conversation).await;
    assert_eq!(follows["links"], json!([{"conversation_id": old, "reason": "follow_up"}]));
    assert_eq!(conversation(&desk, old).await["status"], "closed");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_bring_one_message_id_at_once_one_is_refused() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let one = begin(&desk, &lamp(mailbox, json!({}))).await;
    let other = begin(&desk, &lamp(mailbox, json!({"subject": "Other"}))).await;
    for round in 0..20 {
        let named = answer(json!({"message_id": format!("<lamp-{round}@example.org>")}));
        let [one, other] = [&one, &other].map(|to| format!("{PATH}/{}/messages", to["id"]));
        let (one, other) = tokio::join!(desk.http.post(&one, &named), desk.http.post(&other, &named));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", one.text(), other.text());
    }
    desk.stop().await;
}
