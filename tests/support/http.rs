//! A small HTTP/1.1 client for loopback: one connection per request, JSON in and out, and a reader
//! of event streams.

use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take before the test gives up; no test measures with it.
const PATIENCE: Duration = Duration::from_mins(2);

/// Somebody who speaks to the server at one address, with one token or none.
#[derive(Debug, Clone)]
pub struct Http {
    server: SocketAddr,
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
    /// `GET /path`, for messages.
    asked: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The body as text, what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{}: {} is no JSON: {error}\n{}", self.asked, self.status, self.text())
        })
    }

    /// This answer, if it has this status.
    ///
    /// # Panics
    /// If it has another one; the message holds the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}: {}", self.asked, self.status, self.text());
        self
    }
}

impl Http {
    /// Speaks to `server` without a token.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, token: None }
    }

    /// The same with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { server: self.server, token: Some(token.to_owned()) }
    }

    /// The same at another address.
    pub fn at(&self, server: SocketAddr) -> Self {
        Self { server, token: self.token.clone() }
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.server
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"").await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json("PATCH", path, body).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body).await
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.send(method, path, &headers, body.to_string().as_bytes()).await
    }

    /// Any request: further headers, any bytes as the body.
    ///
    /// # Panics
    /// If the server can't be reached or its answer is no HTTP.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let asked = format!("{method} {path}");
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Like [`send`](Self::send), for servers that may be gone.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let exchange = async {
            let mut reader = self.ask(method, path, headers, body).await?;
            let (status, headers) = reader.head().await?;
            let bodiless = method == "HEAD" || matches!(status, 204 | 304);
            let body = match () {
                () if bodiless => Vec::new(),
                // It never ends: its first piece.
                () if is_stream(&headers) => reader.chunk().await?,
                () => reader.body(&headers).await?,
            };
            Ok(Answer { status, headers, body, asked: format!("{method} {path}") })
        };
        timeout(PATIENCE, exchange).await?
    }

    /// Opens an event stream (`text/event-stream`); `headers` may hold `Last-Event-ID`.
    ///
    /// # Panics
    /// If the server doesn't answer 200.
    pub async fn events(&self, path: &str, headers: &[(&str, &str)]) -> EventStream {
        let opening = async {
            let mut reader = self.ask("GET", path, headers, b"").await?;
            let (status, headers) = reader.head().await?;
            if status != 200 {
                let body = reader.body(&headers).await?;
                return Err(Error::other(format!("{status}: {}", String::from_utf8_lossy(&body))));
            }
            let chunked = is_chunked(&headers);
            Ok(EventStream { reader, chunked, text: Vec::new() })
        };
        let opened = timeout(PATIENCE, opening).await.unwrap_or_else(|late| Err(late.into()));
        opened.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reader> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.server);
        if let Some(token) = &self.token {
            let _ = write!(head, "Authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut socket = TcpStream::connect(self.server).await?;
        socket.write_all(head.as_bytes()).await?;
        // A server may answer and close before it has read a body that it refuses.
        let _ = socket.write_all(body).await;
        Ok(Reader { socket, ahead: Vec::new() })
    }
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `id:`, empty if the event has none.
    pub id: String,
    /// `event:`, `message` if the event has none.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// An open event stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    reader: Reader,
    chunked: bool,
    text: Vec<u8>,
}

impl EventStream {
    /// The next event; comments that keep the connection alive are left out.
    ///
    /// # Panics
    /// If the stream ends, or nothing comes for two minutes.
    pub async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.read_event())
            .await
            .unwrap_or_else(|late| Err(late.into()))
            .unwrap_or_else(|error| panic!("the event stream broke: {error}"))
    }

    /// Reads on until an event satisfies `wanted`, and answers that one.
    ///
    /// # Panics
    /// If the stream ends before, or nothing comes for two minutes.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Whether the stream ends now, and as a whole: it was not cut.
    ///
    /// # Panics
    /// If it is neither read to its end nor cut within two minutes.
    pub async fn ends_well(&mut self) -> bool {
        let reading = async {
            loop {
                match self.reader.chunk().await {
                    Ok(more) if more.is_empty() => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("the stream ends")
    }

    async fn read_event(&mut self) -> Result<Event> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = parse_event(&String::from_utf8_lossy(&block)) {
                    return Ok(event);
                }
                continue;
            }
            let more = if self.chunked { self.reader.chunk().await? } else { self.reader.some().await? };
            if more.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.text.extend(more.into_iter().filter(|byte| *byte != b'\r'));
        }
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let mut event = Event { id: String::new(), name: "message".to_owned(), data: String::new() };
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (!data.is_empty()).then_some(event)
}

#[derive(Debug)]
struct Reader {
    socket: TcpStream,
    ahead: Vec<u8>,
}

impl Reader {
    async fn head(&mut self) -> Result<(u16, Vec<(String, String)>)> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::other(format!("no HTTP: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| Error::other(line.clone()))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn body(&mut self, headers: &[(String, String)]) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        if let Some((_, length)) = length {
            let length = length.parse().map_err(Error::other)?;
            return self.exactly(length).await;
        }
        loop {
            let more = if is_chunked(headers) { self.chunk().await? } else { self.some().await? };
            if more.is_empty() {
                return Ok(body);
            }
            body.extend(more);
        }
    }

    /// The next chunk (RFC 9112 section 7.1); the last one is empty.
    async fn chunk(&mut self) -> Result<Vec<u8>> {
        let size = self.line().await?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let chunk = self.exactly(usize::from_str_radix(size, 16).map_err(Error::other)?).await?;
        self.line().await?;
        Ok(chunk)
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.more().await?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Whatever comes next; nothing at the end.
    async fn some(&mut self) -> Result<Vec<u8>> {
        if self.ahead.is_empty()
            && let Err(error) = self.more().await
            && error.kind() != ErrorKind::UnexpectedEof
        {
            return Err(error);
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    async fn more(&mut self) -> Result<()> {
        let count = self.socket.read_buf(&mut self.ahead).await?;
        if count == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn is_chunked(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked"))
}

fn is_stream(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| name == "content-type" && value == "text/event-stream")
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
