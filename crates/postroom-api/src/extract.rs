//! What handlers take from a request: who calls, and the id in the path.

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use postroom_core::actor::Actor;
use postroom_core::id::{
    AbsenceId, AgentId, AttachmentId, ConversationId, CustomFieldId, CustomerId, JobId, LedgerId, MailboxId,
    MessageId, NotificationId, RoleId, RoundTripId, ScheduleId, TagId, TeamId, TokenId, TransferId, ViewId,
    WatchdogId, WebhookDeliveryId, WebhookId,
};
use std::future::{Ready, ready};

/// Who calls. [`crate::routing::gate`] found out before the handler was reached; where it did
/// not, nobody gets in.
#[derive(Debug, Clone)]
pub struct Caller(pub Actor);

impl std::ops::Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.0
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(req.extensions().get::<Self>().cloned().ok_or_else(unauthorized))
    }
}

/// 401: there is no token, or it opens nothing.
pub fn unauthorized() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "send a token that is valid: Authorization: Bearer pr_pat_…",
    )
    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"postroom\""))
}

/// 401: the token's time is over.
pub fn expired() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token_expired", "this token has expired; ask for a new one").header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(
            "Bearer realm=\"postroom\", error=\"invalid_token\", error_description=\"the token has expired\"",
        ),
    )
}

/// The `{id}` of the path. One that no row could have is 404, like one that no row has.
#[derive(Debug, Clone)]
pub struct Id<T>(pub T);

/// The `{row}` of the path, below the `{id}`.
#[derive(Debug, Clone)]
pub struct Row<T>(pub T);

impl<T: PathId> FromRequest for Row<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let row = req.match_info().get("row").and_then(T::read);
        ready(row.map(Self).ok_or_else(|| Problem::not_found(format!("there is no such {}", T::NOUN))))
    }
}

/// An id as it stands in a path.
pub trait PathId: Sized + 'static {
    /// What it is the id of.
    const NOUN: &'static str;

    /// Reads it; `None` where it can't be one.
    fn read(text: &str) -> Option<Self>;
}

impl<T: PathId> FromRequest for Id<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.match_info().get("id").and_then(T::read);
        ready(id.map(Self).ok_or_else(|| Problem::not_found(format!("there is no such {}", T::NOUN))))
    }
}

/// Ids stay below 2^53, so that every JSON reader keeps them exact.
const LARGEST: i64 = (1 << 53) - 1;

fn row_number(text: &str) -> Option<i64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok()?;
    (canonical && number <= LARGEST).then_some(number)
}

fn is_public_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

macro_rules! path_ids {
    (rows $($row:ident = $row_noun:literal),+; strings $($string:ident = $string_noun:literal),+) => {
        $(impl PathId for $row {
            const NOUN: &'static str = $row_noun;

            fn read(text: &str) -> Option<Self> {
                row_number(text).map(Self)
            }
        })+
        $(impl PathId for $string {
            const NOUN: &'static str = $string_noun;

            fn read(text: &str) -> Option<Self> {
                is_public_id(text, Self::PREFIX).then(|| Self(text.to_owned()))
            }
        })+
    };
}

path_ids! {
    rows
        AbsenceId = "absence of this agent", AgentId = "agent", ConversationId = "conversation", CustomFieldId = "custom field",
        CustomerId = "customer",
        LedgerId = "row in this ledger", MailboxId = "mailbox", MessageId = "message", NotificationId = "notification",
        RoleId = "role", ScheduleId = "schedule", TagId = "tag", TeamId = "team",
        TransferId = "transfer", ViewId = "view", WatchdogId = "watchdog", WebhookId = "webhook";
    strings
        AttachmentId = "attachment", RoundTripId = "test of this mailbox", TokenId = "token",
        WebhookDeliveryId = "delivery of this webhook", JobId = "job"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_id_is_a_positive_number_written_one_way() {
        assert_eq!(MailboxId::read("1"), Some(MailboxId(1)));
        assert_eq!(MailboxId::read("9007199254740991"), Some(MailboxId(LARGEST)));
        for other in ["", "0", "-1", "+1", "01", "1.0", "x", "9007199254740992", "99999999999999999999", "１"]
        {
            assert_eq!(MailboxId::read(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_public_id_has_its_prefix_and_32_digits() {
        let fresh = AttachmentId::fresh();
        assert_eq!(AttachmentId::read(&fresh.0), Some(fresh.clone()));
        assert_eq!(TokenId::read(&fresh.0), None);
        assert_eq!(AttachmentId::read("att_"), None);
        assert_eq!(AttachmentId::read(&fresh.0.to_uppercase()), None);
    }
}
