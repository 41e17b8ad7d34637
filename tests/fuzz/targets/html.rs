//! The HTML of a mail, and plain text as HTML: what is shown is tags and attributes of a short list and
//! nothing else, read as strictly as no browser would.

use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use postroom_ingest::reader::Reader;

/// Elements that can do nothing but look like something.
const TAGS: [&str; 35] = [
    "a",
    "b",
    "i",
    "u",
    "s",
    "em",
    "strong",
    "p",
    "br",
    "hr",
    "div",
    "span",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "code",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "caption",
    "colgroup",
    "col",
    "img",
];

/// Fails where something does not hold of these bytes.
pub fn check(html: &[u8]) {
    let reader = Reader::default();
    let raw = [&b"Content-Type: text/html; charset=utf-8\n\n"[..], html].concat();
    for remote_images in [false, true] {
        let shown = reader.html(&raw, &ShowHtml { remote_images, ..ShowHtml::default() });
        is_harmless(&shown.html, remote_images);
        assert!(shown.remote_urls.len() <= 100 && shown.misleading_links.len() <= 100);
    }
    is_harmless(&reader.text_as_html(&String::from_utf8_lossy(html)).html, false);
    assert!(!reader.read(&raw, &ReadContext::default()).problem.unwrap_or_default().contains("stumbled"));
}

/// Every `<` begins a tag of the list that is written in one way alone: a browser has no choice.
fn is_harmless(shown: &str, remote_images: bool) {
    let mut rest = shown;
    while let Some((_, tag)) = rest.split_once('<') {
        let opened = tag.strip_prefix('/').unwrap_or(tag);
        let end = opened.find(|c: char| !c.is_ascii_alphanumeric()).expect("a tag has an end");
        let (name, mut behind) = opened.split_at(end);
        assert!(TAGS.contains(&name), "<{name}> in {shown}");
        while let Some(attribute) = behind.strip_prefix(' ') {
            let (key, value) = attribute.split_once("=\"").expect("an attribute has a value");
            let (value, next) = value.split_once('"').expect("a value has an end");
            may_stand(name, key, value, remote_images);
            behind = next;
        }
        rest = behind.strip_prefix('>').unwrap_or_else(|| panic!("<{name}> has no end in {shown}"));
    }
}

fn may_stand(name: &str, key: &str, value: &str, remote_images: bool) {
    let begins = |schemes: &[&str]| {
        let value = value.trim_start().to_ascii_lowercase();
        schemes.iter().any(|scheme| value.starts_with(scheme))
    };
    let may = match (name, key) {
        ("a", "href") => begins(&["http:", "https:", "mailto:", "tel:"]),
        ("img", "src") => remote_images && begins(&["https:"]),
        ("a", "rel" | "target")
        | ("img", "alt" | "width" | "height")
        | ("td" | "th", "colspan" | "rowspan")
        | (_, "dir" | "lang") => true,
        _ => false,
    };
    assert!(may, "{key}={value:?} at <{name}>");
}
