//! What HTML of ours may hold when it leaves: an allow-list fit for mail, not the one for showing mail.
//!
//! Inline styles are let through, a few of them: mail programs know no other way to give a text or a
//! table its colours and its spacing (Gmail drops style elements that it does not like, Outlook knows few
//! selectors), and the editors that signatures and layouts are made in write nothing else. A value may be
//! words, numbers and `rgb()` alone, so that none can fetch anything, and no property can lay a text over
//! another, hide it or take it out of the flow.

use ammonia::{Builder, UrlRelative};
use postroom_html::allowed::{DROPPED, TAGS, content_id, is_link, scheme, stays_anywhere};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Elements that mail may have besides those that all may.
const MORE_TAGS: [&str; 9] = ["small", "sub", "sup", "del", "ins", "dl", "dt", "dd", "center"];
const STYLES: [&str; 35] = [
    "color",
    "background-color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "line-height",
    "letter-spacing",
    "text-align",
    "text-decoration",
    "text-transform",
    "vertical-align",
    "white-space",
    "list-style-type",
    "width",
    "max-width",
    "height",
    "padding",
    "padding-top",
    "padding-right",
    "padding-bottom",
    "padding-left",
    "margin",
    "margin-top",
    "margin-right",
    "margin-bottom",
    "margin-left",
    "border",
    "border-top",
    "border-right",
    "border-bottom",
    "border-left",
    "border-color",
    "border-radius",
    "border-collapse",
];
/// Bytes of one style attribute that are looked at.
const STYLE_BYTES: usize = 2000;
/// The largest picture and table, in pixels.
const PIXELS: u32 = 4000;

/// The pictures that a mail brings along, by Content-ID, and those that its HTML has named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pictures {
    known: Arc<HashSet<String>>,
    named: Arc<Mutex<HashSet<String>>>,
}

impl Pictures {
    pub(crate) fn of(ids: impl Iterator<Item = String>) -> Self {
        Self { known: Arc::new(ids.collect()), named: Arc::default() }
    }

    pub(crate) fn is_named(&self, id: &str) -> bool {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// The address of the picture that `value` names, if the mail brings it along.
    fn find(&self, value: &str) -> Option<String> {
        let id = content_id(value);
        let is_known = scheme(value) == "cid" && self.known.contains(&id);
        is_known.then(|| {
            let address = format!("cid:{id}");
            self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            address
        })
    }
}

/// The safe form of HTML that can be borne (see [`postroom_html::cost`]). What it hands out is never
/// changed again. Without `pictures` no image is left.
pub(crate) fn safe(html: &str, pictures: Option<&Pictures>) -> String {
    let set = |names: &[&'static str]| names.iter().copied().collect::<HashSet<_>>();
    let cell = ["colspan", "rowspan", "width", "height", "align", "valign", "bgcolor"];
    let mut tags: HashSet<&str> = TAGS.into_iter().chain(MORE_TAGS).collect();
    if pictures.is_some() {
        tags.insert("img");
    }
    let pictures = pictures.cloned().unwrap_or_default();
    let mut builder = Builder::empty();
    builder
        .tags(tags)
        .clean_content_tags(set(&DROPPED))
        .generic_attributes(set(&["dir", "lang", "style"]))
        .tag_attributes(HashMap::from([
            ("a", set(&["href"])),
            ("img", set(&["src", "alt", "width", "height"])),
            ("table", set(&["width", "border", "cellpadding", "cellspacing", "align", "bgcolor"])),
            ("td", set(&cell)),
            ("th", set(&cell)),
            ("col", set(&["width"])),
            ("ol", set(&["start"])),
        ]))
        .url_schemes(set(&["http", "https", "mailto", "tel", "cid"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None)
        .attribute_filter(move |element, attribute, value| kept(element, attribute, value, &pictures));
    builder.clean(html).to_string()
}

/// What is left of the value of an attribute that is allowed as such.
fn kept<'v>(element: &str, attribute: &str, value: &'v str, pictures: &Pictures) -> Option<Cow<'v, str>> {
    let number = |text: &str, max: u32| text.trim().parse::<u32>().is_ok_and(|n| n <= max);
    let one_of = |words: &[&str]| words.contains(&value.to_ascii_lowercase().as_str());
    let stays = match (element, attribute) {
        ("a", "href") => is_link(value),
        ("img", "src") => return pictures.find(value).map(Cow::Owned),
        ("img", "alt") => true,
        (_, "style") => return styles(value).map(Cow::Owned),
        (_, "width" | "height") => number(value.trim().trim_end_matches('%'), PIXELS),
        (_, "border" | "cellpadding" | "cellspacing" | "start") => number(value, 1000),
        (_, "align") => one_of(&["left", "right", "center", "justify"]),
        (_, "valign") => one_of(&["top", "middle", "bottom", "baseline"]),
        (_, "bgcolor") => {
            (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#')
        }
        (_, other) => stays_anywhere(other, value),
    };
    stays.then_some(Cow::Borrowed(value))
}

/// The declarations that may stay; `None` where none may.
fn styles(value: &str) -> Option<String> {
    if value.len() > STYLE_BYTES {
        return None;
    }
    let declarations = value.split(';').filter_map(|declaration| {
        let (name, value) = declaration.split_once(':')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().replace('"', "'"));
        let is_kept = STYLES.contains(&name.as_str()) && is_plain_value(&value);
        is_kept.then(|| format!("{name}: {value}"))
    });
    Some(declarations.collect::<Vec<_>>().join("; ")).filter(|kept| !kept.is_empty())
}

/// Words, numbers and colours: the one function is `rgb()`, and nothing that begins a comment, an escape
/// or a string of another kind is among the characters.
fn is_plain_value(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " #.,%'-".contains(c);
    let is_closed = value.matches('\'').count().is_multiple_of(2);
    let mut pieces = value.split("rgb(");
    let is_first = pieces.next().is_some_and(|piece| piece.chars().all(is_plain));
    let is_rest = pieces.all(|piece| {
        piece.split_once(')').is_some_and(|(colour, behind)| {
            colour.chars().all(|c| c.is_ascii_digit() || " ,.%".contains(c)) && behind.chars().all(is_plain)
        })
    });
    !value.is_empty() && is_closed && is_first && is_rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::outgoing::is_content_id;

    fn all(html: &str) -> String {
        safe(html, Some(&Pictures::of(["logo@x".to_owned()].into_iter())))
    }

    #[test]
    fn what_mail_programs_show_stays() {
        for html in [
            "<p style=\"color: #c00; margin: 0 0 1em\">a <b>b</b> <sub>c</sub></p>",
            "<table width=\"100%\" cellpadding=\"4\" bgcolor=\"#eeeeee\"><tbody><tr><td align=\"right\" \
             valign=\"top\" colspan=\"2\">x</td></tr></tbody></table>",
            "<a href=\"https://example.org/?a=1&amp;b=2\">x</a>",
            "<a href=\"mailto:a@b.example\">x</a><a href=\"tel:+49123\">y</a>",
            "<img src=\"cid:logo@x\" alt=\"Logo\" width=\"120\">",
            "<p style=\"font-family: Arial, 'Open Sans', sans-serif; color: rgb(1, 2, 3)\">x</p>",
        ] {
            assert_eq!(all(html), html);
        }
    }

    #[test]
    fn what_could_harm_or_fetch_goes() {
        for (html, left) in [
            ("<script>alert(1)</script>a", "a"),
            ("<style>p{color:red}</style>a", "a"),
            ("<p onclick=\"x\" class=\"y\" id=\"z\">a</p>", "<p>a</p>"),
            ("<a href=\"javascript:alert(1)\">a</a>", "<a>a</a>"),
            ("<a href=\"/relative\">a</a>", "<a>a</a>"),
            ("<a href=\"cid:logo@x\">a</a>", "<a>a</a>"),
            ("<img src=\"https://example.org/pixel.png\" alt=\"p\">", "<img alt=\"p\">"),
            ("<img src=\"data:image/png;base64,AAAA\">", "<img>"),
            ("<img src=\"cid:other\">", "<img>"),
            ("<form action=\"https://x.example\"><input name=\"a\">b</form>", "b"),
            ("<table background=\"https://x.example/a.png\"></table>", "<table></table>"),
            (
                "<p style=\"background-color: red; background: url(https://x.example)\">a</p>",
                "<p style=\"background-color: red\">a</p>",
            ),
        ] {
            assert_eq!(all(html), left, "{html}");
        }
    }

    #[test]
    fn styles_can_not_fetch_hide_or_escape() {
        for bad in [
            "color: url(https://x.example)",
            "position: fixed",
            "display: none",
            "color: expression(alert(1))",
            "color: \\75rl(x)",
            "color: red/**/",
            "font-family: 'a",
            "color: rgb(1,2,url(x))",
            "color: rgb(1,2,3",
            "color: @import",
            "color",
            "",
        ] {
            assert_eq!(styles(bad), None, "{bad}");
        }
        assert_eq!(
            styles("COLOR:red;position:fixed; Width : 10PX").as_deref(),
            Some("color: red; width: 10PX")
        );
        let long = format!("color: {}", "a".repeat(STYLE_BYTES - 7));
        assert!(styles(&long).is_some() && styles(&format!("{long}a")).is_none());
    }

    #[test]
    fn pictures_are_known_by_their_ids_however_they_are_written() {
        let pictures = Pictures::of(["logo@x".to_owned()].into_iter());
        assert_eq!(safe("<img src=\"CID:logo%40x\">", Some(&pictures)), "<img src=\"cid:logo@x\">");
        assert!(pictures.is_named("logo@x"));
        assert_eq!(safe("<p>a<img src=\"cid:logo@x\"></p>", None), "<p>a</p>");
        for (id, good) in
            [("a.b_c@d-e", true), ("", false), ("a b", false), ("a>\r\nX: y", false), ("a%41", false)]
        {
            assert_eq!(is_content_id(id), good, "{id:?}");
        }
        assert!(is_content_id(&"a".repeat(100)) && !is_content_id(&"a".repeat(101)));
    }
}
