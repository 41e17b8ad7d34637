//! How a mailbox's mail looks: read and changed.

use super::mailboxes::{find as find_mailbox, manageable};
use super::{overtaken, require_version};
use crate::cx::Cx;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox_outgoing::MailboxOutgoing;
use crate::outgoing::Written;
use crate::store::types::Json;
use crate::template::{self, Placeholder};
use crate::{Error, store};

/// What is to change; `None` stays, `Some(None)` is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingChange {
    /// The name that customers see.
    pub from_name: Option<String>,
    /// The signature.
    pub signature: Option<Option<Written>>,
    /// What stands above.
    pub head: Option<Option<Written>>,
    /// What stands below.
    pub foot: Option<Option<Written>>,
    /// Whether answers quote.
    pub quote_history: Option<bool>,
}

/// How a mailbox's mail looks.
pub fn find(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxOutgoing, Error> {
    find_mailbox(cx, id)?;
    known(cx, id)
}

/// The same, of a mailbox that was found before.
pub(super) fn known(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxOutgoing, Error> {
    Ok(store::mailbox_outgoing::find(cx.conn, id)?.unwrap_or_else(|| MailboxOutgoing::unchanged(id)))
}

/// Changes how a mailbox's mail looks. It holds for what leaves from now on.
pub fn update(
    cx: &mut Cx<'_>,
    id: MailboxId,
    expected: Option<&str>,
    change: &OutgoingChange,
) -> Result<MailboxOutgoing, Error> {
    let mailbox = manageable(cx, id)?;
    let before = known(cx, id)?;
    require_version("outgoing", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(name) = &change.from_name {
        faults.line("/from_name", name, 200);
        faults.header_name("/from_name", name, 200);
        let allowed = |known: Placeholder| known.stands_anywhere();
        check_placeholders("/from_name", name, allowed, &mut faults);
    }
    for (member, text) in [("signature", &change.signature), ("head", &change.head), ("foot", &change.foot)] {
        if let Some(Some(text)) = text {
            let is_signature = member == "signature";
            let allowed = |known: Placeholder| {
                known.stands_anywhere() || (is_signature && known == Placeholder::AgentSignature)
            };
            check_template(cx, &format!("/{member}"), text, allowed, &mut faults);
        }
    }
    faults.check()?;

    let kept = |given: &Option<Option<Written>>, was: &Option<Json<Written>>| match given {
        Some(given) => given.clone().map(Json::new),
        None => was.clone(),
    };
    let after = MailboxOutgoing {
        from_name: change.from_name.clone().unwrap_or_else(|| before.from_name.clone()),
        signature: kept(&change.signature, &before.signature),
        head: kept(&change.head, &before.head),
        foot: kept(&change.foot, &before.foot),
        quote_history: change.quote_history.unwrap_or(before.quote_history),
        ..before.clone()
    };
    if after == before {
        return Ok(before);
    }
    let after = MailboxOutgoing { version: before.version + 1, updated_at: cx.now, ..after };
    if !store::mailbox_outgoing::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    cx.tell(NewEvent::new(EventType::MailboxUpdated, about).with("outgoing_changed", true));
    Ok(after)
}

/// Notes what is wrong with a text that is a template.
pub(super) fn check_template(
    cx: &Cx<'_>,
    at: &str,
    text: &Written,
    allowed: impl Fn(Placeholder) -> bool,
    faults: &mut Faults,
) {
    if text.text.contains('\0') {
        faults.add(format!("{at}/text"), "nul_character", "must not hold U+0000");
    }
    check_placeholders(&format!("{at}/text"), &text.text, allowed, faults);
    if let Err(fault) = cx.ports.composer.render(text) {
        faults.add(format!("{at}/text"), "invalid_markup", fault);
    }
}

fn check_placeholders(at: &str, template: &str, allowed: impl Fn(Placeholder) -> bool, faults: &mut Faults) {
    if let Some(detail) = template::fault(template, allowed) {
        faults.add(at, "invalid_template", detail);
    }
}
