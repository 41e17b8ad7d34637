//! What a request says of itself beside its token: its host, its proxies, its origin. V-37, V-38, V-42.

use super::exchange;
use crate::mailing::{add, arrive, smtp};
use crate::nets::operations;
use crate::problems::problem;
use postroom::Config;
use postroom_core::id::AgentId;
use postroom_core::operations::passwords;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use support::desk::{BEGINNING, TestDesk};
use support::http::{Answer, Http};
use support::mail::mail;
use support::smtp::SmtpSink;

const PUBLIC: &str = "https://desk.example.org/help";
const RESET: &str = "https://app.example.org/new-password";
const FOR: &str = "X-Forwarded-For";

/// Everything that was ever believed to say where a request was sent.
const FOREIGN: [(&str, &str); 8] = [
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Host", "evil.example"),
    ("X-Original-Host", "evil.example"),
    ("X-Rewrite-URL", "/evil.example"),
    ("X-Original-URL", "/evil.example"),
    ("Forwarded", "host=evil.example;proto=gopher"),
];

fn with_addresses(config: &mut Config) {
    let url = |text: &str| Some(serde_json::from_value(Value::from(text)).expect("an address"));
    config.server.public_url = url(PUBLIC);
    config.sign_in.reset_url = url(RESET);
    config.sign_in.invitation_url = url(RESET);
}

/// A request as it goes over the wire, with a host of one's own.
fn request(
    method: &str,
    target: &str,
    host: &str,
    more: &[(&str, &str)],
    token: &str,
    body: &str,
) -> Vec<u8> {
    let mut lines =
        vec![format!("{method} {target} HTTP/1.1"), format!("Host: {host}"), "X-Request-Id: same".to_owned()];
    for (name, value) in more.iter().copied().chain([("Authorization", token), ("Connection", "close")]) {
        if !value.is_empty() {
            lines.push(format!("{name}: {value}"));
        }
    }
    if !body.is_empty() {
        lines.push(format!("Content-Type: application/json\r\nContent-Length: {}", body.len()));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// An answer without the hour at which it was given, its headers in order.
fn timeless(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut headers: Vec<&str> = headers.split("\r\n").filter(|line| !line.starts_with("date:")).collect();
    headers.sort_unstable();
    format!("{status}\n{}\n\n{body}", headers.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_changes_no_byte_of_any_answer() {
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), with_addresses).await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let landed =
        arrive(&desk, mailbox, &mail().html("<p>Hello</p>").attachment("a.txt", "text/plain", b"x")).await;
    let made = json!({"name": "other", "scopes": ["conversations:read", "customers:read", "events:read", "admin:read"]});
    let made = desk.http.post("/api/v1/tokens", &made).await.expect(201).json();
    let token = format!("Bearer {}", made["token"].as_str().expect("a token"));
    for (method, path) in [
        ("GET", format!("/api/v1/messages/{}", landed.message)),
        ("GET", format!("/api/v1/messages/{}/html", landed.message)),
        ("GET", format!("/api/v1/conversations/{}", landed.conversation)),
        ("GET", "/api/v1/conversations?limit=1&count=true".to_owned()),
        ("GET", format!("/api/v1/conversations/{}/messages", landed.conversation)),
        ("GET", "/api/v1/mailboxes".to_owned()),
        ("GET", "/api/v1/events".to_owned()),
        ("GET", "/api/v1/me".to_owned()),
        ("GET", "/api/v1/nothing".to_owned()),
        ("DELETE", "/api/v1/me".to_owned()),
        ("POST", "/api/v1/tags".to_owned()),
        ("GET", "/api/v1/oauth/callback?state=x&code=y".to_owned()),
        ("GET", "/docs".to_owned()),
        ("GET", "/docs/".to_owned()),
        ("GET", "/docs/index.html".to_owned()),
        ("GET", "/openapi.json".to_owned()),
    ] {
        let own =
            exchange(desk.address(), &request(method, &path, "desk.example.org", &[], &token, "")).await;
        let own = timeless(&own);
        assert!(own.starts_with("HTTP/1.1 "), "{method} {path}: {own}");
        for host in ["evil.example", "evil.example:443", "desk.example.org.evil.example", "localhost"] {
            let foreign = request(method, &path, host, &FOREIGN, &token, "");
            assert_eq!(timeless(&exchange(desk.address(), &foreign).await), own, "{method} {path} at {host}");
        }
        // A target may name a host as well (RFC 9112 3.2.2).
        let absolute =
            request(method, &format!("http://evil.example{path}"), "evil.example", &FOREIGN, &token, "");
        let answer = timeless(&exchange(desk.address(), &absolute).await);
        assert!(!answer.contains("evil.example") || path == "/api/v1/nothing", "{method} {path}: {answer}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_mails_come_from_the_configuration_whatever_host_is_said() {
    let sink = SmtpSink::start();
    let desk = TestDesk::start_with(Clock::fixed(BEGINNING), with_addresses).await;
    add(&desk, json!({"type": "push"}), smtp(&sink)).await;
    let agent = json!({"name": "Amy", "email": "amy@example.org"});
    let agent =
        desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().expect("an id");
    let invited = desk.write(move |cx| passwords::invite(cx, AgentId(agent))).await;
    assert!(invited.mailed);
    let mut mails = vec![sink.next().await];
    let body = json!({"token": invited.secret, "password": "a pier in the fog"});
    Http::new(desk.address()).post("/api/v1/invitations/accept", &body).await.expect(201);
    for host in ["desk.example.org", "evil.example"] {
        let body = json!({"email": "amy@example.org"}).to_string();
        let more = if host == "evil.example" { &FOREIGN[..] } else { &[] };
        let asked = request("POST", "/api/v1/password-resets", host, more, "", &body);
        let answer = exchange(desk.address(), &asked).await;
        assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer));
        mails.push(sink.next().await);
    }
    for captured in &mails {
        // Lines are broken and signs written as their numbers on the way (RFC 2045 6.7).
        let text = captured.text().replace("=\r\n", "").replace("=3D", "=");
        assert!(text.contains(&format!("{RESET}#token=pr_once_")), "{text:?}");
        assert!(!text.contains("evil") && !text.contains("gopher"), "{text:?}");
    }
    desk.stop().await;
}

/// From behind proxies: each header line as it is.
async fn from_behind(http: &Http, headers: &[(&str, &str)]) -> Answer {
    http.send("GET", "/api/v1/me", headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_forwarded_by_trusted_proxies_alone() {
    for trusts in [false, true] {
        let desk = TestDesk::start_with(Clock::fixed(BEGINNING), |config| {
            if trusts {
                config.server.trusted_proxies =
                    ["127.0.0.1/32", "10.0.0.0/8"].map(|net| net.parse().expect("a network")).to_vec();
            }
        })
        .await;
        let bound = json!({"name": "bound", "scopes": ["conversations:read"], "allowed_networks": ["198.51.100.0/24"]});
        let bound = desk.http.post("/api/v1/tokens", &bound).await.expect(201).json();
        let bound = Http::new(desk.address()).with_token(bound["token"].as_str().expect("a token"));
        for (headers, is_inside) in [
            (&[(FOR, "198.51.100.7")][..], true),
            (&[(FOR, "6.6.6.6, 198.51.100.7, 10.1.1.1")], true),
            (&[(FOR, "6.6.6.6"), (FOR, "198.51.100.7"), (FOR, "10.1.1.1,10.2.2.2")], true),
            (&[(FOR, "[::ffff:198.51.100.7]:4711")], true),
            // Whom the last proxy that is trusted saw counts, and no name before that.
            (&[(FOR, "198.51.100.7, 6.6.6.6")], false),
            (&[(FOR, "198.51.100.7, 6.6.6.6, 10.1.1.1")], false),
            (&[(FOR, "198.51.100.7, garbage")], false),
            (&[(FOR, "198.51.100.7,")], false),
            (&[("Forwarded", "for=198.51.100.7")], false),
            (&[("X-Real-IP", "198.51.100.7")], false),
            (&[("CF-Connecting-IP", "198.51.100.7")], false),
            (&[("True-Client-IP", "198.51.100.7"), ("X-Client-IP", "198.51.100.7")], false),
            (&[("X-Forwarded", "198.51.100.7"), ("X-Cluster-Client-IP", "198.51.100.7")], false),
        ] {
            let answer = from_behind(&bound, headers).await;
            if trusts && is_inside {
                answer.expect(200);
            } else {
                problem(&answer, 401, "unauthorized");
            }
        }
        // Nobody is somebody by what a proxy would say after a sign-on of its own.
        let names = [
            ("X-Remote-User", "test"),
            ("Remote-User", "test"),
            ("X-Forwarded-User", "test"),
            ("X-Token", "x"),
        ];
        problem(&from_behind(&Http::new(desk.address()), &names).await, 401, "unauthorized");

        let headers = [("Content-Type", "application/json"), (FOR, "6.6.6.6, 203.0.113.9, 10.1.1.1")];
        desk.http.send("POST", "/api/v1/teams", &headers, br#"{"name": "One"}"#).await.expect(201);
        let log = desk.http.get("/api/v1/audit-log?limit=1").await.expect(200).json();
        assert_eq!(log["data"][0]["address"], if trusts { "203.0.113.9" } else { "127.0.0.1" });

        // Tries are counted where they come from, whatever they say of it.
        for turn in 0..21 {
            let (address, email) = (format!("203.0.{turn}.1"), format!("nobody{turn}@example.org"));
            let headers = [("Content-Type", "application/json"), (FOR, &*address), ("X-Real-IP", &*address)];
            let body = json!({"email": email, "password": "a pier in the fog"}).to_string();
            let http = Http::new(desk.address());
            let answer = http.send("POST", "/api/v1/sign-in", &headers, body.as_bytes()).await;
            let is_too_much = !trusts && turn == 20;
            assert_eq!(answer.status, if is_too_much { 429 } else { 401 }, "turn {turn}");
        }
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_sets_a_cookie_opens_to_other_origins_or_leads_elsewhere() {
    let desk = TestDesk::start_with(Clock::System, with_addresses).await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    arrive(&desk, mailbox, &mail().html("<p>Hello</p>")).await;
    let nobody = Http::new(desk.address());
    let mut tried = 0;
    for operation in operations(&desk.http).await {
        let path = ["id", "row"]
            .iter()
            .fold(operation.path.clone(), |path, id| path.replace(&format!("{{{id}}}"), "1"));
        let path = path
            .replace("{kind}", "acknowledgement")
            .replace("{language}", "en")
            .replace("{file}", "index.html");
        let path = path.replace("{key}", "nothing");
        let kind = operation.body.as_ref().map_or("application/json", |(kind, _)| kind);
        let body = operation.body.as_ref().map_or(&b""[..], |(_, example)| example);
        let headers = [
            ("Content-Type", kind),
            ("Origin", "https://evil.example"),
            ("Referer", "https://evil.example/"),
            ("Cookie", "session=pr_pat_x; token=x"),
        ];
        let elsewhere = "https%3A%2F%2Fevil.example%2F";
        for query in ["", "next", "redirect_uri", "return_to", "url", "continue"] {
            let path = if query.is_empty() { path.clone() } else { format!("{path}?{query}={elsewhere}") };
            for http in [&desk.http, &nobody] {
                let answer = http.send(&operation.method, &path, &headers, body).await;
                let told = format!("{} {path}: {:?}", operation.name(), answer.headers);
                for (name, value) in &answer.headers {
                    assert!(name != "set-cookie" && !name.starts_with("access-control-"), "{told}");
                    assert!(!value.contains("evil.example"), "{told}");
                }
                assert!(query.is_empty() || answer.status >= 400, "{told}");
                if matches!(answer.status, 301..=303 | 305..=399) {
                    assert_eq!(
                        (&*operation.path, answer.header("location")),
                        ("/docs", Some("docs/index.html"))
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
    // A cookie is no token.
    let headers = [("Cookie", "token=pr_pat_x"), ("X-Requested-With", "XMLHttpRequest")];
    problem(&from_behind(&nobody, &headers).await, 401, "unauthorized");
    desk.stop().await;
}
