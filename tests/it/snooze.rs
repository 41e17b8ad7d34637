//! Conversations that rest until they are due.

use crate::mailing::*;
use crate::problems::{faults, problem};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;

const FIVE_YEARS: Duration = Duration::from_secs(5 * 366 * 24 * 60 * 60);

struct Resting {
    desk: TestDesk,
    mailbox: i64,
    id: i64,
    path: String,
}

async fn resting() -> Resting {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let id = arrive(&desk, mailbox, &mail().from("ada@example.net").subject("Lamp")).await.conversation;
    Resting { path: format!("/api/v1/conversations/{id}"), desk, mailbox, id }
}

impl Resting {
    async fn snooze(&self, until: Value) -> Value {
        self.desk.http.post(&format!("{}/snooze", self.path), &until).await.expect(200).json()
    }

    async fn refused(&self, until: Value) -> Vec<(String, String)> {
        faults(&self.desk.http.post(&format!("{}/snooze", self.path), &until).await)
    }

    async fn now(&self) -> Value {
        self.desk.http.get(&self.path).await.expect(200).json()
    }

    /// What the log says of its snoozing and of its status, in order.
    async fn told(&self) -> Vec<Value> {
        let path = format!("{}/activity?limit=100", self.path);
        let all = self.desk.http.get(&path).await.expect(200).json();
        let of = |event: &&Value| {
            let kind = event["type"].as_str().expect("a type");
            kind == "conversation.snoozed" || kind == "conversation.status_changed"
        };
        all["data"].as_array().expect("a list").iter().filter(of).map(|event| event["data"].clone()).collect()
    }

    async fn until_open(&self) -> Value {
        self.desk.until(async || Some(self.now().await).filter(|now| now["status"] == "open")).await
    }
}

#[tokio::test]
async fn it_rests_until_its_time_and_is_open_then() {
    let desk = resting().await;
    let rests = desk.snooze(json!({"until": "2026-11-22T09:00:00Z"})).await;
    assert_eq!(
        (&rests["status"], &rests["snoozed_until"]),
        (&json!("snoozed"), &json!("2026-11-22T09:00:00.000000Z"))
    );
    let later = desk.snooze(json!({"until": "2026-11-22T10:00:00Z"})).await;
    assert_eq!(later["snoozed_until"], "2026-11-22T10:00:00.000000Z");
    assert_eq!(desk.snooze(json!({"until": "2026-11-22T10:00:00Z"})).await["version"], later["version"]);
    desk.desk.desk().advance_clock(Duration::from_secs(2 * 3_600 - 1));
    let wakes =
        |cx: &mut postroom_core::cx::Cx<'_>| postroom_core::operations::conversations::snooze::wake(cx, 10);
    assert_eq!(desk.desk.write(wakes).await, 0, "a second is left");
    assert_eq!(desk.now().await["status"], "snoozed");
    desk.desk.desk().advance_clock(Duration::from_secs(1));
    // Any change wakes the worker; its timer would.
    desk.desk.mailbox("Other", "other@example.org").await;
    let open = desk.until_open().await;
    assert_eq!((&open["snoozed_until"], &open["waiting_on"]), (&Value::Null, &json!("us")));
    let told = desk.told().await;
    let [slept, first, second, woke] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(slept["changes"]["status"], json!(["open", "snoozed"]));
    assert_eq!((&first["until"], &second["until"]), (&rests["snoozed_until"], &later["snoozed_until"]));
    assert_eq!(
        (&woke["reason"], &woke["changes"]["status"]),
        (&json!("snooze_over"), &json!(["snoozed", "open"]))
    );
}

#[tokio::test]
async fn what_the_customer_writes_ends_it_and_an_answer_does_not() {
    let desk = resting().await;
    let rests = desk.snooze(json!({"until_reply": true})).await;
    assert_eq!((&rests["status"], &rests["snoozed_until"]), (&json!("snoozed"), &Value::Null));
    let reply = json!({"kind": "reply", "text": "Have you tried another plug?"});
    let reply = desk.desk.http.post(&format!("{}/messages", desk.path), &reply).await.expect(201).json();
    assert_eq!(desk.now().await["status"], "snoozed", "they wait for the customer");
    desk.desk.desk().advance_clock(FIVE_YEARS);
    assert_eq!(desk.desk.write(|cx| postroom_core::operations::conversations::snooze::wake(cx, 10)).await, 0);
    let answer = mail().from("ada@example.net").subject("Re: Lamp").in_reply_to(&id_of(&reply));
    assert_eq!(arrive(&desk.desk, desk.mailbox, &answer).await.conversation, desk.id);
    assert_eq!(desk.now().await["status"], "open");
}

#[tokio::test]
async fn it_rests_until_business_hours_begin_again() {
    let desk = resting().await;
    // The clock stands at 08:00 UTC of a Sunday: 09:00 in Berlin.
    let schedule = json!({
        "name": "Office", "time_zone": "Europe/Berlin",
        "hours": [{"weekday": "monday", "from": "09:00", "to": "17:00"}, {"weekday": "sunday", "from": "08:00", "to": "12:00"}],
    });
    let schedule = desk.desk.http.post("/api/v1/schedules", &schedule).await.expect(201).json();
    let rests = desk.snooze(json!({"schedule_id": schedule["id"]})).await;
    assert_eq!(rests["snoozed_until"], "2026-11-23T08:00:00.000000Z", "open now, so the next time");
    let never = json!({"name": "Never", "time_zone": "UTC", "hours": []});
    let never = desk.desk.http.post("/api/v1/schedules", &never).await.expect(201).json();
    let before = desk.now().await;
    assert_eq!(
        desk.refused(json!({"schedule_id": never["id"]})).await,
        [("/schedule_id".into(), "never_opens".into())]
    );
    assert_eq!(desk.refused(json!({"schedule_id": 77})).await, [("/schedule_id".into(), "not_found".into())]);
    assert_eq!(desk.now().await, before);
}

#[tokio::test]
async fn a_time_is_ahead_and_within_five_years_and_one_end_is_given() {
    let desk = resting().await;
    let now = postroom_core::time::Timestamp(1_795_334_400_000_000);
    assert_eq!(now, support::desk::BEGINNING);
    assert_eq!(desk.refused(json!({"until": now})).await, [("/until".into(), "in_the_past".into())]);
    let longest = now.plus(FIVE_YEARS);
    let beyond = longest.plus(Duration::from_micros(1));
    assert_eq!(desk.refused(json!({"until": beyond})).await, [("/until".into(), "too_late".into())]);
    for none in [json!({}), json!({"until_reply": false}), json!({"until": longest, "until_reply": true})] {
        assert_eq!(desk.refused(none).await, [(String::new(), "one_of".into())]);
    }
    assert_eq!(desk.now().await["status"], "open");
    assert_eq!(desk.snooze(json!({"until": longest})).await["snoozed_until"], json!(longest));
}

#[tokio::test]
async fn it_is_woken_by_hand_and_what_is_done_does_not_rest() {
    let desk = resting().await;
    let (snooze, unsnooze) = (format!("{}/snooze", desk.path), format!("{}/unsnooze", desk.path));
    let until = json!({"until_reply": true});
    desk.snooze(until.clone()).await;
    let woken = desk.desk.http.post(&unsnooze, &Value::Null).await.expect(200).json();
    assert_eq!((&woken["status"], &woken["snoozed_until"]), (&json!("open"), &Value::Null));
    let again = desk.desk.http.post(&unsnooze, &Value::Null).await.expect(200).json();
    assert_eq!(again["version"], woken["version"]);
    for done in ["closed", "spam"] {
        desk.desk.http.patch(&desk.path, &json!({"status": done})).await.expect(200);
        problem(&desk.desk.http.post(&snooze, &until).await, 409, "state_conflict");
        let can = desk.desk.http.get(&format!("{}?include=capabilities", desk.path)).await.expect(200).json();
        let refused = can["included"]["capabilities"][0]["refused"].as_array().expect("a list");
        assert!(refused.iter().any(|refused| refused["action"] == "snooze"), "{can}");
        assert_eq!(desk.desk.http.post(&unsnooze, &Value::Null).await.expect(200).json()["status"], done);
    }
    desk.desk.http.patch(&desk.path, &json!({"status": "open"})).await.expect(200);
    let stale = [("if-match", "\"c1-1\""), ("content-type", "application/json")];
    problem(
        &desk.desk.http.send("POST", &snooze, &stale, until.to_string().as_bytes()).await,
        412,
        "version_conflict",
    );
}

#[tokio::test]
async fn what_lies_in_the_trash_rests_until_it_comes_back() {
    let desk = resting().await;
    desk.snooze(json!({"until": "2026-11-22T09:00:00Z"})).await;
    desk.desk.http.delete(&desk.path).await.expect(204);
    desk.desk.desk().advance_clock(Duration::from_secs(7_200));
    assert_eq!(desk.desk.write(|cx| postroom_core::operations::conversations::snooze::wake(cx, 10)).await, 0);
    desk.desk.http.post(&format!("{}/restore", desk.path), &Value::Null).await.expect(200);
    desk.until_open().await;
}
