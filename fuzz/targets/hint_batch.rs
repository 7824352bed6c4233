//! Fuzzes a payload of `batches`, `undeliverable` and `receipts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::hint_batch::check(input));
