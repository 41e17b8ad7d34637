//! The keys of DKIM signatures, asked for in DNS and tried: many at once, and never for longer
//! than a few seconds. Whoever can't be asked has said nothing.

use mail_auth::MessageAuthenticator;
use mail_auth::Txt;
use mail_auth::common::cache::NoCache;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use postroom_core::mail::{SignatureAlgorithm, SignatureClaim};
use postroom_core::ports::CheckSender;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long a batch of mail waits for DNS, all its questions together.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one try of one question may take, and how often it is tried.
const ANSWER: Duration = Duration::from_secs(2);
const TRIES: usize = 2;
/// Questions under way at a time, over all mailboxes.
const AT_ONCE: usize = 32;
/// Answers that are remembered, each for as long as its server says.
const REMEMBERED: u64 = 4096;
/// Shorter RSA keys prove nothing (RFC 8301 section 3.2).
const KEY_BITS: usize = 1024;
/// Flags of a key (RFC 6376 section 3.6.1): `t=y`, it is being tried out; `t=s`, the signer must
/// not be below its domain.
const TRIED_OUT: u64 = 0x10;
const NOT_BELOW: u64 = 0x20;

/// The resolver can't be made.
#[derive(Debug, thiserror::Error)]
#[error("no DNS resolver can be made: {0}")]
pub struct ResolverError(String);

/// Asks DNS.
#[derive(Clone)]
pub struct DnsKeys {
    resolver: MessageAuthenticator,
    runtime: Handle,
    at_once: Arc<Semaphore>,
    patience: Duration,
}

impl std::fmt::Debug for DnsKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DnsKeys")
    }
}

impl DnsKeys {
    /// Asks one server, or those that the system asks. Must be called within the runtime that is
    /// to do the asking.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, ResolverError> {
        let (config, mut options) = match server {
            Some(server) => (asking(server), ResolverOpts::default()),
            None => read_system_conf().map_err(|error| ResolverError(error.to_string()))?,
        };
        options.timeout = ANSWER;
        options.attempts = TRIES;
        options.cache_size = REMEMBERED;
        let resolver =
            MessageAuthenticator::new(config, options).map_err(|error| ResolverError(error.to_string()))?;
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { resolver, runtime: Handle::current(), at_once, patience: PATIENCE })
    }

    /// With another bound than the five seconds for all questions of a batch.
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The keys under these names, as far as they come in time.
    async fn keys(&self, names: BTreeSet<&str>) -> HashMap<String, Arc<DomainKey>> {
        let deadline = Instant::now() + self.patience;
        let mut asking = JoinSet::new();
        for name in names {
            let (asker, name) = (self.clone(), name.to_owned());
            asking.spawn(async move {
                let _turn = asker.at_once.acquire().await.ok()?;
                let found = asker.resolver.txt_lookup(name.as_str(), None::<&NoCache<Box<str>, Txt>>).await;
                match found {
                    Ok(key) => Some((name, key)),
                    Err(error) => {
                        tracing::debug!(name, %error, "the key of a signature can't be had");
                        None
                    }
                }
            });
        }
        let mut keys = HashMap::new();
        // What is not answered by then is dropped with the set.
        while let Ok(Some(answer)) = timeout_at(deadline, asking.join_next()).await {
            // A question that panicked has no answer either.
            keys.extend(answer.ok().flatten());
        }
        keys
    }
}

/// One server, asked over UDP, and over TCP where an answer is too long.
fn asking(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections.into())])
}

impl CheckSender for DnsKeys {
    fn check(&self, mails: &[Vec<&SignatureClaim>]) -> Vec<bool> {
        let names = mails.iter().flatten().map(|claim| claim.key_name.as_str()).collect();
        let keys = self.runtime.block_on(self.keys(names));
        let holds =
            |claim: &&SignatureClaim| keys.get(&claim.key_name).is_some_and(|key| bears_out(key, claim));
        mails.iter().map(|claims| claims.iter().any(holds)).collect()
    }
}

fn bears_out(key: &DomainKey, claim: &SignatureClaim) -> bool {
    if key.has_flag(TRIED_OUT)
        || (claim.is_below && key.has_flag(NOT_BELOW))
        || key.p.public_key_bits() < KEY_BITS
    {
        return false;
    }
    let algorithm = match claim.algorithm {
        SignatureAlgorithm::RsaSha256 => Algorithm::RsaSha256,
        SignatureAlgorithm::Ed25519Sha256 => Algorithm::Ed25519Sha256,
    };
    let verify = || key.p.verify_bytes(&claim.signed, &claim.signature, algorithm).is_ok();
    // Other people's arithmetic on other people's numbers.
    catch_unwind(AssertUnwindSafe(verify)).unwrap_or(false)
}

/// Asks nobody: no mail has a sender that is borne out by its signature.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskNobody;

impl CheckSender for AskNobody {
    fn check(&self, mails: &[Vec<&SignatureClaim>]) -> Vec<bool> {
        vec![false; mails.len()]
    }
}
