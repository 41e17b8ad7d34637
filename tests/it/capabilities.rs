//! What a caller may do to a conversation is what happens when they try.

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::mail;

const LIST: &str = "/api/v1/conversations";

/// What one caller is told of one conversation: actions, and the code of what would be refused.
async fn told(by: &Http, id: i64) -> Vec<(String, Option<String>)> {
    let one = by.get(&format!("{LIST}/{id}?include=capabilities")).await.expect(200).json();
    let all = &one["included"]["capabilities"];
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!(all[0]["conversation_id"], json!(id));
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let allowed = all[0]["allowed"].as_array().expect("a list").iter();
    let refused = all[0]["refused"].as_array().expect("a list").iter();
    let mut found: Vec<(String, Option<String>)> = allowed.map(|action| (word(action), None)).collect();
    found.extend(refused.map(|one| {
        assert!(!word(&one["detail"]).is_empty());
        (word(&one["action"]), Some(word(&one["code"])))
    }));
    found
}

/// Tries an action as its operation takes it, in a way that could work.
async fn attempt(by: &Http, action: &str, id: i64, other: i64, message: i64) -> Answer {
    let at = format!("{LIST}/{id}");
    let write = |more: Value| {
        let mut body = json!({"kind": "note", "text": "It left today."});
        for (member, value) in more.as_object().expect("members") {
            body[member] = value.clone();
        }
        body
    };
    let messages = format!("{at}/messages");
    match action {
        "update" => by.patch(&at, &json!({"priority": "high"})).await,
        "tag" => by.post(&format!("{at}/tags"), &json!({"add": ["late"]})).await,
        "note" => by.post(&messages, &write(json!({}))).await,
        "draft" => by.post(&messages, &write(json!({"kind": "reply", "draft": true}))).await,
        "reply" => by.post(&messages, &write(json!({"kind": "reply"}))).await,
        "forward" => {
            let to = json!([{"email": "carrier@example.com"}]);
            by.post(&messages, &write(json!({"kind": "forward", "to": to}))).await
        }
        "file" => by.post(&messages, &write(json!({"kind": "inbound"}))).await,
        "spam" => by.post(&format!("{at}/spam"), &Value::Null).await,
        "not_spam" => by.post(&format!("{at}/not-spam"), &Value::Null).await,
        "snooze" => by.post(&format!("{at}/snooze"), &json!({"until_reply": true})).await,
        "merge" => by.post(&format!("{at}/merge"), &json!({"into": other})).await,
        "split" => by.post(&format!("{at}/split"), &json!({"message_ids": [message]})).await,
        "trash" => by.delete(&at).await,
        "purge" => by.delete(&format!("{at}?purge=true")).await,
        "restore" => by.post(&format!("{at}/restore"), &Value::Null).await,
        "read" => by.put(&format!("{at}/read-mark"), &json!({"message_id": null})).await,
        unknown => panic!("how is {unknown} tried?"),
    }
}

/// A conversation with two messages, in a state.
async fn in_state(desk: &TestDesk, mailbox: i64, state: &str, n: usize) -> (i64, i64, i64) {
    let new = |what: &str| mail().from("ada@example.net").subject(&format!("{what} {state} {n}"));
    let here = arrive(desk, mailbox, &new("This")).await;
    let other = arrive(desk, mailbox, &new("Other")).await.conversation;
    reply_with(desk, here.conversation, json!({"kind": "note", "text": "Two matters."})).await;
    let at = format!("{LIST}/{}", here.conversation);
    match state {
        "open" => {}
        "merged" => {
            desk.http.post(&format!("{at}/merge"), &json!({"into": other})).await.expect(201);
        }
        "trashed" => {
            desk.http.delete(&at).await.expect(204);
        }
        unknown => panic!("what is {unknown}?"),
    }
    (here.conversation, other, here.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_what_happens() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let mut callers: Vec<(String, Http)> = vec![("the desk's own token".to_owned(), desk.http.clone())];
    for (role, level) in [("admin", "reply"), ("agent", "reply"), ("agent", "read"), ("light_agent", "reply")]
    {
        let name = format!("{role} who may {level}");
        let body = json!({
            "name": name, "email": format!("{role}-{level}@example.org"), "role": role,
            "grants": [{"mailbox_id": mailbox, "level": level}],
        });
        let agent = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        callers.push((name, desk.client_of_agent(number(&agent["id"])).await));
    }
    let scopes = json!({"name": "notes", "scopes": ["notes:write"]});
    let token = desk.http.post("/api/v1/tokens", &scopes).await.expect(201).json();
    let notes = Http::new(desk.address()).with_token(token["token"].as_str().expect("a secret"));
    callers.push(("a token for notes".to_owned(), notes));
    let mut n = 0;
    let mut seen = std::collections::BTreeSet::new();
    for state in ["open", "merged", "trashed"] {
        for (name, http) in &callers {
            n += 1;
            let (id, ..) = in_state(&desk, mailbox, state, n).await;
            for (action, code) in told(http, id).await {
                n += 1;
                let (id, other, message) = in_state(&desk, mailbox, state, n).await;
                let answer = attempt(http, &action, id, other, message).await;
                let got = match answer.status {
                    200..300 => None,
                    _ => Some(answer.json()["code"].as_str().expect("a code").to_owned()),
                };
                assert_eq!(got, code, "{name}, {action} of what is {state}: {}", answer.text());
                seen.insert((action, code));
            }
        }
    }
    // Both sides of every action came up, but of those that anybody may.
    let actions: std::collections::BTreeSet<&String> = seen.iter().map(|(action, _)| action).collect();
    assert_eq!(actions.len(), 16);
    for action in actions {
        let codes: Vec<&Option<String>> =
            seen.iter().filter(|(one, _)| one == action).map(|(_, code)| code).collect();
        assert!(codes.contains(&&None) && codes.len() > 1, "{action}: {codes:?}");
    }
    desk.stop().await;
}
