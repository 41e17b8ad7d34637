//! The JSON API over HTTP, and nothing else: it decodes a request, asks the desk, and encodes
//! what it says. Who may do what is decided by the operations of the core; what a token is, by
//! the gate in [`routing`].
//!
//! The daemon makes one [`Api`] and one [`app`] for each of its worker threads.

mod answer;
mod behalf;
mod body;
mod disposition;
mod etag;
mod extract;
mod follow;
mod hold;
mod idempotency;
mod json;
mod links;
mod moved_on;
mod observe;
mod openapi;
mod openapi_3_0;
mod openapi_limits;
mod openapi_params;
mod paging;
mod params;
mod patch;
mod payload;
mod peer;
mod problem;
mod protect;
mod query;
mod quota;
mod range;
mod remembered;
mod rewrite;
mod routes;
mod routing;
mod seats;
mod shapes;
mod signed_link;
mod state;
#[cfg(test)]
mod tests;
mod uploads;

pub use openapi::document;
pub use state::{Api, ApiState, Readiness};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, Error};
use utoipa_actix_web::AppExt;

/// The application for one worker of `actix_web::HttpServer`.
///
/// The order of the middleware is here and nowhere else. A request passes from the last line
/// to the first, its answer the other way: the outermost keeps a body that is not read, the next names and logs it,
/// so that nothing goes unlogged; headers and problem documents come next, so that no answer is without them;
/// the gate is the innermost, for it must know which handler is meant.
pub fn app(
    api: &Data<Api>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let cors = Condition::new(!api.cors_origins.is_empty(), protect::cors(&api.cors_origins));
    App::new()
        .app_data(api.clone())
        .into_utoipa_app()
        .configure(routes::all)
        .default_service(web::to(routing::unmatched))
        .into_app()
        .wrap(from_fn(routing::gate))
        .wrap(from_fn(routing::head_is_get))
        .wrap(cors)
        .wrap(Compress::default())
        .wrap(from_fn(rewrite::problems))
        .wrap(from_fn(protect::protect))
        .wrap(from_fn(observe::observe))
        .wrap(from_fn(hold::hold))
}
