//! Everything of a kind, by pages: first what there is, then what the event log says has changed.

/// Where an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It goes through what there is, by number. What changes meanwhile is in the log behind `start`.
    Walk {
        /// The newest event when it began.
        start: i64,
        /// The number it has come to.
        after: i64,
    },
    /// It follows the log, and has looked at everything up to this event.
    Follow {
        /// Its number.
        seq: i64,
    },
}

/// A page of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported<T> {
    /// What is there, as it is now.
    pub rows: Vec<T>,
    /// What is there no more.
    pub gone: Vec<i64>,
    /// Where to go on.
    pub next: Place,
    /// There is nothing more just now: `next` brings what changes from here on.
    pub is_end: bool,
}
