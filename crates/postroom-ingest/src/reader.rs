//! The reader of mail: what the core asks for through [`ReadMail`], held within limits and
//! without a way to fail.

use crate::headers::Headers;
use crate::html_cost::Allowance;
use crate::limits::Limits;
use crate::{body, html, html_links, mime, parse};
use postroom_core::mail::Mail;
use postroom_core::ports::{ReadContext, ReadMail, SafeHtml, ShowHtml};
use postroom_core::text::{TEXT_BYTES, many_lines};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Reads raw mail within [`Limits`].
#[derive(Debug, Clone, Default)]
pub struct Reader {
    limits: Limits,
}

impl Reader {
    /// A reader with limits of one's own.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// All HTML of a mail made safe, plain parts between it included.
    fn safe_html(&self, raw: &[u8], how: &ShowHtml) -> SafeHtml {
        let how = Arc::new(how.clone());
        let raw = parse::normalised(raw);
        let tree = mime::read(&raw, &self.limits);
        let roles = body::roles(&tree, &self.limits);
        let mut safe = SafeHtml::default();
        let mut left = Allowance::new(self.limits.html_bytes);
        let mut looked = 0;
        for node in roles.html.iter().filter_map(|index| tree.nodes.get(*index)) {
            // Like the text, which says so itself (`is_shortened` of the mail) where it is not all.
            if safe.html.len() > TEXT_BYTES || looked >= self.limits.text_bytes {
                safe.is_shortened = true;
                break;
            }
            let decoded = node.text(&self.limits);
            let sanitised = (node.media.kind == "text/html")
                .then(|| html::sanitised(&decoded, &how, &self.limits, &mut left))
                .flatten();
            let shown = match sanitised {
                Some((shown, dropped)) => {
                    safe.remote_images += dropped.count;
                    safe.remote_urls.extend(dropped.urls);
                    shown
                }
                // Plain text, or HTML that nobody can afford to show.
                None => html::from_text(&many_lines(&body::plain(node, &decoded, TEXT_BYTES), TEXT_BYTES).0),
            };
            if !safe.html.is_empty() && !shown.is_empty() {
                safe.html.push_str("<hr>\n");
            }
            safe.html.push_str(&shown);
            looked += decoded.len();
        }
        safe.remote_urls.truncate(html::URLS);
        safe.misleading_links = html_links::misleading(&safe.html);
        safe
    }
}

/// Runs `read`; `None` where it panicked. The parsers below are other people's, and one mail must
/// not take the next ones with it.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// What to say of a mail that panicked, with what its headers give.
fn unreadable(raw: &[u8], limits: &Limits) -> Mail {
    const PROBLEM: &str = "the reader stumbled over it; the raw mail is kept";
    let headers_alone = || {
        let raw = parse::normalised(raw);
        let (headers, _) = Headers::read(&raw, 0, true, limits);
        parse::envelope(&headers, limits, &mut Vec::new())
    };
    let mut mail = guarded(headers_alone).unwrap_or_else(|| Mail::unreadable(PROBLEM));
    mail.problem = Some(PROBLEM.to_owned());
    mail
}

impl ReadMail for Reader {
    fn read(&self, raw: &[u8], context: &ReadContext) -> Mail {
        guarded(|| parse::mail(&parse::normalised(raw), context, &self.limits))
            .unwrap_or_else(|| unreadable(raw, &self.limits))
    }

    fn html(&self, raw: &[u8], how: &ShowHtml) -> SafeHtml {
        guarded(|| self.safe_html(raw, how)).unwrap_or_default()
    }

    fn text_as_html(&self, text: &str) -> SafeHtml {
        let html = html::from_text(text);
        SafeHtml { misleading_links: html_links::misleading(&html), html, ..SafeHtml::default() }
    }

    fn part(&self, raw: &[u8], part: i32) -> Option<Vec<u8>> {
        guarded(|| {
            let raw = parse::normalised(raw);
            let tree = mime::read(&raw, &self.limits);
            let node = tree.nodes.get(usize::try_from(part).ok()?)?;
            let mut bytes = Vec::new();
            node.stream(&mut |piece| bytes.extend_from_slice(piece));
            (!node.is_container).then_some(bytes)
        })
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_headers() {
        assert_eq!(guarded(|| 1), Some(1));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let stumbled: Option<()> = guarded(|| panic!("on purpose"));
        std::panic::set_hook(hook);
        assert_eq!(stumbled, None);
        let mail = unreadable(b"From: a@x.example\nSubject: x\nMessage-ID: <i@x>\n\nb", &Limits::default());
        assert_eq!((mail.subject.as_str(), mail.message_id.len(), mail.from.len()), ("x", 1, 1));
        assert!(mail.problem.is_some() && mail.text.is_empty());
    }

    #[test]
    fn parts_are_found_again() {
        let reader = Reader::default();
        let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
            Content-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n";
        let mail = reader.read(raw, &ReadContext::default());
        assert_eq!(mail.parts.len(), 1);
        assert_eq!(reader.part(raw, mail.parts[0].part).as_deref(), Some(&b"ABC"[..]));
        assert_eq!(mail.parts[0].size, 3);
        for none in [-1, 0, 3, i32::MAX] {
            assert_eq!(reader.part(raw, none), None);
        }
    }

    #[test]
    fn html_of_all_kinds_is_shown() {
        let reader = Reader::default();
        let show = |raw: &str| reader.html(raw.as_bytes(), &ShowHtml::default()).html;
        assert_eq!(show("A: b\n\na <b> & c\n\nd\n"), "<p>a &lt;b&gt; &amp; c</p>\n<p>d</p>\n");
        assert_eq!(show("Content-Type: text/html\n\n<p onclick=x>a"), "<p>a</p>");
        let mixed = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nplain\n--b\nContent-Type: text/html\n\n<i>x\n--b--\n";
        assert_eq!(show(mixed), "<p>plain</p>\n<hr>\n<i>x</i>");
        assert_eq!(show(""), "");
    }

    #[test]
    fn html_over_the_limits_is_shown_as_text() {
        let reader = Reader::default();
        let deep = format!("Content-Type: text/html\n\n{}a &lt;b&gt;", "<div>".repeat(20_000));
        assert_eq!(reader.html(deep.as_bytes(), &ShowHtml::default()).html, "<p>a &lt;b&gt;</p>\n");
        let limits = Limits { html_bytes: 12, ..Limits::default() };
        let reader = Reader::new(limits);
        assert_eq!(
            reader.html(b"Content-Type: text/html\n\n<p><b>a</b> b", &ShowHtml::default()).html,
            "<p>a b</p>\n"
        );
        assert_eq!(
            reader.html(b"Content-Type: text/html\n\n<p><b>a</b> ", &ShowHtml::default()).html,
            "<p><b>a</b> </p>"
        );
    }
    #[test]
    fn all_html_of_a_mail_has_one_allowance() {
        let show = |parts: &[&str]| {
            let parts = parts.iter().map(|html| format!("--b\nContent-Type: text/html\n\n{html}\n"));
            let parts = parts.collect::<Vec<_>>().concat();
            let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n");
            Reader::new(Limits { html_bytes: 24, ..Limits::default() })
                .html(raw.as_bytes(), &ShowHtml::default())
                .html
        };
        assert_eq!(show(&["<p><b>a</b>", "<p><i>b</i> "]), "<p><b>a</b></p><hr>\n<p><i>b</i> </p>");
        assert_eq!(show(&["<p><b>a</b> ", "<p><i>b</i> "]), "<p><b>a</b> </p><hr>\n<p><i>b</i> </p>");
        // One byte more than the allowance: the part that goes beyond it is text.
        assert_eq!(show(&["<p><b>a</b> ", "<p><i>b</i>  "]), "<p><b>a</b> </p><hr>\n<p>b</p>\n");
    }

    #[test]
    fn parts_are_looked_at_until_there_were_enough_bytes() {
        let shown = |first: &str| {
            let parts = [first, "b"].map(|html| format!("--b\nContent-Type: text/html\n\n{html}\n")).concat();
            let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n");
            let reader = Reader::new(Limits { text_bytes: 9, ..Limits::default() });
            let mail = reader.read(raw.as_bytes(), &ReadContext::default());
            let safe = reader.html(raw.as_bytes(), &ShowHtml::default());
            let shortened = (mail.is_shortened, safe.is_shortened);
            (mail.text.trim().to_owned(), shortened, safe.html.contains('b'))
        };
        assert_eq!(shown("<i></i>a"), ("a\n\nb".to_owned(), (false, false), true), "8 bytes of 9");
        assert_eq!(shown("<i></i> a"), ("a".to_owned(), (true, true), false), "9 of 9");
    }
}
