//! Raw mail and uploads by content hash: small ones in the database, in the transaction that
//! names them; large ones in the object store, before it.

use crate::actor::Actor;
use crate::desk::{Broken, Desk};
use crate::intake::RawMail;
use crate::keys::sha256_hex;
use crate::object_name::ObjectName;
use crate::operations::collecting::KEEP_UNUSED;
use crate::ports::PortError;
use crate::store::blobs::Blob;
use crate::time::Timestamp;
use crate::{Error, store};
use std::cell::RefCell;
use zstd::bulk::Compressor;

/// The fact of the installation that is its mark in the names of its large files.
pub(crate) const OBJECTS_MARK: &str = "objects_mark";

/// Fast, and within a few per cent of slower levels on mail.
const ZSTD_LEVEL: i32 = 1;

/// Above this, the tables that compressing takes are given back: they grow with what is compressed.
const SMALL_BYTES: usize = 1024 * 1024;

thread_local! {
    /// One set of tables for all the small mails of a thread: making them takes a fifth as long as
    /// the compressing itself.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let compressed = if bytes.len() > SMALL_BYTES {
        zstd::bulk::compress(bytes, ZSTD_LEVEL)
    } else {
        COMPRESSOR.with_borrow_mut(|kept| match kept {
            Some(compressor) => compressor.compress(bytes),
            None => Compressor::new(ZSTD_LEVEL).and_then(|made| kept.insert(made).compress(bytes)),
        })
    };
    compressed.map_err(|error| Error::Blob(PortError::because("compressing a blob", error)))
}

fn decompress(bytes: &[u8], size: i64) -> Result<Vec<u8>, Error> {
    zstd::bulk::decompress(bytes, usize::try_from(size).unwrap_or(0))
        .map_err(|error| Error::Blob(PortError::because("reading a kept blob", error)))
}

/// The bytes of a blob from what is stored of them; fails unless they are what its hash says.
pub fn unpack(blob: &Blob, stored: Vec<u8>) -> Result<Vec<u8>, Error> {
    let damaged = || Error::Blob(PortError::new(format!("blob {} is damaged", blob.hash)));
    let bytes = match blob.encoding.as_str() {
        "zstd" => decompress(&stored, blob.size).map_err(|_| damaged())?,
        _ => stored,
    };
    if sha256_hex(&bytes) == blob.hash { Ok(bytes) } else { Err(damaged()) }
}

/// How kept bytes were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// They are not where they are kept.
    Missing,
    /// They are not what their hash says.
    Damaged,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        })
    }
}

/// Fails where the bytes were put into the object store too long ago to be named now: the process stood
/// still since, and their file may have been taken for one that nobody needs. They are kept anew by whoever
/// tries again.
pub(crate) fn require_recent(put_at: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    let is_old = put_at.is_some_and(|put_at| now.since(put_at) > KEEP_UNUSED / 2);
    if is_old { Err(Error::Busy) } else { Ok(()) }
}

/// The row for a raw mail.
pub(crate) fn row(raw: &RawMail, now: Timestamp) -> Blob {
    Blob {
        hash: raw.hash.clone(),
        size: raw.size,
        encoding: "zstd".to_owned(),
        content: raw.compressed.clone(),
        object: raw.object.as_ref().map(ToString::to_string),
        unused_since: None,
        created_at: now,
    }
}

/// Makes bytes ready for the database, whatever their size: for what is made inside a
/// transaction. A large one moves to the object store later ([`Desk::move_large_blobs`]).
pub(crate) fn for_database(bytes: &[u8]) -> Result<RawMail, Error> {
    Ok(RawMail {
        hash: sha256_hex(bytes),
        size: bytes.len() as i64,
        compressed: Some(compress(bytes)?),
        object: None,
        put_at: None,
    })
}

impl Desk {
    /// Makes bytes ready to be named by a row: compressed for the database if small, put into
    /// the object store now if large. Blocks.
    pub fn keep_here(&self, bytes: &[u8]) -> Result<RawMail, Error> {
        self.require_room()?;
        let mut raw = for_database(bytes)?;
        if let Some(compressed) = &raw.compressed
            && compressed.len() > self.settings().inline_blob_bytes
        {
            raw.put_at = Some(self.now());
            raw.object = Some(self.put_here(&raw.hash, compressed.clone())?);
            raw.compressed = None;
        }
        Ok(raw)
    }

    /// A name in the object store that nobody has had yet, for the bytes under a hash.
    pub fn name_object_here(&self, hash: &str) -> Result<ObjectName, Error> {
        Ok(ObjectName::fresh(hash, &self.objects_mark_here()?))
    }

    /// What tells this desk's files in the object store from those of others.
    pub(crate) fn objects_mark_here(&self) -> Result<String, Error> {
        let mark =
            self.read_here(&Actor::system(), |cx| Ok(store::settings::find(cx.conn, OBJECTS_MARK)?))?;
        mark.ok_or_else(|| Error::Blob(PortError::new("the desk has no mark for its large files")))
    }

    /// Hands bytes to the object store, under a new name each time: one that was there before could be
    /// about to be deleted. Where the store can't say that they are safe, the desk is broken.
    fn put_here(&self, hash: &str, bytes: Vec<u8>) -> Result<ObjectName, Error> {
        self.require_whole(Broken::Files)?;
        let name = self.name_object_here(hash)?;
        let kept = self.ports().keeper.put(&name, bytes).map_err(Error::from);
        match &kept {
            Err(Error::Unsynced) => self.note_broken(Broken::Files),
            Err(Error::StorageFull(_)) => self.note_full(),
            _ => {}
        }
        kept.map(|()| name)
    }

    /// The bytes under a hash. Fails with [`Error::Lost`] where they are gone for good. Blocks.
    pub fn load_here(&self, hash: &str) -> Result<Vec<u8>, Error> {
        self.find_here(hash)?.map_err(|loss| Error::Lost(format!("blob {hash} is {loss}")))
    }

    /// The bytes under a hash, or how they were lost; fails only where they can't be looked for. Blocks.
    pub(crate) fn find_here(&self, hash: &str) -> Result<Result<Vec<u8>, Loss>, Error> {
        let found = self.read_here(&Actor::system(), |cx| Ok(store::blobs::find(cx.conn, hash)?))?;
        let Some(blob) = found else { return Ok(Err(Loss::Missing)) };
        let stored = match (&blob.content, blob.object_name()) {
            (Some(content), _) => Some(content.clone()),
            (None, Some(name)) => self.ports().keeper.get(&name).map_err(Error::Blob)?,
            (None, None) => None,
        };
        let Some(stored) = stored else { return Ok(Err(Loss::Missing)) };
        Ok(unpack(&blob, stored).map_err(|_| Loss::Damaged))
    }

    /// Puts bytes that came again in the place of the kept ones, where those are lost. Whether they were.
    /// Blocks.
    pub(crate) fn mend_here(&self, raw: &RawMail) -> Result<bool, Error> {
        let Err(loss) = self.find_here(&raw.hash)? else { return Ok(false) };
        let mended = self.write_here(&Actor::system(), |cx| {
            require_recent(raw.put_at, cx.now)?;
            Ok(store::blobs::replace(cx.conn, &row(raw, cx.now))?)
        })?;
        if mended {
            tracing::warn!(hash = raw.hash, %loss, "lost bytes of a mail came again and are kept");
        }
        Ok(mended)
    }

    /// [`Desk::load_here`] off the caller's thread.
    pub async fn load(&self, hash: String) -> Result<Vec<u8>, Error> {
        let desk = self.clone();
        crate::desk::off_thread(move || desk.load_here(&hash)).await
    }

    /// Moves blobs that are too large for the database into the object store. Returns how many.
    pub async fn move_large_blobs(&self) -> Result<usize, Error> {
        let desk = self.clone();
        crate::desk::off_thread(move || desk.move_large_blobs_here()).await
    }

    fn move_large_blobs_here(&self) -> Result<usize, Error> {
        if self.require_room().is_err() {
            return Ok(0);
        }
        let limit = self.settings().inline_blob_bytes;
        let system = Actor::system();
        let large = self.read_here(&system, |cx| Ok(store::blobs::large(cx.conn, limit as i64, 20)?))?;
        for blob in &large {
            if let Some(content) = &blob.content {
                let put_at = self.now();
                let name = self.put_here(&blob.hash, content.clone())?;
                self.write_here(&system, |cx| {
                    require_recent(Some(put_at), cx.now)?;
                    Ok(store::blobs::set_object(cx.conn, &blob.hash, &name)?)
                })?;
            }
        }
        Ok(large.len())
    }
}
