//! Mail like that of a small firm's desk: text and HTML, answers that quote, files now and then.
//! The first mails of a kind are always the same mails.

use std::collections::VecDeque;
use std::env;
use support::mail::{TestMail, mail};

/// What mails are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text alone, as on a list.
    Small,
    /// Text and HTML, files now and then: 16 KiB on the average.
    Usual,
    /// The same with larger files: 64 KiB on the average.
    Office,
}

impl Kind {
    /// Those that `POSTROOM_BENCH_KINDS` names, as `small,office`; else all, the smallest first.
    pub fn wanted() -> Vec<Self> {
        let all = [Self::Small, Self::Usual, Self::Office];
        let Ok(names) = env::var("POSTROOM_BENCH_KINDS") else { return all.to_vec() };
        let named = |name: &str| all.into_iter().find(|kind| kind.name() == name);
        let kinds = names.split(',').map(|name| named(name).unwrap_or_else(|| panic!("no kind {name:?}")));
        kinds.collect()
    }

    /// Its word in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Usual => "usual",
            Self::Office => "office",
        }
    }

    /// Bytes of a mail on the average, which files bring it to; `None` where there are no files.
    fn mean_bytes(self) -> Option<usize> {
        match self {
            Self::Small => None,
            Self::Usual => Some(16 * 1024),
            Self::Office => Some(64 * 1024),
        }
    }
}

/// Answers go to one of so many mails before them.
const RECENT: usize = 100;
/// One mail in so many has a file.
const WITH_FILE: u64 = 4;
/// Customers who write; about one in six mails begins with a new one.
const CUSTOMERS: u64 = 400;

const WORDS: &str = "the order parcel invoice delivery we you they was is has been not yet since Monday \
    morning address street number customer account please thanks kindly regards could would should \
    broken missing wrong colour size blue black large small refund return replacement warranty photo \
    attached see below above question answer about regarding with without from to for and or but also \
    already again still today tomorrow yesterday week month help urgent possible change cancel confirm \
    payment card bank transfer received sent shipped tracking courier warehouse shop website password \
    Lieferung Rechnung Bestellung leider nicht angekommen vielen Dank freundlichen Grüßen Straße \
    siparişim fatura teşekkürler müşteri kargo adresim değişti commande livraison merci d'avance réponse";

/// Numbers that look thrown, and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }
}

/// A mail that may be answered.
struct Sent {
    id: String,
    references: Vec<String>,
    customer: u64,
    subject: String,
    text: String,
}

/// The mails, in the order in which they come, one at a time and without an end.
pub struct Corpus {
    kind: Kind,
    words: Vec<&'static str>,
    dice: Dice,
    /// The last ones, which may be answered.
    sent: VecDeque<Sent>,
    count: usize,
    bytes: usize,
}

impl Corpus {
    /// Those of a kind, from the first.
    pub fn new(kind: Kind) -> Self {
        let words = WORDS.split_whitespace().collect();
        Self { kind, words, dice: Dice(20_261_122), sent: VecDeque::new(), count: 0, bytes: 0 }
    }
}

impl Iterator for Corpus {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let dice = &mut self.dice;
        // Three in five carry a matter on.
        let answered = (!self.sent.is_empty() && dice.below(5) < 3)
            .then(|| &self.sent[dice.below(self.sent.len() as u64) as usize]);
        let (mut draft, note) = one(dice, &self.words, self.count, answered);
        self.count += 1;
        if let Some(mean) = self.kind.mean_bytes() {
            draft = draft.html(&html(&note.text));
            // A file brings the average to where it should be.
            let lacking = (self.count * mean).saturating_sub(self.bytes);
            if dice.below(WITH_FILE) == 0 && lacking > mean + mean / 2 {
                draft = with_file(dice, draft, lacking.min(16 * mean));
            }
        }
        let built = draft.build();
        self.bytes += built.len();
        self.sent.push_back(note);
        if self.sent.len() > RECENT {
            self.sent.pop_front();
        }
        Some(built)
    }
}

fn one(dice: &mut Dice, words: &[&str], number: usize, answered: Option<&Sent>) -> (TestMail, Sent) {
    let customer = answered.map_or_else(|| dice.below(CUSTOMERS), |mail| mail.customer);
    let subject = answered.map_or_else(
        || {
            let length = dice.between(3, 8);
            text(dice, words, length)
        },
        |mail| format!("Re: {}", mail.subject.trim_start_matches("Re: ")),
    );
    let mut body = String::from("Hello,\n\n");
    for _ in 0..dice.between(2, 7) {
        let length = dice.between(20, 90);
        body.push_str(&text(dice, words, length));
        body.push_str(".\n\n");
    }
    body.push_str("Kind regards\nCustomer\n-- \nSent with a mail program\n");
    if let Some(earlier) = answered {
        body.push_str("\nOn Mon, 2 Nov 2026 at 09:00, Support <support@example.org> wrote:\n");
        for line in earlier.text.lines().take(60) {
            body.push_str("> ");
            body.push_str(line);
            body.push('\n');
        }
    }
    let id = format!("<{number}.{:016x}@mail.customer{customer}.example>", dice.next());
    let mut references = answered.map(|mail| mail.references.clone()).unwrap_or_default();
    let mut made = mail()
        .from(&format!("Customer {customer} <someone@customer{customer}.example>"))
        .subject(&subject)
        .message_id(&id)
        .header("Received", "from mx.customer.example (mx.customer.example [192.0.2.25])\r\n\tby mail.example.org (Postfix) with ESMTPS id 4Xq2Wk3bQ1z9tR\r\n\tfor <support@example.org>; Mon,  2 Nov 2026 09:00:03 +0000 (UTC)")
        .header("DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=customer.example; s=mail;\r\n\tt=1793610000; h=from:to:subject:date:message-id:mime-version; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR")
        .header("User-Agent", "Mozilla Thunderbird")
        .text(&body);
    if let Some(earlier) = answered {
        references.push(earlier.id.clone());
        let shown: Vec<&str> = references.iter().map(String::as_str).collect();
        made = made.in_reply_to(&earlier.id).references(&shown);
    }
    (made, Sent { id, references, customer, subject, text: body })
}

fn text(dice: &mut Dice, words: &[&str], length: u64) -> String {
    let picked: Vec<&str> = (0..length).map(|_| words[dice.below(words.len() as u64) as usize]).collect();
    let lines: Vec<String> = picked.chunks(12).map(|line| line.join(" ")).collect();
    lines.join("\n")
}

/// As mail programs write it: much style, little text.
fn html(body: &str) -> String {
    let style = "font-family: Calibri, Arial, sans-serif; font-size: 11pt; color: rgb(0, 0, 0); margin: 0px";
    let lines = body.split("\n\n").map(|paragraph| {
        let paragraph = paragraph.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br>\n");
        format!("<p class=\"MsoNormal\" style=\"{style}\"><span style=\"{style}\">{paragraph}</span></p>\n")
    });
    let lines: String = lines.collect();
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<style>\np.MsoNormal {{ {style} }}\n\
         a:link {{ color: #0563C1; text-decoration: underline }}\n</style>\n</head>\n<body>\n\
         <div class=\"WordSection1\">\n{lines}</div>\n</body>\n</html>\n"
    )
}

/// A picture or a PDF: bytes that don't get smaller. In base64 it takes a third more.
fn with_file(dice: &mut Dice, mail: TestMail, lacking: usize) -> TestMail {
    let size = lacking * 3 / 4;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    if dice.below(2) == 0 {
        mail.attachment("photo.jpg", "image/jpeg", &bytes)
    } else {
        mail.attachment("Rechnung 2026-11.pdf", "application/pdf", &bytes)
    }
}
