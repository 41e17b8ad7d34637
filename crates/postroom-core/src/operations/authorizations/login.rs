//! What a login is opened with, and what is remembered of logins that were refused: by token at either
//! end, by password where mail leaves. (Polls keep account of their own logins by password.)

use super::{LONGEST_PAUSE, about, is_by_token, pause_after};
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::{Desk, off_thread};
use crate::event::{EventType, NewEvent};
use crate::id::MailboxId;
use crate::mailbox::{Credential, End, Mailbox};
use crate::operations::mailboxes::{Connection, visible};
use crate::operations::notices;
use crate::store::authorizations::Refusal;
use crate::text::one_line;
use crate::{Error, store};
use std::time::Duration;

/// A pause that ends later than the longest and this had its time from a clock that was set back since.
const CLOCKS: Duration = Duration::from_mins(15);

/// Why nothing opens a login now. The sentence is fit for the log and for a mailbox's status.
#[derive(Debug, thiserror::Error)]
pub enum NoLogin {
    /// A person must authorize the mailbox.
    #[error("{0}")]
    Needed(String),
    /// The login was refused and is left alone for a while.
    #[error("{0}")]
    LeftAlone(String),
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
        let by_token = is_by_token(&connection.mailbox, end);
        if !by_token && end == End::Source {
            return Ok(Access { credential: connection.password(end), on_trial: false });
        }
        let system = Actor::system();
        let on_trial = match self.read_here(&system, |cx| refusal(cx, id, end))? {
            Some(_) => match self.write_here(&system, |cx| take_try(cx, id, end, by_token))? {
                Try::Now => true,
                Try::Unneeded => false,
                Try::Later(why) => return Err(NoLogin::LeftAlone(why)),
            },
            None => false,
        };
        if !by_token {
            return Ok(Access { credential: connection.password(end), on_trial });
        }
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
                let kind = if is_by_token(&visible(cx, id)?, end) {
                    EventType::MailboxAuthorized
                } else {
                    EventType::MailboxRecovered
                };
                cx.tell(NewEvent::new(kind, about(id)).with("end", end.as_str()));
            }
            Ok(())
        })
    }

    /// Notes that a server refused a password, or a fresh token too: the login is left alone for a while,
    /// longer each time, for providers lock accounts out that are tried too often. The first time it is
    /// told; of a password the administrators are told by mail as well.
    pub fn login_refused_here(&self, id: MailboxId, end: End, why: &str) -> Result<(), Error> {
        let why = one_line(why, 500);
        self.write_here(&Actor::system(), |cx| {
            let mailbox = visible(cx, id)?;
            let by_token = is_by_token(&mailbox, end);
            let refusals = 1;
            let retry_at = cx.now.plus(pause(by_token, refusals));
            let first = Refusal { mailbox_id: id, login_end: end, refusals, retry_at, error: why.clone() };
            if !store::authorizations::insert_refusal(cx.conn, &first)? {
                return Ok(store::authorizations::set_refusal_error(cx.conn, id, end, &why)?);
            }
            let kind = if by_token { EventType::MailboxNeedsAuthorization } else { EventType::MailboxError };
            let event = NewEvent::new(kind, about(id)).with("end", end.as_str()).with("error", why.clone());
            cx.tell(event);
            if by_token { Ok(()) } else { tell_administrators(cx, &mailbox, &why) }
        })
    }
}

/// How long a login is left alone that was refused so often in a row. With a password there are four
/// tries in the first hour and one in each after that; a server that counts to six locks nobody out.
fn pause(by_token: bool, refusals: i32) -> Duration {
    let pause = pause_after(refusals);
    if by_token { pause } else { (pause * 5).min(LONGEST_PAUSE) }
}

fn tell_administrators(cx: &mut Cx<'_>, mailbox: &Mailbox, why: &str) -> Result<(), Error> {
    let (name, id) = (&mailbox.name, mailbox.id);
    let text = format!(
        "The mailbox {name:?} can't send: its mail server refuses the login.\n\n{why}\n\nIts answers wait and \
         none is lost. The login is tried again by itself, once an hour in the end. Give it the right \
         password (postroom mailbox set, or PATCH /api/v1/mailboxes/{id}), or have it tried at once: \
         POST /api/v1/mailboxes/{id}/sync.\n"
    );
    notices::mail(cx, Some(id), &format!("The mailbox {name} can't send"), &text)
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

fn take_try(cx: &mut Cx<'_>, id: MailboxId, end: End, by_token: bool) -> Result<Try, Error> {
    let Some(refused) = refusal(cx, id, end)? else { return Ok(Try::Unneeded) };
    let next = cx.now.plus(pause(by_token, refused.refusals.saturating_add(1)));
    let is_due = refused.retry_at <= cx.now || refused.retry_at > cx.now.plus(LONGEST_PAUSE + CLOCKS);
    if is_due && store::authorizations::take_try(cx.conn, &refused, next)? {
        return Ok(Try::Now);
    }
    let at = refusal(cx, id, end)?.map_or(refused.retry_at, |refused| refused.retry_at);
    Ok(Try::Later(format!("{}; it is tried again at {at}", refused.error)))
}
