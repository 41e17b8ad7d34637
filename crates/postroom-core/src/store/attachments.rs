//! The files of messages, and uploads that wait for theirs.

use crate::id::{AttachmentId, MessageId};
use crate::message::Attachment;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::attachments;
use crate::time::Timestamp;
use diesel::prelude::*;
use std::collections::HashMap;

/// Makes the files of a message these: those that are known by their id are written over, the others
/// kept anew, and what is not among them goes.
pub fn set(conn: &mut Conn, message: MessageId, files: &[Attachment]) -> Result<(), StoreError> {
    let ids: Vec<AttachmentId> = files.iter().map(|file| file.id.clone()).collect();
    let of_message = || attachments::table.filter(attachments::message_id.eq(message));
    diesel::delete(of_message().filter(attachments::id.ne_all(ids))).execute(conn)?;
    let mut new = Vec::new();
    for file in files {
        let changed = diesel::update(of_message().filter(attachments::id.eq(&file.id)))
            .set((
                attachments::part.eq(file.part),
                attachments::filename.eq(&file.filename),
                attachments::content_type.eq(&file.content_type),
                attachments::size.eq(file.size),
                attachments::inline.eq(file.inline),
                attachments::content_id.eq(&file.content_id),
            ))
            .execute(conn)?;
        if changed == 0 {
            new.push(file.clone());
        }
    }
    insert(conn, &new)
}

/// Keeps files.
pub fn insert(conn: &mut Conn, new: &[Attachment]) -> Result<(), StoreError> {
    for new in new.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(attachments::table).values(new).execute(conn))?;
    }
    Ok(())
}

/// The files of several messages.
pub fn of_messages(
    conn: &mut Conn,
    of: &[MessageId],
) -> Result<HashMap<MessageId, Vec<Attachment>>, StoreError> {
    let mut found: HashMap<MessageId, Vec<Attachment>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<Attachment> = attachments::table
        .filter(attachments::message_id.assume_not_null().eq_any(of))
        .order(attachments::id.asc())
        .select(Attachment::as_select())
        .load(conn)?;
    for row in rows {
        if let Some(message) = row.message_id {
            found.entry(message).or_default().push(row);
        }
    }
    Ok(found)
}

/// One file.
pub fn find(conn: &mut Conn, id: &AttachmentId) -> Result<Option<Attachment>, StoreError> {
    Ok(attachments::table.find(id).select(Attachment::as_select()).first(conn).optional()?)
}

/// Gives a waiting upload to a message. `false`: it is not waiting any more.
pub fn attach(conn: &mut Conn, id: &AttachmentId, to: MessageId) -> Result<bool, StoreError> {
    let waiting = attachments::table.find(id).filter(attachments::message_id.is_null());
    let changed = diesel::update(waiting)
        .set((attachments::message_id.eq(to), attachments::expires_at.eq(None::<Timestamp>)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Takes a waiting upload away from those that wait. `false`: it is not waiting any more.
pub fn take_upload(conn: &mut Conn, id: &AttachmentId) -> Result<bool, StoreError> {
    let waiting = attachments::table.find(id).filter(attachments::message_id.is_null());
    Ok(diesel::delete(waiting).execute(conn)? == 1)
}

/// Takes all files but these off a message that has not left.
pub fn keep_only(conn: &mut Conn, message: MessageId, kept: &[AttachmentId]) -> Result<(), StoreError> {
    let others = attachments::table
        .filter(attachments::message_id.eq(message))
        .filter(attachments::id.ne_all(kept.to_vec()));
    diesel::delete(others).execute(conn)?;
    Ok(())
}

/// Points a file into its message's raw mail, where it now stands; nothing names its own blob
/// any more.
pub fn move_into_raw(conn: &mut Conn, id: &AttachmentId, part: i32) -> Result<(), StoreError> {
    diesel::update(attachments::table.find(id))
        .set((attachments::part.eq(part), attachments::blob_hash.eq(None::<String>)))
        .execute(conn)?;
    Ok(())
}

/// Drops uploads that nobody attached in time.
pub fn delete_expired(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    let expired = attachments::table
        .filter(attachments::message_id.is_null())
        .filter(attachments::expires_at.assume_not_null().lt(now));
    Ok(diesel::delete(expired).execute(conn)?)
}
