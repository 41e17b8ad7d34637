//! V-41: what chooses rows by name or text: SQL in it is refused or is text like any other, and no sign of it
//! stands for others.

use crate::mailing::{arrive, count};
use crate::nets::operations;
use serde_json::{Value, json};
use std::fmt::Write as _;
use support::desk::TestDesk;
use support::mail::mail;

/// Ready to stand in a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

const SQL: [&str; 8] = [
    "id; DROP TABLE tokens --",
    "id') OR ('1'='1",
    "created_at DESC, (SELECT secret_hash FROM tokens)",
    "(CASE WHEN (SELECT 1)=1 THEN id ELSE subject END)",
    "1 OR 1=1",
    "\"id\"",
    "id::text",
    "%' UNION SELECT 1 --",
];

/// What may say anything: texts that are looked for, and what somebody brings. All others are words, numbers and
/// times, and refuse what they do not know.
const FREE: [&str; 10] =
    ["q", "email", "tag", "tag_all", "external_id", "state", "code", "error", "ticket", "signature"];

#[tokio::test(flavor = "multi_thread")]
async fn names_with_sql_in_them_are_refused_and_texts_find_nothing() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    arrive(&desk, mailbox, &mail().text("Hello")).await;
    let tokens = count(&desk, "SELECT count(*) AS count FROM tokens");
    let (mut refused, mut free) = (0, 0);
    for operation in operations(&desk.http).await {
        if operation.method != "GET" {
            continue;
        }
        let path = ["id", "row"]
            .iter()
            .fold(operation.path.clone(), |path, id| path.replace(&format!("{{{id}}}"), "1"));
        for parameter in &operation.parameters {
            for text in SQL {
                let path = format!("{path}?{parameter}={}", encoded(text));
                let answer = desk.http.get(&path).await;
                let told =
                    format!("{} {parameter}={text}: {} {}", operation.name(), answer.status, answer.text());
                if FREE.contains(&parameter.as_str()) && !operation.path.ends_with("/ingest") {
                    assert!(answer.status < 500, "{told}");
                    if answer.status == 200 && answer.header("content-type") == Some("application/json") {
                        assert_eq!(answer.json()["data"], json!([]), "{told}");
                    }
                    free += 1;
                } else {
                    let is_of_nothing = answer.status == 404 && operation.path.contains('{');
                    assert!(answer.status == 400 || is_of_nothing, "{told}");
                    assert!(!answer.text().to_lowercase().contains("syntax error"), "{told}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 500 && free > 50, "{refused} {free}");
    assert_eq!(count(&desk, "SELECT count(*) AS count FROM tokens"), tokens);
    desk.stop().await;
}

async fn ids(desk: &TestDesk, path: &str) -> Vec<i64> {
    let answer = desk.http.get(path).await;
    if answer.status == 400 {
        return Vec::new();
    }
    let list: Value = answer.expect(200).json();
    let rows = list["data"].as_array().expect("a list");
    rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

async fn found(desk: &TestDesk, q: &str) -> Vec<i64> {
    ids(desk, &format!("/api/v1/conversations?q={}", encoded(q))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sign_stands_for_others() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let mut tagged = Vec::new();
    for tag in ["100%", "100x", "100", "a_b", "axb", r"c\d", "cd", r"c\\d", "é'\"; --"] {
        let body = json!({"mailbox_id": mailbox, "subject": "Tagged", "customer": {"email": "ada@example.org"},
            "tags": [tag], "message": {"kind": "inbound", "text": "x"}});
        let made = desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
        tagged.push((tag, made["id"].as_i64().expect("a number")));
    }
    for (tag, id) in &tagged {
        for name in ["tag", "tag_all"] {
            assert_eq!(
                ids(&desk, &format!("/api/v1/conversations?{name}={}", encoded(tag))).await,
                [*id],
                "{tag}"
            );
        }
        let quoted = tag.replace('\\', r"\\").replace('"', "\\\"");
        assert_eq!(found(&desk, &format!("tag:\"{quoted}\"")).await, [*id], "{tag}");
    }
    for tag in ["%", "1%", "___", "_", r"\", "10_", "a%b", "*"] {
        assert_eq!(
            ids(&desk, &format!("/api/v1/conversations?tag={}", encoded(tag))).await,
            [0_i64; 0],
            "{tag}"
        );
    }

    // What is looked for in names stands for itself as well.
    for (q, names) in [
        ("%", &["100%"][..]),
        ("_", &["a_b"]),
        (r"\", &[r"c\\d", r"c\d"]),
        ("0%", &["100%"]),
        ("a_b", &["a_b"]),
    ] {
        let list = desk.http.get(&format!("/api/v1/tags?q={}", encoded(q))).await.expect(200).json();
        let mut found: Vec<&str> = list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|tag| tag["name"].as_str().expect("a name"))
            .collect();
        found.sort_unstable();
        assert_eq!(found, names, "{q}");
        for path in ["agents", "mailboxes"] {
            assert_eq!(
                ids(&desk, &format!("/api/v1/{path}?q={}", encoded(q))).await,
                [0_i64; 0],
                "{path} {q}"
            );
        }
    }

    let report = mail().from("Eve <eve@sub.example.net>").subject("Quarterly figures").attachment(
        "report.pdf",
        "application/pdf",
        b"%PDF-",
    );
    let report = arrive(&desk, mailbox, &report).await.conversation;
    for q in
        ["file:report", "subject:quarterly", "from:@sub.example.net", "from:eve@sub.example.net", "figures"]
    {
        assert_eq!(found(&desk, q).await, [report], "{q}");
    }
    for q in [
        "file:%port",
        "file:r%t",
        "file:rep_rt",
        "file:\"%\"",
        "file:_",
        "subject:%terly",
        "subject:_uarterly",
        "subject:\"%\"",
        "from:@%",
        "from:@%.net",
        "from:@sub_example.net",
        "from:@_ub.example.net",
        "from:%@sub.example.net",
        "from:_ve@sub.example.net",
        "figu_es",
        "%gures",
        "%",
        "_",
        "\"\\\\\"",
        "fig:*",
        "'figures'&!x",
        "figures') OR ('1'='1",
        "figures NOT x AND",
        "content:figures",
        "NEAR(figures)",
    ] {
        assert_eq!(found(&desk, q).await, [0_i64; 0], "{q}");
    }
    let one = json!({"mailbox_id": mailbox, "subject": "Shop", "customer": {"email": "bo@example.org"},
        "external_id": {"source": "shop", "id": "1"}, "message": {"kind": "inbound", "text": "x"}});
    desk.http.post("/api/v1/conversations", &one).await.expect(201);
    for external in ["shop:%", "shop:_", "s%:1", "%:%"] {
        let path = format!("/api/v1/conversations?external_id={}", encoded(external));
        assert_eq!(ids(&desk, &path).await, [0_i64; 0], "{external}");
    }
    for email in ["%", "%@example.org", "_da@example.org", r"\%@example.org"] {
        assert_eq!(
            ids(&desk, &format!("/api/v1/customers?email={}", encoded(email))).await,
            [0_i64; 0],
            "{email}"
        );
    }
    for path in [
        "events?types=%25",
        "events?types=conversation%25",
        "audit-log?kind=%25",
        "audit-log?kind=team._",
        "audit-log?actor=%25",
    ] {
        let answer = desk.http.get(&format!("/api/v1/{path}")).await;
        assert!(answer.status == 400 || answer.json()["data"] == json!([]), "{path}: {}", answer.text());
    }
    desk.stop().await;
}
