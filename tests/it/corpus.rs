//! Two thousand mails of a small support team, in pieces and out of order, with the truth known:
//! nothing is lost, nothing is doubled, and what belongs together is together.

use crate::mailing::*;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};
use support::database::is_long_run;
use support::desk::TestDesk;

/// Runs one of the programs beside this test. Returns what it printed.
fn python(program: &str, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(program);
    let run = Command::new("python3").arg(&script).args(arguments).output();
    let run = run.expect("Python 3 is there: tests/run installs it");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{}: {said}", script.display());
    serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{program} prints JSON: {said}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Lets a daemon read the mails of a seed. Returns how well they were put together.
async fn threaded(seed: u64, strangers: &str) -> Value {
    let desk = TestDesk::start().await;
    let corpus = desk.dir().join("corpus");
    let made = python("make_corpus.py", &["--out", text(&corpus), "--seed", &seed.to_string(), "--lf"]);
    let body = json!({
        "name": "Support", "address": "support@example.org", "threading": {"strangers": strangers},
        "source": {"type": "maildir", "path": corpus.join("Maildir")}, "delivery": {"type": "sink"},
    });
    let mailbox = add_with(&desk, body).await;
    let status = sync(&desk, mailbox).await;
    let taken = number(&status["accepted"]) + number(&status["duplicates"]);
    assert_eq!((taken, &status["state"]), (number(&made["messages"]), &json!("ok")), "{status}");
    let map = map(&desk, &corpus).await;
    let score = python("score_threads.py", &[text(&corpus.join("truth.json")), text(&map)]);
    println!("seed {seed}, strangers {strangers}: {score}");
    desk.stop().await;
    score
}

/// Writes down which mail is in which conversation, as the API tells it.
async fn map(desk: &TestDesk, corpus: &Path) -> PathBuf {
    let mut lines = String::new();
    for (id, conversation) in everything(desk).await {
        writeln!(lines, "{id}\t{conversation}").expect("a text takes more");
    }
    let path = corpus.join("map.tsv");
    fs::write(&path, lines).expect("the folder is our own");
    path
}

#[track_caller]
fn at_least(score: &Value, part: &str, figure: &str, least: f64) {
    let found = score[part][figure].as_f64().expect("a number");
    assert!(found >= least, "{figure} of {part} is {found}, not {least}: {score}");
}

async fn holds(seed: u64) {
    for strangers in ["link", "append"] {
        let score = threaded(seed, strangers).await;
        assert_eq!((&score["lost"], &score["duplicates_stored_twice"]), (&json!(0), &json!(0)), "{score}");
        at_least(&score, "all", "precision", 1.0);
        if strangers == "append" {
            at_least(&score, "header_linked", "recall", 0.995);
            at_least(&score, "all", "f1", 0.96);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_mails_are_put_together_as_they_belong() {
    holds(1).await;
}

/// Seeds that nobody chose, of which the long run tries so many.
const MORE: u64 = 5;

/// `POSTROOM_TEST_SEED` repeats one.
#[tokio::test(flavor = "multi_thread")]
async fn any_two_thousand_mails_are_put_together_as_they_belong() {
    if !is_long_run() {
        println!("skipped: --long tries other seeds");
        return;
    }
    let seeds: Vec<u64> = if let Ok(seed) = env::var("POSTROOM_TEST_SEED") {
        vec![seed.parse().expect("POSTROOM_TEST_SEED is a number")]
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        (now..now + MORE).collect()
    };
    for seed in seeds {
        println!("POSTROOM_TEST_SEED={seed}");
        holds(seed).await;
    }
}
