//! Mail of machines and of people, by the shapes of those who send it: its class, whom and what a
//! report is about. Written for this project after public descriptions; none is anybody's mail.

use crate::reader::Reader;
use postroom_core::mail::{CalendarMethod, Class, Mail};
use postroom_core::ports::{ReadContext, ReadMail};

/// An id of the shape that postroom gives.
const OWN: &str = "c.12.345.0123456789abcdef.ghjkmnpqrstvwxyz@shop.example";

fn read(raw: &str) -> Mail {
    Reader::default().read(raw.replace("OWN", OWN).as_bytes(), &ReadContext::default())
}

/// A report of several parts: `headers`, the words, the machine's part, and what it gives back.
fn report(kind: &str, headers: &str, words: &str, part: &str, copy: &str) -> String {
    let part_type = match kind {
        "delivery-status" => "message/delivery-status",
        "disposition-notification" => "message/disposition-notification",
        _ => "message/feedback-report",
    };
    format!(
        "{headers}\nContent-Type: multipart/report; report-type={kind};\n boundary=\"b1\"\nMIME-Version: 1.0\n\n\
         --b1\n\n{words}\n--b1\nContent-Type: {part_type}\n\n{part}\n--b1\n{copy}\n--b1--\n"
    )
}

const COPY: &str = "Content-Type: message/rfc822\n\nFrom: support@shop.example\nTo: ada@x.example\nMessage-ID: <OWN>\nSubject: Your order\n\nHello\n";
const HEADERS_ONLY: &str = "Content-Type: text/rfc822-headers\n\nFrom: support@shop.example\nMessage-ID: <OWN>\nSubject: Your order\n";

/// What a bounce says of its recipients: `address action status`, `!` behind it where it was given up.
fn told(mail: &Mail) -> Vec<String> {
    let one = |r: &postroom_core::mail::FailedRecipient| {
        format!("{} {} {}{}", r.email, r.action, r.status, if r.permanent { "!" } else { "" })
    };
    mail.failed_recipients.iter().map(one).collect()
}

#[test]
fn bounces_of_every_server() {
    let dsn = |headers: &str, words: &str, part: &str, copy: &str| {
        report("delivery-status", headers, words, part, copy)
    };
    let daemon = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied";
    let cases: Vec<(&str, String, &[&str], bool)> = vec![
        ("Postfix", dsn(daemon, "This is the mail system at host mx.example.",
            "Reporting-MTA: dns; mx.example\nX-Postfix-Queue-ID: 4F2\nArrival-Date: Mon,  5 Jan 2026 10:00:00 +0100\n\n\
             Final-Recipient: rfc822; ada@x.example\nOriginal-Recipient: rfc822;ada@x.example\nAction: failed\nStatus: 5.1.1\n\
             Remote-MTA: dns; mx.x.example\nDiagnostic-Code: smtp; 550 5.1.1 <ada@x.example>: User unknown\n", COPY),
            &["ada@x.example failed 5.1.1!"], true),
        ("Postfix, delayed", dsn(&daemon.replace("Undelivered Mail Returned to Sender", "Delayed Mail (still being retried)"), "This is a delay.",
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; ada@x.example\nAction: delayed\nStatus: 4.4.1\n\
             Diagnostic-Code: X-Postfix; connect to mx.x.example[192.0.2.1]:25: Connection timed out\nWill-Retry-Until: Sat, 10 Jan 2026 10:00:00 +0100\n", HEADERS_ONLY),
            &["ada@x.example delayed 4.4.1"], true),
        ("Postfix, two recipients", dsn(daemon, "Two.",
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.2.2\n\n\
             Final-Recipient: rfc822; bob@x.example\nAction: relayed\nStatus: 2.0.0\n", COPY),
            &["ada@x.example failed 5.2.2!", "bob@x.example relayed 2.0.0"], true),
        ("Exchange and Microsoft 365", dsn("Return-Path: <>\nFrom: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@corp.example>\nSubject: Unzustellbar: Ihre Bestellung\nX-MS-Exchange-Message-Is-Ndr:\nAuto-Submitted: auto-replied",
            "Ihre Nachricht konnte nicht zugestellt werden.",
            "Reporting-MTA: dns;DB9PR01.prod.example\nReceived-From-MTA: dns;mail.shop.example\n\nFinal-Recipient: rfc822;ada@x.example\nAction: failed\nStatus: 5.1.10\n\
             Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found\nX-Display-Name: ada\n", COPY),
            &["ada@x.example failed 5.1.10!"], true),
        ("Gmail", dsn("Return-Path: <>\nFrom: Mail Delivery Subsystem <mailer-daemon@googlemail.example>\nSubject: Delivery Status Notification (Failure)\nX-Failed-Recipients: ada@x.example\nAuto-Submitted: auto-replied\nIn-Reply-To: <OWN>\nReferences: <OWN>",
            "** Address not found **",
            "Reporting-MTA: dns; googlemail.example\nReceived-From-MTA: dns; support@shop.example\nX-Original-Message-ID: <OWN>\n\nFinal-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.1.1\n\
             Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist.\n", COPY),
            &["ada@x.example failed 5.1.1!"], true),
        ("SES by mail", dsn("Return-Path: <>\nFrom: MAILER-DAEMON@eu-west-1.amazonses.example\nSubject: Delivery Status Notification (Failure)",
            "An error occurred while trying to deliver the mail.",
            "Reporting-MTA: dns; a1.smtp-out.amazonses.example\n\nAction: failed\nFinal-Recipient: rfc822; ada@x.example\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\nStatus: 5.1.1\n", COPY),
            &["ada@x.example failed 5.1.1!"], true),
        ("SES by SNS", "From: AWS Notifications <no-reply@sns.example>\nSubject: AWS Notification Message\n\n\
            {\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{\"emailAddress\":\"ada@x.example\",\"action\":\"failed\",\"status\":\"5.1.1\",\
            \"diagnosticCode\":\"smtp; 550 5.1.1 no\"}]},\"mail\":{\"headers\":[{\"name\":\"Message-ID\",\"value\":\"<OWN>\"}]}}\n\n--\nIf you wish to stop\n".into(),
            &["ada@x.example failed 5.1.1!"], true),
        ("Exim", "Return-Path: <>\nFrom: Mail Delivery System <Mailer-Daemon@mx.example>\nSubject: Mail delivery failed: returning message to sender\nX-Failed-Recipients: ada@x.example\nAuto-Submitted: auto-replied\n\n\
            This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered:\n\n  ada@x.example\n    host mx.x.example [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<ada@x.example>:\n    550 5.1.1 no such user\n\n\
            ------ This is a copy of the message, including all the headers. ------\n\nReceived: from x\nMessage-ID: <OWN>\nSubject: Your order\n\nHello\n".into(),
            &["ada@x.example failed 5.1.1!"], true),
        ("qmail", "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n\
            Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<ada@x.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 unknown user\nGiving up on 192.0.2.1.\n\n\
            --- Below this line is a copy of the message.\n\nReturn-Path: <support@shop.example>\nMessage-ID: <OWN>\nSubject: Your order\n\nHello\n".into(),
            &["ada@x.example failed 5.1.1!"], true),
        ("Yahoo", "Return-Path: <>\nFrom: MAILER-DAEMON@yahoo.example\nSubject: Failure Notice\n\nSorry, we were unable to deliver your message to the following address.\n\n<ada@x.example>:\n554: delivery error: dd This user doesn't have a yahoo.example account (ada@x.example) [0] - mta1.example\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <OWN>\n\nHello\n".into(),
            &["ada@x.example failed !"], true),
        ("Domino, once Lotus", "From: Postmaster@corp.example\nSubject: DELIVERY FAILURE: User ada (ada@x.example) not listed in Domino Directory\n\n\
            Your message\n\n  Subject: Your order\n\nwas not delivered to:\n\n  ada@x.example\n\nbecause:\n\n  User ada (ada@x.example) not listed in Domino Directory\n\nMessage-ID: <OWN>\n".into(),
            &["ada@x.example failed !"], true),
        ("Domino from anybody", "From: Router <server1@corp.example>\nSubject: Your order\n\nYour message\n\n  Subject: Your order\n\nwas not delivered to:\n\n  ada@x.example\n\nbecause:\n\n  Over quota\n".into(),
            &["ada@x.example failed !"], false),
        ("verizon", "From: post_master@verizon.example\nSubject: Undeliverable Message\n\nError message below:\n\n550 5.1.1 - Unknown user\n\nada@x.example\n\nMessage-ID: <OWN>\n".into(),
            &["ada@x.example failed 5.1.1!"], true),
        ("a daemon that says nothing else", "From: Mail Delivery Subsystem <MAILER-DAEMON>\nSubject: Returned mail: see transcript for details\n\nThe original message was lost.\n".into(), &[], false),
        ("international", "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nNo.\n--b\nContent-Type: message/global-delivery-status\n\n\
            Reporting-MTA: dns; mx.example\n\nFinal-Recipient: utf-8; 用户@例え.example\nAction: failed\nStatus: 5.1.1\n--b\nContent-Type: message/global-headers\n\nMessage-ID: <OWN>\n--b--\n".into(),
            &["用户@例え.example failed 5.1.1!"], true),
        ("encoded", "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nNo.\n--b\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n\
            RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFkYUB4LmV4YW1wbGUKQWN0aW9uOiBmYWlsZWQKU3RhdHVzOiA1LjIuMgo=\n--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <OWN>\n--b--\n".into(),
            &["ada@x.example failed 5.2.2!"], true),
        ("an id in the words alone", "Return-Path: <>\nFrom: postmaster@mx.example\nSubject: Delivery failure\n\nYour mail OWN to\n<ada@x.example>\nwas refused: 552 5.2.2 Mailbox full\n".into(),
            &["ada@x.example failed 5.2.2!"], true),
    ];
    for (name, raw, recipients, has_id) in cases {
        let mail = read(&raw);
        assert_eq!(mail.class, Class::Bounce, "{name}: {:?}", mail.signals);
        assert_eq!(told(&mail), recipients, "{name}");
        let first = mail.about_ids.first().map(String::as_str);
        assert_eq!(first, has_id.then(|| format!("<{OWN}>")).as_deref(), "{name}");
        assert_eq!(mail.reply_text, None, "{name}");
    }
}

#[test]
fn receipts_and_complaints() {
    let complaint = "Feedback-Type: abuse\nUser-Agent: Yahoo!-Mail-Feedback/2.0\nVersion: 0.1\nOriginal-Mail-From: <support@shop.example>\n";
    let receipt = "Reporting-UA: mail.x.example; Thunderbird\nFinal-Recipient: rfc822;ada@x.example\nOriginal-Message-ID: <OWN>\nDisposition: manual-action/MDN-sent-manually; displayed\n";
    let cases = [
        ("ARF", Class::Complaint, report("feedback-report", "From: fbl@provider.example\nSubject: abuse", "This is a report.", complaint, COPY)),
        ("ARF, headers alone", Class::Complaint, report("feedback-report", "From: fbl@provider.example", "x", complaint, HEADERS_ONLY)),
        ("SES by SNS", Class::Complaint, "From: no-reply@sns.example\n\n{\"notificationType\":\"Complaint\",\"mail\":{\"commonHeaders\":{\"messageId\":\"<OWN>\"}}}\n".into()),
        ("MDN, Thunderbird", Class::Receipt, report("disposition-notification", "From: ada@x.example\nSubject: Return Receipt (displayed) - Your order", "It was displayed.", receipt, HEADERS_ONLY)),
        ("MDN, Outlook", Class::Receipt, report("disposition-notification", "From: ada@x.example\nSubject: Gelesen: Ihre Bestellung\nIn-Reply-To: <OWN>", "Gelesen.", receipt, HEADERS_ONLY)),
    ];
    for (name, class, raw) in cases {
        let mail = read(&raw);
        assert_eq!(
            (mail.class, mail.about_ids.as_slice()),
            (class, &[format!("<{OWN}>")][..]),
            "{name}: {:?}",
            mail.signals
        );
        assert!(mail.failed_recipients.is_empty(), "{name}");
    }
}

#[test]
fn everybody_else() {
    let cases = [
        (
            Class::AutoReply,
            "Exchange",
            "From: ada@x.example\nSubject: Automatic reply: Order\nX-Auto-Response-Suppress: All\nAuto-Submitted: auto-generated\nIn-Reply-To: <a@b>",
        ),
        (
            Class::AutoReply,
            "Outlook rules",
            "From: ada@x.example\nX-MS-Exchange-Inbox-Rules-Loop: ada@x.example",
        ),
        (
            Class::AutoReply,
            "Gmail's vacation",
            "From: ada@x.example\nSubject: Away Re: Order\nPrecedence: bulk\nX-Autoreply: yes\nAuto-Submitted: auto-replied",
        ),
        (
            Class::AutoReply,
            "Sieve vacation",
            "From: ada@x.example\nSubject: Auto: Order\nAuto-Submitted: auto-replied (vacation)",
        ),
        (
            Class::AutoReply,
            "vacation(1)",
            "From: ada@x.example\nSubject: away from my mail\nAuto-Submitted: auto-replied\nPrecedence: bulk",
        ),
        (Class::AutoReply, "cPanel", "From: ada@x.example\nX-Autorespond: Order\nX-Loop: ada@x.example"),
        (Class::AutoReply, "Freshdesk and others", "From: help@x.example\nX-FC-MachineGenerated: true"),
        (
            Class::AutoReply,
            "in French",
            "From: ada@x.example\nSubject: =?utf-8?q?R=C3=A9ponse_automatique_=3A_Commande?=\nX-Auto-Response-Suppress: All",
        ),
        (
            Class::AutoReply,
            "a desk's receipt",
            "From: help@x.example\nSubject: Re: Order [#12]\nAuto-Submitted: auto-generated\nPrecedence: auto_reply",
        ),
        (
            Class::List,
            "Mailman",
            "From: dev@x.example\nList-Id: <users.lists.example>\nPrecedence: list\nList-Unsubscribe: <mailto:leave@lists.example>",
        ),
        (
            Class::List,
            "Google Groups",
            "From: 'Ada' via Team <team@groups.example>\nMailing-list: list team@groups.example\nList-ID: <team.groups.example>\nPrecedence: list",
        ),
        (
            Class::List,
            "a newsletter",
            "From: news@x.example\nTo: us@shop.example\nDelivered-To: us@shop.example\nList-Unsubscribe: <https://x.example/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click",
        ),
        (Class::List, "a campaign", "From: news@x.example\nFeedback-ID: 1:2:3:campaign"),
        (
            Class::Notification,
            "a code host",
            "From: Ada <notifications@code.example>\nX-Auto-Response-Suppress: All",
        ),
        (Class::Notification, "a shop", "From: no-reply@shop2.example\nSubject: Your order has shipped"),
        (
            Class::Notification,
            "cron",
            "From: root@host.example\nAuto-Submitted: auto-generated\nSubject: Cron <root@host> backup",
        ),
        (Class::Human, "Auto-Submitted: no", "From: ada@x.example\nAuto-Submitted: no"),
        (
            Class::Human,
            "an answer through Exchange",
            "From: ada@x.example\nX-Auto-Response-Suppress: DR, OOF, AutoReply\nIn-Reply-To: <a@b>\nSubject: Re: Order",
        ),
        (
            Class::Human,
            "a subject that only sounds so",
            "From: ada@x.example\nReturn-Path: <ada@x.example>\nSubject: Undeliverable: where is my parcel?",
        ),
        (
            Class::Human,
            "a postmaster who writes",
            "From: postmaster@x.example\nReturn-Path: <postmaster@x.example>\nSubject: Your spam",
        ),
        (
            Class::Human,
            "an answer by a provider",
            "From: ada@x.example\nIn-Reply-To: <a@b>\nFeedback-ID: a:b:c",
        ),
        (Class::Human, "somebody called Noreen", "From: noreen@x.example"),
    ];
    for (class, name, headers) in cases {
        let mail = read(&format!("{headers}\n\nHello there.\n"));
        assert_eq!(mail.class, class, "{name}: {:?}", mail.signals);
        assert_eq!(mail.signals.is_empty(), class == Class::Human && !headers.contains("Suppress"), "{name}");
    }
    let talk = read("From: ada@x.example\n\nYour message was not delivered to: me, because: you forgot.\n");
    assert_eq!(talk.class, Class::Human, "{:?}", talk.signals);
}

#[test]
fn calendars() {
    let calendar = |method: &str| {
        format!(
            "From: Cal <cal@x.example>\nSubject: Review\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nPlease come.\n\
             --b\nContent-Type: text/calendar; charset=utf-8; method={method}\n\nBEGIN:VCALENDAR\nMETHOD:{method}\nEND:VCALENDAR\n--b--\n"
        )
    };
    for (method, expected) in [
        ("REQUEST", CalendarMethod::Request),
        ("CANCEL", CalendarMethod::Cancel),
        ("REPLY", CalendarMethod::Reply),
        ("PUBLISH", CalendarMethod::Publish),
        ("COUNTER", CalendarMethod::Counter),
    ] {
        let mail = read(&calendar(method));
        assert_eq!(
            (mail.class, mail.calendar_method),
            (Class::Calendar, Some(expected)),
            "{:?}",
            mail.signals
        );
        assert_eq!(mail.signals, [format!("calendar:{expected}")]);
    }
    let file = read(
        "From: a@x.example\nContent-Type: text/calendar; name=all.ics\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n",
    );
    assert_eq!((file.class, file.calendar_method), (Class::Human, None));
}
