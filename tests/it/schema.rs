//! `schema.rs`, which is written by hand, against the database as the migrations make it; and the
//! migrations up, down and up again.

use crate::program::Shell;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Text};
use postroom_core::store::conn::{self, Conn, DatabaseUrl};
use postroom_core::store::migrate;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use support::database;
use support::workdir::WorkDir;

const SCHEMA: &str = include_str!("../../crates/postroom-core/src/store/schema.rs");

/// A column: its name, its type in diesel's words, whether it may be NULL.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
    nullable: bool,
}

/// The tables as `schema.rs` has them, each with its columns in order.
fn written() -> BTreeMap<String, Vec<Column>> {
    let mut tables = BTreeMap::new();
    let mut table: Option<(String, Vec<Column>)> = None;
    let mut sql_name = None;
    for line in SCHEMA.lines() {
        let text = line.trim();
        match &mut table {
            None if line.starts_with("    ") && text.ends_with(") {") => {
                let (name, _) = text.split_once(' ').expect("a table has a key");
                table = Some((name.to_owned(), Vec::new()));
            }
            Some(_) if text == "}" => tables.extend(table.take()),
            Some((_, columns)) => {
                if let Some(name) = text.strip_prefix("#[sql_name = \"") {
                    sql_name = Some(name.trim_end_matches("\"]").to_owned());
                } else if let Some((name, kind)) = text.trim_end_matches(',').split_once(" -> ") {
                    let bare = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
                    columns.push(Column {
                        name: sql_name.take().unwrap_or_else(|| name.to_owned()),
                        kind: bare.unwrap_or(kind).to_owned(),
                        nullable: bare.is_some(),
                    });
                }
            }
            None => {}
        }
    }
    assert!(tables.len() > 20, "{} tables: schema.rs was not understood", tables.len());
    tables
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

/// The tables as the database has them, but for the full-text index, which each has in its own way.
fn found(conn: &mut Conn) -> BTreeMap<String, Vec<(Column, String)>> {
    let rows: Vec<Row> = match conn {
        Conn::Sqlite(conn) => sql_query(
            "SELECT m.name AS table_name, c.name AS column_name, c.type AS kind, \
             (c.\"notnull\" = 0 AND c.pk = 0) AS nullable \
             FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '__diesel%' \
             AND m.name NOT LIKE 'search_words%' ORDER BY m.name, c.cid",
        )
        .load(conn),
        Conn::Postgres(conn) => sql_query(
            "SELECT table_name::text, column_name::text, data_type::text AS kind, \
             is_nullable = 'YES' AS nullable \
             FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%' \
             AND table_name <> 'search_words' ORDER BY table_name, ordinal_position",
        )
        .load(conn),
    }
    .expect("the database knows its tables");
    let mut tables: BTreeMap<String, Vec<(Column, String)>> = BTreeMap::new();
    for row in rows {
        let column = Column { name: row.column_name, kind: String::new(), nullable: row.nullable };
        tables.entry(row.table_name).or_default().push((column, row.kind));
    }
    tables
}

/// What each database calls a type of diesel's.
fn native(kind: &str) -> &'static str {
    match (database::kind(), kind) {
        (database::Kind::Sqlite, "BigInt" | "Integer" | "Bool") => "INTEGER",
        (database::Kind::Sqlite, "Text") => "TEXT",
        (database::Kind::Sqlite, "Binary") => "BLOB",
        (database::Kind::Postgres, "BigInt") => "bigint",
        (database::Kind::Postgres, "Integer") => "integer",
        (database::Kind::Postgres, "Bool") => "boolean",
        (database::Kind::Postgres, "Text") => "text",
        (database::Kind::Postgres, "Binary") => "bytea",
        (_, other) => panic!("schema.rs has a type that this test does not know: {other}"),
    }
}

fn open(dir: &WorkDir) -> Conn {
    let url = DatabaseUrl::parse(&database::fresh(dir)).expect("the test's URL is one");
    conn::open(&url).expect("the database can be opened")
}

#[test]
fn schema_rs_is_what_the_migrations_make() {
    let dir = WorkDir::new("schema");
    let mut conn = open(&dir);
    migrate::up(&mut conn).unwrap();
    let (written, found) = (written(), found(&mut conn));
    let names = |tables: Vec<&String>| tables.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(written.keys().collect()), names(found.keys().collect()), "the tables");
    for (table, columns) in &written {
        let in_database = &found[table];
        let order: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let order_there: Vec<&str> = in_database.iter().map(|(column, _)| column.name.as_str()).collect();
        assert_eq!(order, order_there, "{table}: the columns in order");
        for (column, (there, kind)) in columns.iter().zip(in_database) {
            assert_eq!(column.nullable, there.nullable, "{table}.{}: NULL", column.name);
            assert_eq!(native(&column.kind), kind, "{table}.{}: type", column.name);
        }
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Everything that the migrations make, in words.
fn dump(conn: &mut Conn) -> Vec<String> {
    let rows: Vec<Line> = match conn {
        Conn::Sqlite(conn) => sql_query(
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS line FROM sqlite_master \
             WHERE name NOT LIKE '__diesel%' AND tbl_name NOT LIKE '__diesel%' AND name <> 'sqlite_sequence' \
             ORDER BY 1",
        )
        .load(conn),
        Conn::Postgres(conn) => sql_query(
            "SELECT line FROM ( \
             SELECT 'column ' || table_name || ' ' || ordinal_position || ' ' || column_name || ' ' || data_type \
             || ' ' || is_nullable || ' ' || coalesce(column_default, '') || ' ' || is_identity AS line \
             FROM information_schema.columns WHERE table_schema = 'public' \
             UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' \
             UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' \
             || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
             UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             UNION ALL SELECT 'sequence ' || sequencename FROM pg_sequences WHERE schemaname = 'public' \
             ) AS all_of_it WHERE line NOT LIKE '%\\_\\_diesel%' ORDER BY line",
        )
        .load(conn),
    }
    .expect("the database can describe itself");
    rows.into_iter().map(|row| row.line).collect()
}

#[test]
fn down_leaves_nothing_and_up_again_the_same() {
    let dir = WorkDir::new("schema");
    let mut conn = open(&dir);
    let applied = migrate::up(&mut conn).unwrap();
    let first = dump(&mut conn);
    assert!(first.len() > 50, "{first:?}");
    assert_eq!(migrate::up(&mut conn).unwrap(), Vec::<String>::new(), "twice is once");
    let mut reverted = Vec::new();
    while let Some(name) = migrate::down(&mut conn).unwrap() {
        reverted.push(name);
    }
    reverted.reverse();
    assert_eq!(reverted, applied);
    assert_eq!(dump(&mut conn), Vec::<String>::new(), "left behind");
    assert_eq!(migrate::up(&mut conn).unwrap(), applied);
    assert_eq!(dump(&mut conn), first);
}

/// A daemon, and a command for its first token, on a new installation.
#[test]
fn several_that_come_first_bring_it_up_to_date_once() {
    for _ in 0..5 {
        let dir = WorkDir::new("schema");
        let url = DatabaseUrl::parse(&database::fresh(&dir)).expect("the test's URL is one");
        let together = Barrier::new(6);
        let applied: Vec<Vec<String>> = thread::scope(|scope| {
            let all: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let mut conn = conn::open(&url).expect("the database can be opened");
                        together.wait();
                        migrate::up(&mut conn).expect("it is brought up to date")
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().expect("none panics")).collect()
        });
        assert_eq!(applied.iter().filter(|names| !names.is_empty()).count(), 1, "{applied:?}");
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |database: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
        let mut names: Vec<String> = fs::read_dir(&folder)
            .expect("there are migrations")
            .map(|entry| entry.expect("can be listed").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        for name in &names {
            for file in ["up.sql", "down.sql"] {
                let text = fs::read_to_string(folder.join(name).join(file)).unwrap_or_default();
                assert!(!text.trim().is_empty(), "{database}/{name}/{file}");
            }
        }
        names
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert_eq!(sqlite, postgres);
    let dir = WorkDir::new("schema");
    let mut conn = open(&dir);
    let (_, missing) = migrate::state(&mut conn).unwrap();
    let numbers: Vec<&str> = sqlite.iter().map(|name| name.split('_').next().unwrap()).collect();
    assert_eq!(missing, numbers, "the program holds the migrations that are in the tree");
}

/// A downgrade must not run on a schema that it doesn't know.
#[test]
fn a_database_of_a_newer_postroom_is_refused_in_words() {
    let shell = Shell::new();
    shell.run(&["migrate"]).well();
    let mut conn = conn::open(&shell.database()).unwrap();
    sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").execute(&mut conn).unwrap();
    for arguments in [&["serve"][..], &["migrate"], &["token", "create", "--name", "x"]] {
        let told = shell.run(arguments);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.err.contains("made by a newer postroom (it has migration 9999)"), "{told:?}");
        assert_eq!(told.out, "");
    }
}

/// What a desk has many of and deletes: whatever refers to one of these is found by an index when it goes.
const MANY: [&str; 5] = ["conversations", "messages", "outbox", "webhook_deliveries", "search_chunks"];

#[derive(QueryableByName)]
struct Reference {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Text)]
    child_column: String,
}

/// Columns that refer to rows of [`MANY`] and begin no index: to delete such a row would read all of the table.
#[test]
fn whatever_refers_to_what_is_deleted_has_an_index() {
    let dir = WorkDir::new("schema");
    let mut conn = open(&dir);
    migrate::up(&mut conn).expect("the migrations run");
    let parents = MANY.map(|name| format!("'{name}'")).join(", ");
    let (all, bare): (Vec<Reference>, Vec<Reference>) = match &mut conn {
        Conn::Sqlite(conn) => {
            let of = format!(
                "SELECT DISTINCT t.name AS child, f.\"from\" AS child_column FROM sqlite_master AS t, \
                 pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table' AND f.\"table\" IN ({parents})"
            );
            let bare = format!(
                "{of} AND f.seq = 0 AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) AS i, \
                 pragma_index_info(i.name) AS c WHERE c.seqno = 0 AND c.name = f.\"from\") \
                 AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c \
                 WHERE c.pk = 1 AND c.type = 'INTEGER' AND c.name = f.\"from\")"
            );
            (
                sql_query(of).load(conn).expect("SQLite knows"),
                sql_query(bare).load(conn).expect("SQLite knows"),
            )
        }
        Conn::Postgres(conn) => {
            let of = format!(
                "SELECT DISTINCT CAST(k.conrelid AS regclass)::text AS child, a.attname::text AS child_column \
                 FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] \
                 WHERE k.contype = 'f' AND CAST(k.confrelid AS regclass)::text IN ({parents})"
            );
            let bare = format!(
                "{of} AND NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = k.conrelid \
                 AND i.indkey[0] = k.conkey[1])"
            );
            (sql_query(of).load(conn).expect("it knows"), sql_query(bare).load(conn).expect("it knows"))
        }
    };
    assert!(all.len() >= 20, "{} columns refer to them", all.len());
    let bare: Vec<String> =
        bare.into_iter().map(|one| format!("{}.{}", one.child, one.child_column)).collect();
    assert_eq!(bare, Vec::<String>::new());
}
