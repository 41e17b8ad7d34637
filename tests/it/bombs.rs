//! Mail that was made to do harm is read within bounds, on a small stack, and the next mail as ever.
//! What it costs in time and memory is `bench_hostile`'s to say.

use postroom_core::mail::Mail;
use postroom_core::ports::{ReadContext, ReadMail, ShowHtml};
use postroom_core::text::{SUBJECT_CHARS, TEXT_BYTES};
use postroom_ingest::limits::Limits;
use postroom_ingest::reader::Reader;
use std::thread;
use support::bombs;

/// Less than a worker's stack: what recurses dies here.
const STACK: usize = 512 * 1024;

fn read(raw: Vec<u8>) -> (Mail, usize) {
    let reading = thread::Builder::new().stack_size(STACK).spawn(move || {
        let reader = Reader::default();
        let mail = reader.read(&raw, &ReadContext::default());
        (mail, reader.html(&raw, &ShowHtml { remote_images: true, ..ShowHtml::default() }).html.len())
    });
    reading.expect("a thread can be started").join().expect("nothing stumbles")
}

#[test]
fn every_bomb_is_read_within_bounds() {
    let shapes = bombs::all();
    assert!(shapes.len() >= 50, "{}", shapes.len());
    let limits = Limits::default();
    for (name, raw) in shapes {
        let (mail, shown) = read(raw);
        let problem = mail.problem.clone().unwrap_or_default();
        assert!(!problem.contains("stumbled"), "{name}: {problem}");
        assert!(mail.text.len() <= TEXT_BYTES, "{name}");
        assert!(mail.subject.chars().count() <= SUBJECT_CHARS, "{name}");
        let addresses = [&mail.from, &mail.to, &mail.cc, &mail.reply_to].map(Vec::len).iter().sum::<usize>();
        assert!(addresses <= limits.addresses, "{name}: {addresses}");
        assert!(mail.references.len() <= limits.field_bytes + 4096, "{name}");
        assert!(mail.parts.len() <= limits.files && mail.failed_recipients.len() <= 100, "{name}");
        assert!(mail.about_ids.len() <= 20 && mail.signals.len() <= 40, "{name}");
        // What is shown is at most a text and its markup.
        assert!(shown <= 8 * TEXT_BYTES, "{name}: {shown}");
        let next = b"From: ada@x.example\nSubject: next\n\nHello\n".to_vec();
        let (next, _) = read(next);
        assert_eq!(
            (next.subject.as_str(), next.text.as_str(), next.problem),
            ("next", "Hello\n", None),
            "{name}"
        );
    }
}
