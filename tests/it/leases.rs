//! One mailbox, one daemon: leases by the database's clock, fences against whoever comes too late,
//! and several daemons on one server.

use crate::mailing::*;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use postroom::{Config, Daemon};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::lease::{Lease, Owner};
use postroom_core::mailbox::FolderRole;
use postroom_core::operations::fetching::{self, Folder, Renumbered};
use postroom_core::operations::leases;
use postroom_core::ports::ReadContext;
use postroom_core::store::conn::Conn;
use postroom_core::time::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use support::database;
use support::desk::TestDesk;
use support::dovecot::{self, Dovecot};
use support::mail::mail;
use support::{maildir, tls};

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    owner: Option<String>,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

fn rows(config: &Config) -> Vec<Row> {
    let query = "SELECT owner, fence FROM leases ORDER BY mailbox_id";
    match &mut database(config) {
        Conn::Postgres(conn) => diesel::sql_query(query).load(conn),
        Conn::Sqlite(conn) => diesel::sql_query(query).load(conn),
    }
    .expect("the table is there")
}

/// As if the owner of every lease had been gone for just as long as it lasts.
const RUN_OUT: &str = "UPDATE leases SET expires_at = expires_at - 30000000";

async fn take(desk: &TestDesk, mailbox: i64, owner: &Owner) -> Option<Lease> {
    let owner = owner.clone();
    desk.write(move |cx| leases::take(cx, MailboxId(mailbox), &owner)).await
}

async fn holds(desk: &Desk, lease: &Lease) -> bool {
    let lease = lease.clone();
    match desk.write(&Actor::system(), move |cx| leases::hold(cx, &lease)).await {
        Ok(()) => true,
        Err(Error::LeaseLost) => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_mailbox_has_one_owner_until_the_database_says_that_its_time_is_over() {
    // The desk's clock is not asked: it stands, and then runs ahead by an hour.
    let desk = TestDesk::start_fixed().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let (one, two) = (Owner::new(), Owner::new());
    let first = take(&desk, mailbox, &one).await.expect("nobody has it");
    assert_eq!(first.fence(), 1);
    assert_eq!(take(&desk, mailbox, &two).await, None);
    assert_eq!(take(&desk, mailbox, &one).await, None, "not even its owner takes it twice");
    desk.desk().advance_clock(Duration::from_hours(1));
    assert_eq!(desk.write(leases::free).await, []);
    assert_eq!(take(&desk, mailbox, &two).await, None);

    // One that ran out and that nobody took is still its owner's, and lasts again.
    sql(desk.config(), RUN_OUT);
    assert_eq!(desk.write(leases::free).await, [MailboxId(mailbox)]);
    assert!(holds(desk.desk(), &first).await);
    assert_eq!(desk.write(leases::free).await, []);

    sql(desk.config(), RUN_OUT);
    let second = take(&desk, mailbox, &two).await.expect("its time is over");
    assert_eq!(second.fence(), 2);
    assert!(!holds(desk.desk(), &first).await && holds(desk.desk(), &second).await);
    let late = first.clone();
    desk.write(move |cx| leases::release(cx, &late)).await;
    assert!(holds(desk.desk(), &second).await, "what was lost can't be given back");
    let given = second.clone();
    desk.write(move |cx| leases::release(cx, &given)).await;
    assert!(!holds(desk.desk(), &second).await);
    let third = take(&desk, mailbox, &one).await.expect("it was given back");
    assert_eq!(third.fence(), 3);
    assert!(!holds(desk.desk(), &first).await, "an old fence stays an old fence");
    desk.stop().await;
}

/// A batch of one mail as a poll under this lease has fetched it.
fn batch(desk: &Desk, lease: &Lease) -> Batch {
    let raw = mail().build();
    let arrival = Arrival {
        location: "7/1".to_owned(),
        uid: Some(1),
        internal_date: None,
        size: raw.len() as i64,
        mail: desk.ports().reader.read(&raw, &ReadContext::default()),
        raw: desk.keep_here(&raw).expect("it is kept"),
        oversized: false,
        is_history: false,
        asked_for: false,
    };
    Batch {
        mailbox_id: lease.mailbox_id(),
        lease: Some(lease.clone()),
        folder: "INBOX".to_owned(),
        role: FolderRole::Inbox,
        uidvalidity: Some(7),
        history: None,
        arrivals: vec![arrival],
    }
}

#[tokio::test]
async fn whatever_a_daemon_writes_too_late_is_refused() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let late = take(&desk, mailbox, &Owner::new()).await.expect("nobody has it");
    let folder = Folder {
        mailbox_id: MailboxId(mailbox),
        lease: late.clone(),
        name: "INBOX".to_owned(),
        uidvalidity: 7,
        generation: 0,
    };
    let begun = {
        let (lease, folder) = (late.clone(), folder.clone());
        desk.write(move |cx| {
            let now = cx.now;
            fetching::begin_folder(cx, &folder, 0, None, now)?;
            fetching::plan(cx, &folder, &[(1, 100)], false)?;
            fetching::begin_poll(cx, &lease)
        })
        .await
    };
    // It stood still; another daemon went on in its place.
    sql(desk.config(), RUN_OUT);
    let ours = take(&desk, mailbox, &Owner::new()).await.expect("its time is over");
    let before = status(&desk, mailbox).await;

    let here = desk.desk().clone();
    let waiting = here
        .read_here(&Actor::system(), |cx| fetching::waiting(cx, &folder, false, 10))
        .expect("it can be read");
    assert_eq!(waiting.len(), 1);
    let cursor = here.read_here(&Actor::system(), |cx| fetching::cursor(cx, folder.mailbox_id, "INBOX"));
    let cursor = cursor.expect("it can be read").expect("it was begun");
    let end = postroom_core::store::mailboxes::PollEnd::Failed("too late".to_owned());
    let refused: Vec<Result<(), Error>> = vec![
        here.receive_here(&batch(&here, &late)).map(drop),
        here.write_here(&Actor::system(), |cx| fetching::begin_folder(cx, &folder, 5, None, Timestamp(0))),
        here.write_here(&Actor::system(), |cx| {
            fetching::renumber(cx, &folder, &cursor, 5, &[], Renumbered::Restored)
        }),
        here.write_here(&Actor::system(), |cx| fetching::plan(cx, &folder, &[(2, 100)], false)),
        here.write_here(&Actor::system(), |cx| {
            fetching::missed(cx, &folder, &waiting, "late", fetching::Fault::Mail)
        })
        .map(drop),
        here.write_here(&Actor::system(), |cx| fetching::blame(cx, &folder, &waiting)),
        here.write_here(&Actor::system(), |cx| fetching::reopen(cx, &folder, &[])),
        here.write_here(&Actor::system(), |cx| fetching::gone(cx, &folder, &waiting)),
        here.write_here(&Actor::system(), |cx| fetching::ignored(cx, &folder, &waiting, "late")),
        here.write_here(&Actor::system(), |cx| fetching::actions_done(cx, &folder, &[1])),
        here.write_here(&Actor::system(), |cx| fetching::begin_poll(cx, &late)).map(drop),
        here.write_here(&Actor::system(), |cx| fetching::end_poll(cx, &late, begun, &end)),
        here.write_here(&Actor::system(), |cx| fetching::raise_error(cx, &late)),
    ];
    for (place, refused) in refused.iter().enumerate() {
        assert!(matches!(refused, Err(Error::LeaseLost)), "write {place}: {refused:?}");
    }
    assert_eq!(status(&desk, mailbox).await, before, "nothing of it counts");
    assert!(ledger(&desk, mailbox, "accepted").await.is_empty());
    assert!(ledger(&desk, mailbox, "quarantined").await.is_empty(), "the mail is not at fault");

    let taken = here.receive_here(&batch(&here, &ours)).expect("this one's is taken in");
    assert_eq!(taken.len(), 1);
    assert!(here.receive_here(&batch(&here, &late)).is_err());
    assert_eq!(ledger(&desk, mailbox, "accepted").await.len(), 1);
    assert_eq!(conversations(&desk).await.len(), 1);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_whose_daemon_is_gone_is_taken_over() {
    let desk = TestDesk::start().await;
    let path = desk.dir().join("Maildir");
    maildir::make(&path, None);
    let source = json!({"type": "maildir", "path": path});
    let mailbox = add_with(
        &desk,
        json!({"name": "Support", "address": "support@example.org", "poll_interval_seconds": 86_400,
            "source": source, "delivery": {"type": "sink"}}),
    )
    .await;
    sync(&desk, mailbox).await;
    // Another daemon has it, which dies before it polls.
    sql(
        desk.config(),
        "UPDATE leases SET owner = 'gone', fence = fence + 1, expires_at = expires_at + 3600000000",
    );
    maildir::deliver(&path, &mail().build(), None);
    let asked = desk.http.post(&format!("/api/v1/mailboxes/{mailbox}/sync"), &Value::Null).await;
    asked.expect(202);
    let stays = desk.http.get("/api/v1/health/ready").await.expect(200);
    assert_eq!(stays.json()["status"], "ok");
    sql(desk.config(), "UPDATE leases SET expires_at = expires_at - 3631000000");
    let after = desk
        .until(|| async {
            let status = status(&desk, mailbox).await;
            (status["syncing"] == json!(false)).then_some(status)
        })
        .await;
    assert_eq!((&after["state"], &after["accepted"]), (&json!("ok"), &json!(1)), "{after}");
    let rows = rows(desk.config());
    assert_eq!(rows[0].fence, 3, "{rows:?}");
    assert!(rows[0].owner.as_deref().is_some_and(|owner| owner != "gone"), "{rows:?}");
    desk.stop().await;
}

const MAILBOXES: usize = 4;
const MAILS: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_comes_in_once_whichever_daemon_has_the_mailbox() {
    let dovecot = Dovecot::start();
    let users: Vec<String> = (0..MAILBOXES).map(|n| format!("user{n}")).collect();
    for user in &users {
        dovecot.add_user(user);
        for number in 0..MAILS {
            let mail = mail().subject(&format!("{user} {number}")).text(&format!("{number} of {user}"));
            dovecot.deliver(user, "INBOX", mail.build());
        }
    }
    let mut desk = TestDesk::start().await;
    for user in &users {
        let source = json!({
            "type": "imap", "host": "127.0.0.1", "port": dovecot.imaps, "security": "tls",
            "username": user, "password": dovecot::PASSWORD, "ca_file": tls::ca_file(),
        });
        let body = json!({"name": user, "address": format!("{user}@example.org"), "source": source,
            "poll_interval_seconds": 5, "delivery": {"type": "sink"}});
        add_with(&desk, body).await;
    }
    let second = match database::kind() {
        database::Kind::Postgres => {
            Some(Daemon::start(desk.config().clone()).await.unwrap_or_else(|error| panic!("{error:#}")))
        }
        // Two share no file (`concurrency.rs`); one after the other they do.
        database::Kind::Sqlite => None,
    };
    // The first stops in the midst of it, and comes back after the other went on.
    desk.until(|| async { (accepted(&desk).await > 0).then_some(()) }).await;
    desk.restart().await;
    desk.until(|| async { (accepted(&desk).await == MAILBOXES * MAILS).then_some(()) }).await;
    if let Some(second) = second {
        second.stop().await;
    }
    // Whoever is left looks again, and finds nothing that is not there.
    for mailbox in list(&desk, "/api/v1/mailboxes").await {
        let status = sync(&desk, number(&mailbox["id"])).await;
        assert_eq!(
            (&status["accepted"], &status["duplicates"], &status["failed"], &status["pending"]),
            (&json!(MAILS), &json!(0), &json!(0), &json!(0)),
            "{status}"
        );
    }
    let all = desk.http.get("/api/v1/conversations?count=true&limit=1").await.expect(200).json();
    assert_eq!(all["page"]["total"], json!(MAILBOXES * MAILS));
    let config = desk.config().clone();
    assert!(rows(&config).iter().all(|row| row.owner.is_some() && row.fence >= 2), "{:?}", rows(&config));
    if database::kind() == database::Kind::Postgres {
        desk.stop().await;
        assert!(rows(&config).iter().all(|row| row.owner.is_none()), "a clean stop gives everything back");
    }
}

/// Mail that has come in, of all mailboxes.
async fn accepted(desk: &TestDesk) -> usize {
    let mut sum = 0;
    for mailbox in list(desk, "/api/v1/mailboxes").await {
        let status = status(desk, number(&mailbox["id"])).await;
        sum += usize::try_from(number(&status["accepted"])).expect("not negative");
    }
    sum
}

/// A poll that is under way when its mailbox gets another account goes on with the old one's session:
/// nothing that it still finds may be written.
#[tokio::test]
async fn another_account_takes_the_mailbox_from_the_poll_under_way() {
    let desk = TestDesk::start_fixed().await;
    let source = |user: &str| {
        json!({"type": "imap", "host": "127.0.0.1", "port": 1, "security": "none", "username": user,
            "password": "secret"})
    };
    let body = json!({"name": "Support", "address": "support@example.org", "source": source("one"),
        "delivery": {"type": "sink"}, "paused": true});
    let mailbox = add_with(&desk, body).await;
    let owner = Owner::new();
    let lease = take(&desk, mailbox, &owner).await.expect("one at rest is nobody's");
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"source": {"folders": ["INBOX", "More"]}})).await.expect(200);
    assert!(holds(desk.desk(), &lease).await, "another folder is the same account");
    desk.http.patch(&path, &json!({"source": source("two")})).await.expect(200);
    assert!(!holds(desk.desk(), &lease).await);
    assert_eq!(take(&desk, mailbox, &owner).await.expect("it is free").fence(), lease.fence() + 2);
    desk.stop().await;
}
