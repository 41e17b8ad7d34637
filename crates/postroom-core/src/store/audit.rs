//! The audit log.

use crate::actor::ActorType;
use crate::audit::AuditRow;
use crate::page::{Page, PageRequest, Position};
use crate::store::StoreError;
use crate::store::conn::{Conn, MultiBackend, each_backend};
use crate::store::schema::audit_log;
use crate::time::Timestamp;
use diesel::prelude::*;

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of any of these kinds; none is all.
    pub kinds: Vec<String>,
    /// By this caller: what kind, and which one.
    pub actor: Option<(ActorType, String)>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub before: Option<Timestamp>,
}

/// One page, newest first.
pub fn list(conn: &mut Conn, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRow>, StoreError> {
    let total = if page.count { Some(matching(filter).count().get_result(conn)?) } else { None };
    let mut query = matching(filter);
    if let Some(after) = page.after {
        query = query.filter(audit_log::id.lt(after.id));
    }
    let rows =
        query.order(audit_log::id.desc()).limit(page.fetch()).select(AuditRow::as_select()).load(conn)?;
    let cut = Page::cut(rows, page, |row| Position { key: row.id, id: row.id });
    Ok(Page { total, ..cut })
}

fn matching(filter: &AuditFilter) -> audit_log::BoxedQuery<'_, MultiBackend> {
    let mut query = audit_log::table.into_boxed();
    if !filter.kinds.is_empty() {
        query = query.filter(audit_log::kind.eq_any(&filter.kinds));
    }
    if let Some((kind, id)) = &filter.actor {
        query = query
            .filter(audit_log::actor_type.eq(*kind))
            .filter(audit_log::actor_id.assume_not_null().eq(id));
    }
    if let Some(since) = filter.since {
        query = query.filter(audit_log::created_at.ge(since));
    }
    if let Some(before) = filter.before {
        query = query.filter(audit_log::created_at.lt(before));
    }
    query
}

/// The last row.
pub fn last(conn: &mut Conn) -> Result<Option<AuditRow>, StoreError> {
    Ok(audit_log::table.order(audit_log::id.desc()).select(AuditRow::as_select()).first(conn).optional()?)
}

/// The rows behind a number, oldest first.
pub fn behind(conn: &mut Conn, id: i64, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
    Ok(audit_log::table
        .filter(audit_log::id.gt(id))
        .order(audit_log::id.asc())
        .limit(limit)
        .select(AuditRow::as_select())
        .load(conn)?)
}

/// Adds rows. The caller holds the lock and has chained them.
pub fn insert(conn: &mut Conn, rows: &[AuditRow]) -> Result<(), StoreError> {
    // SQLite takes 32,766 values in one statement.
    for rows in rows.chunks(1_000) {
        each_backend!(conn => diesel::insert_into(audit_log::table).values(rows).execute(conn))?;
    }
    Ok(())
}
