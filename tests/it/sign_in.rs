//! Signing in by password: who is let in, how often somebody may try, what ends a session.

use crate::mailing::count;
use crate::problems::problem;
use postroom_core::actor::Actor;
use postroom_core::id::AgentId;
use postroom_core::operations::{audit, passwords};
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::{Answer, Http};
use tokio::task::JoinSet;

const PASSWORD: &str = "a pier in the fog";

async fn agent(desk: &TestDesk, email: &str, role: &str) -> i64 {
    let body = json!({"name": "Amy", "email": email, "role": role});
    desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"].as_i64().expect("a number")
}

/// The secret of an invitation, as the shell shows it.
async fn invited(desk: &TestDesk, agent: i64) -> String {
    desk.write(move |cx| passwords::invite(cx, AgentId(agent))).await.secret
}

/// An agent with a password, and the session that accepting the invitation began.
async fn with_password(desk: &TestDesk, email: &str, role: &str) -> (i64, Http) {
    let id = agent(desk, email, role).await;
    let body = json!({"token": invited(desk, id).await, "password": PASSWORD});
    let session = nobody(desk).post("/api/v1/invitations/accept", &body).await.expect(201).json();
    assert_eq!(session["agent_id"], json!(id));
    (id, with(desk, &session))
}

fn nobody(desk: &TestDesk) -> Http {
    Http::new(desk.address())
}

fn with(desk: &TestDesk, session: &Value) -> Http {
    nobody(desk).with_token(session["token"].as_str().expect("a token"))
}

async fn try_in(desk: &TestDesk, email: &str, password: &str) -> Answer {
    nobody(desk).post("/api/v1/sign-in", &json!({"email": email, "password": password})).await
}

/// From an address behind a proxy that is trusted.
async fn try_from(desk: &TestDesk, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password}).to_string();
    let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", address)];
    nobody(desk).send("POST", "/api/v1/sign-in", &headers, body.as_bytes()).await
}

async fn behind_a_proxy() -> TestDesk {
    TestDesk::start_with(Clock::fixed(BEGINNING), |config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await
}

#[tokio::test]
async fn a_session_is_a_token_with_what_the_role_allows() {
    let desk = TestDesk::start_fixed().await;
    with_password(&desk, "amy@example.org", "agent").await;
    let answer = try_in(&desk, "AMY@Example.org", PASSWORD).await.expect(201);
    assert_eq!(answer.header("set-cookie"), None);
    let session = answer.json();
    assert_eq!(session["expires_at"], "2026-12-22T08:00:00.000000Z");
    let scopes = session["scopes"].as_array().expect("a list");
    assert!(scopes.contains(&json!("conversations:write")) && !scopes.contains(&json!("admin:write")));
    let http = with(&desk, &session);
    let me = http.get("/api/v1/me").await.expect(200).json();
    assert_eq!(
        (me["email"].clone(), me["token_id"].clone()),
        (json!("amy@example.org"), session["token_id"].clone())
    );
    problem(&http.get("/api/v1/tokens").await, 403, "insufficient_scope");
    // Narrower, if asked for; and never more than the role.
    let body = json!({"email": "amy@example.org", "password": PASSWORD, "scopes": ["conversations:read", "admin:write"]});
    let narrow = nobody(&desk).post("/api/v1/sign-in", &body).await.expect(201).json();
    assert_eq!(narrow["scopes"], json!(["conversations:read"]));
    let tokens = desk.http.get("/api/v1/tokens").await.expect(200).json();
    assert_eq!(tokens["data"].as_array().expect("a list").len(), 1, "sessions are no list of tokens");
    desk.stop().await;
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_the_same_and_costs_the_same() {
    let desk = TestDesk::start().await;
    with_password(&desk, "amy@example.org", "agent").await;
    agent(&desk, "ben@example.org", "agent").await;
    let (off, _) = with_password(&desk, "cid@example.org", "agent").await;
    desk.http.patch(&format!("/api/v1/agents/{off}"), &json!({"disabled": true})).await.expect(200);
    let mut told = Vec::new();
    for (email, password) in [
        ("nobody@example.org", PASSWORD),
        ("ben@example.org", PASSWORD),
        ("amy@example.org", "a pier in the fig"),
        ("cid@example.org", PASSWORD),
        ("cid@example.org", "a pier in the fig"),
        ("", ""),
        ("not an address", ""),
    ] {
        let before = desk.desk().passwords().runs();
        let answer = try_in(&desk, email, password).await;
        assert_eq!(desk.desk().passwords().runs(), before + 1, "{email}");
        let mut document = problem(&answer, 401, "sign_in_failed");
        document["request_id"] = Value::Null;
        let mut headers: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        headers.sort();
        told.push((document, headers));
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:?}");
    let before = desk.desk().passwords().runs();
    try_in(&desk, "amy@example.org", PASSWORD).await.expect(201);
    assert_eq!(desk.desk().passwords().runs(), before + 1, "who is let in costs no more");
    desk.stop().await;
}

#[tokio::test]
async fn five_tries_in_vain_are_enough_for_a_while_of_whoever_is_known_or_not() {
    let desk = behind_a_proxy().await;
    with_password(&desk, "amy@example.org", "agent").await;
    let mut waits = Vec::new();
    for email in ["amy@example.org", "nobody@example.org"] {
        for turn in 0..5 {
            let address = format!("198.51.{turn}.1");
            problem(&try_from(&desk, &address, email, "a pier in the fig").await, 401, "sign_in_failed");
        }
        let before = desk.desk().passwords().runs();
        let sixth = try_from(&desk, "203.0.113.9", email, PASSWORD).await;
        let mut document = problem(&sixth, 429, "rate_limited");
        document["request_id"] = Value::Null;
        assert_eq!(desk.desk().passwords().runs(), before, "nothing is reckoned");
        waits.push((document, sixth.header("retry-after").map(str::to_owned)));
    }
    assert_eq!(waits[0], waits[1]);
    assert_eq!(waits[0].1.as_deref(), Some("900"));
    desk.desk().advance_clock(Duration::from_secs(899));
    let late = try_from(&desk, "203.0.113.9", "amy@example.org", PASSWORD).await;
    assert_eq!(late.header("retry-after"), Some("1"));
    desk.desk().advance_clock(Duration::from_secs(1));
    try_from(&desk, "203.0.113.9", "amy@example.org", PASSWORD).await.expect(201);
    // Who is let in begins anew.
    for turn in 0..2 {
        for _ in 0..4 {
            let answer = try_from(&desk, &format!("198.51.{}.1", 50 + turn), "amy@example.org", "").await;
            problem(&answer, 401, "sign_in_failed");
        }
        try_from(&desk, "203.0.113.9", "amy@example.org", PASSWORD).await.expect(201);
    }
    desk.stop().await;
}

#[tokio::test]
async fn twenty_tries_in_vain_are_enough_from_one_network() {
    let desk = behind_a_proxy().await;
    with_password(&desk, "amy@example.org", "agent").await;
    for number in 0..20 {
        let (address, email) = (format!("198.51.100.{number}"), format!("nobody{number}@example.org"));
        problem(&try_from(&desk, &address, &email, "").await, 401, "sign_in_failed");
    }
    problem(&try_from(&desk, "198.51.100.200", "amy@example.org", PASSWORD).await, 429, "rate_limited");
    try_from(&desk, "198.51.101.1", "amy@example.org", PASSWORD).await.expect(201);
    problem(&try_from(&desk, "198.51.100.200", "amy@example.org", PASSWORD).await, 429, "rate_limited");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tries_at_once_are_no_more_than_five() {
    let desk = TestDesk::start().await;
    with_password(&desk, "amy@example.org", "agent").await;
    let before = desk.desk().passwords().runs();
    let mut all = JoinSet::new();
    for number in 0..16 {
        let http = nobody(&desk);
        all.spawn(async move {
            let body = json!({"email": "amy@example.org", "password": format!("guess number {number}")});
            http.post("/api/v1/sign-in", &body).await.status
        });
    }
    let mut told = all.join_all().await;
    told.sort_unstable();
    assert_eq!(told, [[401; 5].as_slice(), &[429; 11]].concat());
    assert_eq!(desk.desk().passwords().runs(), before + 5);
    desk.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_at_its_end() {
    let desk = TestDesk::start_fixed().await;
    let hours = |hours: u64| Duration::from_hours(hours);
    let (_, http) = with_password(&desk, "amy@example.org", "agent").await;
    desk.desk().advance_clock(hours(11));
    http.get("/api/v1/me").await.expect(200);
    desk.desk().advance_clock(hours(12));
    problem(&http.get("/api/v1/me").await, 401, "token_expired");
    let session = try_in(&desk, "amy@example.org", PASSWORD).await.expect(201).json();
    let http = with(&desk, &session);
    for _ in 0..71 {
        desk.desk().advance_clock(hours(10));
        http.get("/api/v1/me").await.expect(200);
    }
    desk.desk().advance_clock(hours(10));
    problem(&http.get("/api/v1/me").await, 401, "token_expired");
    desk.stop().await;
}

#[tokio::test]
async fn sessions_are_seen_and_ended_by_whom_they_belong_to() {
    let desk = TestDesk::start_fixed().await;
    let (id, first) = with_password(&desk, "amy@example.org", "agent").await;
    let (_, others) = with_password(&desk, "ben@example.org", "agent").await;
    desk.desk().advance_clock(Duration::from_secs(1));
    let second = with(&desk, &try_in(&desk, "amy@example.org", PASSWORD).await.expect(201).json());
    let list = first.get("/api/v1/me/sessions").await.expect(200).json();
    let rows = list["data"].as_array().expect("a list");
    assert_eq!(
        rows.iter().map(|row| row["current"].clone()).collect::<Vec<_>>(),
        [json!(true), json!(false)]
    );
    assert_eq!(rows[0]["address"], "127.0.0.1");
    let other = format!("/api/v1/me/sessions/{}", rows[1]["id"].as_str().expect("an id"));
    problem(&others.delete(&other).await, 404, "not_found");
    second.get("/api/v1/me").await.expect(200);
    first.delete(&other).await.expect(204);
    problem(&second.get("/api/v1/me").await, 401, "unauthorized");
    problem(&first.delete(&other).await, 404, "not_found");
    first.delete("/api/v1/me/session").await.expect(204);
    problem(&first.get("/api/v1/me").await, 401, "unauthorized");
    // Everywhere; and by an administrator.
    let three = [0, 1, 2].map(|_| try_in(&desk, "amy@example.org", PASSWORD));
    let three: Vec<Http> = futures_join(three, &desk).await;
    three[0].delete("/api/v1/me/sessions").await.expect(204);
    for http in &three {
        problem(&http.get("/api/v1/me").await, 401, "unauthorized");
    }
    let again = with(&desk, &try_in(&desk, "amy@example.org", PASSWORD).await.expect(201).json());
    problem(&others.delete(&format!("/api/v1/agents/{id}/sessions")).await, 403, "insufficient_scope");
    desk.http.delete(&format!("/api/v1/agents/{id}/sessions")).await.expect(204);
    problem(&again.get("/api/v1/me").await, 401, "unauthorized");
    others.get("/api/v1/me").await.expect(200);
    // A token that is no session goes on.
    let token = desk.client_of_agent(id).await;
    problem(&token.delete("/api/v1/me/session").await, 403, "forbidden");
    token.get("/api/v1/me").await.expect(200);
    let nobodys = desk.http.get("/api/v1/me/sessions").await.expect(200).json();
    assert_eq!(nobodys["data"], json!([]));
    desk.stop().await;
}

async fn futures_join(tries: [impl Future<Output = Answer>; 3], desk: &TestDesk) -> Vec<Http> {
    let mut all = Vec::new();
    for one in tries {
        all.push(with(desk, &one.await.expect(201).json()));
    }
    all
}

#[tokio::test]
async fn another_password_and_being_disabled_end_what_was_begun_before() {
    let desk = TestDesk::start_fixed().await;
    let (id, first) = with_password(&desk, "amy@example.org", "agent").await;
    let second = with(&desk, &try_in(&desk, "amy@example.org", PASSWORD).await.expect(201).json());
    let new = "a lamp on the pier";
    let wrong = json!({"current_password": "a pier in the fig", "password": new});
    let refused = problem(&first.put("/api/v1/me/password", &wrong).await, 422, "validation_failed");
    assert_eq!(refused["errors"][0]["pointer"], "/current_password");
    for (bad, code) in
        [("short", "too_short"), ("amy@example.org", "too_common"), ("password1234", "too_common")]
    {
        let body = json!({"current_password": PASSWORD, "password": bad});
        let refused = problem(&first.put("/api/v1/me/password", &body).await, 422, "validation_failed");
        assert_eq!(
            (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
            (&json!("/password"), &json!(code))
        );
    }
    second.get("/api/v1/me").await.expect(200);
    let body = json!({"current_password": PASSWORD, "password": new});
    first.put("/api/v1/me/password", &body).await.expect(204);
    first.get("/api/v1/me").await.expect(200);
    problem(&second.get("/api/v1/me").await, 401, "unauthorized");
    problem(&try_in(&desk, "amy@example.org", PASSWORD).await, 401, "sign_in_failed");
    try_in(&desk, "amy@example.org", new).await.expect(201);
    let agent = format!("/api/v1/agents/{id}");
    desk.http.patch(&agent, &json!({"disabled": true})).await.expect(200);
    problem(&first.get("/api/v1/me").await, 401, "unauthorized");
    desk.http.patch(&agent, &json!({"disabled": false})).await.expect(200);
    problem(&first.get("/api/v1/me").await, 401, "unauthorized");
    try_in(&desk, "amy@example.org", new).await.expect(201);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_accepted_once() {
    let desk = TestDesk::start_fixed().await;
    let id = agent(&desk, "amy@example.org", "agent").await;
    let http = nobody(&desk);
    let before = invited(&desk, id).await;
    let token = invited(&desk, id).await;
    for bad in [
        "",
        " ",
        "pr_once_",
        "pr_once_x",
        &before,
        &token.replace("pr_once_", "pr_pat_"),
        &format!("{token} "),
    ] {
        let body = json!({"token": bad, "password": PASSWORD});
        let refused =
            problem(&http.post("/api/v1/invitations/accept", &body).await, 422, "validation_failed");
        assert_eq!(refused["errors"][0]["code"], "not_valid", "{bad:?}");
    }
    let other = json!({"token": token, "password": PASSWORD});
    problem(&http.post("/api/v1/password-resets/complete", &other).await, 422, "validation_failed");
    problem(
        &http.post("/api/v1/invitations/accept", &json!({"token": token, "password": "short"})).await,
        422,
        "validation_failed",
    );
    let mut all = JoinSet::new();
    for number in 0..16 {
        let (http, token) = (http.clone(), token.clone());
        all.spawn(async move {
            let body = json!({"token": token, "password": format!("{PASSWORD} {number}")});
            http.post("/api/v1/invitations/accept", &body).await.status
        });
    }
    let mut told = all.join_all().await;
    told.sort_unstable();
    assert_eq!(told[0], 201);
    assert!(told[1..].iter().all(|status| matches!(status, 422 | 503 | 429)), "{told:?}");
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM tokens WHERE kind = 'session'"), 1);
    let answer = desk.http.post(&format!("/api/v1/agents/{id}/invitation"), &Value::Null).await;
    problem(&answer, 409, "state_conflict");
    // A week, and not longer.
    let ben = agent(&desk, "ben@example.org", "agent").await;
    let token = invited(&desk, ben).await;
    desk.desk().advance_clock(Duration::from_hours(7 * 24));
    let late = json!({"token": token, "password": PASSWORD});
    problem(&http.post("/api/v1/invitations/accept", &late).await, 422, "validation_failed");
    desk.stop().await;
}

#[tokio::test]
async fn the_log_tells_who_signed_in_and_holds_no_secret() {
    let desk = TestDesk::start_fixed().await;
    let (id, http) = with_password(&desk, "amy@example.org", "agent").await;
    try_in(&desk, "amy@example.org", "a pier in the fig").await;
    try_in(&desk, PASSWORD, "amy@example.org").await;
    http.delete("/api/v1/me/session").await.expect(204);
    let log = desk.http.get("/api/v1/audit-log?limit=100").await.expect(200);
    let rows = log.json()["data"].as_array().expect("a list").clone();
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().expect("a word")).collect();
    assert_eq!(
        kinds,
        [
            "sign_in.signed_out",
            "sign_in.failed",
            "sign_in.failed",
            "sign_in.succeeded",
            "invitation.accepted",
            "invitation.made",
            "agent.created",
            "token.created"
        ]
    );
    assert_eq!(rows[2]["actor"]["id"], json!(id.to_string()));
    assert_eq!(rows[2]["data"]["reason"], "the password is wrong");
    assert_eq!(rows[2]["address"], "127.0.0.1");
    assert_eq!(rows[1]["actor"]["id"], Value::Null);
    for secret in [PASSWORD, "a pier in the fig", "pr_once_", "pr_pat_", "argon2"] {
        assert!(!log.text().contains(secret), "{secret}");
    }
    let seen = desk.desk().read(&Actor::system(), audit::verify).await.expect("the log can be read");
    assert_eq!((seen.rows, seen.fault), (8, None));
    desk.stop().await;
}
