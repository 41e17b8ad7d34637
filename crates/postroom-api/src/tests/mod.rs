//! The API over a desk of its own, on SQLite in a folder of its own, with a stub for everything
//! outside. Mail itself is tested where the real parts are.

mod contract;
mod events;
mod files;
mod mailboxes;
mod people;
mod quotas;
mod story;
mod stub;
mod wire;

use crate::{Api, ApiState, app};
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::{Bytes, Data};
use futures_util::future::LocalBoxFuture;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::desk::{Desk, Parts, Settings};
use postroom_core::id::MailboxId;
use postroom_core::keys::Keys;
use postroom_core::operations::tokens::{self, NewToken};
use postroom_core::store::conn::DatabaseUrl;
use postroom_core::time::{Clock, Timestamp};
use serde_json::Value;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use url::Url;

/// An API to call.
pub struct TestApi {
    pub api: Data<Api>,
    pub desk: Desk,
    pub unready: Arc<Mutex<Vec<String>>>,
    service: Service,
    token: String,
    /// Ends every stream and every long poll.
    pub stop: watch::Sender<bool>,
    folder: PathBuf,
}

impl Drop for TestApi {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).expect("the folder is ours alone");
    }
}

/// The application, its type left out.
type Service = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, ServiceResponse<BoxBody>>>;

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Told {
    /// The body as JSON; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that this is a problem of this status and code, whole as the contract has it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let document = self.json();
        assert_eq!(self.status.as_u16(), status, "{document}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("urn:postroom:problem:{}", code.replace('_', "-")));
        assert_eq!(document["title"], self.status.canonical_reason().unwrap());
        assert_eq!(document["request_id"].as_str(), self.header("x-request-id"));
        assert!(!document["detail"].as_str().unwrap().is_empty());
        document
    }

    /// Checks the status and takes the body.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

/// What may differ between test APIs.
#[derive(Default)]
pub struct Wish {
    pub public_url: Option<&'static str>,
    pub cors_origins: Vec<String>,
    pub requests_per_minute: Option<NonZeroU32>,
}

impl TestApi {
    pub async fn start() -> Self {
        Self::wish(Wish::default()).await
    }

    pub async fn wish(wish: Wish) -> Self {
        let folder = std::env::temp_dir().join(format!("postroom-api-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let desk = Desk::open(Parts {
            database: DatabaseUrl::Sqlite(folder.join("test.db")),
            connections: 2,
            keys: Keys::new(&[7; 32]),
            ports: stub::ports(),
            clock: Clock::fixed(Timestamp::parse("2026-11-22T08:00:00Z").unwrap()),
            settings: Settings { upload_bytes: 2_000, mail_bytes: 4_000, ..Settings::default() },
        })
        .unwrap();
        let unready = Arc::new(Mutex::new(Vec::new()));
        let reasons = unready.clone();
        let (stop, stopping) = watch::channel(false);
        let api = Api::new(ApiState {
            desk: desk.clone(),
            public_url: wish.public_url.map(|url| Url::parse(url).unwrap()),
            cors_origins: wish.cors_origins,
            trusted_proxies: Vec::new(),
            requests_per_minute: wish.requests_per_minute,
            event_streams_per_token: crate::routes::STREAMS_EACH,
            version: "9.9.9",
            readiness: Arc::new(move || reasons.lock().unwrap().clone()),
            stopping,
        });
        let token = token(&desk, Scope::ALL, None, None);
        let api = Data::new(api);
        let service = Rc::new(init_service(app(&api)).await);
        let service: Service = Box::new(move |request: TestRequest| {
            let service = service.clone();
            Box::pin(async move { call_service(&*service, request.to_request()).await.map_into_boxed_body() })
        });
        Self { api, desk, unready, service, token, stop, folder }
    }

    /// A token with these scopes, perhaps in these mailboxes alone.
    pub fn token(&self, scopes: &[Scope], mailboxes: Option<Vec<i64>>) -> String {
        token(&self.desk, scopes, mailboxes, None)
    }

    /// A token that ends in an hour.
    pub fn short_token(&self) -> String {
        let end = self.desk.now().plus(std::time::Duration::from_secs(3_600));
        token(&self.desk, &[Scope::ConversationsRead], None, Some(end))
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: TestRequest) -> Told {
        let (_, response) = (self.service)(request).await.into_parts();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Told { status, headers, body }
    }

    /// A request with the token that may do everything.
    pub fn request(&self, method: &str, path: &str) -> TestRequest {
        TestRequest::default()
            .method(method.parse().unwrap())
            .uri(path)
            .insert_header((header::AUTHORIZATION, format!("Bearer {}", self.token)))
    }

    pub async fn get(&self, path: &str) -> Told {
        self.send(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Told {
        self.send(self.request("POST", path).set_json(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Told {
        self.send(self.request("PATCH", path).set_json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Told {
        self.send(self.request("DELETE", path)).await
    }

    /// A mailbox that mail is pushed into and nothing leaves from. Returns its number.
    pub async fn mailbox(&self, name: &str) -> i64 {
        let body = serde_json::json!({
            "name": name, "address": format!("{}@desk.example", name.to_lowercase()),
            "source": {"type": "push"}, "delivery": {"type": "sink"}
        });
        self.post("/api/v1/mailboxes", body).await.ok(201)["id"].as_i64().unwrap()
    }

    /// A conversation with one message of Ada's. Returns its number.
    pub async fn conversation(&self, mailbox: i64, subject: &str) -> i64 {
        let body = serde_json::json!({
            "mailbox_id": mailbox, "subject": subject, "customer": {"email": "ada@example.org", "name": "Ada"},
            "message": {"kind": "inbound", "text": "Where is it?"}
        });
        self.post("/api/v1/conversations", body).await.ok(201)["id"].as_i64().unwrap()
    }
}

fn token(desk: &Desk, scopes: &[Scope], mailboxes: Option<Vec<i64>>, end: Option<Timestamp>) -> String {
    let new = NewToken {
        name: "test".to_owned(),
        agent_id: None,
        scopes: scopes.to_vec(),
        mailbox_ids: mailboxes.map(|ids| ids.into_iter().map(MailboxId).collect()),
        allowed_networks: None,
        expires_at: end,
    };
    desk.write_here(&Actor::system(), |cx| tokens::create(cx, &new)).unwrap().1
}
