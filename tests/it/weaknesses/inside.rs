//! V-39: what fails inside is told by a code and an id, and nothing else of it.

use crate::mailing::sql;
use crate::problems::problem;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

const TOLD: &str = "something went wrong inside; the daemon's log says what, under this request_id";

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_inside_tells_a_code_and_an_id_alone() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let landed = desk.receive(mailbox, &mail().text("words")).await;
    let conversation = format!("/api/v1/conversations/{}", landed["conversation_id"]);
    desk.http.post("/api/v1/tags", &json!({"name": "one"})).await.expect(201);
    let asked = |method: &'static str, path: &str, body: Value| (method, path.to_owned(), body);
    // A row that no longer makes sense, and tables that are gone.
    for (breaks, heals, asks) in [
        (
            "UPDATE mailboxes SET source = '{\"type\": \"canary-51c0\"'".to_owned(),
            "UPDATE mailboxes SET source = '{\"type\": \"push\"}'".to_owned(),
            vec![
                asked("GET", "/api/v1/mailboxes", Value::Null),
                asked("GET", &format!("/api/v1/mailboxes/{mailbox}"), Value::Null),
            ],
        ),
        (
            "ALTER TABLE tags RENAME TO canary_51c0".to_owned(),
            "ALTER TABLE canary_51c0 RENAME TO tags".to_owned(),
            vec![
                asked("GET", "/api/v1/tags", Value::Null),
                asked("POST", "/api/v1/tags", json!({"name": "two"})),
                asked("GET", "/api/v1/conversations?tag=one", Value::Null),
                asked("PATCH", &conversation, json!({"tags": ["one"]})),
            ],
        ),
        (
            "ALTER TABLE messages RENAME TO canary_51c0".to_owned(),
            "ALTER TABLE canary_51c0 RENAME TO messages".to_owned(),
            vec![
                asked("GET", &format!("{conversation}/messages"), Value::Null),
                asked("POST", &format!("{conversation}/messages"), json!({"kind": "note", "text": "x"})),
            ],
        ),
        (
            "ALTER TABLE tokens RENAME TO canary_51c0".to_owned(),
            "ALTER TABLE canary_51c0 RENAME TO tokens".to_owned(),
            vec![asked("GET", "/api/v1/me", Value::Null), asked("DELETE", "/api/v1/tags/1", Value::Null)],
        ),
    ] {
        sql(desk.config(), &breaks);
        for (method, path, body) in asks {
            let headers = [("Content-Type", "application/json"), ("X-Request-Id", "asked-1")];
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let answer = desk.http.send(method, &path, &headers, body.as_bytes()).await;
            let told = problem(&answer, 500, "internal");
            let members: Vec<&String> = told.as_object().expect("an object").keys().collect();
            assert_eq!(
                members,
                ["code", "detail", "request_id", "status", "title", "type"],
                "{method} {path}"
            );
            assert_eq!((&told["detail"], &told["request_id"]), (&json!(TOLD), &json!("asked-1")));
        }
        sql(desk.config(), &heals);
    }
    // It was not the daemon's end.
    desk.http.get("/api/v1/tags").await.expect(200);
    desk.http.get(&format!("{conversation}/messages")).await.expect(200);
    Http::new(desk.address()).get("/api/v1/health/ready").await.expect(200);
    desk.stop().await;
}
