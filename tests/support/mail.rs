//! Mails for tests, from a few words: the same words give the same bytes, ids and dates included.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The Date of a mail that is given none.
pub const DATE: &str = "Mon, 02 Nov 2026 09:00:00 +0000";

/// A mail in the making.
#[derive(Debug, Clone, Default)]
pub struct TestMail {
    from: String,
    to: Vec<String>,
    cc: Vec<String>,
    subject: String,
    date: Option<String>,
    id: Option<String>,
    without_id: bool,
    in_reply_to: Option<String>,
    references: Vec<String>,
    headers: Vec<(String, String)>,
    text: String,
    html: Option<String>,
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    name: String,
    content_type: String,
    content_id: Option<String>,
    bytes: Vec<u8>,
}

/// A mail from `Ada <ada@example.org>` to `support@example.org`, until it is told otherwise.
pub fn mail() -> TestMail {
    TestMail {
        from: "Ada <ada@example.org>".to_owned(),
        subject: "Hello".to_owned(),
        text: "Hello!".to_owned(),
        ..TestMail::default()
    }
}

impl TestMail {
    /// `Ada <ada@example.org>` or an address alone; the name may be in any script.
    pub fn from(mut self, from: &str) -> Self {
        from.clone_into(&mut self.from);
        self
    }

    /// One recipient more; the first call replaces the default one.
    pub fn to(mut self, to: &str) -> Self {
        self.to.push(to.to_owned());
        self
    }

    /// One Cc more.
    pub fn cc(mut self, cc: &str) -> Self {
        self.cc.push(cc.to_owned());
        self
    }

    /// The subject, in any script.
    pub fn subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    /// The Date header's value (RFC 5322 section 3.3).
    pub fn date(mut self, date: &str) -> Self {
        self.date = Some(date.to_owned());
        self
    }

    /// The Message-ID, with angle brackets.
    pub fn message_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// No Message-ID at all.
    pub fn without_message_id(mut self) -> Self {
        self.without_id = true;
        self
    }

    /// In-Reply-To, with angle brackets. References gets it too, unless [`references`] gives others.
    ///
    /// [`references`]: Self::references
    pub fn in_reply_to(mut self, id: &str) -> Self {
        self.in_reply_to = Some(id.to_owned());
        self
    }

    /// References, with angle brackets, the oldest first.
    pub fn references(mut self, ids: &[&str]) -> Self {
        self.references = ids.iter().map(|id| (*id).to_owned()).collect();
        self
    }

    /// Another header, as it is. A value with a line end makes a header of more than one line, or a
    /// broken one: that is the caller's to say.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text, in any script, with any line ends.
    pub fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// HTML beside the text (`multipart/alternative`).
    pub fn html(mut self, html: &str) -> Self {
        self.html = Some(html.to_owned());
        self
    }

    /// A file (`multipart/mixed`).
    pub fn attachment(mut self, name: &str, content_type: &str, bytes: &[u8]) -> Self {
        let file = File {
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            content_id: None,
            bytes: bytes.to_vec(),
        };
        self.files.push(file);
        self
    }

    /// A picture that the HTML shows as `cid:content_id`.
    pub fn inline(mut self, content_id: &str, content_type: &str, bytes: &[u8]) -> Self {
        let file = File {
            name: content_id.replace('@', "-"),
            content_type: content_type.to_owned(),
            content_id: Some(content_id.to_owned()),
            bytes: bytes.to_vec(),
        };
        self.files.push(file);
        self
    }

    /// The Message-ID that the mail has or will have, with angle brackets: of sender, subject, text
    /// and date, if none was given.
    pub fn id(&self) -> String {
        if let Some(id) = &self.id {
            return id.clone();
        }
        let words = [&self.from, &self.subject, &self.text, self.date.as_deref().unwrap_or(DATE)];
        let domain = address(&self.from).rsplit('@').next().unwrap_or("example.org");
        format!("<{:016x}@{domain}>", fnv(&words.join("\0")))
    }

    /// The mail, with CRLF line ends.
    pub fn build(&self) -> Vec<u8> {
        let to = if self.to.is_empty() { vec!["support@example.org".to_owned()] } else { self.to.clone() };
        let mut head = vec![
            ("From".to_owned(), mailbox(&self.from)),
            ("To".to_owned(), to.iter().map(|to| mailbox(to)).collect::<Vec<_>>().join(",\r\n ")),
        ];
        let mut add = |name: &str, value: String| head.push((name.to_owned(), value));
        if !self.cc.is_empty() {
            add("Cc", self.cc.iter().map(|cc| mailbox(cc)).collect::<Vec<_>>().join(",\r\n "));
        }
        add("Subject", word(&self.subject));
        add("Date", self.date.clone().unwrap_or_else(|| DATE.to_owned()));
        if !self.without_id {
            add("Message-ID", self.id());
        }
        if let Some(id) = &self.in_reply_to {
            add("In-Reply-To", id.clone());
        }
        if !self.references.is_empty() {
            add("References", self.references.join("\r\n "));
        } else if let Some(id) = &self.in_reply_to {
            add("References", id.clone());
        }
        add("MIME-Version", "1.0".to_owned());
        head.extend(self.headers.iter().cloned());
        let lines: Vec<String> = head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}{}", lines.concat(), self.content()).into_bytes()
    }

    /// Content headers and body.
    fn content(&self) -> String {
        let text = leaf("text/plain; charset=utf-8", "", &crlf(&self.text));
        let mut content = match &self.html {
            Some(html) => {
                multipart("alternative", &[text, leaf("text/html; charset=utf-8", "", &crlf(html))])
            }
            None => text,
        };
        for (kind, inline) in [("related", true), ("mixed", false)] {
            let files = self.files.iter().filter(|file| file.content_id.is_some() == inline);
            let parts: Vec<String> = files.map(File::part).collect();
            if !parts.is_empty() {
                content = multipart(kind, &[&[content][..], &parts].concat());
            }
        }
        content
    }
}

impl File {
    fn part(&self) -> String {
        let name = if self.name.is_ascii() {
            format!("filename=\"{}\"", self.name.replace(['"', '\\'], "_"))
        } else {
            // RFC 2231.
            format!("filename*=utf-8''{}", percent(&self.name))
        };
        let more = match &self.content_id {
            Some(id) => format!("Content-ID: <{id}>\r\nContent-Disposition: inline; {name}\r\n"),
            None => format!("Content-Disposition: attachment; {name}\r\n"),
        };
        format!(
            "Content-Type: {}\r\n{more}Content-Transfer-Encoding: base64\r\n\r\n{}",
            self.content_type,
            base64_lines(&self.bytes)
        )
    }
}

/// 7bit where that does, else base64.
fn leaf(content_type: &str, more: &str, text: &str) -> String {
    let simple = text.is_ascii() && text.split("\r\n").all(|line| line.len() <= 998);
    let (encoding, body) =
        if simple { ("7bit", format!("{text}\r\n")) } else { ("base64", base64_lines(text.as_bytes())) };
    format!("Content-Type: {content_type}\r\n{more}Content-Transfer-Encoding: {encoding}\r\n\r\n{body}")
}

fn multipart(kind: &str, parts: &[String]) -> String {
    let border = format!("={kind}-{:016x}=", fnv(&parts.concat()));
    let parts: Vec<String> = parts.iter().map(|part| format!("--{border}\r\n{part}\r\n")).collect();
    let head = format!("Content-Type: multipart/{kind};\r\n boundary=\"{border}\"\r\n\r\n");
    format!("{head}{}--{border}--\r\n", parts.concat())
}

/// A name and an address, the name encoded where it must be.
fn mailbox(text: &str) -> String {
    match text.rsplit_once(" <") {
        Some((name, rest)) if !name.is_ascii() => format!("{} <{rest}", word(name)),
        _ => text.to_owned(),
    }
}

fn address(text: &str) -> &str {
    text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'))
}

/// Encoded words (RFC 2047) of at most 75 characters, if the text needs them.
fn word(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for letter in text.chars() {
        if words.last().is_some_and(|word| word.len() + letter.len_utf8() > 42) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

fn percent(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let one = |byte: u8| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn base64_lines(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let lines = encoded.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line)));
    lines.collect()
}

/// FNV-1a: a number that the same words always give.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(mail: &TestMail) -> String {
        String::from_utf8(mail.build()).unwrap()
    }

    #[test]
    fn the_same_words_give_the_same_bytes() {
        let mail = mail().subject("Parcel lost").text("Where is it?");
        assert_eq!(mail.build(), mail.clone().build());
        assert_ne!(mail.id(), mail.clone().text("Where?").id());
        assert!(mail.id().ends_with("@example.org>"));
        let answer = super::mail().in_reply_to(&mail.id());
        assert!(built(&answer).contains(&format!("In-Reply-To: {0}\r\nReferences: {0}\r\n", mail.id())));
    }

    #[test]
    fn a_plain_mail_is_seven_bits_with_crlf() {
        let text = built(&mail().text("one\ntwo"));
        assert!(text.ends_with("Content-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n"), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
    }

    #[test]
    fn every_script_goes_through_ascii() {
        let mail = mail()
            .from("Ömer Şahin <omer@example.org>")
            .subject("Sipariş numaram nerede? Lütfen çok acil bakar mısınız, bekliyorum")
            .text("Günaydın")
            .attachment("fatura-ğ.pdf", "application/pdf", b"%PDF");
        let text = built(&mail);
        assert!(text.is_ascii());
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
        assert!(text.contains("filename*=utf-8''fatura-%C4%9F.pdf"));
    }

    #[test]
    fn html_pictures_and_files_nest_as_clients_nest_them() {
        let text = built(
            &mail()
                .html("<img src=\"cid:logo@x\">")
                .inline("logo@x", "image/png", b"png")
                .attachment("list.csv", "text/csv", b"a,b"),
        );
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words} in {text}"));
        assert!(at("multipart/mixed") < at("multipart/related"));
        assert!(at("multipart/related") < at("multipart/alternative"));
        assert!(at("text/html") < at("Content-ID: <logo@x>"));
        assert!(at("image/png") < at("text/csv"));
    }

    #[test]
    fn ids_and_headers_are_as_they_were_given() {
        let with = built(&mail().message_id("<1@x>").header("X-Loop", "yes"));
        assert!(with.contains("Message-ID: <1@x>\r\n") && with.contains("X-Loop: yes\r\n"));
        assert!(!built(&mail().without_message_id()).contains("Message-ID"));
    }
}
