//! Answers that are given again while nothing has changed: never one that something has changed since.

use crate::mailing::*;
use postroom_core::mark::Mark;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;

const LIST: &str = "/api/v1/conversations";

/// A desk with one conversation, and where that is.
async fn desk() -> (TestDesk, i64, String) {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("0")).await.conversation;
    (desk, mailbox, format!("{LIST}/{id}"))
}

fn how_many(list: &Value) -> usize {
    list["data"].as_array().expect("a list").len()
}

async fn subject(by: &Http, path: &str) -> String {
    let found = by.get(path).await.expect(200).json();
    let one = if found["data"].is_array() { &found["data"][0] } else { &found };
    one["subject"].as_str().expect("a subject").to_owned()
}

/// The mark now. One may be missing where the machine is slow, but not each time.
async fn mark(desk: &TestDesk) -> Mark {
    desk.until(async || desk.desk().mark().await).await
}

#[tokio::test]
async fn a_mark_stays_until_something_is_committed_and_is_another_then() {
    let (desk, ..) = desk().await;
    // A row that is written as it is is no change to SQLite: the subject is 0 so far.
    for number in 1..20 {
        let before = mark(&desk).await;
        sql(desk.config(), &format!("UPDATE conversations SET subject = '{number}'"));
        assert!(mark(&desk).await > before);
    }
    // The daemon's workers write now and then, and so do others on a PostgreSQL that is not ours alone.
    desk.until(async || (mark(&desk).await == mark(&desk).await).then_some(())).await;
}

#[tokio::test]
async fn what_another_process_wrote_is_in_the_very_next_answer() {
    let (desk, _, one) = desk().await;
    for number in 0..40 {
        sql(desk.config(), &format!("UPDATE conversations SET subject = '{number}'"));
        for path in [&one, LIST] {
            for _ in 0..3 {
                assert_eq!(subject(&desk.http, path).await, number.to_string());
            }
        }
    }
}

#[tokio::test]
async fn who_asks_after_a_change_was_answered_sees_it() {
    const CHANGES: u64 = 150;
    let (desk, _, one) = desk().await;
    let done = Arc::new(AtomicU64::new(0));
    let readers = (0..4).map(|reader| {
        let (http, done) = (desk.http.clone(), Arc::clone(&done));
        let path = if reader % 2 == 0 { one.clone() } else { LIST.to_owned() };
        tokio::spawn(async move {
            let mut asked = 0;
            loop {
                let at_least = done.load(Ordering::SeqCst);
                let seen: u64 = subject(&http, &path).await.parse().expect("a number");
                assert!(seen >= at_least, "{seen} was read after {at_least} had been written");
                asked += 1;
                if at_least == CHANGES {
                    return asked;
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 1..=CHANGES {
        desk.http.patch(&one, &json!({"subject": number.to_string()})).await.expect(200);
        done.store(number, Ordering::SeqCst);
    }
    for reader in readers {
        assert!(reader.await.expect("it saw nothing old") > 0);
    }
}

#[tokio::test]
async fn a_token_that_ends_elsewhere_opens_nothing_more() {
    let (desk, mailbox, one) = desk().await;
    let scopes = [postroom_core::access::Scope::ConversationsRead];
    let (narrow, other) =
        (desk.client(&scopes, &[mailbox]).await, desk.mailbox("Other", "o@example.org").await);
    let elsewhere = desk.client(&scopes, &[other]).await;
    for _ in 0..3 {
        narrow.get(&one).await.expect(200);
        elsewhere.get(&one).await.expect(404);
        assert_eq!(elsewhere.get(LIST).await.expect(200).json()["data"], json!([]));
        assert_eq!(how_many(&narrow.get(LIST).await.expect(200).json()), 1);
    }
    sql(
        desk.config(),
        &format!("UPDATE tokens SET mailbox_ids = '[{other}]' WHERE mailbox_ids = '[{mailbox}]'"),
    );
    narrow.get(&one).await.expect(404);
    sql(desk.config(), "UPDATE tokens SET revoked_at = created_at WHERE name = 'narrow'");
    narrow.get(LIST).await.expect(401);
    elsewhere.get(LIST).await.expect(401);
    desk.http.get(&one).await.expect(200);
}

#[tokio::test]
async fn what_depends_on_the_time_is_looked_up_again() {
    let (desk, _, _) = desk().await;
    let fresh = format!("{LIST}?q=created:%3E-1m");
    for _ in 0..3 {
        assert_eq!(how_many(&desk.http.get(&fresh).await.expect(200).json()), 1);
    }
    desk.desk().advance_clock(Duration::from_secs(61));
    assert_eq!(desk.http.get(&fresh).await.expect(200).json()["data"], json!([]));
}

#[tokio::test]
async fn it_is_the_same_answer_to_whoever_holds_it_already() {
    let (desk, _, one) = desk().await;
    let first = desk.http.get(&one).await.expect(200);
    let etag = first.header("etag").expect("a version").to_owned();
    for _ in 0..2 {
        let again = desk.http.get(&one).await.expect(200);
        assert_eq!((again.text(), again.header("etag")), (first.text(), Some(etag.as_str())));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        let held = desk.http.send("GET", &one, &[("if-none-match", etag.as_str())], b"").await.expect(304);
        assert_eq!((held.text().as_str(), held.header("etag")), ("", Some(etag.as_str())));
    }
    desk.http.patch(&one, &json!({"priority": "high"})).await.expect(200);
    let held = desk.http.send("GET", &one, &[("if-none-match", etag.as_str())], b"").await.expect(200);
    assert_eq!(held.json()["priority"], "high");
}

/// What is shown may become another while the version stays: then nobody is told that it is the same.
#[tokio::test]
async fn who_holds_what_is_no_longer_shown_gets_it_anew() {
    let (desk, _, one) = desk().await;
    let http = &desk.http;
    http.post(&format!("{one}/tags"), &json!({"add": ["late"]})).await.expect(200);
    let customer = http.get(&one).await.expect(200).json()["customer_id"].clone();
    let tag = http.get("/api/v1/tags").await.expect(200).json()["data"][0]["id"].clone();
    let (customer, tag) = (format!("/api/v1/customers/{customer}"), format!("/api/v1/tags/{tag}"));
    let with_customer = format!("{one}?include=customer");
    let changes =
        [(&one, &tag, json!({"name": "later"})), (&with_customer, &customer, json!({"name": "Ada L."}))];
    for (path, changed, change) in changes {
        let first = http.get(path).await.expect(200);
        let etag = first.header("etag").expect("a version").to_owned();
        let held = [("if-none-match", etag.as_str())];
        http.send("GET", path, &held, b"").await.expect(304);
        http.patch(changed, &change).await.expect(200);
        // Another of the token's programs asks first, and what it gets is remembered.
        let now = http.get(path).await.expect(200);
        for _ in 0..2 {
            let again = http.send("GET", path, &held, b"").await.expect(200);
            assert_eq!(again.json(), now.json());
            assert_ne!(again.json(), first.json());
        }
        // Its version is still that one: nobody else has changed it.
        let headers = [("if-match", etag.as_str()), ("content-type", "application/merge-patch+json")];
        http.send("PATCH", path.split('?').next().expect("a path"), &headers, b"{}").await.expect(200);
    }
}
