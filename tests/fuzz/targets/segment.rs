#![no_main]

libfuzzer_sys::fuzz_target!(init: brooklet_fuzz::begin(&brooklet::fuzz::SEGMENT), |bytes: &[u8]| (brooklet::fuzz::SEGMENT.run)(bytes));
