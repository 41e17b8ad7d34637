//! The whole text of a mail: what was written, and around it head, signature, foot, what is forwarded and quotes.

use crate::compose::unfit;
use crate::forwards;
use crate::html;
use crate::markup::Markup;
use crate::policy::Pictures;
use crate::quotes;
use postroom_core::outgoing::{Logo, Outgoing, Rendered, Written};
use postroom_core::ports::{ComposeError, MailPart};

/// The texts of a mail.
pub(crate) struct Texts {
    /// What the agent wrote.
    pub(crate) written: String,
    /// Everything, as text.
    pub(crate) text: String,
    /// Everything, as an HTML document.
    pub(crate) html: String,
}

/// Puts the texts of a mail together. In this order, which is that of most mail programs: a receiver finds
/// the answer at the top, and what they know already at the end.
pub(crate) fn texts(
    mail: &Outgoing,
    pictures: &Pictures,
    logo: Option<&Logo>,
) -> Result<Texts, ComposeError> {
    let mut markup = Markup::new(pictures);
    let body = render(&mut markup, &mail.body, "text")?;
    let mut around = |written: &Option<Written>, what| {
        let present = written.as_ref().filter(|written| !written.text.trim().is_empty());
        present.map(|written| render(&mut markup, written, what)).transpose()
    };
    let head = around(&mail.layout.head, "head")?;
    let signature = around(&mail.signature, "signature")?;
    let foot = around(&mail.layout.foot, "foot")?;
    let forwards = forwards::render(&mail.forwarded, &mut markup);
    let quotes = quotes::render(&mail.quoted, &mut markup);

    let is_named = |logo: &&Logo| logo.file.content_id.as_deref().is_some_and(|id| pictures.is_named(id));
    let logo = logo.filter(|logo| !is_named(logo)).map(|logo| format!("<p>{}</p>", logo.as_html()));
    let mut text: Vec<String> = Vec::new();
    let mut html: Vec<String> = logo.into_iter().collect();
    let mut add = |rendered: Rendered| {
        if !rendered.text.trim().is_empty() {
            text.push(rendered.text);
        }
        if !rendered.html.trim().is_empty() {
            html.push(rendered.html);
        }
    };
    let written = body.text.clone();
    head.into_iter().for_each(&mut add);
    add(body);
    if let Some(signature) = signature {
        add(Rendered {
            // RFC 3676 section 4.3
            text: format!("-- \n{}", signature.text.strip_prefix("-- \n").unwrap_or(&signature.text)),
            html: format!("<div style=\"margin-top: 1em\">\n{}</div>", signature.html),
        });
    }
    foot.into_iter().for_each(&mut add);
    forwards.into_iter().for_each(&mut add);
    quotes.into_iter().for_each(&mut add);
    let text = match text.as_slice() {
        // a text that stands alone stays as it is
        [] => written.clone(),
        [alone] => alone.clone(),
        several => {
            let trimmed = several.iter().map(|piece| piece.trim_end().trim_start_matches('\n'));
            trimmed.collect::<Vec<_>>().join("\n\n")
        }
    };
    Ok(Texts { written, text, html: html::document(&html.join("\n")) })
}

/// Each may be fit by itself, and all together too much.
fn render(markup: &mut Markup<'_>, written: &Written, what: &str) -> Result<Rendered, ComposeError> {
    let fault = |fault| unfit(MailPart::Text, "invalid_markup", format!("with the mail's {what}: {fault}"));
    markup.render(written).map_err(fault)
}
