//! The fuzz target `syslog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pidone_fuzz::bodies::run("syslog", data));
