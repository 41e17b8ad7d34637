//! Messages that went from one conversation to another, as callers ask for it and see it.

use postroom_core::id::{ConversationId, MessageId, TransferId};
use postroom_core::operations::transfers::Destination;
use postroom_core::time::Timestamp;
use postroom_core::transfer::{Transfer, TransferReason};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a message is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageMove {
    /// The number of a conversation, or `new` for one of its own.
    pub to: To,
}

/// A conversation's number, or `new`.
#[derive(Debug, Clone, Copy)]
pub struct To(pub Destination);

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = To;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a conversation's number or \"new\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<To, E> {
                match number {
                    1.. => Ok(To(Destination::Conversation(ConversationId(number)))),
                    _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<To, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<To, E> {
                match word {
                    "new" => Ok(To(Destination::New)),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

// By hand: derived schemas know no value that is one of two kinds.
impl utoipa::PartialSchema for To {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let number = utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .minimum(Some(1));
        let word = utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(["new"]));
        utoipa::openapi::schema::OneOfBuilder::new()
            .item(number)
            .item(word)
            .description(Some("A conversation's number, or `new` for one of its own."))
            .into()
    }
}

impl ToSchema for To {}

/// Which link is accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkAccept {
    /// The conversation that `links` names with the reason `suggested`.
    pub related_id: ConversationId,
}

/// Where a conversation goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationMerge {
    /// The conversation that all of its messages go into.
    pub into: ConversationId,
}

/// What gets a conversation of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationSplit {
    /// Messages of this conversation, not all of them.
    #[schema(min_items = 1, max_items = 100)]
    pub message_ids: Vec<MessageId>,
}

/// Messages that went from one conversation to another at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transfer, example = json!({
    "id": 7, "reason": "moved", "from_id": 1234, "to_id": 1200, "message_ids": [5120], "invited": [],
    "from_was_merged": false, "created_at": "2026-11-22T08:00:00.123456Z", "undone_at": null
}))]
pub struct TransferView {
    /// Its number: `POST /transfers/{id}/undo` takes it back.
    pub id: TransferId,
    /// Why.
    pub reason: TransferReason,
    /// The conversation they left.
    pub from_id: ConversationId,
    /// The one they went to.
    pub to_id: ConversationId,
    /// What went.
    pub message_ids: Vec<MessageId>,
    /// Who became part of the other conversation by it, by address.
    pub invited: Vec<String>,
    /// Nothing was left in the first one, and it counts as merged into the other.
    pub from_was_merged: bool,
    /// When.
    pub created_at: Timestamp,
    /// When it was taken back.
    pub undone_at: Option<Timestamp>,
}

impl From<Transfer> for TransferView {
    fn from(transfer: Transfer) -> Self {
        let details = transfer.details.into_inner();
        Self {
            id: transfer.id,
            reason: transfer.reason,
            from_id: transfer.from_id,
            to_id: transfer.to_id,
            from_was_merged: details.from[1].message_count == 0,
            message_ids: details.message_ids,
            invited: details.invited,
            created_at: transfer.created_at,
            undone_at: transfer.undone_at,
        }
    }
}
