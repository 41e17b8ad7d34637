//! `postroom api`: what a script may build on. The desk and the receiver are real.

use crate::program::{Shell, Told};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::desk::TestDesk;
use support::hooks::{Hooks, Reply};
use support::mail::mail;

/// A shell that knows where a desk is and with which token.
fn shell(url: &str, token: Option<&str>) -> Shell {
    let mut shell = Shell::bare();
    shell.set("POSTROOM_URL", url);
    if let Some(token) = token {
        shell.set("POSTROOM_TOKEN", token);
    }
    shell
}

/// Runs `postroom api …` beside whoever answers.
async fn api(shell: &Arc<Shell>, arguments: &[&str], input: &str) -> Told {
    let shell = Arc::clone(shell);
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = std::iter::once("api").chain(arguments.iter().map(String::as_str)).collect();
        shell.run_with_input(&words, input)
    });
    run.await.expect("the command was run")
}

fn out(told: &Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error} in {told:?}"))
}

async fn desk() -> (TestDesk, Arc<Shell>) {
    let desk = TestDesk::start().await;
    let body = json!({"name": "script", "scopes":
        ["conversations:write", "messages:send", "admin:write", "events:read"]});
    let made = desk.http.post("/api/v1/tokens", &body).await.expect(201).json();
    let token = made["token"].as_str().expect("a token").to_owned();
    let shell = Arc::new(shell(&format!("http://{}", desk.address()), Some(&token)));
    (desk, shell)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_asks_changes_and_reads_lists_to_their_end() {
    let (desk, shell) = desk().await;
    desk.mailbox("Support", "support@example.org").await;
    for number in 0..7 {
        let body = json!({"name": format!("tag {number}")}).to_string();
        let told = api(&shell, &["post", "/tags", "-d", &body], "").await.well();
        assert_eq!(out(&told)["name"], format!("tag {number}"));
        assert_eq!(told.err, "");
    }
    let all = api(&shell, &["GET", "/tags", "-q", "limit=3", "--all"], "").await.well();
    let ids: Vec<i64> =
        out(&all)["data"].as_array().unwrap().iter().map(|tag| tag["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 7, "{all:?}");
    let one = api(&shell, &["GET", "/tags", "-q", "limit=3"], "").await.well();
    assert_eq!(
        (out(&one)["data"].as_array().unwrap().len(), &out(&one)["page"]["has_more"]),
        (3, &json!(true))
    );
    let lines = api(&shell, &["GET", "/tags?limit=2", "--all", "-o", "ids"], "").await.well().out;
    assert_eq!(lines, ids.iter().fold(String::new(), |all, id| format!("{all}{id}\n")));
    let table = api(&shell, &["GET", "/tags", "-o", "table", "--columns", "name,id"], "").await.well().out;
    assert!(table.starts_with("NAME   ID\ntag 0  "), "{table}");
    let seqs = api(&shell, &["GET", "/events", "-q", "limit=2", "--all", "-o", "ids"], "").await.well().out;
    let seqs: Vec<i64> = seqs.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(seqs.len() >= 9 && seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    let none = api(&shell, &["GET", "/webhooks", "--all"], "").await;
    assert_eq!(none.code, Some(4), "the token has no such scope: {none:?}");
    assert_eq!(out(&api(&shell, &["GET", "/teams", "--all"], "").await.well()), json!({"data": []}));

    // A body from a file, from standard input; a patch by its proper name; a mail as it is.
    let file = shell.dir.write(
        "new.json",
        json!({"mailbox_id": 1, "subject": "Späte Lieferung",
        "customer": {"email": "ada@example.org"}, "message": {"kind": "inbound", "text": "Where?"}})
        .to_string(),
    );
    let made =
        api(&shell, &["POST", "/conversations", "-d", &format!("@{}", file.display())], "").await.well();
    let path = format!("/conversations/{}", out(&made)["id"]);
    let closed = api(&shell, &["PATCH", &path, "-d", "@-"], r#"{"status": "closed"}"#).await.well();
    assert_eq!(
        (&out(&closed)["status"], &out(&closed)["subject"]),
        (&json!("closed"), &json!("Späte Lieferung"))
    );
    let raw = String::from_utf8(mail().subject("Pushed").build()).expect("it is ASCII");
    let push = ["POST", "/mailboxes/1/inbound", "-H", "Content-Type: message/rfc822", "-d", "@-"];
    let taken = api(&shell, &push, &raw).await.well();
    let message = out(&taken)["message_id"].to_string();
    let back = api(&shell, &["GET", &format!("/messages/{message}/raw")], "").await.well();
    assert_eq!(back.out, raw, "what is not JSON comes as it is");
    let gone = api(&shell, &["DELETE", &path, "-i"], "").await.well();
    assert!(gone.out.is_empty() && gone.err.starts_with("204"), "{gone:?}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_who_is_to_blame() {
    let (desk, known) = desk().await;
    let missing = api(&known, &["GET", "/conversations/77"], "").await;
    assert_eq!((missing.code, &out(&missing)["code"]), (Some(4), &json!("not_found")));
    assert!(missing.err.starts_with("postroom: 404 not_found: "), "{missing:?}");
    let wrong = api(&known, &["POST", "/tags", "-d", r#"{"name": ""}"#, "-o", "table"], "").await;
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(4), ""));
    assert!(wrong.err.contains("422 validation_failed") && wrong.err.contains("/name: "), "{wrong:?}");
    let url = format!("http://{}", desk.address());
    let nobody = Arc::new(shell(&url, None));
    let refused = api(&nobody, &["GET", "/me"], "").await;
    assert_eq!((refused.code, &out(&refused)["code"]), (Some(4), &json!("unauthorized")));
    // From a file, and never from the command line.
    let token = nobody.dir.write("token", "pr_pat_nonsense\n");
    let flag = ["GET", "/me", "--token-file", token.to_str().unwrap()];
    assert_eq!(api(&nobody, &flag, "").await.code, Some(4));
    for (arguments, code) in [
        (&["GET"][..], 2),
        (&["BREW", "/me"], 2),
        (&["GET", "me"], 2),
        (&["GET", "//elsewhere.example/me"], 2),
        (&["POST", "/tags", "--all"], 2),
        (&["GET", "/me", "-q", "limit"], 2),
        (&["GET", "/me", "-H", "nothing"], 2),
        (&["GET", "/me", "--token", "pr_pat_x"], 2),
        (&["GET", "/me", "--url", "ftp://desk"], 2),
        (&["POST", "/tags", "-d", "@/nothing/like/this"], 1),
        (&["GET", "/me", "--token-file", "/nothing/like/this"], 1),
        (&["GET", "/me", "--url", "http://127.0.0.1:9", "--retries", "0"], 3),
    ] {
        let told = api(&nobody, arguments, "").await;
        assert_eq!(told.code, Some(code), "{arguments:?}: {told:?}");
        assert!(told.out.is_empty() && !told.err.is_empty(), "{arguments:?}: {told:?}");
    }
    let hooks = Hooks::start().await;
    hooks.answer(|_| Reply::status(500));
    let failed = api(&Arc::new(shell(&hooks.url, None)), &["GET", "/me"], "").await;
    assert_eq!(failed.code, Some(5), "{failed:?}");
    assert_eq!(hooks.calls().len(), 1, "what failed is not asked for again");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_sent_again_is_sent_under_one_key() {
    let hooks = Hooks::start().await;
    let base = hooks.url.strip_suffix("/hook").expect("its path").to_owned();
    let shell = Arc::new(shell(&base, Some("pr_pat_x")));
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&turn);
    hooks.answer(move |_| {
        let json = |status| {
            Reply::Says(status, "content-type: application/json\r\n".to_owned(), b"{\"id\": 7}".to_vec())
        };
        match turns.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => Reply::Says(503, "retry-after: 0\r\n".to_owned(), Vec::new()),
            1 => Reply::Says(429, "retry-after: 0\r\n".to_owned(), Vec::new()),
            _ => json(201),
        }
    });
    let told = api(&shell, &["POST", "/tags", "-d", "{}", "-o", "ids"], "").await.well();
    assert_eq!(told.out, "7\n");
    let calls = hooks.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.line.starts_with("POST /api/v1/tags ")), "{calls:?}");
    let key = calls[0].header("idempotency-key");
    assert!(key.len() == 32 && calls.iter().all(|call| call.header("idempotency-key") == key), "{calls:?}");
    assert!(calls.iter().all(|call| call.header("authorization") == "Bearer pr_pat_x"), "{calls:?}");
    // Its own key, for a script that is run again; and no more tries than it is allowed.
    let own = ["POST", "/tags", "-d", "{}", "-H", "Idempotency-Key: mine", "--retries", "1"];
    let told = api(&shell, &own, "").await;
    assert_eq!(told.code, Some(4), "{told:?}");
    let calls = hooks.calls();
    assert_eq!(calls.len(), 5);
    assert!(calls[3..].iter().all(|call| call.header("idempotency-key") == "mine"), "{calls:?}");
    // The token stays here.
    hooks.answer(|_| Reply::Says(302, "location: http://127.0.0.1:9/\r\n".to_owned(), Vec::new()));
    api(&shell, &["GET", "/me"], "").await.well();
    assert_eq!(hooks.calls().len(), 6);
}
