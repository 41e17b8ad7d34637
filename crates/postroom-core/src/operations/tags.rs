//! Tags: labels on conversations.

use super::tokens::require_whole_sight;
use super::views::{self, Counted};
use super::{conversations, overtaken, require_version, watchdogs};
use crate::access::Scope;
use crate::conversation::ConversationFilter;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::{TagId, WebhookId};
use crate::page::{Page, PageRequest, Place};
use crate::query::{QUERY_CHARS, Query};
use crate::store::tags::{Tag, TagFilter};
use crate::text::fold;
use crate::view::{COUNTED, is_color};
use crate::{Error, store};

/// The longest name, in characters.
pub const NAME_CHARS: usize = 64;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS: usize = 500;

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

/// Makes a tag before it is used. What it is for and its colour take the scope that changes them.
pub fn create(
    cx: &mut Cx<'_>,
    name: &str,
    description: Option<&str>,
    color: Option<&str>,
) -> Result<Tag, Error> {
    cx.access().require(Scope::ConversationsWrite)?;
    if description.is_some() || color.is_some() {
        cx.access().require(Scope::TagsManage)?;
        require_whole_sight(cx)?;
    }
    let mut faults = Faults::default();
    check_name("/name", name, &mut faults);
    check_looks(description, Some(&color.map(str::to_owned)), &mut faults);
    faults.check()?;
    let (tag, made) = ensure(cx, &crate::text::one_line(name, NAME_CHARS))?;
    if !made {
        return Err(exists(&tag));
    }
    let whole = Tag {
        description: description.unwrap_or_default().to_owned(),
        color: color.map(str::to_owned),
        ..tag.clone()
    };
    if whole == tag {
        return Ok(tag);
    }
    store::tags::update(cx.conn, &tag, &whole)?.ok_or_else(overtaken)
}

fn check_looks(description: Option<&str>, color: Option<&Option<String>>, faults: &mut Faults) {
    if let Some(text) = description {
        faults.length("/description", text, DESCRIPTION_CHARS);
    }
    if color.and_then(Option::as_deref).is_some_and(|color| !is_color(color)) {
        faults.add("/color", "invalid", "is # and six digits of 0-9 and a-f");
    }
}

/// One tag.
pub fn find(cx: &mut Cx<'_>, id: TagId) -> Result<Tag, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    existing(cx, id)
}

fn existing(cx: &mut Cx<'_>, id: TagId) -> Result<Tag, Error> {
    store::tags::find(cx.conn, id)?.ok_or(Error::NotFound("tag"))
}

/// A tag that the caller may change, in the version they saw.
fn changeable(cx: &mut Cx<'_>, id: TagId, expected: Option<&str>) -> Result<Tag, Error> {
    cx.access().require(Scope::TagsManage)?;
    require_whole_sight(cx)?;
    let tag = existing(cx, id)?;
    require_version("tag", expected, tag.etag())?;
    Ok(tag)
}

/// How many conversations that the caller may see carry a tag; counted no further than [`COUNTED`].
pub fn count_of(cx: &mut Cx<'_>, tag: &Tag) -> Result<Counted, Error> {
    let filter = ConversationFilter { tag: vec![tag.name.clone()], ..ConversationFilter::default() };
    let found = conversations::count_up_to(cx, &filter, COUNTED + 1)?;
    Ok(Counted { count: found.min(COUNTED), is_exact: found <= COUNTED })
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChange {
    /// The name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// A colour; `Some(None)` is none.
    pub color: Option<Option<String>>,
}

/// Changes a tag, everywhere.
pub fn update(cx: &mut Cx<'_>, id: TagId, expected: Option<&str>, change: &TagChange) -> Result<Tag, Error> {
    let before = changeable(cx, id, expected)?;
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        check_name("/name", name, &mut faults);
    }
    check_looks(change.description.as_deref(), change.color.as_ref(), &mut faults);
    faults.check()?;
    let name = change.name.as_deref().map(|name| crate::text::one_line(name, NAME_CHARS));
    let after = Tag {
        name: name.unwrap_or_else(|| before.name.clone()),
        description: change.description.clone().unwrap_or_else(|| before.description.clone()),
        color: change.color.clone().unwrap_or_else(|| before.color.clone()),
        ..before.clone()
    };
    if let Some(other) = store::tags::find_by_name(cx.conn, &after.name)?
        && other.id != id
    {
        return Err(exists(&other));
    }
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("description", &before.description, &after.description);
    changes.note("color", &before.color, &after.color);
    if changes.is_empty() {
        return Ok(before);
    }
    reword(cx, &before.name, &after.name)?;
    let after = store::tags::update(cx.conn, &before, &after)?.ok_or_else(overtaken)?;
    let event = NewEvent::new(EventType::TagUpdated, About::default()).with("tag_id", id.0);
    cx.tell(event.changing(changes));
    Ok(after)
}

/// What came of two tags that became one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The tag that is left.
    pub tag: Tag,
    /// How many conversations carried the other one.
    pub carried: i64,
    /// How many of them did not carry this one before.
    pub given: usize,
    /// The webhooks that went by the other one, and go by this one now.
    pub webhooks: Vec<WebhookId>,
}

/// Gives all that carries a tag another one, and removes the first.
pub fn merge(cx: &mut Cx<'_>, id: TagId, expected: Option<&str>, into: TagId) -> Result<Merged, Error> {
    let from = changeable(cx, id, expected)?;
    if into == id {
        return Err(Error::invalid("/into", "same", "must be another tag"));
    }
    let Some(tag) = store::tags::find(cx.conn, into)? else {
        return Err(Error::invalid("/into", "not_found", "there is no such tag"));
    };
    let carried = store::tags::carried(cx.conn, id)?;
    let given = store::tags::merge(cx.conn, &from, into)?.ok_or_else(overtaken)?;
    let webhooks = store::tags::rewire(cx.conn, id, into)?;
    reword(cx, &from.name, &tag.name)?;
    let event = NewEvent::new(EventType::TagMerged, About::default())
        .with("tag_id", id.0)
        .with("name", from.name)
        .with("into_id", into.0)
        .with("into_name", tag.name.clone())
        .with("conversations", carried)
        .with("webhook_ids", webhooks.iter().map(|id| id.0).collect::<Vec<_>>());
    cx.tell(event);
    Ok(Merged { tag, carried, given, webhooks })
}

/// Has every query that is kept and names a tag name it as it is called from now on.
fn reword(cx: &mut Cx<'_>, from: &str, to: &str) -> Result<(), Error> {
    // Names that differ in case alone are one.
    if fold(from) == fold(to) {
        return Ok(());
    }
    let renamed = |text: &str| renamed(text, from, to);
    views::reword(cx, &renamed)?;
    watchdogs::reword(cx, &renamed)
}

/// A query with a tag's new name; `None` where it does not name it. Fails where it would be longer than a query may be.
fn renamed(text: &str, from: &str, to: &str) -> Result<Option<String>, Error> {
    // What is no query any more finds nothing by any name.
    let Ok(mut query) = text.parse::<Query>() else { return Ok(None) };
    if !query.rename_tag(from, to) {
        return Ok(None);
    }
    let text = query.to_string();
    if text.chars().count() > QUERY_CHARS {
        return Err(Error::StateConflict(format!(
            "a view or a watchdog names this tag, and would be longer than {QUERY_CHARS} characters: {}…",
            text.chars().take(60).collect::<String>()
        )));
    }
    Ok(Some(text))
}

/// Removes a tag everywhere.
pub fn delete(cx: &mut Cx<'_>, id: TagId, expected: Option<&str>) -> Result<(), Error> {
    let before = changeable(cx, id, expected)?;
    if !store::tags::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    let event =
        NewEvent::new(EventType::TagDeleted, About::default()).with("tag_id", id.0).with("name", before.name);
    cx.tell(event);
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
