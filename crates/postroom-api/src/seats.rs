//! Room for what holds something open for long: so many seats in all, so many for each token.

use postroom_core::actor::Actor;
use postroom_core::id::TokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Who has how many seats.
#[derive(Debug, Clone)]
pub struct Seats {
    in_all: usize,
    each: usize,
    taken: Arc<Mutex<HashMap<Option<TokenId>, usize>>>,
}

/// One seat, free again when it is dropped.
#[derive(Debug)]
pub struct Seat {
    whose: Option<TokenId>,
    taken: Arc<Mutex<HashMap<Option<TokenId>, usize>>>,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    InAll,
    /// The caller's token has as many as one may.
    Own,
}

impl Seats {
    /// So many seats in all, of which each token may have so many.
    pub fn new(in_all: usize, each: usize) -> Self {
        Self { in_all, each, taken: Arc::default() }
    }

    /// A seat for a caller, if there is one.
    pub fn take(&self, actor: &Actor) -> Result<Seat, Full> {
        let whose = actor.token_id.clone();
        // A number is whole however its holder ended.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&whose).is_some_and(|own| *own >= self.each) {
            return Err(Full::Own);
        }
        if taken.values().sum::<usize>() >= self.in_all {
            return Err(Full::InAll);
        }
        *taken.entry(whose.clone()).or_default() += 1;
        Ok(Seat { whose, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.whose);
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

    #[test]
    fn there_are_so_many_in_all_and_for_each() {
        let [one, two, three] = ["tok_1", "tok_2", "tok_3"].map(actor);
        let seats = Seats::new(3, 2);
        let first = seats.take(&one).expect("free");
        let _second = seats.take(&one).expect("free");
        assert_eq!(seats.take(&one).err(), Some(Full::Own));
        let third = seats.take(&two).expect("free");
        assert_eq!(seats.take(&three).err(), Some(Full::InAll));
        assert_eq!(seats.take(&two).err(), Some(Full::InAll));
        drop(third);
        let _third = seats.take(&three).expect("free again");
        drop(first);
        let _fourth = seats.take(&one).expect("free again");
        assert_eq!(seats.taken.lock().expect("whole").len(), 2, "who has none is forgotten");
    }
}
