//! HTML made to do harm, and text that looks like it: nothing of it may come through.

use crate::html::{from_text, sanitised};
use crate::html_tokens::{Token, Tokens, attribute};
use crate::limits::Limits;

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
            let is_fine = src.starts_with("cid:") || (remote_images && src.starts_with("http"));
            assert!(is_fine, "src {src:?} of {source:?}: {html}");
        }
    }
    let lower = html.to_lowercase();
    for bad in ["<script", "<!--", "<style", "<svg", "javascript:alert\"", "<iframe"] {
        assert!(!lower.contains(bad), "{bad} of {source:?}: {html}");
    }
}

const VECTORS: [&str; 92] = [
    "<script>alert(1)</script>",
    "<ScRiPt >alert(1)</sCrIpT\n>",
    "<script src=//evil.example/x.js></script>",
    "<scr<script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=\"x\"onerror=\"alert(1)\">",
    "<img/src=x/onerror=alert(1)>",
    "<img src=`x`onerror=alert(1)>",
    "<img src=x:x onerror=alert(1)//",
    "<img srcset='https://evil.example/x 1x' src=cid:a>",
    "<img src='cid:a' usemap='#m' longdesc='https://evil.example'>",
    "<img src=//evil.example/p.gif>",
    "<img src=\"data:image/svg+xml;base64,PHN2Zy8+\">",
    "<img src='java\nscript:alert(1)'>",
    "<img src='cid:a' width='99999' height='expression(1)'>",
    "<image src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a><animate attributeName=href values=javascript:alert(1) /><text>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml;base64,AAA#x'/></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<math href=javascript:alert(1)>x</math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<form><button formaction=javascript:alert(1)>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)><option>x</select>",
    "<textarea autofocus onfocus=alert(1)></textarea>",
    "<textarea></textarea><script>alert(1)</script>",
    "<keygen autofocus onfocus=alert(1)>",
    "<isindex type=image src=1 onerror=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=JaVaScRiPt:alert(1)>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='&#x6A&#x61vascript&colon;alert(1)'>x</a>",
    "<a href='\u{1}javascript:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='cid:x'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href='/admin'>x</a>",
    "<a href='#top' name=top id=top>x</a>",
    "<a href='https://x.example' target=_self rel=opener onclick=alert(1)>x</a>",
    "<a href='https://x.example' style='position:fixed;inset:0'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href='https://x.example' ping='https://evil.example'>x</a>",
    "<a href='https://x.example\" onmouseover=\"alert(1)'>x</a>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>",
    "<object data=javascript:alert(1)></object>",
    "<object><param name=x value=y><embed src=//evil.example></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x></applet>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href='https://evil.example/'>",
    "<style>@import '//evil.example/x.css';</style>",
    "<style><img src=\"</style><img src=x onerror=alert(1)>\">",
    "<p style='background:url(//evil.example/x)'>x</p>",
    "<p style=\"width:expression(alert(1))\">x</p>",
    "<div style='background:url(&quot;//evil.example'>x",
    "<body background=//evil.example/x onload=alert(1)>x",
    "<table background=//evil.example/x><td background=//evil.example/y>x</table>",
    "<td colspan=99999 rowspan='2 onclick=x'>x</td>",
    "<p class=admin id=token name=x data-x=y role=dialog aria-label=x>x</p>",
    "<p dir='ltr onclick=alert(1)' lang='en\" onclick=\"x'>x</p>",
    "<video poster=//evil.example/x src=x onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<noembed><img title=\"</noembed><img src onerror=alert(1)>\"></noembed>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script></template>",
    "<title><img src=x onerror=alert(1)></title>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><img src=x onerror=alert(1)>",
    "<<img src=x onerror=alert(1)//<b>",
    "<q cite=javascript:alert(1)>x</q><blockquote cite=//evil.example>x</blockquote>",
    "<x-element onclick=alert(1) is=x>x</x-element><slot name=x></slot><dialog open>x</dialog>",
    "<plaintext><script>alert(1)</script>",
];

#[test]
fn html_is_made_harmless() {
    for vector in VECTORS {
        for source in [vector.to_owned(), format!("<div>before {vector} after</div>"), vector.repeat(3)] {
            for remote_images in [false, true] {
                let (html, _) = sanitised(&source, remote_images, &Limits::default()).expect("is bearable");
                assert_harmless(&html, &source, remote_images);
                // What is clean stays as it is; only attributes change places.
                let (again, _) = sanitised(&html, remote_images, &Limits::default()).expect("is bearable");
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
    for text in texts.iter().chain(&VECTORS) {
        let html = from_text(text);
        assert_harmless(&html, text, false);
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
        assert_eq!(sanitised(html, false, &Limits::default()), Some((html.to_owned(), 0)));
    }
    let rel = "rel=\"noopener noreferrer nofollow\"";
    for href in ["http://x.example/", "https://x.example/?a=1", "mailto:a@x.example", "tel:+49301234"] {
        let (html, _) =
            sanitised(&format!("<a href=\"{href}\">x</a>"), false, &Limits::default()).expect("short");
        assert!(html.contains(&format!("href=\"{href}\"")) && html.contains(rel), "{html}");
    }
}

#[test]
fn remote_images_are_counted_or_kept() {
    let html =
        "<img src=\"https://x.example/a\"><img src=\"http://x.example/b\" alt=\"B\"><img src=\"cid:c\">";
    let (without, dropped) = sanitised(html, false, &Limits::default()).expect("short");
    assert_eq!((without.as_str(), dropped), ("<img><img alt=\"B\"><img src=\"cid:c\">", 2));
    let (with, dropped) = sanitised(html, true, &Limits::default()).expect("short");
    assert_eq!((with.as_str(), dropped), (html, 0));
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
    assert!(sanitised("<b>aaaaaaa", false, &limits).is_some());
    assert!(sanitised("<b>aaaaaaaa", false, &limits).is_none());
    assert!(sanitised("<b><i>", false, &limits).is_some());
    assert!(sanitised("<b><i><u>", false, &limits).is_none());
}
