//! Messages: read, written, and looked at from all sides.

use super::included::IncludedView;
use crate::answer::{self, Answer};
use crate::body::Body;
use crate::disposition;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::moved_on;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::{Problem, ProblemDocument};
use crate::protect::frame_ancestors;
use crate::query::Query;
use crate::shapes::message::{DeliveryView, MessageView, PreviewView, delivery_of};
use crate::shapes::message_page::{HtmlLinkView, NewHtmlLinkBody};
use crate::shapes::new_message::NewMessageBody;
use crate::signed_link::{self, Proof};
use crate::state::Api;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, MessageId};
use postroom_core::message::{MessageInclude, MessageSort};
use postroom_core::operations::including;
use postroom_core::operations::messages;
use postroom_core::operations::messages::NewMessage;
use postroom_core::signed_link::{LinkPurpose, message_thing};
use postroom_core::threading::Decision;
use postroom_core::time::Timestamp;
use postroom_core::unsent::When;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_messages)
        .service(create_message)
        .service(preview_message)
        .service(get_message)
        .service(get_raw_message)
        .service(get_message_html)
        .service(link_message_html)
        .service(get_threading)
        .service(get_delivery);
}

page_of!(
    /// A page of messages.
    MessagePage of MessageView, with IncludedView
);

/// How messages are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct MessageQuery {
    /// The order; left out, `created_at`: oldest first, as one reads.
    #[param(inline)]
    sort: Option<MessageSort>,
    /// What is named by numbers and is to be answered beside it, in `included`: each thing once.
    #[serde(default)]
    #[param(inline, style = Form, explode = false, example = json!(["agent"]))]
    include: Vec<MessageInclude>,
}

/// How a message is shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct HtmlQuery {
    /// Let the browser fetch images from other sites, which tells their owners that the mail is
    /// being read.
    #[param(default = false)]
    remote_images: Option<bool>,
    /// Part of a signed link: the second since 1970 at which its time ends.
    expires: Option<i64>,
    /// Part of a signed link, in place of a token.
    signature: Option<String>,
}

/// List a conversation's messages
///
/// Needs `conversations:read`, and `customers:read` for `include=customer`.
#[utoipa::path(tag = "messages", params(Id<ConversationId>, MessageQuery, PageQuery),
    responses((status = OK, body = MessagePage, description = "A page of messages.")))]
#[get("/conversations/{id}/messages")]
async fn list_messages(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    query: Query<MessageQuery>,
    paging: Paging,
) -> Answer {
    let sort = query.0.sort.unwrap_or(MessageSort::Created);
    let request = paging.request;
    let list = move |cx: &mut Cx<'_>| {
        let found = messages::list(cx, id.0, sort, request)?;
        let of: Vec<_> = found.items.iter().map(|card| &card.message).collect();
        let included = including::of_messages(cx, &query.0.include, &of)?;
        Ok((found, included))
    };
    let (found, included) = api.desk.read(&caller, list).await?;
    let page = found.map(|card| MessageView::new(card, &api.links));
    let included = included.map(|included| IncludedView::new(included, &api.links));
    Ok(paging.answer(&api, page, |data, page: PageInfo| MessagePage { data, included, page }))
}

/// Write a message
///
/// A `reply` is sent to the customer by mail: `delivery` says how far it has got. A `forward` goes to a
/// third party, whose answers stay in the conversation and of which the customer is told nothing
/// (`side_id`); it may carry messages of the conversation with their files (`forward_message_ids`). A `note` never leaves. `inbound` files what the customer said elsewhere.
///
/// A reply or a forward may be kept as a draft (`draft`), leave later (`send_at`), or be taken back for a
/// while (`undo_seconds`); until it leaves it can be changed and taken back. Send
/// `expected_last_message_id` to be told what came meanwhile instead of answering past it, or `If-Match`
/// with the conversation's `ETag` to be refused where anything about it has changed. Needs `messages:send`
/// for what leaves, `notes:write` for notes, `conversations:write` for drafts and `inbound`.
///
/// With `imported` it is a reply, a note or `inbound` of another desk, kept under its `created_at` and in its `author`'s
/// name: it leaves nowhere, opens nothing, and no notice or webhook comes of it; the log alone tells of it, with
/// `imported` in the event's `data` and the event's own time. One that the conversation has already (the same
/// `message_id`, or without one the same kind, `created_at` and text) is not added again: 200. Needs
/// `conversations:import` and `conversations:write`.
#[utoipa::path(tag = "messages", params(Id<ConversationId>, IfMatch, IdempotencyKey),
    request_body(content = NewMessageBody, description = "The message.", examples(
        ("reply" = (summary = "An answer", value = json!({"kind": "reply", "text": "It left today.\n\nAmy"}))),
        ("markdown" = (summary = "An answer in Markdown", value = json!({"kind": "reply", "text": "It left **today**.", "format": "markdown", "quote": true}))),
        ("later" = (summary = "An answer for tomorrow morning", value = json!({"kind": "reply", "text": "It left today.", "send_at": "2026-12-01T08:00:00Z"}))),
        ("draft" = (summary = "A draft", value = json!({"kind": "reply", "text": "It left", "draft": true}))),
        ("forward" = (summary = "A question to the carrier", value = json!({"kind": "forward", "to": [{"email": "depot@carrier.example"}], "text": "Where is parcel 881?"}))),
        ("forwarding" = (summary = "What the customer wrote, to the carrier", value = json!({"kind": "forward", "to": [{"email": "depot@carrier.example"}], "text": "Please see below.", "forward_message_ids": [5120]}))),
        ("note" = (summary = "A note", value = json!({"kind": "note", "text": "The depot in Leeds has it."}))),
        ("imported" = (summary = "An answer of another desk", value = json!({"imported": true, "kind": "reply", "text": "Here is another one.", "created_at": "2016-03-02T10:00:00Z", "author": {"name": "Amy Old", "email": "amy@example.org"}, "message_id": "<lamp-2@example.org>"}))))),
    responses(
        (status = OK, body = MessageView, description = "The message was imported before."),
        (status = CREATED, body = MessageView, description = "The message."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the conversation was merged into another or is in the trash. \
            `conversation_moved_on`: messages came that the caller has not seen; `newer_messages` has them. \
            `already_exists`: a message of another conversation has this `message_id`.")))]
#[post("/conversations/{id}/messages")]
async fn create_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    seen: IfMatch,
    body: Keyed<NewMessageBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let when = body.when("")?;
    let new = match read(body, &api, &caller, id.0, when).await {
        Ok(new) => new,
        Err(problem) => return once.done_before(&api, &caller).await?.ok_or(problem),
    };
    let add = move |cx: &mut Cx<'_>, links: &Links| {
        if new.imported.is_some() {
            let kept = messages::import(cx, id.0, seen.expected(), &new)?;
            let (path, etag) = (format!("/api/v1/messages/{}", kept.card.message.id), kept.card.etag());
            let view = MessageView::new(kept.card, links);
            let answer = if kept.is_new {
                answer::made(links, &view, &path, &etag)
            } else {
                answer::done(&view, &etag)
            };
            return Ok(answer);
        }
        let card = messages::add(cx, id.0, seen.expected(), &new)?;
        let (path, etag) = (format!("/api/v1/messages/{}", card.message.id), card.etag());
        Ok(answer::made(links, &MessageView::new(card, links), &path, &etag))
    };
    match once.write(&api, &caller, add).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(moved_on::problem(&api, &caller, error).await),
    }
}

/// See a message as it would leave
///
/// With signature, head, foot and quotes, as text and as HTML. Nothing is kept and nothing is sent. Takes what
/// `POST /conversations/{id}/messages` takes, of replies and forwards, and no `Idempotency-Key`. Needs `conversations:write`.
#[utoipa::path(tag = "messages", params(Id<ConversationId>),
    request_body(content = NewMessageBody, description = "The message.",
        example = json!({"kind": "reply", "text": "It left **today**.", "format": "markdown"})),
    responses(
        (status = OK, body = PreviewView, description = "The mail."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the conversation was merged into another or is in the trash.")))]
#[post("/conversations/{id}/messages/preview")]
async fn preview_message(
    api: Data<Api>,
    caller: Caller,
    id: Id<ConversationId>,
    body: Body<NewMessageBody>,
) -> Answer {
    let new = read(body.0, &api, &caller, id.0, When::Now).await?;
    let preview = api.desk.read(&caller, move |cx| messages::preview(cx, id.0, &new)).await?;
    Ok(HttpResponse::Ok().json(PreviewView::from(preview)))
}

/// A message and all bytes that it takes along, read outside of any transaction; what waits takes none yet.
async fn read(
    body: NewMessageBody,
    api: &Api,
    caller: &Caller,
    id: ConversationId,
    when: When,
) -> Result<NewMessage, Problem> {
    let mut new = body.read(&api.desk, caller, "").await?;
    if matches!(when, When::Now | When::After(_)) {
        new.carried = api.desk.carried(caller, id, new.kind, &new.writing, &new.files).await?;
    }
    Ok(new)
}

/// Read a message
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "messages", params(Id<MessageId>, IfNoneMatch),
    responses((status = OK, body = MessageView, description = "The message.")))]
#[get("/messages/{id}")]
async fn get_message(api: Data<Api>, caller: Caller, id: Id<MessageId>, held: IfNoneMatch) -> Answer {
    let card = api.desk.read(&caller, move |cx| messages::find(cx, id.0)).await?;
    let etag = card.etag();
    Ok(answer::one(&MessageView::new(card, &api.links), &etag, &held))
}

/// Read a message's raw mail
///
/// Byte for byte as it came or left. Needs `conversations:read`.
#[utoipa::path(tag = "messages", params(Id<MessageId>),
    responses((status = OK, content_type = "message/rfc822", body = String, description = "The mail.")))]
#[get("/messages/{id}/raw")]
async fn get_raw_message(api: Data<Api>, caller: Caller, id: Id<MessageId>) -> Answer {
    let raw = api.desk.raw_mail(&caller, id.0).await?;
    Ok(HttpResponse::Ok()
        .content_type("message/rfc822")
        .insert_header((
            header::CONTENT_DISPOSITION,
            disposition::attachment(&format!("message-{}.eml", id.0)),
        ))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .body(raw))
}

/// Show a message as a page
///
/// The mail's HTML, or its text, made harmless: no script, no style, no form; images of other
/// sites are left out unless asked for, and then those stay that come over https; the header
/// `X-Dropped-Images` counts what is left out. Pictures that came with the mail are shown by links
/// that hold for ten minutes, or as long as the link by which the page was opened, a minute at
/// least. Meant for a frame; a browser can't send a token from there, so
/// `POST /messages/{id}/html/link` makes a link that needs none. Needs `conversations:read`, or
/// such a link.
#[utoipa::path(tag = "messages", security(("bearer" = []), ("signed_link" = [])), params(Id<MessageId>, HtmlQuery),
    responses((status = OK, content_type = "text/html", body = String, description = "The page.",
        headers(("X-Dropped-Images" = i64, description = "How many images of other sites were left out.")))))]
#[get("/messages/{id}/html")]
async fn get_message_html(
    api: Data<Api>,
    caller: Option<Caller>,
    id: Id<MessageId>,
    query: Query<HtmlQuery>,
) -> Answer {
    let query = query.0;
    let remote_images = query.remote_images.unwrap_or_default();
    let purpose = if remote_images { LinkPurpose::PageWithImages } else { LinkPurpose::Page };
    let proof = Proof { expires: query.expires, signature: query.signature.as_deref() };
    let visitor = signed_link::visitor(&api, caller, purpose, &message_thing(id.0), proof)?;
    let until = query.signature.and(query.expires).map(Timestamp::from_seconds);
    let safe = api.desk.message_html(&visitor, id.0, remote_images, api.links.base(), until).await?;
    let page = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>Message {}</title></head>\n<body>\n{}\n</body></html>\n",
        id.0, safe.html
    );
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, page_policy(&api, remote_images)))
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .insert_header(("X-Dropped-Images", safe.remote_images.to_string()))
        .body(page))
}

/// Make a link to a message's page
///
/// For the `src` of a frame: it holds for ten minutes at most and needs no token. What is to be
/// said beside the frame comes with it: the images of other sites that were left out, and links
/// that may lead elsewhere than they seem to. Whether the caller may see the message is asked now:
/// a right that is taken away later ends with the link's time. Needs `conversations:read`.
#[utoipa::path(tag = "messages", params(Id<MessageId>),
    request_body(content = NewHtmlLinkBody, description = "How it is to be shown, and how long.",
        example = json!({"ttl": 300, "remote_images": false})),
    responses((status = OK, body = HtmlLinkView, description = "The link.")))]
#[post("/messages/{id}/html/link")]
async fn link_message_html(
    api: Data<Api>,
    caller: Caller,
    id: Id<MessageId>,
    body: Body<NewHtmlLinkBody>,
) -> Answer {
    let NewHtmlLinkBody { ttl, remote_images } = body.0;
    let (link, safe) = api.desk.link_to_page(&caller, id.0, remote_images, ttl).await?;
    Ok(HttpResponse::Ok().json(HtmlLinkView::new(&link, safe, &api)))
}

/// What a page that shows mail may do: show images of ours, open links in a window of their own.
/// Our origin is named besides `'self'`, which not every browser grants a page without an origin.
fn page_policy(api: &Api, remote_images: bool) -> String {
    let mut images = "'self'".to_owned();
    for more in api.links.origin().into_iter().chain(remote_images.then_some("https:")) {
        images.push(' ');
        images.push_str(more);
    }
    format!(
        "default-src 'none'; img-src {images}; style-src 'none'; form-action 'none'; base-uri 'none'; \
         frame-ancestors {}; sandbox allow-popups",
        frame_ancestors(api)
    )
}

/// Read why a message is where it is
///
/// The rule that decided, the key it was decided by, and every conversation that was weighed and that
/// the caller may see.
/// Needs `conversations:read`.
#[utoipa::path(tag = "messages", params(Id<MessageId>),
    responses((status = OK, body = Decision, description = "The decision.")))]
#[get("/messages/{id}/threading")]
async fn get_threading(api: Data<Api>, caller: Caller, id: Id<MessageId>) -> Answer {
    let decision = api.desk.read(&caller, move |cx| messages::decision(cx, id.0)).await?;
    match decision {
        Some(decision) => Ok(HttpResponse::Ok().json(decision)),
        None => Err(Problem::not_found("nothing was decided: this message was written here")),
    }
}

/// Read how far a message has got
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "messages", params(Id<MessageId>),
    responses((status = OK, body = DeliveryView, description = "How far it has got.")))]
#[get("/messages/{id}/delivery")]
async fn get_delivery(api: Data<Api>, caller: Caller, id: Id<MessageId>) -> Answer {
    let card = api.desk.read(&caller, move |cx| messages::find(cx, id.0)).await?;
    match delivery_of(&card) {
        Some(delivery) => Ok(HttpResponse::Ok().json(delivery)),
        None => Err(Problem::not_found("this message does not leave the desk")),
    }
}
