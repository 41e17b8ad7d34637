//! Codes besides the password (TOTP, RFC 6238): six digits, 30 seconds, SHA-1, which is what all programs for
//! them know. One step to either side is taken, each code once.

use super::sessions::own_agent;
use super::tokens::require_whole_sight;
use super::{overtaken, roles, sign_in};
use crate::access::Scope;
use crate::actor::Actor;
use crate::audit::{AuditKind, NewNote};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::id::AgentId;
use crate::keys::sha256_hex;
use crate::operations::audit;
use crate::operations::tries::{self, What};
use crate::password::Tried;
use crate::people::Agent;
use crate::store::totp::TotpRow;
use crate::{Error, store};
use totp_rs::{Builder, Totp};

/// Recovery codes that are given out at once.
const RECOVERY_CODES: usize = 10;
/// What recovery codes are made of: no letter that is taken for a digit.
const LETTERS: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz1";
/// Letters of a recovery code: 80 bits.
const LETTERS_EACH: usize = 16;

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is right, or none is asked for.
    Fine,
    /// One is asked for.
    Missing,
    /// It is not right, or was taken before.
    Wrong,
}

/// What an agent's program for codes is told, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Begun {
    /// The secret in base 32, for typing.
    pub secret: String,
    /// The same as an address (`otpauth://`), for a picture.
    pub uri: String,
}

/// Whether codes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// They are.
    pub enabled: bool,
    /// Recovery codes that are left.
    pub recovery_codes_left: i64,
}

fn place(agent: AgentId) -> String {
    format!("agent_totp/{agent}/secret")
}

fn made_of(secret: Vec<u8>, agent: &Agent) -> Result<Totp, Error> {
    // A colon parts the two names in the address.
    let account = agent.email.replace(':', "_");
    let builder = Builder::new().with_secret(secret).with_account_name(account);
    let built = builder.with_issuer(Some("postroom".to_owned())).build();
    built.map_err(|_| Error::Lost("the secret of an agent's codes".to_owned()))
}

fn opened(cx: &Cx<'_>, row: &TotpRow, agent: &Agent) -> Result<Totp, Error> {
    let lost = || Error::Lost("the secret of an agent's codes".to_owned());
    let text = cx.keys.open(&place(row.agent_id), &row.secret).map_err(|_| lost())?;
    let secret = totp_rs::Secret::try_from_base32(&text).map_err(|_| lost())?;
    made_of(secret.as_bytes().to_vec(), agent)
}

/// Checks a code of an agent who signs in.
pub(super) fn check(cx: &mut Cx<'_>, agent: &Agent, code: Option<&str>) -> Result<Checked, Error> {
    let Some(row) = store::totp::find(cx.conn, agent.id)?.filter(|row| row.confirmed_at.is_some()) else {
        return Ok(Checked::Fine);
    };
    let Some(code) = code else { return Ok(Checked::Missing) };
    let plain: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if plain.len() == LETTERS_EACH {
        let hash = recovery_hash(agent.id, &plain.to_lowercase());
        if !store::totp::take_recovery(cx.conn, agent.id, &hash)? {
            return Ok(Checked::Wrong);
        }
        let left = store::totp::recovery_left(cx.conn, agent.id)?;
        let note = NewNote::new(AuditKind::RecoveryCodeUsed).with("left", left);
        audit::note(cx, note.by(sign_in::by(Some(agent))));
        return Ok(Checked::Fine);
    }
    if is_taken(cx, &row, agent, &plain)? { Ok(Checked::Fine) } else { Ok(Checked::Wrong) }
}

fn is_taken(cx: &mut Cx<'_>, row: &TotpRow, agent: &Agent, code: &str) -> Result<bool, Error> {
    let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let Ok(now) = u64::try_from(cx.now.as_seconds()) else { return Ok(false) };
    let step = if is_code { opened(cx, row, agent)?.check(code, now) } else { None };
    match step.and_then(|step| i64::try_from(step).ok()) {
        Some(step) => Ok(store::totp::take_step(cx.conn, agent.id, step)?),
        None => Ok(false),
    }
}

fn recovery_hash(agent: AgentId, plain: &str) -> String {
    sha256_hex(format!("{agent}/{plain}").as_bytes())
}

/// New recovery codes, in the place of those there were. They are shown this once.
fn new_recovery(cx: &mut Cx<'_>, agent: AgentId) -> Result<Vec<String>, Error> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut hashes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0_u8; LETTERS_EACH];
        rand::fill(&mut bytes);
        let plain: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte % 32)])).collect();
        hashes.push(recovery_hash(agent, &plain));
        let parts: Vec<&str> = (0..4).map(|part| &plain[part * 4..part * 4 + 4]).collect();
        codes.push(parts.join("-"));
    }
    store::totp::put_recovery(cx.conn, agent, &hashes, cx.now)?;
    Ok(codes)
}

/// Whether the agent that the caller speaks for signs in with codes.
pub fn status(cx: &mut Cx<'_>) -> Result<Status, Error> {
    let agent = own_agent(cx)?;
    let row = store::totp::find(cx.conn, agent)?;
    let enabled = row.is_some_and(|row| row.confirmed_at.is_some());
    Ok(Status { enabled, recovery_codes_left: store::totp::recovery_left(cx.conn, agent)? })
}

fn own(cx: &mut Cx<'_>) -> Result<Agent, Error> {
    let id = own_agent(cx)?;
    store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))
}

fn begin(cx: &mut Cx<'_>) -> Result<Begun, Error> {
    let agent = own(cx)?;
    require_off(cx, agent.id)?;
    let mut bytes = [0_u8; 20];
    rand::fill(&mut bytes);
    let totp = made_of(bytes.to_vec(), &agent)?;
    let secret = totp.secret().to_base32();
    let uri = totp.to_url().map_err(|_| Error::Lost("the secret of an agent's codes".to_owned()))?;
    let sealed = cx.keys.seal(&place(agent.id), &secret);
    let row =
        TotpRow { agent_id: agent.id, secret: sealed, confirmed_at: None, last_step: 0, created_at: cx.now };
    store::totp::put(cx.conn, &row)?;
    Ok(Begun { secret, uri })
}

fn require_off(cx: &mut Cx<'_>, agent: AgentId) -> Result<(), Error> {
    let row = store::totp::find(cx.conn, agent)?;
    if row.is_some_and(|row| row.confirmed_at.is_some()) {
        return Err(Error::StateConflict("you sign in with codes already; turn that off first".to_owned()));
    }
    Ok(())
}

/// Turns codes on. The try stays counted where the code is wrong.
fn confirm(cx: &mut Cx<'_>, code: &str) -> Result<Result<Vec<String>, Error>, Error> {
    let agent = own(cx)?;
    require_off(cx, agent.id)?;
    let origin = cx.actor.origin.clone();
    let made = tries::reserve(cx, What::SignIn, Some(&agent.email), &origin)?;
    let row = store::totp::find(cx.conn, agent.id)?;
    let row = row.ok_or_else(|| Error::StateConflict("ask for a secret first".to_owned()))?;
    if !is_taken(cx, &row, &agent, code.trim())? {
        let told = "is not the code of this moment; look at the clocks";
        return Ok(Err(Error::invalid("/code", "wrong", told)));
    }
    if !store::totp::confirm(cx.conn, agent.id, cx.now)? {
        return Err(overtaken());
    }
    tries::release(cx, &made)?;
    audit::note(cx, NewNote::new(AuditKind::TotpEnabled));
    new_recovery(cx, agent.id).map(Ok)
}

/// What an agent proves themselves with for what concerns their codes.
#[derive(Clone)]
pub struct Proof {
    /// The password. Where it is wrong, the fault is at `/password`, or at what the caller calls it.
    pub password: String,
    /// A code; a recovery code will do.
    pub code: Option<String>,
}

impl Desk {
    /// Makes a secret for codes. They are asked for once a first one was told ([`confirm`]).
    pub async fn begin_totp(&self, actor: &Actor, password: String) -> Result<Begun, Error> {
        let proof = Proof { password, code: None };
        self.prove(actor, proof, begin).await
    }

    /// Turns codes on: the first one proves that the agent's program has the secret. Returns recovery codes.
    pub async fn confirm_totp(&self, actor: &Actor, code: String) -> Result<Vec<String>, Error> {
        self.write(actor, move |cx| confirm(cx, &code)).await?
    }

    /// Turns codes off.
    pub async fn end_totp(&self, actor: &Actor, proof: Proof) -> Result<(), Error> {
        self.prove(actor, proof, |cx| {
            let agent = own_agent(cx)?;
            if store::totp::delete(cx.conn, agent)? {
                audit::note(cx, NewNote::new(AuditKind::TotpDisabled));
            }
            Ok(())
        })
        .await
    }

    /// Makes new recovery codes; the old ones open nothing any more.
    pub async fn renew_recovery_codes(&self, actor: &Actor, proof: Proof) -> Result<Vec<String>, Error> {
        self.prove(actor, proof, |cx| {
            let agent = own_agent(cx)?;
            if store::totp::find(cx.conn, agent)?.is_none_or(|row| row.confirmed_at.is_none()) {
                return Err(Error::StateConflict("you don't sign in with codes".to_owned()));
            }
            audit::note(cx, NewNote::new(AuditKind::RecoveryCodesMade));
            new_recovery(cx, agent)
        })
        .await
    }

    /// Does what takes the caller's password, and a code where they sign in with codes. A wrong one counts as a
    /// try to sign in.
    pub(super) async fn prove<T: Send + 'static>(
        &self,
        actor: &Actor,
        proof: Proof,
        work: impl Fn(&mut Cx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (made, kept) = self
            .write(actor, |cx| {
                let agent = own(cx)?;
                let kept = store::sign_in::password(cx.conn, agent.id)?;
                let none =
                    || Error::StateConflict("you have no password yet; accept an invitation".to_owned());
                let kept = kept.ok_or_else(none)?;
                let origin = cx.actor.origin.clone();
                Ok((tries::reserve(cx, What::SignIn, Some(&agent.email), &origin)?, kept))
            })
            .await?;
        let tried = self.try_password(proof.password, Some(kept.clone())).await?;
        let code = proof.code;
        self.write(actor, move |cx| {
            let agent = own(cx)?;
            let is_same = store::sign_in::password(cx.conn, agent.id)?.as_deref() == Some(&kept);
            let wrong = |pointer: &str| Error::invalid(pointer, "wrong", "is not right");
            if tried == Tried::Wrong || !is_same {
                let note = NewNote::new(AuditKind::SignInFailed)
                    .with("reason", "a wrong password was given to change something");
                audit::note(cx, note);
                return Ok(Err(wrong("/password")));
            }
            match check(cx, &agent, code.as_deref())? {
                Checked::Fine => {}
                Checked::Missing => {
                    tries::release(cx, &made)?;
                    return Ok(Err(Error::invalid("/code", "required", "you sign in with codes: tell one")));
                }
                Checked::Wrong => return Ok(Err(wrong("/code"))),
            }
            tries::release(cx, &made)?;
            // What is refused for another reason than the password takes nothing of this back.
            cx.attempt(|cx| work(cx))
        })
        .await?
    }
}

/// Turns somebody else's codes off, who has lost them.
pub fn reset(cx: &mut Cx<'_>, id: AgentId) -> Result<(), Error> {
    cx.access().require(Scope::AdminWrite)?;
    require_whole_sight(cx)?;
    let agent = store::people::find_agent(cx.conn, id)?.ok_or(Error::NotFound("agent"))?;
    roles::require_no_more(cx, &agent)?;
    if store::totp::delete(cx.conn, id)? {
        let note =
            NewNote::new(AuditKind::TotpDisabled).with("agent_id", id.0).with("by_administrator", true);
        audit::note(cx, note);
    }
    Ok(())
}
