//! Two who write and two who follow, over what a network does to followers: they are cut off at any moment, come
//! again at another daemon from the last place they know, and have everything once and in order.

use postroom::Daemon;
use postroom_core::Error;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::tags;
use serde_json::Value;
use support::database;
use support::desk::TestDesk;
use support::http::Http;

/// So many changes; the long run has 10,000.
fn changes() -> usize {
    if database::is_long_run() { 10_000 } else { 1_000 }
}

/// Numbers that look like any, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Makes tags, one to three in a transaction, each of which tells one event.
fn write(desk: &Desk, writer: usize, count: usize) {
    let (mut dice, mut made) = (Dice(writer as u64), 0);
    while made < count {
        let several = (1 + dice.below(3) as usize).min(count - made);
        let all = desk.write_here(&Actor::system(), |cx| {
            (made..made + several)
                .try_for_each(|n| tags::create(cx, &format!("{writer}/{n}"), None, None).map(drop))
        });
        match all {
            Ok(()) => made += several,
            // Too many at once: it is asked for again.
            Err(Error::Busy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn seq(event: &Value) -> i64 {
    event["seq"].as_i64().expect("a number")
}

/// Follows by long polls. Of one in five the answer is lost, and it is asked for again, elsewhere.
async fn poll(at: Vec<Http>, count: usize) -> Vec<i64> {
    let (mut dice, mut seen, mut after) = (Dice(17), Vec::new(), 0);
    while seen.len() < count {
        let http = &at[dice.below(at.len() as u64) as usize];
        let limit = 1 + dice.below(100);
        let path = format!("/api/v1/events?after={after}&limit={limit}&wait=30&types=tag.created");
        let answer = http.get(&path).await.expect(200).json();
        if dice.below(5) == 0 {
            continue;
        }
        seen.extend(answer["data"].as_array().expect("a list").iter().map(seq));
        after = answer["page"]["next_after"].as_i64().expect("a number");
    }
    seen
}

/// Follows the stream, and hangs up after some of its events.
async fn stream(at: Vec<Http>, count: usize) -> Vec<i64> {
    let (mut dice, mut seen, mut last) = (Dice(23), Vec::new(), 0);
    while seen.len() < count {
        let http = &at[dice.below(at.len() as u64) as usize];
        let place = last.to_string();
        let path = "/api/v1/events/stream?types=tag.created";
        let mut stream = http.events(path, &[("Last-Event-ID", place.as_str())]).await;
        let some = 1 + dice.below(count as u64 / 8) as usize;
        for _ in 0..some.min(count - seen.len()) {
            last = seq(&stream.next().await.json());
            seen.push(last);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn two_followers_have_everything_once_while_two_write() {
    let desk = TestDesk::start().await;
    // On PostgreSQL two daemons; a SQLite database has one, and is written to by two threads of it.
    let second = match database::kind() {
        database::Kind::Postgres => {
            Some(Daemon::start(desk.config().clone()).await.unwrap_or_else(|error| panic!("{error:#}")))
        }
        database::Kind::Sqlite => None,
    };
    // A token has five streams, and it takes a moment until one that was left is noticed.
    let (mut pollers, mut streamers) = (Vec::new(), Vec::new());
    for all in [&mut pollers, &mut streamers] {
        for _ in 0..4 {
            let http = desk.client(&[Scope::EventsRead, Scope::AdminRead], &[]).await;
            all.extend(second.iter().map(|daemon| http.at(daemon.address)));
            all.push(http);
        }
    }
    let count = changes();
    let polling = tokio::spawn(poll(pollers, count));
    let streaming = tokio::spawn(stream(streamers, count));
    let desks = [desk.desk().clone(), second.as_ref().map_or(desk.desk(), |daemon| &daemon.desk).clone()];
    let writers = desks.into_iter().enumerate();
    let writing: Vec<_> = writers
        .map(|(writer, desk)| tokio::task::spawn_blocking(move || write(&desk, writer, count / 2)))
        .collect();
    for one in writing {
        one.await.expect("it writes to the end");
    }
    let (polled, streamed) = (polling.await.expect("it polls"), streaming.await.expect("it follows"));
    let mut all = Vec::new();
    loop {
        let after = all.last().copied().unwrap_or(0);
        let path = format!("/api/v1/events?after={after}&limit=100&types=tag.created");
        let page = desk.http.get(&path).await.expect(200).json();
        all.extend(page["data"].as_array().expect("a list").iter().map(seq));
        if page["page"]["has_more"] == false {
            break;
        }
    }
    assert_eq!(all.len(), count);
    assert!(all.is_sorted_by(|a, b| a < b));
    assert!(polled == all, "a poll left out or repeated something");
    assert!(streamed == all, "the stream left out or repeated something");
    if let Some(second) = second {
        second.stop().await;
    }
    desk.stop().await;
}
