//! Everything of a kind, by pages of short transactions. An export first goes through the rows by their numbers, and then
//! through the event log from where it stood when it began: whatever changed meanwhile is told again, as it is then.
//! Kept up to date, it is the same rows that its reader would find by asking for each.
//!
//! It is for those who see the whole desk: to others the log would have to tell what they lost sight of.

use super::tokens::require_whole_sight;
use super::{audit, conversations, customers, events, messages};
use crate::access::Scope;
use crate::audit::{AuditKind, NewNote};
use crate::cx::Cx;
use crate::event::{Event, EventType};
use crate::export::{Exported, Place};
use crate::id::{ConversationId, CustomerId, MessageId};
use crate::operations::conversations::ConversationCard;
use crate::operations::messages::MessageCard;
use crate::people::CustomerCard;
use crate::{Error, store};
use std::collections::{BTreeSet, HashSet};

/// The most rows of a page, and the most events that one looks at.
pub const MOST: u16 = 100;

/// What events tell of rows.
struct Named {
    /// Numbers of those that may have changed, or be gone.
    ids: BTreeSet<i64>,
    /// Numbers of those that are gone for good, however many.
    gone: Vec<i64>,
    /// Others may have changed as well: all are to be gone through once more.
    is_all: bool,
}
/// Rows, each with its number.
type Numbered<T> = Vec<(i64, T)>;

/// What is exported, and how it is read.
struct Noun<T> {
    name: &'static str,
    scope: Scope,
    /// Up to so many numbers behind one, in order.
    behind: fn(&mut Cx<'_>, i64, i64) -> Result<Vec<i64>, Error>,
    /// Which of them events name.
    named: fn(&mut Cx<'_>, &[Event]) -> Result<Named, Error>,
    /// Those that are there, each with its number.
    read: fn(&mut Cx<'_>, &[i64]) -> Result<Numbered<T>, Error>,
}

/// Conversations, those in the trash and those that were merged among them. `place` is where the last page ended;
/// `None` begins, which is noted in the audit log. `limit` is at most [`MOST`].
///
/// Fails with [`Error::ExportExpired`] where the log no longer reaches back to `place`, or the desk was restored since.
pub fn conversations(
    cx: &mut Cx<'_>,
    place: Option<Place>,
    limit: u16,
) -> Result<Exported<ConversationCard>, Error> {
    let noun = Noun {
        name: "conversations",
        scope: Scope::ConversationsRead,
        behind: |cx, after, limit| Ok(store::exports::conversations(cx.conn, after, limit)?),
        named: |_, events| {
            // Names of tags, the team and the field that are no more stand in conversations that their events don't name.
            let elsewhere = [
                EventType::TagUpdated,
                EventType::TagMerged,
                EventType::TagDeleted,
                EventType::TeamDeleted,
                EventType::CustomFieldDeleted,
            ];
            let is_all = events.iter().any(|event| is_one_of(event, &elsewhere));
            let ids = events.iter().filter_map(|event| event.conversation_id).map(|id| id.0).collect();
            Ok(Named { ids, gone: Vec::new(), is_all })
        },
        read: |cx, ids| {
            let ids: Vec<ConversationId> = ids.iter().copied().map(ConversationId).collect();
            let cards = conversations::cards_of(cx, &ids)?;
            Ok(cards.into_iter().map(|card| (card.conversation.id.0, card)).collect())
        },
    };
    noun.page(cx, place, limit)
}

/// Messages, notes and drafts of all conversations. As [`conversations`]; a page may hold up to twice [`MOST`]
/// where conversations were merged, for all of their messages have moved then.
pub fn messages(cx: &mut Cx<'_>, place: Option<Place>, limit: u16) -> Result<Exported<MessageCard>, Error> {
    let noun = Noun {
        name: "messages",
        scope: Scope::ConversationsRead,
        behind: |cx, after, limit| Ok(store::exports::messages(cx.conn, after, limit)?),
        named: |cx, events| {
            let mut ids: BTreeSet<i64> =
                events.iter().filter_map(|event| event.message_id).map(|id| id.0).collect();
            let purged = events.iter().filter(|event| is_one_of(event, &[EventType::ConversationPurged]));
            let gone: Vec<i64> = purged.flat_map(|event| event.numbers("message_ids")).collect();
            let whole = [EventType::ConversationMerged, EventType::ConversationSeparated];
            let moved: HashSet<ConversationId> = events
                .iter()
                .filter(|event| is_one_of(event, &whole))
                .filter_map(|event| event.conversation_id)
                .collect();
            // A conversation may have any number of messages, and a page may not.
            let mut room = i64::from(MOST);
            for conversation in moved {
                let theirs = store::exports::messages_of(cx.conn, conversation, room + 1)?;
                room -= theirs.len() as i64;
                if room < 0 {
                    return Ok(Named { ids, gone, is_all: true });
                }
                ids.extend(theirs);
            }
            Ok(Named { ids, gone, is_all: false })
        },
        read: |cx, ids| {
            let ids: Vec<MessageId> = ids.iter().copied().map(MessageId).collect();
            let found = store::messages::find_many(cx.conn, &ids)?;
            Ok(messages::cards(cx, found)?.into_iter().map(|card| (card.message.id.0, card)).collect())
        },
    };
    noun.page(cx, place, limit)
}

/// Customers. As [`conversations`].
pub fn customers(cx: &mut Cx<'_>, place: Option<Place>, limit: u16) -> Result<Exported<CustomerCard>, Error> {
    let noun = Noun {
        name: "customers",
        scope: Scope::CustomersRead,
        behind: |cx, after, limit| Ok(store::exports::customers(cx.conn, after, limit)?),
        named: |_, events| {
            // The values of a field that is no more go with it, and no customer is named then.
            let is_all = events.iter().any(|event| is_one_of(event, &[EventType::CustomFieldDeleted]));
            let ids = events.iter().filter_map(|event| event.customer_id).map(|id| id.0).collect();
            Ok(Named { ids, gone: Vec::new(), is_all })
        },
        read: |cx, ids| {
            let ids: Vec<CustomerId> = ids.iter().copied().map(CustomerId).collect();
            Ok(customers::of(cx, &ids)?.into_iter().map(|card| (card.customer.id.0, card)).collect())
        },
    };
    noun.page(cx, place, limit)
}

/// The event log itself, from the oldest row that is kept: what belongs to a conversation is kept as long as that is, beyond
/// what the feed still has. As [`conversations`], but that nothing of it changes.
pub fn activity(cx: &mut Cx<'_>, place: Option<Place>, limit: u16) -> Result<Exported<Event>, Error> {
    may_export(cx, Scope::EventsRead)?;
    let seq = match place {
        None => {
            begin(cx, "activity");
            0
        }
        Some(Place::Walk { start: seq, .. } | Place::Follow { seq }) => {
            require_known(cx, seq)?;
            seq
        }
    };
    let rows = store::exports::events(cx.conn, seq, i64::from(limit))?;
    let next = Place::Follow { seq: rows.last().map_or(seq, |event| event.seq) };
    Ok(Exported { is_end: rows.len() < usize::from(limit), rows, gone: Vec::new(), next })
}

fn may_export(cx: &Cx<'_>, scope: Scope) -> Result<(), Error> {
    cx.access().require(Scope::ExportRead)?;
    cx.access().require(scope)?;
    require_whole_sight(cx)
}

fn begin(cx: &mut Cx<'_>, name: &'static str) {
    audit::note(cx, NewNote::new(AuditKind::ExportBegun).with("of", name));
}

impl<T> Noun<T> {
    fn page(&self, cx: &mut Cx<'_>, place: Option<Place>, limit: u16) -> Result<Exported<T>, Error> {
        may_export(cx, self.scope)?;
        match place {
            None => {
                begin(cx, self.name);
                // Before the first row is read: what is committed later stands behind it.
                let start = store::events::last_seq(cx.conn)?;
                self.walk(cx, start, 0, limit)
            }
            Some(Place::Walk { start, after }) => {
                require_kept(cx, start)?;
                self.walk(cx, start, after, limit)
            }
            Some(Place::Follow { seq }) => {
                require_kept(cx, seq)?;
                self.follow(cx, seq, limit)
            }
        }
    }

    fn walk(&self, cx: &mut Cx<'_>, start: i64, after: i64, limit: u16) -> Result<Exported<T>, Error> {
        let ids = (self.behind)(cx, after, i64::from(limit))?;
        let rows = (self.read)(cx, &ids)?.into_iter().map(|(_, row)| row).collect();
        let (next, is_end) = match ids.last() {
            Some(last) if ids.len() == usize::from(limit) => (Place::Walk { start, after: *last }, false),
            _ => (Place::Follow { seq: start }, store::events::last_seq(cx.conn)? == start),
        };
        Ok(Exported { rows, gone: Vec::new(), next, is_end })
    }

    fn follow(&self, cx: &mut Cx<'_>, seq: i64, limit: u16) -> Result<Exported<T>, Error> {
        let events = store::exports::events(cx.conn, seq, i64::from(limit))?;
        let seen = events.last().map_or(seq, |event| event.seq);
        let Named { ids, mut gone, is_all } = (self.named)(cx, &events)?;
        let ids: Vec<i64> = ids.into_iter().collect();
        let found = (self.read)(cx, &ids)?;
        let there: HashSet<i64> = found.iter().map(|(id, _)| *id).collect();
        gone.extend(ids.into_iter().filter(|id| !there.contains(id)));
        gone.sort_unstable();
        gone.dedup();
        Ok(Exported {
            rows: found.into_iter().map(|(_, row)| row).collect(),
            gone,
            next: if is_all { Place::Walk { start: seen, after: 0 } } else { Place::Follow { seq: seen } },
            is_end: !is_all && events.len() < usize::from(limit),
        })
    }
}

fn is_one_of(event: &Event, kinds: &[EventType]) -> bool {
    kinds.iter().any(|kind| kind.as_str() == event.kind)
}

/// Fails where the log doesn't tell all that changed since an event.
fn require_kept(cx: &mut Cx<'_>, seq: i64) -> Result<(), Error> {
    if seq < events::floor(cx)? {
        return Err(Error::ExportExpired);
    }
    require_known(cx, seq)
}

/// Fails where the desk was restored from a backup that didn't know an event. Numbers are never given twice, so that
/// such an event is missing.
fn require_known(cx: &mut Cx<'_>, seq: i64) -> Result<(), Error> {
    let is_there = seq == 0 || store::exports::is_event(cx.conn, seq)?;
    if !is_there && store::exports::is_restored_since(cx.conn, seq)? {
        return Err(Error::ExportExpired);
    }
    Ok(())
}
