//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a program that got no answer
//! sends its request again under the same key, and nothing is done twice.

use crate::answer::Answer;
use crate::body::{self, JSON_BYTES};
use crate::extract::Caller;
use crate::links::Links;
use crate::payload;
use crate::problem::Problem;
use crate::state::Api;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, rt};
use futures_util::future::LocalBoxFuture;
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::desk::Desk;
use postroom_core::id::TokenId;
use postroom_core::keys::RunningHash;
use postroom_core::operations::idempotency::{self, KeptAnswer, Key};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The header that holds the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that tells an answer given before from a first one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters of a key at the most.
pub const KEY_CHARS: usize = 255;

/// How the header stands in the document; [`Once`] reads it.
#[derive(Debug)]
pub struct IdempotencyKey;

/// The key of a request, if it has one. Every POST that does anything answers through it.
#[derive(Debug, Clone)]
pub struct Once(Option<Key>);

/// A JSON body, and the key of its request.
#[derive(Debug)]
pub struct Keyed<T> {
    /// The key.
    pub once: Once,
    /// The body.
    pub body: T,
}

/// A JSON body that may be left out, and the key of its request.
#[derive(Debug)]
pub struct KeyedOptional<T> {
    /// The key.
    pub once: Once,
    /// The body.
    pub body: T,
}

/// For requests without a body. One that is sent all the same tells them apart and is not read otherwise.
impl FromRequest for Once {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if !req.headers().contains_key(KEY) {
            return Box::pin(async { Ok(Self(None)) });
        }
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move { Ok(collect(&req, payload, JSON_BYTES).await?.1) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Keyed<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move {
            body::require_json(&req)?;
            let (bytes, once) = collect(&req, payload, JSON_BYTES).await?;
            Ok(Self { once, body: body::parse(&bytes)? })
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for KeyedOptional<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move {
            let (bytes, once) = collect(&req, payload, JSON_BYTES).await?;
            Ok(Self { once, body: body::parse_optional(&req, &bytes)? })
        })
    }
}

/// A body of at most `max` bytes, hashed as it comes, and the key of its request.
pub async fn collect(req: &HttpRequest, payload: Payload, max: usize) -> Result<(Vec<u8>, Once), Problem> {
    let Some(key) = read(req.headers())? else {
        return Ok((payload::collect(req.headers(), payload, max).await?, Once(None)));
    };
    let mut hash = request_hash(req);
    let bytes = payload::collect_seen(req.headers(), payload, max, |piece| hash.add(piece)).await?;
    Ok((bytes, Once(Some(Key { key, request_hash: hash.hex() }))))
}

fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    match value.to_str() {
        Ok(key)
            if values.next().is_none()
                && (1..=KEY_CHARS).contains(&key.len())
                && key.as_bytes().iter().all(is_printable) =>
        {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Problem::bad_parameter(format!(
            "Idempotency-Key: must be one value of 1 to {KEY_CHARS} printable ASCII characters"
        ))),
    }
}

/// The hash of a request before its body. Neither a method nor a path nor a query holds a line feed, so
/// that no two requests are hashed alike.
fn request_hash(req: &HttpRequest) -> RunningHash {
    let mut hash = RunningHash::default();
    hash.add(format!("{}\n{}\n{}\n", req.method(), req.path(), req.query_string()).as_bytes());
    hash
}

impl Once {
    /// Does what is one transaction, or answers what it was answered before. The answer is made and kept
    /// in that transaction.
    pub async fn write(
        &self,
        api: &Api,
        caller: &Caller,
        work: impl Fn(&mut Cx<'_>, &Links) -> Result<KeptAnswer, Error> + Send + 'static,
    ) -> Result<HttpResponse, Error> {
        if let Some(name) = self.name(caller)
            && api.running.holds(&name)
        {
            return Err(Error::KeyInProgress);
        }
        let (key, links) = (self.0.clone(), api.links.clone());
        let done = api
            .desk
            .write(caller, move |cx| idempotency::once(cx, key.as_ref(), |cx| work(cx, &links)))
            .await?;
        Ok(response(done.answer, done.replayed))
    }

    /// What the same request was answered before, for one that can't be prepared any more: its uploads,
    /// say, belong to the message that it wrote.
    pub async fn done_before(&self, api: &Api, caller: &Caller) -> Result<Option<HttpResponse>, Problem> {
        let Some(key) = self.0.clone() else { return Ok(None) };
        let found = api.desk.read(caller, move |cx| idempotency::find(cx, &key)).await?;
        Ok(found.map(|done| response(done.answer, done.replayed)))
    }

    /// Does what is more than one transaction, and what does no harm where it is done twice; or answers
    /// what it was answered before. The answer is kept when all is done, also where the caller has gone
    /// meanwhile; a twin is told to wait. A daemon that dies between the work and that note does it again.
    pub async fn around(
        self,
        api: &Api,
        caller: &Caller,
        work: impl Future<Output = Result<KeptAnswer, Problem>> + 'static,
    ) -> Answer {
        let (Some(name), Some(key)) = (self.name(caller), self.0.clone()) else {
            return Ok(response(work.await?, false));
        };
        let turn = api.running.take(name).ok_or(Error::KeyInProgress)?;
        if let Some(answer) = self.done_before(api, caller).await? {
            return Ok(answer);
        }
        let (desk, caller) = (api.desk.clone(), caller.clone());
        let done = rt::spawn(async move {
            let _turn = turn;
            keep(&desk, &caller, key, work.await?).await
        });
        done.await.unwrap_or_else(|_| Err(Problem::internal()))
    }

    fn name(&self, caller: &Caller) -> Option<Name> {
        Some((caller.token_id.clone()?, self.0.as_ref()?.key.clone()))
    }
}

/// Keeps an answer, unless another daemon was faster: then it is that one's that counts.
async fn keep(desk: &Desk, caller: &Caller, key: Key, answer: KeptAnswer) -> Answer {
    let done =
        desk.write(caller, move |cx| idempotency::once(cx, Some(&key), |_| Ok(answer.clone()))).await?;
    Ok(response(done.answer, done.replayed))
}

fn response(answer: KeptAnswer, replayed: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    if let Some(etag) = answer.etag {
        response.insert_header((header::ETAG, format!("\"{etag}\"")));
    }
    if replayed {
        response.insert_header((REPLAYED, HeaderValue::from_static("true")));
    }
    response.content_type("application/json").body(answer.body)
}

/// A key of a caller.
type Name = (TokenId, String);

/// The keys whose work is under way in this daemon outside of a transaction.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashSet<Name>>>);

/// A key's work is under way until this is dropped.
struct Turn {
    running: Running,
    name: Name,
}

impl Running {
    fn holds(&self, name: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn take(&self, name: Name) -> Option<Turn> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        is_free.then(|| Turn { running: self.clone(), name })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_key_is_one_value_that_can_be_printed() {
        let told = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value).unwrap());
            }
            read(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(told(&[]), Ok(None));
        assert_eq!(told(&[b"order-881 late"]), Ok(Some("order-881 late".to_owned())));
        let longest = "k".repeat(KEY_CHARS);
        assert_eq!(told(&[longest.as_bytes()]), Ok(Some(longest.clone())));
        let longer = format!("{longest}k");
        for bad in
            [&[&b""[..]][..], &[longer.as_bytes()], &["schlüssel".as_bytes()], &[b"a\tb"], &[b"a", b"a"]]
        {
            assert_eq!(told(bad), Err("bad_parameter"), "{bad:?}");
        }
    }

    #[test]
    fn a_request_is_its_method_path_and_body() {
        let hash = |method: &str, path: &str, body: &[u8]| {
            let request = TestRequest::default().method(method.parse().unwrap()).uri(path);
            let mut hash = request_hash(&request.to_http_request());
            hash.add(body);
            hash.hex()
        };
        let first = hash("POST", "/a", b"{}");
        assert_eq!(first, hash("POST", "/a", b"{}"));
        for other in [
            hash("PUT", "/a", b"{}"),
            hash("POST", "/b", b"{}"),
            hash("POST", "/a?x=1", b"{}"),
            hash("POST", "/a", b"{} "),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_turn_is_one_at_a_time_and_ends_with_its_work() {
        let (running, name) = (Running::default(), (TokenId("tok_1".to_owned()), "k".to_owned()));
        let turn = running.take(name.clone());
        assert!(turn.is_some() && running.holds(&name) && running.take(name.clone()).is_none());
        drop(turn);
        assert!(!running.holds(&name) && running.take(name).is_some());
    }
}
