//! Marks: cheap to ask for, and never the same across a commit that somebody could see in between.
//!
//! SQLite counts what other connections commit to its file (`PRAGMA data_version`,
//! <https://www.sqlite.org/pragma.html#pragma_data_version>), other processes' included; asking reads shared memory. So a
//! connection that never writes is asked, where the request is answered.
//!
//! PostgreSQL is asked which transactions can be seen (`pg_current_snapshot`,
//! <https://www.postgresql.org/docs/15/functions-info.html>, table 9.80): whoever writes has a number of their own,
//! and from the commit on it is no longer among those under way. A position in the log would not do: a commit is
//! written there before it can be seen. It is a round trip, so one thread makes it for all who wait: whoever came before it
//! began.

use crate::mark::Mark;
use crate::store::conn::{self, Conn, DatabaseUrl};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, define_sql_function};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// So long one waits for PostgreSQL's answer; who gets none reads, which takes as long as it takes.
const PATIENCE: Duration = Duration::from_millis(100);

define_sql_function! {
    /// The transactions that can be seen; `bytea` stands for what the server calls `pg_snapshot`, whose bytes are
    /// compared and not read.
    fn pg_current_snapshot() -> Binary;
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

/// Tells marks. The connection for it is opened when the first one is asked for.
pub struct Marks(Way);

enum Way {
    Sqlite(Mutex<Watch>),
    Postgres(Mutex<Asked>),
}

/// The thread that asks PostgreSQL, once it is there. It ends when nobody can ask it any more.
struct Asked {
    url: DatabaseUrl,
    questions: Option<mpsc::Sender<Question>>,
}

type Question = oneshot::Sender<Option<Mark>>;

impl Marks {
    /// Marks of this database.
    pub fn new(url: DatabaseUrl) -> Self {
        Self(match url {
            DatabaseUrl::Sqlite(_) => Way::Sqlite(Mutex::new(Watch::new(url))),
            DatabaseUrl::Postgres(_) => Way::Postgres(Mutex::new(Asked { url, questions: None })),
        })
    }

    /// The mark now. `None`: the database can't tell at the moment; then nothing that was found out before may be used.
    pub async fn now(&self) -> Option<Mark> {
        let asked = match &self.0 {
            Way::Sqlite(watch) => {
                return watch.lock().unwrap_or_else(PoisonError::into_inner).look();
            }
            Way::Postgres(asked) => asked.lock().unwrap_or_else(PoisonError::into_inner).ask(),
        };
        tokio::time::timeout(PATIENCE, asked?).await.ok()?.ok()?
    }
}

impl Asked {
    fn ask(&mut self) -> Option<oneshot::Receiver<Option<Mark>>> {
        let (mut question, answer) = oneshot::channel();
        if let Some(questions) = &self.questions {
            match questions.send(question) {
                Ok(()) => return Some(answer),
                // The thread is gone; another takes its place.
                Err(mpsc::SendError(unheard)) => question = unheard,
            }
        }
        let (questions, asked) = mpsc::channel();
        let watch = Watch::new(self.url.clone());
        let thread = thread::Builder::new().name("marks".to_owned()).spawn(move || answer_all(watch, &asked));
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread could be started that looks for changes");
            return None;
        }
        questions.send(question).ok()?;
        self.questions = Some(questions);
        Some(answer)
    }
}

/// Looks once for all who have asked until then.
fn answer_all(mut watch: Watch, asked: &mpsc::Receiver<Question>) {
    while let Ok(first) = asked.recv() {
        let waiting: Vec<Question> = std::iter::once(first).chain(asked.try_iter()).collect();
        let mark = watch.look();
        for question in waiting {
            // Who waits no longer needs no answer.
            let _ = question.send(mark);
        }
    }
}

/// A connection of its own that looks whether something has changed since it last looked.
struct Watch {
    url: DatabaseUrl,
    conn: Option<Conn>,
    seen: Vec<u8>,
    mark: Mark,
}

impl Watch {
    fn new(url: DatabaseUrl) -> Self {
        Self { url, conn: None, seen: Vec::new(), mark: Mark::default() }
    }

    fn look(&mut self) -> Option<Mark> {
        if self.conn.is_none() {
            self.conn = Some(open(&self.url)?);
            // What was seen over another connection says nothing about this one.
            self.seen.clear();
        }
        let Ok(sees) = self.conn.as_mut().map(sees)? else {
            self.conn = None;
            return None;
        };
        if sees != self.seen {
            self.seen = sees;
            self.mark.0 += 1;
        }
        Some(self.mark)
    }
}

fn open(url: &DatabaseUrl) -> Option<Conn> {
    let mut conn = conn::open(url).ok()?;
    if let Conn::Sqlite(conn) = &mut conn {
        // Who answers requests asks over it: it never waits.
        conn.batch_execute("PRAGMA busy_timeout = 0; PRAGMA query_only = ON").ok()?;
    }
    Some(conn)
}

/// What is different once something was committed; never empty.
fn sees(conn: &mut Conn) -> QueryResult<Vec<u8>> {
    match conn {
        Conn::Postgres(conn) => diesel::select(pg_current_snapshot()).get_result(conn),
        Conn::Sqlite(conn) => diesel::sql_query("PRAGMA data_version")
            .get_result::<DataVersion>(conn)
            .map(|row| row.data_version.to_be_bytes().to_vec()),
    }
}
