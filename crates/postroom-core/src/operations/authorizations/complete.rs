//! The end of an authorization: a person comes back, a device code is confirmed, tokens are kept.

use super::begin::{POLL_SECONDS, is_random, told};
use super::{Sealed, client_of_flow, open, seal, tell_authorized};
use crate::actor::Actor;
use crate::authorization::{Ask, AuthorizationState, Client, Tokens};
use crate::cx::Cx;
use crate::desk::{Desk, off_thread};
use crate::id::MailboxId;
use crate::keys::sha256_hex;
use crate::operations::overtaken;
use crate::ports::AuthorizeError;
use crate::store::authorizations::{Authorization, Flow};
use crate::store::types::Json;
use crate::text::one_line;
use crate::time::Timestamp;
use crate::{Error, store};
use std::time::Duration;

/// What an access token is good for where its server does not say (RFC 6749 section 5.1 leaves it
/// open); Google's and Microsoft's last about so long.
const USUAL_LIFE: Duration = Duration::from_hours(1);
/// No server's word on that counts for longer.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 30);
/// The next token is fetched so long before the present one ends.
const BEFORE_THE_END: Duration = Duration::from_mins(5);
/// What RFC 8628 section 3.5 adds when it is told to slow down.
const SLOWER: i32 = 5;

/// Until when an access token is good, and from when on the next one is fetched: five minutes
/// before, or at half the life of one that lasts less than ten.
pub(super) fn life(now: Timestamp, tokens: &Tokens) -> (Timestamp, Timestamp) {
    let life = tokens.expires_in.unwrap_or(USUAL_LIFE).min(LONGEST_LIFE);
    (now.plus(life), now.plus(life.saturating_sub(BEFORE_THE_END.min(life / 2))))
}

/// Keeps the tokens of a completed authorization, in place of those there were.
pub(super) fn keep(cx: &mut Cx<'_>, id: MailboxId, client: &Client, tokens: &Tokens) -> Result<(), Error> {
    let before = store::authorizations::find(cx.conn, id)?;
    let (expires_at, refresh_at) = life(cx.now, tokens);
    let client_secret = client.client_secret.as_deref();
    let refresh_token = tokens.refresh_token.as_deref();
    let after = Authorization {
        mailbox_id: id,
        provider: client.provider,
        grant_type: client.grant,
        client_id: client.client_id.clone(),
        client_secret: client_secret.map(|secret| seal(cx, Sealed::ClientSecret, id, secret)),
        tenant: client.tenant.clone(),
        scopes: Json::new(client.scopes.clone()),
        state: AuthorizationState::Authorized,
        refresh_token: refresh_token.map(|token| seal(cx, Sealed::RefreshToken, id, token)),
        access_token: Some(seal(cx, Sealed::AccessToken, id, &tokens.access_token)),
        expires_at: Some(expires_at),
        refresh_at: Some(refresh_at),
        last_error: None,
        failures: 0,
        retry_at: None,
        claimed_until: None,
        version: before.as_ref().map_or(0, |before| before.version) + 1,
        created_at: cx.now,
        updated_at: cx.now,
    };
    match &before {
        Some(before) if !store::authorizations::update(cx.conn, before.version, &after)? => {
            return Err(overtaken());
        }
        Some(_) => {}
        None => store::authorizations::insert(cx.conn, &after)?,
    }
    store::authorizations::delete_refusals(cx.conn, id)?;
    tell_authorized(cx, id);
    // What waited for this need not wait for the next poll.
    Ok(store::mailboxes::request_sync(cx.conn, id, cx.now)?)
}

/// What a flow asks its token server with.
struct Question {
    flow: Flow,
    client: Client,
    secret: String,
}

fn question(cx: &Cx<'_>, flow: Flow) -> Result<Question, Error> {
    let client = client_of_flow(cx, &flow)?;
    let secret = open(cx, Sealed::FlowSecret, flow.mailbox_id, &flow.secret)?;
    Ok(Question { flow, client, secret })
}

impl Desk {
    /// Completes an authorization with what a person brought back from the provider's page: a code,
    /// or the provider's word for why there is none. The state is good once, and for ten minutes; it
    /// stands for the caller, so no other proof is asked for. Returns the mailbox's name.
    pub async fn complete_authorization(
        &self,
        state: &str,
        code: Result<String, String>,
    ) -> Result<String, Error> {
        let system = Actor::system();
        // What can be no state of ours is not looked up.
        let hash = is_random(state).then(|| sha256_hex(state.as_bytes()));
        let taken = self
            .write(&system, move |cx| {
                let Some(hash) = &hash else { return Ok(None) };
                let Some(flow) = store::authorizations::take_flow(cx.conn, hash, cx.now)? else {
                    return Ok(None);
                };
                question(cx, flow).map(Some)
            })
            .await?;
        let Some(asked) = taken else {
            return Err(Error::StateConflict(
                "this way back was used before, or it took longer than ten minutes; begin again".to_owned(),
            ));
        };
        let authorizer = self.ports().authorizer.clone();
        let (flow, client) = (asked.flow.clone(), asked.client.clone());
        let answer = off_thread(move || {
            let code = match code {
                Ok(code) => code,
                Err(word) => {
                    let said = String::new();
                    return Ok(Err(AuthorizeError::Refused { code: one_line(&word, 100), said }));
                }
            };
            let redirect_uri = asked.flow.redirect_uri.as_deref().unwrap_or_default();
            let ask = Ask::Code { code: &code, verifier: &asked.secret, redirect_uri };
            Ok(authorizer.token(&asked.client, &ask))
        })
        .await?;
        self.conclude(flow, client, answer).await
    }

    /// Writes down what came of a flow. Returns the mailbox's name.
    async fn conclude(
        &self,
        flow: Flow,
        client: Client,
        answer: Result<Tokens, AuthorizeError>,
    ) -> Result<String, Error> {
        let system = Actor::system();
        let tokens = match answer {
            Ok(tokens) => tokens,
            Err(error) => {
                let why = one_line(&error.to_string(), 500);
                self.write(&system, move |cx| {
                    cx.wake();
                    Ok(store::authorizations::fail_flow(cx.conn, &flow, &why)?)
                })
                .await?;
                return Err(told(error));
            }
        };
        self.write(&system, move |cx| {
            if !store::authorizations::end_flow(cx.conn, &flow)? {
                return Err(Error::StateConflict(
                    "the authorization was begun anew or taken back in the meantime".to_owned(),
                ));
            }
            keep(cx, flow.mailbox_id, &client, &tokens)?;
            let mailbox = store::mailboxes::find(cx.conn, flow.mailbox_id)?;
            mailbox.map(|mailbox| mailbox.name).ok_or(Error::NotFound("mailbox"))
        })
        .await
    }

    /// Asks about every device code whose time has come, each once, as its server's interval says.
    /// Returns when the next is due.
    pub async fn poll_device_codes(&self) -> Result<Option<Timestamp>, Error> {
        let system = Actor::system();
        let asked = self
            .write(&system, |cx| {
                let due = store::authorizations::due_flows(cx.conn, cx.now)?;
                let mut asked = Vec::new();
                for flow in due {
                    if flow.expires_at <= cx.now {
                        let why = "the code ran out before anybody entered it; begin again";
                        store::authorizations::fail_flow(cx.conn, &flow, why)?;
                        cx.wake();
                        continue;
                    }
                    let seconds = flow.poll_seconds.unwrap_or(SLOWER);
                    let next = cx.now.plus(Duration::from_secs(u64::from(seconds.unsigned_abs())));
                    if store::authorizations::put_off(cx.conn, &flow, seconds, next)? {
                        let flow = Flow { next_poll_at: Some(next), ..flow };
                        asked.push(question(cx, flow)?);
                    }
                }
                Ok(asked)
            })
            .await?;
        for question in asked {
            self.ask_about_device(question).await?;
        }
        self.read(&system, |cx| Ok(store::authorizations::next_poll(cx.conn)?)).await
    }

    async fn ask_about_device(&self, asked: Question) -> Result<(), Error> {
        let authorizer = self.ports().authorizer.clone();
        let (flow, client, secret) = (asked.flow, asked.client, asked.secret);
        let asking = client.clone();
        let answer =
            off_thread(move || Ok(authorizer.token(&asking, &Ask::Device { device_code: &secret }))).await?;
        match answer {
            Err(AuthorizeError::Pending) => Ok(()),
            // RFC 8628 section 3.5: slower from now on, and likewise where nobody answers.
            Err(error @ (AuthorizeError::SlowDown | AuthorizeError::Unavailable(_))) => {
                if let AuthorizeError::Unavailable(why) = &error {
                    tracing::warn!(mailbox = %flow.mailbox_id, why, "a device code could not be asked about");
                }
                let most = *POLL_SECONDS.end() as i32;
                let seconds = flow.poll_seconds.unwrap_or(SLOWER).saturating_add(SLOWER).min(most);
                let slower = move |cx: &mut Cx<'_>| {
                    let next = cx.now.plus(Duration::from_secs(u64::from(seconds.unsigned_abs())));
                    Ok(store::authorizations::put_off(cx.conn, &flow, seconds, next)?)
                };
                self.write(&Actor::system(), slower).await.map(drop)
            }
            answer => match self.conclude(flow, client, answer).await {
                Ok(name) => {
                    tracing::info!(mailbox = name, "authorized");
                    Ok(())
                }
                // It stands in the status now.
                Err(Error::StateConflict(why)) => {
                    tracing::warn!(why, "a mailbox was not authorized");
                    Ok(())
                }
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_is_fetched_in_time() {
        let minutes = |of: Option<u64>| {
            let tokens = Tokens {
                access_token: String::new(),
                refresh_token: None,
                expires_in: of.map(Duration::from_mins),
            };
            let (end, refresh) = life(Timestamp(0), &tokens);
            (end.as_seconds() / 60, refresh.as_seconds() / 60)
        };
        assert_eq!(minutes(Some(60)), (60, 55));
        assert_eq!(minutes(None), (60, 55));
        assert_eq!(minutes(Some(10)), (10, 5));
        assert_eq!(minutes(Some(4)), (4, 2));
        assert_eq!(minutes(Some(0)), (0, 0));
        assert_eq!(minutes(Some(u64::MAX / 60)).0, 30 * 24 * 60);
    }
}
