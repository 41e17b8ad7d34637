//! A mailbox is tried as a whole: it writes to its own address, and to a plus form of it, and what comes
//! back tells whether mail arrives at all, how long it takes, and how the next server judges it. Nothing
//! of it becomes a message.

use super::outbox;
use crate::access::Scope;
use crate::cx::Cx;
use crate::id::{MailboxId, RoundTripId};
use crate::mail::Address;
use crate::mailbox::{Delivery, Mailbox};
use crate::message::DeliveryState;
use crate::outgoing::{Automatic, Outgoing};
use crate::round_trip::{Authentication, RoundTrip, RoundTripState, RoundTripWay};
use crate::text::{address_fault, domain_of, fold_address};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// A mailbox writes to itself no more often than this: each time is two mails.
pub const APART: Duration = Duration::from_mins(1);

/// What stands behind the plus.
const PLUS: &str = "roundtrip";

/// One mail to oneself, and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTripCard {
    /// The mail.
    pub trip: RoundTrip,
    /// In a word.
    pub state: RoundTripState,
    /// When the next server took it.
    pub sent_at: Option<Timestamp>,
    /// What the server that received it said of it.
    pub authentication: Option<Authentication>,
    /// What keeps it, or why it will not come back.
    pub error: Option<String>,
}

/// Has a mailbox write to itself. What comes of it is asked for by [`find`].
pub fn begin(cx: &mut Cx<'_>, id: MailboxId) -> Result<RoundTripId, Error> {
    cx.access().require(Scope::AdminWrite)?;
    let mailbox = super::mailboxes::visible(cx, id)?;
    if mailbox.paused {
        return Err(Error::StateConflict("this mailbox is paused: nothing leaves it".to_owned()));
    }
    if matches!(mailbox.delivery, Delivery::Sink {}) {
        let why = "what leaves this mailbox is captured by a sink: nothing would come back";
        return Err(Error::StateConflict(why.to_owned()));
    }
    let last = store::round_trips::last_asked(cx.conn, id)?;
    if last.is_some_and(|last| last <= cx.now && cx.now < last.plus(APART)) {
        let why = "this mailbox wrote to itself within the last minute; look at that test, or wait";
        return Err(Error::StateConflict(why.to_owned()));
    }
    let test = RoundTripId::fresh();
    for way in RoundTripWay::ALL {
        send(cx, &mailbox, &test, *way)?;
    }
    cx.wake();
    Ok(test)
}

/// The address that is tried.
fn address(mailbox: &Mailbox, way: RoundTripWay) -> String {
    match (way, mailbox.address.rsplit_once('@')) {
        (RoundTripWay::Plus, Some((local, domain))) => format!("{local}+{PLUS}@{domain}"),
        _ => mailbox.address.clone(),
    }
}

fn send(cx: &mut Cx<'_>, mailbox: &Mailbox, test: &RoundTripId, way: RoundTripWay) -> Result<(), Error> {
    let to = address(mailbox, way);
    let trip = store::round_trips::insert(cx.conn, mailbox.id, test, way, &to, cx.now)?;
    let mut random = [0_u8; 10];
    rand::fill(&mut random);
    let folded = fold_address(&mailbox.address);
    let message_id = cx.keys.signer().round_trip_id(trip, random, domain_of(&folded));
    let outgoing = Outgoing {
        automatic: Some(Automatic::Generated),
        // A relay that gives it another Message-ID leaves this one alone.
        references: vec![message_id.clone()],
        ..Outgoing::plain(
            Address { name: Some("postroom".to_owned()), email: mailbox.address.clone() },
            vec![Address { name: None, email: to }],
            "A test of this mailbox by postroom",
            "This mail was written by postroom to see whether it comes back. It may be deleted.\n",
            message_id,
            cx.now,
            cx.keys.signer().instance_mark(),
        )
    };
    let composed = cx.ports.composer.compose(&outgoing)?;
    let queued = outbox::queue(cx, mailbox.id, None, &composed)?;
    Ok(store::round_trips::set_outbox(cx.conn, trip, queued.id)?)
}

/// What has come of a test so far.
pub fn find(cx: &mut Cx<'_>, id: MailboxId, test: &RoundTripId) -> Result<Vec<RoundTripCard>, Error> {
    cx.access().require(Scope::AdminWrite)?;
    super::mailboxes::visible(cx, id)?;
    let trips = store::round_trips::of_test(cx.conn, id, test)?;
    if trips.is_empty() {
        return Err(Error::NotFound("test of this mailbox"));
    }
    trips.into_iter().map(|trip| card(cx, trip)).collect()
}

fn card(cx: &mut Cx<'_>, trip: RoundTrip) -> Result<RoundTripCard, Error> {
    let outbound = match trip.outbox_id {
        Some(id) => store::outbox::find(cx.conn, id)?,
        None => None,
    };
    let is_lost = outbound.as_ref().is_some_and(|outbound| outbound.state == DeliveryState::Failed);
    let state = match (trip.arrived_at, &trip.failure) {
        (Some(_), _) => RoundTripState::Arrived,
        (None, Some(_)) => RoundTripState::Failed,
        (None, None) if is_lost => RoundTripState::Failed,
        (None, None) => RoundTripState::Waiting,
    };
    let sent = outbound.as_ref().filter(|outbound| outbound.state == DeliveryState::Sent);
    let sent_at = sent.and_then(|outbound| outbound.finished_at);
    let error = match state {
        RoundTripState::Arrived => None,
        _ => trip.failure.clone().or_else(|| outbound.and_then(|outbound| outbound.last_error)),
    };
    let authentication = trip.authentication.as_deref().cloned();
    Ok(RoundTripCard { trip, state, sent_at, authentication, error })
}

/// The address that answers to a conversation may come to, where a mail to such a form of the mailbox's
/// address has come back.
pub(super) fn answers_to(cx: &mut Cx<'_>, mailbox: &Mailbox, token: &str) -> Result<Option<String>, Error> {
    let tried = address(mailbox, RoundTripWay::Plus);
    if !store::round_trips::last_arrived(cx.conn, mailbox.id, RoundTripWay::Plus, &tried)? {
        return Ok(None);
    }
    let address = mailbox.address.rsplit_once('@').map(|(local, domain)| format!("{local}+{token}@{domain}"));
    // A token is longer than what was tried: beside a long name it may be too long.
    Ok(address.filter(|address| address_fault(address).is_none()))
}
