//! The outside, wired: who reads mail, who writes it, where large files lie, who tries
//! mailboxes. The core asks through its ports.

use crate::authorize::TokenServers;
use crate::config::{Config, Objects, S3};
use crate::folder::Folder;
use crate::room::Disks;
use anyhow::Context;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use postroom_core::mailbox::{Credential, Delivery, Source};
use postroom_core::object_name::ObjectName;
use postroom_core::ports::{
    CheckSender, KeepBlob, KeepError, KeptObject, PortError, Ports, Probe, ProbeMailbox,
};
use postroom_core::store::conn::DatabaseUrl;
use postroom_core::time::Timestamp;
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
        room: Arc::new(disks(config)?),
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

/// Large files in a folder or a bucket, each under its name.
enum Keeper {
    Folder(Folder),
    Bucket { store: Box<dyn ObjectStore>, prefix: String, runtime: Handle },
}

fn keeper(config: &Config) -> anyhow::Result<Keeper> {
    let storage = &config.storage;
    if let (Objects::S3, Some(s3)) = (storage.objects, &storage.s3) {
        return Ok(Keeper::Bucket {
            store: Box::new(bucket(s3)?),
            prefix: s3.prefix.trim_matches('/').to_owned(),
            runtime: Handle::current(),
        });
    }
    let folder = storage.data_dir.join("objects");
    crate::key_file::make_data_dir(&folder)?;
    Ok(Keeper::Folder(Folder::new(folder)))
}

/// The disks that are written to: the data folder's, and the database's where that is a file.
fn disks(config: &Config) -> anyhow::Result<Disks> {
    let mut folders = vec![config.storage.data_dir.clone()];
    if let DatabaseUrl::Sqlite(path) = config.database_url()?
        && let Some(folder) = path.parent()
        && folder != config.storage.data_dir
    {
        folders.push(folder.to_owned());
    }
    Ok(Disks::new(folders, config.storage.low_water_mib * 1024 * 1024))
}

fn bucket(s3: &S3) -> anyhow::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_access_key_id(&s3.access_key_id)
        .with_secret_access_key(s3.secret()?)
        // Files are deleted one by one, and not every server that speaks like S3 deletes several.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
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

/// Two letters of the hash make a folder: no folder grows without end.
fn group_path(prefix: &str, group: &str) -> String {
    if prefix.is_empty() { group.to_owned() } else { format!("{prefix}/{group}") }
}

fn object(prefix: &str, name: &ObjectName) -> ObjectPath {
    ObjectPath::from(format!("{}/{name}", group_path(prefix, name.group())))
}

impl KeepBlob for Keeper {
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), KeepError> {
        match self {
            Self::Folder(folder) => folder.put(name, &bytes),
            Self::Bucket { store, prefix, runtime } => runtime
                .block_on(store.put(&object(prefix, name), PutPayload::from(bytes)))
                .map(|_| ())
                .map_err(|error| KeepError::Failed(PortError::because(format!("keeping {name}"), error))),
        }
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PortError> {
        let (store, prefix, runtime) = match self {
            Self::Folder(folder) => return folder.read(name),
            Self::Bucket { store, prefix, runtime } => (store, prefix, runtime),
        };
        let read = async {
            let found = store.get(&object(prefix, name)).await?;
            found.bytes().await
        };
        match runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(PortError::because(format!("reading {name}"), error)),
        }
    }

    fn list(&self, group: &str) -> Result<Vec<KeptObject>, PortError> {
        let (store, prefix, runtime) = match self {
            Self::Folder(folder) => return folder.list(group),
            Self::Bucket { store, prefix, runtime } => (store, prefix, runtime),
        };
        let path = ObjectPath::from(group_path(prefix, group));
        let listed = runtime
            .block_on(store.list_with_delimiter(Some(&path)))
            .map_err(|error| PortError::because(format!("listing {path} in the bucket"), error))?;
        let ours = listed.objects.into_iter().filter_map(|meta| {
            let name = ObjectName::parse(meta.location.filename()?).filter(|name| name.group() == group)?;
            let written_at = Timestamp(meta.last_modified.timestamp_micros());
            Some(KeptObject { name, draft: None, written_at, bytes: meta.size })
        });
        Ok(ours.collect())
    }

    fn delete(&self, name: &ObjectName, draft: Option<u64>) -> Result<(), PortError> {
        let (store, prefix, runtime) = match self {
            Self::Folder(folder) => return folder.delete(name, draft),
            Self::Bucket { store, prefix, runtime } => (store, prefix, runtime),
        };
        // A bucket has no drafts: a file is there whole or not at all.
        if draft.is_some() {
            return Ok(());
        }
        match runtime.block_on(store.delete(&object(prefix, name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(PortError::because(format!("deleting {name}"), error)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    /// A bucket as one speaks to it, without the server.
    #[test]
    fn a_bucket_lists_and_deletes_what_bears_a_name_of_ours() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for prefix in ["", "desk/one"] {
            let keeper = Keeper::Bucket {
                store: Box::new(InMemory::new()),
                prefix: prefix.to_owned(),
                runtime: runtime.handle().clone(),
            };
            let Keeper::Bucket { store, .. } = &keeper else { panic!("made above") };
            let name = ObjectName::fresh(&"ab".repeat(32), "0123456789abcdef");
            keeper.put(&name, b"bytes".to_vec()).unwrap();
            let foreign =
                ["ab/notes.txt".to_owned(), format!("ab/{}", name.hash()), format!("ab/deep/{name}")];
            for path in &foreign {
                let path = ObjectPath::from(format!("{prefix}/{path}"));
                runtime.block_on(store.put(&path, PutPayload::from_static(b"mine"))).unwrap();
            }
            assert_eq!(keeper.get(&name).unwrap().unwrap(), b"bytes");
            let listed = keeper.list("ab").unwrap();
            let told: Vec<_> = listed.iter().map(|kept| (&kept.name, kept.draft, kept.bytes)).collect();
            assert_eq!(told, [(&name, None, 5)]);
            assert!(listed[0].written_at > Timestamp::from_seconds(1_700_000_000));
            assert_eq!(keeper.list("cd").unwrap(), []);
            keeper.delete(&name, None).unwrap();
            keeper.delete(&name, None).unwrap();
            assert_eq!((keeper.list("ab").unwrap(), keeper.get(&name).unwrap()), (Vec::new(), None));
            for path in &foreign {
                let path = ObjectPath::from(format!("{prefix}/{path}"));
                assert!(runtime.block_on(store.get(&path)).is_ok(), "{path}");
            }
        }
    }
}
