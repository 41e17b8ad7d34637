//! A TCP proxy before a PostgreSQL server that breaks connections at the worst moments: when a
//! COMMIT is on its way, so that nobody can know whether it was done.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The words of a commit as they go over the wire, in a message of their own.
const COMMIT: &[u8] = b"COMMIT\0";

/// What becomes of a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is passed on.
    Passes,
    /// The connection breaks before the server hears of it: it is not done.
    CutBefore,
    /// The connection breaks when the server has done it: only the client does not know.
    CutAfter,
}

/// Decides over a COMMIT.
type Judge = Box<dyn FnMut() -> Commit + Send>;

/// A proxy on a port of its own. It ends with its test.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    judge: Mutex<Judge>,
    ended: AtomicBool,
    /// Both ends of every connection there is.
    open: Mutex<HashMap<u64, [TcpStream; 2]>>,
}

impl Proxy {
    /// A proxy that passes on to `to`, and asks `judge` about every COMMIT.
    ///
    /// # Panics
    /// If no port of 127.0.0.1 is free.
    pub fn start(to: SocketAddr, judge: impl FnMut() -> Commit + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            to,
            judge: Mutex::new(Box::new(judge)),
            ended: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (client, number) in listener.incoming().flatten().zip(0..) {
                if accepting.ended.load(Ordering::Relaxed) {
                    break;
                }
                // A server that is not there: the client finds its connection closed.
                let Ok(server) = TcpStream::connect(accepting.to) else { continue };
                accepting.connect(number, client, server);
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.drain().for_each(|(_, ends)| close(&ends));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the thread that accepts. If it is gone already there is nothing to wake.
        drop(TcpStream::connect(self.address));
    }
}

fn close(ends: &[TcpStream]) {
    for end in ends {
        // Closed by its peer is closed.
        drop(end.shutdown(Shutdown::Both));
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, number: u64, client: TcpStream, server: TcpStream) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, [clone(&client), clone(&server)]);
        drop(open);
        // Set while the answer to a COMMIT must not come back.
        let mute = Arc::new(AtomicBool::new(false));
        let (this, muted) = (Arc::clone(self), Arc::clone(&mute));
        let (from, to) = (clone(&client), clone(&server));
        thread::spawn(move || this.pass(number, from, to, |bytes| this.asks(bytes, &mute)));
        let this = Arc::clone(self);
        thread::spawn(move || this.pass(number, server, client, |_| !muted.load(Ordering::SeqCst)));
    }

    /// Whether these bytes of a client are passed on.
    fn asks(&self, bytes: &[u8], mute: &AtomicBool) -> bool {
        if !bytes.windows(COMMIT.len()).any(|window| window == COMMIT) {
            return true;
        }
        let verdict = (self.judge.lock().unwrap_or_else(PoisonError::into_inner))();
        mute.store(verdict == Commit::CutAfter, Ordering::SeqCst);
        verdict != Commit::CutBefore
    }

    /// Passes bytes on while `is_passed` says so; then the connection is over.
    fn pass(
        &self,
        number: u64,
        mut from: TcpStream,
        mut to: TcpStream,
        mut is_passed: impl FnMut(&[u8]) -> bool,
    ) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if !is_passed(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        close(&[from, to]);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Postgres;
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};

    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }

    fn count(url: &str) -> i64 {
        let mut conn = PgConnection::establish(url).unwrap();
        let counts: Vec<Count> = sql_query("SELECT count(*) FROM things").load(&mut conn).unwrap();
        counts[0].count
    }

    #[test]
    fn a_commit_is_done_or_not_and_nobody_is_told() {
        let server = Postgres::shared();
        let url = server.database();
        PgConnection::establish(&url).unwrap().batch_execute("CREATE TABLE things (name text)").unwrap();
        for (verdict, told, rows) in
            [(Commit::Passes, true, 1), (Commit::CutBefore, false, 1), (Commit::CutAfter, false, 2)]
        {
            let proxy = Proxy::start(server.address(), move || verdict);
            let through = url.replace(&server.address().to_string(), &proxy.address().to_string());
            let mut conn = PgConnection::establish(&through).unwrap();
            conn.batch_execute("BEGIN").unwrap();
            conn.batch_execute("INSERT INTO things VALUES ('a')").unwrap();
            assert_eq!(conn.batch_execute("COMMIT").is_ok(), told, "{verdict:?}");
            assert_eq!(count(&url), rows, "{verdict:?}");
        }
    }

    #[test]
    fn all_connections_are_cut_and_new_ones_are_not() {
        let server = Postgres::shared();
        let url = server.database();
        let proxy = Proxy::start(server.address(), || Commit::Passes);
        let through = url.replace(&server.address().to_string(), &proxy.address().to_string());
        let mut conn = PgConnection::establish(&through).unwrap();
        proxy.cut();
        assert!(conn.batch_execute("SELECT 1").is_err());
        assert!(PgConnection::establish(&through).unwrap().batch_execute("SELECT 1").is_ok());
    }
}
