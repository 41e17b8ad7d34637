//! The event stream: what the feed says, as it happens, each once, from wherever somebody was; and no
//! longer than they may see it.

use crate::problems::problem;
use postroom_core::access::Scope;
use postroom_core::id::AgentId;
use postroom_core::operations::passwords;
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

/// Five streams a token; a sixth takes the place of the oldest, which is told.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_stream_takes_the_place_of_the_oldest() {
    let desk = TestDesk::start().await;
    let another = desk.client(Scope::ALL, &[]).await;
    let mut theirs = another.events(STREAM, &[]).await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(desk.http.events(STREAM, &[]).await);
    }
    let mut oldest = streams.remove(0);
    let last = oldest.until(|event| event.name == "stream.closed").await.json();
    assert_eq!((&last["status"], &last["code"]), (&json!(409), &json!("stream_replaced")), "{last}");
    assert!(oldest.ends_well().await, "and that is all");
    tag(&desk, "one").await;
    for stream in &mut streams {
        take(stream, 1).await;
    }
    theirs.until(|event| event.name == "tag.created").await;
    let head = desk.http.send("HEAD", STREAM, &[], b"").await;
    assert_eq!(head.status, 200, "who asks for the head takes nobody's place");
    tag(&desk, "two").await;
    take(&mut streams[0], 1).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_as_many_streams_as_the_daemon_is_set_up_for() {
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.limits.event_streams_per_token = 7;
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..7 {
        streams.push(desk.http.events(STREAM, &[]).await);
    }
    tag(&desk, "one").await;
    for stream in &mut streams {
        take(stream, 1).await;
    }
    let eighth = desk.http.events(STREAM, &[]).await;
    let last = streams[0].until(|event| event.name == "stream.closed").await.json();
    assert!(last["detail"].as_str().expect("a sentence").contains("since: 7"), "{last}");
    drop((eighth, streams));
    desk.stop().await;
}

/// Connections that died can't give their places back: whoever comes anew is let in all the same.
#[tokio::test(flavor = "multi_thread")]
async fn dead_connections_shut_nobody_out() {
    let desk = TestDesk::start().await;
    let mut dead = Vec::new();
    for _ in 0..5 {
        // Opened, and never read again.
        dead.push(desk.http.events(STREAM, &[]).await);
    }
    let mut stream = desk.http.events(STREAM, &[]).await;
    tag(&desk, "one").await;
    take(&mut stream, 1).await;
    drop(dead);
    desk.stop().await;
}

async fn ticket(http: &Http, body: &Value) -> String {
    let made = http.post("/api/v1/events/ticket", body).await.expect(200).json();
    made["url"].as_str().expect("an address").to_owned()
}

/// What a browser does, which can send no token: an address that opens for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_at_a_time() {
    let desk = TestDesk::start().await;
    let nobody = Http::new(desk.address());
    let url = ticket(&desk.http, &json!({"types": ["tag.*"]})).await;
    let mut first = nobody.events(&url, &[]).await;
    desk.mailbox("Other", "other@example.org").await;
    tag(&desk, "one").await;
    let seen = take(&mut first, 1).await;
    assert_eq!(seen[0]["type"], "tag.created", "what the ticket names, and nothing else");

    // It comes again by itself, and says where it was.
    let last = seen[0]["seq"].to_string();
    tag(&desk, "two").await;
    let mut second = nobody.events(&url, &[("Last-Event-ID", &last)]).await;
    assert_eq!(take(&mut second, 1).await[0]["data"]["name"], "two");
    let told = first.until(|event| event.name == "stream.closed").await.json();
    assert_eq!(told["code"], "stream_replaced", "{told}");
    problem(&nobody.get(&format!("{url}&types=message.*")).await, 400, "bad_parameter");

    // A ticket for everything may be narrowed where it is shown.
    let all = ticket(&desk.http, &json!({})).await;
    let mut narrowed = nobody.events(&format!("{all}&types=tag.*&after=0"), &[]).await;
    assert_eq!(take(&mut narrowed, 1).await[0]["type"], "tag.created");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_no_token_and_ends_with_its_own() {
    let desk = TestDesk::start().await;
    let nobody = Http::new(desk.address());
    let amy = desk.client(&[Scope::EventsRead, Scope::ConversationsRead], &[]).await;
    let url = ticket(&amy, &json!({})).await;
    let mut open = nobody.events(&url, &[]).await;

    // It is no token: it opens nothing else, and bent it opens nothing.
    let secret = url.split_once("ticket=").expect("it holds one").1;
    problem(&nobody.get(&format!("/api/v1/events?ticket={secret}")).await, 401, "unauthorized");
    problem(&nobody.with_token(secret).get("/api/v1/me").await, 401, "unauthorized");
    for wrong in ["", "x", &secret[1..], &format!("{secret}A")] {
        problem(&nobody.get(&format!("{STREAM}?ticket={wrong}")).await, 401, "unauthorized");
    }
    for body in [json!({"types": ["nothing"]}), json!({"more": 1}), json!({"types": vec!["tag.*"; 51]})] {
        problem(&amy.post("/api/v1/events/ticket", &body).await, 422, "validation_failed");
    }
    let narrow = desk.client(&[Scope::ConversationsRead], &[]).await;
    problem(&narrow.post("/api/v1/events/ticket", &json!({})).await, 403, "insufficient_scope");

    let id = amy.get("/api/v1/me").await.expect(200).json()["token_id"].clone();
    let id = id.as_str().expect("an id");
    desk.http.delete(&format!("/api/v1/tokens/{id}")).await.expect(204);
    let told = open.until(|event| event.name == "stream.closed").await.json();
    assert_eq!(told["code"], "unauthorized", "{told}");
    problem(&nobody.get(&url).await, 401, "unauthorized");
    desk.stop().await;
}

/// A minute, whatever the stream that it opened does.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_for_a_minute() {
    let desk = TestDesk::start_fixed().await;
    let nobody = Http::new(desk.address());
    let url = ticket(&desk.http, &json!({})).await;
    desk.desk().advance_clock(Duration::from_secs(59));
    let mut open = nobody.events(&url, &[]).await;
    desk.desk().advance_clock(Duration::from_secs(1));
    problem(&nobody.get(&url).await, 401, "unauthorized");
    tag(&desk, "one").await;
    take(&mut open, 1).await;
    desk.stop().await;
}

/// V-33: a session that ends takes its streams with it, by whatever they were opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_cuts_its_streams() {
    let desk = TestDesk::start().await;
    let agent = json!({"name": "Amy", "email": "amy@example.org", "role": "admin"});
    let agent =
        desk.http.post("/api/v1/agents", &agent).await.expect(201).json()["id"].as_i64().expect("an id");
    let secret = desk.write(move |cx| passwords::invite(cx, AgentId(agent))).await.secret;
    let nobody = Http::new(desk.address());
    let body = json!({"token": secret, "password": "a pier in the fog"});
    let session = nobody.post("/api/v1/invitations/accept", &body).await.expect(201).json();
    let amy = nobody.with_token(session["token"].as_str().expect("a token"));
    let url = ticket(&amy, &json!({})).await;
    let mut streams = [amy.events(STREAM, &[]).await, nobody.events(&url, &[]).await];
    amy.delete("/api/v1/me/sessions").await.expect(204);
    for stream in &mut streams {
        let told = stream.until(|event| event.name == "stream.closed").await.json();
        assert_eq!((&told["status"], &told["code"]), (&json!(401), &json!("unauthorized")), "{told}");
        assert!(stream.ends_well().await, "and that is all");
    }
    problem(&nobody.get(&url).await, 401, "unauthorized");
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
