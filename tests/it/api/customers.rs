//! Customers: any number of addresses or none, found by one of them or by a word.

use super::{conversation, ids};
use crate::problems::{faults, problem};
use serde_json::{Value, json};
use support::desk::TestDesk;

async fn make(desk: &TestDesk, body: Value) -> i64 {
    desk.http.post("/api/v1/customers", &body).await.expect(201).json()["id"].as_i64().expect("a number")
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"))
}

#[tokio::test]
async fn any_number_of_addresses_and_phones_or_none() {
    let desk = TestDesk::start_fixed().await;
    let nobody = make(&desk, json!({})).await;
    let seen = desk.http.get(&format!("/api/v1/customers/{nobody}")).await.expect(200).json();
    assert_eq!((&seen["name"], &seen["addresses"], &seen["phones"]), (&Value::Null, &json!([]), &json!([])));
    let addresses = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"email": format!("ada+{n}@example.org"), "confirmed": n == 0})).collect()
    };
    let many =
        json!({"name": "Ada", "addresses": addresses(50), "phones": ["+44 20 7946 0000", "+49 30 123456"]});
    let ada = make(&desk, many).await;
    let path = format!("/api/v1/customers/{ada}");
    let seen = desk.http.get(&path).await.expect(200).json();
    assert_eq!(seen["addresses"].as_array().unwrap().len(), 50);
    let now = "2026-11-22T08:00:00.000000Z";
    assert_eq!(
        seen["addresses"][0],
        json!({"email": "ada+0@example.org", "confirmed": true, "confirmed_at": now, "undeliverable_at": null,
               "complained_at": null})
    );
    assert_eq!(seen["addresses"][1]["confirmed"], false);
    let told = faults(&desk.http.post("/api/v1/customers", &json!({"addresses": addresses(51)})).await);
    assert_eq!(told, [("/addresses".to_owned(), "too_many".to_owned())]);
    // All of them at once: what stays keeps its time of confirmation.
    desk.desk().advance_clock(std::time::Duration::from_secs(60));
    let fewer = json!({"addresses": [{"email": "ADA+0@example.org", "confirmed": true}, {"email": "new@example.org"}]});
    let seen = desk.http.patch(&path, &fewer).await.expect(200).json();
    assert_eq!(seen["addresses"][0]["confirmed_at"], now, "{seen}");
    assert_eq!(seen["addresses"].as_array().unwrap().len(), 2);
    assert_eq!(seen["phones"].as_array().unwrap().len(), 2, "left out stays");
    let seen = desk
        .http
        .patch(&path, &json!({"name": null, "addresses": [], "phones": []}))
        .await
        .expect(200)
        .json();
    assert_eq!((&seen["name"], &seen["addresses"], &seen["phones"]), (&Value::Null, &json!([]), &json!([])));
    // What was given up is free for another.
    make(&desk, json!({"addresses": [{"email": "new@example.org"}]})).await;
    desk.stop().await;
}

#[tokio::test]
async fn an_address_belongs_to_one_customer_alone() {
    let desk = TestDesk::start().await;
    let ada = make(&desk, json!({"name": "Ada", "addresses": [{"email": "ada@bücher.example"}]})).await;
    let bo = make(&desk, json!({"name": "Bo"})).await;
    for same in ["ada@bücher.example", "ADA@BÜCHER.example", "ada@xn--bcher-kva.example"] {
        let body = json!({"addresses": [{"email": same}]});
        let taken = desk.http.post("/api/v1/customers", &body).await;
        assert_eq!(problem(&taken, 409, "already_exists")["existing_id"], ada, "{same}");
        let taken = desk.http.patch(&format!("/api/v1/customers/{bo}"), &body).await;
        assert_eq!(problem(&taken, 409, "already_exists")["existing_id"], ada, "{same}");
        let found =
            desk.http.get(&format!("/api/v1/customers?email={}", encoded(same))).await.expect(200).json();
        assert_eq!(ids(&found), [ada], "{same}");
    }
    let twice = json!({"addresses": [{"email": "c@example.org"}, {"email": "C@example.org"}]});
    let told = faults(&desk.http.post("/api/v1/customers", &twice).await);
    assert_eq!(told, [("/addresses/1/email".to_owned(), "duplicate".to_owned())]);
    for wrong in [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a b@example.org",
        "ada@example..org",
        "ada@example.org\r\nBcc: x",
    ] {
        let told =
            faults(&desk.http.post("/api/v1/customers", &json!({"addresses": [{"email": wrong}]})).await);
        assert_eq!(told, [("/addresses/0/email".to_owned(), "invalid_email".to_owned())], "{wrong:?}");
    }
    assert_eq!(desk.http.get("/api/v1/customers?count=true").await.json()["page"]["total"], 2);
    desk.stop().await;
}

#[tokio::test]
async fn a_word_finds_names_and_addresses_in_any_script() {
    let desk = TestDesk::start().await;
    let mut by_name = std::collections::HashMap::new();
    for (name, email) in [
        ("Ünal Öztürk", "unal@example.org"),
        ("Жанна Ёлкина", "zhanna@example.org"),
        ("Åsa Ström", "asa@ström.example"),
        ("100% Wool", "wool@example.org"),
        ("100 Wool", "wool2@example.org"),
        ("snake_case", "snake@example.org"),
        ("snakeXcase", "snakex@example.org"),
        (r"back\slash", "back@example.org"),
        ("Robert'); DROP TABLE customers;--", "robert@example.org"),
    ] {
        let id = make(&desk, json!({"name": name, "addresses": [{ "email": email }]})).await;
        by_name.insert(name, id);
    }
    for (words, names) in [
        ("ünal", vec!["Ünal Öztürk"]),
        ("ÜNAL ÖZ", vec!["Ünal Öztürk"]),
        ("ЖАННА", vec!["Жанна Ёлкина"]),
        ("ёлк", vec!["Жанна Ёлкина"]),
        ("åSA", vec!["Åsa Ström"]),
        ("UNAL@", vec!["Ünal Öztürk"]),
        ("100%", vec!["100% Wool"]),
        ("%", vec!["100% Wool"]),
        ("_", vec!["snake_case"]),
        ("snake_c", vec!["snake_case"]),
        (r"\", vec![r"back\slash"]),
        ("')", vec!["Robert'); DROP TABLE customers;--"]),
        ("wool", vec!["100 Wool", "100% Wool"]),
        ("nobody", vec![]),
    ] {
        let found =
            desk.http.get(&format!("/api/v1/customers?q={}", encoded(words))).await.expect(200).json();
        let mut expected: Vec<i64> = names.iter().map(|name| by_name[name]).collect();
        expected.sort_by_key(|id| std::cmp::Reverse(*id));
        assert_eq!(ids(&found), expected, "{words}: newest first");
    }
    // An address is found whole, in any case, and not by a part of it.
    for (email, count) in
        [("UNAL@EXAMPLE.ORG", 1), (" unal@example.org ", 1), ("unal", 0), ("%", 0), ("example.org", 0)]
    {
        let found =
            desk.http.get(&format!("/api/v1/customers?email={}&count=true", encoded(email))).await.json();
        assert_eq!(found["page"]["total"], count, "{email}");
    }
    problem(&desk.http.get("/api/v1/customers?q=%00").await, 400, "bad_parameter");
    desk.stop().await;
}

/// Whoever writes is a customer from then on, and their conversations are found by their number.
#[tokio::test]
async fn conversations_are_found_by_their_customer() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let first = conversation(&desk, mailbox, "ada@example.org", json!({})).await;
    let second = conversation(&desk, mailbox, "ADA@example.org", json!({})).await;
    let other = conversation(&desk, mailbox, "bo@example.org", json!({})).await;
    assert_eq!(first["customer_id"], second["customer_id"], "an address is one in any case");
    let found = desk.http.get("/api/v1/customers?email=ada@example.org").await.expect(200).json();
    assert_eq!(ids(&found), [first["customer_id"].as_i64().unwrap()]);
    let list = |of: &Value| format!("/api/v1/conversations?customer_id={of}");
    let theirs = desk.http.get(&list(&first["customer_id"])).await.expect(200).json();
    assert_eq!(ids(&theirs), [second["id"].as_i64().unwrap(), first["id"].as_i64().unwrap()]);
    let both = json!(format!("{},{}", first["customer_id"], other["customer_id"]));
    let both = desk.http.get(&list(&json!(both.as_str().unwrap())).replace('"', "")).await.expect(200).json();
    assert_eq!(ids(&both).len(), 3);
    assert_eq!(ids(&desk.http.get(&list(&json!(4711))).await.expect(200).json()), Vec::<i64>::new());
    desk.stop().await;
}
