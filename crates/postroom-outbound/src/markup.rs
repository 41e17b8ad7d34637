//! Text, Markdown and HTML become two things: HTML that is safe, and text that says the same.

use crate::html;
use crate::policy::{Pictures, safe};
use comrak::{Options, markdown_to_html};
use postroom_core::outgoing::{INSIDE, Rendered, TextFormat, Written};
use postroom_core::text::{TEXT_BYTES, many_lines};
use postroom_html::cost::Allowance;

/// How much Markdown and HTML one mail may hold, all its parts together and each as HTML, in bytes.
pub(crate) const MARKUP_BYTES: usize = 256 * 1024;
/// Elements inside one another.
const DEPTH: usize = 256;

/// Renders the texts of one mail.
pub(crate) struct Markup<'p> {
    left: Allowance,
    pictures: &'p Pictures,
}

impl<'p> Markup<'p> {
    pub(crate) fn new(pictures: &'p Pictures) -> Self {
        Self { left: Allowance::new(MARKUP_BYTES), pictures }
    }

    /// Both forms of a text; the fault is a sentence fit for its writer.
    pub(crate) fn render(&mut self, written: &Written) -> Result<Rendered, &'static str> {
        let (typed, _) = many_lines(&written.text, usize::MAX);
        match written.format {
            TextFormat::Text => Ok(Rendered { html: html::paragraphs(&typed), text: typed }),
            TextFormat::Markdown => {
                if typed.len() > MARKUP_BYTES {
                    return Err("Markdown and HTML have at most 262144 bytes");
                }
                let html = markdown_to_html(&typed, &options());
                let Some(filled) = written.filled.as_deref() else {
                    return Ok(Rendered { html: self.made_safe(&html)?, text: typed });
                };
                let html = match &filled.inside {
                    // Before it is made safe, for it may stand where only some of it may.
                    Some(inside) => {
                        let whole = self.made_safe(&html.replace(INSIDE, inside))?;
                        // what a piece with paragraphs of its own leaves of the one it stands in
                        whole.replace("<p></p>", "")
                    }
                    None => self.made_safe(&html)?,
                };
                Ok(Rendered { text: many_lines(&filled.plain, usize::MAX).0, html })
            }
            TextFormat::Html => {
                let html = self.made_safe(&typed)?;
                let text = postroom_html::text::text(&html, TEXT_BYTES);
                Ok(Rendered { text: text.trim_end().to_owned(), html })
            }
        }
    }

    /// HTML of others, made safe, without its pictures; `None` where it is too much.
    pub(crate) fn quoted(&mut self, html: &str) -> Option<String> {
        self.left.bears(html, DEPTH).then(|| lines(&safe(html, None)))
    }

    fn made_safe(&mut self, html: &str) -> Result<String, &'static str> {
        if self.left.bears(html, DEPTH) {
            return Ok(lines(&safe(html, Some(self.pictures))));
        }
        Err(
            "this is more than 262144 bytes of HTML, or its elements are too many or too deep inside one another",
        )
    }
}

/// A character reference can bring a bare CR or a NUL into what was made safe.
fn lines(html: &str) -> String {
    many_lines(html, usize::MAX).0
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.autolink = true;
    // mail is typed as it is to look
    options.render.hardbreaks = true;
    options.render.escape = true;
    options
}

#[cfg(test)]
mod tests;
