//! Sessions: tokens that somebody got by signing in.

use crate::id::{AgentId, TokenId};
use crate::people::TokenKind;
use crate::sign_in::Session;
use crate::store::StoreError;
use crate::store::conn::Conn;
use crate::store::schema::tokens;
use crate::time::Timestamp;
use diesel::prelude::*;

type Row = (
    TokenId,
    Option<AgentId>,
    Option<String>,
    Option<String>,
    Option<Timestamp>,
    Option<Timestamp>,
    Timestamp,
);

/// Notes from where somebody signed in for a session.
pub fn set_origin(
    conn: &mut Conn,
    id: &TokenId,
    address: Option<&str>,
    user_agent: Option<&str>,
) -> Result<(), StoreError> {
    diesel::update(tokens::table.find(id))
        .set((tokens::signed_in_from.eq(address), tokens::signed_in_with.eq(user_agent)))
        .execute(conn)?;
    Ok(())
}

/// An agent's sessions that have not ended, newest first.
pub fn list(
    conn: &mut Conn,
    agent: AgentId,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let rows: Vec<Row> = tokens::table
        .filter(tokens::agent_id.eq(agent))
        .filter(tokens::kind.eq(TokenKind::Session))
        .filter(tokens::revoked_at.is_null())
        .filter(tokens::expires_at.gt(now))
        .filter(
            tokens::last_used_at
                .gt(idle_since)
                .or(tokens::last_used_at.is_null().and(tokens::created_at.gt(idle_since))),
        )
        .order((tokens::created_at.desc(), tokens::id.desc()))
        .select((
            tokens::id,
            tokens::agent_id,
            tokens::signed_in_from,
            tokens::signed_in_with,
            tokens::last_used_at,
            tokens::expires_at,
            tokens::created_at,
        ))
        .load(conn)?;
    let sessions = rows.into_iter().filter_map(|row| {
        let (id, agent_id, address, user_agent, last_used_at, expires_at, created_at) = row;
        let agent_id = agent_id?;
        Some(Session { id, agent_id, address, user_agent, last_used_at, expires_at, created_at })
    });
    Ok(sessions.collect())
}

/// Ends an agent's sessions, but for one. Returns how many.
pub fn end_all(
    conn: &mut Conn,
    agent: AgentId,
    but: Option<&TokenId>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let live = tokens::table
        .filter(tokens::agent_id.eq(agent))
        .filter(tokens::kind.eq(TokenKind::Session))
        .filter(tokens::revoked_at.is_null());
    let ended = tokens::revoked_at.eq(now);
    Ok(match but {
        Some(but) => diesel::update(live.filter(tokens::id.ne(but))).set(ended).execute(conn)?,
        None => diesel::update(live).set(ended).execute(conn)?,
    })
}

/// Forgets sessions that ended before a moment.
pub fn delete_before(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let sessions = tokens::table.filter(tokens::kind.eq(TokenKind::Session));
    let over = tokens::expires_at.lt(before).or(tokens::revoked_at.lt(before));
    Ok(diesel::delete(sessions.filter(over)).execute(conn)?)
}
