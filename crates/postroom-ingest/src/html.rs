//! HTML that may be shown, and plain text as such HTML. What is let through is an allow-list; what
//! the sanitiser hands out is never touched again, for a change afterwards can undo its work.

use crate::cut::Cut;
use crate::html_cost::Allowance;
use crate::html_sets;
use crate::limits::Limits;
use ammonia::{Builder, UrlRelative};
use postroom_core::ports::ShowHtml;
use postroom_html::allowed::{DROPPED, TAGS, content_id, is_link, scheme, stays_anywhere};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a link leads learns nothing of the page it stands on, and can't reach it.
const REL: &str = "noopener noreferrer nofollow";
/// Links open beside the page.
const TARGET: &str = "_blank";
/// The largest picture that a mail may ask for, in pixels.
const PIXELS: u32 = 2000;
/// The longest word that becomes a link.
const LINK_BYTES: usize = 2000;

/// The most addresses of dropped images that are kept, and the longest of them in bytes.
pub(crate) const URLS: usize = 100;

/// Images of other sites that were taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// How many.
    pub(crate) count: usize,
    /// Where they lie, each once.
    pub(crate) urls: Vec<String>,
}

impl Dropped {
    pub(crate) fn note(&mut self, url: &str) {
        self.count += 1;
        if self.urls.len() < URLS && url.len() <= LINK_BYTES && !self.urls.iter().any(|known| known == url) {
            self.urls.push(url.to_owned());
        }
    }
}

/// The safe form of one HTML text and the remote images that were taken out; `None` where it is
/// too long or too deep to be sanitised in what is left of bearable time.
pub(crate) fn sanitised(
    source: &str,
    how: &Arc<ShowHtml>,
    limits: &Limits,
    left: &mut Allowance,
) -> Option<(String, Dropped)> {
    if !left.bears(source, limits.html_depth) {
        return None;
    }
    let dropped = Arc::new(Mutex::new(Dropped::default()));
    let (noting, how) = (Arc::clone(&dropped), Arc::clone(how));
    let attributes = |names: &[&'static str]| names.iter().copied().collect::<HashSet<_>>();
    let cell = ["colspan", "rowspan"];
    let mut builder = Builder::empty();
    builder
        .tags(TAGS.into_iter().chain(["img"]).collect())
        .clean_content_tags(HashSet::from(DROPPED))
        .generic_attributes(attributes(&["dir", "lang"]))
        .tag_attributes(HashMap::from([
            ("a", attributes(&["href"])),
            ("img", attributes(&["src", "alt", "width", "height"])),
            ("td", attributes(&cell)),
            ("th", attributes(&cell)),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid"]))
        // Only the links that `kept` puts in itself are relative.
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some(REL))
        .set_tag_attribute_value("a", "target", TARGET)
        .attribute_filter(move |element, attribute, value| kept(element, attribute, value, &how, &noting));
    let html = builder.clean(source).to_string();
    let mut dropped = dropped.lock().unwrap_or_else(PoisonError::into_inner).clone();
    html_sets::note(source, &mut dropped);
    Some((html, dropped))
}

/// What is left of the value of an attribute that is allowed as such.
fn kept<'v>(
    element: &str,
    attribute: &str,
    value: &'v str,
    how: &ShowHtml,
    dropped: &Mutex<Dropped>,
) -> Option<Cow<'v, str>> {
    let number = |max: u32| value.trim().parse::<u32>().is_ok_and(|n| n <= max);
    let stays = match (element, attribute) {
        ("a", "href") => is_link(value),
        // The sanitiser puts these in itself, before it asks.
        ("a", "rel") => value == REL,
        ("a", "target") => value == TARGET,
        ("img", "src") if scheme(value) == "cid" => {
            return how.pictures.get(&content_id(value)).map(|link| Cow::Owned(link.clone()));
        }
        ("img", "src") => {
            let stays = how.remote_images && scheme(value) == "https";
            // An empty one names no image.
            if !stays && !value.trim().is_empty() {
                dropped.lock().unwrap_or_else(PoisonError::into_inner).note(value.trim());
            }
            stays
        }
        ("img", "alt") => true,
        ("img", "width" | "height") => number(PIXELS),
        // No styles, no classes, no ids: mail must not be able to look like the page around it.
        (_, other) => stays_anywhere(other, value),
    };
    stays.then_some(Cow::Borrowed(value))
}

/// Plain text as HTML: paragraphs, line breaks, and links on `http` and `https` addresses.
///
/// Nothing reaches the output but what [`escape`] wrote and the fixed tags here.
pub(crate) fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 16);
    let mut in_paragraph = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            if in_paragraph {
                out.push_str("</p>\n");
            }
            in_paragraph = false;
            continue;
        }
        out.push_str(if in_paragraph { "<br>\n" } else { "<p>" });
        in_paragraph = true;
        let bare = line.trim_start_matches([' ', '\t']);
        // Indentation carries meaning in code and addresses; HTML would fold it away.
        for _ in 0..(line.len() - bare.len()).min(80) {
            out.push_str("&nbsp;");
        }
        linked(bare, &mut out);
    }
    if in_paragraph {
        out.push_str("</p>\n");
    }
    out
}

/// Writes a line, escaped, addresses of web pages made clickable.
fn linked(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some((before, url, behind)) = next_url(rest) {
        escape(before, out);
        out.push_str("<a href=\"");
        escape(url, out);
        for piece in ["\" rel=\"", REL, "\" target=\"", TARGET, "\">"] {
            out.push_str(piece);
        }
        escape(url, out);
        out.push_str("</a>");
        rest = behind;
    }
    escape(rest, out);
}

/// The first web address of a line: what stands before it, itself, and what follows.
fn next_url(line: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + line.get(from..)?.find("http")?;
        from = start + "http".len();
        let rest = line.tail(start);
        let Some(host) = rest.strip_prefix("http://").or_else(|| rest.strip_prefix("https://")) else {
            continue;
        };
        // `xhttp://` is no address.
        let is_start = line.head(start).chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        if !is_start || !host.starts_with(|c: char| c.is_alphanumeric() || c == '[') {
            continue;
        }
        let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"'`{}|\\^".contains(c) || hides(c);
        let url = without_punctuation(rest.head(rest.find(ends).unwrap_or(rest.len())));
        if url.len() > LINK_BYTES || url.len() <= "https://".len() {
            from = start + url.len().max("http".len());
            continue;
        }
        return Some((line.head(start), url, rest.tail(url.len())));
    }
}

/// An address without the punctuation of the sentence it stands in. A bracket that was opened
/// inside belongs to the address.
fn without_punctuation(mut url: &str) -> &str {
    let count = |mark: char| url.matches(mark).count();
    let (mut round, mut square) =
        (count(')').saturating_sub(count('(')), count(']').saturating_sub(count('[')));
    while let Some(last) = url.chars().next_back() {
        let unopened = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '*' | '_' | '~' => &mut 1,
            ')' => &mut round,
            ']' => &mut square,
            _ => break,
        };
        if *unopened == 0 {
            break;
        }
        *unopened -= 1;
        url = url.head(url.len() - last.len_utf8());
    }
    url
}

/// Marks that turn or hide text: an address with one shows something else than it is.
fn hides(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// Writes text so that it means nothing in HTML, neither between tags nor inside quotes.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0' => {}
            c => out.push(c),
        }
    }
}
