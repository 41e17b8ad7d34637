//! What the tests stand on: real servers on loopback that end with the test, and small clients.

pub mod bombs;
pub mod browser;
pub mod database;
pub mod desk;
pub mod dkim;
pub mod dns;
pub mod dovecot;
pub mod hooks;
pub mod http;
pub mod imap;
pub mod leash;
pub mod line;
pub mod mail;
pub mod maildir;
pub mod oauth;
pub mod ports;
pub mod postfix;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod scripted;
pub mod smtp;
pub mod tls;
pub mod workdir;
