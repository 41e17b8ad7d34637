//! Categories: kinds of matter, for visibility.

use super::tokens::require_whole_sight;
use crate::access::Scope;
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::people::Category;
use crate::{Error, store};

/// Every category.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<Category>, Error> {
    cx.access().require(Scope::ConversationsRead)?;
    Ok(store::people::categories(cx.conn)?)
}

/// Makes a category.
pub fn create(cx: &mut Cx<'_>, name: &str) -> Result<Category, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let mut faults = Faults::default();
    faults.line("/name", name, 100);
    faults.check()?;
    let name = crate::text::one_line(name, 100);
    let Some(category) = store::people::insert_category(cx.conn, &name, cx.now)? else {
        return Err(Error::AlreadyExists {
            detail: "there is a category of this name".to_owned(),
            existing_id: None,
        });
    };
    let event = NewEvent::new(EventType::CategoryCreated, About::default())
        .with("category_id", category.id.0)
        .with("name", category.name.clone());
    cx.tell(event);
    Ok(category)
}
