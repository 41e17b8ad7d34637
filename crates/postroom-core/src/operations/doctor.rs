//! Is everything whole that the desk remembers? Read only; what is found is told, not mended.

use super::{authorizations, mailboxes};
use crate::actor::Actor;
use crate::cx::Cx;
use crate::desk::Desk;
use crate::store::doctor::{Found, Unused};
use crate::{Error, store};

/// Blobs that are looked up together.
const PAGE: i64 = 500;
/// Mailboxes of one group in which a lost mail is looked for.
const ROWS: i64 = 20;
/// How many damaged blobs are named.
const EXAMPLES: usize = 10;

/// What reading all blobs showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blobs {
    /// So many were read.
    pub read: usize,
    /// Those that are missing or damaged.
    pub found: Found,
    /// Their hashes.
    pub lost: Vec<String>,
}

/// Rows that name what is not there, wrong counters, secrets that don't open, and what the
/// database says of itself. One entry for each check, found or not.
pub fn examine(cx: &mut Cx<'_>) -> Result<Vec<Found>, Error> {
    let mut all = store::doctor::faults(cx.conn)?;
    all.push(store::whole::integrity(cx.conn)?);
    let none = |what| Found { what, count: 0, examples: Vec::new() };
    let mut passwords = none("mailboxes whose password does not open");
    let mut tokens = none("mailboxes whose authorization does not open");
    for mailbox in store::mailboxes::list(cx.conn)? {
        let opened = [
            (&mut passwords, mailboxes::connection(cx, mailbox.id).map(drop)),
            (&mut tokens, authorizations::open_all(cx, mailbox.id)),
        ];
        for (found, opened) in opened {
            match opened {
                Ok(()) => {}
                Err(Error::StateConflict(_)) => {
                    found.count += 1;
                    found.examples.push(mailbox.name.clone());
                }
                Err(error) => return Err(error),
            }
        }
    }
    all.extend([passwords, tokens]);
    Ok(all)
}

/// Blobs that nothing names any more: no fault, only space, until they are collected.
pub fn unused(cx: &mut Cx<'_>) -> Result<Unused, Error> {
    Ok(store::doctor::unused(cx.conn)?)
}

impl Desk {
    /// Reads every blob and reckons its hash anew. One that nothing names is no fault, whatever it is: it
    /// may be on its way out, and a backup need not have had it. `progress` is told how many were read. Blocks.
    pub fn examine_blobs_here(&self, mut progress: impl FnMut(usize)) -> Result<Blobs, Error> {
        let mut found = Found { what: "blobs that are missing or damaged", count: 0, examples: Vec::new() };
        let (mut read, mut lost) = (0, Vec::new());
        let mut after = String::new();
        loop {
            let page =
                self.read_here(&Actor::system(), |cx| Ok(store::blobs::list_after(cx.conn, &after, PAGE)?))?;
            let Some((last, _)) = page.last() else { return Ok(Blobs { read, found, lost }) };
            after.clone_from(last);
            for (hash, _) in &page {
                let why = match self.load_here(hash) {
                    Ok(_) => None,
                    Err(Error::Lost(why)) => Some(why),
                    Err(Error::Blob(why)) => Some(why.to_string()),
                    Err(error) => return Err(error),
                };
                if let Some(why) = why
                    && !self.is_unnamed_here(hash)?
                {
                    found.count += 1;
                    if found.examples.len() < EXAMPLES {
                        let whose = self.read_here(&Actor::system(), |cx| {
                            Ok(store::doctor::messages_of(cx.conn, hash)?)
                        })?;
                        found.examples.push(format!("{why}{}", of_messages(&whose)));
                    }
                    lost.push(hash.clone());
                }
                read += 1;
            }
            progress(read);
        }
    }

    /// Has the mails of lost blobs fetched again by the next polls, where their servers still have them.
    /// Returns how many were asked for, and how many blobs nothing can be asked for. Blocks.
    pub fn fetch_lost_here(&self, lost: &[String]) -> Result<(usize, usize), Error> {
        let (mut asked, mut left) = (0, 0);
        for hash in lost {
            let rows = self
                .read_here(&Actor::system(), |cx| Ok(store::ledger::taken_in_with(cx.conn, hash, ROWS)?))?;
            let mut is_asked = false;
            for (mailbox, row) in rows {
                match self.retry_here(&Actor::system(), mailbox, row) {
                    Ok(_) => {
                        is_asked = true;
                        break;
                    }
                    // Its source has it no more, or not under this row.
                    Err(Error::StateConflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            *(if is_asked { &mut asked } else { &mut left }) += 1;
        }
        Ok((asked, left))
    }

    /// Whether nothing names a blob, or it is not there any more.
    fn is_unnamed_here(&self, hash: &str) -> Result<bool, Error> {
        self.read_here(&Actor::system(), |cx| {
            let is_there = store::blobs::find(cx.conn, hash)?.is_some();
            Ok(!is_there || store::collecting::unnamed(cx.conn, &[hash])?.contains(hash))
        })
    }
}

/// Whose a blob is, in words that follow its name.
fn of_messages(ids: &[i64]) -> String {
    let all: Vec<String> = ids.iter().map(ToString::to_string).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => format!(", of message {one}"),
        many => format!(", of messages {}", many.join(", ")),
    }
}
