//! The log's way out. Whoever logs never waits for whoever reads: lines go through a queue to a thread
//! of their own, and where that can't get rid of them they are dropped and counted.

use crate::config::{Log, LogFormat};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait at the most. A line is some hundred bytes.
const WAITING: usize = 4_096;
/// Bytes that are written at once, about.
const AT_ONCE: usize = 16 * 1024;
/// How long the last lines may take to leave when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What the writing thread is handed.
enum Item {
    Line(Vec<u8>),
    /// Everything before this has been written.
    Flush(SyncSender<()>),
}

/// The log of this process, once it was started.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The way to the writing thread.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Starts a thread that writes to `out`.
    fn start(out: impl Write + Send + 'static, most: usize) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(most);
        let dropped = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&dropped);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_out(out, &waiting, &counted))?;
        Ok(Self { lines, dropped })
    }

    /// Hands a line on, or counts it where there is no room.
    fn hand_on(&self, line: Vec<u8>) {
        match self.lines.try_send(Item::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until what was said so far is out, or for a moment where nobody reads it.
    fn flush(&self, most: Duration) -> Result<(), RecvTimeoutError> {
        let (done, is_done) = sync_channel(1);
        // Full: nobody reads, and the last lines go the way of those before.
        if self.lines.try_send(Item::Flush(done)).is_err() {
            return Err(RecvTimeoutError::Timeout);
        }
        is_done.recv_timeout(most)
    }
}

/// Writes what waits, as much of it at once as there is.
fn write_out(mut out: impl Write, waiting: &Receiver<Item>, dropped: &AtomicU64) {
    let mut lines = Lines::default();
    while let Ok(first) = waiting.recv() {
        for item in std::iter::once(first).chain(waiting.try_iter()) {
            match item {
                Item::Line(line) => {
                    lines.add(&line);
                    if lines.bytes.len() >= AT_ONCE {
                        lines.leave(&mut out, dropped);
                    }
                }
                Item::Flush(done) => {
                    lines.leave(&mut out, dropped);
                    // Whoever asked may have stopped waiting.
                    let _ = done.try_send(());
                }
            }
        }
        lines.leave(&mut out, dropped);
    }
}

/// Lines that leave together.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

impl Lines {
    fn add(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.count += 1;
    }

    fn leave(&mut self, out: &mut impl Write, dropped: &AtomicU64) {
        if self.count == 0 {
            return;
        }
        let lost = dropped.load(Ordering::Relaxed);
        let gap = format!("{lost} lines of the log were dropped: nobody took them in time\n");
        let told = if lost == 0 { Ok(()) } else { out.write_all(gap.as_bytes()) };
        // A log that is closed, or on a full disk, is no reason to stop working.
        if told.and_then(|()| out.write_all(&self.bytes)).is_err() {
            dropped.fetch_add(self.count, Ordering::Relaxed);
        } else {
            dropped.fetch_sub(lost, Ordering::Relaxed);
        }
        self.bytes.clear();
        self.count = 0;
    }
}

/// Collects one line, and hands it on when it is whole.
struct Line {
    bytes: Vec<u8>,
    queue: Queue,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.queue.hand_on(std::mem::take(&mut self.bytes));
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { bytes: Vec::new(), queue: self.clone() }
    }
}

/// Starts the log on standard error. A second call changes nothing.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let queue = match QUEUE.get() {
        Some(queue) => queue.clone(),
        None => match Queue::start(io::stderr(), WAITING) {
            Ok(queue) => QUEUE.get_or_init(|| queue).clone(),
            // No thread can be had: what follows will say so in its own way.
            Err(_) => return,
        },
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue)
        // Colours are for eyes: a journal or a file would keep the codes.
        .with_ansi(io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
        return;
    }
    log_panics();
}

/// A panic's message goes where all others go: written to standard error by itself it would wait for a
/// reader that may never come.
fn log_panics() {
    static DONE: Mutex<bool> = Mutex::new(false);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *done, true) {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("of a kind without words");
        tracing::error!(place, said, "the daemon panicked");
    }));
}

/// Waits a moment until what was logged so far is written. For the end of the process.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        // There is nobody left to tell that the log does not take any more.
        let _written = queue.flush(LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;

    /// A reader that takes nothing until it is told to.
    #[derive(Clone, Default)]
    struct Slow(Arc<(Mutex<Taken>, Condvar)>);

    #[derive(Default)]
    struct Taken {
        may: bool,
        bytes: Vec<u8>,
    }

    impl Slow {
        fn go_on(&self) {
            self.0.0.lock().unwrap().may = true;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
        }
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut taken = self.0.1.wait_while(self.0.0.lock().unwrap(), |taken| !taken.may).unwrap();
            taken.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_dropped_is_counted() {
        let slow = Slow::default();
        let queue = Queue::start(slow.clone(), 4).unwrap();
        // Each is as much as is written at once. One may be with the thread already: more than both never fit.
        for number in 0..10 {
            queue.hand_on(format!("line {number}{:AT_ONCE$}\n", "").into_bytes());
        }
        assert!(queue.dropped.load(Ordering::Relaxed) >= 5);
        slow.go_on();
        while queue.flush(LAST_LINES).is_err() {}
        queue.hand_on(b"at last\n".to_vec());
        assert_eq!(queue.flush(Duration::from_mins(1)), Ok(()));
        let text = slow.text();
        assert!(text.contains("line 0 ") && text.ends_with("at last\n"), "{text}");
        assert!(text.contains("lines of the log were dropped"), "{text}");
    }

    /// What is closed, or a file on a full disk.
    struct Refuses;

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_is_closed_only_counts() {
        let queue = Queue::start(Refuses, 4).unwrap();
        queue.hand_on(b"one\n".to_vec());
        queue.hand_on(b"two\n".to_vec());
        assert_eq!(queue.flush(Duration::from_mins(1)), Ok(()));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    }
}
