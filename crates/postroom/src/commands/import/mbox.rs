//! Mail from mbox files. A mail's place in the ledger is what it says: the file may be moved, or grow,
//! before it is read again.

use super::{Common, Found, Gathering, Importer, Received};
use anyhow::Context;
use postroom_core::intake::Verdict;
use postroom_ingest::mbox::{Mbox, Quoting};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    /// The files were written as mboxo: one > before lines that begin with "From ", and with
    /// nothing else. Without it, mboxrd.
    #[arg(long)]
    mboxo: bool,
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Arguments {
    pub(super) fn read(&self, importer: &mut Importer<'_>) -> anyhow::Result<()> {
        for path in &self.files {
            self.file(importer, path)
                .with_context(|| format!("{} can't be read to its end", path.display()))?;
        }
        Ok(())
    }

    fn file(&self, importer: &mut Importer<'_>, path: &Path) -> anyhow::Result<()> {
        let file = File::open(path)?;
        let all = file.metadata()?.len().max(1);
        let quoting = if self.mboxo { Quoting::Mboxo } else { Quoting::Mboxrd };
        let mut gathering = Gathering::default();
        let outcome = (|| {
            for mail in Mbox::new(BufReader::with_capacity(1 << 20, file), quoting, importer.most()) {
                let mail = mail?;
                let name = format!("{}:{}", path.display(), mail.number);
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
                    received: Received::Dated(mail.delivered),
                };
                if let Some(batch) = gathering.add(found) {
                    importer.take(batch)?;
                    importer.tell(&path.display().to_string(), Some(mail.read.min(all) * 100 / all));
                }
            }
            Ok(())
        })();
        // What was read before an error is whole.
        importer.take(gathering.rest())?;
        outcome
    }
}
