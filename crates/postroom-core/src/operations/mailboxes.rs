//! Mailboxes: set up, watched, tried.

use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::{Level, Scope};
use crate::cx::Cx;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox::{Delivery, End, Mailbox, OnUncertain, SentCopy, Source, Strangers};
use crate::store::mailboxes::MailboxValues;
use crate::{Error, store};

mod account;
mod check;
mod configured;
mod connection;
mod status;
pub use configured::configure;
pub use connection::{Connection, connection};
pub use status::{is_failing, request_sync, status, tally};

/// A mailbox to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMailbox {
    /// What people call it; unique.
    pub name: String,
    /// The address customers write to.
    pub address: String,
    /// Other addresses that arrive here.
    pub aliases: Vec<String>,
    /// Mailboxes of one group share their conversations; `None` is a group of its own.
    pub group: Option<String>,
    /// Seconds between two polls: 5 to 86,400.
    pub poll_interval_seconds: i32,
    /// Where mail comes from.
    pub source: Source,
    /// Its password.
    pub source_password: Option<String>,
    /// How answers leave.
    pub delivery: Delivery,
    /// Its password.
    pub delivery_password: Option<String>,
    /// What strangers may do.
    pub strangers: Strangers,
    /// Servers whose Authentication-Results count.
    pub trusted_authserv_ids: Vec<String>,
    /// Senders that only pass on mail of others.
    pub relay_addresses: Vec<String>,
    /// Who puts a copy of what leaves into the Sent folder.
    pub sent_copy: SentCopy,
    /// What becomes of an answer of which nobody knows whether it arrived.
    pub on_uncertain: OnUncertain,
    /// Seconds in which an answer can be taken back before it leaves: 0 to 600.
    pub undo_seconds: i32,
    /// At rest from the start.
    pub paused: bool,
}

/// What is to change; `None` stays. A source or delivery is replaced as a whole; its password
/// stays unless a new one is given with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxChange {
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub address: Option<String>,
    /// All other addresses.
    pub aliases: Option<Vec<String>>,
    /// Seconds between polls.
    pub poll_interval_seconds: Option<i32>,
    /// Where mail comes from.
    pub source: Option<Source>,
    /// Its password.
    pub source_password: Option<String>,
    /// How answers leave.
    pub delivery: Option<Delivery>,
    /// Its password.
    pub delivery_password: Option<String>,
    /// What strangers may do.
    pub strangers: Option<Strangers>,
    /// All servers to believe.
    pub trusted_authserv_ids: Option<Vec<String>>,
    /// All senders that only pass on.
    pub relay_addresses: Option<Vec<String>>,
    /// Who puts copies into the Sent folder.
    pub sent_copy: Option<SentCopy>,
    /// What becomes of an answer that nobody knows the fate of.
    pub on_uncertain: Option<OnUncertain>,
    /// Seconds to take an answer back.
    pub undo_seconds: Option<i32>,
    /// At rest or not.
    pub paused: Option<bool>,
}

impl Mailbox {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("b{}-{}", self.id, self.version)
    }
}

/// Which of a mailbox's passwords are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HasPasswords {
    /// For where mail comes from.
    pub source: bool,
    /// For where mail goes.
    pub delivery: bool,
}

/// The mailboxes that the caller may see.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Mailbox>, Error> {
    require_reader(cx)?;
    let mut mailboxes = store::mailboxes::list(cx.conn)?;
    mailboxes.retain(|mailbox| cx.access().sees_mailbox(mailbox.id));
    Ok(mailboxes)
}

/// Who works in mailboxes and who sets them up may both look at them.
fn require_reader(cx: &Cx<'_>) -> Result<(), Error> {
    if cx.access().has(Scope::AdminRead) { Ok(()) } else { cx.access().require(Scope::ConversationsRead) }
}

/// One mailbox.
pub fn find(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    require_reader(cx)?;
    visible(cx, id)
}

/// Which passwords a mailbox has; the caller has found it before.
pub fn has_passwords(cx: &mut Cx<'_>, id: MailboxId) -> Result<HasPasswords, Error> {
    Ok(HasPasswords {
        source: store::mailboxes::password(cx.conn, id, End::Source)?.is_some(),
        delivery: store::mailboxes::password(cx.conn, id, End::Delivery)?.is_some(),
    })
}

/// Several mailboxes of which the caller may know, and which of their passwords are kept.
pub(super) fn of(cx: &mut Cx<'_>, ids: &[MailboxId]) -> Result<Vec<(Mailbox, HasPasswords)>, Error> {
    let found = store::mailboxes::find_many(cx.conn, ids)?;
    with_passwords(cx, found)
}

/// Mailboxes that the caller has found, and which of their passwords are kept.
pub fn with_passwords(
    cx: &mut Cx<'_>,
    mailboxes: Vec<Mailbox>,
) -> Result<Vec<(Mailbox, HasPasswords)>, Error> {
    let ids: Vec<MailboxId> = mailboxes.iter().map(|mailbox| mailbox.id).collect();
    let have = store::mailboxes::have_passwords(cx.conn, &ids)?;
    Ok(mailboxes
        .into_iter()
        .map(|mailbox| {
            let (source, delivery) = have.get(&mailbox.id).copied().unwrap_or_default();
            (mailbox, HasPasswords { source, delivery })
        })
        .collect())
}

pub(super) fn visible(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    if !cx.access().sees_mailbox(id) {
        return Err(Error::NotFound("mailbox"));
    }
    store::mailboxes::find(cx.conn, id)?.ok_or(Error::NotFound("mailbox"))
}

/// A mailbox that the caller may set up: admins any, others those they manage.
pub(super) fn manageable(cx: &mut Cx<'_>, id: MailboxId) -> Result<Mailbox, Error> {
    cx.access().require(Scope::AdminWrite)?;
    let mailbox = visible(cx, id)?;
    let manages = cx.access().whole_mailbox_level(id) == Some(Level::Manage);
    if manages { Ok(mailbox) } else { Err(Error::Forbidden("you may see this mailbox, not set it up")) }
}

/// Says what is wrong with a mailbox to be made, if anything is: every fault at once.
pub fn check(new: &NewMailbox) -> Result<(), Error> {
    check::new_mailbox(new)
}

/// Says where two mailboxes to be made read the same folder of the same account.
pub fn check_together(all: &[NewMailbox]) -> Result<(), Error> {
    account::check_together(all)
}

/// Makes a mailbox. Its first poll follows at once.
pub fn create(cx: &mut Cx<'_>, new: &NewMailbox) -> Result<Mailbox, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let made = insert(cx, new, false)?;
    account::require_own(cx, &made)?;
    Ok(made)
}

fn insert(cx: &mut Cx<'_>, new: &NewMailbox, is_configured: bool) -> Result<Mailbox, Error> {
    check::new_mailbox(new)?;
    let name = crate::text::one_line(&new.name, 200);
    require_free_name(cx, &name, None)?;
    let values = MailboxValues {
        name: &name,
        address: new.address.trim(),
        aliases: &new.aliases,
        poll_interval_seconds: new.poll_interval_seconds,
        source: &new.source,
        delivery: &new.delivery,
        strangers: new.strangers,
        trusted_authserv_ids: &new.trusted_authserv_ids,
        relay_addresses: &new.relay_addresses,
        sent_copy: new.sent_copy,
        on_uncertain: new.on_uncertain,
        undo_seconds: new.undo_seconds,
        paused: new.paused,
        is_configured,
    };
    let mailbox = store::mailboxes::insert(cx.conn, &values, new.group.as_deref(), cx.now)?;
    set_password(cx, mailbox.id, End::Source, new.source_password.as_deref())?;
    set_password(cx, mailbox.id, End::Delivery, new.delivery_password.as_deref())?;
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    cx.tell(NewEvent::new(EventType::MailboxCreated, about).with("name", mailbox.name.clone()));
    Ok(mailbox)
}

fn set_password(cx: &mut Cx<'_>, id: MailboxId, of: End, password: Option<&str>) -> Result<(), Error> {
    if let Some(password) = password {
        let sealed = cx.keys.seal(&of.password_place(id), password);
        store::mailboxes::set_password(cx.conn, id, of, Some(&sealed))?;
    }
    Ok(())
}

fn require_free_name(cx: &mut Cx<'_>, name: &str, own: Option<MailboxId>) -> Result<(), Error> {
    match store::mailboxes::find_by_name(cx.conn, name)? {
        Some(other) if Some(other.id) != own => Err(Error::AlreadyExists {
            detail: "another mailbox has this name".to_owned(),
            existing_id: Some(other.id.0),
        }),
        _ => Ok(()),
    }
}

/// Changes a mailbox. One that stands in the configuration file is changed there.
pub fn update(
    cx: &mut Cx<'_>,
    id: MailboxId,
    expected: Option<&str>,
    change: &MailboxChange,
) -> Result<Mailbox, Error> {
    let before = manageable(cx, id)?;
    if before.is_configured {
        return Err(set_in_file());
    }
    require_version("mailbox", expected, before.etag())?;
    let after = write(cx, &before, change, false)?;
    if after.source != before.source || after.paused != before.paused {
        account::require_own(cx, &after)?;
    }
    Ok(after)
}

fn set_in_file() -> Error {
    Error::StateConflict(
        "this mailbox stands in the daemon's configuration file; change it there and restart".to_owned(),
    )
}

fn write(
    cx: &mut Cx<'_>,
    before: &Mailbox,
    change: &MailboxChange,
    is_configured: bool,
) -> Result<Mailbox, Error> {
    check::change(before, change)?;
    let mut after = before.clone();
    if let Some(name) = &change.name {
        after.name = crate::text::one_line(name, 200);
    }
    if let Some(address) = &change.address {
        address.trim().clone_into(&mut after.address);
    }
    after.aliases = change.aliases.clone().unwrap_or(after.aliases);
    after.poll_interval_seconds = change.poll_interval_seconds.unwrap_or(after.poll_interval_seconds);
    after.source = change.source.clone().unwrap_or(after.source);
    after.delivery = change.delivery.clone().unwrap_or(after.delivery);
    after.strangers = change.strangers.unwrap_or(after.strangers);
    after.trusted_authserv_ids = change.trusted_authserv_ids.clone().unwrap_or(after.trusted_authserv_ids);
    after.relay_addresses = change.relay_addresses.clone().unwrap_or(after.relay_addresses);
    after.sent_copy = change.sent_copy.unwrap_or(after.sent_copy);
    after.on_uncertain = change.on_uncertain.unwrap_or(after.on_uncertain);
    after.undo_seconds = change.undo_seconds.unwrap_or(after.undo_seconds);
    after.paused = change.paused.unwrap_or(after.paused);
    after.is_configured = is_configured;
    require_free_name(cx, &after.name, Some(before.id))?;

    let source_password = password_changed(cx, before.id, End::Source, change.source_password.as_deref())?;
    let delivery_password =
        password_changed(cx, before.id, End::Delivery, change.delivery_password.as_deref())?;
    if after == *before && !source_password && !delivery_password {
        return Ok(after);
    }
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("address", &before.address, &after.address);
    changes.note("aliases", &before.aliases, &after.aliases);
    changes.note("poll_interval_seconds", &before.poll_interval_seconds, &after.poll_interval_seconds);
    changes.note("source", &before.source, &after.source);
    changes.note("delivery", &before.delivery, &after.delivery);
    changes.note("strangers", &before.strangers, &after.strangers);
    changes.note("trusted_authserv_ids", &before.trusted_authserv_ids, &after.trusted_authserv_ids);
    changes.note("relay_addresses", &before.relay_addresses, &after.relay_addresses);
    changes.note("sent_copy", &before.sent_copy, &after.sent_copy);
    changes.note("on_uncertain", &before.on_uncertain, &after.on_uncertain);
    changes.note("undo_seconds", &before.undo_seconds, &after.undo_seconds);
    changes.note("paused", &before.paused, &after.paused);

    let values = MailboxValues {
        name: &after.name,
        address: &after.address,
        aliases: &after.aliases,
        poll_interval_seconds: after.poll_interval_seconds,
        source: &after.source,
        delivery: &after.delivery,
        strangers: after.strangers,
        trusted_authserv_ids: &after.trusted_authserv_ids,
        relay_addresses: &after.relay_addresses,
        sent_copy: after.sent_copy,
        on_uncertain: after.on_uncertain,
        undo_seconds: after.undo_seconds,
        paused: after.paused,
        is_configured,
    };
    let is_elsewhere = !check::is_same_place(&before.source, &after.source);
    if is_elsewhere {
        // A poll that is under way reads the old account: what it still finds is nothing of the new.
        // First of all, as a poll's own writes begin with the lease too.
        store::leases::revoke(cx.conn, before.id)?;
    }
    let written = store::mailboxes::update(cx.conn, before, &values, cx.now)?.ok_or_else(overtaken)?;
    let is_forgotten = super::authorizations::forget_for_new_servers(cx, before, &after)?;
    if is_elsewhere || check::after_ingest(&before.source) != check::after_ingest(&after.source) {
        store::pending::forget_actions(cx.conn, before.id)?;
    }
    if is_elsewhere {
        // The numbers of another account mean other mails: they must hide none, and nothing that
        // was to be done to mail there may be done here.
        store::ledger::forget_place(cx.conn, before.id, &format!("before version {}: ", written.version))?;
    }
    if source_password {
        set_password(cx, before.id, End::Source, change.source_password.as_deref())?;
    }
    if delivery_password {
        set_password(cx, before.id, End::Delivery, change.delivery_password.as_deref())?;
        store::authorizations::try_at_once(cx.conn, before.id, End::Delivery, cx.now)?;
    }
    let about = About { mailbox_id: Some(before.id), ..About::default() };
    let event = NewEvent::new(EventType::MailboxUpdated, about)
        .with("password_changed", source_password || delivery_password)
        .with("authorization_forgotten", is_forgotten)
        .changing(changes);
    cx.tell(event);
    Ok(written)
}

/// Whether a password is given and is another one than is kept.
fn password_changed(cx: &mut Cx<'_>, id: MailboxId, of: End, given: Option<&str>) -> Result<bool, Error> {
    let Some(given) = given else { return Ok(false) };
    Ok(open_password(cx, id, of)?.as_deref() != Some(given))
}

fn open_password(cx: &mut Cx<'_>, id: MailboxId, of: End) -> Result<Option<String>, Error> {
    let Some(sealed) = store::mailboxes::password(cx.conn, id, of)? else { return Ok(None) };
    match cx.keys.open(&of.password_place(id), &sealed) {
        Ok(password) => Ok(Some(password)),
        Err(wrong) => Err(Error::StateConflict(format!("mailbox {id}: {wrong}; set the password again"))),
    }
}

/// Removes a mailbox that nothing ever came into. Others are put at rest instead.
pub fn delete(cx: &mut Cx<'_>, id: MailboxId, expected: Option<&str>) -> Result<(), Error> {
    let before = manageable(cx, id)?;
    require_whole_sight(cx)?;
    if before.is_configured {
        return Err(set_in_file());
    }
    require_version("mailbox", expected, before.etag())?;
    if store::mailboxes::has_history(cx.conn, id)? {
        return Err(Error::StateConflict(
            "this mailbox holds conversations or a ledger; put it at rest with {\"paused\": true} instead"
                .to_owned(),
        ));
    }
    if !store::mailboxes::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    let about = About { mailbox_id: Some(id), ..About::default() };
    cx.tell(NewEvent::new(EventType::MailboxDeleted, about).with("name", before.name));
    Ok(())
}
