//! What is asked of custom fields is looked up in the indexes of their values.

use super::{CONVERSATIONS, execute, filled, grants, plan};
use postroom_core::access::Access;
use postroom_core::conversation::{ConversationFilter, ConversationSort};
use postroom_core::page::PageRequest;
use postroom_core::query::{self, Condition};
use postroom_core::store::conn::Conn;
use postroom_core::store::{conversations, custom_fields, search};
use support::database;
use support::workdir::WorkDir;

/// A desk each of whose conversations has an order number of its own, and an amount.
fn valued(dir: &WorkDir) -> Conn {
    let mut conn = filled(dir);
    let no = if database::kind() == database::Kind::Sqlite { "0" } else { "false" };
    for (id, key, kind) in [(1, "order_no", "text"), (2, "amount", "number")] {
        execute(
            &mut conn,
            &format!(
                "INSERT INTO custom_fields (id, object, key, title, description, kind, choices, required_on_close, \
                 position, version, created_at, updated_at) \
                 VALUES ({id}, 'conversation', '{key}', 'T', '', '{kind}', '[]', {no}, 0, 1, 1, 1)"
            ),
        );
    }
    execute(
        &mut conn,
        "INSERT INTO conversation_field_values (conversation_id, field_id, place, written, sought) \
         SELECT id, 1, 0, 'w' || id, 'w' || id FROM conversations",
    );
    execute(
        &mut conn,
        "INSERT INTO conversation_field_values (conversation_id, field_id, place, number) \
         SELECT id, 2, 0, id * 1000000 FROM conversations",
    );
    if database::kind() == database::Kind::Postgres {
        execute(&mut conn, "ANALYZE");
    }
    conn
}

fn plans(conn: &mut Conn, access: &Access, q: &str) -> String {
    let mut query = query::parse(q).expect("it is a query");
    let fields = custom_fields::list(conn, None).expect("they are listed");
    for term in &mut query.terms {
        if let Condition::Field(field) = &term.condition {
            term.condition = Condition::Field(field.clone().settle(&fields).expect("it is there"));
        }
    }
    let filter = ConversationFilter { query, ..ConversationFilter::default() };
    let page = PageRequest { limit: 25, after: None, count: false };
    let database = search::database(conn);
    let pages = conversations::pages(database, access, &filter, ConversationSort::IdDescending, page);
    pages.into_iter().map(|query| plan(conn, query).join("\n")).collect::<Vec<_>>().join("\n")
}

#[test]
fn values_are_found_by_an_index() {
    let dir = WorkDir::new("explain");
    let mut conn = valued(&dir);
    let last = CONVERSATIONS - 1;
    for access in [Access::system(), grants(&[1, 2])] {
        for (q, index) in [
            (format!("field.order_no:w{last}"), "conversation_field_values_sought"),
            (format!("field.amount:{last}"), "conversation_field_values_number"),
            (format!("field.amount:>={last}"), "conversation_field_values_number"),
        ] {
            let plan = plans(&mut conn, &access, &q);
            assert!(plan.contains(index), "{q}:\n{plan}");
            assert!(!plan.contains("Seq Scan on conversation_field_values"), "{q}:\n{plan}");
            assert!(!plan.contains("SCAN conversation_field_values"), "{q}:\n{plan}");
        }
    }
}
