//! The running daemon: the API on its socket, the workers beside it.

use crate::config::{Config, Tls};
use crate::receivers::Receivers;
use crate::{lock, open, work};
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context;
use postroom_api::{Api, ApiState};
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::operations::{leases, mailboxes, outbox, webhook_deliveries};
use postroom_core::store::conn::DatabaseUrl;
use postroom_core::time::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Requests that are being answered have this long to end when the daemon stops.
const SHUTDOWN_SECONDS: u64 = 10;

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The desk it works at.
    pub desk: Desk,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    workers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    _locks: Vec<lock::DaemonLock>,
}

impl Daemon {
    /// Starts everything. Fails, with nothing left running, if anything can't be started.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_at(config, Clock::System).await
    }

    /// [`Daemon::start`] with a clock of one's own.
    pub async fn start_at(config: Config, clock: Clock) -> anyhow::Result<Self> {
        install_crypto();
        let database = config.database_url()?;
        let locks = match &database {
            DatabaseUrl::Sqlite(path) => {
                crate::key_file::make_data_dir(&config.storage.data_dir)?;
                let folder = lock::take(&config.storage.data_dir)?;
                vec![folder, lock::take_database(path)?]
            }
            DatabaseUrl::Postgres(_) => Vec::new(),
        };
        let alone = !locks.is_empty();
        let opening = config.clone();
        let desk = tokio::task::spawn_blocking(move || open::open_desk_at(&opening, clock)).await??;
        prepare(&desk, &config, alone).await?;

        let receivers = Receivers::new(&config.webhooks)?;
        let listener = TcpListener::bind(config.server.listen)
            .with_context(|| format!("server.listen: {} can't be listened on", config.server.listen))?;
        let address = listener.local_addr().context("the listening socket has no address")?;
        let (stop, stopping) = watch::channel(false);
        let server = serve(&config, desk.clone(), listener, stopping.clone())?;
        let handle = server.handle();
        Ok(Self {
            address,
            workers: work::start(&desk, &config, receivers, &stopping),
            desk,
            server: handle,
            serving: tokio::spawn(server),
            stop,
            _locks: locks,
        })
    }

    /// Waits until the API ends by itself, which it does only on an error.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        (&mut self.serving).await?.context("the API ended")
    }

    /// Ends everything: no new requests, no new work; what is being done is finished.
    pub async fn stop(self) {
        // The workers' channel is closed with the sender if nobody listens any more.
        self.stop.send_replace(true);
        self.server.stop(true).await;
        for worker in self.workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "a worker died");
            }
        }
    }
}

/// One provider of cryptography for all TLS in this process; a second call changes nothing.
pub(crate) fn install_crypto() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("the provider of cryptography was installed before");
    }
}

/// What is done once before work begins: the file's mailboxes, and what a crash left behind.
async fn prepare(desk: &Desk, config: &Config, alone: bool) -> anyhow::Result<()> {
    let configured = config
        .mailboxes
        .iter()
        .map(crate::config::ConfiguredMailbox::resolve)
        .collect::<anyhow::Result<Vec<_>>>()?;
    desk.write(&Actor::system(), move |cx| mailboxes::configure(cx, &configured)).await.map_err(|error| {
        anyhow::anyhow!("mailboxes in the configuration: {}", crate::commands::sentence(&error))
    })?;
    if alone {
        desk.write(&Actor::system(), leases::release_all).await?;
        desk.write(&Actor::system(), webhook_deliveries::release_all).await?;
    }
    let recovered = desk
        .write(&Actor::system(), move |cx| if alone { outbox::recover_all(cx) } else { outbox::recover(cx) })
        .await?;
    if recovered > 0 {
        tracing::warn!(recovered, "mails were being sent when the daemon last stopped");
    }
    Ok(())
}

fn serve(
    config: &Config,
    desk: Desk,
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<actix_web::dev::Server> {
    let api = Data::new(Api::new(ApiState {
        desk,
        public_url: config.server.public_url.clone(),
        cors_origins: config.server.cors_origins.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        requests_per_minute: NonZeroU32::new(config.limits.requests_per_minute),
        event_streams_per_token: config.limits.event_streams_per_token,
        version: env!("CARGO_PKG_VERSION"),
        readiness: Arc::new(Vec::new),
        stopping,
    }));
    let server = HttpServer::new(move || postroom_api::app(&api))
        .workers(config.server.workers)
        .disable_signals()
        // Who hangs up waits for nothing: a stream that its reader left is over at once, not at its
        // next heartbeat.
        .h1_allow_half_closed(false)
        .shutdown_timeout(SHUTDOWN_SECONDS);
    let server = match &config.server.tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls_config(tls)?),
        None => server.listen(listener),
    };
    Ok(server.context("the API can't listen")?.run())
}

/// TLS of our own, from its files.
pub(crate) fn tls_config(tls: &Tls) -> anyhow::Result<rustls::ServerConfig> {
    let certificates = CertificateDer::pem_file_iter(&tls.certificate_file)
        .and_then(Iterator::collect)
        .with_context(|| format!("server.tls: {} can't be read", tls.certificate_file.display()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .with_context(|| format!("server.tls: {} can't be read", tls.key_file.display()))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("server.tls: certificate and key do not fit together")
}
