//! Fuzzes a text through the canonicaliser.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::canonical::check(input));
