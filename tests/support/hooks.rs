//! A receiver of webhooks on loopback that keeps what it is sent and answers as the test likes.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The request line.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Call {
    /// A header that is there.
    ///
    /// # Panics
    /// If it is not.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name} in {:?}", self.headers), |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status, further header lines, and a body.
    Says(u16, String, Vec<u8>),
    /// Says nothing, and keeps the line open.
    Silence,
    /// Begins an answer that never ends, a byte at a time.
    Drips(u16),
}

impl Reply {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self::Says(status, String::new(), Vec::new())
    }
}

type Script = Box<dyn Fn(&Call) -> Reply + Send + Sync>;

/// The receiver. It ends with its value.
pub struct Hooks {
    /// Where it is.
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

impl Hooks {
    /// A receiver that takes everything.
    ///
    /// # Panics
    /// If loopback has no port left.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_| Reply::status(204))));
        let (kept, answers) = (Arc::clone(&calls), Arc::clone(&script));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                tokio::spawn(async move {
                    // Whoever hangs up in the middle is no call.
                    drop(serve(stream, &kept, &answers).await);
                });
            }
        });
        Self { url, calls, script, serving }
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// Everything that came, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    calls: &Mutex<Vec<Call>>,
    script: &Mutex<Script>,
) -> std::io::Result<()> {
    let Some(call) = read(&mut stream).await? else { return Ok(()) };
    let reply = {
        let script = script.lock().unwrap_or_else(PoisonError::into_inner);
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        script(&call)
    };
    match reply {
        Reply::Says(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        }
        Reply::Silence => stream.read_u8().await.map(drop),
        Reply::Drips(status) => {
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: 1000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b".").await?;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Call>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Ok(Some(Call { line, headers, body }))
}
