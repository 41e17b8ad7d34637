//! Mailboxes that stand in the configuration file: made or updated by name at start.

use super::{MailboxChange, NewMailbox, insert, write};
use crate::cx::Cx;
use crate::mailbox::Mailbox;
use crate::{Error, store};

/// Makes the mailboxes of the file, or updates those of the same name. Mailboxes that stood in
/// the file and no longer do can be changed through the API from now on. Returns their names.
pub fn configure(cx: &mut Cx<'_>, wanted: &[NewMailbox]) -> Result<Vec<String>, Error> {
    let mut names = Vec::with_capacity(wanted.len());
    for new in wanted {
        let name = crate::text::one_line(&new.name, 200);
        match store::mailboxes::find_by_name(cx.conn, &name)? {
            Some(before) => {
                require_same_group(&before, new)?;
                write(cx, &before, &whole(new), true)?;
            }
            None => {
                insert(cx, new, true)?;
            }
        }
        names.push(name);
    }
    for left in store::mailboxes::list(cx.conn)? {
        if left.is_configured && !names.contains(&left.name) {
            write(cx, &left, &MailboxChange::default(), false)?;
        }
    }
    Ok(names)
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
        paused: Some(new.paused),
    }
}
