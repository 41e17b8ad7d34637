//! Which automatic answers mailboxes give, what they say, and the mails that may get one.

use crate::auto_reply::{AnswerKind, AnswerText, MailboxAutoReply, WantedAnswer};
use crate::id::{MailboxId, MessageId, ScheduleId};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::{auto_reply_texts, mailbox_auto_replies, wanted_answers};
use diesel::prelude::*;

/// Which answers a mailbox gives; `None`: nobody has changed that yet.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<MailboxAutoReply>, StoreError> {
    Ok(mailbox_auto_replies::table.find(id).select(MailboxAutoReply::as_select()).first(conn).optional()?)
}

/// Writes `after` over `before`. `false`: somebody else changed it first.
pub fn put(conn: &mut Conn, before: &MailboxAutoReply, after: &MailboxAutoReply) -> Result<bool, StoreError> {
    if before.version == 0 {
        // A second first one breaks the key and is run again as whoever comes second.
        diesel::insert_into(mailbox_auto_replies::table).values(after).execute(conn)?;
        return Ok(true);
    }
    let same = mailbox_auto_replies::table
        .find(before.mailbox_id)
        .filter(mailbox_auto_replies::version.eq(before.version));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}

/// A mailbox that goes by a schedule, if there is one.
pub fn user_of(conn: &mut Conn, schedule: ScheduleId) -> Result<Option<MailboxId>, StoreError> {
    Ok(mailbox_auto_replies::table
        .filter(mailbox_auto_replies::schedule_id.eq(schedule))
        .order(mailbox_auto_replies::mailbox_id.asc())
        .select(mailbox_auto_replies::mailbox_id)
        .first(conn)
        .optional()?)
}

/// A mailbox's own texts, by kind and language.
pub fn texts(conn: &mut Conn, id: MailboxId) -> Result<Vec<AnswerText>, StoreError> {
    Ok(auto_reply_texts::table
        .filter(auto_reply_texts::mailbox_id.eq(id))
        .order((auto_reply_texts::kind.asc(), auto_reply_texts::language.asc()))
        .select(AnswerText::as_select())
        .load(conn)?)
}

/// One of them.
pub fn text(
    conn: &mut Conn,
    id: MailboxId,
    kind: AnswerKind,
    language: &str,
) -> Result<Option<AnswerText>, StoreError> {
    Ok(auto_reply_texts::table
        .find((id, kind, language))
        .select(AnswerText::as_select())
        .first(conn)
        .optional()?)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn same_text<'a>(before: &'a AnswerText) -> _ {
    let mailbox: MailboxId = before.mailbox_id;
    let kind: AnswerKind = before.kind;
    let language: &'a str = before.language.as_str();
    let version: i64 = before.version;
    auto_reply_texts::table
        .filter(auto_reply_texts::mailbox_id.eq(mailbox))
        .filter(auto_reply_texts::kind.eq(kind))
        .filter(auto_reply_texts::language.eq(language))
        .filter(auto_reply_texts::version.eq(version))
}

/// Writes a text; `before` is the one there is. `false`: somebody else changed it first.
pub fn put_text(
    conn: &mut Conn,
    before: Option<&AnswerText>,
    after: &AnswerText,
) -> Result<bool, StoreError> {
    let Some(before) = before else {
        diesel::insert_into(auto_reply_texts::table).values(after).execute(conn)?;
        return Ok(true);
    };
    Ok(diesel::update(same_text(before)).set(after).execute(conn)? == 1)
}

/// Takes a text away. `false`: somebody else changed it first.
pub fn delete_text(conn: &mut Conn, before: &AnswerText) -> Result<bool, StoreError> {
    Ok(diesel::delete(same_text(before)).execute(conn)? == 1)
}

/// Notes mails that may get an automatic answer.
pub fn want(conn: &mut Conn, new: &WantedAnswer) -> Result<(), StoreError> {
    diesel::insert_into(wanted_answers::table).values(new).execute(conn)?;
    Ok(())
}

/// The mails that may get one, the oldest first.
pub fn wanted(conn: &mut Conn, limit: i64) -> Result<Vec<MessageId>, StoreError> {
    Ok(wanted_answers::table
        .order(wanted_answers::message_id.asc())
        .limit(limit)
        .select(wanted_answers::message_id)
        .load(conn)?)
}

/// Takes such a mail to decide about it: nobody else can any more. `None`: somebody has.
pub fn take_wanted(conn: &mut Conn, id: MessageId) -> Result<Option<WantedAnswer>, StoreError> {
    let row = wanted_answers::table.find(id);
    let found = row.select(WantedAnswer::as_select()).first(conn).optional()?;
    let taken = diesel::delete(row).execute(conn)? == 1;
    Ok(found.filter(|_| taken))
}

/// Forgets all of them.
pub fn forget_wanted(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(wanted_answers::table).execute(conn)?;
    Ok(())
}
