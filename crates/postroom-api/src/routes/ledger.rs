//! The ledger of a mailbox: every mail that was ever seen there, and what became of it.

use crate::answer::Answer;
use crate::extract::{Caller, Id};
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::query::Query;
use crate::state::Api;
use actix_web::get;
use actix_web::web::Data;
use postroom_core::id::{LedgerId, MailboxId, MessageId};
use postroom_core::intake::Verdict;
use postroom_core::operations::mailboxes;
use postroom_core::store::ledger::Entry;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_ingest);
}

/// One mail in one place.
#[derive(Debug, Serialize, ToSchema)]
struct LedgerEntry {
    /// Its number.
    id: LedgerId,
    /// The folder it was seen in; `maildir` or `push` where there are none.
    folder: String,
    /// Where in it: on an IMAP server generation and number.
    location: String,
    /// The server's number for it.
    uid: Option<i64>,
    /// What became of it.
    verdict: Verdict,
    /// Why, unless it was accepted.
    reason: Option<String>,
    /// The message it is.
    message_id: Option<MessageId>,
    /// Its size in bytes.
    size: i64,
    /// When the server got it.
    received_at: Option<Timestamp>,
    /// When postroom saw it.
    created_at: Timestamp,
}

page_of!(
    /// A page of a ledger.
    LedgerPage of LedgerEntry
);

impl From<Entry> for LedgerEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            folder: entry.folder,
            location: entry.location,
            uid: entry.uid,
            verdict: entry.verdict,
            reason: entry.reason,
            message_id: entry.message_id,
            size: entry.size,
            received_at: entry.internal_date,
            created_at: entry.created_at,
        }
    }
}

/// Which mails.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct LedgerQuery {
    /// With any of these verdicts; left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    verdict: Vec<Verdict>,
}

/// Show what became of a mailbox's mail
///
/// Newest first: a row for every mail that was ever seen, so that "where is my mail?" has one
/// answer. Needs `conversations:read` and access to the whole mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, LedgerQuery, PageQuery),
    responses((status = OK, body = LedgerPage, description = "A page of the ledger.")))]
#[get("/mailboxes/{id}/ingest")]
async fn list_ingest(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    query: Query<LedgerQuery>,
    paging: Paging,
) -> Answer {
    let (id, verdicts, request) = (id.0, query.0.verdict, paging.request);
    let found = api.desk.read(&caller, move |cx| mailboxes::ledger(cx, id, &verdicts, request)).await?;
    let page = found.map(LedgerEntry::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| LedgerPage { data, page }))
}
