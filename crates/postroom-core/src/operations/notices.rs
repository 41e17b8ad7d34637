//! What the desk itself writes: to those who run it, that a mailbox can't be read, and that it can again; to
//! an agent, what they would otherwise learn too late. It leaves through the outbox like an answer, and
//! belongs to no conversation.

use crate::access::Role;
use crate::cx::Cx;
use crate::id::MailboxId;
use crate::mail::Address;
use crate::mailbox::{Delivery, End, Mailbox};
use crate::outgoing::{Automatic, Composed, Outgoing};
use crate::people::Agent;
use crate::text::{address_fault, domain_of, fold_address};
use crate::{Error, store};

/// The most administrators that a notice goes to: no mail has more recipients.
const ADMINISTRATORS: usize = 50;

/// Writes to the administrators, about a mailbox or the desk as a whole. Where that can't be done the
/// log says so and why: the event stands in any case.
pub(super) fn mail(
    cx: &mut Cx<'_>,
    about: Option<MailboxId>,
    subject: &str,
    text: &str,
) -> Result<(), Error> {
    let mailbox = about.map(|id| id.0);
    let administrators = administrators(cx)?;
    if administrators.is_empty() {
        tracing::warn!(mailbox, subject, "nobody is told by mail: there is no owner or admin");
        return Ok(());
    }
    let Some(carrier) = carrier(cx, about, None)? else {
        tracing::warn!(mailbox, subject, "nobody is told by mail: no mailbox can send");
        return Ok(());
    };
    if let Some(composed) = compose(cx, &carrier, administrators, subject, text) {
        queue(cx, &carrier, &composed)?;
    }
    Ok(())
}

/// Writes to an agent about what happened in a conversation, from its mailbox where that can send. It leaves
/// from `<>`: nobody waits for what comes back. A relay that refuses that gets the mailbox's address. Whether it will leave.
pub(super) fn mail_agent(
    cx: &mut Cx<'_>,
    mailbox: MailboxId,
    agent: &Agent,
    subject: &str,
    text: &str,
) -> Result<bool, Error> {
    let Some(carrier) = carrier(cx, Some(mailbox), Some(mailbox))? else {
        tracing::warn!(mailbox = mailbox.0, "an agent is not told by mail: no mailbox can send");
        return Ok(false);
    };
    carry(cx, &carrier, agent, subject, text)
}

/// Writes to an agent in person, about no mailbox. Whether it will leave. It leaves from `<>`, too.
pub(super) fn mail_person(cx: &mut Cx<'_>, agent: &Agent, subject: &str, text: &str) -> Result<bool, Error> {
    let Some(carrier) = carrier(cx, None, None)? else {
        tracing::warn!(subject, agent = agent.id.0, "an agent is not told by mail: no mailbox can send");
        return Ok(false);
    };
    carry(cx, &carrier, agent, subject, text)
}

fn carry(
    cx: &mut Cx<'_>,
    carrier: &Mailbox,
    agent: &Agent,
    subject: &str,
    text: &str,
) -> Result<bool, Error> {
    let to = Address { name: Some(agent.name.clone()), email: agent.email.clone() };
    let Some(composed) = compose(cx, carrier, vec![to], subject, text) else { return Ok(false) };
    queue(cx, carrier, &Composed { envelope_from: String::new(), ..composed })?;
    Ok(true)
}

/// `None`: it can't be written, and the log says why.
fn compose(cx: &Cx<'_>, carrier: &Mailbox, to: Vec<Address>, subject: &str, text: &str) -> Option<Composed> {
    let mut random = [0_u8; 16];
    rand::fill(&mut random);
    let folded = fold_address(&carrier.address);
    let outgoing = Outgoing {
        automatic: Some(Automatic::Generated),
        ..Outgoing::plain(
            Address { name: Some("postroom".to_owned()), email: carrier.address.clone() },
            to,
            crate::text::one_line(subject, crate::text::SUBJECT_CHARS),
            text,
            format!("<n.{}@{}>", crate::keys::sha256_hex(&random), domain_of(&folded)),
            cx.now,
            cx.keys.signer().instance_mark(),
        )
    };
    let composed = cx.ports.composer.compose(&outgoing);
    composed
        .inspect_err(
            |error| tracing::error!(mailbox = carrier.id.0, subject, %error, "nobody is told by mail"),
        )
        .ok()
}

fn queue(cx: &mut Cx<'_>, carrier: &Mailbox, composed: &Composed) -> Result<(), Error> {
    super::outbox::queue(cx, carrier.id, None, composed)?;
    cx.wake();
    Ok(())
}

/// Owners and admins who can be written to and are not disabled.
fn administrators(cx: &mut Cx<'_>) -> Result<Vec<Address>, Error> {
    let agents = store::people::agents(cx.conn)?.into_iter();
    let running = agents.filter(|agent| {
        agent.disabled_at.is_none()
            && matches!(agent.role, Role::Owner | Role::Admin)
            && address_fault(&agent.email).is_none()
    });
    let addresses = running.map(|agent| Address { name: Some(agent.name), email: agent.email });
    Ok(addresses.take(ADMINISTRATORS).collect())
}

/// The mailbox that a notice leaves from: the one that is preferred, if it works; else the one that the
/// settings name; else another that works; else the one that it is about, since its way out may work where
/// its way in does not.
fn carrier(
    cx: &mut Cx<'_>,
    about: Option<MailboxId>,
    preferred: Option<MailboxId>,
) -> Result<Option<Mailbox>, Error> {
    let mut able = store::mailboxes::list(cx.conn)?;
    able.retain(|mailbox| !mailbox.paused && matches!(mailbox.delivery, Delivery::Smtp { .. }));
    let states = store::mailboxes::states(cx.conn)?;
    let refused = store::authorizations::refused(cx.conn)?;
    let works = |mailbox: &Mailbox| {
        !refused.contains(&(mailbox.id, End::Delivery))
            && states.iter().any(|state| state.mailbox_id == mailbox.id && state.failing_since.is_none())
    };
    let named = cx.settings.notices_mailbox.as_deref();
    if let Some(name) = named
        && !able.iter().any(|mailbox| mailbox.name == name)
    {
        tracing::warn!(name, "notices.mailbox names no mailbox that can send; another one is taken");
    }
    let rank = |mailbox: &&Mailbox| match mailbox {
        mailbox if Some(mailbox.id) == preferred && works(mailbox) => 0,
        mailbox if named == Some(mailbox.name.as_str()) => 1,
        mailbox if Some(mailbox.id) != about && works(mailbox) => 2,
        mailbox if Some(mailbox.id) == about => 3,
        _ => 4,
    };
    Ok(able.iter().min_by_key(rank).cloned())
}
