//! Which database a test runs on: SQLite, or PostgreSQL when the suite runs the second time.

use crate::postgres::Postgres;
use crate::workdir::WorkDir;
use std::env;

/// One of the two databases that everything runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file in the test's folder.
    Sqlite,
    /// A database of its own on the shared server.
    Postgres,
}

/// What this run of the suite is for: `POSTROOM_TEST_DATABASE` is `sqlite` (or not set) or
/// `postgres`.
///
/// # Panics
/// If it is anything else.
pub fn kind() -> Kind {
    match env::var("POSTROOM_TEST_DATABASE").as_deref() {
        Err(_) | Ok("" | "sqlite") => Kind::Sqlite,
        Ok("postgres") => Kind::Postgres,
        Ok(other) => panic!("POSTROOM_TEST_DATABASE={other:?}: sqlite or postgres"),
    }
}

/// The URL of a new, empty database of this run's kind: `sqlite:FOLDER/postroom.db`, or
/// `postgres://…`. `dir` must outlive its use.
///
/// # Panics
/// If PostgreSQL is wanted and none can be had.
pub fn fresh(dir: &WorkDir) -> String {
    match kind() {
        Kind::Sqlite => format!("sqlite:{}", dir.join("postroom.db").display()),
        Kind::Postgres => Postgres::shared().database(),
    }
}

/// The long tests run too: `POSTROOM_TEST_LONG=1`, which `tests/run --long` sets.
pub fn is_long_run() -> bool {
    env::var("POSTROOM_TEST_LONG").is_ok_and(|value| value == "1")
}
