//! The ids of things: a number apart for each noun, so that one can't stand for another.
//!
//! Rows count up in 64-bit integers and stay below 2^53, so that every JSON reader keeps them
//! exact. Things that must not be guessed carry a prefixed `UUIDv7` string instead.

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
                 AsExpression, FromSqlRow, ToSchema)]
        #[diesel(sql_type = BigInt)]
        #[serde(transparent)]
        #[schema(value_type = i64, minimum = 1)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        crate::store::types::as_bigint!($name);
    )+};
}

macro_rules! token_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize,
                 AsExpression, FromSqlRow, ToSchema)]
        #[diesel(sql_type = Text)]
        #[serde(transparent)]
        #[schema(value_type = String)]
        pub struct $name(pub String);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id, in the order of time.
            pub fn fresh() -> Self {
                Self(format!(concat!($prefix, "{}"), uuid::Uuid::now_v7().simple()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        crate::store::types::as_text!($name);
    )+};
}

row_id! {
    /// An address the desk owns.
    MailboxId,
    /// A person who writes.
    CustomerId,
    /// One address of a customer.
    CustomerAddressId,
    /// One telephone number of a customer.
    CustomerPhoneId,
    /// A person who answers.
    AgentId,
    /// What agents may do. Those that come with the desk have the first numbers.
    RoleId,
    /// A group of agents.
    TeamId,
    /// When somebody is there.
    ScheduleId,
    /// A time in which an agent is not there.
    AbsenceId,
    /// A kind of matter, for visibility.
    CategoryId,
    /// A thread of messages with one customer.
    ConversationId,
    /// One message, note or answer.
    MessageId,
    /// Messages that went from one conversation to another at once.
    TransferId,
    /// A label on conversations.
    TagId,
    /// What a desk wants to know of conversations or customers.
    CustomFieldId,
    /// A question that is kept.
    ViewId,
    /// Somebody who sees to it that nothing waits too long.
    WatchdogId,
    /// That an agent is to know of an event.
    NotificationId,
    /// A row of the ledger: one mail seen in one place.
    LedgerId,
    /// A mail on its way out.
    OutboxId,
    /// Somebody who is told of events by HTTP.
    WebhookId,
}

token_id! {
    /// A file that belongs to a message, or waits to.
    AttachmentId = "att_",
    /// An access token's public name (never the secret itself).
    TokenId = "tok_",
    /// One test of a mailbox by mails to itself.
    RoundTripId = "rtp_",
    /// One event on its way to a webhook: its `webhook-id`.
    WebhookDeliveryId = "dlv_",
    /// Work that goes on after its request was answered.
    JobId = "job_",
}
