//! Pages of a list: by key, never by offset, so that page 1,000 costs what page 1 does.

/// Where a page ends: the sort key and the id of its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The sort key; the id itself where that is the order.
    pub key: i64,
    /// The row.
    pub id: i64,
}

/// Where a page ends whose rows are ordered by a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPosition {
    /// What the last row is ordered by.
    pub text: String,
    /// The row.
    pub id: i64,
}

/// Where a page ends. The places of one list are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In an order by numbers.
    Number(Position),
    /// In an order by text.
    Text(TextPosition),
}

impl Place {
    /// The place in an order by numbers.
    pub fn number(&self) -> Option<Position> {
        match self {
            Self::Number(at) => Some(*at),
            Self::Text(_) => None,
        }
    }
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self::Number(at)
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows at the most: 1 to 100.
    pub limit: u16,
    /// Behind this one.
    pub after: Option<Position>,
    /// Count all rows as well, which costs as much as there are.
    pub count: bool,
}

impl PageRequest {
    /// The most rows of one page.
    pub const MAX: u16 = 100;

    /// The first page of this many rows.
    pub fn first(limit: u16) -> Self {
        Self { limit, after: None, count: false }
    }

    /// One row more than asked for tells whether there are more.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page goes on; `None` on the last.
    pub next: Option<Place>,
    /// All rows there are, if asked for.
    pub total: Option<i64>,
}

impl<T> Page<T> {
    /// Cuts the one row too many off and remembers where it was cut.
    pub(crate) fn cut<P: Into<Place>>(
        mut items: Vec<T>,
        request: PageRequest,
        position: impl Fn(&T) -> P,
    ) -> Self {
        let limit = usize::from(request.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|row| position(row).into()) } else { None };
        Self { items, next, total: None }
    }

    /// The same page of other things.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(make).collect(), next: self.next, total: self.total }
    }
}
