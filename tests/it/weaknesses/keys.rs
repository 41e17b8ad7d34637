//! Secrets that open something: blank ones, old ones, those of somebody who was sent away, and how many may be
//! asked for. V-33, V-35, V-46.

use crate::mailing::{count, database, sql};
use crate::problems::{faults, problem};
use crate::totp::{amy, try_in, with_codes};
use diesel::RunQueryDsl;
use postroom_core::id::AgentId;
use postroom_core::keys::sha256_hex;
use postroom_core::operations::passwords;
use postroom_core::store::conn::Conn;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::http::Http;
use tokio::task::JoinSet;

const PASSWORD: &str = "a pier in the fog";

/// What somebody may bring who has nothing.
const BLANK: [&str; 9] = ["", " ", "\t", "\u{a0}", "0", "null", "undefined", "pr_pat_", "pr_once_"];

fn nobody(desk: &TestDesk) -> Http {
    Http::new(desk.address())
}

/// What a row would hold that was made without a secret, and what its hash would be.
fn blank_hashes() -> Vec<String> {
    BLANK.iter().flat_map(|blank| [(*blank).to_owned(), sha256_hex(blank.as_bytes())]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blank_secrets_open_nothing_where_blank_hashes_lie() {
    let desk = TestDesk::start().await;
    let (_, session) = amy(&desk).await;
    let ben = json!({"name": "Ben", "email": "ben@example.org"});
    let ben = desk.http.post("/api/v1/agents", &ben).await.expect(201).json()["id"].as_i64().expect("an id");
    desk.write(move |cx| passwords::invite(cx, AgentId(ben))).await;
    let victim = json!({"name": "victim", "scopes": ["conversations:read"]});
    let victim = desk.http.post("/api/v1/tokens", &victim).await.expect(201).json();
    let id = victim["id"].as_str().expect("an id");
    for hash in blank_hashes() {
        sql(desk.config(), &format!("UPDATE tokens SET secret_hash = '{hash}' WHERE id = '{id}'"));
        sql(desk.config(), &format!("UPDATE one_time_secrets SET hash = '{hash}'"));
        for blank in BLANK {
            for value in [format!("Bearer {blank}"), format!("Bearer{blank}"), blank.to_owned()] {
                if value.is_ascii() {
                    let answer =
                        nobody(&desk).send("GET", "/api/v1/me", &[("Authorization", &value)], b"").await;
                    problem(&answer, 401, "unauthorized");
                }
            }
        }
    }
    // Looked at by themselves, for tries in vain are few.
    for (turn, blank) in BLANK.into_iter().enumerate() {
        if turn == 4 {
            sql(desk.config(), "DELETE FROM sign_in_tries");
        }
        for hash in [blank.to_owned(), sha256_hex(blank.as_bytes())] {
            sql(desk.config(), &format!("UPDATE one_time_secrets SET hash = '{hash}'"));
            for path in ["/api/v1/invitations/accept", "/api/v1/password-resets/complete"] {
                let answer = nobody(&desk).post(path, &json!({"token": blank, "password": PASSWORD})).await;
                assert_eq!(
                    faults(&answer),
                    [("/token".to_owned(), "not_valid".to_owned())],
                    "{path} {blank:?}"
                );
            }
        }
    }
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM one_time_secrets"), 1, "nobody took it");
    // Recovery codes.
    sql(desk.config(), "DELETE FROM sign_in_tries");
    with_codes(&desk, &session).await;
    sql(desk.config(), "DELETE FROM recovery_codes WHERE hash <> (SELECT min(hash) FROM recovery_codes)");
    for blank in ["", " ", "-", "\u{a0}"] {
        sql(desk.config(), "DELETE FROM sign_in_tries");
        for hash in [blank.to_owned(), String::new(), sha256_hex(blank.as_bytes()), sha256_hex(b"")] {
            sql(desk.config(), &format!("UPDATE recovery_codes SET hash = '{hash}'"));
            let answer = try_in(&desk, json!(blank)).await;
            assert!(matches!(answer.status, 401 | 422), "{blank:?}: {}", answer.text());
        }
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blank_states_and_keys_in_addresses_open_nothing() {
    let desk = TestDesk::start_with(Clock::System, |config| {
        config.server.public_url = Some("https://desk.example.org".parse().expect("an address"));
    })
    .await;
    let mailbox = json!({"name": "Support", "address": "support@example.org", "paused": true,
        "source": {"type": "imap", "host": "127.0.0.1", "port": 1, "security": "none",
            "username": "support@example.org", "auth": "oauth2"}, "delivery": {"type": "sink"}});
    let mailbox = desk.http.post("/api/v1/mailboxes", &mailbox).await.expect(201).json()["id"].clone();
    let begun =
        json!({"provider": "google", "grant": "authorization_code", "client_id": "x", "client_secret": "y"});
    desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/oauth"), &begun).await.expect(202);
    let schedule = json!({"name": "Shown", "time_zone": "UTC", "is_public": true});
    desk.http.post("/api/v1/schedules", &schedule).await.expect(201);
    for hash in [String::new(), sha256_hex(b""), " ".to_owned(), sha256_hex(b" ")] {
        sql(desk.config(), &format!("UPDATE authorization_flows SET state_hash = '{hash}'"));
        sql(desk.config(), &format!("UPDATE schedules SET public_key = '{hash}'"));
        for blank in ["", "%20", "%00", "%C2%A0"] {
            for more in ["code=x", "error=access_denied"] {
                let path = format!("/api/v1/oauth/callback?state={blank}&{more}");
                let answer = nobody(&desk).get(&path).await;
                assert!(answer.status >= 400, "{path}: {}", answer.text());
            }
            let answer = nobody(&desk).get(&format!("/api/v1/public/schedules/{blank}")).await;
            assert!(answer.status >= 400, "{blank}: {}", answer.text());
        }
    }
    let left = count(&desk, "SELECT count(*) AS count FROM authorization_flows WHERE state_hash IS NOT NULL");
    assert_eq!(left, 1, "nobody took it");
    desk.stop().await;
}

/// Whether the database refuses a statement.
fn is_refused(desk: &TestDesk, statement: &str) -> bool {
    match &mut database(desk.config()) {
        Conn::Postgres(conn) => diesel::sql_query(statement).execute(conn).is_err(),
        Conn::Sqlite(conn) => diesel::sql_query(statement).execute(conn).is_err(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_once_has_an_end_and_ends_to_the_second() {
    let desk = TestDesk::start_fixed().await;
    let agent = json!({"name": "Amy", "email": "amy@example.org"});
    let agent =
        desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().expect("an id");
    let secret = desk.write(move |cx| passwords::invite(cx, AgentId(agent))).await.secret;
    for column in ["expires_at", "hash", "agent_id"] {
        assert!(is_refused(&desk, &format!("UPDATE one_time_secrets SET {column} = NULL")), "{column}");
    }
    assert!(!is_refused(&desk, "UPDATE one_time_secrets SET expires_at = expires_at"), "others it takes");
    let week = Duration::from_hours(7 * 24);
    desk.desk().advance_clock(week.checked_sub(Duration::from_secs(1)).expect("a week is longer"));
    // A password that will not do shows that the secret would have.
    let short = json!({"token": secret, "password": "short"});
    let answer = nobody(&desk).post("/api/v1/invitations/accept", &short).await;
    assert_eq!(faults(&answer)[0].0, "/password");
    desk.desk().advance_clock(Duration::from_secs(1));
    for password in ["short", PASSWORD] {
        let late = json!({"token": secret, "password": password});
        let answer = nobody(&desk).post("/api/v1/invitations/accept", &late).await;
        assert_eq!(faults(&answer), [("/token".to_owned(), "not_valid".to_owned())]);
    }
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM agent_passwords"), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_has_no_token_no_session_and_no_stream() {
    let desk = TestDesk::start().await;
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "admin"});
    let agent =
        desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().expect("an id");
    let secret = desk.write(move |cx| passwords::invite(cx, AgentId(agent))).await.secret;
    let body = json!({"token": secret, "password": PASSWORD});
    let session = nobody(&desk).post("/api/v1/invitations/accept", &body).await.expect(201).json();
    let session = nobody(&desk).with_token(session["token"].as_str().expect("a token"));
    let token = desk.client_of_agent(agent).await;
    let mut streams = Vec::new();
    let mut tickets = Vec::new();
    for http in [&session, &token] {
        let ticket = http.post("/api/v1/events/ticket", &json!({})).await.expect(200).json();
        let url = ticket["url"].as_str().expect("an address").to_owned();
        streams.push(http.events("/api/v1/events/stream", &[]).await);
        streams.push(nobody(&desk).events(&url, &[]).await);
        tickets.push(url);
    }
    desk.http.patch(&format!("/api/v1/agents/{agent}"), &json!({"disabled": true})).await.expect(200);
    for stream in &mut streams {
        let told = stream.until(|event| event.name == "stream.closed").await.json();
        assert_eq!((&told["status"], &told["code"]), (&json!(401), &json!("unauthorized")), "{told}");
        assert!(stream.ends_well().await);
    }
    for http in [&session, &token] {
        for path in
            ["/api/v1/me", "/api/v1/conversations", "/api/v1/events/stream", "/api/v1/export/customers"]
        {
            problem(&http.get(path).await, 401, "unauthorized");
        }
        problem(&http.post("/api/v1/tags", &json!({"name": "x"})).await, 401, "unauthorized");
    }
    for url in &tickets {
        problem(&nobody(&desk).get(url).await, 401, "unauthorized");
    }
    let known = json!({"email": "amy@example.org", "password": PASSWORD});
    problem(&nobody(&desk).post("/api/v1/sign-in", &known).await, 401, "sign_in_failed");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_for_a_new_password_are_few_for_an_account_and_a_network() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    let mailbox = json!({"name": "Support", "address": "support@example.org", "source": {"type": "push"},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": support::ports::free(), "security": "none"}});
    desk.http.post("/api/v1/mailboxes", &mailbox).await.expect(201);
    amy(&desk).await;
    let invitations = count(&desk, "SELECT count(*) AS count FROM outbox");
    let address = desk.address();
    let ask = |from: String, email: String| async move {
        let body = json!({"email": email}).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", &*from)];
        Http::new(address).send("POST", "/api/v1/password-resets", &headers, body.as_bytes()).await
    };
    // Sixteen at once from everywhere: five.
    let mut all = JoinSet::new();
    for number in 0..16 {
        let asked = ask(format!("198.51.{number}.1"), "amy@example.org".to_owned());
        all.spawn(async move { asked.await.status });
    }
    let mut told = all.join_all().await;
    told.sort_unstable();
    assert_eq!(told, [[202; 5].as_slice(), &[429; 11]].concat());
    let count_of = "SELECT count(*) AS count FROM outbox";
    desk.until(|| async { (count(&desk, count_of) == invitations + 5).then_some(()) }).await;
    // Of each account that there is none of, too, and nobody sees which there are.
    for turn in 0..6 {
        let answer = ask(format!("198.51.{}.1", 100 + turn), "nobody@example.org".to_owned()).await;
        assert_eq!(answer.status, if turn < 5 { 202 } else { 429 });
    }
    // From one network, whatever they ask for.
    for turn in 0..21 {
        let answer = ask(format!("203.0.113.{turn}"), format!("nobody{turn}@example.org")).await;
        assert_eq!(answer.status, if turn < 20 { 202 } else { 429 }, "turn {turn}");
    }
    assert_eq!(ask("203.0.113.200".to_owned(), "amy@example.org".to_owned()).await.status, 429);
    let left: Value = desk.http.get("/api/v1/audit-log?kind=password_reset.*&limit=100").await.json();
    assert!(left.is_object(), "{left}");
    assert_eq!(count(&desk, count_of), invitations + 5, "nobody is flooded");
    desk.stop().await;
}
