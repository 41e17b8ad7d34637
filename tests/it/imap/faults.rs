//! What can be wrong with a mailbox is said in words, changes nothing, and holds up nobody else.

use super::{deliver, numbered, sink};
use crate::mailing::*;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use support::desk::TestDesk;
use support::dovecot::{self, Dovecot, Options};
use support::ports;
use support::tls::{self, Certificate};

/// A server that has every fault but one, and a source that runs into it.
struct Fault {
    name: &'static str,
    server: Option<Dovecot>,
    source: Value,
    /// All of these are said.
    words: &'static [&'static str],
}

fn fault(
    name: &'static str,
    options: Options,
    change: impl FnOnce(&Dovecot) -> Value,
    words: &'static [&'static str],
) -> Fault {
    let server = Dovecot::start_with(options);
    deliver(&server, 0..1);
    let source = with(imap(&server), change(&server));
    Fault { name, server: Some(server), source, words }
}

fn showing(certificate: Certificate) -> Options {
    Options { certificate, ..Options::default() }
}

fn faults() -> Vec<Fault> {
    let usual = Options::default();
    let unchanged = |_: &Dovecot| json!({});
    let mut faults = vec![
        fault(
            "wrong password",
            usual,
            |_| json!({"password": "wrong-horse-17"}),
            &["refused the login for support", "check username and password"],
        ),
        fault("wrong user", usual, |_| json!({"username": "suport"}), &["refused the login for suport"]),
        fault(
            "unknown authority",
            showing(Certificate::Untrusted),
            unchanged,
            &["no safe connection", "certificate"],
        ),
        fault(
            "another authority in ca_file",
            usual,
            |_| json!({"ca_file": tls::other_ca_file()}),
            &["no safe connection", "certificate"],
        ),
        fault(
            "no ca_file for a private authority",
            usual,
            |_| json!({"ca_file": null}),
            &["no safe connection", "certificate"],
        ),
        fault("expired", showing(Certificate::Expired), unchanged, &["no safe connection", "expired"]),
        fault("another name", showing(Certificate::WrongName), unchanged, &["no safe connection", "name"]),
        fault(
            "no STARTTLS",
            Options { no_tls: true, ..usual },
            |server| json!({"port": server.imap, "security": "starttls"}),
            &["no safe connection", "STARTTLS"],
        ),
        fault(
            "no such ca_file",
            usual,
            |_| json!({"ca_file": "/nowhere/ca.pem"}),
            &["no safe connection", "/nowhere/ca.pem"],
        ),
        fault(
            "no such folder",
            usual,
            |_| json!({"folders": ["Nope"]}),
            &["there is no folder \"Nope\" on the server"],
        ),
    ];
    let nobody = ports::unreachable().port();
    faults.push(Fault {
        name: "nobody there",
        server: None,
        source: json!({
            "type": "imap", "host": "127.0.0.1", "port": nobody, "security": "tls", "username": "support",
            "password": dovecot::PASSWORD,
        }),
        words: &["127.0.0.1", "can't be reached"],
    });
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_said_in_words_and_changes_nothing() {
    let desk = TestDesk::start().await;
    for Fault { name, server, source, words } in faults() {
        let mut source = source;
        if source["ca_file"].is_null() {
            source.as_object_mut().expect("an object").remove("ca_file");
        }
        let source = with(source, json!({"after_ingest": {"type": "delete", "after_days": 0}}));
        let body =
            json!({"name": name, "address": "support@example.org", "source": source, "delivery": sink()});
        let made = desk.http.post("/api/v1/mailboxes", &body).await.expect(201);
        let mailbox = number(&made.json()["id"]);
        let path = format!("/api/v1/mailboxes/{mailbox}");

        let tried = desk.http.post(&format!("{path}/test"), &Value::Null).await.expect(200);
        let said = tried.json()["source"]["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(tried.json()["source"]["ok"], false, "{name}: {said}");
        let status = sync(&desk, mailbox).await;
        let last = status["last_error"].as_str().unwrap_or_default().to_owned();
        for word in words {
            assert!(said.contains(word), "{name}: the test says {said:?}");
            assert!(last.contains(word), "{name}: the status says {last:?}");
        }
        assert_eq!(
            (&status["state"], &status["last_success_at"], &status["accepted"], &status["pending"]),
            (&json!("failing"), &Value::Null, &json!(0), &json!(0)),
            "{name}: {status}"
        );
        if let Some(server) = server {
            let left = server.stored("support", "INBOX");
            assert_eq!(left.len(), 1, "{name}");
            assert_eq!((&left[0].raw, left[0].flags.as_str()), (&numbered(0).build(), ""), "{name}");
        }

        let seen = desk.http.get(&path).await.expect(200);
        let events = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200);
        for answer in [&made, &tried, &seen, &events] {
            let text = answer.text();
            assert!(!text.contains("correct-horse") && !text.contains("wrong-horse"), "{name}: {text}");
        }
        assert!(!status.to_string().contains("-horse"), "{name}: {status}");
        desk.http.patch(&path, &json!({"paused": true})).await.expect(200);
    }
    assert!(conversations(&desk).await.is_empty());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_mailbox_recovers() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let desk = TestDesk::start().await;
    let mailbox = add(&desk, with(imap(&dovecot), json!({"password": "wrong"})), sink()).await;
    sync(&desk, mailbox).await;
    assert_eq!(sync(&desk, mailbox).await["state"], "failing");
    let path = format!("/api/v1/mailboxes/{mailbox}");
    desk.http.patch(&path, &json!({"source": {"password": dovecot::PASSWORD}})).await.expect(200);
    let status = sync(&desk, mailbox).await;
    assert_eq!(
        (&status["state"], &status["last_error"], &status["accepted"]),
        (&json!("ok"), &Value::Null, &json!(1)),
        "{status}"
    );
    let events = desk.event_types().await;
    let count = |word: &str| events.iter().filter(|event| *event == word).count();
    assert_eq!((count("mailbox.error"), count("mailbox.recovered")), (0, 0), "it was short: {events:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_does_not_keep_the_others_waiting() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, 0..1);
    let desk = TestDesk::start().await;
    let source = with(imap(&dovecot), json!({"folders": ["Nope", "INBOX"]}));
    let mailbox = add(&desk, source, sink()).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!((&status["state"], &status["accepted"]), (&json!("degraded"), &json!(1)), "{status}");
    assert!(status["last_error"].as_str().unwrap_or_default().contains("\"Nope\""), "{status}");
    desk.stop().await;
}

/// Takes connections and says nothing, until it is dropped.
struct Mute {
    port: u16,
    let_go: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Mute {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (let_go, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            for socket in listener.incoming() {
                held.extend(socket.ok());
                if told.try_recv().is_ok() {
                    return;
                }
            }
        });
        Self { port, let_go, thread: Some(thread) }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        // Both fail only where the thread has ended already.
        let _ = self.let_go.send(());
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_hangs_delays_no_other() {
    let (mute, dovecot) = (Mute::start(), Dovecot::start());
    let desk = TestDesk::start().await;
    let source = with(imap(&dovecot), json!({"port": mute.port, "security": "none"}));
    let hangs = json!({"name": "Hangs", "address": "slow@example.org", "source": source, "delivery": sink()});
    let hangs = add_with(&desk, hangs).await;
    desk.until(|| async {
        let status = status(&desk, hangs).await;
        (!status["last_attempt_at"].is_null()).then_some(())
    })
    .await;
    // Its poll goes on; this one's is through in the meantime, and a second one too.
    let works = add(&desk, imap(&dovecot), sink()).await;
    for number in 0..2 {
        deliver(&dovecot, [number]);
        let healthy = sync(&desk, works).await;
        assert_eq!(
            (&healthy["state"], &healthy["accepted"]),
            (&json!("ok"), &json!(number + 1)),
            "{healthy}"
        );
    }
    let stuck = status(&desk, hangs).await;
    assert_eq!(
        (&stuck["last_success_at"], &stuck["last_error"]),
        (&Value::Null, &Value::Null),
        "it still hangs: {stuck}"
    );
    drop(mute);
    let failed = desk
        .until(|| async {
            let status = status(&desk, hangs).await;
            (status["state"] == "failing").then_some(status)
        })
        .await;
    assert!(failed["last_error"].as_str().is_some_and(|why| why.contains("lost")), "{failed}");
    desk.stop().await;
}
