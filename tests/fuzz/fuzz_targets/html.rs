//! `targets/html.rs` under libFuzzer.
#![no_main]

#[path = "../targets/html.rs"]
mod html;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| html::check(bytes));
