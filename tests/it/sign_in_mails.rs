//! What is mailed to people who sign in, as it arrives: its links work, once, for the one it went to.

use crate::mailing::*;
use crate::problems::problem;
use crate::program::Shell;
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_core::time::Clock;
use postroom_ingest::reader::Reader;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::Http;
use support::smtp::{Captured, SmtpSink};

const PASSWORD: &str = "a lamp on the pier";

/// A desk whose one mailbox can send, and whose mails lead to a frontend.
async fn desk_and_sink() -> (TestDesk, SmtpSink, Http) {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |config| {
        config.sign_in.reset_url = "https://app.example.org/new-password".parse().ok();
        config.sign_in.invitation_url = "https://app.example.org/welcome".parse().ok();
    })
    .await;
    let sink = SmtpSink::start();
    pushed(&desk, json!({"delivery": smtp(&sink)})).await;
    let nobody = Http::new(desk.address());
    (desk, sink, nobody)
}

/// The secret behind `#token=` of the one link that leads to this page.
fn secret(mail: &Captured, page: &str) -> String {
    let text = Reader::default().read(&mail.raw, &ReadContext::default()).text;
    let mut links = text.split_whitespace().filter_map(|word| word.strip_prefix(&format!("{page}#token=")));
    let (Some(secret), None) = (links.next(), links.next()) else { panic!("one link to {page}: {text}") };
    secret.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_mailed_set_passwords() {
    let (desk, sink, nobody) = desk_and_sink().await;
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "agent"});
    let agent = number(&desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"]);
    let invite = format!("/api/v1/agents/{agent}/invitation");
    let told = desk.http.post(&invite, &Value::Null).await.expect(201);
    assert_eq!(told.json()["mailed"], true);
    let invitation = sink.next().await;
    assert_eq!(invitation.to, ["amy@example.org"]);
    let first = secret(&invitation, "https://app.example.org/welcome");
    assert!(!told.text().contains(&first), "it is in the mail alone");
    let accept = |token: &str| json!({"token": token, "password": PASSWORD});
    let session = nobody.post("/api/v1/invitations/accept", &accept(&first)).await.expect(201).json();
    assert_eq!(session["agent_id"], agent);
    problem(&nobody.post("/api/v1/invitations/accept", &accept(&first)).await, 422, "validation_failed");

    // For a stranger there is the same answer and no mail.
    for email in ["eve@example.org", "amy@example.org"] {
        let asked = nobody.post("/api/v1/password-resets", &json!({"email": email})).await.expect(202);
        assert_eq!(asked.text(), "");
    }
    let reset = sink.next().await;
    assert_eq!((&reset.to[..], sink.mails().len()), (&["amy@example.org".to_owned()][..], 2));
    let second = secret(&reset, "https://app.example.org/new-password");
    let other = json!({"token": second, "password": "another lamp, another pier"});
    let was = Http::new(desk.address()).with_token(session["token"].as_str().expect("a token"));
    was.get("/api/v1/me").await.expect(200);
    nobody.post("/api/v1/password-resets/complete", &other).await.expect(204);
    was.get("/api/v1/me").await.expect(401);
    problem(&nobody.post("/api/v1/password-resets/complete", &other).await, 422, "validation_failed");
    let sign_in = |password: &str| json!({"email": "amy@example.org", "password": password});
    problem(&nobody.post("/api/v1/sign-in", &sign_in(PASSWORD)).await, 401, "sign_in_failed");
    nobody.post("/api/v1/sign-in", &sign_in("another lamp, another pier")).await.expect(201);
    // An hour, and not longer.
    nobody.post("/api/v1/password-resets", &json!({"email": "amy@example.org"})).await.expect(202);
    let late = secret(&sink.next().await, "https://app.example.org/new-password");
    desk.desk().advance_clock(Duration::from_hours(1));
    let late = json!({"token": late, "password": PASSWORD});
    problem(&nobody.post("/api/v1/password-resets/complete", &late).await, 422, "validation_failed");
    desk.stop().await;
}

#[test]
fn the_shell_invites_and_shows_the_audit_log() {
    let shell = Shell::new();
    let id = shell.run(&["agent", "create", "--name", "Amy", "--email", "amy@example.org"]).well();
    let id = id.out.trim();
    let made = shell.run(&["agent", "invite", id, "-o", "json"]).well();
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    assert_eq!((made["agent_id"].to_string().as_str(), &made["mailed"]), (id, &json!(false)));
    let plain = shell.run(&["agent", "invite", id]).well().out;
    assert!(plain.starts_with("pr_once_") && plain.lines().count() == 1, "the secret alone: {plain}");
    assert_ne!(made["token"], plain.trim());
    assert!(shell.run(&["agent", "invite", "999"]).refusal().contains("no such agent"));

    let list = shell.run(&["audit", "list", "--kind", "invitation.made", "-o", "json"]).well();
    let rows: Value = serde_json::from_str(&list.out).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert!(!list.out.contains("pr_once_"));
    let table = shell.run(&["audit", "list", "--limit", "2"]).well().out;
    assert_eq!(table.lines().count(), 3, "a heading and two rows: {table}");
    let whole = shell.run(&["audit", "verify"]).well().out;
    assert!(whole.contains("3 rows were read") && whole.contains("the log is whole"), "{whole}");
    // Somebody at the database makes it another one.
    let conn = &mut postroom_core::store::conn::open(&shell.database()).expect("it is there");
    touch(conn, "UPDATE audit_log SET kind = 'sign_in.succeeded' WHERE id = 2");
    let bent = shell.run(&["audit", "verify"]);
    assert_eq!(bent.code, Some(1), "{bent:?}");
    assert!(bent.out.contains("row 2: "), "{bent:?}");
}

fn touch(conn: &mut postroom_core::store::conn::Conn, statement: &str) {
    use diesel::connection::SimpleConnection;
    conn.batch_execute(statement).expect("it can be changed");
}
