//! Customers, their addresses and telephone numbers.

use crate::access::Access;
use crate::id::{CustomerAddressId, CustomerId};
use crate::listing::Words;
use crate::page::{Page, PageRequest, Position};
use crate::people::{Customer, CustomerAddress, CustomerPhone};
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::{customer_addresses, customer_phones, customers};
use crate::store::{StoreError, conversations, deadline, returning};
use crate::text::fold;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use std::collections::HashSet;

/// Makes a customer.
pub fn insert(conn: &mut Conn, name: Option<&str>, now: Timestamp) -> Result<Customer, StoreError> {
    Ok(diesel::insert_into(customers::table)
        .values((
            customers::name.eq(name),
            customers::name_folded.eq(name.map(fold).unwrap_or_default()),
            customers::version.eq(1_i64),
            customers::created_at.eq(now),
            customers::updated_at.eq(now),
        ))
        .returning(returning::<Customer>())
        .get_result(conn)?)
}

/// Gives a customer an address, unless somebody has it. `None`: somebody has.
pub fn insert_address(
    conn: &mut Conn,
    customer: CustomerId,
    email: &str,
    confirmed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<CustomerAddressId>, StoreError> {
    let folded = crate::text::fold_address(email);
    Ok(each_backend!(conn => diesel::insert_into(customer_addresses::table)
        .values((
            customer_addresses::customer_id.eq(customer),
            customer_addresses::email.eq(email),
            customer_addresses::email_folded.eq(&folded),
            customer_addresses::confirmed_at.eq(confirmed_at),
            customer_addresses::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .returning(customer_addresses::id)
        .get_result(conn)
        .optional())?)
}

/// Takes an address away from its customer.
pub fn delete_address(conn: &mut Conn, id: CustomerAddressId) -> Result<(), StoreError> {
    diesel::delete(customer_addresses::table.find(id)).execute(conn)?;
    Ok(())
}

/// Says when an address was confirmed, or that it is not.
pub fn confirm_address(
    conn: &mut Conn,
    id: CustomerAddressId,
    confirmed_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    diesel::update(customer_addresses::table.find(id))
        .set(customer_addresses::confirmed_at.eq(confirmed_at))
        .execute(conn)?;
    Ok(())
}

/// What a report says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFact {
    /// There is no such address.
    Undeliverable,
    /// Who has it took a mail of ours for spam: they get nothing that no agent wrote.
    Complained,
}

/// Notes a fact on a customer's address, if somebody has it; the first time counts. `false`:
/// nobody has, or it was noted before.
pub fn note_fact(
    conn: &mut Conn,
    folded: &str,
    fact: AddressFact,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let address = customer_addresses::table.filter(customer_addresses::email_folded.eq(folded));
    let changed = match fact {
        AddressFact::Undeliverable => {
            diesel::update(address.filter(customer_addresses::undeliverable_at.is_null()))
                .set(customer_addresses::undeliverable_at.eq(now))
                .execute(conn)?
        }
        AddressFact::Complained => {
            diesel::update(address.filter(customer_addresses::complained_at.is_null()))
                .set(customer_addresses::complained_at.eq(now))
                .execute(conn)?
        }
    };
    Ok(changed == 1)
}

/// Takes back that addresses can't be reached: somebody wrote from them. Of which it was noted, and whose
/// they are.
pub fn reached(conn: &mut Conn, folded: &[&str]) -> Result<Vec<CustomerId>, StoreError> {
    let lost = || {
        customer_addresses::table
            .filter(customer_addresses::email_folded.eq_any(folded))
            .filter(customer_addresses::undeliverable_at.is_not_null())
    };
    // Almost never there is one, and a write would take a lock.
    let whose: Vec<CustomerId> = lost().select(customer_addresses::customer_id).load(conn)?;
    if !whose.is_empty() {
        diesel::update(lost())
            .set(customer_addresses::undeliverable_at.eq(None::<Timestamp>))
            .execute(conn)?;
    }
    Ok(whose)
}

/// Writes a customer's telephone numbers over those there are.
pub fn set_phones(
    conn: &mut Conn,
    id: CustomerId,
    phones: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::delete(customer_phones::table.filter(customer_phones::customer_id.eq(id))).execute(conn)?;
    let rows: Vec<_> = phones
        .iter()
        .map(|phone| {
            (
                customer_phones::customer_id.eq(id),
                customer_phones::phone.eq(phone),
                customer_phones::created_at.eq(now),
            )
        })
        .collect();
    if !rows.is_empty() {
        each_backend!(conn => diesel::insert_into(customer_phones::table).values(&rows).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// Writes the name, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &Customer,
    name: Option<&str>,
    now: Timestamp,
) -> Result<Option<Customer>, StoreError> {
    let same = customers::table.find(before.id).filter(customers::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            customers::name.eq(name),
            customers::name_folded.eq(name.map(fold).unwrap_or_default()),
            customers::version.eq(before.version + 1),
            customers::updated_at.eq(now),
        ))
        .returning(returning::<Customer>())
        .get_result(conn)
        .optional()?)
}

/// Whose address it is.
pub fn find_by_address(conn: &mut Conn, folded: &str) -> Result<Option<CustomerId>, StoreError> {
    Ok(customer_addresses::table
        .filter(customer_addresses::email_folded.eq(folded))
        .select(customer_addresses::customer_id)
        .first(conn)
        .optional()?)
}

/// Several customers, by id.
pub fn find_many(conn: &mut Conn, ids: &[CustomerId]) -> Result<Vec<Customer>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(customers::table
        .filter(customers::id.eq_any(ids))
        .order(customers::id.asc())
        .select(Customer::as_select())
        .load(conn)?)
}

/// The addresses of several customers, oldest first.
pub fn addresses(conn: &mut Conn, of: &[CustomerId]) -> Result<Vec<CustomerAddress>, StoreError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    Ok(customer_addresses::table
        .filter(customer_addresses::customer_id.eq_any(of))
        .order(customer_addresses::id.asc())
        .select(CustomerAddress::as_select())
        .load(conn)?)
}

/// The telephone numbers of several customers, oldest first.
pub fn phones(conn: &mut Conn, of: &[CustomerId]) -> Result<Vec<CustomerPhone>, StoreError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    Ok(customer_phones::table
        .filter(customer_phones::customer_id.eq_any(of))
        .order(customer_phones::id.asc())
        .select(CustomerPhone::as_select())
        .load(conn)?)
}

/// The folded addresses of a customer that somebody made sure of.
pub fn confirmed_addresses(
    conn: &mut Conn,
    of: &[CustomerId],
) -> Result<Vec<(CustomerId, String)>, StoreError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    Ok(customer_addresses::table
        .filter(customer_addresses::customer_id.eq_any(of))
        .filter(customer_addresses::confirmed_at.is_not_null())
        .select((customer_addresses::customer_id, customer_addresses::email_folded))
        .load(conn)?)
}

/// Which customers a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerFilter {
    /// With exactly this address.
    pub email: Option<String>,
    /// With each of these words in the name or in an address.
    pub words: Words,
    /// In which order.
    pub sort: CustomerSort,
}

impl Default for CustomerFilter {
    /// All of them, newest first.
    fn default() -> Self {
        Self { email: None, words: Words::default(), sort: CustomerSort::IdDescending }
    }
}

words! {
    /// The order of a list of customers. A minus is: the highest first.
    pub enum CustomerSort {
        /// Newest first: the order that paging does not disturb.
        IdDescending = "-id",
        /// Oldest first.
        Id = "id",
        /// Last changed first.
        UpdatedDescending = "-updated_at",
        /// Longest unchanged first.
        Updated = "updated_at",
    }
}

impl CustomerSort {
    fn position(self, row: &Customer) -> Position {
        let key = match self {
            Self::IdDescending | Self::Id => row.id.0,
            Self::UpdatedDescending | Self::Updated => row.updated_at.0,
        };
        Position { key, id: row.id.0 }
    }
}

/// One page of customers. Who does not see everything sees those who have a
/// conversation that can be seen.
pub fn list(
    conn: &mut Conn,
    access: &Access,
    filter: &CustomerFilter,
    page: PageRequest,
) -> Result<Page<Customer>, StoreError> {
    let mut items: Vec<Customer> = Vec::new();
    let mut after = page.after;
    let wanted = usize::from(page.limit) + 1;
    loop {
        deadline::check()?;
        let most = page.fetch().max(100);
        let mut rows: Vec<Customer> =
            page_of(filter, after, most).select(Customer::as_select()).load(conn)?;
        let full = rows.len() as i64 == most;
        after = rows.last().map(|row| filter.sort.position(row));
        if !access.sees_all() {
            let ids: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
            let seen = visible(conn, access, &ids)?;
            rows.retain(|row| seen.contains(&row.id));
        }
        items.append(&mut rows);
        if items.len() >= wanted || !full {
            break;
        }
    }
    items.truncate(wanted);
    let mut cut = Page::cut(items, page, |row: &Customer| filter.sort.position(row));
    if page.count {
        cut.total = Some(count(conn, access, filter)?);
    }
    Ok(cut)
}

/// How many fit the filter, of those that the caller may see.
fn count(conn: &mut Conn, access: &Access, filter: &CustomerFilter) -> Result<i64, StoreError> {
    use crate::store::schema::conversations as table;
    if access.sees_all() {
        return Ok(matching(filter).count().get_result(conn)?);
    }
    let mut query = conversations::visible(access);
    if let Some(email) = &filter.email {
        let with = customer_addresses::table
            .filter(customer_addresses::email_folded.eq(crate::text::fold_address(email)))
            .select(customer_addresses::customer_id);
        query = query.filter(table::customer_id.eq_any(with));
    }
    for pattern in filter.words.patterns() {
        let with = customer_addresses::table
            .filter(customer_addresses::email_folded.like(pattern.clone()).escape('\\'))
            .select(customer_addresses::customer_id);
        let named =
            customers::table.filter(customers::name_folded.like(pattern).escape('\\')).select(customers::id);
        query = query.filter(table::customer_id.eq_any(named).or(table::customer_id.eq_any(with)));
    }
    Ok(query.select(diesel::dsl::count(table::customer_id).aggregate_distinct()).get_result(conn)?)
}

/// The customers behind `after` as a query; a test asks EXPLAIN about it.
pub fn page_of(
    filter: &CustomerFilter,
    after: Option<Position>,
    rows: i64,
) -> customers::BoxedQuery<'static, MultiBackend> {
    let query = matching(filter).limit(rows);
    let id = after.map(|at| CustomerId(at.id));
    let at = after.map(|at| (Timestamp(at.key), CustomerId(at.id)));
    let (key, number) = (customers::updated_at, customers::id);
    match filter.sort {
        CustomerSort::IdDescending => {
            let query = query.order(number.desc());
            if let Some(id) = id { query.filter(number.lt(id)) } else { query }
        }
        CustomerSort::Id => {
            let query = query.order(number.asc());
            if let Some(id) = id { query.filter(number.gt(id)) } else { query }
        }
        CustomerSort::UpdatedDescending => {
            let query = query.order((key.desc(), number.desc()));
            match at {
                Some((time, id)) => query.filter(key.le(time).and(key.lt(time).or(number.lt(id)))),
                None => query,
            }
        }
        CustomerSort::Updated => {
            let query = query.order((key.asc(), number.asc()));
            match at {
                Some((time, id)) => query.filter(key.ge(time).and(key.gt(time).or(number.gt(id)))),
                None => query,
            }
        }
    }
}

/// Which of these customers have a conversation that the caller may see.
pub fn visible(
    conn: &mut Conn,
    access: &Access,
    ids: &[CustomerId],
) -> Result<HashSet<CustomerId>, StoreError> {
    use crate::store::schema::conversations as table;
    if access.sees_all() {
        return Ok(ids.iter().copied().collect());
    }
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let seen: Vec<CustomerId> = conversations::visible(access)
        .filter(table::customer_id.eq_any(ids.to_vec()))
        .select(table::customer_id)
        .distinct()
        .load(conn)?;
    Ok(seen.into_iter().collect())
}

/// How many conversations of a customer the caller may see.
pub fn count_conversations(conn: &mut Conn, access: &Access, id: CustomerId) -> Result<i64, StoreError> {
    use crate::store::schema::conversations as table;
    Ok(conversations::visible(access).filter(table::customer_id.eq(id)).count().get_result(conn)?)
}

fn matching(filter: &CustomerFilter) -> customers::BoxedQuery<'static, MultiBackend> {
    let mut query = customers::table.into_boxed();
    if let Some(email) = &filter.email {
        let with = customer_addresses::table
            .filter(customer_addresses::email_folded.eq(crate::text::fold_address(email)))
            .select(customer_addresses::customer_id);
        query = query.filter(customers::id.eq_any(with));
    }
    for pattern in filter.words.patterns() {
        let with = customer_addresses::table
            .filter(customer_addresses::email_folded.like(pattern.clone()).escape('\\'))
            .select(customer_addresses::customer_id);
        query =
            query.filter(customers::name_folded.like(pattern).escape('\\').or(customers::id.eq_any(with)));
    }
    query
}
