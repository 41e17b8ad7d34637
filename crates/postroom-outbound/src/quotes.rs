//! What a mail quotes of the conversation: each message below a line that says who wrote it and when.

use crate::header::clean;
use crate::html;
use crate::markup::Markup;
use postroom_core::mail::Address;
use postroom_core::outgoing::{QUOTED_BYTES, QUOTED_MESSAGES, Quoted, Rendered};
use postroom_core::text::many_lines;

/// Stands for what was cut off.
pub(crate) const CUT: &str = "[…]";
/// The longest name in the line above a quote, in characters.
const NAME_CHARS: usize = 100;

/// The messages that are quoted, in both forms, within the limits. HTML that does not fit as a whole is
/// quoted as text, and text is cut behind a line.
pub(crate) fn render(quoted: &[Quoted], markup: &mut Markup<'_>) -> Vec<Rendered> {
    let (mut text_left, mut html_left) = (QUOTED_BYTES, QUOTED_BYTES);
    let mut all = Vec::new();
    for message in quoted.iter().take(QUOTED_MESSAGES) {
        let (whole, _) = many_lines(&message.text, usize::MAX);
        let text = fitting(whole.trim_end().trim_start_matches('\n'), text_left);
        text_left -= text.len();
        let safe = message.html.as_deref().filter(|html| html.len() <= html_left);
        let html = safe.and_then(|html| markup.quoted(html)).filter(|html| html.len() <= html_left);
        html_left -= html.as_ref().map_or(text.len().min(html_left), String::len);
        let html = html.unwrap_or_else(|| html::paragraphs(&text));
        let line = attribution(&message.who, &message.when.to_string());
        all.push(Rendered {
            text: format!("{line}\n{}", marked(&text)),
            html: format!(
                "<div style=\"margin-top: 1em\">{}</div>\n<blockquote type=\"cite\" style=\"margin: 0 0 0 \
                 0.8ex; border-left: 1px solid #cccccc; padding-left: 1ex\">\n{html}</blockquote>",
                html::escaped(&line)
            ),
        });
    }
    all
}

/// The line that mail programs know a quote by: `On 2026-11-22 08:00 UTC, Ada <ada@example.org> wrote:`.
fn attribution(who: &Address, when: &str) -> String {
    format!("On {}, {} wrote:", minute(when), named(who))
}

/// Somebody by name and address, in one line.
pub(crate) fn named(who: &Address) -> String {
    let name = clean(who.name.as_deref().unwrap_or_default(), NAME_CHARS);
    let email = clean(&who.email, 254);
    if name.is_empty() { email } else { format!("{name} <{email}>") }
}

/// A time as people read it, to the minute.
pub(crate) fn minute(when: &str) -> String {
    format!("{} UTC", when.get(..16).unwrap_or(when).replace('T', " "))
}

/// As much of a text as fits, cut behind a line, or behind a character where one line is too long.
pub(crate) fn fitting(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(CUT.len() + 1) else { return String::new() };
    let (piece, _) = many_lines(text, room);
    let piece = piece.rfind('\n').map_or(piece.as_str(), |end| &piece[..end]).trim_end();
    format!("{piece}\n{CUT}")
}

/// Each line marked as quoted (RFC 3676 section 4.5: no space between marks).
fn marked(text: &str) -> String {
    let mark = |line: &str| if line.is_empty() || line.starts_with('>') { ">" } else { "> " };
    text.split('\n').map(|line| format!("{}{line}", mark(line))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pictures;
    use postroom_core::time::Timestamp;

    fn quoted(text: &str, html: Option<&str>) -> Quoted {
        Quoted {
            who: Address { name: Some("Ada <b>".to_owned()), email: "ada@example.org".to_owned() },
            when: Timestamp::parse("2026-11-22T08:00:59.5Z").unwrap(),
            text: text.to_owned(),
            html: html.map(str::to_owned),
        }
    }

    fn rendered(all: &[Quoted]) -> Vec<Rendered> {
        render(all, &mut Markup::new(&Pictures::default()))
    }

    #[test]
    fn a_quote_says_who_and_when_and_marks_each_line() {
        let one = rendered(&[quoted("a\r\n\n> b\n", None)]).remove(0);
        assert_eq!(one.text, "On 2026-11-22 08:00 UTC, Ada <b> <ada@example.org> wrote:\n> a\n>\n>> b");
        assert!(one.html.contains("Ada &lt;b&gt; &lt;ada@example.org&gt; wrote:</div>"), "{}", one.html);
        assert!(one.html.contains("<p>a</p>\n<p>&gt; b</p>"), "{}", one.html);
    }

    #[test]
    fn html_of_others_is_made_safe_and_loses_its_pictures() {
        let html = "<b>x</b><img src=\"https://e.example/p.png\"><script>y</script></blockquote></div>";
        let one = rendered(&[quoted("x", Some(html))]).remove(0);
        assert!(one.html.ends_with("\">\n<b>x</b></blockquote>"), "{}", one.html);
        let deep = "<div>".repeat(300);
        assert!(rendered(&[quoted("x", Some(&deep))])[0].html.contains("<p>x</p>"));
    }

    #[test]
    fn limits_hold() {
        let line = "x".repeat(63);
        let most = format!("{line}\n").repeat(QUOTED_BYTES / 64);
        let most = most.trim_end();
        let texts = |all: &[Quoted]| rendered(all).into_iter().map(|one| one.text).collect::<Vec<_>>();
        assert!(!texts(&[quoted(&format!("{most}y"), None)])[0].contains("y\n"));
        assert!(!texts(&[quoted(most, None)])[0].contains(CUT));
        let cut = texts(&[quoted(&format!("{most}zz"), None)]).remove(0);
        assert!(cut.ends_with(&format!("> {line}\n> {CUT}")), "whole lines, and a word that there was more");
        assert_eq!(fitting("äää", 5), "", "no room for the word itself");
        assert_eq!(fitting("ääääää", 11), "ää\n[…]", "behind a whole character");
        assert_eq!(
            texts(&[quoted("1", None), quoted("2", None), quoted("3", None), quoted("4", None)]).len(),
            3
        );
        let all = texts(&[quoted(most, None), quoted("second", None)]);
        assert!(!all[1].contains("second"), "{}", all[1]);
    }
}
