//! What a mail forwards: each message below the lines that mail programs put above it, so that people and
//! programs know it by them.

use crate::header::clean;
use crate::html;
use crate::markup::Markup;
use crate::quotes::{CUT, fitting, minute, named};
use postroom_core::mail::Address;
use postroom_core::outgoing::{FORWARDED_BYTES, FORWARDED_MESSAGES, Forwarded, Rendered};
use postroom_core::text::{SUBJECT_CHARS, many_lines};

/// As Gmail writes it, whatever its user's language: readers of mail look for it.
const MARK: &str = "---------- Forwarded message ---------";
/// So many recipients are named in one line.
const NAMED: usize = 50;

/// The messages that are forwarded, in both forms, within the limits. HTML that does not fit as a whole
/// goes as text, and text is cut behind a line.
pub(crate) fn render(forwarded: &[Forwarded], markup: &mut Markup<'_>) -> Vec<Rendered> {
    let mut left = FORWARDED_BYTES;
    let mut all = Vec::new();
    for message in forwarded.iter().take(FORWARDED_MESSAGES) {
        let (whole, _) = many_lines(&message.text, usize::MAX);
        let text = fitting(whole.trim_end().trim_start_matches('\n'), left);
        left -= text.len();
        // what is left out must be seen to be
        let text = if text.is_empty() && !whole.trim().is_empty() { CUT.to_owned() } else { text };
        let html = message.html.as_deref().and_then(|html| markup.quoted(html));
        let html = html.unwrap_or_else(|| html::paragraphs(&text));
        let lines = lines(message);
        let escaped: Vec<String> = lines.iter().map(|line| html::escaped(line)).collect();
        all.push(Rendered {
            text: format!("{}\n\n{text}", lines.join("\n")),
            html: format!(
                "<div style=\"margin-top: 1em\">{}</div>\n<div style=\"margin-top: 1em\">\n{html}</div>",
                escaped.join("<br>\n")
            ),
        });
    }
    all
}

/// What stands above a forwarded message.
fn lines(message: &Forwarded) -> Vec<String> {
    let list = |addresses: &[Address]| addresses.iter().take(NAMED).map(named).collect::<Vec<_>>().join(", ");
    let fields = [
        ("From", message.from.as_ref().map(named).unwrap_or_default()),
        ("Date", minute(&message.date.to_string())),
        ("Subject", clean(&message.subject, SUBJECT_CHARS)),
        ("To", list(&message.to)),
        ("Cc", list(&message.cc)),
    ];
    let present = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let lines = present.map(|(name, value)| format!("{name}: {value}"));
    std::iter::once(MARK.to_owned()).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pictures;
    use postroom_core::time::Timestamp;

    fn forwarded(text: &str, html: Option<&str>) -> Forwarded {
        let address =
            |name: &str| Address { name: Some(name.to_owned()), email: "ada@example.org".to_owned() };
        Forwarded {
            from: Some(address("Ada\r\nTo: x <b>")),
            date: Timestamp::parse("2026-11-22T08:00:59.5Z").unwrap(),
            subject: "Parcel\nlost".to_owned(),
            to: vec![address("Support")],
            cc: Vec::new(),
            text: text.to_owned(),
            html: html.map(str::to_owned),
        }
    }

    fn rendered(all: &[Forwarded]) -> Vec<Rendered> {
        render(all, &mut Markup::new(&Pictures::default()))
    }

    #[test]
    fn each_stands_below_its_lines() {
        let html = "<b>bold</b><script>x</script><img src=\"https://e.example/p.png\">";
        let all = rendered(&[forwarded("one\ntwo\n", None), forwarded("bold", Some(html))]);
        let above = "---------- Forwarded message ---------\nFrom: Ada To: x <b> <ada@example.org>\n\
                     Date: 2026-11-22 08:00 UTC\nSubject: Parcel lost\nTo: Support <ada@example.org>\n";
        assert_eq!(all[0].text, format!("{above}\none\ntwo"));
        assert!(all[0].html.contains("<p>one<br>\ntwo</p>"), "{}", all[0].html);
        assert!(all[0].html.contains("x &lt;b&gt; &lt;ada@example.org&gt;"), "{}", all[0].html);
        assert!(all[1].html.contains("<b>bold</b>"), "{}", all[1].html);
        assert!(!all[1].html.contains("script") && !all[1].html.contains("e.example"), "{}", all[1].html);
    }

    #[test]
    fn what_is_too_much_is_cut_and_html_goes_as_text() {
        let one = "x\n".repeat(FORWARDED_BYTES / 2);
        let whole = rendered(&[forwarded(&one, None)]);
        assert!(!whole[0].text.contains('[') && whole[0].text.len() >= FORWARDED_BYTES - 1);
        let more = rendered(&[forwarded(&one, None), forwarded("more", None)]);
        assert!(more[1].text.ends_with("\n\n[…]"), "{}", more[1].text);
        let more = rendered(&[forwarded(&format!("{one}y\ny"), None)]);
        assert!(more[0].text.ends_with("[…]"));
        let large = "<p>x</p>".repeat(crate::markup::MARKUP_BYTES / 8 + 1);
        let text = rendered(&[forwarded("as text", Some(&large))]);
        assert!(text[0].html.contains("<p>as text</p>"));
        let many = vec![forwarded("x", None); FORWARDED_MESSAGES + 1];
        assert_eq!(rendered(&many).len(), FORWARDED_MESSAGES);
    }
}
