//! What we write is read back as it was meant by an independent reader: Python's `email`
//! (`tests/oracle/read.py`), over random names, subjects, texts of every format, recipients and files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroom_core::mail::Address;
use postroom_core::outgoing::{
    Automatic, Composed, Layout, Logo, Outgoing, OutgoingFile, Quoted, TextFormat, Written,
};
use postroom_core::ports::{ComposeMail, ReadContext, ReadMail};
use postroom_core::text::{SUBJECT_CHARS, file_name, many_lines, short_line};
use postroom_core::threading::subject::stem;
use postroom_core::time::Timestamp;
use postroom_ingest::reader::Reader;
use postroom_outbound::Composer;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Numbers of a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn is_one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Up to `most` pieces in a row.
    fn text(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.one(pieces)).collect()
    }
}

/// What people type, and what enemies do.
const LINE: &[&str] = &[
    "a",
    "Order",
    "12",
    " ",
    " ",
    "  ",
    "ü",
    "ß",
    "日本語",
    "Привет",
    "😀",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\t",
    "\r\nBcc: x@y.example",
    "=?utf-8?q?x=0D=0ABcc:_y?=",
    "=?",
    "?=",
    "=",
    "\"",
    "\\",
    "<",
    ">",
    ",",
    ";",
    ":",
    "@",
    "(",
    ")",
    "\u{202E}",
    "\u{200B}",
    "\u{61C}",
    "\u{85}",
    "\u{2028}",
    "\u{7F}",
    "Re: ",
    "AW: ",
    "[#12]",
    "{{customer.name}}",
    "averyveryveryveryveryveryveryveryveryveryveryveryveryveryverylongword",
];
const TEXT: &[&str] = &[
    "Hello ",
    "Grüße ",
    "日本語",
    "😀 ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\r\n.\r\n",
    ".",
    "\n.\n",
    "From me\n",
    "-- \n",
    "> ",
    ">> x\n",
    "=20",
    "=",
    "\t",
    "   ",
    "https://example.org/?a=1&b=2 ",
    "<b>",
    "</b>",
    "<script>x</script>",
    "<p>",
    "</p>",
    "<br>",
    "**bold** ",
    "_it_ ",
    "- item\n",
    "1. item\n",
    "| a | b |\n|---|---|\n",
    "# title\n",
    "```\ncode\n```\n",
    "`c` ",
    "[x](https://example.org/) ",
    "[y](javascript:z) ",
    "<a href=\"https://example.org/\">l</a>",
    "<a href='javascript:x'>",
    "<img src=cid:pic1>",
    "<img src='https://e.example/p.png'>",
    "![p](cid:pic1)",
    "<div style=\"color: red; position: fixed\">",
    "</div>",
    "<table><tr><td width=10 onclick=x>",
    "</table>",
    "<style>p{}</style>",
    "<svg><a xlink:href=x>",
    "&amp;",
    "&#13;",
    "&#0;",
    "&lt;b&gt;",
    "<!--",
    "-->",
    "\0",
    "\u{202E}",
    "\u{2028}",
    "\u{B}",
    "averyveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryverylongword ",
];
const LOCALS: &[&str] =
    &["ada", "Ada.L", "a..b", ".a", "a+tag", "\"a b\"", "\"a@b,<c>\"", "o'hara", "x!#$%&*/=?^_`{|}~"];
const DOMAINS: &[&str] =
    &["example.org", "EXAMPLE.net", "bücher.example", "xn--bcher-kva.example", "a.b.c.example"];
const KINDS: &[&str] =
    &["image/png", "application/pdf", "text/plain", "text/csv", "IMAGE/JPEG", "x", "", "a/b\r\nBcc: c"];
const NAMES: &[&str] = &[
    "a",
    "Rechnung",
    "=?utf-8?q?x=20?=",
    " ",
    "März",
    ".",
    "pdf",
    "\"",
    "\\",
    "/",
    "請求書",
    "\r\n",
    "\0",
    ";",
    "=",
    "'",
    "%",
    "*",
    "😀",
];

fn address(dice: &mut Dice, number: usize) -> Address {
    let name = (!dice.is_one_in(4)).then(|| dice.text(LINE, 8));
    let local = dice.one(LOCALS);
    // each recipient is somebody else
    let local = match local.strip_suffix('"') {
        Some(quoted) => format!("{quoted}{number}\""),
        None => format!("{local}{number}"),
    };
    Address { name, email: format!("{local}@{}", dice.one(DOMAINS)) }
}

fn written(dice: &mut Dice) -> Written {
    let format = TextFormat::ALL[dice.below(TextFormat::ALL.len())];
    Written::new(dice.text(TEXT, 30), format)
}

fn file(dice: &mut Dice, id: Option<String>) -> OutgoingFile {
    let length = dice.below(300);
    OutgoingFile {
        filename: dice.text(NAMES, 8),
        content_type: dice.one(KINDS).to_owned(),
        content: (0..length).map(|_| dice.below(256) as u8).collect(),
        content_id: id,
    }
}

fn mail(dice: &mut Dice) -> Outgoing {
    let at = Timestamp::from_seconds(1_795_334_400 + dice.below(1_000_000) as i64);
    let some = |dice: &mut Dice| dice.is_one_in(3).then(|| written(dice));
    let layout = Layout {
        head: some(dice),
        foot: some(dice),
        logo: dice.is_one_in(4).then(|| Logo {
            file: OutgoingFile {
                content_type: "image/png".to_owned(),
                ..file(dice, Some("logo".to_owned()))
            },
            alt: dice.text(LINE, 8),
        }),
    };
    let quoted = (0..dice.below(5)).map(|number| Quoted {
        who: address(dice, number),
        when: at,
        text: dice.text(TEXT, 20),
        html: dice.is_one_in(2).then(|| dice.text(TEXT, 20)),
    });
    let quoted = quoted.collect();
    let files = (0..dice.below(4)).map(|number| {
        let id = dice.is_one_in(2).then(|| format!("pic{number}"));
        file(dice, id)
    });
    let files = files.collect();
    Outgoing {
        reply_to: dice.is_one_in(3).then(|| address(dice, 90)),
        cc: (0..dice.below(3)).map(|number| address(dice, 10 + number)).collect(),
        bcc: (0..dice.below(2)).map(|number| address(dice, 20 + number)).collect(),
        body: written(dice),
        signature: some(dice),
        layout,
        quoted,
        in_reply_to: dice.is_one_in(2).then(|| "<a.b@example.net>".to_owned()),
        references: (0..dice.below(14))
            .map(|number| format!("<{number}.abcdefghijklmnop@example.net>"))
            .collect(),
        thread_index: dice.is_one_in(2).then(|| STANDARD.encode(vec![1; 22 + 5 * dice.below(98)])),
        automatic: [None, None, Some(Automatic::Replied), Some(Automatic::Generated)][dice.below(4)],
        files,
        ..Outgoing::plain(
            address(dice, 99),
            (0..=dice.below(3)).map(|number| address(dice, number)).collect(),
            dice.text(LINE, 20),
            "",
            "<c.1.2.abc@example.org>",
            at,
            "1.abcdef",
        )
    }
}

/// What Python says of each mail.
fn read_by_python(mails: &[Composed]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/read.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed; tests/run does that");
    let mut input = python.stdin.take().expect("it was asked for");
    let lines: String = mails.iter().map(|mail| STANDARD.encode(&mail.raw) + "\n").collect();
    // it writes while it reads: neither side may wait for the other
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "the script failed; it says why above");
    writer.join().expect("no panic").expect("the script read all of it");
    let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A name or subject as it is meant to arrive.
fn clean(text: &str, max: usize) -> String {
    short_line(&text.replace('\u{61C}', ""), max)
}

/// Names and addresses as they are meant to arrive. Python 3.11 keeps the white space between two encoded words
/// of a name, which RFC 2047 section 6.2 drops: names are compared without any.
fn people(addresses: &[Address]) -> Value {
    let email = |email: &str| email.replace("bücher", "xn--bcher-kva");
    let name = |name: &Option<String>| bare(&clean(name.as_deref().unwrap_or_default(), 200));
    addresses.iter().map(|address| json!([name(&address.name), email(&address.email)])).collect()
}

fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

fn without_spaces(people: &Value) -> Value {
    let all = people.as_array().expect("a list").iter();
    all.map(|one| json!([bare(one[0].as_str().expect("a name")), one[1]])).collect()
}

/// The header fields that are meant to stand there, in order.
fn names(mail: &Outgoing) -> Vec<&'static str> {
    let is_automatic = mail.automatic.is_some();
    let all = [
        ("Date", true),
        ("From", true),
        ("Reply-To", mail.reply_to.is_some()),
        ("To", true),
        ("Cc", !mail.cc.is_empty()),
        ("Subject", true),
        ("Message-ID", true),
        ("In-Reply-To", mail.in_reply_to.is_some()),
        ("References", !mail.references.is_empty()),
        ("Thread-Topic", mail.thread_index.is_some()),
        ("Thread-Index", mail.thread_index.is_some()),
        ("X-Postroom-Instance", true),
        ("Auto-Submitted", is_automatic),
        ("X-Auto-Response-Suppress", is_automatic),
        ("Precedence", is_automatic),
        ("MIME-Version", true),
        ("Content-Type", true),
    ];
    all.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}

fn compare(mail: &Outgoing, composed: &Composed, read: &Value) {
    let shown = String::from_utf8_lossy(&composed.raw);
    assert_eq!(read["names"], json!(names(mail)), "{shown}");
    assert_eq!(read["defects"], json!([]), "{shown}");
    assert_eq!(read["subject"], json!(clean(&mail.subject, SUBJECT_CHARS)), "{shown}");
    assert_eq!(read["date"], json!(mail.date.as_seconds()));
    assert_eq!(read["automatic"], json!(mail.automatic.map(Automatic::as_str)));
    let list = |ids: &[String]| (!ids.is_empty()).then(|| ids.join(" "));
    assert_eq!(read["ids"], json!([mail.message_id, mail.in_reply_to, list(&mail.references)]));
    let reply_to: Vec<Address> = mail.reply_to.iter().cloned().collect();
    for (field, meant) in
        [("from", &[mail.from.clone()][..]), ("reply_to", &reply_to), ("to", &mail.to), ("cc", &mail.cc)]
    {
        assert_eq!(without_spaces(&read[field]), people(meant), "{field} of {shown}");
    }
    if let Some(parent) = &mail.thread_index {
        let meant = clean(stem(&mail.subject), SUBJECT_CHARS);
        assert_eq!(read["topic"], json!(meant), "{shown}");
        let index = bare(read["index"].as_str().expect("a text"));
        let (index, parent) =
            (STANDARD.decode(index).expect("base64"), STANDARD.decode(parent).expect("base64"));
        assert_eq!((index.len(), &index[..parent.len()]), (parent.len() + 5, &parent[..]));
    }

    assert_eq!(read["text"], json!(composed.text), "{shown}");
    assert_eq!(read["html"], json!(composed.html), "{shown}");
    if mail.body.format != TextFormat::Html {
        assert_eq!(composed.written, many_lines(&mail.body.text, usize::MAX).0);
    }
    assert!(
        composed.text.contains(composed.written.trim()),
        "{:?} is not in {:?}",
        composed.written,
        composed.text
    );
    assert_safe(read, mail);

    let expected: Vec<Value> = composed
        .files
        .iter()
        .map(|index| {
            let file = match index {
                Some(index) => &mail.files[*index],
                None => &mail.layout.logo.as_ref().expect("there is one").file,
            };
            json!([file_name(&file.filename), STANDARD.encode(&file.content)])
        })
        .collect();
    let files = read["files"].as_array().expect("a list");
    let found: Vec<Value> = files.iter().map(|file| json!([file["name"], file["content"]])).collect();
    assert_eq!(found, expected, "{shown}");
    let mut all: Vec<usize> = composed.files.iter().filter_map(|index| *index).collect();
    all.sort_unstable();
    assert_eq!(all, (0..mail.files.len()).collect::<Vec<_>>(), "each file once");
    let inline = files.iter().filter(|file| file["disposition"] == "inline").count();
    let beside = files.len() - inline;
    let body = if inline > 0 {
        format!("alternative(plain related(html{}))", " file".repeat(inline))
    } else {
        "alternative(plain html)".to_owned()
    };
    let whole = if beside > 0 { format!("mixed({body}{})", " file".repeat(beside)) } else { body };
    assert_eq!(read["shape"], json!(whole), "{shown}");
}

/// No tag and no attribute that could do anything, by a parser that is not the sanitiser's.
fn assert_safe(read: &Value, mail: &Outgoing) {
    let ids: Vec<String> = read["files"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|file| file["disposition"] == "inline")
        .map(|file| file["id"].as_str().expect("an id").trim_matches(['<', '>']).to_owned())
        .collect();
    for tag in read["tags"].as_array().expect("a list") {
        let name = tag[0].as_str().expect("a name");
        assert!(
            !["script", "style", "svg", "form", "input", "iframe", "object"].contains(&name),
            "{name} in {mail:?}"
        );
        for attribute in tag[1].as_array().expect("a list") {
            let (attribute, value) =
                (attribute[0].as_str().expect("a name"), attribute[1].as_str().expect("a value"));
            assert!(!attribute.starts_with("on"), "{attribute} in {mail:?}");
            match attribute {
                "href" => assert!(
                    ["http:", "https:", "mailto:", "tel:"]
                        .iter()
                        .any(|s| value.to_lowercase().starts_with(s)),
                    "{value}"
                ),
                "src" => assert!(
                    value.strip_prefix("cid:").is_some_and(|id| ids.iter().any(|known| known == id)),
                    "{value} of {ids:?}"
                ),
                "style" => assert!(!value.contains("position") && !value.contains("url"), "{value}"),
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_written_is_read_back_by_python() {
    let is_long = std::env::var_os("POSTROOM_TEST_LONG").is_some();
    let (rounds, each) = if is_long { (40, 1000) } else { (2, 600) };
    let reader = Reader::default();
    for round in 1..=rounds {
        let mut dice = Dice(u64::wrapping_mul(round, 0x9E37_79B9_7F4A_7C15));
        let mails: Vec<Outgoing> = (0..each).map(|_| mail(&mut dice)).collect();
        let composed: Vec<Composed> =
            mails.iter().map(|mail| Composer.compose(mail).expect("nothing in it is refused")).collect();
        let read = read_by_python(&composed);
        assert_eq!(read.len(), mails.len());
        for ((mail, composed), read) in mails.iter().zip(&composed).zip(&read) {
            compare(mail, composed, read);
            // our own reader finds the files in the order that the composer says
            let ours = reader.read(&composed.raw, &ReadContext::default());
            assert_eq!((ours.problem, ours.parts.len()), (None, composed.files.len()));
        }
    }
}
