//! Room for what holds something open for long: so many seats in all, so many for each token.
//!
//! Whoever comes with a token that has as many as it may takes the seat of its oldest: a browser whose
//! connection died can't give back what it had, and would be shut out until the system notices. One that
//! lost its seat and does not go, because nobody reads what it is told, counts on, up to a bound of its own.

use postroom_core::actor::Actor;
use postroom_core::id::TokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// As many times the seats of a token as may still go, having lost theirs.
const LEAVING: usize = 3;

/// Who has which seats.
#[derive(Debug, Clone)]
pub struct Seats {
    in_all: usize,
    each: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Of each token, oldest first.
    of: HashMap<Option<TokenId>, Vec<Place>>,
    next: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    ticket: Option<String>,
    /// Says why it is lost; `None` while it is not.
    lost: watch::Sender<Option<Lost>>,
}

impl Place {
    fn is_held(&self) -> bool {
        self.lost.borrow().is_none()
    }

    fn lose(&self, why: Lost) {
        self.lost.send_replace(Some(why));
    }
}

/// One seat, free again when it is dropped.
#[derive(Debug)]
pub struct Seat {
    whose: Option<TokenId>,
    number: u64,
    lost: watch::Receiver<Option<Lost>>,
    taken: Arc<Mutex<Taken>>,
}

/// Why a seat went to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The token has opened as many newer ones as it may have.
    ToNewer {
        /// So many.
        each: usize,
    },
    /// The same ticket came again.
    ToSameTicket,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    InAll,
    /// Too many that the caller's token lost are still there.
    Own,
}

impl Seats {
    /// So many seats in all, of which each token may have so many.
    pub fn new(in_all: usize, each: usize) -> Self {
        Self { in_all, each, taken: Arc::default() }
    }

    /// A seat for a caller, if there is one. `ticket` is what they came with in place of their token.
    pub fn take(&self, actor: &Actor, ticket: Option<&str>) -> Result<Seat, Full> {
        let whose = actor.token_id.clone();
        let mut taken = lock(&self.taken);
        let all: usize = taken.of.values().map(Vec::len).sum();
        let own = taken.of.get(&whose).map(Vec::as_slice).unwrap_or_default();
        if own.len() >= self.each * (1 + LEAVING) {
            return Err(Full::Own);
        }
        if all >= self.in_all {
            return Err(Full::InAll);
        }
        let again =
            own.iter().find(|place| place.is_held() && ticket.is_some() && place.ticket.as_deref() == ticket);
        if let Some(place) = again {
            place.lose(Lost::ToSameTicket);
        }
        let held = own.iter().filter(|place| place.is_held()).count();
        if held >= self.each
            && let Some(oldest) = own.iter().find(|place| place.is_held())
        {
            oldest.lose(Lost::ToNewer { each: self.each });
        }
        let (lost, told) = watch::channel(None);
        let number = taken.next;
        taken.next += 1;
        let place = Place { number, ticket: ticket.map(str::to_owned), lost };
        taken.of.entry(whose.clone()).or_default().push(place);
        Ok(Seat { whose, number, lost: told, taken: Arc::clone(&self.taken) })
    }
}

impl Seat {
    /// Tells when the seat is lost, and why.
    pub fn lost(&self) -> watch::Receiver<Option<Lost>> {
        self.lost.clone()
    }
}

/// What is kept is whole however its holder ended.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(own) = taken.of.get_mut(&self.whose) {
            own.retain(|place| place.number != self.number);
            if own.is_empty() {
                taken.of.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(token: &str) -> Actor {
        Actor { token_id: Some(TokenId(token.to_owned())), ..Actor::system() }
    }

    fn why(seat: &Seat) -> Option<Lost> {
        *seat.lost().borrow()
    }

    #[test]
    fn there_are_so_many_in_all() {
        let [one, two, three] = ["tok_1", "tok_2", "tok_3"].map(actor);
        let seats = Seats::new(3, 2);
        let first = seats.take(&one, None).expect("free");
        let _second = seats.take(&one, None).expect("free");
        let third = seats.take(&two, None).expect("free");
        assert_eq!(seats.take(&three, None).err(), Some(Full::InAll));
        assert_eq!(seats.take(&one, None).err(), Some(Full::InAll), "one that lost its seat is still there");
        assert_eq!(why(&first), None, "nobody loses a seat to one that gets none");
        drop(third);
        let _third = seats.take(&three, None).expect("free again");
        assert_eq!(lock(&seats.taken).of.len(), 2, "who has none is forgotten");
    }

    #[test]
    fn the_newest_of_a_token_takes_the_seat_of_its_oldest() {
        let [one, two] = ["tok_1", "tok_2"].map(actor);
        let seats = Seats::new(100, 2);
        let others = seats.take(&two, None).expect("free");
        let mut own: Vec<Seat> = (0..3).map(|_| seats.take(&one, None).expect("free")).collect();
        assert_eq!(own.iter().map(why).collect::<Vec<_>>(), [Some(Lost::ToNewer { each: 2 }), None, None]);
        // The dead are never dropped; there is an end to how many of them there are.
        own.extend((3..8).map(|_| seats.take(&one, None).expect("free")));
        assert_eq!(own.iter().filter(|seat| why(seat).is_none()).count(), 2);
        assert!(own[6..].iter().all(|seat| why(seat).is_none()), "the newest stay");
        assert_eq!(seats.take(&one, None).err(), Some(Full::Own));
        assert_eq!(why(&others), None, "another token's is its own");
        drop(own.remove(0));
        seats.take(&one, None).expect("free again");
    }

    #[test]
    fn a_ticket_has_one_seat() {
        let one = actor("tok_1");
        let seats = Seats::new(100, 5);
        let plain = seats.take(&one, None).expect("free");
        let first = seats.take(&one, Some("a")).expect("free");
        let other = seats.take(&one, Some("b")).expect("free");
        let again = seats.take(&one, Some("a")).expect("free");
        assert_eq!(why(&first), Some(Lost::ToSameTicket));
        assert!([&plain, &other, &again].into_iter().all(|seat| why(seat).is_none()));
    }
}
