//! Well-formed mail in every charset, encoding and form is read as an independent reader reads it:
//! Python's `email`. `tests/oracle/mails.py` makes the mails, and knows what it meant by each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postroom_core::mail::{Address, Mail};
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_core::text;
use postroom_ingest::reader::Reader;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What Python 3.11 gets wrong, and newer ones in part: a field, and the kind of thing in the mail
/// without which no difference is forgiven. Even then what we read must be what was meant.
const PYTHON_IS_WRONG: [(&str, &str); 12] = [
    // It keeps the white space between two encoded words of a name; RFC 2047 section 6.2 drops it.
    ("from", "name-words"),
    ("to", "name-words"),
    ("cc", "name-words"),
    ("reply_to", "name-words"),
    // It stumbles over a group in which another name follows (AttributeError: 'Group' …).
    ("to", "group"),
    ("cc", "group"),
    // A name in a comment is no name to it: RFC 5322 section 3.4 remembers that it was one.
    ("from", "comment-name"),
    ("to", "comment-name"),
    ("cc", "comment-name"),
    ("reply_to", "comment-name"),
    // It decodes each piece of a parameter alone, though RFC 2231 section 4.1 joins them first.
    ("files", "2231:continued"),
    // It knows no comment but the last one of a date.
    ("date", "date:inner-comment"),
];

struct Case {
    raw: Vec<u8>,
    seen: Vec<String>,
    meant: Value,
    python: Value,
}

/// Lets the script make mails of a seed.
fn start(seed: u64, count: usize) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/mails.py");
    let mut command = Command::new("python3");
    command.arg(script).args([seed.to_string(), count.to_string()]).stdout(Stdio::piped());
    command.spawn().expect("python3 is installed; tests/run does that")
}

/// The mails it made, and what Python makes of them.
fn cases(script: Child) -> Vec<Case> {
    let output = script.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "the script failed; it says why above");
    let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let case = |line: &str| {
        let mut read: Value = serde_json::from_str(line).expect("the script writes JSON");
        let seen = serde_json::from_value(read["seen"].take()).expect("a list of words");
        let raw = STANDARD.decode(read["raw"].as_str().expect("a mail")).expect("base64");
        Case { raw, seen, meant: read["meant"].take(), python: read["python"].take() }
    };
    lines.lines().map(case).collect()
}

/// What the reader says, in the script's shape.
fn ours(reader: &Reader, raw: &[u8]) -> Value {
    let mail: Mail = reader.read(raw, &ReadContext::default());
    assert_eq!(mail.problem, None, "{}", String::from_utf8_lossy(raw));
    let all = |addresses: &[Address]| -> Value {
        addresses.iter().map(|a| json!([a.name.as_deref().unwrap_or_default(), a.email])).collect()
    };
    let files = mail.parts.iter().filter(|part| part.content_type == "application/octet-stream");
    let file = |part: &postroom_core::mail::Part| {
        let bytes = reader.part(raw, part.part).expect("a file that was listed");
        json!([part.filename, STANDARD.encode(bytes)])
    };
    json!({
        "message_id": mail.message_id.first(), "in_reply_to": mail.in_reply_to, "references": mail.references,
        "subject": mail.subject, "from": all(&mail.from), "to": all(&mail.to), "cc": all(&mail.cc),
        "reply_to": all(&mail.reply_to), "date": mail.date.map(postroom_core::time::Timestamp::as_seconds),
        "text": mail.text, "files": files.map(file).collect::<Value>(),
    })
}

/// A value of the script as the reader would keep it: its limits and its cleaning are no difference.
fn kept(field: &str, value: &Value) -> Value {
    let line = |value: &Value, max: usize| json!(text::one_line(value.as_str().unwrap_or_default(), max));
    let each = |one: &dyn Fn(&Value) -> Value| -> Value {
        value.as_array().map(|all| all.iter().map(one).collect()).unwrap_or_default()
    };
    match field {
        "subject" => line(value, text::SUBJECT_CHARS),
        "text" => json!(text::many_lines(value.as_str().unwrap_or_default(), text::TEXT_BYTES).0),
        "from" | "to" | "cc" | "reply_to" => each(&|one| json!([line(&one[0], 256), one[1]])),
        "files" => each(&|one| json!([text::file_name(one[0].as_str().unwrap_or_default()), one[1]])),
        "message_id" | "in_reply_to" | "references" => line(value, usize::MAX / 4),
        _ => value.clone(),
    }
}

/// Every difference that nothing excuses, in words; counts those that something does.
fn differences(cases: &[Case], excused: &mut [usize]) -> Vec<String> {
    let reader = Reader::default();
    let mut wrong = Vec::new();
    for case in cases {
        let read = ours(&reader, &case.raw);
        for (field, read) in read.as_object().expect("an object") {
            let (read, meant) = (kept(field, read), kept(field, &case.meant[field]));
            let python = kept(field, &case.python[field]);
            if read == python {
                continue;
            }
            let has = |kind: &str| case.seen.iter().any(|seen| seen.starts_with(kind));
            let excuse = PYTHON_IS_WRONG.iter().position(|(of, kind)| of == field && has(kind));
            if let Some(excuse) = excuse.filter(|_| read == meant) {
                excused[excuse] += 1;
                continue;
            }
            wrong.push(format!(
                "{field}\n  ours   {read}\n  python {python}\n  meant  {meant}\n  {:?}",
                case.seen
            ));
        }
    }
    wrong
}

#[test]
fn well_formed_mail_is_read_as_python_reads_it() {
    let is_long = std::env::var_os("POSTROOM_TEST_LONG").is_some();
    let (mut count, mut excused, mut wrong) = (0, [0; PYTHON_IS_WRONG.len()], Vec::new());
    let seeds: Vec<u64> = if is_long { (1..=40).collect() } else { (1..=3).collect() };
    for few in seeds.chunks(4) {
        // All of a few at once: most of the time is Python's.
        let scripts: Vec<Child> = few.iter().map(|seed| start(*seed, 1000)).collect();
        for script in scripts {
            let cases = cases(script);
            count += cases.len();
            wrong.extend(differences(&cases, &mut excused));
        }
    }
    println!("{count} mails, fields where Python is wrong: {excused:?}");
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {count} mails' fields differ:\n{shown:#?}", wrong.len());
    assert!(count >= 3000);
    assert!(excused.iter().all(|times| *times > 0), "an exception that none needs: {excused:?}");
}
