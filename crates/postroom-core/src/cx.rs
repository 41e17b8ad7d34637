//! What every operation is handed: the open transaction, who asks, and what time it is.

use crate::access::Access;
use crate::actor::Actor;
use crate::audit::NewNote;
use crate::event::NewEvent;
use crate::keys::Keys;
use crate::ports::Ports;
use crate::store::conn::Conn;
use crate::time::Timestamp;

/// One transaction's circumstances. Only `Desk` makes one.
pub struct Cx<'a> {
    /// The transaction.
    pub(crate) conn: &'a mut Conn,
    /// Who asks.
    pub actor: &'a Actor,
    /// When: one moment for the whole transaction.
    pub now: Timestamp,
    /// The installation's keys.
    pub keys: &'a Keys,
    /// The outside.
    pub ports: &'a Ports,
    /// Limits and lengths of time.
    pub settings: &'a crate::desk::Settings,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) notes: Vec<NewNote>,
    pub(crate) wakes: bool,
}

impl Cx<'_> {
    /// Notes an event. All of a transaction's events are written together, just before its
    /// commit, so that their numbers are handed out in the order of commits.
    pub fn tell(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Wakes the workers after the commit, though nothing is told.
    pub fn wake(&mut self) {
        self.wakes = true;
    }

    /// What the caller may see and do.
    pub fn access(&self) -> &Access {
        &self.actor.access
    }
}
