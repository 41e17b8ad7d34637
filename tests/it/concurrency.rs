//! Many at once: no update is lost, no mail is claimed twice, no folder has two daemons, and a
//! second process is seen by the first.

use crate::problems::problem;
use crate::program::Shell;
use postroom::{Config, Daemon};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::conversation::Channel;
use postroom_core::desk::Desk;
use postroom_core::id::{ConversationId, MailboxId, OutboxId};
use postroom_core::mailbox::{Delivery, OnUncertain, SentCopy, Source, Strangers};
use postroom_core::message::MessageKind;
use postroom_core::operations::conversations::{self, ConversationChange, NewConversation, Whose};
use postroom_core::operations::mailboxes::{self, NewMailbox};
use postroom_core::operations::messages::NewMessage;
use postroom_core::operations::outbox::Slots;
use postroom_core::operations::{messages, outbox};
use postroom_core::unsent::{When, Writing};
use serde_json::json;
use std::collections::HashSet;
use std::thread;
use support::database;
use support::desk::TestDesk;
use support::http::Http;
use support::workdir::WorkDir;

/// Two desks without workers on one database: two daemons, as far as the database can tell.
pub struct Desks {
    /// Kept, since large files are read on it.
    pub runtime: tokio::runtime::Runtime,
    pub both: Vec<Desk>,
    _dir: WorkDir,
}

pub fn two_desks() -> Desks {
    let dir = WorkDir::new("desks");
    let mut config = Config::default();
    config.storage.data_dir = dir.join("data");
    config.limits.requests_per_minute = 0;
    if database::kind() == database::Kind::Postgres {
        config.database.url = Some(database::fresh(&dir));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let entered = runtime.enter();
    let open = |_| postroom::open_desk(&config).unwrap_or_else(|error| panic!("{error:#}"));
    let both = (0..2).map(open).collect();
    drop(entered);
    Desks { runtime, both, _dir: dir }
}

pub fn mailbox(desk: &Desk) -> MailboxId {
    let new = NewMailbox {
        name: "Support".to_owned(),
        address: "support@example.org".to_owned(),
        aliases: Vec::new(),
        group: None,
        poll_interval_seconds: 60,
        source: Source::Push {},
        source_password: None,
        delivery: Delivery::Sink {},
        delivery_password: None,
        strangers: Strangers::Link,
        trusted_authserv_ids: Vec::new(),
        relay_addresses: Vec::new(),
        sent_copy: SentCopy::Auto,
        on_uncertain: OnUncertain::RetryOnce,
        undo_seconds: 0,
        paused: false,
    };
    desk.write_here(&Actor::system(), |cx| mailboxes::create(cx, &new)).expect("a mailbox").id
}

pub fn message(kind: MessageKind, text: &str) -> NewMessage {
    NewMessage {
        kind,
        writing: Writing { text: text.to_owned(), ..Writing::default() },
        files: Vec::new(),
        carried: Vec::new(),
        mentions: Vec::new(),
        when: When::Now,
        expected_last: None,
        imported: None,
    }
}

pub fn conversation(desk: &Desk, mailbox_id: MailboxId, email: &str) -> ConversationId {
    let new = NewConversation {
        mailbox_id,
        subject: "Late order".to_owned(),
        whose: Whose::Address { email: email.to_owned(), name: None },
        message: message(MessageKind::Inbound, "Where is it?"),
        tags: Vec::new(),
        custom_fields: std::collections::BTreeMap::new(),
        channel: Some(Channel::Phone),
        priority: None,
        assignee_id: None,
        team_id: None,
        category_id: None,
        status: None,
        external_id: None,
        imported: None,
    };
    let made = desk.write_here(&Actor::system(), |cx| conversations::create(cx, &new));
    made.expect("a conversation").conversation.id
}

const THREADS: usize = 8;
const UPDATES: usize = 50;

/// Writes a subject over the version that was read, as often as it takes. Says how often it was
/// refused as stale.
fn update_guarded(desk: &Desk, id: ConversationId, subject: &str) -> usize {
    let mut refused = 0;
    loop {
        let seen = desk.read_here(&Actor::system(), |cx| conversations::find(cx, id)).expect("is there");
        let etag = seen.conversation.etag();
        let change =
            ConversationChange { subject: Some(subject.to_owned()), ..ConversationChange::default() };
        match desk.write_here(&Actor::system(), |cx| conversations::update(cx, id, Some(&etag), &change)) {
            Ok(card) => {
                assert_eq!(card.conversation.version, seen.conversation.version + 1, "nothing in between");
                return refused;
            }
            Err(Error::Stale { etag: now, .. }) => {
                assert_ne!(now, etag, "the version told is the one there is, not the one that was seen");
                refused += 1;
            }
            Err(Error::Busy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn guarded_updates_of_one_conversation_are_never_lost() {
    let desks = two_desks();
    let id = conversation(&desks.both[0], mailbox(&desks.both[0]), "ada@example.org");
    let version = |desk: &Desk| {
        let card = desk.read_here(&Actor::system(), |cx| conversations::find(cx, id)).expect("is there");
        card.conversation.version
    };
    let before = version(&desks.both[0]);
    let refused: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let desk = desks.both[worker % 2].clone();
                scope.spawn(move || {
                    (0..UPDATES).map(|n| update_guarded(&desk, id, &format!("{worker}/{n}"))).sum::<usize>()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker ends")).sum()
    });
    assert_eq!(version(&desks.both[0]), before + (THREADS * UPDATES) as i64, "{refused} refused");
    // Each update told what it found and what it left: one chain without a gap.
    let mut after = 0;
    let mut subject = "Late order".to_owned();
    let mut told = 0;
    loop {
        let events = desks.both[1]
            .read_here(&Actor::system(), |cx| conversations::activity(cx, id, after, 100))
            .expect("is there");
        let Some(last) = events.last() else { break };
        after = last.seq;
        for event in events.iter().filter(|event| event.kind == "conversation.updated") {
            let pair = &event.data["changes"]["subject"];
            assert_eq!(pair[0], subject.as_str());
            pair[1].as_str().expect("a subject").clone_into(&mut subject);
            told += 1;
        }
    }
    assert_eq!(told, THREADS * UPDATES);
}

/// Who names no version is not bothered with other people's: the write is simply done.
#[test]
fn unguarded_writes_of_one_conversation_all_arrive() {
    let desks = two_desks();
    let id = conversation(&desks.both[0], mailbox(&desks.both[0]), "ada@example.org");
    thread::scope(|scope| {
        for worker in 0..4 {
            let desk = desks.both[worker % 2].clone();
            scope.spawn(move || {
                for n in 0..20 {
                    let note = message(MessageKind::Note, &format!("{worker}/{n}"));
                    loop {
                        match desk.write_here(&Actor::system(), |cx| messages::add(cx, id, None, &note)) {
                            Ok(_) => break,
                            Err(Error::Busy) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
        }
    });
    let card = desks.both[0].read_here(&Actor::system(), |cx| conversations::find(cx, id)).unwrap();
    assert_eq!(card.conversation.message_count, 1 + 80);
}

#[tokio::test]
async fn a_stale_version_is_412_with_the_one_there_is() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let body = json!({"mailbox_id": mailbox, "subject": "One", "customer": {"email": "ada@example.org"},
        "message": {"kind": "inbound", "text": "Hello"}});
    let made = desk.http.post("/api/v1/conversations", &body).await.expect(201);
    let path = format!("/api/v1/conversations/{}", made.json()["id"]);
    let first = made.header("etag").unwrap().to_owned();
    let headers = [("Content-Type", "application/json"), ("If-Match", first.as_str())];
    let change = |subject: &str| json!({ "subject": subject }).to_string();
    let done = desk.http.send("PATCH", &path, &headers, change("Two").as_bytes()).await.expect(200);
    let second = done.header("etag").unwrap().to_owned();
    assert_ne!(first, second);
    for (method, path, body) in [
        ("PATCH", path.clone(), change("Three")),
        ("POST", format!("{path}/tags"), json!({"add": ["late"]}).to_string()),
        ("POST", format!("{path}/messages"), json!({"kind": "note", "text": "too late"}).to_string()),
    ] {
        let refused = desk.http.send(method, &path, &headers, body.as_bytes()).await;
        problem(&refused, 412, "version_conflict");
        let version = refused.header("etag").expect("the version there is").trim_matches('"').to_owned();
        assert!(second.starts_with(&format!("\"{version}~")), "{method} {path}: {version}");
    }
    let now = desk.http.get(&path).await.expect(200);
    assert_eq!((&now.json()["subject"], &now.json()["message_count"]), (&json!("Two"), &json!(1)));
    assert_eq!(now.header("etag"), Some(second.as_str()));
    let any = [("Content-Type", "application/json"), ("If-Match", "*")];
    desk.http.send("PATCH", &path, &any, change("Four").as_bytes()).await.expect(200);
    desk.stop().await;
}

#[test]
fn a_mail_is_claimed_by_one_worker_alone() {
    const MAILS: usize = 40;
    let desks = two_desks();
    let mailbox_id = mailbox(&desks.both[0]);
    for n in 0..MAILS {
        let id = conversation(&desks.both[0], mailbox_id, &format!("ada+{n}@example.org"));
        let reply = message(MessageKind::Reply, "It left today.");
        desks.both[0].write_here(&Actor::system(), |cx| messages::add(cx, id, None, &reply)).unwrap();
    }
    let claimed: Vec<OutboxId> = thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|worker| {
                let desk = desks.both[worker % 2].clone();
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    loop {
                        match desk.write_here(&Actor::system(), |cx| {
                            let due = outbox::next_due(cx, &Slots::new(3))?;
                            Ok((due, outbox::claim(cx, &Slots::new(3))?))
                        }) {
                            Ok((None, _)) => return mine,
                            Ok((Some(_), claimed)) => mine.extend(claimed.into_iter().map(|mail| mail.id)),
                            Err(Error::Busy) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect()
    });
    assert_eq!(claimed.len(), MAILS);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), MAILS, "one was claimed twice: {claimed:?}");
}

#[tokio::test]
async fn two_daemons_share_a_server_and_never_a_folder() {
    let desk = TestDesk::start().await;
    let second = Daemon::start(desk.config().clone()).await;
    match database::kind() {
        database::Kind::Sqlite => {
            let error = second.expect_err("the folder is taken");
            let told = format!("{error:#}");
            assert!(told.starts_with("another postroom daemon is running on "), "{told}");
            assert_eq!(told.lines().count(), 1);
            // The first one is none the worse for it.
            desk.http.get("/api/v1/health/ready").await.expect(200);
            // By the command, too.
            let told = Shell::of(desk.config()).run(&["serve"]);
            assert!(told.refusal().contains("another postroom daemon is running on "), "{told:?}");
        }
        database::Kind::Postgres => {
            let second = second.unwrap_or_else(|error| panic!("{error:#}"));
            let there = desk.http.at(second.address);
            let mailbox = desk.mailbox("Support", "support@example.org").await;
            there.get(&format!("/api/v1/mailboxes/{mailbox}")).await.expect(200);
            second.stop().await;
        }
    }
    desk.stop().await;
}

/// With a data folder of its own for each, and one key: to the second the first's work would look
/// like what a crash left behind.
#[tokio::test]
async fn two_daemons_never_share_a_sqlite_database_by_whatever_path() {
    if database::kind() == database::Kind::Postgres {
        return;
    }
    let desk = TestDesk::start().await;
    let first = desk.config();
    let link = desk.dir().join("link.db");
    let path = first.storage.data_dir.join("postroom.db");
    std::os::unix::fs::symlink(&path, &link).expect("the folder is our own");
    for url in [&path, &link] {
        let mut config = first.clone();
        config.storage.key_file = Some(first.key_file());
        config.storage.data_dir = desk.dir().join("other");
        config.database.url = Some(format!("sqlite:{}", url.display()));
        let error = Daemon::start(config).await.expect_err("somebody is there");
        let told = format!("{error:#}");
        assert!(told.starts_with("another postroom daemon is running on "), "{told}");
    }
    // Two that begin with a link to a database that is not there yet.
    let link = desk.dir().join("new-link.db");
    std::os::unix::fs::symlink(desk.dir().join("new.db"), &link).expect("the folder is our own");
    let mut config = first.clone();
    config.storage.data_dir = desk.dir().join("third");
    config.database.url = Some(format!("sqlite:{}", link.display()));
    let third = Daemon::start(config.clone()).await.unwrap_or_else(|error| panic!("{error:#}"));
    config.storage.key_file = Some(config.key_file());
    config.storage.data_dir = desk.dir().join("fourth");
    config.database.url = Some(format!("sqlite:{}", desk.dir().join("new.db").display()));
    let error = Daemon::start(config.clone()).await.expect_err("somebody is there");
    assert!(format!("{error:#}").starts_with("another postroom daemon is running on "), "{error:#}");
    third.stop().await;
    Daemon::start(config).await.unwrap_or_else(|error| panic!("{error:#}")).stop().await;
    desk.stop().await;
}

#[tokio::test]
async fn what_a_command_makes_is_there_for_the_daemon() {
    let desk = TestDesk::start().await;
    let shell = Shell::of(desk.config());
    let token = shell.run(&["token", "create", "--name", "second", "--scope", "admin:read"]).well();
    let http = Http::new(desk.address()).with_token(token.out.trim_end());
    assert_eq!(http.get("/api/v1/me").await.expect(200).json()["name"], "second");

    let made = shell.run(&["agent", "create", "--name", "Amy", "--email", "amy@example.org"]).well();
    let agent = format!("/api/v1/agents/{}", made.out.trim_end());
    assert_eq!(desk.http.get(&agent).await.expect(200).json()["name"], "Amy");

    // A mailbox is polled without anybody waking the daemon.
    let folder = shell.dir.join("Maildir");
    support::maildir::make(&folder, None);
    support::maildir::deliver(&folder, &support::mail::mail().build(), None);
    let path = folder.to_str().unwrap();
    let add = ["mailbox", "add", "--name", "S", "--address", "support@example.org", "--maildir", path];
    let id = shell.run(&add).well().out.trim_end().to_owned();
    let status = format!("/api/v1/mailboxes/{id}/status");
    let polled = desk
        .until(|| async {
            let status = desk.http.get(&status).await.expect(200).json();
            (!status["last_success_at"].is_null()).then_some(status)
        })
        .await;
    assert_eq!((&polled["state"], &polled["accepted"]), (&"ok".into(), &1.into()));
    assert_eq!(desk.http.get("/api/v1/conversations?count=true").await.json()["page"]["total"], 1);
    // And what the daemon took in, the command shows.
    let list = shell.run(&["mailbox", "list", "-o", "json"]).well();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&list.out).unwrap()[0]["status"]["accepted"], 1);
    desk.stop().await;
}
