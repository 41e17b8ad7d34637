//! F-51: the days on which clocks and calendars are odd, and mails whose own dates are: every mail comes
//! in, in the order in which it was received.

use crate::mailing::*;
use postroom_core::time::{Clock, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::mail::mail;

/// When mail comes, in order: around both changes of summer time, on a leap day, at the end of the
/// seconds that 32 bits can count, and on a day after which 2100 has none.
const RECEIVED: [&str; 9] = [
    "2026-03-29T00:59:59.000000Z",
    "2026-03-29T01:00:00.000000Z",
    "2026-10-25T00:30:00.000000Z",
    "2026-10-25T01:30:00.000000Z",
    "2028-02-29T23:59:59.000000Z",
    "2038-01-19T03:14:07.000000Z",
    "2038-01-19T03:14:08.000000Z",
    "2100-02-28T23:59:59.000000Z",
    "2100-03-01T00:00:00.000000Z",
];

/// What stands in the Date field of each, and what it means; the same hour twice, as it is on the night
/// when clocks go back. A day that there is not is the one after the last.
const DATED: [(&str, &str); 9] = [
    ("Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000000Z"),
    ("Thu, 31 Dec 2099 23:59:59 +0000", "2099-12-31T23:59:59.000000Z"),
    ("Sun, 25 Oct 2026 02:30:00 +0200", "2026-10-25T00:30:00.000000Z"),
    ("Sun, 25 Oct 2026 02:30:00 +0100", "2026-10-25T01:30:00.000000Z"),
    ("Tue, 29 Feb 2028 12:00:00 +0000", "2028-02-29T12:00:00.000000Z"),
    ("Tue, 19 Jan 2038 03:14:08 +0000", "2038-01-19T03:14:08.000000Z"),
    ("Sun, 29 Mar 2026 02:30:00 +0100", "2026-03-29T01:30:00.000000Z"),
    ("Mon, 29 Feb 2100 12:00:00 +0000", "2100-03-01T12:00:00.000000Z"),
    ("Wed, 31 Dec 1969 23:59:59 +0000", "1969-12-31T23:59:59.000000Z"),
];

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("it is a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_of_any_date_comes_in_in_the_order_it_was_received() {
    let desk = TestDesk::start_with(Clock::fixed(time(RECEIVED[0])), |_| {}).await;
    let mailbox = pushed(&desk, json!({})).await;
    let first = mail().from("Ada <ada@acme.example>").subject("Clocks").message_id("<0@acme.example>");
    let mut conversation = None;
    for (number, (received, (dated, _))) in RECEIVED.iter().zip(DATED).enumerate() {
        let ahead = time(received).0 - desk.desk().now().0;
        desk.desk().advance_clock(Duration::from_micros(ahead.unsigned_abs()));
        let mut raw = first.clone().date(dated).text(&format!("Number {number}."));
        if number > 0 {
            raw = raw.message_id(&format!("<{number}@acme.example>")).in_reply_to("<0@acme.example>");
        }
        let landed = arrive(&desk, mailbox, &raw).await;
        let told = self::conversation(&desk, *conversation.get_or_insert(landed.conversation)).await;
        assert_eq!(landed.conversation, number_of(&told), "{dated}");
        assert_eq!(told["updated_at"], *received, "{dated}");
    }
    let id = conversation.expect("mails have come in");
    let messages = messages(&desk, id).await;
    let member = |name: &str| messages.iter().map(|message| message[name].clone()).collect::<Vec<Value>>();
    let mut received = member("received_at");
    let texts: Vec<Value> = (0..RECEIVED.len()).map(|number| json!(format!("Number {number}.\n"))).collect();
    assert_eq!(member("reply_text"), texts);
    received.dedup();
    assert_eq!(received, RECEIVED.map(|at| json!(at)));
    for ((_, meant), message) in DATED.iter().zip(&messages) {
        assert_eq!(message["sent_at"], *meant, "{message}");
    }
    assert!(ledger(&desk, mailbox, "quarantined").await.is_empty());
    desk.stop().await;
}

fn number_of(conversation: &Value) -> i64 {
    number(&conversation["id"])
}
