//! Access tokens.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{delete, get, post};
use postroom_core::access::Scope;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, MailboxId, TokenId};
use postroom_core::operations::tokens::{self, NewToken};
use postroom_core::page::Position;
use postroom_core::people::Token;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_tokens).service(create_token).service(delete_token);
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
    let create = move |cx: &mut Cx<'_>, _: &Links| {
        let (token, secret) = tokens::create(cx, &new)?;
        let view = CreatedToken {
            id: token.id,
            name: token.name,
            agent_id: token.agent_id,
            scopes: token.scopes,
            mailbox_ids: token.mailbox_ids,
            allowed_networks: token.allowed_networks.map(|networks| networks.texts()),
            expires_at: token.expires_at,
            created_at: token.created_at,
            token: secret,
        };
        Ok(answer::made_here(&view))
    };
    Ok(once.write(&api, &caller, create).await?)
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
