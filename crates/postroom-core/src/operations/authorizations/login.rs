//! What a login is opened with, and what is remembered of logins by token that were refused.

use super::{about, is_delivery_by_token, is_source_by_token, pause_after};
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::{Desk, off_thread};
use crate::event::{EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox::{Credential, End};
use crate::operations::mailboxes::Connection;
use crate::store::authorizations::Refusal;
use crate::text::one_line;
use crate::{Error, store};

/// Why nothing opens a login now. The sentence is fit for the log and for a mailbox's status.
#[derive(Debug, thiserror::Error)]
pub enum NoLogin {
    /// A person must authorize the mailbox, or a refused login is left alone for a while.
    #[error("{0}")]
    Needed(String),
    /// The provider can't be asked just now.
    #[error("{0}")]
    Later(String),
    /// The desk failed.
    #[error("{0}")]
    Desk(#[from] Error),
}

/// What opens a login at one end of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The secret; `None` where none is kept.
    pub credential: Option<Credential>,
    /// The login was refused before and this is the one try that is due: say how it went, by
    /// [`Desk::login_accepted_here`] or [`Desk::login_refused_here`].
    pub on_trial: bool,
}

impl Desk {
    /// What opens the login at one end of a mailbox: its password, or an access token, which is
    /// renewed first where it is about to run out. `rejected` is a token that the server has just
    /// refused. Blocks, at most for the time that the token server may take; never within a
    /// transaction.
    pub fn access_here(
        &self,
        connection: &Connection,
        end: End,
        rejected: Option<&Credential>,
    ) -> Result<Access, NoLogin> {
        let id = connection.mailbox.id;
        let by_token = match end {
            End::Source => is_source_by_token(&connection.mailbox.source),
            End::Delivery => is_delivery_by_token(&connection.mailbox.delivery),
        };
        if !by_token {
            return Ok(Access { credential: connection.password(end), on_trial: false });
        }
        let system = Actor::system();
        let on_trial = match self.read_here(&system, |cx| refusal(cx, id, end))? {
            Some(_) => match self.write_here(&system, |cx| take_try(cx, id, end))? {
                Try::Now => true,
                Try::Unneeded => false,
                Try::Later(why) => return Err(NoLogin::Needed(why)),
            },
            None => false,
        };
        let token = self.access_token_here(id, rejected.map(Credential::secret))?;
        Ok(Access { credential: Some(Credential::Bearer(token)), on_trial })
    }

    /// [`Desk::access_here`] for a caller on a thread that may not block.
    pub async fn access(
        &self,
        connection: &Connection,
        end: End,
        rejected: Option<&Credential>,
    ) -> Result<Access, NoLogin> {
        let (desk, connection, rejected) = (self.clone(), connection.clone(), rejected.cloned());
        off_thread(move || Ok(desk.access_here(&connection, end, rejected.as_ref()))).await?
    }

    /// Notes that a login on trial went well.
    pub fn login_accepted_here(&self, id: MailboxId, end: End) -> Result<(), Error> {
        self.write_here(&Actor::system(), |cx| {
            if store::authorizations::delete_refusal(cx.conn, id, end)? {
                cx.tell(NewEvent::new(EventType::MailboxAuthorized, about(id)).with("end", end.as_str()));
            }
            Ok(())
        })
    }

    /// Notes that a server refused a fresh token too: the login is left alone for a while, longer
    /// each time, for providers lock accounts out that are tried too often.
    pub fn login_refused_here(&self, id: MailboxId, end: End, why: &str) -> Result<(), Error> {
        let why = one_line(why, 500);
        self.write_here(&Actor::system(), |cx| {
            let refusals = 1;
            let retry_at = cx.now.plus(pause_after(refusals));
            let first = Refusal { mailbox_id: id, login_end: end, refusals, retry_at, error: why.clone() };
            if store::authorizations::insert_refusal(cx.conn, &first)? {
                let event = NewEvent::new(EventType::MailboxNeedsAuthorization, about(id))
                    .with("end", end.as_str())
                    .with("error", why.clone());
                cx.tell(event);
                return Ok(());
            }
            Ok(store::authorizations::set_refusal_error(cx.conn, id, end, &why)?)
        })
    }
}

fn refusal(cx: &mut Cx<'_>, id: MailboxId, end: End) -> Result<Option<Refusal>, Error> {
    let all = store::authorizations::refusals(cx.conn, id)?;
    Ok(all.into_iter().find(|refusal| refusal.login_end == end))
}

/// Whether a login that was refused may be tried.
enum Try {
    Now,
    Unneeded,
    Later(String),
}

fn take_try(cx: &mut Cx<'_>, id: MailboxId, end: End) -> Result<Try, Error> {
    let Some(refused) = refusal(cx, id, end)? else { return Ok(Try::Unneeded) };
    let next = cx.now.plus(pause_after(refused.refusals.saturating_add(1)));
    if refused.retry_at <= cx.now && store::authorizations::take_try(cx.conn, &refused, next)? {
        return Ok(Try::Now);
    }
    let at = refusal(cx, id, end)?.map_or(refused.retry_at, |refused| refused.retry_at);
    Ok(Try::Later(format!("{}; it is tried again at {at}", refused.error)))
}
