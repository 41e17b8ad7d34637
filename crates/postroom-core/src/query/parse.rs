//! Reads a query. What is not understood is an error that says where and what could stand there: a condition
//! that is passed over shows more than was asked for.

use super::{
    Condition, FieldTerm, FieldTest, FieldValue, Has, Moment, Place, QUERY_CHARS, Query, QueryError, Span,
    TERMS, Term, Text, TimeField, VALUES, Whom,
};
use crate::conversation::{Priority, Status};
use crate::custom_field::FieldObject;
use crate::fulltext::Phrase;
use crate::id::{AgentId, CategoryId, ConversationId, CustomerId, MailboxId, TeamId};
use crate::time::Timestamp;
use std::str::FromStr;
use std::time::Duration;

/// The fields there are, each with what may stand behind it.
pub const FIELDS: [(&str, &str); 23] = [
    ("is", "open, pending, snoozed, closed, spam, or trash or unread alone"),
    ("assignee", "me, none, or the number of an agent"),
    ("follower", "me, none, or the number of an agent"),
    ("team", "none, or the number of a team"),
    ("category", "none, or the number of a category"),
    ("mailbox", "the number of a mailbox"),
    ("customer", "the number of a customer"),
    ("from", "the customer's address, or @ and a domain"),
    ("tag", "the name of a tag"),
    ("priority", "low, normal, high, urgent; also >=high and the like"),
    ("channel", "email, form, api, chat, phone, sms, social"),
    ("waiting_on", "us, customer, third_party"),
    ("has", "attachment, assignee, team, category, tag; or, alone, field.KEY or customer.KEY"),
    ("subject", "words of the subject"),
    ("file", "words of a file's name"),
    ("id", "the number of a conversation"),
    ("created", TIMES),
    ("updated", TIMES),
    ("closed", TIMES),
    ("last_message", TIMES),
    ("waiting", TIMES),
    ("field.KEY", FIELD_VALUES),
    ("customer.KEY", FIELD_VALUES),
];

/// What may stand behind the key of a custom field.
const FIELD_VALUES: &str = "a value of the custom field; of numbers and days also >10, <=2026-01-31, 10..20";

/// What a time may look like.
const TIMES: &str = "2026-01-31, >=2026-01-31, <2026-01-31T08:00:00Z, 2026-01-01..2026-01-31, >=-7d";

/// What may follow on the name of a custom field that is asked for a value.
const FIELD_SIGNS: &[char] = &[':', '=', '<', '>'];
/// What may follow on it where it is asked whether there is one.
const FIELD_ENDS: &[char] = &[' ', ','];

/// What is behind `is:` and is no state.
const ALONE: [(&str, Condition); 2] = [("trash", Condition::Trash), ("unread", Condition::Unread)];

/// Words that may come to join conditions one day: nobody's query is to change its meaning then.
const RESERVED: [&str; 3] = ["AND", "OR", "NOT"];

/// A query out of text; an empty one asks for everything.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let length = text.chars().count();
    if length > QUERY_CHARS {
        let detail = format!("a query has at most {QUERY_CHARS} characters, and this one {length}");
        return Err(QueryError { position: QUERY_CHARS + 1, detail, accepted: Vec::new() });
    }
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    let mut terms = Vec::new();
    loop {
        while reader.peek().is_some_and(char::is_whitespace) {
            reader.at += 1;
        }
        if reader.peek().is_none() {
            return Ok(Query { terms });
        }
        if terms.len() == TERMS {
            return Err(fault(reader.at, format!("a query has at most {TERMS} terms")));
        }
        terms.push(reader.term()?);
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

/// A value, where it stands, and whether it was in quotes.
struct Value {
    text: String,
    at: usize,
    is_quoted: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        let is_negated = self.peek() == Some('-');
        if is_negated {
            self.at += 1;
        }
        let begin = self.at;
        if self.peek().is_none_or(char::is_whitespace) {
            return Err(fault(
                begin - usize::from(is_negated),
                "a minus stands right before what must not be",
            ));
        }
        let name: String =
            self.chars[begin..].iter().take_while(|c| c.is_ascii_alphabetic() || **c == '_').collect();
        let condition = if let Some((object, key, length)) = self.custom_field(begin, FIELD_SIGNS) {
            self.at = begin + length;
            // `field.amount>10` is the same as `field.amount:>10`.
            self.at += usize::from(matches!(self.peek(), Some(':' | '=')));
            Condition::Field(FieldTerm::new(object, key, self.field_test()?, begin))
        } else if !name.is_empty() && self.chars.get(begin + name.len()) == Some(&':') {
            self.at = begin + name.len() + 1;
            self.field(&name.to_ascii_lowercase(), begin)?
        } else {
            let value = self.one(false)?;
            if !value.is_quoted && RESERVED.contains(&value.text.as_str()) {
                let detail = format!(
                    "all terms of a query must hold, and there is no {0} to join them; put the word in quotes \
                     to look for it: \"{0}\"",
                    value.text
                );
                return Err(fault(value.at, detail));
            }
            text(Place::Anywhere, value)?
        };
        Ok(Term { is_negated, condition })
    }

    /// States, or what is none: what is in the trash keeps its state, and what is unread has one.
    fn status(&mut self, name: &str) -> Result<Condition, QueryError> {
        let begin = self.at;
        let alone = |text: &str| ALONE.iter().find(|(word, _)| *word == text);
        let all: Vec<Result<Status, &(&str, Condition)>> = self.all(name, |text| match alone(text) {
            Some(found) => Ok(Err(found)),
            None => word(text).map(Ok),
        })?;
        if let [Err((_, condition))] = all.as_slice() {
            return Ok(condition.clone());
        }
        all.into_iter().collect::<Result<_, _>>().map(Condition::Status).map_err(|(word, _)| {
            refuse(name, begin, format!("{word} stands alone: {name}:{word} and another term for the state"))
        })
    }

    fn field(&mut self, name: &str, begin: usize) -> Result<Condition, QueryError> {
        let time = TimeField::from_str(name).ok();
        match name {
            "is" | "status" => self.status(name),
            "channel" => Ok(Condition::Channel(self.all(name, word)?)),
            "waiting_on" => Ok(Condition::WaitingOn(self.all(name, word)?)),
            "has" => match self.custom_field(self.at, FIELD_ENDS) {
                Some((object, key, length)) => {
                    self.at += length;
                    if self.peek() == Some(',') {
                        let told = "a custom field stands alone: has:field.KEY and another term for the rest";
                        return Err(refuse(name, self.at, told.to_owned()));
                    }
                    Ok(Condition::Field(FieldTerm::new(object, key, FieldTest::Present, begin)))
                }
                None => Ok(Condition::Has(self.all::<Has>(name, word)?)),
            },
            "priority" => self.priority(),
            "id" => Ok(Condition::Id(self.all(name, |text| number(text).map(ConversationId))?)),
            "mailbox" => Ok(Condition::Mailbox(self.all(name, |text| number(text).map(MailboxId))?)),
            "customer" => Ok(Condition::Customer(self.all(name, |text| number(text).map(CustomerId))?)),
            "team" => Ok(Condition::Team(self.all(name, |text| or_none(text, TeamId))?)),
            "category" => Ok(Condition::Category(self.all(name, |text| or_none(text, CategoryId))?)),
            "assignee" => Ok(Condition::Assignee(self.all(name, whom)?)),
            "follower" => Ok(Condition::Follower(self.all(name, whom)?)),
            "from" => Ok(Condition::From(self.all(name, address)?)),
            "tag" => Ok(Condition::Tag(self.all(name, |text| Ok::<_, String>(text.to_owned()))?)),
            "subject" => {
                let value = self.one(false)?;
                text(Place::Subject, value)
            }
            "file" => {
                let value = self.one(false)?;
                text(Place::File, value)
            }
            _ => match time {
                Some(field) => Ok(Condition::Time(field, self.span(name)?)),
                None => Err(QueryError {
                    position: begin + 1,
                    detail: format!("there is no field {name:?}; put it in quotes to look for the text"),
                    accepted: FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect(),
                }),
            },
        }
    }

    /// The name of a custom field that begins at `at` and is followed by one of `signs`, or by a blank or nothing
    /// where a blank is among them: of what, its key, and how many characters it takes.
    fn custom_field(&self, at: usize, signs: &[char]) -> Option<(FieldObject, String, usize)> {
        let is_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let name: String = self.chars.get(at..)?.iter().copied().take_while(is_name).collect();
        let ends = match self.chars.get(at + name.len()) {
            Some(c) if c.is_whitespace() => signs.contains(&' '),
            Some(c) => signs.contains(c),
            None => signs.contains(&' '),
        };
        let (of, key) = name.split_once('.')?;
        let object = match of.to_ascii_lowercase().as_str() {
            "field" => FieldObject::Conversation,
            "customer" => FieldObject::Customer,
            _ => return None,
        };
        (ends && !key.is_empty()).then(|| (object, key.to_ascii_lowercase(), name.len()))
    }

    /// What is asked of a custom field: a comparison, or values with commas between them.
    fn field_test(&mut self) -> Result<FieldTest, QueryError> {
        if let Some((sign, or_equal)) = self.comparison() {
            let value = self.one(false)?;
            if value.text.trim().is_empty() {
                return Err(fault(value.at, "something must follow that it is compared with"));
            }
            return Ok(FieldTest::Compared { is_more: sign == '>', or_equal, with: value.text });
        }
        let mut all = Vec::new();
        loop {
            let value = self.one(true)?;
            if value.text.trim().is_empty() {
                return Err(fault(value.at, "a custom field needs a value"));
            }
            if all.len() == VALUES {
                return Err(fault(value.at, format!("a custom field has at most {VALUES} values")));
            }
            all.push(FieldValue { text: value.text, is_quoted: value.is_quoted });
            if self.peek() != Some(',') {
                return Ok(FieldTest::Any(all));
            }
            self.at += 1;
        }
    }

    /// One value: in quotes, or up to a blank or, within a list, a comma.
    fn one(&mut self, in_list: bool) -> Result<Value, QueryError> {
        let at = self.at;
        let mut text = String::new();
        if self.peek() == Some('"') {
            self.at += 1;
            loop {
                let Some(c) = self.peek() else {
                    return Err(fault(at, "these quotes are never closed"));
                };
                self.at += 1;
                match c {
                    '"' => break,
                    '\\' if matches!(self.peek(), Some('"' | '\\')) => {
                        text.extend(self.peek());
                        self.at += 1;
                    }
                    c => text.push(c),
                }
            }
            if self.peek().is_some_and(|c| !(c.is_whitespace() || in_list && c == ',')) {
                return Err(fault(self.at, "a blank must follow on the closing quotes"));
            }
            return Ok(Value { text, at, is_quoted: true });
        }
        while let Some(c) = self.peek().filter(|c| !(c.is_whitespace() || in_list && *c == ',')) {
            text.push(c);
            self.at += 1;
        }
        Ok(Value { text, at, is_quoted: false })
    }

    /// Values with commas between them, each as `read` takes it.
    fn all<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, QueryError> {
        let mut all = Vec::new();
        loop {
            let value = self.one(true)?;
            if value.text.trim().is_empty() {
                return Err(refuse(name, value.at, format!("{name}: needs a value")));
            }
            if all.len() == VALUES {
                return Err(fault(value.at, format!("{name}: has at most {VALUES} values")));
            }
            match read(&value.text) {
                Ok(one) => all.push(one),
                Err(why) => {
                    let detail = format!("{name}: {:?} will not do, it {why}", value.text);
                    return Err(refuse(name, value.at, detail));
                }
            }
            if self.peek() != Some(',') {
                return Ok(all);
            }
            self.at += 1;
        }
    }

    /// A comparison before a value: the sign, and whether equal will do.
    fn comparison(&mut self) -> Option<(char, bool)> {
        let sign = self.peek().filter(|c| matches!(c, '<' | '>'))?;
        self.at += 1;
        let or_equal = self.peek() == Some('=');
        self.at += usize::from(or_equal);
        Some((sign, or_equal))
    }

    fn priority(&mut self) -> Result<Condition, QueryError> {
        let Some((sign, or_equal)) = self.comparison() else {
            return Ok(Condition::Priority(self.all("priority", word)?));
        };
        let value = self.one(false)?;
        let bound: Priority = value.text.parse().map_err(|why| {
            refuse("priority", value.at, format!("priority: {:?} will not do, it {why}", value.text))
        })?;
        let fits = |one: &Priority| if sign == '<' { *one < bound } else { *one > bound };
        let all: Vec<Priority> =
            Priority::ALL.iter().copied().filter(|one| fits(one) || (or_equal && *one == bound)).collect();
        if all.is_empty() {
            let detail =
                format!("priority: there is none {} {bound}", if sign == '<' { "below" } else { "above" });
            return Err(refuse("priority", value.at, detail));
        }
        Ok(Condition::Priority(all))
    }

    fn span(&mut self, name: &str) -> Result<Span, QueryError> {
        let sign = self.comparison();
        let value = self.one(false)?;
        let wrong = || {
            let detail = format!("{name}: {:?} is no time that can be asked for", value.text);
            refuse(name, value.at, detail)
        };
        let (since, before) = match (sign, value.text.split_once("..")) {
            (None, Some((first, last))) => {
                let end = |text: &str| if text == "*" { Some(None) } else { time(text).map(Some) };
                let (first, last) = end(first).zip(end(last)).ok_or_else(wrong)?;
                (first.map(|time| time.begin()), last.map(|time| time.end()))
            }
            (None, None) => match time(&value.text) {
                Some(day @ Time::Day(_)) => (Some(day.begin()), Some(day.end())),
                _ => return Err(wrong()),
            },
            (Some((sign, or_equal)), None) => {
                let time = time(&value.text).ok_or_else(wrong)?;
                match (sign, or_equal) {
                    ('>', true) => (Some(time.begin()), None),
                    ('>', false) => (Some(time.end()), None),
                    (_, true) => (None, Some(time.end())),
                    (_, false) => (None, Some(time.begin())),
                }
            }
            (Some(_), Some(_)) => return Err(wrong()),
        };
        if since.is_none() && before.is_none() {
            return Err(wrong());
        }
        Ok(Span { since, before })
    }
}

fn fault(at: usize, detail: impl Into<String>) -> QueryError {
    QueryError { position: at + 1, detail: detail.into(), accepted: Vec::new() }
}

/// An error that says what the field takes.
fn refuse(name: &str, at: usize, detail: String) -> QueryError {
    let takes = FIELDS.iter().find(|(field, _)| *field == name || (name == "status" && *field == "is"));
    let accepted = takes.map_or(TIMES, |(_, takes)| *takes);
    QueryError { accepted: vec![accepted.to_owned()], ..fault(at, detail) }
}

fn text(place: Place, value: Value) -> Result<Condition, QueryError> {
    let text = Text { text: value.text, is_exact: value.is_quoted };
    match Phrase::of(&text.text, text.is_exact) {
        Some(_) => Ok(Condition::Text(place, text)),
        None => Err(fault(value.at, "there is no letter or digit to look for")),
    }
}

fn word<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.to_ascii_lowercase().parse()
}

fn number(text: &str) -> Result<i64, String> {
    let number = text.parse::<i64>().ok().filter(|id| *id > 0 && text.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| "must be a number".to_owned())
}

fn whom(text: &str) -> Result<Whom, String> {
    match text {
        "me" => Ok(Whom::Me),
        "none" => Ok(Whom::Nobody),
        _ => number(text).map(|id| Whom::Agent(AgentId(id))),
    }
}

fn or_none<T>(text: &str, make: impl Fn(i64) -> T) -> Result<Option<T>, String> {
    if text == "none" { Ok(None) } else { number(text).map(|id| Some(make(id))) }
}

fn address(text: &str) -> Result<String, String> {
    let (_, domain) = text.rsplit_once('@').ok_or("must be an address or @ and a domain")?;
    if domain.trim().is_empty() {
        return Err("must be an address or @ and a domain".to_owned());
    }
    Ok(text.to_owned())
}

/// What stands for a time: a day lasts, the others are one moment.
enum Time {
    Day(Timestamp),
    Moment(Timestamp),
    MinutesAgo(u32),
}

impl Time {
    /// Where it begins.
    fn begin(&self) -> Moment {
        match self {
            Self::Day(at) | Self::Moment(at) => Moment::At(*at),
            Self::MinutesAgo(minutes) => Moment::MinutesAgo(*minutes),
        }
    }

    /// What follows on it.
    fn end(&self) -> Moment {
        match self {
            Self::Day(at) => Moment::At(at.plus(Duration::from_secs(24 * 60 * 60))),
            Self::Moment(at) => Moment::At(at.plus(Duration::from_micros(1))),
            Self::MinutesAgo(minutes) => Moment::MinutesAgo(*minutes),
        }
    }
}

/// `2026-01-31` (a day of UTC), RFC 3339, or `-90m`, `-12h`, `-7d`, `-2w`.
fn time(text: &str) -> Option<Time> {
    if let Some(ago) = text.strip_prefix('-') {
        let unit = ago.chars().last()?;
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => return None,
        };
        let count = ago.strip_suffix(unit).filter(|count| count.bytes().all(|b| b.is_ascii_digit()))?;
        // A hundred years at the most: who means more leaves it out.
        let most = 100 * 366 * 24 * 60;
        let minutes = count.parse::<u32>().ok()?.checked_mul(minutes).filter(|all| *all <= most)?;
        return Some(Time::MinutesAgo(minutes));
    }
    let is_day = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_day {
        return Timestamp::parse(&format!("{text}T00:00:00Z")).map(Time::Day);
    }
    Timestamp::parse(text).map(Time::Moment)
}
