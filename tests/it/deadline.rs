//! Nobody's question keeps the database busy for longer than it may, and the desk's own work is not bounded.

use crate::mailing::*;
use crate::problems::problem;
use diesel::RunQueryDsl;
use postroom_core::store::StoreError;
use postroom_core::store::conn::{self, Conn, Mode};
use postroom_core::store::deadline::Deadline;
use serde_json::json;
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_broken_off_at_its_time() {
    let mut desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let landed = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Printer on fire")).await;
    let lists = [
        "/api/v1/conversations",
        "/api/v1/conversations?count=true&q=subject:%22on%20fire%22",
        "/api/v1/conversations?q=printer",
        "/api/v1/conversations?q=printer&sort=relevance",
        "/api/v1/customers?q=ada",
    ];
    for path in lists {
        assert_eq!(list(&desk, path).await.len(), 1, "{path}");
    }
    desk.restart_with(|config| config.limits.query_seconds = 0).await;
    for path in lists {
        let told = problem(&desk.http.get(path).await, 503, "query_too_slow");
        assert!(told["detail"].as_str().is_some_and(|detail| detail.contains("ask for less")), "{told}");
    }
    // The desk's own work takes its time.
    let next = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("It burns still")).await;
    assert_ne!(next.conversation, landed.conversation);
    desk.stop().await;
}

/// Runs one statement that never ends by itself, or one that does.
fn run(conn: &mut Conn, is_endless: bool) -> Result<(), StoreError> {
    conn::transaction(conn, Mode::Read, |conn| {
        let done = match conn {
            Conn::Postgres(conn) => {
                let statement = if is_endless { "SELECT pg_sleep(3600)" } else { "SELECT pg_sleep(0)" };
                diesel::sql_query(statement).execute(conn)
            }
            Conn::Sqlite(conn) => {
                let bound = if is_endless { "TRUE" } else { "n < 1000" };
                let statement = format!(
                    "WITH RECURSIVE all_numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_numbers \
                     WHERE {bound}) SELECT count(*) FROM all_numbers WHERE in_time() AND n < 0"
                );
                diesel::sql_query(statement).execute(conn)
            }
        };
        done.map(drop).map_err(StoreError::from)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_goes_on_is_ended() {
    let desk = TestDesk::start().await;
    let conn = &mut database(desk.config());
    {
        let _deadline = Deadline::begin(Duration::from_millis(50));
        assert!(matches!(run(conn, true), Err(StoreError::TooSlow)));
        assert!(run(conn, false).is_err() || matches!(conn, Conn::Postgres(_)), "its time is over");
    }
    run(conn, false).expect("the next one has all the time");
    {
        let _deadline = Deadline::begin(Duration::from_secs(3_600));
        run(conn, false).expect("there is time left");
    }
    desk.stop().await;
}
