//! What stands beside conversations where it is asked for: what they name, and where the words stand.

use crate::routes::included::IncludedView;
use crate::state::Api;
use postroom_core::Error;
use postroom_core::conversation::{ConversationInclude, Highlight, HighlightField};
use postroom_core::cx::Cx;
use postroom_core::id::{ConversationId, MessageId};
use postroom_core::operations::conversations::{self, ConversationCard};
use postroom_core::operations::including::{self, Included};
use postroom_core::query::Query;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// What is to be shown beside conversations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncludeQuery {
    /// What is named by numbers and is to be answered beside it, in `included`: each thing once. A
    /// conversation's `ETag` is another one then where that has changed, though the conversation has not.
    #[serde(default)]
    #[param(inline, style = Form, explode = false, example = json!(["customer", "last_message"]))]
    pub include: Vec<ConversationInclude>,
}

/// Whether a list is to say where its words stand.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HighlightQuery {
    /// With words in `q`: short excerpts around them in each row's `highlights`.
    #[param(default = false)]
    highlights: Option<bool>,
}

/// A piece of a conversation in which words stand that were looked for. Plain text, no HTML.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Highlight, example = json!({
    "field": "message", "message_id": 5120, "text": "Where is my late order?", "ranges": [{"start": 12, "end": 16}]
}))]
pub struct HighlightView {
    /// Where it was taken from.
    field: HighlightField,
    /// From which message, where it is one's.
    message_id: Option<MessageId>,
    /// The piece: 200 characters at the most.
    text: String,
    /// Where the words stand in it, in order, none within another.
    ranges: Vec<TextRange>,
}

/// A stretch of a text, in UTF-16 code units, as JavaScript, Java and C# count: `text.slice(start, end)`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TextRange {
    /// Its first.
    start: usize,
    /// Behind its last.
    end: usize,
}

impl From<Highlight> for HighlightView {
    fn from(found: Highlight) -> Self {
        let units = |bytes: usize| found.text.get(..bytes).map_or(0, |before| before.encode_utf16().count());
        let range =
            |range: &std::ops::Range<usize>| TextRange { start: units(range.start), end: units(range.end) };
        let ranges = found.ranges.iter().map(range).collect();
        Self { field: found.field, message_id: found.message_id, text: found.text, ranges }
    }
}

/// What was found beside some conversations.
#[derive(Debug, Default)]
pub struct Beside {
    /// What they name.
    pub included: Option<Included>,
    /// Where the words stand, if that was asked for.
    pub highlights: Option<HashMap<ConversationId, Vec<Highlight>>>,
}

impl HighlightQuery {
    /// Reads what stands beside a page.
    pub fn beside(
        &self,
        cx: &mut Cx<'_>,
        include: &[ConversationInclude],
        query: &Query,
        page: &[ConversationCard],
    ) -> Result<Beside, Error> {
        let of: Vec<_> = page.iter().map(|card| &card.conversation).collect();
        let wanted = self.highlights == Some(true);
        Ok(Beside {
            included: including::of_conversations(cx, include, &of)?,
            highlights: if wanted { Some(conversations::highlights(cx, query, &of)?) } else { None },
        })
    }
}

impl Beside {
    /// The excerpts of one conversation; `None` where nobody asked.
    pub fn highlights_of(&mut self, id: ConversationId) -> Option<Vec<HighlightView>> {
        let all = self.highlights.as_mut()?;
        Some(all.remove(&id).unwrap_or_default().into_iter().map(HighlightView::from).collect())
    }

    /// What the conversations name.
    pub fn included(&mut self, api: &Api) -> Option<IncludedView> {
        self.included.take().map(|included| IncludedView::new(included, &api.links))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_browsers_count() {
        let text = "🙂 Größe, 🙂".to_owned();
        let found =
            Highlight { field: HighlightField::Subject, message_id: None, text, ranges: vec![5..12, 14..18] };
        let both = [TextRange { start: 3, end: 8 }, TextRange { start: 10, end: 12 }];
        assert_eq!(HighlightView::from(found).ranges, both);
    }
}
