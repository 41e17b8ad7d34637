//! Custom fields and their values. The values of conversations and of customers stand in a table each, which goes with
//! what they are of.

use crate::custom_field::{Choice, CustomField, FieldObject, FieldType, Form, Kept, shown};
use crate::id::{ConversationId, CustomFieldId, CustomerId};
use crate::query::{FieldMatch, FieldTerm, Settled};
use crate::store::conn::{Conn, each_backend};
use crate::store::conversations::Predicate;
use crate::store::schema::custom_fields;
use crate::store::types::Json;
use crate::store::{StoreError, returning, schema};
use crate::time::Timestamp;
use diesel::prelude::*;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::hash::Hash;

/// Every field of conversations or of customers, in their order.
pub fn list(conn: &mut Conn, of: Option<FieldObject>) -> Result<Vec<CustomField>, StoreError> {
    let mut query = custom_fields::table.into_boxed();
    if let Some(of) = of {
        query = query.filter(custom_fields::object.eq(of));
    }
    Ok(query
        .order((custom_fields::object.asc(), custom_fields::position.asc(), custom_fields::id.asc()))
        .select(CustomField::as_select())
        .load(conn)?)
}

/// One field.
pub fn find(conn: &mut Conn, id: CustomFieldId) -> Result<Option<CustomField>, StoreError> {
    Ok(custom_fields::table.find(id).select(CustomField::as_select()).first(conn).optional()?)
}

/// Makes a field. `None`: there is one of this key.
pub fn insert(
    conn: &mut Conn,
    object: FieldObject,
    key: &str,
    kind: FieldType,
    form: &Form,
    now: Timestamp,
) -> Result<Option<CustomField>, StoreError> {
    let made = each_backend!(conn => diesel::insert_into(custom_fields::table)
        .values((
            custom_fields::object.eq(object),
            custom_fields::key.eq(key),
            custom_fields::title.eq(&form.title),
            custom_fields::description.eq(&form.description),
            custom_fields::kind.eq(kind),
            custom_fields::pattern.eq(&form.pattern),
            custom_fields::choices.eq(Json::new(form.choices.clone())),
            custom_fields::required_on_close.eq(form.required_on_close),
            custom_fields::position.eq(form.position),
            custom_fields::version.eq(1_i64),
            custom_fields::created_at.eq(now),
            custom_fields::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn))?;
    let same = custom_fields::table
        .filter(custom_fields::object.eq(object))
        .filter(custom_fields::key.eq(key))
        .select(CustomField::as_select());
    if made == 1 { Ok(Some(same.first(conn)?)) } else { Ok(None) }
}

/// Writes a form over `before`, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &CustomField,
    form: &Form,
    archived_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<CustomField>, StoreError> {
    let same = custom_fields::table.find(before.id).filter(custom_fields::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            custom_fields::title.eq(&form.title),
            custom_fields::description.eq(&form.description),
            custom_fields::pattern.eq(&form.pattern),
            custom_fields::choices.eq(Json::new(form.choices.clone())),
            custom_fields::required_on_close.eq(form.required_on_close),
            custom_fields::position.eq(form.position),
            custom_fields::archived_at.eq(archived_at),
            custom_fields::version.eq(before.version + 1),
            custom_fields::updated_at.eq(now),
        ))
        .returning(returning::<CustomField>())
        .get_result(conn)
        .optional()?)
}

/// Removes a field that has no values any more. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &CustomField) -> Result<bool, StoreError> {
    let same = custom_fields::table.find(before.id).filter(custom_fields::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// A row with what is needed to show it.
type Shown<Id> = (Id, String, FieldType, Json<Vec<Choice>>, Option<String>, Option<String>, Option<i64>);

fn gathered<Id: Copy + Eq + Hash>(rows: Vec<Shown<Id>>) -> HashMap<Id, Map<String, Value>> {
    let mut found: HashMap<Id, Map<String, Value>> = HashMap::new();
    let mut rows = rows.into_iter().peekable();
    while let Some((id, key, kind, choices, written, sought, number)) = rows.next() {
        let mut kept = vec![Kept { written, sought, number }];
        while let Some((.., written, sought, number)) = rows.next_if(|row| row.0 == id && row.1 == key) {
            kept.push(Kept { written, sought, number });
        }
        // As the choices stand now, whenever they were chosen.
        kept.sort_by_key(|one| choices.iter().position(|choice| Some(&choice.key) == one.sought.as_ref()));
        found.entry(id).or_default().insert(key, shown(kind, &kept));
    }
    found
}

macro_rules! values_of {
    ($(#[$doc:meta])* $name:ident, $table:ident, $owner:ident, $Id:ident, $of:path) => {
        $(#[$doc])*
        pub mod $name {
            use super::*;
            use crate::store::schema::$table;

            /// What several of them have, by the keys of fields: those without a value are left out.
            pub fn shown(conn: &mut Conn, of: &[$Id]) -> Result<HashMap<$Id, Map<String, Value>>, StoreError> {
                if of.is_empty() {
                    return Ok(HashMap::new());
                }
                let rows: Vec<Shown<$Id>> = $table::table
                    .inner_join(custom_fields::table)
                    .filter($table::$owner.eq_any(of))
                    .order(($table::$owner.asc(), $table::field_id.asc(), $table::place.asc()))
                    .select((
                        $table::$owner,
                        custom_fields::key,
                        custom_fields::kind,
                        custom_fields::choices,
                        $table::written,
                        $table::sought,
                        $table::number,
                    ))
                    .load(conn)?;
                Ok(gathered(rows))
            }

            /// The rows that one of them has, by field.
            pub fn kept(
                conn: &mut Conn,
                of: $Id,
            ) -> Result<HashMap<CustomFieldId, Vec<Kept>>, StoreError> {
                let rows: Vec<(CustomFieldId, Option<String>, Option<String>, Option<i64>)> = $table::table
                    .filter($table::$owner.eq(of))
                    .order(($table::field_id.asc(), $table::place.asc()))
                    .select(($table::field_id, $table::written, $table::sought, $table::number))
                    .load(conn)?;
                let mut found: HashMap<CustomFieldId, Vec<Kept>> = HashMap::new();
                for (field, written, sought, number) in rows {
                    found.entry(field).or_default().push(Kept { written, sought, number });
                }
                Ok(found)
            }

            /// Writes rows in the place of those that a field had; none takes the value away.
            pub fn set(
                conn: &mut Conn,
                of: $Id,
                field: CustomFieldId,
                rows: &[Kept],
            ) -> Result<(), StoreError> {
                diesel::delete(
                    $table::table.filter($table::$owner.eq(of)).filter($table::field_id.eq(field)),
                )
                .execute(conn)?;
                if rows.is_empty() {
                    return Ok(());
                }
                let new: Vec<_> = (0_i32..)
                    .zip(rows)
                    .map(|(place, row)| {
                        (
                            $table::$owner.eq(of),
                            $table::field_id.eq(field),
                            $table::place.eq(place),
                            $table::written.eq(&row.written),
                            $table::sought.eq(&row.sought),
                            $table::number.eq(row.number),
                        )
                    })
                    .collect();
                each_backend!(conn => diesel::insert_into($table::table).values(&new).execute(conn))?;
                Ok(())
            }

            /// That a conversation's own number, or its customer's, is of those with a value that fits.
            pub(super) fn holds(field: CustomFieldId, fit: &FieldMatch) -> Predicate {
                let of_field = || $table::table.filter($table::field_id.eq(field));
                let sought = $table::sought.assume_not_null();
                let number = $table::number.assume_not_null();
                match fit {
                    FieldMatch::Present => Box::new($of.eq_any(of_field().select($table::$owner))),
                    FieldMatch::Sought(all) => {
                        let fitting = of_field().filter(sought.eq_any(all.clone()));
                        Box::new($of.eq_any(fitting.select($table::$owner)))
                    }
                    FieldMatch::Numbers(all) => {
                        let fitting = of_field().filter(number.eq_any(all.clone()));
                        Box::new($of.eq_any(fitting.select($table::$owner)))
                    }
                    FieldMatch::Within(since, before) => {
                        let from = of_field().filter(number.ge(since.unwrap_or(i64::MIN)));
                        let fitting = from.filter(number.lt(before.unwrap_or(i64::MAX)));
                        Box::new($of.eq_any(fitting.select($table::$owner)))
                    }
                }
            }

            /// Whether any of them has a value of a field; of a choice, where one is named.
            pub fn is_used(
                conn: &mut Conn,
                field: CustomFieldId,
                choice: Option<&str>,
            ) -> Result<bool, StoreError> {
                let mut query = $table::table.filter($table::field_id.eq(field)).into_boxed();
                if let Some(choice) = choice {
                    query = query.filter($table::sought.eq(choice));
                }
                Ok(query.select($table::$owner).first::<$Id>(conn).optional()?.is_some())
            }

            /// Takes all values of a field away; says how many rows there were.
            pub fn clear(conn: &mut Conn, field: CustomFieldId) -> Result<usize, StoreError> {
                Ok(diesel::delete($table::table.filter($table::field_id.eq(field))).execute(conn)?)
            }
        }
    };
}

values_of!(
    /// The values of conversations.
    conversations, conversation_field_values, conversation_id, ConversationId,
    schema::conversations::id
);
values_of!(
    /// The values of customers.
    customers, customer_field_values, customer_id, CustomerId,
    schema::conversations::customer_id
);

/// That a conversation, or its customer, has a value that a query asks for. Operations settle what is meant; without
/// that nothing fits.
pub(super) fn holds(term: &FieldTerm) -> Predicate {
    let Some(Settled { field, fit }) = &term.settled else {
        return Box::new(schema::conversations::id.lt(ConversationId(0)));
    };
    match term.object {
        FieldObject::Conversation => conversations::holds(*field, fit),
        FieldObject::Customer => customers::holds(*field, fit),
    }
}

/// Whether a field has any value; of a choice, where one is named.
pub fn is_used(conn: &mut Conn, field: &CustomField, choice: Option<&str>) -> Result<bool, StoreError> {
    match field.object {
        FieldObject::Conversation => conversations::is_used(conn, field.id, choice),
        FieldObject::Customer => customers::is_used(conn, field.id, choice),
    }
}

/// Takes all values of a field away; says how many rows there were.
pub fn clear(conn: &mut Conn, field: &CustomField) -> Result<usize, StoreError> {
    match field.object {
        FieldObject::Conversation => conversations::clear(conn, field.id),
        FieldObject::Customer => customers::clear(conn, field.id),
    }
}
