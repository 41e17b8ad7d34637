//! How a list of things with names is narrowed and ordered: tags, mailboxes, agents.

use crate::page::{Place, Position, TextPosition};
use crate::text::{escape_like, fold};
use crate::time::Timestamp;
use crate::word::words;

words! {
    /// The order of a list. A minus is: the highest first.
    pub enum NameSort {
        /// Oldest first: the order that paging does not disturb.
        Id = "id",
        /// Newest first.
        IdDescending = "-id",
        /// By name, whatever its case.
        Name = "name",
        /// By name, from the end.
        NameDescending = "-name",
    }

    /// The order of a list. A minus is: the highest first.
    pub enum ListSort {
        /// Oldest first: the order that paging does not disturb.
        Id = "id",
        /// Newest first.
        IdDescending = "-id",
        /// By name, whatever its case.
        Name = "name",
        /// By name, from the end.
        NameDescending = "-name",
        /// Longest unchanged first.
        Updated = "updated_at",
        /// Last changed first.
        UpdatedDescending = "-updated_at",
    }
}

impl ListSort {
    /// Whether the highest comes first.
    pub fn is_descending(self) -> bool {
        self.as_str().starts_with('-')
    }

    /// Where a row stands in this order.
    pub fn place(self, id: i64, name: &str, updated_at: Timestamp) -> Place {
        match self {
            Self::Id | Self::IdDescending => Place::Number(Position { key: id, id }),
            Self::Name | Self::NameDescending => Place::Text(TextPosition { text: fold(name), id }),
            Self::Updated | Self::UpdatedDescending => Place::Number(Position { key: updated_at.0, id }),
        }
    }
}

/// Words that must all stand in what is looked for, or pieces of words; their case says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// So many are looked for; the others are passed over here, and refused by the API.
    pub const MOST: usize = 10;

    /// The words of a text.
    pub fn of(text: &str) -> Self {
        Self(text.split_whitespace().take(Self::MOST).map(fold).collect())
    }

    /// Whether each stands in one of these texts.
    pub fn stand_in(&self, texts: &[&str]) -> bool {
        let texts: Vec<String> = texts.iter().map(|text| fold(text)).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }

    /// What a folded text must be like (SQL, `\` escapes), a pattern for each.
    pub fn patterns(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|word| format!("%{}%", escape_like(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn all_words_stand_in_one_text_or_another() {
        let words = Words::of("  AMY exam_ple ");
        assert!(words.stand_in(&["Amy Ödön", "a@exam_ple.org"]));
        assert!(!words.stand_in(&["Amy Ödön", "a@example.org"]), "_ stands for itself");
        assert!(Words::of("ÖDÖ").stand_in(&["Amy Ödön"]));
        assert!(Words::default().stand_in(&[]));
        assert_eq!(Words::of("a%b_c\\").patterns().collect::<Vec<_>>(), ["%a\\%b\\_c\\\\%"]);
    }
}
