//! The audit log: who let themselves in, and who changed what the desk is set up by. Rows are added and never
//! changed; each carries a hash over itself and the row before it, so that whoever alters, removes or slips in
//! one has to write anew all that follow, and the last one is sealed with the installation's key.

use crate::actor::ActorType;
use crate::event::EventType;
use crate::id::TokenId;
use crate::store::schema::audit_log;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

words! {
    /// What only the audit log tells. Changes of the set-up are told under the names of their events.
    pub enum AuditKind {
        /// Somebody signed in by password.
        SignInSucceeded = "sign_in.succeeded",
        /// Somebody tried to, in vain; `reason` says why.
        SignInFailed = "sign_in.failed",
        /// A session was ended by whom it belongs to.
        SignedOut = "sign_in.signed_out",
        /// All sessions of an agent were ended.
        SessionsEnded = "sign_in.sessions_ended",
        /// An agent set another password.
        PasswordChanged = "password.changed",
        /// Somebody asked for a link that sets a new password.
        PasswordResetAsked = "password.reset_asked",
        /// A password was set by such a link.
        PasswordReset = "password.reset",
        /// An agent was invited.
        InvitationMade = "invitation.made",
        /// An agent accepted an invitation and set a password.
        InvitationAccepted = "invitation.accepted",
        /// An agent signs in with codes besides the password from now on.
        TotpEnabled = "totp.enabled",
        /// They don't any more.
        TotpDisabled = "totp.disabled",
        /// New recovery codes took the place of the old ones.
        RecoveryCodesMade = "totp.recovery_codes_made",
        /// A recovery code was used up.
        RecoveryCodeUsed = "totp.recovery_code_used",
        /// What the desk holds is being exported.
        ExportBegun = "export.begun",
        /// A conversation was deleted for good.
        ConversationPurged = "conversation.purged",
    }
}

/// A row that is about to be written: [`crate::operations::audit::note`] takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNote {
    /// What happened.
    pub kind: &'static str,
    /// More: ids and what changed, never a secret.
    pub data: Map<String, Value>,
    /// Who did it, where it is not the caller: a person who is not let in yet.
    pub by: Option<By>,
}

/// Somebody who did something before they were a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// What kind.
    pub kind: ActorType,
    /// Which one, if known.
    pub id: Option<String>,
    /// By what name.
    pub name: Option<String>,
}

impl NewNote {
    /// A row without anything more to it.
    pub fn new(kind: AuditKind) -> Self {
        Self { kind: kind.as_str(), data: Map::new(), by: None }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Says who did it, where that is not the caller.
    #[must_use]
    pub fn by(mut self, by: By) -> Self {
        self.by = Some(by);
        self
    }
}

/// Where a request came from, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address, behind proxies that are trusted.
    pub address: Option<IpAddr>,
    /// What the program calls itself: one line of 200 characters at most.
    pub user_agent: Option<String>,
}

impl Origin {
    /// Characters of a program's name for itself at the most.
    pub const USER_AGENT_CHARS: usize = 200;

    /// An origin; what a program calls itself is cut.
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let user_agent = user_agent.map(|name| crate::text::one_line(name, Self::USER_AGENT_CHARS));
        Self { address, user_agent: user_agent.filter(|name| !name.is_empty()) }
    }
}

/// What of a row can be taken out of it again without breaking the chain, since the chain holds its hash alone:
/// all that may name a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// By what name they were known.
    pub actor_name: Option<String>,
    /// Through which token.
    pub token_id: Option<TokenId>,
    /// From where.
    pub address: Option<String>,
    /// With what program.
    pub user_agent: Option<String>,
    /// More, by kind.
    pub data: Map<String, Value>,
}

/// A row as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, treat_none_as_default_value = false)]
pub struct AuditRow {
    /// Its number. They rise by one, without a gap.
    pub id: i64,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub actor_type: ActorType,
    /// Which one.
    pub actor_id: Option<String>,
    /// [`Details`] as JSON; `None` where they were taken out.
    pub details: Option<String>,
    /// What keeps details that were taken out from being guessed by their hash; goes with them.
    pub salt: Option<String>,
    /// SHA-256 over salt and details.
    pub details_hash: String,
    /// SHA-256 over the row before and this one.
    pub hash: String,
    /// When.
    pub created_at: Timestamp,
}

/// What the first row follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl AuditRow {
    /// What `details_hash` must be, as long as the details are there.
    pub fn hash_of_details(salt: &str, details: &str) -> String {
        hash_of(&[salt, details])
    }

    /// What `hash` must be behind a row with the hash `before`.
    pub fn hash_behind(&self, before: &str) -> String {
        let (id, at) = (self.id.to_string(), self.created_at.0.to_string());
        let actor = self.actor_id.as_deref().unwrap_or_default();
        hash_of(&[before, &id, &self.kind, self.actor_type.as_str(), actor, &at, &self.details_hash])
    }

    /// What else is known of it; nothing where that was taken out.
    pub fn details(&self) -> Details {
        let details = self.details.as_deref().and_then(|text| serde_json::from_str(text).ok());
        details.unwrap_or_default()
    }
}

/// Each part with its length before it, so that no two lists of parts are one text.
fn hash_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    crate::keys::hex(&hash.finalize())
}

/// Events of the daily work, and what a mailbox comes to by itself: everything else is a change of the set-up.
pub fn is_of_set_up(kind: EventType) -> bool {
    const NOUNS: [&str; 11] = [
        "agent.",
        "team.",
        "role.",
        "token.",
        "webhook.",
        "mailbox.",
        "schedule.",
        "category.",
        "custom_field.",
        "desk.",
        "customer.erased",
    ];
    const BY_ITSELF: [&str; 6] = [
        "mailbox.error",
        "mailbox.recovered",
        "mailbox.renumbered",
        "mailbox.reconciled",
        "mailbox.needs_authorization",
        "mailbox.authorized",
    ];
    let name = kind.as_str();
    NOUNS.iter().any(|noun| name.starts_with(noun)) && !BY_ITSELF.contains(&name)
}

/// Every name that a row can have.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let events = EventType::ALL.iter().filter(|kind| is_of_set_up(**kind)).map(|kind| kind.as_str());
    AuditKind::ALL.iter().map(|kind| kind.as_str()).chain(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_set_up_are_told_and_daily_work_is_not() {
        let all: Vec<&str> = kinds().collect();
        for told in ["agent.updated", "token.created", "webhook.deleted", "mailbox.updated", "sign_in.failed"]
        {
            assert!(all.contains(&told), "{told}");
        }
        for other in ["mailbox.error", "conversation.created", "message.sent", "tag.created"] {
            assert!(!all.contains(&other), "{other}");
        }
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len(), "a name means one thing");
    }

    #[test]
    fn a_hash_holds_all_of_its_row() {
        let row = AuditRow {
            id: 1,
            kind: "sign_in.failed".to_owned(),
            actor_type: ActorType::System,
            actor_id: None,
            details: None,
            salt: None,
            details_hash: AuditRow::hash_of_details("s", "{}"),
            hash: String::new(),
            created_at: Timestamp(1),
        };
        let hash = row.hash_behind(GENESIS);
        for other in [
            AuditRow { id: 2, ..row.clone() },
            AuditRow { kind: "sign_in.faile".to_owned(), ..row.clone() },
            AuditRow { actor_type: ActorType::Agent, ..row.clone() },
            AuditRow { actor_id: Some("1".to_owned()), ..row.clone() },
            AuditRow { created_at: Timestamp(2), ..row.clone() },
            AuditRow { details_hash: AuditRow::hash_of_details("t", "{}"), ..row.clone() },
        ] {
            assert_ne!(other.hash_behind(GENESIS), hash, "{other:?}");
        }
        assert_ne!(row.hash_behind(&hash), hash);
        assert_ne!(AuditRow::hash_of_details("a", "bc"), AuditRow::hash_of_details("ab", "c"));
    }

    #[test]
    fn what_a_program_calls_itself_is_bounded() {
        let long = "x".repeat(5_000);
        let cut = Origin::new(None, Some(&long)).user_agent.unwrap_or_default();
        assert_eq!(cut.chars().count(), Origin::USER_AGENT_CHARS);
        assert_eq!(Origin::new(None, Some(" ")).user_agent, None);
    }
}
