//! Mailboxes: set up, tried, polled, pushed to.

use crate::answer::{self, Answer};
use crate::body::{self, Body};
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{self, IdempotencyKey, Keyed, Once};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::{Problem, ProblemDocument};
use crate::query::{Query, words};
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, MailboxId, MessageId};
use postroom_core::intake::Verdict;
use postroom_core::listing::ListSort;
use postroom_core::mailbox::{Mailbox, MailboxStatus};
use postroom_core::operations::mailboxes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

mod after_ingest;
mod change;
mod shape;
mod view;

use change::MailboxPatch;
use shape::NewMailboxBody;
pub(super) use view::MailboxView;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_mailboxes)
        .service(create_mailbox)
        .service(get_mailbox)
        .service(update_mailbox)
        .service(delete_mailbox)
        .service(sync_mailbox)
        .service(get_mailbox_status)
        .service(receive_mail);
}

page_of!(
    /// A page of mailboxes.
    MailboxPage of MailboxView
);

/// What became of a mail that was pushed.
#[derive(Debug, Serialize, ToSchema)]
struct ReceivedMail {
    /// In a word.
    verdict: Verdict,
    /// The message it is.
    message_id: Option<MessageId>,
    /// The conversation that belongs to.
    conversation_id: Option<ConversationId>,
    /// Why, in words, unless it was accepted.
    reason: Option<String>,
}

fn viewed(cx: &mut Cx<'_>, mailbox: Mailbox) -> Result<MailboxView, Error> {
    let has = mailboxes::has_passwords(cx, mailbox.id)?;
    Ok(MailboxView::new(mailbox, has))
}

/// Which mailboxes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct MailboxQuery {
    /// With each of these words, or pieces of one, in the name, the address or an alias: at most ten.
    #[param(max_length = 200)]
    q: Option<String>,
    /// The order; a minus is: the highest first. Left out, `id`.
    #[param(inline)]
    sort: Option<ListSort>,
}

/// List mailboxes
///
/// Those that the caller may see, oldest first unless `sort` says otherwise, without their passwords.
/// Needs `conversations:read`.
#[utoipa::path(tag = "mailboxes", params(MailboxQuery, PageQuery),
    responses((status = OK, body = MailboxPage, description = "A page of mailboxes.")))]
#[get("/mailboxes")]
async fn list_mailboxes(
    api: Data<Api>,
    caller: Caller,
    query: Query<MailboxQuery>,
    paging: Paging,
) -> Answer {
    let MailboxQuery { q, sort } = query.0;
    let (words, sort) = (words(q.as_deref())?, sort.unwrap_or(ListSort::Id));
    let asked = paging.clone();
    let page = api
        .desk
        .read(&caller, move |cx| {
            let mut found = mailboxes::list(cx)?;
            found.retain(|mailbox| mailbox.is_found_by(&words));
            let page = asked.cut_by(found, sort.is_descending(), |mailbox| {
                sort.place(mailbox.id.0, &mailbox.name, mailbox.updated_at)
            });
            let items = mailboxes::with_passwords(cx, page.items)?;
            Ok(postroom_core::page::Page { items, next: page.next, total: page.total })
        })
        .await?
        .map(|(mailbox, has)| MailboxView::new(mailbox, has));
    Ok(paging.answer(&api, page, |data, page: PageInfo| MailboxPage { data, page }))
}

/// Add a mailbox
///
/// Its first poll follows at once. Try it with `POST /mailboxes/{id}/test`. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(IdempotencyKey),
    request_body(content = NewMailboxBody, description = "The mailbox.", examples(
        ("imap and smtp" = (summary = "A mailbox at a mail provider", value = json!({
            "name": "Support", "address": "support@example.org",
            "source": {"type": "imap", "host": "imap.example.org", "port": 993, "security": "tls",
                       "username": "support", "password": "correct horse"},
            "delivery": {"type": "smtp", "host": "smtp.example.org", "port": 587, "security": "starttls",
                         "username": "support", "password": "correct horse"}
        }))),
        ("push and sink" = (summary = "A mailbox to try things with", value = json!({
            "name": "Trial", "address": "trial@example.org", "source": {"type": "push"}, "delivery": {"type": "sink"}
        }))))),
    responses(
        (status = CREATED, body = MailboxView, description = "The mailbox."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name, or one that is not paused reads the same folder of the same account; `existing_id` says which.")))]
#[post("/mailboxes")]
async fn create_mailbox(api: Data<Api>, caller: Caller, body: Keyed<NewMailboxBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = body.read();
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let mailbox = mailboxes::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/mailboxes/{}", mailbox.id), mailbox.etag());
        Ok(answer::made(links, &viewed(cx, mailbox)?, &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a mailbox
///
/// Without its passwords. Needs `conversations:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfNoneMatch),
    responses((status = OK, body = MailboxView, description = "The mailbox.")))]
#[get("/mailboxes/{id}")]
async fn get_mailbox(api: Data<Api>, caller: Caller, id: Id<MailboxId>, held: IfNoneMatch) -> Answer {
    let (etag, view) = api
        .desk
        .read(&caller, move |cx| {
            let mailbox = mailboxes::find(cx, id.0)?;
            Ok((mailbox.etag(), viewed(cx, mailbox)?))
        })
        .await?;
    Ok(answer::one(&view, &etag, &held))
}

/// Change a mailbox
///
/// Members of `source` and `delivery` that are left out stay, the password too; with another
/// `type` or for another server everything is given anew. One that stands in the daemon's
/// configuration file is changed there. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch),
    request_body(content = MailboxPatch, description = "What is to change.", example = json!({"paused": true})),
    responses(
        (status = OK, body = MailboxView, description = "The mailbox as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it stands in the configuration file; `already_exists`: there is another of this name.")))]
#[patch("/mailboxes/{id}")]
async fn update_mailbox(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    seen: IfMatch,
    body: Body<MailboxPatch>,
) -> Answer {
    let (etag, view) = api
        .desk
        .write(&caller, move |cx| {
            let change = body.0.change(cx, id.0)?;
            let mailbox = mailboxes::update(cx, id.0, seen.expected(), &change)?;
            Ok((mailbox.etag(), viewed(cx, mailbox)?))
        })
        .await?;
    Ok(answer::changed(&view, &etag))
}

/// Delete a mailbox
///
/// One that holds anything stays: put it at rest with `{"paused": true}`. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: it holds conversations, or stands in the configuration file.")))]
#[delete("/mailboxes/{id}")]
async fn delete_mailbox(api: Data<Api>, caller: Caller, id: Id<MailboxId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| mailboxes::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Poll a mailbox now
///
/// Answers at once; the status tells when it is through (`syncing`). Needs `conversations:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IdempotencyKey),
    responses(
        (status = ACCEPTED, body = MailboxStatus, description = "The poll is asked for."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the mailbox is at rest, or mail is pushed into it.")))]
#[post("/mailboxes/{id}/sync")]
async fn sync_mailbox(api: Data<Api>, caller: Caller, id: Id<MailboxId>, once: Once) -> Answer {
    let ask = move |cx: &mut Cx<'_>, _: &Links| {
        Ok(answer::said(StatusCode::ACCEPTED, &mailboxes::request_sync(cx, id.0)?))
    };
    Ok(once.write(&api, &caller, ask).await?)
}

/// Read how a mailbox is doing
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    responses((status = OK, body = MailboxStatus, description = "How it is doing.")))]
#[get("/mailboxes/{id}/status")]
async fn get_mailbox_status(api: Data<Api>, caller: Caller, id: Id<MailboxId>) -> Answer {
    let status = api.desk.read(&caller, move |cx| mailboxes::status(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(status))
}

/// Push a mail into a mailbox
///
/// The body is the raw mail (RFC 5322), as a mail server's pipe has it; at most 64 MiB unless the
/// daemon is set up otherwise. It is taken in as if it had been fetched. Two mails of a token are read at a
/// time; others wait for their turn. Needs `conversations:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IdempotencyKey),
    request_body(content = String, content_type = "message/rfc822", description = "The mail.",
        example = json!("From: Ada <ada@example.org>\r\nTo: support@example.org\r\nSubject: Late order\r\nMessage-ID: <1@example.org>\r\n\r\nWhere is it?\r\n")),
    responses(
        (status = CREATED, body = ReceivedMail, description = "It was taken in, is kept for somebody to look at (`quarantined`), or is nothing to the desk (`ignored`); `reason` says why."),
        (status = OK, body = ReceivedMail, description = "It was here already (`duplicate`).")))]
#[post("/mailboxes/{id}/inbound")]
async fn receive_mail(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    req: HttpRequest,
    body: web::Payload,
) -> Answer {
    if body::media_type(req.headers()).as_deref() != Some("message/rfc822") {
        return Err(Problem::unsupported_media_type("Content-Type must be message/rfc822"));
    }
    // Nothing of it is read before its turn.
    let _upload = api.mails.turn(caller.token_id.clone()).await;
    let (raw, once) = idempotency::collect(&req, body.into_inner(), api.desk.settings().mail_bytes).await?;
    let (desk, actor) = (api.desk.clone(), caller.clone());
    // The ledger knows a mail that comes again by its bytes.
    let push = async move {
        let receipt = desk.push_mail(&actor, id.0, raw).await?;
        let status = if receipt.verdict == Verdict::Duplicate { StatusCode::OK } else { StatusCode::CREATED };
        let received = ReceivedMail {
            verdict: receipt.verdict,
            message_id: receipt.message_id,
            conversation_id: receipt.conversation_id,
            reason: receipt.reason,
        };
        Ok(answer::said(status, &received))
    };
    once.around(&api, &caller, push).await
}
