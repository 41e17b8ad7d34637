//! What every request is answered out of: made once, shared by all workers.

use crate::idempotency::Running;
use crate::links::Links;
use crate::quota::Quota;
use crate::remembered::Answers;
use crate::routes::STREAMS;
use crate::routing::Table;
use crate::seats::Seats;
use crate::uploads::Uploads;
use bytes::Bytes;
use ipnet::IpNet;
use postroom_core::desk::Desk;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::watch;
use url::Url;

/// What the daemon says of itself beyond the database: one sentence for each thing that keeps
/// it from doing its work. None is: ready.
pub type Readiness = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What the daemon hands to the API.
pub struct ApiState {
    /// The desk.
    pub desk: Desk,
    /// Where people and programs reach the API; links are built from it.
    pub public_url: Option<Url>,
    /// Origins of other sites that may call, frame and embed: `https://app.example.org`.
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests of each token a minute, and of each address that brings none; `None` bounds nobody.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Event streams that each token may follow at the same time; at least one.
    pub event_streams_per_token: usize,
    /// The daemon's version.
    pub version: &'static str,
    /// What else must be well for the daemon to be ready.
    pub readiness: Readiness,
    /// Says that the daemon stops: whoever waits or follows is sent away. Its sender must outlive the API.
    pub stopping: watch::Receiver<bool>,
}

/// The state of the API.
pub struct Api {
    pub(crate) desk: Desk,
    pub(crate) links: Links,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) quota: Option<Quota>,
    pub(crate) version: &'static str,
    pub(crate) readiness: Readiness,
    pub(crate) stopping: watch::Receiver<bool>,
    /// A seat for each stream that is open.
    pub(crate) streams: Seats,
    /// The files that are being sent.
    pub(crate) uploads: Uploads,
    /// The mails that are being pushed or tried.
    pub(crate) mails: Uploads,
    /// The keys whose work is under way.
    pub(crate) running: Running,
    /// What is answered again while nothing changes.
    pub(crate) answers: Answers,
    pub(crate) table: Table,
    pub(crate) document: Bytes,
    pub(crate) document_3_0: Bytes,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Prepares everything that all requests share.
    pub fn new(state: ApiState) -> Self {
        let document = crate::openapi::document();
        let table = Table::of(&document);
        let written = "the document is made of strings, numbers and lists";
        let value = serde_json::to_value(&document).expect(written);
        let document_3_0 = crate::openapi_3_0::down(value);
        Self {
            links: Links::new(state.public_url.as_ref()),
            desk: state.desk,
            cors_origins: state.cors_origins,
            trusted_proxies: state.trusted_proxies,
            quota: state.requests_per_minute.map(Quota::new),
            version: state.version,
            readiness: state.readiness,
            stopping: state.stopping,
            streams: Seats::new(STREAMS, state.event_streams_per_token.max(1)),
            uploads: Uploads::default(),
            mails: Uploads::default(),
            running: Running::default(),
            answers: Answers::default(),
            table,
            document: serde_json::to_vec(&document).expect(written).into(),
            document_3_0: serde_json::to_vec(&document_3_0).expect(written).into(),
        }
    }
}
