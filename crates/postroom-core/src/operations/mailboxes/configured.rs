//! Mailboxes that stand in the configuration file: made or updated by name at start.

use super::{MailboxChange, NewMailbox, account, check, insert, write};
use crate::cx::Cx;
use crate::mailbox::Mailbox;
use crate::{Error, store};

/// Makes the mailboxes of the file, or updates those of the same name. One that stood in the file
/// under another name, with the same address and account, is renamed. Mailboxes that stood in
/// the file and no longer do can be changed through the API from now on. Returns their names.
pub fn configure(cx: &mut Cx<'_>, wanted: &[NewMailbox]) -> Result<Vec<String>, Error> {
    let names: Vec<String> = wanted.iter().map(|new| crate::text::one_line(&new.name, 200)).collect();
    let mut written = Vec::with_capacity(wanted.len());
    for (new, name) in wanted.iter().zip(&names) {
        let before = match store::mailboxes::find_by_name(cx.conn, name)? {
            Some(before) => Some(before),
            None => former(cx, new, &names)?,
        };
        written.push(match before {
            Some(before) => {
                require_same_group(&before, new)?;
                write(cx, &before, &whole(new), true)?
            }
            None => insert(cx, new, true)?,
        });
    }
    // When all are as the file has them: two may have changed places in it.
    for mailbox in &written {
        account::require_own(cx, mailbox)?;
    }
    for left in store::mailboxes::list(cx.conn)? {
        if left.is_configured && !names.contains(&left.name) {
            write(cx, &left, &MailboxChange::default(), false)?;
        }
    }
    Ok(names)
}

/// The mailbox that a new one in the file was before it got its name: one that stood in the file, is no
/// longer named there, and has the new one's address and account.
fn former(cx: &mut Cx<'_>, new: &NewMailbox, names: &[String]) -> Result<Option<Mailbox>, Error> {
    let address = crate::text::fold_address(&new.address);
    let mut left = store::mailboxes::list(cx.conn)?;
    left.retain(|mailbox| {
        mailbox.is_configured
            && !names.contains(&mailbox.name)
            && crate::text::fold_address(&mailbox.address) == address
            && check::is_same_place(&mailbox.source, &new.source)
    });
    // Of several it could be any: they had one address and one account before, and still do.
    Ok(if left.len() == 1 { left.pop() } else { None })
}

/// Conversations can't be taken from one group into another.
fn require_same_group(before: &Mailbox, new: &NewMailbox) -> Result<(), Error> {
    match &new.group {
        Some(group) if *group != before.group => Err(Error::invalid(
            "/group",
            "immutable",
            format!("mailbox {:?} is in another group; a group is chosen once", before.name),
        )),
        _ => Ok(()),
    }
}

fn whole(new: &NewMailbox) -> MailboxChange {
    MailboxChange {
        name: Some(new.name.clone()),
        address: Some(new.address.clone()),
        aliases: Some(new.aliases.clone()),
        poll_interval_seconds: Some(new.poll_interval_seconds),
        source: Some(new.source.clone()),
        source_password: new.source_password.clone(),
        delivery: Some(new.delivery.clone()),
        delivery_password: new.delivery_password.clone(),
        strangers: Some(new.strangers),
        trusted_authserv_ids: Some(new.trusted_authserv_ids.clone()),
        relay_addresses: Some(new.relay_addresses.clone()),
        sent_copy: Some(new.sent_copy),
        on_uncertain: Some(new.on_uncertain),
        undo_seconds: Some(new.undo_seconds),
        paused: Some(new.paused),
    }
}
