//! A grant as callers give and see it.

use postroom_core::access::{Grant, Level};
use postroom_core::id::{CategoryId, MailboxId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an agent or a team may do in one mailbox.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Grant)]
pub struct GrantShape {
    /// Where.
    pub mailbox_id: MailboxId,
    /// Only in conversations of this category; `null` is all.
    #[serde(default)]
    pub category_id: Option<CategoryId>,
    /// Only in conversations assigned to the agent.
    #[serde(default)]
    pub assigned_only: bool,
    /// How much.
    pub level: Level,
}

impl From<GrantShape> for Grant {
    fn from(shape: GrantShape) -> Self {
        Self {
            mailbox_id: shape.mailbox_id,
            category_id: shape.category_id,
            assigned_only: shape.assigned_only,
            level: shape.level,
        }
    }
}

impl From<Grant> for GrantShape {
    fn from(grant: Grant) -> Self {
        Self {
            mailbox_id: grant.mailbox_id,
            category_id: grant.category_id,
            assigned_only: grant.assigned_only,
            level: grant.level,
        }
    }
}

/// Grants as the core takes them.
pub fn grants(shapes: Vec<GrantShape>) -> Vec<Grant> {
    shapes.into_iter().map(Grant::from).collect()
}

/// Grants as callers see them.
pub fn shapes(grants: Vec<Grant>) -> Vec<GrantShape> {
    grants.into_iter().map(GrantShape::from).collect()
}
