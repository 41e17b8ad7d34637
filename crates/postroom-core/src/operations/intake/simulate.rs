//! What would become of a mail: it is taken in as any other, in a transaction that is taken back.

use super::receive;
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::event::EventType;
use crate::id::{ConversationId, CustomerId, MailboxId, MessageId};
use crate::intake::{Arrival, Batch, Verdict};
use crate::mail::{Class, Mail};
use crate::mailbox::FolderRole;
use crate::operations::{customers, sight};
use crate::ports::ReadContext;
use crate::store::types::Json;
use crate::threading::Decision;
use crate::{Error, store};
use std::collections::HashSet;

/// Something that would be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WouldTell {
    /// What.
    pub kind: EventType,
    /// Of which conversation that is there now; `None` for one that would begin.
    pub conversation_id: Option<ConversationId>,
}

/// What would become of a mail. Numbers are of what is there now alone.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// What would become of it.
    pub verdict: Verdict,
    /// The message that it is already.
    pub message_id: Option<MessageId>,
    /// The conversation that it would join, or is in already.
    pub conversation_id: Option<ConversationId>,
    /// The customer whose conversation that is; `None` for one who would be made.
    pub customer_id: Option<CustomerId>,
    /// That conversation's subject; `None` where it would be put nowhere.
    pub conversation_subject: Option<String>,
    /// What kind of mail it is, as it would be treated.
    pub class: Class,
    /// The mail as it was read.
    pub mail: Mail,
    /// Why it would be there; `None` where it is here already.
    pub decision: Option<Decision>,
    /// What would be told, in order.
    pub events: Vec<WouldTell>,
}

impl Simulation {
    /// What the caller may know of it. What the mail itself says is its own.
    fn seen(mut self, cx: &mut Cx<'_>) -> Result<Self, Error> {
        let mut named: HashSet<ConversationId> = self.decision.as_ref().map(sight::named).unwrap_or_default();
        named.extend(self.conversation_id);
        named.extend(self.events.iter().filter_map(|event| event.conversation_id));
        let seen = sight::known(cx, &named)?;
        if self.conversation_id.is_some_and(|id| !seen.contains(&id)) {
            (self.message_id, self.conversation_id) = (None, None);
            (self.customer_id, self.conversation_subject) = (None, None);
        }
        if let Some(customer) = self.customer_id
            && !customers::is_readable(cx, customer)?
        {
            self.customer_id = None;
        }
        for event in &mut self.events {
            event.conversation_id = event.conversation_id.filter(|id| seen.contains(id));
        }
        self.decision = self.decision.map(|decision| sight::without_hidden(decision, &seen));
        Ok(self)
    }
}

impl Desk {
    /// Tries what would become of a mail. Nothing of it is kept and nothing is sent. Takes what
    /// pushing the mail takes.
    pub async fn simulate_mail(
        &self,
        actor: &Actor,
        id: MailboxId,
        raw: Vec<u8>,
    ) -> Result<Simulation, Error> {
        let mailbox = self.open_to(actor, id, &raw).await?;
        let (desk, actor) = (self.clone(), actor.clone());
        crate::desk::off_thread(move || {
            let context = ReadContext { trusted_authserv_ids: mailbox.trusted_authserv_ids };
            let arrival = Arrival {
                location: uuid::Uuid::now_v7().to_string(),
                uid: None,
                internal_date: Some(desk.now()),
                size: raw.len() as i64,
                mail: desk.ports().reader.read(&raw, &context),
                // Whatever its size: the object store could not take it back.
                raw: crate::blobs::for_database(&raw)?,
                oversized: false,
                is_history: false,
                asked_for: false,
            };
            let batch = Batch {
                mailbox_id: mailbox.id,
                folder: "simulation".to_owned(),
                role: FolderRole::Inbox,
                uidvalidity: None,
                lease: None,
                history: None,
                arrivals: vec![arrival],
            };
            let batch = desk.with_senders_checked(&batch);
            let simulation = desk.rehearse_here(&Actor::system(), |cx| simulate(cx, &batch))?;
            desk.read_here(&actor, |cx| simulation.clone().seen(cx))
        })
        .await
    }
}

fn simulate(cx: &mut Cx<'_>, batch: &Batch) -> Result<Simulation, Error> {
    let receipt = receive(cx, batch)?.pop().ok_or(Error::NotFound("receipt"))?;
    let mail = batch.arrivals.first().map(|arrival| arrival.mail.clone()).ok_or(Error::NotFound("mail"))?;
    let message = match receipt.message_id {
        Some(id) => store::messages::find(cx.conn, id)?,
        None => None,
    };
    let conversation = match receipt.conversation_id {
        Some(id) => store::conversations::find_many(cx.conn, &[id])?.remove(&id),
        None => None,
    };
    let begins: Vec<ConversationId> = cx
        .events
        .iter()
        .filter(|event| event.kind == EventType::ConversationCreated)
        .filter_map(|event| event.about.conversation_id)
        .collect();
    let made: Vec<CustomerId> = cx
        .events
        .iter()
        .filter(|event| event.kind == EventType::CustomerCreated)
        .filter_map(|event| event.about.customer_id)
        .collect();
    let is_there = |id: &ConversationId| !begins.contains(id);
    let is_new = matches!(receipt.verdict, Verdict::Accepted | Verdict::Oversized)
        && cx.events.iter().any(|event| event.about.message_id.is_some());
    let decision = message.as_ref().and_then(|message| message.threading.clone()).map(Json::into_inner);
    Ok(Simulation {
        verdict: receipt.verdict,
        message_id: message.as_ref().filter(|_| !is_new).map(|message| message.id),
        conversation_id: conversation.as_ref().map(|conversation| conversation.id).filter(is_there),
        customer_id: conversation.as_ref().map(|c| c.customer_id).filter(|id| !made.contains(id)),
        conversation_subject: conversation.map(|conversation| conversation.subject),
        class: message.map_or(mail.class, |message| message.class),
        decision: decision.filter(|_| is_new),
        events: cx
            .events
            .iter()
            .map(|event| WouldTell {
                kind: event.kind,
                conversation_id: event.about.conversation_id.filter(is_there),
            })
            .collect(),
        mail,
    })
}
