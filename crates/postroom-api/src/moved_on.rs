//! The collision guard: who answers a conversation that has moved on is told what came meanwhile.

use crate::extract::Caller;
use crate::problem::{Extras, Problem};
use crate::shapes::message::MessageView;
use crate::state::Api;
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::operations::messages::{self, MessageCard};

/// What a caller is told of an error. Where the conversation has moved on, the messages that they have not
/// seen come with it: whoever may write may read them.
pub async fn problem(api: &Api, caller: &Caller, error: Error) -> Problem {
    let Error::MovedOn { messages: ids } = &error else { return error.into() };
    let wanted = ids.clone();
    let find = move |cx: &mut Cx<'_>| wanted.iter().map(|id| messages::find(cx, *id)).collect();
    let cards: Result<Vec<MessageCard>, Error> = api.desk.read(caller, find).await;
    let shown: Result<Vec<_>, _> = match cards {
        Ok(cards) => {
            cards.into_iter().map(|card| serde_json::to_value(MessageView::new(card, &api.links))).collect()
        }
        Err(error) => return error.into(),
    };
    match shown {
        Ok(shown) => Problem::from(error).with(Extras { newer_messages: Some(shown), ..Extras::default() }),
        Err(_) => Problem::internal(),
    }
}
