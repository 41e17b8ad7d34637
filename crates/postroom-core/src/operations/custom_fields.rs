//! Custom fields: what a desk wants to know of conversations and customers.

mod queries;
mod values;

pub(super) use queries::settle_query;
pub use values::Given;
pub(super) use values::{Holder, Settled, settle, write};

use super::tokens::require_whole_sight;
use super::{overtaken, require_version};
use crate::access::Scope;
use crate::custom_field::{self, Choice, CustomField, FIELDS, FieldObject, FieldType, Form, LAST_POSITION};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::id::CustomFieldId;
use crate::{Error, store};

/// A field to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCustomField {
    /// What it is of.
    pub object: FieldObject,
    /// What stands for it.
    pub key: String,
    /// What its values are.
    pub kind: FieldType,
    /// What people read.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// What a text must match.
    pub pattern: Option<String>,
    /// What may be chosen.
    pub choices: Vec<Choice>,
    /// Whether conversations without it are not closed.
    pub required_on_close: bool,
    /// Its place; `None` is behind the others.
    pub position: Option<i32>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomFieldChange {
    /// What people read.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What a text must match; `Some(None)` is anything.
    pub pattern: Option<Option<String>>,
    /// All choices: one that is left out is removed, which takes that nothing has it.
    pub choices: Option<Vec<Choice>>,
    /// Whether conversations without it are not closed.
    pub required_on_close: Option<bool>,
    /// Its place.
    pub position: Option<i32>,
    /// It takes no values any more, or does again.
    pub archived: Option<bool>,
}

/// Every field, those of conversations first, each in their order.
pub fn list(cx: &mut Cx<'_>, of: Option<FieldObject>) -> Result<Vec<CustomField>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(store::custom_fields::list(cx.conn, of)?)
}

/// One field.
pub fn find(cx: &mut Cx<'_>, id: CustomFieldId) -> Result<CustomField, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    existing(cx, id)
}

fn existing(cx: &mut Cx<'_>, id: CustomFieldId) -> Result<CustomField, Error> {
    store::custom_fields::find(cx.conn, id)?.ok_or(Error::NotFound("custom field"))
}

/// Makes a field.
pub fn create(cx: &mut Cx<'_>, new: &NewCustomField) -> Result<CustomField, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let others = store::custom_fields::list(cx.conn, Some(new.object))?;
    let last = others.iter().map(|field| field.position).max();
    let form = Form {
        title: new.title.clone(),
        description: new.description.clone(),
        pattern: new.pattern.clone(),
        choices: new.choices.clone(),
        required_on_close: new.required_on_close,
        position: new.position.unwrap_or_else(|| last.map_or(0, |last| (last + 1).min(LAST_POSITION))),
    };
    let mut faults = Faults::default();
    if let Some(fault) = custom_field::key_fault(&new.key) {
        faults.add("/key", "invalid_key", fault);
    }
    form.check(new.object, new.kind, &mut faults);
    faults.check()?;
    if let Some(other) = others.iter().find(|field| field.key == new.key) {
        return Err(exists(Some(other.id)));
    }
    if others.len() >= FIELDS {
        return Err(Error::StateConflict(format!(
            "there are {FIELDS} fields of this kind already, and no more are kept: delete one first"
        )));
    }
    let form = tidied(form);
    let made = store::custom_fields::insert(cx.conn, new.object, &new.key, new.kind, &form, cx.now)?;
    let field = made.ok_or_else(|| exists(None))?;
    let event = about(EventType::CustomFieldCreated, &field).with("title", field.title.clone());
    cx.tell(event.with("type", field.kind.as_str()));
    Ok(field)
}

/// Changes a field. Its values stay, whatever it is called and whatever is asked of new ones.
pub fn update(
    cx: &mut Cx<'_>,
    id: CustomFieldId,
    expected: Option<&str>,
    change: &CustomFieldChange,
) -> Result<CustomField, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("custom field", expected, before.etag())?;
    let form = Form {
        title: change.title.clone().unwrap_or_else(|| before.title.clone()),
        description: change.description.clone().unwrap_or_else(|| before.description.clone()),
        pattern: change.pattern.clone().unwrap_or_else(|| before.pattern.clone()),
        choices: change.choices.clone().unwrap_or_else(|| before.choices.to_vec()),
        required_on_close: change.required_on_close.unwrap_or(before.required_on_close),
        position: change.position.unwrap_or(before.position),
    };
    let mut faults = Faults::default();
    form.check(before.object, before.kind, &mut faults);
    for choice in before.choices.iter() {
        let stays = form.choices.iter().any(|other| other.key == choice.key);
        if !stays && store::custom_fields::is_used(cx.conn, &before, Some(&choice.key))? {
            let told = format!("{:?} was chosen somewhere: leave it in the list, archived", choice.key);
            faults.add("/choices", "in_use", told);
        }
    }
    faults.check()?;
    let form = tidied(form);
    let archived_at = match change.archived {
        None => before.archived_at,
        Some(true) => before.archived_at.or(Some(cx.now)),
        Some(false) => None,
    };
    let mut changes = Changes::default();
    changes.note("title", &before.title, &form.title);
    changes.note("description", &before.description, &form.description);
    changes.note("pattern", &before.pattern, &form.pattern);
    changes.note("required_on_close", &before.required_on_close, &form.required_on_close);
    changes.note("position", &before.position, &form.position);
    changes.note("archived", &before.archived_at.is_some(), &archived_at.is_some());
    let choices_changed = *before.choices != form.choices;
    if changes.is_empty() && !choices_changed {
        return Ok(before);
    }
    let after = store::custom_fields::update(cx.conn, &before, &form, archived_at, cx.now)?;
    let after = after.ok_or_else(overtaken)?;
    let event = about(EventType::CustomFieldUpdated, &after).with("choices_changed", choices_changed);
    cx.tell(event.changing(changes));
    Ok(after)
}

/// Removes a field. One that has values stays, unless they are to go with it.
pub fn delete(
    cx: &mut Cx<'_>,
    id: CustomFieldId,
    expected: Option<&str>,
    with_values: bool,
) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let before = existing(cx, id)?;
    require_version("custom field", expected, before.etag())?;
    if !with_values && store::custom_fields::is_used(cx.conn, &before, None)? {
        return Err(Error::StateConflict(
            "this field has values: archive it to keep them, or delete it with force=true, and they go with it"
                .to_owned(),
        ));
    }
    let values = store::custom_fields::clear(cx.conn, &before)?;
    if !store::custom_fields::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    cx.tell(about(EventType::CustomFieldDeleted, &before).with("values", values));
    Ok(())
}

fn about(kind: EventType, field: &CustomField) -> NewEvent {
    NewEvent::new(kind, About::default())
        .with("custom_field_id", field.id.0)
        .with("object", field.object.as_str())
        .with("key", field.key.clone())
}

fn tidied(form: Form) -> Form {
    let line = |text: &str| crate::text::one_line(text, custom_field::TITLE_CHARS);
    let choices = form.choices.into_iter().map(|choice| Choice { title: line(&choice.title), ..choice });
    Form { title: line(&form.title), choices: choices.collect(), ..form }
}

fn exists(id: Option<CustomFieldId>) -> Error {
    Error::AlreadyExists { detail: "there is a field of this key".to_owned(), existing_id: id.map(|id| id.0) }
}
