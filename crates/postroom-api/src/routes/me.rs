//! Who the caller is.

use super::agents::AgentView;
use crate::answer::{self, Answer};
use crate::body::{Body, bounded};
use crate::etag::IfMatch;
use crate::extract::Caller;
use crate::patch::{Patch, given};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch};
use postroom_core::access::{Access, Level, Scope, Sight};
use postroom_core::actor::ActorType;
use postroom_core::id::{AgentId, MailboxId, TokenId};
use postroom_core::operations::mailboxes;
use postroom_core::operations::me::OwnChange;
use postroom_core::outgoing::Written;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_me).service(update_me);
}

/// Who calls, and what they may see and do.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// What kind of caller.
    kind: ActorType,
    /// The name people know the caller by.
    name: String,
    /// The agent's address, if an agent.
    email: Option<String>,
    /// Which agent the token speaks for.
    agent_id: Option<AgentId>,
    /// Which token it is.
    token_id: Option<TokenId>,
    /// What the token may be used for, as it was given. A `write` scope brings its `read` along.
    scopes: Vec<Scope>,
    /// The mailboxes the caller may see; with `conversations:read` alone.
    mailboxes: Vec<MyMailbox>,
}

/// A mailbox that the caller may see.
#[derive(Debug, Serialize, ToSchema)]
struct MyMailbox {
    /// Its number.
    id: MailboxId,
    /// What people call it.
    name: String,
    /// The address customers write to.
    address: String,
    /// The most that the caller may do in it; perhaps in some of its conversations alone.
    level: Level,
}

fn level(access: &Access, id: MailboxId) -> Option<Level> {
    match access.sight() {
        Sight::All => Some(Level::Manage),
        Sight::Only(grants) => grants.iter().filter(|g| g.mailbox_id == id).map(|g| g.level).max(),
    }
}

/// Read who you are
///
/// What the token may be used for, and the mailboxes it opens. Any token will do: no scope.
#[utoipa::path(tag = "me", responses((status = OK, body = Me, description = "The caller.")))]
#[get("/me")]
async fn get_me(api: Data<Api>, caller: Caller) -> Answer {
    let seen = if caller.access.has(Scope::ConversationsRead) {
        api.desk.read(&caller, mailboxes::list).await?
    } else {
        Vec::new()
    };
    let actor = caller.0;
    let mailboxes = seen.into_iter().filter_map(|mailbox| {
        let level = level(&actor.access, mailbox.id)?;
        Some(MyMailbox { id: mailbox.id, name: mailbox.name, address: mailbox.address, level })
    });
    Ok(HttpResponse::Ok().json(Me {
        kind: actor.kind,
        mailboxes: mailboxes.collect(),
        name: actor.name,
        email: actor.email,
        agent_id: actor.agent_id,
        token_id: actor.token_id,
        scopes: actor.access.scopes().to_vec(),
    }))
}

/// What an agent may change of themselves; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MePatch {
    /// The name customers see.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 200, nullable = false)]
    name: Option<String>,
    /// What you sign in with and where the desk reaches you. Another one needs `current_password`, and is nobody
    /// else's and no mailbox's.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 320, nullable = false)]
    email: Option<String>,
    /// Your password, for another address.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 1024, nullable = false)]
    current_password: Option<String>,
    /// A code, for another address, where you sign in with one; a recovery code will do.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 64, nullable = false)]
    code: Option<String>,
    /// What stands below what you write, where the mailbox has no signature or names `{{agent.signature}}`: a
    /// template; `null`: nothing.
    #[serde(default)]
    #[schema(value_type = Option<Written>)]
    signature: Patch<Written>,
    /// Whether you are told by mail that an answer in a conversation of yours came back for good.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    bounce_notices: Option<bool>,
}

/// Change yourself
///
/// Your name, your address, your signature and your notices: of the agent that the token speaks for; `If-Match` takes
/// the agent's `ETag`. Another address takes your password, and a code where you sign in with codes; wrong tries
/// count as tries to sign in. A mail to the address before tells of it, and links for a new password that were
/// sent there open nothing. Needs `messages:send`; for name and address `notes:write` will do.
#[utoipa::path(tag = "me", params(IfMatch),
    request_body(content = MePatch, description = "What is to change.",
        example = json!({"signature": {"text": "{{agent.name}}\nSupport", "format": "text"}})),
    responses(
        (status = OK, body = AgentView, description = "The agent as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: another agent has this address; `state_conflict`: there is no password \
                        yet to prove yourself with.")))]
#[patch("/me")]
async fn update_me(api: Data<Api>, caller: Caller, seen: IfMatch, body: Body<MePatch>) -> Answer {
    let MePatch { name, email, current_password, code, signature, bounce_notices } = body.0;
    bounded("/current_password", current_password.as_deref().unwrap_or_default(), 1_024)?;
    let change = OwnChange { name, email, signature: signature.change(), bounce_notices };
    let expected = seen.expected().map(str::to_owned);
    let card = api.desk.update_own(&caller, expected, change, current_password, code).await?;
    let etag = card.agent.etag();
    Ok(answer::changed(&AgentView::from(card), &etag))
}
