//! Custom fields: what a desk wants to know of its conversations and customers beyond what every desk does. Here is
//! what a field is, what its values may be, and how they are kept.

mod value;

pub use value::{DECIMALS, Kept, LARGEST, shown, sought};
pub(crate) use value::{days, millionths};

use crate::error::Faults;
use crate::id::CustomFieldId;
use crate::store::schema::custom_fields;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Queryable, Selectable};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most fields of conversations, and as many of customers: those that are archived count.
pub const FIELDS: usize = 100;
/// The most choices of one field: those that are archived count.
pub const CHOICES: usize = 200;
/// The longest key of a field or a choice, in characters.
pub const KEY_CHARS: usize = 50;
/// The longest title of a field or a choice, in characters.
pub const TITLE_CHARS: usize = 100;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS: usize = 500;
/// The longest pattern, in characters.
pub const PATTERN_CHARS: usize = 500;
/// The longest text that is a value, in characters.
pub const TEXT_CHARS: usize = 1_000;
/// The highest position.
pub const LAST_POSITION: i32 = 10_000;

/// The most bytes that a pattern takes once it is made ready: `\w{9999}` would take gigabytes. Matching takes
/// time in proportion to it and to the text, whatever the pattern (the crate never goes back).
const PATTERN_BYTES: usize = 256 * 1024;
/// How deep groups may stand in each other.
const PATTERN_DEPTH: u32 = 50;

words! {
    /// What a custom field is of.
    pub enum FieldObject {
        /// Of conversations.
        Conversation = "conversation",
        /// Of customers.
        Customer = "customer",
    }

    /// What the values of a custom field are.
    pub enum FieldType {
        /// A line of text of at most 1,000 characters; where there is a pattern, one that matches it.
        Text = "text",
        /// A number up to 999,999,999,999 with at most six decimals.
        Number = "number",
        /// A day: `2026-01-31`.
        Date = "date",
        /// The key of one choice.
        Choice = "choice",
        /// The keys of any number of choices.
        MultiChoice = "multi_choice",
        /// `true` or `false`.
        Checkbox = "checkbox",
    }
}

/// What may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomFieldChoice)]
pub struct Choice {
    /// What stands for it in values and queries. It never changes.
    #[schema(min_length = 1, max_length = 50, pattern = "^[a-z0-9][a-z0-9_]*$")]
    pub key: String,
    /// What people read.
    #[schema(min_length = 1, max_length = 100)]
    pub title: String,
    /// It is not to be chosen any more; where it was, it stays.
    #[serde(default)]
    pub archived: bool,
}

/// What a desk wants to know of conversations or customers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = custom_fields)]
pub struct CustomField {
    /// The number.
    pub id: CustomFieldId,
    /// What it is of; this never changes.
    pub object: FieldObject,
    /// What stands for it in values, queries and events; this never changes.
    pub key: String,
    /// What people read.
    pub title: String,
    /// What it is for; may be empty.
    pub description: String,
    /// What its values are; this never changes.
    pub kind: FieldType,
    /// What a text must match as a whole.
    pub pattern: Option<String>,
    /// What may be chosen, in this order.
    pub choices: Json<Vec<Choice>>,
    /// A conversation is not closed by a caller before it has a value.
    pub required_on_close: bool,
    /// Its place in lists and forms: the lowest first.
    pub position: i32,
    /// Since when it takes no values any more; those it has stay.
    pub archived_at: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl CustomField {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("f{}-{}", self.id, self.version)
    }

    /// Whether conversations that lack it are not closed.
    pub fn is_required(&self) -> bool {
        self.required_on_close && self.archived_at.is_none()
    }
}

/// What of a field can be changed, and what it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What people read.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// What a text must match.
    pub pattern: Option<String>,
    /// What may be chosen.
    pub choices: Vec<Choice>,
    /// Whether conversations without it are not closed.
    pub required_on_close: bool,
    /// Its place.
    pub position: i32,
}

impl Form {
    /// Notes what is wrong with a field of this type that is to look like this.
    pub fn check(&self, object: FieldObject, kind: FieldType, faults: &mut Faults) {
        faults.line("/title", &self.title, TITLE_CHARS);
        faults.length("/description", &self.description, DESCRIPTION_CHARS);
        if let Some(text) = &self.pattern {
            if kind != FieldType::Text {
                faults.add("/pattern", "not_allowed", "only text has a pattern");
            } else if let Err(why) = pattern(text) {
                faults.add("/pattern", "invalid_pattern", why);
            }
        }
        if self.required_on_close && object != FieldObject::Conversation {
            faults.add("/required_on_close", "not_allowed", "only conversations are closed");
        }
        if !(0..=LAST_POSITION).contains(&self.position) {
            faults.add("/position", "out_of_range", format!("lies between 0 and {LAST_POSITION}"));
        }
        if matches!(kind, FieldType::Choice | FieldType::MultiChoice) {
            self.check_choices(faults);
        } else if !self.choices.is_empty() {
            faults.add("/choices", "not_allowed", "only choice and multi_choice have choices");
        }
    }

    fn check_choices(&self, faults: &mut Faults) {
        if self.choices.is_empty() {
            faults.add("/choices", "required", "says at least one thing that may be chosen");
        }
        if self.choices.len() > CHOICES {
            faults.add("/choices", "too_many", format!("has at most {CHOICES} members"));
        }
        let mut seen = std::collections::HashSet::new();
        for (index, choice) in self.choices.iter().take(CHOICES).enumerate() {
            let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if !is_slug(&choice.key, first) {
                let told = format!("has 1 to {KEY_CHARS} of a-z, 0-9 and _, and begins with none of _");
                faults.add(format!("/choices/{index}/key"), "invalid_key", told);
            }
            if !seen.insert(&choice.key) {
                faults.add(format!("/choices/{index}/key"), "duplicate", "stands in the list already");
            }
            faults.line(&format!("/choices/{index}/title"), &choice.title, TITLE_CHARS);
        }
    }
}

/// What is wrong with a field's key, in a sentence.
pub fn key_fault(key: &str) -> Option<String> {
    let told = || format!("has 1 to {KEY_CHARS} of a-z, 0-9 and _, and begins with a letter");
    (!is_slug(key, |byte| byte.is_ascii_lowercase())).then(told)
}

fn is_slug(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=KEY_CHARS).contains(&text.len()) && text.bytes().next().is_some_and(first) && text.bytes().all(rest)
}

/// A pattern that a whole text is held against. Fails with a sentence: it can't be read, or takes too much room.
pub fn pattern(text: &str) -> Result<Regex, String> {
    if text.is_empty() || text.chars().count() > PATTERN_CHARS {
        return Err(format!("has 1 to {PATTERN_CHARS} characters"));
    }
    let built = |text: &str| {
        RegexBuilder::new(text).size_limit(PATTERN_BYTES).nest_limit(PATTERN_DEPTH).build().map_err(|why| {
            match why {
                regex::Error::CompiledTooBig(_) => "takes too much room: repeat less".to_owned(),
                other => format!("can't be read: {}", one_sentence(&other.to_string())),
            }
        })
    };
    // By itself first: `a)(b` is none, whatever stands around it.
    built(text)?;
    built(&format!("^(?:{text})$"))
}

/// The crate draws the place under the pattern; here is a sentence alone.
fn one_sentence(told: &str) -> String {
    let last = told.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn faults(object: FieldObject, kind: FieldType, form: &Form) -> Vec<(String, &'static str)> {
        let mut faults = Faults::default();
        form.check(object, kind, &mut faults);
        match faults.check() {
            Ok(()) => Vec::new(),
            Err(Error::Invalid(all)) => all.into_iter().map(|fault| (fault.pointer, fault.code)).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    fn form() -> Form {
        Form {
            title: "Order".to_owned(),
            description: String::new(),
            pattern: None,
            choices: Vec::new(),
            required_on_close: false,
            position: 0,
        }
    }

    #[test]
    fn keys_are_slugs_up_to_their_length() {
        for good in ["a", "order_no", "a1_", &"k".repeat(KEY_CHARS)] {
            assert_eq!(key_fault(good), None, "{good}");
        }
        for bad in ["", "1a", "_a", "Order", "order-no", "order no", "é", &"k".repeat(KEY_CHARS + 1)] {
            assert!(key_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_is_held_against_the_whole_text() {
        let order = pattern("[A-Z]{2}-\\d+|none").expect("it is fine");
        for (text, fits) in
            [("AB-1", true), ("none", true), ("xAB-1", false), ("AB-1 ", false), ("nones", false)]
        {
            assert_eq!(order.is_match(text), fits, "{text}");
        }
        assert!(pattern(&"a".repeat(PATTERN_CHARS)).is_ok());
    }

    #[test]
    fn patterns_that_are_none_or_bombs_are_refused() {
        let deep = "(".repeat(200) + "a" + &")".repeat(200);
        let long = "a".repeat(PATTERN_CHARS + 1);
        for bad in
            ["", "a)(b", "(", "[z-a]", "(?x)a#", "(\\w{999}){999}", "(a{1000}){1000}", "\\1", &deep, &long]
        {
            assert!(pattern(bad).is_err(), "{bad}");
        }
        // What kills engines that go back takes no time here: 1,000 characters against a nested repetition.
        assert!(!pattern("(a+)+b").expect("it is fine").is_match(&"a".repeat(TEXT_CHARS)));
    }

    #[test]
    fn a_form_has_what_its_type_has() {
        let choice = |key: &str| Choice { key: key.to_owned(), title: "Red".to_owned(), archived: false };
        assert_eq!(faults(FieldObject::Customer, FieldType::Text, &form()), []);
        let patterned = Form { pattern: Some("a".to_owned()), ..form() };
        assert_eq!(faults(FieldObject::Customer, FieldType::Text, &patterned), []);
        let all = faults(FieldObject::Customer, FieldType::Date, &patterned);
        assert_eq!(all, [("/pattern".to_owned(), "not_allowed")]);
        let required = Form { required_on_close: true, ..form() };
        assert_eq!(faults(FieldObject::Conversation, FieldType::Text, &required), []);
        assert_eq!(faults(FieldObject::Customer, FieldType::Text, &required).len(), 1);
        assert_eq!(
            faults(FieldObject::Customer, FieldType::Choice, &form()),
            [("/choices".to_owned(), "required")]
        );
        let twice = Form { choices: vec![choice("red"), choice("red"), choice("Red")], ..form() };
        assert_eq!(
            faults(FieldObject::Customer, FieldType::MultiChoice, &twice),
            [("/choices/1/key".to_owned(), "duplicate"), ("/choices/2/key".to_owned(), "invalid_key")]
        );
        assert_eq!(
            faults(FieldObject::Customer, FieldType::Text, &Form { choices: vec![choice("a")], ..form() }),
            [("/choices".to_owned(), "not_allowed")]
        );
    }

    #[test]
    fn limits_hold_at_the_limit_and_not_above() {
        let text = |count: usize| "é".repeat(count);
        let with = |title, description, position| Form {
            title: text(title),
            description: text(description),
            position,
            ..form()
        };
        let told = |form: &Form| faults(FieldObject::Conversation, FieldType::Text, form);
        assert_eq!(told(&with(TITLE_CHARS, DESCRIPTION_CHARS, LAST_POSITION)), []);
        assert_eq!(told(&with(TITLE_CHARS + 1, DESCRIPTION_CHARS + 1, LAST_POSITION + 1)).len(), 3);
        assert_eq!(told(&with(1, 0, -1)).len(), 1);
        let choices = |count: usize| Form {
            choices: (0..count)
                .map(|index| Choice { key: format!("c{index}"), title: text(1), archived: false })
                .collect(),
            ..form()
        };
        assert_eq!(faults(FieldObject::Customer, FieldType::Choice, &choices(CHOICES)), []);
        assert_eq!(
            faults(FieldObject::Customer, FieldType::Choice, &choices(CHOICES + 1)),
            [("/choices".to_owned(), "too_many")]
        );
    }
}
