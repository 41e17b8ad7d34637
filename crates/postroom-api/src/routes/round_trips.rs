//! A mailbox tried: its two logins, and, where that is asked for, whether what it writes to itself comes
//! back.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id, Row};
use crate::idempotency::{IdempotencyKey, KeyedOptional};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use postroom_core::id::{MailboxId, RoundTripId};
use postroom_core::operations::round_trips::{self, RoundTripCard};
use postroom_core::ports::Probe;
use postroom_core::round_trip::{Authentication, RoundTripState, RoundTripWay};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(test_mailbox).service(get_round_trip);
}

/// How a mailbox is tried.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailboxTestBody {
    /// Have it write to its own address, and to a plus form of it, where both ends work.
    #[serde(default)]
    round_trip: bool,
}

/// How the two ends of a mailbox answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source": {"ok": true, "detail": "logged in; INBOX holds 12 mails"},
    "delivery": {"ok": false, "detail": "the server refused the password"},
    "round_trip": null
}))]
struct MailboxTest {
    /// Where mail comes from.
    source: Probe,
    /// Where mail goes.
    delivery: Probe,
    /// The mails to itself that are on their way; `null`: none was asked for, or an end does not work.
    round_trip: Option<RoundTripView>,
}

/// The mails of one test of a mailbox to itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoundTrip)]
struct RoundTripView {
    /// Its name.
    id: RoundTripId,
    /// One to the mailbox's address, and one to a plus form of it.
    mails: Vec<RoundTripMail>,
}

/// One mail of a mailbox to itself.
#[derive(Debug, Serialize, ToSchema)]
struct RoundTripMail {
    /// Which address is tried.
    way: RoundTripWay,
    /// That address.
    address: String,
    /// In a word.
    state: RoundTripState,
    /// When it was asked for.
    asked_at: Timestamp,
    /// When the next server took it.
    sent_at: Option<Timestamp>,
    /// When the mailbox's server got it, by that one's clock and to the second.
    received_at: Option<Timestamp>,
    /// When it was back here.
    arrived_at: Option<Timestamp>,
    /// Milliseconds from `asked_at` to `arrived_at`, the wait for a poll included.
    delay_ms: Option<i64>,
    /// The folder it was found in: one for junk is no good sign.
    folder: Option<String>,
    /// What the server that received it says of SPF, DKIM and DMARC; `null`: it says nothing.
    authentication: Option<Authentication>,
    /// What keeps it, or why it will not come back.
    error: Option<String>,
}

impl From<RoundTripCard> for RoundTripMail {
    fn from(card: RoundTripCard) -> Self {
        let trip = card.trip;
        Self {
            way: trip.way,
            address: trip.address,
            state: card.state,
            asked_at: trip.asked_at,
            sent_at: card.sent_at,
            received_at: trip.received_at,
            delay_ms: trip.arrived_at.map(|at| at.0.saturating_sub(trip.asked_at.0).max(0) / 1_000),
            arrived_at: trip.arrived_at,
            folder: trip.folder,
            authentication: card.authentication,
            error: card.error,
        }
    }
}

fn view(id: RoundTripId, cards: Vec<RoundTripCard>) -> RoundTripView {
    RoundTripView { id, mails: cards.into_iter().map(RoundTripMail::from).collect() }
}

/// Try a mailbox
///
/// Logs in where mail comes from and where it goes, and says in words what works and what does not. With
/// `round_trip`, and where both ends work, it then writes to its own address and to a plus form of it:
/// what comes of that is read with `GET /mailboxes/{id}/round-trips/{row}`. Those mails become
/// no messages. Nothing else is fetched or sent. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IdempotencyKey),
    request_body(content = MailboxTestBody, description = "How it is tried.", example = json!({"round_trip": true})),
    responses(
        (status = OK, body = MailboxTest, description = "How the two ends answered."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the mailbox is paused, captures what it sends, or wrote to itself \
            within the last minute.")))]
#[post("/mailboxes/{id}/test")]
async fn test_mailbox(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    body: KeyedOptional<MailboxTestBody>,
) -> Answer {
    let KeyedOptional { once, body } = body;
    let (desk, actor) = (api.desk.clone(), caller.clone());
    let test = async move {
        let (source, delivery) = desk.test_mailbox(&actor, id.0).await?;
        let mut round_trip = None;
        if body.round_trip && source.ok && delivery.ok {
            // No more than one a minute, whoever asks.
            let begun = desk.write(&actor, move |cx| {
                let test = round_trips::begin(cx, id.0)?;
                let cards = round_trips::find(cx, id.0, &test)?;
                Ok((test, cards))
            });
            let (test, cards) = begun.await?;
            round_trip = Some(view(test, cards));
        }
        Ok(answer::said(StatusCode::OK, &MailboxTest { source, delivery, round_trip }))
    };
    once.around(&api, &caller, test).await
}

/// Read what came of a mailbox's mails to itself
///
/// Ask again while a mail is `waiting`: it comes with a poll. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, Row<RoundTripId>),
    responses((status = OK, body = RoundTripView, description = "What came of it so far.")))]
#[get("/mailboxes/{id}/round-trips/{row}")]
async fn get_round_trip(api: Data<Api>, caller: Caller, id: Id<MailboxId>, test: Row<RoundTripId>) -> Answer {
    let wanted = test.0.clone();
    let cards = api.desk.read(&caller, move |cx| round_trips::find(cx, id.0, &wanted)).await?;
    Ok(HttpResponse::Ok().json(view(test.0, cards)))
}
