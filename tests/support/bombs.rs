//! Mail that was made to do harm: fifty shapes, each a few kilobytes to thirty megabytes. Public
//! knowledge about parsers that recurse, search again and again, or believe what a header says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Many of the same, made different by their number.
fn many(n: usize, one: impl Fn(usize) -> String) -> String {
    (0..n).map(one).collect::<Vec<_>>().concat()
}

fn html(body: &str) -> String {
    format!("Subject: x\nContent-Type: text/html; charset=utf-8\n\n{body}")
}

fn header(name: &str, value: &str) -> String {
    format!("From: a@x.example\n{name}: {value}\nMessage-ID: <a@x.example>\n\nbody\n")
}

fn mixed(parts: &str) -> String {
    format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n")
}

/// Every shape by its name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |kind: &str| {
        many(100_000, |i| format!("Content-Type: multipart/{kind}; boundary=b{i}x\n\n--b{i}x\n"))
    };
    let wrapped = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let words = |word: &str, n: usize| word.repeat(n);
    let segments = |n: usize| {
        let one = |i: usize| format!(";\n f*{}=x{i}", (i * 7919) % n);
        format!("attachment{}", many(n, one))
    };
    let compressed = STANDARD.encode(vec![0_u8; 3 * 1024 * 1024]);
    let calendar = format!("BEGIN:VCALENDAR\n{}METHOD:REQUEST\n", "BEGIN:VEVENT\n".repeat(200_000));
    let mut shapes: Vec<(&'static str, String)> = vec![
        ("multiparts in multiparts", nested("mixed")),
        ("alternatives in alternatives", nested("alternative")),
        ("mails in mails", wrapped.clone()),
        (
            "mails in mails, encoded",
            format!(
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
                STANDARD.encode(&wrapped)
            ),
        ),
        ("500,000 parts", mixed(&"--b\n\nx\n".repeat(500_000))),
        (
            "parts without an end",
            format!(
                "Content-Type: multipart/mixed; boundary=b\n\n{}",
                "--b\nContent-Type: multipart/mixed; boundary=c\n\n".repeat(50_000)
            ),
        ),
        ("delimiters of nobody", mixed(&"--bb\n".repeat(500_000))),
        (
            "64 boundaries, all alike",
            format!(
                "{}{}",
                many(64, |i| format!(
                    "Content-Type: multipart/mixed; boundary={0}{i:02}\n\n--{0}{i:02}\n",
                    "b".repeat(60)
                )),
                format!("--{}\n", "b".repeat(60)).repeat(50_000)
            ),
        ),
        ("100,000 references", header("References", &many(100_000, |i| format!("<{i}@x.example>\n ")))),
        ("100,000 addresses", header("To", &many(100_000, |i| format!("u{i}@x.example,\n ")))),
        ("100,000 groups", header("To", &many(100_000, |i| format!("g{i}:;, ")))),
        ("200,000 headers", format!("{}\nbody", many(200_000, |i| format!("X-{i}: y\n")))),
        ("100,000 Received", format!("From: a@x.example\n{}\nbody", "Received: by x\n".repeat(100_000))),
        ("one header of 20 MB", header("Subject", &"x".repeat(20 * 1024 * 1024))),
        ("one line of 30 MB", format!("Subject: x\n\n{}", "x".repeat(30 * 1024 * 1024))),
        ("a date with 10,000 brackets", header("Date", &format!("Mon, 5 Jan 2026 {}", "(".repeat(10_000)))),
        ("brackets in a name", header("From", &format!("a {}", "(".repeat(90_000)))),
        ("brackets and backslashes", header("To", &"(\\(".repeat(30_000))),
        ("quotes in a name", header("From", &"\"a\\\"".repeat(25_000))),
        ("8,000 words without an end", header("Subject", &words("=?", 8_000))),
        ("8,000 encoded words", header("Subject", &words("=?utf-8?q?=C3=A9?= ", 8_000))),
        (
            "8,000 open words and one end",
            header("From", &format!("{}?= <a@x.example>", words("=?utf-8?q?", 8_000))),
        ),
        (
            "8,000 halves of characters",
            header("From", &format!("{} <a@x.example>", words("=?utf-8?b?4g==?= ", 8_000))),
        ),
        (
            "100,000 pieces of a name, out of order",
            format!("Content-Disposition: {}\n\nx", segments(100_000)),
        ),
        (
            "100,000 parameters",
            format!("Content-Type: text/plain{}\n\nx", many(100_000, |i| format!(";p{i}=x"))),
        ),
        (
            "3 MB of zeros in base64",
            format!("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{compressed}"),
        ),
        ("base64 of garbage", format!("Content-Transfer-Encoding: base64\n\n{}", "=?!*\n".repeat(1_000_000))),
        (
            "quoted-printable of equals signs",
            format!("Content-Transfer-Encoding: quoted-printable\n\n{}", "=".repeat(5_000_000)),
        ),
        (
            "UTF-7 that never ends",
            format!("Content-Type: text/plain; charset=utf-7\n\n{}", "+AGEA-+".repeat(400_000)),
        ),
        (
            "ISO-2022-JP that shifts at each byte",
            format!("Content-Type: text/plain; charset=iso-2022-jp\n\n{}", "\x1B$B\x1B(B".repeat(400_000)),
        ),
        (
            "UTF-16 of lone halves",
            format!("Content-Type: text/plain; charset=utf-16\n\n{}", "\u{58}\u{59}".repeat(1_000_000)),
        ),
        ("elements in elements", html(&"<div>".repeat(100_000))),
        ("formatting in formatting", html(&many(60_000, |i| format!("<font size={i}><b><i>")))),
        ("attributes without an end", html(&format!("<p {}", many(100_000, |i| format!("a{i}=x "))))),
        ("entities", html(&"&CounterClockwiseContourIntegral".repeat(30_000))),
        ("links", html(&"<a href='http://x.example/'>x</a>".repeat(20_000))),
        ("quotes in quotes", html(&format!("Yes.{}", "<blockquote type=cite>x<br>".repeat(9_000)))),
        (
            "lines that look like quotes",
            format!("Subject: x\n\n{}", "On 5 Jan 2026, Ada <a@x.example> wrote:\n> x\ny\n".repeat(30_000)),
        ),
        (
            "headers that look like quotes",
            format!("Subject: x\n\n{}", "From: a\nSent: b\nx\n".repeat(60_000)),
        ),
        (
            "a bounce of a million recipients",
            format!(
                "From: mailer-daemon@x.example\nContent-Type: message/delivery-status\n\n{}",
                "Final-Recipient: rfc822;a@x.example\nAction: failed\n\n".repeat(300_000)
            ),
        ),
        ("a calendar of a million events", format!("Content-Type: text/calendar\n\n{calendar}")),
        ("JSON in JSON", format!("From: no-reply@x.example\n\n{}", "{\"Message\":".repeat(100_000))),
        // What lies just within the limits costs the most.
        ("text in a table but in no cell", html(&format!("<table>{}", "<i></i>x".repeat(9_900)))),
        (
            "formatting that goes on in each block",
            html(&format!("{}{}", many(200, |i| format!("<font size={i}>")), "<p>x".repeat(190))),
        ),
        (
            "as many elements in elements as may be",
            html(&format!("{}{}", "<div>".repeat(250), "x<br>".repeat(9_000))),
        ),
        (
            "300 parts of HTML that is never shown",
            mixed(
                &format!("--b\nContent-Type: text/html\n\n<select>{}\n", "<option>x".repeat(9_900))
                    .repeat(300),
            ),
        ),
        (
            "200 parts of HTML, formatting in no cell",
            mixed(
                &format!("--b\nContent-Type: text/html\n\n<table>{}\n", "<i></i>".repeat(19_900)).repeat(200),
            ),
        ),
        (
            "300 parts of pictures",
            mixed(&many(300, |i| {
                let pictures = many(1_000, |n| format!("<img src=cid:{i}.{n}.{}>", "x".repeat(60)));
                format!("--b\nContent-Type: text/html\n\n{pictures}\n")
            })),
        ),
        (
            "2,000 files",
            mixed(&many(2_000, |i| format!("--b\nContent-Type: application/x; name=f{i}\n\nx{i}\n"))),
        ),
        ("a style of 100,000 declarations", html(&format!("<p style='{}'>x", "color:red;".repeat(100_000)))),
        ("pictures in the text", html(&format!("<img src=\"cid:{}\">", "cid:".repeat(60_000)))),
    ];
    shapes.retain(|(_, raw)| raw.len() <= 35 * 1024 * 1024);
    shapes.into_iter().map(|(name, raw)| (name, raw.into_bytes())).collect()
}
