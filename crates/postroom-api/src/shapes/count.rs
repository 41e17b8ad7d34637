//! How many conversations there are of something.

use postroom_core::operations::views::Counted;
use serde::Serialize;
use utoipa::ToSchema;

/// How many conversations there are, without those in the trash; counted to 1,000.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Count)]
pub struct CountView {
    /// So many.
    count: usize,
    /// `false`: there are more.
    exact: bool,
}

impl From<Counted> for CountView {
    fn from(counted: Counted) -> Self {
        Self { count: counted.count, exact: counted.is_exact }
    }
}
