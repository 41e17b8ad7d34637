//! The gate before the handlers. What is known of an operation is read out of the document:
//! which methods a path has, which parameters, and whether it is public. What is not said to be
//! public needs a token.

use crate::behalf;
use crate::etag::IfNoneMatch;
use crate::extract::{Caller, expired, unauthorized};
use crate::peer;
use crate::problem::{Extras, Problem, log_inside};
use crate::query;
use crate::quota::{Standing, Who};
use crate::remembered::{self, Asked};
use crate::signed_link::SIGNATURE;
use crate::state::Api;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use postroom_core::actor::Actor;
use postroom_core::mark::Mark;
use postroom_core::operations::tokens::AuthError;
use std::collections::{HashMap, HashSet};
use utoipa::openapi::path::{Operation as Documented, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

/// What marks an operation in the document whose address others make up: RFC 6749 section 4.1.2
/// wants parameters passed over that are not known.
const TAKES_ANY: &str = "x-other-parameters";
/// What the document calls the signature of a link.
pub const LINK_SCHEME: &str = "signed_link";
/// What the document calls a ticket for the event stream.
pub const TICKET_SCHEME: &str = "event_ticket";
/// The query parameter that holds such a ticket.
pub const TICKET: &str = "ticket";

/// One operation as the gate knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its name.
    pub id: String,
    /// The query parameters it takes.
    pub parameters: Vec<String>,
    /// Whether it needs no token.
    pub is_public: bool,
    /// Parameters that are not known are passed over, since others make up the address.
    pub takes_any: bool,
    /// It may be asked as often as somebody likes.
    pub is_free: bool,
    /// Whether a signed link does in place of a token.
    pub takes_link: bool,
    /// Whether a ticket does in place of a token.
    pub takes_ticket: bool,
    /// Whether its answers are given again while nothing has changed.
    pub is_remembered: bool,
}

/// Every operation, by the pattern of its path.
#[derive(Debug)]
pub struct Table(HashMap<String, Vec<Operation>>);

/// The operations of one path.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Documented)> {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

/// Whether an operation is documented as one that needs no token: `security` is there, and holds
/// the requirement of nothing.
pub fn is_public(operation: &Documented) -> bool {
    let nothing = utoipa::openapi::security::SecurityRequirement::default();
    operation.security.as_ref().is_some_and(|all| all.contains(&nothing))
}

/// Whether an operation says how the daemon is: those are not counted.
pub fn is_free(operation: &Documented) -> bool {
    operation.tags.iter().flatten().any(|tag| tag == "health")
}

/// Whether an operation is documented as one that something else than a token opens.
fn takes(operation: &Documented, scheme: &str) -> bool {
    let other = utoipa::openapi::security::SecurityRequirement::new(scheme, Vec::<String>::new());
    operation.security.as_ref().is_some_and(|all| all.contains(&other))
}

impl Table {
    /// Reads the document.
    pub fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let known = operations(item).map(|(method, operation)| Operation {
                method,
                id: operation.operation_id.clone().unwrap_or_default(),
                parameters: query_parameters(operation),
                is_public: is_public(operation),
                takes_any: operation.extensions.as_ref().is_some_and(|all| all.contains_key(TAKES_ANY)),
                is_free: is_free(operation),
                takes_link: takes(operation, LINK_SCHEME),
                takes_ticket: takes(operation, TICKET_SCHEME),
                is_remembered: operation.operation_id.as_deref().is_some_and(remembered::may_be),
            });
            (path.clone(), known.collect())
        });
        Self(paths.collect())
    }

    fn find(&self, pattern: &str, method: &Method) -> Option<&Operation> {
        self.0.get(pattern)?.iter().find(|operation| operation.method == *method)
    }

    /// The value of `Allow` for a path; `None` where there is no such path.
    fn allow(&self, pattern: &str) -> Option<String> {
        let known = self.0.get(pattern)?;
        let mut methods: Vec<&str> = known.iter().map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        Some(methods.join(", "))
    }
}

fn query_parameters(operation: &Documented) -> Vec<String> {
    let known = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        _ => None,
    });
    known.collect()
}

/// The pattern that a request's path fits, read as the router reads it: `match_pattern` would ask
/// for the path as it was sent, in which `%6D` is no `m` yet.
pub fn pattern(req: &HttpRequest) -> Option<String> {
    req.resource_map().match_pattern(req.match_info().as_str())
}

/// The request came with a signed link to something that takes one; whether it holds is not said.
#[derive(Debug, Clone, Copy)]
pub struct AskedByLink;

/// The request was HEAD: of an answer that never ends, the head is all there is.
#[derive(Debug, Clone, Copy)]
pub struct AskedByHead;

/// HEAD is answered by GET's handler; the codec leaves the body out.
pub async fn head_is_get(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if req.method() == Method::HEAD {
        req.head_mut().method = Method::GET;
        req.extensions_mut().insert(AskedByHead);
    }
    next.call(req).await
}

/// Lets through what may pass: the caller is known, and every parameter is.
pub async fn gate<B: MessageBody + 'static>(
    api: Data<Api>,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let passed = may_pass(&api, &req).await;
    let standing = req.extensions_mut().remove::<Standing>();
    let mut response = match passed {
        Ok(None) => next.call(req).await?.map_into_left_body(),
        Ok(Some(asked)) => match api.answers.again(&asked, &IfNoneMatch::read(req.headers())) {
            Some(again) => req.into_response(again).map_into_right_body(),
            None => api.answers.keep(asked, next.call(req).await?),
        },
        Err(problem) => req.error_response(problem).map_into_right_body(),
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    Ok(response)
}

/// Lets the request pass, or says why not. Where its answer may be one that was given before, it comes back as a question.
async fn may_pass(api: &Api, req: &ServiceRequest) -> Result<Option<Asked>, Problem> {
    let pattern = pattern(req.request()).unwrap_or_default();
    let Some(operation) = api.table.find(&pattern, req.method()) else {
        // Another path's handler may fit as well: that of `/conversations/{id}` for `/conversations/batch`.
        return match api.table.allow(&pattern) {
            Some(allow) if req.method() != Method::OPTIONS => Err(not_allowed(&allow)),
            // What is not documented has no handler: `unmatched` says so.
            _ => Ok(None),
        };
    };
    let mut asked = None;
    // With a signature and no caller, the handler lets nobody in but by that signature.
    let by_link =
        operation.takes_link && query::pairs(req.query_string()).iter().any(|(name, _)| name == SIGNATURE);
    let address = || peer::client(req.request(), &api.trusted_proxies).map(Who::at);
    if by_link {
        req.extensions_mut().insert(AskedByLink);
    }
    if operation.is_public || by_link {
        // Who watches over the daemon must not take it for dead because others ask much.
        if !operation.is_free {
            spend(api, req, address())?;
        }
    } else {
        // Read before anything else is: what is found out from here on is not older.
        let mark = api.desk.mark().await;
        match authenticate(api, operation, req, mark).await {
            Ok(actor) => {
                spend(api, req, actor.token_id.clone().map(Who::Token))?;
                let actor = behalf::named(api, operation, actor, req.headers()).await?;
                asked = mark
                    .filter(|_| operation.is_remembered)
                    .and_then(|mark| Asked::new(mark, &actor, req.path(), req.query_string()));
                req.extensions_mut().insert(Caller(actor));
            }
            Err(problem) => {
                // That the database is away is nobody's fault who asks.
                if problem.status_code() == StatusCode::UNAUTHORIZED {
                    spend(api, req, address())?;
                }
                return Err(problem);
            }
        }
    }
    check_parameters(operation, req.query_string())?;
    Ok(asked)
}

/// Counts the request among those of whoever sent it.
fn spend(api: &Api, req: &ServiceRequest, who: Option<Who>) -> Result<(), Problem> {
    let (Some(quota), Some(who)) = (&api.quota, who) else { return Ok(()) };
    let spent = quota.spend(&who);
    req.extensions_mut().insert(spent.unwrap_or_else(|none| none));
    spent.map(|_| ()).map_err(Standing::refusal)
}

async fn authenticate(
    api: &Api,
    operation: &Operation,
    req: &ServiceRequest,
    mark: Option<Mark>,
) -> Result<Actor, Problem> {
    let origin = peer::origin(req.request(), &api.trusted_proxies);
    let ticket = operation.takes_ticket.then(|| ticket(req.query_string())).flatten();
    if let Some(ticket) = ticket {
        let admitted = api.desk.admit(&ticket, origin).await.map_err(refused_ticket)?;
        let actor = admitted.actor.clone();
        req.extensions_mut().insert(admitted);
        return Ok(actor);
    }
    let secret = bearer(req.headers()).ok_or_else(unauthorized)?;
    api.desk.authenticate(secret, origin, mark).await.map_err(refused)
}

/// The ticket of a query. Two are none: that one is too many is said to whoever has a token.
fn ticket(query: &str) -> Option<String> {
    let mut given = query::pairs(query).into_iter().filter(|(name, _)| name == TICKET);
    let (_, ticket) = given.next()?;
    given.next().is_none().then_some(ticket)
}

/// Forged, too old, or its token is revoked: all one.
fn refused_ticket(error: AuthError) -> Problem {
    match error {
        AuthError::Unknown | AuthError::Expired => {
            let told = "this ticket does not hold, or not any more; ask for a new one";
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", told)
        }
        AuthError::Store(error) => Problem::from(error),
    }
}

/// The caller with what they may see and do now.
pub async fn renewed(api: &Api, caller: &Caller) -> Result<Actor, Problem> {
    api.desk.renew(caller).await.map_err(refused)
}

fn refused(error: AuthError) -> Problem {
    match error {
        AuthError::Unknown => unauthorized(),
        AuthError::Expired => expired(),
        AuthError::Store(error) => Problem::from(error),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750); its scheme in any case (RFC 9110 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn check_parameters(operation: &Operation, query: &str) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for (name, _) in query::pairs(query) {
        if !operation.parameters.contains(&name) {
            if operation.takes_any {
                continue;
            }
            let told = match operation.parameters.as_slice() {
                [] => format!("there is no parameter {name:?}; this operation takes none"),
                known => format!("there is no parameter {name:?}; there are {}", known.join(", ")),
            };
            let extras = Extras { accepted: Some(operation.parameters.clone()), ..Extras::default() };
            return Err(Problem::bad_parameter(told).with(extras));
        }
        if !seen.insert(name.clone()) {
            return Err(Problem::bad_parameter(format!("{name}: is given twice; separate values by commas")));
        }
    }
    Ok(())
}

/// Answers what no handler answers: OPTIONS, another method, no such path.
pub async fn unmatched(api: Data<Api>, req: HttpRequest) -> Result<HttpResponse, Problem> {
    let allow = pattern(&req).and_then(|pattern| api.table.allow(&pattern));
    let Some(allow) = allow else {
        return Err(Problem::not_found("there is nothing under this path; /docs shows what there is"));
    };
    if req.method() == Method::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
    }
    Err(not_allowed(&allow))
}

/// 405, with the methods there are.
fn not_allowed(allow: &str) -> Problem {
    match HeaderValue::from_str(allow) {
        Ok(value) => {
            let told = format!("this path answers {allow}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", told)
                .header(header::ALLOW, value)
        }
        Err(error) => {
            log_inside(&error);
            Problem::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(parameters: &[&str]) -> Operation {
        Operation {
            method: Method::GET,
            id: "list_things".to_owned(),
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            is_public: false,
            takes_any: false,
            is_free: false,
            takes_link: false,
            takes_ticket: false,
            is_remembered: false,
        }
    }

    #[test]
    fn parameters_are_known_and_given_once() {
        let told = |query: &str| {
            check_parameters(&operation(&["limit", "status"]), query).map_err(|problem| problem.to_string())
        };
        assert_eq!(told("limit=1&status=open"), Ok(()));
        assert_eq!(
            told("stauts=open"),
            Err("400 bad_parameter: there is no parameter \"stauts\"; there are limit, status".to_owned())
        );
        assert_eq!(
            told("limit=1&limit=2"),
            Err("400 bad_parameter: limit: is given twice; separate values by commas".to_owned())
        );
        let none = check_parameters(&operation(&[]), "x").unwrap_err();
        assert_eq!(
            none.to_string(),
            "400 bad_parameter: there is no parameter \"x\"; this operation takes none"
        );
        assert_eq!(none.document("r").accepted, Some(vec![]));
    }

    #[test]
    fn a_bearer_token_stands_alone() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer  abc "]).as_deref(), Some("abc"));
        for other in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer b"], &["Bearerabc"]] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
