//! The full-text index: SQLite's FTS5 and PostgreSQL's tsvector, both fed with words that are cut and folded
//! by [`crate::fulltext`], so that both find the same. A conversation stands in it as chunks.

use super::conversations::Predicate;
use crate::fulltext::Phrase;
use crate::id::{ConversationId, MessageId};
use crate::query::Place;
use crate::store::StoreError;
use crate::store::conn::{Conn, each_backend};
use crate::store::schema::{conversations, search_chunks, search_stale};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// Chunks of one conversation at the most: their numbers are the last 16 bits of SQLite's row numbers.
pub const CHUNKS: i32 = 1 << 16;
/// Stands between texts, so that no phrase is found across their border.
pub const BORDER: char = '\u{E000}';

/// Which of the two databases a condition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Which one this connection is to.
pub fn database(conn: &Conn) -> Database {
    match conn {
        Conn::Sqlite(_) => Database::Sqlite,
        Conn::Postgres(_) => Database::Postgres,
    }
}

/// What is looked for: all of it, in one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    phrases: Vec<(Place, Phrase)>,
    only_head: bool,
}

impl Wanted {
    /// All of these phrases.
    pub fn new(phrases: Vec<(Place, Phrase)>) -> Self {
        Self { phrases, only_head: false }
    }

    /// The same, but what may stand anywhere must stand in subject or people.
    #[must_use]
    pub fn in_head(&self) -> Self {
        Self { only_head: true, ..self.clone() }
    }

    /// For FTS5: `{subject people} : ("late ord" *) AND ("x")` (<https://www.sqlite.org/fts5.html>, 3).
    fn fts5(&self) -> String {
        let each = self.phrases.iter().map(|(place, phrase)| {
            let columns = match place {
                Place::Anywhere if self.only_head => "{subject people} : ",
                Place::Anywhere => "",
                Place::Subject => "{subject} : ",
                Place::File => "{files} : ",
            };
            // Folded words hold neither quotes nor blanks.
            format!("{columns}\"{}\"{}", phrase.words.join(" "), if phrase.is_open { " *" } else { "" })
        });
        each.collect::<Vec<_>>().join(" AND ")
    }

    /// For PostgreSQL: `('late':AB <-> 'ord':*AB) & 'x':AB`
    /// (<https://www.postgresql.org/docs/15/datatype-textsearch.html>).
    fn tsquery(&self) -> String {
        let each = self.phrases.iter().map(|(place, phrase)| {
            let weights = match place {
                Place::Anywhere if self.only_head => "AB",
                Place::Anywhere => "",
                Place::Subject => "A",
                Place::File => "C",
            };
            let last = phrase.words.len().saturating_sub(1);
            let words = phrase.words.iter().enumerate().map(|(index, word)| {
                let open = if phrase.is_open && index == last { "*" } else { "" };
                let mark = if open.is_empty() && weights.is_empty() { "" } else { ":" };
                format!("'{}'{mark}{open}{weights}", lexeme(word))
            });
            format!("({})", words.collect::<Vec<_>>().join(" <-> "))
        });
        each.collect::<Vec<_>>().join(" & ")
    }
}

/// A word as it stands in quotes; folded words hold no quotes and no backslash, and are not trusted to.
fn lexeme(word: &str) -> String {
    word.replace(['\'', '\\'], "")
}

/// That a conversation has what is looked for.
pub fn matches(database: Database, wanted: &Wanted) -> Predicate {
    use diesel::dsl::sql;
    match database {
        Database::Sqlite => Box::new(
            sql::<Bool>(
                "conversations.id IN (SELECT rowid >> 16 FROM search_words WHERE search_words MATCH ",
            )
            .bind::<Text, _>(wanted.fts5())
            .sql(")"),
        ),
        Database::Postgres => Box::new(
            sql::<Bool>("conversations.id IN (SELECT conversation_id FROM search_words WHERE words @@ CAST(")
                .bind::<Text, _>(wanted.tsquery())
                .sql(" AS tsquery))"),
        ),
    }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Conversations in which something was found, in the order asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Which.
    pub ids: Vec<ConversationId>,
    /// There are no more behind them.
    pub is_last: bool,
}

/// The next conversations that have what is looked for, whoever may see them: by number, behind `after`, from
/// at most `chunks` chunks.
pub fn candidates(
    conn: &mut Conn,
    wanted: &Wanted,
    newest_first: bool,
    after: Option<ConversationId>,
    chunks: usize,
) -> Result<Candidates, StoreError> {
    let limit = i64::try_from(chunks).unwrap_or(i64::MAX);
    let rows: Vec<Found> = match conn {
        Conn::Sqlite(conn) => {
            let (sql, bound) = if newest_first {
                let bound = after.map_or(i64::MAX, |id| id.0.saturating_mul(1 << 16));
                (SQLITE_NEWEST_FIRST, bound)
            } else {
                // The first row of the next conversation.
                let bound = after.map_or(0, |id| id.0.saturating_add(1).saturating_mul(1 << 16));
                (SQLITE_OLDEST_FIRST, bound)
            };
            let query = diesel::sql_query(sql).bind::<Text, _>(wanted.fts5());
            query.bind::<BigInt, _>(bound).bind::<BigInt, _>(limit).load(conn)?
        }
        Conn::Postgres(conn) => {
            let (sql, bound) = if newest_first {
                (POSTGRES_NEWEST_FIRST, after.map_or(i64::MAX, |id| id.0))
            } else {
                (POSTGRES_OLDEST_FIRST, after.map_or(0, |id| id.0))
            };
            let query = diesel::sql_query(sql).bind::<Text, _>(wanted.tsquery());
            query.bind::<BigInt, _>(bound).bind::<BigInt, _>(limit).load(conn)?
        }
    };
    let is_last = rows.len() < chunks;
    let mut ids: Vec<ConversationId> = rows.into_iter().map(|row| ConversationId(row.id)).collect();
    ids.dedup();
    Ok(Candidates { ids, is_last })
}

/// The queries behind [`candidates`]; a test asks EXPLAIN about them.
pub const SQLITE_NEWEST_FIRST: &str = "SELECT rowid >> 16 AS id FROM search_words WHERE search_words MATCH ? \
                                       AND rowid < ? ORDER BY rowid DESC LIMIT ?";
/// See [`SQLITE_NEWEST_FIRST`].
pub const SQLITE_OLDEST_FIRST: &str = "SELECT rowid >> 16 AS id FROM search_words WHERE search_words MATCH ? \
                                       AND rowid >= ? ORDER BY rowid LIMIT ?";
/// See [`SQLITE_NEWEST_FIRST`].
pub const POSTGRES_NEWEST_FIRST: &str = "SELECT conversation_id AS id FROM search_words WHERE words @@ CAST($1 AS tsquery) AND conversation_id < $2 \
     ORDER BY conversation_id DESC, chunk DESC LIMIT $3";
/// See [`SQLITE_NEWEST_FIRST`].
pub const POSTGRES_OLDEST_FIRST: &str = "SELECT conversation_id AS id FROM search_words WHERE words @@ CAST($1 AS tsquery) AND conversation_id > $2 \
     ORDER BY conversation_id, chunk LIMIT $3";

/// Which of these conversations have what is looked for.
pub fn among(
    conn: &mut Conn,
    wanted: &Wanted,
    ids: &[ConversationId],
) -> Result<HashSet<ConversationId>, StoreError> {
    let (Some(least), Some(most)) = (ids.iter().min(), ids.iter().max()) else {
        return Ok(HashSet::new());
    };
    let rows: Vec<Found> = match conn {
        Conn::Sqlite(conn) => diesel::sql_query(
            "SELECT rowid >> 16 AS id FROM search_words WHERE search_words MATCH ? AND rowid BETWEEN ? AND ?",
        )
        .bind::<Text, _>(wanted.fts5())
        .bind::<BigInt, _>(least.0.saturating_mul(1 << 16))
        .bind::<BigInt, _>(most.0.saturating_add(1).saturating_mul(1 << 16).saturating_sub(1))
        .load(conn)?,
        Conn::Postgres(conn) => diesel::sql_query(
            "SELECT conversation_id AS id FROM search_words WHERE words @@ CAST($1 AS tsquery) \
             AND conversation_id BETWEEN $2 AND $3",
        )
        .bind::<Text, _>(wanted.tsquery())
        .bind::<BigInt, _>(least.0)
        .bind::<BigInt, _>(most.0)
        .load(conn)?,
    };
    Ok(rows.into_iter().map(|row| ConversationId(row.id)).collect())
}

/// Which of these chunks have what is looked for.
pub fn chunks_among(
    conn: &mut Conn,
    wanted: &Wanted,
    of: &[(ConversationId, i32)],
) -> Result<HashSet<(ConversationId, i32)>, StoreError> {
    if of.is_empty() {
        return Ok(HashSet::new());
    }
    let row = |(id, chunk): &(ConversationId, i32)| id.0.saturating_mul(1 << 16) + i64::from(*chunk);
    let rows: Vec<Found> = match conn {
        Conn::Sqlite(conn) => {
            let numbers: Vec<String> = of.iter().map(|one| row(one).to_string()).collect();
            diesel::sql_query(SQLITE_CHUNKS_AMONG)
                .bind::<Text, _>(wanted.fts5())
                .bind::<Text, _>(format!("[{}]", numbers.join(",")))
                .load(conn)?
        }
        Conn::Postgres(conn) => {
            let mut ids: Vec<i64> = of.iter().map(|(id, _)| id.0).collect();
            ids.dedup();
            diesel::sql_query(POSTGRES_CHUNKS_AMONG)
                .bind::<Text, _>(wanted.tsquery())
                .bind::<Array<BigInt>, _>(ids)
                .load(conn)?
        }
    };
    let found: HashSet<i64> = rows.into_iter().map(|row| row.id).collect();
    Ok(of.iter().filter(|one| found.contains(&row(one))).copied().collect())
}

/// The queries behind [`chunks_among`]; a test asks EXPLAIN about them.
pub const SQLITE_CHUNKS_AMONG: &str = "SELECT rowid AS id FROM search_words WHERE search_words MATCH ? \
                                       AND rowid IN (SELECT value FROM json_each(?))";
/// See [`SQLITE_CHUNKS_AMONG`].
pub const POSTGRES_CHUNKS_AMONG: &str = "SELECT conversation_id * 65536 + chunk AS id FROM search_words \
                                         WHERE words @@ CAST($1 AS tsquery) AND conversation_id = ANY($2)";

/// A stretch of a conversation, as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Whose.
    pub conversation_id: Option<ConversationId>,
    /// Which one, from 0.
    pub chunk: i32,
    /// The first of its messages; 0 where it begins in the midst of one, or there is none.
    pub first_message_id: Option<MessageId>,
    /// The words of the conversation's subject, with a blank between them, as in the others.
    pub subject: String,
    /// The words of names and addresses.
    pub people: String,
    /// The words of the texts.
    pub content: String,
    /// The words of the names of files.
    pub files: String,
}

/// Where the chunks of these conversations begin.
pub fn chunks(
    conn: &mut Conn,
    of: &[ConversationId],
) -> Result<Vec<(ConversationId, i32, MessageId)>, StoreError> {
    Ok(search_chunks::table
        .filter(search_chunks::conversation_id.eq_any(of))
        .order((search_chunks::conversation_id.asc(), search_chunks::chunk.asc()))
        .select((search_chunks::conversation_id, search_chunks::chunk, search_chunks::first_message_id))
        .load(conn)?)
}

/// Takes a conversation's chunks from this one on out of the index.
pub fn remove_from(conn: &mut Conn, of: ConversationId, chunk: i32) -> Result<(), StoreError> {
    let all = search_chunks::table
        .filter(search_chunks::conversation_id.eq(of))
        .filter(search_chunks::chunk.ge(chunk));
    diesel::delete(all).execute(conn)?;
    Ok(())
}

diesel::table! {
    /// SQLite's; PostgreSQL's has other columns.
    search_words (rowid) {
        rowid -> BigInt,
        subject -> Text,
        people -> Text,
        content -> Text,
        files -> Text,
    }
}

/// Puts chunks into the index.
pub fn insert(conn: &mut Conn, new: &[Chunk]) -> Result<(), StoreError> {
    let heads: Vec<_> = new
        .iter()
        .map(|chunk| {
            (
                search_chunks::conversation_id.eq(chunk.conversation_id.unwrap_or(ConversationId(0))),
                search_chunks::chunk.eq(chunk.chunk),
                search_chunks::first_message_id.eq(chunk.first_message_id.unwrap_or(MessageId(0))),
            )
        })
        .collect();
    for heads in heads.chunks(500) {
        each_backend!(conn => diesel::insert_into(search_chunks::table).values(heads).execute(conn))?;
    }
    match conn {
        Conn::Sqlite(conn) => {
            for chunk in new {
                let id = chunk.conversation_id.map_or(0, |id| id.0);
                diesel::insert_into(search_words::table)
                    .values((
                        search_words::rowid.eq(id.saturating_mul(1 << 16) + i64::from(chunk.chunk)),
                        search_words::subject.eq(&chunk.subject),
                        search_words::people.eq(&chunk.people),
                        search_words::content.eq(&chunk.content),
                        search_words::files.eq(&chunk.files),
                    ))
                    .execute(conn)?;
            }
        }
        Conn::Postgres(conn) => {
            let ids: Vec<i64> = new.iter().map(|chunk| chunk.conversation_id.map_or(0, |id| id.0)).collect();
            let numbers: Vec<i64> = new.iter().map(|chunk| i64::from(chunk.chunk)).collect();
            let words: Vec<String> = new.iter().map(tsvector).collect();
            diesel::sql_query(
                "INSERT INTO search_words (conversation_id, chunk, words) SELECT c, n, CAST(w AS tsvector) \
                 FROM unnest($1, $2, $3) AS t (c, n, w)",
            )
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<BigInt>, _>(numbers)
            .bind::<Array<Text>, _>(words)
            .execute(conn)?;
        }
    }
    Ok(())
}

/// A chunk as PostgreSQL reads it: `'late':1A 'order':2A,17`. Subject A, people B, files C, texts D.
fn tsvector(chunk: &Chunk) -> String {
    // Positions end at 16,383; what stands behind is found, but in no phrase.
    const LAST: usize = 16_383;
    let mut places: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    let mut at = 0;
    for (words, weight) in
        [(&chunk.subject, "A"), (&chunk.people, "B"), (&chunk.files, "C"), (&chunk.content, "")]
    {
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            at = (at + 1).min(LAST);
            if !word.starts_with(BORDER) {
                places.entry(word).or_default().push((at, weight));
            }
        }
        at = (at + 1).min(LAST);
    }
    let mut text = String::new();
    for (word, places) in places {
        // Writing to a String can't fail.
        let _ = write!(text, "'{}':", lexeme(word));
        for (index, (at, weight)) in places.into_iter().enumerate() {
            let _ = write!(text, "{}{at}{weight}", if index == 0 { "" } else { "," });
        }
        text.push(' ');
    }
    text
}

/// Notes that conversations must be put into the index anew.
pub fn note_stale(conn: &mut Conn, stale: &[ConversationId]) -> Result<(), StoreError> {
    for stale in stale.chunks(1_000) {
        let rows: Vec<_> = stale.iter().map(|id| search_stale::conversation_id.eq(*id)).collect();
        each_backend!(conn => diesel::insert_into(search_stale::table)
            .values(&rows).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// Notes that of all conversations.
pub fn note_all_stale(conn: &mut Conn) -> Result<usize, StoreError> {
    diesel::delete(search_stale::table).execute(conn)?;
    Ok(each_backend!(conn => conversations::table
        .select(conversations::id)
        .insert_into(search_stale::table)
        .into_columns(search_stale::conversation_id)
        .execute(conn))?)
}

/// Takes up to `limit` conversations that must be put into the index anew, and forgets that they must.
pub fn take_stale(conn: &mut Conn, limit: i64) -> Result<Vec<ConversationId>, StoreError> {
    let ids: Vec<ConversationId> = search_stale::table
        .order(search_stale::conversation_id.desc())
        .limit(limit)
        .select(search_stale::conversation_id)
        .load(conn)?;
    // What somebody else took at the same moment is theirs: two would put the same chunks in.
    let found = search_stale::table.filter(search_stale::conversation_id.eq_any(&ids));
    Ok(diesel::delete(found).returning(search_stale::conversation_id).get_results(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(all: &[(Place, &str, bool)]) -> Wanted {
        let phrase = |text: &str, is_exact| Phrase::of(text, is_exact).expect("there is a word");
        Wanted::new(all.iter().map(|(place, text, is_exact)| (*place, phrase(text, *is_exact))).collect())
    }

    #[test]
    fn each_database_is_asked_in_its_own_words() {
        let asked = wanted(&[
            (Place::Anywhere, "Order", false),
            (Place::Subject, "late order", true),
            (Place::File, "bill.pdf", false),
        ]);
        assert_eq!(asked.fts5(), r#""order" * AND {subject} : "late order" AND {files} : "bill pdf" *"#);
        assert_eq!(asked.tsquery(), "('order':*) & ('late':A <-> 'order':A) & ('bill':C <-> 'pdf':*C)");
        let head = wanted(&[(Place::Anywhere, "4711", false)]).in_head();
        assert_eq!(head.fts5(), r#"{subject people} : "4711""#);
        assert_eq!(head.tsquery(), "('4711':AB)");
    }

    #[test]
    fn a_chunk_is_written_with_places_and_weights() {
        let chunk = Chunk {
            subject: "late order".to_owned(),
            people: "ada".to_owned(),
            content: format!("late {BORDER} late"),
            ..Chunk::default()
        };
        assert_eq!(tsvector(&chunk), "'ada':4B 'late':1A,7,9 'order':2A ");
    }
}
