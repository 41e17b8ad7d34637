//! What automatic answers say: the texts that the program brings along, and which text a mail gets.

use super::{AnswerKind, AnswerText, language};
use crate::id::MailboxId;
use crate::outgoing::Written;
use crate::store::types::Json;
use crate::template::Placeholder;
use crate::time::Timestamp;

/// The languages that the program brings texts along in.
pub const LANGUAGES: [&str; 4] = ["en", "de", "fr", "es"];

/// Languages of a mail that are looked at.
pub const ASKED: usize = 5;

/// Whether a placeholder may stand in such a text. Nothing that a customer wrote may: an answer that says
/// what anybody made it say is a tool to send mail with (Zendesk, October 2025).
pub fn allows(kind: AnswerKind, placeholder: Placeholder) -> bool {
    match placeholder {
        Placeholder::MailboxName | Placeholder::MailboxAddress | Placeholder::ConversationId => true,
        Placeholder::NextOpening => kind == AnswerKind::OutOfHours,
        _ => false,
    }
}

/// Subject and body that the program brings along; `None` in other languages.
fn built_in(kind: AnswerKind, tag: &str) -> Option<(&'static str, &'static str)> {
    use AnswerKind::{Acknowledgement, OutOfHours};
    Some(match (kind, tag) {
        (Acknowledgement, "en") => (
            "We have received your message [#{{conversation.id}}]",
            "Hello,\n\nthank you for your message. It has arrived, and we will answer as soon as we can.\n\n\
             If you want to add something, please answer this mail.\n\n{{mailbox.name}}\n",
        ),
        (Acknowledgement, "de") => (
            "Ihre Nachricht ist eingegangen [#{{conversation.id}}]",
            "Guten Tag,\n\nvielen Dank für Ihre Nachricht. Sie ist eingegangen, und wir antworten so bald wie \
             möglich.\n\nWenn Sie etwas ergänzen möchten, antworten Sie bitte auf diese E-Mail.\n\n\
             {{mailbox.name}}\n",
        ),
        (Acknowledgement, "fr") => (
            "Nous avons bien reçu votre message [#{{conversation.id}}]",
            "Bonjour,\n\nmerci pour votre message. Il nous est bien parvenu, et nous vous répondrons dès que \
             possible.\n\nPour y ajouter quelque chose, répondez simplement à ce courriel.\n\n\
             {{mailbox.name}}\n",
        ),
        (Acknowledgement, "es") => (
            "Hemos recibido su mensaje [#{{conversation.id}}]",
            "Hola:\n\nGracias por su mensaje. Lo hemos recibido y le responderemos lo antes posible.\n\n\
             Si desea añadir algo, responda a este correo.\n\n{{mailbox.name}}\n",
        ),
        (OutOfHours, "en") => (
            "We are away and have received your message [#{{conversation.id}}]",
            "Hello,\n\nthank you for your message. It has arrived, but nobody is here just now. We are back \
             {{next_opening}} and will answer then.\n\n\
             If you want to add something, please answer this mail.\n\n{{mailbox.name}}\n",
        ),
        (OutOfHours, "de") => (
            "Wir sind gerade nicht da; Ihre Nachricht ist eingegangen [#{{conversation.id}}]",
            "Guten Tag,\n\nvielen Dank für Ihre Nachricht. Sie ist eingegangen, doch gerade ist niemand da. \
             Wir sind {{next_opening}} wieder für Sie da und antworten dann.\n\n\
             Wenn Sie etwas ergänzen möchten, antworten Sie bitte auf diese E-Mail.\n\n{{mailbox.name}}\n",
        ),
        (OutOfHours, "fr") => (
            "Nous sommes absents et avons bien reçu votre message [#{{conversation.id}}]",
            "Bonjour,\n\nmerci pour votre message. Il nous est bien parvenu, mais il n'y a personne en ce \
             moment. Nous serons de retour {{next_opening}} et vous répondrons alors.\n\n\
             Pour y ajouter quelque chose, répondez simplement à ce courriel.\n\n{{mailbox.name}}\n",
        ),
        (OutOfHours, "es") => (
            "Estamos ausentes y hemos recibido su mensaje [#{{conversation.id}}]",
            "Hola:\n\nGracias por su mensaje. Lo hemos recibido, pero ahora no hay nadie. Volvemos \
             {{next_opening}} y le responderemos entonces.\n\n\
             Si desea añadir algo, responda a este correo.\n\n{{mailbox.name}}\n",
        ),
        _ => return None,
    })
}

/// The text that the program brings along, as if it were the mailbox's.
pub fn brought(mailbox: MailboxId, kind: AnswerKind, tag: &str) -> Option<AnswerText> {
    let (subject, body) = built_in(kind, tag)?;
    Some(AnswerText {
        mailbox_id: mailbox,
        kind,
        language: tag.to_owned(),
        subject: Some(subject.to_owned()),
        body: Json::new(Written::plain(body)),
        version: 0,
        updated_at: Timestamp(0),
    })
}

/// The subject of a text: its own, or the one that the program brings along.
pub fn subject(text: &AnswerText) -> &str {
    let brought = || {
        let own = built_in(text.kind, language::primary(&text.language));
        own.or_else(|| built_in(text.kind, "en")).map_or("", |(subject, _)| subject)
    };
    text.subject.as_deref().unwrap_or_else(brought)
}

/// The text that a mail gets: in the first of its languages that there is one in, else in the mailbox's
/// own, else in English. Of a language with a region its own text counts, or that of the language alone.
pub fn choose(
    mailbox: MailboxId,
    own: &[AnswerText],
    kind: AnswerKind,
    asked: &[String],
    default: &str,
) -> Option<AnswerText> {
    let asked = asked.iter().take(ASKED).filter_map(|tag| language::canonical(tag));
    asked.chain([default.to_owned(), "en".to_owned()]).find_map(|tag| {
        [tag.as_str(), language::primary(&tag)].into_iter().find_map(|tag| {
            let own = own.iter().find(|text| text.kind == kind && text.language == tag);
            own.cloned().or_else(|| brought(mailbox, kind, tag))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;

    const BOX: MailboxId = MailboxId(1);

    fn own(kind: AnswerKind, language: &str) -> AnswerText {
        let text =
            AnswerText { subject: None, body: Json::new(Written::plain("Own.")), version: 1, ..some(kind) };
        AnswerText { language: language.to_owned(), ..text }
    }

    fn some(kind: AnswerKind) -> AnswerText {
        brought(BOX, kind, "en").unwrap()
    }

    fn chosen(own: &[AnswerText], asked: &[&str], default: &str) -> (String, bool) {
        let asked: Vec<String> = asked.iter().map(|&tag| tag.to_owned()).collect();
        let text = choose(BOX, own, AnswerKind::Acknowledgement, &asked, default).unwrap();
        (text.language, text.version == 0)
    }

    #[test]
    fn what_is_brought_along_is_a_whole_template_in_each_language() {
        for kind in AnswerKind::ALL {
            for tag in LANGUAGES {
                let text = brought(BOX, *kind, tag).unwrap();
                let subject = subject(&text);
                for template in [subject, &text.body.text] {
                    assert_eq!(template::fault(template, |known| allows(*kind, known)), None, "{kind} {tag}");
                }
                assert!(
                    subject.ends_with("[#{{conversation.id}}]")
                        && text.body.text.ends_with("{{mailbox.name}}\n")
                );
                assert_eq!(text.body.text.contains("{{next_opening}}"), *kind == AnswerKind::OutOfHours);
            }
            assert_eq!(brought(BOX, *kind, "nl"), None);
        }
    }

    #[test]
    fn nothing_that_a_customer_wrote_may_stand_in_one() {
        use AnswerKind::{Acknowledgement, OutOfHours};
        for (name, placeholder) in Placeholder::ALL {
            let is_safe = ["mailbox.name", "mailbox.address", "conversation.id"].contains(&name);
            assert_eq!(allows(Acknowledgement, placeholder), is_safe, "{name}");
            assert_eq!(allows(OutOfHours, placeholder), is_safe || name == "next_opening", "{name}");
        }
    }

    #[test]
    fn a_mail_is_answered_in_its_own_language_where_there_is_a_text() {
        let all = [own(AnswerKind::Acknowledgement, "de-AT"), own(AnswerKind::Acknowledgement, "nl")];
        assert_eq!(chosen(&all, &["de-at"], "en"), ("de-AT".into(), false));
        assert_eq!(chosen(&all, &["de-CH"], "en"), ("de".into(), true));
        assert_eq!(chosen(&all, &["nl-BE"], "en"), ("nl".into(), false));
        assert_eq!(chosen(&all, &["ja", "fr"], "de"), ("fr".into(), true));
        assert_eq!(chosen(&all, &["not a tag"], "nl"), ("nl".into(), false));
        assert_eq!(chosen(&all, &[], "ja"), ("en".into(), true));
        let other = [own(AnswerKind::OutOfHours, "en")];
        assert_eq!(chosen(&other, &[], "en"), ("en".into(), true), "the text of another answer");
    }

    #[test]
    fn a_text_without_a_subject_gets_the_one_of_its_language() {
        assert!(subject(&own(AnswerKind::Acknowledgement, "de-AT")).starts_with("Ihre Nachricht"));
        assert!(subject(&own(AnswerKind::OutOfHours, "ja")).starts_with("We are away"));
    }
}
