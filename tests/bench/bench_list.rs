//! Whether the list of conversations costs the same however many there are: filled through the
//! desk, listed through the desk, on both databases. Prints figures, asserts nothing about time.

mod fill;

use postroom::Config;
use postroom_core::actor::Actor;
use postroom_core::conversation::{ConversationFilter, ConversationSort, Status};
use postroom_core::desk::Desk;
use postroom_core::id::{CustomerId, MailboxId};
use postroom_core::operations::conversations;
use postroom_core::page::{PageRequest, Position};
use std::env;
use std::time::Instant;
use support::postgres::Postgres;
use support::workdir::WorkDir;

/// Each list is asked for so often; the middle one of the times counts.
const CALLS: usize = 301;
/// Rows of a page.
const ROWS: u16 = 50;

fn main() {
    let many = env::var("POSTROOM_BENCH_CONVERSATIONS").ok().and_then(|text| text.parse().ok());
    let sizes = [100, many.unwrap_or(100_000)];
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let _entered = runtime.enter();
    for database in ["SQLite", "PostgreSQL"] {
        println!("{database}: milliseconds for a page of {ROWS} (median of {CALLS})");
        println!("  {:<28} {:>9} {:>9} {:>7}", "list", sizes[0], sizes[1], "ratio");
        let dirs = [WorkDir::new("list"), WorkDir::new("list")];
        let desks = [0, 1].map(|at| {
            let url = (database == "PostgreSQL").then(|| Postgres::shared().database());
            filled(&dirs[at], url, sizes[at])
        });
        for (name, list) in lists() {
            // Turn by turn, so that whatever else the machine does falls on both.
            let mut times = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
            for _ in 0..CALLS {
                for at in [0, 1] {
                    times[at].push(milliseconds(&desks[at], &list(sizes[at])));
                }
            }
            let [few, many] = times.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[CALLS / 2]
            });
            println!("  {name:<28} {few:>9.3} {many:>9.3} {:>7.2}", many / few);
        }
    }
}

/// What is asked for.
struct List {
    filter: ConversationFilter,
    sort: ConversationSort,
    page: PageRequest,
}

/// Makes a list for so many conversations.
type Make = fn(usize) -> List;

/// Each kind of list.
fn lists() -> [(&'static str, Make); 6] {
    fn newest(filter: ConversationFilter) -> List {
        List { filter, sort: ConversationSort::IdDescending, page: PageRequest::first(ROWS) }
    }
    [
        ("newest first", |_| newest(ConversationFilter::default())),
        ("a page in the middle", |count| {
            // At the smaller size a whole page is just left behind it.
            let middle = count as i64 / 2 + 1;
            let after = Some(Position { key: middle, id: middle });
            let list = newest(ConversationFilter::default());
            List { page: PageRequest { after, ..list.page }, ..list }
        }),
        ("last changed first", |_| List {
            sort: ConversationSort::UpdatedDescending,
            ..newest(ConversationFilter::default())
        }),
        ("open", |_| newest(ConversationFilter { status: vec![Status::Open], ..Default::default() })),
        ("of one mailbox", |_| {
            newest(ConversationFilter { mailbox_id: vec![MailboxId(1)], ..Default::default() })
        }),
        ("of one customer", |_| {
            newest(ConversationFilter { customer_id: vec![CustomerId(7)], ..Default::default() })
        }),
    ]
}

/// A desk with so many conversations.
fn filled(dir: &WorkDir, url: Option<String>, count: usize) -> Desk {
    let mut config = Config::default();
    config.storage.data_dir = dir.join("data");
    config.limits.requests_per_minute = 0;
    config.database.url = url;
    let desk = postroom::open_desk(&config).expect("a desk can be opened");
    fill::fill(&desk, count, 1, "Augsburg");
    desk
}

/// Milliseconds of one call.
fn milliseconds(desk: &Desk, list: &List) -> f64 {
    let system = Actor::system();
    let began = Instant::now();
    let listed = desk.read_here(&system, |cx| conversations::list(cx, &list.filter, list.sort, list.page));
    let took = began.elapsed();
    assert!(!listed.expect("the list can be read").items.is_empty(), "there is something to list");
    took.as_secs_f64() * 1e3
}
