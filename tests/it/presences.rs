//! Who is at a conversation just now.

use crate::mailing::*;
use serde_json::json;
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;

#[tokio::test(flavor = "multi_thread")]
async fn agents_see_each_other_for_half_a_minute() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net")).await.conversation;
    let path = format!("/api/v1/conversations/{id}/presence");
    let mut agents = Vec::new();
    for name in ["amy", "ben"] {
        let body = json!({
            "name": name, "email": format!("{name}@example.org"), "role": "agent",
            "grants": [{"mailbox_id": mailbox, "level": "reply"}],
        });
        let agent = desk.http.post("/api/v1/agents", &body).await.expect(201).json();
        agents.push((number(&agent["id"]), desk.client_of_agent(number(&agent["id"])).await));
    }
    let [(amy, amys), (ben, bens)] = &agents[..] else { panic!("two agents") };
    amys.put(&path, &json!({"state": "viewing"})).await.expect(200);
    desk.desk().advance_clock(Duration::from_secs(29));
    let there = bens.put(&path, &json!({"state": "replying"})).await.expect(200).json();
    let states: Vec<_> = there["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["agent_id"], &one["state"]))
        .collect();
    assert_eq!(states, [(&json!(amy), &json!("viewing")), (&json!(ben), &json!("replying"))]);
    desk.desk().advance_clock(Duration::from_secs(1));
    let there = desk.http.get(&path).await.expect(200).json();
    assert_eq!(there["data"].as_array().map(Vec::len), Some(1), "{there}");
    bens.delete(&path).await.expect(204);
    assert_eq!(desk.http.get(&path).await.expect(200).json()["data"], json!([]));
    // Who is disabled is gone at once.
    bens.put(&path, &json!({"state": "replying"})).await.expect(200);
    desk.http.patch(&format!("/api/v1/agents/{ben}"), &json!({"disabled": true})).await.expect(200);
    assert_eq!(desk.http.get(&path).await.expect(200).json()["data"], json!([]));
    let there = amys.put(&path, &json!({"state": "viewing"})).await.expect(200).json();
    assert_eq!(there["data"].as_array().map(Vec::len), Some(1), "{there}");
    // Only agents are anywhere, and only at what they may see.
    desk.http.put(&path, &json!({"state": "viewing"})).await.expect(403);
    amys.put(&path, &json!({"state": "asleep"})).await.expect(422);
    let other = pushed(&desk, json!({"name": "Other", "address": "other@example.org"})).await;
    let hidden =
        arrive(&desk, other, &mail().from("eve@example.net").to("other@example.org")).await.conversation;
    amys.put(&format!("/api/v1/conversations/{hidden}/presence"), &json!({"state": "viewing"}))
        .await
        .expect(404);
    desk.stop().await;
}
