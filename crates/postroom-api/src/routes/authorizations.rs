//! Authorizing mailboxes by OAuth 2: begun here, completed at the provider's page.

use crate::answer::{self, Answer};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::problem::{Problem, ProblemDocument};
use crate::query::Query;
use crate::state::Api;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use postroom_core::authorization::{AuthorizationStatus, GrantType, Provider};
use postroom_core::id::MailboxId;
use postroom_core::operations::authorizations::{self, NewAuthorization, Started};
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Where a provider sends people back to.
const CALLBACK: &str = "/api/v1/oauth/callback";

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(start_authorization)
        .service(get_authorization)
        .service(forget_authorization)
        .service(complete_authorization);
}

/// What a mailbox is to be authorized with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAuthorization)]
struct NewAuthorizationBody {
    /// Who keeps the account.
    provider: Provider,
    /// How to ask. Google grants mail by `authorization_code` alone.
    grant: GrantType,
    /// The program's name at the provider, from its registration there.
    #[schema(min_length = 1, max_length = 255)]
    client_id: String,
    /// Its secret there, if it has one. It never comes back.
    #[serde(default)]
    #[schema(write_only, min_length = 1, max_length = 4_096)]
    client_secret: Option<String>,
    /// The organisation's id or domain at Microsoft; left out, any may sign in.
    #[serde(default)]
    tenant: Option<String>,
    /// What to ask for; left out, what reading and sending mail takes there.
    #[serde(default)]
    #[schema(max_items = 20)]
    scopes: Option<Vec<String>>,
}

/// What a person does next.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "authorization_url": null, "user_code": "ABC123", "verification_uri": "https://microsoft.com/devicelogin",
    "verification_uri_complete": null, "expires_at": "2026-11-22T08:15:00.000000Z", "interval_seconds": 5,
    "authorization": {
        "state": "needs_authorization", "provider": "microsoft", "grant": "device_code",
        "client_id": "6731de76-14a6-49ae-97bc-6eba6914391e", "tenant": null, "scopes": ["offline_access"],
        "has_client_secret": false, "is_renewable": false, "expires_at": null, "last_error": null,
        "retry_at": null, "refusals": [],
        "pending": {"grant": "device_code", "expires_at": "2026-11-22T08:15:00.000000Z"}
    }
}))]
struct StartedAuthorization {
    /// `authorization_code`: the page to open in a browser, within ten minutes.
    authorization_url: Option<String>,
    /// `device_code`: what to enter.
    user_code: Option<String>,
    /// `device_code`: the page to enter it on.
    verification_uri: Option<String>,
    /// `device_code`: the same page with the code in it.
    verification_uri_complete: Option<String>,
    /// Until when it can be completed; `null` where it is complete.
    expires_at: Option<Timestamp>,
    /// `device_code`: the daemon asks this often whether it was entered.
    interval_seconds: Option<u64>,
    /// How things stand.
    authorization: AuthorizationStatus,
}

impl From<Started> for StartedAuthorization {
    fn from(started: Started) -> Self {
        let device = started.device;
        Self {
            authorization_url: started.authorization_url,
            interval_seconds: device.as_ref().map(|device| device.interval.as_secs()),
            verification_uri_complete: device.as_ref().and_then(|d| d.verification_uri_complete.clone()),
            verification_uri: device.as_ref().map(|device| device.verification_uri.clone()),
            user_code: device.map(|device| device.user_code),
            expires_at: started.status.pending.as_ref().map(|pending| pending.expires_at),
            authorization: started.status,
        }
    }
}

/// What a provider sends people back with (RFC 6749 section 4.1.2).
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Returned {
    /// What the way there began with. It is good once, for ten minutes.
    state: String,
    /// The provider's code.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
}

/// Authorize a mailbox
///
/// For mailboxes that log in by token (`"auth": "oauth2"`). `authorization_code` answers with a page
/// to open, and needs `server.public_url`: register `{public_url}/api/v1/oauth/callback` at the
/// provider. `device_code` answers with a code to enter somewhere else. `client_credentials` is
/// through at once. What the mailbox was authorized with before stays good until then; how it went
/// stands in `GET /mailboxes/{id}/oauth`. Needs `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>, IdempotencyKey),
    request_body(content = NewAuthorizationBody, description = "With what.", examples(
        ("device" = (summary = "Microsoft 365, by a code", value = json!({
            "provider": "microsoft", "grant": "device_code", "tenant": "example.onmicrosoft.com",
            "client_id": "6731de76-14a6-49ae-97bc-6eba6914391e"
        }))),
        ("page" = (summary = "Gmail, by a page", value = json!({
            "provider": "google", "grant": "authorization_code",
            "client_id": "1234.apps.googleusercontent.com", "client_secret": "GOCSPX-correct-horse"
        }))))),
    responses(
        (status = OK, body = StartedAuthorization, description = "`client_credentials`: it is done."),
        (status = ACCEPTED, body = StartedAuthorization, description = "What a person does next."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the mailbox logs in nowhere by token, `server.public_url` is not set, or the provider refused."),
        (status = BAD_GATEWAY, body = ProblemDocument, content_type = "application/problem+json",
         description = "`provider_unavailable`: the provider can't be asked.")))]
#[post("/mailboxes/{id}/oauth")]
async fn start_authorization(
    api: Data<Api>,
    caller: Caller,
    id: Id<MailboxId>,
    body: Keyed<NewAuthorizationBody>,
) -> Answer {
    let Keyed { once, body } = body;
    let new = NewAuthorization {
        provider: body.provider,
        grant: body.grant,
        client_id: body.client_id,
        client_secret: body.client_secret,
        tenant: body.tenant,
        scopes: body.scopes,
    };
    let callback = api.links.public(CALLBACK);
    let (desk, actor) = (api.desk.clone(), caller.clone());
    // One that is begun again takes the place of the first, which nobody has heard of.
    let start = async move {
        let started = desk.start_authorization(&actor, id.0, new, callback).await?;
        let is_done = started.authorization_url.is_none() && started.device.is_none();
        let status = if is_done { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(answer::said(status, &StartedAuthorization::from(started)))
    };
    once.around(&api, &caller, start).await
}

/// Read how a mailbox is authorized
///
/// Without its tokens and its client secret. Needs `admin:read`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    responses((status = OK, body = AuthorizationStatus, description = "How it is authorized.")))]
#[get("/mailboxes/{id}/oauth")]
async fn get_authorization(api: Data<Api>, caller: Caller, id: Id<MailboxId>) -> Answer {
    let status = api.desk.read(&caller, move |cx| authorizations::status(cx, id.0)).await?;
    Ok(HttpResponse::Ok().json(status))
}

/// Forget a mailbox's authorization
///
/// Its tokens and its client secret are removed here; revoke them at the provider too. Needs
/// `admin:write`.
#[utoipa::path(tag = "mailboxes", params(Id<MailboxId>),
    responses((status = NO_CONTENT, description = "It is forgotten.")))]
#[delete("/mailboxes/{id}/oauth")]
async fn forget_authorization(api: Data<Api>, caller: Caller, id: Id<MailboxId>) -> Answer {
    api.desk.write(&caller, move |cx| authorizations::forget(cx, id.0)).await?;
    Ok(answer::gone())
}

/// Come back from a provider's page
///
/// Browsers are sent here. The state stands for the caller: 256 random bits, good once and for ten
/// minutes. Public.
#[utoipa::path(tag = "mailboxes", security(()), params(Returned),
    extensions(("x-other-parameters" = json!("are passed over"))),
    responses(
        (status = OK, content_type = "text/plain", body = String, description = "The mailbox is authorized."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: the state was used or is too old, or the provider refused."),
        (status = BAD_GATEWAY, body = ProblemDocument, content_type = "application/problem+json",
         description = "`provider_unavailable`: the provider can't be asked.")))]
#[get("/oauth/callback")]
async fn complete_authorization(api: Data<Api>, returned: Query<Returned>) -> Answer {
    let Returned { state, code, error } = returned.0;
    let code = match (code, error) {
        (Some(code), None) => Ok(code),
        (_, Some(error)) => Err(error),
        (None, None) => return Err(Problem::bad_parameter("code: is missing")),
    };
    let name = api.desk.complete_authorization(&state, code).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(format!("The mailbox {name} is authorized. You can close this window.\n")))
}
