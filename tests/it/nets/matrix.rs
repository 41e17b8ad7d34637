//! The access matrix (F-46): every operation of the document, asked for what is another's, by everybody who
//! may not. No byte of it comes back, and nothing is written. A new operation is in it by itself; one with a
//! new kind of id in its path does not pass before this file knows whose is tried.

use super::{CANARY, Foreign, Operation, foreign, operations, state};
use crate::mailing::{count, text_of};
use crate::problems::{any_problem, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::database::{self, Kind};
use support::desk::TestDesk;
use support::http::Http;

/// What one caller may be told and may do.
struct Seat {
    who: &'static str,
    http: Http,
    /// Nothing is known of it: everything that is not public is 401.
    is_stranger: bool,
    /// It changes nothing anywhere, not even what is its own.
    is_reader: bool,
}

/// The path of an operation with ids of the foreign mailbox.
fn aimed(operation: &Operation, theirs: &Foreign, more: &More) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in operation.path.split('/') {
        let noun = parts.last().map_or("", String::as_str);
        let filled = match (part, noun) {
            ("{id}", "mailboxes") => theirs.mailbox.to_string(),
            ("{id}", "conversations") => theirs.conversation.to_string(),
            ("{id}", "messages") => theirs.message.to_string(),
            ("{id}", "customers") => theirs.customer.to_string(),
            ("{id}", "attachments") => theirs.attachment.clone(),
            ("{id}", "webhooks") => more.webhook.to_string(),
            ("{id}", "tokens" | "sessions") => more.token.clone(),
            ("{id}", "transfers") => more.transfer.to_string(),
            ("{row}", "ingest") => more.ledger.to_string(),
            // What belongs to the whole desk: the first of each.
            (
                "{id}",
                "agents" | "teams" | "schedules" | "categories" | "tags" | "custom-fields" | "views"
                | "roles" | "watchdogs" | "notifications",
            )
            | ("{row}", "round-trips" | "absences" | "followers") => "1".to_owned(),
            ("{row}", "deliveries") => "dlv_0123456789abcdef0123456789abcdef".to_owned(),
            ("{id}", "jobs") => "job_0123456789abcdef0123456789abcdef".to_owned(),
            ("{agent_id}", _) => more.agent.to_string(),
            ("{kind}", _) => "acknowledgement".to_owned(),
            ("{language}", _) => "en".to_owned(),
            ("{source}", _) => "crm".to_owned(),
            ("{external_id}", _) => CANARY.to_owned(),
            ("{key}", _) => "0123456789abcdef0123456789abcdef".to_owned(),
            ("{file}", _) => "index.html".to_owned(),
            (unknown, noun) if unknown.starts_with('{') => {
                panic!("{}: say here whose {unknown} of {noun} is tried", operation.name())
            }
            (word, _) => word.to_owned(),
        };
        parts.push(filled);
    }
    parts.join("/") + operation.query()
}

/// Whether what the path names is in the foreign mailbox.
fn is_bound(operation: &Operation) -> bool {
    let nouns =
        ["mailboxes", "conversations", "messages", "customers", "attachments", "webhooks", "transfers"];
    nouns.iter().any(|noun| operation.path.contains(&format!("/{noun}/{{id}}")))
}

/// Ids beyond those of [`Foreign`].
struct More {
    webhook: i64,
    transfer: i64,
    ledger: i64,
    agent: i64,
    token: String,
}

async fn more(desk: &TestDesk, theirs: &Foreign) -> More {
    let of = |made: &Value| made["id"].as_i64().expect("a number");
    let hook = json!({"name": CANARY, "url": "https://192.88.98.7/", "mailbox_ids": [theirs.mailbox]});
    let webhook = of(&desk.http.post("/api/v1/webhooks", &hook).await.expect(201).json());
    // A message was moved: a transfer, which can be undone.
    let body = json!({"mailbox_id": theirs.mailbox, "subject": format!("Also {CANARY}"),
        "customer": {"email": format!("{CANARY}@customer.example")}, "message": {"kind": "note", "text": CANARY}});
    let other = of(&desk.http.post("/api/v1/conversations", &body).await.expect(201).json());
    let path = format!("/api/v1/conversations/{other}/messages");
    let note = desk.http.post(&path, &json!({"kind": "note", "text": CANARY})).await.expect(201).json();
    let moved = format!("/api/v1/messages/{}/move", note["id"]);
    let transfer = desk.http.post(&moved, &json!({"to": theirs.conversation})).await.expect(201).json();
    let ledger = format!("/api/v1/mailboxes/{}/ingest", theirs.mailbox);
    let ledger = of(&desk.http.get(&ledger).await.expect(200).json()["data"][0]);
    // Agents belong to the desk, and everybody at it sees their names.
    let body = json!({"name": "Who", "email": "who@example.org", "role": "agent"});
    let agent = of(&desk.http.post("/api/v1/agents", &body).await.expect(201).json());
    let body = json!({"name": CANARY, "scopes": ["conversations:read"], "mailbox_ids": [theirs.mailbox]});
    let token = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let token = token["id"].as_str().expect("an id").to_owned();
    More { webhook, transfer: of(&transfer), ledger, agent, token }
}

async fn seats(desk: &TestDesk, ours: i64) -> Vec<Seat> {
    let agent = async |name: &str, grants: Value| -> i64 {
        let body =
            json!({"name": name, "email": format!("{name}@example.org"), "role": "agent", "grants": grants});
        desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"].as_i64().expect("a number")
    };
    let manages = agent("amy", json!([{"mailbox_id": ours, "level": "manage"}])).await;
    let nothing = agent("bo", json!([])).await;
    let gone = agent("cy", json!([{"mailbox_id": ours, "level": "manage"}])).await;
    let disabled = desk.client_of_agent(gone).await;
    desk.http.patch(&format!("/api/v1/agents/{gone}"), &json!({"disabled": true})).await.expect(200);
    let body = json!({"name": "revoked", "scopes": ["conversations:write", "admin:write"]});
    let made = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let revoked = Http::new(desk.address()).with_token(made["token"].as_str().expect("a token"));
    let id = made["id"].as_str().expect("an id");
    desk.http.delete(&format!("/api/v1/tokens/{id}")).await.expect(204);
    let reading: Vec<Scope> =
        Scope::ALL.iter().copied().filter(|scope| scope.as_str().ends_with(":read")).collect();
    let seat = |who, http, is_stranger, is_reader| Seat { who, http, is_stranger, is_reader };
    vec![
        seat("nobody", Http::new(desk.address()), true, true),
        seat("a revoked token", revoked, true, true),
        seat("a disabled agent", disabled, true, true),
        seat("a token that reads", desk.client(&reading, &[ours]).await, false, true),
        seat("an agent of another mailbox", desk.client_of_agent(manages).await, false, false),
        seat("an agent of no mailbox", desk.client_of_agent(nothing).await, false, false),
        seat("a narrow token", desk.client(Scope::ALL, &[ours]).await, false, false),
    ]
}

/// Tables that change though nobody changes anything: when a token was used, and that somebody tried to sign in,
/// with the head of the audit log.
const NOTED: [&str; 5] = ["tokens", "leases", "audit_log", "settings", "sign_in_tries"];

/// A word for what every table holds.
fn checksums(desk: &TestDesk) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    let is_sqlite = database::kind() == Kind::Sqlite;
    let tables = if is_sqlite {
        "SELECT coalesce(group_concat(name), '') AS text FROM sqlite_master WHERE type = 'table' \
         AND name NOT LIKE '%search%' AND name NOT LIKE 'sqlite_%'"
    } else {
        "SELECT coalesce(string_agg(tablename, ','), '') AS text FROM pg_tables WHERE schemaname = 'public'"
    };
    for table in text_of(desk, tables).split(',').filter(|table| !NOTED.contains(table)) {
        let query = if is_sqlite {
            let columns = format!(
                "SELECT group_concat('quote(' || name || ')', ' || '','' || ') AS text FROM pragma_table_info('{table}')"
            );
            let row = text_of(desk, &columns);
            format!(
                "SELECT coalesce(group_concat(row, '|'), '') AS text FROM (SELECT {row} AS row FROM {table} ORDER BY 1)"
            )
        } else {
            format!(
                "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') AS text FROM {table} t"
            )
        };
        sums.insert(table.to_owned(), text_of(desk, &query));
    }
    let tokens = "SELECT count(*) AS count FROM tokens WHERE revoked_at IS NULL";
    sums.insert("tokens".to_owned(), count(desk, tokens).to_string());
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_or_changes_what_is_another_s() {
    let desk = TestDesk::start_fixed().await;
    // The examples of the document name mailbox 1: let it be the one that must not be seen.
    let theirs = foreign(&desk).await;
    assert_eq!(theirs.mailbox, 1);
    let more = more(&desk, &theirs).await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let seats = seats(&desk, ours).await;
    // What is under way is settled before anybody compares.
    desk.until(|| async {
        let list = format!("/api/v1/conversations/{}/messages?limit=100", theirs.conversation);
        let messages = desk.http.get(&list).await.expect(200).json();
        let mut all = messages["data"].as_array().expect("a list").iter();
        all.all(|message| message["delivery"].is_null() || message["delivery"]["state"] == "sent")
            .then_some(())
    })
    .await;
    let before = state(&desk, &theirs).await;
    let all = operations(&desk.http).await;
    let (mut tried, mut refused) = (0, 0);
    for seat in &seats {
        let held = seat.is_reader.then(|| checksums(&desk));
        for operation in &all {
            let aimed = aimed(operation, &theirs, &more);
            let mut paths = vec![aimed.clone()];
            // Searched for by its own words.
            for name in operation
                .parameters
                .iter()
                .filter(|name| ["q", "email", "tag", "external_id"].contains(&name.as_str()))
            {
                let mark = if aimed.contains('?') { '&' } else { '?' };
                paths.push(format!("{aimed}{mark}{name}={CANARY}"));
            }
            for name in operation
                .parameters
                .iter()
                .filter(|name| ["mailbox_id", "customer_id"].contains(&name.as_str()))
            {
                let id = if name == "mailbox_id" { theirs.mailbox } else { theirs.customer };
                paths.push(format!("{aimed}?{name}={id}"));
            }
            for path in paths {
                let answer = operation.call(&seat.http, &path).await;
                let at = format!("{}: {} {path}", seat.who, operation.method);
                assert!(answer.status < 500, "{at}: {}", answer.text());
                assert!(!answer.text().contains(CANARY), "{at}: {}", answer.text());
                assert!(!answer.headers.iter().any(|(_, value)| value.contains(CANARY)), "{at}");
                if answer.status >= 400 {
                    any_problem(&answer);
                }
                if seat.is_stranger && !operation.is_public() {
                    problem(&answer, 401, "unauthorized");
                } else if !seat.is_stranger && is_bound(operation) {
                    assert!(matches!(answer.status, 403 | 404), "{at}: {} {}", answer.status, answer.text());
                    refused += 1;
                }
                tried += 1;
            }
        }
        if let Some(held) = held {
            for (table, sum) in checksums(&desk) {
                assert!(held.get(&table) == Some(&sum), "{} wrote into {table}: {sum}", seat.who);
            }
        }
    }
    assert!(tried > all.len() * seats.len() && refused > 250, "{tried} tried, {refused} refused");
    assert_eq!(state(&desk, &theirs).await, before, "nothing of theirs was touched");
    desk.stop().await;
}

/// F-47: what an answer shows, posted back. What a request does not know is 422 at that member, whoever asks, and
/// nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn no_member_of_an_answer_is_taken_that_a_request_does_not_name() {
    let desk = TestDesk::start_fixed().await;
    let theirs = foreign(&desk).await;
    let more = more(&desk, &theirs).await;
    let document = desk.http.get("/openapi.json").await.expect(200).json();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    // Every member that any answer has.
    let mut shown: BTreeMap<&str, Value> = BTreeMap::new();
    for schema in schemas.values() {
        for name in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            shown.insert(name, json!(1));
        }
    }
    for name in ["is_admin", "password_hash", "owner", "tenant_id", "__proto__"] {
        shown.insert(name, json!(true));
    }
    assert!(shown.len() > 150, "{}", shown.len());
    let (mut tried, mut requests) = (0, 0);
    for operation in operations(&desk.http).await {
        let method = operation.method.to_lowercase();
        let body = &document["paths"][&operation.path][&method]["requestBody"]["content"]["application/json"];
        let Some(name) = body["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next()) else {
            continue;
        };
        let Some(known) = schemas[name]["properties"].as_object() else { continue };
        let path = aimed(&operation, &theirs, &more);
        let held = checksums(&desk);
        // In a usual run one of twenty, and at each operation others.
        let step = if database::is_long_run() { 1 } else { 20 };
        let foreign = shown.keys().copied().filter(|name| !known.contains_key(*name));
        let unknown: Vec<&str> = foreign.skip(requests % step).step_by(step).collect();
        let mut example: Value = match &operation.body {
            Some((_, bytes)) => serde_json::from_slice(bytes).expect("the example is JSON"),
            None => json!({}),
        };
        for name in &unknown {
            let members = example.as_object_mut().expect("an object");
            members.insert((*name).to_owned(), shown[name].clone());
            let answer = operation_with(&desk.http, &operation, &path, &example).await;
            assert_eq!(answer.0, 422, "{} took {name}: {}", operation.name(), answer.1);
            example.as_object_mut().expect("an object").remove(*name);
            tried += 1;
        }
        assert!(checksums(&desk) == held, "{} changed something", operation.name());
        requests += 1;
    }
    assert!(requests > 40 && tried > 250, "{tried} members at {requests} requests");
    desk.stop().await;
}

async fn operation_with(http: &Http, operation: &Operation, path: &str, body: &Value) -> (u16, String) {
    let headers = [("Content-Type", "application/json")];
    let answer = http.send(&operation.method, path, &headers, body.to_string().as_bytes()).await;
    (answer.status, answer.text())
}
