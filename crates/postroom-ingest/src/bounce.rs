//! What a report is about: delivery status notifications (RFC 3464) and what looks like one,
//! disposition notifications (RFC 8098), feedback reports (RFC 5965).

use crate::cut::Cut;
use crate::headers::{Headers, unfolded};
use crate::limits::Limits;
use crate::mime::{Node, Tree};
use crate::{fields, files, sns};
use postroom_core::mail::{Class, FailedRecipient};
use postroom_core::text;
use regex::Regex;
use std::sync::LazyLock;

/// Ids kept at most: a report is about one mail, the rest are its other names.
const IDS: usize = 20;
/// Recipients kept at most.
const RECIPIENTS: usize = 100;
/// Characters of a diagnosis (see [`FailedRecipient::diagnostic`]).
const DIAGNOSTIC_CHARS: usize = 1000;
/// Characters of an address.
const EMAIL_CHARS: usize = 254;
/// Bytes of a part that are searched.
const SEARCHED_BYTES: usize = 256 * 1024;

/// What a report says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The mail it is about, by its likeliest id first.
    pub(crate) about_ids: Vec<String>,
    /// Whom a bounce is about.
    pub(crate) failed_recipients: Vec<FailedRecipient>,
}

/// A pattern that is a constant of this file.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled by the tests")
}

/// An id of the shape that postroom gives: its seal is checked by who has the key.
static OWN_ID: LazyLock<Regex> = LazyLock::new(|| {
    let seal = "[0-9a-hjkmnp-tv-z]{16}";
    pattern(&format!(
        r"\b(?:c\.[0-9]{{1,19}}\.[0-9]{{1,19}}\.{seal}|t\.[0-9]{{1,19}})\.{seal}@[A-Za-z0-9.\-]{{1,253}}[A-Za-z0-9]"
    ))
});
/// A Message-ID header in the copy that old servers put into the text.
static COPIED_ID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?im)^[ \t>]*message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\s]{1,500}>)"));
/// An enhanced status code (RFC 3463).
static STATUS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b([245]\.[0-9]{1,3}\.[0-9]{1,3})\b"));
/// What the other server said: a reply code and its text.
static REPLY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b([45][0-9]{2}[ \-][^\r\n]{3,})"));
/// A line that only holds an address, as servers without RFC 3464 name the recipient.
static ALONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^[ \t]*<?([^\s<>:;,()]{1,64}@[^\s<>:;,()]{1,190})>?:?[ \t]*\r?$"));
/// Reads a report. `text` is the mail's whole text.
pub(crate) fn read(class: Class, tree: &Tree<'_>, text: &str, limits: &Limits) -> Report {
    let mut report = Report::default();
    let mut ids = Ids::default();
    let mut envelopes = Vec::new();
    if let Some(notification) = sns::read(clipped(text)) {
        notification.ids.iter().for_each(|id| ids.add(id));
        report.failed_recipients = notification.recipients;
    }
    for node in tree.nodes.iter().filter(|n| !n.is_container) {
        match node.media.kind.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                let status = content(node, limits);
                let groups = groups(status.as_bytes(), limits);
                report.failed_recipients.extend(recipients(&groups));
                // Some servers keep the Message-ID as the name of the envelope.
                envelopes.extend(groups.iter().filter_map(|group| group.text("Original-Envelope-Id")));
            }
            "message/disposition-notification" | "message/feedback-report" => {
                for group in groups(content(node, limits).as_bytes(), limits) {
                    group.all("Original-Message-ID").for_each(|id| ids.add(&unfolded(id)));
                }
            }
            kind if is_copy(kind) => {
                let copy = content(node, limits);
                let (inner, _) = Headers::read(copy.as_bytes(), 0, true, limits);
                for name in ["Message-ID", "X-Microsoft-Original-Message-ID", "Resent-Message-ID"] {
                    inner.all(name).for_each(|id| ids.add(&unfolded(id)));
                }
            }
            _ => {}
        }
    }
    let headers = &tree.top().headers;
    for (name, value) in headers.iter() {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if name.starts_with("x-") && name.ends_with("original-message-id") || name == "original-message-id" {
            ids.add(&unfolded(value));
        }
    }
    for node in
        tree.nodes.iter().filter(|n| !n.is_container && (n.media.is_a("text") || n.media.is_a("message")))
    {
        let content = content(node, limits);
        OWN_ID.find_iter(&content).for_each(|id| ids.add(&format!("<{}>", id.as_str())));
    }
    let searched = clipped(text);
    COPIED_ID.captures_iter(searched).for_each(|found| ids.add(&found[1]));
    for id in &envelopes {
        ids.add(id);
    }
    if ids.found.is_empty() {
        for name in ["In-Reply-To", "References"] {
            headers.all(name).for_each(|id| ids.add(&unfolded(id)));
        }
    }
    report.about_ids = ids.found;
    if class == Class::Bounce && report.failed_recipients.is_empty() {
        report.failed_recipients = guessed(headers, searched);
    }
    report.failed_recipients.truncate(RECIPIENTS);
    report
}

/// The mail itself, or its headers, given back with the report.
fn is_copy(kind: &str) -> bool {
    files::MAIL.contains(&kind)
        || matches!(kind, "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers")
}

/// The decoded start of a part.
fn content(node: &Node<'_>, limits: &Limits) -> String {
    let text = node.text(limits);
    clipped(&text).to_owned()
}

fn clipped(text: &str) -> &str {
    let mut end = text.len().min(SEARCHED_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.head(end)
}

/// Ids with angle brackets, each once.
#[derive(Default)]
struct Ids {
    found: Vec<String>,
}

impl Ids {
    /// Adds every bracketed id of a value, or the value where it has none but an `@`.
    fn add(&mut self, value: &str) {
        let mut rest = value;
        let mut any = false;
        while let Some((_, behind)) = rest.split_once('<') {
            let Some((id, behind)) = behind.split_once('>') else { break };
            self.keep(id);
            any = true;
            rest = behind;
        }
        let bare = value.trim();
        if !any && bare.contains('@') && !bare.contains(char::is_whitespace) {
            self.keep(bare.trim_matches(['<', '>']));
        }
    }

    fn keep(&mut self, id: &str) {
        let id: String = id.split_whitespace().collect();
        let id = format!("<{id}>");
        if id.len() > 2 && self.found.len() < IDS && !self.found.contains(&id) {
            self.found.push(id);
        }
    }
}

/// The groups of fields of a status part, divided by empty lines (RFC 3464 section 2.1).
fn groups<'x>(raw: &'x [u8], limits: &Limits) -> Vec<Headers<'x>> {
    let mut groups = Vec::new();
    let mut at = 0;
    while at < raw.len() && groups.len() <= RECIPIENTS {
        let (group, next) = Headers::read(raw, at, true, limits);
        if !group.is_empty() {
            groups.push(group);
        } else if next == at {
            break;
        }
        at = next.max(at + 1);
    }
    groups
}

/// The recipients of a status part (RFC 3464 section 2.3).
fn recipients(groups: &[Headers<'_>]) -> Vec<FailedRecipient> {
    groups.iter().filter_map(recipient).collect()
}

fn recipient(group: &Headers<'_>) -> Option<FailedRecipient> {
    let typed = |name: &str| group.text(name).map(|value| behind_type(&value)).filter(|v| !v.is_empty());
    let email = |name: &str| typed(name).map(|value| text::one_line(&value, EMAIL_CHARS));
    let original = email("Original-Recipient");
    let last = email("Final-Recipient").or_else(|| original.clone())?;
    let diagnostic = text::one_line(&typed("Diagnostic-Code").unwrap_or_default(), DIAGNOSTIC_CHARS);
    let status = group.text("Status").unwrap_or_default();
    let status = first_status(&status).or_else(|| first_status(&diagnostic)).unwrap_or_default();
    let action = group.text("Action").unwrap_or_default();
    let action = action.split([' ', ';', '(', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    let action = if action.is_empty() { action_of(&status).to_owned() } else { text::one_line(&action, 20) };
    let retry_until = group.first("Will-Retry-Until").and_then(fields::date);
    Some(FailedRecipient {
        original_email: original.filter(|original| !original.eq_ignore_ascii_case(&last)),
        email: last,
        permanent: is_permanent(&action),
        action,
        status,
        diagnostic,
        retry_until,
    })
}

/// RFC 3464 section 2.3.3: `failed` means given up, whatever the status: a server that could not be
/// reached for five days is 4.4.1 to the end.
fn is_permanent(action: &str) -> bool {
    action == "failed"
}

/// `rfc822; ada@x.example` without its type (RFC 3464 section 2.1.2), without brackets.
fn behind_type(value: &str) -> String {
    let bare = value.split_once(';').map_or(value, |(_, bare)| bare);
    bare.trim().trim_start_matches('<').trim_end_matches('>').trim().to_owned()
}

fn first_status(text: &str) -> Option<String> {
    STATUS.captures(text).map(|found| found[1].to_owned())
}

/// What a status code says was done (RFC 3463 section 2).
fn action_of(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "delivered",
        Some(b'4') => "delayed",
        _ => "failed",
    }
}

/// The recipients of a bounce that has no status part, as far as its words tell.
fn guessed(headers: &Headers<'_>, text: &str) -> Vec<FailedRecipient> {
    let said = REPLY.captures(text).map(|found| found[1].to_owned()).unwrap_or_default();
    let diagnostic = text::one_line(&said, DIAGNOSTIC_CHARS);
    let by_code = match diagnostic.as_bytes().first() {
        Some(b'4') => "4.0.0",
        Some(b'5') => "5.0.0",
        _ => "",
    };
    let status =
        first_status(&diagnostic).or_else(|| first_status(text)).unwrap_or_else(|| by_code.to_owned());
    let action = action_of(&status);
    let mut emails: Vec<String> = Vec::new();
    let mut add = |email: &str| {
        let email = email.trim_matches(['<', '>', '.']);
        let is_known = emails.iter().any(|known| known.eq_ignore_ascii_case(email));
        if text::address_fault(email).is_none() && !is_known && emails.len() < RECIPIENTS {
            emails.push(email.to_owned());
        }
    };
    let mut left = RECIPIENTS;
    for value in headers.all("X-Failed-Recipients") {
        fields::addresses(value, SEARCHED_BYTES, &mut left).0.iter().for_each(|a| add(&a.email));
    }
    let own = text.lines().take(60).take_while(|line| !is_header(line)).collect::<Vec<_>>().join("\n");
    ALONE.captures_iter(&own).for_each(|found| add(&found[1]));
    let recipient = |email| FailedRecipient {
        email,
        action: action.to_owned(),
        status: status.clone(),
        diagnostic: diagnostic.clone(),
        permanent: is_permanent(action),
        ..FailedRecipient::default()
    };
    emails.into_iter().map(recipient).collect()
}

/// A line of the copy of the mail that old servers put below their own words.
fn is_header(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let names = ["Return-Path", "Received", "Message-ID", "From", "To", "Subject", "DKIM-Signature"];
    name.len() < line.len() && names.iter().any(|n| name.eq_ignore_ascii_case(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    fn report(class: Class, raw: &str) -> Report {
        let limits = Limits::default();
        let tree = mime::read(raw.as_bytes(), &limits);
        let text =
            tree.nodes.iter().find(|n| n.media.kind == "text/plain").map(|n| n.text(&limits).into_owned());
        read(class, &tree, &text.unwrap_or_default(), &limits)
    }

    fn recipient(email: &str, action: &str, status: &str, diagnostic: &str) -> FailedRecipient {
        FailedRecipient {
            email: email.into(),
            action: action.into(),
            status: status.into(),
            diagnostic: diagnostic.into(),
            permanent: action == "failed",
            ..FailedRecipient::default()
        }
    }

    const OWN: &str = "c.12.345.0123456789abcdef.ghjkmnpqrstvwxyz@shop.example";

    #[test]
    fn a_standard_report_is_read() {
        let raw = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
            --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n\
            Reporting-MTA: dns; mx.example\n\n\
            Final-Recipient: rfc822; <ada@x.example>\nOriginal-Recipient: rfc822;old@x.example\nAction: failed\n\
            Status: 5.1.1 (no user)\nDiagnostic-Code: smtp; 550 5.1.1 No\n such user\n\n\
            Final-Recipient: rfc822; bob@x.example\nAction: Delayed\nStatus: 4.4.1\n\
            Original-Recipient: rfc822;bob@x.example\nWill-Retry-Until: Wed, 7 Jan 2026 10:00:00 +0000\n\
            --b\nContent-Type: message/rfc822\n\nMessage-ID: <orig@shop.example>\nSubject: x\n\nbody\n--b--\n";
        let found = report(Class::Bounce, raw);
        assert_eq!(found.about_ids, ["<orig@shop.example>"]);
        let ada = recipient("ada@x.example", "failed", "5.1.1", "550 5.1.1 No such user");
        let bob = recipient("bob@x.example", "delayed", "4.4.1", "");
        let until = fields::date(b"Wed, 7 Jan 2026 10:00:00 +0000");
        assert_eq!(
            found.failed_recipients,
            [
                FailedRecipient { original_email: Some("old@x.example".into()), ..ada },
                FailedRecipient { retry_until: until, ..bob }
            ]
        );
        assert!(until.is_some());
        let addressed: Vec<&str> = found.failed_recipients.iter().map(FailedRecipient::addressed).collect();
        assert_eq!(addressed, ["old@x.example", "bob@x.example"]);
    }

    #[test]
    fn only_what_was_given_up_is_permanent() {
        for (fields, permanent) in [
            ("Action: failed\nStatus: 5.1.1", true),
            ("Action: failed\nStatus: 4.4.1", true),
            ("Action: FAILED (given up)\nStatus: 4.4.1", true),
            ("Action: delayed\nStatus: 4.4.1", false),
            ("Action: delayed\nStatus: 5.0.0", false),
            ("Action: delivered\nStatus: 2.0.0", false),
            ("Action: relayed\nStatus: 2.0.0", false),
            ("Action: expanded\nStatus: 2.0.0", false),
            ("Status: 5.7.1", true),
            ("Status: 4.2.2", false),
            ("Diagnostic-Code: smtp; 550 5.1.1 no", true),
        ] {
            let raw = format!(
                "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822;a@x.example\n{fields}\n"
            );
            assert_eq!(report(Class::Bounce, &raw).failed_recipients[0].permanent, permanent, "{fields}");
        }
    }

    #[test]
    fn the_name_of_the_envelope_may_be_the_id() {
        let about = |id: &str| {
            let raw = format!(
                "Content-Type: message/delivery-status\n\nOriginal-Envelope-Id: {id}\n\n\
                 Final-Recipient: rfc822;a@x.example\nAction: failed\n"
            );
            report(Class::Bounce, &raw).about_ids
        };
        assert_eq!(about("orig@x.example"), ["<orig@x.example>"]);
        assert_eq!(about("QQ314159"), Vec::<String>::new());
    }

    #[test]
    fn ids_are_found_in_the_order_of_trust() {
        let raw = format!(
            "In-Reply-To: <reply@x>\nX-Original-Message-ID: <header@x>\n\
             Content-Type: multipart/mixed; boundary=b\n\n--b\n\nText about <{OWN}> and c.1.2.x@y\n\
             --b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <copy@x>\n\n--b--\n"
        );
        let own = format!("<{OWN}>");
        assert_eq!(report(Class::Bounce, &raw).about_ids, ["<copy@x>", "<header@x>", &own]);
        assert_eq!(report(Class::Bounce, "In-Reply-To: <reply@x>\n\nNo").about_ids, ["<reply@x>"]);
        let copied = "From: a@b.example\n\n--- Below is a copy.\n\nReceived: x\nMessage-Id:\n <orig@x>\n";
        assert_eq!(report(Class::Bounce, copied).about_ids, ["<orig@x>"]);
        assert_eq!(report(Class::Bounce, "From: a@b.example\n\nNothing").about_ids, Vec::<String>::new());
    }

    #[test]
    fn our_ids_are_found_in_encoded_text() {
        let (start, end) = OWN.split_at(30);
        let raw = format!("Content-Transfer-Encoding: quoted-printable\n\n{start}=\n{end}\n");
        assert_eq!(report(Class::Bounce, &raw).about_ids, [format!("<{OWN}>")]);
    }

    #[test]
    fn old_bounces_are_guessed() {
        let qmail = "From: mailer-daemon@x.example\n\nHi. This is the qmail-send program.\n\n<ada@x.example>:\n\
            10.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown user\nGiving up.\n";
        assert_eq!(
            report(Class::Bounce, qmail).failed_recipients,
            [recipient("ada@x.example", "failed", "5.1.1", "550 5.1.1 unknown user")]
        );
        let exim = "X-Failed-Recipients: ada@x.example, bob@x.example\n\nIt failed:\n\n  ada@x.example\n    421 busy\n";
        assert_eq!(
            report(Class::Bounce, exim).failed_recipients,
            [
                recipient("ada@x.example", "delayed", "4.0.0", "421 busy"),
                recipient("bob@x.example", "delayed", "4.0.0", "421 busy")
            ]
        );
        let json = "Subject: x\n\n{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":\"ada@x.example\",\
            \"status\":\"5.1.1\"}]},\"mail\":{\"commonHeaders\":{\"messageId\":\"<orig@x>\"}}}\n";
        let found = report(Class::Bounce, json);
        assert_eq!(found.failed_recipients, [recipient("ada@x.example", "failed", "5.1.1", "")]);
        assert_eq!(found.about_ids, ["<orig@x>"]);
    }

    #[test]
    fn receipts_and_complaints_name_their_mail() {
        let receipt = "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\
            Content-Type: message/disposition-notification\n\nReporting-UA: x\nOriginal-Message-ID: <orig@x>\n--b--\n";
        assert_eq!(report(Class::Receipt, receipt).about_ids, ["<orig@x>"]);
        let complaint = "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\
            Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n\n--b\n\
            Content-Type: message/rfc822\n\nMessage-ID: <orig@x>\n\nbuy\n--b--\n";
        let found = report(Class::Complaint, complaint);
        assert_eq!((found.about_ids, found.failed_recipients), (vec!["<orig@x>".to_owned()], vec![]));
    }

    #[test]
    fn what_is_missing_is_filled_from_the_rest() {
        let status = "Content-Type: message/delivery-status\n\nOriginal-Recipient: rfc822;ada@x.example\n\
            Diagnostic-Code: smtp; 452 4.2.2 full\n";
        assert_eq!(
            report(Class::Bounce, status).failed_recipients,
            [recipient("ada@x.example", "delayed", "4.2.2", "452 4.2.2 full")]
        );
    }
}
