//! What a place that mail is fetched from can do: one logged-in session, one folder at a time.
//!
//! Everything here blocks. After an error that [`SourceError::drops_session`] names, the session
//! answers nothing but that error; only a new connection can go on.

use crate::error::SourceError;
use jiff::civil::Date;
use postroom_core::time::Timestamp;

/// A folder as it was when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderState {
    /// The generation of its numbers: another one means that all numbers start anew
    /// (RFC 3501 section 2.3.1.1).
    pub uidvalidity: u32,
    /// The number the next mail will get at least; not every server says.
    pub uidnext: Option<u32>,
    /// How many mails are in it.
    pub exists: u32,
}

/// A mail that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number in the folder.
    pub uid: u32,
    /// Its size in bytes, as the server reckons it; some are off by a little, and 0 is a size that it
    /// does not say.
    pub size: u64,
}

/// A mail, or the head of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its number in the folder.
    pub uid: u32,
    /// Somebody has read it.
    pub seen: bool,
    /// When the server received it, where the server says so in a way that can be read.
    pub internal_date: Option<Timestamp>,
    /// The mail's own bytes, untouched.
    pub raw: Vec<u8>,
}

/// A mail by what tells it from others, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its number in the folder.
    pub uid: u32,
    /// Its size in bytes, as the server reckons it.
    pub size: u64,
    /// When the server received it.
    pub internal_date: Option<Timestamp>,
    /// Its Message-ID as the desk keeps it; `None` where it has none or it was not asked for.
    pub message_id: Option<String>,
}

/// A folder that servers give a role (RFC 6154 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialUse {
    /// What was sent.
    Sent,
    /// What was taken for junk.
    Junk,
}

/// How far mails were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// They are there, and here no more.
    Moved,
    /// They are there and still here.
    Copied,
}

/// One logged-in session on one server.
pub trait MailSource {
    /// Opens a folder; `writable` is needed to mark, move or delete, and is refused then where the
    /// server gives the folder for reading only.
    fn select(&mut self, folder: &str, writable: bool) -> Result<FolderState, SourceError>;

    /// Every mail above a number, in the order of numbers.
    fn list_after(&mut self, last_uid: u32) -> Result<Vec<Listed>, SourceError>;

    /// The numbers of all mails above a number, ascending: what a listing may leave out, a search finds.
    fn numbers_after(&mut self, last_uid: u32) -> Result<Vec<u32>, SourceError>;

    /// What tells these mails from others; their Message-IDs only where `with_ids` asks for them.
    /// Those that are gone are left out.
    fn marks(&mut self, uids: &[u32], with_ids: bool) -> Result<Vec<Mark>, SourceError>;

    /// The folder that the server gives a role, where it names one.
    fn special_folder(&mut self, wanted: SpecialUse) -> Result<Option<String>, SourceError>;

    /// The numbers of what the server received on a day or later, ascending. The day is the
    /// server's own (RFC 3501 section 6.4.4).
    fn list_since(&mut self, day: Date) -> Result<Vec<u32>, SourceError>;

    /// Fetches mails in one command, without marking them read. Ask for no more than 100 mails and
    /// 8 MiB at a time: all of it is in memory at once.
    ///
    /// A mail that is missing from the answer is *not* gone for that: ask
    /// [`still_there`](Self::still_there). On [`SourceError::Refused`] nothing of the batch is
    /// returned, and the mails should be asked for one by one.
    fn fetch(&mut self, uids: &[u32]) -> Result<Vec<Fetched>, SourceError>;

    /// Fetches one mail in pieces of 1 MiB, each with a time limit of its own: for what has more than
    /// 16 MiB. A server may send less at a time; the end is where it has no more. `size` is the size the
    /// mail was listed with, and `most` the size it may have where that is not known. `None` where it is
    /// not there, or no longer.
    fn fetch_large(&mut self, uid: u32, size: Option<u64>, most: u64)
    -> Result<Option<Fetched>, SourceError>;

    /// Fetches the header (at most 1 MiB) and the first `text` bytes behind it, for a mail that is
    /// too large to take in. `None` where it is not there.
    fn fetch_head(&mut self, uid: u32, text: u32) -> Result<Option<Fetched>, SourceError>;

    /// Which of these are still in the folder, ascending.
    fn still_there(&mut self, uids: &[u32]) -> Result<Vec<u32>, SourceError>;

    /// Marks mails as read. Those that are gone don't matter.
    fn mark_seen(&mut self, uids: &[u32]) -> Result<(), SourceError>;

    /// Moves mails to a folder, which must exist. Those that are gone don't matter. Where the
    /// server can't move in one step (RFC 6851) they are only copied, and are still to be
    /// [deleted](Self::delete): whoever asks notes that first.
    fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<Moved, SourceError>;

    /// Deletes mails, these and no others (RFC 4315). Those that are gone don't matter.
    fn delete(&mut self, uids: &[u32]) -> Result<(), SourceError>;

    /// Says goodbye; whether the server hears it does not matter. The session is over then.
    fn logout(&mut self);
}
