//! `postroom demo`: everything in a temporary folder, with mail that comes along. The real
//! ingest takes the mail in; what is answered is captured.

use super::{failed, table};
use crate::config::{Config, Log, LogFormat};
use crate::daemon::Daemon;
use crate::demo_mails::MAILS;
use anyhow::Context;
use postroom_core::access::{Role, Scope};
use postroom_core::actor::Actor;
use postroom_core::conversation::{ConversationFilter, ConversationSort};
use postroom_core::desk::Desk;
use postroom_core::mailbox::{
    Delivery, MailboxState, MailboxStatus, OnUncertain, SentCopy, Source, Strangers,
};
use postroom_core::operations::agents::{self, NewAgent};
use postroom_core::operations::mailboxes::{self, NewMailbox};
use postroom_core::operations::tokens::{self, NewToken};
use postroom_core::operations::{conversations, customers};
use postroom_core::page::PageRequest;
use postroom_core::role::RoleChoice;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The address of the shop whose mail comes along.
const ADDRESS: &str = "support@lantern.example";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port to listen on, on 127.0.0.1; if it is taken, a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Print what came in and end, rather than wait for requests.
    #[arg(long)]
    once: bool,
}

/// A temporary folder that goes away with the demonstration.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("postroom: {} could not be removed: {error}", self.0.display());
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    crate::log::start(&Log { format: LogFormat::Text, level: "warn".to_owned() });
    let mut random = [0_u8; 8];
    rand::fill(&mut random);
    let name = format!("postroom-demo-{}", postroom_core::keys::hex(&random));
    let folder = Folder(std::env::temp_dir().join(name));
    crate::key_file::make_data_dir(&folder.0)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let shown = runtime.block_on(demonstrate(&folder.0, arguments));
    runtime.shutdown_timeout(Duration::from_secs(2));
    drop(folder);
    shown.map(|()| ExitCode::SUCCESS)
}

async fn demonstrate(folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let maildir = fill_maildir(folder)?;
    let mut config = Config::default();
    config.storage.data_dir = folder.join("data");
    config.server.listen = address(arguments.port);
    let mut daemon = Daemon::start(config).await?;
    let token = set_up(&daemon.desk, &maildir).await?;
    let status = wait_until_polled(&daemon.desk).await?;
    show(&daemon, &token, &status).await?;
    if !arguments.once {
        tokio::select! {
            ended = daemon.wait() => return ended,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
    }
    daemon.stop().await;
    Ok(())
}

/// The wished port, or any free one.
fn address(port: u16) -> SocketAddr {
    let wished = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(wished) {
        Ok(_) => wished,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// Writes the mails as a mail server would have, a minute apart.
fn fill_maildir(folder: &Path) -> anyhow::Result<PathBuf> {
    let maildir = folder.join("Maildir");
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(maildir.join(part)).context("the Maildir can't be made")?;
    }
    let now = SystemTime::now();
    for (index, (name, raw)) in MAILS.iter().enumerate() {
        let path = maildir.join("new").join(format!("{index:03}.{name}"));
        fs::write(&path, raw).with_context(|| format!("{} can't be written", path.display()))?;
        let age = Duration::from_secs(60 * (MAILS.len() - index) as u64);
        let file = File::options().write(true).open(&path)?;
        file.set_modified(now.checked_sub(age).unwrap_or(now))?;
    }
    Ok(maildir)
}

/// A mailbox, an agent, and a token that may do everything.
async fn set_up(desk: &Desk, maildir: &Path) -> anyhow::Result<String> {
    let path = maildir.to_str().context("the temporary folder's path is not UTF-8")?.to_owned();
    let system = Actor::system();
    let made = desk.write(&system, move |cx| {
        mailboxes::create(
            cx,
            &NewMailbox {
                name: "Lantern Support".to_owned(),
                address: ADDRESS.to_owned(),
                aliases: vec!["hello@lantern.example".to_owned()],
                group: None,
                poll_interval_seconds: 5,
                source: Source::Maildir { path: path.clone() },
                source_password: None,
                delivery: Delivery::Sink {},
                delivery_password: None,
                strangers: Strangers::Link,
                trusted_authserv_ids: vec!["mx.lantern.example".to_owned()],
                relay_addresses: Vec::new(),
                sent_copy: SentCopy::Auto,
                on_uncertain: OnUncertain::RetryOnce,
                undo_seconds: 0,
                paused: false,
            },
        )?;
        let agent = NewAgent {
            name: "Robin".to_owned(),
            email: "robin@lantern.example".to_owned(),
            role: RoleChoice::BuiltIn(Role::Owner),
            grants: Vec::new(),
        };
        let agent = agents::create(cx, &agent)?.agent;
        tokens::create(
            cx,
            &NewToken {
                name: "demonstration".to_owned(),
                agent_id: Some(agent.id),
                scopes: Scope::ALL.to_vec(),
                mailbox_ids: None,
                allowed_networks: None,
                expires_at: None,
            },
        )
    });
    Ok(made.await.map_err(failed)?.1)
}

/// Until the daemon has been through the Maildir once. Returns how that went.
async fn wait_until_polled(desk: &Desk) -> anyhow::Result<MailboxStatus> {
    loop {
        let status = desk
            .read(&Actor::system(), |cx| {
                let all = mailboxes::list(cx)?;
                all.first().map(|mailbox| mailboxes::status(cx, mailbox.id)).transpose()
            })
            .await
            .map_err(failed)?
            .context("the mailbox is gone")?;
        if status.last_success_at.is_some() {
            return Ok(status);
        }
        if status.state == MailboxState::Failing {
            anyhow::bail!("the Maildir could not be read: {}", status.last_error.unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn show(daemon: &Daemon, token: &str, status: &MailboxStatus) -> anyhow::Result<()> {
    let (rows, answered) = daemon.desk.read(&Actor::system(), rows).await.map_err(failed)?;
    println!(
        "{} mails came into {ADDRESS}, {} of them for the second time, and became {} conversations:\n",
        status.accepted + status.duplicates,
        status.duplicates,
        rows.len()
    );
    print!("{}", table::lay_out(&["id", "customer", "subject", "messages", "status"], &rows));
    let base = format!("http://{}", daemon.address);
    println!(
        "\nThe API and all it can do:  {base}/docs\nA token that may do everything (paste it into Authorize there):\n\n  {token}\n\nWorth trying:\n"
    );
    let auth = format!("-H 'Authorization: Bearer {token}'");
    println!("  curl {auth} '{base}/api/v1/conversations?status=open&limit=5'\n");
    println!("  curl {auth} '{base}/api/v1/conversations/{answered}/messages'\n");
    println!(
        "  curl {auth} -H 'Content-Type: application/json' \\\n    -d '{{\"kind\":\"reply\",\"text\":\"Thank you for writing! A new lamp is on its way.\"}}' \\\n    '{base}/api/v1/conversations/{answered}/messages'\n"
    );
    println!("  curl {auth} '{base}/api/v1/events?after=0&limit=5'\n");
    println!("Answers are captured here, none leaves. Ctrl-C ends the demonstration and removes its folder.");
    Ok(())
}

/// What came in, and a conversation worth answering: the first one that waits for us.
fn rows(cx: &mut postroom_core::cx::Cx<'_>) -> Result<(Vec<Vec<String>>, i64), postroom_core::Error> {
    let mut page = PageRequest::first(PageRequest::MAX);
    let mut rows = Vec::new();
    let mut answered = None;
    loop {
        let found = conversations::list(cx, &ConversationFilter::default(), ConversationSort::Id, page)?;
        for card in &found.items {
            let conversation = &card.conversation;
            let customer = customers::find(cx, conversation.customer_id)?;
            let address = customer.addresses.first().map(|address| address.email.clone());
            let name = customer.customer.name.or(address).unwrap_or_default();
            if conversation.status == postroom_core::conversation::Status::Open {
                answered.get_or_insert(conversation.id.0);
            }
            rows.push(vec![
                conversation.id.to_string(),
                name,
                conversation.subject.clone(),
                conversation.message_count.to_string(),
                conversation.status.to_string(),
            ]);
        }
        match found.next {
            Some(next) => page.after = next.number(),
            None => return Ok((rows, answered.unwrap_or(1))),
        }
    }
}
