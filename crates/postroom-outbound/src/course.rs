//! What whoever sends is asked and told on the way: it alone knows what else goes on at the mailbox, and
//! writes down how far a mail has got.

use crate::send::Refusal;
use std::convert::Infallible;
use std::fmt::Display;

/// A point that a mail has passed, for tests that want to know what happens if all ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The recipients are named, and the server waits for the bytes.
    Recipients,
    /// All bytes have gone but the final dot.
    Bytes,
    /// The dot has gone, and no answer is there.
    Dot,
}

/// What a server made of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It let us in.
    LetIn,
    /// It did not.
    Refused,
    /// It said "not now", or nothing.
    Unknown,
}

/// The course of one attempt.
pub trait Course {
    /// Why it can't go on.
    type Error: Display;
    /// Held from just before the login until its answer.
    type Turn;

    /// Before the login; goes on once this is answered. Where mails of one mailbox go at the same time,
    /// a password that is wrong need not be tried by each. If it fails nothing is tried.
    fn log_in(&self) -> impl Future<Output = Result<Self::Turn, Self::Error>>;

    /// The server has answered the login, or has not.
    fn logged_in(&self, turn: Self::Turn, entry: Entry);

    /// The server is ready for the bytes and none has gone: the place to write down that they go, from whom,
    /// and who was refused. If it fails nothing goes.
    fn data(&self, from: &str, refused: &[Refusal]) -> impl Future<Output = Result<(), Self::Error>>;

    /// A point is passed.
    fn passed(&self, point: Point) {
        let _ = point;
    }
}

/// Nobody is asked.
pub(crate) struct Alone;

impl Course for Alone {
    type Error = Infallible;
    type Turn = ();

    async fn log_in(&self) -> Result<(), Infallible> {
        Ok(())
    }

    fn logged_in(&self, (): (), _: Entry) {}

    async fn data(&self, _: &str, _: &[Refusal]) -> Result<(), Infallible> {
        Ok(())
    }
}
