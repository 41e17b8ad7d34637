//! The document: collected from the handlers, then completed with what is true of every
//! operation, so that no handler has to repeat it and none can forget it.

use crate::behalf;
use crate::openapi_limits::limits;
use crate::openapi_params::tighten;
use crate::problem::{self, Fault, ProblemDocument};
use crate::routes;
use crate::routing::{LINK_SCHEME, TICKET, TICKET_SCHEME, is_free, is_public};
use crate::signed_link::SIGNATURE;
use actix_web::App;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
};
use utoipa::openapi::{Schema, schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::AppExt;

const DESCRIPTION: &str = "\
The API of a postroom desk: mail becomes conversations, answers go out. [Recipes](recipes.html) (`/docs/recipes.html`) do \
what is often wanted; [the changelog](changelog.html) (`/docs/changelog.html`) says what changes here.

**Access.** `Authorization: Bearer pr_pat_…`. Each operation names the scope it needs. A token of an agent's does \
what both its scopes and the agent's role allow, in mailboxes that both it and the agent's grants open. With \
`impersonate` it acts for others (`X-On-Behalf-Of`).

**Lists** have `limit` (1 to 100) and `cursor`, and answer `{\"data\": […], \"page\": {\"next_cursor\": …, \"has_more\": …}}` \
and a `Link` to the next page. A cursor belongs to the filter and order it was given for. Parameters that are not \
known are refused.

**Changes** are JSON merge patches (RFC 7396): what is left out stays, `null` takes away what may be missing. One thing \
comes with its version and a hash of what is shown as `ETag`; with it in `If-Match`, a change is refused (412) where \
somebody was faster, and with it in `If-None-Match`, 304 says that all of it is still the same.

**Sending again.** With an `Idempotency-Key` a POST is done once, however often it is sent: for programs that got no \
answer and can't know. For 24 hours the same request gets the same answer, with `Idempotency-Replayed: true`; another \
one (method, path, query or body) under the same key gets 422 `idempotency_key_reused`, and one whose first is still \
being worked on waits, or gets 409 `idempotency_in_progress`. What failed gives its key back. A key belongs to the token \
that sent it, and opens no answer to one whose rights have changed since (403). What only looks (previews, \
`/simulate/inbound`, signed links, tickets) has no use for keys and is done anew; GET, PUT, PATCH and DELETE, which may be sent \
again as they are, pass the header over.

**How often.** Each token may send so many requests a minute (600 unless the daemon is set up otherwise), as may each \
address that brings none. `RateLimit-Policy` and `RateLimit` say in every answer how many there are (`q`, in `w` seconds), \
how many are left (`r`), and in how many seconds all are back (`t`): so many may come at once, and they come back evenly. \
Over it is 429 with `Retry-After`.

{limits}

**Errors** are problem documents (RFC 9457). `code` is for programs and never changes its meaning.";

const TAGS: &[(&str, &str)] = &[
    ("conversations", "Threads of messages with one customer about one matter."),
    ("messages", "What came in, what went out, and what was noted between."),
    ("attachments", "Files of messages, and uploads that wait for one."),
    ("customers", "The people who write."),
    ("mailboxes", "Addresses the desk owns."),
    ("agents", "The people who answer."),
    ("roles", "What agents may do, apart from where."),
    ("teams", "Agents who share grants and work; [in words](routing.html)."),
    ("schedules", "When somebody is there: hours, holidays and calendars."),
    ("categories", "Kinds of matter, for visibility."),
    ("tags", "Labels on conversations."),
    (
        "custom fields",
        "What a desk wants to know of its conversations and customers; [in words](custom-fields.html).",
    ),
    ("views", "Questions that are kept, and what they find; [in words](views.html)."),
    ("notifications", "What you are to know of; [in words](notifications.html)."),
    (
        "watchdogs",
        "They see to it that nothing waits for an answer for too long; [in words](watchdogs.html).",
    ),
    ("tokens", "Access for programs."),
    ("me", "The caller."),
    ("sign-in", "Signing in by password and code, for frontends; sessions."),
    ("audit", "Who signed in, and who changed the set-up."),
    ("events", "What happened, for programs that follow."),
    ("export", "Everything of a kind, and later what has changed: for warehouses."),
    ("webhooks", "Who is told of events by HTTP (Standard Webhooks), and what became of it."),
    ("health", "The daemon."),
];

/// The OpenAPI 3.1 document of this API. The same on every call.
pub fn document() -> OpenApi {
    let (_, mut document) =
        App::new().into_utoipa_app().openapi(frame()).configure(routes::all).split_for_parts();
    for item in document.paths.paths.values_mut() {
        let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in writes.into_iter().flatten() {
            add(operation, "507", "`storage_full`: there is no room to write; `detail` says what to do.");
        }
        for operation in operations_mut(item) {
            tighten(operation);
            complete(operation);
            offer_behalf(operation);
        }
        if let Some(patch) = &mut item.patch {
            offer_merge_patch(patch);
        }
        if let Some(post) = &mut item.post {
            allow_empty_body(post);
        }
    }
    if let Some(components) = &mut document.components {
        let mut schemas = vec![(ProblemDocument::name().into_owned(), ProblemDocument::schema())];
        schemas.push((Fault::name().into_owned(), Fault::schema()));
        ProblemDocument::schemas(&mut schemas);
        components.schemas.extend(schemas);
    }
    document
}

fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("postroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION.replace("{limits}", &limits())))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("pr_pat_…")
        .description(Some("An access token: `POST /tokens`, or `postroom token create`."))
        .build();
    let link = ApiKeyValue::with_description(
        SIGNATURE,
        "The signature of a link that opens one thing for ten minutes at most: \
         `POST /attachments/{id}/link`, `POST /messages/{id}/html/link`.",
    );
    let ticket = ApiKeyValue::with_description(
        TICKET,
        "A ticket that opens the event stream for a browser, within 60 seconds: `POST /events/ticket`.",
    );
    let documentation = ("documentation", "This document, and a page that shows it.");
    let tags = TAGS
        .iter()
        .chain([&documentation])
        .map(|(name, description)| TagBuilder::new().name(*name).description(Some(*description)).build());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("bearer", SecurityScheme::Http(bearer))
                .security_scheme(LINK_SCHEME, SecurityScheme::ApiKey(ApiKey::Query(link)))
                .security_scheme(TICKET_SCHEME, SecurityScheme::ApiKey(ApiKey::Query(ticket)))
                .build(),
        ))
        .security(Some([SecurityRequirement::new("bearer", Vec::<String>::new())]))
        .tags(Some(tags.collect::<Vec<_>>()))
        .build()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Whoever may act for others may do so in every operation that takes a token.
fn offer_behalf(operation: &mut Operation) {
    if !is_public(operation) {
        let text = schema::ObjectBuilder::new()
            .schema_type(schema::Type::String)
            .pattern(Some(behalf::PATTERN))
            .build();
        let parameter = ParameterBuilder::new()
            .name(behalf::HEADER)
            .parameter_in(ParameterIn::Header)
            .description(Some(behalf::MEANING))
            .required(Required::False)
            .schema(Some(text))
            .build();
        operation.parameters.get_or_insert_default().push(parameter.into());
    }
}

/// Adds the errors that follow from what an operation takes, and the headers of its answers.
fn complete(operation: &mut Operation) {
    let has = |place: ParameterIn, name: Option<&str>| {
        operation.parameters.iter().flatten().any(|parameter| match parameter {
            RefOr::T(parameter) => {
                parameter.parameter_in == place && name.is_none_or(|name| parameter.name == name)
            }
            RefOr::Ref(_) => false,
        })
    };
    let (query, path) = (has(ParameterIn::Query, None), has(ParameterIn::Path, None));
    let pages = has(ParameterIn::Query, Some("cursor"));
    let if_match = has(ParameterIn::Header, Some("If-Match"));
    let keyed = has(ParameterIn::Header, Some("Idempotency-Key"));
    let if_none_match = has(ParameterIn::Header, Some("If-None-Match"));
    let body = operation.request_body.as_ref().and_then(|body| match body {
        RefOr::T(body) => Some(body.content.contains_key("application/json")),
        RefOr::Ref(_) => None,
    });
    let public = is_public(operation);

    let mut codes = vec!["`bad_parameter`"];
    if pages {
        codes.push("`bad_cursor`");
    }
    if body == Some(true) {
        codes.push("`malformed_json`");
    }
    let what = if query || body.is_some() { "the request can't be read" } else { "a parameter is not known" };
    add(operation, "400", &format!("{}: {what}.", codes.join(", ")));
    if !public {
        add(operation, "401", "`unauthorized`, `token_expired`: there is no token that is valid.");
        add(
            operation,
            "403",
            "`insufficient_scope` (`required_scope` says which), `forbidden`: the caller may not.",
        );
    }
    if path {
        add(operation, "404", "`not_found`: it isn't there, or the caller may not know that it is.");
    }
    if if_match {
        add(
            operation,
            "412",
            "`version_conflict`: somebody was faster; `ETag` says which version there is now.",
        );
    }
    if keyed {
        add(operation, "409", "`idempotency_in_progress`: the same request is still being worked on.");
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("409")
            && !response.description.contains("idempotency_in_progress")
        {
            response
                .description
                .push_str(" `idempotency_in_progress`: the same request is still being worked on.");
        }
        if body.is_none() {
            add(operation, "422", KEY_REUSED);
        }
    }
    // Of a request with a key the body is read even where none is asked for: it tells requests apart.
    if body.is_some() || keyed {
        add(operation, "408", "`timeout`: the body has 30 seconds, and one more for each 64 KiB that came.");
        add(operation, "413", "`too_large`: the body is larger than what is taken.");
        add(operation, "415", "`unsupported_media_type`: the body is of another type.");
    }
    if let Some(json) = body {
        let what =
            if json { "`errors` names each member that is not valid" } else { "what was sent is not valid" };
        let reused = if keyed { format!(" {KEY_REUSED}") } else { String::new() };
        add(operation, "422", &format!("`validation_failed`: {what}.{reused}"));
    }
    if !is_free(operation) {
        add(operation, "429", "`rate_limited`: too many requests; try again after `Retry-After` seconds.");
    }
    add(operation, "500", "`internal`: something failed inside; the log says what.");
    add(
        operation,
        "503",
        "`overloaded`: try again after `Retry-After` seconds. `query_too_slow`: it asks for more than is found in time.",
    );
    if if_none_match {
        let same = ResponseBuilder::new().description("It is still what the caller holds.").build();
        operation.responses.responses.entry("304".to_owned()).or_insert(same.into());
    }
    if if_match || if_none_match {
        announce(operation, "200", "ETag", "Its version, and a hash of what is shown of it.");
    }
    if keyed {
        for status in ["200", "201", "202"] {
            announce(
                operation,
                status,
                "Idempotency-Replayed",
                "`true` where it was done before, with this key.",
            );
        }
    }
    if pages {
        announce(operation, "200", "Link", "The next page, with `rel=\"next\"`; not on the last.");
    }
}

const KEY_REUSED: &str = "`idempotency_key_reused`: the key came with another request before.";

fn add(operation: &mut Operation, status: &str, description: &str) {
    if operation.responses.responses.contains_key(status) {
        return;
    }
    let body = ContentBuilder::new().schema(Some(problem_ref())).build();
    let response =
        ResponseBuilder::new().description(description).content(problem::CONTENT_TYPE, body).build();
    operation.responses.responses.insert(status.to_owned(), response.into());
}

fn problem_ref() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(ProblemDocument::name()))
}

fn announce(operation: &mut Operation, status: &str, name: &str, description: &str) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
        let text = schema::ObjectBuilder::new().schema_type(schema::Type::String).build();
        let header = HeaderBuilder::new().schema(Some(text)).description(Some(description)).build();
        response.headers.insert(name.to_owned(), header.into());
    }
}

/// A JSON body of PATCH may be called by its proper name as well.
fn offer_merge_patch(operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(json) = body.content.get("application/json")
    {
        let same: RefOr<Content> = json.clone();
        body.content.insert("application/merge-patch+json".to_owned(), same);
    }
}

/// These are asked for without a word, too.
const WORDLESS: [&str; 2] = ["test_mailbox", "rotate_webhook_secret"];

/// A file of no bytes is a request without a body.
fn allow_empty_body(operation: &mut Operation) {
    let is_wordless = WORDLESS.map(Some).contains(&operation.operation_id.as_deref());
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && (is_wordless || body.content.contains_key("application/octet-stream"))
    {
        body.required = Some(Required::False);
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
