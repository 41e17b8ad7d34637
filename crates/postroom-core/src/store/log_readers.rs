//! How far those have come who read the event log from its beginning to its end, by their names.

use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::log_readers;
use diesel::prelude::*;

/// Everything up to here was looked at; `None`: nothing yet.
pub fn position(conn: &mut Conn, name: &str) -> Result<Option<i64>, StoreError> {
    Ok(log_readers::table.find(name).select(log_readers::position).first(conn).optional()?)
}

/// Moves it on from where it was. `false`: another daemon did.
pub fn set_position(conn: &mut Conn, name: &str, from: Option<i64>, to: i64) -> Result<bool, StoreError> {
    let Some(from) = from else {
        let row = (log_readers::name.eq(name), log_readers::position.eq(to));
        let made = each_backend!(conn => diesel::insert_into(log_readers::table)
            .values(row)
            .on_conflict_do_nothing()
            .execute(conn))?;
        return Ok(made == 1);
    };
    let same = log_readers::table.find(name).filter(log_readers::position.eq(from));
    Ok(diesel::update(same).set(log_readers::position.eq(to)).execute(conn)? == 1)
}
