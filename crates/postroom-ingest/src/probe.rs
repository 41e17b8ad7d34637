//! Tries where a mailbox's mail comes from, and says in words what works or what is wrong.

use crate::error::SourceError;
use crate::imap::{ImapSession, connect};
use crate::maildir::Maildir;
use crate::source::{MailSource, SpecialUse};
use crate::transport::Timeouts;
use postroom_core::mailbox::{AUTO, AfterIngest, Credential, Source};
use postroom_core::ports::Probe;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// Somebody waits for the answer.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    io: Duration::from_secs(15),
    command: Duration::from_secs(30),
};

/// Logs in where mail comes from and looks for the folders; of a Maildir it reads the list and a
/// mail. Nothing is changed there.
pub fn probe_source(source: &Source, credential: Option<&Credential>) -> Probe {
    let outcome = match source {
        Source::Imap { .. } => probe_imap(source, credential),
        Source::Maildir { path } => probe_maildir(path),
        Source::Push {} => Ok("mail is pushed through the API; there is nothing to log in to".to_owned()),
    };
    match outcome {
        Ok(detail) => Probe { ok: true, detail },
        Err(detail) => Probe { ok: false, detail },
    }
}

fn probe_imap(source: &Source, credential: Option<&Credential>) -> Result<String, String> {
    let Source::Imap { host, port, username, folders, after_ingest, sent_folder, junk_folder, .. } = source
    else {
        return Err(in_words(&SourceError::NotImap));
    };
    let Some(credential) = credential else {
        return Err("no password is set".to_owned());
    };
    let mut session = connect(source, credential, &TIMEOUTS).map_err(|error| in_words(&error))?;
    let special = [(sent_folder, SpecialUse::Sent), (junk_folder, SpecialUse::Junk)];
    let found = look_around(&mut session, folders, &special, after_ingest).map_err(|error| in_words(&error));
    session.logout();
    Ok(format!("logged in to {host}:{port} as {username}; {}", found?))
}

fn look_around(
    session: &mut ImapSession,
    folders: &[String],
    special: &[(&Option<String>, SpecialUse)],
    after_ingest: &AfterIngest,
) -> Result<String, SourceError> {
    let mut found = Vec::new();
    for folder in folders {
        let state = session.select(folder, false)?;
        found.push(format!("{folder} holds {}", mails(state.exists as usize)));
    }
    for (name, wanted) in special.iter().filter_map(|(name, wanted)| Some((name.as_ref()?, *wanted))) {
        let named = if name == AUTO { session.special_folder(wanted)? } else { Some(name.clone()) };
        let Some(folder) = named else {
            found.push("it names no folder for \"auto\"".to_owned());
            continue;
        };
        let state = session.select(&folder, false)?;
        found.push(format!("{folder} holds {}", mails(state.exists as usize)));
    }
    let refused = |what: &str, said: &str| SourceError::Refused {
        what: what.to_owned(),
        said: said.to_owned(),
        for_now: false,
    };
    match after_ingest {
        AfterIngest::Leave | AfterIngest::Seen => {}
        AfterIngest::Move { folder } => {
            session.select(folder, false)?;
            if !session.can_move() && !session.can_expunge() {
                return Err(refused("move mails", "it knows neither MOVE nor UIDPLUS; choose leave or seen"));
            }
            found.push(format!("{folder} is there to move mails to"));
        }
        AfterIngest::Delete { .. } if !session.can_expunge() => {
            return Err(refused("delete mails", "it does not know UIDPLUS; choose leave or seen"));
        }
        AfterIngest::Delete { .. } => found.push("mails can be deleted".to_owned()),
    }
    Ok(found.join("; "))
}

fn probe_maildir(path: &str) -> Result<String, String> {
    let tried = Maildir::open(path).and_then(|maildir| {
        let list = maildir.list()?;
        if let Some(latest) = list.last() {
            maildir.read(latest, 1)?;
        }
        Ok(list.len())
    });
    tried.map(|count| format!("the Maildir {path} holds {}", mails(count))).map_err(|error| in_words(&error))
}

fn mails(count: usize) -> String {
    if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") }
}

/// An error and what caused it, in one sentence.
fn in_words(error: &SourceError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String can't fail.
        let _ = write!(words, ": {inner}");
        cause = inner.source();
    }
    words
}
