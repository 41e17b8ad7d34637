//! Pages of conversations: in the order of an index, or as the full-text index finds them.

use super::conditions::{lifted, of_filter, wanted};
use super::{Predicate, visible};
use crate::access::{Access, Grant, Sight};
use crate::conversation::{Conversation, ConversationFilter, ConversationSort, Priority, Status};
use crate::id::ConversationId;
use crate::page::{Page, PageRequest, Position};
use crate::store::conn::{Conn, MultiBackend};
use crate::store::schema::conversations;
use crate::store::search::{self, Database, Wanted};
use crate::store::{StoreError, deadline};
use crate::time::Timestamp;
use diesel::prelude::*;
use std::cmp::Reverse;

/// Candidates that are looked at together at first, and at the most: SQLite binds 32,766 values.
const CANDIDATES: (usize, usize) = (200, 16_000);
/// The most queries that one page is merged from.
const BRANCHES: usize = 24;

type Pages = Vec<conversations::BoxedQuery<'static, MultiBackend>>;

/// One page of what may be seen and fits the filter. Trashed and merged ones are left out.
///
/// With words to look for, in the order of numbers or of relevance, the full-text index brings candidates in
/// that order, and as many as it takes are held against access and filter: a word that is everywhere
/// costs no more than one page, and a rare one no more than there are.
pub fn list(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Result<Page<Conversation>, StoreError> {
    let database = search::database(conn);
    let filter = &lifted(filter);
    let total =
        if page.count { Some(matching(access, filter, database).count().get_result(conn)?) } else { None };
    let mut cut = match (wanted(&filter.query), sort) {
        (Some(wanted), ConversationSort::Relevance) => by_relevance(conn, access, filter, &wanted, page)?,
        (Some(wanted), ConversationSort::IdDescending | ConversationSort::Id) => {
            let after = page.after.map(|at| ConversationId(at.id));
            let newest_first = sort == ConversationSort::IdDescending;
            let mut search = Search { access, filter, wanted: &wanted, without: None, newest_first, after };
            let rows = search.run(conn, usize::from(page.limit) + 1)?;
            Page::cut(rows, page, |row: &Conversation| Position { key: row.id.0, id: row.id.0 })
        }
        _ => merged(conn, access, filter, sort, page)?,
    };
    cut.total = total;
    Ok(cut)
}

/// How many there are of what may be seen and fits the filter, counted no further than `most`.
pub fn count_up_to(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    most: usize,
) -> Result<usize, StoreError> {
    let database = search::database(conn);
    let rows = matching(access, &lifted(filter), database).limit(i64::try_from(most).unwrap_or(i64::MAX));
    deadline::check()?;
    let found: Vec<ConversationId> = rows.select(conversations::id).load(conn)?;
    Ok(found.len())
}

/// Those that may be seen, fit the filter and wait for somebody, and since when: the longest ago first, so many.
pub fn waiting_longest(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    most: usize,
) -> Result<Vec<(ConversationId, Timestamp)>, StoreError> {
    let rows: Vec<(ConversationId, Option<Timestamp>)> =
        longest_first(search::database(conn), access, filter, most)
            .select((conversations::id, conversations::waiting_since))
            .load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, since)| Some((id, since?))).collect())
}

/// [`waiting_longest`] as a query; a test asks EXPLAIN about it.
pub fn longest_first(
    database: Database,
    access: &Access,
    filter: &ConversationFilter,
    most: usize,
) -> conversations::BoxedQuery<'static, MultiBackend> {
    matching(access, &lifted(filter), database)
        .filter(conversations::waiting_since.is_not_null())
        .order((conversations::waiting_since.asc(), conversations::id.asc()))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
}

/// One page of several queries.
fn merged(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Result<Page<Conversation>, StoreError> {
    let mut rows: Vec<Conversation> = Vec::new();
    for query in pages(search::database(conn), access, filter, sort, page) {
        deadline::check()?;
        rows.extend(query.select(Conversation::as_select()).load(conn)?);
    }
    let position = |row: &Conversation| Position { key: key(row, sort), id: row.id.0 };
    if sort.is_descending() {
        rows.sort_unstable_by_key(|row| Reverse((key(row, sort), row.id)));
    } else {
        rows.sort_unstable_by_key(|row| (key(row, sort), row.id));
    }
    rows.dedup_by_key(|row| row.id);
    Ok(Page::cut(rows, page, position))
}

/// What a row is ordered by, before its number.
fn key(row: &Conversation, sort: ConversationSort) -> i64 {
    match sort {
        ConversationSort::IdDescending | ConversationSort::Id | ConversationSort::Relevance => row.id.0,
        ConversationSort::CreatedDescending | ConversationSort::Created => row.created_at.0,
        ConversationSort::UpdatedDescending | ConversationSort::Updated => row.updated_at.0,
        ConversationSort::PriorityDescending | ConversationSort::Priority => rank(row.priority),
    }
}

fn rank(priority: Priority) -> i64 {
    Priority::ALL.iter().position(|one| *one == priority).unwrap_or_default() as i64
}

/// The queries that one page is merged from; a test asks EXPLAIN about them.
///
/// A list in several mailboxes or states can't be read off one index in its order: a database
/// would sort all that fits to show 25. So there is a query for each mailbox, grant and state (and
/// priority, where that is the order), which walks its index no further than the page reaches.
pub fn pages(
    database: Database,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> Pages {
    let filter = &lifted(filter);
    let each_mailbox: Vec<(Access, ConversationFilter)> = match access.sight() {
        Sight::All => split(&filter.mailbox_id)
            .map(|mailbox_id| (access.clone(), ConversationFilter { mailbox_id, ..filter.clone() }))
            .collect(),
        Sight::Only(grants) => {
            let asked = |grant: &&Grant| {
                filter.mailbox_id.is_empty() || filter.mailbox_id.contains(&grant.mailbox_id)
            };
            let mut meant: Vec<Grant> = grants.iter().filter(asked).copied().collect();
            meant.dedup();
            let alone = |grant: Grant| {
                let sight = Sight::Only(vec![grant]);
                let access = Access::new(access.agent_id(), access.scopes().to_vec(), sight);
                (access, ConversationFilter { mailbox_id: Vec::new(), ..filter.clone() })
            };
            meant.into_iter().map(alone).collect()
        }
    };
    let states = states(filter, sort, access);
    let ranks = ranks(filter, sort, page);
    if each_mailbox.len() * states.len() * ranks.len().max(1) > BRANCHES {
        return each_rank(database, access, filter, sort, page, &ranks);
    }
    let mut queries = Vec::with_capacity(each_mailbox.len() * states.len());
    for (access, filter) in &each_mailbox {
        for status in &states {
            let filter = ConversationFilter { status: status.clone(), ..filter.clone() };
            queries.extend(each_rank(database, access, &filter, sort, page, &ranks));
        }
    }
    queries
}

/// The states that have a query each. The indexes of a mailbox in the order of times have the state
/// before the time: a list of all states walks each of them.
fn states(filter: &ConversationFilter, sort: ConversationSort, access: &Access) -> Vec<Vec<Status>> {
    let by_time = matches!(
        sort,
        ConversationSort::CreatedDescending
            | ConversationSort::Created
            | ConversationSort::UpdatedDescending
            | ConversationSort::Updated
    );
    let in_mailboxes = !filter.mailbox_id.is_empty() || !access.sees_all();
    if by_time && in_mailboxes && filter.status.is_empty() {
        return split(Status::ALL).collect();
    }
    split(&filter.status).collect()
}

/// The priorities that a page in their order may still hold; `None` where that is not the order.
fn ranks(filter: &ConversationFilter, sort: ConversationSort, page: PageRequest) -> Vec<Priority> {
    if !matches!(sort, ConversationSort::PriorityDescending | ConversationSort::Priority) {
        return Vec::new();
    }
    let is_ahead =
        |one: &Priority| {
            page.after.is_none_or(|at| {
                if sort.is_descending() { rank(*one) <= at.key } else { rank(*one) >= at.key }
            })
        };
    let asked = |one: &Priority| filter.priority.is_empty() || filter.priority.contains(one);
    Priority::ALL.iter().copied().filter(|one| is_ahead(one) && asked(one)).collect()
}

fn each_rank(
    database: Database,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
    ranks: &[Priority],
) -> Pages {
    if !matches!(sort, ConversationSort::PriorityDescending | ConversationSort::Priority) {
        return vec![one_page(database, access, filter, sort, page)];
    }
    let by_id = if sort.is_descending() { ConversationSort::IdDescending } else { ConversationSort::Id };
    let each = ranks.iter().map(|one| {
        let filter = ConversationFilter { priority: vec![*one], ..filter.clone() };
        let after = page.after.filter(|at| at.key == rank(*one));
        one_page(database, access, &filter, by_id, PageRequest { after, ..page })
    });
    each.collect()
}

/// Each of several alone; none is one list of none.
fn split<T: Copy + PartialEq>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    let mut each: Vec<Vec<T>> = Vec::new();
    for one in all {
        if !each.contains(&vec![*one]) {
            each.push(vec![*one]);
        }
    }
    if each.is_empty() {
        each.push(Vec::new());
    }
    each.into_iter()
}

/// The filter and the order of a column, and behind which row.
macro_rules! in_order {
    ($query:ident, $column:expr, $sort:expr, $after:expr) => {{
        let by_column = $after.map(|at: Position| (Timestamp(at.key), ConversationId(at.id)));
        if $sort.is_descending() {
            if let Some((key, id)) = by_column {
                $query = $query.filter($column.le(key).and($column.lt(key).or(conversations::id.lt(id))));
            }
            $query.order(($column.desc(), conversations::id.desc()))
        } else {
            if let Some((key, id)) = by_column {
                $query = $query.filter($column.ge(key).and($column.gt(key).or(conversations::id.gt(id))));
            }
            $query.order(($column.asc(), conversations::id.asc()))
        }
    }};
}

fn one_page(
    database: Database,
    access: &Access,
    filter: &ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
) -> conversations::BoxedQuery<'static, MultiBackend> {
    let mut query = matching(access, filter, database);
    let query = match sort {
        ConversationSort::CreatedDescending | ConversationSort::Created => {
            in_order!(query, conversations::created_at, sort, page.after)
        }
        ConversationSort::UpdatedDescending | ConversationSort::Updated => {
            in_order!(query, conversations::updated_at, sort, page.after)
        }
        _ => {
            let after = page.after.map(|at| ConversationId(at.id));
            if sort.is_descending() {
                if let Some(id) = after {
                    query = query.filter(conversations::id.lt(id));
                }
                query.order(conversations::id.desc())
            } else {
                if let Some(id) = after {
                    query = query.filter(conversations::id.gt(id));
                }
                query.order(conversations::id.asc())
            }
        }
    };
    query.limit(page.fetch())
}

/// Filter and query as one query.
fn matching(
    access: &Access,
    filter: &ConversationFilter,
    database: Database,
) -> conversations::BoxedQuery<'static, MultiBackend> {
    let mut query = visible(access);
    for condition in of_filter(filter, access.agent_id(), database) {
        query = query.filter(condition);
    }
    if let Some(wanted) = wanted(&filter.query) {
        query = query.filter(search::matches(database, &wanted));
    }
    query
}

/// A walk through what the full-text index finds.
struct Search<'a> {
    access: &'a Access,
    filter: &'a ConversationFilter,
    wanted: &'a Wanted,
    /// But for what this finds.
    without: Option<&'a Wanted>,
    newest_first: bool,
    /// Behind this one.
    after: Option<ConversationId>,
}

impl Search<'_> {
    /// The next conversations that may be seen and fit, at least `rows` where there are as many.
    fn run(&mut self, conn: &mut Conn, rows: usize) -> Result<Vec<Conversation>, StoreError> {
        let mut found = Vec::new();
        let (mut size, most) = CANDIDATES;
        loop {
            deadline::check()?;
            let all = search::candidates(conn, self.wanted, self.newest_first, self.after, size)?;
            if let Some(last) = all.ids.last() {
                self.after = Some(*last);
                let mut ids = all.ids;
                if let Some(without) = self.without {
                    let others = search::among(conn, without, &ids)?;
                    ids.retain(|id| !others.contains(id));
                }
                found.extend(self.fitting(conn, ids)?);
            }
            if all.is_last || found.len() >= rows {
                return Ok(found);
            }
            size = (size * 4).min(most);
        }
    }

    /// Those of the candidates that may be seen and fit the filter.
    fn fitting(&self, conn: &mut Conn, ids: Vec<ConversationId>) -> Result<Vec<Conversation>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = visible(self.access).filter(conversations::id.eq_any(ids));
        let all = of_filter(self.filter, self.access.agent_id(), search::database(conn));
        if let Some(all) = all.into_iter().reduce(|all, one| -> Predicate { Box::new(all.and(one)) }) {
            // Compared, it offers SQLite no index: it would walk all closed conversations to meet these.
            query = query.filter(all.eq(true));
        }
        let mut rows: Vec<Conversation> = query.select(Conversation::as_select()).load(conn)?;
        if self.newest_first {
            rows.sort_unstable_by_key(|row| Reverse(row.id));
        } else {
            rows.sort_unstable_by_key(|row| row.id);
        }
        Ok(rows)
    }
}

/// First where all that is looked for stands in subject and people, then elsewhere; the newest first.
///
/// What a database reckons (BM25, `ts_rank`) changes with every other text, so that pages would repeat and
/// leave out; this is the same on both, and no text moves another.
fn by_relevance(
    conn: &mut Conn,
    access: &Access,
    filter: &ConversationFilter,
    wanted: &Wanted,
    page: PageRequest,
) -> Result<Page<Conversation>, StoreError> {
    let head = wanted.in_head();
    let rows = usize::from(page.limit) + 1;
    let mut found: Vec<(i64, Conversation)> = Vec::new();
    for (tier, wanted, without) in [(1, &head, None), (0, wanted, Some(&head))] {
        let after = match page.after {
            Some(at) if at.key < tier => continue,
            Some(at) if at.key == tier => Some(ConversationId(at.id)),
            _ => None,
        };
        let missing = rows.saturating_sub(found.len());
        if missing > 0 {
            let mut search = Search { access, filter, wanted, without, newest_first: true, after };
            found.extend(search.run(conn, missing)?.into_iter().map(|row| (tier, row)));
        }
    }
    let cut = Page::cut(found, page, |(tier, row)| Position { key: *tier, id: row.id.0 });
    Ok(cut.map(|(_, row)| row))
}
