//! Words are looked up in the full-text index, and what is found comes in the order of numbers: a word that is
//! everywhere is walked no further than its page, and a rare one costs what there is of it.

use super::{CONVERSATIONS, execute, filled};
use diesel::sql_types::{Array, BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use postroom_core::id::{ConversationId, MessageId};
use postroom_core::store::conn::Conn;
use postroom_core::store::search::{self, Chunk};
use support::database;
use support::workdir::WorkDir;

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// A desk each of whose conversations has one word, and one in a thousand another.
fn indexed(dir: &WorkDir) -> Conn {
    let mut conn = filled(dir);
    let chunks: Vec<Chunk> = (1..=CONVERSATIONS)
        .map(|n| Chunk {
            conversation_id: Some(ConversationId(n)),
            first_message_id: Some(MessageId(0)),
            content: format!("common w{n}{}", if n % 1_000 == 0 { " rare" } else { "" }),
            ..Chunk::default()
        })
        .collect();
    for some in chunks.chunks(1_000) {
        search::insert(&mut conn, some).expect("they are put in");
    }
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    conn
}

/// How candidates with a word are found.
fn plan(conn: &mut Conn, word: &str, newest_first: bool) -> String {
    let behind = if newest_first { i64::MAX } else { 0 };
    match conn {
        Conn::Sqlite(conn) => {
            let sql = if newest_first { search::SQLITE_NEWEST_FIRST } else { search::SQLITE_OLDEST_FIRST };
            let query = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).bind::<Text, _>(format!("\"{word}\""));
            let query = query.bind::<BigInt, _>(behind).bind::<BigInt, _>(200);
            let steps: Vec<Step> = query.load(conn).expect("SQLite explains itself");
            steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n")
        }
        Conn::Postgres(conn) => {
            let sql =
                if newest_first { search::POSTGRES_NEWEST_FIRST } else { search::POSTGRES_OLDEST_FIRST };
            let query = sql_query(format!("EXPLAIN (COSTS OFF) {sql}")).bind::<Text, _>(format!("'{word}'"));
            lines(query.bind::<BigInt, _>(behind).bind::<BigInt, _>(200).load(conn))
        }
    }
}

fn lines(found: diesel::QueryResult<Vec<Line>>) -> String {
    let lines = found.expect("PostgreSQL explains itself");
    lines.into_iter().map(|line| line.line).collect::<Vec<_>>().join("\n")
}

#[test]
fn words_are_found_by_the_full_text_index() {
    let dir = WorkDir::new("explain");
    let mut conn = indexed(&dir);
    for newest_first in [true, false] {
        for (word, is_rare) in [("common", false), ("rare", true), ("nowhere", true)] {
            let plan = plan(&mut conn, word, newest_first);
            assert!(!plan.contains("Seq Scan") && !plan.contains("TEMP B-TREE"), "{word}:\n{plan}");
            let by_index = if is_rare { "search_words_words" } else { "Index Scan" };
            assert!(plan.contains("VIRTUAL TABLE INDEX") || plan.contains(by_index), "{word}:\n{plan}");
            assert!(is_rare || !plan.contains("Sort"), "what is everywhere is not sorted:\n{plan}");
        }
    }
}

/// What is to be marked in a page is asked of its own chunks, not of all that have the word.
#[test]
fn what_is_marked_is_looked_up_by_number() {
    let dir = WorkDir::new("explain");
    let mut conn = indexed(&dir);
    let of: Vec<(ConversationId, i32)> = (1..=25).map(|n| (ConversationId(n * 500), 0)).collect();
    let ids: Vec<i64> = of.iter().map(|(id, _)| id.0).collect();
    let plan = match &mut conn {
        Conn::Sqlite(conn) => {
            let rows: Vec<String> = ids.iter().map(|id| (id << 16).to_string()).collect();
            let query = sql_query(format!("EXPLAIN QUERY PLAN {}", search::SQLITE_CHUNKS_AMONG));
            let query = query.bind::<Text, _>("\"common\"").bind::<Text, _>(format!("[{}]", rows.join(",")));
            let steps: Vec<Step> = query.load(conn).expect("SQLite explains itself");
            steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n")
        }
        Conn::Postgres(conn) => {
            let query = sql_query(format!("EXPLAIN (COSTS OFF) {}", search::POSTGRES_CHUNKS_AMONG));
            lines(query.bind::<Text, _>("'common'").bind::<Array<BigInt>, _>(ids).load(conn))
        }
    };
    assert!(!plan.contains("Seq Scan"), "{plan}");
    // FTS5 says by a mark for the row's number ("=") that it goes there at once.
    let by_number = ["search_words_pkey", "VIRTUAL TABLE INDEX 0:M4=", "VIRTUAL TABLE INDEX 0:=M4"];
    assert!(by_number.iter().any(|mark| plan.contains(mark)), "{plan}");
}
