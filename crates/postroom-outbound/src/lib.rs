//! Mail out: a message becomes MIME, and MIME leaves by SMTP.
//!
//! [`Composer`] makes the bytes, once; from then on they are frozen. [`send()`] hands them to a
//! mailbox's SMTP server phase by phase and says what became of each recipient. [`probe()`] tries
//! the same road without a mail. Nothing here remembers anything: the outbox does.

mod address;
mod body;
mod compose;
mod course;
mod disposition;
mod forwards;
mod header;
mod html;
mod layout;
mod markup;
mod parts;
mod policy;
mod probe;
mod quotes;
#[cfg(test)]
mod script;
mod send;
mod server;
mod session;
mod thread_index;
mod tls;
mod wire;

pub use compose::{Composer, MAX_RECIPIENTS};
pub use course::{Course, Entry, Point};
pub use probe::{probe, probe_delivery};
pub use send::{Envelope, Outcome, Refusal, send};
pub use session::Timeouts;
