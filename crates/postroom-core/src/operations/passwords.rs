//! Passwords: changed with the one before, set anew by a link that came by mail, set first by an invitation.
//!
//! The link's secret is 256 random bits and kept as a hash, for one purpose and a time, and used up by the first
//! who sets a password with it. It stands behind the `#` of the link, where no server and no log of one sees it,
//! and the link is built of the configuration alone.

use super::sessions::end_all;
use super::sign_in::{SignedIn, at_the_door, begin, by};
use super::tokens::require_whole_sight;
use super::tries::{self, What};
use super::{notices, roles, tokens};
use crate::access::Scope;
use crate::actor::Actor;
use crate::audit::{AuditKind, NewNote, Origin};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::error::Faults;
use crate::id::AgentId;
use crate::keys::sha256_hex;
use crate::operations::audit;
use crate::operations::totp::Proof;
use crate::password;
use crate::people::Agent;
use crate::sign_in::{INVITED_FOR, OneTimePurpose, RESET_FOR};
use crate::store::sign_in::OneTime;
use crate::time::Timestamp;
use crate::{Error, store};

/// How a secret of a link begins.
pub const PREFIX: &str = "pr_once_";

fn check(password: &str, pointer: &str, agent: &Agent) -> Result<(), Error> {
    let mut faults = Faults::default();
    password::check(&mut faults, pointer, password, agent);
    faults.check()
}

fn not_valid() -> Error {
    Error::invalid("/token", "not_valid", "opens nothing: it was used, its time is over, or it never did")
}

/// Writes a password; whoever has a session by the old one, or a link to set one, has nothing any more.
fn write(cx: &mut Cx<'_>, agent: &Agent, hash: &str, but: Option<&crate::id::TokenId>) -> Result<(), Error> {
    store::sign_in::set_password(cx.conn, agent.id, hash, cx.now)?;
    store::sign_in::delete_one_time(cx.conn, agent.id, None)?;
    end_all(cx, agent.id, but, "the password was changed")?;
    Ok(())
}

fn make_secret(
    cx: &mut Cx<'_>,
    agent: AgentId,
    purpose: OneTimePurpose,
    expires_at: Timestamp,
) -> Result<String, Error> {
    let secret = tokens::fresh(PREFIX);
    let kept = OneTime {
        hash: sha256_hex(secret.as_bytes()),
        agent_id: agent,
        purpose,
        expires_at,
        created_at: cx.now,
    };
    store::sign_in::put_one_time(cx.conn, &kept)?;
    Ok(secret)
}

/// Whom a secret lets in for a purpose now.
fn holder(cx: &mut Cx<'_>, hash: &str, purpose: OneTimePurpose) -> Result<Agent, Error> {
    let found = store::sign_in::find_one_time(cx.conn, hash)?;
    let found = found.filter(|secret| secret.purpose == purpose && secret.expires_at > cx.now);
    let agent = store::people::find_agent(cx.conn, found.ok_or_else(not_valid)?.agent_id)?;
    agent.filter(|agent| agent.disabled_at.is_none()).ok_or_else(not_valid)
}

/// The page that a mail leads to, or how to go on without one.
fn way(page: Option<&url::Url>, secret: &str) -> String {
    match page {
        Some(page) => {
            let mut link = page.clone();
            link.set_fragment(Some(&format!("token={secret}")));
            format!("Follow this link:\n\n{link}\n")
        }
        None => format!("Enter this where your help desk asks for it:\n\n{secret}\n"),
    }
}

impl Desk {
    /// Changes the password of the agent that the caller speaks for, and ends their other sessions.
    pub async fn change_password(&self, actor: &Actor, proof: Proof, password: String) -> Result<(), Error> {
        let new = password.clone();
        let checked = move |cx: &mut Cx<'_>| {
            let id = super::sessions::own_agent(cx)?;
            let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
            check(&new, "/password", &agent)
        };
        self.read(actor, checked).await?;
        let hash = self.hash_password(password).await?;
        let proven = self.prove(actor, proof, move |cx| {
            let id = super::sessions::own_agent(cx)?;
            let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
            let own = cx.actor.token_id.clone();
            write(cx, &agent, &hash, own.as_ref())?;
            audit::note(cx, NewNote::new(AuditKind::PasswordChanged));
            Ok(())
        });
        proven.await.map_err(|error| error.renamed("/password", "/current_password"))
    }

    /// Mails a link that sets a new password to whoever has this address, if they have a password. Whether
    /// somebody does can't be told from the answer, nor from how long it takes: that is looked up afterwards.
    pub async fn ask_password_reset(&self, email: String, origin: Origin) -> Result<(), Error> {
        let door = at_the_door(&origin);
        let asked = email.clone();
        self.write(&door, move |cx| tries::reserve(cx, What::Reset, Some(&asked), &origin)).await?;
        let desk = self.clone();
        tokio::spawn(async move {
            if let Err(error) = desk.write(&door, move |cx| mail_reset(cx, &email)).await {
                tracing::error!(error = ?error, "a link for a new password could not be mailed");
            }
        });
        Ok(())
    }

    /// Sets a new password by a link's secret, and ends all sessions.
    pub async fn reset_password(
        &self,
        secret: String,
        password: String,
        origin: Origin,
    ) -> Result<(), Error> {
        let door = at_the_door(&origin);
        let (hash, new, made) =
            self.open_one_time(secret, password, origin, OneTimePurpose::PasswordReset).await?;
        self.write(&door, move |cx| {
            let agent = holder(cx, &hash, OneTimePurpose::PasswordReset)?;
            take(cx, &agent, &hash, &new, &made)?;
            audit::note(cx, NewNote::new(AuditKind::PasswordReset).by(by(Some(&agent))));
            Ok(())
        })
        .await
    }

    /// Sets an agent's first password by an invitation's secret, and signs them in.
    pub async fn accept_invitation(
        &self,
        secret: String,
        password: String,
        origin: Origin,
    ) -> Result<SignedIn, Error> {
        let door = at_the_door(&origin);
        let (hash, new, made) =
            self.open_one_time(secret, password, origin.clone(), OneTimePurpose::Invitation).await?;
        let (token, secret) = self
            .write(&door, move |cx| {
                let agent = holder(cx, &hash, OneTimePurpose::Invitation)?;
                take(cx, &agent, &hash, &new, &made)?;
                audit::note(cx, NewNote::new(AuditKind::InvitationAccepted).by(by(Some(&agent))));
                begin(cx, &agent, None)
            })
            .await?;
        self.signed_in(token, secret, origin).await
    }

    /// Looks at a secret and a new password, and hashes that. What could be no secret is never looked up.
    async fn open_one_time(
        &self,
        secret: String,
        password: String,
        origin: Origin,
        purpose: OneTimePurpose,
    ) -> Result<(String, String, tries::Try), Error> {
        let is_one = tokens::is_well_formed(PREFIX, &secret);
        let (hash, new) = (sha256_hex(secret.as_bytes()), password.clone());
        let looked_up = hash.clone();
        let made = self
            .write(&at_the_door(&origin), move |cx| {
                let made = tries::reserve(cx, What::OneTime, None, &origin)?;
                let found = if is_one { holder(cx, &looked_up, purpose) } else { Err(not_valid()) };
                match found {
                    // That a try was in vain stays written.
                    Err(Error::Invalid(faults)) => Ok(Err(Error::Invalid(faults))),
                    Err(error) => Err(error),
                    Ok(agent) => {
                        let fault = check(&new, "/password", &agent).err();
                        tries::release(cx, &made)?;
                        Ok(fault.map_or(Ok(made), Err))
                    }
                }
            })
            .await??;
        Ok((hash, self.hash_password(password).await?, made))
    }
}

fn take(cx: &mut Cx<'_>, agent: &Agent, hash: &str, password: &str, made: &tries::Try) -> Result<(), Error> {
    if !store::sign_in::take_one_time(cx.conn, hash)? {
        return Err(not_valid());
    }
    write(cx, agent, password, None)?;
    tries::release(cx, made)?;
    tries::forget(cx, &agent.email)
}

fn mail_reset(cx: &mut Cx<'_>, email: &str) -> Result<(), Error> {
    let agent = super::sign_in::find(cx, email)?.filter(|agent| agent.disabled_at.is_none());
    let Some(agent) = agent else { return Ok(()) };
    if store::sign_in::password(cx.conn, agent.id)?.is_none() {
        return Ok(());
    }
    let secret = make_secret(cx, agent.id, OneTimePurpose::PasswordReset, cx.now.plus(RESET_FOR))?;
    let way = way(cx.settings.sign_in.reset_url.as_ref(), &secret);
    let text = format!(
        "Somebody, most likely you, asked for a new password.\n\n{way}\n\
         It works once and for an hour. If it was not you, there is nothing to do: your password stays as it \
         is.\n"
    );
    notices::mail_person(cx, &agent, "A new password for your help desk", &text)?;
    audit::note(cx, NewNote::new(AuditKind::PasswordResetAsked).by(by(Some(&agent))));
    Ok(())
}

/// An invitation that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Invited {
    /// What sets the first password, for the operator's shell.
    pub secret: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// It left by mail.
    pub mailed: bool,
}

/// Invites an agent who has no password yet; an invitation before this one opens nothing any more.
pub fn invite(cx: &mut Cx<'_>, id: AgentId) -> Result<Invited, Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    roles::require_no_more(cx, &agent)?;
    if agent.disabled_at.is_some() {
        return Err(Error::StateConflict("the agent is disabled".to_owned()));
    }
    if store::sign_in::password(cx.conn, id)?.is_some() {
        let told =
            "the agent has a password already; who forgot it asks for another with POST /password-resets";
        return Err(Error::StateConflict(told.to_owned()));
    }
    let expires_at = cx.now.plus(INVITED_FOR);
    let secret = make_secret(cx, id, OneTimePurpose::Invitation, expires_at)?;
    let way = way(cx.settings.sign_in.invitation_url.as_ref(), &secret);
    let text = format!(
        "{}, you are invited to your help desk. Choose a password, and you are in.\n\n{way}\n\
         It works once and for a week.\n",
        agent.name
    );
    let mailed = notices::mail_person(cx, &agent, "Your help desk invites you", &text)?;
    audit::note(cx, NewNote::new(AuditKind::InvitationMade).with("agent_id", id.0).with("mailed", mailed));
    Ok(Invited { secret, expires_at, mailed })
}
