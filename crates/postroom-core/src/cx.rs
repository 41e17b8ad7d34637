//! What every operation is handed: the open transaction, who asks, and what time it is.

use crate::Error;
use crate::access::Access;
use crate::actor::Actor;
use crate::audit::NewNote;
use crate::event::NewEvent;
use crate::keys::Keys;
use crate::ports::Ports;
use crate::store::conn::{self, Conn};
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

    /// Does a part of the transaction that may be refused alone: what it wrote and told is taken back then, and
    /// the refusal handed out. What is no refusal, but a failure of the store, ends the whole transaction.
    pub(crate) fn attempt<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        self.part(true, part).map(|(result, _)| result)
    }

    /// Does a part of the transaction and takes it back, whatever came of it. Says what it would have told.
    pub(crate) fn rehearse<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<(Result<T, Error>, Vec<NewEvent>), Error> {
        self.part(false, part)
    }

    fn part<T>(
        &mut self,
        keep: bool,
        part: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<(Result<T, Error>, Vec<NewEvent>), Error> {
        let (told, noted, wakes) = (self.events.len(), self.notes.len(), self.wakes);
        conn::begin_part(self.conn)?;
        let result = part(self);
        if let Err(error) = &result
            && error.refusal().is_none()
        {
            // The transaction is rolled back whole, and this part with it; diesel counts how deep it is.
            let _ = conn::end_part(self.conn, false);
            return result.map(|value| (Ok(value), Vec::new()));
        }
        let stays = keep && result.is_ok();
        conn::end_part(self.conn, stays)?;
        if stays {
            return Ok((result, Vec::new()));
        }
        self.wakes = wakes;
        self.notes.truncate(noted);
        Ok((result, self.events.split_off(told)))
    }

    /// What the caller may see and do.
    pub fn access(&self) -> &Access {
        &self.actor.access
    }
}
