//! Mailboxes set up from the shell and from the file: what is refused before it does harm, what can be
//! changed, and what two of them must not share.

use crate::problems::problem;
use crate::program::Shell;
use serde_json::{Value, json};
use std::fs;
use support::desk::TestDesk;
use support::mail::mail;
use support::tls;

const SUPPORT: [&str; 6] = ["mailbox", "add", "--name", "Support", "--address", "support@example.org"];

fn with_imap(shell: &Shell, more: &[&str]) -> crate::program::Told {
    shell.dir.write("password", "geheim\n");
    let imap = ["--imap", "imap.example.org", "--password-file", "password"];
    shell.run(&[&SUPPORT[..], &imap, more].concat())
}

fn one(shell: &Shell) -> Value {
    let told = shell.run(&["mailbox", "list", "-o", "json"]).well();
    serde_json::from_str::<Value>(&told.out).expect("JSON")[0].clone()
}

#[test]
fn what_can_not_work_is_refused_before_it_is_stored() {
    let shell = Shell::new();
    shell.dir.write("empty.pem", "nothing\n");
    for (more, words) in [
        (&["--ca-file", "/nope"][..], "--ca-file: /nope can't be found"),
        (&["--ca-file", "empty.pem"], "there is no certificate in empty.pem"),
        (&["--smtp", "bad host"], "delivery/host: must be a name"),
    ] {
        let told = with_imap(&shell, more);
        assert!(told.refusal().contains(words), "{more:?}: {told:?}");
    }
    for (more, words) in [
        (&["--imap", "bad host", "--oauth2"][..], "source/host: must be a name"),
        (&["--push", "--oauth2"], "--oauth2 is how to log in"),
        (&["--push", "--ca-file", "empty.pem"], "--ca-file is for the servers"),
    ] {
        let told = shell.run(&[&SUPPORT[..], more].concat());
        assert!(told.refusal().contains(words), "{more:?}: {told:?}");
    }
    let told = with_imap(&shell, &["--after-ingest", "burn"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    // A file beside the caller is one to the daemon too, which runs elsewhere.
    fs::copy(tls::ca_file(), shell.dir.join("ca.pem")).expect("both are ours");
    with_imap(&shell, &["--ca-file", "ca.pem", "--after-ingest", "move:Done"]).well();
    assert_eq!(one(&shell)["status"]["state"], "new", "nobody has read it yet");
}

#[tokio::test]
async fn a_mailbox_is_changed_and_removed_from_the_shell() {
    let desk = TestDesk::start().await;
    let shell = Shell::of(desk.config());
    with_imap(&shell, &["--smtp", "smtp.example.org", "--only-new"]).well();
    shell.run(&["mailbox", "set", "Support", "--paused", "true", "--after-ingest", "delete:30"]).well();
    let shown = desk.http.get("/api/v1/mailboxes/1").await.expect(200).json();
    assert_eq!(shown["paused"], true);
    assert_eq!(shown["source"]["after_ingest"], json!({"type": "delete", "after_days": 30}));
    assert_eq!(shown["source"]["import"], json!({"type": "none"}), "what is not named stays");
    // Another server gets no password that was given for the first.
    let told = shell.run(&["mailbox", "set", "Support", "--imap", "other.example.org"]);
    assert!(told.refusal().contains("source/password"), "{told:?}");
    let told = shell.run(&[
        "mailbox",
        "set",
        "Support",
        "--imap",
        "other.example.org",
        "--password-file",
        "password",
    ]);
    told.well();
    assert_eq!(desk.http.get("/api/v1/mailboxes/1").await.json()["source"]["host"], "other.example.org");
    for (arguments, code) in [
        (&["mailbox", "set", "Support"][..], 1),
        (&["mailbox", "set", "Support", "--after-ingest", "delete:4000"], 1),
        (&["mailbox", "set", "Support", "--paused", "perhaps"], 2),
    ] {
        assert_eq!(shell.run(arguments).code, Some(code), "{arguments:?}");
    }
    shell.run(&["mailbox", "remove", "Support"]).well();
    desk.http.get("/api/v1/mailboxes/1").await.expect(404);
    // One that holds something stays.
    let pushed = desk.mailbox("Sales", "sales@example.org").await;
    desk.receive(pushed, &mail()).await;
    assert!(shell.run(&["mailbox", "remove", "Sales"]).refusal().contains("holds conversations"));
    desk.stop().await;
}

#[tokio::test]
async fn one_folder_of_one_account_is_one_mailboxes() {
    let desk = TestDesk::start().await;
    let body = |name: &str, source: Value| {
        json!({"name": name, "address": format!("{name}@example.org"), "source": source,
            "delivery": {"type": "sink"}})
    };
    let imap = |more: Value| {
        let mut source = json!({"type": "imap", "host": "127.0.0.1", "port": 1, "security": "tls",
            "username": "u", "password": "p"});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    let path = "/api/v1/mailboxes";
    let first = desk.http.post(path, &body("first", imap(json!({})))).await.expect(201).json();
    for source in [
        imap(json!({})),
        imap(json!({"folders": ["Other", "inbox"]})),
        imap(json!({"folders": ["Other"], "junk_folder": "INBOX"})),
    ] {
        let refused = desk.http.post(path, &body("second", source)).await;
        let document = problem(&refused, 409, "already_exists");
        let told = document["detail"].as_str().unwrap();
        assert!(told.contains("\"first\"") && told.contains("INBOX of u"), "{document}");
        assert_eq!(document["existing_id"], first["id"]);
    }
    // Another folder, user or port is another place; and so it is while one of them rests.
    for (n, source) in
        [imap(json!({"folders": ["Other"]})), imap(json!({"username": "v"})), imap(json!({"port": 2}))]
            .into_iter()
            .enumerate()
    {
        desk.http.post(path, &body(&format!("n{n}"), source)).await.expect(201);
    }
    let mut resting = body("resting", imap(json!({})));
    resting["paused"] = json!(true);
    let id = desk.http.post(path, &resting).await.expect(201).json()["id"].clone();
    let woken = desk.http.patch(&format!("{path}/{id}"), &json!({"paused": false})).await;
    problem(&woken, 409, "already_exists");
    desk.http.patch(&format!("{path}/{id}"), &json!({"name": "asleep"})).await.expect(200);
    let rests = json!({"paused": true});
    desk.http.patch(&format!("{path}/{}", first["id"]), &rests).await.expect(200);
    desk.http.patch(&format!("{path}/{id}"), &json!({"paused": false})).await.expect(200);
    desk.stop().await;
}

#[test]
fn mail_for_an_address_of_two_mailboxes_waits() {
    let shell = Shell::new();
    shell.run(&[&SUPPORT[..], &["--push"]].concat()).well();
    shell.run(&["mailbox", "add", "--name", "Help", "--address", "Support@example.org", "--push"]).well();
    let raw = mail().build();
    let told = shell.run_with_input(&["deliver", "--mailbox", "support@example.org"], &raw);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert!(told.err.contains("\"Support\" and \"Help\""), "{told:?}");
    assert_eq!(shell.run(&["mailbox", "ledger", "support@example.org"]).code, Some(1));
    shell.run_with_input(&["deliver", "--mailbox", "Help"], &raw).well();
}
