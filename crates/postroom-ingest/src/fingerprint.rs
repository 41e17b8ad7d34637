//! What makes two copies of a mail the same mail: the sender, the date, the matter and what it says, but
//! not the way it took. Copies that came through a list and directly have other
//! headers and other encodings; a sender that uses one Message-ID twice says other things.

use postroom_core::threading::subject;
use sha2::{Digest, Sha256};

/// A fingerprint in the making.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    whole: Sha256,
    room: Vec<u8>,
    has_date: bool,
    has_content: bool,
}

impl Fingerprint {
    /// Begins with the folded address of the sender, the Date header as written, and the subject
    /// without what lists and programs put before it.
    pub(crate) fn new(from: &str, date: &str, subject: &str) -> Self {
        let mut whole = Sha256::new();
        whole.update(b"postroom mail 1\0");
        whole.update(from.as_bytes());
        whole.update(b"\0");
        // Relays fold headers anew, and some put two spaces for one.
        for word in date.split_ascii_whitespace() {
            whole.update(word.as_bytes());
            whole.update(b" ");
        }
        whole.update(b"\0");
        for word in subject::base(subject).0.split_whitespace() {
            whole.update(word.as_bytes());
        }
        whole.update(b"\0");
        let has_date = !date.trim_ascii().is_empty();
        Self { whole, room: Vec::new(), has_date, has_content: false }
    }

    /// Adds a text; its white space does not count, and an empty one is none.
    pub(crate) fn add_text(&mut self, text: &str) {
        self.room.clear();
        self.room.reserve(text.len());
        for word in text.as_bytes().split(u8::is_ascii_whitespace) {
            self.room.extend_from_slice(word);
        }
        if !self.room.is_empty() {
            let hash = Sha256::digest(&self.room);
            self.add(b't', &hash);
        }
    }

    /// Adds a file by the SHA-256 of its content.
    pub(crate) fn add_file(&mut self, hash: &[u8]) {
        self.add(b'f', hash);
    }

    fn add(&mut self, kind: u8, hash: &[u8]) {
        self.has_content = true;
        self.whole.update([kind]);
        self.whole.update(hash);
    }

    /// The fingerprint; all zeros, which equal nothing, where there is no date or no content to tell
    /// two mails apart by (an alarm that is sent twice, "host1 DOWN" and "host2 DOWN").
    pub(crate) fn finish(self) -> [u8; 32] {
        if self.has_date && self.has_content { self.whole.finalize().into() } else { [0; 32] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &str, date: &str, texts: &[&str], files: &[&str]) -> [u8; 32] {
        about("Parcel 1", from, date, texts, files)
    }

    fn about(subject: &str, from: &str, date: &str, texts: &[&str], files: &[&str]) -> [u8; 32] {
        let mut print = Fingerprint::new(from, date, subject);
        for text in texts {
            print.add_text(text);
        }
        for file in files {
            print.add_file(&Sha256::digest(file));
        }
        print.finish()
    }

    #[test]
    fn white_space_and_empty_texts_do_not_count() {
        let one = of("a@x.example", "Mon, 5 Jan", &["Hello\r\nyou"], &["f"]);
        assert_eq!(one, of("a@x.example", " Mon,  5\tJan ", &["Hello  you\n", " \n"], &["f"]));
    }

    #[test]
    fn what_a_list_puts_before_the_subject_does_not_count() {
        let of = |subject| about(subject, "a@x.example", "d", &["text"], &[]);
        assert_eq!(of("Parcel 1"), of("[users] Re:  parcel 1"));
    }

    #[test]
    fn everything_else_counts() {
        let base = of("a@x.example", "d", &["text"], &["f"]);
        let others = [
            of("b@x.example", "d", &["text"], &["f"]),
            of("a@x.example", "e", &["text"], &["f"]),
            of("a@x.example", "d", &["texts"], &["f"]),
            of("a@x.example", "d", &["text"], &["g"]),
            of("a@x.example", "d", &["text"], &[]),
            of("a@x.example", "d", &["te", "xt"], &["f"]),
            of("a@x.example", "d", &[], &["f"]),
            of("a@x.exampled", "", &["text"], &["f"]),
            about("Parcel 2", "a@x.example", "d", &["text"], &["f"]),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(base, *other, "{at}");
        }
    }
}
