//! Waiting for news of a folder (IDLE, RFC 2177).
//!
//! The crate's waiting has three faults that are worked round here: it would wait without a time
//! limit afterwards (the transport knows better, see `SetReadTimeout` there); its limit counts
//! anew with every line that comes (there, too, it counts from the beginning); and a handle whose
//! server answered oddly is ended by waiting for an answer that never comes, or by a panic within
//! a panic. Such a handle is forgotten, and the session with it.

use super::{Failure, ImapSession, Session, guard};
use crate::error::SourceError;
use imap::types::UnsolicitedResponse;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The folder has grown.
    Something,
    /// It has not, as far as the server says.
    Nothing,
}

/// Ends a session from another thread, whatever it is waiting for.
#[derive(Debug)]
pub struct Hangup(TcpStream);

impl Hangup {
    /// Ends it. To end it twice is the same as once.
    pub fn hang_up(&self) {
        // It fails only where the connection is gone already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl ImapSession {
    /// The server tells news to whoever waits for them.
    pub fn can_idle(&self) -> bool {
        self.can_idle
    }

    /// What ends this session from another thread.
    ///
    /// # Errors
    /// [`SourceError::Lost`] where the system has no handle left for it.
    pub fn hangup(&self) -> Result<Hangup, SourceError> {
        self.line.try_clone().map(Hangup).map_err(|error| self.place.broken(error))
    }

    /// Waits until the open folder grows, for `limit` at the most. Whatever is odd ends the session:
    /// news may be lost with it, so that the next one should look for itself first.
    ///
    /// # Errors
    /// [`SourceError::Refused`] where the server does not want to, [`SourceError::Lost`] otherwise.
    pub fn wait_for_news(&mut self, limit: Duration) -> Result<News, SourceError> {
        let what = "tell news";
        let most = limit.saturating_add(self.timeouts.command);
        match self.ask_within(what, most, |session| Ok(wait(session, limit)))? {
            // The crate throws away what comes before the answer to DONE; the shelf has seen it.
            Ok(()) if self.shelf.has_grown() => Ok(News::Something),
            Ok(()) => Ok(News::Nothing),
            Err(failure) => Err(self.failed(failure, what)),
        }
    }
}

fn wait(session: &mut Session, limit: Duration) -> Result<(), Failure> {
    let mut handle = ManuallyDrop::new(session.idle());
    // Kept alive by the crate, it would wait through its time limit on and on.
    handle.timeout(limit).keepalive(false);
    guard(|| handle.wait_while(|news| !matches!(news, UnsolicitedResponse::Exists(_))))?;
    // Says DONE and reads the answer. That it could not is found by the next command.
    guard(|| {
        drop(ManuallyDrop::into_inner(handle));
        Ok(())
    })
}
