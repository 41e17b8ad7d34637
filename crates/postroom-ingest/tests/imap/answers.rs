//! Listing and fetching: honest servers, odd ones, and those that mean harm.

use crate::server::{PATIENT, Server};
use jiff::civil::date;
use postroom_core::time::Timestamp;
use postroom_ingest::error::SourceError;
use postroom_ingest::shield::Limits;
use postroom_ingest::source::{Listed, MailSource};
use postroom_ingest::transport::Timeouts;
use proptest::prelude::*;
use std::time::Duration;

const FETCH: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])";

fn why(error: &SourceError) -> &str {
    match error {
        SourceError::Lost { why, .. } => why,
        other => panic!("not lost, but {other:?}"),
    }
}

#[test]
fn a_mail_comes_as_it_is_byte_for_byte() {
    let mut mail: Vec<u8> = (0..=255).collect();
    mail.extend_from_slice(b"\r\na4 OK done\r\n* BYE {5}\r\n\"\x010\"\r\n.\r\n{4294967296}\r\n");
    let sent = mail.clone();
    let server = Server::let_in(move |peer| {
        peer.open(2);
        peer.hear(&format!("UID FETCH 1:2 {FETCH}"));
        let date = "INTERNALDATE \"22-Nov-2026 10:00:00 +0200\"";
        peer.say(&format!(
            "* 2 FETCH (UID 2 FLAGS (\\Seen müll) {date} RFC822.SIZE {0} BODY[] {{{0}}}\r\n",
            sent.len()
        ));
        peer.send(&sent).unwrap();
        // What comes first, and in which order, is the server's to decide.
        peer.say(")\r\n* 1 FETCH (BODY[] {0}\r\n UID 1 FLAGS () RFC822.SIZE 0)\r\n");
        peer.ok();
    });
    let mut session = server.session();
    let state = session.select("INBOX", false).unwrap();
    assert_eq!((state.uidvalidity, state.uidnext, state.exists), (7, Some(3), 2));
    let mails = session.fetch(&[2, 1]).unwrap();
    assert_eq!(mails.iter().map(|mail| mail.uid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((mails[0].raw.as_slice(), mails[0].seen, mails[0].internal_date), (&b""[..], false, None));
    assert_eq!(mails[1].raw, mail);
    assert!(mails[1].seen);
    assert_eq!(mails[1].internal_date, Some(Timestamp::from_seconds(1_795_334_400)));
    server.end();
}

#[test]
fn news_about_other_mails_is_not_taken_for_mail() {
    let server = Server::let_in(|peer| {
        peer.hear(&format!("UID FETCH 4:5 {FETCH}"));
        peer.say("* 9 FETCH (FLAGS (\\Seen))\r\n* 4 FETCH (UID 4 FLAGS (\\Seen))\r\n* 12 EXISTS\r\n");
        peer.say("* 4 FETCH (UID 4 FLAGS () BODY[] \"a \\\"b\\\\\")\r\n* NO the disk is nearly full\r\n");
        peer.say("* 7 FETCH (UID 7 BODY[] \"nobody asked\")\r\n* 4 FETCH (UID 4 BODY[] \"again\")\r\n");
        peer.say("* 5 FETCH (UID 5 FLAGS () BODY[] NIL)\r\n");
        peer.ok();
    });
    let mails = server.session().fetch(&[4, 5]).unwrap();
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].uid, mails[0].raw.as_slice()), (4, &b"a \"b\\"[..]));
    server.end();
}

#[test]
fn listing_drops_the_last_mail_that_servers_repeat() {
    let server = Server::let_in(|peer| {
        peer.open(3);
        peer.hear("UID FETCH 100:* (UID RFC822.SIZE)");
        peer.say("* 3 FETCH (UID 5 RFC822.SIZE 44)\r\n");
        peer.ok();
        peer.hear("UID FETCH 3:* (UID RFC822.SIZE)");
        peer.say("* 3 FETCH (RFC822.SIZE 4294967296 UID 5)\r\n* 2 FETCH (UID 3 RFC822.SIZE 9)\r\n");
        peer.say("* 3 FETCH (UID 5 FLAGS ())\r\n* 4 FETCH (UID 7)\r\n* 5 FETCH (UID 0 RFC822.SIZE 1)\r\n");
        peer.ok();
    });
    let mut session = server.session();
    session.select("INBOX", false).unwrap();
    assert!(session.list_after(99).unwrap().is_empty());
    let listed = [
        Listed { uid: 3, size: 9 },
        Listed { uid: 5, size: u64::from(u32::MAX) },
        Listed { uid: 7, size: 0 },
    ];
    assert_eq!(session.list_after(2).unwrap(), listed);
    assert!(session.list_after(u32::MAX).unwrap().is_empty());
    server.end();
}

#[test]
fn a_large_folder_is_listed_in_pieces() {
    let server = Server::let_in(|peer| {
        peer.open(30_000);
        // The second is wider, for the first came out nearly empty.
        for (piece, uid) in [("1:5000", 5_000), ("5001:15000", 5_001), ("15001:*", 40_000)] {
            peer.hear(&format!("UID FETCH {piece} (UID RFC822.SIZE)"));
            peer.say(&format!("* 1 FETCH (UID {uid} RFC822.SIZE 1)\r\n"));
            peer.ok();
        }
    });
    let mut session = server.session();
    session.select("INBOX", false).unwrap();
    let uids: Vec<_> = session.list_after(0).unwrap().iter().map(|mail| mail.uid).collect();
    assert_eq!(uids, [5_000, 5_001, 40_000]);
    server.end();
}

#[test]
fn mails_since_a_day_and_mails_that_are_still_there() {
    let server = Server::let_in(|peer| {
        peer.open(3);
        peer.hear("UID SEARCH UID 1:* SINCE 1-Feb-2026");
        peer.say("* SEARCH 9 2\r\n");
        peer.ok();
        peer.hear("UID SEARCH UID 1:3,7");
        peer.say("* SEARCH 7 2 55\r\n");
        peer.ok();
    });
    let mut session = server.session();
    session.select("INBOX", false).unwrap();
    assert_eq!(session.list_since(date(2026, 2, 1)).unwrap(), [2, 9]);
    assert_eq!(session.still_there(&[7, 3, 2, 1]).unwrap(), [2, 7]);
    assert!(session.still_there(&[]).unwrap().is_empty());
    server.end();
}

#[test]
fn a_large_mail_comes_in_pieces_and_of_an_oversized_one_the_head() {
    const MIB: usize = 1 << 20;
    let server = Server::let_in(|peer| {
        for (start, size) in [(0, MIB), (MIB, MIB), (2 * MIB, 3), (2 * MIB + 3, 0)] {
            peer.hear(&format!("UID FETCH 8 (UID FLAGS INTERNALDATE BODY.PEEK[]<{start}.{MIB}>)"));
            peer.say(&format!("* 1 FETCH (UID 8 FLAGS (\\Seen) BODY[]<{start}> {{{size}}}\r\n"));
            peer.send(&vec![b'0' + u8::try_from(start / MIB).unwrap(); size]).unwrap();
            peer.say(")\r\n");
            peer.ok();
        }
        peer.hear(&format!("UID FETCH 8 (UID FLAGS INTERNALDATE BODY.PEEK[]<0.{MIB}>)"));
        peer.ok();
        peer.hear(
            "UID FETCH 8 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER]<0.1048576> BODY.PEEK[TEXT]<0.65536>)",
        );
        peer.say("* 1 FETCH (UID 8 BODY[HEADER]<0> {8}\r\nA: 1\r\n\r\n BODY[TEXT]<0> {4}\r\ntext)\r\n");
        peer.ok();
    });
    let mut session = server.session();
    let mail = session.fetch_large(8, Some(2 << 20), 0).unwrap().unwrap();
    assert!(mail.seen);
    assert_eq!(mail.raw.len(), 2 * MIB + 3);
    assert_eq!((mail.raw[MIB - 1], mail.raw[MIB], &mail.raw[2 * MIB..]), (b'0', b'1', &b"222"[..]));
    assert_eq!(session.fetch_large(8, Some(2 << 20), 0).unwrap(), None);
    assert_eq!(session.fetch_head(8, 65_536).unwrap().unwrap().raw, b"A: 1\r\n\r\ntext");
    server.end();
}

/// Plays one mail of a given size in pieces: each as long as the script says, `None` is NIL.
fn in_pieces(pieces: Vec<Option<usize>>, size: Option<u64>) -> Option<usize> {
    let server = Server::let_in(move |peer| {
        let mut start = 0;
        for piece in pieces {
            peer.hear(&format!("UID FETCH 8 (UID FLAGS INTERNALDATE BODY.PEEK[]<{start}.1048576>)"));
            match piece {
                Some(bytes) => {
                    peer.say(&format!("* 1 FETCH (UID 8 BODY[]<{start}> {{{bytes}}}\r\n"));
                    peer.send(&vec![b'x'; bytes]).expect("the client listens");
                    peer.say(")\r\n");
                    start += bytes;
                }
                None => peer.say(&format!("* 1 FETCH (UID 8 BODY[]<{start}> NIL)\r\n")),
            }
            peer.ok();
        }
    });
    let mut session = server.session();
    let mail = session.fetch_large(8, size, 1 << 26).expect("no piece is refused");
    server.end();
    mail.map(|mail| mail.raw.len())
}

#[test]
fn the_end_of_a_large_mail_is_where_the_server_has_no_more() {
    const MIB: usize = 1 << 20;
    // Less at a time than was asked for.
    assert_eq!(in_pieces(vec![Some(300_000), Some(300_000), Some(100_000)], Some(700_000)), Some(700_000));
    assert_eq!(in_pieces(vec![Some(300_000), Some(300_000), Some(0)], None), Some(600_000));
    // Exactly so many MiB, and nothing after that.
    assert_eq!(in_pieces(vec![Some(MIB), None], Some(MIB as u64)), Some(MIB));
    assert_eq!(in_pieces(vec![Some(MIB), Some(0)], Some(MIB as u64)), Some(MIB));
    assert_eq!(in_pieces(vec![Some(MIB), None], None), Some(MIB));
    // It went away in the middle, and was never there.
    assert_eq!(in_pieces(vec![Some(MIB), None], Some(3 * MIB as u64)), None);
    assert_eq!(in_pieces(vec![None], None), None);
}

#[test]
fn a_no_after_half_an_answer_leaves_the_session_usable() {
    let server = Server::let_in(|peer| {
        peer.hear(&format!("UID FETCH 1:2 {FETCH}"));
        peer.say("* 1 FETCH (UID 1 BODY[] {2}\r\nhi)\r\n");
        peer.finish("NO Some of the requested messages no longer exist.");
        peer.hear(&format!("UID FETCH 1 {FETCH}"));
        peer.say("* 1 FETCH (UID 1 BODY[] {3}\r\nhi!)\r\n");
        peer.ok();
    });
    let mut session = server.session();
    let error = session.fetch(&[1, 2]).unwrap_err();
    assert!(!error.drops_session() && !error.is_transient());
    assert_eq!(
        error.to_string(),
        "the server refused to fetch mails; it said: Some of the requested messages no longer exist."
    );
    assert_eq!(session.fetch(&[1]).unwrap()[0].raw, b"hi!");
    server.end();
}

/// What a server says instead of an answer to a fetch, and what we say to that.
#[test]
fn a_server_that_goes_wrong_ends_the_session_and_nothing_else() {
    let deep = format!("* 1 FETCH (BODYSTRUCTURE {}\r\n", "(".repeat(4000));
    let cases = [
        (
            "* 1 FETCH (UID 1 BODY[] {4294967296}\r\n",
            "the server sent a literal of 4294967296 bytes, and 73400320 is the most",
        ),
        (
            "* 1 FETCH (UID 1 BODY[] {99999999999999999999999}\r\n",
            "the server sent a literal of 99999999999999999999999 bytes, and 73400320 is the most",
        ),
        ("* 1 FETCH (UID 1 BODY[] {5}\r\nhel", "the server hung up in the middle of an answer"),
        (
            "* 1 FETCH (UID 1 BODY[] {2}\r\nhello)\r\n",
            "what the server sent is no answer to what was asked: * 1 FETCH (UID 1 BODY[] \" 0\"llo)",
        ),
        (
            "* 1 FETCH (UID 1 BODY[] {2}\r\nhe)\r\n* BYE Wartung – bis später\r\n",
            "the server said goodbye: Wartung – bis später",
        ),
        ("* 1 FETCH (UID 1 BODY[] {2}\r\nhe)\r\n", "the server hung up"),
        (deep.as_str(), "the server sent more than 32 parentheses open at once"),
        (
            "* 1 FETCH (UID 1 INTERNALDATE NIL BODY[] {2}\r\nhe)\r\n",
            "what the server sent is no answer to what was asked: * 1 FETCH (UID 1 INTERNALDATE NIL BODY[] \" 0\")",
        ),
        ("x9 OK done\r\n", "what the server sent is no answer to what was asked: x9 OK done"),
        ("\0\0\0\r\n", "what the server sent is no answer to what was asked: "),
    ];
    for (answer, expected) in cases {
        let answer = answer.to_owned();
        let server = Server::let_in(move |peer| {
            peer.hear(&format!("UID FETCH 1 {FETCH}"));
            peer.say(&answer);
        });
        let mut session = server.session();
        let error = session.fetch(&[1]).unwrap_err();
        assert_eq!(why(&error), expected);
        assert!(error.drops_session() && error.is_transient());
        assert_eq!(why(&session.fetch(&[1]).unwrap_err()), "the session is over");
        session.logout();
        server.end();
    }
}

#[test]
fn an_endless_line_and_an_endless_answer_are_cut_off() {
    let endless = |unit: &'static [u8], limits: Limits| {
        let server = Server::let_in(move |peer| {
            peer.hear(&format!("UID FETCH 1 {FETCH}"));
            while peer.send(unit).is_ok() {}
        });
        let error = server.session_within(&PATIENT, limits).fetch(&[1]).unwrap_err();
        server.end();
        why(&error).to_owned()
    };
    assert_eq!(
        endless(&[b'x'; 4096], Limits::default()),
        "the server sent a line of more than 1048576 bytes"
    );
    let limits = Limits { answer: 1 << 20, ..Limits::default() };
    assert_eq!(
        endless(b"* 1 EXISTS\r\n", limits),
        "the server sent more than 1048576 bytes in answer to one command"
    );
    let mails = b"* 1 FETCH (UID 1 BODY[] {8}\r\n01234567)\r\n";
    assert_eq!(endless(mails, limits), "the server sent more than 1048576 bytes in answer to one command");
}

#[test]
fn a_server_that_stalls_or_never_comes_to_an_end_is_given_up() {
    let stalled = Timeouts { io: Duration::from_secs(1), ..PATIENT };
    let server = Server::let_in(|peer| {
        peer.hear(&format!("UID FETCH 1 {FETCH}"));
        peer.say("* 1 FETCH (UID 1 BODY[] {5}\r\nhel");
        assert_eq!(peer.hear_line(), None);
    });
    let error = server.session_within(&stalled, Limits::default()).fetch(&[1]).unwrap_err();
    assert_eq!(why(&error), "the server did not answer in time");
    server.end();

    // Something always comes, so that no single read is late.
    let busy = Timeouts { command: Duration::from_secs(1), ..PATIENT };
    let server = Server::let_in(|peer| {
        peer.hear(&format!("UID FETCH 1 {FETCH}"));
        while peer.send(b"* OK still here\r\n").is_ok() {}
    });
    let limits = Limits { answer: usize::MAX, ..Limits::default() };
    let error = server.session_within(&busy, limits).fetch(&[1]).unwrap_err();
    assert_eq!(why(&error), "the server did not answer in time");
    server.end();
}

#[test]
fn warnings_and_farewells_while_a_folder_is_opened_are_no_panic() {
    let server = Server::let_in(|peer| {
        peer.hear("SELECT \"INBOX\"");
        peer.say("* NO Die Platte ist fast voll\r\n* BAD what\r\n* OK [UIDVALIDITY 1] x\r\n* 0 EXISTS\r\n");
        peer.ok();
        peer.hear("EXAMINE \"INBOX\"");
        peer.say("* BYE shutting down\r\n");
    });
    let mut session = server.session();
    assert_eq!(session.select("INBOX", true).unwrap().uidnext, None);
    assert_eq!(why(&session.select("INBOX", false).unwrap_err()), "the server said goodbye: shutting down");
    server.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, there is an answer or an error, and it comes to an end.
    #[test]
    fn no_answer_breaks_the_client(pieces in prop::collection::vec(piece(), 0..40)) {
        let server = Server::let_in(move |peer| {
            if let Some(line) = peer.hear_line() {
                let tag = line.split(' ').next().unwrap_or_default().as_bytes();
                let mut answer = pieces.concat();
                answer.extend_from_slice(b"\r\n");
                answer.extend_from_slice(tag);
                answer.extend_from_slice(b" OK\r\n");
                // It may have hung up by then.
                let _ = peer.send(&answer);
            }
        });
        let mut session = server.session();
        for mail in session.fetch(&[1, 2]).unwrap_or_default() {
            prop_assert!([1, 2].contains(&mail.uid));
        }
        drop(session);
        server.end();
    }
}

/// Pieces that answers are made of, more or less.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "* ",
        "1 ",
        "FETCH ",
        "(",
        ")",
        "UID ",
        "2 ",
        "FLAGS ",
        "\\Seen",
        "INTERNALDATE ",
        "NIL",
        "BODY[] ",
        "{2}\r\nhi",
        "{9}\r\n",
        "\"x\"",
        "\"",
        "\r\n",
        "\n",
        "OK ",
        "NO ",
        "BYE ",
        "[UIDVALIDITY 1]",
        "RFC822.SIZE ",
        "99999999999 ",
        "SEARCH ",
        "VANISHED ",
        "1:5 ",
        "* 1 FETCH (UID 1 BODY[] {2}\r\nhi)\r\n",
        "+ ",
        "CAPABILITY IMAP4rev1 ",
        "ENVELOPE (",
        "BODYSTRUCTURE (",
        "QUOTA ",
        "ID ",
        "LIST () \"/\" ",
        "STATUS x (MESSAGES 1)",
        "MODSEQ (5)",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}
