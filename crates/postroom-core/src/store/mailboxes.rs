//! Mailboxes, their sealed passwords, and how each is doing.

use crate::id::MailboxId;
use crate::mailbox::{
    Delivery, End, FolderCursor, Mailbox, OnUncertain, SentCopy, Source, Strangers, Trouble,
};
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{folders, ledger, mailbox_states, mailboxes};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = mailboxes)]
struct Row {
    id: MailboxId,
    name: String,
    address: String,
    aliases: Json<Vec<String>>,
    share_group: String,
    poll_interval_seconds: i32,
    source: Json<Source>,
    delivery: Json<Delivery>,
    strangers: Strangers,
    trusted_authserv_ids: Json<Vec<String>>,
    relay_addresses: Json<Vec<String>>,
    sent_copy: SentCopy,
    on_uncertain: OnUncertain,
    undo_seconds: i32,
    paused: bool,
    is_configured: bool,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for Mailbox {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            address: row.address,
            aliases: row.aliases.into_inner(),
            group: row.share_group,
            poll_interval_seconds: row.poll_interval_seconds,
            source: row.source.into_inner(),
            delivery: row.delivery.into_inner(),
            strangers: row.strangers,
            trusted_authserv_ids: row.trusted_authserv_ids.into_inner(),
            relay_addresses: row.relay_addresses.into_inner(),
            sent_copy: row.sent_copy,
            on_uncertain: row.on_uncertain,
            undo_seconds: row.undo_seconds,
            paused: row.paused,
            is_configured: row.is_configured,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Every mailbox, in the order of their numbers: there are few.
pub fn list(conn: &mut Conn) -> Result<Vec<Mailbox>, StoreError> {
    let rows: Vec<Row> = mailboxes::table.order(mailboxes::id.asc()).select(Row::as_select()).load(conn)?;
    Ok(rows.into_iter().map(Mailbox::from).collect())
}

/// One mailbox.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
    let row: Option<Row> = mailboxes::table.find(id).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(Mailbox::from))
}

/// Several mailboxes, in the order of their numbers.
pub fn find_many(conn: &mut Conn, ids: &[MailboxId]) -> Result<Vec<Mailbox>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = mailboxes::table
        .filter(mailboxes::id.eq_any(ids))
        .order(mailboxes::id.asc())
        .select(Row::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(Mailbox::from).collect())
}

/// Of these mailboxes, which have a password for where mail comes from and for where it goes.
pub fn have_passwords(
    conn: &mut Conn,
    ids: &[MailboxId],
) -> Result<HashMap<MailboxId, (bool, bool)>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(MailboxId, bool, bool)> = mailboxes::table
        .filter(mailboxes::id.eq_any(ids))
        .select((
            mailboxes::id,
            mailboxes::source_password.is_not_null(),
            mailboxes::delivery_password.is_not_null(),
        ))
        .load(conn)?;
    Ok(rows.into_iter().map(|(id, source, delivery)| (id, (source, delivery))).collect())
}

/// One mailbox by its name.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<Mailbox>, StoreError> {
    let row: Option<Row> =
        mailboxes::table.filter(mailboxes::name.eq(name)).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(Mailbox::from))
}

/// What people set of a mailbox; the number and the times are the store's.
#[derive(Debug, Clone)]
pub struct MailboxValues<'a> {
    /// The name.
    pub name: &'a str,
    /// The address.
    pub address: &'a str,
    /// Other addresses.
    pub aliases: &'a [String],
    /// Seconds between polls.
    pub poll_interval_seconds: i32,
    /// Where mail comes from.
    pub source: &'a Source,
    /// How answers leave.
    pub delivery: &'a Delivery,
    /// What strangers may do.
    pub strangers: Strangers,
    /// Servers to believe.
    pub trusted_authserv_ids: &'a [String],
    /// Senders that only pass on.
    pub relay_addresses: &'a [String],
    /// Who puts copies into the Sent folder.
    pub sent_copy: SentCopy,
    /// What becomes of an answer that nobody knows the fate of.
    pub on_uncertain: OnUncertain,
    /// Seconds to take an answer back.
    pub undo_seconds: i32,
    /// At rest.
    pub paused: bool,
    /// In the configuration file.
    pub is_configured: bool,
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = mailboxes, treat_none_as_default_value = false)]
struct Written<'a> {
    name: &'a str,
    address: &'a str,
    aliases: Json<&'a [String]>,
    poll_interval_seconds: i32,
    source: Json<&'a Source>,
    delivery: Json<&'a Delivery>,
    strangers: Strangers,
    trusted_authserv_ids: Json<&'a [String]>,
    relay_addresses: Json<&'a [String]>,
    sent_copy: SentCopy,
    on_uncertain: OnUncertain,
    undo_seconds: i32,
    paused: bool,
    is_configured: bool,
    updated_at: Timestamp,
}

impl<'a> Written<'a> {
    fn new(values: &MailboxValues<'a>, now: Timestamp) -> Self {
        Self {
            name: values.name,
            address: values.address,
            aliases: Json::new(values.aliases),
            poll_interval_seconds: values.poll_interval_seconds,
            source: Json::new(values.source),
            delivery: Json::new(values.delivery),
            strangers: values.strangers,
            trusted_authserv_ids: Json::new(values.trusted_authserv_ids),
            relay_addresses: Json::new(values.relay_addresses),
            sent_copy: values.sent_copy,
            on_uncertain: values.on_uncertain,
            undo_seconds: values.undo_seconds,
            paused: values.paused,
            is_configured: values.is_configured,
            updated_at: now,
        }
    }
}

/// Makes a mailbox in a group of its own, unless `group` names one.
pub fn insert(
    conn: &mut Conn,
    values: &MailboxValues<'_>,
    group: Option<&str>,
    now: Timestamp,
) -> Result<Mailbox, StoreError> {
    let row: Row = diesel::insert_into(mailboxes::table)
        .values((
            Written::new(values, now),
            mailboxes::share_group.eq(group.unwrap_or_default()),
            mailboxes::version.eq(1_i64),
            mailboxes::created_at.eq(now),
        ))
        .returning(returning::<Row>())
        .get_result(conn)?;
    diesel::insert_into(mailbox_states::table)
        .values((
            mailbox_states::mailbox_id.eq(row.id),
            mailbox_states::failures.eq(0),
            mailbox_states::accepted.eq(0_i64),
            mailbox_states::duplicates.eq(0_i64),
            mailbox_states::failed.eq(0_i64),
        ))
        .execute(conn)?;
    crate::store::leases::insert(conn, row.id)?;
    let mut mailbox = Mailbox::from(row);
    if group.is_none() {
        mailbox.group = format!("mailbox {}", mailbox.id);
        diesel::update(mailboxes::table.find(mailbox.id))
            .set(mailboxes::share_group.eq(&mailbox.group))
            .execute(conn)?;
    }
    Ok(mailbox)
}

/// Writes what people set, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &Mailbox,
    values: &MailboxValues<'_>,
    now: Timestamp,
) -> Result<Option<Mailbox>, StoreError> {
    let same = mailboxes::table.find(before.id).filter(mailboxes::version.eq(before.version));
    let row: Option<Row> = diesel::update(same)
        .set((Written::new(values, now), mailboxes::version.eq(before.version + 1)))
        .returning(returning::<Row>())
        .get_result(conn)
        .optional()?;
    Ok(row.map(Mailbox::from))
}

/// Removes a mailbox and what hangs on it alone.
pub fn delete(conn: &mut Conn, before: &Mailbox) -> Result<bool, StoreError> {
    let same = mailboxes::table.find(before.id).filter(mailboxes::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// The sealed password.
pub fn password(conn: &mut Conn, id: MailboxId, of: End) -> Result<Option<Vec<u8>>, StoreError> {
    let row = mailboxes::table.find(id);
    let sealed: Option<Option<Vec<u8>>> = match of {
        End::Source => row.select(mailboxes::source_password).first(conn).optional()?,
        End::Delivery => row.select(mailboxes::delivery_password).first(conn).optional()?,
    };
    Ok(sealed.flatten())
}

/// Puts a sealed password in place, or takes it away.
pub fn set_password(
    conn: &mut Conn,
    id: MailboxId,
    of: End,
    sealed: Option<&[u8]>,
) -> Result<(), StoreError> {
    let row = mailboxes::table.find(id);
    match of {
        End::Source => diesel::update(row).set(mailboxes::source_password.eq(sealed)).execute(conn)?,
        End::Delivery => diesel::update(row).set(mailboxes::delivery_password.eq(sealed)).execute(conn)?,
    };
    Ok(())
}

/// How the polls of a mailbox went.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = mailbox_states)]
pub struct PollState {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// When one was last begun.
    pub last_attempt_at: Option<Timestamp>,
    /// When one last went well.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong since.
    pub last_error: Option<String>,
    /// Since when nothing went well.
    pub failing_since: Option<Timestamp>,
    /// When somebody last asked for one.
    pub sync_requested_at: Option<Timestamp>,
    /// The version of the mailbox that was last polled: a changed one is polled at once.
    pub polled_version: Option<i64>,
    /// How often polls failed since one last went well.
    pub failures: i32,
    /// Whose trouble it is, as long as polls fail.
    pub trouble: Option<Trouble>,
    /// Not before, unless somebody asks for it.
    pub retry_at: Option<Timestamp>,
    /// When the failure was made known; once each time that a mailbox fails for long.
    pub error_raised_at: Option<Timestamp>,
    /// Mail taken in.
    pub accepted: i64,
    /// Copies.
    pub duplicates: i64,
    /// Mail that could not be taken in.
    pub failed: i64,
    /// When the server's mail was last held against the ledger.
    pub reconciled_at: Option<Timestamp>,
    /// How much was missing then.
    pub missing: Option<i64>,
}

/// How the polls of a mailbox went.
pub fn state(conn: &mut Conn, id: MailboxId) -> Result<Option<PollState>, StoreError> {
    Ok(mailbox_states::table.find(id).select(PollState::as_select()).first(conn).optional()?)
}

/// How the polls of all mailboxes went.
pub fn states(conn: &mut Conn) -> Result<Vec<PollState>, StoreError> {
    Ok(mailbox_states::table
        .order(mailbox_states::mailbox_id.asc())
        .select(PollState::as_select())
        .load(conn)?)
}

/// Notes that somebody asks for a poll.
pub fn request_sync(conn: &mut Conn, id: MailboxId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(mailbox_states::table.find(id))
        .set(mailbox_states::sync_requested_at.eq(now))
        .execute(conn)?;
    Ok(())
}

/// Notes that the server's mail was held against the ledger, and how much was missing.
pub fn note_reconciled(
    conn: &mut Conn,
    id: MailboxId,
    missing: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::update(mailbox_states::table.find(id))
        .set((mailbox_states::reconciled_at.eq(now), mailbox_states::missing.eq(missing)))
        .execute(conn)?;
    Ok(())
}

/// Notes that a poll of a mailbox in this version begins.
pub fn begin_poll(conn: &mut Conn, id: MailboxId, version: i64, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(mailbox_states::table.find(id))
        .set((mailbox_states::last_attempt_at.eq(now), mailbox_states::polled_version.eq(version)))
        .execute(conn)?;
    Ok(())
}

/// How a poll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollEnd {
    /// All went well.
    Well,
    /// Some mail or some folder could not be read; why.
    Partly(String),
    /// Nothing could be read for a reason of this mailbox alone, such as a folder that is missing.
    Failed(String),
    /// The server can't be reached, hangs up, or says "not now": that holds for the whole account.
    Unreachable(String),
    /// The server does not let this user in: that holds for the whole account.
    LoginRefused(String),
}

impl PollEnd {
    /// Whose trouble it is and why, where nothing could be read.
    pub fn failure(&self) -> Option<(Trouble, &str)> {
        match self {
            Self::Well | Self::Partly(_) => None,
            Self::Failed(why) => Some((Trouble::Mailbox, why)),
            Self::Unreachable(why) => Some((Trouble::Server, why)),
            Self::LoginRefused(why) => Some((Trouble::Login, why)),
        }
    }
}

/// How a mailbox stands after a poll.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = mailbox_states, treat_none_as_null = true)]
pub struct AfterPoll {
    /// When one last went well.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong.
    pub last_error: Option<String>,
    /// Since when nothing went well.
    pub failing_since: Option<Timestamp>,
    /// What somebody asked for meanwhile.
    pub sync_requested_at: Option<Timestamp>,
    /// How often in a row it failed.
    pub failures: i32,
    /// Whose trouble that is.
    pub trouble: Option<Trouble>,
    /// Not before.
    pub retry_at: Option<Timestamp>,
    /// When that was made known.
    pub error_raised_at: Option<Timestamp>,
}

/// Notes how a mailbox stands after a poll.
pub fn end_poll(conn: &mut Conn, id: MailboxId, after: &AfterPoll) -> Result<(), StoreError> {
    diesel::update(mailbox_states::table.find(id)).set(after).execute(conn)?;
    Ok(())
}

/// Notes that a failure is made known. `false`: it was before.
pub fn raise_error(conn: &mut Conn, id: MailboxId, now: Timestamp) -> Result<bool, StoreError> {
    let quiet = mailbox_states::table.find(id).filter(mailbox_states::error_raised_at.is_null());
    Ok(diesel::update(quiet).set(mailbox_states::error_raised_at.eq(now)).execute(conn)? == 1)
}

/// Adds to the figures of a mailbox.
pub fn count(
    conn: &mut Conn,
    id: MailboxId,
    accepted: i64,
    duplicates: i64,
    failed: i64,
) -> Result<(), StoreError> {
    diesel::update(mailbox_states::table.find(id))
        .set((
            mailbox_states::accepted.eq(mailbox_states::accepted + accepted),
            mailbox_states::duplicates.eq(mailbox_states::duplicates + duplicates),
            mailbox_states::failed.eq(mailbox_states::failed + failed),
        ))
        .execute(conn)?;
    Ok(())
}

/// How far each folder has been read.
pub fn folders(conn: &mut Conn, id: MailboxId) -> Result<Vec<FolderCursor>, StoreError> {
    Ok(folders::table
        .filter(folders::mailbox_id.eq(id))
        .order(folders::name.asc())
        .select(FolderCursor::as_select())
        .load(conn)?)
}

/// How far one folder has been read.
pub fn folder(conn: &mut Conn, id: MailboxId, name: &str) -> Result<Option<FolderCursor>, StoreError> {
    Ok(folders(conn, id)?.into_iter().find(|folder| folder.name == name))
}

/// Moves a folder's cursor.
pub fn set_folder(conn: &mut Conn, id: MailboxId, cursor: &FolderCursor) -> Result<(), StoreError> {
    let moved = (
        folders::uidvalidity.eq(cursor.uidvalidity),
        folders::generation.eq(cursor.generation),
        folders::last_uid.eq(cursor.last_uid),
        folders::wanted_since.eq(cursor.wanted_since),
        folders::history_before.eq(cursor.history_before),
    );
    each_backend!(conn => diesel::insert_into(folders::table)
        .values((folders::mailbox_id.eq(id), folders::name.eq(&cursor.name), moved))
        .on_conflict((folders::mailbox_id, folders::name))
        .do_update()
        .set(moved)
        .execute(conn))?;
    Ok(())
}

/// Whether anything ever came into a mailbox.
pub fn has_history(conn: &mut Conn, id: MailboxId) -> Result<bool, StoreError> {
    use crate::store::schema::conversations;
    let conversations =
        diesel::select(diesel::dsl::exists(conversations::table.filter(conversations::mailbox_id.eq(id))))
            .get_result(conn)?;
    if conversations {
        return Ok(true);
    }
    Ok(diesel::select(diesel::dsl::exists(ledger::table.filter(ledger::mailbox_id.eq(id))))
        .get_result(conn)?)
}
