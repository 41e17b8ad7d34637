//! Mail comes in: one transaction a batch, with its blobs, ledger, messages, threading and
//! events. Whatever dies, a mail is there with all that belongs to it, or not at all.

use super::leases;
use super::outbox::Evidence;
use crate::auto_reply::WantedAnswer;
use crate::conversation::{Conversation, LinkReason};
use crate::cx::Cx;
use crate::event::{About, EventType, NewEvent};
use crate::id::{MailboxId, MessageId, TeamId};
use crate::intake::{Arrival, Batch, History, Receipt};
use crate::mail::{Class, Mail};
use crate::mailbox::{AfterIngest, FolderRole, Mailbox, Source};
use crate::own_id::Reading;
use crate::store::types::Json;
use crate::text::{fold_address, without_plus};
use crate::threading::decide::{Arriving, decide};
use crate::threading::keys::{self, Keys};
use crate::threading::{Decision, Flag, Outcome, Policy};
use crate::time::Timestamp;
use crate::{Error, store};
use std::collections::HashSet;

mod bursts;
mod circles;
mod complete;
mod desk;
pub(super) mod digests;
mod effects;
mod imported;
mod junk;
mod known;
mod ledger;
mod people;
mod placing;
mod reports;
mod round_trips;
mod senders;
mod sent;
pub mod simulate;
use bursts::Bursts;
pub use bursts::expire;
pub(super) use desk::{because, is_stores};
use digests::Purged;
use known::Known;
use ledger::Ledger;
use reports::Report;

/// What holds for every mail of a batch.
struct Circumstances {
    mailbox: Mailbox,
    role: FolderRole,
    group: Vec<MailboxId>,
    own_addresses: HashSet<String>,
    agent_addresses: HashSet<String>,
    policy: Policy,
    history: Option<History>,
    /// The mailbox gives automatic answers.
    answers: bool,
    /// The team that gets what begins here.
    team_id: Option<TeamId>,
}

impl Circumstances {
    /// Whether a folded address is one of our mailboxes, with or without a word behind a plus.
    fn is_own(&self, folded: &str) -> bool {
        self.own_addresses.contains(folded) || self.own_addresses.contains(&without_plus(folded))
    }

    /// The moment that a mail is placed at. What is history was answered in its own time: a
    /// conversation that is long closed now was not when its mails came.
    fn at(&self, arrival: &Arrival, now: Timestamp) -> Timestamp {
        let received = arrival.internal_date.unwrap_or(now).min(now);
        if self.history.is_some() { received } else { now }
    }
}

/// A mail with everything that is found out about it before it is placed.
struct Read<'a> {
    arrival: &'a Arrival,
    mail: &'a Mail,
    class: Class,
    keys: Keys,
    sender: String,
    /// How many marks of ours it bears.
    own_marks: usize,
    /// It bears a Message-ID and a mark of ours.
    is_echo: bool,
    /// What it is to the desk: what its folder is, or, in history, what it says itself.
    role: FolderRole,
}

/// Takes a batch in. Mails that are in the ledger already are left as they are; the receipts
/// are those of the others, in their order.
pub fn receive(cx: &mut Cx<'_>, batch: &Batch) -> Result<Vec<Receipt>, Error> {
    hold(cx, batch)?;
    let here = circumstances(cx, batch)?;
    let told = cx.events.len();
    store::conn::lock_group(cx.conn, &here.mailbox.group)?;
    let locations: Vec<&str> = batch.arrivals.iter().map(|a| a.location.as_str()).collect();
    let seen = store::ledger::known_locations(cx.conn, batch.mailbox_id, &batch.folder, &locations)?;
    let mut taken = HashSet::new();
    let fresh: Vec<Read<'_>> = batch
        .arrivals
        .iter()
        .filter(|arrival| !seen.contains(&arrival.location) && taken.insert(arrival.location.as_str()))
        .map(|arrival| read(cx, &here, arrival))
        .collect();
    let again = store::ledger::retried(cx.conn, batch.mailbox_id, &batch.folder, &locations)?;
    let mut known = Known::load(cx, &here, &fresh)?;
    let purged = Purged::load(cx, &here, &fresh)?;
    let mut bursts = Bursts::load(cx, &here, &fresh)?;
    let mut ledger = Ledger::new(batch, cx.now);
    for mail in &fresh {
        let part = again.get(&mail.arrival.location).and_then(|row| row.message_id);
        let completed = match part {
            Some(message) => complete::complete(cx, &mut known, &mut ledger, mail, message)?,
            None => false,
        };
        // One that is here besides is the same mail and not the one that went.
        if !completed && purged.has(cx, &here, mail) && known.same(cx, &here, mail)?.is_none() {
            ledger.ignore(mail.arrival, "the same mail was deleted for good before");
            continue;
        }
        if !completed {
            let is_flood = bursts.count(cx, &here, mail);
            take_in(cx, &here, &mut known, &mut ledger, mail, is_flood)?;
        }
    }
    known.write(cx)?;
    reports::reached(cx, &here, &fresh)?;
    bursts.write(cx)?;
    if batch.history.is_some() {
        for event in &mut cx.events[told..] {
            event.data.insert("history".to_owned(), true.into());
        }
    }
    ledger.write(cx, &here.mailbox)
}

/// What a poll fetched counts only as long as the mailbox is its daemon's, and what is kept of it is safe.
fn hold(cx: &mut Cx<'_>, batch: &Batch) -> Result<(), Error> {
    batch.arrivals.iter().try_for_each(|arrival| crate::blobs::require_recent(arrival.raw.put_at, cx.now))?;
    batch.lease.as_ref().map_or(Ok(()), |lease| leases::hold(cx, lease))
}

fn circumstances(cx: &mut Cx<'_>, batch: &Batch) -> Result<Circumstances, Error> {
    let id = batch.mailbox_id;
    let all = store::mailboxes::list(cx.conn)?;
    let mailbox = all.iter().find(|mailbox| mailbox.id == id).ok_or(Error::NotFound("mailbox"))?.clone();
    let policy = Policy {
        strangers: mailbox.strangers,
        same_domain_joins: true,
        reopen_within: cx.settings.reopen_within,
        relay_addresses: mailbox.relay_addresses.iter().map(|a| fold_address(a)).collect(),
    };
    Ok(Circumstances {
        group: all.iter().filter(|other| other.group == mailbox.group).map(|other| other.id).collect(),
        own_addresses: all.iter().flat_map(Mailbox::own_addresses).collect(),
        agent_addresses: store::people::agent_addresses(cx.conn, id)?.into_iter().collect(),
        policy,
        role: batch.role,
        history: batch.history,
        answers: store::auto_replies::find(cx.conn, id)?.is_some_and(|settings| settings.answers()),
        team_id: store::mailbox_routing::team_of(cx.conn, id)?,
        mailbox,
    })
}

fn read<'a>(cx: &Cx<'_>, here: &Circumstances, arrival: &'a Arrival) -> Read<'a> {
    let signer = cx.keys.signer();
    let mail = &arrival.mail;
    let own_marks = mail.instance_marks.iter().filter(|mark| signer.is_own_mark(mark)).count();
    let keys = keys::read(mail, &here.own_addresses, signer);
    let sender = mail.sender().map(|sender| fold_address(&sender.email)).unwrap_or_default();
    let has_own_id = keys.message_id.as_deref().is_some_and(|id| matches!(signer.read(id), Reading::Ours(_)));
    Read {
        class: if own_marks > circles::MARKS { Class::Loop } else { mail.class },
        own_marks,
        is_echo: has_own_id && own_marks > 0,
        keys,
        role: role(here, mail, &sender),
        sender,
        arrival,
        mail,
    }
}

/// History is taken in by whoever runs the desk: there a mail from one of us to somebody outside is what
/// it says it is, an answer, since old mail seldom lies apart by folders.
fn role(here: &Circumstances, mail: &Mail, sender: &str) -> FolderRole {
    let is_ours = || here.own_addresses.contains(sender) || here.agent_addresses.contains(sender);
    let is_history = here.history.is_some() && here.role == FolderRole::Inbox;
    if is_history && is_ours() && sent::outside_of(here, mail).next().is_some() {
        FolderRole::Sent
    } else {
        here.role
    }
}

fn take_in(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    ledger: &mut Ledger,
    read: &Read<'_>,
    is_flood: bool,
) -> Result<(), Error> {
    if let Some(trip) = round_trips::of(cx, read) {
        return round_trips::note(cx, here, ledger, read, trip);
    }
    if let Some((message, mut conversation, reason)) = known.same(cx, here, read)? {
        let is_copy = read.role == FolderRole::Sent;
        known.settle(cx, message, if is_copy { Evidence::SentFolder } else { Evidence::Echo })?;
        if read.role == FolderRole::Sent {
            conversation = sent::recognise(cx, here, known, ledger, read, message, conversation)?;
        }
        if read.role == FolderRole::Inbox {
            imported::came_in(cx, here, known, ledger, read, message, conversation)?;
        }
        ledger.duplicate(read.arrival, message, conversation, reason);
        known.keep_bytes(read.arrival, cx.now);
        if read.role == FolderRole::Inbox && here.history.is_none() {
            junk::moved_out(cx, known, message, conversation)?;
        }
        return Ok(());
    }
    if read.class == Class::Loop && !read.arrival.asked_for {
        return circles::break_off(cx, here, known, ledger, read);
    }
    if read.role == FolderRole::Sent && sent::outside(here, read).next().is_none() {
        ledger.ignore(read.arrival, "an agent's mail to nobody outside");
        return Ok(());
    }
    let mut decision = place(cx, here, known, read)?;
    add_flags(&mut decision, read, known.is_reused(&read.keys), is_flood);
    let joined = match (decision.outcome, decision.conversation_id) {
        (Outcome::Append, Some(id)) => {
            let into = known.conversation(cx, id)?;
            Some(known.join(cx, ledger, into, &decision.joined)?)
        }
        _ => None,
    };
    let is_new = joined.is_none();
    let report = Report::read(cx, here, known, read, joined.as_ref())?;
    if report.as_ref().is_some_and(|report| report.is_doubtful) {
        decision.flags.push(Flag::DoubtfulReport);
    }
    let conversation = match joined {
        Some(conversation) => conversation,
        None => placing::begin(cx, here, known, read)?,
    };
    let message_id = placing::keep_message(cx, here, known, read, &conversation, &decision)?;
    let written = effects::touch(cx, here, read, &conversation, message_id, is_new, report.as_ref())?;
    placing::add_participants(here, known, read, &written, &decision);
    link(cx, &written, &decision, message_id)?;
    known.remember(here, read, &decision, &written, message_id, cx.now);
    ledger.accept(read.arrival, message_id, written.id);
    let is_quiet = effects::tell(cx, read, &written, message_id, is_flood);
    // Nobody sat down to write what is automatic: that it gets no answer goes without saying.
    if is_new && here.answers && here.history.is_none() && !is_quiet && !read.class.is_automatic() {
        let hints = Json::new(read.mail.answer_hints.clone());
        store::auto_replies::want(cx.conn, &WantedAnswer { message_id, hints })?;
    }
    // First, that what comes back was taken.
    match &report {
        Some(report) if !is_new => known.settle(cx, report.of(), Evidence::Report)?,
        Some(_) => {}
        None => known.settle_answered(cx, read)?,
    }
    reports::follow(cx, here, read, &written, message_id, report.as_ref())?;
    known.put(written);
    Ok(())
}

/// Where a mail belongs.
fn place(
    cx: &mut Cx<'_>,
    here: &Circumstances,
    known: &mut Known,
    read: &Read<'_>,
) -> Result<Decision, Error> {
    let facts = known.facts(cx, here, read)?;
    let arriving = Arriving {
        mail: read.mail,
        keys: &read.keys,
        sender: &read.sender,
        from_sent_folder: read.role == FolderRole::Sent,
        own_addresses: &here.own_addresses,
        agent_addresses: &here.agent_addresses,
        received_at: read.arrival.internal_date.unwrap_or(cx.now).min(cx.now),
        now: here.at(read.arrival, cx.now),
    };
    let mut decision = decide(&arriving, &facts, &here.policy);
    if read.role == FolderRole::Junk {
        junk::turn_away(cx, known, &mut decision)?;
    }
    Ok(decision)
}

fn add_flags(decision: &mut Decision, read: &Read<'_>, reused: bool, is_flood: bool) {
    let more = [
        (reused, Flag::ReusedId),
        (read.mail.problem.is_some(), Flag::Unreadable),
        (read.arrival.oversized, Flag::Oversized),
        (read.mail.is_shortened, Flag::Shortened),
        (is_flood, Flag::Flood),
    ];
    for (applies, flag) in more {
        if applies && !decision.flags.contains(&flag) {
            decision.flags.push(flag);
        }
    }
}

fn link(
    cx: &mut Cx<'_>,
    conversation: &Conversation,
    decision: &Decision,
    message: MessageId,
) -> Result<(), Error> {
    let reason = match decision.outcome {
        Outcome::Link => Some(LinkReason::Suggested),
        Outcome::FollowUp => Some(LinkReason::FollowUp),
        Outcome::Append | Outcome::New => None,
    };
    if let (Some(reason), Some(other)) = (reason, decision.conversation_id) {
        store::conversations::insert_link(cx.conn, conversation.id, other, reason, message, cx.now)?;
    }
    for other in decision.also_references.iter().filter(|other| **other != conversation.id) {
        let reason = LinkReason::References;
        store::conversations::insert_link(cx.conn, conversation.id, *other, reason, message, cx.now)?;
    }
    Ok(())
}

/// Puts a mail aside that could not be taken in: kept, listed, in nobody's way.
pub fn quarantine(cx: &mut Cx<'_>, batch: &Batch, arrival: &Arrival, why: &str) -> Result<(), Error> {
    hold(cx, batch)?;
    let mailbox = store::mailboxes::find(cx.conn, batch.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    store::blobs::insert(cx.conn, &[crate::blobs::row(&arrival.raw, cx.now)])?;
    let mut ledger = Ledger::new(batch, cx.now);
    ledger.quarantine(arrival, &crate::text::one_line(why, 500));
    ledger.write(cx, &mailbox)?;
    let about = About { mailbox_id: Some(mailbox.id), ..About::default() };
    let event = NewEvent::new(EventType::MailQuarantined, about)
        .with("folder", batch.folder.clone())
        .with("location", arrival.location.clone())
        .with("reason", why);
    cx.tell(event);
    Ok(())
}

/// What is done on the server to a mail that came in, by the mailbox's set-up.
fn action(source: &Source) -> Option<(String, u64)> {
    const DAY: u64 = 24 * 60 * 60;
    let Source::Imap { after_ingest, .. } = source else { return None };
    match after_ingest {
        AfterIngest::Leave => None,
        AfterIngest::Seen => Some(("seen".to_owned(), 0)),
        AfterIngest::Move { folder } => Some((format!("move:{folder}"), 0)),
        AfterIngest::Delete { after_days } => Some(("delete".to_owned(), u64::from(*after_days) * DAY)),
    }
}
