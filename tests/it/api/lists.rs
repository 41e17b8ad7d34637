//! Lists: every filter, every order, the cursor that belongs to one list alone, and the count.

use super::{conversation, ids};
use crate::problems::problem;
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;

/// A desk with conversations that differ in everything a filter asks for.
struct Sample {
    desk: TestDesk,
    amy: i64,
    team: i64,
    mailboxes: [i64; 2],
    rows: Vec<Value>,
}

async fn sample() -> Sample {
    let desk = TestDesk::start_fixed().await;
    let mailboxes = [
        desk.mailbox("Support", "support@example.org").await,
        desk.mailbox("Sales", "sales@example.org").await,
    ];
    let amy = json!({"name": "Amy", "email": "amy@example.org", "role": "admin"});
    let amy =
        desk.http.post("/api/v1/agents", &amy).await.expect(201).json()["id"].as_i64().expect("a number");
    let team = desk.http.post("/api/v1/teams", &json!({"name": "Front"})).await.expect(201).json();
    let team = team["id"].as_i64().expect("a number");
    let mut rows = Vec::new();
    for (mailbox, email, more) in [
        (0, "ada@example.org", json!({"tags": ["billing", "late"], "priority": "high"})),
        (0, "ada@example.org", json!({"status": "closed", "tags": ["billing"], "channel": "chat"})),
        (1, "bo@example.org", json!({"status": "pending", "assignee_id": amy})),
        (1, "cy@example.org", json!({"status": "spam", "team_id": team, "priority": "urgent"})),
        (0, "bo@example.org", json!({"assignee_id": amy, "tags": ["Ärger"], "channel": "chat"})),
    ] {
        rows.push(conversation(&desk, mailboxes[mailbox], email, more).await);
        desk.desk().advance_clock(Duration::from_secs(60));
    }
    Sample { desk, amy, team, mailboxes, rows }
}

#[tokio::test]
async fn every_filter_narrows_the_list() {
    let sample = sample().await;
    let Sample { amy, team, mailboxes: [support, sales], .. } = &sample;
    let cases: Vec<(String, &[usize])> = vec![
        (String::new(), &[4, 3, 2, 1, 0]),
        ("status=open".into(), &[4, 0]),
        ("status=open,pending".into(), &[4, 2, 0]),
        ("status=open,pending,closed,spam,snoozed".into(), &[4, 3, 2, 1, 0]),
        ("priority=high,urgent".into(), &[3, 0]),
        ("channel=chat".into(), &[4, 1]),
        (format!("mailbox_id={support}"), &[4, 1, 0]),
        (format!("mailbox_id={support},{sales}"), &[4, 3, 2, 1, 0]),
        (format!("mailbox_id={support},{support}"), &[4, 1, 0]),
        (format!("mailbox_id={support},{sales}&status=open,pending"), &[4, 2, 0]),
        ("mailbox_id=4711".into(), &[]),
        (format!("assignee_id={amy}"), &[4, 2]),
        ("assignee_id=none".into(), &[3, 1, 0]),
        (format!("team_id={team}"), &[3]),
        (format!("customer_id={}", sample.rows[2]["customer_id"]), &[4, 2]),
        ("tag=billing".into(), &[1, 0]),
        ("tag=BILLING".into(), &[1, 0]),
        ("tag=%C3%A4rger".into(), &[4]),
        ("tag=late,%C3%84rger".into(), &[4, 0]),
        ("tag_all=billing,late".into(), &[0]),
        ("tag=nothing".into(), &[]),
        ("created_since=2026-11-22T08:02:00Z".into(), &[4, 3, 2]),
        ("created_before=2026-11-22T08:02:00Z".into(), &[1, 0]),
        ("created_since=2026-11-22T09:01:00%2B01:00&created_before=2026-11-22T08:03:00Z".into(), &[2, 1]),
        ("updated_since=2026-11-22T08:04:00Z".into(), &[4]),
        ("updated_before=2026-11-22T08:01:00Z".into(), &[0]),
        (format!("status=open&mailbox_id={support}&tag=billing&assignee_id=none"), &[0]),
        ("sort=-id".into(), &[4, 3, 2, 1, 0]),
        ("sort=id".into(), &[0, 1, 2, 3, 4]),
        ("sort=updated_at".into(), &[0, 1, 2, 3, 4]),
        ("sort=-updated_at&status=open,pending".into(), &[4, 2, 0]),
        ("sort=created_at".into(), &[0, 1, 2, 3, 4]),
        ("sort=-created_at&status=open,closed".into(), &[4, 1, 0]),
        ("sort=-priority".into(), &[3, 0, 4, 2, 1]),
        ("sort=priority".into(), &[1, 2, 4, 0, 3]),
        (format!("sort=-priority&mailbox_id={support}&status=open,closed"), &[0, 4, 1]),
        ("sort=-priority&priority=normal,urgent".into(), &[3, 4, 2, 1]),
        ("waiting_on=us".into(), &[4, 2, 0]),
        ("has_attachment=true".into(), &[]),
        ("has_attachment=false".into(), &[4, 3, 2, 1, 0]),
        // The same and more in one line.
        ("q=is:open".into(), &[4, 0]),
        ("q=-is:open".into(), &[3, 2, 1]),
        ("q=is:open&status=pending".into(), &[]),
        ("q=priority:%3E%3Dhigh".into(), &[3, 0]),
        ("q=channel:chat+-is:closed".into(), &[4]),
        (format!("q=mailbox:{support}"), &[4, 1, 0]),
        (format!("q=mailbox:{support}&sort=-priority"), &[0, 4, 1]),
        (format!("q=-mailbox:{support}"), &[3, 2]),
        (format!("q=assignee:{amy}"), &[4, 2]),
        (format!("q=-assignee:{amy}"), &[3, 1, 0]),
        (format!("q=assignee:none,{amy}"), &[4, 3, 2, 1, 0]),
        ("q=-assignee:none".into(), &[4, 2]),
        ("q=has:assignee".into(), &[4, 2]),
        (format!("q=team:{team}"), &[3]),
        (format!("q=-team:{team}"), &[4, 2, 1, 0]),
        ("q=team:none+has:tag".into(), &[4, 1, 0]),
        ("q=-has:team,assignee".into(), &[1, 0]),
        ("q=-has:category".into(), &[4, 3, 2, 1, 0]),
        ("q=has:attachment".into(), &[]),
        (format!("q=customer:{}", sample.rows[2]["customer_id"]), &[4, 2]),
        ("q=from:BO@example.org".into(), &[4, 2]),
        ("q=-from:bo@example.org,cy@example.org".into(), &[1, 0]),
        ("q=from:@example.org".into(), &[4, 3, 2, 1, 0]),
        ("q=from:@example.com".into(), &[]),
        ("q=from:@xample.org".into(), &[]),
        ("q=tag:Billing,%22%C3%A4rger%22".into(), &[4, 1, 0]),
        ("q=tag:billing+-tag:late".into(), &[1]),
        (format!("q=id:{},{}", sample.rows[1]["id"], sample.rows[3]["id"]), &[3, 1]),
        ("q=created:%3E%3D2026-11-22T08:02:00Z".into(), &[4, 3, 2]),
        ("q=-created:%3E%3D2026-11-22T08:02:00Z".into(), &[1, 0]),
        ("q=created:2026-11-22".into(), &[4, 3, 2, 1, 0]),
        ("q=created:%3C2026-11-22".into(), &[]),
        ("q=created:%3E-3m".into(), &[4, 3, 2]),
        ("q=updated:-4m..-3m&sort=-updated_at".into(), &[1]),
        ("q=closed:%3E%3D2026-11-22".into(), &[1]),
        ("q=-closed:%3E%3D2026-11-22".into(), &[4, 3, 2, 0]),
        ("q=waiting:%3C-2m".into(), &[2, 0]),
        ("q=waiting_on:us+is:open".into(), &[4, 0]),
        ("q=late".into(), &[4, 3, 2, 1, 0]),
        ("q=late&sort=id".into(), &[0, 1, 2, 3, 4]),
        ("q=late&sort=-priority".into(), &[3, 0, 4, 2, 1]),
        ("q=late&sort=relevance".into(), &[4, 3, 2, 1, 0]),
        ("q=late+bo+is:open".into(), &[4]),
        ("q=late+-bo".into(), &[3, 1, 0]),
        ("q=subject:bo".into(), &[]),
    ];
    for (query, expected) in cases {
        let path = format!("/api/v1/conversations?{query}");
        let list = sample.desk.http.get(&path).await.expect(200).json();
        let expected: Vec<i64> =
            expected.iter().map(|&row| sample.rows[row]["id"].as_i64().unwrap()).collect();
        assert_eq!(ids(&list), expected, "{query}");
        // The count is of all that fits, and page by page the same rows come.
        let join = if query.is_empty() { "" } else { "&" };
        let mut seen = Vec::new();
        let mut next = format!("{path}{join}limit=1&count=true");
        loop {
            let page = sample.desk.http.get(&next).await.expect(200).json();
            assert_eq!(page["page"]["total"], expected.len(), "{query}");
            assert_eq!(page["page"]["total_exact"], true);
            seen.extend(ids(&page));
            match page["page"]["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}{join}limit=1&count=true&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}, one by one");
    }
    // "me" is whoever the token speaks for.
    let me = sample.desk.client_of_agent(sample.amy).await;
    let mine = me.get("/api/v1/conversations?assignee_id=me").await.expect(200).json();
    assert_eq!(ids(&mine).len(), 2);
    problem(&sample.desk.http.get("/api/v1/conversations?assignee_id=me").await, 400, "bad_parameter");
    sample.desk.stop().await;
}

/// Somebody whose grants overlap sees each conversation once.
#[tokio::test]
async fn overlapping_grants_show_a_row_once() {
    let sample = sample().await;
    let Sample { amy, mailboxes: [support, sales], .. } = &sample;
    let change = json!({"role": "agent", "grants": [
        {"mailbox_id": support, "level": "read"},
        {"mailbox_id": support, "level": "reply", "assigned_only": true},
        {"mailbox_id": sales, "level": "reply", "assigned_only": true},
    ]});
    sample.desk.http.patch(&format!("/api/v1/agents/{amy}"), &change).await.expect(200);
    let http = sample.desk.client_of_agent(*amy).await;
    let row = |index: usize| sample.rows[index]["id"].as_i64().unwrap();
    for sort in ["-id", "-updated_at"] {
        let list =
            http.get(&format!("/api/v1/conversations?count=true&sort={sort}")).await.expect(200).json();
        assert_eq!(ids(&list), [row(4), row(2), row(1), row(0)], "{sort}");
        assert_eq!(list["page"]["total"], 4);
    }
    let list = http.get(&format!("/api/v1/conversations?mailbox_id={sales}")).await.expect(200).json();
    assert_eq!(ids(&list), [row(2)]);
    sample.desk.stop().await;
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let sample = sample().await;
    let http = &sample.desk.http;
    let first = http.get("/api/v1/conversations?limit=2&status=open,pending").await.expect(200);
    let cursor = first.json()["page"]["next_cursor"].as_str().unwrap().to_owned();
    let next = format!("/api/v1/conversations?limit=2&status=open,pending&cursor={cursor}");
    let link = first.header("link").unwrap();
    assert!(link.starts_with("</api/v1/conversations?") && link.ends_with(">; rel=\"next\""), "{link}");
    let linked = link.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(http.get(linked).await.expect(200).json(), http.get(&next).await.expect(200).json());
    // Another size of page is the same list; anything else is another one.
    http.get(&next.replace("limit=2", "limit=7")).await.expect(200);
    for other in [
        format!("/api/v1/conversations?limit=2&cursor={cursor}"),
        format!("/api/v1/conversations?status=open&cursor={cursor}"),
        format!("/api/v1/conversations?status=open,pending&sort=id&cursor={cursor}"),
        format!("/api/v1/customers?cursor={cursor}"),
        format!("/api/v1/tags?cursor={cursor}"),
        format!("/api/v1/conversations?status=open,pending&cursor={}", &cursor[1..]),
        format!("/api/v1/conversations?status=open,pending&cursor={cursor}A"),
        "/api/v1/conversations?cursor=25".to_owned(),
    ] {
        problem(&http.get(&other).await, 400, "bad_cursor");
    }
    problem(&http.get("/api/v1/conversations?cursor=").await, 400, "bad_parameter");
    // One changed character is another cursor.
    let flipped: String = cursor.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    let forged = format!("/api/v1/conversations?status=open,pending&cursor={flipped}");
    problem(&http.get(&forged).await, 400, "bad_cursor");
    sample.desk.stop().await;
}

#[tokio::test]
async fn messages_and_activity_are_paged_as_well() {
    let sample = sample().await;
    let http = &sample.desk.http;
    let path = format!("/api/v1/conversations/{}", sample.rows[0]["id"]);
    for n in 0..4 {
        let note = json!({"kind": "note", "text": format!("Note {n}")});
        http.post(&format!("{path}/messages"), &note).await.expect(201);
    }
    for (list, total) in
        [("messages", 5), ("messages?sort=-id", 5), ("messages?sort=-created_at", 5), ("activity", 7)]
    {
        let join = if list.contains('?') { "&" } else { "?" };
        let whole = http.get(&format!("{path}/{list}{join}limit=100&count=true")).await.expect(200).json();
        assert_eq!(whole["page"]["total"], total, "{list}: {whole}");
        let mut seen = Vec::new();
        let mut next = format!("{path}/{list}{join}limit=2");
        loop {
            let page = http.get(&next).await.expect(200).json();
            seen.extend(page["data"].as_array().unwrap().clone());
            match page["page"]["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}/{list}{join}limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(json!(seen), whole["data"], "{list}");
    }
    let oldest = http.get(&format!("{path}/messages")).await.json()["data"][0]["text"].clone();
    assert_eq!(oldest, "Where is it?");
    sample.desk.stop().await;
}

#[tokio::test]
async fn the_trash_is_listed_where_it_is_asked_for_and_nowhere_else() {
    let sample = sample().await;
    let http = &sample.desk.http;
    let row = |index: usize| sample.rows[index]["id"].as_i64().unwrap();
    for index in [1, 3] {
        http.delete(&format!("/api/v1/conversations/{}", row(index))).await.expect(204);
    }
    for (query, expected) in [
        ("", vec![4, 2, 0]),
        ("trashed=false", vec![4, 2, 0]),
        ("trashed=true", vec![3, 1]),
        ("trashed=true&status=closed", vec![1]),
        ("trashed=true&sort=id", vec![1, 3]),
        ("q=is:trash", vec![3, 1]),
        ("q=is:trash+late", vec![3, 1]),
        ("q=is:trash+is:spam", vec![3]),
        ("q=-is:trash", vec![4, 2, 0]),
        ("q=-is:trash&trashed=true", vec![]),
    ] {
        let list = http.get(&format!("/api/v1/conversations?count=true&{query}")).await.expect(200).json();
        let expected: Vec<i64> = expected.into_iter().map(row).collect();
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["page"]["total"], expected.len(), "{query}");
    }
    problem(&http.get("/api/v1/conversations?q=is:open,trash").await, 400, "bad_query");
    http.post(&format!("/api/v1/conversations/{}/restore", row(1)), &Value::Null).await.expect(200);
    assert_eq!(ids(&http.get("/api/v1/conversations?trashed=true").await.json()), [row(3)]);
    sample.desk.stop().await;
}

#[tokio::test]
async fn customers_are_ordered_counted_and_found_by_all_words() {
    let sample = sample().await;
    let http = &sample.desk.http;
    let of = |index: usize| sample.rows[index]["customer_id"].as_i64().unwrap();
    let (ada, bo, cy) = (of(0), of(2), of(3));
    http.patch(&format!("/api/v1/customers/{ada}"), &json!({"name": "Ada of Example"})).await.expect(200);
    let narrow = sample.desk.client(Scope::ALL, &[sample.mailboxes[1]]).await;
    for (http, query, expected) in [
        (http, "", vec![cy, bo, ada]),
        (http, "sort=-id", vec![cy, bo, ada]),
        (http, "sort=id", vec![ada, bo, cy]),
        (http, "sort=-updated_at", vec![ada, cy, bo]),
        (http, "sort=updated_at", vec![bo, cy, ada]),
        (http, "q=example+ada", vec![ada]),
        (http, "q=example+ada+bo", vec![]),
        (http, "q=@example.org&sort=id", vec![ada, bo, cy]),
        (http, "email=BO@example.org", vec![bo]),
        (&narrow, "sort=id", vec![bo, cy]),
        (&narrow, "sort=-updated_at", vec![cy, bo]),
        (&narrow, "q=ada", vec![]),
    ] {
        let mut seen = Vec::new();
        let path = format!("/api/v1/customers?limit=1&count=true&{query}");
        let mut next = path.clone();
        loop {
            let page = http.get(&next).await.expect(200).json();
            assert_eq!(page["page"]["total"], expected.len(), "{query}");
            seen.extend(ids(&page));
            match page["page"]["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}");
    }
    problem(&http.get("/api/v1/customers?q=a+b+c+d+e+f+g+h+i+j+k").await, 400, "bad_parameter");
    sample.desk.stop().await;
}
