//! `postroom deliver`: one mail on standard input, from a mail server's pipe. The mail server goes
//! by the exit code (sysexits.h), so only what is wrong with this very mail or command is final;
//! where the desk itself is at fault, the mail is to be kept and tried again.

use super::{Refusal, mailbox, patiently, quiet_log};
use crate::config::Config;
use anyhow::{Context, anyhow};
use postroom_core::desk::Desk;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::keys::sha256_hex;
use postroom_core::mailbox::FolderRole;
use postroom_core::ports::ReadContext;
use postroom_ingest::mbox::without_from_line;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

/// The ledger's name for where this mail comes from.
const FOLDER: &str = "deliver";

const EX_DATAERR: u8 = 65;
const EX_NOUSER: u8 = 67;
/// The one code that every mail server takes for "bring it again". Postfix sends the mail back for
/// 70, 74 and 77 (its pipe(8)), so those are not used, whatever is wrong with the desk.
const EX_TEMPFAIL: u8 = 75;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The mailbox: its name, its number or one of its addresses.
    #[arg(long)]
    mailbox: String,
}

/// Why the mail was not taken, and whether it is to be tried again.
struct Refused {
    code: u8,
    why: anyhow::Error,
}

impl Refused {
    fn new(code: u8, why: anyhow::Error) -> Self {
        Self { code, why }
    }

    /// Nothing is wrong with the mail: it is tried again, and somebody sets right what is wrong here.
    fn later(why: anyhow::Error) -> Self {
        Self { code: EX_TEMPFAIL, why }
    }
}

/// Takes the mail. Says nothing where all is well.
pub(super) fn run(config: Option<&Path>, arguments: &Arguments) -> ExitCode {
    let refused = match catch_unwind(AssertUnwindSafe(|| deliver(config, arguments))) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(refused)) => refused,
        Err(_) => Refused::later(anyhow!("this is a fault of postroom's own; the mail was not taken")),
    };
    eprintln!("postroom: {}", super::chain(&refused.why));
    ExitCode::from(refused.code)
}

fn deliver(config: Option<&Path>, arguments: &Arguments) -> Result<(), Refused> {
    let config = Config::load(config).map_err(Refused::later)?;
    let raw = read(config.limits.mail_mib * 1024 * 1024)?;
    quiet_log(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Refused::later(error.into()))?;
    let _entered = runtime.enter();
    let desk = crate::open::open_existing_desk(&config).map_err(Refused::later)?;
    take_in(&desk, &arguments.mailbox, without_from_line(&raw))
}

/// The mail, if it is one that can be taken.
fn read(most: usize) -> Result<Vec<u8>, Refused> {
    let unreadable =
        |error: io::Error| Refused::later(anyhow::Error::new(error).context("standard input can't be read"));
    let mut raw = Vec::new();
    let mut stdin = io::stdin().lock();
    stdin.by_ref().take(most as u64 + 1).read_to_end(&mut raw).map_err(unreadable)?;
    if raw.len() > most {
        // Who writes into a pipe that was closed may take that for a failure that passes.
        io::copy(&mut stdin, &mut io::sink()).map_err(unreadable)?;
        return Err(Refused::new(
            EX_DATAERR,
            anyhow!("the mail has more than {most} bytes (limits.mail_mib)"),
        ));
    }
    if without_from_line(&raw).iter().all(u8::is_ascii_whitespace) {
        return Err(Refused::new(EX_DATAERR, anyhow!("there is no mail on standard input")));
    }
    Ok(raw)
}

/// Takes the mail in and comes back when it is committed. A mail server that lost our exit code
/// brings the same bytes again: they have the same place in the ledger.
fn take_in(desk: &Desk, named: &str, raw: &[u8]) -> Result<(), Refused> {
    let found = mailbox::named(desk, named).map_err(|refusal| match refusal {
        Refusal::Unknown(why) => Refused::new(EX_NOUSER, why),
        Refusal::Ambiguous(why) => Refused::later(why),
        Refusal::Failed(error) => Refused::later(error.into()),
    })?;
    let context = ReadContext { trusted_authserv_ids: found.trusted_authserv_ids };
    let arrival = Arrival {
        location: sha256_hex(raw),
        uid: None,
        internal_date: Some(desk.now()),
        size: raw.len() as i64,
        mail: desk.ports().reader.read(raw, &context),
        raw: desk.keep_here(raw).context("the mail can't be kept").map_err(Refused::later)?,
        oversized: false,
        is_history: false,
        asked_for: false,
    };
    let batch = Batch {
        mailbox_id: found.id,
        lease: None,
        folder: FOLDER.to_owned(),
        uidvalidity: None,
        role: FolderRole::Inbox,
        history: None,
        arrivals: vec![arrival],
    };
    patiently(|| desk.receive_here(&batch))
        .context("the mail can't be taken in now")
        .map_err(Refused::later)?;
    Ok(())
}
