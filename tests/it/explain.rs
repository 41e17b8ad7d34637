//! Lists cost the same at a hundred rows and at a hundred thousand: the database says which index
//! it reads, and that it sorts nothing. Asked about the very queries that the store runs.

use diesel::connection::SimpleConnection;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel::{QueryResult, RunQueryDsl};
use postroom_core::access::{Access, Grant, Level, Scope, Sight};
use postroom_core::conversation::{Assignees, ConversationFilter, ConversationSort, Status};
use postroom_core::id::{AgentId, ConversationId, CustomerId, MailboxId, TeamId};
use postroom_core::listing::{NameSort, Words};
use postroom_core::message::MessageSort;
use postroom_core::operations::watchdogs::waits_since;
use postroom_core::page::{PageRequest, Place, Position, TextPosition};
use postroom_core::store::automatic_mails::{self, NewAutomaticMail};
use postroom_core::store::conn::{self, Conn, DatabaseUrl, MultiBackend};
use postroom_core::store::customers::{CustomerFilter, CustomerSort};
use postroom_core::store::notifications::{self, NotificationFilter};
use postroom_core::store::search::Database;
use postroom_core::store::tags::TagFilter;
use postroom_core::store::{
    collecting, conversations, customers, distributions, events, messages, migrate, pending, presences, tags,
};
use postroom_core::time::Timestamp;
use std::collections::HashSet;
use support::database;
use support::desk::TestDesk;
use support::workdir::WorkDir;

mod custom_fields;
mod search;

/// `EXPLAIN` before a query, its values bound as the store binds them.
struct Explain<Q>(Q, &'static str);

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        pass.unsafe_to_cache_prepared();
        pass.push_sql(self.1);
        self.0.walk_ast(pass)
    }
}

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> RunQueryDsl<Conn> for Explain<Q> {}

/// SQLite's answer: `detail` is the fourth column.
struct OfSqlite<Q>(Explain<Q>);
/// PostgreSQL's: a line of text.
struct OfPostgres<Q>(Explain<Q>);

macro_rules! explained {
    ($name:ident, $columns:ty) => {
        impl<Q> Query for $name<Q> {
            type SqlType = $columns;
        }
        impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for $name<Q> {
            fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
                self.0.walk_ast(pass)
            }
        }
        impl<Q> QueryId for $name<Q> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
        impl<Q> RunQueryDsl<Conn> for $name<Q> {}
    };
}
explained!(OfSqlite, (Integer, Integer, Integer, Text));
explained!(OfPostgres, Text);

/// What the database would do, a step a line.
fn plan(conn: &mut Conn, query: impl QueryFragment<MultiBackend>) -> Vec<String> {
    match database::kind() {
        database::Kind::Sqlite => {
            let query = OfSqlite(Explain(query, "EXPLAIN QUERY PLAN "));
            let rows: Vec<(i32, i32, i32, String)> = query.load(conn).expect("SQLite explains itself");
            rows.into_iter().map(|(_, _, _, detail)| detail).collect()
        }
        database::Kind::Postgres => {
            let query = OfPostgres(Explain(query, "EXPLAIN (COSTS OFF) "));
            query.load(conn).expect("PostgreSQL explains itself")
        }
    }
}

/// No step sorts, and none reads a table from its beginning to its end in no order. SQLite calls
/// it a scan too when it walks the primary key and may stop at any row; `by_key` is for those.
#[track_caller]
fn walks_an_index(name: &str, plan: &[String], by_key: bool) {
    let all = plan.join("\n");
    assert!(!plan.is_empty(), "{name}: no plan");
    for never in ["TEMP B-TREE", "Sort", "Seq Scan", "AUTOMATIC", "SCAN customers", "SCAN customer_addresses"]
    {
        let may = by_key && never == "SCAN customers";
        assert!(may || !all.contains(never), "{name}:\n{all}");
    }
    let uses_index = all.contains("USING INDEX")
        || all.contains("USING COVERING INDEX")
        || all.contains("USING INTEGER PRIMARY KEY")
        || all.contains("Index Scan")
        || all.contains("Index Only Scan");
    assert!(uses_index || by_key, "{name}: reads no index\n{all}");
}

const CUSTOMERS: i64 = 2_000;
const CONVERSATIONS: i64 = 20_000;

/// A desk with a good deal in it: mailbox 1 has nearly everything, mailbox 3 little; one in
/// fifty conversations is open, one in four of one customer.
fn filled(dir: &WorkDir) -> Conn {
    let url = DatabaseUrl::parse(&database::fresh(dir)).expect("the test's URL is one");
    let mut conn = conn::open(&url).expect("the database can be opened");
    migrate::up(&mut conn).expect("the migrations run");
    let series = |name: &str, most: i64| match database::kind() {
        database::Kind::Sqlite => format!(
            "WITH RECURSIVE {name}(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {name} WHERE n < {most})"
        ),
        database::Kind::Postgres => {
            format!("WITH {name} AS (SELECT generate_series(1, {most})::bigint AS n)")
        }
    };
    let no = match database::kind() {
        database::Kind::Sqlite => "0",
        database::Kind::Postgres => "false",
    };
    let statements = [
        format!(
            "{} INSERT INTO mailboxes (id, name, address, aliases, share_group, poll_interval_seconds, source, \
             delivery, strangers, trusted_authserv_ids, relay_addresses, sent_copy, on_uncertain, undo_seconds, paused, is_configured, version, \
             created_at, updated_at) SELECT n, 'm' || n, 'm' || n || '@example.org', '[]', 'g' || n, 60, \
             '{{\"type\":\"push\"}}', '{{\"type\":\"sink\"}}', 'link', '[]', '[]', 'auto', 'hold', 0, {no}, {no}, 1, 1, 1 FROM s",
            series("s", 3)
        ),
        format!(
            "{} INSERT INTO agents (id, name, email, email_folded, role, bounce_notices, version, created_at, updated_at) \
             SELECT n, 'a' || n, 'a' || n || '@x', 'a' || n || '@x', 'agent', {no}, 1, 1, 1 FROM s",
            series("s", 5)
        ),
        format!(
            "{} INSERT INTO tags (id, name, name_folded, description, version, created_at) \
             SELECT n, 'Tag ' || n, 'tag ' || n, '', 1, 1 FROM s",
            series("s", 2_000)
        ),
        format!(
            "{} INSERT INTO customers (id, name, name_folded, version, created_at, updated_at) \
             SELECT n, 'c' || n, 'c' || n, 1, 1, 1 FROM s",
            series("s", CUSTOMERS)
        ),
        format!(
            "{} INSERT INTO customer_addresses (customer_id, email, email_folded, created_at) \
             SELECT n, 'c' || n || '@example.org', 'c' || n || '@example.org', 1 FROM s",
            series("s", CUSTOMERS)
        ),
        format!(
            "{} INSERT INTO conversations (id, mailbox_id, customer_id, subject, status, priority, channel, \
             assignee_id, message_count, last_message_at, version, created_at, updated_at) \
             SELECT n, CASE WHEN n % 100 = 0 THEN 3 WHEN n % 10 = 0 THEN 2 ELSE 1 END, CASE WHEN n % 4 = 0 THEN 77 ELSE 1 + n % {CUSTOMERS} END, 's', \
             CASE WHEN n % 50 = 0 THEN 'open' ELSE 'closed' END, 'normal', 'email', \
             CASE WHEN n % 20 = 0 THEN 1 + (n / 20) % 5 END, 1, n, 1, n, (n * 7919) % 1000000 FROM s",
            series("s", CONVERSATIONS)
        ),
        format!(
            "{} INSERT INTO messages (conversation_id, mailbox_id, kind, class, author_type, recipients, subject, \
             content, has_html, sender_auth, flags, signals, failed_recipients, version, created_at) \
             SELECT 1 + n % {CONVERSATIONS}, 1, 'note', 'human', 'system', '{{}}', 's', 't', {no}, 'none', '[]', '[]', \
             '[]', 1, n FROM s",
            series("s", CONVERSATIONS * 2)
        ),
        format!(
            "{} INSERT INTO events (type, actor_type, conversation_id, mailbox_id, data, created_at) \
             SELECT 'message.received', 'system', 1 + n % {CONVERSATIONS}, 1, '{{}}', n FROM s",
            series("s", CONVERSATIONS)
        ),
    ];
    for statement in statements {
        execute(&mut conn, &statement);
    }
    // PostgreSQL plans by statistics, which it gathers by itself after a while; SQLite goes
    // without, as in a database nobody cares for.
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    conn
}

fn execute(conn: &mut Conn, sql: &str) {
    let done = match conn {
        Conn::Sqlite(conn) => conn.batch_execute(sql),
        Conn::Postgres(conn) => conn.batch_execute(sql),
    };
    done.unwrap_or_else(|error| panic!("{error}\n{sql}"));
}

fn behind(key: i64, id: i64) -> PageRequest {
    PageRequest { limit: 25, after: Some(Position { key, id }), count: false }
}

fn engine() -> Database {
    match database::kind() {
        database::Kind::Sqlite => Database::Sqlite,
        database::Kind::Postgres => Database::Postgres,
    }
}

fn grants(mailboxes: &[i64]) -> Access {
    let grant = |id: &i64| Grant {
        mailbox_id: MailboxId(*id),
        category_id: None,
        assigned_only: false,
        level: Level::Reply,
    };
    Access::new(
        Some(AgentId(1)),
        vec![Scope::ConversationsRead],
        Sight::Only(mailboxes.iter().map(grant).collect()),
    )
}

#[test]
fn lists_of_conversations_walk_an_index_and_sort_nothing() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    let none = ConversationFilter::default;
    let status = |all: &[Status]| ConversationFilter { status: all.to_vec(), ..none() };
    let mailbox = |id: i64| ConversationFilter { mailbox_id: vec![MailboxId(id)], ..none() };
    let customer = ConversationFilter { customer_id: vec![CustomerId(77)], ..none() };
    let assignee = ConversationFilter { assignee: Some(Assignees::Any(vec![AgentId(2)])), ..none() };
    let nobody = ConversationFilter { assignee: Some(Assignees::Nobody), ..none() };
    let both = ConversationFilter { mailbox_id: vec![MailboxId(1)], ..status(&[Status::Open]) };
    let two = ConversationFilter { mailbox_id: vec![MailboxId(1), MailboxId(2)], ..none() };
    let by_id = [ConversationSort::IdDescending, ConversationSort::Id];
    let by_change = [ConversationSort::UpdatedDescending, ConversationSort::Updated];
    let by_creation = [ConversationSort::CreatedDescending, ConversationSort::Created];
    let by_priority = [ConversationSort::PriorityDescending, ConversationSort::Priority];
    let asked = |q: &str| ConversationFilter { query: q.parse().expect("a query"), ..none() };
    let (all, granted) = (Access::system(), grants(&[1, 2]));
    let cases: Vec<(&str, &Access, ConversationFilter, &[ConversationSort])> = vec![
        ("default", &all, none(), &by_id),
        ("by change", &all, none(), &by_change),
        ("open", &all, status(&[Status::Open]), &by_id),
        ("closed", &all, status(&[Status::Closed]), &by_id),
        ("a mailbox", &all, mailbox(1), &by_id),
        ("a small mailbox", &all, mailbox(3), &by_id),
        ("a customer", &all, customer, &by_id),
        ("an assignee", &all, assignee, &by_id),
        ("nobody's", &all, nobody, &by_id),
        ("open in a mailbox", &all, both.clone(), &by_id),
        ("open or pending", &all, status(&[Status::Open, Status::Pending]), &by_id),
        ("two mailboxes", &all, two, &by_id),
        ("by beginning", &all, none(), &by_creation),
        ("by priority", &all, none(), &by_priority),
        ("open, by change", &all, status(&[Status::Open]), &by_change),
        ("closed, by beginning", &all, status(&[Status::Closed]), &by_creation),
        ("open or pending, by change", &all, status(&[Status::Open, Status::Pending]), &by_change),
        ("a mailbox, by change", &all, mailbox(1), &by_change),
        ("a small mailbox, by beginning", &all, mailbox(3), &by_creation),
        ("open in a mailbox, by change", &all, both, &by_change),
        ("granted, by change", &granted, none(), &by_change),
        ("granted and closed, by beginning", &granted, status(&[Status::Closed]), &by_creation),
        ("open, as a query", &all, asked("is:open"), &by_id),
        ("not spam in a mailbox", &all, asked("mailbox:1 -is:spam"), &by_id),
        ("the trash", &all, asked("is:trash"), &by_id),
        ("the trash of a mailbox", &granted, asked("is:trash mailbox:1"), &by_id),
    ];
    for (name, access, filter, sorts) in cases {
        for sort in sorts {
            let middle = if by_change.contains(sort) {
                behind(500_000, 100)
            } else if by_priority.contains(sort) {
                behind(1, 10_000)
            } else {
                behind(10_000, 10_000)
            };
            for (page, request) in [("first", PageRequest::first(25)), ("second", middle)] {
                for query in conversations::pages(engine(), access, &filter, *sort, request) {
                    let plan = plan(&mut conn, query);
                    let by_key = name == "default" && page == "first";
                    walks_an_index(&format!("{name}, {sort}, {page} page"), &plan, by_key);
                }
            }
        }
    }
}

/// An agent with grants on some mailboxes opens the same list as the owner, all day long.
#[test]
fn an_agents_own_list_walks_an_index_and_sorts_nothing() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    for (name, access) in [("one mailbox", grants(&[1])), ("two mailboxes", grants(&[1, 2]))] {
        for (page, request) in [("first", PageRequest::first(25)), ("second", behind(10_000, 10_000))] {
            for filter in [
                ConversationFilter::default(),
                ConversationFilter { status: vec![Status::Open], ..ConversationFilter::default() },
                ConversationFilter {
                    status: vec![Status::Open, Status::Pending],
                    mailbox_id: vec![MailboxId(1), MailboxId(2)],
                    ..ConversationFilter::default()
                },
            ] {
                let sort = ConversationSort::IdDescending;
                for query in conversations::pages(engine(), &access, &filter, sort, request) {
                    let plan = plan(&mut conn, query);
                    walks_an_index(&format!("{name}, {:?}, {page} page", filter.status), &plan, false);
                }
            }
        }
    }
}

#[test]
fn messages_events_and_customers_are_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    for sort in MessageSort::ALL.iter().copied() {
        for request in [PageRequest::first(25), behind(500, 500)] {
            let plan = plan(&mut conn, messages::page_of(ConversationId(77), sort, request));
            walks_an_index("messages of a conversation", &plan, false);
        }
    }
    for kinds in [vec![], vec!["message.received".to_owned()], vec!["message.".to_owned()]] {
        let plan = plan(&mut conn, events::page_of(10_000, &kinds, 25));
        walks_an_index("events behind a number", &plan, false);
    }
    let email = CustomerFilter { email: Some("C77@Example.org".to_owned()), ..CustomerFilter::default() };
    let found = plan(&mut conn, customers::page_of(&email, None, 26));
    // One address is one customer at the most: to sort one row is no work.
    let whole = found.join("\n");
    assert!(
        !whole.contains("Seq Scan") && !whole.contains("SCAN customer"),
        "customers by address:\n{whole}"
    );
    let everyone = CustomerFilter::default();
    walks_an_index("customers", &plan(&mut conn, customers::page_of(&everyone, None, 26)), true);
    let second = plan(&mut conn, customers::page_of(&everyone, Some(Position { key: 1_000, id: 1_000 }), 26));
    walks_an_index("customers, second page", &second, false);
    let changed = CustomerFilter { sort: CustomerSort::UpdatedDescending, ..CustomerFilter::default() };
    walks_an_index("customers as changed", &plan(&mut conn, customers::page_of(&changed, None, 26)), true);
    let behind = Place::Text(TextPosition { text: "tag 77".to_owned(), id: 77 });
    for sort in [NameSort::Name, NameSort::NameDescending] {
        let by_name = TagFilter { words: Words::default(), sort };
        walks_an_index("tags", &plan(&mut conn, tags::page_of(&by_name, None, 26)), true);
        walks_an_index(
            "tags, second page",
            &plan(&mut conn, tags::page_of(&by_name, Some(&behind), 26)),
            false,
        );
    }
}

/// Anybody may ask how the mailboxes are doing, however much waits in one.
#[test]
fn mailboxes_with_mail_that_did_not_come_are_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    let no = match database::kind() {
        database::Kind::Sqlite => "0",
        database::Kind::Postgres => "false",
    };
    let columns = format!(
        "INSERT INTO pending_mails (mailbox_id, folder, uidvalidity, uid, size, attempts, breaks, last_error, \
         asked_for, next_try_at, was_aside, unseen, found_anew, was_there) SELECT 1, 'INBOX', 1, id, 1, 0, 0, \
         CASE WHEN id = 7 THEN 'no' END, {no}, 1, {no}, {no}, {no}, {no} FROM messages"
    );
    execute(&mut conn, &columns);
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    assert_eq!(pending::stuck(&mut conn).expect("it can be asked"), [MailboxId(1)]);
    let plan = plan(&mut conn, pending::stuck_query()).join("\n");
    assert!(plan.contains("pending_mails_tried"), "{plan}");
}

/// A first import: what waits is read batch by batch, and each costs the same however much is left.
#[test]
fn what_waits_is_found_by_an_index_in_its_order() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    let no = if database::kind() == database::Kind::Sqlite { "0" } else { "false" };
    execute(
        &mut conn,
        &format!(
            "INSERT INTO pending_mails (mailbox_id, folder, uidvalidity, uid, size, attempts, breaks, asked_for, \
             next_try_at, was_aside, unseen, found_anew, was_there) SELECT 1, 'INBOX', 1, id, 100, 0, 0, {no}, 1, {no}, {no}, {no}, {no} \
             FROM conversations"
        ),
    );
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let query = pending::in_turn(MailboxId(1), "INBOX", 1, Timestamp(2), Timestamp(9), 100);
    walks_an_index("what waits", &plan(&mut conn, query), false);
}

/// A million that rest cost nothing as long as the time of none has come.
#[test]
fn what_wakes_is_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    execute(&mut conn, "UPDATE conversations SET status = 'snoozed', snoozed_until = 1000 + id");
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let due = plan(&mut conn, conversations::waking(Timestamp(1_500), 100));
    walks_an_index("what wakes", &due, false);
    assert!(due.join("\n").contains("conversations_snoozed"), "{due:?}");
    assert_eq!(conversations::next_wake(&mut conn).expect("it is found"), Some(Timestamp(1_001)));
}

/// Each change at the desk asks what is to be given out, and what goes back.
#[test]
fn what_waits_for_an_owner_is_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    execute(
        &mut conn,
        "INSERT INTO teams (id, name, version, created_at, updated_at) VALUES (1, 'First', 1, 1, 1)",
    );
    execute(
        &mut conn,
        "UPDATE conversations SET team_id = 1, status = CASE WHEN id % 50 = 0 THEN 'open' ELSE 'closed' END",
    );
    execute(&mut conn, "UPDATE conversations SET assignee_id = CASE WHEN id % 100 = 0 THEN NULL ELSE 1 END");
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let waiting = plan(&mut conn, distributions::in_turn(TeamId(1), ConversationId(0), 100));
    walks_an_index("what waits for an owner", &waiting, false);
    assert!(waiting.join("\n").contains("conversations_waiting"), "{waiting:?}");
    let owned = plan(&mut conn, distributions::owned(&[AgentId(1)], &[Status::Open]));
    assert!(owned.join("\n").contains("conversations_owned"), "{owned:?}");
    assert_eq!(
        distributions::count_waiting(&mut conn, TeamId(1)).expect("it is counted"),
        CONVERSATIONS / 100
    );
}

/// Watchdogs look every few seconds, and mostly nothing waits for too long.
#[test]
fn what_waits_too_long_is_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    execute(
        &mut conn,
        "UPDATE conversations SET status = CASE WHEN id % 2 = 0 THEN 'open' ELSE 'snoozed' END, waiting_on = 'us', waiting_since = 1000 + id",
    );
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    for asked in ["", "is:open", "-tag:later mailbox:1"] {
        let mut query: postroom_core::query::Query = asked.parse().expect("a query");
        query.terms.extend(waits_since(Timestamp(1_003)));
        let filter = ConversationFilter { query, ..ConversationFilter::default() };
        let database = postroom_core::store::search::database(&conn);
        let found =
            plan(&mut conn, conversations::longest_first(database, &Access::system(), &filter, 1_001));
        assert!(found.join("\n").contains("conversations_status_waiting"), "{asked}: {found:?}");
    }
}

/// A number on an icon is asked for all the time, and most of what somebody was notified of is read.
#[test]
fn notifications_are_read_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    execute(
        &mut conn,
        "INSERT INTO agents (id, name, email, email_folded, role, bounce_notices, version, created_at, updated_at) \
         SELECT 900, 'A', 'n' || id, 'n' || id, 'agent', bounce_notices, 1, 1, 1 FROM agents ORDER BY id LIMIT 1",
    );
    execute(
        &mut conn,
        "INSERT INTO notifications (agent_id, seq, reason, conversation_id, actor_type, read_at, created_at) \
         SELECT a.id, c.id, 'received', c.id, 'system', CASE WHEN c.id % 50 = 0 THEN NULL ELSE 1 END, 1 \
         FROM conversations c CROSS JOIN agents a",
    );
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let agent = AgentId(1);
    let unread = NotificationFilter { unread: Some(true), ..NotificationFilter::default() };
    let counted = plan(&mut conn, notifications::of(agent, unread));
    assert!(counted.join("\n").contains("notifications_unread"), "{counted:?}");
    let page = plan(&mut conn, notifications::page_of(agent, NotificationFilter::default(), None, 26));
    walks_an_index("a page of notifications", &page, true);
}

/// The collector asks of each blob whether anything names it, of half a million a day.
#[test]
fn what_nothing_names_is_found_by_indexes() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    let inline = if database::kind() == database::Kind::Sqlite { "0" } else { "false" };
    let hash = "lpad(CAST(id AS TEXT), 64, '0')";
    let hash = if database::kind() == database::Kind::Sqlite { "printf('%064d', id)" } else { hash };
    for statement in [
        format!(
            "INSERT INTO blobs (hash, size, encoding, object, unused_since, created_at) \
             SELECT {hash}, 1, 'zstd', 'o', CASE WHEN id % 100 = 0 THEN id END, 1 FROM messages"
        ),
        format!("UPDATE messages SET raw_hash = {hash} WHERE id % 4 = 0"),
        format!(
            "INSERT INTO attachments (id, blob_hash, filename, content_type, size, inline, created_at) \
             SELECT CAST(id AS TEXT), {hash}, 'a', 'a/b', 1, {inline}, 1 FROM messages WHERE id % 4 = 1"
        ),
        format!(
            "INSERT INTO outbox (message_id, mailbox_id, state, raw_hash, envelope_from, recipients, attempts, \
             next_attempt_at, captured, may_be_double, waited_seconds, copy_attempts, version, created_at) \
             SELECT id, 1, 'sent', {hash}, '', '[]', 1, 1, {inline}, {inline}, 0, 0, 1, 1 FROM messages WHERE id % 4 = 2"
        ),
        format!(
            "INSERT INTO ledger (mailbox_id, folder, location, verdict, raw_hash, size, created_at) \
             SELECT 1, 'INBOX', CAST(id AS TEXT), 'accepted', {hash}, 1, 1 FROM messages"
        ),
    ] {
        execute(&mut conn, &statement);
    }
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let middle = "0".repeat(60) + "5000";
    walks_an_index("a page of a round", &plan(&mut conn, collecting::page_query(&middle, 200)), false);
    let some: Vec<String> = (5_000..5_200).map(|id| format!("{id:064}")).collect();
    let some: Vec<&str> = some.iter().map(String::as_str).collect();
    let whose = plan(&mut conn, collecting::unnamed_query(&some));
    walks_an_index("whether they are named", &whose, false);
    for index in ["messages_raw", "attachments_blob", "outbox_raw", "ledger_raw"] {
        assert!(whose.join("\n").contains(index), "{index}\n{}", whose.join("\n"));
    }
    let due = plan(&mut conn, collecting::due_query(Timestamp(5_000), 100));
    walks_an_index("what is due", &due, false);
    assert!(due.join("\n").contains("blobs_unused"), "{due:?}");
}

/// The breaker asks nine questions before each automatic mail, whatever an attacker made of the last week.
#[test]
fn the_breaker_counts_by_indexes() {
    let dir = WorkDir::new("explain");
    let mut conn = filled(&dir);
    let (no, modulo) = match database::kind() {
        database::Kind::Sqlite => ("0", "id % 500"),
        database::Kind::Postgres => ("false", "(id % 500)"),
    };
    execute(
        &mut conn,
        &format!(
            "INSERT INTO automatic_mails (mailbox_id, conversation_id, recipient, domain, rule, held, created_at) \
             SELECT mailbox_id, id, 'c' || id || '@d' || {modulo}, 'd' || {modulo}, 'acknowledgement', {no}, id \
             FROM conversations"
        ),
    );
    execute(
        &mut conn,
        "INSERT INTO presences (conversation_id, agent_id, state, expires_at) \
         SELECT id, 1 + id % 5, 'viewing', id FROM conversations",
    );
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    let of = NewAutomaticMail {
        mailbox_id: MailboxId(1),
        conversation_id: ConversationId(5),
        recipient: "c5@d5",
        domain: "d5",
        rule: "acknowledgement",
        held: false,
        created_at: Timestamp(1),
    };
    let queries = automatic_mails::queries(&of, Timestamp(CONVERSATIONS - 60));
    assert_eq!(queries.len(), 9);
    for (name, query) in queries {
        walks_an_index(name, &plan(&mut conn, query), false);
    }
    // A handful of agents is read as it is.
    let present = plan(&mut conn, presences::list_query(ConversationId(5), Timestamp(1))).join("\n");
    let never = ["SCAN presences", "Seq Scan on presences"];
    assert!(present.contains("resences") && never.iter().all(|scan| !present.contains(scan)), "{present}");
}

/// A thousand conversations, page by page, while new ones keep coming in.
#[tokio::test]
async fn pages_show_every_row_once_while_others_come_in() {
    const ROWS: usize = 1_000;
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    fill(&desk, mailbox, ROWS).await;
    for sort in ["-id", "id", "-updated_at", "updated_at"] {
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/conversations?sort={sort}&limit=100");
        let before = newest(&desk).await;
        loop {
            let answer = desk.http.get(&path).await.expect(200);
            let page = answer.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
            let Some(cursor) = page["page"]["next_cursor"].as_str() else {
                assert_eq!(page["page"]["has_more"], false);
                assert_eq!(answer.header("link"), None);
                break;
            };
            assert_eq!(page["data"].as_array().unwrap().len(), 100);
            assert_eq!(page["page"]["has_more"], true);
            assert!(answer.header("link").unwrap().contains(cursor));
            path = format!("/api/v1/conversations?sort={sort}&limit=100&cursor={cursor}");
            if seen.len() < ROWS {
                fill(&desk, mailbox, 3).await;
            }
        }
        let distinct: HashSet<i64> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: a row was shown twice");
        let missed: Vec<i64> = (1..=before).filter(|id| !distinct.contains(id)).collect();
        assert_eq!(missed, Vec::<i64>::new(), "{sort}: rows that were there from the start");
        if sort == "id" {
            assert!(seen.is_sorted(), "oldest first, and new ones at the end");
            assert_eq!(*seen.last().unwrap(), newest(&desk).await);
        }
        if sort == "-id" {
            assert!(seen.iter().rev().is_sorted(), "newest first");
            assert_eq!(seen[0], before, "what came later stands on pages that were seen already");
        }
    }
    desk.stop().await;
}

async fn newest(desk: &TestDesk) -> i64 {
    let page = desk.http.get("/api/v1/conversations?limit=1").await.expect(200).json();
    page["data"][0]["id"].as_i64().expect("there is one")
}

/// Conversations, many in one transaction.
async fn fill(desk: &TestDesk, mailbox: i64, count: usize) {
    use postroom_core::message::MessageKind;
    use postroom_core::operations::conversations::{NewConversation, Whose, create};
    use postroom_core::operations::messages::NewMessage;
    use postroom_core::unsent::{When, Writing};
    let message = NewMessage {
        kind: MessageKind::Note,
        writing: Writing { text: "x".to_owned(), ..Writing::default() },
        files: Vec::new(),
        carried: Vec::new(),
        mentions: Vec::new(),
        when: When::Now,
        expected_last: None,
        imported: None,
    };
    let new = NewConversation {
        mailbox_id: MailboxId(mailbox),
        subject: "one of many".to_owned(),
        whose: Whose::Address { email: "ada@example.org".to_owned(), name: None },
        message,
        tags: Vec::new(),
        custom_fields: std::collections::BTreeMap::new(),
        channel: None,
        priority: None,
        assignee_id: None,
        team_id: None,
        category_id: None,
        status: None,
        external_id: None,
        imported: None,
    };
    desk.write(move |cx| {
        for _ in 0..count {
            create(cx, &new)?;
        }
        Ok(())
    })
    .await;
}
