//! The desk's own roles.

use crate::access::Scope;
use crate::id::{AgentId, RoleId};
use crate::role::CustomRole;
use crate::store::conn::Conn;
use crate::store::schema::{agents, roles};
use crate::store::types::Json;
use crate::store::{StoreError, returning};
use crate::text::fold;
use crate::time::Timestamp;
use diesel::prelude::*;

/// Every role of the desk's own, in the order of their numbers.
pub fn list(conn: &mut Conn) -> Result<Vec<CustomRole>, StoreError> {
    Ok(roles::table.order(roles::id.asc()).select(CustomRole::as_select()).load(conn)?)
}

/// One role.
pub fn find(conn: &mut Conn, id: RoleId) -> Result<Option<CustomRole>, StoreError> {
    Ok(roles::table.find(id).select(CustomRole::as_select()).first(conn).optional()?)
}

/// The role of this name, whatever its case.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<CustomRole>, StoreError> {
    Ok(roles::table
        .filter(roles::name_folded.eq(fold(name)))
        .select(CustomRole::as_select())
        .first(conn)
        .optional()?)
}

/// Makes a role.
pub fn insert(
    conn: &mut Conn,
    name: &str,
    scopes: &[Scope],
    sees_all: bool,
    now: Timestamp,
) -> Result<CustomRole, StoreError> {
    Ok(diesel::insert_into(roles::table)
        .values((
            roles::name.eq(name),
            roles::name_folded.eq(fold(name)),
            roles::scopes.eq(Json::new(scopes.to_vec())),
            roles::sees_all.eq(sees_all),
            roles::version.eq(1_i64),
            roles::created_at.eq(now),
            roles::updated_at.eq(now),
        ))
        .returning(returning::<CustomRole>())
        .get_result(conn)?)
}

/// Writes `after` over `before`, one version on. `None`: somebody else changed it first.
pub fn update(
    conn: &mut Conn,
    before: &CustomRole,
    after: &CustomRole,
    now: Timestamp,
) -> Result<Option<CustomRole>, StoreError> {
    let same = roles::table.find(before.id).filter(roles::version.eq(before.version));
    Ok(diesel::update(same)
        .set((
            roles::name.eq(&after.name),
            roles::name_folded.eq(fold(&after.name)),
            roles::scopes.eq(&after.scopes),
            roles::sees_all.eq(after.sees_all),
            roles::version.eq(before.version + 1),
            roles::updated_at.eq(now),
        ))
        .returning(returning::<CustomRole>())
        .get_result(conn)
        .optional()?)
}

/// Removes a role. `false`: somebody else changed it first.
pub fn delete(conn: &mut Conn, before: &CustomRole) -> Result<bool, StoreError> {
    let same = roles::table.find(before.id).filter(roles::version.eq(before.version));
    Ok(diesel::delete(same).execute(conn)? == 1)
}

/// Some agent who has a role, disabled or not.
pub fn holder(conn: &mut Conn, id: RoleId) -> Result<Option<AgentId>, StoreError> {
    Ok(agents::table
        .filter(agents::custom_role_id.eq(id))
        .order(agents::id.asc())
        .select(agents::id)
        .first(conn)
        .optional()?)
}
