//! The outside, wired: who reads mail, who writes it, where large files lie, who tries
//! mailboxes. The core asks through its ports.

use crate::authorize::TokenServers;
use crate::config::{Config, Objects, S3};
use anyhow::Context;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use postroom_core::mailbox::{Credential, Delivery, Source};
use postroom_core::ports::{CheckSender, KeepBlob, PortError, Ports, Probe, ProbeMailbox};
use postroom_ingest::sender_check::{AskNobody, DnsKeys};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Wires the ports as the configuration says. Must be called within the runtime that large
/// files are read and written on.
pub fn ports(config: &Config) -> anyhow::Result<Ports> {
    Ok(Ports {
        reader: Arc::new(postroom_ingest::reader::Reader::default()),
        senders: senders(config),
        composer: Arc::new(postroom_outbound::Composer),
        keeper: Arc::new(keeper(config)?),
        prober: Arc::new(Prober),
        authorizer: Arc::new(TokenServers::new(config.oauth.custom.clone())?),
        inspector: Arc::new(postroom_ingest::inspect::Inspector),
    })
}

/// Who checks the signatures of mails. Without a resolver there is mail all the same.
fn senders(config: &Config) -> Arc<dyn CheckSender> {
    if !config.ingest.check_dkim {
        return Arc::new(AskNobody);
    }
    match DnsKeys::new(config.ingest.dns_server) {
        Ok(keys) => Arc::new(keys),
        Err(error) => {
            tracing::warn!(%error, "signatures of mails are not checked");
            Arc::new(AskNobody)
        }
    }
}

/// Large files in a folder or a bucket, each under its hash.
struct Keeper {
    store: Box<dyn ObjectStore>,
    prefix: String,
    runtime: Handle,
}

fn keeper(config: &Config) -> anyhow::Result<Keeper> {
    let runtime = Handle::current();
    let storage = &config.storage;
    if let (Objects::S3, Some(s3)) = (storage.objects, &storage.s3) {
        return Ok(Keeper {
            store: Box::new(bucket(s3)?),
            prefix: s3.prefix.trim_matches('/').to_owned(),
            runtime,
        });
    }
    let folder = storage.data_dir.join("objects");
    crate::key_file::make_data_dir(&folder)?;
    let store = LocalFileSystem::new_with_prefix(&folder)
        .with_context(|| format!("the folder {} can't be used", folder.display()))?
        .with_fsync(true);
    Ok(Keeper { store: Box::new(store), prefix: String::new(), runtime })
}

fn bucket(s3: &S3) -> anyhow::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_access_key_id(&s3.access_key_id)
        .with_secret_access_key(s3.secret()?);
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &s3.endpoint {
        // A server of one's own on this machine may do without TLS; no other may.
        let host = url::Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
        let plain = host.is_some_and(|host| matches!(host.as_str(), "127.0.0.1" | "[::1]" | "localhost"));
        builder = builder.with_endpoint(endpoint).with_allow_http(plain);
    }
    builder.build().context("storage.s3 can't be used")
}

impl Keeper {
    /// Two letters of the hash make a folder: no folder grows without end.
    fn path(&self, hash: &str) -> Result<ObjectPath, PortError> {
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(PortError::new("a blob's name is not a hash"));
        }
        let folder = &hash[..2];
        Ok(if self.prefix.is_empty() {
            ObjectPath::from(format!("{folder}/{hash}"))
        } else {
            ObjectPath::from(format!("{}/{folder}/{hash}", self.prefix))
        })
    }
}

impl KeepBlob for Keeper {
    fn put(&self, hash: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        let path = self.path(hash)?;
        self.runtime
            .block_on(self.store.put(&path, PutPayload::from(bytes)))
            .map(|_| ())
            .map_err(|error| PortError::because(format!("keeping blob {hash}"), error))
    }

    fn get(&self, hash: &str) -> Result<Option<Vec<u8>>, PortError> {
        let path = self.path(hash)?;
        let read = async {
            let found = self.store.get(&path).await?;
            found.bytes().await
        };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(PortError::because(format!("reading blob {hash}"), error)),
        }
    }
}

/// Tries a mailbox where its mail comes from and where it goes.
struct Prober;

impl ProbeMailbox for Prober {
    fn source(&self, source: &Source, credential: Option<&Credential>) -> Probe {
        postroom_ingest::probe::probe_source(source, credential)
    }

    fn delivery(&self, delivery: &Delivery, credential: Option<&Credential>) -> Probe {
        postroom_outbound::probe_delivery(delivery, credential)
    }
}
