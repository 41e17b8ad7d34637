//! Sends what is due. Each mail is claimed by one worker alone, and what came of it is written
//! down before the next attempt.

use super::gate::{Gate, Gates, Turn, Visit};
use super::{ended, rest};
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::mailbox::{Credential, Delivery, End};
use postroom_core::message::Outbound;
use postroom_core::operations::authorizations::NoLogin;
use postroom_core::operations::mailboxes;
use postroom_core::operations::outbox::{self, Outcome, Refusal, Slots};
use postroom_core::store::StoreError;
use postroom_outbound::{Course, Entry, Envelope, Point, Timeouts};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Mails that are sent at the same time; one mailbox alone has half of them ([`Slots`]).
const AT_ONCE: usize = 16;
/// Looks for due mails at least this often.
const LOOK: Duration = Duration::from_secs(30);
/// How often a claim is renewed while it would last.
const RENEWALS: u32 = 4;
/// What can't be written down is tried again after this time, twice as long each time up to [`LOOK`].
const AGAIN: Duration = Duration::from_secs(1);
/// A server that has a mail may take ten minutes to say so (RFC 5321 section 4.5.3.2.6); a daemon that
/// stops waits for this long, and leaves the mail uncertain then.
const LAST_WORD: Duration = Duration::from_secs(10);
/// How often that is done when the daemon ends meanwhile.
const LAST_TRIES: usize = 3;

/// Runs until the daemon stops; then what is on its way is finished, and what has not gone yet is
/// given back.
pub async fn run(desk: Desk, mut stopping: watch::Receiver<bool>) {
    let mut changes = desk.changes();
    let mut sending = JoinSet::new();
    let mut slots = Slots::new(AT_ONCE);
    let mut whose = HashMap::new();
    let mut unsure = Vec::new();
    let mut gates = Gates::default();
    loop {
        changes.borrow_and_update();
        if slots.free() > 0 {
            match claim(&desk, &slots, &mut unsure).await {
                Ok(claimed) => {
                    for mail in claimed {
                        let mailbox = mail.mailbox_id;
                        slots.take(mailbox);
                        let task = send(desk.clone(), mail, gates.of(mailbox), stopping.clone());
                        whose.insert(sending.spawn(task).id(), mailbox);
                    }
                }
                Err(error) => tracing::error!(error = ?error, "the outbox can't be looked through"),
            }
        }
        let pause = if unsure.is_empty() { pause(&desk, &slots).await } else { AGAIN };
        tokio::select! {
            Some(done) = sending.join_next_with_id() => {
                let task = done.map_or_else(|panicked| panicked.id(), |(task, ())| task);
                if let Some(mailbox) = whose.remove(&task) {
                    slots.leave(mailbox);
                }
            }
            goes_on = rest(&mut changes, &mut stopping, pause) => {
                if !goes_on {
                    break;
                }
            }
        }
    }
    while sending.join_next().await.is_some() {}
}

/// Claims what is due. Where the answer to a commit is lost, nobody knows whether the mails are claimed:
/// they stay in `unsure`, and are given back before anything else is claimed.
async fn claim(desk: &Desk, slots: &Slots, unsure: &mut Vec<Outbound>) -> Result<Vec<Outbound>, Error> {
    let system = Actor::system();
    if !unsure.is_empty() {
        let given = unsure.clone();
        desk.write(&system, move |cx| outbox::give_back_unsure(cx, &given)).await?;
        unsure.clear();
    }
    desk.write(&system, outbox::recover).await?;
    let attempted = Arc::new(Mutex::new(Vec::new()));
    let (noted, slots) = (Arc::clone(&attempted), slots.clone());
    let claimed = desk.write(&system, move |cx| {
        let claimed = outbox::claim(cx, &slots)?;
        noted.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&claimed);
        Ok(claimed)
    });
    claimed.await.inspect_err(|_| {
        unsure.append(&mut attempted.lock().unwrap_or_else(PoisonError::into_inner));
    })
}

/// Until the next mail is due that there is room for.
async fn pause(desk: &Desk, slots: &Slots) -> Duration {
    if slots.free() == 0 {
        return LOOK;
    }
    let slots = slots.clone();
    match desk.read(&Actor::system(), move |cx| outbox::next_due(cx, &slots)).await {
        Ok(Some(due)) => {
            let micros = due.0.saturating_sub(desk.now().0).max(0);
            Duration::from_micros(micros.unsigned_abs()).clamp(Duration::from_millis(20), LOOK)
        }
        Ok(None) => LOOK,
        Err(error) => {
            tracing::error!(error = ?error, "the outbox can't be looked through");
            LOOK
        }
    }
}

async fn send(desk: Desk, claimed: Outbound, gate: Arc<Gate>, mut stopping: watch::Receiver<bool>) {
    die_at("after-claim");
    let id = claimed.id;
    let current = Arc::new(Mutex::new(Row { known: claimed.clone(), unsure: None }));
    let bytes_go = AtomicBool::new(false);
    let mut attempt = pin!(attempt(&desk, &current, &gate, &bytes_go));
    let mut claim = pin!(hold(&desk, &current));
    let (mut is_held, mut stops) = (true, false);
    let mut patience = pin!(tokio::time::sleep(Duration::MAX));
    let tried = loop {
        tokio::select! {
            biased;
            tried = &mut attempt => break tried,
            () = &mut patience, if stops => {
                let reason = "the daemon stopped before the server had answered; it may or may not have arrived";
                break Ok(Outcome::Uncertain { reason: reason.to_owned(), refused: Vec::new() });
            }
            () = ended(&mut stopping), if !stops => {
                stops = true;
                patience.as_mut().reset(tokio::time::Instant::now() + LAST_WORD);
            }
            () = &mut claim, if is_held => is_held = false,
        }
        // Whether it arrives is known only at the end.
        if bytes_go.load(Ordering::Relaxed) {
            continue;
        }
        if !is_held {
            tracing::warn!(outbox = %id, "a mail is not sent: another worker has this mail now");
            return;
        }
        if stops {
            return give_back(&desk, claimed).await;
        }
    };
    // Whoever has the database again in a moment should not wait like one whom a server turned away.
    if matches!(tried, Err(Error::Busy)) && !bytes_go.load(Ordering::Relaxed) {
        tracing::warn!(outbox = %id, "a mail is given back: the database is out of reach");
        let known = current.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
        return give_back(&desk, known).await;
    }
    let outcome = tried.unwrap_or_else(|error| {
        tracing::error!(outbox = %id, error = ?error, "a mail could not be sent for a reason of our own");
        Outcome::Deferred {
            reason: "the daemon could not read what it needs; see its log".to_owned(),
            refused: Vec::new(),
        }
    });
    let row = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let recipients = outbox::waiting_recipients(&row.known).len();
    let (mailbox, outcome_is) = (row.known.mailbox_id, in_a_word(&outcome));
    if matches!(outcome, Outcome::Sent { .. }) {
        die_at("before-sent");
    }
    // Until it is written the mail is this worker's: another daemon would take it for one whose worker died.
    let mut writing = std::pin::pin!(write_down(&desk, row, outcome, &mut stopping));
    let written = tokio::select! {
        written = &mut writing => written,
        () = hold(&desk, &current) => writing.await,
    };
    match written {
        Ok(()) => {
            tracing::info!(%mailbox, outbox = %id, recipients, outcome = outcome_is, "a mail was tried");
        }
        Err(error) => {
            tracing::error!(outbox = %id, error = ?error, "what came of a mail could not be written down");
        }
    }
}

/// Lets go of a mail that was not sent. Where that fails, others have it once the claim has run out.
async fn give_back(desk: &Desk, claimed: Outbound) {
    let id = claimed.id;
    if let Err(error) = desk.write(&Actor::system(), move |cx| outbox::give_back(cx, &claimed)).await {
        tracing::error!(outbox = %id, error = ?error, "a mail could not be given back");
    }
}

/// Says now and then that a mail is still being worked at. Comes back when its claim is lost.
async fn hold(desk: &Desk, current: &Arc<Mutex<Row>>) {
    let pause = desk.settings().claim_for / RENEWALS;
    loop {
        tokio::time::sleep(pause).await;
        let known = current.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
        let id = known.id;
        match desk.write(&Actor::system(), move |cx| outbox::renew(cx, &known)).await {
            Ok(true) => {}
            Ok(false) => return,
            // It may be kept all the same: whoever sends asks the store before the bytes go.
            Err(error) => tracing::warn!(outbox = %id, error = ?error, "a claim could not be renewed"),
        }
    }
}

/// What came of an attempt, for the log.
fn in_a_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Captured => "captured",
        Outcome::Sent { refused, .. } if refused.is_empty() => "sent",
        Outcome::Sent { .. } => "sent in part",
        Outcome::Deferred { .. } => "deferred",
        Outcome::Failed { .. } => "failed",
        Outcome::NotLetIn { .. } => "not let in",
        Outcome::Uncertain { .. } => "uncertain",
    }
}

/// A claimed mail's row.
#[derive(Debug, Clone)]
struct Row {
    /// As it was seen last.
    known: Outbound,
    /// As it is if a write was committed whose answer was lost.
    unsure: Option<Outbound>,
}

/// Writes down what came of a mail, as often as it takes: nobody else knows it, and without it the mail
/// would be uncertain, or wait until its claim runs out.
async fn write_down(
    desk: &Desk,
    row: Row,
    outcome: Outcome,
    stopping: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut rows = vec![row.known];
    rows.extend(row.unsure);
    let mut pause = AGAIN;
    let mut last_tries = LAST_TRIES;
    let mut may_be_done = false;
    loop {
        let (rows, outcome) = (rows.clone(), outcome.clone());
        let written = desk.write(&Actor::system(), move |cx| outbox::finish_any(cx, &rows, &outcome)).await;
        match written {
            Err(Error::StateConflict(_)) if may_be_done => return Ok(()),
            Err(error @ (Error::Busy | Error::Store { .. } | Error::StorageFull(_))) => {
                if *stopping.borrow() {
                    last_tries -= 1;
                    if last_tries == 0 {
                        return Err(error);
                    }
                }
                tracing::warn!(error = ?error, "what came of a mail can't be written down yet");
                may_be_done = true;
            }
            written => return written,
        }
        let is_ending = *stopping.borrow();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ended(stopping), if !is_ending => {}
        }
        pause = if is_ending { AGAIN } else { (pause * 2).min(LOOK) };
    }
}

/// `bytes_go` is set before it is noted that they go.
async fn attempt(
    desk: &Desk,
    current: &Arc<Mutex<Row>>,
    gate: &Arc<Gate>,
    bytes_go: &AtomicBool,
) -> Result<Outcome, Error> {
    let claimed = current.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
    let mailbox_id = claimed.mailbox_id;
    let connection = desk.read(&Actor::system(), move |cx| mailboxes::connection(cx, mailbox_id)).await?;
    if matches!(connection.mailbox.delivery, Delivery::Sink {}) {
        return Ok(Outcome::Captured);
    }
    let raw = match desk.load(claimed.raw_hash.clone()).await {
        Ok(raw) => raw,
        Err(Error::Lost(which)) => {
            tracing::error!(outbox = %claimed.id, which, "a mail can't be sent: its bytes are lost");
            let reason =
                format!("the desk has lost the mail ({which}): write it anew to those who still lack it");
            return Ok(Outcome::Failed { reason, refused: Vec::new() });
        }
        Err(error) => return Err(error),
    };
    let envelope = Envelope {
        from: claimed.envelope_from.clone(),
        instead: claimed.envelope_from.is_empty().then(|| connection.mailbox.address.clone()),
        to: outbox::waiting_recipients(&claimed),
    };
    let mut rejected: Option<Credential> = None;
    loop {
        // Before the desk is asked whether the mailbox is let in.
        let visit = Visit::new(gate);
        let access = match desk.access(&connection, End::Delivery, rejected.as_ref()).await {
            Ok(access) => access,
            Err(NoLogin::Desk(error)) => return Err(error),
            Err(NoLogin::LeftAlone(reason)) => return Ok(Outcome::NotLetIn { reason, refused: true }),
            Err(NoLogin::Needed(reason)) => return Ok(Outcome::NotLetIn { reason, refused: false }),
            Err(error @ NoLogin::Later(_)) => {
                return Ok(Outcome::Deferred { reason: error.to_string(), refused: Vec::new() });
            }
        };
        let credential = access.credential;
        let way = Way { desk, current, visit: &visit, bytes_go };
        let delivery = &connection.mailbox.delivery;
        let timeouts = Timeouts::default();
        let outcome =
            postroom_outbound::send(delivery, credential.as_ref(), &envelope, &raw, &timeouts, &way).await;
        let is_by_token = matches!(credential, Some(Credential::Bearer(_)));
        match &outcome {
            postroom_outbound::Outcome::LoginRefused { .. } if visit.is_turned_away() => {
                return Ok(translate(outcome));
            }
            // A token is renewed once. Refused again, the login is left alone for a while.
            postroom_outbound::Outcome::LoginRefused { .. }
                if is_by_token && rejected.is_none() && !access.on_trial =>
            {
                rejected = credential;
            }
            postroom_outbound::Outcome::LoginRefused { reason } => {
                let (desk, why) = (desk.clone(), reason.clone());
                blocking(move || desk.login_refused_here(mailbox_id, End::Delivery, &why)).await?;
                visit.close();
                return Ok(translate(outcome));
            }
            _ => {
                // Where no login is asked for, the mail's own way says as much.
                let is_reached = !matches!(outcome, postroom_outbound::Outcome::Deferred { .. });
                if access.on_trial && (visit.is_let_in() || is_reached) {
                    let desk = desk.clone();
                    let noted = blocking(move || desk.login_accepted_here(mailbox_id, End::Delivery)).await;
                    // What came of the mail is known, and counts for more; the next one notes it.
                    if let Err(error) = noted {
                        tracing::warn!(mailbox = mailbox_id.0, error = ?error, "a login that went well can't be noted");
                    }
                }
                return Ok(translate(outcome));
            }
        }
    }
}

/// The course of one attempt: that the bytes go is written down before they do.
struct Way<'a> {
    desk: &'a Desk,
    current: &'a Arc<Mutex<Row>>,
    visit: &'a Visit,
    bytes_go: &'a AtomicBool,
}

impl Course for Way<'_> {
    type Error = Error;
    type Turn = Turn;

    async fn log_in(&self) -> Result<Turn, Error> {
        self.visit.turn().await
    }

    fn logged_in(&self, turn: Turn, entry: Entry) {
        self.visit.end(turn, entry);
    }

    async fn data(&self, from: &str, refused: &[postroom_outbound::Refusal]) -> Result<(), Error> {
        self.bytes_go.store(true, Ordering::Relaxed);
        let shared = Arc::clone(self.current);
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
        let (from, refused) = (from.to_owned(), refusals(refused.to_vec()));
        let system = Actor::system();
        let noted = self.desk.write(&system, move |cx| {
            let noted = outbox::data_goes(cx, &known, &from, &refused)?;
            shared.lock().unwrap_or_else(PoisonError::into_inner).unsure = Some(noted.clone());
            Ok(noted)
        });
        let noted = noted.await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Row { known: noted, unsure: None };
        Ok(())
    }

    fn passed(&self, point: Point) {
        die_at(match point {
            Point::Recipients => "after-rcpt",
            Point::Bytes => "before-dot",
            Point::Dot => "after-dot",
        });
    }
}

#[cfg(feature = "chaos")]
use crate::chaos::die_at;

/// Only builds for tests die on purpose.
#[cfg(not(feature = "chaos"))]
fn die_at(_point: &str) {}

/// Runs something that blocks where it may.
async fn blocking(work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Error::Store { doing: "noting a login", source: StoreError::Died }))
}

fn refusals(refused: Vec<postroom_outbound::Refusal>) -> Vec<Refusal> {
    let refusal = |refusal: postroom_outbound::Refusal| Refusal {
        email: refusal.recipient,
        permanent: refusal.permanent,
        response: refusal.text,
    };
    refused.into_iter().map(refusal).collect()
}

/// The wire's words in the desk's.
fn translate(outcome: postroom_outbound::Outcome) -> Outcome {
    use postroom_outbound::Outcome as Wire;
    match outcome {
        Wire::Sent { response, refused } => Outcome::Sent { response, refused: refusals(refused) },
        Wire::Deferred { reason, refused, .. } => Outcome::Deferred { reason, refused: refusals(refused) },
        Wire::Failed { reason, refused, .. } => Outcome::Failed { reason, refused: refusals(refused) },
        Wire::LoginRefused { reason } => Outcome::NotLetIn { reason, refused: true },
        Wire::Uncertain { reason, refused } => Outcome::Uncertain { reason, refused: refusals(refused) },
    }
}
