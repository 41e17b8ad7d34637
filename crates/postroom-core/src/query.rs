//! The language in which conversations are asked for: `is:open assignee:me tag:billing -tag:spam late order`.
//! Lists, views, rules and bulk selections share it. Here is what a query means; `parse` reads one, printing
//! writes it, and the store makes conditions of it.

use crate::conversation::{Channel, Priority, Status, WaitingOn};
use crate::fulltext::Phrase;
use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, TeamId};
use crate::text::fold;
use crate::time::Timestamp;
use crate::word::words;
use std::fmt::{self, Write as _};
use std::time::Duration;

mod field;
mod parse;
#[cfg(test)]
mod tests;

pub use field::{FieldMatch, FieldTerm, FieldTest, FieldValue, Settled};
pub use parse::{FIELDS, parse};

/// The longest query, in characters.
pub const QUERY_CHARS: usize = 2_000;
/// The most terms of one query.
pub const TERMS: usize = 20;
/// The most values of one term.
pub const VALUES: usize = 100;

/// What is asked for: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// In the order they were written.
    pub terms: Vec<Term>,
}

/// One condition, or that it does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// A minus stands before it.
    pub is_negated: bool,
    /// What must hold, or must not.
    pub condition: Condition,
}

/// What can be asked of a conversation. Of several values any one will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `id:1234`
    Id(Vec<ConversationId>),
    /// `is:open,pending`
    Status(Vec<Status>),
    /// `is:trash`: those in the trash, which are found by nothing else. It stands alone in its term.
    Trash,
    /// `is:unread`: with something that whoever asks has not read. It stands alone in its term.
    Unread,
    /// `priority:high,urgent`; `priority:>=high` is the same.
    Priority(Vec<Priority>),
    /// `channel:email`
    Channel(Vec<Channel>),
    /// `waiting_on:us`
    WaitingOn(Vec<WaitingOn>),
    /// `mailbox:1`
    Mailbox(Vec<MailboxId>),
    /// `assignee:me,7`
    Assignee(Vec<Whom>),
    /// `follower:me,7`: who follows it.
    Follower(Vec<Whom>),
    /// `team:3,none`
    Team(Vec<Option<TeamId>>),
    /// `category:3,none`
    Category(Vec<Option<CategoryId>>),
    /// `customer:77`
    Customer(Vec<CustomerId>),
    /// `from:ada@example.org`, or `from:@example.org` for a whole domain: whose conversation it is.
    From(Vec<String>),
    /// `tag:billing`, whatever its case.
    Tag(Vec<String>),
    /// `has:attachment`
    Has(Vec<Has>),
    /// `created:>=2026-01-01`, `updated:<-7d`, `closed:2026-01-01..2026-01-31`
    Time(TimeField, Span),
    /// `late`, `"late order"`, `subject:late`, `file:bill.pdf`
    Text(Place, Text),
    /// `field.order_no:881`, `customer.plan:paid`, `has:field.order_no`
    Field(FieldTerm),
}

/// Who takes care of a conversation, or follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Whoever asks.
    Me,
    /// Nobody.
    Nobody,
    /// This agent.
    Agent(AgentId),
}

words! {
    /// What a conversation may have.
    pub enum Has {
        /// A file that is no picture within a text.
        Attachment = "attachment",
        /// Somebody who takes care of it.
        Assignee = "assignee",
        /// A team that does.
        Team = "team",
        /// A category.
        Category = "category",
        /// A tag.
        Tag = "tag",
    }

    /// A time of a conversation.
    pub enum TimeField {
        /// When it began.
        Created = "created",
        /// When it last changed.
        Updated = "updated",
        /// When it was closed.
        Closed = "closed",
        /// When its newest message came.
        LastMessage = "last_message",
        /// Since when it waits.
        Waiting = "waiting",
    }
}

/// Where words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In subject, texts, names and addresses of people, names of files.
    Anywhere,
    /// In the subject.
    Subject,
    /// In the names of files.
    File,
}

/// Words that are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// As they were written, without quotes. There is at least one letter or digit.
    pub text: String,
    /// They stood in quotes: nothing may follow on the last word.
    pub is_exact: bool,
}

/// A stretch of time; at least one end is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Then or later.
    pub since: Option<Moment>,
    /// Before that.
    pub before: Option<Moment>,
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// So many minutes before it is asked.
    MinutesAgo(u32),
}

impl Moment {
    /// The point in time, asked `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::MinutesAgo(minutes) => now.minus(Duration::from_secs(u64::from(minutes) * 60)),
        }
    }
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {detail}")]
pub struct QueryError {
    /// Where: the first character is 1.
    pub position: usize,
    /// A sentence.
    pub detail: String,
    /// What could stand there instead, where that can be told.
    pub accepted: Vec<String>,
}

impl Query {
    /// Has every term that names a tag, whatever its case, name another one in its place. Says whether any did.
    pub fn rename_tag(&mut self, from: &str, to: &str) -> bool {
        let mut any = false;
        for term in &mut self.terms {
            let Condition::Tag(names) = &mut term.condition else { continue };
            for name in names.iter_mut().filter(|name| fold(name) == fold(from)) {
                to.clone_into(name);
                any = true;
            }
        }
        any
    }

    /// Whether it asks for what is the caller's own.
    pub fn asks_for_me(&self) -> bool {
        self.terms.iter().any(|term| match &term.condition {
            Condition::Assignee(whom) | Condition::Follower(whom) => whom.contains(&Whom::Me),
            Condition::Unread => true,
            _ => false,
        })
    }

    /// Whether it looks for words.
    pub fn looks_for_words(&self) -> bool {
        self.terms.iter().any(|term| !term.is_negated && matches!(term.condition, Condition::Text(..)))
    }

    /// Whether it asks for what is in the trash.
    pub fn asks_for_trash(&self) -> bool {
        self.terms.iter().any(|term| !term.is_negated && term.condition == Condition::Trash)
    }

    /// The words it looks for, and where.
    pub fn phrases(&self) -> Vec<(Place, Phrase)> {
        let sought = self.terms.iter().filter(|term| !term.is_negated);
        let each = sought.filter_map(|term| match &term.condition {
            Condition::Text(place, text) => Some((*place, Phrase::of(&text.text, text.is_exact)?)),
            _ => None,
        });
        each.collect()
    }

    /// Whether what fits depends on when it is asked: `created:<2d`.
    pub fn asks_for_ago(&self) -> bool {
        self.terms.iter().any(|term| match &term.condition {
            Condition::Time(_, span) => {
                [span.since, span.before].iter().flatten().any(|end| matches!(end, Moment::MinutesAgo(_)))
            }
            _ => false,
        })
    }

    /// The same with every time as a point in time, asked `now`.
    #[must_use]
    pub fn asked_at(mut self, now: Timestamp) -> Self {
        for term in &mut self.terms {
            if let Condition::Time(_, span) = &mut term.condition {
                for end in [&mut span.since, &mut span.before].into_iter().flatten() {
                    *end = Moment::At(end.at(now));
                }
            }
        }
        self
    }
}

impl std::str::FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        parse(text)
    }
}

/// As it is read again: [`parse`] of what is written here is the same query.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negated {
            f.write_char('-')?;
        }
        match &self.condition {
            Condition::Id(all) => list(f, "id", all),
            Condition::Status(all) => list(f, "is", all),
            Condition::Trash => f.write_str("is:trash"),
            Condition::Unread => f.write_str("is:unread"),
            Condition::Priority(all) => list(f, "priority", all),
            Condition::Channel(all) => list(f, "channel", all),
            Condition::WaitingOn(all) => list(f, "waiting_on", all),
            Condition::Mailbox(all) => list(f, "mailbox", all),
            Condition::Assignee(all) => list(f, "assignee", all),
            Condition::Follower(all) => list(f, "follower", all),
            Condition::Team(all) => list(f, "team", &or_none(all)),
            Condition::Category(all) => list(f, "category", &or_none(all)),
            Condition::Customer(all) => list(f, "customer", all),
            Condition::From(all) => list(f, "from", &all.iter().map(|one| quoted(one)).collect::<Vec<_>>()),
            Condition::Tag(all) => list(f, "tag", &all.iter().map(|one| quoted(one)).collect::<Vec<_>>()),
            Condition::Has(all) => list(f, "has", all),
            Condition::Time(field, span) => write!(f, "{field}:{span}"),
            Condition::Field(term) => term.fmt(f),
            Condition::Text(place, text) => {
                match place {
                    Place::Anywhere => {}
                    Place::Subject => f.write_str("subject:")?,
                    Place::File => f.write_str("file:")?,
                }
                if text.is_exact { f.write_str(&quoted(&text.text)) } else { f.write_str(&text.text) }
            }
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, field: &str, all: &[T]) -> fmt::Result {
    write!(f, "{field}:")?;
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write!(f, "{one}")?;
    }
    Ok(())
}

fn or_none<T: fmt::Display>(all: &[Option<T>]) -> Vec<String> {
    all.iter().map(|one| one.as_ref().map_or_else(|| "none".to_owned(), T::to_string)).collect()
}

/// In quotes, with a backslash before what would end them.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("me"),
            Self::Nobody => f.write_str("none"),
            Self::Agent(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.since, self.before) {
            (Some(since), None) => write!(f, ">={since}"),
            (None, Some(before)) => write!(f, "<{before}"),
            (Some(since), Some(before)) => {
                // A range holds its last moment.
                let last = match before {
                    Moment::At(at) => Moment::At(Timestamp(at.0.saturating_sub(1))),
                    ago @ Moment::MinutesAgo(_) => ago,
                };
                write!(f, "{since}..{last}")
            }
            (None, None) => f.write_str("*..*"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::MinutesAgo(minutes) => write!(f, "-{minutes}m"),
        }
    }
}
