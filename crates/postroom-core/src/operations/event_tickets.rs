//! Tickets for the event stream: a browser's `EventSource` can't send a header, so its address holds a
//! ticket in place of the token. A ticket is no right of its own: it names the token it was asked for with,
//! and opens what that token opens at the moment it is shown.

use super::tokens::AuthError;
use crate::Error;
use crate::access::Scope;
use crate::actor::{Actor, Behalf};
use crate::audit::Origin;
use crate::desk::Desk;
use crate::id::{AgentId, TokenId};
use crate::keys::{Keys, sha256_hex};
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a ticket may be shown: long enough for the browser to come again by itself after a hiccup.
pub const TICKET_LIVES: Duration = Duration::from_secs(60);
/// Event types that one ticket may name.
pub const TICKET_TYPES: usize = 50;

/// What the seal is for: a secret of another place is no ticket.
const PLACE: &str = "events/ticket";

/// What a ticket says, to us alone: it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    token: String,
    agent: Option<i64>,
    types: Vec<String>,
    expires_at: i64,
}

/// A ticket that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTicket {
    /// What is shown. Whoever has it is let in: it belongs in no log.
    pub secret: String,
    /// Until when it may be shown.
    pub expires_at: Timestamp,
}

/// Who came with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The token's holder, as of now.
    pub actor: Actor,
    /// Which ticket it was: what tells it from others, and opens nothing.
    pub ticket: String,
    /// The event types that it is for; all, where there are none.
    pub types: Vec<String>,
}

fn seal(keys: &Keys, said: &Said) -> Result<String, Error> {
    let text = serde_json::to_string(said).map_err(|_| Error::Forbidden("this ticket can't be written"))?;
    Ok(URL_SAFE_NO_PAD.encode(keys.seal(PLACE, &text)))
}

/// What a ticket says, if it is ours and its time is not over.
fn open(keys: &Keys, secret: &str, now: Timestamp) -> Option<Said> {
    let sealed = URL_SAFE_NO_PAD.decode(secret).ok()?;
    let text = keys.open(PLACE, &sealed).ok()?;
    let said: Said = serde_json::from_str(&text).ok()?;
    (now < Timestamp(said.expires_at)).then_some(said)
}

impl Desk {
    /// A ticket for the event stream, to events of these types or all. It dies with the caller's token, and
    /// is bound to its networks.
    ///
    /// Fails where the caller may not read events, or has no token that a ticket could speak for.
    pub fn event_ticket(&self, caller: &Actor, types: Vec<String>) -> Result<EventTicket, Error> {
        caller.access.require(Scope::EventsRead)?;
        if types.len() > TICKET_TYPES {
            let told = format!("has at most {TICKET_TYPES} members");
            return Err(Error::invalid("/types", "too_many", told));
        }
        let Some(token) = &caller.token_id else {
            return Err(Error::Forbidden("a ticket speaks for a token, and there is none"));
        };
        let agent = match &caller.on_behalf_of {
            None => None,
            Some(Behalf::Agent(id)) => Some(id.0),
            Some(Behalf::Customer(_)) => {
                return Err(Error::Forbidden("customers do not follow events"));
            }
        };
        let expires_at = self.now().plus(TICKET_LIVES);
        let said = Said { token: token.0.clone(), agent, types, expires_at: expires_at.0 };
        Ok(EventTicket { secret: seal(self.keys(), &said)?, expires_at })
    }

    /// Who shows a ticket, with what they may see and do at this moment.
    ///
    /// Fails like a token that is not known, where it is forged, its time is over, its token is revoked, or
    /// it is shown from a network that the token is not for.
    pub async fn admit(&self, secret: &str, origin: Origin) -> Result<Admitted, AuthError> {
        let said = open(self.keys(), secret, self.now()).ok_or(AuthError::Unknown)?;
        let holder = Actor {
            token_id: Some(TokenId(said.token)),
            origin,
            on_behalf_of: said.agent.map(|id| Behalf::Agent(AgentId(id))),
            ..Actor::system()
        };
        let actor = self.renew(&holder).await?;
        Ok(Admitted { actor, ticket: sha256_hex(secret.as_bytes()), types: said.types })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_334_400_500_000);

    #[test]
    fn a_ticket_holds_until_its_end_and_where_it_was_made() {
        let keys = Keys::new(&[1; 32]);
        let end = NOW.plus(TICKET_LIVES);
        let said = Said {
            token: "tok_1".to_owned(),
            agent: Some(7),
            types: vec!["message.".to_owned()],
            expires_at: end.0,
        };
        let secret = seal(&keys, &said).expect("it is plain text");
        assert_eq!(open(&keys, &secret, NOW), Some(said.clone()));
        assert_eq!(open(&keys, &secret, Timestamp(end.0 - 1)), Some(said.clone()));
        assert_eq!(open(&keys, &secret, end), None);
        assert_eq!(open(&Keys::new(&[2; 32]), &secret, NOW), None);
        assert_ne!(seal(&keys, &said).expect("plain"), secret, "each is another");
        // A password that was sealed is no ticket, and neither is one that was bent.
        let elsewhere = keys.seal("mailboxes/1/source", &serde_json::to_string(&said).expect("plain"));
        assert_eq!(open(&keys, &URL_SAFE_NO_PAD.encode(elsewhere), NOW), None);
        let mut bent = secret.clone().into_bytes();
        bent[60] = if bent[60] == b'A' { b'B' } else { b'A' };
        for wrong in ["", "x", &secret[1..], std::str::from_utf8(&bent).expect("ASCII")] {
            assert_eq!(open(&keys, wrong, NOW), None, "{wrong:?}");
        }
        assert!(!secret.contains("tok_"), "it says nothing to others");
    }
}
