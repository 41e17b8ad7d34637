//! Codes besides the password (TOTP).

use crate::answer::{self, Answer};
use crate::body::Body;
use crate::extract::{Caller, Id};
use crate::problem::ProblemDocument;
use crate::state::Api;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use postroom_core::id::AgentId;
use postroom_core::operations::totp::{self, Proof};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(get_totp)
        .service(begin_totp)
        .service(confirm_totp)
        .service(disable_totp)
        .service(renew_recovery_codes)
        .service(reset_agent_totp);
}

/// Whether you sign in with codes.
#[derive(Debug, Serialize, ToSchema)]
struct TotpStatus {
    /// A code is asked for besides the password.
    enabled: bool,
    /// Recovery codes that are left.
    recovery_codes_left: i64,
}

/// Look whether you sign in with codes
///
/// Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in", responses((status = OK, body = TotpStatus, description = "Whether.")))]
#[get("/me/totp")]
async fn get_totp(api: Data<Api>, caller: Caller) -> Answer {
    let status = api.desk.read(&caller, totp::status).await?;
    let (enabled, recovery_codes_left) = (status.enabled, status.recovery_codes_left);
    Ok(HttpResponse::Ok().json(TotpStatus { enabled, recovery_codes_left }))
}

/// Your password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TotpBegin {
    /// The password.
    #[schema(max_length = 1024)]
    password: String,
}

/// What a program for codes is told.
#[derive(Serialize, ToSchema)]
struct TotpSecret {
    /// The secret in base 32, for typing. It is shown this once.
    secret: String,
    /// The same as an address, to be shown as a QR code.
    uri: String,
}

/// Begin to sign in with codes
///
/// Makes a secret: six digits, 30 seconds, SHA-1. Nothing is asked for until a first code confirms that you have
/// it; asked again before that, it makes another. Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    request_body(content = TotpBegin, description = "The password.",
        example = json!({"password": "a pier in the fog"})),
    responses(
        (status = CREATED, body = TotpSecret, description = "The secret."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: codes are asked for already, or there is no password yet.")))]
#[post("/me/totp")]
async fn begin_totp(api: Data<Api>, caller: Caller, body: Body<TotpBegin>) -> Answer {
    let begun = api.desk.begin_totp(&caller, body.0.password).await?;
    Ok(HttpResponse::Created().json(TotpSecret { secret: begun.secret, uri: begun.uri }))
}

/// The code of this moment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TotpCode {
    /// Six digits.
    #[schema(max_length = 64)]
    code: String,
}

/// What helps who has lost their codes.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each does once in place of a code. They are shown this once.
    recovery_codes: Vec<String>,
}

/// Sign in with codes from now on
///
/// Answers with recovery codes, each of which does once in place of a code. Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    request_body(content = TotpCode, description = "The first code.", example = json!({"code": "123456"})),
    responses(
        (status = OK, body = RecoveryCodes, description = "Codes are asked for from now on."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there is no secret that waits for its first code.")))]
#[post("/me/totp/confirm")]
async fn confirm_totp(api: Data<Api>, caller: Caller, body: Body<TotpCode>) -> Answer {
    let code = body.0.code;
    let recovery_codes = api.desk.confirm_totp(&caller, code).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// What proves that it is you.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TotpProof {
    /// The password.
    #[schema(max_length = 1024)]
    password: String,
    /// A code that was not used yet, or a recovery code.
    #[schema(max_length = 64)]
    code: String,
}

/// Sign in without codes again
///
/// Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    request_body(content = TotpProof, description = "Password and code.",
        example = json!({"password": "a pier in the fog", "code": "123456"})),
    responses(
        (status = NO_CONTENT, description = "No code is asked for any more."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: there is no password yet.")))]
#[post("/me/totp/disable")]
async fn disable_totp(api: Data<Api>, caller: Caller, body: Body<TotpProof>) -> Answer {
    let TotpProof { password, code } = body.0;
    api.desk.end_totp(&caller, Proof { password, code: Some(code) }).await?;
    Ok(answer::gone())
}

/// Make new recovery codes
///
/// The old ones open nothing any more. Any token that speaks for an agent: no scope.
#[utoipa::path(tag = "sign-in",
    request_body(content = TotpProof, description = "Password and code.",
        example = json!({"password": "a pier in the fog", "code": "123456"})),
    responses(
        (status = OK, body = RecoveryCodes, description = "The new ones."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: you don't sign in with codes.")))]
#[post("/me/totp/recovery-codes")]
async fn renew_recovery_codes(api: Data<Api>, caller: Caller, body: Body<TotpProof>) -> Answer {
    let TotpProof { password, code } = body.0;
    let proof = Proof { password, code: Some(code) };
    let recovery_codes = api.desk.renew_recovery_codes(&caller, proof).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// Turn an agent's codes off
///
/// For somebody who has lost them. Needs `admin:write`.
#[utoipa::path(tag = "sign-in", params(Id<AgentId>),
    responses((status = NO_CONTENT, description = "No code is asked for any more.")))]
#[delete("/agents/{id}/totp")]
async fn reset_agent_totp(api: Data<Api>, caller: Caller, id: Id<AgentId>) -> Answer {
    api.desk.write(&caller, move |cx| totp::reset(cx, id.0)).await?;
    Ok(answer::gone())
}
