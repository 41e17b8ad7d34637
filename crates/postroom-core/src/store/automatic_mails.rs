//! Automatic mail of the last days, counted.

use crate::id::{ConversationId, MailboxId};
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::automatic_mails;
use crate::time::Timestamp;
use diesel::dsl::exists;
use diesel::prelude::*;

/// One automatic mail to be noted.
#[derive(Debug, Insertable)]
#[diesel(table_name = automatic_mails)]
pub struct NewAutomaticMail<'a> {
    /// Where it leaves from.
    pub mailbox_id: MailboxId,
    /// What it belongs to.
    pub conversation_id: ConversationId,
    /// Whom it goes to, folded.
    pub recipient: &'a str,
    /// Their domain.
    pub domain: &'a str,
    /// What made it.
    pub rule: &'a str,
    /// It does not leave by itself.
    pub held: bool,
    /// When.
    pub created_at: Timestamp,
}

/// Notes one.
pub fn insert(conn: &mut Conn, new: &NewAutomaticMail<'_>) -> Result<(), StoreError> {
    diesel::insert_into(automatic_mails::table).values(new).execute(conn)?;
    Ok(())
}

/// Whether there was one to somebody since then, held ones included.
pub fn went_to(conn: &mut Conn, recipient: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found = automatic_mails::table
        .filter(automatic_mails::recipient.eq(recipient))
        .filter(automatic_mails::created_at.gt(since));
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// Whether there was one in a conversation since then, held ones included.
pub fn went_in(conn: &mut Conn, conversation: ConversationId, since: Timestamp) -> Result<bool, StoreError> {
    let found = automatic_mails::table
        .filter(automatic_mails::conversation_id.eq(conversation))
        .filter(automatic_mails::created_at.gt(since));
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// How many a rule let out to somebody since then.
pub fn by_rule_to(conn: &mut Conn, recipient: &str, rule: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(automatic_mails::table
        .filter(automatic_mails::recipient.eq(recipient))
        .filter(automatic_mails::rule.eq(rule))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false))
        .count()
        .get_result(conn)?)
}

/// Whether one to somebody was kept back by a rule since then.
pub fn was_held(conn: &mut Conn, recipient: &str, rule: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found = automatic_mails::table
        .filter(automatic_mails::recipient.eq(recipient))
        .filter(automatic_mails::rule.eq(rule))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(true));
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// Whether a rule let one out in a conversation since then.
pub fn by_rule_in(
    conn: &mut Conn,
    conversation: ConversationId,
    rule: &str,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let found = automatic_mails::table
        .filter(automatic_mails::conversation_id.eq(conversation))
        .filter(automatic_mails::rule.eq(rule))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false));
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// How many left for a domain since then.
pub fn to_domain(conn: &mut Conn, domain: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(automatic_mails::table
        .filter(automatic_mails::domain.eq(domain))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false))
        .count()
        .get_result(conn)?)
}

/// How many left from a mailbox since then.
pub fn from_mailbox(conn: &mut Conn, mailbox: MailboxId, since: Timestamp) -> Result<i64, StoreError> {
    Ok(automatic_mails::table
        .filter(automatic_mails::mailbox_id.eq(mailbox))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false))
        .count()
        .get_result(conn)?)
}

/// How many a rule of a mailbox's let out since then.
pub fn by_rule(conn: &mut Conn, mailbox: MailboxId, rule: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(automatic_mails::table
        .filter(automatic_mails::mailbox_id.eq(mailbox))
        .filter(automatic_mails::rule.eq(rule))
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false))
        .count()
        .get_result(conn)?)
}

/// How many left in all since then.
pub fn from_desk(conn: &mut Conn, since: Timestamp) -> Result<i64, StoreError> {
    Ok(automatic_mails::table
        .filter(automatic_mails::created_at.gt(since))
        .filter(automatic_mails::held.eq(false))
        .count()
        .get_result(conn)?)
}

/// Forgets those before a time.
pub fn delete_before(conn: &mut Conn, time: Timestamp) -> Result<(), StoreError> {
    diesel::delete(automatic_mails::table.filter(automatic_mails::created_at.lt(time))).execute(conn)?;
    Ok(())
}
