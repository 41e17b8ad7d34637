//! Events: what happened, in past tense. They hold ids and changed fields, no message text.

use crate::actor::ActorType;
use crate::id::{ConversationId, CustomerId, MailboxId, MessageId};
use crate::store::schema::events;
use crate::store::types::Json;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde_json::{Map, Value};

words! {
    /// What happened.
    pub enum EventType {
        /// A conversation began.
        ConversationCreated = "conversation.created",
        /// Its subject, priority, category, external_id or custom fields changed. `changes.custom_fields` names those
        /// fields alone that changed, with `null` where there is no value.
        ConversationUpdated = "conversation.updated",
        /// It was opened, closed, marked as spam …
        ConversationStatusChanged = "conversation.status_changed",
        /// It rests `until` a time; `null`: until the customer writes. That it does so no longer is a change of its
        /// status; `reason` says `snooze_over` where its time had come.
        ConversationSnoozed = "conversation.snoozed",
        /// Its assignee or team changed.
        ConversationAssigned = "conversation.assigned",
        /// Somebody follows it from now on (`agent_id`); `reason` says why where they did not ask for it.
        ConversationFollowed = "conversation.followed",
        /// Somebody follows it no longer (`agent_id`).
        ConversationUnfollowed = "conversation.unfollowed",
        /// Its tags changed.
        ConversationTagged = "conversation.tagged",
        /// All of its messages went into another one.
        ConversationMerged = "conversation.merged",
        /// What had gone into another one came back.
        ConversationSeparated = "conversation.separated",
        /// It was put into the trash.
        ConversationDeleted = "conversation.deleted",
        /// It came back out of the trash.
        ConversationRestored = "conversation.restored",
        /// It was deleted for good, out of the trash: it and its messages (`message_ids`) are gone, and so is what the
        /// log told of it. `assignee_id`, `category_id` and `tag_ids` say what they were.
        ConversationPurged = "conversation.purged",
        /// A message went from one conversation to another, or came back.
        MessageMoved = "message.moved",
        /// A mail came in, or what came by another way was filed.
        MessageReceived = "message.received",
        /// An answer was accepted and will leave.
        MessageQueued = "message.queued",
        /// An answer left. Where the server would not take it for somebody, `refused` says for whom and why, and
        /// `assignee_id` who takes care of the conversation; so do the other events of an answer on its way.
        MessageSent = "message.sent",
        /// An answer could not leave yet.
        MessageDeferred = "message.deferred",
        /// An answer has been waiting to leave for four hours.
        MessageDelayed = "message.delayed",
        /// Nobody knows whether an answer arrived.
        MessageUncertain = "message.uncertain",
        /// An answer will not leave.
        MessageFailed = "message.failed",
        /// An answer came back.
        MessageBounced = "message.bounced",
        /// Somebody read an answer, and their program says so.
        MessageRead = "message.read",
        /// Somebody took an answer for spam, and their provider says so.
        MessageComplained = "message.complained",
        /// A mail that was too large to be taken in has come whole.
        MessageCompleted = "message.completed",
        /// A kept mail was read anew; `fields` names what it says otherwise now.
        MessageReparsed = "message.reparsed",
        /// A draft was made or changed.
        MessageDraftSaved = "message.draft_saved",
        /// A draft was thrown away.
        MessageDraftDeleted = "message.draft_deleted",
        /// An answer is held back: it leaves at `leaves_at`, or, without one, when somebody lets it go.
        MessageHeld = "message.held",
        /// An answer leaves at `leaves_at`.
        MessageScheduled = "message.scheduled",
        /// An answer that was held or scheduled is a draft again: somebody took it back, or it could not
        /// leave (`reason`).
        MessageCancelled = "message.cancelled",
        /// A mail gets no automatic answer; `reason` says why.
        AutoReplyWithheld = "auto_reply.withheld",
        /// An agent is not told by mail what `message` says, nor of what else comes back, for a while: so many such
        /// notices would be one flood (`agent_id`, `reason`).
        NoticeWithheld = "notice.withheld",
        /// A note was written; `mentions` are the agents whom it names.
        MessageNoteAdded = "message.note_added",
        /// A customer was first seen.
        CustomerCreated = "customer.created",
        /// A customer changed.
        CustomerUpdated = "customer.updated",
        /// A mailbox was added.
        MailboxCreated = "mailbox.created",
        /// A mailbox's set-up changed.
        MailboxUpdated = "mailbox.updated",
        /// A mailbox was removed.
        MailboxDeleted = "mailbox.deleted",
        /// A mailbox can't be read.
        MailboxError = "mailbox.error",
        /// It can again.
        MailboxRecovered = "mailbox.recovered",
        /// A mailbox stands still until somebody authorizes it, or a refused login is tried again.
        MailboxNeedsAuthorization = "mailbox.needs_authorization",
        /// A mailbox was authorized, or a refused login works again.
        MailboxAuthorized = "mailbox.authorized",
        /// A server gave the mails of a folder other numbers; `doubtful` where much was not known.
        MailboxRenumbered = "mailbox.renumbered",
        /// A daemon's disk is almost full or read-only: no mail is fetched, and writes are refused.
        StorageFull = "storage.full",
        /// There is room again on a daemon's disk.
        StorageRecovered = "storage.recovered",
        /// A mail could not be taken in and is kept for somebody to look at.
        MailQuarantined = "mail.quarantined",
        /// Somebody had a mail tried again that had not come in.
        MailRetried = "mail.retried",
        /// The server's mail was held against the ledger.
        MailboxReconciled = "mailbox.reconciled",
        /// An agent was added.
        AgentCreated = "agent.created",
        /// An agent changed.
        AgentUpdated = "agent.updated",
        /// Whether an agent takes work changed, their hours, or when they are absent (`absence_id`).
        AgentAvailabilityChanged = "agent.availability_changed",
        /// An agent is to know of what happened in a conversation (`agent_id`, `notification_id`, and `reason`, why): it stands in
        /// their feed.
        AgentNotified = "agent.notified",
        /// A role was added.
        RoleCreated = "role.created",
        /// A role changed: whoever has it may do more or less from now on.
        RoleUpdated = "role.updated",
        /// A role was removed.
        RoleDeleted = "role.deleted",
        /// A team was added.
        TeamCreated = "team.created",
        /// A team changed.
        TeamUpdated = "team.updated",
        /// A team was removed.
        TeamDeleted = "team.deleted",
        /// How a team's conversations are given out changed.
        TeamDistributionChanged = "team.distribution_changed",
        /// A schedule was added.
        ScheduleCreated = "schedule.created",
        /// A schedule changed: its hours, its holidays, its calendar, or who may read it.
        ScheduleUpdated = "schedule.updated",
        /// A schedule was removed.
        ScheduleDeleted = "schedule.deleted",
        /// A category was added.
        CategoryCreated = "category.created",
        /// A custom field was added.
        CustomFieldCreated = "custom_field.created",
        /// A custom field changed: its title, its choices, whether it has to be filled in …
        CustomFieldUpdated = "custom_field.updated",
        /// A custom field was removed, and with it the values that it had: `values` of them.
        CustomFieldDeleted = "custom_field.deleted",
        /// A view was made. Of one that somebody keeps for themselves the log says no more than that, and whose it is.
        ViewCreated = "view.created",
        /// A view changed.
        ViewUpdated = "view.updated",
        /// A view was removed.
        ViewDeleted = "view.deleted",
        /// A watchdog was made.
        WatchdogCreated = "watchdog.created",
        /// A watchdog was set up otherwise.
        WatchdogUpdated = "watchdog.updated",
        /// A watchdog was removed.
        WatchdogDeleted = "watchdog.deleted",
        /// Something waits longer than a watchdog allows: `count` conversations, of which `oldest_conversation_id` waits longest.
        WatchdogAlarmed = "watchdog.alarmed",
        /// The next ones were told of a watchdog's alarm by mail.
        WatchdogEscalated = "watchdog.escalated",
        /// Somebody has said that they know of a watchdog's alarm.
        WatchdogAcknowledged = "watchdog.acknowledged",
        /// Nothing waits too long any more.
        WatchdogCleared = "watchdog.cleared",
        /// A tag was added.
        TagCreated = "tag.created",
        /// A tag was renamed, or its description or colour changed.
        TagUpdated = "tag.updated",
        /// A tag went into another one (`into_id`): whatever carried it carries that one now, `conversations` of them, and
        /// so do the webhooks that went by it.
        TagMerged = "tag.merged",
        /// A tag was removed everywhere.
        TagDeleted = "tag.deleted",
        /// A token was made.
        TokenCreated = "token.created",
        /// A token changed: its name, what it may be used for, where, from where, until when (`changes`), or its
        /// secret (`secret_rotated`).
        TokenUpdated = "token.updated",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// A webhook was made.
        WebhookCreated = "webhook.created",
        /// A webhook changed: where it is, what it is told, its secret, or whether it is told at all.
        WebhookUpdated = "webhook.updated",
        /// A webhook was removed.
        WebhookDeleted = "webhook.deleted",
        /// The desk tells a webhook nothing any more: it answered that it is gone, or took nothing for five
        /// days (`reason`).
        WebhookDisabled = "webhook.disabled",
        /// A job came to its end: `job_id`, `status` and its counts.
        JobFinished = "job.finished",
        /// The desk was restored from a backup: what happened after that backup is not in the log.
        DeskRestored = "desk.restored",
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// The mailbox.
    pub mailbox_id: Option<MailboxId>,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// The message.
    pub message_id: Option<MessageId>,
    /// The customer.
    pub customer_id: Option<CustomerId>,
}

/// An event that is about to be written: [`crate::cx::Cx::tell`] takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventType,
    /// What it is about.
    pub about: About,
    /// More: `changes` holds `[before, after]` by field.
    pub data: Map<String, Value>,
    /// Somebody other than the caller did it: the customer whose mail came in.
    pub by_customer: Option<(CustomerId, Option<String>)>,
}

impl NewEvent {
    /// An event without anything more to it.
    pub fn new(kind: EventType, about: About) -> Self {
        Self { kind, about, data: Map::new(), by_customer: None }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Adds what changed, if anything did.
    #[must_use]
    pub fn changing(mut self, changes: Changes) -> Self {
        self.data.insert("changes".to_owned(), Value::Object(changes.0));
        self
    }
}

/// Fields that changed, each with the value before and after.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes(Map<String, Value>);

impl Changes {
    /// Notes a field if it changed.
    pub fn note<T: PartialEq + serde::Serialize>(&mut self, field: &str, before: &T, after: &T) {
        if before != after {
            let pair = serde_json::json!([before, after]);
            self.0.insert(field.to_owned(), pair);
        }
    }

    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An event as the log keeps it.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Event {
    /// Its place in the log. Numbers rise; some are never used.
    pub seq: i64,
    /// What happened. Text, since a newer version may have written it.
    pub kind: String,
    /// Who did it.
    pub actor_type: ActorType,
    /// Which one.
    pub actor_id: Option<String>,
    /// By what name at the time.
    pub actor_name: Option<String>,
    /// The mailbox it is about.
    pub mailbox_id: Option<MailboxId>,
    /// The conversation it is about.
    pub conversation_id: Option<ConversationId>,
    /// The message it is about.
    pub message_id: Option<MessageId>,
    /// The customer it is about.
    pub customer_id: Option<CustomerId>,
    /// More.
    pub data: Json<Map<String, Value>>,
    /// When it happened.
    pub created_at: Timestamp,
}

impl Event {
    /// A number of its data.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.data.get(name)?.as_i64()
    }

    /// A list of numbers of its data; none where there is no such list.
    pub fn numbers(&self, name: &str) -> Vec<i64> {
        let list = self.data.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_i64).collect()
    }
}
