//! Automatic mail of the last days, counted.

use crate::id::{ConversationId, MailboxId};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::automatic_mails;
use crate::time::Timestamp;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;

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

/// Those since a time, by what they are.
macro_rules! since {
    ($since:expr $(, $column:ident = $value:expr)*) => {
        automatic_mails::table
            .filter(automatic_mails::created_at.gt($since))
            $(.filter(automatic_mails::$column.eq($value)))*
    };
}

/// Whether there was one to somebody since then, held ones included.
pub fn went_to(conn: &mut Conn, recipient: &str, since: Timestamp) -> Result<bool, StoreError> {
    Ok(diesel::select(exists(since!(since, recipient = recipient))).get_result(conn)?)
}

/// Whether there was one in a conversation since then, held ones included.
pub fn went_in(conn: &mut Conn, conversation: ConversationId, since: Timestamp) -> Result<bool, StoreError> {
    Ok(diesel::select(exists(since!(since, conversation_id = conversation))).get_result(conn)?)
}

/// How many a rule let out to somebody since then.
pub fn by_rule_to(conn: &mut Conn, recipient: &str, rule: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(since!(since, recipient = recipient, rule = rule, held = false).count().get_result(conn)?)
}

/// Whether one to somebody was kept back by a rule since then.
pub fn was_held(conn: &mut Conn, recipient: &str, rule: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found = since!(since, recipient = recipient, rule = rule, held = true);
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// Whether a rule let one out in a conversation since then.
pub fn by_rule_in(
    conn: &mut Conn,
    conversation: ConversationId,
    rule: &str,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let found = since!(since, conversation_id = conversation, rule = rule, held = false);
    Ok(diesel::select(exists(found)).get_result(conn)?)
}

/// How many left for a domain since then.
pub fn to_domain(conn: &mut Conn, domain: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(since!(since, domain = domain, held = false).count().get_result(conn)?)
}

/// How many left from a mailbox since then.
pub fn from_mailbox(conn: &mut Conn, mailbox: MailboxId, since: Timestamp) -> Result<i64, StoreError> {
    Ok(since!(since, mailbox_id = mailbox, held = false).count().get_result(conn)?)
}

/// How many a rule of a mailbox's let out since then.
pub fn by_rule(conn: &mut Conn, mailbox: MailboxId, rule: &str, since: Timestamp) -> Result<i64, StoreError> {
    Ok(since!(since, mailbox_id = mailbox, rule = rule, held = false).count().get_result(conn)?)
}

/// How many left in all since then.
pub fn from_desk(conn: &mut Conn, since: Timestamp) -> Result<i64, StoreError> {
    Ok(since!(since, held = false).count().get_result(conn)?)
}

/// A query of this file, to be asked about.
pub type Query = Box<dyn QueryFragment<MultiBackend>>;

/// The queries of this file, each of which runs for every automatic mail: by the functions' names.
pub fn queries(new: &NewAutomaticMail<'_>, since: Timestamp) -> Vec<(&'static str, Query)> {
    let (mailbox, conversation) = (new.mailbox_id, new.conversation_id);
    let (to, domain, rule) = (new.recipient.to_owned(), new.domain.to_owned(), new.rule.to_owned());
    vec![
        ("went_to", Box::new(diesel::select(exists(since!(since, recipient = to.clone()))))),
        ("went_in", Box::new(diesel::select(exists(since!(since, conversation_id = conversation))))),
        (
            "by_rule_to",
            Box::new(since!(since, recipient = to.clone(), rule = rule.clone(), held = false).count()),
        ),
        (
            "was_held",
            Box::new(diesel::select(exists(since!(since, recipient = to, rule = rule.clone(), held = true)))),
        ),
        (
            "by_rule_in",
            Box::new(diesel::select(exists(since!(
                since,
                conversation_id = conversation,
                rule = rule.clone(),
                held = false
            )))),
        ),
        ("to_domain", Box::new(since!(since, domain = domain, held = false).count())),
        ("from_mailbox", Box::new(since!(since, mailbox_id = mailbox, held = false).count())),
        ("by_rule", Box::new(since!(since, mailbox_id = mailbox, rule = rule, held = false).count())),
        ("from_desk", Box::new(since!(since, held = false).count())),
    ]
}

/// Forgets those before a time.
pub fn delete_before(conn: &mut Conn, time: Timestamp) -> Result<(), StoreError> {
    diesel::delete(automatic_mails::table.filter(automatic_mails::created_at.lt(time))).execute(conn)?;
    Ok(())
}
