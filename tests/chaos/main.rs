//! Faults: the daemon's program is killed, starved and cut off in every way, on real servers, and
//! judged by one oracle. `CHAOS_SEED=` plays a run again; `POSTROOM_TEST_LONG=1` makes it long;
//! `CHAOS_POINTS=` says how many points of each kind are tried.

mod crashes;
mod database;
mod disk;
mod disk_model;
mod hooks;
mod imap;
mod jobs;
mod nonsense;
mod oracle;
mod plan;
mod points;
mod power;
mod record;
mod rig;
mod sender;
mod starved;
mod streams;
mod time;
mod two_senders;
