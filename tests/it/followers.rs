//! Who follows conversations, and whom notes name.

use crate::mailing::*;
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

/// An agent who may answer in these mailboxes.
pub async fn agent(desk: &TestDesk, name: &str, email: &str, mailboxes: &[i64]) -> i64 {
    let grants: Vec<Value> = mailboxes.iter().map(|id| json!({"mailbox_id": id, "level": "reply"})).collect();
    let body = json!({"name": name, "email": email, "grants": grants});
    number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"])
}

/// A conversation of a customer of its own.
pub async fn begun(desk: &TestDesk, mailbox: i64, name: &str) -> i64 {
    let mail = mail().from(&format!("{name}@example.net")).message_id(&first_id(name));
    arrive(desk, mailbox, &mail).await.conversation
}

/// The Message-ID of the mail that began it.
pub fn first_id(name: &str) -> String {
    format!("<first.{name}@mail.example.net>")
}

async fn followers(http: &Http, conversation: i64) -> Vec<i64> {
    let path = format!("/api/v1/conversations/{conversation}/followers");
    let found = http.get(&path).await.expect(200).json();
    found["data"].as_array().expect("a list").iter().map(|one| number(&one["agent_id"])).collect()
}

fn path(conversation: i64, agent: i64) -> String {
    format!("/api/v1/conversations/{conversation}/followers/{agent}")
}

#[tokio::test]
async fn whoever_may_read_follows_and_others_are_asked_to() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let elsewhere = desk.mailbox("Other", "other@example.org").await;
    let at = begun(&desk, mailbox, "ada").await;
    let bea = agent(&desk, "Bea", "bea@example.org", &[mailbox]).await;
    let carl = agent(&desk, "Carl", "carl@example.org", &[elsewhere]).await;
    let own = desk.client_of_agent(bea).await;
    let first = own.send("PUT", &path(at, bea), &[], b"").await.expect(200).json();
    assert_eq!(first, json!({"agent_id": bea, "created_at": "2026-11-22T08:00:00.000000Z"}));
    desk.desk().advance_clock(days(1));
    assert_eq!(own.send("PUT", &path(at, bea), &[], b"").await.expect(200).json(), first, "once");
    assert_eq!(own.get(&path(at, bea)).await.expect(200).json(), first);
    problem(&own.get(&path(at, carl)).await, 404, "not_found");
    // Whoever can't see it can't be made to follow it, nor follow it.
    problem(&desk.http.send("PUT", &path(at, carl), &[], b"").await, 409, "state_conflict");
    let carls = desk.client_of_agent(carl).await;
    problem(&carls.send("PUT", &path(at, carl), &[], b"").await, 404, "not_found");
    problem(&desk.http.send("PUT", &path(at, 4711), &[], b"").await, 404, "not_found");
    // Somebody else's is changed by who may change the conversation.
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&reader.send("PUT", &path(at, bea), &[], b"").await, 403, "insufficient_scope");
    problem(&reader.delete(&path(at, bea)).await, 403, "insufficient_scope");
    assert_eq!(followers(&reader, at).await, [bea]);
    let found = async |http: &Http, q: &str| list_of(http, q).await;
    assert_eq!(found(&own, "follower:me").await, [at]);
    assert_eq!(found(&own, "-follower:me").await, [0; 0]);
    assert_eq!(found(&desk.http, &format!("follower:{bea},none")).await, [at]);
    let other = begun(&desk, mailbox, "eve").await;
    assert_eq!(found(&desk.http, "follower:none").await, [other]);
    desk.http.delete(&path(at, bea)).await.expect(204);
    desk.http.delete(&path(at, bea)).await.expect(204);
    assert_eq!(followers(&own, at).await, [0; 0]);
    // Who has stopped follows nothing new.
    desk.http.patch(&format!("/api/v1/agents/{bea}"), &json!({"disabled": true})).await.expect(200);
    problem(&desk.http.send("PUT", &path(at, bea), &[], b"").await, 409, "state_conflict");
    let told = list(&desk, "/api/v1/events?types=conversation.followed,conversation.unfollowed").await;
    let told: Vec<(&str, i64)> = told
        .iter()
        .map(|event| (event["type"].as_str().expect("a type"), number(&event["data"]["agent_id"])))
        .collect();
    assert_eq!(told, [("conversation.followed", bea), ("conversation.unfollowed", bea)]);
}

async fn list_of(http: &Http, q: &str) -> Vec<i64> {
    let q = q.replace(':', "%3A").replace(',', "%2C");
    let found = http.get(&format!("/api/v1/conversations?q={q}")).await.expect(200).json();
    found["data"].as_array().expect("a list").iter().map(|one| number(&one["id"])).collect()
}

#[tokio::test]
async fn a_conversation_has_a_hundred_followers_at_most() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let at = begun(&desk, mailbox, "ada").await;
    let last = agent(&desk, "Last", "last@example.org", &[mailbox]).await;
    let agents = "INSERT INTO agents (name, email, email_folded, role, bounce_notices, version, created_at, updated_at) \
                  SELECT 'a', 'a' || id, 'a' || id, role, bounce_notices, 1, 1, 1 FROM agents";
    for round in 0..7 {
        sql(desk.config(), &agents.replace("'a' ||", &format!("'a{round}.' ||")));
    }
    let rows = format!(
        "INSERT INTO followers (conversation_id, agent_id, created_at) \
         SELECT {at}, id, 1 FROM agents WHERE id <> {last} ORDER BY id LIMIT 99"
    );
    sql(desk.config(), &rows);
    desk.http.send("PUT", &path(at, last), &[], b"").await.expect(200);
    assert_eq!(followers(&desk.http, at).await.len(), 100);
    let more = agent(&desk, "More", "more@example.org", &[mailbox]).await;
    problem(&desk.http.send("PUT", &path(at, more), &[], b"").await, 409, "state_conflict");
    // A note that names one more stands all the same.
    let note = json!({"kind": "note", "text": "Look.", "mentions": [more]});
    assert_eq!(reply_with(&desk, at, note).await["mentions"], json!([more]));
    assert_eq!(followers(&desk.http, at).await.len(), 100);
}

#[tokio::test]
async fn followers_go_where_a_conversation_goes_and_come_back() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (from, into) = (begun(&desk, mailbox, "ada").await, begun(&desk, mailbox, "eve").await);
    let mut agents = Vec::new();
    for name in ["bea", "carl", "dora"] {
        agents.push(agent(&desk, name, &format!("{name}@example.org"), &[mailbox]).await);
    }
    let [bea, carl, dora] = agents[..] else { panic!("three") };
    for (conversation, agent) in [(from, bea), (from, carl), (into, carl), (into, dora)] {
        desk.http.send("PUT", &path(conversation, agent), &[], b"").await.expect(200);
    }
    let merge = format!("/api/v1/conversations/{from}/merge");
    let merged = desk.http.post(&merge, &json!({"into": into})).await.expect(201).json();
    assert_eq!(followers(&desk.http, into).await, [bea, carl, dora]);
    let undo = format!("/api/v1/transfers/{}/undo", merged["id"]);
    desk.http.post(&undo, &Value::Null).await.expect(200);
    assert_eq!(followers(&desk.http, into).await, [carl, dora], "who came along goes again, and nobody else");
    assert_eq!(followers(&desk.http, from).await, [bea, carl]);
}

#[tokio::test]
async fn a_note_names_agents_by_number_or_in_its_text() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let elsewhere = desk.mailbox("Other", "other@example.org").await;
    let at = begun(&desk, mailbox, "ada").await;
    let bea = agent(&desk, "Bea Bell", "b.bell@example.org", &[mailbox]).await;
    let carl = agent(&desk, "Carl Carlsen", "carl@example.org", &[mailbox]).await;
    let other_carl = agent(&desk, "Carl Other", "other.carl@example.org", &[mailbox]).await;
    let dora = agent(&desk, "Dora", "dora@example.org", &[elsewhere]).await;
    let eve = agent(&desk, "Eve", "eve@example.org", &[mailbox]).await;
    desk.http.patch(&format!("/api/v1/agents/{eve}"), &json!({"disabled": true})).await.expect(200);
    let named = async |text: &str, mentions: &[i64]| {
        let body = json!({"kind": "note", "text": text, "mentions": mentions});
        reply_with(&desk, at, body).await["mentions"].clone()
    };
    for (text, mentions, expected) in [
        ("Nobody, at bea@example.org.", &[][..], json!([])),
        ("@bea, please", &[], json!([bea])),
        ("@B.BELL.", &[], json!([bea])),
        ("(@\"carl carlsen\")", &[], json!([carl])),
        // Two have that first name, but it is the one's address.
        ("@carl", &[], json!([carl])),
        ("@other.carl @bea @bea", &[carl, bea], json!([bea, carl, other_carl])),
        ("@dora may not see this, @eve has stopped", &[], json!([])),
        ("By number alone", &[other_carl], json!([other_carl])),
    ] {
        assert_eq!(named(text, mentions).await, expected, "{text}");
    }
    assert_eq!(followers(&desk.http, at).await, [bea, carl, other_carl]);
    let shown = messages(&desk, at).await;
    let last = shown.last().expect("the last note");
    assert_eq!(last["mentions"], json!([other_carl]), "and so lists say");
    let told = list(&desk, "/api/v1/events?types=message.note_added&limit=100").await;
    assert_eq!(told.last().expect("an event")["data"]["mentions"], json!([other_carl]));
    // What can't be is refused, and nothing is written.
    let refused = async |body: Value| {
        let path = format!("/api/v1/conversations/{at}/messages");
        faults(&desk.http.post(&path, &with(json!({"kind": "note", "text": "Look."}), body)).await)
    };
    for (body, pointer, code) in [
        (json!({"mentions": [bea, 4711]}), "/mentions/1", "not_found"),
        (json!({"mentions": [dora]}), "/mentions/0", "no_access"),
        (json!({"mentions": [eve]}), "/mentions/0", "disabled"),
        (json!({"kind": "reply", "mentions": [bea]}), "/mentions", "not_allowed"),
        (json!({"mentions": vec![bea; 51]}), "/mentions", "too_many"),
        (
            json!({"mentions": [bea], "imported": true, "created_at": "2020-01-01T00:00:00Z"}),
            "/mentions",
            "not_allowed",
        ),
    ] {
        assert_eq!(refused(body).await, [(pointer.to_owned(), code.to_owned())]);
    }
    assert_eq!(messages(&desk, at).await.len(), shown.len());
    assert_eq!(named("Fifty times one", &[bea; 50]).await, json!([bea]));
    // Nobody follows what they name themselves in.
    let own = desk.client_of_agent(bea).await;
    let second = begun(&desk, mailbox, "hal").await;
    let note = json!({"kind": "note", "text": "@bea: remember this"});
    let path = format!("/api/v1/conversations/{second}/messages");
    assert_eq!(own.post(&path, &note).await.expect(201).json()["mentions"], json!([bea]));
    assert_eq!(followers(&own, second).await, [0; 0]);
}
