//! What a filter and a query ask of a conversation, as conditions of the database.

use super::Predicate;
use crate::conversation::{Assignees, ConversationFilter};
use crate::fulltext::Phrase;
use crate::id::AgentId;
use crate::query::{Condition, Has, Moment, Query, Span, Term, TimeField, Whom};
use crate::store::schema::{
    attachments, conversation_tags, conversations, customer_addresses, messages, tags,
};
use crate::store::search::{self, Database, Wanted};
use crate::store::{custom_fields, deadline, followers, read_marks};
use crate::text::{escape_like, fold, fold_address};
use crate::time::Timestamp;
use diesel::dsl::{exists, not};
use diesel::prelude::*;

/// Adds that a column has any of these values; none means all. One alone is asked for by `=`: with
/// a list of one, PostgreSQL would not read an index in its order, but sort.
macro_rules! any_of {
    ($all:ident, $column:expr, $values:expr) => {
        match $values.as_slice() {
            [] => {}
            [one] => $all.push(Box::new($column.eq(*one))),
            many => $all.push(Box::new($column.eq_any(many.to_vec()))),
        }
    };
}

/// That a column which may be empty has any of these values: false, and not unknown, where it is
/// empty, so that the opposite is true there.
macro_rules! holds_any {
    ($column:expr, $values:expr) => {
        Box::new($column.is_not_null().and($column.assume_not_null().eq_any($values)))
    };
}

/// What the filter asks for but for words that are looked for, which [`wanted`] has. Merged conversations are
/// left out, and what is in the trash, unless that is asked for.
pub fn of_filter(filter: &ConversationFilter, me: Option<AgentId>, database: Database) -> Vec<Predicate> {
    let mut all: Vec<Predicate> = Vec::new();
    if database == Database::Sqlite {
        // The first, so that it is asked for the rows, too, that another condition leaves out.
        all.push(Box::new(deadline::in_time()));
    }
    all.push(Box::new(conversations::merged_into.is_null()));
    if filter.trashed || filter.query.asks_for_trash() {
        all.push(Box::new(conversations::deleted_at.is_not_null()));
    } else {
        all.push(Box::new(conversations::deleted_at.is_null()));
    }
    any_of!(all, conversations::status, filter.status);
    any_of!(all, conversations::priority, filter.priority);
    any_of!(all, conversations::channel, filter.channel);
    any_of!(all, conversations::mailbox_id, filter.mailbox_id);
    match &filter.assignee {
        Some(Assignees::Nobody) => all.push(Box::new(conversations::assignee_id.is_null())),
        Some(Assignees::Any(ids)) => any_of!(all, conversations::assignee_id.assume_not_null(), ids),
        None => {}
    }
    any_of!(all, conversations::team_id.assume_not_null(), filter.team_id);
    any_of!(all, conversations::category_id.assume_not_null(), filter.category_id);
    any_of!(all, conversations::customer_id, filter.customer_id);
    any_of!(all, conversations::waiting_on.assume_not_null(), filter.waiting_on);
    if !filter.tag.is_empty() {
        all.push(tagged(&filter.tag));
    }
    for tag in &filter.tag_all {
        all.push(tagged(std::slice::from_ref(tag)));
    }
    match (filter.unread, me) {
        (Some(true), Some(me)) => all.push(read_marks::unread(me)),
        (Some(false), Some(me)) => all.push(Box::new(not(read_marks::unread(me)))),
        (Some(_), None) => all.push(nothing()),
        (None, _) => {}
    }
    match filter.has_attachment {
        Some(true) => all.push(has(Has::Attachment)),
        Some(false) => all.push(Box::new(not(has(Has::Attachment)))),
        None => {}
    }
    if let Some(since) = filter.created_since {
        all.push(Box::new(conversations::created_at.ge(since)));
    }
    if let Some(before) = filter.created_before {
        all.push(Box::new(conversations::created_at.lt(before)));
    }
    if let Some(since) = filter.updated_since {
        all.push(Box::new(conversations::updated_at.ge(since)));
    }
    if let Some(before) = filter.updated_before {
        all.push(Box::new(conversations::updated_at.lt(before)));
    }
    if let Some(external) = &filter.external_id {
        let source = conversations::external_source.assume_not_null().eq(external.source.clone());
        all.push(Box::new(source.and(conversations::external_id.assume_not_null().eq(external.id.clone()))));
    }
    for term in &filter.query.terms {
        match (&term.condition, term.is_negated) {
            (Condition::Text(..), false) => {}
            (condition, false) => all.push(holds(condition, me, database)),
            (condition, true) => all.push(Box::new(not(holds(condition, me, database)))),
        }
    }
    all
}

/// The words that a query looks for; `None` where it looks for none.
pub fn wanted(query: &Query) -> Option<Wanted> {
    let all = query.phrases();
    (!all.is_empty()).then(|| Wanted::new(all))
}

/// Takes what lists are read by index for out of the query and into the filter.
pub fn lifted(filter: &ConversationFilter) -> ConversationFilter {
    let mut lifted = filter.clone();
    let mut rest: Vec<Term> = Vec::new();
    for term in std::mem::take(&mut lifted.query.terms) {
        match &term.condition {
            Condition::Status(all) if !term.is_negated && lifted.status.is_empty() => {
                lifted.status.clone_from(all);
            }
            Condition::Mailbox(all) if !term.is_negated && lifted.mailbox_id.is_empty() => {
                lifted.mailbox_id.clone_from(all);
            }
            Condition::Customer(all) if !term.is_negated && lifted.customer_id.is_empty() => {
                lifted.customer_id.clone_from(all);
            }
            _ => rest.push(term),
        }
    }
    lifted.query.terms = rest;
    lifted
}

fn holds(condition: &Condition, me: Option<AgentId>, database: Database) -> Predicate {
    match condition {
        Condition::Id(all) => Box::new(conversations::id.eq_any(all.clone())),
        Condition::Status(all) => Box::new(conversations::status.eq_any(all.clone())),
        Condition::Trash => Box::new(conversations::deleted_at.is_not_null()),
        // Nobody has read nothing: operations refuse who is no agent.
        Condition::Unread => me.map_or_else(nothing, read_marks::unread),
        Condition::Priority(all) => Box::new(conversations::priority.eq_any(all.clone())),
        Condition::Channel(all) => Box::new(conversations::channel.eq_any(all.clone())),
        Condition::WaitingOn(all) => holds_any!(conversations::waiting_on, all.clone()),
        Condition::Mailbox(all) => Box::new(conversations::mailbox_id.eq_any(all.clone())),
        Condition::Customer(all) => Box::new(conversations::customer_id.eq_any(all.clone())),
        Condition::Assignee(all) => or_empty(
            all.contains(&Whom::Nobody),
            Box::new(conversations::assignee_id.is_null()),
            holds_any!(conversations::assignee_id, agents(all, me)),
        ),
        Condition::Follower(all) => or_empty(
            all.contains(&Whom::Nobody),
            Box::new(not(followers::followed())),
            followers::followed_by(agents(all, me)),
        ),
        Condition::Team(all) => or_empty(
            all.contains(&None),
            Box::new(conversations::team_id.is_null()),
            holds_any!(conversations::team_id, all.iter().flatten().copied().collect::<Vec<_>>()),
        ),
        Condition::Category(all) => or_empty(
            all.contains(&None),
            Box::new(conversations::category_id.is_null()),
            holds_any!(conversations::category_id, all.iter().flatten().copied().collect::<Vec<_>>()),
        ),
        Condition::From(all) => from(all),
        Condition::Tag(all) => tagged(all),
        Condition::Has(all) => {
            let each = all.iter().map(|one| has(*one));
            each.reduce(|any, one| Box::new(any.or(one))).unwrap_or_else(nothing)
        }
        Condition::Time(field, span) => within(*field, *span),
        Condition::Field(term) => custom_fields::holds(term),
        Condition::Text(place, text) => match Phrase::of(&text.text, text.is_exact) {
            Some(phrase) => search::matches(database, &Wanted::new(vec![(*place, phrase)])),
            None => nothing(),
        },
    }
}

fn nothing() -> Predicate {
    Box::new(conversations::id.lt(crate::id::ConversationId(0)))
}

fn or_empty(may_be_empty: bool, is_empty: Predicate, holds: Predicate) -> Predicate {
    if may_be_empty { Box::new(is_empty.or(holds)) } else { holds }
}

fn tagged(names: &[String]) -> Predicate {
    let folded: Vec<String> = names.iter().map(|name| fold(name)).collect();
    let with = conversation_tags::table
        .inner_join(tags::table)
        .filter(tags::name_folded.eq_any(folded))
        .select(conversation_tags::conversation_id);
    Box::new(conversations::id.eq_any(with))
}

/// The agents among those who are asked for.
fn agents(all: &[Whom], me: Option<AgentId>) -> Vec<AgentId> {
    let agent = |one: &Whom| match one {
        Whom::Me => me,
        Whom::Agent(id) => Some(*id),
        Whom::Nobody => None,
    };
    all.iter().filter_map(agent).collect()
}

fn has(what: Has) -> Predicate {
    match what {
        Has::Attachment => Box::new(exists(
            messages::table
                .inner_join(attachments::table)
                .filter(messages::conversation_id.eq(conversations::id))
                .filter(attachments::inline.eq(false)),
        )),
        Has::Assignee => Box::new(conversations::assignee_id.is_not_null()),
        Has::Team => Box::new(conversations::team_id.is_not_null()),
        Has::Category => Box::new(conversations::category_id.is_not_null()),
        Has::Tag => Box::new(exists(
            conversation_tags::table.filter(conversation_tags::conversation_id.eq(conversations::id)),
        )),
    }
}

fn from(all: &[String]) -> Predicate {
    let (domains, whole): (Vec<&String>, Vec<&String>) = all.iter().partition(|one| one.starts_with('@'));
    let whole: Vec<String> = whole.into_iter().map(|one| fold_address(one)).collect();
    let with = customer_addresses::table
        .filter(customer_addresses::email_folded.eq_any(whole))
        .select(customer_addresses::customer_id);
    let mut any: Predicate = Box::new(conversations::customer_id.eq_any(with));
    for domain in domains {
        let pattern = format!("%{}", escape_like(&fold_address(domain)));
        let with = customer_addresses::table
            .filter(customer_addresses::email_folded.like(pattern).escape('\\'))
            .select(customer_addresses::customer_id);
        any = Box::new(any.or(conversations::customer_id.eq_any(with)));
    }
    any
}

fn within(field: TimeField, span: Span) -> Predicate {
    let at = |moment: Moment| match moment {
        Moment::At(at) => at,
        // Operations settle when a query is asked; without that it is from the beginning of time.
        Moment::MinutesAgo(_) => Timestamp(i64::MIN),
    };
    let (since, before) = (span.since.map(at), span.before.map(at));
    macro_rules! between {
        ($column:expr) => {{
            let since: Predicate = match since {
                Some(since) => Box::new($column.ge(since)),
                None => Box::new(conversations::id.gt(crate::id::ConversationId(0))),
            };
            match before {
                Some(before) => Box::new(since.and($column.lt(before))),
                None => since,
            }
        }};
    }
    macro_rules! between_if_any {
        ($column:expr) => {{
            let inside: Predicate = between!($column.assume_not_null());
            Box::new($column.is_not_null().and(inside))
        }};
    }
    match field {
        TimeField::Created => between!(conversations::created_at),
        TimeField::Updated => between!(conversations::updated_at),
        TimeField::LastMessage => between!(conversations::last_message_at),
        TimeField::Closed => between_if_any!(conversations::closed_at),
        TimeField::Waiting => between_if_any!(conversations::waiting_since),
    }
}
