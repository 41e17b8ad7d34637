//! Whether anything has changed: what was found out under one mark still holds under the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A number that is higher after each commit to the database, whichever process it came from. Between two that are the
/// same nothing was committed, so whatever was read after the first holds at the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark(pub(crate) u64);

/// What was found out under the newest mark, and is asked for again. All of it is forgotten with the next one; of what
/// there is no room for, what nobody has asked for lately.
#[derive(Debug)]
pub struct Remembered<K, V> {
    now: Mutex<Now<K, V>>,
    room: usize,
}

/// Kept in two halves: once the new one is full it becomes the old one, and what was the old one is dropped.
#[derive(Debug)]
struct Now<K, V> {
    mark: Mark,
    used: usize,
    new: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
}

impl<K: Eq + Hash + Clone, V: Clone> Remembered<K, V> {
    /// For so much, in whatever unit [`Remembered::keep`] is told sizes in. What takes more than half of it is not kept.
    pub fn with_room(room: usize) -> Self {
        Self { now: Mutex::new(Now::at(Mark::default())), room }
    }

    /// What was kept under this mark.
    pub fn get(&self, mark: Mark, key: &K) -> Option<V> {
        let mut now = self.at(mark);
        if now.mark != mark {
            return None;
        }
        if let Some((value, _)) = now.new.get(key) {
            return Some(value.clone());
        }
        let (key, (value, size)) = now.old.remove_entry(key)?;
        now.add(key, value.clone(), size, self.room / 2);
        Some(value)
    }

    /// Keeps what was read after the mark was. Of an older mark than the newest nothing is kept.
    pub fn keep(&self, mark: Mark, key: K, value: V, size: usize) {
        let mut now = self.at(mark);
        if now.mark == mark && size <= self.room / 2 {
            now.add(key, value, size, self.room / 2);
        }
    }

    fn at(&self, mark: Mark) -> MutexGuard<'_, Now<K, V>> {
        // Whoever panicked in here left nothing half done: at worst, something was not kept.
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.mark < mark {
            *now = Now::at(mark);
        }
        now
    }
}

impl<K: Eq + Hash, V> Now<K, V> {
    fn at(mark: Mark) -> Self {
        Self { mark, used: 0, new: HashMap::new(), old: HashMap::new() }
    }

    fn add(&mut self, key: K, value: V, size: usize, half: usize) {
        if self.used + size > half {
            self.old = std::mem::take(&mut self.new);
            self.used = 0;
        }
        if self.new.insert(key, (value, size)).is_none() {
            self.used += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_mark_forgets_and_an_old_one_is_too_late() {
        let all: Remembered<&str, i32> = Remembered::with_room(10);
        all.keep(Mark(1), "a", 1, 1);
        assert_eq!(all.get(Mark(1), &"a"), Some(1));
        assert_eq!(all.get(Mark(1), &"b"), None);
        assert_eq!(all.get(Mark(2), &"a"), None, "something has changed");
        assert_eq!(all.get(Mark(1), &"a"), None, "and it was forgotten");
        all.keep(Mark(1), "a", 1, 1);
        assert_eq!(all.get(Mark(2), &"a"), None, "it was read under an older mark");
        assert_eq!(all.get(Mark(1), &"a"), None);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_makes_room() {
        let all: Remembered<i32, i32> = Remembered::with_room(20);
        for key in 0..100 {
            all.keep(Mark(1), key, key, 2);
            assert_eq!(all.get(Mark(1), &0), Some(0), "it was asked for each time");
            let now = all.now.lock().expect("nobody panicked");
            assert!(now.used <= 10 && now.new.len() <= 5 && now.old.len() <= 5, "{now:?}");
        }
        assert_eq!((all.get(Mark(1), &1), all.get(Mark(1), &99)), (None, Some(99)));
        all.keep(Mark(1), 100, 100, 10);
        all.keep(Mark(1), 101, 101, 11);
        assert_eq!((all.get(Mark(1), &100), all.get(Mark(1), &101)), (Some(100), None));
    }
}
