//! How many files a token may send at once: each is held in memory until it is whole.

use postroom_core::id::TokenId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that one token may send at the same time.
pub const UPLOADS_EACH: usize = 2;

/// Who is sending how many.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<Option<TokenId>, usize>>>);

/// One file that is on its way, counted until this is dropped.
#[derive(Debug)]
pub struct Upload {
    whose: Option<TokenId>,
    all: Uploads,
}

impl Uploads {
    /// Counts one more; `None` where a token sends as many as it may.
    pub fn begin(&self, whose: Option<TokenId>) -> Option<Upload> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(whose.clone()).or_default();
        if *count >= UPLOADS_EACH {
            return None;
        }
        *count += 1;
        Some(Upload { whose, all: self.clone() })
    }

    /// How many are on their way in all.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut under_way = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.whose);
            }
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
        assert!(uploads.0.lock().expect("nobody panicked").is_empty(), "nobody is kept for ever");
    }
}
