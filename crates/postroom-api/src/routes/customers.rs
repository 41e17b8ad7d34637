//! Customers: the people who write.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::query::{Query, words};
use crate::shapes::custom_field::{CustomFieldChanges, CustomFieldValues};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{get, patch, post};
use postroom_core::cx::Cx;
use postroom_core::id::CustomerId;
use postroom_core::operations::custom_fields::Given;
use postroom_core::operations::customers::{self, CustomerChange, GivenAddress, NewCustomer};
use postroom_core::people::CustomerCard;
use postroom_core::store::customers::{CustomerFilter, CustomerSort};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_customers).service(create_customer).service(get_customer).service(update_customer);
}

/// A person who writes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(super) struct CustomerView {
    /// The number.
    id: CustomerId,
    /// Counts changes.
    version: i64,
    /// The name, if known.
    name: Option<String>,
    /// Any number of addresses, oldest first.
    addresses: Vec<AddressView>,
    /// Any number of telephone numbers, oldest first.
    phones: Vec<String>,
    /// The custom fields by their keys (`GET /custom-fields`); those without a value are left out.
    #[schema(value_type = CustomFieldValues)]
    custom_fields: Map<String, Value>,
    /// First seen.
    created_at: Timestamp,
    /// Last changed.
    updated_at: Timestamp,
}

/// An address of a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerAddress)]
struct AddressView {
    /// The address.
    email: String,
    /// Somebody made sure that it is theirs; mail from it then counts as the customer's.
    confirmed: bool,
    /// When.
    confirmed_at: Option<Timestamp>,
    /// Since when a bounce (5.1.1) says that there is no such address; `null`: none does.
    undeliverable_at: Option<Timestamp>,
    /// When its holder took a mail of ours for spam, as their provider says: they are to get
    /// nothing that no agent wrote. `null`: they did not.
    complained_at: Option<Timestamp>,
}

page_of!(
    /// A page of customers.
    CustomerPage of CustomerView
);

/// An address of a customer, as it is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomerAddress)]
struct AddressBody {
    /// The address; it belongs to one customer alone.
    #[schema(format = "email")]
    email: String,
    /// Somebody made sure that it is theirs.
    #[serde(default)]
    confirmed: bool,
}

/// A customer to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomer)]
struct NewCustomerBody {
    /// The name, if known.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Any number of addresses, or none.
    #[serde(default)]
    addresses: Vec<AddressBody>,
    /// Any number of telephone numbers, or none.
    #[serde(default)]
    phones: Vec<String>,
    /// Custom fields by their keys.
    #[serde(default)]
    #[schema(value_type = CustomFieldValues)]
    custom_fields: Given,
}

/// What is to change of a customer; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CustomerPatch {
    /// The name; `null` takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Patch<String>,
    /// All addresses.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    addresses: Option<Vec<AddressBody>>,
    /// All telephone numbers.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    phones: Option<Vec<String>>,
    /// Custom fields by their keys: those that are left out stay, `null` takes a value away.
    #[serde(default)]
    #[schema(value_type = CustomFieldChanges)]
    custom_fields: Given,
}

/// Which customers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct CustomerQuery {
    /// With exactly this address.
    email: Option<String>,
    /// With each of these words, or pieces of one, in the name or in an address: at most ten.
    #[param(max_length = 200)]
    q: Option<String>,
    /// The order; a minus is: the highest first. Left out, `-id`.
    #[param(inline)]
    sort: Option<CustomerSort>,
}

impl From<CustomerCard> for CustomerView {
    fn from(card: CustomerCard) -> Self {
        let address = |address: postroom_core::people::CustomerAddress| AddressView {
            email: address.email,
            confirmed: address.confirmed_at.is_some(),
            confirmed_at: address.confirmed_at,
            undeliverable_at: address.undeliverable_at,
            complained_at: address.complained_at,
        };
        Self {
            id: card.customer.id,
            version: card.customer.version,
            name: card.customer.name,
            addresses: card.addresses.into_iter().map(address).collect(),
            phones: card.phones.into_iter().map(|phone| phone.phone).collect(),
            custom_fields: card.custom_fields,
            created_at: card.customer.created_at,
            updated_at: card.customer.updated_at,
        }
    }
}

fn given_addresses(addresses: Vec<AddressBody>) -> Vec<GivenAddress> {
    addresses.into_iter().map(|a| GivenAddress { email: a.email, confirmed: a.confirmed }).collect()
}

/// List customers
///
/// Those with a conversation that the caller may see, newest first unless `sort` says otherwise. Needs `customers:read`.
#[utoipa::path(tag = "customers", params(CustomerQuery, PageQuery),
    responses((status = OK, body = CustomerPage, description = "A page of customers.")))]
#[get("/customers")]
async fn list_customers(
    api: Data<Api>,
    caller: Caller,
    query: Query<CustomerQuery>,
    paging: Paging,
) -> Answer {
    let CustomerQuery { email, q, sort } = query.0;
    let words = words(q.as_deref())?;
    let filter = CustomerFilter { email, words, sort: sort.unwrap_or(CustomerSort::IdDescending) };
    let request = paging.request;
    let found = api.desk.read(&caller, move |cx| customers::list(cx, &filter, request)).await?;
    let page = found.map(CustomerView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| CustomerPage { data, page }))
}

/// Make a customer
///
/// Whoever writes becomes one by themselves; this is for those who have not written. Needs
/// `customers:write`.
#[utoipa::path(tag = "customers", params(IdempotencyKey),
    request_body(content = NewCustomerBody, description = "The customer.", example = json!({
        "name": "Ada", "addresses": [{"email": "ada@example.org", "confirmed": true}], "phones": ["+44 20 7946 0000"]
    })),
    responses(
        (status = CREATED, body = CustomerView, description = "The customer."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: another customer has one of the addresses.")))]
#[post("/customers")]
async fn create_customer(api: Data<Api>, caller: Caller, body: Keyed<NewCustomerBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewCustomer {
        name: body.name,
        addresses: given_addresses(body.addresses),
        phones: body.phones,
        custom_fields: body.custom_fields,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let card = customers::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/customers/{}", card.customer.id), card.customer.etag());
        Ok(answer::made(links, &CustomerView::from(card), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a customer
///
/// Needs `customers:read`.
#[utoipa::path(tag = "customers", params(Id<CustomerId>, IfNoneMatch),
    responses((status = OK, body = CustomerView, description = "The customer.")))]
#[get("/customers/{id}")]
async fn get_customer(api: Data<Api>, caller: Caller, id: Id<CustomerId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| customers::find(cx, id.0)).await?;
    let etag = card.customer.etag();
    Ok(answer::one(&CustomerView::from(card), &etag, &held))
}

/// Change a customer
///
/// An address that stays keeps its time of confirmation. Needs `customers:write`.
#[utoipa::path(tag = "customers", params(Id<CustomerId>, IfMatch),
    request_body(content = CustomerPatch, description = "What is to change.", example = json!({"name": "Ada Lovelace"})),
    responses(
        (status = OK, body = CustomerView, description = "The customer as it is now."),
        (status = CONFLICT, body = crate::problem::ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: another customer has one of the addresses.")))]
#[patch("/customers/{id}")]
async fn update_customer(
    api: Data<Api>,
    caller: Caller,
    id: Id<CustomerId>,
    seen: IfMatch,
    body: Body<CustomerPatch>,
) -> Answer {
    let body = body.0;
    let change = CustomerChange {
        name: body.name.change(),
        addresses: body.addresses.map(given_addresses),
        phones: body.phones,
        custom_fields: body.custom_fields,
    };
    let card =
        api.desk.write(&caller, move |cx| customers::update(cx, id.0, seen.expected(), &change)).await?;
    let etag = card.customer.etag();
    Ok(answer::changed(&CustomerView::from(card), &etag))
}
