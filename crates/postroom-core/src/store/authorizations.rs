//! What mailboxes were authorized for, sealed; what is under way; and the logins that were refused.

use crate::authorization::{AuthorizationState, GrantType, LoginRefusal, Provider};
use crate::id::MailboxId;
use crate::mailbox::End;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{authorization_flows as flows, login_refusals, mailbox_authorizations};
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// An authorization as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_authorizations, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Authorization {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// Who grants it.
    pub provider: Provider,
    /// How it was asked for.
    pub grant_type: GrantType,
    /// The program's name at the provider.
    pub client_id: String,
    /// Its secret, sealed.
    pub client_secret: Option<Vec<u8>>,
    /// The organisation at Microsoft.
    pub tenant: Option<String>,
    /// What was asked for.
    pub scopes: Json<Vec<String>>,
    /// Whether it holds.
    pub state: AuthorizationState,
    /// Sealed.
    pub refresh_token: Option<Vec<u8>>,
    /// Sealed.
    pub access_token: Option<Vec<u8>>,
    /// Until when the access token is good.
    pub expires_at: Option<Timestamp>,
    /// From when on the next one is fetched.
    pub refresh_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// How often in a row the provider refused.
    pub failures: i32,
    /// When it is asked again after that; none: only a person can help.
    pub retry_at: Option<Timestamp>,
    /// Somebody fetches a token until then at the longest.
    pub claimed_until: Option<Timestamp>,
    /// Counts changes; every one is guarded by it.
    pub version: i64,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An authorization that has begun and waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = flows, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Flow {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// Tells it from one that was begun before it or after.
    pub token: String,
    /// Who grants it.
    pub provider: Provider,
    /// How it is asked for.
    pub grant_type: GrantType,
    /// The program's name at the provider.
    pub client_id: String,
    /// Its secret, sealed.
    pub client_secret: Option<Vec<u8>>,
    /// The organisation at Microsoft.
    pub tenant: Option<String>,
    /// What is asked for.
    pub scopes: Json<Vec<String>>,
    /// The PKCE verifier or the device code, sealed.
    pub secret: Vec<u8>,
    /// The hash of what comes back with the person; none once it came.
    pub state_hash: Option<String>,
    /// Where they are sent back to.
    pub redirect_uri: Option<String>,
    /// Seconds between two questions of a device flow.
    pub poll_seconds: Option<i32>,
    /// When the next is due.
    pub next_poll_at: Option<Timestamp>,
    /// Until when it can be completed.
    pub expires_at: Timestamp,
    /// Why it came to nothing.
    pub last_error: Option<String>,
}

/// A mailbox's authorization.
pub fn find(conn: &mut Conn, id: MailboxId) -> Result<Option<Authorization>, StoreError> {
    let row = mailbox_authorizations::table.find(id).select(Authorization::as_select());
    Ok(row.first(conn).optional()?)
}

/// How every authorization stands.
pub fn states(conn: &mut Conn) -> Result<Vec<(MailboxId, AuthorizationState)>, StoreError> {
    let columns = (mailbox_authorizations::mailbox_id, mailbox_authorizations::state);
    Ok(mailbox_authorizations::table.select(columns).load(conn)?)
}

/// The logins that were refused.
pub fn refused(conn: &mut Conn) -> Result<Vec<(MailboxId, End)>, StoreError> {
    Ok(login_refusals::table.select((login_refusals::mailbox_id, login_refusals::login_end)).load(conn)?)
}

/// Puts a first authorization in place.
pub fn insert(conn: &mut Conn, new: &Authorization) -> Result<(), StoreError> {
    diesel::insert_into(mailbox_authorizations::table).values(new).execute(conn)?;
    Ok(())
}

/// Writes over the version that was read. `false`: somebody else was faster.
pub fn update(conn: &mut Conn, before: i64, after: &Authorization) -> Result<bool, StoreError> {
    let same = mailbox_authorizations::table
        .find(after.mailbox_id)
        .filter(mailbox_authorizations::version.eq(before));
    Ok(diesel::update(same).set(after).execute(conn)? == 1)
}

/// Forgets a mailbox's authorization and all that belongs to it. `false`: there was nothing.
pub fn delete(conn: &mut Conn, id: MailboxId) -> Result<bool, StoreError> {
    let held = diesel::delete(mailbox_authorizations::table.find(id)).execute(conn)?;
    let begun = diesel::delete(flows::table.find(id)).execute(conn)?;
    diesel::delete(login_refusals::table.filter(login_refusals::mailbox_id.eq(id))).execute(conn)?;
    Ok(held + begun > 0)
}

/// Begins a flow; one that was begun before is forgotten.
pub fn begin_flow(conn: &mut Conn, flow: &Flow) -> Result<(), StoreError> {
    each_backend!(conn => diesel::insert_into(flows::table)
        .values(flow)
        .on_conflict(flows::mailbox_id)
        .do_update()
        .set(flow)
        .execute(conn))?;
    Ok(())
}

/// A mailbox's flow.
pub fn flow(conn: &mut Conn, id: MailboxId) -> Result<Option<Flow>, StoreError> {
    Ok(flows::table.find(id).select(Flow::as_select()).first(conn).optional()?)
}

/// Takes the flow that a person comes back with. It can be taken once, and not after its time.
pub fn take_flow(conn: &mut Conn, state_hash: &str, now: Timestamp) -> Result<Option<Flow>, StoreError> {
    let found: Option<Flow> = flows::table
        .filter(flows::state_hash.eq(state_hash))
        .filter(flows::expires_at.gt(now))
        .select(Flow::as_select())
        .first(conn)
        .optional()?;
    let Some(flow) = found else { return Ok(None) };
    let same = flows::table.find(flow.mailbox_id).filter(flows::state_hash.eq(state_hash));
    let taken = diesel::update(same).set(flows::state_hash.eq(None::<String>)).execute(conn)?;
    Ok((taken == 1).then_some(flow))
}

/// Device flows whose next question is due.
pub fn due_flows(conn: &mut Conn, now: Timestamp) -> Result<Vec<Flow>, StoreError> {
    Ok(flows::table
        .filter(flows::next_poll_at.le(now))
        .order(flows::mailbox_id.asc())
        .select(Flow::as_select())
        .load(conn)?)
}

/// When the next question of any device flow is due.
pub fn next_poll(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let next: Option<Option<Timestamp>> = flows::table
        .filter(flows::next_poll_at.is_not_null())
        .order(flows::next_poll_at.asc())
        .select(flows::next_poll_at)
        .first(conn)
        .optional()?;
    Ok(next.flatten())
}

/// Puts the next question of a device flow off. `false`: somebody else asks this one.
pub fn put_off(conn: &mut Conn, flow: &Flow, seconds: i32, next: Timestamp) -> Result<bool, StoreError> {
    let same = flows::table
        .find(flow.mailbox_id)
        .filter(flows::token.eq(&flow.token))
        .filter(flows::next_poll_at.eq(flow.next_poll_at));
    let set = (flows::poll_seconds.eq(Some(seconds)), flows::next_poll_at.eq(Some(next)));
    Ok(diesel::update(same).set(set).execute(conn)? == 1)
}

/// Notes that a flow came to nothing. `false`: it is not this one any more.
pub fn fail_flow(conn: &mut Conn, flow: &Flow, why: &str) -> Result<bool, StoreError> {
    let same = flows::table.find(flow.mailbox_id).filter(flows::token.eq(&flow.token));
    let set = (
        flows::last_error.eq(Some(why)),
        flows::state_hash.eq(None::<String>),
        flows::next_poll_at.eq(None::<Timestamp>),
    );
    Ok(diesel::update(same).set(set).execute(conn)? == 1)
}

/// Ends a flow that led somewhere. `false`: it is not this one any more.
pub fn end_flow(conn: &mut Conn, flow: &Flow) -> Result<bool, StoreError> {
    let same = flows::table.find(flow.mailbox_id).filter(flows::token.eq(&flow.token));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// A login that was refused, and how often in a row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = login_refusals)]
pub struct Refusal {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// At which of its servers.
    pub login_end: End,
    /// How often in a row.
    pub refusals: i32,
    /// When it is tried again.
    pub retry_at: Timestamp,
    /// What the server said.
    pub error: String,
}

impl From<Refusal> for LoginRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { end: refusal.login_end, error: refusal.error, retry_at: refusal.retry_at }
    }
}

/// The logins of a mailbox that were refused.
pub fn refusals(conn: &mut Conn, id: MailboxId) -> Result<Vec<Refusal>, StoreError> {
    Ok(login_refusals::table
        .filter(login_refusals::mailbox_id.eq(id))
        .order(login_refusals::login_end.asc())
        .select(Refusal::as_select())
        .load(conn)?)
}

/// The mailboxes whose login at one end was refused and is left alone until after `now`, each with when it
/// is tried again. A time after `latest` came from a clock that has been set back since, and holds nothing
/// up.
pub fn left_alone(
    conn: &mut Conn,
    end: End,
    now: Timestamp,
    latest: Timestamp,
) -> Result<Vec<(MailboxId, Timestamp)>, StoreError> {
    Ok(login_refusals::table
        .filter(login_refusals::login_end.eq(end))
        .filter(login_refusals::retry_at.gt(now))
        .filter(login_refusals::retry_at.le(latest))
        .select((login_refusals::mailbox_id, login_refusals::retry_at))
        .load(conn)?)
}

/// Has a refused login tried as soon as there is a reason to. `false`: none was refused.
pub fn try_at_once(conn: &mut Conn, id: MailboxId, end: End, now: Timestamp) -> Result<bool, StoreError> {
    let changed = diesel::update(login_refusals::table.find((id, end)))
        .set(login_refusals::retry_at.eq(now))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Notes a first refusal. A row that is there already stays: somebody noted the same one.
pub fn insert_refusal(conn: &mut Conn, refusal: &Refusal) -> Result<bool, StoreError> {
    Ok(each_backend!(conn => diesel::insert_into(login_refusals::table)
        .values(refusal)
        .on_conflict_do_nothing()
        .execute(conn))?
        == 1)
}

/// Takes the one try that is due and puts the next off. `false`: somebody else took it.
pub fn take_try(conn: &mut Conn, refusal: &Refusal, next: Timestamp) -> Result<bool, StoreError> {
    let same = login_refusals::table
        .find((refusal.mailbox_id, refusal.login_end))
        .filter(login_refusals::retry_at.eq(refusal.retry_at));
    let set = (login_refusals::refusals.eq(refusal.refusals + 1), login_refusals::retry_at.eq(next));
    Ok(diesel::update(same).set(set).execute(conn)? == 1)
}

/// Notes what the server said to the latest try.
pub fn set_refusal_error(conn: &mut Conn, id: MailboxId, end: End, error: &str) -> Result<(), StoreError> {
    diesel::update(login_refusals::table.find((id, end)))
        .set(login_refusals::error.eq(error))
        .execute(conn)?;
    Ok(())
}

/// Forgets a refusal: the login works. `false`: there was none.
pub fn delete_refusal(conn: &mut Conn, id: MailboxId, end: End) -> Result<bool, StoreError> {
    Ok(diesel::delete(login_refusals::table.find((id, end))).execute(conn)? == 1)
}

/// Forgets all refusals of a mailbox.
pub fn delete_refusals(conn: &mut Conn, id: MailboxId) -> Result<(), StoreError> {
    diesel::delete(login_refusals::table.filter(login_refusals::mailbox_id.eq(id))).execute(conn)?;
    Ok(())
}
