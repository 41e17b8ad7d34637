//! A delivery: one event on its way to one webhook, and each time that it was tried.

use crate::id::{ConversationId, WebhookDeliveryId, WebhookId};
use crate::store::schema::{webhook_attempts, webhook_deliveries};
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Insertable, Queryable, Selectable};
use std::time::Duration;

/// The most attempts that are kept of one delivery: the last.
pub const ATTEMPTS_KEPT: i32 = 50;
/// Characters of an answer that are kept.
pub const ANSWER_CHARS: usize = 1_000;
/// An event that was tried so often in vain, while others were taken, holds the later ones of its
/// conversation back no longer.
pub const PASSED: i32 = 5;
/// A webhook that takes nothing for so long is told nothing any more.
pub const FAILS_FOR: Duration = Duration::from_secs(5 * 86_400);
/// The longest that a receiver may ask to be left alone for at a time.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// The pauses between attempts in seconds: ten attempts within 75 hours, as Standard Webhooks proposes.
const PAUSES: [u64; 9] =
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/// The longest pause that can come of them: what would wait longer comes from a clock that was set back.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(27 * HOUR);

/// The pause after so many tries in vain; `None`: that was the last. `share`, from 0 to 1, is drawn by lot, up to a tenth
/// more, so that what failed together does not come back together.
pub fn pause(tries: i32, share: f64) -> Option<Duration> {
    let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(0);
    let least = Duration::from_secs(*PAUSES.get(at)?);
    Some(least + least.mul_f64(share.clamp(0.0, 1.0) / 10.0))
}

words! {
    /// How far a delivery is.
    pub enum WebhookDeliveryState {
        /// It waits to be tried, or to be tried again.
        Queued = "queued",
        /// It is being tried.
        Sending = "sending",
        /// The receiver took it (2xx).
        Delivered = "delivered",
        /// It is not tried any more by itself.
        Failed = "failed",
    }
}

/// A delivery as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
pub struct WebhookDelivery {
    /// Its place in the list.
    pub number: i64,
    /// Its `webhook-id`: the same at every attempt.
    pub id: WebhookDeliveryId,
    /// To whom.
    pub webhook_id: WebhookId,
    /// Of which event; `None`: a ping.
    pub seq: Option<i64>,
    /// The type of the event.
    pub event_type: String,
    /// The conversation of the event, whose events are told in order.
    pub conversation_id: Option<ConversationId>,
    /// What is sent, byte for byte.
    pub payload: String,
    /// How far it is.
    pub state: WebhookDeliveryState,
    /// How often it was tried in all.
    pub attempts: i32,
    /// How often since it was queued.
    pub tries: i32,
    /// How often of that the receiver took others meanwhile.
    pub passed: i32,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Until when a worker has it to itself, by the database's clock.
    pub claimed_until: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was taken or given up.
    pub finished_at: Option<Timestamp>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_attempts, treat_none_as_default_value = false)]
pub struct WebhookAttempt {
    /// Of which delivery.
    pub delivery_id: WebhookDeliveryId,
    /// Counts from 1.
    pub number: i32,
    /// When.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// What the receiver answered.
    pub status: Option<i32>,
    /// Why it was no success.
    pub error: Option<String>,
    /// How the answer began.
    pub answer: Option<String>,
}

/// What came of a try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the receiver answered; `None`: nothing.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How the answer began.
    pub answer: Option<String>,
    /// How long the receiver asks to be left alone.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub duration: Duration,
}

impl Outcome {
    /// The receiver took it.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Why it was no success, in a sentence.
    pub fn fault(&self) -> Option<String> {
        match self.status {
            _ if self.is_success() => None,
            Some(status @ 300..400) => {
                Some(format!("answered {status}: redirects are not followed; change the webhook's url"))
            }
            Some(status) => Some(format!("answered {status}")),
            None => Some(self.error.clone().unwrap_or_else(|| "did not answer".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_take_three_days() {
        let least: Duration = (1..).map_while(|tries| pause(tries, 0.0)).sum();
        assert_eq!(least, Duration::from_secs(75 * HOUR + 35 * MINUTE + 5));
        assert_eq!((1..).map_while(|tries| pause(tries, 0.0)).count() + 1, 10);
        assert_eq!(pause(10, 0.0), None);
        assert_eq!(pause(1, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(pause(2, 1.0), Some(Duration::from_secs(330)));
        for tries in 1..10 {
            assert!(pause(tries, 0.0) < pause(tries, 1.0), "{tries}: no lot");
            assert!(pause(tries, 2.0).unwrap() < LONGEST_PAUSE);
        }
    }

    #[test]
    fn only_2xx_is_a_success() {
        let of = |status| Outcome { status: Some(status), ..Outcome::default() };
        for status in [200, 201, 204, 299] {
            assert_eq!((of(status).is_success(), of(status).fault()), (true, None));
        }
        for status in [101, 199, 300, 301, 304, 399, 400, 404, 410, 429, 500, 503] {
            assert!(!of(status).is_success() && of(status).fault().is_some(), "{status}");
        }
        assert!(of(302).fault().unwrap().contains("redirects"));
        assert!(!Outcome::default().is_success());
    }
}
