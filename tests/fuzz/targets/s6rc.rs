//! The fuzz target `s6rc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pidone_fuzz::bodies::run("s6rc", data));
