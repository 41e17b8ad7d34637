//! Requests that come with a signed link instead of a token: who they are and what they may.

use crate::extract::{Caller, unauthorized};
use crate::problem::Problem;
use crate::state::Api;
use actix_web::http::StatusCode;
use postroom_core::actor::Actor;
use postroom_core::signed_link::{LinkPurpose, SignedLink};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The query parameter that makes a request one with a signed link.
pub const SIGNATURE: &str = "signature";

/// What a link says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The second since 1970 at which its time ends.
    pub expires: Option<i64>,
    /// What makes it ours.
    pub signature: Option<&'a str>,
}

/// Who asks: whoever the token speaks for, or the holder of a link that is signed for `thing` and
/// `purpose`. A link that is forged, that is for something else or whose time is over: all one.
pub fn visitor(
    api: &Api,
    caller: Option<Caller>,
    purpose: LinkPurpose,
    thing: &str,
    proof: Proof<'_>,
) -> Result<Actor, Problem> {
    let Some(signature) = proof.signature else {
        return caller.map(|caller| caller.0).ok_or_else(unauthorized);
    };
    let expires = proof.expires.unwrap_or_default();
    if api.desk.keys().link_holds(purpose, thing, expires, signature, api.desk.now()) {
        Ok(Actor::system())
    } else {
        let told = "this link does not hold, or not any more; ask for a new one";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", told))
    }
}

/// How long a link is to hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLink)]
pub struct NewLinkBody {
    /// Seconds, at most 600.
    #[serde(default = "usual_ttl")]
    #[schema(minimum = 1, maximum = 600, default = 300)]
    pub ttl: u32,
}

/// Five minutes.
pub fn usual_ttl() -> u32 {
    300
}

/// A link that opens without a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedLink)]
pub struct SignedLinkView {
    /// Where it leads. Whoever has it is let in until its time ends.
    pub url: String,
    /// When that is.
    pub expires_at: Timestamp,
}

impl SignedLinkView {
    /// A link under our public address.
    pub fn new(link: &SignedLink, api: &Api) -> Self {
        Self { url: api.links.to(&link.path), expires_at: link.expires_at }
    }
}
