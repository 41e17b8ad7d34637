//! Access tokens by the hash of their secret.

use crate::access::Scope;
use crate::id::{AgentId, MailboxId, TokenId};
use crate::network::Networks;
use crate::people::{Token, TokenKind};
use crate::store::conn::Conn;
use crate::store::schema::tokens;
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::time::Timestamp;
use diesel::prelude::*;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = tokens)]
struct Row {
    id: TokenId,
    kind: TokenKind,
    name: String,
    agent_id: Option<AgentId>,
    scopes: Json<Vec<Scope>>,
    mailbox_ids: Option<Json<Vec<MailboxId>>>,
    allowed_networks: Option<Json<Networks>>,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    previous_until: Option<Timestamp>,
    version: i64,
    created_at: Timestamp,
}

impl From<Row> for Token {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            name: row.name,
            agent_id: row.agent_id,
            scopes: row.scopes.into_inner(),
            mailbox_ids: row.mailbox_ids.map(Json::into_inner),
            allowed_networks: row.allowed_networks.map(Json::into_inner),
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            previous_until: row.previous_until,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

/// Keeps a token under the hash of its secret.
pub fn insert(conn: &mut Conn, token: &Token, secret_hash: &str) -> Result<(), StoreError> {
    diesel::insert_into(tokens::table)
        .values((
            tokens::id.eq(&token.id),
            tokens::kind.eq(token.kind),
            tokens::name.eq(&token.name),
            tokens::secret_hash.eq(secret_hash),
            tokens::agent_id.eq(token.agent_id),
            tokens::scopes.eq(Json::new(token.scopes.clone())),
            tokens::mailbox_ids.eq(token.mailbox_ids.clone().map(Json::new)),
            tokens::allowed_networks.eq(token.allowed_networks.clone().map(Json::new)),
            tokens::expires_at.eq(token.expires_at),
            tokens::version.eq(token.version),
            tokens::created_at.eq(token.created_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// The token with this secret, or that had it and keeps it for a while, unless it was revoked.
pub fn find_by_secret(
    conn: &mut Conn,
    secret_hash: &str,
    now: Timestamp,
) -> Result<Option<Token>, StoreError> {
    let live = || tokens::table.filter(tokens::revoked_at.is_null()).select(Row::as_select());
    let row: Option<Row> = live().filter(tokens::secret_hash.eq(secret_hash)).first(conn).optional()?;
    if let Some(row) = row {
        return Ok(Some(Token::from(row)));
    }
    let row: Option<Row> = live()
        .filter(tokens::previous_hash.assume_not_null().eq(secret_hash))
        .filter(tokens::previous_until.assume_not_null().gt(now))
        .first(conn)
        .optional()?;
    Ok(row.map(Token::from))
}

/// Writes what may change of a token. `None`: somebody else changed it first, or it has ended.
pub fn update(conn: &mut Conn, before: &Token, after: &Token) -> Result<Option<Token>, StoreError> {
    let row: Option<Row> = diesel::update(same(before))
        .set((
            tokens::name.eq(&after.name),
            tokens::scopes.eq(Json::new(after.scopes.clone())),
            tokens::mailbox_ids.eq(after.mailbox_ids.clone().map(Json::new)),
            tokens::allowed_networks.eq(after.allowed_networks.clone().map(Json::new)),
            tokens::expires_at.eq(after.expires_at),
            tokens::version.eq(before.version + 1),
        ))
        .returning(returning::<Row>())
        .get_result(conn)
        .optional()?;
    Ok(row.map(Token::from))
}

/// Gives a token another secret; the one before opens until then, if that is said. `None`: somebody else changed
/// it first, or it has ended.
pub fn set_secret(
    conn: &mut Conn,
    before: &Token,
    secret_hash: &str,
    previous_until: Option<Timestamp>,
) -> Result<Option<Token>, StoreError> {
    let held: String = tokens::table.find(&before.id).select(tokens::secret_hash).first(conn)?;
    let row: Option<Row> = diesel::update(same(before))
        .set((
            tokens::secret_hash.eq(secret_hash),
            tokens::previous_hash.eq(previous_until.map(|_| held)),
            tokens::previous_until.eq(previous_until),
            tokens::version.eq(before.version + 1),
        ))
        .returning(returning::<Row>())
        .get_result(conn)
        .optional()?;
    Ok(row.map(Token::from))
}

#[diesel::dsl::auto_type]
fn same<'a>(before: &'a Token) -> _ {
    let id: &'a TokenId = &before.id;
    let version: i64 = before.version;
    tokens::table
        .filter(tokens::id.eq(id))
        .filter(tokens::version.eq(version))
        .filter(tokens::revoked_at.is_null())
}

/// A token by its public name, unless it was revoked.
pub fn find(conn: &mut Conn, id: &TokenId) -> Result<Option<Token>, StoreError> {
    let row: Option<Row> = tokens::table
        .find(id)
        .filter(tokens::revoked_at.is_null())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(Token::from))
}

/// Every token that was made and not revoked, oldest first.
pub fn list(conn: &mut Conn) -> Result<Vec<Token>, StoreError> {
    let rows: Vec<Row> = tokens::table
        .filter(tokens::kind.eq(TokenKind::Token))
        .filter(tokens::revoked_at.is_null())
        .order(tokens::id.asc())
        .select(Row::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(Token::from).collect())
}

/// Ends a token. `false`: it has ended already.
pub fn revoke(conn: &mut Conn, id: &TokenId, now: Timestamp) -> Result<bool, StoreError> {
    let live = tokens::table.find(id).filter(tokens::revoked_at.is_null());
    Ok(diesel::update(live).set(tokens::revoked_at.eq(now)).execute(conn)? == 1)
}

/// Notes that a token was used.
pub fn touch(conn: &mut Conn, id: &TokenId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(tokens::table.find(id)).set(tokens::last_used_at.eq(now)).execute(conn)?;
    Ok(())
}
