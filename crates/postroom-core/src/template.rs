//! The one language of templates: fixed placeholders, `{{customer.name}}`, and nothing else. No expressions, no
//! loops, one pass: what a value holds is never looked at again (RT's and FreeScout's templates ran code).

use crate::outgoing::{Filled, INSIDE, Rendered, TextFormat, Written};
use std::fmt::Write as _;

/// The longest template, in bytes.
pub const TEMPLATE_BYTES: usize = 32 * 1024;

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The agent who writes; the token's name where it is none.
    AgentName,
    /// The signature of that agent's own. It stands in signatures alone.
    AgentSignature,
    /// The mailbox.
    MailboxName,
    /// Its address.
    MailboxAddress,
    /// The conversation's customer; empty where the name is not known.
    CustomerName,
    /// The conversation's number.
    ConversationId,
    /// Its subject.
    ConversationSubject,
    /// The mailbox's logo. It stands in head and foot alone.
    Logo,
    /// When the schedule opens next, in words. It stands in out-of-hours answers alone.
    NextOpening,
}

impl Placeholder {
    /// Every placeholder with its name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("agent.name", Self::AgentName),
        ("agent.signature", Self::AgentSignature),
        ("mailbox.name", Self::MailboxName),
        ("mailbox.address", Self::MailboxAddress),
        ("customer.name", Self::CustomerName),
        ("conversation.id", Self::ConversationId),
        ("conversation.subject", Self::ConversationSubject),
        ("logo", Self::Logo),
        ("next_opening", Self::NextOpening),
    ];

    /// Whether it may stand in every text around a mail.
    pub fn stands_anywhere(self) -> bool {
        !matches!(self, Self::AgentSignature | Self::Logo | Self::NextOpening)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, it)| (known == name).then_some(it))
    }
}

/// A value as it goes into a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filling {
    /// Text that means nothing in any format.
    Text(String),
    /// A piece that is written in the template's own format already.
    Alike(Written),
    /// A piece in both forms that it leaves in.
    Rendered(Rendered),
}

/// A piece of a template.
enum Piece<'t> {
    Literal(&'t str),
    Named(&'t str),
}

/// Cuts a template into pieces: `{{` and the next `}}` hold a name, everything else is itself.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        pieces.push(Piece::Literal(before));
        pieces.push(Piece::Named(name.trim()));
        rest = behind;
    }
    pieces.push(Piece::Literal(rest));
    pieces
}

/// Where a placeholder begins that does not end, counted from 1 in characters.
fn unfinished(template: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(begin) = template[at..].find("{{").map(|begin| at + begin) {
        let Some(end) = template[begin..].find("}}") else {
            return Some(template[..begin].chars().count() + 1);
        };
        at = begin + end + 2;
    }
    None
}

/// What is wrong with a template, in words; `allowed` says which placeholders may stand in it.
pub fn fault(template: &str, allowed: impl Fn(Placeholder) -> bool) -> Option<String> {
    if template.len() > TEMPLATE_BYTES {
        return Some(format!("has at most {TEMPLATE_BYTES} bytes"));
    }
    if let Some(at) = unfinished(template) {
        return Some(format!("the {{{{ at character {at} has no }}}} behind it"));
    }
    let unknown = pieces(template).into_iter().find_map(|piece| match piece {
        Piece::Named(name) if !Placeholder::named(name).is_some_and(&allowed) => Some(name.to_owned()),
        _ => None,
    })?;
    let mut detail = format!("there is no {{{{{}}}}} here; there are", crate::text::one_line(&unknown, 60));
    let known = Placeholder::ALL.into_iter().filter(|(_, placeholder)| allowed(*placeholder));
    for (index, (name, _)) in known.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // writing to a String can't fail
        let _ = write!(detail, "{comma} {{{{{name}}}}}");
    }
    Some(detail)
}

/// A template of one line with its placeholders filled in. One that is not known stays as it is.
pub fn line(template: &str, value: impl Fn(Placeholder) -> Filling) -> String {
    fill(&Written::plain(template), value).text
}

/// A template with its placeholders filled in, each value escaped for the template's format. One that is
/// not known stays as it is.
pub fn fill(template: &Written, value: impl Fn(Placeholder) -> Filling) -> Written {
    let format = template.format;
    let (mut text, mut filled) = (String::with_capacity(template.text.len() + 64), Filled::default());
    for piece in pieces(&template.text) {
        let name = match piece {
            Piece::Literal(literal) => {
                text.push_str(&literal.replace(INSIDE, ""));
                filled.plain.push_str(literal);
                continue;
            }
            Piece::Named(name) => name,
        };
        match Placeholder::named(name).map(&value) {
            Some(Filling::Text(value)) => {
                escape(&mut text, &value, format);
                filled.plain.push_str(&value);
            }
            Some(Filling::Alike(piece)) => {
                text.push_str(&piece.text);
                filled.plain.push_str(piece.plain_form());
            }
            Some(Filling::Rendered(piece)) => {
                match format {
                    TextFormat::Text => text.push_str(&piece.text),
                    TextFormat::Html => text.push_str(&piece.html),
                    TextFormat::Markdown => text.push(INSIDE),
                }
                filled.plain.push_str(&piece.text);
                filled.inside = Some(piece.html);
            }
            None => {
                let literal = format!("{{{{{name}}}}}");
                text.push_str(&literal);
                filled.plain.push_str(&literal);
            }
        }
    }
    let filled = (format == TextFormat::Markdown).then(|| Box::new(filled));
    Written { text, format, filled }
}

/// A text that means nothing in this format.
pub fn escaped(text: &str, format: TextFormat) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(&mut escaped, text, format);
    escaped
}

fn escape(filled: &mut String, text: &str, format: TextFormat) {
    for c in text.chars().filter(|c| *c != INSIDE) {
        match (format, c) {
            (TextFormat::Html, '&') => filled.push_str("&amp;"),
            (TextFormat::Html, '<') => filled.push_str("&lt;"),
            (TextFormat::Html, '>') => filled.push_str("&gt;"),
            (TextFormat::Html, '"') => filled.push_str("&quot;"),
            (TextFormat::Html, '\'') => filled.push_str("&#39;"),
            (TextFormat::Html, '\n') => filled.push_str("<br>\n"),
            // CommonMark section 2.4: any of them may be escaped
            (TextFormat::Markdown, c) if c.is_ascii_punctuation() => filled.extend(['\\', c]),
            (_, c) => filled.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, format: TextFormat, value: &str) -> String {
        fill(&Written::new(template, format), |_| Filling::Text(value.to_owned())).text
    }

    #[test]
    fn placeholders_are_filled_once() {
        assert_eq!(filled("Dear {{customer.name}}, {{ mailbox.name }}", TextFormat::Text, "A"), "Dear A, A");
        let sly = "{{agent.name}}";
        assert_eq!(filled("{{customer.name}}", TextFormat::Text, sly), sly, "a value is not looked at again");
        assert_eq!(filled("{{{{customer.name}}}}", TextFormat::Text, "x"), "{{{{customer.name}}}}");
        assert_eq!(filled("{{ a }} {{", TextFormat::Text, "x"), "{{a}} {{");
    }

    #[test]
    fn values_mean_nothing_in_their_format() {
        let sly = "<b>&\"'\n*x* [a](b)";
        assert_eq!(filled("{{customer.name}}", TextFormat::Text, sly), sly);
        assert_eq!(
            filled("{{customer.name}}", TextFormat::Html, sly),
            "&lt;b&gt;&amp;&quot;&#39;<br>\n*x* [a](b)"
        );
        assert_eq!(
            filled("{{customer.name}}", TextFormat::Markdown, sly),
            "\\<b\\>\\&\\\"\\'\n\\*x\\* \\[a\\]\\(b\\)"
        );
        let markup = fill(&Written::new("{{agent.signature}}", TextFormat::Html), |_| {
            Filling::Alike(Written::new("<b>x</b>", TextFormat::Html))
        });
        assert_eq!(markup.text, "<b>x</b>");
    }

    #[test]
    fn markdown_keeps_its_values_as_text_beside_it() {
        let sly = "A*b_c [x](y)\u{FDD0}";
        let markdown = |template: &str| Written::new(template, TextFormat::Markdown);
        let once = fill(&markdown("**{{customer.name}}**"), |_| Filling::Text(sly.to_owned()));
        assert_eq!(
            (once.text.as_str(), once.plain_form()),
            (r"**A\*b\_c \[x\]\(y\)**", &*format!("**{sly}**"))
        );
        let twice = fill(&markdown("{{agent.signature}}!"), |_| Filling::Alike(once.clone()));
        assert_eq!(twice.plain_form(), format!("**{sly}**!"));
        let piece = Rendered { text: "x <https://y>".to_owned(), html: "<a>x</a>".to_owned() };
        let other = fill(&markdown("{{agent.signature}}!"), |_| Filling::Rendered(piece.clone()));
        assert_eq!((other.text.as_str(), other.plain_form()), ("\u{FDD0}!", "x <https://y>!"));
        assert_eq!(other.filled.and_then(|filled| filled.inside).as_deref(), Some("<a>x</a>"));
    }

    #[test]
    fn what_is_not_known_is_a_fault() {
        let all = |_| true;
        assert_eq!(fault("Hi {{customer.name}} } {", all), None);
        let told = fault("Hé {{customer.name}} {{customer.name}", all);
        assert_eq!(told.as_deref(), Some("the {{ at character 22 has no }} behind it"));
        assert!(fault("{{", all).is_some() && fault("{{agent.name} {{agent.name}}", all).is_some());
        assert!(
            fault("{{customer.password}}", all).is_some_and(|detail| detail.contains("{{customer.name}}"))
        );
        assert!(fault("{{1+1}}", all).is_some() && fault("{{}}", all).is_some());
        let no_signature = |placeholder| placeholder != Placeholder::AgentSignature;
        assert!(fault("{{agent.signature}}", no_signature).is_some());
        assert_eq!(fault(&"x".repeat(TEMPLATE_BYTES), all), None);
        assert!(fault(&"x".repeat(TEMPLATE_BYTES + 1), all).is_some());
    }
}
