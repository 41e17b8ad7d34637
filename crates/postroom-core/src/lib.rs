//! What a help desk is, and where it is remembered.
//!
//! The nouns stand in the files of their names; `operations` says what can be done with them,
//! `store` remembers them in SQLite or PostgreSQL, and [`desk::Desk`] is the one door.
//! This crate opens no socket and knows no MIME: what it needs of the outside it asks of
//! [`ports`].

pub mod access;
pub mod actor;
pub mod audit;
pub mod authorization;
pub mod auto_reply;
pub mod availability;
pub mod backoff;
pub mod blobs;
pub mod capability;
pub mod conversation;
pub mod custom_field;
pub mod cx;
pub mod desk;
pub mod distribution;
pub mod error;
pub mod event;
pub mod export;
pub mod follower;
pub mod fulltext;
pub mod id;
pub mod intake;
pub mod job;
pub mod keys;
pub mod lease;
pub mod listing;
pub mod mail;
pub mod mailbox;
pub mod mailbox_outgoing;
pub mod mailbox_routing;
pub mod mark;
pub mod mention;
pub mod message;
pub mod network;
pub mod notification;
pub mod notification_settings;
pub mod object_name;
pub mod operations;
pub mod outgoing;
pub mod own_id;
pub mod page;
pub mod password;
pub mod people;
pub mod picture;
pub mod ports;
pub mod presence;
pub mod query;
pub mod read_mark;
pub mod role;
pub mod round_trip;
pub mod schedule;
pub mod sign_in;
pub mod signed_link;
pub mod store;
pub mod template;
pub mod text;
pub mod threading;
pub mod time;
pub mod transfer;
pub mod unsent;
pub mod view;
pub mod watchdog;
pub mod webhook;
pub mod webhook_delivery;
mod word;

pub use error::Error;
