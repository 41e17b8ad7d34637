//! `postroom mailbox set`: what is changed most often, without a call of the API.

use super::{add, find, read_password};
use crate::commands::failed;
use anyhow::bail;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::mailbox::{AfterIngest, AuthMethod, Delivery, Source};
use postroom_core::operations::mailboxes::{self, MailboxChange};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Set {
    /// Its name, its number or its address.
    mailbox: String,
    /// true: nobody polls it and nothing leaves from it.
    #[arg(long, value_name = "true|false")]
    paused: Option<bool>,
    /// What is done on the server to mail that is safely here: leave, seen, move:FOLDER (which must
    /// exist), or delete:DAYS.
    #[arg(long, value_name = "WHAT", value_parser = add::after_ingest)]
    after_ingest: Option<AfterIngest>,
    /// A file with the new password, for each server that is logged in to by password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Another IMAP server. It gets a password only if one is given with it.
    #[arg(long, value_name = "HOST")]
    imap: Option<String>,
    /// Another SMTP server. It gets a password only if one is given with it.
    #[arg(long, value_name = "HOST")]
    smtp: Option<String>,
}

impl Set {
    pub(super) fn run(&self, desk: &Desk) -> anyhow::Result<ExitCode> {
        let ends = [&self.imap, &self.smtp];
        let is_asked = self.paused.is_some() || self.after_ingest.is_some() || self.password_file.is_some();
        if !is_asked && ends.into_iter().all(Option::is_none) {
            bail!("say what is to change: --paused, --after-ingest, --password-file, --imap or --smtp");
        }
        let id = find(desk, &self.mailbox)?;
        let password = self.password_file.as_deref().map(|file| read_password(Some(file))).transpose()?;
        let system = Actor::system();
        let before = desk.read_here(&system, |cx| mailboxes::find(cx, id)).map_err(failed)?;
        let mut change = MailboxChange { paused: self.paused, ..MailboxChange::default() };
        if self.imap.is_some() || self.after_ingest.is_some() {
            let mut source = before.source.clone();
            let Source::Imap { host, after_ingest, .. } = &mut source else {
                bail!("--imap and --after-ingest are for mailboxes on an IMAP server");
            };
            if let Some(new) = &self.imap {
                host.clone_from(new);
            }
            if let Some(new) = &self.after_ingest {
                after_ingest.clone_from(new);
            }
            change.source = Some(source);
        }
        if let Some(new) = &self.smtp {
            let mut delivery = before.delivery.clone();
            let Delivery::Smtp { host, .. } = &mut delivery else {
                bail!("--smtp is for mailboxes whose answers leave by SMTP already");
            };
            host.clone_from(new);
            change.delivery = Some(delivery);
        }
        if let Some(password) = password {
            if let Source::Imap { auth: AuthMethod::Password, .. } = &before.source {
                change.source_password = Some(password.clone());
            }
            if let Delivery::Smtp { auth: AuthMethod::Password, username: Some(_), .. } = &before.delivery {
                change.delivery_password = Some(password);
            }
            if change.source_password.is_none() && change.delivery_password.is_none() {
                bail!("this mailbox logs in to no server by password");
            }
        }
        // What was read may have changed meanwhile: then nothing is written.
        let etag = before.etag();
        desk.write_here(&system, |cx| mailboxes::update(cx, id, Some(&etag), &change)).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
