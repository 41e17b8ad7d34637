//! What went wrong in other programs of our kind, each tried here. `tests/WEAKNESSES.md` is the list: what it was,
//! what postroom does about it, and which tests hold that.

mod callers;
mod canaries;
mod garbage;
mod inside;
mod keys;
mod selections;

pub use canaries::everything_in;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for an answer before it gives up; nothing is measured with it.
const PATIENCE: Duration = Duration::from_mins(2);

/// Sends these bytes, and no more, and reads what comes back until the server closes the connection.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(to).await.expect("the daemon listens");
    // A server may answer and close before it has read all of it.
    let _cut = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let _reset = tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
    answer
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the tree is there")
}

/// All Rust sources under a folder, by their path in the tree without `.rs`.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("under the root").with_extension("");
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                found.insert(name.display().to_string(), text);
            }
        }
    }
    found
}

/// Whether a source has a test of this name: a function below an attribute that makes it one.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let line = line.trim_start_matches("pub ").trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let places = lines.iter().enumerate().filter(|(_, line)| is_it(line));
    let mut attributes = places.map(|(at, _)| {
        lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"))
    });
    attributes.any(|mut above| above.any(|line| line.starts_with("#[") && line.contains("test")))
}

/// `module::test` is in `tests/it`, `crate: module::test` in that crate.
fn exists(test: &str, ours: &BTreeMap<String, String>, crates: &BTreeMap<String, String>) -> bool {
    let (place, all, path) = match test.split_once(": ") {
        Some((krate, path)) => (format!("crates/{krate}/"), crates, path),
        None => ("tests/it/".to_owned(), ours, test),
    };
    let Some((modules, name)) = path.rsplit_once("::") else { return false };
    // `tests` may be a file of its own or stand at the end of another.
    let file = format!("/{}", modules.replace("::", "/"));
    let files = [file.as_str(), file.strip_suffix("/tests").unwrap_or(&file)];
    let mut of_place = all.iter().filter(|(source, _)| source.starts_with(&place));
    of_place.any(|(source, text)| files.iter().any(|file| source.ends_with(file)) && has_test(text, name))
}

/// The rows of the table: number, cells.
fn rows() -> Vec<(u32, Vec<String>)> {
    let text = fs::read_to_string(root().join("tests/WEAKNESSES.md")).expect("the table is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| V-"));
    rows.map(|row| {
        let mut cells = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let number = cells.next().and_then(|number| number.parse().ok()).expect("each row has its number");
        (number, cells.collect())
    })
    .collect()
}

#[test]
fn every_known_weakness_names_tests_that_there_are() {
    let (ours, crates) = (sources("tests/it"), sources("crates"));
    let mut wrong = Vec::new();
    let rows = rows();
    for (number, cells) in &rows {
        let [known_from, what_we_do, tests] = &cells[..] else { panic!("V-{number}: {cells:?}") };
        assert!(!known_from.is_empty() && !what_we_do.is_empty(), "V-{number} says nothing");
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            wrong.push(format!("V-{number} names no test"));
        }
        wrong.extend(
            named
                .iter()
                .filter(|test| !exists(test, &ours, &crates))
                .map(|test| format!("V-{number}: there is no test {test}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (31..=46).collect::<Vec<u32>>());
    // What looks for them finds what there is and nothing else.
    assert!(exists("weaknesses::every_known_weakness_names_tests_that_there_are", &ours, &crates));
    assert!(!exists("weaknesses::has_test", &ours, &crates) && !exists("tidy::nothing", &ours, &crates));
}

/// Where SQL is written as text, and why nothing that a request says can get into it.
const WRITTEN_SQL: [(&str, &str); 9] = [
    ("store/conn", "locks, and what every connection is told first"),
    ("store/migrate", "a lock around the migrations"),
    ("store/leases", "the database's own clock"),
    ("store/marks", "what SQLite alone is asked: whether something was committed"),
    ("store/blobs", "`format!` writes the numbers of the places"),
    ("store/doctor", "`format!` puts our own queries into others of ours"),
    ("store/search", "the full-text index; words are bound"),
    ("store/webhook_deliveries", "`format!` writes a constant"),
    ("store/whole", "copies and restores; `format!` writes a constant's name"),
];

#[test]
fn sql_is_written_in_few_places_and_never_of_what_a_request_says() {
    let mut found = BTreeSet::new();
    let mut built = Vec::new();
    for (path, text) in sources("crates") {
        let Some((_, file)) = path.split_once("/src/") else { continue };
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let words = ["sql_query(", " sql::<", "batch_execute("];
        if !words.iter().any(|word| code.contains(word)) {
            continue;
        }
        found.insert(file.to_owned());
        // Text that is put together and handed over at once; the few there are were looked at.
        for line in code.lines().filter(|line| words.iter().any(|word| line.contains(word))) {
            if line.contains("format!") {
                built.push(format!("{file}: {}", line.trim()));
            }
        }
    }
    let listed: BTreeSet<String> = WRITTEN_SQL.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(found, listed, "SQL as text stands elsewhere, or a file of the list has none any more");
    built.sort();
    assert_eq!(
        built,
        [
            "store/webhook_deliveries: sql::<Bool>(&format!(",
            "store/whole: conn.batch_execute(&format!(\"CREATE TABLE IF NOT EXISTS {RESTORING} ()\"))?;",
            "store/whole: conn.batch_execute(&format!(\"DROP TABLE IF EXISTS {RESTORING}\"))?;",
        ]
    );
}

/// Members of answers whose name sounds of a secret, and why they are no leak. What begins with `shown once` is
/// told when it is made, and never again.
const SOUNDS_SECRET: [(&str, &str); 20] = [
    ("AuditActor.token_id", "an id"),
    ("AuditEntry.hash", "of the row, for the chain"),
    ("AuthorizationStatus.has_client_secret", "whether there is one"),
    ("CreatedToken.token", "shown once: the token that was made"),
    ("CustomField.key", "what programs call the field"),
    ("CustomFieldChoice.key", "what programs call the choice"),
    ("Decision.key", "what a mail was filed by"),
    ("MailboxDelivery.has_password", "whether there is one"),
    ("Me.token_id", "an id"),
    ("RecoveryCodes.recovery_codes", "shown once: the codes that were made"),
    ("Schedule.public_key", "part of an address that is public"),
    ("SessionStarted.token", "shown once: the session that began"),
    ("SessionStarted.token_id", "an id"),
    ("Source.has_password", "whether there is one"),
    ("Token.previous_secret_until", "a time"),
    ("TotpSecret.secret", "shown once: for the program that shows codes"),
    ("TotpStatus.recovery_codes_left", "a number"),
    ("Webhook.previous_secret_until", "a time"),
    ("Webhook.secret", "shown once: where it was made or rotated, else left out"),
    ("Weighed.key", "what a mail was filed by"),
];

/// What a shape refers to, however deep.
fn referred(document: &Value, shape: &Value, found: &mut BTreeSet<String>) {
    match shape {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                let place = name.strip_prefix('#').expect("a place in the document");
                if found.insert(place.to_owned()) {
                    referred(document, document.pointer(place).expect("it leads somewhere"), found);
                }
            }
            members.values().for_each(|member| referred(document, member, found));
        }
        Value::Array(all) => all.iter().for_each(|one| referred(document, one, found)),
        _ => {}
    }
}

/// The names of all members of a shape, however deep it says them itself.
fn members_of(shape: &Value, found: &mut BTreeSet<String>) {
    match shape {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                found.extend(properties.keys().cloned());
            }
            members
                .iter()
                .filter(|(name, _)| !name.starts_with("example"))
                .for_each(|(_, it)| members_of(it, found));
        }
        Value::Array(all) => all.iter().for_each(|one| members_of(one, found)),
        _ => {}
    }
}

#[test]
fn no_answer_has_a_member_for_a_secret_but_those_that_show_a_new_one() {
    let text = fs::read_to_string(root().join("openapi/openapi.json")).expect("the document is there");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut shapes = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            referred(&document, &operation["responses"], &mut shapes);
            let mut bare = BTreeSet::new();
            members_of(&operation["responses"], &mut bare);
            assert!(bare.is_empty(), "an answer has a shape without a name: {bare:?}");
        }
    }
    assert!(shapes.len() > 80, "{} shapes", shapes.len());
    let sounds = [
        "secret",
        "password",
        "hash",
        "token",
        "credential",
        "private",
        "salt",
        "recovery",
        "key",
        "verifier",
    ];
    let mut found = BTreeSet::new();
    for place in &shapes {
        let mut members = BTreeSet::new();
        members_of(document.pointer(place).expect("it leads somewhere"), &mut members);
        let shape = place.rsplit('/').next().expect("a name");
        let told =
            members.iter().filter(|name| sounds.iter().any(|sound| name.to_lowercase().contains(sound)));
        found.extend(told.map(|name| format!("{shape}.{name}")));
    }
    let listed: BTreeSet<String> = SOUNDS_SECRET.iter().map(|(member, _)| (*member).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn the_packages_run_as_somebody_who_can_not_write_the_program() {
    let unit = fs::read_to_string(root().join("deploy/postroom.service")).expect("the unit is there");
    let said: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    for wanted in [
        "User=postroom",
        "Group=postroom",
        "StateDirectoryMode=0700",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        // All of the file system but its StateDirectory is read-only to it: the program, the unit, the settings.
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "SystemCallFilter=~@privileged @resources",
    ] {
        assert!(said.contains(&wanted), "the unit does not say {wanted}");
    }
    let starts: Vec<&&str> = said.iter().filter(|line| line.starts_with("Exec")).collect();
    assert_eq!(starts.len(), 1, "nothing is done before or beside it: {starts:?}");
    // `+` and `!` would start it as root.
    assert!(starts[0].starts_with("ExecStart=/usr/bin/"), "{starts:?}");
    for never in ["ReadWritePaths=", "PermissionsStartOnly=", "DynamicUser=", "BindPaths="] {
        assert!(!said.iter().any(|line| line.starts_with(never)), "the unit says {never}");
    }
    let user = fs::read_to_string(root().join("deploy/postroom.sysusers")).expect("the user is there");
    assert!(user.lines().any(|line| line.starts_with("u postroom - ")), "a user without a shell");
    let container = fs::read_to_string(root().join("deploy/Dockerfile")).expect("the container is there");
    let users: Vec<&str> = container.lines().filter_map(|line| line.strip_prefix("USER ")).collect();
    assert_eq!(users, ["10001:10001"]);
    assert!(!container.contains("--chown") && !container.contains("COPY --chmod"), "root owns the program");
}
