//! The page that shows a message, as callers ask for it and are told of it.

use crate::signed_link::usual_ttl;
use crate::state::Api;
use postroom_core::ports::{MisleadingLink, SafeHtml};
use postroom_core::signed_link::SignedLink;
use postroom_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a message is to be shown, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHtmlLink)]
pub struct NewHtmlLinkBody {
    /// Seconds, at most 600.
    #[serde(default = "usual_ttl")]
    #[schema(minimum = 1, maximum = 600, default = 300)]
    pub ttl: u32,
    /// Let the browser fetch images from other sites, over https, which tells their owners that the
    /// mail is being read.
    #[serde(default)]
    #[schema(default = false)]
    pub remote_images: bool,
}

/// A link to a message's page, and what is to be said beside it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HtmlLink)]
pub struct HtmlLinkView {
    /// Where it leads. Whoever has it is let in until its time ends.
    pub url: String,
    /// When that is.
    pub expires_at: Timestamp,
    /// How many images of other sites are left out.
    pub dropped_images: u64,
    /// Where they lie: each address once, the first hundred.
    pub dropped_image_urls: Vec<String>,
    /// Links in the page that may lead elsewhere than they seem to, the first hundred.
    pub misleading_links: Vec<MisleadingLink>,
    /// Parts of the mail are not in the page, since there is too much of it; its raw mail has all.
    pub shortened: bool,
}

impl HtmlLinkView {
    /// A link under our public address.
    pub fn new(link: &SignedLink, safe: SafeHtml, api: &Api) -> Self {
        Self {
            url: api.links.to(&link.path),
            expires_at: link.expires_at,
            dropped_images: safe.remote_images as u64,
            dropped_image_urls: safe.remote_urls,
            misleading_links: safe.misleading_links,
            shortened: safe.is_shortened,
        }
    }
}
