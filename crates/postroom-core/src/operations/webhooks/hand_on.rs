//! Hands events on to webhooks. Each webhook has its own place in the event log and moves it in the
//! transaction that queues what it is to be told: a crash loses no event and makes none twice, and who
//! changes something at the desk does nothing for it.

use super::overtaken;
use crate::cx::Cx;
use crate::event::{Event, EventType};
use crate::id::{ConversationId, TagId, WebhookId};
use crate::operations::events::floor;
use crate::store::webhook_deliveries::NewWebhookDelivery;
use crate::webhook::{Webhook, payload};
use crate::webhook_delivery::{WebhookDelivery, WebhookDeliveryState};
use crate::{Error, store};
use std::collections::HashSet;

/// Events of one transaction at the most.
const PAGE: i64 = 200;

/// The webhooks that there may be something for.
pub fn behind(cx: &mut Cx<'_>) -> Result<Vec<WebhookId>, Error> {
    let last = store::events::last_seq(cx.conn)?;
    Ok(store::webhooks::behind(cx.conn, last)?)
}

/// Queues what a webhook is to be told next. `true`: there may be more.
pub fn hand_on(cx: &mut Cx<'_>, id: WebhookId) -> Result<bool, Error> {
    let Some(webhook) = store::webhooks::find(cx.conn, id)?.filter(Webhook::is_enabled) else {
        return Ok(false);
    };
    // Before the events: what is committed between the two is looked at the next time.
    let last = store::events::last_seq(cx.conn)?;
    let after = webhook.position.max(floor(cx)?);
    if after >= last {
        return Ok(false);
    }
    let found = store::events::list_after(cx.conn, &webhook.access(), after, &webhook.kinds(), PAGE)?;
    let nothing = found.events.is_empty() && found.seen_up_to == after;
    let position = if nothing { last } else { found.seen_up_to };
    // First of all, for it holds the row: another daemon that is at the same waits, and finds it moved.
    if !store::webhooks::set_position(cx.conn, id, webhook.position, position)? {
        return Err(overtaken());
    }
    let told = told(cx, &webhook, &found.events)?;
    let known = store::webhook_deliveries::of_events(cx.conn, id, &told)?;
    let mut new = Vec::new();
    for event in told {
        if let Some(before) = known.get(&event.seq) {
            again(cx, before)?;
        } else {
            let payload = payload::of(event, webhook.body);
            new.push(NewWebhookDelivery::of(id, Some(event), &event.kind, payload, cx.now));
        }
    }
    store::webhook_deliveries::insert(cx.conn, &new)?;
    Ok(position < last)
}

/// Of what a webhook may see, what it wants. History is nobody's news: what was imported, and what lay in a mailbox
/// before it was the desk's.
fn told<'a>(cx: &mut Cx<'_>, webhook: &Webhook, events: &'a [Event]) -> Result<Vec<&'a Event>, Error> {
    let is_set = |event: &Event, name: &str| event.data.get(name).is_some_and(|value| value == true);
    let mut told: Vec<&Event> =
        events.iter().filter(|event| !is_set(event, "history") && !is_set(event, "imported")).collect();
    if let Some(tags) = &webhook.tag_ids {
        let ids: HashSet<ConversationId> = told.iter().filter_map(|event| event.conversation_id).collect();
        let ids: Vec<ConversationId> = ids.into_iter().collect();
        let tagged = store::webhooks::tagged(cx.conn, &ids, tags)?;
        // Of what is deleted for good nothing but its last event says how it was tagged.
        let was_tagged = |event: &Event| {
            event.kind == EventType::ConversationPurged.as_str()
                && event.numbers("tag_ids").into_iter().any(|id| tags.contains(&TagId(id)))
        };
        told.retain(|event| {
            event.conversation_id.is_some_and(|id| tagged.contains(&id)) || was_tagged(event)
        });
    }
    Ok(told)
}

/// Has a delivery tried once more, under the same id and with the same bytes. One that waits is due at once, one
/// that is on its way goes on.
pub(in crate::operations) fn again(cx: &mut Cx<'_>, before: &WebhookDelivery) -> Result<(), Error> {
    if before.state == WebhookDeliveryState::Sending {
        return Ok(());
    }
    let after = WebhookDelivery {
        state: WebhookDeliveryState::Queued,
        tries: 0,
        passed: 0,
        next_at: cx.now,
        finished_at: None,
        ..before.clone()
    };
    store::webhook_deliveries::update(cx.conn, before, &after)?.map(drop).ok_or_else(overtaken)
}
