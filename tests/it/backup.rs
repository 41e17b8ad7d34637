//! Backups, by the real program, beside a daemon that runs: what comes out of one is the desk as it
//! was, what came since is fetched again, and nothing leaves twice.

use crate::mailing::*;
use crate::program::Shell;
use postroom_core::actor::Actor;
use postroom_core::operations::collecting::Round;
use postroom_core::store::conn::DatabaseUrl;
use postroom_core::time::Clock;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::database;
use support::desk::TestDesk;
use support::http::Http;
use support::mail::mail;
use support::maildir;
use support::workdir::WorkDir;

/// A desk that keeps next to nothing large in the database.
async fn desk() -> TestDesk {
    TestDesk::start_with(Clock::System, |config| config.storage.inline_kib = 4).await
}

/// The dated folder that `postroom backup` says it made.
fn backup(shell: &Shell, to: &Path) -> Value {
    let told = shell.run(&["backup", "--to", to.to_str().expect("UTF-8"), "-o", "json"]).well();
    serde_json::from_str(&told.out).expect("JSON")
}

fn folder(taken: &Value) -> PathBuf {
    PathBuf::from(taken["folder"].as_str().expect("a folder"))
}

/// A place without a desk, as new as a new machine.
fn empty_place() -> Shell {
    let mut shell = Shell::new();
    shell.set("POSTROOM__STORAGE__INLINE_KIB", "4");
    shell
}

fn put_key(shell: &Shell, key: &[u8]) {
    fs::create_dir_all(shell.data()).expect("can be made");
    fs::set_permissions(shell.data(), fs::Permissions::from_mode(0o700)).expect("is ours");
    let path = shell.data().join("postroom.key");
    fs::write(&path, key).expect("can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("is ours");
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("can be listed").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_the_desk_again() {
    let desk = desk().await;
    let server = WorkDir::new("server");
    let maildir = server.join("Maildir");
    maildir::make(&maildir, None);
    let body = json!({
        "name": "Support", "address": "support@example.org",
        "source": {"type": "maildir", "path": maildir},
        "delivery": {"type": "smtp", "host": "127.0.0.1", "port": support::ports::free(), "security": "none"},
    });
    let mailbox = add_with(&desk, body).await;
    let big = mail().subject("Big").attachment("noise.bin", "application/octet-stream", &noise(40_000));
    maildir::deliver(&maildir, &big.build(), None);
    maildir::deliver(&maildir, &mail().subject("Small").build(), None);
    desk.sync(mailbox).await;
    let all = conversations(&desk).await;
    assert_eq!(all.len(), 2);
    let answered = all[0]["id"].as_i64().expect("a number");
    // Nobody listens there: this answer waits.
    let answer = reply(&desk, answered, "On its way.").await;
    delivered(&desk, &answer, "deferred").await;

    let shell = Shell::of(desk.config());
    let to = shell.dir.join("backups");
    let taken = backup(&shell, &to);
    assert_eq!((&taken["objects"], &taken["objects_copied"]), (&json!(1), &json!(1)), "{taken}");
    // What comes after it is not in it.
    let late = mail().subject("Late");
    maildir::deliver(&maildir, &late.build(), None);
    desk.sync(mailbox).await;
    assert_eq!(conversations(&desk).await.len(), 3);
    let highest = conversations(&desk).await.iter().map(|c| c["id"].as_i64().unwrap()).max().unwrap();
    let last_seq = desk.http.get("/api/v1/events?after=0&limit=100").await.expect(200).json();
    let last_seq = last_seq["data"].as_array().unwrap().last().unwrap()["seq"].as_i64().unwrap();
    let key = fs::read(desk.config().key_file()).expect("there is a key");
    let http = desk.http.clone();
    desk.stop().await;

    // Nothing that opens a password or is one stands in a backup.
    for file in files(&to) {
        let bytes = fs::read(&file).expect("is ours");
        let secret = String::from_utf8_lossy(&key).trim().to_owned();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", file.display());
        assert_eq!(
            fs::metadata(&file).expect("is there").permissions().mode() & 0o077,
            0,
            "{}",
            file.display()
        );
    }

    let place = empty_place();
    let from = folder(&taken);
    let from = from.to_str().expect("UTF-8");
    place.run(&["restore", from, "--check"]).well();
    assert!(!place.data().exists(), "a look changes nothing");
    assert!(place.run(&["restore", from]).refusal().contains("there is no key file"));
    put_key(&place, b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert!(
        place.run(&["restore", from]).refusal().contains("is not the one that this backup was made with")
    );
    put_key(&place, &key);
    if let DatabaseUrl::Sqlite(path) = place.database() {
        // What a database that died leaves behind would be played into the restored one.
        for end in ["-wal", "-shm", "-journal"] {
            let mut left = path.clone().into_os_string();
            left.push(end);
            fs::write(&left, "").expect("is ours");
            let told = place.run(&["restore", from]);
            assert!(told.refusal().contains(&format!("postroom.db{end} is left of another")), "{told:?}");
            assert!(!path.exists(), "nothing was changed");
            fs::remove_file(&left).expect("is ours");
        }
    }
    let told = place.run(&["restore", from, "-o", "json"]).well();
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!((&told["restored"], &told["uncertain"]), (&json!(true), &json!(1)));
    let again = place.run(&["restore", from]);
    let again = again.refusal();
    assert!(again.contains("already") || again.contains("not empty"), "{again}");
    let checked = place.run(&["doctor", "-o", "json"]).well();
    let checked: Value = serde_json::from_str(&checked.out).expect("JSON");
    assert_eq!(checked["well"], true);
    assert!(checked["blobs_read"].as_i64().expect("a number") >= 3, "{checked}");

    let served = place.serve();
    let http: Http = http.at(served.address);
    // The answer may have left since: it is not sent again.
    let id = answer["id"].as_i64().expect("a number");
    let shown = http.get(&format!("/api/v1/messages/{id}")).await.expect(200).json();
    assert_eq!(shown["delivery"]["state"], "uncertain", "{shown}");
    // Who reads the log from where they were misses nothing.
    let events =
        http.get(&format!("/api/v1/events?after={last_seq}&types=desk.restored")).await.expect(200).json();
    assert_eq!(events["data"].as_array().expect("a list").len(), 1, "{events}");
    // The mail that came since is here, once, and under a number that nobody knows yet.
    http.post(&format!("/api/v1/mailboxes/{mailbox}/sync"), &Value::Null).await.expect(202);
    let (mut after, mut rows) = (last_seq, Vec::new());
    // Each look waits for an event; the poll ends with one, whatever it found.
    for _ in 0..100 {
        let list = http.get("/api/v1/conversations?limit=100").await.expect(200).json();
        rows.clone_from(list["data"].as_array().expect("a list"));
        if rows.len() > 2 {
            break;
        }
        let events = http.get(&format!("/api/v1/events?after={after}&wait=5")).await.expect(200).json();
        after = events["page"]["next_after"].as_i64().unwrap_or(after);
    }
    assert_eq!(rows.len(), 3);
    let late = rows.iter().find(|row| row["subject"] == "Late").expect("found above");
    assert!(late["id"].as_i64().expect("a number") > highest + 900_000, "{late}");
    let big = rows.iter().find(|row| row["subject"] == "Big").expect("it was in the backup");
    let messages =
        http.get(&format!("/api/v1/conversations/{}/messages", big["id"])).await.expect(200).json();
    let message =
        messages["data"].as_array().expect("a list").iter().find(|m| m["kind"] == "inbound").unwrap().clone();
    let raw = http.get(&format!("/api/v1/messages/{}/raw", message["id"])).await.expect(200);
    assert!(raw.text().contains("noise.bin"));
    let (code, _) = served.end("TERM");
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_share_what_is_large_and_old_ones_go() {
    let desk = desk().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let big = |seed: usize| mail().attachment("noise.bin", "application/octet-stream", &noise(20_000 + seed));
    desk.receive(mailbox, &big(1)).await;
    let shell = Shell::of(desk.config());
    let to = shell.dir.join("backups");
    let first = backup(&shell, &to);
    desk.receive(mailbox, &big(2)).await;
    // Dated to the second: a second one in the same is refused rather than mixed with it.
    let second = desk
        .until(|| async {
            let told = shell.run(&["backup", "--to", to.to_str().unwrap(), "-o", "json"]);
            (told.code == Some(0)).then(|| serde_json::from_str::<Value>(&told.out).expect("JSON"))
        })
        .await;
    assert_eq!((&second["objects"], &second["objects_copied"]), (&json!(2), &json!(1)));
    assert_eq!(files(&to.join("objects")).len(), 2);
    // A large file that only the oldest needs goes with it.
    let orphan = "ab".repeat(32);
    fs::create_dir_all(to.join("objects/ab")).expect("can be made");
    fs::write(to.join("objects/ab").join(&orphan), "old").expect("can be written");
    let third = desk
        .until(|| async {
            let told = shell.run(&["backup", "--to", to.to_str().unwrap(), "--keep", "2", "-o", "json"]);
            (told.code == Some(0)).then(|| serde_json::from_str::<Value>(&told.out).expect("JSON"))
        })
        .await;
    assert_eq!(third["removed"].as_array().expect("a list").len(), 1);
    assert!(!folder(&first).exists() && folder(&second).exists() && folder(&third).exists());
    assert_eq!(files(&to.join("objects")).len(), 2);
    shell.run(&["restore", folder(&second).to_str().unwrap(), "--check"]).well();

    // What was damaged on the way is noticed before anything is changed.
    let object = files(&to.join("objects")).pop().expect("there are two");
    let whole = fs::read(&object).expect("is ours");
    let mut bent = whole.clone();
    bent[100] ^= 1;
    fs::write(&object, &bent).expect("is ours");
    let told = shell.run(&["restore", folder(&second).to_str().unwrap(), "--check"]);
    assert!(told.refusal().contains("is not what was written"), "{told:?}");
    fs::write(&object, &whole).expect("is ours");
    let file = folder(&third).join(third["database"].as_str().map_or("", |kind| match kind {
        "sqlite" => "postroom.db",
        _ => "postroom.pgdump",
    }));
    let mut bytes = fs::read(&file).expect("is ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("is ours");
    let told = shell.run(&["restore", folder(&third).to_str().unwrap(), "--check"]);
    assert!(told.refusal().contains("is not what was written"), "{told:?}");
    // Half a backup is none.
    fs::remove_file(folder(&second).join("manifest.json")).expect("is ours");
    let told = shell.run(&["restore", folder(&second).to_str().unwrap()]);
    assert!(told.refusal().contains("is no whole backup"), "{told:?}");
    desk.stop().await;
}

/// A backup with other arguments, where there is none of the same second.
async fn backup_again(desk: &TestDesk, shell: &Shell, to: &Path, more: &[&str]) -> Value {
    let arguments = [&["backup", "--to", to.to_str().expect("UTF-8"), "-o", "json"], more].concat();
    desk.until(|| async {
        let told = shell.run(&arguments);
        (told.code == Some(0)).then(|| serde_json::from_str::<Value>(&told.out).expect("JSON"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_went_bad_is_never_restored_and_is_replaced_by_the_next_backup() {
    let desk = desk().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let big = mail().attachment("noise.bin", "application/octet-stream", &noise(20_000));
    desk.receive(mailbox, &big).await;
    let shell = Shell::of(desk.config());
    let to = shell.dir.join("backups");
    let first = backup(&shell, &to);
    let object = files(&to.join("objects")).pop().expect("the large one");
    let whole = fs::read(&object).expect("is ours");
    let mut bent = whole.clone();
    bent[100] ^= 1;

    // Never restored, without being asked to check.
    fs::write(&object, &bent).expect("is ours");
    let place = empty_place();
    put_key(&place, &fs::read(desk.config().key_file()).expect("there is a key"));
    let from = folder(&first);
    let from = from.to_str().expect("UTF-8");
    let told = place.run(&["restore", from]);
    assert!(told.refusal().contains("is not what was written"), "{told:?}");
    assert_eq!(files(&place.data().join("objects")), [] as [PathBuf; 0]);
    assert!(!place.data().join("postroom.db").exists());

    // By its length it is noticed at once, by what is in it where all are read again.
    let is = |taken: &Value, objects: i64, copied: i64, replaced: i64| {
        let told = ["objects", "objects_copied", "objects_replaced"].map(|key| taken[key].as_i64());
        assert_eq!(told, [objects, copied, replaced].map(Some), "{taken}");
    };
    let again = backup_again(&desk, &shell, &to, &["--check"]).await;
    is(&again, 1, 1, 1);
    assert!(fs::read(&object).expect("is ours") == whole);
    fs::write(&object, &whole[..whole.len() - 1]).expect("is ours");
    is(&backup_again(&desk, &shell, &to, &[]).await, 1, 1, 1);
    assert!(fs::read(&object).expect("is ours") == whole);
    is(&backup_again(&desk, &shell, &to, &["--check"]).await, 1, 0, 0);
    // What no backup tells of is read in any case: a backup that broke off may have left it.
    for entry in fs::read_dir(&to).expect("can be listed") {
        let path = entry.expect("can be listed").path();
        if path.join("manifest.json").exists() && path != folder(&first) {
            fs::remove_dir_all(&path).expect("is ours");
        }
    }
    let list = folder(&first).join("objects.txt");
    let listed = fs::read(&list).expect("is ours");
    fs::write(&list, "").expect("is ours");
    let told = place.run(&["restore", from]);
    assert!(told.refusal().contains("objects.txt is not what was written"), "{told:?}");
    fs::write(&object, &bent).expect("is ours");
    is(&backup_again(&desk, &shell, &to, &[]).await, 1, 1, 1);
    assert!(fs::read(&object).expect("is ours") == whole);
    // And now the first one is whole as well.
    fs::write(&list, listed).expect("is ours");
    place.run(&["restore", from]).well();
    assert_eq!(files(&place.data().join("objects")).len(), 1);

    // What is whole nowhere is in no backup's list.
    fs::write(&object, &bent).expect("is ours");
    let kept = files(&desk.config().storage.data_dir.join("objects")).pop().expect("the large one");
    fs::write(&kept, &bent).expect("is ours");
    let told = desk
        .until(|| async {
            let told = shell.run(&["backup", "--to", to.to_str().unwrap(), "--check", "-o", "json"]);
            told.err.contains("damaged").then_some(told)
        })
        .await;
    assert_eq!(told.code, Some(1), "{told:?}");
    is(&serde_json::from_str(&told.out).expect("JSON"), 0, 0, 0);
    desk.stop().await;
}

/// Blobs that nobody needs any more may go at any moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_large_files_that_its_database_names() {
    if database::kind() == database::Kind::Sqlite {
        // There nothing can be done between the copy and the look at it, which goes by the copy.
        return;
    }
    let desk = desk().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let big = mail().attachment("noise.bin", "application/octet-stream", &noise(20_000));
    desk.receive(mailbox, &big).await;
    let shell = Shell::of(desk.config());
    // A pg_dump that, before and after its work, lets the desk forget.
    let DatabaseUrl::Postgres(url) = shell.database() else { panic!("asked above") };
    let forget = |when: &str, what: &str| format!("psql -qX '{url}' -c \"{what}\" || exit {when}\n");
    let script = format!(
        "#!/bin/sh\n{}pg_dump \"$@\" || exit 3\n{}",
        forget("1", "UPDATE blobs SET hash = 'gone' WHERE content IS NULL"),
        forget("2", "DELETE FROM blobs WHERE hash = 'gone'"),
    );
    let programs = shell.dir.join("programs");
    let program = shell.dir.write("programs/pg_dump", script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("is ours");
    let to = shell.dir.join("backups");
    let arguments = ["backup", "--to", to.to_str().unwrap(), "-o", "json", "--postgres-programs"];
    let arguments = [&arguments[..], &[programs.to_str().unwrap()]].concat();
    let taken: Value = serde_json::from_str(&shell.run(&arguments).well().out).expect("JSON");
    assert_eq!(taken["objects"], 1, "{taken}");
    assert_eq!(files(&to.join("objects")).len(), 1);
    // It is what the dump names.
    let place = empty_place();
    put_key(&place, &fs::read(desk.config().key_file()).expect("there is a key"));
    desk.stop().await;
    place.run(&["restore", folder(&taken).to_str().unwrap()]).well();
    place.run(&["doctor"]).well();
}

/// What waits to be collected may be gone before the backup comes to it, or may have gone bad.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_names_is_missed_by_no_backup_and_by_no_doctor() {
    let desk = desk().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let big = |seed: usize| mail().attachment("noise.bin", "application/octet-stream", &noise(20_000 + seed));
    desk.receive(mailbox, &big(1)).await;
    let shell = Shell::of(desk.config());
    let objects = desk.config().storage.data_dir.join("objects");
    let named = files(&objects);
    for seed in [2, 3] {
        let upload = desk.desk().upload(&Actor::system(), "a", "a/b", None, noise(20_000 + seed)).await;
        upload.expect("it is kept");
    }
    let unused: Vec<PathBuf> = files(&objects).into_iter().filter(|file| !named.contains(file)).collect();
    assert_eq!((named.len(), unused.len()), (1, 2));
    sql(desk.config(), "DELETE FROM attachments WHERE message_id IS NULL");
    let found = desk.desk().look_for_unused_here(&mut Round::begin(), 100).expect("all is looked at");
    assert_eq!(found.marked, 2);
    fs::remove_file(&unused[0]).expect("is ours");
    fs::write(&unused[1], "bent").expect("is ours");

    let doctor = |shell: &Shell| -> Value {
        serde_json::from_str(&shell.run(&["doctor", "-o", "json"]).well().out).expect("JSON")
    };
    let told = doctor(&shell);
    assert_eq!(told["unused"], json!({"count": 2, "bytes": 40_005, "waiting": 2}), "{told}");
    let to = shell.dir.join("backups");
    let taken = backup(&shell, &to);
    assert_eq!(taken["objects"], 1, "{taken}");
    let key = fs::read(desk.config().key_file()).expect("there is a key");
    desk.stop().await;
    let place = empty_place();
    put_key(&place, &key);
    place.run(&["restore", folder(&taken).to_str().unwrap()]).well();
    assert_eq!(doctor(&place)["unused"]["waiting"], 2);
    // The same bytes under a name of the restored desk's own: it may have the bucket of the other.
    let restored = files(&place.data().join("objects"));
    assert_eq!(restored.len(), 1, "{restored:?}");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name(&restored[0])[..64], name(&named[0])[..64]);
    assert_ne!(name(&restored[0])[65..81], name(&named[0])[65..81]);
    assert!(!place.data().join("restoring").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_broken() {
    let desk = desk().await;
    let mailbox = desk.mailbox("Support", "support@example.org").await;
    let big = mail().attachment("noise.bin", "application/octet-stream", &noise(20_000));
    desk.receive(mailbox, &big).await;
    desk.receive(mailbox, &mail().subject("Small")).await;
    let shell = Shell::of(desk.config());
    let checks = |shell: &Shell, code: i32| {
        let told = shell.run(&["doctor", "-o", "json"]);
        assert_eq!(told.code, Some(code), "{told:?}");
        serde_json::from_str::<Value>(&told.out).expect("JSON")
    };
    let count = |checks: &Value, what: &str| {
        let all = checks["checks"].as_array().expect("a list");
        let found = all.iter().find(|check| check["check"] == what);
        found.unwrap_or_else(|| panic!("no check {what:?} in {checks}"))["count"].as_i64()
    };
    let well = checks(&shell, 0);
    assert_eq!((&well["well"], &well["blobs_read"]), (&json!(true), &json!(2)));

    let object = files(&desk.config().storage.data_dir.join("objects")).pop().expect("the large one");
    let whole = fs::read(&object).expect("is ours");
    let mut bent = whole.clone();
    bent[50] ^= 1;
    fs::write(&object, bent).expect("is ours");
    let sick = checks(&shell, 1);
    assert_eq!(count(&sick, "blobs that are missing or damaged"), Some(1));
    let hash = object.file_name().unwrap().to_string_lossy()[..64].to_owned();
    assert!(sick.to_string().contains(&format!("blob {hash} is damaged")), "{sick}");
    let told = shell.run(&["doctor"]);
    assert!(told.out.contains(&format!("  blob {hash} is damaged, of message 1\n")), "{told:?}");
    fs::remove_file(&object).expect("is ours");
    assert!(checks(&shell, 1).to_string().contains(&format!("blob {hash} is missing")));
    // And no backup claims to have it.
    let told = shell.run(&["backup", "--to", shell.dir.join("b").to_str().unwrap(), "--keep", "1"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains(&hash), "{told:?}");
    fs::write(&object, whole).expect("is ours");

    let break_it = |sql: &str| {
        use diesel::connection::SimpleConnection;
        let mut conn = postroom_core::store::conn::open(&shell.database()).expect("it is there");
        conn.batch_execute(sql).expect("well-formed");
    };
    break_it("UPDATE conversations SET message_count = message_count + 1 WHERE id = 1");
    assert_eq!(count(&checks(&shell, 1), "conversations with a wrong message_count"), Some(1));
    break_it("UPDATE conversations SET message_count = message_count - 1 WHERE id = 1");
    break_it("DELETE FROM blobs WHERE content IS NOT NULL");
    let sick = checks(&shell, 1);
    assert_eq!(count(&sick, "messages whose raw mail is not kept"), Some(1));
    assert_eq!(count(&sick, "ledger rows whose raw mail is not kept"), Some(1));
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&desk.config().storage.data_dir, open).expect("is ours");
    assert_eq!(count(&checks(&shell, 1), "files that others can read"), Some(1));
    desk.stop().await;
    let nothing = Shell::new();
    assert!(nothing.run(&["doctor"]).refusal().contains("there is no key file"));
    assert!(!nothing.data().exists());
    let _place: WorkDir = nothing.dir;
}
