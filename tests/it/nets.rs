//! Nets under every operation of the served document: what is not known is refused the same way
//! everywhere, and nothing of another mailbox is in any answer. A new operation is in them by
//! itself.

mod matrix;

use crate::problems::{any_problem, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::mail;

/// Operations that need no token. A new one is added here on purpose or not at all.
const PUBLIC: [&str; 13] = [
    "GET /api/v1/health/live",
    "GET /api/v1/health/ready",
    "GET /api/v1/oauth/callback",
    "GET /api/v1/public/schedules/{key}",
    "GET /api/v1/version",
    "GET /docs",
    "GET /docs/{file}",
    "GET /openapi-3.0.json",
    "GET /openapi.json",
    "POST /api/v1/invitations/accept",
    "POST /api/v1/password-resets",
    "POST /api/v1/password-resets/complete",
    "POST /api/v1/sign-in",
];

/// Operations that a signed link opens in place of a token.
const BY_LINK: [&str; 2] = ["GET /api/v1/attachments/{id}/content", "GET /api/v1/messages/{id}/html"];

const ATTACHMENT: &str = "att_0123456789abcdef0123456789abcdef";

const CANARY: &str = "canary-51c0";

/// An operation of the document.
#[derive(Debug)]
pub struct Operation {
    pub method: String,
    pub path: String,
    /// Media type and example of its body.
    pub body: Option<(String, Vec<u8>)>,
    pub parameters: Vec<String>,
    /// The document says that a signed link opens it.
    by_link: bool,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn is_public(&self) -> bool {
        PUBLIC.contains(&self.name().as_str())
    }

    /// Parameters without which it does nothing.
    fn query(&self) -> &'static str {
        if self.parameters.iter().any(|name| name == "filename") { "?filename=a.txt" } else { "" }
    }

    async fn call(&self, http: &Http, path: &str) -> Answer {
        let content: Vec<(&str, &str)> =
            self.body.iter().map(|(kind, _)| ("Content-Type", kind.as_str())).collect();
        let body = self.body.as_ref().map_or(&b""[..], |(_, example)| example);
        http.send(&self.method, path, &content, body).await
    }
}

pub async fn operations(http: &Http) -> Vec<Operation> {
    let document = http.get("/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.iter().next()).map(|(kind, body)| {
                let named = body["examples"].as_object().and_then(|all| all.values().next());
                let example = body.get("example").or_else(|| named.map(|named| &named["value"]));
                let bytes = match example {
                    Some(Value::String(text)) => text.clone().into_bytes(),
                    Some(other) => other.to_string().into_bytes(),
                    None => b"bytes".to_vec(),
                };
                (kind.clone(), bytes)
            });
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                body,
                by_link: operation["security"].to_string().contains("signed_link"),
                parameters: parameters
                    .filter(|parameter| parameter["in"] == "query")
                    .map(|parameter| parameter["name"].as_str().expect("a name").to_owned())
                    .collect(),
            });
        }
    }
    assert!(found.len() > 45, "{} operations", found.len());
    found
}

/// The path with an id that nothing has.
fn with_unknown_id(path: &str) -> String {
    let none = "0123456789abcdef0123456789abcdef";
    let id = match path.split('/').nth(3) {
        Some("attachments") => format!("att_{none}"),
        Some("tokens") => format!("tok_{none}"),
        Some("jobs") => format!("job_{none}"),
        _ => "4503599627370495".to_owned(),
    };
    path.replace("{id}", &id)
        .replace("{row}", "4503599627370495")
        .replace("{kind}", "acknowledgement")
        .replace("{language}", "en")
        .replace("{file}", "nothing.js")
        .replace("{key}", none)
}

#[tokio::test]
async fn without_a_token_there_is_only_what_is_public() {
    let desk = TestDesk::start().await;
    let nobody = Http::new(desk.address());
    let mut open = BTreeSet::new();
    let mut by_link = BTreeSet::new();
    let schedule = json!({"name": "Shown", "time_zone": "UTC", "is_public": true});
    let schedule = desk.http.post("/api/v1/schedules", &schedule).await.expect(201).json();
    let key = schedule["public_key"].as_str().expect("a key");
    for operation in operations(&desk.http).await {
        let path = operation
            .path
            .replace("{id}", "1")
            .replace("{row}", "1")
            .replace("{kind}", "acknowledgement")
            .replace("{language}", "en")
            .replace("{file}", "index.html");
        let path = path.replace("{key}", key);
        for http in [&nobody, &nobody.with_token("pr_pat_nonsense")] {
            let answer = operation.call(http, &path).await;
            if operation.is_public() {
                // `/docs` leads to its first page; whoever comes back from a provider brings a state.
                // Who signs in with the example is not let in; what the example opens with opens nothing.
                let refused = ["sign_in_failed", "validation_failed", "rate_limited"];
                let is_refused = operation.method == "POST"
                    && (answer.status == 202 || refused.iter().any(|code| answer.text().contains(code)));
                let is_known = matches!(answer.status, 200 | 302) || is_refused;
                let lacks_state = answer.status == 400 && operation.parameters.iter().any(|p| p == "state");
                assert!(is_known || lacks_state, "{}: {}", operation.name(), answer.status);
                open.insert(operation.name());
            } else {
                problem(&answer, 401, "unauthorized");
                assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer ")));
            }
        }
        // A signature that is none opens nothing, wherever it stands.
        let real =
            operation.path.replace("{id}", if path.contains("attachments") { ATTACHMENT } else { "1" });
        let forged = operation.call(&nobody, &format!("{real}?expires=99999999999&signature=AAAA")).await;
        if operation.by_link {
            problem(&forged, 401, "unauthorized");
            by_link.insert(operation.name());
        } else if !operation.is_public() {
            problem(&forged, 401, "unauthorized");
        }
    }
    assert_eq!(by_link.into_iter().collect::<Vec<_>>(), BY_LINK);
    assert_eq!(open.into_iter().collect::<Vec<_>>(), PUBLIC);
    desk.stop().await;
}

#[tokio::test]
async fn an_id_that_nothing_has_is_404() {
    let desk = TestDesk::start().await;
    let mut tried = 0;
    for operation in operations(&desk.http).await.iter().filter(|operation| operation.path.contains('{')) {
        let answer = operation.call(&desk.http, &with_unknown_id(&operation.path)).await;
        problem(&answer, 404, "not_found");
        for odd in ["0", "-1", "1.5", "x", "%00", "99999999999999999999", "tok_1", "1%27"] {
            let path = operation.path.replace("{id}", odd).replace("{row}", odd).replace("{file}", odd);
            let path = path.replace("{key}", odd).replace("{kind}", odd).replace("{language}", odd);
            let answer = operation.call(&desk.http, &path).await;
            problem(&answer, 404, "not_found");
        }
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
    desk.stop().await;
}

#[tokio::test]
async fn a_method_that_is_not_there_is_405_and_an_unknown_path_404() {
    let desk = TestDesk::start().await;
    let all = operations(&desk.http).await;
    let paths: BTreeSet<&String> = all.iter().map(|operation| &operation.path).collect();
    for path in paths {
        let known: Vec<&str> =
            all.iter().filter(|other| other.path == *path).map(|other| other.method.as_str()).collect();
        let real = path
            .replace("{id}", "1")
            .replace("{row}", "1")
            .replace("{kind}", "acknowledgement")
            .replace("{language}", "en")
            .replace("{file}", "index.html");
        for method in
            ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().filter(|method| !known.contains(method))
        {
            let answer = desk.http.send(method, &real, &[], b"").await;
            problem(&answer, 405, "method_not_allowed");
            let allow: Vec<&str> = answer.header("allow").expect("says what there is").split(", ").collect();
            assert!(known.iter().all(|known| allow.contains(known)), "{method} {path}: {allow:?}");
            assert!(!allow.contains(method), "{method} {path}: {allow:?}");
        }
        let below = desk.http.get(&format!("{real}/nothing/of/this/kind")).await;
        problem(&below, 404, "not_found");
    }
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/me",
        "/api/v1/conversation",
        "/.git/config",
        "/%2e%2e/x",
    ] {
        problem(&desk.http.get(path).await, 404, "not_found");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_400() {
    let desk = TestDesk::start().await;
    for operation in operations(&desk.http).await {
        let path = operation
            .path
            .replace("{id}", "1")
            .replace("{row}", "1")
            .replace("{kind}", "acknowledgement")
            .replace("{language}", "en")
            .replace("{file}", "index.html");
        // RFC 6749 section 4.1.2: providers add parameters of their own.
        let is_strict = operation.name() != "GET /api/v1/oauth/callback";
        for query in ["frobnicate=1", "Limit=5", "limit%20=5"].into_iter().filter(|_| is_strict) {
            let answer = operation.call(&desk.http, &format!("{path}?{query}")).await;
            let document = problem(&answer, 400, "bad_parameter");
            assert_eq!(document["accepted"], json!(operation.parameters), "{}", operation.name());
        }
        for twice in &operation.parameters {
            let answer = operation.call(&desk.http, &format!("{path}?{twice}=1&{twice}=1")).await;
            problem(&answer, 400, "bad_parameter");
        }
    }
    desk.stop().await;
}

/// Every list keeps the rules of lists: `limit`, `cursor`, `count`, the link to what follows. A new list is in here by
/// itself; where its path has an id, the test must know one.
#[tokio::test]
async fn every_list_keeps_the_rules_of_lists() {
    let desk = TestDesk::start().await;
    let http = &desk.http;
    let theirs = foreign(&desk).await;
    let hook = json!({"name": "hook", "url": "https://example.org/hook", "event_types": ["conversation.*"]});
    let hook = http.post("/api/v1/webhooks", &hook).await.expect(201).json()["id"].clone();
    for n in 0..3 {
        desk.mailbox(&format!("Box {n}"), &format!("box{n}@example.org")).await;
        for (path, body) in [
            ("/api/v1/agents", json!({"name": "A", "email": format!("a{n}@example.org"), "role": "admin"})),
            ("/api/v1/teams", json!({"name": format!("T{n}")})),
            ("/api/v1/tags", json!({"name": format!("tag{n}")})),
            ("/api/v1/views", json!({"name": format!("V{n}"), "q": "", "visibility": "everyone"})),
            ("/api/v1/categories", json!({"name": format!("C{n}")})),
            ("/api/v1/tokens", json!({"name": format!("t{n}"), "scopes": ["conversations:read"]})),
            ("/api/v1/customers", json!({"name": format!("N{n}")})),
            (
                "/api/v1/webhooks",
                json!({"name": format!("h{n}"), "url": format!("https://example.org/{n}"), "event_types": ["message.*"]}),
            ),
        ] {
            http.post(path, &body).await.expect(201);
        }
        let inbound = mail().from("Ada <ada@example.org>").subject("Again").text(&format!("Number {n}"));
        desk.receive(theirs.mailbox, &inbound).await;
        http.post(&format!("/api/v1/webhooks/{hook}/test"), &Value::Null).await.expect(202);
    }
    let bulk =
        json!({"select": {"ids": [theirs.conversation]}, "patch": {"priority": "high"}, "dry_run": true});
    let job = http.post("/api/v1/conversations/bulk", &bulk).await.expect(202).json()["id"].clone();
    let job = job.as_str().expect("a job has a name").to_owned();
    let agent = http.get("/api/v1/agents").await.expect(200).json()["data"][0]["id"].clone();
    let own = desk.client_of_agent(agent.as_i64().expect("a number")).await;
    let (mut lists, mut paged) = (Vec::new(), Vec::new());
    for operation in operations(http).await {
        let has = |name: &str| operation.parameters.iter().any(|known| known == name);
        // The feed of events is no list: it has no end, and `after` is a number that stays. Nor has an export one.
        let has_no_end = has("wait") || operation.path.contains("/export/");
        if operation.method != "GET" || !(has("limit") || has("cursor")) || has_no_end {
            continue;
        }
        let name = operation.name();
        assert!(has("limit") && has("cursor") && has("count"), "{name}: {:?}", operation.parameters);
        let noun = operation.path.split('/').nth(3).unwrap_or_default();
        let id = match noun {
            "conversations" => theirs.conversation.to_string(),
            "customers" => theirs.customer.to_string(),
            "webhooks" => hook.to_string(),
            "jobs" => job.clone(),
            "views" => "1".to_owned(),
            "agents" => agent.to_string(),
            _ => theirs.mailbox.to_string(),
        };
        let path = operation.path.replace("{id}", &id);
        // What somebody is notified of is their own.
        let http = if noun == "notifications" { &own } else { http };
        let first = http.get(&format!("{path}?limit=1&count=true")).await.expect(200);
        let page = first.json();
        let rows = page["data"].as_array().expect("rows").len();
        let total = page["page"]["total"].as_u64().unwrap_or_else(|| panic!("{name}: {page}"));
        assert!(page["page"]["total_exact"].is_boolean(), "{name}: {page}");
        assert_eq!(http.get(&path).await.expect(200).json()["page"].get("total"), None, "{name}");
        for (query, code) in [
            ("limit=0", "bad_parameter"),
            ("limit=101", "bad_parameter"),
            ("limit=x", "bad_parameter"),
            ("count=yes", "bad_parameter"),
            ("cursor=", "bad_parameter"),
            ("cursor=nonsense", "bad_cursor"),
        ] {
            problem(&http.get(&format!("{path}?{query}")).await, 400, code);
        }
        http.get(&format!("{path}?limit=100")).await.expect(200);
        let more = total > 1;
        assert_eq!((rows as u64, page["page"]["has_more"] == json!(true)), (total.min(1), more), "{name}");
        assert_eq!(page["page"]["next_cursor"].is_string(), more, "{name}");
        assert_eq!(first.header("link").is_some(), more, "{name}");
        if more {
            let link = first.header("link").expect("a link");
            let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            let second = http.get(next.unwrap_or_else(|| panic!("{name}: {link}"))).await.expect(200).json();
            assert_ne!(second["data"][0], page["data"][0], "{name}");
            assert_eq!(second["data"].as_array().expect("rows").len(), 1, "{name}");
            let cursor = page["page"]["next_cursor"].as_str().expect("a cursor");
            // It is this list's alone, and of no other order.
            let other = if path == "/api/v1/tags" { "/api/v1/teams" } else { "/api/v1/tags" };
            problem(&http.get(&format!("{other}?cursor={cursor}")).await, 400, "bad_cursor");
            if has("sort") {
                problem(&http.get(&format!("{path}?sort=id&cursor={cursor}")).await, 400, "bad_cursor");
            }
            paged.push(name.clone());
        }
        lists.push(name);
    }
    assert!(lists.len() >= 14, "{lists:?}");
    assert!(paged.len() >= 12, "only these have two pages: {paged:?}, of {lists:?}");
    desk.stop().await;
}

/// Ids of one mailbox and of what is in it, for the paths of the document.
struct Foreign {
    mailbox: i64,
    conversation: i64,
    message: i64,
    customer: i64,
    attachment: String,
}

async fn foreign(desk: &TestDesk) -> Foreign {
    let mailbox = desk.mailbox(CANARY, "theirs@example.org").await;
    let raw = mail()
        .from(&format!("{CANARY} <{CANARY}@customer.example>"))
        .to("theirs@example.org")
        .subject(&format!("About {CANARY}"))
        .text(&format!("The text of {CANARY}."))
        .html(&format!("<p>The page of {CANARY}</p>"))
        .attachment(&format!("{CANARY}.txt"), "text/plain", CANARY.as_bytes());
    let taken = desk.receive(mailbox, &raw).await;
    let (conversation, message) = (
        taken["conversation_id"].as_i64().expect("a number"),
        taken["message_id"].as_i64().expect("a number"),
    );
    let path = format!("/api/v1/conversations/{conversation}");
    let reply = json!({"kind": "reply", "text": format!("An answer to {CANARY}")});
    desk.http.post(&format!("{path}/messages"), &reply).await.expect(201);
    let customer = desk.http.get(&path).await.json()["customer_id"].as_i64().expect("a number");
    let view = desk.http.get(&format!("/api/v1/messages/{message}")).await.expect(200).json();
    let attachment = view["attachments"][0]["id"].as_str().expect("a file").to_owned();
    Foreign { mailbox, conversation, message, customer, attachment }
}

/// Everything of the foreign mailbox that an administrator sees, to tell whether it was touched.
async fn state(desk: &TestDesk, foreign: &Foreign) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        format!("mailboxes/{}", foreign.mailbox),
        format!("conversations/{}", foreign.conversation),
        format!("conversations/{}/messages", foreign.conversation),
        format!("customers/{}", foreign.customer),
    ] {
        all.push(desk.http.get(&format!("/api/v1/{path}")).await.expect(200).json());
    }
    all
}

#[tokio::test]
async fn nothing_of_another_mailbox_is_in_any_answer() {
    let desk = TestDesk::start().await;
    // The examples of the document name mailbox 1: let it be the one that must not be seen.
    let theirs = foreign(&desk).await;
    assert_eq!(theirs.mailbox, 1);
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "agent",
        "grants": [{"mailbox_id": ours, "level": "manage"}]});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().unwrap();
    // The answer that was captured is settled before anybody compares.
    desk.until(|| async {
        let list = format!("/api/v1/conversations/{}/messages", theirs.conversation);
        let messages = desk.http.get(&list).await.expect(200).json();
        (messages["data"][1]["delivery"]["state"] == "sent").then_some(())
    })
    .await;
    let before = state(&desk, &theirs).await;
    let mut bound = 0;
    for http in [desk.client(Scope::ALL, &[ours]).await, desk.client_of_agent(agent).await] {
        for operation in operations(&desk.http).await {
            let noun = operation.path.split('/').nth(3).unwrap_or_default();
            let id = match noun {
                "mailboxes" => theirs.mailbox.to_string(),
                "conversations" => theirs.conversation.to_string(),
                "messages" => theirs.message.to_string(),
                "customers" => theirs.customer.to_string(),
                "attachments" => theirs.attachment.clone(),
                "tokens" => "tok_0123456789abcdef0123456789abcdef".to_owned(),
                _ => "1".to_owned(),
            };
            let is_bound = operation.path.contains("{id}")
                && ["mailboxes", "conversations", "messages", "customers", "attachments"].contains(&noun);
            let path = operation
                .path
                .replace("{id}", &id)
                .replace("{row}", "1")
                .replace("{kind}", "acknowledgement")
                .replace("{language}", "en")
                .replace("{file}", "index.html")
                + operation.query();
            let answer = operation.call(&http, &path).await;
            let name = operation.name();
            assert!(answer.status < 500, "{name}: {}", answer.text());
            assert!(!answer.text().contains(CANARY), "{name}: {}", answer.text());
            assert!(!answer.headers.iter().any(|(_, value)| value.contains(CANARY)), "{name}");
            if is_bound {
                assert!(matches!(answer.status, 403 | 404), "{name}: {} {}", answer.status, answer.text());
                bound += 1;
            }
            if answer.status >= 400 {
                any_problem(&answer);
            }
        }
    }
    assert!(bound > 40, "{bound}");
    assert_eq!(state(&desk, &theirs).await, before, "nothing was touched");
    desk.stop().await;
}

/// Every answer to nonsense is a refusal that is whole, and none is a failure of ours.
#[tokio::test]
async fn nonsense_is_refused_and_never_our_failure() {
    let desk = TestDesk::start().await;
    foreign(&desk).await;
    let bodies: [&[u8]; 8] =
        [b"", b"{", b"null", b"[]", b"\"text\"", b"{\"nothing_like_this\":1}", b"\xff\xfe", b"[[[[[[[[[["];
    for operation in operations(&desk.http).await.iter().filter(|operation| operation.method != "GET") {
        // Words that could be ids, so that it is the body which is refused.
        let id =
            if operation.path.contains("/tokens/") { "tok_0123456789abcdef0123456789abcdef" } else { "1" };
        let path = operation
            .path
            .replace("{id}", id)
            .replace("{row}", "1")
            .replace("{kind}", "acknowledgement")
            .replace("{language}", "en")
            .replace("{source}", "shop")
            .replace("{external_id}", "881");
        let is_json = operation.body.as_ref().is_some_and(|(kind, _)| kind.ends_with("json"));
        // A mailbox is tried without a word, or told how.
        let may_be_left_out = operation.path.ends_with("/mailboxes/{id}/test");
        let is_nothing = |body: &[u8]| body.is_empty() || body == b"null";
        for body in bodies.into_iter().filter(|body| !(may_be_left_out && is_nothing(body))) {
            let headers = [("Content-Type", "application/json")];
            let answer = desk.http.send(&operation.method, &path, &headers, body).await;
            assert!(answer.status < 500, "{}: {}", operation.name(), answer.text());
            if answer.status >= 400 {
                any_problem(&answer);
            }
            assert!(!is_json || answer.status >= 400, "{} took {body:?}", operation.name());
        }
        if is_json {
            for kind in ["text/plain", "application/xml", "multipart/form-data; boundary=x"] {
                let answer = desk.http.send(&operation.method, &path, &[("Content-Type", kind)], b"{}").await;
                problem(&answer, 415, "unsupported_media_type");
            }
        }
    }
    desk.stop().await;
}

/// `UPDATE=1 cargo test` writes the file anew.
#[tokio::test]
async fn the_file_in_the_tree_is_what_is_served() {
    let desk = TestDesk::start().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let text = postroom_api::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept == text, "openapi/openapi.json has drifted; run UPDATE=1 cargo test -p postroom-tests");
    let served = desk.http.get("/openapi.json").await.expect(200).json();
    assert_eq!(served, serde_json::from_str::<Value>(&kept).unwrap());
    desk.stop().await;
}
