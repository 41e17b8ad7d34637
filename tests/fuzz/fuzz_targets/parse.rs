//! `targets/parse.rs` under libFuzzer.
#![no_main]

#[path = "../targets/parse.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parse::check(bytes));
