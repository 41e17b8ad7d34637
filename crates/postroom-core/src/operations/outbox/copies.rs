//! The copy of a mail in its mailbox's Sent folder: wanted when the mail has left, put there by a worker of
//! its own, and never in the way of what is sent.

use super::CLOCKS;
use crate::cx::Cx;
use crate::mailbox::{Delivery, Mailbox, SentCopy, Source};
use crate::message::{CopyState, Outbound};
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// How long one worker has a copy to itself.
const CLAIM: Duration = Duration::from_mins(30);
/// When it is tried again after each failure; the last goes on to the end.
const PAUSES: [u64; 5] = [60, 5 * 60, 30 * 60, 2 * 60 * 60, 6 * 60 * 60];
/// How often it is tried: for two days and a half.
const TRIES: i32 = 14;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// It lies there.
    Done,
    /// Not yet; why.
    Later(String),
    /// It never will; why.
    Never(String),
}

/// Providers that keep what they are given to send in the Sent folder by themselves, by the host of
/// their SMTP server. A second copy would be shown beside theirs.
const SAVES_BY_ITSELF: [&str; 5] =
    ["smtp.gmail.com", "smtp.googlemail.com", "smtp.office365.com", "outlook.com", "hotmail.com"];

fn saves_by_itself(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    SAVES_BY_ITSELF
        .iter()
        .filter_map(|name| host.strip_suffix(name))
        .any(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_wanted(mailbox: &Mailbox) -> bool {
    let (Source::Imap { .. }, Delivery::Smtp { host, .. }) = (&mailbox.source, &mailbox.delivery) else {
        return false;
    };
    match mailbox.sent_copy {
        SentCopy::Append => true,
        SentCopy::Auto => !saves_by_itself(host),
        SentCopy::None => false,
    }
}

/// Notes that a copy is wanted of a mail that has left, where one is. A notice to the administrators is
/// nobody's answer.
pub(super) fn want(cx: &mut Cx<'_>, outbound: &Outbound) -> Result<(), Error> {
    if outbound.message_id.is_none() {
        return Ok(());
    }
    let mailbox = store::mailboxes::find(cx.conn, outbound.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    if is_wanted(&mailbox) {
        store::outbox::want_copy(cx.conn, outbound.id, cx.now)?;
        cx.wake();
    }
    Ok(())
}

/// Takes copies that are due: each is one worker's alone, for as long as one may take.
pub fn claim_copies(cx: &mut Cx<'_>, limit: i64) -> Result<Vec<Outbound>, Error> {
    let longest = PAUSES.last().map_or(CLAIM, |pause| Duration::from_secs(*pause));
    let latest = cx.now.plus(longest).plus(CLOCKS);
    let mut claimed = Vec::new();
    for before in store::outbox::due_copies(cx.conn, cx.now, latest, limit)? {
        let after = Outbound {
            copy_attempts: before.copy_attempts + 1,
            copy_next_at: Some(cx.now.plus(CLAIM)),
            ..before.clone()
        };
        if store::outbox::update_copy(cx.conn, &before, &after)? {
            claimed.push(after);
        }
    }
    Ok(claimed)
}

/// When the next copy is due.
pub fn next_copy(cx: &mut Cx<'_>) -> Result<Option<Timestamp>, Error> {
    Ok(store::outbox::next_copy(cx.conn)?)
}

/// Notes what came of a try. Where somebody else has tried since, nothing.
pub fn end_copy(cx: &mut Cx<'_>, claimed: &Outbound, end: &CopyEnd) -> Result<(), Error> {
    let (state, error, next) = match end {
        CopyEnd::Done => (CopyState::Done, None, None),
        CopyEnd::Later(why) if claimed.copy_attempts < TRIES => {
            let index = usize::try_from(claimed.copy_attempts - 1).unwrap_or(0).min(PAUSES.len() - 1);
            let next = cx.now.plus(Duration::from_secs(PAUSES[index]));
            (CopyState::Wanted, Some(why), Some(next))
        }
        CopyEnd::Later(why) | CopyEnd::Never(why) => (CopyState::GivenUp, Some(why), None),
    };
    let after = Outbound {
        copy_state: Some(state),
        copy_next_at: next,
        copy_error: error.map(|why| crate::text::one_line(why, 500)),
        ..claimed.clone()
    };
    store::outbox::update_copy(cx.conn, claimed, &after)?;
    cx.wake();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::saves_by_itself;

    #[test]
    fn only_the_providers_own_hosts_save_by_themselves() {
        for host in ["smtp.gmail.com", "SMTP.Office365.com.", "smtp-mail.outlook.com"] {
            assert!(saves_by_itself(host), "{host}");
        }
        for host in
            ["smtp-relay.gmail.com", "smtp.example.org", "smtp.gmail.com.example.org", "myoutlook.com"]
        {
            assert!(!saves_by_itself(host), "{host}");
        }
    }
}
