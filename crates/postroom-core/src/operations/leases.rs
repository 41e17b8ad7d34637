//! One mailbox, one daemon: who may poll it, and that nobody else's writes count.
//!
//! Of several daemons on one database each mailbox has one owner, who renews its lease. One that
//! is gone or stands still for longer than the lease is long is followed by another, under a higher
//! fence. The time is the database's (mail.md 2.8): hosts may disagree by minutes.

use crate::cx::Cx;
use crate::id::MailboxId;
use crate::lease::{Lease, Owner};
use crate::{Error, store};
use std::time::Duration;

/// How long a lease lasts unless it is renewed.
pub const LENGTH: Duration = Duration::from_secs(30);

/// The mailboxes that a daemon could take now.
pub fn free(cx: &mut Cx<'_>) -> Result<Vec<MailboxId>, Error> {
    let now = store::leases::now(cx.conn)?;
    Ok(store::leases::free(cx.conn, now)?)
}

/// Takes a mailbox that nobody has. `None`: somebody was first.
pub fn take(cx: &mut Cx<'_>, mailbox_id: MailboxId, owner: &Owner) -> Result<Option<Lease>, Error> {
    let now = store::leases::now(cx.conn)?;
    let fence = store::leases::take(cx.conn, mailbox_id, owner.as_str(), now, now.plus(LENGTH))?;
    Ok(fence.map(|fence| Lease { mailbox_id, owner: owner.clone(), fence }))
}

/// Renews a lease. `false`: it was lost.
pub fn renew(cx: &mut Cx<'_>, lease: &Lease) -> Result<bool, Error> {
    let until = store::leases::now(cx.conn)?.plus(LENGTH);
    Ok(store::leases::renew(cx.conn, lease.mailbox_id, lease.owner.as_str(), lease.fence, until)?)
}

/// Makes sure that a mailbox is still ours, and that it stays so until this transaction ends: for
/// every write of a poll. It renews the lease as well.
///
/// # Errors
/// [`Error::LeaseLost`] where somebody took it over meanwhile: nothing of this transaction counts.
pub fn hold(cx: &mut Cx<'_>, lease: &Lease) -> Result<(), Error> {
    if renew(cx, lease)? { Ok(()) } else { Err(Error::LeaseLost) }
}

/// Gives a mailbox back, so that another daemon need not wait.
pub fn release(cx: &mut Cx<'_>, lease: &Lease) -> Result<(), Error> {
    Ok(store::leases::release(cx.conn, lease.mailbox_id, lease.owner.as_str(), lease.fence)?)
}

/// Gives back what a daemon before this one had: for one that starts and knows itself alone.
pub fn release_all(cx: &mut Cx<'_>) -> Result<(), Error> {
    Ok(store::leases::release_all(cx.conn)?)
}
