//! How a mailbox's mail looks.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::disposition;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::patch::{Patch, given};
use crate::shapes::binary::Binary;
use crate::state::Api;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use postroom_core::id::{AttachmentId, MailboxId};
use postroom_core::mail::Address;
use postroom_core::mailbox_outgoing::MailboxLogo;
use postroom_core::operations::mailbox_outgoing::{self, LogoChange, Look, OutgoingChange};
use postroom_core::operations::messages::{self, Preview};
use postroom_core::outgoing::Written;
use postroom_core::picture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(get_mailbox_outgoing)
        .service(update_mailbox_outgoing)
        .service(get_mailbox_logo)
        .service(preview_mailbox_outgoing);
}

/// How a mailbox's mail looks. All texts are templates, whose placeholders are `{{agent.name}}`,
/// `{{mailbox.name}}`, `{{mailbox.address}}`, `{{customer.name}}`, `{{conversation.id}}` and
/// `{{conversation.subject}}`, in a signature `{{agent.signature}}` and in head and foot `{{logo}}` as well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailboxOutgoing)]
struct OutgoingView {
    /// Whose.
    mailbox_id: MailboxId,
    /// Counts changes; 0: nobody has changed it yet.
    version: i64,
    /// The name that customers see.
    from_name: String,
    /// What stands below what agents write; `null`: the agent's own signature, if there is one.
    signature: Option<Written>,
    /// What stands above it.
    head: Option<Written>,
    /// What stands below it all, above what is quoted.
    foot: Option<Written>,
    /// The picture that every mail brings along. It stands where head or foot say `{{logo}}`, and above the
    /// head where neither does. Automatic answers have none.
    logo: Option<LogoView>,
    /// An answer quotes what its recipients know already, unless it says otherwise: the newest three of the
    /// messages that everybody it goes to was party to, 64 KiB at most.
    quote_history: bool,
}

/// A mailbox's logo; `GET /mailboxes/{id}/outgoing/logo` has its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailboxLogo)]
struct LogoView {
    /// Its type, by what it begins with.
    #[schema(example = "image/png")]
    content_type: String,
    /// Bytes.
    size: usize,
    /// What is read in its place; `null`: the mailbox's name.
    alt: Option<String>,
    /// The Content-ID under which a mail has it; another picture has another one.
    content_id: String,
}

impl From<MailboxLogo> for LogoView {
    fn from(logo: MailboxLogo) -> Self {
        let MailboxLogo { content_type, alt, content_id, content, .. } = logo;
        Self { content_type, size: content.len(), alt, content_id }
    }
}

impl From<Look> for OutgoingView {
    fn from(Look { outgoing, logo }: Look) -> Self {
        Self {
            logo: logo.map(LogoView::from),
            mailbox_id: outgoing.mailbox_id,
            version: outgoing.version,
            from_name: outgoing.from_name,
            signature: outgoing.signature.as_deref().cloned(),
            head: outgoing.head.as_deref().cloned(),
            foot: outgoing.foot.as_deref().cloned(),
            quote_history: outgoing.quote_history,
        }
    }
}

/// What is to change of how a mailbox's mail looks; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailboxOutgoingPatch {
    /// The name that customers see.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 200)]
    from_name: Option<String>,
    /// What stands below what agents write; `null`: the agent's own signature.
    #[serde(default)]
    #[schema(value_type = Option<Written>)]
    signature: Patch<Written>,
    /// What stands above it; `null`: nothing.
    #[serde(default)]
    #[schema(value_type = Option<Written>)]
    head: Patch<Written>,
    /// What stands below it all; `null`: nothing.
    #[serde(default)]
    #[schema(value_type = Option<Written>)]
    foot: Patch<Written>,
    /// The picture that every mail brings along; `null`: none.
    #[serde(default)]
    #[schema(value_type = Option<MailboxLogoPatch>)]
    logo: Patch<MailboxLogoPatch>,
    /// Whether answers quote unless they say otherwise.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    quote_history: Option<bool>,
}

/// What is to change of a logo; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailboxLogoPatch {
    /// An upload of the caller's (`POST /attachments`) that waits for its use, and is used up by this: a
    /// PNG, JPEG, GIF or WebP picture of at most 256 KiB.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    attachment_id: Option<AttachmentId>,
    /// What is read in its place; `null`: the mailbox's name.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200)]
    alt: Patch<String>,
}

/// How a mail of a mailbox would look.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailboxOutgoingPreview)]
struct OutgoingPreviewView {
    /// From.
    from: Address,
    /// The subject, of an answer to somebody made up.
    subject: String,
    /// The text part.
    text: String,
    /// The HTML part: a whole document, made safe; its pictures stand there as `cid:`.
    html: String,
}

impl From<Preview> for OutgoingPreviewView {
    fn from(preview: Preview) -> Self {
        let Preview { from, subject, text, html, .. } = preview;
        Self { from, subject, text, html }
    }
}

/// Read how a mailbox's mail looks
///
/// Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfNoneMatch),
    responses((status = OK, body = OutgoingView, description = "How it looks.")))]
#[get("/mailboxes/{id}/outgoing")]
async fn get_mailbox_outgoing(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    held: IfNoneMatch,
) -> Answer {
    let found = api.desk.read(&caller, move |cx| mailbox_outgoing::find(cx, id.0)).await?;
    let etag = found.outgoing.etag();
    Ok(answer::one(&OutgoingView::from(found), &etag, &held))
}

/// Change how a mailbox's mail looks
///
/// It holds for what leaves from now on; `POST /mailboxes/{id}/outgoing/preview` shows it. An unknown
/// placeholder is refused. Needs `admin:write` and to manage the mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch),
    request_body(content = MailboxOutgoingPatch, description = "What is to change.", example = json!({
        "from_name": "{{agent.name}} at {{mailbox.name}}",
        "signature": {"text": "{{agent.signature}}\n\nCase {{conversation.id}}", "format": "text"},
        "quote_history": true
    })),
    responses((status = OK, body = OutgoingView, description = "How it looks now.")))]
#[patch("/mailboxes/{id}/outgoing")]
async fn update_mailbox_outgoing(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    seen: IfMatch,
    body: Body<MailboxOutgoingPatch>,
) -> Answer {
    let body = body.0;
    let change = OutgoingChange {
        from_name: body.from_name,
        signature: body.signature.change(),
        head: body.head.change(),
        foot: body.foot.change(),
        logo: body.logo.change().map(|logo| {
            logo.map(|logo| LogoChange { attachment_id: logo.attachment_id, alt: logo.alt.change() })
        }),
        quote_history: body.quote_history,
    };
    let expected = seen.expected().map(str::to_owned);
    let changed = api.desk.change_outgoing(&caller, id.0, expected, change).await?;
    let etag = changed.outgoing.etag();
    Ok(answer::changed(&OutgoingView::from(changed), &etag))
}

/// Read a mailbox's logo
///
/// Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    responses((status = OK, description = "The picture.", content((Binary = "image/png"), (Binary = "image/jpeg"),
     (Binary = "image/gif"), (Binary = "image/webp")))))]
#[get("/mailboxes/{id}/outgoing/logo")]
async fn get_mailbox_logo(api: Data<Api>, caller: Caller, id: Id<MailboxId>) -> Answer {
    let logo = api.desk.read(&caller, move |cx| mailbox_outgoing::logo(cx, id.0)).await?;
    let kind = picture::content_type(&logo.content).unwrap_or("application/octet-stream");
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, disposition::attachment(&logo.filename())))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .body(logo.content))
}

/// See a text as a mailbox's mail
///
/// With signature, head and foot, as text and as HTML: an answer of the caller's to a customer who is made
/// up, as is the conversation. Nothing is kept and nothing is sent. Needs `conversations:read` or
/// `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    request_body(content = Written, description = "The text.",
        example = json!({"text": "It left **today**.", "format": "markdown"})),
    responses((status = OK, body = OutgoingPreviewView, description = "The mail.")))]
#[post("/mailboxes/{id}/outgoing/preview")]
async fn preview_mailbox_outgoing(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    body: Body<Written>,
) -> Answer {
    let preview = api.desk.read(&caller, move |cx| messages::look(cx, id.0, &body.0)).await?;
    Ok(HttpResponse::Ok().json(OutgoingPreviewView::from(preview)))
}
