//! A message whose mail was read anew, as callers see it.

use crate::links::Links;
use crate::shapes::message::MessageView;
use postroom_core::message::ReadField;
use postroom_core::operations::messages::reparse::Reparsed;
use serde::Serialize;
use utoipa::ToSchema;

/// What reading a mail anew has changed, or would.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reparsed)]
pub struct ReparsedView {
    /// What the message says otherwise; empty where it was read right.
    pub changed: Vec<ReadField>,
    /// Nothing was written.
    pub dry_run: bool,
    /// The message as it is now. Of a dry run as it would be: a file that it does not have yet has
    /// another id each time.
    pub message: MessageView,
}

impl ReparsedView {
    /// A message with what changed of it.
    pub fn new(reparsed: Reparsed, dry_run: bool, links: &Links) -> Self {
        Self { changed: reparsed.changed, dry_run, message: MessageView::new(reparsed.card, links) }
    }
}
