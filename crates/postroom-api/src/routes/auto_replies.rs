//! Automatic answers of a mailbox.

mod shape;

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, put};
use postroom_core::auto_reply::AnswerKind;
use postroom_core::cx::Cx;
use postroom_core::id::MailboxId;
use postroom_core::operations::auto_replies::{self, AutoReplyChange, NewText};
use shape::{AutoReplyPatch, AutoReplyView, NewTextBody, TextView, TextsView, Which};
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(get_auto_reply)
        .service(update_auto_reply)
        .service(list_texts)
        .service(get_text)
        .service(put_text)
        .service(delete_text);
}

/// Read which automatic answers a mailbox gives
///
/// Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfNoneMatch),
    responses((status = OK, body = AutoReplyView, description = "Which it gives.")))]
#[get("/mailboxes/{id}/auto-reply")]
async fn get_auto_reply(api: Data<Api>, caller: Caller, id: Id<MailboxId>, held: IfNoneMatch) -> Answer {
    let found = api.desk.read(&caller, move |cx| auto_replies::find(cx, id.0)).await?;
    let etag = found.etag();
    Ok(answer::one(&AutoReplyView::from(found), &etag, &held))
}

/// Change which automatic answers a mailbox gives
///
/// They go to the sender of a mail that begins a conversation, if a person wrote it to this mailbox: never
/// to lists, programs, agents, our own addresses, `noreply` and the like, never for spam, old mail or mail
/// that asks for none, and to one address or in one conversation once in 24 hours at the most. A mail that
/// gets none for such a reason says so by the event `auto_reply.withheld`. What is too much otherwise is
/// held: see `[automatic]` in the configuration. Needs `admin:write` and to manage the mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch),
    request_body(content = AutoReplyPatch, description = "What is to change.", example = json!({
        "acknowledge": true, "default_language": "de"
    })),
    responses((status = OK, body = AutoReplyView, description = "Which it gives now.")))]
#[patch("/mailboxes/{id}/auto-reply")]
async fn update_auto_reply(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    seen: IfMatch,
    body: Body<AutoReplyPatch>,
) -> Answer {
    let body = body.0;
    let change = AutoReplyChange {
        acknowledge: body.acknowledge,
        out_of_hours: body.out_of_hours,
        schedule_id: body.schedule_id.change(),
        default_language: body.default_language,
    };
    let update = move |cx: &mut Cx<'_>| auto_replies::update(cx, id.0, seen.expected(), &change);
    let changed = api.desk.write(&caller, update).await?;
    let etag = changed.etag();
    Ok(answer::changed(&AutoReplyView::from(changed), &etag))
}

/// List what a mailbox's automatic answers say
///
/// Its own texts, and those that the program brings along in English, German, French and Spanish where it
/// has none of its own. Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    responses((status = OK, body = TextsView, description = "The texts, by kind and language.")))]
#[get("/mailboxes/{id}/auto-reply/texts")]
async fn list_texts(api: Data<Api>, caller: Caller, id: Id<MailboxId>) -> Answer {
    let found = api.desk.read(&caller, move |cx| auto_replies::texts(cx, id.0)).await?;
    let data = found.into_iter().map(TextView::from).collect();
    Ok(HttpResponse::Ok().json(TextsView { data }))
}

/// Read what an automatic answer says
///
/// Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfNoneMatch,
        ("kind" = AnswerKind, Path, description = "Which answer."),
        ("language" = String, Path, description = "The language: a tag (BCP 47).")),
    responses((status = OK, body = TextView, description = "The text.")))]
#[get("/mailboxes/{id}/auto-reply/texts/{kind}/{language}")]
async fn get_text(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    which: Which,
    held: IfNoneMatch,
) -> Answer {
    let read = move |cx: &mut Cx<'_>| auto_replies::text(cx, id.0, which.kind, &which.language);
    let text = api.desk.read(&caller, read).await?;
    let etag = text.etag();
    Ok(answer::one(&TextView::from(text), &etag, &held))
}

/// Write what an automatic answer says
///
/// A mail is answered in the first language of its `Content-Language` that there is a text in, else in the
/// mailbox's own, else in English. The text has the placeholders `{{mailbox.name}}`,
/// `{{mailbox.address}}`, `{{conversation.id}}` and, out of hours, `{{next_opening}}`; another one is
/// refused, and nothing that a customer wrote can stand in it. Needs `admin:write` and to manage the
/// mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch,
        ("kind" = AnswerKind, Path, description = "Which answer."),
        ("language" = String, Path, description = "The language: a tag (BCP 47).")),
    request_body(content = NewTextBody, description = "The text.", example = json!({
        "subject": "Your message has come [#{{conversation.id}}]",
        "body": {"text": "Hello,\n\nthank you for writing to **{{mailbox.name}}**. We will answer within a day.\n", "format": "markdown"}
    })),
    responses((status = OK, body = TextView, description = "The text as it is now.")))]
#[put("/mailboxes/{id}/auto-reply/texts/{kind}/{language}")]
async fn put_text(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    which: Which,
    seen: IfMatch,
    body: Body<NewTextBody>,
) -> Answer {
    let new = NewText { subject: body.0.subject, body: body.0.body };
    let write = move |cx: &mut Cx<'_>| {
        auto_replies::put_text(cx, id.0, which.kind, &which.language, seen.expected(), &new)
    };
    let text = api.desk.write(&caller, write).await?;
    let etag = text.etag();
    Ok(answer::changed(&TextView::from(text), &etag))
}

/// Take a mailbox's own text away
///
/// The one that the program brings along stands for it again, where there is one. Needs `admin:write` and
/// to manage the mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch,
        ("kind" = AnswerKind, Path, description = "Which answer."),
        ("language" = String, Path, description = "The language: a tag (BCP 47).")),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/mailboxes/{id}/auto-reply/texts/{kind}/{language}")]
async fn delete_text(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    which: Which,
    seen: IfMatch,
) -> Answer {
    let delete = move |cx: &mut Cx<'_>| {
        auto_replies::delete_text(cx, id.0, which.kind, &which.language, seen.expected())
    };
    api.desk.write(&caller, delete).await?;
    Ok(answer::gone())
}
