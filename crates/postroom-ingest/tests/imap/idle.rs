//! Waiting for news (IDLE, RFC 2177), from servers that do it well and oddly.

use crate::server::{PATIENT, Peer, Server};
use postroom_ingest::error::SourceError;
use postroom_ingest::imap::News;
use postroom_ingest::shield::Limits;
use postroom_ingest::source::MailSource;
use postroom_ingest::transport::Timeouts;
use std::sync::mpsc;
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(50);

/// A server that can IDLE, with INBOX open.
fn idling(script: impl FnOnce(&mut Peer) + Send + 'static) -> Server {
    Server::play(|peer| {
        peer.let_in("IMAP4rev1 IDLE");
        peer.open(3);
        script(peer);
    })
}

fn begin(peer: &mut Peer) {
    peer.hear("IDLE");
    peer.say("+ idling\r\n");
}

fn done(peer: &mut Peer) {
    assert_eq!(peer.hear_line().as_deref(), Some("DONE"));
    peer.ok();
}

#[test]
fn growth_is_news_and_nothing_else_is() {
    let server = idling(|peer| {
        begin(peer);
        peer.say("* OK Still here\r\n* OK and still\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n");
        peer.say("* 3 EXISTS\r\n");
        done(peer);
        begin(peer);
        peer.say("* 4 EX");
        peer.say("ISTS\r\n");
        done(peer);
        peer.hear("UID SEARCH UID 1");
        peer.say("* SEARCH 1\r\n");
        peer.ok();
    });
    let mut session = server.session();
    assert!(session.can_idle());
    session.select("INBOX", false).expect("it opens");
    for _ in 0..2 {
        assert_eq!(session.wait_for_news(LONG).expect("it waits"), News::Something);
    }
    assert_eq!(session.still_there(&[1]).expect("the session goes on"), [1]);
    server.end();
}

#[test]
fn the_time_is_over_whatever_keeps_coming_and_news_behind_it_count() {
    let server = idling(|peer| {
        begin(peer);
        // Each of these would begin the crate's limit anew.
        let mut lines = 0;
        loop {
            peer.say("* OK Still here\r\n");
            lines += 1;
            if lines == 3 {
                break;
            }
        }
        // The half of a line that is there when the time is over is not lost.
        peer.say("* 4 EX");
        assert_eq!(peer.hear_line().as_deref(), Some("DONE"));
        peer.say("ISTS\r\n");
        peer.ok();
        begin(peer);
        done(peer);
    });
    let mut session = server.session();
    session.select("INBOX", false).expect("it opens");
    assert_eq!(session.wait_for_news(SHORT).expect("it ends"), News::Something);
    assert_eq!(session.wait_for_news(SHORT).expect("it ends"), News::Nothing);
    server.end();
}

#[test]
fn a_server_that_can_t_is_known_beforehand() {
    let server = Server::let_in(|_| {});
    assert!(!server.session().can_idle());
    server.end();
}

/// Whatever the server does instead of waiting: the session ends, in time, and says so.
fn odd(script: impl FnOnce(&mut Peer) + Send + 'static) -> String {
    let server = idling(script);
    let hurried = Timeouts { io: Duration::from_millis(300), ..PATIENT };
    let mut session = server.session_within(&hurried, Limits::default());
    session.select("INBOX", false).expect("it opens");
    let error = session.wait_for_news(Duration::from_secs(2)).expect_err("it is odd");
    assert!(matches!(error, SourceError::Lost { .. }), "{error}");
    assert!(session.wait_for_news(SHORT).is_err(), "the session is over");
    drop(session);
    server.end();
    error.to_string()
}

#[test]
fn whatever_is_odd_ends_the_session() {
    let bye = odd(|peer| {
        begin(peer);
        peer.say("* BYE Session expired\r\n");
    });
    assert!(bye.contains("Session expired"), "{bye}");
    let closed = odd(begin);
    assert!(closed.contains("hung up"), "{closed}");
    let at_once = odd(|peer| {
        peer.hear("IDLE");
        peer.ok();
    });
    assert!(at_once.contains("was lost"), "{at_once}");
    for nonsense in ["* 4 EXISTS\r\n+ idling\r\n", "+ idling\r\n* LIST () \".\" x\r\n", "+ idling\r\n)(\r\n"]
    {
        let said = odd(move |peer| {
            peer.hear("IDLE");
            peer.say(nonsense);
        });
        assert!(said.contains("was lost"), "{nonsense:?}: {said}");
    }
    let silent = odd(|peer| {
        peer.hear("IDLE");
        // It neither agrees nor refuses, and goes only when we do.
        while peer.hear_line().is_some() {}
    });
    assert!(silent.contains("in time"), "{silent}");
}

#[test]
fn a_refusal_leaves_the_session_as_it_was() {
    let server = idling(|peer| {
        peer.hear("IDLE");
        peer.finish("NO [LIMIT] not now");
        peer.hear("UID SEARCH UID 1");
        peer.say("* SEARCH 1\r\n");
        peer.ok();
    });
    let mut session = server.session();
    session.select("INBOX", false).expect("it opens");
    let refused = session.wait_for_news(LONG).expect_err("it refuses");
    assert!(matches!(refused, SourceError::Refused { for_now: true, .. }), "{refused}");
    assert_eq!(session.still_there(&[1]).expect("the session goes on"), [1]);
    server.end();
}

#[test]
fn another_thread_ends_the_waiting() {
    let (waits, is_waiting) = mpsc::channel();
    let server = idling(move |peer| {
        begin(peer);
        waits.send(()).expect("the test waits for it");
        assert_eq!(peer.hear_line(), None, "the client hangs up and says no more");
    });
    let mut session = server.session();
    session.select("INBOX", false).expect("it opens");
    let hangup = session.hangup().expect("there are handles");
    let ender = std::thread::spawn(move || {
        is_waiting.recv().expect("the server waits");
        hangup.hang_up();
    });
    let ended = session.wait_for_news(LONG).expect_err("it was ended");
    assert!(matches!(ended, SourceError::Lost { .. }), "{ended}");
    ender.join().expect("it hung up");
    drop(session);
    server.end();
}
