//! The daemon: wiring. It reads the configuration, builds the desk and its outside, starts the
//! workers and the API, and ends them again.

mod authorize;
mod backup;
#[cfg(feature = "chaos")]
mod chaos;
pub mod commands;
pub mod config;
mod daemon;
mod demo_mails;
mod folder;
mod key_file;
mod lock;
mod log;
mod login;
mod open;
mod outside;
mod receivers;
mod room;
mod work;

pub use config::Config;
pub use daemon::Daemon;
pub use open::open_desk;
