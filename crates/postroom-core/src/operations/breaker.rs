//! The circuit breaker of automatic mail: how much of it may leave. Whoever makes some asks here first, in
//! the transaction that makes it. Past the limits of one recipient none is made; past all others it is
//! made and held until a person lets it go, never dropped.

use super::notices;
use crate::auto_reply::Withheld;
use crate::cx::Cx;
use crate::id::{ConversationId, MailboxId};
use crate::store::automatic_mails::NewAutomaticMail;
use crate::text::{domain_of, without_plus};
use crate::threading::freemail::is_public_provider;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// So long it is remembered what left.
const WEEK: Duration = Duration::from_hours(7 * 24);
/// Hours in it.
const WEEK_HOURS: i64 = 7 * 24;
/// What the desk as a whole sends is counted over so long.
const BURST: Duration = Duration::from_mins(10);
/// An hour may have so many times the mean of the last week.
const SURGE: i64 = 5;
/// So many notices of one kind an agent gets in an hour; the last says that it is.
const NOTICES_HOUR: i64 = 2;
/// The administrators are told this often at the most.
const TOLD: Duration = HOUR;
/// Where it stands when they were.
const TOLD_KEY: &str = "automatic_held_told";

/// How much automatic mail may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To one domain in an hour. Public mail providers are not counted: theirs are many people's addresses.
    pub domain_hour: u32,
    /// By one rule of a mailbox's in an hour, or five times the mean of the last week if that is more.
    pub rule_hour: u32,
    /// From one mailbox in an hour.
    pub mailbox_hour: u32,
    /// From the desk as a whole in ten minutes.
    pub desk_ten_minutes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { domain_hour: 5, rule_hour: 30, mailbox_hour: 60, desk_ten_minutes: 60 }
    }
}

/// An automatic mail that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Automatic<'a> {
    /// Where it leaves from.
    pub mailbox: MailboxId,
    /// What it belongs to.
    pub conversation: ConversationId,
    /// Whom it goes to, folded.
    pub recipient: &'a str,
    /// What makes it, in a word.
    pub rule: &'a str,
}

/// What may become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may leave.
    Go,
    /// It must not be made.
    Withhold(Withheld),
    /// It is made and waits for a person; why, in words.
    Hold(String),
}

/// What may become of a notice to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// It may leave.
    Go {
        /// No other one may within the hour.
        is_last: bool,
    },
    /// It is too much, and the first that is: why, in words.
    Tripped(String),
    /// It is too much, which was told, or its conversation had one.
    Enough,
}

/// What left before.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    recipient_had_one: bool,
    conversation_had_one: bool,
    is_public_domain: bool,
    domain_hour: i64,
    rule_hour: i64,
    rule_week: i64,
    mailbox_hour: i64,
    desk_ten_minutes: i64,
}

/// Asks whether an automatic mail may leave, and counts it.
pub(super) fn ask(cx: &mut Cx<'_>, mail: &Automatic<'_>) -> Result<Verdict, Error> {
    store::conn::lock_automatic(cx.conn)?;
    let counts = count(cx, mail)?;
    let verdict = judge(&counts, &cx.settings.automatic);
    if let Verdict::Withhold(_) = verdict {
        return Ok(verdict);
    }
    note(cx, mail, verdict != Verdict::Go)?;
    if let Verdict::Hold(why) = &verdict {
        tell(cx, mail, why)?;
    }
    Ok(verdict)
}

/// Asks whether a notice may be mailed to an agent, and counts it: one conversation gives one an hour, one
/// agent gets [`NOTICES_HOUR`], and all of them count among the automatic mail of mailbox and desk. What is
/// more is not made, since nothing is lost by it: what it would tell stands at the desk.
pub(super) fn ask_for_notice(cx: &mut Cx<'_>, mail: &Automatic<'_>) -> Result<Notice, Error> {
    store::conn::lock_automatic(cx.conn)?;
    let (hour, to) = (cx.now.minus(HOUR), one_box(mail.recipient));
    if store::automatic_mails::by_rule_in(cx.conn, mail.conversation, mail.rule, hour)? {
        return Ok(Notice::Enough);
    }
    let had = store::automatic_mails::by_rule_to(cx.conn, &to, mail.rule, hour)?;
    // Agents mostly share a domain, and it is ours. What customers got in the conversation is another matter.
    let ours = Counts {
        recipient_had_one: false,
        conversation_had_one: false,
        is_public_domain: true,
        ..count(cx, mail)?
    };
    let tripped = match judge(&ours, &cx.settings.automatic) {
        Verdict::Hold(why) => Some(why),
        _ => (had >= NOTICES_HOUR).then(|| "this agent had too many such notices within an hour".to_owned()),
    };
    let Some(why) = tripped else {
        note(cx, mail, false)?;
        return Ok(Notice::Go { is_last: had + 1 == NOTICES_HOUR });
    };
    if store::automatic_mails::was_held(cx.conn, &to, mail.rule, hour)? {
        return Ok(Notice::Enough);
    }
    note(cx, mail, true)?;
    Ok(Notice::Tripped(why))
}

fn note(cx: &mut Cx<'_>, mail: &Automatic<'_>, held: bool) -> Result<(), Error> {
    let noted = NewAutomaticMail {
        mailbox_id: mail.mailbox,
        conversation_id: mail.conversation,
        recipient: &one_box(mail.recipient),
        domain: domain_of(mail.recipient),
        rule: mail.rule,
        held,
        created_at: cx.now,
    };
    Ok(store::automatic_mails::insert(cx.conn, &noted)?)
}

/// What all spellings of an address that lead to one mailbox have in common: no word behind a plus, and no
/// dots at Google, which does not look at them. A victim has any number of spellings.
fn one_box(folded: &str) -> String {
    let plain = without_plus(folded);
    match plain.rsplit_once('@') {
        Some((local, domain @ ("gmail.com" | "googlemail.com"))) => {
            format!("{}@{domain}", local.replace('.', ""))
        }
        _ => plain,
    }
}

fn count(cx: &mut Cx<'_>, mail: &Automatic<'_>) -> Result<Counts, Error> {
    let (hour, day) = (cx.now.minus(HOUR), cx.now.minus(DAY));
    let domain = domain_of(mail.recipient);
    let (week, burst) = (cx.now.minus(WEEK), cx.now.minus(BURST));
    Ok(Counts {
        recipient_had_one: store::automatic_mails::went_to(cx.conn, &one_box(mail.recipient), day)?,
        conversation_had_one: store::automatic_mails::went_in(cx.conn, mail.conversation, day)?,
        is_public_domain: is_public_provider(domain),
        domain_hour: store::automatic_mails::to_domain(cx.conn, domain, hour)?,
        rule_hour: store::automatic_mails::by_rule(cx.conn, mail.mailbox, mail.rule, hour)?,
        rule_week: store::automatic_mails::by_rule(cx.conn, mail.mailbox, mail.rule, week)?,
        mailbox_hour: store::automatic_mails::from_mailbox(cx.conn, mail.mailbox, hour)?,
        desk_ten_minutes: store::automatic_mails::from_desk(cx.conn, burst)?,
    })
}

fn judge(counts: &Counts, limits: &Limits) -> Verdict {
    if counts.recipient_had_one {
        return Verdict::Withhold(Withheld::RecipientLimit);
    }
    if counts.conversation_had_one {
        return Verdict::Withhold(Withheld::ConversationLimit);
    }
    let rule_hour = i64::from(limits.rule_hour).max(SURGE * counts.rule_week / WEEK_HOURS);
    let too_many = [
        (
            !counts.is_public_domain && counts.domain_hour >= i64::from(limits.domain_hour),
            "too much automatic mail went to this domain within an hour",
        ),
        (counts.rule_hour >= rule_hour, "this rule sent far more within an hour than it usually does"),
        (
            counts.mailbox_hour >= i64::from(limits.mailbox_hour),
            "too much automatic mail left from this mailbox within an hour",
        ),
        (
            counts.desk_ten_minutes >= i64::from(limits.desk_ten_minutes),
            "too much automatic mail left within ten minutes",
        ),
    ];
    let tripped = too_many.into_iter().find_map(|(is_too_many, why)| is_too_many.then_some(why));
    tripped.map_or(Verdict::Go, |why| Verdict::Hold(why.to_owned()))
}

/// Tells the administrators, now and then, that automatic mail is held.
fn tell(cx: &mut Cx<'_>, mail: &Automatic<'_>, why: &str) -> Result<(), Error> {
    let last = store::settings::find(cx.conn, TOLD_KEY)?.and_then(|told| told.parse().ok()).map(Timestamp);
    // A clock that was set back must not keep it silent.
    if last.is_some_and(|last| cx.now < last.plus(TOLD) && last <= cx.now) {
        return Ok(());
    }
    store::settings::set(cx.conn, TOLD_KEY, &cx.now.0.to_string())?;
    let text = format!(
        "Automatic mail is held back: {why} (mailbox {}, rule {}, conversation {}).\n\n\
         Nothing is lost: such mail waits in its conversation until somebody sends it or throws it away. The \
         event message.held names each. You are told of this once an hour at the most.\n",
        mail.mailbox, mail.rule, mail.conversation
    );
    notices::mail(cx, Some(mail.mailbox), "postroom: automatic mail is held back", &text)
}

/// Forgets what left too long ago to count. For the house-keeper.
pub fn expire(cx: &mut Cx<'_>) -> Result<(), Error> {
    Ok(store::automatic_mails::delete_before(cx.conn, cx.now.minus(WEEK))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(counts: Counts) -> Verdict {
        judge(&counts, &Limits::default())
    }

    fn is_held(counts: Counts) -> bool {
        matches!(judged(counts), Verdict::Hold(_))
    }

    #[test]
    fn one_recipient_and_one_conversation_get_one_a_day() {
        assert_eq!(judged(Counts::default()), Verdict::Go);
        let recipient = Counts { recipient_had_one: true, ..Counts::default() };
        assert_eq!(judged(recipient), Verdict::Withhold(Withheld::RecipientLimit));
        let conversation = Counts { conversation_had_one: true, ..Counts::default() };
        assert_eq!(judged(conversation), Verdict::Withhold(Withheld::ConversationLimit));
        let both = Counts { desk_ten_minutes: 1_000, ..recipient };
        assert_eq!(judged(both), Verdict::Withhold(Withheld::RecipientLimit), "it is not even made");
    }

    #[test]
    fn each_limit_trips_at_its_own_number() {
        for (at, above) in [
            (Counts { domain_hour: 4, ..Counts::default() }, Counts { domain_hour: 5, ..Counts::default() }),
            (Counts { rule_hour: 29, ..Counts::default() }, Counts { rule_hour: 30, ..Counts::default() }),
            (
                Counts { mailbox_hour: 59, ..Counts::default() },
                Counts { mailbox_hour: 60, ..Counts::default() },
            ),
            (
                Counts { desk_ten_minutes: 59, ..Counts::default() },
                Counts { desk_ten_minutes: 60, ..Counts::default() },
            ),
        ] {
            assert_eq!(judged(at), Verdict::Go, "{at:?}");
            assert!(is_held(above), "{above:?}");
        }
    }

    #[test]
    fn a_public_provider_is_many_peoples() {
        let public = Counts { domain_hour: 59, is_public_domain: true, ..Counts::default() };
        assert_eq!(judged(public), Verdict::Go);
    }

    #[test]
    fn what_a_rule_usually_sends_it_may_send_five_times_as_fast() {
        // 8 an hour for a week: 40 in one is usual enough.
        let usual = Counts { rule_week: 8 * WEEK_HOURS, ..Counts::default() };
        assert_eq!(judged(Counts { rule_hour: 39, ..usual }), Verdict::Go);
        assert!(is_held(Counts { rule_hour: 40, ..usual }));
    }
}
