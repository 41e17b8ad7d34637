//! Webhooks: who is told of events by HTTP. They belong to the desk: whoever made one may go, and it goes on.

pub mod hand_on;

use super::{overtaken, require_version};
use crate::access::{Level, Scope};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{MailboxId, TagId, WebhookId};
use crate::store::webhooks::Entered;
use crate::webhook::{
    DisabledReason, FILTER_WORDS, NAME_CHARS, WEBHOOKS, Webhook, WebhookBody, is_event_type, secret,
    secret_place,
};
use crate::{Error, store};
use std::time::Duration;

/// How long the secret before signs as well, where nobody says.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// The longest that it can.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Only events of these types.
    pub event_types: Option<Vec<String>>,
    /// Only what is in these mailboxes.
    pub mailbox_ids: Option<Vec<MailboxId>>,
    /// Only of conversations with one of these tags, by name.
    pub tags: Option<Vec<String>>,
    /// How much it is told.
    pub body: WebhookBody,
    /// It is told of events from now on.
    pub enabled: bool,
}

/// What is to change; `None` stays, `Some(None)` is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// What people call it.
    pub name: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Types.
    pub event_types: Option<Option<Vec<String>>>,
    /// Mailboxes.
    pub mailbox_ids: Option<Option<Vec<MailboxId>>>,
    /// Tags, by name.
    pub tags: Option<Option<Vec<String>>>,
    /// How much it is told.
    pub body: Option<WebhookBody>,
    /// Whether it is told.
    pub enabled: Option<bool>,
}

/// A webhook with the names of its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookCard {
    /// The webhook.
    pub webhook: Webhook,
    /// The names; `None`: it goes by no tags. A tag that was removed has none any more.
    pub tags: Option<Vec<String>>,
}

/// Every webhook that the caller may set up.
pub fn list(cx: &mut Cx<'_>) -> Result<Vec<WebhookCard>, Error> {
    cx.access().require(Scope::WebhooksManage)?;
    let all = store::webhooks::list(cx.conn)?;
    let open: Vec<Webhook> = all.into_iter().filter(|webhook| is_open(cx, webhook)).collect();
    open.into_iter().map(|webhook| card(cx, webhook)).collect()
}

/// One webhook.
pub fn find(cx: &mut Cx<'_>, id: WebhookId) -> Result<WebhookCard, Error> {
    let webhook = manageable(cx, id)?;
    card(cx, webhook)
}

fn card(cx: &mut Cx<'_>, webhook: Webhook) -> Result<WebhookCard, Error> {
    let tags = match &webhook.tag_ids {
        Some(ids) => Some(store::webhooks::tag_names(cx.conn, ids)?),
        None => None,
    };
    Ok(WebhookCard { webhook, tags })
}

/// Whose access is narrowed to mailboxes sets up webhooks of those alone.
fn is_open(cx: &Cx<'_>, webhook: &Webhook) -> bool {
    let sees = |id: &MailboxId| cx.access().whole_mailbox_level(*id) >= Some(Level::Manage);
    cx.access().sees_all() || webhook.mailbox_ids.as_ref().is_some_and(|ids| ids.iter().all(sees))
}

/// A webhook that the caller may set up.
pub(super) fn manageable(cx: &mut Cx<'_>, id: WebhookId) -> Result<Webhook, Error> {
    cx.access().require(Scope::WebhooksManage)?;
    let found = store::webhooks::find(cx.conn, id)?;
    found.filter(|webhook| is_open(cx, webhook)).ok_or(Error::NotFound("webhook"))
}

fn about(webhook: &Webhook, kind: EventType) -> NewEvent {
    NewEvent::new(kind, About::default())
        .with("webhook_id", webhook.id.0)
        .with("name", webhook.name.clone())
        .with("version", webhook.version)
}

/// Makes a webhook, which is told of what happens from now on. Its secret is in the answer and in no
/// other one.
pub fn create(cx: &mut Cx<'_>, new: &NewWebhook) -> Result<(WebhookCard, String), Error> {
    cx.access().require(Scope::WebhooksManage)?;
    let paused = (cx.now, DisabledReason::Paused);
    let entered = checked(cx, new.clone(), (!new.enabled).then_some(paused))?;
    if store::webhooks::count(cx.conn)? >= WEBHOOKS as i64 {
        return Err(Error::StateConflict(format!("there are {WEBHOOKS} webhooks, which is the most")));
    }
    let position = store::events::last_seq(cx.conn)?;
    let id = store::webhooks::insert(cx.conn, &entered, position, cx.now)?;
    let secret = secret::fresh();
    let sealed = cx.keys.seal(&secret_place(id), &secret);
    let blank = store::webhooks::find(cx.conn, id)?.ok_or_else(overtaken)?;
    let made = store::webhooks::set_secret(cx.conn, &blank, &sealed, None, cx.now)?.ok_or_else(overtaken)?;
    cx.tell(about(&made, EventType::WebhookCreated));
    Ok((card(cx, made)?, secret))
}

/// Changes a webhook. One that is turned on goes on where it stood: with what happened meanwhile, as far as
/// the log goes back.
pub fn update(
    cx: &mut Cx<'_>,
    id: WebhookId,
    expected: Option<&str>,
    change: WebhookChange,
) -> Result<WebhookCard, Error> {
    let before = manageable(cx, id)?;
    require_version("webhook", expected, before.etag())?;
    let card_before = card(cx, before.clone())?;
    let disabled = match (change.enabled, before.disabled_at.zip(before.disabled_reason)) {
        (Some(true), _) => None,
        (Some(false), None) => Some((cx.now, DisabledReason::Paused)),
        (_, known) => known,
    };
    let keeps_tags = change.tags.is_none();
    let wanted = NewWebhook {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        url: change.url.unwrap_or_else(|| before.url.clone()),
        event_types: change
            .event_types
            .unwrap_or_else(|| before.event_types.as_ref().map(|types| types.to_vec())),
        mailbox_ids: change
            .mailbox_ids
            .unwrap_or_else(|| before.mailbox_ids.as_ref().map(|ids| ids.to_vec())),
        tags: change.tags.unwrap_or(None),
        body: change.body.unwrap_or(before.body),
        enabled: disabled.is_none(),
    };
    let mut after = checked_over(cx, wanted, disabled, Some(&before))?;
    if keeps_tags {
        // Those that were removed stay, too: without any it would be told of everything.
        after.tag_ids = before.tag_ids.as_ref().map(|ids| ids.to_vec());
    }
    if after == entered(&before) {
        return Ok(card_before);
    }
    let changed = store::webhooks::update(cx.conn, &before, &after, cx.now)?.ok_or_else(overtaken)?;
    if !before.is_enabled() && changed.is_enabled() {
        store::webhook_deliveries::make_due(cx.conn, id, cx.now, false)?;
    }
    cx.tell(about(&changed, EventType::WebhookUpdated).with("enabled", changed.is_enabled()));
    card(cx, changed)
}

fn entered(webhook: &Webhook) -> Entered {
    Entered {
        name: webhook.name.clone(),
        url: webhook.url.clone(),
        event_types: webhook.event_types.as_ref().map(|types| types.to_vec()),
        mailbox_ids: webhook.mailbox_ids.as_ref().map(|ids| ids.to_vec()),
        tag_ids: webhook.tag_ids.as_ref().map(|ids| ids.to_vec()),
        body: webhook.body,
        disabled: webhook.disabled_at.zip(webhook.disabled_reason),
    }
}

/// Removes a webhook, and what it was told. What is on its way to it may still arrive.
pub fn delete(cx: &mut Cx<'_>, id: WebhookId, expected: Option<&str>) -> Result<(), Error> {
    let before = manageable(cx, id)?;
    require_version("webhook", expected, before.etag())?;
    if !store::webhooks::delete(cx.conn, &before)? {
        return Err(overtaken());
    }
    cx.tell(about(&before, EventType::WebhookDeleted));
    Ok(())
}

/// Gives a webhook another secret. The one before signs as well for `overlap`; what was before that one
/// signs no more. The new one is in the answer and in no other one.
pub fn rotate(
    cx: &mut Cx<'_>,
    id: WebhookId,
    expected: Option<&str>,
    overlap: Duration,
) -> Result<(WebhookCard, String), Error> {
    let before = manageable(cx, id)?;
    require_version("webhook", expected, before.etag())?;
    if overlap > LONGEST_OVERLAP {
        let detail = format!("is at most {} hours", LONGEST_OVERLAP.as_secs() / 3_600);
        return Err(Error::invalid("/overlap_hours", "too_large", detail));
    }
    let secret = secret::fresh();
    let sealed = cx.keys.seal(&secret_place(id), &secret);
    let previous = (!overlap.is_zero()).then(|| (before.secret.as_slice(), cx.now.plus(overlap)));
    let after =
        store::webhooks::set_secret(cx.conn, &before, &sealed, previous, cx.now)?.ok_or_else(overtaken)?;
    cx.tell(about(&after, EventType::WebhookUpdated).with("secret_rotated", true));
    Ok((card(cx, after)?, secret))
}

/// Has a webhook told once more of everything behind `after`, in order; what it was told before is
/// told under the same `webhook-id`. Where it stood comes back with it.
pub fn replay(cx: &mut Cx<'_>, id: WebhookId, after: i64) -> Result<WebhookCard, Error> {
    let before = manageable(cx, id)?;
    if !before.is_enabled() {
        return Err(Error::StateConflict(
            "the webhook is turned off; turn it on first: it then goes on where it stood".to_owned(),
        ));
    }
    if after > before.position {
        let detail = format!("it has been told of events up to {} alone", before.position);
        return Err(Error::invalid("/after_seq", "too_large", detail));
    }
    if after < 0 {
        return Err(Error::invalid("/after_seq", "too_small", "must be at least 0"));
    }
    let floor = super::events::floor(cx)?;
    if after < floor {
        return Err(Error::Expired { floor });
    }
    if !store::webhooks::set_position(cx.conn, id, before.position, after)? {
        return Err(overtaken());
    }
    cx.wake();
    card(cx, Webhook { position: after, ..before })
}

fn checked(
    cx: &mut Cx<'_>,
    new: NewWebhook,
    disabled: Option<(crate::time::Timestamp, DisabledReason)>,
) -> Result<Entered, Error> {
    checked_over(cx, new, disabled, None)
}

/// What was entered, if nothing is wrong with it. What `before` has already may be wrong by now: a
/// mailbox that was removed, an address that is allowed no more.
fn checked_over(
    cx: &mut Cx<'_>,
    new: NewWebhook,
    disabled: Option<(crate::time::Timestamp, DisabledReason)>,
    before: Option<&Webhook>,
) -> Result<Entered, Error> {
    let mut faults = Faults::default();
    faults.line("/name", &new.name, NAME_CHARS);
    let mut url = new.url;
    if before.is_none_or(|before| before.url != url) {
        match cx.settings.webhooks.read(&url) {
            Ok(read) => url = read.into(),
            Err((code, detail)) => faults.add("/url", code, detail),
        }
    }
    if let Some(types) = &new.event_types {
        filled("/event_types", types.len(), &mut faults);
        for (at, name) in types.iter().enumerate().filter(|(_, name)| !is_event_type(name)) {
            let detail = format!("there are no events of the type {name:?}");
            faults.add(format!("/event_types/{at}"), "unknown_type", crate::text::one_line(&detail, 300));
        }
    }
    match &new.mailbox_ids {
        Some(ids) => {
            filled("/mailbox_ids", ids.len(), &mut faults);
            for (at, id) in ids.iter().enumerate() {
                let is_kept = before
                    .and_then(|before| before.mailbox_ids.as_ref())
                    .is_some_and(|known| known.contains(id));
                let is_there = cx.access().whole_mailbox_level(*id) >= Some(Level::Manage)
                    && store::mailboxes::find(cx.conn, *id)?.is_some();
                if !is_kept && !is_there {
                    faults.add(format!("/mailbox_ids/{at}"), "not_found", "there is no such mailbox");
                }
            }
        }
        None if !cx.access().sees_all() => {
            let detail = "your access is narrowed to mailboxes; so must the webhook be";
            faults.add("/mailbox_ids", "required", detail);
        }
        None => {}
    }
    let mut tag_ids: Option<Vec<TagId>> = None;
    if let Some(names) = &new.tags {
        filled("/tags", names.len(), &mut faults);
        let mut ids = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let found = if name.contains('\0') { None } else { store::tags::find_by_name(cx.conn, name)? };
            match found {
                Some(tag) => ids.push(tag.id),
                None => faults.add(format!("/tags/{at}"), "not_found", "there is no such tag"),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        tag_ids = Some(ids);
    }
    faults.check()?;
    Ok(Entered {
        name: new.name.trim().to_owned(),
        url,
        event_types: new.event_types,
        mailbox_ids: new.mailbox_ids,
        tag_ids,
        body: new.body,
        disabled,
    })
}

fn filled(pointer: &str, count: usize, faults: &mut Faults) {
    if count == 0 {
        faults.add(pointer, "required", "name at least one, or leave it out for all");
    }
    if count > FILTER_WORDS {
        faults.add(pointer, "too_many", format!("has at most {FILTER_WORDS}"));
    }
}

/// Forgets secrets whose time is over, and what was told long ago. Returns how much of that.
pub fn expire(cx: &mut Cx<'_>) -> Result<usize, Error> {
    store::webhooks::forget_secrets(cx.conn, cx.now)?;
    let before = cx.now.minus(cx.settings.keep_deliveries);
    Ok(store::webhook_deliveries::delete_before(cx.conn, before)?)
}
