//! HTML made to do harm, and text that looks like it: nothing of it may come through.

use crate::html::{Dropped, from_text, sanitised};
use crate::html_cost::Allowance;
use crate::html_tokens::{Token, Tokens, attribute};
use crate::limits::Limits;
use postroom_core::ports::ShowHtml;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

const TAGS: &str = " a b i u s em strong p br hr div span ul ol li blockquote pre code h1 h2 h3 h4 h5 h6 table \
    thead tbody tfoot tr td th caption colgroup col img ";
const ATTRIBUTES: &str = " href rel target src alt width height colspan rowspan dir lang ";

/// The names of a tag's attributes, as the sanitiser writes them: `name="value"`.
fn names(attributes: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = attributes.trim();
    while let Some((name, value)) = rest.split_once("=\"") {
        names.push(name.trim().to_owned());
        rest = value.split_once('"').expect("a quoted value").1;
    }
    assert!(rest.trim().is_empty(), "more than names and values in {attributes:?}");
    names
}

/// Panics where HTML holds anything that is not on the list.
fn assert_harmless(html: &str, source: &str, remote_images: bool) {
    for token in Tokens::new(html) {
        let Token::Open { name, attributes } = token else { continue };
        assert!(TAGS.contains(&format!(" {} ", name.as_str())), "<{}> of {source:?}: {html}", name.as_str());
        for name in names(attributes) {
            assert!(ATTRIBUTES.contains(&format!(" {name} ")), "{name} of {source:?}: {html}");
        }
        if let Some(href) = attribute(attributes, "href") {
            let is_fine =
                ["http:", "https:", "mailto:", "tel:"].iter().any(|s| href.to_lowercase().starts_with(s));
            assert!(is_fine, "href {href:?} of {source:?}: {html}");
            assert_eq!(attribute(attributes, "rel"), Some("noopener noreferrer nofollow"), "{html}");
            assert_eq!(attribute(attributes, "target"), Some("_blank"), "{html}");
        }
        if let Some(src) = attribute(attributes, "src") {
            let is_fine =
                src.starts_with("cid:") || src == PICTURE || (remote_images && src.starts_with("https:"));
            assert!(is_fine, "src {src:?} of {source:?}: {html}");
        }
    }
    let lower = html.to_lowercase();
    for bad in ["<script", "<!--", "<style", "<svg", "javascript:alert\"", "<iframe"] {
        assert!(!lower.contains(bad), "{bad} of {source:?}: {html}");
    }
}

const PICTURE: &str = "/api/v1/attachments/att_1/content?purpose=inline";

/// The vectors of `tests/vectors/html.txt`.
fn vectors() -> Vec<String> {
    let file = include_str!("../../../tests/vectors/html.txt");
    let vectors: Vec<String> = file.lines().filter(|line| !line.starts_with('#')).map(unescaped).collect();
    assert!(vectors.len() >= 200, "{}", vectors.len());
    vectors
}

fn unescaped(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        rest = match behind.as_bytes().first() {
            Some(b'n') => {
                out.push('\n');
                &behind[1..]
            }
            Some(b'u') if behind.starts_with("u{") => {
                let (hex, after) = behind[2..].split_once('}').expect("a closed escape");
                out.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).expect("a character"));
                after
            }
            Some(b'\\') => {
                out.push('\\');
                &behind[1..]
            }
            _ => {
                out.push('\\');
                behind
            }
        };
    }
    out + rest
}

fn showing(remote_images: bool) -> Arc<ShowHtml> {
    // Names that come back as they were make the sanitiser's work comparable with its input.
    let same = ["a", "c", "x", "logo@x"].map(|id| (id.to_owned(), format!("cid:{id}")));
    Arc::new(ShowHtml { remote_images, pictures: HashMap::from(same) })
}

/// As the one part of a mail.
fn alone(html: &str, how: &Arc<ShowHtml>, limits: &Limits) -> Option<(String, Dropped)> {
    sanitised(html, how, limits, &mut Allowance::new(limits.html_bytes))
}

fn safe(html: &str, remote_images: bool) -> Option<(String, Dropped)> {
    alone(html, &showing(remote_images), &Limits::default())
}

#[test]
fn html_is_made_harmless() {
    for vector in vectors() {
        for source in [vector.clone(), format!("<div>before {vector} after</div>"), vector.repeat(3)] {
            for remote_images in [false, true] {
                let (html, _) = safe(&source, remote_images).expect("is bearable");
                assert_harmless(&html, &source, remote_images);
                // What is clean stays as it is; only attributes change places.
                let (again, _) = safe(&html, remote_images).expect("is bearable");
                assert_eq!(again.len(), html.len(), "{source:?}: {again}");
            }
        }
    }
}

#[test]
fn text_is_made_harmless() {
    let texts = [
        "https://x.example/\"onmouseover=alert(1)",
        "https://x.example/'onclick='alert(1)",
        "https://x.example/<script>alert(1)</script>",
        "https://x.example/&quot;onclick=alert(1)",
        "https://x.example/`onclick=alert(1)`",
        "javascript:alert(1)//https://x.example",
        "http://javascript:alert(1)@x.example",
        "<https://x.example/><img src=x onerror=alert(1)>",
        "https://x\u{202E}elpmaxe.live",
        "https://x.example\0.evil",
        "\u{feff}https://x.example",
    ];
    for text in texts.iter().map(|text| (*text).to_owned()).chain(vectors()) {
        let html = from_text(&text);
        assert_harmless(&html, &text, false);
        assert!(!html.contains("=\"alert"), "{html}");
    }
}

#[test]
fn what_is_allowed_stays() {
    let keep = [
        "<p>a <b>b</b> <i>c</i> <u>d</u> <s>e</s> <em>f</em> <strong>g</strong><br>h</p>",
        "<h1>a</h1><hr><div>b <span>c</span></div><pre><code>d</code></pre>",
        "<ul><li>a</li></ul><ol><li>b</li></ol><blockquote>c</blockquote>",
        "<table><thead><tr><th colspan=\"2\">a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
        "<p dir=\"rtl\" lang=\"ar\">a</p>",
        "<img src=\"cid:logo@x\" alt=\"Logo\" width=\"100\" height=\"2000\">",
    ];
    for html in keep {
        assert_eq!(safe(html, false), Some((html.to_owned(), Dropped::default())));
    }
    let rel = "rel=\"noopener noreferrer nofollow\"";
    for href in ["http://x.example/", "https://x.example/?a=1", "mailto:a@x.example", "tel:+49301234"] {
        let (html, _) = safe(&format!("<a href=\"{href}\">x</a>"), false).expect("short");
        assert!(html.contains(&format!("href=\"{href}\"")) && html.contains(rel), "{html}");
    }
}

#[test]
fn remote_images_are_counted_and_listed_or_kept() {
    let html = "<img src=\"https://x.example/a\"><img src=\"http://x.example/b\" alt=\"B\"><img src=\"cid:c\">\
        <img src=\"https://x.example/a\">";
    let (without, dropped) = safe(html, false).expect("short");
    assert_eq!(without, "<img><img alt=\"B\"><img src=\"cid:c\"><img>");
    assert_eq!(
        (dropped.count, dropped.urls),
        (3, vec!["https://x.example/a".into(), "http://x.example/b".into()])
    );
    // Without TLS everybody under way would see what is read.
    let (with, dropped) = safe(html, true).expect("short");
    assert_eq!(with, html.replace(" src=\"http://x.example/b\"", ""));
    assert_eq!((dropped.count, dropped.urls), (1, vec!["http://x.example/b".into()]));
    let many: String =
        (0..101).map(|n| format!("<img src=https://x.example/{n}>")).collect::<Vec<_>>().concat();
    let (_, dropped) = safe(&many, false).expect("short");
    assert_eq!((dropped.count, dropped.urls.len()), (101, 100));
}

#[test]
fn images_that_are_named_by_a_set_alone_are_counted_and_listed() {
    for (html, urls) in [
        (
            "<img srcset=\"https://x.example/a?b&amp;c 1x, https://x.example/d 2x\">",
            &["https://x.example/a?b&c"][..],
        ),
        (
            "<IMG SrcSet='https://x.example/a,https://x.example/b 2x'>",
            &["https://x.example/a,https://x.example/b"],
        ),
        ("<img src='' srcset=', http://x.example/a, '>", &["http://x.example/a"]),
        ("<img src=\"https://x.example/a\" srcset=\"https://x.example/b 2x\">", &["https://x.example/a"]),
        (
            "<picture><source srcset=https://x.example/a><source srcset=https://x.example/b><img></picture>\
             <img alt=none>",
            &["https://x.example/a"],
        ),
        ("<picture><source srcset=https://x.example/a></picture><img alt=none>", &[]),
        (
            "<img srcset=\"cid:a 1x\"><img srcset=\"data:image/png,x\"><img srcset><!-- <img srcset=https://x.example> -->",
            &[],
        ),
    ] {
        let (shown, dropped) = safe(html, false).expect("short");
        assert!(!shown.contains("x.example"), "{shown}");
        assert_eq!((dropped.count, dropped.urls.as_slice()), (urls.len(), &*strings(urls)), "{html}");
    }
    // They are left out even where other images are shown.
    let (shown, dropped) = safe("<img srcset=https://x.example/a>", true).expect("short");
    assert_eq!((shown.as_str(), dropped.count), ("<img>", 1));
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

#[test]
fn pictures_of_the_mail_get_their_links() {
    let how = Arc::new(ShowHtml {
        remote_images: false,
        pictures: HashMap::from([("logo@x y".to_owned(), PICTURE.to_owned())]),
    });
    let show = |html: &str| alone(html, &how, &Limits::default()).expect("short").0;
    for src in ["cid:logo@x%20y", "CID:logo@x%20y", " cid:logo@x y "] {
        let shown = show(&format!("<img src=\"{src}\" alt=\"L\">"));
        assert_harmless(&shown, src, false);
        assert!(shown.contains(&format!("src=\"{PICTURE}\"")), "{shown}");
    }
    for src in ["cid:other", "cid:", "cid:logo%ZZ", "/api/v1/attachments/att_2/content", "//x", "logo@x%20y"]
    {
        assert!(!show(&format!("<img src=\"{src}\">")).contains("src"), "{src}");
    }
    // A link of ours is for pictures alone.
    assert!(!show("<a href=\"cid:logo@x%20y\">x</a>").contains("href"));
}

/// Pieces of which most broken HTML can be made.
fn broken_html() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vectors()),
        proptest::sample::select(
            "<p> </p> <b> </b> <i> <a href='https://x.example'> </a> <table> <tr> <td> </table> <svg> </svg> \
             <math> <mtext> <style> </style> <!-- --> <![CDATA[ ]]> <img src='cid:a'> <div dir=rtl> </div> \" ' > < \
             &lt; &amp; &#60; / = x <pre> </pre> <li> <ul> <h1> <noscript> <template> <select> <option> <br>"
                .split(' ')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        ),
        "\\PC{0,8}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_harmless_and_stays_as_it_is(source in broken_html(), remote_images: bool) {
        if let Some((html, _)) = safe(&source, remote_images) {
            assert_harmless(&html, &source, remote_images);
            // A second pass may let attributes change places and nothing else. What stands first and
            // looks like a byte order mark is taken for one.
            let html = html.trim_start_matches('\u{feff}');
            if let Some((again, _)) = safe(html, remote_images) {
                prop_assert_eq!(again.len(), html.len(), "{:?}: {} {}", source, html, again);
            }
        }
    }

    #[test]
    fn whatever_text_comes_is_harmless(source in broken_html()) {
        assert_harmless(&from_text(&source), &source, false);
    }
}

#[test]
fn text_becomes_paragraphs_and_links() {
    let link = |url: &str| {
        format!("<a href=\"{url}\" rel=\"noopener noreferrer nofollow\" target=\"_blank\">{url}</a>")
    };
    let line = |html: &str| format!("<p>{html}</p>\n");
    assert_eq!(from_text("a\nb\n\n\nc"), "<p>a<br>\nb</p>\n<p>c</p>\n");
    assert_eq!(from_text("  a"), line("&nbsp;&nbsp;a"));
    assert_eq!(from_text(""), "");
    assert_eq!(from_text("See https://x.example/a."), line(&format!("See {}.", link("https://x.example/a"))));
    assert_eq!(from_text("(http://x.example/a_(b))"), line(&format!("({})", link("http://x.example/a_(b)"))));
    assert_eq!(from_text("<https://x.example>"), line(&format!("&lt;{}&gt;", link("https://x.example"))));
    assert_eq!(from_text("https://x.example/?a=1&b"), line(&link("https://x.example/?a=1&amp;b")));
    let two = format!("{}, {}", link("https://a.example"), link("https://b.example"));
    assert_eq!(from_text("https://a.example, https://b.example"), line(&two));
    assert_eq!(from_text("https://münchen.example/ä"), line(&link("https://münchen.example/ä")));
    for none in ["xhttps://a.example", "https://", "http:/a", "ftp://a.example", "https:// a"] {
        assert!(!from_text(none).contains("<a "), "{none}");
    }
}

#[test]
fn limits_of_html_hold_at_the_edge() {
    let limits = Limits { html_bytes: 10, html_depth: 2, ..Limits::default() };
    assert!(alone("<b>aaaaaaa", &showing(false), &limits).is_some());
    assert!(alone("<b>aaaaaaaa", &showing(false), &limits).is_none());
    assert!(alone("<b><i>", &showing(false), &limits).is_some());
    assert!(alone("<b><i><u>", &showing(false), &limits).is_none());
}
