//! Values of custom fields, as they are given with a conversation or a customer.

use crate::actor::ActorType;
use crate::custom_field::{CustomField, FIELDS, FieldObject, Kept, shown};
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::{ConversationId, CustomFieldId, CustomerId};
use crate::{Error, store};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// Values by the keys of their fields; `null` takes one away, and a field that is left out stays as it is.
pub type Given = BTreeMap<String, Value>;

/// Whose values they are. One that is about to be made has none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A conversation.
    Conversation(Option<ConversationId>),
    /// A customer.
    Customer(Option<CustomerId>),
}

impl Holder {
    fn object(self) -> FieldObject {
        match self {
            Self::Conversation(_) => FieldObject::Conversation,
            Self::Customer(_) => FieldObject::Customer,
        }
    }
}

/// A field whose values change, with those before and after.
type Change = (CustomField, Vec<Kept>, Vec<Kept>);

/// Values that were found right and wait to be written: those alone that change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    changed: Vec<Change>,
}

impl Settled {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The keys of what changes, with the values before and after, `null` where there is none.
    pub fn told(&self) -> (Map<String, Value>, Map<String, Value>) {
        let side = |rows: fn(&Change) -> &Vec<Kept>| {
            let each = self.changed.iter();
            each.map(|one| (one.0.key.clone(), shown(one.0.kind, rows(one)))).collect::<Map<_, _>>()
        };
        (side(|one| &one.1), side(|one| &one.2))
    }
}

/// Holds values against their fields. `closing` says that a conversation is about to be closed: a caller does not
/// do that while a field lacks a value without which it is not to be closed. The desk itself does.
///
/// Every fault has the pointer of its member.
pub fn settle(
    cx: &mut Cx<'_>,
    of: Holder,
    given: &Given,
    closing: bool,
    faults: &mut Faults,
) -> Result<Settled, Error> {
    let must_be_whole = closing && cx.actor.kind != ActorType::System;
    if given.is_empty() && !must_be_whole {
        return Ok(Settled::default());
    }
    if given.len() > FIELDS {
        faults.add("/custom_fields", "too_many", format!("has at most {FIELDS} members"));
        return Ok(Settled::default());
    }
    let fields = store::custom_fields::list(cx.conn, Some(of.object()))?;
    let had: HashMap<CustomFieldId, Vec<Kept>> = match of {
        Holder::Conversation(Some(id)) => store::custom_fields::conversations::kept(cx.conn, id)?,
        Holder::Customer(Some(id)) => store::custom_fields::customers::kept(cx.conn, id)?,
        Holder::Conversation(None) | Holder::Customer(None) => HashMap::new(),
    };
    let mut settled = Settled::default();
    for (key, value) in given {
        let pointer = pointer(key);
        let Some(field) = fields.iter().find(|field| field.key == *key) else {
            let told = format!("there is no such custom field of a {}", of.object());
            faults.add(pointer, "unknown_field", told);
            continue;
        };
        let before = had.get(&field.id).cloned().unwrap_or_default();
        match field.read(value, &before) {
            Err((code, told)) => faults.add(pointer, code, told),
            Ok(after) if is_same(&before, &after) => {}
            Ok(after) if field.archived_at.is_some() && !after.is_empty() => {
                faults.add(pointer, "archived", "this custom field takes no values any more");
            }
            Ok(after) => settled.changed.push((field.clone(), before, after)),
        }
    }
    if must_be_whole {
        // One that is given and will not do has its fault already.
        let is_given = |field: &CustomField| given.get(&field.key).is_some_and(|value| !value.is_null());
        for field in fields.iter().filter(|field| field.is_required() && !is_given(field)) {
            let change = settled.changed.iter().find(|(changed, ..)| changed.id == field.id);
            let rows = change.map(|(_, _, after)| after).or_else(|| had.get(&field.id));
            if rows.is_none_or(Vec::is_empty) {
                let told = format!("{} needs a value before this conversation is closed", field.title);
                faults.add(pointer(&field.key), "required_on_close", told);
            }
        }
    }
    Ok(settled)
}

/// Writes what was settled.
pub fn write(cx: &mut Cx<'_>, of: Holder, settled: &Settled) -> Result<(), Error> {
    for (field, _, rows) in &settled.changed {
        match of {
            Holder::Conversation(Some(id)) => {
                store::custom_fields::conversations::set(cx.conn, id, field.id, rows)?;
            }
            Holder::Customer(Some(id)) => {
                store::custom_fields::customers::set(cx.conn, id, field.id, rows)?;
            }
            Holder::Conversation(None) | Holder::Customer(None) => {}
        }
    }
    Ok(())
}

/// Whether both say the same, in whichever order it was chosen.
fn is_same(before: &[Kept], after: &[Kept]) -> bool {
    before.len() == after.len() && after.iter().all(|row| before.contains(row))
}

fn pointer(key: &str) -> String {
    format!("/custom_fields/{}", key.replace('~', "~0").replace('/', "~1"))
}
