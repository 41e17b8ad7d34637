//! Addresses of our own in answers: built from `public_url` alone, never from what a request
//! says of its host.

use url::Url;

/// Makes links.
#[derive(Debug, Clone, Default)]
pub struct Links {
    base: String,
    origin: Option<String>,
}

impl Links {
    /// Links under this address; without one they begin with the path.
    pub fn new(public_url: Option<&Url>) -> Self {
        let base = public_url.map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default();
        Self { base, origin: public_url.map(|url| url.origin().ascii_serialization()) }
    }

    /// What every link begins with: nothing, where there is no public address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The origin of the public address.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// A link that works from anywhere; `None` where it is not known how we are reached.
    pub fn public(&self, path: &str) -> Option<String> {
        (!self.base.is_empty()).then(|| self.to(path))
    }

    /// A link to a path, which begins with a slash.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_public_url() {
        let links = |url: &str| Links::new(Some(&Url::parse(url).unwrap())).to("/api/v1/me");
        assert_eq!(links("https://desk.example.org"), "https://desk.example.org/api/v1/me");
        assert_eq!(links("https://example.org/desk/"), "https://example.org/desk/api/v1/me");
        assert_eq!(Links::new(None).to("/api/v1/me"), "/api/v1/me");
    }
}
