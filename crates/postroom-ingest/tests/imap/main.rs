//! The IMAP client against servers that do what a script says, well or badly.

mod answers;
mod changes;
mod entry;
mod idle;
mod server;
mod shield;
mod xoauth2;
