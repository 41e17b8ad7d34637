//! A database that can't keep one mail, as if postroom stumbled over it, and what a test does to
//! rows behind everybody's back.

use diesel::connection::SimpleConnection;
use postroom_core::store::conn::{self, DatabaseUrl};
use support::desk::TestDesk;

/// The subject of the mail that can't be kept.
pub const SUBJECT: &str = "Poison";

/// Runs statements on a database.
pub fn run(database: &DatabaseUrl, statements: &str) {
    conn::open(database).expect("the database is there").batch_execute(statements).expect("they are right");
}

/// The database of a desk.
pub fn of(desk: &TestDesk) -> DatabaseUrl {
    desk.config().database_url().expect("the desk runs on it")
}

/// No message with [`SUBJECT`] can be kept from now on.
pub fn poison(database: &DatabaseUrl) {
    run(
        database,
        match database {
            DatabaseUrl::Sqlite(_) => {
                "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.subject = 'Poison' \
                 BEGIN SELECT RAISE(ABORT, 'it is poisoned'); END"
            }
            DatabaseUrl::Postgres(_) => {
                "CREATE FUNCTION poison() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'it is poisoned'; END $$ \
                 LANGUAGE plpgsql; CREATE TRIGGER poison BEFORE INSERT ON messages \
                 FOR EACH ROW WHEN (NEW.subject = 'Poison') EXECUTE FUNCTION poison()"
            }
        },
    );
}

/// It can again.
pub fn cure(database: &DatabaseUrl) {
    run(
        database,
        match database {
            DatabaseUrl::Sqlite(_) => "DROP TRIGGER poison",
            DatabaseUrl::Postgres(_) => "DROP TRIGGER poison ON messages; DROP FUNCTION poison()",
        },
    );
}
