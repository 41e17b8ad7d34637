//! Access tokens.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed, KeyedOptional};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::patch::{Patch, given};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use postroom_core::access::Scope;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, MailboxId, TokenId};
use postroom_core::operations::tokens::{self, NewToken, TokenChange};
use postroom_core::page::Position;
use postroom_core::people::Token;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_tokens)
        .service(create_token)
        .service(get_token)
        .service(update_token)
        .service(delete_token)
        .service(rotate_token_secret);
}

/// An access token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Its public name.
    id: TokenId,
    /// What people call it.
    name: String,
    /// Whom it speaks for; `null` for a script of its own.
    agent_id: Option<AgentId>,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// Only in these mailboxes; `null` is all.
    mailbox_ids: Option<Vec<MailboxId>>,
    /// Only for callers from these networks; `null` is all.
    allowed_networks: Option<Vec<String>>,
    /// When it ends; `null` is never.
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    last_used_at: Option<Timestamp>,
    /// Until when the secret before the last change of secrets opens as well; `null`: it doesn't.
    previous_secret_until: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

/// A token that was just made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedToken {
    /// Its public name.
    id: TokenId,
    /// What people call it.
    name: String,
    /// Whom it speaks for; `null` for a script of its own.
    agent_id: Option<AgentId>,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// Only in these mailboxes; `null` is all.
    mailbox_ids: Option<Vec<MailboxId>>,
    /// Only for callers from these networks; `null` is all.
    allowed_networks: Option<Vec<String>>,
    /// When it ends; `null` is never.
    expires_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// The secret, for `Authorization: Bearer`. It is shown this once and kept nowhere.
    token: String,
}

page_of!(
    /// A page of tokens.
    TokenPage of TokenView
);

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
struct NewTokenBody {
    /// What people call it.
    name: String,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// Whom it speaks for; left out, it is a script of its own.
    #[serde(default)]
    agent_id: Option<AgentId>,
    /// Only in these mailboxes; left out, all.
    #[serde(default)]
    mailbox_ids: Option<Vec<MailboxId>>,
    /// Only for callers from these networks: `192.0.2.0/24`, `2001:db8::/32`, or one address. From elsewhere it is
    /// like a token that is not there. Left out, all.
    #[serde(default)]
    #[schema(max_items = 100)]
    allowed_networks: Option<Vec<String>>,
    /// When it ends; left out, never.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// What is to change of a token; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// What it may be used for: all of it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    scopes: Option<Vec<Scope>>,
    /// Only in these mailboxes; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<MailboxId>>)]
    mailbox_ids: Patch<Vec<MailboxId>>,
    /// Only for callers from these networks; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    allowed_networks: Patch<Vec<String>>,
    /// When it ends; `null` is never.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Patch<Timestamp>,
}

/// How long both secrets open.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateTokenBody {
    /// For how many hours the secret before opens as well; 0 if left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 0, maximum = 168, default = 0)]
    overlap_hours: Option<u16>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            agent_id: token.agent_id,
            scopes: token.scopes,
            mailbox_ids: token.mailbox_ids,
            allowed_networks: token.allowed_networks.map(|networks| networks.texts()),
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            previous_secret_until: token.previous_until,
            created_at: token.created_at,
        }
    }
}

/// Ids of tokens are UUIDs: time first, then chance, which tells apart those of one moment.
fn position(token: &Token) -> Position {
    let hex = token.id.0.strip_prefix(TokenId::PREFIX).unwrap_or_default();
    let chance = hex.get(16..).and_then(|tail| u64::from_str_radix(tail, 16).ok()).unwrap_or_default();
    Position { key: token.created_at.0, id: (chance >> 1) as i64 }
}

/// List access tokens
///
/// Oldest first, without their secrets. An agent who sees the set-up and may not change it sees those that speak for
/// them. Needs `admin:read`.
#[utoipa::path(tag = "tokens", params(PageQuery),
    responses((status = OK, body = TokenPage, description = "A page of tokens.")))]
#[get("/tokens")]
async fn list_tokens(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, tokens::list).await?;
    let page = paging.cut(found, position).map(TokenView::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| TokenPage { data, page }))
}

/// Make an access token
///
/// Its secret is in this answer alone, which is given again for a day to whoever sends the same
/// request again under its `Idempotency-Key`. Nobody can give more than they hold: scopes, mailboxes, networks,
/// and what the agent may do for whom it speaks.
/// Needs `admin:write`.
#[utoipa::path(tag = "tokens", params(IdempotencyKey),
    request_body(content = NewTokenBody, description = "The token.", example = json!({
        "name": "nightly export", "scopes": ["conversations:read", "customers:read"]
    })),
    responses((status = CREATED, body = CreatedToken, description = "The token and its secret.")))]
#[post("/tokens")]
async fn create_token(api: Data<Api>, caller: Caller, body: Keyed<NewTokenBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewToken {
        name: body.name,
        agent_id: body.agent_id,
        scopes: body.scopes,
        mailbox_ids: body.mailbox_ids,
        allowed_networks: body.allowed_networks,
        expires_at: body.expires_at,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let (token, secret) = tokens::create(cx, &new)?;
        let (path, etag) = (format!("/api/v1/tokens/{}", token.id), token.etag());
        Ok(answer::made(links, &CreatedToken::new(token, secret), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

impl CreatedToken {
    fn new(token: Token, secret: String) -> Self {
        Self {
            id: token.id,
            name: token.name,
            agent_id: token.agent_id,
            scopes: token.scopes,
            mailbox_ids: token.mailbox_ids,
            allowed_networks: token.allowed_networks.map(|networks| networks.texts()),
            expires_at: token.expires_at,
            created_at: token.created_at,
            token: secret,
        }
    }
}

/// Read an access token
///
/// Without its secret. An agent who sees the set-up and may not change it sees those that speak for them. Needs
/// `admin:read`.
#[utoipa::path(tag = "tokens", params(Id<TokenId>, IfNoneMatch),
    responses((status = OK, body = TokenView, description = "The token. Its `ETag` says what people changed, not \
when it was used.")))]
#[get("/tokens/{id}")]
async fn get_token(api: Data<Api>, caller: Caller, id: Id<TokenId>, held: IfNoneMatch) -> Answer {
    let token = api.desk.read(&caller, move |cx| tokens::find(cx, &id.0)).await?;
    let etag = token.etag();
    Ok(answer::one(&TokenView::from(token), &etag, &held))
}

/// Change an access token
///
/// Its name, what it may be used for, where, from where and until when; whom it speaks for stays, and so does its
/// secret. From the next request on it is so; streams that are open follow within seconds. Nobody changes a token
/// that may do more than they, nor gives one more than they hold. Needs `admin:write`.
#[utoipa::path(tag = "tokens", params(Id<TokenId>, IfMatch),
    request_body(content = TokenPatch, description = "What is to change.", example = json!({
        "scopes": ["conversations:read"], "allowed_networks": ["192.0.2.0/24"]
    })),
    responses((status = OK, body = TokenView, description = "The token as it is now.")))]
#[patch("/tokens/{id}")]
async fn update_token(
    api: Data<Api>,
    caller: Caller,
    id: Id<TokenId>,
    seen: IfMatch,
    body: Body<TokenPatch>,
) -> Answer {
    let body = body.0;
    let change = TokenChange {
        name: body.name,
        scopes: body.scopes,
        mailbox_ids: body.mailbox_ids.change(),
        allowed_networks: body.allowed_networks.change(),
        expires_at: body.expires_at.change(),
    };
    let token =
        api.desk.write(&caller, move |cx| tokens::update(cx, &id.0, seen.expected(), &change)).await?;
    let etag = token.etag();
    Ok(answer::changed(&TokenView::from(token), &etag))
}

/// Give an access token another secret
///
/// For `overlap_hours` (0 if left out; up to 168) the secret before opens as well, so that a program can be given the
/// new one while it runs; those before that open nothing. The new one stands in this answer alone, which is
/// given again for a day to whoever sends the same request again under its `Idempotency-Key`. Nobody does
/// this to a token that may do more than they. Needs `admin:write`.
#[utoipa::path(tag = "tokens", params(Id<TokenId>, IfMatch, IdempotencyKey),
    request_body(content = RotateTokenBody, description = "How long both open.",
        example = json!({"overlap_hours": 24})),
    responses((status = OK, body = CreatedToken, description = "The token and its new secret.")))]
#[post("/tokens/{id}/rotate-secret")]
async fn rotate_token_secret(
    api: Data<Api>,
    caller: Caller,
    id: Id<TokenId>,
    seen: IfMatch,
    body: KeyedOptional<RotateTokenBody>,
) -> Answer {
    let KeyedOptional { once, body } = body;
    let overlap = Duration::from_secs(u64::from(body.overlap_hours.unwrap_or_default()) * 3_600);
    let rotate = move |cx: &mut Cx<'_>, _: &Links| {
        let (token, secret) = tokens::rotate(cx, &id.0, seen.expected(), overlap)?;
        let etag = token.etag();
        Ok(answer::done(&CreatedToken::new(token, secret), &etag))
    };
    Ok(once.write(&api, &caller, rotate).await?)
}

/// Revoke an access token
///
/// It opens nothing from now on. Needs `admin:write`.
#[utoipa::path(tag = "tokens", params(Id<TokenId>),
    responses((status = NO_CONTENT, description = "It is revoked.")))]
#[delete("/tokens/{id}")]
async fn delete_token(api: Data<Api>, caller: Caller, id: Id<TokenId>) -> Answer {
    api.desk.write(&caller, move |cx| tokens::revoke(cx, &id.0)).await?;
    Ok(answer::gone())
}
