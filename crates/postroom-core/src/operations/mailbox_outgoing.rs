//! How a mailbox's mail looks: read and changed.

use super::mailboxes::{find as find_mailbox, manageable};
use super::{overtaken, require_version};
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, EventType, NewEvent};
use crate::id::{AttachmentId, MailboxId};
use crate::mailbox_outgoing::{ALT_CHARS, LOGO_BYTES, MailboxLogo, MailboxOutgoing};
use crate::operations::messages::File;
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
    /// The logo.
    pub logo: Option<Option<LogoChange>>,
    /// Whether answers quote.
    pub quote_history: Option<bool>,
}

/// What is to change of a logo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogoChange {
    /// An upload of the caller's; `None`: the picture stays.
    pub attachment_id: Option<AttachmentId>,
    /// What is read in its place; `Some(None)`: the mailbox's name.
    pub alt: Option<Option<String>>,
}

/// How a mailbox's mail looks, with its logo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The texts.
    pub outgoing: MailboxOutgoing,
    /// The logo.
    pub logo: Option<MailboxLogo>,
}

/// How a mailbox's mail looks.
pub fn find(cx: &mut Cx<'_>, id: MailboxId) -> Result<Look, Error> {
    find_mailbox(cx, id)?;
    Ok(Look { outgoing: known(cx, id)?, logo: store::mailbox_outgoing::find_logo(cx.conn, id)? })
}

/// A mailbox's logo.
pub fn logo(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxLogo, Error> {
    find(cx, id)?.logo.ok_or(Error::NotFound("logo"))
}

/// The same, of a mailbox that was found before.
pub(super) fn known(cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxOutgoing, Error> {
    Ok(store::mailbox_outgoing::find(cx.conn, id)?.unwrap_or_else(|| MailboxOutgoing::unchanged(id)))
}

impl Desk {
    /// Changes how a mailbox's mail looks. It holds for what leaves from now on.
    pub async fn change_outgoing(
        &self,
        actor: &Actor,
        id: MailboxId,
        expected: Option<String>,
        change: OutgoingChange,
    ) -> Result<Look, Error> {
        let upload = match &change.logo {
            Some(Some(LogoChange { attachment_id: Some(upload), .. })) => {
                self.read(actor, move |cx| manageable(cx, id).map(drop)).await?;
                let read = self.files(actor, std::slice::from_ref(upload)).await;
                read.map_err(|error| match error {
                    Error::Invalid(_) => no_upload(),
                    other => other,
                })?
            }
            _ => Vec::new(),
        };
        self.write(actor, move |cx| update(cx, id, expected.as_deref(), &change, upload.first())).await
    }
}

fn no_upload() -> Error {
    let detail = "there is no upload of yours with this id that waits for its use";
    Error::invalid("/logo/attachment_id", "not_found", detail)
}

fn update(
    cx: &mut Cx<'_>,
    id: MailboxId,
    expected: Option<&str>,
    change: &OutgoingChange,
    upload: Option<&File>,
) -> Result<Look, Error> {
    let mailbox = manageable(cx, id)?;
    let Look { outgoing: before, logo: logo_before } = find(cx, id)?;
    require_version("outgoing", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(name) = &change.from_name {
        faults.line("/from_name", name, 200);
        let allowed = |known: Placeholder| known.stands_anywhere();
        check_placeholders("/from_name", name, allowed, &mut faults);
    }
    for (member, text) in [("signature", &change.signature), ("head", &change.head), ("foot", &change.foot)] {
        if let Some(Some(text)) = text {
            let is_signature = member == "signature";
            let allowed = |known: Placeholder| match known {
                Placeholder::AgentSignature => is_signature,
                Placeholder::Logo => !is_signature,
                other => other.stands_anywhere(),
            };
            check_template(cx, &format!("/{member}"), text, allowed, &mut faults);
        }
    }
    let logo = match &change.logo {
        None => logo_before.clone(),
        Some(None) => None,
        Some(Some(wanted)) => changed_logo(id, logo_before.as_ref(), wanted, upload, &mut faults),
    };
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
    if after == before && logo == logo_before {
        return Ok(Look { outgoing: before, logo });
    }
    let after = MailboxOutgoing { version: before.version + 1, updated_at: cx.now, ..after };
    if !store::mailbox_outgoing::put(cx.conn, &before, &after)? {
        return Err(overtaken());
    }
    if logo != logo_before {
        store::mailbox_outgoing::put_logo(cx.conn, id, logo.as_ref())?;
    }
    if let Some(upload) = upload
        && !store::attachments::take_upload(cx.conn, &upload.attachment.id)?
    {
        return Err(no_upload());
    }
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    cx.tell(NewEvent::new(EventType::MailboxUpdated, about).with("outgoing_changed", true));
    Ok(Look { outgoing: after, logo })
}

/// The logo as it is to be; where that can't be, notes why.
fn changed_logo(
    id: MailboxId,
    before: Option<&MailboxLogo>,
    wanted: &LogoChange,
    upload: Option<&File>,
    faults: &mut Faults,
) -> Option<MailboxLogo> {
    if let Some(Some(alt)) = &wanted.alt {
        faults.header_name("/logo/alt", alt, ALT_CHARS);
    }
    let alt = match &wanted.alt {
        Some(alt) => alt.clone(),
        None => before.and_then(|before| before.alt.clone()),
    };
    let Some(upload) = upload else {
        if before.is_none() {
            faults.add("/logo/attachment_id", "required", "there is no logo yet; name the upload that it is");
        }
        return before.map(|before| MailboxLogo { alt, ..before.clone() });
    };
    if upload.content.len() > LOGO_BYTES {
        faults.add("/logo/attachment_id", "too_large", format!("a logo has at most {LOGO_BYTES} bytes"));
    }
    let made = MailboxLogo::new(id, alt, upload.content.clone());
    if made.is_none() {
        faults.add("/logo/attachment_id", "no_picture", "a logo is a PNG, JPEG, GIF or WebP picture");
    }
    made
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
