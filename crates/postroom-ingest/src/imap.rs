//! Mail from an IMAP server (RFC 3501), through the `imap` crate behind the shield.

mod idle;
mod login;
mod sent;
mod told;
mod words;

pub use idle::{Hangup, News};
pub use login::{connect, connect_within};

use crate::error::SourceError;
use crate::headers::{Headers, unfolded};
use crate::limits::Limits;
use crate::shield::{Shelf, Shield};
use crate::source::{Fetched, FolderState, Listed, MailSource, Mark, Moved, SpecialUse};
use crate::transport::{Deadline, Place, Timeouts, Wire};
use imap::types::{Fetch, Fetches, Flag};
use imap_proto::NameAttribute;
use jiff::civil::Date;
use postroom_core::threading::keys::own_id;
use postroom_core::time::Timestamp;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use words::{folder_name, quoted, uid_set, wire_name};

type Session = imap::Session<Shield<Wire>>;

/// Numbers in one command: 11 bytes each at most, and servers need not take lines of more than
/// 8,000 (RFC 7162 section 4).
const UIDS: usize = 500;

/// Mails that one command may list. The crate keeps 2 KB and more for each until all are there.
const LISTED: u32 = 5_000;

/// Numbers that one search may cover, so that all of them fit into a line of 1 MiB.
const SEARCHED: u32 = 80_000;

/// Bytes of a large mail that are asked for at once, and of a header that are read.
const CHUNK: u32 = 1 << 20;

/// A large mail may come in pieces that are this small on average.
const CRUMB: u64 = 16 << 10;

/// How long a server has to answer a goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// A logged-in session. Dropping it closes the connection.
#[derive(Debug)]
pub struct ImapSession {
    place: Place,
    session: Session,
    /// The same connection once more, for who ends it from another thread.
    line: TcpStream,
    shelf: Shelf,
    deadline: Deadline,
    timeouts: Timeouts,
    folder: Option<FolderState>,
    is_writable: bool,
    can_move: bool,
    can_expunge: bool,
    can_idle: bool,
    is_over: bool,
}

/// The Message-ID in a header, as the desk keeps it.
fn message_id(head: &[u8]) -> Option<String> {
    let (headers, _) = Headers::read(head, 0, true, &Limits::default());
    let written: Vec<String> = headers.all("Message-ID").map(unfolded).filter(|id| !id.is_empty()).collect();
    own_id(&written)
}

/// How a call into the crate went wrong.
enum Failure {
    Crate(imap::Error),
    Panic,
}

/// Calls the crate. Its parser panics on some answers that no server should give (`INTERNALDATE
/// NIL`, for one): that ends this session and nothing else.
fn guard<T>(call: impl FnOnce() -> imap::Result<T>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Failure::Panic)?.map_err(Failure::Crate)
}

impl Failure {
    /// The server understood and said NO or BAD.
    fn is_answer(&self) -> bool {
        matches!(self, Self::Crate(imap::Error::No(_) | imap::Error::Bad(_)))
    }

    fn explain(self, place: &Place, shelf: &Shelf, what: &str) -> SourceError {
        let line = shelf.last_line();
        match self {
            // Where a literal is not waited for, the crate does not say what was said instead.
            Self::Crate(imap::Error::No(_) | imap::Error::Bad(_) | imap::Error::Append) => {
                SourceError::Refused {
                    what: what.to_owned(),
                    said: words::said(&line),
                    for_now: words::is_for_now(&line),
                }
            }
            Self::Crate(imap::Error::Validate(error)) => {
                SourceError::Refused { what: what.to_owned(), said: error.to_string(), for_now: false }
            }
            Self::Crate(imap::Error::Io(error)) => place.broken(error),
            Self::Crate(imap::Error::ConnectionLost) => match shelf.farewell() {
                Some(words) => place.lost(format!("the server said goodbye: {words}")),
                None => place.lost("the server hung up"),
            },
            Self::Crate(imap::Error::Bye(bye)) if bye.information != "no explanation given" => {
                place.lost(format!("the server said goodbye: {}", words::said(&line)))
            }
            Self::Crate(_) | Self::Panic => {
                let said = crate::error::clean(&line);
                place.lost(format!("what the server sent is no answer to what was asked: {said}"))
            }
        }
    }
}

impl ImapSession {
    /// The server can move mails in one step (RFC 6851).
    pub fn can_move(&self) -> bool {
        self.can_move
    }

    /// The server can delete these mails and no others (RFC 4315).
    pub fn can_expunge(&self) -> bool {
        self.can_expunge
    }

    /// Runs one command. After an error that drops the session no further one is sent: the answer
    /// to the last may still be on its way.
    fn ask<T>(
        &mut self,
        what: &str,
        command: impl FnOnce(&mut Session) -> imap::Result<T>,
    ) -> Result<T, SourceError> {
        self.ask_within(what, self.timeouts.command, command)
    }

    /// As [`ask`](Self::ask), with a time limit of its own.
    fn ask_within<T>(
        &mut self,
        what: &str,
        limit: Duration,
        command: impl FnOnce(&mut Session) -> imap::Result<T>,
    ) -> Result<T, SourceError> {
        if self.is_over {
            return Err(self.place.lost("the session is over"));
        }
        self.shelf.clear();
        self.deadline.set(limit);
        let outcome = guard(|| command(&mut self.session));
        // News about other mails that came along; we ask for what we want to know.
        drop(self.session.take_all_unsolicited());
        outcome.map_err(|failure| self.failed(failure, what))
    }

    /// What went wrong, in words. The session is over unless the server only said no.
    fn failed(&mut self, failure: Failure, what: &str) -> SourceError {
        let error = failure.explain(&self.place, &self.shelf, what);
        if error.drops_session() {
            self.is_over = true;
            // What is still to be written at drop must not wait for a server that is gone.
            self.deadline.set(Duration::ZERO);
        }
        error
    }

    /// Covers all numbers from one on: at once in a folder of at most `width` mails, otherwise in
    /// pieces of `width` numbers. While those come out nearly empty they grow, where `grows` allows
    /// it. The last has no end, so that nothing is missed where the server's UIDNEXT is too low.
    fn in_pieces(
        &mut self,
        from: u32,
        width: u32,
        grows: bool,
        mut piece: impl FnMut(&mut Self, &str) -> Result<u32, SourceError>,
    ) -> Result<(), SourceError> {
        let next = match self.folder {
            Some(FolderState { uidnext: Some(next), exists, .. }) if exists > width => next,
            _ => 0,
        };
        let (mut start, mut now) = (from, width);
        while let Some(after) = start.checked_add(now).filter(|after| *after < next) {
            let found = piece(self, &format!("{start}:{}", after - 1))?;
            now = if grows && found < width / 4 { now.saturating_mul(2) } else { width };
            start = after;
        }
        piece(self, &format!("{start}:*")).map(drop)
    }

    /// Runs a command for each handful of numbers.
    fn for_each_set(
        &mut self,
        what: &str,
        uids: &[u32],
        mut command: impl FnMut(&mut Session, &str) -> imap::Result<()>,
    ) -> Result<(), SourceError> {
        for uids in uids.chunks(UIDS) {
            let set = uid_set(uids);
            self.ask(what, |session| command(session, &set))?;
        }
        Ok(())
    }

    /// What is known of one mail in an answer, without its bytes.
    fn described(fetch: &Fetch<'_>, uid: u32) -> Fetched {
        Fetched {
            uid,
            seen: fetch.flags().contains(&Flag::Seen),
            internal_date: fetch.internal_date().map(|date| Timestamp::from_seconds(date.timestamp())),
            raw: Vec::new(),
        }
    }

    /// Fetches something of one mail; `None` where the answer does not hold it.
    fn fetch_part(&mut self, uid: u32, items: &str) -> Result<Option<Fetched>, SourceError> {
        let query = format!("(UID FLAGS INTERNALDATE {items})");
        let fetches = self.ask("fetch a mail", |session| session.uid_fetch(uid.to_string(), &query))?;
        let Some(fetch) = fetches
            .iter()
            .find(|fetch| fetch.uid == Some(uid) && (fetch.body().is_some() || fetch.header().is_some()))
        else {
            return Ok(None);
        };
        let strings = [fetch.body(), fetch.header(), fetch.text()];
        let parts: Vec<_> = strings.into_iter().flatten().filter_map(|part| self.shelf.take(part)).collect();
        Ok(Some(Fetched { raw: parts.concat(), ..Self::described(fetch, uid) }))
    }

    /// The folder is not there, or the server had another reason to refuse.
    fn missing_or(&mut self, folder: &str, refused: SourceError) -> SourceError {
        let SourceError::Refused { said, for_now: false, .. } = &refused else { return refused };
        let said = said.to_ascii_uppercase();
        let missing = SourceError::FolderMissing { folder: folder.to_owned() };
        if said.contains("[NONEXISTENT]") || said.contains("[TRYCREATE]") {
            return missing;
        }
        // Wildcards would find other folders.
        if said.contains("[NOPERM]") || folder.contains(['*', '%']) {
            return refused;
        }
        let pattern = quoted(&wire_name(folder));
        match self.ask("list a folder", |session| session.list(None, Some(&pattern))) {
            Ok(names) if names.is_empty() => missing,
            Ok(_) | Err(SourceError::Refused { .. }) => refused,
            Err(error) => error,
        }
    }

    /// Dovecot answers OK to a STORE in a folder that is open for reading only, and does nothing.
    fn writable(&self, what: &str) -> Result<(), SourceError> {
        if self.is_writable { Ok(()) } else { Err(Self::cannot(what, "the folder is open for reading only")) }
    }

    fn cannot(what: &str, why: &str) -> SourceError {
        SourceError::Refused { what: what.to_owned(), said: why.to_owned(), for_now: false }
    }
}

impl MailSource for ImapSession {
    fn select(&mut self, folder: &str, writable: bool) -> Result<FolderState, SourceError> {
        self.folder = None;
        self.is_writable = false;
        let name = wire_name(folder);
        let opened = self.ask(&format!("open the folder {folder:?}"), |session| {
            if writable { session.select(&name) } else { session.examine(&name) }
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(refused) => return Err(self.missing_or(folder, refused)),
        };
        let Some(uidvalidity) = opened.uid_validity else {
            let why = "it gives the folder no UIDVALIDITY, so that its mails can't be told apart";
            return Err(Self::cannot(&format!("open the folder {folder:?}"), why));
        };
        let state = FolderState { uidvalidity, uidnext: opened.uid_next, exists: opened.exists };
        self.folder = Some(state);
        self.is_writable = writable && !opened.is_read_only;
        Ok(state)
    }

    fn list_after(&mut self, last_uid: u32) -> Result<Vec<Listed>, SourceError> {
        let Some(from) = last_uid.checked_add(1) else { return Ok(Vec::new()) };
        let mut listed = Vec::new();
        self.in_pieces(from, LISTED, true, |this, set| {
            let fetches = this.ask("list mails", |session| session.uid_fetch(set, "(UID RFC822.SIZE)"))?;
            // News about a mail has no size, and some servers leave it out: the mail is there.
            let found = fetches.iter().filter_map(|fetch| {
                Some(Listed { uid: fetch.uid?, size: u64::from(fetch.size.unwrap_or(0)) })
            });
            // `n:*` is answered with the last mail where there is none above n
            // (RFC 3501 section 6.4.8).
            listed.extend(found.filter(|mail| mail.uid > last_uid));
            Ok(u32::try_from(fetches.len()).unwrap_or(u32::MAX))
        })?;
        listed.sort_unstable_by_key(|mail| (mail.uid, Reverse(mail.size)));
        listed.dedup_by_key(|mail| mail.uid);
        Ok(listed)
    }

    fn numbers_after(&mut self, last_uid: u32) -> Result<Vec<u32>, SourceError> {
        let Some(from) = last_uid.checked_add(1) else { return Ok(Vec::new()) };
        let mut uids = Vec::new();
        self.in_pieces(from, SEARCHED, false, |this, set| {
            uids.extend(this.ask("search for mails", |session| session.uid_search(format!("UID {set}")))?);
            Ok(0)
        })?;
        // Here too `n:*` means the last mail where there is none above n.
        uids.retain(|uid| *uid > last_uid);
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    fn marks(&mut self, uids: &[u32], with_ids: bool) -> Result<Vec<Mark>, SourceError> {
        let query = if with_ids {
            "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM)])"
        } else {
            "(UID INTERNALDATE RFC822.SIZE)"
        };
        let mut marks = Vec::with_capacity(uids.len());
        for uids in uids.chunks(UIDS) {
            let set = uid_set(uids);
            let fetches = self.ask("look at mails", |session| session.uid_fetch(&set, query))?;
            for fetch in fetches.iter() {
                let (Some(uid), Some(size)) = (fetch.uid, fetch.size) else { continue };
                let head = fetch.header().and_then(|header| self.shelf.take(header));
                marks.push(Mark {
                    uid,
                    size: u64::from(size),
                    internal_date: Self::described(fetch, uid).internal_date,
                    message_id: head.and_then(|head| message_id(&head)),
                });
            }
        }
        marks.sort_unstable_by_key(|mark| mark.uid);
        marks.dedup_by_key(|mark| mark.uid);
        Ok(marks)
    }

    fn special_folder(&mut self, wanted: SpecialUse) -> Result<Option<String>, SourceError> {
        let pattern = quoted("*");
        let names = self.ask("list folders", |session| session.list(None, Some(&pattern)))?;
        let attribute = match wanted {
            SpecialUse::Sent => NameAttribute::Sent,
            SpecialUse::Junk => NameAttribute::Junk,
        };
        let named = names.iter().find(|name| name.attributes().contains(&attribute));
        Ok(named.map(|name| folder_name(name.name())))
    }

    fn list_since(&mut self, day: Date) -> Result<Vec<u32>, SourceError> {
        let day = day.strftime("%-d-%b-%Y").to_string();
        let mut uids = Vec::new();
        self.in_pieces(1, SEARCHED, false, |this, set| {
            let query = format!("UID {set} SINCE {day}");
            let found = this.ask("search by day", |session| session.uid_search(&query))?;
            uids.extend(found);
            Ok(0)
        })?;
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    fn fetch(&mut self, uids: &[u32]) -> Result<Vec<Fetched>, SourceError> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let set = uid_set(uids);
        let fetches: Fetches = self.ask("fetch mails", |session| {
            session.uid_fetch(&set, "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
        })?;
        let mut lacking: HashSet<u32> = uids.iter().copied().collect();
        let mut mails = Vec::with_capacity(uids.len());
        for fetch in fetches.iter() {
            // Without a number or a body it is news about flags that came along.
            let (Some(uid), Some(body)) = (fetch.uid, fetch.body()) else { continue };
            if lacking.remove(&uid)
                && let Some(raw) = self.shelf.take(body)
            {
                mails.push(Fetched { raw, ..Self::described(fetch, uid) });
            }
        }
        mails.sort_unstable_by_key(|mail| mail.uid);
        Ok(mails)
    }

    fn fetch_large(
        &mut self,
        uid: u32,
        size: Option<u64>,
        most: u64,
    ) -> Result<Option<Fetched>, SourceError> {
        // Sizes may be off by a little.
        let expected = size.unwrap_or(most);
        let most = expected.saturating_add(expected / 4).saturating_add(u64::from(CHUNK));
        let nearly = size.map_or(0, |size| size - size / 16);
        let mut mail: Option<Fetched> = None;
        for _ in 0..=most / CRUMB {
            let done = mail.as_ref().map_or(0, |mail| mail.raw.len() as u64);
            let items = format!("BODY.PEEK[]<{done}.{CHUNK}>");
            let piece = match self.fetch_part(uid, &items) {
                Ok(piece) => piece,
                // Some servers refuse what begins behind the end.
                Err(error) if size.is_some_and(|size| done >= size) && !error.drops_session() => None,
                Err(error) => return Err(error),
            };
            // NIL where it ends is an end too; in the middle the mail went away.
            let Some(piece) = piece else { return Ok(mail.filter(|_| done >= nearly)) };
            let got = piece.raw.len() as u64;
            if got > u64::from(CHUNK) || done + got > most {
                return Err(Self::cannot("fetch a mail", "it sent far more than the size it had given"));
            }
            match &mut mail {
                Some(mail) => mail.raw.extend_from_slice(&piece.raw),
                None => mail = Some(piece),
            }
            if got == 0 || (got < u64::from(CHUNK) && size == Some(done + got)) {
                return Ok(mail);
            }
        }
        Err(Self::cannot("fetch a mail", "it sends it in far too many pieces"))
    }

    fn fetch_head(&mut self, uid: u32, text: u32) -> Result<Option<Fetched>, SourceError> {
        self.fetch_part(uid, &format!("BODY.PEEK[HEADER]<0.{CHUNK}> BODY.PEEK[TEXT]<0.{text}>"))
    }

    fn still_there(&mut self, uids: &[u32]) -> Result<Vec<u32>, SourceError> {
        let mut there = HashSet::new();
        self.for_each_set("look for mails", uids, |session, set| {
            there.extend(session.uid_search(format!("UID {set}"))?);
            Ok(())
        })?;
        let mut uids: Vec<u32> = uids.iter().copied().filter(|uid| there.contains(uid)).collect();
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    fn mark_seen(&mut self, uids: &[u32]) -> Result<(), SourceError> {
        self.writable("mark mails as read")?;
        self.for_each_set("mark mails as read", uids, |session, set| {
            session.uid_store(set, "+FLAGS.SILENT (\\Seen)").map(drop)
        })
    }

    fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<Moved, SourceError> {
        let what = format!("move mails to {folder:?}");
        self.writable(&what)?;
        let name = wire_name(folder);
        let moved = if self.can_move {
            self.for_each_set(&what, uids, |session, set| session.uid_mv(set, &name))
        } else if self.can_expunge {
            self.for_each_set(&what, uids, |session, set| session.uid_copy(set, quoted(&name)))
        } else {
            let why = "it knows neither MOVE nor UIDPLUS; choose to leave or to mark mails";
            return Err(Self::cannot(&what, why));
        };
        moved.map_err(|refused| self.missing_or(folder, refused))?;
        Ok(if self.can_move { Moved::Moved } else { Moved::Copied })
    }

    fn delete(&mut self, uids: &[u32]) -> Result<(), SourceError> {
        self.writable("delete mails")?;
        if !self.can_expunge {
            // A bare EXPUNGE would also take what others marked.
            return Err(Self::cannot(
                "delete mails",
                "it does not know UIDPLUS; choose to leave or to mark mails",
            ));
        }
        self.for_each_set("delete mails", uids, |session, set| {
            session.uid_store(set, "+FLAGS.SILENT (\\Deleted)")?;
            session.uid_expunge(set).map(drop)
        })
    }

    fn logout(&mut self) {
        if !self.is_over {
            self.deadline.set(GOODBYE);
            // Whatever it answers, we are done with it.
            let _ = guard(|| self.session.logout());
            self.is_over = true;
            self.deadline.set(Duration::ZERO);
        }
    }
}
