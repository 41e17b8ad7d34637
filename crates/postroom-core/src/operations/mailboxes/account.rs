//! One folder of one account is one mailbox's: read by two, every mail would be here twice.

use super::NewMailbox;
use crate::cx::Cx;
use crate::mailbox::{AUTO, Mailbox, Source, folder_name};
use crate::{Error, store};

/// Fails where another mailbox that is not paused reads a folder that this one reads.
pub(super) fn require_own(cx: &mut Cx<'_>, mailbox: &Mailbox) -> Result<(), Error> {
    if mailbox.paused {
        return Ok(());
    }
    for other in store::mailboxes::list(cx.conn)? {
        if other.id == mailbox.id || other.paused {
            continue;
        }
        if let Some(place) = shared(&mailbox.source, &other.source) {
            // Who sets up a mailbox of theirs need not see all others.
            let is_seen = cx.access().sees_mailbox(other.id);
            let who =
                if is_seen { format!("the mailbox {:?}", other.name) } else { "another mailbox".to_owned() };
            return Err(Error::AlreadyExists {
                detail: format!(
                    "{who} reads {place} already, and every mail would be here twice; change that one, or \
                     pause one of them"
                ),
                existing_id: is_seen.then_some(other.id.0),
            });
        }
    }
    Ok(())
}

/// Fails where two of them that are not paused read the same folder.
pub(super) fn check_together(all: &[NewMailbox]) -> Result<(), Error> {
    for (index, one) in all.iter().enumerate() {
        for other in all[..index].iter().filter(|other| !one.paused && !other.paused) {
            if let Some(place) = shared(&one.source, &other.source) {
                let detail = format!(
                    "the mailboxes {:?} and {:?} both read {place}, and every mail would be here twice",
                    other.name, one.name
                );
                return Err(Error::AlreadyExists { detail, existing_id: None });
            }
        }
    }
    Ok(())
}

/// What both read, in words.
fn shared(one: &Source, two: &Source) -> Option<String> {
    match (one, two) {
        (
            Source::Imap { host, port, username, .. },
            Source::Imap { host: other, port: other_port, username: other_user, .. },
        ) if host.eq_ignore_ascii_case(other) && port == other_port && username == other_user => {
            let others: Vec<String> = folders(two).collect();
            let folder = folders(one).find(|folder| others.contains(folder))?;
            Some(format!("{folder} of {username} at {host}"))
        }
        (Source::Maildir { path: a }, Source::Maildir { path: b })
            if a.trim_end_matches('/') == b.trim_end_matches('/') =>
        {
            Some(format!("the Maildir {a}"))
        }
        _ => None,
    }
}

/// The folders that are named. `auto` is the server's to say.
fn folders(source: &Source) -> impl Iterator<Item = String> + '_ {
    let (folders, special): (&[String], _) = match source {
        Source::Imap { folders, sent_folder, junk_folder, .. } => (folders, [sent_folder, junk_folder]),
        _ => (&[], [&None, &None]),
    };
    let special = special.into_iter().flatten().filter(|name| name.as_str() != AUTO);
    folders.iter().chain(special).map(|name| folder_name(name).to_owned())
}
