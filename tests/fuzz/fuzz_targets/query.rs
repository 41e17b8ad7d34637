//! `targets/query.rs` under libFuzzer.
#![no_main]

#[path = "../targets/query.rs"]
mod query;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| query::check(bytes));
