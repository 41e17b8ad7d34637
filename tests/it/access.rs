//! Who may see and do what: what a grant does not open isn't there, in any list, count, link or
//! event; and a token never does more than its maker.

use crate::problems::{any_problem, faults, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

/// Stands in everything of the mailbox that must not be seen.
const CANARY: &str = "canary-7f3a";

/// Two mailboxes of one group, each with a conversation that has an HTML mail, a file and a reply.
struct TwoMailboxes {
    desk: TestDesk,
    ours: Place,
    theirs: Place,
}

/// The numbers of one mailbox and what is in it.
#[derive(Debug, Clone)]
struct Place {
    mailbox: i64,
    conversation: i64,
    message: i64,
    customer: i64,
    attachment: String,
}

impl Place {
    /// Everything that can be read of it.
    fn paths(&self) -> Vec<String> {
        let Self { mailbox, conversation, message, customer, attachment } = self;
        [
            format!("mailboxes/{mailbox}"),
            format!("mailboxes/{mailbox}/status"),
            format!("conversations/{conversation}"),
            format!("conversations/{conversation}/messages"),
            format!("conversations/{conversation}/activity"),
            format!("messages/{message}"),
            format!("messages/{message}/raw"),
            format!("messages/{message}/html"),
            format!("messages/{message}/threading"),
            format!("attachments/{attachment}"),
            format!("attachments/{attachment}/content"),
            format!("customers/{customer}"),
        ]
        .map(|path| format!("/api/v1/{path}"))
        .to_vec()
    }

    fn conversation(&self) -> String {
        format!("/api/v1/conversations/{}", self.conversation)
    }
}

async fn two_mailboxes() -> TwoMailboxes {
    let desk = TestDesk::start_fixed().await;
    let mut places = Vec::new();
    for (name, word) in [("Ours", "plain"), ("Theirs", CANARY)] {
        let body = json!({"name": name, "address": format!("{}@example.org", name.to_lowercase()), "group": "front",
            "source": {"type": "push"}, "delivery": {"type": "sink"}});
        let mailbox = desk.http.post("/api/v1/mailboxes", &body).await.expect(201).json()["id"]
            .as_i64()
            .expect("a number");
        let raw = mail()
            .from(&format!("{word} <{word}@customer.example>"))
            .to(&format!("{}@example.org", name.to_lowercase()))
            .subject(&format!("About {word}"))
            .message_id(&format!("<{word}@customer.example>"))
            .text(&format!("The text of {word}."))
            .html(&format!("<p>The page of {word}.</p>"))
            .attachment(&format!("{word}.txt"), "text/plain", format!("The file of {word}.").as_bytes());
        let taken = desk.receive(mailbox, &raw).await;
        let (conversation, message) = (
            taken["conversation_id"].as_i64().expect("a number"),
            taken["message_id"].as_i64().expect("a number"),
        );
        let note = json!({"kind": "note", "text": format!("A note on {word}.")});
        let path = format!("/api/v1/conversations/{conversation}");
        desk.http.post(&format!("{path}/messages"), &note).await.expect(201);
        let customer = desk.http.get(&path).await.json()["customer_id"].as_i64().expect("a number");
        let view = desk.http.get(&format!("/api/v1/messages/{message}")).await.expect(200).json();
        let attachment = view["attachments"][0]["id"].as_str().expect("an id").to_owned();
        places.push(Place { mailbox, conversation, message, customer, attachment });
    }
    let theirs = places.pop().expect("two were made");
    TwoMailboxes { desk, ours: places.pop().expect("two were made"), theirs }
}

impl TwoMailboxes {
    /// An agent with these grants. Returns the number and a client.
    async fn agent(&self, name: &str, grants: Value) -> (i64, Http) {
        let body =
            json!({"name": name, "email": format!("{name}@example.org"), "role": "agent", "grants": grants});
        let made = self.desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        let id = made["id"].as_i64().expect("a number");
        (id, self.desk.client_of_agent(id).await)
    }

    fn grant(place: &Place, level: &str) -> Value {
        json!({"mailbox_id": place.mailbox, "level": level})
    }

    /// Somebody sees all of one place, and nothing of the other anywhere.
    async fn sees_only_ours(&self, http: &Http) {
        for path in self.ours.paths() {
            http.get(&path).await.expect(200);
        }
        self.sees_nothing_of_theirs(http).await;
        let list = http.get("/api/v1/conversations?count=true").await.expect(200).json();
        assert_eq!(ids(&list), [self.ours.conversation]);
        assert_eq!(list["page"]["total"], 1);
        let customers = http.get("/api/v1/customers?count=true").await.expect(200).json();
        assert_eq!(ids(&customers), [self.ours.customer]);
        assert_ne!(customers["page"]["total"], 2, "a count tells of what is not shown");
        assert_eq!(ids(&http.get("/api/v1/mailboxes?count=true").await.json()), [self.ours.mailbox]);
    }

    async fn sees_nothing_of_theirs(&self, http: &Http) {
        for path in self.theirs.paths() {
            problem(&http.get(&path).await, 404, "not_found");
        }
        let Place { mailbox, conversation, customer, .. } = &self.theirs;
        let path = self.theirs.conversation();
        for (method, path, body) in [
            ("PATCH", path.clone(), json!({"status": "closed"})),
            ("POST", format!("{path}/tags"), json!({"add": ["mine"]})),
            ("POST", format!("{path}/messages"), json!({"kind": "note", "text": "x"})),
            ("POST", format!("{path}/messages"), json!({"kind": "reply", "text": "x"})),
            ("PATCH", format!("/api/v1/customers/{customer}"), json!({"name": "x"})),
            ("POST", format!("/api/v1/mailboxes/{mailbox}/sync"), json!({})),
        ] {
            let headers = [("Content-Type", "application/json")];
            let answer = http.send(method, &path, &headers, body.to_string().as_bytes()).await;
            problem(&answer, 404, "not_found");
        }
        let headers = [("Content-Type", "message/rfc822")];
        let push = format!("/api/v1/mailboxes/{mailbox}/inbound");
        problem(&http.send("POST", &push, &headers, &mail().build()).await, 404, "not_found");
        let begin = json!({"mailbox_id": mailbox, "subject": "x", "customer": {"email": "new@customer.example"},
            "message": {"kind": "note", "text": "x"}});
        let refused = http.post("/api/v1/conversations", &begin).await;
        assert!(matches!(refused.status, 404 | 422), "{}", refused.text());
        for list in [
            "conversations?limit=100".to_owned(),
            format!("conversations?mailbox_id={mailbox}"),
            format!("conversations?customer_id={customer}"),
            format!("conversations?tag={CANARY}"),
            "conversations?sort=-updated_at&count=true".to_owned(),
            "customers?limit=100".to_owned(),
            format!("customers?q={CANARY}"),
            format!("customers?email={CANARY}@customer.example"),
            "mailboxes".to_owned(),
            "events?after=0&limit=100".to_owned(),
            "agents".to_owned(),
            "me".to_owned(),
        ] {
            let answer = http.get(&format!("/api/v1/{list}")).await.expect(200);
            assert!(!answer.text().contains(CANARY), "{list}: {}", answer.text());
            for event in answer.json()["data"].as_array().into_iter().flatten() {
                assert_ne!(event["conversation_id"], json!(conversation), "{list}: {event}");
                assert_ne!(event["mailbox_id"], json!(mailbox), "{list}: {event}");
            }
        }
    }
}

fn ids(list: &Value) -> Vec<i64> {
    list["data"].as_array().expect("a list").iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn a_grant_opens_its_mailbox_and_nothing_else() {
    let all = two_mailboxes().await;
    let (_, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "reply")])).await;
    all.sees_only_ours(&amy).await;
    // What she may do there.
    amy.patch(&all.ours.conversation(), &json!({"status": "pending"})).await.expect(200);
    amy.post(&format!("{}/messages", all.ours.conversation()), &json!({"kind": "reply", "text": "Soon."}))
        .await
        .expect(201);
    // Whose an address is, nobody tells her.
    let taken = json!({"addresses": [{"email": format!("{CANARY}@customer.example")}]});
    let refused = amy.post("/api/v1/customers", &taken).await;
    assert_eq!(problem(&refused, 409, "already_exists").get("existing_id"), None);
    let known = json!({"mailbox_id": all.ours.mailbox, "subject": "x", "customer_id": all.theirs.customer,
        "message": {"kind": "note", "text": "x"}});
    let refused = amy.post("/api/v1/conversations", &known).await;
    assert_eq!(faults(&refused)[0].1, "not_found");
    // Nobody's agent, without any grant, sees nothing at all.
    let (_, bo) = all.agent("bo", json!([])).await;
    all.sees_nothing_of_theirs(&bo).await;
    assert_eq!(ids(&bo.get("/api/v1/conversations?count=true").await.json()), Vec::<i64>::new());
    for path in all.ours.paths() {
        problem(&bo.get(&path).await, 404, "not_found");
    }
    // An owner sees everything, grants or none.
    let body = json!({"name": "Olga", "email": "olga@example.org", "role": "owner"});
    let owner = all.desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"].as_i64().unwrap();
    let owner = all.desk.client_of_agent(owner).await;
    for path in all.ours.paths().iter().chain(&all.theirs.paths()) {
        owner.get(path).await.expect(200);
    }
    all.desk.stop().await;
}

#[tokio::test]
async fn a_link_into_another_mailbox_is_shown_to_those_who_see_both() {
    let all = two_mailboxes().await;
    // A stranger's mail to us names one of theirs: it is linked, and stands alone.
    let stranger = mail()
        .from("Eve <eve@stranger.example>")
        .to("ours@example.org")
        .subject("Re: About it")
        .in_reply_to(&format!("<{CANARY}@customer.example>"));
    let taken = all.desk.receive(all.ours.mailbox, &stranger).await;
    let path = format!("/api/v1/conversations/{}", taken["conversation_id"]);
    let seen = all.desk.http.get(&path).await.expect(200).json();
    assert_eq!(seen["links"][0]["conversation_id"], all.theirs.conversation, "{seen}");
    let (_, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "read")])).await;
    let seen = amy.get(&path).await.expect(200).json();
    assert_eq!(seen["links"], json!([]), "{seen}");
    let both = json!([TwoMailboxes::grant(&all.ours, "read"), TwoMailboxes::grant(&all.theirs, "read")]);
    let (_, bo) = all.agent("bo", both).await;
    assert_eq!(
        bo.get(&path).await.expect(200).json()["links"][0]["conversation_id"],
        all.theirs.conversation
    );
    all.desk.stop().await;
}

#[tokio::test]
async fn assigned_only_opens_what_is_assigned() {
    let all = two_mailboxes().await;
    let mut grant = TwoMailboxes::grant(&all.ours, "reply");
    grant["assigned_only"] = json!(true);
    let (id, amy) = all.agent("amy", json!([grant])).await;
    let path = all.ours.conversation();
    problem(&amy.get(&path).await, 404, "not_found");
    assert_eq!(ids(&amy.get("/api/v1/conversations").await.json()), Vec::<i64>::new());
    // That there is such a mailbox she may know; of what is in it not a word before it is hers.
    let feed = amy.get("/api/v1/events?after=0").await.expect(200).json();
    let of_mailbox = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("mailbox."));
    let others: Vec<&Value> =
        feed["data"].as_array().unwrap().iter().filter(|event| !of_mailbox(event)).collect();
    assert!(others.is_empty(), "{others:?}");
    all.desk.http.patch(&path, &json!({"assignee_id": id})).await.expect(200);
    all.sees_only_ours(&amy).await;
    assert_eq!(ids(&amy.get("/api/v1/conversations?assignee_id=me").await.json()), [all.ours.conversation]);
    let (other, _) = all.agent("bo", json!([])).await;
    all.desk.http.patch(&path, &json!({"assignee_id": other})).await.expect(200);
    problem(&amy.get(&path).await, 404, "not_found");
    problem(&amy.get(&format!("/api/v1/messages/{}", all.ours.message)).await, 404, "not_found");
    problem(&amy.get(&format!("/api/v1/customers/{}", all.ours.customer)).await, 404, "not_found");
    all.desk.stop().await;
}

#[tokio::test]
async fn a_category_opens_its_own_conversations() {
    let all = two_mailboxes().await;
    let category =
        all.desk.http.post("/api/v1/categories", &json!({"name": "Payroll"})).await.expect(201).json();
    let mut grant = TwoMailboxes::grant(&all.ours, "reply");
    grant["category_id"] = category["id"].clone();
    let (_, amy) = all.agent("amy", json!([grant])).await;
    let path = all.ours.conversation();
    problem(&amy.get(&path).await, 404, "not_found");
    all.desk.http.patch(&path, &json!({"category_id": category["id"]})).await.expect(200);
    all.sees_only_ours(&amy).await;
    // The same category elsewhere is not hers.
    all.desk
        .http
        .patch(&all.theirs.conversation(), &json!({"category_id": category["id"]}))
        .await
        .expect(200);
    all.sees_only_ours(&amy).await;
    all.desk.http.patch(&path, &json!({"category_id": null})).await.expect(200);
    problem(&amy.get(&path).await, 404, "not_found");
    all.desk.stop().await;
}

#[tokio::test]
async fn a_team_opens_its_mailboxes_to_its_members() {
    let all = two_mailboxes().await;
    let (id, amy) = all.agent("amy", json!([])).await;
    let body =
        json!({"name": "Front", "member_ids": [id], "grants": [TwoMailboxes::grant(&all.ours, "read")]});
    let team = all.desk.http.post("/api/v1/teams", &body).await.expect(201).json();
    let team = format!("/api/v1/teams/{}", team["id"]);
    all.sees_only_ours(&amy).await;
    let path = all.ours.conversation();
    problem(&amy.patch(&path, &json!({"status": "closed"})).await, 403, "forbidden");
    // The higher of the team's level and one's own.
    let own = json!({"grants": [TwoMailboxes::grant(&all.ours, "reply")]});
    all.desk.http.patch(&format!("/api/v1/agents/{id}"), &own).await.expect(200);
    amy.patch(&path, &json!({"status": "closed"})).await.expect(200);
    all.desk.http.patch(&format!("/api/v1/agents/{id}"), &json!({"grants": []})).await.expect(200);
    all.desk.http.patch(&team, &json!({"member_ids": []})).await.expect(200);
    problem(&amy.get(&path).await, 404, "not_found");
    all.desk.http.patch(&team, &json!({"member_ids": [id]})).await.expect(200);
    amy.get(&path).await.expect(200);
    all.desk.http.delete(&team).await.expect(204);
    problem(&amy.get(&path).await, 404, "not_found");
    all.desk.stop().await;
}

#[tokio::test]
async fn a_token_narrowed_to_a_mailbox_opens_no_more() {
    let all = two_mailboxes().await;
    let script = all.desk.client(Scope::ALL, &[all.ours.mailbox]).await;
    all.sees_only_ours(&script).await;
    // What belongs to the whole desk is not for it.
    for (method, path) in [
        ("GET", "/api/v1/tokens".to_owned()),
        ("DELETE", "/api/v1/tokens/tok_0123456789abcdef0123456789abcdef".to_owned()),
    ] {
        problem(&script.send(method, &path, &[], b"").await, 403, "forbidden");
    }
    for (path, body) in [
        (
            "mailboxes",
            json!({"name": "x", "address": "x@example.org", "source": {"type": "push"}, "delivery": {"type": "sink"}}),
        ),
        ("agents", json!({"name": "x", "email": "x@example.org", "role": "owner"})),
        ("teams", json!({"name": "x"})),
        ("categories", json!({"name": "x"})),
    ] {
        problem(&script.post(&format!("/api/v1/{path}"), &body).await, 403, "forbidden");
    }
    // An agent with both mailboxes, by a token for one.
    let both = json!([TwoMailboxes::grant(&all.ours, "reply"), TwoMailboxes::grant(&all.theirs, "reply")]);
    let (id, amy) = all.agent("amy", both).await;
    amy.get(&all.theirs.conversation()).await.expect(200);
    let body = json!({"name": "phone", "agent_id": id, "mailbox_ids": [all.ours.mailbox],
        "scopes": ["conversations:write", "messages:send", "customers:write", "events:read"]});
    let made = all.desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    all.sees_only_ours(&Http::new(all.desk.address()).with_token(made["token"].as_str().unwrap())).await;
    // And an agent with the other one only, by a token for this one: nothing.
    let (id, _) = all.agent("bo", json!([TwoMailboxes::grant(&all.theirs, "reply")])).await;
    let mut body = body;
    body["agent_id"] = json!(id);
    let made = all.desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let none = Http::new(all.desk.address()).with_token(made["token"].as_str().unwrap());
    all.sees_nothing_of_theirs(&none).await;
    problem(&none.get(&all.ours.conversation()).await, 404, "not_found");
    all.desk.stop().await;
}

#[tokio::test]
async fn who_may_read_may_not_change() {
    let all = two_mailboxes().await;
    let (_, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "read")])).await;
    all.sees_only_ours(&amy).await;
    let path = all.ours.conversation();
    let before = all.desk.http.get(&path).await.expect(200);
    let begin = json!({"mailbox_id": all.ours.mailbox, "subject": "x", "customer": {"email": "new@customer.example"},
        "message": {"kind": "note", "text": "x"}});
    problem(&amy.patch(&path, &json!({"status": "closed"})).await, 403, "forbidden");
    problem(&amy.post(&format!("{path}/tags"), &json!({"add": ["x"]})).await, 403, "forbidden");
    for kind in ["note", "reply", "inbound"] {
        let message = json!({"kind": kind, "text": "x"});
        problem(&amy.post(&format!("{path}/messages"), &message).await, 403, "forbidden");
    }
    problem(&amy.post("/api/v1/conversations", &begin).await, 403, "forbidden");
    let headers = [("Content-Type", "message/rfc822")];
    let push = format!("/api/v1/mailboxes/{}/inbound", all.ours.mailbox);
    problem(&amy.send("POST", &push, &headers, &mail().subject("pushed").build()).await, 403, "forbidden");
    let after = all.desk.http.get(&path).await.expect(200);
    assert_eq!(after.json(), before.json());
    assert_eq!(all.desk.http.get("/api/v1/conversations?count=true").await.json()["page"]["total"], 2);
    all.desk.stop().await;
}

#[tokio::test]
async fn a_token_ends_with_its_agent_its_revocation_and_its_time() {
    let all = two_mailboxes().await;
    let (id, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "reply")])).await;
    let agent = format!("/api/v1/agents/{id}");
    amy.get("/api/v1/me").await.expect(200);
    all.desk.http.patch(&agent, &json!({"disabled": true})).await.expect(200);
    problem(&amy.get("/api/v1/me").await, 401, "unauthorized");
    problem(&amy.get(&all.ours.conversation()).await, 401, "unauthorized");
    all.desk.http.patch(&agent, &json!({"disabled": false})).await.expect(200);
    amy.get("/api/v1/me").await.expect(200);

    let body =
        json!({"name": "short", "scopes": ["conversations:read"], "expires_at": "2026-11-22T09:00:00Z"});
    let made = all.desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let short = Http::new(all.desk.address()).with_token(made["token"].as_str().unwrap());
    all.desk.desk().advance_clock(Duration::from_secs(3_599));
    short.get("/api/v1/me").await.expect(200);
    all.desk.desk().advance_clock(Duration::from_secs(1));
    let over = short.get("/api/v1/me").await;
    problem(&over, 401, "token_expired");
    assert!(over.header("www-authenticate").unwrap().contains("invalid_token"));

    let body = json!({"name": "revoked", "scopes": ["conversations:read"]});
    let made = all.desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let revoked = Http::new(all.desk.address()).with_token(made["token"].as_str().unwrap());
    revoked.get("/api/v1/me").await.expect(200);
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    all.desk.http.delete(&path).await.expect(204);
    problem(&revoked.get("/api/v1/me").await, 401, "unauthorized");
    // Its secret was shown once.
    let list = all.desk.http.get("/api/v1/tokens?limit=100").await.expect(200).text();
    assert!(!list.contains("pr_pat_"), "{list}");
    all.desk.stop().await;
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_and_nothing_is_done() {
    let all = two_mailboxes().await;
    let path = all.ours.conversation();
    let messages = format!("{path}/messages");
    let mailbox = format!("/api/v1/mailboxes/{}", all.ours.mailbox);
    let note = json!({"kind": "note", "text": "x"});
    let reply = json!({"kind": "reply", "text": "x"});
    let none = Value::Null;
    use Scope::{
        AdminRead, AdminWrite, ConversationsRead, ConversationsWrite, CustomersRead, CustomersWrite,
    };
    use Scope::{EventsRead, MessagesSend};
    let cases: Vec<(&[Scope], &str, &str, &Value, &str)> = vec![
        (&[CustomersRead], "GET", "/api/v1/conversations", &none, "conversations:read"),
        (&[CustomersRead], "GET", &path, &none, "conversations:read"),
        (&[CustomersRead, EventsRead], "GET", &messages, &none, "conversations:read"),
        (&[EventsRead], "GET", "/api/v1/agents", &none, "conversations:read"),
        (&[EventsRead], "GET", "/api/v1/tags", &none, "conversations:read"),
        (&[ConversationsRead], "PATCH", &path, &none, "conversations:write"),
        (&[ConversationsRead], "POST", &messages, &note, "notes:write"),
        (&[MessagesSend], "POST", &messages, &note, "notes:write"),
        (&[ConversationsWrite], "POST", &messages, &reply, "messages:send"),
        (&[ConversationsRead], "GET", "/api/v1/customers", &none, "customers:read"),
        (&[CustomersRead], "POST", "/api/v1/customers", &none, "customers:write"),
        (&[ConversationsWrite, CustomersWrite], "GET", "/api/v1/tokens", &none, "admin:read"),
        (&[AdminRead], "POST", "/api/v1/tokens", &none, "admin:write"),
        (&[AdminRead, ConversationsRead], "PATCH", &mailbox, &none, "admin:write"),
        (&[AdminRead, ConversationsRead], "DELETE", &mailbox, &none, "admin:write"),
        (&[ConversationsWrite, AdminRead], "POST", "/api/v1/agents", &none, "admin:write"),
        (&[ConversationsWrite, AdminWrite], "GET", "/api/v1/events", &none, "events:read"),
    ];
    let examples = all.desk.http.get("/openapi.json").await.expect(200).json();
    let before = all.desk.http.get(&path).await.expect(200).json();
    for (scopes, method, path, body, required) in cases {
        let http = all.desk.client(scopes, &[]).await;
        // A body that is as it must be, so that only the scope is missing.
        let body = if body.is_null() { example(&examples, method, path) } else { body.clone() };
        let headers = [("Content-Type", "application/json")];
        let answer = http.send(method, path, &headers, body.to_string().as_bytes()).await;
        let document = problem(&answer, 403, "insufficient_scope");
        assert_eq!(document["required_scope"], required, "{scopes:?} {method} {path}");
    }
    assert_eq!(all.desk.http.get(&path).await.expect(200).json(), before, "nothing was done");
    // A stronger scope brings the weaker one along.
    let writer = all.desk.client(&[ConversationsWrite], &[]).await;
    writer.get(&path).await.expect(200);
    let sender = all.desk.client(&[MessagesSend], &[]).await;
    sender.get(&path).await.expect(200);
    sender.post(&messages, &reply).await.expect(201);
    all.desk.stop().await;
}

/// The body that the document shows for an operation.
fn example(document: &Value, method: &str, path: &str) -> Value {
    let pattern: Vec<&str> =
        path.split('/').map(|part| if part.parse::<i64>().is_ok() { "{id}" } else { part }).collect();
    let operation = &document["paths"][pattern.join("/")][method.to_lowercase()];
    operation["requestBody"]["content"]["application/json"]["example"].clone()
}

#[tokio::test]
async fn a_grant_that_is_taken_away_hides_the_past() {
    let all = two_mailboxes().await;
    let (id, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "reply")])).await;
    let feed = amy.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    assert!(!feed["data"].as_array().unwrap().is_empty());
    let place = feed["page"]["next_after"].as_i64().unwrap();
    all.desk.http.patch(&format!("/api/v1/agents/{id}"), &json!({"grants": []})).await.expect(200);
    let feed = amy.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    assert_eq!(feed["data"], json!([]), "{feed}");
    assert!(feed["page"]["next_after"].as_i64().unwrap() >= place, "what was looked at need not be again");
    problem(&amy.get(&format!("{}/activity", all.ours.conversation())).await, 404, "not_found");
    // Back again, the past comes back.
    let grants = json!({"grants": [TwoMailboxes::grant(&all.ours, "reply")]});
    all.desk.http.patch(&format!("/api/v1/agents/{id}"), &grants).await.expect(200);
    let feed = amy.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    assert!(!feed["data"].as_array().unwrap().is_empty());
    all.desk.stop().await;
}

#[tokio::test]
async fn nobody_makes_a_token_that_may_more_than_they() {
    let all = two_mailboxes().await;
    let token = |scopes: &[&str], mailboxes: Value| json!({"name": "more", "scopes": scopes, "mailbox_ids": mailboxes});
    let weak = all.desk.client(&[Scope::AdminWrite, Scope::ConversationsRead], &[]).await;
    let refused =
        weak.post("/api/v1/tokens", &token(&["conversations:read", "customers:read"], Value::Null)).await;
    assert_eq!(faults(&refused), [("/scopes/1".to_owned(), "not_held".to_owned())]);
    let refused = weak.post("/api/v1/tokens", &token(&["conversations:write"], Value::Null)).await;
    assert_eq!(faults(&refused), [("/scopes/0".to_owned(), "not_held".to_owned())]);
    weak.post("/api/v1/tokens", &token(&["conversations:read", "admin:read"], Value::Null)).await.expect(201);

    let narrow = all.desk.client(Scope::ALL, &[all.ours.mailbox]).await;
    let refused = narrow.post("/api/v1/tokens", &token(&["conversations:read"], Value::Null)).await;
    assert_eq!(faults(&refused), [("/mailbox_ids".to_owned(), "required".to_owned())]);
    let wider = json!([all.ours.mailbox, all.theirs.mailbox]);
    let refused = narrow.post("/api/v1/tokens", &token(&["conversations:read"], wider)).await;
    assert_eq!(faults(&refused), [("/mailbox_ids/1".to_owned(), "not_found".to_owned())]);
    let made =
        narrow.post("/api/v1/tokens", &token(&["conversations:read"], json!([all.ours.mailbox]))).await;
    let made = Http::new(all.desk.address()).with_token(made.expect(201).json()["token"].as_str().unwrap());
    assert_eq!(ids(&made.get("/api/v1/conversations").await.json()), [all.ours.conversation]);

    // An agent's token sets nothing up, whatever scopes it was given.
    let (_, amy) = all.agent("amy", json!([TwoMailboxes::grant(&all.ours, "manage")])).await;
    let refused = amy.post("/api/v1/tokens", &token(&["conversations:read"], Value::Null)).await;
    assert_eq!(problem(&refused, 403, "insufficient_scope")["required_scope"], "admin:write");
    for wrong in [
        json!({"name": "x", "scopes": []}),
        json!({"name": "", "scopes": ["conversations:read"]}),
        json!({"name": "x", "scopes": ["everything"]}),
        json!({"name": "x", "scopes": ["conversations:read"], "mailbox_ids": []}),
        json!({"name": "x", "scopes": ["conversations:read"], "agent_id": 77}),
        json!({"name": "x", "scopes": ["conversations:read"], "expires_at": "2026-11-22T08:00:00Z"}),
    ] {
        assert_eq!(
            any_problem(&all.desk.http.post("/api/v1/tokens", &wrong).await)["status"],
            422,
            "{wrong}"
        );
    }
    all.desk.stop().await;
}
