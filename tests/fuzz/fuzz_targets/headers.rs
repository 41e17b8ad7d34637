//! `targets/headers.rs` under libFuzzer.
#![no_main]

#[path = "../targets/headers.rs"]
mod headers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headers::check(bytes));
