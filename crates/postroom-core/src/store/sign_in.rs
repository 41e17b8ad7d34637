//! How people sign in: hashes of passwords, tries that are counted, secrets that open once.

use crate::id::AgentId;
use crate::sign_in::OneTimePurpose;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{agent_passwords, one_time_secrets, sign_in_tries};
use crate::time::Timestamp;
use diesel::prelude::*;

/// The hash of an agent's password.
pub fn password(conn: &mut Conn, agent: AgentId) -> Result<Option<String>, StoreError> {
    Ok(agent_passwords::table.find(agent).select(agent_passwords::hash).first(conn).optional()?)
}

/// Writes an agent's password, whatever it was.
pub fn set_password(conn: &mut Conn, agent: AgentId, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    let row = (
        agent_passwords::agent_id.eq(agent),
        agent_passwords::hash.eq(hash),
        agent_passwords::changed_at.eq(now),
    );
    each_backend!(conn => diesel::insert_into(agent_passwords::table)
        .values(row)
        .on_conflict(agent_passwords::agent_id)
        .do_update()
        .set((agent_passwords::hash.eq(hash), agent_passwords::changed_at.eq(now)))
        .execute(conn))?;
    Ok(())
}

/// Writes the same password's hash anew, unless another password was set meanwhile.
pub fn rehash(conn: &mut Conn, agent: AgentId, before: &str, after: &str) -> Result<(), StoreError> {
    let same = agent_passwords::table.find(agent).filter(agent_passwords::hash.eq(before));
    diesel::update(same).set(agent_passwords::hash.eq(after)).execute(conn)?;
    Ok(())
}

/// The tries of one name that still count, oldest first.
pub fn tries(conn: &mut Conn, who: &str, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    Ok(sign_in_tries::table
        .filter(sign_in_tries::who.eq(who))
        .filter(sign_in_tries::created_at.gt(since))
        .order((sign_in_tries::created_at.asc(), sign_in_tries::id.asc()))
        .select(sign_in_tries::created_at)
        .load(conn)?)
}

/// Counts a try. Returns its number.
pub fn insert_try(conn: &mut Conn, who: &str, now: Timestamp) -> Result<i64, StoreError> {
    Ok(diesel::insert_into(sign_in_tries::table)
        .values((sign_in_tries::who.eq(who), sign_in_tries::created_at.eq(now)))
        .returning(sign_in_tries::id)
        .get_result(conn)?)
}

/// Takes tries back that were none.
pub fn delete_tries(conn: &mut Conn, ids: &[i64]) -> Result<(), StoreError> {
    diesel::delete(sign_in_tries::table.filter(sign_in_tries::id.eq_any(ids))).execute(conn)?;
    Ok(())
}

/// Forgets the tries of a name.
pub fn delete_tries_of(conn: &mut Conn, who: &str) -> Result<(), StoreError> {
    diesel::delete(sign_in_tries::table.filter(sign_in_tries::who.eq(who))).execute(conn)?;
    Ok(())
}

/// A secret that opens once.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = one_time_secrets, treat_none_as_default_value = false)]
pub struct OneTime {
    /// SHA-256 of the secret.
    pub hash: String,
    /// Whom it lets in.
    pub agent_id: AgentId,
    /// For what.
    pub purpose: OneTimePurpose,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps a secret under its hash; those for the same purpose that went before it open nothing any more.
pub fn put_one_time(conn: &mut Conn, secret: &OneTime) -> Result<(), StoreError> {
    delete_one_time(conn, secret.agent_id, Some(secret.purpose))?;
    diesel::insert_into(one_time_secrets::table).values(secret).execute(conn)?;
    Ok(())
}

/// Finds a secret by its hash.
pub fn find_one_time(conn: &mut Conn, hash: &str) -> Result<Option<OneTime>, StoreError> {
    Ok(one_time_secrets::table.find(hash).select(OneTime::as_select()).first(conn).optional()?)
}

/// Uses a secret up. `false`: somebody else did.
pub fn take_one_time(conn: &mut Conn, hash: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(one_time_secrets::table.find(hash)).execute(conn)? == 1)
}

/// Ends an agent's secrets: for one purpose, or all.
pub fn delete_one_time(
    conn: &mut Conn,
    agent: AgentId,
    purpose: Option<OneTimePurpose>,
) -> Result<(), StoreError> {
    let all = one_time_secrets::table.filter(one_time_secrets::agent_id.eq(agent));
    match purpose {
        Some(purpose) => diesel::delete(all.filter(one_time_secrets::purpose.eq(purpose))).execute(conn)?,
        None => diesel::delete(all).execute(conn)?,
    };
    Ok(())
}

/// Forgets what counts no more and opens nothing any more.
pub fn delete_old(conn: &mut Conn, tries_before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    diesel::delete(sign_in_tries::table.filter(sign_in_tries::created_at.le(tries_before))).execute(conn)?;
    diesel::delete(one_time_secrets::table.filter(one_time_secrets::expires_at.le(now))).execute(conn)?;
    Ok(())
}
