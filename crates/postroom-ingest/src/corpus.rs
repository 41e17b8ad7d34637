//! Every mail of `corpus/`, and what the reader makes of it. They are written for this project
//! after the shapes of real programs; each stands for something that once went wrong somewhere.

use crate::corpus_table::table;
use crate::reader::Reader;
use postroom_core::mail::{Mail, SenderAuth};
use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut mails = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("can be listed").path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
            mails.insert(name, std::fs::read(&path).expect("can be read"));
        }
    }
    mails
}

fn read(raw: &[u8]) -> Mail {
    let context = ReadContext { trusted_authserv_ids: vec!["mx.shop.example".into()] };
    Reader::default().read(raw, &context)
}

fn mail(name: &str) -> Mail {
    read(corpus().get(name).unwrap_or_else(|| panic!("no {name}.eml")))
}

#[test]
fn every_mail_is_read_as_expected() {
    let mails = corpus();
    let table = table();
    let named: Vec<&str> = table.iter().map(|e| e.file).collect();
    for name in mails.keys() {
        assert!(named.contains(&name.as_str()), "{name}.eml is in no table");
    }
    for expected in table {
        let name = expected.file;
        let found = read(&mails[name]);
        assert_eq!(found.class, expected.class, "{name}: {:?}", found.signals);
        assert_eq!(found.subject, expected.subject, "{name}");
        let from = found.sender().map(|a| match &a.name {
            Some(name) => format!("{name} <{}>", a.email),
            None => a.email.clone(),
        });
        assert_eq!(from.unwrap_or_default(), expected.from, "{name}");
        for part in expected.text {
            assert!(found.text.contains(part), "{name}: {part:?} is not in {:?}", found.text);
        }
        assert!(!found.text.contains(['\r', '\0', '\u{FFFD}']), "{name}: {:?}", found.text);
        assert_eq!(found.reply_text.as_deref(), expected.reply, "{name}: {:?}", found.text);
        let files = found.parts.iter().map(|p| {
            format!("{}|{}|{}{}", p.filename, p.content_type, p.size, if p.inline { "|inline" } else { "" })
        });
        assert_eq!(files.collect::<Vec<_>>(), expected.files, "{name}");
        let reader = Reader::default();
        for part in &found.parts {
            let bytes = reader.part(&mails[name], part.part).expect("a file is found again");
            assert_eq!(bytes.len() as i64, part.size, "{name}: {}", part.filename);
        }
    }
}

#[test]
fn line_ends_make_no_difference() {
    for (name, raw) in corpus() {
        let level: Vec<u8> = if raw.contains(&b'\n') {
            raw.iter().copied().filter(|b| *b != b'\r').collect()
        } else {
            raw.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect()
        };
        let mut wire = Vec::new();
        for byte in &level {
            if *byte == b'\n' {
                wire.push(b'\r');
            }
            wire.push(*byte);
        }
        assert_eq!(read(&raw), read(&level), "{name}");
        assert_eq!(read(&raw), read(&wire), "{name}");
        let reader = Reader::default();
        for part in read(&raw).parts {
            assert_eq!(reader.part(&raw, part.part), reader.part(&wire, part.part), "{name}");
        }
    }
}

#[test]
fn html_is_safe_in_every_mail() {
    for (name, raw) in corpus() {
        let safe = Reader::default().html(&raw, &ShowHtml::default()).html;
        for bad in ["<script", "<style", "<title", "style=", "onclick", "https://tracker", "class=", "<o:p"] {
            assert!(!safe.contains(bad), "{name}: {safe}");
        }
    }
    let newsletter = corpus().remove("newsletter").expect("is there");
    let reader = Reader::default();
    assert_eq!(reader.html(&newsletter, &ShowHtml::default()).remote_images, 2);
    let shown = reader.html(&newsletter, &ShowHtml { remote_images: true, ..ShowHtml::default() });
    assert_eq!(shown.remote_images, 0);
    assert!(shown.html.contains("src=\"https://deals.example/logo.png\""));
}

#[test]
fn ids_are_kept_as_written() {
    assert_eq!(mail("two-message-ids").message_id, ["<first@example.net>", "<second@example.net>"]);
    assert_eq!(mail("two-message-ids").in_reply_to, "Your message of \"Sun, 4 Jan\" <someone@shop.example>");
    assert!(mail("no-message-id").message_id.is_empty());
    assert_eq!(mail("utf8-base64-tr").references, "<root@yildiz.example> <sent-1@shop.example>");
    assert_eq!(mail("outlook-html-only").other_ids, ["<before-rewriting@example.net>"]);
    assert_eq!(mail("outlook-html").thread_index.as_deref(), Some("AQIDBAUGBwgJCgsMDQ4PEBESExQVFg=="));
}

#[test]
fn where_from_and_where_to_is_known() {
    let plain = mail("plain-en");
    assert_eq!(plain.sender_auth, SenderAuth::Pass);
    assert_eq!(plain.delivered_to, ["support@shop.example"]);
    assert_eq!(plain.cc[0].name.as_deref(), Some("Babbage, Charles"));
    assert_eq!(plain.date.map(|d| d.to_string()).as_deref(), Some("2026-01-05T09:00:00.000000Z"));
    let list = mail("mailing-list");
    assert_eq!(list.list_id.as_deref(), Some("users.lists.example"));
    assert_eq!(list.original_from.map(|a| a.email).as_deref(), Some("dev@eloper.example"));
    assert_eq!(list.reply_to.len(), 2);
    assert_eq!(list.sender_auth, SenderAuth::None);
    let broken = mail("broken-mime");
    assert_eq!((broken.date, broken.to.len()), (None, 1));
    assert!(mail("wrapped-mail").is_wrapped_mail && !mail("nested-rfc822").is_wrapped_mail);
}

#[test]
fn reports_name_their_mail_and_recipients() {
    let id = |n: u32| vec![format!("<c.12.{n}.0123456789abcdef.ghjkmnpqrstvwxyz@shop.example>")];
    let failed = |name: &str| {
        let all = mail(name).failed_recipients.into_iter();
        all.map(|r| format!("{} {} {} {}", r.email, r.action, r.status, r.diagnostic)).collect::<Vec<_>>()
    };
    let about = [
        ("bounce-postfix", 345),
        ("bounce-exchange", 346),
        ("bounce-qmail", 347),
        ("bounce-sns", 348),
        ("receipt", 349),
        ("complaint", 350),
    ];
    for (name, number) in about {
        assert_eq!(mail(name).about_ids, id(number), "{name}");
    }
    let user_unknown = "550 5.1.1 <nobody@lovelace.example>: Recipient address rejected: User unknown";
    assert_eq!(failed("bounce-postfix"), [format!("nobody@lovelace.example failed 5.1.1 {user_unknown}")]);
    assert_eq!(failed("bounce-exchange"), ["full@corp.example delayed 4.2.2 452 4.2.2 Mailbox full"]);
    assert_eq!(
        failed("bounce-qmail"),
        ["gone@old.example failed 5.7.1 554 5.7.1 <gone@old.example>: access denied"]
    );
    assert_eq!(failed("bounce-sns"), ["gone@example.net failed 5.1.1 550 5.1.1 user unknown"]);
    assert_eq!(failed("complaint"), Vec::<String>::new());
}

#[test]
fn only_what_is_damaged_has_a_problem() {
    for (name, raw) in corpus() {
        let problem = read(&raw).problem;
        assert_eq!(problem.as_deref(), (name == "empty").then_some("it is empty"), "{name}");
    }
}

#[test]
fn fingerprints_tell_mails_apart() {
    let mails: Vec<Mail> = corpus().values().map(|raw| read(raw)).collect();
    // All zeros equal nothing: there is no date or no content to tell such mails apart by.
    let (told, untold): (Vec<&Mail>, Vec<&Mail>) = mails.iter().partition(|mail| mail.fingerprint != [0; 32]);
    let prints: BTreeSet<[u8; 32]> = told.iter().map(|mail| mail.fingerprint).collect();
    assert_eq!(prints.len(), told.len());
    let has_nothing =
        |mail: &&Mail| mail.date.is_none() || (mail.text.trim().is_empty() && mail.parts.is_empty());
    assert!(told.len() > 40 && untold.iter().all(has_nothing), "{} told", told.len());
    // A copy that took another way: other headers, another encoding, the same mail.
    let raw = corpus().remove("koi8-r").expect("is there");
    let original = read(&raw);
    let text = original.text.replace('\n', "  \n");
    let copy = format!(
        "Received: by list\nDate: Mon,  5 Jan 2026 10:00:00 +0100\nFrom: IVAN@Petrov.example\nSubject: [list] {}\n\
         Content-Type: text/plain; charset=utf-8\n\n{text}",
        original.subject
    );
    assert_eq!(read(copy.as_bytes()).fingerprint, original.fingerprint);
}

/// A generator that always gives the same numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

#[test]
fn damaged_mail_never_stumbles() {
    let mails: Vec<Vec<u8>> = corpus().into_values().filter(|raw| !raw.is_empty()).collect();
    let pieces: [&[u8]; 16] = [
        b"\r\n\r\n",
        b"--",
        b"=?utf-8?b?",
        b"?=",
        b"\0",
        b"\xFF\xFE",
        b"<",
        b"\"",
        b"(",
        b"Content-Type: ",
        b"=\n",
        b"&#x",
        b"boundary=",
        b"\xE2\x80",
        b"\n> ",
        b"wrote:\n",
    ];
    let reader = Reader::default();
    let context = ReadContext { trusted_authserv_ids: vec!["mx.shop.example".into()] };
    let mut numbers = Numbers(0x5EED_0001);
    for _ in 0..4000 {
        let mut raw = mails[numbers.next(mails.len())].clone();
        for _ in 0..=numbers.next(6) {
            let at = numbers.next(raw.len());
            match numbers.next(5) {
                0 => raw[at] = numbers.next(256) as u8,
                1 => raw.truncate(at.max(1)),
                2 => {
                    let end = (at + numbers.next(200)).min(raw.len());
                    raw.drain(at..end);
                    raw.push(b'x');
                }
                3 => {
                    let piece = pieces[numbers.next(pieces.len())];
                    raw.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let other = &mails[numbers.next(mails.len())];
                    let from = numbers.next(other.len());
                    let end = (from + numbers.next(400)).min(other.len());
                    raw.splice(at..at, other[from..end].iter().copied());
                }
            }
        }
        let mail = reader.read(&raw, &context);
        let stumbled = mail.problem.as_deref().is_some_and(|problem| problem.contains("stumbled"));
        assert!(!stumbled, "{}", String::from_utf8_lossy(&raw));
        reader.html(&raw, &ShowHtml::default());
        for part in mail.parts {
            let size = reader.part(&raw, part.part).map(|bytes| bytes.len() as i64);
            assert_eq!(size, Some(part.size), "{}", String::from_utf8_lossy(&raw));
        }
    }
}
