//! The ledger as people use it: what became of every mail that was ever seen, the bytes of what did
//! not come in, and another try.

use super::intake;
use super::mailboxes::{find as find_mailbox, visible};
use super::{overtaken, sight};
use crate::access::{Access, Level, Scope};
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::event::{About, EventType, NewEvent};
use crate::id::{ConversationId, LedgerId, MailboxId};
use crate::intake::{Arrival, Batch, History, Verdict};
use crate::mailbox::{FolderCursor, FolderRole, Mailbox, Source, folder_name};
use crate::page::{Page, PageRequest};
use crate::ports::ReadContext;
use crate::store::ledger::Entry;
use crate::store::pending::{Pending, UNKNOWN_SIZE};
use crate::time::Timestamp;
use crate::{Error, store};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Folders of the ledger that an import fills begin with this; no mailbox reads a folder of the name.
pub const IMPORTED: &str = "import:";

/// An entry with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerCard {
    /// The entry.
    pub entry: Entry,
    /// Where its message belongs.
    pub conversation_id: Option<ConversationId>,
}

/// What became of a mail at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    /// The place.
    pub location: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, unless it was accepted.
    pub reason: Option<String>,
    /// The message it is.
    pub message_id: Option<crate::id::MessageId>,
    /// Where that belongs.
    pub conversation_id: Option<ConversationId>,
}

/// The ledger names mail of all conversations of a mailbox, so it takes the mailbox as a whole.
fn readable(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    let mailbox = find_mailbox(cx, id)?;
    if cx.access().whole_mailbox_level(id).is_none() {
        return Err(Error::Forbidden("the ledger takes access to the whole mailbox"));
    }
    Ok(mailbox)
}

/// Who may have mail of a mailbox taken in.
pub(super) fn feedable(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let mailbox = visible(cx, id)?;
    if cx.access().whole_mailbox_level(id) < Some(Level::Reply) {
        return Err(Error::Forbidden("this takes the right to answer in the whole mailbox"));
    }
    Ok(mailbox)
}

fn cards(cx: &mut Cx<'_>, entries: Vec<Entry>) -> Result<Vec<LedgerCard>, Error> {
    let messages: Vec<_> = entries.iter().filter_map(|entry| entry.message_id).collect();
    let of = store::ledger::conversations_of(cx.conn, &messages)?;
    // In a group of mailboxes a mail may be in a conversation of another one.
    let seen = sight::known(cx, &of.values().copied().collect())?;
    let card = |mut entry: Entry| {
        let at = entry.message_id.and_then(|message| of.get(&message).copied());
        let conversation_id = at.filter(|id| seen.contains(id));
        entry.row.message_id = entry.message_id.filter(|_| conversation_id.is_some());
        LedgerCard { entry, conversation_id }
    };
    Ok(entries.into_iter().map(card).collect())
}

/// One page of a mailbox's ledger: every mail that was ever seen there and what became of it,
/// newest first.
pub fn list(
    cx: &mut Cx<'_>,
    id: MailboxId,
    verdicts: &[Verdict],
    page: PageRequest,
) -> Result<Page<LedgerCard>, Error> {
    readable(cx, id)?;
    let found = store::ledger::list(cx.conn, id, verdicts, page)?;
    Ok(Page { items: cards(cx, found.items)?, next: found.next, total: found.total })
}

/// One entry.
pub fn find(cx: &mut Cx<'_>, id: MailboxId, row: LedgerId) -> Result<LedgerCard, Error> {
    readable(cx, id)?;
    let entry = entry(cx, id, row)?;
    cards(cx, vec![entry])?.pop().ok_or(Error::NotFound("row in this ledger"))
}

fn entry(cx: &mut Cx<'_>, id: MailboxId, row: LedgerId) -> Result<Entry, Error> {
    store::ledger::find(cx.conn, id, row)?.ok_or(Error::NotFound("row in this ledger"))
}

/// What became of mail at these places of a folder, where it was taken in before.
pub fn taken_in(
    cx: &mut Cx<'_>,
    id: MailboxId,
    folder: &str,
    locations: &[&str],
) -> Result<Vec<TakenIn>, Error> {
    readable(cx, id)?;
    let entries = store::ledger::at(cx.conn, id, folder, locations)?;
    let known = cards(cx, entries)?.into_iter().map(|LedgerCard { entry, conversation_id }| TakenIn {
        location: entry.row.location,
        verdict: entry.row.verdict,
        reason: entry.row.reason,
        message_id: entry.row.message_id,
        conversation_id,
    });
    Ok(known.collect())
}

/// Has a mail tried again that is not here whole: what its source still has is fetched by the next
/// poll, and its row says `failed` until then. What is here, or waits already, stays as it is.
fn reopen(cx: &mut Cx<'_>, id: MailboxId, row: LedgerId) -> Result<LedgerCard, Error> {
    let mailbox = feedable(cx, id)?;
    let before = entry(cx, id, row)?;
    match before.verdict {
        verdict if is_in(verdict) => return find(cx, id, row),
        Verdict::Oversized if before.size > cx.settings.mail_bytes as i64 => {
            return Err(Error::StateConflict(format!(
                "this mail has {} bytes, and {} is the most that is taken in; raise limits.mail_mib first",
                before.size, cx.settings.mail_bytes
            )));
        }
        _ => {}
    }
    let mut next_try_at = Some(cx.now);
    let waits = if let Some(uidvalidity) = generation(cx, &mailbox, &before)? {
        let waiting = pending(&before, id, uidvalidity, cx.now)?;
        store::pending::ask_for(cx.conn, &waiting)?;
        "it is fetched again by the next poll"
    } else if matches!(mailbox.source, Source::Maildir { .. }) && before.folder == crate::mailbox::MAILDIR {
        "it is read again by the next poll"
    } else if before.folder.starts_with(IMPORTED) {
        next_try_at = None;
        "it waits for its import to be run again"
    } else {
        return Err(Error::StateConflict(
            "the place where this mail was is not there any more: the account was changed, or the server \
             gave its mail new numbers and it was looked at again under its new one"
                .to_owned(),
        ));
    };
    if before.verdict == Verdict::Failed {
        if let Some(at) = next_try_at {
            store::ledger::set_next_try(cx.conn, id, &before.folder, &before.location, at)?;
        }
    } else {
        again(cx, id, &before, waits, next_try_at)?;
    }
    if !matches!(mailbox.source, Source::Push {}) {
        store::mailboxes::request_sync(cx.conn, id, cx.now)?;
    }
    cx.wake();
    find(cx, id, row)
}

/// Has a mail fetched again that came in and whose bytes were lost here since. They take their place when
/// they come; nothing else changes.
fn fetch_again(cx: &mut Cx<'_>, id: MailboxId, row: LedgerId) -> Result<LedgerCard, Error> {
    let mailbox = feedable(cx, id)?;
    let before = entry(cx, id, row)?;
    let Some(uidvalidity) = generation(cx, &mailbox, &before)? else {
        return Err(Error::StateConflict(
            "the bytes of this mail are lost, and its source can't be asked for them again; push, deliver or \
             import it once more, and they take their place"
                .to_owned(),
        ));
    };
    store::pending::ask_for(cx.conn, &pending(&before, id, uidvalidity, cx.now)?)?;
    store::mailboxes::request_sync(cx.conn, id, cx.now)?;
    tell_retried(cx, id, &before);
    cx.wake();
    find(cx, id, row)
}

/// Notes that a mail is being tried again, and tells who wanted it.
fn again(
    cx: &mut Cx<'_>,
    id: MailboxId,
    before: &Entry,
    reason: &str,
    next_try_at: Option<Timestamp>,
) -> Result<(), Error> {
    if !store::ledger::reopen(cx.conn, before, reason, next_try_at)? {
        return Err(overtaken());
    }
    if before.verdict == Verdict::Quarantined {
        store::mailboxes::count(cx.conn, id, 0, 0, -1)?;
    }
    tell_retried(cx, id, before);
    Ok(())
}

fn tell_retried(cx: &mut Cx<'_>, id: MailboxId, before: &Entry) {
    let about = About { mailbox_id: Some(id), message_id: before.message_id, ..About::default() };
    let event = NewEvent::new(EventType::MailRetried, about)
        .with("ledger_id", before.id.0)
        .with("folder", before.folder.clone())
        .with("location", before.location.clone())
        .with("verdict", before.verdict.as_str());
    cx.tell(event);
}

/// The generation of numbers under which a mail can be fetched again: that of its folder now.
fn generation(cx: &mut Cx<'_>, mailbox: &Mailbox, entry: &Entry) -> Result<Option<i64>, Error> {
    let begun = store::mailboxes::folders(cx.conn, mailbox.id)?;
    if !mailbox.source.read_folders(&begun).contains(&entry.folder) {
        return Ok(None);
    }
    let cursor = begun.iter().find(|cursor| cursor.name == entry.folder);
    let is_there = |cursor: &&FolderCursor| {
        entry.uid.is_some_and(|uid| entry.location == format!("{}{uid}", cursor.place()))
    };
    Ok(cursor.filter(is_there).map(|cursor| cursor.uidvalidity))
}

/// What the folder of a row is to the desk, where its mail can be taken in without a look at its
/// server: a folder that the server itself gives its role is known to the next poll alone.
fn role(source: &Source, folder: &str) -> Option<FolderRole> {
    let Source::Imap { folders, sent_folder, junk_folder, .. } = source else {
        return Some(FolderRole::Inbox);
    };
    let is_it = |name: &str| folder_name(name) == folder_name(folder);
    if sent_folder.as_deref().is_some_and(is_it) {
        Some(FolderRole::Sent)
    } else if junk_folder.as_deref().is_some_and(is_it) {
        Some(FolderRole::Junk)
    } else if [sent_folder, junk_folder].into_iter().flatten().any(|name| name == "auto") {
        folders.iter().any(|name| is_it(name)).then_some(FolderRole::Inbox)
    } else {
        Some(FolderRole::Inbox)
    }
}

fn pending(entry: &Entry, mailbox_id: MailboxId, uidvalidity: i64, now: Timestamp) -> Result<Pending, Error> {
    Ok(Pending {
        mailbox_id,
        folder: entry.folder.clone(),
        uidvalidity,
        uid: entry.uid.ok_or(Error::NotFound("number of this mail"))?,
        size: if entry.size > 0 { entry.size } else { UNKNOWN_SIZE },
        attempts: 0,
        breaks: 0,
        last_error: None,
        asked_for: true,
        next_try_at: now,
        was_aside: false,
        unseen: false,
        found_anew: false,
        was_there: false,
    })
}

fn is_in(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Accepted | Verdict::Duplicate)
}

/// A mail that was put aside with its bytes, and what is known of it besides.
struct Retaken {
    mailbox: Mailbox,
    before: Entry,
    /// The generation of its folder's numbers, where it still has its number.
    uidvalidity: Option<i64>,
    /// It was there long before it was found.
    is_history: bool,
}

/// Whether nobody else had the mail tried meanwhile.
fn is_as_it_was(cx: &mut Cx<'_>, before: &Entry) -> Result<bool, Error> {
    let now = store::ledger::find(cx.conn, before.mailbox_id, before.id)?;
    Ok(now.is_some_and(|now| now.verdict == before.verdict))
}

impl Desk {
    /// The bytes of a ledger's mail, where they are here: of what came in, and of what we put aside.
    pub async fn ledger_mail(&self, actor: &Actor, id: MailboxId, row: LedgerId) -> Result<Vec<u8>, Error> {
        let found = self
            .read(actor, move |cx| {
                // To set a mailbox up is not to read its mail.
                cx.access().require(Scope::ConversationsRead)?;
                find(cx, id, row)
            })
            .await?;
        match found.entry.row.raw_hash {
            Some(hash) => self.load(hash).await,
            None => Err(Error::NotFound("raw mail here: it never got this far")),
        }
    }

    /// Tries a mail again that did not come in, or not whole, or whose bytes were lost here since. What was
    /// put aside with its bytes is taken in here and now; what is still at its source is fetched by the next
    /// poll.
    ///
    /// Fails with [`Error::StateConflict`] where there is nothing left to try. A mail that fails again
    /// is no error: its row says why.
    pub async fn retry_mail(&self, actor: &Actor, id: MailboxId, row: LedgerId) -> Result<LedgerCard, Error> {
        let (desk, actor) = (self.clone(), actor.clone());
        crate::desk::off_thread(move || desk.retry_here(&actor, id, row)).await
    }

    /// [`Desk::retry_mail`] for a caller that is on a thread that may block.
    pub fn retry_here(&self, actor: &Actor, id: MailboxId, row: LedgerId) -> Result<LedgerCard, Error> {
        let found = self.read_here(actor, |cx| {
            let (mailbox, before) = (feedable(cx, id)?, entry(cx, id, row)?);
            let uidvalidity = generation(cx, &mailbox, &before)?;
            let cursor = store::mailboxes::folder(cx.conn, id, &before.folder)?;
            let is_history = before.folder.starts_with(IMPORTED)
                || cursor.is_some_and(|cursor| cursor.is_history(before.internal_date));
            Ok(Retaken { mailbox, before, uidvalidity, is_history })
        })?;
        let role = role(&found.mailbox.source, &found.before.folder);
        match (&found.before.raw_hash, role) {
            (Some(hash), Some(role)) if found.before.verdict == Verdict::Quarantined => {
                self.retake(actor, &found, role, hash)
            }
            (Some(hash), _) if is_in(found.before.verdict) && self.find_here(hash)?.is_err() => {
                self.write_here(actor, |cx| fetch_again(cx, id, row))
            }
            _ => self.write_here(actor, |cx| reopen(cx, id, row)),
        }
    }

    /// Takes in what was put aside with its bytes: one transaction, so that the row is never without
    /// a verdict that holds.
    fn retake(
        &self,
        actor: &Actor,
        Retaken { mailbox, before, uidvalidity, is_history }: &Retaken,
        role: FolderRole,
        hash: &str,
    ) -> Result<LedgerCard, Error> {
        let raw = self.load_here(hash)?;
        let context = ReadContext { trusted_authserv_ids: mailbox.trusted_authserv_ids.clone() };
        let arrival = Arrival {
            location: before.location.clone(),
            uid: before.uid,
            internal_date: before.internal_date,
            size: before.size,
            mail: self.ports().reader.read(&raw, &context),
            raw: self.keep_here(&raw)?,
            oversized: false,
            is_history: *is_history,
            asked_for: true,
        };
        let batch = Batch {
            mailbox_id: mailbox.id,
            lease: None,
            folder: before.folder.clone(),
            role,
            uidvalidity: *uidvalidity,
            history: before.folder.starts_with(IMPORTED).then_some(History { open: false }),
            arrivals: vec![arrival],
        };
        let checked = self.with_senders_checked(&batch);
        let batch = checked.as_ref();
        // What the caller may do was asked; the rest is the desk's own doing in the caller's name.
        let desk_for = Actor { access: Access::system(), ..actor.clone() };
        let take = || {
            self.write_here(&desk_for, |cx| {
                if is_as_it_was(cx, before)? {
                    again(cx, mailbox.id, before, "it is being tried again", None)?;
                    intake::receive(cx, batch)?;
                }
                find(cx, mailbox.id, before.id)
            })
        };
        let failed = match catch_unwind(AssertUnwindSafe(take)) {
            Ok(Err(error)) if !intake::is_stores(&error) => format!("{error}{}", intake::because(&error)),
            Ok(outcome) => return outcome,
            Err(_) => "taking the mail in made the daemon panic; see its log".to_owned(),
        };
        self.write_here(&desk_for, |cx| {
            if is_as_it_was(cx, before)? {
                again(cx, mailbox.id, before, "it is being tried again", None)?;
                intake::quarantine(cx, batch, &batch.arrivals[0], &failed)?;
            }
            find(cx, mailbox.id, before.id)
        })
    }
}
