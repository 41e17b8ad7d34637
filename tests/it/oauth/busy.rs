//! Tokens while the database does not take every write: an answer that a provider gives once is not
//! lost, and who only needs the token that is there writes nothing.

use super::tokens::{authorize, new_mailbox};
use super::*;
use crate::poison;
use diesel::connection::SimpleConnection;
use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{Credential, End};
use postroom_core::operations::mailboxes::{self, Connection};
use postroom_core::store::conn::{self, DatabaseUrl};
use std::thread;
use support::database;
use support::workdir::WorkDir;

/// A desk without a daemon, with an authorized mailbox.
struct House {
    provider: OauthProvider,
    desk: Desk,
    database: DatabaseUrl,
    connection: Connection,
    /// The token that it was authorized with.
    first: Credential,
    /// Both go last, in this order.
    _runtime: tokio::runtime::Runtime,
    _dir: WorkDir,
}

impl House {
    fn new() -> Self {
        let provider = OauthProvider::start();
        let dir = WorkDir::new("oauth");
        let mut config = Config::default();
        config.storage.data_dir = dir.join("data");
        config.limits.requests_per_minute = 0;
        if database::kind() == database::Kind::Postgres {
            config.database.url = Some(database::fresh(&dir));
        }
        with_provider(&mut config, &provider);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let entered = runtime.enter();
        let desk = postroom::open_desk(&config).expect("it opens");
        drop(entered);
        let system = Actor::system();
        let source = json!({
            "type": "imap", "host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "auth": "oauth2",
        });
        let new = new_mailbox(serde_json::from_value(source).expect("it is a source"));
        let id: MailboxId =
            desk.write_here(&system, |cx| Ok(mailboxes::create(cx, &new)?.id)).expect("a mailbox");
        authorize(&runtime, &provider, &desk, id);
        let connection = desk.read_here(&system, |cx| mailboxes::connection(cx, id)).expect("it is there");
        let access = desk.access_here(&connection, End::Source, None).expect("a token");
        let first = access.credential.expect("a token");
        let database = config.database_url().expect("the desk runs on it");
        Self { provider, desk, database, connection, first, _runtime: runtime, _dir: dir }
    }

    /// A token that is another one than `rejected`.
    fn token(&self, rejected: Option<&Credential>) -> Credential {
        let access = self.desk.access_here(&self.connection, End::Source, rejected).expect("a token");
        access.credential.expect("a token")
    }

    /// Waits until the provider was asked so often to renew.
    fn until_asked(&self, times: usize) {
        while self.provider.count("refresh_token") < times {
            thread::yield_now();
        }
    }
}

/// For two seconds from now the database keeps no new token.
fn fails_for_a_while(database: &DatabaseUrl) {
    let statements = match database {
        DatabaseUrl::Sqlite(_) => {
            "CREATE TABLE fault AS SELECT julianday('now', '+2 seconds') AS until; \
             CREATE TRIGGER fault BEFORE UPDATE ON mailbox_authorizations WHEN NEW.claimed_until IS NULL \
             AND julianday('now') < (SELECT until FROM fault) BEGIN SELECT RAISE(ABORT, 'not now'); END"
        }
        DatabaseUrl::Postgres(_) => {
            "CREATE TABLE fault AS SELECT clock_timestamp() + interval '2 seconds' AS until; \
             CREATE FUNCTION fault() RETURNS trigger AS $$ BEGIN \
             IF clock_timestamp() < (SELECT until FROM fault) THEN RAISE EXCEPTION 'not now'; END IF; \
             RETURN NEW; END $$ LANGUAGE plpgsql; \
             CREATE TRIGGER fault BEFORE UPDATE ON mailbox_authorizations FOR EACH ROW \
             WHEN (NEW.claimed_until IS NULL) EXECUTE FUNCTION fault()"
        }
    };
    poison::run(database, statements);
}

#[test]
fn a_rotated_refresh_token_is_kept_though_the_database_fails_for_a_while() {
    let house = House::new();
    house.provider.hold(true);
    let second = thread::scope(|scope| {
        let asking = scope.spawn(|| house.token(Some(&house.first)));
        house.until_asked(1);
        // From here on the old refresh token is worth nothing, and the new one is nowhere yet.
        fails_for_a_while(&house.database);
        house.provider.hold(false);
        asking.join().expect("the answer is not lost")
    });
    assert_ne!(second, house.first);
    let third = house.token(Some(&second));
    assert_ne!(third, second, "its refresh token is kept");
    assert_eq!(house.provider.count("refresh_token"), 2);
}

#[test]
fn who_needs_the_token_that_is_there_writes_nothing() {
    let house = House::new();
    house.provider.hold(true);
    let (still_good, new) = thread::scope(|scope| {
        let nothing_known = Credential::Bearer("another one that was refused".to_owned());
        poison::run(&house.database, "UPDATE mailbox_authorizations SET refresh_at = 0");
        let asking = scope.spawn(|| house.token(None));
        house.until_asked(1);
        // Nobody else may write for as long as this stands.
        let holder = matches!(house.database, DatabaseUrl::Sqlite(_)).then(|| {
            let mut holder = conn::open(&house.database).expect("it is there");
            holder.batch_execute("BEGIN IMMEDIATE").expect("nobody writes");
            holder
        });
        let still_good = [None, Some(&nothing_known)].map(|rejected| house.token(rejected));
        drop(holder);
        house.provider.hold(false);
        (still_good, asking.join().expect("no panic"))
    });
    assert!(still_good.iter().all(|token| *token == house.first), "the present one is still good");
    assert_ne!(new, house.first);
    assert_eq!(house.provider.count("refresh_token"), 1);
}
