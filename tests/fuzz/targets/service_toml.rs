//! The fuzz target `service_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pidone_fuzz::bodies::run("service_toml", data));
