//! The document and the page that shows it. Everything is served from here: no other site is
//! asked for anything, so it works without a network.

use crate::answer::Answer;
use crate::problem::{Problem, log_inside};
use crate::state::Api;
use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get};
use bytes::Bytes;
use comrak::{Options, markdown_to_html};
use std::sync::Arc;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::Config;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(get_openapi)
        .service(get_openapi_3_0)
        .service(get_docs)
        .route("/docs/", web::get().to(to_index))
        .service(get_docs_file);
}

/// Swagger UI writes styles and icons into its page, and asks for the document beside it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Read this document
///
/// OpenAPI 3.1, made from the handlers themselves. Public.
#[utoipa::path(tag = "documentation", security(()),
    responses((status = OK, body = serde_json::Value, description = "The document.")))]
#[get("/openapi.json")]
async fn get_openapi(api: Data<Api>) -> HttpResponse {
    document(api.document.clone())
}

/// Read this document in OpenAPI 3.0
///
/// The same for generators that do not read 3.1: what 3.0 can't say is said more loosely. Public.
#[utoipa::path(tag = "documentation", security(()),
    responses((status = OK, body = serde_json::Value, description = "The document.")))]
#[get("/openapi-3.0.json")]
async fn get_openapi_3_0(api: Data<Api>) -> HttpResponse {
    document(api.document_3_0.clone())
}

fn document(written: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(written)
}

/// Read the documentation
///
/// Leads to a page that shows this document and lets you try it. Public.
#[utoipa::path(tag = "documentation", security(()),
    responses((status = 302, description = "The page is at `Location`.", headers(("Location" = String, description = "The page.")))))]
#[get("/docs")]
async fn get_docs() -> HttpResponse {
    to("docs/index.html")
}

async fn to_index() -> HttpResponse {
    to("index.html")
}

fn to(place: &'static str) -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, place)).finish()
}

/// Read a part of the documentation's page
///
/// `recipes.html` shows how what is often wanted is done, `custom-fields.html`, `routing.html`,
/// `views.html`, `notifications.html` and `watchdogs.html` what those are, `changelog.html` what changes in this API. Public.
#[utoipa::path(tag = "documentation", security(()),
    params(("file" = String, Path, description = "`index.html`, what it is made of, or one of the pages in words.")),
    responses((status = OK, content_type = "text/html", body = String, description = "The file.")))]
#[get("/docs/{file}")]
async fn get_docs_file(req: HttpRequest) -> Answer {
    let name = req.match_info().query("file");
    if let Some(page) = written(name) {
        return Ok(shown("text/html; charset=utf-8").body(page));
    }
    let served = utoipa_swagger_ui::serve(name, Arc::new(page())).map_err(|error| {
        log_inside(&*error);
        Problem::internal()
    })?;
    let file = served.ok_or_else(|| Problem::not_found("there is no such file"))?;
    Ok(shown(&file.content_type).body(file.bytes.into_owned()))
}

fn shown(content_type: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .content_type(content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    response
}

/// A page that is written as Markdown.
fn written(name: &str) -> Option<String> {
    let (title, text) = match name {
        "recipes.html" => ("Recipes", include_str!("../docs/recipes.md")),
        "custom-fields.html" => ("Custom fields", include_str!("../docs/custom-fields.md")),
        "routing.html" => ("Routing", include_str!("../docs/routing.md")),
        "views.html" => ("Views", include_str!("../docs/views.md")),
        "notifications.html" => {
            ("Following, mentions, notifications", include_str!("../docs/notifications.md"))
        }
        "watchdogs.html" => ("Watchdogs", include_str!("../docs/watchdogs.md")),
        "changelog.html" => ("Changes of the API", include_str!("../../../../openapi/CHANGELOG.md")),
        _ => return None,
    };
    let body = markdown_to_html(text, &Options::default());
    Some(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – postroom</title>\n<style>{STYLE}</style>\n<main>\n{body}</main>\n</html>\n"
    ))
}

const STYLE: &str = "main { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif; color: #222 } \
    pre { background: #f4f4f4; padding: .8rem; overflow-x: auto } code { font-size: .9rem }";

/// The document is found beside the page, wherever a proxy puts the two. No validator is asked:
/// the usual one is somebody else's site.
fn page() -> Config<'static> {
    Config::new(["../openapi.json"])
        .validator_url("none")
        .try_it_out_enabled(true)
        .deep_linking(true)
        .display_operation_id(true)
        .persist_authorization(false)
}
