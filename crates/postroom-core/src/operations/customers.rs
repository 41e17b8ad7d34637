//! Customers: the people who write.

use super::custom_fields::{self, Given, Holder};
use super::{overtaken, require_version};
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::CustomerId;
use crate::page::{Page, PageRequest};
use crate::people::{Customer, CustomerCard};
use crate::store::customers::CustomerFilter;
use crate::{Error, store};

/// An address of a customer as somebody gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAddress {
    /// The address.
    pub email: String,
    /// Somebody made sure that it is theirs.
    pub confirmed: bool,
}

/// A customer to be made: any number of addresses and telephone numbers, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewCustomer {
    /// The name.
    pub name: Option<String>,
    /// The addresses; each belongs to one customer alone.
    pub addresses: Vec<GivenAddress>,
    /// The telephone numbers.
    pub phones: Vec<String>,
    /// Custom fields.
    pub custom_fields: Given,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerChange {
    /// The name; `Some(None)` takes it away.
    pub name: Option<Option<String>>,
    /// All addresses.
    pub addresses: Option<Vec<GivenAddress>>,
    /// All telephone numbers.
    pub phones: Option<Vec<String>>,
    /// Custom fields; those that are left out stay, `null` takes a value away.
    pub custom_fields: Given,
}

/// One page of the customers that the caller may see.
pub fn list(
    cx: &mut Cx<'_>,
    filter: &CustomerFilter,
    page: PageRequest,
) -> Result<Page<CustomerCard>, Error> {
    cx.access().require(Scope::CustomersRead)?;
    let access = cx.access().clone();
    let found = store::customers::list(cx.conn, &access, filter, page)?;
    let cards = cards(cx, found.items)?;
    Ok(Page { items: cards, next: found.next, total: found.total })
}

/// One customer.
pub fn find(cx: &mut Cx<'_>, id: CustomerId) -> Result<CustomerCard, Error> {
    cx.access().require(Scope::CustomersRead)?;
    visible(cx, id)
}

/// Whether the caller may read a customer.
pub(super) fn is_readable(cx: &mut Cx<'_>, id: CustomerId) -> Result<bool, Error> {
    let access = cx.access().clone();
    Ok(access.has(Scope::CustomersRead) && store::customers::visible(cx.conn, &access, &[id])?.contains(&id))
}

fn visible(cx: &mut Cx<'_>, id: CustomerId) -> Result<CustomerCard, Error> {
    let access = cx.access().clone();
    if !store::customers::visible(cx.conn, &access, &[id])?.contains(&id) {
        return Err(Error::NotFound("customer"));
    }
    let found = store::customers::find_many(cx.conn, &[id])?;
    cards(cx, found)?.pop().ok_or(Error::NotFound("customer"))
}

/// Several customers of whom the caller may know.
pub(super) fn of(cx: &mut Cx<'_>, ids: &[CustomerId]) -> Result<Vec<CustomerCard>, Error> {
    let found = store::customers::find_many(cx.conn, ids)?;
    cards(cx, found)
}

fn cards(cx: &mut Cx<'_>, customers: Vec<Customer>) -> Result<Vec<CustomerCard>, Error> {
    let ids: Vec<CustomerId> = customers.iter().map(|customer| customer.id).collect();
    let addresses = store::customers::addresses(cx.conn, &ids)?;
    let phones = store::customers::phones(cx.conn, &ids)?;
    let mut fields = store::custom_fields::customers::shown(cx.conn, &ids)?;
    Ok(customers
        .into_iter()
        .map(|customer| CustomerCard {
            addresses: addresses.iter().filter(|a| a.customer_id == customer.id).cloned().collect(),
            phones: phones.iter().filter(|p| p.customer_id == customer.id).cloned().collect(),
            custom_fields: fields.remove(&customer.id).unwrap_or_default(),
            customer,
        })
        .collect())
}

/// Makes a customer.
pub fn create(cx: &mut Cx<'_>, new: &NewCustomer) -> Result<CustomerCard, Error> {
    cx.access().require(Scope::CustomersWrite)?;
    let mut faults = Faults::default();
    check(&mut faults, new.name.as_deref(), Some(&new.addresses), Some(&new.phones));
    let fields = custom_fields::settle(cx, Holder::Customer(None), &new.custom_fields, false, &mut faults)?;
    faults.check()?;
    for given in &new.addresses {
        require_free(cx, &given.email, None)?;
    }
    let customer = insert(cx, new.name.as_deref())?;
    for given in &new.addresses {
        give(cx, customer.id, given)?;
    }
    store::customers::set_phones(cx.conn, customer.id, &new.phones, cx.now)?;
    custom_fields::write(cx, Holder::Customer(Some(customer.id)), &fields)?;
    cards(cx, vec![customer])?.pop().ok_or(Error::NotFound("customer"))
}

/// Makes a customer and tells of it.
pub(super) fn insert(cx: &mut Cx<'_>, name: Option<&str>) -> Result<Customer, Error> {
    let name = name.map(|name| crate::text::one_line(name, 200)).filter(|name| !name.is_empty());
    let customer = store::customers::insert(cx.conn, name.as_deref(), cx.now)?;
    let about = About { customer_id: Some(customer.id), ..About::default() };
    cx.tell(NewEvent::new(EventType::CustomerCreated, about));
    Ok(customer)
}

fn give(cx: &mut Cx<'_>, id: CustomerId, given: &GivenAddress) -> Result<(), Error> {
    let confirmed_at = given.confirmed.then_some(cx.now);
    let email = given.email.trim();
    if store::customers::insert_address(cx.conn, id, email, confirmed_at, cx.now)?.is_none() {
        return Err(taken(None));
    }
    Ok(())
}

fn taken(by: Option<CustomerId>) -> Error {
    Error::AlreadyExists {
        detail: "another customer has this address".to_owned(),
        existing_id: by.map(|id| id.0),
    }
}

/// An address belongs to one customer alone. Whose it is, is told to those who may see them.
fn require_free(cx: &mut Cx<'_>, email: &str, own: Option<CustomerId>) -> Result<(), Error> {
    match store::customers::find_by_address(cx.conn, &crate::text::fold_address(email))? {
        Some(other) if Some(other) != own => {
            let access = cx.access().clone();
            let seen = store::customers::visible(cx.conn, &access, &[other])?;
            Err(taken(seen.contains(&other).then_some(other)))
        }
        _ => Ok(()),
    }
}

/// Whether the caller sees every conversation of a customer.
fn sees_all_of(cx: &mut Cx<'_>, id: CustomerId) -> Result<bool, Error> {
    if cx.access().sees_all() {
        return Ok(true);
    }
    let access = cx.access().clone();
    let all = store::customers::count_conversations(cx.conn, &crate::access::Access::system(), id)?;
    Ok(store::customers::count_conversations(cx.conn, &access, id)? == all)
}

/// Changes a customer.
pub fn update(
    cx: &mut Cx<'_>,
    id: CustomerId,
    expected: Option<&str>,
    change: &CustomerChange,
) -> Result<CustomerCard, Error> {
    cx.access().require(Scope::CustomersWrite)?;
    let before = visible(cx, id)?;
    require_version("customer", expected, before.customer.etag())?;
    let mut faults = Faults::default();
    let name = change.name.as_ref().and_then(Option::as_deref);
    check(&mut faults, name, change.addresses.as_deref(), change.phones.as_deref());
    let holder = Holder::Customer(Some(id));
    let fields = custom_fields::settle(cx, holder, &change.custom_fields, false, &mut faults)?;
    faults.check()?;
    for given in change.addresses.iter().flatten() {
        require_free(cx, &given.email, Some(id))?;
    }
    if change.addresses.is_some() && !sees_all_of(cx, id)? {
        return Err(Error::Forbidden(
            "this customer has conversations that you may not see, and their addresses decide who is let in there",
        ));
    }

    let name = match &change.name {
        Some(name) => name.as_deref().map(|name| crate::text::one_line(name, 200)).filter(|n| !n.is_empty()),
        None => before.customer.name.clone(),
    };
    let mut changed: Vec<String> = Vec::new();
    if name != before.customer.name {
        changed.push("name".to_owned());
    }
    if let Some(addresses) = &change.addresses
        && set_addresses(cx, &before, addresses)?
    {
        changed.push("addresses".to_owned());
    }
    if let Some(phones) = &change.phones {
        let had: Vec<&String> = before.phones.iter().map(|phone| &phone.phone).collect();
        if had != phones.iter().collect::<Vec<_>>() {
            store::customers::set_phones(cx.conn, id, phones, cx.now)?;
            changed.push("phones".to_owned());
        }
    }
    // What customers are is told by its name alone, as the rest of them is.
    custom_fields::write(cx, holder, &fields)?;
    changed.extend(fields.told().1.keys().map(|key| format!("custom_fields.{key}")));
    if changed.is_empty() {
        return Ok(before);
    }
    let customer = store::customers::update(cx.conn, &before.customer, name.as_deref(), cx.now)?
        .ok_or_else(overtaken)?;
    let about = About { customer_id: Some(id), ..About::default() };
    cx.tell(NewEvent::new(EventType::CustomerUpdated, about).with("changed", changed));
    cards(cx, vec![customer])?.pop().ok_or(Error::NotFound("customer"))
}

/// Writes the addresses over those there are; what stays keeps its number and its time of
/// confirmation. Says whether anything changed.
fn set_addresses(cx: &mut Cx<'_>, before: &CustomerCard, wanted: &[GivenAddress]) -> Result<bool, Error> {
    let mut changed = false;
    let fold = crate::text::fold_address;
    for had in &before.addresses {
        if !wanted.iter().any(|given| fold(&given.email) == fold(&had.email)) {
            store::customers::delete_address(cx.conn, had.id)?;
            changed = true;
        }
    }
    for given in wanted {
        match before.addresses.iter().find(|had| fold(&had.email) == fold(&given.email)) {
            Some(had) if had.confirmed_at.is_some() != given.confirmed => {
                store::customers::confirm_address(cx.conn, had.id, given.confirmed.then_some(cx.now))?;
                changed = true;
            }
            Some(_) => {}
            None => {
                give(cx, before.customer.id, given)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

fn check(
    faults: &mut Faults,
    name: Option<&str>,
    addresses: Option<&[GivenAddress]>,
    phones: Option<&[String]>,
) {
    if let Some(name) = name {
        faults.header_name("/name", name, 200);
    }
    if let Some(addresses) = addresses {
        if addresses.len() > 50 {
            faults.add("/addresses", "too_many", "has at most 50 members");
        }
        let mut seen = std::collections::HashSet::new();
        for (index, given) in addresses.iter().take(50).enumerate() {
            let pointer = format!("/addresses/{index}/email");
            faults.email(&pointer, &given.email);
            if !seen.insert(crate::text::fold_address(&given.email)) {
                faults.add(pointer, "duplicate", "stands in the list already");
            }
        }
    }
    if let Some(phones) = phones {
        if phones.len() > 50 {
            faults.add("/phones", "too_many", "has at most 50 members");
        }
        for (index, phone) in phones.iter().take(50).enumerate() {
            faults.line(&format!("/phones/{index}"), phone, 50);
        }
    }
}
