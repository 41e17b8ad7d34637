//! Tags, agents and mailboxes are found by words of their names and read in any order, page by page.

use crate::mailing::pushed;
use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::Http;

const NAMES: [&str; 9] = ["zeta", "Alpha", "beta 50%", "a_b", "axb", "Ödön", "ödland", "back\\slash", "Beta"];

fn field(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().expect("text").to_owned()).collect()
}

/// Everything a list says, two rows at a time, by its links.
async fn whole(http: &Http, list: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let mut path = format!("/api/v1/{list}?limit=2&count=true&{query}");
    let (mut rows, mut total) = (Vec::new(), None);
    loop {
        let answer = http.get(&path).await.expect(200);
        let page = answer.json();
        rows.extend(page["data"].as_array().expect("a list").clone());
        // The links don't ask for it again.
        total.get_or_insert(page["page"]["total"].clone());
        let next = answer.header("link").and_then(|link| link.strip_prefix('<')?.split('>').next());
        assert_eq!(next.is_some(), page["page"]["has_more"] == true);
        let Some(next) = next else { break };
        next[next.find("/api/v1/").expect("a path")..].clone_into(&mut path);
    }
    assert_eq!(total, Some(json!(rows.len())));
    rows
}

async fn named(http: &Http, list: &str, query: &[(&str, &str)]) -> Vec<String> {
    field(&whole(http, list, query).await, "name")
}

/// The same questions to each list, in which are things of [`NAMES`] in their order, and none else.
async fn is_found_and_ordered(http: &Http, list: &str) {
    let mut by_name = NAMES;
    by_name.sort_by_key(|name| name.to_lowercase());
    for (sort, expected) in [("id", NAMES), ("name", by_name)] {
        assert_eq!(named(http, list, &[("sort", sort)]).await, expected, "{list} {sort}");
        let mut reversed = expected;
        reversed.reverse();
        let minus = format!("-{sort}");
        assert_eq!(named(http, list, &[("sort", &minus)]).await, reversed, "{list} {minus}");
    }
    assert_eq!(named(http, list, &[]).await, NAMES, "{list}");
    for (q, expected) in [
        ("BETA", &["Beta", "beta 50%"][..]),
        ("50 bet", &["beta 50%"]),
        ("50%", &["beta 50%"]),
        ("%", &["beta 50%"]),
        ("a_", &["a_b"]),
        ("\\", &["back\\slash"]),
        ("öd", &["ödland", "Ödön"]),
        ("ÖD", &["ödland", "Ödön"]),
        ("nothing", &[]),
    ] {
        assert_eq!(named(http, list, &[("q", q), ("sort", "name")]).await, expected, "{list} {q}");
    }
    assert_eq!(named(http, list, &[("q", " ")]).await, NAMES, "{list}: no words");

    let at = |query: &str| format!("/api/v1/{list}?limit=2&{query}");
    let first = http.get(&at("sort=name&q=b")).await.expect(200).json();
    let cursor = first["page"]["next_cursor"].as_str().expect("there is more").to_owned();
    for other in ["sort=-name&q=b", "sort=name&q=c", "sort=name", "q=b", ""] {
        problem(&http.get(&at(&format!("{other}&cursor={cursor}"))).await, 400, "bad_cursor");
    }
    let by_number = http.get(&at("sort=id")).await.expect(200).json();
    let by_number = by_number["page"]["next_cursor"].as_str().expect("there is more").to_owned();
    problem(&http.get(&at(&format!("sort=name&cursor={by_number}"))).await, 400, "bad_cursor");
    let (long, many) = ("x".repeat(201), "x+".repeat(11));
    for bad in [
        "sort=size",
        "sort=",
        "sort=name,id",
        "sort=id&sort=name",
        &format!("q={long}"),
        &format!("q={many}"),
    ] {
        problem(&http.get(&at(bad)).await, 400, "bad_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags() {
    let desk = TestDesk::start().await;
    for name in NAMES {
        desk.http.post("/api/v1/tags", &json!({"name": name})).await.expect(201);
    }
    is_found_and_ordered(&desk.http, "tags").await;
    // A page goes on behind a row that is gone, and one that has another name now.
    for sort in ["name", "-name", "id", "-id"] {
        let path = format!("/api/v1/tags?limit=3&sort={sort}");
        let all = whole(&desk.http, "tags", &[("sort", sort)]).await;
        let page = desk.http.get(&path).await.expect(200).json();
        let last = &page["data"][2];
        desk.http.delete(&format!("/api/v1/tags/{}", last["id"])).await.expect(204);
        let cursor = page["page"]["next_cursor"].as_str().expect("there is more");
        let next = desk.http.get(&format!("{path}&cursor={cursor}")).await.expect(200).json();
        assert_eq!(next["data"][0], all[3], "{sort}");
        desk.http.post("/api/v1/tags", &json!({"name": last["name"]})).await.expect(201);
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents() {
    let desk = TestDesk::start().await;
    for (number, name) in NAMES.iter().enumerate() {
        let body = json!({"name": name, "email": format!("p{number}@Example.org"), "role": "agent"});
        desk.http.post("/api/v1/agents", &body).await.expect(201);
    }
    is_found_and_ordered(&desk.http, "agents").await;
    assert_eq!(named(&desk.http, "agents", &[("q", "P3@example")]).await, [NAMES[3]]);
    assert_eq!(named(&desk.http, "agents", &[("q", "example.org bet")]).await, ["beta 50%", "Beta"]);
    desk.http.patch("/api/v1/agents/1", &json!({"name": "Last"})).await.expect(200);
    assert_eq!(named(&desk.http, "agents", &[("sort", "-updated_at")]).await[0], "Last");
    assert_eq!(named(&desk.http, "agents", &[("sort", "updated_at")]).await[8], "Last");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes() {
    let desk = TestDesk::start().await;
    for (number, name) in NAMES.iter().enumerate() {
        let aliases = if number == 4 { json!(["Sales@Example.org"]) } else { json!([]) };
        let address = format!("p{number}@example.org");
        pushed(&desk, json!({"name": name, "address": address, "aliases": aliases})).await;
    }
    is_found_and_ordered(&desk.http, "mailboxes").await;
    assert_eq!(named(&desk.http, "mailboxes", &[("q", "p2@example")]).await, [NAMES[2]]);
    assert_eq!(named(&desk.http, "mailboxes", &[("q", "sales@")]).await, [NAMES[4]]);
    desk.http.patch("/api/v1/mailboxes/1", &json!({"name": "Last"})).await.expect(200);
    assert_eq!(named(&desk.http, "mailboxes", &[("sort", "-updated_at")]).await[0], "Last");
    // What somebody may not see is not found either.
    let narrow = desk.client(Scope::ALL, &[3]).await;
    for q in ["p", "example", "a_b"] {
        let expected: &[&str] = if q == "a_b" { &[] } else { &[NAMES[2]] };
        assert_eq!(named(&narrow, "mailboxes", &[("q", q), ("sort", "name")]).await, expected, "{q}");
    }
    desk.stop().await;
}
