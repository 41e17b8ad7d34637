//! What is put into a mailbox, in which order, and where each mail belongs: all of it from a seed.

use std::env;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use support::mail::{TestMail, mail};

/// Numbers that a seed decides (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end - 1`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// The seed of this run: `CHAOS_SEED`, or a new one. Said on standard error, so that a failure can be
/// played again.
pub fn seed(case: &str) -> u64 {
    let seed = match env::var("CHAOS_SEED") {
        Ok(text) => text.parse().expect("CHAOS_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs()),
    };
    say(&format!("{case}: CHAOS_SEED={seed}"));
    seed
}

/// Prints a line that the test's own capture does not keep back.
pub fn say(line: &str) {
    // Nobody listening is no fault of what is tested.
    let _ = writeln!(std::io::stderr(), "chaos: {line}");
}

/// One mail as it is placed in the folder.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its bytes. Two that are equal are one mail that was delivered twice.
    pub raw: Vec<u8>,
    /// The conversation it belongs to.
    pub thread: usize,
}

/// Mails in the order in which they are placed.
#[derive(Debug, Clone)]
pub struct Plan {
    pub mails: Vec<Placed>,
    /// What was written through the API, and acknowledged. Each text is another one.
    pub written: Vec<String>,
}

impl Plan {
    /// `count` mails in about a third as many conversations, each of one customer, in any order. One
    /// is there twice, two of different content share a Message-ID, some carry a file, and all have
    /// one of three subjects: words alone tell nothing.
    pub fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let mut mails = Vec::with_capacity(count);
        let mut thread = 0;
        while mails.len() < count - 3 {
            let length = (1 + random.below(6)).min(count - 3 - mails.len());
            let started = conversation(&mut random, seed, thread, length);
            mails.extend(started.iter().map(|mail| Placed { raw: mail.build(), thread }));
            thread += 1;
        }
        for program in ["one", "two"] {
            let same = mail()
                .from(&format!("Program {program} <robot@{program}.example>"))
                .subject("Invoice")
                .text(&format!("From program {program}, which gives every mail the same id."))
                .message_id(&format!("<{seed}@localhost>"));
            mails.push(Placed { raw: same.build(), thread });
            thread += 1;
        }
        let twice = random.below(mails.len());
        mails.push(mails[twice].clone());
        random.shuffle(&mut mails);
        Self { mails, written: Vec::new() }
    }

    /// How many different mails there are.
    pub fn distinct(&self) -> usize {
        let mut all: Vec<&[u8]> = self.mails.iter().map(|mail| &*mail.raw).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

fn conversation(random: &mut Random, seed: u64, thread: usize, length: usize) -> Vec<TestMail> {
    let subject = ["Order 4711", "Hello", "Invoice"][random.below(3)];
    // Some customers have more than one conversation.
    let customer = thread % 11;
    let mut ids: Vec<String> = Vec::new();
    let mut mails = Vec::new();
    for number in 0..length {
        let id = format!("<{seed}.{thread}.{number}@customer{customer}.example>");
        let mut new = mail()
            .from(&format!("Customer {customer} <c{customer}@customer{customer}.example>"))
            .date(&format!("Mon, 02 Nov 2026 {:02}:{:02}:00 +0000", 8 + number, thread % 60))
            .text(&format!("Mail {number} of conversation {thread}: {:016x}\n", random.next()))
            .message_id(&id);
        new = if let Some(last) = ids.last() {
            let chain: Vec<&str> = ids.iter().map(String::as_str).collect();
            new.subject(&format!("Re: {subject}")).in_reply_to(last).references(&chain)
        } else {
            new.subject(subject)
        };
        if random.below(6) == 0 {
            let size = 2_000 + random.below(30_000);
            new = new.attachment("picture.jpg", "image/jpeg", &random.bytes(size));
        }
        ids.push(id);
        mails.push(new);
    }
    mails
}
