//! postroom tried from outside, on whichever database `POSTROOM_TEST_DATABASE` names.

mod access;
mod api;
mod attacks;
mod backup;
mod bombs;
mod commands;
mod concurrency;
mod configuration;
mod events;
mod explain;
mod fuzz;
mod idempotency;
mod imap;
mod intake;
mod maildir;
mod mailing;
mod nets;
mod oauth;
mod oracle;
mod problems;
mod program;
mod schema;
mod sending;
mod story;
mod threading;
mod tidy;
