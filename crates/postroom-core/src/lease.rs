//! A lease: one daemon's right to poll one mailbox, for as long as it renews it.

use crate::id::MailboxId;
use std::sync::Arc;

/// Which daemon this is, among those that share a database: another one at every start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(Arc<str>);

impl Owner {
    /// Somebody who never was before.
    pub fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// As it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self::new()
    }
}

/// The right to poll a mailbox. Whoever takes a mailbox over makes its fence rise, and from then
/// on every write under an older one is refused ([`crate::operations::leases::hold`]), however late
/// it comes. Only [`crate::operations::leases::take`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(crate) mailbox_id: MailboxId,
    pub(crate) owner: Owner,
    pub(crate) fence: i64,
}

impl Lease {
    /// Of which mailbox.
    pub fn mailbox_id(&self) -> MailboxId {
        self.mailbox_id
    }

    /// How often the mailbox was taken so far, this time included.
    pub fn fence(&self) -> i64 {
        self.fence
    }
}
