//! Where the quote begins in the HTML of an answer: mail programs put it into an element of their
//! own, or a mark before it.

use crate::html_text;
use crate::html_tokens::{Token, attribute};
use crate::quote::{begins_with_headers, is_forwarded};
use crate::signature;
use regex::Regex;
use std::sync::LazyLock;

/// Any of these stands in HTML that [`mark`] finds something in.
static ANY: LazyLock<Regex> = LazyLock::new(|| {
    let words = "gmail_quote|gmail_extra|divrplyfwdmsg|appendonsend|yahoo_quoted|protonmail_quote|moz-cite-prefix|\
        olk_src_body_section|mail-editor-reference-message-container|type=.?cite|border-top|tutanota_quote|zmail_extra";
    Regex::new(&format!("(?i){words}")).expect("a constant pattern, compiled by the tests")
});

/// What an element says of the text in it or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The quote is inside.
    Holds,
    /// The quote is all that follows.
    Precedes,
    /// The quote follows if it begins with headers: Outlook draws such lines elsewhere too.
    Rules,
}

fn mark(name: &str, attributes: &str) -> Option<Mark> {
    if !matches!(name, "div" | "blockquote" | "span" | "hr" | "p" | "table" | "td") || attributes.is_empty() {
        return None;
    }
    let of = |name: &str| attribute(attributes, name).unwrap_or_default().trim();
    let (id, classes) = (of("id"), of("class"));
    let has_id = |wanted: &str| {
        // Outlook on the web puts `x_` before the ids of what it quotes: those are inside.
        id.eq_ignore_ascii_case(wanted)
    };
    let has_class =
        |wanted: &str| classes.split_ascii_whitespace().any(|class| class.eq_ignore_ascii_case(wanted));
    if has_id("divRplyFwdMsg") || has_id("appendonsend") || has_class("moz-cite-prefix") {
        return Some(Mark::Precedes);
    }
    let holds =
        ["gmail_quote", "protonmail_quote", "tutanota_quote", "zmail_extra"].iter().any(|c| has_class(c))
            || has_id("OLK_SRC_BODY_SECTION")
            || of("name").eq_ignore_ascii_case("OLK_SRC_BODY_SECTION")
            || has_id("mail-editor-reference-message-container")
            || id.starts_with("yahoo_quoted")
            || has_class("yahoo_quoted")
            || (name == "blockquote" && of("type").eq_ignore_ascii_case("cite"));
    if holds {
        return Some(Mark::Holds);
    }
    let style = of("style");
    (style.contains("border-top") && style.contains("solid") && style.contains("padding"))
        .then_some(Mark::Rules)
}

/// A quote under way: the elements of its name that are open in it.
struct Open {
    name: [u8; 12],
    depth: usize,
}

/// The new text of HTML, as text: what stands before the first quote, if nothing but quotes and a
/// signature follows. `None` where no program marked a quote, or where nothing is before it.
pub(crate) fn fresh(html: &str, max: usize) -> Option<String> {
    if !ANY.is_match(html) {
        return None;
    }
    // Where quotes begin and end in the text; the last one may have no end.
    let mut quotes: Vec<(usize, Option<usize>, Mark)> = Vec::new();
    let mut open: Option<Open> = None;
    let text = html_text::watched(html, max, |token, at| match (token, &mut open) {
        (Token::Open { name, attributes }, None) if quotes.last().is_none_or(|(_, end, _)| end.is_some()) => {
            if let Some(mark) = mark(name.as_str(), attributes) {
                if mark == Mark::Holds {
                    open = Some(Open { name: name.bytes(), depth: 1 });
                }
                // A line that is none of Outlook's must not hide the quote behind it.
                quotes.push((at, (mark == Mark::Rules).then_some(at), mark));
            }
        }
        (Token::Open { name, .. }, Some(inside)) if inside.name == name.bytes() => inside.depth += 1,
        (Token::Close { name }, Some(inside)) if inside.name == name.bytes() => {
            inside.depth -= 1;
            if inside.depth == 0 {
                open = None;
                if let Some((_, end, _)) = quotes.last_mut() {
                    *end = Some(at);
                }
            }
        }
        _ => {}
    });
    let quotes: Vec<(usize, usize)> = quotes
        .into_iter()
        .filter_map(|(start, end, mark)| match mark {
            Mark::Rules => begins_with_headers(text.get(start..)?).then_some((start, text.len())),
            _ => Some((start, end.unwrap_or(text.len()))),
        })
        .collect();
    let (first, _) = *quotes.first()?;
    let mut at = first;
    for (start, end) in quotes {
        if start > at && !text.get(at..start)?.trim().is_empty() {
            // Somebody answered between two quotes.
            return None;
        }
        at = at.max(end);
    }
    let behind: Vec<&str> = text.get(at..)?.lines().skip_while(|line| line.trim().is_empty()).collect();
    let is_end = behind.is_empty() || signature::begin(&behind) == Some(0);
    let is_forward = text.get(first..)?.lines().take(4).any(is_forwarded);
    // The rule that Outlook draws above is its own.
    let fresh = text.get(..first)?.trim().trim_end_matches('-').trim_end();
    (is_end && !is_forward && !fresh.is_empty()).then(|| fresh.to_owned())
}

#[cfg(test)]
mod tests {
    fn fresh(html: &str) -> Option<String> {
        super::fresh(html, 1 << 20)
    }

    #[test]
    fn every_program_is_known() {
        let quote = "<p>Shall we?</p>";
        for html in [
            format!(
                "<div dir=ltr>Yes.</div><br><div class=\"gmail_quote gmail_quote_container\"><div class=gmail_attr>On 5 Jan, A wrote:</div><blockquote class=\"gmail_quote\">{quote}</blockquote></div>"
            ),
            format!(
                "<div>Yes.</div><div id=\"appendonsend\"></div><hr><div id=divRplyFwdMsg>From: A</div>{quote}"
            ),
            format!(
                "<div>Yes.</div><hr style=\"display:inline-block\"><div id=\"divRplyFwdMsg\"><b>From:</b> A</div>{quote}"
            ),
            format!(
                "<p>Yes.</p><div class=\"moz-cite-prefix\">On 5 Jan A wrote:</div><blockquote type=\"cite\">{quote}</blockquote>"
            ),
            format!("<p>Yes.</p><blockquote type=cite>{quote}</blockquote>"),
            format!("<div>Yes.</div><div id=\"ydp1_yahoo_quoted_1\" class=\"yahoo_quoted\">{quote}</div>"),
            format!("<div>Yes.</div><div id=\"yahoo_quoted_123\">{quote}</div>"),
            format!(
                "<div>Yes.</div><div class=\"protonmail_quote\">On 5 Jan<blockquote>{quote}</blockquote></div>"
            ),
            format!(
                "<p>Yes.</p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p><b>From:</b> A<br><b>Sent:</b> Monday<br><b>To:</b> B<br><b>Subject:</b> x</p></div></div>{quote}"
            ),
            format!("<div>Yes.</div><span id=\"OLK_SRC_BODY_SECTION\"><div>From: A</div>{quote}</span>"),
            format!("<div>Yes.</div><div id=\"mail-editor-reference-message-container\">{quote}</div>"),
            format!("<div>Yes.</div><blockquote type=cite>{quote}</blockquote><div>-- <br>Ada</div>"),
        ] {
            assert_eq!(fresh(&html).as_deref(), Some("Yes."), "{html}");
        }
    }

    #[test]
    fn nothing_is_told_where_somebody_answered_in_between() {
        for html in [
            "<blockquote type=cite>One?</blockquote><p>Yes.</p>",
            "<p>Hi</p><blockquote type=cite>One?</blockquote><p>Yes.</p>",
            "<p>Hi</p><blockquote type=cite>One?</blockquote><p>Yes.</p><blockquote type=cite>Two?</blockquote>",
            "<div class=gmail_quote>all of it</div>",
            "<p>See below</p><div class=gmail_quote><div>---------- Forwarded message ---------<br>From: A</div>Hi</div>",
            "<p>Total</p><div style='border-top:solid 1pt;padding:3pt'>12.00</div>",
            "<p>plain</p>",
        ] {
            assert_eq!(fresh(html), None, "{html}");
        }
    }

    #[test]
    fn quotes_side_by_side_are_one() {
        let html = "Yes.<blockquote type=cite>a<blockquote type=cite>b</blockquote></blockquote> <blockquote type=cite>c</blockquote>";
        assert_eq!(fresh(html).as_deref(), Some("Yes."));
        let ruled = "<p>Yes.</p><div style='border-top:solid 1pt;padding:3pt'>My sign</div><div class=gmail_quote>x</div>";
        assert_eq!(fresh(ruled).as_deref(), Some("Yes.\n\nMy sign"));
    }
}
