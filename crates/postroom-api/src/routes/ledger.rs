//! The ledger of a mailbox: every mail that was ever seen there, and what became of it.

use crate::answer::{self, Answer};
use crate::disposition;
use crate::extract::{Caller, Id, Row};
use crate::idempotency::{IdempotencyKey, Once};
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::ProblemDocument;
use crate::query::Query;
use crate::state::Api;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use postroom_core::id::{ConversationId, LedgerId, MailboxId, MessageId};
use postroom_core::intake::Verdict;
use postroom_core::operations::ledger::{self, LedgerCard};
use postroom_core::store::ledger::Entry;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_ingest).service(get_ingest).service(get_ingest_raw).service(retry_ingest);
}

/// One mail in one place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 881, "folder": "INBOX", "location": "1761234567/4711", "uid": 4711, "verdict": "quarantined",
    "reason": "the server lists the mail but did not send it", "message_id": null, "conversation_id": null,
    "has_raw": false, "size": 20480, "received_at": null, "next_try_at": "2026-11-23T08:00:00.000000Z",
    "created_at": "2026-11-22T08:00:00.000000Z"
}))]
struct LedgerEntry {
    /// Its number.
    id: LedgerId,
    /// The folder it was seen in; `maildir`, `push` or `deliver` where there are none, `import:` and a
    /// word for what was imported.
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
    /// Where that belongs.
    conversation_id: Option<ConversationId>,
    /// Its bytes are here: at `/mailboxes/{id}/ingest/{row}/raw`.
    has_raw: bool,
    /// Its size in bytes.
    size: i64,
    /// When the server got it.
    received_at: Option<Timestamp>,
    /// When it is tried next by itself, if it is: what is being tried again (`failed`), and what was put
    /// aside without its bytes, daily for a week and then weekly.
    next_try_at: Option<Timestamp>,
    /// When postroom saw it.
    created_at: Timestamp,
}

page_of!(
    /// A page of a ledger.
    LedgerPage of LedgerEntry
);

impl From<LedgerCard> for LedgerEntry {
    fn from(LedgerCard { entry, conversation_id }: LedgerCard) -> Self {
        let Entry { id, row } = entry;
        Self {
            id,
            folder: row.folder,
            location: row.location,
            uid: row.uid,
            verdict: row.verdict,
            reason: row.reason,
            message_id: row.message_id,
            conversation_id,
            has_raw: row.raw_hash.is_some(),
            size: row.size,
            received_at: row.internal_date,
            next_try_at: row.next_try_at,
            created_at: row.created_at,
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
    let found = api.desk.read(&caller, move |cx| ledger::list(cx, id, &verdicts, request)).await?;
    let page = found.map(LedgerEntry::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| LedgerPage { data, page }))
}

/// Read what became of a mail
///
/// Needs `conversations:read` and access to the whole mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, Row<LedgerId>),
    responses((status = OK, body = LedgerEntry, description = "The row.")))]
#[get("/mailboxes/{id}/ingest/{row}")]
async fn get_ingest(api: Data<Api>, caller: Caller, id: Id<MailboxId>, row: Row<LedgerId>) -> Answer {
    let card = api.desk.read(&caller, move |cx| ledger::find(cx, id.0, row.0)).await?;
    Ok(HttpResponse::Ok().json(LedgerEntry::from(card)))
}

/// Read the raw mail of a row
///
/// Byte for byte as it came; of an oversized mail, its beginning. 404 where `has_raw` is false. Needs
/// `conversations:read` and access to the whole mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, Row<LedgerId>),
    responses((status = OK, content_type = "message/rfc822", body = String, description = "The mail.")))]
#[get("/mailboxes/{id}/ingest/{row}/raw")]
async fn get_ingest_raw(api: Data<Api>, caller: Caller, id: Id<MailboxId>, row: Row<LedgerId>) -> Answer {
    let raw = api.desk.ledger_mail(&caller, id.0, row.0).await?;
    Ok(HttpResponse::Ok()
        .content_type("message/rfc822")
        .insert_header((
            header::CONTENT_DISPOSITION,
            disposition::attachment(&format!("ledger-{}.eml", row.0)),
        ))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .body(raw))
}

/// Try a mail again
///
/// For what did not come in, or not whole. What was put aside with its bytes is taken in now, and the
/// answer has its new verdict. What is still at its source is fetched by the next poll: the row says
/// `failed` until then, also where the mailbox's import rule or the server had left it out. A mail
/// that was put aside since it goes round in circles comes in, too: nothing automatic follows. A mail
/// that is here is left as it is, so that this can be asked twice; only where its bytes were lost (a disk
/// went bad: `postroom doctor` tells) they are fetched again. Needs `conversations:write` and the
/// right to answer in the whole mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, Row<LedgerId>, IdempotencyKey),
    responses(
        (status = OK, body = LedgerEntry, description = "The row as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: its place is not there any more, or it is still larger than what is taken in; or its bytes are lost and its source can't give them again.")))]
#[post("/mailboxes/{id}/ingest/{row}/retry")]
async fn retry_ingest(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    row: Row<LedgerId>,
    once: Once,
) -> Answer {
    let (desk, actor) = (api.desk.clone(), caller.clone());
    // What is here by then is left as it is.
    let retry = async move {
        let card = desk.retry_mail(&actor, id.0, row.0).await?;
        Ok(answer::said(StatusCode::OK, &LedgerEntry::from(card)))
    };
    once.around(&api, &caller, retry).await
}
