//! A desk in memory that remembers what the real one would: conversations, who is part of them,
//! and whom each id belongs to. It stands in for the store, so that mails can come one after
//! another.

use crate::id::{ConversationId, CustomerId, MessageId};
use crate::mail::{Address, Class, Mail, SenderAuth};
use crate::mailbox::Strangers;
use crate::own_id::Signer;
use crate::text::fold_address;
use crate::threading::decide::{Arriving, customer_address, decide};
use crate::threading::identity::internal_id;
use crate::threading::keys::{self, Keys, normalise_id};
use crate::threading::{
    Candidate, Decision, Facts, Flag, IdKind, IdOwner, Outcome, ParticipantClass, Policy,
};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

pub const SUPPORT: &str = "support@desk.example";
pub const SALES: &str = "sales@desk.example";
pub const AGENT: &str = "agnes@desk.example";
pub const DAY: Duration = Duration::from_hours(24);

/// A mail being written.
#[derive(Clone)]
pub struct Letter(pub Mail);

/// A mail from a customer to support whose sender is vouched for.
pub fn letter(id: &str, from: &str) -> Letter {
    let mut mail = Mail::unreadable("");
    mail.problem = None;
    if !id.is_empty() {
        mail.message_id = vec![format!("<{id}>")];
    }
    mail.from = vec![address(from)];
    mail.to = vec![address(SUPPORT)];
    mail.delivered_to = vec![SUPPORT.to_owned()];
    mail.subject = "Printer on fire".into();
    mail.text = format!("text of {id}");
    mail.sender_auth = SenderAuth::Pass;
    Letter(mail)
}

fn address(email: &str) -> Address {
    Address { name: None, email: email.to_owned() }
}

impl Letter {
    /// Answers the last of these, as mail programs write it.
    pub fn refs(mut self, ids: &[&str]) -> Self {
        self.0.references = ids.iter().map(|id| format!("<{id}> ")).collect::<Vec<_>>().concat();
        self.0.in_reply_to = ids.last().map(|id| format!("<{id}>")).unwrap_or_default();
        self
    }

    pub fn subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.0.subject);
        self
    }

    pub fn to(mut self, email: &str) -> Self {
        self.0.to = vec![address(email)];
        self
    }

    pub fn cc(mut self, email: &str) -> Self {
        self.0.cc.push(address(email));
        self
    }

    pub fn auth(mut self, auth: SenderAuth) -> Self {
        self.0.sender_auth = auth;
        self
    }

    pub fn class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Mail)) -> Self {
        change(&mut self.0);
        self
    }
}

struct Conversation {
    group: String,
    customer: CustomerId,
    /// Somebody did something here.
    is_touched: bool,
    subject: String,
    closed_at: Option<Timestamp>,
    deleted: bool,
    last_activity_at: Timestamp,
    merged_into: Option<i64>,
    participants: HashMap<String, ParticipantClass>,
    links: BTreeSet<i64>,
}

/// A conversation that claims an id, and the message it names there.
type Claim = (IdOwner, Option<usize>);

/// What a mail is to the messages that bear its Message-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// None bears that id: a new message.
    New,
    /// The very same message, come another way: one more place it was seen in.
    Same,
    /// Other messages under a used id: a new message.
    Reused,
}

struct Message {
    conversation: i64,
    /// What it says, hashed; what never was mail has none.
    fingerprint: Option<[u8; 32]>,
    /// Who wrote it, folded.
    author: String,
    is_ours: bool,
    places: usize,
}

/// What became of a mail.
pub struct Landed {
    pub conversation: i64,
    pub message: usize,
    pub sameness: Sameness,
    pub keys: Keys,
    /// `None` for one more copy of a message.
    pub decision: Option<Decision>,
}

impl Landed {
    pub fn decision(&self) -> &Decision {
        self.decision.as_ref().expect("the mail was not a copy")
    }

    pub fn outcome(&self) -> Outcome {
        self.decision().outcome
    }
}

pub struct Desk {
    pub signer: Signer,
    pub policy: Policy,
    pub now: Timestamp,
    pub own_addresses: HashSet<String>,
    pub agent_addresses: HashSet<String>,
    conversations: BTreeMap<i64, Conversation>,
    messages: Vec<Message>,
    customers: Vec<String>,
    ids: HashMap<(String, String), Vec<Claim>>,
}

impl Desk {
    pub fn new() -> Self {
        Self {
            signer: Signer::new([7; 32]),
            policy: Policy {
                strangers: Strangers::Link,
                same_domain_joins: true,
                reopen_within: DAY * 30,
                relay_addresses: HashSet::new(),
            },
            now: Timestamp::from_seconds(1_795_334_400),
            own_addresses: HashSet::from([SUPPORT.to_owned(), SALES.to_owned()]),
            agent_addresses: HashSet::from([AGENT.to_owned()]),
            conversations: BTreeMap::new(),
            messages: Vec::new(),
            customers: Vec::new(),
            ids: HashMap::new(),
        }
    }

    /// A mail comes to a mailbox of the first group.
    pub fn receive(&mut self, letter: &Letter) -> Landed {
        self.take_in("main", letter, false)
    }

    /// A mail comes to a mailbox of another group.
    pub fn receive_at(&mut self, group: &str, letter: &Letter) -> Landed {
        self.take_in(group, letter, false)
    }

    /// A mail lies in the Sent folder.
    pub fn find_sent(&mut self, letter: &Letter) -> Landed {
        self.take_in("main", letter, true)
    }

    fn take_in(&mut self, group: &str, Letter(mail): &Letter, from_sent_folder: bool) -> Landed {
        let keys = keys::read(mail, &self.own_addresses, &self.signer);
        let raw_hash = format!("{:x}", Sha256::digest(format!("{mail:?}")));
        let author = mail.sender().map(|a| fold_address(&a.email)).unwrap_or_default();
        let fingerprint: [u8; 32] = Sha256::digest(format!("{author} {:?} {}", mail.date, mail.text)).into();
        let known_as = keys.message_id.clone().unwrap_or_else(|| internal_id(&raw_hash));
        let claims = self.ids.get(&(group.to_owned(), known_as.clone()));
        let bearers: Vec<usize> = claims.into_iter().flatten().filter_map(|(_, message)| *message).collect();
        let same =
            bearers.iter().position(|message| self.messages[*message].fingerprint == Some(fingerprint));
        let sameness = match (same, bearers.is_empty()) {
            (Some(_), _) => Sameness::Same,
            (None, true) => Sameness::New,
            (None, false) => Sameness::Reused,
        };
        if let Some(message) = same.map(|index| bearers[index]) {
            self.messages[message].places += 1;
            let conversation = self.messages[message].conversation;
            return Landed { conversation, message, sameness, keys, decision: None };
        }
        let facts = self.facts(group, &keys, &author);
        let arriving = Arriving {
            mail,
            keys: &keys,
            sender: &author,
            from_sent_folder,
            own_addresses: &self.own_addresses,
            agent_addresses: &self.agent_addresses,
            received_at: self.now,
            now: self.now,
        };
        let decision = decide(&arriving, &facts, &self.policy);
        let conversation = self.place(group, mail, &decision);
        for joined in &decision.joined {
            self.join(joined.0, conversation);
        }
        let message = self.messages.len();
        let written = Message {
            conversation,
            fingerprint: Some(fingerprint),
            author: author.clone(),
            is_ours: from_sent_folder,
            places: 1,
        };
        self.messages.push(written);
        let is_suspicious = decision.flags.contains(&Flag::Suspicious);
        self.remember(group, &known_as, IdKind::Real, conversation, message, is_suspicious);
        for (id, kind) in keys.names().filter(|(id, _)| *id != known_as) {
            self.remember(group, id, kind, conversation, message, is_suspicious);
        }
        self.admit(conversation, mail, &author, from_sent_folder, &decision);
        Landed { conversation, message, sameness, keys, decision: Some(decision) }
    }

    fn facts(&self, group: &str, keys: &Keys, sender: &str) -> Facts {
        let mut facts = Facts::default();
        for id in keys.ids() {
            for (owner, message) in self.ids.get(&(group.to_owned(), id.to_owned())).into_iter().flatten() {
                if owner.kind == IdKind::Disowned {
                    continue;
                }
                let at = self.follow(owner.conversation_id.0).map_or(owner.conversation_id.0, |(id, _)| id);
                let owner = IdOwner { conversation_id: ConversationId(at), kind: owner.kind };
                let known = facts.ids.entry(id.to_owned()).or_default();
                match known.iter_mut().find(|known| known.conversation_id == owner.conversation_id) {
                    Some(known) if known.kind == IdKind::Ghost => *known = owner,
                    Some(_) => {}
                    None => known.push(owner),
                }
                if message.is_some_and(|message| self.messages[message].is_ours) {
                    facts.ids_of_ours.insert(id.to_owned());
                }
            }
        }
        facts.recent_of_sender = self
            .conversations
            .iter()
            .filter(|(_, c)| {
                let is_customer = c.participants.get(sender) == Some(&ParticipantClass::Customer);
                is_customer && c.group == group && c.merged_into.is_none()
            })
            .map(|(id, _)| ConversationId(*id))
            .collect();
        let owners = facts.ids.values().flatten().map(|owner| owner.conversation_id);
        let named: Vec<_> =
            owners.chain(keys.conversations()).chain(facts.recent_of_sender.clone()).collect();
        for named in named {
            if let Some((id, conversation)) = self.follow(named.0) {
                if !conversation.is_touched {
                    facts.untouched.insert(ConversationId(id));
                }
                let mails =
                    self.messages.iter().filter(|message| !message.is_ours && message.conversation == id);
                facts.writers.insert(ConversationId(id), mails.map(|mail| mail.author.clone()).collect());
                facts.conversations.insert(
                    named,
                    Candidate {
                        id: ConversationId(id),
                        customer_id: conversation.customer,
                        same_group: conversation.group == group,
                        closed_at: conversation.closed_at,
                        deleted: conversation.deleted,
                        spam: false,
                        junk: false,
                        last_activity_at: conversation.last_activity_at,
                        subject: conversation.subject.clone(),
                        participants: conversation.participants.clone(),
                        confirmed_addresses: HashSet::new(),
                    },
                );
            }
        }
        facts
    }

    fn follow(&self, mut id: i64) -> Option<(i64, &Conversation)> {
        while let Some(next) = self.conversations.get(&id)?.merged_into {
            id = next;
        }
        self.conversations.get(&id).map(|conversation| (id, conversation))
    }

    fn place(&mut self, group: &str, mail: &Mail, decision: &Decision) -> i64 {
        let id = match (decision.outcome, decision.conversation_id) {
            (Outcome::Append, Some(id)) => id.0,
            (_, related) => {
                let id = 1 + self.conversations.len() as i64;
                let customer = customer_address(mail, &self.policy, &self.own_addresses);
                let customer = customer.map(|a| fold_address(&a.email)).unwrap_or_default();
                let known = self.customers.iter().position(|known| *known == customer);
                let number = known.unwrap_or(self.customers.len());
                if known.is_none() {
                    self.customers.push(customer.clone());
                }
                self.conversations.insert(
                    id,
                    Conversation {
                        group: group.to_owned(),
                        customer: CustomerId(number as i64),
                        is_touched: false,
                        subject: mail.subject.clone(),
                        closed_at: None,
                        deleted: false,
                        last_activity_at: self.now,
                        merged_into: None,
                        participants: HashMap::from([(customer, ParticipantClass::Customer)]),
                        links: related.iter().map(|related| related.0).collect(),
                    },
                );
                id
            }
        };
        let conversation = self.conversations.get_mut(&id).expect("was just found or made");
        conversation.last_activity_at = self.now;
        conversation.links.extend(decision.also_references.iter().map(|also| also.0));
        id
    }

    /// What two conversations were becomes one.
    fn join(&mut self, from: i64, into: i64) {
        for message in self.messages.iter_mut().filter(|message| message.conversation == from) {
            message.conversation = into;
        }
        let gone = self.conversations.get_mut(&from).expect("was just weighed");
        gone.merged_into = Some(into);
        let (people, links) = (gone.participants.clone(), gone.links.clone());
        let kept = self.conversations.get_mut(&into).expect("was just found");
        for (email, class) in people {
            kept.participants.entry(email).or_insert(class);
        }
        kept.links.extend(links);
    }

    /// Every conversation may claim an id once; a ghost becomes real where its mail is.
    fn remember(
        &mut self,
        group: &str,
        id: &str,
        kind: IdKind,
        conversation: i64,
        message: usize,
        wary: bool,
    ) {
        let conversation_id = ConversationId(conversation);
        if wary && kind != IdKind::Real {
            return;
        }
        let kind = if wary { IdKind::Disowned } else { kind };
        let entry = (IdOwner { conversation_id, kind }, (kind != IdKind::Ghost).then_some(message));
        let claims = self.ids.entry((group.to_owned(), id.to_owned())).or_default();
        match claims.iter_mut().find(|(owner, _)| owner.conversation_id == conversation_id) {
            Some(claim) if claim.0.kind == IdKind::Ghost && kind != IdKind::Ghost => *claim = entry,
            Some(_) => {}
            None => claims.push(entry),
        }
    }

    /// Who becomes part of a conversation by a message that is in it.
    fn admit(&mut self, id: i64, mail: &Mail, author: &str, from_sent_folder: bool, decision: &Decision) {
        let outsiders: Vec<String> = mail
            .to
            .iter()
            .chain(&mail.cc)
            .map(|a| fold_address(&a.email))
            .filter(|email| !self.own_addresses.contains(email) && !self.agent_addresses.contains(email))
            .collect();
        let conversation = self.conversations.get_mut(&id).expect("the message is in it");
        if decision.flags.contains(&Flag::Suspicious) {
            return;
        }
        if decision.flags.contains(&Flag::NewParticipant) {
            conversation.participants.entry(author.to_owned()).or_insert(ParticipantClass::Copied);
        }
        let class = if from_sent_folder { ParticipantClass::Invited } else { ParticipantClass::Copied };
        let is_customers = conversation.participants.get(author) == Some(&ParticipantClass::Customer);
        if from_sent_folder || is_customers {
            for email in outsiders {
                conversation.participants.entry(email).or_insert(class);
            }
        }
    }

    /// An agent answers through the desk: the id, without brackets, of what leaves.
    pub fn answer(&mut self, conversation: i64, to: &str) -> String {
        let message = self.messages.len();
        let author = String::new();
        self.messages.push(Message { conversation, fingerprint: None, author, is_ours: true, places: 0 });
        let id = self.signer.message_id(
            ConversationId(conversation),
            MessageId(message as i64),
            [message as u8; 10],
            "desk.example",
        );
        let id = normalise_id(&id).expect("is an id");
        self.remember("main", &id, IdKind::Real, conversation, message, false);
        let invited = self.conversations.get_mut(&conversation).expect("exists");
        invited.is_touched = true;
        invited.participants.entry(fold_address(to)).or_insert(ParticipantClass::Invited);
        id
    }

    /// A relay tells what it renamed a message of ours to.
    pub fn learn_alias(&mut self, of: &str, alias: &str) {
        let (owner, message) = self.ids[&("main".to_owned(), of.to_owned())][0];
        let entry = (IdOwner { kind: IdKind::Alias, ..owner }, message);
        self.ids.insert(("main".to_owned(), alias.to_owned()), vec![entry]);
    }

    /// The Reply-To of our answers.
    pub fn plus_address(&self, conversation: i64) -> String {
        let reference = self.signer.conversation_reference(ConversationId(conversation), "desk.example");
        format!("support+{}", normalise_id(&reference).expect("is an id"))
    }

    pub fn close(&mut self, conversation: i64) {
        let closed = self.conversations.get_mut(&conversation).expect("exists");
        (closed.closed_at, closed.is_touched) = (Some(self.now), true);
    }

    pub fn delete(&mut self, conversation: i64) {
        self.conversations.get_mut(&conversation).expect("exists").deleted = true;
    }

    pub fn merge(&mut self, conversation: i64, into: i64) {
        assert_ne!(conversation, into, "two conversations are merged");
        self.conversations.get_mut(&conversation).expect("exists").merged_into = Some(into);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Those that were not merged into others.
    pub fn conversation_count(&self) -> usize {
        self.conversations.values().filter(|conversation| conversation.merged_into.is_none()).count()
    }

    /// Which messages are together, each by its text, sorted.
    pub fn partition(&self) -> BTreeSet<BTreeSet<usize>> {
        let mut together: BTreeMap<i64, BTreeSet<usize>> = BTreeMap::new();
        for (index, message) in self.messages.iter().enumerate() {
            together.entry(message.conversation).or_default().insert(index);
        }
        together.into_values().collect()
    }

    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    pub fn places(&self, message: usize) -> usize {
        self.messages[message].places
    }

    pub fn participants(&self, conversation: i64) -> BTreeSet<&str> {
        self.conversations[&conversation].participants.keys().map(String::as_str).collect()
    }

    pub fn links(&self, conversation: i64) -> Vec<i64> {
        self.conversations[&conversation].links.iter().copied().collect()
    }

    /// The kind and conversation that an id stands for in the first group, to who claimed it first.
    pub fn owner(&self, id: &str) -> Option<(IdKind, i64)> {
        let claims = self.ids.get(&("main".to_owned(), id.to_owned()))?;
        claims.first().map(|(o, _)| (o.kind, o.conversation_id.0))
    }
}
