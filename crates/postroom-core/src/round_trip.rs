//! A mailbox writes to itself, to see whether what leaves comes back, and how it is judged on the way.

use crate::id::{MailboxId, OutboxId, RoundTripId};
use crate::store::schema::round_trips;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

words! {
    /// Which address of the mailbox is tried.
    pub enum RoundTripWay {
        /// Its own.
        Plain = "plain",
        /// Its own with a word behind a plus (RFC 5233): where that arrives, answers find their
        /// conversation by address, whatever a mail program does to the ids.
        Plus = "plus",
    }

    /// How far a mail to oneself has got.
    pub enum RoundTripState {
        /// It is on its way.
        Waiting = "waiting",
        /// It is back.
        Arrived = "arrived",
        /// It will not come back.
        Failed = "failed",
    }
}

/// What a receiving server said of a mail (RFC 8601): its topmost Authentication-Results header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Authentication {
    /// The name the server gives itself, of one line and at most 255 characters. Whoever trusts it puts it
    /// among the mailbox's `trusted_authserv_ids`.
    pub server: String,
    /// What it says of SPF (RFC 7208): `pass`, `fail`, `softfail` …; `null`: nothing.
    pub spf: Option<String>,
    /// What it says of DKIM (RFC 6376): `pass` where one signature holds.
    pub dkim: Option<String>,
    /// What it says of DMARC (RFC 7489).
    pub dmarc: Option<String>,
}

/// One mail to oneself.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = round_trips)]
pub struct RoundTrip {
    /// Its number, which its Message-ID bears.
    pub id: i64,
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// The test that it is part of.
    pub test_id: RoundTripId,
    /// Which address.
    pub way: RoundTripWay,
    /// That address.
    pub address: String,
    /// How it leaves.
    pub outbox_id: Option<OutboxId>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it came into the desk again.
    pub arrived_at: Option<Timestamp>,
    /// When the mailbox's server got it, as that one says.
    pub received_at: Option<Timestamp>,
    /// The folder it was found in.
    pub folder: Option<String>,
    /// What the server said of it.
    pub authentication: Option<crate::store::types::Json<Authentication>>,
    /// Why it will not come back.
    pub failure: Option<String>,
}
