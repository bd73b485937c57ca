#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::OFFSETS), |bytes: &[u8]| (brooklet::fuzz::OFFSETS.run)(bytes));
