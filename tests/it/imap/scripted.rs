//! Servers in trouble, and servers that say less, or other things, than they should: no mail is lost over
//! that, and none is deleted that is not here whole.

use super::{numbered, sink};
use crate::mailing::*;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::{BEGINNING, TestDesk};
use support::mail::mail;
use support::scripted::{ScriptedImap, chosen, fetched};

const DATE: &str = "22-Nov-2026 08:00:00 +0000";
const LONG_AGO: &str = "22-Nov-2019 08:00:00 +0000";

fn put(server: &ScriptedImap, uids: impl IntoIterator<Item = usize>) {
    for uid in uids {
        server.put(uid, &numbered(uid).build(), DATE);
    }
}

fn figures(status: &Value) -> (i64, i64, i64) {
    (number(&status["accepted"]), number(&status["pending"]), number(&status["failed"]))
}

async fn desk(tries: i32) -> TestDesk {
    TestDesk::start_with(Clock::fixed(BEGINNING), move |config| config.limits.ingest_tries = tries).await
}

fn refuse_bodies(server: &ScriptedImap, words: &'static str) {
    server.script(move |command, _| {
        (command.starts_with("UID FETCH") && command.contains("BODY.PEEK[]")).then(|| Err(words.to_owned()))
    });
}

/// A poll asks for all in one go, for three one by one, and then no more.
fn asks_little(server: &ScriptedImap) {
    let asked = server.commands();
    let bodies = asked.iter().filter(|command| command.contains("BODY.PEEK[]")).count();
    let polls = asked.iter().filter(|command| command.starts_with("LOGIN")).count();
    assert!(polls > 0 && bodies <= polls * 4, "{bodies} in {polls}: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_not_now_costs_no_mail_a_try() {
    let server = ScriptedImap::start();
    put(&server, 1..=30);
    let desk = desk(1).await;
    refuse_bodies(&server, "NO [UNAVAILABLE] the mail store is down, try again");
    let mailbox = add(&desk, server.source(), sink()).await;
    for _ in 0..6 {
        server.commands();
        let status = sync(&desk, mailbox).await;
        assert_eq!(figures(&status), (0, 30, 0), "{status}");
        assert_eq!(status["state"], "failing", "{status}");
        asks_little(&server);
        desk.desk().advance_clock(Duration::from_hours(24));
    }
    server.heal();
    let status = sync(&desk, mailbox).await;
    assert_eq!((figures(&status), &status["state"]), ((30, 0, 0), &json!("ok")), "{status}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_never_given_holds_up_none_behind_it() {
    let server = ScriptedImap::start();
    put(&server, 1..=40);
    // What is deleted takes no number back.
    server.claim_next(43);
    let desk = desk(5).await;
    server.script(|command, mails| {
        let asked = command.strip_prefix("UID FETCH ").filter(|asked| asked.contains("BODY.PEEK[]"))?;
        let is_refused = chosen(asked, mails).iter().any(|uid| *uid <= 30);
        is_refused.then(|| Err("NO [UNAVAILABLE] the mail store is down, try again".to_owned()))
    });
    let mut source = server.source();
    source["after_ingest"] = json!({"type": "delete", "after_days": 0});
    let mailbox = add(&desk, source, sink()).await;
    // Each poll begins with others.
    for _ in 0..11 {
        sync(&desk, mailbox).await;
    }
    let now = status(&desk, mailbox).await;
    assert_eq!((figures(&now), &now["retrying"]), ((10, 30, 0), &json!(30)), "{now}");
    // What is new does not wait for them, and what is here is done with.
    put(&server, 41..=42);
    let now = sync(&desk, mailbox).await;
    assert_eq!(figures(&now), (12, 30, 0), "{now}");
    assert_ne!(now["state"], "ok", "{now}");
    assert_eq!(server.uids(), (1..=30).collect::<Vec<_>>());
    server.heal();
    let status = sync(&desk, mailbox).await;
    assert_eq!((figures(&status), &status["state"]), ((42, 0, 0), &json!("ok")), "{status}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_all_puts_no_mail_aside() {
    let server = ScriptedImap::start();
    put(&server, 1..=30);
    let desk = desk(2).await;
    refuse_bodies(&server, "NO try again");
    let mailbox = add(&desk, server.source(), sink()).await;
    for _ in 0..5 {
        server.commands();
        let status = sync(&desk, mailbox).await;
        assert_eq!((figures(&status), &status["state"]), ((0, 30, 0), &json!("failing")), "{status}");
        asks_little(&server);
    }
    server.heal();
    assert_eq!(figures(&sync(&desk, mailbox).await), (30, 0, 0));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_a_listing_does_not_describe_comes_in() {
    let server = ScriptedImap::start();
    put(&server, 1..=3);
    // The second without its size, the third not at all.
    server.script(|command, mails| {
        let set = command.strip_prefix("UID FETCH ")?.strip_suffix(" (UID RFC822.SIZE)")?;
        let lines = chosen(set, mails).into_iter().map(|uid| match uid {
            2 => "* 2 FETCH (UID 2)\r\n".to_owned(),
            3 | 5 => String::new(),
            _ => format!("* {uid} FETCH (UID {uid} RFC822.SIZE {})\r\n", mails[&uid].raw.len()),
        });
        Some(Ok(lines.collect::<String>().into_bytes()))
    });
    let desk = desk(5).await;
    let mailbox = add(&desk, server.source(), sink()).await;
    assert_eq!(figures(&sync(&desk, mailbox).await), (3, 0, 0));
    put(&server, 4..=6);
    assert_eq!(figures(&sync(&desk, mailbox).await), (6, 0, 0));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_number_that_is_too_low_hides_no_mail() {
    let server = ScriptedImap::start();
    put(&server, [10, 20, 30]);
    server.claim_next(4);
    let desk = desk(5).await;
    let mailbox = add(&desk, server.source(), sink()).await;
    assert_eq!(figures(&sync(&desk, mailbox).await), (3, 0, 0));
    put(&server, [31, 32]);
    server.claim_next(6);
    assert_eq!(figures(&sync(&desk, mailbox).await), (5, 0, 0));
    // By chance it looks as if there were nothing new.
    put(&server, [33]);
    server.claim_next(33);
    assert_eq!(figures(&sync(&desk, mailbox).await), (6, 0, 0));
    desk.stop().await;
}

fn cut(server: &ScriptedImap, bytes: usize) {
    server.script(move |command, mails| {
        let rest = command.strip_prefix("UID FETCH ").filter(|rest| rest.contains("BODY.PEEK[]"))?;
        let uids = chosen(rest, mails).into_iter();
        let answer = uids.flat_map(|uid| {
            let mail = &mails[&uid];
            fetched(uid, mail, rest, (uid == 2).then(|| &mail.raw[..bytes]))
        });
        Some(Ok(answer.collect()))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_is_not_the_mail() {
    let server = ScriptedImap::start();
    put(&server, [1]);
    let long = mail().subject("Long").text(&"A line.\n".repeat(1_000)).build();
    server.put(2, &long, DATE);
    let desk = desk(2).await;
    let after = json!({"after_ingest": {"type": "delete", "after_days": 0}});
    let mailbox = add(&desk, with(server.source(), after), sink()).await;
    for bytes in [0, 400, long.len() / 2 - 1] {
        cut(&server, bytes);
        // Ahead of its time it counts for nothing.
        let status = sync(&desk, mailbox).await;
        assert_eq!(figures(&status), (1, 1, 0), "{bytes}: {status}");
        assert_eq!(server.uids(), [2]);
    }
    server.heal();
    assert_eq!(figures(&sync(&desk, mailbox).await), (2, 0, 0));
    assert_eq!(server.uids(), Vec::<usize>::new());
    let found = conversations(&desk).await;
    let found = found.iter().find(|found| found["subject"] == "Long").expect("it is here");
    let message = messages(&desk, number(&found["id"])).await.remove(0);
    assert!(raw(&desk, number(&message["id"])).await == long);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_try_keeps_what_there_is_and_leaves_the_mail_on_the_server() {
    let server = ScriptedImap::start();
    let long = mail().subject("Long").text(&"A line.\n".repeat(1_000)).build();
    server.put(2, &long, DATE);
    cut(&server, 400);
    let desk = desk(1).await;
    let after = json!({"after_ingest": {"type": "delete", "after_days": 0}});
    let mailbox = add(&desk, with(server.source(), after), sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!(figures(&status), (1, 0, 0), "{status}");
    let row = ledger(&desk, mailbox, "oversized").await.remove(0);
    assert_eq!(row["size"], json!(long.len()));
    let found = conversations(&desk).await.remove(0);
    let message = messages(&desk, number(&found["id"])).await.remove(0);
    assert!(message["flags"].as_array().expect("a list").contains(&json!("shortened")), "{message}");
    assert_eq!(raw(&desk, number(&message["id"])).await, &long[..400]);
    sync(&desk, mailbox).await;
    assert_eq!(server.uids(), [2]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mail_that_is_moved_into_the_folder_is_new() {
    let server = ScriptedImap::start();
    server.put(1, &numbered(1).build(), LONG_AGO);
    let desk = desk(5).await;
    let source = with(server.source(), json!({"import": {"type": "none"}}));
    let mailbox = add(&desk, source, sink()).await;
    assert_eq!(figures(&sync(&desk, mailbox).await), (0, 0, 0));
    server.put(2, &numbered(2).build(), LONG_AGO);
    let status = sync(&desk, mailbox).await;
    assert_eq!(figures(&status), (1, 0, 0), "{status}");
    assert_eq!(ledger(&desk, mailbox, "ignored").await, Vec::<Value>::new());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_server_is_noticed_where_sizes_are_equal_and_numbers_have_three_digits() {
    let server = ScriptedImap::start();
    let alarm = |uid: usize, word: &str| mail().subject(&format!("{word}{uid:03}")).text("down").build();
    for uid in 90..=105 {
        server.put(uid, &alarm(uid, "one"), DATE);
    }
    let desk = desk(5).await;
    let mailbox = add(&desk, server.source(), sink()).await;
    assert_eq!(figures(&sync(&desk, mailbox).await), (16, 0, 0));
    // The backup had 97 of them; the next eight came under the same numbers.
    for uid in 98..=105 {
        server.put(uid, &alarm(uid, "two"), "22-Nov-2026 08:00:05 +0000");
    }
    let status = sync(&desk, mailbox).await;
    assert_eq!(figures(&status), (24, 0, 0), "{status}");
    desk.stop().await;
}
