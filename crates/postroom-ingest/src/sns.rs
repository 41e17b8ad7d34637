//! Bounces and complaints of Amazon SES that come as JSON by its notification service, which can
//! send mail: no header of such a mail says what it is.

use postroom_core::mail::{Class, FailedRecipient};
use postroom_core::text;
use serde_json::Value;

/// Characters that are kept of an address and of what a server said.
const EMAIL_CHARS: usize = 254;
const DIAGNOSTIC_CHARS: usize = 1000;

/// A notification that is about a mail of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// A bounce or a complaint.
    pub(crate) class: Class,
    /// Message-IDs of the mail, the likeliest first.
    pub(crate) ids: Vec<String>,
    /// Whom a bounce is about.
    pub(crate) recipients: Vec<FailedRecipient>,
}

/// Reads a notification at the beginning of a text; `None` where there is none.
pub(crate) fn read(text: &str) -> Option<Notification> {
    let message = first_value(text)?;
    // Wrapped once more, unless the subscription asks for the raw message.
    let inner = word(&message, "/Message").and_then(first_value);
    let message = inner.unwrap_or(message);
    let kind = word(&message, "/notificationType").or_else(|| word(&message, "/eventType"))?;
    let class = match kind {
        "Bounce" => Class::Bounce,
        "Complaint" => Class::Complaint,
        _ => return None,
    };
    let named =
        |header: &&Value| word(header, "/name").is_some_and(|name| name.eq_ignore_ascii_case("Message-ID"));
    let ids = list(&message, "/mail/headers").filter(named).filter_map(|header| word(header, "/value"));
    let ids = ids.chain(word(&message, "/mail/commonHeaders/messageId"));
    let ids = ids.map(|id| text::one_line(id, DIAGNOSTIC_CHARS)).filter(|id| id.contains('@')).collect();
    let bounced = list(&message, "/bounce/bouncedRecipients");
    let is_lasting = word(&message, "/bounce/bounceType") != Some("Transient");
    Some(Notification {
        class,
        ids,
        recipients: bounced.filter_map(|one| recipient(one, is_lasting)).collect(),
    })
}

/// The text at a JSON pointer.
fn word<'v>(value: &'v Value, at: &str) -> Option<&'v str> {
    value.pointer(at).and_then(Value::as_str)
}

/// The members of the list at a JSON pointer.
fn list<'v>(value: &'v Value, at: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(at).and_then(Value::as_array).into_iter().flatten()
}

/// The first JSON object of a text that begins with one; what stands behind is Amazon's footer.
fn first_value(text: &str) -> Option<Value> {
    let text = text.trim_start();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    text.starts_with('{').then(|| values.next())?.and_then(Result::ok)
}

fn recipient(one: &Value, is_lasting: bool) -> Option<FailedRecipient> {
    let word = |name: &str, max: usize| {
        text::one_line(one.get(name).and_then(Value::as_str).unwrap_or_default(), max)
    };
    let email = word("emailAddress", EMAIL_CHARS);
    let action = match word("action", 20).to_ascii_lowercase() {
        action if !action.is_empty() => action,
        _ if is_lasting => "failed".to_owned(),
        _ => "delayed".to_owned(),
    };
    let diagnostic = word("diagnosticCode", DIAGNOSTIC_CHARS);
    let diagnostic = diagnostic.split_once("; ").map_or(diagnostic.as_str(), |(_, said)| said).to_owned();
    let status = word("status", 20);
    let permanent = action == "failed";
    let fresh = FailedRecipient::default();
    text::address_fault(&email).is_none().then_some(FailedRecipient {
        email,
        action,
        status,
        diagnostic,
        permanent,
        ..fresh
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNCE: &str = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":
        [{"emailAddress":"ada@x.example","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 no"},
         {"emailAddress":"bob@x.example"}]},"mail":{"messageId":"0100-ses","headers":[{"name":"Message-ID","value":"<own@x>"}],
         "commonHeaders":{"messageId":"<ses@x>"}}}"#;

    #[test]
    fn bounces_are_read() {
        let found = read(&format!("\n{BOUNCE}\n\n--\nIf you wish to stop …")).expect("is one");
        assert_eq!(
            (found.class, found.ids.as_slice()),
            (Class::Bounce, &["<own@x>".to_owned(), "<ses@x>".into()][..])
        );
        let told: Vec<_> = found
            .recipients
            .iter()
            .map(|r| (r.email.as_str(), r.status.as_str(), r.diagnostic.as_str(), r.permanent))
            .collect();
        assert_eq!(told, [("ada@x.example", "5.1.1", "550 no", true), ("bob@x.example", "", "", true)]);
        let wrapped = serde_json::json!({"Type": "Notification", "Message": BOUNCE}).to_string();
        assert_eq!(read(&wrapped), Some(found));
        let soft = BOUNCE.replace("Permanent", "Transient");
        let soft = read(&soft).expect("is one").recipients;
        assert_eq!((soft[0].permanent, soft[1].permanent), (true, false));
    }

    #[test]
    fn complaints_are_and_others_are_not() {
        let complaint =
            r#"{"eventType":"Complaint","complaint":{},"mail":{"commonHeaders":{"messageId":"<a@x>"}}}"#;
        assert_eq!(read(complaint).map(|n| (n.class, n.ids)), Some((Class::Complaint, vec!["<a@x>".into()])));
        for text in [
            "",
            "Hello {",
            "{",
            "{}",
            r#"{"notificationType":"Delivery"}"#,
            r#"[{"notificationType":"Bounce"}]"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"{\"a\":".repeat(100_000)), None);
    }
}
