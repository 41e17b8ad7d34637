//! What an IMAP server says from its greeting to its goodbye, to the session that polls use: what is
//! taken is among what was asked for and no more than the server said, and what is told of it is clean.

use postroom_core::mailbox::{AfterIngest, AuthMethod, Credential, Import, Security, Source};
use postroom_core::threading::keys::normalise_id;
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{ImapSession, connect};
use postroom_ingest::source::{MailSource, SpecialUse};
use postroom_ingest::transport::Timeouts;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::thread;

/// What a server must not be able to have told to anybody.
const SECRET: &str = "correct horse";

/// What is asked about.
const ASKED: [u32; 4] = [1, 2, 7, 9];

/// Fails where something does not hold of these bytes.
pub fn check(said: &[u8]) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::scope(|scope| {
        // It says all it has to say, whatever it is asked. Who hangs up early is free to.
        let server = scope.spawn(|| {
            let (mut line, _) = listener.accept().expect("somebody connects");
            let _ = line.write_all(said).and_then(|()| line.shutdown(Shutdown::Write));
            line
        });
        let credential = Credential::Password(SECRET.into());
        let mut session = connect(&source(port), &credential, &Timeouts::default());
        match &mut session {
            Ok(session) => poll(session, said).unwrap_or_else(|error| is_clean(&error)),
            Err(error) => is_clean(error),
        }
        // Closed here first, with questions unread, it leaves no port behind that is taken for a minute.
        drop(server.join().expect("it only speaks"));
    });
}

/// What is told of a failure is one line, and of a refused login never the password, which servers repeat.
fn is_clean(error: &SourceError) {
    let told = error.to_string();
    assert!(told.chars().count() <= 1000 && !told.contains(char::is_control), "{told:?}");
    assert!(!matches!(error, SourceError::LoginRefused { .. }) || !told.contains(SECRET), "{told:?}");
}

fn source(port: u16) -> Source {
    Source::Imap {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        security: Security::None,
        username: "support".into(),
        auth: AuthMethod::Password,
        folders: vec!["INBOX".into()],
        after_ingest: AfterIngest::Leave,
        import: Import::All,
        sent_folder: None,
        junk_folder: None,
        ca_file: None,
    }
}

/// What a server only refused does not end what comes next.
fn answered<T>(outcome: Result<T, SourceError>) -> Result<Option<T>, SourceError> {
    match outcome {
        Err(error) if error.drops_session() => Err(error),
        outcome => Ok(outcome.ok()),
    }
}

/// All that polls ask for, once.
fn poll(session: &mut ImapSession, said: &[u8]) -> Result<(), SourceError> {
    answered(session.select("INBOX", true))?;
    if let Some(listed) = answered(session.list_after(1))? {
        assert!(ascend(listed.iter().map(|mail| mail.uid)) && listed.iter().all(|mail| mail.uid > 1));
    }
    if let Some(mails) = answered(session.fetch(&ASKED))? {
        assert!(ascend(mails.iter().map(|mail| mail.uid)) && mails.iter().all(|mail| is_asked(mail.uid)));
        let taken: usize = mails.iter().map(|mail| mail.raw.len()).sum();
        assert!(taken <= said.len(), "{taken} bytes of mail in {}", said.len());
    }
    if let Some(numbers) = answered(session.numbers_after(1))? {
        assert!(ascend(numbers.iter().copied()) && numbers.iter().all(|uid| *uid > 1));
    }
    if let Some(marks) = answered(session.marks(&ASKED, true))? {
        assert!(ascend(marks.iter().map(|mark| mark.uid)));
        for id in marks.iter().filter_map(|mark| mark.message_id.as_deref()) {
            assert_eq!(normalise_id(id).as_deref(), Some(id), "an id as the desk keeps it");
        }
    }
    if let Some(there) = answered(session.still_there(&ASKED))? {
        assert!(ascend(there.iter().copied()) && there.iter().all(|uid| is_asked(*uid)));
    }
    for told in answered(session.told(&ASKED))?.unwrap_or_default() {
        let lines = told.subject.iter().chain(&told.from);
        assert!(lines.clone().all(|line| line.chars().count() <= 200 && !line.contains(char::is_control)));
    }
    for mail in [
        answered(session.fetch_large(7, Some(20), 1000))?.flatten(),
        answered(session.fetch_head(7, 100))?.flatten(),
    ] {
        assert!(mail.is_none_or(|mail| mail.uid == 7 && mail.raw.len() <= said.len()));
    }
    answered(session.special_folder(SpecialUse::Junk))?;
    answered(session.list_since("2026-01-31".parse().expect("it is a day")))?;
    answered(session.mark_seen(&ASKED))?;
    answered(session.move_to(&ASKED, "Done"))?;
    answered(session.delete(&ASKED))?;
    session.logout();
    assert!(session.list_after(0).is_err(), "what is over answers nothing");
    Ok(())
}

fn is_asked(uid: u32) -> bool {
    ASKED.contains(&uid)
}

/// In the order of numbers, each once.
fn ascend(uids: impl Iterator<Item = u32>) -> bool {
    uids.is_sorted_by(|one, next| one < next)
}
