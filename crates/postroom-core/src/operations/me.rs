//! What an agent changes of themselves. The address is what they sign in with and where a forgotten password is set
//! anew: whoever found an open session must not make it their own.

use super::agents::{card, check_signature, taken};
use super::sessions::own_agent;
use super::totp::Proof;
use super::{notices, overtaken, require_version};
use crate::access::Scope;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::event::{About, Changes, EventType, NewEvent};
use crate::outgoing::Written;
use crate::people::{Agent, AgentCard};
use crate::store::types::Json;
use crate::text::{fold_address, one_line};
use crate::{Error, store};

/// What an agent may change of themselves; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnChange {
    /// The name customers see.
    pub name: Option<String>,
    /// What they sign in with and where the desk reaches them.
    pub email: Option<String>,
    /// What stands below what they write; `Some(None)`: nothing.
    pub signature: Option<Option<Written>>,
    /// Whether they are told by mail what came back in their conversations.
    pub bounce_notices: Option<bool>,
}

impl Desk {
    /// Changes the agent that the caller speaks for, in what is their own business. Another address takes the
    /// password, and a code where they sign in with codes: a wrong one counts as a try to sign in. The mail
    /// that tells of it goes to the address before.
    pub async fn update_own(
        &self,
        actor: &Actor,
        expected: Option<String>,
        change: OwnChange,
        password: Option<String>,
        code: Option<String>,
    ) -> Result<AgentCard, Error> {
        let (seen, wished) = (expected.clone(), change.clone());
        let (before, after) = self.read(actor, move |cx| changed(cx, seen.as_deref(), &wished)).await?;
        let address = before.email.clone();
        let work = move |cx: &mut Cx<'_>| update(cx, expected.as_deref(), &address, &change);
        if before.email == after.email {
            return self.write(actor, work).await;
        }
        let told = "your password: the address is what you sign in with";
        let password = password.ok_or_else(|| Error::invalid("/current_password", "required", told))?;
        let proven = self.prove(actor, Proof { password, code }, work);
        proven.await.map_err(|error| error.renamed("/password", "/current_password"))
    }
}

/// The agent as they are, and as they are to be.
fn changed(cx: &mut Cx<'_>, expected: Option<&str>, change: &OwnChange) -> Result<(Agent, Agent), Error> {
    let is_signing = change.signature.is_some() || change.bounce_notices.is_some();
    if is_signing || !cx.access().has(Scope::NotesWrite) {
        cx.access().require(Scope::MessagesSend)?;
    }
    let id = own_agent(cx)?;
    let before = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    require_version("agent", expected, before.etag())?;
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        faults.line("/name", name, 200);
    }
    if let Some(email) = &change.email {
        faults.email("/email", email);
        let folded = fold_address(email);
        let own = store::mailboxes::list(cx.conn)?;
        if folded != fold_address(&before.email)
            && own.iter().any(|mailbox| mailbox.own_addresses().any(|address| address == folded))
        {
            faults.add(
                "/email",
                "mailbox_address",
                "is where customers write to: a mailbox has this address",
            );
        }
    }
    check_signature(cx, change.signature.as_ref(), &mut faults);
    faults.check()?;
    let mut after = before.clone();
    if let Some(name) = &change.name {
        after.name = one_line(name, 200);
    }
    if let Some(email) = &change.email {
        let other = store::people::find_agent_by_email(cx.conn, &fold_address(email))?;
        if other.is_some_and(|other| other.id != id) {
            return Err(taken(cx, email)?);
        }
        after.email.clone_from(email);
    }
    if let Some(signature) = &change.signature {
        after.signature = signature.clone().map(Json::new);
    }
    after.bounce_notices = change.bounce_notices.unwrap_or(after.bounce_notices);
    Ok((before, after))
}

/// Writes the change. Whether it takes the password was decided by the address they had then: where that has changed
/// meanwhile, nothing is written.
fn update(
    cx: &mut Cx<'_>,
    expected: Option<&str>,
    address: &str,
    change: &OwnChange,
) -> Result<AgentCard, Error> {
    let (before, after) = changed(cx, expected, change)?;
    if before.email != address {
        return Err(Error::Stale { noun: "agent", etag: before.etag() });
    }
    if after == before {
        return card(cx, before);
    }
    let mut changes = Changes::default();
    changes.note("name", &before.name, &after.name);
    changes.note("email", &before.email, &after.email);
    changes.note("bounce_notices", &before.bounce_notices, &after.bounce_notices);
    let written = store::people::update_agent(cx.conn, &before, &after, cx.now)?.ok_or_else(overtaken)?;
    if before.email != after.email {
        // What was mailed to the address before opens nothing any more.
        store::sign_in::delete_one_time(cx.conn, before.id, None)?;
        let text = format!(
            "You sign in to your help desk with another address from now on: {}\n\n\
             If it was not you who changed it, tell whoever runs your help desk at once.\n",
            after.email
        );
        notices::mail_person(cx, &before, "Another address for your help desk", &text)?;
    }
    let event = NewEvent::new(EventType::AgentUpdated, About::default())
        .with("agent_id", before.id.0)
        .with("signature_changed", after.signature != before.signature)
        .changing(changes);
    cx.tell(event);
    card(cx, written)
}
