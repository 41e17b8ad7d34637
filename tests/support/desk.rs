//! A whole daemon in the test's own process, on a database of its own, with its outside real or
//! a sink, as the test likes.

use crate::http::Http;
use crate::workdir::WorkDir;
use crate::{database, mail};
use postroom::{Config, Daemon};
use postroom_core::Error;
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::cx::Cx;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::operations::tokens::{self, NewToken};
use postroom_core::time::{Clock, Timestamp};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The longest that anything waited for may take; no assertion measures with it.
const PATIENCE: Duration = Duration::from_mins(2);

/// The moment at which a desk with a fixed clock begins: 2026-11-22T08:00:00Z.
pub const BEGINNING: Timestamp = Timestamp(1_795_334_400_000_000);

/// A daemon that runs, and an administrator who speaks to it.
pub struct TestDesk {
    /// With a token that may do everything.
    pub http: Http,
    daemon: Option<Daemon>,
    config: Config,
    dir: WorkDir,
}

impl TestDesk {
    /// On the machine's clock.
    pub async fn start() -> Self {
        Self::start_with(Clock::System, |_| {}).await
    }

    /// On a clock that stands at [`BEGINNING`] until the test moves it.
    pub async fn start_fixed() -> Self {
        Self::start_with(Clock::fixed(BEGINNING), |_| {}).await
    }

    /// With a clock and a configuration of the test's own.
    pub async fn start_with(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let dir = WorkDir::new("desk");
        let mut config = Config::default();
        config.storage.data_dir = dir.join("data");
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.database.url = match database::kind() {
            database::Kind::Sqlite => None,
            database::Kind::Postgres => Some(database::fresh(&dir)),
        };
        // A test says itself when a mailbox is polled, unless it is about that.
        config.ingest.idle = false;
        // Tests ask faster than anybody.
        config.limits.requests_per_minute = 0;
        // Passwords are tried for next to nothing, or a debug build takes seconds for each.
        config.sign_in.memory_kib = 64;
        config.sign_in.passes = 1;
        change(&mut config);
        let daemon = Daemon::start_at(config.clone(), clock).await.expect("the daemon starts");
        let token = new_token(
            &daemon.desk,
            &NewToken {
                name: "test".to_owned(),
                agent_id: None,
                scopes: Scope::ALL.to_vec(),
                mailbox_ids: None,
                allowed_networks: None,
                expires_at: None,
            },
        )
        .await;
        let http = Http::new(daemon.address).with_token(&token);
        Self { http, daemon: Some(daemon), config, dir }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon runs until it is stopped")
    }

    /// The desk itself, for what no frontend could look at.
    pub fn desk(&self) -> &Desk {
        &self.daemon().desk
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.daemon().address
    }

    /// The configuration it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A folder that goes away with the test.
    pub fn dir(&self) -> &WorkDir {
        &self.dir
    }

    /// Stops the daemon as SIGTERM would, and starts it again on the same data.
    pub async fn restart(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
        let listen = self.config.server.listen;
        let daemon = Daemon::start(self.config.clone()).await.expect("the daemon starts again");
        assert_eq!(listen.port(), 0, "a test listens where it finds a free port");
        self.http = self.http.at(daemon.address);
        self.daemon = Some(daemon);
    }

    /// [`TestDesk::restart`] with another configuration.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.restart().await;
    }

    /// A client with a token of these scopes, narrowed to these mailboxes; none is all.
    pub async fn client(&self, scopes: &[Scope], mailboxes: &[i64]) -> Http {
        let new = NewToken {
            name: "narrow".to_owned(),
            agent_id: None,
            scopes: scopes.to_vec(),
            mailbox_ids: (!mailboxes.is_empty()).then(|| mailboxes.iter().copied().map(MailboxId).collect()),
            allowed_networks: None,
            expires_at: None,
        };
        Http::new(self.address()).with_token(&new_token(self.desk(), &new).await)
    }

    /// A client with a token that speaks for an agent, with every scope an agent may have.
    pub async fn client_of_agent(&self, agent: i64) -> Http {
        let new = NewToken {
            name: "agent's".to_owned(),
            agent_id: Some(postroom_core::id::AgentId(agent)),
            scopes: Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Impersonate).collect(),
            mailbox_ids: None,
            allowed_networks: None,
            expires_at: None,
        };
        Http::new(self.address()).with_token(&new_token(self.desk(), &new).await)
    }

    /// A mailbox that mail is pushed into and nothing leaves from. Returns its number.
    pub async fn mailbox(&self, name: &str, address: &str) -> i64 {
        let body = json!({
            "name": name, "address": address,
            "source": {"type": "push"}, "delivery": {"type": "sink"},
        });
        self.http.post("/api/v1/mailboxes", &body).await.expect(201).json()["id"].as_i64().expect("a number")
    }

    /// Pushes a mail into a mailbox. Returns what became of it.
    pub async fn receive(&self, mailbox: i64, mail: &mail::TestMail) -> Value {
        self.receive_raw(mailbox, &mail.build()).await
    }

    /// [`TestDesk::receive`] with the bytes of a mail.
    pub async fn receive_raw(&self, mailbox: i64, raw: &[u8]) -> Value {
        let path = format!("/api/v1/mailboxes/{mailbox}/inbound");
        let headers = [("Content-Type", "message/rfc822")];
        self.http.send("POST", &path, &headers, raw).await.expect(201).json()
    }

    /// Asks for a poll and waits until it is through. Returns the mailbox's status.
    pub async fn sync(&self, mailbox: i64) -> Value {
        self.http.post(&format!("/api/v1/mailboxes/{mailbox}/sync"), &Value::Null).await.expect(202);
        let path = format!("/api/v1/mailboxes/{mailbox}/status");
        self.until(|| async {
            let status = self.http.get(&path).await.expect(200).json();
            (status["syncing"] == json!(false)).then_some(status)
        })
        .await
    }

    /// Looks again after each change at the desk, or every tenth of a second where nothing is
    /// told, until there is something to see.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, look: impl Fn() -> F) -> T {
        let mut changes = self.desk().changes();
        let looking = async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = look().await {
                    return seen;
                }
                let pause = tokio::time::sleep(Duration::from_millis(100));
                tokio::select! {
                    _ = changes.changed() => {}
                    () = pause => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("what the test waits for happens")
    }

    /// Runs an operation at the desk as the desk itself.
    pub async fn write<T: Send + 'static>(
        &self,
        op: impl Fn(&mut Cx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.desk().write(&Actor::system(), op).await.expect("the operation is done")
    }

    /// The types of all events, in order.
    pub async fn event_types(&self) -> Vec<String> {
        let feed = self.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
        let rows = feed["data"].as_array().expect("a list");
        rows.iter().map(|event| event["type"].as_str().expect("a word").to_owned()).collect()
    }

    /// Ends the daemon in good order.
    pub async fn stop(mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }
}

async fn new_token(desk: &Desk, new: &NewToken) -> String {
    let new = new.clone();
    let made = desk.write(&Actor::system(), move |cx| tokens::create(cx, &new)).await;
    made.expect("a token can be made").1
}
