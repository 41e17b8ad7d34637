//! The event stream: what the feed says, as it happens, each once, from wherever somebody was; and no
//! longer than they may see it.

use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::{EventStream, Http};

const STREAM: &str = "/api/v1/events/stream";

/// Everything in the log behind `after`, as the feed says it.
async fn feed(http: &Http, after: i64) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), after);
    loop {
        let page = http.get(&format!("/api/v1/events?after={after}&limit=100")).await.expect(200).json();
        all.extend(page["data"].as_array().expect("a list").clone());
        after = page["page"]["next_after"].as_i64().expect("a number");
        if page["page"]["has_more"] == false {
            return all;
        }
    }
}

async fn last_seq(desk: &TestDesk) -> i64 {
    feed(&desk.http, 0).await.last().map_or(0, |event| event["seq"].as_i64().expect("a number"))
}

/// So many of the stream's events, as the feed would say them.
async fn take(stream: &mut EventStream, count: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let event = stream.next().await;
        let said = event.json();
        assert_eq!(
            (event.id, event.name),
            (said["seq"].to_string(), said["type"].as_str().expect("a type").to_owned())
        );
        taken.push(said);
    }
    taken
}

async fn tag(desk: &TestDesk, name: &str) {
    desk.http.post("/api/v1/tags", &json!({"name": name})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_as_it_happens() {
    let desk = TestDesk::start().await;
    tag(&desk, "before").await;
    let begun = last_seq(&desk).await;
    let mut stream = desk.http.events(STREAM, &[]).await;
    tag(&desk, "one").await;
    let first = take(&mut stream, 1).await;
    tag(&desk, "two").await;
    let second = take(&mut stream, 1).await;
    assert_eq!([first, second].concat(), feed(&desk.http, begun).await, "from now on, and nothing before");

    let mut tags = desk.http.events(&format!("{STREAM}?after=0&types=tag.*"), &[]).await;
    let told = take(&mut tags, 3).await;
    assert!(told.iter().all(|event| event["type"] == "tag.created"), "{told:?}");
    desk.stop().await;
}

/// G-17: resumed from anywhere, no gap and no repeat.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_again_gets_what_came_meanwhile_once() {
    let desk = TestDesk::start().await;
    let begun = last_seq(&desk).await;
    // More than one piece of the stream, and lost after any number of events.
    let lives = [1_usize, 0, 49, 3, 50, 51, 17];
    let count = lives.iter().sum::<usize>();
    let writing = async {
        for index in 0..count {
            tag(&desk, &format!("tag {index}")).await;
        }
    };
    let reading = async {
        let (mut known, mut last) = (Vec::new(), begun.to_string());
        for life in lives {
            // What a browser sends: the address as it was, and where it stopped.
            let mut stream =
                desk.http.events(&format!("{STREAM}?after=0"), &[("Last-Event-ID", &last)]).await;
            known.extend(take(&mut stream, life).await);
            last = known.last().map_or(last, |event: &Value| event["seq"].to_string());
        }
        known
    };
    let ((), known) = tokio::join!(writing, reading);
    assert_eq!(known, feed(&desk.http, begun).await);
    desk.stop().await;
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let desk = TestDesk::start().await;
    for bad in ["x", "-1", "1.5", "99999999999999999999", "1 2"] {
        let answer = desk.http.send("GET", STREAM, &[("Last-Event-ID", bad)], b"").await;
        problem(&answer, 400, "bad_parameter");
    }
    for query in ["after=-1", "after=x", "types=nothing", "wait=5"] {
        problem(&desk.http.get(&format!("{STREAM}?{query}")).await, 400, "bad_parameter");
    }
    let narrow = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&narrow.get(STREAM).await, 403, "insufficient_scope");
    // An empty one is what a browser has before the first event.
    let mut stream = desk.http.events(STREAM, &[("Last-Event-ID", "")]).await;
    tag(&desk, "one").await;
    take(&mut stream, 1).await;
    let head = desk.http.send("HEAD", STREAM, &[], b"").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    desk.stop().await;
}

/// V-33: a token that is revoked, a grant that is taken away, end what was begun with them.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_follows_longer_than_they_may() {
    let desk = TestDesk::start().await;
    let (open, shut) =
        (desk.mailbox("Open", "open@example.org").await, desk.mailbox("Shut", "shut@example.org").await);
    let grants = |mailboxes: &[i64]| {
        mailboxes.iter().map(|id| json!({"mailbox_id": id, "level": "read"})).collect::<Vec<_>>()
    };
    let agent =
        json!({"name": "Amy", "email": "amy@example.org", "role": "agent", "grants": grants(&[open, shut])});
    let agent = desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().unwrap();
    let amy = desk.client_of_agent(agent).await;
    let begin = |mailbox: i64| {
        json!({"mailbox_id": mailbox, "subject": "Late order", "customer": {"email": "ada@example.org"},
            "message": {"kind": "inbound", "text": "Where is it?"}})
    };
    let made = |event: &support::http::Event| event.name == "conversation.created";
    let mut stream = amy.events(STREAM, &[]).await;
    desk.http.post("/api/v1/conversations", &begin(shut)).await.expect(201);
    assert_eq!(stream.until(made).await.json()["mailbox_id"], shut);

    let path = format!("/api/v1/agents/{agent}");
    desk.http.patch(&path, &json!({"grants": grants(&[open])})).await.expect(200);
    let taken_away = last_seq(&desk).await;
    desk.http.post("/api/v1/conversations", &begin(shut)).await.expect(201);
    desk.http.post("/api/v1/conversations", &begin(open)).await.expect(201);
    let next = stream.until(|event| {
        let said = event.json();
        let is_late = said["seq"].as_i64() > Some(taken_away);
        assert!(!is_late || said["mailbox_id"] != shut, "{said}");
        made(event)
    });
    assert_eq!(next.await.json()["mailbox_id"], open);

    desk.http.patch(&path, &json!({"disabled": true})).await.expect(200);
    let last = stream.until(|event| event.name == "stream.closed").await.json();
    assert_eq!((&last["status"], &last["code"]), (&json!(401), &json!("unauthorized")), "{last}");
    assert!(last["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{last}");
    assert!(stream.ends_well().await, "and that is all");
    problem(&amy.get(STREAM).await, 401, "unauthorized");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_ends_its_streams_in_good_order() {
    let desk = TestDesk::start().await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let client = desk.client(Scope::ALL, &[]).await;
        for _ in 0..5 {
            streams.push(client.events(STREAM, &[]).await);
        }
    }
    desk.stop().await;
    for mut stream in streams {
        assert!(stream.ends_well().await, "not cut");
    }
}

/// Five streams a token; a seat is free as soon as its reader hangs up.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_five_streams() {
    let desk = TestDesk::start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(desk.http.events(STREAM, &[]).await);
    }
    let refused = desk.http.get(STREAM).await;
    problem(&refused, 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("30"));
    let another = desk.client(Scope::ALL, &[]).await;
    let _stream = another.events(STREAM, &[]).await;
    drop(streams.pop());
    desk.until(|| async { (desk.http.send("HEAD", STREAM, &[], b"").await.status == 200).then_some(()) })
        .await;
    desk.stop().await;
}

/// Who reads nothing holds up nobody, and gets it all in the end.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_holds_up_nobody() {
    let desk = TestDesk::start().await;
    let begun = last_seq(&desk).await;
    let mut lazy = desk.http.events(STREAM, &[]).await;
    let mut eager = desk.http.events(STREAM, &[]).await;
    let name = "n".repeat(60);
    for index in 0..300 {
        tag(&desk, &format!("{name} {index}")).await;
    }
    let all = feed(&desk.http, begun).await;
    assert_eq!(take(&mut eager, 300).await, all);
    assert_eq!(take(&mut lazy, 300).await, all);
    desk.stop().await;
}

/// An event comes alone and at once, whatever the reader says it could unpack.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_compressed() {
    let desk = TestDesk::start().await;
    let mut stream = desk.http.events(STREAM, &[("Accept-Encoding", "gzip, br, zstd")]).await;
    tag(&desk, "one").await;
    tokio::time::timeout(Duration::from_mins(1), take(&mut stream, 1)).await.expect("it is not held back");
    desk.stop().await;
}
