//! Mail from Maildirs, which stay as they are. A mail's place in the ledger is what it says, so that the
//! folder may be moved before it is read again.

use super::{Common, Found, Gathering, Importer, Received};
use postroom_core::intake::Verdict;
use postroom_ingest::maildir::Maildir;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    /// The folders, each with new and cur in it. Folders below them are named apart.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
}

impl Arguments {
    pub(super) fn read(&self, importer: &mut Importer<'_>) -> anyhow::Result<()> {
        for path in &self.folders {
            folder(importer, path)?;
        }
        Ok(())
    }
}

fn folder(importer: &mut Importer<'_>, path: &Path) -> anyhow::Result<()> {
    let maildir = Maildir::open(path)?;
    let entries = maildir.list()?;
    let mut gathering = Gathering::default();
    for (done, entry) in entries.iter().enumerate() {
        let name = format!("{}:{}", path.display(), entry.key);
        let mail = match maildir.measure(entry, importer.most()) {
            Ok(Some(mail)) => mail,
            Ok(None) => {
                importer.leave(name, Verdict::Expunged, "it went away meanwhile")?;
                continue;
            }
            // The others are read all the same; this one is tried again by the next run.
            Err(error) => {
                importer.leave(name, Verdict::Failed, &error.to_string())?;
                continue;
            }
        };
        if mail.raw.iter().all(u8::is_ascii_whitespace) {
            importer.leave(name, Verdict::Ignored, "there is nothing in it")?;
            continue;
        }
        let found = Found {
            location: mail.hash,
            name,
            uid: None,
            size: mail.size,
            raw: mail.raw,
            received: Received::Dated(Some(entry.modified)),
        };
        if let Some(batch) = gathering.add(found) {
            importer.take(batch)?;
            importer.tell(&path.display().to_string(), Some(done as u64 * 100 / entries.len() as u64));
        }
    }
    importer.take(gathering.rest())
}
