//! Every end of the story, played by a scripted server on this machine.

use super::*;
use crate::course::Entry;
use crate::script::Step::{Close, Hear, Mail, Say, Stammer, Tls};
use crate::script::{Heard, Script, Step, fixture};
use postroom_core::mailbox::{AuthMethod, Security};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod offers;
mod phases;
mod secure;

const RAW: &[u8] = b"Subject: Hi\r\n\r\n.\r\n..two\r\nbye\r\n";

fn server(port: u16, security: Security) -> Delivery {
    Delivery::Smtp {
        host: "localhost".into(),
        port,
        security,
        username: None,
        auth: AuthMethod::Password,
        ca_file: None,
    }
}

fn with_login(port: u16) -> Delivery {
    let Delivery::Smtp { host, port, security, ca_file, .. } = server(port, Security::None) else { panic!() };
    Delivery::Smtp {
        host,
        port,
        security,
        username: Some("desk".into()),
        auth: AuthMethod::Password,
        ca_file,
    }
}

fn to(recipients: &[&str]) -> Envelope {
    let to = recipients.iter().map(|to| (*to).to_owned()).collect();
    Envelope { from: "desk@example.org".into(), instead: None, to }
}

/// Long enough for a busy machine, short enough to fail a test rather than hang it.
fn patient() -> Timeouts {
    let long = Duration::from_secs(20);
    Timeouts { connect: long, command: long, data: long, block: long, dot: long }
}

/// Patient but with what is expected to hang.
fn impatient() -> Timeouts {
    let short = Duration::from_millis(300);
    Timeouts { block: short, dot: short, ..patient() }
}

/// A course that counts how often it was noted that bytes go, or can't be.
#[derive(Default)]
struct Noting {
    noted: AtomicU32,
    fault: Option<&'static str>,
    not_now: Option<&'static str>,
    entries: Mutex<Vec<Entry>>,
    /// From whom, and who was refused.
    named: Mutex<Vec<(String, Vec<String>)>>,
}

impl Course for Noting {
    type Error = &'static str;
    type Turn = ();

    async fn log_in(&self) -> Result<(), &'static str> {
        self.not_now.map_or(Ok(()), Err)
    }

    fn logged_in(&self, (): (), entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }

    async fn data(&self, from: &str, refused: &[Refusal]) -> Result<(), &'static str> {
        let refused = refused.iter().map(|refusal| refusal.recipient.clone()).collect();
        self.named.lock().unwrap().push((from.to_owned(), refused));
        self.noted.fetch_add(1, Ordering::Relaxed);
        self.fault.map_or(Ok(()), Err)
    }
}

/// Sends and says how often it was noted that bytes go.
async fn deliver(
    delivery: &Delivery,
    envelope: &Envelope,
    raw: &[u8],
    timeouts: &Timeouts,
) -> (Outcome, u32) {
    let password = Credential::Password("s3cret-word".to_owned());
    deliver_as(delivery, &password, envelope, raw, timeouts).await
}

/// As `deliver`, with another secret.
async fn deliver_as(
    delivery: &Delivery,
    credential: &Credential,
    envelope: &Envelope,
    raw: &[u8],
    timeouts: &Timeouts,
) -> (Outcome, u32) {
    let course = Noting::default();
    let outcome = send(delivery, Some(credential), envelope, raw, timeouts, &course).await;
    (outcome, course.noted.into_inner())
}

/// A server in plain that says EHLO's answer by itself and then follows the steps.
async fn play_to(
    envelope: &Envelope,
    raw: &[u8],
    timeouts: &Timeouts,
    steps: Vec<Step>,
) -> (Outcome, u32, Heard) {
    let mut script = vec![Say(b"220 x\r\n"), Hear("EHLO example.org"), Say(b"250-x\r\n250 PIPELINING\r\n")];
    script.extend(steps);
    let script = Script::play(script);
    let (outcome, noted) = deliver(&server(script.port, Security::None), envelope, raw, timeouts).await;
    (outcome, noted, script.end().await)
}

async fn play(steps: Vec<Step>) -> (Outcome, u32, Heard) {
    play_to(&to(&["ada@example.net"]), RAW, &patient(), steps).await
}

/// MAIL and one RCPT go well, DATA is answered by 354, then the steps.
fn up_to_data(steps: Vec<Step>) -> Vec<Step> {
    let mut script = vec![
        Hear("MAIL FROM:<desk@example.org>"),
        Say(b"250 ok\r\n"),
        Hear("RCPT TO:<ada@example.net>"),
        Say(b"250 ok\r\n"),
        Hear("DATA"),
        Say(b"354 go\r\n"),
    ];
    script.extend(steps);
    script
}

fn deferred(outcome: &Outcome) -> (&str, Option<u16>) {
    let Outcome::Deferred { reason, code, .. } = outcome else { panic!("{outcome:?}") };
    (reason, *code)
}

fn failure(outcome: &Outcome) -> (&str, Option<u16>) {
    let Outcome::Failed { reason, code, .. } = outcome else { panic!("{outcome:?}") };
    (reason, *code)
}
