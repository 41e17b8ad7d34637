//! Signing in by password, for frontends: a session is a token like any other. Nothing here sets a cookie.

use crate::answer::{self, Answer};
use crate::body::{Body, bounded};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Once};
use crate::links::Links;
use crate::peer::From;
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, post, put};
use postroom_core::access::Scope;
use postroom_core::cx::Cx;
use postroom_core::id::{AgentId, TokenId};
use postroom_core::operations::passwords;
use postroom_core::operations::sign_in::{Credentials, SignedIn};
use postroom_core::operations::totp::Proof;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(sign_in)
        .service(change_password)
        .service(ask_password_reset)
        .service(complete_password_reset)
        .service(invite_agent)
        .service(accept_invitation);
}

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    /// The agent's address.
    #[schema(max_length = 320)]
    email: String,
    /// The password.
    #[schema(max_length = 1024)]
    password: String,
    /// A code, where the agent signs in with one (`code_required` says so); a recovery code will do.
    #[serde(default)]
    code: Option<String>,
    /// What the session is for; left out, all that the agent may do.
    #[serde(default)]
    scopes: Option<Vec<Scope>>,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
struct SessionStarted {
    /// For `Authorization: Bearer`. It is shown this once; keep it out of the reach of other sites.
    token: String,
    /// Its public name.
    token_id: TokenId,
    /// Who signed in.
    agent_id: AgentId,
    /// What the session may be used for now: the agent's role bounds it.
    scopes: Vec<Scope>,
    /// When it ends at the latest; before, if it is not used for a while (12 hours unless set up otherwise).
    expires_at: Option<Timestamp>,
}

fn started(signed_in: SignedIn) -> HttpResponse {
    let SignedIn { token, secret, actor } = signed_in;
    let agent_id = actor.agent_id.unwrap_or(AgentId(0));
    HttpResponse::Created().json(SessionStarted {
        token: secret,
        token_id: token.id,
        agent_id,
        scopes: actor.access.scopes().to_vec(),
        expires_at: token.expires_at,
    })
}

/// Sign in by password
///
/// Begins a session: a token that ends when it is not used for a while, and when its agent's password changes.
/// Whatever is wrong with address or password, the answer is the same `sign_in_failed`. After five tries in vain
/// of one account, or twenty from one network (/24, /64), within 15 minutes it is 429 for a while. No
/// cookie is set. Public.
#[utoipa::path(tag = "sign-in", security(()),
    request_body(content = SignInBody, description = "Who, and what proves it.",
        example = json!({"email": "amy@example.org", "password": "a pier in the fog"})),
    responses(
        (status = CREATED, body = SessionStarted, description = "The session."),
        (status = UNAUTHORIZED, body = ProblemDocument, content_type = "application/problem+json",
         description = "`sign_in_failed`: address or password, or the code, is not right. `code_required`: the password is right, and a code is asked for besides.")))]
#[post("/sign-in")]
async fn sign_in(api: Data<Api>, from: From, body: Body<SignInBody>) -> Answer {
    let SignInBody { email, password, code, scopes } = body.0;
    bounded("/email", &email, 320)?;
    bounded("/password", &password, 1_024)?;
    bounded("/code", code.as_deref().unwrap_or_default(), 64)?;
    let with = Credentials { email, password, code, scopes };
    Ok(started(api.desk.sign_in(with, from.0).await?))
}

/// A new password, and what proves that it is theirs to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The one until now.
    #[schema(max_length = 1024)]
    current_password: String,
    /// The new one: 12 to 256 characters of any kind; not the address, the name or one of the commonest.
    #[schema(max_length = 1024)]
    password: String,
    /// A code, where you sign in with one.
    #[serde(default)]
    code: Option<String>,
}

/// Change your password
///
/// Ends all other sessions. Wrong tries count as tries to sign in. Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    request_body(content = PasswordBody, description = "Both.",
        example = json!({"current_password": "a pier in the fog", "password": "a lamp on the pier"})),
    responses(
        (status = NO_CONTENT, description = "It is changed."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there is no password yet.")))]
#[put("/me/password")]
async fn change_password(api: Data<Api>, caller: Caller, body: Body<PasswordBody>) -> Answer {
    let PasswordBody { current_password, password, code } = body.0;
    bounded("/current_password", &current_password, 1_024)?;
    bounded("/password", &password, 1_024)?;
    let proof = Proof { password: current_password, code };
    api.desk.change_password(&caller, proof, password).await?;
    Ok(answer::gone())
}

/// Whose password is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// The agent's address.
    #[schema(max_length = 320)]
    email: String,
}

/// Ask for a link that sets a new password
///
/// If an agent with a password has this address, a mail with a link goes there, which works once and for an hour.
/// The answer is the same for all addresses. Five times for an address, and twenty from a network, within 15
/// minutes. Public.
#[utoipa::path(tag = "sign-in", security(()),
    request_body(content = ResetBody, description = "Whose.", example = json!({"email": "amy@example.org"})),
    responses((status = ACCEPTED, description = "If there is such an agent, a mail is on its way.")))]
#[post("/password-resets")]
async fn ask_password_reset(api: Data<Api>, from: From, body: Body<ResetBody>) -> Answer {
    let email = body.0.email;
    bounded("/email", &email, 320)?;
    api.desk.ask_password_reset(email, from.0).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// What came by mail, and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OneTimeBody {
    /// What stands behind `#token=` in the link.
    #[schema(max_length = 1024)]
    token: String,
    /// The new password: 12 to 256 characters of any kind; not the address, the name or one of the commonest.
    #[schema(max_length = 1024)]
    password: String,
}

/// Set a new password by a link
///
/// Ends all of the agent's sessions. Twenty tries in vain from a network within 15 minutes. Public.
#[utoipa::path(tag = "sign-in", security(()),
    request_body(content = OneTimeBody, description = "The secret of the link, and the password.",
        example = json!({"token": "pr_once_…", "password": "a lamp on the pier"})),
    responses((status = NO_CONTENT, description = "It is set; sign in with it.")))]
#[post("/password-resets/complete")]
async fn complete_password_reset(api: Data<Api>, from: From, body: Body<OneTimeBody>) -> Answer {
    let OneTimeBody { token, password } = body.0;
    bounded("/password", &password, 1_024)?;
    api.desk.reset_password(token, password, from.0).await?;
    Ok(answer::gone())
}

/// An invitation.
#[derive(Serialize, ToSchema)]
struct Invitation {
    /// Whom it is for.
    agent_id: AgentId,
    /// A mail with its link is on its way. If not, no mailbox can send: `postroom agent invite` on the daemon's
    /// machine shows the secret.
    mailed: bool,
    /// When it ends.
    expires_at: Timestamp,
}

/// Invite an agent
///
/// Mails a link that sets their first password, once and for a week; a link before this one opens nothing any more.
/// Needs `admin:write`.
#[utoipa::path(tag = "sign-in", params(Id<AgentId>, IdempotencyKey),
    responses(
        (status = CREATED, body = Invitation, description = "The agent is invited."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: they have a password already, or are disabled.")))]
#[post("/agents/{id}/invitation")]
async fn invite_agent(api: Data<Api>, caller: Caller, id: Id<AgentId>, once: Once) -> Answer {
    let invite = move |cx: &mut Cx<'_>, _: &Links| {
        let made = passwords::invite(cx, id.0)?;
        let view = Invitation { agent_id: id.0, mailed: made.mailed, expires_at: made.expires_at };
        Ok(answer::made_here(&view))
    };
    Ok(once.write(&api, &caller, invite).await?)
}

/// Accept an invitation
///
/// Sets the first password and begins a session. Twenty tries in vain from a network within 15 minutes. Public.
#[utoipa::path(tag = "sign-in", security(()),
    request_body(content = OneTimeBody, description = "The secret of the link, and the password.",
        example = json!({"token": "pr_once_…", "password": "a pier in the fog"})),
    responses((status = CREATED, body = SessionStarted, description = "The session.")))]
#[post("/invitations/accept")]
async fn accept_invitation(api: Data<Api>, from: From, body: Body<OneTimeBody>) -> Answer {
    let OneTimeBody { token, password } = body.0;
    bounded("/password", &password, 1_024)?;
    Ok(started(api.desk.accept_invitation(token, password, from.0).await?))
}
