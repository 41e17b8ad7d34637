//! Who sends what and when: a mail belongs to one worker for as long as it says so, a slow mailbox takes no
//! other's place, and time in which a mail can't be tried is not counted against it.

use super::{path, sending, with_ada};
use crate::mailing::*;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::cx::Cx;
use postroom_core::id::MailboxId;
use postroom_core::message::Outbound;
use postroom_core::operations::mailboxes::{self, MailboxChange};
use postroom_core::operations::outbox::{self, Outcome, Refusal, Slots};
use postroom_core::store::conn::Conn;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use support::desk::TestDesk;
use support::smtp::{Phase, SmtpSink};

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn pause(desk: &TestDesk, mailbox: i64, paused: bool) {
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"paused": paused})).await.expect(200);
}

/// An answer to two that a worker has claimed: nobody else is at it. `and`: what it does then.
async fn claimed(
    desk: &TestDesk,
    sink: &SmtpSink,
    and: impl Fn(&mut Cx<'_>, Outbound) -> Result<Outbound, Error> + Send + 'static,
) -> (Value, i64, Outbound) {
    let mailbox = sending(desk, sink).await;
    let conversation = with_ada(desk, mailbox).await;
    pause(desk, mailbox, true).await;
    let body = json!({"kind": "reply", "text": "For you.", "to": [{"email": "ada@example.net"}],
                      "cc": [{"email": "bob@example.net"}]});
    let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
    let row = desk
        .write(move |cx| {
            let wake = MailboxChange { paused: Some(false), ..MailboxChange::default() };
            mailboxes::update(cx, MailboxId(mailbox), None, &wake)?;
            let claimed = outbox::claim(cx, &Slots::new(10))?.remove(0);
            and(cx, claimed)
        })
        .await;
    (answer, conversation, row)
}

/// The bytes go, and Bob was refused for good.
fn bytes_go(cx: &mut Cx<'_>, claimed: Outbound) -> Result<Outbound, Error> {
    let response = "550 5.1.1 No such user".to_owned();
    let refused = [Refusal { email: "bob@example.net".to_owned(), permanent: true, response }];
    outbox::data_goes(cx, &claimed, "support@example.org", &refused)
}

/// Its claim runs out, and the desk's own worker finds it.
async fn runs_out(desk: &TestDesk) {
    sql(desk.config(), "UPDATE outbox SET claimed_until = claimed_until - 121000000 WHERE state = 'sending'");
    pass(desk, Duration::from_secs(1)).await;
}

async fn delivery(desk: &TestDesk, answer: &Value) -> Value {
    desk.http.get(&format!("/api/v1/messages/{}/delivery", answer["id"])).await.expect(200).json()
}

fn states(delivery: &Value) -> Vec<&str> {
    let all = delivery["recipients"].as_array().expect("a list");
    all.iter().map(|one| one["state"].as_str().expect("a word")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_renewed_is_kept_and_one_that_ran_out_is_lost() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let (answer, conversation, row) = claimed(&desk, &sink, |_, claimed| Ok(claimed)).await;
    let known = row.clone();
    assert!(desk.write(move |cx| outbox::renew(cx, &known)).await);
    let until = value(&desk, "SELECT claimed_until AS value FROM outbox");
    assert!(row.claimed_until.is_some_and(|before| until > before.0));
    // Its own next write finds the row as it knows it; one more is renewed as well.
    let known = row.clone();
    let gone = desk.write(move |cx| bytes_go(cx, known.clone())).await;
    for known in [row, gone.clone()] {
        assert!(desk.write(move |cx| outbox::renew(cx, &known)).await);
    }
    assert_eq!(states(&delivery(&desk, &answer).await), ["waiting", "refused"]);

    runs_out(&desk).await;
    delivered(&desk, &answer, "uncertain").await;
    let known = gone.clone();
    assert!(!desk.write(move |cx| outbox::renew(cx, &known)).await);
    let system = Actor::system();
    let lost = desk.desk().write(&system, move |cx| outbox::data_goes(cx, &gone, "support@example.org", &[]));
    assert!(matches!(lost.await, Err(Error::StateConflict(_))));
    let other = reply(&desk, conversation, "And this.").await;
    delivered(&desk, &other, "sent").await;
    assert_eq!(sink.mails().len(), 1, "what is uncertain waits");
    desk.stop().await;
}

/// Whether somebody waits for a row that another connection of this database has. SQLite has one writer, who is
/// waited for before anything is read.
fn somebody_waits(desk: &TestDesk) -> bool {
    match database(desk.config()) {
        Conn::Postgres(_) => {
            let waiting = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
                           AND wait_event_type = 'Lock'";
            count(desk, waiting) > 0
        }
        Conn::Sqlite(_) => true,
    }
}

fn run(conn: &mut Conn, statement: &str) {
    let done = match conn {
        Conn::Postgres(conn) => diesel::sql_query(statement).execute(conn),
        Conn::Sqlite(conn) => diesel::sql_query(statement).execute(conn),
    };
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_renewed_while_it_is_taken_for_lost_is_kept() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let (answer, _, row) = claimed(&desk, &sink, bytes_go).await;
    let until = row.claimed_until.expect("it is claimed").0;
    let renews = format!("UPDATE outbox SET claimed_until = {until}");
    // It has run out, and is just being renewed: nobody sees that before it is committed. The desk's own sender looks
    // on: there must be no moment in which it has run out and nobody renews it.
    let mut ending = database(desk.config());
    let mut renewing = match &ending {
        // There is one writer, and whoever looks is one.
        Conn::Sqlite(_) => {
            run(&mut ending, "BEGIN IMMEDIATE");
            run(&mut ending, "UPDATE outbox SET claimed_until = 1");
            run(&mut ending, &renews);
            ending
        }
        // The renewal waits for the row, and has it before anybody who comes later.
        Conn::Postgres(_) => {
            run(&mut ending, "BEGIN");
            run(&mut ending, "UPDATE outbox SET claimed_until = 1");
            let mut renewing = database(desk.config());
            let waiting = tokio::task::spawn_blocking(move || {
                run(&mut renewing, "BEGIN");
                run(&mut renewing, &renews);
                renewing
            });
            desk.until(|| async { somebody_waits(&desk).then_some(()) }).await;
            run(&mut ending, "COMMIT");
            waiting.await.expect("it has the row")
        }
    };
    let other = desk.desk().clone();
    let recovering = tokio::spawn(async move { other.write(&Actor::system(), outbox::recover).await });
    desk.until(|| async { somebody_waits(&desk).then_some(()) }).await;
    run(&mut renewing, "COMMIT");
    assert_eq!(recovering.await.expect("it ends").expect("it works"), 0);
    assert_eq!(delivery(&desk, &answer).await["state"], "sending");
    assert!(list(&desk, "/api/v1/events?after=0&limit=100&types=message.uncertain").await.is_empty());
    assert!(desk.write(move |cx| outbox::renew(cx, &row)).await);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_knew_of_refusals_is_known() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let (answer, _, _) = claimed(&desk, &sink, bytes_go).await;
    runs_out(&desk).await;
    let uncertain = delivered(&desk, &answer, "uncertain").await;
    assert_eq!(states(&uncertain), ["waiting", "refused"], "{uncertain}");
    let told = list(&desk, "/api/v1/events?after=0&limit=100&types=message.uncertain").await;
    assert_eq!(told[0]["data"]["refused"][0]["email"], "bob@example.net", "{told:?}");
    // It goes once more, to those of whom nobody knows.
    pass(&desk, HOUR).await;
    let sent = delivered(&desk, &answer, "sent").await;
    assert_eq!((states(&sent), &sent["may_be_double"]), (vec!["accepted", "refused"], &json!(true)));
    assert_eq!(sink.next().await.to, ["ada@example.net"]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_heard_late_settles_what_became_uncertain() {
    let taken = Outcome::Sent { response: "250 2.0.0 Ok".to_owned(), refused: Vec::new() };
    let later = Outcome::Deferred { reason: "452 4.3.1 Disk full".to_owned(), refused: Vec::new() };
    let never = Outcome::Failed { reason: "554 5.7.1 No".to_owned(), refused: Vec::new() };
    for (outcome, state) in [(taken, "sent"), (later, "deferred"), (never, "failed")] {
        let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
        let (answer, _, row) = claimed(&desk, &sink, bytes_go).await;
        runs_out(&desk).await;
        delivered(&desk, &answer, "uncertain").await;
        let system = Actor::system();
        // That the bytes of an earlier attempt had gone says nothing of this one.
        let earlier = Outbound { data_sent_at: Some(row.created_at.minus(HOUR)), ..row.clone() };
        for (row, is_heard) in [(earlier, false), (row, true)] {
            let outcome = outcome.clone();
            let done = desk
                .desk()
                .write(&system, move |cx| outbox::finish_any(cx, std::slice::from_ref(&row), &outcome));
            assert_eq!(done.await.is_ok(), is_heard, "{state}");
        }
        let settled = delivery(&desk, &answer).await;
        assert_eq!(
            (&settled["state"], &settled["may_be_double"]),
            (&json!(state), &json!(false)),
            "{settled}"
        );
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_mailbox_leaves_room_for_others() {
    const ANSWERS: usize = 20;
    let (desk, tarpit, sink) = (TestDesk::start().await, SmtpSink::start(), SmtpSink::start());
    for _ in 0..ANSWERS {
        tarpit.stall_next(Phase::Greeting);
    }
    let slow = sending(&desk, &tarpit).await;
    let conversation = with_ada(&desk, slow).await;
    for number in 0..ANSWERS {
        reply(&desk, conversation, &format!("Answer {number}")).await;
    }
    // Alone it has as many places as there ever were for one.
    desk.until(|| async { (tarpit.connections() == 8).then_some(()) }).await;
    let body = json!({"name": "Sales", "address": "sales@example.org", "source": {"type": "push"},
                      "delivery": smtp(&sink)});
    let other = add_with(&desk, body).await;
    let begun = json!({"mailbox_id": other, "subject": "Your order", "customer": {"email": "bob@example.net"},
                       "message": {"kind": "reply", "text": "It left today."}});
    for _ in 0..3 {
        desk.http.post("/api/v1/conversations", &begun).await.expect(201);
        assert_eq!(sink.next().await.to, ["bob@example.net"]);
    }
    assert_eq!((tarpit.connections(), tarpit.mails().len()), (8, 0));
    tarpit.forget_faults();
    tarpit.hang_up();
    desk.stop().await;
}

#[derive(QueryableByName)]
struct Value64 {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// What a query says of the one mail that there is.
fn value(desk: &TestDesk, query: &str) -> i64 {
    let conn = &mut database(desk.config());
    let query = diesel::sql_query(query);
    let found: Result<Value64, _> = match conn {
        Conn::Postgres(conn) => query.get_result(conn),
        Conn::Sqlite(conn) => query.get_result(conn),
    };
    found.expect("there is one mail").value
}

fn waited(desk: &TestDesk) -> i64 {
    value(desk, "SELECT waited_seconds AS value FROM outbox")
}

/// Waits for the end of the attempt of this number.
async fn tried(desk: &TestDesk, answer: &Value, attempts: i64) -> Value {
    desk.until(|| async {
        let now = delivery(desk, answer).await;
        (now["attempts"] == attempts && now["state"] != "sending").then_some(now)
    })
    .await
}

/// How long each try waits for the next one, in seconds, up to the last that still is within 48 hours.
const PAUSES: [u64; 12] =
    [60, 300, 900, 3_600, 10_800, 21_600, 21_600, 21_600, 21_600, 21_600, 21_600, 21_600];

#[tokio::test(flavor = "multi_thread")]
async fn two_days_are_two_days_of_trying() {
    for rests in [false, true] {
        let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
        let mailbox = sending(&desk, &sink).await;
        let conversation = with_ada(&desk, mailbox).await;
        sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
        let answer = reply(&desk, conversation, "It left today.").await;
        for (attempts, pause_for) in (1..).zip(PAUSES) {
            let before = tried(&desk, &answer, attempts).await;
            assert_eq!(before["state"], "deferred", "{rests}: {before}");
            if rests && attempts == 3 {
                // Three days in which it can't be tried, from before it is due.
                pause(&desk, mailbox, true).await;
                pass(&desk, days(3)).await;
                pause(&desk, mailbox, false).await;
            } else {
                pass(&desk, Duration::from_secs(pause_for)).await;
            }
        }
        let last = tried(&desk, &answer, 13).await;
        assert_eq!(last["state"], "failed", "{rests}: {last}");
        assert_eq!(waited(&desk), if rests { 3 * 24 * 60 * 60 - 900 } else { 0 });
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_try_is_at_the_end_of_the_two_days() {
    // The next one would be exactly at the end, or a second behind it.
    for (age, state) in [(48 * 60 * 60 - 60, "deferred"), (48 * 60 * 60 - 59, "failed")] {
        let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
        let mailbox = sending(&desk, &sink).await;
        let conversation = with_ada(&desk, mailbox).await;
        sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
        pause(&desk, mailbox, true).await;
        let answer = reply(&desk, conversation, "It left today.").await;
        let older = format!("UPDATE outbox SET created_at = created_at - {age}000000");
        sql(desk.config(), &older);
        pause(&desk, mailbox, false).await;
        assert_eq!(tried(&desk, &answer, 1).await["state"], state, "{age}");
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_late_after_a_minute() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
    let answer = reply(&desk, conversation, "It left today.").await;
    tried(&desk, &answer, 1).await;
    pass(&desk, Duration::from_secs(60 + 60)).await;
    tried(&desk, &answer, 2).await;
    assert_eq!(waited(&desk), 0);
    pass(&desk, Duration::from_secs(300 + 61)).await;
    tried(&desk, &answer, 3).await;
    assert_eq!(waited(&desk), 61);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_waited_for_a_login_is_told_of_once_and_not_given_up() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let wrong = with(smtp(&sink), json!({"password": "wrong-horse-17"}));
    let mailbox = pushed(&desk, json!({"delivery": wrong})).await;
    let conversation = with_ada(&desk, mailbox).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    for _ in 0..60 {
        let before = sink.logins();
        pass(&desk, HOUR).await;
        desk.until(|| async { (sink.logins() > before).then_some(()) }).await;
        tried(&desk, &answer, 0).await;
    }
    let delayed = list(&desk, "/api/v1/events?after=0&limit=100&types=message.delayed").await;
    assert_eq!(delayed.len(), 1, "{delayed:?}");
    sink.refuse_rcpt("ada@example.net", "451 4.7.1 Greylisted");
    let change = json!({"delivery": {"password": support::smtp::PASSWORD}});
    desk.http.patch(&format!("/api/v1/mailboxes/{mailbox}"), &change).await.expect(200);
    assert_eq!(tried(&desk, &answer, 1).await["state"], "deferred");
    sink.accept_rcpt("ada@example.net");
    pass(&desk, Duration::from_secs(60)).await;
    delivered(&desk, &answer, "sent").await;
    desk.stop().await;
}

/// Has the bytes under a hash lie in a file that is not there.
fn lose(hash: &str) -> String {
    let name = "hash || '-0123456789abcdef-0123456789abcdef'";
    format!("UPDATE blobs SET content = NULL, object = {name} WHERE hash = ({hash})")
}

/// Its bytes are gone: no try brings them back.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_the_desk_has_lost_fails_and_says_so() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    pause(&desk, mailbox, true).await;
    let answer = reply(&desk, conversation, "It left today.").await;
    // It lies in a file by now; the folder can't be looked into at first, which is no loss yet.
    sql(desk.config(), &lose("SELECT raw_hash FROM outbox"));
    let objects = desk.config().storage.data_dir.join("objects");
    fs::remove_dir_all(&objects).expect("it is our own");
    fs::write(&objects, "in the way").expect("it is our own");
    pause(&desk, mailbox, false).await;
    tried(&desk, &answer, 1).await;
    assert_eq!(delivery(&desk, &answer).await["state"], "deferred");
    fs::remove_file(&objects).expect("it is our own");
    fs::create_dir(&objects).expect("it is our own");
    pass(&desk, Duration::from_secs(60)).await;
    let failed = delivered(&desk, &answer, "failed").await;
    let why = failed["last_error"].as_str().unwrap_or_default();
    assert!(why.contains("lost") && why.contains("missing"), "{failed}");
    assert_eq!((&failed["attempts"], sink.mails().len()), (&json!(2), 0));
    let told = list(&desk, "/api/v1/events?after=0&limit=100&types=message.failed").await;
    assert_eq!(told.len(), 1, "{told:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_has_lost_a_file_is_a_draft_that_says_so() {
    let (desk, sink) = (TestDesk::start_fixed().await, SmtpSink::start());
    let mailbox = sending(&desk, &sink).await;
    let conversation = with_ada(&desk, mailbox).await;
    let upload = desk.http.send(
        "POST",
        "/api/v1/attachments?filename=label.pdf",
        &[("Content-Type", "application/pdf")],
        b"%PDF-1.4 label",
    );
    let upload = upload.await.expect(201).json();
    let body =
        json!({"kind": "reply", "text": "Your label.", "attachment_ids": [upload["id"]], "undo_seconds": 60});
    let answer = desk.http.post(&path(conversation), &body).await.expect(201).json();
    sql(desk.config(), &lose("SELECT blob_hash FROM attachments"));
    pass(&desk, Duration::from_secs(61)).await;
    let shown = desk
        .until(|| async {
            let shown = message(&desk, number(&answer["id"])).await;
            (shown["unsent"]["state"] == "draft").then_some(shown)
        })
        .await;
    let reason = shown["unsent"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("a file of it is lost"), "{shown}");
    assert!(sink.mails().is_empty());
    desk.stop().await;
}
