//! Every limit at its value and one above.

use super::{conversation, path_of};
use crate::problems::{faults, problem};
use serde_json::{Value, json};
use support::desk::TestDesk;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

#[tokio::test]
async fn pages_have_one_to_a_hundred_rows() {
    let desk = TestDesk::start().await;
    for list in [
        "conversations",
        "customers",
        "mailboxes",
        "agents",
        "teams",
        "categories",
        "tags",
        "tokens",
        "events",
    ] {
        for good in [1, 100] {
            desk.http.get(&format!("/api/v1/{list}?limit={good}")).await.expect(200);
        }
        for bad in ["0", "101", "-1", "1.0", "x", "", "99999999999999999999"] {
            let refused = desk.http.get(&format!("/api/v1/{list}?limit={bad}")).await;
            problem(&refused, 400, "bad_parameter");
        }
    }
    desk.stop().await;
}

#[tokio::test]
async fn texts_are_as_long_as_they_may_be() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let made = conversation(&desk, mailbox, "ada@example.org", json!({})).await;
    let path = path_of(&made);
    // Characters, not bytes.
    for letter in ["x", "ü", "漢", "😀"] {
        let full = letter.repeat(512);
        let now = desk.http.patch(&path, &json!({ "subject": full })).await.expect(200).json();
        assert_eq!(now["subject"], full);
        let told = faults(&desk.http.patch(&path, &json!({"subject": letter.repeat(513)})).await);
        assert_eq!(told, one("/subject", "too_long"), "{letter}");
    }
    let tag = |count: usize| json!({"tags": ["ü".repeat(count)]});
    desk.http.patch(&path, &tag(64)).await.expect(200);
    assert_eq!(faults(&desk.http.patch(&path, &tag(65)).await), one("/tags/0", "too_long"));
    let name = |count: usize| json!({"name": "ü".repeat(count)});
    for (noun, pointer, most) in
        [("customers", "/name", 200), ("teams", "/name", 200), ("categories", "/name", 100)]
    {
        desk.http.post(&format!("/api/v1/{noun}"), &name(most)).await.expect(201);
        let told = faults(&desk.http.post(&format!("/api/v1/{noun}"), &name(most + 1)).await);
        assert_eq!(told, one(pointer, "too_long"), "{noun}");
    }
    let email =
        |local: usize| json!({"addresses": [{"email": format!("{}@example.org", "x".repeat(local))}]});
    // The whole address has 254 bytes at the most (RFC 5321 4.5.3.1.3 and its erratum 1690).
    let most = 254 - "@example.org".len();
    desk.http.post("/api/v1/customers", &email(most)).await.expect(201);
    let told = faults(&desk.http.post("/api/v1/customers", &email(most + 1)).await);
    assert_eq!(told, one("/addresses/0/email", "invalid_email"));
    let phone = |count: usize| json!({"phones": ["1".repeat(count)]});
    desk.http.post("/api/v1/customers", &phone(50)).await.expect(201);
    assert_eq!(faults(&desk.http.post("/api/v1/customers", &phone(51)).await), one("/phones/0", "too_long"));
    desk.stop().await;
}

#[tokio::test]
async fn lists_have_as_many_members_as_they_may_have() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let path = path_of(&conversation(&desk, mailbox, "ada@example.org", json!({})).await);
    let tags = |count: usize| (0..count).map(|n| format!("tag {n}")).collect::<Vec<_>>();
    let now = desk.http.patch(&path, &json!({"tags": tags(50)})).await.expect(200).json();
    assert_eq!(now["tags"].as_array().unwrap().len(), 50);
    assert_eq!(faults(&desk.http.patch(&path, &json!({"tags": tags(51)})).await), one("/tags", "too_many"));
    // By adding one to fifty, too.
    let refused = desk.http.post(&format!("{path}/tags"), &json!({"add": ["one more"]})).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(desk.http.get(&path).await.json()["tags"].as_array().unwrap().len(), 50);
    let swapped = json!({"add": ["one more"], "remove": ["tag 0"]});
    desk.http.post(&format!("{path}/tags"), &swapped).await.expect(200);

    let to = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"email": format!("ada+{n}@example.org")})).collect()
    };
    let reply = |count: usize| json!({"kind": "reply", "text": "x", "to": to(count - 10), "bcc": to(10)});
    let messages = format!("{path}/messages");
    let made = desk.http.post(&messages, &reply(50)).await.expect(201).json();
    assert_eq!(made["to"].as_array().unwrap().len(), 40);
    assert_eq!(faults(&desk.http.post(&messages, &reply(51)).await), one("/to", "too_many"));
    desk.stop().await;
}

#[tokio::test]
async fn bodies_are_as_large_as_they_may_be() {
    const MIB: usize = 1024 * 1024;
    let desk =
        TestDesk::start_with(postroom_core::time::Clock::System, |config| config.limits.upload_mib = 1).await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let path = path_of(&conversation(&desk, mailbox, "ada@example.org", json!({})).await);
    let messages = format!("{path}/messages");
    let json_headers = [("Content-Type", "application/json")];
    let body = |bytes: usize| {
        let frame = r#"{"kind":"note","text":""}"#.len();
        format!(r#"{{"kind":"note","text":"{}"}}"#, "x".repeat(bytes - frame)).into_bytes()
    };
    let made = desk.http.send("POST", &messages, &json_headers, &body(MIB)).await.expect(201).json();
    assert_eq!(made["text"].as_str().unwrap().len(), MIB - r#"{"kind":"note","text":""}"#.len());
    let refused = desk.http.send("POST", &messages, &json_headers, &body(MIB + 1)).await;
    problem(&refused, 413, "too_large");
    // A tower of brackets is refused, and does not fall on us.
    for bracket in ["[", "{\"a\":"] {
        let refused =
            desk.http.send("POST", &messages, &json_headers, bracket.repeat(100_000).as_bytes()).await;
        problem(&refused, 400, "malformed_json");
    }
    // A file of the size that was set, and one byte more.
    let upload = "/api/v1/attachments?filename=a.bin";
    let made = desk.http.send("POST", upload, &[], &vec![7; MIB]).await.expect(201).json();
    assert_eq!(made["size"], MIB);
    let refused = desk.http.send("POST", upload, &[], &vec![7; MIB + 1]).await;
    problem(&refused, 413, "too_large");
    assert_eq!(in_pieces(&desk, upload, MIB).await, 201);
    assert_eq!(in_pieces(&desk, upload, MIB + 1).await, 413);
    let file = desk.http.get(made["content_url"].as_str().unwrap()).await.expect(200);
    assert_eq!(file.body, vec![7; MIB]);
    desk.stop().await;
}

/// Sends a file without saying how long it is. Returns the status of the answer.
async fn in_pieces(desk: &TestDesk, path: &str, bytes: usize) -> u16 {
    let token = json!({"name": "pieces", "scopes": ["notes:write"]});
    let token = desk.http.post("/api/v1/tokens", &token).await.expect(201).json();
    let token = token["token"].as_str().expect("a secret");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = TcpStream::connect(desk.address()).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    for piece in vec![7; bytes].chunks(64 * 1024) {
        let piece = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&piece).await.expect("it reads");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// What is not JSON as RFC 8259 has it, or says one thing twice.
#[tokio::test]
async fn json_is_read_strictly() {
    let desk = TestDesk::start().await;
    let headers = [("Content-Type", "application/json")];
    for bad in [
        "",
        "{",
        "{}{}",
        "{'name':'x'}",
        "{\"name\":\"x\",}",
        "{\"name\":NaN}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "\u{feff}{}",
    ] {
        let refused = desk.http.send("POST", "/api/v1/tags", &headers, bad.as_bytes()).await;
        problem(&refused, 400, "malformed_json");
    }
    let refused = desk.http.send("POST", "/api/v1/tags", &headers, b"{\"name\":\"\xff\"}").await;
    problem(&refused, 400, "malformed_json");
    let half = desk.http.send("POST", "/api/v1/tags", &headers, br#"{"name":"\ud800"}"#).await;
    problem(&half, 400, "malformed_json");
    assert_eq!(desk.http.get("/api/v1/tags").await.json()["data"], json!([]));
    desk.stop().await;
}
