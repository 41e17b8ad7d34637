//! Pictures that HTML names only by a set of sizes (`srcset`, `<picture>`). They are never shown, and
//! whoever reads the mail is told that they were left out.

use crate::html::Dropped;
use crate::html_text::resolved;
use crate::html_tokens::{Token, Tokens, attribute};
use postroom_html::allowed::scheme;

/// Notes the pictures of other sites that have no `src`, each once: by the first address of its set.
pub(crate) fn note(html: &str, dropped: &mut Dropped) {
    // Of the sources of a <picture> the first that is of another site; it stands before its <img>.
    let mut offered: Option<String> = None;
    for token in Tokens::new(html) {
        match token {
            Token::Open { name, attributes } if name.as_str() == "source" => {
                offered = offered.or_else(|| first_of_set(attributes));
            }
            Token::Open { name, attributes } if name.as_str() == "img" => {
                let own = first_of_set(attributes);
                let set = own.or_else(|| offered.take());
                let has_source = attribute(attributes, "src").is_some_and(|src| !src.trim().is_empty());
                if let Some(url) = set.filter(|_| !has_source) {
                    dropped.note(&url);
                }
                offered = None;
            }
            Token::Open { name, .. } | Token::Close { name } if name.as_str() == "picture" => offered = None,
            _ => {}
        }
    }
}

/// The first address of a tag's `srcset` (HTML standard, section 2.4.7.4: an address, then its size),
/// where it is one of another site.
fn first_of_set(attributes: &str) -> Option<String> {
    let set = resolved(attribute(attributes, "srcset")?);
    let url = set.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
    let url = url.split_ascii_whitespace().next()?.trim_end_matches(',');
    matches!(scheme(url).as_str(), "http" | "https").then(|| url.to_owned())
}
