//! How long one who asks may keep a connection busy: a query that goes through all there is holds up nobody else
//! for long.
//!
//! The time belongs to the thread that works on the transaction. PostgreSQL is told of it when the transaction
//! begins, for each of its statements; SQLite asks [`in_time`] for each row of a list of conversations. Whatever asks
//! again and again asks [`check`] between two statements.

use crate::store::StoreError;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Bool;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, define_sql_function};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What SQLite says of a statement that [`in_time`] ended.
pub(super) const TOO_LATE: &str = "the time for this query is over";

define_sql_function! {
    /// True as long as there is time left; then it ends the statement. On SQLite alone.
    fn in_time() -> Bool;
}

/// The answer of [`in_time`]: an error once the time is over.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = Bool)]
struct InTime;

impl ToSql<Bool, Sqlite> for InTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if is_over() {
            return Err(TOO_LATE.into());
        }
        out.set_value(1);
        Ok(IsNull::No)
    }
}

/// Lets a connection ask [`in_time`].
pub(super) fn register(conn: &mut SqliteConnection) -> QueryResult<()> {
    in_time_utils::register_nondeterministic_impl(conn, || InTime)
}

/// Bounds what this thread reads until it is dropped.
#[derive(Debug)]
pub struct Deadline(());

impl Deadline {
    /// From now on, for so long.
    pub fn begin(time: Duration) -> Self {
        ENDS.set(Instant::now().checked_add(time));
        Self(())
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        ENDS.set(None);
    }
}

/// What is left of this thread's time; `None`: it is not bounded.
pub(super) fn left() -> Option<Duration> {
    ENDS.get().map(|ends| ends.saturating_duration_since(Instant::now()))
}

fn is_over() -> bool {
    left().is_some_and(|left| left.is_zero())
}

/// Fails with [`StoreError::TooSlow`] where the time is over.
pub(super) fn check() -> Result<(), StoreError> {
    if is_over() { Err(StoreError::TooSlow) } else { Ok(()) }
}

/// Tells PostgreSQL how long each statement of the open transaction may take, where that is bounded.
pub(super) fn words_for_postgres() -> String {
    left().map_or_else(String::new, |left| {
        format!("; SET LOCAL statement_timeout = {}", left.as_millis().max(1))
    })
}
