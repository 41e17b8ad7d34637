//! How fast answers leave: accepted by the API of a daemon in its own process and drained to an SMTP
//! receiver, beside raw lettre that hands the same bytes to the same receiver after one fsync a mail.
//! Prints figures; asserts only that every mail arrived once.

mod place;
mod process;
mod usage;

use lettre::address::Envelope;
use lettre::{SmtpTransport, Transport};
use place::Place;
use process::Running;
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, thread};
use support::database;
use support::http::Http;
use support::ports;
use support::smtp::{Captured, SmtpSink};
use support::workdir::WorkDir;

/// Answers that are written, and mails that are handed over, at the same time: the daemon's own number.
const AT_ONCE: usize = 8;

fn main() {
    let count = number("POSTROOM_BENCH_MAILS", 1_000);
    let rounds = number("POSTROOM_BENCH_ROUNDS", 3);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("{:?}; {count} answers, {AT_ONCE} at the same time", database::kind());
    println!("round  answers/s  accepted/s  floor/s  ratio  CPU s per 1,000  peak MiB  load");
    for round in 1..=rounds {
        let sink = SmtpSink::start();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let mut place = Place::new();
        place.settings.push(("POSTROOM__SERVER__LISTEN", address.to_string()));
        let running = Running::start(place);
        let http = set_up(running.desk(), address, &sink);
        let before = running.cpu();
        let began = Instant::now();
        let accepted = runtime.block_on(write(&http, count));
        let accepted = (accepted - began).as_secs_f64();
        let mails = runtime.block_on(arrived(&sink, count));
        let took = began.elapsed().as_secs_f64();
        let cpu = running.cpu() - before;
        let peak = running.memory("VmHWM") / usage::MIB;
        let floor = floor(&mails, running.desk().dir());
        let rate = |seconds: f64| count as f64 / seconds;
        println!(
            "{round:>5}  {:>9.0}  {:>10.0}  {:>7.0}  {:>5.2}  {:>15.2}  {peak:>8.1}  {:>4}",
            rate(took),
            rate(accepted),
            rate(floor),
            floor / took,
            cpu * 1_000.0 / count as f64,
            usage::load()
        );
    }
    println!("target: ratio at least 0.40");
}

fn number(name: &str, usual: usize) -> usize {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A mailbox whose answers go to the receiver, and a client of the API.
fn set_up(desk: &Place, address: SocketAddr, sink: &SmtpSink) -> Http {
    let port = sink.port.to_string();
    let source = ["mailbox", "add", "--name", "Support", "--address", "support@example.org", "--push"];
    let delivery =
        ["--smtp", "127.0.0.1", "--smtp-port", &port, "--smtp-security", "none", "--smtp-without-login"];
    desk.run(&[&source[..], &delivery].concat());
    let token = desk.run(&["token", "create", "--name", "bench"]);
    Http::new(address).with_token(token.trim())
}

/// Writes first answers to so many customers. When the last one was accepted.
async fn write(http: &Http, count: usize) -> Instant {
    let next = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> =
        (0..AT_ONCE).map(|_| tokio::spawn(write_some(http.clone(), Arc::clone(&next), count))).collect();
    for writer in writers {
        writer.await.expect("every answer is accepted");
    }
    Instant::now()
}

async fn write_some(http: Http, next: Arc<AtomicUsize>, count: usize) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let text = "Thank you for your order. It left our house today.\n".repeat(20);
        let body = json!({
            "mailbox_id": 1, "subject": format!("Your order {number}"),
            "customer": {"email": format!("customer{number}@example.net")},
            "message": {"kind": "reply", "text": text},
        });
        http.post("/api/v1/conversations", &body).await.expect(201);
    }
}

/// Waits for all mails. Each is there once.
async fn arrived(sink: &SmtpSink, count: usize) -> Vec<Captured> {
    let mut mails = Vec::with_capacity(count);
    for _ in 0..count {
        mails.push(sink.next().await);
    }
    let ids: HashSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), count, "each arrived once");
    mails
}

/// Seconds that lettre takes to hand the same mails to a receiver like the same, each written to a file
/// and synced before, as many at the same time.
fn floor(mails: &[Captured], dir: &WorkDir) -> f64 {
    let sink = SmtpSink::start();
    let transport = SmtpTransport::builder_dangerous("127.0.0.1").port(sink.port).build();
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(mail) = mails.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = next.load(Ordering::Relaxed);
                    let name = format!("{number}-{:?}", thread::current().id());
                    let mut file = File::create(dir.join(name)).expect("a file");
                    file.write_all(&mail.raw).and_then(|()| file.sync_all()).expect("a file is written");
                    let to = mail.to.iter().map(|to| to.parse().expect("an address")).collect();
                    let envelope = Envelope::new(mail.from.parse().ok(), to).expect("an envelope");
                    transport.send_raw(&envelope, &mail.raw).expect("the receiver takes it");
                }
            });
        }
    });
    let took = began.elapsed().as_secs_f64();
    assert_eq!(sink.mails().len(), mails.len());
    took
}
