//! The full-text index is kept in the transaction of each change, by what the transaction tells: whatever
//! changes a conversation's words is an event, and each conversation is put in once, however much came.
//!
//! A conversation stands in the index as chunks of some 4,000 words, so that words of two messages are found
//! together, and one more message costs a chunk and not the whole of a conversation of thousands.

use crate::cx::Cx;
use crate::event::{EventType, NewEvent};
use crate::fulltext::words;
use crate::id::{ConversationId, CustomerId, MessageId};
use crate::store::search::{BORDER, CHUNKS, Chunk};
use crate::store::searchable::Searchable;
use crate::{Error, store};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A chunk that has so many words of texts is full: the next message begins another.
const FULL: usize = 4_000;
/// The most words of one chunk: a longer message is cut. PostgreSQL has places for 16,383.
const LONGEST: usize = 12_000;
/// Stands for the first message of a chunk that begins in the midst of one.
const MIDST: MessageId = MessageId(0);
/// People of one message that are put in.
const PEOPLE: usize = 50;
/// So many conversations of a customer are put in anew in the transaction that changes their name; the
/// house-keeper puts in the others.
const AT_ONCE: usize = 100;

/// From where on a conversation is put in anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Beginning,
    Message(MessageId),
}

/// Puts into the index what a transaction told of.
pub(crate) fn keep(cx: &mut Cx<'_>, told: &[NewEvent]) -> Result<(), Error> {
    let mut changed: BTreeMap<ConversationId, From> = BTreeMap::new();
    let mut customers: BTreeSet<CustomerId> = BTreeSet::new();
    for event in told {
        if event.kind == EventType::CustomerUpdated && renames(event) {
            customers.extend(event.about.customer_id);
        }
        if let (Some(id), Some(from)) = (event.about.conversation_id, begins(event)) {
            let before = changed.entry(id).or_insert(from);
            *before = from.min(*before);
        }
    }
    for customer in customers {
        let mut theirs = store::searchable::of_customer(cx.conn, customer)?;
        let rest = theirs.split_off(theirs.len().min(AT_ONCE));
        store::search::note_stale(cx.conn, &rest)?;
        changed.extend(theirs.into_iter().map(|id| (id, From::Beginning)));
    }
    put(cx, &changed)
}

/// Puts conversations into the index that could not be at once. Says how many.
pub fn catch_up(cx: &mut Cx<'_>) -> Result<usize, Error> {
    let stale = store::search::take_stale(cx.conn, 100)?;
    put(cx, &stale.iter().map(|id| (*id, From::Beginning)).collect())?;
    Ok(stale.len())
}

/// Has the whole index made anew by [`catch_up`], whoever calls it: until then what is in it is found as before.
/// Says of how many conversations.
pub fn renew(cx: &mut Cx<'_>) -> Result<usize, Error> {
    Ok(store::search::note_all_stale(cx.conn)?)
}

/// Whether an event changes what a customer is found by.
fn renames(event: &NewEvent) -> bool {
    let changed = event.data.get("changed").and_then(|changed| changed.as_array());
    changed.is_some_and(|all| all.iter().any(|one| one == "name" || one == "addresses"))
}

/// From where on an event changes what its conversation is found by; `None`: it doesn't.
fn begins(event: &NewEvent) -> Option<From> {
    match event.kind {
        EventType::MessageReceived
        | EventType::MessageQueued
        | EventType::MessageNoteAdded
        | EventType::MessageDraftSaved
        | EventType::MessageDraftDeleted
        | EventType::MessageHeld
        | EventType::MessageScheduled
        | EventType::MessageCancelled
        | EventType::MessageCompleted
        | EventType::MessageReparsed => Some(event.about.message_id.map_or(From::Beginning, From::Message)),
        // A copy from a Sent folder, or history: what left from here was put in when it was queued.
        EventType::MessageSent
            if event.data.contains_key("folder") || event.data.contains_key("imported") =>
        {
            Some(event.about.message_id.map_or(From::Beginning, From::Message))
        }
        EventType::ConversationCreated
        | EventType::ConversationMerged
        | EventType::ConversationSeparated
        | EventType::MessageMoved => Some(From::Beginning),
        EventType::ConversationUpdated => {
            let changes = event.data.get("changes");
            changes.is_some_and(|changes| changes.get("subject").is_some()).then_some(From::Beginning)
        }
        _ => None,
    }
}

fn put(cx: &mut Cx<'_>, changed: &BTreeMap<ConversationId, From>) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<ConversationId> = changed.keys().copied().collect();
    let mut places: HashMap<ConversationId, Vec<(i32, MessageId)>> = HashMap::new();
    for (id, chunk, first) in store::search::chunks(cx.conn, &ids)? {
        places.entry(id).or_default().push((chunk, first));
    }
    // What is put in from the beginning is read together, of others only the messages that are needed.
    let mut begins: HashMap<ConversationId, (i32, MessageId)> = HashMap::new();
    for (id, from) in changed {
        if let (From::Message(message), Some(places)) = (from, places.get(id))
            && let Some(place) = places.iter().rfind(|(_, first)| *first > MIDST && first <= message)
            && place.0 > 0
        {
            begins.insert(*id, *place);
        }
    }
    let whole: Vec<ConversationId> = ids.iter().copied().filter(|id| !begins.contains_key(id)).collect();
    let mut messages: HashMap<ConversationId, Vec<Searchable>> = HashMap::new();
    for message in store::searchable::all(cx.conn, &whole)? {
        messages.entry(message.conversation_id).or_default().push(message);
    }
    for (id, (_, first)) in &begins {
        messages.insert(*id, store::searchable::since(cx.conn, *id, *first, i64::MAX)?);
    }
    let numbers: Vec<MessageId> = messages.values().flatten().map(|message| message.id).collect();
    let files = store::searchable::files(cx.conn, &numbers)?;
    let heads = store::searchable::heads(cx.conn, &ids)?;
    let mut customers: Vec<CustomerId> = heads.iter().map(|(_, _, customer)| *customer).collect();
    customers.sort_unstable();
    customers.dedup();
    let people = people(cx, &customers)?;
    let is_there: HashSet<ConversationId> = places.keys().copied().collect();
    let mut chunks = Vec::new();
    for (id, subject, customer) in heads {
        let first = begins.get(&id).map_or(0, |(chunk, _)| *chunk);
        if is_there.contains(&id) {
            store::search::remove_from(cx.conn, id, first)?;
        }
        let none = Vec::new();
        let head = Head { id, subject: &subject, people: people.get(&customer).unwrap_or(&none) };
        chunks.extend(head.chunks(first, messages.get(&id).unwrap_or(&Vec::new()), &files));
    }
    Ok(store::search::insert(cx.conn, &chunks)?)
}

/// The names and addresses of customers.
fn people(cx: &mut Cx<'_>, of: &[CustomerId]) -> Result<HashMap<CustomerId, Vec<String>>, Error> {
    let mut people: HashMap<CustomerId, Vec<String>> = HashMap::new();
    for customer in store::customers::find_many(cx.conn, of)? {
        people.entry(customer.id).or_default().extend(customer.name);
    }
    for address in store::customers::addresses(cx.conn, of)? {
        people.entry(address.customer_id).or_default().push(address.email);
    }
    Ok(people)
}

/// What stands in every chunk of a conversation.
struct Head<'a> {
    id: ConversationId,
    subject: &'a str,
    people: &'a [String],
}

/// A chunk that is being filled.
struct Filling {
    chunk: Chunk,
    people: HashSet<String>,
    count: usize,
    /// It begins in the midst of a message: the next one begins another, from which on can be put in anew.
    is_rest: bool,
}

impl Head<'_> {
    fn begin(&self, number: i32, first: MessageId) -> Filling {
        let mut chunk = Chunk {
            conversation_id: Some(self.id),
            chunk: number,
            first_message_id: Some(first),
            ..Chunk::default()
        };
        add(&mut chunk.subject, self.subject);
        let mut filling = Filling { chunk, people: HashSet::new(), count: 0, is_rest: first == MIDST };
        for person in self.people {
            filling.person(person);
        }
        filling
    }

    /// The chunks of a conversation from `number` on, which is where these messages begin.
    fn chunks(
        &self,
        number: i32,
        messages: &[Searchable],
        files: &HashMap<MessageId, Vec<String>>,
    ) -> Vec<Chunk> {
        let mut done = Vec::new();
        let first = messages.first().map_or(MIDST, |message| message.id);
        let mut filling = self.begin(number, first);
        filling.is_rest = false;
        for (index, message) in messages.iter().enumerate() {
            if filling.count >= FULL || filling.is_rest {
                let next = self.begin(filling.chunk.chunk + 1, message.id);
                done.push(std::mem::replace(&mut filling, next).chunk);
            }
            filling.of_message(message, files);
            // What a later message quotes stands in the ones before it; what the first one quotes doesn't.
            let is_first = number == 0 && index == 0;
            let new = message.reply_content.as_ref().filter(|_| !is_first);
            words(new.unwrap_or(&message.content), |word| {
                if filling.count >= LONGEST {
                    let next = self.begin(filling.chunk.chunk + 1, MIDST);
                    done.push(std::mem::replace(&mut filling, next).chunk);
                }
                push(&mut filling.chunk.content, &word.folded);
                filling.count += 1;
            });
            push(&mut filling.chunk.content, BORDER.encode_utf8(&mut [0; 4]));
        }
        done.push(filling.chunk);
        done.retain(|chunk| chunk.chunk < CHUNKS);
        done
    }
}

impl Filling {
    /// Who wrote a message, who got it, and what it brought.
    fn of_message(&mut self, message: &Searchable, files: &HashMap<MessageId, Vec<String>>) {
        if let Some(name) = &message.author_name {
            self.person(name);
        }
        let to = [&message.recipients.to, &message.recipients.cc, &message.recipients.bcc];
        let all = message.sender.iter().map(|sender| &**sender).chain(to.into_iter().flatten());
        for address in all.take(PEOPLE) {
            if let Some(name) = &address.name {
                self.person(name);
            }
            self.person(&address.email);
        }
        for name in files.get(&message.id).into_iter().flatten() {
            add(&mut self.chunk.files, name);
        }
    }

    fn person(&mut self, text: &str) {
        if self.people.insert(crate::text::fold(text)) {
            add(&mut self.chunk.people, text);
        }
    }
}

/// Adds the words of a text, and a border behind them.
fn add(to: &mut String, text: &str) {
    words(text, |word| push(to, &word.folded));
    push(to, BORDER.encode_utf8(&mut [0; 4]));
}

fn push(to: &mut String, word: &str) {
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(word);
}
