//! The same change of many conversations.

use crate::answer::{self, Answer};
use crate::extract::Caller;
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::patch::{Patch, given};
use crate::problem::Problem;
use crate::shapes::custom_field::CustomFieldChanges;
use crate::shapes::job::JobView;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::post;
use actix_web::web::Data;
use postroom_core::conversation::{Priority, Status};
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, CategoryId, ConversationId, TeamId};
use postroom_core::job::BulkPatch;
use postroom_core::operations::custom_fields::Given;
use postroom_core::operations::idempotency::KeptAnswer;
use postroom_core::operations::jobs::{self, Bulk, Select};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shape::TagsBody;

/// A change of many conversations.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationBulk)]
pub struct BulkBody {
    /// Which.
    select: SelectBody,
    /// What changes.
    patch: BulkPatchBody,
    /// Say what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Which conversations: `ids` or `q`, one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationSelection)]
struct SelectBody {
    /// These.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 100)]
    ids: Option<Vec<ConversationId>>,
    /// What this finds of what the caller may see, as in `GET /conversations`: `is:open tag:billing`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 2000)]
    q: Option<String>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationBulkPatch)]
struct BulkPatchBody {
    /// Where they stand: `spam` too, but not `snoozed`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    status: Option<Status>,
    /// How much they matter.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    priority: Option<Priority>,
    /// Who takes care of them; `null` is nobody.
    #[serde(default)]
    #[schema(value_type = Option<AgentId>)]
    assignee_id: Patch<AgentId>,
    /// Which team does; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<TeamId>)]
    team_id: Patch<TeamId>,
    /// What kind of matter they are; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<CategoryId>)]
    category_id: Patch<CategoryId>,
    /// Tags to be added and removed; others stay.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    tags: Option<TagsBody>,
    /// Custom fields by their keys: those that are left out stay, `null` takes a value away.
    #[serde(default)]
    #[schema(value_type = CustomFieldChanges)]
    custom_fields: Given,
    /// `true`: into the trash. `false`: out of it, before anything else of this change.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    trash: Option<bool>,
    /// `true`: for good. Only what is in the trash, with nothing else in the change; needs `admin:write` as well.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    purge: Option<bool>,
}

impl BulkBody {
    fn read(self) -> Result<Bulk, Problem> {
        let select = match (self.select.ids, self.select.q) {
            (Some(ids), None) => Select::Ids(ids),
            (None, Some(q)) => Select::Query(q),
            (None, None) => {
                return Err(Problem::invalid_member("/select", "required", "name ids or say q"));
            }
            (Some(_), Some(_)) => {
                return Err(Problem::invalid_member("/select", "ambiguous", "name ids or say q, not both"));
            }
        };
        let (add_tags, remove_tags) =
            self.patch.tags.map_or_else(Default::default, |tags| (tags.add, tags.remove));
        let patch = BulkPatch {
            status: self.patch.status,
            priority: self.patch.priority,
            assignee_id: self.patch.assignee_id.change(),
            team_id: self.patch.team_id.change(),
            category_id: self.patch.category_id.change(),
            add_tags,
            remove_tags,
            custom_fields: self.patch.custom_fields,
            trash: self.patch.trash,
            purge: self.patch.purge.unwrap_or(false),
        };
        Ok(Bulk { select, patch, dry_run: self.dry_run })
    }
}

/// Change many conversations
///
/// What `select` names or finds is changed by a job, in the caller's name and by what they may do when each one's
/// turn comes: a token that is revoked ends it. One that is refused leaves the others; of `ids`, one that the
/// caller may not change now, and nothing is begun. With `dry_run` the job says what would change. `GET
/// /jobs/{id}` says how far it is, and `job.finished` is told at its end. Needs `conversations:write`.
#[utoipa::path(tag = "conversations", params(IdempotencyKey),
    request_body(content = BulkBody, description = "Which, and what changes.", example = json!({
        "select": {"q": "is:open tag:billing"}, "patch": {"status": "closed", "tags": {"add": ["done"]}}, "dry_run": true
    })),
    responses((status = ACCEPTED, body = JobView, description = "The job. `Location` says where to look after it.")))]
#[post("/conversations/bulk")]
pub async fn change_conversations(api: Data<Api>, caller: Caller, body: Keyed<BulkBody>) -> Answer {
    let Keyed { once, body } = body;
    let bulk = body.read()?;
    let begin = move |cx: &mut Cx<'_>, links: &Links| {
        let card = jobs::begin(cx, &bulk)?;
        let (location, etag) = (links.to(&format!("/api/v1/jobs/{}", card.job.id)), card.job.etag());
        let said = answer::versioned(StatusCode::ACCEPTED, &JobView::alone(card), &etag);
        Ok(KeptAnswer { location: Some(location), ..said })
    };
    Ok(once.write(&api, &caller, begin).await?)
}
