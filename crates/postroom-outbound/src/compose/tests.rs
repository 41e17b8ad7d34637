//! What is composed is read back by another's parser and compared with what was meant.

use super::*;
use crate::parts::{content_type, is_seven_bit};
use mail_parser::{MessageParser, MimeHeaders};
use postroom_core::outgoing::{Layout, Logo, OutgoingFile, Quoted, TextFormat};
use postroom_core::text::{file_name, many_lines};
use proptest::prelude::*;

fn address(name: Option<&str>, email: &str) -> Address {
    Address { name: name.map(str::to_owned), email: email.to_owned() }
}

fn outgoing() -> Outgoing {
    Outgoing::plain(
        address(Some("Desk"), "desk@example.org"),
        vec![address(Some("Ada"), "Ada@example.net")],
        "Re: Your order",
        "Hello\n\nyours",
        "<c.1.2.0123456789abcdef.0123456789abcdef@example.org>",
        Timestamp::parse("2026-11-22T08:00:01.999Z").unwrap(),
        "1.0123456789abcdef",
    )
}

fn compose(mail: &Outgoing) -> String {
    let raw = Composer.compose(mail).unwrap().raw;
    assert_lines(&raw);
    String::from_utf8(raw).unwrap()
}

/// CRLF only, nothing longer than RFC 5322 section 2.1.1 allows.
fn assert_lines(raw: &[u8]) {
    assert!(raw.ends_with(b"\r\n"));
    let text = String::from_utf8_lossy(raw);
    for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        assert!(line.len() <= 998, "{line:?}");
    }
}

/// Field names of the header block, in order.
fn field_names(raw: &str) -> Vec<&str> {
    let (block, _) = raw.split_once("\r\n\r\n").unwrap();
    let fields = block.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    fields.map(|line| line.split_once(':').unwrap().0).collect()
}

fn field<'a>(raw: &'a str, name: &str) -> &'a str {
    let start = raw.find(&format!("\r\n{name}:")).unwrap() + name.len() + 3;
    let mut end = start + raw[start..].find("\r\n").unwrap();
    while raw[end + 2..].starts_with(' ') {
        end += 2 + raw[end + 2..].find("\r\n").unwrap();
    }
    raw[start..end].trim_start()
}

fn emails(field: Option<&mail_parser::Address<'_>>) -> Vec<(Option<String>, String)> {
    let entries = field.into_iter().flat_map(|list| list.iter());
    entries
        .map(|entry| (entry.name().map(str::to_owned), entry.address().unwrap_or_default().to_owned()))
        .collect()
}

#[test]
fn exactly_the_intended_headers_stand_there() {
    let mut mail = outgoing();
    mail.cc = vec![address(None, "bob@example.com")];
    mail.bcc = vec![address(Some("Hidden"), "hidden@example.com")];
    mail.in_reply_to = Some("<a@b>".to_owned());
    mail.references = vec!["<t.1@b>".to_owned(), "<a@b>".to_owned()];
    let raw = compose(&mail);
    assert_eq!(
        field_names(&raw),
        [
            "Date",
            "From",
            "To",
            "Cc",
            "Subject",
            "Message-ID",
            "In-Reply-To",
            "References",
            "X-Postroom-Instance",
            "MIME-Version",
            "Content-Type"
        ]
    );
    assert!(raw.starts_with("Date: Sun, 22 Nov 2026 08:00:01 +0000\r\n"));
    assert_eq!(field(&raw, "From"), "\"Desk\" <desk@example.org>");
    assert_eq!(field(&raw, "Cc"), "bob@example.com");
    assert_eq!(field(&raw, "Message-ID"), mail.message_id);
    assert_eq!(field(&raw, "In-Reply-To"), "<a@b>");
    assert_eq!(field(&raw, "References"), "<t.1@b> <a@b>");
    assert_eq!(field(&raw, "X-Postroom-Instance"), "1.0123456789abcdef");
    assert!(!raw.to_lowercase().contains("hidden"));
}

#[test]
fn references_fold_and_unfold() {
    let mut mail = outgoing();
    mail.references = (0..14).map(|n| format!("<c.{n}.{}@example.org>", "x".repeat(60))).collect();
    mail.references.insert(3, "<white space@example.org>".to_owned());
    let raw = compose(&mail);
    let parsed = MessageParser::default().parse(&raw).unwrap();
    let read = parsed.references().as_text_list().unwrap();
    mail.references.remove(3);
    assert_eq!(read, mail.references.iter().map(|id| id.trim_matches(['<', '>'])).collect::<Vec<_>>());
    assert!(field(&raw, "References").lines().all(|line| line.len() <= 90));
}

#[test]
fn the_envelope_names_everybody_once() {
    let mut mail = outgoing();
    mail.cc = vec![address(None, "ada@EXAMPLE.net"), address(None, "bob@bücher.example")];
    mail.bcc = vec![address(None, "bob@xn--bcher-kva.example"), address(None, "eve@example.com")];
    let composed = Composer.compose(&mail).unwrap();
    assert_eq!(composed.envelope_from, "desk@example.org");
    assert_eq!(composed.envelope_to, ["Ada@example.net", "bob@xn--bcher-kva.example", "eve@example.com"]);
}

#[test]
fn none_and_too_many_recipients_are_refused() {
    let mut mail = outgoing();
    mail.to.clear();
    assert!(Composer.compose(&mail).unwrap_err().to_string().contains("nobody"));
    mail.bcc = (0..50).map(|n| address(None, &format!("a{n}@example.org"))).collect();
    assert!(!field_names(&compose(&mail)).contains(&"To"));
    mail.cc = vec![address(None, "one-more@example.org")];
    assert!(Composer.compose(&mail).unwrap_err().to_string().contains("51 recipients"));
}

#[test]
fn unusual_addresses_can_be_answered() {
    for (email, written) in [
        ("a..b@docomo.ne.jp", "a..b@docomo.ne.jp"),
        (".a@b.example", ".a@b.example"),
        ("\"a b\"@x.example", "\"a b\"@x.example"),
        ("\"a@b,<c>\"@x.example", "\"a@b,<c>\"@x.example"),
        ("ädä@bücher.example", "ädä@xn--bcher-kva.example"),
    ] {
        let mut mail = outgoing();
        mail.to = vec![address(None, email)];
        let composed = Composer.compose(&mail).unwrap();
        assert_eq!(composed.envelope_to, [written]);
        assert_eq!(field(&String::from_utf8(composed.raw).unwrap(), "To"), format!("<{written}>"));
    }
    let mut mail = outgoing();
    mail.to = vec![address(None, "a@b.example>\r\nBcc: x")];
    assert!(Composer.compose(&mail).is_err());
}

#[test]
fn what_can_not_stand_in_a_header_is_refused() {
    for change in [
        |mail: &mut Outgoing| mail.message_id = "<a@b>\r\nBcc: x".to_owned(),
        |mail: &mut Outgoing| mail.instance_mark = "1\r\nBcc: x".to_owned(),
        |mail: &mut Outgoing| mail.date = Timestamp(-1),
    ] {
        let mut mail = outgoing();
        change(&mut mail);
        assert!(Composer.compose(&mail).is_err());
    }
    let mut mail = outgoing();
    mail.in_reply_to = Some("<a@b>\r\nBcc: x".to_owned());
    assert!(!field_names(&compose(&mail)).contains(&"In-Reply-To"));
}

fn file(filename: &str, content_type: &str, content: &[u8]) -> OutgoingFile {
    OutgoingFile {
        filename: filename.to_owned(),
        content_type: content_type.to_owned(),
        content: content.to_vec(),
        content_id: None,
    }
}

#[test]
fn files_arrive_as_they_were() {
    let every_byte: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let long_name = format!("{}.txt", "long ".repeat(30).trim_end());
    let names = ["a.bin", "Rechnung \"März\".pdf", "請求書.pdf", &long_name, "../..\r\n/x\0y.txt"];
    let mut mail = outgoing();
    mail.files = names.map(|name| file(name, "application/pdf", &every_byte)).to_vec();
    let raw = compose(&mail);
    assert!(field(&raw, "Content-Type").starts_with("multipart/mixed;"));
    let parsed = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(parsed.attachment_count(), names.len());
    for (part, name) in parsed.attachments().zip(names) {
        assert_eq!(part.contents(), every_byte);
        assert_eq!(part.attachment_name(), Some(file_name(name).as_str()));
    }
}

#[test]
fn only_named_types_that_can_travel_are_named() {
    let bytes = b"bytes";
    for (given, written) in [
        ("image/PNG", Some("image/png")),
        ("application/vnd.oasis.opendocument.text", Some("application/vnd.oasis.opendocument.text")),
        ("text/plain; charset=x", None),
        ("text/plain\r\nBcc: x", None),
        ("multipart/mixed", None),
        ("message/external-body", None),
        ("png", None),
        ("", None),
    ] {
        assert_eq!(content_type(given, bytes).as_deref(), written, "{given}");
    }
}

#[test]
fn a_mail_is_attached_as_mail_only_where_it_can_travel_unencoded() {
    let good = b"Subject: inner\r\n\r\n.\r\nHello\r\n";
    for (content, travels) in [
        (&good[..], true),
        (b"Subject: a\n\nb\n", false),
        (b"Subject: a\r\n\r\nb\rc\r\n", false),
        (b"Subject: \xC3\xA4\r\n\r\nb\r\n", false),
        (b"Subject: a\r\n\r\n\0\r\n", false),
        (b"", false),
        (format!("Subject: {}\r\n\r\n", "x".repeat(998)).as_bytes(), false),
    ] {
        assert_eq!(is_seven_bit(content), travels, "{:?}", String::from_utf8_lossy(content));
        let mut mail = outgoing();
        mail.files = vec![file("m.eml", "message/rfc822", content)];
        let raw = compose(&mail);
        assert_eq!(raw.contains("Content-Type: message/rfc822\r\n"), travels);
        assert_eq!(raw.contains("Content-Type: application/octet-stream\r\n"), !travels);
        let parsed = MessageParser::default().parse(&raw).unwrap();
        let part = parsed.attachments().next().unwrap();
        let read = part.message().map_or(part.contents(), |inner| inner.raw_message());
        if travels {
            assert!(raw.contains(&format!("\r\n\r\n{}\r\n--", String::from_utf8_lossy(content))));
        } else {
            assert_eq!(read, content);
        }
    }
}

#[test]
fn a_megabyte_of_line_ends_is_no_trouble() {
    let mut mail = outgoing();
    mail.body.text = "\n".repeat(1024 * 1024);
    assert!(compose(&mail).len() > 2 * 1024 * 1024);
}

/// Texts as an enemy would choose them, line ends and header syntax above all.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => any::<char>().prop_map(|c| c.to_string()),
        1 => "[ -~]{0,90}",
        2 => proptest::sample::select(vec![
            "\r\n", "\r", "\n", "\0", "\r\n.\r\n", "\r\nBcc: evil@example.com", "\n\n", " ", "  ", "\t",
            "=?utf-8?q?x=0D=0ABcc:_y?=", "=?", "?=", "=", "=20", "\"", "\\", "<", ">", ",", ";", ":", "@", "--",
            "\u{202E}", "\u{200B}", "\u{61C}", "\u{85}", "\u{2028}", "\u{1F}", "\u{7F}", "é", "😀", "From ", ".",
            "https://example.org/?a=1&b=2", "<script>", "&amp;",
        ]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_person_types_becomes_a_header(
        subject in nasty(), name in nasty(), own_name in nasty(), text in nasty(), filename in nasty(),
        kind in nasty(), reference in nasty(), id in nasty(), index in nasty(),
    ) {
        let mut mail = outgoing();
        mail.from.name = Some(own_name.clone());
        mail.to = vec![address(Some(&name), "ada@example.net"), address(Some(&name), "bob@example.net")];
        mail.subject.clone_from(&subject);
        mail.body.text.clone_from(&text);
        mail.references = vec![reference.clone(), format!("<{reference}>"), "<a@b>".to_owned()];
        mail.files = vec![OutgoingFile { content_id: Some(id), ..file(&filename, &kind, text.as_bytes()) }];
        mail.reply_to = Some(address(Some(&own_name), "desk+c.1@example.org"));
        mail.thread_index = Some(index);
        let raw = Composer.compose(&mail).unwrap().raw;
        assert_lines(&raw);
        prop_assert!(raw.is_ascii());
        let raw = String::from_utf8(raw).unwrap();
        prop_assert_eq!(field_names(&raw), [
            "Date", "From", "Reply-To", "To", "Subject", "Message-ID", "References", "X-Postroom-Instance",
            "MIME-Version", "Content-Type"
        ]);

        let parsed = MessageParser::default().parse(&raw).unwrap();
        let meant = |text: &str, max| Some(crate::header::clean(text, max)).filter(|clean| !clean.is_empty());
        prop_assert_eq!(parsed.subject().unwrap_or_default(), meant(&subject, 512).unwrap_or_default());
        prop_assert_eq!(emails(parsed.from()), [(meant(&own_name, 200), "desk@example.org".to_owned())]);
        let to = ["ada@example.net", "bob@example.net"].map(|email| (meant(&name, 200), email.to_owned()));
        prop_assert_eq!(emails(parsed.to()), to);
        prop_assert!(parsed.bcc().is_none());

        let (lines, _) = many_lines(&text, usize::MAX);
        prop_assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), lines);
        prop_assert_eq!(parsed.attachment_count(), 1);
        prop_assert_eq!(parsed.attachment(0).unwrap().contents(), text.as_bytes());

        let html = parsed.body_html(0).unwrap();
        let tags = ["<!DOCTYPE html>", "<html>", "<head>", "<meta charset=\"utf-8\">", "</head>", "<body>", "<p>",
            "</p>", "<br>", "</a>", "</body>", "</html>", "<a href=\"http"];
        let known: usize = tags.iter().map(|tag| html.matches(tag).count()).sum();
        prop_assert_eq!(html.matches('<').count(), known);
    }
}

#[test]
fn only_automatic_mail_says_that_it_is() {
    for (automatic, said, sender) in [
        (None, None, "desk@example.org"),
        (Some(Automatic::Replied), Some("auto-replied"), ""),
        (Some(Automatic::Generated), Some("auto-generated"), "desk@example.org"),
    ] {
        let composed = Composer.compose(&Outgoing { automatic, ..outgoing() }).unwrap();
        let raw = String::from_utf8(composed.raw).unwrap();
        assert_eq!(composed.envelope_from, sender);
        for name in ["Auto-Submitted", "X-Auto-Response-Suppress", "Precedence"] {
            assert_eq!(field_names(&raw).contains(&name), automatic.is_some(), "{name}");
        }
        if let Some(said) = said {
            assert_eq!(field(&raw, "Auto-Submitted"), said);
            assert_eq!(field(&raw, "X-Auto-Response-Suppress"), "All");
            assert_eq!(field(&raw, "Precedence"), "auto_reply");
        }
    }
}

#[test]
fn outlooks_thread_goes_on() {
    let mut mail = outgoing();
    mail.subject = "Re: AW: Über Ärger".to_owned();
    mail.thread_index = Some("AdxaAAAAAAAAAAAAAAAAAAAAAAAAAA==".to_owned());
    let raw = compose(&mail);
    assert_eq!(field_names(&raw)[5..8], ["Thread-Topic", "Thread-Index", "X-Postroom-Instance"]);
    assert!(field(&raw, "Thread-Index").starts_with("AdxaAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_eq!(field(&raw, "Thread-Topic"), "=?utf-8?B?w5xiZXIgw4RyZ2Vy?=");
    assert_eq!(field(&compose(&mail), "Thread-Index"), field(&raw, "Thread-Index"), "always the same");
}

fn picture(id: &str) -> OutgoingFile {
    OutgoingFile { content_id: Some(id.to_owned()), ..file("p.png", "image/png", id.as_bytes()) }
}

/// The content types of a mail's parts, containers with what is in them.
fn tree(raw: &str) -> String {
    fn part(parsed: &mail_parser::Message<'_>, id: u32) -> String {
        let part_of = &parsed.parts[id as usize];
        let kind = part_of.content_type().map_or("?", |kind| kind.subtype().unwrap_or("?"));
        match &part_of.body {
            mail_parser::PartType::Multipart(ids) => {
                let inside: Vec<String> = ids.iter().map(|id| part(parsed, *id)).collect();
                format!("{kind}({})", inside.join(" "))
            }
            _ => kind.to_owned(),
        }
    }
    part(&MessageParser::default().parse(raw).unwrap(), 0)
}

#[test]
fn pictures_stand_with_the_html_and_files_beside() {
    let mut mail = outgoing();
    mail.body = Written::new("<p>a<img src=\"cid:one\"></p>", TextFormat::Html);
    mail.files =
        vec![file("a.pdf", "application/pdf", b"x"), picture("unnamed"), picture("one"), picture("one")];
    let composed = Composer.compose(&mail).unwrap();
    let raw = String::from_utf8(composed.raw).unwrap();
    assert_eq!(tree(&raw), "mixed(alternative(plain related(html png)) pdf png png)");
    assert_eq!(composed.files, [Some(2), Some(0), Some(1), Some(3)]);
    assert!(raw.contains("Content-ID: <one>\r\n"), "{raw}");
    assert!(raw.contains("multipart/related; type=\"text/html\""), "{raw}");
    assert_eq!(raw.matches("Content-Disposition: inline").count(), 1);

    mail.files = vec![picture("one")];
    assert_eq!(tree(&compose(&mail)), "alternative(plain related(html png))");
    mail.files[0].content_type = "application/pdf".to_owned();
    assert_eq!(tree(&compose(&mail)), "mixed(alternative(plain html) pdf)", "it is no picture");
    mail.files = vec![picture("one\r\nBcc: x")];
    assert_eq!(tree(&compose(&mail)), "mixed(alternative(plain html) png)", "its id can't stand in a header");
}

#[test]
fn everything_stands_in_its_order() {
    let mut mail = outgoing();
    mail.body = Written::new("**Hi**", TextFormat::Markdown);
    mail.signature = Some(Written::plain("Ada\nSupport"));
    mail.layout = Layout {
        head: Some(Written::new("<h2>Shop</h2>", TextFormat::Html)),
        foot: Some(Written::plain("Imprint")),
        logo: Some(Logo { file: picture("logo"), alt: "A \"shop\"".to_owned() }),
    };
    mail.quoted = vec![Quoted {
        who: address(Some("Bob"), "bob@example.net"),
        when: Timestamp::parse("2026-11-21T09:30:00Z").unwrap(),
        text: "Where is it?".to_owned(),
        html: None,
    }];
    let composed = Composer.compose(&mail).unwrap();
    assert_eq!(composed.written, "**Hi**");
    assert_eq!(
        composed.text,
        "Shop\n\n**Hi**\n\n-- \nAda\nSupport\n\nImprint\n\n\
         On 2026-11-21 09:30 UTC, Bob <bob@example.net> wrote:\n> Where is it?"
    );
    let places = [
        "cid:logo\" alt=\"A &quot;shop&quot;\"",
        "<h2>Shop</h2>",
        "<strong>Hi</strong>",
        "Ada<br>",
        "Imprint",
        "Bob",
        "Where is it?",
    ];
    let at = places.map(|place| composed.html.find(place).expect(place));
    assert!(at.is_sorted(), "{at:?} in {}", composed.html);
    let raw = String::from_utf8(composed.raw).unwrap();
    assert_eq!((tree(&raw).as_str(), composed.files), ("alternative(plain related(html png))", vec![None]));

    mail.layout.foot = Some(Written::new("<img src=\"cid:logo\">", TextFormat::Html));
    let html = Composer.compose(&mail).unwrap().html;
    assert_eq!(html.matches("cid:logo").count(), 1, "where the layout puts it, and not above: {html}");
}

#[test]
fn a_text_with_a_fault_is_refused() {
    let deep = Written::new("<div>".repeat(257), TextFormat::Html);
    assert!(Composer.render(&deep).is_err());
    let unfit = |mail: &Outgoing| match Composer.compose(mail) {
        Err(ComposeError::Unfit { part, detail, .. }) => (part, detail),
        other => panic!("{other:?}"),
    };
    let (part, detail) = unfit(&Outgoing { body: deep, ..outgoing() });
    assert!(part == MailPart::Text && detail.contains("the mail's text"), "{detail}");
    // Each is fit, and both together are not.
    let half = Written::new("x".repeat(crate::markup::MARKUP_BYTES / 2 + 1), TextFormat::Html);
    assert!(Composer.render(&half).is_ok());
    let (part, detail) = unfit(&Outgoing { body: half.clone(), signature: Some(half), ..outgoing() });
    assert!(part == MailPart::Text && detail.contains("the mail's signature"), "{detail}");
    for (mail, part) in [
        (Outgoing { to: vec![address(None, "a b@example.org")], ..outgoing() }, MailPart::Recipients),
        (Outgoing { to: Vec::new(), ..outgoing() }, MailPart::Recipients),
        (Outgoing { from: address(None, "x"), ..outgoing() }, MailPart::From),
    ] {
        assert_eq!(unfit(&mail).0, part);
    }
    assert!(Composer.render(&Written::plain("<div>".repeat(257))).is_ok());
}
