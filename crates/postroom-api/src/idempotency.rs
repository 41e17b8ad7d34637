//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a program that got no answer
//! sends its request again under the same key, and nothing is written twice.

use crate::body;
use crate::extract::Caller;
use crate::problem::Problem;
use crate::state::Api;
use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::keys::sha256_hex;
use postroom_core::operations::idempotency::{self, Key, Made, Once};
use serde::de::DeserializeOwned;

/// The header that holds the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that tells an answer given before from a first one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters of a key at the most.
pub const KEY_CHARS: usize = 255;

/// How the header stands in the document; [`Keyed`] reads it.
#[derive(Debug)]
pub struct IdempotencyKey;

/// A JSON body, and the key of the request if it has one.
#[derive(Debug)]
pub struct Keyed<T> {
    /// The key, with the hash of this request.
    pub key: Option<Key>,
    /// The body.
    pub body: T,
}

impl<T: DeserializeOwned + 'static> FromRequest for Keyed<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move {
            let key = read(req.headers())?;
            let bytes = body::json_bytes(&req, payload).await?;
            let key = key.map(|key| Key { key, request_hash: request_hash(&req, &bytes) });
            Ok(Self { key, body: body::parse(&bytes)? })
        })
    }
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

/// Neither a method nor a path holds a line feed, so that no two requests are hashed alike.
fn request_hash(req: &HttpRequest, body: &[u8]) -> String {
    let mut request = format!("{}\n{}\n", req.method(), req.path()).into_bytes();
    request.extend_from_slice(body);
    sha256_hex(&request)
}

/// What the same request made before, for one that can't be prepared any more: its uploads, say,
/// belong to the message that it wrote.
pub async fn done_before<T: Send + 'static>(
    api: &Api,
    caller: &Caller,
    key: Option<Key>,
    again: impl Fn(&mut Cx<'_>, Made) -> Result<T, Error> + Send + 'static,
) -> Result<Option<Once<T>>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let found = api
        .desk
        .read(caller, move |cx| match idempotency::find(cx, &key)? {
            Some(made) => Ok(Some(Once { value: again(cx, made)?, replayed: true })),
            None => Ok(None),
        })
        .await?;
    Ok(found)
}

/// Says of an answer that it was given before, where it was.
pub fn marked(mut response: HttpResponse, replayed: bool) -> HttpResponse {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
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
            request_hash(&request.to_http_request(), body)
        };
        let first = hash("POST", "/a", b"{}");
        assert_eq!(first, hash("POST", "/a", b"{}"));
        for other in [hash("PUT", "/a", b"{}"), hash("POST", "/b", b"{}"), hash("POST", "/a", b"{} ")] {
            assert_ne!(first, other);
        }
    }
}
