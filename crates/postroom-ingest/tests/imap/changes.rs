//! Marking, moving and deleting: these mails and no others, and a clear word where it can't be.

use crate::server::{PATIENT, Peer, Server, password};
use postroom_core::mailbox::Security;
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{ImapSession, connect};
use postroom_ingest::source::{MailSource, Moved};

/// A session with a folder open for changes, on a server that can this.
fn open(can: &'static str, script: impl FnOnce(&mut Peer) + Send + 'static) -> (Server, ImapSession) {
    let server = Server::play(move |peer| {
        peer.let_in(can);
        peer.open_writable();
        script(peer);
    });
    let mut session = server.session();
    session.select("INBOX", true).expect("it is there");
    (server, session)
}

#[test]
fn mails_are_marked_without_asking_for_them_back() {
    let (server, mut session) = open("IMAP4rev1", |peer| {
        peer.hear("UID STORE 1:3,9 +FLAGS.SILENT (\\Seen)");
        peer.say("* 1 FETCH (FLAGS (\\Seen) UID 1)\r\n");
        peer.ok();
        peer.hear("UID STORE 4 +FLAGS.SILENT (\\Seen)");
        peer.finish("NO [NOPERM] read-only");
    });
    session.mark_seen(&[]).unwrap();
    session.mark_seen(&[1, 2, 3, 9]).unwrap();
    let error = session.mark_seen(&[4]).unwrap_err();
    assert_eq!(error.to_string(), "the server refused to mark mails as read; it said: [NOPERM] read-only");
    server.end();
}

#[test]
fn many_mails_take_several_commands() {
    let (server, mut session) = open("IMAP4rev1", |peer| {
        peer.hear("UID STORE 1:500 +FLAGS.SILENT (\\Seen)");
        peer.ok();
        peer.hear("UID STORE 501 +FLAGS.SILENT (\\Seen)");
        peer.ok();
    });
    let uids: Vec<u32> = (1..=501).collect();
    session.mark_seen(&uids).unwrap();
    server.end();
}

#[test]
fn mails_are_moved_in_one_step_where_the_server_can() {
    let (server, mut session) = open("IMAP4rev1 MOVE", |peer| {
        peer.hear("UID MOVE 3 \"R&-D/Gel&APY-scht\"");
        peer.say("* OK [COPYUID 5 3 1] moved\r\n* 1 EXPUNGE\r\n");
        peer.ok();
    });
    assert_eq!(session.move_to(&[3], "R&D/Gelöscht").unwrap(), Moved::Moved);
    server.end();
}

#[test]
fn without_move_a_mail_is_copied_and_then_only_it_is_removed() {
    let (server, mut session) = open("IMAP4rev1 UIDPLUS", |peer| {
        peer.hear("UID COPY 3,5 \"Do\\\"ne\"");
        peer.ok();
        peer.hear("UID STORE 3,5 +FLAGS.SILENT (\\Deleted)");
        peer.ok();
        peer.hear("UID EXPUNGE 3,5");
        peer.say("* 5 EXPUNGE\r\n* 3 EXPUNGE\r\n* 9 EXISTS\r\n");
        peer.ok();
    });
    assert_eq!(session.move_to(&[3, 5], "Do\"ne").unwrap(), Moved::Copied);
    // That much is written down before.
    session.delete(&[3, 5]).unwrap();
    server.end();
}

#[test]
fn a_copy_that_failed_removes_nothing() {
    let (server, mut session) = open("IMAP4rev1 UIDPLUS", |peer| {
        peer.hear("UID COPY 3 \"Done\"");
        peer.finish("NO [TRYCREATE] no such folder");
        peer.hear("LOGOUT");
        peer.ok();
    });
    let error = session.move_to(&[3], "Done").unwrap_err();
    assert!(matches!(&error, SourceError::FolderMissing { folder } if folder == "Done"), "{error:?}");
    assert!(!error.drops_session() && !error.is_transient());
    session.logout();
    server.end();
}

#[test]
fn where_only_a_bare_expunge_is_known_nothing_is_moved_or_deleted() {
    let (server, mut session) = open("IMAP4rev1", |peer| {
        peer.hear("LOGOUT");
        peer.ok();
    });
    let error = session.delete(&[1]).unwrap_err();
    assert!(error.to_string().contains("it does not know UIDPLUS"), "{error}");
    let error = session.move_to(&[1], "Done").unwrap_err();
    assert!(error.to_string().contains("it knows neither MOVE nor UIDPLUS"), "{error}");
    session.logout();
    server.end();
}

#[test]
fn what_is_open_for_reading_only_is_not_changed() {
    let server = Server::let_in(|peer| {
        peer.open(3);
        peer.hear("SELECT \"INBOX\"");
        peer.say("* OK [UIDVALIDITY 7] x\r\n");
        peer.finish("OK [READ-ONLY] done");
        assert_eq!(peer.hear_line(), None);
    });
    let mut session = server.session();
    for writable in [false, true] {
        session.select("INBOX", writable).unwrap();
        let why = "it said: the folder is open for reading only";
        assert!(session.mark_seen(&[1]).unwrap_err().to_string().ends_with(why));
        assert!(session.move_to(&[1], "Done").unwrap_err().to_string().ends_with(why));
        assert!(session.delete(&[1]).unwrap_err().to_string().ends_with(why));
    }
    drop(session);
    server.end();
}

#[test]
fn a_folder_that_is_missing_is_told_from_one_that_is_not_to_be_opened() {
    let server = Server::let_in(|peer| {
        peer.hear("EXAMINE \"Suppoort\"");
        peer.finish("NO Mailbox doesn't exist: Suppoort");
        peer.hear("LIST \"\" \"Suppoort\"");
        peer.ok();
        peer.hear("EXAMINE \"Gone\"");
        peer.finish("NO [NONEXISTENT] Unknown Mailbox");
        peer.hear("EXAMINE \"Parent\"");
        peer.finish("NO cannot be selected");
        peer.hear("LIST \"\" \"Parent\"");
        peer.say("* LIST (\\Noselect) \"/\" Parent\r\n");
        peer.ok();
        peer.hear("EXAMINE \"Later\"");
        peer.finish("NO [INUSE] locked");
        peer.hear("EXAMINE \"Odd\"");
        peer.say("* 3 EXISTS\r\n");
        peer.ok();
        // A line break in a name can't end the command.
        peer.hear("EXAMINE \"a&AA0ACg-b\"");
        peer.finish("NO [NONEXISTENT] no");
    });
    let mut session = server.session();
    let mut refused = |folder: &str| session.select(folder, false).unwrap_err();
    assert!(matches!(refused("Suppoort"), SourceError::FolderMissing { .. }));
    assert!(matches!(refused("Gone"), SourceError::FolderMissing { .. }));
    let error = refused("Parent");
    assert_eq!(
        error.to_string(),
        "the server refused to open the folder \"Parent\"; it said: cannot be selected"
    );
    assert!(refused("Later").is_transient());
    assert!(refused("Odd").to_string().contains("no UIDVALIDITY"));
    assert!(matches!(refused("a\r\nb"), SourceError::FolderMissing { .. }));
    server.end();
}

#[test]
fn a_source_of_another_kind_is_no_imap() {
    let server = Server::let_in(|_| {});
    connect(&server.source(Security::None), &password(), &PATIENT).unwrap();
    server.end();
    let push = postroom_core::mailbox::Source::Push {};
    assert!(matches!(connect(&push, &password(), &PATIENT), Err(SourceError::NotImap)));
}
