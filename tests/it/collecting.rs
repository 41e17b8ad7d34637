//! Blobs that nothing names are deleted after a day, with their files, and nothing else is: whoever
//! else is at work in that moment, and whatever fails.

use postroom::Config;
use postroom_core::Error;
use postroom_core::actor::Actor;
use postroom_core::desk::{Desk, Parts, Settings};
use postroom_core::id::{AttachmentId, MailboxId};
use postroom_core::intake::{Arrival, Batch};
use postroom_core::keys::{Keys, sha256_hex};
use postroom_core::mailbox::{Delivery, FolderRole, OnUncertain, SentCopy, Source, Strangers};
use postroom_core::message::Attachment;
use postroom_core::object_name::ObjectName;
use postroom_core::operations::collecting::{Collected, KEEP_UNUSED, Looked, Round};
use postroom_core::operations::mailboxes::{self, NewMailbox};
use postroom_core::operations::{attachments, doctor};
use postroom_core::ports::{KeepBlob, KeepError, KeptObject, PortError, Ports, ReadContext};
use postroom_core::store::conn::{self, Conn, DatabaseUrl, Mode};
use postroom_core::store::{self, StoreError, collecting};
use postroom_core::time::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::database;
use support::desk::BEGINNING;
use support::mail::mail;
use support::workdir::WorkDir;

const SECOND: Duration = Duration::from_secs(1);

/// A second less than what nothing names is kept.
fn almost_a_day() -> Duration {
    KEEP_UNUSED.saturating_sub(SECOND)
}

/// A file, or a draft of it.
type File = (ObjectName, Option<u64>);

/// An object store in memory, whose clock the test moves.
struct Objects {
    files: Mutex<HashMap<File, (Timestamp, Vec<u8>)>>,
    now: Mutex<Timestamp>,
    refuses: AtomicBool,
}

impl Objects {
    fn count(&self) -> usize {
        self.files.lock().expect("nobody panicked").len()
    }

    fn set_back(&self, by: Duration) {
        let mut now = self.now.lock().expect("nobody panicked");
        *now = now.minus(by);
    }

    fn add(&self, name: &ObjectName, draft: Option<u64>) {
        let now = *self.now.lock().expect("nobody panicked");
        self.files.lock().expect("nobody panicked").insert((name.clone(), draft), (now, b"old".to_vec()));
    }
}

impl KeepBlob for Objects {
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), KeepError> {
        let now = *self.now.lock().expect("nobody panicked");
        let before = self.files.lock().expect("nobody panicked").insert((name.clone(), None), (now, bytes));
        assert!(before.is_none(), "{name} was given before");
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self
            .files
            .lock()
            .expect("nobody panicked")
            .get(&(name.clone(), None))
            .map(|(_, bytes)| bytes.clone()))
    }

    fn list(&self, group: &str) -> Result<Vec<KeptObject>, PortError> {
        let files = self.files.lock().expect("nobody panicked");
        let of_group = files.iter().filter(|((name, _), _)| name.group() == group);
        let kept = of_group.map(|((name, draft), (written_at, bytes))| KeptObject {
            name: name.clone(),
            draft: *draft,
            written_at: *written_at,
            bytes: bytes.len() as u64,
        });
        Ok(kept.collect())
    }

    fn delete(&self, name: &ObjectName, draft: Option<u64>) -> Result<(), PortError> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(PortError::new("the store is out of reach"));
        }
        self.files.lock().expect("nobody panicked").remove(&(name.clone(), draft));
        Ok(())
    }
}

/// A desk without workers, on a clock that stands still.
struct Rig {
    desk: Desk,
    objects: Arc<Objects>,
    database: DatabaseUrl,
    mailbox: MailboxId,
    _dir: WorkDir,
}

fn rig() -> Rig {
    let dir = WorkDir::new("collecting");
    let mut config = Config::default();
    config.storage.data_dir = dir.join("data");
    config.limits.requests_per_minute = 0;
    let outside = postroom::open_desk(&config).expect("a desk").ports().clone();
    let objects = Arc::new(Objects {
        files: Mutex::default(),
        now: Mutex::new(BEGINNING),
        refuses: AtomicBool::new(false),
    });
    let database = DatabaseUrl::parse(&database::fresh(&dir)).expect("the test's URL is one");
    let parts = Parts {
        database: database.clone(),
        connections: 4,
        keys: Keys::new(&[7; 32]),
        ports: Ports { keeper: objects.clone(), ..outside },
        clock: Clock::fixed(BEGINNING),
        settings: Settings { inline_blob_bytes: 4 * 1024, ..Settings::default() },
    };
    let desk = Desk::open(parts).expect("a desk");
    let new = NewMailbox {
        name: "Support".to_owned(),
        address: "support@example.org".to_owned(),
        aliases: Vec::new(),
        group: None,
        poll_interval_seconds: 60,
        source: Source::Push {},
        source_password: None,
        delivery: Delivery::Sink {},
        delivery_password: None,
        strangers: Strangers::Link,
        trusted_authserv_ids: Vec::new(),
        relay_addresses: Vec::new(),
        sent_copy: SentCopy::Auto,
        on_uncertain: OnUncertain::RetryOnce,
        undo_seconds: 0,
        paused: false,
    };
    let mailbox = desk.write_here(&Actor::system(), |cx| mailboxes::create(cx, &new)).expect("a mailbox").id;
    Rig { desk, objects, database, mailbox, _dir: dir }
}

impl Rig {
    fn pass(&self, time: Duration) {
        self.desk.advance_clock(time);
        let mut now = self.objects.now.lock().expect("nobody panicked");
        *now = now.plus(time);
    }

    async fn upload(&self, content: &[u8]) -> AttachmentId {
        let file = self.desk.upload(&Actor::system(), "a.bin", "text/plain", None, content.to_vec()).await;
        file.expect("it is kept").id
    }

    fn expire_uploads(&self) -> usize {
        self.desk.write_here(&Actor::system(), attachments::expire).expect("the house is kept")
    }

    fn look(&self) -> Looked {
        self.desk.look_for_unused_here(&mut Round::begin(), 4_000).expect("all is looked at")
    }

    fn collect(&self) -> Collected {
        self.desk.collect_here().expect("it is collected")
    }

    /// Whether bytes are here and whole.
    fn has(&self, content: &[u8]) -> bool {
        match self.desk.load_here(&sha256_hex(content)) {
            Ok(found) => found == content,
            Err(Error::Blob(_) | Error::Lost(_)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn unused(&self) -> store::doctor::Unused {
        self.desk.read_here(&Actor::system(), doctor::unused).expect("it can be asked")
    }

    /// A mail as a worker holds it between keeping its bytes and committing it.
    fn batch(&self, raw: &[u8], location: &str) -> Batch {
        let arrival = Arrival {
            location: location.to_owned(),
            uid: None,
            internal_date: None,
            size: raw.len() as i64,
            mail: self.desk.ports().reader.read(raw, &ReadContext::default()),
            raw: self.desk.keep_here(raw).expect("it is kept"),
            oversized: false,
            is_history: false,
            asked_for: false,
        };
        Batch {
            mailbox_id: self.mailbox,
            lease: None,
            folder: "push".to_owned(),
            role: FolderRole::Inbox,
            uidvalidity: None,
            history: None,
            arrivals: vec![arrival],
        }
    }

    fn open(&self) -> Conn {
        conn::open(&self.database).expect("the database is there")
    }
}

/// Bytes that stay as long when they are compressed, each `seed` others.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed + 1);
    (0..length).map(|_| numbers.below(256) as u8).collect()
}

/// Numbers of a seed (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % most
    }
}

#[tokio::test]
async fn what_nothing_names_is_deleted_after_a_day_and_not_a_second_before() {
    let rig = rig();
    let (small, large, mailed) = (noise(300, 1), noise(20_000, 2), mail().text("Where is it?").build());
    rig.upload(&small).await;
    rig.upload(&large).await;
    rig.desk.receive_here(&rig.batch(&mailed, "1")).expect("it comes in");
    assert_eq!(rig.look(), Looked { blobs: 3, marked: 0, unmarked: 0 });
    assert_eq!((rig.unused().count, rig.objects.count()), (0, 1));

    rig.pass(KEEP_UNUSED + SECOND);
    assert_eq!(rig.expire_uploads(), 2);
    assert_eq!((rig.unused().count, rig.unused().bytes, rig.unused().waiting), (2, 20_300, 0));
    // Nobody has seen it yet, so the day has not begun.
    assert_eq!(rig.collect(), Collected::default());
    assert_eq!(rig.look().marked, 2);
    assert_eq!(rig.unused().waiting, 2);
    rig.pass(almost_a_day());
    assert_eq!(rig.look().marked, 0, "the day goes on from the first mark");
    assert_eq!(rig.collect(), Collected::default());
    assert!(rig.has(&small) && rig.has(&large));
    rig.pass(SECOND);
    assert_eq!(rig.collect(), Collected { count: 2, bytes: 20_300, left: 0 });
    assert!(!rig.has(&small) && !rig.has(&large) && rig.has(&mailed));
    assert_eq!((rig.unused().count, rig.objects.count()), (0, 0));
    assert_eq!(rig.collect(), Collected::default());
}

#[tokio::test]
async fn what_is_named_again_stays_with_the_bytes_that_came_last() {
    let rig = rig();
    let large = noise(20_000, 1);
    rig.upload(&large).await;
    rig.pass(KEEP_UNUSED + SECOND);
    rig.expire_uploads();
    assert_eq!(rig.look().marked, 1);
    // A backup need not have had the file.
    rig.objects.files.lock().expect("nobody panicked").clear();
    rig.pass(almost_a_day());
    rig.upload(&large).await;
    assert_eq!(rig.unused().waiting, 0);
    rig.pass(SECOND);
    assert_eq!(rig.look(), Looked { blobs: 1, marked: 0, unmarked: 0 });
    assert_eq!(rig.collect(), Collected::default());
    assert!(rig.has(&large));
}

/// A mark that is wrong, however it came to be: the next round takes it away, and so does the deletion.
#[tokio::test]
async fn what_is_named_and_marked_is_not_deleted() {
    for looks in [true, false] {
        let rig = rig();
        let large = noise(20_000, 1);
        rig.upload(&large).await;
        let hash = sha256_hex(&large);
        let mut database = rig.open();
        set_mark(&mut database, &hash, BEGINNING);
        if looks {
            assert_eq!(rig.look(), Looked { blobs: 1, marked: 0, unmarked: 1 });
        } else {
            rig.pass(KEEP_UNUSED);
            assert_eq!(rig.collect(), Collected::default());
        }
        assert_eq!(store::blobs::find(&mut database, &hash).unwrap().expect("is there").unused_since, None);
        assert!(rig.has(&large));
    }
}

fn set_mark(database: &mut Conn, hash: &str, at: Timestamp) {
    let statement = format!("UPDATE blobs SET unused_since = {} WHERE hash = '{hash}'", at.0);
    execute(database, &statement);
}

fn execute(database: &mut Conn, statement: &str) {
    use diesel::connection::SimpleConnection;
    let done = match database {
        Conn::Postgres(conn) => conn.batch_execute(statement),
        Conn::Sqlite(conn) => conn.batch_execute(statement),
    };
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[tokio::test]
async fn bytes_that_are_kept_while_the_same_are_collected_are_there_after_the_commit() {
    for length in [300, 20_000] {
        let rig = rig();
        let raw = mail().attachment("a.bin", "application/octet-stream", &noise(length, 1)).build();
        rig.upload(&raw).await;
        rig.pass(KEEP_UNUSED + SECOND);
        rig.expire_uploads();
        rig.look();
        rig.pass(KEEP_UNUSED);
        let on_its_way = rig.batch(&raw, "1");
        assert_eq!(rig.collect().count, 1);
        let receipt = rig.desk.receive_here(&on_its_way).expect("it comes in").pop().expect("one");
        assert!(receipt.message_id.is_some());
        assert!(rig.has(&raw));
        // Nor is its file taken for one that nobody needs.
        rig.pass(KEEP_UNUSED);
        assert_eq!(rig.desk.suspect_objects_here().expect("it is listed"), []);
    }
}

#[tokio::test]
async fn files_without_a_blob_go_after_a_day_if_they_still_have_none() {
    let rig = rig();
    let (large, late) = (noise(20_000, 1), mail().attachment("b", "a/b", &noise(20_000, 2)).build());
    rig.upload(&large).await;
    let hash = sha256_hex(b"nobody's");
    let ours = rig.desk.name_object_here(&hash).expect("a name");
    let theirs = ObjectName::fresh(&hash, "0123456789abcdef");
    rig.objects.add(&ours, None);
    rig.objects.add(&ours, Some(7));
    rig.objects.add(&theirs, None);
    rig.objects.add(&theirs, Some(7));
    rig.pass(almost_a_day());
    assert_eq!(rig.desk.suspect_objects_here().expect("it is listed"), []);
    // This one is new: the store's clock was wrong.
    rig.objects.set_back(almost_a_day());
    let on_its_way = rig.batch(&late, "1");
    rig.pass(SECOND);
    let suspects = rig.desk.suspect_objects_here().expect("it is listed");
    assert_eq!(suspects.len(), 3, "{suspects:?}");
    // What was on its way is named meanwhile.
    rig.desk.receive_here(&on_its_way).expect("it comes in");
    rig.objects.refuses.store(true, Ordering::Relaxed);
    let swept = rig.desk.sweep_objects_here(suspects.clone()).expect("it is looked for");
    assert_eq!(swept, Collected { count: 0, bytes: 0, left: 2 });
    rig.objects.refuses.store(false, Ordering::Relaxed);
    let swept = rig.desk.sweep_objects_here(suspects).expect("it is looked for");
    assert_eq!(swept, Collected { count: 2, bytes: 6, left: 0 });
    assert!(rig.has(&large) && rig.has(&late));
    // Another desk's stay for ever.
    assert_eq!(rig.objects.count(), 4);
    rig.pass(KEEP_UNUSED);
    assert_eq!(rig.desk.suspect_objects_here().expect("it is listed"), []);
}

/// A process that stood still since must not name a file that may be gone.
#[tokio::test]
async fn bytes_that_were_kept_half_a_day_ago_are_kept_anew() {
    let rig = rig();
    let large = mail().attachment("a", "a/b", &noise(20_000, 1)).build();
    let on_its_way = rig.batch(&large, "1");
    let small = mail().text("Where is it?").build();
    let also = rig.batch(&small, "2");
    rig.pass(KEEP_UNUSED / 2 + SECOND);
    assert!(matches!(rig.desk.receive_here(&on_its_way), Err(Error::Busy)));
    assert!(!rig.has(&large));
    rig.desk.receive_here(&also).expect("what is in the database comes in at any time");
    let again = rig.batch(&large, "1");
    rig.pass(KEEP_UNUSED / 2);
    let receipts = rig.desk.receive_here(&again).expect("it comes in");
    assert!(receipts[0].message_id.is_some(), "{receipts:?}");
    assert!(rig.has(&large) && rig.has(&small));
}

#[tokio::test]
async fn a_file_that_can_not_be_deleted_with_its_blob_is_found_later() {
    let rig = rig();
    let large = noise(20_000, 1);
    rig.upload(&large).await;
    rig.pass(KEEP_UNUSED + SECOND);
    rig.expire_uploads();
    rig.look();
    rig.pass(KEEP_UNUSED);
    rig.objects.refuses.store(true, Ordering::Relaxed);
    assert_eq!(rig.collect(), Collected { count: 1, bytes: 20_000, left: 1 });
    assert_eq!((rig.unused().count, rig.objects.count()), (0, 1));
    rig.objects.refuses.store(false, Ordering::Relaxed);
    let suspects = rig.desk.suspect_objects_here().expect("it is listed");
    assert_eq!(rig.desk.sweep_objects_here(suspects).expect("it is looked for").count, 1);
    assert_eq!(rig.objects.count(), 0);
}

/// A round goes on where the last look ended, and comes round.
#[tokio::test]
async fn every_blob_is_looked_at_in_a_round() {
    let rig = rig();
    for seed in 0..7 {
        rig.upload(&noise(100, seed)).await;
    }
    rig.pass(KEEP_UNUSED + SECOND);
    rig.expire_uploads();
    let mut round = Round::begin();
    let mut marked = 0;
    // 3, 3, 1 and round the end.
    for _ in 0..4 {
        let looked = rig.desk.look_for_unused_here(&mut round, 3).expect("all is looked at");
        assert!(looked.blobs <= 3);
        marked += looked.marked;
    }
    assert_eq!(marked, 7);
    assert_eq!(rig.look().marked, 0);
}

/// Waits until somebody waits for a lock in this database.
fn somebody_waits(database: &mut Conn) {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Waiting {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let Conn::Postgres(database) = database else { panic!("asked before") };
    let query = "SELECT count(*) AS count FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..1_000_000 {
        let found: Waiting = diesel::sql_query(query).get_result(database).expect("PostgreSQL tells");
        if found.count > 0 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("nobody waits");
}

/// An upload as its transaction writes it.
fn name_it(conn: &mut Conn, blob: &store::blobs::Blob) -> Result<(), StoreError> {
    store::blobs::insert(conn, std::slice::from_ref(blob))?;
    let file = Attachment {
        id: AttachmentId::fresh(),
        message_id: None,
        part: None,
        blob_hash: Some(blob.hash.clone()),
        filename: "a".to_owned(),
        content_type: "text/plain".to_owned(),
        size: blob.size,
        inline: false,
        content_id: None,
        token_id: None,
        created_at: BEGINNING,
        expires_at: None,
    };
    store::attachments::insert(conn, &[file])
}

/// A blob that is due, and the same blob as somebody brings it again.
fn due_blob(rig: &Rig) -> (store::blobs::Blob, store::blobs::Blob) {
    let old = store::blobs::Blob {
        hash: sha256_hex(b"bytes"),
        size: 5,
        encoding: "plain".to_owned(),
        content: Some(b"bytes".to_vec()),
        object: None,
        unused_since: None,
        created_at: BEGINNING,
    };
    let mut database = rig.open();
    store::blobs::insert(&mut database, std::slice::from_ref(&old)).expect("it is kept");
    set_mark(&mut database, &old.hash, BEGINNING);
    let new = store::blobs::Blob { created_at: BEGINNING.plus(SECOND), ..old.clone() };
    (old, new)
}

#[test]
fn on_postgres_the_collector_waits_for_who_names_a_blob() {
    if database::kind() == database::Kind::Sqlite {
        return;
    }
    let rig = in_runtime(rig);
    let (_, new) = due_blob(&rig);
    let (mut naming, mut collector, mut watch) = (rig.open(), rig.open(), rig.open());
    let hash = new.hash.as_str();
    let gone = std::thread::scope(|scope| {
        conn::transaction(&mut naming, Mode::Write, |conn| {
            name_it(conn, &new)?;
            let collecting = scope.spawn(move || {
                conn::transaction(&mut collector, Mode::Write, |conn| {
                    collecting::delete_due(conn, &[hash], BEGINNING)
                })
            });
            somebody_waits(&mut watch);
            Ok::<_, StoreError>(collecting)
        })
        .expect("it is named")
        .join()
        .expect("the thread ends")
    });
    assert_eq!(gone.expect("nothing failed"), []);
    let there = store::blobs::find(&mut watch, hash).expect("it can be asked").expect("it is there");
    assert_eq!(there.unused_since, None);
    // The same against who marks.
    let (mut naming, mut collector) = (rig.open(), rig.open());
    execute(&mut watch, "DELETE FROM attachments");
    let marked = std::thread::scope(|scope| {
        conn::transaction(&mut naming, Mode::Write, |conn| {
            name_it(conn, &new)?;
            let marking = scope.spawn(move || {
                conn::transaction(&mut collector, Mode::Write, |conn| {
                    collecting::mark(conn, &[hash], BEGINNING)
                })
            });
            somebody_waits(&mut watch);
            Ok::<_, StoreError>(marking)
        })
        .expect("it is named")
        .join()
        .expect("the thread ends")
    });
    assert_eq!(marked.expect("nothing failed"), 0);
    let there = store::blobs::find(&mut watch, hash).expect("it can be asked").expect("it is there");
    assert_eq!(there.unused_since, None);
}

#[test]
fn on_postgres_who_names_a_blob_that_is_being_deleted_brings_it_anew() {
    if database::kind() == database::Kind::Sqlite {
        return;
    }
    let rig = in_runtime(rig);
    let (old, new) = due_blob(&rig);
    let (mut naming, mut collector, mut watch) = (rig.open(), rig.open(), rig.open());
    let named = std::thread::scope(|scope| {
        conn::transaction(&mut collector, Mode::Write, |conn| {
            let gone = collecting::delete_due(conn, &[&old.hash], BEGINNING)?;
            assert_eq!(gone, [collecting::Gone { size: 5, object: None }]);
            let naming =
                scope.spawn(|| conn::transaction(&mut naming, Mode::Write, |conn| name_it(conn, &new)));
            somebody_waits(&mut watch);
            Ok::<_, StoreError>(naming)
        })
        .expect("it is deleted")
        .join()
        .expect("the thread ends")
    });
    named.expect("it is named");
    assert_eq!(store::blobs::find(&mut watch, &new.hash).expect("it can be asked"), Some(new));
}

/// The outside is wired within a runtime.
fn in_runtime(make: impl FnOnce() -> Rig) -> Rig {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    make()
}

/// Whatever comes, goes, comes again and is collected, in whatever order: what is named is there.
#[tokio::test]
async fn nothing_that_is_named_is_ever_lost() {
    const STEPS: usize = 150;
    let (mut collected, mut files, mut late) = (0, 0, 0);
    for seed in 1..=4 {
        let rig = rig();
        let mut numbers = Numbers(seed * 7_919);
        let (mut round, mut suspects) = (Round::begin(), Vec::new());
        // What is named by an upload or a message, and what is on its way to be.
        let mut uploads: Vec<(AttachmentId, Timestamp, Vec<u8>)> = Vec::new();
        let mut mails: Vec<Vec<u8>> = Vec::new();
        let mut on_their_way: Vec<(Batch, Vec<u8>)> = Vec::new();
        let content = |which: u64| {
            let length = if which.is_multiple_of(2) { 200 } else { 6_000 };
            mail().message_id("<x@example.com>").attachment("a", "a/b", &noise(length, which)).build()
        };
        for step in 0..STEPS {
            match numbers.below(9) {
                0 => {
                    // Of these some are mail, too, and stay; others are not.
                    let bytes = content(numbers.below(6));
                    let id = rig.upload(&bytes).await;
                    uploads.push((id, rig.desk.now().plus(rig.desk.settings().keep_uploads), bytes));
                }
                2 => {
                    let bytes = content(3 + numbers.below(5));
                    on_their_way.push((rig.batch(&bytes, &step.to_string()), bytes));
                }
                3 => {
                    if let Some((batch, bytes)) = on_their_way.pop() {
                        match rig.desk.receive_here(&batch) {
                            Ok(_) => mails.push(bytes),
                            // It was on its way for too long, and comes again.
                            Err(Error::Busy) => late += 1,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
                4 => rig.pass(Duration::from_secs(60 * 60 * (1 + numbers.below(30)))),
                1 | 5 => {
                    rig.expire_uploads();
                }
                6 => {
                    rig.desk.look_for_unused_here(&mut round, 5).expect("all is looked at");
                }
                7 => collected += rig.collect().count,
                _ => {
                    let swept = rig.desk.sweep_objects_here(std::mem::take(&mut suspects));
                    files += swept.expect("it is swept").count;
                    suspects = rig.desk.suspect_objects_here().expect("it is listed");
                }
            }
            let now = rig.desk.now();
            uploads.retain(|(_, expires_at, _)| *expires_at >= now);
            for (id, _, bytes) in &uploads {
                let found = rig.desk.attachment_content(&Actor::system(), id).await;
                assert!(found.is_ok_and(|(_, found)| found == *bytes), "seed {seed}, step {step}: {id:?}");
            }
            for bytes in &mails {
                assert!(rig.has(bytes), "seed {seed}, step {step}");
            }
        }
    }
    let all = (collected, files, late);
    assert!(collected > 4 && files > 4 && late > 0, "something hardly ever happened: {all:?}");
}
