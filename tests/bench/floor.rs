//! The least that taking mail in can cost on this machine: each of its three parts alone, by the
//! same parts of the house or what they stand on, with nothing around them.

use crate::usage;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use imap::types::Fetches;
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_ingest::reader::Reader;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;
use support::dovecot::{Dovecot, PASSWORD};
use support::workdir::WorkDir;

/// Mails and bytes of one batch at the most: the daemon's own.
const BATCH_MAILS: usize = 100;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

diesel::table! {
    raw (id) {
        id -> BigInt,
        content -> Binary,
    }
}

/// Seconds that something took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Of processor time, user and system.
    pub cpu: f64,
    /// By the clock on the wall.
    pub wall: f64,
}

fn took(work: impl FnOnce()) -> Took {
    let (cpu, began) = (usage::cpu("self"), Instant::now());
    work();
    Took { cpu: usage::cpu("self") - cpu, wall: began.elapsed().as_secs_f64() }
}

/// Where each batch of mails begins and ends.
fn batches(mails: &[Vec<u8>]) -> Vec<(usize, usize)> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, mail) in mails.iter().enumerate() {
        if at > from && (at - from == BATCH_MAILS || bytes + mail.len() > BATCH_BYTES) {
            batches.push((from, at));
            (from, bytes) = (at, 0);
        }
        bytes += mail.len();
    }
    batches.push((from, mails.len()));
    batches
}

/// Fetches the mails by the `imap` crate alone, and drops them.
pub fn fetch(dovecot: &Dovecot, mails: &[Vec<u8>]) -> Took {
    took(|| {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dovecot.imap)).expect("Dovecot listens");
        stream.set_nodelay(true).expect("a socket has this option");
        let mut client = imap::Client::new(stream);
        client.read_greeting().expect("Dovecot greets");
        let mut session =
            client.login("support", PASSWORD).map_err(|(error, _)| error).expect("the password is right");
        session.examine("INBOX").expect("everybody has an INBOX");
        let mut bytes = 0;
        for (from, to) in batches(mails) {
            // Nothing was ever deleted in this folder, so numbers have no gaps.
            let set = format!("{}:{to}", from + 1);
            let fetched: Fetches =
                session.uid_fetch(set, "(UID FLAGS INTERNALDATE BODY.PEEK[])").expect("Dovecot answers");
            bytes += fetched.iter().filter_map(|mail| mail.body().map(<[u8]>::len)).sum::<usize>();
        }
        assert!(bytes >= mails.iter().map(Vec::len).sum::<usize>(), "Dovecot sent {bytes} bytes");
    })
}

/// Parses the mails by the house's reader, and drops what they say.
pub fn parse(mails: &[Vec<u8>]) -> Took {
    let (reader, context) = (Reader::default(), ReadContext::default());
    took(|| {
        let unreadable = mails.iter().filter(|mail| reader.read(mail, &context).problem.is_some()).count();
        assert_eq!(unreadable, 0, "the mails can be read");
    })
}

/// Compresses the mails into a bare table, as durably as the daemon.
pub fn insert(mails: &[Vec<u8>]) -> Took {
    let dir = WorkDir::new("floor");
    took(|| {
        let mut conn = SqliteConnection::establish(&dir.join("floor.db").to_string_lossy())
            .expect("a database can be made");
        conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE raw (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
        )
        .expect("a table can be made");
        for (from, to) in batches(mails) {
            conn.immediate_transaction(|conn| {
                for (at, mail) in mails[from..to].iter().enumerate() {
                    let content = zstd::bulk::compress(mail, 1).expect("bytes can be compressed");
                    diesel::insert_into(raw::table)
                        .values((raw::id.eq((from + at) as i64), raw::content.eq(content)))
                        .execute(conn)?;
                }
                QueryResult::Ok(())
            })
            .expect("rows can be written");
        }
    })
}
