//! The commands, by the real program: what they print, with which exit code they end, and what
//! they leave behind.

use crate::program::{Shell, Told};
use postroom_core::access::Scope;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::http::Http;
use support::maildir;
use support::{database, mail};

fn json(told: &Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error} in {told:?}"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// The token alone, ready for `TOKEN=$(postroom token create …)`.
fn token(told: &Told) -> String {
    let line = told.out.strip_suffix('\n').expect("a line");
    assert!(line.starts_with("pr_pat_") && line.bytes().all(|b| b.is_ascii_graphic()), "{told:?}");
    line.to_owned()
}

#[tokio::test]
async fn a_token_is_printed_alone_and_opens_what_it_says() {
    let shell = Shell::new();
    let everything = shell.run(&["token", "create", "--name", "everything"]).well();
    assert!(everything.err.contains("may do everything"), "{everything:?}");
    let narrow = shell
        .run(&[
            "token",
            "create",
            "--name",
            "narrow",
            "--scope",
            "conversations:read",
            "--scope",
            "customers:read",
            "--expires",
            "90d",
        ])
        .well();
    assert_eq!(narrow.err, "", "{narrow:?}");

    let served = shell.serve();
    let http = Http::new(served.address);
    let me = http.with_token(&token(&everything)).get("/api/v1/me").await.expect(200).json();
    assert_eq!(me["name"], "everything");
    assert_eq!(me["scopes"].as_array().unwrap().len(), Scope::ALL.len());
    let narrow = http.with_token(&token(&narrow));
    let me = narrow.get("/api/v1/me").await.expect(200).json();
    assert_eq!(me["scopes"], serde_json::json!(["conversations:read", "customers:read"]));
    narrow.get("/api/v1/conversations").await.expect(200);
    narrow.get("/api/v1/events").await.expect(403);

    // Listed without the secret, revoked by its id, and the daemon knows at once.
    let list = json(&shell.run(&["token", "list", "-o", "json"]).well());
    assert_eq!(list.as_array().unwrap().len(), 2);
    let row = list.as_array().unwrap().iter().find(|row| row["name"] == "narrow").unwrap().clone();
    assert!(row["expires_at"].is_string() && row["last_used_at"].is_string(), "{row}");
    assert!(!list.to_string().contains("pr_pat_"));
    shell.run(&["token", "revoke", row["id"].as_str().unwrap()]).well();
    narrow.get("/api/v1/me").await.expect(401);
    let (code, _) = served.end("TERM");
    assert_eq!(code, Some(0));
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    let shell = Shell::new();
    let scopes = shell.run(&["token", "create", "--name", "x", "--scope", "bogus"]);
    assert_eq!(scopes.code, Some(2), "{scopes:?}");
    assert!(scopes.err.contains("bogus") && scopes.err.contains("conversations:read"), "{scopes:?}");
    let role = shell.run(&["agent", "create", "--name", "A", "--email", "a@example.org", "--role", "boss"]);
    assert_eq!(role.code, Some(2));
    assert!(role.err.contains("boss") && role.err.contains("owner"), "{role:?}");
    for arguments in [
        &["frobnicate"][..],
        &["token", "create"],
        &["token", "create", "--name", "x", "--expires", "soon"],
        &["token", "create", "--name", "x", "--mailbox", "seven"],
        &["mailbox", "add", "--name", "x"],
        &["mailbox", "add", "--name", "x", "--address", "x@example.org", "--push", "--maildir", "/x"],
        &["migrate", "--status", "--down"],
    ] {
        let told = shell.run(arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {told:?}");
        assert_eq!(told.out, "", "{arguments:?}");
    }
    assert!(!shell.data().exists(), "nothing was begun");
    assert!(shell.run(&["--help"]).well().out.contains("serve"));
    assert!(shell.run(&["--version"]).well().out.starts_with("postroom "));
}

#[test]
fn what_can_t_be_done_is_exit_code_1_and_one_line() {
    let shell = Shell::new();
    shell.run(&["migrate"]).well();
    for (arguments, words) in [
        (&["token", "create", "--name", ""][..], "name: must not be empty"),
        (&["token", "create", "--name", "x", "--mailbox", "77"], "mailbox_ids/0: there is no such mailbox"),
        (&["token", "create", "--name", "x", "--agent", "77"], "there is no such agent"),
        (&["token", "revoke", "tok_nothing"], "there is no such token"),
        (&["agent", "create", "--name", "A", "--email", "nowhere"], "email: "),
        (
            &["agent", "create", "--name", "A", "--email", "a@b.example", "--mailbox", "9"],
            "there is no such mailbox",
        ),
        (
            &["mailbox", "add", "--name", "x", "--address", "x@example.org"],
            "--imap HOST, --maildir FOLDER or --push",
        ),
        (&["mailbox", "add", "--name", "x", "--address", "nowhere", "--push"], "address: "),
        (
            &["mailbox", "add", "--name", "x", "--address", "x@example.org", "--maildir", "/nowhere"],
            "/nowhere",
        ),
        (&["mailbox", "test", "nobody's"], "there is no mailbox \"nobody's\""),
    ] {
        let told = shell.run(arguments);
        assert!(told.refusal().contains(words), "{arguments:?}: {told:?}");
    }
}

#[test]
fn agents_are_made_and_listed() {
    let shell = Shell::new();
    let made =
        shell.run(&["agent", "create", "--name", "Amy", "--email", "amy@example.org", "--role", "owner"]);
    assert_eq!(made.well().out, "1\n");
    let made =
        shell.run(&["agent", "create", "--name", "Bo", "--email", "bo@example.org", "-o", "json"]).well();
    assert_eq!(json(&made)["role"], "agent");
    let again = shell.run(&["agent", "create", "--name", "Bo", "--email", "BO@example.org"]);
    assert!(again.refusal().contains("another agent has this address"));
    let list = json(&shell.run(&["agent", "list", "-o", "json"]).well());
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Amy", "Bo"]);
    assert!(shell.run(&["agent", "list"]).well().out.starts_with("ID  NAME"));
}

#[test]
fn mailboxes_are_added_listed_and_tried() {
    let shell = Shell::new();
    let folder = shell.dir.join("Maildir");
    maildir::make(&folder, None);
    let added = shell.run(&[
        "mailbox",
        "add",
        "--name",
        "Support",
        "--address",
        "support@example.org",
        "--maildir",
        "Maildir",
    ]);
    assert_eq!(added.well().out, "1\n");
    let tried = shell.run(&["mailbox", "test", "Support", "-o", "json"]).well();
    assert_eq!(
        (&json(&tried)["source"]["ok"], &json(&tried)["delivery"]["ok"]),
        (&true.into(), &true.into())
    );

    // A server that is not there, with a password from standard input and from a file.
    let port = support::ports::free().to_string();
    let shared = [
        "--imap",
        "127.0.0.1",
        "--imap-port",
        &port,
        "--imap-security",
        "none",
        "--smtp",
        "127.0.0.1",
        "--smtp-port",
        &port,
        "--smtp-security",
        "none",
    ];
    let one = ["mailbox", "add", "--name", "One", "--address", "one@example.org"];
    let told = shell.run_with_input(&[&one[..], &shared].concat(), "geheim-1\n");
    assert_eq!(told.well().out, "2\n");
    shell.dir.write("password", "geheim-2\n");
    let two =
        ["mailbox", "add", "--name", "Two", "--address", "two@example.org", "--password-file", "password"];
    assert_eq!(shell.run(&[&two[..], &shared].concat()).well().out, "3\n");
    let empty = ["mailbox", "add", "--name", "Three", "--address", "three@example.org"];
    let told = shell.run_with_input(&[&empty[..], &shared].concat(), "\n");
    assert!(told.refusal().contains("the password is empty"));

    let told = shell.run(&["mailbox", "test", "2", "-o", "json"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(json(&told)["source"]["ok"], false);
    assert!(json(&told)["delivery"]["detail"].as_str().is_some_and(|text| !text.is_empty()));
    let told = shell.run(&["mailbox", "test", "Two"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.starts_with("source: failed: "), "{told:?}");

    let told = shell.run(&["mailbox", "list", "-o", "json"]).well();
    let list = json(&told);
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Support", "One", "Two"]);
    assert!(!told.out.contains("geheim"), "{told:?}");
    assert!(shell.run(&["mailbox", "list"]).well().out.contains("support@example.org"));
}

#[test]
fn migrations_are_shown_taken_back_and_applied() {
    let shell = Shell::new();
    if database::kind() == database::Kind::Sqlite {
        let told = shell.run(&["migrate", "--status"]);
        assert!(told.refusal().contains("there is no database at "), "{told:?}");
        assert!(!shell.data().exists(), "to look is not to make");
    }
    let applied = json(&shell.run(&["migrate", "-o", "json"]).well())["applied"].clone();
    assert!(!applied.as_array().unwrap().is_empty());
    let status = shell.run(&["migrate", "--status", "-o", "json"]).well();
    assert_eq!(json(&status)["missing"], serde_json::json!([]));
    assert_eq!(shell.run(&["migrate"]).well().out, "the database is up to date\n");
    let told = shell.run(&["migrate", "--down"]);
    assert!(told.code == Some(2) && told.err.contains("--yes"), "{told:?}");
    assert_eq!(shell.run(&["migrate"]).well().out, "the database is up to date\n");
    assert!(shell.run(&["migrate", "--down", "--yes"]).well().out.starts_with("taken back: "));
    let status = shell.run(&["migrate", "--status", "-o", "json"]);
    assert_eq!(status.code, Some(1), "something is missing: {status:?}");
    assert_eq!(json(&status)["missing"].as_array().unwrap().last(), applied.as_array().unwrap().last());
    assert!(shell.run(&["migrate"]).well().out.starts_with("applied: "));
}

#[test]
fn the_document_is_printed_as_it_stands_in_the_tree() {
    let told = Shell::bare().run(&["openapi"]).well();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    assert!(told.out == fs::read_to_string(file).unwrap(), "openapi/openapi.json has drifted");
    assert_eq!(told.err, "");
}

#[test]
fn what_is_kept_is_kept_for_its_owner_alone() {
    let shell = Shell::new();
    shell.run(&["token", "create", "--name", "x"]).well();
    let data = shell.data();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("postroom.key")), 0o600);
    let served = shell.serve();
    let mut looked_at = 0;
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{} can be read by others", path.display());
        looked_at += 1;
    }
    assert!(looked_at >= 2);
    drop(served);

    fs::set_permissions(data.join("postroom.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = shell.run(&["token", "create", "--name", "x"]);
    assert!(told.refusal().contains("chmod 600"), "{told:?}");
}

#[test]
fn another_key_file_is_refused_in_words() {
    let shell = Shell::new();
    shell.run(&["token", "create", "--name", "x"]).well();
    let key = shell.data().join("postroom.key");
    let right = fs::read(&key).unwrap();
    let other = Shell::new();
    other.run(&["token", "create", "--name", "x"]).well();
    fs::copy(other.data().join("postroom.key"), &key).unwrap();
    for arguments in [&["serve"][..], &["token", "create", "--name", "y"], &["mailbox", "list"]] {
        let told = shell.run(arguments);
        assert!(told.err.contains("the key file is not the one this database was made with"), "{told:?}");
        assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    }
    fs::write(&key, "not a key\n").unwrap();
    assert!(shell.run(&["mailbox", "list"]).refusal().contains("damaged"));
    fs::write(&key, right).unwrap();
    shell.run(&["mailbox", "list"]).well();
}

#[tokio::test]
async fn a_daemon_ends_in_good_order_and_goes_on_where_it_was() {
    let shell = Shell::new();
    let secret = token(&shell.run(&["token", "create", "--name", "x"]).well());
    shell.run(&["mailbox", "add", "--name", "S", "--address", "s@example.org", "--push"]).well();
    for signal in ["TERM", "INT"] {
        let served = shell.serve();
        let http = Http::new(served.address).with_token(&secret);
        http.get("/api/v1/health/ready").await.expect(200);
        let raw = mail::mail().subject(signal).build();
        let headers = [("Content-Type", "message/rfc822")];
        http.send("POST", "/api/v1/mailboxes/1/inbound", &headers, &raw).await.expect(201);
        let (code, log) = served.end(signal);
        assert_eq!(code, Some(0), "{log:?}");
        assert!(log.iter().any(|line| line.contains("stopping")), "{log:?}");
        assert!(!log.iter().any(|line| line.contains("ERROR") || line.contains('\u{1b}')), "{log:?}");
        assert!(!log.iter().any(|line| line.contains(&secret)), "{log:?}");
        let taken_in = log.iter().filter(|line| line.contains("mail was taken in")).collect::<Vec<_>>();
        assert!(taken_in.len() == 1 && taken_in[0].contains("accepted=1"), "{log:?}");
        assert!(!log.iter().any(|line| line.contains('@') || line.contains(signal)), "{log:?}");
    }
    // Killed, with nothing put in order: what was answered is there.
    let served = shell.serve();
    let http = Http::new(served.address).with_token(&secret);
    assert_eq!(http.get("/api/v1/conversations?count=true").await.json()["page"]["total"], 2);
    served.end("KILL");
    let served = shell.serve();
    let http = Http::new(served.address).with_token(&secret);
    assert_eq!(http.get("/api/v1/conversations?count=true").await.json()["page"]["total"], 2);
    assert_eq!(served.end("TERM").0, Some(0));
}

#[test]
fn a_port_that_is_taken_is_told_in_one_line() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut shell = Shell::new();
    let address = taken.local_addr().unwrap().to_string();
    shell.set("POSTROOM__SERVER__LISTEN", &address);
    let told = shell.run(&["serve"]);
    assert!(told.refusal().contains(&format!("server.listen: {address} can't be listened on")), "{told:?}");
}

#[test]
fn the_demonstration_shows_what_there_is_and_leaves_nothing() {
    if database::kind() == database::Kind::Postgres {
        // It brings its own SQLite, whatever the suite runs on: once is enough.
        return;
    }
    let shell = Shell::bare();
    let told = shell.run(&["demo", "--once", "--port", "0"]).well();
    let mut words = told.out.split_whitespace();
    let mails: usize = words.next().unwrap().parse().unwrap();
    assert!(mails >= 40 && told.out.contains(" mails came into "), "{told:?}");
    let became = told.out.split(" became ").nth(1).unwrap().split(' ').next().unwrap();
    let became: usize = became.parse().unwrap();
    let rows = told.out.lines().skip_while(|line| !line.starts_with("ID ")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), became, "{told:?}");
    assert!(became < mails, "some mails belong together");
    assert!(told.out.contains("/docs"), "{told:?}");
    let secret = told.out.lines().map(str::trim).find(|line| line.starts_with("pr_pat_")).unwrap();
    let curls: Vec<&str> = told.out.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
    assert_eq!(curls.len(), 4, "{told:?}");
    assert!(curls.iter().all(|line| line.contains(secret)));
    assert!(told.out.contains("\"kind\":\"reply\""));
    let left: Vec<_> = fs::read_dir(shell.dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
