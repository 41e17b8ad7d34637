//! What can be done at the desk.
//!
//! An operation is handed the circumstances ([`crate::cx::Cx`]) and does six things, in this
//! order: it asks for the scope; it reads what it changes, through the caller's access; it
//! checks the version the caller saw; it checks the rules of the noun and names every fault of
//! the input at once; it writes, guarded by the version it read; it tells the event. Doing what
//! is done already changes nothing and tells nobody.

pub mod agents;
pub mod agents_named;
pub mod attachments;
pub mod audit;
pub mod authorizations;
pub mod auto_replies;
pub mod availabilities;
mod bounces;
pub mod breaker;
pub mod capabilities;
pub mod categories;
pub mod collecting;
pub mod conversations;
pub mod custom_fields;
pub mod customers;
pub mod distributions;
pub mod doctor;
pub mod event_tickets;
pub mod events;
pub mod exports;
pub mod fetching;
pub mod followers;
pub mod idempotency;
pub mod including;
pub mod indexing;
pub mod intake;
pub mod jobs;
pub mod leases;
pub mod ledger;
pub mod mailbox_outgoing;
pub mod mailbox_routing;
pub mod mailboxes;
pub mod me;
pub mod messages;
mod notices;
pub mod notification_settings;
pub mod notifications;
pub mod outbox;
pub mod passwords;
pub mod presences;
pub mod read_marks;
pub mod reconcile;
pub mod restoring;
pub mod roles;
pub mod room;
pub mod round_trips;
pub mod schedules;
pub mod sessions;
mod sight;
pub mod sign_in;
pub mod tags;
pub mod teams;
pub mod tokens;
pub mod totp;
pub mod transfers;
mod tries;
pub mod views;
pub mod watchdogs;
pub mod webhook_deliveries;
pub mod webhooks;

use crate::Error;

/// Fails where the caller saw another version than there is. `*` is any.
fn require_version(noun: &'static str, expected: Option<&str>, etag: String) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != "*" && expected != etag => Err(Error::Stale { noun, etag }),
        _ => Ok(()),
    }
}

/// Somebody else wrote between our read and our write. The whole operation is run again: what
/// the caller saw is then held against what there is now, and who saw nothing is not bothered.
fn overtaken() -> Error {
    Error::Store { doing: "writing over what was read", source: crate::store::StoreError::Again }
}
