//! Where in a conversation the words stand that were looked for: short excerpts to show beside it.
//!
//! Looking is bounded, however long the conversations of a page are: of each the first stretch that the full-text
//! index found, of that the beginnings of its messages. So an excerpt may be missing where a conversation was found
//! by what stands far behind.

use crate::conversation::{Conversation, Highlight, HighlightField};
use crate::cx::Cx;
use crate::fulltext::{Phrase, find};
use crate::id::{ConversationId, CustomerId, MessageId};
use crate::query::{Place, Query};
use crate::store::search::Wanted;
use crate::store::searchable::Beginning;
use crate::{Error, store};
use std::collections::HashMap;
use std::ops::Range;

/// Excerpts of one conversation at the most.
const EXCERPTS: usize = 5;
/// Of these from messages.
const OF_MESSAGES: usize = 3;
/// Characters of an excerpt at the most, and before its first find.
const LONGEST: usize = 200;
const BEFORE: usize = 60;
/// Messages that are looked through for a page, and characters of each.
const MESSAGES: i64 = 2_000;
const CHARACTERS: i32 = 16_000;
/// Stretches of one conversation that the index is asked about.
const STRETCHES: usize = 50;

/// Excerpts from these conversations, which the caller has found by this query.
pub fn highlights(
    cx: &mut Cx<'_>,
    query: &Query,
    of: &[&Conversation],
) -> Result<HashMap<ConversationId, Vec<Highlight>>, Error> {
    let sought = query.phrases();
    if sought.is_empty() || of.is_empty() {
        return Ok(HashMap::new());
    }
    let at = |place: Place| -> Vec<Phrase> {
        let own = sought.iter().filter(|(one, _)| *one == Place::Anywhere || *one == place);
        own.map(|(_, phrase)| phrase.clone()).collect()
    };
    let (in_subject, in_files, anywhere) = (at(Place::Subject), at(Place::File), at(Place::Anywhere));
    let mut found: HashMap<ConversationId, Vec<Highlight>> = HashMap::new();
    let people = people(cx, of)?;
    for one in of {
        let own = found.entry(one.id).or_default();
        own.extend(excerpt(HighlightField::Subject, None, &one.subject, &in_subject));
        let theirs = people.get(&one.customer_id).into_iter().flatten();
        own.extend(theirs.filter_map(|text| excerpt(HighlightField::Person, None, text, &anywhere)).take(1));
    }
    let messages = beginnings(cx, Wanted::new(sought), of)?;
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let files = store::searchable::files(cx.conn, &ids)?;
    let mut texts: HashMap<ConversationId, usize> = HashMap::new();
    for message in messages {
        let own = found.entry(message.conversation_id).or_default();
        let seen = texts.entry(message.conversation_id).or_default();
        if *seen < OF_MESSAGES
            && let Some(text) =
                excerpt(HighlightField::Message, Some(message.id), &message.content, &anywhere)
        {
            own.push(text);
            *seen += 1;
        }
        let writer = message.author_name.into_iter().chain(message.sender.map(|sender| sender.email));
        let has_person = own.iter().any(|one| one.field == HighlightField::Person);
        if !has_person {
            own.extend(
                writer
                    .filter_map(|text| excerpt(HighlightField::Person, Some(message.id), &text, &anywhere))
                    .take(1),
            );
        }
        let names = files.get(&message.id).into_iter().flatten();
        own.extend(names.filter_map(|name| excerpt(HighlightField::File, Some(message.id), name, &in_files)));
        own.truncate(EXCERPTS);
    }
    Ok(found)
}

/// Names and addresses of whose the conversations are.
fn people(cx: &mut Cx<'_>, of: &[&Conversation]) -> Result<HashMap<CustomerId, Vec<String>>, Error> {
    let mut ids: Vec<CustomerId> = of.iter().map(|one| one.customer_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut people: HashMap<CustomerId, Vec<String>> = HashMap::new();
    for customer in store::customers::find_many(cx.conn, &ids)? {
        people.entry(customer.id).or_default().extend(customer.name);
    }
    for address in store::customers::addresses(cx.conn, &ids)? {
        people.entry(address.customer_id).or_default().push(address.email);
    }
    Ok(people)
}

/// How the messages begin of the first stretch of each conversation in which everything was found.
fn beginnings(cx: &mut Cx<'_>, wanted: Wanted, of: &[&Conversation]) -> Result<Vec<Beginning>, Error> {
    let ids: Vec<ConversationId> = of.iter().map(|one| one.id).collect();
    let mut stretches: HashMap<ConversationId, Vec<(i32, MessageId)>> = HashMap::new();
    for (id, chunk, first) in store::search::chunks(cx.conn, &ids)? {
        stretches.entry(id).or_default().push((chunk, first));
    }
    let asked: Vec<(ConversationId, i32)> = stretches
        .iter()
        .flat_map(|(id, all)| all.iter().take(STRETCHES).map(|(chunk, _)| (*id, *chunk)))
        .collect();
    let matching = store::search::chunks_among(cx.conn, &wanted, &asked)?;
    let between = stretches.iter().filter_map(|(id, all)| {
        let at = all.iter().position(|(chunk, _)| matching.contains(&(*id, *chunk)))?;
        // A stretch that begins in the midst of a message has no first one of its own.
        let from = all.iter().take(at + 1).rev().map(|(_, first)| *first).find(|first| first.0 > 0)?;
        let next = all.iter().skip(at + 1).map(|(_, first)| *first).find(|first| first.0 > 0);
        Some((*id, from, next.unwrap_or(MessageId(i64::MAX))))
    });
    let between: Vec<_> = between.collect();
    Ok(store::searchable::beginnings(cx.conn, &between, MESSAGES, CHARACTERS)?)
}

/// A piece of a text around the first words that were looked for; `None`: none of them stands there.
fn excerpt(
    field: HighlightField,
    message_id: Option<MessageId>,
    text: &str,
    phrases: &[Phrase],
) -> Option<Highlight> {
    let found = find(text, phrases);
    let first = found.first()?;
    let start = cut_before(text, first.start);
    let end = text[start..].char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| start + at);
    let piece = &text[start..end];
    let ranges: Vec<Range<usize>> = found
        .iter()
        .filter(|range| range.end <= end)
        .map(|range| range.start - start..range.end - start)
        .collect();
    // One sign for each, so that the places stay right.
    let piece = piece.chars().map(|c| if c.is_control() && c.len_utf8() == 1 { ' ' } else { c }).collect();
    Some(Highlight { field, message_id, text: piece, ranges })
}

/// Where an excerpt begins: at a word not far before this place.
fn cut_before(text: &str, place: usize) -> usize {
    let Some((at, _)) = text[..place].char_indices().rev().nth(BEFORE - 1) else { return 0 };
    let blank = text[at..place].char_indices().find(|(_, c)| c.is_whitespace());
    blank.map_or(at, |(index, c)| at + index + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(text: &str, asked: &str) -> Option<(String, Vec<String>)> {
        let phrase = Phrase::of(asked, false).expect("there is a word");
        let found = excerpt(HighlightField::Message, None, text, &[phrase])?;
        let words = found.ranges.iter().map(|range| found.text[range.clone()].to_owned()).collect();
        Some((found.text, words))
    }

    #[test]
    fn an_excerpt_stands_around_what_was_found() {
        assert_eq!(
            marked("Where is\nmy Größe, the größe?", "grosse"),
            Some(("Where is my Größe, the größe?".to_owned(), vec!["Größe".to_owned(), "größe".to_owned()]))
        );
        assert_eq!(marked("nothing", "grosse"), None);
        let long = format!("{} zahnrad {}", "vor ".repeat(100), "nach ".repeat(100));
        let (text, words) = marked(&long, "zahnrad").unwrap();
        assert!(text.starts_with("vor vor ") && text.contains(" zahnrad nach "), "{text}");
        assert_eq!((words, text.chars().count()), (vec!["zahnrad".to_owned()], LONGEST));
        // What has no gaps is cut anywhere.
        let (text, words) = marked(&format!("{}番号{}", "文".repeat(500), "文".repeat(500)), "番号").unwrap();
        assert_eq!((words, text.chars().count()), (vec!["番号".to_owned()], LONGEST));
    }

    proptest! {
        #[test]
        fn places_are_always_in_the_excerpt(text in "\\PC{0,300}", asked in "\\PC{1,5}") {
            if let Some(phrase) = Phrase::of(&asked, false)
                && let Some(found) = excerpt(HighlightField::Message, None, &text, &[phrase])
            {
                prop_assert!(found.text.chars().count() <= LONGEST);
                for range in found.ranges {
                    prop_assert!(found.text.get(range).is_some_and(|piece| !piece.is_empty()));
                }
            }
        }
    }
}
