//! Facts of the installation itself.

use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::settings;
use diesel::prelude::*;

/// The value under a key.
pub fn find(conn: &mut Conn, key: &str) -> Result<Option<String>, StoreError> {
    Ok(settings::table.find(key).select(settings::value).first(conn).optional()?)
}

/// Writes a value unless there is one; returns what is there then.
pub fn insert_or_read(conn: &mut Conn, key: &str, value: &str) -> Result<String, StoreError> {
    each_backend!(conn => diesel::insert_into(settings::table)
        .values((settings::key.eq(key), settings::value.eq(value)))
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(settings::table.find(key).select(settings::value).first(conn)?)
}

/// Writes a value, whatever was there.
pub fn set(conn: &mut Conn, key: &str, value: &str) -> Result<(), StoreError> {
    each_backend!(conn => diesel::insert_into(settings::table)
        .values((settings::key.eq(key), settings::value.eq(value)))
        .on_conflict(settings::key)
        .do_update()
        .set(settings::value.eq(value))
        .execute(conn))?;
    Ok(())
}

/// Forgets a value.
pub fn delete(conn: &mut Conn, key: &str) -> Result<(), StoreError> {
    diesel::delete(settings::table.find(key)).execute(conn)?;
    Ok(())
}
