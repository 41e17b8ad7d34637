//! Sends webhooks to their receivers. A name is looked up once for each connection, every address it leads to is
//! vetted, and no other one is connected to; redirects are not followed and proxies of the environment are
//! not used.

use crate::config::Webhooks;
use anyhow::Context;
use postroom_core::operations::webhook_deliveries::Claimed;
use postroom_core::time::Timestamp;
use postroom_core::webhook::reach::Reach;
use postroom_core::webhook_delivery::{ANSWER_CHARS, Outcome};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A connection has this long to stand, or less where the whole has less.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer is read up to here; what counts is its status.
const ANSWER_BYTES: usize = 64 * 1024;

/// Looks a name up.
type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;
type Found = std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// The way to every receiver. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Receivers {
    http: reqwest::Client,
    reach: Reach,
    timeout: Duration,
}

struct Vetted {
    reach: Reach,
    lookup: Lookup,
}

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, name) = (self.reach.clone(), name.as_str().to_owned());
        let looked = (self.lookup)(name.clone());
        Box::pin(async move {
            let addresses = looked.await?;
            reach.vet(&name, &addresses)?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// As this machine looks names up.
fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

impl Receivers {
    pub(crate) fn new(config: &Webhooks) -> anyhow::Result<Self> {
        Self::looking_up(config, system())
    }

    fn looking_up(config: &Webhooks, lookup: Lookup) -> anyhow::Result<Self> {
        let reach = config.reach();
        let timeout = Duration::from_secs(config.timeout_seconds.into());
        let http = reqwest::Client::builder()
            .dns_resolver(Arc::new(Vetted { reach: reach.clone(), lookup }))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(timeout)
            .connect_timeout(CONNECT.min(timeout))
            // A connection that was kept would lead to where the name led before.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("postroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the client for webhooks can't be made")?;
        Ok(Self { http, reach, timeout })
    }

    /// Tries a delivery once. `now` is what dates in an answer are held against.
    pub(crate) async fn send(&self, claimed: &Claimed, now: Timestamp) -> Outcome {
        let began = Instant::now();
        let outcome = self.exchange(claimed, now).await;
        Outcome { duration: began.elapsed(), ..outcome }
    }

    async fn exchange(&self, claimed: &Claimed, now: Timestamp) -> Outcome {
        // Numbers reach no look-up; and the configuration may allow less than when it was made.
        let url = match self.reach.read(&claimed.url) {
            Ok(url) => url,
            Err((_, why)) => return failed(format!("is not called: {why}")),
        };
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &claimed.delivery.id.0)
            .header("webhook-timestamp", claimed.sent_at.as_seconds().to_string())
            .header("webhook-signature", &claimed.signature)
            .body(claimed.delivery.payload.clone());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed(self.why(&error)),
        };
        let status = response.status().as_u16();
        let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = asked.filter(|_| matches!(status, 429 | 503)).and_then(|text| pause(text, now));
        let (mut bytes, mut read) = (Vec::new(), 0);
        // What breaks off, or takes too long, after the status was there changes nothing.
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            let room = (ANSWER_CHARS * 4).saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if read > ANSWER_BYTES {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).chars().take(ANSWER_CHARS).collect::<String>();
        let answer = (!text.is_empty()).then_some(text);
        Outcome { status: Some(status), answer, retry_after, ..Outcome::default() }
    }

    /// What went wrong on the way, without the address, which may hold a secret of the receiver's.
    fn why(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("did not answer within {} s", self.timeout.as_secs());
        }
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause.and_then(std::error::Error::source) {
            cause = Some(inner);
        }
        cause.map_or_else(|| "can't be reached".to_owned(), |cause| format!("can't be reached: {cause}"))
    }
}

fn failed(error: String) -> Outcome {
    Outcome { error: Some(error), ..Outcome::default() }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time all the same.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Timestamp(date.as_microsecond()).since(now))
}

#[cfg(test)]
#[path = "receivers_tests.rs"]
mod tests;
