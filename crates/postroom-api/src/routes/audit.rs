//! The audit log: who signed in, and who changed what the desk is set up by.

use crate::answer::Answer;
use crate::extract::Caller;
use crate::paging::{PageInfo, PageQuery, Paging, page_of};
use crate::problem::Problem;
use crate::query::Query;
use crate::state::Api;
use actix_web::get;
use actix_web::web::Data;
use postroom_core::actor::ActorType;
use postroom_core::audit::{self, AuditRow};
use postroom_core::id::TokenId;
use postroom_core::store::audit::AuditFilter;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_audit_log);
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    /// Its number. They rise by one, without a gap.
    id: i64,
    /// What happened: a word of the audit log's own (`sign_in.failed`), or the type of the event that told a change
    /// of the set-up (`agent.updated`).
    kind: String,
    /// Who did it.
    actor: AuditActor,
    /// More: ids, and `changes` with each value before and after.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// The address it came from; `null` for the desk itself and its commands.
    address: Option<String>,
    /// What the program called itself, cut to 200 characters.
    user_agent: Option<String>,
    /// Names, address and `data` were taken out, as the law may ask for.
    redacted: bool,
    /// SHA-256 over the row before and this one, in hex: `postroom audit verify` checks them.
    hash: String,
    /// When it happened.
    created_at: Timestamp,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
struct AuditActor {
    /// What kind of caller.
    r#type: ActorType,
    /// Which one: an agent's number, a token's id.
    id: Option<String>,
    /// By what name at the time.
    name: Option<String>,
    /// Through which token.
    token_id: Option<TokenId>,
}

page_of!(
    /// A page of the audit log.
    AuditPage of AuditEntry
);

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        let details = row.details();
        Self {
            id: row.id,
            redacted: row.details.is_none(),
            kind: row.kind,
            actor: AuditActor {
                r#type: row.actor_type,
                id: row.actor_id,
                name: details.actor_name,
                token_id: details.token_id,
            },
            data: details.data,
            address: details.address,
            user_agent: details.user_agent,
            hash: row.hash,
            created_at: row.created_at,
        }
    }
}

/// Which rows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Of any of these kinds; `sign_in.*` is all that begin so. Left out, all.
    #[serde(default)]
    #[param(style = Form, explode = false, example = json!(["sign_in.*", "token.created"]))]
    kind: Vec<String>,
    /// By this caller: `agent:7`, `token:tok_…`.
    actor: Option<String>,
    /// Not before this moment.
    since: Option<Timestamp>,
    /// Before this moment.
    before: Option<Timestamp>,
}

impl AuditQuery {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let mut kinds = Vec::new();
        for asked in self.kind {
            let prefix = asked.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
            let matches = |kind: &str| prefix.map_or(kind == asked, |prefix| kind.starts_with(prefix));
            let found: Vec<String> = audit::kinds().filter(|kind| matches(kind)).map(str::to_owned).collect();
            if found.is_empty() {
                let names: Vec<&str> = audit::kinds().collect();
                return Err(Problem::bad_parameter(format!(
                    "kind: there is no {asked:?}; there are {}",
                    names.join(", ")
                )));
            }
            kinds.extend(found);
        }
        let fault = || Problem::bad_parameter("actor: write agent:7, or token:tok_… with its id");
        let read = |actor: String| {
            let (kind, id) = actor.split_once(':').ok_or_else(fault)?;
            let kind = kind.parse::<ActorType>().map_err(|_| fault())?;
            if id.is_empty() { Err(fault()) } else { Ok((kind, id.to_owned())) }
        };
        let actor = self.actor.map(read).transpose()?;
        Ok(AuditFilter { kinds, actor, since: self.since, before: self.before })
    }
}

/// Read the audit log
///
/// Newest first: who signed in or tried to, and who changed agents, roles, grants, tokens, mailboxes, webhooks and
/// other settings, each with where it came from. Rows are added and never changed; each holds a hash over itself
/// and the one before it. Needs `admin:read` on the whole desk.
#[utoipa::path(tag = "audit", params(AuditQuery, PageQuery),
    responses((status = OK, body = AuditPage, description = "A page of the audit log.")))]
#[get("/audit-log")]
async fn list_audit_log(api: Data<Api>, caller: Caller, query: Query<AuditQuery>, paging: Paging) -> Answer {
    let (filter, request) = (query.0.filter()?, paging.request);
    let found = api
        .desk
        .read(&caller, move |cx| postroom_core::operations::audit::list(cx, &filter, request))
        .await?;
    let page = found.map(AuditEntry::from);
    Ok(paging.answer(&api, page, |data, page: PageInfo| AuditPage { data, page }))
}
