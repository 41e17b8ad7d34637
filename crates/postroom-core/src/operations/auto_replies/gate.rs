//! Which mail may get an automatic answer at all (RFC 3834 section 2). Whatever this goes by can be forged,
//! so each condition only ever keeps an answer back. How many answers there may be is the breaker's.

use crate::auto_reply::Withheld;
use crate::conversation::Status;
use crate::mail::{AnswerHints, Class, SenderAuth};
use crate::text::{address_fault, without_plus};
use crate::threading::Flag;
use crate::time::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// No older mail is answered.
const FRESH: Duration = Duration::from_hours(24);

/// What is known of a mail and of everybody it could concern. Addresses are folded.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) class: Class,
    pub(super) sender_auth: SenderAuth,
    pub(super) flags: Vec<Flag>,
    pub(super) hints: AnswerHints,
    /// Empty where it has none.
    pub(super) sender: String,
    /// To and Cc.
    pub(super) recipients: Vec<String>,
    pub(super) came: Timestamp,
    /// The conversation that it began, as that stands now.
    pub(super) status: Status,
    pub(super) is_trashed: bool,
    /// The addresses of the mailbox.
    pub(super) mailbox: Vec<String>,
    /// Those of all mailboxes, and who only passes mail of others on.
    pub(super) own: HashSet<String>,
    /// The sender is an agent.
    pub(super) is_agent: bool,
    /// Mail to the sender came back.
    pub(super) is_undeliverable: bool,
    /// The sender took a mail of ours for spam.
    pub(super) has_complained: bool,
    pub(super) now: Timestamp,
}

/// Why a mail gets no automatic answer; `None`: it may get one.
pub(super) fn refusal(facts: &Facts) -> Option<Withheld> {
    let Facts { hints, sender, own, .. } = facts;
    let has_flag = |flag| facts.flags.contains(&flag);
    let is_ours = |address: &String| own.contains(address) || own.contains(&without_plus(address));
    let is_addressed = facts
        .recipients
        .iter()
        .any(|address| facts.mailbox.contains(address) || facts.mailbox.contains(&without_plus(address)));
    let is_disowned = facts.sender_auth == SenderAuth::Fail || has_flag(Flag::Suspicious);
    let is_spam = hints.is_marked_spam || has_flag(Flag::Junk) || facts.status == Status::Spam;
    let conditions = [
        (facts.class != Class::Human, Withheld::Class),
        (is_disowned, Withheld::SenderDisowned),
        (is_spam, Withheld::Spam),
        (hints.has_null_path, Withheld::NullReturnPath),
        (address_fault(sender).is_some(), Withheld::NoSender),
        (is_ours(sender), Withheld::OwnSender),
        (facts.is_agent, Withheld::AgentSender),
        (is_role(sender), Withheld::RoleSender),
        (hints.is_declined, Withheld::Declined),
        (!is_addressed, Withheld::NotAddressed),
        (facts.came.plus(FRESH) < facts.now, Withheld::Old),
        (facts.status != Status::Open || facts.is_trashed, Withheld::Handled),
        (facts.is_undeliverable, Withheld::Undeliverable),
        (facts.has_complained, Withheld::Complained),
    ];
    conditions.into_iter().find_map(|(applies, why)| applies.then_some(why))
}

/// Local parts that are an office's or a program's, compared without `-`, `_` and `.`.
const OFFICES: [&str; 8] =
    ["root", "abuse", "daemon", "nobody", "listserv", "majordomo", "mailman", "hostmaster"];
/// How such local parts begin, compared likewise.
const BEGINNINGS: [&str; 7] =
    ["mailerdaemon", "postmaster", "bounce", "noreply", "noreplies", "donotreply", "autoreply"];
/// How those of lists' programs begin or end (RFC 3834 section 2).
const LISTS: (&str, [&str; 3]) = ("owner-", ["-request", "-owner", "-bounces"]);

/// Nobody reads answers there, or the wrong people do.
fn is_role(folded: &str) -> bool {
    let local = folded.rsplit_once('@').map_or("", |(local, _)| local);
    let bare: String = local.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    OFFICES.contains(&bare.as_str())
        || BEGINNINGS.iter().any(|begin| bare.starts_with(begin))
        || local.starts_with(LISTS.0)
        || LISTS.1.iter().any(|end| local.ends_with(end))
}

#[cfg(test)]
mod tests;
