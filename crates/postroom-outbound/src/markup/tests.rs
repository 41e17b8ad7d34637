//! What becomes of texts in each format, and what hostile ones cost.

use super::*;
use postroom_core::outgoing::Filled;

fn rendered(format: TextFormat, text: &str) -> Rendered {
    let pictures = Pictures::of(["logo".to_owned()].into_iter());
    Markup::new(&pictures).render(&Written::new(text, format)).unwrap()
}

fn fault(format: TextFormat, text: &str) -> bool {
    let pictures = Pictures::default();
    Markup::new(&pictures).render(&Written::new(text, format)).is_err()
}

#[test]
fn markdown_becomes_html_and_stays_as_it_was_typed() {
    for (typed, html) in [
        ("**Hi** _you_", "<p><strong>Hi</strong> <em>you</em></p>\n"),
        ("a\nb\n\nc", "<p>a<br>\nb</p>\n<p>c</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        (
            "see https://example.org/x.",
            "<p>see <a href=\"https://example.org/x\">https://example.org/x</a>.</p>\n",
        ),
        ("[x](javascript:alert)", "<p><a>x</a></p>\n"),
        ("![Logo](cid:logo)", "<p><img src=\"cid:logo\" alt=\"Logo\"></p>\n"),
        ("<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>\n"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;\n"),
        ("~~a~~ {{b}}", "<p><del>a</del> {{b}}</p>\n"),
    ] {
        assert_eq!(
            rendered(TextFormat::Markdown, typed),
            Rendered { text: typed.to_owned(), html: html.to_owned() }
        );
    }
    let table = rendered(TextFormat::Markdown, "|a|b|\n|-|:-:|\n|1|2|").html;
    assert!(table.contains("<td>1</td>\n<td align=\"center\">2</td>"), "{table}");
}

#[test]
fn a_piece_of_html_stands_in_markdown_as_what_it_is() {
    let filled = |text: &str, inside: &str| {
        let filled = Filled { plain: "as text".to_owned(), inside: Some(inside.to_owned()) };
        let written = Written { filled: Some(Box::new(filled)), ..Written::new(text, TextFormat::Markdown) };
        Markup::new(&Pictures::default()).render(&written).unwrap()
    };
    let link = "<a href=\"https://example.org/\">us</a>";
    let inline = filled("By **{}**, *with*".replace("{}", &INSIDE.to_string()).as_str(), link);
    let html = format!("<p>By <strong>{link}</strong>, <em>with</em></p>\n");
    assert_eq!(inline, Rendered { text: "as text".to_owned(), html });
    let alone = filled(&format!("a\n\n{INSIDE}\n\nb"), "<div>x</div>");
    assert_eq!(alone.html, "<p>a</p>\n<div>x</div>\n<p>b</p>\n");
    // Where a text is not shown, nothing of it gets out.
    let address = filled(&format!("[x](https://e.example/{INSIDE})"), "\"><script>x</script><b onclick=x>");
    assert!(!address.html.contains("script") && !address.html.contains("onclick"), "{}", address.html);
    let code = filled(&format!("`{INSIDE}`"), "<b>x</b>");
    assert_eq!(code.html, "<p><code><b>x</b></code></p>\n");
}

#[test]
fn html_gets_a_text_that_can_be_read() {
    let twins = rendered(
        TextFormat::Html,
        "<h1>Hello</h1><p>See <a href=\"https://example.org/\">this</a><script>x</script></p>\
         <ul><li>a</li><li>b</li></ul><blockquote>old</blockquote>",
    );
    assert_eq!(twins.text, "Hello\n\nSee this <https://example.org/>\n\n- a\n- b\n\n> old");
    assert!(!twins.html.contains("script"));
    assert_eq!(rendered(TextFormat::Html, "a&#13;b&#0;c").html, "a\nb\u{FFFD}c");
}

#[test]
fn limits_hold() {
    for format in [TextFormat::Markdown, TextFormat::Html] {
        // a paragraph around Markdown is HTML that counts, too
        let most = if format == TextFormat::Html { MARKUP_BYTES } else { MARKUP_BYTES - "<p></p>\n".len() };
        assert!(!fault(format, &"x".repeat(most)), "{format}");
        assert!(fault(format, &"x".repeat(most + 1)), "{format}");
    }
    assert!(!fault(TextFormat::Html, &"<div>".repeat(DEPTH)));
    assert!(fault(TextFormat::Html, &"<div>".repeat(DEPTH + 1)));
    assert!(!fault(TextFormat::Text, &"<div>".repeat(200_000)), "text is no markup");
}

#[test]
fn hostile_markdown_ends() {
    let long = |piece: &str| piece.repeat(MARKUP_BYTES / piece.len());
    for text in [
        long(">"),
        long("> "),
        long("- "),
        long("1. "),
        long("["),
        long("!["),
        long("[a]("),
        long("*a_"),
        long("**a"),
        long("`"),
        long("`a"),
        long("<"),
        long("&"),
        long("\\"),
        long("www."),
        long("a@b."),
        long("http://"),
        long("|a"),
        format!("|a|\n|-|\n{}", long("|\n")),
        long("[a]: b\n"),
        long("~~"),
        long("\n> a"),
        (0..500).map(|n| "> ".repeat(n) + "a\n").collect(),
    ] {
        // what it becomes is of no matter here
        let _ = fault(TextFormat::Markdown, &text);
    }
}
