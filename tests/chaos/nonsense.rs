//! F-16: a server that talks nonsense: lengths that are wrong, lines without end, numbers that can't be.

use crate::crashes::clean;
use crate::plan::{Plan, say, seed};
use crate::rig::{Caller, PATIENCE, Rig, imap};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use support::scripted::{Odd, ScriptedImap};

/// What reading one mailbox of a few small mails may cost over all this, in KiB.
const GROWTH_KIB: u64 = 64 * 1024;

/// A folder of a generation.
fn folder(generation: &str) -> Odd {
    let said =
        format!("* 3 EXISTS\r\n* OK [UIDVALIDITY {generation}] x\r\n* OK [UIDNEXT 4] x\r\nTAG OK done\r\n");
    Odd { at: "EXAMINE", said: said.into_bytes(), is_endless: false }
}

/// Nonsense and its name.
fn oddities() -> Vec<(&'static str, Odd)> {
    let once = |at, said: &[u8]| Odd { at, said: said.to_vec(), is_endless: false };
    let endless = |at, said: &[u8]| Odd { at, said: said.to_vec(), is_endless: true };
    let fetch = "UID FETCH";
    let long = [&b"* OK "[..], &vec![b'x'; 10 << 20], b"\r\n"].concat();
    let nested = [&b"* 1 FETCH "[..], &[b'('; 4_000], b"\r\n"].concat();
    vec![
        ("an endless greeting", endless("", &[b'x'; 4096])),
        ("a goodbye for a greeting", once("", b"* BYE not today\r\n")),
        ("a goodbye", once(fetch, b"* BYE closing down\r\n")),
        ("a literal too long", once(fetch, b"* 1 FETCH (UID 1 BODY[] {999999}\r\nshort)\r\nTAG OK done\r\n")),
        ("a literal too short", once(fetch, b"* 1 FETCH (UID 1 BODY[] {3}\r\nlonger)\r\nTAG OK done\r\n")),
        ("a literal beyond all", once(fetch, b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n")),
        ("a line of 10 MB", once(fetch, &long)),
        ("an endless line", endless(fetch, &[b'('; 4096])),
        ("4,000 parentheses", once(fetch, &nested)),
        ("NUL", once(fetch, b"\0\0* 1 FETCH\0 (UID\0 1)\r\n\0")),
        ("an endless folder", endless("EXAMINE", &[b'x'; 4096])),
        ("a generation that is no number", folder("99999999999")),
    ]
}

/// Polls until it is done, as somebody who asks for it sees it.
fn poll(caller: &Caller, path: &str) -> Value {
    caller.post(&format!("{path}/sync"), &json!(null)).expect("it runs").expect(202);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = caller.status(path).expect("it answers");
        if status["syncing"] == false {
            return status;
        }
        assert!(Instant::now() < deadline, "it does not end: {status}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// F-16: before anything was read, and again when some of it is here.
#[test]
fn a_server_that_talks_nonsense_is_left_alone_and_loses_nothing() {
    let plan = Plan::new(seed("F-16"), 12);
    let server = ScriptedImap::start();
    let mut rig = Rig::new(&imap(server.port, "support", "{ type = \"leave\" }"));
    // How long more of a mail is waited for that never comes, in milliseconds.
    rig.set("POSTROOM_CHAOS_SILENCE_MS", "1000");
    // Nobody answers yet: the first poll must not find anything, either.
    server.be_odd(oddities().remove(0).1);
    let running = rig.start(&[]);
    let caller = running.caller().expect("it starts");
    let path = caller.mailbox().expect("the configuration has one");
    let before = running.memory_kib("VmHWM");
    let (early, late) = plan.mails.split_at(6);
    let mut number = 0;
    for mails in [early, late] {
        for mail in mails {
            number += 1;
            server.put(number, &mail.raw, "22-Nov-2026 08:00:00 +0000");
        }
        for (name, odd) in oddities() {
            let told = server.odd_answers();
            server.be_odd(odd);
            let status = poll(&caller, &path);
            assert!(server.odd_answers() > told, "{name}: it was not heard: {status}");
            assert!(status["state"] != "ok" && status["last_error"].is_string(), "{name}: {status}");
            // A pause before the next poll, or, where the list could be had, before each mail's next try.
            let paused = !status["retry_at"].is_null() || !status["next_try_at"].is_null();
            assert!(paused, "{name}: {status}");
        }
        // Not to be had by RFC 3501 (2.3.1.1), but as good as any other.
        server.be_odd(folder("0"));
        assert_eq!(poll(&caller, &path)["state"], "ok");
        server.heal();
        caller.settle().unwrap_or_else(|said| panic!("{said}\n{}", running.log().join("\n")));
    }
    let grown = running.memory_kib("VmHWM").saturating_sub(before);
    say(&format!("F-16: {grown} KiB of memory more at the most"));
    assert!(grown < GROWTH_KIB, "{grown} KiB");
    assert!(!running.log().iter().any(|line| line.contains("panicked")), "{:?}", running.log());
    running.kill();
    clean("F-16", &rig.judge(&plan));
}
