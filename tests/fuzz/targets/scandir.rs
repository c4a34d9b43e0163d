//! The fuzz target `scandir`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pidone_fuzz::bodies::run("scandir", data));
