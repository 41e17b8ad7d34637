//! What a query asks of custom fields. Its text names them by their keys; which they are and what their values
//! mean is settled when it is asked, for fields are the desk's own and may have changed since it was written.

use super::QueryError;
use crate::custom_field::{CustomField, FieldObject, FieldType, days, millionths, sought};
use crate::id::CustomFieldId;
use crate::text;
use std::fmt::{self, Write as _};

/// One custom field, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTerm {
    /// Whose field it is: `field.` is the conversation's, `customer.` its customer's.
    pub object: FieldObject,
    /// What stands for it, in lower case.
    pub key: String,
    /// What is asked.
    pub test: FieldTest,
    /// What that comes to, once it is asked.
    pub settled: Option<Settled>,
    at: Begin,
}

/// Where a term begins: it takes no part in whether two terms are the same.
#[derive(Debug, Clone, Copy)]
struct Begin(usize);

impl PartialEq for Begin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Begin {}

/// What is asked of a custom field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTest {
    /// `has:field.order_no`: there is a value.
    Present,
    /// `field.colour:red,blue`, `field.amount:10..20`
    Any(Vec<FieldValue>),
    /// `field.amount:>10`
    Compared {
        /// `>`, not `<`.
        is_more: bool,
        /// `>=` or `<=`.
        or_equal: bool,
        /// With what.
        with: String,
    },
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// Without quotes.
    pub text: String,
    /// It stood in quotes: `..` in it is no range.
    pub is_quoted: bool,
}

/// Which field is meant, and which of its values fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The field.
    pub field: CustomFieldId,
    /// What fits.
    pub fit: FieldMatch,
}

/// Which values of a field fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldMatch {
    /// Any.
    Present,
    /// Any of these that are looked for.
    Sought(Vec<String>),
    /// Any of these: millionths of numbers, or days.
    Numbers(Vec<i64>),
    /// From the first on, and below the second.
    Within(Option<i64>, Option<i64>),
}

impl FieldTerm {
    pub(super) fn new(object: FieldObject, key: String, test: FieldTest, begin: usize) -> Self {
        Self { object, key, test, settled: None, at: Begin(begin) }
    }

    /// The same, with what it comes to of these fields.
    pub fn settle(mut self, fields: &[CustomField]) -> Result<Self, QueryError> {
        let theirs = || fields.iter().filter(|field| field.object == self.object);
        let Some(field) = theirs().find(|field| field.key == self.key) else {
            let accepted = theirs().map(|field| format!("{}.{}", prefix(self.object), field.key)).collect();
            let detail = format!("there is no custom field {:?} of a {}", self.key, self.object);
            return Err(QueryError { position: self.at.0 + 1, detail, accepted });
        };
        let fit = self.fit(field).map_err(|why| QueryError {
            position: self.at.0 + 1,
            detail: format!("{}.{}: {why}", prefix(self.object), self.key),
            accepted: Vec::new(),
        })?;
        self.settled = Some(Settled { field: field.id, fit });
        Ok(self)
    }

    fn fit(&self, field: &CustomField) -> Result<FieldMatch, String> {
        let ordered = match field.kind {
            FieldType::Number => Some(number as fn(&str) -> Result<i64, String>),
            FieldType::Date => Some(day as fn(&str) -> Result<i64, String>),
            FieldType::Text | FieldType::Choice | FieldType::MultiChoice | FieldType::Checkbox => None,
        };
        match (&self.test, ordered) {
            (FieldTest::Present, _) => Ok(FieldMatch::Present),
            (FieldTest::Any(all), Some(read)) => {
                if let [FieldValue { text, is_quoted: false }] = all.as_slice()
                    && let Some((first, last)) = text.split_once("..")
                {
                    let end = |text: &str| if text == "*" { Ok(None) } else { read(text).map(Some) };
                    let (first, last) = (end(first)?, end(last)?);
                    return Ok(FieldMatch::Within(first, last.map(|last| last + 1)));
                }
                all.iter().map(|value| read(&value.text)).collect::<Result<_, _>>().map(FieldMatch::Numbers)
            }
            (FieldTest::Any(all), None) => all
                .iter()
                .map(|value| word(field, &value.text))
                .collect::<Result<_, _>>()
                .map(FieldMatch::Sought),
            (FieldTest::Compared { is_more, or_equal, with }, Some(read)) => {
                let bound = read(with)?;
                Ok(match (is_more, or_equal) {
                    (true, true) => FieldMatch::Within(Some(bound), None),
                    (true, false) => FieldMatch::Within(Some(bound + 1), None),
                    (false, true) => FieldMatch::Within(None, Some(bound + 1)),
                    (false, false) => FieldMatch::Within(None, Some(bound)),
                })
            }
            (FieldTest::Compared { .. }, None) => {
                Err("only numbers and days are more or less; put the value in quotes to look for it"
                    .to_owned())
            }
        }
    }
}

fn number(text: &str) -> Result<i64, String> {
    millionths(text).map_err(|(_, told)| format!("{text:?} will not do, it {told}"))
}

fn day(text: &str) -> Result<i64, String> {
    days(text).ok_or_else(|| format!("{text:?} will not do, it must be a day, such as 2026-01-31"))
}

/// What is looked for of a value that is no number.
fn word(field: &CustomField, given: &str) -> Result<String, String> {
    let known = |words: &[&str]| {
        let folded = text::fold(given);
        if words.contains(&folded.as_str()) {
            return Ok(folded);
        }
        let shown = text::short_line(&words.join(", "), 500);
        Err(format!("{given:?} will not do, it must be one of {shown}"))
    };
    match field.kind {
        FieldType::Choice | FieldType::MultiChoice => {
            let keys: Vec<&str> = field.choices.iter().map(|choice| choice.key.as_str()).collect();
            known(&keys)
        }
        FieldType::Checkbox => known(&["true", "false"]),
        FieldType::Text | FieldType::Number | FieldType::Date => {
            Ok(sought(&text::one_line(given, crate::custom_field::TEXT_CHARS)))
        }
    }
}

fn prefix(object: FieldObject) -> &'static str {
    match object {
        FieldObject::Conversation => "field",
        FieldObject::Customer => "customer",
    }
}

/// As it is read again.
impl fmt::Display for FieldTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}.{}", prefix(self.object), self.key);
        match &self.test {
            FieldTest::Present => write!(f, "has:{name}"),
            FieldTest::Any(all) => {
                write!(f, "{name}:")?;
                for (index, value) in all.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    if value.is_quoted {
                        f.write_str(&super::quoted(&value.text))?;
                    } else {
                        f.write_str(&value.text)?;
                    }
                }
                Ok(())
            }
            FieldTest::Compared { is_more, or_equal, with } => {
                let sign = if *is_more { ">" } else { "<" };
                let equal = if *or_equal { "=" } else { "" };
                write!(f, "{name}:{sign}{equal}")?;
                if with.starts_with(['=', '"']) || with.contains(char::is_whitespace) {
                    f.write_str(&super::quoted(with))
                } else {
                    f.write_str(with)
                }
            }
        }
    }
}
