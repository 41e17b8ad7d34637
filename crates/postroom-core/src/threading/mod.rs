//! Which conversation a mail belongs to, and why: rules R0 to R10, pure.
//!
//! The rules, by the numbers that decisions and comments name:
//! R0 ids are made comparable, and what is no id is dropped; R1 what is the same mail is one
//! message; R2 a report is placed by the mail it is about alone; R3 keys have strengths, A to E;
//! R4 the sender must be part of the conversation (the gate); R5 the nearest conversation that
//! lets the sender in is taken; two that a mail shows to be one customer's one matter become one
//! where nobody has worked on the one that goes ([`decide`]); R6 state decides: merged is followed,
//! deleted is left, long closed is followed by a new one; R7 a forward is no answer; R8 a list or
//! a relay is not the customer; R9 mailboxes of one group share conversations; R10 the decision
//! is kept with the message.
//!
//! The order of work: [`keys::read`] takes from a mail what could name a conversation; the
//! store looks up what those keys mean ([`Facts`]); [`decide::decide`] weighs them. Nothing
//! here asks a database or a clock, so every rule can be tried on a table.
//!
//! The rule above all others: a mail whose sender is not part of a conversation is never put
//! into it by itself, whatever key it carries. It becomes a conversation of its own, linked to
//! the other.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod customer;
pub mod decide;
pub(crate) mod freemail;
mod gate;
pub mod identity;
pub mod keys;
pub mod subject;
#[cfg(test)]
mod vectors;

use crate::id::{ConversationId, CustomerId};
use crate::mail::SenderAuth;
use crate::mailbox::Strangers;
use crate::time::Timestamp;
use crate::word::words;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use utoipa::ToSchema;

words! {
    /// How much a key is worth (R3), the strongest first.
    pub enum Strength {
        /// A seal of ours: plus address or sealed Message-ID.
        A = "A",
        /// A Message-ID known in this group of mailboxes: a message, or one that was referred to.
        B = "B",
        /// A name that a relay gave to a message of ours.
        Alias = "B'",
        /// A hint: Thread-Index with equal subject.
        C = "C",
        /// The conversation's number in the subject. Guessable.
        D = "D",
        /// Same subject, same sender, lately. Guessable.
        E = "E",
    }

    /// What the sender is to a conversation (R4).
    pub enum SenderClass {
        /// Its customer, by an address that is theirs.
        P1 = "P1",
        /// Somebody an agent wrote to or let in.
        P2 = "P2",
        /// Somebody its customer wrote to as well.
        P3 = "P3",
        /// Somebody of the customer's own domain, which is not a public mail provider's.
        P4 = "P4",
        /// Anybody else.
        P0 = "P0",
        /// An agent, proven by the mailbox's own Sent folder.
        Agent = "agent",
    }

    /// What an id in the map is.
    pub enum IdKind {
        /// The Message-ID of a message that is here.
        Real = "real",
        /// Another name of a message that is here.
        Alias = "alias",
        /// Referred to, never seen.
        Ghost = "ghost",
        /// The Message-ID of a mail that its sender's domain disowns: such a mail is known again by
        /// it, and nothing is led anywhere.
        Disowned = "disowned",
    }

    /// How somebody became part of a conversation.
    pub enum ParticipantClass {
        /// It is their conversation.
        Customer = "customer",
        /// An agent wrote to them.
        Invited = "invited",
        /// Its customer wrote to them as well.
        Copied = "copied",
    }

    /// What a frontend should show beside a message.
    pub enum Flag {
        /// Nobody we trust vouches for the sender.
        Unverified = "unverified",
        /// The sender joined with this message.
        NewParticipant = "new_participant",
        /// The sender's domain disowns the mail.
        Suspicious = "suspicious",
        /// Put here by a guess (subject), to be undone in one step.
        Guess = "guess",
        /// The same Message-ID came before with other content.
        ReusedId = "reused_id",
        /// The mail could not be read in full.
        Unreadable = "unreadable",
        /// The text was cut.
        Shortened = "shortened",
        /// The mail is larger than what is taken in whole.
        Oversized = "oversized",
        /// One of very many from this sender in a few minutes: nothing automatic follows from it.
        Flood = "flood",
        /// The server took it for junk, and nobody said otherwise yet.
        Junk = "junk",
        /// It reports that a mail of ours did not arrive, but who reports it may be anybody who has seen that
        /// mail: nothing follows from it.
        DoubtfulReport = "doubtful_report",
        /// A program brought it here from another desk (`imported`): what it says of its author and its dates is
        /// that program's word.
        Imported = "imported",
    }

    /// What came of it.
    pub enum Outcome {
        /// It joins a conversation.
        Append = "append",
        /// It begins one of its own, linked to another.
        Link = "link",
        /// It begins one that follows a closed one.
        FollowUp = "follow_up",
        /// It begins one.
        New = "new",
    }
}

/// An installation's choices that threading knows of.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What strangers may do in this mailbox.
    pub strangers: Strangers,
    /// A colleague of the customer (P4) with passing authentication joins; else links.
    pub same_domain_joins: bool,
    /// A conversation closed longer than this ago is not reopened: 30 days.
    pub reopen_within: Duration,
    /// Senders that only pass on: Reply-To is the customer (R8). Folded.
    pub relay_addresses: HashSet<String>,
}

/// Who owns an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdOwner {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What the id is.
    pub kind: IdKind,
}

/// What is known of a conversation that a key led to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which.
    pub id: ConversationId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// In the group of mailboxes that this mail came to. If not, seals alone lead here.
    pub same_group: bool,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
    /// It is in the trash.
    pub deleted: bool,
    /// Nobody wanted it.
    pub spam: bool,
    /// Only a junk folder says that it is spam, and this mail did not come out of one: it must not
    /// vanish where nobody looks.
    pub junk: bool,
    /// When something last happened in it.
    pub last_activity_at: Timestamp,
    /// Its subject.
    pub subject: String,
    /// Who is part of it: folded address to how.
    pub participants: HashMap<String, ParticipantClass>,
    /// Confirmed addresses of its customer, folded.
    pub confirmed_addresses: HashSet<String>,
}

/// What the store knows about a mail's keys. Merged conversations are already followed to
/// where they went.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whom the candidate ids belong to: each conversation once, who claimed the id first first.
    pub ids: HashMap<String, Vec<IdOwner>>,
    /// The conversations that any key leads to, each under the id that the key names; where
    /// that one was merged away, the value is the one it went to.
    pub conversations: HashMap<ConversationId, Candidate>,
    /// Conversations of the sender as customer in this group, the newest ones; empty where nothing
    /// asks for them.
    pub recent_of_sender: Vec<ConversationId>,
    /// Those of `conversations` in which nobody but mail has done anything: no answer, no note, no
    /// assignment, no status, no tag. Only told where a mail's ids reach several.
    pub untouched: HashSet<ConversationId>,
    /// Who wrote the mail in those of `conversations` where that matters: where there are several, and
    /// where the sender is the customer. Folded.
    pub writers: HashMap<ConversationId, HashSet<String>>,
    /// Those of `ids` that name a mail which left from here, under whatever name: a bounce, a
    /// receipt or a complaint about one is let in whoever sends it. Sealed ids need not be here.
    pub ids_of_ours: HashSet<String>,
}

/// One conversation that was looked at, and why it was taken or passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Weighed {
    /// Which.
    pub conversation_id: ConversationId,
    /// By how good a key.
    pub strength: Strength,
    /// The key: an id, an address, a subject tag.
    pub key: String,
    /// What the sender is to it.
    pub sender_class: SenderClass,
    /// What the rule said: `append`, `link`, `deleted`, `another group`, …
    pub verdict: String,
}

/// Why a message is where it is (R10). Stored with it and shown by the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// What came of it.
    pub outcome: Outcome,
    /// The conversation joined, linked to or followed; `null` for a new one.
    pub conversation_id: Option<ConversationId>,
    /// The rule in words: `R4: B, P1, none`.
    pub rule: String,
    /// How good the deciding key was.
    pub strength: Option<Strength>,
    /// The deciding key.
    pub key: Option<String>,
    /// What the sender is to the conversation.
    pub sender_class: SenderClass,
    /// What a trusted server says of the sender.
    pub sender_auth: SenderAuth,
    /// All that was looked at, the best first.
    pub candidates: Vec<Weighed>,
    /// What to show beside the message.
    pub flags: Vec<Flag>,
    /// Other conversations that its references reach.
    pub also_references: Vec<ConversationId>,
    /// Conversations that nobody had worked on and that this mail showed to be one with its own:
    /// they were merged into it.
    #[serde(default)]
    pub joined: Vec<ConversationId>,
    /// Somebody moved the message here from that conversation; all else says why it was there.
    #[serde(default)]
    pub moved_from: Option<ConversationId>,
    /// Ids of our shape whose seal is broken: forged, or another installation's.
    pub broken_seals: u32,
}
