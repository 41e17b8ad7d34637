//! The HTML twin of a plain text: escaped first, links made clickable token by token, so that
//! nothing in the text can become markup.

/// A whole document around what stands in its body.
pub(crate) fn document(body: &str) -> String {
    let end = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    format!("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{body}{end}</body></html>\n")
}

/// A text as paragraphs. Its lines, and those of the result, end in `\n`.
pub(crate) fn paragraphs(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    let mut in_paragraph = false;
    for line in text.split('\n') {
        if line.trim().is_empty() {
            if in_paragraph {
                html.push_str("</p>\n");
                in_paragraph = false;
            }
            continue;
        }
        html.push_str(if in_paragraph { "<br>\n" } else { "<p>" });
        in_paragraph = true;
        push_line(&mut html, line.trim_end());
    }
    if in_paragraph {
        html.push_str("</p>\n");
    }
    html
}

/// A text that means nothing in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    escape(&mut html, text);
    html
}

fn push_line(html: &mut String, line: &str) {
    let mut word_start = None;
    let mut after_space = true;
    for (at, c) in line.char_indices() {
        if !c.is_whitespace() {
            word_start.get_or_insert(at);
            continue;
        }
        if let Some(start) = word_start.take() {
            push_word(html, &line[start..at]);
            after_space = false;
        }
        // browsers fold white space: what stands at a line's start or after a space is kept hard
        match c {
            '\t' => html.push_str("&nbsp;&nbsp;&nbsp; "),
            ' ' if after_space => html.push_str("&nbsp;"),
            c if c == ' ' || c.is_control() => html.push(' '),
            // a no-break or an ideographic space is what its writer wanted
            wanted => html.push(wanted),
        }
        after_space = true;
    }
    if let Some(start) = word_start {
        push_word(html, &line[start..]);
    }
}

fn push_word(html: &mut String, word: &str) {
    let Some((start, end)) = link_in(word) else {
        escape(html, word);
        return;
    };
    escape(html, &word[..start]);
    html.push_str("<a href=\"");
    escape(html, &word[start..end]);
    html.push_str("\">");
    escape(html, &word[start..end]);
    html.push_str("</a>");
    escape(html, &word[end..]);
}

/// Where in a word an `http` or `https` link stands, without the punctuation around it.
fn link_in(word: &str) -> Option<(usize, usize)> {
    let starts_link = |at: usize| {
        let rest = word.as_bytes().get(at..).unwrap_or_default();
        ["http://", "https://"]
            .iter()
            .find(|scheme| {
                rest.len() > scheme.len() && rest[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
            })
            .map(|scheme| at + scheme.len())
    };
    let (start, host) = word
        .char_indices()
        .filter(|(_, c)| matches!(c, 'h' | 'H'))
        .filter(|(at, _)| !word[..*at].chars().next_back().is_some_and(char::is_alphanumeric))
        .find_map(|(at, _)| starts_link(at).map(|host| (at, host)))?;
    let ends = |c: char| c.is_control() || matches!(c, '<' | '>' | '"' | '`');
    let mut link = &word[start..word[host..].find(ends).map_or(word.len(), |length| host + length)];
    let mut surplus = [('(', ')'), ('[', ']'), ('{', '}')].map(|(open, close)| {
        let count = |wanted| link.chars().filter(|c| *c == wanted).count();
        (close, count(close).saturating_sub(count(open)))
    });
    while let Some(last) = link.chars().next_back() {
        let closes = surplus.iter_mut().find(|(close, left)| *close == last && *left > 0);
        if let Some((_, left)) = closes {
            *left -= 1;
        } else if !matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~') {
            break;
        }
        link = &link[..link.len() - last.len_utf8()];
    }
    let end = start + link.len();
    (end > host).then_some((start, end))
}

fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // a character that is not allowed in HTML must not become one
            c if c.is_control() => html.push('\u{FFFD}'),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        paragraphs(text).replace('\n', "")
    }

    #[test]
    fn paragraphs_lines_and_quotes_are_kept() {
        assert_eq!(body("a\nb\n\n\n> c\n  d  e"), "<p>a<br>b</p><p>&gt; c<br>&nbsp;&nbsp;d &nbsp;e</p>");
        assert_eq!(body(""), "");
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(body("<b onclick='x'>&amp;"), "<p>&lt;b onclick=&#39;x&#39;&gt;&amp;amp;</p>");
    }

    #[test]
    fn links_are_clickable_without_their_punctuation() {
        let cases = [
            ("see https://e.org/a?b=1&c=2.", "see ", "https://e.org/a?b=1&amp;c=2", "."),
            ("(HTTP://e.org/x_(y))", "(", "HTTP://e.org/x_(y)", ")"),
            ("<https://e.org/>,", "&lt;", "https://e.org/", "&gt;,"),
            ("https://e.org/\"onclick=alert(1)", "", "https://e.org/", "&quot;onclick=alert(1)"),
        ];
        for (text, before, link, after) in cases {
            assert_eq!(body(text), format!("<p>{before}<a href=\"{link}\">{link}</a>{after}</p>"));
        }
    }

    #[test]
    fn other_schemes_and_bare_ones_are_not_links() {
        for text in ["javascript:alert(1)", "https://", "xhttps://e.org", "http:/e.org", "data:text/html,x"] {
            assert!(!body(text).contains("<a"), "{text}");
        }
    }
}
