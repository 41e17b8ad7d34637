//! The daemon's program on data of its own, started as often as a case likes, with a fault or without.

use crate::oracle::{self, Findings};
use crate::plan::{Placed, Plan};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use support::database::{self, Kind};
use support::dovecot::{self, Dovecot};
use support::http::{Answer, Http};
use support::leash::Leash;
use support::postgres::Postgres;
use support::program::program;
use support::workdir::WorkDir;

/// How long a case waits for what must happen. No assertion measures with it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A data folder and a database as a first start leaves them, copied for each case.
struct Template {
    dir: WorkDir,
    token: String,
}

static TEMPLATE: OnceLock<Template> = OnceLock::new();

fn template() -> &'static Template {
    TEMPLATE.get_or_init(|| {
        let dir = WorkDir::new("template");
        let token = match database::kind() {
            Kind::Sqlite => first_start(&dir.join("data"), None),
            Kind::Postgres => {
                let url = Postgres::shared().database();
                let token = first_start(&dir.join("data"), Some(&url));
                dir.write("url", url);
                token
            }
        };
        Template { dir, token }
    })
}

/// Makes key and database, and a token that may do everything.
fn first_start(data: &Path, url: Option<&str>) -> String {
    let mut command = Command::new(program());
    command.args(["token", "create", "--name", "chaos"]).env_clear().env("POSTROOM__STORAGE__DATA_DIR", data);
    command.envs(url.map(|url| ("POSTROOM__DATABASE__URL", url)));
    let made = command.output().expect("the program can be started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("a token is text").trim().to_owned()
}

/// One installation: data, database, configuration with one mailbox.
pub struct Rig {
    pub dir: WorkDir,
    /// The daemon's folder.
    data: PathBuf,
    database: DatabaseUrl,
    /// The database to remove from the shared server.
    shared: Option<String>,
    token: String,
    settings: Vec<(String, String)>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(url) = &self.shared
            && !thread::panicking()
        {
            Postgres::shared().remove(url);
        }
    }
}

/// A mailbox's source in the configuration: a folder that a mail server delivers to.
pub fn maildir(path: &Path) -> String {
    format!("type = \"maildir\"\npath = \"{}\"\n", path.display())
}

/// A mailbox's source in the configuration: a user's INBOX at `port`, with what is done to mail afterwards.
pub fn imap(port: u16, user: &str, after_ingest: &str) -> String {
    let password = dovecot::PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "type = \"imap\"\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nusername = \"{user}\"\n\
         password = \"{password}\"\nafter_ingest = {after_ingest}\n"
    )
}

impl Rig {
    /// A new installation with one mailbox.
    pub fn new(source: &str) -> Self {
        Self::with_data(source, |dir| dir.join("data"))
    }

    /// [`Rig::new`] with the data where `place` says.
    pub fn with_data(source: &str, place: impl FnOnce(&WorkDir) -> PathBuf) -> Self {
        let template = template();
        let dir = WorkDir::new("chaos");
        let data = place(&dir);
        copy(&template.dir.join("data"), &data);
        let shared = match database::kind() {
            Kind::Sqlite => None,
            Kind::Postgres => {
                let like =
                    fs::read_to_string(template.dir.join("url")).expect("the template has its database");
                Some(Postgres::shared().copy_of(&like))
            }
        };
        let (database, url) = match &shared {
            None => (DatabaseUrl::Sqlite(data.join("postroom.db")), None),
            Some(url) => (DatabaseUrl::Postgres(url.clone()), Some(url.as_str())),
        };
        configure(&dir, &data, url, source);
        Self { dir, data, database, shared, token: template.token.clone(), settings: Vec::new() }
    }

    /// [`Rig::new`] on a server that the case may stop or kill. The daemon reaches it at `seen`.
    pub fn on(server: &Postgres, seen: SocketAddr, source: &str) -> Self {
        let dir = WorkDir::new("chaos");
        let data = dir.join("data");
        let url = server.database();
        let token = first_start(&data, Some(&url));
        let through = url.replace(&server.address().to_string(), &seen.to_string());
        configure(&dir, &data, Some(&through), source);
        Self { dir, data, database: DatabaseUrl::Postgres(url), shared: None, token, settings: Vec::new() }
    }

    /// Sets a variable of the daemon's environment from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Takes all variables away again.
    pub fn unset_all(&mut self) {
        self.settings.clear();
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn database(&self) -> &DatabaseUrl {
        &self.database
    }

    /// Starts the daemon, under `wrapper` if there is one (strace with a fault, say).
    pub fn start(&self, wrapper: &[&str]) -> Running {
        self.see_the_lock_free();
        self.let_leases_run_out();
        self.start_beside(wrapper)
    }

    /// [`Rig::start`] while another daemon may run.
    pub fn start_beside(&self, wrapper: &[&str]) -> Running {
        let path = env::var("PATH").unwrap_or_default();
        let mut words = vec!["env".to_owned(), "-i".to_owned(), format!("PATH={path}")];
        words.push(format!("TMPDIR={}", self.dir.path().display()));
        words.extend(self.settings.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(wrapper.iter().map(|word| (*word).to_owned()));
        words.push(program().display().to_string());
        words.extend(["serve".to_owned(), "--config".to_owned(), self.config()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let leash = Leash::start("postroom", &words, "TERM", None);
        Running { leash, token: self.token.clone(), address: OnceLock::new() }
    }

    /// Somebody who may ask everything, at an address that was agreed on, once it answers there.
    pub fn caller_at(&self, address: SocketAddr) -> Result<Caller, String> {
        let caller = Caller::new(address, &self.token);
        let deadline = Instant::now() + PATIENCE;
        while caller.mailbox().is_none() {
            if Instant::now() > deadline {
                return Err("nobody answers".to_owned());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(caller)
    }

    /// The path of the configuration.
    pub fn config(&self) -> String {
        self.dir.join("postroom.toml").display().to_string()
    }

    /// Waits until the daemon before is wholly gone. Its outputs close before its lock does, and strace
    /// may be gone before the last of the threads that it watched.
    fn see_the_lock_free(&self) {
        // Before the first start there is no such file.
        let Ok(file) = File::open(self.data.join("daemon.lock")) else { return };
        let deadline = Instant::now() + PATIENCE;
        while file.try_lock().is_err() {
            let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
            assert!(Instant::now() < deadline, "a daemon that was killed keeps its lock:\n{locks}");
            thread::sleep(Duration::from_millis(5));
        }
        // Not by closing it: a process that another case begins just now may hold a copy.
        file.unlock().expect("this process has locked it");
    }

    /// What half a minute of waiting does: on PostgreSQL a killed daemon's mailboxes are another one's
    /// only when its leases have run out. The one before was seen dead; the fences stay as they were.
    fn let_leases_run_out(&self) {
        let DatabaseUrl::Postgres(url) = &self.database else { return };
        let mut conn = PgConnection::establish(url).expect("the server runs");
        // Before the first start there is nothing yet.
        let words = "DO $$ BEGIN IF to_regclass('leases') IS NOT NULL THEN \
                     UPDATE leases SET expires_at = 0; END IF; END $$";
        conn.batch_execute(words).expect("the server takes it");
    }

    /// Starts the daemon as it should be, lets it come to rest, judges it, ends it, and judges what it
    /// leaves.
    pub fn judge(&self, plan: &Plan) -> Findings {
        let running = self.start(&[]);
        let caller = match running.caller() {
            Ok(caller) => caller,
            Err(log) => return failed(format!("it does not start again: {log}")),
        };
        if let Err(said) = caller.settle() {
            return failed(format!(
                "it does not come to rest: {said}; its log:\n{}",
                running.log().join("\n")
            ));
        }
        let mut findings = oracle::judge(&caller, plan);
        self.end(running, &mut findings);
        findings
    }

    /// Ends a daemon in good order and judges what it leaves.
    pub fn end(&self, running: Running, findings: &mut Findings) {
        findings.others.extend(running.betrayed());
        let code = running.stop();
        if code != Some(0) {
            findings.others.push(format!("SIGTERM ended it with {code:?}"));
        }
        oracle::judge_database(self, findings);
    }
}

/// Writes the configuration: one mailbox, polled at the start and when it is asked for.
fn configure(dir: &WorkDir, data: &Path, url: Option<&str>, source: &str) {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[limits]\nrequests_per_minute = 0\n[storage]\ndata_dir = \"{}\"\ninline_kib = 8\n",
        data.display()
    );
    if let Some(url) = url {
        let _ = writeln!(text, "[database]\nurl = \"{url}\"");
    }
    let _ = write!(
        text,
        "[[mailboxes]]\nname = \"Support\"\naddress = \"support@example.org\"\n\
         poll_interval_seconds = 3600\n[mailboxes.source]\n{source}[mailboxes.delivery]\ntype = \"sink\"\n"
    );
    dir.write("postroom.toml", text);
}

fn failed(said: String) -> Findings {
    Findings { others: vec![said], ..Findings::default() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the work folder can be written to");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions()).expect("it is our own");
    for entry in fs::read_dir(from).expect("the template is there").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("the work folder can be written to");
        }
    }
}

/// A daemon that runs, or did until a fault ended it.
pub struct Running {
    leash: Leash,
    token: String,
    /// Kept: the line that says it does not stay in the log for ever.
    address: OnceLock<SocketAddr>,
}

impl Running {
    /// Waits until it has ended by itself; its exit code. `None` where it goes on.
    pub fn ended(self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while !self.leash.has_ended() {
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.leash.exit_code()
    }

    /// Waits until it has ended by itself, and not in good order. `false`: it goes on, or ended well.
    pub fn dies(self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.leash.has_ended() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.leash.exit_code() != Some(0)
    }

    /// Waits until it listens. Its log where it ended before.
    pub fn address(&self) -> Result<SocketAddr, String> {
        if let Some(address) = self.address.get() {
            return Ok(*address);
        }
        self.leash.wait_for_line("listens on http://")?;
        let log = self.leash.log();
        let line = log.iter().find_map(|line| line.split_once("listens on http://"));
        let address = line.and_then(|(_, address)| address.trim().parse().ok());
        let address = address.ok_or_else(|| "it does not say where it listens".to_owned())?;
        Ok(*self.address.get_or_init(|| address))
    }

    /// Somebody who may ask it everything.
    pub fn caller(&self) -> Result<Caller, String> {
        Ok(Caller::new(self.address()?, &self.token))
    }

    /// Waits until its log has a line with these words; else what it logged.
    pub fn wait_for_line(&self, words: &str) -> Result<(), String> {
        self.leash.wait_for_line(words)
    }

    /// Waits until a fault has ended it (`true`) or it has taken everything in.
    ///
    /// # Panics
    /// If neither comes.
    pub fn is_ended_by_fault(&self) -> bool {
        let Ok(caller) = self.caller() else { return true };
        let deadline = Instant::now() + PATIENCE;
        while !self.leash.has_ended() {
            if caller.is_at_rest() {
                return false;
            }
            let said = || caller.mailbox().and_then(|mailbox| caller.status(&mailbox));
            assert!(Instant::now() < deadline, "it neither ends nor comes to rest: {:?}", said());
            thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// It runs no more.
    pub fn has_ended(&self) -> bool {
        self.leash.has_ended()
    }

    /// The process that was started, or what it runs under.
    pub fn pid(&self) -> u32 {
        self.leash.pid()
    }

    /// KiB of memory, by a line of `/proc/PID/status`: `VmRSS` now, `VmHWM` at the most.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok());
        kib.expect("Linux says what a process has in memory")
    }

    /// Ends it, and whatever it runs under, as a crash would.
    pub fn kill(mut self) {
        if !self.leash.has_ended() {
            self.leash.kill();
        }
    }

    /// Ends it in good order; its exit code.
    pub fn stop(self) -> Option<i32> {
        self.leash.exit_code()
    }

    pub fn log(&self) -> Vec<String> {
        self.leash.log()
    }

    /// Secrets that stand in the log.
    fn betrayed(&self) -> Option<String> {
        let log = self.leash.log();
        let secrets = [self.token.as_str(), "correct-horse"];
        let found = log.iter().find(|line| secrets.iter().any(|secret| line.contains(secret)));
        found.map(|line| format!("a secret stands in the log: {line}"))
    }
}

/// An administrator who asks one question after the other.
pub struct Caller {
    runtime: tokio::runtime::Runtime,
    http: Http,
}

impl Caller {
    fn new(address: SocketAddr, token: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, http: Http::new(address).with_token(token) }
    }

    /// Any GET, any answer.
    pub fn ask(&self, path: &str) -> Answer {
        self.runtime.block_on(self.http.get(path))
    }

    /// A GET that must be answered with 200.
    pub fn get(&self, path: &str) -> Value {
        self.ask(path).expect(200).json()
    }

    /// Any request, any answer; `None` where nobody answers any more.
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Option<Answer> {
        let headers = [("Content-Type", content_type)];
        self.runtime.block_on(self.http.try_send(method, path, &headers, body)).ok()
    }

    /// Any POST, any answer; `None` where nobody answers any more.
    pub fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        self.runtime.block_on(self.http.try_send("POST", path, &headers, body.as_bytes())).ok()
    }

    /// A POST that may be repeated: under its key it is done once. `None` where nobody answers.
    pub fn post_once(&self, path: &str, key: &str, body: &Value) -> Option<Answer> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        let body = body.to_string();
        self.runtime.block_on(self.http.try_send("POST", path, &headers, body.as_bytes())).ok()
    }

    /// All rows of a list.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{mark}limit=100{cursor}"));
            all.extend(page["data"].as_array().expect("a list").iter().cloned());
            match page["page"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// All events.
    pub fn events(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.get(&format!("/api/v1/events?after={after}&limit=100"));
            all.extend(page["data"].as_array().expect("a list").iter().cloned());
            after = page["page"]["next_after"].as_i64().expect("a number");
            if page["page"]["has_more"] == false {
                return all;
            }
        }
    }

    /// The path of the one mailbox there is: its number is another one where a first attempt to make
    /// it did not get through.
    pub fn mailbox(&self) -> Option<String> {
        let asked = self.runtime.block_on(self.http.try_send("GET", "/api/v1/mailboxes", &[], b"")).ok()?;
        let id = (asked.status == 200).then(|| asked.json()["data"][0]["id"].as_i64())??;
        Some(format!("/api/v1/mailboxes/{id}"))
    }

    /// What a mailbox says of itself; `None` where it can't just now.
    pub fn status(&self, mailbox: &str) -> Option<Value> {
        let path = format!("{mailbox}/status");
        let asked = self.runtime.block_on(self.http.try_send("GET", &path, &[], b"")).ok()?;
        (asked.status == 200).then(|| asked.json())
    }

    /// The mailbox was polled well, and nothing waits.
    pub fn is_at_rest(&self) -> bool {
        let status = self.mailbox().and_then(|mailbox| self.status(&mailbox));
        status.is_some_and(|status| {
            let idle = status["syncing"] == false && status["pending"] == 0;
            idle && status["state"] == "ok" && !status["last_success_at"].is_null()
        })
    }

    /// Waits until this many mails have come in without anybody asking for it, and nothing waits.
    pub fn until_accepted(&self, count: usize) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = None;
        while Instant::now() < deadline {
            said = self.mailbox().and_then(|mailbox| self.status(&mailbox)).or(said);
            let is_done = |status: &Value| status["accepted"] == count && status["pending"] == 0;
            if said.as_ref().is_some_and(is_done) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(said.map_or_else(|| "nothing".to_owned(), |said| said.to_string()))
    }

    /// Has the mailbox polled until all is well and nothing waits. What it says of itself if that never
    /// comes.
    pub fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mailbox = self.mailbox().ok_or("there is no mailbox")?;
        let path = format!("{mailbox}/sync");
        let mut said = "nothing".to_owned();
        while Instant::now() < deadline {
            let asked = self.post(&path, &json!(null));
            if asked.is_none_or(|answer| answer.status != 202) {
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            while Instant::now() < deadline {
                let Some(status) = self.status(&mailbox) else { break };
                said = status.to_string();
                if status["syncing"] == false {
                    let well = status["state"] == "ok" && !status["last_success_at"].is_null();
                    if status["pending"] == 0 && well {
                        return Ok(());
                    }
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        Err(said)
    }
}

/// A Dovecot whose users belong to cases: each has a mailbox of its own on it.
pub struct Post {
    server: std::sync::Mutex<Dovecot>,
    pub port: u16,
}

impl Post {
    pub fn start() -> Self {
        let server = Dovecot::start_with(dovecot::Options { no_tls: true, ..dovecot::Options::default() });
        let port = server.imap;
        Self { server: std::sync::Mutex::new(server), port }
    }

    /// The server, for one case at a time.
    pub fn server(&self) -> std::sync::MutexGuard<'_, Dovecot> {
        self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A new user whose INBOX holds these mails, and whose folder `Done` is empty.
    pub fn user(&self, name: &str, mails: &[Placed]) {
        let server = self.server();
        server.add_user(name);
        server.make_folder(name, "Done");
        drop(server);
        self.deliver(name, mails);
    }

    /// More mail for a user.
    pub fn deliver(&self, name: &str, mails: &[Placed]) {
        let server = self.server();
        for mail in mails {
            server.deliver(name, "INBOX", &mail.raw);
        }
    }

    /// The mails of a folder.
    pub fn stored(&self, user: &str, folder: &str) -> Vec<Vec<u8>> {
        self.server().stored(user, folder).into_iter().map(|mail| mail.raw).collect()
    }
}
