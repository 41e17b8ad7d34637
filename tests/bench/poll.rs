//! How a desk's one mailbox was polled the first time, as the daemon writes it down.

use crate::place::Place;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel::sqlite::Sqlite;
use diesel::{PgConnection, SqliteConnection};
use std::thread;
use std::time::Duration;

/// Between two looks at how far the daemon is; the times themselves are the daemon's own.
const LOOK: Duration = Duration::from_millis(20);

/// A poll that is through.
pub struct Poll {
    /// Messages that were asked for and are there.
    pub messages: i64,
    /// Seconds that it took, by the daemon's clock.
    pub seconds: f64,
}

#[derive(Debug, QueryableByName)]
struct State {
    #[diesel(sql_type = Nullable<BigInt>)]
    began: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    ended: Option<i64>,
}

#[derive(Debug, QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    messages: i64,
}

/// A connection for looking.
enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Conn {
    fn rows<T: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static>(&mut self, query: &str) -> Vec<T> {
        let rows = match self {
            Self::Sqlite(conn) => diesel::sql_query(query).load::<T>(conn),
            Self::Postgres(conn) => diesel::sql_query(query).load::<T>(conn),
        };
        rows.expect("the daemon's tables are there")
    }
}

impl Poll {
    /// Waits until the mailbox was polled to its end, and counts the messages that meet a condition.
    pub fn wait(desk: &Place, condition: &str) -> Self {
        const REACHED: &str = "the daemon has made its database";
        let url = desk.settings.iter().find(|(name, _)| *name == "POSTROOM__DATABASE__URL");
        let mut conn = if let Some((_, url)) = url {
            Conn::Postgres(PgConnection::establish(url).expect(REACHED))
        } else {
            let file = desk.dir().join("data/postroom.db").display().to_string();
            Conn::Sqlite(SqliteConnection::establish(&file).expect(REACHED))
        };
        let (began, ended) = loop {
            thread::sleep(LOOK);
            // Looking costs the daemon nothing: readers hold up nobody.
            let query = "SELECT last_attempt_at AS began, last_success_at AS ended FROM mailbox_states";
            let through = |state: State| Some((state.began?, state.ended?));
            if let Some(times) = conn.rows(query).into_iter().find_map(through) {
                break times;
            }
        };
        let count = format!("SELECT count(*) AS messages FROM messages WHERE {condition}");
        let messages = conn.rows(&count).iter().map(|count: &Count| count.messages).sum();
        Self { messages, seconds: (ended - began) as f64 / 1e6 }
    }
}
