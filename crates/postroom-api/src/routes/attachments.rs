//! Files: uploaded before they are sent, and read.

use crate::answer::{self, Answer};
use crate::body;
use crate::body::Body;
use crate::disposition;
use crate::extract::{Caller, Id};
use crate::idempotency::{self, IdempotencyKey};
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::range::{self, Wanted};
use crate::shapes::binary::Binary;
use crate::shapes::message::AttachmentView;
use crate::signed_link::{self, NewLinkBody, Proof, SignedLinkView};
use crate::state::Api;
use crate::uploads::UPLOADS_EACH;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, get, post};
use postroom_core::id::AttachmentId;
use postroom_core::picture;
use postroom_core::signed_link::LinkPurpose;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(create_attachment)
        .service(get_attachment)
        .service(get_attachment_content)
        .service(link_attachment);
}

/// What an upload is called.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// The file's name; a path before it is dropped.
    #[param(min_length = 1, max_length = 255)]
    filename: String,
    /// Makes it a picture that stands in the text: Markdown and HTML of the message that takes it name it
    /// as `cid:` and this. Letters, digits and `. _ @ + = -`.
    #[param(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9._@+=-]+$")]
    content_id: Option<String>,
}

/// Upload a file
///
/// The body is the file itself, its `Content-Type` the file's; at most 25 MiB unless the daemon is
/// set up otherwise, two at a time of each token. Name its id in `attachment_ids` of a message within 24 hours. Needs
/// `notes:write`, or `conversations:create` for a conversation's first message.
#[utoipa::path(tag = "attachments", params(UploadQuery, IdempotencyKey),
    request_body(content = Binary, content_type = "application/octet-stream", description = "The file's bytes, of any type; none is an empty file."),
    responses((status = CREATED, body = AttachmentView, description = "What is known of the file.")))]
#[post("/attachments")]
async fn create_attachment(
    api: Data<Api>,
    caller: Caller,
    query: Query<UploadQuery>,
    req: HttpRequest,
    body: web::Payload,
) -> Answer {
    // Counted before anything of it is read, until it is kept.
    let _upload = api.uploads.begin(caller.token_id.clone()).ok_or_else(too_many)?;
    let (content, once) =
        idempotency::collect(&req, body.into_inner(), api.desk.settings().upload_bytes).await?;
    let content_type =
        body::media_type(req.headers()).unwrap_or_else(|| "application/octet-stream".to_owned());
    let UploadQuery { filename, content_id } = query.0;
    let (desk, actor, links) = (api.desk.clone(), caller.clone(), api.links.clone());
    // One that nobody has heard of goes when its time is over.
    let upload = async move {
        let file = desk.upload(&actor, &filename, &content_type, content_id.as_deref(), content).await?;
        Ok(answer::made_here(&AttachmentView::new(file, &links)))
    };
    once.around(&api, &caller, upload).await
}

fn too_many() -> Problem {
    let told = format!("a token sends {UPLOADS_EACH} files at a time; wait until one is through");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", told)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// Read what is known of a file
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "attachments", params(Id<AttachmentId>),
    responses((status = OK, body = AttachmentView, description = "What is known of the file.")))]
#[get("/attachments/{id}")]
async fn get_attachment(api: Data<Api>, caller: Caller, id: Id<AttachmentId>) -> Answer {
    let file = api.desk.attachment(&caller, &id.0).await?;
    Ok(HttpResponse::Ok().json(AttachmentView::new(file, &api.links)))
}

/// Make a link to a file
///
/// A link that a browser can follow without a token, for ten minutes at most. Whether the caller
/// may see the file is asked now: a right that is taken away later ends with the link's time.
/// Needs `conversations:read`.
#[utoipa::path(tag = "attachments", params(Id<AttachmentId>),
    request_body(content = NewLinkBody, description = "How long it is to hold.", example = json!({"ttl": 300})),
    responses((status = OK, body = SignedLinkView, description = "The link.")))]
#[post("/attachments/{id}/link")]
async fn link_attachment(
    api: Data<Api>,
    caller: Caller,
    body: Body<NewLinkBody>,
    id: Id<AttachmentId>,
) -> Answer {
    let link = api.desk.link_to_file(&caller, &id.0, body.0.ttl).await?;
    Ok(HttpResponse::Ok().json(SignedLinkView::new(&link, &api)))
}

/// What a signed link to a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FilePurpose {
    /// A picture inside a message's page: nothing but a picture is shown.
    Inline,
    /// A file to be kept.
    Download,
}

/// What a signed link carries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// Part of a signed link: what it is for.
    #[param(inline)]
    purpose: Option<FilePurpose>,
    /// Part of a signed link: the second since 1970 at which its time ends.
    expires: Option<i64>,
    /// Part of a signed link, in place of a token.
    signature: Option<String>,
}

/// Read a file
///
/// Always as a download, and as bytes without a type unless it is a PNG, JPEG, GIF or WebP image:
/// no browser runs it. One `Range` at a time. Needs `conversations:read`, or a signed link:
/// `POST /attachments/{id}/link` makes one, and a message's page has them for its pictures, which
/// are shown only where they are one of those images, whatever they are called.
#[utoipa::path(tag = "attachments", security(("bearer" = []), ("signed_link" = [])),
    params(Id<AttachmentId>, FileQuery, ("Range" = Option<String>, Header, description = "One range of bytes: `bytes=0-1023`.")),
    responses(
        (status = OK, description = "The file.", content((Binary = "application/octet-stream"), (Binary = "image/png"), (Binary = "image/jpeg"),
         (Binary = "image/gif"), (Binary = "image/webp"))),
        (status = PARTIAL_CONTENT, description = "The part that was asked for.", content((Binary = "application/octet-stream"), (Binary = "image/png"), (Binary = "image/jpeg"),
         (Binary = "image/gif"), (Binary = "image/webp")),
         headers(("Content-Range" = String, description = "Which part it is."))),
        (status = RANGE_NOT_SATISFIABLE, body = ProblemDocument, content_type = "application/problem+json",
         description = "`bad_range`: nothing of it lies in the file.")))]
#[get("/attachments/{id}/content")]
async fn get_attachment_content(
    api: Data<Api>,
    caller: Option<Caller>,
    id: Id<AttachmentId>,
    query: Query<FileQuery>,
    req: HttpRequest,
) -> Answer {
    let query = query.0;
    let purpose = match query.purpose {
        Some(FilePurpose::Inline) => LinkPurpose::Inline,
        Some(FilePurpose::Download) | None => LinkPurpose::Download,
    };
    let proof = Proof { expires: query.expires, signature: query.signature.as_deref() };
    let visitor = signed_link::visitor(&api, caller, purpose, &id.0.0, proof)?;
    let (file, content) = api.desk.attachment_content(&visitor, &id.0).await?;
    if purpose == LinkPurpose::Inline {
        return picture(content);
    }
    // A file never changes, so its id is its version.
    let etag = format!("\"{}\"", file.id);
    let asked = req.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let same = req.headers().get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    let size = content.len();
    let mut response = HttpResponse::Ok();
    response
        .content_type(disposition::served_type(&file.content_type, &content))
        .insert_header((header::CONTENT_DISPOSITION, disposition::attachment(&file.filename)))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, etag));
    match range::wanted(asked.filter(|_| same), size) {
        Wanted::Whole => Ok(response.body(content)),
        Wanted::Part { first, last } => Ok(response
            .status(StatusCode::PARTIAL_CONTENT)
            .insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")))
            .body(content[first..=last].to_vec())),
        Wanted::Nothing => Err(out_of_range(size)),
    }
}

/// A picture inside a page. The page's sandbox gives it no origin, so that its pictures come from
/// elsewhere in the eyes of a browser: the signature is what keeps others out.
fn picture(content: Vec<u8>) -> Answer {
    let kind = picture::content_type(&content)
        .ok_or_else(|| Problem::not_found("there is no such picture: the file is none"))?;
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, "inline"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
        .body(content))
}

fn out_of_range(size: usize) -> Problem {
    let problem = Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "bad_range",
        format!("the file has {size} bytes; nothing of the range lies in it"),
    );
    match HeaderValue::from_str(&format!("bytes */{size}")) {
        Ok(value) => problem.header(header::CONTENT_RANGE, value),
        Err(_) => problem,
    }
}
