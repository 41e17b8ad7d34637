//! A mailbox's Sent folder: whether a mail lies there, and putting one there.

use super::words::{quoted, wire_name};
use super::{ImapSession, MailSource};
use crate::error::SourceError;
use crate::source::SpecialUse;
use imap::types::Flag;
use postroom_core::mailbox::{AUTO, Source};
use postroom_core::time::Timestamp;
use std::ops::Add;
use std::time::Duration;

/// A moment as whatever type the crate has for it: the default of those is the beginning of 1970.
fn moment<T: Default + Add<Duration, Output = T>>(at: Timestamp) -> T {
    T::default() + Duration::from_secs(at.as_seconds().max(0).unsigned_abs())
}

impl ImapSession {
    /// The folder with what was sent: the one that the source names, or else that the server does.
    pub fn sent_folder(&mut self, source: &Source) -> Result<Option<String>, SourceError> {
        match source {
            Source::Imap { sent_folder: Some(name), .. } if name != AUTO => Ok(Some(name.clone())),
            Source::Imap { .. } => self.special_folder(SpecialUse::Sent),
            _ => Err(SourceError::NotImap),
        }
    }

    /// Whether a folder holds a mail with this Message-ID, given without brackets. Opens the folder for
    /// reading.
    pub fn holds(&mut self, folder: &str, message_id: &str) -> Result<bool, SourceError> {
        self.select(folder, false)?;
        let query = format!("HEADER Message-ID {}", quoted(message_id));
        let found = self.ask("search for a mail", |session| session.uid_search(&query))?;
        Ok(!found.is_empty())
    }

    /// Puts a mail into a folder, as read, with the date that it was sent at. `raw` ends its lines with
    /// CRLF.
    pub fn append(&mut self, folder: &str, raw: &[u8], sent_at: Timestamp) -> Result<(), SourceError> {
        // The crate puts the quotes around it, and nothing more.
        let name = wire_name(folder).replace('\\', "\\\\").replace('"', "\\\"");
        self.ask(&format!("put a mail into {folder:?}"), |session| {
            session.append(&name, raw).flag(Flag::Seen).internal_date(moment(sent_at)).finish().map(drop)
        })
    }
}
