//! How fast the API answers, at two sizes of a desk, beside a bare actix handler that answers the same
//! bytes to the same clients; and how fast conversations are made, beside one row a commit. Prints
//! figures; asserts only that each request is answered with success.

mod bare;
mod fill;
mod load;
mod place;
mod process;
mod usage;

use bare::Bare;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use load::{CLIENTS, Measured, measure};
use place::Place;
use postroom::Config;
use process::Running;
use serde_json::json;
use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use support::database::{self, Kind};
use support::ports;

/// Mails of a conversation.
const MAILS: usize = 5;
/// Answers of each measurement, and of one with answers that are remembered.
const ANSWERS: usize = 4_000;
const REMEMBERED: usize = 40_000;
/// Conversations that are made.
const MADE: usize = 2_000;

fn main() {
    if bare::run_if_asked() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let _entered = runtime.enter();
    let many = env::var("POSTROOM_BENCH_CONVERSATIONS").ok().and_then(|text| text.parse().ok());
    let sizes: [usize; 2] = [1_000, many.unwrap_or(100_000)];
    println!("{:?}; {CLIENTS} clients; load {}", database::kind(), usage::load());
    let desks = sizes.map(|size| (size, Api::start(size)));
    println!(
        "{:<26} {:>8} {:>8} {:>6}  {:>8} {:>8} {:>6}  {:>8} {:>8}  {:>6} {:>5}",
        "answers a second",
        sizes[0],
        sizes[1],
        "growth",
        "median",
        "p99 ms",
        "CPU µs",
        "bare",
        "p99 ms",
        "share",
        "p99 ×"
    );
    for (name, path) in QUESTIONS {
        let answers = if name.starts_with("another") { ANSWERS } else { REMEMBERED };
        let [few, many] = [0, 1].map(|at| {
            let (size, api) = &desks[at];
            api.measure(answers, |number| ("GET", path(*size, number), String::new()))
        });
        let bytes = desks[1].1.ask(&path(sizes[1], 0));
        let bare = Bare::start(&bytes);
        let floor = measure(bare.address, REMEMBERED, |_| load::request("GET", "/", "none", ""));
        row(name, few, many, Some(floor));
    }
    let [few, many] =
        [0, 1].map(|at| desks[at].1.measure(MADE, |number| ("POST", CREATE.to_owned(), new(number))));
    row("create", few, many, None);
    for (size, api) in &desks {
        let floor = one_row_a_commit(&api.running);
        println!("one row a commit at {size}: {floor:.0} a second");
    }
    for (size, api) in &desks {
        println!("peak at {size}: {:.0} MiB", api.running.memory("VmHWM") / usage::MIB);
    }
    println!(
        "targets: share 0.25 of the bare handler, p99 10 times its, growth 1.5; create twice one row a commit"
    );
}

/// A word that stands in one conversation alone, and one that stands in each.
const RARE: &str = "zanzibar";
const COMMON: &str = "order";

const CREATE: &str = "/api/v1/conversations";

/// What is asked, of a desk with so many conversations, as which question.
type Question = (&'static str, fn(usize, usize) -> String);

/// The first ones are asked again and again, so that all but the first are answered with what is remembered. Each of the
/// others is another one, that nobody has asked before: what they have besides (`updated_before`) fits everything.
const QUESTIONS: [Question; 12] = [
    ("list of 50", |_, _| LIST.to_owned()),
    ("list of 50 open", |_, _| OPEN.to_owned()),
    ("one conversation", |size, _| format!("/api/v1/conversations/{}", size / 2)),
    ("its messages", |size, _| format!("/api/v1/conversations/{}/messages", size / 2)),
    ("search, rare word", |_, _| format!("{LIST}&q={RARE}")),
    ("search, common word", |_, _| format!("{LIST}&q={COMMON}")),
    ("another list of 50", |_, number| format!("{LIST}&{}", always(number))),
    ("another list of 50 open", |_, number| format!("{OPEN}&{}", always(number))),
    ("another conversation", |size, number| format!("/api/v1/conversations/{}", any(size, number))),
    ("another's messages", |size, number| format!("/api/v1/conversations/{}/messages", any(size, number))),
    ("another rare search", |_, number| format!("{LIST}&q={RARE}&{}", always(number))),
    ("another common search", |_, number| format!("{LIST}&q={COMMON}&{}", always(number))),
];

const LIST: &str = "/api/v1/conversations?limit=50";
const OPEN: &str = "/api/v1/conversations?limit=50&status=open&sort=-updated_at";

/// What all conversations fit, each time in other words.
fn always(number: usize) -> String {
    format!("updated_before=2990-01-01T00:00:00.{number:06}Z")
}

/// One conversation of so many; those next to each other are asked for far from each other.
fn any(size: usize, number: usize) -> usize {
    1 + number * 7_919 % size
}

fn row(name: &str, (few, _): (Measured, f64), (many, cpu): (Measured, f64), floor: Option<Measured>) {
    print!(
        "{name:<26} {:>8.0} {:>8.0} {:>6.2}  {:>8.2} {:>8.2} {cpu:>6.0}",
        few.rate,
        many.rate,
        few.rate / many.rate,
        many.median,
        many.p99
    );
    if let Some(floor) = floor {
        let (share, slower) = (many.rate / floor.rate, many.p99 / floor.p99);
        print!("  {:>8.0} {:>8.2}  {share:>6.3} {slower:>5.1}", floor.rate, floor.p99);
    }
    println!();
}

/// What is made: a note of what came by telephone.
fn new(number: usize) -> String {
    json!({
        "mailbox_id": 1, "subject": format!("Call {number}"),
        "customer": {"email": format!("caller{number}@example.net")},
        "message": {"kind": "inbound", "text": "Wants to know when it comes.\n".repeat(5)},
    })
    .to_string()
}

/// A daemon in its own process, on a desk with something in it.
struct Api {
    running: Running,
    address: SocketAddr,
    token: String,
}

impl Api {
    fn start(conversations: usize) -> Self {
        let mut place = Place::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let began = Instant::now();
        {
            let mut config = Config::default();
            config.storage.data_dir = place.dir().join("data");
            config.database.url = url(&place);
            let desk = postroom::open_desk(&config).expect("a desk can be opened");
            fill::fill(&desk, conversations, MAILS, RARE);
        }
        eprintln!("{conversations} conversations after {:.0} s", began.elapsed().as_secs_f64());
        place.settings.push(("POSTROOM__SERVER__LISTEN", address.to_string()));
        let token = place.run(&["token", "create", "--name", "bench"]).trim().to_owned();
        Self { running: Running::start(place), address, token }
    }

    fn ask(&self, path: &str) -> Vec<u8> {
        load::ask(self.address, &load::request("GET", path, &self.token, ""))
    }

    /// What so many answers took of the clients' time, and microseconds of the daemon's processor for each.
    fn measure(
        &self,
        count: usize,
        what: impl Fn(usize) -> (&'static str, String, String) + Sync,
    ) -> (Measured, f64) {
        let before = self.running.cpu();
        let measured = measure(self.address, count, |number| {
            let (method, path, body) = what(number);
            load::request(method, &path, &self.token, &body)
        });
        (measured, (self.running.cpu() - before) * 1e6 / count as f64)
    }
}

/// The database's URL, where it is no file of the desk's own.
fn url(place: &Place) -> Option<String> {
    place.settings.iter().find(|(name, _)| *name == "POSTROOM__DATABASE__URL").map(|(_, url)| url.clone())
}

diesel::table! {
    bench_floor (id) {
        id -> BigInt,
        content -> Text,
    }
}

/// Rows a second of one writer that commits each of them, in a database of the same kind at the same place.
fn one_row_a_commit(running: &Running) -> f64 {
    const MAKE: &str = "CREATE TABLE bench_floor (id BIGINT PRIMARY KEY, content TEXT NOT NULL)";
    let insert = |number: usize| {
        let row = (bench_floor::id.eq(number as i64), bench_floor::content.eq(new(number)));
        diesel::insert_into(bench_floor::table).values(row)
    };
    let began;
    if database::kind() == Kind::Postgres {
        let url = url(running.desk()).expect("the desk has one");
        let mut conn = PgConnection::establish(&url).expect("the server runs");
        conn.batch_execute(MAKE).expect("a table can be made");
        began = Instant::now();
        for number in 0..MADE {
            insert(number).execute(&mut conn).expect("a row can be written");
        }
    } else {
        let path = running.desk().dir().join("floor.db");
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).expect("a database can be made");
        conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").expect("it can be set up");
        conn.batch_execute(MAKE).expect("a table can be made");
        began = Instant::now();
        for number in 0..MADE {
            insert(number).execute(&mut conn).expect("a row can be written");
        }
    }
    MADE as f64 / began.elapsed().as_secs_f64()
}
