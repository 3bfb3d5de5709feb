#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dmtcp_proto::fuzzing::worker(data));
