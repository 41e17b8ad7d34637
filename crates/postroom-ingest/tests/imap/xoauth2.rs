//! A login by token (SASL XOAUTH2), as Google and Microsoft document it.

use crate::server::{PATIENT, Peer, Server};
use postroom_core::mailbox::{Credential, Security};
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::{ImapSession, connect};
use postroom_ingest::source::MailSource;

const TOKEN: &str = "ya29.s3cret-token";
/// `user=amy^Aauth=Bearer ya29.s3cret-token^A^A` in base64.
const RESPONSE: &str = "dXNlcj1hbXkBYXV0aD1CZWFyZXIgeWEyOS5zM2NyZXQtdG9rZW4BAQ==";
/// `{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}` in base64.
const FAILURE: &str =
    "eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ==";

fn log_in(server: &Server) -> Result<ImapSession, SourceError> {
    connect(&server.source(Security::None), &Credential::Bearer(TOKEN.to_owned()), &PATIENT)
}

/// Greets, and takes the token.
fn take_token(peer: &mut Peer) {
    peer.say("* OK Gimap ready\r\n");
    peer.hear("CAPABILITY");
    peer.say("* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\n");
    peer.ok();
    peer.hear("AUTHENTICATE XOAUTH2");
    peer.say("+ \r\n");
    assert_eq!(peer.hear_line().as_deref(), Some(RESPONSE));
}

#[test]
fn a_token_lets_in() {
    let server = Server::play(|peer| {
        take_token(peer);
        peer.finish("OK amy authenticated (Success)");
        peer.able("IMAP4rev1 MOVE");
    });
    assert!(log_in(&server).unwrap().can_move());
    server.end();
}

#[test]
fn a_refusal_is_acknowledged_with_nothing_and_then_told() {
    let server = Server::play(|peer| {
        take_token(peer);
        peer.say(&format!("+ {FAILURE}\r\n"));
        // Anything but an empty line, and the server waits for ever or calls it a syntax error.
        assert_eq!(peer.hear_line().as_deref(), Some(""));
        peer.finish("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    });
    let error = log_in(&server).expect_err("it is refused");
    assert!(error.refuses_login(), "{error:?}");
    let said = error.to_string();
    assert!(said.ends_with("it said: [AUTHENTICATIONFAILED] Invalid credentials (Failure)"), "{said}");
    assert!(said.contains("what it was authorized for") && !said.contains("password"), "{said}");
    server.end();
}

#[test]
fn a_server_that_repeats_the_token_is_not_quoted() {
    for echo in [TOKEN, RESPONSE] {
        let server = Server::play(move |peer| {
            take_token(peer);
            peer.finish(&format!("NO not {echo}"));
        });
        let error = log_in(&server).expect_err("it is refused");
        let told = format!("{error} {error:?}");
        assert!(!told.contains(TOKEN) && !told.contains(RESPONSE), "{told}");
        server.end();
    }
    assert_eq!(format!("{:?}", Credential::Bearer(TOKEN.to_owned())), "Bearer");
}

#[test]
fn a_token_is_not_given_to_a_server_that_does_not_ask_for_one() {
    let server = Server::play(|peer| {
        peer.say("* OK ready\r\n");
        peer.hear("CAPABILITY");
        peer.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
        peer.ok();
        assert_eq!(peer.hear_line(), None);
    });
    let error = log_in(&server).expect_err("there is no way in");
    assert!(error.to_string().contains("XOAUTH2"), "{error}");
    server.end();
}

#[test]
fn a_token_that_runs_out_in_the_middle_is_told_from_other_ends() {
    for (words, expired) in [
        ("Session invalidated - AccessTokenExpired", true),
        ("[ALERT] Your session has expired, please log in again", false),
    ] {
        let server = Server::play(move |peer| {
            take_token(peer);
            peer.finish("OK AUTHENTICATE completed.");
            peer.able("IMAP4rev1");
            peer.hear("EXAMINE \"INBOX\"");
            peer.say(&format!("* BYE {words}\r\n"));
        });
        let error = log_in(&server).unwrap().select("INBOX", false).expect_err("it hung up");
        assert_eq!(error.is_token_expired(), expired, "{error}");
        assert!(error.drops_session() && !error.refuses_login());
        server.end();
    }
}
