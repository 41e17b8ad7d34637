//! What HTML may hold whoever reads it: the part of the allow-list that HTML which is shown and HTML which
//! leaves have in common. Each adds what is its own.

use crate::cut::Cut;

/// Elements that can do nothing but look like something.
pub const TAGS: [&str; 34] = [
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
];
/// Elements that go with everything in them: the rest only lose their tags.
pub const DROPPED: [&str; 16] = [
    "script", "style", "title", "template", "svg", "math", "object", "embed", "applet", "iframe", "frameset",
    "noscript", "noembed", "noframes", "textarea", "select",
];

/// Where a link may lead.
const LINKS: [&str; 4] = ["http", "https", "mailto", "tel"];
/// The largest number that an attribute which counts may have.
const MOST: u32 = 1000;

/// Whether an address is one that a link may lead to.
pub fn is_link(address: &str) -> bool {
    LINKS.contains(&scheme(address).as_str())
}

/// Whether an attribute may stand with this value at whatever element is allowed to have it.
pub fn stays_anywhere(attribute: &str, value: &str) -> bool {
    match attribute {
        "colspan" | "rowspan" => value.trim().parse::<u32>().is_ok_and(|count| count <= MOST),
        "dir" => ["ltr", "rtl", "auto"].contains(&value.to_ascii_lowercase().as_str()),
        "lang" => value.len() <= 35 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        _ => false,
    }
}

/// The scheme of an address; empty where there is none.
pub fn scheme(address: &str) -> String {
    address.split_once(':').map(|(scheme, _)| scheme.trim().to_ascii_lowercase()).unwrap_or_default()
}

/// The Content-ID that a `cid:` address names (RFC 2392 section 2).
pub fn content_id(address: &str) -> String {
    let id = address.split_once(':').map_or("", |(_, id)| id).trim();
    let mut bytes = Vec::with_capacity(id.len());
    let mut rest = id.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = |at: usize| behind.get(at).and_then(|b| char::from(*b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, hex(0), hex(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = behind.tail(2);
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_or_fetches_is_allowed() {
        for tag in
            ["script", "style", "form", "input", "button", "iframe", "object", "svg", "meta", "link", "base"]
        {
            assert!(!TAGS.contains(&tag), "{tag}");
        }
        assert!(DROPPED.iter().all(|tag| !TAGS.contains(tag)));
        for (address, is_good) in [
            ("https://example.org/", true),
            (" MailTo:a@b.example", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("/relative", false),
            ("", false),
        ] {
            assert_eq!(is_link(address), is_good, "{address}");
        }
    }

    #[test]
    fn values_are_judged() {
        for (attribute, good, bad) in
            [("colspan", "1000", "1001"), ("dir", "RTL", "sideways"), ("lang", "de-CH", "de\"x")]
        {
            assert!(stays_anywhere(attribute, good) && !stays_anywhere(attribute, bad), "{attribute}");
        }
        assert!(!stays_anywhere("style", "color: red") && !stays_anywhere("onclick", "x"));
        assert_eq!(content_id("cid:logo%40x%"), "logo@x%");
    }
}
