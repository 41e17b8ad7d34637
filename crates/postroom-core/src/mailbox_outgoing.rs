//! How a mailbox's mail looks: the name it comes from, its signature, what stands around it, and whether it
//! quotes what it answers.

use crate::id::MailboxId;
use crate::outgoing::Written;
use crate::store::schema::mailbox_outgoing;
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// The name that mail comes from where nobody has said otherwise.
pub const FROM_NAME: &str = "{{mailbox.name}}";

/// How a mailbox's mail looks. All texts are templates (see [`crate::template`]).
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = mailbox_outgoing, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MailboxOutgoing {
    /// Whose.
    pub mailbox_id: MailboxId,
    /// The name that customers see.
    pub from_name: String,
    /// What stands below what agents write; `None`: the agent's own signature, if there is one.
    pub signature: Option<Json<Written>>,
    /// What stands above it.
    pub head: Option<Json<Written>>,
    /// What stands below it all, above what is quoted.
    pub foot: Option<Json<Written>>,
    /// An answer quotes what its recipients know already, unless it says otherwise.
    pub quote_history: bool,
    /// Counts changes; 0: nobody has changed it.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MailboxOutgoing {
    /// How it is before anybody has changed it.
    pub fn unchanged(mailbox_id: MailboxId) -> Self {
        Self {
            mailbox_id,
            from_name: FROM_NAME.to_owned(),
            signature: None,
            head: None,
            foot: None,
            quote_history: false,
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("bo{}-{}", self.mailbox_id, self.version)
    }
}
