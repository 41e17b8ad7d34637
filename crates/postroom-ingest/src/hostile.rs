//! Mail that was made to do harm: it is read within bounds, and nothing stumbles.

use crate::reader::Reader;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroom_core::mail::{Class, Mail};
use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};

fn read(raw: &[u8]) -> Mail {
    // A thread of the size that a worker has: recursion would show as a crash.
    let raw = raw.to_vec();
    let reading = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
        let reader = Reader::default();
        let mail = reader.read(&raw, &ReadContext { trusted_authserv_ids: vec!["mx.example".into()] });
        reader.html(&raw, &ShowHtml { remote_images: true, ..ShowHtml::default() });
        assert_eq!(reader.part(&raw, i32::MAX), None);
        mail
    });
    reading.expect("a thread").join().expect("no panic")
}

/// Many of the same, made different by their number.
fn many(n: usize, one: impl Fn(usize) -> String) -> String {
    (0..n).map(one).collect::<Vec<_>>().concat()
}

#[test]
fn nested_multiparts() {
    let raw = many(100_000, |i| format!("Content-Type: multipart/mixed; boundary=b{i}x\n\n--b{i}x\n"));
    let mail = read(raw.as_bytes());
    assert_eq!(mail.problem.as_deref(), Some("it has parts nested deeper than is read"));
}

#[test]
fn nested_mails() {
    let inner = "Content-Type: message/rfc822\n\n".repeat(100_000);
    assert!(read(inner.as_bytes()).is_wrapped_mail);
    let encoded = STANDARD.encode(&inner);
    let raw = format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}");
    assert_eq!(read(raw.as_bytes()).parts[0].size, inner.len() as i64);
}

#[test]
fn many_parts() {
    let raw =
        format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(100_000));
    let mail = read(raw.as_bytes());
    assert_eq!(
        (mail.subject.as_str(), mail.problem.as_deref()),
        ("x", Some("it has more parts than are read"))
    );
}

#[test]
fn parentheses_in_a_date() {
    let mail = read(format!("Subject: x\nDate: Mon, 5 Jan 2026 {}\n\nbody", "(".repeat(100_000)).as_bytes());
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("x", "body"));
}

#[test]
fn parentheses_and_other_signs_in_headers() {
    let names =
        ["Date", "From", "To", "Subject", "Content-Type", "Content-Disposition", "Authentication-Results"];
    let signs = [
        "(",
        ")",
        "\"",
        "\\",
        "<",
        ">",
        ",",
        ";",
        ":",
        "=",
        "=?",
        "=?utf-8?q?",
        "=?utf-8?b?",
        "=?a?q??=",
        "*=",
        "*0*=",
        "a@",
        "@",
        "'",
        "a;b*0=c;",
        " \n ",
        "((\\)",
        "\u{E9}",
        "=?utf-8?q?=C3?= ",
        ";dmarc=pass",
    ];
    for sign in signs {
        let raw =
            many(names.len(), |i| format!("{}: mx.example; text/x; {}\n", names[i], sign.repeat(10_000)));
        let mail = read(format!("Message-ID: <first@x>\n{raw}\nbody").as_bytes());
        assert_eq!(mail.message_id, ["<first@x>"], "{sign}");
        assert!(!mail.text.is_empty() || mail.parts.len() == 1, "{sign}");
    }
}

#[test]
fn many_headers_addresses_and_references() {
    let raw = many(200_000, |i| format!("X-{i}: y\n"));
    let mail = read(format!("Subject: x\n{raw}\nbody").as_bytes());
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("x", "body"));
    assert_eq!(mail.problem.as_deref(), Some("it has more headers than are read"));
    let to = many(20_000, |i| format!("u{i}@x.example, "));
    let references = many(40_000, |i| format!("<{i}@x.example> "));
    let mail =
        read(format!("To: {to}\nReferences: {references}\nIn-Reply-To: {references}\n\nbody").as_bytes());
    assert_eq!((mail.to.len(), mail.text.as_str()), (1000, "body"));
    let received =
        read(format!("From: a@x.example\n{}\nbody", "Received: by x\n".repeat(100_000)).as_bytes());
    assert_eq!(received.class, Class::Loop);
}

#[test]
fn html_that_explodes() {
    let formats = many(250, |i| format!("<font size={i}>"));
    let bombs = [
        "<div>".repeat(20_000),
        "<b>".repeat(20_000),
        "<table><tr><td>".repeat(10_000),
        "<a b='".repeat(50_000),
        "<!--".repeat(60_000),
        "<![CDATA[".repeat(25_000),
        "<script>".repeat(30_000),
        "</".repeat(100_000),
        "<".repeat(100_000),
        "&".repeat(100_000),
        "&#".repeat(50_000),
        "<svg><style>".repeat(20_000),
        "<select><option>".repeat(15_000),
        "<p><i><a href=x>".repeat(15_000),
        "<blockquote>x<br>".repeat(15_000),
        format!("{formats}{}", "<p>x".repeat(20_000)),
        format!("<table>{}", "<i></i>x".repeat(30_000)),
        format!("<p {}>", many(50_000, |i| format!("a{i} "))),
        format!("<img src=\"cid:{}\">", "cid:".repeat(60_000)),
        format!("<pre>{}", "\n".repeat(50_000)),
        format!("<ol>{}", "<li>".repeat(20_000)),
        "<a href='http://x.example/'>".repeat(9000),
    ];
    for (at, bomb) in bombs.iter().enumerate() {
        let mail = read(format!("Subject: x\nContent-Type: text/html\n\n{bomb}<p>end").as_bytes());
        assert!(mail.has_html && mail.subject == "x", "{at}");
    }
}

#[test]
fn text_that_looks_like_quotes_and_links() {
    let bombs = [
        "> ".repeat(100_000),
        "On 5 Jan 2026, Ada <a@x.example> wrote:\n".repeat(10_000),
        "From: a\nSent: b\n".repeat(20_000),
        "-----Original\n".repeat(20_000),
        "https://x.example/(".repeat(20_000),
        "http".repeat(50_000),
        "https://x/)))))".repeat(20_000),
        format!("https://x/{}", ")".repeat(300_000)),
        "<a@b.example>:\n550 5.1.1\n".repeat(20_000),
        "c.1.1.0123456789abcdef".repeat(20_000),
        "Message-ID: <".repeat(20_000),
        " \n".repeat(50_000),
        ":\n1:\n".repeat(20_000),
    ];
    for bomb in &bombs {
        for headers in
            ["Subject: x", "From: mailer-daemon@x.example", "Content-Type: text/plain; format=flowed"]
        {
            let mail = read(format!("{headers}\n\n{bomb}").as_bytes());
            assert_eq!(mail.problem, None, "{headers} {bomb:.40}");
        }
    }
}

#[test]
fn delimiter_lines_that_are_none() {
    let open = many(64, |i| format!("Content-Type: multipart/mixed; boundary=b{i:02}x\n\n--b{i:02}x\n"));
    let mail = read(format!("{open}\n\n{}", "--b99x\n".repeat(300_000)).as_bytes());
    assert_eq!((mail.is_shortened, mail.problem), (true, None));
}
