//! Fuzzes a partner's answer, and its `Retry-After`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::partner_answer::check(input));
