//! A net under every POST of the served document: sent twice under one `Idempotency-Key` it is done
//! once and answered alike, and so it is sent many times at once. A new POST is in it or does not
//! pass.

use crate::mailing::*;
use crate::problems::problem;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::{TestMail, mail};
use support::maildir;
use tokio::task::JoinSet;

const TWINS: usize = 16;

/// These only look, and answer anew.
const LOOKS: [&str; 6] = [
    "/api/v1/attachments/{id}/link",
    "/api/v1/conversations/{id}/messages/preview",
    "/api/v1/events/ticket",
    "/api/v1/mailboxes/{id}/outgoing/preview",
    "/api/v1/messages/{id}/html/link",
    "/api/v1/simulate/inbound",
];

/// Whoever sends these proves themselves by it, and most have no token that a key could belong to. What they bring
/// opens once; sent again, they are refused, or change nothing.
const PROVEN: [&str; 8] = [
    "/api/v1/invitations/accept",
    "/api/v1/me/totp",
    "/api/v1/me/totp/confirm",
    "/api/v1/me/totp/disable",
    "/api/v1/me/totp/recovery-codes",
    "/api/v1/password-resets",
    "/api/v1/password-resets/complete",
    "/api/v1/sign-in",
];

/// A request that can be sent just now.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
}

fn request(path: String, body: &Value) -> Request {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Request { path, content_type: "application/json", body }
}

impl Request {
    async fn send(&self, http: &Http, key: &str) -> Answer {
        let headers = [("Content-Type", self.content_type), ("Idempotency-Key", key)];
        http.send("POST", &self.path, &headers, &self.body).await
    }

    /// The same with another body, which is as good: JSON may end with a space, a file with anything.
    fn otherwise(&self) -> Self {
        let mut other = self.clone();
        other.body.push(b' ');
        other
    }
}

/// A desk on which everything that can be posted has something to work on.
struct Place {
    desk: TestDesk,
    mailbox: i64,
    read: i64,
    authorized: i64,
    mails: AtomicUsize,
}

impl Place {
    async fn begin() -> Self {
        let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
            config.server.public_url = Some("https://desk.example.org/".parse().expect("it is an address"));
        })
        .await;
        let mailbox = pushed(&desk, json!({})).await;
        let folder = desk.dir().join("Maildir");
        maildir::make(&folder, None);
        let other = |name: &str, source: Value| json!({"name": name, "address": format!("{name}@example.org"), "source": source, "delivery": {"type": "sink"}});
        let read = add_with(&desk, other("read", json!({"type": "maildir", "path": folder}))).await;
        // Nobody listens there, and nobody logs in before it is authorized.
        let source = json!({"type": "imap", "host": "127.0.0.1", "port": 9, "security": "none",
            "username": "support@example.org", "auth": "oauth2"});
        let authorized = add_with(&desk, other("authorized", source)).await;
        Self { desk, mailbox, read, authorized, mails: AtomicUsize::new(0) }
    }

    /// A mail that is new.
    fn mail(&self) -> TestMail {
        let number = self.mails.fetch_add(1, Ordering::Relaxed);
        mail().from("Ada <ada@example.net>").subject(&format!("Order {number}"))
    }

    async fn arrive(&self) -> Landed {
        arrive(&self.desk, self.mailbox, &self.mail()).await
    }

    async fn begin_reply(&self, more: Value) -> Value {
        let at = self.arrive().await.conversation;
        reply_with(&self.desk, at, with(json!({"kind": "reply", "text": "It left today."}), more)).await
    }

    /// A conversation whose link another suggests.
    async fn suggested(&self) -> (i64, i64) {
        let first = self.arrive().await;
        let answer = reply(&self.desk, first.conversation, "Water!").await;
        let knock = self.mail().from("Eve <eve@elsewhere.example>").in_reply_to(&id_of(&answer));
        let outside = arrive(&self.desk, self.mailbox, &knock).await;
        assert_ne!(outside.conversation, first.conversation);
        (outside.conversation, first.conversation)
    }

    /// A webhook that is never reached.
    async fn webhook(&self, name: &str) -> i64 {
        let body = json!({"name": name, "url": "https://192.88.98.7/"});
        number(&self.desk.http.post("/api/v1/webhooks", &body).await.expect(201).json()["id"])
    }

    /// What `operation` may be asked for now. `example` is the document's.
    async fn request(&self, operation: &str, example: Value, unique: &str) -> Request {
        let (http, mailbox) = (&self.desk.http, self.mailbox);
        let of = |noun: &str, id: i64| operation.replace(&format!("{noun}/{{id}}"), &format!("{noun}/{id}"));
        let named = |mut body: Value| {
            body["name"] = json!(unique);
            body
        };
        match operation.strip_prefix("/api/v1").expect("all are below it") {
            "/agents" => request(
                operation.to_owned(),
                &with(example, json!({"email": format!("{unique}@example.org")})),
            ),
            "/agents/{id}/absences" => {
                let body = json!({"name": unique, "email": format!("{unique}.absent@example.org")});
                let agent = http.post("/api/v1/agents", &body).await.expect(201).json();
                request(of("agents", number(&agent["id"])), &example)
            }
            "/agents/{id}/invitation" => {
                let body = json!({"name": unique, "email": format!("{unique}.invited@example.org")});
                let agent = http.post("/api/v1/agents", &body).await.expect(201).json();
                request(of("agents", number(&agent["id"])), &example)
            }
            "/roles" | "/teams" | "/schedules" | "/categories" | "/tags" | "/tokens" | "/views"
            | "/watchdogs" | "/webhooks" => request(operation.to_owned(), &named(example)),
            "/tags/{id}/merge" => {
                let mut made = Vec::new();
                for side in ["from", "into"] {
                    let tag = json!({"name": format!("{unique} {side}")});
                    let tag = http.post("/api/v1/tags", &tag).await.expect(201).json();
                    made.push(number(&tag["id"]));
                }
                request(of("tags", made[0]), &json!({"into": made[1]}))
            }
            "/mailboxes" => {
                let (source, delivery) = (json!({"type": "push"}), json!({"type": "sink"}));
                request(
                    operation.to_owned(),
                    &named(with(example, json!({"source": source, "delivery": delivery}))),
                )
            }
            "/custom-fields" => {
                let key = unique.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                request(operation.to_owned(), &with(example, json!({"key": format!("k_{key}")})))
            }
            "/customers" => {
                let addresses = json!([{"email": format!("{unique}@example.net")}]);
                request(operation.to_owned(), &with(example, json!({"addresses": addresses})))
            }
            "/attachments" => Request {
                path: format!("{operation}?filename=a.txt"),
                content_type: "text/plain",
                body: b"A file".to_vec(),
            },
            "/conversations" => {
                let customer = json!({"email": format!("{unique}@example.com")});
                request(
                    operation.to_owned(),
                    &with(example, json!({"customer": customer, "tags": [format!("{unique} begun")]})),
                )
            }
            "/conversations/bulk" => request(operation.to_owned(), &example),
            "/conversations/batch" => {
                let mut example = example;
                for (index, one) in example["conversations"].as_array_mut().into_iter().flatten().enumerate()
                {
                    one["customer"] = json!({"email": format!("{unique}-{index}@example.com")});
                }
                request(operation.to_owned(), &example)
            }
            "/conversations/{id}/tags" => {
                let at = self.arrive().await.conversation;
                request(
                    of("conversations", at),
                    &json!({"add": [format!("{unique} more")], "remove": ["new"]}),
                )
            }
            "/conversations/{id}/messages" | "/conversations/{id}/spam" => {
                request(of("conversations", self.arrive().await.conversation), &example)
            }
            "/conversations/{id}/not-spam" => {
                let id = self.arrive().await.conversation;
                http.post(&format!("/api/v1/conversations/{id}/spam"), &Value::Null).await.expect(200);
                request(of("conversations", id), &example)
            }
            "/conversations/{id}/snooze" => {
                request(of("conversations", self.arrive().await.conversation), &json!({"until_reply": true}))
            }
            "/conversations/{id}/unsnooze" => {
                let id = self.arrive().await.conversation;
                let until = json!({"until_reply": true});
                http.post(&format!("/api/v1/conversations/{id}/snooze"), &until).await.expect(200);
                request(of("conversations", id), &example)
            }
            "/conversations/{id}/accept-link" => {
                let (from, to) = self.suggested().await;
                request(of("conversations", from), &json!({"related_id": to}))
            }
            "/conversations/{id}/restore" => {
                let id = self.arrive().await.conversation;
                http.delete(&format!("/api/v1/conversations/{id}")).await.expect(204);
                request(of("conversations", id), &example)
            }
            "/conversations/{id}/merge" => {
                let into = self.arrive().await.conversation;
                request(of("conversations", self.arrive().await.conversation), &json!({"into": into}))
            }
            "/conversations/{id}/split" => {
                let at = self.arrive().await;
                reply_with(&self.desk, at.conversation, json!({"kind": "note", "text": "Two matters."}))
                    .await;
                request(of("conversations", at.conversation), &json!({"message_ids": [at.message]}))
            }
            "/messages/{id}/move" => {
                let to = self.arrive().await.conversation;
                request(of("messages", self.arrive().await.message), &json!({"to": to}))
            }
            "/transfers/{id}/undo" => {
                let to = json!({"to": self.arrive().await.conversation});
                let path = format!("/api/v1/messages/{}/move", self.arrive().await.message);
                let moved = http.post(&path, &to).await.expect(201).json();
                request(of("transfers", number(&moved["id"])), &example)
            }
            "/messages/{id}/reparse" => request(of("messages", self.arrive().await.message), &example),
            "/messages/{id}/cancel" => {
                let tomorrow = self.desk.desk().now().plus(days(1));
                let later = self.begin_reply(json!({"send_at": tomorrow})).await;
                request(of("messages", number(&later["id"])), &example)
            }
            "/messages/{id}/retry" => {
                // What was only captured may be tried again, and what is held is let go.
                let message = if unique.len().is_multiple_of(2) {
                    let message = self.begin_reply(json!({})).await;
                    delivered(&self.desk, &message, "sent").await;
                    message
                } else {
                    self.begin_reply(json!({"undo_seconds": 600})).await
                };
                request(of("messages", number(&message["id"])), &example)
            }
            "/mailboxes/{id}/inbound" => Request {
                path: of("mailboxes", mailbox),
                content_type: "message/rfc822",
                body: self.mail().build(),
            },
            "/mailboxes/{id}/test" => request(of("mailboxes", mailbox), &json!({"round_trip": false})),
            "/mailboxes/{id}/sync" | "/mailboxes/{id}/reconcile" => {
                request(of("mailboxes", self.read), &example)
            }
            "/mailboxes/{id}/oauth" => {
                let body = json!({"provider": "google", "grant": "authorization_code",
                    "client_id": "1234.apps.googleusercontent.com", "client_secret": "GOCSPX-correct-horse"});
                request(of("mailboxes", self.authorized), &body)
            }
            "/mailboxes/{id}/ingest/{row}/retry" => {
                self.arrive().await;
                let row = number(&ledger(&self.desk, mailbox, "accepted").await[0]["id"]);
                request(of("mailboxes", mailbox).replace("{row}", &row.to_string()), &example)
            }
            "/tokens/{id}/rotate-secret" => {
                let body = json!({"name": unique, "scopes": ["conversations:read"]});
                let made = http.post("/api/v1/tokens", &body).await.expect(201).json();
                let id = made["id"].as_str().expect("an id");
                request(operation.replace("{id}", id), &example)
            }
            "/watchdogs/{id}/acknowledge" => {
                let waits = self.arrive().await.conversation;
                sql(
                    self.desk.config(),
                    &format!("UPDATE conversations SET waiting_since = 1 WHERE id = {waits}"),
                );
                let name = format!("{unique} {waits}");
                let body = json!({"name": name, "q": format!("id:{waits}"), "wait_seconds": 60});
                let made = http.post("/api/v1/watchdogs", &body).await.expect(201).json();
                let path = format!("/api/v1/watchdogs/{}", made["id"]);
                self.desk
                    .until(async || {
                        (http.get(&path).await.expect(200).json()["state"] == "alarmed").then_some(())
                    })
                    .await;
                request(of("watchdogs", number(&made["id"])), &example)
            }
            "/webhooks/{id}/test" | "/webhooks/{id}/rotate-secret" | "/webhooks/{id}/replay" => {
                request(of("webhooks", self.webhook(unique).await), &example)
            }
            "/webhooks/{id}/deliveries/{row}/redeliver" => {
                let id = self.webhook(unique).await;
                let ping = http.post(&format!("/api/v1/webhooks/{id}/test"), &Value::Null).await.expect(202);
                let row = ping.json()["id"].as_str().expect("an id").to_owned();
                request(of("webhooks", id).replace("{row}", &row), &example)
            }
            other => panic!("say here how POST {other} is asked for, or that it only looks"),
        }
    }

    /// What was told in the caller's name; workers tell in the desk's.
    fn told(&self) -> i64 {
        count(&self.desk, "SELECT count(*) AS count FROM events WHERE actor_type <> 'system'")
    }
}

/// Every POST of the document that takes a key, with its example.
async fn posts(desk: &TestDesk) -> Vec<(String, Value)> {
    let document = desk.http.get("/openapi.json").await.expect(200).json();
    let (mut keyed, mut looks) = (Vec::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let takes_key = parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            assert!(!takes_key || method == "post", "{method} {path} may be sent again as it is");
            if method != "post" {
                continue;
            }
            if !takes_key {
                looks.insert(path.as_str());
                continue;
            }
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses["409"].to_string().contains("idempotency_in_progress"), "{path}");
            assert!(responses["422"].to_string().contains("idempotency_key_reused"), "{path}");
            let good = responses.iter().filter(|(status, _)| status.starts_with('2'));
            for (status, response) in good {
                assert!(!response["headers"]["Idempotency-Replayed"].is_null(), "{path} {status}");
            }
            let body = &operation["requestBody"]["content"]["application/json"];
            let first = body["examples"].as_object().and_then(|all| all.values().next());
            let example = first.map_or_else(|| body["example"].clone(), |first| first["value"].clone());
            keyed.push((path.clone(), example));
        }
    }
    let without: BTreeSet<&str> = LOOKS.into_iter().chain(PROVEN).collect();
    assert_eq!(looks, without, "a POST that does anything takes a key");
    assert!(keyed.len() > 22, "{}", keyed.len());
    keyed
}

/// What of an answer must be the same.
fn said(answer: &Answer) -> (u16, Option<&str>, Option<&str>, &[u8]) {
    (answer.status, answer.header("location"), answer.header("etag"), &answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_that_is_sent_again_is_done_once_and_answered_alike() {
    let place = Place::begin().await;
    let mut keys = BTreeSet::new();
    for (operation, example) in posts(&place.desk).await {
        // `retry` is two things: the length of the name tells which.
        for unique in ["one", "four"].into_iter().take(1 + usize::from(operation.ends_with("s/{id}/retry"))) {
            let request = place.request(&operation, example.clone(), unique).await;
            let key = format!("{operation} {unique}");
            let before = place.told();
            let first = request.send(&place.desk.http, &key).await;
            assert!((200..300).contains(&first.status), "{operation}: {}", first.text());
            assert_eq!(first.header("idempotency-replayed"), None, "{operation}");
            assert_eq!(first.header("content-type"), Some("application/json"), "{operation}");
            let after = place.told();
            let again = request.send(&place.desk.http, &key).await;
            assert_eq!(said(&again), said(&first), "{operation}: {}", again.text());
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{operation}");
            problem(&request.otherwise().send(&place.desk.http, &key).await, 422, "idempotency_key_reused");
            assert_eq!(place.told(), after, "{operation} was done again");
            assert!(after >= before, "{operation}");
            keys.insert(key);
        }
    }
    let kept = count(&place.desk, "SELECT count(*) AS count FROM idempotency_keys");
    assert_eq!(kept, keys.len() as i64, "one of each key");
    place.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_twins_of_every_post_do_it_once() {
    let place = Place::begin().await;
    for (operation, example) in posts(&place.desk).await {
        for unique in ["one", "four"].into_iter().take(1 + usize::from(operation.ends_with("s/{id}/retry"))) {
            let alone = place.request(&operation, example.clone(), unique).await;
            let before = place.told();
            let single = alone.send(&place.desk.http, &format!("{operation} {unique} alone")).await;
            assert!((200..300).contains(&single.status), "{operation}: {}", single.text());
            let events = place.told() - before;

            let twin = place.request(&operation, example.clone(), &format!("{unique}__")).await;
            let before = place.told();
            let mut running = JoinSet::new();
            for _ in 0..TWINS {
                let (http, twin, key) =
                    (place.desk.http.clone(), twin.clone(), format!("{operation} {unique}"));
                running.spawn(async move {
                    loop {
                        let answer = twin.send(&http, &key).await;
                        // Busy, told to wait for the first, or more files than a token sends at once.
                        let waits =
                            answer.status == 409 && answer.json()["code"] == "idempotency_in_progress";
                        if !matches!(answer.status, 429 | 503) && !waits {
                            return answer;
                        }
                    }
                });
            }
            let all = running.join_all().await;
            assert!((200..300).contains(&all[0].status), "{operation}: {}", all[0].text());
            for answer in &all {
                assert_eq!(said(answer), said(&all[0]), "{operation}: {}", answer.text());
            }
            let firsts = all.iter().filter(|answer| answer.header("idempotency-replayed").is_none());
            assert_eq!(firsts.count(), 1, "{operation}");
            assert_eq!(place.told() - before, events, "{operation} was done more than once");
        }
    }
    place.desk.stop().await;
}
