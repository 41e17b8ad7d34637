//! A mailbox's SMTP server: its settings, and how it is reached.

use postroom_core::mailbox::{Delivery, Security};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many of a host's addresses are tried.
const ADDRESSES: usize = 8;

/// The settings of a mailbox's SMTP server.
pub(crate) struct Server<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) username: Option<&'a str>,
    pub(crate) ca_file: Option<&'a str>,
}

impl<'a> Server<'a> {
    /// `None` where there is no server.
    pub(crate) fn of(delivery: &'a Delivery) -> Option<Self> {
        let Delivery::Smtp { host, port, security, username, ca_file, .. } = delivery else { return None };
        Some(Self {
            host: host.trim_matches(['[', ']']),
            port: *port,
            security: *security,
            username: username.as_deref(),
            ca_file: ca_file.as_deref(),
        })
    }

    /// `host:port`, for sentences.
    pub(crate) fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// As DNS and certificates know it.
    pub(crate) fn ascii_host(&self) -> String {
        idna::domain_to_ascii(self.host).unwrap_or_else(|_| self.host.to_owned())
    }

    /// A connection to one of the host's addresses. The fault is a sentence.
    pub(crate) async fn reach(&self, limit: Duration) -> Result<TcpStream, String> {
        let place = self.place();
        let addresses: Vec<SocketAddr> =
            match timeout(limit, tokio::net::lookup_host((self.ascii_host(), self.port))).await {
                Ok(Ok(found)) => found.take(ADDRESSES).collect(),
                Ok(Err(error)) => return Err(format!("can't find the host {}: {error}", self.host)),
                Err(_) => {
                    return Err(format!("can't find the host {}: no answer within {limit:?}", self.host));
                }
            };
        if self.security == Security::None && !addresses.iter().all(|at| at.ip().to_canonical().is_loopback())
        {
            return Err(format!("{place} is another machine, and nothing is sent there unencrypted"));
        }
        let mut fault = "it has no address".to_owned();
        for address in addresses {
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // small writes that wait for an answer each: nothing is gained by holding them
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY could not be set");
                    }
                    return Ok(stream);
                }
                Ok(Err(error)) => fault = error.to_string(),
                Err(_) => fault = format!("no answer within {limit:?}"),
            }
        }
        Err(format!("can't reach {place}: {fault}"))
    }
}
