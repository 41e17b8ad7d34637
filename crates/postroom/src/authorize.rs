//! Asks OAuth 2 token servers (RFC 6749, RFC 8628): Google's and Microsoft's, whose addresses are
//! fixed here, and one whose addresses stand in the configuration. No address ever comes through
//! the API, redirects are not followed and proxies of the environment are not used, so that nobody
//! can have a secret sent elsewhere.

mod answer;

use crate::config::OauthEndpoints;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroom_core::authorization::{Ask, Client, DeviceCode, Page, Provider, Tokens};
use postroom_core::ports::{Authorize, AuthorizeError};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;
use url::form_urlencoded::Serializer;

/// One question and its whole answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read: Microsoft's tokens have some 3 KiB.
const ANSWER_BYTES: usize = 64 * 1024;

/// Token servers, and how they are reached.
pub(crate) struct TokenServers {
    http: reqwest::Client,
    custom: Option<OauthEndpoints>,
    runtime: Handle,
}

/// Where a provider is asked.
#[derive(Debug, PartialEq, Eq)]
struct Endpoints {
    page: Url,
    token: Url,
    device: Option<Url>,
}

impl TokenServers {
    /// Must be called within the runtime that they are asked on.
    pub(crate) fn new(custom: Option<OauthEndpoints>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("postroom/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the client for token servers can't be made")?;
        Ok(Self { http, custom, runtime: Handle::current() })
    }

    fn endpoints(&self, client: &Client) -> Result<Endpoints, AuthorizeError> {
        let fixed = |text: &str| Url::parse(text).map_err(|_| unsupported("the tenant makes no address"));
        match client.provider {
            Provider::Google => Ok(Endpoints {
                page: fixed("https://accounts.google.com/o/oauth2/v2/auth")?,
                token: fixed("https://oauth2.googleapis.com/token")?,
                device: None,
            }),
            Provider::Microsoft => {
                let tenant = client.tenant.as_deref().unwrap_or("common");
                let at = |what: &str| {
                    fixed(&format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{what}"))
                };
                Ok(Endpoints { page: at("authorize")?, token: at("token")?, device: Some(at("devicecode")?) })
            }
            Provider::Custom => {
                let custom = self.custom.as_ref().ok_or_else(|| {
                    unsupported(
                        "oauth.custom is not set in the daemon's configuration; it holds the addresses",
                    )
                })?;
                Ok(Endpoints {
                    page: custom.authorization_url.clone(),
                    token: custom.token_url.clone(),
                    device: custom.device_url.clone(),
                })
            }
        }
    }

    /// Posts a form and reads the answer: its status and its body. The fault is a sentence.
    fn post(&self, url: &Url, form: String) -> Result<(u16, Vec<u8>), AuthorizeError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let asked = async {
            let request = self
                .http
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .body(form);
            let mut response = request.send().await?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > ANSWER_BYTES {
                    return Ok((status, None));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((status, Some(body)))
        };
        match self.runtime.block_on(asked) {
            Ok((status, Some(body))) => Ok((status, body)),
            Ok((_, None)) => {
                Err(AuthorizeError::Unavailable(format!("{host} answered more than {ANSWER_BYTES} bytes")))
            }
            Err(error) => Err(AuthorizeError::Unavailable(format!("{host} {}", why(&error)))),
        }
    }
}

/// What went wrong on the way, without the address, which might hold more than a host.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("did not answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "can't be reached".to_owned(), |cause| format!("can't be reached: {cause}"))
}

fn unsupported(why: &str) -> AuthorizeError {
    AuthorizeError::Unsupported(why.to_owned())
}

/// A form with what every question holds.
fn form(client: &Client) -> Serializer<'static, String> {
    let mut form = Serializer::new(String::new());
    form.append_pair("client_id", &client.client_id);
    form
}

/// What no sentence may hold, though a token server might say it.
fn secrets<'a>(client: &'a Client, ask: &Ask<'a>) -> Vec<&'a str> {
    let mut secrets: Vec<&str> = client.client_secret.as_deref().into_iter().collect();
    match ask {
        Ask::Code { code, verifier, .. } => secrets.extend([*code, *verifier]),
        Ask::Device { device_code } => secrets.push(device_code),
        Ask::Refresh { refresh_token } => secrets.push(refresh_token),
        Ask::Client => {}
    }
    secrets
}

impl Authorize for TokenServers {
    fn page(&self, client: &Client, page: &Page<'_>) -> Result<String, AuthorizeError> {
        let mut url = self.endpoints(client)?.page;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(page.verifier));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.client_id)
            .append_pair("redirect_uri", page.redirect_uri)
            .append_pair("scope", &client.scopes.join(" "))
            .append_pair("state", page.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if client.provider == Provider::Google {
            // Without both Google gives no refresh token to somebody who agreed before.
            query.append_pair("access_type", "offline").append_pair("prompt", "consent");
        }
        drop(query);
        Ok(url.into())
    }

    fn device(&self, client: &Client) -> Result<DeviceCode, AuthorizeError> {
        let url = self.endpoints(client)?.device;
        let url = url.ok_or_else(|| unsupported("this provider offers no device_code"))?;
        let body = form(client).append_pair("scope", &client.scopes.join(" ")).finish();
        let (status, answer) = self.post(&url, body)?;
        answer::device(status, &answer, &secrets(client, &Ask::Client))
    }

    fn token(&self, client: &Client, ask: &Ask<'_>) -> Result<Tokens, AuthorizeError> {
        let url = self.endpoints(client)?.token;
        let mut form = form(client);
        if let Some(secret) = &client.client_secret {
            form.append_pair("client_secret", secret);
        }
        match ask {
            Ask::Code { code, verifier, redirect_uri } => form
                .append_pair("grant_type", "authorization_code")
                .append_pair("code", code)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("code_verifier", verifier),
            Ask::Device { device_code } => form
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
                .append_pair("device_code", device_code),
            Ask::Refresh { refresh_token } => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token)
            }
            Ask::Client => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("scope", &client.scopes.join(" ")),
        };
        let (status, answer) = self.post(&url, form.finish())?;
        answer::tokens(status, &answer, &secrets(client, ask))
    }
}

#[cfg(test)]
mod tests;
