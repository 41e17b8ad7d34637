//! Codes besides the password: their secrets, sealed, and what helps who lost them.

use crate::id::AgentId;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{agent_totp, recovery_codes};
use crate::time::Timestamp;
use diesel::prelude::*;

/// What an agent's codes are made of.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = agent_totp, treat_none_as_default_value = false)]
pub struct TotpRow {
    /// Whose.
    pub agent_id: AgentId,
    /// The secret, sealed.
    pub secret: Vec<u8>,
    /// When a first code proved that the agent has it; `None`: not yet, and none is asked for.
    pub confirmed_at: Option<Timestamp>,
    /// The step of the last code that was taken: none of it or before is taken any more.
    pub last_step: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What an agent's codes are made of.
pub fn find(conn: &mut Conn, agent: AgentId) -> Result<Option<TotpRow>, StoreError> {
    Ok(agent_totp::table.find(agent).select(TotpRow::as_select()).first(conn).optional()?)
}

/// Writes it, in the place of what was there.
pub fn put(conn: &mut Conn, row: &TotpRow) -> Result<(), StoreError> {
    delete(conn, row.agent_id)?;
    diesel::insert_into(agent_totp::table).values(row).execute(conn)?;
    Ok(())
}

/// Takes a code's step. `false`: this one, or a later one, was taken before.
pub fn take_step(conn: &mut Conn, agent: AgentId, step: i64) -> Result<bool, StoreError> {
    let later = agent_totp::table.find(agent).filter(agent_totp::last_step.lt(step));
    Ok(diesel::update(later).set(agent_totp::last_step.eq(step)).execute(conn)? == 1)
}

/// Codes are asked for from now on. `false`: they were already.
pub fn confirm(conn: &mut Conn, agent: AgentId, now: Timestamp) -> Result<bool, StoreError> {
    let begun = agent_totp::table.find(agent).filter(agent_totp::confirmed_at.is_null());
    Ok(diesel::update(begun).set(agent_totp::confirmed_at.eq(now)).execute(conn)? == 1)
}

/// Codes are not asked for any more. `false`: there were none.
pub fn delete(conn: &mut Conn, agent: AgentId) -> Result<bool, StoreError> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::agent_id.eq(agent))).execute(conn)?;
    Ok(diesel::delete(agent_totp::table.find(agent)).execute(conn)? == 1)
}

/// Puts recovery codes in the place of those there were.
pub fn put_recovery(
    conn: &mut Conn,
    agent: AgentId,
    hashes: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::agent_id.eq(agent))).execute(conn)?;
    let row = |hash: &String| {
        (
            recovery_codes::hash.eq(hash.clone()),
            recovery_codes::agent_id.eq(agent),
            recovery_codes::created_at.eq(now),
        )
    };
    let rows: Vec<_> = hashes.iter().map(row).collect();
    each_backend!(conn => diesel::insert_into(recovery_codes::table).values(&rows).execute(conn))?;
    Ok(())
}

/// Uses a recovery code up. `false`: there is none such, or somebody else did.
pub fn take_recovery(conn: &mut Conn, agent: AgentId, hash: &str) -> Result<bool, StoreError> {
    let code = recovery_codes::table.find(hash).filter(recovery_codes::agent_id.eq(agent));
    Ok(diesel::delete(code).execute(conn)? == 1)
}

/// How many recovery codes are left.
pub fn recovery_left(conn: &mut Conn, agent: AgentId) -> Result<i64, StoreError> {
    Ok(recovery_codes::table.filter(recovery_codes::agent_id.eq(agent)).count().get_result(conn)?)
}
