//! The wire to an SMTP server: commands out, replies in, each within a time and a size.
//!
//! lettre's `AsyncSmtpConnection` (0.11.23) is not driven here, for it can't do what is needed:
//! a reply that is not UTF-8 is an error to it, which after the final dot means not knowing
//! whether the mail was taken; it reads a line without end into memory; after STARTTLS it
//! believes bytes that came before TLS (the fault of CVE-2011-0411, on the client's side); it
//! throws the SIZE of the EHLO reply away; and its `message` writes body and dot in one, so that
//! a failure before the dot looks like one after it. Its stream, its TLS and its commands are
//! sound and used.
#![expect(
    deprecated,
    reason = "lettre's stream is public and its TLS works; only its publicness is regretted"
)]

use crate::tls;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use lettre::transport::smtp::client::{AsyncNetworkStream, TlsParameters};
use std::fmt::Display;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest reply line, in bytes. RFC 5321 section 4.5.3.1.5 allows 512; Exchange writes more.
const LINE_BYTES: usize = 4096;
/// The longest reply with all its lines, in bytes.
const REPLY_BYTES: usize = 64 * 1024;
/// How much of a body is written at a time, in bytes.
const BLOCK_BYTES: usize = 64 * 1024;
/// How long a server that stopped taking a body may need to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a server answered (RFC 5321 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 to 599.
    pub(crate) code: u16,
    /// The text of each line, without code.
    pub(crate) lines: Vec<String>,
}

impl Reply {
    /// The lines in one.
    pub(crate) fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The server did as it was told.
    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The server refuses and will go on refusing.
    pub(crate) fn is_permanent(&self) -> bool {
        self.code >= 500
    }
}

/// Why there is no reply. After one of these nothing can be asked any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("closed the connection")]
    Closed,
    #[error("lost the connection")]
    Lost(#[source] io::Error),
    #[error("gave no answer within {0:?}")]
    Late(Duration),
    #[error("gave an answer without end")]
    Endless,
    #[error("gave an answer that is not SMTP")]
    Foreign,
    #[error("could not agree on TLS: {0}")]
    Tls(String),
}

/// A connection to a server.
pub(crate) struct Wire {
    stream: AsyncNetworkStream,
    /// Bytes that have come and have not been read as a reply.
    unread: Vec<u8>,
    /// There is nobody there, or we are out of step.
    is_broken: bool,
    /// What is written now is part of a mail.
    in_mail: bool,
}

impl Wire {
    /// Takes over a fresh connection; nothing has been read yet.
    pub(crate) fn new(stream: TcpStream) -> Self {
        let stream = AsyncNetworkStream::use_existing_tokio1(Box::new(stream));
        Self { stream, unread: Vec::new(), is_broken: false, in_mail: false }
    }

    /// Whether a command may be sent.
    pub(crate) fn takes_commands(&self) -> bool {
        !self.is_broken && !self.in_mail
    }

    /// Encrypts the connection from here on.
    pub(crate) async fn encrypt(&mut self, parameters: TlsParameters, limit: Duration) -> Result<(), Broken> {
        if !self.unread.is_empty() {
            // somebody between us and the server put words into its mouth
            self.is_broken = true;
            return Err(Broken::Tls("there were bytes in plain after the answer to STARTTLS".to_owned()));
        }
        let done = match tokio::time::timeout(limit, self.stream.upgrade_tls(parameters)).await {
            Ok(done) => done.map_err(|error| Broken::Tls(tls::in_words(&error))),
            Err(_) => Err(Broken::Late(limit)),
        };
        self.is_broken |= done.is_err();
        done
    }

    /// Sends a command, line end included, and waits for its reply.
    pub(crate) async fn command(&mut self, command: impl Display, limit: Duration) -> Result<Reply, Broken> {
        self.ask(command, limit, || {}).await
    }

    async fn ask(
        &mut self,
        command: impl Display,
        limit: Duration,
        gone: impl FnOnce(),
    ) -> Result<Reply, Broken> {
        let line = command.to_string();
        self.within(limit, async move |wire| {
            if !wire.unread.is_empty() {
                // it spoke unasked: that it closes (RFC 5321 section 3.8) is fair, all else would
                // be taken for the answer to a question not yet put
                let unasked = wire.read_reply().await?;
                return if unasked.code == 421 { Ok(unasked) } else { Err(Broken::Foreign) };
            }
            wire.write(line.as_bytes()).await?;
            gone();
            wire.read_reply().await
        })
        .await
    }

    /// Waits for what the server says by itself: its greeting.
    pub(crate) async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        self.within(limit, async |wire| wire.read_reply().await).await
    }

    /// From here on all that is written is mail, until [`Self::dot`] is answered: there is no way
    /// back but to hang up. False where the server has already said more than it was asked, which
    /// would be taken for its answer to the mail.
    pub(crate) fn begin_mail(&mut self) -> bool {
        self.in_mail = true;
        self.unread.is_empty()
    }

    /// Writes a mail with its dots doubled. On failure the server may still have said why.
    pub(crate) async fn mail(
        &mut self,
        stuffed: &[u8],
        limit: Duration,
    ) -> Result<(), (Broken, Option<Reply>)> {
        for block in stuffed.chunks(BLOCK_BYTES) {
            let written = self.within(limit, async |wire| wire.write(block).await).await;
            if let Err(broken) = written {
                let last_words = self.reply(LAST_WORDS).await.ok();
                return Err((broken, last_words));
            }
        }
        Ok(())
    }

    /// Ends the mail and waits for the verdict. Without one it may have been taken. `gone` is called in
    /// between.
    pub(crate) async fn dot(&mut self, limit: Duration, gone: impl FnOnce()) -> Result<Reply, Broken> {
        let reply = self.ask(".\r\n", limit, gone).await?;
        self.in_mail = false;
        Ok(reply)
    }

    async fn within<T>(
        &mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let done = match tokio::time::timeout(limit, work(self)).await {
            Ok(done) => done,
            Err(_) => Err(Broken::Late(limit)),
        };
        self.is_broken |= done.is_err();
        done
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(bytes).await.map_err(Broken::Lost)?;
        self.stream.flush().await.map_err(Broken::Lost)
    }

    async fn read_reply(&mut self) -> Result<Reply, Broken> {
        let mut reply: Option<Reply> = None;
        let mut size = 0;
        loop {
            let line = self.read_line().await?;
            size += line.len();
            if size > REPLY_BYTES {
                return Err(Broken::Endless);
            }
            let (code, is_last, text) = read_reply_line(&line).ok_or(Broken::Foreign)?;
            let reply = reply.get_or_insert_with(|| Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Broken::Foreign);
            }
            reply.lines.push(text);
            if is_last {
                return Ok(reply.clone());
            }
        }
    }

    /// A line without its end.
    async fn read_line(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                line.pop_if(|last| *last == b'\r');
                return Ok(line);
            }
            if self.unread.len() > LINE_BYTES {
                return Err(Broken::Endless);
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk).await.map_err(Broken::Lost)? {
                0 => return Err(Broken::Closed),
                count => self.unread.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

/// Code, whether it is the last line, and text. Text that is not UTF-8 is still an answer.
fn read_reply_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_at_checked(3)?;
    if !matches!(code[0], b'2'..=b'5') || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let (is_last, text) = match rest.split_first() {
        // RFC 5321 section 4.2: a client must take a code without text
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_lines_are_read() {
        assert_eq!(read_reply_line(b"250 ok"), Some((250, true, "ok".into())));
        assert_eq!(read_reply_line(b"250-more"), Some((250, false, "more".into())));
        assert_eq!(read_reply_line(b"354"), Some((354, true, String::new())));
        assert_eq!(read_reply_line(b"550 f\xFCr"), Some((550, true, "f\u{FFFD}r".into())));
        for foreign in [&b""[..], b"25", b"650 x", b"2x0 y", b"250_x", b"HTTP/1.1 400"] {
            assert_eq!(read_reply_line(foreign), None);
        }
    }
}
