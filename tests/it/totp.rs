//! Codes besides the password, and passwords that were forgotten.

use crate::problems::problem;
use postroom_core::id::AgentId;
use postroom_core::operations::passwords;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::{Answer, Http};
use tokio::task::JoinSet;
use totp_rs::{Builder, Secret, Totp};

const PASSWORD: &str = "a pier in the fog";

/// An agent with a password, and the session that accepting the invitation began.
pub async fn amy(desk: &TestDesk) -> (i64, Http) {
    let body = json!({"name": "Amy", "email": "amy@example.org"});
    let id =
        desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"].as_i64().expect("a number");
    let secret = desk.write(move |cx| passwords::invite(cx, AgentId(id))).await.secret;
    let body = json!({"token": secret, "password": PASSWORD});
    let session = nobody(desk).post("/api/v1/invitations/accept", &body).await.expect(201).json();
    (id, nobody(desk).with_token(session["token"].as_str().expect("a token")))
}

fn nobody(desk: &TestDesk) -> Http {
    Http::new(desk.address())
}

/// A try to sign in as that agent with a code.
pub async fn try_in(desk: &TestDesk, code: Value) -> Answer {
    let body = json!({"email": "amy@example.org", "password": PASSWORD, "code": code});
    nobody(desk).post("/api/v1/sign-in", &body).await
}

/// The program that shows codes, as its owner's telephone would have it.
fn program(begun: &Value) -> Totp {
    let secret = Secret::try_from_base32(begun["secret"].as_str().expect("a secret")).expect("base 32");
    assert!(begun["uri"].as_str().expect("an address").starts_with("otpauth://totp/"), "{begun}");
    Builder::new()
        .with_secret(secret.as_bytes().to_vec())
        .with_account_name("amy@example.org".to_owned())
        .build()
        .expect("a program")
}

/// The code that a program shows so many steps of 30 seconds from now.
pub fn code(program: &Totp, desk: &TestDesk, steps: i64) -> String {
    let at = desk.desk().now().as_seconds() + 30 * steps;
    program.generate(u64::try_from(at).expect("after 1970")).to_string()
}

/// Turns codes on.
pub async fn with_codes(desk: &TestDesk, http: &Http) -> (Totp, Vec<String>) {
    let begun = http.post("/api/v1/me/totp", &json!({"password": PASSWORD})).await.expect(201).json();
    let program = program(&begun);
    let first = json!({"code": code(&program, desk, 0)});
    let told = http.post("/api/v1/me/totp/confirm", &first).await.expect(200).json();
    let codes = told["recovery_codes"].as_array().expect("a list");
    (program, codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect())
}

#[tokio::test]
async fn a_code_is_asked_for_and_taken_once() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |_| {}).await;
    let (_, http) = amy(&desk).await;
    let wrong = http.post("/api/v1/me/totp", &json!({"password": "a pier in the fig"})).await;
    problem(&wrong, 422, "validation_failed");
    http.post("/api/v1/me/totp", &json!({"password": PASSWORD})).await.expect(201);
    try_in(&desk, Value::Null).await.expect(201);
    let (program, recovery) = with_codes(&desk, &http).await;
    assert_eq!(recovery.len(), 10);
    problem(&try_in(&desk, Value::Null).await, 401, "code_required");
    // The code that turned them on was taken then.
    problem(&try_in(&desk, json!(code(&program, &desk, 0))).await, 401, "sign_in_failed");
    problem(&try_in(&desk, json!(code(&program, &desk, 2))).await, 401, "sign_in_failed");
    let next = code(&program, &desk, 1);
    try_in(&desk, json!(next)).await.expect(201);
    problem(&try_in(&desk, json!(next)).await, 401, "sign_in_failed");
    desk.desk().advance_clock(Duration::from_mins(2));
    let late = code(&program, &desk, -1);
    try_in(&desk, json!(format!("{} {}", &late[..3], &late[3..]))).await.expect(201);
    problem(&try_in(&desk, json!(code(&program, &desk, -2))).await, 401, "sign_in_failed");
    // A recovery code, once.
    try_in(&desk, json!(recovery[0].to_uppercase())).await.expect(201);
    problem(&try_in(&desk, json!(recovery[0])).await, 401, "sign_in_failed");
    let status = http.get("/api/v1/me/totp").await.expect(200).json();
    assert_eq!(status, json!({"enabled": true, "recovery_codes_left": 9}));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_lets_one_in_of_many_at_once() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |_| {}).await;
    let (_, http) = amy(&desk).await;
    let (program, recovery) = with_codes(&desk, &http).await;
    for code in [code(&program, &desk, 1), recovery[3].clone()] {
        let mut all = JoinSet::new();
        for _ in 0..16 {
            let (http, code) = (nobody(&desk), code.clone());
            all.spawn(async move {
                let body = json!({"email": "amy@example.org", "password": PASSWORD, "code": code});
                http.post("/api/v1/sign-in", &body).await.status
            });
        }
        let told = all.join_all().await;
        assert_eq!(told.iter().filter(|status| **status == 201).count(), 1, "{told:?}");
        assert!(told.iter().all(|status| matches!(status, 201 | 401 | 429)), "{told:?}");
        desk.desk().advance_clock(Duration::from_mins(15));
    }
    desk.stop().await;
}

#[tokio::test]
async fn codes_are_turned_off_with_password_and_code_or_by_an_administrator() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |_| {}).await;
    let (id, http) = amy(&desk).await;
    let (program, recovery) = with_codes(&desk, &http).await;
    problem(&http.post("/api/v1/me/totp", &json!({"password": PASSWORD})).await, 422, "validation_failed");
    let renewed = json!({"password": PASSWORD, "code": recovery[0]});
    let renewed = http.post("/api/v1/me/totp/recovery-codes", &renewed).await.expect(200).json();
    assert!(!renewed["recovery_codes"].as_array().expect("a list").contains(&json!(recovery[1])));
    for bad in [
        json!({"password": PASSWORD, "code": recovery[1]}),
        json!({"password": "no", "code": code(&program, &desk, 1)}),
    ] {
        problem(&http.post("/api/v1/me/totp/disable", &bad).await, 422, "validation_failed");
    }
    let good = json!({"password": PASSWORD, "code": code(&program, &desk, 1)});
    http.post("/api/v1/me/totp/disable", &good).await.expect(204);
    try_in(&desk, Value::Null).await.expect(201);
    desk.desk().advance_clock(Duration::from_mins(15));
    with_codes(&desk, &http).await;
    problem(&try_in(&desk, Value::Null).await, 401, "code_required");
    problem(&http.delete(&format!("/api/v1/agents/{id}/totp")).await, 403, "insufficient_scope");
    desk.http.delete(&format!("/api/v1/agents/{id}/totp")).await.expect(204);
    try_in(&desk, Value::Null).await.expect(201);
    desk.stop().await;
}

/// Who knows the password guesses nothing, whatever becomes of what they ask for.
#[tokio::test]
async fn a_right_password_is_no_try_in_vain_where_something_else_is_wrong() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |_| {}).await;
    let (_, http) = amy(&desk).await;
    for _ in 0..12 {
        let renewed = http
            .post("/api/v1/me/totp/recovery-codes", &json!({"password": PASSWORD, "code": "000000"}))
            .await;
        problem(&renewed, 409, "state_conflict");
    }
    try_in(&desk, Value::Null).await.expect(201);
    desk.stop().await;
}
