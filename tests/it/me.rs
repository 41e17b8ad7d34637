//! What an agent changes of themselves, and what that takes.

use crate::mailing::*;
use crate::problems::{faults, problem};
use crate::totp::{amy, code, with_codes};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::smtp::SmtpSink;

const ME: &str = "/api/v1/me";
const PASSWORD: &str = "a pier in the fog";

async fn sign_in(desk: &TestDesk, email: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD});
    Http::new(desk.address()).post("/api/v1/sign-in", &body).await
}

fn fault(answer: &Answer, pointer: &str, code: &str) {
    assert_eq!(faults(answer), [(pointer.to_owned(), code.to_owned())]);
}

async fn last_audit(desk: &TestDesk) -> Value {
    desk.http.get("/api/v1/audit-log?limit=1").await.expect(200).json()["data"][0].clone()
}

#[tokio::test]
async fn a_name_is_ones_own() {
    let desk = TestDesk::start().await;
    let (id, http) = amy(&desk).await;
    let path = format!("/api/v1/agents/{id}");
    let etag = desk.http.get(&path).await.header("etag").expect("a version").to_owned();
    let changed = http.patch(ME, &json!({"name": "  Amy  Pond "})).await.expect(200);
    assert_eq!(changed.json()["name"], "Amy Pond");
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    assert_eq!(http.get(ME).await.expect(200).json()["name"], "Amy Pond");
    let row = last_audit(&desk).await;
    assert_eq!(
        (&row["kind"], &row["data"]["changes"]),
        (&json!("agent.updated"), &json!({"name": ["Amy", "Amy Pond"]}))
    );
    fault(&http.patch(ME, &json!({"name": " "})).await, "/name", "required");
    problem(&http.patch(ME, &json!({"name": null})).await, 422, "validation_failed");
    problem(&http.patch(ME, &json!({"role": "owner"})).await, 422, "validation_failed");
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    problem(&http.send("PATCH", ME, &headers, b"{\"name\": \"Late\"}").await, 412, "version_conflict");
    // Who only notes has a name too, and signs nothing.
    desk.http.patch(&path, &json!({"role": "light_agent"})).await.expect(200);
    http.patch(ME, &json!({"name": "Light"})).await.expect(200);
    problem(&http.patch(ME, &json!({"name": "L", "bounce_notices": false})).await, 403, "insufficient_scope");
    // A token that speaks for nobody has none.
    problem(&desk.http.patch(ME, &json!({"name": "x"})).await, 403, "forbidden");
    assert_eq!(desk.http.get(&path).await.json()["name"], "Light");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_takes_the_password_and_is_told_to_the_one_before() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    pushed(&desk, json!({"delivery": smtp(&sink), "aliases": ["sales@example.org"]})).await;
    let (id, http) = amy(&desk).await;
    assert_eq!(sink.next().await.header("Subject").as_deref(), Some("Your help desk invites you"));
    let body = json!({"name": "Bob", "email": "bob@example.org"});
    desk.http.post("/api/v1/agents", &body).await.expect(201);
    let before = desk.http.get(&format!("/api/v1/agents/{id}")).await.json();
    let wish = |email: &str| json!({"email": email, "current_password": PASSWORD});

    let asked = http.patch(ME, &json!({"email": "pond@example.org"})).await;
    fault(&asked, "/current_password", "required");
    let wrong = json!({"email": "pond@example.org", "name": "Pond", "current_password": "a pier"});
    fault(&http.patch(ME, &wrong).await, "/current_password", "wrong");
    problem(&http.patch(ME, &wish("BOB@Example.org")).await, 409, "already_exists");
    for taken in ["Support@example.org", "sales@EXAMPLE.org"] {
        fault(&http.patch(ME, &wish(taken)).await, "/email", "mailbox_address");
    }
    fault(&http.patch(ME, &wish("nobody")).await, "/email", "invalid_email");
    // A token that was made for her is no proof that it is she.
    let token = desk.client_of_agent(id).await;
    fault(&token.patch(ME, &json!({"email": "pond@example.org"})).await, "/current_password", "required");
    assert_eq!(desk.http.get(&format!("/api/v1/agents/{id}")).await.json(), before, "nothing of it happened");
    // The address that it is already takes nothing, so that a form can send all it shows.
    http.patch(ME, &json!({"email": "amy@example.org", "name": "Amy"})).await.expect(200);

    // A link that lies in the old mailbox opens nothing afterwards.
    let reset = json!({"email": "amy@example.org"});
    Http::new(desk.address()).post("/api/v1/password-resets", &reset).await.expect(202);
    let mailed = sink.next().await;
    assert_eq!(mailed.header("Subject").as_deref(), Some("A new password for your help desk"));
    let mailed = mailed.text();
    let secret = mailed.lines().find(|line| line.starts_with("pr_once_")).expect("a secret").to_owned();
    let changed = http.patch(ME, &wish("pond@example.org")).await.expect(200).json();
    assert_eq!(changed["email"], "pond@example.org");
    let told = sink.next().await;
    assert_eq!((told.from.as_str(), told.to.as_slice()), ("", &["amy@example.org".to_owned()][..]));
    let text = told.text().replace("=\r\n", "");
    assert!(text.contains("with another address from now on: pond@example.org"), "{text}");
    let reset = json!({"token": secret, "password": "another pier in fog"});
    let refused = Http::new(desk.address()).post("/api/v1/password-resets/complete", &reset).await;
    fault(&refused, "/token", "not_valid");

    problem(&sign_in(&desk, "amy@example.org").await, 401, "sign_in_failed");
    sign_in(&desk, "pond@example.org").await.expect(201);
    let rows = desk.http.get("/api/v1/audit-log?limit=20").await.expect(200).text();
    assert!(rows.contains("[\"amy@example.org\",\"pond@example.org\"]"), "{rows}");
    assert!(!rows.contains(PASSWORD));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_takes_a_code_too_where_there_are_codes() {
    let desk = TestDesk::start_fixed().await;
    let (_, http) = amy(&desk).await;
    let (program, _) = with_codes(&desk, &http).await;
    let wish = |code: Value| json!({"email": "pond@example.org", "current_password": PASSWORD, "code": code});
    let without = json!({"email": "pond@example.org", "current_password": PASSWORD});
    fault(&http.patch(ME, &without).await, "/code", "required");
    fault(&http.patch(ME, &wish(json!("000000"))).await, "/code", "wrong");
    assert_eq!(http.get(ME).await.json()["email"], "amy@example.org");
    desk.desk().advance_clock(Duration::from_mins(1));
    http.patch(ME, &wish(json!(code(&program, &desk, 0)))).await.expect(200);
    assert_eq!(http.get(ME).await.json()["email"], "pond@example.org");
    desk.stop().await;
}

/// Guessing a password through the form counts like guessing it at the door.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted() {
    let desk = TestDesk::start_fixed().await;
    let (_, http) = amy(&desk).await;
    for _ in 0..5 {
        let wrong = json!({"email": "pond@example.org", "current_password": "a guess in vain"});
        fault(&http.patch(ME, &wrong).await, "/current_password", "wrong");
    }
    let right = json!({"email": "pond@example.org", "current_password": PASSWORD});
    assert_eq!(http.patch(ME, &right).await.status, 429);
    desk.desk().advance_clock(Duration::from_mins(16));
    http.patch(ME, &right).await.expect(200);
    desk.stop().await;
}

/// Who has no password can't prove that it is they: an administrator changes the address, and what was mailed to
/// the one before opens nothing.
#[tokio::test]
async fn without_a_password_an_administrator_does_it() {
    let desk = TestDesk::start().await;
    let body = json!({"name": "Amy", "email": "typo@example.org"});
    let id = number(&desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"]);
    let token = desk.client_of_agent(id).await;
    let wish = json!({"email": "amy@example.org", "current_password": "none"});
    problem(&token.patch(ME, &wish).await, 409, "state_conflict");
    let secret = desk
        .write(move |cx| postroom_core::operations::passwords::invite(cx, postroom_core::id::AgentId(id)))
        .await
        .secret;
    desk.http.patch(&format!("/api/v1/agents/{id}"), &json!({"email": "amy@example.org"})).await.expect(200);
    let body = json!({"token": secret, "password": PASSWORD});
    let refused = Http::new(desk.address()).post("/api/v1/invitations/accept", &body).await;
    fault(&refused, "/token", "not_valid");
    let narrow = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&narrow.patch(ME, &json!({"name": "x"})).await, 403, "insufficient_scope");
    desk.stop().await;
}
