//! Whose the conversations of mailboxes are from the start.

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::patch::Patch;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{get, patch};
use postroom_core::id::{MailboxId, TeamId};
use postroom_core::mailbox_routing::MailboxRouting;
use postroom_core::operations::mailbox_routing::{self, RoutingChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_mailbox_routing).service(update_mailbox_routing);
}

/// Whose the conversations of a mailbox are from the start.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailboxRouting)]
struct RoutingView {
    /// Which mailbox.
    mailbox_id: MailboxId,
    /// Counts changes; 0: nobody has changed it.
    version: i64,
    /// The team that gets what begins there, be it by mail or by the API, unless whoever begins it names another;
    /// `null`: no team does.
    team_id: Option<TeamId>,
}

impl From<MailboxRouting> for RoutingView {
    fn from(routing: MailboxRouting) -> Self {
        Self { mailbox_id: routing.mailbox_id, version: routing.version, team_id: routing.team_id }
    }
}

/// What is to change of it; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailboxRoutingPatch {
    /// The team; `null`: none.
    #[serde(default)]
    #[schema(value_type = Option<TeamId>)]
    team_id: Patch<TeamId>,
}

/// Read whose a mailbox's conversations are
///
/// Needs `conversations:read` or `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfNoneMatch),
    responses((status = OK, body = RoutingView, description = "Whose they are.")))]
#[get("/mailboxes/{id}/routing")]
async fn get_mailbox_routing(api: Data<Api>, caller: Caller, id: Id<MailboxId>, held: IfNoneMatch) -> Answer {
    let routing = api.desk.read(&caller, move |cx| mailbox_routing::find(cx, id.0)).await?;
    let etag = routing.etag();
    Ok(answer::one(&RoutingView::from(routing), &etag, &held))
}

/// Change whose a mailbox's conversations are
///
/// It holds for what begins from now on. History that is imported is nobody's. Needs `admin:write` and to manage
/// the mailbox.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IfMatch),
    request_body(content = MailboxRoutingPatch, description = "What is to change.", example = json!({"team_id": 1})),
    responses((status = OK, body = RoutingView, description = "Whose they are from now on.")))]
#[patch("/mailboxes/{id}/routing")]
async fn update_mailbox_routing(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    seen: IfMatch,
    body: Body<MailboxRoutingPatch>,
) -> Answer {
    let change = RoutingChange { team_id: body.0.team_id.change() };
    let changed =
        api.desk.write(&caller, move |cx| mailbox_routing::update(cx, id.0, seen.expected(), change)).await?;
    let etag = changed.etag();
    Ok(answer::changed(&RoutingView::from(changed), &etag))
}
