//! A real PostgreSQL for the tests: one server per test process, one database per test.

use crate::leash::{self, Leash, Owner, is_root};
use crate::ports;
use crate::tls::Certificate;
use crate::workdir::WorkDir;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, process, thread};

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    /// `postgres://user@host:port`, without a database.
    server: String,
    prepared: Mutex<HashSet<String>>,
    own: Option<Own>,
}

/// A server that this process started.
#[derive(Debug)]
struct Own {
    /// The server goes before its folder.
    leash: Leash,
    command: Vec<String>,
    owner: Option<Owner>,
    _dir: WorkDir,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The server of this test process: the one that `POSTROOM_TEST_POSTGRES` names (the URL of its
    /// `postgres` database, for a user who may make databases), else one that is started now and
    /// ends with the process.
    ///
    /// # Panics
    /// If there is none and none can be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match env::var("POSTROOM_TEST_POSTGRES") {
            Ok(url) => Self::running(&url),
            Err(_) => Self::start(),
        })
    }

    /// A server that somebody else started.
    fn running(admin_url: &str) -> Self {
        let (server, _) = admin_url
            .rsplit_once('/')
            .filter(|(server, _)| server.contains("://") && !server.ends_with('/'))
            .unwrap_or_else(|| {
                panic!("POSTROOM_TEST_POSTGRES={admin_url:?} is not postgres://USER@HOST:PORT/postgres")
            });
        Self { server: server.to_owned(), prepared: Mutex::default(), own: None }
    }

    /// A server of the caller's own, for tests that stop or kill it. It takes about two seconds.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or doesn't start.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// Like [`start`](Self::start), but the server speaks TLS with `certificate`; add `?sslmode=…`
    /// to a database's URL to ask for it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or doesn't start.
    pub fn start_with_tls(certificate: Certificate) -> Self {
        Self::start_as(Some(certificate))
    }

    fn start_as(certificate: Option<Certificate>) -> Self {
        let programs = programs();
        // PostgreSQL refuses to run as root.
        let owner =
            is_root().then(|| Owner::named("postgres").expect("Debian's package makes the user postgres"));
        let mut said = String::new();
        for _ in 0..3 {
            let dir = WorkDir::new("pg");
            Owner::give(owner, dir.path());
            let data = dir.join("data");
            init(&programs, &data, owner, certificate);
            let port = ports::free().to_string();
            let (folder, program) = (dir.path().to_string_lossy(), programs.join("postgres"));
            let (data, program) = (data.to_string_lossy(), program.to_string_lossy());
            let tls = if certificate.is_some() { "ssl=on" } else { "ssl=off" };
            let command = [&*program, "-D", &data, "-p", &port, "-k", &folder, "-h", "127.0.0.1"];
            let settings = [
                // Nothing here outlives the machine; a commit is still a commit.
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=on",
                "max_connections=200",
                "shared_buffers=64MB",
                "timezone=UTC",
                tls,
            ];
            let command = [&command[..], &settings.map(|setting| ["-c", setting]).concat()].concat();
            match launch(&command, owner) {
                Ok(leash) => {
                    let server = format!("postgres://postgres@127.0.0.1:{port}");
                    let command = command.iter().map(|word| (*word).to_owned()).collect();
                    let own = Own { leash, command, owner, _dir: dir };
                    return Self { server, prepared: Mutex::default(), own: Some(own) };
                }
                // Somebody took the port, most likely.
                Err(log) => said = log,
            }
        }
        panic!("{said}");
    }

    /// URL of a new, empty database (UTF-8, C collation) that only the caller knows.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn database(&self) -> String {
        self.make(&fresh_name(), "template0")
    }

    /// URL of a new database that is a copy of one that `prepare` filled. `prepare` is called once
    /// per `kind` and process, with the URL of the database it may fill, and must leave no
    /// connection to it open. A copy takes a tenth of the time of running all migrations.
    ///
    /// # Panics
    /// If the server is gone, or `prepare` panics.
    pub fn database_like(&self, kind: &str, prepare: impl FnOnce(&str)) -> String {
        let template = format!("template_{kind}_{}", process::id());
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !prepared.contains(kind) {
            prepare(&self.make(&template, "template0"));
            prepared.insert(kind.to_owned());
        }
        drop(prepared);
        self.make(&fresh_name(), &template)
    }

    /// Ends the server at once, as a crash would. Connections break; [`database`](Self::database)
    /// fails until it is [started again](Self::start_again).
    ///
    /// # Panics
    /// If the server is not this process' own.
    pub fn kill(&mut self) {
        self.own().leash.kill();
    }

    /// Ends the server as an administrator does who wants it to go now: what is being done is rolled
    /// back, and who is connected is told.
    ///
    /// # Panics
    /// If the server is not this process' own, or does not end.
    pub fn shut_down(&mut self) {
        let own = self.own();
        // Its "fast shutdown"; the leash's own signal would be as good as a crash.
        leash::signal("INT", &[own.leash.pid()]);
        let deadline = Instant::now() + Duration::from_mins(1);
        while !own.leash.has_ended() {
            assert!(Instant::now() < deadline, "PostgreSQL does not end: {:?}", own.leash.log());
            thread::sleep(Duration::from_millis(5));
        }
        own.leash.stop();
    }

    /// Starts a server again that was killed or shut down, on its port and with all it had.
    ///
    /// # Panics
    /// If it doesn't start, or is not this process' own.
    pub fn start_again(&mut self) {
        let own = self.own();
        let command: Vec<&str> = own.command.iter().map(String::as_str).collect();
        own.leash = launch(&command, own.owner).unwrap_or_else(|log| panic!("{log}"));
    }

    fn own(&mut self) -> &mut Own {
        self.own.as_mut().expect("only an own server is stopped")
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it is a server of somebody else's whose address is no number.
    pub fn address(&self) -> SocketAddr {
        let address = self.server.rsplit('@').next().unwrap_or_default();
        address.parse().unwrap_or_else(|_| panic!("{address} is not ADDRESS:PORT"))
    }

    /// Breaks every connection to the database of `url`, as an administrator would.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn disconnect(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap_or_default();
        sql_query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind::<diesel::sql_types::Text, _>(name)
            .execute(&mut self.admin())
            .expect("the administrator may end connections");
    }

    /// URL of a new database that is a copy of another one, to which nobody may be connected.
    ///
    /// # Panics
    /// If the server is gone, or somebody is connected.
    pub fn copy_of(&self, url: &str) -> String {
        self.make(&fresh_name(), url.rsplit('/').next().unwrap_or_default())
    }

    /// Removes a database, for tests that need hundreds.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn remove(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.admin()
            .batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
            .unwrap_or_else(|error| panic!("can't remove the database {name}: {error}"));
    }

    fn make(&self, name: &str, template: &str) -> String {
        // Both names are made here of letters, digits and underscores.
        self.admin()
            .batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"))
            .unwrap_or_else(|error| panic!("can't make the database {name} like {template}: {error}"));
        format!("{}/{name}", self.server)
    }

    fn admin(&self) -> PgConnection {
        let url = format!("{}/postgres", self.server);
        PgConnection::establish(&url).unwrap_or_else(|error| panic!("can't reach {url}: {error}"))
    }

    /// Settings of the server, for tests that must know what they stand on.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn setting(&self, name: &str) -> String {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            value: String,
        }
        let rows: Vec<Row> = sql_query("SELECT current_setting($1) AS value")
            .bind::<diesel::sql_types::Text, _>(name)
            .load(&mut self.admin())
            .expect("PostgreSQL knows its settings");
        rows.into_iter().next().map(|row| row.value).unwrap_or_default()
    }
}

fn launch(command: &[&str], owner: Option<Owner>) -> Result<Leash, String> {
    let leash = Leash::start("PostgreSQL", command, "QUIT", owner);
    leash.wait_for_line("ready to accept connections").map(|()| leash)
}

fn fresh_name() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", process::id())
}

fn init(programs: &Path, data: &Path, owner: Option<Owner>, certificate: Option<Certificate>) {
    let mut command = Command::new(programs.join("initdb"));
    command.arg("-D").arg(data).args([
        "-U",
        "postgres",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]);
    command.current_dir("/");
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    let output = command.output().expect("initdb stands beside postgres");
    assert!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
    if let Some(certificate) = certificate {
        for (from, to) in [(certificate.file(), "server.crt"), (certificate.key_file(), "server.key")] {
            let to = data.join(to);
            fs::copy(from, &to).expect("the data folder can be written to");
            // PostgreSQL wants the key to be its own and nobody else's.
            fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("the copy is our own");
            Owner::give(owner, &to);
        }
    }
}

/// The folder with the server's programs: Debian keeps them out of the search path.
fn programs() -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    let searched = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
    folders.extend(searched.unwrap_or_default());
    folders
        .into_iter()
        .rev()
        .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
        .expect("PostgreSQL is not installed; tests/run installs what the tests need")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;

    fn rows(url: &str) -> Result<usize, diesel::result::Error> {
        let mut conn = PgConnection::establish(url).unwrap();
        sql_query("UPDATE things SET name = 'changed'").execute(&mut conn)
    }

    #[test]
    fn every_test_has_a_database_of_its_own() {
        let server = Postgres::shared();
        let (one, two) = (server.database(), server.database());
        let mut conn = PgConnection::establish(&one).unwrap();
        conn.batch_execute("CREATE TABLE things (name text); INSERT INTO things VALUES ('a')").unwrap();
        assert_eq!(rows(&one), Ok(1));
        assert!(rows(&two).is_err());
        assert_eq!(server.setting("synchronous_commit"), "on");
    }

    #[test]
    fn a_copy_holds_what_was_prepared_and_the_preparing_is_done_once() {
        let server = Postgres::shared();
        let prepare = |url: &str| {
            let mut conn = PgConnection::establish(url).unwrap();
            conn.batch_execute("CREATE TABLE things (name text); INSERT INTO things VALUES ('a'), ('b')")
                .unwrap();
        };
        assert_eq!(rows(&server.database_like("copied", prepare)), Ok(2));
        assert_eq!(rows(&server.database_like("copied", |_| panic!("twice"))), Ok(2));
    }

    #[test]
    fn a_server_with_tls_is_known_by_its_certificate() {
        let server = Postgres::start_with_tls(Certificate::Good);
        let ca = tls::ca_file();
        let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.database(), ca.display());
        assert!(PgConnection::establish(&url).is_ok());
        let other = tls::other_ca_file();
        let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.database(), other.display());
        assert!(PgConnection::establish(&url).is_err());
    }

    #[test]
    fn a_server_that_ended_is_gone_and_comes_back_with_all_it_had() {
        let mut server = Postgres::start();
        let url = server.database();
        let mut conn = PgConnection::establish(&url).unwrap();
        conn.batch_execute("CREATE TABLE things (name text); INSERT INTO things VALUES ('a')").unwrap();
        for end in [Postgres::kill, Postgres::shut_down] {
            end(&mut server);
            assert!(PgConnection::establish(&url).is_err());
            server.start_again();
            assert_eq!(rows(&url), Ok(1));
        }
    }
}
