//! Fuzzes a payload of the topic `cache-misses` through every step.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::record::check(input));
