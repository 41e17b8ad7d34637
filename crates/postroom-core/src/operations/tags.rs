//! Tags: labels on conversations.

use super::overtaken;
use super::tokens::require_whole_sight;
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::TagId;
use crate::page::{Page, PageRequest, Place};
use crate::store::tags::{Tag, TagFilter};
use crate::{Error, store};

/// The longest name, in characters.
pub const NAME_CHARS: usize = 64;

/// One page of tags: those behind `after`, whatever `page` says of it.
pub fn list(
    cx: &mut Cx<'_>,
    filter: &TagFilter,
    after: Option<&Place>,
    page: PageRequest,
) -> Result<Page<Tag>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(store::tags::list(cx.conn, filter, after, page)?)
}

/// Makes a tag before it is used.
pub fn create(cx: &mut Cx<'_>, name: &str) -> Result<Tag, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    let name = valid_name(name)?;
    let (tag, made) = ensure(cx, &name)?;
    if made { Ok(tag) } else { Err(exists(&tag)) }
}

/// Names a tag anew, everywhere.
pub fn rename(cx: &mut Cx<'_>, id: TagId, name: &str) -> Result<Tag, Error> {
    cx.access().require(Scope::TagsManage)?;
    require_whole_sight(cx)?;
    let before = store::tags::find(cx.conn, id)?.ok_or(Error::NotFound("tag"))?;
    let name = valid_name(name)?;
    if let Some(other) = store::tags::find_by_name(cx.conn, &name)?
        && other.id != id
    {
        return Err(exists(&other));
    }
    if before.name != name {
        if !store::tags::rename(cx.conn, &before, &name)? {
            return Err(overtaken());
        }
        let event = NewEvent::new(EventType::TagUpdated, About::default())
            .with("tag_id", id.0)
            .with("changes", serde_json::json!({ "name": [before.name, name] }));
        cx.tell(event);
    }
    Ok(Tag { name, ..before })
}

/// Removes a tag everywhere.
pub fn delete(cx: &mut Cx<'_>, id: TagId) -> Result<(), Error> {
    cx.access().require(Scope::TagsManage)?;
    require_whole_sight(cx)?;
    let before = store::tags::find(cx.conn, id)?.ok_or(Error::NotFound("tag"))?;
    if store::tags::delete(cx.conn, id)? {
        let event = NewEvent::new(EventType::TagDeleted, About::default())
            .with("tag_id", id.0)
            .with("name", before.name);
        cx.tell(event);
    }
    Ok(())
}

/// The tag of this name, made if there is none.
pub(super) fn ensure(cx: &mut Cx<'_>, name: &str) -> Result<(Tag, bool), Error> {
    let (tag, made) = store::tags::insert_or_read(cx.conn, name, cx.now)?;
    if made {
        let event = NewEvent::new(EventType::TagCreated, About::default())
            .with("tag_id", tag.id.0)
            .with("name", tag.name.clone());
        cx.tell(event);
    }
    Ok((tag, made))
}

fn valid_name(name: &str) -> Result<String, Error> {
    let mut faults = Faults::default();
    check_name("/name", name, &mut faults);
    faults.check()?;
    Ok(crate::text::one_line(name, NAME_CHARS))
}

/// Notes what is wrong with a tag's name.
pub(super) fn check_name(pointer: &str, name: &str, faults: &mut Faults) {
    faults.line(pointer, name, NAME_CHARS);
    if name.contains(',') {
        faults.add(pointer, "comma", "must not hold a comma: lists of tags are separated by commas");
    }
}

fn exists(tag: &Tag) -> Error {
    Error::AlreadyExists {
        detail: format!("there is a tag of this name: {}", tag.name),
        existing_id: Some(tag.id.0),
    }
}
