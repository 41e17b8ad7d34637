//! `postroom deliver` as a mail server's pipe runs it: it goes by the exit code alone, and brings a mail
//! again where it lost that.

use crate::mailing::*;
use crate::program::Shell;
use diesel::connection::SimpleConnection;
use postroom_core::store::conn::{self, DatabaseUrl};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use support::desk::TestDesk;
use support::mail::mail;

const COMMAND: [&str; 3] = ["deliver", "--mailbox", "support@example.org"];

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_in_when_the_command_ends_and_once_however_often_it_is_brought() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let shell = Shell::of(desk.config());
    let raw = mail().without_message_id().build();
    for attempt in 0..3 {
        // Postfix's F flag: the line tells the time of the attempt.
        let line = format!("From ada@example.org  Sun Nov 22 0{attempt}:00:00 2026\n");
        let told = shell.run_with_input(&COMMAND, [line.as_bytes(), &raw].concat()).well();
        assert_eq!((told.out.as_str(), told.err.as_str()), ("", ""), "nothing is said where all is well");
        assert_eq!(conversations(&desk).await.len(), 1, "it is in");
    }
    let rows = ledger(&desk, mailbox, "accepted").await;
    assert_eq!((rows.len(), &rows[0]["folder"]), (1, &json!("deliver")), "{rows:?}");
    assert_eq!(status(&desk, mailbox).await["duplicates"], 0);
    let message = messages(&desk, number(&rows[0]["conversation_id"])).await.remove(0);
    assert!(super::mailing::raw(&desk, number(&message["id"])).await == raw, "without that line");
    let news = desk.event_types().await;
    assert_eq!(news.iter().filter(|word| *word == "message.received").count(), 1, "{news:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_all_come_in_and_none_twice() {
    let desk = TestDesk::start().await;
    pushed(&desk, json!({})).await;
    let config = desk.config().clone();
    Shell::of(&config).run(&["--version"]).well();
    let deliveries: Vec<_> = (0..12)
        .map(|number| {
            let config = config.clone();
            // Each of four mails three times.
            let raw = mail()
                .subject(&format!("Order {}", number % 4))
                .message_id(&format!("<{}@x.example>", number % 4));
            thread::spawn(move || Shell::of(&config).run_with_input(&COMMAND, raw.build()))
        })
        .collect();
    for delivery in deliveries {
        delivery.join().expect("no panic").well();
    }
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|row| row["message_count"] == 1), "{all:?}");
    desk.stop().await;
}

#[test]
fn what_is_wrong_with_the_mail_or_the_command_is_final() {
    let mut shell = Shell::new();
    shell.set("POSTROOM__LIMITS__MAIL_MIB", "1");
    shell.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]).well();
    let raw = String::from_utf8(mail().build()).expect("ASCII");
    let of_size = |size: usize| format!("{raw}{}", "x".repeat(size - raw.len()));
    for (arguments, input, code) in [
        (&COMMAND[..], of_size(1 << 20), 0),
        (&COMMAND[..], of_size((1 << 20) + 1), 65),
        (&COMMAND[..], String::new(), 65),
        (&COMMAND[..], "\r\n \n".to_owned(), 65),
        (&COMMAND[..], "From ada Sun Nov 22 08:00:00 2026\n".to_owned(), 65),
        (&["deliver", "--mailbox", "nobody@example.org"][..], raw.clone(), 67),
        (&["deliver"][..], String::new(), 64),
        (&["deliver", "--mailbox", "Support", "--frobnicate"][..], String::new(), 64),
        (&["deliver", "--help"][..], String::new(), 0),
    ] {
        let told = shell.run_with_input(arguments, &input);
        assert_eq!(told.code, Some(code), "{arguments:?} with {} bytes: {told:?}", input.len());
        let says_why = told.err.lines().any(|line| !line.is_empty());
        assert_eq!(says_why, code != 0, "{told:?}");
    }
}

#[test]
fn what_is_wrong_with_the_desk_is_tried_again() {
    let raw = mail().build();
    // Nobody listens there.
    let mut shell = Shell::new();
    shell.set("POSTROOM__DATABASE__URL", "postgres://postroom@127.0.0.1:1/postroom");
    assert_eq!(shell.run_with_input(&COMMAND, &raw).code, Some(75));
    // Settings that make no sense are the operator's to mend, and the mail is good.
    shell.set("POSTROOM__LIMITS__MAIL_MIB", "much");
    assert_eq!(shell.run_with_input(&COMMAND, &raw).code, Some(75));
    assert_eq!(shell.run_with_input(&["deliver", "-c", "/nowhere", "--mailbox", "x"], &raw).code, Some(75));
    // A file that is not ours to read: the wrong user runs it, and the mail is none the worse.
    let shell = Shell::new();
    shell.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]).well();
    let key = shell.data().join("postroom.key");
    fs::set_permissions(&key, Permissions::from_mode(0o000)).expect("our own");
    let told = shell.run_unprivileged(&COMMAND, &raw);
    assert!(told.code == Some(75) && told.err.contains("Permission denied"), "{told:?}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("our own");
    // A standard input that can't be read: here it is a folder.
    let told = shell.run_with_stdin(&COMMAND, File::open(shell.data()).expect("it is there"));
    assert!(told.code == Some(75) && told.err.contains("standard input can't be read"), "{told:?}");
    // Somebody holds the database for longer than anybody waits.
    if let DatabaseUrl::Sqlite(_) = shell.database() {
        let mut holder = conn::open(&shell.database()).expect("it is there");
        holder.batch_execute("BEGIN IMMEDIATE").expect("nobody else is here");
        assert_eq!(shell.run_with_input(&COMMAND, &raw).code, Some(75));
        holder.batch_execute("ROLLBACK").expect("it is ours");
    }
    shell.run_with_input(&COMMAND, &raw).well();
}
