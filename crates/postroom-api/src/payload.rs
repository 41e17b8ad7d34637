//! The bytes of a body: no more than are taken, and no longer than it takes to send them. actix bounds
//! the time of a head alone; who stalls in the body would hold a connection for ever.

use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A body has this long, however small it is.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// So many bytes that came give it a second more.
pub const BYTES_A_SECOND: usize = 64 * 1024;

/// Reads a body of at most `max` bytes. One that says that it is larger is refused unread. One that
/// comes slower than 64 KiB a second has half a minute in all.
pub async fn collect(headers: &HeaderMap, payload: Payload, max: usize) -> Result<Vec<u8>, Problem> {
    collect_seen(headers, payload, max, |_| {}).await
}

/// [`collect`], which shows each piece as it comes.
pub async fn collect_seen(
    headers: &HeaderMap,
    payload: Payload,
    max: usize,
    seen: impl FnMut(&[u8]),
) -> Result<Vec<u8>, Problem> {
    let begun = Instant::now();
    collect_until(headers, payload, max, seen, |came| begun + PATIENCE + earned(came)).await
}

/// The time that bytes which came give to those that have not.
fn earned(came: usize) -> Duration {
    Duration::from_secs((came / BYTES_A_SECOND) as u64)
}

/// [`collect_seen`]; `deadline` is asked how long the rest may take when so many bytes came.
async fn collect_until(
    headers: &HeaderMap,
    mut payload: Payload,
    max: usize,
    mut seen: impl FnMut(&[u8]),
    deadline: impl Fn(usize) -> Instant,
) -> Result<Vec<u8>, Problem> {
    let too_large = || Problem::too_large(format!("the body has at most {max} bytes"));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::unsupported_media_type("the body must not be compressed"));
    }
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    // What is announced is not there yet: who announces much and sends little costs little.
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default().min(BYTES_A_SECOND));
    loop {
        let chunk = timeout_at(deadline(bytes.len()), payload.next()).await.map_err(|_| too_slow())?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        let chunk = chunk.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the body can't be read: {error}"))
        })?;
        if bytes.len() + chunk.len() > max {
            return Err(too_large());
        }
        seen(&chunk);
        bytes.extend_from_slice(&chunk);
    }
}

/// The rest may come when nobody reads it any more: the connection can't be used again.
fn too_slow() -> Problem {
    let told = "the body came too slowly: it has 30 seconds, and one more for each 64 KiB that came";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", told)
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::error::PayloadError;
    use bytes::Bytes;
    use futures_util::stream;
    use std::cell::RefCell;

    /// A body of these chunks that never ends.
    fn stalled(chunks: Vec<&'static [u8]>) -> Payload {
        let coming = stream::iter(chunks).map(|chunk| Ok::<_, PayloadError>(Bytes::from_static(chunk)));
        Payload::Stream { payload: Box::pin(coming.chain(stream::pending())) }
    }

    #[test]
    fn what_came_gives_the_rest_its_time() {
        for (came, seconds) in [(0, 0), (BYTES_A_SECOND - 1, 0), (BYTES_A_SECOND, 1), (25 * 1024 * 1024, 400)]
        {
            assert_eq!(earned(came).as_secs(), seconds, "{came}");
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_refused_when_its_time_is_over() {
        let asked = RefCell::new(Vec::new());
        let deadline = |came| {
            asked.borrow_mut().push(came);
            Instant::now()
        };
        let body = stalled(vec![b"{", b"\"name\":"]);
        let told = collect_until(&HeaderMap::new(), body, 100, |_| {}, deadline).await.unwrap_err();
        assert_eq!(told.code(), "timeout");
        assert_eq!(asked.into_inner(), [0, 1, 8], "each chunk is waited for with the time earned so far");
    }
}
