//! Messages.

use crate::id::{ConversationId, MailboxId, MessageId};
use crate::mail::{Address, Class, FailedRecipient, SenderAuth, TextParts};
use crate::message::{AuthorType, Message, MessageKind, MessageSort, Recipients};
use crate::page::{Page, PageRequest, Position};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::{attachments, messages, unsent};
use crate::store::types::Json;
use crate::text::fold_address;
use crate::threading::{Decision, Flag};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::{HashMap, HashSet};

/// A message to be kept.
#[derive(Debug, Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
pub struct NewMessage<'a> {
    /// Where it belongs.
    pub conversation_id: ConversationId,
    /// Where it came to or leaves from.
    pub mailbox_id: MailboxId,
    /// Which way.
    pub kind: MessageKind,
    /// What kind of mail.
    pub class: Class,
    /// Who wrote it.
    pub author_type: AuthorType,
    /// Their number.
    pub author_id: Option<i64>,
    /// Their name.
    pub author_name: Option<&'a str>,
    /// The From address.
    pub sender: Option<Json<Address>>,
    /// Who it went to.
    pub recipients: Json<Recipients>,
    /// Its subject.
    pub subject: &'a str,
    /// Its text.
    pub content: &'a str,
    /// What is new in it.
    pub reply_content: Option<&'a str>,
    /// Where its signature and its quote are.
    pub text_parts: Json<TextParts>,
    /// It has HTML.
    pub has_html: bool,
    /// Message-ID without brackets.
    pub internet_message_id: Option<&'a str>,
    /// Thread-Index, for an answer to go on from.
    pub thread_index: Option<&'a str>,
    /// Sameness.
    pub fingerprint: Option<&'a [u8]>,
    /// Where the raw mail is.
    pub raw_hash: Option<&'a str>,
    /// Its size.
    pub raw_size: Option<i64>,
    /// Who vouches for the sender.
    pub sender_auth: SenderAuth,
    /// What to show.
    pub flags: Json<Vec<Flag>>,
    /// Why its class.
    pub signals: Json<Vec<String>>,
    /// Why here.
    pub threading: Option<Json<Decision>>,
    /// Whom a bounce is about.
    pub failed_recipients: Json<Vec<FailedRecipient>>,
    /// What a bounce is about.
    pub about_message_id: Option<MessageId>,
    /// The forward that began the side conversation it belongs to.
    pub side_id: Option<MessageId>,
    /// The Date header.
    pub sent_at: Option<Timestamp>,
    /// When somebody let it go.
    pub released_at: Option<Timestamp>,
    /// When the server got it.
    pub received_at: Option<Timestamp>,
    /// 1.
    pub version: i64,
    /// Now; of what is imported, when it was written.
    pub created_at: Timestamp,
}

/// Keeps a message. Its number alone comes back: the text need not travel twice.
pub fn insert(conn: &mut Conn, new: &NewMessage<'_>) -> Result<MessageId, StoreError> {
    Ok(diesel::insert_into(messages::table).values(new).returning(messages::id).get_result(conn)?)
}

/// Puts the final bytes of an answer under the message they carry.
pub fn set_raw(
    conn: &mut Conn,
    id: MessageId,
    internet_message_id: &str,
    raw_hash: &str,
    raw_size: i64,
    fingerprint: &[u8],
    has_html: bool,
) -> Result<(), StoreError> {
    diesel::update(messages::table.find(id))
        .set((
            messages::internet_message_id.eq(internet_message_id),
            messages::raw_hash.eq(raw_hash),
            messages::raw_size.eq(raw_size),
            messages::fingerprint.eq(fingerprint),
            messages::has_html.eq(has_html),
        ))
        .execute(conn)?;
    Ok(())
}

/// Makes a forward the beginning of a side conversation, under its own number, where it goes on with none.
pub fn begin_side(conn: &mut Conn, id: MessageId) -> Result<(), StoreError> {
    let own = messages::table.find(id).filter(messages::side_id.is_null());
    diesel::update(own).set(messages::side_id.eq(id)).execute(conn)?;
    Ok(())
}

/// Dates a message that leaves now.
pub fn set_sent_at(conn: &mut Conn, id: MessageId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(messages::table.find(id)).set(messages::sent_at.eq(at)).execute(conn)?;
    Ok(())
}

/// The first forward of a side conversation that has left from a conversation.
pub fn begin_of_side(
    conn: &mut Conn,
    conversation: ConversationId,
    side: MessageId,
) -> Result<Option<Message>, StoreError> {
    let waiting = unsent::table.filter(unsent::message_id.eq(messages::id));
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::side_id.eq(side))
        .filter(messages::kind.eq(MessageKind::Forward))
        .filter(diesel::dsl::not(diesel::dsl::exists(waiting)))
        .order(messages::id.asc())
        .select(Message::as_select())
        .first(conn)
        .optional()?)
}

/// The side conversation that a message belongs to.
pub fn side_of(conn: &mut Conn, id: MessageId) -> Result<Option<MessageId>, StoreError> {
    let side: Option<Option<MessageId>> =
        messages::table.find(id).select(messages::side_id).first(conn).optional()?;
    Ok(side.flatten())
}

/// Thread-Index of a mail, as base64.
pub fn thread_index(conn: &mut Conn, id: MessageId) -> Result<Option<String>, StoreError> {
    let found = messages::table.find(id).select(messages::thread_index).first(conn).optional()?;
    Ok(found.flatten())
}

/// Writes what is to be shown beside a message. `false`: somebody else changed it first.
pub fn set_flags(conn: &mut Conn, before: &Message, flags: Vec<Flag>) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    let changed = diesel::update(same)
        .set((messages::flags.eq(Json::new(flags)), messages::version.eq(before.version + 1)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// One message. Whether it may be seen is asked of its conversation.
pub fn find(conn: &mut Conn, id: MessageId) -> Result<Option<Message>, StoreError> {
    Ok(messages::table.find(id).select(Message::as_select()).first(conn).optional()?)
}

/// Several messages, by number. Whether they may be seen is asked of their conversations.
pub fn find_many(conn: &mut Conn, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
    let query = messages::table.filter(messages::id.eq_any(ids)).order(messages::id.asc());
    Ok(query.select(Message::as_select()).load(conn)?)
}

/// One page of a conversation's messages.
pub fn list(
    conn: &mut Conn,
    conversation: ConversationId,
    sort: MessageSort,
    page: PageRequest,
) -> Result<Page<Message>, StoreError> {
    let all = || messages::table.filter(messages::conversation_id.eq(conversation));
    let total = if page.count { Some(all().count().get_result(conn)?) } else { None };
    let rows = page_of(conversation, sort, page).select(Message::as_select()).load(conn)?;
    let mut cut = Page::cut(rows, page, |row: &Message| {
        let by_date = matches!(sort, MessageSort::Created | MessageSort::CreatedDescending);
        Position { key: if by_date { row.created_at.0 } else { row.id.0 }, id: row.id.0 }
    });
    cut.total = total;
    Ok(cut)
}

/// One page as a query; a test asks EXPLAIN about it.
pub fn page_of(
    conversation: ConversationId,
    sort: MessageSort,
    page: PageRequest,
) -> messages::BoxedQuery<'static, MultiBackend> {
    let mut query = messages::table.into_boxed().filter(messages::conversation_id.eq(conversation));
    query = match sort {
        MessageSort::Created => query.order((messages::created_at.asc(), messages::id.asc())),
        MessageSort::CreatedDescending => query.order((messages::created_at.desc(), messages::id.desc())),
        MessageSort::Id => query.order(messages::id.asc()),
        MessageSort::IdDescending => query.order(messages::id.desc()),
    };
    if let Some(after) = page.after {
        let (at, after) = (Timestamp(after.key), MessageId(after.id));
        let same = messages::created_at.eq(at);
        query = match sort {
            MessageSort::Created => query
                .filter(messages::created_at.ge(at))
                .filter(messages::created_at.gt(at).or(same.and(messages::id.gt(after)))),
            MessageSort::CreatedDescending => query
                .filter(messages::created_at.le(at))
                .filter(messages::created_at.lt(at).or(same.and(messages::id.lt(after)))),
            MessageSort::Id => query.filter(messages::id.gt(after)),
            MessageSort::IdDescending => query.filter(messages::id.lt(after)),
        };
    }
    query.limit(page.fetch())
}

/// Which of these messages left from here.
pub fn outgoing_of(conn: &mut Conn, ids: &[MessageId]) -> Result<HashSet<MessageId>, StoreError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let outgoing = [MessageKind::Reply, MessageKind::Forward, MessageKind::AutoReply];
    let found: Vec<MessageId> = messages::table
        .filter(messages::id.eq_any(ids))
        .filter(messages::kind.eq_any(outgoing))
        .select(messages::id)
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// A mail that came in, and who wrote it.
pub type Written = (MessageId, Option<Json<Address>>);

/// The mails that came into a conversation, the newest first by their own time, at most `limit`: which,
/// and who wrote them.
pub fn recent_inbound(
    conn: &mut Conn,
    conversation: ConversationId,
    limit: i64,
) -> Result<Vec<Written>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::kind.eq(MessageKind::Inbound))
        .filter(messages::side_id.is_null())
        .order((messages::received_at.desc(), messages::id.desc()))
        .limit(limit)
        .select((messages::id, messages::sender))
        .load(conn)?)
}

/// The newest mails of a conversation, notes and what has not left apart: those to and from the customer, or
/// of a side conversation.
pub fn recent_mails(
    conn: &mut Conn,
    conversation: ConversationId,
    side: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Message>, StoreError> {
    let waiting = unsent::table.filter(unsent::message_id.eq(messages::id));
    let mut query = messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::kind.ne(MessageKind::Note))
        .filter(diesel::dsl::not(diesel::dsl::exists(waiting)))
        .order(messages::id.desc())
        .limit(limit)
        .select(Message::as_select())
        .into_boxed();
    query = match side {
        Some(side) => query.filter(messages::side_id.eq(side)),
        None => query.filter(messages::side_id.is_null()),
    };
    Ok(query.load(conn)?)
}

/// A mail as far as others refer to it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Letter {
    /// Its Message-ID, without brackets.
    #[diesel(select_expression = messages::internet_message_id.assume_not_null())]
    pub rfc_id: String,
    /// Who wrote it.
    pub sender: Option<Json<Address>>,
    /// To, Cc and Bcc.
    pub recipients: Json<Recipients>,
    /// What is odd about it.
    pub flags: Json<Vec<Flag>>,
}

/// The mails of a conversation that have a Message-ID, newest first, at most `limit`: those to and from the
/// customer, or a side conversation's.
pub fn recent_letters(
    conn: &mut Conn,
    conversation: ConversationId,
    side: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Letter>, StoreError> {
    let of_side = messages::table.into_boxed().filter(messages::conversation_id.eq(conversation));
    let of_side = match side {
        Some(side) => of_side.filter(messages::side_id.eq(side)),
        None => of_side.filter(messages::side_id.is_null()),
    };
    Ok(of_side
        .filter(messages::internet_message_id.is_not_null())
        .filter(messages::kind.ne(MessageKind::Note))
        .order(messages::id.desc())
        .limit(limit)
        .select(Letter::as_select())
        .load(conn)?)
}

/// A conversation's first mail; third parties' are none of the customer's business.
pub fn first_letter(conn: &mut Conn, conversation: ConversationId) -> Result<Option<Letter>, StoreError> {
    Ok(messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::side_id.is_null())
        .filter(messages::internet_message_id.is_not_null())
        .order(messages::id.asc())
        .select(Letter::as_select())
        .first(conn)
        .optional()?)
}

/// Who wrote the mail that came into these conversations: folded addresses, an empty one for nobody.
pub fn writers(
    conn: &mut Conn,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, HashSet<String>>, StoreError> {
    let rows: Vec<(ConversationId, Option<Json<Address>>)> = messages::table
        .filter(messages::conversation_id.eq_any(conversations))
        .filter(messages::kind.eq(MessageKind::Inbound))
        .select((messages::conversation_id, messages::sender))
        .distinct()
        .load(conn)?;
    let mut writers: HashMap<ConversationId, HashSet<String>> =
        conversations.iter().map(|id| (*id, HashSet::new())).collect();
    for (conversation, sender) in rows {
        let folded = sender.map(|sender| fold_address(&sender.email)).unwrap_or_default();
        writers.entry(conversation).or_default().insert(folded);
    }
    Ok(writers)
}

/// A message that says the same as another mail: its Message-ID, which one it is, and where.
pub type Alike = (String, MessageId, ConversationId);

/// Messages with these fingerprints in these mailboxes, the oldest first.
pub fn find_by_fingerprint(
    conn: &mut Conn,
    fingerprints: &[&[u8]],
    mailboxes: &[MailboxId],
) -> Result<HashMap<Vec<u8>, Vec<Alike>>, StoreError> {
    let rows: Vec<(Vec<u8>, Option<String>, MessageId, ConversationId)> = messages::table
        .filter(messages::fingerprint.assume_not_null().eq_any(fingerprints))
        .filter(messages::mailbox_id.eq_any(mailboxes))
        .order(messages::id.asc())
        .select((
            messages::fingerprint.assume_not_null(),
            messages::internet_message_id,
            messages::id,
            messages::conversation_id,
        ))
        .load(conn)?;
    let mut found: HashMap<Vec<u8>, Vec<Alike>> = HashMap::new();
    for (fingerprint, id, message, conversation) in rows {
        let alike = id.map(|id| (id, message, conversation));
        found.entry(fingerprint).or_default().extend(alike);
    }
    Ok(found)
}

/// Messages with exactly these raw bytes in these mailboxes, the oldest of each.
pub fn find_by_raw(
    conn: &mut Conn,
    hashes: &[&str],
    mailboxes: &[MailboxId],
) -> Result<HashMap<String, (MessageId, ConversationId)>, StoreError> {
    let rows: Vec<(String, MessageId, ConversationId)> = messages::table
        .filter(messages::raw_hash.assume_not_null().eq_any(hashes))
        .filter(messages::mailbox_id.eq_any(mailboxes))
        .order(messages::id.desc())
        .select((messages::raw_hash.assume_not_null(), messages::id, messages::conversation_id))
        .load(conn)?;
    Ok(rows.into_iter().map(|(hash, id, conversation)| (hash, (id, conversation))).collect())
}

/// What is new of a message whose mail has come whole.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub struct Completed<'a> {
    /// The whole text.
    pub content: &'a str,
    /// What is new in it.
    pub reply_content: Option<&'a str>,
    /// Which of it is new, quoted, a signature.
    pub text_parts: Json<TextParts>,
    /// It has HTML of its own.
    pub has_html: bool,
    /// The sameness of mails.
    pub fingerprint: &'a [u8],
    /// Where the raw mail is kept.
    pub raw_hash: &'a str,
    /// Its size in bytes.
    pub raw_size: i64,
    /// What to show beside it.
    pub flags: Json<Vec<Flag>>,
    /// One more than before.
    pub version: i64,
}

/// Fills a message whose mail has come whole. The files that its beginning named are gone: the
/// caller keeps those of the whole. `false`: somebody else changed it first.
pub fn complete(conn: &mut Conn, before: &Message, after: &Completed<'_>) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    if diesel::update(same).set(after).execute(conn)? != 1 {
        return Ok(false);
    }
    diesel::delete(attachments::table.filter(attachments::message_id.eq(before.id))).execute(conn)?;
    Ok(true)
}

/// What a message becomes that turns out to be an agent's.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub struct Recognised<'a> {
    /// What it is.
    pub kind: MessageKind,
    /// Who wrote it.
    pub author_type: AuthorType,
    /// Their id.
    pub author_id: Option<i64>,
    /// Their name.
    pub author_name: Option<&'a str>,
    /// What to show beside it.
    pub flags: Json<Vec<Flag>>,
    /// Why it is where it is.
    pub threading: Option<Json<Decision>>,
    /// One more than before.
    pub version: i64,
}

/// Says anew what a message is and whose. `false`: somebody else changed it first.
pub fn recognise(conn: &mut Conn, before: &Message, after: &Recognised<'_>) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}

/// What a mail that is read anew may change of its message.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub struct Reread<'a> {
    /// What kind of mail.
    pub class: Class,
    /// The sender's name.
    pub author_name: Option<&'a str>,
    /// The From address.
    pub sender: Option<Json<Address>>,
    /// Who it went to.
    pub recipients: Json<Recipients>,
    /// Its subject.
    pub subject: &'a str,
    /// The whole text.
    pub content: &'a str,
    /// What is new in it.
    pub reply_content: Option<&'a str>,
    /// Where its signature and its quote are.
    pub text_parts: Json<TextParts>,
    /// It has HTML of its own.
    pub has_html: bool,
    /// The sameness of mails.
    pub fingerprint: Option<&'a [u8]>,
    /// What to show beside it.
    pub flags: Json<Vec<Flag>>,
    /// Why its class.
    pub signals: Json<Vec<String>>,
    /// Whom a bounce is about.
    pub failed_recipients: Json<Vec<FailedRecipient>>,
    /// The Date header.
    pub sent_at: Option<Timestamp>,
    /// One more than before.
    pub version: i64,
}

/// Writes what a mail says that was read anew. `false`: somebody else changed its message first.
pub fn reread(conn: &mut Conn, before: &Message, after: &Reread<'_>) -> Result<bool, StoreError> {
    let same = messages::table.find(before.id).filter(messages::version.eq(before.version));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}

/// The mails that came into a mailbox after a number and are kept, in their order.
pub fn kept_mails(
    conn: &mut Conn,
    mailbox: MailboxId,
    after: MessageId,
    limit: i64,
) -> Result<Vec<MessageId>, StoreError> {
    Ok(messages::table
        .filter(messages::id.gt(after))
        .filter(messages::mailbox_id.eq(mailbox))
        .filter(messages::kind.eq(MessageKind::Inbound))
        .filter(messages::raw_hash.is_not_null())
        .order(messages::id.asc())
        .limit(limit)
        .select(messages::id)
        .load(conn)?)
}
