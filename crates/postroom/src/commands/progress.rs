//! How far long work has come: on a terminal, in one line that is written over; elsewhere nothing.

use std::io::{IsTerminal, Write};

/// Steps between two lines: a terminal need not be written to for every one.
const EVERY: usize = 50;

/// A line on standard error that counts.
pub(super) struct Progress {
    what: &'static str,
    shown: bool,
}

impl Progress {
    /// Counts these.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, shown: false }
    }

    /// So many are done.
    pub(super) fn at(&mut self, done: usize) {
        let mut terminal = std::io::stderr();
        if done.is_multiple_of(EVERY) && terminal.is_terminal() {
            // A terminal that is gone is no reason to stop the work.
            self.shown = write!(terminal, "\r{done} {}", self.what).and_then(|()| terminal.flush()).is_ok();
        }
    }

    /// Takes the line away.
    pub(super) fn end(self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
