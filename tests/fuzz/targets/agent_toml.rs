//! The fuzz target `agent_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pidone_fuzz::bodies::run("agent_toml", data));
