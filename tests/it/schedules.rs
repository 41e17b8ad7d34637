//! Schedules through the API: what is taken, what is told of a moment, and what strangers see.

use crate::mailing::{days, list, sql, with};
use crate::problems::problem;
use postroom_core::access::Scope;
use postroom_core::operations::schedules;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::http::{Answer, Http};

const PATH: &str = "/api/v1/schedules";

fn office() -> Value {
    let hours: Vec<Value> = ["monday", "tuesday", "wednesday", "thursday", "friday"]
        .iter()
        .map(|day| json!({"weekday": day, "from": "09:00", "to": "17:00"}))
        .collect();
    json!({"name": "Office", "time_zone": "europe/berlin", "hours": hours, "holidays": [
        {"date": "2026-12-24", "name": "Christmas Eve", "hours": [{"from": "09:00", "to": "12:00"}]},
        {"date": "2026-12-25", "until": "2026-12-26", "name": "Christmas"}]})
}

async fn made(desk: &TestDesk, schedule: &Value) -> Value {
    desk.http.post(PATH, schedule).await.expect(201).json()
}

fn path_of(schedule: &Value) -> String {
    format!("{PATH}/{}", schedule["id"])
}

async fn put_calendar(http: &Http, path: &str, text: &str) -> Answer {
    http.send("PUT", &format!("{path}/calendar"), &[("Content-Type", "text/calendar")], text.as_bytes()).await
}

async fn patch_if(http: &Http, path: &str, etag: &str, change: &Value) -> Answer {
    let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag)];
    http.send("PATCH", path, &headers, change.to_string().as_bytes()).await
}

fn calendar(event: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
}

async fn opening(desk: &TestDesk, path: &str, at: &str) -> Value {
    desk.http.get(&format!("{path}/opening?at={at}")).await.expect(200).json()
}

#[tokio::test]
async fn a_schedule_is_made_changed_and_removed() {
    let desk = TestDesk::start().await;
    let answer = desk.http.post(PATH, &office()).await.expect(201);
    let schedule = answer.json();
    let path = path_of(&schedule);
    assert!(answer.header("location").is_some_and(|location| location.ends_with(&path)));
    assert_eq!(schedule["time_zone"], "Europe/Berlin", "as the database spells it");
    assert_eq!((&schedule["is_public"], &schedule["public_key"]), (&json!(false), &Value::Null));
    assert_eq!(schedule["hours"][4], json!({"weekday": "friday", "from": "09:00", "to": "17:00"}));
    assert_eq!(schedule["holidays"][1]["hours"], json!([]));
    let document = problem(&desk.http.post(PATH, &office()).await, 409, "already_exists");
    assert_eq!(document["existing_id"], schedule["id"]);

    let etag = answer.header("etag").expect("a version").to_owned();
    let change = json!({"hours": [{"weekday": "sunday", "from": "22:00", "to": "24:00"},
                                  {"weekday": "monday", "from": "00:00", "to": "02:00"}]});
    let patched = patch_if(&desk.http, &path, &etag, &change).await.expect(200).json();
    assert_eq!((&patched["version"], &patched["name"]), (&json!(2), &json!("Office")));
    assert_eq!(patched["hours"][0]["weekday"], "monday", "in order");
    problem(&patch_if(&desk.http, &path, &etag, &json!({"name": "Late"})).await, 412, "version_conflict");
    let same = desk.http.patch(&path, &change).await.expect(200).json();
    assert_eq!(same["version"], 2, "nothing changed");
    // Sunday night goes on into Monday.
    let night = opening(&desk, &path, "2026-11-22T21:30:00Z").await;
    assert_eq!(night["next_closing"], "2026-11-23T01:00:00.000000Z");

    let all = desk.http.get(PATH).await.expect(200).json();
    assert_eq!(all["data"], json!([patched]));
    desk.http.delete(&path).await.expect(204);
    problem(&desk.http.get(&path).await, 404, "not_found");
    let events = list(&desk, "/api/v1/events?limit=100").await;
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter(|kind| kind.starts_with("schedule."))
        .collect();
    assert_eq!(kinds, ["schedule.created", "schedule.updated", "schedule.deleted"]);
    desk.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let desk = TestDesk::start().await;
    for (pointer, code, change) in [
        ("/name", "required", json!({"name": " "})),
        ("/name", "too_long", json!({"name": "x".repeat(201)})),
        ("/time_zone", "unknown_time_zone", json!({"time_zone": "Mars/Olympus"})),
        ("/time_zone", "unknown_time_zone", json!({"time_zone": "localtime"})),
        ("/time_zone", "unknown_time_zone", json!({"time_zone": "Right/Europe/Berlin"})),
        (
            "/hours/0/from",
            "invalid",
            json!({"hours": [{"weekday": "monday", "from": "9:00", "to": "17:00"}]}),
        ),
        (
            "/hours/0/to",
            "invalid_range",
            json!({"hours": [{"weekday": "monday", "from": "09:00", "to": "09:00"}]}),
        ),
        (
            "/hours/0/weekday",
            "unknown_value",
            json!({"hours": [{"weekday": "mo", "from": "09:00", "to": "10:00"}]}),
        ),
        (
            "/hours",
            "too_many",
            json!({"hours": vec![json!({"weekday": "monday", "from": "09:00", "to": "10:00"}); 51]}),
        ),
        (
            "/holidays/0/until",
            "invalid_range",
            json!({"holidays": [{"date": "2026-12-25", "until": "2026-12-24", "name": "x"}]}),
        ),
        ("/holidays/0/date", "invalid", json!({"holidays": [{"date": "2027-02-29", "name": "x"}]})),
        ("/holidays/0/name", "required", json!({"holidays": [{"date": "2027-02-28", "name": ""}]})),
        (
            "/holidays/0/hours/1",
            "overlap",
            json!({"holidays": [{"date": "2027-02-28", "name": "x",
            "hours": [{"from": "09:00", "to": "10:00"}, {"from": "09:30", "to": "11:00"}]}]}),
        ),
        (
            "/holidays",
            "too_many",
            json!({"holidays": vec![json!({"date": "2027-02-28", "name": "x"}); 1_001]}),
        ),
    ] {
        let mut schedule = office();
        for (name, value) in change.as_object().expect("members") {
            schedule[name] = value.clone();
        }
        let document = problem(&desk.http.post(PATH, &schedule).await, 422, "validation_failed");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
        assert_eq!(document["errors"][0]["code"], code, "{document}");
    }
    let mut most = office();
    most["name"] = json!("x".repeat(200));
    most["holidays"] = json!(vec![json!({"date": "2027-02-28", "name": "x"}); 1_000]);
    made(&desk, &most).await;
    desk.stop().await;
}

#[tokio::test]
async fn a_moment_is_told_with_its_reason() {
    let desk = TestDesk::start().await;
    let path = path_of(&made(&desk, &office()).await);
    let monday = opening(&desk, &path, "2026-11-23T08:30:00%2B00:00").await;
    assert_eq!(
        monday,
        json!({"at": "2026-11-23T08:30:00.000000Z", "is_open": true,
            "next_opening": "2026-11-24T08:00:00.000000Z", "next_closing": "2026-11-23T16:00:00.000000Z",
            "because": "hours", "name": null})
    );
    let eve = opening(&desk, &path, "2026-12-24T12:00:00Z").await;
    assert_eq!(
        (&eve["is_open"], &eve["because"], &eve["name"]),
        (&json!(false), &json!("holiday"), &json!("Christmas Eve"))
    );
    assert_eq!(eve["next_opening"], "2026-12-28T08:00:00.000000Z");

    let event = "SUMMARY:Betriebsferien\r\nDTSTART;VALUE=DATE:20261228\r\nDTEND;VALUE=DATE:20270101\r\nTRANSP:TRANSPARENT";
    let kept = put_calendar(&desk.http, &path, &calendar(event)).await.expect(200).json();
    assert_eq!(
        kept["closed"],
        json!([{"name": "Betriebsferien",
        "from": "2026-12-27T23:00:00.000000Z", "to": "2026-12-31T23:00:00.000000Z"}])
    );
    assert_eq!(desk.http.get(&format!("{path}/calendar")).await.expect(200).json(), kept);
    let shut = opening(&desk, &path, "2026-12-28T10:00:00Z").await;
    assert_eq!((&shut["because"], &shut["name"]), (&json!("calendar"), &json!("Betriebsferien")));
    assert_eq!(shut["next_opening"], "2027-01-01T08:00:00.000000Z");
    // Whole days are the schedule's, whichever its zone becomes.
    desk.http.patch(&path, &json!({"time_zone": "America/New_York"})).await.expect(200);
    let moved = desk.http.get(&format!("{path}/calendar")).await.expect(200).json();
    assert_eq!(moved["closed"][0]["from"], "2026-12-28T05:00:00.000000Z");

    desk.http.delete(&format!("{path}/calendar")).await.expect(204);
    let empty = desk.http.get(&format!("{path}/calendar")).await.expect(200).json();
    assert_eq!(empty, json!({"until": null, "closed": []}));
    let empty = made(&desk, &json!({"name": "Nobody", "time_zone": "UTC"})).await;
    let never = desk.http.get(&format!("{}/opening", path_of(&empty))).await.expect(200).json();
    assert_eq!((&never["is_open"], &never["next_opening"]), (&json!(false), &Value::Null));
    desk.stop().await;
}

#[tokio::test]
async fn a_calendar_that_is_none_changes_nothing() {
    let desk = TestDesk::start().await;
    let path = path_of(&made(&desk, &office()).await);
    put_calendar(&desk.http, &path, &calendar("DTSTART;VALUE=DATE:20261228")).await.expect(200);
    let before = desk.http.get(&format!("{path}/calendar")).await.expect(200).json();
    let refused =
        put_calendar(&desk.http, &path, &calendar("SUMMARY:Odd\r\nDTSTART;VALUE=DATE:20261x28")).await;
    let document = problem(&refused, 422, "validation_failed");
    assert_eq!(document["errors"][0]["code"], "invalid_calendar");
    let zero = calendar("DTSTART;VALUE=DATE:20261228\r\nRRULE:FREQ=YEARLY;INTERVAL=0");
    let zero = problem(&put_calendar(&desk.http, &path, &zero).await, 422, "validation_failed");
    assert_eq!(zero["errors"][0]["detail"], "line 5: RRULE: INTERVAL must be 1 to 1000");
    assert_eq!(
        document["errors"][0]["detail"],
        "event 1 (“Odd”, line 3): DTSTART “20261x28” is not a day or a time"
    );
    problem(&put_calendar(&desk.http, &path, "BEGIN:VCALENDAR\0").await, 422, "validation_failed");
    let whole = calendar("DTSTART;VALUE=DATE:20261229");
    let most = format!("{whole}{}", " ".repeat(256 * 1024 - whole.len()));
    problem(&put_calendar(&desk.http, &path, &format!("{most} ")).await, 413, "too_large");
    problem(&desk.http.put(&format!("{path}/calendar"), &json!({})).await, 415, "unsupported_media_type");
    assert_eq!(desk.http.get(&format!("{path}/calendar")).await.expect(200).json(), before);
    let kept = put_calendar(&desk.http, &path, &most).await.expect(200);
    let stale = [("Content-Type", "text/calendar"), ("If-Match", "\"s1-1\"")];
    let stale = desk.http.send("PUT", &format!("{path}/calendar"), &stale, whole.as_bytes()).await;
    problem(&stale, 412, "version_conflict");
    // The same once more changes nothing.
    let again = put_calendar(&desk.http, &path, &most).await.expect(200);
    assert_eq!(again.header("etag"), kept.header("etag"));
    desk.stop().await;
}

/// What repeats for ever is read for two years, and on before these are over: beyond what was read the first
/// time it closes as it did, right over changes of the clocks and midnight.
#[tokio::test]
async fn calendars_are_read_on() {
    let desk = TestDesk::start_fixed().await;
    // Through the night to Sunday, by the hours; half an hour of it is closed every week.
    let night = json!({"name": "Night", "time_zone": "Europe/Berlin",
        "hours": [{"weekday": "saturday", "from": "22:00", "to": "24:00"},
                  {"weekday": "sunday", "from": "00:00", "to": "04:00"}],
        "holidays": [{"date": "2029-03-31", "name": "Stocktaking"}]});
    let path = path_of(&made(&desk, &night).await);
    let weekly = "DTSTART;TZID=Europe/Berlin:20261122T030000\r\nDURATION:PT30M\r\nRRULE:FREQ=WEEKLY";
    put_calendar(&desk.http, &path, &calendar(weekly)).await.expect(200);
    let broken = path_of(&made(&desk, &with(office(), json!({"name": "Broken"}))).await);
    put_calendar(&desk.http, &broken, &calendar(weekly)).await.expect(200);
    sql(desk.config(), "UPDATE schedules SET calendar = 'nonsense' WHERE name = 'Broken'");
    let until = async |path: &str| {
        desk.http.get(&format!("{path}/calendar")).await.expect(200).json()["until"].clone()
    };
    assert_eq!(until(&path).await, "2028-11-23T08:00:00.000000Z");
    let unread = opening(&desk, &path, "2029-03-24T21:30:00Z").await;
    assert_eq!(unread["next_closing"], "2029-03-25T02:00:00.000000Z", "nothing is known of it yet");

    // The last moment at which there is no need to.
    desk.desk().advance_clock(days(302));
    schedules::read_on(desk.desk()).await.expect("they are looked through");
    assert_eq!(until(&path).await, "2028-11-23T08:00:00.000000Z");
    desk.desk().advance_clock(days(72));
    schedules::read_on(desk.desk()).await.expect("one that can't be read keeps no other");
    assert_eq!(until(&path).await, "2029-12-02T08:00:00.000000Z");
    assert_eq!(until(&broken).await, "2028-11-23T08:00:00.000000Z", "what was known of it stays");

    for (at, is_open, next_opening, next_closing) in [
        // 2029-03-25: 02:00 is 03:00, when it closes for half an hour.
        ("2029-03-24T21:30:00Z", true, "2029-03-25T01:30:00Z", "2029-03-25T01:00:00Z"),
        ("2029-03-25T01:15:00Z", false, "2029-03-25T01:30:00Z", "2029-03-25T02:00:00Z"),
        // 2029-10-28: 03:00 is 02:00 again, and the half hour comes after that.
        ("2029-10-27T20:30:00Z", true, "2029-10-28T02:30:00Z", "2029-10-28T02:00:00Z"),
        ("2029-10-28T02:30:00Z", true, "2029-11-03T21:00:00Z", "2029-10-28T03:00:00Z"),
        // A holiday ends at midnight, and the night goes on.
        ("2029-03-31T20:30:00Z", false, "2029-03-31T22:00:00Z", "2029-04-01T01:00:00Z"),
    ] {
        let told = opening(&desk, &path, at).await;
        let short = |member: &str| told[member].as_str().unwrap_or_default().replace(".000000Z", "Z");
        assert_eq!(
            (told["is_open"] == true, short("next_opening").as_str(), short("next_closing").as_str()),
            (is_open, next_opening, next_closing),
            "{at}: {told}"
        );
    }
    let etag = desk.http.get(&path).await.expect(200).header("etag").map(str::to_owned);
    schedules::read_on(desk.desk()).await.expect("they are looked through");
    assert_eq!(
        desk.http.get(&path).await.expect(200).header("etag").map(str::to_owned),
        etag,
        "nothing to do"
    );
    desk.stop().await;
}

#[tokio::test]
async fn strangers_see_what_is_public_and_no_more() {
    let desk = TestDesk::start().await;
    let nobody = Http::new(desk.address());
    let schedule = made(&desk, &office()).await;
    let path = path_of(&schedule);
    let shown = desk.http.patch(&path, &json!({"is_public": true})).await.expect(200).json();
    let key = shown["public_key"].as_str().expect("a key").to_owned();
    assert_eq!(key.len(), 43);
    let public = format!("/api/v1/public/schedules/{key}");
    assert!(shown["public_url"].as_str().is_some_and(|url| url.ends_with(&public)));
    let seen = nobody.get(&public).await.expect(200).json();
    let members: Vec<&String> = seen.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["closed", "holidays", "hours", "name", "now", "time_zone"]);
    assert_eq!((&seen["name"], &seen["hours"]), (&shown["name"], &shown["hours"]));
    assert!(seen["now"]["is_open"].is_boolean());
    let far =
        json!([{"date": "2019-12-25", "name": "Long ago"}, {"date": "2190-12-25", "name": "Long hence"}]);
    desk.http.patch(&path, &json!({"holidays": far})).await.expect(200);
    assert_eq!(nobody.get(&public).await.expect(200).json()["holidays"], json!([]));

    let unknown = nobody.get("/api/v1/public/schedules/AAAA").await;
    desk.http.patch(&path, &json!({"is_public": false})).await.expect(200);
    let gone = nobody.get(&public).await;
    let (unknown, gone) = (problem(&unknown, 404, "not_found"), problem(&gone, 404, "not_found"));
    assert_eq!((&unknown["detail"], &unknown["title"]), (&gone["detail"], &gone["title"]));
    let again = desk.http.patch(&path, &json!({"is_public": true})).await.expect(200).json();
    assert_ne!(again["public_key"], json!(key), "a key that was taken back stays so");
    desk.stop().await;
}

#[tokio::test]
async fn schedules_are_read_by_agents_and_changed_by_administrators() {
    let desk = TestDesk::start().await;
    let mailbox = desk.mailbox("Ours", "ours@example.org").await;
    let path = path_of(&made(&desk, &office()).await);
    let reader = desk.client(&[Scope::ConversationsRead], &[]).await;
    reader.get(&path).await.expect(200);
    reader.get(&format!("{path}/opening")).await.expect(200);
    let narrow = desk.client(Scope::ALL, &[mailbox]).await;
    for (http, code) in [(&reader, "insufficient_scope"), (&narrow, "forbidden")] {
        let fresh = json!({"name": "Mine", "time_zone": "UTC"});
        for answer in [
            http.post(PATH, &fresh).await,
            http.patch(&path, &json!({"name": "Mine"})).await,
            http.delete(&path).await,
            put_calendar(http, &path, "nonsense").await,
            http.delete(&format!("{path}/calendar")).await,
        ] {
            problem(&answer, 403, code);
        }
    }
    let writer = desk.client(&[Scope::AdminWrite], &[]).await;
    problem(&writer.get(PATH).await, 403, "insufficient_scope");
    desk.stop().await;
}
