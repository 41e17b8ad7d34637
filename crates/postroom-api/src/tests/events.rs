//! The feed, and waiting for it.

use super::TestApi;
use crate::routes::{STREAMS, STREAMS_EACH};
use postroom_core::actor::Actor;
use postroom_core::id::TokenId;
use serde_json::json;

#[actix_web::test]
async fn the_feed_goes_on_where_it_ended() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    api.conversation(mailbox, "one").await;
    let page = api.get("/api/v1/events?types=conversation.*,customer.created&limit=1").await.ok(200);
    assert_eq!(page["data"][0]["type"], "customer.created");
    let after = page["page"]["next_after"].as_i64().unwrap();
    assert_eq!(after, page["data"][0]["seq"].as_i64().unwrap());
    let rest = api.get(&format!("/api/v1/events?after={after}&types=conversation.*")).await.ok(200);
    assert_eq!(rest["data"][0]["type"], "conversation.created");
    assert_eq!(rest["data"][0]["timestamp"], "2026-11-22T08:00:00.000000Z");
    let all = api.get("/api/v1/events?limit=100").await.ok(200);
    let last = all["page"]["next_after"].as_i64().unwrap();
    assert_eq!(all["page"]["has_more"], false);
    let none = api.get(&format!("/api/v1/events?after={last}")).await.ok(200);
    assert_eq!(none, json!({"data": [], "page": {"next_after": last, "has_more": false}}));
}

#[actix_web::test]
async fn a_waiting_caller_is_told_at_once() {
    let api = TestApi::start().await;
    let after = api.get("/api/v1/events?limit=100").await.ok(200)["page"]["next_after"].clone();
    let path = format!("/api/v1/events?after={after}&types=tag.created&wait=30");
    let change = async {
        // Changes that are not asked for wake the waiter without ending its wait.
        api.mailbox("Support").await;
        api.post("/api/v1/tags", json!({"name": "late"})).await.ok(201);
    };
    let (told, ()) = futures_util::future::join(api.get(&path), change).await;
    let page = told.ok(200);
    assert_eq!(page["data"][0]["type"], "tag.created");
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn the_feed_says_what_it_can_t_do() {
    let api = TestApi::start().await;
    for (query, told) in [
        ("types=message", "types: there is no \"message\""),
        ("wait=31", "wait: must be 0 to 30 seconds"),
        ("after=-1", "after: must not be negative"),
        ("after=x", "after: \"x\" is not a whole number"),
        ("limit=0", "limit: must be 1 to 100"),
        ("cursor=x", "there is no parameter \"cursor\"; there are after, types, limit, wait"),
    ] {
        let document = api.get(&format!("/api/v1/events?{query}")).await.problem(400, "bad_parameter");
        assert!(document["detail"].as_str().unwrap().starts_with(told), "{document}");
    }
}

#[actix_web::test]
async fn events_that_are_no_longer_kept_are_410() {
    let api = TestApi::start().await;
    api.post("/api/v1/tags", json!({"name": "old"})).await.ok(201);
    let keep = api.desk.settings().keep_events;
    api.desk.advance_clock(keep + std::time::Duration::from_secs(1));
    api.post("/api/v1/tags", json!({"name": "new"})).await.ok(201);
    let floor = api.desk.write_here(&Actor::system(), postroom_core::operations::events::expire).unwrap();
    let document = api.get("/api/v1/events?after=0").await.problem(410, "cursor_expired");
    assert_eq!(document["oldest_after"], floor);
    // Who does not say where to begin gets what there is.
    let page = api.get("/api/v1/events").await.ok(200);
    assert_eq!(page["data"][0]["data"]["name"], "new");
}

#[actix_web::test]
async fn who_waits_is_sent_away_when_the_daemon_stops() {
    let api = TestApi::start().await;
    let after = api.get("/api/v1/events?limit=100").await.ok(200)["page"]["next_after"].clone();
    let path = format!("/api/v1/events?after={after}&wait=30");
    // The stop comes while it waits: it is asked first, and waits at its first look.
    let stop = async { api.stop.send_replace(true) };
    let (told, _) = futures_util::future::join(api.get(&path), stop).await;
    assert_eq!(told.ok(200), json!({"data": [], "page": {"next_after": after, "has_more": false}}));
    // So does a stream: nothing is left to say but how far it came.
    let stream = api.get(&format!("/api/v1/events/stream?after={after}")).await;
    assert_eq!(String::from_utf8_lossy(&stream.body), format!("retry: 3000\nid: {after}\n\n"));
}

#[actix_web::test]
async fn a_stream_begins_with_a_place_that_is_kept() {
    let api = TestApi::start().await;
    api.post("/api/v1/tags", json!({"name": "old"})).await.ok(201);
    api.desk.advance_clock(api.desk.settings().keep_events + std::time::Duration::from_secs(1));
    api.post("/api/v1/tags", json!({"name": "new"})).await.ok(201);
    let expire = postroom_core::operations::events::expire;
    let floor = api.desk.write_here(&Actor::system(), expire).unwrap();
    let document = api.get("/api/v1/events/stream?after=0").await.problem(410, "cursor_expired");
    assert_eq!(document["oldest_after"], floor);
}

#[actix_web::test]
async fn there_are_so_many_streams_and_no_more() {
    let api = TestApi::start().await;
    api.stop.send_replace(true);
    let whose = |number: usize| Actor {
        token_id: Some(TokenId(format!("tok_{}", number / STREAMS_EACH))),
        ..Actor::system()
    };
    let seat = |number| api.api.streams.take(&whose(number), None).unwrap();
    let others: Vec<_> = (1..STREAMS).map(seat).collect();
    assert_eq!(api.get("/api/v1/events/stream").await.status, 200, "the last seat");
    let last = seat(0);
    let told = api.get("/api/v1/events/stream").await;
    assert_eq!(told.header("retry-after"), Some("30"));
    told.problem(503, "overloaded");
    drop((others, last));
    assert_eq!(api.get("/api/v1/events/stream").await.status, 200);
}
