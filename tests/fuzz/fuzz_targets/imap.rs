//! `targets/imap.rs` under libFuzzer.
#![no_main]

#[path = "../targets/imap.rs"]
mod imap;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imap::check(bytes));
