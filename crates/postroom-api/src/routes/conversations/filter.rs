//! The filters of the list of conversations.

use crate::problem::Problem;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::conversation::{
    Assignees, Channel, ConversationFilter, ConversationSort, ExternalId, Priority, Status, WaitingOn,
};
use postroom_core::id::{AgentId, CategoryId, CustomerId, MailboxId, TeamId};
use postroom_core::query::{self, Query};
use postroom_core::time::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which conversations, in which order. Each filter narrows the list further; lists are
/// separated by commas.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversationQuery {
    /// In any of these states.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    status: Vec<Status>,
    /// Of any of these priorities.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    priority: Vec<Priority>,
    /// That came by any of these ways.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    channel: Vec<Channel>,
    /// In any of these mailboxes.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    mailbox_id: Vec<MailboxId>,
    /// Assigned to any of these agents; `me` is the caller's own. `none`, alone, is nobody's.
    #[serde(default)]
    #[param(style = Form, explode = false, example = json!(["me"]))]
    assignee_id: Vec<String>,
    /// Assigned to any of these teams.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    team_id: Vec<TeamId>,
    /// Of any of these categories.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    category_id: Vec<CategoryId>,
    /// Of any of these customers.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    customer_id: Vec<CustomerId>,
    /// That wait for any of these.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    waiting_on: Vec<WaitingOn>,
    /// Those in the trash (`true`), which are in no other list; as they were when they went there.
    #[param(default = false)]
    trashed: Option<bool>,
    /// With something that you have not read (`true`) or without (`false`). It takes an agent's token.
    unread: Option<bool>,
    /// With a file (`true`) or without any (`false`). Pictures within a text are none.
    has_attachment: Option<bool>,
    /// With any of these tags, by name.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    tag: Vec<String>,
    /// With all of these tags, by name.
    #[serde(default)]
    #[param(style = Form, explode = false)]
    tag_all: Vec<String>,
    /// Begun at this time or later.
    created_since: Option<Timestamp>,
    /// Begun before this time.
    created_before: Option<Timestamp>,
    /// Changed at this time or later.
    updated_since: Option<Timestamp>,
    /// Changed before this time.
    updated_before: Option<Timestamp>,
    /// What another system calls it: `source:id`.
    #[param(max_length = 320, example = json!("shop:881"))]
    external_id: Option<String>,
    /// Conversations as GitHub asks for issues: `is:open assignee:me tag:billing from:ada@example.org
    /// subject:"late order" created:>=2026-01-01 -tag:spam free words`. All terms must hold; of several values
    /// with commas between them any one will do; a minus before a term is: not. Words are looked for in subject,
    /// texts, names and addresses of people and names of files, in any language, without case and accents;
    /// a word may go on (`order` finds `orders`), what is in quotes stands just so. Fields: `is`, `assignee`,
    /// `follower`, `team`, `category`, `mailbox`, `customer`, `from`, `tag`, `priority`, `channel`, `waiting_on`, `has`,
    /// `subject`, `file`, `id`, `created`, `updated`, `closed`, `last_message`, `waiting`, and custom fields: `field.order_no:881`,
    /// `field.amount>10`, `has:field.order_no`, and `customer.plan:paid` of the customer, which needs `customers:read`. Times are a day
    /// of UTC, RFC 3339 or how long ago (`-90m`, `-12h`, `-7d`, `-2w`), with `>`, `>=`, `<`, `<=` or as a range
    /// (`2026-01-01..2026-01-31`). `is:trash` finds what is in the trash, and nothing else does; `is:unread` what
    /// you have not read. At most 20 terms.
    #[param(max_length = 2000, example = json!("is:open tag:billing late order"))]
    q: Option<String>,
    /// The order; a minus is: the highest first. Left out, `-id`: paging never disturbs it. `relevance` needs
    /// words in `q`.
    #[param(inline)]
    sort: Option<ConversationSort>,
}

impl ConversationQuery {
    /// As the core takes it.
    pub fn read(self, caller: &Actor) -> Result<(ConversationFilter, ConversationSort), Problem> {
        let filter = ConversationFilter {
            status: self.status,
            priority: self.priority,
            channel: self.channel,
            mailbox_id: self.mailbox_id,
            assignee: assignees(&self.assignee_id, caller.agent_id)?,
            team_id: self.team_id,
            category_id: self.category_id,
            customer_id: self.customer_id,
            waiting_on: self.waiting_on,
            trashed: self.trashed.unwrap_or_default(),
            unread: self.unread,
            has_attachment: self.has_attachment,
            tag: self.tag,
            tag_all: self.tag_all,
            created_since: self.created_since,
            created_before: self.created_before,
            updated_since: self.updated_since,
            updated_before: self.updated_before,
            external_id: self.external_id.as_deref().map(external_id).transpose()?,
            query: match &self.q {
                Some(q) => query::parse(q).map_err(|error| Problem::from(Error::from(error)))?,
                None => Query::default(),
            },
        };
        Ok((filter, self.sort.unwrap_or(ConversationSort::IdDescending)))
    }
}

/// A source holds no colon, so the first one ends it.
fn external_id(text: &str) -> Result<ExternalId, Problem> {
    let malformed = |told: &str| Problem::bad_parameter(format!("external_id: {told}"));
    let (source, id) = text.split_once(':').ok_or_else(|| malformed("must be source:id"))?;
    let external = ExternalId { source: source.to_owned(), id: id.to_owned() };
    if let Some(fault) = external.source_fault() {
        return Err(malformed(&format!("a source {fault}")));
    }
    if let Some(fault) = external.id_fault() {
        return Err(malformed(&format!("an id {fault}")));
    }
    Ok(external)
}

fn assignees(words: &[String], me: Option<AgentId>) -> Result<Option<Assignees>, Problem> {
    match words {
        [] => return Ok(None),
        [word] if word == "none" => return Ok(Some(Assignees::Nobody)),
        _ => {}
    }
    let ids = words.iter().map(|word| match word.as_str() {
        "me" => me.ok_or_else(|| {
            Problem::bad_parameter("assignee_id: \"me\" is nobody: this token speaks for no agent")
        }),
        "none" => Err(Problem::bad_parameter("assignee_id: \"none\" stands alone")),
        number => number.parse().map(AgentId).map_err(|_| {
            Problem::bad_parameter(format!("assignee_id: {number:?} is neither me, none nor a number"))
        }),
    });
    Ok(Some(Assignees::Any(ids.collect::<Result<_, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_what_stands_behind_the_first_colon() {
        let read = |text: &str| external_id(text).map(|external| (external.source, external.id)).ok();
        assert_eq!(read("shop:88:1 ä"), Some(("shop".into(), "88:1 ä".into())));
        for bad in ["shop", ":1", "shop:", "sh op:1", "shop: ", "shop:a\u{7}"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn assignees_are_me_none_or_numbers() {
        let read = |text: &str, me: Option<i64>| {
            let words: Vec<String> = text.split(',').map(str::to_owned).collect();
            assignees(&words, me.map(AgentId)).map_err(|problem| problem.to_string())
        };
        assert_eq!(assignees(&[], None).unwrap(), None);
        assert_eq!(read("none", None).unwrap(), Some(Assignees::Nobody));
        assert_eq!(read("7,me", Some(3)).unwrap(), Some(Assignees::Any(vec![AgentId(7), AgentId(3)])));
        assert!(read("me", None).unwrap_err().contains("speaks for no agent"));
        assert!(read("none,7", None).unwrap_err().contains("stands alone"));
        assert!(read("seven", None).unwrap_err().contains("neither me, none nor a number"));
    }
}
