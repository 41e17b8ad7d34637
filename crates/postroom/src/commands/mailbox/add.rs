//! `postroom mailbox add`: a new mailbox, from options.

use super::read_password;
use anyhow::{Context, bail, ensure};
use postroom_core::mailbox::{
    AfterIngest, AuthMethod, Delivery, Import, OnUncertain, Security, SentCopy, Source, Strangers,
};
use postroom_core::operations::mailboxes::NewMailbox;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Add {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// The address customers write to.
    #[arg(long)]
    address: String,
    /// The login name, for IMAP and SMTP; the address if not given.
    #[arg(long)]
    username: Option<String>,
    /// Log in by token (OAuth 2) to IMAP and SMTP; `mailbox authorize` comes next.
    #[arg(long, conflicts_with = "password_file")]
    oauth2: bool,
    /// A file with the password, for IMAP and SMTP. Without it the first line of standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The IMAP server: mail is fetched from there.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["maildir", "push"])]
    imap: Option<String>,
    /// Its port; 993, or 143 without --imap-security tls.
    #[arg(long)]
    imap_port: Option<u16>,
    /// tls, starttls, or none (this very machine alone).
    #[arg(long, default_value = "tls")]
    imap_security: Security,
    /// A folder to read, again for each.
    #[arg(long = "folder", default_value = "INBOX")]
    folders: Vec<String>,
    /// What is done on the server to mail that is safely here: leave, seen, move:FOLDER (which must
    /// exist), or delete:DAYS.
    #[arg(long, value_name = "WHAT", default_value = "leave", value_parser = after_ingest)]
    after_ingest: AfterIngest,
    /// The folder with what agents send with other programs; `auto`: the one that the server names so.
    #[arg(long, value_name = "FOLDER")]
    sent_folder: Option<String>,
    /// The folder with what the server takes for junk, or `auto`.
    #[arg(long, value_name = "FOLDER")]
    junk_folder: Option<String>,
    /// Only mail that comes from now on.
    #[arg(long)]
    only_new: bool,
    /// A Maildir that a mail server on this machine delivers to.
    #[arg(long, value_name = "FOLDER", conflicts_with = "push")]
    maildir: Option<String>,
    /// Mail is pushed through the API.
    #[arg(long)]
    push: bool,
    /// The SMTP server: answers leave there. Without it they are captured, and nothing leaves.
    #[arg(long, value_name = "HOST")]
    smtp: Option<String>,
    /// Its port; 587, or 465 with --smtp-security tls.
    #[arg(long)]
    smtp_port: Option<u16>,
    /// tls, starttls, or none (this very machine alone).
    #[arg(long, default_value = "starttls")]
    smtp_security: Security,
    /// The SMTP server wants no login.
    #[arg(long)]
    smtp_without_login: bool,
    /// PEM file of a certificate authority of one's own, for both servers.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// Seconds between two polls.
    #[arg(long, default_value_t = 60)]
    poll_interval: i32,
}

impl Add {
    pub(super) fn resolve(mut self) -> anyhow::Result<NewMailbox> {
        if self.oauth2 && self.imap.is_none() && self.smtp.is_none() {
            bail!("--oauth2 is how to log in to --imap and --smtp, and neither is given");
        }
        if let Some(path) = &self.ca_file {
            if self.imap.is_none() && self.smtp.is_none() {
                bail!("--ca-file is for the servers of --imap and --smtp, and neither is given");
            }
            self.ca_file = Some(authority(path)?);
        }
        let smtp_login = self.smtp.is_some() && !self.smtp_without_login;
        let is_needed = (self.imap.is_some() || smtp_login) && !self.oauth2;
        let password = if is_needed { Some(self.password()?) } else { None };
        let auth = if self.oauth2 { AuthMethod::Oauth2 } else { AuthMethod::Password };
        let username = self.username.clone().unwrap_or_else(|| self.address.clone());
        let source = match (&self.imap, &self.maildir, self.push) {
            (Some(host), _, _) => Source::Imap {
                host: host.clone(),
                port: self.imap_port.unwrap_or(self.imap_security.imap_port()),
                security: self.imap_security,
                username: username.clone(),
                auth,
                folders: self.folders.clone(),
                after_ingest: self.after_ingest.clone(),
                import: if self.only_new { Import::None } else { Import::All },
                sent_folder: self.sent_folder.clone(),
                junk_folder: self.junk_folder.clone(),
                ca_file: self.ca_file.clone(),
            },
            (None, Some(path), _) => Source::Maildir { path: absolute(path).context("--maildir")? },
            (None, None, true) => Source::Push {},
            (None, None, false) => {
                bail!("say where mail comes from: --imap HOST, --maildir FOLDER or --push")
            }
        };
        let delivery = match &self.smtp {
            Some(host) => Delivery::Smtp {
                host: host.clone(),
                port: self.smtp_port.unwrap_or(self.smtp_security.smtp_port()),
                security: self.smtp_security,
                // Without a login there is none by token either.
                auth: if smtp_login { auth } else { AuthMethod::Password },
                username: smtp_login.then_some(username),
                ca_file: self.ca_file.clone(),
            },
            None => Delivery::Sink {},
        };
        Ok(NewMailbox {
            name: self.name,
            address: self.address,
            aliases: Vec::new(),
            group: None,
            poll_interval_seconds: self.poll_interval,
            source_password: self.imap.is_some().then(|| password.clone()).flatten(),
            source,
            delivery_password: smtp_login.then_some(password).flatten(),
            delivery,
            strangers: Strangers::Link,
            trusted_authserv_ids: Vec::new(),
            relay_addresses: Vec::new(),
            sent_copy: SentCopy::Auto,
            on_uncertain: OnUncertain::RetryOnce,
            undo_seconds: 0,
            paused: false,
        })
    }

    fn password(&self) -> anyhow::Result<String> {
        read_password(self.password_file.as_deref())
    }
}

/// What `--after-ingest` says.
pub(super) fn after_ingest(text: &str) -> Result<AfterIngest, String> {
    let fault = || format!("{text:?} is none of leave, seen, move:FOLDER and delete:DAYS");
    match text.split_once(':') {
        None if text == "leave" => Ok(AfterIngest::Leave),
        None if text == "seen" => Ok(AfterIngest::Seen),
        Some(("move", folder)) if !folder.is_empty() => Ok(AfterIngest::Move { folder: folder.to_owned() }),
        Some(("delete", days)) => Ok(AfterIngest::Delete { after_days: days.parse().map_err(|_| fault())? }),
        _ => Err(fault()),
    }
}

/// The full path of a file with certificates of authorities, which must be there and be such.
fn authority(path: &str) -> anyhow::Result<String> {
    let full = absolute(path).context("--ca-file")?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&full).and_then(Iterator::collect);
    let certificates = certificates.with_context(|| format!("--ca-file: {path} can't be read as PEM"))?;
    ensure!(!certificates.is_empty(), "--ca-file: there is no certificate in {path}");
    Ok(full)
}

fn absolute(path: &str) -> anyhow::Result<String> {
    let full = std::fs::canonicalize(path).with_context(|| format!("{path} can't be found"))?;
    full.into_os_string().into_string().map_err(|_| anyhow::anyhow!("the path {path:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_to_a_mail_on_the_server_is_one_word() {
        assert_eq!(after_ingest("leave"), Ok(AfterIngest::Leave));
        assert_eq!(after_ingest("move:A:b"), Ok(AfterIngest::Move { folder: "A:b".to_owned() }));
        assert_eq!(after_ingest("delete:0"), Ok(AfterIngest::Delete { after_days: 0 }));
        for wrong in ["", "move", "move:", "delete", "delete:-1", "delete:soon", "seen:x", "burn"] {
            assert!(after_ingest(wrong).is_err(), "{wrong}");
        }
    }
}
