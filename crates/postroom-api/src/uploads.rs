//! How many files and mails a token may send at once: each is held in memory until it is whole.

use postroom_core::id::TokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files, or mails, that one token may send at the same time.
pub const UPLOADS_EACH: usize = 2;

/// Who is sending how many.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<Option<TokenId>, Arc<Semaphore>>>>);

/// One that is on its way, counted until this is dropped.
#[derive(Debug)]
pub struct Upload {
    whose: Option<TokenId>,
    /// Given back before it is looked who still has any.
    place: Option<OwnedSemaphorePermit>,
    all: Uploads,
}

impl Uploads {
    /// Counts one more; `None` where a token sends as many as it may.
    pub fn begin(&self, whose: Option<TokenId>) -> Option<Upload> {
        let place = self.places(whose.clone()).try_acquire_owned().ok()?;
        Some(Upload { whose, place: Some(place), all: self.clone() })
    }

    /// Counts one more, as soon as there is a place: for mail, since not every program that brings some asks again.
    pub async fn turn(&self, whose: Option<TokenId>) -> Upload {
        // Nobody closes it.
        let place = self.places(whose.clone()).acquire_owned().await.ok();
        Upload { whose, place, all: self.clone() }
    }

    /// How many are on their way in all, and how many wait.
    #[cfg(test)]
    pub fn count(&self) -> (usize, usize) {
        let all = self.lock();
        let sent = |places: &Arc<Semaphore>| UPLOADS_EACH - places.available_permits();
        let (holders, sending) = (
            all.values().map(|places| Arc::strong_count(places) - 1).sum::<usize>(),
            all.values().map(sent).sum(),
        );
        (sending, holders - sending)
    }

    fn places(&self, whose: Option<TokenId>) -> Arc<Semaphore> {
        let mut all = self.lock();
        Arc::clone(all.entry(whose).or_insert_with(|| Arc::new(Semaphore::new(UPLOADS_EACH))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<TokenId>, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        drop(self.place.take());
        // Whoever sends or waits has a share of it as well.
        if all.get(&self.whose).is_some_and(|places| Arc::strong_count(places) == 1) {
            all.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_own_two() {
        let uploads = Uploads::default();
        let token = |name: &str| Some(TokenId(name.to_owned()));
        let held: Vec<Upload> = (0..UPLOADS_EACH).filter_map(|_| uploads.begin(token("a"))).collect();
        assert_eq!(held.len(), UPLOADS_EACH);
        assert!(uploads.begin(token("a")).is_none());
        let other = uploads.begin(token("b"));
        assert!(other.is_some() && uploads.begin(None).is_some());
        drop(held);
        assert!(uploads.begin(token("a")).is_some());
        drop(other);
        assert!(uploads.lock().is_empty(), "nobody is kept for ever");
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_next_place() {
        let uploads = Uploads::default();
        let token = Some(TokenId("a".to_owned()));
        let (first, second) = (uploads.begin(token.clone()), uploads.begin(token.clone()));
        let mut third = Box::pin(uploads.turn(token.clone()));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        assert!(uploads.begin(token.clone()).is_none(), "it is the third's");
        let third = third.await;
        drop((third, second));
        assert!(uploads.lock().is_empty());
    }
}
