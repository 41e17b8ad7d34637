//! Views: questions that are asked again and again, kept under a name.

use crate::conversation::ConversationSort;
use crate::error::Faults;
use crate::id::{AgentId, TeamId, ViewId};
use crate::query::{Query, QueryError};
use crate::store::schema::views;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::{Queryable, Selectable};

/// The most views of one agent's own.
pub const VIEWS_EACH: usize = 100;
/// The most views that are shared, with teams and with everyone.
pub const VIEWS_SHARED: usize = 500;
/// The longest name, in characters.
pub const NAME_CHARS: usize = 100;
/// The most columns.
pub const COLUMNS: usize = 50;
/// The longest name of a column and of an icon, in characters.
pub const WORD_CHARS: usize = 60;
/// The highest position.
pub const LAST_POSITION: i32 = 10_000;
/// How far a view's conversations are counted.
pub const COUNTED: usize = 1_000;

words! {
    /// Who sees a view. What it finds is always what may be seen by whoever looks.
    pub enum Visibility {
        /// Whoever made it.
        Me = "me",
        /// The members of a team.
        Team = "team",
        /// Everyone who reads conversations.
        Everyone = "everyone",
    }
}

words! {
    /// What can be said beside views.
    pub enum ViewInclude {
        /// How many conversations whoever looks sees through each.
        Count = "count",
    }
}

/// A question that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = views)]
pub struct View {
    /// The number.
    pub id: ViewId,
    /// Who made it; nobody where a program did that speaks for no agent.
    pub owner_id: Option<AgentId>,
    /// Which team sees it, where a team does.
    pub team_id: Option<TeamId>,
    /// Who sees it.
    pub visibility: Visibility,
    /// What people read.
    pub name: String,
    /// What is asked, in the words of `q`.
    pub query: String,
    /// In which order.
    pub sort: ConversationSort,
    /// What a frontend shows of each, in this order.
    pub shown_columns: Json<Vec<String>>,
    /// Its place among views: the lowest first.
    pub position: i32,
    /// A colour, `#rrggbb`.
    pub color: Option<String>,
    /// A frontend's word for a picture.
    pub icon: Option<String>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl View {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("v{}-{}", self.id, self.version)
    }

    /// What it asks; an error where that is no query any more.
    pub fn asks(&self) -> Result<Query, QueryError> {
        self.query.parse()
    }

    /// What hangs on which conversations it finds, and in which order.
    pub fn course(&self) -> String {
        format!("{} {}", self.sort, self.query)
    }
}

/// What of a view is written by whoever makes or changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Who sees it.
    pub visibility: Visibility,
    /// Which team, where a team does.
    pub team_id: Option<TeamId>,
    /// What people read.
    pub name: String,
    /// What is asked.
    pub query: String,
    /// In which order.
    pub sort: ConversationSort,
    /// What is shown.
    pub columns: Vec<String>,
    /// Its place.
    pub position: i32,
    /// A colour.
    pub color: Option<String>,
    /// A frontend's word for a picture.
    pub icon: Option<String>,
}

impl Form {
    /// How it is written now.
    pub fn of(view: &View) -> Self {
        Self {
            visibility: view.visibility,
            team_id: view.team_id,
            name: view.name.clone(),
            query: view.query.clone(),
            sort: view.sort,
            columns: view.shown_columns.to_vec(),
            position: view.position,
            color: view.color.clone(),
            icon: view.icon.clone(),
        }
    }

    /// Notes what is wrong with it, but for its query.
    pub fn check(&self, faults: &mut Faults) {
        faults.line("/name", &self.name, NAME_CHARS);
        if (self.visibility == Visibility::Team) != self.team_id.is_some() {
            faults.add(
                "/team_id",
                "invalid",
                "says which team sees it where visibility is team, and stands nowhere else",
            );
        }
        if !(0..=LAST_POSITION).contains(&self.position) {
            faults.add("/position", "out_of_range", format!("lies between 0 and {LAST_POSITION}"));
        }
        if self.columns.len() > COLUMNS {
            faults.add("/columns", "too_many", format!("has at most {COLUMNS} members"));
        }
        let told = format!("has 1 to {WORD_CHARS} of a-z, 0-9, _, - and .");
        for (index, column) in self.columns.iter().take(COLUMNS).enumerate() {
            if !is_word(column) {
                faults.add(format!("/columns/{index}"), "invalid", told.clone());
            } else if self.columns[..index].contains(column) {
                faults.add(format!("/columns/{index}"), "duplicate", "stands in the list already");
            }
        }
        if self.icon.as_deref().is_some_and(|icon| !is_word(icon)) {
            faults.add("/icon", "invalid", told);
        }
        if self.color.as_deref().is_some_and(|color| !is_color(color)) {
            faults.add("/color", "invalid", "is # and six digits of 0-9 and a-f");
        }
    }
}

fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
    (1..=WORD_CHARS).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether it is a colour as style sheets write it, in lower case.
pub fn is_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_the_limit_and_not_above() {
        let form = |name: usize, columns: usize, position| Form {
            visibility: Visibility::Me,
            team_id: None,
            name: "é".repeat(name),
            query: String::new(),
            sort: ConversationSort::IdDescending,
            columns: (0..columns).map(|one| format!("c{one}")).collect(),
            position,
            color: Some("#00ffaa".to_owned()),
            icon: Some("i".repeat(WORD_CHARS)),
        };
        let count = |form: &Form| {
            let mut faults = Faults::default();
            form.check(&mut faults);
            match faults.check() {
                Err(crate::Error::Invalid(all)) => all.len(),
                _ => 0,
            }
        };
        assert_eq!(count(&form(NAME_CHARS, COLUMNS, LAST_POSITION)), 0);
        assert_eq!(count(&form(NAME_CHARS + 1, COLUMNS + 1, LAST_POSITION + 1)), 3);
        assert_eq!(count(&Form { icon: Some("i".repeat(WORD_CHARS + 1)), ..form(1, 0, 0) }), 1);
        assert_eq!(count(&Form { columns: vec!["A b".into(), "a".into(), "a".into()], ..form(1, 0, 0) }), 2);
        for color in ["", "red", "#fff", "#00FFAA", "#00ffag"] {
            assert_eq!(count(&Form { color: Some(color.to_owned()), ..form(1, 0, 0) }), 1, "{color}");
        }
    }
}
