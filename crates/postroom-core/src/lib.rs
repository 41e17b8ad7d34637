//! What a help desk is, and where it is remembered.
//!
//! The nouns stand in the files of their names; `operations` says what can be done with them,
//! `store` remembers them in SQLite or PostgreSQL, and [`desk::Desk`] is the one door.
//! This crate opens no socket and knows no MIME: what it needs of the outside it asks of
//! [`ports`].

pub mod access;
pub mod error;
pub mod id;
pub mod mail;
pub mod mailbox;
pub mod own_id;
pub mod ports;
pub mod store;
pub mod text;
pub mod threading;
pub mod time;
mod word;

pub use error::Error;
