//! The value of a field: read from JSON, kept in rows, shown again.

use super::{CustomField, FieldType, TEXT_CHARS, pattern};
use crate::text;
use crate::time::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The largest number, but for decimals.
pub const LARGEST: i64 = 999_999_999_999;
/// The most decimals of a number.
pub const DECIMALS: usize = 6;

/// What one unit of a number is kept as.
const UNIT: i64 = 1_000_000;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
/// What is longer once it is folded is looked for by its digest: an index takes no row of any length.
const SOUGHT_BYTES: usize = 500;

/// A row of a value: one, but for several that were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// A text as it was written.
    pub written: Option<String>,
    /// What is looked for of it, or the key of what was chosen.
    pub sought: Option<String>,
    /// Millionths of a number, or days since 1970.
    pub number: Option<i64>,
}

impl Kept {
    fn text(text: &str) -> Self {
        Self { written: Some(text.to_owned()), sought: Some(sought(text)), number: None }
    }

    fn word(word: &str) -> Self {
        Self { sought: Some(word.to_owned()), ..Self::default() }
    }

    fn number(number: i64) -> Self {
        Self { number: Some(number), ..Self::default() }
    }
}

/// What is wrong with a value: a word for programs and a sentence.
pub type ValueFault = (&'static str, String);

impl CustomField {
    /// The rows of a value that was given; none where it says that there is none: `null`, or nothing chosen. What
    /// it `had` may stay, be it archived meanwhile.
    pub fn read(&self, value: &Value, had: &[Kept]) -> Result<Vec<Kept>, ValueFault> {
        let wrong = |expected: &str| Err(("wrong_type", format!("must be {expected}, or null for no value")));
        match (self.kind, value) {
            (_, Value::Null) => Ok(Vec::new()),
            (FieldType::Text, Value::String(text)) => Ok(vec![self.read_text(text, had)?]),
            (FieldType::Text, _) => wrong("text"),
            (FieldType::Number, Value::Number(number)) => millionths(&number.to_string()).map(|number| {
                let row: Vec<Kept> = vec![Kept::number(number)];
                row
            }),
            (FieldType::Number, _) => wrong("a number"),
            (FieldType::Date, Value::String(text)) => match days(text) {
                Some(days) => Ok(vec![Kept::number(days)]),
                None => Err(("invalid_date", "must be a day, such as 2026-01-31".to_owned())),
            },
            (FieldType::Date, _) => wrong("a day, such as \"2026-01-31\""),
            (FieldType::Choice, Value::String(key)) => {
                self.chosen(key, had)?;
                Ok(vec![Kept::word(key)])
            }
            (FieldType::Choice, _) => wrong("the key of a choice"),
            (FieldType::MultiChoice, Value::Array(all)) => self.read_several(all, had),
            (FieldType::MultiChoice, _) => wrong("a list of the keys of choices"),
            (FieldType::Checkbox, Value::Bool(is_set)) => {
                Ok(vec![Kept::word(if *is_set { "true" } else { "false" })])
            }
            (FieldType::Checkbox, _) => wrong("true or false"),
        }
    }

    fn read_text(&self, text: &str, had: &[Kept]) -> Result<Kept, ValueFault> {
        if text.contains(['\r', '\n']) {
            return Err(("line_break", "must be one line".to_owned()));
        }
        if text.chars().count() > TEXT_CHARS {
            return Err(("too_long", format!("has at most {TEXT_CHARS} characters")));
        }
        let text = text::one_line(text, TEXT_CHARS);
        if text.is_empty() {
            return Err(("required", "must not be empty; null is no value".to_owned()));
        }
        let kept = Kept::text(&text);
        // What stands there since before there was this pattern may be sent again.
        if let Some(told) = self.pattern.as_deref().filter(|_| had != [kept.clone()]) {
            let fits = pattern(told).is_ok_and(|pattern| pattern.is_match(&text));
            if !fits {
                return Err(("pattern", format!("must match {told}")));
            }
        }
        Ok(kept)
    }

    fn read_several(&self, all: &[Value], had: &[Kept]) -> Result<Vec<Kept>, ValueFault> {
        let mut keys: Vec<&str> = Vec::with_capacity(all.len());
        for one in all.iter().take(super::CHOICES + 1) {
            let Value::String(key) = one else {
                return Err(("wrong_type", "must be a list of the keys of choices".to_owned()));
            };
            self.chosen(key, had)?;
            if keys.contains(&key.as_str()) {
                return Err(("duplicate", format!("{key:?} stands in the list already")));
            }
            keys.push(key);
        }
        // In one order, so that the same choices are the same value.
        let place = |key: &str| self.choices.iter().position(|choice| choice.key == key);
        keys.sort_by_key(|key| place(key));
        Ok(keys.into_iter().map(Kept::word).collect())
    }

    fn chosen(&self, key: &str, had: &[Kept]) -> Result<(), ValueFault> {
        let is_had = had.iter().any(|kept| kept.sought.as_deref() == Some(key));
        match self.choices.iter().find(|choice| choice.key == key) {
            Some(choice) if choice.archived && !is_had => {
                Err(("archived", format!("{key:?} is not to be chosen any more")))
            }
            Some(_) => Ok(()),
            None => {
                let open = self.choices.iter().filter(|choice| !choice.archived);
                let keys: Vec<&str> = open.map(|choice| choice.key.as_str()).collect();
                let shown = text::short_line(&keys.join(", "), 500);
                Err(("unknown_choice", format!("must be one of {shown}")))
            }
        }
    }
}

/// A value as callers see it; `null` where there are no rows.
pub fn shown(kind: FieldType, rows: &[Kept]) -> Value {
    let Some(first) = rows.first() else { return Value::Null };
    let word = |kept: &Kept| kept.sought.clone().unwrap_or_default();
    match kind {
        FieldType::Text => Value::String(first.written.clone().unwrap_or_default()),
        FieldType::Number => number(first.number.unwrap_or_default()),
        FieldType::Date => Value::String(day(first.number.unwrap_or_default())),
        FieldType::Choice => Value::String(word(first)),
        FieldType::MultiChoice => Value::Array(rows.iter().map(word).map(Value::String).collect()),
        FieldType::Checkbox => Value::Bool(first.sought.as_deref() == Some("true")),
    }
}

/// What is looked for of a text: it, whatever its case.
pub fn sought(text: &str) -> String {
    let folded = text::fold(text);
    if folded.len() <= SOUGHT_BYTES {
        return folded;
    }
    let digest = Sha256::digest(folded.as_bytes());
    digest.iter().fold("sha256:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// A number as JSON writes it, in millionths. Fails where it is too large or has more decimals.
pub(crate) fn millionths(text: &str) -> Result<i64, ValueFault> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(i32::MAX)),
        None => (text, 0),
    };
    let (sign, digits) = mantissa.strip_prefix('-').map_or((1, mantissa), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !is_number {
        return Err(("wrong_type", "must be a number".to_owned()));
    }
    let too_large = || ("out_of_range", format!("lies between -{LARGEST} and {LARGEST}"));
    let all: String = [whole, fraction].concat();
    let all = all.trim_start_matches('0');
    if all.is_empty() {
        return Ok(0);
    }
    let significant = all.trim_end_matches('0');
    let zeroes = i64::try_from(all.len() - significant.len()).unwrap_or(i64::MAX);
    // What the last of the significant digits stands for, as a power of ten.
    let power = i64::from(exponent) - fraction.len() as i64 + zeroes;
    if power < -(DECIMALS as i64) {
        return Err(("too_precise", format!("has at most {DECIMALS} decimals")));
    }
    let scale = u32::try_from(power + DECIMALS as i64).map_err(|_| too_large())?;
    let kept = significant
        .parse::<i64>()
        .ok()
        .zip(10_i64.checked_pow(scale))
        .and_then(|(digits, scale)| digits.checked_mul(scale))
        .filter(|kept| *kept < (LARGEST + 1) * UNIT)
        .ok_or_else(too_large)?;
    Ok(sign * kept)
}

fn number(millionths: i64) -> Value {
    if millionths % UNIT == 0 {
        return Value::from(millionths / UNIT);
    }
    let text = decimal(millionths);
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
}

/// As a query writes it.
pub(crate) fn decimal(millionths: i64) -> String {
    let (sign, all) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
    let unit = UNIT.unsigned_abs();
    let text = format!("{sign}{}.{:06}", all / unit, all % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A day as days since 1970.
pub(crate) fn days(text: &str) -> Option<i64> {
    let is_day = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let at = is_day.then(|| Timestamp::parse(&format!("{text}T00:00:00Z"))).flatten()?;
    let days = at.0.div_euclid(DAY);
    (day(days) == text).then_some(days)
}

fn day(days: i64) -> String {
    Timestamp(days.saturating_mul(DAY)).to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom_field::{CHOICES, Choice, FieldObject};
    use crate::id::CustomFieldId;
    use crate::store::types::Json;
    use proptest::prelude::*;
    use serde_json::json;

    fn field(kind: FieldType) -> CustomField {
        let choice = |key: &str, archived| Choice { key: key.to_owned(), title: key.to_owned(), archived };
        CustomField {
            id: CustomFieldId(1),
            object: FieldObject::Conversation,
            key: "k".to_owned(),
            title: "K".to_owned(),
            description: String::new(),
            kind,
            pattern: None,
            choices: Json::new(vec![choice("red", false), choice("blue", false), choice("old", true)]),
            required_on_close: false,
            position: 0,
            archived_at: None,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    /// What comes back of a value, or the word for what is wrong with it.
    fn back(kind: FieldType, value: &Value) -> Result<Value, &'static str> {
        let rows = field(kind).read(value, &[]).map_err(|(code, _)| code)?;
        Ok(shown(kind, &rows))
    }

    #[test]
    fn each_type_takes_its_own_and_gives_it_back() {
        use FieldType::{Checkbox, Choice, Date, MultiChoice, Number, Text};
        for (kind, value) in [
            (Text, json!("AB-1 ä")),
            (Number, json!(881)),
            (Number, json!(-0.5)),
            (Number, json!(999_999_999_999_i64)),
            (Number, json!(0.000_001)),
            (Date, json!("2026-01-31")),
            (Date, json!("1969-12-31")),
            (Choice, json!("red")),
            (MultiChoice, json!(["red", "blue"])),
            (Checkbox, json!(true)),
            (Checkbox, json!(false)),
            (Text, Value::Null),
        ] {
            assert_eq!(back(kind, &value), Ok(value.clone()), "{kind} {value}");
        }
        assert_eq!(back(Text, &json!("  a  b ")), Ok(json!("a b")));
        assert_eq!(back(Number, &json!(5.0)), Ok(json!(5)));
        assert_eq!(back(Number, &json!(-0.0)), Ok(json!(0)));
        assert_eq!(back(MultiChoice, &json!(["blue", "red"])), Ok(json!(["red", "blue"])), "in one order");
        assert_eq!(back(MultiChoice, &json!([])), Ok(Value::Null));
    }

    #[test]
    fn what_is_wrong_has_its_word() {
        use FieldType::{Checkbox, Choice, Date, MultiChoice, Number, Text};
        for (kind, value, code) in [
            (Text, json!(7), "wrong_type"),
            (Text, json!("  "), "required"),
            (Text, json!("a\nb"), "line_break"),
            (Number, json!("7"), "wrong_type"),
            (Number, json!(1_000_000_000_000_i64), "out_of_range"),
            (Number, json!(1e300), "out_of_range"),
            (Number, json!(0.000_000_1), "too_precise"),
            (Date, json!("2026-02-30"), "invalid_date"),
            (Date, json!("2026-1-3"), "invalid_date"),
            (Date, json!("2026-01-31T00:00:00Z"), "invalid_date"),
            (Date, json!(20_260_131), "wrong_type"),
            (Choice, json!("green"), "unknown_choice"),
            (Choice, json!("old"), "archived"),
            (Choice, json!(["red"]), "wrong_type"),
            (MultiChoice, json!("red"), "wrong_type"),
            (MultiChoice, json!(["red", "red"]), "duplicate"),
            (MultiChoice, json!(["red", 7]), "wrong_type"),
            (Checkbox, json!("true"), "wrong_type"),
            (Checkbox, json!(1), "wrong_type"),
        ] {
            assert_eq!(back(kind, &value), Err(code), "{kind} {value}");
        }
        let long = |count: usize| json!("é".repeat(count));
        assert_eq!(back(Text, &long(TEXT_CHARS)), Ok(long(TEXT_CHARS)));
        assert_eq!(back(Text, &long(TEXT_CHARS + 1)), Err("too_long"));
        let many = vec![json!("green"); CHOICES + 5];
        assert_eq!(back(MultiChoice, &Value::Array(many)), Err("unknown_choice"));
    }

    #[test]
    fn what_was_there_before_may_stay() {
        let choice = field(FieldType::Choice);
        assert!(choice.read(&json!("old"), &[Kept::word("old")]).is_ok());
        let text = CustomField { pattern: Some("\\d+".to_owned()), ..field(FieldType::Text) };
        assert_eq!(text.read(&json!("abc"), &[]).map_err(|(code, _)| code), Err("pattern"));
        assert!(text.read(&json!("abc"), &[Kept::text("abc")]).is_ok());
        assert!(text.read(&json!("12"), &[]).is_ok());
    }

    #[test]
    fn long_texts_are_looked_for_by_a_digest() {
        assert_eq!(sought("ÄB"), "äb");
        let (one, other) = ("a".repeat(501), "a".repeat(502));
        assert!(sought(&one).len() < 80 && sought(&one) != sought(&other));
        assert_eq!(sought(&one.to_uppercase()), sought(&one));
        assert_eq!(sought(&"a".repeat(500)).len(), 500);
    }

    proptest! {
        #[test]
        fn numbers_come_back_as_they_were(kept in -(LARGEST * 10)..=(LARGEST * 10)) {
            // Fifteen digits are what a JSON number carries.
            let text = decimal(kept);
            prop_assert_eq!(millionths(&text), Ok(kept));
            let value = number(kept);
            prop_assert_eq!(millionths(&value.to_string()), Ok(kept), "{}", value);
        }

        #[test]
        fn days_come_back_as_they_were(kept in -700_000_i64..2_900_000) {
            prop_assert_eq!(days(&day(kept)), Some(kept));
        }

        #[test]
        fn no_number_makes_it_panic(text in "-?[0-9]{0,20}\\.?[0-9]{0,20}(e-?[0-9]{1,12})?") {
            let _ = millionths(&text);
        }
    }
}
