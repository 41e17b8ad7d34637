//! Commands in a place that holds no desk: those that only look, or bring mail, say so and leave the
//! place as it is; and no key is made for a database that has one.

use crate::program::Shell;
use postroom_core::store::conn::{self, DatabaseUrl};
use postroom_core::store::whole;
use std::fs;
use support::mail::mail;

/// With a database of its own that two data folders may share.
fn shell_with_url() -> Shell {
    let mut shell = Shell::new();
    if let DatabaseUrl::Sqlite(_) = shell.database() {
        let url = format!("sqlite:{}", shell.dir.join("shared.db").display());
        shell.set("POSTROOM__DATABASE__URL", url);
    }
    shell
}

#[test]
fn where_there_is_no_desk_none_is_made() {
    let shell = Shell::new();
    shell.dir.write("one.mbox", b"From a\n\nx\n");
    let words = format!("there is no desk at {}", shell.data().display());
    for (arguments, code) in [
        (&["token", "list"][..], 1),
        (&["token", "revoke", "tok_nothing"], 1),
        (&["agent", "list"], 1),
        (&["mailbox", "list"], 1),
        (&["mailbox", "ledger", "Support"], 1),
        (&["mailbox", "retry", "Support", "1"], 1),
        (&["mailbox", "test", "Support"], 1),
        (&["mailbox", "set", "Support", "--paused", "true"], 1),
        (&["mailbox", "remove", "Support"], 1),
        (&["mailbox", "reconcile", "Support"], 2),
        (&["message", "reparse", "1"], 1),
        (&["import", "mbox", "--mailbox", "Support", "one.mbox"], 1),
        (&["deliver", "--mailbox", "support@example.org"], 75),
    ] {
        let told = shell.run_with_input(arguments, mail().build());
        assert_eq!(told.code, Some(code), "{arguments:?}: {told:?}");
        assert!(told.err.contains(&words) && told.err.lines().count() == 1, "{arguments:?}: {told:?}");
        assert!(!shell.data().exists(), "{arguments:?} made the data folder");
    }
    if let DatabaseUrl::Postgres(_) = shell.database() {
        let mut database = conn::open(&shell.database()).expect("the server runs");
        assert!(whole::is_empty(&mut database).expect("it can be asked"), "a table was made");
    }
    // What begins a desk begins one, and then all of them find it.
    shell.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]).well();
    shell.run_with_input(&["deliver", "--mailbox", "support@example.org"], mail().build()).well();
    shell.run(&["token", "list"]).well();
}

#[test]
fn a_mistyped_folder_is_not_the_end_of_a_mail() {
    let mut shell = shell_with_url();
    shell.run(&["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"]).well();
    let right = shell.data();
    let wrong = shell.dir.join("wrong");
    shell.set("POSTROOM__STORAGE__DATA_DIR", &wrong);
    let command = ["deliver", "--mailbox", "support@example.org"];
    let told = shell.run_with_input(&command, mail().build());
    assert_eq!(told.code, Some(75), "{told:?}");
    assert!(told.err.contains(&wrong.display().to_string()), "{told:?}");
    assert!(!wrong.exists());
    shell.set("POSTROOM__STORAGE__DATA_DIR", right);
    shell.run_with_input(&command, mail().build()).well();
}

#[test]
fn no_key_is_made_for_a_database_that_has_one() {
    let mut shell = shell_with_url();
    shell.run(&["token", "create", "--name", "x"]).well();
    let right = shell.data();
    // Another machine, or a folder of which the key was lost.
    let other = shell.dir.join("other");
    shell.set("POSTROOM__STORAGE__DATA_DIR", &other);
    for arguments in [&["serve"][..], &["token", "create", "--name", "y"], &["mailbox", "list"]] {
        for made_before in [false, true] {
            if made_before {
                fs::create_dir_all(&other).expect("ours");
            }
            let told = shell.run(arguments);
            let line = told.refusal();
            assert!(line.contains(&other.display().to_string()), "{arguments:?}: {line}");
            assert!(!other.join("postroom.key").exists(), "{arguments:?} made a key");
            if other.exists() {
                fs::remove_dir_all(&other).expect("ours");
            }
        }
    }
    fs::create_dir_all(&other).expect("ours");
    assert!(shell.run(&["serve"]).refusal().contains("this database was made with one"));
    // With the right one it is the same desk.
    fs::copy(right.join("postroom.key"), other.join("postroom.key")).expect("both are ours");
    assert!(shell.run(&["token", "list"]).well().out.contains('x'));
}
