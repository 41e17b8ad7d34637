//! Custom fields in queries: which are meant, and whether the caller may ask for them.

use crate::access::Scope;
use crate::custom_field::FieldObject;
use crate::cx::Cx;
use crate::query::{Condition, Query};
use crate::{Error, store};

/// The query with what its custom fields come to. One that is not there, or not asked for what it has, is an error
/// that says so: a condition that is passed over shows more than was asked for.
pub fn settle_query(cx: &mut Cx<'_>, mut query: Query) -> Result<Query, Error> {
    let objects = query.terms.iter().filter_map(|term| match &term.condition {
        Condition::Field(field) => Some(field.object),
        _ => None,
    });
    let objects: Vec<FieldObject> = objects.collect();
    if objects.is_empty() {
        return Ok(query);
    }
    if objects.contains(&FieldObject::Customer) {
        // Whoever finds by it knows it.
        cx.access().require(Scope::CustomersRead)?;
    }
    let fields = store::custom_fields::list(cx.conn, None)?;
    for term in &mut query.terms {
        if let Condition::Field(field) = &term.condition {
            term.condition = Condition::Field(field.clone().settle(&fields)?);
        }
    }
    Ok(query)
}
