//! Mail from folders of an IMAP server, which stay as they are. A mail's place in the ledger is server,
//! user, folder and number, so that what is here already is not fetched again.

use super::{Common, Found, Importer, Received};
use crate::commands::mailbox::read_password;
use crate::work::batch::{BATCH_BYTES, BATCH_MAILS, HEAD_BYTES, LARGE_BYTES};
use postroom_core::intake::Verdict;
use postroom_core::mailbox::{AfterIngest, AuthMethod, Credential, Import, Security, Source};
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{self, ImapSession};
use postroom_ingest::source::{Fetched, Listed, MailSource};
use postroom_ingest::transport::Timeouts;
use std::collections::HashSet;
use std::path::PathBuf;

/// New connections after mails that broke one.
const RECONNECTS: usize = 20;
/// Places that are looked up in the ledger at once.
const LOOKED_UP: usize = 1_000;
/// The variable with the password, where there is no file.
const PASSWORD: &str = "POSTROOM_IMPORT_PASSWORD";

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    /// The server.
    #[arg(long)]
    host: String,
    /// Its port; 993, or 143 without --security tls.
    #[arg(long)]
    port: Option<u16>,
    /// tls, starttls, or none (this very machine alone).
    #[arg(long, default_value = "tls")]
    security: Security,
    /// The login name.
    #[arg(long)]
    username: String,
    /// A file with the password. Without it POSTROOM_IMPORT_PASSWORD in the environment, else the
    /// first line of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A folder to read, again for each.
    #[arg(long = "folder", default_value = "INBOX")]
    folders: Vec<String>,
    /// PEM file of a certificate authority of one's own.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
}

impl Arguments {
    pub(super) fn password(&self) -> anyhow::Result<String> {
        if self.password_file.is_none()
            && let Some(password) = crate::config::variable(PASSWORD)
        {
            return Ok(password);
        }
        read_password(self.password_file.as_deref())
    }

    pub(super) fn read(&self, importer: &mut Importer<'_>, password: &str) -> anyhow::Result<()> {
        let source = Source::Imap {
            host: self.host.clone(),
            port: self.port.unwrap_or(if self.security == Security::Tls { 993 } else { 143 }),
            security: self.security,
            username: self.username.clone(),
            auth: AuthMethod::Password,
            folders: self.folders.clone(),
            after_ingest: AfterIngest::Leave,
            import: Import::All,
            sent_folder: None,
            junk_folder: None,
            ca_file: self.ca_file.clone(),
        };
        let credential = Credential::Password(password.to_owned());
        let connect = || imap::connect(&source, &credential, &Timeouts::default());
        let mut reading = Reading { connect: &connect, session: connect()?, folder: "", left: RECONNECTS };
        for folder in &self.folders {
            reading.folder = folder;
            let place = format!("{}/{}/{folder}", self.host, self.username);
            reading.read(importer, &place)?;
        }
        reading.session.logout();
        Ok(())
    }
}

/// A folder that is being read, through as many connections as it takes.
struct Reading<'a> {
    connect: &'a dyn Fn() -> Result<ImapSession, SourceError>,
    session: ImapSession,
    folder: &'a str,
    left: usize,
}

impl Reading<'_> {
    fn read(&mut self, importer: &mut Importer<'_>, place: &str) -> anyhow::Result<()> {
        let state = self.session.select(self.folder, false)?;
        let place = Place { name: self.folder.to_owned(), prefix: format!("{place}/{}", state.uidvalidity) };
        let listed = self.session.list_after(0)?;
        for listed in listed.chunks(LOOKED_UP) {
            let locations: Vec<String> = listed.iter().map(|mail| place.location(mail.uid)).collect();
            let borrowed: Vec<&str> = locations.iter().map(String::as_str).collect();
            let mut known = importer.known(&borrowed)?;
            let mut fresh = Vec::with_capacity(listed.len());
            for (mail, location) in listed.iter().zip(&locations) {
                match known.remove(location) {
                    Some(mut line) => {
                        line.source = place.name(mail.uid);
                        importer.note(line)?;
                    }
                    None => fresh.push(*mail),
                }
            }
            for batch in batches(&fresh, importer.most()) {
                self.take(importer, &place, batch)?;
                importer.tell(self.folder, None);
            }
        }
        Ok(())
    }

    /// Takes mails in. Where the server or the connection fails over several, halves are tried, so
    /// that the culprit stands alone; the next run tries it again.
    fn take(&mut self, importer: &mut Importer<'_>, place: &Place, batch: &[Listed]) -> anyhow::Result<()> {
        let error = match self.fetch(batch, importer.most()) {
            Ok(fetched) => return self.took(importer, place, batch, fetched),
            Err(error) => error,
        };
        if error.drops_session() {
            if self.left == 0 {
                return Err(error.into());
            }
            self.left -= 1;
            self.session = (self.connect)()?;
            self.session.select(self.folder, false)?;
        }
        match batch {
            [] => Ok(()),
            [one] => importer.leave(place.name(one.uid), Verdict::Failed, &error.to_string()),
            several => {
                let (first, second) = several.split_at(several.len() / 2);
                self.take(importer, place, first)?;
                self.take(importer, place, second)
            }
        }
    }

    fn took(
        &mut self,
        importer: &mut Importer<'_>,
        place: &Place,
        batch: &[Listed],
        fetched: Vec<Fetched>,
    ) -> anyhow::Result<()> {
        let came: HashSet<u32> = fetched.iter().map(|mail| mail.uid).collect();
        let size = |uid| batch.iter().find(|mail| mail.uid == uid).map_or(0, |mail| mail.size);
        let mails: Vec<Found> = fetched
            .into_iter()
            .map(|mail| Found {
                location: place.location(mail.uid),
                name: place.name(mail.uid),
                uid: Some(i64::from(mail.uid)),
                size: if is_oversized(size(mail.uid), importer.most()) {
                    size(mail.uid)
                } else {
                    mail.raw.len() as u64
                },
                received: mail.internal_date.map_or(Received::Dated(None), Received::At),
                raw: mail.raw,
            })
            .collect();
        importer.take(mails)?;
        let missing: Vec<u32> = batch.iter().map(|mail| mail.uid).filter(|uid| !came.contains(uid)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let there: HashSet<u32> = self.session.still_there(&missing)?.into_iter().collect();
        for uid in missing {
            let (verdict, why) = if there.contains(&uid) {
                (Verdict::Failed, "the server lists the mail but did not send it")
            } else {
                (Verdict::Expunged, "it went away meanwhile")
            };
            importer.leave(place.name(uid), verdict, why)?;
        }
        Ok(())
    }

    fn fetch(&mut self, batch: &[Listed], most: usize) -> Result<Vec<Fetched>, SourceError> {
        match batch {
            [one] if is_oversized(one.size, most) => {
                Ok(self.session.fetch_head(one.uid, HEAD_BYTES)?.into_iter().collect())
            }
            [one] if one.size > LARGE_BYTES.unsigned_abs() => {
                Ok(self.session.fetch_large(one.uid, Some(one.size), one.size)?.into_iter().collect())
            }
            several => self.session.fetch(&several.iter().map(|mail| mail.uid).collect::<Vec<_>>()),
        }
    }
}

fn is_oversized(size: u64, most: usize) -> bool {
    size > most as u64
}

/// A folder, as the ledger and as people name it.
struct Place {
    name: String,
    prefix: String,
}

impl Place {
    fn location(&self, uid: u32) -> String {
        format!("{}/{uid}", self.prefix)
    }

    fn name(&self, uid: u32) -> String {
        format!("{}:{uid}", self.name)
    }
}

/// Mails that fit into one transaction each; a large one goes alone.
fn batches(mails: &[Listed], most: usize) -> Vec<&[Listed]> {
    let alone_above = LARGE_BYTES.unsigned_abs().min(most as u64);
    let mut batches = Vec::new();
    let mut rest = mails;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |mail: &&Listed| {
            bytes += mail.size;
            bytes <= BATCH_BYTES.unsigned_abs() && mail.size <= alone_above
        };
        let count = rest.iter().take(BATCH_MAILS).take_while(fits).count().max(1);
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_what_fits_and_a_large_mail_goes_alone() {
        let lengths = |sizes: &[u64], most| {
            let listed: Vec<Listed> =
                sizes.iter().zip(1..).map(|(size, uid)| Listed { uid, size: *size }).collect();
            batches(&listed, most).iter().map(|batch| batch.len()).collect::<Vec<_>>()
        };
        let half = BATCH_BYTES.unsigned_abs() / 2;
        assert_eq!(lengths(&[], 1 << 30), [0_usize; 0]);
        assert_eq!(lengths(&[1; 250], 1 << 30), [100, 100, 50]);
        assert_eq!(lengths(&[half; 3], 1 << 30), [2, 1]);
        assert_eq!(lengths(&[half + 1; 2], 1 << 30), [1, 1]);
        assert_eq!(lengths(&[1, half * 2 + 1, 1], 1 << 30), [1, 1, 1]);
        // At the limit of what is taken in, and one above.
        assert_eq!(lengths(&[1, 10, 1], 10), [3]);
        assert_eq!(lengths(&[1, 11, 1], 10), [1, 1, 1]);
    }
}
