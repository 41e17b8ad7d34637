//! Who holds a token, and what they may do at this moment.

use super::secret::{PREFIX, is_well_formed};
use crate::access::{Access, Grant, Level, Scope, Sight, narrowed};
use crate::actor::{Actor, ActorType, Behalf};
use crate::audit::Origin;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::id::{AgentId, MailboxId, TokenId};
use crate::keys::sha256_hex;
use crate::mark::Mark;
use crate::operations::roles;
use crate::people::{Agent, Token, TokenKind};
use crate::role::Rights;
use crate::{Error, store};
use std::sync::Arc;
use std::time::Duration;

/// Why a secret opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Nobody has this token, or no longer.
    #[error("the token is not known")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It could not be looked up.
    #[error("the token could not be looked up")]
    Store(#[source] Error),
}

/// Who holds a token, before it is asked what they may do.
#[derive(Debug)]
pub struct Holder {
    token: Token,
    agent: Option<(Agent, Rights, Vec<Grant>)>,
}

impl Desk {
    /// Who the holder of a secret is, with everything they may see and do at this moment. `origin` is where
    /// they come from. What was looked up under `mark` is not looked up again.
    pub async fn authenticate(
        &self,
        secret: &str,
        origin: Origin,
        mark: Option<Mark>,
    ) -> Result<Actor, AuthError> {
        if !is_well_formed(PREFIX, secret) {
            return Err(AuthError::Unknown);
        }
        let hash = sha256_hex(secret.as_bytes());
        let remembered = mark.and_then(|mark| self.holders().get(mark, &hash));
        let holder = if let Some(holder) = remembered {
            holder
        } else {
            let asked = hash.clone();
            let found =
                self.look_up(move |cx| Ok(store::tokens::find_by_secret(cx.conn, &asked, cx.now)?)).await?;
            let holder = Arc::new(found);
            // While two secrets hold, which ones do is a matter of time.
            if let Some(mark) = mark
                && holder.token.previous_until.is_none_or(|until| until <= self.now())
            {
                self.holders().keep(mark, hash, Arc::clone(&holder), 1);
            }
            holder
        };
        self.admit_holder(&holder, Some(origin)).await
    }

    /// The same caller as of now: for what goes on for a while, since a token may have been revoked
    /// or a grant taken away meanwhile. The desk itself stays what it is.
    pub async fn renew(&self, actor: &Actor) -> Result<Actor, AuthError> {
        let Some(id) = actor.token_id.clone() else { return Ok(actor.clone()) };
        let holder =
            self.holder(Some(actor.origin.clone()), move |cx| Ok(store::tokens::find(cx.conn, &id)?)).await?;
        match &actor.on_behalf_of {
            Some(behalf) => self.on_behalf(&holder, behalf.clone()).await.map_err(|error| match error {
                Error::Forbidden(_) | Error::MissingScope(_) => AuthError::Unknown,
                other => AuthError::Store(other),
            }),
            None => Ok(holder),
        }
    }

    /// Who holds a token, as of now: for work that goes on in its name when its request is long answered.
    pub async fn bearer_of(&self, id: TokenId) -> Result<Actor, AuthError> {
        self.holder(None, move |cx| Ok(store::tokens::find(cx.conn, &id)?)).await
    }

    /// `origin` is where the token came from just now; nowhere, where what it once asked for goes on.
    async fn holder(
        &self,
        origin: Option<Origin>,
        find: impl Fn(&mut Cx<'_>) -> Result<Option<Token>, Error> + Send + 'static,
    ) -> Result<Actor, AuthError> {
        let holder = self.look_up(find).await?;
        self.admit_holder(&holder, origin).await
    }

    async fn look_up(
        &self,
        find: impl Fn(&mut Cx<'_>) -> Result<Option<Token>, Error> + Send + 'static,
    ) -> Result<Holder, AuthError> {
        let found = self
            .read(&Actor::system(), move |cx| {
                let Some(token) = find(cx)? else { return Ok(None) };
                let Some(id) = token.agent_id else { return Ok(Some(Holder { token, agent: None })) };
                let agent = agent_with_rights(cx, id)?;
                Ok(agent.map(|agent| Holder { token, agent: Some(agent) }))
            })
            .await
            .map_err(AuthError::Store)?;
        found.ok_or(AuthError::Unknown)
    }

    /// The holder, if the token holds now and for where it came from.
    async fn admit_holder(&self, holder: &Holder, origin: Option<Origin>) -> Result<Actor, AuthError> {
        let Holder { token, agent } = holder;
        // From elsewhere a token is like one that is not there.
        if let (Some(origin), Some(networks)) = (&origin, &token.allowed_networks)
            && !networks.allow(origin.address)
        {
            return Err(AuthError::Unknown);
        }
        let now = self.now();
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthError::Expired);
        }
        let idle_since = now.minus(self.settings().sign_in.idle);
        if token.kind == TokenKind::Session && token.last_used_at.unwrap_or(token.created_at) <= idle_since {
            return Err(AuthError::Expired);
        }
        if token.last_used_at.is_none_or(|used| used.plus(Duration::from_secs(60)) <= now) {
            let id = token.id.clone();
            let touched =
                self.write(&Actor::system(), move |cx| Ok(store::tokens::touch(cx.conn, &id, cx.now)?)).await;
            // Who only reads is let in where nothing can be written: a full disk, another process' lock.
            if let Err(error) = touched {
                tracing::warn!(error = ?error, "when a token was last used could not be written down");
            }
        }
        Ok(Actor { origin: origin.unwrap_or_default(), ..actor(token.clone(), agent.clone()) })
    }

    /// The caller in somebody else's name, for one request: what may be done is what both may do.
    ///
    /// Fails where the caller may not act for others, or not for this one; it is not told why, so that nobody
    /// learns who is there.
    pub async fn on_behalf(&self, caller: &Actor, behalf: Behalf) -> Result<Actor, Error> {
        const REFUSED: Error = Error::Forbidden("you can't act in the name of this agent");
        caller.access.require(Scope::Impersonate)?;
        let id = match &behalf {
            Behalf::Agent(id) => *id,
            Behalf::Customer(_) => return Ok(as_customer(caller, behalf)),
        };
        let found = self.read(&Actor::system(), move |cx| agent_with_rights(cx, id)).await?;
        let (agent, rights, grants) = found.ok_or(REFUSED)?;
        // An owner is acted for by whoever may do as much, and by no token that was narrowed.
        let is_owner = rights.scopes.contains(&Scope::Impersonate);
        if is_owner && rights.scopes.iter().any(|scope| !caller.access.has(*scope)) {
            return Err(REFUSED);
        }
        let mut scopes = narrowed(caller.access.scopes(), &rights.scopes);
        scopes.retain(|scope| *scope != Scope::Impersonate);
        let own = (!rights.sees_all).then_some(grants);
        let sight = match (caller.access.sight(), own) {
            (Sight::All, None) => Sight::All,
            (Sight::All, Some(grants)) => Sight::Only(grants),
            (Sight::Only(theirs), None) => Sight::Only(theirs.clone()),
            (Sight::Only(theirs), Some(grants)) => Sight::Only(both(theirs, &grants)),
        };
        Ok(Actor {
            kind: ActorType::Agent,
            agent_id: Some(agent.id),
            name: agent.name,
            email: Some(agent.email),
            access: Access::new(Some(agent.id), scopes, sight),
            on_behalf_of: Some(behalf),
            ..caller.clone()
        })
    }
}

/// A customer sees nothing; what they file goes where the caller may file it.
fn as_customer(caller: &Actor, behalf: Behalf) -> Actor {
    let scopes = narrowed(caller.access.scopes(), &[Scope::ConversationsWrite]);
    let name = match &behalf {
        Behalf::Customer(address) => address.clone(),
        Behalf::Agent(_) => caller.name.clone(),
    };
    Actor {
        kind: ActorType::Token,
        agent_id: None,
        email: None,
        name,
        access: Access::new(None, scopes, caller.access.sight().clone()),
        on_behalf_of: Some(behalf),
        ..caller.clone()
    }
}

/// An agent with what their role and their grants allow; `None` where there is none, or one who has stopped.
fn agent_with_rights(cx: &mut Cx<'_>, id: AgentId) -> Result<Option<(Agent, Rights, Vec<Grant>)>, Error> {
    let Some(agent) = store::people::find_agent(cx.conn, id)?.filter(|agent| agent.disabled_at.is_none())
    else {
        return Ok(None);
    };
    let rights = roles::of_agent(cx, &agent)?;
    let grants =
        if rights.sees_all { Vec::new() } else { store::people::effective_grants(cx.conn, agent.id)? };
    Ok(Some((agent, rights, grants)))
}

/// What two lists of grants both open: the narrower of each pair in one mailbox. What is only somebody's own
/// conversations in one of them is only the agent's here.
fn both(theirs: &[Grant], own: &[Grant]) -> Vec<Grant> {
    let mut found = Vec::new();
    for grant in own {
        for other in theirs.iter().filter(|other| other.mailbox_id == grant.mailbox_id) {
            let category_id = match (grant.category_id, other.category_id) {
                (Some(one), Some(two)) if one != two => continue,
                (one, two) => one.or(two),
            };
            let narrow = Grant {
                mailbox_id: grant.mailbox_id,
                category_id,
                assigned_only: grant.assigned_only || other.assigned_only,
                level: grant.level.min(other.level),
            };
            if !found.contains(&narrow) {
                found.push(narrow);
            }
        }
    }
    found
}

/// The token's own limits and its agent's rights, whichever is narrower.
fn actor(token: Token, agent: Option<(Agent, Rights, Vec<Grant>)>) -> Actor {
    let own = token.mailbox_ids.map(|ids| ids.into_iter().map(whole).collect::<Vec<_>>());
    let (agent, scopes, grants) = match agent {
        Some((agent, rights, grants)) => {
            let scopes = narrowed(&token.scopes, &rights.scopes);
            (Some(agent), scopes, (!rights.sees_all).then_some(grants))
        }
        None => (None, token.scopes, None),
    };
    let sight = match (own, grants) {
        (None, None) => Sight::All,
        (Some(one), None) | (None, Some(one)) => Sight::Only(one),
        (Some(own), Some(grants)) => Sight::Only(both(&own, &grants)),
    };
    Actor {
        kind: if agent.is_some() { ActorType::Agent } else { ActorType::Token },
        agent_id: agent.as_ref().map(|agent| agent.id),
        token_id: Some(token.id),
        access: Access::new(agent.as_ref().map(|agent| agent.id), scopes, sight),
        name: agent.as_ref().map_or(token.name, |agent| agent.name.clone()),
        email: agent.map(|agent| agent.email),
        origin: Origin::default(),
        networks: token.allowed_networks,
        on_behalf_of: None,
    }
}

fn whole(mailbox_id: MailboxId) -> Grant {
    Grant { mailbox_id, category_id: None, assigned_only: false, level: Level::Manage }
}
