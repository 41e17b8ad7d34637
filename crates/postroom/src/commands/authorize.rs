//! `postroom mailbox authorize`: a mailbox that logs in by token is authorized from the operator's
//! shell.

use super::failed;
use crate::config::Config;
use anyhow::{Context, bail};
use postroom_core::actor::Actor;
use postroom_core::authorization::{GrantType, Provider};
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::operations::authorizations::{self, NewAuthorization};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Looks at least this often whether the code was entered: the daemon may be asking too.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Authorize {
    /// Its name or number.
    pub(super) mailbox: String,
    /// google, microsoft, or custom (the addresses stand in the configuration).
    #[arg(long)]
    provider: Provider,
    /// authorization_code (a page to open), device_code (a code to enter) or client_credentials.
    #[arg(long, default_value = "authorization_code")]
    grant: GrantType,
    /// The program's name at the provider.
    #[arg(long)]
    client_id: String,
    /// A file with its secret there.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// The organisation's id or domain, at Microsoft.
    #[arg(long)]
    tenant: Option<String>,
    /// What to ask for, again for each; what mail takes if not given.
    #[arg(long = "scope")]
    scopes: Vec<String>,
}

pub(super) fn run(config: &Config, desk: &Desk, id: MailboxId, asked: Authorize) -> anyhow::Result<ExitCode> {
    let client_secret = match &asked.client_secret_file {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => None,
    };
    let new = NewAuthorization {
        provider: asked.provider,
        grant: asked.grant,
        client_id: asked.client_id,
        client_secret,
        tenant: asked.tenant,
        scopes: (!asked.scopes.is_empty()).then_some(asked.scopes),
    };
    let base = config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let redirect = base.map(|base| format!("{base}/api/v1/oauth/callback"));
    let runtime = tokio::runtime::Handle::current();
    let system = Actor::system();
    let started = runtime.block_on(desk.start_authorization(&system, id, new, redirect)).map_err(failed)?;
    if let Some(url) = started.authorization_url {
        println!("Open this page within ten minutes and agree:\n\n{url}\n");
        println!(
            "It leads back to the daemon, which must be running. `postroom mailbox list` shows the rest."
        );
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(device) = started.device {
        println!("Open {} and enter {}", device.verification_uri, device.user_code);
        runtime.block_on(wait(desk, id))?;
    }
    println!("authorized");
    Ok(ExitCode::SUCCESS)
}

/// Asks until somebody has entered the code, beside a daemon that may do the same.
async fn wait(desk: &Desk, id: MailboxId) -> anyhow::Result<()> {
    let system = Actor::system();
    loop {
        desk.poll_device_codes().await.map_err(failed)?;
        let now = desk.read(&system, move |cx| authorizations::status(cx, id)).await.map_err(failed)?;
        match (now.pending, now.last_error) {
            (Some(_), _) => tokio::time::sleep(LOOK).await,
            (None, None) => return Ok(()),
            (None, Some(why)) => bail!("{why}"),
        }
    }
}
