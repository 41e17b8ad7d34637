//! Sends a request, and again where nothing was done, or where it is done once however often it is sent.

use anyhow::anyhow;
use reqwest::header::{HeaderMap, HeaderName, IF_MATCH, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};
use std::time::Duration;

/// Draft of the IETF's working group HTTPAPI.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A connection has this long to stand.
const CONNECT: Duration = Duration::from_secs(10);
/// Nothing comes for so long: the desk is gone. Streams and long polls say something oftener.
const SILENCE: Duration = Duration::from_secs(120);
/// The pause before the first further try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// The desk may ask for at most this much of a pause.
const LONGEST: Duration = Duration::from_secs(60);

/// There is no answer, and why.
pub(super) struct Lost(pub anyhow::Error);

/// One request.
pub(super) struct Ask<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    pub headers: &'a HeaderMap,
    pub body: Option<&'a [u8]>,
}

impl Ask<'_> {
    /// Whether it may be sent again when nobody knows whether it was done.
    fn may_be_repeated(&self) -> bool {
        match *self.method {
            Method::POST => self.headers.contains_key(KEY),
            // A second one finds nothing, or another version.
            Method::DELETE => false,
            _ => !self.headers.contains_key(IF_MATCH),
        }
    }
}

/// Somebody who asks.
pub(super) struct Caller {
    http: Client,
    retries: u32,
}

impl Caller {
    pub(super) fn new(retries: u32) -> anyhow::Result<Self> {
        let http = Client::builder()
            // The token is for this desk alone.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("postroom-api/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, retries })
    }

    /// An answer, whatever it says.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Response, Lost> {
        let mut pause = PAUSE;
        for left in (0..=self.retries).rev() {
            let mut request =
                self.http.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone());
            if let Some(body) = ask.body {
                request = request.body(body.to_vec());
            }
            let asked = match request.send().await {
                Ok(answer) if left == 0 || !says_later(&answer) => return Ok(answer),
                Ok(answer) => asked_pause(&answer),
                Err(error) if left == 0 || !(error.is_connect() || ask.may_be_repeated()) => {
                    return Err(lost(&error, ask.url));
                }
                Err(_) => None,
            };
            tokio::time::sleep(asked.unwrap_or(pause)).await;
            pause *= 2;
        }
        Err(Lost(anyhow!("it was never sent")))
    }
}

/// Nothing was done; later it may be.
fn says_later(answer: &Response) -> bool {
    matches!(answer.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

fn asked_pause(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Everything that is to come.
pub(super) async fn whole(answer: &mut Response) -> Result<Vec<u8>, Lost> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(lost(&error, answer.url())),
        }
    }
}

/// Why there is no answer, and from where. What a query holds is nobody's business.
pub(super) fn lost(error: &reqwest::Error, url: &Url) -> Lost {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let desk = url.origin().ascii_serialization();
    let why = if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() };
    Lost(anyhow!("{desk} does not answer: {why}"))
}
