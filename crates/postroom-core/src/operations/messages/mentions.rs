//! Agents whom a note names.

use super::NewMessage;
use crate::conversation::Conversation;
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::{AgentId, ConversationId, MessageId};
use crate::mailbox::Mailbox;
use crate::mention::{MENTIONS, meant, names};
use crate::message::MessageKind;
use crate::operations::{followers, roles};
use crate::people::Agent;
use crate::{Error, store};

/// Notes what is wrong with those whom a message names by number.
pub(super) fn check(
    cx: &mut Cx<'_>,
    id: Option<ConversationId>,
    mailbox: &Mailbox,
    new: &NewMessage,
    at: &str,
    faults: &mut Faults,
) -> Result<(), Error> {
    if new.mentions.is_empty() {
        return Ok(());
    }
    if new.kind != MessageKind::Note {
        faults.add(format!("{at}/mentions"), "not_allowed", "only a note names agents");
        return Ok(());
    }
    if new.mentions.len() > MENTIONS {
        faults.add(format!("{at}/mentions"), "too_many", format!("has at most {MENTIONS} members"));
        return Ok(());
    }
    let conversation = match id {
        Some(id) => store::conversations::find_many(cx.conn, &[id])?.remove(&id),
        None => None,
    };
    let known = store::people::agents_of(cx.conn, &new.mentions)?;
    for (index, id) in new.mentions.iter().enumerate() {
        let at = format!("{at}/mentions/{index}");
        match known.iter().find(|agent| agent.id == *id) {
            None => faults.add(at, "not_found", "there is no such agent"),
            Some(agent) if agent.disabled_at.is_some() => {
                faults.add(at, "disabled", "this agent has stopped");
            }
            Some(agent) => {
                let sees = match &conversation {
                    Some(conversation) => followers::sees(cx, agent, conversation)?,
                    None => roles::access_of(cx, agent)?.sees_mailbox(mailbox.id),
                };
                if !sees {
                    faults.add(at, "no_access", "this agent may not see this conversation");
                }
            }
        }
    }
    Ok(())
}

/// Writes down whom a new note names, by number or in its text, and has them follow the conversation. A name that
/// means nobody, or more than one, or somebody who may not see the conversation, is text.
pub(super) fn write(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    id: MessageId,
    new: &NewMessage,
) -> Result<Vec<AgentId>, Error> {
    let named = names(&new.writing.text);
    if named.is_empty() && new.mentions.is_empty() {
        return Ok(Vec::new());
    }
    let mut all: Vec<Agent> = store::people::agents(cx.conn)?;
    all.retain(|agent| agent.disabled_at.is_none());
    let in_text = named.iter().filter_map(|name| meant(name, &all));
    let by_number = all.iter().filter(|agent| new.mentions.contains(&agent.id));
    let mut agents: Vec<&Agent> = by_number.chain(in_text).collect();
    agents.sort_unstable_by_key(|agent| agent.id);
    agents.dedup_by_key(|agent| agent.id);
    agents.truncate(MENTIONS);
    let mut ids = Vec::with_capacity(agents.len());
    for agent in agents {
        if followers::sees(cx, agent, conversation)? {
            ids.push(agent.id);
        }
    }
    store::mentions::insert(cx.conn, id, &ids)?;
    let others: Vec<AgentId> = ids.iter().copied().filter(|id| cx.actor.agent_id != Some(*id)).collect();
    followers::join(cx, conversation, &others, "mentioned")?;
    Ok(ids)
}
