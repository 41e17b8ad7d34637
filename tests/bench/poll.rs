//! How a desk's one mailbox was polled the first time, as the daemon writes it down.

use crate::place::Place;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel::{PgConnection, SqliteConnection};
use std::thread;
use std::time::Duration;

/// Between two looks at how far the daemon is; the times themselves are the daemon's own.
const LOOK: Duration = Duration::from_millis(20);

/// A poll that is through.
#[derive(Debug, QueryableByName)]
pub struct Poll {
    /// Mails that became messages.
    #[diesel(sql_type = BigInt)]
    pub accepted: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    began: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    ended: Option<i64>,
}

/// A connection for looking.
enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Poll {
    /// Waits until the mailbox was polled to its end.
    pub fn wait(desk: &Place) -> Self {
        const REACHED: &str = "the daemon has made its database";
        let url = desk.settings.iter().find(|(name, _)| *name == "POSTROOM__DATABASE__URL");
        let mut conn = if let Some((_, url)) = url {
            Conn::Postgres(PgConnection::establish(url).expect(REACHED))
        } else {
            let file = desk.dir().join("data/postroom.db").display().to_string();
            Conn::Sqlite(SqliteConnection::establish(&file).expect(REACHED))
        };
        loop {
            thread::sleep(LOOK);
            // Looking costs the daemon nothing: readers hold up nobody.
            let query =
                "SELECT accepted, last_attempt_at AS began, last_success_at AS ended FROM mailbox_states";
            let polls = match &mut conn {
                Conn::Sqlite(conn) => diesel::sql_query(query).load::<Self>(conn),
                Conn::Postgres(conn) => diesel::sql_query(query).load::<Self>(conn),
            };
            let polls = polls.expect("the daemon's tables are there");
            if let Some(poll) = polls.into_iter().find(|poll| poll.ended.is_some()) {
                return poll;
            }
        }
    }

    /// Seconds that it took, by the daemon's clock.
    pub fn seconds(&self) -> f64 {
        (self.ended.unwrap_or(0) - self.began.unwrap_or(0)) as f64 / 1e6
    }
}
