//! Who may do what: roles, tokens that are bound to networks, tokens that only create, and acting for others
//! (V-31 to V-35).

use crate::problems::{faults, problem};
use postroom_core::access::{Role, Scope};
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;

async fn agent(desk: &TestDesk, name: &str, more: Value) -> i64 {
    let mut body = json!({"name": name, "email": format!("{name}@example.org")});
    for (member, value) in more.as_object().expect("members") {
        body[member] = value.clone();
    }
    desk.http.post("/api/v1/agents", &body).await.expect(201).json()["id"].as_i64().expect("a number")
}

async fn token(desk: &TestDesk, body: Value) -> Http {
    let made = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    Http::new(desk.address()).with_token(made["token"].as_str().expect("a secret"))
}

fn begin(mailbox: i64) -> Value {
    json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "ada@example.net", "name": "Ada"},
        "message": {"kind": "inbound", "text": "Where is it?"}})
}

async fn conversation(desk: &TestDesk, mailbox: i64) -> i64 {
    let made = desk.http.post("/api/v1/conversations", &begin(mailbox)).await.expect(201).json();
    made["id"].as_i64().expect("a number")
}

#[tokio::test]
async fn each_role_may_do_just_what_it_says() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    let (here, there) = (conversation(&desk, ours).await, conversation(&desk, theirs).await);
    let at = |id: i64| format!("/api/v1/conversations/{id}");
    let note = json!({"kind": "note", "text": "She called."});
    let draft = json!({"kind": "reply", "text": "It left.", "draft": true});
    let reply = json!({"kind": "reply", "text": "It left today."});
    let (add, closed) = (json!({"add": ["late"]}), json!({"status": "closed"}));
    let role = json!({"name": "Mine", "scopes": ["conversations:read"]});
    // What each may do, in the order of the columns.
    let table = [
        ("owner", [201, 200, 201, 200, 201, 200, 200, 200, 201]),
        ("admin", [201, 200, 201, 200, 201, 200, 200, 200, 201]),
        ("supervisor", [201, 200, 201, 200, 201, 200, 200, 200, 403]),
        ("agent", [201, 200, 201, 200, 201, 404, 403, 403, 403]),
        ("light_agent", [201, 200, 403, 403, 403, 404, 403, 403, 403]),
    ];
    for (name, expected) in table {
        let grants = json!([{"mailbox_id": ours, "level": "reply"}]);
        let id = agent(&desk, name, json!({"role": name, "grants": grants})).await;
        let http = desk.client_of_agent(id).await;
        let tag = desk.http.post("/api/v1/tags", &json!({"name": format!("tag of {name}")})).await;
        let tag = format!("/api/v1/tags/{}", tag.expect(201).json()["id"]);
        let mut role = role.clone();
        role["name"] = json!(format!("role of {name}"));
        let told = [
            http.post(&format!("{}/messages", at(here)), &note).await.status,
            http.post(&format!("{}/tags", at(here)), &add).await.status,
            http.post(&format!("{}/messages", at(here)), &draft).await.status,
            http.patch(&at(here), &closed).await.status,
            http.post(&format!("{}/messages", at(here)), &reply).await.status,
            http.get(&at(there)).await.status,
            http.patch(&tag, &json!({"name": format!("renamed by {name}")})).await.status,
            http.get("/api/v1/tokens").await.status,
            http.post("/api/v1/roles", &role).await.status,
        ];
        assert_eq!(told, expected, "{name}");
        let me = http.get("/api/v1/me").await.expect(200).json();
        assert!(!me["scopes"].as_array().expect("a list").contains(&json!("impersonate")), "{me}");
    }
    // A supervisor sees the set-up, and of the tokens their own.
    let id = agent(&desk, "sue", json!({"role": "supervisor"})).await;
    let sue = desk.client_of_agent(id).await;
    let seen = sue.get("/api/v1/tokens?limit=100").await.expect(200).json();
    let whose: Vec<&Value> =
        seen["data"].as_array().unwrap().iter().map(|token| &token["agent_id"]).collect();
    assert_eq!(whose, [&json!(id)]);
    let path = format!("/api/v1/mailboxes/{ours}");
    sue.get(&path).await.expect(200);
    let refused = sue.patch(&path, &json!({"name": "Mine"})).await;
    assert_eq!(problem(&refused, 403, "insufficient_scope")["required_scope"], "admin:write");
    desk.stop().await;
}

#[tokio::test]
async fn a_desk_has_roles_of_its_own() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let here = conversation(&desk, ours).await;
    let listed = desk.http.get("/api/v1/roles").await.expect(200).json();
    let names: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["owner", "admin", "supervisor", "agent", "light_agent"]);
    for role in Role::BUILT_IN {
        let path = format!("/api/v1/roles/{}", role.id().unwrap());
        let seen = desk.http.get(&path).await.expect(200).json();
        assert_eq!((&seen["name"], &seen["built_in"]), (&json!(role.as_str()), &json!(true)));
        problem(&desk.http.patch(&path, &json!({"name": "boss"})).await, 409, "state_conflict");
        problem(&desk.http.delete(&path).await, 409, "state_conflict");
    }
    let reader = json!({"name": "Reader", "scopes": ["conversations:read"], "sees_all": true});
    let made = desk.http.post("/api/v1/roles", &reader).await.expect(201);
    let (etag, made) = (made.header("etag").unwrap().to_owned(), made.json());
    assert!(made["id"].as_i64().unwrap() > 100, "{made}");
    let path = format!("/api/v1/roles/{}", made["id"]);
    for taken in ["reader", "OWNER", "custom"] {
        let again = json!({"name": taken, "scopes": ["conversations:read"]});
        problem(&desk.http.post("/api/v1/roles", &again).await, 409, "already_exists");
    }
    for (wrong, pointer) in [
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": " ", "scopes": ["conversations:read"]}), "/name"),
        (json!({"name": "x", "scopes": ["impersonate"]}), "/scopes/0"),
    ] {
        let refused = desk.http.post("/api/v1/roles", &wrong).await;
        assert_eq!(faults(&refused)[0].0, pointer, "{wrong}");
    }
    // An agent has it, whatever their token was given.
    let id = agent(&desk, "rea", json!({"role_id": made["id"]})).await;
    let at = format!("/api/v1/agents/{id}");
    let seen = desk.http.get(&at).await.expect(200).json();
    assert_eq!((&seen["role"], &seen["role_id"]), (&json!("custom"), &made["id"]));
    let rea = desk.client_of_agent(id).await;
    let conversation = format!("/api/v1/conversations/{here}");
    rea.get(&conversation).await.expect(200);
    problem(&rea.patch(&conversation, &json!({"status": "closed"})).await, 403, "insufficient_scope");
    problem(&desk.http.delete(&path).await, 409, "state_conflict");
    for (wrong, pointer) in [
        (json!({"role": "custom"}), "/role_id"),
        (json!({"role": "admin", "role_id": 4}), "/role"),
        (json!({"role_id": 99}), "/role_id"),
    ] {
        assert_eq!(faults(&desk.http.patch(&at, &wrong).await)[0].0, pointer, "{wrong}");
    }
    // What is changed counts from the next request on.
    let wider = json!({"scopes": ["conversations:write"], "sees_all": true});
    let stale = desk
        .http
        .send(
            "PATCH",
            &path,
            &[("If-Match", "\"r1-9\""), ("Content-Type", "application/json")],
            wider.to_string().as_bytes(),
        )
        .await;
    problem(&stale, 412, "version_conflict");
    let headers = [("If-Match", etag.as_str()), ("Content-Type", "application/json")];
    desk.http.send("PATCH", &path, &headers, wider.to_string().as_bytes()).await.expect(200);
    rea.patch(&conversation, &json!({"status": "closed"})).await.expect(200);
    desk.http.patch(&path, &json!({"sees_all": false})).await.expect(200);
    problem(&rea.get(&conversation).await, 404, "not_found");
    // Given up, it can go.
    desk.http.patch(&at, &json!({"role": "agent"})).await.expect(200);
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.get(&path).await, 404, "not_found");
    let told = desk.event_types().await;
    for kind in ["role.created", "role.updated", "role.deleted"] {
        assert!(told.iter().any(|known| known == kind), "{kind}: {told:?}");
    }
    desk.stop().await;
}

/// V-33: what a role no longer allows ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_narrowed_ends_streams() {
    let desk = TestDesk::start().await;
    let role = json!({"name": "Follower", "scopes": ["conversations:read", "events:read"], "sees_all": true});
    let role = desk.http.post("/api/v1/roles", &role).await.expect(201).json();
    let id = agent(&desk, "fay", json!({"role_id": role["id"]})).await;
    let fay = desk.client_of_agent(id).await;
    let mut stream = fay.events("/api/v1/events/stream", &[]).await;
    let path = format!("/api/v1/roles/{}", role["id"]);
    desk.http.patch(&path, &json!({"scopes": ["conversations:read"]})).await.expect(200);
    let last = stream.until(|event| event.name == "stream.closed").await.json();
    assert_eq!((&last["status"], &last["code"]), (&json!(403), &json!("insufficient_scope")), "{last}");
    desk.stop().await;
}

#[tokio::test]
async fn nobody_gives_more_than_they_hold() {
    let desk = TestDesk::start().await;
    let owner = agent(&desk, "olga", json!({"role": "owner"})).await;
    let admin = agent(&desk, "adam", json!({"role": "admin"})).await;
    let adam = desk.client_of_agent(admin).await;
    let owners = |id: i64| format!("/api/v1/agents/{id}");
    let new = json!({"name": "Eve", "email": "eve@example.org", "role": "owner"});
    for refused in [
        adam.post("/api/v1/agents", &new).await,
        adam.patch(&owners(admin), &json!({"role": "owner"})).await,
        adam.patch(&owners(owner), &json!({"email": "adam+2@example.org"})).await,
        adam.patch(&owners(owner), &json!({"disabled": true})).await,
        adam.patch(&owners(owner), &json!({"role": "agent"})).await,
        adam.post("/api/v1/tokens", &json!({"name": "x", "scopes": ["admin:write"], "agent_id": owner}))
            .await,
    ] {
        assert_eq!(problem(&refused, 403, "insufficient_scope")["required_scope"], "impersonate");
    }
    let refused = adam.post("/api/v1/tokens", &json!({"name": "x", "scopes": ["impersonate"]})).await;
    assert_eq!(faults(&refused), [("/scopes/0".to_owned(), "not_held".to_owned())]);
    let mine = json!({"name": "x", "scopes": ["impersonate"], "agent_id": admin});
    let refused = desk.http.post("/api/v1/tokens", &mine).await;
    assert_eq!(faults(&refused), [("/scopes/0".to_owned(), "not_allowed".to_owned())]);
    // A token that may set the desk up and nothing else makes nobody who may more, nor a role that does.
    let weak = desk.client(&[Scope::AdminWrite], &[]).await;
    let eve = json!({"name": "Eve", "email": "eve@example.org", "role": "agent"});
    problem(&weak.post("/api/v1/agents", &eve).await, 403, "insufficient_scope");
    let role = json!({"name": "More", "scopes": ["admin:write", "messages:send"]});
    let refused = weak.post("/api/v1/roles", &role).await;
    assert_eq!(faults(&refused), [("/scopes/1".to_owned(), "not_held".to_owned())]);
    let strong = desk.http.post("/api/v1/roles", &role).await.expect(201).json();
    let path = format!("/api/v1/roles/{}", strong["id"]);
    problem(&weak.patch(&path, &json!({"name": "Less"})).await, 403, "insufficient_scope");
    problem(&weak.delete(&path).await, 403, "insufficient_scope");
    // The last owner stays.
    for change in [json!({"role": "admin"}), json!({"disabled": true})] {
        problem(&desk.http.patch(&owners(owner), &change).await, 409, "state_conflict");
    }
    let second = agent(&desk, "otto", json!({"role": "owner"})).await;
    desk.http.patch(&owners(owner), &json!({"disabled": true})).await.expect(200);
    problem(&desk.http.patch(&owners(second), &json!({"role": "admin"})).await, 409, "state_conflict");
    desk.stop().await;
}

#[tokio::test]
async fn two_owners_cannot_both_step_down_at_once() {
    let desk = TestDesk::start().await;
    for round in 0..4 {
        let one = agent(&desk, &format!("one{round}"), json!({"role": "owner"})).await;
        let two = agent(&desk, &format!("two{round}"), json!({"role": "owner"})).await;
        let down = json!({"role": "agent"});
        let (first, second) = (format!("/api/v1/agents/{one}"), format!("/api/v1/agents/{two}"));
        tokio::join!(desk.http.patch(&first, &down), desk.http.patch(&second, &down));
        let all = desk.http.get("/api/v1/agents?limit=100").await.expect(200).json();
        let owners = all["data"].as_array().unwrap().iter().filter(|agent| agent["role"] == "owner").count();
        assert!(owners >= 1, "{all}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_token_works_from_its_networks_alone() {
    let desk = TestDesk::start().await;
    let bound = |networks: Value| json!({"name": "bound", "scopes": ["conversations:read", "admin:write"], "allowed_networks": networks});
    let inside = token(&desk, bound(json!(["::ffff:127.0.0.0/104", "2001:db8::/32"]))).await;
    let outside = token(&desk, bound(json!(["192.0.2.0/24"]))).await;
    inside.get("/api/v1/conversations").await.expect(200);
    let unknown = Http::new(desk.address()).with_token("pr_pat_x");
    for path in ["/api/v1/conversations", "/api/v1/me", "/api/v1/events/stream"] {
        let mut told = problem(&outside.get(path).await, 401, "unauthorized");
        let mut other = problem(&unknown.get(path).await, 401, "unauthorized");
        told["request_id"] = Value::Null;
        other["request_id"] = Value::Null;
        assert_eq!(told, other, "it says no more than of a token that is not there");
    }
    // Nobody forwards themselves into a network: there is no proxy that is trusted.
    let headers = [("X-Forwarded-For", "192.0.2.1")];
    problem(&outside.send("GET", "/api/v1/me", &headers, b"").await, 401, "unauthorized");
    // Bound to networks, one makes none that is bound less.
    for less in [Value::Null, json!(["0.0.0.0/0"]), json!(["127.0.0.0/8", "192.0.2.1"])] {
        let mut body = bound(less);
        body["scopes"] = json!(["conversations:read"]);
        let refused = inside.post("/api/v1/tokens", &body).await;
        assert_eq!(faults(&refused), [("/allowed_networks".to_owned(), "not_held".to_owned())]);
    }
    let made = inside.post("/api/v1/tokens", &bound(json!(["127.0.0.1"]))).await.expect(201).json();
    assert_eq!(made["allowed_networks"], json!(["127.0.0.1/32"]));
    for wrong in [json!([]), json!(["x"]), json!(["10.0.0.1/8"]), json!(["10.0.0.0/33"])] {
        assert_eq!(desk.http.post("/api/v1/tokens", &bound(wrong.clone())).await.status, 422, "{wrong}");
    }
    desk.stop().await;
}

#[tokio::test]
async fn a_form_creates_and_sees_nothing() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    conversation(&desk, theirs).await;
    let known = desk.http.get("/api/v1/customers").await.expect(200).json()["data"][0]["id"].clone();
    let form = desk.client(&[Scope::ConversationsCreate], &[ours]).await;
    let upload = [("Content-Type", "text/plain")];
    let file =
        form.send("POST", "/api/v1/attachments?filename=a.txt", &upload, b"x").await.expect(201).json();
    let mut body = begin(ours);
    body["message"]["attachment_ids"] = json!([file["id"]]);
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "form-1")];
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = form.send("POST", "/api/v1/conversations", &headers, body.to_string().as_bytes()).await;
        let answer = answer.expect(202);
        assert_eq!((answer.header("location"), answer.header("etag")), (None, None));
        answers.push(answer.json());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].as_object().unwrap().len(), 1, "the number alone: {}", answers[0]);
    let made = format!("/api/v1/conversations/{}", answers[0]["id"]);
    let seen = desk.http.get(&made).await.expect(200).json();
    assert_eq!((&seen["mailbox_id"], &seen["message_count"]), (&json!(ours), &json!(1)));
    // Not what it made, not its file, nothing else.
    let path = format!("/api/v1/attachments/{}", file["id"].as_str().unwrap());
    for path in [
        made.as_str(),
        &path,
        "/api/v1/conversations",
        "/api/v1/customers",
        "/api/v1/events",
        "/api/v1/agents",
    ] {
        problem(&form.get(path).await, 403, "insufficient_scope");
    }
    problem(&form.patch(&made, &json!({"status": "closed"})).await, 403, "insufficient_scope");
    let note = json!({"kind": "inbound", "text": "More."});
    problem(&form.post(&format!("{made}/messages"), &note).await, 403, "insufficient_scope");
    // Only what a customer said, only in its mailbox, and nobody is found by a number.
    for kind in ["note", "reply"] {
        let mut body = begin(ours);
        body["message"]["kind"] = json!(kind);
        problem(&form.post("/api/v1/conversations", &body).await, 403, "insufficient_scope");
    }
    let refused = form.post("/api/v1/conversations", &begin(theirs)).await;
    assert_eq!(faults(&refused), [("/mailbox_id".to_owned(), "not_found".to_owned())]);
    for id in [known, json!(4711)] {
        let mut body = begin(ours);
        body["customer"] = json!({"id": id});
        let refused = form.post("/api/v1/conversations", &body).await;
        assert_eq!(faults(&refused), [("/customer/id".to_owned(), "not_found".to_owned())]);
    }
    desk.stop().await;
}

#[tokio::test]
async fn acting_for_others_gives_what_both_may_do() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let theirs = desk.mailbox("Theirs", "theirs@example.org").await;
    let (here, there) = (conversation(&desk, ours).await, conversation(&desk, theirs).await);
    let at = |id: i64| format!("/api/v1/conversations/{id}");
    let grants = json!([{"mailbox_id": ours, "level": "reply"}]);
    let amy = agent(&desk, "amy", json!({"grants": grants})).await;
    let both = json!([{"mailbox_id": ours, "level": "read"}, {"mailbox_id": theirs, "level": "reply"}]);
    let bo = agent(&desk, "bo", json!({"grants": both})).await;
    let olga = agent(&desk, "olga", json!({"role": "owner"})).await;
    let gone = agent(&desk, "gone", json!({"grants": []})).await;
    desk.http.patch(&format!("/api/v1/agents/{gone}"), &json!({"disabled": true})).await.expect(200);
    let body = json!({"name": "gateway", "scopes": ["impersonate", "conversations:write", "events:read"], "mailbox_ids": [ours]});
    let gateway = token(&desk, body).await;
    let who = |id: i64| format!("agent:{id}");
    let send = async |whom: &str, method: &str, path: &str, body: &Value| {
        let headers = [("X-On-Behalf-Of", whom), ("Content-Type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        gateway.send(method, path, &headers, &body).await
    };
    let none = Value::Null;
    // What Amy may do, in the token's mailbox, with the token's scopes.
    let me = send(&who(amy), "GET", "/api/v1/me", &none).await.expect(200).json();
    assert_eq!((&me["kind"], &me["agent_id"]), (&json!("agent"), &json!(amy)));
    assert!(!me["scopes"].as_array().unwrap().contains(&json!("impersonate")), "{me}");
    send(&who(amy), "PATCH", &at(here), &json!({"status": "closed"})).await.expect(200);
    problem(&send(&who(amy), "GET", &at(there), &none).await, 404, "not_found");
    problem(&send(&who(bo), "GET", &at(there), &none).await, 404, "not_found");
    problem(&send(&who(bo), "PATCH", &at(here), &json!({"status": "open"})).await, 403, "forbidden");
    let reply = json!({"kind": "reply", "text": "It left."});
    let refused = send(&who(amy), "POST", &format!("{}/messages", at(here)), &reply).await;
    problem(&refused, 403, "insufficient_scope");
    // The events name her, and the token beside.
    let told = desk.http.get(&format!("{}/activity?limit=100", at(here))).await.expect(200).json();
    let last = told["data"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["actor"]["type"], &last["actor"]["id"]), (&json!("agent"), &json!(amy.to_string())));
    assert!(last["data"]["on_behalf_through"].as_str().unwrap().starts_with("tok_"), "{last}");
    // Who is disabled, who was never there, and who is above the token are told apart by nobody.
    let mut answers = Vec::new();
    for id in [gone, 4711, olga] {
        let mut told = problem(&send(&who(id), "GET", "/api/v1/me", &none).await, 403, "forbidden");
        told["request_id"] = Value::Null;
        answers.push(told);
    }
    assert!(answers.iter().all(|told| *told == answers[0]), "{answers:?}");
    for wrong in ["amy", "agent:x", "agent:0", "customer:nobody", ""] {
        problem(&send(wrong, "GET", "/api/v1/me", &none).await, 400, "bad_parameter");
    }
    // Only with the scope.
    let plain = desk.client(&[Scope::ConversationsWrite, Scope::AdminWrite], &[]).await;
    let headers = [("X-On-Behalf-Of", "agent:1")];
    let refused = plain.send("GET", "/api/v1/me", &headers, b"").await;
    assert_eq!(problem(&refused, 403, "insufficient_scope")["required_scope"], "impersonate");
    desk.stop().await;
}

#[tokio::test]
async fn in_a_customers_name_messages_are_filed_and_nothing_else() {
    let desk = TestDesk::start().await;
    let ours = desk.mailbox("Ours", "ours@example.org").await;
    let mut other = begin(ours);
    other["customer"] = json!({"email": "bob@example.net"});
    let bobs =
        desk.http.post("/api/v1/conversations", &other).await.expect(201).json()["id"].as_i64().unwrap();
    let send = async |method: &str, path: &str, body: &Value| {
        let headers = [("X-On-Behalf-Of", "customer:ADA@example.net"), ("Content-Type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        desk.http.send(method, path, &headers, &body).await
    };
    let made = send("POST", "/api/v1/conversations", &begin(ours)).await.expect(201).json();
    let path = format!("/api/v1/conversations/{}", made["id"]);
    let more = json!({"kind": "inbound", "text": "Any news?"});
    let filed = send("POST", &format!("{path}/messages"), &more).await.expect(201).json();
    assert_eq!(
        (&filed["author"]["type"], &filed["author"]["name"]),
        (&json!("customer"), &json!("Ada")),
        "{filed}"
    );
    problem(&send("POST", "/api/v1/conversations", &other).await, 403, "forbidden");
    problem(&send("POST", &format!("/api/v1/conversations/{bobs}/messages"), &more).await, 404, "not_found");
    for kind in ["note", "reply"] {
        let body = json!({"kind": kind, "text": "x"});
        problem(
            &send("POST", &format!("{path}/messages"), &body).await,
            403,
            if kind == "note" { "forbidden" } else { "insufficient_scope" },
        );
    }
    let none = Value::Null;
    for (method, path, body) in [
        ("GET", path.as_str(), &none),
        ("PATCH", &path, &json!({"status": "closed"})),
        ("GET", "/api/v1/me", &none),
        ("GET", "/api/v1/conversations", &none),
        ("GET", "/api/v1/events", &none),
        ("GET", "/api/v1/events/stream", &none),
        ("POST", "/api/v1/tokens", &json!({"name": "x", "scopes": ["conversations:read"]})),
    ] {
        problem(&send(method, path, body).await, 403, "forbidden");
    }
    desk.stop().await;
}
