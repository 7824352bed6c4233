//! Fuzzes a payload of `generations` or `zones`, a key of Redis.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::control_record::check(input));
